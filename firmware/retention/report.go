package retention

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"campuskeep/firmware/store"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/packet"
)

// DeletedDay is one line of the list of deleted camera-days.
type DeletedDay struct {
	Camera, Day string
	Erased      time.Time // of its key; for an NVR: when it was first found gone
	Seq         uint64
	Attested    bool
}

// DayFilter selects deleted camera-days.
type DayFilter struct {
	Camera string // "": all
	Month  string // 2006-01 of the day's label; "": all
	Before uint64 // entries before this number; 0: from the newest
	Limit  int
}

// DeletedDays lists camera-days whose key is destroyed, newest first, and where the next page begins. The days of an
// NVR's camera are listed when it is asked for by name and month: they are told by what the NVR no longer lists.
func (p *Papers) DeletedDays(ctx context.Context, f DayFilter) (out []DeletedDay, next uint64, err error) {
	q := store.Query{Kinds: []ledger.Kind{"key.erased"}, Before: f.Before, Limit: 200}
	if f.Camera != "" {
		q.About = []string{f.Camera}
	}
	month, err := p.month(f.Month)
	if f.Month != "" {
		if err != nil {
			return nil, 0, ErrNoDay
		}
		q.From, q.To = month.From, month.To.Add(p.longest()+400*24*time.Hour)
	}
	if c, ok := p.camera(f.Camera); ok && c.Custody == footage.CustodyNVR && f.Month != "" && f.Before == 0 {
		if out, err = p.attestedDays(ctx, f.Camera, month); err != nil {
			return nil, 0, err
		}
	}
	for {
		page, err := p.o.Store.Search(ctx, q)
		if err != nil {
			return nil, 0, fmt.Errorf("read the log about destroyed keys: %w", err)
		}
		for _, e := range page.Entries {
			if len(out) >= f.Limit {
				return out, out[len(out)-1].Seq, nil
			}
			out = append(out, days(e, f)...)
		}
		if page.Next == 0 {
			return out, 0, nil
		}
		q.Before = page.Next
	}
}

// days are the camera-days whose keys an entry names, the newest first.
func days(e ledger.Entry, f DayFilter) (out []DeletedDay) {
	var d struct {
		Ring string
		Keys []string
	}
	if json.Unmarshal(e.Data, &d) != nil || d.Ring != footageRing {
		return nil
	}
	slices.SortFunc(d.Keys, func(a, b string) int { return strings.Compare(b, a) })
	for _, k := range d.Keys {
		camera, day, ok := strings.Cut(k, ":")
		if ok && (f.Camera == "" || camera == f.Camera) && strings.HasPrefix(day, f.Month) {
			out = append(out, DeletedDay{Camera: camera, Day: day, Erased: e.At, Seq: e.Seq})
		}
	}
	return out
}

func (p *Papers) attestedDays(ctx context.Context, camera string, month footage.Span) (out []DeletedDay, err error) {
	checks, err := p.about(ctx, camera, month.From, time.Time{}, "nvr.checked")
	if err != nil || len(checks) == 0 {
		return nil, err
	}
	slices.Reverse(checks)
	r, err := packet.ReadRecord(camera, checks)
	if err != nil {
		return nil, err
	}
	c, _ := p.camera(camera)
	for at := month.From; at.Before(month.To); at = at.In(p.o.Zone).AddDate(0, 0, 1) {
		end := at.In(p.o.Zone).AddDate(0, 0, 1)
		if at.Before(c.Since) {
			continue
		}
		i := slices.IndexFunc(r.Checks, func(k footage.Checked) bool { return k.At.After(end) && !k.Oldest.IsZero() && !k.Oldest.Before(end) })
		listed := slices.ContainsFunc(r.Checks, func(k footage.Checked) bool { return !k.Oldest.IsZero() && k.Oldest.Before(end) })
		if i >= 0 && listed {
			out = append(out, DeletedDay{Camera: camera, Day: at.In(p.o.Zone).Format(time.DateOnly), Erased: r.Checks[i].At, Seq: r.Checks[i].Seq, Attested: true})
		}
	}
	slices.Reverse(out)
	return out, nil
}

