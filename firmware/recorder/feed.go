package recorder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"campuskeep/firmware/rtsp"
	"campuskeep/shared/clock"
)

// feed keeps one camera recorded. One goroutine runs it; packets come in on a goroutine of the RTSP client, one
// session after another.
type feed struct {
	r            *Recorder
	id           string
	cancel       context.CancelFunc
	ended        atomic.Bool
	live         atomic.Bool        // somebody watches: hold nothing back
	first        chan time.Duration // one slot: where the first recorded fragment begins
	proven       bool               // the password was right when last asked. Of run's goroutine, too.
	audioRefused bool               // asking for the sound broke a session: pictures alone. Of run's goroutine.
	digest       bool               // the camera has offered Digest, and is not given the password in clear. Of run's goroutine.

	mu      sync.Mutex // guards the rest
	cam     Camera
	restart context.CancelFunc // of the session or pause at work
	state   State
	since   clock.Reading
	cause   Cause
	mux     *muxer // nil between sessions
	thin    bool   // the session at work, or the last one, pulls the sub-stream
	offers  string // the sound that the camera offered then
	writer  segmentWriter
	gap     outage
	held    []Gap         // until the time before this run is noted: gaps are noted in order
	begun   bool          // it is
	frame   time.Duration // arrival of the last picture
	stored  time.Duration // when the vault last took something of this session
	lost    uint64
	steps   uint64
	offset  *time.Duration
}

func newFeed(r *Recorder, c Camera, cancel context.CancelFunc) *feed {
	f := &feed{r: r, id: c.ID, cancel: cancel, cam: c, state: Connecting, first: make(chan time.Duration, 1)}
	f.gap.emit = f.note
	f.writer = segmentWriter{camera: c.ID, vault: r.o.Vault, reading: r.reading, zone: r.o.Zone, log: r.o.Log, gap: &f.gap, first: f.first}
	return f
}

// configure takes the camera's present row; a new address or password starts a new session at once.
func (f *feed) configure(c Camera) {
	f.mu.Lock()
	defer f.mu.Unlock()
	again := c.connection() != f.cam.connection()
	f.cam = c
	if again && f.restart != nil {
		f.restart()
	}
}

// fault is why a session ended.
type fault struct {
	cause Cause
	err   error
}

func (e *fault) Error() string { return string(e.cause) + ": " + e.err.Error() }
func (e *fault) Unwrap() error { return e.err }

// run holds sessions, one after another, until ctx ends.
func (f *feed) run(ctx context.Context) {
	now := f.r.o.Clock.Now()
	f.mu.Lock()
	f.since = now
	f.gap.lost(now.Mono, CauseStart)
	f.mu.Unlock()
	var previous sync.WaitGroup
	previous.Go(func() { f.noteGapBefore(ctx, now) })
	defer previous.Wait()
	for attempt := 0; ctx.Err() == nil; attempt++ {
		sctx, restart := context.WithCancel(ctx)
		f.mu.Lock()
		f.restart = restart
		cam := f.cam
		before := f.writer.fragments
		f.mu.Unlock()

		if cam.Stopped != "" {
			f.end(cam.Stopped)
			f.idle(sctx, cam.Stopped)
			restart()
			attempt = -1
			continue
		}
		err := f.attempt(sctx, cam)
		if ctx.Err() == nil && sctx.Err() != nil { // configured again
			restart()
			f.end(CauseSwitched)
			f.audioRefused, f.proven = false, false
			attempt = -1
			continue
		}
		if errors.As(err, new(errAudio)) && ctx.Err() == nil {
			f.r.o.Log.Warn("the camera refuses its sound: pictures alone", "camera", f.id, "err", err)
			restart()
			attempt--
			continue
		}
		var why *fault
		if !errors.As(err, &why) {
			why = &fault{CauseNetwork, err}
		}
		if ctx.Err() != nil { // stopped on purpose: what is missed from here on is not the camera's doing
			f.end("")
			restart()
			break
		}
		f.end(why.cause)
		if f.recordedSince(before) {
			attempt, f.proven = 0, true
		}
		f.pause(sctx, attempt, why)
		restart()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gap.back(f.r.o.Clock.Now().Mono)
}

// note hands on a gap, in the order of the gaps. What our own standing still has brought about is reported as that.
// The caller holds f.mu.
func (f *feed) note(from, to time.Duration, cause Cause) {
	if own := f.r.standstill.until(from, to, f.r.o.Clock.Now().Mono, cause); own > from {
		f.held = append(f.held, Gap{Camera: f.id, From: f.r.instant(from), To: f.r.instant(own), Cause: CausePaused})
		from = own
	}
	if to > from {
		f.held = append(f.held, Gap{Camera: f.id, From: f.r.instant(from), To: f.r.instant(to), Cause: cause})
	}
	if f.begun {
		f.flushHeld()
	}
}

// flushHeld gives Run the gaps that were held back. The caller holds f.mu.
func (f *feed) flushHeld() {
	for _, g := range f.held {
		f.r.gaps.put(g)
	}
	f.held = nil
}

// attempt is a session that ends in an error, whatever the camera makes our own program do.
func (f *feed) attempt(ctx context.Context, cam Camera) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &fault{CauseFailed, fmt.Errorf("%v: %s", p, debug.Stack())}
		}
	}()
	return f.session(ctx, cam)
}

