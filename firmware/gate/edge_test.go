package gate

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"campuskeep/firmware/reader"
	"campuskeep/scripts/sim/reader"
	"campuskeep/shared/attendance"
)

// edge is the whole way: simulated reader on a pseudo-terminal, OSDP bus, gate, real store.
type edge struct {
	*env
	dev    *readersim.Device
	bus    *reader.Bus
	events chan readersim.Event
}

func newEdge(t testing.TB, wall time.Time) *edge {
	t.Helper()
	e := &edge{env: newEnv(t, wall), events: make(chan readersim.Event, 1<<16)}
	var err error
	e.dev, err = readersim.New(readersim.Options{OnEvent: func(ev readersim.Event) { e.events <- ev }})
	if err != nil {
		t.Fatal(err)
	}
	e.stops = append(e.stops, func() {
		if err := e.dev.Close(); err != nil {
			t.Error(err)
		}
	})
	e.stops = append(e.stops, e.start(e.dev.Run))
	online := make(chan struct{})
	var once sync.Once
	e.bus, err = reader.New(reader.Options{Name: "pty", Open: func() (io.ReadWriteCloser, error) { return reader.OpenSerial(e.dev.Path(), 115200) },
		Devices: []reader.Device{{ID: "r01"}}, Clock: e.clock, Log: slog.New(slog.DiscardHandler),
		OnCard: func(c reader.CardRead) { e.gate.Handle(c) },
		OnState: func(s reader.Status) {
			if s.State == reader.Online {
				once.Do(func() { close(online) })
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	e.mu.Lock()
	e.show = func(id string, s attendance.Signal) {
		if err := e.bus.Feedback(id, s); err != nil {
			t.Errorf("signal: %v", err)
		}
	}
	e.mu.Unlock()
	e.stops = append(e.stops, e.start(e.gate.Run), e.start(e.bus.Run))
	<-online
	return e
}

// beep waits for the next beep and says how many taps were durable when it sounded.
func (e *edge) beep() (readersim.Event, int) {
	e.t.Helper()
	ev := await(e.t, e.events, "a beep", func(ev readersim.Event) bool { return ev.Kind == "beep" })
	return ev, len(e.tapRows(today))
}

// Covers S6: from the card on the reader to the beep in its buzzer, with the record between the two.
func TestCardToBeepOverTheLine(t *testing.T) {
	e := newEdge(t, at(7, 30, 0))
	events, cancel := e.gate.Subscribe()
	defer cancel()
	for n := 1; n <= 10; n++ {
		e.dev.Tap(uid(n))
		ev, stored := e.beep()
		if stored < n {
			t.Errorf("beep %d with %d taps stored", n, stored)
		}
		if ev.Beeps != 1 || ev.Tone != 100*time.Millisecond {
			t.Errorf("beep %+v", ev)
		}
		if l := await(t, e.events, "a light", func(ev readersim.Event) bool { return ev.Kind == "led" }); l.Colour != "green" {
			t.Errorf("light %s", l.Colour)
		}
		if x := <-events; x.Kind != EventTap || x.Student != pupil(n) {
			t.Errorf("live feed: %+v", x)
		}
	}
}

func TestSlowStoreIsAmberFirstOverTheLine(t *testing.T) {
	e := newEdge(t, at(7, 30, 0))
	hold := make(chan struct{})
	e.store.set(hold, nil)
	e.dev.Tap(uid(1))
	ev := await(t, e.events, "a light or a beep", func(ev readersim.Event) bool { return ev.Kind == "led" || ev.Kind == "beep" })
	if ev.Kind != "led" || ev.Colour != "amber" || ev.SinceTap < amberAfter {
		t.Errorf("first of all: %+v", ev)
	}
	if n := len(e.tapRows(today)); n != 0 {
		t.Errorf("%d rows while the store hangs", n)
	}
	close(hold)
	if _, stored := e.beep(); stored != 1 {
		t.Errorf("beeped with %d rows", stored)
	}
}

func TestFailingStoreAndUnknownCardOverTheLine(t *testing.T) {
	e := newEdge(t, at(7, 30, 0))
	e.store.set(nil, errors.New("input/output error"))
	e.dev.Tap(uid(1))
	if ev, stored := e.beep(); ev.Tone != 1500*time.Millisecond || ev.Beeps != 1 || stored != 0 {
		t.Errorf("failure sounds as %+v with %d rows", ev, stored)
	}
	e.store.set(nil, nil)
	e.dev.Tap([]byte{1, 2, 3, 4})
	if ev, stored := e.beep(); ev.Beeps != 3 || stored != 0 {
		t.Errorf("an unknown card sounds as %+v with %d rows", ev, stored)
	}
}

// 50 taps a second: every one of them stored once and beeped once, whatever the line does meanwhile.
func TestFiftyTapsASecondAreAllStored(t *testing.T) {
	e := newEdge(t, at(7, 30, 0))
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n := 1; n <= pupils; n++ {
		if n%10 == 0 {
			e.dev.Break(readersim.FaultBadCRC, 1)
		}
		e.dev.Tap(uid(n))
		<-tick.C
	}
	for range pupils {
		if ev, _ := e.beep(); ev.Tone != 100*time.Millisecond {
			t.Fatalf("a tap failed: %+v", ev)
		}
	}
	rows := e.tapRows(today)
	seen := map[string]int{}
	for _, r := range rows {
		seen[r.Student]++
	}
	if len(rows) != pupils || len(seen) != pupils {
		t.Errorf("%d rows of %d students for %d taps", len(rows), len(seen), pupils)
	}
}

// benchTaps are enough taps for a p99.
func benchTaps(b *testing.B, every time.Duration) {
	e := newEdge(b, at(7, 30, 0))
	took := make([]time.Duration, 0, b.N)
	tick := time.NewTicker(every)
	defer tick.Stop()
	b.ResetTimer()
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(b.N)*every+time.Minute)
	defer cancel()
	go func() {
		for i := range b.N {
			e.dev.Tap(uid(i%pupils + 1))
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	for len(took) < b.N {
		select {
		case ev := <-e.events:
			if ev.Kind == "beep" {
				took = append(took, ev.SinceTap)
			}
		case <-ctx.Done():
			b.Fatalf("%d of %d taps beeped", len(took), b.N)
		}
	}
	b.StopTimer()
	slices.Sort(took)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(took[len(took)/2]), "p50-ms")
	b.ReportMetric(ms(took[len(took)*99/100]), "p99-ms")
	b.ReportMetric(ms(took[len(took)-1]), "max-ms")
	slices.Sort(e.store.took)
	b.ReportMetric(ms(e.store.took[len(e.store.took)*99/100]), "commit-p99-ms")
	b.ReportMetric(float64(b.N-len(e.tapRows(today))), "lost")
}

// From the card on the reader to the buzzer command at the reader, over the pseudo-terminal and the real store.
// Run with a fixed count: -benchtime 600x.
func BenchmarkTapToBeep20(b *testing.B) { benchTaps(b, 50*time.Millisecond) }
func BenchmarkTapToBeep50(b *testing.B) { benchTaps(b, 20*time.Millisecond) }
