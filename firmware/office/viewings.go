package office

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"campuskeep/firmware/evidence"
	"campuskeep/firmware/people"
	"campuskeep/firmware/playback"
	"campuskeep/shared/account"
)

// opened is one viewing that a browser holds: its access entry is committed, its end is not yet.
type opened struct {
	evidence.Viewing
	Until   time.Time     // the viewing's, or the session's when that ends before
	due     time.Duration // monotonic time of it
	session string        // id of the log-in that it belongs to

	over  context.Context         // done as soon as nothing more may be shown; its cause is an endedBy
	stop  context.CancelCauseFunc // ends over
	given *playback.Delivered     // what it got in the end, while the entry that says so is not written yet
}

func (v opened) live() bool { return v.Mode == evidence.Live }

// subject is what every request for its bytes is about.
func (v opened) subject() account.Subject {
	s := account.Subject{Person: v.Person, Camera: v.Camera, From: v.Span.From, To: v.Span.To, Application: v.Application, Way: account.WayView, Purpose: true}
	if v.live() {
		s.Way = account.WayLive
	}
	return s
}

// ended is what is remembered of a viewing that is over: whose it was and why, for the page that still shows it.
type ended struct {
	opened
	reason string
}

// mostEnded is how many viewings that are over are remembered.
const mostEnded = 512

// viewings are the open ones, in memory: after a restart none is open, and evidence closes what was.
type viewings struct {
	mu    sync.Mutex
	open  map[string]opened      // guarded by mu
	ended map[string]ended       // guarded by mu
	order []string               // of ended, oldest first; guarded by mu
	left  map[string]*time.Timer // of pages that went away: the end of their viewing; guarded by mu
}

func newViewings() *viewings {
	return &viewings{open: map[string]opened{}, ended: map[string]ended{}, left: map[string]*time.Timer{}}
}

// leaveGrace is how long a viewing waits for its page to come back: loading it again is not its end.
const leaveGrace = 5 * time.Second

// leave ends a viewing soon, unless stay is called before.
func (v *viewings) leave(id string, end func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.left[id] != nil {
		return
	}
	var t *time.Timer
	t = time.AfterFunc(leaveGrace, func() {
		v.mu.Lock()
		gone := v.left[id] == t // else the page came back in the moment that this began
		if gone {
			delete(v.left, id)
		}
		v.mu.Unlock()
		if gone {
			end()
		}
	})
	v.left[id] = t
}

// stay takes back what leave began.
func (v *viewings) stay(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if t := v.left[id]; t != nil {
		t.Stop()
		delete(v.left, id)
	}
}

// put puts a viewing on the list; from now on it can be stopped.
func (v *viewings) put(o opened) {
	if o.over == nil {
		o.over, o.stop = context.WithCancelCause(context.Background())
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.open[o.ID] = o
}

// remember keeps why a viewing ended; the first reason stays.
func (v *viewings) remember(o opened, reason string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, ok := v.ended[o.ID]; ok {
		return
	}
	v.ended[o.ID] = ended{o, reason}
	v.order = append(v.order, o.ID)
	if len(v.order) > mostEnded {
		delete(v.ended, v.order[0])
		v.order = v.order[1:]
	}
}

func (v *viewings) past(id string) (ended, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	e, ok := v.ended[id]
	return e, ok
}

func (v *viewings) get(id string) (opened, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	o, ok := v.open[id]
	return o, ok && o.given == nil
}

func (v *viewings) take(id string) (opened, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	o, ok := v.open[id]
	delete(v.open, id)
	if t := v.left[id]; t != nil {
		t.Stop()
		delete(v.left, id)
	}
	return o, ok
}

func (v *viewings) ids() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Collect(maps.Keys(v.open))
}

// unwritten lists the viewings that are over and whose closing entry is still to be written.
func (v *viewings) unwritten() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []string
	for id, o := range v.open {
		if o.given != nil {
			out = append(out, id)
		}
	}
	return out
}

// of lists the open viewings of one person.
func (v *viewings) of(person string) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []string
	for id, o := range v.open {
		if o.Person == person {
			out = append(out, id)
		}
	}
	return out
}

// end closes a viewing: first no more bytes, then the entry that says what was really delivered. When the
// entry cannot be written the viewing stays on the list, and Run tries again.
func (o *Office) end(ctx context.Context, id, reason string) error {
	v, ok := o.viewings.take(id)
	if !ok {
		return nil
	}
	if past, again := o.viewings.past(id); again {
		reason = past.reason // the entry could not be written the first time
	}
	if v.given == nil {
		v.stop(endedBy(reason)) // what is on its way is cut
		o.viewings.remember(v, reason)
		got, _ := o.d.Player.Close(id)
		v.given = &got
	}
	if err := o.d.Register.CloseViewing(ctx, id, v.given.Spans, v.given.Bytes, reason); err != nil {
		o.viewings.put(v)
		return fmt.Errorf("closing viewing %s: %w", id, err)
	}
	return nil
}

func (o *Office) closeIdle(ctx context.Context) {
	for _, id := range o.d.Player.Idle(idleAfter) {
		reason := "idle"
		if v, ok := o.viewings.get(id); ok && o.d.Clock.Now().Mono >= v.due {
			reason = "over"
		}
		if err := o.end(ctx, id, reason); err != nil && ctx.Err() == nil {
			o.d.Log.Error("a viewing could not be closed in the log", "viewing", id, "error", err)
		}
	}
	for _, id := range o.viewings.unwritten() {
		if err := o.end(ctx, id, "idle"); err != nil && ctx.Err() == nil {
			o.d.Log.Error("a viewing could not be closed in the log", "viewing", id, "error", err)
		}
	}
}

func (o *Office) closeAll(ctx context.Context, reason string) error {
	var faults []error
	for _, id := range o.viewings.ids() {
		faults = append(faults, o.end(ctx, id, reason))
	}
	return errors.Join(faults...)
}

// closeIn ends the viewings that one log-in opened; those of the person's other browsers go on.
func (o *Office) closeIn(ctx context.Context, s people.Session, reason string) {
	for _, id := range o.viewings.of(s.Person.ID) {
		v, ok := o.viewings.get(id)
		if !ok || v.session != s.ID {
			continue
		}
		if err := o.end(ctx, id, reason); err != nil {
			o.d.Log.Error("a viewing could not be closed in the log", "viewing", id, "err", err)
		}
	}
}

// closeOf ends all viewings of a person.
func (o *Office) closeOf(ctx context.Context, person, reason string) {
	for _, id := range o.viewings.of(person) {
		if err := o.end(ctx, id, reason); err != nil {
			o.d.Log.Error("a viewing could not be closed in the log", "viewing", id, "error", err)
		}
	}
}

// closeUnder ends the viewings that an application allowed and allows no more.
func (o *Office) closeUnder(ctx context.Context, application string) {
	for _, id := range o.viewings.ids() {
		if v, ok := o.viewings.get(id); ok && v.Application == application {
			if err := o.end(ctx, id, "revoked"); err != nil {
				o.d.Log.Error("a viewing could not be closed in the log", "viewing", id, "error", err)
			}
		}
	}
}
