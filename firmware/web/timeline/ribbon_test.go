package timeline

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/web/frame"
	"campuskeep/shared/clock"
	"campuskeep/shared/clock/clocktest"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/ui"
)

var chinese = ui.Printer{Lang: ui.Chinese, Zone: shanghai}

func drawn(t *testing.T, change func(*RibInput)) Ribbon {
	t.Helper()
	in := RibInput{Now: present, Zone: shanghai, Cameras: []footage.Camera{{ID: "c01", Name: "东大门外", Policy: footage.Policy{Days: 30}, Since: present.AddDate(-1, 0, 0)}},
		Runs: map[string][]footage.Span{"c01": {{From: present.AddDate(0, 0, -33), To: present}}}, Online: map[string]string{"c01": "online"}, HoldName: frame.HoldName}
	if change != nil {
		change(&in)
	}
	return DrawRibbon(in, chinese)
}

// The deletion line is where thirty days end, and the first and last cells are part-days (design §8a).
func TestTheRibbonHasOneTimeScale(t *testing.T) {
	r := drawn(t, nil)
	if r.LimitX != "9.091%" || !r.Limit.Equal(present.Add(-30*24*time.Hour)) {
		t.Errorf("the line is at %s, %v", r.LimitX, r.Limit)
	}
	days := r.Rows[0].Days
	if len(days) != 31 || !strings.Contains(days[0].Name, "4月20日") || !strings.Contains(days[30].Name, "5月20日") {
		t.Fatalf("%d days, %q to %q", len(days), days[0].Name, days[len(days)-1].Name)
	}
	if days[0].Bar.X != r.LimitX || days[30].Bar.To != 1 || days[1].Bar.W != "3.03%" {
		t.Errorf("cells: %+v, %+v", days[0].Bar, days[30].Bar)
	}
	if row := r.Rows[0]; row.Percent != "100.00%" || row.Missing != 0 || len(row.Gaps) != 0 {
		t.Errorf("a whole month is %s, missing %v, %d gaps", row.Percent, row.Missing, len(row.Gaps))
	}
}

// A gap is shown at true scale with the cause that the log gives; an unexplained one is 疑, never "no data".
func TestGapsAreShownAtTrueScaleWithTheirCause(t *testing.T) {
	known := footage.Span{From: at(12, 1, 0), To: at(12, 14, 0)}
	strange := footage.Span{From: at(16, 22, 5), To: at(17, 6, 10)}
	r := drawn(t, func(in *RibInput) {
		in.Runs["c01"] = []footage.Span{{From: present.AddDate(0, 0, -33), To: known.From}, {From: known.To, To: strange.From}, {From: strange.To, To: present}}
		in.Noted = map[string][]footage.Gap{"c01": {{Camera: "c01", Span: known, Cause: footage.CausePowerOff}}, "c02": {{Camera: "c02", Span: strange, Cause: footage.CauseDisk}}}
	})
	row := r.Rows[0]
	if len(row.Gaps) != 2 || row.Gaps[0].Char != "电" || row.Gaps[1].Char != "疑" || row.Gaps[1].Tone != "bad" {
		t.Fatalf("%+v", row.Gaps)
	}
	if got, want := row.Gaps[0].Bar.To-row.Gaps[0].Bar.From, 13.0/24/RibDays; got < want*0.999 || got > want*1.001 {
		t.Errorf("13 hours are %f of the width, want %f", got, want)
	}
	if row.Missing != known.Duration()+strange.Duration() || row.Percent == "100.00%" {
		t.Errorf("missing %v, %s", row.Missing, row.Percent)
	}
	if name := row.Days[22].Name; !strings.Contains(name, "缺 13 小时（"+frame.GapName(chinese, footage.CausePowerOff)+"）") {
		t.Errorf("the day is called %q", name)
	}
	if len(r.Gaps) != 2 || r.Gaps[0].Span != strange {
		t.Errorf("the list of gaps: %+v", r.Gaps)
	}
}

// A second less than the whole is not the whole.
func TestCompletenessIsNeverRoundedUp(t *testing.T) {
	r := drawn(t, func(in *RibInput) {
		in.Runs["c01"] = []footage.Span{{From: present.AddDate(0, 0, -33), To: at(12, 1, 0)}, {From: at(12, 1, 0).Add(5 * time.Second), To: present}}
	})
	if row := r.Rows[0]; row.Percent != "99.99%" || row.Missing != 5*time.Second {
		t.Errorf("%s, missing %v", row.Percent, row.Missing)
	}
}

