package people_test

import (
	"errors"
	"slices"
	"testing"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/shared/account"
	"campuskeep/shared/student"
)

// A roster that is imported again changes what differs: fields, class from a date, guardians; it adds who is new, clears
// an empty cell and leaves what has no column. Covers S14.
func TestRosterUpdate(t *testing.T) {
	h := newEnv(t)
	h.classes()
	known := girl("陆可遥", 1)
	known.Address, known.Guardians[0].Withheld = "青榆路 1 号", []student.Topic{student.TopicHealth}
	known.Guardians = append(known.Guardians, student.Guardian{Name: "示例父亲", Relation: student.Father, Phone: "19900000002"}, student.Guardian{Name: "示例祖母", Relation: student.Grandparent, Phone: "19900000003"})
	ids, err := h.AddStudents(t.Context(), account.System, []people.NewStudent{{Student: known, Class: classA.ID, From: "2025-09-01"}, {Student: girl("程小满", 3), Class: classA.ID, From: "2025-09-01"}})
	h.must(err)
	head := []any{"姓名", "性别", "出生日期", "身份证件号", "班级", "联系电话", "监护人1姓名", "监护人1关系", "监护人1电话", "监护人2姓名", "监护人2关系", "监护人2电话"}
	rows := [][]any{head,
		{"陆可遥", "女", "2017-09-14", known.IDNumber, "三年级2班", "13900000001", "示例母亲", "母亲", "19900000009", "", "", ""},
		{"程小满", "女", "2017-09-14", idNumber("2017-09-14", 6), "三年级1班", "", "示例母亲", "母亲", "19900000001", "", "", ""},
		{"安知予", "女", "2017-09-14", idNumber("2017-09-14", 8), "三年级1班", "", "", "", "", "", "", ""}}
	v, err := h.ReadRoster(sheet(t, rows...))
	h.must(err)
	if len(v.Faults) > 0 || len(v.Updates) != 2 || len(v.Rows) != 1 || !v.Updates[0].Changed() || v.Updates[1].Changed() {
		t.Fatalf("preview %+v", v)
	}
	if what := v.Updates[0].What; !slices.Equal(what, []string{"phone", "guardians"}) || v.Updates[0].To != classB.ID {
		t.Errorf("differences %v to %s", what, v.Updates[0].To)
	}
	size := h.store.Size()
	stale, err := h.ReadRoster(sheet(t, rows...))
	h.must(err)
	added, err := h.ImportRoster(t.Context(), account.System, v, "2026-05-21")
	h.must(err)
	s, _ := h.Pupil(ids[0], "2026-05-21")
	if len(added) != 1 || s.Class != classB.ID || s.Address != "青榆路 1 号" || s.Phone != "13900000001" {
		t.Errorf("after the import: %+v", s)
	}
	if g := s.Guardians; len(g) != 2 || g[0].Phone != "19900000009" || g[0].MayKnow(student.TopicHealth) || g[1].Name != "示例祖母" {
		t.Errorf("guardians %+v", g)
	}
	if h.ClassOf(ids[0], "2026-05-20") != classA.ID || h.store.Size() == size {
		t.Error("the move counts before its date")
	}
	size = h.store.Size()
	if _, err := h.ImportRoster(t.Context(), account.System, stale, "2026-05-22"); err == nil || h.store.Size() != size {
		t.Errorf("a preview of before somebody else's change: %v", err)
	}

	// A pupil in two classes on one day is refused, and so is an id that nobody has.
	for rule, bad := range map[string][][]any{
		"err.roster_twice":  {append(slices.Clone(head), "学生编号"), {"程小满", "女", "2017-09-14", idNumber("2017-09-14", 6), "三年级1班", "", "", "", "", "", "", "", ""}, {"程小满", "女", "2017-09-14", idNumber("2017-09-14", 6), "三年级2班", "", "", "", "", "", "", "", ""}},
		"err.pupil_unknown": {append(slices.Clone(head), "学生编号"), {"程小满", "女", "2017-09-14", idNumber("2017-09-14", 6), "三年级1班", "", "", "", "", "", "", "", "s9999"}},
	} {
		v, err := h.ReadRoster(sheet(t, bad...))
		h.must(err)
		if len(v.Faults) != 1 || v.Faults[0].Errors[0].Rule != rule {
			t.Errorf("want %s: %+v", rule, v.Faults)
		}
	}
}

// What is exported is read back without a difference, rare characters and 29 February included.
func TestARosterGoesOutAndComesBack(t *testing.T) {
	h := newEnv(t)
	h.classes()
	s := student.Student{Name: "阿依·𠮷", Sex: student.SexUnstated, Birth: "2016-02-29", IDKind: student.IDNone, Ethnicity: "05", Address: "青榆路",
		Guardians: []student.Guardian{{Name: "买买提", Relation: student.OtherKin, Phone: "0871-65551234", Workplace: "青榆路市场"}}}
	ids, err := h.AddStudents(t.Context(), account.System, []people.NewStudent{{Student: s, Class: classA.ID, From: "2025-09-01"}})
	h.must(err)
	was, _ := h.Student(ids[0])
	row := func(cells []string) (out []any) {
		for _, c := range cells {
			out = append(out, c)
		}
		return out
	}
	v, err := h.ReadRoster(sheet(t, row(student.RosterHead()), row(student.RosterCells(was, "三年级1班"))))
	h.must(err)
	if len(v.Faults)+len(v.Rows)+len(v.Asks) > 0 || len(v.Updates) != 1 || v.Updates[0].Changed() {
		t.Errorf("%+v", v)
	}
}

// Classes and cards of a spreadsheet are stored whole or not at all.
func TestClassesAndCardsTogether(t *testing.T) {
	h := newEnv(t)
	h.classes()
	ids, err := h.AddStudents(t.Context(), account.System, []people.NewStudent{{Student: girl("甲", 1), Class: classA.ID, From: "2025-09-01"}, {Student: girl("乙", 2), Class: classA.ID, From: "2025-09-01"}})
	h.must(err)
	size := h.store.Size()
	if err := h.AssignCards(t.Context(), account.System, []people.CardPut{{ids[0], card(t, "01020304")}, {ids[1], card(t, "01020304")}}); fieldOf(err) != "card:err.card_taken" || h.store.Size() != size {
		t.Errorf("one card for two: %v", err)
	}
	h.must(h.AssignCards(t.Context(), account.System, []people.CardPut{{ids[0], card(t, "01020304")}, {ids[1], card(t, "01020305")}}))
	c := classA
	c.Years = 5
	if err := h.PutClasses(t.Context(), account.System, []people.ClassPut{{Class: student.NewClass(student.Primary, 2024, 1)}, {Class: c}}); !errors.Is(err, ledgerdb.ErrConflict) {
		t.Errorf("a class of before: %v", err)
	}
	if _, ok := h.Class("2024-01"); ok {
		t.Error("half of it is stored")
	}
	h.restart()
	if len(h.CardsOf(ids[1])) != 1 {
		t.Error("the cards are gone")
	}
}
