package footage

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var april = time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)

func binding(hour int, late time.Duration) Binding {
	from := april.Add(time.Duration(hour) * time.Hour)
	return Binding{At: from.Add(time.Hour + 30*24*time.Hour + late), Trusted: true, Hour: from, Count: 60, First: from, Last: from.Add(time.Hour)}
}

// A deletion on time needs no word; one that is late needs causes that cover it; one that is early a breach.
func TestTimeOfADeletion(t *testing.T) {
	if got := TimeOf(binding(3, 90*time.Second), nil, nil, nil, nil); got.Late != 0 || got.Early != 0 || got.Faulty() {
		t.Errorf("on time: %+v", got)
	}
	late := binding(3, 5*time.Hour)
	if got := TimeOf(late, nil, nil, nil, nil); got.Late != 5*time.Hour || got.Unexplained != 5*time.Hour || !got.Faulty() {
		t.Errorf("late: %+v", got)
	}
	due := late.At.Add(-5 * time.Hour)
	power := Excuse{Span: Span{due.Add(-time.Hour), due.Add(3 * time.Hour)}, Cause: LatePower}
	clock := Excuse{Span: Span{due.Add(3 * time.Hour), due.Add(4*time.Hour + 55*time.Minute)}, Cause: LateClock}
	if got := TimeOf(late, nil, []Excuse{power}, nil, nil); got.Unexplained == 0 || !slices.Equal(got.Causes, []LateCause{LatePower}) {
		t.Errorf("late, half explained: %+v", got)
	}
	if got := TimeOf(late, nil, []Excuse{clock, power}, nil, nil); got.Unexplained != 0 || got.Faulty() || len(got.Causes) != 2 {
		t.Errorf("late, explained: %+v", got)
	}
	refused := Excuse{Span: Span{From: due.Add(30 * time.Second)}, Cause: LateUnlink}
	if got := TimeOf(late, nil, []Excuse{refused}, nil, nil); got.Faulty() {
		t.Errorf("the disk refused: %+v", got)
	}
	refused.Span.From = due.Add(-24 * time.Hour) // another file, the day before
	if got := TimeOf(late, nil, []Excuse{refused}, nil, nil); !got.Faulty() {
		t.Errorf("the disk refused something else: %+v", got)
	}
	hold := Kept{Span: Span{late.First, late.Last}, Since: due.Add(-10 * 24 * time.Hour), Ended: late.At.Add(-time.Minute)}
	if got := TimeOf(late, nil, nil, []Kept{hold}, nil); got.Faulty() || got.Causes[0] != LateHold {
		t.Errorf("held: %+v", got)
	}
	early := binding(3, -24*time.Hour)
	if got := TimeOf(early, nil, nil, nil, nil); got.Early != 24*time.Hour || !got.Faulty() {
		t.Errorf("early: %+v", got)
	}
	halves := []BreachEntry{{Seq: 4, Span: Span{early.First, early.First.Add(20 * time.Minute)}}, {Seq: 7, Span: Span{early.First.Add(20 * time.Minute), early.Last}}}
	if got := TimeOf(early, nil, nil, nil, halves[:1]); !got.Faulty() {
		t.Errorf("early, half told: %+v", got)
	}
	if got := TimeOf(early, nil, nil, nil, halves); got.Faulty() || got.Breach != 8 {
		t.Errorf("early, told: %+v", got)
	}
	wild := binding(3, 0)
	wild.Trusted = false
	if !TimeOf(wild, nil, nil, nil, nil).Faulty() {
		t.Error("a deletion by a clock that was not trusted is in order")
	}
}

// What ought to be there is what was recorded and what is missing, cause by cause, whatever the month was like.
func TestTheSumsOfAMonth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := Month{Camera: Camera{Custody: CustodyVault}, Span: Span{april, april.Add(48 * time.Hour)}, Now: april.Add(90 * 24 * time.Hour), Trusted: true}
		var present []Placed
		shown := time.Duration(0)
		for h := range 48 {
			switch rapid.SampledFrom([]string{"deleted", "there", "gap", "silent"}).Draw(t, "hour") {
			case "deleted":
				m.Recorded, m.Deleted, m.Removed = append(m.Recorded, binding(h, 0)), append(m.Deleted, binding(h, 0)), append(m.Removed, binding(h, 0))
			case "there":
				b := binding(h, 0)
				m.Recorded, present = append(m.Recorded, b), append(present, Placed{Span: Span{b.First, b.Last}, Anchored: true})
				m.Holds = []Kept{{Span: m.Span, Since: april}}
			case "gap":
				b := binding(h, 0)
				m.Gaps = append(m.Gaps, Gap{Span: Span{b.First, b.Last}, Cause: CausePowerOff})
				shown += time.Hour
			}
		}
		m.Present = slices.Values(present)
		r := Report(m)
		if r.Ought != 48*time.Hour || r.Have+r.Missing != r.Ought {
			t.Fatalf("ought %v, have %v, missing %v", r.Ought, r.Have, r.Missing)
		}
		sum := time.Duration(0)
		for _, c := range r.Causes {
			sum += c.Time
		}
		if sum != r.Missing || shown > r.Missing {
			t.Fatalf("causes %v of %v", r.Causes, r.Missing)
		}
		if len(r.Early)+len(r.Late) != 0 || r.OnTime != len(m.Removed) {
			t.Fatalf("early %v, late %v", r.Early, r.Late)
		}
	})
}

