package gate

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
)

var teacher = account.Who{Actor: account.Actor{ID: "p017"}, From: ledger.From{Address: "10.20.3.18"}, Via: ledger.ViaWeb}

// Covers S6, S7: the teacher's mark is an entry with its reason sealed, and decides the day.
func TestMark(t *testing.T) {
	h := newEnv(t, at(8, 10, 0))
	day, err := h.gate.PutMark(t.Context(), teacher, account.RoleClassTeacher,
		attendance.Mark{Student: pupil(1), Date: today, Outcome: attendance.Late, Minutes: 12, By: attendance.ByTeacher}, classOf(1), "校车晚点")
	if err != nil || day.Outcome != attendance.Late || day.Minutes != 12 || !day.Has(attendance.MarkTeacher) {
		t.Errorf("decided %+v, %v", day, err)
	}
	e := h.entries("attendance.mark")
	if len(e) != 1 || e[0].Actor.ID != "p017" || e[0].Actor.Role != "class_teacher" || data(t, e[0])["minutes"] != 12.0 || len(e[0].Sealed) != 1 {
		t.Errorf("entries %+v", e)
	}
	if s := h.statusOf(1); s.Outcome != attendance.Late {
		t.Errorf("on the roll: %+v", s)
	}
	h.close()
	b, err := os.ReadFile(filepath.Join(h.dir, "ledger.db"))
	if err != nil || bytes.Contains(b, []byte("校车")) {
		t.Errorf("the reason lies in clear, or %v", err)
	}
}

func TestMarksThatMakeNoSense(t *testing.T) {
	h := newEnv(t, at(8, 10, 0))
	good := attendance.Mark{Student: pupil(1), Date: today, Outcome: attendance.Present, By: attendance.ByTeacher}
	for _, c := range []struct {
		field string
		spoil func(*attendance.Mark)
	}{
		{"student", func(m *attendance.Mark) { m.Student = "" }},
		{"date", func(m *attendance.Mark) { m.Date = "20 May" }},
		{"date", func(m *attendance.Mark) { m.Date = "2026-05-21" }},
		{"outcome", func(m *attendance.Mark) { m.Outcome = attendance.Pending }},
		{"by", func(m *attendance.Mark) { m.By = "parent" }},
		{"minutes", func(m *attendance.Mark) { m.Outcome = attendance.Late }},
		{"minutes", func(m *attendance.Mark) { m.Minutes = 3 }},
		{"leave", func(m *attendance.Mark) { m.Outcome = attendance.OnLeave }},
		{"leave", func(m *attendance.Mark) { m.Leave = attendance.Sick }},
	} {
		m := good
		c.spoil(&m)
		_, err := h.gate.PutMark(t.Context(), teacher, account.RoleClassTeacher, m, classOf(1), "")
		wantField(t, err, c.field)
	}
	_, err := h.gate.PutMark(t.Context(), teacher, account.RoleClassTeacher, good, classOf(1), strings.Repeat("长", maxReason+1))
	wantField(t, err, "reason")
	if n := h.store.Size(); n != 0 {
		t.Errorf("%d entries of marks that were refused", n)
	}
}

func wantField(t *testing.T, err error, field string) {
	t.Helper()
	errs, ok := errors.AsType[fielderr.Errors](err)
	if !ok || !slices.ContainsFunc(errs, func(e fielderr.Error) bool { return e.Field == field }) {
		t.Errorf("%v does not name %s", err, field)
	}
}

func TestLeaveChangesTheDaysItTouches(t *testing.T) {
	h := newEnv(t, at(8, 30, 0))
	if _, err := h.gate.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := attendance.Leave{Student: pupil(1), Kind: attendance.Sick, From: at(0, 0, 0), To: at(0, 0, 0).AddDate(0, 0, 2)}
	l, err := h.gate.PutLeave(t.Context(), teacher, account.RoleClassTeacher, l, classOf(1), "发热")
	if err != nil {
		t.Fatal(err)
	}
	if s := h.statusOf(1); s.Outcome != attendance.AbsentUnexplained {
		t.Errorf("by a leave that nobody approved: %+v", s)
	}
	l.Approved = true
	if _, err := h.gate.PutLeave(t.Context(), teacher, account.RoleClassTeacher, l, classOf(1), ""); err != nil {
		t.Fatal(err)
	}
	if s := h.statusOf(1); s.Outcome != attendance.OnLeave || s.Leave != attendance.Sick {
		t.Errorf("on leave: %+v", s)
	}
	last := h.entries("attendance.day")
	if d := data(t, last[len(last)-1]); d["status"] != "leave" {
		t.Errorf("last day entry %v", d)
	}
	for field, bad := range map[string]attendance.Leave{
		"student": {Kind: attendance.Sick, From: at(8, 0, 0), To: at(9, 0, 0)},
		"kind":    {Student: pupil(1), Kind: "holiday", From: at(8, 0, 0), To: at(9, 0, 0)},
		"from":    {Student: pupil(1), Kind: attendance.Sick, To: at(9, 0, 0)},
		"to":      {Student: pupil(1), Kind: attendance.Sick, From: at(8, 0, 0), To: at(8, 0, 0).AddDate(2, 0, 0)},
	} {
		_, err := h.gate.PutLeave(t.Context(), teacher, account.RoleClassTeacher, bad, classOf(1), "")
		wantField(t, err, field)
	}
}

// Taps made while the clock was in 1970 find their day when it is trusted; nobody is absent for it.
func TestTapsFindTheirDayWhenTheClockIsTrusted(t *testing.T) {
	h := newEnv(t, time.Date(1970, 1, 1, 0, 10, 0, 0, time.UTC))
	h.clock.doubt(clock.Untrusted)
	r := h.tap(1, "r02")
	if r.Signal != attendance.SignalOK || !r.Tap.Doubt || len(h.tapRows("1970-01-01")) != 1 {
		t.Fatalf("in 1970: %+v", r)
	}
	if err := h.gate.settle(t.Context()); err != nil || len(h.tapRows("1970-01-01")) != 1 {
		t.Fatalf("settled by a clock in doubt: %v", err)
	}
	h.clock.correct(at(8, 20, 0), -25*time.Minute) // 25 minutes after the tap it is known to be 8:20
	if err := h.gate.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(h.tapRows("1970-01-01")); n != 0 {
		t.Errorf("%d taps stay in 1970", n)
	}
	if s := h.statusOf(1); s.Outcome != attendance.Present || !s.Has(attendance.InOnTime) || s.FirstIn.Round(time.Minute).In(shanghai).Format("15:04") != "07:55" {
		t.Errorf("on the right day: %+v", s)
	}
	if n := len(h.entries("attendance.tap")); n != 1 {
		t.Errorf("%d entries of one tap", n)
	}
	if err := h.gate.settle(t.Context()); err != nil || len(h.tapRows(today)) != 1 {
		t.Errorf("settled twice: %v", err)
	}
}
