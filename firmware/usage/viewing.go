package usage

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	rules "campuskeep/shared/usage"
)

// Modes of a viewing, as the log names them.
const (
	Playback = "playback"
	Live     = "live"
)

// Grounds of a viewing, as the log names them.
const (
	BasisGrant = "grant" // an approved application
	BasisDuty  = "duty"  // a duty role with a purpose stated
)

const (
	incidentFor = 30 * time.Minute // a duty officer states a purpose once per incident
	playbackFor = 12 * time.Hour   // a viewing left open ends
	liveFor     = time.Hour
	// LongestView is the most footage of one viewing; who needs more opens the next one, an entry of its own.
	LongestView = 4 * time.Hour
	minPurpose  = 4 // runes: less says nothing to who reads the register
	maxPurpose  = 200
	maxSpans    = 40 // of a list of spans in an entry, which has 4 KiB
)

// Viewing is one opening of footage whose entry is in the log.
type Viewing struct {
	ID          string
	Entry       uint64 // seq of its opening entry
	Person      string
	Role        account.Role
	Camera      string
	Span        footage.Span
	Mode        string
	Basis       string
	Application string // when the ground is a grant
	Incident    string // when the ground is a duty
	Purpose     string
	Opened      time.Time
	Until       time.Time
	over        time.Duration // monotonic time at which it ends, whatever the wall clock does
}

// Over says whether its time has passed.
func (v Viewing) Over(now clock.Reading) bool { return now.Mono >= v.over }

func (v Viewing) way() string {
	if v.Mode == Live {
		return account.WayLive
	}
	return account.WayView
}

// openViewing is the row of a viewing that has no closing entry yet.
type openViewing struct {
	Person string       `json:"person"`
	Role   account.Role `json:"role"`
	Camera string       `json:"camera"`
	Opened time.Time    `json:"opened"`
}

// Incident is a purpose that a duty officer stated and that still counts.
type Incident struct {
	ID      string
	Purpose string
	Until   time.Time
	over    time.Duration // monotonic
}

// watch is what is being looked at.
type watch struct {
	mu        sync.Mutex
	views     map[string]*running
	incidents map[string]Incident    // by person
	left      map[string]openViewing // of the last run, until Run has closed them
}

type running struct {
	Viewing
	ending bool // closing is under way: nothing more is delivered

	still  sync.Mutex       // one picture at a time
	stills map[string]Still // by the page's own number; guarded by still
}

func (w *watch) open() {
	w.views, w.incidents, w.left = map[string]*running{}, map[string]Incident{}, map[string]openViewing{}
}

// Incident is the purpose that the person stated within the last half hour.
func (e *Register) Incident(person string) (Incident, bool) {
	return e.watch.incident(person, e.o.Clock.Now())
}

func (w *watch) incident(person string, now clock.Reading) (Incident, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i, ok := w.incidents[person]
	return i, ok && now.Mono < i.over
}

// OpenViewing asks permission and commits the access entry before it returns: no caller may deliver a byte
// without the Viewing that it gives (design §1.2). purpose may be empty inside a grant, and for a duty while an
// incident of the person runs. A refusal is *account.Refused and an entry; bad input is fielderr.Errors; any
// other error means that nothing was opened.
func (e *Register) OpenViewing(ctx context.Context, by account.Who, camera string, span footage.Span, mode, purpose string) (Viewing, error) {
	reading := e.o.Clock.Now()
	now := reading.Wall.UTC()
	v := Viewing{ID: "v-" + strings.ToLower(rand.Text()), Person: by.ID, Camera: camera, Span: utc(span), Mode: mode,
		Purpose: strings.TrimSpace(purpose), Opened: now, Until: now.Add(playbackFor)}
	action := account.ActFootagePlayback
	if mode == Live {
		action, v.Until = account.ActFootageLive, now.Add(liveFor)
		v.Span = footage.Span{From: now, To: v.Until}
	}
	if err := e.checkViewing(v, now); err != nil {
		return Viewing{}, err
	}
	v.over = reading.Due(v.Until)
	incident, running := e.watch.incident(by.ID, reading)
	d, err := e.Allow(ctx, by, action, account.Subject{Camera: camera, From: v.Span.From, To: v.Span.To, Way: v.way(),
		Purpose: v.Purpose != "" || running})
	if err != nil {
		return Viewing{}, err
	}
	v.Role, v.Basis = d.Role, BasisDuty
	if d.Grant != "" {
		v.Basis, v.Application = BasisGrant, d.Grant
		if v, err = e.openInGrant(ctx, by, v); err == nil {
			e.fetchFor(ctx, by, v)
		}
		return v, err
	}
	if !running || (v.Purpose != "" && v.Purpose != incident.Purpose) {
		incident = Incident{"i-" + strings.ToLower(rand.Text()), v.Purpose, now.Add(incidentFor), reading.Mono + incidentFor}
	}
	v.Incident, v.Purpose = incident.ID, incident.Purpose
	v, _, err = e.openCommit(ctx, by, v, ledgerdb.Change{})
	if err != nil {
		return Viewing{}, err
	}
	e.watch.mu.Lock()
	e.watch.incidents[by.ID] = incident
	e.watch.mu.Unlock()
	e.fetchFor(ctx, by, v)
	return v, nil
}

