package oversight_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/ledgerdb/ledgerdbtest"
	"campuskeep/firmware/oversight"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/clock/clocktest"
	"campuskeep/shared/ledger"
	rules "campuskeep/shared/oversight"
	usagerules "campuskeep/shared/usage"
)

var began = time.Date(2026, 11, 30, 1, 0, 0, 0, time.UTC)

type env struct {
	t     *testing.T
	dir   string
	clock *clocktest.Clock
	store *ledgerdbtest.Store
	apps  []usagerules.Application
	*oversight.Office
}

func newEnv(t *testing.T) *env {
	e := &env{t: t, dir: t.TempDir(), clock: clocktest.At(began)}
	e.open()
	return e
}

func (e *env) open() {
	e.t.Helper()
	e.store = ledgerdbtest.Open(e.t, e.dir, e.clock)
	var err error
	e.Office, err = oversight.Open(oversight.Options{Store: e.store.Store, Clock: e.clock, Zone: time.FixedZone("school", 8*3600),
		Applications: func() []usagerules.Application { return e.apps },
		Allow: func(_ context.Context, by account.Who, action account.Action, s account.Subject) (account.Decision, error) {
			d := account.May(by.Actor, action, s, e.clock.Now().Wall)
			return d, d.Err(action)
		}})
	if err != nil {
		e.t.Fatal(err)
	}
}

func (e *env) again() {
	e.store.Stop()
	e.open()
}

// pass lets time pass and time alone work.
func (e *env) pass(d time.Duration) {
	e.t.Helper()
	e.clock.Pass(d)
	if err := e.Beat(e.t.Context()); err != nil {
		e.t.Fatal(err)
	}
}

func who(id string, roles ...account.Role) account.Who {
	return account.Who{Actor: account.Actor{ID: id, Roles: roles, SecondFactor: true, Units: []string{"canteen"}}, From: ledger.From{Address: "192.0.2.7"}, Via: ledger.ViaWeb}
}

var (
	teacher = who("p-teacher", account.RoleClassTeacher)
	officer = who("p-officer", account.RoleOfficer)
	head    = who("p-head", account.RoleHeadOfSafety)
	leader  = who("p-leader", account.RoleLeader)
)