// Before a camera was registered nothing is missing; left of the line only what is held, or kept longer, shows.
func TestThePastLineZone(t *testing.T) {
	since := at(6, 10, 0)
	r := drawn(t, func(in *RibInput) {
		in.Cameras[0].Since = since
		in.Runs["c01"] = []footage.Span{{From: since, To: present}}
	})
	if row := r.Rows[0]; row.Missing != 0 || row.Began != "5月6日启用，此前无录像" || len(row.Recorded) != 1 {
		t.Errorf("a new camera: missing %v, since %q", row.Missing, row.Began)
	}
	zone := func(in *RibInput) { in.Runs["c01"] = []footage.Span{{From: present.AddDate(0, 0, -33), To: present}} }
	if row := drawn(t, zone).Rows[0]; len(row.Recorded) != 1 {
		t.Errorf("past the line shows %d pieces, want none", len(row.Recorded)-1)
	}
	held := footage.Hold{ID: "h2026-0047-1", Application: "a2026-0047", Cameras: []string{"c01"}, Span: footage.Span{From: present.AddDate(0, 0, -32), To: present.AddDate(0, 0, -29)}, Until: present.AddDate(0, 1, 0)}
	row := drawn(t, func(in *RibInput) { zone(in); in.Holds = []footage.Hold{held} }).Rows[0]
	if len(row.Recorded) != 2 || len(row.Holds) != 1 || row.Holds[0].Label != "锁定 视申047" {
		t.Errorf("held past the line: %d pieces, holds %+v", len(row.Recorded), row.Holds)
	}
	row = drawn(t, func(in *RibInput) { zone(in); in.Cameras[0].Policy.Days = 90 }).Rows[0]
	if len(row.Recorded) != 2 || row.LongKeep != 90 {
		t.Errorf("kept longer: %d pieces, %d days", len(row.Recorded), row.LongKeep)
	}
}

// Names of holds never lie on one another or on a gap's character.
func TestNamesOfHoldsFindRoom(t *testing.T) {
	bars := func(spans ...float64) (out []ribHold) {
		for _, a := range spans {
			out = append(out, ribHold{Bar: frame.Bar{From: a, To: a + 0.01}, Label: "锁定 视申047"})
		}
		return out
	}
	holds, gaps := bars(0.2, 0.26, 0.97, 0.5), []ribGap{{Bar: frame.Bar{From: 0.9, To: 0.91}, Char: "网"}}
	placeLabels(holds, gaps, []float64{760})
	if !gaps[0].Spot.Visible || holds[0].Spot.side != after || holds[1].Spot.Visible || !holds[3].Spot.Visible {
		t.Errorf("two beside one another and one alone: %+v", holds)
	}
	if holds[2].Spot.Visible {
		t.Errorf("between the gap's character and the edge there is no room: %+v", holds[2])
	}
}

// Counting counts how often the index is asked.
type Counting struct {
	footage.Source
	asked int
}

func (c *Counting) Segments(ctx context.Context, camera string, span footage.Span) ([]footage.Placed, error) {
	c.asked++
	return c.Source.Segments(ctx, camera, span)
}

// Days that are over are read from the index once; the present is read again, and a deletion is forgotten in time.
func TestCoverageIsReadOnce(t *testing.T) {
	c := clocktest.New(clockAt(present))
	src := &Counting{Source: film{c, nil}}
	cov := newCoverage(src)
	span := footage.Span{From: present.AddDate(0, 0, -30), To: present}
	read := func(mono time.Duration) int {
		src.asked = 0
		runs, err := cov.Runs(t.Context(), "c01", span, present, mono)
		if err != nil {
			t.Fatal(err)
		}
		if len(runs) != 1 || runs[0] != span {
			t.Fatalf("runs: %+v", runs)
		}
		return src.asked
	}
	if n := read(0); n != 31 {
		t.Errorf("first: %d days read", n)
	}
	if n := read(time.Second); n != 0 {
		t.Errorf("again at once: %d", n)
	}
	if n := read(5 * time.Second); n == 0 || n > 2 {
		t.Errorf("after five seconds: %d, want the present alone", n)
	}
	if n := read(freshDays + time.Minute); n == 0 || n > 2 {
		t.Errorf("after %v: %d, want the present alone; nobody waits for the rest", freshDays, n)
	}
	src.asked = 0
	if err := cov.refresh(t.Context(), present, freshDays+time.Minute); err != nil || src.asked < 29 {
		t.Errorf("in the background %d days are read anew (%v), want the past ones", src.asked, err)
	}
	if n := read(freshDays + 2*time.Minute); n > 2 {
		t.Errorf("afterwards: %d", n)
	}
	if n := read(freshDays + 2*time.Minute + staleDays); n != 31 {
		t.Errorf("when nobody looked for %v: %d, want all", staleDays, n)
	}
}