// month is a calendar month of the school.
func (p *Papers) month(label string) (footage.Span, error) {
	t, err := time.ParseInLocation("2006-01", label, p.o.Zone)
	if err != nil {
		return footage.Span{}, fmt.Errorf("month %q: %w", label, err)
	}
	return footage.Span{From: t.UTC(), To: t.AddDate(0, 1, 0).UTC()}, nil
}

// longest is the longest time that a camera keeps.
func (p *Papers) longest() time.Duration {
	most := footage.Policy{Days: footage.MinDays}.Keep()
	for _, c := range p.o.Cameras() {
		most = max(most, c.Policy.Keep())
	}
	return most
}

// Month reports how one camera's footage was kept in a month, label 2006-01.
func (p *Papers) Month(ctx context.Context, camera, label string) (footage.MonthReport, error) {
	list, err := p.Months(ctx, []string{camera}, label)
	if err != nil {
		return footage.MonthReport{}, err
	}
	return list[0], nil
}

// atOnce is how many cameras one pass over the log serves: their entries are in memory together.
const atOnce = 16

// Months reports on several cameras, in their order. One pass over the log serves many; what was summed up lately is
// believed for a while.
func (p *Papers) Months(ctx context.Context, cameras []string, label string) ([]footage.MonthReport, error) {
	span, err := p.month(label)
	if err != nil {
		return nil, ErrNoDay
	}
	now := p.o.Clock.Now()
	out := make([]footage.MonthReport, len(cameras))
	var missing []int
	for i, id := range cameras {
		if _, ok := p.camera(id); !ok {
			return nil, ErrNoDay
		}
		if r, ok := p.sums.get(id+" "+label, now); ok {
			out[i] = r
		} else {
			missing = append(missing, i)
		}
	}
	for part := range slices.Chunk(missing, atOnce) {
		var ids []string
		for _, i := range part {
			ids = append(ids, cameras[i])
		}
		entries, err := p.monthEntries(ctx, ids, span, boundBy)
		if err != nil {
			return nil, err
		}
		for _, i := range part {
			if out[i], err = p.sumUp(ctx, cameras[i], label, span, now, entries); err != nil {
				return nil, err
			}
			if r := out[i]; r.Segments < r.Gone+r.Here && now.Wall.After(span.To.Add(boundBy)) {
				// More is known of than was bound in time: the box was long off, or a lost index was rebuilt. Its
				// entries may be as young as the deletion.
				late, err := p.monthEntries(ctx, cameras[i:i+1], span, p.longest()+longWindow)
				if err != nil {
					return nil, err
				}
				if out[i], err = p.sumUp(ctx, cameras[i], label, span, now, late); err != nil {
					return nil, err
				}
			}
			p.sums.put(cameras[i]+" "+label, now, out[i])
		}
	}
	return out, nil
}

// boundBy is how long after a month its last hour is bound, when the box runs.
const boundBy = 26 * time.Hour

// monthEntries finds what the log says about the keeping of some cameras in a month, when what was recorded was
// entered within a time after it.
func (p *Papers) monthEntries(ctx context.Context, cameras []string, span footage.Span, within time.Duration) ([]ledger.Entry, error) {
	g := gathered{}
	for _, part := range []struct {
		from, to time.Time
		kinds    []ledger.Kind
	}{
		{span.From, span.To.Add(within), []ledger.Kind{"footage.recorded", "nvr.checked"}},
		{span.From, span.To.Add(max(within, longWindow)), []ledger.Kind{"footage.gap"}},
		{span.From, span.To.Add(p.longest() + longWindow), []ledger.Kind{"footage.deleted", "footage.breach", "footage.damaged"}},
		{time.Time{}, span.To, []ledger.Kind{"camera.registered", "camera.changed"}},
		{span.From, span.To, []ledger.Kind{"footage.unlinkfailed"}},
	} {
		list, err := p.find(ctx, store.Query{Kinds: part.kinds, About: cameras, From: part.from, To: part.to})
		if err != nil {
			return nil, err
		}
		g.add(list)
	}
	for _, c := range cameras {
		holds, err := p.holdEntries(ctx, c, footage.Span{From: span.From.Add(-p.longest() - longWindow), To: span.To})
		if err != nil {
			return nil, err
		}
		g.add(holds)
	}
	if err := p.gatherExcuses(ctx, g, cameras[0], span); err != nil { // clock and power are everybody's
		return nil, err
	}
	return g.sorted(), nil
}

