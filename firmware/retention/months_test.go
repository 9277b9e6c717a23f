package retention

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/packet"
)

// entryByEntry makes the report of one camera from the whole log, every entry of it read by the careful reader.
func (h *env) entryByEntry(p *Certificates, log []ledger.Entry, present []footage.Placed, camera, label string) footage.MonthReport {
	h.t.Helper()
	span, err := p.month(label)
	h.must(err)
	c, _ := p.camera(camera)
	now := p.o.Clock.Now()
	month := &monthRecord{label: label, span: span}
	report := func(within, shown time.Duration) footage.MonthReport {
		m := footage.Month{Camera: c, Span: span, Now: now.Wall.UTC(), Trusted: now.State == clock.Trusted, Present: slices.Values(present), Unerased: map[footage.FileID]bool{}}
		r, err := packet.ReadRecord(camera, monthOf(log, camera, span, within, shown, p.longest()))
		h.must(err)
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
		r.Recorded, r.Deleted = nil, nil
		month.fill(&m, r, &cameraRecord{}, within)
		h.must(h.store.View(func(tx ledgerdb.Tx) (err error) {
			m.Watermark, err = WatermarkIn(tx, camera)
			for _, c := range condemned.Prefix(tx, camera+"/") {
				m.Unerased[c.Segment.File] = true
			}
			return err
		}))
		out := footage.Report(m)
		out.Present, out.Recorded, out.Deleted, out.Removed, out.Unerased = nil, nil, nil, nil, nil
		return out
	}
	usual := p.longest() + longWindow
	r := report(bindDelay, usual)
	if r.Segments < r.Gone+r.Here && now.Wall.After(span.To.Add(bindDelay)) {
		r = report(usual, usual)
	}
	if now.Wall.After(span.To.Add(usual)) && (r.Segments != r.Gone+r.Here || r.Faults() > 0) {
		r = report(now.Wall.Sub(span.To)+longWindow, 200*365*day)
	}
	return r
}

// monthOf picks what is about a camera's month out of the whole log: what was recorded as far as it was entered within
// a time after it, the rest within another.
func monthOf(log []ledger.Entry, camera string, span footage.Span, within, shown, longest time.Duration) (out []ledger.Entry) {
	holds := map[string]bool{}
	for _, e := range log {
		wide := footage.Span{From: span.From.Add(-longest - longWindow), To: span.To}
		if e.Kind == "hold.registered" && names(e, camera) && !e.At.Before(wide.From) && spanOf(e).Overlaps(wide) {
			holds[e.Subject] = true
		}
	}
	signs := map[uint64]bool{}
	states := map[uint64]bool{}
	before := -1
	for i, e := range log {
		state := e.Kind == "clock.state" || e.Kind == "system.start"
		if state && e.At.Before(span.From) {
			before = i
		}
		states[e.Seq] = (state || e.Kind == "system.stop") && !e.At.Before(span.From) && e.At.Before(span.To.Add(time.Second))
	}
	if before >= 0 {
		states[log[before].Seq] = true
	}
	for i, e := range slices.Backward(log) {
		if e.Kind != "system.start" || !states[e.Seq] && !signs[e.Seq] {
			continue
		}
		for _, b := range slices.Backward(log[:i]) {
			if slices.Contains(packet.RecordKinds, b.Kind) && packet.LastSign(b, e) {
				signs[b.Seq] = true
				break
			}
		}
	}
	for _, e := range log {
		own, from, to := e.Subject == camera, span.From, span.To
		switch e.Kind {
		case "footage.recorded":
			to = span.To.Add(within)
		case "footage.gap":
			to = span.To.Add(min(shown, max(within, longWindow)))
		case "footage.deleted", "footage.breach", "footage.damaged":
			to = span.To.Add(shown)
		case "camera.registered", "camera.changed":
			from = time.Time{}
		case "footage.unlinkfailed", "nvr.checked":
		case "hold.registered", "hold.released", "hold.ended":
			own, from, to = holds[e.Subject], span.From.Add(-longest-longWindow), e.At.Add(1)
		default:
			own = false
		}
		if own && !e.At.Before(from) && e.At.Before(to) || states[e.Seq] || signs[e.Seq] {
			out = append(out, e)
		}
	}
	return out
}

