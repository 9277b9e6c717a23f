// Package viewing owns the open viewings of footage: it opens them (the access entry first, then the player), judges
// whether they may go on, and ends them with the entry that says what was really delivered.
//
// It must never let the player give a byte of a viewing whose entry is not committed, nor of one that account.May
// would refuse now. It keeps nothing on disk: after a restart none is open, and the register closes what was.
package viewing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"campuskeep/firmware/people"
	"campuskeep/firmware/playback"
	"campuskeep/firmware/usage"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// Player gives the bytes of an opened viewing. *playback.Player is one; tests of pages have one whose bytes they know.
type Player interface {
	Open(v playback.Viewing) error
	Close(id string) (playback.Delivered, bool)
	Idle(d time.Duration) []string // asked for nothing for so long, or over
}

// Options are what the viewings need. All are required.
type Options struct {
	Register *usage.Register
	People   *people.People
	Player   Player
	Clock    clock.Clock
	// Subscribe announces each new entry of the log: every change of a right is one.
	Subscribe func() (<-chan uint64, func())
	Log       *slog.Logger
}

// Opened is one viewing that a browser holds: its access entry is committed, its end is not yet.
type Opened struct {
	usage.Viewing
	Until   time.Time     // the viewing's, or the session's when that ends before
	due     time.Duration // monotonic time of it
	session string        // id of the log-in that it belongs to

	over  context.Context         // done as soon as nothing more may be shown; its cause is an EndedBy
	stop  context.CancelCauseFunc // ends over
	given *playback.Delivered     // what it got in the end, while the entry that says so is not written yet
}

// Live says whether the viewing shows what the camera sees now.
func (v Opened) Live() bool { return v.Mode == usage.Live }

// Context is done as soon as nothing more of the viewing may be shown; its cause is an [EndedBy].
func (v Opened) Context() context.Context { return v.over }

// Subject is what every request for the bytes of the viewing is about.
func (v Opened) Subject() account.Subject {
	s := account.Subject{Person: v.Person, Camera: v.Camera, From: v.Span.From, To: v.Span.To, Application: v.Application, Way: account.WayView, Purpose: true}
	if v.Live() {
		s.Way = account.WayLive
	}
	return s
}

// EndedBy is why a viewing ended: the reason of its closing entry.
type EndedBy string

// Error implements error.
func (e EndedBy) Error() string { return "the viewing has ended: " + string(e) }

// The reasons of closing entries.
const (
	ByViewer   EndedBy = "closed"
	Idle       EndedBy = "idle"
	TimeOver   EndedBy = "over"
	Revoked    EndedBy = "revoked"
	ShiftEnded EndedBy = "shift"
	RoleLost   EndedBy = "role"
	Disabled   EndedBy = "disabled"
	LoggedOut  EndedBy = "logged_out"
	Stopping   EndedBy = "stop"
)

// Ended is what is remembered of a viewing that is over: whose it was and why, for the page that still shows it.
type Ended struct {
	Opened
	Reason EndedBy
}

const (
	mostEnded = 512 // viewings that are over and remembered
	// idleAfter is how long a viewing may fetch nothing before it is closed: a player that is paused keeps its
	// buffer, so this is a person who went away.
	idleAfter  = 5 * time.Minute
	checkEvery = time.Second
	idleEvery  = 15 * time.Second
)

// Viewings are the open ones. All methods are safe for concurrent use.
type Viewings struct {
	o    Options
	away departures

	mu    sync.Mutex
	open  map[string]Opened // guarded by mu
	ended map[string]Ended  // guarded by mu
	order []string          // of ended, oldest first; guarded by mu
}

// New makes an empty set of viewings; it starts nothing.
func New(o Options) *Viewings {
	return &Viewings{o: o, open: map[string]Opened{}, ended: map[string]Ended{}}
}

// Request is what a person asks to see.
type Request struct {
	Camera  string
	Span    footage.Span // ignored for live pictures
	Live    bool
	Purpose string
}

// Open opens a viewing in the log-in s: the access entry first, then the player. The errors are those of
// [usage.Register.OpenViewing]; on any error nothing is open.
func (m *Viewings) Open(ctx context.Context, by account.Who, s people.Session, q Request) (Opened, error) {
	mode := usage.Playback
	if q.Live {
		mode = usage.Live
	}
	got, err := m.o.Register.OpenViewing(ctx, by, q.Camera, q.Span, mode, q.Purpose)
	if err != nil {
		return Opened{}, err
	}
	v := Opened{Viewing: got, Until: got.Until, session: s.ID}
	if s.Expires.Before(v.Until) {
		v.Until = s.Expires
	}
	v.due = m.o.Clock.Now().Due(v.Until)
	v.over, v.stop = context.WithCancelCause(context.Background())
	m.add(v)
	if err := m.o.Player.Open(playback.Viewing{ID: v.ID, Camera: q.Camera, Span: got.Span, Live: q.Live, Until: v.Until}); err != nil {
		return Opened{}, errors.Join(err, m.End(ctx, v.ID, ByViewer))
	}
	return v, nil
}

