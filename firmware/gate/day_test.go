package gate

import (
	"errors"
	"slices"
	"testing"
	"time"

	"campuskeep/firmware/reader"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
)

func (h *env) statusOf(n int) attendance.DayStatus {
	h.t.Helper()
	roll, err := h.gate.Roll(classOf(n), today)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, s := range roll {
		if s.Student == pupil(n) {
			return s
		}
	}
	h.t.Fatalf("%s is not on the roll of %s", pupil(n), classOf(n))
	return attendance.DayStatus{}
}

func (h *env) board() Board {
	h.t.Helper()
	b, err := h.gate.Board(today)
	if err != nil {
		h.t.Fatal(err)
	}
	return b
}

func (h *env) reader(id string, s reader.State, reason string) {
	h.t.Helper()
	if err := h.gate.ReaderState(h.t.Context(), reader.Status{Reader: id, State: s, Reason: reason, Since: h.clock.Now().Mono}); err != nil {
		h.t.Fatal(err)
	}
}

// Covers S6: the board counts each class as it is at that minute.
func TestBoard(t *testing.T) {
	h := newEnv(t, at(7, 30, 0))
	for n := 1; n <= 10; n++ {
		h.tap(n, "r01")
	}
	h.clock.set(at(7, 45, 0))
	h.tap(11, "r02")
	b := h.board()
	if b.Total.Expected != pupils || b.Total.Attended != 11 || b.Total.Missing != pupils-11 || b.Total.By[attendance.Present] != 11 || b.Total.By[attendance.Pending] != pupils-11 {
		t.Errorf("before the bell: %+v", b.Total)
	}
	if len(b.Classes) != 4 || b.Classes[0].Class != "2024-01" || b.Classes[0].Attended != 11 || b.Classes[1].Attended != 0 {
		t.Errorf("classes %+v", b.Classes)
	}
	if b.Arrivals[90] != 10 || b.Arrivals[105] != 1 {
		t.Errorf("arrivals at 7:30 and 7:45: %d, %d", b.Arrivals[90], b.Arrivals[105])
	}
	if b.Readers[0].Taps != 10 || b.Readers[1].Taps != 1 {
		t.Errorf("readers %+v", b.Readers)
	}
	if len(b.Recent) != 11 || b.Recent[0].Student != pupil(11) {
		t.Errorf("recent: %d, first %+v", len(b.Recent), b.Recent[0])
	}
	h.clock.set(at(8, 6, 0))
	if b := h.board(); b.Total.By[attendance.AbsentUnexplained] != pupils-11 {
		t.Errorf("after the bell: %+v", b.Total)
	}
	if b, err := h.gate.Board("2026-05-23"); err != nil || b.Total.Expected != 0 || b.Total.By[attendance.NoSchool] != pupils {
		t.Errorf("on Saturday: %+v, %v", b.Total, err)
	}
	if _, err := h.gate.Board("yesterday"); err == nil {
		t.Error("a board of no date")
	}
}

// Covers S7: who does not come is found without a tap, once, and the entry says why.
func TestSweepFindsWhoDidNotCome(t *testing.T) {
	h := newEnv(t, at(7, 30, 0))
	for n := 3; n <= pupils; n++ {
		h.tap(n, "r02")
	}
	if n, err := h.gate.Sweep(t.Context()); err != nil || n != 0 {
		t.Errorf("before the bell %d days changed, %v", n, err)
	}
	before := len(h.entries("attendance.day"))
	h.clock.set(at(8, 5, 30))
	if n, err := h.gate.Sweep(t.Context()); err != nil || n != 2 {
		t.Errorf("after the bell %d days changed, %v", n, err)
	}
	if n, err := h.gate.Sweep(t.Context()); err != nil || n != 0 {
		t.Errorf("swept again %d days changed, %v", n, err)
	}
	e := h.entries("attendance.day")[before:]
	if len(e) != 2 || data(t, e[0])["status"] != "absent_unexplained" {
		t.Errorf("entries %v", e)
	}
	// One of them comes after all.
	h.clock.set(at(8, 20, 0))
	if r := h.tap(1, "r02"); r.Day.Outcome != attendance.Late || r.Day.Minutes != 21 && r.Day.Minutes != 20 {
		t.Errorf("came at 8:20: %+v", r.Day)
	}
	if b := h.board(); b.Total.By[attendance.AbsentUnexplained] != 1 || b.Total.By[attendance.Late] != 1 {
		t.Errorf("board %+v", b.Total)
	}
}

