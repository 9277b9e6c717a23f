package gate

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/reader"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
)

// Tap takes one card read to its end: committed and beeped, or failed with a long tone. The error says why
// it failed; the person at the gate has had the signal by then.
//
// Every tap that beeped is one stored record. The same card at the same reader within 5 s of a stored tap
// beeps again and is not recorded again; after a failed one it is a new tap.
func (g *Gate) Tap(ctx context.Context, read reader.CardRead) (Result, error) {
	now := g.o.Clock.Now()
	a := g.announce(read.Reader, now.Mono-read.At)
	ctx, cancel := context.WithTimeout(ctx, giveUpAfter)
	defer cancel()

	res, err := g.record(ctx, read, now)
	if err != nil {
		res.Signal = attendance.SignalFail
	}
	res.Waited = a.done(res.Signal)
	end := g.o.Clock.Now()
	res.Took = end.Mono - read.At
	g.trackStore(err, end)
	g.publish(read, res, end)
	if err != nil {
		return res, fmt.Errorf("record a tap at reader %s: %w", read.Reader, err)
	}
	return res, nil
}

// record makes the read durable and says which signal it has earned.
func (g *Gate) record(ctx context.Context, read reader.CardRead, now clock.Reading) (Result, error) {
	hash := read.Card().Hash(g.o.CardKey)
	key := read.Reader + "/" + hex.EncodeToString(hash)
	if s, ok := g.repeated(key, read, now); ok {
		return Result{Signal: signalFor(s.known), Known: s.known, Repeat: true,
			Tap: attendance.Tap{Student: s.student, Class: s.class, Reader: read.Reader, At: instant(read, now)}}, nil
	}
	var res Result
	var err error
	student, class, known := g.o.Students.ByCard(hash)
	if known {
		res, err = g.recordTap(ctx, g.tapOf(read, now, hash, student, class), now, nil)
	} else {
		res, err = g.recordUnknown(ctx, read, hash, instant(read, now), ledgerdb.Change{})
	}
	if err != nil {
		return res, err
	}
	res.Signal, res.Known = signalFor(known), known
	g.mu.Lock()
	g.stored[key] = stored{at: read.At, boot: now.Boot, known: known, student: student, class: class}
	g.mu.Unlock()
	return res, nil
}

func signalFor(known bool) attendance.Signal {
	if known {
		return attendance.SignalOK
	}
	return attendance.SignalUnknown
}

// repeated finds the stored tap that this read repeats, and forgets those that are too old to be repeated.
func (g *Gate) repeated(key string, read reader.CardRead, now clock.Reading) (stored, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for k, s := range g.stored {
		if s.boot != now.Boot || now.Mono-s.at > 2*repeatWithin {
			delete(g.stored, k)
		}
	}
	s, ok := g.stored[key]
	since := read.At - s.at
	return s, ok && since >= 0 && since < repeatWithin
}

// instant is when the card was read, by the clock as it is known now.
func instant(read reader.CardRead, now clock.Reading) time.Time {
	age := max(0, now.Mono-read.At)
	return now.Wall.Add(-age).UTC().Truncate(time.Millisecond)
}

func (g *Gate) tapOf(read reader.CardRead, now clock.Reading, hash []byte, student, class string) attendance.Tap {
	return attendance.Tap{
		ID:      fmt.Sprintf("%s-%.8s-%x", read.Reader, now.Boot, int64(read.At)),
		Student: student, Class: class, Reader: read.Reader, Direction: g.direction(read.Reader),
		At: instant(read, now), Card: hash, Boot: now.Boot, Mono: int64(read.At), Doubt: now.State != clock.Trusted,
	}
}

// direction of a reader; one that the site does not know serves both ways.
func (g *Gate) direction(id string) attendance.Direction {
	for _, r := range g.o.Site.Readers() {
		if r.ID == id && r.Direction != "" {
			return r.Direction
		}
	}
	return attendance.Auto
}

