package footage

import (
	"cmp"
	"iter"
	"slices"
	"time"
)

// OnTime is how long after its last day footage may still lie there and count as deleted on time: a sweep's pace
// and its work (design §5: 60 s and the uncertainty of the clock), doubled for a disk that is busy.
const OnTime = 2 * time.Minute

// CatchUp is how long after an obstacle has gone a sweep may need for what has piled up behind it.
const CatchUp = 15 * time.Minute

// Binding is what a `footage.recorded` or `footage.deleted` entry says of one camera-hour.
type Binding struct {
	Seq         uint64
	At          time.Time // when it was entered
	Trusted     bool      // the clock was, then
	Hour        time.Time
	Count       int
	Bytes       int64
	Root        [32]byte
	First, Last time.Time
	Days        []string // labels of the camera-days
	Assurance   string   // of a deletion
}

// PolicyAt says how many days a camera keeps from an instant on.
type PolicyAt struct {
	At   time.Time
	Days int
	Seq  uint64
}

// DueAt is when footage with this last frame has to go: the first instant at which the policy then in force has
// been kept. What came before the first known policy is judged by that one; without any, by the least.
func DueAt(last time.Time, policies []PolicyAt) time.Time {
	due := last.Add(Policy{Days: MinDays}.Keep())
	for i, p := range policies {
		due = last.Add(Policy{Days: p.Days}.Keep())
		if i > 0 && due.Before(p.At) {
			due = p.At // it was lowered, and this footage was older by then
		}
		if i+1 == len(policies) || due.Before(policies[i+1].At) {
			break
		}
	}
	return due
}

// LateCause is why a deletion came late; the catalogue has "late.<code>".
type LateCause string

// The causes that explain a late deletion.
const (
	LateClock  LateCause = "clock"  // the clock was not trusted: nothing is deleted then
	LatePower  LateCause = "power"  // the appliance was off
	LateUnlink LateCause = "unlink" // the disk refused to give the file up
	LateHold   LateCause = "hold"   // a hold kept it
)

// Excuse is a time in which nothing could be deleted, with the entries that show it. Without an end it counts for
// what fell due when it began, until that was deleted: a file that the disk did not give up.
type Excuse struct {
	Span  Span
	Cause LateCause
	Seqs  []uint64
}

// BreachEntry is an early deletion as its entry tells it.
type BreachEntry struct {
	Seq    uint64
	Span   Span
	Reason string
}

// Timing compares a deletion with its time.
type Timing struct {
	Binding
	Due    time.Time
	Early  time.Duration // before its time, or under a clock that was not trusted
	Breach uint64        // entry that is about the early deletion, plus one; 0: none
	Late   time.Duration // after it; 0 when it was on time
	Causes []LateCause   // of being late
	// Unexplained is how much of Late no cause covers; 0 when it is explained.
	Unexplained time.Duration
}

// Faulty says whether something about it has no explanation.
func (t Timing) Faulty() bool {
	return t.Unexplained > 0 || (t.Early > 0 || !t.Trusted) && t.Breach == 0
}

// TimeOf judges one deletion. After a cause has gone, up to CatchUp may pass for the work that has piled up.
func TimeOf(b Binding, policies []PolicyAt, excuses []Excuse, holds []Kept, breaches []BreachEntry) Timing {
	t := Timing{Binding: b, Due: DueAt(b.Last, policies)}
	t.Breach = breachOf(b, breaches)
	switch late := b.At.Sub(t.Due); {
	case late < 0:
		t.Early = -late
	case late > OnTime:
		t.Late = late
		open := []Span{{t.Due, b.At}}
		for _, h := range holds {
			if h.Span.Overlaps(Span{b.First, b.Last.Add(1)}) {
				excuses = append(slices.Clip(excuses), Excuse{Span: Span{h.Since, h.end(b.At)}, Cause: LateHold, Seqs: h.Seqs})
			}
		}
		for _, x := range excuses {
			if x.Span.To.IsZero() {
				if x.Span.From.Before(t.Due) || x.Span.From.Sub(t.Due) > CatchUp {
					continue
				}
				x.Span.To = b.At
			}
			if !x.Span.Overlaps(Span{t.Due, b.At}) {
				continue
			}
			if !slices.Contains(t.Causes, x.Cause) {
				t.Causes = append(t.Causes, x.Cause)
			}
			open = Without(open, Span{x.Span.From, x.Span.To.Add(CatchUp)})
		}
		for _, s := range open {
			t.Unexplained += s.Duration()
		}
		if t.Unexplained <= OnTime && len(t.Causes) > 0 {
			t.Unexplained = 0
		}
		slices.Sort(t.Causes)
	}
	return t
}

