package retention

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/packet"
)

var officer = account.Who{Actor: account.Actor{ID: "p001"}, Via: ledger.ViaWeb}

func (h *env) certificates() *Certificates {
	return NewCertificates(CertificatesOptions{Store: h.store, Cameras: func() []footage.Camera { return h.cameras }, Clock: h.clock, Anchors: h.clock.Anchors, Zone: time.UTC, School: "青榆实验学校",
		Present: func(ctx context.Context, camera string, span footage.Span, f func(footage.Placed) bool) error {
			places, err := h.r.Places()
			if err != nil {
				return err
			}
			return h.vault.Walk(ctx, places, camera, span, f)
		}})
}

func (h *env) enter(kind ledger.Kind, subject string, data map[string]any) {
	h.t.Helper()
	_, err := h.store.Commit(h.t.Context(), ledgerdb.Change{Entries: draftList(draft(kind, subject, data))})
	h.must(err)
}

// wear lets a day pass for the camera: three hours of footage, then everything up to its deletion on time.
func (h *env) wear(camera string) (label string) {
	h.t.Helper()
	label = h.clock.Now().Wall.Format(time.DateOnly)
	h.record(camera, 180)
	h.clock.Pass(2 * time.Hour)
	h.sweep()
	h.tick(30*day + 4*time.Hour)
	return label
}

// tick moves the clock on in steps, with a sweep whenever something falls due.
func (h *env) tick(d time.Duration) {
	h.t.Helper()
	for end := h.clock.Now().Wall.Add(d); h.clock.Now().Wall.Before(end); {
		res := h.sweep()
		step := end.Sub(h.clock.Now().Wall)
		if !res.Next.IsZero() {
			step = min(step, max(res.Next.Sub(h.clock.Now().Wall), time.Second))
		}
		h.clock.Pass(step)
	}
	h.sweep()
}

func (h *env) issue(camera, label string) (packet.Certificate, packet.Day) {
	h.t.Helper()
	c, d, err := h.certificates().Issue(h.t.Context(), officer, account.RoleOfficer, camera, label)
	h.must(err)
	return c, d
}

// A day deleted on time: everything recorded is deleted under the same roots, nothing late, the key destroyed, and
// the file says so to anyone who checks it with nothing else of ours. Covers F3.
func TestCertificateOfADayOnTime(t *testing.T) {
	h := newEnv(t)
	h.enter("camera.registered", "c01", map[string]any{"custody": "vault", "area": "gate", "days": 30})
	label := h.wear("c01")
	c, d := h.issue("c01", label)
	if d.Outcome != packet.OutcomeErased || d.Recorded != 180 || d.Deleted != 180 || d.Late != 0 || d.Early != 0 || !d.Clean() || d.Assurance != "best_effort" {
		t.Errorf("day: %+v", d)
	}
	if len(d.Hours) != 3 {
		t.Errorf("%d hours", len(d.Hours))
	}
	for _, x := range d.Hours {
		if !x.Same() {
			t.Errorf("hour %v: what was deleted is not what was recorded", x.Hour)
		}
	}
	text := c.Format()
	p, err := packet.ParseCertificate(text)
	h.must(err)
	v, err := p.Verify()
	h.must(err)
	if v.Trusted || v.Day.Deleted != 180 || v.Declared.School != "青榆实验学校" {
		t.Errorf("verdict: %+v", v)
	}
	key, err := ledger.ParseVerifier(h.store.VerifierKey())
	h.must(err)
	if v, err = p.Verify(key); err != nil || !v.Trusted {
		t.Errorf("with the key of the box: %v, trusted %v", err, v.Trusted)
	}
	for _, want := range []string{"All footage of this day stored on the appliance is due and deleted; the key of the day is removed from the key file; traces may remain", "recorded 180, 删除 deleted 180, 余 remaining 0", "提前 early: 0", "逾期 late: 0"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the text does not say %q:\n%s", want, p.Statement)
		}
	}
	if len(text) > 64<<10 {
		t.Errorf("%d bytes", len(text))
	}
	h.check()
}

