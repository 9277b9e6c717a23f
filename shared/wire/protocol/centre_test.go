package protocol

import (
	"bytes"
	"context"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"campuskeep/shared/ledger"
	"campuskeep/shared/wire"
)

// talk is a centre in step with a small honest log, to be lied to.
type talk struct {
	*sim
	last wire.AckMsg
}

func newTalk(t *testing.T, leaves int) *talk {
	t.Helper()
	s := newSim(t, 1)
	s.write(leaves)
	if !s.settle() {
		t.Fatal("no agreement to begin with")
	}
	return &talk{sim: s}
}

// say sends bytes and gives the acknowledgement, if any.
func (k *talk) say(c wire.Channel, body []byte, err error) bool {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
	ack, err := k.centre.Receive(context.Background(), "ck-0001", c, body, k.wall())
	if err != nil {
		k.t.Fatal(err)
	}
	if ack == nil {
		return false
	}
	if k.last, err = wire.DecodeAck(ack); err != nil {
		k.t.Fatal(err)
	}
	return true
}

func (k *talk) alarms(kind string, want int) {
	k.t.Helper()
	if got := k.db.rows.alarms[kind]; got != want {
		k.t.Errorf("%d alarms of %s, want %d (all: %v)", got, kind, want, k.db.rows.alarms)
	}
}

// batchOf makes the honest batch of leaves [from,to) of a log.
func batchOf(l *boxLog, from, to uint64) wire.Batch {
	b := wire.Batch{Stream: wire.StreamUp, Epoch: l.epoch, First: from, Root: l.roots[to]}
	for _, x := range l.leaves[from:to] {
		b.Leaves = append(b.Leaves, wire.BatchLeaf{Bytes: x.Bytes, Hash: x.Hash})
	}
	b.Checkpoint, _ = l.Checkpoint(to)
	return b
}

func (k *talk) sayBatch(b wire.Batch) bool {
	k.t.Helper()
	body, err := b.Encode()
	return k.say(wire.Up, body, err)
}

// A batch that is there already is acknowledged again and stored once; one that overlaps brings only what is new.
func TestDoubledAndOverlappingBatches(t *testing.T) {
	k := newTalk(t, 10)
	size := k.disk.Size()
	if !k.sayBatch(batchOf(k.disk, 3, size)) || k.last.Stored != size || k.last.Ask {
		t.Errorf("doubled: %+v", k.last)
	}
	k.write(5)
	if !k.sayBatch(batchOf(k.disk, 3, size+5)) || k.last.Stored != size+5 || k.last.Root != k.disk.roots[size+5] {
		t.Errorf("overlapping: %+v", k.last)
	}
	if len(k.db.rows.alarms) != 0 {
		t.Errorf("alarms: %v", k.db.rows.alarms)
	}
}

// A batch that comes before its predecessor waits for it, and both are stored when that one comes.
func TestABatchThatComesEarly(t *testing.T) {
	k := newTalk(t, 2)
	size := k.disk.Size()
	k.write(9)
	if !k.sayBatch(batchOf(k.disk, size+6, size+9)) || k.last.Stored != size || !k.last.Ask {
		t.Errorf("early: %+v", k.last)
	}
	k.sayBatch(batchOf(k.disk, size+3, size+6))
	if !k.sayBatch(batchOf(k.disk, size, size+3)) || k.last.Stored != size+9 {
		t.Errorf("after the gap is filled: %+v", k.last)
	}
	if len(k.db.rows.parked) != 0 {
		t.Errorf("%d batches still parked", len(k.db.rows.parked))
	}
}

// Parking is bounded: a box that sends everything but the first batch fills nothing.
func TestParkingIsBounded(t *testing.T) {
	k := newTalk(t, 2)
	size := k.disk.Size()
	k.write(60)
	for i := uint64(1); i < 60; i++ {
		k.sayBatch(batchOf(k.disk, size+i, size+i+1))
	}
	if n := len(k.db.rows.parked); n > wire.Window {
		t.Errorf("%d batches parked, at most %d", n, wire.Window)
	}
}

