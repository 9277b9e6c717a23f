// Package records holds the rules of pupils' safety records (S1 to S15, S20, S36): categories and kinds with their fields,
// versions, concerns that somebody has to follow up, the emergency card that any employee may open, agreements on
// confidentiality, and how long records are kept.
//
// It owns nothing and is pure: instants and dates come in as arguments. It must never repeat what a record says in an error.
package records

import (
	"slices"
	"strconv"
	"time"

	"campuskeep/shared/account"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/student"
)

// Section is a part of a pupil's record with readers and a key of its own.
type Section string

// The sections. They are the five categories (S13), with the psychological state apart from the other special records.
const (
	Basic         Section = "basic"
	Health        Section = "health"
	Family        Section = "family"
	Conduct       Section = "conduct" // attendance and behaviour
	Special       Section = "special"
	Psychological Section = "psych"
)

// Sections in the order of pages.
var Sections = []Section{Basic, Health, Family, Conduct, Special, Psychological}

// Known says whether there is such a section.
func (s Section) Known() bool { return slices.Contains(Sections, s) }

// Sensitive sections open only for a stated purpose.
func (s Section) Sensitive() bool { return s == Health || s == Family || s == Psychological }

// ReadAction and WriteAction are what the permission table is asked.
func (s Section) ReadAction() account.Action { return account.Action("record." + string(s) + ".read") }
func (s Section) WriteAction() account.Action {
	return account.Action("record." + string(s) + ".write")
}

// Owner is the subject of the key that seals a pupil's section: each ends in its own time (S20).
func Owner(pupil string, s Section) string { return "record:" + pupil + ":" + string(s) }

// FieldType is how a field is written and checked.
type FieldType uint8

// The types of fields.
const (
	Text FieldType = iota
	Lines
	Date
	Number // a decimal number within limits
	Choice
	Place // one of the school's places, or words
)

// Field is one field of a kind. Texts of the catalogue: "record.f.<name>", choices "record.o.<name>.<choice>".
type Field struct {
	Name     string
	Type     FieldType
	Required bool
	Max      int      // of characters
	Choices  []string // of Choice
	Low, Top float64  // of Number
}

// Kind of a record. Text of the catalogue: "record.k.<name>".
type Kind struct {
	Name    string
	Section Section
	Fields  []Field
	Concern Following // whether somebody has to follow it up
}

// Following says whether a record of a kind opens a concern.
type Following uint8

// Whether a concern is opened.
const (
	Never Following = iota
	MayFollow
	MustFollow
)

// The kinds that rules name.
const (
	KindCare     = "care"
	KindCard     = "card"
	KindIncident = "incident"
	KindPraise   = "praise"
	KindHazard   = "hazard"
	KindOutside  = "outside"
)

const (
	shortText = 120
	longText  = 2000
)

func text(name string) Field  { return Field{Name: name, Type: Text, Max: shortText} }
func lines(name string) Field { return Field{Name: name, Type: Lines, Max: longText} }
func must(f Field) Field      { f.Required = true; return f }
func choice(name string, of ...string) Field {
	return Field{Name: name, Type: Choice, Choices: of}
}
func number(name string, low, top float64) Field {
	return Field{Name: name, Type: Number, Low: low, Top: top}
}
func finding(name string) Field { return choice(name, "normal", "abnormal", "not_done") }
func date(name string) Field    { return Field{Name: name, Type: Date} }

