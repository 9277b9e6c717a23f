package ledger

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// OpenPart is one sealed part of an entry, opened.
type OpenPart struct {
	Name   string
	Owner  string
	Salt   []byte // SaltSize bytes
	Plain  []byte
	Erased bool // the owner's key is gone; Salt and Plain are nil
}

// Proof shows to someone offline that an entry is in the log. Its text form (Format, ParseProof) is what
// people download and what campuskeep-verify reads:
//
//	campuskeep proof 1
//	entry
//	<the entry's JSON, exactly as hashed>
//	parts <n>
//	<name> <owner> <salt, base64> <plain, base64>      n lines
//	path <n>
//	<hash, base64>                                     n lines, RFC 6962 audit path from the leaf up
//	keys <n>
//	<verifier key>                                     n lines: one for each signature below, in their order
//	checkpoint
//	<signed note to the end of the file>
type Proof struct {
	Leaf       []byte // the entry's bytes as stored
	Parts      []OpenPart
	Path       []tlog.Hash
	Keys       []string // show that the file is whole; where it comes from only a key known otherwise can show
	Checkpoint []byte   // signed note, with the centre's cosignature when there is one
}

const (
	proofTitle   = "campuskeep proof 1"
	maxProof     = 4 << 20
	maxPath      = 64
	maxProofKeys = 8
)

// Format writes the text form.
func (p Proof) Format() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nentry\n%s\nparts %d\n", proofTitle, p.Leaf, len(p.Parts))
	for _, part := range p.Parts {
		fmt.Fprintf(&b, "%s %s %s %s\n", part.Name, part.Owner, b64(part.Salt), b64(part.Plain))
	}
	fmt.Fprintf(&b, "path %d\n", len(p.Path))
	for _, h := range p.Path {
		fmt.Fprintf(&b, "%s\n", h)
	}
	FormatTail(&b, p.Keys, p.Checkpoint)
	return b.Bytes()
}

// FormatTail writes the keys and the signed note that end a file.
func FormatTail(b *bytes.Buffer, keys []string, checkpoint []byte) {
	fmt.Fprintf(b, "keys %d\n", len(keys))
	for _, k := range keys {
		fmt.Fprintf(b, "%s\n", k)
	}
	fmt.Fprintf(b, "checkpoint\n%s", checkpoint)
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// ParseProof reads the text form and nothing else: what it accepts, Format writes back byte for byte. It
// does not verify; see Proof.Verify.
func ParseProof(text []byte) (Proof, error) {
	if len(text) > maxProof {
		return Proof{}, fmt.Errorf("ledger: proof of %d bytes, at most %d are read", len(text), maxProof)
	}
	r := Lines{rest: text}
	var p Proof
	r.Expect(proofTitle)
	r.Expect("entry")
	p.Leaf = []byte(r.Next())
	for range r.Count("parts", MaxParts) {
		f := strings.Split(r.Next(), " ")
		if len(f) != 4 {
			r.Fail("a part has four fields")
			break
		}
		p.Parts = append(p.Parts, OpenPart{Name: f[0], Owner: f[1], Salt: r.base64(f[2]), Plain: r.base64(f[3])})
	}
	for range r.Count("path", maxPath) {
		h, err := tlog.ParseHash(r.Next())
		if err != nil {
			r.Fail("a hash is malformed")
		}
		p.Path = append(p.Path, h)
	}
	p.Keys, p.Checkpoint = r.Tail()
	if r.err == nil && !bytes.Equal(p.Format(), text) {
		r.Fail("is not in canonical form")
	}
	if r.err != nil {
		return Proof{}, fmt.Errorf("ledger: proof line %d: %w", r.line, r.err)
	}
	return p, nil
}

// Lines reads a text format of ours line by line; the first fault sticks, and what is read after it is empty.
type Lines struct {
	rest []byte
	line int
	err  error
}

// NewLines begins to read.
func NewLines(text []byte) *Lines { return &Lines{rest: text} }

// Err is the first fault with the number of its line.
func (r *Lines) Err() error {
	if r.err == nil {
		return nil
	}
	return fmt.Errorf("line %d: %w", r.line, r.err)
}

// Fail notes a fault in the line read last.
func (r *Lines) Fail(what string) {
	if r.err == nil {
		r.err = errors.New(what)
	}
}

// Next is the next line, without its end.
func (r *Lines) Next() string {
	if r.err != nil {
		return ""
	}
	line, rest, ok := bytes.Cut(r.rest, []byte{'\n'})
	if !ok {
		r.Fail("the file ends too early")
		return ""
	}
	r.rest = rest
	r.line++
	return string(line)
}

// Expect reads a line that must be this.
func (r *Lines) Expect(want string) {
	if got := r.Next(); r.err == nil && got != want {
		r.Fail("want " + strconv.Quote(want))
	}
}

// Count reads a line of a word and a number.
func (r *Lines) Count(word string, limit int) int {
	name, number, _ := strings.Cut(r.Next(), " ")
	n, err := strconv.Atoi(number)
	if r.err == nil && (name != word || err != nil || n < 0 || n > limit || strconv.Itoa(n) != number) {
		r.Fail(fmt.Sprintf("want %q and a number up to %d", word, limit))
	}
	if r.err != nil {
		return 0
	}
	return n
}

func (r *Lines) base64(s string) []byte {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		r.Fail("base64 is malformed")
	}
	return b
}

// Tail reads what FormatTail writes, to the end of the file.
func (r *Lines) Tail() (keys []string, checkpoint []byte) {
	for range r.Count("keys", maxProofKeys) {
		keys = append(keys, r.Next())
	}
	r.Expect("checkpoint")
	return keys, bytes.Clone(r.rest)
}
