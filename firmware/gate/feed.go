package gate

import (
	"sync"
	"time"

	"campuskeep/firmware/reader"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
)

// EventKind says what happened at the gate.
type EventKind string

// The kinds of events of the live page.
const (
	EventTap     EventKind = "tap"
	EventRepeat  EventKind = "repeat"
	EventUnknown EventKind = "unknown"
	EventFailed  EventKind = "failed"
	EventReader  EventKind = "reader"
	EventDay     EventKind = "day"  // a day's status changed without a tap
	EventLost    EventKind = "lost" // this listener was too slow; read the board again
)

// Event is one line of the live page. Names are for the page to find.
type Event struct {
	Kind    EventKind            `json:"kind"`
	At      time.Time            `json:"at"`
	Reader  string               `json:"reader,omitempty"`
	Student string               `json:"student,omitempty"`
	Class   string               `json:"class,omitempty"`
	Way     attendance.Direction `json:"way,omitempty"`
	Outcome attendance.Outcome   `json:"outcome,omitempty"`
	Minutes int                  `json:"minutes,omitempty"`
	Tail    string               `json:"tail,omitempty"` // last four digits of an unknown card; never stored
	Waited  bool                 `json:"waited,omitempty"`
	State   reader.State         `json:"state,omitempty"`
	Reason  string               `json:"reason,omitempty"`
}

const (
	feedBuffer = 1024
	recentSize = 60
)

// feed tells everybody who listens, and remembers the last lines.
type feed struct {
	mu     sync.Mutex
	subs   map[chan Event]bool // true: it missed something
	recent []Event             // newest last
}

// Subscribe gives what happens at the gate from now on. A listener that does not keep up gets an EventLost
// in place of what it missed; it never slows the gate. cancel ends the subscription and closes the channel.
func (g *Gate) Subscribe() (events <-chan Event, cancel func()) {
	ch := make(chan Event, feedBuffer)
	f := &g.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.subs == nil {
		f.subs = map[chan Event]bool{}
	}
	f.subs[ch] = false
	return ch, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if _, ok := f.subs[ch]; ok {
			delete(f.subs, ch)
			close(ch)
		}
	}
}

func (f *feed) send(e Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e.Kind != EventDay && e.Kind != EventReader {
		f.recent = append(f.recent, e)
		if len(f.recent) > recentSize {
			f.recent = append(f.recent[:0], f.recent[len(f.recent)-recentSize:]...)
		}
	}
	for ch, missed := range f.subs {
		if missed {
			select {
			case ch <- Event{Kind: EventLost, At: e.At}:
				f.subs[ch] = false
			default:
				continue
			}
		}
		select {
		case ch <- e:
		default:
			f.subs[ch] = true
		}
	}
}

// Recent is what happened last, newest first, since this program started.
func (g *Gate) Recent() []Event {
	f := &g.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]Event, len(f.recent))
	for i, e := range f.recent {
		out[len(out)-1-i] = e
	}
	return out
}

func (g *Gate) publish(read reader.CardRead, r Result, now clock.Reading) {
	g.publishAt(read, r, instant(read, now))
}

func (g *Gate) publishAt(read reader.CardRead, r Result, at time.Time) {
	e := Event{Kind: EventTap, At: at, Reader: read.Reader, Student: r.Tap.Student, Class: r.Tap.Class,
		Way: r.Way, Outcome: r.Day.Outcome, Minutes: r.Day.Minutes, Waited: r.Waited}
	switch {
	case r.Signal == attendance.SignalFail:
		e.Kind = EventFailed
	case r.Signal == attendance.SignalUnknown:
		e.Kind, e.Tail = EventUnknown, read.Card().Tail()
	case r.Repeat:
		e.Kind = EventRepeat
	}
	g.feed.send(e)
}

func (g *Gate) publishDay(d attendance.DayStatus, now clock.Reading) {
	g.feed.send(Event{Kind: EventDay, At: now.Wall, Student: d.Student, Class: d.Class, Outcome: d.Outcome, Minutes: d.Minutes})
}
