package emergency

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"
	_ "time/tzdata"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/keyring"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
	"campuskeep/shared/clock/clocktest"
	rules "campuskeep/shared/emergency"
	"campuskeep/shared/login"
	"campuskeep/shared/student"
)

var logKey = ed25519.NewKeyFromSeed([]byte("campuskeep test log signing key!"))

var shanghai = time.FixedZone("CST", 8*3600)

// gateAsTold says who is in school as a test tells it: everybody who is not named is in.
type gateAsTold struct {
	people *people.People
	mu     sync.Mutex
	not    map[string]attendance.DayStatus
}

func (g *gateAsTold) SchoolDay(date string) (out []attendance.DayStatus, last map[string]attendance.Tap, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	last = map[string]attendance.Tap{}
	for _, c := range g.people.Classes(date) {
		for _, s := range g.people.Roster(c.ID, date) {
			d, ok := g.not[s.ID]
			if !ok {
				d = attendance.DayStatus{Outcome: attendance.Present, Attended: true}
				last[s.ID] = attendance.Tap{Student: s.ID, Reader: "r01", At: time.Date(2026, 5, 20, 7, 41, 0, 0, shanghai)}
			}
			d.Student, d.Class, d.Date = s.ID, c.ID, date
			out = append(out, d)
		}
	}
	return out, last, nil
}

// env is a school over the real store, which can be started again.
type env struct {
	*Register
	t      *testing.T
	dir    string
	clock  *clocktest.Clock
	store  *ledgerdb.Store
	people *people.People
	gate   *gateAsTold
	stop   func()
}

func newEnv(t *testing.T, classes, pupils int) *env {
	t.Helper()
	h := &env{t: t, dir: t.TempDir(), clock: clocktest.New(clock.Reading{Wall: time.Date(2026, 5, 20, 6, 20, 0, 0, time.UTC), State: clock.Trusted, Boot: "boot-1", Mono: time.Hour})}
	h.start()
	t.Cleanup(func() { h.stop() })
	for n := range classes {
		c := student.NewClass(student.Primary, 2023, n+1)
		h.must(h.people.PutClass(t.Context(), account.System, c))
		var list []people.NewStudent
		for k := range pupils {
			list = append(list, people.NewStudent{Student: student.Student{Name: fmt.Sprintf("陆可%s%s", string(rune('一'+n)), string(rune('一'+k))), Sex: student.SexFemale, Birth: "2016-10-01"}, Class: c.ID, From: "2023-09-01"})
		}
		_, err := h.people.AddStudents(t.Context(), account.System, list)
		h.must(err)
	}
	return h
}

// start opens the store and the packages, as after a start of the program.
func (h *env) start() {
	h.t.Helper()
	fsys, err := disk.Real(h.dir)
	h.must(err)
	root, err := keyring.OpenRoot(fsys)
	h.must(err)
	ring, err := root.Ring("people")
	h.must(err)
	log := slog.New(slog.DiscardHandler)
	h.store, err = ledgerdb.Open(ledgerdb.Options{Dir: h.dir, Origin: "campuskeep/ck-test", Clock: h.clock, People: ring, Signer: logKey, Log: log})
	h.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.store.Run(ctx) }()
	h.stop = func() {
		if err := h.store.Check(context.Background(), func(f ledgerdb.Finding) { h.t.Errorf("check: %+v", f) }); err != nil {
			h.t.Error(err)
		}
		cancel()
		if err := <-ended; err != nil {
			h.t.Error(err)
		}
		if err := h.store.Close(); err != nil {
			h.t.Error(err)
		}
	}
	h.people, err = people.Open(ctx, people.Options{Store: h.store, Data: fsys, Clock: h.clock, Zone: shanghai, Cost: login.Params{Memory: 64, Time: 1, Threads: 1}, Log: log})
	h.must(err)
	not := map[string]attendance.DayStatus{}
	if h.gate != nil {
		not = h.gate.not
	}
	h.gate = &gateAsTold{people: h.people, not: not}
	h.Register, err = Open(Options{Store: h.store, People: h.people, Gate: h.gate, Clock: h.clock, Zone: shanghai, Log: log})
	h.must(err)
}

func (h *env) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func who(id string) account.Who { return account.Who{Actor: account.Actor{ID: id}, Via: "web"} }

// begin opens a fire drill of the whole school.
func (h *env) begin() rules.Event {
	h.t.Helper()
	e, err := h.Begin(h.t.Context(), who("p001"), account.RoleHeadOfSafety, rules.Event{Kind: rules.Fire, Drill: true, Whole: true, Detail: "博学楼全楼"})
	h.must(err)
	return e
}

func (h *env) state(by, event, batch, class string, marks ...Mark) error {
	return h.Say(h.t.Context(), who(by), account.RoleClassTeacher, event, Batch{ID: batch, Class: class, Marks: marks})
}

func (h *env) board(id string) Board {
	h.t.Helper()
	b, err := h.Board(id)
	h.must(err)
	return b
}
