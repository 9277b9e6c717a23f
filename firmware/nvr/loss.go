package nvr

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// Kept is what an NVR holds, by camera, and its cameras must keep for longer. It goes with the machine.
func (r *Supervisor) Kept(id string) (map[string]footage.Span, error) {
	now := r.o.Clock.Now()
	days, err := r.listedBy(id)
	if err != nil {
		return nil, err
	}
	out := map[string]footage.Span{}
	for _, cam := range r.o.Cameras() {
		all, ok := days[cam.ID]
		if !ok {
			continue
		}
		if now.State == clock.Trusted { // else nobody knows what is old enough
			all.From = latest(all.From, now.Wall.Add(-cam.Policy.Keep()))
		}
		if all.From.Before(all.To) {
			out[cam.ID] = all
		}
	}
	return out, nil
}

// listedBy is from when to when the last checks of an NVR listed each camera.
func (r *Supervisor) listedBy(id string) (map[string]footage.Span, error) {
	d, ok := r.device(id)
	out := map[string]footage.Span{}
	if !ok || d.v.Retired {
		return out, nil
	}
	always := footage.Span{To: time.Unix(1<<40, 0)}
	err := r.o.Store.View(func(tx ledgerdb.Tx) error {
		for key, row := range days.All(tx) {
			if row.NVR != id || row.Swaps != d.v.Swaps {
				continue
			}
			camera, _, _ := strings.Cut(key, "/")
			for _, h := range row.pieces(r.Kind(d.v), d.v, camera, always) {
				s, ok := out[camera]
				if !ok || h.Span.From.Before(s.From) {
					s.From = h.Span.From
				}
				s.To = latest(s.To, h.Span.To)
				out[camera] = s
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("what NVR %s holds: %w", id, err)
	}
	return out, nil
}

// recordLoss adds to a change of a row that what an NVR holds is lost: footage before its time is a breach, and what was
// on its way from there comes no more.
func (r *Supervisor) recordLoss(x *rowChange, by account.Who, role account.Role, id, why string) (map[string]footage.Span, error) {
	kept, err := r.Kept(id)
	if err != nil {
		return nil, err
	}
	all := r.o.Cameras()
	for _, camera := range slices.Sorted(maps.Keys(kept)) {
		i := slices.IndexFunc(all, func(c footage.Camera) bool { return c.ID == camera })
		x.with.Entries = append(x.with.Entries, by.Draft("nvr.breach", role, camera, breachData(id, "floor", kept[camera], all[i].Policy.Days)),
			r.missed(camera, footage.Gap{Span: kept[camera], Cause: footage.CauseBreach}))
	}
	return kept, r.failFetches(x, id, why)
}

// failFetches adds to a change of a row the end of the fetches that wait for an NVR.
func (r *Supervisor) failFetches(x *rowChange, id, why string) error {
	list, err := r.Fetches()
	if err != nil {
		return err
	}
	for _, f := range list {
		if f.NVR != id || f.State.Ended() {
			continue
		}
		f.State, f.Reason, f.Next = FetchFailed, why, time.Time{}
		if len(f.Done) > 0 {
			f.State = FetchPartial
		}
		x.ended = append(x.ended, r.endFetch(&f))
	}
	return nil
}

// entrySpans is how many spans an entry of 4 KiB lists, with all else that it says.
const entrySpans = 40

// forEntry are the first spans of both lists, as many as an entry holds; the row of the fetch has them all.
func forEntry(done, empty []footage.Span) (d, e []footage.Span) {
	const least = 16 // of what was empty
	most := max(entrySpans-least, entrySpans-len(empty))
	d = done[:min(len(done), most)]
	return d, empty[:min(len(empty), entrySpans-len(d))]
}

// endFetch is the change that ends a fetch.
func (r *Supervisor) endFetch(f *Fetch) ledgerdb.Change {
	f.Ended = r.o.Clock.Now().Wall.UTC()
	done, empty := forEntry(f.Done, f.Empty)
	data := map[string]any{"fetch": f.ID, "camera": f.Camera, "result": f.State, "spans": nonNil(done), "bytes": f.Bytes}
	if f.Reason != "" {
		data["reason"] = f.Reason
	}
	if len(empty) > 0 {
		data["empty"] = empty
	}
	return ledgerdb.Change{Puts: []ledgerdb.Put{fetches.Put(f.ID, *f)}, Entries: []ledger.Draft{r.draft("nvr.fetched", f.NVR, data)}}
}

// unlessEnded makes a change of a fetch nothing when the fetch has been ended meanwhile.
func unlessEnded(id string) func(ledgerdb.Tx) error {
	return func(tx ledgerdb.Tx) error {
		f, _, ok, err := fetches.Get(tx, id)
		if err == nil && ok && f.State.Ended() {
			return errEnded
		}
		return err
	}
}

// carriedOver is a report of which only that counts what cannot be found out again: since when the camera is known, the
// holes that were known, and what was entered as a breach.
func (p Report) carriedOver() Report {
	out := Report{Camera: p.Camera, NVR: p.NVR, Channel: p.Channel, Track: p.Track, Since: p.Since, Lost: p.Lost, Resumed: p.Resumed}
	a := p.Attestation
	out.Attestation = footage.Attestation{Days: a.Days, Newest: a.Newest, Gaps: a.Gaps, Short: a.Short}
	return out
}

// addLoss notes what was lost with a machine.
func (p *Report) addLoss(s footage.Span) {
	if !s.From.Before(s.To) {
		return
	}
	if p.Lost.From.Before(p.Lost.To) && p.Lost.From.Before(s.From) {
		s.From = p.Lost.From
	}
	p.Lost, p.Resumed = s, time.Time{}
}

// noteRestart notes when the machine that answers now began to record, and forgets what was lost when its time is over.
func (p *Report) noteRestart(cam footage.Camera, pieces []footage.Placed, now clock.Reading) {
	if now.Reached(p.Lost.To.Add(cam.Policy.Keep() + footage.CeilingSlack)) {
		p.Lost, p.Resumed = footage.Span{}, time.Time{}
	}
	if p.Lost.To.IsZero() || !p.Resumed.IsZero() {
		return
	}
	for _, x := range pieces {
		if x.Span.To.After(p.Lost.To) {
			p.Resumed = latest(x.Span.From, p.Lost.To)
			return
		}
	}
}

// splitLoss cuts the hole that a machine left: what it held is gone, and was entered as a breach; from then until another
// one began to record there never was anything; and what is missing after that is missing for reasons of its own.
func (p Report) splitLoss(a *footage.Attestation) {
	if p.Lost.To.IsZero() {
		return
	}
	again := p.Resumed
	if again.IsZero() {
		again = a.At
	}
	var out []footage.Gap
	for _, g := range a.Gaps {
		add := func(s footage.Span, cause footage.Cause) {
			if s = s.Intersect(g.Span); s.From.Before(s.To) {
				out = append(out, footage.Gap{Camera: g.Camera, Span: s, Cause: cause})
			}
		}
		if !g.Span.Overlaps(p.Lost) {
			out = append(out, g)
			continue
		}
		rest := g.Cause
		if rest == footage.CauseSwitched {
			rest = footage.CauseUnknown
		}
		add(footage.Span{From: g.Span.From, To: p.Lost.From}, rest)
		add(p.Lost, footage.CauseBreach)
		add(footage.Span{From: p.Lost.To, To: again}, footage.CauseSwitched)
		add(footage.Span{From: again, To: g.Span.To}, rest)
	}
	a.Gaps = out
	if s := a.Short; s.From.Before(p.Lost.To) && s.To.After(p.Lost.To) && s.To.Sub(again) <= footage.FloorSlack {
		a.Short.To = p.Lost.To
	}
}

// resetReports resets the reports of the cameras of an NVR whose machine is gone.
func (r *Supervisor) resetReports(ch *ledgerdb.Change, d Device, kept map[string]footage.Span) error {
	for _, camera := range d.everAssigned() {
		rep, ok, err := r.Report(camera)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if rep.NVR == d.ID {
			rep = rep.carriedOver()
		}
		rep.addLoss(kept[camera])
		ch.Puts = append(ch.Puts, reports.Put(camera, rep))
	}
	return nil
}
