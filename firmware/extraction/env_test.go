package extraction

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/ledgerdb/ledgerdbtest"
	"campuskeep/firmware/usage"
	"campuskeep/firmware/vault"
	"campuskeep/firmware/vault/vaulttest"
	"campuskeep/scripts/sim/history"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/clock/clocktest"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/packet"
	rules "campuskeep/shared/usage"
)

// env is a real store, register and vault, with fifty minutes of footage of one camera.
type env struct {
	t       testing.TB
	dir     string
	clock   *clocktest.Clock
	store   *ledgerdb.Store
	stop    func()
	vault   *vault.Vault
	cameras []footage.Camera
	reg     *usage.Register
	x       *Extractions
	end     func()
	change  func(*Options)

	mu    sync.Mutex
	roles map[string][]account.Role // who may log in now
}

// Wednesday 20 May 2026, 09:42 at the school; the footage is of 07:20 to 08:10.
var (
	begin  = time.Date(2026, 5, 20, 1, 42, 0, 0, time.UTC)
	filmed = footage.Span{From: time.Date(2026, 5, 19, 23, 20, 0, 0, time.UTC), To: time.Date(2026, 5, 20, 0, 10, 0, 0, time.UTC)}
	anchor = clock.Anchor{Boot: "b1", Mono: 90 * 24 * time.Hour, UTC: begin}
)

func who(id string, roles ...account.Role) account.Who {
	return account.Who{Actor: account.Actor{ID: id, Roles: roles, SecondFactor: true}, Via: ledger.ViaWeb, From: ledger.From{Address: "10.20.3.18"}}
}

var (
	teacher = who("p010", account.RoleStaff, account.RoleClassTeacher)
	officer = who("p002", account.RoleStaff, account.RoleOfficer)
	second  = who("p005", account.RoleStaff, account.RoleOfficer)
	head    = who("p003", account.RoleStaff, account.RoleHeadOfSafety)
	leader  = who("p004", account.RoleStaff, account.RoleLeader)
	admin   = who("p006", account.RoleStaff, account.RoleAdmin)
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func places() footage.Places { return footage.Places{Anchors: clock.NewAnchors(anchor)} }

func newEnv(t testing.TB, change func(*Options)) *env {
	t.Helper()
	h := &env{t: t, dir: t.TempDir(), change: change, vault: vaulttest.Open(t),
		clock:   clocktest.New(clock.Reading{Wall: begin, Uncertainty: 20 * time.Millisecond, State: clock.Trusted, Boot: "b1", Mono: anchor.Mono}),
		cameras: []footage.Camera{{ID: "c01", Name: "东大门外", Place: "东大门", Custody: footage.CustodyVault, Main: "rtsp://10.20.4.11:554/main", Policy: footage.Policy{Days: 30}}},
		roles:   map[string][]account.Role{}}
	for _, w := range []account.Who{teacher, officer, second, head, leader, admin} {
		h.roles[w.ID] = w.Roles
	}
	_, err := history.Fill(t.Context(), h.vault, h.cameras, filmed, anchor, nil)
	must(t, err)
	h.open()
	h.bind()
	return h
}

func (h *env) open() {
	h.t.Helper()
	s := ledgerdbtest.Open(h.t, h.dir, h.clock)
	h.store, h.stop = s.Store, s.Stop
	var err error
	src := h.vault.Source(places)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	h.reg, err = usage.Open(usage.Options{Store: h.store, Clock: h.clock, Cameras: func() []footage.Camera { return h.cameras }, Footage: src,
		SchoolDay: func(string) bool { return true }, Log: log})
	must(h.t, err)
	data, err := disk.Real(h.dir)
	must(h.t, err)
	o := Options{Store: h.store, Clock: h.clock, Register: h.reg, Cameras: func() []footage.Camera { return h.cameras }, Footage: src,
		Present: func(ctx context.Context, camera string, span footage.Span, f func(footage.Placed) bool) error {
			return h.vault.Walk(ctx, places(), camera, span, f)
		},
		Actor: h.actor, Name: func(id string) string { return "姓名" + id }, Unit: func(string) string { return "安保科" }, FS: data,
		Independent: func(a, b string) bool { return a != b }, School: "青榆实验学校", Zone: time.FixedZone("CST", 8*3600), Log: log}
	if h.change != nil {
		h.change(&o)
	}
	h.x, err = Open(o)
	must(h.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.x.Run(ctx) }()
	var once sync.Once
	h.end = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				h.t.Error(err)
			}
		})
	}
	h.t.Cleanup(h.end)
}

