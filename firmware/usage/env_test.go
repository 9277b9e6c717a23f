package usage

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/ledgerdb/ledgerdbtest"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/clock/clocktest"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	rules "campuskeep/shared/usage"
)

// switchable is a source of keys that can be made to fail: a commit with sealed parts fails with it.
type switchable struct {
	ledgerdb.Sealer
	mu   sync.Mutex
	fail error
}

func (s *switchable) Ensure(ctx context.Context, owner ...string) error {
	s.mu.Lock()
	err := s.fail
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.Sealer.Ensure(ctx, owner...)
}

func (s *switchable) failWith(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// minutes is a source that has every minute of every camera, of one size.
type minutes struct{ bytes int64 }

func (m *minutes) Segments(_ context.Context, camera string, span footage.Span) (out []footage.Placed, _ error) {
	for at := span.From.Truncate(time.Minute); at.Before(span.To); at = at.Add(time.Minute) {
		id := footage.FileID{camera[len(camera)-1]}
		binary.BigEndian.PutUint64(id[8:], uint64(at.Unix()))
		out = append(out, footage.Placed{Segment: footage.Segment{Camera: camera, File: id, Bytes: m.bytes},
			Span: footage.Span{From: at, To: at.Add(time.Minute)}, Anchored: true})
	}
	return out, nil
}
func (*minutes) OpenSegment(context.Context, footage.Segment) (footage.SegmentReader, error) {
	return nil, errors.New("none")
}

// env is a real store and ring in a temporary directory, with the office on top.
type env struct {
	t       testing.TB
	dir     string
	clock   *clocktest.Clock
	people  *switchable
	store   *ledgerdb.Store
	office  *Register
	footage *minutes
	cameras []footage.Camera
	rules   rules.Rules
	stop    func()
}

// Wednesday 20 May 2026, 09:42 in the school.
var begin = time.Date(2026, 5, 20, 1, 42, 0, 0, time.UTC)

func newEnv(t testing.TB) *env {
	t.Helper()
	policy := footage.Policy{Days: 30}
	h := &env{t: t, dir: t.TempDir(),
		clock: clocktest.New(clock.Reading{Wall: begin, Uncertainty: time.Second, State: clock.Trusted, Boot: "b1", Mono: time.Hour}),
		cameras: []footage.Camera{{ID: "c01", Place: "东大门外", Policy: policy}, {ID: "c02", Place: "自行车棚", Policy: policy},
			{ID: "c03", Place: "自行车棚", Policy: policy}}}
	h.footage, h.rules = &minutes{bytes: 1 << 20}, rules.DefaultRules
	h.open()
	return h
}

func (h *env) open() {
	h.t.Helper()
	s := ledgerdbtest.Open(h.t, h.dir, h.clock, func(o *ledgerdb.Options) {
		h.people = &switchable{Sealer: o.People}
		o.People = h.people
	})
	h.t.Cleanup(func() {
		if h.store == s.Store { // not one before a restart
			h.close()
		}
	})
	h.store, h.stop = s.Store, s.Stop // as after a power cut: nobody closes the viewings
	var err error
	h.office, err = Open(Options{Store: h.store, Clock: h.clock, Cameras: func() []footage.Camera { return h.cameras },
		Footage: h.footage, Capacity: func() (uint64, error) { return 100 << 30, nil }, SchoolDay: weekday,
		Rules: func() rules.Rules { return h.rules }, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	must(h.t, err)
}

// close checks I1, I2 and I5 at the end of every test.
func (h *env) close() {
	must(h.t, h.office.summarise(context.Background()))
	for _, f := range h.findings() {
		h.t.Errorf("check: %s %s %s: %s", f.Invariant, f.What, f.Where, f.Detail)
	}
}

func (h *env) findings() []ledgerdb.Finding {
	h.t.Helper()
	var out []ledgerdb.Finding
	add := func(f ledgerdb.Finding) { out = append(out, f) }
	must(h.t, h.store.Check(context.Background(), add))
	must(h.t, Check(context.Background(), h.store, add))
	return out
}

func (h *env) restart() {
	h.t.Helper()
	h.stop()
	h.open()
}

func weekday(date string) bool {
	d, err := time.Parse(time.DateOnly, date)
	return err == nil && d.Weekday() != time.Saturday && d.Weekday() != time.Sunday
}

func (h *env) entries(kinds ...ledger.Kind) []ledger.Entry {
	h.t.Helper()
	var out []ledger.Entry
	for e, err := range h.store.Entries(0, h.store.Size()) {
		must(h.t, err)
		for _, k := range kinds {
			if e.Kind == k {
				out = append(out, e)
			}
		}
	}
	return out
}

func data(t testing.TB, e ledger.Entry) map[string]any {
	t.Helper()
	m := map[string]any{}
	must(t, json.Unmarshal(e.Data, &m))
	return m
}

func who(id string, roles ...account.Role) account.Who {
	return account.Who{Actor: account.Actor{ID: id, Roles: roles, SecondFactor: true}, Via: ledger.ViaWeb,
		From: ledger.From{Address: "10.20.3.18", Terminal: "t1"}}
}

var (
	teacher = who("p010", account.RoleStaff, account.RoleClassTeacher)
	officer = who("p002", account.RoleStaff, account.RoleOfficer)
	head    = who("p003", account.RoleStaff, account.RoleHeadOfSafety)
	leader  = who("p004", account.RoleStaff, account.RoleLeader)
)

// yesterday 17:00 to 18:30 at the east gate.
func form() rules.Application {
	from := time.Date(2026, 5, 19, 9, 0, 0, 0, time.UTC)
	return rules.Application{Unit: "七年级组", Contact: "内线 8326", Purpose: "03", Reason: "书包遗忘在大厅，回取时已不在。",
		Ways: []rules.Way{rules.WayView}, Wanted: []rules.RequestedSpan{{Place: "东大门外", Span: footage.Span{From: from, To: from.Add(90 * time.Minute)}}},
		UseFrom: "2026-05-20", UseUntil: "2026-05-27", Recipients: []rules.Recipient{{Name: "范之远"}},
		Undertakings: rules.AllUndertakings}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// dropRow and putRow take away and give back the row of an open viewing behind the office's back.
func (h *env) dropRow(id string) error {
	_, err := h.store.Commit(context.Background(), ledgerdb.Change{Deletes: []ledgerdb.Delete{viewings.Delete(id)}})
	return err
}

func (h *env) putRow(v Viewing) error {
	row := openViewing{v.Person, v.Role, v.Camera, v.Opened}
	_, err := h.store.Commit(context.Background(), ledgerdb.Change{Puts: []ledgerdb.Put{viewings.Put(v.ID, row)}})
	return err
}
