package gate

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/reader"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
)

const terminalSerial = "CKUF201260123"

// mark is a mark of a pupil's card at the terminal r01, made at said by its clock, which comes now.
func (h *env) mark(n int, said time.Time) reader.CardRead {
	r := h.read(uid(n), "r01")
	r.Mark = &reader.Mark{Key: "4", Said: said.UTC().Truncate(time.Second)}
	return r
}

func (h *env) take(reads ...reader.CardRead) reader.Taken {
	h.t.Helper()
	got, err := h.gate.TakeMarks(h.t.Context(), "r01", terminalSerial, reads)
	if err != nil {
		h.t.Fatal(err)
	}
	return got
}

// meet makes the terminal known since a while ago, with a clock that is right.
func (h *env) meet(since time.Time) {
	h.t.Helper()
	k := reader.Terminal{Clock: attendance.TerminalClock{State: attendance.ClockRight, First: since.UTC()}}
	if _, err := h.store.Commit(h.t.Context(), ledgerdb.Change{Puts: []ledgerdb.Put{terminals.Put(terminalKey("r01", terminalSerial), k)}}); err != nil {
		h.t.Fatal(err)
	}
}

func (h *env) dayOf(n int) attendance.DayStatus {
	h.t.Helper()
	roll, err := h.gate.Roll(classOf(n), today)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, d := range roll {
		if d.Student == pupil(n) {
			return d
		}
	}
	h.t.Fatalf("pupil %d is on no roll", n)
	return attendance.DayStatus{}
}

// Covers S6: a mark is one tap with both times, however often it comes, and also when the program was killed between
// the commit and the answer.
func TestMarkOfATerminalCountsOnce(t *testing.T) {
	h := newEnv(t, at(7, 40, 0))
	h.meet(at(7, 40, 0).Add(-48 * time.Hour))
	m := h.mark(1, at(7, 39, 58))
	if got := h.take(m, m); got.Taken != 1 || got.Repeats != 1 || len(got.Fresh) != 1 || got.Unsure != 0 {
		t.Errorf("taken %+v", got)
	}
	var wg sync.WaitGroup
	for range 8 { // the terminal lost patience
		wg.Go(func() {
			if got, err := h.gate.TakeMarks(context.Background(), "r01", terminalSerial, []reader.CardRead{m}); err != nil || got.Taken != 0 {
				t.Errorf("again: %+v, %v", got, err)
			}
		})
	}
	wg.Wait()
	h.close() // with no answer to the last
	h.open()
	later := m
	later.At = h.clock.Now().Mono
	if got := h.take(later, h.mark(2, at(7, 40, 0))); got.Taken != 1 || got.Repeats != 1 {
		t.Errorf("after a restart: %+v", got)
	}
	rows := h.tapRows(today)
	if len(rows) != 2 {
		t.Fatalf("%d taps", len(rows))
	}
	for _, tap := range rows {
		if tap.Student == pupil(1) && (!tap.At.Equal(at(7, 39, 58)) || !tap.Said.Equal(tap.At) || tap.Mono != int64(m.At) || tap.Unsure) {
			t.Errorf("tap %+v", tap)
		}
	}
	e := h.entries("attendance.tap")
	if d := data(t, e[0]); len(e) != 2 || d["said"] != "2026-05-19T23:39:58Z" || d["unsure"] != nil || d["outcome"] != "present" {
		t.Errorf("%d entries, %v", len(e), d)
	}
	if !e[0].At.After(at(7, 39, 59)) {
		t.Errorf("the entry is of %s: it is made when the mark comes", e[0].At)
	}
	if got := h.take(h.mark(999, at(7, 40, 0)), h.mark(999, at(7, 40, 0))); got.Taken != 1 || got.Repeats != 1 || len(h.entries("attendance.unknown")) != 1 {
		t.Errorf("an unknown card: %+v", got)
	}
}

// A failed commit is no acknowledgement, and what was stored of the delivery is not stored again.
func TestFailedMarksAreNotAcknowledged(t *testing.T) {
	h := newEnv(t, at(7, 40, 0))
	h.meet(at(7, 40, 0).Add(-48 * time.Hour))
	h.take(h.mark(1, at(7, 39, 59)))
	h.store.set(nil, errors.New("no space left on device"))
	reads := []reader.CardRead{h.mark(1, at(7, 39, 59)), h.mark(2, at(7, 40, 0))}
	if _, err := h.gate.TakeMarks(t.Context(), "r01", terminalSerial, reads); err == nil {
		t.Error("acknowledged without a record")
	}
	h.store.set(nil, nil)
	h.clock.set(at(8, 10, 0))
	got := h.take(reads...) // half an hour later, for our own reason
	if d := h.dayOf(2); got.Taken != 1 || got.Repeats != 1 || got.Unsure != 0 || d.Outcome != attendance.Present {
		t.Errorf("taken %+v, day %+v", got, d)
	}
	h.clock.doubt(clock.Suspect)
	if _, err := h.gate.TakeMarks(t.Context(), "r01", terminalSerial, []reader.CardRead{h.mark(3, at(8, 10, 0))}); !errors.Is(err, ErrClock) {
		t.Errorf("by a clock in doubt: %v", err)
	}
}