func names(e ledger.Entry, camera string) bool {
	r, err := packet.ReadRecord(camera, []ledger.Entry{e})
	return err == nil && len(r.Holds) > 0
}

// differing names the fields in which a report is not as it ought to be.
func differing(got, want footage.MonthReport) (out string) {
	for _, pair := range [][2]reflect.Value{{reflect.ValueOf(got.Month), reflect.ValueOf(want.Month)}, {reflect.ValueOf(got), reflect.ValueOf(want)}} {
		for i := range pair[0].NumField() {
			a, b := pair[0].Field(i).Interface(), pair[1].Field(i).Interface()
			if name := pair[0].Type().Field(i).Name; name != "Month" && !reflect.DeepEqual(a, b) {
				out += fmt.Sprintf("\n%s %+v, want %+v", name, a, b)
			}
		}
	}
	return out
}

// event is something that goes into the log at a time.
type event struct {
	at      time.Time
	kind    ledger.Kind
	subject string
	data    map[string]any
	state   clock.State
}

// past draws what happened to a camera around a month.
func past(t *rapid.T, camera string, begin time.Time) (list []event, present []footage.Placed) {
	add := func(at time.Time, kind ledger.Kind, data map[string]any) {
		list = append(list, event{at, kind, camera, data, clock.Trusted})
	}
	minutes := func(name string, most int) time.Duration {
		return time.Duration(rapid.IntRange(0, most).Draw(t, name)) * time.Minute
	}
	add(begin.Add(-time.Duration(rapid.IntRange(1, 80).Draw(t, "registered"))*day), "camera.registered", map[string]any{"custody": "vault", "area": "gate", "days": rapid.SampledFrom([]int{30, 31, 35}).Draw(t, "days")})
	if rapid.Bool().Draw(t, "changed") {
		add(begin.Add(minutes("when", 60*24*60)), "camera.changed", map[string]any{"what": []string{"policy"}, "days": rapid.SampledFrom([]int{30, 40}).Draw(t, "new days")})
	}
	for range rapid.IntRange(0, 14).Draw(t, "hours") {
		hour := begin.Add(time.Duration(rapid.IntRange(-31*24, 31*24+2).Draw(t, "hour")) * time.Hour)
		first, last := hour.Add(minutes("first", 20)), hour.Add(40*time.Minute+minutes("last", 25))
		d := map[string]any{"hour": hour, "count": rapid.IntRange(1, 61).Draw(t, "count"), "root": make([]byte, 32), "first": first, "last": last, "bytes": 43_000_000, "days": []string{hour.Format(time.DateOnly)}}
		bound := hour.Add(61 * time.Minute)
		switch rapid.SampledFrom([]string{"in time", "in time", "in time", "late", "never", "in parts"}).Draw(t, "bound") {
		case "in time":
			add(bound, "footage.recorded", d)
		case "late":
			add(bound.Add(minutes("bound late", 100*24*60)), "footage.recorded", d)
		case "in parts":
			add(bound, "footage.recorded", d)
			add(bound.Add(minutes("part late", 5*24*60)), "footage.recorded", d)
		}
		fate := rapid.SampledFrom([]string{"deleted", "late", "early", "breached", "there", "lost", "damaged", "refused"}).Draw(t, "fate")
		gone := map[string]any{"assurance": "best_effort"}
		for k, v := range d {
			gone[k] = v
		}
		due := last.Add(30*day + time.Minute)
		switch fate {
		case "deleted":
			add(due, "footage.deleted", gone)
		case "late":
			add(due.Add(minutes("late", 40*24*60)), "footage.deleted", gone)
		case "early":
			add(due.Add(-minutes("early", 20*24*60)), "footage.deleted", gone)
			list[len(list)-1].state = rapid.SampledFrom([]clock.State{clock.Trusted, clock.Suspect, clock.Untrusted}).Draw(t, "clock then")
		case "breached":
			add(due.Add(-10*day-time.Minute), "footage.breach", map[string]any{"reason": "disk_full", "from": first, "to": last.Add(-minutes("not breached", 10))})
			add(due.Add(-10*day), "footage.deleted", gone)
		case "damaged":
			add(bound.Add(minutes("found", 50*24*60)), "footage.damaged", map[string]any{"file": "00", "reason": "missing", "day": hour.Format(time.DateOnly)})
		case "refused":
			add(due.Add(minutes("tried", 20)), "footage.unlinkfailed", map[string]any{"count": 1, "reason": "io"})
			add(due.Add(minutes("gone", 3*24*60)), "footage.deleted", gone)
		}
		if fate == "there" || rapid.IntRange(0, 9).Draw(t, "left over") == 0 {
			at := first
			for n := range rapid.IntRange(1, 40).Draw(t, "segments") {
				s := footage.Placed{Span: footage.Span{From: at, To: at.Add(minutes("length", 2))}, Anchored: n%7 != 0, Uncertainty: minutes("unsure", 1)}
				s.File, s.Recovered = footage.FileID{byte(len(present) >> 8), byte(len(present))}, n%5 == 0
				present = append(present, s)
				at = s.Span.To.Add(time.Duration(rapid.IntRange(-1, 4).Draw(t, "pause")) * time.Second)
			}
		}
		if rapid.IntRange(0, 3).Draw(t, "gap") == 0 {
			from := hour.Add(minutes("gap from", 50))
			add(from.Add(minutes("told", 60*24*60)), "footage.gap", map[string]any{"from": from, "to": from.Add(minutes("gap", 90)), "cause": rapid.SampledFrom([]string{"offline", "power", "overload"}).Draw(t, "cause")})
		}
	}
	for range rapid.IntRange(0, 3).Draw(t, "checks") {
		at := begin.Add(minutes("checked", 34*24*60))
		add(at, "nvr.checked", map[string]any{"nvr": "n01", "pieces": 10, "recorded_s": 1000, "missing_s": 0, "gaps": 0, "oldest": at.Add(-30 * day), "newest": at, "days": 30,
			"judged": rapid.Bool().Draw(t, "judged"), "floor": rapid.Bool().Draw(t, "floor"), "ceiling": rapid.Bool().Draw(t, "ceiling")})
	}
	return list, present
}

