package usage

import (
	"errors"
	"testing"
	"time"

	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
	rules "campuskeep/shared/usage"
)

// Covers F4, F5, F6, F12: submitted with a hold, approved by somebody else, and then watchable inside what was
// approved and nowhere else.
func TestApprovedSpanBecomesWatchableAndNothingElse(t *testing.T) {
	h := newEnv(t)
	ctx := t.Context()
	span := form().Wanted[0].Span

	_, err := h.office.OpenViewing(ctx, teacher, "c01", span, Playback, "")
	refusedWith(t, err, "may.no_grant")

	a, err := h.office.Submit(ctx, teacher, form())
	must(t, err)
	if a.ID != "a2026-0001" || a.Number() != "视申〔2026〕001号" || a.State != rules.Submitted {
		t.Fatalf("submitted as %s %s %s", a.ID, a.Number(), a.State)
	}
	held := h.office.Holds()
	if len(held) != 1 || held[0].Application != a.ID || !held[0].Covers("c01", span) || held[0].Reason != rules.HoldUndecided {
		t.Fatalf("holds %+v", held)
	}

	a, err = h.office.Decide(ctx, officer, a.ID, rules.Decision{Approved: true})
	must(t, err)
	if a.State != rules.Approved || a.NoticeNumber() != "视批〔2026〕001号" || a.Decision.Part {
		t.Fatalf("decided %s %s part %v", a.State, a.NoticeNumber(), a.Decision.Part)
	}

	for name, c := range map[string]struct {
		camera string
		span   footage.Span
		reason string
	}{
		"another camera": {"c02", span, "may.camera_not_granted"},
		"a minute more":  {"c01", footage.Span{From: span.From, To: span.To.Add(time.Minute)}, "may.span_not_granted"},
	} {
		_, err := h.office.OpenViewing(ctx, teacher, c.camera, c.span, Playback, "")
		t.Log(name)
		refusedWith(t, err, c.reason)
	}
	_, err = h.office.OpenViewing(ctx, who("p011", account.RoleStaff), "c01", span, Playback, "")
	refusedWith(t, err, "may.no_grant")

	v, err := h.office.OpenViewing(ctx, teacher, "c01", span, Playback, "")
	must(t, err)
	if v.Basis != BasisGrant || v.Application != a.ID {
		t.Fatalf("opened on the ground %s %s", v.Basis, v.Application)
	}
	open := h.entries("footage.access.open")
	if len(open) != 1 || open[0].Seq != v.Entry || data(t, open[0])["application"] != a.ID {
		t.Fatalf("opening entries %+v, viewing says %d", open, v.Entry)
	}
	if a, err = h.office.Get(a.ID); err != nil || a.State != rules.InUse {
		t.Fatalf("after the first viewing: %s, %v", a.State, err)
	}
	must(t, h.office.CloseViewing(ctx, v.ID, []footage.Span{{From: span.From, To: span.From.Add(time.Minute)}}, 1<<20, "closed"))
	if err := h.watching(teacher, v); !errors.Is(err, ErrNotFound) {
		t.Fatalf("bytes after the end: %v", err)
	}
	if h.clock.Pass(8 * 24 * time.Hour); len(h.office.Grants(teacher.ID, h.clock.Now().Wall)) != 0 {
		t.Fatal("a grant outlives its use period")
	}
	_, err = h.office.OpenViewing(ctx, teacher, "c01", span, Playback, "")
	refusedWith(t, err, "may.no_grant")
}

// Covers F5, F12, F13: own approval is refused to the officer by every path, and that is in the log.
func TestOwnApplicationIsNeverDecidedByItsApplicant(t *testing.T) {
	h := newEnv(t)
	ctx := t.Context()
	a, err := h.office.Submit(ctx, officer, form())
	must(t, err)
	_, err = h.office.Decide(ctx, officer, a.ID, rules.Decision{Approved: true})
	refusedWith(t, err, "may.own_application")
	// The office's own application is a school leader's to decide, not a colleague's.
	_, err = h.office.Decide(ctx, head, a.ID, rules.Decision{Approved: true})
	refusedWith(t, err, "may.office_application")
	refusals := h.entries("access.refused")
	if len(refusals) != 2 || refusals[0].Actor.ID != officer.ID || refusals[0].From.Address != "10.20.3.18" ||
		data(t, refusals[0])["reason"] != "may.own_application" || data(t, refusals[0])["application"] != a.ID {
		t.Fatalf("entries of refusals: %+v", refusals)
	}
	if a, _ := h.office.Get(a.ID); a.State != rules.Submitted {
		t.Fatalf("a refused decision moved the application to %s", a.State)
	}
	a, err = h.office.Decide(ctx, leader, a.ID, rules.Decision{Approved: true})
	must(t, err)
	if a.State != rules.Approved {
		t.Fatal(a.State)
	}
}