// Covers S7: a reader that failed in the morning makes those without a tap unknown, not absent.
func TestReaderOutageMakesUnknown(t *testing.T) {
	h := newEnv(t, at(7, 30, 0))
	h.reader("r02", reader.Online, reader.ReasonAnswers)
	h.tap(1, "r02")
	h.reader("r02", reader.Offline, reader.ReasonSilent)
	h.clock.set(at(7, 50, 0))
	h.reader("r02", reader.Online, reader.ReasonAnswers)
	h.clock.set(at(8, 30, 0))
	if s := h.statusOf(2); s.Outcome != attendance.Unknown || !s.Has(attendance.GateUnobserved) {
		t.Errorf("without a tap: %+v", s)
	}
	if s := h.statusOf(1); s.Outcome != attendance.Present {
		t.Errorf("with a tap: %+v", s)
	}
	if n, err := h.gate.Sweep(t.Context()); err != nil || n != pupils-1 {
		t.Errorf("%d days changed, %v", n, err)
	}
	for _, e := range h.entries("attendance.day") {
		if data(t, e)["status"] == "absent_unexplained" {
			t.Fatal("somebody was called absent although a reader had failed")
		}
	}
	states := h.entries("reader.state")
	if len(states) != 3 || states[1].Subject != "r02" || data(t, states[1])["reason"] != "silent" {
		t.Errorf("entries %v", states)
	}
}

// A restart of a reader is over before anybody misses the beep, and a reader that only lets people out says
// nothing about who came in.
func TestOutagesThatDoNotCount(t *testing.T) {
	h := newEnv(t, at(7, 30, 0))
	h.reader("r02", reader.Offline, reader.ReasonSilent)
	h.clock.set(at(7, 30, 40))
	h.reader("r02", reader.Online, reader.ReasonAnswers)
	h.reader("r03", reader.Offline, reader.ReasonSilent)
	h.clock.set(at(8, 30, 0))
	if s := h.statusOf(2); s.Outcome != attendance.AbsentUnexplained {
		t.Errorf("without a tap: %+v", s)
	}
}