func must(t *testing.T) func(rules.Violation, error) rules.Violation {
	return func(v rules.Violation, err error) rules.Violation {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func refused(err error) bool {
	_, ok := errors.AsType[*account.Refused](err)
	return ok
}

// Covers F18, M18: a violation is opened, heard, decided, appealed and settled, over restarts; nobody decides about
// themselves; what was said of a person lies nowhere in clear.
func TestAViolationToItsEnd(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	const facts = "stored footage on a private phone"
	v := must(t)(e.OpenViolation(t.Context(), officer, rules.Violation{Code: rules.OwnDevice, Person: teacher.ID, Facts: facts}))
	if v.ID != "v2026-0001" {
		t.Fatalf("id %s", v.ID)
	}
	step := func(by account.Who, ev rules.ViolationEvent) error {
		_, rev, err := e.ViolationRev(v.ID)
		if err != nil {
			return err
		}
		_, err = e.StepViolation(t.Context(), by, v.ID, rev, ev)
		return err
	}
	warn := &rules.Ruling{Measure: rules.Warning, Text: "a warning"}
	if err := step(head, rules.ViolationEvent{Kind: rules.StepDecide, Ruling: warn}); err == nil {
		t.Error("decided before the person was heard")
	}
	if err := step(who("p-other", account.RoleStaff), rules.ViolationEvent{Kind: rules.StepHear, Text: "x"}); !refused(err) {
		t.Errorf("somebody else spoke for the person: %v", err)
	}
	if err := step(teacher, rules.ViolationEvent{Kind: rules.StepHear, Text: "the phone is the school's"}); err != nil {
		t.Fatal(err)
	}
	e.again()
	if err := step(teacher, rules.ViolationEvent{Kind: rules.StepDecide, Ruling: warn}); !refused(err) {
		t.Errorf("a teacher decided: %v", err)
	}
	if _, err := e.StepViolation(t.Context(), head, v.ID, 1, rules.ViolationEvent{Kind: rules.StepDecide, Ruling: warn}); !errors.Is(err, ledgerdb.ErrConflict) {
		t.Errorf("decided on an old page: %v", err)
	}
	if err := step(head, rules.ViolationEvent{Kind: rules.StepDecide, Ruling: warn}); err != nil {
		t.Fatal(err)
	}
	if err := step(teacher, rules.ViolationEvent{Kind: rules.StepAppeal, Text: "too hard"}); err != nil {
		t.Fatal(err)
	}
	if err := step(head, rules.ViolationEvent{Kind: rules.StepSettle, Ruling: warn}); err == nil {
		t.Error("the first to decide settled the appeal")
	}
	if err := step(leader, rules.ViolationEvent{Kind: rules.StepSettle, Ruling: &rules.Ruling{Measure: rules.Reminder, Text: "a reminder will do"}}); err != nil {
		t.Fatal(err)
	}
	e.again()
	got := must(t)(e.Violation(v.ID))
	if got.State != rules.Final || got.InForce().Measure != rules.Reminder || len(got.Steps) != 4 {
		t.Errorf("%+v", got)
	}
	kinds := map[ledger.Kind]int{}
	for entry, err := range e.store.Entries(0, e.store.Size()) {
		if err != nil {
			t.Fatal(err)
		}
		kinds[entry.Kind]++
	}
	if kinds["violation.opened"] != 1 || kinds["violation.step"] != 4 {
		t.Errorf("entries %v", kinds)
	}
	e.store.Stop()
	mustNotContain(t, e.dir, facts, "the phone is the school's", "a reminder will do")
}

func mustNotContain(t *testing.T, dir string, words ...string) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, w := range words {
			if bytes.Contains(b, []byte(w)) {
				t.Errorf("%s holds %q in clear", path, w)
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// Covers F15, F18: an overdue report opens one violation, however often it is looked at; an appeal that nobody made
// ends by time, and only by a clock that is trusted.
func TestWhatTimeAloneDoes(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.apps = []usagerules.Application{{ID: "a2026-0007", Year: 2026, No: 7, Applicant: teacher.ID, State: usagerules.Overdue}, {ID: "a2026-0008", State: usagerules.InUse}}
	e.pass(time.Minute)
	e.again()
	e.pass(time.Minute)
	list := e.Violations()
	if len(list) != 1 || list[0].Code != rules.LateReport || list[0].Application != "a2026-0007" || list[0].Person != teacher.ID {
		t.Fatalf("%+v", list)
	}
	id := list[0].ID
	for _, ev := range []rules.ViolationEvent{{Kind: rules.StepHear, Text: "was ill"}, {Kind: rules.StepDecide, Ruling: &rules.Ruling{Measure: rules.Reminder, Text: "file it"}}} {
		_, rev, err := e.ViolationRev(id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.StepViolation(t.Context(), head, id, rev, ev); err != nil {
			t.Fatal(err)
		}
	}
	e.clock.Doubt(clock.Suspect)
	e.pass(30 * 24 * time.Hour)
	if v := must(t)(e.Violation(id)); v.State != rules.Decided {
		t.Errorf("a clock in doubt ended the term of appeal: %s", v.State)
	}
	e.clock.Doubt(clock.Trusted)
	e.pass(time.Minute)
	if v := must(t)(e.Violation(id)); v.State != rules.Final {
		t.Errorf("the term of appeal did not end: %s", v.State)
	}
}

// Covers F16, L2: an inspection on a phone keeps every answer; what it found wanting is put right, looked at again, and
// the plan says when the next is due.
func TestAnInspectionToItsEnd(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	p, err := e.PutPlan(t.Context(), head, rules.Plan{Title: "private areas", Cadence: rules.Weekly, Person: officer.ID, From: began, Items: []rules.Item{{Text: "rooms", Private: true}, {Text: "signs"}}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	i, err := e.BeginInspection(t.Context(), officer, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.AnswerItem(t.Context(), officer, i.ID, 0, rules.Answer{Result: rules.Bad, Text: "sees a room", Owner: teacher.ID, Due: began.AddDate(0, 0, 1)}); err != nil {
		t.Fatal(err)
	}
	e.again()
	if same, err := e.BeginInspection(t.Context(), officer, p.ID); err != nil || same.ID != i.ID || same.Left() != 1 {
		t.Fatalf("another one was begun: %+v, %v", same, err)
	}
	if _, err := e.AnswerItem(t.Context(), head, i.ID, 1, rules.Answer{Result: rules.Good}); err == nil {
		t.Error("another person answered")
	}
	if _, err := e.AnswerItem(t.Context(), officer, i.ID, 1, rules.Answer{Result: rules.Good}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.SubmitInspection(t.Context(), officer, i.ID); err != nil {
		t.Fatal(err)
	}
	e.again()
	found := e.Findings()
	if len(found) != 1 || found[0].ID != i.ID+".1" || !found[0].Private {
		t.Fatalf("%+v", found)
	}
	step := func(by account.Who, ev rules.FindingEvent) error {
		_, rev, err := e.Finding(found[0].ID)
		if err != nil {
			return err
		}
		_, err = e.StepFinding(t.Context(), by, found[0].ID, rev, ev)
		return err
	}
	if err := step(who("p-else", account.RoleStaff), rules.FindingEvent{Kind: rules.StepMend, Text: "x"}); !refused(err) {
		t.Errorf("not its owner: %v", err)
	}
	for _, s := range []struct {
		by account.Who
		ev rules.FindingEvent
	}{
		{teacher, rules.FindingEvent{Kind: rules.StepMend, Text: "turned"}},
		{head, rules.FindingEvent{Kind: rules.StepPolice, Police: &rules.Police{At: began, To: "police station", Receipt: "17"}}},
		{head, rules.FindingEvent{Kind: rules.StepPass, Text: "seen"}},
	} {
		if err := step(s.by, s.ev); err != nil {
			t.Fatal(err)
		}
	}
	due := e.Plans()
	if len(due) != 1 || due[0].Last == nil || !due[0].Due.Equal(began.AddDate(0, 0, 7)) {
		t.Errorf("%+v", due)
	}
}

// Covers F19, M21: a second version replaces the first on its day, in one step.
func TestAVersionReplacesTheOneBefore(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	name := ""
	for version := 1; version <= 2; version++ {
		r, err := e.DraftRegulation(t.Context(), officer, rules.Regulation{Name: name, Title: "rules of use", Text: "1. …", Changes: "shorter"}, 0)
		if err != nil {
			t.Fatal(err)
		}
		name = r.Name
		if _, err := e.DraftRegulation(t.Context(), officer, rules.Regulation{Name: name, Title: "another", Text: "x", Changes: "y"}, 0); err == nil {
			t.Error("two versions open at once")
		}
		for _, ev := range []rules.RegulationEvent{{Kind: rules.StepReview}, {Kind: rules.StepAnnounce}} {
			_, rev, err := e.Regulation(r.ID)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := e.StepRegulation(t.Context(), head, r.ID, rev, ev); err != nil {
				t.Fatal(err)
			}
		}
		if err := e.ReadRegulation(t.Context(), teacher, r.ID); err != nil {
			t.Fatal(err)
		}
		e.again()
		e.pass(8 * 24 * time.Hour)
	}
	list := e.Regulations()
	if len(list) != 2 || list[0].State != rules.Effective || list[1].State != rules.Replaced || len(list[0].Readers) != 1 {
		t.Errorf("%+v", list)
	}
}

// Covers F17, L1: units are asked and answered; a filing keeps the devices as they were.
func TestFeedbackAndFiling(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	q, err := e.Ask(t.Context(), officer, rules.Feedback{Title: "use", Question: "did it help?", Due: began.AddDate(0, 0, 7), Units: map[string]rules.Reply{"canteen": {}, "library": {}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Reply(t.Context(), teacher, q.ID, "library", "yes"); !refused(err) {
		t.Errorf("spoke for another unit: %v", err)
	}
	if err := e.Reply(t.Context(), teacher, q.ID, "canteen", "yes"); err != nil {
		t.Fatal(err)
	}
	if err := e.AnswerUnit(t.Context(), officer, q.ID, "canteen", "thanks"); err != nil {
		t.Fatal(err)
	}
	f, err := e.File(t.Context(), officer, rules.Filing{At: began.AddDate(0, 0, -1), To: "county police", Receipt: "2026-3", Devices: []rules.Device{{Camera: "c01", Place: "gate", Days: 30}}})
	if err != nil {
		t.Fatal(err)
	}
	e.again()
	if got, _, err := e.Question(q.ID); err != nil || got.Units["canteen"].Answer != "thanks" || len(got.Missing()) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if list := e.Filings(); len(list) != 1 || list[0].ID != f.ID || len(list[0].Devices) != 1 {
		t.Errorf("%+v", list)
	}
}
