package people_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"campuskeep/firmware/people"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/student"
)

func idNumber(birth string, serial int) string {
	first := fmt.Sprintf("419999%s%03d", strings.ReplaceAll(birth, "-", ""), serial)
	return first + string(student.IDCheckDigit(first))
}

func girl(name string, serial int) student.Student {
	return student.Student{Name: name, Sex: student.SexFemale, Birth: "2017-09-14", Ethnicity: "01", IDKind: student.IDResident,
		IDNumber: idNumber("2017-09-14", 2*serial), Guardians: []student.Guardian{{Name: "示例母亲", Relation: student.Mother, Phone: "19900000001"}}}
}

func card(t *testing.T, uid string) attendance.Card {
	t.Helper()
	c, err := attendance.ParseCard(uid)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var classA, classB = student.NewClass(student.Primary, 2023, 1), student.NewClass(student.Primary, 2023, 2)

func (h *env) classes() {
	h.t.Helper()
	h.must(h.PutClass(h.t.Context(), account.System, classA))
	h.must(h.PutClass(h.t.Context(), account.System, classB))
}

// Covers S3, S5, S14, S37: pupils are registered, found, and stand nowhere readable.
func TestPupils(t *testing.T) {
	h := newEnv(t)
	h.classes()
	before := h.store.Size()
	ids, err := h.AddStudents(t.Context(), account.System, []people.NewStudent{
		{Student: girl("陆可遥", 1), Class: classA.ID, From: "2025-09-01", Cards: []attendance.Card{card(t, "04A2B3C4")}},
		{Student: girl("程小满", 2), Class: classA.ID, From: "2025-09-01"},
		{Student: student.Student{Name: "外校队员", Sex: student.SexMale, Birth: "2012-01-01", Outside: true}},
	})
	h.must(err)
	if !slices.Equal(ids, []string{"s0001", "s0002", "s0003"}) {
		t.Errorf("ids %v", ids)
	}
	if k := h.kinds(before); !slices.Equal(k, []ledger.Kind{"student.created", "student.created", "student.created", "import"}) {
		t.Errorf("entries %v", k)
	}
	changed := girl("陆可遥", 1)
	changed.ID, changed.Address = "s0001", "青榆路 18 号"
	h.must(h.ChangeStudent(t.Context(), account.System, changed, 0))
	for range 2 {
		if s := h.FindStudents("可遥", 5); len(s) != 1 || s[0].ID != "s0001" || s[0].Address == "" || s[0].Guardians[0].Phone != "19900000001" {
			t.Errorf("found %+v", s)
		}
		if s, ok := h.Student("s0002"); !ok || s.Name != "程小满" || h.Name("s0002") != "程小满" {
			t.Errorf("student %+v", s)
		}
		if len(h.FindStudents("", 5)) != 0 || len(h.FindStudents("s000", 2)) != 2 || h.Students() != 3 {
			t.Error("search")
		}
		if id, class, ok := h.ByCard(card(t, "04A2B3C4").Hash(h.CardKey())); !ok || id != "s0001" || class != classA.ID {
			t.Errorf("by card: %s %s %v", id, class, ok)
		}
		h.restart()
	}
	for _, text := range []string{"陆可遥", "程小满", "示例母亲", changed.IDNumber, "19900000001", "04A2B3C4", "\x04\xa2\xb3\xc4"} {
		if h.onDisk(text) {
			t.Errorf("%q stands readable in the data directory", text)
		}
	}
	h.must(h.ring.Erase("student:s0002"))
	h.restart()
	if _, ok := h.Student("s0002"); ok || h.Name("s0002") != "s0002" {
		t.Error("an erased pupil is still known")
	}
	ids, err = h.AddStudents(t.Context(), account.System, []people.NewStudent{{Student: girl("新生", 9), Class: classB.ID, From: "2026-05-20"}})
	if h.must(err); ids[0] != "s0004" {
		t.Errorf("the next id is %s", ids[0])
	}
}

func TestPupilsAreAddedAllOrNone(t *testing.T) {
	h := newEnv(t)
	h.classes()
	good := people.NewStudent{Student: girl("甲", 1), Class: classA.ID, From: "2025-09-01", Cards: []attendance.Card{card(t, "01020304")}}
	before := h.store.Size()
	for want, spoil := range map[string]func(*people.NewStudent){
		"1.name:err.required":       func(n *people.NewStudent) { n.Name = "" },
		"1.class:err.required":      func(n *people.NewStudent) { n.Class = "" },
		"1.class:err.class_unknown": func(n *people.NewStudent) { n.Class = "2019-01" },
		"1.from:err.date":           func(n *people.NewStudent) { n.From = "heute" },
		"1.id_number:err.id_known":  func(n *people.NewStudent) { n.Student = good.Student },
		"1.card:err.card_taken":     func(n *people.NewStudent) { n.Cards = good.Cards },
	} {
		bad := people.NewStudent{Student: girl("乙", 2), Class: classA.ID, From: "2025-09-01"}
		spoil(&bad)
		if _, err := h.AddStudents(t.Context(), account.System, []people.NewStudent{good, bad}); fieldOf(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if h.Students() != 0 || h.store.Size() != before {
		t.Error("a refused list left something behind")
	}
	teacher := account.Who{Actor: account.Actor{ID: "p001", Roles: []account.Role{account.RoleClassTeacher}}}
	if _, err := h.AddStudents(t.Context(), teacher, []people.NewStudent{good}); err == nil {
		t.Error("a class teacher registered a pupil")
	}
}

// Covers S22, S36: a teacher's scope follows dated enrolment and charge, and ends on the day.
func TestClassScopeEndsOnTheDay(t *testing.T) {
	h := newEnv(t)
	n := h.person("luo", account.RoleClassTeacher)
	a := classA
	a.Teachers = []student.Teaching{{Person: n.ID, Duty: student.DutyHead, From: "2025-09-01", To: "2026-05-21"}}
	h.must(h.PutClass(t.Context(), account.System, a))
	h.must(h.PutClass(t.Context(), account.System, classB))
	ids, err := h.AddStudents(t.Context(), account.System, []people.NewStudent{{Student: girl("甲", 1), Class: a.ID, From: "2025-09-01", Cards: []attendance.Card{card(t, "01020304")}}})
	h.must(err)
	s := h.in("luo")
	if !slices.Equal(s.Actor.Classes, []string{a.ID}) || len(h.Roster(a.ID, "2026-05-20")) != 1 {
		t.Errorf("classes %v", s.Actor.Classes)
	}
	for _, c := range []struct{ class, date, want string }{
		{a.ID, "2026-05-20", "class:err.class_same"}, {"2019-01", "2026-05-20", "class:err.class_unknown"},
		{classB.ID, "2025-09-01", "date:err.date_before_enrolment"}, {classB.ID, "x", "date:err.date"},
	} {
		if err := h.MoveStudent(t.Context(), account.System, ids[0], c.class, c.date, student.LeftMoved); fieldOf(err) != c.want {
			t.Errorf("move to %s on %s: %v, want %s", c.class, c.date, err, c.want)
		}
	}
	h.must(h.MoveStudent(t.Context(), account.System, ids[0], classB.ID, "2026-05-20", student.LeftMoved))
	for range 2 {
		if h.ClassOf(ids[0], "2026-05-19") != a.ID || h.ClassOf(ids[0], "2026-05-20") != classB.ID ||
			len(h.Roster(a.ID, "2026-05-20")) != 0 || len(h.Roster(a.ID, "2026-05-19")) != 1 {
			t.Error("class scope after the move")
		}
		h.restart()
	}
	h.clock.Pass(24 * time.Hour)
	s = h.in("luo")
	if len(s.Actor.Classes) != 0 {
		t.Errorf("the charge ended, the scope is still %v", s.Actor.Classes)
	}
	h.must(h.MoveStudent(t.Context(), account.System, ids[0], "", "2026-05-21", student.LeftSchool))
	if _, _, ok := h.ByCard(card(t, "01020304").Hash(h.CardKey())); ok || h.ClassOf(ids[0], "2026-05-21") != "" {
		t.Error("somebody who left still has a card or a class")
	}
	if err := h.AssignCard(t.Context(), account.System, card(t, "05060708"), "s9999"); !errors.Is(err, people.ErrNotFound) {
		t.Errorf("card for nobody: %v", err)
	}
	b := a
	b.Teachers = append(slices.Clone(a.Teachers), student.Teaching{Person: n.ID, Duty: student.DutyHead, From: "2026-05-01"})
	if err := h.PutClass(t.Context(), account.System, b); fieldOf(err) != "teachers:err.two_heads" {
		t.Errorf("two class teachers at once: %v", err)
	}
}

func TestLostCard(t *testing.T) {
	h := newEnv(t)
	h.classes()
	ids, err := h.AddStudents(t.Context(), account.System, []people.NewStudent{
		{Student: girl("甲", 1), Class: classA.ID, From: "2025-09-01", Cards: []attendance.Card{card(t, "01020304")}},
		{Student: girl("乙", 2), Class: classA.ID, From: "2025-09-01"}})
	h.must(err)
	if err := h.AssignCard(t.Context(), account.System, card(t, "01020304"), ids[1]); fieldOf(err) != "card:err.card_taken" {
		t.Errorf("somebody else's card: %v", err)
	}
	h.must(h.ChangeCard(t.Context(), account.System, ids[0], h.CardsOf(ids[0])[0].ID, people.CardEnded))
	h.must(h.AssignCard(t.Context(), account.System, card(t, "01020304"), ids[1]))
	h.restart()
	if id, _, _ := h.ByCard(card(t, "01020304").Hash(h.CardKey())); id != ids[1] {
		t.Errorf("the card belongs to %s", id)
	}
}

func sheet(t *testing.T, rows ...[]any) *bytes.Reader {
	t.Helper()
	f := excelize.NewFile()
	for i, r := range rows {
		if err := f.SetSheetRow("Sheet1", fmt.Sprintf("A%d", i+1), &r); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := f.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b.Bytes())
}

// Covers S14: a roster with bad rows is shown with its faults and not stored; a good one is stored whole.
func TestRosterImport(t *testing.T) {
	h := newEnv(t)
	head := []any{"姓名", "性别", "出生日期", "身份证件号", "班级", "卡号"}
	good := []any{"陆可遥", "女", "2017-09-14", idNumber("2017-09-14", 2), "三年级1班", "04A2B3C4"}
	v, err := h.ReadRoster(sheet(t, head, good,
		[]any{"程小满", "女", time.Date(2017, 9, 14, 0, 0, 0, 0, time.UTC), 419999201709140040.0, "三年级1班"},
		[]any{"方青禾", "女", "2017-09-14", idNumber("2017-09-14", 6), "三年级1班", "xyz"}))
	h.must(err)
	if len(v.Rows) != 1 || len(v.Faults) != 2 || v.Faults[0].Line != 3 || v.Faults[0].Errors[0].Rule != "err.spreadsheet_number" ||
		len(v.Faults[0].Errors) != 1 || v.Faults[1].Errors[0].Rule != "err.card" {
		t.Errorf("preview %+v", v)
	}
	before := h.store.Size()
	if _, err := h.ImportRoster(t.Context(), account.System, v, "2025-09-01"); fieldOf(err) != "file:err.roster_faults" || h.store.Size() != before {
		t.Errorf("import with faults: %v", err)
	}
	v, err = h.ReadRoster(sheet(t, head, good))
	h.must(err)
	ids, err := h.ImportRoster(t.Context(), account.System, v, "2025-09-01")
	h.must(err)
	if id, class, ok := h.ByCard(card(t, "04A2B3C4").Hash(h.CardKey())); !ok || id != ids[0] || class != "2023-01" {
		t.Errorf("after import: %s in %s", id, class)
	}
	v, err = h.ReadRoster(sheet(t, head, good))
	if h.must(err); len(v.Faults) > 0 || len(v.Rows) > 0 || len(v.Updates) != 1 || v.Updates[0].Changed() {
		t.Errorf("the same roster again: %+v", v)
	}
	for rule, r := range map[string]io.Reader{
		"err.xls_old":  strings.NewReader("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 old"),
		"err.xlsx":     strings.NewReader("姓名,性别\n"),
		"err.file_big": bytes.NewReader(make([]byte, 6<<20)),
	} {
		if v, err := h.ReadRoster(r); err != nil || len(v.Faults) != 1 || v.Faults[0].Errors[0].Rule != rule {
			t.Errorf("%s: %+v, %v", rule, v, err)
		}
	}
}

// The template is a roster that reads without faults once its example is copied into the list.
func TestRosterTemplate(t *testing.T) {
	h := newEnv(t)
	var b bytes.Buffer
	h.must(h.WriteRosterTemplate(&b, ui.Chinese))
	if v, err := h.ReadRoster(bytes.NewReader(b.Bytes())); err != nil || len(v.Faults) != 1 || v.Faults[0].Errors[0].Rule != "err.roster_empty" {
		t.Errorf("the empty template: %+v, %v", v, err)
	}
	var head, example []any
	for _, c := range student.Columns {
		head, example = append(head, c.Title), append(example, c.Example)
	}
	if v, err := h.ReadRoster(sheet(t, head, example)); err != nil || len(v.Faults) != 0 || len(v.Rows) != 1 {
		t.Errorf("the example: %+v, %v", v, err)
	}
}

// A card is good as long as its holder is enrolled, a move that is still to come can be corrected or taken back, and
// the card of somebody who has left can be given to another.
func TestCardsEndWithTheEnrolment(t *testing.T) {
	h := newEnv(t)
	h.must(h.PutClass(t.Context(), account.System, classA))
	h.must(h.PutClass(t.Context(), account.System, classB))
	ids, err := h.AddStudents(t.Context(), account.System, []people.NewStudent{
		{Student: girl("甲", 1), Class: classA.ID, From: "2025-09-01", Cards: []attendance.Card{card(t, "01020304")}},
		{Student: girl("乙", 2), Class: classA.ID, From: "2025-09-01"}})
	h.must(err)
	known := func() bool { _, _, ok := h.ByCard(card(t, "01020304").Hash(h.CardKey())); return ok }
	move := func(class, date string) {
		h.must(h.MoveStudent(t.Context(), account.System, ids[0], class, date, student.LeftSchool))
	}
	move("", "2026-07-01")
	if !known() || h.ClassOf(ids[0], "2026-06-30") != classA.ID || h.ClassOf(ids[0], "2026-07-01") != "" {
		t.Error("leaving in July, the card is unknown in May")
	}
	move("", "2026-06-01")
	move(classB.ID, "2026-06-15") // no leaving, another class
	if !known() || h.ClassOf(ids[0], "2026-06-14") != classA.ID || h.ClassOf(ids[0], "2026-06-15") != classB.ID {
		t.Error("a planned move is not replaced")
	}
	move(classA.ID, "2026-06-15")
	for range 2 {
		if !known() || h.ClassOf(ids[0], "2026-06-15") != classA.ID || h.ClassOf(ids[0], "2027-01-01") != classA.ID {
			t.Error("a planned move is not taken back")
		}
		h.restart()
	}
	if err := h.AssignCard(t.Context(), account.System, card(t, "01020304"), ids[1]); fieldOf(err) != "card:err.card_taken" {
		t.Errorf("somebody's card: %v", err)
	}
	move("", "2026-05-21")
	h.clock.Pass(48 * time.Hour)
	if known() {
		t.Error("the card is good after its holder has left")
	}
	h.must(h.AssignCard(t.Context(), account.System, card(t, "01020304"), ids[1]))
	if id, _, _ := h.ByCard(card(t, "01020304").Hash(h.CardKey())); id != ids[1] {
		t.Errorf("the card of %s", id)
	}
}
