package usage

import (
	"context"
	"fmt"
	"slices"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/footage"
	rules "campuskeep/shared/usage"
)

// Offer is what there is of one camera for one line of the form.
type Offer struct {
	Span   int // index of the line
	Camera footage.Camera
	rules.Availability
	PastRetention []footage.Span // already condemned: no hold can keep it
}

// Places are where applicants can ask for footage, in the order of the camera register: also where a camera was whose
// footage of then may still be there.
func (e *Register) Places(ctx context.Context) ([]string, error) {
	now := e.o.Clock.Now()
	var out, previous []string
	for _, c := range e.o.Cameras() {
		list, err := e.placementsOf(ctx, c)
		if err != nil {
			return nil, err
		}
		kept := footage.Span{From: now.Earliest().Add(-c.Policy.Keep()), To: now.Latest()}
		for _, s := range list {
			switch {
			case s.place == "" || !s.overlaps(kept):
			case s.to.IsZero():
				out = append(out, s.place)
			default:
				previous = append(previous, s.place)
			}
		}
	}
	var places []string
	for _, p := range slices.Concat(out, previous) {
		if !slices.Contains(places, p) {
			places = append(places, p)
		}
	}
	return places, nil
}

// Available says for every requested line and camera there what exists, what is missing, and what falls off
// before the security office has to answer. Lines with an impossible span are left out: Validate tells about them.
func (e *Register) Available(ctx context.Context, wanted []rules.RequestedSpan) ([]Offer, error) {
	now := e.o.Clock.Now()
	answer := rules.AfterSchoolDays(now.Wall, e.o.Rules().UndecidedDays, e.schoolDay)
	held := e.Holds()
	var out []Offer
	for i, w := range wanted {
		if !w.Span.From.Before(w.Span.To) || w.Span.Duration() > e.o.Rules().CameraTime {
			continue
		}
		for _, c := range e.camerasAt(w.Place, w.Span) {
			segments, err := e.o.Footage.Segments(ctx, c.ID, w.Span)
			if err != nil {
				return nil, fmt.Errorf("look up footage of camera %s: %w", c.ID, err)
			}
			var late []footage.Span
			err = e.o.Store.View(func(tx ledgerdb.Tx) error {
				late, err = pastRetention(tx, c.ID, w.Span, held, now)
				return err
			})
			if err != nil {
				return nil, err
			}
			out = append(out, Offer{i, c, rules.Available(c, w.Span, segments, held, now, answer), late})
		}
	}
	return out, nil
}
