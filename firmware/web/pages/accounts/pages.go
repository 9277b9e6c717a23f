// Package accounts is who may log in: log-in, first set-up, one's own account, persons, changes of duties.
package accounts

import (
	"embed"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/firmware/viewing"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
)

// Templates are the pages of this package.
//
//go:embed *.html
var Templates embed.FS

// Deps is what these pages need.
type Deps struct {
	Info     frame.Info
	Ledger   *ledgerdb.Store
	People   *people.People
	Viewings *viewing.Viewings
}

// Pages are the pages of this subject; all methods are safe for concurrent use.
type Pages struct {
	*frame.Server
	d       Deps
	pending *pending
}

// New makes the pages; it starts nothing.
func New(s *frame.Server, d Deps) *Pages {
	return &Pages{Server: s, d: d, pending: newPending()}
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
		{Pattern: "GET /login", Action: account.ActPublic, Handle: on.Do(o.loginPage)},
		{Pattern: "POST /login", Action: account.ActPublic, Handle: on.Do(o.login)},
		{Pattern: "GET /setup", Action: account.ActPublic, Handle: on.Do(o.setupPage)},
		{Pattern: "POST /setup", Action: account.ActPublic, Handle: on.Do(o.setup)},
		{Pattern: "POST /language", Action: account.ActPublic, Handle: on.Do(o.setLanguage)},
		{Pattern: "GET /account", Action: account.ActSelf, Subject: frame.Self, Handle: on.Do(o.selfPage)},
		{Pattern: "POST /account/password", Action: account.ActSelf, Subject: frame.Self, Handle: on.Do(o.changePassword)},
		{Pattern: "POST /account/factor", Action: account.ActSelf, Subject: frame.Self, Handle: on.Do(o.beginFactor)},
		{Pattern: "POST /account/factor/confirm", Action: account.ActSelf, Subject: frame.Self, Handle: on.Do(o.confirmFactor)},
		{Pattern: "POST /account/alive", Action: account.ActSelf, Subject: frame.Self, Handle: on.Do(o.alive)},
		{Pattern: "POST /account/sessions/end", Action: account.ActSelf, Subject: frame.Self, Handle: on.Do(o.endSessions)},
		{Pattern: "GET /people", Action: account.ActPeopleView, Subject: frame.Anything, Handle: on.Do(o.peoplePage)},
		{Pattern: "GET /people/new", Action: account.ActPeopleEdit, Subject: on.About(newPersonID), Handle: on.Do(o.newPersonPage)},
		{Pattern: "POST /people/new", Action: account.ActPeopleEdit, Subject: on.About(newPersonID), Handle: on.Do(o.putPerson)},
		{Pattern: "GET /people/duties", Action: account.ActPeopleConfirm, Subject: on.About(newPersonID), Handle: on.Do(o.dutyChangesPage)},
		{Pattern: "POST /people/duties/{id}/confirm", Action: account.ActPeopleConfirm, Subject: on.About(changeSubject), Handle: on.Do(o.confirmDuty)},
		{Pattern: "POST /account/duties/{id}/drop", Action: account.ActSelf, Subject: frame.Self, Handle: on.Do(o.dropDuty)},
		{Pattern: "GET /people/{id}", Action: account.ActPeopleEdit, Subject: on.About(personSubject), Handle: on.Do(o.personPage)},
		{Pattern: "POST /people/{id}", Action: account.ActPeopleEdit, Subject: on.About(personSubject), Handle: on.Do(o.putPerson)},
		{Pattern: "POST /people/{id}/password", Action: account.ActPeopleEdit, Subject: on.About(personSubject), Handle: on.Do(o.resetPassword)},
		{Pattern: "POST /people/{id}/factor", Action: account.ActPeopleEdit, Subject: on.About(personSubject), Handle: on.Do(o.resetFactor)},
		{Pattern: "GET /api/v1/account", Action: account.ActSelf, Subject: frame.Self, Handle: on.Do(o.apiSelf)},
		{Pattern: "GET /api/v1/people/duties", Action: account.ActPeopleConfirm, Subject: on.About(newPersonID), Handle: on.Do(o.apiDutyChanges)},
		{Pattern: "GET /api/v1/people/{id}", Action: account.ActPeopleEdit, Subject: on.About(personSubject), Handle: on.Do(o.apiOnePerson)},
		{Pattern: "GET /api/v1/people", Action: account.ActPeopleView, Subject: frame.Anything, Handle: on.Do(o.apiPeople)},
	}
}

func (o *Pages) on() frame.Binder[*call] {
	return func(c *frame.Call) *call { return &call{c, o} }
}

// Needs are what waits for the person who asks.
func (o *Pages) Needs(c *frame.Call) ([]frame.Need, error) {
	return (&call{c, o}).dutyNeeds()
}
