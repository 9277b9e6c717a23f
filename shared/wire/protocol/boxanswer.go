package protocol

import (
	"time"

	"campuskeep/shared/wire"
)

// answered takes the answer to the hello that is out; any other answer is stale and says nothing.
func (b *Box) answered(now time.Duration, m wire.AckMsg, o *Out) error {
	if !b.hello.out || m.Answer.Nonce != b.hello.nonce {
		return nil
	}
	b.hello.out = false
	b.hello.tries = 0
	b.sample(now, m, o)
	if m.Incarnation != b.incarnation {
		return b.newIncarnation(now, m, o)
	}
	if b.branch != nil && m.Answer.Granted != nil && *m.Answer.Granted == b.branch.ID {
		return b.granted(now, m, o)
	}
	epoch := b.log.Epoch()
	if m.Latest == epoch && m.Epoch == epoch {
		if m.Stored < b.hello.acked {
			// It has less than it acknowledged and does not know it. Our next hello shows its own signature.
			b.phase = greeting
			o.note("centre_has_less acknowledged=%d stored=%d", b.hello.acked, m.Stored)
			return nil
		}
		same, err := b.agrees(m.Stored, m.Root)
		if err != nil {
			return err
		}
		if same {
			return b.agreed(now, m, o)
		}
	}
	b.phase = greeting
	return b.find(now, m, o)
}

// sample takes the centre's signed time.
func (b *Box) sample(now time.Duration, m wire.AckMsg, o *Out) {
	at, err := wire.OpenTime(m.Answer.Time, b.hello.nonce, b.centre.Key)
	if err != nil {
		o.note("centre_time_invalid")
		return
	}
	o.Time = &Sample{At: at, Within: now - b.hello.at}
}

// newIncarnation begins with a new incarnation of the centre: what the old one acknowledged may be gone.
func (b *Box) newIncarnation(now time.Duration, m wire.AckMsg, o *Out) error {
	if b.incarnation != "" {
		o.note("centre_restored incarnation=%s acknowledged=%d stored=%d", m.Incarnation, b.acked, m.Stored)
	}
	acked := uint64(0)
	if m.Latest == b.log.Epoch() && m.Epoch == m.Latest {
		same, err := b.agrees(m.Stored, m.Root)
		if err != nil {
			return err
		}
		if same {
			acked = m.Stored
		}
	}
	if err := b.mem.SaveIncarnation(m.Incarnation, acked); err != nil {
		return err
	}
	b.incarnation, b.witnessed, b.acked = m.Incarnation, nil, acked
	b.phase, b.search, b.branch = greeting, search{}, nil
	b.flights, b.next = nil, acked
	return b.greet(now, o)
}

// agreed lets the leaves flow from what the centre has.
func (b *Box) agreed(now time.Duration, m wire.AckMsg, o *Out) error {
	// Without a cosignature there is nothing in this epoch yet but what it inherited.
	signed := len(m.Witnessed) > 0
	if signed && !b.cosigned(m, o) {
		b.phase = greeting
		return nil
	}
	b.phase, b.search, b.branch = flowing, search{}, nil
	b.advance(now, max(b.acked, m.Stored))
	b.next, b.flights, b.waiting, b.progress = b.acked, nil, 0, now
	b.rewoundAt = b.acked
	b.urgentNext = b.acked
	clear(b.urgentOut)
	b.partsSent = 0
	b.parts = wire.PartCursor{}
	b.setPartCursor(m.Parts)
	b.window = min(m.Window, wire.Window)
	if signed && m.Stored == b.acked {
		return b.keep(m)
	}
	return nil
}

// find narrows down where the logs part, then asks for a branch there.
func (b *Box) find(now time.Duration, m wire.AckMsg, o *Out) error {
	limit := min(b.log.Size(), m.Stored)
	s := &b.search
	if !s.on || s.base != m.Epoch {
		*s = search{on: true, base: m.Epoch, hi: limit + 1}
		b.branch = nil
	}
	s.had = max(s.had, m.Stored)
	s.lo = max(s.lo, m.Answer.Agree)
	if m.Answer.Differ > 0 {
		s.hi = min(s.hi, m.Answer.Differ)
	}
	if m.Stored <= b.log.Size() {
		same, err := b.agrees(m.Stored, m.Root)
		if err != nil {
			return err
		}
		if same {
			s.lo = max(s.lo, m.Stored)
			s.hi = max(s.hi, s.lo+1)
		} else {
			s.hi = min(s.hi, m.Stored)
		}
	}
	if s.lo >= s.hi { // the centre's answers contradict each other
		*s = search{on: true, base: m.Epoch, hi: limit + 1}
		o.note("search_restarted")
		return nil // the next hello begins again
	}
	if s.hi-s.lo > 1 {
		b.branch = nil
		return b.greet(now, o)
	}
	root, err := b.log.Root(s.lo)
	if err != nil {
		return err
	}
	want := wire.Branch{ID: b.nonce(), Latest: m.Latest, Base: m.Epoch, Fork: s.lo, Root: root}
	if b.branch != nil && b.branch.Latest == want.Latest && b.branch.Base == want.Base && b.branch.Fork == want.Fork {
		// Asked for exactly this already and refused: only after a wait once more.
		b.branch, b.search = nil, search{}
		return nil
	}
	b.branch = &want
	return b.greet(now, o)
}

// granted continues under the new epoch.
func (b *Box) granted(now time.Duration, m wire.AckMsg, o *Out) error {
	fork := b.branch.Fork
	same, err := b.agrees(m.Stored, m.Root)
	if err != nil {
		return err
	}
	had := max(fork, b.search.had)
	b.branch, b.search = nil, search{}
	if m.Epoch != m.Latest || m.Latest <= b.log.Epoch() || m.Stored != fork || !same {
		o.note("grant_invalid epoch=%d", m.Latest)
		return nil
	}
	reason := "forked"
	if fork == b.log.Size() {
		reason = "restored"
	}
	if err := b.mem.Branch(m.Latest, fork, had, reason); err != nil {
		return err
	}
	o.note("branched epoch=%d fork=%d", m.Latest, fork)
	b.acked, b.next, b.witnessed = fork, fork, nil
	return b.greet(now, o)
}
