package usage

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

var lastHour = footage.Span{From: begin.Add(-time.Hour), To: begin.Add(-30 * time.Minute)}

// Covers F13: nothing opens unless its entry is durable.
func TestViewingWhoseEntryFailsDoesNotOpen(t *testing.T) {
	h := newEnv(t)
	h.people.failWith(errors.New("disk full"))
	v, err := h.office.OpenViewing(t.Context(), officer, "c01", lastHour, Playback, "查找书包")
	if err == nil || v.ID != "" {
		t.Fatalf("opened %+v although the commit failed: %v", v, err)
	}
	if n := len(h.entries("footage.access.open")); n != 0 {
		t.Fatalf("%d entries", n)
	}
	h.people.failWith(nil)
	v, err = h.office.OpenViewing(t.Context(), officer, "c01", lastHour, Playback, "查找书包")
	must(t, err)
	must(t, h.office.CloseViewing(t.Context(), v.ID, nil, 0, "closed"))
}

// Covers F12, F13: a duty officer states a purpose once per incident, not per click.
func TestPurposeIsStatedOncePerIncident(t *testing.T) {
	h := newEnv(t)
	ctx := t.Context()
	_, err := h.office.OpenViewing(ctx, officer, "c01", lastHour, Playback, "  ")
	refusedWith(t, err, "may.no_purpose")
	first := h.view(officer, "c01", "学生跌倒")
	second := h.view(officer, "c02", "")
	if second.Purpose != "学生跌倒" || second.Incident != first.Incident {
		t.Fatalf("second click: %+v", second)
	}
	third := h.view(officer, "c02", "另一件事")
	if third.Incident == first.Incident {
		t.Fatal("another purpose is another incident")
	}
	h.clock.Pass(31 * time.Minute)
	_, err = h.office.OpenViewing(ctx, officer, "c01", lastHour, Playback, "")
	refusedWith(t, err, "may.no_purpose")
	// An incident is one person's.
	_, err = h.office.OpenViewing(ctx, head, "c01", lastHour, Playback, "")
	refusedWith(t, err, "may.no_purpose")
	parts, err := h.store.Parts(second.Entry)
	must(t, err)
	if len(parts) != 1 || string(parts[0].Plain) != "学生跌倒" {
		t.Fatalf("the purpose of the second click: %+v", parts)
	}
}

// Covers F3, F12: rights of minutes end by monotonic time: on a board whose clock is in doubt and is frozen they end,
// and a wall clock that jumps ends none of them.
func TestRightsOfMinutesEndByMonotonicTime(t *testing.T) {
	h := newEnv(t)
	ctx := t.Context()
	v, err := h.office.OpenViewing(ctx, officer, "c01", lastHour, Playback, "学生跌倒")
	must(t, err)
	h.clock.Change(func(r *clock.Reading) {
		r.State, r.Wall, r.Mono = clock.Suspect, r.Wall.AddDate(0, 1, 0), r.Mono+20*time.Minute
	})
	if _, running := h.office.Incident(officer.ID); !running || v.Over(h.clock.Now()) {
		t.Fatal("a clock in doubt has ended what runs")
	}
	h.clock.Change(func(r *clock.Reading) { r.Wall, r.Mono = v.Opened, r.Mono+11*time.Minute })
	if _, running := h.office.Incident(officer.ID); running {
		t.Fatal("the incident runs for ever while the clock stands")
	}
	h.clock.Change(func(r *clock.Reading) { r.Mono += playbackFor })
	if err := h.watching(officer, v); !errors.Is(err, ErrEnded) {
		t.Fatalf("the viewing runs for ever while the clock stands: %v", err)
	}
	must(t, h.office.CloseViewing(ctx, v.ID, nil, 0, "over"))
}

// watching is nil while the viewing is open and its person may see it.
func (h *env) watching(by account.Who, v Viewing) error {
	h.t.Helper()
	h.office.watch.mu.Lock()
	_, open := h.office.watch.views[v.ID]
	h.office.watch.mu.Unlock()
	switch {
	case !open:
		return ErrNotFound
	case v.Over(h.clock.Now()):
		return ErrEnded
	}
	_, err := h.office.Allow(h.t.Context(), by, account.ActMediaRead, account.Subject{Person: v.Person, Camera: v.Camera, From: v.Span.From, To: v.Span.To, Application: v.Application, Way: v.way()})
	return err
}

