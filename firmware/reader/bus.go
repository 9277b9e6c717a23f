package reader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
)

// Timing of a line. Reader → beep has to stay within 30 ms, so a reader is asked every 5 ms; 200 ms and
// three tries are what OSDP gives a reader to answer.
const (
	pollEvery     = 5 * time.Millisecond
	replyWithin   = 200 * time.Millisecond
	maxTries      = 3
	silentAfter   = 30 * time.Millisecond // longer than any pause inside a packet (20 ms)
	probeFirst    = 500 * time.Millisecond
	maxProbeWait  = 5 * time.Second
	busyPause     = 20 * time.Millisecond
	maxBusyWait   = 10 * time.Second // busy for so long is off line
	reopenFirst   = 250 * time.Millisecond
	maxReopenWait = 5 * time.Second
	queueSize     = 64
)

// Options are what a Bus needs.
type Options struct {
	Name    string                             // of the line, for logs: "/dev/ttyUSB0"
	Open    func() (io.ReadWriteCloser, error) // called again after each failure; Close must end a Read that waits
	Devices []Device
	Clock   clock.Clock
	// OnCard and OnState are called by the goroutine that polls; they must not wait. The card's UID is theirs to keep.
	OnCard  func(CardRead)
	OnState func(Status)
	OnKey   func(id string) // the reader took its key
	Log     *slog.Logger
}

// Bus is one line with its readers.
type Bus struct {
	o       Options
	devices []*device
	byID    map[string]*device
	wake    chan struct{} // a signal is queued

	serial *serialLine // of Run's goroutine
	dec    decoder
}

// device is one reader; the fields above mu belong to Run's goroutine.
type device struct {
	Device
	phase  phase
	seq    byte
	next   time.Time     // when to talk to it again
	probe  time.Duration // current wait between attempts to reach it
	vendor string
	code   string    // of the device that answers
	online time.Time // since when it answers polls

	reached   int       // attempts to reach it so far; they take turns
	polled    bool      // it has answered a poll, so it is there
	sum       bool      // speaks with the one-byte checksum instead of the CRC
	formatted bool      // sends card numbers as text
	tamper    bool      // its case is open
	ch        *channel  // nil: clear text
	crypt     command   // second command of opening the channel
	keyed     bool      // it took its key in this installing
	refusals  int       // of keys; while it is installed the default key and its own take turns
	again     *command  // it was busy; to be said again
	busySince time.Time // zero: it is not

	mu     sync.Mutex
	status Status
	counts Counts
	queue  []command
	mute   bool // says that it has no buzzer
	dark   bool // says that it has no light
}

type phase uint8

const (
	phaseReach     phase = iota // ask who it is
	phaseInquire                // ask what it can do
	phaseChallenge              // open the secure channel
	phaseCrypt
	phaseKeySet  // give it its key, inside the channel of the default key
	phaseConfirm // poll it for the first time
	phasePoll    // online
)

type command struct {
	code byte
	data []byte
}

// New checks the options. It opens nothing; Run does.
func New(o Options) (*Bus, error) {
	if err := checkDevices(o.Devices); err != nil {
		return nil, err
	}
	b := &Bus{o: o, byID: map[string]*device{}, wake: make(chan struct{}, 1)}
	for _, d := range o.Devices {
		dev := &device{Device: d, probe: probeFirst, status: Status{Reader: d.ID, State: Offline, Reason: ReasonStart}}
		b.devices = append(b.devices, dev)
		b.byID[d.ID] = dev
	}
	return b, nil
}

// Statuses returns the state of all readers.
func (b *Bus) Statuses() []Status {
	out := make([]Status, len(b.devices))
	for i, d := range b.devices {
		d.mu.Lock()
		out[i] = d.status
		d.mu.Unlock()
	}
	return out
}

