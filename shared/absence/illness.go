package absence

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"campuskeep/shared/attendance"
	"campuskeep/shared/lib/fielderr"
)

// Disease is a code of a diagnosis.
type Disease string

// Diseases lists the diagnoses of the page; those of Infectious ask for a certificate on return where the region does.
var (
	Infectious = []Disease{"influenza", "hfmd", "norovirus", "chickenpox", "mumps", "measles", "rubella", "scarlet_fever", "conjunctivitis", "dysentery", "hepatitis", "tuberculosis", "pneumonia"}
	Diseases   = append(slices.Clone(Infectious), "cold", "gastroenteritis", "allergy", "injury", "other")
)

// Remark is one line of the course of an illness.
type Remark struct {
	At   time.Time `json:"at"`
	By   string    `json:"by"`
	Text string    `json:"text"`
}

// Illness is one illness of one pupil, from the first sign to the return (S9, L6). It is personal: its row is sealed
// under the pupil's key.
type Illness struct {
	Student     string               `json:"student"`
	Class       string               `json:"class"`
	Since       string               `json:"since"` // date of the first sign
	Symptoms    []attendance.Symptom `json:"symptoms,omitempty"`
	Dates       []string             `json:"dates"` // on which it was seen, or kept the pupil away
	Away        bool                 `json:"away,omitempty"`
	Source      string               `json:"source"` // check, leave
	Opened      time.Time            `json:"opened"`
	Doctor      string               `json:"doctor,omitempty"` // where the pupil was seen
	Diagnosis   Disease              `json:"diagnosis,omitempty"`
	Certificate string               `json:"certificate,omitempty"` // date of the paper
	Returned    string               `json:"returned,omitempty"`
	Course      []Remark             `json:"course,omitempty"`
	Closed      time.Time            `json:"closed,omitzero"`
	By          string               `json:"by,omitempty"` // who closed it
}

// Open says whether the outcome is awaited.
func (i Illness) Open() bool { return i.Closed.IsZero() }

// Groups are the groups of like signs that an illness belongs to.
func (i Illness) Groups() []string {
	has := func(s ...attendance.Symptom) bool {
		return slices.ContainsFunc(s, func(x attendance.Symptom) bool { return slices.Contains(i.Symptoms, x) })
	}
	var out []string
	if has("fever") && has("cough", "sore_throat") {
		out = append(out, "flu")
	}
	if has("vomiting", "diarrhoea") {
		out = append(out, "gut")
	}
	for _, s := range []attendance.Symptom{"fever", "rash", "parotid", "red_eye", "jaundice"} {
		if has(s) {
			out = append(out, string(s))
		}
	}
	if i.Diagnosis != "" && slices.Contains(Infectious, i.Diagnosis) {
		out = append(out, "d."+string(i.Diagnosis))
	}
	return out
}

// ClusterRule says how many like illnesses are a cluster that is reported. It is data of the region: each has its source.
type ClusterRule struct {
	ID     string `json:"id"`
	Unit   string `json:"unit"` // class, school
	Days   int    `json:"days"`
	Least  int    `json:"least"`
	Group  string `json:"group,omitempty"` // one group or "d.<disease>"; empty: any
	Source string `json:"source"`
}

// DefaultClusterRules are those of the national working rules for reports of schools.
var DefaultClusterRules = []ClusterRule{
	{ID: "class-day", Unit: "class", Days: 1, Least: 3, Source: "学校和托幼机构传染病疫情报告工作规范（试行）：同一班级一日内 3 例及以上有相似症状"},
	{ID: "class-3days", Unit: "class", Days: 3, Least: 5, Source: "学校和托幼机构传染病疫情报告工作规范（试行）：同一班级连续三日内 5 例及以上有相似症状"},
}

// Check says what is wrong with a rule; prefix names its fields.
func (r ClusterRule) Check(prefix string) fielderr.Errors {
	var errs fielderr.Errors
	if r.Unit != "class" && r.Unit != "school" {
		errs.Add(prefix+"unit", "err.choice")
	}
	if r.Days < 1 || r.Days > 30 {
		errs.Add(prefix+"days", "err.range", 1, 30)
	}
	if r.Least < 1 || r.Least > 200 {
		errs.Add(prefix+"least", "err.range", 1, 200)
	}
	switch n := utf8.RuneCountInString(r.Source); {
	case strings.TrimSpace(r.Source) == "":
		errs.Add(prefix+"source", "err.required")
	case n > 200:
		errs.Add(prefix+"source", "err.too_long", 200)
	}
	return errs
}

// Cluster is a group of like illnesses that a rule finds, with its arithmetic.
type Cluster struct {
	Rule  ClusterRule `json:"rule"`
	Class string      `json:"class,omitempty"`
	Group string      `json:"group"`
	From  string      `json:"from"`
	To    string      `json:"to"`
	Days  []DayCount  `json:"days"`
	Cases []string    `json:"cases"` // pupils
}

// DayCount is how many illnesses began on a date.
type DayCount struct {
	Date string `json:"date"`
	N    int    `json:"n"`
}

// ID names the cluster: the same rule, class and group are one cluster while it lasts.
func (c Cluster) ID() string { return c.Rule.ID + "." + c.Class + "." + c.Group }

