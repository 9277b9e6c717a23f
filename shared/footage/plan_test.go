package footage

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"campuskeep/shared/clock"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world is a random truth: boots that really began at some instant, anchors that are right within their
// uncertainty, segments, holds, policies.
type world struct {
	began    map[string]time.Time // true instant of mono 0
	rate     map[string]float64   // true seconds per second of the monotonic clock − 1, within DriftPPM
	places   Places
	segments []Segment
	holds    []Hold
	policy   Policy
}

// truth is when an instant of a boot really was.
func (w world) truth(boot string, mono time.Duration) time.Time {
	return w.began[boot].Add(mono + time.Duration(w.rate[boot]*float64(mono)))
}

func drawWorld(t *rapid.T) world {
	w := world{began: map[string]time.Time{}, rate: map[string]float64{}, policy: Policy{Days: rapid.SampledFrom([]int{30, 31, 90}).Draw(t, "days")}}
	w.places.Bounds = map[string]time.Time{}
	at := noon
	var anchors []clock.Anchor
	for i := range rapid.IntRange(1, 4).Draw(t, "boots") {
		boot := fmt.Sprintf("boot-%d", i)
		length := time.Duration(rapid.IntRange(1, 40*24).Draw(t, "hours")) * time.Hour
		w.began[boot] = at
		w.rate[boot] = float64(rapid.IntRange(-clock.DriftPPM, clock.DriftPPM).Draw(t, "ppm")) / 1e6
		switch rapid.IntRange(0, 3).Draw(t, "known by") {
		case 0: // nothing
		case 1:
			w.places.Bounds[boot] = w.truth(boot, length).Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "bound")) * time.Hour)
		default:
			for range rapid.IntRange(1, 3).Draw(t, "anchors") {
				mono := time.Duration(rapid.Int64Range(0, int64(length)).Draw(t, "anchor"))
				unc := time.Duration(rapid.IntRange(0, 5000).Draw(t, "uncertainty")) * time.Millisecond
				off := time.Duration(rapid.Int64Range(-int64(unc), int64(unc)).Draw(t, "error"))
				anchors = append(anchors, clock.Anchor{Boot: boot, Mono: mono, UTC: w.truth(boot, mono).Add(off), Uncertainty: unc})
			}
		}
		for j := range rapid.IntRange(0, 6).Draw(t, "segments") {
			from := time.Duration(rapid.Int64Range(0, int64(length)).Draw(t, "from"))
			w.segments = append(w.segments, Segment{Camera: "c01", File: FileID{byte(i), byte(j)}, Boot: boot, From: from, To: from + time.Minute, Wall: noon})
		}
		at = w.truth(boot, length).Add(time.Duration(rapid.IntRange(0, 500).Draw(t, "off")) * time.Hour)
	}
	w.places.Anchors = clock.NewAnchors(anchors...)
	for i := range rapid.IntRange(0, 2).Draw(t, "holds") {
		from := noon.Add(time.Duration(rapid.IntRange(0, 60*24).Draw(t, "hold from")) * time.Hour)
		h := Hold{ID: fmt.Sprintf("h%d", i), Cameras: []string{rapid.SampledFrom([]string{"c01", "c02"}).Draw(t, "hold camera")},
			Span: Span{from, from.Add(time.Duration(rapid.IntRange(1, 200).Draw(t, "hold hours")) * time.Hour)}, Until: noon.Add(time.Duration(rapid.IntRange(0, 200*24).Draw(t, "until")) * time.Hour)}
		if rapid.Bool().Draw(t, "released") {
			h.Released = noon
		}
		w.holds = append(w.holds, h)
	}
	return w
}

// due is what a camera's policy asks for at one instant.
type due struct {
	delete []Segment // must go
	held   []Segment // would have to go, but a hold keeps them
	next   time.Time // the earliest possible now at which another segment will be due; zero: none known
}

// plan judges all segments of one camera.
func plan(segments []Segment, places Places, holds []Hold, policy Policy, now clock.Reading) (d due) {
	watermark := Watermark(policy, now)
	for _, s := range segments {
		switch v, last := Judge(s, places, holds, watermark, now); v {
		case Live:
			if at := last.Add(policy.Keep()); d.next.IsZero() || at.Before(d.next) {
				d.next = at
			}
		case HeldBack:
			d.held = append(d.held, s)
		case Expired:
			d.delete = append(d.delete, s)
		}
	}
	return d
}

