package protocol

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"campuskeep/shared/ledger"
	"campuskeep/shared/wire"
)

// DB runs transactions on one appliance's rows. When Update returns nil the transaction is durable.
type DB interface {
	Update(ctx context.Context, appliance string, fn func(Tx) error) error
}

// Signer holds the centre's key.
type Signer interface {
	// Cosign adds a cosignature with the time to a checkpoint that log signed.
	Cosign(checkpoint []byte, log ledger.Verifier, at time.Time) ([]byte, error)
	// Cosigner verifies such cosignatures.
	Cosigner() ledger.Verifier
	// Time states the time for a nonce.
	Time(n wire.Nonce, at time.Time) ([]byte, error)
}

// Centre answers appliances. It keeps nothing between messages: any number of centres may share a DB.
type Centre struct {
	DB   DB
	Sign Signer
}

// maxEpochJump bounds how far ahead of the newest granted epoch an appliance's own may be, after the centre
// itself was restored.
const maxEpochJump = 1000

// errRefused ends the handling of a message that was set aside; the transaction commits.
var errRefused = errors.New("message refused")

// Receive handles one message of an appliance and gives what to publish on its ack channel, nil for nothing.
// The answer is made after the transaction is durable, never before. An error means: nothing is known to have
// been stored, the message should come again.
func (c *Centre) Receive(ctx context.Context, appliance string, ch wire.Channel, body []byte, now time.Time) ([]byte, error) {
	handle, err := c.decode(ch, body)
	if err != nil {
		why := err.Error()
		return nil, c.DB.Update(ctx, appliance, func(tx Tx) error {
			v := handling{tx: tx, now: now, channel: ch, body: body}
			if err := v.refuse(AlarmMalformed, Alarm{Detail: why}); !errors.Is(err, errRefused) {
				return err
			}
			return nil
		})
	}
	var r *reply
	err = c.DB.Update(ctx, appliance, func(tx Tx) error {
		v := handling{centre: c, appliance: appliance, tx: tx, now: now, channel: ch, body: body}
		if err := v.load(); err != nil {
			return err
		}
		var err error
		if r, err = handle(&v); errors.Is(err, errRefused) {
			r, err = nil, nil
		}
		return err
	})
	if err != nil || r == nil {
		return nil, err
	}
	return c.answer(r, now)
}

// decode reads a message outside of any transaction.
func (c *Centre) decode(ch wire.Channel, body []byte) (func(*handling) (*reply, error), error) {
	switch ch {
	case wire.Up:
		b, err := wire.DecodeBatch(body)
		if err == nil && b.Stream != wire.StreamUp {
			err = fmt.Errorf("%w: stream %d on the way up", wire.ErrMalformed, b.Stream)
		}
		return func(v *handling) (*reply, error) { return v.batch(b) }, err
	case wire.Hello:
		m, err := wire.DecodeHello(body)
		return func(v *handling) (*reply, error) { return v.hello(m) }, err
	case wire.Urgent:
		m, err := wire.DecodeUrgent(body)
		return func(v *handling) (*reply, error) { return v.urgent(m) }, err
	case wire.Payload:
		m, err := wire.DecodePayload(body)
		return func(v *handling) (*reply, error) { return v.payload(m) }, err
	}
	return nil, fmt.Errorf("%w: channel %q", wire.ErrMalformed, ch)
}

// reply is what a transaction found, to be signed after it is durable.
type reply struct {
	key     ledger.Verifier
	inc     Incarnation
	latest  uint64
	cursor  Cursor
	urgent  []uint64
	ask     bool
	nonce   *wire.Nonce
	agree   uint64
	differ  uint64
	granted *wire.Nonce
}

func (c *Centre) answer(r *reply, now time.Time) ([]byte, error) {
	m := wire.AckMsg{
		Incarnation: r.inc.ID, Latest: r.latest, Epoch: r.cursor.Epoch,
		Stored: r.cursor.Stored(), Root: r.cursor.Tree.Root(),
		Window: wire.Window, Parts: r.cursor.Parts, Urgent: r.urgent, Ask: r.ask,
	}
	if cp, err := openCheckpoint(r.cursor.Checkpoint, r.key, r.cursor.Epoch); err == nil && cp.Size == m.Stored && cp.Root == m.Root {
		if m.Witnessed, err = c.Sign.Cosign(r.cursor.Checkpoint, r.key, now); err != nil {
			return nil, fmt.Errorf("cosign: %w", err)
		}
	}
	if r.nonce != nil {
		at, err := c.Sign.Time(*r.nonce, now)
		if err != nil {
			return nil, err
		}
		m.Answer = &wire.Answer{Nonce: *r.nonce, Agree: r.agree, Differ: r.differ, Granted: r.granted, Time: at}
	}
	return m.Encode()
}

