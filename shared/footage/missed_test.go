package footage

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"campuskeep/shared/clock"
)

// Boots that are known and boots that nobody ever could place, with months between them: what is missing is reported
// once, with its true length, and never under another day's name.
func TestWhatWasMissedIsPlacedByAnchors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hours := func(name string, most int) time.Duration {
			return time.Duration(rapid.IntRange(1, most).Draw(t, name)) * time.Hour
		}
		var anchors clock.Anchors
		var notes []Missed
		var footage []Span // what is there and can be placed
		now, boots := noon, rapid.IntRange(1, 6).Draw(t, "boots")
		began := map[string]time.Time{}
		var last Instant
		var begin time.Time // from here on everything is known or told
		for i := range boots {
			boot := fmt.Sprintf("boot%d", i)
			began[boot] = now
			known := i == boots-1 || rapid.Bool().Draw(t, "known")
			if known {
				anchors = anchors.With(clock.Anchor{Boot: boot, UTC: now})
			}
			at := time.Minute // of the first picture
			if i > 0 {
				notes = append(notes, Missed{From: last, To: Instant{boot, at}, Cause: CausePowerOff})
			}
			if known && begin.IsZero() {
				begin = now.Add(at)
			}
			for range rapid.IntRange(0, 2).Draw(t, "outages") {
				from := at + hours("recorded", 50)
				to := from + hours("away", 50)
				notes = append(notes, Missed{From: Instant{boot, from}, To: Instant{boot, to}, Cause: CauseCameraOff})
				if known {
					footage = append(footage, Span{now.Add(at), now.Add(from)})
				}
				at = to
			}
			end := at + hours("rest", 50)
			if known {
				footage = append(footage, Span{now.Add(at), now.Add(end)})
			}
			last = Instant{boot, end}
			now = now.Add(end)
			if i < boots-1 {
				now = now.Add(hours("off", 24*90))
			}
		}
		truth := func(x Instant) time.Time { return began[x.Boot].Add(x.Mono) }
		parts := 0
		open := []Span{{begin, now}}
		for _, s := range Settle(notes, anchors, fmt.Sprintf("boot%d", boots-1)) {
			parts += s.Parts
			if !s.Placed {
				if anchors.Has(s.From.Boot) {
					t.Fatalf("%+v waits for nothing", s)
				}
				continue
			}
			if want := (Span{truth(s.From), truth(s.To)}); s.Span != want {
				t.Fatalf("%+v is told as %v, was %v", s.Missed, s.Span, want)
			}
			if s.Cause == CauseCameraOff && s.From.Boot != s.To.Boot || s.Cause == CausePowerOff && s.From.Boot == s.To.Boot {
				t.Fatalf("%+v", s)
			}
			before := total(open)
			if open = Without(open, s.Span); before-total(open) != s.Span.Duration() {
				t.Fatalf("%v is told twice, or was never missed", s.Span)
			}
		}
		for _, s := range footage {
			open = Without(open, s)
		}
		if parts != len(notes) || total(open) != 0 {
			t.Fatalf("%d of %d notes; neither footage nor a gap: %v", parts, len(notes), open)
		}
	})
}

func total(spans []Span) (d time.Duration) {
	for _, s := range spans {
		d += s.Duration()
	}
	return d
}

// A clock that was set back over a reboot gives no gap that ends before it began.
func TestAGapDoesNotEndBeforeItBegins(t *testing.T) {
	a := clock.NewAnchors(clock.Anchor{Boot: "a", UTC: noon}, clock.Anchor{Boot: "b", UTC: noon.Add(-time.Hour)})
	if s, ok := (Missed{From: Instant{"a", time.Minute}, To: Instant{"b", time.Minute}}).Place(a); ok {
		t.Errorf("placed as %v", s)
	}
}
