package reader

import (
	"bytes"
	"context"
	"errors"
	"time"
)

// errSilent says that a reader gave no valid answer; errBusy that it asks to be asked later.
var (
	errSilent = errors.New("reader does not answer")
	errBusy   = errors.New("reader is busy")
)

// talk does the next step with one reader: reach it, show a signal, or poll. An error is one of the line;
// a reader's own faults only change its state.
func (b *Bus) talk(ctx context.Context, d *device) error {
	cmd := b.nextCommand(d)
	reply, err := b.exchange(ctx, d, cmd)
	switch {
	case errors.Is(err, errSilent):
		d.reached++
		b.lost(d, Offline, ReasonSilent)
		return nil
	case errors.Is(err, errBusy):
		b.busy(d, cmd)
		return nil
	case errors.Is(err, errMAC):
		d.reached++
		b.lost(d, Refused, ReasonChannel)
		return nil
	case err != nil:
		return err
	}
	d.busySince = time.Time{}
	b.handleAnswer(d, cmd, reply)
	return nil
}

// busy keeps what a busy reader has not done: it is asked again under the same number, after the others.
func (b *Bus) busy(d *device, cmd command) {
	now := time.Now()
	if d.busySince.IsZero() {
		d.busySince = now
	}
	d.again, d.next = &cmd, now.Add(busyPause)
	if now.Sub(d.busySince) >= maxBusyWait {
		b.setState(d, Offline, ReasonBusy)
	}
}

func (b *Bus) nextCommand(d *device) command {
	if c := d.again; c != nil {
		d.again = nil
		return *c
	}
	switch d.phase {
	case phaseReach:
		// Some answer nothing before they were polled, some only packets with the one-byte checksum.
		d.sum = d.reached/2%2 == 1
		if d.reached%2 == 1 && !d.polled {
			return command{cmdPoll, nil}
		}
		return command{cmdID, []byte{0}}
	case phaseInquire:
		return command{cmdCap, []byte{0}}
	case phaseChallenge:
		d.ch = newChannel(b.keyFor(d))
		return d.ch.challenge()
	case phaseCrypt:
		return d.crypt
	case phaseKeySet:
		return keySet(d.Key)
	case phaseConfirm:
		return command{cmdPoll, nil}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue) > 0 {
		c := d.queue[0]
		d.queue = d.queue[1:]
		return c
	}
	d.counts.Polls++
	d.next = time.Now().Add(pollEvery)
	return command{cmdPoll, nil}
}

// exchange sends a command and waits for its answer. No answer, or a damaged one, is asked for again under
// the same sequence number: the reader then repeats what it said, so that no card read is lost or doubled.
func (b *Bus) exchange(ctx context.Context, d *device, c command) (frame, error) {
	attempts := maxTries
	if d.phase == phaseReach {
		attempts = 1 // nobody may be there; do not hold up the others
	}
	failed := errSilent
	for attempts > 0 {
		if err := b.serial.send(ctx, d.encode(c), replyWithin); err != nil {
			return frame{}, err
		}
		f, err := b.answer(ctx, d)
		switch {
		case errors.Is(err, errSilent):
			attempts--
		case err != nil:
			return frame{}, err
		case f.code == replyBusy:
			return frame{}, errBusy
		case f.nak() == nakSequence && d.ch != nil && d.seq != 0:
			return frame{}, errMAC // it has forgotten the channel
		case f.nak() == nakSequence && d.seq != 0:
			// It lost count (restarted): begin again.
			b.count(d, func(n *Counts) { n.NAKs++ })
			d.seq = 0
			attempts--
		case f.nak() == nakCheck:
			// What we sent came damaged. It has not counted it: the same again under the same number.
			b.count(d, func(n *Counts) { n.NAKs++ })
			attempts--
		default:
			if f, err = d.decode(c, f); err != nil {
				// Damaged beyond what the check bytes see, or from somebody else: never an answer.
				b.count(d, func(n *Counts) { n.Malformed++ })
				failed = err
				attempts--
				continue
			}
			d.seq = d.seq%3 + 1
			return f, nil
		}
	}
	return frame{}, failed
}

// encode writes a command as this reader gets it: in clear, as a part of opening the channel, or inside the channel.
func (d *device) encode(c command) []byte {
	f := frame{address: d.Address, seq: d.seq, crc: !d.sum, code: c.code, data: c.data}
	if scs, ok := shakes(c.code); ok {
		f.secure, f.scs, f.scsData = true, scs, []byte{d.ch.keyByte}
	} else if d.ch != nil && d.ch.open {
		return d.ch.seal(nil, f)
	}
	return f.append(nil)
}

