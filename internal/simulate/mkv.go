package simulate

import "errors"

func demuxMKV(data []byte) ([]*track, error) { return nil, errors.New("MKV") }
func demuxAVI(data []byte) ([]*track, error) { return nil, errors.New("AVI") }
