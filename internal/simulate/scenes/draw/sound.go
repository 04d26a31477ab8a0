package main

import (
	"encoding/binary"
	"math"
	"os"
)

const soundRate = 16000

// sound makes the scene's sound as a WAV file and returns its name.
func (s *scene) sound() (string, error) {
	n := int(s.seconds * soundRate)
	pcm := make([]float64, n)
	switch s.name {
	case "corridor":
		footsteps(pcm, s.moves)
	default:
		harbour(pcm)
	}
	f, err := os.CreateTemp("", "scene-*.wav")
	if err != nil {
		return "", err
	}
	defer f.Close()
	head := append([]byte("RIFF"), binary.LittleEndian.AppendUint32(nil, uint32(36+2*n))...)
	head = append(head, "WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"...)
	head = binary.LittleEndian.AppendUint32(head, soundRate)
	head = binary.LittleEndian.AppendUint32(head, 2*soundRate)
	head = append(head, 2, 0, 16, 0, 'd', 'a', 't', 'a')
	head = binary.LittleEndian.AppendUint32(head, uint32(2*n))
	for _, v := range pcm {
		head = binary.LittleEndian.AppendUint16(head, uint16(int16(32000*max(-1, min(1, v)))))
	}
	_, err = f.Write(head)
	return f.Name(), err
}

// hiss is noise that repeats exactly, smoothed by k.
func hiss(pcm []float64, level, k float64, shape func(t float64) float64) {
	seed, low := uint32(11), 0.0
	for i := range pcm {
		seed = seed*1664525 + 1013904223
		low += (float64(int32(seed))/math.MaxInt32 - low) * k
		pcm[i] += low * level * shape(float64(i)/soundRate)
	}
}

// tone adds a note that swells and fades.
func tone(pcm []float64, at, dur, hz, level float64) {
	for i := range int(dur * soundRate) {
		j := int(at*soundRate) + i
		if j >= len(pcm) {
			return
		}
		t := float64(i) / soundRate
		env := math.Sin(math.Pi * t / dur)
		pcm[j] += level * env * env * math.Sin(2*math.Pi*hz*t)
	}
}

// harbour: surf, a far horn in two notes, the barrier's bell.
func harbour(pcm []float64) {
	hiss(pcm, .5, .05, func(t float64) float64 { return .35 + .25*math.Sin(2*math.Pi*t/8) })
	for _, at := range []float64{1, 9.5} {
		tone(pcm, at, 2.2, 110, .16)
		tone(pcm, at, 2.2, 164.8, .1)
	}
	for i := range 5 {
		tone(pcm, 4.2+.35*float64(i), .3, 880, .07)
	}
}

// footsteps: a quiet room, a step every half second while somebody walks.
func footsteps(pcm []float64, moves []move) {
	hiss(pcm, .06, .2, func(float64) float64 { return 1 })
	for _, m := range moves {
		if m.label != "motion" {
			continue
		}
		for t := m.start; t < m.end; t += .5 {
			near := .25 + .75*(t-m.start)/(m.end-m.start)
			tone(pcm, t, .07, 190, .5*near)
			tone(pcm, t+.05, .05, 520, .16*near)
		}
	}
}