func (m *Viewings) add(v Opened) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open[v.ID] = v
}

// Get gives an open viewing.
func (m *Viewings) Get(id string) (Opened, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.open[id]
	return v, ok && v.given == nil
}

// Ended gives a viewing that is over, as long as it is remembered.
func (m *Viewings) Ended(id string) (Ended, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.ended[id]
	return e, ok
}

// Within gives an open viewing and a context that ends with ctx or with the viewing; the caller calls done.
func (m *Viewings) Within(ctx context.Context, id string) (v Opened, within context.Context, done func(), err error) {
	v, ok := m.Get(id)
	if !ok {
		return v, nil, nil, playback.ErrUnknown
	}
	within, cancel := context.WithCancelCause(ctx)
	detach := context.AfterFunc(v.over, func() { cancel(context.Cause(v.over)) })
	return v, within, func() { detach(); cancel(nil) }, nil
}

// ScheduleEnd ends a viewing after a few seconds, unless [Viewings.CancelEnd] is called before: its page went away, perhaps to
// be loaded again.
func (m *Viewings) ScheduleEnd(id string) {
	m.away.scheduleEnd(id, func() { m.endLogged(context.Background(), id, ByViewer) })
}

// CancelEnd takes back what [Viewings.ScheduleEnd] began.
func (m *Viewings) CancelEnd(id string) { m.away.cancelEnd(id) }

// Shown says that a page shows a viewing, until gone is called: meanwhile no departure of an earlier page ends it.
func (m *Viewings) Shown(id string) (gone func()) { return m.away.shown(id) }

// End closes a viewing: first no more bytes, then the entry that says what was really delivered. When the entry
// cannot be written the viewing shows nothing any more, and Run tries again. Of one that is not open it does nothing.
func (m *Viewings) End(ctx context.Context, id string, reason EndedBy) error {
	m.mu.Lock()
	v, ok := m.open[id]
	delete(m.open, id)
	previous, again := m.ended[id]
	m.mu.Unlock()
	m.away.cancelEnd(id)
	if !ok {
		return nil
	}
	if again {
		reason = previous.Reason // the entry could not be written the first time
	}
	if v.given == nil {
		v.stop(reason) // what is on its way is cut
		m.addEnded(v, reason)
		got, _ := m.o.Player.Close(id)
		v.given = &got
	}
	if err := m.o.Register.CloseViewing(ctx, id, v.given.Spans, v.given.Bytes, string(reason)); err != nil {
		m.add(v)
		return fmt.Errorf("close viewing %s: %w", id, err)
	}
	return nil
}

// addEnded keeps why a viewing ended.
func (m *Viewings) addEnded(v Opened, reason EndedBy) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended[v.ID] = Ended{v, reason}
	m.order = append(m.order, v.ID)
	if len(m.order) > mostEnded {
		delete(m.ended, m.order[0])
		m.order = m.order[1:]
	}
}

// endLogged ends a viewing where nobody waits for the outcome.
func (m *Viewings) endLogged(ctx context.Context, id string, reason EndedBy) {
	if err := m.End(ctx, id, reason); err != nil && ctx.Err() == nil {
		m.o.Log.Error("a viewing could not be closed in the log", "viewing", id, "err", err)
	}
}

// matching lists the open viewings that match, also those whose closing entry is still to be written.
func (m *Viewings) matching(match func(Opened) bool) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for id, v := range m.open {
		if match(v) {
			out = append(out, id)
		}
	}
	return out
}

// EndSession ends the viewings that one log-in opened; those of the person's other browsers go on.
func (m *Viewings) EndSession(ctx context.Context, session string, reason EndedBy) {
	for _, id := range m.matching(func(v Opened) bool { return v.session == session }) {
		m.endLogged(ctx, id, reason)
	}
}

// EndOf ends all viewings of a person.
func (m *Viewings) EndOf(ctx context.Context, person string, reason EndedBy) {
	for _, id := range m.matching(func(v Opened) bool { return v.Person == person }) {
		m.endLogged(ctx, id, reason)
	}
}

// EndLive ends what a person watches live, and says what could not be closed in the log.
func (m *Viewings) EndLive(ctx context.Context, person string, reason EndedBy) error {
	var faults []error
	for _, id := range m.matching(func(v Opened) bool { return v.Person == person && v.Live() }) {
		faults = append(faults, m.End(ctx, id, reason))
	}
	return errors.Join(faults...)
}

// EndUnder ends the viewings that an application allowed and allows no more.
func (m *Viewings) EndUnder(ctx context.Context, application string) {
	for _, id := range m.matching(func(v Opened) bool { return v.Application == application }) {
		m.endLogged(ctx, id, Revoked)
	}
}

// EndAll ends every viewing, and says what could not be closed in the log.
func (m *Viewings) EndAll(ctx context.Context, reason EndedBy) error {
	m.mu.Lock()
	ids := slices.Collect(maps.Keys(m.open))
	m.mu.Unlock()
	var faults []error
	for _, id := range ids {
		faults = append(faults, m.End(ctx, id, reason))
	}
	return errors.Join(faults...)
}
