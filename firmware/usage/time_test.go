package usage

import (
	"context"
	"testing"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	rules "campuskeep/shared/usage"
)

const month = 30 * 24 * time.Hour

// Covers F14: a clock that claims a month ahead ends no hold, anyone who does what meanwhile.
func TestAnActUnderASuspectClockDropsNoHold(t *testing.T) {
	acts := map[string]func(h *env, id string) error{
		"review": func(h *env, id string) error {
			_, err := h.office.Review(h.t.Context(), officer, id, []string{"c01"}, "")
			return err
		},
		"return": func(h *env, id string) error {
			_, err := h.office.Return(h.t.Context(), officer, id, "缺失物登记单")
			return err
		},
		"refusal": func(h *env, id string) error {
			_, err := h.office.Decide(h.t.Context(), officer, id, rules.Decision{Code: "papers", Note: "缺材料"})
			return err
		},
		"time": func(h *env, id string) error { return h.office.applyTime(h.t.Context()) },
		"use": func(h *env, id string) error {
			h.clock.Step(-month, clock.Trusted)
			if _, err := h.office.Decide(h.t.Context(), officer, id, rules.Decision{Approved: true}); err != nil {
				return err
			}
			v, err := h.office.OpenViewing(h.t.Context(), teacher, "c01", form().Wanted[0].Span, Playback, "")
			if err != nil {
				return err
			}
			h.clock.Step(month, clock.Suspect)
			if err := h.office.CloseViewing(h.t.Context(), v.ID, nil, 0, "closed"); err != nil {
				return err
			}
			_, err = h.office.Report(h.t.Context(), teacher, id, rules.Report{Result: "nothing_found", Copies: "none"})
			return err
		},
	}
	for name, act := range acts {
		t.Run(name, func(t *testing.T) {
			h := newEnv(t)
			a, hold := h.held()
			h.clock.Step(month, clock.Suspect)
			must(t, act(h, a.ID))
			must(t, h.office.applyTime(t.Context()))
			h.clock.Step(-month, clock.Trusted)
			list := h.office.Holds()
			if len(list) != 1 || !list[0].SameFootage(hold) || len(h.entries("hold.released", "hold.ended")) != 0 {
				t.Fatalf("holds %+v, ended by %v", list, h.entries("hold.released", "hold.ended"))
			}
			must(t, h.office.applyTime(t.Context()))
			if len(h.office.Holds()) != 1 {
				t.Error("the hold went when the clock was right again")
			}
			must(t, h.store.View(holdsCover(t, h, hold)))
		})
	}
}

// Covers F4: an application made while the clock was weeks behind is neither over nor without its hold when the time
// becomes known; its terms count from when it was made.
func TestTermsCountFromWhenAnActReallyWas(t *testing.T) {
	for name, c := range map[string]struct {
		reboot bool
		waits  time.Duration // between submission and the time's becoming known
	}{"in the same boot": {false, time.Hour}, "after a restart": {true, time.Hour}} {
		t.Run(name, func(t *testing.T) {
			h := newEnv(t)
			h.clock.Doubt(clock.Untrusted) // after the summer: the highest trusted time, weeks ago
			a, hold := h.held()
			if !hold.Open {
				t.Errorf("the hold says when it ends: %+v", hold)
			}
			h.clock.Pass(c.waits)
			if c.reboot {
				h.clock.Reboot("b2")
			}
			h.clock.Step(2*month, clock.Trusted)
			must(t, h.store.View(holdsCover(t, h, hold))) // the sweep may look first
			must(t, h.office.applyTime(t.Context()))
			a, err := h.office.Get(a.ID)
			must(t, err)
			if a.State != rules.Submitted || len(h.office.Holds()) != 1 {
				t.Fatalf("%s with holds %v when the time became known", a.State, h.office.Holds())
			}
			really := h.clock.Now().Wall
			if !c.reboot {
				really = really.Add(-c.waits)
			}
			if !a.Submitted.Equal(really) || a.SubmittedIn != nil {
				t.Errorf("submitted %v, really %v", a.Submitted, really)
			}
			if n := len(h.entries("application.dated")); n != 1 {
				t.Errorf("%d entries of the correction", n)
			}
			hold = h.office.Holds()[0]
			if hold.Open || !hold.Until.Equal(rules.AfterSchoolDays(really, h.rules.UndecidedDays, h.office.schoolDay)) {
				t.Errorf("held until %v, open %v", hold.Until, hold.Open)
			}
			h.clock.Pass(16 * 24 * time.Hour)
			must(t, h.office.applyTime(t.Context()))
			if a, _ = h.office.Get(a.ID); a.State != rules.Expired || len(h.office.Holds()) != 0 {
				t.Errorf("%s with holds %v after its term", a.State, h.office.Holds())
			}
		})
	}
}

// An approval whose days of use were over before it was given, because the clock was weeks behind, keeps its footage
// until its applicant can ask again.
func TestAnApprovalOfAWrongDayKeepsItsFootage(t *testing.T) {
	h := newEnv(t)
	h.clock.Doubt(clock.Untrusted)
	a, hold := h.held()
	_, err := h.office.Decide(t.Context(), officer, a.ID, rules.Decision{Approved: true})
	must(t, err)
	h.clock.Step(2*month, clock.Trusted)
	must(t, h.store.View(holdsCover(t, h, hold)))
	must(t, h.office.applyTime(t.Context()))
	if len(h.office.Holds()) != 1 || len(h.office.Grants(teacher.ID, h.clock.Now().Wall)) != 0 {
		t.Fatalf("holds %v", h.office.Holds())
	}
	h.clock.Pass(21 * 24 * time.Hour)
	must(t, h.office.applyTime(t.Context()))
	if a, _ = h.office.Get(a.ID); a.State != rules.Expired || len(h.office.Holds()) != 0 {
		t.Errorf("%s, holds %v", a.State, h.office.Holds())
	}
}

// A viewing ends by the monotonic clock: a wall clock that is frozen, or jumps, neither lengthens nor shortens it.
func TestAViewingEndsByTheMonotonicClock(t *testing.T) {
	h := newEnv(t)
	ctx := context.Background()
	if _, err := h.office.BeginShift(ctx, officer); err != nil {
		t.Fatal(err)
	}
	v, err := h.office.OpenViewing(ctx, officer, "c01", footage.Span{}, Live, "巡查校门")
	must(t, err)
	h.clock.Step(month, clock.Suspect)
	if err := h.watching(officer, v); err != nil {
		t.Errorf("a jump of the wall clock ended the viewing: %v", err)
	}
	h.clock.Pass(61 * time.Minute)
	h.clock.Step(-month-61*time.Minute, clock.Untrusted) // it was stopped
	if err := h.watching(officer, v); err == nil {
		t.Error("live for more than an hour")
	}
	if _, running := h.office.Incident(officer.ID); running {
		t.Error("the purpose counts for more than half an hour")
	}
	must(t, h.office.CloseViewing(ctx, v.ID, nil, 0, "over"))
}

// holdsCover says whether deletion, which reads the holds by itself, still finds the footage of a hold kept.
func holdsCover(t *testing.T, h *env, hold footage.Hold) func(ledgerdb.Tx) error {
	return func(tx ledgerdb.Tx) error {
		list, err := HoldsIn(tx)
		seg := footage.Placed{Segment: footage.Segment{Camera: hold.Cameras[0]}, Span: hold.Span}
		if err == nil && footage.HeldBy(list, seg, h.clock.Now()) == "" {
			t.Errorf("deletion finds nothing that keeps it: %+v", list)
		}
		return err
	}
}
