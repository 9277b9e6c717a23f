package usage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	rules "campuskeep/shared/usage"
)

// Submit takes a new application, or a returned one (a.ID set) after its correction, and registers the hold in the same
// Change. Applicant, state, number and everything that the security office fills in are set here: what a says of them is ignored.
// fielderr.Errors names the fields at fault; nothing is written then. The same form sent again, known by its key, is
// answered with what became of the first.
func (e *Register) Submit(ctx context.Context, by account.Who, a rules.Application) (rules.Application, error) {
	var before filed
	subject := account.Subject{Applicant: by.ID}
	if a.ID != "" {
		f, ok := e.files.get(a.ID)
		if !ok {
			return a, fmt.Errorf("application %s: %w", a.ID, ErrNotFound)
		}
		before, subject = f, Subject(f.app)
	}
	d, err := e.Allow(ctx, by, account.ActApplicationCreate, subject)
	if err != nil {
		return a, err
	}
	e.stepMu.Lock()
	defer e.stepMu.Unlock()
	if a.ID != "" {
		before, _ = e.files.get(a.ID) // as it is now that stepMu is held
	}
	if same, ok := e.sameForm(by.ID, a.Key); ok {
		return same, nil
	}
	now := e.o.Clock.Now()
	form := e.form(by, before.app, a)
	disk, err := e.disk(ctx, form)
	if err != nil {
		return a, err
	}
	if err := rules.Validate(form, rules.Facts{Now: now, Cameras: e.camerasAt,
		Held: e.heldBy(by.ID, a.ID), Disk: disk, Rules: e.o.Rules()}); err != nil {
		return a, err
	}
	after, err := rules.Next(form, rules.Event{Kind: rules.Submit, By: by.ID}, now)
	if err != nil {
		return a, err
	}
	s := e.step(by, d.Role, before, after, "replaced")
	s.submit = true
	if after.ID == "" {
		after.Year = year(now)
		n, put, err := e.next("application", after.Year)
		if err != nil {
			return a, err
		}
		after.No, after.ID = n, rules.ApplicationID(after.Year, n)
		s.after, s.puts = after, append(s.puts, put)
	}
	entry, err := submitted(after, e.firstHold(after), s.draft)
	if err != nil {
		return a, err
	}
	s.entries = append(s.entries, entry)
	return e.commit(ctx, s)
}

// sameForm is the application that a form with this key has made.
func (e *Register) sameForm(applicant, key string) (rules.Application, bool) {
	if key == "" {
		return rules.Application{}, false
	}
	e.files.mu.RLock()
	defer e.files.mu.RUnlock()
	for _, f := range e.files.apps {
		if f.app.Key == key && f.app.Applicant == applicant {
			return f.app, true
		}
	}
	return rules.Application{}, false
}

// form is what the applicant may fill in, over what the register already knows.
func (e *Register) form(by account.Who, was, a rules.Application) rules.Application {
	out := was
	if out.ID == "" {
		out.State, out.Applicant = rules.Draft, by.ID
	}
	out.Key = a.Key
	out.OfOffice = by.Has(account.RoleOfficer) || by.Has(account.RoleHeadOfSafety)
	out.Unit, out.Contact, out.Purpose, out.Reason = a.Unit, a.Contact, a.Purpose, a.Reason
	out.Ways, out.UseFrom, out.UseUntil = slices.Clone(a.Ways), a.UseFrom, a.UseUntil
	out.Recipients, out.Publication, out.Identified = slices.Clone(a.Recipients), a.Publication, a.Identified
	out.Undertakings, out.Attachments = slices.Clone(a.Undertakings), slices.Clone(a.Attachments)
	out.Wanted = nil
	for _, w := range a.Wanted {
		out.Wanted = append(out.Wanted, rules.RequestedSpan{Place: w.Place, Span: utc(w.Span), Cameras: e.cameraIDs(w.Place, utc(w.Span))})
	}
	return out
}

