package usage

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	signed "golang.org/x/mod/sumdb/note"

	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
	rules "campuskeep/shared/usage"
)

// A still picture needs an approval that says so; its entry is in the log, signed, before anybody can draw it.
// Covers F12, F13.
func TestAStillPictureIsEnteredFirst(t *testing.T) {
	h := newEnv(t)
	ctx := t.Context()
	f := form()
	f.Ways = []rules.Way{rules.WayView, rules.WayStill}
	a, err := h.office.Submit(ctx, teacher, f)
	must(t, err)
	a, err = h.office.Review(ctx, officer, a.ID, []string{"c01"}, "")
	must(t, err)
	d := rules.Decision{Approved: true, Cameras: []string{"c01"}, Spans: []footage.Span{a.Wanted[0].Span}, Ways: a.Ways, From: a.UseFrom, Until: a.UseUntil}
	// A picture that is kept is a copy: who reviewed does not approve it.
	if _, err := h.office.Decide(ctx, officer, a.ID, d); err == nil {
		t.Fatal("the reviewer approved a copy")
	}
	a, err = h.office.Decide(ctx, leader, a.ID, d)
	must(t, err)
	span := d.Spans[0]
	v, err := h.office.OpenViewing(ctx, teacher, "c01", span, Playback, "")
	must(t, err)
	at := span.From.Add(span.Duration() / 2)
	s, err := h.office.Snapshot(ctx, teacher, v.ID, "", at)
	must(t, err)
	e := h.entries("footage.snapshot")
	if len(e) != 1 || e[0].Seq != s.Entry || e[0].Actor.ID != teacher.ID || e[0].Subject != "c01" {
		t.Fatalf("entries %+v, answer %+v", e, s)
	}
	if got := data(t, e[0]); got["viewing"] != v.ID || got["application"] != a.ID || got["opened"] != float64(v.Entry) {
		t.Errorf("the entry says %v", got)
	}
	leaf, err := h.store.LeafHash(s.Entry)
	must(t, err)
	if s.Code != strings.ToUpper(hex.EncodeToString(leaf[:4])) {
		t.Errorf("the code is %s, the leaf %x", s.Code, leaf[:4])
	}
	key, err := signed.NewVerifier(h.store.VerifierKey())
	must(t, err)
	if _, err := signed.Open([]byte(s.Checkpoint), signed.VerifierList(key)); err != nil {
		t.Errorf("the answer is not signed: %v", err)
	}

	// The page asks twice for one picture: one entry. Covers F13.
	twice, err := h.office.Snapshot(ctx, teacher, v.ID, "p1", at)
	must(t, err)
	again, err := h.office.Snapshot(ctx, teacher, v.ID, "p1", at.Add(time.Second))
	must(t, err)
	if again != twice || twice.Entry == s.Entry {
		t.Errorf("asked twice: %+v, then %+v", twice, again)
	}

	var faults fielderr.Errors
	if _, err := h.office.Snapshot(ctx, teacher, v.ID, "", span.To); !errors.As(err, &faults) {
		t.Errorf("after the span: %v", err)
	}
	_, err = h.office.Snapshot(ctx, officer, v.ID, "", at)
	refusedWith(t, err, "may.not_own")
	must(t, h.office.CloseViewing(ctx, v.ID, nil, 0, "closed"))
	if _, err := h.office.Snapshot(ctx, teacher, v.ID, "", at); !errors.Is(err, ErrNotFound) {
		t.Errorf("after the end: %v", err)
	}
	if n := len(h.entries("footage.snapshot")); n != 2 {
		t.Errorf("%d entries, want two", n)
	}
}

// No duty makes a picture, nor does an approval to look. Covers F10, F12.
func TestADutyGivesNoStillPicture(t *testing.T) {
	h := newEnv(t)
	ctx := t.Context()
	v, err := h.office.OpenViewing(ctx, officer, "c01", lastHour, Playback, "学生跌倒")
	must(t, err)
	_, err = h.office.Snapshot(ctx, officer, v.ID, "", lastHour.From)
	refusedWith(t, err, "may.still_needs_application")
	must(t, h.office.CloseViewing(ctx, v.ID, nil, 0, "closed"))
	_, err = h.office.BeginShift(ctx, officer)
	must(t, err)
	v, err = h.office.OpenViewing(ctx, officer, "c01", lastHour, Live, "学生跌倒")
	must(t, err)
	_, err = h.office.Snapshot(ctx, officer, v.ID, "", v.Span.From)
	refusedWith(t, err, "may.still_needs_application")
	must(t, h.office.CloseViewing(ctx, v.ID, nil, 0, "closed"))
	if n := len(h.entries("footage.snapshot")); n != 0 {
		t.Errorf("%d entries", n)
	}
}