// The same statement is issued once: the copy of tomorrow rests on the same entry, and a cosigned head then covers it.
func TestASecondCopyStandsOnTheSameIssue(t *testing.T) {
	h := newEnv(t)
	label := h.wear("c01")
	a, _ := h.issue("c01", label)
	b, _ := h.issue("c01", label)
	if !bytes.Equal(a.Statement, b.Statement) || !bytes.Equal(a.Leaves[len(a.Leaves)-1], b.Leaves[len(b.Leaves)-1]) {
		t.Error("a second copy differs")
	}
	if n := len(h.entries("certificate.issued")); n != 1 {
		t.Errorf("%d issues", n)
	}
}

// One inclusion proof, checked with golang.org/x/mod/sumdb/tlog alone and the signed root of the file.
func TestOneEntryOfTheCertificateByTlogAlone(t *testing.T) {
	h := newEnv(t)
	label := h.wear("c01")
	c, _ := h.issue("c01", label)
	lines := strings.Split(string(c.Checkpoint), "\n")
	var size int64
	h.must(json.Unmarshal([]byte(lines[1]), &size))
	root, err := tlog.ParseHash(lines[2])
	h.must(err)
	for _, leaf := range c.Leaves {
		var e struct{ Seq int64 }
		h.must(json.Unmarshal(leaf, &e))
		path, err := h.store.InclusionProof(uint64(e.Seq), uint64(size))
		h.must(err)
		h.must(tlog.CheckRecord(path, size, root, e.Seq, tlog.RecordHash(leaf)))
	}
}

// Weeks without power and a clock that has to find itself: late, by how much, and why.
func TestCertificateExplainsWhyItIsLate(t *testing.T) {
	h := newEnv(t)
	label := h.clock.Now().Wall.Format(time.DateOnly)
	h.record("c01", 120)
	h.clock.Pass(2 * time.Hour)
	h.sweep()
	h.tick(20 * day)
	h.enter("system.stop", "", nil)
	wall := h.clock.Now().Wall
	h.clock.reboot("boot-2", wall.Add(15*day))
	h.enter("system.start", "", map[string]any{"version": "1.0.0"})
	h.clock.Pass(20 * time.Minute)
	h.clock.trust(wall.Add(15*day+20*time.Minute), time.Second)
	h.enter("clock.state", "", map[string]any{"from": "untrusted", "to": "trusted"})
	h.sweep()
	_, d := h.issue("c01", label)
	if d.Late < 4*day || d.Unexplained != 0 || len(d.Causes) != 2 || d.Causes[0] != footage.LateClock || d.Causes[1] != footage.LatePower {
		t.Errorf("late %v, unexplained %v, causes %v", d.Late, d.Unexplained, d.Causes)
	}
}

// The sweep was stopped without any entry that says why: the certificate says that nobody explains it.
func TestCertificateNamesWhatNobodyExplains(t *testing.T) {
	h := newEnv(t)
	label := h.clock.Now().Wall.Format(time.DateOnly)
	h.record("c01", 60)
	h.clock.Pass(33 * day)
	h.sweep()
	c, d := h.issue("c01", label)
	if d.Unexplained < 2*day || d.Clean() || !strings.Contains(string(c.Statement), "have no explanation") {
		t.Errorf("unexplained %v\n%s", d.Unexplained, c.Statement)
	}
}

// A hold keeps a part: the certificate says what remains and why, and after the hold has ended a new one says that
// it is gone.
func TestCertificateOfADayWithAHold(t *testing.T) {
	h := newEnv(t)
	start := h.clock.Now().Wall
	label := start.Format(time.DateOnly)
	h.record("c01", 180)
	hold := footage.Hold{ID: "h2026-0001-1", Application: "a2026-0001", Cameras: []string{"c01"}, Span: footage.Span{From: start.Add(70 * time.Minute), To: start.Add(80 * time.Minute)},
		Since: start, Until: start.Add(60 * day), Reason: "use"}
	h.hold(hold)
	h.enter("hold.registered", hold.ID, map[string]any{"hold": hold.ID, "cameras": hold.Cameras, "from": hold.Span.From, "to": hold.Span.To, "until": hold.Until, "reason": hold.Reason})
	h.clock.Pass(2 * time.Hour)
	h.sweep()
	h.tick(31 * day)
	c, d := h.issue("c01", label)
	if d.Outcome != packet.OutcomeHeld || d.Remaining() == 0 || d.Remaining() > 12 || len(d.Holds) != 1 || !d.Clean() {
		t.Fatalf("%s, %d remain, holds %v\n%s", d.Outcome, d.Remaining(), d.Holds, c.Statement)
	}
	h.release(hold.ID)
	h.enter("hold.released", hold.ID, map[string]any{"hold": hold.ID, "reason": "closed"})
	h.tick(time.Hour)
	c, d = h.issue("c01", label)
	if d.Outcome != packet.OutcomeErased || d.Remaining() != 0 || d.Unexplained != 0 || d.Late == 0 || !d.Clean() {
		t.Errorf("after the hold: %s, %d remain, late %v, unexplained %v\n%s", d.Outcome, d.Remaining(), d.Late, d.Unexplained, c.Statement)
	}
}

