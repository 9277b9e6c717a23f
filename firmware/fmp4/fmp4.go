// Package fmp4 writes, reads and rewrites fragmented MP4: one track of pictures, and one of sound where there is any.
//
// It owns the form in which footage is kept and played, and what has to be known of H.264, H.265 and the codecs of
// sound to write it. It must never decode a picture, or change what a picture or a sound says: bytes go in as a camera
// sent them, and what is written for browsers is never stored.
package fmp4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
)

const (
	// ClockRate is what video over RTP counts in a second; so do its fragments.
	ClockRate = 90000
	// VideoTrack and AudioTrack are the numbers of the tracks that we write.
	VideoTrack = 1
	AudioTrack = 2
)

// ErrForm says that bytes are not the fragmented MP4 that they should be.
var ErrForm = errors.New("not fragmented MP4")

// Sample is one picture, or one piece of sound.
type Sample struct {
	Duration uint32
	Offset   int32 // presentation time minus decoding time
	Key      bool
	NALs     [][]byte // of a picture; each is written with its length before it
	Data     []byte   // instead of NALs: the bytes as they are
}

func (s Sample) size() int {
	n := len(s.Data)
	for _, nal := range s.NALs {
		n += 4 + len(nal)
	}
	return n
}

// Run is what one fragment has of one track: samples that follow one another without a hole.
type Run struct {
	Track   uint32
	Base    uint64 // decoding time of the first sample
	Samples []Sample
}

// End is the decoding time after the last sample.
func (r Run) End() uint64 {
	t := r.Base
	for _, s := range r.Samples {
		t += uint64(s.Duration)
	}
	return t
}

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

// shape is what has to be known of a run before it is written.
type shape struct {
	flags uint32
	trun  int // bytes of its track run box
	data  int // bytes of its samples
}

func shapeOf(r Run) shape {
	s := shape{flags: runDataOffset | runDuration | runSize}
	entry := 8
	for i := range r.Samples {
		if !r.Samples[i].Key {
			s.flags |= runFlags
		}
		if r.Samples[i].Offset != 0 {
			s.flags |= runComposition
		}
		s.data += r.Samples[i].size()
	}
	for _, f := range []uint32{runFlags, runComposition} {
		if s.flags&f != 0 {
			entry += 4
		}
	}
	s.trun = 20 + entry*len(r.Samples)
	return s
}

const trafHead = 8 + 16 + 20 // a traf box up to its trun: tfhd and tfdt

// Marshal writes runs as one fragment, moof and mdat, in one buffer of the right size. mediacommon's fmp4 package
// makes the same bytes by reflection, which would be a third of all the work of recording; a test compares them.
func Marshal(seq uint32, runs ...Run) []byte {
	var room [2]shape
	shapes := room[:0]
	moof, data := 8+16, 0
	for _, r := range runs {
		s := shapeOf(r)
		shapes = append(shapes, s)
		moof += trafHead + s.trun
		data += s.data
	}
	b := make([]byte, 0, moof+8+data)
	b = appendBox(b, moof, "moof")
	b = appendBox(b, 16, "mfhd")
	b = be.AppendUint32(b, 0)
	b = be.AppendUint32(b, seq)
	at := moof + 8
	for i, r := range runs {
		b = appendRun(b, r, shapes[i], at)
		at += shapes[i].data
	}
	b = appendBox(b, 8+data, "mdat")
	for _, r := range runs {
		for i := range r.Samples {
			b = append(b, r.Samples[i].Data...)
			for _, nal := range r.Samples[i].NALs {
				b = be.AppendUint32(b, uint32(len(nal)))
				b = append(b, nal...)
			}
		}
	}
	return b
}

// appendRun writes a track fragment whose data begins at so many bytes after the fragment's beginning.
func appendRun(b []byte, r Run, s shape, at int) []byte {
	b = appendBox(b, trafHead+s.trun, "traf")
	b = appendBox(b, 16, "tfhd")
	b = be.AppendUint32(b, defaultBaseMoof)
	b = be.AppendUint32(b, r.Track)
	b = appendBox(b, 20, "tfdt")
	b = be.AppendUint32(b, 1<<24)
	b = be.AppendUint64(b, r.Base)
	b = appendBox(b, s.trun, "trun")
	b = be.AppendUint32(b, 1<<24|s.flags)
	b = be.AppendUint32(b, uint32(len(r.Samples)))
	b = be.AppendUint32(b, uint32(at))
	for i := range r.Samples {
		x := &r.Samples[i]
		b = be.AppendUint32(b, x.Duration)
		b = be.AppendUint32(b, uint32(x.size()))
		if s.flags&runFlags != 0 {
			var f uint32
			if !x.Key {
				f = flagNotSync
			}
			b = be.AppendUint32(b, f)
		}
		if s.flags&runComposition != 0 {
			b = be.AppendUint32(b, uint32(x.Offset))
		}
	}
	return b
}

var be = binary.BigEndian

func appendBox(b []byte, size int, name string) []byte {
	return append(be.AppendUint32(b, uint32(size)), name...)
}

// Parse reads one fragment, as Marshal wrote it or as an NVR's is rewritten. The samples share the fragment's memory.
func Parse(fragment []byte) (seq uint32, runs []Run, err error) {
	var parts fmp4.Parts
	if err := parts.Unmarshal(fragment); err != nil {
		return 0, nil, fmt.Errorf("%w: %w", ErrForm, err)
	}
	if len(parts) != 1 || len(parts[0].Tracks) == 0 {
		return 0, nil, fmt.Errorf("%w: %d fragments in one", ErrForm, len(parts))
	}
	for _, t := range parts[0].Tracks {
		r := Run{Track: uint32(t.ID), Base: t.BaseTime}
		for _, s := range t.Samples {
			r.Samples = append(r.Samples, Sample{Duration: s.Duration, Offset: s.PTSOffset, Key: !s.IsNonSyncSample, Data: s.Payload})
		}
		runs = append(runs, r)
	}
	return parts[0].SequenceNumber, runs, nil
}

// Duration is how long so many ticks of ClockRate are.
func Duration(ticks int64) time.Duration { return FromTicks(ticks, ClockRate) }
