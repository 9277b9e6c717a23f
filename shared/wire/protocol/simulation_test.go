package protocol

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
	"campuskeep/shared/wire"
)

var (
	seeds    = flag.Int("sync.seeds", 2000, "how many random conversations to simulate")
	oneSeed  = flag.Uint64("sync.seed", 0, "simulate only this seed, and tell what happens")
	simStart = time.Date(2026, 5, 20, 0, 0, 0, 0, time.UTC)
)

// sim is one appliance, one centre and a bad network between them.
type sim struct {
	t   *testing.T
	r   *rand.Rand
	now time.Duration // monotonic on both sides

	disk   *boxLog // what survives a crash of the appliance
	memory SavedState
	box    *Box
	images []image // copies of the appliance's disk

	db        *memDB
	centre    *Centre
	copies    []memRows // copies of the centre's database
	unnoticed string    // the incarnation in which the centre was restored without noticing it yet

	up, down  []packet
	connected bool
	acks      []acked
	entries   int
	since     []string // the centre's incarnations since the newest hello left
}

type image struct {
	log    *boxLog
	memory SavedState
}

type packet struct {
	channel wire.Channel
	body    []byte
}

// acked is something that the centre has called stored.
type acked struct {
	inc    string
	epoch  uint64
	stored uint64
	root   tlog.Hash
}

const logName = "campuskeep/ck-0001"

func newSim(t *testing.T, seed uint64) *sim {
	s := &sim{t: t, r: rand.New(rand.NewPCG(seed, 7))}
	key := cheapSigner{name: logName}
	s.disk = newBoxLog(key)
	n := uint64(0)
	s.db = newMemDB(ledger.Verifier{Verifier: key}, func() string { n++; return fmt.Sprintf("%016x", n<<32|seed&0xffff) }, simStart)
	s.centre = &Centre{DB: s.db, Sign: cheapCentre{"campuskeep-centre"}}
	s.start()
	return s
}

func (s *sim) logf(format string, args ...any) {
	if *oneSeed != 0 {
		s.t.Logf("%8v "+format, append([]any{s.now}, args...)...)
	}
}

func (s *sim) wall() time.Time { return simStart.Add(s.now) }

// start is the appliance's program starting: it knows what its disk holds.
func (s *sim) start() {
	c := cheapCentre{"campuskeep-centre"}
	s.box = NewBox(logName, s.disk, memoryOf{s}, s.memory, Trust{Cosigner: c.Cosigner(), Key: c.key()}, func() (n wire.Nonce) {
		binary.BigEndian.PutUint64(n[:], s.r.Uint64())
		return n
	})
	s.box.entries = uint64(1 + s.r.IntN(6))
	s.connected = false
}

type memoryOf struct{ s *sim }

func (m memoryOf) Witnessed(cosigned []byte, size uint64) error {
	m.s.memory.Witnessed = cosigned
	return nil
}
func (m memoryOf) SaveIncarnation(inc string, acknowledged uint64) error {
	if !slices.Contains(m.s.since, inc) {
		m.s.t.Errorf("met incarnation %s, which the centre has not had since it was asked", inc)
	}
	m.s.memory = SavedState{Incarnation: inc}
	return nil
}
func (m memoryOf) Branch(epoch, fork, had uint64, reason string) error {
	if had < fork {
		m.s.t.Errorf("branched at %d, but the centre had only %d", fork, had)
	}
	if epoch <= m.s.disk.epoch {
		m.s.t.Errorf("branched from epoch %d to %d", m.s.disk.epoch, epoch)
	}
	m.s.disk.epoch = epoch
	m.s.memory.Witnessed = nil
	return nil
}

