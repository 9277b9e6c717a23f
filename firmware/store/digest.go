package store

import (
	"encoding/binary"
	"encoding/json"
	"hash/fnv"
	"math"

	"campuskeep/shared/ledger"
)

// A digest says what the 256 entries of a tile may be about, so that a search skips the tiles that hold nothing
// for it: the span of their instants, and a Bloom filter of kinds, actors and what they name. It is stored with
// the tile, where it fills bytes that the page would waste.
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
	at     int64 // Unix ms
	tokens []uint64
}

// Tokens of the three things one can search for.
func kindToken(k ledger.Kind) uint64 { return token("k:", string(k)) }
func actorToken(id string) uint64    { return token("a:", id) }
func aboutToken(id string) uint64    { return token("o:", id) }

func token(class, s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(class))
	h.Write([]byte(s))
	return h.Sum64()
}

func marksOf(e ledger.Entry) marks {
	m := marks{at: e.At.UnixMilli(), tokens: []uint64{kindToken(e.Kind), actorToken(e.Actor.ID)}}
	for _, id := range aboutOf(e) {
		m.tokens = append(m.tokens, aboutToken(id))
	}
	return m
}

// aboutOf lists the ids that an entry is about: its subject, the address it came from, and what its data name.
func aboutOf(e ledger.Entry) []string {
	var ids []string
	if e.Subject != "" {
		ids = append(ids, e.Subject)
	}
	if e.From != nil && e.From.Address != "" {
		ids = append(ids, e.From.Address)
	}
	if len(e.Data) == 0 {
		return ids
	}
	var named struct {
		Camera, Application, Student, Viewing, Reader, Class, Hold, Incident string
		Cameras                                                              []string
	}
	if json.Unmarshal(e.Data, &named) != nil {
		return ids // another type under these names: then it names nothing
	}
	for _, id := range []string{named.Camera, named.Application, named.Student, named.Viewing, named.Reader, named.Class, named.Hold, named.Incident} {
		if id != "" {
			ids = append(ids, id)
		}
	}
	return append(ids, named.Cameras...)
}

func (d *digest) add(m marks) {
	if !d.any {
		d.first, d.last, d.any = math.MaxInt64, math.MinInt64, true
	}
	d.first, d.last = min(d.first, m.at), max(d.last, m.at)
	for _, t := range m.tokens {
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

// digestOf reads the digest in a stored level-0 tile; ok is false when there is none.
func digestOf(tileValue []byte) (d digest, ok bool) {
	if len(tileValue) != tileBytes+digestBytes+crcSize {
		return d, false
	}
	b := tileValue[tileBytes:]
	d.first = int64(binary.BigEndian.Uint64(b))
	d.last = int64(binary.BigEndian.Uint64(b[8:]))
	d.any = true
	copy(d.bloom[:], b[16:])
	return d, true
}
