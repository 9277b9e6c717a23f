package absence

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"campuskeep/shared/absence"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
)

// Pupils of one day of the model; run by hand with -rapid.checks=1700 it is more than 10⁵ pupil-days.
const (
	modelClasses = 6
	modelSize    = 10
)

// fewChecks keeps the suite short where nobody asked for a number of checks.
func fewChecks(t *testing.T) {
	t.Helper()
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		if err := f.Value.Set("6"); err != nil {
			t.Fatal(err)
		}
	}
}

// morning is the truth of one day, which nobody in the program knows.
type morning struct {
	comes   map[string]time.Time // who comes, and when
	leave   map[string]bool
	off     map[string][2]int // readers that are out, in minutes after six
	clock   [2]int            // untrusted
	noCards string            // a class whose cards were given out wrongly: nobody of it is seen
	faults  bool              // the gate, the clock or the roster failed at some time
}

func drawMorning(rt *rapid.T, rng *rand.Rand, s *school) morning {
	m := morning{comes: map[string]time.Time{}, leave: map[string]bool{}, off: map[string][2]int{}}
	from := rapid.IntRange(0, 150).Draw(rt, "fails, minutes after six")
	span := [2]int{from, from + rapid.IntRange(2, 90).Draw(rt, "fails for minutes")}
	switch rapid.SampledFrom([]string{"", "", "", "reader", "gate", "clock", "cards", "class", "network"}).Draw(rt, "fault") {
	case "reader", "network": // a line that is cut and a reader that is silent are the same to the gate
		m.off["r01"], m.faults = span, true
	case "gate":
		m.off["r01"], m.off["r02"], m.faults = span, span, true
	case "clock":
		m.clock, m.faults = span, true
	case "cards":
		for range 3 {
			s.cardless[pupil(1+rng.IntN(modelClasses*modelSize))] = true
		}
	case "class":
		m.noCards, m.faults = s.classes[rng.IntN(modelClasses)].ID, true
	}
	for _, c := range s.classes { // fewer in a class than look like a fault of the roster
		missing, leave := rng.IntN(3), rng.IntN(3)
		for i, n := range rng.Perm(modelSize) {
			id := c.Students[n]
			switch {
			case i < missing && rng.IntN(2) == 0:
			case i < missing:
				m.comes[id] = at(8, 0, 0).Add(time.Duration(1+rng.IntN(60*60)) * time.Second)
			case i < missing+leave:
				m.leave[id] = true
			default:
				m.comes[id] = at(8, 0, 0).Add(-time.Duration(rng.IntN(90*60)) * time.Second)
			}
		}
	}
	return m
}

func (m morning) out(x [2]int, t time.Time) bool {
	n := t.Sub(at(6, 0, 0))
	return x[1] > 0 && n >= time.Duration(x[0])*time.Minute && n < time.Duration(x[1])*time.Minute
}

// Over mornings with faults of readers, clock, network and roster, kills and a disk that fails: nobody who came, or has
// leave, ever has a case that goes on or a call on the list; every absence that can be known reaches its next step within
// a minute of its time; and there is never more than one alarm for one cause. Covers S7.
func TestNoFalseAbsenceAndEachTrueOneGoesOn(t *testing.T) {
	fewChecks(t)
	rapid.Check(t, func(rt *rapid.T) {
		s := newSchool(modelClasses, modelSize)
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		m := drawMorning(rt, rng, s)
		h := newEnv(t, s, at(5, 59, 0))
		defer h.store.Stop()
		h.reader("r01", true)
		h.reader("r02", true)
		for id := range m.leave {
			l := attendance.Leave{Student: id, Kind: attendance.Personal, From: at(0, 0, 0), To: at(24, 0, 0), Approved: true}
			if _, err := h.gate.PutLeave(t.Context(), teacher, account.RoleClassTeacher, l, s.ClassOf(id, today), ""); err != nil {
				rt.Fatal(err)
			}
		}
		failing := false
		h.store.fail = func() (before, after bool) {
			if !failing {
				return false, false
			}
			return rng.IntN(2) == 0, true
		}
		down := map[string]bool{}
		seen := map[string]bool{}
		answers := map[string]time.Time{} // when a step of somebody was last answered
		for now := at(6, 0, 0); now.Before(at(9, 20, 0)); now = now.Add(time.Minute) {
			h.set(now)
			for _, r := range []string{"r01", "r02"} {
				if out := m.out(m.off[r], now); out != down[r] {
					down[r] = out
					h.reader(r, !out)
				}
			}
			state := clock.Trusted
			if m.out(m.clock, now) {
				state = clock.Untrusted
			}
			h.clock.Doubt(state)
			n := 0
			for _, c := range s.classes {
				for _, id := range c.Students {
					n++
					t0, comes := m.comes[id]
					if !comes || seen[id] || t0.After(now) {
						continue
					}
					r := []string{"r01", "r02"}[n%2]
					if seen[id] = true; down[r] || c.ID == m.noCards || s.cardless[id] {
						continue // nothing was heard of it
					}
					h.tap(n, r)
				}
			}
			failing = rng.IntN(30) == 0
			err := h.Evaluate(t.Context())
			if err != nil && !failing {
				rt.Fatal(err)
			}
			if failing {
				failing = false
				h.restart()
				h.evaluate() // the next round, before the minute is over
			} else if rng.IntN(20) == 0 {
				h.restart()
				h.evaluate()
			}
			h.check(rt, m, now, seen, answers)
			h.answerSome(rt, rng, now, answers)
		}
		given, err := h.Alarms(today)
		if err != nil {
			rt.Fatal(err)
		}
		if len(given) > 1 {
			rt.Fatalf("alarms %+v of one fault", given)
		}
		if !m.faults && len(s.cardless) == 0 && len(given) > 0 {
			rt.Fatalf("alarm %+v of a morning without fault", given)
		}
	})
}