// recordTap commits a student's tap together with the day as it then is, and what with gives at each try.
func (g *Gate) recordTap(ctx context.Context, tap attendance.Tap, now clock.Reading, with func() (ledgerdb.Change, error)) (Result, error) {
	date, err := g.o.Site.Calendar().Date(tap.At)
	if err != nil {
		return Result{}, err
	}
	puts := []ledgerdb.Put{taps.PutRev(tapKey(date, tap), tap, 0)}
	var last func(attendance.DayStatus) []ledgerdb.Put
	if tap.Doubt {
		last = func(before attendance.DayStatus) []ledgerdb.Put {
			alone := before.V == 0 || g.aloneSoFar(date, tap.Student)
			return []ledgerdb.Put{unsettledTaps.Put(tap.ID, unsettledTap{Key: tapKey(date, tap), Boot: tap.Boot, Alone: alone})}
		}
	}
	res := Result{Tap: tap}
	res.Day, res.Entries, err = g.derive(ctx, date, tap.Student, tap.Class, now, evidenceChange{
		puts: puts, last: last, with: with,
		add: func(ev *attendance.Evidence) { ev.Taps = append(ev.Taps, tap) },
		entry: func(ev attendance.Evidence, day attendance.DayStatus) ledger.Draft {
			res.Way = wayOf(tap, ev)
			return tapEntry(tap, res.Way, day)
		},
	})
	return res, err
}

// aloneSoFar says that a day was made by taps of a clock in doubt only: the first of them found none.
func (g *Gate) aloneSoFar(date, student string) bool {
	alone := false
	err := g.o.Store.View(func(tx ledgerdb.Tx) error {
		for _, d := range unsettledTaps.All(tx) {
			alone = alone || d.Alone && strings.HasPrefix(d.Key, date+"/"+student+"/")
		}
		return nil
	})
	return err == nil && alone // else the day is kept and decided again, which is never wrong
}

// wayOf is the way of one tap among those of its day.
func wayOf(tap attendance.Tap, ev attendance.Evidence) attendance.Direction {
	for _, m := range attendance.Resolve(ev.Day, ev.Hours, ev.Taps) {
		if m.ID == tap.ID {
			return m.Way
		}
	}
	return tap.Direction
}

func tapKey(date string, t attendance.Tap) string { return date + "/" + t.Student + "/" + t.ID }

type tapData struct {
	Reader    string   `json:"reader"`
	Card      []byte   `json:"card"`
	Student   string   `json:"student"`
	Class     string   `json:"class"`
	Direction string   `json:"direction"`
	Outcome   string   `json:"outcome"`
	Reasons   []string `json:"reasons,omitempty"`
	LateMin   int      `json:"late_min,omitempty"`
	ReadMono  int64    `json:"read_mono"`
	Date      string   `json:"date"`
	// Of a mark of a network terminal: what it said of the time, and whether that is believed.
	Said   time.Time `json:"said,omitzero"`
	Unsure bool      `json:"unsure,omitempty"`
}

func tapEntry(tap attendance.Tap, way attendance.Direction, day attendance.DayStatus) ledger.Draft {
	return ledger.Draft{
		Actor: ledger.Actor{ID: tap.Reader}, From: &ledger.From{Device: tap.Reader}, Via: ledger.ViaGate,
		Kind: "attendance.tap", Subject: tap.Student,
		Data: tapData{Reader: tap.Reader, Card: tap.Card, Student: tap.Student, Class: tap.Class, Direction: string(way),
			Outcome: string(day.Outcome), Reasons: day.ReasonCodes(), LateMin: day.LateIn, ReadMono: tap.Mono, Date: day.Date, Said: tap.Said, Unsure: tap.Unsure},
	}
}

// recordUnknown enters that a card was read that belongs to nobody, with what is to be committed beside.
func (g *Gate) recordUnknown(ctx context.Context, read reader.CardRead, hash []byte, at time.Time, with ledgerdb.Change) (Result, error) {
	date, err := g.o.Site.Calendar().Date(at)
	if err != nil {
		return Result{}, err
	}
	with.Entries = append(with.Entries, ledger.Draft{
		Actor: ledger.Actor{ID: read.Reader}, From: &ledger.From{Device: read.Reader}, Via: ledger.ViaGate,
		Kind: "attendance.unknown", Subject: read.Reader,
		Data: struct {
			Reader string `json:"reader"`
			Card   []byte `json:"card"`
			Date   string `json:"date"`
		}{read.Reader, hash, date},
	})
	r, err := g.o.Store.Commit(ctx, with)
	return Result{Entries: r.Entries}, err
}
