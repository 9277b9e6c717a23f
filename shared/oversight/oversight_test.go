package oversight_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/oversight"
)

var (
	t0 = time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)
	s  = oversight.DefaultSettings
)

// Covers F18: whatever is tried by whomever in whatever order, a violation is decided only after the person concerned
// was heard, by somebody who neither opened it nor did it; an appeal is the person's own, in time, and another decides
// it; what is final stays.
func TestAViolationIsHeardDecidedAndAppealed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := t0
		v, err := oversight.Open(oversight.Violation{Code: oversight.Unapproved, Person: "p1", By: "p2", Facts: "used without approval"}, now, s)
		if err != nil {
			t.Fatal(err)
		}
		heard := false
		for range 30 {
			now = now.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "hours")) * time.Hour)
			e := oversight.ViolationEvent{
				Kind: rapid.SampledFrom([]string{oversight.StepHear, oversight.StepDecide, oversight.StepAppeal, oversight.StepSettle, oversight.StepLapse, oversight.StepNote}).Draw(t, "kind"),
				By:   rapid.SampledFrom([]string{"p1", "p2", "p3", "p4"}).Draw(t, "by"), Text: "words",
				Ruling: &oversight.Ruling{Measure: oversight.Warning, Text: "a warning"},
			}
			was := v
			next, err := oversight.Next(v, e, now, s)
			if err != nil {
				if _, ok := errors.AsType[*oversight.Illegal](err); !ok {
					t.Fatal(err)
				}
				if next.State != was.State && len(next.Steps) != len(was.Steps) {
					t.Fatalf("a refused step changed %+v", next)
				}
				continue
			}
			v = next
			switch e.Kind {
			case oversight.StepHear:
				heard = true
			case oversight.StepDecide:
				if !heard || e.By == "p1" || e.By == "p2" {
					t.Fatalf("decided by %s, heard %v", e.By, heard)
				}
			case oversight.StepAppeal:
				if e.By != "p1" || now.After(was.Due) {
					t.Fatalf("appeal by %s at %v of %v", e.By, now, was.Due)
				}
			case oversight.StepSettle:
				if e.By == "p1" || e.By == was.Ruling.By {
					t.Fatalf("settled by %s, decided by %s", e.By, was.Ruling.By)
				}
			}
			if was.State == oversight.Final {
				t.Fatalf("%s after the end", e.Kind)
			}
			if len(v.Steps) != len(was.Steps)+1 || v.Steps[len(v.Steps)-1].Kind != e.Kind {
				t.Fatalf("steps %v", v.Steps)
			}
		}
	})
}

