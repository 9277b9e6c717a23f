package retention

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/packet"
)

// Month reports how one camera's footage was kept in a month, label 2006-01.
func (p *Certificates) Month(ctx context.Context, camera, label string) (footage.MonthReport, error) {
	list, err := p.Months(ctx, []string{camera}, label)
	if err != nil {
		return footage.MonthReport{}, err
	}
	return list[0], nil
}

// InService says which of the cameras were in service at any time of a month. What was retired since stays in its report.
func (p *Certificates) InService(ctx context.Context, label string) (ids []string, err error) {
	span, err := p.month(label)
	if err != nil {
		return nil, ErrNoDay
	}
	for _, c := range p.o.Cameras() {
		if c.Retired {
			_, entries, err := p.registers(ctx, c.ID)
			if err != nil {
				return nil, err
			}
			if until := serviceUntil(entries, span.To); !until.IsZero() && !until.After(span.From) {
				continue
			}
		}
		ids = append(ids, c.ID)
	}
	return ids, nil
}

// serviceUntil is when a camera was retired, as its entries in the register have it before an instant; zero: it was in
// service then. The entries are oldest first.
func serviceUntil(entries []ledger.Entry, before time.Time) (at time.Time) {
	for _, e := range entries {
		var d struct{ What []string }
		if !e.At.Before(before) || e.Kind != "camera.changed" || json.Unmarshal(e.Data, &d) != nil || !slices.Contains(d.What, "retired") {
			continue
		}
		if at.IsZero() {
			at = e.At
		} else {
			at = time.Time{}
		}
	}
	return at
}

// Months reports on several cameras, in their order. The processors share them.
func (p *Certificates) Months(ctx context.Context, cameras []string, label string) ([]footage.MonthReport, error) {
	span, err := p.month(label)
	if err != nil {
		return nil, ErrNoDay
	}
	for _, id := range cameras {
		if _, ok := p.camera(id); !ok {
			return nil, ErrNoDay
		}
	}
	now := p.o.Clock.Now()
	out := make([]footage.MonthReport, len(cameras))
	share := max(1, (len(cameras)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0))
	faults := make([]error, len(cameras))
	var all sync.WaitGroup
	for from := 0; from < len(cameras); from += share {
		to := min(from+share, len(cameras))
		all.Go(func() { faults[from] = p.monthsOf(ctx, cameras[from:to], label, span, now, out[from:to]) })
	}
	all.Wait()
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return out, nil
}

// monthsOf reports on some cameras. One pass over the log serves all of them.
func (p *Certificates) monthsOf(ctx context.Context, cameras []string, label string, span footage.Span, now clock.Reading, out []footage.MonthReport) error {
	usual := span.To.Add(p.longest() + longWindow)
	t, err := p.readMonth(ctx, cameras, label, span, usual)
	if err != nil {
		return err
	}
	var open []int // more may have been entered later: after a long time without power, or with days that were lowered since
	for i, id := range cameras {
		if out[i], err = p.sumUp(ctx, id, t, bindDelay, now); err != nil {
			return err
		}
		if r := out[i]; r.Segments < r.Gone+r.Here && now.Wall.After(span.To.Add(bindDelay)) {
			// More is known of than was bound in time: the box was long off, or a lost index was rebuilt. Its
			// entries may be as young as the deletion.
			if out[i], err = p.sumUp(ctx, id, t, p.longest()+longWindow, now); err != nil {
				return err
			}
		}
		if r := out[i]; usual.Before(now.Wall) && (r.Segments != r.Gone+r.Here || r.Faults() > 0) {
			open = append(open, i)
		}
	}
	if len(open) == 0 {
		return nil
	}
	var ids []string
	for _, i := range open {
		ids = append(ids, cameras[i])
	}
	if t, err = p.readMonth(ctx, ids, label, span, time.Time{}); err != nil {
		return err
	}
	for _, i := range open {
		if out[i], err = p.sumUp(ctx, cameras[i], t, now.Wall.Sub(span.To)+longWindow, now); err != nil {
			return err
		}
	}
	return nil
}

