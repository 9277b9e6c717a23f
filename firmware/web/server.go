// Package web serves the local pages of every role, and the same things as JSON.
//
// It puts the pages of the subjects together: one route table, one frame. It keeps no state. It must never give out
// anything that account.May did not allow for this person at this moment, nor a byte of footage whose entry is not
// committed.
package web

import (
	"context"
	"fmt"
	"net/http"

	"campuskeep/firmware/web/entrytext"
	"campuskeep/firmware/web/frame"
	absencepages "campuskeep/firmware/web/pages/absence"
	accountspages "campuskeep/firmware/web/pages/accounts"
	archivepages "campuskeep/firmware/web/pages/archive"
	attendancepages "campuskeep/firmware/web/pages/attendance"
	cameraspages "campuskeep/firmware/web/pages/cameras"
	emergencypages "campuskeep/firmware/web/pages/emergency"
	extractionpages "campuskeep/firmware/web/pages/extraction"
	faultspages "campuskeep/firmware/web/pages/faults"
	footagepages "campuskeep/firmware/web/pages/footage"
	homepages "campuskeep/firmware/web/pages/home"
	logpages "campuskeep/firmware/web/pages/log"
	nvrspages "campuskeep/firmware/web/pages/nvrs"
	oversightpages "campuskeep/firmware/web/pages/oversight"
	playerpages "campuskeep/firmware/web/pages/player"
	pupilspages "campuskeep/firmware/web/pages/pupils"
	readerspages "campuskeep/firmware/web/pages/readers"
	recordspages "campuskeep/firmware/web/pages/records"
	retentionpages "campuskeep/firmware/web/pages/retention"
	schoolpages "campuskeep/firmware/web/pages/school"
	settingspages "campuskeep/firmware/web/pages/settings"
	shiftspages "campuskeep/firmware/web/pages/shifts"
	usagepages "campuskeep/firmware/web/pages/usage"
	"campuskeep/firmware/web/sheets"
	"campuskeep/firmware/web/timeline"
	"campuskeep/shared/account"
	weblib "campuskeep/shared/lib/web"
)

// Server answers the pages. All methods are safe for concurrent use.
type Server struct {
	*frame.Server
	d        Deps
	timeline *timeline.Timeline
	routes   *frame.Router
	handler  http.Handler
	scans    scanCounter
	api      []byte // the OpenAPI document
}

// call is one request that the server itself answers.
type call struct {
	*frame.Call
	o *Server
}