// handling is the handling of one message inside its transaction.
type handling struct {
	centre    *Centre
	appliance string
	tx        Tx
	now       time.Time
	channel   wire.Channel
	body      []byte

	key    ledger.Verifier
	inc    Incarnation
	latest uint64 // 0: this appliance has never said hello
	cursor Cursor // of latest
}

func (v *handling) load() (err error) {
	if v.key, err = v.tx.Key(); err != nil {
		return err
	}
	if v.inc, err = v.tx.Incarnation(); err != nil {
		return err
	}
	v.cursor, _, err = v.tx.Newest()
	v.latest = v.cursor.Epoch
	return err
}

// state answers with the position of the centre.
func (v *handling) state(ask bool) (*reply, error) {
	if v.latest == 0 {
		return nil, nil // only a hello can begin
	}
	return &reply{key: v.key, inc: v.inc, latest: v.latest, cursor: v.cursor, ask: ask}, nil
}

// refuse sets a message aside with an alarm. What may hold text that is not released is not kept.
func (v *handling) refuse(kind string, a Alarm) error {
	a.Kind = kind
	if err := v.tx.Alarm(a, v.now); err != nil {
		return err
	}
	body := v.body
	if v.channel == wire.Payload {
		body = nil
	}
	if err := v.tx.SetAside(v.channel, body, kind, v.now); err != nil {
		return err
	}
	return errRefused
}

// openCheckpoint verifies a checkpoint of this log and epoch.
func openCheckpoint(msg []byte, key ledger.Verifier, epoch uint64) (ledger.Checkpoint, error) {
	if len(msg) == 0 {
		return ledger.Checkpoint{}, errors.New("no checkpoint")
	}
	cp, _, err := ledger.OpenCheckpoint(msg, key)
	if err == nil && cp.Origin != ledger.Origin(key.Name(), epoch) {
		err = fmt.Errorf("checkpoint of %q", cp.Origin)
	}
	return cp, err
}

func (v *handling) batch(b wire.Batch) (*reply, error) {
	if b.Epoch != v.latest {
		return v.state(true)
	}
	cp, err := openCheckpoint(b.Checkpoint, v.key, b.Epoch)
	if err != nil || cp.Size != b.End() || cp.Root != b.Root {
		return nil, v.refuse(AlarmSignature, Alarm{Epoch: b.Epoch, Ours: v.cursor.Checkpoint, Theirs: b.Checkpoint})
	}
	switch stored := v.cursor.Stored(); {
	case b.End() <= stored:
		same, err := v.contains(v.cursor, b.End(), b.Root)
		if err != nil {
			return nil, err
		}
		if !same {
			return v.conflict(b)
		}
		return v.state(false)
	case b.First > stored:
		return v.park(b)
	}
	ok, err := v.admit(b)
	if err != nil {
		return nil, err
	}
	if !ok {
		return v.conflict(b)
	}
	if err := v.takeParked(); err != nil {
		return nil, err
	}
	if err := v.tx.PutCursor(v.cursor, v.now); err != nil {
		return nil, err
	}
	return v.state(false)
}

// admit stores what is new in a batch that reaches beyond the cursor, if the whole log then has the signed root.
func (v *handling) admit(b wire.Batch) (bool, error) {
	fresh := make([]Leaf, 0, len(b.Leaves))
	for _, l := range b.Leaves[v.cursor.Stored()-b.First:] {
		fresh = append(fresh, Leaf{Bytes: l.Bytes, Hash: l.Hash})
	}
	tree, nodes := grow(v.cursor.Tree, fresh)
	if tree.Root() != b.Root {
		return false, nil
	}
	first := v.cursor.Stored()
	if err := v.tx.Insert(b.Epoch, first, fresh, nodes, v.now); err != nil {
		return false, err
	}
	if err := v.compareUrgent(b, first, fresh); err != nil {
		return false, err
	}
	v.cursor.Tree, v.cursor.Checkpoint = tree, b.Checkpoint
	v.cursor.Claimed = max(v.cursor.Claimed, tree.Size())
	return true, nil
}

// compareUrgent raises an alarm when a leaf differs from what travelled ahead of it under its number: both are
// signed, so the appliance has signed two histories.
func (v *handling) compareUrgent(b wire.Batch, first uint64, fresh []Leaf) error {
	if v.cursor.Ahead <= first {
		return nil
	}
	urgent, err := v.tx.UrgentBetween(b.Epoch, first, b.End())
	if err != nil {
		return err
	}
	for seq, h := range urgent {
		if fresh[seq-first].Hash != h {
			if err := v.tx.Alarm(Alarm{Kind: AlarmUrgent, Epoch: b.Epoch, Theirs: b.Checkpoint, Detail: fmt.Sprintf("seq=%d", seq)}, v.now); err != nil {
				return err
			}
		}
	}
	return nil
}

