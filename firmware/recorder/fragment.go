package recorder

import (
	"encoding/binary"
)

// Flags of a track run box (ISO/IEC 14496-12, 8.8.8).
const (
	runDataOffset   = 0x000001
	runDuration     = 0x000100
	runSize         = 0x000200
	runFlags        = 0x000400
	runComposition  = 0x000800
	flagNotSync     = 1 << 16
	defaultBaseMoof = 0x020000 // of the track fragment header
)

// marshalFragment writes frames as one fragment, moof and mdat, in one buffer of the right size. mediacommon's fmp4
// package makes the same bytes by reflection, which is a third of all the work of recording; a test compares them.
func marshalFragment(seq uint32, base uint64, frames []frame) []byte {
	flags, entry := uint32(runDataOffset|runDuration|runSize), 8
	data := 0
	for _, f := range frames {
		if !f.key {
			flags |= runFlags
		}
		if f.pts != f.dts {
			flags |= runComposition
		}
		data += f.size
	}
	for _, f := range []uint32{runFlags, runComposition} {
		if flags&f != 0 {
			entry += 4
		}
	}
	run := 20 + entry*len(frames)
	traf := 8 + 16 + 20 + run
	moof := 8 + 16 + traf
	b := make([]byte, 0, moof+8+data)

	b = appendBox(b, moof, "moof")
	b = appendBox(b, 16, "mfhd")
	b = be.AppendUint32(b, 0)
	b = be.AppendUint32(b, seq)
	b = appendBox(b, traf, "traf")
	b = appendBox(b, 16, "tfhd")
	b = be.AppendUint32(b, defaultBaseMoof)
	b = be.AppendUint32(b, videoTrack)
	b = appendBox(b, 20, "tfdt")
	b = be.AppendUint32(b, 1<<24)
	b = be.AppendUint64(b, base)
	b = appendBox(b, run, "trun")
	b = be.AppendUint32(b, 1<<24|flags)
	b = be.AppendUint32(b, uint32(len(frames)))
	b = be.AppendUint32(b, uint32(moof+8))
	for _, f := range frames {
		b = be.AppendUint32(b, uint32(f.dur))
		b = be.AppendUint32(b, uint32(f.size))
		if flags&runFlags != 0 {
			var s uint32
			if !f.key {
				s = flagNotSync
			}
			b = be.AppendUint32(b, s)
		}
		if flags&runComposition != 0 {
			b = be.AppendUint32(b, uint32(int32(f.pts-f.dts)))
		}
	}
	b = appendBox(b, 8+data, "mdat")
	for _, f := range frames {
		for _, nal := range f.nals {
			b = be.AppendUint32(b, uint32(len(nal)))
			b = append(b, nal...)
		}
	}
	return b
}

var be = binary.BigEndian

func appendBox(b []byte, size int, name string) []byte {
	return append(be.AppendUint32(b, uint32(size)), name...)
}
