package usage

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/retention"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
	rules "campuskeep/shared/usage"
)

// held submits an application and gives it and its hold.
func (h *env) held() (rules.Application, footage.Hold) {
	h.t.Helper()
	a, err := h.office.Submit(context.Background(), teacher, form())
	must(h.t, err)
	list := h.office.Holds()
	if len(list) != 1 || list[0].Application != a.ID {
		h.t.Fatalf("holds: %v", list)
	}
	return a, list[0]
}

// Two people let a hold go: the first states why, the second is somebody else, and both acts are entries. Covers F13.
func TestAHoldIsReleasedByTwoPeople(t *testing.T) {
	h := newEnv(t)
	ctx := context.Background()
	a, hold := h.held()
	if err := h.office.ConfirmRelease(ctx, leader, hold.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("confirmed what nobody proposed: %v", err)
	}
	var faults fielderr.Errors
	if _, err := h.office.ProposeRelease(ctx, head, hold.ID, "  "); !errors.As(err, &faults) || faults[0].Field != "reason" {
		t.Errorf("without a reason: %v", err)
	}
	p, err := h.office.ProposeRelease(ctx, head, hold.ID, "书包已找到，申请人口头撤回。")
	must(t, err)
	if _, err := h.office.ProposeRelease(ctx, leader, hold.ID, "再提一次"); !errors.As(err, &faults) {
		t.Errorf("a second proposal: %v", err)
	}
	refusedWith(t, h.office.ConfirmRelease(ctx, head, hold.ID), "may.same_person")
	refusedWith(t, h.office.ConfirmRelease(ctx, officer, hold.ID), "may.role")
	if len(h.office.Holds()) != 1 {
		t.Error("the hold went before the second person")
	}
	h.restart() // the proposal outlives a start
	if got, ok := h.office.Proposal(hold.ID); !ok || got.By != head.ID || got.Reason != p.Reason {
		t.Errorf("after a start: %+v, %v", got, ok)
	}
	h.office.o.Independent = func(a, b string) bool { return false } // the leader's account is of the proposer's making
	refusedWith(t, h.office.ConfirmRelease(ctx, leader, hold.ID), "may.not_independent")
	h.office.o.Independent = nil
	must(t, h.office.ConfirmRelease(ctx, leader, hold.ID))
	if len(h.office.Holds()) != 0 {
		t.Error("the hold is still in force")
	}
	must(t, h.store.View(func(tx ledgerdb.Tx) error {
		list, err := HoldsIn(tx)
		if err == nil && (len(list) != 1 || list[0].Released.IsZero() || footage.HeldBy(list, footage.Placed{Segment: footage.Segment{Camera: hold.Cameras[0]}, Span: hold.Span}, h.clock.Now()) != "") {
			t.Errorf("deletion still sees it: %+v", list)
		}
		return err
	}))
	ends := h.entries("hold.released")
	if len(ends) != 1 || data(t, ends[0])["reason"] != "two_people" || uint64(data(t, ends[0])["proposal"].(float64)) != p.Entry || ends[0].Actor.ID != leader.ID {
		t.Errorf("entries: %+v", ends)
	}
	// No later step of the application brings it back, and its end does not end it twice.
	_, err = h.office.Decide(ctx, officer, a.ID, rules.Decision{Approved: true})
	must(t, err)
	if len(h.office.Holds()) != 0 {
		t.Error("an approval brought the hold back")
	}
	h.restart()
	if len(h.office.Holds()) != 0 {
		t.Error("a start brought the hold back")
	}
	if n := len(h.entries("hold.released", "hold.ended")); n != 1 {
		t.Errorf("%d ends", n)
	}
}

