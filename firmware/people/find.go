package people

import (
	"cmp"
	"slices"
	"strings"
	"unicode"

	"github.com/mozillazg/go-pinyin"

	"campuskeep/shared/student"
)

// PupilState is which pupils a list shows.
type PupilState string

// The states of a list of pupils.
const (
	PupilsHere PupilState = ""     // in a class on the date, or taking part from outside
	PupilsLeft PupilState = "left" // in no class any more
	PupilsAll  PupilState = "all"
)

// PupilQuery says which pupils are asked for.
type PupilQuery struct {
	Text    string   // words, all of which must fit
	Class   string   // id; empty: every class
	Classes []string // the only classes that may be seen; nil: all
	State   PupilState
}

// Pupil is a pupil with what the register knows beside the row.
type Pupil struct {
	student.Student
	Class string // on the date; empty: none
	Last  string // last class, of those who are in none
	Left  student.Left
	Cards int // that open the gate
	Lost  int
	Rev   uint64
}

// Pupils finds pupils on a date, by class and then by name. A word of the query fits part of the name, its pinyin or the
// initials of its pinyin, the id, and the beginning or end of a number: identity document, national number, phone of the
// pupil or of a guardian.
func (p *People) Pupils(date string, q PupilQuery) []Pupil {
	words := strings.Fields(strings.ToLower(q.Text))
	p.mu.RLock()
	defer p.mu.RUnlock()
	held := map[string][2]int{}
	for _, c := range p.cards {
		n := held[c.Student]
		if c.Lost.IsZero() {
			n[0]++
		} else {
			n[1]++
		}
		held[c.Student] = n
	}
	var out []Pupil
	for id, s := range p.students {
		x := Pupil{Student: s.Student, Class: p.classOf(id, date), Cards: held[id][0], Lost: held[id][1], Rev: s.rev}
		if x.Class == "" {
			if list := p.enrolled[id]; len(list) > 0 {
				x.Last, x.Left = list[len(list)-1].Class, list[len(list)-1].Left
			}
		}
		if !q.shows(x) || slices.ContainsFunc(words, func(w string) bool { return !fits(x.Student, w) }) {
			continue
		}
		x.Student = s.copy()
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b Pupil) int {
		return cmp.Or(p.compareClass(a.Class, b.Class, date), cmp.Compare(sortName(a.Name), sortName(b.Name)), compareID(a.ID, b.ID))
	})
	return out
}

// Pupil is one pupil on a date.
func (p *People) Pupil(id, date string) (Pupil, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	s, ok := p.students[id]
	if !ok {
		return Pupil{}, false
	}
	x := Pupil{Student: s.copy(), Class: p.classOf(id, date), Rev: s.rev}
	if list := p.enrolled[id]; x.Class == "" && len(list) > 0 {
		x.Last, x.Left = list[len(list)-1].Class, list[len(list)-1].Left
	}
	for _, c := range p.cards {
		switch {
		case c.Student != id:
		case c.Lost.IsZero():
			x.Cards++
		default:
			x.Lost++
		}
	}
	return x, true
}

// Enrolments lists a pupil's classes in order of the first day.
func (p *People) Enrolments(id string) []student.Enrolment {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var out []student.Enrolment
	for _, e := range p.enrolled[id] {
		out = append(out, e.Enrolment)
	}
	return out
}

func (q PupilQuery) shows(x Pupil) bool {
	here := x.Class != "" || x.Outside
	switch {
	case q.Class != "" && x.Class != q.Class:
		return false
	case q.Classes != nil && !slices.Contains(q.Classes, x.Class):
		return false
	case q.State == PupilsHere:
		return here
	case q.State == PupilsLeft:
		return !here
	}
	return true
}

// compareClass orders by grade and number; no class comes last. The caller holds mu.
func (p *People) compareClass(a, b, date string) int {
	if a == b {
		return 0
	}
	if a == "" || b == "" {
		return cmp.Compare(b, a)
	}
	x, y := p.classes[a], p.classes[b]
	return cmp.Or(cmp.Compare(x.Grade(date), y.Grade(date)), cmp.Compare(x.No, y.No), cmp.Compare(a, b))
}

// shortest is how many digits of a number or phone are asked for at least: fewer find half the school.
const shortest = 4

// fits says whether one lower-case word of a query fits a pupil.
func fits(s student.Student, w string) bool {
	if strings.Contains(strings.ToLower(s.Name), w) || strings.ToLower(s.ID) == w {
		return true
	}
	if len(w) >= shortest && strings.ContainsAny(w, "0123456789") {
		phones := []string{s.Phone}
		for _, g := range s.Guardians {
			phones = append(phones, g.Phone)
		}
		for _, n := range append(phones, s.IDNumber, s.NationalNo) {
			if n = strings.ToLower(n); n != "" && (strings.HasPrefix(n, w) || strings.HasSuffix(n, w)) {
				return true
			}
		}
		return false
	}
	return SoundsLike(s.Name, w)
}

// every reading of a character, in plain letters.
var readings = pinyin.Args{Style: pinyin.Normal, Heteronym: true}

// SoundsLike says whether lower-case letters are the pinyin of consecutive characters of a name, each in full or by its
// initial, the last one perhaps cut: "azy", "anzhiyu" and "anzy" for 安知予. Characters with several readings fit each.
func SoundsLike(name, letters string) bool {
	if letters == "" || strings.Trim(letters, "abcdefghijklmnopqrstuvwxyz") != "" {
		return false
	}
	var sounds [][]string
	for _, r := range strings.ToLower(name) {
		if s := soundsOf(r); len(s) > 0 {
			sounds = append(sounds, s)
		}
	}
	for i := range sounds {
		if spells(sounds[i:], letters) {
			return true
		}
	}
	return false
}

func soundsOf(r rune) []string {
	if r >= 'a' && r <= 'z' {
		return []string{string(r)}
	}
	if !unicode.Is(unicode.Han, r) {
		return nil
	}
	s := pinyin.SinglePinyin(r, readings)
	for _, x := range s {
		if strings.Contains(x, "v") { // 吕 is typed lv or lu
			s = append(s, strings.ReplaceAll(x, "v", "u"))
		}
	}
	return s
}

// spells follows all ways at once: at holds how many letters may be used up before the next character.
func spells(sounds [][]string, letters string) bool {
	at := map[int]bool{0: true}
	for _, character := range sounds {
		next := map[int]bool{}
		for used := range at {
			rest := letters[used:]
			for _, sound := range character {
				switch {
				case strings.HasPrefix(sound, rest):
					return true
				case strings.HasPrefix(rest, sound):
					next[used+len(sound)] = true
				}
				if rest[0] == sound[0] {
					next[used+1] = true
				}
			}
		}
		at = next
	}
	return false
}

// sortName is a name in the order of its pinyin, as class lists have it.
func sortName(name string) string {
	var b strings.Builder
	for _, r := range name {
		if s := soundsOf(r); len(s) > 0 {
			b.WriteString(s[0])
		}
		b.WriteRune(r)
	}
	return b.String()
}
