package gate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/reader"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
)

// Tables of network terminals.
var (
	terminals = ledgerdb.NewTable[reader.Terminal]("gate_terminals")
	// Which marks were taken; key: date that the terminal says, reader, hash. The value is when, in Unix seconds.
	takenMarks = ledgerdb.NewTable[int64]("gate_marks")
)

// ErrClock says that marks of terminals cannot be placed, because the clock is not trusted. The terminal keeps them.
var ErrClock = errors.New("the clock is not trusted: marks of network terminals wait")

// errTaken ends a change about a mark that is taken already.
var errTaken = errors.New("the mark is taken already")

const (
	// marksAtOnce is how many marks wait for the store at once.
	marksAtOnce = 64
	// awayAround is how much longer than an outage a terminal may be late: until it is noticed, until it has tried again.
	awayAround = 90 * time.Second
	// Taken marks are remembered for longer than a mark is believed, and those of a clock without power for a year.
	keepTaken      = attendance.MaxMarkAge + 9*24*time.Hour
	keepImpossible = 400 * 24 * time.Hour
	forgetAtOnce   = 2000
)

// oneDelivery waits until no other delivery of a terminal is at work; what it returns ends this one.
func (g *Gate) oneDelivery(id string) (end func()) {
	m, _ := g.deliveries.LoadOrStore(id, &sync.Mutex{})
	mu := m.(*sync.Mutex)
	mu.Lock()
	return mu.Unlock
}

func terminalKey(id, serial string) string { return id + "/" + serial }

// Terminal is what is kept of a network terminal; it is first heard now when nothing is.
func (g *Gate) Terminal(ctx context.Context, id, serial string) (reader.Terminal, error) {
	key := terminalKey(id, serial)
	t, known, err := g.terminal(key)
	if err != nil || known {
		return t, err
	}
	now := g.o.Clock.Now()
	if now.State != clock.Trusted {
		return t, nil // first heard when that has a time
	}
	t.Clock.First = now.Wall.UTC().Truncate(time.Second)
	return t, g.putTerminal(ctx, key, t)
}

func (g *Gate) terminal(key string) (t reader.Terminal, known bool, err error) {
	err = g.o.Store.View(func(tx ledgerdb.Tx) error {
		t, _, known, err = terminals.Get(tx, key)
		return err
	})
	if err != nil {
		return t, known, fmt.Errorf("read what is known of terminal %s: %w", key, err)
	}
	return t, known, nil
}

func (g *Gate) putTerminal(ctx context.Context, key string, t reader.Terminal) error {
	if _, err := g.o.Store.Commit(ctx, ledgerdb.Change{Puts: []ledgerdb.Put{terminals.Put(key, t)}}); err != nil {
		return fmt.Errorf("note what is known of terminal %s: %w", key, err)
	}
	return nil
}

// TerminalLeft forgets how far a terminal has told that left service: what it was used for meanwhile is its history when
// it comes back.
func (g *Gate) TerminalLeft(ctx context.Context, id, serial string) error {
	defer g.oneDelivery(id)()
	key := terminalKey(id, serial)
	_, known, err := g.terminal(key)
	if err != nil || !known {
		return err
	}
	if _, err := g.o.Store.Commit(ctx, ledgerdb.Change{Deletes: []ledgerdb.Delete{terminals.Delete(key)}}); err != nil {
		return fmt.Errorf("forget how far terminal %s has told: %w", key, err)
	}
	return nil
}

// PutStamp keeps where a terminal goes on telling.
func (g *Gate) PutStamp(ctx context.Context, id, serial, stamp string) error {
	defer g.oneDelivery(id)()
	key := terminalKey(id, serial)
	t, _, err := g.terminal(key)
	if err != nil || t.Stamp == stamp {
		return err
	}
	t.Stamp = stamp
	return g.putTerminal(ctx, key, t)
}

// PutClock notes how far the clock of a terminal is off that can be asked for it.
func (g *Gate) PutClock(ctx context.Context, id, serial string, off time.Duration) (attendance.TerminalState, error) {
	defer g.oneDelivery(id)()
	key := terminalKey(id, serial)
	t, _, err := g.terminal(key)
	if err != nil {
		return "", err
	}
	was := t.Clock
	t.Clock.Off, t.Clock.State = off.Truncate(time.Second), attendance.ClockRight
	if off.Abs() > attendance.TerminalTolerance {
		t.Clock.State = attendance.ClockWrong
	}
	if t.Clock.State == was.State && (was.Off-t.Clock.Off).Abs() < 10*time.Second {
		return was.State, nil
	}
	return t.Clock.State, g.putTerminal(ctx, key, t)
}

