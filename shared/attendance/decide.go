package attendance

import (
	"cmp"
	"slices"
	"time"
)

// Decide returns the status of a student's day at the instant now, by the rules of design §8 in their
// order: a day without school, an approved leave, a teacher's or the office's mark, the first way in
// against the bell, the last way out against the end of the day, and what to make of missing evidence. The
// first rule that applies gives the outcome; later ones add reasons.
func Decide(e Evidence, now time.Time) DayStatus {
	sure, unsure := splitTaps(e.Taps)
	d := decision{Evidence: e, now: now, moves: Resolve(e.Day, e.Hours, sure), unsure: len(Resolve(e.Day, e.Hours, unsure)) > 0}
	d.status = DayStatus{V: Version, Date: e.Day.Date, Student: e.Student, Class: e.Class, Taps: len(d.moves), Attended: len(d.moves) > 0}
	d.readMoves()
	if e.Day.Reason != "" {
		d.addReason(e.Day.Reason)
	}
	if !e.Day.School {
		d.status.Outcome = NoSchool
		if d.status.Attended {
			d.addReason(CameAnyway)
		}
		return d.status
	}
	due, home, onLeave := d.expected()
	switch {
	case onLeave:
	case d.byMark():
	default:
		d.byTaps(due, home)
		d.byUnsureTaps()
	}
	return d.status
}

// byUnsureTaps takes back what a tap at an unknown time may contradict: it may have been the first way in, the last
// way out, or the return.
func (d *decision) byUnsureTaps() {
	switch s := &d.status; {
	case !d.unsure || s.Outcome == Present || s.Outcome == Pending:
	case s.Outcome == Unknown:
		if !s.Has(ClockDoubt) {
			d.addReason(ClockDoubt)
		}
	default:
		s.Outcome, s.Minutes, s.LateIn = Unknown, 0, 0
		s.Reasons = slices.DeleteFunc(s.Reasons, func(r Reason) bool { return r == NoTap || r == InLate || r == OutEarly })
		d.addReason(ClockDoubt)
	}
}

// Due is when the student must be in: the bell, or the end of the leave before it. The grace is not in it.
func Due(e Evidence, now time.Time) time.Time {
	d := decision{Evidence: e, now: now}
	due, _, _ := d.expected()
	return due.Add(-minutes(e.Hours.Grace))
}

// Unheard names what failed after the parents of the student were to be notified: it does not undo an absence, but who
// comes since then may not be heard, so that nobody is to be told of the absence any more. Empty: nothing failed.
func Unheard(e Evidence, now time.Time) Reason {
	d := decision{Evidence: e, now: now}
	due, _, _ := d.expected()
	return d.unobserved(In, due.Add(minutes(e.Hours.TellParents)), now)
}

type decision struct {
	Evidence
	now    time.Time
	moves  []Move
	unsure bool // there are taps of the day of which the time is not known
	status DayStatus
}

// splitTaps sets those apart of which the time is not known.
func splitTaps(taps []Tap) (sure, unsure []Tap) {
	for _, t := range taps {
		if t.Unsure {
			unsure = append(unsure, t)
		} else {
			sure = append(sure, t)
		}
	}
	return sure, unsure
}

func (d *decision) addReason(r Reason) { d.status.Reasons = append(d.status.Reasons, r) }

// readMoves notes the first way in and the last way out.
func (d *decision) readMoves() {
	for _, m := range d.moves {
		if m.Way == In && d.status.FirstIn.IsZero() {
			d.status.FirstIn = m.At
		}
	}
	if n := len(d.moves); n > 0 && d.moves[n-1].Way == Out {
		d.status.LastOut = d.moves[n-1].At
	}
}

// expected is when the student must be in and until when must stay: the bell with its grace and the end
// of the day, moved by approved leaves. onLeave says that leave covers the whole day, or that a morning's
// leave still lasts and the student has not come; the outcome is then set. A leave of the afternoon neither
// undoes a morning attended nor excuses one missed.
func (d *decision) expected() (due, home time.Time, onLeave bool) {
	bell, end := d.Day.At(d.Hours.Bell), d.Day.At(d.Hours.Home)
	due, home = bell.Add(minutes(d.Hours.Grace)), end
	var kind LeaveKind
	// Leaves may join up: one to ten o'clock, the next from ten. Repeat until nothing moves.
	for moved := true; moved; {
		moved = false
		for _, l := range sorted(d.Leaves) {
			if l.covers(bell) && l.To.After(bell) {
				bell, due, kind, moved = l.To, l.To.Add(minutes(d.Hours.Grace)), l.Kind, true
			}
			if l.Approved && l.From.Before(home) && !l.To.Before(home) {
				home, moved = l.From, true
				kind = cmp.Or(kind, l.Kind)
			}
		}
	}
	if kind == "" {
		return due, home, false
	}
	now := d.leaveAt(d.now)
	whole := !home.After(bell)
	notYetDue := now != "" && d.now.Before(bell) && !d.status.Attended
	if !whole && !notYetDue {
		d.addReason(LeavePartial)
		return due, home, false
	}
	d.status.Outcome, d.status.Leave = OnLeave, cmp.Or(now, kind)
	d.addReason(LeaveApproved)
	if d.status.Attended {
		d.addReason(CameAnyway)
	}
	return due, home, true
}

func (d *decision) leaveAt(t time.Time) LeaveKind {
	for _, l := range sorted(d.Leaves) {
		if l.covers(t) {
			return l.Kind
		}
	}
	return ""
}

