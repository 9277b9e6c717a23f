package acsevent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/reader"
	"campuskeep/firmware/reader/readertest"
	terminalsim "campuskeep/scripts/sim/terminal"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock/clocktest"
)

var shanghai = time.FixedZone("CST", 8*3600)

// env is a terminal that is asked in turns, each when the test says so.
type env struct {
	*Terminal
	t     *testing.T
	clock *clocktest.Clock
	marks *readertest.Marks
	sim   *terminalsim.Hikvision
	host  string
	fresh []reader.CardRead
}

func newEnv(t *testing.T, how func(*terminalsim.Hikvision)) *env {
	t.Helper()
	c := clocktest.At(time.Date(2026, 5, 20, 7, 0, 0, 0, shanghai))
	h := &env{t: t, clock: c, marks: readertest.New(c), sim: &terminalsim.Hikvision{User: "gate", Password: "right horse", Serial: "DS-K1T671M20210419V030227CHG12345678", Zone: shanghai, Now: func() time.Time { return c.Now().Wall }}}
	for range 70 { // its history
		h.sim.Add(5, 75, "", "9")
	}
	if how != nil {
		how(h.sim)
	}
	var server *httptest.Server
	server, h.host = h.sim.Start()
	t.Cleanup(server.Close)
	h.open("right horse")
	return h
}

func (h *env) open(password string) {
	h.Terminal = New(Options{ID: "r04", Host: h.host, User: "gate", Password: password, Zone: shanghai, Clock: h.clock, Marks: h.marks, Log: slog.New(slog.DiscardHandler),
		OnFresh: func(r []reader.CardRead) { h.fresh = append(h.fresh, r...) }})
	h.t.Cleanup(h.c.close)
}

// turn is one turn, two seconds after the last.
func (h *env) turn() error {
	h.t.Helper()
	h.clock.Pass(askEvery)
	err := h.round(h.t.Context())
	h.show(err, h.t.Context())
	return err
}