// What the store did not take is an outage of the register, and is written down when it works again.
func TestRegisterOutage(t *testing.T) {
	h := newEnv(t, at(7, 40, 0))
	h.store.set(nil, errors.New("no space left on device"))
	if _, err := h.gate.Tap(t.Context(), h.read(uid(1), "r02")); err == nil {
		t.Fatal("stored on a full disk")
	}
	h.clock.set(at(7, 55, 0))
	h.store.set(nil, nil)
	h.tap(2, "r02")
	if err := h.gate.commitRegisterOutage(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.clock.set(at(8, 30, 0))
	if s := h.statusOf(1); s.Outcome != attendance.Unknown || !s.Has(attendance.RegisterUnobserved) {
		t.Errorf("the one with the long tone: %+v", s)
	}
	h.close()
	h.open()
	if s := h.statusOf(1); s.Outcome != attendance.Unknown {
		t.Errorf("after a restart: %+v", s)
	}
}

// Covers S7: after a time without power nobody is absent for it.
func TestTimeWithoutPower(t *testing.T) {
	h := newEnv(t, at(7, 0, 0))
	if err := h.gate.writeAlive(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.close()
	h.clock.set(at(8, 10, 0))
	h.open()
	if err := h.gate.closeLastRun(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.clock.set(at(8, 30, 0))
	if s := h.statusOf(1); s.Outcome != attendance.Unknown || !s.Has(attendance.GateUnobserved) {
		t.Errorf("without a tap: %+v", s)
	}
	// Who came in after it is not late for it.
	if r := h.tap(2, "r02"); r.Day.Outcome != attendance.Unknown {
		t.Errorf("came at 8:30: %+v", r.Day)
	}
}

func TestSweepMoments(t *testing.T) {
	h := newEnv(t, at(7, 59, 0))
	h.tap(1, "r02")
	last := h.clock.Now().Mono
	var due []string
	for m := at(7, 59, 30); m.Before(at(19, 0, 0)); m = m.Add(30 * time.Second) {
		h.clock.set(m)
		now := h.clock.Now()
		if h.gate.sweepDue(last, now) {
			due = append(due, now.Wall.In(shanghai).Format("15:04"))
			last = now.Mono
		}
	}
	if want := []string{"08:01", "08:05", "08:15", "16:30", "18:30"}; !slices.Equal(due, want) {
		t.Errorf("swept at %v, want %v", due, want)
	}
	h.clock.doubt(clock.Untrusted)
	if h.gate.sweepDue(0, h.clock.Now()) {
		t.Error("swept by a clock in doubt")
	}
}

// Covers S7: a grade that has bell times of its own is judged by them, at a tap, on the board, and when the teacher is asked.
func TestBellTimesOfAGrade(t *testing.T) {
	h := newEnv(t, at(8, 10, 0))
	late := attendance.DefaultHours
	late.Bell += 60
	h.school.mu.Lock()
	h.school.calendar.Grades = []attendance.GradeHours{{Grades: []int{1}, Hours: late}}
	h.school.mu.Unlock()
	if first, last := h.tap(1, "r02").Day.Outcome, h.tap(pupils, "r02").Day.Outcome; first != attendance.Present || last != attendance.Late {
		t.Errorf("at 8:10 grade 1 is %s, grade 4 %s", first, last)
	}
	h.clock.set(at(8, 30, 0))
	last := h.clock.Now().Mono
	for _, c := range h.board().Classes {
		if first := c.Class == "2024-01"; first != (c.By[attendance.AbsentUnexplained] == 0) {
			t.Errorf("class %s at 8:30: %v", c.Class, c.By)
		}
	}
	h.clock.set(at(9, 5, 30))
	if !h.gate.sweepDue(last, h.clock.Now()) {
		t.Error("nothing is decided when the teacher of grade 1 is to be asked")
	}
}

// Run decides the days of the morning by itself when it starts after the bell.
func TestRunSweeps(t *testing.T) {
	h := newEnv(t, at(8, 30, 0))
	events, cancel := h.gate.Subscribe()
	defer cancel()
	stop := h.start(h.gate.Run)
	for range pupils {
		await(t, events, "a day", func(e Event) bool { return e.Kind == EventDay && e.Outcome == attendance.AbsentUnexplained })
	}
	stop()
}

// A listener that does not keep up is notified, and never slows the gate.
func TestSlowListener(t *testing.T) {
	h := newEnv(t, at(7, 30, 0))
	events, cancel := h.gate.Subscribe()
	for n := range feedBuffer + 10 {
		h.gate.feed.send(Event{Kind: EventTap, Minutes: n})
	}
	for range feedBuffer {
		<-events
	}
	h.gate.feed.send(Event{Kind: EventTap, Minutes: -1})
	if a, b := <-events, <-events; a.Kind != EventLost || b.Minutes != -1 {
		t.Errorf("after the gap: %+v, %+v", a, b)
	}
	cancel()
	cancel()
	if _, open := <-events; open {
		t.Error("the channel is open after cancel")
	}
	if n := len(h.gate.Recent()); n != recentSize {
		t.Errorf("%d lines kept", n)
	}
}

// More taps than the queue holds: a long tone at once, nobody waits.
func TestHandleNeverWaits(t *testing.T) {
	h := newEnv(t, at(7, 30, 0))
	for range queueSize + 3 {
		h.gate.Handle(h.read(uid(1), "r01")) // Run does not run
	}
	if got := h.shown(); len(got) != 3 || got[0] != attendance.SignalFail {
		t.Errorf("shown %v", got)
	}
}

func BenchmarkBoard(b *testing.B) {
	h := newEnv(b, at(7, 30, 0))
	for n := 1; n <= pupils; n++ {
		if _, err := h.gate.Tap(b.Context(), h.read(uid(n), "r01")); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	for b.Loop() {
		if _, err := h.gate.Board(today); err != nil {
			b.Fatal(err)
		}
	}
}
