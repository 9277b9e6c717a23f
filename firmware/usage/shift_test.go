package usage

import (
	"errors"
	"strings"
	"testing"
	"time"

	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/shift"
)

var (
	relief   = who("p005", account.RoleStaff, account.RoleOfficer)
	handover = HandoverNotes{Happened: "17:20 自行车棚有学生争执，已劝离。", Equipment: "c03 画面偶有停顿，已报修。", Open: "请留意晚间清校。"}
)

// Covers F20: sign-in, notes, hand-over signed by the incoming officer; each is an entry, the notes are sealed.
func TestShiftIsHandedOver(t *testing.T) {
	h := newEnv(t)
	ctx := t.Context()
	first, err := h.office.BeginShift(ctx, officer)
	must(t, err)
	again, err := h.office.BeginShift(ctx, officer)
	must(t, err)
	if again.ID != first.ID || !h.office.OnShift(officer.ID) || h.office.OnShift(relief.ID) {
		t.Fatalf("%+v %+v", first, again)
	}
	h.clock.Pass(8 * time.Hour)
	if _, err := h.office.HandShift(ctx, officer, relief); !errors.Is(err, shift.ErrNotes) {
		t.Fatalf("a hand-over without notes: %v", err)
	}
	_, err = h.office.OfferShift(ctx, officer, HandoverNotes{})
	if fields, ok := errors.AsType[fielderr.Errors](err); !ok || len(fields) != 2 {
		t.Fatalf("empty notes: %v", err)
	}
	_, err = h.office.OfferShift(ctx, officer, handover)
	must(t, err)
	if s, on := h.office.Shift(officer.ID); !on || s.Offered.IsZero() {
		t.Fatalf("the shift goes on until somebody signs: %+v %v", s, on)
	}
	if _, err := h.office.HandShift(ctx, officer, officer); !errors.Is(err, shift.ErrSamePerson) {
		t.Fatal(err)
	}
	_, err = h.office.HandShift(ctx, officer, teacher)
	refusedWith(t, err, "may.role")
	next, err := h.office.HandShift(ctx, officer, relief)
	must(t, err)
	if h.office.OnShift(officer.ID) || !h.office.OnShift(relief.ID) || next.After != first.ID {
		t.Fatalf("%+v", next)
	}
	offered := h.entries("shift.offered")
	parts, err := h.store.Parts(offered[0].Seq)
	must(t, err)
	if len(parts) != 3 || string(parts[0].Plain) != handover.Happened || parts[0].Owner != HandoverNotesOwner(first.ID) || strings.Contains(string(offered[0].Data), "争执") {
		t.Fatalf("%+v", parts)
	}
	handed := data(t, h.entries("shift.handed")[0])
	if handed["to"] != relief.ID || handed["next"] != next.ID || h.entries("shift.handed")[0].Actor.ID != officer.ID {
		t.Fatalf("%v", handed)
	}
	if e := h.entries("shift.began"); len(e) != 2 || e[1].Actor.ID != relief.ID {
		t.Fatalf("%+v", e)
	}
}

// Covers F20: a restart neither ends a shift nor gives back one that was over.
func TestShiftsOutliveARestart(t *testing.T) {
	h := newEnv(t)
	ctx := t.Context()
	_, err := h.office.BeginShift(ctx, officer)
	must(t, err)
	_, err = h.office.BeginShift(ctx, relief)
	must(t, err)
	must(t, h.office.EndShift(ctx, relief, shift.EndLoggedOut))
	must(t, h.office.EndShift(ctx, relief, shift.EndLoggedOut))
	h.restart()
	if !h.office.OnShift(officer.ID) || h.office.OnShift(relief.ID) {
		t.Fatalf("%+v", h.office.OpenShifts())
	}
	h.clock.Pass(shift.Longest)
	if h.office.OnShift(officer.ID) {
		t.Fatal("on duty longer than the longest shift")
	}
	_, err = h.office.OpenViewing(ctx, officer, "c01", footage.Span{}, Live, "例行巡视")
	refusedWith(t, err, "may.not_on_shift")
	h.clock.Pass(time.Hour)
	must(t, h.office.passShifts(ctx))
	e := h.entries("shift.ended")
	d := data(t, e[1])
	if len(e) != 2 || e[1].Actor.ID != ledger.System.ID || d["reason"] != "longest" || d["at"] != begin.Add(shift.Longest).Format(time.RFC3339) {
		t.Fatalf("%v", d)
	}
	all := h.office.Shifts(footage.Span{From: begin, To: begin.Add(24 * time.Hour)})
	if len(all) != 2 || all[0].Open() || all[1].Open() {
		t.Fatalf("%+v", all)
	}
	// A shift that is over and not ended yet is in nobody's way.
	_, err = h.office.BeginShift(ctx, officer)
	must(t, err)
	h.clock.Pass(shift.Longest)
	s, err := h.office.BeginShift(ctx, officer)
	must(t, err)
	if len(h.office.OpenShifts()) != 1 || h.office.OpenShifts()[0].ID != s.ID || len(h.entries("shift.ended")) != 3 {
		t.Fatalf("%+v", h.office.OpenShifts())
	}
}