// Before a day is over there is no certificate, and of a day that never was there is none either.
func TestNoCertificateBeforeTheEnd(t *testing.T) {
	h := newEnv(t)
	label := h.clock.Now().Wall.Format(time.DateOnly)
	h.record("c01", 180)
	h.clock.Pass(2 * time.Hour)
	h.sweep()
	p := h.certificates()
	if _, _, err := p.Issue(t.Context(), officer, account.RoleOfficer, "c01", label); !errors.Is(err, ErrNotOver) && !errors.Is(err, ErrNoDay) {
		t.Errorf("a live day: %v", err)
	}
	h.tick(30*day - 4*time.Hour) // the first hour is gone
	if _, d, err := p.Issue(t.Context(), officer, account.RoleOfficer, "c01", label); !errors.Is(err, ErrNotOver) || d.Outcome != packet.OutcomePartial {
		t.Errorf("a day half gone: %v, %s", err, d.Outcome)
	}
	for _, l := range []string{"2019-01-01", "never", "2026-13-40"} {
		if _, _, err := p.Issue(t.Context(), officer, account.RoleOfficer, "c01", l); !errors.Is(err, ErrNoDay) {
			t.Errorf("%s: %v", l, err)
		}
	}
	if n := len(h.entries("certificate.issued")); n != 0 {
		t.Errorf("%d issues", n)
	}
}

// Of an NVR only what it told can be certified.
func TestCertificateOfAnNVR(t *testing.T) {
	h := newEnv(t)
	h.cameras = append(h.cameras, footage.Camera{ID: "c09", Name: "食堂", Place: "食堂", Custody: footage.CustodyNVR, Policy: footage.Policy{Days: 30}})
	begin := h.clock.Now().Wall.Truncate(day)
	for n := range 40 {
		oldest := begin
		if n > 31 {
			oldest = begin.Add(time.Duration(n-30) * day)
		}
		h.enter("nvr.checked", "c09", map[string]any{"nvr": "n01", "pieces": 100, "recorded_s": 2592000, "missing_s": 0, "gaps": 0, "oldest": oldest, "newest": h.clock.Now().Wall, "days": 30, "judged": true, "floor": false, "ceiling": false})
		h.clock.Pass(day)
	}
	label := begin.Format(time.DateOnly)
	c, d := h.issue("c09", label)
	if d.Outcome != packet.OutcomeAttested || d.Assurance != "attested" || d.LastListed.At.IsZero() || d.NotListed.At.IsZero() || !strings.Contains(string(c.Statement), "does not prove that the data are destroyed") {
		t.Errorf("%+v\n%s", d, c.Statement)
	}
	list, _, err := h.certificates().DeletedDays(t.Context(), DayFilter{Camera: "c09", Month: begin.Format("2006-01"), Limit: 50})
	h.must(err)
	if len(list) == 0 || !list[len(list)-1].Attested || list[len(list)-1].Day != label {
		t.Errorf("list: %+v", list)
	}
}