// bindDelay is how long after a month its last hour is bound, when the box runs.
const bindDelay = 26 * time.Hour

// monthRecord is what the log says about the retention of some cameras in a month.
type monthRecord struct {
	label   string
	span    footage.Span
	window  packet.Window // the same
	cameras map[string]*cameraRecord
	common  []ledger.Entry // of all cameras: clock, power, holds
}

// cameraRecord is what it says about one camera. Its hours are nearly all of it, and read off the stored bytes.
type cameraRecord struct {
	recorded, deleted []footage.Binding
	entries           []ledger.Entry
}

// readMonth reads the log up to an instant; zero: to its end.
func (p *Certificates) readMonth(ctx context.Context, cameras []string, label string, span footage.Span, until time.Time) (*monthRecord, error) {
	t := &monthRecord{label: label, span: span, window: packet.WindowOf(span), cameras: map[string]*cameraRecord{}}
	for _, id := range cameras {
		t.cameras[id] = &cameraRecord{}
	}
	found := 0
	err := p.o.Store.Each(ctx, ledgerdb.Query{Kinds: monthKinds, About: cameras, From: span.From, To: until}, func(kind ledger.Kind, leaf []byte) error {
		if found++; found > mostFound*len(cameras) {
			return ErrTooLong
		}
		return t.add(kind, leaf)
	})
	if err != nil {
		return nil, fmt.Errorf("read the log about the keeping of footage: %w", err)
	}
	policies, err := p.find(ctx, ledgerdb.Query{Kinds: []ledger.Kind{"camera.registered", "camera.changed"}, About: cameras, To: span.To})
	if err != nil {
		return nil, err
	}
	for _, e := range policies {
		t.addCommon(e)
	}
	common := gathered{}
	holds, err := p.holdEntries(ctx, cameras, footage.Span{From: span.From.Add(-p.longest() - longWindow), To: span.To})
	if err != nil {
		return nil, err
	}
	common.add(holds)
	loose, err := p.gatherStates(ctx, common, span)
	for err == nil && len(loose) > 0 { // what fell due before the month may have gone in it: starts of before it count too
		loose, err = p.gatherSigns(ctx, common, loose)
	}
	if err != nil {
		return nil, err
	}
	t.common = common.sorted()
	for _, c := range t.cameras {
		for _, list := range [][]footage.Binding{c.recorded, c.deleted} {
			slices.SortFunc(list, func(a, b footage.Binding) int { return cmp.Or(a.Hour.Compare(b.Hour), cmp.Compare(a.Seq, b.Seq)) })
		}
	}
	return t, nil
}

// monthKinds are the entries about the cameras in a month, and of their month until all of it has gone.
var monthKinds = []ledger.Kind{"footage.recorded", "footage.deleted", "footage.gap", "footage.breach", "footage.damaged", "footage.unlinkfailed", "nvr.checked"}

// add takes one entry as stored.
func (t *monthRecord) add(kind ledger.Kind, leaf []byte) error {
	if kind != "footage.recorded" && kind != "footage.deleted" {
		e, err := ledger.ParseEntry(leaf)
		if err == nil && (kind != "footage.unlinkfailed" && kind != "nvr.checked" || e.At.Before(t.span.To)) {
			t.addCommon(e)
		}
		return err
	}
	if !t.window.Concerns(kind, leaf) {
		return nil
	}
	b, err := packet.ReadBound(leaf)
	if err != nil {
		return err
	}
	switch c := t.cameras[b.Camera]; {
	case c == nil:
	case b.Deleted && (t.span.Contains(b.Hour) || t.span.Contains(b.At)):
		c.deleted = append(grow(c.deleted, 2*longestMonth), b.Binding)
	case !b.Deleted && t.span.Contains(b.Hour):
		c.recorded = append(grow(c.recorded, longestMonth), b.Binding)
	}
	return nil
}

// longestMonth is how many hours a month has at most, when clocks are put back in it.
const longestMonth = 31*24 + 1

func grow(list []footage.Binding, n int) []footage.Binding {
	if list == nil {
		list = make([]footage.Binding, 0, n)
	}
	return list
}