// common draws what stops all deletion, and holds.
func common(t *rapid.T, n int, begin time.Time, cameras []string) (list []event) {
	instant := func(name string) time.Time {
		return begin.Add(time.Duration(rapid.IntRange(-40*24*60, 70*24*60).Draw(t, name)) * time.Minute)
	}
	add := func(at time.Time, kind ledger.Kind, subject string, data map[string]any) {
		list = append(list, event{at, kind, subject, data, clock.Trusted})
	}
	for range rapid.IntRange(0, 3).Draw(t, "starts") {
		at := instant("start")
		if rapid.Bool().Draw(t, "stopped") {
			add(at.Add(-time.Hour), "system.stop", "", nil)
		}
		add(at, "system.start", "", map[string]any{"version": "1.0.0"})
		if rapid.Bool().Draw(t, "a clock that keeps time") {
			continue
		}
		add(at.Add(time.Second), "clock.state", "", map[string]any{"from": "suspect", "to": "untrusted"})
		add(at.Add(3*time.Hour), "clock.state", "", map[string]any{"from": "untrusted", "to": "trusted"})
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "holds") {
		id, at := fmt.Sprintf("h%d-%d", n, i), instant("held")
		span := footage.Span{From: at.Add(-20 * day), To: at.Add(-20*day + time.Duration(rapid.IntRange(1, 400).Draw(t, "held for"))*time.Hour)}
		data := map[string]any{"hold": id, "cameras": rapid.SliceOfNDistinct(rapid.SampledFrom(cameras), 1, 2, rapid.ID[string]).Draw(t, "held cameras"), "from": span.From, "to": span.To, "until": at.Add(90 * day), "reason": "use"}
		add(at, "hold.registered", id, data)
		switch rapid.SampledFrom([]string{"goes on", "released", "ended"}).Draw(t, "hold") {
		case "released":
			add(at.Add(15*day), "hold.released", id, map[string]any{"hold": id, "reason": "closed"})
		case "ended":
			add(at.Add(40*day), "hold.ended", id, map[string]any{"hold": id, "reason": "end"})
		}
	}
	return list
}

