package simulate

import (
	"encoding/binary"
	"errors"
)

// jpeg packetizes a baseline JPEG as RFC 2435 has it. That carries neither
// Huffman tables (they must be the usual ones) nor anything but YUV 4:2:0 and 4:2:2.
func (w *packetWriter) jpeg(data []byte) error {
	j, err := readJPEG(data)
	if err != nil {
		return err
	}
	for at := 0; at < len(j.scan); {
		head := []byte{0, byte(at >> 16), byte(at >> 8), byte(at), j.kind, 255, byte(j.width / 8), byte(j.height / 8)}
		if j.restart > 0 {
			head[4] |= 64
			head = append(head, byte(j.restart>>8), byte(j.restart), 0xff, 0xff)
		}
		if at == 0 {
			head = append(head, 0, 0, byte(len(j.tables)>>8), byte(len(j.tables)))
			head = append(head, j.tables...)
		}
		n := min(len(j.scan)-at, maxPayload-len(head))
		w.packet(head, j.scan[at:at+n])
		at += n
	}
	return nil
}

type jpegFrame struct {
	kind          byte // 0: 4:2:2, 1: 4:2:0
	width, height int
	restart       int
	tables        []byte // two quantization tables
	scan          []byte
}

var errJPEG = errors.New("JPEG that RTP cannot carry: want baseline, 4:2:0 or 4:2:2, sides up to 2040 in multiples of 8")

func readJPEG(b []byte) (*jpegFrame, error) {
	j := &jpegFrame{}
	tables := map[byte][]byte{}
	var lumaTable, chromaTable byte
	if len(b) < 4 || b[0] != 0xff || b[1] != 0xd8 {
		return nil, errJPEG
	}
	for b = b[2:]; len(b) >= 4; {
		if b[0] != 0xff {
			return nil, errJPEG
		}
		kind, n := b[1], int(binary.BigEndian.Uint16(b[2:]))
		if kind == 0xff { // fill byte
			b = b[1:]
			continue
		}
		if n < 2 || 2+n > len(b) {
			return nil, errJPEG
		}
		body := b[4 : 2+n]
		b = b[2+n:]
		switch kind {
		case 0xdb:
			for len(body) >= 65 && body[0] < 16 {
				tables[body[0]] = body[1:65]
				body = body[65:]
			}
		case 0xc0:
			if len(body) < 15 || body[5] != 3 {
				return nil, errJPEG
			}
			j.height, j.width = int(binary.BigEndian.Uint16(body[1:])), int(binary.BigEndian.Uint16(body[3:]))
			switch body[7] {
			case 0x21:
				j.kind = 0
			case 0x22:
				j.kind = 1
			default:
				return nil, errJPEG
			}
			lumaTable, chromaTable = body[8], body[11]
		case 0xc1, 0xc2, 0xc3:
			return nil, errJPEG
		case 0xdd:
			if len(body) >= 2 {
				j.restart = int(binary.BigEndian.Uint16(body))
			}
		case 0xda:
			if n := len(b); n >= 2 && b[n-2] == 0xff && b[n-1] == 0xd9 {
				b = b[:n-2]
			}
			j.scan = b
			luma, chroma := tables[lumaTable], tables[chromaTable]
			if luma == nil || chroma == nil || len(b) == 0 || len(b) >= 1<<24 || j.width == 0 || j.height == 0 ||
				j.width%8 != 0 || j.height%8 != 0 || j.width > 2040 || j.height > 2040 {
				return nil, errJPEG
			}
			j.tables = append(append([]byte{}, luma...), chroma...)
			return j, nil
		}
	}
	return nil, errJPEG
}
