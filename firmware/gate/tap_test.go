package gate

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
)

// Covers S6: one tap is one row, one entry with the reasons, one day, one beep.
func TestTapBecomesARecord(t *testing.T) {
	h := newEnv(t, at(7, 40, 0))
	r := h.tap(1, "r01")
	if r.Signal != attendance.SignalOK || !r.Known || r.Day.Outcome != attendance.Present || r.Way != attendance.In || len(r.Entries) != 2 {
		t.Errorf("result %+v", r)
	}
	if got := h.shown(); !slices.Equal(got, []attendance.Signal{attendance.SignalOK}) {
		t.Errorf("shown: %v", got)
	}
	e := h.entries("attendance.tap")
	if len(e) != 1 {
		t.Fatalf("%d tap entries", len(e))
	}
	d := data(t, e[0])
	if d["student"] != "s0001" || d["class"] != "2024-01" || d["direction"] != "in" || d["outcome"] != "present" || d["reader"] != "r01" || d["date"] != today {
		t.Errorf("entry data %v", d)
	}
	if reasons, ok := d["reasons"].([]any); !ok || len(reasons) != 1 || reasons[0] != "in_on_time" {
		t.Errorf("reasons %v", d["reasons"])
	}
	if e := h.entries("attendance.day"); len(e) != 1 || data(t, e[0])["status"] != "present" {
		t.Errorf("day entries %v", e)
	}
}

// Covers S7.
func TestLateTapSaysHowLate(t *testing.T) {
	h := newEnv(t, at(8, 8, 30))
	r := h.tap(2, "r02")
	if r.Day.Outcome != attendance.Late || r.Day.Minutes != 9 {
		t.Errorf("decided %+v", r.Day)
	}
	if d := data(t, h.entries("attendance.tap")[0]); d["late_min"] != 9.0 || d["outcome"] != "late" {
		t.Errorf("entry %v", d)
	}
}

// A status that stays writes no second attendance.day.
func TestDayEntryOnlyWhenTheStatusChanges(t *testing.T) {
	h := newEnv(t, at(7, 40, 0))
	h.tap(1, "r01")
	h.clock.set(at(7, 50, 0))
	h.tap(1, "r01")
	h.clock.set(at(11, 0, 0))
	if r := h.tap(1, "r03"); r.Day.Outcome != attendance.LeftEarly || r.Day.Minutes != 330 {
		t.Errorf("went out at 11:00: %+v", r.Day)
	}
	if n := len(h.entries("attendance.day")); n != 2 {
		t.Errorf("%d day entries for two statuses", n)
	}
	if n := len(h.entries("attendance.tap")); n != 3 {
		t.Errorf("%d tap entries for three taps", n)
	}
}

// The beep is never before the record: nothing sounds while the commit hangs, amber shows at 80 ms, and the
// beep follows the commit.
func TestNoBeepBeforeTheCommit(t *testing.T) {
	h := newEnv(t, at(7, 40, 0))
	hold := make(chan struct{})
	h.store.set(hold, nil)
	shown := make(chan attendance.Signal, 10)
	h.show = func(_ string, s attendance.Signal) { shown <- s }
	done := make(chan Result, 1)
	go func() {
		r, err := h.gate.Tap(context.Background(), h.read(uid(1), "r01"))
		if err != nil {
			t.Error(err)
		}
		done <- r
	}()
	if s := <-shown; s != attendance.SignalWait {
		t.Fatalf("the first signal is %s", s)
	}
	select {
	case s := <-shown:
		t.Fatalf("%s although nothing is stored", s)
	default:
	}
	if len(h.tapRows(today)) != 0 {
		t.Fatal("stored while the commit hangs")
	}
	close(hold)
	if s := <-shown; s != attendance.SignalOK {
		t.Fatalf("after the commit: %s", s)
	}
	if r := <-done; !r.Waited || r.Took < amberAfter {
		t.Errorf("result %+v", r)
	}
	if len(h.tapRows(today)) != 1 {
		t.Error("beeped without a record")
	}
}

func TestFailedCommitIsALongToneAndNoRecord(t *testing.T) {
	h := newEnv(t, at(7, 40, 0))
	h.store.set(nil, errors.New("no space left on device"))
	r, err := h.gate.Tap(t.Context(), h.read(uid(1), "r01"))
	if err == nil || r.Signal != attendance.SignalFail || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("result %+v, %v", r, err)
	}
	if got := h.shown(); !slices.Equal(got, []attendance.Signal{attendance.SignalFail}) {
		t.Errorf("shown: %v", got)
	}
	// Tried again at once: a failed tap is not one that a second beep may be for.
	h.store.set(nil, nil)
	if r := h.tap(1, "r01"); r.Repeat || r.Signal != attendance.SignalOK {
		t.Errorf("second try: %+v", r)
	}
	if n := len(h.tapRows(today)); n != 1 {
		t.Errorf("%d rows", n)
	}
}

