// Package absence is what follows when a pupil does not come: the cases with their steps, the calls to guardians, and
// the alarms about many pupils at once.
package absence

import (
	"embed"
	"slices"
	"time"

	"campuskeep/firmware/absence"
	"campuskeep/firmware/people"
	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
)

// Templates are the pages of this package.
//
//go:embed *.html
var Templates embed.FS

// Deps is what these pages need.
type Deps struct {
	Absence *absence.Absence
	Info    frame.Info
	People  *people.People
	Site    *site.Site
	Zone    *time.Location
}

// Pages are the pages of this subject; all methods are safe for concurrent use.
type Pages struct {
	*frame.Server
	d Deps
}

// New makes the pages; it starts nothing.
func New(s *frame.Server, d Deps) *Pages { return &Pages{Server: s, d: d} }

// call is one request, with the pages that answer it.
type call struct {
	*frame.Call
	o *Pages
}

// Routes are the addresses of this package with their permissions.
func (o *Pages) Routes() []frame.Route {
	on := o.on()
	return []frame.Route{
		{Pattern: "GET /absence", Action: account.ActAbsenceView, Subject: on.About(ownClass), Handle: on.Do(o.listPage)},
		{Pattern: "POST /absence/export", Action: account.ActAbsenceView, Subject: on.About(ownClass), Handle: on.Do(o.exportList)},
		{Pattern: "GET /absence/calls", Action: account.ActAbsenceView, Subject: on.About(ownClass), Handle: on.Do(o.callsPage)},
		{Pattern: "POST /absence/calls/{id}", Action: account.ActAbsenceAct, Subject: on.About(callSubject), Handle: on.Do(o.recordCall)},
		{Pattern: "GET /absence/case/{id}", Action: account.ActAbsenceView, Subject: on.About(caseSubject), Handle: on.Do(o.casePage)},
		{Pattern: "POST /absence/case/{id}/answer", Action: account.ActAbsenceAct, Subject: on.About(caseSubject), Handle: on.Do(o.answerStep)},
		{Pattern: "POST /absence/case/{id}/close", Action: account.ActAbsenceAct, Subject: on.About(caseSubject), Handle: on.Do(o.closeCase)},
		{Pattern: "POST /absence/alarms/{id}", Action: account.ActAlarmJudge, Subject: frame.Anything, Handle: on.Do(o.judgeAlarm)},
		{Pattern: "GET /leave", Action: account.ActLeaveView, Subject: on.About(ownClass), Handle: on.Do(o.leavesPage)},
		{Pattern: "POST /leave/export", Action: account.ActLeaveView, Subject: on.About(ownClass), Handle: on.Do(o.exportLeaves)},
		{Pattern: "GET /leave/new", Action: account.ActLeaveAsk, Subject: on.About(classOfForm), Handle: on.Do(o.askPage)},
		{Pattern: "POST /leave/new", Action: account.ActLeaveAsk, Subject: on.About(classOfForm), Handle: on.Do(o.askLeave)},
		{Pattern: "GET /leave/passes", Action: account.ActLeaveView, Subject: on.About(ownClass), Handle: on.Do(o.passesPage)},
		{Pattern: "POST /leave/passes", Action: account.ActLeaveAsk, Subject: on.About(classOfForm), Handle: on.Do(o.givePass)},
		{Pattern: "POST /leave/passes/{date}/{student}/{id}/out", Action: account.ActPassUse, Subject: frame.Anything, Handle: on.Do(o.letOut)},
		{Pattern: "GET /leave/{student}/{id}", Action: account.ActLeaveView, Subject: on.About(leaveSubject), Handle: on.Do(o.leavePage)},
		{Pattern: "POST /leave/{student}/{id}/decide", Action: account.ActLeaveDecide, Subject: on.About(leaveSubject), Handle: on.Do(o.decideLeave)},
		{Pattern: "GET /illness", Action: account.ActIllnessView, Subject: on.About(ownClass), Handle: on.Do(o.illnessesPage)},
		{Pattern: "POST /illness/zero", Action: account.ActIllnessSign, Subject: frame.Anything, Handle: on.Do(o.zeroReport)},
		{Pattern: "GET /illness/rules", Action: account.ActIllnessRules, Subject: frame.Anything, Handle: on.Do(o.rulesPage)},
		{Pattern: "POST /illness/rules", Action: account.ActIllnessRules, Subject: frame.Anything, Handle: on.Do(o.putRules)},
		{Pattern: "GET /illness/reports/{id}", Action: account.ActIllnessView, Subject: frame.Anything, Handle: on.Do(o.reportPage)},
		{Pattern: "POST /illness/reports/{id}", Action: account.ActIllnessSign, Subject: frame.Anything, Handle: on.Do(o.signReport)},
		{Pattern: "GET /illness/pupil/{student}/{opened}", Action: account.ActIllnessView, Subject: on.About(illnessSubject), Handle: on.Do(o.illnessPage)},
		{Pattern: "POST /illness/pupil/{student}/{opened}", Action: account.ActIllnessEdit, Subject: on.About(illnessSubject), Handle: on.Do(o.followIllness)},
		{Pattern: "GET /api/v1/illness", Action: account.ActIllnessView, Subject: on.About(ownClass), Handle: on.Do(o.apiIllnesses)},
		{Pattern: "GET /api/v1/illness/rules", Action: account.ActIllnessRules, Subject: frame.Anything, Handle: on.Do(o.apiRules)},
		{Pattern: "GET /api/v1/illness/reports/{id}", Action: account.ActIllnessView, Subject: frame.Anything, Handle: on.Do(o.apiReport)},
		{Pattern: "GET /api/v1/illness/pupil/{student}/{opened}", Action: account.ActIllnessView, Subject: on.About(illnessSubject), Handle: on.Do(o.apiIllness)},
		{Pattern: "GET /api/v1/leave", Action: account.ActLeaveView, Subject: on.About(ownClass), Handle: on.Do(o.apiLeaves)},
		{Pattern: "GET /api/v1/leave/passes", Action: account.ActLeaveView, Subject: on.About(ownClass), Handle: on.Do(o.apiPasses)},
		{Pattern: "GET /api/v1/leave/{student}/{id}", Action: account.ActLeaveView, Subject: on.About(leaveSubject), Handle: on.Do(o.apiLeave)},
		{Pattern: "GET /api/v1/absence", Action: account.ActAbsenceView, Subject: on.About(ownClass), Handle: on.Do(o.apiList)},
		{Pattern: "GET /api/v1/absence/calls", Action: account.ActAbsenceView, Subject: on.About(ownClass), Handle: on.Do(o.apiCalls)},
		{Pattern: "GET /api/v1/absence/case/{id}", Action: account.ActAbsenceView, Subject: on.About(caseSubject), Handle: on.Do(o.apiCase)},
	}
}

func (o *Pages) on() frame.Binder[*call] {
	return func(c *frame.Call) *call { return &call{c, o} }
}

// Needs are what waits for the person who asks.
func (o *Pages) Needs(c *frame.Call) ([]frame.Need, error) {
	x := &call{c, o}
	leaves, err := x.leaveNeeds()
	if err != nil {
		return nil, err
	}
	ill, err := x.illnessNeeds()
	return slices.Concat(x.needs(), leaves, ill), err
}
