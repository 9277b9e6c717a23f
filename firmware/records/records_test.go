package records

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/ledgerdb/ledgerdbtest"
	"campuskeep/firmware/people"
	"campuskeep/firmware/sealedfiles"
	"campuskeep/shared/account"
	"campuskeep/shared/clock/clocktest"
	"campuskeep/shared/ledger"
	"campuskeep/shared/login"
	rules "campuskeep/shared/records"
	"campuskeep/shared/student"
)

var monday = time.Date(2026, 11, 30, 4, 0, 0, 0, time.UTC)

type env struct {
	*Records
	t      testing.TB
	dir    string
	clock  *clocktest.Clock
	db     *ledgerdbtest.Store
	people *people.People
	pupils []string
	staff  map[account.Role]string
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newEnv(t testing.TB) *env {
	t.Helper()
	e := &env{t: t, dir: t.TempDir(), clock: clocktest.At(monday), staff: map[account.Role]string{}}
	e.open()
	ctx := context.Background()
	for i, r := range []account.Role{account.RoleDoctor, account.RoleCounsellor, account.RoleHeadOfSafety, account.RoleLeader, account.RoleClassTeacher, account.RoleStaff} {
		p, _, err := e.people.AddPerson(ctx, account.System, people.Person{Login: "u" + strings.ReplaceAll(string(r), "_", ""), Name: "程砚", StaffNo: fmt.Sprintf("2020-%03d", i+1), Unit: "学校", Phone: "13800000000", Roles: []account.Role{r}}, "the password of the first day")
		must(t, err)
		e.staff[r] = p.ID
		if r != account.RoleStaff {
			must(t, e.PutAgreement(ctx, account.System, rules.Agreement{Person: p.ID, Signed: "2026-09-01", Trained: "2026-09-01", Until: "2027-08-31"}, nil))
		}
	}
	c := student.NewClass(student.Primary, 2024, 1)
	c.Teachers = []student.Teaching{{Person: e.staff[account.RoleClassTeacher], Duty: student.DutyHead, From: "2024-09-01"}}
	must(t, e.people.PutClass(ctx, account.System, c))
	ids, err := e.people.AddStudents(ctx, account.System, []people.NewStudent{
		{Student: student.Student{Name: "陆可遥", Sex: student.SexFemale, Birth: "2018-03-06"}, Class: c.ID, From: "2024-09-01"},
		{Student: student.Student{Name: "安知予", Sex: student.SexMale, Birth: "2018-03-07"}, Class: c.ID, From: "2024-09-01"}})
	must(t, err)
	e.pupils = ids
	return e
}

func (e *env) open() {
	e.t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	must(e.t, err)
	e.db = ledgerdbtest.Open(e.t, e.dir, e.clock)
	e.people, err = people.Open(context.Background(), people.Options{Store: e.db.Store, Data: e.db.Data, Clock: e.clock, Zone: zone, Cost: login.Params{Memory: 64, Time: 1, Threads: 1}})
	must(e.t, err)
	files, err := sealedfiles.Open(sealedfiles.Options{Store: e.db.Store, Data: e.db.Data, Keys: e.db.People, Clock: e.clock})
	must(e.t, err)
	e.Records, err = Open(Options{Store: e.db.Store, Files: files, Keys: e.db.People, People: e.people, Clock: e.clock, Zone: zone})
	must(e.t, err)
}

func (e *env) as(r account.Role) account.Who {
	who := account.Who{Actor: account.Actor{ID: e.staff[r], Roles: []account.Role{r}, SecondFactor: true}, Via: ledger.ViaWeb}
	if r == account.RoleClassTeacher {
		who.Classes = []string{"2024-01"}
	}
	return who
}

func (e *env) count(k ledger.Kind) int {
	e.t.Helper()
	n, err := e.db.Tally(context.Background(), ledgerdb.Query{Kinds: []ledger.Kind{k}})
	must(e.t, err)
	return n[k]
}

func care(pupil string) Draft {
	return Draft{Record: rules.Record{Student: pupil, Kind: rules.KindCare, Happened: "2026-11-29", Source: "seen", Values: map[string]string{"do": "坐直"}}}
}

// Whatever people write, correct and read in any order: versions never change or vanish, also over a start; what the
// permission table refuses is not read; every sensitive reading has its entry. Covers S13, S17.
func TestRecordsAgainstAModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		e := newEnv(t)
		defer e.db.Stop()
		ctx := context.Background()
		model := map[string][]rules.Record{} // by id
		purposes := map[rules.Section]string{rules.Health: "treatment", rules.Family: "visit", rules.Psychological: "crisis"}
		write := map[rules.Section][]account.Role{rules.Basic: {account.RoleClassTeacher, account.RoleHeadOfSafety}, rules.Health: {account.RoleDoctor}, rules.Family: {account.RoleClassTeacher, account.RoleHeadOfSafety},
			rules.Conduct: {account.RoleDoctor, account.RoleCounsellor, account.RoleClassTeacher, account.RoleHeadOfSafety}, rules.Special: {account.RoleClassTeacher, account.RoleDoctor, account.RoleHeadOfSafety}, rules.Psychological: {account.RoleCounsellor}}
		read := map[rules.Section][]account.Role{rules.Basic: {account.RoleClassTeacher, account.RoleDoctor, account.RoleHeadOfSafety, account.RoleLeader}, rules.Health: {account.RoleDoctor, account.RoleHeadOfSafety},
			rules.Family: {account.RoleClassTeacher, account.RoleHeadOfSafety}, rules.Conduct: {account.RoleClassTeacher, account.RoleCounsellor, account.RoleHeadOfSafety, account.RoleLeader},
			rules.Special: {account.RoleClassTeacher, account.RoleDoctor, account.RoleCounsellor, account.RoleHeadOfSafety, account.RoleLeader}, rules.Psychological: {account.RoleCounsellor, account.RoleHeadOfSafety}}
		roles := []account.Role{account.RoleDoctor, account.RoleCounsellor, account.RoleHeadOfSafety, account.RoleLeader, account.RoleClassTeacher, account.RoleStaff}
		kinds := []string{"note", "care", "household", "praise", "event", "observation"}
		values := map[string]map[string]string{"note": {"subject": "乘车", "text": "x"}, "care": {"do": "x"}, "household": {"subject": "接送", "text": "x"}, "praise": {"text": "x"}, "event": {"sort": "drill", "text": "x"}, "observation": {"text": "x"}}
		field := map[string]string{"care": "do"}
		sensitive := 0
		for i := range rapid.IntRange(1, 15).Draw(rt, "acts") {
			role := rapid.SampledFrom(roles).Draw(rt, "role")
			pupil := rapid.SampledFrom(e.pupils).Draw(rt, "pupil")
			kind := rapid.SampledFrom(kinds).Draw(rt, "kind")
			k, _ := rules.KindOf(kind)
			switch rapid.SampledFrom([]string{"write", "correct", "read", "start"}).Draw(rt, "act") {
			case "write":
				v, err := e.Write(ctx, e.as(role), Draft{Record: rules.Record{Student: pupil, Kind: kind, Happened: "2026-11-29", Source: "seen", Values: values[kind]}})
				if (err == nil) != slices.Contains(write[k.Section], role) {
					rt.Fatalf("%s writes %s: %v", role, kind, err)
				}
				if err == nil {
					model[v.ID] = []rules.Record{v}
				}
			case "correct":
				for id, list := range model {
					old := list[len(list)-1]
					next := rules.Record{Happened: old.Happened, Source: old.Source, Reason: "更正", Values: map[string]string{}}
					for n, x := range old.Values {
						next.Values[n] = x
					}
					name := "text"
					if f, ok := field[old.Kind]; ok {
						name = f
					}
					next.Values[name] = fmt.Sprint("y", i)
					v, err := e.Correct(ctx, e.as(role), Correction{ID: id, Seen: old.Version, Record: next})
					if (err == nil) != slices.Contains(write[old.Section()], role) {
						rt.Fatalf("%s corrects %s: %v", role, old.Kind, err)
					}
					if err == nil {
						model[id] = append(list, v)
						if _, err := e.Correct(ctx, e.as(role), Correction{ID: id, Seen: old.Version, Record: next}); !errors.Is(err, ledgerdb.ErrConflict) {
							rt.Fatalf("an old version was corrected again: %v", err)
						}
					}
					break
				}
			case "read":
				got, err := e.Read(ctx, e.as(role), pupil, k.Section, rules.Purpose{Code: purposes[k.Section]})
				if (err == nil) != slices.Contains(read[k.Section], role) {
					rt.Fatalf("%s reads %s: %v", role, k.Section, err)
				}
				if err != nil {
					continue
				}
				if k.Section.Sensitive() {
					sensitive++
				}
				n := 0
				for _, list := range model {
					if list[0].Student == pupil && list[0].Section() == k.Section {
						n++
					}
				}
				if len(got) != n {
					rt.Fatalf("%d records of %s, want %d", len(got), k.Section, n)
				}
				for _, h := range got {
					list := model[h.Current.ID]
					if len(h.Before)+1 != len(list) || h.Current.Version != len(list) || h.Current.Values["text"] != list[len(list)-1].Values["text"] {
						rt.Fatalf("record %s is not what was written", h.Current.ID)
					}
				}
			case "start":
				e.db.Stop()
				e.open()
			}
		}
		if n := e.count("record.read"); n < sensitive {
			rt.Fatalf("%d sensitive readings, %d entries", sensitive, n)
		}
		if n := e.count("record.written"); n != func() (n int) {
			for _, l := range model {
				n += len(l)
			}
			return n
		}() {
			rt.Fatalf("%d entries of versions", n)
		}
	})
}