// Two signed histories: the second is set aside with both checkpoints, the first stays.
func TestAForkIsSetAside(t *testing.T) {
	k := newTalk(t, 10)
	size := k.disk.Size()
	other := k.disk.clone()
	k.write(4)
	k.sayBatch(batchOf(k.disk, size, size+4))
	for range 6 {
		other.add([]byte("another story"))
	}
	for _, b := range []wire.Batch{batchOf(other, size, size+4), batchOf(other, size, size+6), batchOf(other, size+2, size+3)} {
		if !k.sayBatch(b) || k.last.Stored != size+4 || !k.last.Ask {
			t.Errorf("fork: %+v", k.last)
		}
	}
	k.alarms(AlarmConflict, 3)
	if root, ok := k.db.rootAt(1, size+4); !ok || root != k.disk.roots[size+4] {
		t.Error("the stored history was changed")
	}
}

// What is not signed by the appliance's key, or signed for another epoch, size or root, changes nothing.
func TestUnsignedBatches(t *testing.T) {
	k := newTalk(t, 10)
	size := k.disk.Size()
	k.write(4)
	good := batchOf(k.disk, size, size+4)
	stranger := k.disk.clone()
	stranger.key = cheapSigner{name: "campuskeep/ck-0002"}
	epoch2 := k.disk.clone()
	epoch2.epoch = 2
	bad := map[string][]byte{}
	bad["another key"], _ = stranger.Checkpoint(size + 4)
	bad["another epoch"], _ = epoch2.Checkpoint(size + 4)
	bad["another size"], _ = k.disk.Checkpoint(size + 3)
	bad["nonsense"] = []byte("not a note")
	for what, cp := range bad {
		b := good
		b.Checkpoint = cp
		if k.sayBatch(b) {
			t.Errorf("%s: answered %+v", what, k.last)
		}
	}
	k.alarms(AlarmSignature, len(bad))
	// Leaves that do not have the signed root.
	b := batchOf(k.disk, size, size+4)
	b.Leaves[1].Bytes = []byte("changed on the way")
	if !k.sayBatch(b) || k.last.Stored != size {
		t.Errorf("changed leaf: %+v", k.last)
	}
	k.alarms(AlarmConflict, 1)
	if !k.sayBatch(good) || k.last.Stored != size+4 {
		t.Errorf("the stream does not go on: %+v", k.last)
	}
}

// Nonsense and rotten leaves that were signed are stored as they are.
func TestRottenLeafTravelsAsHash(t *testing.T) {
	k := newTalk(t, 3)
	size := k.disk.Size()
	k.write(2)
	k.disk.add([]byte("\xff\x00 nonsense"))
	b := batchOf(k.disk, size, size+3)
	b.Leaves[0].Bytes = nil
	if !k.sayBatch(b) || k.last.Stored != size+3 {
		t.Fatalf("%+v", k.last)
	}
	l, ok, _ := (&memTx{k.db, k.db.rows}).Leaf(1, size)
	if !ok || l.Bytes != nil || l.Hash != k.disk.leaves[size].Hash {
		t.Errorf("hash-only leaf: %+v", l)
	}
}

// An urgent leaf needs its proof; a second history of the same number is an alarm, early or late.
func TestUrgentLeaves(t *testing.T) {
	k := newTalk(t, 10)
	k.write(3)
	size := k.disk.Size()
	seq := size - 2
	message := func(l *boxLog) wire.UrgentMsg {
		p, err := l.Inclusion(seq, l.Size())
		if err != nil {
			t.Fatal(err)
		}
		cp, _ := l.Checkpoint(l.Size())
		return wire.UrgentMsg{Epoch: 1, Seq: seq, Leaf: l.leaves[seq].Bytes, Proof: p, Checkpoint: cp}
	}
	say := func(m wire.UrgentMsg) bool {
		b, err := m.Encode()
		return k.say(wire.Urgent, b, err)
	}
	m := message(k.disk)
	for range 2 {
		if !say(m) || len(k.last.Urgent) != 1 || k.last.Urgent[0] != seq {
			t.Errorf("urgent: %+v", k.last)
		}
	}
	bad := m
	bad.Leaf = []byte("another leaf")
	say(bad)
	k.alarms(AlarmUrgent, 1)
	other := k.disk.clone()
	other.leaves[seq] = LeafOf([]byte("signed twice"))
	other.tree, other.roots = ledger.Tree{}, []tlog.Hash{ledger.EmptyRoot}
	for _, l := range other.leaves {
		other.tree.AddHash(l.Hash)
		other.roots = append(other.roots, other.tree.Root())
	}
	say(message(other))
	k.alarms(AlarmUrgent, 2)
	// The stream brings yet another leaf under that number.
	stored := k.last.Stored
	k.sayBatch(batchOf(other, stored, size))
	k.alarms(AlarmUrgent, 3)
}

