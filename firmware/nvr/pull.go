package nvr

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"campuskeep/firmware/nvr/driver"
	"campuskeep/firmware/nvr/nvrtime"

	"campuskeep/firmware/vault"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

const (
	segmentTime = time.Minute
	// placeTries is how many pictures may come before an NVR that states times has stated one.
	placeTries = 50
	// drift is how far a time that an NVR states may lie from where the pictures before it end: more is a hole.
	drift = 2 * time.Second
	// maxPending are the bytes of one playback that may wait for their place in time.
	maxPending = 64 << 20
)

// played is the result of one playback.
type played struct {
	done      []footage.Span // in the vault, durable
	bytes     int64
	empty     footage.Span // the beginning of the part, when the first picture is said to lie behind it
	skippedTo time.Time    // what the NVR says of its first picture, when that lies behind the whole part
	seen      bool         // pictures came
	// reached: the pictures go up to the end of the part. A group that does not end by then is not kept.
	reached bool
	end     time.Time // where whole groups of pictures end by their own times; zero: there was none
}

// lastGroup is the last group that a fetch has stored.
type lastGroup struct {
	fetch string
	at    time.Time
	first [32]byte // see group
}

// playback stores the footage of one playback in the vault.
//
// A recorder's list does not show every hole, and its RTP times may go on over one as if there were none. So pictures
// are held back until their place is certain: until an absolute time that the NVR states behind them fits, or until
// they are as long as what was asked for. What stays uncertain is dropped, and requested again in smaller parts.
type playback struct {
	r    *Supervisor
	ctx  context.Context
	c    nvrtime.Calibration
	f    Fetch
	part part
	tail time.Duration // that was asked for beyond the part

	mux        muxer
	waiting    []driver.AccessUnit // until the place in time is known
	first      uint32
	last       uint32
	begun      bool
	placed     bool
	zero       time.Time // true instant of tick 0
	doubt      time.Duration
	again      uint32 // RTP time of the last statement of time
	statements int    // statements so far
	stepped    bool   // the times went on from somewhere else
	wrong      bool   // a stated time did not fit

	pending []group       // whose place is not certain yet
	size    int64         // bytes of held
	length  time.Duration // of the longest group
	before  lastGroup     // what the playback before brought last

	boot    string
	session uint64
	writer  *vault.Writer
	opened  int64  // ticks at which the segment began
	init    []byte // of the segment
	got     played
}

// play plays a part and puts its whole groups of pictures into the vault, as far as their place in time is certain.
// What it returns is durable there, also beside an error.
func (r *Supervisor) play(ctx context.Context, l *connection, c nvrtime.Calibration, f Fetch, part part) (played, error) {
	// A second more on both sides, because digits are cut to seconds, and the end of the last group.
	p := &playback{r: r, ctx: ctx, c: c, f: f, part: part, tail: 2*time.Second + l.groups[part.track], before: l.last}
	p.mux.emit = p.group
	begin := part.From.Add(-time.Second)
	if part.small {
		p.tail = time.Second
		if c.PlayStated { // so that the first group is the wanted one
			begin = part.From.Add(time.Second - time.Nanosecond)
		}
	}
	from, to := c.Stamp(begin, c.Play), c.Stamp(part.To.Add(p.tail), c.Play)
	err := l.driver.Play(ctx, part.track, from, to, p.add)
	if err == nil || errors.Is(err, driver.ErrEnough) {
		err = p.finish()
	}
	// What came is kept even when the NVR has gone, or we are to stop.
	keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if cerr := p.close(); cerr != nil {
		err = errors.Join(err, cerr)
	}
	p.remember(l)
	if len(p.got.done) == 0 {
		return p.got, err
	}
	if ferr := r.o.Vault.Flush(keep); ferr != nil {
		p.got.done, p.got.bytes = nil, 0
		return p.got, errors.Join(err, fmt.Errorf("fetched footage is not durable: %w", ferr))
	}
	return p.got, err
}

// add takes the pictures. Where the NVR states times, nothing is placed before one was stated.
func (p *playback) add(a driver.AccessUnit) error {
	p.got.seen = true
	if !p.begun {
		p.begun, p.first, p.last = true, a.Ticks, a.Ticks
	}
	// A step of the times says that something is missing, and by itself not how much.
	if step := int64(int32(a.Ticks - p.last)); step > holeTime || step < -clockRate {
		p.stepped = true
		return driver.ErrEnough
	}
	p.last = a.Ticks
	if p.placed {
		if err := p.compare(a); err != nil {
			return err
		}
		return p.mux.add(a)
	}
	for i := range a.NALs {
		a.NALs[i] = bytes.Clone(a.NALs[i]) // the driver may use its memory again
	}
	p.waiting = append(p.waiting, a)
	if a.Clock.IsZero() && p.c.PlayStated && len(p.waiting) < placeTries {
		return nil
	}
	if err := p.place(a); err != nil {
		return err
	}
	for _, w := range p.waiting {
		if err := p.mux.add(w); err != nil {
			return err
		}
	}
	p.waiting = nil
	return nil
}