// Report enters what is wrong with marks of a terminal.
func (g *Gate) Report(ctx context.Context, id, reason string, count int, from, to int64) error {
	data := map[string]any{"reason": reason, "count": count}
	if from != 0 || to != 0 {
		data["from"], data["to"] = from, to
	}
	_, err := g.o.Store.Commit(ctx, ledgerdb.Change{Entries: []ledger.Draft{{
		Actor: ledger.System, From: &ledger.From{Device: id}, Via: ledger.ViaGate, Kind: "reader.marks", Subject: id, Data: data}}})
	if err != nil {
		return fmt.Errorf("enter what is wrong with marks of reader %s: %w", id, err)
	}
	return nil
}

// placedMark is a mark with its place.
type placedMark struct {
	read reader.CardRead
	hash []byte // of the card
	key  string // of the row that says that it is taken
	attendance.Placed
}

// TakeMarks makes marks of a network terminal durable, each once, whenever and however often they come. The marks of
// one card stay in order. After an error none must be acknowledged: those that are stored are repeats when they come again.
func (g *Gate) TakeMarks(ctx context.Context, id, serial string, reads []reader.CardRead) (reader.Taken, error) {
	defer g.oneDelivery(id)()
	now := g.o.Clock.Now()
	if now.State != clock.Trusted {
		return reader.Taken{}, ErrClock
	}
	t, _, err := g.terminal(terminalKey(id, serial))
	if err != nil {
		return reader.Taken{}, err
	}
	was := t.Clock
	out, marks, err := g.placeMarks(id, reads, now, &t.Clock)
	if err == nil {
		err = g.storeMarks(ctx, marks, now, &out)
	}
	g.trackStore(err, g.o.Clock.Now())
	if err == nil && out.Old > 0 {
		err = g.Report(ctx, id, reader.MarksOld, out.Old, 0, 0)
	}
	if err == nil && t.Clock.State != was.State {
		err = g.putTerminal(ctx, terminalKey(id, serial), t)
	}
	out.Clock = t.Clock
	return out, err
}

// placeMarks finds the place of each mark that is not taken yet.
func (g *Gate) placeMarks(id string, reads []reader.CardRead, now clock.Reading, c *attendance.TerminalClock) (out reader.Taken, marks []placedMark, err error) {
	loc, err := g.o.Site.Calendar().Location()
	if err != nil {
		return out, nil, err
	}
	seen := map[string]bool{}
	err = g.o.Store.View(func(tx ledgerdb.Tx) error {
		for _, r := range reads {
			m := placedMark{read: r, hash: r.Card().Hash(g.o.CardKey)}
			m.key = markKey(id, r.Mark, m.hash, loc)
			_, _, taken, err := takenMarks.Get(tx, m.key)
			if err != nil {
				return err
			}
			if taken || seen[m.key] {
				out.Repeats++
				continue
			}
			seen[m.key] = true
			away := func(at time.Time) bool { return r.Mark.Held || g.couldNotDeliver(id, at, now) }
			m.Placed, *c = attendance.PlaceMark(r.Mark.Said, wallAt(r.At, now), *c, away)
			if m.Old {
				out.Old++
				continue
			}
			marks = append(marks, m)
		}
		return nil
	})
	if err != nil {
		return out, nil, fmt.Errorf("look which marks of reader %s are taken: %w", id, err)
	}
	return out, marks, nil
}

// markKey names a mark for ever; nobody finds the card in it without the site key.
func markKey(id string, m *reader.Mark, hash []byte, loc *time.Location) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%s\x00%s\x00%x", id, m.Key, m.Said.UTC().Format(time.RFC3339), hash)
	return m.Said.In(loc).Format("20060102") + "/" + id + "/" + hex.EncodeToString(h.Sum(nil)[:12])
}

// couldNotDeliver says that a terminal was out of reach, or the appliance took nothing, at an instant.
func (g *Gate) couldNotDeliver(id string, at time.Time, now clock.Reading) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	covers := func(o Outage) bool {
		return !at.Before(o.From.Add(-awayAround)) && (o.To.IsZero() || !at.After(o.To.Add(awayAround)))
	}
	for _, o := range g.outages {
		ours := o.Reader == "" || o.Reader == id && o.Reason != reader.ReasonClock && o.Reason != reader.ReasonUnproven
		if ours && covers(o) {
			return true
		}
	}
	if o, some := g.sinceLastRun(now); some && covers(o) {
		return true
	}
	return g.down != nil && covers(*g.down)
}

