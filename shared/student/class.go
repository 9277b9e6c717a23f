package student

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"campuskeep/shared/fielderr"
)

// Stage is a stage of schooling; it says how grades are counted and named.
type Stage string

// The stages of a school.
const (
	Primary Stage = "primary" // 一年级 … 六年级
	Junior  Stage = "junior"  // 七年级 … 九年级
	Senior  Stage = "senior"  // 高一 … 高三
)

// stages: first grade, number of grades, mark in the class id.
var stages = map[Stage]struct {
	first, years int
	mark         string
}{Primary: {1, 6, ""}, Junior: {7, 3, "j"}, Senior: {10, 3, "s"}}

// Class is a class of pupils for all its years: the year of entry and the number stay, the grade moves up in
// September.
type Class struct {
	ID       string     `json:"id"` // "2024-03"; "2024j-03" and "2024s-03" in the junior and senior stages
	Stage    Stage      `json:"stage"`
	Entry    int        `json:"entry"` // year
	No       int        `json:"no"`
	Teachers []Teaching `json:"teachers,omitempty"`
}

// Teaching is a teacher's dated charge of a class.
type Teaching struct {
	Person string `json:"person"`
	Duty   Duty   `json:"duty"`
	From   string `json:"from"`         // first day
	To     string `json:"to,omitempty"` // first day no longer; empty: open
}

// On says whether the charge holds on a date.
func (t Teaching) On(date string) bool { return t.From <= date && (t.To == "" || date < t.To) }

// Duty is what a teacher is to a class.
type Duty string

// The duties in a class.
const (
	DutyHead    Duty = "head" // 班主任
	DutySubject Duty = "subject"
	DutyGrade   Duty = "grade" // 年级组长
)

func (d Duty) known() bool { return d == DutyHead || d == DutySubject || d == DutyGrade }

// NewClass is the class with its id.
func NewClass(stage Stage, entry, no int) Class {
	return Class{ID: fmt.Sprintf("%04d%s-%02d", entry, stages[stage].mark, no), Stage: stage, Entry: entry, No: no}
}

// Check says what is wrong with the class.
func (c Class) Check() fielderr.Errors {
	var errs fielderr.Errors
	if _, ok := stages[c.Stage]; !ok {
		errs.Add("stage", "err.stage")
	}
	if c.Entry < 1990 || c.Entry > 2100 {
		errs.Add("entry", "err.range", 1990, 2100)
	}
	if c.No < 1 || c.No > 99 {
		errs.Add("no", "err.range", 1, 99)
	}
	if len(errs) == 0 && c.ID != NewClass(c.Stage, c.Entry, c.No).ID {
		errs.Add("id", "err.class_id")
	}
	for _, t := range c.Teachers {
		if t.Person == "" || !t.Duty.known() || !IsDate(t.From) || t.To != "" && (!IsDate(t.To) || t.To < t.From) {
			errs.Add("teachers", "err.teaching")
			break
		}
	}
	return errs
}

// Head is the class teacher on a date; empty when there is none.
func (c Class) Head(date string) string {
	for _, t := range c.Teachers {
		if t.Duty == DutyHead && t.On(date) {
			return t.Person
		}
	}
	return ""
}

// SchoolYear is the year in which the school year of a date began: it begins on 1 September.
func SchoolYear(date string) (int, error) {
	t, err := time.Parse(DateLayout, date)
	if err != nil {
		return 0, fmt.Errorf("school year of %q: %w", date, err)
	}
	if t.Month() >= time.September {
		return t.Year(), nil
	}
	return t.Year() - 1, nil
}

// Grade is the grade on a date, 1 to 12; 0 before the class began and after it has left.
func (c Class) Grade(date string) int {
	y, err := SchoolYear(date)
	st, ok := stages[c.Stage]
	if err != nil || !ok || y < c.Entry || y >= c.Entry+st.years {
		return 0
	}
	return st.first + y - c.Entry
}

// Name is 三年级3班 on a date, or the name by year outside the class's time.
func (c Class) Name(date string) string {
	if g := c.Grade(date); g > 0 {
		return GradeName(g) + strconv.Itoa(c.No) + "班"
	}
	return c.YearName()
}

// YearName is 2024级3班, the name that never changes.
func (c Class) YearName() string {
	mark := map[Stage]string{Junior: "初中", Senior: "高中"}[c.Stage]
	return fmt.Sprintf("%s%d级%d班", mark, c.Entry, c.No)
}

var gradeNames = [...]string{"", "一年级", "二年级", "三年级", "四年级", "五年级", "六年级", "七年级", "八年级", "九年级", "高一", "高二", "高三"}

// GradeName is 三年级 for 3.
func GradeName(grade int) string {
	if grade < 1 || grade >= len(gradeNames) {
		return ""
	}
	return gradeNames[grade]
}

var (
	byYear  = regexp.MustCompile(`^(初中|高中)?(\d{4})级\(?(\d{1,2})\)?班?$`)
	byGrade = regexp.MustCompile(`^(小|初|高)?([一二三四五六七八九]|\d)(?:年级)?\(?(\d{1,2}|[一二三四五六七八九十]{1,3})\)?班$`)
)

// ParseClassName reads a class as rosters write it (2024级3班, 三年级3班, 三年级（3）班, 三(3)班, 初一2班, 高一3班),
// as it is named on a date. rule is the key of what is wrong, empty when nothing is.
func ParseClassName(s, date string) (c Class, rule string) {
	s = narrow(s)
	s = strings.NewReplacer(" ", "", "届", "级").Replace(s)
	if m := byYear.FindStringSubmatch(s); m != nil {
		stage := map[string]Stage{"": Primary, "初中": Junior, "高中": Senior}[m[1]]
		entry, no := number(m[2]), number(m[3])
		c = NewClass(stage, entry, no)
		if len(c.Check()) > 0 {
			return Class{}, "err.class_name"
		}
		return c, ""
	}
	m := byGrade.FindStringSubmatch(s)
	if m == nil {
		return Class{}, "err.class_name"
	}
	grade, no := number(m[2]), number(m[3])
	switch m[1] {
	case "初":
		grade += 6
	case "高":
		grade += 9
	}
	if !strings.Contains(s, "年级") && m[1] == "" && !strings.Contains(s, "(") {
		return Class{}, "err.class_name" // 三3班 could be anything
	}
	stage := Primary
	switch {
	case grade > 9:
		stage = Senior
	case grade > 6:
		stage = Junior
	}
	y, err := SchoolYear(date)
	if err != nil || grade < 1 || grade > 12 || no < 1 {
		return Class{}, "err.class_name"
	}
	return NewClass(stage, y-(grade-stages[stage].first), no), ""
}

// number reads one to four digits, or a Chinese number up to 99; 0 for anything else.
func number(s string) int {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	const order = "一二三四五六七八九"
	digit := func(s string) int {
		i := strings.Index(order, s)
		if i < 0 {
			return -100
		}
		return i/len("一") + 1
	}
	tens, ones, ten := strings.Cut(s, "十")
	switch {
	case !ten && len(s) == len("一"):
		return digit(s)
	case !ten || len(tens) > len("一") || len(ones) > len("一"):
		return 0
	}
	n := 10
	if tens != "" {
		n = 10 * digit(tens)
	}
	if ones != "" {
		n += digit(ones)
	}
	return max(n, 0)
}

// narrow turns the full-width forms that Chinese keyboards give into plain ones.
func narrow(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '　':
			return ' '
		case r >= '！' && r <= '～':
			return r - '！' + '!'
		}
		return r
	}, s)
}
