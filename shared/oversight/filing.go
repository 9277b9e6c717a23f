package oversight

import (
	"cmp"
	"slices"
	"time"

	"campuskeep/shared/lib/fielderr"
)

// Device is a camera as the filing names it.
type Device struct {
	Camera string    `json:"camera"`
	Name   string    `json:"name"`
	Place  string    `json:"place"`
	Kind   string    `json:"kind,omitempty"` // maker and model
	Days   int       `json:"days"`           // of storage
	Since  time.Time `json:"since,omitzero"` // in service
}

// Filing is what was filed with the police (L1): the devices as they were then, and the receipt.
type Filing struct {
	ID      string    `json:"id"` // f2026-01
	At      time.Time `json:"at"`
	To      string    `json:"to"`
	Receipt string    `json:"receipt"`
	Text    string    `json:"text,omitempty"`
	Devices []Device  `json:"devices"`
	By      string    `json:"by"`
	Entered time.Time `json:"entered"`
}

// Check says what is wrong with a filing.
func (f *Filing) Check(now time.Time) error {
	var errs fielderr.Errors
	text(&errs, "to", &f.To, MaxTitle, true)
	text(&errs, "receipt", &f.Receipt, MaxTitle, true)
	text(&errs, "text", &f.Text, MaxText, false)
	switch {
	case f.At.IsZero():
		errs.Add("at", "err.required")
	case f.At.After(now):
		errs.Add("at", "err.future")
	}
	return errs.Err()
}

// Difference is how today's cameras differ from those of the last filing.
type Difference struct {
	Added   []Device  `json:"added,omitempty"`
	Removed []Device  `json:"removed,omitempty"`
	Changed []Device  `json:"changed,omitempty"` // another place or other days of storage, as they are now
	Due     time.Time `json:"due,omitzero"`      // until when it is to be filed; zero: nothing has changed, or nothing says since when
}

// None says whether there is nothing to file.
func (d Difference) None() bool { return len(d.Added)+len(d.Removed)+len(d.Changed) == 0 }

// Differs compares what was filed with what is. changed says since when a camera is as it is now (or gone); zero when
// that is not known.
func Differs(filed, now []Device, changed func(camera string) time.Time, s Settings) (d Difference) {
	was := map[string]Device{}
	for _, x := range filed {
		was[x.Camera] = x
	}
	var first time.Time
	since := func(x Device) {
		if at := changed(x.Camera); !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	for _, x := range now {
		old, ok := was[x.Camera]
		delete(was, x.Camera)
		switch {
		case !ok:
			d.Added = append(d.Added, x)
			since(x)
		case old.Place != x.Place || old.Days != x.Days:
			d.Changed = append(d.Changed, x)
			since(x)
		}
	}
	for _, x := range was {
		d.Removed = append(d.Removed, x)
		since(x)
	}
	slices.SortFunc(d.Removed, func(a, b Device) int { return cmp.Compare(a.Camera, b.Camera) })
	if !first.IsZero() {
		d.Due = days(first, s.FileDays)
	}
	return d
}
