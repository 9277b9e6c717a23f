package usage

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
)

// may is the state machine once more, drawn by hand from design §7: from → to, event by event. A change of the rules
// changes both, or the model test fails.
var may = map[State]string{
	Draft:       "submit withdraw",
	Submitted:   "return review withdraw unavailable expire",
	Returned:    "submit withdraw expire",
	UnderReview: "return review approve reject withdraw unavailable expire",
	AwaitSecond: "return approve reject withdraw unavailable expire",
	Approved:    "withdraw expire extract use extend revoke",
	Extracting:  "expire use extract deliver extend revoke due",
	Delivered:   "use extract deliver extend revoke due report",
	InUse:       "extract deliver use extend revoke due report",
	ReportDue:   "overdue report",
	Overdue:     "report",
	Reported:    "return accept",
	Accepted:    "close",
	Revoked:     "close due report",
}

const applicant = "p010"

var people = []string{applicant, "p002", "p003", "p004", ""}

func sample() Application {
	from := day.Add(-15 * time.Hour)
	return Application{ID: "a2026-0001", Year: 2026, No: 1, State: Draft, Applicant: applicant, Unit: "七年级组", Contact: "8326", Purpose: "03",
		Reason: "书包遗失", Ways: []Way{WayView, WayPackage}, Wanted: []RequestedSpan{{"东大门外", footage.Span{From: from, To: from.Add(time.Hour)}, []string{"c01", "c02"}}},
		UseFrom: "2026-05-20", UseUntil: "2026-05-27", Recipients: []Recipient{{Name: "范之远"}}, Undertakings: AllUndertakings}
}

func decision(a Application) *Decision {
	return &Decision{Cameras: a.Cameras, Spans: a.Spans(), Ways: a.Ways, From: a.UseFrom, Until: a.UseUntil, Code: "papers", Note: "请补材料"}
}

// Whatever happens in whatever order by whomever, an application follows the model and never lies about itself.
func TestStatesFollowTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := sample()
		a.OfOffice = rapid.Bool().Draw(t, "office")
		a.Identified = rapid.Bool().Draw(t, "identified")
		if rapid.Bool().Draw(t, "view only") {
			a.Ways = []Way{WayView}
		}
		at := day
		for range rapid.IntRange(1, 25).Draw(t, "events") {
			at = at.Add(time.Duration(rapid.IntRange(1, 48).Draw(t, "hours")) * time.Hour)
			e := Event{Kind: rapid.SampledFrom(AllEvents).Draw(t, "event"), By: rapid.SampledFrom(people).Draw(t, "by"), Text: "请补材料",
				Cameras: []string{"c01"}, Decision: decision(a), Report: &Report{Result: "nothing_found", Copies: "none"}}
			if e.Kind == Extend && a.Decision != nil {
				e.Decision.Until = a.Decision.Until.Add(1)
			}
			before := a
			b, err := Next(a, e, trustedAt(at))
			if !equal(a, before) {
				t.Fatal("Next changed its argument")
			}
			allowed := slices.Contains(words(may[a.State]), string(e.Kind))
			if allowed != slices.Contains(a.State.Allowed(), e.Kind) {
				t.Fatalf("%s: the page would show %v", a.State, a.State.Allowed())
			}
			if err != nil {
				if !equal(b, a) {
					t.Fatalf("%s of %s failed and changed something", e.Kind, a.State)
				}
				if ill, ok := errors.AsType[*Illegal](err); ok && allowed && ill.Rule == "err.state" {
					t.Fatalf("%s refuses %s", a.State, e.Kind)
				}
				continue
			}
			if !allowed {
				t.Fatalf("%s allows %s", a.State, e.Kind)
			}
			if slices.Contains([]EventKind{Approve, Reject, Review, Return, Extend, Revoke, Accept}, e.Kind) && (e.By == applicant || e.By == "") {
				t.Fatalf("%s by %q", e.Kind, e.By)
			}
			a = b
			sane(t, a, at)
		}
	})
}

