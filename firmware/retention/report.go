package retention

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
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
	var r footage.MonthReport
	c, ok := p.camera(camera)
	span, err := p.month(label)
	if !ok || err != nil {
		return r, ErrNoDay
	}
	now := p.o.Clock.Now()
	m := footage.Month{Camera: c, Span: span, Now: now.Wall.UTC(), Trusted: now.State == clock.Trusted}
	g := gathered{}
	for _, part := range []struct {
		from, to time.Time
		kinds    []ledger.Kind
	}{
		{span.From, span.To.Add(26 * time.Hour), []ledger.Kind{"footage.recorded", "nvr.checked"}},
		{span.From, span.To.Add(longWindow), []ledger.Kind{"footage.gap"}},
		{span.From, span.To.Add(p.longest() + longWindow), []ledger.Kind{"footage.deleted", "footage.breach", "footage.damaged"}},
		{time.Time{}, span.To, []ledger.Kind{"camera.registered", "camera.changed"}},
		{span.From, span.To, []ledger.Kind{"footage.unlinkfailed"}},
	} {
		list, err := p.about(ctx, camera, part.from, part.to, part.kinds...)
		if err != nil {
			return r, err
		}
		g.add(list)
	}
	reach := footage.Span{From: span.From.Add(-p.longest() - longWindow), To: span.To}
	holds, err := p.holdEntries(ctx, camera, reach)
	if err != nil {
		return r, err
	}
	g.add(holds)
	if err := p.gatherExcuses(ctx, g, camera, span); err != nil {
		return r, err
	}
	record, err := packet.ReadRecord(camera, g.sorted())
	if err != nil {
		return r, err
	}
	fill(&m, record, span, label)
	if m.Present, err = p.o.Footage.Segments(ctx, camera, span); err != nil {
		return r, fmt.Errorf("read what is there of %s: %w", camera, err)
	}
	m.Present = slices.DeleteFunc(m.Present, func(s footage.Placed) bool { return !span.Contains(s.Span.From) })
	err = p.o.Store.View(func(tx store.Tx) error {
		m.Watermark, err = WatermarkIn(tx, camera)
		return err
	})
	if err != nil {
		return r, err
	}
	return footage.Report(m), nil
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
