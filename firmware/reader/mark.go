package reader

import (
	"context"
	"time"

	"campuskeep/shared/attendance"
)

// Mark is what a network terminal says of a card read that it tells of afterwards.
type Mark struct {
	Key  string    // the same for the same mark of the same card at this terminal, however often it is sent
	Said time.Time // by the terminal's clock
	// Also is another number of the same person that the terminal told: it counts when nobody has the first.
	Also *attendance.Card
	// Held says that the terminal could not deliver the mark when it was made, for a reason that lies with us or with
	// the line to it.
	Held bool
}

// Taken is what became of marks that are durable.
type Taken struct {
	Taken, Repeats, Old, Unsure int
	Fresh                       []CardRead // those that were made just now, and are not repeats
	Clock                       attendance.TerminalClock
}

// Terminal is what is kept of a network terminal, by reader and serial number.
type Terminal struct {
	Clock attendance.TerminalClock `json:"clock,omitzero"`
	// Stamp is where the terminal goes on telling, in its own words: iclock's stamp, the number of the last event.
	Stamp string `json:"stamp,omitempty"`
}

// Marks is where network terminals leave their marks. *gate.Gate is one.
type Marks interface {
	// Terminal is what is kept of a terminal; it is first heard now when nothing is.
	Terminal(ctx context.Context, id, serial string) (Terminal, error)
	// TakeMarks makes marks durable, each once, in their order. An error says that some may not be: the terminal must
	// not be answered that they were taken.
	TakeMarks(ctx context.Context, id, serial string, marks []CardRead) (Taken, error)
	// PutStamp keeps where the terminal goes on telling, after the marks before it are durable.
	PutStamp(ctx context.Context, id, serial, stamp string) error
	// PutClock notes how far the terminal's clock is off, where it can be asked for.
	PutClock(ctx context.Context, id, serial string, off time.Duration) (attendance.TerminalState, error)
	// Report enters what is wrong with marks: how many, and why; from and to are event numbers where there are some.
	Report(ctx context.Context, id, reason string, count int, from, to int64) error
}

// The reasons of reports.
const (
	MarksBad       = "bad"       // cannot be read
	MarksOld       = "old"       // history of the terminal, or made by a clock that was set back
	MarksHole      = "hole"      // numbers are missing: events are lost
	MarksRestarted = "restarted" // the numbers begin again
)
