package records

import (
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"campuskeep/shared/lib/fielderr"
)

var noon = time.Date(2026, 11, 30, 4, 0, 0, 0, time.UTC)

const today = "2026-11-30"

func rulesOf(errs fielderr.Errors) (out []string) {
	for _, e := range errs {
		out = append(out, e.Field+" "+e.Rule)
	}
	return out
}

// Covers S13: five categories, of which the psychological state is a section of its own.
func TestEveryKindHasASection(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Kinds {
		if !k.Section.Known() || seen[k.Name] {
			t.Errorf("%s: section %q, twice: %v", k.Name, k.Section, seen[k.Name])
		}
		seen[k.Name] = true
		names := map[string]bool{}
		for _, f := range k.Fields {
			if names[f.Name] || f.Type == Choice && len(f.Choices) == 0 || (f.Type == Text || f.Type == Lines) && f.Max == 0 {
				t.Errorf("%s.%s is badly made", k.Name, f.Name)
			}
			names[f.Name] = true
		}
	}
}

// valid makes a record of a kind that nothing is wrong with.
func valid(k Kind) Record {
	r := Record{ID: "r000001", Student: "s0001", Kind: k.Name, Version: 1, Happened: "2026-11-29", Author: "p001", Source: "seen", Written: noon, Values: map[string]string{}}
	for _, f := range k.Fields {
		switch f.Type {
		case Date:
			r.Values[f.Name] = today
		case Number:
			r.Values[f.Name] = "50"
			if f.Low > 50 || f.Top < 50 {
				r.Values[f.Name] = "5"
			}
		case Choice:
			r.Values[f.Name] = f.Choices[0]
		default:
			r.Values[f.Name] = "操场东侧"
		}
	}
	return r
}

// Covers S4, S5, S8, S9, S10, S12: each kind takes what its form asks for, and nothing else.
func TestWhatAFormRefuses(t *testing.T) {
	for _, k := range Kinds {
		r := valid(k)
		for _, f := range k.Fields { // limits of numbers differ
			if f.Type == Number {
				delete(r.Values, f.Name)
			}
		}
		if errs := r.Check("2026-11-30T12:00"); len(errs) > 0 {
			t.Errorf("%s: %v", k.Name, errs)
		}
		for _, f := range k.Fields {
			x := r
			x.Values = maps.Clone(r.Values)
			bad := map[FieldType]string{Date: "30.11.2026", Number: "viel", Choice: "none of these", Text: "a\x00b", Lines: "a\x00b", Place: "a\x00b"}[f.Type]
			x.Values[f.Name] = bad
			if errs := x.Check("2026-11-30T12:00"); len(errs) != 1 || errs[0].Field != f.Name {
				t.Errorf("%s.%s = %q: %v", k.Name, f.Name, bad, rulesOf(errs))
			}
			if delete(x.Values, f.Name); f.Required && len(x.Check("2026-11-30T12:00")) != 1 {
				t.Errorf("%s.%s can be left out", k.Name, f.Name)
			}
		}
		r.Values["other"] = "x"
		if errs := r.Check("2026-11-30T12:00"); len(errs) != 1 || errs[0].Rule != "err.record_field" {
			t.Errorf("%s takes a field of no form: %v", k.Name, errs)
		}
	}
	r := valid(Kinds[0])
	r.Happened = "2026-11-30T12:01"
	if errs := r.Check("2026-11-30T12:00"); len(errs) != 1 || errs[0].Rule != "err.future" {
		t.Errorf("the future happened: %v", errs)
	}
}

// Corrections in any order: numbers rise by one, what a record is about never changes, a withdrawn one stays as it is.
func TestVersionsAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := Kinds[rapid.IntRange(0, len(Kinds)-1).Draw(t, "kind")]
		now := valid(k)
		history := []Record{now}
		for range rapid.IntRange(1, 6).Draw(t, "corrections") {
			next := now
			next.Values = maps.Clone(now.Values)
			next.ID, next.Student, next.Kind, next.Version = "r9", "s9", "exam", 77
			next.Reason, next.Invalid = "更正", rapid.Bool().Draw(t, "withdraw")
			change := rapid.Bool().Draw(t, "change")
			if change {
				next.Happened = rapid.SampledFrom([]string{"2026-11-01", "2026-11-02T08:00"}).Draw(t, "when")
			}
			got, err := now.Correct(next)
			same := !next.Invalid && next.Happened == now.Happened
			if now.Invalid || same {
				if err == nil {
					t.Fatal("a withdrawn or unchanged record was corrected")
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.Version != now.Version+1 || got.ID != now.ID || got.Student != now.Student || got.Kind != now.Kind || got.Invalid && got.Happened != now.Happened {
				t.Fatalf("%+v after %+v", got, now)
			}
			now = got
			history = append(history, now)
		}
		for i, r := range history {
			if r.Version != i+1 {
				t.Fatal("a version is missing")
			}
		}
	})
}

