package records

import (
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"campuskeep/shared/lib/fielderr"
)

// Source is where what a record says comes from. Text of the catalogue: "record.s.<source>".
type Source string

// Sources are all of them.
var Sources = []Source{"seen", "pupil", "guardian", "colleague", "hospital", "document", "visit", "import"}

// Record is one version of one record: nothing is overwritten, a correction is the next version with its reason.
type Record struct {
	ID       string            `json:"id"` // r000001
	Student  string            `json:"student"`
	Kind     string            `json:"kind"`
	Version  int               `json:"version"`  // from 1
	Happened string            `json:"happened"` // date or moment, of the school's zone
	Written  time.Time         `json:"written"`
	Author   string            `json:"author"`
	Source   Source            `json:"source"`
	Reason   string            `json:"reason,omitempty"` // why this version; of the first: empty
	Values   map[string]string `json:"values"`
	Files    []string          `json:"files,omitempty"`
	Group    string            `json:"group,omitempty"`   // incidents that are one: the id of the first
	Others   int               `json:"others,omitempty"`  // how many other pupils it involves
	Invalid  bool              `json:"invalid,omitempty"` // withdrawn: it was written by mistake
}

// Limits of a record.
const (
	MaxFiles  = 10
	MaxOthers = 19
	maxReason = 200
)

// Section of the record.
func (r Record) Section() Section {
	k, _ := KindOf(r.Kind)
	return k.Section
}

// Check says everything that is wrong with a version; now is when it is written, local of the school.
func (r Record) Check(now string) fielderr.Errors {
	var errs fielderr.Errors
	k, ok := KindOf(r.Kind)
	if !ok {
		errs.Add("kind", "err.record_kind")
		return errs
	}
	switch {
	case r.Happened == "":
		errs.Add("happened", "err.required")
	case !IsMoment(r.Happened):
		errs.Add("happened", "err.date")
	case r.Happened > now:
		errs.Add("happened", "err.future")
	}
	if !slices.Contains(Sources, r.Source) {
		errs.Add("source", "err.choice")
	}
	k.check(r.Values, &errs)
	if len(r.Files) > MaxFiles {
		errs.Add("file", "err.too_many", MaxFiles)
	}
	if r.Version > 1 {
		if strings.TrimSpace(r.Reason) == "" {
			errs.Add("reason", "err.record_reason")
		}
		errs.CheckText("reason", r.Reason, maxReason, false)
	}
	return errs
}

// Correct is the next version of a record: what it is about stays, its words change. A withdrawn record is not corrected.
func (r Record) Correct(next Record) (Record, error) {
	if r.Invalid {
		return r, fielderr.Errors{{Field: "reason", Rule: "err.record_withdrawn"}}
	}
	next.ID, next.Student, next.Kind, next.Version = r.ID, r.Student, r.Kind, r.Version+1
	next.Group, next.Others = r.Group, r.Others
	if next.Invalid {
		next.Values, next.Happened, next.Source, next.Files = maps.Clone(r.Values), r.Happened, r.Source, slices.Clone(r.Files)
	} else if next.Happened == r.Happened && next.Source == r.Source && maps.Equal(next.Values, r.Values) && slices.Equal(next.Files, r.Files) {
		return r, fielderr.Errors{{Field: "reason", Rule: "err.record_same"}}
	}
	return next, nil
}

// Differing are the fields in which two versions differ, in the order of the form.
func Differing(a, b Record) (out []string) {
	if a.Happened != b.Happened {
		out = append(out, "happened")
	}
	if a.Source != b.Source {
		out = append(out, "source")
	}
	k, _ := KindOf(b.Kind)
	for _, f := range k.Fields {
		if a.Values[f.Name] != b.Values[f.Name] {
			out = append(out, f.Name)
		}
	}
	if !slices.Equal(a.Files, b.Files) {
		out = append(out, "file")
	}
	if a.Invalid != b.Invalid {
		out = append(out, "invalid")
	}
	return out
}

// Purpose is why somebody opens a sensitive section. Text of the catalogue: "purpose.r.<code>".
type Purpose struct {
	Code string
	Note string
}

// purposes by section; "other" needs words.
var purposes = map[Section][]string{
	Health:        {"treatment", "examination", "infection", "follow_up", "other"},
	Family:        {"visit", "contact", "event", "follow_up", "other"},
	Psychological: {"crisis", "counselling", "supervision", "referral", "other"},
}

// Purposes that may be stated for a section.
func Purposes(s Section) []string { return purposes[s] }

// minNote is how much "other" must say, in characters.
const minNote = 4

// CheckPurpose says what is wrong with a stated purpose; sections that are not sensitive need none.
func CheckPurpose(s Section, p Purpose) fielderr.Errors {
	var errs fielderr.Errors
	if !s.Sensitive() {
		return errs
	}
	if !slices.Contains(purposes[s], p.Code) {
		errs.Add("purpose", "err.purpose")
	}
	if p.Code == "other" && utf8.RuneCountInString(strings.TrimSpace(p.Note)) < minNote {
		errs.Add("purpose_note", "err.purpose_note")
	}
	errs.CheckText("purpose_note", p.Note, maxReason, false)
	return errs
}

// OpenFor is how long a stated purpose keeps a section open for its reader.
const OpenFor = 30 * time.Minute

// CareNote is what to do for a pupil, in plain words and without a diagnosis (S22).
type CareNote struct {
	Record string    `json:"record"`
	Steps  []string  `json:"steps"` // in the order of doing
	By     string    `json:"by"`    // person id
	Since  time.Time `json:"since"`
	Until  string    `json:"until,omitempty"` // last date
}

// CareOf is the care instruction that a record holds on a date; false when it holds none.
func CareOf(r Record, today string) (CareNote, bool) {
	if r.Kind != KindCare || r.Invalid || r.Values["until"] != "" && r.Values["until"] < today {
		return CareNote{}, false
	}
	n := CareNote{Record: r.ID, By: r.Author, Since: r.Written, Until: r.Values["until"]}
	for line := range strings.Lines(r.Values["do"]) {
		if line = strings.TrimSpace(line); line != "" {
			n.Steps = append(n.Steps, line)
		}
	}
	return n, len(n.Steps) > 0
}

// Card is what the emergency card says of health, written for everybody's eyes.
type Card struct {
	Blood    string `json:"blood"`
	Rh       string `json:"rh,omitempty"`
	Allergy  string `json:"allergy"`
	Hospital string `json:"hospital,omitempty"`
}

// CardOf is the card that a record holds.
func CardOf(r Record) (Card, bool) {
	if r.Kind != KindCard || r.Invalid {
		return Card{}, false
	}
	return Card{Blood: r.Values["blood"], Rh: r.Values["rh"], Allergy: r.Values["allergy"], Hospital: r.Values["hospital"]}, true
}
