// Package recorder takes the pictures of network cameras into the vault, as they come, without decoding them.
//
// It owns one RTSP session per camera and the goroutine that keeps it alive: a camera that dies, stalls, changes its
// parameters or steps its clock is waited for, for ever, and never disturbs the others. It must never decode a
// picture, touch the disk itself, or lose a moment silently: what was not recorded is reported as a gap.
package recorder

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"campuskeep/firmware/pin"
	"campuskeep/firmware/vault"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// Camera is a camera to record and how to get in.
type Camera struct {
	footage.Camera
	User     string
	Password string
	UDP      bool   // RTP over UDP; TCP otherwise
	Pin      string // SHA-256 of the camera's certificate in hex, for rtsps; empty: an authority we know must vouch
	Basic    bool   // the password may be given in clear to a camera that knows no better
	Thin     bool   // record the sub-stream instead of the main one, where the camera has one
	Stopped  Cause  // why it is not to be recorded now, which is a gap; empty: record
}

// thinned says whether the sub-stream is what we pull.
func (c Camera) thinned() bool { return c.Thin && c.Sub != "" }

// source is the address that we pull.
func (c Camera) source() string {
	if c.thinned() {
		return c.Sub
	}
	return c.Main
}

// State says what a camera's session is doing.
type State string

// The states of a session.
const (
	Connecting   State = "connecting"   // no pictures, and we try
	Recording    State = "recording"    // pictures go into the vault
	Unusable     State = "unusable"     // pictures come, and none of them can be recorded
	Stalled      State = "stalled"      // the camera answered and then sent nothing for too long
	Stopped      State = "stopped"      // it is not to be recorded now
	Unauthorised State = "unauthorised" // it refused the password; we ask again in minutes, because cameras lock
)

// Cause is why nothing was recorded: a code of the ledger's footage.gap entry.
type Cause = footage.Cause

// The causes of gaps that a recorder can see.
const (
	CauseNetwork     = footage.CauseNetwork
	CauseOffline     = footage.CauseCameraOff
	CauseStalled     = footage.CauseStalled
	CauseCredentials = footage.CauseLogin
	CauseStream      = footage.CauseSignal
	CauseOverload    = footage.CauseOverload
	CauseDisk        = footage.CauseDisk
	CauseClock       = footage.CauseClock
	CauseStart       = footage.CauseStart
	CauseSwitched    = footage.CauseSwitched
	CauseRestart     = footage.CauseRestart
	CausePower       = footage.CausePowerOff
	CauseFull        = footage.CauseFull
	CausePaused      = footage.CausePaused
	CauseSetup       = footage.CauseSetup
	CauseNoKey       = footage.CauseNoKey
	CauseNoSets      = footage.CauseNoSets
	CauseBadSets     = footage.CauseBadSets
	CauseFailed      = footage.CauseFailed
)

// Gap is a stretch that was not recorded. An open-ended gap is noted in pieces of an hour, so that a long one is on
// record before it ends.
type Gap = footage.Missed

// Status is the state of one camera.
type Status struct {
	Camera    string
	State     State
	Since     clock.Reading // of this state
	Cause     Cause         // why it is not recording
	Codec     string
	Offers    string // the sound that the camera offers beside its pictures, by its usual name; empty: none, or not known yet
	Sound     string // codec of the sound that is recorded; empty: none
	Fragments uint64 // recorded since the start
	Bytes     uint64
	LastFrame clock.Reading
	Lost      uint64        // packets lost on the way or damaged
	Offset    time.Duration // the camera's clock minus ours, when it tells its time
	HasOffset bool
	Steps     uint64 // how often its clock jumped
	Thin      bool   // the sub-stream is being recorded
	ByArrival bool   // its clock is no measure of time: pictures are timed by when they come
}

// Options is what a recorder needs from outside.
type Options struct {
	Vault *vault.Vault
	Clock clock.Clock
	Zone  *time.Location // of the day labels; UTC when nil
	Gap   func(Gap)      // called from Run's goroutine, one at a time, in order per camera
	// Noted is the end of the last gap that was noted of a camera, by this run or an earlier one; ok is false when
	// there was none. Nobody has noted anything when nil.
	Noted func(camera string) (at footage.Instant, ok bool, err error)
	Log   *slog.Logger

	Network pin.Network // what the cameras are reached over; the machine's own when nil

	KeyAfter   time.Duration                                // pictures without one that needs no other for so long are a fault; 30 s when zero
	StallAfter time.Duration                                // no frame for so long is a stall; 10 s when zero
	Pace       func(attempt int, cause Cause) time.Duration // pause before trying again; Backoff when nil
}

// Recorder records a set of cameras while Run runs.
type Recorder struct {
	o          Options
	gaps       gapQueue
	standstill standstill
	began      time.Duration // of Run

	mu      sync.Mutex
	want    map[string]Camera
	live    map[string]int // watchers per camera
	feeds   map[string]*feed
	changed chan struct{} // one slot: want differs from what runs
}

