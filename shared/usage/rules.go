package usage

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
)

// Rules are the settings where the regulation is silent; [DefaultRules] is safe.
type Rules struct {
	CameraTime    time.Duration `json:"camera_time"`    // held at most per applicant, cameras × time
	DiskPercent   int           `json:"disk_percent"`   // of the footage disk, held at most by all applications together
	UseDays       int           `json:"use_days"`       // longest period of use
	UndecidedDays int           `json:"undecided_days"` // school days until an undecided application and its hold end
	ComplaintDays int           `json:"complaint_days"` // school days that the hold stays after a refusal or revocation
	ReportDays    int           `json:"report_days"`    // after the end of use (F15: one week)
	FilingDays    int           `json:"filing_days"`    // the hold stays that long beyond the report's day
}

// DefaultRules are design §5 and §7.
var DefaultRules = Rules{CameraTime: 24 * time.Hour, DiskPercent: 10, UseDays: 14, UndecidedDays: 10, ComplaintDays: 5, ReportDays: 7, FilingDays: 7}

// Limits of the form. They keep an application readable by a person and its row small.
const (
	maxReason      = 500
	maxLine        = 60
	maxRequested   = 16
	maxCameras     = 64 // of a list in the log
	maxRecipients  = 20
	maxAttachments = 10
)

// Facts are what Validate must know of the school.
type Facts struct {
	Now     clock.Reading
	Cameras func(place string, span footage.Span) []footage.Camera // that was there in the span
	Held    []footage.Hold                                         // of the applicant's other applications
	Disk    Disk                                                   // zero: not known, not counted
	Rules   Rules
}

// Disk is what holds cost, in bytes.
type Disk struct {
	Total uint64 // of the footage disk
	Held  uint64 // by all other applications
	Asked uint64 // by this one
}

// Validate checks an application before submission and names every field at fault; nil when all is well.
// Fields of lists are named with their index, e.g. "wanted.0.from".
func Validate(a Application, f Facts) error {
	var e fielderr.Errors
	line(&e, "unit", a.Unit)
	line(&e, "contact", a.Contact)
	if !slices.Contains(AllPurposes, a.Purpose) {
		e.Add("purpose", "err.choice")
	}
	requireText(&e, "reason", a.Reason)
	if len(a.Ways) == 0 {
		e.Add("ways", "err.required")
	}
	for _, w := range a.Ways {
		if !slices.Contains(OfferedWays, w) {
			e.Add("ways", "err.choice")
		}
	}
	if a.Asks(WayStill) && !a.Asks(WayView) {
		e.Add("ways", "err.still_needs_view")
	}
	checkRequested(&e, a, f)
	usePeriod(&e, a, f)
	if len(a.Recipients) == 0 {
		e.Add("recipients", "err.required")
	}
	tooMany(&e, "recipients", len(a.Recipients), maxRecipients)
	for i, r := range a.Recipients {
		line(&e, fmt.Sprintf("recipients.%d.name", i), r.Name)
		checkText(&e, fmt.Sprintf("recipients.%d.unit", i), r.Unit, maxLine)
		checkText(&e, fmt.Sprintf("recipients.%d.papers", i), r.Document, maxLine)
	}
	for _, u := range AllUndertakings {
		if !slices.Contains(a.Undertakings, u) {
			e.Add("undertakings."+string(u), "err.undertaking")
		}
	}
	tooMany(&e, "attachments", len(a.Attachments), maxAttachments)
	return e.Err()
}

func checkRequested(e *fielderr.Errors, a Application, f Facts) {
	if len(a.Wanted) == 0 {
		e.Add("wanted", "err.required")
	}
	tooMany(e, "wanted", len(a.Wanted), maxRequested)
	held, distinct := slices.Clone(f.Held), map[string]bool{}
	for i, w := range a.Wanted {
		field := fmt.Sprintf("wanted.%d.", i)
		cameras := f.Cameras(w.Place, w.Span)
		if len(cameras) == 0 {
			e.Add(field+"place", "err.unknown_place")
		}
		if rule, args := spanFault(w.Span, cameras, f); rule != "" {
			at := "to"
			if rule == "err.date" && w.Span.From.IsZero() {
				at = "from"
			}
			e.Add(field+at, rule, args...)
			continue
		}
		h := footage.Hold{Span: w.Span, Open: true}
		for _, c := range cameras {
			h.Cameras, distinct[c.ID] = append(h.Cameras, c.ID), true
		}
		held = append(held, h)
	}
	tooMany(e, "wanted", len(distinct), maxCameras)
	if sum := CameraTime(held, f.Now); len(*e) == 0 && sum > f.Rules.CameraTime {
		e.Add("wanted", "err.hold_cap", hours(sum), hours(CameraTime(f.Held, f.Now)), hours(f.Rules.CameraTime))
	}
	if d := f.Disk; len(*e) == 0 && d.Total > 0 && d.Asked > 0 && d.Held+d.Asked > d.Total/100*uint64(f.Rules.DiskPercent) {
		e.Add("wanted", "err.hold_disk", d.Asked>>20, (d.Held+d.Asked)>>20, f.Rules.DiskPercent)
	}
}

func spanFault(s footage.Span, cameras []footage.Camera, f Facts) (rule string, args []any) {
	switch {
	case s.From.IsZero() || s.To.IsZero():
		return "err.date", nil
	case !s.From.Before(s.To):
		return "err.from_after_to", nil
	case s.To.After(f.Now.Latest()):
		return "err.future", nil
	case s.Duration() > f.Rules.CameraTime:
		return "err.span_too_long", []any{hours(f.Rules.CameraTime)}
	}
	keep, days := time.Duration(0), 0
	for _, c := range cameras {
		if c.Policy.Keep() > keep {
			keep, days = c.Policy.Keep(), c.Policy.Days
		}
	}
	if days > 0 && !s.To.After(f.Now.Earliest().Add(-keep)) {
		return "err.span_gone", []any{days}
	}
	return "", nil
}

func usePeriod(e *fielderr.Errors, a Application, f Facts) {
	today := DateOf(f.Now.Wall)
	switch {
	case !a.UseFrom.Valid():
		e.Add("use_from", "err.date")
	case !a.UseUntil.Valid():
		e.Add("use_until", "err.date")
	case a.UseFrom < today:
		e.Add("use_from", "err.in_past")
	case a.UseUntil < a.UseFrom:
		e.Add("use_until", "err.from_after_to")
	case a.UseUntil > a.UseFrom.Add(f.Rules.UseDays-1):
		e.Add("use_until", "err.use_too_long", f.Rules.UseDays, string(a.UseFrom.Add(f.Rules.UseDays-1)))
	}
}

func line(e *fielderr.Errors, field, text string) {
	if strings.TrimSpace(text) == "" {
		e.Add(field, "err.required")
		return
	}
	if strings.ContainsAny(text, "\r\n\t") {
		e.Add(field, "err.text")
		return
	}
	checkText(e, field, text, maxLine)
}

func checkText(e *fielderr.Errors, field, text string, longest int) {
	switch {
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) && !strings.ContainsRune("\r\n\t", r)
	}):
		e.Add(field, "err.text")
	case utf8.RuneCountInString(text) > longest:
		e.Add(field, "err.too_long", longest)
	}
}

func tooMany(e *fielderr.Errors, field string, n, most int) {
	if n > most {
		e.Add(field, "err.too_many", most)
	}
}

// hours rounds up to the tenth, so that "over the cap" never reads as equal to it.
func hours(d time.Duration) float64 {
	tenths := (d + 6*time.Minute - 1) / (6 * time.Minute)
	return float64(tenths) / 10
}
