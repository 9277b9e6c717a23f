// Package acsevent reads the marks of network terminals that speak Hikvision's AcsEvent over ISAPI: the appliance asks, by
// the number of the last event, so that a number that is missing shows a lost event.
//
// A [Terminal] owns the connection to one terminal. It must never send the password anywhere else, try a refused one
// again, change anything at the terminal, or go on past an event before its mark is durable.
package acsevent

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"campuskeep/firmware/reader"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
)

const (
	askEvery     = 2 * time.Second
	measureEvery = time.Minute
	silentAfter  = 20 * time.Second
	afterFailure = 5 * time.Second
	afterRefusal = time.Minute
	storeWithin  = 15 * time.Second
)

// Options are what a Terminal needs.
type Options struct {
	ID, Host       string // host or host:port
	User, Password string
	Turned         bool           // card numbers are the other way round
	Zone           *time.Location // of the terminal
	Clock          clock.Clock
	Marks          reader.Marks
	// OnFresh gets the cards that were read just now, OnState the changes of state; they must not wait.
	OnFresh func([]reader.CardRead)
	OnState func(reader.Status)
	Log     *slog.Logger
}

// Terminal is one terminal that is asked. Fields above mu belong to Run's goroutine.
type Terminal struct {
	o        Options
	c        *client
	met      bool
	serial   string
	at       cursor
	placed   bool // at is known
	zulu     bool // Z behind its times means local time
	byTime   bool // it does not find events by their number
	single   bool // it refuses to search all groups of events at once
	measured time.Duration
	answered time.Duration // when it last answered, since boot
	known    attendance.TerminalState

	mu     sync.Mutex
	status reader.Status
	counts reader.Counts
}

// New makes a terminal; it connects to nothing.
func New(o Options) *Terminal {
	return &Terminal{o: o, c: newClient(o.Host, o.User, o.Password), status: reader.Status{Reader: o.ID, State: reader.Offline, Reason: reader.ReasonStart}}
}

// Statuses implements reader.Line.
func (t *Terminal) Statuses() []reader.Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	return []reader.Status{t.status}
}

// Counts implements reader.Line.
func (t *Terminal) Counts(id string) (reader.Counts, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts, id == t.o.ID
}

// Feedback implements reader.Line: a terminal shows nothing that it is sent.
func (t *Terminal) Feedback(id string, _ attendance.Signal) error {
	if id != t.o.ID {
		return reader.ErrNoReader
	}
	return nil
}