func (h *env) view(by account.Who, camera, purpose string) Viewing {
	h.t.Helper()
	v, err := h.office.OpenViewing(h.t.Context(), by, camera, lastHour, Playback, purpose)
	must(h.t, err)
	must(h.t, h.office.CloseViewing(h.t.Context(), v.ID, nil, 0, "closed"))
	return v
}

// Covers F20: live pictures are for officers who signed in at the control room, and for a purpose.
func TestLiveOnlyOnShift(t *testing.T) {
	h := newEnv(t)
	ctx := t.Context()
	_, err := h.office.OpenViewing(ctx, officer, "c01", footage.Span{}, Live, "例行巡视")
	refusedWith(t, err, "may.not_on_shift")
	_, err = h.office.OpenViewing(ctx, leader, "c01", footage.Span{}, Live, "例行巡视")
	refusedWith(t, err, "may.role")
	_, err = h.office.BeginShift(ctx, officer)
	must(t, err)
	_, err = h.office.OpenViewing(ctx, officer, "c01", footage.Span{}, Live, "")
	refusedWith(t, err, "may.no_purpose")
	v, err := h.office.OpenViewing(ctx, officer, "c01", footage.Span{}, Live, "例行巡视")
	must(t, err)
	if err := h.watching(officer, v); err != nil {
		t.Fatal(err)
	}
	// The purpose counts for half an hour, for every camera.
	w, err := h.office.OpenViewing(ctx, officer, "c02", footage.Span{}, Live, "")
	must(t, err)
	if w.Incident != v.Incident || w.Purpose != "例行巡视" {
		t.Fatalf("%+v", w)
	}
	h.clock.Pass(2 * time.Hour)
	if err := h.watching(officer, v); !errors.Is(err, ErrEnded) {
		t.Fatalf("two hours later: %v", err)
	}
	must(t, h.office.CloseViewing(ctx, v.ID, nil, 0, "over"))
	must(t, h.office.CloseViewing(ctx, w.ID, nil, 0, "over"))
	_, err = h.office.OpenViewing(ctx, officer, "c01", footage.Span{}, Live, "")
	refusedWith(t, err, "may.no_purpose")
}

// I5: what a crash left open is closed by the next run and named as such.
func TestViewingLeftOpenIsClosedAtTheNextStart(t *testing.T) {
	h := newEnv(t)
	ctx := t.Context()
	v, err := h.office.OpenViewing(ctx, officer, "c01", lastHour, Playback, "学生跌倒")
	must(t, err)
	h.restart()
	w, err := h.office.OpenViewing(ctx, officer, "c02", lastHour, Playback, "学生跌倒")
	must(t, err)
	must(t, h.office.closeLeft(ctx))
	closed := h.entries("footage.access.close")
	if len(closed) != 1 {
		t.Fatalf("%d closing entries", len(closed))
	}
	d := data(t, closed[0])
	if d["viewing"] != v.ID || d["opened"] != float64(v.Entry) || d["reason"] != "restart" {
		t.Fatalf("closed as %v", d)
	}
	if err := h.watching(officer, w); err != nil {
		t.Fatalf("the new viewing: %v", err)
	}
	must(t, h.office.CloseViewing(ctx, w.ID, nil, 0, "closed"))
}

func TestClosingTwiceIsOneEntry(t *testing.T) {
	h := newEnv(t)
	v := h.view(officer, "c01", "学生跌倒")
	if err := h.office.CloseViewing(t.Context(), v.ID, nil, 0, "closed"); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	if n := len(h.entries("footage.access.close")); n != 1 {
		t.Fatalf("%d closing entries", n)
	}
}