// New makes a recorder without cameras.
func New(o Options) *Recorder {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	if o.StallAfter == 0 {
		o.StallAfter = 10 * time.Second
	}
	if o.KeyAfter == 0 {
		o.KeyAfter = 30 * time.Second // of a camera whose groups of pictures are long
	}
	if o.Pace == nil {
		o.Pace = Backoff
	}
	if o.Gap == nil {
		o.Gap = func(Gap) {}
	}
	if o.Noted == nil {
		o.Noted = func(string) (footage.Instant, bool, error) { return footage.Instant{}, false, nil }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Recorder{
		o: o, gaps: gapQueue{wake: make(chan struct{}, 1)},
		want: map[string]Camera{}, live: map[string]int{}, feeds: map[string]*feed{}, changed: make(chan struct{}, 1),
	}
}

// Backoff is the pause before the next attempt: half a second doubling to five seconds, with jitter, so that a camera
// that returns is recorded at once; ten minutes and more after a refused password, because many cameras lock the
// address.
func Backoff(attempt int, cause Cause) time.Duration {
	if cause == CauseCredentials {
		return time.Duration((1 + rand.Float64()) * float64(10*time.Minute))
	}
	d := min(500*time.Millisecond<<min(attempt, 6), 5*time.Second)
	return d/2 + rand.N(d/2)
}

// SetCameras says which cameras to record from now on. Those that stay as they are go on undisturbed. Only cameras
// in our own custody and not retired are recorded.
func (r *Recorder) SetCameras(cams []Camera) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.want = map[string]Camera{}
	for _, c := range cams {
		if c.Custody == footage.CustodyVault && !c.Retired && c.Main != "" {
			r.want[c.ID] = c
		}
	}
	signal(r.changed)
}

// Run records until ctx ends, then closes what is open.
func (r *Recorder) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	r.began = r.o.Clock.Now().Mono
	wg.Go(func() { r.beat(ctx) })
	for ctx.Err() == nil {
		r.adjust(ctx, &wg)
		select {
		case <-ctx.Done():
		case <-r.changed:
		case <-r.gaps.wake:
			r.notifyChanged()
		}
	}
	wg.Wait()
	r.notifyChanged()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.feeds = map[string]*feed{}
	return nil
}

func (r *Recorder) notifyChanged() {
	for _, g := range r.gaps.take() {
		r.o.Gap(g)
	}
}

// adjust starts, reconfigures and stops feeds until they are what is wanted.
func (r *Recorder) adjust(ctx context.Context, wg *sync.WaitGroup) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, f := range r.feeds {
		c, wanted := r.want[id]
		switch {
		case f.ended.Load():
			delete(r.feeds, id)
		case !wanted:
			f.cancel() // it stays in the table until its segment is closed
		default:
			f.configure(c)
		}
	}
	for id, c := range r.want {
		if r.feeds[id] != nil {
			continue
		}
		fctx, cancel := context.WithCancel(ctx)
		f := newFeed(r, c, cancel)
		f.live.Store(r.live[id] > 0)
		r.feeds[id] = f
		wg.Go(func() {
			defer cancel()
			f.run(fctx)
			f.ended.Store(true)
			signal(r.changed)
		})
	}
}

// connection is what makes it necessary to connect again.
type connection struct {
	source, user, password, pin string
	stopped                     Cause
	udp, sound, basic           bool
}

func (c Camera) connection() connection {
	return connection{c.source(), c.User, c.Password, c.Pin, c.Stopped, c.UDP, c.Sound, c.Basic}
}

// Status returns the state of every camera.
func (r *Recorder) Status() []Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Status
	for _, f := range r.feeds {
		out = append(out, f.status())
	}
	return out
}

// Tail gives the fragments of a camera as they are made. While somebody watches, nothing is held back to save
// work. The returned function ends it.
func (r *Recorder) Tail(camera string) (<-chan vault.LiveFragment, func()) {
	r.watch(camera, 1)
	ch, stop := r.o.Vault.Tail(camera)
	return ch, sync.OnceFunc(func() {
		stop()
		r.watch(camera, -1)
	})
}

func (r *Recorder) watch(camera string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live[camera] += n
	if r.live[camera] == 0 {
		delete(r.live, camera)
	}
	if f := r.feeds[camera]; f != nil {
		f.live.Store(r.live[camera] > 0)
	}
}

// reading is the clock's reading at a past monotonic instant.
func (r *Recorder) reading(at time.Duration) clock.Reading {
	now := r.o.Clock.Now()
	now.Wall = now.Wall.Add(at - now.Mono)
	now.Mono = at
	return now
}

// instant is a monotonic time of this boot.
func (r *Recorder) instant(at time.Duration) footage.Instant {
	return footage.Instant{Boot: r.o.Clock.Now().Boot, Mono: at}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