// Every camera-day that was swept is in the list, page after page, and each has its certificate.
func TestEveryDeletedDayHasItsCertificate(t *testing.T) {
	h := newEnv(t)
	rnd := rand.New(rand.NewPCG(7, 7))
	var labels []string
	for range 6 {
		labels = append(labels, h.clock.Now().Wall.Format(time.DateOnly))
		h.record("c01", 20+rnd.IntN(100))
		h.clock.Change(func(r *clock.Reading) {
			next := r.Wall.Truncate(day).Add(day + 8*time.Hour)
			r.Wall, r.Mono = next, r.Mono+next.Sub(r.Wall)
		})
		h.sweep()
	}
	h.tick(32 * day)
	p := h.certificates()
	seen := map[string]bool{}
	for before := uint64(0); ; {
		list, next, err := p.DeletedDays(t.Context(), DayFilter{Camera: "c01", Before: before, Limit: 2})
		h.must(err)
		for _, d := range list {
			seen[d.Day] = true
			if _, day := h.issue("c01", d.Day); day.Outcome != packet.OutcomeErased || !day.Clean() {
				t.Errorf("%s: %s, late %v", d.Day, day.Outcome, day.Late)
			}
		}
		if before = next; next == 0 {
			break
		}
	}
	for _, l := range labels {
		if !seen[l] {
			t.Errorf("%s is not in the list", l)
		}
	}
	if list, _, err := p.DeletedDays(t.Context(), DayFilter{Camera: "c02", Limit: 9}); err != nil || len(list) != 0 {
		t.Errorf("another camera: %v, %v", list, err)
	}
}

// A month whose numbers are zero or explained; and one with a hole that nobody explains.
func TestMonthlyReport(t *testing.T) {
	h := newEnv(t)
	h.clock.Change(func(r *clock.Reading) {
		r.Mono += time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC).Sub(r.Wall)
		r.Wall = time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	})
	h.cameras[0].Since = h.clock.Now().Wall
	h.enter("camera.registered", "c01", map[string]any{"custody": "vault", "area": "gate", "days": 30})
	h.record("c01", 90)
	from := h.clock.Now().Wall
	h.clock.Pass(30 * time.Minute)
	h.enter("footage.gap", "c01", map[string]any{"from": from, "to": h.clock.Now().Wall, "cause": "offline"})
	h.record("c01", 60)
	r, err := h.certificates().Month(t.Context(), "c01", "2026-04")
	h.must(err)
	if r.Ought != 3*time.Hour || r.Missing != 30*time.Minute || len(r.Causes) != 1 || r.Causes[0].Cause != footage.CauseCameraOff || r.Here != 150 || r.Faults() != 0 {
		t.Errorf("April, running: ought %v, missing %v, %v, here %d, faults %d", r.Ought, r.Missing, r.Causes, r.Here, r.Faults())
	}
	h.clock.Pass(2 * time.Hour)
	h.sweep()
	h.tick(40 * day)
	r, err = h.certificates().Month(t.Context(), "c01", "2026-04")
	h.must(err)
	if r.Segments != 150 || r.Gone != 150 || r.Lost != 0 || r.Have != 150*time.Minute || r.Removals != 0 {
		t.Errorf("April, later: %d recorded, %d gone, %d lost, %v, %d removed", r.Segments, r.Gone, r.Lost, r.Have, r.Removals)
	}
	if r.Unexplained() == 0 { // 29 days without a word
		t.Error("a silent camera is not told of")
	}
	r, err = h.certificates().Month(t.Context(), "c01", "2026-05")
	h.must(err)
	if r.Removals != 150 || len(r.Early)+len(r.Late) != 0 || r.OnTime == 0 {
		t.Errorf("May: %d removed, early %v, late %v", r.Removals, r.Early, r.Late)
	}
	if _, err := h.certificates().Month(t.Context(), "c77", "2026-05"); !errors.Is(err, ErrNoDay) {
		t.Errorf("an unknown camera: %v", err)
	}
}

// Covers F3: footage that was bound long after its month, because the box was off, is in the report all the same.
func TestMonthlyReportOfLateEntries(t *testing.T) {
	h := newEnv(t)
	h.clock.Change(func(r *clock.Reading) {
		r.Mono += time.Date(2026, 4, 20, 0, 0, 0, 0, time.UTC).Sub(r.Wall)
		r.Wall = time.Date(2026, 4, 20, 0, 0, 0, 0, time.UTC)
	})
	h.cameras[0].Since = h.clock.Now().Wall
	h.enter("camera.registered", "c01", map[string]any{"custody": "vault", "area": "gate", "days": 30})
	h.record("c01", 120)
	h.clock.Pass(20 * day) // 10 May
	h.sweep()
	h.clock.Pass(15 * day)
	h.sweep()
	r, err := h.certificates().Month(t.Context(), "c01", "2026-04")
	h.must(err)
	if r.Segments != 120 || r.Gone != 120 || r.Lost != 0 || r.Have != 2*time.Hour {
		t.Errorf("%d recorded, %d gone, %d lost, %v", r.Segments, r.Gone, r.Lost, r.Have)
	}
}