// Covers F3: whatever happened, the report that reads what it needs off the log says what reading every entry of it says,
// for one camera and for all of them at once.
func TestTheMonthIsWhatReadingEveryEntrySays(t *testing.T) {
	h := newEnv(t)
	n := 0
	var log []ledger.Entry
	rapid.Check(t, func(rt *rapid.T) {
		n++
		begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 8*n, 0)
		label := begin.Format("2006-01")
		var ids []string
		var events []event
		present := map[string][]footage.Placed{}
		h.cameras = nil
		for i := range rapid.IntRange(1, 5).Draw(rt, "cameras") {
			id := fmt.Sprintf("c%d-%d", n, i)
			c := footage.Camera{ID: id, Custody: rapid.SampledFrom([]footage.Custody{footage.CustodyVault, footage.CustodyVault, footage.CustodyNVR}).Draw(rt, "custody"), Policy: footage.Policy{Days: 30}}
			if rapid.Bool().Draw(rt, "since") {
				c.Since = begin.Add(time.Duration(rapid.IntRange(-5, 20).Draw(rt, "day")) * day)
			}
			list, there := past(rt, id, begin)
			ids, events, present[id], h.cameras = append(ids, id), append(events, list...), there, append(h.cameras, c)
		}
		events = append(events, common(rt, n, begin, ids)...)
		slices.SortStableFunc(events, func(a, b event) int { return a.at.Compare(b.at) })
		boot := 0
		for _, e := range events {
			if e.kind == "system.start" {
				boot++
			}
			h.clock.Change(func(r *clock.Reading) {
				*r = clock.Reading{Wall: e.at, State: e.state, Boot: fmt.Sprintf("b%d-%d", n, boot), Mono: e.at.Sub(begin) + 200*day}
			})
			h.enter(e.kind, e.subject, e.data)
		}
		h.clock.Change(func(r *clock.Reading) {
			r.Wall, r.State = begin.Add(time.Duration(rapid.IntRange(10, 150).Draw(rt, "now"))*day), rapid.SampledFrom([]clock.State{clock.Trusted, clock.Trusted, clock.Suspect}).Draw(rt, "clock now")
		})
		for _, id := range ids {
			if rapid.Bool().Draw(rt, "watermark") {
				c := ledgerdb.Change{Puts: []ledgerdb.Put{watermarks.Put(id, Watermark{At: begin.Add(time.Duration(rapid.IntRange(-5, 40).Draw(rt, "mark")) * day)})}}
				if len(present[id]) > 0 {
					seg := present[id][0].Segment
					c.Puts = append(c.Puts, condemned.Put(id+"/"+seg.File.String(), Condemned{Segment: seg}))
				}
				_, err := h.store.Commit(t.Context(), c)
				h.must(err)
			}
		}
		p := h.certificates()
		p.o.Present = func(_ context.Context, camera string, span footage.Span, f func(footage.Placed) bool) error {
			for _, s := range present[camera] {
				if s.Span.Overlaps(span) {
					f(s)
				}
			}
			return nil
		}
		for e, err := range h.store.Entries(uint64(len(log)), h.store.Size()) {
			h.must(err)
			log = append(log, e)
		}
		all, err := p.Months(t.Context(), ids, label)
		h.must(err)
		for i, id := range ids {
			alone, err := p.Month(t.Context(), id, label)
			h.must(err)
			span, err := p.month(label)
			h.must(err)
			there := slices.DeleteFunc(slices.Clone(present[id]), func(s footage.Placed) bool { return !s.Span.Overlaps(span) || !span.Contains(s.Span.From) })
			want := h.entryByEntry(p, log, there, id, label)
			if d := differing(all[i], want); d != "" {
				rt.Errorf("%s of %s, with the others: %s", label, id, d)
			}
			if d := differing(alone, want); d != "" {
				rt.Errorf("%s of %s, alone: %s", label, id, d)
			}
		}
	})
}