// write is school life: n new entries, some urgent, some with a released part.
func (s *sim) write(n int) {
	for range n {
		s.entries++
		if s.r.IntN(8) > 0 {
			seq := s.disk.add(fmt.Appendf(nil, "entry %d %x", s.entries, s.r.Uint64()))
			if s.r.IntN(10) == 0 {
				s.disk.urgent = append(s.disk.urgent, seq)
			}
			continue
		}
		plain := fmt.Appendf(nil, "text %d", s.entries)
		var e ledger.Entry
		p, err := ledger.Prepare(&e, ledger.Draft{Actor: ledger.System, Via: ledger.ViaSystem, Kind: "application.returned", Subject: "application:a1",
			Sealed: []ledger.Part{{Name: "reason", Owner: "application:a1", Plain: plain}}}, chacha{s.r})
		if err != nil {
			s.t.Fatal(err)
		}
		leaf, err := p.Encode(ledger.Place{Seq: s.disk.Size(), At: s.wall(), Clock: ledger.ClockRef{State: clock.Trusted, Boot: "b1"}})
		if err != nil {
			s.t.Fatal(err)
		}
		seq := s.disk.add(leaf)
		s.disk.parts[seq] = wire.Item{Seq: seq, Op: wire.Release, Name: "reason", Owner: "application:a1", Salt: p.Open[0].Salt, Plain: plain}
	}
}

type chacha struct{ r *rand.Rand }

func (c chacha) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(c.r.Uint32())
	}
	return len(b), nil
}

func (s *sim) do(o Out, err error) {
	if err != nil {
		s.t.Errorf("the appliance's side failed: %v", err)
	}
	for _, n := range o.Notes {
		s.logf("box notes %s", n)
	}
	if !s.connected {
		return
	}
	for _, m := range o.Send {
		s.logf("box sends %s (%d bytes), size %d epoch %d acked %d", m.Channel, len(m.Body), s.disk.Size(), s.disk.epoch, s.box.acked)
		s.up = append(s.up, packet{m.Channel, m.Body})
		if m.Channel == wire.Hello {
			s.since = []string{s.db.rows.inc.ID}
		}
	}
}

func (s *sim) connect() {
	s.connected = true
	s.do(s.box.Connected(s.now))
}

// toCentre delivers one packet; fault says what goes wrong meanwhile.
func (s *sim) toCentre(p packet, crash string) {
	s.db.fail = crash == "before"
	ack, err := s.centre.Receive(context.Background(), "ck-0001", p.channel, p.body, s.wall())
	s.db.fail = false
	s.since = append(s.since, s.db.rows.inc.ID)
	if err != nil {
		if !errors.Is(err, errCrash) {
			s.t.Errorf("the centre failed: %v", err)
		}
		return
	}
	if ack == nil {
		return
	}
	m, err := wire.DecodeAck(ack)
	if err != nil {
		s.t.Fatal(err)
	}
	s.logf("centre: epoch %d stored %d latest %d ask %v answer %v inc %s crash %q", m.Epoch, m.Stored, m.Latest, m.Ask, m.Answer != nil, m.Incarnation, crash)
	if crash == "after" {
		return
	}
	s.acks = append(s.acks, acked{m.Incarnation, m.Epoch, m.Stored, m.Root})
	s.down = append(s.down, packet{wire.Ack, ack})
}

func (s *sim) toBox(p packet) {
	if s.connected {
		s.do(s.box.Receive(s.now, p.body))
	}
}

// take removes a packet from a queue: mostly the oldest, at times any.
func (s *sim) take(q *[]packet) (packet, bool) {
	if len(*q) == 0 {
		return packet{}, false
	}
	i := 0
	if s.r.IntN(4) == 0 {
		i = s.r.IntN(len(*q))
	}
	p := (*q)[i]
	if s.r.IntN(12) > 0 { // else it stays and comes a second time
		*q = slices.Delete(*q, i, i+1)
	}
	return p, true
}

