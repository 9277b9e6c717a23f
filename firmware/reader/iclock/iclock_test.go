package iclock

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"campuskeep/firmware/reader"
	"campuskeep/firmware/reader/readertest"
	terminalsim "campuskeep/scripts/sim/terminal"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
	"campuskeep/shared/clock/clocktest"
)

const (
	token  = "wxyz234567abcdefghijklmnop"
	serial = "CKUF201260123"
)

// env is a server on a real port with a terminal that calls it.
type env struct {
	*Server
	t     *testing.T
	clock *clocktest.Clock
	marks *readertest.Marks
	sim   *terminalsim.Iclock
	base  string
	mu    sync.Mutex
	fresh []reader.CardRead
	state []string
}

func newEnv(t *testing.T, devices ...Device) *env {
	t.Helper()
	c := clocktest.At(time.Date(2026, 5, 20, 7, 0, 0, 0, shanghai))
	h := &env{t: t, clock: c, marks: readertest.New(c)}
	if len(devices) == 0 {
		devices = []Device{{ID: "r03", Serial: serial, Addr: netip.MustParseAddr("127.0.0.1"), Token: TokenHash(token)}}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.base = "http://" + l.Addr().String() + "/"
	h.Server = New(Options{Listen: func() (net.Listener, error) { return l, nil }, Devices: devices, Zone: shanghai, Clock: c, Marks: h.marks,
		Log: slog.New(slog.DiscardHandler),
		OnFresh: func(r []reader.CardRead) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.fresh = append(h.fresh, r...)
		},
		OnState: func(s reader.Status) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.state = append(h.state, string(s.State)+" "+s.Reason)
		}})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	h.sim = &terminalsim.Iclock{URL: h.base + token, Serial: serial, Zone: shanghai, Now: func() time.Time { return c.Now().Wall }, Client: &http.Client{Transport: transport, Timeout: 20 * time.Second}}
	return h
}

func (h *env) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *env) deliver() int {
	h.t.Helper()
	n, err := h.sim.Deliver(h.t.Context())
	h.must(err)
	return n
}

func (h *env) want(state reader.State, reason string) {
	h.t.Helper()
	if s := h.Statuses()[0]; s.State != state || s.Reason != reason {
		h.t.Errorf("the terminal is %s %s, want %s %s", s.State, s.Reason, state, reason)
	}
}

// Covers S6: a mark is acknowledged when it is stored and not before; what is sent again counts once.
func TestMarksAreAcknowledgedWhenTheyAreStored(t *testing.T) {
	h := newEnv(t)
	h.want(reader.Offline, reader.ReasonStart)
	h.must(h.sim.Hello(t.Context()))
	h.want(reader.Refused, reader.ReasonUnproven)
	h.sim.Hold(1001, 4)
	hold := make(chan struct{})
	h.marks.Set(hold, nil)
	answered := make(chan int, 1)
	go func() { n, _ := h.sim.Deliver(t.Context()); answered <- n }()
	h.must(h.sim.Poll(t.Context())) // another connection is served meanwhile
	select {
	case <-answered:
		t.Fatal("acknowledged while it is not stored")
	default:
	}
	close(hold)
	if n := <-answered; n != 1 || h.marks.Taken() != 1 {
		t.Fatalf("%d acknowledged, %d stored", n, h.marks.Taken())
	}
	h.want(reader.Online, reader.ReasonAnswers)
	if len(h.fresh) != 1 || len(h.sim.Commands) != 0 {
		t.Errorf("fresh %v, commands %q", h.fresh, h.sim.Commands)
	}
	if n, ok := h.fresh[0].Card().User(); !ok || n != 1001 {
		t.Errorf("user %d, %v", n, ok)
	}

	h.marks.Set(nil, errors.New("no space left on device"))
	h.sim.Hold(1002, 15)
	if _, err := h.sim.Deliver(t.Context()); err == nil {
		t.Error("acknowledged though it is not stored")
	}
	h.want(reader.Refused, reader.ReasonStore)
	h.must(h.sim.Poll(t.Context()))
	h.want(reader.Refused, reader.ReasonStore) // a poll says nothing about the store
	h.clock.Pass(2 * time.Minute)
	h.marks.Set(nil, nil)
	h.sim.Twice = true
	if n := h.deliver(); n != 2 || h.marks.Taken() != 2 {
		t.Errorf("%d acknowledged, %d stored", n, h.marks.Taken())
	}
	h.want(reader.Online, reader.ReasonAnswers) // two minutes late for our own reason
	c, _ := h.Counts("r03")
	if c.Reads != 2 || c.Unsure != 0 {
		t.Errorf("counts %+v", c)
	}
	if err := h.Feedback("r03", attendance.SignalOK); err != nil {
		t.Error(err)
	}
	if err := h.Feedback("r09", attendance.SignalOK); !errors.Is(err, reader.ErrNoReader) {
		t.Error(err)
	}
}

