package people_test

import (
	"errors"
	"testing"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/shared/account"
	"campuskeep/shared/student"
)

// The turn of a year: one pupil is retained, one leaves, one goes into a split class, the sixth grade graduates, and a
// class gets a new teacher, in one act that can be taken back until it takes effect.
func TestTheTurnOfAYear(t *testing.T) {
	h := newEnv(t) // May 2026
	by := account.System
	sixth, below := student.NewClass(student.Primary, 2020, 1), student.NewClass(student.Primary, 2024, 1)
	for _, c := range []student.Class{classA, sixth, below} {
		h.must(h.PutClass(t.Context(), by, c))
	}
	var teachers []string
	for i, login := range []string{"luo", "gao"} {
		p, _, err := h.AddPerson(t.Context(), by, people.Person{Login: login, Name: "示例", StaffNo: string(rune('1' + i)), Unit: "年级组", Roles: []account.Role{account.RoleClassTeacher}}, "a sentence of the first day")
		h.must(err)
		teachers = append(teachers, p.ID)
	}
	withHead := classA
	withHead.Teachers = []student.Teaching{{Person: teachers[0], Duty: student.DutyHead, From: "2025-09-01"}}
	h.must(h.PutClass(t.Context(), by, withHead))
	var list []people.NewStudent
	for i := range 6 {
		class := classA.ID
		if i >= 4 {
			class = sixth.ID
		}
		list = append(list, people.NewStudent{Student: girl("甲", i+1), Class: class, From: "2025-09-01"})
	}
	ids, err := h.AddStudents(t.Context(), by, list)
	h.must(err)

	split := student.NewClass(student.Primary, 2023, 3)
	plan := people.YearTurn{Year: 2026, Classes: []student.Class{split}, Heads: map[string]string{classA.ID: teachers[1], split.ID: teachers[0]},
		Moves: []people.Move{{Student: ids[0], Class: below.ID}, {Student: ids[1]}, {Student: ids[2], Class: split.ID}}}
	twice := plan
	twice.Moves = append(twice.Moves[:2:2], people.Move{Student: ids[0], Class: split.ID})
	if err := h.SaveTurn(t.Context(), by, twice, 0); fieldOf(err) != "moves.2:err.turn_twice" {
		t.Errorf("a pupil in two classes: %v", err)
	}
	gone := plan
	gone.Moves = []people.Move{{Student: ids[0], Class: sixth.ID}}
	if err := h.SaveTurn(t.Context(), by, gone, 0); fieldOf(err) != "moves.0:err.class_gone" {
		t.Errorf("into a class that graduates: %v", err)
	}
	h.must(h.SaveTurn(t.Context(), by, plan, 0))
	if err := h.SaveTurn(t.Context(), by, plan, 0); !errors.Is(err, ledgerdb.ErrConflict) {
		t.Errorf("a plan of before: %v", err)
	}
	kept, _, err := h.Turn(2026)
	h.must(err)
	if v := h.PreviewTurn(kept); v.Graduates != 2 || v.Headless != 1 || len(v.Moves) != 3 {
		t.Errorf("preview %+v", v)
	}

	for range 2 {
		_, rev, err := h.Turn(2026)
		h.must(err)
		h.must(h.EnterTurn(t.Context(), by, 2026, rev))
		if err := h.EnterTurn(t.Context(), by, 2026, rev); err == nil {
			t.Error("entered twice")
		}
		h.restart()
		for id, want := range map[string]string{ids[0]: below.ID, ids[1]: "", ids[2]: split.ID, ids[3]: classA.ID, ids[4]: "", ids[5]: ""} {
			before := classA.ID
			if id == ids[4] || id == ids[5] {
				before = sixth.ID
			}
			if got := h.ClassOf(id, "2026-09-01"); got != want || h.ClassOf(id, "2026-08-31") != before {
				t.Errorf("%s is in %q in September, want %q; before in %q", id, got, want, h.ClassOf(id, "2026-08-31"))
			}
		}
		c, _ := h.Class(classA.ID)
		if c.Head("2026-08-31") != teachers[0] || c.Head("2026-09-01") != teachers[1] {
			t.Errorf("class teachers %+v", c.Teachers)
		}
		h.must(h.UndoTurn(t.Context(), by, 2026))
		h.restart()
		for _, id := range ids {
			if h.ClassOf(id, "2026-09-01") != h.ClassOf(id, "2026-05-20") {
				t.Errorf("%s moves all the same", id)
			}
		}
		if c, _ := h.Class(classA.ID); c.Head("2026-09-01") != teachers[0] {
			t.Errorf("class teachers after the way back: %+v", c.Teachers)
		}
		if _, ok := h.Class(split.ID); ok {
			t.Error("the split class is still there")
		}
	}

	_, rev, err := h.Turn(2026)
	h.must(err)
	h.must(h.EnterTurn(t.Context(), by, 2026, rev))
	h.clock.Pass(120 * 24 * time.Hour)
	if err := h.UndoTurn(t.Context(), by, 2026); fieldOf(err) != "year:err.turn_begun" {
		t.Errorf("taken back after it began: %v", err)
	}
	if got := h.Pupils("2026-09-20", people.PupilQuery{State: people.PupilsLeft}); len(got) != 3 {
		t.Errorf("%d have left, want 3", len(got))
	}
}