func (p *Papers) sumUp(ctx context.Context, camera, label string, span footage.Span, now clock.Reading, entries []ledger.Entry) (footage.MonthReport, error) {
	c, _ := p.camera(camera)
	m := footage.Month{Camera: c, Span: span, Now: now.Wall.UTC(), Trusted: now.State == clock.Trusted}
	record, err := packet.ReadRecord(camera, entries)
	if err != nil {
		return footage.MonthReport{}, err
	}
	fill(&m, record, span, label)
	if m.Present, err = p.o.Footage.Segments(ctx, camera, span); err != nil {
		return footage.MonthReport{}, fmt.Errorf("read what is there of %s: %w", camera, err)
	}
	m.Present = slices.DeleteFunc(m.Present, func(s footage.Placed) bool { return !span.Contains(s.Span.From) })
	err = p.o.Store.View(func(tx store.Tx) error {
		if m.Watermark, err = WatermarkIn(tx, camera); err != nil {
			return err
		}
		m.Stuck = map[footage.FileID]bool{}
		for _, c := range condemned.Prefix(tx, camera+"/") {
			m.Stuck[c.Segment.File] = true
		}
		return nil
	})
	if err != nil {
		return footage.MonthReport{}, err
	}
	r := footage.Report(m)
	// Of what is there only the sums are of use from here on: a month of segments is megabytes.
	r.Present, r.Recorded, r.Deleted, r.Removed, r.Stuck = nil, nil, nil, nil, nil
	return r, nil
}

// sums are the months summed up lately.
type sums struct {
	mu    sync.Mutex
	known map[string]summed
}

type summed struct {
	report footage.MonthReport
	mono   time.Duration
	boot   string
}

// How long the sums of a month are believed: each is thousands of entries. One that is over, with everything of it
// deleted, changes no more.
const (
	fresh = 10 * time.Minute
	done  = 24 * time.Hour
)

func (s *sums) get(key string, now clock.Reading) (footage.MonthReport, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.known[key]
	age := fresh
	if ok && now.Wall.Sub(k.report.Span.To) > k.report.Camera.Policy.Keep()+longWindow {
		age = done
	}
	return k.report, ok && k.boot == now.Boot && now.Mono >= k.mono && now.Mono-k.mono < age
}

func (s *sums) put(key string, now clock.Reading, r footage.MonthReport) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) > 1000 {
		s.known = map[string]summed{}
	}
	s.known[key] = summed{r, now.Mono, now.Boot}
}

// fill sorts what the entries say into the month.
func fill(m *footage.Month, r packet.Record, span footage.Span, label string) {
	for _, b := range r.Recorded {
		if span.Contains(b.Hour) {
			m.Recorded = append(m.Recorded, b)
		}
	}
	for _, b := range r.Deleted {
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
		if strings.HasPrefix(d, label) {
			m.Damaged++
		}
	}
	m.Breaches, m.Policies, m.Excuses = r.Breaches, r.Policies, r.Excuses
}

// spanOf is the span that an entry names.
func spanOf(e ledger.Entry) footage.Span {
	var s footage.Span
	if json.Unmarshal(e.Data, &s) != nil {
		return footage.Span{}
	}
	return s
}
