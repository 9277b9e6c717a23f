package people_test

import (
	"errors"
	"testing"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/student"
)

// Pupils are found by what people type: part of a name, pinyin in full or by initials, the ends of numbers, a guardian's
// phone. Covers S14.
func TestPupilsAreFoundByWhatPeopleType(t *testing.T) {
	for name, words := range map[string]struct{ found, not []string }{
		"安知予":        {[]string{"azy", "anzhiyu", "anzy", "zy", "anzh", "an"}, []string{"azn", "ya", "a1", ""}},
		"单晓":         {[]string{"shanxiao", "dx", "sx"}, []string{"xs"}},
		"吕一":         {[]string{"lvyi", "luyi", "ly"}, []string{"lw"}},
		"阿依·古丽":      {[]string{"aygl", "ayiguli", "gl"}, []string{"yagl"}},
		"啊啊啊啊啊啊啊啊啊啊": {[]string{"aaaaaaaaaa"}, []string{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"}},
		"Müller Li":  {[]string{"li"}, []string{"zz"}},
	} {
		for _, w := range words.found {
			if !people.SoundsLike(name, w) {
				t.Errorf("%s is not found by %q", name, w)
			}
		}
		for _, w := range words.not {
			if people.SoundsLike(name, w) {
				t.Errorf("%s is found by %q", name, w)
			}
		}
	}

	h := newEnv(t)
	h.classes()
	twin := func(name string, serial int) student.Student {
		s := girl(name, serial)
		s.Guardians[0].Phone = "13911112222" // twins have one phone
		return s
	}
	ids, err := h.AddStudents(t.Context(), account.System, []people.NewStudent{
		{Student: twin("陆可遥", 1), Class: classA.ID, From: "2025-09-01", Cards: []attendance.Card{card(t, "01020304")}},
		{Student: twin("陆可望", 2), Class: classB.ID, From: "2025-09-01"},
		{Student: girl("程小满", 3), Class: classB.ID, From: "2025-09-01"}})
	h.must(err)
	h.must(h.MoveStudent(t.Context(), account.System, ids[2], "", "2026-05-01", student.LeftSchool))
	for query, want := range map[string]int{"lky": 1, "陆": 2, "13911112222": 2, "2222": 2, "139": 0, "lu 1391111": 2, "s0001": 1, idNumber("2017-09-14", 2): 1, "小满": 0} {
		if got := h.Pupils("2026-05-20", people.PupilQuery{Text: query}); len(got) != want {
			t.Errorf("%q finds %d, want %d", query, len(got), want)
		}
	}
	for want, q := range map[int]people.PupilQuery{1: {Class: classA.ID}, 3: {State: people.PupilsAll}, 2: {}, 0: {Classes: []string{}, State: people.PupilsAll}} {
		if got := h.Pupils("2026-05-20", q); len(got) != want {
			t.Errorf("%+v finds %d, want %d", q, len(got), want)
		}
	}
	if got := h.Pupils("2026-05-20", people.PupilQuery{State: people.PupilsLeft}); len(got) != 1 || got[0].Last != classB.ID || got[0].Left != student.LeftSchool {
		t.Errorf("left: %+v", got)
	}
}

// A card that was reported lost is refused at once, is given to nobody else, and is good again when it is found; a card
// that replaces another ends it in the same change. Covers S6.
func TestLostAndReplacedCards(t *testing.T) {
	h := newEnv(t)
	h.classes()
	ids, err := h.AddStudents(t.Context(), account.System, []people.NewStudent{
		{Student: girl("甲", 1), Class: classA.ID, From: "2025-09-01", Cards: []attendance.Card{card(t, "01020304")}},
		{Student: girl("乙", 2), Class: classA.ID, From: "2025-09-01"}})
	h.must(err)
	good := func(uid string) bool { _, _, ok := h.ByCard(card(t, uid).Hash(h.CardKey())); return ok }
	first := h.CardsOf(ids[0])[0]
	if first.Tail != "0304" || !good("01020304") {
		t.Errorf("card %+v", first)
	}
	h.must(h.ChangeCard(t.Context(), account.System, ids[0], first.ID, people.CardLost))
	for range 2 {
		if good("01020304") {
			t.Error("a lost card is good")
		}
		h.restart()
	}
	if err := h.AssignCard(t.Context(), account.System, card(t, "01020304"), ids[1]); fieldOf(err) != "card:err.card_lost" {
		t.Errorf("a lost card for somebody else: %v", err)
	}
	h.must(h.ChangeCard(t.Context(), account.System, ids[0], first.ID, people.CardFound))
	if !good("01020304") {
		t.Error("a found card is refused")
	}
	h.must(h.ReplaceCard(t.Context(), account.System, first.ID, card(t, "0A0B0C0D"), ids[0]))
	for range 2 {
		if good("01020304") || !good("0A0B0C0D") || len(h.CardsOf(ids[0])) != 1 {
			t.Errorf("replaced: %+v", h.CardsOf(ids[0]))
		}
		h.restart()
	}
	if err := h.ReplaceCard(t.Context(), account.System, first.ID, card(t, "0A0B0C0E"), ids[0]); !errors.Is(err, people.ErrNotFound) {
		t.Errorf("in place of a card that is gone: %v", err)
	}
	if err := h.ChangeCard(t.Context(), account.System, ids[1], h.CardsOf(ids[0])[0].ID, people.CardLost); !errors.Is(err, people.ErrNotFound) {
		t.Errorf("somebody else's card: %v", err)
	}
}

// A form that was made before somebody else's change does not write over it; what a guardian must not know is kept.
func TestPupilSeenAtARevision(t *testing.T) {
	h := newEnv(t)
	h.classes()
	ids, err := h.AddStudents(t.Context(), account.System, []people.NewStudent{{Student: girl("甲", 1), Class: classA.ID, From: "2025-09-01"}})
	h.must(err)
	was, _ := h.Pupil(ids[0], "2026-05-20")
	changed := was.Student
	changed.Guardians[0].Withheld = []student.Topic{student.TopicHealth}
	h.must(h.ChangeStudent(t.Context(), account.System, changed, was.Rev))
	if err := h.ChangeStudent(t.Context(), account.System, was.Student, was.Rev); !errors.Is(err, ledgerdb.ErrConflict) {
		t.Errorf("written over: %v", err)
	}
	h.restart()
	now, _ := h.Pupil(ids[0], "2026-05-20")
	if g := now.Guardians[0]; g.MayKnow(student.TopicHealth) || !g.MayKnow(student.TopicAttendance) {
		t.Errorf("guardian %+v", g)
	}
	changed.Guardians[0].Withheld = []student.Topic{"gossip"}
	if err := h.ChangeStudent(t.Context(), account.System, changed, now.Rev); fieldOf(err) != "guardian1_knows:err.choice" {
		t.Errorf("an unknown topic: %v", err)
	}
	classRow, rev := classA, h.ClassRev(classA.ID)
	classRow.Years = 5
	h.must(h.PutClassFrom(t.Context(), account.System, classRow, rev))
	classRow.Years = 6
	if err := h.PutClassFrom(t.Context(), account.System, classRow, rev); !errors.Is(err, ledgerdb.ErrConflict) {
		t.Errorf("class written over: %v", err)
	}
	if err := h.PutClassFrom(t.Context(), account.System, classA, 0); fieldOf(err) != "no:err.class_taken" {
		t.Errorf("a class twice: %v", err)
	}
}
