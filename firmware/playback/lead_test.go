package playback_test

import (
	"bytes"
	"context"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"campuskeep/scripts/sim/camera"
	"campuskeep/scripts/sim/render"
	"campuskeep/shared/footage"
	"campuskeep/shared/packet"
)

// Covers F12, F13: the whole span can be seen and nothing else, however rare key frames are; what had to be delivered
// so that its first picture can be decoded is reported.
func TestTheApprovedSpanIsSeenToThePicture(t *testing.T) {
	t.Parallel()
	r := record(t, func(o *camera.Options) { o.Coding.GOP = 40 })
	r.await(12)
	all := r.review()
	recorded := file(t, all)
	seen, err := render.Decode(t.Context(), bytes.NewReader(recorded), "-")
	if err != nil {
		t.Fatal(err)
	}
	d, _ := all.Close("v1")
	if runs, bad := render.Runs(seen); len(runs) != 1 || bad != 0 || len(d.Spans) != 1 {
		t.Fatalf("recorded %v, %d unreadable, delivered %v", runs, bad, d.Spans)
	}
	began, first := d.Spans[0].From, seen[0].Counter
	// Where the frames stand, by another reader: a busy machine stretches the distances by the 2 % of the time line.
	at := frameTimes(t, recorded)
	if len(at) != len(seen) {
		t.Fatalf("%d frame times, %d frames", len(at), len(seen))
	}
	for _, c := range []struct {
		key, from, to       int // frames
		afterFrom, beforeTo time.Duration
	}{
		{40, 50, 80, 30 * time.Millisecond, 50 * time.Millisecond},
		{0, 39, 59, 70 * time.Millisecond, 70 * time.Millisecond},
		{40, 40, 41, 10 * time.Millisecond, 10 * time.Millisecond},
	} {
		span := footage.Span{From: began.Add(at[c.from] + c.afterFrom), To: began.Add(at[c.to] + c.beforeTo)}
		p := r.view(span)
		b := file(t, p)
		list, err := p.Playlist(t.Context(), "v1")
		start := regexp.MustCompile(`#EXT-X-START:TIME-OFFSET=(0\.[01][0-9]+),PRECISE=YES\n`).FindSubmatch(list)
		if err != nil || start == nil {
			t.Fatalf("%v\n%s", err, list)
		}
		shown, err := render.Decode(t.Context(), bytes.NewReader(b), "-")
		if err != nil {
			t.Fatal(err)
		}
		runs, bad := render.Runs(shown)
		if bad != 0 || len(runs) != 1 || runs[0] != (render.Run{First: first + uint32(c.key), Last: first + uint32(c.to)}) {
			t.Errorf("%v: holds %v, want %d to %d", c, runs, first+uint32(c.key), first+uint32(c.to))
		}
		// The picture at the beginning of the span is the one before the first that begins in it.
		behind, err := render.Decode(t.Context(), bytes.NewReader(b), "-", "-ss", string(start[1]))
		if err != nil {
			t.Fatal(err)
		}
		if runs, _ := render.Runs(behind); len(runs) != 1 || runs[0] != (render.Run{First: first + uint32(c.from) + 1, Last: first + uint32(c.to)}) {
			t.Errorf("%v: behind the start %v, want %d to %d", c, runs, first+uint32(c.from)+1, first+uint32(c.to))
		}
		d, _ := p.Close("v1")
		if len(d.Spans) != 1 || d.Spans[0].From.Sub(began.Add(at[c.key])).Abs() > time.Millisecond || !d.Spans[0].To.Equal(span.To) {
			t.Errorf("%v: delivered %v of %v", c, d.Spans, span)
		}
	}
}

// frameTimes is when ffprobe sees each frame of a file, from the first one on.
func frameTimes(t *testing.T, file []byte) []time.Duration {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "packet=pts_time", "-of", "csv=p=0", "-")
	cmd.Stdin = bytes.NewReader(file)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var at []time.Duration
	for _, f := range strings.Fields(string(out)) {
		s, err := strconv.ParseFloat(strings.TrimRight(f, ","), 64)
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, time.Duration(s*float64(time.Second)))
	}
	slices.Sort(at)
	for i, first := 0, at[0]; i < len(at); i++ {
		at[i] -= first
	}
	return at
}

// rareSource has key frames at the beginning of its first minute and in the middle of its fourth, and nowhere else.
type rareSource struct {
	*busy
	damaged bool
}

func (r rareSource) OpenSegment(_ context.Context, s footage.Segment) (footage.SegmentReader, error) {
	return rareMinute{minuteOf(s), r.damaged && s.From == 0}, nil
}

type rareMinute struct {
	minuteOf
	damaged bool // its first fragment cannot be read
}

func (m rareMinute) Fragment(i int) ([]byte, error) {
	if m.damaged && i == 0 {
		return nil, packet.ErrDamaged
	}
	return m.minuteOf.Fragment(i)
}

func (m rareMinute) Fragments() []footage.FragmentInfo {
	f := m.minuteOf.Fragments()
	for i := range f {
		f[i].Key = m.From == 0 && i == 0 || m.From == 3*time.Minute && i == 30
	}
	return f
}

func TestAKeyFrameSegmentsAway(t *testing.T) {
	src := rareSource{&busy{minutes: 4}, false}
	p, _ := newPlayer(src, nil)
	open := func(id string, from time.Duration) string {
		if err := p.Open(view(id, footage.Span{From: now.Add(-4*time.Minute + from), To: now})); err != nil {
			t.Fatal(err)
		}
		list, err := p.Playlist(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return string(list)
	}
	open("near", 90*time.Second+500*time.Millisecond)
	media, err := p.Fragment(t.Context(), "near", "00000000000000010000000000000000", 0)
	if err != nil {
		t.Fatal(err)
	}
	if numbers, times := numbersAndTimes(t, media); len(numbers) < 91 || numbers[0] != 0 || numbers[60] != 0 || times[0] != 0 || times[90] > 100 || times[91] != 600 {
		t.Errorf("fragments %v at %v", numbers, times)
	}
	// Too far away: it begins with the next key frame.
	if list := open("far", 130*time.Second); strings.Contains(list, "EXT-X-START") || !strings.Contains(list, "TIME:"+now.Add(-30*time.Second).Format("2006-01-02T15:04:05.000Z")) {
		t.Errorf("%s", list)
	}
	// And when it is there but damaged.
	p, _ = newPlayer(rareSource{&busy{minutes: 4}, true}, nil)
	if list := open("damaged", 90*time.Second); strings.Contains(list, "EXT-X-START") || !strings.Contains(list, "TIME:"+now.Add(-30*time.Second).Format("2006-01-02T15:04:05.000Z")) {
		t.Errorf("%s", list)
	}
}
