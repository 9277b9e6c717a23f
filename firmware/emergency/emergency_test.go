package emergency

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
	rules "campuskeep/shared/emergency"
	"campuskeep/shared/lib/fielderr"
)

const classOne, classTwo = "2023-01", "2023-02"

// Covers S11: an event is opened with the rolls as the gate knows them; what teachers state becomes counts, names and
// contradictions, and is there after the program was started again in the middle.
func TestAHeadCount(t *testing.T) {
	h := newEnv(t, 2, 4)
	h.gate.not["s0004"] = attendance.DayStatus{Outcome: attendance.OnLeave}
	h.gate.not["s0008"] = attendance.DayStatus{Outcome: attendance.Unknown}
	e := h.begin()
	if b := h.board(e.ID); b.Count != (rules.Count{Expected: 7, Open: 7, Away: 1}) {
		t.Fatalf("at first: %+v", b.Count)
	}
	h.clock.Pass(time.Minute)
	h.must(h.state("luo", e.ID, "batch0001", classOne, Mark{Student: "s0001", State: rules.Safe}, Mark{Student: "s0002", State: rules.Missing, Note: "同学说去了三楼"}, Mark{Student: "s0003", State: rules.Injured, Note: "脚踝扭伤"}))
	h.clock.Pass(time.Minute)
	h.must(h.state("fan", e.ID, "batch0002", "", Mark{Student: "s0002", State: rules.Safe, Note: "图书馆"}))
	h.must(h.state("fan", e.ID, "batch0003", "", Mark{Name: "陆无名", State: rules.Safe}, Mark{Name: "陆可丁一", State: rules.Safe}))
	check := func(when string) {
		t.Helper()
		b := h.board(e.ID)
		if want := (rules.Count{Expected: 7, Safe: 3, Injured: 1, Open: 3, Away: 1, Elsewhere: 2}); b.Count != want {
			t.Fatalf("%s: %+v, want %+v", when, b.Count, want)
		}
		if len(b.Unknown) != 1 || b.Unknown[0].Note != "陆无名" {
			t.Errorf("%s: names that fit nobody: %+v", when, b.Unknown)
		}
		c, _ := b.Class(classOne)
		if p := c.Pupils[1]; p.Standing.State != rules.Safe || p.Standing.By != "fan" || !p.Standing.Elsewhere || p.Reader != "r01" || p.Standing.Said != 2*time.Minute {
			t.Errorf("%s: the pupil in the library: %+v", when, p)
		}
	}
	check("after two minutes")
	h.stop()
	h.start()
	check("after a start in the middle")
	h.clock.Change(func(r *clock.Reading) { r.Boot, r.Mono, r.Wall = "boot-2", time.Minute, r.Wall.Add(time.Minute) })
	h.must(h.state("luo", e.ID, "batch0004", classOne, Mark{Student: "s0002", State: rules.Missing}))
	b := h.board(e.ID)
	if b.Count.Missing != 1 || len(b.Contradictory()) != 1 || b.With(rules.Missing)[0].Standing.Seen == nil {
		t.Errorf("looked for after the sighting: %+v", b.Count)
	}
	if err := h.Close(t.Context(), who("p001"), account.RoleHeadOfSafety, e.ID, ""); !errors.As(err, new(fielderr.Errors)) {
		t.Errorf("closed with a pupil missing: %v", err)
	}
	h.must(h.Close(t.Context(), who("p001"), account.RoleHeadOfSafety, e.ID, "已转交派出所继续查找"))
	b = h.board(e.ID)
	if b.Event.Closed.Count.Missing != 1 || len(b.Event.Record.Injured) != 1 || b.Event.Record.Injured[0].Student != "s0003" {
		t.Errorf("closed: %+v %+v", b.Event.Closed, b.Event.Record)
	}
	h.must(h.state("luo", e.ID, "batch0005", classOne, Mark{Student: "s0002", State: rules.Safe}))
	if b = h.board(e.ID); b.Event.Closed.Count.Missing != 1 || b.Count.Missing != 0 {
		t.Error("what arrives after the end is kept, and does not change the end")
	}
	rev := h.Rev(e.ID)
	h.must(h.PutRecord(t.Context(), who("p001"), account.RoleHeadOfSafety, e.ID, rules.Record{Lessons: "三楼东侧无人引导"}, "", rev))
	if err := h.PutRecord(t.Context(), who("p001"), account.RoleHeadOfSafety, e.ID, rules.Record{Lessons: "另一版"}, "更正", rev); !errors.Is(err, ledgerdb.ErrConflict) {
		t.Errorf("a record of an old form: %v", err)
	}
	if err := h.PutRecord(t.Context(), who("p001"), account.RoleHeadOfSafety, e.ID, rules.Record{Lessons: "另一版"}, "", h.Rev(e.ID)); !errors.As(err, new(fielderr.Errors)) {
		t.Errorf("a second version without a reason: %v", err)
	}
}

