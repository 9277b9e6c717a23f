package ledgerdb

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"campuskeep/shared/ledger"
)

// ErrRateLimited: a device has caused more entries of this kind than an hour may have (ledger.Limits), and the rows of
// the Change cannot be written without its entry. The caller keeps what is true and writes it later.
var ErrRateLimited = errors.New("ledgerdb: too many entries of this kind about one device within an hour")

// Times of the pace.
const (
	limitWindow = time.Hour
	limitCalm   = 5 * time.Minute  // nothing more was held back for so long: tell what was
	limitCheck  = 30 * time.Second // how often it is looked for what is to be reported
	limitMost   = 32               // variants kept of one kind and device
)

// rateLimiter bounds the entries that devices cause (ledger.Limits). Every Change passes it.
type rateLimiter struct {
	mu      sync.Mutex
	devices map[limitKey]*limitState // guarded by mu; entries older than their window are dropped when it is looked
	look    chan struct{}
	armed   bool // guarded by mu: a look is on its way
}

// limitKey is one device in the entries of one kind.
type limitKey struct {
	kind   ledger.Kind
	device string
}

type limitState struct {
	began  time.Duration // of the window, by the clock's monotonic side
	boot   string
	used   int
	latest time.Duration // when something was held back last
	// The rest is what was held back and not reported yet.
	count    int
	from, to time.Time
	subject  string
	newest   map[string]heldDraft
}

type heldDraft struct {
	ledger.Draft
	order uint64
	count int
}

// deviceOf is whom an entry is about, as far as limits go: the device that it came from, else its subject.
func deviceOf(d ledger.Draft) string {
	if d.Via == ledger.ViaGate && d.From != nil && d.From.Device != "" {
		return d.From.Device
	}
	return d.Subject
}

// admitted is what the pace has let through, so that it can be given back when nothing was written.
type admitted []*limitState

// admit takes the entries that are too many out of a Change and keeps them. It gives ErrRateLimited when the Change
// cannot be without them.
func (s *Store) admit(c Change) (Change, admitted, error) {
	if !slices.ContainsFunc(c.Entries, func(d ledger.Draft) bool { _, some := ledger.Limits[d.Kind]; return some }) {
		return c, nil, nil
	}
	now := s.o.Clock.Now()
	p := &s.limiter
	p.mu.Lock()
	defer p.mu.Unlock()
	var in admitted
	var over []int
	whole := false
	for i, d := range c.Entries {
		limit, some := ledger.Limits[d.Kind]
		if !some {
			continue
		}
		w := p.of(limitKey{d.Kind, deviceOf(d)}, now.Boot, now.Mono)
		if w.used < limit.PerHour {
			w.used++
			in = append(in, w)
			continue
		}
		over, whole = append(over, i), whole || limit.Whole
	}
	if len(over) == 0 {
		return c, in, nil
	}
	if whole || len(over) == len(c.Entries) && bindsRows(c) {
		// The caller says it again; counting each try would count one thing many times.
		in.undo()
		d := c.Entries[over[0]]
		return c, nil, fmt.Errorf("%w: %s about %s", ErrRateLimited, d.Kind, deviceOf(d))
	}
	for _, i := range over {
		p.holdBack(c.Entries[i], now.Mono, now.Wall.UTC())
	}
	p.arm()
	kept := make([]ledger.Draft, 0, len(c.Entries)-len(over))
	for i, d := range c.Entries {
		if !slices.Contains(over, i) {
			kept = append(kept, d)
		}
	}
	c.Entries = kept
	return c, in, nil
}

func bindsRows(c Change) bool {
	bound := func(table string) bool { t, err := tableByName(table); return err == nil && t.Replayable }
	return slices.ContainsFunc(c.Puts, func(p Put) bool { return bound(p.Table) }) || slices.ContainsFunc(c.Deletes, func(d Delete) bool { return bound(d.Table) })
}

// undo gives up what was admitted: nothing of the Change was written.
func (p *rateLimiter) undo(in admitted) {
	if len(in) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	in.undo()
}

func (in admitted) undo() {
	for _, w := range in {
		w.used--
	}
}

// of finds the window of a device; an old one begins again with what is still held. Call with mu held.
func (p *rateLimiter) of(k limitKey, boot string, mono time.Duration) *limitState {
	w := p.devices[k]
	switch {
	case w == nil:
		w = &limitState{began: mono, boot: boot, newest: map[string]heldDraft{}}
		if p.devices == nil {
			p.devices = map[limitKey]*limitState{}
		}
		p.devices[k] = w
	case w.boot != boot || mono-w.began >= limitWindow:
		w.began, w.boot, w.used = mono, boot, 0
	}
	return w
}