// breachOf gives the latest of the breaches that together cover a deletion, plus one; 0 when they do not.
func breachOf(b Binding, breaches []BreachEntry) (seq uint64) {
	open := []Span{{b.First, b.Last}}
	for _, x := range breaches {
		if x.Span.Overlaps(Span{b.First, b.Last}) {
			open, seq = Without(open, x.Span), x.Seq+1
		}
	}
	var left time.Duration
	for _, s := range open {
		left += s.Duration()
	}
	if left > Joined {
		return 0
	}
	return seq
}

// Join sorts spans and joins those with at most so much between them.
func Join(spans []Span, gap time.Duration) []Span {
	var out []Span
	for _, x := range slices.SortedFunc(slices.Values(spans), func(a, b Span) int { return a.From.Compare(b.From) }) {
		if n := len(out); n > 0 && x.From.Sub(out[n-1].To) <= gap {
			if x.To.After(out[n-1].To) {
				out[n-1].To = x.To
			}
			continue
		}
		out = append(out, x)
	}
	return out
}

// Without cuts a span out of others.
func Without(spans []Span, cut Span) []Span {
	var out []Span
	for _, s := range spans {
		if !s.Overlaps(cut) {
			out = append(out, s)
			continue
		}
		if s.From.Before(cut.From) {
			out = append(out, Span{s.From, cut.From})
		}
		if cut.To.Before(s.To) {
			out = append(out, Span{cut.To, s.To})
		}
	}
	return out
}

// Kept is a hold as its entries tell it.
type Kept struct {
	ID          string
	Application string
	Span        Span
	Since       time.Time
	Until       time.Time // its set end
	Ended       time.Time // when it was released or ended; zero: in force
	Reason      string
	Seqs        []uint64
}

func (k Kept) end(now time.Time) time.Time {
	if k.Ended.IsZero() {
		return now
	}
	return k.Ended
}

// Checked is what an NVR told on one day (custody nvr): it attests, it proves nothing.
type Checked struct {
	Seq            uint64
	At             time.Time
	Oldest, Newest time.Time
	Missing        time.Duration
	Days           int
	Judged         bool // the clock was trusted: Floor and Ceiling mean something
	Floor, Ceiling bool // deleted too early, kept too long
}

// Month is all that the report of one camera's month looks at.
type Month struct {
	Camera    Camera
	Span      Span             // the month
	Now       time.Time        // what is later is not judged
	Trusted   bool             // the clock is, now: otherwise nothing can be called overdue
	Recorded  []Binding        // of the hours of the month
	Deleted   []Binding        // of the hours of the month, whenever they were deleted
	Removed   []Binding        // deleted within the month, whatever their hour
	Present   iter.Seq[Placed] // of the month, still there, or condemned and not yet accounted for; a month of segments is megabytes
	Unerased  map[FileID]bool  // condemned, and their files could not be removed
	Gaps      []Gap
	Breaches  []BreachEntry
	Policies  []PolicyAt
	Excuses   []Excuse
	Holds     []Kept
	Checks    []Checked
	Damaged   int // segments that entries call damaged or missing
	Watermark time.Time
	Until     time.Time // the camera was retired; zero: it was in service to the end of the month
}

// CauseTime is how much is missing for one cause.
type CauseTime struct {
	Cause Cause
	Time  time.Duration
	Gaps  int
}