func (t *monthRecord) addCommon(e ledger.Entry) {
	if c := t.cameras[e.Subject]; c != nil {
		c.entries = append(c.entries, e)
	}
}

func (p *Certificates) sumUp(ctx context.Context, camera string, t *monthRecord, within time.Duration, now clock.Reading) (footage.MonthReport, error) {
	register, _ := p.camera(camera)
	m := footage.Month{Camera: register, Span: t.span, Now: now.Wall.UTC(), Trusted: now.State == clock.Trusted}
	c := t.cameras[camera]
	gapsBy := t.span.To.Add(max(within, longWindow))
	entries := slices.Concat(t.common, c.entries)
	entries = slices.DeleteFunc(entries, func(e ledger.Entry) bool { return e.Kind == "footage.gap" && !e.At.Before(gapsBy) })
	slices.SortFunc(entries, func(a, b ledger.Entry) int { return cmp.Compare(a.Seq, b.Seq) })
	entries = slices.CompactFunc(entries, func(a, b ledger.Entry) bool { return a.Seq == b.Seq }) // its own may be a sign of life
	record, err := packet.ReadRecord(camera, entries)
	if err != nil {
		return footage.MonthReport{}, err
	}
	record.Gaps = record.Gaps[:0]
	for _, e := range entries {
		if e.Kind != "footage.gap" || e.Subject != camera {
			continue
		}
		g, err := packet.ReadGap(e)
		if err != nil {
			return footage.MonthReport{}, err
		}
		record.Gaps = append(record.Gaps, g.Place(p.o.Anchors()))
	}
	footage.SortGaps(record.Gaps)
	m.Until = serviceUntil(entries, t.span.To)
	t.fill(&m, record, c, within)
	err = p.o.Store.View(func(tx ledgerdb.Tx) error {
		if m.Watermark, err = WatermarkIn(tx, camera); err != nil {
			return err
		}
		m.Unerased = map[footage.FileID]bool{}
		for _, c := range condemned.Prefix(tx, camera+"/") {
			m.Unerased[c.Segment.File] = true
		}
		return nil
	})
	if err != nil {
		return footage.MonthReport{}, err
	}
	m.Present = func(yield func(footage.Placed) bool) {
		err = p.o.Present(ctx, camera, t.span, func(s footage.Placed) bool { return !t.span.Contains(s.Span.From) || yield(s) })
	}
	r := footage.Report(m)
	if err != nil {
		return footage.MonthReport{}, fmt.Errorf("read what is there of %s: %w", camera, err)
	}
	// From here on only the sums are of use.
	r.Present, r.Recorded, r.Deleted, r.Removed, r.Unerased = nil, nil, nil, nil, nil
	return r, nil
}

// fill sorts what the entries say into the month, when what was recorded was entered within a time after it.
func (t *monthRecord) fill(m *footage.Month, r packet.Record, c *cameraRecord, within time.Duration) {
	span := t.span
	for _, b := range c.recorded {
		if b.At.Before(span.To.Add(within)) {
			m.Recorded = append(m.Recorded, b)
		}
	}
	for _, b := range c.deleted {
		if span.Contains(b.Hour) {
			m.Deleted = append(m.Deleted, b)
		}
		if span.Contains(b.At) {
			m.Removed = append(m.Removed, b)
		}
	}
	for _, g := range r.Gaps {
		if g.Span.Overlaps(span) {
			m.Gaps = append(m.Gaps, g)
		}
	}
	for _, c := range r.Checks {
		if span.Contains(c.At) {
			m.Checks = append(m.Checks, c)
		}
	}
	for _, h := range r.Holds {
		if h.Since.Before(span.To) && (h.Ended.IsZero() || h.Ended.After(span.From)) || h.Span.Overlaps(span) {
			m.Holds = append(m.Holds, h)
		}
	}
	for _, d := range r.Damaged {
		if strings.HasPrefix(d, t.label) {
			m.Damaged++
		}
	}
	m.Breaches, m.Policies, m.Excuses = r.Breaches, r.Policies, r.Excuses
}
