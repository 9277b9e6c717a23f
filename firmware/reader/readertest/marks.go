// Package readertest keeps marks of network terminals in memory, for tests of what reads them.
//
// It owns what it was given, and fails when a test says so. It must never be imported by the product.
package readertest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"campuskeep/firmware/reader"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
)

// Marks keeps marks as the gate does. Its fields may be read while nothing is delivered.
type Marks struct {
	clock   clock.Clock
	Kept    reader.Terminal
	Order   []reader.CardRead // marks that were taken
	Reports []string          // "r01 bad 2", "r01 hole 3 5-7"
	Away    bool              // every mark could not be delivered when it was made

	mu    sync.Mutex
	known map[string]bool
	fail  error
	hold  chan struct{}
}

// New keeps nothing yet.
func New(c clock.Clock) *Marks { return &Marks{clock: c, known: map[string]bool{}} }

// Set makes deliveries fail, and wait until hold is closed; nil and nil end both.
func (m *Marks) Set(hold chan struct{}, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hold, m.fail = hold, err
}

// Taken is how many marks are kept.
func (m *Marks) Taken() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.Order)
}

// Terminal implements reader.Marks.
func (m *Marks) Terminal(context.Context, string, string) (reader.Terminal, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.Kept.Clock.First.IsZero() {
		m.Kept.Clock.First = m.clock.Now().Wall
	}
	return m.Kept, nil
}

// TakeMarks implements reader.Marks.
func (m *Marks) TakeMarks(_ context.Context, _, _ string, reads []reader.CardRead) (out reader.Taken, err error) {
	m.mu.Lock()
	hold := m.hold
	m.mu.Unlock()
	if hold != nil {
		<-hold
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return out, m.fail
	}
	now := m.clock.Now()
	for _, r := range reads {
		k := fmt.Sprintf("%s/%x/%s/%d", r.Reader, r.UID, r.Mark.Key, r.Mark.Said.Unix())
		if m.known[k] {
			out.Repeats++
			continue
		}
		var p attendance.Placed
		p, m.Kept.Clock = attendance.PlaceMark(r.Mark.Said, now.Wall, m.Kept.Clock, func(time.Time) bool { return m.Away || r.Mark.Held })
		if p.Old {
			out.Old++
			continue
		}
		m.known[k] = true
		m.Order = append(m.Order, r)
		out.Taken++
		if p.Unsure {
			out.Unsure++
		}
		if p.Live {
			out.Fresh = append(out.Fresh, r)
		}
	}
	out.Clock = m.Kept.Clock
	return out, nil
}

// PutStamp implements reader.Marks.
func (m *Marks) PutStamp(_ context.Context, _, _, stamp string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Kept.Stamp = stamp
	return nil
}

// PutClock implements reader.Marks.
func (m *Marks) PutClock(_ context.Context, _, _ string, off time.Duration) (attendance.TerminalState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Kept.Clock.Off, m.Kept.Clock.State = off, attendance.ClockRight
	if off.Abs() > attendance.TerminalTolerance {
		m.Kept.Clock.State = attendance.ClockWrong
	}
	return m.Kept.Clock.State, nil
}

// Report implements reader.Marks.
func (m *Marks) Report(_ context.Context, id, reason string, count int, from, to int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := fmt.Sprintf("%s %s %d", id, reason, count)
	if from != 0 || to != 0 {
		s += fmt.Sprintf(" %d-%d", from, to)
	}
	m.Reports = append(m.Reports, s)
	return nil
}

var _ reader.Marks = (*Marks)(nil)
