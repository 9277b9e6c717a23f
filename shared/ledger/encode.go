package ledger

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"campuskeep/shared/clock"
)

// SaltSize is the size of the salt in front of a sealed part when it is hashed.
const SaltSize = 32

// commit is the commitment's sum: sha256(salt ‖ plain).
func commit(salt, plain []byte) []byte {
	h := sha256.New()
	h.Write(salt)
	h.Write(plain)
	return h.Sum(nil)
}

// Opens says whether salt and plain are what the commitment binds.
func (c Commitment) Opens(salt, plain []byte) bool {
	return len(salt) == SaltSize && subtle.ConstantTimeCompare(commit(salt, plain), c.Sum) == 1
}

// Prepared is a draft that fits the table of kinds, with everything done that does not depend on its place
// in the log.
type Prepared struct {
	Entry *Entry     // complete but for its place
	Open  []OpenPart // the sealed parts with the salts of their commitments, in order
	buf   []byte     // headRoom bytes for what comes with the place, then the stored bytes up to the rows
}

// headRoom is what version, seq, instant and clock take at most in the stored bytes.
const headRoom = 160 + maxID

// Prepare checks a draft and makes its commitments with salts from random. It writes into e. The error is an
// *InvalidError.
func Prepare(e *Entry, d Draft, random io.Reader) (Prepared, error) {
	if _, ok := Kinds[d.Kind]; !ok {
		return Prepared{}, &InvalidError{Kind: d.Kind, Fault: "no such kind"}
	}
	*e = Entry{V: Version, Alg: AlgSHA256, Actor: d.Actor, From: cleanFrom(d.From), Via: d.Via, Kind: d.Kind, Subject: d.Subject}
	if err := e.checkHead(); err != nil {
		return Prepared{}, err
	}
	p := Prepared{Entry: e}
	if err := p.seal(d, random); err != nil {
		return Prepared{}, err
	}
	b := appendActs(make([]byte, headRoom, 2*headRoom), e)
	before := len(b)
	b = append(b, dataMember...)
	begin := len(b)
	b, err := appendData(b, d.Kind, d.Data)
	if err != nil {
		return Prepared{}, err
	}
	if len(b) > begin {
		e.Data = b[begin:len(b):len(b)]
	} else {
		b = b[:before]
	}
	if p.buf = appendSealed(b, e.Sealed); len(p.buf) > MaxLeaf { // refuse here what can never fit
		return Prepared{}, fmt.Errorf("%w: %w", ErrTooLarge, &InvalidError{Kind: d.Kind, Fault: fmt.Sprintf("larger than a leaf may be (%d bytes)", MaxLeaf)})
	}
	return p, nil
}

func (p *Prepared) seal(d Draft, random io.Reader) error {
	if len(d.Sealed) > MaxParts {
		return &InvalidError{Kind: d.Kind, Fault: fmt.Sprintf("%d sealed parts, at most %d are allowed", len(d.Sealed), MaxParts)}
	}
	for i, part := range d.Sealed {
		if err := checkPart(d.Kind, part.Name, part.Owner); err != nil {
			return err
		}
		for _, other := range d.Sealed[:i] {
			if other.Name == part.Name {
				return &InvalidError{d.Kind, part.Name, "sealed part given twice"}
			}
		}
		if len(part.Plain) > MaxPart {
			return fmt.Errorf("%w: %w", ErrTooLarge, &InvalidError{d.Kind, part.Name, fmt.Sprintf("sealed part of %d bytes, at most %d are allowed", len(part.Plain), MaxPart)})
		}
		salt := make([]byte, SaltSize)
		if _, err := io.ReadFull(random, salt); err != nil {
			return fmt.Errorf("ledger: salt: %w", err)
		}
		p.Open = append(p.Open, OpenPart{Name: part.Name, Owner: part.Owner, Salt: salt, Plain: part.Plain})
		p.Entry.Sealed = append(p.Entry.Sealed, Commitment{Name: part.Name, Owner: part.Owner, Sum: commit(salt, part.Plain)})
	}
	return nil
}

func checkPart(kind Kind, name, owner string) error {
	known := false
	for _, s := range Kinds[kind].Sealed {
		known = known || s.Name == name
	}
	if !known {
		if !isID(name) {
			name = "sealed"
		}
		return &InvalidError{kind, name, "no such sealed part in this kind"}
	}
	if !isID(owner) {
		return &InvalidError{kind, name, "sealed part without an owner id"}
	}
	return nil
}