// What is there is taken as stretches, and deleted hours between them: the time line is that of segment by segment.
func TestStretchesCoverWhatTheirSegmentsCover(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string, least, most int) time.Duration {
			return time.Duration(rapid.IntRange(least, most).Draw(t, name)) * 500 * time.Millisecond
		}
		m := Month{Camera: Camera{Custody: CustodyVault}, Span: Span{april, april.Add(time.Hour)}, Now: april.Add(draw("now", 3000, 8000))}
		var segments []Placed
		at := april.Add(draw("begin", -20, 20))
		for range rapid.IntRange(0, 60).Draw(t, "segments") {
			s := Placed{Span: Span{at, at.Add(draw("length", 0, 240))}, Anchored: true}
			segments = append(segments, s)
			if at = s.Span.To.Add(draw("pause", -6, 10)); rapid.IntRange(0, 20).Draw(t, "another boot") == 0 {
				at = april.Add(draw("anew", -20, 7000))
			}
		}
		m.Present = slices.Values(slices.Clone(segments))
		if rapid.Bool().Draw(t, "held in part") {
			b := binding(0, 0)
			b.First, b.Last = april.Add(draw("first", 0, 3000)), april.Add(draw("last", 3000, 7200))
			m.Recorded, m.Deleted = []Binding{b}, []Binding{b}
			segments = append(segments, Placed{Span: Span{b.First, b.Last}, Anchored: true})
		}
		span := m.Span
		if m.Now.Before(span.To) {
			span.To = m.Now
		}
		want := Cover(span, segments, nil)
		got := Report(m)
		if got.Have != want.Recorded || got.Missing != want.Missing || !slices.Equal(got.Pieces, want.Pieces) {
			t.Fatalf("%v of stretches %+v\n%v of segments  %+v", got.Have, got.Pieces, want.Recorded, want.Pieces)
		}
	})
}

// Covers F3: footage whose file is gone and whose hour is not over yet is not overdue; what could not be removed, or
// was never condemned, is.
func TestOverdueIsWhatLiesThere(t *testing.T) {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	old := Placed{Segment: Segment{File: FileID{1}}, Span: Span{now.Add(-31 * 24 * time.Hour), now.Add(-31*24*time.Hour + time.Minute)}, Anchored: true}
	month := Month{Camera: Camera{ID: "c01", Policy: Policy{Days: 30}}, Span: Span{now.AddDate(0, -2, 0), now}, Now: now, Trusted: true, Present: slices.Values([]Placed{old})}
	for name, c := range map[string]struct {
		watermark time.Time
		stuck     map[FileID]bool
		want      int
	}{
		"condemned and removed":     {now.Add(-30 * 24 * time.Hour), nil, 0},
		"condemned and not removed": {now.Add(-30 * 24 * time.Hour), map[FileID]bool{{1}: true}, 1},
		"never condemned":           {now.Add(-40 * 24 * time.Hour), nil, 1},
	} {
		month.Watermark, month.Unerased = c.watermark, c.stuck
		if got := Report(month).Overdue; got != c.want {
			t.Errorf("%s: %d overdue, want %d", name, got, c.want)
		}
	}
}

// Covers F3: an NVR owes an answer a day from the day on which its camera was in the register, and not before; holes
// that several checks are about count once.
func TestTheMonthOfAnNVRsCamera(t *testing.T) {
	month := Span{april, april.AddDate(0, 1, 0)}
	m := Month{Camera: Camera{ID: "c05", Custody: CustodyNVR, Since: april.AddDate(0, -6, 0)}, Span: month, Now: month.To.AddDate(0, 1, 0)}
	dark := func(registered time.Time, checks ...time.Time) int {
		m.Policies, m.Checks = nil, nil
		if !registered.IsZero() {
			m.Policies = []PolicyAt{{At: registered, Days: 30}}
		}
		for _, at := range checks {
			m.Checks = append(m.Checks, Checked{At: at})
		}
		return Report(m).Dark
	}
	if n := dark(april.AddDate(0, -1, 0)); n != 30 {
		t.Errorf("registered before, never asked: %d days dark", n)
	}
	if n := dark(april.AddDate(0, 0, 27).Add(9*time.Hour), april.AddDate(0, 0, 27).Add(10*time.Hour)); n != 1 {
		t.Errorf("registered on the 28th, asked once: %d days dark", n)
	}
	if n := dark(time.Time{}); n != 0 {
		t.Errorf("registered later: %d days dark", n)
	}
	hole := Span{april.Add(10 * time.Hour), april.Add(20 * time.Hour)}
	m.Gaps = []Gap{{Span: hole, Cause: CauseDisk}, {Span: Span{hole.From.Add(5 * time.Hour), hole.To.Add(time.Hour)}, Cause: CauseDisk}}
	if r := Report(m); r.Missing != 11*time.Hour || r.Have+r.Missing != month.Duration() || len(r.Causes) != 1 || len(r.Pieces) < 3 || r.Unexplained() != 0 {
		t.Errorf("%v missing, %v there, %+v, %+v", r.Missing, r.Have, r.Causes, r.Pieces)
	}
}