func (e *Register) checkViewing(v Viewing, now time.Time) error {
	var faults fielderr.Errors
	if !slices.ContainsFunc(e.o.Cameras(), func(c footage.Camera) bool { return c.ID == v.Camera }) {
		faults.Add("camera", "err.unknown_camera")
	}
	switch {
	case v.Mode != Playback && v.Mode != Live:
		faults.Add("mode", "err.choice")
	case v.Mode == Live:
	case !v.Span.From.Before(v.Span.To):
		faults.Add("to", "err.from_after_to")
	case v.Span.From.After(now):
		faults.Add("from", "err.future")
	case v.Span.Duration() > LongestView:
		faults.Add("to", "err.view_too_long", LongestView)
	}
	switch n := utf8.RuneCountInString(v.Purpose); {
	case !utf8.ValidString(v.Purpose) || n > maxPurpose:
		faults.Add("purpose", "err.too_long", maxPurpose)
	case n > 0 && n < minPurpose:
		faults.Add("purpose", "err.too_short", minPurpose)
	}
	return faults.Err()
}

// openInGrant opens under an application. The commit requires the application to be as it was judged, so that a
// revocation at the same moment wins; the first viewing brings it into use.
func (e *Register) openInGrant(ctx context.Context, by account.Who, v Viewing) (Viewing, error) {
	e.stepMu.Lock()
	defer e.stepMu.Unlock()
	f, ok := e.files.get(v.Application)
	if !ok {
		return Viewing{}, fmt.Errorf("application %s: %w", v.Application, ErrNotFound)
	}
	a, err := rules.Next(f.app, rules.Event{Kind: rules.Use, By: by.ID}, e.o.Clock.Now())
	if err != nil {
		return Viewing{}, fmt.Errorf("begin the use of %s: %w", v.Application, err)
	}
	if g := f.app.Decision.Until.End(); g.Before(v.Until) {
		v.Until, v.over = g, v.over-v.Until.Sub(g)
	}
	if f.app.State == a.State {
		v, _, err = e.openCommit(ctx, by, v, ledgerdb.Change{Require: []ledgerdb.Require{applications.Require(a.ID, f.rev)}})
		return v, err
	}
	v, receipt, err := e.openCommit(ctx, by, v, ledgerdb.Change{Puts: []ledgerdb.Put{applications.PutRev(a.ID, a, f.rev)}})
	if err != nil {
		return Viewing{}, err
	}
	e.files.mu.Lock()
	defer e.files.mu.Unlock()
	e.files.apps[a.ID] = filed{a, receipt.Revs[0]}
	return v, nil
}

// openCommit writes row and entry. Nothing is open until they are durable.
func (e *Register) openCommit(ctx context.Context, by account.Who, v Viewing, c ledgerdb.Change) (Viewing, ledgerdb.Receipt, error) {
	c.Puts = append(c.Puts, viewings.PutRev(v.ID, openViewing{v.Person, v.Role, v.Camera, v.Opened}, 0))
	data := struct {
		Viewing     string    `json:"viewing"`
		Camera      string    `json:"camera"`
		From        time.Time `json:"from"`
		To          time.Time `json:"to"`
		Mode        string    `json:"mode"`
		Ground      string    `json:"ground"`
		Application string    `json:"application,omitempty"`
		Incident    string    `json:"incident,omitempty"`
	}{v.ID, v.Camera, v.Span.From, v.Span.To, v.Mode, v.Basis, v.Application, v.Incident}
	var parts []ledger.Part
	if v.Purpose != "" {
		parts = append(parts, ledger.Part{Name: "purpose", Owner: purposeOwner(v), Plain: []byte(v.Purpose)})
	}
	c.Entries = append(c.Entries, by.Draft("footage.access.open", v.Role, v.Camera, data, parts...))
	receipt, err := e.o.Store.Commit(ctx, c)
	if err != nil {
		return Viewing{}, receipt, fmt.Errorf("record the opening of camera %s: %w", v.Camera, err)
	}
	v.Entry = receipt.First
	e.watch.mu.Lock()
	defer e.watch.mu.Unlock()
	e.watch.views[v.ID] = &running{Viewing: v}
	return v, receipt, nil
}