// Covers F18, M18: a decision says what and why; a referral to whom.
func TestADecisionSaysWhy(t *testing.T) {
	t.Parallel()
	v := oversight.Violation{State: oversight.Heard, Person: "p1", By: "p2"}
	for name, c := range map[string]struct {
		r     *oversight.Ruling
		field string
	}{
		"nothing":     {nil, "measure"},
		"no reason":   {&oversight.Ruling{Measure: oversight.Reminder}, "text"},
		"unknown":     {&oversight.Ruling{Measure: "prison", Text: "x"}, "measure"},
		"to nobody":   {&oversight.Ruling{Measure: oversight.Referral, Text: "x"}, "referred"},
		"endless":     {&oversight.Ruling{Measure: oversight.Reminder, Text: strings.Repeat("字", oversight.MaxText+1)}, "text"},
		"as it is to": {&oversight.Ruling{Measure: oversight.Referral, Text: "x", Referred: "police", Grave: true}, ""},
	} {
		_, err := oversight.Next(v, oversight.ViolationEvent{Kind: oversight.StepDecide, By: "p3", Ruling: c.r}, t0, s)
		if e, ok := errors.AsType[fielderr.Errors](err); (c.field != "") != ok || ok && e[0].Field != c.field {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Covers F16, L2: an inspection ends only when every item is answered, and what is wanting says who puts it right by
// when; who put it right does not look again, and what sees a private area is closed only with the report to the police.
func TestAFindingIsMendedAndLookedAtAgain(t *testing.T) {
	t.Parallel()
	p := oversight.Plan{ID: "p-1", Title: "private areas", Cadence: oversight.Weekly, Person: "p1", From: t0, Items: []oversight.Item{{Text: "no camera in the rooms", Private: true}, {Text: "signs"}}}
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	i := oversight.Begin(p, "p1", t0)
	i.ID = "i2026-0001"
	if _, _, err := i.Submit(t0); err == nil {
		t.Fatal("submitted without an answer")
	}
	i, err := i.Answered(0, oversight.Answer{Result: oversight.Bad, Text: "it sees a room"}, t0)
	if err != nil {
		t.Fatal(err)
	}
	if i, err = i.Answered(1, oversight.Answer{Result: oversight.Good}, t0); err != nil {
		t.Fatal(err)
	}
	if _, _, err = i.Submit(t0); err == nil || !strings.Contains(err.Error(), "item.0") {
		t.Fatalf("nobody puts it right: %v", err)
	}
	if i, err = i.Answered(0, oversight.Answer{Result: oversight.Bad, Text: "it sees a room", Owner: "p2", Due: t0.AddDate(0, 0, 1)}, t0); err != nil {
		t.Fatal(err)
	}
	_, found, err := i.Submit(t0)
	if err != nil || len(found) != 1 || !found[0].Private {
		t.Fatalf("%v, %v", found, err)
	}
	f := found[0]
	if !f.Overdue(t0.AddDate(0, 0, 2)) {
		t.Error("not overdue after its day")
	}
	f, err = f.Step(oversight.FindingEvent{Kind: oversight.StepMend, By: "p2", Text: "turned away"}, t0)
	if err != nil {
		t.Fatal(err)
	}
	rule := func(e oversight.FindingEvent) string {
		_, err := f.Step(e, t0)
		x, _ := errors.AsType[*oversight.Illegal](err)
		if x == nil {
			return ""
		}
		return x.Rule
	}
	if r := rule(oversight.FindingEvent{Kind: oversight.StepPass, By: "p2", Text: "fine"}); r != "err.oversight.own_mend" {
		t.Errorf("its owner passed it: %q", r)
	}
	if r := rule(oversight.FindingEvent{Kind: oversight.StepPass, By: "p1", Text: "fine"}); r != "err.oversight.no_police" {
		t.Errorf("closed without the police: %q", r)
	}
	if f, err = f.Step(oversight.FindingEvent{Kind: oversight.StepPolice, By: "p1", Police: &oversight.Police{At: t0, To: "police station", Receipt: "2026-17"}}, t0); err != nil {
		t.Fatal(err)
	}
	if f, err = f.Step(oversight.FindingEvent{Kind: oversight.StepPass, By: "p1", Text: "fine"}, t0); err != nil || f.State != oversight.Closed {
		t.Fatalf("%v, %v", f.State, err)
	}
	if due := p.Due(t0); !due.Equal(t0.AddDate(0, 0, 7)) {
		t.Errorf("due %v", due)
	}
}

// Covers F19, M21: a version counts only after another person has reviewed it and everybody had time to read it.
func TestAVersionIsReviewedAnnouncedAndRead(t *testing.T) {
	t.Parallel()
	r := oversight.Regulation{Name: "footage", Version: 2, Title: "rules", Text: "1. …", By: "p1", State: oversight.Drafted}
	if err := r.Check(); err == nil {
		t.Error("a second version does not say what is new")
	}
	if _, err := r.Step(oversight.RegulationEvent{Kind: oversight.StepReview, By: "p1"}, t0, s); err == nil {
		t.Error("its author reviewed it")
	}
	r, err := r.Step(oversight.RegulationEvent{Kind: oversight.StepReview, By: "p2"}, t0, s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Step(oversight.RegulationEvent{Kind: oversight.StepAnnounce, By: "p2", Effective: t0.AddDate(0, 0, 1)}, t0, s); err == nil {
		t.Error("it counts before its announcement ends")
	}
	if r, err = r.Step(oversight.RegulationEvent{Kind: oversight.StepAnnounce, By: "p2"}, t0, s); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Step(oversight.RegulationEvent{Kind: oversight.StepEffect}, t0, s); err == nil {
		t.Error("effective at once")
	}
	read, changed := r.Read("p9", t0)
	if !changed || len(read.Readers) != 1 || len(r.Readers) != 0 {
		t.Errorf("%v %v", changed, read.Readers)
	}
	if _, again := read.Read("p9", t0); again {
		t.Error("read twice")
	}
	if r, err = r.Step(oversight.RegulationEvent{Kind: oversight.StepEffect}, t0.AddDate(0, 0, 7), s); err != nil || r.State != oversight.Effective {
		t.Fatalf("%v, %v", r.State, err)
	}
}

// Covers L1: what has changed since the last filing is listed with the day until when it is to be filed.
func TestWhatIsToBeFiled(t *testing.T) {
	t.Parallel()
	filed := []oversight.Device{{Camera: "c1", Place: "gate", Days: 30}, {Camera: "c2", Place: "hall", Days: 30}, {Camera: "c3", Place: "yard", Days: 30}}
	now := []oversight.Device{{Camera: "c1", Place: "gate", Days: 30}, {Camera: "c2", Place: "hall", Days: 90}, {Camera: "c4", Place: "shed", Days: 30}}
	at := map[string]time.Time{"c2": t0.AddDate(0, 0, -3), "c3": t0.AddDate(0, 0, -9), "c4": t0}
	d := oversight.Differs(filed, now, func(c string) time.Time { return at[c] }, s)
	if len(d.Added) != 1 || d.Added[0].Camera != "c4" || len(d.Removed) != 1 || d.Removed[0].Camera != "c3" || len(d.Changed) != 1 || d.Changed[0].Camera != "c2" {
		t.Errorf("%+v", d)
	}
	if !d.Due.Equal(t0.AddDate(0, 0, 21)) {
		t.Errorf("due %v", d.Due)
	}
	if d := oversight.Differs(now, now, func(string) time.Time { return t0 }, s); !d.None() || !d.Due.IsZero() {
		t.Errorf("nothing changed: %+v", d)
	}
}

// Covers F17: a unit that was asked replies once more until it was answered; nobody else does.
func TestFeedbackIsRepliedAndAnswered(t *testing.T) {
	t.Parallel()
	f := oversight.Feedback{Title: "use", Question: "did it help?", Due: t0.AddDate(0, 0, 7), Units: map[string]oversight.Reply{"office": {}, "canteen": {}}}
	if err := f.Check(t0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Replied("gym", "p1", "yes", t0); err == nil {
		t.Error("a unit that was not asked")
	}
	if _, err := f.Answered("office", "p2", "thanks", t0); err == nil {
		t.Error("answered before the reply")
	}
	f, err := f.Replied("office", "p1", "yes", t0)
	if err != nil {
		t.Fatal(err)
	}
	if f, err = f.Answered("office", "p2", "thanks", t0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Replied("office", "p1", "no", t0); err == nil {
		t.Error("changed after the answer")
	}
	if m := f.Missing(); len(m) != 1 || m[0] != "canteen" {
		t.Errorf("missing %v", m)
	}
}
