package usage

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	rules "campuskeep/shared/usage"
)

// gateAndShed asks for the gate in the first hour and for the shed in the next.
func gateAndShed() rules.Application {
	a := form()
	from := a.Wanted[0].Span.From
	a.Wanted = []rules.RequestedSpan{{Place: "东大门外", Span: footage.Span{From: from, To: from.Add(time.Hour)}},
		{Place: "自行车棚", Span: footage.Span{From: from.Add(time.Hour), To: from.Add(2 * time.Hour)}}}
	return a
}

func (h *env) holdOf(camera string) (footage.Hold, bool) {
	for _, x := range h.office.Holds() {
		if slices.Contains(x.Cameras, camera) {
			return x, true
		}
	}
	return footage.Hold{}, false
}

func (h *env) release(hold footage.Hold) {
	h.t.Helper()
	_, err := h.office.ProposeRelease(h.t.Context(), head, hold.ID, "误报")
	must(h.t, err)
	must(h.t, h.office.ConfirmRelease(h.t.Context(), leader, hold.ID))
}

// shedAlone approves the second of two requested lines and nothing of the first.
func (h *env) shedAlone(a rules.Application) {
	h.t.Helper()
	_, err := h.office.Decide(h.t.Context(), officer, a.ID, rules.Decision{Approved: true, Cameras: []string{"c02", "c03"},
		Spans: []footage.Span{a.Wanted[1].Span}})
	must(h.t, err)
}

// Covers F4: what two people released is the gate; the shed, approved later and then first in the list, stays held.
func TestReleasedHoldOfOneLineDropsNoOther(t *testing.T) {
	h := newEnv(t)
	a, err := h.office.Submit(t.Context(), teacher, gateAndShed())
	must(t, err)
	gate, _ := h.holdOf("c01")
	h.release(gate)
	h.shedAlone(a)
	shed, ok := h.holdOf("c02")
	if !ok || !shed.Covers("c03", a.Wanted[1].Span) {
		t.Fatalf("the approved footage of the shed is held by nothing: %+v", h.office.Holds())
	}
	if _, ok := h.holdOf("c01"); ok {
		t.Error("the approval brought the released hold back")
	}
	if shed.ID == gate.ID {
		t.Error("the id of a released hold is used for another one")
	}
}

// A proposal is about the cameras and the span that its reason was written for, and falls when its hold changes.
func TestAProposalNeverMovesToAnotherHold(t *testing.T) {
	h := newEnv(t)
	ctx := t.Context()
	a, err := h.office.Submit(ctx, teacher, gateAndShed())
	must(t, err)
	gate, _ := h.holdOf("c01")
	_, err = h.office.ProposeRelease(ctx, head, gate.ID, "大门的录像不需要")
	must(t, err)
	shed, _ := h.holdOf("c02")
	_, err = h.office.ProposeRelease(ctx, head, shed.ID, "车棚的录像不需要")
	must(t, err)
	h.shedAlone(a)
	for _, id := range []string{gate.ID, shed.ID} {
		if err := h.office.ConfirmRelease(ctx, leader, id); !errors.Is(err, ErrNotFound) {
			t.Errorf("a proposal outlived its hold: %v", err)
		}
	}
	if now, ok := h.holdOf("c02"); !ok || now.Reason != rules.HoldUse {
		t.Errorf("the shed: %+v", now)
	}
	if n := len(h.entries("hold.kept")); n != 1 {
		t.Errorf("%d entries say that a proposal fell with the change of its hold", n)
	}
}

// A hold released because the place was wrong does not keep the corrected form from being held.
func TestACorrectedApplicationIsHeld(t *testing.T) {
	h := newEnv(t)
	ctx := t.Context()
	a, hold := h.held()
	h.release(hold)
	a, err := h.office.Return(ctx, officer, a.ID, "地点有误")
	must(t, err)
	a.Wanted = []rules.RequestedSpan{{Place: "自行车棚", Span: a.Wanted[0].Span}}
	_, err = h.office.Submit(ctx, teacher, a)
	must(t, err)
	if x, ok := h.holdOf("c03"); !ok || len(x.Cameras) != 2 {
		t.Errorf("the corrected form is held by %+v", h.office.Holds())
	}
}