// place finds the true instant of the first picture.
func (p *playback) place(a driver.AccessUnit) error {
	_, p.doubt, _ = p.c.UTC(driver.Stamp{Digits: p.part.From, Mark: driver.MarkZ}, nvrtime.MeansUTC)
	p.doubt += p.tail    // a hole that is shorter does not show
	if !p.c.PlayStated { // it begins at the key frame before
		p.zero, p.doubt, p.placed = p.part.From.Add(-time.Second), p.doubt+groupTime, true
		if p.part.small {
			p.doubt += p.part.Duration()
		}
		return nil
	}
	if a.Clock.IsZero() {
		return fmt.Errorf("%w: it states none", errPlayTime)
	}
	p.zero = p.stated(a).Add(-fromTicks(int64(int32(a.Ticks - p.first))))
	p.placed, p.statements, p.again = true, 1, a.ClockTicks
	if p.part.From.Sub(p.zero) > groupTime+time.Second {
		return fmt.Errorf("%w: %v for %v", errPlayTime, p.zero, p.part.From)
	}
	if !p.zero.Before(p.part.To) {
		p.got.skippedTo = p.zero
		return driver.ErrEnough
	}
	if p.zero.Sub(p.part.From) > drift { // it begins in a hole
		p.got.empty = footage.Span{From: p.part.From, To: p.zero}
	}
	return nil
}

// stated is the true instant of a picture by what the NVR states.
func (p *playback) stated(a driver.AccessUnit) time.Time {
	if p.c.Known {
		return a.Clock.Add(-p.c.Offset)
	}
	return a.Clock
}

// compare holds each time that the NVR states against where the pictures are placed. One that fits makes certain what
// lies before it; after one that does not, nothing is.
func (p *playback) compare(a driver.AccessUnit) error {
	if !p.c.PlayStated || a.Clock.IsZero() || a.ClockTicks == p.again {
		return nil
	}
	p.statements, p.again = p.statements+1, a.ClockTicks
	since := int64(int32(a.Ticks - p.first))
	if p.stated(a).Sub(p.zero.Add(fromTicks(since))).Abs() > drift {
		p.wrong = true
		return driver.ErrEnough
	}
	return p.keep(int64(int32(a.ClockTicks - p.first)))
}

// group takes a whole group of pictures. Groups outside of what was asked for, and what is in the vault already, are
// dropped: a playback begins at the key frame before.
func (p *playback) group(g group) error {
	p.length = max(p.length, fromTicks(g.to-g.from))
	if !p.c.PlayStated && p.follows(g) {
		return nil
	}
	span := p.span(g)
	p.got.end = span.To
	if !span.From.Before(p.part.To) {
		p.got.reached = true
		switch {
		case len(p.pending) == 0:
			return driver.ErrEnough
		case span.From.Sub(p.part.To) > p.tail+groupTime: // then where it ends says nothing
			return fmt.Errorf("%w: it plays on, and states no more times", errPlayTime)
		}
		return nil
	}
	if !span.To.After(p.part.From) {
		return nil
	}
	for _, d := range slices.Concat(p.f.Done, p.got.done) {
		if both := d.Intersect(span); both.Duration() > span.Duration()/2 {
			return nil
		}
	}
	p.pending, p.size = append(p.pending, g), p.size+g.size
	if p.part.small && p.c.PlayStated { // the place of the first is stated, that of the next one is asked for
		return driver.ErrEnough
	}
	p.r.notePlayed(p.f.ID, mergeSpans(append(p.spans(p.pending), p.got.done...)), false)
	if p.size > maxPending {
		return driver.ErrEnough
	}
	return nil
}

// follows recognizes the group that the playback before has brought last, and goes on behind it.
func (p *playback) follows(g group) bool {
	if p.before.fetch != p.f.ID || p.before.first != g.first || !p.before.at.Equal(p.part.From) {
		return false
	}
	zero := p.part.From.Add(-fromTicks(g.to))
	if zero.Sub(p.zero).Abs() > groupTime {
		return false
	}
	p.zero, p.pending, p.size, p.before = zero, nil, 0, lastGroup{}
	return true
}

// remember remembers what the next playback of the track needs to know.
func (p *playback) remember(l *connection) {
	if n := len(p.mux.pictures); n > 0 {
		p.length = max(p.length, fromTicks(p.mux.pictures[n-1].pts-p.mux.pictures[0].pts))
	}
	l.groups[p.part.track] = min(max(l.groups[p.part.track], p.length), groupTime)
	l.statesTimes = p.statements > 1
	if n := len(p.got.done); n > 0 {
		l.last = lastGroup{p.f.ID, p.got.done[n-1].To, p.before.first}
	}
}