// The payload lane takes what opens its commitment and is released; the rest raises an alarm and is not kept, not
// even among the messages set aside.
func TestPayloadLane(t *testing.T) {
	k := newTalk(t, 2)
	seq := k.disk.Size()
	var e ledger.Entry
	p, err := ledger.Prepare(&e, ledger.Draft{Actor: ledger.System, Via: ledger.ViaSystem, Kind: "application.submitted", Subject: "a2026-0001",
		Data:   map[string]any{"places": 1, "spans": []map[string]any{}, "way": "view"},
		Sealed: []ledger.Part{{Name: "purpose", Owner: "application:a1", Plain: []byte("purpose")}, {Name: "form", Owner: "application:a1", Plain: []byte("form")}}}, chacha{k.r})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := p.Encode(ledger.Place{Seq: seq, At: k.wall(), Clock: ledger.ClockRef{Boot: "b1"}})
	if err != nil {
		t.Fatal(err)
	}
	k.disk.add(leaf)
	k.sayBatch(batchOf(k.disk, seq, seq+1))
	say := func(to uint64, items ...wire.Item) bool {
		b, err := wire.PayloadMsg{Epoch: 1, Profile: 1, From: k.last.Parts.Through, To: to, Items: items}.Encode()
		return k.say(wire.Payload, b, err)
	}
	item := func(i int) wire.Item {
		o := p.Open[i]
		return wire.Item{Seq: seq, Op: wire.Release, Name: o.Name, Owner: o.Owner, Salt: o.Salt, Plain: o.Plain}
	}
	if !say(seq+5, item(0)) || !k.last.Ask {
		t.Errorf("beyond what is stored: %+v", k.last)
	}
	wrong := item(0)
	wrong.Plain = []byte("something else")
	if !say(seq+1, item(1), wrong, item(0)) || k.last.Parts.Through != seq+1 {
		t.Errorf("lane: %+v", k.last)
	}
	k.alarms(AlarmPayload, 2)
	if len(k.db.rows.parts) != 1 || string(k.db.rows.parts[partKey{1, seq, "purpose"}].Plain) != "purpose" {
		t.Errorf("parts: %+v", k.db.rows.parts)
	}
	k.write(1)
	k.sayBatch(batchOf(k.disk, seq+1, k.disk.Size()))
	if !say(k.disk.Size(), wire.Item{Seq: seq + 1, Op: wire.Erase, Owner: "application:a1"}) || !k.db.rows.parts[partKey{1, seq, "purpose"}].Erased {
		t.Errorf("erased: %+v", k.db.rows.parts)
	}
	// A higher disclosure profile begins again and withdraws what the old one released.
	b, err := wire.PayloadMsg{Epoch: 1, Profile: 2, From: 0, To: 1}.Encode()
	if !k.say(wire.Payload, b, err) || k.last.Parts != (wire.PartCursor{Profile: 2, Through: 1}) || len(k.db.rows.parts) != 0 {
		t.Errorf("new profile: %+v, %d parts", k.last.Parts, len(k.db.rows.parts))
	}
	b, err = wire.PayloadMsg{Epoch: 1, Profile: 1, From: 0, To: 9}.Encode()
	if !k.say(wire.Payload, b, err) || k.last.Parts.Profile != 2 {
		t.Errorf("old profile: %+v", k.last.Parts)
	}
}

