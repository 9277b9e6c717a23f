package retention

import (
	"context"
	"fmt"
	"slices"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/vault"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// Gaps keeps what cameras missed until it can be entered: a time whose beginning or end has no place in UTC yet waits
// as a durable row, and a failed disk is given time to take what it has. A gap is entered once.
type Gaps struct{ o GapsOptions }

// GapsOptions is what the gaps need from outside.
type GapsOptions struct {
	Store   *ledgerdb.Store
	Vault   *vault.Vault
	Clock   clock.Clock
	Anchors func() clock.Anchors
}

// NewGaps starts nothing.
func NewGaps(o GapsOptions) *Gaps { return &Gaps{o} }

// noted is how far the gaps of a camera have been noted.
type noted struct {
	footage.Instant        // the end of the last one
	N               uint64 `json:"n"` // of its row
}

var (
	gapsNoted   = ledgerdb.NewTable[noted]("gaps_noted")            // by camera
	gapsWaiting = ledgerdb.NewTable[footage.Missed]("gaps_waiting") // key <camera>/<n>
)

func gapKey(camera string, n uint64) string { return fmt.Sprintf("%s/%020d", camera, n) }

// Note puts down what a camera missed. When it goes on where the last one that waits has ended, the two are one.
func (g *Gaps) Note(ctx context.Context, m footage.Missed) error {
	if m.From.Boot == m.To.Boot && m.To.Mono <= m.From.Mono {
		return nil
	}
	var last noted
	var waits footage.Missed
	var found bool
	err := g.o.Store.View(func(tx ledgerdb.Tx) (err error) {
		if last, _, _, err = gapsNoted.Get(tx, m.Camera); err != nil {
			return err
		}
		waits, _, found, err = gapsWaiting.Get(tx, gapKey(m.Camera, last.N))
		return err
	})
	if err != nil {
		return fmt.Errorf("read what was noted of %s: %w", m.Camera, err)
	}
	if found && waits.Goes(m) {
		m.From = waits.From
	} else {
		last.N++
	}
	if last.Boot != m.To.Boot || last.Mono < m.To.Mono {
		last.Instant = m.To
	}
	_, err = g.o.Store.Commit(ctx, ledgerdb.Change{Puts: []ledgerdb.Put{gapsNoted.Put(m.Camera, last), gapsWaiting.Put(gapKey(m.Camera, last.N), m)}})
	if err != nil {
		return fmt.Errorf("note what %s missed: %w", m.Camera, err)
	}
	return nil
}

// NotedUntil is the end of the last gap that was noted of a camera.
func (g *Gaps) NotedUntil(camera string) (at footage.Instant, ok bool, err error) {
	err = g.o.Store.View(func(tx ledgerdb.Tx) error {
		var n noted
		n, _, ok, err = gapsNoted.Get(tx, camera)
		at = n.Instant
		return err
	})
	if err != nil {
		return at, false, fmt.Errorf("read how far the gaps of %s are noted: %w", camera, err)
	}
	return at, ok, nil
}

const (
	// gapsAtOnce is how many of the times that wait go into one Change.
	gapsAtOnce = 256
	// gapsJoined is how many of them become one at once; the next settling joins on.
	gapsJoined = 1024
	// salvageWait is how long a gap waits for a failed disk to give what it holds of an abandoned segment.
	salvageWait = time.Hour
	// shortestGap is the rounding of frame times.
	shortestGap = 50 * time.Millisecond
)

// Settle enters what has a place in UTC by now. It does nothing while the running boot has none.
func (g *Gaps) Settle(ctx context.Context) error {
	now, anchors := g.o.Clock.Now(), g.o.Anchors()
	select {
	case <-g.o.Vault.Recovered():
	default:
		return nil // footage of an earlier run may still get its row
	}
	if !anchors.Has(now.Boot) {
		return nil
	}
	type row struct {
		keys  []string
		times []footage.Missed
	}
	var list []*row
	err := g.o.Store.View(func(tx ledgerdb.Tx) error {
		for key, m := range gapsWaiting.All(tx) {
			if n := len(list); n == 0 || list[n-1].times[0].Camera != m.Camera {
				list = append(list, &row{})
			}
			last := list[len(list)-1]
			last.keys, last.times = append(last.keys, key), append(last.times, m)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the gaps that wait: %w", err)
	}
	var parts []*row // so that what becomes one, of however many boots nobody can place, fits a Change
	for _, r := range list {
		for i := 0; i < len(r.keys); i += gapsJoined {
			end := min(i+gapsJoined, len(r.keys))
			parts = append(parts, &row{r.keys[i:end], r.times[i:end]})
		}
	}
	for _, r := range parts {
		var c ledgerdb.Change
		i := 0
		for _, s := range footage.Settle(r.times, anchors, now.Boot) {
			keys := r.keys[i : i+s.Parts]
			i += s.Parts
			switch {
			case s.Placed && g.salvaging(s.Missed, now):
			case s.Placed:
				entries, err := g.entries(s.Missed, anchors)
				if err != nil {
					return err
				}
				c.Entries = append(c.Entries, entries...)
				for _, k := range keys {
					c.Deletes = append(c.Deletes, gapsWaiting.Delete(k))
				}
			case s.Parts > 1:
				for _, k := range keys[1:] {
					c.Deletes = append(c.Deletes, gapsWaiting.Delete(k))
				}
				c.Puts = append(c.Puts, gapsWaiting.Put(keys[0], s.Missed))
			}
			if len(c.Entries)+len(c.Deletes) >= gapsAtOnce {
				if err := g.commit(ctx, c); err != nil {
					return err
				}
				c = ledgerdb.Change{}
			}
		}
		if err := g.commit(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func (g *Gaps) commit(ctx context.Context, c ledgerdb.Change) error {
	if len(c.Entries)+len(c.Deletes)+len(c.Puts) == 0 {
		return nil
	}
	if _, err := g.o.Store.Commit(ctx, c); err != nil {
		return fmt.Errorf("enter what was missed: %w", err)
	}
	return nil
}

// salvaging says whether a part of the time may still turn up: its segment was abandoned, and the disk has not given
// yet what it holds of it.
func (g *Gaps) salvaging(m footage.Missed, now clock.Reading) bool {
	return m.Cause == footage.CauseDisk && m.To.Boot == now.Boot && now.Mono-m.To.Mono < salvageWait && g.o.Vault.Abandoned(m.Camera) > 0
}

// entries are those about a time that was missed, without what the index has of it after all.
func (g *Gaps) entries(m footage.Missed, anchors clock.Anchors) (out []ledger.Draft, err error) {
	holes, err := g.holes(m)
	if err != nil {
		return nil, err
	}
	for _, h := range holes {
		if s, ok := h.Place(anchors); ok {
			out = append(out, draft("footage.gap", h.Camera, map[string]any{"from": s.From, "to": s.To, "cause": string(h.Cause),
				"from_boot": h.From.Boot, "from_mono": int64(h.From.Mono), "to_boot": h.To.Boot, "to_mono": int64(h.To.Mono)}))
		}
	}
	return out, nil
}

// holes cuts footage that has a row out of a time within one boot.
func (g *Gaps) holes(m footage.Missed) (out []footage.Missed, err error) {
	if m.From.Boot != m.To.Boot {
		return []footage.Missed{m}, nil
	}
	var rows []footage.Segment
	err = g.o.Vault.RowsFrom(m.Camera, m.From.Boot, max(0, m.From.Mono-2*footage.MaxSegment), func(s footage.Segment) bool {
		if s.Boot != m.From.Boot || s.From >= m.To.Mono {
			return false
		}
		if s.To > m.From.Mono {
			rows = append(rows, s)
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("look for footage in a gap of %s: %w", m.Camera, err)
	}
	slices.SortFunc(rows, func(a, b footage.Segment) int { return int(a.From - b.From) })
	at := m.From.Mono
	hole := func(to time.Duration) {
		if to-at >= shortestGap {
			h := m
			h.From.Mono, h.To.Mono = at, to
			out = append(out, h)
		}
	}
	for _, s := range rows {
		hole(s.From)
		at = max(at, s.To)
	}
	hole(m.To.Mono)
	return out, nil
}
