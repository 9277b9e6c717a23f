package reader

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpioreg"
	"periph.io/x/host/v3"

	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
)

// Timing of Wiegand: a pulse of 20 to 100 µs every 0.2 to 20 ms; a number is over when the lines rest.
const (
	wiegandGap   = 25 * time.Millisecond
	wiegandRetry = 5 * time.Second
	edgeWait     = 200 * time.Millisecond // how often a waiting line looks whether it is to end
	maxWiegand   = 128                    // bits; more is noise
)

// ReasonUnwatched: a Wiegand reader says nothing of itself: a cut line cannot be told from a quiet one.
const ReasonUnwatched = "unwatched"

// WiegandOptions are what a Wiegand reader needs.
type WiegandOptions struct {
	ID      string
	Bits    int                                   // 26, 34, 37 or 66
	Open    func() (d0, d1 gpio.PinIn, err error) // again after each failure
	Clock   clock.Clock
	OnCard  func(CardRead) // must not wait
	OnState func(Status)
	Log     *slog.Logger
}

// Wiegand is one reader on two GPIO lines. It has no way back: light and sound are the panel's, or the reader's own.
type Wiegand struct {
	o      WiegandOptions
	mu     sync.Mutex
	status Status
	counts Counts
}

// NewWiegand makes the reader; it opens nothing.
func NewWiegand(o WiegandOptions) *Wiegand {
	return &Wiegand{o: o, status: Status{Reader: o.ID, State: Offline, Reason: ReasonStart}}
}

// WiegandPins finds two lines of this board by name when they are opened.
func WiegandPins(d0, d1 string) func() (gpio.PinIn, gpio.PinIn, error) {
	return func() (gpio.PinIn, gpio.PinIn, error) { return findPins(d0, d1) }
}

func findPins(d0, d1 string) (gpio.PinIn, gpio.PinIn, error) {
	if _, err := host.Init(); err != nil {
		return nil, nil, fmt.Errorf("start the GPIO drivers: %w", err)
	}
	a, b := gpioreg.ByName(d0), gpioreg.ByName(d1)
	if a == nil || b == nil {
		return nil, nil, fmt.Errorf("this board has no GPIO lines %q and %q", d0, d1)
	}
	return a, b, nil
}

// Statuses implements Line.
func (w *Wiegand) Statuses() []Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return []Status{w.status}
}

// Counts implements Line.
func (w *Wiegand) Counts(id string) (Counts, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts, id == w.o.ID
}

// Feedback implements Line: the reader shows nothing that it is sent.
func (w *Wiegand) Feedback(id string, _ attendance.Signal) error {
	if id != w.o.ID {
		return ErrNoReader
	}
	return nil
}

func (w *Wiegand) setState(s State, reason string) {
	w.mu.Lock()
	changed := w.status.State != s || w.status.Reason != reason
	if changed {
		w.status = Status{Reader: w.o.ID, State: s, Reason: reason, Since: w.o.Clock.Now().Mono}
	}
	st := w.status
	w.mu.Unlock()
	if changed && w.o.OnState != nil {
		w.o.OnState(st)
	}
}

// Run reads the lines until ctx ends, and opens them again when they fail.
func (w *Wiegand) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		err := w.serve(ctx)
		if ctx.Err() != nil {
			break
		}
		w.o.Log.Warn("lines of a Wiegand reader failed", "reader", w.o.ID, "err", err)
		w.setState(Offline, ReasonBus)
		sleep(ctx, wiegandRetry)
	}
	w.setState(Offline, ReasonStop)
	return ctx.Err()
}

func (w *Wiegand) serve(ctx context.Context) error {
	d0, d1, err := w.o.Open()
	if err != nil {
		return err
	}
	for _, p := range []gpio.PinIn{d0, d1} {
		if err := p.In(gpio.PullUp, gpio.FallingEdge); err != nil {
			return fmt.Errorf("listen at line %s: %w", p.Name(), err)
		}
	}
	lap, stop := context.WithCancel(ctx)
	pulses := make(chan bool, maxWiegand)
	var wg sync.WaitGroup
	for i, p := range []gpio.PinIn{d0, d1} {
		wg.Go(func() { edges(lap, p, i == 1, pulses) })
	}
	defer func() {
		stop()
		wg.Wait()
		if err := errors.Join(d0.Halt(), d1.Halt()); err != nil {
			w.o.Log.Warn("lines of a Wiegand reader are not given back", "reader", w.o.ID, "err", err)
		}
	}()
	w.setState(Online, ReasonUnwatched)
	return w.collect(ctx, pulses)
}

// edges reports each pulse of a line.
func edges(ctx context.Context, p gpio.PinIn, one bool, to chan<- bool) {
	for ctx.Err() == nil {
		if !p.WaitForEdge(edgeWait) {
			continue
		}
		select {
		case to <- one:
		case <-ctx.Done():
		}
	}
}

// collect puts pulses together until the lines rest.
func (w *Wiegand) collect(ctx context.Context, pulses <-chan bool) error {
	var bits []bool
	rest := time.NewTimer(wiegandGap)
	defer rest.Stop()
	for {
		select {
		case b := <-pulses:
			if len(bits) <= maxWiegand {
				bits = append(bits, b)
			}
			rest.Reset(wiegandGap)
		case <-rest.C:
			if len(bits) > 0 {
				w.take(bits)
				bits = nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (w *Wiegand) take(bits []bool) {
	n, raw, err := decodeWiegand(bits, w.o.Bits)
	w.mu.Lock()
	if err != nil {
		w.counts.Malformed++
	} else {
		w.counts.Reads++
	}
	w.mu.Unlock()
	if err != nil {
		w.o.Log.Warn("a Wiegand reader sent what is no card number", "reader", w.o.ID, "err", err)
		return
	}
	w.o.OnCard(CardRead{Reader: w.o.ID, Bits: n, UID: raw, At: w.o.Clock.Now().Mono})
}

var (
	errWiegandLength = errors.New("not the number of bits that the reader is set to")
	errWiegandParity = errors.New("parity does not fit")
	errWiegandRest   = errors.New("nothing but zeros or ones")
)

// wiegandParity says of each format which data bits the even parity in front and the odd parity behind cover.
var wiegandParity = map[int]struct{ even, odd int }{26: {12, 12}, 34: {16, 16}, 37: {18, 18}, 66: {32, 32}}

// decodeWiegand checks length and parity and gives the number between the two parity bits.
func decodeWiegand(bits []bool, format int) (n int, raw []byte, err error) {
	p, ok := wiegandParity[format]
	if !ok || len(bits) != format {
		return 0, nil, fmt.Errorf("%d bits for %d: %w", len(bits), format, errWiegandLength)
	}
	data := bits[1 : len(bits)-1]
	ones := func(b []bool) (n int) {
		for _, x := range b {
			if x {
				n++
			}
		}
		return n
	}
	front, back := ones(data[:p.even]), ones(data[len(data)-p.odd:])
	if bits[0] {
		front++
	}
	if bits[len(bits)-1] {
		back++
	}
	if front%2 != 0 || back%2 != 1 {
		return 0, nil, errWiegandParity
	}
	if k := ones(data); k == 0 || k == len(data) {
		return 0, nil, errWiegandRest // a line that is cut, or stuck
	}
	raw = make([]byte, (len(data)+7)/8)
	for i, x := range data {
		if x {
			raw[i/8] |= 0x80 >> (i % 8)
		}
	}
	return len(data), raw, nil
}