func (f *feed) recordedSince(n uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writer.fragments > n
}

// end closes what a session left open; nothing calls into the feed any more. Whatever is missed from here on is due
// to the cause, if there is one.
func (f *feed) end(cause Cause) {
	now := f.r.o.Clock.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if cause == CauseFailed { // what is half made of its pictures cannot be trusted
		f.mux = nil
	}
	if f.mux != nil {
		if err := f.mux.finish(0); err != nil {
			f.r.o.Log.Error("close a stream", "camera", f.id, "err", err)
		}
		f.steps += uint64(f.mux.time.steps)
		f.mux = nil
	}
	f.writer.close()
	if cause == "" {
		return
	}
	from := now.Mono
	if f.writer.to > 0 {
		// Where the footage ends, also when that is a little ahead of now: the first picture of a session may have come
		// late and placed all that followed it late, too.
		from = f.writer.to
	}
	f.gap.lost(from, cause)
}

// steady is an attempt number whose pause has grown to its full length.
const steady = 10

// pause waits before the next attempt. It ends early when the camera is configured again.
func (f *feed) pause(ctx context.Context, attempt int, why *fault) {
	pause := f.r.o.Pace(attempt, why.cause)
	if e, ok := errors.AsType[*rtsp.Error](why.err); ok && e.Trouble == rtsp.Challenge {
		pause = f.r.o.Pace(attempt, CauseOffline) // no password was given: nothing is locked
	} else if why.cause == CauseCredentials && f.proven {
		// The password was right a moment ago. Some cameras refuse everybody while they start: ask once more soon.
		f.proven = false
		pause = 4 * f.r.o.Pace(steady, CauseOffline)
	}
	state := Connecting
	switch why.cause {
	case CauseCredentials:
		state = Unauthorised
	case CauseStalled:
		state = Stalled
	case CauseNoKey, CauseNoSets, CauseBadSets, CauseFailed:
		state = Unusable
	}
	f.enter(state, why.cause)
	f.r.o.Log.Warn("camera lost", "camera", f.id, "cause", why.cause, "err", why.err, "again_in", pause)
	piece := time.NewTicker(time.Minute)
	defer piece.Stop()
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case <-piece.C:
			f.tick()
		}
	}
}

// idle waits, recording nothing, until the configuration of the camera changes.
func (f *feed) idle(ctx context.Context, why Cause) {
	f.enter(Stopped, why)
	piece := time.NewTicker(time.Minute)
	defer piece.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-piece.C:
			f.tick()
		}
	}
}

// tick keeps a long gap on record while it lasts.
func (f *feed) tick() {
	now := f.r.o.Clock.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gap.tick(now.Mono)
}

func (f *feed) enter(s State, cause Cause) {
	now := f.r.o.Clock.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state != s {
		f.since = now
	}
	f.state, f.cause = s, cause
}

func (f *feed) status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := Status{
		Camera: f.id, State: f.state, Since: f.since, Cause: f.cause, Fragments: f.writer.fragments, Bytes: f.writer.bytes,
		Lost: f.lost, Steps: f.steps, Thin: f.thin, Offers: f.offers,
	}
	if f.writer.stream != nil {
		s.Codec = f.writer.stream.video.Codec
	}
	if f.mux != nil && f.mux.sound != nil {
		s.Sound = f.mux.sound.audio.Codec
	}
	if f.frame > 0 {
		s.LastFrame = f.r.reading(f.frame)
	}
	if f.mux != nil {
		s.Steps += uint64(f.mux.time.steps)
	}
	s.ByArrival = f.mux != nil && f.mux.time.stamps.byArrival
	if f.offset != nil {
		s.Offset, s.HasOffset = *f.offset, true
	}
	return s
}

// diagnose sorts an error of connecting or asking into a cause.
func diagnose(err error) *fault {
	e, ok := errors.AsType[*rtsp.Error](err)
	switch {
	case ok && (e.Trouble == rtsp.Refused || e.Trouble == rtsp.InClear || e.Trouble == rtsp.Challenge):
		return &fault{CauseCredentials, err}
	case ok && e.Trouble != rtsp.Unreachable && e.Trouble != rtsp.Certificate:
		return &fault{CauseStream, err}
	}
	return &fault{CauseOffline, err}
}

var _ slog.LogValuer = Camera{}

// LogValue keeps passwords out of logs.
func (c Camera) LogValue() slog.Value { return slog.StringValue(c.ID) }
