package packet

import (
	"slices"
	"time"

	"campuskeep/shared/footage"
)

// Outcomes of a camera-day; the catalogue has "cert.outcome.<code>".
const (
	OutcomeErased   = "erased"   // everything deleted, key destroyed
	OutcomeHeld     = "held"     // a hold keeps a part; the rest is deleted, the day key destroyed
	OutcomePartial  = "partial"  // not all of it is deleted yet
	OutcomeAttested = "attested" // the NVR says that it no longer lists the day
	OutcomeUnbound  = "unbound"  // more was deleted than the entries bind: something is not known yet
)

// What the deletion of a camera-day is worth; the catalogue has "cert.assurance.<code>".
const (
	AssuranceErased     = "erased"      // the root key lay in a TPM and was turned after the key's end
	AssurancePending    = "pending"     // it lies in a TPM, and has not been turned since
	AssuranceBestEffort = "best_effort" // it lies in a file
	AssuranceAttested   = "attested"    // an NVR says so
)

// KeyWithin is how long after the last unlink the key of a camera-day must be destroyed (design §5).
const KeyWithin = 24 * time.Hour

// DayHour is one hour of a camera-day: what was bound when it was recorded, and what was deleted.
type DayHour struct {
	Hour     time.Time
	Recorded []footage.Binding
	Deleted  []footage.Timing
}

// Counts of the hour.
func (h DayHour) Counts() (recorded, deleted int) {
	for _, b := range h.Recorded {
		recorded += b.Count
	}
	for _, b := range h.Deleted {
		deleted += b.Count
	}
	return recorded, deleted
}

// Same says whether what was deleted is, segment for segment, what was recorded: one root represents both.
func (h DayHour) Same() bool {
	return len(h.Recorded) == 1 && len(h.Deleted) == 1 && h.Recorded[0].Root == h.Deleted[0].Root && h.Recorded[0].Count == h.Deleted[0].Count
}

// Day is the deletion of one camera-day as its entries tell it.
type Day struct {
	Camera, Day string
	Outcome     string
	Nominal     footage.Span // the calendar day; zero when the label is none
	Span        footage.Span // first to last frame
	Hours       []DayHour
	Recorded    int // segments
	Deleted     int
	Bytes       int64
	Policy      int       // days in force when the last part fell due
	Due         time.Time // of the last part
	Unlinked    time.Time // entry of the last deletion
	Announced   time.Time // of the key; zero: not yet
	Erased      time.Time
	Late        time.Duration // the longest; 0: on time
	Causes      []footage.LateCause
	Unexplained time.Duration
	Early       time.Duration // the most
	Breaches    []footage.BreachEntry
	Unexcused   bool // something went early and no entry says why
	Assurance   string
	Turned      RootEvent     // the root key, after the day's key was destroyed; zero: not yet
	Gaps        []footage.Gap // of the calendar day
	Missing     time.Duration
	Holds       []footage.Kept
	Damaged     int
	// Custody nvr: the last check that still listed the day, and the first that did not.
	LastListed, NotListed footage.Checked
}

// Remaining are the segments that are bound and not deleted.
func (d Day) Remaining() int { return max(0, d.Recorded-d.Deleted) }

// KeyLate says whether the key outlived its footage for too long.
func (d Day) KeyLate() bool { return !d.Erased.IsZero() && d.Erased.Sub(d.Unlinked) > KeyWithin }

// Clean says whether the day went as it must: all gone or held, on time or explained.
func (d Day) Clean() bool {
	return d.Outcome != OutcomePartial && d.Unexplained == 0 && !d.Unexcused && !d.KeyLate()
}

// DaySpan is the calendar day of a label in a zone, zero when the label is none.
func DaySpan(label string, zone *time.Location) footage.Span {
	t, err := time.ParseInLocation(time.DateOnly, label, zone)
	if err != nil {
		return footage.Span{}
	}
	return footage.Span{From: t.UTC(), To: t.AddDate(0, 0, 1).UTC()}
}

// OfDay says whether a binding concerns the camera-day. Entries of early versions name no days: their hour tells.
func OfDay(b footage.Binding, day string, zone *time.Location) bool {
	if len(b.Days) == 0 {
		return b.Hour.In(zone).Format(time.DateOnly) == day
	}
	return slices.Contains(b.Days, day)
}

// DayOf reads the deletion of one camera-day out of a record.
func DayOf(r Record, camera, day string, zone *time.Location) Day {
	d := Day{Camera: camera, Day: day, Nominal: DaySpan(day, zone)}
	if len(r.Checks) > 0 && len(r.Deleted) == 0 {
		d.attested(r)
		return d
	}
	hours := map[time.Time]*DayHour{}
	hour := func(at time.Time) *DayHour {
		if hours[at] == nil {
			hours[at] = &DayHour{Hour: at}
		}
		return hours[at]
	}
	for _, b := range r.Recorded {
		if OfDay(b, day, zone) {
			h := hour(b.Hour)
			h.Recorded = append(h.Recorded, b)
			d.Recorded += b.Count
			d.Bytes += b.Bytes
			d.widen(b)
		}
	}
	early := map[footage.BreachEntry]bool{}
	for _, b := range r.Deleted {
		if !OfDay(b, day, zone) {
			continue
		}
		t := footage.TimeOf(b, r.Policies, r.Excuses, r.Holds, r.Breaches)
		h := hour(b.Hour)
		h.Deleted = append(h.Deleted, t)
		d.Deleted += b.Count
		d.widen(b)
		d.take(t)
		if t.Breach > 0 && t.Early > 0 {
			for _, x := range r.Breaches {
				if x.Seq+1 == t.Breach && !early[x] {
					early[x] = true
					d.Breaches = append(d.Breaches, x)
				}
			}
		}
	}
	for _, h := range hours {
		d.Hours = append(d.Hours, *h)
	}
	slices.SortFunc(d.Hours, func(a, b DayHour) int { return a.Hour.Compare(b.Hour) })
	slices.Sort(d.Causes)
	for _, label := range r.Damaged {
		if label == day {
			d.Damaged++
		}
	}
	d.key(r)
	d.addContext(r)
	d.conclude()
	return d
}

