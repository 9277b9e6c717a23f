package appliance

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"campuskeep/firmware/reader"
	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/attendance"
)

// readerLines are the running ways to the readers: an OSDP line with its readers, a Wiegand reader, the listener for
// terminals, a terminal that is asked.
type readerLines struct {
	mu      sync.Mutex
	running map[string]*readerLine // guarded by mu; by what serves it: a port, a reader
}

// readerLine is one of them.
type readerLine struct {
	spec readerSpec
	line reader.Line
	stop context.CancelFunc
	done chan struct{}
}

// readerSpec is what a line is made from; when it changes the line is made again.
type readerSpec struct {
	Kind    site.ReaderKind
	Port    string
	Baud    int
	Devices []reader.Device
}

// defaultBaud is the speed of a line of which nobody said any: that of readers as they come from the maker.
const defaultBaud = 9600

func newReaderLines() readerLines { return readerLines{running: map[string]*readerLine{}} }

// serves says whether this appliance can serve readers of a kind.
func (a *Appliance) serves(k site.ReaderKind) bool { return k == site.ReaderOSDP }

// serveReaders serves the readers of the register, each line again whenever its readers change.
func (a *Appliance) serveReaders(ctx context.Context) error {
	changed, cancel := a.Site.Subscribe()
	defer cancel()
	defer a.lines.keep(nil)
	for {
		want, err := a.wantedLines()
		if err := a.tolerateDamage("read the keys of the card readers", err); err != nil {
			return err
		}
		a.lines.keep(want)
		for _, key := range slices.Sorted(maps.Keys(want)) {
			if !a.lines.has(key) {
				if err := a.startLine(ctx, key, want[key]); err != nil {
					a.log.Error("card readers cannot be served", "line", key, "err", err)
				}
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// wantedLines are the lines that the register asks for.
func (a *Appliance) wantedLines() (map[string]readerSpec, error) {
	want := map[string]readerSpec{}
	for _, r := range a.Site.Readers() {
		if r.Retired || !a.serves(r.Kind) {
			continue
		}
		s := want[r.Port]
		s.Kind, s.Port, s.Baud = r.Kind, r.Port, a.baud(r)
		s.Devices = append(s.Devices, reader.Device{ID: r.ID, Address: byte(r.Address)})
		want[r.Port] = s
	}
	return want, nil
}

func (a *Appliance) baud(r site.Reader) int {
	configured := 0
	for _, b := range a.Config.Bus {
		if b.Port == r.Port {
			configured = b.Baud
		}
	}
	return cmp.Or(r.Baud, configured, defaultBaud)
}

// keep stops the lines that are not wanted as they are, and waits for their end.
func (l *readerLines) keep(want map[string]readerSpec) {
	l.mu.Lock()
	var ending []*readerLine
	for key, x := range l.running {
		if s, ok := want[key]; !ok || !reflect.DeepEqual(s, x.spec) {
			x.stop()
			ending = append(ending, x)
			delete(l.running, key)
		}
	}
	l.mu.Unlock()
	for _, x := range ending {
		<-x.done
	}
}

func (l *readerLines) has(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.running[key] != nil
}

func (a *Appliance) startLine(ctx context.Context, key string, s readerSpec) error {
	line, err := a.openLine(s)
	if err != nil {
		return err
	}
	lap, stop := context.WithCancel(ctx)
	x := &readerLine{spec: s, line: line, stop: stop, done: make(chan struct{})}
	a.lines.mu.Lock()
	a.lines.running[key] = x
	a.lines.mu.Unlock()
	go func() {
		defer close(x.done)
		if err := line.Run(lap); err != nil && !errors.Is(err, context.Canceled) {
			a.log.Error("card readers are not served any more", "line", key, "err", err)
		}
	}()
	return nil
}

func (a *Appliance) openLine(s readerSpec) (reader.Line, error) {
	return reader.New(reader.Options{Name: s.Port, Devices: s.Devices, Clock: a.Timekeeper, OnCard: a.takeCard, OnState: a.events.reader, Log: a.log,
		Open: func() (io.ReadWriteCloser, error) { return reader.OpenSerial(s.Port, s.Baud) }})
}

// takeCard gives a card read to the gate, in the order of bytes that all readers share.
func (a *Appliance) takeCard(c reader.CardRead) {
	if r, ok := a.Site.Reader(c.Reader); ok && r.Turned && c.Bits%8 == 0 {
		slices.Reverse(c.UID)
	}
	a.cards.Note(c)
	a.Gate.Handle(c)
}

func (l *readerLines) lines() (out []reader.Line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(l.running)) {
		out = append(out, l.running[key].line)
	}
	return out
}

func (l *readerLines) statuses() (out []reader.Status) {
	for _, x := range l.lines() {
		out = append(out, x.Statuses()...)
	}
	return out
}

func (l *readerLines) show(id string, s attendance.Signal, log *slog.Logger) {
	for _, x := range l.lines() {
		switch err := x.Feedback(id, s); {
		case err == nil:
			return
		case !errors.Is(err, reader.ErrNoReader):
			log.Warn("the reader cannot show the signal", "reader", id, "err", err)
			return
		}
	}
}

// readerService is what pages ask of the running readers.
type readerService struct{ a *Appliance }

// Ports are the serial ports: those of the configuration, and those that this machine has now.
func (s readerService) Ports() (out []frame.ReaderPort) {
	there := reader.SerialPorts("/dev")
	for _, b := range s.a.Config.Bus {
		out = append(out, frame.ReaderPort{Path: b.Port, Baud: b.Baud, Configured: true, Present: slices.Contains(there, b.Port) || reader.Present(b.Port)})
	}
	for _, p := range there {
		if !slices.ContainsFunc(out, func(x frame.ReaderPort) bool { return x.Path == p }) {
			out = append(out, frame.ReaderPort{Path: p, Baud: defaultBaud, Present: true})
		}
	}
	return out
}

// Serves says whether readers of a kind can be registered here.
func (s readerService) Serves(k site.ReaderKind) bool { return s.a.serves(k) }

// Status is the state of a reader at this moment, with what is counted since it was served; false when nothing serves
// it.
func (s readerService) Status(id string) (frame.ReaderStatus, bool) {
	now := s.a.Timekeeper.Now()
	for _, x := range s.a.lines.lines() {
		for _, st := range x.Statuses() {
			if st.Reader == id {
				c, _ := x.Counts(id)
				return frame.ReaderStatus{Status: st, Counts: c, When: now.Wall.Add(st.Since - now.Mono).Truncate(time.Second)}, true
			}
		}
	}
	return frame.ReaderStatus{}, false
}
