package fmp4

import (
	"fmt"
	"iter"
	"slices"
	"time"
)

// box is one box: all of it, and where its content begins.
type box struct {
	name string
	all  []byte
	head int
}

func (b box) content() []byte { return b.all[b.head:] }

// boxes walks the boxes of b. It stops at the first that does not fit and sets err.
func boxes(b []byte, err *error) iter.Seq[box] {
	return func(yield func(box) bool) {
		for len(b) > 0 {
			if len(b) < 8 {
				*err = ErrForm
				return
			}
			head, size := 8, uint64(be.Uint32(b))
			if size == 1 && len(b) >= 16 {
				head, size = 16, be.Uint64(b[8:])
			} else if size == 0 {
				size = uint64(len(b))
			}
			if size < uint64(head) || size > uint64(len(b)) {
				*err = ErrForm
				return
			}
			if !yield(box{string(b[4:8]), b[:size], head}) {
				return
			}
			b = b[size:]
		}
	}
}

// inside walks the boxes at a path of names.
func inside(b []byte, err *error, path ...string) iter.Seq[box] {
	return func(yield func(box) bool) {
		for x := range boxes(b, err) {
			if x.name != path[0] {
				continue
			}
			if len(path) == 1 {
				if !yield(x) {
					return
				}
				continue
			}
			for c := range inside(x.content(), err, path[1:]...) {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// Track is what an initialisation section says of one track.
type Track struct {
	ID       uint32
	Scale    uint32 // ticks a second
	Sound    bool
	Channels int    // of sound
	Entry    string // name of its sample entry: avc1, hvc1, mp4a, Opus, alaw …
}

// Tracks reads the tracks of an initialisation section.
func Tracks(init []byte) ([]Track, error) {
	var err error
	var out []Track
	for trak := range inside(init, &err, "moov", "trak") {
		t := trackOf(trak, &err)
		if t.ID == 0 || t.Scale == 0 || t.Entry == "" {
			return nil, ErrForm
		}
		out = append(out, t)
	}
	if err == nil && len(out) == 0 {
		err = ErrForm
	}
	return out, err
}

func trackOf(trak box, err *error) (t Track) {
	for b := range inside(trak.content(), err, "tkhd") {
		t.ID = versioned(b.content(), 12, 20)
	}
	for b := range inside(trak.content(), err, "mdia", "mdhd") {
		t.Scale = versioned(b.content(), 12, 20)
	}
	for b := range inside(trak.content(), err, "mdia", "hdlr") {
		if c := b.content(); len(c) >= 12 {
			t.Sound = string(c[8:12]) == "soun"
		}
	}
	for b := range inside(trak.content(), err, "mdia", "minf", "stbl", "stsd") {
		if c := b.content(); len(c) >= 16 {
			t.Entry = string(c[12:16])
			if t.Sound && len(c) >= 34 {
				t.Channels = int(be.Uint16(c[32:]))
			}
		}
	}
	return t
}

// Without rewrites an initialisation section without one of its tracks.
func Without(init []byte, track uint32) ([]byte, error) {
	var err error
	out := rebuilt(init, &err, func(b box) ([]byte, bool) {
		if b.name != "moov" {
			return b.all, true
		}
		return wrapped(b, rebuilt(b.content(), &err, func(b box) ([]byte, bool) {
			switch b.name {
			case "trak":
				return b.all, trackOf(b, &err).ID != track
			case "mvex":
				return wrapped(b, rebuilt(b.content(), &err, func(b box) ([]byte, bool) {
					return b.all, b.name != "trex" || versioned(b.content(), 4, 4) != track
				})), true
			}
			return b.all, true
		})), true
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// With rewrites an initialisation section with a track of another one, which it must not have yet.
func With(init, other []byte, track uint32) ([]byte, error) {
	var err error
	var trak, trex []byte
	for b := range inside(other, &err, "moov", "trak") {
		if trackOf(b, &err).ID == track {
			trak = b.all
		}
	}
	for b := range inside(other, &err, "moov", "mvex", "trex") {
		if versioned(b.content(), 4, 4) == track {
			trex = b.all
		}
	}
	there, placed := false, false
	out := rebuilt(init, &err, func(b box) ([]byte, bool) {
		if b.name != "moov" {
			return b.all, true
		}
		return wrapped(b, rebuilt(b.content(), &err, func(b box) ([]byte, bool) {
			switch b.name {
			case "trak":
				there = there || trackOf(b, &err).ID == track
			case "mvex":
				placed = true
				return slices.Concat(trak, wrapped(b, slices.Concat(b.content(), trex))), true
			}
			return b.all, true
		})), true
	})
	if err == nil && (trak == nil || trex == nil || there || !placed) {
		err = ErrForm
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// rebuilt writes boxes again: each as given, or left out.
func rebuilt(b []byte, err *error, keep func(box) ([]byte, bool)) []byte {
	var out []byte
	for x := range boxes(b, err) {
		if all, ok := keep(x); ok {
			out = append(out, all...)
		}
	}
	return out
}

// wrapped is a box of the same name with other content.
func wrapped(b box, content []byte) []byte {
	return append(appendBox(nil, 8+len(content), b.name), content...)
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
	return be.Uint32(b[at:])
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
		for b := range inside(traf.content(), &err, "tfhd") {
			t.track = versioned(b.content(), 4, 4)
		}
		for b := range inside(traf.content(), &err, "tfdt") {
			c := b.content()
			switch {
			case len(c) >= 12 && c[0] == 1:
				t.bytes = c[4:12]
				t.ticks = be.Uint64(t.bytes)
			case len(c) >= 8 && c[0] == 0:
				t.bytes = c[4:8]
				t.ticks = uint64(be.Uint32(t.bytes))
			}
		}
		if t.track == 0 || t.bytes == nil {
			return nil, ErrForm
		}
		out = append(out, t)
	}
	if err == nil && len(out) == 0 {
		err = ErrForm
	}
	return out, err
}

// Begin is the decoding time of the first of the tracks in a fragment, counted from where its time line starts.
func Begin(fragment []byte, tracks []Track) (time.Duration, error) {
	times, err := decodeTimes(fragment)
	if err != nil {
		return 0, err
	}
	scale, err := scaleOf(tracks, times[0].track)
	if err != nil {
		return 0, err
	}
	return FromTicks(int64(min(times[0].ticks, 1<<63-1)), scale), nil
}

// Earliest is the earliest decoding time of a fragment's tracks, counted from where its time line starts.
func Earliest(fragment []byte, tracks []Track) (time.Duration, error) {
	times, err := decodeTimes(fragment)
	if err != nil {
		return 0, err
	}
	at := time.Duration(1<<63 - 1)
	for _, t := range times {
		scale, err := scaleOf(tracks, t.track)
		if err != nil {
			return 0, err
		}
		at = min(at, FromTicks(int64(min(t.ticks, 1<<63-1)), scale))
	}
	return at, nil
}

func scaleOf(tracks []Track, id uint32) (uint32, error) {
	for _, t := range tracks {
		if t.ID == id {
			return t.Scale, nil
		}
	}
	return 0, fmt.Errorf("%w: track %d is not in the initialisation section", ErrForm, id)
}

// Shift moves the decode times of a fragment in place, so that the time lines of several sessions follow one another.
func Shift(fragment []byte, by time.Duration, tracks []Track) error {
	times, err := decodeTimes(fragment)
	if err != nil {
		return err
	}
	for _, t := range times {
		s, err := scaleOf(tracks, t.track)
		if err != nil {
			return err
		}
		ticks := t.ticks + uint64(Ticks(by, s))
		if int64(ticks) < 0 {
			ticks = 0
		}
		if len(t.bytes) == 8 {
			be.PutUint64(t.bytes, ticks)
		} else if ticks < 1<<32 {
			be.PutUint32(t.bytes, uint32(ticks))
		} else {
			return fmt.Errorf("%w: time of track %d does not fit", ErrForm, t.track)
		}
	}
	return nil
}

// Count is how many samples of a track a fragment has.
func Count(fragment []byte, track uint32) (n int, err error) {
	for traf := range inside(fragment, &err, "moof", "traf") {
		mine := false
		for b := range inside(traf.content(), &err, "tfhd") {
			mine = versioned(b.content(), 4, 4) == track
		}
		for b := range inside(traf.content(), &err, "trun") {
			if mine {
				n += int(versioned(b.content(), 4, 4))
			}
		}
	}
	return n, err
}
