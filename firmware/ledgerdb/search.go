package ledgerdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"campuskeep/shared/ledger"
)

// Query selects entries of the log. Empty fields select everything; what is given must all hold.
type Query struct {
	Kinds  []ledger.Kind // any of these
	Actors []string      // any of these
	// About names things, any of which the entry is about: its subject, the address it came from, or a camera,
	// application, student, viewing, reader, class, hold or incident in its data.
	About    []string
	From, To time.Time // of Entry.At, half-open
	Before   uint64    // only smaller sequence numbers; 0: from the newest
	Limit    int       // entries of a page; 0: 50
}

// Page is one page of a search, newest first.
type Page struct {
	Entries []ledger.Entry
	Next    uint64 // Before of the next page; 0: there is no more
}

// Search gives one page. It reads the digests of all tiles and the entries of those that may hold a match. It
// is the log's order that counts, not the clock's: a clock that went back leaves no gap in the pages.
func (s *Store) Search(ctx context.Context, q Query) (Page, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = 50
	}
	var p Page
	err := s.scan(ctx, q, q.Before, func(seq uint64, leaf []byte) (more bool, err error) {
		if len(p.Entries) == limit {
			p.Next = p.Entries[limit-1].Seq
			return false, nil
		}
		e, err := ledger.ParseEntry(leaf)
		if err != nil {
			return false, fmt.Errorf("entry %d: %w", seq, err)
		}
		p.Entries = append(p.Entries, e)
		return true, nil
	})
	if err != nil {
		return Page{}, fmt.Errorf("search the log: %w", err)
	}
	return p, nil
}

// Tally counts by kind what a query matches, whatever Before and Limit are.
func (s *Store) Tally(ctx context.Context, q Query) (map[ledger.Kind]int, error) {
	counts := map[string]*int{}
	err := s.scan(ctx, q, 0, func(_ uint64, leaf []byte) (bool, error) {
		kind := member(leaf, kindMember)
		n := counts[string(kind)]
		if n == nil {
			n = new(int)
			counts[string(kind)] = n
		}
		*n++
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("count in the log: %w", err)
	}
	out := make(map[ledger.Kind]int, len(counts))
	for k, n := range counts {
		out[ledger.Kind(k)] = *n
	}
	return out, nil
}

// Each gives the stored bytes of every entry that a query matches, the newest first, whatever its Limit is. It is for
// those who read thousands and need little of each. The bytes are valid during the call; an error ends the pass.
func (s *Store) Each(ctx context.Context, q Query, f func(kind ledger.Kind, leaf []byte) error) error {
	err := s.scan(ctx, q, q.Before, func(_ uint64, leaf []byte) (bool, error) {
		return true, f(ledger.Kind(member(leaf, kindMember)), leaf)
	})
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	return nil
}

// scan gives the matching leaves backwards, tile by tile; each tile is a snapshot of its own, so that a long
// search does not hold up the file.
func (s *Store) scan(ctx context.Context, q Query, before uint64, each func(seq uint64, leaf []byte) (bool, error)) error {
	m := q.compile()
	end := s.Size()
	if before > 0 {
		end = min(end, before)
	}
	for end > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		more := true
		err := s.view(partEntries, func(tx *bolt.Tx) (err error) {
			for n := 0; end > 0 && more && n < tilesPerView; n++ {
				index := (end - 1) / tileWidth
				if m.skips(tx, index) {
					end = index * tileWidth
					continue
				}
				if more, err = scanTile(tx, index*tileWidth, &end, &m, each); err != nil {
					return err
				}
			}
			return nil
		})
		if (isBroken(err) || errors.Is(err, errHole)) && end > 0 { // a page is broken: what lies on the others is read one by one
			more, err = s.scanOneByOne((end-1)/tileWidth*tileWidth, &end, &m, each)
		}
		if err != nil || !more {
			return err
		}
	}
	return nil
}

const tilesPerView = 64

var errHole = fmt.Errorf("%w: the log has a hole", ErrDamaged)

