package nvr

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"campuskeep/shared/footage"
)

// owners says which cameras a channel shows at an instant.
func (d Device) owners(channel int, at time.Time) (out []string) {
	for _, camera := range d.everAssigned() {
		for _, w := range d.assignments(camera) {
			if s := w.clip(footage.Span{From: at, To: at.Add(time.Second)}); w.Channel == channel && s.From.Before(s.To) {
				out = append(out, camera)
			}
		}
	}
	return out
}

// However cables are plugged again and the register is corrected: no picture is ever two cameras', no camera is on two
// channels at one time, a change leaves the past alone, and the present is as it was stated. Covers F1, F12.
func TestNoPictureIsTwoCameras(t *testing.T) {
	start := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	const channels, hours = 4, 48
	rapid.Check(t, func(t *rapid.T) {
		d := Device{ID: "n01", Cameras: map[int]string{1: "c01", 2: "c02"}}
		for range rapid.IntRange(1, 8).Draw(t, "changes") {
			next := map[int]string{}
			for i := range channels {
				camera := fmt.Sprintf("c%02d", i+1)
				if n := rapid.IntRange(0, channels).Draw(t, camera); n > 0 && next[n] == "" {
					next[n] = camera
				}
			}
			at := start.Add(time.Duration(rapid.IntRange(0, hours-1).Draw(t, "hour")) * time.Hour)
			if rapid.Bool().Draw(t, "correction") {
				at = time.Time{}
			}
			after, first := d.reassign(next, at)
			if !first.IsZero() {
				if !first.After(at) {
					t.Fatalf("refused with %v, which is not after %v", first, at)
				}
				continue
			}
			for h := range hours {
				now := start.Add(time.Duration(h) * time.Hour)
				seen := map[string]int{}
				for n := range channels + 1 {
					list := after.owners(n, now)
					if len(list) > 1 {
						t.Fatalf("channel %d shows %v at %v: %+v", n, list, now, after.Assignments)
					}
					for _, camera := range list {
						if seen[camera] != 0 {
							t.Fatalf("%s is on channels %d and %d at %v: %+v", camera, seen[camera], n, now, after.Assignments)
						}
						seen[camera] = n
					}
					if before := d.owners(n, now); !at.IsZero() && now.Before(at) && fmt.Sprint(before) != fmt.Sprint(list) {
						t.Fatalf("channel %d was %v at %v, and is %v after a change at %v", n, before, now, list, at)
					}
				}
			}
			end := start.Add(hours * time.Hour)
			for n, camera := range next {
				if list := after.owners(n, end); len(list) != 1 || list[0] != camera {
					t.Fatalf("channel %d shows %v, not %s: %+v", n, list, camera, after.Assignments)
				}
			}
			d = after
		}
	})
}