// decode takes an answer out of the channel when there is one.
func (d *device) decode(c command, f frame) (frame, error) {
	if _, opening := shakes(c.code); opening || d.ch == nil || !d.ch.open {
		return f, nil
	}
	return d.ch.unseal(f)
}

// answer waits for this reader's reply to what was just sent; frames of others, late ones and noise do not count.
func (b *Bus) answer(ctx context.Context, d *device) (frame, error) {
	t := time.NewTimer(replyWithin)
	defer t.Stop()
	behind := time.Now().Add(10 * replyWithin)
	before := b.dec.malformed
	defer func() {
		if n := b.dec.malformed - before; n > 0 {
			b.count(d, func(c *Counts) { c.Malformed += n })
		}
	}()
	for {
		for f, ok := b.dec.next(); ok; f, ok = b.dec.next() {
			busy := f.code == replyBusy && f.seq == 0
			switch {
			case !f.reply || f.address != d.Address:
			case f.seq == d.seq || busy || f.nak() == nakSequence: // one that restarted counts from 0
				return f, nil
			case time.Now().Before(behind):
				// A repeat of an earlier answer: it is there, and behind. Giving up would lose what it has to say.
				t.Reset(replyWithin)
			}
		}
		if b.dec.malformed != before {
			// A damaged answer: ask again as soon as the line is quiet, without waiting out the time.
			t.Reset(silentAfter)
		}
		select {
		case in := <-b.serial.in:
			b.dec.feed(in)
		case err := <-b.serial.fail:
			return frame{}, err
		case <-t.C:
			b.dec.abandon()
			if b.dec.malformed == before {
				b.count(d, func(c *Counts) { c.Timeouts++ })
			}
			return frame{}, errSilent
		case <-ctx.Done():
			return frame{}, ctx.Err()
		}
	}
}

// handleAnswer processes a valid answer.
func (b *Bus) handleAnswer(d *device, c command, f frame) {
	if d.phase == phaseChallenge || d.phase == phaseCrypt || d.phase == phaseKeySet {
		b.openChannel(d, f)
		return
	}
	if f.code == replyNAK || f.secure {
		b.handleNAK(d, c, f)
		return
	}
	switch d.phase {
	case phaseReach:
		if c.code == cmdPoll {
			d.polled, d.next = true, time.Time{}
			if !d.Secure {
				b.handlePoll(d, f) // it may have a card
			}
			return
		}
		v, code, err := parseID(f.data)
		if f.code != replyID || err != nil {
			b.count(d, func(n *Counts) { n.Malformed++ })
			b.lost(d, Refused, ReasonProtocol)
			return
		}
		d.vendor, d.code, d.phase = v, code, phaseInquire
		return
	case phaseInquire:
		if f.code != replyCap {
			b.lost(d, Refused, ReasonProtocol)
			return
		}
		b.setCapabilities(d, parseCap(f.data))
		b.afterInquiry(d)
		return
	case phaseConfirm:
		// A reader may tell who it is and refuse all else: only who answers a poll is on line.
		d.phase, d.online = phasePoll, time.Now()
		b.setAnswering(d)
	}
	if c.code == cmdPoll {
		b.setAnswering(d) // it was busy, or read a card as we want it
		b.handlePoll(d, f)
	}
}

// installing says whether a person has opened the time for giving this reader its key, and it has not taken it yet.
func (b *Bus) installing(d *device) bool {
	return d.HasKey && !d.keyed && d.Install > b.o.Clock.Now().Mono
}

// keyFor is the key to try next. The default key is tried only while the reader is being installed: one that has
// forgotten its key by itself, or was exchanged, gets no key from us.
func (b *Bus) keyFor(d *device) Key {
	if b.installing(d) && d.refusals%2 == 0 {
		return defaultKey
	}
	return d.Key
}

// afterInquiry goes on with a reader that has said who it is: in clear, or to the secure channel.
func (b *Bus) afterInquiry(d *device) {
	switch {
	case !d.Secure:
		d.phase = phaseConfirm
	case !d.HasKey:
		b.lost(d, Refused, ReasonNoKey)
	default:
		d.phase = phaseChallenge
	}
}

// openChannel takes the answers that open the channel, and the one to a new key.
func (b *Bus) openChannel(d *device, f frame) {
	switch d.phase {
	case phaseChallenge:
		cmd, err := d.ch.answer(f)
		if err != nil {
			b.keyRefused(d, f)
			return
		}
		d.crypt, d.phase = cmd, phaseCrypt
	case phaseCrypt:
		if err := d.ch.confirm(f); err != nil {
			b.keyRefused(d, f)
			return
		}
		d.phase = phaseConfirm
		if d.ch.key == defaultKey {
			d.phase = phaseKeySet
		}
	default:
		if f.code != replyACK {
			b.keyRefused(d, f)
			return
		}
		d.keyed, d.refusals = true, 0
		if b.o.OnKey != nil {
			b.o.OnKey(d.ID)
		}
		// From the start, by its own key.
		d.phase, d.seq, d.ch, d.next = phaseReach, 0, nil, time.Now().Add(busyPause)
	}
}

