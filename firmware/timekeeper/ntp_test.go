package timekeeper

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"campuskeep/shared/clock"
)

// hand is a machine whose monotonic clock the test moves beside the running time.
type hand struct {
	began time.Time
	mu    sync.Mutex
	extra time.Duration
}

func (h *hand) Wall() time.Time { return time.Unix(0, 0) } // nobody asks it
func (h *hand) BootID() string  { return "boot-1" }
func (h *hand) Boottime() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Since(h.began) + h.extra
}
func (h *hand) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.extra += d
}

// truth is what time it is in this test's world: it runs with the hand's clock.
func (h *hand) truth() time.Time { return noonOfMay.Add(h.Boottime()) }

var noonOfMay = time.Date(2026, 5, 20, 4, 0, 0, 0, time.UTC)

// ntpPacket is the 48 bytes of RFC 5905.
type ntpPacket struct {
	LeapVersionMode, Stratum, Poll byte
	Precision                      int8
	RootDelay, RootDispersion      uint32
	Reference                      [4]byte
	RefTime, Origin, Recv, Xmit    uint64
}

func stampNTP(t time.Time) uint64 {
	const toUnix = 2208988800
	return uint64(t.Unix()+toUnix)<<32 | uint64(t.Nanosecond())<<32/1e9
}

// ntpServer is a server on loopback whose answers the test spoils.
type fakeNTP struct {
	t     *testing.T
	h     *hand
	conn  net.PacketConn
	mu    sync.Mutex
	spoil func(*ntpPacket) bool // false: no answer
	off   time.Duration
	asked int
}

func serveNTP(t *testing.T, h *hand) *fakeNTP {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	f := &fakeNTP{t: t, h: h, conn: conn}
	done := make(chan struct{})
	go func() { defer close(done); f.run() }()
	t.Cleanup(func() {
		must(t, conn.Close())
		<-done
	})
	return f
}

func (f *fakeNTP) name() string { return f.conn.LocalAddr().String() }

func (f *fakeNTP) set(off time.Duration, spoil func(*ntpPacket) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.off, f.spoil = off, spoil
}

func (f *fakeNTP) times() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

func (f *fakeNTP) run() {
	buf := make([]byte, 512)
	for {
		n, from, err := f.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		f.mu.Lock()
		f.asked++
		off, spoil := f.off, f.spoil
		f.mu.Unlock()
		if n < 48 {
			continue
		}
		now := f.h.truth().Add(off)
		p := ntpPacket{LeapVersionMode: 4<<3 | 4, Stratum: 2, Poll: 10, Precision: -20, RootDelay: 0x100, RootDispersion: 0x200, Reference: [4]byte{10, 0, 0, 9},
			RefTime: stampNTP(now.Add(-time.Minute)), Origin: binary.BigEndian.Uint64(buf[40:48]), Recv: stampNTP(now), Xmit: stampNTP(now)}
		if spoil != nil && !spoil(&p) {
			continue
		}
		b, err := binary.Append(nil, binary.BigEndian, p)
		if err == nil {
			_, err = f.conn.WriteTo(b, from)
		}
		if err != nil && !errors.Is(err, net.ErrClosed) {
			f.t.Error(err)
		}
	}
}

func newHand() *hand { return &hand{began: time.Now()} }

func troubleOf(t *testing.T, err error) Trouble {
	t.Helper()
	if err == nil {
		t.Fatal("it was believed")
	}
	return trouble(err)
}

// Covers F3: a server that answers well is a witness whose interval contains the truth.
func TestNTPServerIsAWitness(t *testing.T) {
	h := newHand()
	n := NewNTP(h, serveNTP(t, h).name())
	o, err := n.Observe(t.Context())
	must(t, err)
	if o.Origin != clock.OriginNTP || o.Uncertainty > time.Second || o.UTC.Sub(noonOfMay.Add(o.Mono)).Abs() > o.Uncertainty {
		t.Fatalf("%+v, truth %v", o, noonOfMay.Add(o.Mono))
	}
	if _, err := n.Observe(t.Context()); !errors.Is(err, ErrSilent) {
		t.Fatalf("asked again at once: %v", err)
	}
	h.pass(ntpEvery)
	o, err = n.Observe(t.Context())
	must(t, err)
	if o.Mono < ntpEvery {
		t.Fatalf("%+v", o)
	}
	// In doubt it is asked again within a minute.
	h.pass(ntpParallel)
	n.Hurry()
	_, err = n.Observe(t.Context())
	must(t, err)
}

