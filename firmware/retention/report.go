package retention

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
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
// NVR's camera are listed when it is asked for by name and month: they follow from what the NVR no longer lists.
func (p *Certificates) DeletedDays(ctx context.Context, f DayFilter) (out []DeletedDay, next uint64, err error) {
	q := ledgerdb.Query{Kinds: []ledger.Kind{"key.erased"}, Before: f.Before, Limit: 200}
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
	if f.Camera != "" && f.Month != "" && f.Before == 0 {
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

// attestedDays are the days of a month on which an NVR kept the camera's footage and that it no longer lists.
func (p *Certificates) attestedDays(ctx context.Context, camera string, month footage.Span) (out []DeletedDay, err error) {
	register, _, err := p.registers(ctx, camera)
	if err != nil {
		return nil, err
	}
	checks, err := p.entriesOf(ctx, camera, month.From, time.Time{}, "nvr.checked")
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
		if at.Before(c.Since) || p.custodyAt(camera, register, footage.Span{From: at, To: end}) != footage.CustodyNVR {
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
func (p *Certificates) month(label string) (footage.Span, error) {
	t, err := time.ParseInLocation("2006-01", label, p.o.Zone)
	if err != nil {
		return footage.Span{}, fmt.Errorf("month %q: %w", label, err)
	}
	return footage.Span{From: t.UTC(), To: t.AddDate(0, 1, 0).UTC()}, nil
}

// longest is the longest time that a camera keeps.
func (p *Certificates) longest() time.Duration {
	most := footage.Policy{Days: footage.MinDays}.Keep()
	for _, c := range p.o.Cameras() {
		most = max(most, c.Policy.Keep())
	}
	return most
}

// spanOf is the span that an entry names.
func spanOf(e ledger.Entry) footage.Span {
	var s footage.Span
	if json.Unmarshal(e.Data, &s) != nil {
		return footage.Span{}
	}
	return s
}