// A log that cannot be written gives nothing out.
func TestNoEntryNoRecord(t *testing.T) {
	e := newEnv(t)
	_, err := e.Write(t.Context(), e.as(account.RoleDoctor), care(e.pupils[0]))
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := e.Read(ctx, e.as(account.RoleDoctor), e.pupils[0], rules.Health, rules.Purpose{Code: "treatment"}); err == nil || got != nil {
		t.Fatal("a section was read without its entry")
	}
}

// After a pupil has left and the years are over, one proposes and another confirms; key, files and concerns are gone, also
// when a backup brings the key back, and nothing can be written there again. Covers S20.
func TestARecordEndsWithItsKey(t *testing.T) {
	e := newEnv(t)
	ctx, pupil := t.Context(), e.pupils[0]
	d := care(pupil)
	d.Uploads = []io.Reader{strings.NewReader("%PDF-1.7 诊断证明")}
	_, err := e.Write(ctx, e.as(account.RoleDoctor), d)
	must(t, err)
	must(t, e.people.MoveStudent(ctx, account.System, pupil, "", "2026-11-30", student.LeftSchool))
	key, _ := e.db.People.Key(rules.Owner(pupil, rules.Health))
	if err := e.ProposeErasure(ctx, e.as(account.RoleHeadOfSafety), pupil, rules.Health); err == nil {
		t.Fatal("an erasure before its time")
	}
	e.clock.Pass(4 * 366 * 24 * time.Hour)
	must(t, e.ProposeErasure(ctx, e.as(account.RoleHeadOfSafety), pupil, rules.Health))
	if err := e.ConfirmErasure(ctx, e.as(account.RoleHeadOfSafety), pupil, rules.Health); err == nil {
		t.Fatal("one person alone erases a record")
	}
	must(t, e.ConfirmErasure(ctx, e.as(account.RoleLeader), pupil, rules.Health))
	gone := func() {
		t.Helper()
		if _, ok := e.db.People.Key(rules.Owner(pupil, rules.Health)); ok {
			t.Error("the key is there")
		}
		if list, err := os.ReadDir(filepath.Join(e.dir, "files")); err != nil || len(list) > 0 {
			t.Error("a file is there: ", list, err)
		}
		if n := e.Care(pupil); len(n) > 0 || e.Counts(pupil)[rules.Health] != 0 {
			t.Error("something of it is shown")
		}
		got, err := e.Read(ctx, account.System, pupil, rules.Health, rules.Purpose{Code: "treatment"})
		if err != nil || len(got) > 0 {
			t.Error(got, err)
		}
	}
	gone()
	if _, err := e.Write(ctx, e.as(account.RoleDoctor), care(pupil)); err == nil {
		t.Error("an erased section is written again")
	}
	seq, err := e.ErasedEntry(ctx, pupil, rules.Health)
	must(t, err)
	if entry, err := e.db.Entry(seq); err != nil || entry.Kind != "record.erased" {
		t.Error("no entry certifies it: ", err)
	}
	must(t, e.db.People.Adopt(ctx, map[string][32]byte{rules.Owner(pupil, rules.Health): key})) // a backup of the keys is restored
	e.db.Stop()
	e.open()
	must(t, e.Run(ctx))
	gone()
}

