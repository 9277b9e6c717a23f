// Package playback turns footage into what a browser plays: HLS with fragmented MP4, recorded or live.
//
// It owns the register of open viewings, in memory only: what each may see, until when, and what was really
// delivered to it. It must never give a byte of a span, camera or time that the viewing was not opened for, and it
// asks nobody for permission: anyone who opens a viewing here has committed its access entry before.
package playback

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// What a caller branches on. Errors of the source (footage.ErrPastCeiling, footage.ErrCondemned,
// fs.ErrNotExist …) come through wrapped.
var (
	ErrUnknown = errors.New("playback: no such viewing")
	ErrExpired = errors.New("playback: the viewing has ended")
	ErrNothing = errors.New("playback: nothing of the span can be shown")
	ErrNoPart  = errors.New("playback: not part of the viewing")
)

// Viewing is what was opened: one camera, one span, until an instant. A live viewing has no span.
type Viewing struct {
	ID     string
	Camera string
	Span   footage.Span
	Live   bool
	Until  time.Time
}

// Delivered is what was delivered: the spans of the fragments in UTC, merged, and all bytes of media.
type Delivered struct {
	Spans []footage.Span
	Bytes int64
}

// Player holds the open viewings. It is safe for concurrent use and starts no goroutine.
type Player struct {
	src   footage.Source
	live  LiveSource
	clock clock.Clock
	log   *slog.Logger

	mu   sync.Mutex
	open map[string]*viewing
}

// viewing is an open Viewing and what became of it.
type viewing struct {
	Viewing
	live *liveView // nil for recorded footage

	planned  sync.Mutex // held while the plan is made, so that it is made once
	plan     *plan
	audioOff bool // no sound; guarded by planned

	over time.Duration // monotonic time at which it ends, whatever the wall clock does

	mu     sync.Mutex // guards the rest
	given  []footage.Span
	bytes  int64
	last   time.Duration // monotonic time of the last request
	closed bool
}

// New makes a player over the source. live may be nil where nothing is recorded by ourselves.
func New(src footage.Source, live LiveSource, clk clock.Clock, log *slog.Logger) *Player {
	return &Player{src: src, live: live, clock: clk, log: log, open: map[string]*viewing{}}
}

