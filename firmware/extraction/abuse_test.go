package extraction

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"campuskeep/firmware/usage"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/packet"
	rules "campuskeep/shared/usage"
)

var brief = footage.Span{From: time.Date(2026, 5, 19, 23, 30, 10, 0, time.UTC), To: time.Date(2026, 5, 19, 23, 30, 14, 0, time.UTC)}

// Covers F14: no single changed bit of a package passes: not of the sealed file, and not of what a recipient could seal
// again; nor a shorter file, a longer one, or members in another order.
func TestNoChangedBitPasses(t *testing.T) {
	h := newEnv(t, nil)
	_, sealed, secret := h.take(brief)
	plain := opened(t, sealed, secret)
	id, err := age.ParseX25519Identity(packet.AgeIdentity(secret))
	must(t, err)
	key, err := ledger.ParseVerifier(h.store.VerifierKey())
	must(t, err)
	whole := func(b []byte) error {
		_, err := packet.VerifyPackage(bytes.NewReader(b), int64(len(b)), nil, key)
		return err
	}
	fromSealed := func(b []byte) error {
		r, n, err := age.DecryptReaderAt(bytes.NewReader(b), int64(len(b)), id)
		if err != nil {
			return err
		}
		_, err = packet.VerifyPackage(r, n, nil, key)
		return err
	}
	must(t, whole(plain))
	must(t, fromSealed(sealed))
	const flips = 2500 // each of four: 10⁴ in all
	var all sync.WaitGroup
	for n, c := range []struct {
		of    []byte
		check func([]byte) error
	}{{sealed, fromSealed}, {plain, whole}, {sealed, fromSealed}, {plain, whole}} {
		all.Go(func() {
			b, r := bytes.Clone(c.of), rand.New(rand.NewPCG(uint64(n), 7))
			for range flips {
				at, bit := r.IntN(len(b)), byte(1)<<r.IntN(8)
				if n == 3 && r.IntN(2) == 0 { // the small members at the end, which the videos outweigh
					at = len(b) - 1 - r.IntN(min(len(b), 8000))
				}
				b[at] ^= bit
				if c.check(b) == nil {
					t.Errorf("case %d: bit %d of byte %d of %d was changed, and the package is accepted", n, bit, at, len(b))
				}
				b[at] ^= bit
			}
		})
	}
	all.Wait()
	for _, b := range [][]byte{plain[:len(plain)-1], plain[1:], append(bytes.Clone(plain), 0), append([]byte{0}, plain...), plain[:len(plain)/2]} {
		if whole(b) == nil {
			t.Errorf("%d bytes of %d are accepted", len(b), len(plain))
		}
	}
	if err := whole(reordered(t, plain)); err == nil {
		t.Error("members in another order are accepted")
	}
	other, err := ledger.ParseVerifier(ledger.VerifierKey("campuskeep/ck-other", bytes.Repeat([]byte{7}, 32)))
	must(t, err)
	if _, err := packet.VerifyPackage(bytes.NewReader(plain), int64(len(plain)), nil, other); !errors.Is(err, ledger.ErrUntrusted) {
		t.Errorf("by the key of another school: %v", err)
	}
	if v, err := packet.VerifyPackage(bytes.NewReader(plain), int64(len(plain)), nil); err != nil || v.Trusted {
		t.Errorf("without a key: trusted %v, %v", v.Trusted, err)
	}
}

// reordered packs the same members with the first two exchanged.
func reordered(t *testing.T, plain []byte) []byte {
	t.Helper()
	a, err := packet.OpenArchive(bytes.NewReader(plain), int64(len(plain)))
	must(t, err)
	var out bytes.Buffer
	w := packet.NewArchive(&out, begin)
	order := []int{1, 0}
	for i := 2; i < len(a.Members); i++ {
		order = append(order, i)
	}
	for _, i := range order {
		must(t, w.Begin(a.Members[i].Name))
		must(t, a.Read(i, func(r io.Reader) error {
			_, err := io.Copy(w, r)
			return err
		}))
	}
	must(t, w.Close())
	return out.Bytes()
}