// Where footage lies is read before anybody asks: the first page after a start reads the present alone. Covers F3.
func TestCoverageIsWarmedBeforeTheFirstPage(t *testing.T) {
	c := clocktest.New(clockAt(present))
	src := &Counting{Source: film{c, nil}}
	cov := newCoverage(src)
	if err := cov.warm(t.Context(), []footage.Camera{{ID: "c01"}, {ID: "c02", Retired: true}}, c.Now); err != nil || src.asked < RibDays {
		t.Fatalf("%d days read, %v", src.asked, err)
	}
	src.asked = 0
	now := c.Now()
	if _, err := cov.Runs(t.Context(), "c01", footage.Span{From: present.AddDate(0, 0, -30), To: present}, now.Wall, now.Mono+5*time.Second); err != nil || src.asked > 2 {
		t.Errorf("the first page reads %d days (%v), want the present alone", src.asked, err)
	}
	if cov.days["c02"] != nil {
		t.Error("a camera out of service was read")
	}
}

// BenchmarkRibbon is the footage page of sixty-four cameras whose days were read before (design §10: < 100 ms).
func BenchmarkRibbon(b *testing.B) {
	c := clocktest.New(clockAt(present))
	cov := newCoverage(film{c, nil})
	in := RibInput{Now: present, Zone: shanghai, Runs: map[string][]footage.Span{}, Online: map[string]string{}, HoldName: frame.HoldName}
	span := footage.Span{From: present.AddDate(0, 0, -RibDays), To: present}
	for n := range 64 {
		in.Cameras = append(in.Cameras, footage.Camera{ID: fmt.Sprintf("c%02d", n), Name: "东大门外", Policy: footage.Policy{Days: 30}})
		if _, err := cov.Runs(b.Context(), in.Cameras[n].ID, span, present, 0); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		for _, cam := range in.Cameras {
			runs, err := cov.Runs(b.Context(), cam.ID, span, present, time.Second)
			if err != nil {
				b.Fatal(err)
			}
			in.Runs[cam.ID] = runs
		}
		DrawRibbon(in, chinese)
	}
}

func clockAt(t time.Time) clock.Reading {
	return clock.Reading{Wall: t.UTC(), State: clock.Trusted, Boot: "boot-1", Mono: time.Hour}
}

// Covers F3: what an NVR has not been asked about since its last listing is not missing; a hole before that is.
func TestWhatWasNotListedYetIsNotMissing(t *testing.T) {
	now := at(20, 10, 0)
	cam := footage.Camera{ID: "n01", Custody: footage.CustodyNVR, Policy: footage.Policy{Days: 30}}
	listed := now.Add(-2 * time.Hour)
	in := RibInput{Now: now, Cameras: []footage.Camera{cam}, Runs: map[string][]footage.Span{"n01": {{From: now.AddDate(0, 0, -40), To: listed.Add(-time.Hour)}, {From: listed.Add(-30 * time.Minute), To: listed}}}}
	if f := in.Facts(cam); f.Missing != 150*time.Minute {
		t.Errorf("of a camera that we record %v are missing, want 2 h 30", f.Missing)
	}
	in.Listed = map[string]time.Time{"n01": listed}
	if f := in.Facts(cam); f.Missing != 30*time.Minute || len(f.Gaps) != 1 || f.Gaps[0].Open || !f.Due.To.Equal(listed) {
		t.Errorf("%v missing in %d gaps up to %v, want 30 min in one, up to the listing", f.Missing, len(f.Gaps), f.Due.To)
	}
}
