package reader

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campuskeep/shared/clock/clocktest"
)

// deadLine takes no bytes and gives none until it is closed.
type deadLine struct {
	once   sync.Once
	closed chan struct{}
}

func (d *deadLine) Read([]byte) (int, error)  { <-d.closed; return 0, io.ErrClosedPipe }
func (d *deadLine) Write([]byte) (int, error) { <-d.closed; return 0, io.ErrClosedPipe }
func (d *deadLine) Close() error              { d.once.Do(func() { close(d.closed) }); return nil }

// A line that takes no bytes is given up after 200 ms and opened again, ever less often, until it works or we stop.
func TestStuckLineIsOpenedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var opened []time.Duration
		began := time.Now()
		bus, err := New(Options{Devices: []Device{{ID: "r01"}}, Clock: clocktest.Running{Booted: began, Time: time.Now}, Log: slog.New(slog.DiscardHandler), OnCard: func(CardRead) {},
			Open: func() (io.ReadWriteCloser, error) {
				opened = append(opened, time.Since(began))
				return &deadLine{closed: make(chan struct{})}, nil
			}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := bus.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Run ended with %v", err)
		}
		if n := len(opened); n < 10 || n > 20 || opened[1] != 450*time.Millisecond {
			t.Errorf("opened %d times in a minute, at %v", n, opened)
		}
		if s := bus.Statuses()[0]; s.State != Offline || s.Reason != ReasonStop {
			t.Errorf("at the end: %+v", s)
		}
	})
}

// A port that cannot be opened is tried again for ever.
func TestPortThatDoesNotOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		bus, err := New(Options{Devices: []Device{{ID: "r01"}}, Clock: clocktest.RunningFrom(time.Now(), time.Now), Log: slog.New(slog.DiscardHandler),
			Open: func() (io.ReadWriteCloser, error) { n++; return nil, errors.New("no such port") }})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		bus.Run(ctx)
		if n < 10 || n > 20 {
			t.Errorf("tried %d times in a minute", n)
		}
	})
}
