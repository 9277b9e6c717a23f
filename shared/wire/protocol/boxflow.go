package protocol

import (
	"errors"
	"fmt"
	"time"

	"campuskeep/shared/wire"
)

// Tick does what is due at now: linger over, answer late, no progress, more to send. Call it when the ledger has
// grown and when Wake says so.
func (b *Box) Tick(now time.Duration) (Out, error) {
	var o Out
	if b.phase == offline {
		return o, nil
	}
	switch {
	case b.hello.out && now-b.hello.at >= b.answerTimeout():
		if err := b.greet(now, &o); err != nil {
			return o, err
		}
	case b.hello.out:
	case b.phase == greeting && now-b.hello.last >= helloGap,
		b.phase == flowing && b.stalled(now) && now-b.hello.last >= stallWait,
		now-b.hello.last >= helloEvery:
		if err := b.greet(now, &o); err != nil {
			return o, err
		}
	}
	return o, b.pump(now, &o)
}

func (b *Box) answerTimeout() time.Duration {
	d := answerWait
	for range b.hello.tries - 1 {
		if d *= 2; d >= maxWait {
			return maxWait
		}
	}
	return d
}

func (b *Box) stalled(now time.Duration) bool {
	return len(b.flights) > 0 && now-b.progress >= stallWait
}

// Wake says when Tick is due if nothing else happens; 0: at once.
func (b *Box) Wake(now time.Duration) time.Duration {
	if b.phase == offline {
		return maxWait
	}
	at := b.hello.last + helloEvery
	earlier := func(t time.Duration) { at = min(at, t) }
	if b.hello.out {
		at = b.hello.at + b.answerTimeout()
	} else if b.phase == greeting {
		earlier(b.hello.last + helloGap)
	}
	if b.phase == flowing {
		b.wakeFlow(earlier, now)
	}
	return max(at-now, 0)
}

func (b *Box) wakeFlow(earlier func(time.Duration), now time.Duration) {
	if len(b.flights) > 0 && !b.hello.out {
		earlier(max(b.progress, b.hello.last) + stallWait)
	}
	size := b.log.Size()
	if b.next < size && len(b.flights) < b.window {
		if b.waiting == 0 {
			earlier(now)
		} else {
			earlier(b.waiting + BatchDelay)
		}
	}
	if b.urgentNext < size && len(b.urgentOut) < maxUrgent {
		earlier(now)
	}
	for _, at := range b.urgentOut {
		earlier(at + stallWait)
	}
	switch {
	case b.partsSent != 0:
		earlier(b.partsSent + stallWait)
	case b.partsNext < b.acked:
		earlier(now)
	}
}

// pump sends what may leave now: urgent leaves first, then batches, then released parts.
func (b *Box) pump(now time.Duration, o *Out) error {
	if b.phase != flowing {
		return nil
	}
	if err := b.pumpUrgent(now, o); err != nil {
		return err
	}
	if err := b.pumpBatches(now, o); err != nil {
		return err
	}
	return b.pumpParts(now, o)
}

const maxUrgent = 32

func (b *Box) pumpUrgent(now time.Duration, o *Out) error {
	b.urgentNext = max(b.urgentNext, b.acked)
	size := b.log.Size()
	var due []uint64
	if b.urgentNext < size && len(b.urgentOut) < maxUrgent {
		seqs, next, err := b.log.UrgentFrom(b.urgentNext, size)
		if err != nil {
			return err
		}
		for _, s := range seqs {
			if len(b.urgentOut)+len(due) == maxUrgent {
				next = s
				break
			}
			due = append(due, s)
		}
		b.urgentNext = next
	}
	for seq, at := range b.urgentOut {
		if now-at >= stallWait {
			due = append(due, seq)
		}
	}
	for _, seq := range due {
		if err := b.sendUrgent(seq, size, o); err != nil {
			return err
		}
		b.urgentOut[seq] = now
	}
	return nil
}

func (b *Box) sendUrgent(seq, size uint64, o *Out) error {
	leaves, err := b.log.Leaves(seq, 1)
	if err != nil {
		return err
	}
	if len(leaves) != 1 || leaves[0].Bytes == nil {
		return nil // rotten: it travels as a hash in its batch
	}
	m := wire.UrgentMsg{Epoch: b.log.Epoch(), Seq: seq, Leaf: leaves[0].Bytes}
	if m.Proof, err = b.log.Inclusion(seq, size); err != nil {
		return err
	}
	if m.Checkpoint, err = b.log.Checkpoint(size); err != nil {
		return err
	}
	body, err := m.Encode()
	if err != nil {
		return err
	}
	o.Send = append(o.Send, Send{wire.Urgent, body})
	return nil
}

func (b *Box) pumpBatches(now time.Duration, o *Out) error {
	for len(b.flights) < b.window {
		size := b.log.Size()
		if b.next >= size {
			b.waiting = 0
			return nil
		}
		if size-b.next < b.entries {
			if b.waiting == 0 {
				b.waiting = now
			}
			if now-b.waiting < BatchDelay {
				return nil
			}
		}
		body, end, err := b.build(b.next, min(size-b.next, b.entries))
		if err != nil {
			return err
		}
		if len(b.flights) == 0 {
			b.progress = now
		}
		b.flights = append(b.flights, end)
		b.next, b.waiting = end, 0
		o.Send = append(o.Send, Send{wire.Up, body})
	}
	return nil
}

// build makes a batch of at most n leaves from first on, of fewer when they do not fit.
func (b *Box) build(first, n uint64) ([]byte, uint64, error) {
	leaves, err := b.log.Leaves(first, int(n))
	if err != nil {
		return nil, 0, err
	}
	if len(leaves) == 0 {
		return nil, 0, fmt.Errorf("no leaf at %d", first)
	}
	for {
		m := wire.Batch{Stream: wire.StreamUp, Epoch: b.log.Epoch(), First: first, Leaves: make([]wire.BatchLeaf, len(leaves))}
		for i, l := range leaves {
			m.Leaves[i] = wire.BatchLeaf{Bytes: l.Bytes, Hash: l.Hash}
		}
		if m.Root, err = b.log.Root(m.End()); err != nil {
			return nil, 0, err
		}
		if m.Checkpoint, err = b.log.Checkpoint(m.End()); err != nil {
			return nil, 0, err
		}
		body, err := m.Encode()
		if err == nil {
			return body, m.End(), nil
		}
		if !errors.Is(err, wire.ErrTooLarge) || len(leaves) == 1 {
			return nil, 0, err
		}
		leaves = leaves[:len(leaves)/2]
	}
}

// idleParts is how many leaves without released parts are passed before the centre is notified.
const idleParts = 10_000

func (b *Box) pumpParts(now time.Duration, o *Out) error {
	if b.partsSent != 0 {
		if now-b.partsSent < stallWait {
			return nil
		}
		b.partsSent, b.partsNext = 0, b.parts.Through
	}
	b.partsNext = max(b.partsNext, b.parts.Through)
	if b.partsNext >= b.acked {
		return nil
	}
	items, next, err := b.log.ReleasedFrom(b.partsNext, b.acked)
	if err != nil {
		return err
	}
	b.partsNext = next
	if len(items) == 0 && next-b.parts.Through < idleParts {
		return nil
	}
	m := wire.PayloadMsg{Epoch: b.log.Epoch(), Profile: Disclosure, From: b.parts.Through, To: next, Items: items}
	body, err := m.Encode()
	if err != nil {
		return err
	}
	b.partsSent, b.partsTo = now, next
	o.Send = append(o.Send, Send{wire.Payload, body})
	return nil
}
