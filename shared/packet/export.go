package packet

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"time"
)

// Export is what an exported video has beyond what was recorded: the boxes `suep` and `cstb` of the ONVIF Export File
// Format 26.06 in its head, and how far its decoding times were moved.
type Export struct {
	Unit     string    `json:"unit"` // the appliance
	At       time.Time `json:"at"`   // when the export began
	Operator string    `json:"operator"`
	Source   string    `json:"source"` // name of the camera
	URL      string    `json:"url,omitempty"`
	Line     string    `json:"line,omitempty"` // id of the camera here
	Origin   time.Time `json:"origin"`         // UTC of the origin of the media time line
	First    []TrackAt `json:"first"`          // decoding time as recorded that is zero in the video, by track
}

// TrackAt is an instant of one track in its own ticks.
type TrackAt struct {
	Track uint32 `json:"track"`
	Ticks uint64 `json:"ticks"`
}

// errInit says that an initialisation section has not the boxes that it must have.
var errInit = errors.New("not an initialisation section of fragmented MP4")

// ExportHead is the beginning of an exported video: the initialisation section as recorded, with the file's `meta` box
// behind `ftyp`. Nothing else is touched. The section and e give the same bytes again.
func ExportHead(init []byte, e Export) ([]byte, error) {
	out := make([]byte, 0, len(init)+1024)
	placed := false
	err := eachBox(init, func(name string, all, content []byte) error {
		out = append(out, all...)
		if name == "ftyp" && !placed {
			placed = true
			out = append(out, e.meta()...)
		}
		return nil
	})
	if err == nil && !placed {
		err = errInit
	}
	return out, err
}

// Move moves the decoding times of a fragment in place by the times that are zero in the video, so that every player
// begins at the first picture and knows how long the video is: those of a recording count from the beginning of the
// recorder's session, which may be days before. With back set it gives the fragment as recorded again, byte for byte.
func (e Export) Move(fragment []byte, back bool) error {
	return eachBox(fragment, func(name string, _, moof []byte) error {
		if name != "moof" {
			return nil
		}
		return eachBox(moof, func(name string, _, traf []byte) error {
			if name != "traf" {
				return nil
			}
			return e.moveTrack(traf, back)
		})
	})
}

func (e Export) moveTrack(traf []byte, back bool) error {
	id, moved := uint32(0), false
	return errors.Join(eachBox(traf, func(name string, _, c []byte) error {
		switch name {
		case "tfhd":
			if len(c) < 8 || id != 0 {
				return errFragment
			}
			id = be.Uint32(c[4:])
		case "tfdt":
			i := slices.IndexFunc(e.First, func(t TrackAt) bool { return t.Track == id })
			if i < 0 || len(c) < 8 || moved {
				return errFragment
			}
			moved = true
			by := e.First[i].Ticks
			move := func(at uint64) (uint64, bool) {
				if back {
					return at + by, at+by >= at
				}
				return at - by, at >= by
			}
			switch {
			case c[0] == 1 && len(c) == 12:
				at, ok := move(be.Uint64(c[4:]))
				if !ok {
					return errFragment
				}
				be.PutUint64(c[4:], at)
			case c[0] == 0 && len(c) == 8:
				at, ok := move(uint64(be.Uint32(c[4:])))
				if !ok || at > math.MaxUint32 {
					return errFragment
				}
				be.PutUint32(c[4:], uint32(at))
			default:
				return errFragment
			}
		}
		return nil
	}), untimed(moved))
}

// errFragment says that a fragment has not the boxes that it must have, or begins before the video does.
var errFragment = errors.New("not a fragment whose decoding times can be moved")

func untimed(moved bool) error {
	if moved {
		return nil
	}
	return errFragment
}

// meta is the file's metadata box.
func (e Export) meta() []byte {
	hdlr := append(make([]byte, 8), "null"...)
	hdlr = append(hdlr, make([]byte, 13)...)
	suep := []byte{1, 0, 0, 0}
	suep = appendString(suep, e.Unit, "", "")
	suep = be.AppendUint64(suep, uint64(e.At.Unix()+since1904))
	suep = appendString(suep, e.Operator)
	suep = be.AppendUint32(suep, uint32(len(e.First)))
	cstb := be.AppendUint32(nil, uint32(len(e.First)))
	for _, f := range e.First {
		suep = be.AppendUint16(suep, uint16(f.Track))
		suep = appendString(suep, e.Source, e.URL, "", e.Line)
		cstb = be.AppendUint32(cstb, f.Track)
		cstb = be.AppendUint64(cstb, uint64(e.Origin.UnixNano()/100+since1601))
	}
	meta := appendMP4([]byte{0, 0, 0, 0}, "hdlr", hdlr)
	meta = appendMP4(meta, "suep", suep)
	return appendMP4(nil, "meta", appendMP4(meta, "cstb", cstb))
}

const (
	since1904 = 2082844800         // seconds from 1904 to 1970
	since1601 = 116444736000000000 // 100 ns from 1601 to 1970
)

var be = binary.BigEndian

// appendString appends texts with the zero that ends each.
func appendString(b []byte, texts ...string) []byte {
	for _, s := range texts {
		for i := range len(s) {
			if s[i] != 0 {
				b = append(b, s[i])
			}
		}
		b = append(b, 0)
	}
	return b
}

func appendMP4(b []byte, name string, content []byte) []byte {
	b = be.AppendUint32(b, uint32(8+len(content)))
	return append(append(b, name...), content...)
}

// eachBox walks the boxes of b, which must fill it.
func eachBox(b []byte, f func(name string, all, content []byte) error) error {
	for len(b) > 0 {
		if len(b) < 8 {
			return errInit
		}
		size := int64(be.Uint32(b))
		if size < 8 || size > int64(len(b)) {
			return errInit
		}
		if err := f(string(b[4:8]), b[:size], b[8:size]); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}