func submitted(a rules.Application, hold string, draft drafter) (ledger.Draft, error) {
	form, err := json.Marshal(a)
	if err != nil {
		return ledger.Draft{}, fmt.Errorf("write down the form: %w", err)
	}
	var ways []string
	for _, w := range a.Ways {
		ways = append(ways, string(w))
	}
	data := struct {
		Places int            `json:"places"`
		Spans  []footage.Span `json:"spans"`
		Way    string         `json:"way"`
		Until  time.Time      `json:"until"`
		Hold   string         `json:"hold,omitempty"`
	}{len(a.Places()), a.Spans(), strings.Join(ways, "."), a.UseUntil.End(), hold}
	return draft("application.submitted", a.ID, data,
		sealed(a.ID, "purpose", string(a.Purpose)+" "+a.Reason), sealed(a.ID, "form", string(form))), nil
}

func (e *Register) firstHold(a rules.Application) string {
	for _, h := range rules.Holds(a, e.o.Rules(), e.schoolDay) {
		return h.ID
	}
	return ""
}

// Return sends an application back to its applicant with what is to be mended.
func (e *Register) Return(ctx context.Context, by account.Who, id, reason string) (rules.Application, error) {
	return e.act(ctx, by, account.ActApplicationReview, id, func(f filed, s *step, at clock.Reading) error {
		if f.app.State != rules.Reported {
			return s.apply(rules.Event{Kind: rules.Return, By: by.ID, Text: reason}, at,
				s.draft("application.returned", id, nil, sealed(id, "reason", reason)))
		}
		if err := s.apply(rules.Event{Kind: rules.Return, By: by.ID, Text: reason}, at,
			s.draft("application.returned", id, returnedData{"report"}, sealed(id, "reason", reason))); err != nil {
			return err
		}
		s.entries = append(s.entries, s.draft("application.due", id, nil)) // the report is owed again, not the application
		return nil
	})
}

// Review takes an application up and narrows its places to cameras.
func (e *Register) Review(ctx context.Context, by account.Who, id string, cameras []string, note string) (rules.Application, error) {
	return e.act(ctx, by, account.ActApplicationReview, id, func(f filed, s *step, at clock.Reading) error {
		return e.review(by, s, cameras, note, at)
	})
}

func (e *Register) review(by account.Who, s *step, cameras []string, note string, at clock.Reading) error {
	if err := reviewable(s.after, cameras); err != nil {
		return err
	}
	if err := s.next(rules.Event{Kind: rules.Review, By: by.ID, Cameras: cameras}, at); err != nil {
		return err
	}
	s.reviewed("taken", note, s.after.Cameras)
	return nil
}

// reviewable checks that every camera is at a wanted place.
func reviewable(a rules.Application, cameras []string) error {
	var faults fielderr.Errors
	for _, c := range cameras {
		if !slices.ContainsFunc(a.Wanted, func(w rules.RequestedSpan) bool { return slices.Contains(w.Cameras, c) }) {
			faults.Add("cameras", "err.not_asked")
			break
		}
	}
	return faults.Err()
}

// Decide approves or refuses. One's own application is refused with *account.Refused and an entry, whatever
// one's duty. On an application that nobody took up yet it reviews and decides in one Change; cameras, spans, ways and
// dates that d leaves empty are what was asked for.
func (e *Register) Decide(ctx context.Context, by account.Who, id string, d rules.Decision) (rules.Application, error) {
	return e.act(ctx, by, account.ActApplicationDecide, id, func(f filed, s *step, at clock.Reading) error {
		fill(&d, f.app)
		if f.app.State == rules.Submitted {
			if err := e.review(by, s, d.Cameras, "", at); err != nil {
				return err
			}
		}
		if !d.Approved {
			return s.apply(rules.Event{Kind: rules.Reject, By: by.ID, Decision: &d}, at,
				s.draft("application.rejected", id, codeOnly{d.Code}, sealed(id, "reason", d.Note)))
		}
		if err := s.next(rules.Event{Kind: rules.Approve, By: by.ID, Decision: &d}, at); err != nil {
			return err
		}
		if s.after.State == rules.AwaitSecond {
			s.reviewed("first", d.Note, s.after.Decision.Cameras)
			return nil
		}
		return e.notice(s, at)
	})
}