// Covers S7: marks by a clock that is off by more than a minute make nobody late, and while it is off nobody is absent;
// afterwards the same terminal counts again.
func TestTerminalWithAWrongClockIsUnknown(t *testing.T) {
	for name, off := range map[string]time.Duration{"ahead": 20 * time.Minute, "behind": -20 * time.Minute, "without power": at(7, 30, 0).Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, shanghai)) * -1} {
		t.Run(name, func(t *testing.T) {
			h := newEnv(t, at(7, 30, 0))
			h.meet(at(7, 30, 0).Add(-48 * time.Hour))
			state := func(s reader.State, reason string) {
				if err := h.gate.ReaderState(t.Context(), reader.Status{Reader: "r01", State: s, Reason: reason, Since: h.clock.Now().Mono}); err != nil {
					t.Fatal(err)
				}
			}
			state(reader.Online, reader.ReasonAnswers)
			got := h.take(h.mark(1, at(7, 30, 0).Add(off)))
			if got.Clock.State != attendance.ClockWrong || got.Unsure != 1 {
				t.Fatalf("taken %+v", got)
			}
			state(reader.Refused, reader.ReasonClock)
			h.clock.set(at(8, 9, 0))
			h.take(h.mark(2, at(8, 9, 0).Add(off)))
			if d := h.dayOf(2); d.Outcome != attendance.Unknown || !d.Has(attendance.ClockDoubt) {
				t.Errorf("came at nine past eight by a wrong clock: %+v", d)
			}
			if d := h.dayOf(1); d.Outcome != attendance.Unknown {
				t.Errorf("came at half past seven by a wrong clock: %+v", d)
			}
			h.clock.set(at(8, 20, 0))
			if _, err := h.gate.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			if d := h.dayOf(3); d.Outcome != attendance.Unknown {
				t.Errorf("who did not come while the clock was wrong: %+v", d)
			}
			if got := h.take(h.mark(4, at(8, 20, 0))); got.Clock.State != attendance.ClockRight || got.Unsure != 0 {
				t.Errorf("set right: %+v", got)
			}
			if again := h.take(h.mark(1, at(7, 30, 0).Add(off))); again.Taken != 0 || again.Repeats != 1 {
				t.Errorf("sent again: %+v", again)
			}
			k, err := h.gate.Terminal(t.Context(), "r01", terminalSerial)
			if err != nil || k.Clock.State != attendance.ClockRight {
				t.Errorf("kept %+v, %v", k, err)
			}
		})
	}
}

// What a terminal kept while the network was gone falls into place, also on the day before; its history does not.
func TestMarksThatATerminalKept(t *testing.T) {
	h := newEnv(t, at(7, 40, 0))
	h.meet(at(7, 40, 0).Add(-48 * time.Hour))
	state := func(s reader.State, reason string) {
		if err := h.gate.ReaderState(t.Context(), reader.Status{Reader: "r01", State: s, Reason: reason, Since: h.clock.Now().Mono}); err != nil {
			t.Fatal(err)
		}
	}
	state(reader.Online, reader.ReasonAnswers)
	h.clock.set(at(7, 45, 0))
	state(reader.Offline, reader.ReasonSilent)
	h.clock.set(at(8, 40, 0))
	if d := h.dayOf(1); d.Outcome != attendance.Unknown {
		t.Errorf("while the terminal is away: %+v", d)
	}
	state(reader.Online, reader.ReasonAnswers)
	got := h.take(h.mark(1, at(7, 50, 0)), h.mark(2, at(8, 20, 0)), h.mark(3, at(7, 0, 0).Add(-40*24*time.Hour)))
	if got.Taken != 2 || got.Unsure != 0 || got.Old != 1 || len(got.Fresh) != 0 {
		t.Errorf("taken %+v", got)
	}
	if d := h.dayOf(1); d.Outcome != attendance.Present {
		t.Errorf("came in time while the network was gone: %+v", d)
	}
	if d := h.dayOf(2); d.Outcome != attendance.Unknown || d.Has(attendance.NoTap) {
		t.Errorf("came at twenty past eight while the network was gone: %+v", d)
	}
	if e := h.entries("reader.marks"); len(e) != 1 || data(t, e[0])["reason"] != "old" || data(t, e[0])["count"] != 1.0 {
		t.Errorf("entries %v", e)
	}
}

