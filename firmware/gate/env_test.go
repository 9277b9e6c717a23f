package gate

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	_ "time/tzdata"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/keyring"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/reader"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
)

var logKey = ed25519.NewKeyFromSeed([]byte("campuskeep test log signing key!"))

var shanghai = func() *time.Location {
	l, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		panic(err)
	}
	return l
}()

// at is an instant of Wednesday 20 May 2026 at the school.
func at(h, m, s int) time.Time { return time.Date(2026, 5, 20, h, m, s, 0, shanghai) }

const today = "2026-05-20"

// schoolClock runs with the real time from an instant that tests choose; stopped, it moves only by set.
type schoolClock struct {
	mu    sync.Mutex
	still time.Time // what time.Now says to a stopped one
	began time.Time
	wall  time.Time // at began
	state clock.State
	boot  string
}

func newClock(wall time.Time) *schoolClock {
	return &schoolClock{began: time.Now(), wall: wall, state: clock.Trusted, boot: "2f1c7a60-0000-4000-8000-000000000001"}
}

func (c *schoolClock) Now() clock.Reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	since := c.real().Sub(c.began)
	return clock.Reading{Wall: c.wall.Add(since).UTC(), State: c.state, Boot: c.boot, Mono: time.Hour + since}
}

func (c *schoolClock) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.still = c.began
}

// real is the real time. Call with mu held.
func (c *schoolClock) real() time.Time {
	if c.still.IsZero() {
		return time.Now()
	}
	return c.still
}

// set moves wall and monotonic time on to an instant.
func (c *schoolClock) set(wall time.Time) {
	now := c.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.began = c.began.Add(-wall.Sub(now.Wall))
}

// correct sets the wall clock right and trusted, so long after the last readings as ago says.
func (c *schoolClock) correct(wall time.Time, ago time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.began = c.began.Add(ago)
	c.wall, c.state = wall.Add(-c.real().Sub(c.began)), clock.Trusted
}

func (c *schoolClock) doubt(s clock.State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = s
}

const pupils = 300 // more than tap within the time of a repeat

// school has pupils s0001 … in four classes; card number n is held by pupil n.
type school struct {
	key      [32]byte
	byCard   map[string]int
	mu       sync.Mutex
	calendar attendance.Calendar
	readers  []Reader
}

func newSchool() *school {
	s := &school{key: [32]byte{1, 2, 3}, byCard: map[string]int{},
		calendar: attendance.Calendar{Zone: "Asia/Shanghai", Hours: attendance.DefaultHours},
		readers:  []Reader{{ID: "r01", Direction: attendance.Auto}, {ID: "r02", Direction: attendance.In}, {ID: "r03", Direction: attendance.Out}}}
	for n := 1; n <= pupils; n++ {
		s.byCard[string(attendance.Card{Bits: 32, Raw: uid(n)}.Hash(s.key))] = n
	}
	return s
}

func uid(n int) []byte     { return binary.BigEndian.AppendUint32(nil, 0xC0DE0000+uint32(n)) }
func pupil(n int) string   { return fmt.Sprintf("s%04d", n) }
func classOf(n int) string { return fmt.Sprintf("2024-%02d", 1+(n-1)*4/pupils) }

func (s *school) ByCard(hash []byte) (string, string, bool) {
	n, ok := s.byCard[string(hash)]
	return pupil(n), classOf(n), ok
}

func (s *school) Classes(string) []Class {
	var out []Class
	for n := 1; n <= pupils; n++ {
		if len(out) == 0 || out[len(out)-1].ID != classOf(n) {
			out = append(out, Class{ID: classOf(n)})
		}
		c := &out[len(out)-1]
		c.Students = append(c.Students, pupil(n))
	}
	return out
}

// Grade: the first class is of grade 1, the second of grade 2 …
func (s *school) Grade(class, _ string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(class, "2024-"))
	if err != nil {
		return 0
	}
	return n
}

func (s *school) Carded() map[string]bool {
	out := map[string]bool{}
	for _, n := range s.byCard {
		out[pupil(n)] = true
	}
	return out
}

func (s *school) Calendar() attendance.Calendar {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calendar
}

func (s *school) Readers() []Reader { return s.readers }

// faulty is the store with its commits held up or failing.
type faulty struct {
	*ledgerdb.Store
	mu   sync.Mutex
	hold chan struct{} // commits wait until it is closed
	err  error
	took []time.Duration // of the commits that went through
}

