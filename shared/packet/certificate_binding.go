package packet

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// Bound is a `footage.recorded` or `footage.deleted` entry.
type Bound struct {
	Camera  string
	Deleted bool
	footage.Binding
}

// ReadBound reads one off its stored bytes: of an entry in the stored form it says what a Record says, many times faster.
// A month of a big school is a hundred thousand of them. Whether the bytes are as they were stored is for the store and
// its check to say.
func ReadBound(leaf []byte) (Bound, error) {
	if b, ok := boundOf(leaf); ok {
		return b, nil
	}
	e, err := ledger.ParseEntry(leaf)
	if err != nil {
		return Bound{}, err
	}
	r, err := ReadRecord(e.Subject, []ledger.Entry{e})
	switch {
	case err != nil:
		return Bound{}, err
	case len(r.Recorded) > 0:
		return Bound{e.Subject, false, r.Recorded[0]}, nil
	case len(r.Deleted) > 0:
		return Bound{e.Subject, true, r.Deleted[0]}, nil
	}
	return Bound{}, fmt.Errorf("entry %d, %s, binds no segments", e.Seq, e.Kind)
}

// Window is a span, from a whole second to a whole second, in the letters of the stored form.
type Window struct{ from, to string }

// WindowOf writes a span in these letters.
func WindowOf(s footage.Span) Window {
	return Window{s.From.UTC().Format(second), s.To.UTC().Format(second)}
}

// second is how the stored form writes instants, up to their fraction.
const second = "2006-01-02T15:04:05"

// Concerns says whether the entry of a camera-hour, as stored, is of an hour of the span or, when it is about a
// deletion, was entered in it. It is many times faster than reading the entry. Of one in an uncommon form it says yes.
func (w Window) Concerns(kind ledger.Kind, leaf []byte) bool {
	return w.holds(leaf, `{"hour":"`) || kind == "footage.deleted" && w.holds(leaf, `,"at":"`)
}

func (w Window) holds(leaf []byte, name string) bool {
	_, after, ok := bytes.Cut(leaf, []byte(name))
	at := after[:min(len(after), len(second))]
	return !ok || w.from <= string(at) && string(at) < w.to
}

// boundOf reads the common form, in which every member is in its place and nothing is escaped.
func boundOf(leaf []byte) (b Bound, ok bool) {
	m := members{b: leaf}
	b.Seq = uint64(m.number(`{"v":1,"alg":"` + ledger.AlgSHA256 + `","seq":`))
	b.At = m.instant(`,"at":"`)
	b.Trusted = string(m.text(`,"clock":{"state":"`, `"`)) == clock.Trusted.String()
	m.text(`,"boot":"`, `,"kind":"`) // who did it, and how, is not of interest
	switch {
	case m.next(`footage.recorded"`):
		m.skip(`footage.recorded"`)
	default:
		m.skip(`footage.deleted"`)
		b.Deleted = true
	}
	if m.next(`,"subject":"`) {
		b.Camera = string(m.text(`,"subject":"`, `"`))
	}
	m.skip(`,"data":`)
	if bytes.IndexByte(m.b, '\\') >= 0 {
		return b, false
	}
	b.Hour = m.instant(`{"hour":"`)
	b.Count = int(m.number(`,"count":`))
	root := m.text(`,"root":"`, `"`)
	b.First = m.instant(`,"first":"`)
	b.Last = m.instant(`,"last":"`)
	if m.next(`,"bytes":`) {
		b.Bytes = m.number(`,"bytes":`)
	}
	if m.next(`,"assurance":"`) {
		b.Assurance = string(m.text(`,"assurance":"`, `"`))
	}
	if m.next(`,"days":["`) {
		list := m.text(`,"days":["`, `"]`)
		b.Days = strings.Split(string(list), `","`)
		m.bad = m.bad || bytes.Count(list, []byte{'"'}) != 2*(len(b.Days)-1) // something else is among them
	}
	m.skip(`}`)
	var sum [len(b.Root) + 1]byte // what 44 letters may hold
	if m.bad || b.Count < 0 || len(root) != base64.StdEncoding.EncodedLen(len(b.Root)) {
		return b, false
	}
	n, err := base64.StdEncoding.Decode(sum[:], root)
	b.Root = [32]byte(sum[:])
	return b, err == nil && n == len(b.Root)
}

// members walks over the stored form. Once something is not as expected it stays bad.
type members struct {
	b   []byte
	bad bool
}

func (m *members) next(name string) bool {
	return len(m.b) >= len(name) && string(m.b[:len(name)]) == name
}

func (m *members) skip(name string) {
	if m.bad = m.bad || !m.next(name); !m.bad {
		m.b = m.b[len(name):]
	}
}

// text takes a member and gives what is between its name and its end.
func (m *members) text(name, end string) []byte {
	m.skip(name)
	text, after, ok := bytes.Cut(m.b, []byte(end))
	m.b, m.bad = after, m.bad || !ok
	return text
}

func (m *members) instant(name string) (at time.Time) {
	err := at.UnmarshalText(m.text(name, `"`))
	m.bad = m.bad || err != nil
	return at
}

func (m *members) number(name string) (n int64) {
	m.skip(name)
	i := 0
	for i < len(m.b) && m.b[i] != ',' && m.b[i] != '}' {
		i++
	}
	n, err := strconv.ParseInt(string(m.b[:i]), 10, 64)
	m.b, m.bad = m.b[i:], m.bad || err != nil
	return n
}
