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
	"campuskeep/firmware/reader/iclock"
	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
)

// readerLines are the running ways to the readers: an OSDP line with its readers, a Wiegand reader, the listener for
// terminals, a terminal that is asked.
type readerLines struct {
	mu      sync.Mutex
	running map[string]*readerLine // guarded by mu; by what serves it: a port, a reader
	// Until when, since boot, a reader may be given its key. It is only here: a restart ends it.
	installs map[string]time.Duration // guarded by mu
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
	Reader  site.Reader // of a kind that has a line of its own

	Terminals []iclock.Device // of the port for network terminals
	Login     site.Login      // of a terminal that is asked
}

// defaultBaud is the speed of a line of which nobody said any: that of readers as they come from the maker.
const defaultBaud = 9600

func newReaderLines() readerLines {
	return readerLines{running: map[string]*readerLine{}, installs: map[string]time.Duration{}}
}

// serves says whether this appliance can serve readers of a kind.
func (a *Appliance) serves(k site.ReaderKind) bool {
	return k == site.ReaderOSDP || k == site.ReaderWiegand || k == site.ReaderHikvision || k == site.ReaderIclock && a.Config.Terminals.Listen != ""
}

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
		a.forgetTerminals(ctx)
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
		case <-a.installEnds():
			a.endInstalls(ctx)
		}
	}
}

// installFor is how long a reader may be given its key after a person has asked for it.
const installFor = 10 * time.Minute

// installEnds fires when the time of a reader that is being installed passes; nil while there is none.
func (a *Appliance) installEnds() <-chan time.Time {
	now := a.Timekeeper.Now().Mono
	a.lines.mu.Lock()
	defer a.lines.mu.Unlock()
	var first time.Duration
	for _, until := range a.lines.installs {
		if first == 0 || until < first {
			first = until
		}
	}
	if first == 0 {
		return nil
	}
	return time.After(max(0, first-now))
}

// endInstalls enters the readers that took no key in their time.
func (a *Appliance) endInstalls(ctx context.Context) {
	now := a.Timekeeper.Now().Mono
	a.lines.mu.Lock()
	var over []string
	for id, until := range a.lines.installs {
		if until <= now {
			over = append(over, id)
			delete(a.lines.installs, id)
		}
	}
	a.lines.mu.Unlock()
	for _, id := range over {
		if err := a.Site.NoteReaderKey(ctx, account.System, id, site.KeyEnded); err != nil {
			a.log.Error("the end of installing a card reader is not entered", "reader", id, "err", err)
		}
	}
}

// readerKeyed enters that a reader took its key. It must not wait.
func (a *Appliance) readerKeyed(id string) {
	a.lines.mu.Lock()
	delete(a.lines.installs, id)
	a.lines.mu.Unlock()
	write := func(ctx context.Context, a *Appliance) error {
		return a.Site.NoteReaderKey(ctx, account.System, id, site.KeyPlaced)
	}
	select {
	case a.events.queue <- write:
	default: // the reader works; only the note that its key is in place is lost
		a.log.Error("it is not entered that a card reader took its key", "reader", id)
	}
}

// readerState takes a reader's state to the gate, and which device answers to the register.
func (a *Appliance) readerState(s reader.Status) {
	a.events.reader(s)
	if s.State != reader.Online || s.Device == "" {
		return
	}
	select {
	case a.events.queue <- func(ctx context.Context, a *Appliance) error {
		return a.Site.NoteReaderDevice(ctx, s.Reader, s.Device)
	}:
	default: // told again with its next state
	}
}