// Covers F14: who may not, does not: the applicant, one person twice, the administrator, who has no approval for a
// package, and anybody after its time. Nothing is read, and nothing but refusals is entered.
func TestWhoMayNotExtract(t *testing.T) {
	h := newEnv(t, func(o *Options) {
		o.Independent = func(a, b string) bool { return a != b && !(a == officer.ID && b == second.ID) }
	})
	ctx := t.Context()
	a := h.approved(brief)
	for _, w := range []account.Who{officer, head, admin} {
		if _, err := h.x.Request(ctx, w, a.ID, "2026-05-21", ""); err == nil {
			t.Errorf("%s asks for another's extraction", w.ID)
		}
	}
	if _, err := h.x.Request(ctx, teacher, a.ID, "2026-06-21", ""); err == nil {
		t.Error("a day after the use is over")
	}
	e, err := h.x.Request(ctx, teacher, a.ID, "2026-05-21", "")
	must(t, err)
	if again, err := h.x.Request(ctx, teacher, a.ID, "2026-05-22", ""); err != nil || again.ID != e.ID {
		t.Errorf("asked for twice: %s, %v", again.ID, err)
	}
	own := who(teacher.ID, account.RoleStaff, account.RoleOfficer) // the applicant got a duty meanwhile
	one := who(officer.ID, account.RoleStaff, account.RoleOfficer)
	one.SecondFactor = false
	for name, pair := range map[string][2]account.Who{"the applicant operates": {own, head}, "the applicant supervises": {officer, own}, "one twice": {officer, officer},
		"an administrator": {admin, head}, "a teacher": {who("p011", account.RoleStaff), head}, "without a second factor": {one, head}, "not independent": {officer, second}} {
		if _, err := h.x.Start(ctx, pair[0], pair[1], e.ID, ""); err == nil {
			t.Errorf("%s: it began", name)
		}
	}
	if _, err := h.x.Secret(ctx, officer, e.ID); err == nil {
		t.Error("a secret of nothing")
	}
	h.clock.Pass(8 * 24 * time.Hour)
	if _, err := h.x.Start(ctx, officer, head, e.ID, ""); err == nil {
		t.Error("after the use is over: it began")
	}
	if got := h.kinds("extraction."); !slices.Equal(got, []ledger.Kind{"extraction.requested"}) {
		t.Errorf("entries %v", got)
	}
}

// waiting is an NVR whose footage never comes.
type waiting struct{}

func (waiting) Fetch(context.Context, account.Who, string, footage.Span, string, bool) error {
	return nil
}
func (waiting) Fetching(string, footage.Span) (usage.Fetching, bool, error) {
	return usage.Fetching{State: "running", Percent: 40}, true, nil
}

// Covers F14: what ends the approval or a right ends the extraction that runs, within a second, and nothing is left of it.
func TestARunningExtractionEndsWithItsGround(t *testing.T) {
	h := newEnv(t, func(o *Options) { o.Fetcher = waiting{} })
	h.cameras[0].Custody = footage.CustodyNVR
	for name, c := range map[string]struct {
		act  func(h *env, e Extraction)
		want string
	}{
		"revoked": {func(h *env, e Extraction) {
			_, err := h.reg.Revoke(h.t.Context(), leader, e.Application, "用途不符。")
			must(h.t, err)
		}, ReasonRevoked},
		"a right is taken": {func(h *env, _ Extraction) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.roles[head.ID] = []account.Role{account.RoleStaff}
		}, ReasonRight},
		"an account is closed": {func(h *env, _ Extraction) {
			h.mu.Lock()
			defer h.mu.Unlock()
			delete(h.roles, officer.ID)
		}, ReasonRight},
		"cancelled": {func(h *env, e Extraction) {
			_, err := h.x.Cancel(h.t.Context(), leader, e.ID)
			must(h.t, err)
		}, ReasonCancelled},
	} {
		t.Run(name, func(t *testing.T) {
			a := h.approved(brief)
			e, err := h.x.Request(t.Context(), teacher, a.ID, "2026-05-21", "")
			must(t, err)
			_, err = h.x.Start(t.Context(), officer, head, e.ID, "")
			must(t, err)
			if _, err := h.x.Start(t.Context(), officer, head, e.ID, ""); err == nil {
				t.Error("it began twice")
			}
			c.act(h, e)
			if e = h.wait(e.ID); e.State != Stopped || e.Reason != c.want {
				t.Errorf("%s, %s", e.State, e.Reason)
			}
			if left, err := h.x.o.FS.ReadDir(folder); err != nil || len(left) != 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			h.roles[officer.ID], h.roles[head.ID] = officer.Roles, head.Roles
		})
	}
}

