// Package entrytext puts entries of the log into words: what happened, to what, by whom, with what outcome.
package entrytext

import (
	"time"

	"campuskeep/firmware/health"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/nvr"
	"campuskeep/firmware/people"
	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
)

// Deps is what names the things that entries are about.
type Deps struct {
	Zone   *time.Location
	Ledger *ledgerdb.Store
	People *people.People
	Site   *site.Site
	NVRs   interface {
		Device(id string) (nvr.Device, bool)
	}
	Health *health.Monitor
}

// Words puts entries into words. All methods are safe for concurrent use.
type Words struct {
	*frame.Server
	d Deps
}

// New makes the words of entries.
func New(s *frame.Server, d Deps) *Words { return &Words{s, d} }