// The rule of repeats: within 5 s of a stored tap of the same card at the same reader.
func TestRepeatBeepsAgainAndIsNotRecordedAgain(t *testing.T) {
	h := newEnv(t, at(7, 40, 0))
	for _, c := range []struct {
		after  time.Duration
		card   int
		reader string
		repeat bool
		rows   int
	}{
		{0, 1, "r01", false, 1},
		{2 * time.Second, 1, "r01", true, 1},
		{2500 * time.Millisecond, 1, "r02", false, 2}, // another reader
		{2600 * time.Millisecond, 2, "r01", false, 3}, // another card
		{4900 * time.Millisecond, 1, "r01", true, 3},
		{5100 * time.Millisecond, 1, "r01", false, 4},
	} {
		h.clock.set(at(7, 40, 10).Add(c.after))
		r := h.tap(c.card, c.reader)
		if r.Repeat != c.repeat || r.Signal != attendance.SignalOK {
			t.Errorf("card %d at %s after %v: %+v", c.card, c.reader, c.after, r)
		}
		if n := len(h.tapRows(today)); n != c.rows {
			t.Errorf("after %v: %d rows, want %d", c.after, n, c.rows)
		}
	}
}

// Covers S6: a card that nobody has is an entry and a signal of its own, and becomes no one's attendance.
func TestUnknownCard(t *testing.T) {
	h := newEnv(t, at(7, 40, 0))
	events, cancel := h.gate.Subscribe()
	defer cancel()
	stranger := []byte{0xDE, 0xAD, 0x41, 0xC0}
	r, err := h.gate.Tap(t.Context(), h.read(stranger, "r01"))
	if err != nil || r.Known || r.Signal != attendance.SignalUnknown {
		t.Errorf("result %+v, %v", r, err)
	}
	e := h.entries("attendance.unknown")
	if len(e) != 1 || e[0].Subject != "r01" || len(h.tapRows(today)) != 0 {
		t.Errorf("entries %v", e)
	}
	if ev := <-events; ev.Kind != EventUnknown || ev.Tail != "41C0" {
		t.Errorf("event %+v", ev)
	}
}

// Covers S37: no card number lies in the data directory, in no form.
func TestCardNumbersAreNotStored(t *testing.T) {
	h := newEnv(t, at(7, 40, 0))
	stranger := []byte{0xDE, 0xAD, 0x41, 0xC0, 0x55, 0x66, 0x77}
	h.tap(1, "r01")
	if _, err := h.gate.Tap(t.Context(), h.read(stranger, "r01")); err != nil {
		t.Fatal(err)
	}
	h.close()
	err := filepath.WalkDir(h.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, n := range [][]byte{uid(1), stranger} {
			for _, form := range [][]byte{n, []byte(hex.EncodeToString(n)), []byte(strings.ToUpper(hex.EncodeToString(n)))} {
				if bytes.Contains(b, form) {
					t.Errorf("%s holds the card number %s", path, form)
				}
			}
		}
		if bytes.Contains(b, h.school.key[:]) {
			t.Errorf("%s holds the site key", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// While the clock is in doubt taps count as presence, and nobody is late or absent by it.
func TestClockInDoubt(t *testing.T) {
	h := newEnv(t, at(9, 0, 0))
	h.clock.doubt(clock.Suspect)
	r := h.tap(1, "r01")
	if r.Day.Outcome != attendance.Present || !r.Day.Has(attendance.ClockDoubt) || !r.Tap.Doubt {
		t.Errorf("decided %+v", r.Day)
	}
	b, err := h.gate.Board(today)
	if err != nil {
		t.Fatal(err)
	}
	if b.Total.By[attendance.AbsentUnexplained] != 0 || b.Total.By[attendance.Unknown] != pupils-1 {
		t.Errorf("board %+v", b.Total)
	}
}

// Two taps of one student at two readers at the same time both count: the second decides again.
func TestTapsAtTheSameTime(t *testing.T) {
	h := newEnv(t, at(7, 40, 0))
	done := make(chan error, 8)
	for i := range 8 {
		go func() {
			read := h.read(uid(1), []string{"r01", "r02", "r03", "r04"}[i%4])
			read.At += time.Duration(i)
			_, err := h.gate.Tap(context.Background(), read)
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	rows := len(h.tapRows(today))
	if rows < 4 {
		t.Errorf("%d rows for taps at four readers", rows)
	}
	var day attendance.DayStatus
	err := h.store.View(func(tx ledgerdb.Tx) error {
		var err error
		day, _, _, err = days.Get(tx, dayKey(today, pupil(1)))
		return err
	})
	if err != nil || day.Taps != rows {
		t.Errorf("the day knows %d of %d taps, %v", day.Taps, rows, err)
	}
}

func TestNewRefuses(t *testing.T) {
	h := newEnv(t, at(7, 0, 0))
	if _, err := New(Options{Store: h.store, Students: h.school, Site: h.school, Clock: h.clock}); err == nil {
		t.Error("a gate without a card key")
	}
	bad := newSchool()
	bad.calendar.Zone = "Asia/Nowhere"
	if _, err := New(Options{Store: h.store, Students: bad, Site: bad, Clock: h.clock, CardKey: bad.key}); err == nil {
		t.Error("a gate with a calendar of no zone")
	}
}
