package gate

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/reader"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
)

// statusOn is the status of a pupil's day on any date.
func (h *env) statusOn(n int, date string) attendance.DayStatus {
	h.t.Helper()
	roll, err := h.gate.Roll(classOf(n), date)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, s := range roll {
		if s.Student == pupil(n) {
			return s
		}
	}
	h.t.Fatalf("%s is on no roll of %s", pupil(n), date)
	return attendance.DayStatus{}
}

func (h *env) settled() {
	h.t.Helper()
	if err := h.gate.settle(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

// A reader that leaves the register, or whose line goes, ends its outage: it blinds nobody for ever.
func TestReaderOutOfServiceBlindsNobody(t *testing.T) {
	for name, leave := range map[string]func(*school){
		"retired or renamed": func(s *school) { s.readers = s.readers[:1] },
		"its line is gone":   func(s *school) { s.readers[1].NoBus = true },
	} {
		t.Run(name, func(t *testing.T) {
			h := newEnv(t, at(7, 0, 0))
			h.reader("r02", reader.Offline, reader.ReasonSilent)
			h.clock.set(at(7, 10, 0))
			leave(h.school)
			h.reader("r02", reader.Offline, reader.ReasonStop)
			h.clock.set(at(8, 30, 0).AddDate(0, 0, 1))
			if s := h.statusOn(2, "2026-05-21"); s.Outcome != attendance.AbsentUnexplained {
				t.Errorf("the day after: %+v", s)
			}
			if err := h.gate.writePending(t.Context()); err != nil {
				t.Fatal(err)
			}
			h.close()
			h.open()
			if n := len(h.gate.outages); n != 1 || h.gate.outages[0].To.IsZero() {
				t.Errorf("stored as %+v", h.gate.outages)
			}
		})
	}
}

// A line that is left because the register changed is no outage; nor is the reader that comes back on it.
func TestLineLeftIsNoOutage(t *testing.T) {
	h := newEnv(t, at(7, 0, 0))
	h.reader("r02", reader.Online, reader.ReasonAnswers)
	h.reader("r02", reader.Offline, reader.ReasonStop)
	h.clock.set(at(8, 30, 0))
	if s := h.statusOf(2); s.Outcome != attendance.AbsentUnexplained {
		t.Errorf("%+v", s)
	}
}

// An outage that could not be written is written later, and counts meanwhile.
func TestOutageIsWrittenLater(t *testing.T) {
	h := newEnv(t, at(7, 0, 0))
	h.store.set(nil, errors.New("no space left on device"))
	s := reader.Status{Reader: "r02", State: reader.Offline, Reason: reader.ReasonSilent, Since: h.clock.Now().Mono}
	if err := h.gate.ReaderState(t.Context(), s); err == nil {
		t.Error("nobody is told")
	}
	h.clock.set(at(8, 30, 0))
	if s := h.statusOf(2); s.Outcome != attendance.Unknown {
		t.Errorf("before it is written: %+v", s)
	}
	h.store.set(nil, nil)
	if err := h.gate.writePending(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.close()
	h.open()
	if s := h.statusOf(2); s.Outcome != attendance.Unknown {
		t.Errorf("after a restart: %+v", s)
	}
	if n := len(h.entries("reader.state")); n != 1 {
		t.Errorf("%d entries", n)
	}
}

// A reader that comes and goes all morning is a bounded number of entries and one long outage at the end; what is
// true at the end is in the log.
func TestFlappingReaderIsBounded(t *testing.T) {
	h := newEnv(t, at(7, 0, 0))
	for i := range 600 {
		h.clock.set(at(7, 0, 1+3*i))
		h.reader("r02", []reader.State{reader.Offline, reader.Online}[i%2], []string{reader.ReasonSilent, reader.ReasonAnswers}[i%2])
	}
	if n := len(h.entries("reader.state")); n > ledger.Limits["reader.state"].PerHour {
		t.Errorf("%d entries", n)
	}
	if n := len(h.gate.outages); n > ledger.Limits["reader.state"].PerHour/2+1 {
		t.Errorf("%d outages", n)
	}
	h.clock.set(at(8, 30, 0))
	if err := h.gate.writePending(t.Context()); err != nil {
		t.Fatal(err)
	}
	e := h.entries("reader.state")
	if d := data(t, e[len(e)-1]); d["state"] != "online" || d["count"] != 540.0 {
		t.Errorf("the last entry says %v", d)
	}
	if s := h.statusOf(2); s.Outcome != attendance.Unknown {
		t.Errorf("while it flapped: %+v", s)
	}
	h.close()
	h.open()
	for _, o := range h.gate.outages {
		if o.To.IsZero() {
			t.Errorf("it lasts: %+v", o)
		}
	}
}

// Power gone from 7:00 to 8:10 on a board without a clock chip, the time known at 8:20: nobody is absent for it.
func TestPowerCutWithoutAClockChip(t *testing.T) {
	h := newEnv(t, at(7, 0, 0))
	if err := h.gate.writeAlive(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.close()
	h.clock.boot = "2f1c7a60-0000-4000-8000-000000000002"
	h.clock.set(at(7, 0, 30)) // what the clock claims
	h.clock.doubt(clock.Untrusted)
	h.open()
	var w watching
	h.gate.round(t.Context(), &w)
	h.clock.correct(at(8, 20, 0), -10*time.Minute)
	if b := h.board(); b.Total.By[attendance.AbsentUnexplained] != 0 {
		t.Errorf("on the board: %+v", b.Total)
	}
	h.gate.round(t.Context(), &w)
	for _, e := range h.entries("attendance.day") {
		if data(t, e)["status"] == "absent_unexplained" {
			t.Fatal("somebody was called absent")
		}
	}
	if b := h.board(); b.Total.By[attendance.Unknown] != pupils {
		t.Errorf("afterwards: %+v", b.Total)
	}
	if o := h.gate.outages; len(o) != 1 || o[0].To.Round(time.Minute).In(shanghai).Format("15:04") != "08:10" || o[0].Reason != ReasonAppliance {
		t.Errorf("on record: %+v", o)
	}
}

// A reader that came and went more often than one entry can bind rows before the time was known has all of it placed.
func TestMoreOutagesThanAnEntryBinds(t *testing.T) {
	const n = 5*outagesAtOnce + 1
	h := newEnv(t, at(7, 0, 0))
	now := h.clock.Now()
	for i := range n {
		mono := int64(now.Mono) - int64(n-i)
		h.gate.outages = append(h.gate.outages, Outage{ID: fmt.Sprintf("r01-%x", i), Reader: "r01", Reason: reader.ReasonSilent, From: time.Unix(0, 0), To: time.Unix(1, 0),
			Doubt: true, Boot: now.Boot, Mono: mono, BootedTo: now.Boot, MonoTo: mono})
	}
	for range 6 {
		if err := h.gate.writePending(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	placed := 0
	err := h.store.View(func(tx ledgerdb.Tx) error {
		for _, o := range outages.All(tx) {
			if !o.Doubt && now.Wall.Sub(o.From).Abs() < time.Minute {
				placed++
			}
		}
		return nil
	})
	if err != nil || placed != n || len(h.gate.pending) != 0 {
		t.Errorf("%d of %d placed, %d readers are owed something, %v", placed, n, len(h.gate.pending), err)
	}
}

// A tap that was taken for yesterday leaves yesterday as it was decided.
func TestSettlingKeepsYesterday(t *testing.T) {
	const yesterday = "2026-05-19"
	h := newEnv(t, at(7, 50, 0).AddDate(0, 0, -1))
	h.tap(1, "r02")
	h.clock.set(at(18, 31, 0).AddDate(0, 0, -1))
	if _, err := h.gate.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	was := map[int]attendance.DayStatus{1: h.statusOn(1, yesterday), 2: h.statusOn(2, yesterday)}
	h.clock.doubt(clock.Untrusted) // off and on; the clock claims that it is still yesterday
	h.tap(1, "r02")
	h.tap(2, "r02")
	h.clock.correct(at(7, 50, 0), -5*time.Minute)
	h.settled()
	for n := 1; n <= 2; n++ {
		stored := ""
		for _, e := range h.entries("attendance.day") {
			if d := data(t, e); e.Subject == pupil(n) && d["date"] == yesterday {
				stored = fmt.Sprint(d["status"])
			}
		}
		if s := h.statusOn(n, yesterday); s.Outcome != was[n].Outcome || stored != string(was[n].Outcome) {
			t.Errorf("%s yesterday: %s, the log says %s; was %s", pupil(n), s.Outcome, stored, was[n].Outcome)
		}
		if s := h.statusOf(n); s.Outcome != attendance.Present {
			t.Errorf("%s today: %+v", pupil(n), s)
		}
	}
	h.settled() // nothing more to settle
	if len(h.tapRows(yesterday)) != 1 || len(h.tapRows(today)) != 2 {
		t.Errorf("taps: %v, %v", h.tapRows(yesterday), h.tapRows(today))
	}
}

// What a teacher states of yesterday counts, with its reason.
func TestMarkOfYesterday(t *testing.T) {
	h := newEnv(t, at(9, 0, 0))
	m := attendance.Mark{Student: pupil(1), Date: "2026-05-19", Outcome: attendance.OnLeave, Leave: attendance.Sick, By: attendance.ByTeacher}
	if s, err := h.gate.PutMark(t.Context(), teacher, account.RoleClassTeacher, m, classOf(1), "家长补交假条"); err != nil || s.Outcome != attendance.OnLeave {
		t.Errorf("%+v, %v", s, err)
	}
	if s := h.statusOn(1, "2026-05-19"); s.Outcome != attendance.OnLeave {
		t.Errorf("on the page: %+v", s)
	}
}

// A leave decides every day that it touches, the last partial one too, and again when it is shortened.
func TestLeaveOverSeveralDays(t *testing.T) {
	h := newEnv(t, at(20, 0, 0))
	l := attendance.Leave{Student: pupil(1), Kind: attendance.Sick, From: at(14, 0, 0).AddDate(0, 0, -2), To: at(10, 0, 0), Approved: true}
	l, err := h.gate.PutLeave(t.Context(), teacher, account.RoleClassTeacher, l, classOf(1), "")
	if err != nil {
		t.Fatal(err)
	}
	said := func() map[string]string {
		out := map[string]string{}
		for _, e := range h.entries("attendance.day") {
			d := data(t, e)
			out[d["date"].(string)] = d["status"].(string)
		}
		return out
	}
	if s := said(); len(s) != 3 || s["2026-05-19"] != "leave" || s[today] == "" {
		t.Errorf("decided %v", s)
	}
	l.To = at(12, 0, 0).AddDate(0, 0, -1).Add(-12 * time.Hour) // it ended when the 18th ended
	if _, err := h.gate.PutLeave(t.Context(), teacher, account.RoleClassTeacher, l, classOf(1), ""); err != nil {
		t.Fatal(err)
	}
	if s := said(); s["2026-05-19"] != "absent_unexplained" || s[today] != "absent_unexplained" {
		t.Errorf("shortened: %v", s)
	}
}

// Who was to come when a leave ended and did not is found then, not at noon.
func TestLeaveThatEndsInTheMorning(t *testing.T) {
	h := newEnv(t, at(7, 0, 0))
	l := attendance.Leave{Student: pupil(1), Kind: attendance.Personal, From: at(0, 0, 0), To: at(9, 30, 0), Approved: true}
	if _, err := h.gate.PutLeave(t.Context(), teacher, account.RoleClassTeacher, l, classOf(1), ""); err != nil {
		t.Fatal(err)
	}
	var w watching
	for m := at(7, 0, 30); m.Before(at(9, 50, 0)); m = m.Add(time.Minute) {
		h.clock.set(m)
		h.gate.round(t.Context(), &w)
	}
	last := ""
	for _, e := range h.entries("attendance.day") {
		if e.Subject == pupil(1) {
			last = fmt.Sprint(data(t, e)["status"])
		}
	}
	if last != "absent_unexplained" {
		t.Errorf("at 9:50 the log says %q", last)
	}
}

// A sweep that failed is tried again at once, and a day that was missed when it closed is decided later.
func TestMissedDaysAreDecided(t *testing.T) {
	h := newEnv(t, at(7, 0, 0))
	var w watching
	h.gate.round(t.Context(), &w)
	h.tap(1, "r02")
	h.clock.set(at(8, 6, 0))
	h.store.set(nil, errors.New("no space left on device"))
	h.gate.round(t.Context(), &w)
	h.store.set(nil, nil)
	h.gate.round(t.Context(), &w)
	if n := len(h.entries("attendance.day")); n < pupils {
		t.Errorf("%d days decided when the disk has room again", n)
	}
	h.close()
	h.clock.set(at(7, 0, 0).AddDate(0, 0, 1)) // off when the school closed
	h.open()
	w = watching{}
	h.gate.round(t.Context(), &w)
	last := map[string]string{}
	for _, e := range h.entries("attendance.day") {
		if e.Subject == pupil(1) {
			last[data(t, e)["date"].(string)] = fmt.Sprint(data(t, e)["reasons"])
		}
	}
	if last[today] == "[in_on_time]" {
		t.Errorf("yesterday was not decided after its closing: %v", last)
	}
}

// The board adds up, class by class and in all, and says the same as the roll.
func TestBoardAndRollAddUp(t *testing.T) {
	h := newEnv(t, at(7, 30, 0))
	for n := 1; n <= 40; n++ {
		h.tap(n, []string{"r01", "r02", "r03"}[n%3]) // some are only seen leaving
	}
	for n := 35; n <= 60; n++ {
		outcome := []attendance.Outcome{attendance.OnLeave, attendance.Present, attendance.AbsentUnexplained}[n%3]
		m := attendance.Mark{Student: pupil(n), Date: today, Outcome: outcome, By: attendance.ByTeacher}
		if outcome == attendance.OnLeave {
			m.Leave = attendance.Sick
		}
		if _, err := h.gate.PutMark(t.Context(), teacher, account.RoleClassTeacher, m, classOf(n), ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, now := range []time.Time{at(7, 40, 0), at(8, 30, 0), at(20, 0, 0)} {
		h.clock.set(now)
		b := h.board()
		var sum Tally
		for _, c := range b.Classes {
			if c.Expected != c.Attended+c.Missing+c.Away {
				t.Errorf("%s does not add up: %+v", c.Class, c.Tally)
			}
			roll, err := h.gate.Roll(c.Class, today)
			if err != nil {
				t.Fatal(err)
			}
			came := 0
			for _, d := range roll {
				if d.Attended {
					came++
				}
			}
			if came != c.Attended || len(roll) != c.Expected {
				t.Errorf("%s: the roll has %d of %d, the board %d of %d", c.Class, came, len(roll), c.Attended, c.Expected)
			}
			sum.Expected, sum.Attended, sum.Missing, sum.Away = sum.Expected+c.Expected, sum.Attended+c.Attended, sum.Missing+c.Missing, sum.Away+c.Away
		}
		if tot := b.Total; tot.Expected != sum.Expected || tot.Attended != sum.Attended || tot.Missing != sum.Missing || tot.Away != sum.Away {
			t.Errorf("in all %+v, by class %+v", tot, sum)
		}
	}
}