// Concerns under any steps: what two people must decide is never decided by one, nothing is closed with a report open, and
// what nobody owns rises in time. Covers L5.
func TestConcernsAgainstTheirRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := valid(Kinds[slices.IndexFunc(Kinds, func(k Kind) bool { return k.Section == Conduct })])
		var situations []string
		if rapid.Bool().Draw(t, "mandatory") {
			situations = []string{"4"}
		}
		owner := rapid.SampledFrom([]string{"", "p001"}).Draw(t, "owner")
		c, errs := NewConcern(r, owner, "", situations, noon, today)
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			s := Step{At: noon.Add(time.Hour), By: rapid.SampledFrom([]string{"p001", "p002"}).Draw(t, "by"), What: rapid.SampledFrom(Steps).Draw(t, "what"),
				Note: rapid.SampledFrom([]string{"", "说明"}).Draw(t, "note"), Owner: rapid.SampledFrom([]string{"", "p002"}).Draw(t, "to"), Due: rapid.SampledFrom([]string{"", "2026-12-10", "2026-01-01"}).Draw(t, "due")}
			next, errs := c.Next(s, today)
			if len(errs) > 0 {
				if len(next.Steps) != len(c.Steps) || next.Proposed != c.Proposed {
					t.Fatal("a refused step changed something")
				}
				continue
			}
			if !c.IsOpen() {
				t.Fatal("a step after the end")
			}
			if (next.Referral == StepNotRefer && c.Referral != StepNotRefer || next.Report == StepNotReport && c.Report != StepNotReport) && (s.What != StepAgree || s.By == c.ProposedBy) {
				t.Fatal("one person alone decided not to refer or report")
			}
			if !next.IsOpen() && len(situations) > 0 && next.Report == "" {
				t.Fatal("closed with a report open")
			}
			if len(next.Steps) != len(c.Steps)+1 || !slices.EqualFunc(c.Steps, next.Steps[:len(c.Steps)], func(a, b Step) bool { return a == b }) {
				t.Fatal("what was done before changed")
			}
			c = next
		}
		works := func(string) bool { return true }
		if c.IsOpen() && c.Owner == "" && !c.Rises(noon.Add(UnownedRises), today, works) {
			t.Fatal("what nobody owns does not rise")
		}
		if c.IsOpen() && c.Owner != "" && !c.Rises(noon, today, func(string) bool { return false }) {
			t.Fatal("what somebody owned who has left does not rise")
		}
	})
}

func TestCareHoldsUntilItsDate(t *testing.T) {
	k, _ := KindOf(KindCare)
	r := valid(k)
	r.Values = map[string]string{"do": "坐直\n\n 吸入器在书包 ", "until": "2026-11-30"}
	n, ok := CareOf(r, today)
	if !ok || !slices.Equal(n.Steps, []string{"坐直", "吸入器在书包"}) {
		t.Fatal(n, ok)
	}
	if _, ok := CareOf(r, "2026-12-01"); ok {
		t.Error("an instruction that ran out holds")
	}
	r.Invalid = true
	if _, ok := CareOf(r, today); ok {
		t.Error("a withdrawn instruction holds")
	}
}

// Covers S36.
func TestAgreementsHoldForTheirTime(t *testing.T) {
	a := Agreement{Person: "p001", Signed: "2026-09-01", Trained: "2026-08-30", Until: "2027-08-31"}
	if errs := a.Check(today); len(errs) > 0 {
		t.Fatal(errs)
	}
	for date, want := range map[string]bool{"2026-08-31": false, "2026-09-01": true, "2027-08-31": true, "2027-09-01": false} {
		if a.Holds(date) != want {
			t.Errorf("%s: %v", date, !want)
		}
	}
	if (Agreement{}).Holds("") || (Agreement{}).Holds(today) {
		t.Error("no agreement holds")
	}
}

func TestAGlassIsForOnePersonAndHalfAnHour(t *testing.T) {
	g := Glass{ID: "g000001", Student: "s0001", Person: "p001", Opened: noon, Until: noon.Add(GlassFor)}
	for _, x := range []struct {
		who  string
		at   time.Time
		want bool
	}{{"p001", noon, true}, {"p001", noon.Add(GlassFor - time.Second), true}, {"p001", noon.Add(GlassFor), false}, {"p002", noon, false}, {"p001", noon.Add(-time.Second), false}} {
		if g.Shows(x.who, x.at) != x.want {
			t.Errorf("%s at %s: %v", x.who, x.at, !x.want)
		}
	}
	if _, errs := g.Review("p001", "right", "", noon); len(errs) == 0 {
		t.Error("they review it themselves")
	}
	done, errs := g.Review("p002", "wrong", "应先打校医电话", noon)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if _, errs := done.Review("p003", "right", "", noon); len(errs) == 0 {
		t.Error("it is reviewed twice")
	}
}
