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
	// mostHeld are the bytes of one playback that may wait for their place in time.
	mostHeld = 64 << 20
)

// pulled is what one playback has shown.
type pulled struct {
	done  []footage.Span // in the vault, durable
	bytes int64
	empty footage.Span // the beginning of the part, when the first picture is said to lie behind it
	away  time.Time    // what the NVR says of its first picture, when that lies behind the whole part
	seen  bool         // pictures came
	// reached: the pictures go up to the end of the part. A group that does not end by then is not kept.
	reached bool
	end     time.Time // where whole groups of pictures end by their own times; zero: there was none
}

// ending is the last group that a fetch has brought.
type ending struct {
	fetch string
	at    time.Time
	first [32]byte // see group
}

// puller brings one playback into the vault.
//
// A recorder's list does not show every hole, and its RTP times may go on over one as if there were none. So pictures
// are held back until their place is certain: until an absolute time that the NVR states behind them fits, or until
// they are as long as what was asked for. What stays uncertain is dropped, and asked for again in smaller parts.
type puller struct {
	r    *Room
	ctx  context.Context
	c    Calibration
	f    Fetch
	part part
	tail time.Duration // that was asked for beyond the part

	mux     muxer
	waiting []AccessUnit // until the place in time is known
	first   uint32
	last    uint32
	begun   bool
	placed  bool
	zero    time.Time // true instant of tick 0
	doubt   time.Duration
	again   uint32 // RTP time of the last statement of time
	told    int    // statements so far
	stepped bool   // the times went on from somewhere else
	wrong   bool   // a stated time did not fit

	held   []group       // whose place is not certain yet
	size   int64         // bytes of held
	length time.Duration // of the longest group
	before ending        // what the playback before brought last

	boot    string
	session uint64
	writer  *vault.Writer
	opened  int64  // ticks at which the segment began
	init    []byte // of the segment
	got     pulled
}

// pull plays a part and puts its whole groups of pictures into the vault, as far as their place in time is certain.
// What it returns is durable there, also beside an error.
func (r *Room) pull(ctx context.Context, l *link, c Calibration, f Fetch, part part) (pulled, error) {
	// A second more on both sides, because digits are cut to seconds, and the end of the last group.
	p := &puller{r: r, ctx: ctx, c: c, f: f, part: part, tail: 2*time.Second + l.groups[part.track], before: l.ending}
	p.mux.emit = p.group
	begin := part.From.Add(-time.Second)
	if part.small {
		p.tail = time.Second
		if c.PlayTold { // so that the first group is the wanted one
			begin = part.From.Add(time.Second - time.Nanosecond)
		}
	}
	from, to := c.Stamp(begin, c.Play), c.Stamp(part.To.Add(p.tail), c.Play)
	err := l.driver.Play(ctx, part.track, from, to, p.take)
	if err == nil || errors.Is(err, ErrEnough) {
		err = p.finish()
	}
	// What came is kept even when the NVR has gone, or we are to stop.
	keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if cerr := p.close(); cerr != nil {
		err = errors.Join(err, cerr)
	}
	p.learn(l)
	if len(p.got.done) == 0 {
		return p.got, err
	}
	if ferr := r.o.Vault.Flush(keep); ferr != nil {
		p.got.done, p.got.bytes = nil, 0
		return p.got, errors.Join(err, fmt.Errorf("fetched footage is not durable: %w", ferr))
	}
	return p.got, err
}

// take takes the pictures. Where the NVR states times, nothing is placed before one was stated.
func (p *puller) take(a AccessUnit) error {
	p.got.seen = true
	if !p.begun {
		p.begun, p.first, p.last = true, a.Ticks, a.Ticks
	}
	// A step of the times says that something is missing, and by itself not how much.
	if step := int64(int32(a.Ticks - p.last)); step > holeTime || step < -clockRate {
		p.stepped = true
		return ErrEnough
	}
	p.last = a.Ticks
	if p.placed {
		if err := p.compare(a); err != nil {
			return err
		}
		return p.mux.take(a)
	}
	for i := range a.NALs {
		a.NALs[i] = bytes.Clone(a.NALs[i]) // the driver may use its memory again
	}
	p.waiting = append(p.waiting, a)
	if a.Clock.IsZero() && p.c.PlayTold && len(p.waiting) < placeTries {
		return nil
	}
	if err := p.place(a); err != nil {
		return err
	}
	for _, w := range p.waiting {
		if err := p.mux.take(w); err != nil {
			return err
		}
	}
	p.waiting = nil
	return nil
}