func (p *playback) span(g group) footage.Span {
	return footage.Span{From: p.zero.Add(fromTicks(g.from)), To: p.zero.Add(fromTicks(g.to))}
}

func (p *playback) spans(list []group) (out []footage.Span) {
	for _, g := range list {
		out = append(out, p.span(g))
	}
	return out
}

// finish takes what is held when the playback is over. Its last group is whole when the times step behind it, or when
// the recording ends there.
func (p *playback) finish() error {
	if !p.placed {
		return nil
	}
	if n := len(p.mux.pictures); n > 0 {
		last := p.zero.Add(fromTicks(p.mux.pictures[n-1].pts))
		need := p.part.To.Add(-fromTicks(p.mux.usual))
		if p.part.last {
			need = p.part.To.Add(-edgeSlack)
		}
		p.got.reached = p.got.reached || !last.Before(need)
		if p.stepped || p.part.small && len(p.pending) == 0 || p.part.small && !p.c.PlayStated || p.part.last && p.got.reached {
			if err := p.mux.finish(-1); err != nil && !errors.Is(err, driver.ErrEnough) {
				return err
			}
		}
	}
	if p.got.reached && !p.wrong || p.part.small {
		return p.keep(1 << 62)
	}
	return nil
}

// keep writes the groups that end by then: their place is certain.
func (p *playback) keep(until int64) error {
	for len(p.pending) > 0 && p.pending[0].to <= until {
		g := p.pending[0]
		if err := p.write(g); err != nil {
			return err
		}
		p.pending, p.size = p.pending[1:], p.size-g.size
		p.got.done = append(p.got.done, p.span(g))
		p.got.bytes += g.size
		p.before.first = g.first
	}
	return nil
}

// begin makes the place in time an anchor, before anything is written.
func (p *playback) begin() error {
	if p.boot != "" {
		return nil
	}
	// Every playback is a boot of its own in the vault: it has one clock, which starts with it. Its name owes nothing
	// to our clock, which may be still or step.
	var b [8]byte
	rand.Read(b[:]) // never fails
	p.boot = bootOf(p.f.ID, b)
	p.session = binary.BigEndian.Uint64(b[:])
	// The first picture is placed a second after the start: decoding may begin before it is shown.
	err := p.r.o.Anchor(p.ctx, clock.Anchor{Boot: p.boot, Mono: time.Second, UTC: p.zero, Uncertainty: p.doubt})
	if err != nil {
		return fmt.Errorf("anchor of fetch %s: %w", p.f.ID, err)
	}
	return nil
}

func bootOf(fetch string, b [8]byte) string { return fmt.Sprintf("%s-%x", fetch, b) }

func (p *playback) write(g group) error {
	if err := p.begin(); err != nil {
		return err
	}
	if err := p.open(g); err != nil {
		return err
	}
	for _, f := range g.fragments {
		if err := p.fragment(f); err != nil {
			return err
		}
	}
	return nil
}

func (p *playback) mono(ticks int64) time.Duration { return time.Second + fromTicks(ticks) }

// open begins another segment when it is time, or the parameters have changed.
func (p *playback) open(g group) error {
	same := p.writer != nil && string(p.init) == string(g.init)
	if same && fromTicks(g.from-p.opened) < segmentTime {
		return nil
	}
	if err := p.close(); err != nil {
		return err
	}
	if p.init != nil && !same && string(p.init) != string(g.init) {
		p.session++
	}
	at := p.zero.Add(fromTicks(g.from))
	w, err := p.r.o.Vault.Begin(vault.Meta{
		Camera: p.f.Camera, Day: at.In(p.r.o.Zone).Format(time.DateOnly), Boot: p.boot, Session: p.session,
		Codec: g.codec, Init: g.init, From: p.mono(g.from), Wall: at,
	})
	if err != nil {
		return fmt.Errorf("fetch %s: %w", p.f.ID, err)
	}
	p.writer, p.opened, p.init = w, g.from, g.init
	return nil
}

func (p *playback) fragment(f fragment) error {
	v := vault.Fragment{FragmentInfo: footage.FragmentInfo{From: p.mono(f.from), To: p.mono(f.to), Key: f.key}, Wall: p.zero.Add(fromTicks(f.from)), Data: f.data}
	err := p.writer.Fragment(v)
	if errors.Is(err, vault.ErrOverload) {
		if err = p.r.o.Vault.Flush(p.ctx); err == nil {
			err = p.writer.Fragment(v)
		}
	}
	if err != nil {
		return fmt.Errorf("fetch %s: %w", p.f.ID, err)
	}
	return nil
}

func (p *playback) close() error {
	w := p.writer
	p.writer = nil
	if w == nil {
		return nil
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("fetch %s: close segment: %w", p.f.ID, err)
	}
	return nil
}
