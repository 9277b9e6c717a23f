package nvr_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/nvr"
	"campuskeep/firmware/site"
	sim "campuskeep/scripts/sim/nvr"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

var technician = account.Who{Actor: account.Actor{ID: "p001", Roles: []account.Role{account.RoleInstaller}, SecondFactor: true}, Via: ledger.ViaWeb}

// Covers F4: what is wanted is asked for once, and only what is neither in the vault nor on its way.
func TestWantAsksForWhatIsMissing(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.register()
	r.check()
	want := func(span footage.Span, ground string, again bool) int {
		t.Helper()
		r.must(r.EnsureFetched(t.Context(), account.System, "c01", span, ground, again))
		all, err := r.Fetches()
		r.must(err)
		return len(all)
	}
	span := at(-50*time.Hour, -50*time.Hour+10*time.Second)
	if n := want(span, "a2026-0001", false); n != 1 {
		t.Fatalf("%d fetches", n)
	}
	if n := want(span, "a2026-0001", false); n != 1 {
		t.Errorf("asked again: %d", n)
	}
	if n := want(footage.Span{From: span.From, To: span.To.Add(10 * time.Second)}, "i-abc", true); n != 2 {
		t.Errorf("the rest: %d", n)
	}
	all, err := r.Fetches()
	r.must(err)
	if all[1].Span.From != span.To {
		t.Errorf("%+v", all[1].Span)
	}
	if n := want(at(-80*24*time.Hour, -80*24*time.Hour+time.Minute), "i-abc", true); n != 2 {
		t.Errorf("of what nobody has: %d", n)
	}
	stop := r.run()
	defer stop()
	r.await("both", func() bool {
		p, ok, err := r.Progress("c01", span)
		r.must(err)
		return ok && p.State == nvr.FetchDone && p.Percent == 100
	})
}

// Footage that is younger than the last listing is listed first, and then fetched.
func TestWhatIsYoungerThanTheListingIsFetched(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.register()
	r.check()
	now := r.world.pass(3 * time.Hour)
	r.nvr.Record(1, sim.Hours(noon.Add(-30*day), now)...)
	f := r.bring(footage.Span{From: now.Add(-90 * time.Minute), To: now.Add(-90*time.Minute + 4*time.Second)})
	if f.State != nvr.FetchDone || f.Bytes == 0 {
		t.Errorf("%+v", f)
	}
	f = r.bring(footage.Span{From: now.Add(-80 * 24 * time.Hour).Add(-time.Minute), To: now.Add(time.Minute)}.Intersect(footage.Span{From: now.Add(-time.Second), To: now.Add(time.Minute)}))
	if f.State == nvr.FetchWaiting {
		t.Errorf("%+v", f)
	}
}

// Covers F1: an installer's look stops after one refusal; one that comes through is registered with its password.
func TestALookIsAdopted(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *sim.Options) { o.Channels = append(o.Channels, sim.Channel{ID: 2, Name: "two"}) })
	stop := r.run()
	defer stop()
	look := func(password string) nvr.Discovery {
		t.Helper()
		d := r.device()
		d.ID, d.Cameras = "new", nil
		id, err := r.StartDiscovery(technician, d, site.Login{User: "keeper", Password: password})
		r.must(err)
		var l nvr.Discovery
		r.await("the look", func() bool {
			l, err = r.Discovery(technician, id)
			r.must(err)
			return l.Done()
		})
		return l
	}
	if l := look("wrong"); l.Fault != nvr.FaultCredentials || !strings.Contains(l.Detail, "401") || r.nvr.Counts().Refused != 1 {
		t.Errorf("%+v, %+v", l, r.nvr.Counts())
	}
	l := look("right horse")
	if l.Fault != "" || len(l.Found.Channels) != 2 || !l.Found.Known {
		t.Fatalf("%+v", l)
	}
	if _, err := r.Discovery(account.Who{Actor: account.Actor{ID: "p002"}}, l.ID); !errors.Is(err, nvr.ErrNoDiscovery) {
		t.Errorf("somebody else's look: %v", err)
	}
	r.must(r.Register(t.Context(), technician, l.ID, r.device(), nil, nil))
	r.await("the first check", func() bool { s, _, err := r.State("n01"); r.must(err); return !s.Checked.IsZero() })
	if _, err := r.Discovery(technician, l.ID); !errors.Is(err, nvr.ErrNoDiscovery) {
		t.Errorf("the look is still there: %v", err)
	}
	if _, err := r.StartDiscovery(account.Who{Actor: account.Actor{ID: "p003", Roles: []account.Role{account.RoleOfficer}, SecondFactor: true}}, r.device(), site.Login{User: "a", Password: "b"}); err == nil {
		t.Error("an officer looked")
	}
}

// Covers F13: a list is signed when every line has its answer, and is not signed any more when it has changed.
func TestTheListOfAccessPathsIsSigned(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.register()
	r.check()
	r.must(r.ReadAccessPaths(t.Context(), "n01"))
	l, ok, err := r.AccessList("n01")
	r.must(err)
	if !ok || len(l.Paths) < 7 || l.Paths[0].Answer != nvr.AnswerOwn {
		t.Fatalf("%+v", l)
	}
	replies := map[string]nvr.Reply{}
	if _, err := r.Sign(t.Context(), technician, "梁牧", "n01", l.Read, replies); err == nil {
		t.Error("signed without answers")
	}
	for _, d := range l.Paths {
		replies[d.Key()] = nvr.Reply{Answer: nvr.AnswerOpen}
	}
	if _, err := r.Sign(t.Context(), technician, "梁牧", "n01", l.Read, replies); err == nil {
		t.Error("signed with open doors and no word why")
	}
	for _, d := range l.Paths {
		replies[d.Key()] = nvr.Reply{Answer: nvr.AnswerNeeded, Note: "监控室值班"}
	}
	signed, err := r.Sign(t.Context(), technician, "梁牧", "n01", l.Read, replies)
	r.must(err)
	if e := r.entries("nvr.signed"); len(e) != 1 || e[0].Actor.ID != "p001" || signed.ByName != "梁牧" {
		t.Errorf("%+v, %+v", e, signed)
	}
	r.world.pass(time.Hour)
	r.must(r.ReadAccessPaths(t.Context(), "n01"))
	if l, _, err = r.AccessList("n01"); err != nil || l.Signed.IsZero() {
		t.Errorf("the signature is gone although nothing has changed: %v", err)
	}
	// The daily check sees that somebody can get at it who could not before.
	r.nvr.SetAccounts(sim.Account{Name: "keeper", Level: "Administrator"}, sim.Account{Name: "night", Level: "Viewer"})
	r.check()
	r.check()
	l, _, err = r.AccessList("n01")
	r.must(err)
	var shown []map[string]any
	for _, e := range r.entries("nvr.fault") {
		if d := data[map[string]any](t, e); d["code"] == "doors" {
			shown = append(shown, d)
		}
	}
	if len(shown) != 1 || shown[0]["count"] != 1.0 {
		t.Errorf("%v", shown)
	}
	if !l.Signed.IsZero() || l.Previous.IsZero() || l.Paths[0].Note != "监控室值班" || l.Paths[1].Answer != "" {
		t.Errorf("%+v", l)
	}
}