// Each misbehaviour of terminals that schools report: nothing is lost, nothing counts twice, no wrong clock is believed.
func TestTerminalsThatMisbehave(t *testing.T) {
	for _, c := range []struct {
		name   string
		how    func(*terminalsim.Iclock)
		state  reader.State
		reason string
		unsure uint64
		failed int // deliveries that fail first
	}{
		{"clock three minutes ahead", func(s *terminalsim.Iclock) { s.Off = 3 * time.Minute }, reader.Refused, reader.ReasonClock, 3, 0},
		{"clock three minutes behind", func(s *terminalsim.Iclock) { s.Off = -3 * time.Minute }, reader.Refused, reader.ReasonClock, 3, 0},
		{"clock without power", func(s *terminalsim.Iclock) { s.Reset = true }, reader.Refused, reader.ReasonClock, 3, 0},
		{"takes the zone for minutes", func(s *terminalsim.Iclock) { s.ZoneInMinutes = true }, reader.Online, reader.ReasonAnswers, 0, 0},
		{"in/out key always out", func(s *terminalsim.Iclock) { s.WrongKey = true }, reader.Online, reader.ReasonAnswers, 0, 0},
		{"sends twice at once", func(s *terminalsim.Iclock) { s.Twice = true }, reader.Online, reader.ReasonAnswers, 0, 0},
		{"breaks off", func(s *terminalsim.Iclock) { s.BreakOff = 2 }, reader.Online, reader.ReasonAnswers, 0, 2},
		{"newer firmware", func(s *terminalsim.Iclock) { s.Aspx, s.Lower = true, true }, reader.Online, reader.ReasonAnswers, 0, 0},
		{"one at a time", func(s *terminalsim.Iclock) { s.PerRequest = 1 }, reader.Online, reader.ReasonAnswers, 0, 0},
		{"garbage between", func(s *terminalsim.Iclock) { s.Garbage = []string{"\xff\xfe", "OPLOG 4\t0"} }, reader.Online, reader.ReasonAnswers, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newEnv(t)
			h.clock.Pass(time.Hour) // not its first minute
			c.how(h.sim)
			h.marks.Kept.Clock.First = h.clock.Now().Wall.Add(-24 * time.Hour)
			h.must(h.sim.Hello(t.Context()))
			for user := range uint64(3) {
				h.sim.Hold(1001+user, 4)
			}
			for range c.failed {
				if n, err := h.sim.Deliver(t.Context()); err == nil || n != 0 || h.marks.Taken() != 0 {
					t.Errorf("half a delivery: %d acknowledged, %d stored, %v", n, h.marks.Taken(), err)
				}
			}
			if n := h.deliver(); n != 3 {
				t.Errorf("%d acknowledged", n)
			}
			h.sim.Remember(false) // and asked for everything again
			h.must(h.sim.Hello(t.Context()))
			if h.marks.Taken() != 3 {
				t.Errorf("%d stored", h.marks.Taken())
			}
			h.want(c.state, c.reason)
			if n, _ := h.Counts("r03"); n.Reads != 3 || n.Unsure != c.unsure || n.Malformed != uint64(len(h.sim.Garbage)) {
				t.Errorf("counts %+v", n)
			}
			if len(h.sim.Garbage) > 0 && !slices.Contains(h.marks.Reports, "r03 bad 2") {
				t.Errorf("reports %q", h.marks.Reports)
			}
		})
	}
}