// Covers S11: what a phone sends again, at once or after a start, counts once; another content never goes by the same
// name.
func TestWhatIsSentTwiceCountsOnce(t *testing.T) {
	h := newEnv(t, 1, 4)
	e := h.begin()
	size := func() uint64 { return h.store.Size() }
	before := size()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := h.state("luo", e.ID, "batch0001", classOne, Mark{Student: "s0001", State: rules.Safe}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	h.stop()
	h.start()
	h.must(h.state("luo", e.ID, "batch0001", classOne, Mark{Student: "s0001", State: rules.Safe}))
	if n := size() - before; n != 1 {
		t.Errorf("%d entries for one batch", n)
	}
	if err := h.state("luo", e.ID, "batch0001", classOne, Mark{Student: "s0001", State: rules.Missing}); !errors.As(err, new(fielderr.Errors)) {
		t.Errorf("another content under the same name: %v", err)
	}
	h.must(h.state("luo", e.ID, "batch0002", classOne, Mark{Student: "s0001", State: rules.Safe}))
	if n := size() - before; n != 1 {
		t.Error("what says nothing new is an entry")
	}
	for name, m := range map[string]Mark{"a stranger": {Student: "s0099", State: rules.Safe}, "no state": {Student: "s0001"}, "a long clue": {Student: "s0001", State: rules.Missing, Note: string(make([]byte, 300))}} {
		if err := h.state("luo", e.ID, "batch0009", classOne, m); !errors.As(err, new(fielderr.Errors)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := h.state("luo", "e99", "batch0009", classOne, Mark{Student: "s0001", State: rules.Safe}); !errors.Is(err, ErrNotFound) {
		t.Errorf("an event that is not: %v", err)
	}
}

// Covers S11: a mistaken start is taken back for a moment, and that is in the log; an event works while the clock is in
// doubt.
func TestMistakesAndDoubt(t *testing.T) {
	h := newEnv(t, 1, 2)
	h.clock.Change(func(r *clock.Reading) { r.State = clock.Untrusted })
	e := h.begin()
	if !e.Opened.Doubt {
		t.Error("the doubt is not noted")
	}
	h.must(h.state("luo", e.ID, "batch0001", classOne, Mark{Student: "s0001", State: rules.Safe}))
	h.must(h.Undo(t.Context(), who("p001"), account.RoleHeadOfSafety, e.ID))
	if len(h.Running()) != 0 {
		t.Error("it still runs")
	}
	if err := h.state("luo", e.ID, "batch0002", classOne, Mark{Student: "s0002", State: rules.Safe}); !errors.As(err, new(fielderr.Errors)) {
		t.Errorf("a statement about what never was: %v", err)
	}
	e = h.begin()
	h.clock.Pass(rules.UndoWithin + time.Second)
	if err := h.Undo(t.Context(), who("p001"), account.RoleHeadOfSafety, e.ID); !errors.As(err, new(fielderr.Errors)) {
		t.Errorf("taken back too late: %v", err)
	}
	if _, err := h.Begin(t.Context(), who("p001"), "", rules.Event{Kind: "war", Whole: true}); !errors.As(err, new(fielderr.Errors)) {
		t.Errorf("an unknown kind: %v", err)
	}
	if _, err := h.Begin(t.Context(), who("p001"), "", rules.Event{Kind: rules.Fire, Classes: []string{"1999-01"}}); !errors.As(err, new(fielderr.Errors)) {
		t.Errorf("no class: %v", err)
	}
}

// Covers S37: no name, clue or injury lies unsealed in the data directory.
func TestNothingPersonalLiesOpen(t *testing.T) {
	h := newEnv(t, 1, 2)
	e := h.begin()
	h.must(h.state("luo", e.ID, "batch0001", classOne, Mark{Student: "s0001", State: rules.Injured, Note: "踝关节骨折待查"}))
	h.must(h.state("fan", e.ID, "batch0002", "", Mark{Name: "欧阳无名", State: rules.Safe}))
	if _, err := h.Search(t.Context(), who("fan"), account.RoleStaff, e.ID, "陆可一", 5); err != nil {
		t.Fatal(err)
	}
	h.must(h.Close(t.Context(), who("p001"), account.RoleHeadOfSafety, e.ID, "演练提前结束的理由"))
	err := filepath.Walk(h.dir, func(p string, i os.FileInfo, err error) error {
		if err != nil || i.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		for _, secret := range []string{"踝关节", "欧阳无名", "博学楼", "演练提前结束", "陆可一", "injured\",\"by"} {
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("%s holds %q", filepath.Base(p), secret)
			}
		}
		return err
	})
	h.must(err)
}

// Covers S11 by hand (CAMPUSKEEP_LOAD=1): 50 classes of 40, 60 phones.
func TestManyPhones(t *testing.T) {
	if os.Getenv("CAMPUSKEEP_LOAD") == "" {
		t.Skip("a measurement: CAMPUSKEEP_LOAD=1")
	}
	h := newEnv(t, 50, 40)
	began := time.Now()
	e := h.begin()
	t.Logf("opening with %d pupils: %s", h.board(e.ID).Count.Expected, time.Since(began))
	var wg sync.WaitGroup
	var mu sync.Mutex
	var longest time.Duration
	at := time.Now()
	for i := range 60 {
		wg.Go(func() {
			class := e.Classes[i%50]
			c, _ := h.board(e.ID).Class(class)
			for k, p := range c.Pupils { // one tap after the other
				began := time.Now()
				if err := h.Say(context.Background(), who(fmt.Sprint("t", i)), account.RoleClassTeacher, e.ID, Batch{ID: fmt.Sprintf("phone%03d%03d", i, k), Class: class, Marks: []Mark{{Student: p.Student, State: rules.Safe}}}); err != nil {
					t.Error(err)
				}
				mu.Lock()
				longest = max(longest, time.Since(began))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	took := time.Since(at)
	board := time.Now()
	count := h.board(e.ID).Count
	t.Logf("60 phones × 40 taps: %s in all, the longest %s; counts of the school: %s; %+v", took, longest, time.Since(board), count)
	if count.Safe != 2000 {
		t.Errorf("%+v", count)
	}
}