func (f *faulty) Commit(ctx context.Context, c ledgerdb.Change) (ledgerdb.Receipt, error) {
	f.mu.Lock()
	hold, err := f.hold, f.err
	f.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ledgerdb.Receipt{}, ctx.Err()
		}
	}
	if err != nil {
		return ledgerdb.Receipt{}, err
	}
	began := time.Now()
	r, err := f.Store.Commit(ctx, c)
	f.mu.Lock()
	f.took = append(f.took, time.Since(began))
	f.mu.Unlock()
	return r, err
}

func (f *faulty) set(hold chan struct{}, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hold, f.err = hold, err
}

// env is a gate on a real store.
type env struct {
	t       testing.TB
	dir     string
	clock   *schoolClock
	school  *school
	store   *faulty
	gate    *Gate
	show    func(string, attendance.Signal)
	mu      sync.Mutex
	signals []attendance.Signal
	stops   []func()
}

func newEnv(t testing.TB, wall time.Time) *env {
	t.Helper()
	h := &env{t: t, dir: t.TempDir(), clock: newClock(wall), school: newSchool()}
	t.Cleanup(h.close)
	h.open()
	return h
}

func (h *env) open() {
	h.t.Helper()
	fs, err := disk.Real(h.dir)
	if err != nil {
		h.t.Fatal(err)
	}
	root, err := keyring.OpenRoot(fs)
	if err != nil {
		h.t.Fatal(err)
	}
	ring, err := root.Ring("people")
	if err != nil {
		h.t.Fatal(err)
	}
	s, err := ledgerdb.Open(ledgerdb.Options{Dir: h.dir, Origin: "campuskeep/ck-test", Clock: h.clock, People: ring, Signer: logKey, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		h.t.Fatal(err)
	}
	h.store = &faulty{Store: s}
	stop := h.start(s.Run)
	h.stops = append(h.stops, func() {
		stop()
		if err := s.Close(); err != nil {
			h.t.Error(err)
		}
	})
	h.gate, err = New(Options{Store: h.store, Students: h.school, Site: h.school, Clock: h.clock, CardKey: h.school.key, Show: h.signal, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		h.t.Fatal(err)
	}
}

// start runs something and gives the way to end it.
func (h *env) start(run func(context.Context) error) func() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			h.t.Error(err)
		}
	}
}

// close stops everything, last started first, after the store was found consistent.
func (h *env) close() {
	if len(h.stops) == 0 {
		return
	}
	err := h.store.Check(context.Background(), func(f ledgerdb.Finding) { h.t.Errorf("check: %+v", f) })
	if err != nil {
		h.t.Error(err)
	}
	for len(h.stops) > 0 {
		n := len(h.stops) - 1
		h.stops[n]()
		h.stops = h.stops[:n]
	}
}

func (h *env) signal(id string, s attendance.Signal) {
	h.mu.Lock()
	h.signals = append(h.signals, s)
	show := h.show
	h.mu.Unlock()
	if show != nil {
		show(id, s)
	}
}

func (h *env) shown() []attendance.Signal {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := h.signals
	h.signals = nil
	return out
}

// tap holds the card of a pupil to a reader now.
func (h *env) tap(n int, readerID string) Result {
	h.t.Helper()
	r, err := h.gate.Tap(h.t.Context(), h.read(uid(n), readerID))
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func (h *env) read(uid []byte, readerID string) reader.CardRead {
	return reader.CardRead{Reader: readerID, Bits: 8 * len(uid), UID: uid, At: h.clock.Now().Mono}
}

func (h *env) entries(kinds ...ledger.Kind) []ledger.Entry {
	h.t.Helper()
	var out []ledger.Entry
	for e, err := range h.store.Entries(0, h.store.Size()) {
		if err != nil {
			h.t.Fatal(err)
		}
		for _, k := range kinds {
			if e.Kind == k {
				out = append(out, e)
			}
		}
	}
	return out
}

func (h *env) tapRows(date string) map[string]attendance.Tap {
	h.t.Helper()
	out := map[string]attendance.Tap{}
	err := h.store.View(func(tx ledgerdb.Tx) error {
		maps.Insert(out, taps.Prefix(tx, date+"/"))
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

func data(t testing.TB, e ledger.Entry) map[string]any {
	t.Helper()
	m := map[string]any{}
	if err := json.Unmarshal(e.Data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func await[T any](t testing.TB, ch <-chan T, what string, ok func(T) bool) T {
	t.Helper()
	timeout := time.After(15 * time.Second)
	for {
		select {
		case v := <-ch:
			if ok(v) {
				return v
			}
		case <-timeout:
			t.Fatalf("%s did not come", what)
		}
	}
}
