package playback

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math/bits"
	"time"
)

// errBoxes says that bytes are not the fragmented MP4 that they should be.
var errBoxes = errors.New("playback: not fragmented MP4")

// boxes walks the boxes of b: name and content. It stops at the first that does not fit and sets err.
func boxes(b []byte, err *error) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for len(b) > 0 {
			if len(b) < 8 {
				*err = errBoxes
				return
			}
			head, size := 8, uint64(binary.BigEndian.Uint32(b))
			if size == 1 && len(b) >= 16 {
				head, size = 16, binary.BigEndian.Uint64(b[8:])
			} else if size == 0 {
				size = uint64(len(b))
			}
			if size < uint64(head) || size > uint64(len(b)) {
				*err = errBoxes
				return
			}
			if !yield(string(b[4:8]), b[head:size]) {
				return
			}
			b = b[size:]
		}
	}
}

// inside walks the boxes at a path of names.
func inside(b []byte, err *error, path ...string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for name, content := range boxes(b, err) {
			if name != path[0] {
				continue
			}
			if len(path) == 1 {
				if !yield(content) {
					return
				}
				continue
			}
			for c := range inside(content, err, path[1:]...) {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// scales reads the time scale of every track from an initialisation section.
func scales(init []byte) (map[uint32]uint32, error) {
	var err error
	out := map[uint32]uint32{}
	for trak := range inside(init, &err, "moov", "trak") {
		var id, scale uint32
		for tkhd := range inside(trak, &err, "tkhd") {
			id = versioned(tkhd, 12, 20)
		}
		for mdhd := range inside(trak, &err, "mdia", "mdhd") {
			scale = versioned(mdhd, 12, 20)
		}
		if id == 0 || scale == 0 {
			return nil, errBoxes
		}
		out[id] = scale
	}
	if err == nil && len(out) == 0 {
		err = errBoxes
	}
	return out, err
}

// versioned reads 32 bits whose place depends on the version of the box; 0 when they are not there.
func versioned(b []byte, v0, v1 int) uint32 {
	at := v0
	if len(b) > 0 && b[0] == 1 {
		at = v1
	}
	if len(b) < at+4 {
		return 0
	}
	return binary.BigEndian.Uint32(b[at:])
}

// decodeTime is one track's time in a fragment: where its bytes are, and what they say.
type decodeTime struct {
	track uint32
	bytes []byte // 4 or 8, part of the fragment
	ticks uint64
}

// decodeTimes finds the decode time of every track of a fragment.
func decodeTimes(fragment []byte) ([]decodeTime, error) {
	var err error
	var out []decodeTime
	for traf := range inside(fragment, &err, "moof", "traf") {
		var t decodeTime
		for tfhd := range inside(traf, &err, "tfhd") {
			t.track = versioned(tfhd, 4, 4)
		}
		for tfdt := range inside(traf, &err, "tfdt") {
			switch {
			case len(tfdt) >= 12 && tfdt[0] == 1:
				t.bytes = tfdt[4:12]
				t.ticks = binary.BigEndian.Uint64(t.bytes)
			case len(tfdt) >= 8 && tfdt[0] == 0:
				t.bytes = tfdt[4:8]
				t.ticks = uint64(binary.BigEndian.Uint32(t.bytes))
			}
		}
		if t.track == 0 || t.bytes == nil {
			return nil, errBoxes
		}
		out = append(out, t)
	}
	if err == nil && len(out) == 0 {
		err = errBoxes
	}
	return out, err
}

// shift moves the decode times of a fragment in place, so that the time lines of several recorder sessions follow
// one another in one playlist.
func shift(fragment []byte, by time.Duration, scale map[uint32]uint32) error {
	times, err := decodeTimes(fragment)
	if err != nil {
		return err
	}
	for _, t := range times {
		s, ok := scale[t.track]
		if !ok {
			return fmt.Errorf("%w: track %d is not in the initialisation section", errBoxes, t.track)
		}
		ticks := t.ticks + uint64(toTicks(by, s))
		if int64(ticks) < 0 {
			ticks = 0
		}
		if len(t.bytes) == 8 {
			binary.BigEndian.PutUint64(t.bytes, ticks)
		} else if ticks < 1<<32 {
			binary.BigEndian.PutUint32(t.bytes, uint32(ticks))
		} else {
			return fmt.Errorf("%w: time of track %d does not fit", errBoxes, t.track)
		}
	}
	return nil
}

// toTicks counts a duration, which may be negative, in ticks of a scale.
func toTicks(d time.Duration, scale uint32) int64 {
	sec, rest := int64(d/time.Second), int64(d%time.Second)
	return sec*int64(scale) + rest*int64(scale)/int64(time.Second)
}

// fromTicks is the reverse. A count that no recording can reach is cut.
func fromTicks(t uint64, scale uint32) time.Duration {
	hi, lo := bits.Mul64(t, uint64(time.Second))
	if hi >= uint64(scale) {
		return 1<<63 - 1
	}
	q, _ := bits.Div64(hi, lo, uint64(scale))
	if q > 1<<63-1 {
		q = 1<<63 - 1
	}
	return time.Duration(q)
}