// place finds the true instant of the first picture.
func (p *puller) place(a AccessUnit) error {
	_, p.doubt, _ = p.c.UTC(Stamp{Digits: p.part.From, Mark: MarkZ}, MeansUTC)
	p.doubt += p.tail  // a hole that is shorter does not show
	if !p.c.PlayTold { // it begins at the key frame before
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
	p.placed, p.told, p.again = true, 1, a.ClockTicks
	if p.part.From.Sub(p.zero) > groupTime+time.Second {
		return fmt.Errorf("%w: %v for %v", errPlayTime, p.zero, p.part.From)
	}
	if !p.zero.Before(p.part.To) {
		p.got.away = p.zero
		return ErrEnough
	}
	if p.zero.Sub(p.part.From) > drift { // it begins in a hole
		p.got.empty = footage.Span{From: p.part.From, To: p.zero}
	}
	return nil
}

// stated is the true instant of a picture by what the NVR states.
func (p *puller) stated(a AccessUnit) time.Time {
	if p.c.Known {
		return a.Clock.Add(-p.c.Offset)
	}
	return a.Clock
}

// compare holds each time that the NVR states against where the pictures are placed. One that fits makes certain what
// lies before it; after one that does not, nothing is.
func (p *puller) compare(a AccessUnit) error {
	if !p.c.PlayTold || a.Clock.IsZero() || a.ClockTicks == p.again {
		return nil
	}
	p.told, p.again = p.told+1, a.ClockTicks
	since := int64(int32(a.Ticks - p.first))
	if p.stated(a).Sub(p.zero.Add(fromTicks(since))).Abs() > drift {
		p.wrong = true
		return ErrEnough
	}
	return p.keep(int64(int32(a.ClockTicks - p.first)))
}

// group takes a whole group of pictures. Groups outside of what was asked for, and what is in the vault already, are
// dropped: a playback begins at the key frame before.
func (p *puller) group(g group) error {
	p.length = max(p.length, fromTicks(g.to-g.from))
	if !p.c.PlayTold && p.follows(g) {
		return nil
	}
	span := p.span(g)
	p.got.end = span.To
	if !span.From.Before(p.part.To) {
		p.got.reached = true
		switch {
		case len(p.held) == 0:
			return ErrEnough
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
	p.held, p.size = append(p.held, g), p.size+g.size
	if p.part.small && p.c.PlayTold { // the place of the first is stated, that of the next one is asked for
		return ErrEnough
	}
	p.r.played(p.f.ID, mergeSpans(append(p.spans(p.held), p.got.done...)), false)
	if p.size > mostHeld {
		return ErrEnough
	}
	return nil
}

// follows recognizes the group that the playback before has brought last, and goes on behind it.
func (p *puller) follows(g group) bool {
	if p.before.fetch != p.f.ID || p.before.first != g.first || !p.before.at.Equal(p.part.From) {
		return false
	}
	zero := p.part.From.Add(-fromTicks(g.to))
	if zero.Sub(p.zero).Abs() > groupTime {
		return false
	}
	p.zero, p.held, p.size, p.before = zero, nil, 0, ending{}
	return true
}

// learn remembers what the next playback of the track needs to know.
func (p *puller) learn(l *link) {
	if n := len(p.mux.pictures); n > 0 {
		p.length = max(p.length, fromTicks(p.mux.pictures[n-1].pts-p.mux.pictures[0].pts))
	}
	l.groups[p.part.track] = min(max(l.groups[p.part.track], p.length), groupTime)
	l.tells = p.told > 1
	if n := len(p.got.done); n > 0 {
		l.ending = ending{p.f.ID, p.got.done[n-1].To, p.before.first}
	}
}

func (p *puller) span(g group) footage.Span {
	return footage.Span{From: p.zero.Add(fromTicks(g.from)), To: p.zero.Add(fromTicks(g.to))}
}

func (p *puller) spans(list []group) (out []footage.Span) {
	for _, g := range list {
		out = append(out, p.span(g))
	}
	return out
}

// finish takes what is held when the playback is over. Its last group is whole when the times step behind it, or when
// the recording ends there.
func (p *puller) finish() error {
	if !p.placed {
		return nil
	}
	if n := len(p.mux.pictures); n > 0 {
		last := p.zero.Add(fromTicks(p.mux.pictures[n-1].pts))
		need := p.part.To.Add(-fromTicks(p.mux.usual))
		if p.part.last {
			need = p.part.To.Add(-rest)
		}
		p.got.reached = p.got.reached || !last.Before(need)
		if p.stepped || p.part.small && len(p.held) == 0 || p.part.small && !p.c.PlayTold || p.part.last && p.got.reached {
			if err := p.mux.finish(-1); err != nil && !errors.Is(err, ErrEnough) {
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
func (p *puller) keep(until int64) error {
	for len(p.held) > 0 && p.held[0].to <= until {
		g := p.held[0]
		if err := p.write(g); err != nil {
			return err
		}
		p.held, p.size = p.held[1:], p.size-g.size
		p.got.done = append(p.got.done, p.span(g))
		p.got.bytes += g.size
		p.before.first = g.first
	}
	return nil
}

// begin makes the place in time an anchor, before anything is written.
func (p *puller) begin() error {
	if p.boot != "" {
		return nil
	}
	// Every playback is a boot of its own in the vault: it has one clock, which starts with it. Its name owes nothing to
	// our clock, which may stand still or step.
	var b [8]byte
	rand.Read(b[:]) // never fails
	p.boot = bootOf(p.f.ID, b)
	p.session = binary.BigEndian.Uint64(b[:])
	// The first picture stands a second after the start: decoding may begin before it is shown.
	err := p.r.o.Anchor(p.ctx, clock.Anchor{Boot: p.boot, Mono: time.Second, UTC: p.zero, Uncertainty: p.doubt})
	if err != nil {
		return fmt.Errorf("anchor of fetch %s: %w", p.f.ID, err)
	}
	return nil
}

func bootOf(fetch string, b [8]byte) string { return fmt.Sprintf("%s-%x", fetch, b) }

func (p *puller) write(g group) error {
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

func (p *puller) mono(ticks int64) time.Duration { return time.Second + fromTicks(ticks) }

// open begins another segment when it is time, or the parameters have changed.
func (p *puller) open(g group) error {
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

func (p *puller) fragment(f fragment) error {
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

func (p *puller) close() error {
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
