package rtp

// aacRates are the sampling frequencies of ISO/IEC 14496-3, table 1.18.
var aacRates = [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// bitReader reads bits from the left; behind the end are zeros.
type bitReader struct {
	b   []byte
	pos int
}

func (r *bitReader) read(n int) (v int) {
	for range n {
		v <<= 1
		if r.pos>>3 < len(r.b) {
			v |= int(r.b[r.pos>>3]>>(7-r.pos&7)) & 1
		}
		r.pos++
	}
	return v
}

// audioConfig is what matters of an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1).
type audioConfig struct {
	object, rate, channels int
	frameLength            int // samples of the core coder in a unit
	sbr                    bool
	bits                   int // its length, where it is plain
}

func readAudioConfig(r *bitReader) (c audioConfig, ok bool) {
	start := r.pos
	object := func() int {
		if o := r.read(5); o != 31 {
			return o
		}
		return 32 + r.read(6)
	}
	rate := func() int {
		i := r.read(4)
		if i == 15 {
			return r.read(24)
		}
		if i < len(aacRates) {
			return aacRates[i]
		}
		return 0
	}
	c.object = object()
	c.rate = rate()
	c.channels = r.read(4)
	if c.object == 5 || c.object == 29 { // SBR, PS: the rate behind it is the output's
		c.sbr = true
		rate()
		c.object = object()
	}
	c.frameLength = 1024
	if r.read(1) == 1 {
		c.frameLength = 960
	}
	if r.read(1) == 1 { // dependsOnCoreCoder
		r.read(14)
	}
	r.read(1) // extensionFlag
	c.bits = r.pos - start
	if c.channels == 7 {
		c.channels = 8
	}
	ok = r.pos <= 8*len(r.b) && c.object > 0 && c.rate >= 1000 && c.rate <= 192000 && c.channels >= 1 && c.channels <= 8
	return c, ok
}

// CompleteAAC fills in what follows from the configuration, or makes the
// configuration of AAC-LC from clock rate and channels where the camera gives
// none. Cameras contradict themselves (Hikvision: clock 32,000, configuration
// 16,000): then the configuration says what is inside and the clock how fast
// timestamps run.
func CompleteAAC(c Config) (Config, bool) {
	if len(c.Config) == 0 {
		if c.Channels == 0 {
			c.Channels = 1
		}
		for i, rate := range aacRates {
			if rate == c.ClockRate && c.Channels <= 6 {
				c.Config = []byte{2<<3 | byte(i>>1), byte(i&1)<<7 | byte(c.Channels)<<3}
			}
		}
	}
	a, ok := readAudioConfig(&bitReader{b: c.Config})
	if !ok {
		return c, false
	}
	c.SampleRate, c.Channels, c.FrameLength = a.rate, a.channels, a.frameLength
	if c.ClockRate < 1000 {
		c.ClockRate = a.rate
	}
	return c, true
}

// LATMConfig takes the AudioSpecificConfig out of a StreamMuxConfig (ISO/IEC
// 14496-3, 1.7.3.1) of one program and one layer.
func LATMConfig(mux []byte) ([]byte, bool) {
	if len(mux) < 4 || len(mux) > 64 {
		return nil, false
	}
	r := &bitReader{b: mux}
	// Version 0, same framing, one sub-frame, one program, one layer.
	if r.read(1) != 0 || r.read(1) != 1 || r.read(6) != 0 || r.read(4) != 0 || r.read(3) != 0 {
		return nil, false
	}
	start := r.pos
	a, ok := readAudioConfig(r)
	if !ok {
		return nil, false
	}
	at := &bitReader{b: mux, pos: start}
	config := make([]byte, (a.bits+7)/8)
	for i := range config {
		n := min(8, a.bits-8*i)
		config[i] = byte(at.read(n) << (8 - n))
	}
	return config, true
}