// wantedLines are the lines that the register asks for.
func (a *Appliance) wantedLines() (map[string]readerSpec, error) {
	want := map[string]readerSpec{}
	if a.Config.Terminals.Listen != "" {
		want[terminalLine] = readerSpec{Kind: site.ReaderIclock} // it listens also while no terminal is registered
	}
	for _, r := range a.Site.Readers() {
		if r.Retired || !a.serves(r.Kind) {
			continue
		}
		if r.Kind == site.ReaderIclock {
			d, err := a.terminalDevice(r)
			if err != nil {
				return want, err
			}
			s := want[terminalLine]
			s.Terminals = append(s.Terminals, d)
			want[terminalLine] = s
			continue
		}
		if r.Kind != site.ReaderOSDP {
			r.Name, r.Place, r.Technician = "", "", "" // a new name is no new line
			s := readerSpec{Kind: r.Kind, Reader: r}
			if r.Kind == site.ReaderHikvision {
				var err error
				if s.Login, err = a.Site.ReaderLogin(r.ID); err != nil {
					return want, err
				}
			}
			want[r.ID] = s
			continue
		}
		s := want[r.Port]
		s.Kind, s.Port, s.Baud = r.Kind, r.Port, a.baud(r)
		d, err := a.readerDevice(r)
		if err != nil {
			return want, err
		}
		s.Devices = append(s.Devices, d)
		want[r.Port] = s
	}
	return want, nil
}

// readerDevice is a reader as its line serves it, with its key.
func (a *Appliance) readerDevice(r site.Reader) (reader.Device, error) {
	d := reader.Device{ID: r.ID, Address: byte(r.Address), Secure: r.Secure}
	if !r.Secure {
		return d, nil
	}
	scbk, _, err := a.Site.ReaderKey(r.ID)
	if err != nil {
		return d, err
	}
	d.HasKey = copy(d.Key[:], scbk) == reader.KeyLen
	a.lines.mu.Lock()
	d.Install = a.lines.installs[r.ID]
	a.lines.mu.Unlock()
	return d, nil
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
	if s.Kind == site.ReaderIclock {
		return a.openTerminals(s.Terminals), nil
	}
	if s.Kind == site.ReaderHikvision {
		return a.askTerminal(s), nil
	}
	if s.Kind == site.ReaderWiegand {
		return reader.NewWiegand(reader.WiegandOptions{ID: s.Reader.ID, Bits: s.Reader.Format, Clock: a.Timekeeper, OnCard: a.takeCard, OnState: a.readerState, Log: a.log,
			Open: reader.WiegandPins(s.Reader.D0, s.Reader.D1)}), nil
	}
	return reader.New(reader.Options{Name: s.Port, Devices: s.Devices, Clock: a.Timekeeper, OnCard: a.takeCard, OnState: a.readerState, OnKey: a.readerKeyed, Log: a.log,
		Open: func() (io.ReadWriteCloser, error) { return reader.OpenSerial(s.Port, s.Baud) }})
}

// takeCard gives a card read to the gate, in the order of bytes that all readers share.
func (a *Appliance) takeCard(c reader.CardRead) {
	a.orderCard(c)
	a.cards.Note(c)
	a.Gate.Handle(c)
}

// orderCard turns the bytes of a card number round at a reader that gives them in the other order.
func (a *Appliance) orderCard(c reader.CardRead) {
	if r, ok := a.Site.Reader(c.Reader); ok && r.Turned && c.Bits%8 == 0 {
		slices.Reverse(c.UID)
	}
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

// Install gives a reader a new key and opens the time in which it may be put into it. Errors: as Site.SetReaderKey.
func (s readerService) Install(ctx context.Context, by account.Who, id string) error {
	until := s.a.Timekeeper.Now().Mono + installFor
	s.a.lines.setInstall(id, until)
	if err := s.a.Site.SetReaderKey(ctx, by, id, nil); err != nil {
		s.a.lines.setInstall(id, 0)
		return err
	}
	return nil
}

// EndInstall ends it before its time.
func (s readerService) EndInstall(ctx context.Context, by account.Who, id string) error {
	s.a.lines.setInstall(id, 0)
	return s.a.Site.NoteReaderKey(ctx, by, id, site.KeyEnded)
}

// Installing is until when a reader may be given its key; false when it is not being installed.
func (s readerService) Installing(id string) (time.Time, bool) {
	now := s.a.Timekeeper.Now()
	s.a.lines.mu.Lock()
	defer s.a.lines.mu.Unlock()
	until, ok := s.a.lines.installs[id]
	return now.Wall.Add(until - now.Mono), ok
}

func (l *readerLines) setInstall(id string, until time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until == 0 {
		delete(l.installs, id)
		return
	}
	l.installs[id] = until
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
