package playback_test

import (
	"context"
	"errors"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/playback"
	"campuskeep/scripts/sim/render"
	"campuskeep/shared/footage"
)

func view(id string, span footage.Span) playback.Viewing {
	return playback.Viewing{ID: id, Camera: "c01", Span: span, Until: now.Add(time.Hour)}
}

// fetchAll takes every part that a playlist lists, as a player would, and gives the sum of the stated durations.
func fetchAll(t *testing.T, p *playback.Player, id string) (list string, total time.Duration, bytes int) {
	t.Helper()
	b, err := p.Playlist(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if s, ok := strings.CutPrefix(line, "#EXTINF:"); ok {
			sec, err := strconv.ParseFloat(strings.TrimSuffix(s, ","), 64)
			if err != nil {
				t.Fatal(err)
			}
			total += time.Duration(sec * float64(time.Second))
		}
		if !strings.HasSuffix(line, ".m4s") {
			continue
		}
		segment, part, _ := strings.Cut(strings.TrimSuffix(line, ".m4s"), "/")
		i, err := strconv.Atoi(part)
		if err != nil {
			t.Fatal(err)
		}
		m, err := p.Fragment(t.Context(), id, segment, i)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		bytes += len(m)
	}
	return string(b), total, bytes
}

// Covers F12, F13: nothing outside the span leaves, and what leaves is counted.
func TestAViewingGivesItsSpanAndNothingElse(t *testing.T) {
	src, _ := past(t, time.Hour)
	p, _ := newPlayer(src, nil)
	// In the middle of a minute, off every frame: the picture that is seen at the beginning is from :30, and a key
	// frame; the last one begins at :21.
	span := footage.Span{From: now.Add(-30*time.Minute + 31*time.Second), To: now.Add(-20*time.Minute + 22*time.Second)}
	if err := p.Open(view("v1", span)); err != nil {
		t.Fatal(err)
	}
	list, total, bytes := fetchAll(t, p, "v1")
	got, ok := p.Close("v1")
	want := footage.Span{From: now.Add(-30*time.Minute + 30*time.Second), To: span.To}
	if !ok || len(got.Spans) != 1 || !got.Spans[0].From.Equal(want.From) || !got.Spans[0].To.Equal(want.To) {
		t.Errorf("delivered %v, want %v", got.Spans, want)
	}
	if got.Bytes != int64(bytes) || bytes == 0 {
		t.Errorf("counted %d bytes of %d", got.Bytes, bytes)
	}
	if d := (total - span.Duration() - 100*time.Millisecond).Abs(); d > 10*time.Millisecond {
		t.Errorf("the playlist states %v, the span lasts %v", total, span.Duration())
	}
	if strings.Contains(list, "DISCONTINUITY") || strings.Count(list, "#EXT-X-MAP") != 1 {
		t.Errorf("one unbroken time line became:\n%s", list)
	}
	if !strings.Contains(list, "#EXT-X-START:TIME-OFFSET=0.100,PRECISE=YES\n") || !strings.Contains(list, "#EXT-X-PROGRAM-DATE-TIME:2026-03-09T13:30:30.900Z") {
		t.Errorf("no wall-clock time of the first picture:\n%.400s", list)
	}
	if _, err := p.Playlist(t.Context(), "v1"); !errors.Is(err, playback.ErrUnknown) {
		t.Errorf("after its end: %v", err)
	}
}

// Covers F12: what a viewing does not list cannot be had by asking for it.
func TestOnlyWhatIsListedCanBeFetched(t *testing.T) {
	src, _ := past(t, time.Hour)
	p, _ := newPlayer(src, nil)
	span := footage.Span{From: now.Add(-30 * time.Minute), To: now.Add(-28 * time.Minute)}
	if err := p.Open(view("v1", span)); err != nil {
		t.Fatal(err)
	}
	all, err := src.Segments(t.Context(), "c01", footage.Span{From: now.Add(-time.Hour), To: now})
	if err != nil {
		t.Fatal(err)
	}
	allowed := 0
	for _, s := range all {
		_, err := p.Fragment(t.Context(), "v1", s.File.String(), 0)
		if inside := s.Span.Overlaps(span); inside != (err == nil) {
			t.Errorf("segment at %v: %v", s.Span.From, err)
		} else if !inside && !errors.Is(err, playback.ErrNoPart) {
			t.Errorf("segment at %v: %v", s.Span.From, err)
		} else if inside {
			allowed++
		}
	}
	if allowed != 2 {
		t.Errorf("%d segments could be fetched", allowed)
	}
	for _, i := range []int{-1, 1, 1 << 30} {
		if _, err := p.Fragment(t.Context(), "v1", all[30].File.String(), i); !errors.Is(err, playback.ErrNoPart) {
			t.Errorf("part %d: %v", i, err)
		}
		if _, err := p.Init(t.Context(), "v1", i); !errors.Is(err, playback.ErrNoPart) {
			t.Errorf("init %d: %v", i, err)
		}
	}
}