// sane holds in every state.
func sane(t *rapid.T, a Application, at time.Time) {
	granted := len(a.Grants()) > 0
	if granted != slices.Contains([]State{Approved, Extracting, Delivered, InUse}, a.State) {
		t.Fatalf("%s grants %v", a.State, a.Grants())
	}
	if granted {
		d := a.Decision
		if d.By == "" || d.By == a.Applicant {
			t.Fatalf("approved by %q", d.By)
		}
		if a.NeedsSecond() && (a.Second == "" || a.Second == d.By || a.Second == a.Applicant) {
			t.Fatalf("second approval by %q after %q", a.Second, d.By)
		}
		if a.AsksCopy() && !a.OfOffice && d.By == a.Reviewer {
			t.Fatalf("%q reviewed and approved a copy", d.By)
		}
	}
	holds := Holds(a, DefaultRules, weekdays)
	over := slices.Contains([]State{Draft, Closed, Withdrawn, Unavailable, Expired}, a.State)
	if over != (len(holds) == 0) {
		t.Fatalf("%s holds %+v", a.State, holds)
	}
	for _, h := range holds {
		if !h.Until.After(a.Submitted) || h.Until.Sub(at) > 90*24*time.Hour || h.Reason == "" {
			t.Fatalf("%s holds until %v", a.State, h.Until)
		}
	}
	if a.State.Ended() && a.Ended.IsZero() {
		t.Fatalf("%s ended at no time", a.State)
	}
}

// Every state is reached, every event leads somewhere: the table has no dead lines.
func TestEveryStateIsReached(t *testing.T) {
	reached := map[State]bool{Draft: true, AwaitSecond: true} // the latter by Approve, when two must agree
	for _, events := range path {
		for _, to := range events {
			reached[to] = true
		}
	}
	for _, s := range AllStates {
		if !reached[s] {
			t.Errorf("nothing leads to %s", s)
		}
		if s.Ended() != (may[s] == "") {
			t.Errorf("%s: ended %v", s, s.Ended())
		}
	}
	if len(reached) != len(AllStates) {
		t.Errorf("%d states reached, %d listed", len(reached), len(AllStates))
	}
}

// Covers F15: what time alone brings, day by day.
func TestWhatTimeBrings(t *testing.T) {
	a := sample()
	a.Ways = []Way{WayView}
	step := func(e Event, at time.Time) {
		t.Helper()
		b, err := Next(a, e, trustedAt(at))
		if err != nil {
			t.Fatal(err)
		}
		a = b
	}
	quiet := func(at time.Time) {
		t.Helper()
		if e, due := OfTime(a, at, DefaultRules, weekdays); due {
			t.Fatalf("%s: time brings %s at %v", a.State, e.Kind, at)
		}
	}
	comes := func(kind EventKind, at time.Time) {
		t.Helper()
		quiet(at.Add(-1))
		e, due := OfTime(a, at, DefaultRules, weekdays)
		if !due || e.Kind != kind {
			t.Fatalf("%s at %v: %s %v", a.State, at, e.Kind, due)
		}
		step(e, at)
	}
	step(Event{Kind: Submit, By: applicant}, day)
	undecided := a
	comes(Expire, Date("2026-06-03").End()) // ten school days after Wednesday 20 May
	a = undecided
	step(Event{Kind: Review, By: "p002", Cameras: []string{"c01"}}, day)
	step(Event{Kind: Approve, By: "p002", Decision: decision(a)}, day)
	unused := a
	comes(Expire, Date("2026-05-27").End())
	a = unused
	step(Event{Kind: Use, By: applicant}, day.Add(time.Hour))
	comes(Due, Date("2026-05-27").End())
	if want := Date("2026-06-03").End(); !a.ReportBy(DefaultRules).Equal(want) {
		t.Fatalf("report by %v, want %v", a.ReportBy(DefaultRules), want)
	}
	comes(Late, Date("2026-06-03").End())
	quiet(day.Add(1000 * 24 * time.Hour))
	step(Event{Kind: File, By: applicant, Report: &Report{Result: "nothing_found", Copies: "none"}}, day.Add(30*24*time.Hour))
	step(Event{Kind: Accept, By: "p002"}, day.Add(31*24*time.Hour))
	step(Event{Kind: Close, By: "p002"}, day.Add(31*24*time.Hour))
	if a.State != Closed || len(a.Grants()) != 0 {
		t.Fatalf("%s %v", a.State, a.Grants())
	}
}