// step is one event of a bad day.
func (s *sim) step() {
	switch n := s.r.IntN(100); {
	case n < 12:
		s.write(1 + s.r.IntN(4))
		s.do(s.box.Tick(s.now))
	case n < 40:
		if p, ok := s.take(&s.up); ok {
			crash := ""
			switch s.r.IntN(14) {
			case 0:
				crash = "before"
			case 1:
				crash = "after"
			}
			s.toCentre(p, crash)
		}
	case n < 64:
		if p, ok := s.take(&s.down); ok {
			s.toBox(p)
		}
	case n < 68: // loss
		if s.r.IntN(2) == 0 {
			s.take(&s.up)
		} else {
			s.take(&s.down)
		}
	case n < 84:
		s.pass(s.box.Wake(s.now) + time.Duration(s.r.IntN(500))*time.Millisecond)
	case n < 86:
		s.pass(time.Duration(s.r.IntN(90)) * time.Second)
	case n < 90:
		if s.connected {
			s.cut()
		} else {
			s.connect()
		}
	case n < 92:
		s.logf("the appliance crashes")
		s.start()
	case n < 94:
		s.images = append(s.images, image{s.disk.clone(), s.memory})
	case n < 95 && len(s.images) > 0:
		s.restoreBox()
	case n < 97:
		s.copies = append(s.copies, s.db.rows.clone())
	case n < 98 && len(s.copies) > 0:
		s.restoreCentre()
	default:
		if !s.connected {
			s.connect()
		}
	}
	s.check()
}

func (s *sim) pass(d time.Duration) {
	s.now += min(d, 2*time.Hour)
	s.do(s.box.Tick(s.now))
}

// cut is the broker's death: what was under way is gone, or comes later out of order.
func (s *sim) cut() {
	s.logf("connection lost")
	s.connected = false
	s.box.Disconnected()
	if s.r.IntN(2) == 0 {
		s.up, s.down = nil, nil
	}
}

func (s *sim) restoreBox() {
	im := s.images[s.r.IntN(len(s.images))]
	s.disk, s.memory = im.log.clone(), im.memory
	s.logf("the appliance is restored from a copy: size %d epoch %d", s.disk.Size(), s.disk.epoch)
	s.start()
	s.forgive()
}

func (s *sim) restoreCentre() {
	declared := s.r.IntN(2) == 0
	s.db.rows = s.copies[s.r.IntN(len(s.copies))].clone()
	s.logf("the centre is restored from a copy (declared: %v)", declared)
	if declared {
		s.db.rows.inc = Incarnation{s.db.fresh(), s.wall()}
	}
	s.since = append(s.since, s.db.rows.inc.ID)
	s.unnoticed = ""
	if !declared {
		s.unnoticed = s.db.rows.inc.ID
	}
	s.forgive()
}

// forgive drops acknowledgements of leaves that nobody holds any more: both sides were replaced by older copies
// and no protocol could know.
func (s *sim) forgive() {
	s.acks = slices.DeleteFunc(s.acks, func(a acked) bool { return !s.atCentre(a) && !s.atBox(a) })
}

// atCentre says whether the centre has these leaves, under whatever epoch.
func (s *sim) atCentre(a acked) bool {
	for epoch := range s.db.rows.cursors {
		if root, ok := s.db.rootAt(epoch, a.stored); ok && root == a.root {
			return true
		}
	}
	return false
}

func (s *sim) atBox(a acked) bool {
	return a.stored <= s.disk.Size() && s.disk.roots[a.stored] == a.root
}

// check holds at every moment.
func (s *sim) check() {
	s.t.Helper()
	if s.db.rows.inc.ID != s.box.Incarnation() || s.db.rows.inc.ID == s.unnoticed {
		return
	}
	// I8: what the appliance believes acknowledged is stored, leaf for leaf.
	n := s.box.Acknowledged()
	if n == 0 {
		return
	}
	root, ok := s.db.rootAt(s.disk.epoch, n)
	if !ok || root != s.disk.roots[n] {
		s.t.Errorf("I8: the appliance believes %d leaves of epoch %d acknowledged; the centre has them: %v", n, s.disk.epoch, ok)
	}
}

