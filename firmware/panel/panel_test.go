package panel

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpiotest"

	"campuskeep/shared/attendance"
)

// board is a panel on periph's test pins.
type board struct {
	*Panel
	green, amber, red, buzzer gpiotest.Pin
}

func (b *board) lit() string {
	var on []string
	for _, p := range []*gpiotest.Pin{&b.green, &b.amber, &b.red, &b.buzzer} {
		if p.Read() == gpio.High {
			on = append(on, p.N)
		}
	}
	return strings.Join(on, " ")
}

func newBoard() *board {
	b := &board{green: gpiotest.Pin{N: "green"}, amber: gpiotest.Pin{N: "amber"}, red: gpiotest.Pin{N: "red"}, buzzer: gpiotest.Pin{N: "buzzer"}}
	b.Panel = New(Outputs{Green: Pin(&b.green), Amber: Pin(&b.amber), Red: Pin(&b.red), Buzzer: Pin(&b.buzzer)}, slog.New(slog.DiscardHandler))
	return b
}

// running runs a board in a bubble and ends it with the test function.
func running(t *testing.T, f func(b *board, stop func())) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		synctest.Wait()
		stop := func() {
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("Run ended with %v", err)
			}
		}
		f(b, stop)
		if ctx.Err() == nil {
			stop()
		}
	})
}

// Covers S6: each signal on light and buzzer, as long as its pattern says and no longer.
func TestPatternsOnPins(t *testing.T) {
	for _, c := range []struct {
		signal attendance.Signal
		at     time.Duration
		want   string
	}{
		{attendance.SignalOK, 50 * time.Millisecond, "green buzzer"},
		{attendance.SignalOK, 150 * time.Millisecond, "green"},
		{attendance.SignalOK, 1050 * time.Millisecond, ""},
		{attendance.SignalWait, 50 * time.Millisecond, "amber"},
		{attendance.SignalWait, 5900 * time.Millisecond, "amber"},
		{attendance.SignalFail, 50 * time.Millisecond, "red buzzer"},
		{attendance.SignalFail, 1450 * time.Millisecond, "red buzzer"},
		{attendance.SignalFail, 1550 * time.Millisecond, "red"},
		{attendance.SignalFail, 2050 * time.Millisecond, ""},
		{attendance.SignalUnknown, 50 * time.Millisecond, "red buzzer"},
		{attendance.SignalUnknown, 250 * time.Millisecond, "buzzer"},
		{attendance.SignalUnknown, 450 * time.Millisecond, "red buzzer"},
		{attendance.SignalUnknown, 650 * time.Millisecond, ""},
		{attendance.SignalUnknown, 1250 * time.Millisecond, ""},
	} {
		running(t, func(b *board, _ func()) {
			b.Show(c.signal)
			time.Sleep(c.at)
			synctest.Wait()
			if got := b.lit(); got != c.want {
				t.Errorf("%s after %v: %q is on, want %q", c.signal, c.at, got, c.want)
			}
		})
	}
}

func TestNewerSignalReplacesOlder(t *testing.T) {
	running(t, func(b *board, _ func()) {
		b.Show(attendance.SignalWait)
		time.Sleep(100 * time.Millisecond)
		b.Show(attendance.SignalOK)
		synctest.Wait()
		if got := b.lit(); got != "green buzzer" {
			t.Errorf("after amber and then OK %q is on", got)
		}
	})
}

func TestEverythingIsOffAtTheEnd(t *testing.T) {
	running(t, func(b *board, stop func()) {
		b.Show(attendance.SignalFail)
		synctest.Wait()
		stop()
		if got := b.lit(); got != "" {
			t.Errorf("%q is still on after Run", got)
		}
	})
}

func TestAmberStandsForAMissingRed(t *testing.T) {
	p := New(Outputs{Amber: Pin(&gpiotest.Pin{N: "amber"})}, slog.New(slog.DiscardHandler))
	if p.outputs[red] == nil || p.outputs[red] != p.outputs[amber] {
		t.Error("a failure has no light on a panel without red")
	}
}

// hanging is a pin whose driver does not come back until let go.
type hanging struct{ let chan struct{} }

func (h *hanging) Set(bool) error { <-h.let; return nil }

func TestHangingPinHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := &hanging{make(chan struct{})}
		buzz := &gpiotest.Pin{N: "buzzer"}
		var log strings.Builder
		p := New(Outputs{Green: stuck, Buzzer: Pin(buzz)}, slog.New(slog.NewTextHandler(&log, nil)))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		time.Sleep(time.Second)
		p.Show(attendance.SignalFail)
		synctest.Wait()
		if buzz.Read() != gpio.High {
			t.Error("the buzzer is silent because another pin hangs")
		}
		close(stuck.let)
		time.Sleep(3 * time.Second)
		cancel()
		<-ended
		if n := strings.Count(log.String(), "does not answer"); n != 1 {
			t.Errorf("the hanging pin was logged %d times: %s", n, log.String())
		}
	})
}

type failing struct{ n int }

func (f *failing) Set(bool) error { f.n++; return errors.New("no such register") }

func TestFailingPinIsLoggedAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &failing{}
		var log strings.Builder
		p := New(Outputs{Green: f}, slog.New(slog.NewTextHandler(&log, nil)))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		p.Show(attendance.SignalOK)
		synctest.Wait()
		p.Show(attendance.SignalOK)
		synctest.Wait()
		cancel()
		<-ended
		if f.n < 3 || !strings.Contains(log.String(), "no such register") {
			t.Errorf("set %d times, log %q", f.n, log.String())
		}
	})
}

// A board without GPIO says which pin it does not have.
func TestOpenNamesTheMissingPin(t *testing.T) {
	_, err := Open(Names{Green: "NO_SUCH_PIN"})
	if err == nil || !strings.Contains(err.Error(), "NO_SUCH_PIN") {
		t.Errorf("Open of a pin that does not exist: %v", err)
	}
}