func TestDecisionNeverGivesMoreThanWasAsked(t *testing.T) {
	a := sample()
	a.Ways = []Way{WayView}
	for _, e := range []Event{{Kind: Submit, By: applicant}, {Kind: Review, By: "p002", Cameras: []string{"c01", "c02"}}} {
		b, err := Next(a, e, trustedAt(day))
		if err != nil {
			t.Fatal(err)
		}
		a = b
	}
	for name, c := range map[string]struct {
		change func(*Decision)
		fault  string
		part   bool
	}{
		"as asked":         {func(*Decision) {}, "", false},
		"one camera":       {func(d *Decision) { d.Cameras = []string{"c02"} }, "", true},
		"another camera":   {func(d *Decision) { d.Cameras = []string{"c09"} }, "cameras: err.not_asked", false},
		"no camera":        {func(d *Decision) { d.Cameras = nil }, "cameras: err.required", false},
		"half the time":    {func(d *Decision) { d.Spans[0].To = d.Spans[0].From.Add(time.Minute) }, "", true},
		"a minute more":    {func(d *Decision) { d.Spans[0].To = d.Spans[0].To.Add(time.Minute) }, "spans: err.not_asked", false},
		"backwards":        {func(d *Decision) { d.Spans[0].To = d.Spans[0].From }, "spans: err.from_after_to", false},
		"a copy":           {func(d *Decision) { d.Ways = []Way{WayPackage} }, "ways: err.not_asked", false},
		"longer use":       {func(d *Decision) { d.Until = "2026-05-28" }, "until: err.not_asked", false},
		"shorter use":      {func(d *Decision) { d.Until = "2026-05-21" }, "", true},
		"use already over": {func(d *Decision) { d.From, d.Until = "2026-05-19", "2026-05-19" }, "until: err.not_asked", false},
		"no date":          {func(d *Decision) { d.Until = "soon" }, "until: err.date", false},
	} {
		d := decision(a)
		c.change(d)
		b, err := Next(a, Event{Kind: Approve, By: "p002", Decision: d}, trustedAt(day))
		if c.fault != "" {
			if faults, ok := errors.AsType[fielderr.Errors](err); !ok || faults[0].Error() != c.fault {
				t.Errorf("%s: %v, want %s", name, err, c.fault)
			}
			continue
		}
		if err != nil || b.State != Approved || b.Decision.Part != c.part {
			t.Errorf("%s: %v %s %+v", name, err, b.State, b.Decision)
		}
	}
}

func words(s string) []string {
	var out []string
	for w := range splitSeq(s) {
		out = append(out, w)
	}
	return out
}

// trustedAt is a trusted clock at that instant.
func trustedAt(at time.Time) clock.Reading {
	return clock.Reading{Wall: at, State: clock.Trusted, Boot: "b1", Mono: time.Hour + at.Sub(day)}
}

// Every state has its end, by an act or by time alone. Covers F15.
func TestEveryStateEndsByTime(t *testing.T) {
	d := &Decision{By: "p002", At: day, Approved: true, Cameras: []string{"c01"}, Spans: sample().Spans(), Ways: []Way{WayView}, From: "2026-05-20", Until: "2026-05-27"}
	for name, c := range map[string]struct {
		state State
		used  bool
		want  EventKind
		to    State
	}{
		"extracting, nothing seen": {Extracting, false, Expire, Expired},
		"extracting, and seen":     {Extracting, true, Due, ReportDue},
		"revoked, nothing seen":    {Revoked, false, Close, Closed},
		"revoked, and seen":        {Revoked, true, Due, ReportDue},
		"accepted":                 {Accepted, true, Close, Closed},
	} {
		a := sample()
		a.State, a.Decision, a.Submitted, a.Ended = c.state, d, day, day
		if c.state == Revoked {
			a.Revoked = "用途不符"
		}
		if c.used {
			a.Used = day
		}
		at := day.Add(40 * 24 * time.Hour)
		e, due := OfTime(a, at, DefaultRules, weekdays)
		if !due || e.Kind != c.want {
			t.Errorf("%s: %v %s", name, due, e.Kind)
			continue
		}
		b, err := Next(a, e, trustedAt(at))
		if err != nil || b.State != c.to {
			t.Errorf("%s: %s, %v", name, b.State, err)
		}
	}
}

// A report that is sent back says why, until the next one.
func TestAReturnedReportKeepsItsReason(t *testing.T) {
	a := sample()
	a.State, a.Decision = Reported, &Decision{By: "p002", Approved: true}
	a, err := Next(a, Event{Kind: Return, By: "p002", Text: "请写明结果"}, trustedAt(day))
	if err != nil || a.State != ReportDue || a.Returned != "请写明结果" || a.Decision == nil {
		t.Fatalf("%v %+v", err, a)
	}
	a, err = Next(a, Event{Kind: File, By: applicant, Report: &Report{Result: "nothing_found", Copies: "none"}}, trustedAt(day))
	if err != nil || a.Returned != "" {
		t.Errorf("%v %q", err, a.Returned)
	}
}
