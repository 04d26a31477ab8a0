package h26x

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// ParseSPS265 reads an H.265 sequence parameter set (7.3.2.2.1), a NAL unit
// without start code or length.
func ParseSPS265(nal []byte) (Info, error) {
	if len(nal) < 16 || len(nal) > maxNAL {
		return Info{}, fmt.Errorf("%w: H.265 SPS of %d bytes", ErrParameterSet, len(nal))
	}
	if t := nal[0] >> 1 & 0x3f; t != SPS265 {
		return Info{}, fmt.Errorf("%w: NAL unit type %d: want an H.265 SPS", ErrParameterSet, t)
	}
	s := sps265{}
	s.b = unescape(nal[2:])
	if err := s.parse(); err != nil {
		return Info{}, err
	}
	s.Codec = hevcString(s.ProfileTierLevel)
	return s.Info, nil
}

type sps265 struct {
	reader
	Info
	pocBits int
	sets    [64]refSet
}

func (s *sps265) parse() error {
	s.skip(4) // sps_video_parameter_set_id
	layers := int(s.u(3))
	if layers > 6 {
		return fmt.Errorf("%w: %d temporal sub-layers: want at most 7", ErrParameterSet, layers+1)
	}
	s.SubLayers, s.Nested = layers+1, s.flag()
	s.profileTierLevel(layers)
	s.upTo(15) // sps_seq_parameter_set_id
	if err := s.picture(); err != nil {
		return err
	}
	s.LumaBits, s.ChromaBits = 8+s.upTo(8), 8+s.upTo(8)
	s.pocBits = s.upTo(12) + 4
	first := layers
	if s.flag() { // sps_sub_layer_ordering_info_present_flag
		first = 0
	}
	for range layers - first + 1 {
		s.upTo(15)
		s.Reorder = s.upTo(15) // of the highest layer in the end
		s.ue()
	}
	if s.bad {
		return fmt.Errorf("%w: H.265 SPS ends early or holds a value out of range", ErrParameterSet)
	}
	s.ReorderStated = true
	s.coding()
	if !s.bad && s.flag() { // vui_parameters_present_flag
		s.usability()
	}
	return nil
}

// profileTierLevel keeps the general part and skips that of the sub-layers (7.3.3).
func (s *sps265) profileTierLevel(layers int) {
	for i := range s.ProfileTierLevel {
		s.ProfileTierLevel[i] = byte(s.u(8))
	}
	var profile, level [8]bool
	for i := range layers {
		profile[i], level[i] = s.flag(), s.flag()
	}
	if layers > 0 {
		s.skip(2 * (8 - layers))
	}
	for i := range layers {
		if profile[i] {
			s.skip(88)
		}
		if level[i] {
			s.skip(8)
		}
	}
}

func (s *sps265) picture() error {
	if s.Chroma = s.upTo(3); s.Chroma == 3 {
		s.skip(1) // separate_colour_plane_flag
	}
	w, h := int64(s.ue()), int64(s.ue())
	if s.flag() { // conformance_window_flag
		left, right, top, bottom := int64(s.ue()), int64(s.ue()), int64(s.ue()), int64(s.ue())
		unitX, unitY := int64(1), int64(1)
		if s.Chroma == 1 || s.Chroma == 2 {
			unitX = 2
		}
		if s.Chroma == 1 {
			unitY = 2
		}
		w -= (left + right) * unitX
		h -= (top + bottom) * unitY
	}
	if s.bad {
		return fmt.Errorf("%w: H.265 SPS ends early or holds a value out of range", ErrParameterSet)
	}
	return s.size(w, h)
}

// coding skips everything between the picture buffer and the VUI.
func (s *sps265) coding() {
	for range 6 { // block and transform sizes and depths
		s.ue()
	}
	if s.flag() { // scaling_list_enabled
		if s.flag() { // sps_scaling_list_data_present
			s.scalingLists()
		}
	}
	s.skip(2)     // amp_enabled, sample_adaptive_offset_enabled
	if s.flag() { // pcm_enabled_flag
		s.skip(8)
		s.ue()
		s.ue()
		s.skip(1)
	}
	n := s.upTo(64)
	for i := range n {
		if s.refSet(i); s.bad {
			return
		}
	}
	if s.flag() { // long_term_ref_pics_present_flag
		s.skip(s.upTo(32) * (s.pocBits + 1))
	}
	s.skip(2) // temporal_mvp, strong_intra_smoothing
}

