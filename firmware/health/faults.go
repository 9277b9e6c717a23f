package health

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
)

// Faults lists the open faults, the longest open first.
func (r *Monitor) Faults() []Fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Fault, 0, len(r.open))
	for _, f := range r.open {
		out = append(out, f.copy())
	}
	slices.SortFunc(out, func(a, b Fault) int {
		if c := a.Opened.Compare(b.Opened); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out
}

func (f Fault) copy() Fault {
	f.Acks = slices.Clone(f.Acks)
	return f
}

// History lists the faults that closed since an instant, the latest first. Empty camera: of all.
func (r *Monitor) History(camera string, since time.Time) ([]Fault, error) {
	prefix := ""
	if camera != "" {
		prefix = camera + "-"
	}
	var out []Fault
	err := r.o.Store.View(func(tx ledgerdb.Tx) error {
		for _, f := range faults.Rows(tx, prefix) {
			if f.Err != nil {
				return f.Err
			}
			if v := f.Value; (camera == "" || v.Camera == camera) && !v.Closed.IsZero() && !v.Closed.Before(since) {
				out = append(out, v)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the faults: %w", err)
	}
	slices.SortFunc(out, func(a, b Fault) int {
		if c := b.Closed.Compare(a.Closed); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out, nil
}

// Fault by id, open or closed. Errors: ErrNotFound.
func (r *Monitor) Fault(id string) (f Fault, err error) {
	err = r.o.Store.View(func(tx ledgerdb.Tx) error {
		v, _, ok, err := faults.Get(tx, id)
		if err == nil && !ok {
			err = ErrNotFound
		}
		f = v
		return err
	})
	if err != nil {
		return Fault{}, fmt.Errorf("read fault %q: %w", id, err)
	}
	return f, nil
}

// Technician is who a fault is for now: the one named in the register today, or who was when it opened.
func (r *Monitor) Technician(f Fault) string {
	if c, ok := r.o.Site.Camera(f.Camera); ok && c.Technician != "" {
		return c.Technician
	}
	return f.Technician
}

const maxNote = 200

// Acknowledge enters that somebody takes note of an open fault, with what they do about it. Errors: ErrNotFound (also
// when it closed meanwhile), fielderr.Errors, *account.Refused.
func (r *Monitor) Acknowledge(ctx context.Context, by account.Who, id, note string) error {
	note = strings.TrimSpace(note)
	var errs fielderr.Errors
	switch {
	case note == "":
		errs.Add("note", "err.required")
	case utf8.RuneCountInString(note) > maxNote:
		errs.Add("note", "err.too_long", maxNote)
	case !utf8.ValidString(note) || strings.ContainsFunc(note, func(c rune) bool { return unicode.IsControl(c) && c != '\n' && c != '\r' }):
		errs.Add("note", "err.text")
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	f, ok := r.openFault(id)
	if !ok {
		return fmt.Errorf("acknowledge %q: %w", id, ErrNotFound)
	}
	now := r.o.Clock.Now()
	d := account.May(by.Actor, account.ActFaultsTake, account.Subject{Camera: f.Camera, Person: r.Technician(f.Fault)}, now.Wall)
	if err := d.Err(account.ActFaultsTake); err != nil {
		return err
	}
	if len(f.Acks) >= maxAcks {
		errs.Add("note", "err.too_many", maxAcks)
	}
	if err := errs.Err(); err != nil {
		return err
	}
	f.Fault = f.copy()
	f.Acks = append(f.Acks, Ack{By: by.ID, At: now.Wall.UTC().Truncate(time.Second)})
	rc, err := r.o.Store.Commit(ctx, ledgerdb.Change{
		Puts: []ledgerdb.Put{faults.PutRev(f.ID, f.Fault, f.rev)},
		Entries: []ledger.Draft{by.Draft("fault.acknowledged", d.Role, f.Camera, map[string]any{"fault": f.ID, "code": f.Code, "camera": f.Camera},
			ledger.Part{Name: "note", Owner: "camera:" + f.Camera, Plain: []byte(note)})},
	})
	if err != nil {
		return fmt.Errorf("acknowledge %q: %w", id, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open[key{f.Camera, f.Code}] = row{f.Fault, rc.Revs[0]}
	return nil
}

func (r *Monitor) openFault(id string) (row, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.open {
		if f.ID == id {
			return f, true
		}
	}
	return row{}, false
}
