// Package e2e tests the office page as people use it: in Chromium, with clicks and keys, against the real
// appliance with its cameras, its reader and two days of footage.
//
// It owns one appliance, one browser and the simulators, all of the one test TestOffice. It must never reach
// into a package to make something happen that a person would do on a page: packages are only asked afterwards
// what is on record.
package e2e

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"campuskeep/firmware/appliance"
	"campuskeep/firmware/people"
	"campuskeep/firmware/site"
	"campuskeep/firmware/timekeeper"
	"campuskeep/scripts/sim/backfill"
	"campuskeep/scripts/sim/camera"
	readersim "campuskeep/scripts/sim/reader"
	"campuskeep/scripts/sim/render"
	"campuskeep/scripts/sim/school"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/config"
)

var shots = flag.String("shots", "", "folder for pictures of every page: go test ./scripts/e2e -run TestOffice/Pages -shots /tmp/shots")

// TestMain leaves out the test program's own record of opened files, which serves the cache of results: what takes the
// room for files away takes it from that too. So nothing here is ever taken from the cache.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.testlogfile", ""); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// A day of the office, in the order in which it happens. Each part is alone too: -run TestOffice/Watch.
func TestOffice(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Chromium, ffmpeg and about a minute")
	}
	h := newEnv(t)
	for _, part := range []struct {
		name string
		run  func(*env, *testing.T)
	}{
		{"LogIn", (*env).logIn},
		{"Watch", (*env).watch},
		{"Beside", (*env).beside},
		{"Peek", (*env).peek},
		{"Live", (*env).live},
		{"Duty", (*env).duty},
		{"Apply", (*env).apply},
		{"Refuse", (*env).refuse},
		{"OwnApplication", (*env).ownApplication},
		{"NVR", (*env).nvr},
		{"Tap", (*env).tap},
		{"Administrator", (*env).administrator},
		{"Pages", (*env).pages},
		{"Prove", (*env).prove},
		{"Traces", (*env).traces},
		{"NoLogNoFootage", (*env).noLogNoFootage}, // last: what a full disk cuts off waits for the next start
	} {
		t.Run(part.name, func(t *testing.T) { part.run(h, t) })
	}
}

const days = 2 // of footage

// env is the appliance with everything around it.
type env struct {
	dir    string
	cfg    appliance.Config
	box    *appliance.Appliance
	filled school.Filled
	zone   *time.Location
	now    time.Time // when the past ended
	reader *readersim.Device
	beeps  chan readersim.Event
	log    *safeBuffer

	url     string
	browser context.Context

	mu     sync.Mutex
	tokens map[string]string // guarded by mu; sessions by log-in name
}

func newEnv(t testing.TB) *env {
	h := &env{dir: t.TempDir(), now: time.Now(), beeps: make(chan readersim.Event, 64), tokens: map[string]string{}, log: &safeBuffer{}}
	var err error
	if h.zone, err = time.LoadLocation("Asia/Shanghai"); err != nil {
		t.Fatal(err)
	}
	addresses, ready := h.startDevices(t)
	h.configure(t)
	began := time.Now()
	h.filled, err = backfill.Fill(t.Context(), backfill.Options{Config: h.cfg, Now: h.now, Days: days, Cameras: addresses,
		CameraLogin: site.Login{User: "admin", Password: cameraPassword}, ReaderPort: h.reader.Path()})
	if err = errors.Join(err, ready()); err != nil {
		t.Fatal(err)
	}
	t.Logf("cameras, school and %d days of footage in %s", days, time.Since(began).Round(time.Millisecond))
	began = time.Now()
	h.open(t)
	t.Logf("the appliance is up in %s", time.Since(began).Round(time.Millisecond))
	h.browser = startBrowser(t, "")
	return h
}

const cameraPassword = "e2e-camera-password"

