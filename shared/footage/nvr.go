package footage

import (
	"slices"
	"time"

	"campuskeep/shared/clock"
)

const (
	// CeilingSlack is how long after its last day footage may still lie on an NVR: NVRs sweep once a day, at an hour
	// of their own.
	CeilingSlack = 24 * time.Hour
	// FloorSlack is how much of the oldest day may be gone before it counts: NVRs delete whole files.
	FloorSlack = time.Hour
	// NVRJoined is the silence between two pieces of an NVR that still counts as continuous: it tells whole seconds,
	// and loses some when it changes files.
	NVRJoined = 10 * time.Second
	// NVRLag is how far behind the present an NVR's list may end while it records.
	NVRLag = 30 * time.Minute
)

// Attestation is what a listing of an NVR shows of one camera at one instant (F3).
type Attestation struct {
	At       time.Time     `json:"at"`
	Days     int           `json:"days"`
	Oldest   time.Time     `json:"oldest,omitzero"` // of what is there; zero when nothing is
	Newest   time.Time     `json:"newest,omitzero"`
	Pieces   int           `json:"pieces"`
	Recorded time.Duration `json:"recorded"` // of the time that is kept
	Missing  time.Duration `json:"missing"`
	Gaps     []Gap         `json:"gaps,omitempty"`  // with their causes, oldest first; of the time that is kept
	Over     Span          `json:"over,omitzero"`   // older than the policy keeps, still there
	Short    Span          `json:"short,omitzero"`  // younger than the policy keeps, gone or never recorded, no cause known
	Silent   bool          `json:"silent"`          // nothing new for longer than NVRLag
	Judged   bool          `json:"judged"`          // the clock was trusted: Over and Short are of this listing
	Locked   int           `json:"locked"`          // pieces that somebody locked on the NVR
	Unsure   time.Duration `json:"unsure,omitzero"` // of the places in time
}

// Ceiling says whether footage lies on the NVR for longer than is allowed, Floor whether footage is gone too early.
func (a Attestation) Ceiling() bool { return a.Over.From.Before(a.Over.To) }

// Floor says whether footage that must be there is not.
func (a Attestation) Floor() bool { return a.Short.From.Before(a.Short.To) }

// Attest judges what an NVR lists of a camera. since is when the camera is known to have existed there; known explains
// holes, and holes that were there before they grew old are no early deletion, whatever their cause. In doubt about the clocks nothing is called a breach: only what is too old by the youngest reading of both,
// or too young by the oldest, counts.
func Attest(camera Camera, pieces []Placed, known []Gap, since time.Time, now clock.Reading) Attestation {
	keep := camera.Policy.Keep()
	a := Attestation{At: now.Wall, Days: camera.Policy.Days, Pieces: len(pieces), Judged: now.State == clock.Trusted}
	pieces = slices.Clone(pieces)
	slices.SortStableFunc(pieces, func(x, y Placed) int { return x.Span.From.Compare(y.Span.From) })
	for _, p := range pieces {
		a.Unsure = max(a.Unsure, p.Uncertainty)
		if p.Span.To.After(a.Newest) {
			a.Newest = p.Span.To
		}
	}
	from := now.Wall.Add(-keep)
	if since.After(from) {
		from = since
	}
	if len(pieces) > 0 {
		a.Oldest = pieces[0].Span.From
	}
	end := now.Wall
	a.Silent = end.Sub(a.Newest) > NVRLag+a.Unsure
	if !a.Silent {
		end = a.Newest
	}
	a.cover(camera.ID, Span{from, end}, pieces, known)
	if !a.Judged {
		return a
	}
	a.ceiling(pieces, now.Earliest().Add(-keep))
	a.floor(from, known, FloorSlack+a.Unsure+now.Uncertainty)
	return a
}

// cover lays the pieces over the time that is kept.
func (a *Attestation) cover(camera string, span Span, pieces []Placed, known []Gap) {
	joined := make([]Placed, 0, len(pieces))
	for _, p := range pieces {
		if n := len(joined); n > 0 {
			last := &joined[n-1].Span
			if p.Span.From.Sub(last.To) <= NVRJoined {
				if p.Span.To.After(last.To) {
					last.To = p.Span.To
				}
				continue
			}
		}
		joined = append(joined, p)
	}
	c := Cover(span, joined, known)
	a.Recorded, a.Missing = c.Recorded, c.Missing
	for _, p := range c.Pieces {
		if !p.Recorded {
			a.Gaps = append(a.Gaps, Gap{Camera: camera, Span: p.Span, Cause: p.Cause})
		}
	}
}

// ceiling finds what is too old: pieces whose last frame lies before the watermark by more than the slack.
func (a *Attestation) ceiling(pieces []Placed, watermark time.Time) {
	for _, p := range pieces {
		if watermark.Sub(p.Span.To) <= CeilingSlack+p.Uncertainty {
			continue
		}
		if a.Over.From.IsZero() || p.Span.From.Before(a.Over.From) {
			a.Over.From = p.Span.From
		}
		if p.Span.To.After(a.Over.To) {
			a.Over.To = p.Span.To
		}
	}
}

// floor finds what is gone too early: the beginning of the kept time, as far as no hole was known there before.
func (a *Attestation) floor(from time.Time, known []Gap, slack time.Duration) {
	if len(a.Gaps) == 0 || a.Gaps[0].Span.From.After(from) {
		return
	}
	hole := a.Gaps[0].Span
	n := 1 // gaps that follow each other without footage between them are one hole
	for ; n < len(a.Gaps) && a.Gaps[n].Span.From.Equal(hole.To); n++ {
		hole.To = a.Gaps[n].Span.To
	}
	known = slices.Clone(known)
	SortGaps(known)
	for _, g := range known {
		if !g.Span.From.After(hole.From.Add(NVRJoined)) && g.Span.To.After(hole.From) {
			hole.From = g.Span.To
		}
	}
	if hole.To.Sub(hole.From) <= slack {
		return
	}
	a.Short = hole
	lost := Gap{Camera: a.Gaps[0].Camera, Span: hole, Cause: CauseBreach}
	var gaps []Gap // what was never there is apart from what was taken away
	for _, g := range a.Gaps[:n] {
		if g.Span = g.Span.Intersect(Span{g.Span.From, hole.From}); g.Span.Duration() > 0 {
			gaps = append(gaps, g)
		}
	}
	a.Gaps = slices.Concat(gaps, []Gap{lost}, a.Gaps[n:])
}
