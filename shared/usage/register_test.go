package usage

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
)

// Wednesday 20 May 2026, 09:42 in the school.
var day = time.Date(2026, 5, 20, 1, 42, 0, 0, time.UTC)

func weekdays(d Date) bool {
	w := d.Begin().Add(12 * time.Hour).Weekday()
	return w != time.Saturday && w != time.Sunday
}

func splitSeq(s string) iter.Seq[string] { return strings.FieldsSeq(s) }

func equal(a, b Application) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

func facts() Facts {
	cam := footage.Camera{ID: "c01", Place: "东大门外", Policy: footage.Policy{Days: 30}}
	shed := []footage.Camera{{ID: "c02", Policy: footage.Policy{Days: 30}}, {ID: "c03", Policy: footage.Policy{Days: 30}}}
	return Facts{Now: clock.Reading{Wall: day, Uncertainty: time.Second, State: clock.Trusted}, Rules: DefaultRules,
		Cameras: func(place string, _ footage.Span) []footage.Camera {
			return map[string][]footage.Camera{"东大门外": {cam}, "自行车棚": shed}[place]
		}}
}

// Covers F4, F8, F9: each fault is named at its field, all at once.
func TestFaultsOfTheFormAreNamedAtTheirFields(t *testing.T) {
	if err := Validate(wellFilled(), facts()); err != nil {
		t.Fatalf("a good form: %v", err)
	}
	span := func(from, to time.Duration) func(*Application) {
		return func(a *Application) { a.Wanted[0].Span = footage.Span{From: day.Add(from), To: day.Add(to)} }
	}
	h, d := time.Hour, 24*time.Hour
	for name, c := range map[string]struct {
		change func(*Application)
		want   string // of the first fault; all must be there when separated by ;
	}{
		"from after to":       {span(-h, -2*h), "wanted.0.to: err.from_after_to"},
		"from equals to":      {span(-h, -h), "wanted.0.to: err.from_after_to"},
		"future":              {span(-h, h), "wanted.0.to: err.future"},
		"far future":          {span(400*d, 401*d), "wanted.0.to: err.future"},
		"400 days":            {span(-400*d, 0), "wanted.0.to: err.span_too_long [24]"},
		"longer than a day":   {span(-25*h, 0), "wanted.0.to: err.span_too_long [24]"},
		"older than 30 days":  {span(-31*d, -30*d-h), "wanted.0.to: err.span_gone [30]"},
		"partly older":        {span(-30*d-h, -30*d+h), ""},
		"no time":             {func(a *Application) { a.Wanted[0].Span = footage.Span{} }, "wanted.0.from: err.date"},
		"no end":              {func(a *Application) { a.Wanted[0].Span.To = time.Time{} }, "wanted.0.to: err.date"},
		"unknown place":       {func(a *Application) { a.Wanted[0].Place = "月球" }, "wanted.0.place: err.unknown_place"},
		"no place":            {func(a *Application) { a.Wanted = nil }, "wanted: err.required"},
		"no purpose":          {func(a *Application) { a.Purpose = "" }, "purpose: err.choice"},
		"unknown purpose":     {func(a *Application) { a.Purpose = "08" }, "purpose: err.choice"},
		"no reason":           {func(a *Application) { a.Reason = " \n" }, "reason: err.required"},
		"endless reason":      {func(a *Application) { a.Reason = strings.Repeat("长", 501) }, "reason: err.too_long [500]"},
		"control characters":  {func(a *Application) { a.Reason = "a\x00b" }, "reason: err.text"},
		"broken characters":   {func(a *Application) { a.Contact = "\xff" }, "contact: err.text"},
		"two lines":           {func(a *Application) { a.Unit = "a\nb" }, "unit: err.text"},
		"no way":              {func(a *Application) { a.Ways = nil }, "ways: err.required"},
		"unknown way":         {func(a *Application) { a.Ways = []Way{"live"} }, "ways: err.choice"},
		"one undertaking off": {func(a *Application) { a.Undertakings = AllUndertakings[:3] }, "undertakings.report: err.undertaking"},
		"no recipient":        {func(a *Application) { a.Recipients = nil }, "recipients: err.required"},
		"nameless recipient":  {func(a *Application) { a.Recipients[0].Name = "" }, "recipients.0.name: err.required"},
		"use 400 days":        {func(a *Application) { a.UseUntil = "2027-06-24" }, "use_until: err.use_too_long [14 2026-06-02]"},
		"use in the past":     {func(a *Application) { a.UseFrom = "2026-05-19" }, "use_from: err.in_past"},
		"use ends first":      {func(a *Application) { a.UseFrom = "2026-05-28" }, "use_until: err.from_after_to"},
		"no such day":         {func(a *Application) { a.UseUntil = "2026-02-30" }, "use_until: err.date"},
		"two cameras a night": {func(a *Application) {
			a.Wanted = []RequestedSpan{{"自行车棚", footage.Span{From: day.Add(-13 * h), To: day.Add(-30 * time.Minute)}, nil}}
		}, "wanted: err.hold_cap [25 0 24]"},
		"everything": {func(a *Application) { *a = Application{} },
			"unit: err.required; contact: err.required; purpose: err.choice; reason: err.required; ways: err.required; wanted: err.required; use_from: err.date; recipients: err.required"},
	} {
		a := wellFilled()
		c.change(&a)
		err := Validate(a, facts())
		got := ""
		if err != nil {
			got = err.Error()
		}
		if (c.want == "") != (err == nil) || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if _, ok := errors.AsType[fielderr.Errors](err); err != nil && !ok {
			t.Errorf("%s: %T", name, err)
		}
	}
	f := facts()
	other := footage.Hold{Cameras: []string{"c09"}, Span: footage.Span{From: day.Add(-48 * h), To: day.Add(-24*h - 30*time.Minute)}, Reason: HoldUse, Open: true}
	f.Held = []footage.Hold{other}
	if err := Validate(wellFilled(), f); err == nil || err.Error() != "wanted: err.hold_cap [24.5 23.5 24]" {
		t.Errorf("over the cap with what others hold: %v", err)
	}
	// What is kept for a complaint, and what another application holds too, does not count again.
	other.Reason = HoldComplaint
	f.Held = []footage.Hold{other}
	if err := Validate(wellFilled(), f); err != nil {
		t.Errorf("a refused application stands in the way: %v", err)
	}
	same := wellFilled()
	f.Held = []footage.Hold{{Cameras: []string{"c01"}, Span: same.Wanted[0].Span, Reason: HoldUse, Open: true}, {Cameras: []string{"c01"}, Span: same.Wanted[0].Span, Reason: HoldUndecided, Open: true}}
	if got := CameraTime(f.Held, f.Now); got != h {
		t.Errorf("one hour held twice counts %v", got)
	}
}

