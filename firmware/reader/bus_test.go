package reader

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"campuskeep/scripts/sim/reader"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock/clocktest"
)

// bench is a bus with one simulated reader on a pseudo-terminal.
type bench struct {
	t      testing.TB
	bus    *Bus
	dev    *readersim.Device
	cards  chan CardRead
	states chan Status
	events chan readersim.Event
	keyed  chan string
}

func newBench(t testing.TB, o readersim.Options) *bench {
	t.Helper()
	return newBenchWith(t, o, Device{ID: "r01", Address: o.Address})
}

func newBenchWith(t testing.TB, o readersim.Options, device Device) *bench {
	t.Helper()
	b := &bench{t: t, keyed: make(chan string, 16), cards: make(chan CardRead, 4096), states: make(chan Status, 4096), events: make(chan readersim.Event, 65536)}
	o.OnEvent = func(e readersim.Event) { b.events <- e }
	dev, err := readersim.New(o)
	if err != nil {
		t.Fatal(err)
	}
	b.dev = dev
	b.bus, err = New(Options{Name: "pty", Open: func() (io.ReadWriteCloser, error) { return OpenSerial(dev.Path(), 115200) },
		Devices: []Device{device}, Clock: clocktest.RunningFrom(time.Now(), time.Now), OnKey: func(id string) { b.keyed <- id },
		OnCard: func(c CardRead) { b.cards <- c }, OnState: func(s Status) { b.states <- s }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := dev.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("the simulated reader ended: %v", err)
		}
	})
	wg.Go(func() {
		if err := b.bus.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("the bus ended: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		if err := dev.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
	return b
}

const patience = 15 * time.Second

func await[T any](t testing.TB, ch <-chan T, what string, ok func(T) bool) T {
	t.Helper()
	timeout := time.After(patience)
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

func (b *bench) state(s State, reason string) Status {
	b.t.Helper()
	return await(b.t, b.states, fmt.Sprintf("state %s (%s)", s, reason), func(x Status) bool { return x.State == s && x.Reason == reason })
}

func (b *bench) card(uid []byte) CardRead {
	b.t.Helper()
	return await(b.t, b.cards, fmt.Sprintf("card % x", uid), func(c CardRead) bool { return bytes.Equal(c.UID, uid) })
}

func (b *bench) event(kind string) readersim.Event {
	b.t.Helper()
	return await(b.t, b.events, kind, func(e readersim.Event) bool { return e.Kind == kind })
}

// Covers S6.
func TestCardInSignalOut(t *testing.T) {
	for _, checksum := range []bool{false, true} {
		b := newBench(t, readersim.Options{Address: 5, Checksum: checksum})
		s := b.state(Online, ReasonAnswers)
		if s.Vendor != "ca3b0c model 1.1 serial 12345 firmware 2.2.0" {
			t.Errorf("the reader is known as %q", s.Vendor)
		}
		uid := []byte{4, 0xA2, 0xB3, 0xC4}
		b.dev.Tap(uid)
		c := b.card(uid)
		if c.Reader != "r01" || c.Bits != 32 || c.At <= 0 || c.Card().String() != "04A2B3C4" {
			t.Errorf("read as %+v", c)
		}
		for _, x := range []struct {
			signal attendance.Signal
			beeps  int
			tone   time.Duration
			colour string
		}{
			{attendance.SignalOK, 1, 100 * time.Millisecond, "green"},
			{attendance.SignalFail, 1, 1500 * time.Millisecond, "red"},
			{attendance.SignalUnknown, 3, 100 * time.Millisecond, "red"},
		} {
			if err := b.bus.Feedback("r01", x.signal); err != nil {
				t.Fatal(err)
			}
			e := b.event("beep")
			if e.Beeps != x.beeps || e.Tone != x.tone {
				t.Errorf("%s beeps %d x %v", x.signal, e.Beeps, e.Tone)
			}
			if e := b.event("led"); e.Colour != x.colour {
				t.Errorf("%s lights %s", x.signal, e.Colour)
			}
		}
		if err := b.bus.Feedback("r01", attendance.SignalWait); err != nil {
			t.Fatal(err)
		}
		if e := await(t, b.events, "a light or a beep", func(e readersim.Event) bool { return e.Kind == "led" || e.Kind == "beep" }); e.Colour != "amber" {
			t.Errorf("waiting shows %+v", e)
		}
	}
}

// Every fault of the line is survived: the card held meanwhile is read exactly once, and what was malformed is counted.
func TestFaultsOfTheLineLoseNoCard(t *testing.T) {
	for _, c := range []struct {
		fault   readersim.Fault
		counted func(Counts) uint64
	}{
		{readersim.FaultGarbage, nil},
		{readersim.FaultBadCRC, func(c Counts) uint64 { return c.Malformed }},
		{readersim.FaultTruncate, func(c Counts) uint64 { return c.Malformed }},
		{readersim.FaultLength, func(c Counts) uint64 { return c.Malformed }},
		{readersim.FaultLate, func(c Counts) uint64 { return c.Timeouts }},
		{readersim.FaultSplit, func(Counts) uint64 { return 1 }},
		{readersim.FaultSeq, func(c Counts) uint64 { return c.Timeouts }},
		{readersim.FaultBusy, func(Counts) uint64 { return 1 }},
		{readersim.FaultRestart, func(c Counts) uint64 { return c.NAKs }},
	} {
		t.Run(string(c.fault), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, readersim.Options{})
			b.state(Online, ReasonAnswers)
			for i := range 3 {
				times := 2
				if c.fault == readersim.FaultLate {
					times = 1 // a reader that is later than three time-outs in a row is off line by definition
				}
				b.dev.Break(c.fault, times)
				b.dev.Tap([]byte{9, 9, 9, byte(i)})
				b.card([]byte{9, 9, 9, byte(i)})
			}
			b.dev.Tap([]byte{1, 1, 1, 1})
			b.card([]byte{1, 1, 1, 1})
			counts, _ := b.bus.Counts("r01")
			if counts.Reads != 4 {
				t.Errorf("4 cards were read as %d", counts.Reads)
			}
			if c.counted != nil && c.counted(counts) == 0 {
				t.Errorf("the fault was not counted: %+v", counts)
			}
		})
	}
}

func TestCardDataThatIsNotWholeIsRefused(t *testing.T) {
	b := newBench(t, readersim.Options{})
	b.state(Online, ReasonAnswers)
	b.dev.Break(readersim.FaultShort, -1)
	b.dev.Tap([]byte{1, 2, 3, 4})
	b.event("card")
	b.dev.Break(readersim.FaultNone, 0)
	b.dev.Tap([]byte{5, 6, 7, 8})
	b.card([]byte{5, 6, 7, 8})
	if c, _ := b.bus.Counts("r01"); c.Malformed != 1 || c.Reads != 1 {
		t.Errorf("counted %+v", c)
	}
}

func TestSilentReaderGoesOfflineAndComesBack(t *testing.T) {
	b := newBench(t, readersim.Options{})
	b.state(Online, ReasonAnswers)
	b.dev.Break(readersim.FaultSilent, -1)
	b.state(Offline, ReasonSilent)
	if err := b.bus.Feedback("r01", attendance.SignalOK); !errors.Is(err, ErrOffline) {
		t.Errorf("a signal at a reader off line: %v", err)
	}
	b.dev.Tap([]byte{7, 7, 7, 7}) // held while off line: the reader queues it
	b.dev.Break(readersim.FaultNone, 0)
	b.state(Online, ReasonAnswers)
	b.card([]byte{7, 7, 7, 7})
}

func TestReaderThatDemandsSecureChannelIsRefusedByName(t *testing.T) {
	b := newBench(t, readersim.Options{})
	b.dev.Break(readersim.FaultSecure, -1)
	b.state(Refused, ReasonSecure)
	b.dev.Break(readersim.FaultNone, 0)
	b.state(Online, ReasonAnswers)
}

// Covers the readers of the field: each is on line and reads cards, whatever it needs first.
func TestReadersThatStumble(t *testing.T) {
	for name, c := range map[string]struct {
		options readersim.Options
		fault   readersim.Fault
		times   int
	}{
		"silent until polled":                {options: readersim.Options{Shy: true}},
		"checksum only":                      {options: readersim.Options{OnlySum: true}},
		"checksum only, silent until polled": {options: readersim.Options{OnlySum: true, Shy: true}},
		"a poll came damaged":                {fault: readersim.FaultNAK, times: 1},
		"restarts, counts from 0":            {options: readersim.Options{ZeroNAK: true}, fault: readersim.FaultRestart, times: 1},
		"restarts":                           {fault: readersim.FaultRestart, times: 1},
		"busy":                               {fault: readersim.FaultBusy, times: 30},
		"neither light nor buzzer":           {options: readersim.Options{Plain: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, c.options)
			b.state(Online, ReasonAnswers)
			for i := range 5 {
				b.dev.Break(c.fault, c.times)
				b.dev.Tap([]byte{8, 8, 8, byte(i)})
				b.card([]byte{8, 8, 8, byte(i)})
				if err := b.bus.Feedback("r01", attendance.SignalOK); err != nil {
					t.Error(err)
				}
			}
			if counts, _ := b.bus.Counts("r01"); counts.Reads != 5 {
				t.Errorf("5 cards were read as %d", counts.Reads)
			}
			select {
			case s := <-b.states:
				t.Errorf("it did not stay on line: %+v", s)
			default:
			}
		})
	}
}