func (e *Entry) checkHead() error {
	switch {
	case !isID(e.Actor.ID):
		return &InvalidError{e.Kind, "actor", "is not an id"}
	case e.Actor.Role != "" && !isCode(e.Actor.Role):
		return &InvalidError{e.Kind, "role", "is not a code"}
	case e.Subject != "" && !isID(e.Subject):
		return &InvalidError{e.Kind, "subject", "is not an id"}
	}
	switch e.Via {
	case ViaWeb, ViaGate, ViaNVR, ViaSystem, ViaCentre, ViaImport:
		return nil
	}
	return &InvalidError{e.Kind, "via", "is not a known way"}
}

// cleanFrom makes what the network said about itself fit to be in the log. It is cut, never refused: a
// hostile browser name must not keep an access from being logged.
func cleanFrom(f *From) *From {
	if f == nil || *f == (From{}) {
		return nil
	}
	clean := func(s string, limit int) string {
		if isID(s) { // plain addresses and terminals
			return s
		}
		s = strings.Map(func(r rune) rune {
			if r < ' ' || r > '~' || strings.ContainsRune(`"\<>&`, r) {
				return '?'
			}
			return r
		}, s)
		return s[:min(len(s), limit)]
	}
	return &From{Address: clean(f.Address, 64), Device: clean(f.Device, 200), Terminal: clean(f.Terminal, 64)}
}

// Place is what an entry gets at commit.
type Place struct {
	Seq   uint64
	At    time.Time // cut to milliseconds, UTC
	Clock ClockRef
	Rows  []RowRef
}

// ErrTooLarge: what is to be entered at once is more than is taken at once; the caller can do it in parts, or say less.
var ErrTooLarge = errors.New("more than is taken at once")

// ErrLeafSize: the entry with its rows is larger than a leaf may be.
var ErrLeafSize = fmt.Errorf("ledger: %w: larger than a leaf may be (%d bytes)", ErrTooLarge, MaxLeaf)

// Encode gives the entry its place and writes its stored bytes, hashed like that for ever. The caller may append
// to them. An entry is encoded once.
func (p Prepared) Encode(at Place) ([]byte, error) {
	e := p.Entry
	e.Seq, e.At, e.Clock, e.Rows = at.Seq, at.At.UTC().Truncate(time.Millisecond), at.Clock, at.Rows
	head, err := appendHead(make([]byte, 0, headRoom), e)
	if err != nil {
		return nil, err
	}
	if len(head) > headRoom {
		return nil, ErrLeafSize
	}
	b := p.buf[headRoom-len(head):]
	copy(b, head)
	if b = append(appendRows(b, e.Rows), '}'); len(b) > MaxLeaf {
		return nil, ErrLeafSize
	}
	return b, nil
}

// The stored form is byte for byte what encoding/json makes of an Entry, written by hand because every commit
// waits for it.

func appendHead(b []byte, e *Entry) ([]byte, error) {
	b = append(b, `{"v":`...)
	b = strconv.AppendInt(b, int64(e.V), 10)
	b = append(b, `,"alg":"`...)
	b = append(b, e.Alg...)
	b = append(b, `","seq":`...)
	b = strconv.AppendUint(b, e.Seq, 10)
	b = append(b, `,"at":`...)
	b, err := appendTime(b, e.At)
	if err != nil {
		return nil, fmt.Errorf("ledger: at %w", err)
	}
	if !isID(e.Clock.Boot) || e.Clock.State > clock.Trusted {
		return nil, errors.New("ledger: the clock gave no boot id, or a state that does not exist")
	}
	b = append(b, `,"clock":{"state":"`...)
	b = append(b, e.Clock.State.String()...)
	b = append(b, `","boot":"`...)
	b = append(b, e.Clock.Boot...)
	b = append(b, `","mono":`...)
	b = strconv.AppendInt(b, int64(e.Clock.Mono), 10)
	return append(b, '}'), nil
}

const dataMember = `,"data":`