// Covers F14: a stop of the appliance at any step loses nothing and invents nothing. What ran begins again, a package
// whose secret nobody has is void, one whose secret is printed stays.
func TestAStopAtEveryStep(t *testing.T) {
	h := newEnv(t, nil)
	ctx := t.Context()
	a := h.approved(brief)
	e, err := h.x.Request(ctx, teacher, a.ID, "2026-05-21", "")
	must(t, err)
	h.restart()
	state := func(want State, reason string, files int) {
		t.Helper()
		h.settled()
		got, err := h.x.Get(e.ID)
		must(t, err)
		left, err := h.x.o.FS.ReadDir(folder)
		must(t, err)
		if got.State != want || got.Reason != reason || len(left) != files {
			t.Fatalf("%s, %q, %d files; want %s, %q, %d", got.State, got.Reason, len(left), want, reason, files)
		}
	}
	state(Requested, "", 0)

	h.end() // nobody does it: as if the power went right after the entry
	_, err = h.x.Start(ctx, officer, head, e.ID, "")
	must(t, err)
	f, err := h.x.o.FS.OpenFile("packages/left.age.part", 0x41, 0o600) // what a torn attempt leaves
	must(t, err)
	must(t, f.Close())
	h.restart()
	state(Stopped, ReasonRestart, 0)

	_, err = h.x.Start(ctx, officer, head, e.ID, "")
	must(t, err)
	if e = h.wait(e.ID); e.State != Sealed {
		t.Fatalf("%s, %s", e.State, e.Reason)
	}
	h.restart()
	state(Stopped, ReasonSecret, 0)

	_, err = h.x.Start(ctx, officer, head, e.ID, "")
	must(t, err)
	e = h.wait(e.ID)
	secret, err := h.x.Secret(ctx, officer, e.ID)
	must(t, err)
	h.restart()
	state(Sealed, "", 1)
	r, _, c, err := h.x.Download(ctx, officer, e.ID)
	must(t, err)
	b, err := io.ReadAll(r)
	must(t, err)
	must(t, r.Close())
	if opened(t, b, secret); c.No != 1 {
		t.Errorf("copy %d", c.No)
	}
	h.restart()
	state(Handed, "", 1)
	_, err = h.x.Receive(ctx, head, e.ID, 1, "宋知行")
	must(t, err)
	h.restart()
	state(Received, "", 1)
	if got, err := h.reg.Get(a.ID); err != nil || got.State != rules.InUse {
		t.Errorf("the application is %s, %v", got.State, err)
	}
	if e, err = h.x.Close(ctx, head, e.ID, 1, "destroyed", ""); err != nil || e.State != Returned {
		t.Errorf("%s, %v", e.State, err)
	}
}

// A package sealed to a recipient's own key needs no secret, and no sheet with one.
func TestAPackageForAKey(t *testing.T) {
	h := newEnv(t, nil)
	id, err := age.GenerateX25519Identity()
	must(t, err)
	a := h.approved(brief)
	e, err := h.x.Request(t.Context(), teacher, a.ID, "2026-05-21", "")
	must(t, err)
	_, err = h.x.Start(t.Context(), officer, head, e.ID, id.Recipient().String())
	must(t, err)
	if e = h.wait(e.ID); e.State != Sealed {
		t.Fatalf("%s, %s", e.State, e.Reason)
	}
	if _, err := h.x.Secret(t.Context(), officer, e.ID); err != ErrPrinted {
		t.Errorf("a secret: %v", err)
	}
	h.restart()
	h.settled()
	r, _, _, err := h.x.Download(t.Context(), officer, e.ID)
	must(t, err)
	defer r.Close()
	plain, err := age.Decrypt(r, id)
	must(t, err)
	if _, err := io.Copy(io.Discard, plain); err != nil {
		t.Error(err)
	}
}

// A package holds as many cameras in spans as its entry has place for; one more is refused in words, and an approval of
// any number that can be applied for is entered.
func TestMoreCamerasThanAPackageHolds(t *testing.T) {
	const most = 46
	h := newEnv(t, nil)
	for _, n := range []int{64, most + 1, most} { // 64: all that one application names
		h.cameras = nil
		var ids []string
		for i := range n {
			ids = append(ids, fmt.Sprintf("c%02d", i+1))
			h.cameras = append(h.cameras, footage.Camera{ID: ids[i], Name: ids[i], Place: "东大门", Custody: footage.CustodyVault, Main: "rtsp://10.20.4.11:554/main", Policy: footage.Policy{Days: 30}})
		}
		ctx := t.Context()
		a, err := h.reg.Submit(ctx, teacher, rules.Application{Unit: "七年级组", Contact: "内线 8326", Purpose: "06", Reason: "派出所调取校门外碰撞经过。",
			Ways: []rules.Way{rules.WayPackage}, Wanted: []rules.RequestedSpan{{Place: "东大门", Span: footage.Span{From: brief.From, To: brief.From.Add(time.Second)}}},
			UseFrom: "2026-05-20", UseUntil: "2026-05-27", Recipients: []rules.Recipient{{Name: "宋知行", Unit: "青榆派出所", Document: "900131", Outside: true}},
			Undertakings: rules.AllUndertakings})
		must(t, err)
		_, err = h.reg.Review(ctx, officer, a.ID, ids, "")
		must(t, err)
		_, err = h.reg.Decide(ctx, head, a.ID, rules.Decision{Approved: true})
		must(t, err)
		if a, err = h.reg.Decide(ctx, leader, a.ID, rules.Decision{Approved: true}); err != nil || a.State != rules.Approved {
			t.Fatalf("%d cameras: %s, %v", n, a.State, err)
		}
		e, err := h.x.Request(ctx, teacher, a.ID, "2026-05-21", "")
		must(t, err)
		_, err = h.x.Start(ctx, officer, head, e.ID, "")
		if errs, ok := errors.AsType[fielderr.Errors](err); n > most && (!ok || errs[0].Rule != "err.extraction_many" || errs[0].Args[0] != n) || n <= most && err != nil {
			t.Errorf("%d cameras: %v", n, err)
		}
	}
}