// A reader that tells who it is and then wants a secure channel is one state, told once.
func TestReaderThatOnlyTellsWhoItIs(t *testing.T) {
	b := newBench(t, readersim.Options{})
	b.dev.Break(readersim.FaultNoPoll, -1)
	b.state(Refused, ReasonSecure)
	for range 3 { // it is asked again
		await(t, b.events, "another attempt", func(e readersim.Event) bool { return e.Kind == "online" })
	}
	select {
	case s := <-b.states:
		t.Errorf("told again: %+v", s)
	default:
	}
	b.dev.Break(readersim.FaultNone, 0)
	b.state(Online, ReasonAnswers)
}

// Card numbers as text are not guessed at: the reader says why it cannot be used, and can once it is set right.
func TestCardNumbersAsText(t *testing.T) {
	b := newBench(t, readersim.Options{})
	b.state(Online, ReasonAnswers)
	b.dev.Break(readersim.FaultText, -1)
	b.dev.Tap([]byte{1, 2, 3, 4})
	b.state(Refused, ReasonFormat)
	b.dev.Break(readersim.FaultNone, 0)
	b.dev.Tap([]byte{5, 6, 7, 8})
	b.card([]byte{5, 6, 7, 8})
	b.state(Online, ReasonAnswers)
	if c := parseCap([]byte{capCardFormat, 2, 0, capLED, 0, 0, capBuzzer, 1, 1, 9}); !c.formatted || !c.dark || c.mute {
		t.Errorf("capabilities read as %+v", c)
	}
}