func TestAViewingEndsWithItsTime(t *testing.T) {
	src, _ := past(t, 10*time.Minute)
	p, h := newPlayer(src, nil)
	v := view("v1", footage.Span{From: now.Add(-5 * time.Minute), To: now})
	v.Until = now.Add(time.Minute)
	if err := p.Open(v); err != nil {
		t.Fatal(err)
	}
	if err := p.Open(v); err == nil {
		t.Error("opened twice")
	}
	fetchAll(t, p, "v1")
	if ids := p.Idle(30 * time.Second); len(ids) != 0 {
		t.Errorf("idle: %v", ids)
	}
	h.Pass(59 * time.Second)
	if ids := p.Idle(30 * time.Second); len(ids) != 1 {
		t.Errorf("idle: %v", ids)
	}
	if _, err := p.Playlist(t.Context(), "v1"); err != nil {
		t.Error(err)
	}
	h.Pass(time.Second)
	_, err1 := p.Playlist(t.Context(), "v1")
	_, err2 := p.Init(t.Context(), "v1", 0)
	_, err3 := p.Fragment(t.Context(), "v1", "x", 0)
	for _, err := range []error{err1, err2, err3} {
		if !errors.Is(err, playback.ErrExpired) {
			t.Errorf("after its time: %v", err)
		}
	}
	if ids := p.Idle(time.Hour); len(ids) != 1 {
		t.Errorf("to be closed: %v", ids)
	}
	if d, ok := p.Close("v1"); !ok || len(d.Spans) != 1 {
		t.Errorf("delivered %v", d)
	}
}

func TestADiscontinuityStandsExactlyAtEachGap(t *testing.T) {
	src, gaps := past(t, 26*time.Hour)
	p, _ := newPlayer(src, nil)
	if err := p.Open(view("v1", footage.Span{From: now.Add(-26 * time.Hour), To: now})); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	b, err := p.Playlist(t.Context(), "v1")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes in %v", len(b), time.Since(began))
	list := string(b)
	if got := strings.Count(list, "#EXT-X-DISCONTINUITY\n"); got != len(gaps) || got == 0 {
		t.Errorf("%d discontinuities for %d gaps", got, len(gaps))
	}
	if got := strings.Count(list, "#EXT-X-MAP"); got != len(gaps)+1 {
		t.Errorf("%d initialisation sections", got)
	}
	for _, g := range gaps {
		if !strings.Contains(list, "#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init/") ||
			!strings.Contains(list, "#EXT-X-PROGRAM-DATE-TIME:"+g.Span.To.UTC().Format("2006-01-02T15:04:05.000Z")) {
			t.Errorf("after the gap %v the wall clock is not given", g.Span)
		}
	}
	if len(b) > 1<<20 {
		t.Errorf("%d bytes", len(b))
	}
}

// An independent player shows every frame of the span, once and in order.
func TestFFmpegPlaysTheSpan(t *testing.T) {
	src, _ := past(t, time.Hour)
	p, _ := newPlayer(src, nil)
	if err := p.Open(view("v1", footage.Span{From: now.Add(-10 * time.Minute), To: now.Add(-5 * time.Minute)})); err != nil {
		t.Fatal(err)
	}
	seen, err := render.Decode(t.Context(), nil, serve(t, p)+"/v1/index.m3u8")
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) != 5*20 {
		t.Errorf("%d frames", len(seen))
	}
	for i, s := range seen {
		if want := uint32(13*3600 + i%20*3); !s.OK || s.Counter != want {
			t.Fatalf("frame %d shows %v, want %d", i, s, want)
		}
	}
	if d, _ := p.Close("v1"); len(d.Spans) != 1 || d.Spans[0].Duration() != 5*time.Minute {
		t.Errorf("delivered %v", d.Spans)
	}
}

// refusing is a source that refuses to open what lies before an instant.
type refusing struct {
	footage.Source
	before time.Time
	why    error
}