// Run asks the terminal until ctx ends.
func (t *Terminal) Run(ctx context.Context) error {
	defer t.c.close()
	for ctx.Err() == nil {
		wait := t.show(t.round(ctx), ctx)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	t.setState(reader.Offline, reader.ReasonStop, t.o.Clock.Now().Mono)
	return ctx.Err()
}

// errStore is a mark that is not stored.
type errStore struct{ error }

// show gives the terminal the state that follows from a round, and says how long to wait until the next.
func (t *Terminal) show(err error, ctx context.Context) time.Duration {
	now := t.o.Clock.Now().Mono
	if err == nil {
		t.answered = now
		switch t.known {
		case attendance.ClockRight:
			t.setState(reader.Online, reader.ReasonAnswers, now)
		case attendance.ClockWrong:
			t.setState(reader.Refused, reader.ReasonClock, now)
		default:
			t.setState(reader.Refused, reader.ReasonUnproven, now)
		}
		return askEvery
	}
	if ctx.Err() != nil {
		return 0
	}
	t.mu.Lock()
	t.counts.Timeouts++
	t.mu.Unlock()
	t.o.Log.Warn("a terminal of the gate is not read", "reader", t.o.ID, "err", err)
	var status *statusError
	var store errStore
	switch {
	case errors.Is(err, errRefused):
		t.setState(reader.Refused, reader.ReasonAuth, now)
		return afterRefusal // nothing is sent
	case errors.Is(err, errInClear):
		t.setState(reader.Refused, reader.ReasonInClear, now)
		return afterRefusal
	case errors.As(err, &store):
		t.setState(reader.Refused, reader.ReasonStore, now)
	case errors.As(err, &status) && status.status != 503, errors.Is(err, errAnswer):
		t.setState(reader.Refused, reader.ReasonBroken, now)
		return afterRefusal / 4
	case now-t.answered > silentAfter || t.answered == 0:
		since := t.answered
		if since == 0 {
			since = now
		}
		t.setState(reader.Offline, reader.ReasonSilent, since)
	}
	return afterFailure
}

func (t *Terminal) setState(s reader.State, reason string, since time.Duration) {
	t.mu.Lock()
	changed := t.status.State != s || t.status.Reason != reason
	if changed {
		t.status.State, t.status.Reason, t.status.Since = s, reason, since
	}
	st := t.status
	t.mu.Unlock()
	if changed && t.o.OnState != nil {
		t.o.OnState(st)
	}
}

// round is one turn: who it is, what its clock shows, what is new.
func (t *Terminal) round(ctx context.Context) error {
	t.mu.Lock()
	t.counts.Polls++
	t.mu.Unlock()
	if err := t.meet(ctx); err != nil {
		return err
	}
	now := t.o.Clock.Now()
	if now.State == clock.Trusted && (t.measured == 0 || now.Mono-t.measured >= measureEvery) {
		if err := t.measure(ctx); err != nil {
			return err
		}
		t.measured = now.Mono
	}
	if !t.placed {
		return t.place(ctx)
	}
	return t.readOn(ctx)
}

// meet asks who the terminal is, and finds what is kept of it.
func (t *Terminal) meet(ctx context.Context) error {
	if t.met {
		return nil
	}
	b, err := t.c.do(ctx, "GET", "/ISAPI/System/deviceInfo", nil)
	if err != nil {
		return err
	}
	d, err := parseDevice(b)
	if err != nil {
		return err
	}
	t.serial = d.code()
	k, err := t.o.Marks.Terminal(ctx, t.o.ID, t.serial)
	if err != nil {
		return errStore{err}
	}
	t.at, t.placed = parseCursor(k.Stamp)
	t.known, t.met = k.Clock.State, !k.Clock.First.IsZero()
	t.mu.Lock()
	t.status.Vendor, t.status.Device = d.Model+" "+d.Firmware+" "+d.Serial, t.serial
	t.mu.Unlock()
	return nil
}

// measure compares the terminal's clock with ours.
func (t *Terminal) measure(ctx context.Context) error {
	before := t.o.Clock.Now()
	b, err := t.c.do(ctx, "GET", "/ISAPI/System/time", nil)
	if err != nil {
		var status *statusError
		if errors.As(err, &status) && (status.status == 404 || status.status == 403) {
			return nil // its marks will show
		}
		return err
	}
	shown, err := parseClock(b)
	if err != nil {
		return err
	}
	// Asked and answered within a moment; the middle is when the clock was read.
	after := t.o.Clock.Now()
	at := before.Wall.Add(after.Mono/2 - before.Mono/2)
	off := shown.in(t.o.Zone, false).Sub(at)
	if local := shown.in(t.o.Zone, true).Sub(at); shown.Zulu && local.Abs() < off.Abs() {
		off, t.zulu = local, true
	}
	state, err := t.o.Marks.PutClock(ctx, t.o.ID, t.serial, off)
	if err != nil {
		return errStore{err}
	}
	t.setClock(state, off)
	return nil
}

func (t *Terminal) setClock(s attendance.TerminalState, off time.Duration) {
	t.known = s
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.Off, t.counts.Measured = off, true
}

// take makes the marks of events durable, and then moves on to the last of them.
func (t *Terminal) take(ctx context.Context, events []event, bad int) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeWithin)
	defer cancel()
	now := t.o.Clock.Now()
	var reads []reader.CardRead
	ignored := 0
	for _, e := range events {
		cards := e.cards()
		if !e.tapped() || len(cards) == 0 {
			ignored++
			continue
		}
		r := reader.CardRead{Reader: t.o.ID, Bits: cards[0].Bits, UID: cards[0].Raw, At: now.Mono, Mark: &reader.Mark{Key: strconv.Itoa(e.Minor), Said: e.Time.in(t.o.Zone, t.zulu)}}
		if _, user := cards[0].User(); !user && t.o.Turned {
			for i, j := 0, len(r.UID)-1; i < j; i, j = i+1, j-1 {
				r.UID[i], r.UID[j] = r.UID[j], r.UID[i]
			}
		}
		if len(cards) > 1 {
			r.Mark.Also = &cards[1]
		}
		reads = append(reads, r)
	}
	got := reader.Taken{}
	if len(reads) > 0 {
		var err error
		if got, err = t.o.Marks.TakeMarks(ctx, t.o.ID, t.serial, reads); err != nil {
			return errStore{err}
		}
		t.known = got.Clock.State
	}
	if bad > 0 {
		if err := t.o.Marks.Report(ctx, t.o.ID, reader.MarksBad, bad, 0, 0); err != nil {
			return errStore{err}
		}
	}
	if n := len(events); n > 0 {
		at := cursor{events[n-1].Serial, events[n-1].Time.Shown.Unix()}
		if err := t.o.Marks.PutStamp(ctx, t.o.ID, t.serial, at.String()); err != nil {
			return errStore{err}
		}
		t.at = at
	}
	t.mu.Lock()
	c := &t.counts
	c.Reads += uint64(got.Taken)
	c.Repeats += uint64(got.Repeats)
	c.Old += uint64(got.Old)
	c.Unsure += uint64(got.Unsure)
	c.Malformed += uint64(bad)
	c.Ignored += uint64(ignored)
	t.mu.Unlock()
	if len(got.Fresh) > 0 && t.o.OnFresh != nil {
		t.o.OnFresh(got.Fresh)
	}
	return nil
}

var _ reader.Line = (*Terminal)(nil)
