package web

import (
	"log/slog"
	"net/http"
	"time"

	"campuskeep/firmware/absence"
	"campuskeep/firmware/emergency"
	"campuskeep/firmware/extraction"
	"campuskeep/firmware/health"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/nvr"
	"campuskeep/firmware/oversight"
	"campuskeep/firmware/people"
	"campuskeep/firmware/reader"
	"campuskeep/firmware/records"
	"campuskeep/firmware/site"
	"campuskeep/firmware/usage"
	"campuskeep/firmware/viewing"
	"campuskeep/firmware/web/frame"
	nvrspages "campuskeep/firmware/web/pages/nvrs"
	playerpages "campuskeep/firmware/web/pages/player"
	retentionpages "campuskeep/firmware/web/pages/retention"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// Deps is what the pages need of other packages.
type Deps struct {
	Log   *slog.Logger
	Clock clock.Clock
	Zone  *time.Location // of the school
	Info  frame.Info

	Ledger       *ledgerdb.Store
	People       *people.People
	Site         *site.Site
	Usage        *usage.Register
	Records      *records.Records
	Extractions  *extraction.Extractions
	Footage      footage.Source // guarded: refuses what is past the ceiling
	Watched      footage.Source // …with what is being recorded at this moment: what Player shows
	Viewings     *viewing.Viewings
	Player       playerpages.Player
	Gate         frame.Gate
	Readers      frame.ReaderService
	Cards        *reader.Recent
	Emergency    *emergency.Register
	Absence      *absence.Absence
	Time         frame.Timekeeper
	NVRs         NVRs
	Health       *health.Monitor
	Oversight    *oversight.Office
	Certificates retentionpages.CertificateService
	Status       frame.Status
	Metrics      http.Handler // answers /metrics to this machine and to who has the token; nil: there is none
	// MetricsToken lets a collector elsewhere ask for figures and for the details of /healthz; empty: this machine alone.
	MetricsToken string
	Alive        func() error                                       // why the program is not well; nil: nobody asks
	Answered     func(class string, status int, took time.Duration) // counts answers; nil: nobody counts
}

// NVRs is the register of NVRs at work. *nvr.Registry is one.
type NVRs interface {
	nvrspages.NVRs
	Device(id string) (nvr.Device, bool)
}
