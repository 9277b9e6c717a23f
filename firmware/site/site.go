// Package site keeps the register of the school's equipment: cameras and their credentials, readers,
// places, the school calendar, and the settings.
//
// It owns the tables named in tables.go and a copy of them in memory. Every change is an entry of the log with
// what was before and after (M5). It must never hand out camera credentials to a page, nor take a camera that
// looks into a private area (F2).
package site

import (
	"errors"
	"log/slog"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// ErrNotFound: no such camera, reader or place.
var ErrNotFound = errors.New("site: not found")

// Login is what a camera or NVR asks for.
type Login struct {
	User     string `json:"user"`
	Password string `json:"password"`
}

// Place is where applicants think things happen: they pick places, the officer narrows to cameras (design §7).
type Place struct {
	ID      string   `json:"id"` // bicycle-shed …
	Name    string   `json:"name"`
	Cameras []string `json:"cameras"` // camera ids
	// Kind is what the place is; unlike a camera, it may be private.
	Kind footage.Area `json:"kind,omitempty"`
}

// Options is what the site needs from outside.
type Options struct {
	Store *ledgerdb.Store
	Clock clock.Clock
	Log   *slog.Logger
	// CheckCapacity refuses a register of cameras that this box cannot serve, such as more footage than its disk holds.
	// It sees the whole register as it would be, inside the change; what it returns is shown at the field. nil:
	// everything fits.
	CheckCapacity func([]footage.Camera) error
}