// Clusters evaluates the rules on the illnesses that began up to a date. dates are the school's dates, the last being
// the present one, newest last.
func Clusters(list []Illness, rules []ClusterRule, date string) []Cluster {
	var out []Cluster
	for _, r := range rules {
		from := addDays(date, 1-r.Days)
		groups := map[string]map[string][]Illness{} // class → group
		for _, i := range list {
			if i.Since < from || i.Since > date {
				continue
			}
			class := i.Class
			if r.Unit == "school" {
				class = ""
			}
			for _, g := range i.Groups() {
				if r.Group != "" && r.Group != g {
					continue
				}
				if groups[class] == nil {
					groups[class] = map[string][]Illness{}
				}
				groups[class][g] = append(groups[class][g], i)
			}
		}
		for class, of := range groups {
			for g, cases := range of {
				if len(cases) < r.Least {
					continue
				}
				c := Cluster{Rule: r, Class: class, Group: g, From: from, To: date}
				n := map[string]int{}
				for _, i := range cases {
					n[i.Since]++
					c.Cases = append(c.Cases, i.Student)
				}
				slices.Sort(c.Cases)
				for d := from; d <= date; d = addDays(d, 1) {
					c.Days = append(c.Days, DayCount{d, n[d]})
				}
				out = append(out, c)
			}
		}
	}
	slices.SortFunc(out, func(a, b Cluster) int { return strings.Compare(a.ID(), b.ID()) })
	return out
}

func addDays(date string, n int) string {
	t, err := time.Parse(attendance.DateLayout, date)
	if err != nil {
		return date
	}
	return t.AddDate(0, 0, n).Format(attendance.DateLayout)
}

// Seen adds what was seen of an illness on a date: more signs, another day.
func (i Illness) Seen(date string, symptoms []attendance.Symptom, away bool) (Illness, bool) {
	changed := false
	i.Symptoms, i.Dates = slices.Clone(i.Symptoms), slices.Clone(i.Dates)
	for _, s := range symptoms {
		if !slices.Contains(i.Symptoms, s) {
			i.Symptoms, changed = append(i.Symptoms, s), true
		}
	}
	if !slices.Contains(i.Dates, date) {
		i.Dates, changed = append(i.Dates, date), true
	}
	if away && !i.Away {
		i.Away, changed = true, true
	}
	return i, changed
}

// FollowUp is what a person adds to an illness. Empty fields change nothing.
type FollowUp struct {
	Symptoms              []attendance.Symptom
	Since                 string
	Doctor, Certificate   string
	Diagnosis             Disease
	Returned, Text, Today string
	NeedsCertificate      bool // the region asks for one after infection
}

// Follow adds a person's words to an illness; the return closes it. fielderr.Errors.
func (i Illness) Follow(f FollowUp, by string, now time.Time) (Illness, error) {
	var errs fielderr.Errors
	date := func(field, s string) {
		if _, err := time.Parse(attendance.DateLayout, s); s != "" && err != nil {
			errs.Add(field, "err.date")
		} else if s > f.Today {
			errs.Add(field, "err.future")
		}
	}
	date("since", f.Since)
	date("certificate", f.Certificate)
	date("returned", f.Returned)
	for _, s := range f.Symptoms {
		if !slices.Contains(attendance.Symptoms, s) {
			errs.Add("symptoms", "err.choice")
		}
	}
	if f.Diagnosis != "" && !slices.Contains(Diseases, f.Diagnosis) {
		errs.Add("diagnosis", "err.choice")
	}
	for field, s := range map[string]string{"text": f.Text, "doctor": f.Doctor} {
		if utf8.RuneCountInString(s) > maxNote {
			errs.Add(field, "err.too_long", maxNote)
		}
	}
	if f.Since != "" {
		i.Since = f.Since
	}
	if len(f.Symptoms) > 0 {
		i.Symptoms = f.Symptoms
	}
	if f.Doctor != "" {
		i.Doctor = f.Doctor
	}
	if f.Diagnosis != "" {
		i.Diagnosis = f.Diagnosis
	}
	if f.Certificate != "" {
		i.Certificate = f.Certificate
	}
	if f.Returned != "" {
		if f.NeedsCertificate && slices.Contains(Infectious, i.Diagnosis) && i.Certificate == "" {
			errs.Add("certificate", "err.certificate")
		}
		if f.Returned < i.Since {
			errs.Add("returned", "err.from_after_to")
		}
		i.Returned, i.Closed, i.By = f.Returned, now, by
	}
	if err := errs.Err(); err != nil {
		return i, err
	}
	if f.Text = strings.TrimSpace(f.Text); f.Text != "" {
		i.Course = append(slices.Clone(i.Course), Remark{now, by, f.Text})
	}
	return i, nil
}

// Report is the report of a cluster to the health authority: filled from what is known, signed by the school doctor, and
// sent within its time by a person.
type Report struct {
	ID      string    `json:"id"`
	Cluster Cluster   `json:"cluster"`
	Found   time.Time `json:"found"`
	Due     time.Time `json:"due"`
	Words   string    `json:"words,omitempty"` // measures taken, suspected cause
	Signed  string    `json:"signed,omitempty"`
	At      time.Time `json:"at,omitzero"`
	SentTo  string    `json:"sent_to,omitempty"` // to whom and how
	Sent    time.Time `json:"sent,omitzero"`
	SentBy  string    `json:"sent_by,omitempty"`
}

// ReportWithin is the time in which a cluster is reported.
const ReportWithin = 24 * time.Hour

// NewReport is the report of a cluster that was just found.
func NewReport(c Cluster, now time.Time) Report {
	return Report{ID: fmt.Sprintf("%s.%s", c.To, c.ID()), Cluster: c, Found: now, Due: now.Add(ReportWithin)}
}
