package packet

import (
	"bytes"
	"testing"
)

// traf is a track of a fragment with a decoding time of 32 or 64 bits.
func traf(track byte, at ...byte) []byte {
	tfhd := appendMP4(nil, "tfhd", []byte{0, 2, 0, 0, 0, 0, 0, track})
	version := byte(0)
	if len(at) == 8 {
		version = 1
	}
	return appendMP4(nil, "traf", append(tfhd, appendMP4(nil, "tfdt", append([]byte{version, 0, 0, 0}, at...))...))
}

var moved = Export{First: []TrackAt{{1, 1000}, {2, 1 << 33}}}

// Decoding times begin at zero in an exported video, and the recorded fragment comes back byte for byte.
func TestDecodingTimesAreMovedAndPutBack(t *testing.T) {
	fragment := func(first, second []byte) []byte {
		return append(appendMP4(nil, "moof", append(first, second...)), appendMP4(nil, "mdat", []byte("pictures"))...)
	}
	recorded := fragment(traf(1, 0, 0, 3, 0xe8), traf(2, 0, 0, 0, 2, 0, 0, 0, 5))
	want := fragment(traf(1, 0, 0, 0, 0), traf(2, 0, 0, 0, 0, 0, 0, 0, 5))
	b := bytes.Clone(recorded)
	if err := moved.Move(b, false); err != nil || !bytes.Equal(b, want) {
		t.Errorf("moved: %v\n%x\n%x", err, b, want)
	}
	if err := moved.Move(b, true); err != nil || !bytes.Equal(b, recorded) {
		t.Errorf("put back: %v\n%x\n%x", err, b, recorded)
	}
	for name, b := range map[string][]byte{
		"before the beginning":  fragment(traf(1, 0, 0, 0, 1), nil),
		"a track of nowhere":    fragment(traf(3, 0, 0, 3, 0xe8), nil),
		"no decoding time":      appendMP4(nil, "moof", appendMP4(nil, "traf", appendMP4(nil, "tfhd", []byte{0, 0, 0, 0, 0, 0, 0, 1}))),
		"a time of three bytes": fragment(traf(1, 0, 0, 3), nil),
	} {
		if moved.Move(b, false) == nil {
			t.Errorf("%s is moved", name)
		}
	}
}

// FuzzMove: whatever the boxes are, what was moved comes back as it was.
func FuzzMove(f *testing.F) {
	f.Add(appendMP4(nil, "moof", traf(1, 0, 0, 4, 0)))
	f.Add(appendMP4(nil, "moof", append(traf(1, 0, 0, 4, 0), traf(2, 0, 0, 0, 2, 0, 0, 0, 0)...)))
	f.Fuzz(func(t *testing.T, recorded []byte) {
		b := bytes.Clone(recorded)
		if moved.Move(b, false) != nil {
			return
		}
		if err := moved.Move(b, true); err != nil || !bytes.Equal(b, recorded) {
			t.Fatalf("%v\n%x\n%x", err, b, recorded)
		}
	})
}
