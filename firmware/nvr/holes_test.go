package nvr_test

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"campuskeep/firmware/nvr"
	sim "campuskeep/scripts/sim/nvr"
	"campuskeep/shared/footage"
)

var holeRuns = flag.Int("holes", 6, "NVRs with random holes that are fetched from")

// dated is a fetched fragment with where it was placed and when its first picture was recorded.
type dated struct {
	placed, taken time.Time
	doubt         time.Duration
	pictures      []time.Time
}

func (r *rig) dated() (out []dated) {
	r.t.Helper()
	source := r.vault.Source(r.places)
	for _, s := range r.fetched() {
		seg, err := source.OpenSegment(r.t.Context(), s.Segment)
		r.must(err)
		for i, f := range seg.Fragments() {
			b, err := seg.Fragment(i)
			r.must(err)
			dates := sim.Dates(b)
			if len(dates) == 0 {
				r.t.Fatal("a fragment without a date")
			}
			out = append(out, dated{s.Span.From.Add(f.From - s.From), dates[0], s.Uncertainty, dates})
		}
		r.must(seg.Close())
	}
	return out
}

// placedRightly checks that each picture is where it was recorded, as far as is claimed, and that everything of the
// span is there that was recorded.
func (r *rig) placedRightly(span footage.Span, holes []footage.Span, worst time.Duration) error {
	seen := map[time.Time]int{}
	for _, d := range r.dated() {
		if off := d.placed.Sub(d.taken).Abs(); off > d.doubt || off > worst {
			return fmt.Errorf("recorded at %v, placed at %v ± %v", d.taken, d.placed, d.doubt)
		}
		for _, p := range d.pictures {
			seen[p.Truncate(time.Second)]++
		}
	}
	missing, twice := 0, 0
	for at := span.From; at.Before(span.To); at = at.Add(time.Second) {
		whole := footage.Span{From: at, To: at.Add(time.Second)}
		torn := false
		for _, h := range holes {
			torn = torn || h.Overlaps(footage.Span{From: whole.From.Add(-2 * time.Second), To: whole.To.Add(2 * time.Second)})
		}
		switch n := seen[at]; {
		case n < fps && !torn:
			missing++
		case n > 2*fps:
			return fmt.Errorf("the second of %v is there %d times", at, n/fps)
		case n > fps: // as short a hole as does not show
			twice++
		}
	}
	if twice > 4*len(holes) {
		return fmt.Errorf("%d seconds are there twice", twice)
	}
	if missing > 0 {
		return fmt.Errorf("%d seconds that were recorded are missing", missing)
	}
	return nil
}

// Covers F4: whatever holes an NVR has that its list does not show, what lies behind them is fetched, and is where
// it was recorded.
func TestHolesThatNoListShows(t *testing.T) {
	t.Parallel()
	span := at(-72*time.Hour, -72*time.Hour+10*time.Minute)
	in := func(from, to time.Duration) footage.Span { return at(-72*time.Hour+from, -72*time.Hour+to) }
	for name, c := range map[string]struct {
		habits sim.Habits
		holes  []footage.Span
		asked  footage.Span
		worst  time.Duration
		known  bool // the list shows it by the time of the fetch
	}{
		"in the middle, and it tells once":           {holes: []footage.Span{in(4*time.Minute, 6*time.Minute)}},
		"in the middle, times go on":                 {habits: sim.Habits{NoStep: true}, holes: []footage.Span{in(4*time.Minute, 6*time.Minute)}},
		"in the middle, times go on, told again":     {habits: sim.Habits{NoStep: true, TellEvery: 5 * time.Second}, holes: []footage.Span{in(4*time.Minute, 6*time.Minute)}},
		"told again, and it plays on":                {habits: sim.Habits{NoStep: true, PlayOn: true, TellEvery: 5 * time.Second}, holes: []footage.Span{in(4*time.Minute, 6*time.Minute)}},
		"begins in it":                               {asked: in(30*time.Second, 5*time.Minute), holes: []footage.Span{in(0, 2*time.Minute)}},
		"begins in it, and it tells nothing":         {habits: sim.Habits{PlayClock: "none"}, asked: in(30*time.Second, 5*time.Minute), holes: []footage.Span{in(0, 2*time.Minute)}, worst: 31 * time.Second},
		"in the middle, and it tells nothing":        {habits: sim.Habits{PlayClock: "none", NoStep: true}, holes: []footage.Span{in(4*time.Minute, 4*time.Minute+40*time.Second)}, worst: 31 * time.Second},
		"the list shows it now":                      {holes: []footage.Span{in(4*time.Minute, 6*time.Minute)}, known: true},
		"the list shows it now, and nothing is told": {habits: sim.Habits{PlayClock: "none", NoStep: true}, asked: in(30*time.Second, 5*time.Minute), holes: []footage.Span{in(0, 2*time.Minute)}, known: true, worst: 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.habits.Zone, c.habits.Dated = "CST-8:00:00", true
			r := newRig(t, func(o *sim.Options) { o.Habits, o.Speed = c.habits, 20000 })
			r.register()
			r.check()
			if c.known {
				ch, _ := r.nvr.Channel(1)
				ch.Torn = c.holes
				r.nvr.Record(1, ch.Playable()...)
			} else {
				r.nvr.Tear(1, c.holes...)
			}
			if c.asked.To.IsZero() {
				c.asked = span
			}
			f := r.bring(c.asked)
			if c.worst == 0 {
				c.worst = 2 * time.Second
			}
			if err := r.placedRightly(c.asked, c.holes, c.worst); err != nil {
				t.Errorf("%v; %+v; %+v", err, f, r.nvr.Counts())
			}
			if f.State != nvr.FetchPartial || f.Reason != "gone" || len(f.Empty) == 0 {
				t.Errorf("%+v", f)
			}
		})
	}
}