// startDevices starts the cameras and the reader; they end after the appliance. ready waits until the cameras are
// there: their encoders take seconds to give the first picture.
func (h *env) startDevices(t testing.TB) (addresses []string, ready func() error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var sims sync.WaitGroup
	t.Cleanup(func() { cancel(); sims.Wait() })
	var starting errgroup.Group
	for i := range 3 {
		at := freePort(t)
		addresses = append(addresses, "rtsp://"+at+"/stream")
		starting.Go(func() error {
			c, err := camera.Start(ctx, camera.Options{Name: fmt.Sprintf("c%02d", i+1), Listen: at, User: "admin", Password: cameraPassword,
				FPS: 4, Coding: render.Coding{W: 320, H: 180, GOP: 8}})
			if err != nil {
				return err
			}
			if c.URL() != addresses[i] {
				err = fmt.Errorf("the camera is at %s, not at %s", c.URL(), addresses[i])
			}
			t.Cleanup(func() {
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			})
			return err
		})
	}
	var err error
	if h.reader, err = readersim.New(readersim.Options{OnEvent: h.heard}); err != nil {
		t.Fatal(err)
	}
	sims.Go(func() {
		if err := h.reader.Run(ctx); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	})
	return addresses, starting.Wait
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

func (h *env) heard(e readersim.Event) {
	if e.Kind == "beep" {
		select {
		case h.beeps <- e:
		default: // nobody waits for that many
		}
	}
}

func (h *env) configure(t testing.TB) {
	data := filepath.Join(h.dir, "box")
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("[appliance]\nid = \"ck-e2e\"\nschool = %q\ndata = %q\n[office]\nlisten = \"127.0.0.1:0\"\nnames = [\"127.0.0.1\"]\n[clock]\nsources = [\"host\", \"nvr\"]\n[[bus]]\nport = %q\nbaud = 115200\n",
		school.Name, data, h.reader.Path())
	h.cfg = appliance.Default()
	if err := config.Decode("box.toml", []byte(text), &h.cfg); err != nil {
		t.Fatal(err)
	}
}

// hung is a clock on the wall: a second source of time, of another origin than the machine.
type hung struct{ timekeeper.Host }

func (hung) Name() string         { return "wall" }
func (hung) Origin() clock.Origin { return clock.OriginNVR }
func (s hung) Observe(ctx context.Context) (clock.Observation, error) {
	o, err := s.Host.Observe(ctx)
	o.Source, o.Origin = s.Name(), s.Origin()
	return o, err
}

// open opens the appliance and waits until its clock is trusted and its page answers.
func (h *env) open(t testing.TB) {
	machine, err := timekeeper.NewMachine()
	if err != nil {
		t.Fatal(err)
	}
	host := timekeeper.Host{Clock: machine, Uncertainty: 20 * time.Millisecond}
	h.box, err = appliance.Open(t.Context(), h.cfg, appliance.Deps{Host: machine, Sources: []timekeeper.Source{host, hung{host}},
		Log: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelInfo}))})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.box.Listen(); err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(h.box.Address().String())
	if err != nil {
		t.Fatal(err)
	}
	h.url = "https://127.0.0.1:" + port
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- h.box.Run(ctx) }()
	t.Cleanup(func() {
		began := time.Now()
		cancel()
		if err := errors.Join(<-ended, h.box.Close()); err != nil {
			t.Error(err)
		}
		t.Logf("the appliance stopped in %s", time.Since(began).Round(time.Millisecond))
		if t.Failed() {
			t.Logf("the appliance said:\n%s", h.log.tail(40))
		}
	})
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the clock: %+v", h.box.Timekeeper.Explain())
		}
	})
	until(t, "a trusted clock", func() bool { return h.box.Timekeeper.Now().State == clock.Trusted })
	until(t, "an answer of the page", func() bool {
		r, err := h.visitor("").fetch("GET", "/healthz", nil)
		return err == nil && r.status == 200
	})
	until(t, "the footage of the past", func() bool {
		select {
		case <-h.box.Vault.Recovered():
			return true
		default:
			return false
		}
	})
}

// account is one of the school's people.
func (h *env) account(t testing.TB, login string) school.Account {
	t.Helper()
	for _, a := range h.filled.Accounts {
		if a.Login == login {
			return a
		}
	}
	t.Fatalf("the school has no %s", login)
	return school.Account{}
}

// token is a session of somebody, from an office of their own. Logging in by hand is a test of its own.
func (h *env) token(t testing.TB, login string) string {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tokens[login] == "" {
		a := h.account(t, login)
		enter := func(at time.Time) (people.Session, error) {
			return h.box.People.Login(t.Context(), people.Credentials{User: login, Password: school.Password, Code: a.Code(at)}, ledger.From{Address: "192.168.1.21", Device: "Chrome/Windows"})
		}
		s, err := enter(time.Now())
		if err != nil { // a code counts once, and somebody has just used it: the next one counts already
			s, err = enter(time.Now().Add(30 * time.Second))
		}
		if err != nil {
			t.Fatalf("%s logs in: %v", login, err)
		}
		h.tokens[login] = s.Token
	}
	return h.tokens[login]
}

// entries are those from a sequence number on, oldest first.
func (h *env) entries(t testing.TB, from uint64, kinds ...ledger.Kind) []ledger.Entry {
	t.Helper()
	var out []ledger.Entry
	for e, err := range h.box.Store.Entries(from, h.box.Store.Size()) {
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range kinds {
			if e.Kind == k {
				out = append(out, e)
			}
		}
	}
	return out
}

// entry waits for the one entry of a kind from a sequence number on.
func (h *env) entry(t testing.TB, from uint64, kind ledger.Kind) ledger.Entry {
	t.Helper()
	until(t, "an entry "+string(kind), func() bool { return len(h.entries(t, from, kind)) > 0 })
	found := h.entries(t, from, kind)
	if len(found) != 1 {
		t.Fatalf("%d entries %s, want one", len(found), kind)
	}
	return found[0]
}

// patience ends a step that never ends by itself. It is no measure of anything: a busy machine takes its time.
const patience = 2 * time.Minute

// until polls a condition.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	defer timed(t, what, time.Now())
	end := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-end:
			t.Fatalf("after %s there is no %s", patience, what)
		case <-tick.C:
		}
	}
}

// timed logs a step that took long, so that a slow run says where its time went.
func timed(t testing.TB, what string, began time.Time) {
	t.Helper()
	if took := time.Since(began); took > time.Second {
		t.Logf("%s took %s", what, took.Round(time.Millisecond))
	}
}

// yesterday is the day that is wholly recorded.
func (h *env) yesterday() time.Time {
	n := h.now.In(h.zone)
	return time.Date(n.Year(), n.Month(), n.Day()-1, 0, 0, 0, 0, h.zone)
}

// quiet is a time of yesterday at whose half hour nothing is missing: away from the gaps that the past has, and
// from where its two halves meet.
func (h *env) quiet(skip int) time.Time {
	for hour := 1; hour < 23; hour++ {
		at := h.yesterday().Add(time.Duration(hour) * time.Hour)
		near := false
		for _, part := range []float64{0, 0.11, 0.66, 0.83, 0.94, 1} {
			for day := range days {
				gap := h.now.Add(-time.Duration((days - float64(day) - part) * 24 * float64(time.Hour)))
				near = near || at.Sub(gap).Abs() < 90*time.Minute
			}
		}
		if near {
			continue
		}
		if skip == 0 {
			return at
		}
		skip--
	}
	panic("yesterday has not that many quiet hours")
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) tail(lines int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := strings.Split(strings.TrimSpace(s.b.String()), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