// Covers F3: against the truth that no clock knows, nothing goes early, nothing held goes, and what is due by
// more than all uncertainties does go.
func TestPlanAgainstTheTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		now := noon.Add(time.Duration(rapid.IntRange(0, 300*24*3600).Draw(t, "now")) * time.Second)
		unc := time.Duration(rapid.IntRange(0, 600).Draw(t, "now uncertainty")) * time.Second
		off := time.Duration(rapid.Int64Range(-int64(unc), int64(unc)).Draw(t, "now error"))
		r := clock.Reading{Wall: now.Add(off), Uncertainty: unc, State: clock.State(rapid.IntRange(0, 2).Draw(t, "state")), Boot: "now", Mono: time.Hour}
		due := plan(w.segments, w.places, w.holds, w.policy, r)
		if r.State != clock.Trusted && len(due.delete)+len(due.held) > 0 {
			t.Fatalf("%v clock: %d segments are due", r.State, len(due.delete))
		}
		gone := map[FileID]bool{}
		for _, s := range due.delete {
			gone[s.File] = true
			last := w.truth(s.Boot, s.To)
			if age := now.Sub(last); age < w.policy.Keep() {
				t.Fatalf("a segment of age %v goes, %v are to be kept", age, w.policy.Keep())
			}
			if w.places.Unplaced(s.Boot) {
				t.Fatal("a segment of a boot of which nothing is known goes")
			}
			p := w.places.Place(s)
			really := Span{w.truth(s.Boot, s.From), last}
			for _, h := range w.holds {
				if p.Anchored && h.Released.IsZero() && now.Add(2*unc).Before(h.Until) && h.Covers(s.Camera, really) {
					t.Fatalf("a segment goes although hold %s covers it", h.ID)
				}
			}
		}
		if r.State != clock.Trusted {
			return
		}
		for _, s := range w.segments {
			last, ok := w.places.LastFrame(s)
			if !ok || gone[s.File] {
				continue
			}
			if !due.next.IsZero() && !due.next.After(r.Earliest()) {
				t.Fatalf("next is due at %v, it is %v at the earliest", due.next, r.Earliest())
			}
			held := HeldBy(w.holds, w.places.Place(s), r) != ""
			if late := r.Earliest().Sub(last) - w.policy.Keep(); late >= 0 && !held {
				t.Fatalf("a segment stays although it is due since %v", late)
			}
		}
		// By the time of Next, and not before, another one is due.
		if !due.next.IsZero() {
			r.Wall = due.next.Add(unc)
			if again := plan(w.segments, w.places, nil, w.policy, r); len(again.delete) <= len(due.delete)+len(due.held) {
				t.Fatalf("nothing more is due at %v", due.next)
			}
			r.Wall = r.Wall.Add(-1)
			if again := plan(w.segments, w.places, nil, w.policy, r); len(again.delete) != len(due.delete)+len(due.held) {
				t.Fatalf("something is due before %v", due.next)
			}
		}
	})
}

// What is past its ceiling by the truth is never shown by a clock that is right; what is far from it always is.
func TestCeilingAgainstTheTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		now := noon.Add(time.Duration(rapid.IntRange(0, 300*24*3600).Draw(t, "now")) * time.Second)
		r := clock.Reading{Wall: now, State: clock.Trusted, Boot: "now"}
		for _, s := range w.segments {
			if w.places.Unplaced(s.Boot) {
				continue
			}
			age := now.Sub(w.truth(s.Boot, s.To))
			previous := PastCeiling(s, w.places, w.policy, r)
			if !previous && age >= w.policy.Keep() && w.places.Anchors.Has(s.Boot) {
				t.Fatalf("shown at the age of %v", age)
			}
			if previous && age < w.policy.Keep()-time.Hour {
				t.Fatalf("refused at the age of %v", age)
			}
		}
	})
}

func TestCeilingOfTheRunningBootFollowsItsOwnClock(t *testing.T) {
	s := Segment{Camera: "c01", Boot: "b", From: time.Hour, To: time.Hour + time.Minute}
	places := Places{Anchors: clock.NewAnchors(clock.Anchor{Boot: "b", UTC: noon})}
	policy := Policy{Days: 30}
	r := clock.Reading{Wall: noon.Add(31 * 24 * time.Hour), State: clock.Suspect, Boot: "b", Mono: 2 * time.Hour}
	if PastCeiling(s, places, policy, r) {
		t.Error("a wall clock that jumped hides what was recorded an hour ago")
	}
	r.Mono = 31 * 24 * time.Hour
	if !PastCeiling(s, places, policy, r) {
		t.Error("shown after 31 days of the same boot")
	}
}

func TestUnknownCameraOfHoldDoesNotCover(t *testing.T) {
	h := Hold{ID: "h", Cameras: []string{"c02"}, Span: Span{noon, noon.Add(time.Hour)}, Until: noon.Add(time.Hour)}
	p := Placed{Segment: Segment{Camera: "c01"}, Span: h.Span}
	if HeldBy([]Hold{h}, p, clock.Reading{Wall: noon, State: clock.Trusted}) != "" {
		t.Error("a hold on another camera counts")
	}
	p.Camera = "c02"
	late := clock.Reading{Wall: noon.Add(2 * time.Hour), State: clock.Trusted}
	if HeldBy([]Hold{h}, p, late) != "" {
		t.Error("a hold counts after its end")
	}
	late.State = clock.Suspect
	if HeldBy([]Hold{h}, p, late) != "h" {
		t.Error("a clock that is not trusted ends a hold")
	}
}
