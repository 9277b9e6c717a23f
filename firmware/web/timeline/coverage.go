package timeline

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// RunGap is the pause between two segments that is still one run.
const RunGap = footage.Joined

// coverage answers where footage lies, from the index. A day that is over changes only by deletion, so
// its runs are kept for a while: thirty days of sixty-four cameras are millions of segments, and a page
// has a tenth of a second.
type coverage struct {
	src footage.Source

	mu    sync.Mutex
	days  map[string]map[int64]dayRuns // camera → start of the 24 h block → runs; guarded by mu
	stale []staleBlock                 // to be read again when nobody waits; guarded by mu
}

type dayRuns struct {
	runs    []footage.Span
	inVault []footage.Span // of them, what lies on our own disk; nil when all does
	read    time.Duration  // monotonic
	asked   bool           // is in stale
}

type staleBlock struct {
	camera string
	from   time.Time
}

const (
	Block     = 24 * time.Hour
	freshDays = 10 * time.Minute // how long the runs of a past block are believed
	staleDays = 2 * time.Hour    // and how long they are shown while they are being read again
	freshNow  = 2 * time.Second  // those of a block that is still being written
)

func newCoverage(src footage.Source) *coverage {
	return &coverage{src: src, days: map[string]map[int64]dayRuns{}}
}

// Runs lists the spans that are covered without a pause, oldest first, inside the span asked for.
func (c *coverage) Runs(ctx context.Context, camera string, span footage.Span, now time.Time, mono time.Duration) ([]footage.Span, error) {
	var out []footage.Span
	for b := span.From.Truncate(Block); b.Before(span.To); b = b.Add(Block) {
		day, err := c.block(ctx, camera, b, now, mono)
		if err != nil {
			return nil, err
		}
		for _, r := range day.runs {
			r = r.Intersect(span)
			if r.Duration() <= 0 {
				continue
			}
			if n := len(out); n > 0 && r.From.Sub(out[n-1].To) <= RunGap {
				if r.To.After(out[n-1].To) {
					out[n-1].To = r.To
				}
				continue
			}
			out = append(out, r)
		}
	}
	return out, nil
}

// InVault lists the spans of a camera on an NVR that lie on our own disk too. It knows what runs has read.
func (c *coverage) InVault(camera string, span footage.Span) (out []footage.Span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for b := span.From.Truncate(Block); b.Before(span.To); b = b.Add(Block) {
		out = append(out, Within(c.days[camera][b.Unix()].inVault, span)...)
	}
	return out
}

func (c *coverage) block(ctx context.Context, camera string, from, now time.Time, mono time.Duration) (dayRuns, error) {
	previous := now.Sub(from) >= Block+time.Hour
	c.mu.Lock()
	d, ok := c.days[camera][from.Unix()]
	age := mono - d.read
	if ok && previous && age >= freshDays && age < staleDays {
		if !d.asked {
			d.asked = true
			c.days[camera][from.Unix()] = d
			c.stale = append(c.stale, staleBlock{camera, from})
		}
		c.mu.Unlock()
		return d, nil
	}
	c.mu.Unlock()
	if ok && (previous && age < freshDays || age < freshNow) {
		return d, nil
	}
	return c.fetch(ctx, camera, from, now, mono)
}

// warm reads where the footage of the cameras in service lies, as far back as the ribbon goes.
func (c *coverage) warm(ctx context.Context, cameras []footage.Camera, now func() clock.Reading) error {
	for _, cam := range cameras {
		if cam.Retired {
			continue
		}
		at := now()
		if _, err := c.Runs(ctx, cam.ID, footage.Span{From: at.Wall.Add(-RibDays * Block), To: at.Wall}, at.Wall, at.Mono); err != nil {
			return err
		}
	}
	return nil
}

// refresh reads again what was shown although it had grown old, a few blocks at a time.
func (c *coverage) refresh(ctx context.Context, now time.Time, mono time.Duration) error {
	for range 64 {
		c.mu.Lock()
		if len(c.stale) == 0 {
			c.mu.Unlock()
			return nil
		}
		b := c.stale[0]
		c.stale = c.stale[1:]
		c.mu.Unlock()
		if _, err := c.fetch(ctx, b.camera, b.from, now, mono); err != nil {
			return err
		}
	}
	return nil
}

// fetch reads a block from the index.
func (c *coverage) fetch(ctx context.Context, camera string, from, now time.Time, mono time.Duration) (dayRuns, error) {
	segs, err := c.src.Segments(ctx, camera, footage.Span{From: from, To: from.Add(Block)})
	if err != nil {
		return dayRuns{}, fmt.Errorf("read where footage of %s lies: %w", camera, err)
	}
	d := dayRuns{runs: Merge(segs), read: mono}
	if slices.ContainsFunc(segs, onNVR) {
		d.inVault = Merge(slices.DeleteFunc(slices.Clone(segs), onNVR))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.days[camera] == nil {
		c.days[camera] = map[int64]dayRuns{}
	}
	c.days[camera][from.Unix()] = d
	for k := range c.days[camera] { // held footage of a year ago is asked for now and then, not kept
		if k < now.Add(-100*Block).Unix() {
			delete(c.days[camera], k)
		}
	}
	return d, nil
}

func onNVR(s footage.Placed) bool { return s.Custody == footage.CustodyNVR }

// Merge joins the spans of segments that touch.
func Merge(segs []footage.Placed) []footage.Span {
	spans := make([]footage.Span, 0, len(segs))
	for _, s := range segs {
		spans = append(spans, s.Span)
	}
	return footage.Join(spans, RunGap)
}

// Holes lists what is missing between the runs inside the span.
func Holes(runs []footage.Span, span footage.Span) []footage.Span {
	var out []footage.Span
	at := span.From
	for _, r := range runs {
		r = r.Intersect(span)
		if r.Duration() <= 0 {
			continue
		}
		if r.From.Sub(at) > RunGap {
			out = append(out, footage.Span{From: at, To: r.From})
		}
		if r.To.After(at) {
			at = r.To
		}
	}
	if span.To.Sub(at) > RunGap {
		out = append(out, footage.Span{From: at, To: span.To})
	}
	return out
}
