package usage

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
)

// Still is the permission to make one picture of a viewing, given only after its entry is in the log.
//
// The picture is drawn by the browser from the frame that it shows, so it is no evidence of what the camera saw:
// it has no seal. What holds is the entry: Code names its bytes, and Checkpoint is the log's signature over them.
type Still struct {
	Entry      uint64    `json:"entry"`      // the number that is in the picture and in the name of its file
	Code       string    `json:"code"`       // first eight hex digits of the entry's hash, to check a picture against the log
	At         time.Time `json:"at"`         // of the frame, as the page that shows it says
	Taken      time.Time `json:"taken"`      // of the entry
	Checkpoint string    `json:"checkpoint"` // signed note over the log with this entry
}

// Snapshot asks permission for one still picture of an open viewing and enters it. The ground is the approval that
// the viewing was opened under: neither a duty nor another approval of the same person makes a picture of it. A
// refusal is *account.Refused and an entry; an instant outside the viewing is fielderr.Errors; on any other error
// no picture may be made. id is the page's own number of the picture: asked twice it is one picture and one entry;
// empty: every call is a picture.
func (e *Register) Snapshot(ctx context.Context, by account.Who, viewing, id string, at time.Time) (Still, error) {
	r, err := e.watching(viewing)
	if err != nil {
		return Still{}, err
	}
	if len(id) > maxStillID {
		var faults fielderr.Errors
		faults.Add("id", "err.too_long", maxStillID)
		return Still{}, faults
	}
	if id == "" {
		return e.snapshot(ctx, by, r.Viewing, at)
	}
	r.still.Lock()
	defer r.still.Unlock()
	if s, again := r.stills[id]; again {
		if _, err := e.Allow(ctx, by, account.ActFootageSnapshot, StillSubject(r.Viewing)); err != nil {
			return Still{}, err
		}
		return s, nil
	}
	s, err := e.snapshot(ctx, by, r.Viewing, at)
	if err != nil {
		return Still{}, err
	}
	if r.stills == nil || len(r.stills) >= maxStills {
		r.stills = map[string]Still{}
	}
	r.stills[id] = s
	return s, nil
}

const (
	maxStillID = 64
	maxStills  = 256 // of a viewing that are remembered
)

func (e *Register) snapshot(ctx context.Context, by account.Who, v Viewing, at time.Time) (Still, error) {
	d, err := e.Allow(ctx, by, account.ActFootageSnapshot, StillSubject(v))
	if err != nil {
		return Still{}, err
	}
	at = at.UTC().Truncate(time.Millisecond)
	if !v.Span.Contains(at) {
		var faults fielderr.Errors
		faults.Add("at", "err.not_in_viewing")
		return Still{}, faults
	}
	receipt, err := e.o.Store.Commit(ctx, ledgerdb.Change{Entries: []ledger.Draft{by.Draft("footage.snapshot", d.Role, v.Camera, struct {
		Viewing     string    `json:"viewing"`
		Opened      uint64    `json:"opened"`
		Camera      string    `json:"camera"`
		At          time.Time `json:"at"`
		Application string    `json:"application"`
	}{v.ID, v.Entry, v.Camera, at, d.Grant})}})
	if err != nil {
		return Still{}, fmt.Errorf("record a still picture of camera %s: %w", v.Camera, err)
	}
	hash, err := e.o.Store.LeafHash(receipt.First)
	if err != nil {
		return Still{}, fmt.Errorf("read the hash of entry %d: %w", receipt.First, err)
	}
	signed, err := e.o.Store.Checkpoint(receipt.First + 1)
	if err != nil {
		return Still{}, fmt.Errorf("sign entry %d: %w", receipt.First, err)
	}
	return Still{Entry: receipt.First, Code: strings.ToUpper(hex.EncodeToString(hash[:4])), At: at, Taken: receipt.Reading.Wall.UTC(),
		Checkpoint: string(signed)}, nil
}

// StillSubject is what a picture of a viewing is about. A live viewing and one by duty name no application, so that
// no approval covers them.
func StillSubject(v Viewing) account.Subject {
	s := account.Subject{Person: v.Person, Camera: v.Camera, From: v.Span.From, To: v.Span.To, Application: v.Application, Way: account.WayStill}
	if v.Application == "" || v.Mode == Live {
		s.Way = v.way()
	}
	return s
}

// watching is an open viewing that is not over.
func (e *Register) watching(id string) (*running, error) {
	e.watch.mu.Lock()
	defer e.watch.mu.Unlock()
	r, ok := e.watch.views[id]
	switch {
	case !ok:
		return nil, fmt.Errorf("viewing: %w", ErrNotFound)
	case r.ending || r.Over(e.o.Clock.Now()):
		return nil, ErrEnded
	}
	return r, nil
}
