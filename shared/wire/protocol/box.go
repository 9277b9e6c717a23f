package protocol

import (
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"campuskeep/shared/ledger"
	"campuskeep/shared/wire"
)

// Log is the appliance's own ledger as the protocol reads it.
type Log interface {
	Size() uint64
	Epoch() uint64
	// Leaves gives at most max leaves from seq on; a rotten one by its hash.
	Leaves(from uint64, max int) ([]Leaf, error)
	Root(size uint64) (tlog.Hash, error)
	// Checkpoint is signed at size under the current epoch.
	Checkpoint(size uint64) ([]byte, error)
	// Inclusion proves leaf seq in the tree of a size.
	Inclusion(seq, size uint64) (tlog.RecordProof, error)
	// UrgentFrom gives the sequence numbers of urgent entries in [from,to), in order, having looked at no more
	// than it likes; next is where it stopped.
	UrgentFrom(from, to uint64) (seqs []uint64, next uint64, err error)
	// ReleasedFrom gives the payload items of the leaves [from,next), next ≤ to. It stops before a message would
	// become too large, and soon after it has found something.
	ReleasedFrom(from, to uint64) (items []wire.Item, next uint64, err error)
}

// CentreState is what the appliance remembers of the centre across restarts. Losing it costs nothing but the notice
// that the centre was restored.
type CentreState interface {
	// Witnessed keeps the newest cosigned checkpoint.
	Witnessed(cosigned []byte, size uint64) error
	// SaveIncarnation notes, durably, a centre's incarnation, how much of the current epoch it has, and that cosignatures
	// from before it prove nothing to it.
	SaveIncarnation(incarnation string, acknowledged uint64) error
	// Branch continues the ledger, durably, under an epoch that the centre granted, from the fork on. had is how many
	// entries the centre has of the branch that ends there.
	Branch(epoch, fork, had uint64, reason string) error
}

// SavedState is what Memory held when the program started.
type SavedState struct {
	Incarnation string
	Witnessed   []byte // cosigned in this incarnation; nil for none
}

// Timing of the appliance's side.
const (
	BatchDelay  = 250 * time.Millisecond // a batch that is not full waits this long for more
	answerWait  = 5 * time.Second        // without an answer the hello is repeated, at up to maxWait
	maxWait     = time.Minute
	stallWait   = 10 * time.Second // without progress a hello asks why
	helloEvery  = time.Hour
	rewindEvery = 2 * time.Second
	helloGap    = time.Second // between hellos that doubts cause
)

// Disclosure is the profile of released parts that this build knows: the table of kinds. Raise it when the table
// releases less or more; the centre then forgets what it has and receives it again.
const Disclosure = 1

// Send is a message to publish on one of the appliance's channels.
type Send struct {
	Channel wire.Channel
	Body    []byte
}

// Sample is the centre's time: At was true at some moment of the last Within.
type Sample struct {
	At     time.Time
	Within time.Duration
}

// Out is what a step of the box's side asks for.
type Out struct {
	Send []Send
	Time *Sample
	// Notes are codes for the program's log: what an operator may want to know.
	Notes []string
}

func (o *Out) note(format string, args ...any) {
	o.Notes = append(o.Notes, fmt.Sprintf(format, args...))
}

type phase uint8

const (
	offline  phase = iota
	greeting       // a hello is out; nothing flows until both logs are known to agree
	flowing
)

// Box is the appliance's side. It is not safe for concurrent use; now is monotonic.
type Box struct {
	name   string // of the log's key: campuskeep/<appliance>
	log    Log
	mem    CentreState
	nonce  func() wire.Nonce
	centre Trust

	phase       phase
	incarnation string
	witnessed   []byte // cosigned in this incarnation
	acked       uint64 // of the current epoch, in this incarnation
	window      int    // batches that the centre lets be under way
	entries     uint64 // leaves in one batch at most
	next        uint64 // first leaf that is not under way
	flights     []uint64
	progress    time.Duration // when acked last moved, or a batch left after silence
	waiting     time.Duration // since when leaves wait for a fuller batch; 0: none
	rewound     time.Duration
	rewoundAt   uint64

	hello  question
	search search
	branch *wire.Branch

	urgentNext uint64                   // searched for urgent entries up to here
	urgentOut  map[uint64]time.Duration // sent, not yet stored

	parts     wire.PartCursor
	partsNext uint64        // searched for released parts up to here
	partsSent time.Duration // when a message left; 0: none under way
	partsTo   uint64        // its end
}

