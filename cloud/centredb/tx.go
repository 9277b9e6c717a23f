package centredb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"campuskeep/shared/ledger"
	"campuskeep/shared/wire"
	"campuskeep/shared/wire/protocol"
)

// tx is one transaction on one appliance. It implements protocol.Tx.
type tx struct {
	s    *DB
	ctx  context.Context
	conn *sql.Conn // set when it may write
	q    querier
	sql  *sql.Tx
	app  int64
	key  string
	inc  protocol.Incarnation
}

var _ protocol.Tx = (*tx)(nil)

// Update runs fn with the appliance's row locked: it serialises all writing for this appliance.
func (s *DB) Update(ctx context.Context, appliance string, fn func(protocol.Tx) error) (err error) {
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return fmt.Errorf("reach the database: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	t, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	x := &tx{s: s, ctx: ctx, conn: conn, q: t, sql: t}
	if err := x.find(appliance, s.e.lock); err != nil {
		return errors.Join(err, rollback(t))
	}
	if err := fn(x); err != nil {
		return errors.Join(err, rollback(t))
	}
	if err := t.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// View runs fn on one consistent state.
func (s *DB) View(ctx context.Context, appliance string, fn func(protocol.Tx) error) error {
	return s.view(ctx, appliance, func(x *tx) error { return fn(x) })
}

func (s *DB) view(ctx context.Context, appliance string, fn func(*tx) error) error {
	t, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: s.e.isolation})
	if err != nil {
		return fmt.Errorf("begin to read: %w", err)
	}
	x := &tx{s: s, ctx: ctx, q: t, sql: t}
	if err := x.find(appliance, ""); err != nil {
		return errors.Join(err, rollback(t))
	}
	return errors.Join(fn(x), rollback(t))
}

// find locks the appliance's row and reads with it what every message needs.
func (x *tx) find(appliance, lock string) error {
	if lock != "" {
		lock += " OF a"
	}
	var since int64
	err := x.row(`SELECT a.app, a.log_key, i.v, CAST(s.v AS BIGINT) FROM appliances a, meta i, meta s
		WHERE a.id = ? AND i.k = 'incarnation' AND s.k = 'incarnation_since'`+lock, appliance).Scan(&x.app, &x.key, &x.inc.ID, &since)
	x.inc.Since = instant(since)
	return notFound(err, "appliance "+appliance)
}