// scalingLists skips scaling_list_data (7.3.4).
func (s *sps265) scalingLists() {
	for size := range 4 {
		step := 1
		if size == 3 {
			step = 3
		}
		for m := 0; m < 6; m += step {
			if !s.flag() {
				s.ue()
				continue
			}
			if size > 1 {
				s.se()
			}
			for range min(64, 1<<(4+size<<1)) {
				s.se()
			}
			if s.bad {
				return
			}
		}
	}
}

// refSet is a short-term reference picture set: picture order differences,
// negative ones first, each going outward.
type refSet struct {
	delta    [32]int32
	neg, pos int
}

// refSet reads st_ref_pic_set(i) (7.3.7, derivation 7-61 and 7-62). Later sets
// may be told as differences from earlier ones, so the values matter.
func (s *sps265) refSet(i int) {
	set := &s.sets[i]
	if i > 0 && s.flag() { // inter_ref_pic_set_prediction_flag
		s.predictedSet(set, &s.sets[i-1])
		return
	}
	set.neg, set.pos = s.upTo(16), s.upTo(16)
	d := int32(0)
	for j := range set.neg {
		d -= int32(s.upTo(1<<15-1)) + 1
		set.delta[j] = d
		s.skip(1)
	}
	d = 0
	for j := range set.pos {
		d += int32(s.upTo(1<<15-1)) + 1
		set.delta[set.neg+j] = d
		s.skip(1)
	}
}

func (s *sps265) predictedSet(set, ref *refSet) {
	negative := s.flag()
	shift := int32(s.upTo(1<<15-1)) + 1
	if negative {
		shift = -shift
	}
	var neg, pos [33]int32
	total := ref.neg + ref.pos
	for j := range total + 1 {
		kept := s.flag() // used now
		if !kept {
			kept = s.flag() // or later
		}
		if !kept {
			continue
		}
		d := shift
		if j < total {
			d += ref.delta[j]
		}
		switch {
		case d < 0:
			neg[set.neg] = d
			set.neg++
		case d > 0:
			pos[set.pos] = d
			set.pos++
		}
	}
	if set.neg > 16 || set.pos > 16 {
		s.bad = true
		return
	}
	// 7-61 visits them outward from zero, and flags refer to that order.
	slices.SortFunc(neg[:set.neg], func(a, b int32) int { return cmp.Compare(b, a) })
	slices.Sort(pos[:set.pos])
	copy(set.delta[:], neg[:set.neg])
	copy(set.delta[set.neg:], pos[:set.pos])
}

// usability reads the VUI (E.2.1) as far as the timing.
func (s *sps265) usability() {
	s.videoSignal()
	s.skip(3)     // neutral_chroma, field_seq, frame_field_info
	if s.flag() { // default_display_window_flag: a wish for display, not the picture's size
		for range 4 {
			s.ue()
		}
	}
	if !s.flag() { // vui_timing_info_present_flag
		return
	}
	units, scale := s.u(32), s.u(32)
	if !s.bad {
		s.FPS = fps(float64(scale), float64(units))
	}
}

// hevcString is the codecs value of ISO/IEC 14496-15, E.3.
func hevcString(ptl [12]byte) string {
	var b strings.Builder
	b.WriteString("hvc1.")
	if space := ptl[0] >> 6; space > 0 {
		b.WriteByte('A' + space - 1)
	}
	compat := uint32(ptl[1])<<24 | uint32(ptl[2])<<16 | uint32(ptl[3])<<8 | uint32(ptl[4])
	tier := 'L'
	if ptl[0]&0x20 != 0 {
		tier = 'H'
	}
	fmt.Fprintf(&b, "%d.%X.%c%d", ptl[0]&0x1f, bits.Reverse32(compat), tier, ptl[11])
	constraints := ptl[5:11]
	for len(constraints) > 0 && constraints[len(constraints)-1] == 0 {
		constraints = constraints[:len(constraints)-1]
	}
	for _, c := range constraints {
		fmt.Fprintf(&b, ".%X", c)
	}
	return b.String()
}
