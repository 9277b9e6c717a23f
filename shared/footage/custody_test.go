package footage

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Covers F3: what is proposed always fits, and what the disk could still hold is not given away.
func TestProposeFillsTheDiskAndNoMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		capacity := rapid.Int64Range(0, 1<<40).Draw(t, "capacity")
		held := rapid.Int64Range(0, 1<<36).Draw(t, "held")
		present := []Load{{Camera: "c01", BytesPerDay: rapid.Int64Range(0, 1<<34).Draw(t, "present"), Days: 30}}
		var offers []Offer
		for range rapid.IntRange(0, 8).Draw(t, "offers") {
			main := rapid.Int64Range(0, 1<<36).Draw(t, "main")
			offers = append(offers, Offer{Main: main, Sub: main / 8, Days: rapid.IntRange(30, 60).Draw(t, "days")})
		}
		got := Propose(present, held, capacity, offers)
		loads := slices.Clone(present)
		for i, k := range got {
			l, ok := offers[i].Load(k)
			if !ok {
				t.Fatalf("camera %d: %s of a stream that is not there", i, k)
			}
			if k == KeepNVR {
				if s, ok := offers[i].Load(KeepSub); ok && capacity > 0 && Predict(append(slices.Clone(loads), s), held, capacity).Fits {
					t.Fatalf("camera %d: its smaller stream would fit", i)
				}
				continue
			}
			loads = append(loads, l)
		}
		if len(loads) > 1 && !Predict(loads, held, capacity).Fits {
			t.Fatalf("%v does not fit", got)
		}
	})
}

func TestPerDay(t *testing.T) {
	if got := PerDay(4096); got != 44_236_800_000 {
		t.Errorf("4 Mbit/s write %d bytes a day", got)
	}
}
