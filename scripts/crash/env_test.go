package crash

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"campuskeep/firmware/appliance"
	"campuskeep/firmware/site"
	"campuskeep/firmware/vault"
	"campuskeep/scripts/sim/backfill"
	"campuskeep/scripts/sim/camera"
	"campuskeep/scripts/sim/centreproc"
	"campuskeep/scripts/sim/process"
	readersim "campuskeep/scripts/sim/reader"
	"campuskeep/scripts/sim/render"
	"campuskeep/shared/attendance"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/config"
)

const cameras = 2

// env is a whole small installation: the centre and the appliance as processes, cameras and reader simulated.
type env struct {
	t       *testing.T
	dir     string
	data    string             // the appliance's data directory
	bin     string             // the programs
	centre  *centreproc.Centre // nil: the appliance works alone
	cfg     appliance.Config
	cameras []*camera.Camera
	reader  *readersim.Device
	beeps   chan readersim.Event
	cards   []attendance.Card
	cardKey [32]byte
}

// built is where the programs are; made once for all tests.
var built string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if built, err = os.MkdirTemp("", "crash-"); err != nil {
			panic(err)
		}
		defer os.RemoveAll(built)
		return m.Run()
	}())
}

var programs = sync.OnceValues(func() (string, error) {
	build := exec.Command("go", "build", "-o", built+"/", "campuskeep/firmware/cmd/campuskeepd", "campuskeep/cloud/cmd/campuskeep-cloud")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return built, nil
})

// place is where an appliance is; the zero value is one with a centre, all in one directory.
type place struct {
	vault  bool   // the footage is not in the data directory
	alone  bool   // without a centre
	inside bool   // the appliance runs in this process: no programs are needed
	config string // more lines of the box's configuration
}