// Covers F3: what a server may do wrong, and what we say of it.
func TestNTPServersThatMisbehave(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil func(*ntpPacket) bool
		want  Trouble
	}{
		"an answer to another question": {func(p *ntpPacket) bool { p.Origin++; return true }, TroubleInvalid},
		"a forged kiss":                 {func(p *ntpPacket) bool { p.Origin++; p.Stratum = 0; p.Reference = [4]byte([]byte("DENY")); return true }, TroubleInvalid},
		"stratum 16":                    {func(p *ntpPacket) bool { p.Stratum = 16; return true }, TroubleUnsynchronised},
		"leap alarm":                    {func(p *ntpPacket) bool { p.LeapVersionMode |= 0xC0; return true }, TroubleUnsynchronised},
		"not set for a week":            {func(p *ntpPacket) bool { p.RefTime -= 7 * 86400 << 32; return true }, TroubleUnsynchronised},
		"a vague one":                   {func(p *ntpPacket) bool { p.RootDispersion = 3 << 16; return true }, TroubleFar},
		"a hopeless one":                {func(p *ntpPacket) bool { p.RootDispersion = 20 << 16; return true }, TroubleFar},
		"no transmit time":              {func(p *ntpPacket) bool { p.Xmit = 0; return true }, TroubleInvalid},
		"time that runs backwards":      {func(p *ntpPacket) bool { p.Recv = p.Xmit + 1<<32; return true }, TroubleInvalid},
		"another client's question":     {func(p *ntpPacket) bool { p.LeapVersionMode = 4<<3 | 3; return true }, TroubleInvalid},
		"never again":                   {func(p *ntpPacket) bool { p.Stratum, p.Reference = 0, [4]byte([]byte("DENY")); return true }, TroubleRefused},
		"less often":                    {func(p *ntpPacket) bool { p.Stratum, p.Reference = 0, [4]byte([]byte("RATE")); return true }, TroubleSeldom},
		"starting up":                   {func(p *ntpPacket) bool { p.Stratum, p.Reference = 0, [4]byte([]byte("INIT")); return true }, TroubleUnsynchronised},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHand()
			f := serveNTP(t, h)
			f.set(0, tc.spoil)
			n := NewNTP(h, f.name())
			_, err := n.Observe(t.Context())
			if got := troubleOf(t, err); got != tc.want {
				t.Fatalf("%s: %v, want %s", got, err, tc.want)
			}
			if s := n.Servers(); len(s) != 1 || s[0].Answered || s[0].Trouble != tc.want {
				t.Fatalf("%+v", s)
			}
		})
	}
}

// A server that says never is not asked again, one that says less often is asked half as often, and one that was
// merely away is asked a minute later.
func TestNTPServersAreLeftAlone(t *testing.T) {
	h := newHand()
	f := serveNTP(t, h)
	ask := func(n *NTP, after time.Duration) Trouble {
		h.pass(after)
		_, err := n.Observe(t.Context())
		return troubleOf(t, err)
	}
	kiss := func(code string) func(*ntpPacket) bool {
		return func(p *ntpPacket) bool { p.Stratum, p.Reference = 0, [4]byte([]byte(code)); return true }
	}
	f.set(0, kiss("RATE"))
	n := NewNTP(h, f.name())
	if got := []Trouble{ask(n, 0), ask(n, ntpEvery), ask(n, ntpEvery), ask(n, ntpEvery)}; got[0] != TroubleSeldom || got[1] != TroubleSilent || got[2] != TroubleSeldom || got[3] != TroubleSilent {
		t.Fatal(got)
	}
	f.set(0, kiss("DENY"))
	n = NewNTP(h, f.name())
	was := f.times()
	ask(n, 0)
	f.set(0, nil)
	if got := ask(n, 48*time.Hour); got != TroubleRefused || f.times() != was+1 {
		t.Fatalf("%s, asked %d times", got, f.times()-was)
	}
	f.set(0, func(p *ntpPacket) bool { p.Stratum = 16; return true })
	n = NewNTP(h, f.name())
	ask(n, 0)
	f.set(0, nil)
	h.pass(ntpParallel)
	_, err := n.Observe(t.Context())
	must(t, err)
}