// Counts are the counters of one reader; false when it is not on this line.
func (b *Bus) Counts(id string) (Counts, bool) {
	d, ok := b.byID[id]
	if !ok {
		return Counts{}, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counts, true
}

// ErrNoReader says that the reader is not on this line; ErrOffline that it cannot show anything now.
var (
	ErrNoReader = errors.New("no such reader on this line")
	ErrOffline  = errors.New("reader is off line")
)

// Feedback shows a signal at a reader, sound before light. It returns at once: the commands go out next on
// the line. A light that waits is replaced by a newer one; sounds are kept in order.
func (b *Bus) Feedback(id string, s attendance.Signal) error {
	d, ok := b.byID[id]
	if !ok {
		return fmt.Errorf("signal %s at %q: %w", s, id, ErrNoReader)
	}
	p := s.Pattern()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.status.State != Online || len(d.queue) >= queueSize {
		d.counts.Dropped++
		return fmt.Errorf("signal %s at %s: %w", s, id, ErrOffline)
	}
	keep := d.queue[:0]
	for _, c := range d.queue {
		if c.code != cmdLED {
			keep = append(keep, c)
		}
	}
	d.queue = keep
	if (p.Beeps > 0 || s == attendance.SignalNone) && !d.mute {
		d.queue = append(d.queue, command{cmdBuzzer, buzzerData(p)})
	}
	if !d.dark {
		d.queue = append(d.queue, command{cmdLED, ledData(p)})
	}
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return nil
}

// Run opens the line and serves its readers until ctx ends, opening the line again whenever it fails.
func (b *Bus) Run(ctx context.Context) error {
	wait := reopenFirst
	for ctx.Err() == nil {
		began := time.Now()
		err := b.serve(ctx)
		if ctx.Err() != nil {
			break
		}
		b.o.Log.Warn("card reader line failed; opening it again", "line", b.o.Name, "err", err, "wait", wait)
		b.allOffline(ReasonBus)
		if time.Since(began) > maxReopenWait {
			wait = reopenFirst
		}
		if !sleep(ctx, wait) {
			break
		}
		wait = min(2*wait, maxReopenWait)
	}
	b.allOffline(ReasonStop)
	return ctx.Err()
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// serve talks on one opening of the line until it fails or ctx ends.
func (b *Bus) serve(ctx context.Context) (err error) {
	rwc, err := b.o.Open()
	if err != nil {
		return err
	}
	b.serial, b.dec = openSerialLine(rwc), decoder{}
	defer func() { err = errors.Join(err, b.serial.close()) }()
	for {
		d, wait := b.pick(time.Now())
		if wait > 0 {
			if err := b.pause(ctx, wait); err != nil {
				return err
			}
			continue
		}
		if err := b.talk(ctx, d); err != nil {
			return err
		}
	}
}

// pick chooses the reader to talk to: one with a signal to show, else the one that has waited longest.
// wait says how long nobody is due.
func (b *Bus) pick(now time.Time) (*device, time.Duration) {
	var due *device
	for _, d := range b.devices {
		if d.showing() && (due == nil || !due.showing()) {
			due = d
			continue
		}
		if due == nil || !due.showing() && d.next.Before(due.next) {
			due = d
		}
	}
	if due.showing() {
		return due, 0
	}
	return due, due.next.Sub(now)
}

// showing says that there is a signal to show at a reader that takes it now.
func (d *device) showing() bool {
	if d.phase != phasePoll || d.again != nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.queue) > 0
}

// pause waits until somebody is due or a signal wants out. Bytes that come unasked are dropped.
func (b *Bus) pause(ctx context.Context, wait time.Duration) error {
	t := time.NewTimer(wait)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			return nil
		case <-b.wake:
			return nil
		case <-b.serial.in:
		case err := <-b.serial.fail:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// setState notes a reader's state, tells it on when it changed, and says whether it did.
func (b *Bus) setState(d *device, s State, reason string) (changed bool) {
	d.mu.Lock()
	if changed = d.status.State != s || d.status.Reason != reason; changed {
		d.status.Since = b.o.Clock.Now().Mono
	}
	d.status = Status{Reader: d.ID, State: s, Reason: reason, Since: d.status.Since, Vendor: d.vendor, Device: d.code, Secure: d.ch != nil && d.ch.open}
	st := d.status
	if s != Online {
		d.counts.Dropped += uint64(len(d.queue))
		d.queue = nil
	}
	d.mu.Unlock()
	if changed && b.o.OnState != nil {
		b.o.OnState(st)
	}
	return changed
}

func (b *Bus) allOffline(reason string) {
	for _, d := range b.devices {
		d.phase, d.seq, d.probe, d.next = phaseReach, 0, probeFirst, time.Time{}
		d.polled, d.again, d.busySince, d.ch = false, nil, time.Time{}, nil
		b.setState(d, Offline, reason)
	}
}
