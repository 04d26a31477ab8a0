package h26x

import (
	"fmt"
)

// ParseSPS264 reads an H.264 sequence parameter set (7.3.2.1.1), a NAL unit
// without start code or length.
func ParseSPS264(nal []byte) (Info, error) {
	if len(nal) < 4 || len(nal) > maxNAL {
		return Info{}, fmt.Errorf("%w: H.264 SPS of %d bytes", ErrParameterSet, len(nal))
	}
	if nal[0]&0x1f != SPS264 {
		return Info{}, fmt.Errorf("%w: NAL unit type %d: want an H.264 SPS", ErrParameterSet, nal[0]&0x1f)
	}
	s := sps264{reader: reader{b: unescape(nal[1:])}}
	s.Codec = fmt.Sprintf("avc1.%02x%02x%02x", nal[1], nal[2], nal[3])
	if err := s.parse(); err != nil {
		return Info{}, err
	}
	return s.Info, nil
}

type sps264 struct {
	reader
	Info
	profile, constraints, level uint32
	pocType                     int
	refFrames                   int
	mbs                         int64 // macroblocks in a frame
}

func (s *sps264) parse() error {
	s.profile, s.constraints, s.level = s.u(8), s.u(8), s.u(8)
	s.upTo(31) // seq_parameter_set_id
	s.colour()
	s.upTo(12) // log2_max_frame_num_minus4
	s.pictureOrder()
	s.refFrames = s.upTo(16)
	s.skip(1) // gaps_in_frame_num_value_allowed_flag
	if err := s.picture(); err != nil {
		return err
	}
	s.Reorder = s.inferReorder()
	if s.flag() && !s.bad {
		s.usability()
	}
	return nil
}

// colour reads what only the High family of profiles has.
func (s *sps264) colour() {
	s.Chroma, s.LumaBits, s.ChromaBits = 1, 8, 8
	switch s.profile {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
	default:
		return
	}
	lists := 8
	if s.Chroma = s.upTo(3); s.Chroma == 3 {
		s.skip(1) // separate_colour_plane_flag
		lists = 12
	}
	s.LumaBits += s.upTo(6)
	s.ChromaBits += s.upTo(6)
	s.skip(1) // qpprime_y_zero_transform_bypass_flag
	if !s.flag() {
		return
	}
	for i := range lists {
		if s.flag() {
			s.scalingList(i)
		}
	}
}

// scalingList skips one list (7.3.2.1.1.1).
func (s *sps264) scalingList(i int) {
	size := 64
	if i < 6 {
		size = 16
	}
	last, next := 8, 8
	for range size {
		if next != 0 {
			next = (last + s.se() + 256) & 255
		}
		if next != 0 {
			last = next
		}
		if s.bad {
			return
		}
	}
}

func (s *sps264) pictureOrder() {
	switch s.pocType = s.upTo(2); s.pocType {
	case 0:
		s.upTo(12) // log2_max_pic_order_cnt_lsb_minus4
	case 1:
		s.skip(1)
		s.se()
		s.se()
		for range s.upTo(255) {
			s.se()
		}
	}
}

func (s *sps264) picture() error {
	w, mapUnits := int64(s.ue())+1, int64(s.ue())+1
	fields := int64(1) // in map units a field pair counts twice
	if !s.flag() {     // frame_mbs_only_flag
		fields = 2
		s.skip(1)
	}
	s.mbs = w * mapUnits * fields
	s.skip(1) // direct_8x8_inference_flag
	w, h := w*16, mapUnits*16*fields
	if s.flag() {
		left, right, top, bottom := int64(s.ue()), int64(s.ue()), int64(s.ue()), int64(s.ue())
		unitX, unitY := int64(1), fields
		if s.Chroma == 1 || s.Chroma == 2 {
			unitX = 2
		}
		if s.Chroma == 1 {
			unitY *= 2
		}
		w -= (left + right) * unitX
		h -= (top + bottom) * unitY
	}
	if s.bad {
		return fmt.Errorf("%w: H.264 SPS ends early or holds a value out of range", ErrParameterSet)
	}
	return s.size(w, h)
}

// inferReorder is the bound where the stream states none (E.2.1,
// max_num_reorder_frames): nothing for profiles and picture orders that cannot
// reorder, else what the level's picture buffer holds. A stream with one reference
// frame is taken not to reorder, although it could in theory.
func (s *sps264) inferReorder() int {
	if s.profile == 66 || s.pocType == 2 || s.refFrames <= 1 || s.constraints&0x10 != 0 && s.profile != 77 && s.profile != 88 {
		return 0
	}
	limit := maxDpbMbs(s.level)
	if limit == 0 || s.mbs == 0 {
		return 16
	}
	return int(min(limit/s.mbs, 16))
}

// maxDpbMbs is table A-1's column of that name, 0 for a level not in it.
func maxDpbMbs(level uint32) int64 {
	for _, row := range [...]struct {
		level uint32
		mbs   int64
	}{
		{9, 396},
		{10, 396},
		{11, 900},
		{12, 2376},
		{13, 2376},
		{20, 2376},
		{21, 4752},
		{22, 8100},
		{30, 8100},
		{31, 18000},
		{32, 20480},
		{40, 32768},
		{41, 32768},
		{42, 34816},
		{50, 110400},
		{51, 184320},
		{52, 184320},
		{60, 696320},
		{61, 696320},
		{62, 696320},
	} {
		if row.level == level {
			return row.mbs
		}
	}
	return 0
}

// usability reads the VUI parameters (E.1.1). What it finds is kept only while
// it makes sense: several makers cut theirs short.
func (s *sps264) usability() {
	s.videoSignal()
	if s.flag() { // timing_info_present_flag
		units, scale := s.u(32), s.u(32)
		s.skip(1)
		if !s.bad {
			s.FPS = fps(float64(scale), 2*float64(units)) // two fields a frame, always
		}
	}
	nal := s.flag()
	if nal {
		s.hrd()
	}
	vcl := s.flag()
	if vcl {
		s.hrd()
	}
	if nal || vcl {
		s.skip(1) // low_delay_hrd_flag
	}
	s.skip(1) // pic_struct_present_flag
	if !s.flag() {
		return
	}
	s.skip(1)
	for range 4 {
		s.ue()
	}
	reorder, buffered := s.ue(), s.ue()
	if !s.bad && reorder <= 16 && reorder <= buffered {
		s.Reorder, s.ReorderStated = int(reorder), true
	}
}

// hrd skips hypothetical reference decoder parameters (E.1.2).
func (s *sps264) hrd() {
	n := s.upTo(31) + 1
	s.skip(8)
	for range n {
		s.ue()
		s.ue()
		s.skip(1)
	}
	s.skip(20)
}

// videoSignal skips the first part of the VUI, alike in both codecs.
func (r *reader) videoSignal() {
	if r.flag() && r.u(8) == 255 { // Extended_SAR
		r.skip(32)
	}
	if r.flag() { // overscan_info_present_flag
		r.skip(1)
	}
	if r.flag() { // video_signal_type_present_flag
		r.skip(4)
		if r.flag() {
			r.skip(24)
		}
	}
	if r.flag() { // chroma_loc_info_present_flag
		r.ue()
		r.ue()
	}
}