// notFound turns an empty answer into ErrNotFound.
func notFound(err error, what string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (x *tx) row(query string, args ...any) *sql.Row {
	return x.q.QueryRowContext(x.ctx, x.s.q(query), args...)
}

func (x *tx) exec(query string, args ...any) error {
	_, err := x.q.ExecContext(x.ctx, x.s.q(query), args...)
	return err
}

func (x *tx) each(each func(scan func(...any) error) error, query string, args ...any) error {
	return eachRow(x.ctx, x.q, x.s.q(query), each, args...)
}

func (x *tx) Key() (ledger.Verifier, error) {
	if x.key == "" {
		return ledger.Verifier{}, fmt.Errorf("log key: %w", ErrNotFound)
	}
	return ledger.ParseVerifier(x.key)
}

func (x *tx) Incarnation() (protocol.Incarnation, error) { return x.inc, nil }
func (x *tx) Renew(at time.Time) (inc protocol.Incarnation, err error) {
	x.inc, err = x.s.renew(x.ctx, x.q, at)
	return x.inc, err
}

const cursorColumns = "SELECT epoch, base, fork, grant_id, size, peaks, checkpoint, part_profile, part_through, claimed, parked, ahead FROM cursors "

func (x *tx) Newest() (protocol.Cursor, bool, error) {
	return scanCursor(x.row(cursorColumns+"WHERE app = ? ORDER BY epoch DESC LIMIT 1", x.app))
}

func (x *tx) Cursor(epoch uint64) (protocol.Cursor, bool, error) {
	return scanCursor(x.row(cursorColumns+"WHERE app = ? AND epoch = ?", x.app, epoch))
}

func scanCursor(row *sql.Row) (c protocol.Cursor, ok bool, err error) {
	var size uint64
	var grant, peaks []byte
	err = row.Scan(&c.Epoch, &c.Base, &c.Fork, &grant, &size, &peaks, &c.Checkpoint, &c.Parts.Profile, &c.Parts.Through, &c.Claimed, &c.Parked, &c.Ahead)
	if errors.Is(err, sql.ErrNoRows) {
		return protocol.Cursor{}, false, nil
	}
	if err != nil {
		return c, false, fmt.Errorf("read cursor: %w", err)
	}
	copy(c.Grant[:], grant)
	hashes := make([]tlog.Hash, len(peaks)/tlog.HashSize)
	for i := range hashes {
		copy(hashes[i][:], peaks[i*tlog.HashSize:])
	}
	if c.Tree, ok = ledger.TreeOf(size, hashes); !ok || len(peaks)%tlog.HashSize != 0 {
		return c, false, fmt.Errorf("%w: the cursor of epoch %d", ErrDamaged, c.Epoch)
	}
	return c, true, nil
}

func (x *tx) PutCursor(c protocol.Cursor, at time.Time) error {
	var peaks []byte
	for _, h := range c.Tree.Peaks() {
		peaks = append(peaks, h[:]...)
	}
	if peaks == nil {
		peaks = []byte{}
	}
	// behind_since: when it first said that it has more than we; 0 when we have all.
	err := x.exec(`INSERT INTO cursors (app, epoch, base, fork, grant_id, size, peaks, checkpoint, part_profile, part_through, claimed, parked, ahead, stored_at, behind_since)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (app, epoch) DO UPDATE SET size = excluded.size, peaks = excluded.peaks, checkpoint = excluded.checkpoint,
		part_profile = excluded.part_profile, part_through = excluded.part_through, claimed = excluded.claimed, parked = excluded.parked, ahead = excluded.ahead,
		stored_at = CASE WHEN cursors.size = excluded.size THEN cursors.stored_at ELSE excluded.stored_at END,
		behind_since = CASE WHEN excluded.claimed <= excluded.size THEN 0 WHEN cursors.behind_since > 0 THEN cursors.behind_since ELSE excluded.behind_since END`,
		x.app, c.Epoch, c.Base, c.Fork, c.Grant[:], c.Stored(), peaks, c.Checkpoint, c.Parts.Profile, c.Parts.Through, c.Claimed, c.Parked, c.Ahead, millis(at), behind(c, at))
	if err != nil {
		return fmt.Errorf("write cursor: %w", err)
	}
	return nil
}

func behind(c protocol.Cursor, at time.Time) int64 {
	if c.Claimed > c.Stored() {
		return millis(at)
	}
	return 0
}

func (x *tx) Hashes(epoch, from, to uint64) (out []tlog.Hash, err error) {
	err = x.each(func(scan func(...any) error) error {
		var hash, leaf []byte
		if err := scan(&hash, &leaf); err != nil {
			return err
		}
		out = append(out, leafOf(hash, leaf).Hash)
		return nil
	}, "SELECT hash, leaf FROM leaves WHERE app = ? AND epoch = ? AND seq >= ? AND seq < ? ORDER BY seq", x.app, epoch, from, to)
	return out, err
}

func leafOf(hash, leaf []byte) protocol.Leaf {
	if leaf != nil {
		return protocol.LeafOf(leaf)
	}
	var l protocol.Leaf
	copy(l.Hash[:], hash)
	return l
}

func (x *tx) Nodes(epoch uint64, level int, from, to uint64) (out []tlog.Hash, err error) {
	err = x.each(func(scan func(...any) error) error {
		var b []byte
		if err := scan(&b); err != nil {
			return err
		}
		var h tlog.Hash
		copy(h[:], b)
		out = append(out, h)
		return nil
	}, "SELECT hash FROM nodes WHERE app = ? AND epoch = ? AND level = ? AND n >= ? AND n < ? ORDER BY n", x.app, epoch, level, from, to)
	return out, err
}

func (x *tx) Leaf(epoch, seq uint64) (protocol.Leaf, bool, error) {
	var hash, leaf []byte
	err := x.row("SELECT hash, leaf FROM leaves WHERE app = ? AND epoch = ? AND seq = ?", x.app, epoch, seq).Scan(&hash, &leaf)
	if errors.Is(err, sql.ErrNoRows) {
		return protocol.Leaf{}, false, nil
	}
	return leafOf(hash, leaf), err == nil, err
}

func (x *tx) Park(epoch, first uint64, body []byte) error {
	return x.exec("INSERT INTO parked (app, epoch, first, body) VALUES (?, ?, ?, ?) ON CONFLICT (app, epoch, first) DO UPDATE SET body = excluded.body", x.app, epoch, first, body)
}

func (x *tx) Parked(epoch, first uint64) (body []byte, at uint64, ok bool, err error) {
	err = x.row("SELECT first, body FROM parked WHERE app = ? AND epoch = ? AND first <= ? ORDER BY first LIMIT 1", x.app, epoch, first).Scan(&at, &body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, 0, false, nil
	}
	return body, at, err == nil, err
}

func (x *tx) Unpark(epoch, limit uint64) (left int, err error) {
	if err := x.exec("DELETE FROM parked WHERE app = ? AND (epoch <> ? OR first < ?)", x.app, epoch, limit); err != nil {
		return 0, err
	}
	err = x.row("SELECT count(*) FROM parked WHERE app = ?", x.app).Scan(&left)
	return left, err
}

func (x *tx) PutUrgent(epoch, seq uint64, l protocol.Leaf, at time.Time) error {
	if err := x.exec("INSERT INTO urgent (app, epoch, seq, at, hash, leaf) VALUES (?, ?, ?, ?, ?, ?)", x.app, epoch, seq, millis(at), l.Hash[:], l.Bytes); err != nil {
		return err
	}
	if e, mark := describe(seq, l.Bytes, urgent); mark == "" && urgent(e.Kind) {
		return x.fact(epoch, e, at)
	}
	return nil
}

func (x *tx) Urgent(epoch, seq uint64) (protocol.Leaf, bool, error) {
	var hash, leaf []byte
	err := x.row("SELECT hash, leaf FROM urgent WHERE app = ? AND epoch = ? AND seq = ?", x.app, epoch, seq).Scan(&hash, &leaf)
	if errors.Is(err, sql.ErrNoRows) {
		return protocol.Leaf{}, false, nil
	}
	return leafOf(hash, leaf), err == nil, err
}

func (x *tx) UrgentBetween(epoch, from, to uint64) (map[uint64]tlog.Hash, error) {
	out := map[uint64]tlog.Hash{}
	err := x.each(func(scan func(...any) error) error {
		var seq uint64
		var b []byte
		if err := scan(&seq, &b); err != nil {
			return err
		}
		var h tlog.Hash
		copy(h[:], b)
		out[seq] = h
		return nil
	}, "SELECT seq, hash FROM urgent WHERE app = ? AND epoch = ? AND seq >= ? AND seq < ?", x.app, epoch, from, to)
	return out, err
}

func (x *tx) PutPart(p protocol.PartRow) error {
	erased := 0
	if p.Erased {
		erased = 1
	}
	plain, sealed := p.Plain, 0
	if x.s.sealer != nil && plain != nil {
		plain, sealed = x.s.seal(partRow{x.app, p.Epoch, p.Seq, p.Name}, plain), 1
	}
	return x.exec(`INSERT INTO parts (app, epoch, seq, name, owner, salt, plain, erased, sealed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (app, epoch, seq, name) DO UPDATE SET salt = excluded.salt, plain = excluded.plain, erased = excluded.erased, sealed = excluded.sealed`,
		x.app, p.Epoch, p.Seq, p.Name, p.Owner, p.Salt, plain, erased, sealed)
}

func (x *tx) ErasePartsOf(owner string) error {
	return x.exec("UPDATE parts SET salt = NULL, plain = NULL, erased = 1 WHERE app = ? AND owner = ?", x.app, owner)
}

func (x *tx) WithdrawParts() error { return x.exec("DELETE FROM parts WHERE app = ?", x.app) }

// asideKept is how many refused messages of one appliance are kept; the newest say what is wrong now.
const asideKept = 100

func (x *tx) SetAside(c wire.Channel, body []byte, why string, at time.Time) error {
	if err := x.exec("INSERT INTO aside (app, at, channel, why, body) VALUES (?, ?, ?, ?, ?)", x.app, millis(at), string(c), why, body); err != nil {
		return err
	}
	return x.exec("DELETE FROM aside WHERE app = ? AND id NOT IN (SELECT id FROM aside WHERE app = ? ORDER BY id DESC LIMIT ?)", x.app, x.app, asideKept)
}

// alarmDetails is how many later occurrences of one open alarm are kept, the newest; the alarm itself has the first.
const alarmDetails = 20

func (x *tx) Alarm(a protocol.Alarm, at time.Time) error {
	var id int64
	err := x.row("SELECT id FROM alarms WHERE app = ? AND kind = ? AND epoch = ? AND closed_at = 0 ORDER BY id DESC LIMIT 1", x.app, a.Kind, a.Epoch).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return x.exec("INSERT INTO alarms (app, kind, epoch, at, last_at, times, ours, theirs, detail) VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?)",
			x.app, a.Kind, a.Epoch, millis(at), millis(at), a.Ours, a.Theirs, a.Detail)
	}
	if err != nil {
		return fmt.Errorf("raise alarm: %w", err)
	}
	if err := x.exec("UPDATE alarms SET times = times + 1, last_at = ? WHERE id = ?", millis(at), id); err != nil {
		return fmt.Errorf("raise alarm: %w", err)
	}
	if err := x.exec("INSERT INTO alarm_details (alarm, at, ours, theirs, detail) VALUES (?, ?, ?, ?, ?)", id, millis(at), a.Ours, a.Theirs, a.Detail); err != nil {
		return fmt.Errorf("raise alarm: %w", err)
	}
	return x.exec("DELETE FROM alarm_details WHERE alarm = ? AND id NOT IN (SELECT id FROM alarm_details WHERE alarm = ? ORDER BY id DESC LIMIT ?)", id, id, alarmDetails)
}