// Covers F3, F4: all holds together take at most a tenth of the disk; the form says how much.
func TestHoldsTakeAtMostATenthOfTheDisk(t *testing.T) {
	f := facts()
	f.Disk = Disk{Total: 1000 << 30, Held: 90 << 30, Asked: 10 << 30}
	if err := Validate(wellFilled(), f); err != nil {
		t.Error(err)
	}
	f.Disk.Asked++
	if err := Validate(wellFilled(), f); err == nil || err.Error() != "wanted: err.hold_disk [10240 102400 10]" {
		t.Error(err)
	}
	f.Disk.Total = 0 // not known
	if err := Validate(wellFilled(), f); err != nil {
		t.Error(err)
	}
}

// Covers F6: numbers as documents print them, and ids that sort.
func TestNumbers(t *testing.T) {
	a := Application{Year: 2026, No: 47, Decision: &Decision{Year: 2026, No: 32}}
	if a.Number() != "视申〔2026〕047号" || a.NoticeNumber() != "视批〔2026〕032号" || a.Decision.NoticeCode() != "n2026-0032" {
		t.Error(a.Number(), a.NoticeNumber())
	}
	if (Application{}).Number() != "" || (Application{}).NoticeNumber() != "" {
		t.Error("a number before it is given")
	}
	for _, n := range []int{1, 47, 9999, 10000} {
		y, m, ok := ParseApplicationID(ApplicationID(2026, n))
		if !ok || y != 2026 || m != n {
			t.Errorf("%d comes back as %d %v", n, m, ok)
		}
	}
}

func FuzzApplicationID(f *testing.F) {
	for _, s := range []string{"a2026-0001", "a2026-00001", "a2026-0000", "a2026-1", "b2026-0001", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if y, n, ok := ParseApplicationID(s); ok && ApplicationID(y, n) != s {
			t.Fatalf("%q reads as %d %d", s, y, n)
		}
	})
}

func FuzzDate(f *testing.F) {
	f.Add("2026-05-20")
	f.Add("0000-00-00")
	f.Add("9999-12-31")
	f.Fuzz(func(t *testing.T, s string) {
		d := Date(s)
		if !d.Valid() {
			return
		}
		if DateOf(d.Begin()) != d || d.End().Sub(d.Begin()) != 24*time.Hour {
			t.Fatalf("%q begins %v", s, d.Begin())
		}
	})
}

// Make-up working days count, holidays do not; a calendar without school still ends.
func TestSchoolDays(t *testing.T) {
	makeUp := func(d Date) bool { return d == "2026-05-23" || (weekdays(d) && d != "2026-05-21") } // Saturday works, Thursday is off
	for n, want := range map[int]Date{1: "2026-05-22", 2: "2026-05-23", 3: "2026-05-25", 0: "2026-05-20"} {
		if got := AfterSchoolDays(day, n, makeUp); !got.Equal(want.End()) {
			t.Errorf("%d school days: %v, want the end of %s", n, got, want)
		}
	}
	never := AfterSchoolDays(day, 10, func(Date) bool { return false })
	if never.Sub(day) > 367*24*time.Hour {
		t.Errorf("a calendar without school ends %v", never)
	}
}

