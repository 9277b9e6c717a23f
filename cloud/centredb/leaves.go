package centredb

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"campuskeep/shared/ledger"
	"campuskeep/shared/wire/protocol"
)

// leafRow is a leaf with what is searched by.
type leafRow struct {
	app, at, stored int64
	epoch, seq      uint64
	kind, subject   string
	mark            string
	hash, leaf      []byte
}

func (r leafRow) values() []any {
	return []any{r.app, int64(r.epoch), int64(r.seq), r.at, r.stored, r.kind, r.subject, r.mark, r.hash, r.leaf}
}

// Marks of leaves that hold nonsense. The leaf is stored all the same: it is what the appliance signed.
const (
	MarkHashOnly   = "hash_only"  // its bytes are lost on the appliance
	MarkUnreadable = "unreadable" // no entry
	MarkVersion    = "version"    // an entry of a later version
	MarkSeq        = "seq"        // states another number than its place
	MarkKind       = "kind"       // does not fit the table of kinds
)

// describe reads what a leaf says of itself. e is complete only when mark is not empty, or whole asks for it.
func describe(seq uint64, leaf []byte, whole func(ledger.Kind) bool) (e ledger.Entry, mark string) {
	if leaf == nil {
		return e, MarkHashOnly
	}
	if g, ok := ledger.ParseIndexFields(leaf); ok && g.Seq == seq && !whole(g.Kind) {
		return ledger.Entry{Seq: g.Seq, At: g.At, Kind: g.Kind, Subject: g.Subject}, ""
	}
	e, err := ledger.ParseEntry(leaf)
	switch {
	case errors.Is(err, ledger.ErrVersion):
		return ledger.Entry{}, MarkVersion
	case err != nil:
		return ledger.Entry{}, MarkUnreadable
	case e.Seq != seq:
		return e, MarkSeq
	case e.Check() != nil:
		return e, MarkKind
	}
	return e, ""
}

// followed says whether entries of a kind change the row of an application.
func followed(k ledger.Kind) bool { return strings.HasPrefix(string(k), appPrefix) }

// read says whether more of an entry than its head is needed here.
func read(k ledger.Kind) bool { return followed(k) || urgent(k) || tallied(k) }

// plain keeps what may be in a text column: an unknown kind could be anything.
func plain(s string) string {
	if len(s) > 128 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ""
	}
	return s
}

// Insert writes leaves and nodes that are not there yet, follows the applications among them, and raises the alarms.
func (x *tx) Insert(epoch, first uint64, leaves []protocol.Leaf, nodes []protocol.Node, at time.Time) error {
	rows := make([]leafRow, len(leaves))
	stored := millis(at)
	var about, shown []ledger.Entry // entries of the register of use; urgent ones
	var count tally
	for i, l := range leaves {
		seq := first + uint64(i)
		e, mark := describe(seq, l.Bytes, read)
		rows[i] = leafRow{app: x.app, epoch: epoch, seq: seq, at: stored, stored: stored, kind: plain(string(e.Kind)), subject: plain(e.Subject), mark: mark, leaf: l.Bytes}
		if l.Bytes == nil {
			rows[i].hash = l.Hash[:]
		}
		if !e.At.IsZero() && e.At.Year() < 9999 {
			rows[i].at = millis(e.At)
			count.arrived(e.At, at)
		}
		if mark == "" {
			count.add(e)
		}
		if mark == "" && followed(e.Kind) {
			about = append(about, e)
		}
		if mark == "" && urgent(e.Kind) {
			shown = append(shown, e)
		}
	}
	if err := x.s.e.insert(x.ctx, x.s, x.conn, x.sql, rows); err != nil {
		if x.s.e.taken(err) {
			return fmt.Errorf("leaf of epoch %d from %d on: %w", epoch, first, errors.Join(ErrExists, err))
		}
		return err
	}
	if err := x.insertNodes(epoch, nodes); err != nil {
		return fmt.Errorf("insert nodes: %w", err)
	}
	for _, e := range about {
		if err := x.follow(epoch, e); err != nil {
			return fmt.Errorf("follow application: %w", err)
		}
	}
	if err := count.write(x.app, x.exec); err != nil {
		return err
	}
	return x.facts(epoch, shown, at)
}

// insertNodes writes all in one statement: a batch completes two or three.
func (x *tx) insertNodes(epoch uint64, nodes []protocol.Node) error {
	if len(nodes) == 0 {
		return nil
	}
	args := make([]any, 0, 5*len(nodes))
	for _, n := range nodes {
		args = append(args, x.app, epoch, n.Level, n.N, n.Hash[:])
	}
	return x.exec("INSERT INTO nodes (app, epoch, level, n, hash) VALUES (?, ?, ?, ?, ?)"+strings.Repeat(", (?, ?, ?, ?, ?)", len(nodes)-1), args...)
}

// chain gives the pieces of an appliance's newest chain; none when it has never said hello.
func (x *tx) chain() (protocol.Cursor, []protocol.Piece, error) {
	c, ok, err := x.Newest()
	if err != nil || !ok {
		return c, nil, err
	}
	pieces, err := protocol.Pieces(x, c)
	return c, pieces, err
}