// holdBack keeps an entry that is one too many. Call with mu held.
func (p *rateLimiter) holdBack(d ledger.Draft, mono time.Duration, at time.Time) {
	limit, w := ledger.Limits[d.Kind], p.devices[limitKey{d.Kind, deviceOf(d)}]
	if w.count == 0 {
		w.from = at
	}
	w.count++
	w.to, w.latest, w.subject = at, mono, d.Subject
	data := map[string]json.RawMessage{}
	if raw, err := json.Marshal(d.Data); err == nil && limit.Variant != "" {
		if json.Unmarshal(raw, &data) != nil {
			data = nil
		}
	}
	variant := string(data[limit.Variant])
	old, again := w.newest[variant]
	if !again && len(w.newest) >= limitMost {
		return
	}
	h := heldDraft{Draft: d, order: uint64(w.count), count: old.count + 1}
	if again && limit.Join && data != nil {
		h.Data = joined(old.Data, data, h.count)
	}
	w.newest[variant] = h
}

// joined is one entry for several: what begins with "from" is of the first, all else of the last.
func joined(first any, last map[string]json.RawMessage, count int) any {
	raw, err := json.Marshal(first)
	data := map[string]json.RawMessage{}
	if err != nil || json.Unmarshal(raw, &data) != nil {
		return last
	}
	out := maps.Clone(last)
	maps.DeleteFunc(out, func(k string, _ json.RawMessage) bool { return strings.HasPrefix(k, "from") })
	for k, v := range data {
		if strings.HasPrefix(k, "from") {
			out[k] = v
		}
	}
	out["count"] = json.RawMessage(fmt.Sprint(count))
	return out
}

// arm sees to it that the committer looks for what is to be reported. Call with mu held.
func (p *rateLimiter) arm() {
	if p.armed {
		return
	}
	p.armed = true
	time.AfterFunc(limitCheck, func() {
		select {
		case p.look <- struct{}{}:
		default:
		}
	})
}

// due takes out what is to be reported now, all of it when the store ends: the newest of what was held back, and
// how many there were.
func (p *rateLimiter) due(boot string, mono time.Duration, all bool) (out []ledger.Draft) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = false
	held := false
	keys := slices.SortedFunc(maps.Keys(p.devices), func(a, b limitKey) int {
		return cmp.Or(cmp.Compare(a.device, b.device), cmp.Compare(a.kind, b.kind))
	})
	for _, k := range keys {
		w := p.devices[k]
		over := w.boot != boot || mono-w.began >= limitWindow
		switch {
		case w.count == 0 && over:
			delete(p.devices, k)
		case w.count == 0:
		case all || over || mono-w.latest >= limitCalm:
			out = append(out, w.drain(k.kind)...)
		default:
			held = true
		}
	}
	if held && !all {
		p.arm()
	}
	return out
}

// drain returns what was held back; nothing is held afterwards.
func (w *limitState) drain(kind ledger.Kind) (out []ledger.Draft) {
	newest := slices.SortedFunc(maps.Values(w.newest), func(a, b heldDraft) int { return cmp.Compare(a.order, b.order) })
	missing := w.count
	for _, h := range newest {
		out = append(out, h.Draft)
		if ledger.Limits[kind].Join {
			missing -= h.count
		} else {
			missing--
		}
	}
	if missing > 0 {
		out = append(out, ledger.Draft{Actor: ledger.System, Via: ledger.ViaSystem, Kind: "log.held", Subject: w.subject, Data: map[string]any{
			"kind": string(kind), "count": missing, "from": w.from, "to": w.to}})
	}
	w.count, w.newest = 0, map[string]heldDraft{}
	return out
}

// commitHeld enters what the limiter has held back and is due. It is the committer's own: it must not wait for
// itself.
func (s *Store) commitHeld(all bool) error {
	now := s.o.Clock.Now()
	for part := range slices.Chunk(s.limiter.due(now.Boot, now.Mono, all), 64) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		r, err := s.prepare(ctx, Change{Entries: part})
		cancel()
		if err != nil {
			s.o.Log.Error("entries that were held back cannot be entered", "entries", len(part), "err", err)
			continue
		}
		if err := s.commit([]*request{r}); err != nil {
			return err
		}
		if r.err != nil {
			s.o.Log.Error("entries that were held back are not entered", "entries", len(part), "err", r.err)
		}
	}
	return nil
}
