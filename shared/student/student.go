// Package student holds the rules about pupils and their classes: basic and family information (S1, S3, S5),
// dated enrolment, class names, identity numbers, code lists, and the rows of a school's roster.
//
// It owns nothing and is pure: dates come in as arguments. It must never repeat a personal value in an error:
// the field, the row and the rule are enough to find it.
package student

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"campuskeep/shared/lib/fielderr"
)

// DateLayout is how dates are written: local, of the school's zone.
const DateLayout = "2006-01-02"

// IsDate says whether s is a date that exists, written as DateLayout.
func IsDate(s string) bool {
	t, err := time.Parse(DateLayout, s)
	return err == nil && t.Format(DateLayout) == s
}

// Student is the basic information at enrolment (S3) with the family's (S5). It is personal: its row is sealed
// under the student's own key.
type Student struct {
	ID         string     `json:"id"` // s0001 …
	Name       string     `json:"name"`
	Sex        Sex        `json:"sex"`
	Birth      string     `json:"birth"`               // date
	Ethnicity  string     `json:"ethnicity,omitempty"` // two digits, GB/T 3304
	IDKind     IDKind     `json:"id_kind,omitempty"`
	IDNumber   string     `json:"id_number,omitempty"`
	NationalNo string     `json:"national_no,omitempty"` // 学籍号
	Address    string     `json:"address,omitempty"`
	Phone      string     `json:"phone,omitempty"`
	Guardians  []Guardian `json:"guardians,omitempty"`
	Outside    bool       `json:"outside,omitempty"` // takes part in activities, is no pupil of ours (S1)
	Since      time.Time  `json:"since,omitzero"`    // registered
}

// Guardian is a parent or guardian, in the order in which they are called (S5).
type Guardian struct {
	Name      string   `json:"name"`
	Relation  Relation `json:"relation"`
	Phone     string   `json:"phone"`
	Workplace string   `json:"workplace,omitempty"`
	// Withheld lists what this guardian must not be informed of; empty: everything may be said.
	Withheld []Topic `json:"withheld,omitempty"`
	// NoCollect says that the school does not hand the child over to this guardian.
	NoCollect bool `json:"no_collect,omitempty"`
}

// Topic is a kind of news about a pupil that may be withheld from a guardian.
type Topic string

// The topics.
const (
	TopicAttendance Topic = "attendance"
	TopicHealth     Topic = "health"
	TopicBehaviour  Topic = "behaviour"
	TopicPsychology Topic = "psychology"
)

// Topics lists them in the order of forms.
var Topics = []Topic{TopicAttendance, TopicHealth, TopicBehaviour, TopicPsychology}

// MayKnow says whether the guardian may be informed of a topic.
func (g Guardian) MayKnow(t Topic) bool { return !slices.Contains(g.Withheld, t) }

// MaxGuardians of one student.
const MaxGuardians = 4

// Enrolment says from which date to which a student belongs to a class. Class scope of a teacher follows it
// and ends on the day of transfer (S22, S36).
type Enrolment struct {
	Student string `json:"student"`
	Class   string `json:"class"`
	From    string `json:"from"`           // first day
	To      string `json:"to,omitempty"`   // first day no longer; empty: open
	Left    Left   `json:"left,omitempty"` // why it ended
}

// On says whether the enrolment holds on a date.
func (e Enrolment) On(date string) bool { return e.From <= date && (e.To == "" || date < e.To) }

// Left is why an enrolment ended.
type Left string

// The reasons why an enrolment ends.
const (
	LeftMoved     Left = "moved_class"
	LeftSchool    Left = "left_school"
	LeftGraduated Left = "graduated"
)

// Limits of texts, in characters.
const (
	maxName    = 40
	maxAddress = 120
)

// Check says everything that is wrong with the information; today is the date of the check.
func (s Student) Check(today string) fielderr.Errors {
	var errs fielderr.Errors
	CheckName(&errs, "name", s.Name)
	if !s.Sex.Known() {
		errs.Add("sex", "err.sex")
	}
	birthOK := checkBirth(&errs, "birth", s.Birth, today)
	if _, ok := EthnicityName(s.Ethnicity); s.Ethnicity != "" && !ok {
		errs.Add("ethnicity", "err.ethnicity")
	}
	s.checkID(&errs, today, birthOK)
	if s.NationalNo != "" {
		if rule := CheckNationalNo(s.NationalNo, s.IDNumber); rule != "" {
			errs.Add("national_no", rule)
		}
	}
	errs.CheckText("address", s.Address, maxAddress, false)
	if s.Phone != "" {
		CheckPhone(&errs, "phone", s.Phone)
	}
	if len(s.Guardians) > MaxGuardians {
		errs.Add("guardians", "err.too_many", MaxGuardians)
	}
	for i, g := range s.Guardians {
		g.check(&errs, "guardian"+string(rune('1'+i%9))+"_")
	}
	return errs
}