// appendActs appends who did what to whom.
func appendActs(b []byte, e *Entry) []byte {
	b = append(b, `,"actor":{"id":"`...)
	b = append(b, e.Actor.ID...)
	if e.Actor.Role != "" {
		b = append(b, `","role":"`...)
		b = append(b, e.Actor.Role...)
	}
	b = append(b, `"}`...)
	if e.From != nil {
		b = append(b, `,"from":{`...)
		b = appendText(b, "address", e.From.Address)
		b = appendText(b, "device", e.From.Device)
		b = append(appendText(b, "terminal", e.From.Terminal), '}')
	}
	b = append(b, `,"via":"`...)
	b = append(b, e.Via...)
	b = append(b, `","kind":"`...)
	b = append(b, e.Kind...)
	b = append(b, '"')
	if e.Subject != "" {
		b = append(b, `,"subject":"`...)
		b = append(b, e.Subject...)
		b = append(b, '"')
	}
	return b
}

func appendSealed(b []byte, sealed []Commitment) []byte {
	for i, c := range sealed {
		sep := `,{"name":"`
		if i == 0 {
			sep = `,"sealed":[{"name":"`
		}
		b = append(b, sep...)
		b = append(b, c.Name...)
		b = append(b, `","owner":"`...)
		b = append(b, c.Owner...)
		b = append(b, `","sum":"`...)
		b = base64.StdEncoding.AppendEncode(b, c.Sum)
		b = append(b, `"}`...)
	}
	if len(sealed) > 0 {
		b = append(b, ']')
	}
	return b
}

// appendText appends a member with a text that needs no escaping.
func appendText(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = append(append(append(b, '"'), name...), `":"`...)
	return append(append(b, value...), '"')
}

func appendRows(b []byte, rows []RowRef) []byte {
	for i, r := range rows {
		sep := `,{"t":"`
		if i == 0 {
			sep = `,"rows":[{"t":"`
		}
		b = append(b, sep...)
		b = append(b, r.Table...)
		b = append(b, `","k":`...)
		key, err := json.Marshal(r.Key)
		if err != nil {
			panic(err) // a string always marshals
		}
		b = append(b, key...)
		b = append(b, `,"r":`...)
		b = strconv.AppendUint(b, r.Rev, 10)
		if len(r.Sum) > 0 {
			b = append(b, `,"h":"`...)
			b = base64.StdEncoding.AppendEncode(b, r.Sum)
			b = append(b, '"')
		}
		b = append(b, '}')
	}
	if len(rows) > 0 {
		b = append(b, ']')
	}
	return b
}

// ErrVersion: the entry was written by a later build.
var ErrVersion = errors.New("ledger: entry of a later version")

// ParseEntry reads stored bytes. It accepts only the one form that Encode writes, so that no byte of a leaf
// can be read in two ways. It does not compare with the table of kinds: see Entry.Check.
func ParseEntry(leaf []byte) (Entry, error) {
	var e Entry
	if len(leaf) > MaxLeaf {
		return e, ErrLeafSize
	}
	if !utf8.Valid(leaf) {
		return e, errors.New("ledger: entry is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(leaf))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		var version struct{ V int }
		if json.Unmarshal(leaf, &version) == nil && version.V > Version {
			return Entry{}, ErrVersion
		}
		return Entry{}, fmt.Errorf("ledger: entry: %w", err)
	}
	if e.V > Version {
		return Entry{}, ErrVersion
	}
	again, err := json.Marshal(e)
	if err != nil {
		return Entry{}, fmt.Errorf("ledger: entry: %w", err)
	}
	if e.V != Version || e.Alg != AlgSHA256 || !bytes.Equal(again, leaf) {
		return Entry{}, errors.New("ledger: entry is not in the stored form")
	}
	return e, nil
}

// Check says whether an entry fits the table of kinds of this build: the centre marks what does not.
func (e Entry) Check() error {
	data, err := appendData(nil, e.Kind, e.Data)
	if err != nil {
		return err
	}
	if !bytes.Equal(data, e.Data) {
		return &InvalidError{e.Kind, "data", "is not in the stored form"}
	}
	for _, c := range e.Sealed {
		if err := checkPart(e.Kind, c.Name, c.Owner); err != nil {
			return err
		}
		if len(c.Sum) != sha256.Size {
			return &InvalidError{e.Kind, c.Name, "commitment is not 32 bytes"}
		}
	}
	return e.checkHead()
}