// settled waits until what the last run left is dealt with.
func (h *env) settled() {
	h.t.Helper()
	<-h.x.ready
}

func (h *env) restart() {
	h.t.Helper()
	h.end()
	h.stop()
	h.open()
}

func (h *env) actor(id string) (account.Actor, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, ok := h.roles[id]
	return account.Actor{ID: id, Roles: r}, ok
}

// bind enters the hours as retention does.
func (h *env) bind() {
	h.t.Helper()
	groups := map[time.Time][]packet.Hash{}
	var hours []time.Time
	must(h.t, h.vault.Walk(h.t.Context(), places(), "c01", footage.Span{From: filmed.From.Add(-time.Hour), To: filmed.To.Add(time.Hour)}, func(p footage.Placed) bool {
		at := p.Span.From.Truncate(time.Hour)
		if groups[at] == nil {
			hours = append(hours, at)
		}
		groups[at] = append(groups[at], packet.SegmentLeaf(p.Segment))
		return true
	}))
	for _, at := range hours {
		root := packet.TreeRoot(groups[at])
		_, err := h.store.Commit(h.t.Context(), ledgerdb.Change{Entries: []ledger.Draft{account.System.Draft("footage.recorded", "", "c01",
			map[string]any{"hour": at, "count": len(groups[at]), "root": root[:], "first": at, "last": at.Add(time.Hour)})}})
		must(h.t, err)
	}
}

// approved is an application for a package of a span, reviewed, approved and approved again.
func (h *env) approved(span footage.Span) rules.Application {
	h.t.Helper()
	a, err := h.reg.Submit(h.t.Context(), teacher, rules.Application{Unit: "七年级组", Contact: "内线 8326", Purpose: "06", Reason: "派出所调取校门外碰撞经过。",
		Ways: []rules.Way{rules.WayView, rules.WayPackage}, Wanted: []rules.RequestedSpan{{Place: "东大门", Span: span}},
		UseFrom: "2026-05-20", UseUntil: "2026-05-27", Recipients: []rules.Recipient{{Name: "宋知行", Unit: "青榆派出所", Document: "900131", Outside: true}},
		Undertakings: rules.AllUndertakings})
	must(h.t, err)
	_, err = h.reg.Review(h.t.Context(), officer, a.ID, []string{"c01"}, "")
	must(h.t, err)
	_, err = h.reg.Decide(h.t.Context(), head, a.ID, rules.Decision{Approved: true, Note: "仅供本案使用。"})
	must(h.t, err)
	a, err = h.reg.Decide(h.t.Context(), leader, a.ID, rules.Decision{Approved: true})
	must(h.t, err)
	if a.State != rules.Approved {
		h.t.Fatalf("the application is %s", a.State)
	}
	return a
}

// wait waits until an extraction does not run any more.
func (h *env) wait(id string) Extraction {
	h.t.Helper()
	sizes, cancel := h.store.Subscribe()
	defer cancel()
	for {
		e, err := h.x.Get(id)
		must(h.t, err)
		if _, running := h.x.job(id); e.State != Running && !running {
			return e
		}
		select {
		case <-sizes:
		case <-time.After(20 * time.Millisecond):
		case <-h.t.Context().Done():
			h.t.Fatal("the extraction never ended")
		}
	}
}

func (h *env) kinds(prefix string) (out []ledger.Kind) {
	h.t.Helper()
	for e, err := range h.store.Entries(0, h.store.Size()) {
		must(h.t, err)
		if len(e.Kind) >= len(prefix) && string(e.Kind)[:len(prefix)] == prefix {
			out = append(out, e.Kind)
		}
	}
	return out
}