// settle lets the faults end and waits for both sides to agree.
func (s *sim) settle() bool {
	s.up, s.down = nil, nil
	s.write(2)
	if !s.connected {
		s.connect()
	}
	for range 4000 {
		switch {
		case len(s.up) > 0:
			p := s.up[0]
			s.up = s.up[1:]
			s.toCentre(p, "")
		case len(s.down) > 0:
			p := s.down[0]
			s.down = s.down[1:]
			s.toBox(p)
		case s.converged():
			return true
		default:
			s.pass(s.box.Wake(s.now) + time.Millisecond)
		}
		s.check()
	}
	return false
}

func (s *sim) converged() bool {
	size := s.disk.Size()
	root, ok := s.db.rootAt(s.disk.epoch, size)
	return ok && root == s.disk.roots[size] && s.box.Acknowledged() == size && s.box.InStep() &&
		s.db.rows.cursors[s.disk.epoch].Parts.Through >= s.lastPart()
}

func (s *sim) lastPart() uint64 {
	last := uint64(0)
	for seq := range s.disk.parts {
		last = max(last, seq+1)
	}
	return last
}

// final is what must be true when everything has come to rest.
func (s *sim) final() {
	newest, _, _ := (&memTx{s.db, s.db.rows}).Newest()
	latest := newest.Epoch
	if latest != s.disk.epoch {
		s.t.Errorf("the appliance writes epoch %d, the newest at the centre is %d", s.disk.epoch, latest)
	}
	for _, a := range s.acks {
		if a.inc == s.db.rows.inc.ID && !s.atCentre(a) {
			s.t.Errorf("acknowledged and lost: epoch %d, %d leaves", a.epoch, a.stored)
		}
	}
	ch, err := openChain(&memTx{s.db, s.db.rows}, s.db.rows.cursors[latest])
	if err != nil {
		s.t.Fatal(err)
	}
	for seq := range s.disk.Size() {
		l, ok, _ := ch.leaf(seq)
		if !ok || string(l.Bytes) != string(s.disk.leaves[seq].Bytes) {
			s.t.Errorf("leaf %d differs (there: %v)", seq, ok)
		}
		if it, ok := s.disk.parts[seq]; ok {
			p, ok := s.db.rows.parts[partKey{ch.owner(seq), seq, it.Name}]
			if !ok || string(p.Plain) != string(it.Plain) {
				s.t.Errorf("released part of leaf %d is not at the centre", seq)
			}
		}
	}
	for _, k := range []string{AlarmMalformed, AlarmSignature, AlarmPayload} {
		if s.db.rows.alarms[k] > 0 {
			s.t.Errorf("alarm %s between honest parties", k)
		}
	}
}

func simulate(t *testing.T, seed uint64) (ok bool) {
	s := newSim(t, seed)
	for range 40 + s.r.IntN(160) {
		s.step()
		if t.Failed() {
			return false
		}
	}
	if !s.settle() {
		t.Errorf("no agreement: box size %d epoch %d acked %d phase %d, centre %+v", s.disk.Size(), s.disk.epoch, s.box.acked, s.box.phase, s.db.rows.cursors)
		return false
	}
	s.final()
	return !t.Failed()
}

// Whatever the network loses, doubles or reorders, anyone who crashes or is restored from an old copy: no
// acknowledged entry is lost unless the centre has a new incarnation, both sides agree in the end, and there is
// one copy of each (appliance, epoch, seq). Covers I8, design §6.
func TestSimulation(t *testing.T) {
	if *oneSeed != 0 {
		simulate(t, *oneSeed)
		return
	}
	const shards = 4
	for shard := range uint64(shards) {
		t.Run(fmt.Sprint(shard), func(t *testing.T) {
			t.Parallel()
			for seed := 1 + shard; seed <= uint64(*seeds); seed += shards {
				if !simulate(t, seed) {
					t.Fatalf("seed %d: run with -sync.seed=%d to see it", seed, seed)
				}
			}
		})
	}
}