// What exists, what is missing, what is gone, and what falls off before the office answers.
func TestAvailability(t *testing.T) {
	c := footage.Camera{ID: "c01", Policy: footage.Policy{Days: 30}}
	now := clock.Reading{Wall: day, State: clock.Trusted}
	minute := func(from time.Time) footage.Placed {
		return footage.Placed{Segment: footage.Segment{Camera: "c01", Bytes: 100}, Span: footage.Span{From: from, To: from.Add(time.Minute)}, Anchored: true}
	}
	edge := day.Add(-30 * 24 * time.Hour)
	want := footage.Span{From: edge.Add(-2 * time.Minute), To: edge.Add(5 * time.Minute)}
	var segs []footage.Placed
	for m := -2; m < 5; m++ {
		if m != 2 { // a minute was never recorded
			segs = append(segs, minute(edge.Add(time.Duration(m)*time.Minute)))
		}
	}
	a := Available(c, want, segs, nil, now, day.Add(14*24*time.Hour))
	show := func(s []footage.Span) string {
		var out strings.Builder
		for _, x := range s {
			out.WriteString(fmt.Sprintf("[%v %v)", x.From.Sub(edge).Minutes(), x.To.Sub(edge).Minutes()))
		}
		return out.String()
	}
	if show(a.Present) != "[0 2)[3 5)" || show(a.Missing) != "[2 3)" || show(a.Gone) != "[-2 0)" || a.Bytes != 400 {
		t.Errorf("present %s missing %s gone %s, %d bytes", show(a.Present), show(a.Missing), show(a.Gone), a.Bytes)
	}
	if a.Complete() || a.Lacking() != 3*time.Minute || !a.BeforeReview || !a.FirstLoss.Equal(day.Add(time.Minute)) {
		t.Errorf("%+v", a)
	}
	until := day.Add(20 * 24 * time.Hour)
	held := []footage.Hold{{ID: "h", Cameras: []string{"c01"}, Span: want, Until: until}}
	a = Available(c, want, segs, held, now, day.Add(14*24*time.Hour))
	if show(a.Present) != "[-2 2)[3 5)" || len(a.Gone) != 0 || a.BeforeReview || !a.FirstLoss.Equal(until) {
		t.Errorf("held: %s, first loss %v", show(a.Present), a.FirstLoss)
	}
	if a = Available(c, want, nil, nil, now, day); len(a.Present) != 0 || a.Lacking() != 7*time.Minute {
		t.Errorf("nothing there: %+v", a)
	}
}

// Covers F4, F12: two places at two times are not two places at both times.
func TestGrantKeepsPlacesAndTimesTogether(t *testing.T) {
	a := wellFilled()
	a.Ways = []Way{WayView}
	tuesday := a.Wanted[0].Span
	monday := footage.Span{From: tuesday.From.Add(-24 * time.Hour), To: tuesday.To.Add(-24 * time.Hour)}
	a.Wanted = []RequestedSpan{{"东大门外", tuesday, []string{"c01"}}, {"自行车棚", monday, []string{"c02", "c03"}}}
	for _, e := range []Event{{Kind: Submit, By: applicant}, {Kind: Review, By: "p002", Cameras: []string{"c01", "c02"}},
		{Kind: Approve, By: "p002", Decision: &Decision{Cameras: []string{"c01", "c02"}, Spans: []footage.Span{monday, tuesday}, Ways: a.Ways, From: a.UseFrom, Until: a.UseUntil}}} {
		b, err := Next(a, e, trustedAt(day))
		if err != nil {
			t.Fatal(err)
		}
		a = b
	}
	grants, holds := a.Grants(), Holds(a, DefaultRules, weekdays)
	if len(grants) != 2 || fmt.Sprint(grants[0].Cameras, grants[1].Cameras) != "[c02] [c01]" || !grants[0].From.Equal(monday.From) {
		t.Errorf("%+v", grants)
	}
	if len(holds) != 2 || fmt.Sprint(holds[0].Cameras, holds[1].Cameras) != "[c02] [c01]" {
		t.Errorf("%+v", holds)
	}
	// Approving one place only drops the other one's time.
	a.State, a.Decision = UnderReview, nil
	b, err := Next(a, Event{Kind: Approve, By: "p002", Decision: &Decision{Cameras: []string{"c01"}, Spans: a.Spans(), Ways: a.Ways, From: a.UseFrom, Until: a.UseUntil}}, trustedAt(day))
	if err != nil || len(b.Decision.Spans) != 1 || !b.Decision.Part || !b.Decision.Spans[0].From.Equal(tuesday.From) {
		t.Errorf("%v %+v", err, b.Decision)
	}
}

// wellFilled is a form that asks for nothing that cannot be had.
func wellFilled() Application {
	a := sample()
	a.Ways = []Way{WayView, WayStill}
	return a
}