func TestNTPSilenceEndsInTime(t *testing.T) {
	h := newHand()
	f := serveNTP(t, h)
	f.set(0, func(*ntpPacket) bool { return false })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := NewNTP(h, f.name()).Observe(ctx)
	if got := troubleOf(t, err); got != TroubleTimeout {
		t.Fatalf("%s: %v", got, err)
	}
	gone, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	nobody := gone.LocalAddr().String()
	must(t, gone.Close())
	if _, err = NewNTP(h, nobody).Observe(t.Context()); troubleOf(t, err) != TroubleUnreachable {
		t.Fatal(err)
	}
}

// Covers F3: several servers are one origin and must agree: a minority is left aside, a draw says nothing.
func TestNTPServersMustAgreeAmongThemselves(t *testing.T) {
	h := newHand()
	a, b, c := serveNTP(t, h), serveNTP(t, h), serveNTP(t, h)
	n := NewNTP(h, a.name(), b.name(), c.name())
	c.set(31*24*time.Hour, nil)
	o, err := n.Observe(t.Context())
	must(t, err)
	if o.UTC.Sub(noonOfMay.Add(o.Mono)).Abs() > o.Uncertainty {
		t.Fatalf("%+v", o)
	}
	if s := n.Servers(); s[0].Trouble != "" || s[1].Trouble != "" || s[2].Trouble != TroubleAlone || !s[2].Answered {
		t.Fatalf("%+v", s)
	}
	b.set(-time.Hour, nil)
	h.pass(ntpEvery)
	if _, err = n.Observe(t.Context()); troubleOf(t, err) != TroubleDisagree {
		t.Fatal(err)
	}
	// One that is silent is not counted.
	c.set(0, func(*ntpPacket) bool { return false })
	b.set(0, nil)
	h.pass(ntpEvery)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = n.Observe(ctx)
	must(t, err)
}

// Covers F3: all servers jump 31 days ahead: NTP alone neither makes the clock trusted nor moves it.
func TestNTPAloneNeverSuffices(t *testing.T) {
	h := newHand()
	f, g := serveNTP(t, h), serveNTP(t, h)
	n := NewNTP(h, f.name(), g.name())
	trust := clock.NewTrust("boot-1", clock.Record{}, nil)
	see := func(o clock.Observation) { trust, _ = trust.Observe(o) }
	o, err := n.Observe(t.Context())
	must(t, err)
	see(o)
	if trust.State() != clock.Untrusted || trust.Reason() != clock.ReasonOneSource {
		t.Fatalf("two servers of one origin: %s %s", trust.State(), trust.Reason())
	}
	see(clock.Observation{Source: "nvr.n1", Origin: clock.OriginNVR, Mono: h.Boottime(), UTC: h.truth(), Uncertainty: time.Second})
	if trust.State() != clock.Trusted {
		t.Fatal(trust.Reason())
	}
	f.set(31*24*time.Hour, nil)
	g.set(31*24*time.Hour, nil)
	h.pass(ntpEvery)
	o, err = n.Observe(t.Context())
	must(t, err)
	see(o)
	now := trust.Reading(h.Boottime(), time.Time{})
	if trust.State() != clock.Suspect || now.Wall.Sub(h.truth()).Abs() > now.Uncertainty+time.Second {
		t.Fatalf("%s at %v, truth %v", trust.State(), now.Wall, h.truth())
	}
}
