package fmp4

import (
	"bytes"
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/bits"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
)

// Kinds of parameter sets, by NAL unit type.
const (
	spsH264 = byte(h264.NALUTypeSPS)
	ppsH264 = byte(h264.NALUTypePPS)
	vpsH265 = byte(h265.NALUType_VPS_NUT)
	spsH265 = byte(h265.NALUType_SPS_NUT)
	ppsH265 = byte(h265.NALUType_PPS_NUT)
)

// maxSets is more than any stream has; what comes beyond takes the place of the oldest.
const maxSets = 64

// same says whether this very set is known already.
func (v *Video) same(kind byte, nal []byte) bool {
	return slices.ContainsFunc(v.known, func(s set) bool { return s.kind == kind && bytes.Equal(s.nal, nal) })
}

// keep notes a set in the place of the one with its number.
func (v *Video) keep(kind byte, id uint32, nal []byte) {
	if i := slices.IndexFunc(v.known, func(s set) bool { return s.kind == kind && s.id == id }); i >= 0 {
		if bytes.Equal(v.known[i].nal, nal) {
			return
		}
		v.known = slices.Clone(v.known)
		v.known[i].nal = nal
	} else {
		v.known = append(slices.Clone(v.known[max(0, len(v.known)-maxSets+1):]), set{kind, id, nal})
	}
	switch kind {
	case vpsH265:
		v.VPS = nal
	case spsH264, spsH265:
		v.SPS = nal
	case ppsH264, ppsH265:
		v.PPS = nal
	}
}

func (v *Video) find(kind byte, id uint32) []byte {
	for _, s := range v.known {
		if s.kind == kind && s.id == id {
			return s.nal
		}
	}
	return nil
}

// Activate makes the sets that a picture names those of the video.
func (v *Video) Activate(slice []byte) {
	head, pps, sps := 1, ppsH264, spsH264
	if v.Codec == H265 {
		head, pps, sps = 2, ppsH265, spsH265
	}
	if len(slice) <= head {
		return
	}
	var skip, before int // bits, and numbers, before the number of the set
	if v.Codec == H265 {
		skip = 1 // the first segment of the picture
		if t := slice[0] >> 1 & 0x3f; t >= 16 && t <= 23 {
			skip = 2
		}
	} else {
		before = 2 // first macroblock, kind of slice
	}
	id, ok := golombAt(slice[head:], skip, before)
	if !ok {
		return
	}
	p := v.find(pps, id)
	if p == nil {
		return
	}
	s, ok := golombAt(p[head:], 0, 1)
	if !ok || v.find(sps, s) == nil {
		return
	}
	v.PPS, v.SPS = p, v.find(sps, s)
	if v.Codec == H265 && len(v.SPS) > 2 {
		if x := v.find(vpsH265, uint32(v.SPS[2]>>4)); x != nil {
			v.VPS = x
		}
	}
}

// Beside gives the sets that must be before a picture that needs no other, because the initialisation section,
// which is that of begun, does not have them. Those in the picture itself are left out.
func (v Video) Beside(begun Video, picture [][]byte) [][]byte {
	var out [][]byte
	for _, s := range v.known {
		has := func(b []byte) bool { return bytes.Equal(b, s.nal) }
		if has(begun.VPS) || has(begun.SPS) || has(begun.PPS) || slices.ContainsFunc(picture, has) {
			continue
		}
		out = append(out, s.nal)
	}
	slices.SortStableFunc(out, func(a, b []byte) int { return int(v.rank(a)) - int(v.rank(b)) })
	return out
}

// rank puts sets into the order in which they refer to one another.
func (v Video) rank(nal []byte) byte {
	if v.Codec == H265 {
		return nal[0] >> 1 & 0x3f
	}
	return nal[0] & 0x1f
}

// IsSlice says whether a NAL unit is part of a picture.
func (v Video) IsSlice(nal []byte) bool {
	if v.Codec == H265 {
		return v.rank(nal) < 32
	}
	t := v.rank(nal)
	return t >= byte(h264.NALUTypeNonIDR) && t <= byte(h264.NALUTypeIDR)
}

func (v Video) isSet(nal []byte) bool {
	if v.Codec == H265 {
		t := v.rank(nal)
		return t >= vpsH265 && t <= ppsH265
	}
	t := v.rank(nal)
	return t == spsH264 || t == ppsH264
}

// golomb reads a number of variable length after so many of its kind.
func golomb(b []byte, before int) (uint32, bool) { return golombAt(b, 0, before) }

func golombAt(b []byte, skip, before int) (uint32, bool) {
	b = h264.EmulationPreventionRemove(b[:min(len(b), 32)])
	if len(b)*8 <= skip {
		return 0, false
	}
	for pos := skip; ; before-- {
		n, err := bits.ReadGolombUnsigned(b, &pos)
		if err != nil || before == 0 {
			return n, err == nil
		}
	}
}

// recoveryPoint is the number of the message that says how soon after it pictures are right.
const recoveryPoint = 6

// recovers says whether supplemental information has a recovery point that is reached at once.
func recovers(b []byte) bool {
	b = h264.EmulationPreventionRemove(b)
	for len(b) > 2 && b[0] != 0x80 {
		kind, size, n := 0, 0, 0
		for _, to := range []*int{&kind, &size} {
			for n < len(b) && b[n] == 0xff {
				*to += 0xff
				n++
			}
			if n >= len(b) {
				return false
			}
			*to += int(b[n])
			n++
		}
		if b = b[n:]; size > len(b) {
			return false
		}
		if kind == recoveryPoint && size > 0 {
			return b[0]&0x80 != 0 // zero, as a number of variable length
		}
		b = b[size:]
	}
	return false
}