func (r refusing) OpenSegment(ctx context.Context, s footage.Segment) (footage.SegmentReader, error) {
	if s.Wall.Before(r.before) {
		return nil, r.why
	}
	return r.Source.OpenSegment(ctx, s)
}

// Covers F3: what is past its day is not shown, whatever the index says.
func TestWhatTheSourceRefusesIsNotShown(t *testing.T) {
	src, _ := past(t, 20*time.Minute)
	for _, why := range []error{footage.ErrPastCeiling, footage.ErrCondemned, fs.ErrNotExist} {
		p, _ := newPlayer(refusing{src, now.Add(-10 * time.Minute), why}, nil)
		if err := p.Open(view("part", footage.Span{From: now.Add(-12 * time.Minute), To: now.Add(-5 * time.Minute)})); err != nil {
			t.Fatal(err)
		}
		if _, total, _ := fetchAll(t, p, "part"); total != 5*time.Minute {
			t.Errorf("%v: %v shown", why, total)
		}
		if err := p.Open(view("all", footage.Span{From: now.Add(-15 * time.Minute), To: now.Add(-12 * time.Minute)})); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Playlist(t.Context(), "all"); !errors.Is(err, why) {
			t.Errorf("all refused with %v: %v", why, err)
		}
	}
	p, _ := newPlayer(src, nil)
	if err := p.Open(view("empty", footage.Span{From: now.Add(-10 * time.Hour), To: now.Add(-9 * time.Hour)})); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Playlist(t.Context(), "empty"); !errors.Is(err, playback.ErrNothing) {
		t.Errorf("nothing there: %v", err)
	}
}

var address = regexp.MustCompile(`^([0-9a-f]{32}/[0-9]+\.m4s|#.*)$`)

func TestPlaylistsHoldNothingButTagsAndRelativeAddresses(t *testing.T) {
	src, _ := past(t, 10*time.Minute)
	p, _ := newPlayer(src, nil)
	if err := p.Open(view("v1", footage.Span{From: now.Add(-10 * time.Minute), To: now})); err != nil {
		t.Fatal(err)
	}
	list, _, _ := fetchAll(t, p, "v1")
	for line := range strings.Lines(list) {
		if !address.MatchString(strings.TrimSpace(line)) {
			t.Errorf("line %q", line)
		}
	}
	if !strings.HasSuffix(list, "#EXT-X-ENDLIST\n") {
		t.Error("no end")
	}
}

func TestAViewingNeedsACameraAndASpan(t *testing.T) {
	p, _ := newPlayer(nil, nil)
	for _, v := range []playback.Viewing{
		{}, {ID: "v"}, {ID: "v", Camera: "c01"}, {ID: "v", Camera: "c01", Span: footage.Span{From: now, To: now}},
		{ID: "v", Camera: "c01", Span: footage.Span{From: now, To: now.Add(-time.Second)}}, {ID: "v", Camera: "c01", Live: true},
	} {
		if err := p.Open(v); err == nil {
			t.Errorf("opened %+v", v)
		}
	}
}

// slow is a source whose opening waits.
type slow struct {
	footage.Source
	opening chan struct{}
	let     chan struct{}
}

func (s slow) OpenSegment(ctx context.Context, seg footage.Segment) (footage.SegmentReader, error) {
	s.opening <- struct{}{}
	<-s.let
	return s.Source.OpenSegment(ctx, seg)
}

// Covers F13: the closing entry is about every byte, so none may leave after it.
func TestNothingLeavesAfterTheEnd(t *testing.T) {
	src, _ := past(t, 10*time.Minute)
	s := slow{src, make(chan struct{}, 100), make(chan struct{}, 100)}
	p, _ := newPlayer(s, nil)
	if err := p.Open(view("v1", footage.Span{From: now.Add(-5 * time.Minute), To: now})); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first and the last segment are opened for the playlist
		s.let <- struct{}{}
	}
	if _, err := p.Playlist(t.Context(), "v1"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		<-s.opening
	}
	all, err := src.Segments(t.Context(), "c01", footage.Span{From: now.Add(-5 * time.Minute), To: now})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() {
		_, err := p.Fragment(t.Context(), "v1", all[0].File.String(), 0)
		got <- err
	}()
	<-s.opening
	if d, ok := p.Close("v1"); !ok || d.Bytes != 0 {
		t.Errorf("delivered %+v", d)
	}
	s.let <- struct{}{}
	if err := <-got; !errors.Is(err, playback.ErrUnknown) {
		t.Errorf("a fragment under way at the end: %v", err)
	}
}