func (h *env) turns(n int) {
	h.t.Helper()
	for range n {
		if err := h.turn(); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *env) want(state reader.State, reason string) {
	h.t.Helper()
	if s := h.Statuses()[0]; s.State != state || s.Reason != reason {
		h.t.Errorf("the terminal is %s %s, want %s %s", s.State, s.Reason, state, reason)
	}
}

// Covers S6: what happens at the terminal is a mark within a turn, once; its history is none, and a mark that is not
// stored is asked for again.
func TestEventsBecomeMarks(t *testing.T) {
	h := newEnv(t, nil)
	h.turns(2)
	h.want(reader.Online, reader.ReasonAnswers)
	if h.marks.Taken() != 0 {
		t.Fatalf("%d marks of its history", h.marks.Taken())
	}
	h.sim.Add(5, 1, "0077771716", "1001")
	h.sim.Add(5, 75, "", "1002")
	h.sim.Add(5, 76, "", "") // a face that nobody has
	h.sim.Add(3, 112, "", "")
	h.sim.Add(5, 21, "", "") // the lock
	h.turns(2)
	if len(h.fresh) != 2 || h.marks.Taken() != 2 {
		t.Fatalf("%d marks, %d fresh", h.marks.Taken(), len(h.fresh))
	}
	card, user := h.fresh[0], h.fresh[1]
	if card.Card().String() != "04A2B3C4" || card.Mark.Also == nil || card.Mark.Also.String() != "user:1001" || user.Card().String() != "user:1002" || user.Mark.Also != nil {
		t.Errorf("%+v, %+v", card, user)
	}
	if c, _ := h.Counts("r04"); c.Reads != 2 || c.Ignored != 2 || !c.Measured || c.Off.Abs() > time.Second {
		t.Errorf("counts %+v", c)
	}
	if s := h.Statuses()[0]; s.Device != "ds-k1t671m20210419v030227chg12345678" || !strings.HasPrefix(s.Vendor, "DS-K1T671 V3.2.30") {
		t.Errorf("device %+v", s)
	}

	h.marks.Set(nil, errors.New("no space left on device"))
	h.sim.Add(5, 1, "4294967296", "")
	if err := h.turn(); err == nil {
		t.Error("it goes on past a mark that is not stored")
	}
	h.want(reader.Refused, reader.ReasonStore)
	h.marks.Set(nil, nil)
	h.open("right horse") // and the program was killed
	h.turns(3)
	if h.marks.Taken() != 3 || h.marks.Order[2].Bits != 56 || len(h.marks.Reports) != 0 {
		t.Errorf("%d marks, reports %q", h.marks.Taken(), h.marks.Reports)
	}
	if h.sim.Refused != 0 || h.sim.Foreign != 0 {
		t.Errorf("%d log-ins refused, %d requests that change something", h.sim.Refused, h.sim.Foreign)
	}
	if err := h.Feedback("r09", attendance.SignalOK); !errors.Is(err, reader.ErrNoReader) {
		t.Error(err)
	}
}

// Each misbehaviour of terminals that users report: every event is taken, and once.
func TestTerminalsThatMisbehave(t *testing.T) {
	for name, how := range map[string]func(*terminalsim.Hikvision){
		"Z behind local time":     func(s *terminalsim.Hikvision) { s.Zulu = true },
		"two at once":             func(s *terminalsim.Hikvision) { s.Short = 2 },
		"no search by number":     func(s *terminalsim.Hikvision) { s.NoBegin = true },
		"no search of all groups": func(s *terminalsim.Hikvision) { s.OnlyMajor = true },
		"a nonce is good once":    func(s *terminalsim.Hikvision) { s.NonceOnce = true },
		"no address for its time": func(s *terminalsim.Hikvision) { s.NoClock = true },
	} {
		t.Run(name, func(t *testing.T) {
			h := newEnv(t, how)
			h.turns(3)
			for n := range 45 {
				h.sim.Add(5, 1, fmt.Sprint(77771716+n), "")
			}
			h.turns(4)
			if c, _ := h.Counts("r04"); h.marks.Taken() != 45 || len(h.fresh) != 45 || c.Unsure != 0 || len(h.marks.Reports) != 0 {
				t.Errorf("%d marks of 45, %d fresh, counts %+v, reports %q", h.marks.Taken(), len(h.fresh), c, h.marks.Reports)
			}
			h.want(reader.Online, reader.ReasonAnswers)
			if h.sim.Refused != 0 {
				t.Errorf("%d log-ins refused", h.sim.Refused)
			}
		})
	}
}

// A number that is missing is an entry; numbers of other groups are none. Covers S6.
func TestMissingNumbersAreHoles(t *testing.T) {
	h := newEnv(t, nil)
	h.turns(2)
	h.sim.Add(5, 1, "77771716", "")
	h.sim.Add(3, 112, "", "") // somebody logged in
	lost := []int64{h.sim.Add(5, 1, "77771717", "").Serial, h.sim.Add(5, 1, "77771718", "").Serial}
	h.sim.Add(5, 1, "77771719", "")
	for _, n := range lost {
		h.sim.Lose(n)
	}
	h.turns(3)
	if want := []string{fmt.Sprintf("r04 hole 2 %d-%d", lost[0]-1, lost[1])}; h.marks.Taken() != 2 || !slices.Equal(h.marks.Reports, want) {
		t.Errorf("%d marks, reports %q, want %q", h.marks.Taken(), h.marks.Reports, want)
	}

	u := newEnv(t, func(s *terminalsim.Hikvision) { s.UnknownEntry = true })
	u.turns(2)
	for n := range 5 {
		u.sim.Add(5, 1, fmt.Sprint(77771716+n), "")
	}
	u.turns(3)
	if u.marks.Taken() != 4 || !slices.Contains(u.marks.Reports, "r04 bad 1") {
		t.Errorf("%d marks, reports %q", u.marks.Taken(), u.marks.Reports)
	}
}

// Numbers that begin again are an entry, and the events after that are taken, each once: also when the new numbers have
// passed the old ones meanwhile.
func TestNumbersThatBeginAgain(t *testing.T) {
	for name, more := range map[string]int{"fewer events than before": 3, "more events than before": 90} {
		t.Run(name, func(t *testing.T) {
			h := newEnv(t, nil)
			h.turns(2)
			h.sim.Add(5, 1, "77771716", "")
			h.turns(1)
			h.sim.Restart()
			h.turns(1) // its memory is empty
			for n := range more {
				h.sim.Add(5, 1, fmt.Sprint(88881716+n), "")
				h.clock.Pass(time.Second / 4)
			}
			h.turns(4)
			if h.marks.Taken() != 1+more || len(h.marks.Reports) != 1 || !strings.HasPrefix(h.marks.Reports[0], "r04 restarted 1 71-") {
				t.Errorf("%d marks of %d, reports %q", h.marks.Taken(), 1+more, h.marks.Reports)
			}
			h.want(reader.Online, reader.ReasonAnswers)
		})
	}
}

// Covers S7: a clock that is off is found before the first mark, and again when it is set right.
func TestTheClockOfATerminalIsMeasured(t *testing.T) {
	h := newEnv(t, func(s *terminalsim.Hikvision) { s.Off = -7 * time.Minute })
	h.turns(2)
	h.want(reader.Refused, reader.ReasonClock)
	h.sim.Add(5, 1, "77771716", "")
	h.turns(1)
	if c, _ := h.Counts("r04"); c.Reads != 1 || c.Unsure != 1 || c.Off.Round(time.Minute) != -7*time.Minute {
		t.Errorf("counts %+v", c)
	}
	h.sim.Set(func(s *terminalsim.Hikvision) { s.Off = 0 })
	h.clock.Pass(measureEvery)
	h.turns(1)
	h.want(reader.Online, reader.ReasonAnswers)
}

// A refused password is tried once and never again; none goes to another address or out in clear.
func TestThePasswordIsKept(t *testing.T) {
	h := newEnv(t, nil)
	h.open("wrong horse")
	for range 5 {
		if err := h.turn(); !errors.Is(err, errRefused) {
			t.Errorf("a wrong password: %v", err)
		}
	}
	if h.want(reader.Refused, reader.ReasonAuth); h.sim.Refused != 1 {
		t.Errorf("%d tries with a wrong password", h.sim.Refused)
	}

	basic := newEnv(t, func(s *terminalsim.Hikvision) { s.Basic = true })
	if err := basic.turn(); !errors.Is(err, errInClear) {
		t.Errorf("asked for it in clear: %v", err)
	}
	basic.want(reader.Refused, reader.ReasonInClear)

	reached := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	defer other.Close()
	sent := newEnv(t, func(s *terminalsim.Hikvision) { s.Elsewhere = other.URL })
	if err := sent.turn(); err == nil || reached != 0 {
		t.Errorf("sent elsewhere: %v, %d requests there", err, reached)
	}
	sent.want(reader.Refused, reader.ReasonBroken)
}

// A terminal that is busy is asked again, one that answers nonsense is named, one that is gone is off line since it
// last answered.
func TestFaultsOfATerminal(t *testing.T) {
	h := newEnv(t, nil)
	h.turns(2)
	h.sim.Set(func(s *terminalsim.Hikvision) { s.Busy = 1 })
	if err := h.turn(); err == nil {
		t.Error("busy is no answer")
	}
	h.want(reader.Online, reader.ReasonAnswers)
	h.turns(1)
	last := h.clock.Now().Mono
	h.sim.Set(func(s *terminalsim.Hikvision) { s.Garbage = true })
	if err := h.turn(); !errors.Is(err, errAnswer) {
		t.Error(err)
	}
	h.want(reader.Refused, reader.ReasonBroken)
	h.sim.Set(func(s *terminalsim.Hikvision) { s.Garbage, s.Busy = false, 1000 })
	h.clock.Pass(silentAfter)
	if err := h.turn(); err == nil {
		t.Error("busy is no answer")
	}
	h.want(reader.Offline, reader.ReasonSilent)
	if s := h.Statuses()[0]; s.Since != last {
		t.Errorf("off line since %s, last answered %s", s.Since, last)
	}

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	h.want(reader.Offline, reader.ReasonStop)
}