// Anyone who applied, whatever their duty, does not let their own hold go.
func TestNobodyReleasesTheirOwnHold(t *testing.T) {
	h := newEnv(t)
	ctx := context.Background()
	_, err := h.office.Submit(ctx, head, form())
	must(t, err)
	hold := h.office.Holds()[0]
	_, err = h.office.ProposeRelease(ctx, head, hold.ID, "不再需要")
	refusedWith(t, err, "may.own_application")
	_, err = h.office.ProposeRelease(ctx, officer, hold.ID, "不再需要")
	must(t, err)
	refusedWith(t, h.office.ConfirmRelease(ctx, head, hold.ID), "may.own_application")
	must(t, h.office.ConfirmRelease(ctx, leader, hold.ID)) // a school of officer and leader can do it
}

// Either of the two takes a proposal back; then it can be made again.
func TestAProposalIsTakenBack(t *testing.T) {
	h := newEnv(t)
	ctx := context.Background()
	_, hold := h.held()
	for range 2 {
		_, err := h.office.ProposeRelease(ctx, officer, hold.ID, "误报")
		must(t, err)
		must(t, h.office.KeepHold(ctx, leader, hold.ID))
		if err := h.office.KeepHold(ctx, leader, hold.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("taken back twice: %v", err)
		}
	}
	if n := len(h.entries("hold.kept")); n != 2 {
		t.Errorf("%d entries", n)
	}
	// A hold that ends takes its proposal along.
	_, err := h.office.ProposeRelease(ctx, officer, hold.ID, "误报")
	must(t, err)
	_, err = h.office.Withdraw(ctx, teacher, hold.Application)
	must(t, err)
	if _, ok := h.office.Proposal(hold.ID); ok {
		t.Error("the proposal outlived its hold")
	}
	if err := h.office.ConfirmRelease(ctx, leader, hold.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("released what is gone: %v", err)
	}
}

// What is used of the caps is what the rules count.
func TestUseOfTheCaps(t *testing.T) {
	h := newEnv(t)
	_, hold := h.held()
	list, use, err := h.office.KeptHolds(context.Background())
	must(t, err)
	if len(list) != 1 || list[0].Bytes != 90<<20 || use.Held != 90<<20 || use.Allowed() != (100<<30)/100*10 || len(use.Applicants) != 1 || use.Applicants[0].Time != hold.Span.Duration() {
		t.Errorf("%+v, %+v", list, use)
	}
}

// condemnTo raises the watermark of a camera, as a sweep does.
func (h *env) condemnTo(camera string, at time.Time) {
	h.t.Helper()
	row, err := json.Marshal(retention.Watermark{At: at})
	must(h.t, err)
	_, err = h.store.Commit(context.Background(), ledgerdb.Change{Puts: []ledgerdb.Put{{Table: "watermarks", Key: camera, Value: row}}})
	must(h.t, err)
}

// A hold on what is condemned is refused; one on a part names what is too late; what another hold keeps can still be
// held.
func TestAHoldThatComesTooLate(t *testing.T) {
	h := newEnv(t)
	ctx := context.Background()
	a := form()
	span := a.Wanted[0].Span
	h.condemnTo("c01", span.From.Add(30*time.Minute))
	offers, err := h.office.Available(ctx, a.Wanted)
	must(t, err)
	if len(offers) != 1 || len(offers[0].PastRetention) != 1 || offers[0].PastRetention[0] != (footage.Span{From: span.From, To: span.From.Add(30 * time.Minute)}) {
		t.Errorf("too late: %+v", offers[0].PastRetention)
	}
	first, err := h.office.Submit(ctx, teacher, a)
	must(t, err)
	h.condemnTo("c01", span.To.Add(time.Hour))
	again, err := h.office.Submit(ctx, teacher, form()) // the first hold keeps it
	must(t, err)
	for _, id := range []string{first.ID, again.ID} {
		_, err = h.office.Withdraw(ctx, teacher, id)
		must(t, err)
	}
	_, err = h.office.Submit(ctx, teacher, form())
	var faults fielderr.Errors
	if !errors.As(err, &faults) || faults[0].Field != "wanted.0.from" || faults[0].Rule != "err.hold_too_late" {
		t.Errorf("all of it too late: %v", err)
	}
	if n := len(h.entries("application.submitted")); n != 2 {
		t.Errorf("%d applications", n)
	}
}