// A terminal whose clock the Date of answers puts wrong by its zone is found out by its next mark; no Date is sent while
// ours is in doubt, and no mark is taken then: the terminal keeps it.
func TestTheClockOfATerminalIsNotTrusted(t *testing.T) {
	h := newEnv(t)
	h.sim.FollowsDate = true
	h.clock.Doubt(clock.Suspect)
	h.must(h.sim.Poll(t.Context()))
	h.sim.Hold(1001, 4)
	h.marks.Set(nil, errors.New("the clock is not trusted"))
	if n, err := h.sim.Deliver(t.Context()); err == nil || n != 0 {
		t.Errorf("%d acknowledged, %v", n, err)
	}
	h.marks.Set(nil, nil)
	h.clock.Doubt(clock.Trusted)
	if h.deliver(); h.marks.Taken() != 1 {
		t.Errorf("%d stored", h.marks.Taken())
	}
}

// Stamp 0 makes terminals send their whole memory: marks that were taken are repeats, older ones are no taps of today.
func TestTheWholeMemoryAgain(t *testing.T) {
	h := newEnv(t)
	now := h.clock.Now().Wall
	h.marks.Kept.Clock.First = now.Add(-48 * time.Hour)
	for n := range 400 {
		h.sim.Remember(false, terminalsim.Record{User: 7, At: now.Add(-time.Duration(n+40) * 24 * time.Hour), Verify: 4})
	}
	h.sim.PerRequest = 50
	h.must(h.sim.Hello(t.Context()))
	h.sim.Hold(1001, 4)
	h.deliver()
	h.marks.Kept.Stamp = "" // ours was lost
	h.Server.all[0].stamp = ""
	h.must(h.sim.Hello(t.Context()))
	h.deliver()
	c, _ := h.Counts("r03")
	if h.marks.Taken() != 1 || c.Reads != 1 || c.Old != 800 || c.Repeats != 1 {
		t.Errorf("%d stored, counts %+v", h.marks.Taken(), c)
	}
}

// Other tables are acknowledged and counted; no command is ever given.
func TestOtherTablesAreNotTaken(t *testing.T) {
	h := newEnv(t)
	for _, table := range []string{"OPERLOG", "USERINFO", "BIODATA", "options"} {
		got, status, err := h.sim.Table(t.Context(), table, "OPLOG 4\t0\t2026-05-20 07:00:00\nUSER PIN=1\tName=x\n")
		if err != nil || status != 200 || got != "OK: 2" {
			t.Errorf("%s: %d %q %v", table, status, got, err)
		}
	}
	if got, status, err := h.sim.Result(t.Context(), "ID=1&Return=0&CMD=DATA\nID=2&Return=-1&CMD=Shell"); err != nil || status != 200 || !strings.HasPrefix(got, "OK") {
		t.Errorf("%d %q %v", status, got, err)
	}
	h.must(h.sim.Poll(t.Context()))
	if c, _ := h.Counts("r03"); c.Ignored != 10 || h.marks.Taken() != 0 || len(h.sim.Commands) != 0 {
		t.Errorf("counts %+v, commands %q", c, h.sim.Commands)
	}
	if s := h.Statuses()[0]; s.Vendor != "Ver 6.60 Sep 19 2019" {
		t.Errorf("vendor %q", s.Vendor)
	}
}

