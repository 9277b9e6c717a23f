package student

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"campuskeep/shared/lib/fielderr"
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
	Years    int        `json:"years,omitempty"` // of its stage in this school; 0: as is usual
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

// span is the first grade of the class and how many it passes. Where primary school has five years, junior school has
// four and begins with 六年级.
func (c Class) span() (first, years int) {
	st := stages[c.Stage]
	if c.Years == 0 {
		return st.first, st.years
	}
	if c.Stage == Junior {
		return st.first + st.years - c.Years, c.Years
	}
	return st.first, c.Years
}

// StageYears is a stage of a school and its length.
type StageYears struct {
	Stage Stage `json:"stage"`
	Years int   `json:"years"`
}

// Schooling is which stages a school has, and how long each is. None: it is not set.
type Schooling []StageYears

// ParseSchooling reads "primary5 junior4"; empty is none.
func ParseSchooling(text string) (Schooling, bool) {
	var s Schooling
	for _, f := range strings.Fields(text) {
		n := len(f) - 1
		if n < 1 || f[n] < '1' || f[n] > '9' {
			return nil, false
		}
		s = append(s, StageYears{Stage(f[:n]), int(f[n] - '0')})
	}
	return s, true
}

// Check says what is wrong with the setting.
func (s Schooling) Check() fielderr.Errors {
	var errs fielderr.Errors
	years := map[Stage]int{}
	for _, x := range s {
		ok := x.Stage == Primary && (x.Years == 5 || x.Years == 6) || x.Stage == Junior && (x.Years == 3 || x.Years == 4) || x.Stage == Senior && x.Years == 3
		if years[x.Stage] != 0 || !ok {
			errs.Add("schooling", "err.schooling")
			return errs
		}
		years[x.Stage] = x.Years
	}
	if years[Primary] != 0 && years[Junior] != 0 && years[Primary]+years[Junior] != 9 {
		errs.Add("schooling", "err.schooling")
	}
	return errs
}

// class is the class of a stage as this school has it; false when it has no such stage.
func (s Schooling) class(stage Stage, entry, no int) (Class, bool) {
	c := NewClass(stage, entry, no)
	for _, x := range s {
		if x.Stage == stage && x.Years != stages[stage].years {
			c.Years = x.Years
		}
		if x.Stage == stage {
			return c, true
		}
	}
	return c, len(s) == 0
}

// stageOf is the stage that a grade belongs to.
func (s Schooling) stageOf(grade int) Stage {
	for _, st := range []Stage{Primary, Junior, Senior} {
		if c, has := s.class(st, 2000, 1); has {
			if first, years := c.span(); grade >= first && grade < first+years {
				return st
			}
		}
	}
	switch { // what no stage of this school has
	case grade > 9:
		return Senior
	case grade > 6:
		return Junior
	}
	return Primary
}

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
	if c.Years < 0 || c.Years > 6 {
		errs.Add("years", "err.range", 0, 6)
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
	first, years := c.span()
	if err != nil || years == 0 || y < c.Entry || y >= c.Entry+years {
		return 0
	}
	return first + y - c.Entry
}

// LastDay is the last date of the class at the school.
func (c Class) LastDay() string {
	_, years := c.span()
	return fmt.Sprintf("%04d-08-31", c.Entry+years)
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
	byYear  = regexp.MustCompile(`^(小学|初中|高中)?(\d{4})(级|届)\(?(\d{1,2})\)?班?$`)
	byGrade = regexp.MustCompile(`^(小|初|高)?([一二三四五六七八九]|\d)(?:年级)?\(?(\d{1,2}|[一二三四五六七八九十]{1,3})\)?班$`)
)

// ParseClass reads a class as rosters write it (2024级3班, 三年级3班, 三年级（3）班, 三(3)班, 初一2班, 高一3班),
// as it is named on a date. A stage that the school has not is refused, and 届, the year of leaving, is computed from the
// lengths of its stages. rule is the key of what is wrong, empty when nothing is.
func (k Schooling) ParseClass(s, date string) (c Class, rule string) {
	s = strings.ReplaceAll(narrow(s), " ", "")
	y, err := SchoolYear(date)
	if err != nil {
		return Class{}, "err.class_name"
	}
	if m := byYear.FindStringSubmatch(s); m != nil {
		return k.byYear(map[string]Stage{"小学": Primary, "初中": Junior, "高中": Senior}[m[1]], number(m[2]), number(m[4]), m[3] == "届", y, date)
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
	if grade < 1 || grade > 12 || no < 1 {
		return Class{}, "err.class_name"
	}
	stage := k.stageOf(grade)
	c, has := k.class(stage, 0, no)
	first, years := c.span()
	if !has || grade < first || grade >= first+years {
		return Class{}, "err.class_gone"
	}
	c, _ = k.class(stage, y-(grade-first), no)
	return c, ""
}

// byYear is the class of a year of entry, or of leaving.
func (k Schooling) byYear(stage Stage, year, no int, leaving bool, now int, date string) (Class, string) {
	switch {
	case stage == "" && len(k) == 1:
		stage = k[0].Stage
	case stage == "" && len(k) > 1:
		return Class{}, "err.class_stage"
	case stage == "":
		stage = Primary
	}
	if leaving && len(k) == 0 {
		return Class{}, "err.class_leaving"
	}
	c, has := k.class(stage, year, no)
	if leaving {
		_, years := c.span()
		c, has = k.class(stage, year-years, no)
	}
	switch {
	case len(c.Check()) > 0:
		return Class{}, "err.class_name"
	case !has || c.Grade(date) == 0 && c.Entry != now+1: // that of next September may be entered in summer
		return Class{}, "err.class_gone"
	}
	return c, ""
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