// purposeOwner is whose key seals the purpose: it goes when the application or the viewer is erased.
func purposeOwner(v Viewing) string {
	if v.Application != "" {
		return owner(v.Application)
	}
	return "person:" + v.Person
}

// CloseViewing enters what was really delivered. From the call on nothing more is delivered; when the commit
// fails the viewing stays to be closed, and the caller calls again. reason is a code: closed, idle, over, revoked, stop.
func (e *Register) CloseViewing(ctx context.Context, id string, delivered []footage.Span, bytes int64, reason string) error {
	e.watch.mu.Lock()
	r, ok := e.watch.views[id]
	if ok {
		r.ending = true
	}
	e.watch.mu.Unlock()
	if !ok {
		return fmt.Errorf("viewing: %w", ErrNotFound)
	}
	v := r.Viewing
	err := e.closeCommit(ctx, id, ledger.Actor{ID: v.Person, Role: string(v.Role)}, v.Camera, closing{id, v.Entry, joinSpans(delivered), bytes, reason})
	if errors.Is(err, ledgerdb.ErrConflict) {
		err = nil // another call has closed it
	}
	if err != nil {
		return err
	}
	e.watch.mu.Lock()
	defer e.watch.mu.Unlock()
	delete(e.watch.views, id)
	return nil
}

type closing struct {
	Viewing   string         `json:"viewing"`
	Opened    uint64         `json:"opened"`
	Delivered []footage.Span `json:"delivered"`
	Bytes     int64          `json:"bytes"`
	Reason    string         `json:"reason,omitempty"`
}

func (e *Register) closeCommit(ctx context.Context, id string, who ledger.Actor, camera string, c closing) error {
	var rev uint64
	err := e.o.Store.View(func(tx ledgerdb.Tx) (err error) {
		_, rev, _, err = viewings.Get(tx, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("read viewing %s: %w", id, err)
	}
	if rev == 0 {
		return fmt.Errorf("viewing %s: %w", id, ledgerdb.ErrConflict)
	}
	_, err = e.o.Store.Commit(ctx, ledgerdb.Change{Deletes: []ledgerdb.Delete{viewings.DeleteRev(id, rev)},
		Entries: []ledger.Draft{{Actor: who, Via: ledger.ViaSystem, Kind: "footage.access.close", Subject: camera, Data: c}}})
	if err != nil {
		return fmt.Errorf("record the end of viewing %s: %w", id, err)
	}
	return nil
}

// joinSpans joins spans that touch and, beyond what an entry holds, closes the smallest holes: the entry may then say
// a little more than was delivered, never less.
func joinSpans(spans []footage.Span) []footage.Span {
	out := []footage.Span{}
	sorted := slices.Clone(spans)
	slices.SortFunc(sorted, func(a, b footage.Span) int { return a.From.Compare(b.From) })
	for _, s := range sorted {
		s = utc(s)
		if n := len(out); n > 0 && !s.From.After(out[n-1].To) {
			if s.To.After(out[n-1].To) {
				out[n-1].To = s.To
			}
			continue
		}
		out = append(out, s)
	}
	for len(out) > maxSpans {
		least := 1
		for i := 2; i < len(out); i++ {
			if out[i].From.Sub(out[i-1].To) < out[least].From.Sub(out[least-1].To) {
				least = i
			}
		}
		out[least-1].To = out[least].To
		out = slices.Delete(out, least, least+1)
	}
	return out
}

// closeLeft closes what the last run left open (I5). What was delivered is not known then: no span is stated and
// the reason says so.
func (e *Register) closeLeft(ctx context.Context) error {
	e.watch.mu.Lock()
	left := len(e.watch.left)
	e.watch.mu.Unlock()
	if left == 0 {
		return nil
	}
	for entry, err := range e.o.Store.Newest(e.o.Store.Size()) {
		if errors.Is(err, ledgerdb.ErrDamaged) {
			continue // check names it; if it was the opening, its viewing stays open in the listing
		}
		if err != nil {
			return fmt.Errorf("look for the openings of the last run: %w", err)
		}
		id, ok := opening(entry)
		if !ok {
			continue
		}
		e.watch.mu.Lock()
		row, mine := e.watch.left[id]
		e.watch.mu.Unlock()
		if !mine {
			continue
		}
		c := closing{id, entry.Seq, []footage.Span{}, 0, "restart"}
		if err := e.closeCommit(ctx, id, ledger.System, row.Camera, c); err != nil && !errors.Is(err, ledgerdb.ErrConflict) {
			return err
		}
		e.watch.mu.Lock()
		delete(e.watch.left, id)
		left = len(e.watch.left)
		e.watch.mu.Unlock()
		if left == 0 {
			return nil
		}
	}
	return fmt.Errorf("%d open viewings have no opening entry", left)
}