// Open registers a viewing. The caller has committed its access entry.
func (p *Player) Open(v Viewing) error {
	if v.ID == "" || v.Camera == "" || (!v.Live && !v.Span.From.Before(v.Span.To)) {
		return fmt.Errorf("playback: a viewing needs an id, a camera and a span")
	}
	now := p.clock.Now()
	w := &viewing{Viewing: v, last: now.Mono, over: now.Due(v.Until)}
	if v.Live {
		if p.live == nil {
			return fmt.Errorf("playback: no live pictures here: %w", ErrNothing)
		}
		w.live = &liveView{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, twice := p.open[v.ID]; twice {
		return fmt.Errorf("playback: viewing %s is open already", v.ID)
	}
	p.open[v.ID] = w
	return nil
}

// Close ends a viewing and says what it was given; false when there is none of this id.
func (p *Player) Close(id string) (Delivered, bool) {
	p.mu.Lock()
	v, ok := p.open[id]
	delete(p.open, id)
	p.mu.Unlock()
	if !ok {
		return Delivered{}, false
	}
	if v.live != nil {
		v.live.stop()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
	return Delivered{v.given, v.bytes}, true
}

// DisableAudio takes the sound out of a viewing of recorded footage, from the next playlist on: for a browser that cannot
// decode what a camera calls sound, and would stop the pictures for it.
func (p *Player) DisableAudio(id string) error {
	v, err := p.lookup(id)
	if err != nil {
		return err
	}
	v.planned.Lock()
	defer v.planned.Unlock()
	v.audioOff, v.plan = true, nil
	return nil
}

// Idle lists the viewings that asked for nothing during the last d, and those whose time has passed.
func (p *Player) Idle(d time.Duration) []string {
	now := p.clock.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	var ids []string
	for id, v := range p.open {
		v.mu.Lock()
		if now.Mono-v.last >= d || now.Mono >= v.over {
			ids = append(ids, id)
		}
		v.mu.Unlock()
	}
	return ids
}

// lookup finds an open viewing that has not expired, and notes that somebody asked.
func (p *Player) lookup(id string) (*viewing, error) {
	now := p.clock.Now()
	p.mu.Lock()
	v, ok := p.open[id]
	p.mu.Unlock()
	if !ok {
		return nil, ErrUnknown
	}
	if now.Mono >= v.over {
		return nil, ErrExpired
	}
	v.mu.Lock()
	v.last = now.Mono
	v.mu.Unlock()
	return v, nil
}

// Touch notes that somebody still waits for a viewing: its footage is on its way.
func (p *Player) Touch(id string) error {
	_, err := p.lookup(id)
	return err
}

// Playlist gives the media playlist. Its addresses are relative: init/<n>.mp4 and <segment>/<i>.m4s.
func (p *Player) Playlist(ctx context.Context, id string) ([]byte, error) {
	v, err := p.lookup(id)
	if err != nil {
		return nil, err
	}
	if v.live != nil {
		return p.livePlaylist(ctx, v)
	}
	pl, err := p.planOf(ctx, v)
	if err != nil {
		return nil, err
	}
	return pl.playlist(), nil
}

// Init gives the n-th initialisation section of the playlist.
func (p *Player) Init(ctx context.Context, id string, n int) ([]byte, error) {
	v, err := p.lookup(id)
	if err != nil {
		return nil, err
	}
	if v.live != nil {
		return v.live.init(n)
	}
	pl, err := p.planOf(ctx, v)
	if err != nil {
		return nil, err
	}
	if n < 0 || n >= len(pl.sections) {
		return nil, ErrNoPart
	}
	return p.section(ctx, pl.sections[n])
}

// section is the initialisation section of a line as a browser gets it.
func (p *Player) section(ctx context.Context, l *initSection) (init []byte, err error) {
	err = p.reading(ctx, l.init, func(r footage.SegmentReader) error {
		if init, err = l.bytes(r.Init()); err != nil {
			return fmt.Errorf("playback: initialisation section of segment %s: %w", l.init.File, err)
		}
		return nil
	})
	return init, err
}

// Fragment gives the i-th part of a segment as the playlist numbers them, and counts it as delivered.
func (p *Player) Fragment(ctx context.Context, id, segment string, i int) ([]byte, error) {
	v, err := p.lookup(id)
	if err != nil {
		return nil, err
	}
	var (
		media []byte
		span  footage.Span
	)
	if v.live != nil {
		media, span, err = v.live.fragment(segment, i)
	} else {
		var pl *plan
		if pl, err = p.planOf(ctx, v); err == nil {
			media, span, err = p.read(ctx, v, pl, segment, i)
		}
	}
	if err != nil {
		return nil, err
	}
	if !v.count(span, len(media)) {
		return nil, ErrUnknown
	}
	return media, nil
}

// count notes what is delivered; spans that touch become one. After the end nothing is delivered any more, because
// the entry that says what was is written then.
func (v *viewing) count(s footage.Span, bytes int) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return false
	}
	v.bytes += int64(bytes)
	v.given = merge(v.given, s)
	return true
}

// touching is how near two delivered spans must be to be reported as one: the rounding of frame times.
const touching = 50 * time.Millisecond

// merge adds a span to a sorted list of spans that do not touch.
func merge(spans []footage.Span, s footage.Span) []footage.Span {
	out := make([]footage.Span, 0, len(spans)+1)
	placed := false
	for _, o := range spans {
		switch {
		case o.To.Add(touching).Before(s.From):
			out = append(out, o)
		case s.To.Add(touching).Before(o.From):
			if !placed {
				out = append(out, s)
				placed = true
			}
			out = append(out, o)
		default:
			if o.From.Before(s.From) {
				s.From = o.From
			}
			if o.To.After(s.To) {
				s.To = o.To
			}
		}
	}
	if !placed {
		out = append(out, s)
	}
	return out
}

func (p *Player) planOf(ctx context.Context, v *viewing) (*plan, error) {
	v.planned.Lock()
	defer v.planned.Unlock()
	if v.plan == nil {
		pl, err := p.makePlan(ctx, v.Viewing)
		if err != nil {
			return nil, err
		}
		if v.audioOff {
			for _, l := range pl.sections {
				l.sound = nil
			}
		} else if err := p.borrowAudio(ctx, pl.sections); err != nil {
			return nil, err
		}
		v.plan = pl
	}
	return v.plan, nil
}