// fill completes a decision with what was asked for; the second of two with what the first approved.
func fill(d *rules.Decision, a rules.Application) {
	if first := a.Decision; a.State == rules.AwaitSecond && first != nil {
		a.Cameras, a.Ways, a.UseFrom, a.UseUntil = first.Cameras, first.Ways, first.From, first.Until
		if len(d.Spans) == 0 {
			d.Spans = first.Spans
		}
	}
	if len(d.Cameras) == 0 {
		d.Cameras = slices.Clone(a.Cameras)
	}
	if len(d.Cameras) == 0 {
		for _, w := range a.Wanted {
			d.Cameras = append(d.Cameras, w.Cameras...)
		}
	}
	if len(d.Spans) == 0 {
		d.Spans = a.Spans()
	}
	d.Spans = slices.Clone(d.Spans)
	for i := range d.Spans {
		d.Spans[i] = utc(d.Spans[i])
	}
	if len(d.Ways) == 0 {
		d.Ways = slices.DeleteFunc(slices.Clone(a.Ways), func(w rules.Way) bool { return !slices.Contains(rules.OfferedWays, w) })
	}
	if d.From == "" {
		d.From = a.UseFrom
	}
	if d.Until == "" {
		d.Until = a.UseUntil
	}
}

// notice gives the approval its number (F6) and enters it.
func (e *Register) notice(s *step, at clock.Reading) error {
	d := *s.after.Decision
	n, put, err := e.next("notice", year(at))
	if err != nil {
		return err
	}
	d.Year, d.No = year(at), n
	s.after.Decision, s.puts = &d, append(s.puts, put)
	type granted struct { // one camera in one span: a place asked for at noon is not approved at night
		Cameras []string       `json:"pair_cameras,omitempty"`
		Spans   []footage.Span `json:"pair_spans,omitempty"`
	}
	data := struct {
		Cameras []string       `json:"cameras"`
		Spans   []footage.Span `json:"spans"`
		Until   time.Time      `json:"until"`
		Notice  string         `json:"notice"`
		Part    bool           `json:"part"`
		First   string         `json:"first,omitempty"` // who approved first, when two had to
		granted
	}{Spans: d.Spans, Until: d.Until.End(), Notice: d.NoticeCode(), Part: d.Part}
	for _, g := range s.after.Granted() {
		for _, c := range g.Cameras {
			data.granted.Cameras, data.granted.Spans = append(data.granted.Cameras, c), append(data.granted.Spans, g.Span)
			if !slices.Contains(data.Cameras, c) {
				data.Cameras = append(data.Cameras, c)
			}
		}
	}
	b, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("enter the approval of %s: %w", s.after.ID, err)
	}
	if len(data.granted.Cameras) > mostPairs || len(b) > mostApproved {
		data.granted = granted{} // the form that was submitted, the cameras and the spans say it
	}
	text := d.Note
	if s.after.Second != "" {
		data.First = d.By
		text = strings.TrimSpace(d.Note + "\n" + s.after.SecondNote)
	}
	s.entries = append(s.entries, s.draft("application.approved", s.after.ID, data, note(s.after.ID, "note", text)...))
	return nil
}

const (
	mostPairs    = 64      // of a list in an entry
	mostApproved = 3 << 10 // bytes of an approval's data: the rest of an entry, which has 4 KiB, is the head and the rows
)

// Withdraw takes the applicant's own application back and lets its hold go.
func (e *Register) Withdraw(ctx context.Context, by account.Who, id string) (rules.Application, error) {
	return e.act(ctx, by, account.ActApplicationWithdraw, id, func(f filed, s *step, at clock.Reading) error {
		s.release = "withdrawn"
		return s.apply(rules.Event{Kind: rules.Retract, By: by.ID}, at, s.draft("application.withdrawn", id, nil))
	})
}

// Revoke ends an approval; running viewings end with their next request.
func (e *Register) Revoke(ctx context.Context, by account.Who, id, reason string) (rules.Application, error) {
	return e.act(ctx, by, account.ActApplicationDecide, id, func(f filed, s *step, at clock.Reading) error {
		return s.apply(rules.Event{Kind: rules.Revoke, By: by.ID, Text: reason}, at,
			s.draft("application.revoked", id, codeOnly{"office"}))
	})
}