// Who has not the access code, the serial number and the address of one terminal learns nothing.
func TestOnlyRegisteredTerminalsAreServed(t *testing.T) {
	h := newEnv(t)
	call := func(path string) (int, string) {
		resp, err := h.sim.Client.Get(h.base + path)
		h.must(err)
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		h.must(err)
		return resp.StatusCode, string(b)
	}
	for _, c := range []struct{ path, reason string }{
		{"iclock/cdata?SN=" + serial, ""},
		{token + "/iclock/cdata?SN=OTHER1", reader.ReasonSerial},
		{token + "x/iclock/cdata?SN=" + serial, reader.ReasonToken},
		{token, ""}, {"", ""}, {token + "/iclock/../../x?SN=" + serial, ""},
	} {
		if status, body := call(c.path); status != 404 || strings.Contains(body, "OPTION") {
			t.Errorf("%s: %d %q", c.path, status, body)
		}
		if c.reason != "" {
			h.want(reader.Refused, c.reason)
		}
	}
	if status, _ := call(token + "/iclock/other?SN=" + serial); status != 404 {
		t.Errorf("an unknown call: %d", status)
	}
	h.must(h.sim.Poll(t.Context()))
	h.want(reader.Refused, reader.ReasonUnproven) // served again with the right code

	none := newEnv(t, Device{ID: "r03", Serial: serial, Addr: netip.MustParseAddr("127.0.0.1")})
	if err := none.sim.Poll(t.Context()); err == nil {
		t.Error("served without an access code")
	}
	none.want(reader.Refused, reader.ReasonNoToken)

	elsewhere := newEnv(t, Device{ID: "r03", Serial: serial, Addr: netip.MustParseAddr("10.20.6.21"), Token: TokenHash(token)})
	if err := elsewhere.sim.Poll(t.Context()); err == nil {
		t.Error("served at another address")
	}
	elsewhere.want(reader.Offline, reader.ReasonStart)
}

// Bounds: bodies, lines, connections, requests. What goes over one is refused, and the terminal keeps what it has.
func TestBoundsOfATerminal(t *testing.T) {
	h := newEnv(t)
	if _, status, err := h.sim.Table(t.Context(), "ATTLOG", strings.Repeat("1\t2026-05-20 07:00:00\n", maxLines+1)); err != nil || status != http.StatusRequestEntityTooLarge {
		t.Errorf("too many lines: %d, %v", status, err)
	}
	h.want(reader.Refused, reader.ReasonTooBig)
	if _, status, err := h.sim.Table(t.Context(), "ATTLOG", strings.Repeat("x", maxBody+1)); err == nil && status != http.StatusRequestEntityTooLarge {
		t.Errorf("too long a body: %d", status)
	}
	if h.marks.Taken() != 0 {
		t.Errorf("%d stored", h.marks.Taken())
	}
	limited := false
	for range rateBurst + 5 {
		_, status, err := h.sim.Result(t.Context(), "")
		h.must(err)
		limited = limited || status == http.StatusTooManyRequests
	}
	if !limited {
		t.Error("more requests than a terminal may send")
	}
	h.clock.Pass(time.Minute)
	h.must(h.sim.Poll(t.Context()))

	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	for range perAddress + 2 {
		c, err := net.Dial("tcp", strings.Trim(strings.TrimPrefix(h.base, "http://"), "/"))
		h.must(err)
		open = append(open, c)
	}
	last := open[len(open)-1]
	h.must(last.SetReadDeadline(time.Now().Add(10 * time.Second)))
	if _, err := last.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("one connection too many: %v", err)
	}
}

// A terminal that says nothing is off line since it was last heard, and where it goes on telling is kept.
func TestASilentTerminal(t *testing.T) {
	h := newEnv(t)
	h.sim.Hold(1001, 4)
	h.deliver()
	heard := h.clock.Now().Mono
	h.clock.Pass(silentAfter)
	h.look(t.Context())
	h.want(reader.Online, reader.ReasonAnswers)
	h.clock.Pass(time.Second)
	h.look(t.Context())
	h.want(reader.Offline, reader.ReasonSilent)
	if s := h.Statuses()[0]; s.Since != heard {
		t.Errorf("off line since %s, last heard %s", s.Since, heard)
	}
	if h.marks.Kept.Stamp == "" {
		t.Error("the stamp is not kept")
	}
	h.must(h.sim.Hello(t.Context()))
	if got := h.sim.Options["ATTLOGStamp"]; got != h.marks.Kept.Stamp {
		t.Errorf("stamp %q, kept %q", got, h.marks.Kept.Stamp)
	}
	h.want(reader.Online, reader.ReasonAnswers)
}