// MonthReport says how a camera's footage was kept and deleted in a month (F3): every number is zero or explained.
type MonthReport struct {
	Month
	Ought    time.Duration // the camera was in service
	Have     time.Duration // of that, recorded
	Missing  time.Duration
	Causes   []CauseTime // of the missing, the largest first
	Pieces   []Piece     // the month, recorded and missing; whether recorded for sure, or saved after a power cut, is not reported
	Here     int         // segments recorded in the month that are still there
	Segments int         // recorded in the month, as bound
	Gone     int         // of them deleted
	Lost     int         // bound, neither deleted nor there, no entry says why
	OnTime   int         // deletions within the month that were on time, in entries
	Early    []Timing
	Late     []Timing
	Removals int   // segments deleted within the month
	Freed    int64 // bytes
	Overdue  int   // still there, past its time, and no hold keeps it
	Dark     int   // days of the month without an attestation (custody nvr)
	Over     int   // attestations that found footage past its time
	Short    int   // attestations that found footage gone too early
}

// Unexplained is how much is missing that no entry explains.
func (r MonthReport) Unexplained() time.Duration {
	for _, c := range r.Causes {
		if c.Cause == CauseUnknown {
			return c.Time
		}
	}
	return 0
}

// Breached is how much is missing that was deleted too early.
func (r MonthReport) Breached() time.Duration {
	for _, c := range r.Causes {
		if c.Cause == CauseBreach {
			return c.Time
		}
	}
	return 0
}

// byNVR is how much of it an NVR has deleted: of its own deletions no entry says why.
func (r MonthReport) byNVR() time.Duration {
	if r.Camera.Custody != CustodyNVR {
		return 0
	}
	return r.Breached()
}

// Faults counts the kinds of things that nobody explains; a good month has none.
func (r MonthReport) Faults() int {
	n := 0
	for _, bad := range []bool{r.Unexplained() > 0, r.Lost > 0, slices.ContainsFunc(r.Early, Timing.Faulty), slices.ContainsFunc(r.Late, Timing.Faulty),
		r.Overdue > 0, r.Dark > 0, r.Over > 0, r.Short > 0, r.byNVR() > 0} {
		if bad {
			n++
		}
	}
	return n
}

// Report does the sums of a month.
func Report(m Month) MonthReport {
	r := MonthReport{Month: m}
	span := m.Span
	if !m.Camera.Since.IsZero() && m.Camera.Since.After(span.From) {
		span.From = m.Camera.Since
	}
	if m.Now.Before(span.To) {
		span.To = m.Now
	}
	if !m.Until.IsZero() && m.Until.Before(span.To) {
		span.To = m.Until
	}
	if m.Camera.Custody == CustodyNVR {
		r.attested(span)
		return r
	}
	r.cover(span, r.present())
	for _, b := range m.Recorded {
		r.Segments += b.Count
	}
	for _, b := range m.Deleted {
		r.Gone += b.Count
	}
	r.Lost = max(0, r.Segments-r.Gone-r.Here-m.Damaged)
	for _, b := range m.Removed {
		r.Removals, r.Freed = r.Removals+b.Count, r.Freed+b.Bytes
		switch t := TimeOf(b, m.Policies, m.Excuses, m.Holds, m.Breaches); {
		case t.Early > 0 || !t.Trusted:
			r.Early = append(r.Early, t)
		case t.Late > 0:
			r.Late = append(r.Late, t)
		default:
			r.OnTime++
		}
	}
	return r
}