// New puts the pages together: it reads the templates, checks that every route has its permission, and starts nothing.
func New(d Deps) (*Server, error) {
	base, err := frame.New(frame.Deps{Log: d.Log, Clock: d.Clock, Zone: d.Zone, Info: d.Info, Ledger: d.Ledger, People: d.People, Site: d.Site, Usage: d.Usage,
		Viewings: d.Viewings, Time: d.Time, Health: d.Health, Status: d.Status, Signed: d.Records.Signed},
		sheets.Templates,
		accountspages.Templates,
		homepages.Templates,
		footagepages.Templates,
		playerpages.Templates,
		shiftspages.Templates,
		usagepages.Templates,
		retentionpages.Templates,
		attendancepages.Templates,
		absencepages.Templates,
		logpages.Templates,
		cameraspages.Templates,
		faultspages.Templates,
		nvrspages.Templates,
		settingspages.Templates,
		readerspages.Templates,
		oversightpages.Templates,
		recordspages.Templates,
		archivepages.Templates,
		emergencypages.Templates,
		pupilspages.Templates,
		schoolpages.Templates,
		extractionpages.Templates,
	)
	if err != nil {
		return nil, fmt.Errorf("start the pages: %w", err)
	}
	times := timeline.New(base, timeline.Deps{Log: d.Log, Clock: d.Clock, Zone: d.Zone, Ledger: d.Ledger, Site: d.Site, Usage: d.Usage, Footage: d.Footage, Time: d.Time, Status: d.Status})
	words := entrytext.New(base, entrytext.Deps{Zone: d.Zone, Ledger: d.Ledger, People: d.People, Site: d.Site, NVRs: d.NVRs, Health: d.Health})
	o := &Server{Server: base, d: d, timeline: times}
	applications := usagepages.New(base, usagepages.Deps{Info: d.Info, Ledger: d.Ledger, Site: d.Site, Status: d.Status, Usage: d.Usage, Viewings: d.Viewings, Zone: d.Zone})
	extractions := extractionpages.New(base, extractionpages.Deps{Info: d.Info, Ledger: d.Ledger, People: d.People, Usage: d.Usage, Extractions: d.Extractions, Zone: d.Zone})
	faults := faultspages.New(words, faultspages.Deps{Health: d.Health, Site: d.Site, Status: d.Status})
	shifts := shiftspages.New(words, shiftspages.Deps{Health: d.Health, Info: d.Info, Ledger: d.Ledger, People: d.People, Usage: d.Usage, Viewings: d.Viewings, Zone: d.Zone})
	accounts := accountspages.New(base, accountspages.Deps{Info: d.Info, Ledger: d.Ledger, People: d.People, Viewings: d.Viewings})
	log := logpages.New(words, logpages.Deps{Info: d.Info, Ledger: d.Ledger, People: d.People, Site: d.Site, Usage: d.Usage, Zone: d.Zone})
	attendance := attendancepages.New(times, attendancepages.Deps{Absence: d.Absence, Calendar: d.Site.Calendar, Care: d.Records.Care, Signed: d.Records.Signed, Ledger: d.Ledger, Gate: d.Gate, People: d.People, Zone: d.Zone})
	readers := readerspages.New(words, readerspages.Deps{Cards: d.Cards, Gate: d.Gate, Info: d.Info, Ledger: d.Ledger, People: d.People, Readers: d.Readers, Site: d.Site, Zone: d.Zone})
	oversight := oversightpages.New(base, oversightpages.Deps{Oversight: d.Oversight, People: d.People, Site: d.Site, Info: d.Info, Zone: d.Zone})
	pupilRecords := recordspages.New(base, recordspages.Deps{Records: d.Records, People: d.People, Site: d.Site, Usage: d.Usage, Zone: d.Zone})
	recordArchive := archivepages.New(base, archivepages.Deps{Records: d.Records, People: d.People, Zone: d.Zone})
	emergencies := emergencypages.New(base, emergencypages.Deps{Emergency: d.Emergency, Info: d.Info, Ledger: d.Ledger, People: d.People, Site: d.Site, Zone: d.Zone})
	school := schoolpages.New(base, schoolpages.Deps{Gate: d.Gate, Info: d.Info, People: d.People, Site: d.Site, Status: d.Status, Zone: d.Zone})
	absences := absencepages.New(base, absencepages.Deps{Absence: d.Absence, Info: d.Info, People: d.People, Site: d.Site, Zone: d.Zone})
	needs := []frame.NeedsFunc{
		applications.Needs,
		faults.Needs,
		shifts.Needs,
		accounts.Needs,
		log.Needs,
		attendance.Needs,
		absences.Needs,
		readers.Needs,
		oversight.Needs,
		pupilRecords.Needs,
		recordArchive.Needs,
		emergencies.Needs,
		school.Needs,
		extractions.Needs,
	}
	routes := o.own()
	for _, subject := range []interface{ Routes() []frame.Route }{
		homepages.New(words, homepages.Deps{Gate: d.Gate, Info: d.Info, Ledger: d.Ledger, People: d.People, Site: d.Site, Status: d.Status, Time: d.Time, Zone: d.Zone, Branched: log.Branched, Needs: needs}),
		accounts,
		applications,
		faults,
		shifts,
		log,
		attendance,
		absences,
		readers,
		oversight,
		pupilRecords,
		recordArchive,
		emergencies,
		school,
		extractions,
		footagepages.New(times, footagepages.Deps{Site: d.Site, Status: d.Status, Zone: d.Zone}),
		playerpages.New(times, playerpages.Deps{Info: d.Info, Log: d.Log, Player: d.Player, Site: d.Site, Status: d.Status, Usage: d.Usage, Viewings: d.Viewings, Watched: d.Watched, Zone: d.Zone}),
		retentionpages.New(times, retentionpages.Deps{Certificates: d.Certificates, Info: d.Info, Ledger: d.Ledger, Site: d.Site, Status: d.Status, Time: d.Time, Usage: d.Usage, Zone: d.Zone}),
		cameraspages.New(words, cameraspages.Deps{Health: d.Health, Info: d.Info, Ledger: d.Ledger, People: d.People, Site: d.Site, Status: d.Status, Zone: d.Zone}),
		nvrspages.New(words, nvrspages.Deps{Info: d.Info, Ledger: d.Ledger, NVRs: d.NVRs, People: d.People, Site: d.Site, Status: d.Status, Zone: d.Zone}),
		pupilspages.New(base, pupilspages.Deps{Info: d.Info, Ledger: d.Ledger, People: d.People, Zone: d.Zone}),
		settingspages.New(base, settingspages.Deps{Info: d.Info, Site: d.Site, Status: d.Status}),
	} {
		routes = append(routes, subject.Routes()...)
	}
	if o.routes, err = frame.NewRouter(routes, o.Serve); err != nil {
		return nil, err
	}
	if o.api, err = describe(o.routes.Routes); err != nil {
		return nil, err
	}
	o.handler = o.countRequests(weblib.Guard(d.Log, o.Assets, o.routes))
	return o, nil
}

// own are the routes that belong to no subject.
func (o *Server) own() []frame.Route {
	on := frame.Binder[*call](func(c *frame.Call) *call { return &call{c, o} })
	return []frame.Route{
		{Pattern: "GET /healthz", Action: account.ActPublic, Handle: on.Do(o.health)},
		{Pattern: "GET /metrics", Action: account.ActPublic, Handle: on.Do(o.metrics)},
		{Pattern: "GET /api/v1/openapi.json", Action: account.ActPublic, Handle: on.Do(o.openapi)},
	}
}

// Handler serves the pages; it answers only over TLS.
func (o *Server) Handler() http.Handler { return o.handler }

// Run keeps what pages show of the footage up to date, until ctx ends; live pages end then. It runs once.
func (o *Server) Run(ctx context.Context) error {
	defer o.Stop()
	return o.timeline.Run(ctx)
}