// storeMarks commits marks side by side, those of one card in their order.
func (g *Gate) storeMarks(ctx context.Context, marks []placedMark, now clock.Reading, out *reader.Taken) error {
	byCard := map[string][]placedMark{}
	var order []string
	for _, m := range marks {
		k := string(m.hash)
		if byCard[k] == nil {
			order = append(order, k)
		}
		byCard[k] = append(byCard[k], m)
	}
	var mu sync.Mutex
	var eg errgroup.Group
	eg.SetLimit(marksAtOnce)
	for _, k := range order {
		eg.Go(func() error {
			for _, m := range byCard[k] {
				res, err := g.storeMark(ctx, m, now)
				if err != nil && !errors.Is(err, errTaken) {
					return fmt.Errorf("record a mark of reader %s: %w", m.read.Reader, err)
				}
				mu.Lock()
				switch {
				case err != nil:
					out.Repeats++
				default:
					out.Taken++
					if m.Unsure {
						out.Unsure++
					}
					if m.Live {
						out.Fresh = append(out.Fresh, m.read)
					}
				}
				mu.Unlock()
				if err == nil {
					g.publishMark(m, res, now)
				}
			}
			return nil
		})
	}
	return eg.Wait()
}

// storeMark commits one mark with the note that it is taken.
func (g *Gate) storeMark(ctx context.Context, m placedMark, now clock.Reading) (Result, error) {
	note := func() (ledgerdb.Change, error) {
		err := g.o.Store.View(func(tx ledgerdb.Tx) error {
			_, _, taken, err := takenMarks.Get(tx, m.key)
			if err == nil && taken {
				err = errTaken
			}
			return err
		})
		return ledgerdb.Change{Puts: []ledgerdb.Put{takenMarks.PutRev(m.key, now.Wall.Unix(), 0)}}, err
	}
	id := m.read.Reader
	student, class, known := g.o.Students.ByCard(m.hash)
	if !known && m.read.Mark.Also != nil {
		if hash := m.read.Mark.Also.Hash(g.o.CardKey); hash != nil {
			if student, class, known = g.o.Students.ByCard(hash); known {
				m.hash = hash
			}
		}
	}
	if !known {
		ch, err := note()
		if err != nil {
			return Result{}, err
		}
		res, err := g.recordUnknown(ctx, m.read, m.hash, m.At, ch)
		if errors.Is(err, ledgerdb.ErrConflict) {
			err = errTaken
		}
		res.Signal = attendance.SignalUnknown
		return res, err
	}
	tap := attendance.Tap{
		ID: id + "-" + m.key[strings.LastIndexByte(m.key, '/')+1:], Student: student, Class: class, Reader: id, Direction: g.direction(id),
		At: m.At.UTC().Truncate(time.Millisecond), Card: m.hash, Boot: now.Boot, Mono: int64(m.read.At), Said: m.read.Mark.Said.UTC(), Unsure: m.Unsure,
	}
	res, err := g.recordTap(ctx, tap, now, note)
	res.Signal, res.Known = attendance.SignalOK, true
	return res, err
}

// publishMark shows a mark of today on the board.
func (g *Gate) publishMark(m placedMark, res Result, now clock.Reading) {
	cal := g.o.Site.Calendar()
	at, err := cal.Date(m.At)
	today, e := cal.Date(now.Wall)
	if err == nil && e == nil && at == today {
		g.publishAt(m.read, res, m.At)
	}
}

// forgetMarks removes the notes about marks that are older than any that is believed, some at a time.
func (g *Gate) forgetMarks(ctx context.Context) error {
	now := g.o.Clock.Now()
	if now.State != clock.Trusted {
		return nil
	}
	before := now.Wall.Add(-keepTaken).Format("20060102")
	var ch ledgerdb.Change
	err := g.o.Store.View(func(tx ledgerdb.Tx) error {
		for key, at := range takenMarks.All(tx) {
			if key[:min(len(key), 8)] >= before || len(ch.Deletes) == forgetAtOnce {
				break
			}
			if key >= "2024" || now.Wall.Sub(time.Unix(at, 0)) > keepImpossible {
				ch.Deletes = append(ch.Deletes, takenMarks.Delete(key))
			}
		}
		return nil
	})
	if err != nil || len(ch.Deletes) == 0 {
		return err
	}
	if _, err := g.o.Store.Commit(ctx, ch); err != nil {
		return fmt.Errorf("forget the marks of terminals that are too old to come again: %w", err)
	}
	return nil
}

var _ reader.Marks = (*Gate)(nil)