// keyRefused sets back a reader that does not open the channel, or does not take its key.
func (b *Bus) keyRefused(d *device, f frame) {
	d.refusals++
	reason := ReasonKey
	if n := f.nak(); n == nakSecurity || n == nakUnknown {
		reason = ReasonNoSecure
	}
	if b.lost(d, Refused, reason) {
		b.o.Log.Error("card reader does not open the secure channel; it gets no key by itself", "reader", d.ID, "reason", reason)
	}
}

// setCapabilities stores the capabilities that a reader reports.
func (b *Bus) setCapabilities(d *device, c capabilities) {
	d.formatted = c.formatted
	d.mu.Lock()
	d.mute, d.dark = c.mute, c.dark
	d.mu.Unlock()
}

// handlePoll processes the answer to a poll.
func (b *Bus) handlePoll(d *device, f frame) {
	switch f.code {
	case replyRaw:
		d.formatted = false
		b.card(d, f.data)
	case replyFormat:
		d.next, d.formatted = time.Now(), true
		b.count(d, func(n *Counts) { n.Malformed++ })
	case replyLocal:
		d.tamper = len(f.data) > 0 && f.data[0] != 0
	default:
		return
	}
	if d.phase == phasePoll {
		b.setAnswering(d)
	}
}

// setAnswering sets the state of a reader that answers polls.
func (b *Bus) setAnswering(d *device) {
	switch {
	case d.formatted:
		if b.setState(d, Refused, ReasonFormat) {
			b.o.Log.Error("card reader sends card numbers as text, which says nothing certain of the card; set it to raw card data", "reader", d.ID)
		}
	case d.tamper:
		b.setState(d, Online, ReasonTamper)
	default:
		b.setState(d, Online, ReasonAnswers)
	}
}

func (b *Bus) card(d *device, data []byte) {
	d.next = time.Now() // it may have more; ask again at once
	bits, uid, err := parseRaw(data)
	if err != nil {
		b.count(d, func(n *Counts) { n.Malformed++ })
		b.o.Log.Warn("card reader sent card data that is not whole", "reader", d.ID, "err", err)
		return
	}
	b.count(d, func(n *Counts) { n.Reads++ })
	b.o.OnCard(CardRead{Reader: d.ID, Bits: bits, UID: bytes.Clone(uid), At: b.o.Clock.Now().Mono})
}

// handleNAK acts on a NAK, or on an answer inside a secure channel that nobody opened.
func (b *Bus) handleNAK(d *device, c command, f frame) {
	b.count(d, func(n *Counts) { n.NAKs++ })
	code := f.nak()
	switch {
	case f.secure || code == nakCondition || code == nakSecurity:
		if b.lost(d, Refused, ReasonSecure) {
			b.o.Log.Error("card reader demands the OSDP secure channel; turn it on and install the reader's key on its page", "reader", d.ID)
		}
	case d.phase == phaseInquire:
		// Old readers cannot say what they can do. They can still read cards.
		b.setCapabilities(d, capabilities{})
		b.afterInquiry(d)
	case d.phase == phaseReach || c.code == cmdPoll:
		b.lost(d, Refused, ReasonProtocol)
	default:
		b.o.Log.Warn("card reader refused a signal", "reader", d.ID, "command", c.code, "nak", code)
	}
}

// steadyAfter is how long a reader must have been on line for the next attempt to come soon: one that comes and goes is
// asked less and less often.
const steadyAfter = 10 * time.Second

// lost sets a reader back to being reached for, less and less often, and says whether that is news.
func (b *Bus) lost(d *device, s State, reason string) bool {
	if d.phase == phasePoll && time.Since(d.online) >= steadyAfter {
		d.probe = probeFirst
	}
	if d.phase != phaseReach {
		d.reached = 0
		if d.sum {
			d.reached = 2 // it was reached by the checksum
		}
	}
	d.phase, d.seq, d.polled, d.tamper, d.busySince, d.ch = phaseReach, 0, false, false, time.Time{}, nil
	d.next = time.Now().Add(d.probe)
	d.probe = min(2*d.probe, maxProbeWait)
	return b.setState(d, s, reason)
}

func (b *Bus) count(d *device, f func(*Counts)) {
	d.mu.Lock()
	f(&d.counts)
	d.mu.Unlock()
}