// park parks a batch whose predecessor is missing, and asks for that one.
func (v *handling) park(b wire.Batch) (*reply, error) {
	if v.cursor.Parked < wire.Window && b.First < v.cursor.Stored()+wire.Window*wire.MaxEntries {
		if err := v.tx.Park(b.Epoch, b.First, v.body); err != nil {
			return nil, err
		}
		var err error
		if v.cursor.Parked, err = v.tx.Unpark(v.latest, v.cursor.Stored()); err != nil {
			return nil, err
		}
		if err := v.tx.PutCursor(v.cursor, v.now); err != nil {
			return nil, err
		}
	}
	return v.state(true)
}

// takeParked takes parked batches that now fit. One that does not fit any more is dropped: it will come again.
func (v *handling) takeParked() error {
	for v.cursor.Parked > 0 {
		body, first, ok, err := v.tx.Parked(v.latest, v.cursor.Stored())
		if err != nil {
			return err
		}
		if !ok {
			return nil
		}
		b, err := wire.DecodeBatch(body)
		if err != nil {
			return fmt.Errorf("parked batch: %w", err)
		}
		if b.End() > v.cursor.Stored() {
			if _, err := v.admit(b); err != nil {
				return err
			}
		}
		if v.cursor.Parked, err = v.tx.Unpark(v.latest, first+1); err != nil {
			return err
		}
	}
	return nil
}

// conflict sets aside a batch that contradicts what is stored, or itself; the stream goes on from the cursor.
func (v *handling) conflict(b wire.Batch) (*reply, error) {
	err := v.refuse(AlarmConflict, Alarm{Epoch: b.Epoch, Ours: v.cursor.Checkpoint, Theirs: b.Checkpoint, Detail: fmt.Sprintf("first=%d count=%d stored=%d", b.First, len(b.Leaves), v.cursor.Stored())})
	if !errors.Is(err, errRefused) {
		return nil, err
	}
	return v.state(true)
}

// contains says whether the stored log of a cursor had this root at this size.
func (v *handling) contains(c Cursor, size uint64, root tlog.Hash) (bool, error) {
	if size > c.Stored() {
		return false, nil
	}
	ch, err := openChain(v.tx, c)
	if err != nil {
		return false, err
	}
	t, err := ch.tree(size)
	return err == nil && t.Root() == root, err
}

func (v *handling) urgent(m wire.UrgentMsg) (*reply, error) {
	if m.Epoch != v.latest {
		return v.state(true)
	}
	l := LeafOf(m.Leaf)
	cp, err := openCheckpoint(m.Checkpoint, v.key, m.Epoch)
	if err != nil {
		return nil, v.refuse(AlarmSignature, Alarm{Epoch: m.Epoch, Ours: v.cursor.Checkpoint, Theirs: m.Checkpoint})
	}
	alarm := Alarm{Epoch: m.Epoch, Ours: v.cursor.Checkpoint, Theirs: m.Checkpoint, Detail: fmt.Sprintf("seq=%d", m.Seq)}
	if m.Seq >= cp.Size || ledger.CheckInclusion(m.Proof, cp.Size, cp.Root, m.Seq, l.Hash) != nil {
		return nil, v.refuse(AlarmUrgent, alarm)
	}
	have, ok, err := v.tx.Urgent(m.Epoch, m.Seq)
	if err != nil {
		return nil, err
	}
	if !ok && m.Seq < v.cursor.Stored() {
		ch, err := openChain(v.tx, v.cursor)
		if err != nil {
			return nil, err
		}
		if have, ok, err = ch.leaf(m.Seq); err != nil {
			return nil, err
		}
	}
	switch {
	case ok && have.Hash != l.Hash:
		if err := v.refuse(AlarmUrgent, alarm); !errors.Is(err, errRefused) {
			return nil, err
		}
		return v.state(true)
	case !ok:
		if err := v.tx.PutUrgent(m.Epoch, m.Seq, l, v.now); err != nil {
			return nil, err
		}
		v.cursor.Ahead = max(v.cursor.Ahead, m.Seq+1)
		if err := v.tx.PutCursor(v.cursor, v.now); err != nil {
			return nil, err
		}
	}
	r, err := v.state(false)
	if r != nil {
		r.urgent = []uint64{m.Seq}
	}
	return r, err
}