// Kinds are all kinds in the order of the page.
var Kinds = []Kind{
	{Name: "note", Section: Basic, Fields: []Field{must(text("subject")), must(lines("text"))}},
	{Name: "consent", Section: Basic, Fields: []Field{must(choice("matter", "health_told", "contact_told", "picture", "activity", "other")), must(choice("given", "yes", "no", "withdrawn")), must(text("by")), lines("text")}},
	{Name: KindOutside, Section: Basic, Fields: []Field{must(text("activity")), must(date("until")), text("contact")}},

	// The items of the national standard for pupils' examinations (中小学生健康体检).
	{Name: "exam", Section: Health, Concern: MayFollow, Fields: []Field{must(text("term")), must(text("by")),
		number("height", 50, 230), number("weight", 10, 200), number("lung", 300, 9000), number("pressure_high", 50, 220), number("pressure_low", 30, 150),
		number("left_eye", 3, 5.3), number("right_eye", 3, 5.3), choice("colour", "normal", "weak", "blind", "not_done"), finding("eyes"), finding("hearing"), finding("nose_throat"),
		number("caries", 0, 32), finding("gums"), finding("heart"), finding("lungs"), finding("liver"), finding("spleen"), finding("head_neck"), finding("chest"), finding("spine"),
		finding("limbs"), finding("skin"), finding("lymph"), choice("tuberculin", "negative", "positive", "not_done"), number("alt", 0, 2000), lines("text")}},
	{Name: "condition", Section: Health, Concern: MayFollow, Fields: []Field{must(choice("sort", "chronic", "allergy", "other")), must(text("diagnosis")), must(text("trigger")), must(text("sign")),
		must(lines("do")), text("medicine"), text("where"), date("last"), lines("text")}},
	{Name: KindCare, Section: Health, Fields: []Field{must(lines("do")), date("until")}},
	{Name: KindCard, Section: Health, Fields: []Field{must(choice("blood", "a", "b", "ab", "o", "unknown")), choice("rh", "positive", "negative", "unknown"), must(text("allergy")), text("hospital")}},
	{Name: "visit", Section: Health, Concern: MayFollow, Fields: []Field{must(text("symptoms")), must(text("since")), text("measured"), must(lines("done")), must(choice("sent", "class", "rest", "home", "hospital", "ambulance")), text("told")}},
	{Name: "illness", Section: Health, Concern: MustFollow, Fields: []Field{must(choice("sort", "illness", "injury")), {Name: "place", Type: Place, Required: true, Max: shortText}, must(lines("course")), must(lines("done")), must(choice("sent", "class", "rest", "home", "hospital", "ambulance")), text("told")}},

	{Name: "household", Section: Family, Fields: []Field{must(text("subject")), must(lines("text"))}},
	{Name: KindHazard, Section: Family, Concern: MustFollow, Fields: []Field{must(choice("sort", "stairs", "wiring", "gas", "fire", "water", "building", "other")), must(text("where")), must(lines("text")), text("agreed")}},

	{Name: KindIncident, Section: Conduct, Concern: MayFollow, Fields: []Field{{Name: "place", Type: Place, Required: true, Max: shortText}, must(choice("sort", "running", "climbing", "fight", "bullying", "object", "leaving", "road", "water", "damage", "other")),
		must(choice("injured", "no", "lightly", "seriously")), must(lines("text")), must(lines("handling")), lines("improvement")}},
	{Name: KindPraise, Section: Conduct, Fields: []Field{{Name: "place", Type: Place, Max: shortText}, must(lines("text"))}},

	{Name: "event", Section: Special, Concern: MayFollow, Fields: []Field{must(choice("sort", "drill", "fire", "earthquake", "flood", "storm", "violence", "traffic", "food", "other")), {Name: "place", Type: Place, Max: shortText}, must(lines("text"))}},

	{Name: "observation", Section: Psychological, Concern: MayFollow, Fields: []Field{must(lines("text")), lines("words")}},
	{Name: "talk", Section: Psychological, Concern: MayFollow, Fields: []Field{must(lines("text")), lines("words"), text("stress")}},
	{Name: "plan", Section: Psychological, Concern: MayFollow, Fields: []Field{must(text("stress")), must(lines("plan")), date("next")}},
}

// KindOf finds a kind by name.
func KindOf(name string) (Kind, bool) {
	i := slices.IndexFunc(Kinds, func(k Kind) bool { return k.Name == name })
	if i < 0 {
		return Kind{}, false
	}
	return Kinds[i], true
}

// check says what is wrong with the values of a record; only fields of the kind may be there.
func (k Kind) check(values map[string]string, errs *fielderr.Errors) {
	for name := range values {
		if !slices.ContainsFunc(k.Fields, func(f Field) bool { return f.Name == name }) {
			errs.Add(name, "err.record_field")
		}
	}
	for _, f := range k.Fields {
		f.check(values[f.Name], errs)
	}
}

func (f Field) check(v string, errs *fielderr.Errors) {
	switch {
	case v == "" && f.Required:
		errs.Add(f.Name, "err.required")
	case v == "":
	case f.Type == Date && !student.IsDate(v):
		errs.Add(f.Name, "err.date")
	case f.Type == Choice && !slices.Contains(f.Choices, v):
		errs.Add(f.Name, "err.choice")
	case f.Type == Number:
		if n, err := strconv.ParseFloat(v, 64); err != nil || n < f.Low || n > f.Top || len(v) > 8 {
			errs.Add(f.Name, "err.between", f.Low, f.Top)
		}
	case f.Max > 0:
		errs.CheckText(f.Name, v, f.Max, f.Type == Lines)
	}
}

// IsMoment says whether s is a date, or a date with a time of day, of the school's zone.
func IsMoment(s string) bool {
	if student.IsDate(s) {
		return true
	}
	t, err := time.Parse(MomentLayout, s)
	return err == nil && t.Format(MomentLayout) == s
}

// MomentLayout is how a moment is written, as browsers send it.
const MomentLayout = "2006-01-02T15:04"