// Covers F7: a refusal carries its reason; the hold stays for the complaint period and then ends by itself.
func TestRejectionTellsWhyAndLetsTheHoldGoAfterTheComplaintPeriod(t *testing.T) {
	h := newEnv(t)
	ctx := t.Context()
	a, err := h.office.Submit(ctx, teacher, form())
	must(t, err)
	_, err = h.office.Decide(ctx, officer, a.ID, rules.Decision{Code: "too_wide"})
	if faults, ok := errors.AsType[fielderr.Errors](err); !ok || faults[0].Field != "note" {
		t.Fatalf("a refusal without a reason: %v", err)
	}
	a, err = h.office.Decide(ctx, officer, a.ID, rules.Decision{Code: "too_wide", Note: "请缩短时段"})
	must(t, err)
	if a.State != rules.Rejected || a.Decision.Note != "请缩短时段" {
		t.Fatalf("%s %+v", a.State, a.Decision)
	}
	held := h.office.Holds()
	end := rules.Date("2026-05-27").End() // five school days after Wednesday the 20th
	if len(held) != 1 || held[0].Reason != rules.HoldComplaint || !held[0].Until.Equal(end) {
		t.Fatalf("hold after the refusal: %+v, want it until %s", held, end)
	}
	h.clock.Pass(7*24*time.Hour + 15*time.Hour)
	h.clock.Doubt(clock.Suspect)
	must(t, h.office.applyTime(ctx))
	if len(h.office.Holds()) != 1 {
		t.Fatal("a clock that is not trusted ended a hold")
	}
	h.clock.Doubt(clock.Trusted)
	must(t, h.office.applyTime(ctx))
	if len(h.office.Holds()) != 0 || len(h.entries("hold.ended")) != 1 {
		t.Fatalf("hold %+v after the complaint period", h.office.Holds())
	}
}

// Covers F4: an application that nobody decides ends with its hold after ten school days.
func TestUndecidedApplicationExpiresWithItsHold(t *testing.T) {
	h := newEnv(t)
	ctx := t.Context()
	a, err := h.office.Submit(ctx, teacher, form())
	must(t, err)
	h.clock.Pass(13 * 24 * time.Hour)
	must(t, h.office.applyTime(ctx))
	if a, _ = h.office.Get(a.ID); a.State != rules.Submitted {
		t.Fatalf("%s before the tenth school day is over", a.State)
	}
	h.clock.Pass(2 * 24 * time.Hour)
	must(t, h.office.applyTime(ctx))
	if a, _ = h.office.Get(a.ID); a.State != rules.Expired || len(h.office.Holds()) != 0 {
		t.Fatalf("%s with holds %+v", a.State, h.office.Holds())
	}
}

func TestReturnedApplicationIsMendedByItsApplicantOnly(t *testing.T) {
	h := newEnv(t)
	ctx := t.Context()
	a, err := h.office.Submit(ctx, teacher, form())
	must(t, err)
	a, err = h.office.Return(ctx, officer, a.ID, "缺失物登记单")
	must(t, err)
	mended := a
	mended.Wanted[0].Place = "自行车棚"
	_, err = h.office.Submit(ctx, leader, mended)
	refusedWith(t, err, "may.not_applicant")
	mended.Applicant, mended.State = leader.ID, rules.Approved // what the form claims is not believed
	b, err := h.office.Submit(ctx, teacher, mended)
	must(t, err)
	if b.ID != a.ID || b.Applicant != teacher.ID || b.State != rules.Submitted {
		t.Fatalf("%+v", b)
	}
	if held := h.office.Holds(); len(held) != 1 || len(held[0].Cameras) != 2 {
		t.Fatalf("the hold follows the mended place: %+v", held)
	}
}

// Covers F4: one applicant cannot hold more than the cap, over all applications.
func TestHoldCapCountsAllApplicationsOfOnePerson(t *testing.T) {
	h := newEnv(t)
	ctx := t.Context()
	night := form()
	night.Wanted[0].Place = "自行车棚" // two cameras
	night.Wanted[0].Span.To = night.Wanted[0].Span.From.Add(9 * time.Hour)
	_, err := h.office.Submit(ctx, teacher, night)
	must(t, err)
	before := night
	before.Wanted = []rules.RequestedSpan{{Place: "自行车棚", Span: footage.Span{From: night.Wanted[0].Span.From.Add(-9 * time.Hour), To: night.Wanted[0].Span.From}}}
	_, err = h.office.Submit(ctx, teacher, before)
	if faults, ok := errors.AsType[fielderr.Errors](err); !ok || faults[0].Rule != "err.hold_cap" {
		t.Fatalf("18 more camera-hours over 18: %v", err)
	}
	if len(h.office.List()) != 1 || len(h.entries("application.submitted")) != 1 {
		t.Fatal("a refused form left something behind")
	}
	_, err = h.office.Submit(ctx, leader, night)
	must(t, err)
}