func newEnv(t *testing.T, at place) *env {
	h := &env{t: t, dir: t.TempDir(), beeps: make(chan readersim.Event, 1024)}
	var err error
	if !at.inside {
		if h.bin, err = programs(); err != nil {
			t.Fatal(err)
		}
	}
	h.data = filepath.Join(h.dir, "box")
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var sims sync.WaitGroup
	t.Cleanup(func() { cancel(); sims.Wait() })
	for i := range cameras {
		c, err := camera.Start(ctx, camera.Options{Name: fmt.Sprintf("c%02d", i+1), Listen: "127.0.0.1:0", User: "admin", Password: "crash-test",
			FPS: frameRate, Coding: render.Coding{W: 320, H: 180, GOP: frameRate}})
		if err != nil {
			t.Fatal(err)
		}
		h.cameras = append(h.cameras, c)
		t.Cleanup(func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	if h.reader, err = readersim.New(readersim.Options{OnEvent: h.heard}); err != nil {
		t.Fatal(err)
	}
	sims.Go(func() {
		if err := h.reader.Run(ctx); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	})
	if !at.alone {
		h.startCentre()
	}
	h.fill(ctx, at)
	return h
}

func (h *env) startCentre() {
	t := h.t
	var err error
	h.centre, err = centreproc.StartCentre(t.Context(), h.bin, filepath.Join(h.dir, "centre"), centreproc.Ports{Enrol: freePort(t), MQTT: freePort(t), Console: freePort(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.centre.Stop(30 * time.Second); err != nil {
			t.Error(err)
		}
	})
}

func (h *env) heard(e readersim.Event) {
	if e.Kind == "beep" {
		select {
		case h.beeps <- e:
		default:
		}
	}
}

func (h *env) fill(ctx context.Context, at place) {
	t := h.t
	if err := os.MkdirAll(h.data, 0o700); err != nil {
		t.Fatal(err)
	}
	more, sources := at.config, `"host", "nvr"`
	if h.centre != nil {
		more, sources = h.centre.BoxConfig()+more, `"host", "centre"`
	}
	if at.vault {
		more = fmt.Sprintf("[vault]\npath = %q\n", filepath.Join(h.dir, "footage")) + more
	}
	text := fmt.Sprintf("[appliance]\nid = \"ck-crash\"\nschool = \"试验学校\"\ndata = %q\n[office]\nlisten = \"127.0.0.1:%d\"\n%s[clock]\nsources = [%s]\n[[bus]]\nport = %q\nbaud = 115200\n",
		h.data, freePort(t), more, sources, h.reader.Path())
	h.cfg = appliance.Default()
	if err := config.Decode("box.toml", []byte(text), &h.cfg); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.config(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var addresses []string
	for _, c := range h.cameras {
		addresses = append(addresses, c.URL())
	}
	addresses = append(addresses, addresses[0]) // the demo school has three views
	filled, err := backfill.Fill(ctx, backfill.Options{Config: h.cfg, Now: time.Now(), Cameras: addresses,
		CameraLogin: site.Login{User: "admin", Password: "crash-test"}, ReaderPort: h.reader.Path()})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range filled.Cards {
		card, err := attendance.ParseCard(c.UID)
		if err != nil {
			t.Fatal(err)
		}
		h.cards = append(h.cards, card)
	}
	key, err := os.ReadFile(filepath.Join(h.data, "keys", "site"))
	if err != nil {
		t.Fatal(err)
	}
	if copy(h.cardKey[:], key) != len(h.cardKey) {
		t.Fatalf("the site key has %d bytes", len(key))
	}
	if h.centre == nil {
		return
	}
	if err := h.centre.Enrol(t.Context(), "ck-crash", "试验学校", h.config()); err != nil {
		t.Fatal(err)
	}
}

func (h *env) config() string { return filepath.Join(h.dir, "box.toml") }

// startBox starts the daemon and waits until it answers.
func (h *env) startBox() *process.Process {
	h.t.Helper()
	box, err := process.Start(h.bin, h.dir, "box", "campuskeepd", "run", "-c", h.config())
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		select {
		case <-box.Done:
		default:
			if err := box.Kill(); err != nil {
				h.t.Error(err)
			}
		}
	})
	ctx, cancel := context.WithTimeout(h.t.Context(), 30*time.Second)
	defer cancel()
	if err := box.Ready(ctx, process.Answers("https://"+h.cfg.Web.Listen+"/healthz")); err != nil {
		h.t.Fatal(err)
	}
	return box
}

// tap holds a card to the reader and waits for its one short beep until the end.
func (h *env) tap(n int, end time.Time) bool {
	h.reader.Tap(h.cards[n].Raw)
	timer := time.NewTimer(time.Until(end))
	defer timer.Stop()
	select {
	case e := <-h.beeps:
		if e.Beeps != 1 || e.Tone > time.Second {
			h.t.Errorf("card %d: %d beeps of %s, want the short one", n, e.Beeps, e.Tone)
			return false
		}
		return true
	case <-timer.C:
		return false
	}
}

// late waits for the beep of a card that was held to the reader when the daemon died: the reader may still have it.
func (h *env) late() bool {
	select {
	case <-h.beeps:
		return true
	case <-time.After(time.Second):
		return false
	}
}

func (h *env) cardHash(n int) string {
	return base64.StdEncoding.EncodeToString(h.cards[n].Hash(h.cardKey))
}

func waitUntil(end time.Time) { <-time.After(time.Until(end)) }

// untilWitnessed waits until the centre has cosigned everything that is in the log.
func (h *env) untilWitnessed() {
	h.t.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for {
		size, witnessed, err := centreproc.LogMetrics("https://" + h.cfg.Web.Listen + "/metrics")
		if err == nil && witnessed > 0 && size == witnessed {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("after 90 s the centre has witnessed %d of %d entries (%v)\nbox: %s\ncentre: %s", witnessed, size, err,
				process.Tail(filepath.Join(h.dir, "box.log"), 20), process.Tail(h.centre.Log, 20))
		}
		<-time.After(200 * time.Millisecond)
	}
}

func (h *env) mustBeClean() {
	h.t.Helper()
	var out bytes.Buffer
	found, err := appliance.Check(h.t.Context(), h.cfg, true, &out)
	if err != nil || found > 0 {
		h.t.Fatalf("check: %d findings, %v\n%s", found, err, out.String())
	}
}

// entry is what the test reads of a log line.
type entry struct {
	Kind    string `json:"kind"`
	Subject string `json:"subject"`
	Data    json.RawMessage
}

// facts of entries that the tests ask for.
type facts struct {
	Card  string    `json:"card"`
	Cause string    `json:"cause"`
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
}

func (e entry) data(t *testing.T) (d facts) {
	t.Helper()
	if err := json.Unmarshal(e.Data, &d); err != nil {
		t.Fatalf("%s: %v", e.Kind, err)
	}
	return d
}

func (h *env) export() string { return filepath.Join(h.dir, "log.txt") }

func (h *env) entries() []entry {
	h.t.Helper()
	var b bytes.Buffer
	if err := appliance.ExportLog(h.t.Context(), h.cfg, &b); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(h.export(), b.Bytes(), 0o600); err != nil {
		h.t.Fatal(err)
	}
	var out []entry
	lines := bufio.NewScanner(&b)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), `{"v":`) {
			continue
		}
		var e entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			h.t.Fatal(err)
		}
		out = append(out, e)
	}
	if err := lines.Err(); err != nil || len(out) == 0 {
		h.t.Fatalf("%d entries exported, %v", len(out), err)
	}
	return out
}