// scanTile gives the matching leaves from *end down to from, and moves *end along.
func scanTile(tx *bolt.Tx, from uint64, end *uint64, m *matcher, each func(uint64, []byte) (bool, error)) (more bool, err error) {
	about := m.aboutIn(tx, from/tileWidth)
	c := tx.Bucket(bucketLeaves).Cursor()
	for at := *end + 1; *end > from; {
		seq := *end - 1
		if !about.has(seq) {
			*end = seq
			continue
		}
		var k, v []byte
		if at == seq+1 {
			k, v = c.Prev()
		} else {
			k, v = c.Seek(seqKey(seq))
		}
		at = seq
		if string(k) != string(seqKey(seq)) {
			return false, fmt.Errorf("%w: entry %d is missing", errHole, seq)
		}
		*end = seq
		if more, err := m.offer(seq, v, each); err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

// scanOneByOne is scanTile where a page is broken: what cannot be read matches nothing, as a rotten leaf does.
func (s *Store) scanOneByOne(from uint64, end *uint64, m *matcher, each func(uint64, []byte) (bool, error)) (more bool, err error) {
	m.within = !m.timed
	for more = true; more && *end > from; {
		*end--
		err := s.view(partEntries, func(tx *bolt.Tx) (err error) {
			if v := tx.Bucket(bucketLeaves).Get(seqKey(*end)); v != nil {
				more, err = m.offer(*end, v, each)
			}
			return err
		})
		if err != nil && !isBroken(err) {
			return false, err
		}
	}
	return more, nil
}

// offer gives a leaf on when it matches. A rotten one matches nothing; Check names it.
func (m *matcher) offer(seq uint64, stored []byte, each func(uint64, []byte) (bool, error)) (more bool, err error) {
	if !m.matches(stored) { // reading what a leaf says takes less than its checksum
		return true, nil
	}
	leaf, err := cutCRC(stored)
	if err != nil {
		return true, nil
	}
	return each(seq, leaf)
}

// aboutIn says which entries of a tile may be about what is searched for, bit by bit.
func (m *matcher) aboutIn(tx *bolt.Tx, index uint64) (may entrySet) {
	if m.topics != nil {
		// Topics that are not whole are like none: look inside.
		if t, found, err := topicsOf(tx.Bucket(bucketTiles), index); found && err == nil {
			for i, is := range t {
				if m.topics.has(is) {
					may[i/64] |= 1 << (i % 64)
				}
			}
			return may
		}
	}
	for i := range may {
		may[i] = ^uint64(0)
	}
	return may
}

// entrySet is a set of entries of one tile.
type entrySet [tileWidth / 64]uint64

func (s *entrySet) has(seq uint64) bool { return s[seq%tileWidth/64]&(1<<(seq%64)) != 0 }

// matcher is a query made ready.
type matcher struct {
	Query
	kinds, actors, about []uint64        // tokens
	subjects             map[string]bool // About
	quoted               [][]byte        // About, in quotes, when it is few
	from, to             int64           // Unix ms, half-open
	timed                bool
	within               bool      // the tile at hand lies within the time
	topics               *topicSet // of About; nil: of everything
}

func (q Query) compile() matcher {
	m := matcher{Query: q, subjects: map[string]bool{}, from: minTime, to: maxTime, timed: !q.From.IsZero() || !q.To.IsZero()}
	for _, k := range q.Kinds {
		m.kinds = append(m.kinds, kindToken(k))
	}
	for _, a := range q.Actors {
		m.actors = append(m.actors, actorToken(a))
	}
	if len(q.About) > 0 {
		m.topics = new(topicSet)
		m.topics.add(topicOpen)
	}
	for _, a := range q.About {
		m.about = append(m.about, aboutToken(a))
		m.topics.add(topicOf(aboutToken(a)))
		m.subjects[a] = true
		if len(q.About) <= fewSubjects {
			m.quoted = append(m.quoted, []byte(`"`+a+`"`))
		}
	}
	if !q.From.IsZero() {
		m.from = ceilMilli(q.From)
	}
	if !q.To.IsZero() {
		m.to = ceilMilli(q.To)
	}
	return m
}

// fewSubjects is how many are faster looked for as they are, before it is asked where they stand.
const fewSubjects = 3

const (
	minTime = -1 << 62
	maxTime = 1 << 62
)

// ceilMilli makes comparisons with whole milliseconds exact.
func ceilMilli(t time.Time) int64 {
	ms := t.UnixMilli()
	if t.After(time.UnixMilli(ms)) {
		ms++
	}
	return ms
}

// skips says that a full tile holds no match, going by its digest, and notes whether all of it lies within the time.
func (m *matcher) skips(tx *bolt.Tx, index uint64) bool {
	m.within = !m.timed
	if !m.timed && len(m.kinds)+len(m.actors)+len(m.about) == 0 {
		return false
	}
	d, ok := digestOf(tx.Bucket(bucketTiles), index)
	if !ok {
		return false // not full yet, or damaged: look inside
	}
	m.within = m.within || d.first >= m.from && d.last < m.to
	none := func(tokens []uint64) bool { return len(tokens) > 0 && !slices.ContainsFunc(tokens, d.mayHold) }
	return d.last < m.from || d.first >= m.to || none(m.kinds) || none(m.actors) || none(m.about)
}

// minHead is how far from its beginning the kind of an entry is at least.
const minHead = len(`{"v":1,"alg":"sha256","seq":0,"at":"2026-05-20T00:00:00Z","clock":{"state":"trusted","boot":"b","mono":0},"actor":{"id":"p"},"via":"nvr"`)

// matches looks at the cheapest first: a long pass is mostly made of entries that do not match.
func (m *matcher) matches(leaf []byte) bool {
	if len(m.quoted) > 0 && !slices.ContainsFunc(m.quoted, func(q []byte) bool { return bytes.Contains(leaf, q) }) {
		return false
	}
	if len(leaf) < minHead {
		return false
	}
	_, behind, _ := bytes.Cut(leaf[minHead:], kindMember)
	kind, behind, _ := bytes.Cut(behind, quote)
	if len(m.Kinds) > 0 && !slices.ContainsFunc(m.Kinds, func(k ledger.Kind) bool { return string(kind) == string(k) }) {
		return false
	}
	if len(m.Actors) > 0 {
		actor := member(leaf, actorMember)
		if !slices.ContainsFunc(m.Actors, func(a string) bool { return string(actor) == a }) {
			return false
		}
	}
	if len(m.About) > 0 && !m.isAbout(leaf, behind) {
		return false
	}
	if !m.within {
		at, err := time.Parse(time.RFC3339Nano, string(member(leaf, atMember)))
		if ms := at.UnixMilli(); err != nil || ms < m.from || ms >= m.to {
			return false
		}
	}
	return true
}

var quote = []byte{'"'}

// isAbout says whether a leaf is about one of the things: its subject, the address it came from, or what its data name.
// The subject is right behind the kind, the data follow.
func (m *matcher) isAbout(leaf, behindKind []byte) bool {
	if text, ok := bytes.CutPrefix(behindKind, subjectMember); ok {
		if subject, _, _ := bytes.Cut(text, quote); m.subjects[string(subject)] {
			return true
		}
	}
	for id := range named(behindKind) {
		if m.subjects[string(id)] {
			return true
		}
	}
	return m.subjects[string(member(leaf[:len(leaf)-len(behindKind)], addressMember))]
}