// Bytes that are no message raise an alarm and get no answer.
func TestMalformedMessages(t *testing.T) {
	k := newTalk(t, 2)
	aside := k.db.rows.aside
	for _, c := range []wire.Channel{wire.Up, wire.Hello, wire.Urgent, wire.Payload, wire.Ack} {
		if k.say(c, []byte("what?"), nil) {
			t.Errorf("%s: answered", c)
		}
	}
	k.alarms(AlarmMalformed, 5)
	if k.db.rows.aside != aside+5 {
		t.Errorf("%d set aside", k.db.rows.aside-aside)
	}
	down := batchOf(k.disk, 0, 1)
	down.Stream = wire.StreamDown
	if k.sayBatch(down) {
		t.Error("a batch of the centre's stream on the way up is answered")
	}
}

// A branch is granted once for each request; a request that was long under way grants nothing.
func TestGrants(t *testing.T) {
	k := newTalk(t, 20)
	short := k.disk.clone()
	short.leaves, short.roots = short.leaves[:12], short.roots[:13]
	short.add([]byte("written after the restore"))
	cp, _ := short.Checkpoint(13)
	ask := func(id byte, latest, fork uint64, root tlog.Hash) {
		m := wire.HelloMsg{Nonce: wire.Nonce{id, 9}, Epoch: 1, Size: 13, Checkpoint: cp, Branch: &wire.Branch{ID: wire.Nonce{id}, Latest: latest, Base: 1, Fork: fork, Root: root}}
		b, err := m.Encode()
		k.say(wire.Hello, b, err)
	}
	ask(1, 1, 13, short.roots[13])
	if k.last.Latest != 1 || k.last.Answer.Granted != nil {
		t.Errorf("a fork that is none: %+v", k.last)
	}
	ask(2, 1, 12, short.roots[12])
	if k.last.Latest != 2 || k.last.Stored != 12 || k.last.Answer.Granted == nil {
		t.Errorf("grant: %+v", k.last)
	}
	ask(2, 1, 12, short.roots[12]) // the answer was lost
	if k.last.Latest != 2 || k.last.Answer.Granted == nil {
		t.Errorf("repeated request: %+v", k.last)
	}
	ask(3, 1, 12, short.roots[12]) // from before the grant
	if k.last.Latest != 2 || k.last.Answer.Granted != nil {
		t.Errorf("stale request: %+v", k.last)
	}
	k.alarms(AlarmForked, 1)
}

// Only our own cosignature, given in this incarnation, makes the centre believe that it has lost something.
func TestWhatProvesALoss(t *testing.T) {
	k := newTalk(t, 10)
	inc := k.db.rows.inc
	copied := k.db.rows.clone()
	k.now += time.Hour
	k.write(5)
	if !k.settle() {
		t.Fatal("no agreement")
	}
	size := k.disk.Size()
	cp, _ := k.disk.Checkpoint(size)
	proof := bytes.Clone(k.memory.Witnessed)
	old, err := k.centre.Sign.Cosign(cp, k.db.key, simStart.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	k.db.rows = copied
	hello := func(witnessed []byte, incarnation string) {
		m := wire.HelloMsg{Epoch: 1, Size: size, Checkpoint: cp, Incarnation: incarnation, Witnessed: witnessed}
		b, err := m.Encode()
		k.say(wire.Hello, b, err)
	}
	for what, c := range map[string]struct {
		proof []byte
		inc   string
	}{"no cosignature": {cp, inc.ID}, "an older incarnation's": {old, inc.ID}, "another incarnation": {proof, "ffffffffffffffff"}, "nothing": {nil, inc.ID}} {
		if hello(c.proof, c.inc); k.last.Incarnation != inc.ID {
			t.Errorf("%s: believed", what)
		}
	}
	if hello(proof, inc.ID); k.last.Incarnation == inc.ID {
		t.Error("its own cosignature is not believed")
	}
	k.alarms(AlarmRestored, 1)
}