// 50 taps a second for two seconds, several queued at a time: each is read once, in order.
func TestFiftyTapsASecond(t *testing.T) {
	b := newBench(t, readersim.Options{})
	b.state(Online, ReasonAnswers)
	const n = 100
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for i := 0; i < n; i += 5 {
		for j := i; j < i+5; j++ {
			b.dev.Tap(binary.BigEndian.AppendUint32(nil, uint32(j)))
		}
		<-tick.C
	}
	for i := range n {
		c := await(t, b.cards, "a card", func(CardRead) bool { return true })
		if got := binary.BigEndian.Uint32(c.UID); got != uint32(i) {
			t.Fatalf("card %d came as number %d", got, i)
		}
	}
}

// A silent neighbour on the same line does not stop a reader.
func TestSilentNeighbour(t *testing.T) {
	dev, err := readersim.New(readersim.Options{Address: 1})
	if err != nil {
		t.Fatal(err)
	}
	cards := make(chan CardRead, 10)
	bus, err := New(Options{Open: func() (io.ReadWriteCloser, error) { return OpenSerial(dev.Path(), 115200) },
		Devices: []Device{{ID: "r00", Address: 0}, {ID: "r01", Address: 1}}, Clock: clocktest.RunningFrom(time.Now(), time.Now),
		OnCard: func(c CardRead) { cards <- c }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { dev.Run(ctx) })
	wg.Go(func() { bus.Run(ctx) })
	for i := range 5 {
		dev.Tap([]byte{0, 0, 0, byte(i)})
		await(t, cards, "a card", func(c CardRead) bool { return c.Reader == "r01" && c.UID[3] == byte(i) })
	}
	cancel()
	wg.Wait()
	if st := bus.Statuses(); st[0].State != Offline || st[1].State != Offline || st[1].Reason != ReasonStop {
		t.Errorf("after the end: %+v", st)
	}
	if err := dev.Close(); err != nil {
		t.Error(err)
	}
}

// A line that vanishes is opened again.
func TestLineThatVanishesIsOpenedAgain(t *testing.T) {
	first, err := readersim.New(readersim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := readersim.New(readersim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	path := make(chan string, 2)
	path <- first.Path()
	path <- second.Path()
	states := make(chan Status, 100)
	bus, err := New(Options{Open: func() (io.ReadWriteCloser, error) {
		select {
		case p := <-path:
			return OpenSerial(p, 9600)
		default:
			return nil, errors.New("no third line")
		}
	}, Devices: []Device{{ID: "r01"}}, Clock: clocktest.RunningFrom(time.Now(), time.Now), OnCard: func(CardRead) {}, OnState: func(s Status) { states <- s }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	firstCtx, unplug := context.WithCancel(ctx)
	var wg, wgFirst sync.WaitGroup
	wgFirst.Go(func() { first.Run(firstCtx) })
	wg.Go(func() { second.Run(ctx) })
	wg.Go(func() { bus.Run(ctx) })
	await(t, states, "online", func(s Status) bool { return s.State == Online })
	unplug()
	wgFirst.Wait()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	await(t, states, "offline for the line", func(s Status) bool { return s.State == Offline && s.Reason == ReasonBus })
	await(t, states, "online again", func(s Status) bool { return s.State == Online })
	cancel()
	wg.Wait()
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

func TestDevicesAreChecked(t *testing.T) {
	for name, d := range map[string][]Device{
		"none":           nil,
		"no id":          {{Address: 1}},
		"same id":        {{ID: "r01", Address: 1}, {ID: "r01", Address: 2}},
		"same address":   {{ID: "r01", Address: 1}, {ID: "r02", Address: 1}},
		"broadcast":      {{ID: "r01", Address: 0x7F}},
		"beyond the bit": {{ID: "r01", Address: 0x80}},
	} {
		if _, err := New(Options{Devices: d}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