func TestRegisterSurvivesARestart(t *testing.T) {
	h := newEnv(t)
	ctx := t.Context()
	a, err := h.office.Submit(ctx, teacher, form())
	must(t, err)
	a, err = h.office.Decide(ctx, officer, a.ID, rules.Decision{Approved: true})
	must(t, err)
	h.restart()
	b, err := h.office.Get(a.ID)
	must(t, err)
	if b.State != rules.Approved || b.Reason != a.Reason || len(h.office.Holds()) != 1 {
		t.Fatalf("after a restart: %+v", b)
	}
	a, err = h.office.Submit(ctx, teacher, form())
	must(t, err)
	if a.No != 2 {
		t.Fatalf("number %d after a restart", a.No)
	}
}

// Covers F14: revocation wins over what runs.
func TestRevocationEndsARunningViewing(t *testing.T) {
	h := newEnv(t)
	ctx := t.Context()
	a, err := h.office.Submit(ctx, teacher, form())
	must(t, err)
	_, err = h.office.Decide(ctx, officer, a.ID, rules.Decision{Approved: true})
	must(t, err)
	v, err := h.office.OpenViewing(ctx, teacher, "c01", form().Wanted[0].Span, Playback, "")
	must(t, err)
	if err := h.watching(teacher, v); err != nil {
		t.Fatal(err)
	}
	err = h.watching(officer, v)
	refusedWith(t, err, "may.not_own")
	_, err = h.office.Revoke(ctx, officer, a.ID, "用途不符")
	must(t, err)
	err = h.watching(teacher, v)
	refusedWith(t, err, "may.no_grant")
	must(t, h.office.CloseViewing(ctx, v.ID, nil, 0, "revoked"))
}

func refusedWith(t *testing.T, err error, reason string) {
	t.Helper()
	r, ok := errors.AsType[*account.Refused](err)
	if !ok || r.Reason != reason {
		t.Fatalf("want refusal %s, got %v", reason, err)
	}
}

// Covers F3, F4: all holds together take at most a tenth of the disk, a file that two hold counted once.
func TestHoldsOfAllApplicationsStayUnderATenthOfTheDisk(t *testing.T) {
	h := newEnv(t)
	h.footage.bytes = 100 << 20 // 90 minutes: 9,000 MB of the 10,240 there are for holds
	_, err := h.office.Submit(t.Context(), teacher, form())
	must(t, err)
	_, err = h.office.Submit(t.Context(), leader, form()) // the same footage costs nothing more
	must(t, err)
	other := form()
	other.Wanted[0].Place = "自行车棚"
	_, err = h.office.Submit(t.Context(), leader, other)
	if faults, ok := errors.AsType[fielderr.Errors](err); !ok || faults[0].Rule != "err.hold_disk" {
		t.Fatalf("27,000 MB of holds: %v", err)
	}
}

// The form learns what there is while it is filled in.
func TestAvailabilityFromTheSource(t *testing.T) {
	h := newEnv(t)
	w := form().Wanted
	w = append(w, rules.RequestedSpan{Place: "自行车棚", Span: footage.Span{From: begin.Add(-time.Hour), To: begin.Add(time.Hour)}},
		rules.RequestedSpan{Place: "月球", Span: w[0].Span}, rules.RequestedSpan{Place: "东大门外", Span: footage.Span{From: begin, To: begin}})
	offers, err := h.office.Available(t.Context(), w)
	must(t, err)
	if len(offers) != 3 || offers[0].Camera.ID != "c01" || !offers[0].Complete() || offers[2].Span != 1 || offers[2].Camera.ID != "c03" {
		t.Fatalf("%+v", offers)
	}
}

// Covers F4: a cap that the school sets counts from the next form on, without a restart.
func TestRulesAreThoseOfTheSettingsNow(t *testing.T) {
	h := newEnv(t)
	h.rules.CameraTime = time.Hour
	_, err := h.office.Submit(t.Context(), teacher, form())
	if faults, ok := errors.AsType[fielderr.Errors](err); !ok || len(faults) == 0 {
		t.Fatalf("an hour and a half against a cap of one hour: %v", err)
	}
	h.rules.CameraTime = 2 * time.Hour
	if _, err := h.office.Submit(t.Context(), teacher, form()); err != nil {
		t.Errorf("after the cap was raised: %v", err)
	}
}