// Notes about marks go when the marks cannot be believed any more; those of a clock without power later.
func TestNotesAboutMarksAreForgotten(t *testing.T) {
	h := newEnv(t, at(7, 40, 0))
	h.meet(at(7, 40, 0).Add(-48 * time.Hour))
	h.take(h.mark(1, at(7, 40, 0)), h.mark(2, time.Date(2000, 1, 1, 0, 0, 9, 0, shanghai)))
	count := func() (n int) {
		err := h.store.View(func(tx ledgerdb.Tx) error {
			for range takenMarks.All(tx) {
				n++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, c := range []struct {
		after time.Duration
		left  int
	}{{0, 2}, {attendance.MaxMarkAge, 2}, {keepTaken + 25*time.Hour, 1}, {keepImpossible + 25*time.Hour, 0}} {
		h.clock.set(at(7, 40, 0).Add(c.after))
		if err := h.gate.forgetMarks(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := count(); got != c.left {
			t.Errorf("after %s: %d notes, want %d", c.after, got, c.left)
		}
	}
}

// A terminal that tells the card and the user number of a person finds the pupil by either; one that can be asked for
// its clock is believed, or not, before its first mark.
func TestTerminalThatIsAsked(t *testing.T) {
	h := newEnv(t, at(7, 40, 0))
	if _, err := h.gate.Terminal(t.Context(), "r01", terminalSerial); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		off  time.Duration
		want attendance.TerminalState
	}{{61 * time.Second, attendance.ClockWrong}, {-60 * time.Second, attendance.ClockRight}, {0, attendance.ClockRight}} {
		got, err := h.gate.PutClock(t.Context(), "r01", terminalSerial, c.off)
		if k, e := h.gate.Terminal(t.Context(), "r01", terminalSerial); err != nil || e != nil || got != c.want || k.Clock.State != c.want {
			t.Errorf("off by %s: %s, kept %+v, %v, %v", c.off, got, k, err, e)
		}
	}
	m := h.mark(999, at(7, 40, 0))
	held := attendance.Card{Bits: 32, Raw: uid(5)}
	m.Mark.Also = &held
	if got := h.take(m, m); got.Taken != 1 || h.dayOf(5).Outcome != attendance.Present {
		t.Errorf("taken %+v, day %+v", got, h.dayOf(5))
	}
	m.Mark.Also = nil
	if got := h.take(m); got.Repeats != 1 || len(h.tapRows(today)) != 1 {
		t.Errorf("the same mark again: %+v", got)
	}
}

// How many marks of a terminal become durable in a second, one and 500 at a time.
func BenchmarkMarks(b *testing.B) {
	for _, size := range []int{1, 500} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			h := newEnv(b, at(6, 0, 0))
			h.meet(at(7, 40, 0).Add(-48 * time.Hour))
			n := 0
			for b.Loop() {
				var reads []reader.CardRead
				for range size {
					reads = append(reads, h.mark(1+n%pupils, at(6, 0, 0).Add(time.Duration(n/pupils)*time.Millisecond*7)))
					reads[len(reads)-1].Mark.Key = strconv.Itoa(n)
					n++
				}
				if _, err := h.gate.TakeMarks(b.Context(), "r01", terminalSerial, reads); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "marks/s")
		})
	}
}

// What a terminal was used for while it was out of service is its history; what was taken before is a repeat.
func TestTerminalThatLeftServiceBeginsAsNew(t *testing.T) {
	h := newEnv(t, at(7, 40, 0))
	h.meet(at(7, 40, 0).Add(-48 * time.Hour))
	before := h.mark(1, at(7, 40, 0))
	h.take(before)
	for range 2 {
		if err := h.gate.TerminalLeft(t.Context(), "r01", terminalSerial); err != nil {
			t.Fatal(err)
		}
	}
	h.clock.set(at(9, 0, 0))
	if k, err := h.gate.Terminal(t.Context(), "r01", terminalSerial); err != nil || k.Stamp != "" || k.Clock.State != attendance.ClockUnproven {
		t.Errorf("back in service: %+v, %v", k, err)
	}
	if got := h.take(before, h.mark(2, at(8, 30, 0)), h.mark(3, at(9, 0, 0))); got.Repeats != 1 || got.Old != 1 || got.Taken != 1 || got.Unsure != 0 {
		t.Errorf("taken %+v", got)
	}
}