// I5: the check finds an opening without an end and one without a ground.
func TestCheckFindsWhatI5Forbids(t *testing.T) {
	h := newEnv(t)
	ctx := context.Background()
	v, err := h.office.OpenViewing(ctx, officer, "c01", lastHour, Playback, "学生跌倒")
	must(t, err)
	if f := h.findings(); len(f) != 0 {
		t.Fatalf("an open viewing of a running box is no breach: %+v", f)
	}
	must(t, h.dropRow(v.ID))
	f := h.findings()
	if len(f) != 1 || f[0].Invariant != "I5" || f[0].What != "unclosed" {
		t.Fatalf("findings %+v", f)
	}
	must(t, h.putRow(v))
	must(t, h.office.CloseViewing(ctx, v.ID, nil, 0, "closed"))
}

// Covers F13: a storm of refused attempts is counted but cannot fill the disk.
func TestStormOfRefusalsIsCountedNotWrittenOut(t *testing.T) {
	h := newEnv(t)
	ctx := t.Context()
	for range 1000 {
		_, err := h.office.OpenViewing(ctx, teacher, "c01", lastHour, Playback, "")
		refusedWith(t, err, "may.no_grant")
	}
	if n := len(h.entries("access.refused")); n != 1 {
		t.Fatalf("%d entries for 1000 alike", n)
	}
	h.clock.Pass(2 * time.Minute)
	must(t, h.office.summarise(ctx))
	e := h.entries("access.refused")
	if len(e) != 2 || data(t, e[1])["count"] != float64(999) {
		t.Fatalf("%d entries, the last says %v", len(e), data(t, e[len(e)-1]))
	}
	// Different ones, too.
	for i := range 5000 {
		by := teacher
		by.From.Address = time.Duration(i).String()
		_, err := h.office.OpenViewing(ctx, by, "c01", lastHour, Playback, "")
		refusedWith(t, err, "may.no_grant")
	}
	if n := len(h.entries("access.refused")); n > 2+refusalBurst {
		t.Fatalf("%d entries", n)
	}
	total := 0
	for range 200 {
		h.clock.Pass(10 * time.Minute)
		must(t, h.office.summarise(ctx))
	}
	for _, e := range h.entries("access.refused") {
		if c, ok := data(t, e)["count"].(float64); ok {
			total += int(c)
		} else {
			total++
		}
	}
	if total != 6000 {
		t.Fatalf("%d of 6000 refusals are accounted for", total)
	}
}

// Covers F13: hanging up does not keep a refusal out of the log.
func TestRefusalIsEnteredAlsoForWhoHangsUp(t *testing.T) {
	h := newEnv(t)
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	_, err := h.office.OpenViewing(ctx, teacher, "c01", lastHour, Playback, "")
	refusedWith(t, err, "may.no_grant")
	if n := len(h.entries("access.refused")); n != 1 {
		t.Fatalf("%d entries", n)
	}
}

// A viewing of many pieces closes: its entry holds as many spans as fit, and never says less than was delivered.
func TestAViewingOfManyPiecesCloses(t *testing.T) {
	h := newEnv(t)
	for _, n := range []int{maxSpans, maxSpans + 1, 400} {
		v, err := h.office.OpenViewing(t.Context(), officer, "c01", lastHour, Playback, "查找书包")
		must(t, err)
		var got []footage.Span
		for i := range n {
			from := lastHour.From.Add(time.Duration(i)*7*time.Second + 123456789)
			got = append(got, footage.Span{From: from, To: from.Add(time.Duration(i+1) * time.Millisecond)})
		}
		must(t, h.office.CloseViewing(t.Context(), v.ID, got, 1000, "closed"))
		closed := h.entries("footage.access.close")
		var c closing
		must(t, json.Unmarshal(closed[len(closed)-1].Data, &c))
		if len(c.Delivered) != maxSpans {
			t.Errorf("%d pieces: the entry has %d spans", n, len(c.Delivered))
		}
		for _, s := range got {
			if !slices.ContainsFunc(c.Delivered, func(d footage.Span) bool { return !s.From.Before(d.From) && !s.To.After(d.To) }) {
				t.Errorf("%d pieces: %v was delivered and is not in the entry", n, s)
			}
		}
	}
}