// Extend lets the use of an approved application go on until a later day: a new decision on time alone, with its reason.
func (e *Register) Extend(ctx context.Context, by account.Who, id string, until rules.Date, reason string) (rules.Application, error) {
	return e.act(ctx, by, account.ActApplicationDecide, id, func(f filed, s *step, at clock.Reading) error {
		days := e.o.Rules().UseDays
		if last := rules.DateOf(at.Wall).Add(days - 1); until.Valid() && until > last {
			var faults fielderr.Errors
			faults.Add("until", "err.use_too_long", days, string(last))
			return faults
		}
		return s.apply(rules.Event{Kind: rules.Extend, By: by.ID, Decision: &rules.Decision{Until: until, Note: reason}}, at,
			s.draft("application.extended", id, extendedData{until.End(), f.app.Decision.NoticeCode()}, note(id, "note", reason)...))
	})
}

type extendedData struct {
	Until  time.Time `json:"until"`
	Notice string    `json:"notice"`
}

// act is the frame of every step on an existing application: permission first, then the step under stepMu
// lock on what is now, then one commit.
func (e *Register) act(ctx context.Context, by account.Who, action account.Action, id string, do func(filed, *step, clock.Reading) error) (rules.Application, error) {
	f, ok := e.files.get(id)
	if !ok {
		return rules.Application{}, fmt.Errorf("application %s: %w", id, ErrNotFound)
	}
	d, err := e.Allow(ctx, by, action, Subject(f.app))
	if err != nil {
		return f.app, err
	}
	e.stepMu.Lock()
	defer e.stepMu.Unlock()
	f, _ = e.files.get(id) // as it is now that stepMu is held
	s := e.step(by, d.Role, f, f.app, "decided")
	if err := do(f, &s, e.o.Clock.Now()); err != nil {
		if ill, ok := errors.AsType[*rules.Illegal](err); ok && ill.Rule == "err.own_application" {
			return f.app, e.refuse(ctx, by, action, Subject(f.app), "may.own_application")
		}
		return f.app, err
	}
	return e.commit(ctx, s)
}

type drafter = func(kind ledger.Kind, subject string, data any, sealed ...ledger.Part) ledger.Draft

func (e *Register) step(by account.Who, role account.Role, before filed, after rules.Application, release string) step {
	return step{before: before, after: after, release: release,
		draft: func(kind ledger.Kind, subject string, data any, parts ...ledger.Part) ledger.Draft {
			return by.Draft(kind, role, subject, data, parts...)
		}}
}

// next moves the application on.
func (s *step) next(ev rules.Event, at clock.Reading) error {
	a, err := rules.Next(s.after, ev, at)
	if err == nil {
		s.after = a
	}
	return err
}

// apply moves the application on and enters that.
func (s *step) apply(ev rules.Event, at clock.Reading, entry ledger.Draft) error {
	if err := s.next(ev, at); err != nil {
		return err
	}
	s.entries = append(s.entries, entry)
	return nil
}

func (s *step) reviewed(result, text string, cameras []string) {
	data := struct {
		Cameras []string `json:"cameras"`
		Result  string   `json:"result"`
	}{cameras, result}
	s.entries = append(s.entries, s.draft("application.reviewed", s.after.ID, data, note(s.after.ID, "note", text)...))
}

type returnedData struct {
	What string `json:"what"`
}

type codeOnly struct {
	Code string `json:"code"`
}

func sealed(application, name, text string) ledger.Part {
	return ledger.Part{Name: name, Owner: owner(application), Plain: []byte(text)}
}

// note is a sealed part that may be left out.
func note(application, name, text string) []ledger.Part {
	if text == "" {
		return nil
	}
	return []ledger.Part{sealed(application, name, text)}
}

func utc(s footage.Span) footage.Span {
	if !s.From.IsZero() {
		s.From = s.From.UTC()
	}
	if !s.To.IsZero() {
		s.To = s.To.UTC()
	}
	return s
}

func year(r clock.Reading) int { return rules.DateOf(r.Wall).Begin().Add(12 * time.Hour).Year() }