// question is the hello that is out.
type question struct {
	out   bool
	nonce wire.Nonce
	at    time.Duration
	last  time.Duration // when the last hello left, answered or not
	acked uint64        // what was acknowledged when it left
	tries int
}

// search looks for the fork: both logs agree at lo, differ at hi.
type search struct {
	on     bool
	base   uint64
	had    uint64 // the centre has so many entries of the base
	lo, hi uint64
}

// Trust verifies what the centre signs.
type Trust struct {
	Cosigner ledger.Verifier // cosignatures
	Key      ledger.Verifier // statements of the time
}

// NewBox makes the appliance's side for the log of this name (campuskeep/<appliance>). It is off line until
// Connected.
func NewBox(name string, l Log, m CentreState, r SavedState, centre Trust, nonce func() wire.Nonce) *Box {
	return &Box{name: name, window: wire.Window, entries: wire.MaxEntries, log: l, mem: m, nonce: nonce, centre: centre, incarnation: r.Incarnation, witnessed: r.Witnessed, urgentOut: map[uint64]time.Duration{}}
}

// Acknowledged is how many leaves of the current epoch the centre is known to have.
func (b *Box) Acknowledged() uint64 { return b.acked }

// Incarnation is the centre's, as last met.
func (b *Box) Incarnation() string { return b.incarnation }

// InStep says whether both logs agreed when last compared, on the connection that is now.
func (b *Box) InStep() bool { return b.phase == flowing }

// Connected begins a conversation on a new connection.
func (b *Box) Connected(now time.Duration) (Out, error) {
	b.phase = greeting
	b.search = search{}
	b.flights, b.waiting, b.partsSent = nil, 0, 0
	b.hello.tries = 0
	clear(b.urgentOut)
	var o Out
	return o, b.greet(now, &o)
}

// Disconnected ends it.
func (b *Box) Disconnected() {
	b.phase = offline
	b.hello.out = false
}

// Ask says hello soon, e.g. because the time is wanted.
func (b *Box) Ask(now time.Duration) (Out, error) {
	var o Out
	if b.phase == offline || b.hello.out || now-b.hello.last < helloGap {
		return o, nil
	}
	return o, b.greet(now, &o)
}

// greet sends a hello with whatever question is open.
func (b *Box) greet(now time.Duration, o *Out) error {
	size := b.log.Size()
	cp, err := b.log.Checkpoint(size)
	if err != nil {
		return fmt.Errorf("hello: %w", err)
	}
	m := wire.HelloMsg{Nonce: b.nonce(), Epoch: b.log.Epoch(), Size: size, Checkpoint: cp, Incarnation: b.incarnation, Witnessed: b.witnessed, Branch: b.branch}
	if b.search.on && b.branch == nil {
		if m.Probes, err = b.probes(min(b.search.hi, size)); err != nil {
			return err
		}
	}
	body, err := m.Encode()
	if err != nil {
		return err
	}
	b.hello = question{out: true, nonce: m.Nonce, at: now, last: now, acked: b.acked, tries: b.hello.tries + 1}
	o.Send = append(o.Send, Send{wire.Hello, body})
	return nil
}

// probes spreads at most MaxProbes-1 sizes evenly between what agrees and what differs.
func (b *Box) probes(hi uint64) ([]wire.Probe, error) {
	lo := b.search.lo
	if hi <= lo+1 {
		return nil, nil
	}
	n := min(hi-lo-1, wire.MaxProbes-1)
	var out []wire.Probe
	for i := uint64(1); i <= n; i++ {
		size := lo + (hi-lo)*i/(n+1)
		if size <= lo || size >= hi || len(out) > 0 && size == out[len(out)-1].Size {
			continue
		}
		root, err := b.log.Root(size)
		if err != nil {
			return nil, err
		}
		out = append(out, wire.Probe{Size: size, Root: root})
	}
	return out, nil
}

