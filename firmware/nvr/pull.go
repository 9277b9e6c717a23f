package nvr

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"campuskeep/firmware/vault"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

const (
	segmentTime = time.Minute
	// placeTries is how many pictures may come before an NVR that states times has stated one.
	placeTries = 50
)

// puller brings one playback into the vault.
type puller struct {
	r    *Room
	ctx  context.Context
	c    Calibration
	f    Fetch
	part part

	mux     muxer
	waiting []AccessUnit // until the place in time is known
	first   uint32
	begun   bool
	placed  bool
	zero    time.Time // true instant of tick 0
	doubt   time.Duration

	boot    string
	session uint64
	writer  *vault.Writer
	opened  int64  // ticks at which the segment began
	init    []byte // of the segment
	done    []footage.Span
	bytes   int64
}

// pull plays a part and puts its whole groups of pictures into the vault. What it returns is durable there, also
// beside an error.
func (r *Room) pull(ctx context.Context, l *link, c Calibration, f Fetch, part part) ([]footage.Span, int64, error) {
	p := &puller{r: r, ctx: ctx, c: c, f: f, part: part}
	p.mux.emit = p.group
	// A second more on both sides: digits are cut to seconds.
	from, to := c.Stamp(part.From.Add(-time.Second), c.Play), c.Stamp(part.To.Add(2*time.Second), c.Play)
	err := l.driver.Play(ctx, part.track, from, to, p.take)
	if err == nil || errors.Is(err, ErrEnough) {
		err = p.end()
	}
	// What came is kept even when the NVR has gone, or we are to stop.
	keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if cerr := p.close(); cerr != nil {
		err = errors.Join(err, cerr)
	}
	if len(p.done) == 0 {
		return nil, 0, err
	}
	if ferr := r.o.Vault.Flush(keep); ferr != nil {
		return nil, 0, errors.Join(err, fmt.Errorf("fetched footage is not durable: %w", ferr))
	}
	return p.done, p.bytes, err
}

// take takes the pictures. Where the NVR states times, nothing is kept before one was stated and fits.
func (p *puller) take(a AccessUnit) error {
	if !p.begun {
		p.begun, p.first = true, a.Ticks
	}
	if p.placed {
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

// place finds the true instant of the first picture, and makes it an anchor before anything is written.
func (p *puller) place(a AccessUnit) error {
	_, p.doubt, _ = p.c.UTC(Stamp{Digits: p.part.From, Mark: MarkZ}, MeansUTC)
	switch {
	case p.c.PlayTold && a.Clock.IsZero():
		return fmt.Errorf("%w: it states none", errPlayTime)
	case p.c.PlayTold:
		stated := a.Clock.Add(-fromTicks(int64(int32(a.Ticks - p.first))))
		if p.c.Known {
			stated = stated.Add(-p.c.Offset)
		}
		if stated.Sub(p.part.From).Abs() > groupTime+time.Second {
			return fmt.Errorf("%w: %v for %v", errPlayTime, stated, p.part.From)
		}
		p.zero = stated
	default: // it begins at the key frame before
		p.zero, p.doubt = p.part.From.Add(-time.Second), p.doubt+groupTime
	}
	p.placed = true
	// Every playback is a boot of its own in the vault: it has one clock, which starts with it. Its name owes nothing to
	// our clock, which may stand still or step.
	var b [8]byte
	rand.Read(b[:]) // never fails
	p.boot = fmt.Sprintf("%s-%x", p.f.ID, b)
	p.session = binary.BigEndian.Uint64(b[:])
	// The first picture stands a second after the start: decoding may begin before it is shown.
	err := p.r.o.Anchor(p.ctx, clock.Anchor{Boot: p.boot, Mono: time.Second, UTC: p.zero, Uncertainty: p.doubt})
	if err != nil {
		return fmt.Errorf("anchor of fetch %s: %w", p.f.ID, err)
	}
	return nil
}

// group takes a whole group of pictures. Groups outside of what was asked for, and what is in the vault already, are
// dropped: a playback begins at the key frame before.
func (p *puller) group(g group) error {
	span := footage.Span{From: p.zero.Add(fromTicks(g.from)), To: p.zero.Add(fromTicks(g.to))}
	if !span.To.After(p.part.From) {
		return nil
	}
	if !span.From.Before(p.part.To) {
		return ErrEnough
	}
	for _, d := range p.f.Done {
		if both := d.Intersect(span); both.Duration() > span.Duration()/2 {
			return nil
		}
	}
	if err := p.open(g); err != nil {
		return err
	}
	for _, f := range g.fragments {
		if err := p.write(f); err != nil {
			return err
		}
		p.bytes += int64(len(f.data))
	}
	p.done = append(p.done, span)
	p.r.played(p.f.ID, mergeSpans(p.done), false)
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

func (p *puller) write(f fragment) error {
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

// end takes what waits when the playback is over: its last group is whole if the playback reached the end.
func (p *puller) end() error {
	if !p.placed || len(p.mux.pictures) == 0 {
		return nil
	}
	last := p.mux.pictures[len(p.mux.pictures)-1]
	need := p.part.To.Add(-fromTicks(p.mux.usual))
	if p.part.last {
		need = p.part.To.Add(-rest)
	}
	if p.zero.Add(fromTicks(last.pts)).Before(need) {
		return nil // it broke off inside a group: that one is played again
	}
	if err := p.mux.finish(-1); err != nil && !errors.Is(err, ErrEnough) {
		return err
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