func sorted(l []Leave) []Leave {
	return slices.SortedFunc(slices.Values(l), func(a, b Leave) int {
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.ID, b.ID))
	})
}

// byMark takes the latest mark. Taps that say otherwise do not change it; they are named, so that a person looks.
func (d *decision) byMark() bool {
	var m Mark
	for _, x := range d.Marks {
		if x.Date != d.Day.Date || x.At.After(d.now) && x.At.Before(d.Day.End) {
			continue // what is stated of a day when it is over counts as well
		}
		later := cmp.Or(x.At.Compare(m.At), cmp.Compare(rank(x.By), rank(m.By)), cmp.Compare(x.ID, m.ID))
		if m.Outcome == "" || later > 0 {
			m = x
		}
	}
	if m.Outcome == "" {
		return false
	}
	d.status.Outcome, d.status.Minutes, d.status.Leave = m.Outcome, m.Minutes, m.Leave
	if m.By == ByOffice {
		d.addReason(MarkOffice)
	} else {
		d.addReason(MarkTeacher)
	}
	away := m.Outcome == AbsentUnexplained || m.Outcome == Truant || m.Outcome == OnLeave
	inside := d.status.Attended && d.status.LastOut.IsZero()
	if (away && inside) || (m.Outcome == Present && !d.status.LastOut.IsZero() && d.status.LastOut.After(m.At) && d.early(d.Day.At(d.Hours.Home))) {
		d.addReason(Contradicted)
	}
	d.status.Attended = d.status.Attended || !away
	return true
}

func rank(b By) int {
	if b == ByOffice {
		return 1
	}
	return 0
}

func (d *decision) early(home time.Time) bool {
	return !d.status.LastOut.IsZero() && d.status.LastOut.Before(home.Add(-minutes(d.Hours.Slack)))
}

// byTaps compares the first way in with the bell and the last way out with the end of the day.
func (d *decision) byTaps(due, home time.Time) {
	if len(d.moves) == 0 {
		d.withoutTaps(due)
		return
	}
	d.arrival(due)
	d.departure(home)
}

func (d *decision) arrival(due time.Time) {
	s := &d.status
	s.Outcome = Present
	switch {
	case s.FirstIn.IsZero():
		d.addReason(OutOnly)
	case d.doubtful():
		d.addReason(ClockDoubt)
	case !s.FirstIn.After(due):
		d.addReason(InOnTime)
	default:
		d.addReason(InLate)
		// A reader that failed between the deadline and this tap may have swallowed an earlier one.
		if r := d.unobserved(In, due, s.FirstIn); r != "" {
			s.Outcome = Unknown
			d.addReason(r)
			return
		}
		s.LateIn = minutesUp(s.FirstIn.Sub(due.Add(-minutes(d.Hours.Grace))))
		s.Outcome, s.Minutes = Late, s.LateIn
	}
}

func (d *decision) departure(home time.Time) {
	s := &d.status
	switch {
	case d.doubtful():
	case d.early(home) && d.leaveAt(s.LastOut) != "" && d.leaveAt(d.now) != "":
		d.addReason(LeavePartial) // out on leave, expected back
	case d.early(home):
		s.Outcome, s.Minutes = LeftEarly, minutesUp(home.Sub(s.LastOut))
		d.addReason(OutEarly)
		d.unobservedReason(In, s.LastOut, earlier(d.now, home)) // may have come back unheard
	case !s.LastOut.IsZero():
		d.addReason(OutOnTime)
	case d.Hours.TapOut && !d.now.Before(d.Day.At(d.Hours.Closes)):
		d.addReason(NotLeft)
		d.unobservedReason(Out, home.Add(-minutes(d.Hours.Slack)), d.now)
	}
}

// withoutTaps is the sixth rule: silence is absence only when the gate was able to hear. What fails after
// the parents were to be notified does not undo it: who comes later than that is entered by a mark.
func (d *decision) withoutTaps(due time.Time) {
	s := &d.status
	s.Outcome = Pending
	if !d.now.After(due) {
		d.addReason(NotDue)
		return
	}
	decided := earlier(d.now, due.Add(minutes(d.Hours.TellParents)))
	switch r := d.unobserved(In, d.Day.At(d.Hours.Opens), decided); {
	case r != "":
		s.Outcome = Unknown
		d.addReason(r)
	case d.Doubt:
		s.Outcome = Unknown
		d.addReason(ClockDoubt)
	case d.NoCard:
		s.Outcome = Unknown
		d.addReason(NoCard)
	default:
		s.Outcome = AbsentUnexplained
		d.addReason(NoTap)
	}
}

// doubtful says that the clock was not trusted at one of the taps, so that minutes mean nothing.
func (d *decision) doubtful() bool {
	return slices.ContainsFunc(d.moves, func(m Move) bool { return m.Doubt })
}

// unobserved names what could not be heard of a way in [from, to].
func (d *decision) unobserved(way Direction, from, to time.Time) Reason {
	var found Reason
	for _, b := range d.Unobserved {
		if !b.hides(way, from, to) {
			continue
		}
		if b.Register {
			return RegisterUnobserved
		}
		found = GateUnobserved
	}
	return found
}

func (d *decision) unobservedReason(way Direction, from, to time.Time) {
	if r := d.unobserved(way, from, to); r != "" {
		d.addReason(r)
	}
}

func minutes(n int) time.Duration { return time.Duration(n) * time.Minute }

// minutesUp counts begun minutes: one second late is one minute late.
func minutesUp(d time.Duration) int { return int((d + time.Minute - 1) / time.Minute) }

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
