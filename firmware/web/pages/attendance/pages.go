// Package attendance is the gate: who is in school, the roll of a class, marks.
package attendance

import (
	"embed"
	"time"

	"campuskeep/firmware/absence"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/firmware/web/frame"
	"campuskeep/firmware/web/timeline"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/records"
)

// Templates are the pages of this package.
//
//go:embed *.html
var Templates embed.FS

// Deps is what these pages need.
type Deps struct {
	Absence  *absence.Absence
	Calendar func() attendance.Calendar
	Care     func(pupil string) []records.CareNote // what to do for a pupil, never the diagnosis
	Signed   func(person string) bool              // whether agreement and training are on file (S36)
	Gate     frame.Gate
	Ledger   *ledgerdb.Store
	People   *people.People
	Zone     *time.Location
}

// Pages are the pages of this subject; all methods are safe for concurrent use.
type Pages struct {
	*timeline.Timeline
	d Deps
}

// New makes the pages; it starts nothing.
func New(t *timeline.Timeline, d Deps) *Pages {
	return &Pages{Timeline: t, d: d}
}

// call is one request, with the pages that answer it.
type call struct {
	*frame.Call
	o *Pages
}

// Routes are the addresses of this package with their permissions.
func (o *Pages) Routes() []frame.Route {
	on := o.on()
	return []frame.Route{
		{Pattern: "GET /gate", Action: account.ActGateView, Subject: on.About(gateSubject), Handle: on.Do(o.gatePage)},
		{Pattern: "GET /gate/class/{class}", Action: account.ActClassView, Subject: on.About(classSubject), Handle: on.Do(o.rollPage)},
		{Pattern: "POST /gate/class/{class}/mark", Action: account.ActClassMark, Subject: on.About(markSubject), Handle: on.Do(o.putMark)},
		{Pattern: "GET /sheets", Action: account.ActSheetsView, Subject: on.About(sheetSubject), Handle: on.Do(o.sheetPage)},
		{Pattern: "POST /sheets/export", Action: account.ActSheetsView, Subject: on.About(sheetSubject), Handle: on.Do(o.exportSheet)},
		{Pattern: "GET /sheets/school", Action: account.ActSheetsView, Subject: frame.Anything, Handle: on.Do(o.schoolPage)},
		{Pattern: "GET /sheets/pupil/{student}", Action: account.ActSheetsView, Subject: on.About(pupilSheetSubject), Handle: on.Do(o.pupilPage)},
		{Pattern: "GET /api/v1/sheets", Action: account.ActSheetsView, Subject: on.About(sheetSubject), Handle: on.Do(o.apiSheet)},
		{Pattern: "GET /api/v1/sheets/school", Action: account.ActSheetsView, Subject: frame.Anything, Handle: on.Do(o.apiSchool)},
		{Pattern: "GET /api/v1/sheets/pupil/{student}", Action: account.ActSheetsView, Subject: on.About(pupilSheetSubject), Handle: on.Do(o.apiPupilSheet)},
		{Pattern: "GET /class", Action: account.ActRollView, Subject: on.About(gateSubject), Handle: on.Do(o.classesPage)},
		{Pattern: "GET /class/{class}", Action: account.ActRollView, Subject: on.About(classSubject), Handle: on.Do(o.classPage)},
		{Pattern: "POST /class/{class}/roll", Action: account.ActRollTake, Subject: on.About(classSubject), Handle: on.Do(o.takeRoll)},
		{Pattern: "GET /api/v1/class/{class}", Action: account.ActRollView, Subject: on.About(classSubject), Handle: on.Do(o.apiClass)},
		{Pattern: "GET /events/gate", Action: account.ActGateView, Subject: on.About(gateSubject), Handle: on.Do(o.liveGate), Stream: true},
		{Pattern: "GET /api/v1/gate/class/{class}", Action: account.ActClassView, Subject: on.About(classSubject), Handle: on.Do(o.apiRoll)},
		{Pattern: "GET /api/v1/gate", Action: account.ActGateView, Subject: on.About(gateSubject), Handle: on.Do(o.apiGate)},
	}
}

func (o *Pages) on() frame.Binder[*call] {
	return func(c *frame.Call) *call { return &call{c, o} }
}

// Needs are what waits for the person who asks.
func (o *Pages) Needs(c *frame.Call) ([]frame.Need, error) {
	return (&call{c, o}).readerNeeds()
}