// Receive takes a message from the ack channel.
func (b *Box) Receive(now time.Duration, body []byte) (Out, error) {
	var o Out
	if b.phase == offline {
		return o, nil
	}
	m, err := wire.DecodeAck(body)
	if err != nil {
		return o, err
	}
	if m.Answer != nil {
		err = b.answered(now, m, &o)
	} else {
		err = b.acknowledged(now, m, &o)
	}
	if err != nil {
		return o, err
	}
	return o, b.pump(now, &o)
}

// askPosition asks the centre the positions of both, not more often than helloGap.
func (b *Box) askPosition(now time.Duration, o *Out) error {
	if b.hello.out || now-b.hello.last < helloGap {
		return nil
	}
	return b.greet(now, o)
}

// agrees says whether our log has this root at this size.
func (b *Box) agrees(size uint64, root tlog.Hash) (bool, error) {
	if size > b.log.Size() {
		return false, nil
	}
	mine, err := b.log.Root(size)
	return err == nil && mine == root, err
}

// acknowledged takes what a batch, an urgent leaf or a payload brought about.
func (b *Box) acknowledged(now time.Duration, m wire.AckMsg, o *Out) error {
	if b.phase != flowing {
		return nil // the answer to the hello is to come and says more
	}
	if m.Incarnation != b.incarnation || m.Latest != b.log.Epoch() || m.Epoch != m.Latest || m.Ask && m.Stored < b.acked {
		return b.askPosition(now, o)
	}
	if m.Stored > b.acked {
		same, err := b.agrees(m.Stored, m.Root)
		if err != nil {
			return err
		}
		if !same || !b.cosigned(m, o) {
			return b.askPosition(now, o)
		}
		b.advance(now, m.Stored)
		if err := b.keep(m); err != nil {
			return err
		}
	}
	b.window = min(m.Window, wire.Window)
	if m.Ask && m.Stored == b.acked && b.next > b.acked && (b.rewoundAt != b.acked || now-b.rewound > rewindEvery) {
		b.next, b.flights, b.rewoundAt, b.rewound = b.acked, nil, b.acked, now
	}
	for _, seq := range m.Urgent {
		delete(b.urgentOut, seq)
	}
	b.setPartCursor(m.Parts)
	return nil
}

func (b *Box) advance(now time.Duration, stored uint64) {
	b.acked, b.progress = stored, now
	b.next = max(b.next, stored)
	for len(b.flights) > 0 && b.flights[0] <= stored {
		b.flights = b.flights[1:]
	}
	for seq := range b.urgentOut {
		if seq < stored {
			delete(b.urgentOut, seq)
		}
	}
}

// cosigned says whether the message carries the centre's valid cosignature of what it calls stored. Nothing
// counts as acknowledged without: it is what proves later that the centre had it.
func (b *Box) cosigned(m wire.AckMsg, o *Out) bool {
	cp, n, err := ledger.OpenCheckpoint(m.Witnessed, b.centre.Cosigner)
	if err == nil && cp.Size == m.Stored && cp.Root == m.Root && cp.Origin == ledger.Origin(b.name, m.Epoch) {
		if _, ok := ledger.CosignatureTime(n, b.centre.Cosigner); ok {
			return true
		}
	}
	o.note("cosignature_invalid size=%d", m.Stored)
	return false
}

// keep stores the cosignature.
func (b *Box) keep(m wire.AckMsg) error {
	b.witnessed = m.Witnessed
	return b.mem.Witnessed(m.Witnessed, m.Stored)
}

// setPartCursor follows the centre's cursor of the payload lane.
func (b *Box) setPartCursor(p wire.PartCursor) {
	if p.Profile < Disclosure {
		p = wire.PartCursor{Profile: Disclosure} // begins again
	}
	if p == b.parts {
		return
	}
	b.parts = p
	if p.Through >= b.partsTo || p.Through < b.partsNext {
		b.partsSent = 0
	}
	if b.partsSent == 0 {
		b.partsNext = p.Through
	}
}
