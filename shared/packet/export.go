package packet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Export is what the head of an exported video says beyond what was recorded: the boxes `suep` and `cstb` of the ONVIF
// Export File Format 26.06, and where the pictures begin on the time line of their recording.
type Export struct {
	Unit     string    `json:"unit"` // the appliance
	At       time.Time `json:"at"`   // when the export began
	Operator string    `json:"operator"`
	Source   string    `json:"source"` // name of the camera
	URL      string    `json:"url,omitempty"`
	Line     string    `json:"line,omitempty"` // id of the camera here
	Origin   time.Time `json:"origin"`         // UTC of the origin of the media time line
	First    []TrackAt `json:"first"`          // decoding time of the first fragment, by track
}

// TrackAt is an instant of one track in its own ticks.
type TrackAt struct {
	Track uint32 `json:"track"`
	Ticks uint64 `json:"ticks"`
}

// errInit says that an initialisation section has not the boxes that it must have.
var errInit = errors.New("not an initialisation section of fragmented MP4")

// ExportHead is the beginning of an exported video: the initialisation section as recorded, with the file's `meta` box
// behind `ftyp`, and in each track an edit list, so that players begin at the first picture and not at the beginning of
// the recorder's session. Nothing else is touched. The section and e give the same bytes again.
func ExportHead(init []byte, e Export) ([]byte, error) {
	out := make([]byte, 0, len(init)+1024)
	placed := false
	err := eachBox(init, func(name string, all, content []byte) error {
		switch {
		case name == "moov":
			moov, err := editedMoov(content, e.First)
			if err != nil {
				return err
			}
			out = appendMP4(out, "moov", moov)
		default:
			out = append(out, all...)
		}
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

func editedMoov(moov []byte, first []TrackAt) (out []byte, err error) {
	tracks := 0
	err = eachBox(moov, func(name string, all, content []byte) error {
		if name != "trak" {
			out = append(out, all...)
			return nil
		}
		tracks++
		var id uint32
		var trak []byte
		err := eachBox(content, func(name string, all, c []byte) error {
			trak = append(trak, all...)
			switch name {
			case "edts":
				return fmt.Errorf("%w: a track has an edit list", errInit)
			case "tkhd":
				at := 12
				if len(c) > 0 && c[0] == 1 {
					at = 20
				}
				if len(c) < at+4 {
					return errInit
				}
				id = binary.BigEndian.Uint32(c[at:])
				for _, f := range first {
					if f.Track == id {
						trak = append(trak, editList(f.Ticks)...)
					}
				}
			}
			return nil
		})
		out = appendMP4(out, "trak", trak)
		return err
	})
	if err == nil && tracks == 0 {
		err = errInit
	}
	return out, err
}

// editList begins the presentation at an instant of the track.
func editList(ticks uint64) []byte {
	elst := []byte{1, 0, 0, 0}
	elst = be.AppendUint32(elst, 1)
	elst = be.AppendUint64(elst, 0) // to the end, as fragments come
	elst = be.AppendUint64(elst, ticks)
	elst = be.AppendUint32(elst, 1<<16)
	return appendMP4(nil, "edts", appendMP4(nil, "elst", elst))
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