// check compares the cases with the truth.
func (h *env) check(rt *rapid.T, m morning, now time.Time, seen map[string]bool, answers map[string]time.Time) {
	h.t.Helper()
	called := map[string]bool{}
	for _, c := range h.Calls() {
		called[c.Student] = true
	}
	stored := map[string]absence.Case{}
	list, err := h.Cases(today)
	if err != nil {
		rt.Fatal(err)
	}
	for _, c := range list {
		stored[c.Student] = c
	}
	for _, k := range h.school.classes {
		for _, id := range k.Students {
			c, there := stored[id]
			goes := there && c.Open() && c.Held == ""
			if (seen[id] || m.leave[id]) && (goes || called[id]) {
				rt.Fatalf("%s: %s came or has leave, and has case %+v, call %v", now.In(shanghai).Format("15:04"), id, c, called[id])
			}
			_, comes := m.comes[id]
			if comes || m.leave[id] || m.faults || h.school.cardless[id] {
				continue
			}
			if there && !c.Open() {
				continue // answered
			}
			late := func(what string, due time.Time, done bool) {
				if !done && now.After(due.Add(time.Minute)) {
					rt.Fatalf("%s: %s does not come, and %s is not asked: %+v", now.In(shanghai).Format("15:04"), id, what, c)
				}
			}
			steps := map[absence.Rung]int{}
			waits := false
			for _, s := range c.Steps {
				steps[s.Rung]++
				waits = waits || s.Result == absence.OnWay
			}
			late("a case", at(8, 5, 0), there)
			late("the teacher", at(8, 5, 0), steps[absence.Teacher] == 1)
			late("the first guardian", at(8, 15, 0), steps[absence.Guardian] >= 1)
			if !waits {
				late("the second guardian", at(8, 20, 0), steps[absence.Guardian] >= 2)
				late("the head of safety", at(8, 30, 0), steps[absence.Safety] == 1)
			} else {
				late("the head of safety after somebody on the way", answers[id].Add(15*time.Minute), steps[absence.Safety] == 1)
			}
			if there && (steps[absence.Guardian] > 0 && now.Before(at(8, 15, 0)) || steps[absence.Teacher] > 1 || steps[absence.Guardian] > 2 || steps[absence.Safety] > 1) {
				if last, _ := c.Last(absence.Teacher); last.Result != absence.CallNow {
					rt.Fatalf("%s: too early or twice: %+v", now.In(shanghai).Format("15:04"), c)
				}
			}
		}
	}
}

// answerSome lets people answer: truly, since what they say is believed.
func (h *env) answerSome(rt *rapid.T, rng *rand.Rand, now time.Time, answers map[string]time.Time) {
	h.t.Helper()
	for _, c := range h.OpenCases() {
		if rng.IntN(10) > 0 || c.Held != "" {
			continue
		}
		i := c.Waiting()
		if i < 0 {
			continue
		}
		can := map[absence.Rung][]absence.Result{absence.Teacher: {absence.NotInClass, absence.CallNow}, absence.Guardian: {absence.OnWay, absence.Unaware, absence.NoAnswer, absence.Ill}, absence.Safety: {absence.Searching}}
		of := can[c.Steps[i].Rung]
		result := of[rng.IntN(len(of))]
		_, rev, err := h.Case(c.Date, c.Student)
		if err != nil {
			rt.Fatal(err)
		}
		if err := h.Answer(h.t.Context(), teacher, account.RoleClassTeacher, c.Date, c.Student, rev, i, result, ""); err != nil {
			rt.Fatal(fmt.Errorf("%s of %+v: %w", result, c, err))
		}
		if result == absence.OnWay {
			answers[c.Student] = now
		}
		if err := h.Answer(h.t.Context(), teacher, account.RoleClassTeacher, c.Date, c.Student, rev, i, result, ""); !errors.Is(err, ErrConflict) {
			rt.Fatalf("answered twice: %v", err)
		}
	}
}
