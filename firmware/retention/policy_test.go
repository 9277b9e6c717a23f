package retention

import (
	"syscall"
	"testing"
	"time"

	"campuskeep/firmware/disk/disktest"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// Covers F3: the zone only labels days. Around both changes of the clocks footage goes 30 × 24 h after its last frame:
// not an hour early, not an hour late, and the key of the day of 23 or 25 hours goes with the last of it.
func TestDaylightSavingNeitherEarlyNorLate(t *testing.T) {
	for _, c := range []struct {
		zone   string
		change time.Time // the instant at which the clocks change
	}{
		{"Europe/Berlin", time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC)},
		{"Europe/Berlin", time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC)},
		{"America/New_York", time.Date(2026, 3, 8, 7, 0, 0, 0, time.UTC)},
		{"America/New_York", time.Date(2026, 11, 1, 6, 0, 0, 0, time.UTC)},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		_, before := c.change.Add(-time.Minute).In(zone).Zone()
		if _, after := c.change.In(zone).Zone(); before == after {
			t.Fatalf("%s: the clocks do not change at %v", c.zone, c.change)
		}
		for _, recorded := range []bool{true, false} { // the change lies in the recording, or in its deletion
			h := newEnv(t)
			h.zone = zone
			begin := c.change.Add(-2 * time.Hour)
			if !recorded {
				begin = begin.Add(-30 * day)
			}
			h.clock.reboot("boot-dst", begin)
			h.clock.trust(begin, 0)
			var ends []time.Time
			for range 40 { // every ten minutes, across midnight of none but the change of all
				h.record("c01", 1)
				ends = append(ends, h.clock.Now().Wall)
				h.clock.Pass(9 * time.Minute)
			}
			h.clock.trust(h.clock.Now().Wall, 0) // anchored again, so that drift does not blur the minute
			days := len(h.keys.IDs())
			for i, end := range ends {
				due := end.Add(30 * day)
				h.clock.Pass(due.Add(-time.Second).Sub(h.clock.Now().Wall))
				h.clock.trust(h.clock.Now().Wall, 0)
				h.sweep()
				if n := h.files("c01"); n != len(ends)-i {
					t.Fatalf("%s, %v: a second before the time of segment %d there are %d", c.zone, c.change, i, n)
				}
				if i%13 != 0 { // the exact moment of some of them
					continue
				}
				seg := h.rows("c01")
				places, err := h.r.Places()
				h.must(err)
				var last time.Time
				for _, s := range seg {
					if at, ok := places.LastFrame(s); ok && h.vault.HasFile(s) {
						last = at
						break
					}
				}
				if late := last.Sub(end); late < 0 || late > time.Minute {
					t.Fatalf("the last frame of segment %d is placed %v after its end", i, late)
				}
				h.clock.Pass(last.Add(30 * day).Sub(h.clock.Now().Wall))
				h.sweep()
				if n := h.files("c01"); n != len(ends)-i-1 {
					t.Fatalf("%s, %v: at the time of segment %d there are %d", c.zone, c.change, i, n)
				}
			}
			h.clock.Pass(day)
			h.sweep()
			if n := h.files("c01"); n != 0 || len(h.keys.IDs()) != 0 || days == 0 {
				t.Fatalf("%s: %d files, keys %v", c.zone, n, h.keys.IDs())
			}
			h.check()
			h.close(true)
		}
	}
}

// Covers F3: more days keep what has not been condemned; what has been stays condemned. Fewer days let go at once.
func TestPolicyChangesInMidFlight(t *testing.T) {
	h := newEnv(t)
	h.record("c01", 10)
	h.clock.Pass(10 * day)
	h.record("c01", 10)
	h.clock.Pass(20*day + time.Hour)
	h.sweep() // the first ten
	if h.files("c01") != 10 {
		t.Fatalf("%d files", h.files("c01"))
	}
	h.cameras[0].Policy = footage.Policy{Days: 90, Reason: "key site"}
	h.clock.Pass(30 * day)
	h.sweep()
	if h.files("c01") != 10 || h.deleted() != 10 {
		t.Fatalf("with ninety days %d files are left", h.files("c01"))
	}
	for _, s := range h.rows("c01") {
		r, err := h.source().OpenSegment(t.Context(), s)
		h.must(err)
		h.must(r.Close())
	}
	h.cameras[0].Policy = footage.Policy{Days: 30}
	h.sweep()
	if h.files("c01") != 0 || h.deleted() != 20 || len(h.keys.IDs()) != 0 {
		t.Fatalf("with thirty days again %d files, %d deleted, keys %v", h.files("c01"), h.deleted(), h.keys.IDs())
	}
	h.check()
}

// Covers F3: days that are raised while a file cannot be unlinked do not bring it back.
func TestRaisedPolicyDoesNotPardonTheCondemned(t *testing.T) {
	h := newEnv(t)
	h.record("c01", 5)
	restore := h.disk.Fail(disktest.Rule{Match: disktest.Match("remove", "c01/"), Err: syscall.EIO})
	h.clock.Pass(31 * day)
	if res := h.sweep(); res.Failed != 5 {
		t.Fatalf("%+v", res)
	}
	h.cameras[0].Policy = footage.Policy{Days: 365, Reason: "too late"}
	if list, err := h.source().Segments(t.Context(), "c01", footage.Span{From: morning, To: morning.Add(day)}); err != nil || len(list) != 0 {
		t.Fatalf("%d condemned segments are shown again, %v", len(list), err)
	}
	restore()
	h.sweep()
	if h.files("c01") != 0 || h.deleted() != 5 {
		t.Fatalf("%d files, %d deleted", h.files("c01"), h.deleted())
	}
	h.check()
}

// Covers F3: footage of a camera that is retired, or gone from the register, goes on time all the same.
func TestRetiredCameraGoesOnTime(t *testing.T) {
	h := newEnv(t)
	h.record("c01", 3)
	h.record("c02", 3)
	h.cameras[1].Retired = true // keeps its ninety days
	h.cameras = h.cameras[1:]   // nobody knows c01 any more
	h.clock.Pass(30*day - 10*time.Minute)
	h.sweep()
	if h.files("c01") != 3 {
		t.Fatal("early")
	}
	h.clock.Pass(time.Hour)
	h.sweep()
	if h.files("c01") != 0 || h.files("c02") != 3 {
		t.Fatalf("%d and %d files", h.files("c01"), h.files("c02"))
	}
	h.clock.Pass(60 * day)
	h.sweep()
	if h.files("c02") != 0 || len(h.keys.IDs()) != 0 {
		t.Fatalf("%d files, keys %v", h.files("c02"), h.keys.IDs())
	}
	h.check()
}

// The sweep comes by itself at the deadline: within the pace of Run, whatever the camera.
func TestNextIsTheEarliestDeadlineOfAllCameras(t *testing.T) {
	h := newEnv(t)
	h.record("c02", 1) // ninety days
	h.record("c01", 1)
	res := h.sweep()
	places, err := h.r.Places()
	h.must(err)
	last, _ := places.LastFrame(h.rows("c01")[0])
	if !res.Next.Equal(last.Add(30 * day)) {
		t.Errorf("next at %v, want %v", res.Next, last.Add(30*day))
	}
	h.clock.Change(func(r *clock.Reading) { r.State = clock.Untrusted })
	if res = h.sweep(); !res.Next.IsZero() {
		t.Errorf("next at %v although nothing is deleted", res.Next)
	}
}