// Covers F4: a playback of which nothing comes, or in which the time is not stated for once, says nothing about what is
// recorded: it is asked for again, and nothing is called gone.
func TestAPlaybackThatSaysNothingIsNoAnswer(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]sim.Faults{
		"nothing comes":           {Mute: 2},
		"the time is not stated":  {Untold: 2},
		"the one, then the other": {Mute: 1, Untold: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(o *sim.Options) {
				o.Habits, o.Speed = sim.Habits{Zone: "CST-8:00:00", Dated: true}, 20000
			})
			r.register()
			r.check()
			r.nvr.Set(func(_ *sim.Habits, f *sim.Faults) { *f = fault })
			span := at(-72*time.Hour, -72*time.Hour+90*time.Second)
			f := r.bring(span)
			if err := r.placedRightly(span, nil, 2*time.Second); err != nil || f.State != nvr.FetchDone || len(f.Empty) > 0 {
				t.Errorf("%v; %+v; %+v", err, f, r.nvr.Counts())
			}
		})
	}
}

// The same with random holes and habits.
func TestRandomHoles(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	for n := range *holeRuns {
		habits, holes, span := rapid.Custom(drawHoles).Example(n), []footage.Span(nil), at(-72*time.Hour, -72*time.Hour+8*time.Minute)
		holes = habits.holes
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(o *sim.Options) { o.Habits, o.Speed = habits.Habits, 20000 })
			r.register()
			r.check()
			r.nvr.Tear(1, holes...)
			f := r.bring(span)
			worst := 5 * time.Second
			if habits.PlayClock == "none" {
				worst = 35 * time.Second
			}
			if err := r.placedRightly(span, holes, worst); err != nil {
				t.Errorf("%v\n%+v\n%+v\n%+v", err, habits, f, r.nvr.Counts())
			}
		})
	}
}

type holed struct {
	sim.Habits
	holes []footage.Span
}

func drawHoles(t *rapid.T) (h holed) {
	h.Habits = sim.Habits{Zone: "CST-8:00:00", Dated: true, NoStep: rapid.Bool().Draw(t, "no step"),
		PlayClock: rapid.SampledFrom([]string{"", "", "none"}).Draw(t, "clock"), TellEvery: time.Duration(rapid.SampledFrom([]int{0, 3, 7}).Draw(t, "tells")) * time.Second}
	at := noon.Add(-72 * time.Hour)
	for range rapid.IntRange(1, 4).Draw(t, "holes") {
		from := at.Add(time.Duration(rapid.IntRange(0, 1800).Draw(t, "from")) * 100 * time.Millisecond)
		at = from.Add(time.Duration(rapid.IntRange(5, 1500).Draw(t, "length")) * 100 * time.Millisecond)
		h.holes = append(h.holes, footage.Span{From: from, To: at})
	}
	return h
}