func (d *Day) widen(b footage.Binding) {
	if d.Span.From.IsZero() || b.First.Before(d.Span.From) {
		d.Span.From = b.First
	}
	if b.Last.After(d.Span.To) {
		d.Span.To = b.Last
	}
}

func (d *Day) take(t footage.Timing) {
	if t.Due.After(d.Due) {
		d.Due = t.Due
		d.Policy = int(t.Due.Sub(t.Last) / (24 * time.Hour))
	}
	if t.At.After(d.Unlinked) {
		d.Unlinked = t.At
	}
	if d.Assurance == "" || t.Assurance != "erased" { // the weakest represents all
		d.Assurance = t.Assurance
	}
	d.Late, d.Early = max(d.Late, t.Late), max(d.Early, t.Early)
	d.Unexplained = max(d.Unexplained, t.Unexplained)
	d.Unexcused = d.Unexcused || (t.Early > 0 || !t.Trusted) && t.Breach == 0
	for _, c := range t.Causes {
		if !slices.Contains(d.Causes, c) {
			d.Causes = append(d.Causes, c)
		}
	}
}

// refine judges by the rules of version 2.
func (d *Day) refine(r Record) {
	whole := d.Nominal
	if whole.From.IsZero() {
		whole = d.Span
	}
	noted := d.Gaps
	d.Gaps, d.Missing = nil, 0
	for _, p := range footage.Causes(whole, noted) { // what overlaps is missing once
		if slices.ContainsFunc(noted, func(g footage.Gap) bool { return g.Span.Overlaps(p.Span) && g.Cause == p.Cause }) {
			d.Gaps = append(d.Gaps, footage.Gap{Camera: d.Camera, Span: p.Span, Cause: p.Cause})
			d.Missing += p.Span.Duration()
		}
	}
	if d.Assurance == AssuranceAttested || d.Deleted == 0 {
		return
	}
	d.Assurance = AssurancePending
	for _, h := range d.Hours {
		recorded, deleted := h.Counts()
		if deleted > recorded {
			d.Outcome = OutcomeUnbound
		}
		for _, t := range h.Deleted { // the weakest represents all
			if t.Assurance != AssuranceErased && t.Assurance != AssurancePending {
				d.Assurance = t.Assurance
			}
		}
	}
	if d.Assurance != AssurancePending {
		return
	}
	id := KeyID(d.Camera, d.Day)
	for _, k := range r.Erased {
		if !slices.Contains(k.Keys, id) {
			continue
		}
		d.Turned = RootEvent{}
		for _, x := range r.Turned {
			if x.Announced > k.Seq && x.Assurance == AssuranceErased && d.Turned.Seq == 0 {
				d.Turned = x
			}
		}
	}
	if d.Turned.Seq > 0 {
		d.Assurance = AssuranceErased
	}
}

func (d *Day) key(r Record) {
	id := KeyID(d.Camera, d.Day)
	for _, k := range r.Announced {
		if slices.Contains(k.Keys, id) && d.Announced.IsZero() {
			d.Announced = k.At
		}
	}
	for _, k := range r.Erased {
		if slices.Contains(k.Keys, id) {
			d.Erased = k.At
		}
	}
}

// addContext gathers what concerns the time of the day: gaps and holds.
func (d *Day) addContext(r Record) {
	whole := d.Nominal
	if whole.From.IsZero() {
		whole = d.Span
	}
	for _, g := range r.Gaps {
		if part := g.Span.Intersect(whole); part.Duration() > 0 {
			g.Span = part
			d.Gaps = append(d.Gaps, g)
			d.Missing += part.Duration()
		}
	}
	reach := footage.Span{From: d.Span.From, To: d.Span.To.Add(1)}
	for _, h := range r.Holds {
		if h.Span.Overlaps(reach) {
			d.Holds = append(d.Holds, h)
		}
	}
}

func (d *Day) conclude() {
	switch active := slices.ContainsFunc(d.Holds, func(h footage.Kept) bool { return h.Ended.IsZero() }); {
	case !d.Erased.IsZero() && d.Remaining() <= d.Damaged:
		d.Outcome = OutcomeErased
	case !d.Erased.IsZero() && active:
		d.Outcome = OutcomeHeld
	default:
		d.Outcome = OutcomePartial
	}
}

// attested reads what an NVR told: when it last listed footage of the day, and when it first did not.
func (d *Day) attested(r Record) {
	d.Outcome, d.Assurance = OutcomePartial, AssuranceAttested
	d.addContext(r)
	for _, c := range r.Checks {
		switch {
		case c.At.Before(d.Nominal.To) || c.Oldest.IsZero():
		case c.Oldest.Before(d.Nominal.To):
			d.LastListed, d.NotListed = c, footage.Checked{}
		case d.NotListed.At.IsZero():
			d.NotListed = c
		}
	}
	if d.NotListed.At.IsZero() || d.LastListed.At.IsZero() {
		return
	}
	d.Outcome, d.Policy = OutcomeAttested, d.NotListed.Days
	d.Due = d.Nominal.To.Add(footage.Policy{Days: max(d.Policy, footage.MinDays)}.Keep())
}