// present counts what is there, and gives it as stretches without a break.
func (r *MonthReport) present() (stretches []Placed) {
	if r.Present == nil {
		return nil
	}
	judged := r.Trusted && !excused(r.Excuses, r.Now)
	for p := range r.Present {
		r.Here++
		switch n := len(stretches) - 1; {
		case !p.Span.From.Before(p.Span.To): // one frame: it covers nothing
		case n >= 0 && !p.Span.From.Before(stretches[n].Span.From) && p.Span.From.Sub(stretches[n].Span.To) <= Joined:
			if p.Span.To.After(stretches[n].Span.To) {
				stretches[n].Span.To = p.Span.To
			}
		default:
			stretches = append(stretches, Placed{Span: p.Span, Anchored: true})
		}
		last := p.Span.To.Add(p.Uncertainty)
		if !last.After(r.Watermark) && !r.Unerased[p.File] {
			continue // its file is gone; its hour is accounted for when it is over
		}
		if judged && r.Now.Sub(DueAt(last, r.Policies)) > CatchUp && !held(r.Holds, p.Span) {
			r.Overdue++
		}
	}
	return stretches
}

func held(holds []Kept, s Span) bool {
	return slices.ContainsFunc(holds, func(k Kept) bool { return k.Ended.IsZero() && k.Span.Overlaps(s) })
}

func excused(excuses []Excuse, at time.Time) bool {
	return slices.ContainsFunc(excuses, func(x Excuse) bool {
		return !at.Before(x.Span.From) && at.Before(x.Span.To.Add(CatchUp))
	})
}

// cover lays what was recorded over the time that ought to be there. Of hours that are still there the index is
// asked; of deleted ones their entries tell the first and the last frame, and the gap ledger the holes between.
func (r *MonthReport) cover(span Span, present []Placed) {
	gone := map[time.Time]bool{}
	for _, b := range r.Deleted {
		gone[b.Hour] = true
	}
	segments := present
	for _, b := range r.Recorded {
		if !gone[b.Hour] {
			continue
		}
		spans := []Span{{b.First, b.Last}}
		for _, g := range r.Gaps {
			if g.Span.Overlaps(Span{b.First, b.Last}) {
				spans = Without(spans, g.Span)
			}
		}
		for _, s := range spans {
			segments = append(segments, Placed{Span: s, Anchored: true})
		}
	}
	r.sum(Cover(span, segments, r.Gaps))
}

// sum takes over what is covered and adds up the holes by their causes.
func (r *MonthReport) sum(c Coverage) {
	r.Have, r.Missing, r.Ought, r.Pieces = c.Recorded, c.Missing, c.Recorded+c.Missing, c.Pieces
	for _, p := range c.Pieces {
		if p.Recorded {
			continue
		}
		i := slices.IndexFunc(r.Causes, func(x CauseTime) bool { return x.Cause == p.Cause })
		if i < 0 {
			i, r.Causes = len(r.Causes), append(r.Causes, CauseTime{Cause: p.Cause})
		}
		r.Causes[i].Time += p.Span.Duration()
		r.Causes[i].Gaps++
	}
	slices.SortFunc(r.Causes, func(a, b CauseTime) int { return cmp.Or(cmp.Compare(b.Time, a.Time), cmp.Compare(a.Cause, b.Cause)) })
}

// attested sums up what an NVR told: one check a day at least, nothing past its time, nothing gone too early. What it
// did before its camera was in our register, nobody had to ask.
func (r *MonthReport) attested(span Span) {
	at := span.To // no entry up to the month's end knows the camera
	if len(r.Policies) > 0 {
		at = span.From
		if registered := r.Policies[0].At; registered.After(at) {
			at = registered
		}
	}
	for ; at.Before(span.To); at = at.Add(24 * time.Hour) {
		day := Span{at, at.Add(24 * time.Hour)}
		if day.To.After(span.To) {
			break // the running day has time until its end
		}
		if !slices.ContainsFunc(r.Checks, func(c Checked) bool { return day.Contains(c.At) }) {
			r.Dark++
		}
	}
	for _, c := range r.Checks {
		if !c.Judged {
			continue
		}
		if c.Ceiling {
			r.Over++
		}
		if c.Floor {
			r.Short++
		}
	}
	listed := []Span{span}
	for _, g := range r.Gaps {
		listed = Without(listed, g.Span)
	}
	var segments []Placed
	for _, s := range listed {
		segments = append(segments, Placed{Span: s, Anchored: true})
	}
	r.sum(Cover(span, segments, r.Gaps))
}
