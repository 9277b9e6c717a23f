package ledgerdb

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"time"

	"campuskeep/shared/ledger"
)

// A digest says what the 256 entries of a tile may be about, so that a search skips the tiles that hold nothing
// for it: the span of their instants, and a Bloom filter of kinds, actors and what they name. It is stored with
// the tile.
type digest struct {
	first, last int64 // Unix ms of the earliest and the latest instant; first > last when empty
	any         bool
	bloom       [bloomBytes]byte
}

const (
	bloomBytes  = 512 // 256 entries name up to 600 things: 0.3 to 4 % of tiles are read for nothing
	bloomProbes = 4
	digestBytes = 16 + bloomBytes
)

// marks is what a digest keeps of one entry.
type marks struct {
	at int64 // Unix ms
	tokens
}

// tokens are what an entry can be searched by. The first lie in place: most entries have no more.
type tokens struct {
	n     int
	first [6]uint64
	more  []uint64
}

func (t *tokens) add(token uint64) {
	if t.n < len(t.first) {
		t.first[t.n] = token
		t.n++
		return
	}
	t.more = append(t.more, token)
}

func (t *tokens) all(yield func(uint64) bool) {
	for _, token := range t.first[:t.n] {
		if !yield(token) {
			return
		}
	}
	for _, token := range t.more {
		if !yield(token) {
			return
		}
	}
}

// Tokens of the three things one can search for. They are FNV-1a over class and text and are in stored
// digests: they must not change.
func kindToken(k ledger.Kind) uint64                  { return token(kindClass, string(k)) }
func actorToken(id string) uint64                     { return token(actorClass, id) }
func aboutToken[text string | []byte](id text) uint64 { return token(aboutClass, id) }

const (
	kindClass  = 'k'
	actorClass = 'a'
	aboutClass = 'o'
)

func token[text string | []byte](class byte, s text) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := (offset ^ uint64(class)) * prime
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * prime
	}
	return h
}

func tokensOf(e *ledger.Entry) (t tokens) {
	t.add(kindToken(e.Kind))
	t.add(actorToken(e.Actor.ID))
	if e.Subject != "" {
		t.add(aboutToken(e.Subject))
	}
	if e.From != nil && e.From.Address != "" {
		t.add(aboutToken(e.From.Address))
	}
	for id := range named(e.Data) {
		t.add(aboutToken(id))
	}
	return t
}

// marksOfLeaf reads the marks off the stored bytes, many times faster than reading the entry.
func marksOfLeaf(leaf []byte) (marks, error) {
	at, err := time.Parse(time.RFC3339Nano, string(member(leaf, atMember)))
	if err != nil {
		return marks{}, fmt.Errorf("%w: the entry's instant: %w", ErrDamaged, err)
	}
	m := marks{at: at.UnixMilli()}
	m.add(token(kindClass, member(leaf, kindMember)))
	m.add(token(actorClass, member(leaf, actorMember)))
	for _, name := range [][]byte{subjectMember, addressMember} {
		if id := member(leaf, name); len(id) > 0 {
			m.add(aboutToken(id))
		}
	}
	for id := range named(leaf) {
		m.add(aboutToken(id))
	}
	return m, nil
}

// named lists the ids in an entry's data.
func named(data []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, name := range aboutMembers {
			if id := member(data, name); len(id) > 0 && !yield(id) {
				return
			}
		}
		_, after, ok := bytes.Cut(data, camerasMember)
		if !ok {
			return
		}
		list, _, _ := bytes.Cut(after, []byte{']'})
		for id := range bytes.SplitSeq(list, []byte{','}) {
			if len(id) > 2 && !yield(id[1:len(id)-1]) {
				return
			}
		}
	}
}

// In the stored form a member has one spelling, and no text of ours holds a quote (ledger.Prepare sees to
// both): so what an entry says can be read off its bytes.
var (
	atMember      = []byte(`,"at":"`)
	actorMember   = []byte(`,"actor":{"id":"`)
	kindMember    = []byte(`,"kind":"`)
	subjectMember = []byte(`,"subject":"`)
	addressMember = []byte(`"from":{"address":"`)
	rowsMember    = []byte(`,"rows":[`)
	sealedMember  = []byte(`,"sealed":[`)

	aboutMembers = [][]byte{
		[]byte(`"camera":"`), []byte(`"application":"`), []byte(`"student":"`), []byte(`"viewing":"`),
		[]byte(`"reader":"`), []byte(`"class":"`), []byte(`"hold":"`), []byte(`"incident":"`),
	}
	camerasMember = []byte(`"cameras":[`)
)

// member is the text behind a member's name.
func member(leaf, name []byte) []byte {
	i := bytes.Index(leaf, name)
	if i < 0 {
		return nil
	}
	text := leaf[i+len(name):]
	if i = bytes.IndexByte(text, '"'); i < 0 {
		return nil
	}
	return text[:i]
}

func (d *digest) add(m marks) {
	if !d.any {
		d.first, d.last, d.any = math.MaxInt64, math.MinInt64, true
	}
	d.first, d.last = min(d.first, m.at), max(d.last, m.at)
	for t := range m.all {
		for bit := range probes(t) {
			d.bloom[bit/8] |= 1 << (bit % 8)
		}
	}
}

// mayHold says whether an entry with this token may be among those added; false is certain.
func (d *digest) mayHold(t uint64) bool {
	for bit := range probes(t) {
		if d.bloom[bit/8]&(1<<(bit%8)) == 0 {
			return false
		}
	}
	return true
}

func probes(t uint64) func(yield func(uint32) bool) {
	return func(yield func(uint32) bool) {
		a, b := uint32(t), uint32(t>>32)|1
		for range bloomProbes {
			if !yield(a % (bloomBytes * 8)) {
				return
			}
			a += b
		}
	}
}

func (d *digest) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(d.first))
	b = binary.BigEndian.AppendUint64(b, uint64(d.last))
	return append(b, d.bloom[:]...)
}

// parseDigest reads what append writes.
func parseDigest(b []byte) (d digest) {
	d.first = int64(binary.BigEndian.Uint64(b))
	d.last = int64(binary.BigEndian.Uint64(b[8:]))
	d.any = true
	copy(d.bloom[:], b[16:])
	return d
}