func (s Student) checkID(errs *fielderr.Errors, today string, birthOK bool) {
	switch s.IDKind {
	case IDResident:
		id, err := ParseID(s.IDNumber, today)
		if err != nil {
			errs.Add("id_number", err.Rule, err.Args...)
			return
		}
		if birthOK && id.Birth != s.Birth {
			errs.Add("birth", "err.id_birth_differs")
		}
		if s.Sex.Known() && s.Sex != SexUnstated && id.Sex != s.Sex {
			errs.Add("sex", "err.id_sex_differs")
		}
	case IDPassport, IDOther:
		if !paperNumber.MatchString(s.IDNumber) {
			errs.Add("id_number", "err.id_paper")
		}
	case IDNone:
		if s.IDNumber != "" {
			errs.Add("id_kind", "err.id_kind")
		}
	default:
		errs.Add("id_kind", "err.id_kind")
	}
}

func (g Guardian) check(errs *fielderr.Errors, prefix string) {
	CheckName(errs, prefix+"name", g.Name)
	if !g.Relation.known() {
		errs.Add(prefix+"relation", "err.relation")
	}
	CheckPhone(errs, prefix+"phone", g.Phone)
	errs.CheckText(prefix+"workplace", g.Workplace, maxAddress, false)
	for _, t := range g.Withheld {
		if !slices.Contains(Topics, t) {
			errs.Add(prefix+"knows", "err.choice")
		}
	}
}

// CheckName refuses an empty, an overlong and a plainly wrong name. It is lenient: names of minorities and
// foreigners have dots, spaces and apostrophes.
func CheckName(errs *fielderr.Errors, field, name string) {
	switch {
	case strings.TrimSpace(name) == "":
		errs.Add(field, "err.required")
	case name != strings.TrimSpace(name) || utf8.RuneCountInString(name) > maxName || !utf8.ValidString(name):
		errs.Add(field, "err.name_length", maxName)
	default:
		if i := strings.IndexFunc(name, func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsMark(r) && !strings.ContainsRune(" ·•.'’-", r)
		}); i >= 0 {
			r, _ := utf8.DecodeRuneInString(name[i:])
			errs.Add(field, "err.name_characters", fmt.Sprintf("%q U+%04X", r, r))
		}
	}
}

// The ages that a pupil may have, in years: outside, the birth date is a slip.
const (
	minAge = 3
	maxAge = 25
)

func checkBirth(errs *fielderr.Errors, field, birth, today string) bool {
	if birth == "" {
		errs.Add(field, "err.required")
		return false
	}
	b, err := time.Parse(DateLayout, birth)
	if err != nil {
		errs.Add(field, "err.date")
		return false
	}
	t, err := time.Parse(DateLayout, today)
	if err != nil {
		errs.Add(field, "err.date")
		return false
	}
	if b.AddDate(minAge, 0, 0).After(t) || !b.AddDate(maxAge+1, 0, 0).After(t) {
		errs.Add(field, "err.birth_age", minAge, maxAge)
		return false
	}
	return true
}

var (
	mobile      = regexp.MustCompile(`^1[3-9][0-9]{9}$`)
	landline    = regexp.MustCompile(`^0[0-9]{2,3}-?[2-9][0-9]{6,7}(-[0-9]{1,5})?$`)
	foreign     = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	paperNumber = regexp.MustCompile(`^[A-Z0-9()-]{5,30}$`)
)

// CheckPhone takes mainland mobile numbers, land lines with area code, and others with + and country code.
func CheckPhone(errs *fielderr.Errors, field, phone string) {
	switch {
	case phone == "":
		errs.Add(field, "err.required")
	case IsSpreadsheetNumber(phone):
		errs.Add(field, "err.spreadsheet_number")
	case !mobile.MatchString(phone) && !landline.MatchString(phone) && !foreign.MatchString(phone):
		errs.Add(field, "err.phone")
	}
}
