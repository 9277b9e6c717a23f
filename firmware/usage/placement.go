package usage

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// placement is a time in which a camera was in service at a place.
type placement struct {
	place    string
	from, to time.Time // to zero: still
}

func (s placement) overlaps(span footage.Span) bool {
	return s.from.Before(span.To) && (s.to.IsZero() || s.to.After(span.From))
}

// placementCache remembers where cameras were, as the log tells it.
type placementCache struct {
	mu     sync.Mutex
	loaded map[string]cameraPlacements // by camera
}

type cameraPlacements struct {
	camera footage.Camera // as it was when they were read
	list   []placement
}

// placementsOf are the placements of a camera, the present one first. What the log no longer tells (its parts were
// erased) leaves the camera where it is now.
func (e *Register) placementsOf(ctx context.Context, c footage.Camera) ([]placement, error) {
	e.placements.mu.Lock()
	defer e.placements.mu.Unlock()
	if k, ok := e.placements.loaded[c.ID]; ok && k.camera.Place == c.Place && k.camera.Retired == c.Retired && k.camera.Since.Equal(c.Since) {
		return k.list, nil
	}
	var list []placement
	var since time.Time // what an NVR keeps may be older than the camera's registration here
	if c.Custody == footage.CustodyVault {
		since = c.Since
	}
	now := placement{place: c.Place, from: since}
	service := !c.Retired
	q := ledgerdb.Query{Kinds: []ledger.Kind{"camera.changed"}, About: []string{c.ID}, Limit: 200}
	for {
		page, err := e.o.Store.Search(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("look up the places of camera %s: %w", c.ID, err)
		}
		for _, entry := range page.Entries {
			before, moved, err := e.before(entry)
			if err != nil {
				return nil, err
			}
			if !moved {
				continue
			}
			if service {
				list = append(list, placement{now.place, entry.At, now.to})
			}
			now, service = placement{place: before.Place, from: since, to: entry.At}, !before.Retired
		}
		if page.Next == 0 {
			break
		}
		q.Before = page.Next
	}
	if service {
		list = append(list, now)
	}
	e.placements.loaded[c.ID] = cameraPlacements{c, list}
	return list, nil
}

// before is a camera as it was before a change that moved it, took it out of service, or brought it back.
func (e *Register) before(entry ledger.Entry) (c footage.Camera, moved bool, err error) {
	var d struct{ What []string }
	if err := json.Unmarshal(entry.Data, &d); err != nil || !slices.Contains(d.What, "place") && !slices.Contains(d.What, "retired") {
		return c, false, nil // what cannot be read says nothing of a move
	}
	parts, err := e.o.Store.Parts(entry.Seq)
	if err != nil {
		return c, false, fmt.Errorf("read the change of camera %s in entry %d: %w", entry.Subject, entry.Seq, err)
	}
	for _, p := range parts {
		if p.Name == "before" && len(p.Plain) > 0 {
			if err := json.Unmarshal(p.Plain, &c); err != nil {
				return c, false, fmt.Errorf("read the change of camera %s in entry %d: %w", entry.Subject, entry.Seq, err)
			}
			return c, true, nil
		}
	}
	return c, false, nil
}

// camerasAt are the cameras that were at a place in service at any time of a span, whatever became of them since.
func (e *Register) camerasAt(place string, span footage.Span) []footage.Camera {
	if !span.From.Before(span.To) { // that is reported by its own rule
		span.From, span.To = e.o.Clock.Now().Earliest(), e.o.Clock.Now().Latest()
	}
	var out, ever []footage.Camera
	for _, c := range e.o.Cameras() {
		list, err := e.placementsOf(context.Background(), c)
		if err != nil {
			e.o.Log.Error("where a camera stood is not known; it counts for where it is now", "camera", c.ID, "err", err)
			if !c.Retired {
				list = []placement{{place: c.Place}}
			}
		}
		if slices.ContainsFunc(list, func(s placement) bool { return s.place == place && s.overlaps(span) }) {
			out = append(out, c)
		}
		if slices.ContainsFunc(list, func(s placement) bool { return s.place == place }) {
			ever = append(ever, c)
		}
	}
	if len(out) == 0 {
		return ever // of a time before any was registered there: that there is no footage is reported by its own rule
	}
	return out
}

func (e *Register) cameraIDs(place string, span footage.Span) []string {
	var out []string
	for _, c := range e.camerasAt(place, span) {
		out = append(out, c.ID)
	}
	return out
}