// Covers S20: a section is kept longer with a reason, and is then not on the list.
func TestKeptLonger(t *testing.T) {
	e := newEnv(t)
	ctx, pupil := t.Context(), e.pupils[0]
	_, err := e.Write(ctx, e.as(account.RoleDoctor), care(pupil))
	must(t, err)
	must(t, e.people.MoveStudent(ctx, account.System, pupil, "", "2026-11-30", student.LeftSchool))
	e.clock.Pass(4 * 366 * 24 * time.Hour)
	if list := e.Leavers(); len(list) != 1 || !list[0].Due {
		t.Fatal(list)
	}
	if err := e.KeepLonger(ctx, e.as(account.RoleHeadOfSafety), rules.Extension{Student: pupil, Section: rules.Health, Until: "2040-01-01"}); err == nil {
		t.Fatal("kept longer without a reason")
	}
	must(t, e.KeepLonger(ctx, e.as(account.RoleHeadOfSafety), rules.Extension{Student: pupil, Section: rules.Health, Until: "2040-01-01", Reason: "重大事故，诉讼未结"}))
	if list := e.Leavers(); len(list) != 1 || list[0].Due || list[0].Until != "2040-01-01" {
		t.Fatal(list)
	}
}

// Nothing of a record can be read on the disk. Covers S37.
func TestNothingLiesInClear(t *testing.T) {
	e := newEnv(t)
	d := Draft{Record: rules.Record{Student: e.pupils[0], Kind: "illness", Happened: "2026-11-29", Source: "seen", Values: map[string]string{"sort": "injury", "place": "操场东侧看台", "course": "从看台跌落", "done": "冰敷包扎", "sent": "hospital"}},
		Owner: e.staff[account.RoleDoctor], Situations: []string{"4"}, Uploads: []io.Reader{bytes.NewReader([]byte("%PDF-1.7 骨折"))}}
	_, err := e.Write(t.Context(), e.as(account.RoleDoctor), d)
	must(t, err)
	_, err = e.BreakGlass(t.Context(), e.as(account.RoleStaff), e.pupils[0], "学生昏倒在楼梯口")
	must(t, err)
	e.db.Stop()
	must(t, filepath.WalkDir(e.dir, func(path string, x fs.DirEntry, err error) error {
		if err != nil || x.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, w := range []string{"陆可遥", "看台跌落", "操场东侧看台", "冰敷", "骨折", "昏倒", "程砚"} {
			if bytes.Contains(b, []byte(w)) {
				t.Errorf("%s holds %q in clear", path, w)
			}
		}
		return err
	}))
}