// centreHolds compares the centre's leaves with the exported log, entry for entry (I8).
func (h *env) centreHolds(entries int) {
	h.t.Helper()
	out, err := h.centre.Check(h.t.Context(), "ck-crash", h.export())
	if err != nil {
		h.t.Fatalf("campuskeep-cloud check: %v\n%s", err, out)
	}
	h.t.Logf("centre: %s (of %d)", strings.TrimSpace(out), entries)
}

// session is what one connection to a camera left: an unbroken run of counters.
type session struct{ First, Last uint32 }

// sessions decodes all footage of a camera, connection by connection: each must be one unbroken run.
func (h *env) sessions(i int) (out []session) {
	h.t.Helper()
	for _, part := range h.footage(i) {
		runs, bad := render.Runs(part)
		if len(runs) != 1 || bad > 0 {
			h.t.Fatalf("camera %d: a session has runs %v and %d unreadable frames, want one unbroken run", i+1, runs, bad)
		}
		out = append(out, session{runs[0].First, runs[0].Last})
	}
	return out
}

// runs decodes all footage of a camera.
func (h *env) runs(i int) ([]render.Run, int) {
	h.t.Helper()
	return render.Runs(slices.Concat(h.footage(i)...))
}

// footage is what a camera's frames show, session by session.
func (h *env) footage(i int) (out [][]render.Seen) {
	h.t.Helper()
	a, err := appliance.Open(h.t.Context(), h.cfg, appliance.Deps{})
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			h.t.Error(err)
		}
	}()
	name := fmt.Sprintf("c%02d", i+1)
	var order []uint64
	parts := map[uint64][]footage.Segment{}
	err = a.Vault.Rows(name, func(s footage.Segment) bool {
		if parts[s.Session] == nil {
			order = append(order, s.Session)
		}
		parts[s.Session] = append(parts[s.Session], s)
		return true
	})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, id := range order {
		out = append(out, h.decode(a.Vault, name, parts[id]))
	}
	return out
}

func (h *env) decode(v *vault.Vault, name string, segments []footage.Segment) (seen []render.Seen) {
	h.t.Helper()
	for _, s := range segments {
		r, err := v.OpenSegment(h.t.Context(), s)
		if err != nil {
			h.t.Fatalf("%s/%s: %v", name, s.File, err)
		}
		b := bytes.NewBuffer(append([]byte(nil), r.Init()...))
		for n := range r.Fragments() {
			f, err := r.Fragment(n)
			if err != nil {
				h.t.Fatalf("%s/%s fragment %d: %v", name, s.File, n, err)
			}
			b.Write(f)
		}
		if err := r.Close(); err != nil {
			h.t.Error(err)
		}
		part, err := render.Decode(h.t.Context(), b, "-")
		if err != nil {
			h.t.Fatal(err)
		}
		seen = append(seen, part...)
	}
	return seen
}

// freePort is a port that was free a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().(*net.TCPAddr).Port
}
