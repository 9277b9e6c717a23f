package appliance

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"

	"campuskeep/firmware/gate"
	"campuskeep/firmware/panel"
	"campuskeep/firmware/reader"
	"campuskeep/shared/attendance"
)

// gateSource gives the gate the school's cards, classes, calendar and readers.
type gateSource struct{ a *Appliance }

func (d gateSource) ByCard(hash []byte) (student, class string, ok bool) {
	return d.a.People.ByCard(hash)
}

func (d gateSource) Classes(date string) []gate.Class {
	var out []gate.Class
	for _, c := range d.a.People.Classes(date) {
		g := gate.Class{ID: c.ID}
		for _, s := range d.a.People.Roster(c.ID, date) {
			g.Students = append(g.Students, s.ID)
		}
		out = append(out, g)
	}
	return out
}

func (d gateSource) Calendar() attendance.Calendar { return d.a.Site.Calendar() }

func (d gateSource) Readers() []gate.Reader {
	var out []gate.Reader
	for _, r := range d.a.Site.Readers() {
		if !r.Retired {
			out = append(out, gate.Reader{ID: r.ID, Direction: r.Direction, NoBus: d.a.buses[r.Port] == nil})
		}
	}
	return out
}

// readerBus is one running OSDP bus.
type readerBus struct {
	mu  sync.Mutex
	bus *reader.Bus // guarded by mu; nil while no reader is registered on the line
}

// serveBus runs one OSDP line, again whenever the readers registered on it change.
func (a *Appliance) serveBus(ctx context.Context, b BusConfig) error {
	r := a.buses[b.Port]
	changed, cancel := a.Site.Subscribe()
	defer cancel()
	for ctx.Err() == nil {
		devices := a.devices(b.Port)
		lap, stop := context.WithCancel(ctx)
		done := make(chan error, 1)
		if len(devices) == 0 {
			a.log.Warn("no reader is registered on this line", "port", b.Port)
			done = nil
		} else {
			bus, err := reader.New(reader.Options{Name: b.Port, Devices: devices, Clock: a.Timekeeper, OnCard: a.Gate.Handle, OnState: a.events.reader, Log: a.log,
				Open: func() (io.ReadWriteCloser, error) { return reader.OpenSerial(b.Port, b.Baud) }})
			if err != nil {
				stop()
				return err
			}
			r.setBus(bus)
			go func() { done <- bus.Run(lap) }()
		}
		err := a.untilReadersChange(ctx, b.Port, devices, changed, done)
		stop()
		r.setBus(nil)
		if err != nil {
			return err
		}
		if done != nil {
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				return err
			}
		}
	}
	return nil
}

// untilReadersChange returns nil when the line must be served again or the context ends. What Run answers is put
// back for the caller.
func (a *Appliance) untilReadersChange(ctx context.Context, port string, now []reader.Device, changed <-chan struct{}, done chan error) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-done:
			done <- err
			if err != nil {
				return err
			}
			return nil
		case <-changed:
			if !slices.Equal(now, a.devices(port)) {
				return nil
			}
		}
	}
}

func (a *Appliance) devices(port string) []reader.Device {
	var out []reader.Device
	for _, r := range a.Site.Readers() {
		if r.Port == port && !r.Retired {
			out = append(out, reader.Device{ID: r.ID, Address: byte(r.Address)})
		}
	}
	return out
}

func (r *readerBus) setBus(b *reader.Bus) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bus = b
}

func (r *readerBus) currentBus() *reader.Bus {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bus
}

// show gives a signal at a reader and, where one is wired beside it, at the panel.
func (a *Appliance) show(id string, s attendance.Signal) {
	if a.panel != nil && a.panel.reader == id {
		a.panel.Show(s)
	}
	for _, r := range a.buses {
		bus := r.currentBus()
		if bus == nil {
			continue
		}
		switch err := bus.Feedback(id, s); {
		case err == nil:
			return
		case !errors.Is(err, reader.ErrNoReader):
			a.log.Warn("the reader cannot show the signal", "reader", id, "err", err)
			return
		}
	}
}

// readerPanel is the panel beside one reader.
type readerPanel struct {
	*panel.Panel
	reader string
}

func openPanel(c PanelConfig, log *slog.Logger) (*readerPanel, error) {
	if c.Green == "" && c.Amber == "" && c.Buzzer == "" {
		return nil, nil
	}
	out, err := panel.Open(panel.Names{Green: c.Green, Amber: c.Amber, Buzzer: c.Buzzer})
	if err != nil {
		return nil, err
	}
	return &readerPanel{panel.New(out, log), c.Reader}, nil
}

var _ gate.Students = gateSource{}