// Whatever forms, releases, corrections and decisions come in whatever order, under whatever clock: what the
// application holds in its state and nobody released is covered, a release stays, and no id ever means two things.
func TestWhatNobodyReleasedStaysHeld(t *testing.T) {
	h := newEnv(t)
	rapid.Check(t, func(rt *rapid.T) {
		ctx := t.Context()
		from := form().Wanted[0].Span.From
		draw := func(what string, n int) int { return rapid.IntRange(0, n-1).Draw(rt, what) }
		wants := func(a rules.Application) rules.Application {
			a.Wanted = nil
			for i := range 1 + draw("lines", 3) {
				begins := from.Add(time.Duration(draw("from", 4)) * 15 * time.Minute)
				a.Wanted = append(a.Wanted, rules.RequestedSpan{Place: []string{"东大门外", "自行车棚"}[draw(fmt.Sprint("place", i), 2)],
					Span: footage.Span{From: begins, To: begins.Add(time.Duration(1+draw("length", 3)) * 15 * time.Minute)}})
			}
			return a
		}
		a, err := h.office.Submit(ctx, who("p010", account.RoleStaff), wants(form()))
		must(t, err)
		id := a.ID
		content := map[string]footage.Hold{}
		var released []footage.Hold
		for range 1 + draw("acts", 8) {
			h.clock.Doubt([]clock.State{clock.Trusted, clock.Suspect, clock.Untrusted}[draw("clock", 3)])
			a, err := h.office.Get(id)
			must(t, err)
			switch draw("act", 6) {
			case 0:
				_, _ = h.office.Return(ctx, officer, id, "地点有误")
			case 1:
				_, _ = h.office.Submit(ctx, teacher, wants(a))
			case 2:
				d := rules.Decision{Approved: true}
				for _, w := range a.Wanted {
					if draw("approve", 2) == 0 {
						d.Cameras, d.Spans = append(d.Cameras, w.Cameras...), append(d.Spans, w.Span)
					}
				}
				_, _ = h.office.Decide(ctx, officer, id, d)
			case 3:
				_, _ = h.office.Decide(ctx, officer, id, rules.Decision{Code: "papers", Note: "缺材料"})
			case 4, 5:
				var mine []footage.Hold
				for _, x := range h.office.Holds() {
					if x.Application == id {
						mine = append(mine, x)
					}
				}
				if len(mine) > 0 {
					x := mine[draw("hold", len(mine))]
					h.release(x)
					released = append(released, x)
				}
			}
			if draw("restart", 10) == 0 {
				h.restart()
			}
			a, err = h.office.Get(id)
			must(t, err)
			var mine []footage.Hold
			for _, x := range h.office.Holds() {
				if x.Application != id {
					continue
				}
				mine = append(mine, x)
				if was, ok := content[x.ID]; ok && !was.SameFootage(x) {
					rt.Fatalf("hold %s was %v and is %v", x.ID, was, x)
				}
				content[x.ID] = x
			}
			// Minute by minute and camera by camera, by hand.
			for _, want := range rules.Holds(a, h.rules, h.office.schoolDay) {
				for _, c := range want.Cameras {
					for at := want.Span.From; at.Before(want.Span.To); at = at.Add(5 * time.Minute) {
						in := func(list []footage.Hold) bool {
							return slices.ContainsFunc(list, func(x footage.Hold) bool { return slices.Contains(x.Cameras, c) && x.Span.Contains(at) })
						}
						if in(mine) == in(released) {
							rt.Fatalf("%s at %v: held %v, released %v", c, at, in(mine), in(released))
						}
					}
				}
			}
		}
		h.clock.Doubt(clock.Trusted)
		a, err = h.office.Get(id)
		must(t, err)
		if slices.Contains(a.State.Allowed(), rules.Retract) {
			_, err = h.office.Withdraw(ctx, teacher, id)
		} else if a.State == rules.Approved {
			_, err = h.office.Revoke(ctx, officer, id, "不再需要")
		}
		must(t, err)
	})
}
