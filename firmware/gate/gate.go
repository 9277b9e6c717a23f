// Package gate turns card reads into attendance: it finds the student, decides the day again, commits tap,
// day and entries as one change, and only then lets the reader beep.
//
// It owns the tables taps, days, marks, leaves, outages, what is known of network terminals, the queue between the readers and the store,
// and the live feed of the gate page. It must never let a reader say OK for a tap that is not durable, never
// keep a card number, and never call a student absent while it could not hear the gate.
package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/reader"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
)

// Store is what the gate needs of *ledgerdb.Store.
type Store interface {
	Commit(context.Context, ledgerdb.Change) (ledgerdb.Receipt, error)
	View(func(ledgerdb.Tx) error) error
}

// Students knows who carries which card, and who belongs to which class.
type Students interface {
	// ByCard finds the student by the hash of the card (attendance.Card.Hash). It is called for every tap
	// and must answer from memory.
	ByCard(hash []byte) (student, class string, ok bool)
	// Classes lists the classes and their students on a date, both in the order of the page.
	Classes(date string) []Class
	// Grade is the grade of a class on a date, whose bell times it follows; 0 when it has none.
	Grade(class, date string) int
	// Carded are the students who have a card: no reader can see the others.
	Carded() map[string]bool
}

// Class is a class with those enrolled in it.
type Class struct {
	ID       string
	Students []string
}

// Site knows the school's calendar and its readers.
type Site interface {
	Calendar() attendance.Calendar
	Readers() []Reader
}

// Reader is a reader in service: which way it serves.
type Reader struct {
	ID        string
	Direction attendance.Direction // In, Out, Auto
	NoBus     bool                 // no line of this appliance serves it
}

// Options are what a Gate needs.
type Options struct {
	Store    Store
	Students Students
	Site     Site
	Clock    clock.Clock
	CardKey  [32]byte // the site key for card numbers; lives in a key file, never in a row
	// Show gives a signal at a reader (and at the panel beside it). It must return at once.
	Show func(readerID string, s attendance.Signal)
	Log  *slog.Logger
}

// Timing of one tap (design §8) and of the feed.
const (
	amberAfter   = 80 * time.Millisecond // not stored by then: amber
	giveUpAfter  = 5 * time.Second       // not stored by then: long tone
	repeatWithin = 5 * time.Second       // the same card again at the same reader is the same tap
)

// The tables of this package.
var (
	taps          = ledgerdb.NewTable[attendance.Tap]("taps", ledgerdb.Replayable())
	days          = ledgerdb.NewTable[attendance.DayStatus]("days", ledgerdb.Replayable())
	marks         = ledgerdb.NewTable[attendance.Mark]("marks", ledgerdb.Replayable())
	leaves        = ledgerdb.NewTable[attendance.Leave]("leaves", ledgerdb.Replayable())
	outages       = ledgerdb.NewTable[Outage]("outages", ledgerdb.Replayable())
	alive         = ledgerdb.NewTable[time.Time]("gate_alive")
	swept         = ledgerdb.NewTable[string]("gate_swept")         // the last date that was decided after its closing
	unsettledTaps = ledgerdb.NewTable[unsettledTap]("taps_doubted") // key: id of the tap
)

// Gate is the running gate. Tap and the readings may be called while Run does not run; what comes in by
// Handle waits for Run.
type Gate struct {
	o       Options
	queue   [workers]chan reader.CardRead
	feed    feed
	version atomic.Uint64 // counts commits of evidence; see dayRows
	rows    atomic.Pointer[dayRows]
	mu      sync.Mutex // guards what follows
	stored  map[string]stored
	readers map[string]reader.Status
	outages []Outage
	pending map[string]*pendingWrite // by reader; "" is everything
	down    *Outage                  // the store fails since; not yet written, for that very reason
	// The last sign of life of an earlier run, until the time since then is on record; and the start of this one.
	lastAlive time.Time
	startBoot string
	startMono time.Duration

	writing    sync.Mutex // one writer of outages at a time
	deliveries sync.Map   // *sync.Mutex by reader: one delivery of a network terminal at a time
}

// stored is the last tap of one card at one reader that became durable.
type stored struct {
	at      time.Duration
	boot    string
	known   bool
	student string
	class   string
}

// New checks the options.
func New(o Options) (*Gate, error) {
	if o.CardKey == [32]byte{} {
		return nil, errors.New("gate: the site key for card numbers is missing")
	}
	if err := o.Site.Calendar().Check(); err != nil {
		return nil, fmt.Errorf("gate: school calendar: %w", err)
	}
	g := &Gate{o: o, stored: map[string]stored{}, readers: map[string]reader.Status{}, pending: map[string]*pendingWrite{}}
	for i := range g.queue {
		g.queue[i] = make(chan reader.CardRead, queueSize)
	}
	if err := g.loadOutages(); err != nil {
		return nil, err
	}
	return g, nil
}

// Result is what became of one card read.
type Result struct {
	Signal  attendance.Signal
	Known   bool // the card belongs to a student
	Repeat  bool // the tap before it was stored and represents it
	Tap     attendance.Tap
	Way     attendance.Direction // in or out, as decided now
	Day     attendance.DayStatus
	Waited  bool          // amber was shown first
	Took    time.Duration // from the card read to the signal
	Entries []ledger.Entry
}
