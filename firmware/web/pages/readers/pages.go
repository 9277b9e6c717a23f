// Package readers is the register of card readers: list, form, test by tapping, state, and handing out cards at a reader.
package readers

import (
	"embed"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/firmware/reader"
	"campuskeep/firmware/site"
	"campuskeep/firmware/web/entrytext"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
)

// Templates are the pages of this package.
//
//go:embed *.html
var Templates embed.FS

// Deps is what these pages need.
type Deps struct {
	Cards   *reader.Recent
	Gate    frame.Gate
	Info    frame.Info
	Ledger  *ledgerdb.Store
	People  *people.People
	Readers frame.ReaderService
	Site    *site.Site
	Zone    *time.Location
}

// Pages are the pages of this subject; all methods are safe for concurrent use.
type Pages struct {
	*entrytext.Words
	d Deps
}

// New makes the pages; it starts nothing.
func New(w *entrytext.Words, d Deps) *Pages { return &Pages{Words: w, d: d} }

// call is one request, with the pages that answer it.
type call struct {
	*frame.Call
	o *Pages
}

// Routes are the addresses of this package with their permissions.
func (o *Pages) Routes() []frame.Route {
	on := o.on()
	return []frame.Route{
		{Pattern: "GET /readers", Action: account.ActReadersView, Subject: frame.Self, Handle: on.Do(o.listPage)},
		{Pattern: "GET /readers/new", Action: account.ActReadersEdit, Subject: frame.Anything, Handle: on.Do(o.newPage)},
		{Pattern: "POST /readers/new", Action: account.ActReadersEdit, Subject: frame.Anything, Handle: on.Do(o.putReader)},
		{Pattern: "POST /readers/export", Action: account.ActReadersEdit, Subject: frame.Anything, Handle: on.Do(o.export)},
		{Pattern: "GET /readers/enrol", Action: account.ActPupilsEdit, Subject: frame.Anything, Handle: on.Do(o.enrolPage)},
		{Pattern: "POST /readers/enrol", Action: account.ActPupilsEdit, Subject: frame.Anything, Handle: on.Do(o.enrol)},
		{Pattern: "GET /readers/format", Action: account.ActPupilsEdit, Subject: frame.Anything, Handle: on.Do(o.formatPage)},
		{Pattern: "GET /events/cards", Action: account.ActPupilsEdit, Subject: frame.Anything, Handle: on.Do(o.liveCards), Stream: true},
		{Pattern: "GET /readers/{id}", Action: account.ActReadersView, Subject: on.About(readerSubject), Handle: on.Do(o.readerPage)},
		{Pattern: "GET /readers/{id}/edit", Action: account.ActReadersEdit, Subject: frame.Anything, Handle: on.Do(o.editPage)},
		{Pattern: "POST /readers/{id}", Action: account.ActReadersEdit, Subject: frame.Anything, Handle: on.Do(o.putReader)},
		{Pattern: "GET /readers/{id}/test", Action: account.ActReadersView, Subject: on.About(readerSubject), Handle: on.Do(o.testPage)},
		{Pattern: "POST /readers/{id}/retire", Action: account.ActReadersEdit, Subject: frame.Anything, Handle: on.Do(o.service(true))},
		{Pattern: "POST /readers/{id}/restore", Action: account.ActReadersEdit, Subject: frame.Anything, Handle: on.Do(o.service(false))},
		{Pattern: "POST /readers/{id}/install", Action: account.ActReadersEdit, Subject: frame.Anything, Handle: on.Do(o.install)},
		{Pattern: "POST /readers/{id}/install/end", Action: account.ActReadersEdit, Subject: frame.Anything, Handle: on.Do(o.endInstall)},
		{Pattern: "POST /readers/{id}/key", Action: account.ActReadersEdit, Subject: frame.Anything, Handle: on.Do(o.typeKey)},
		{Pattern: "POST /readers/{id}/token", Action: account.ActReadersEdit, Subject: frame.Anything, Handle: on.Do(o.newToken)},
		{Pattern: "POST /readers/{id}/clear", Action: account.ActReadersEdit, Subject: frame.Anything, Handle: on.Do(o.clearText)},
		{Pattern: "POST /readers/{id}/accept", Action: account.ActReadersEdit, Subject: frame.Anything, Handle: on.Do(o.accept)},
		{Pattern: "GET /events/readers", Action: account.ActReadersView, Subject: frame.Self, Handle: on.Do(o.live), Stream: true},
		{Pattern: "GET /events/readers/{id}", Action: account.ActReadersView, Subject: on.About(readerSubject), Handle: on.Do(o.live), Stream: true},
		{Pattern: "GET /api/v1/readers", Action: account.ActReadersView, Subject: frame.Self, Handle: on.Do(o.apiList)},
		{Pattern: "GET /api/v1/readers/{id}", Action: account.ActReadersView, Subject: on.About(readerSubject), Handle: on.Do(o.apiReader)},
	}
}

func (o *Pages) on() frame.Binder[*call] {
	return func(c *frame.Call) *call { return &call{c, o} }
}

// readerSubject is a reader: who is named for it may see it.
func readerSubject(c *call) (account.Subject, error) {
	r, ok := c.o.d.Site.Reader(c.R.PathValue("id"))
	if !ok {
		return account.Subject{}, frame.ErrNotFound
	}
	return account.Subject{Person: r.Technician}, nil
}

// live wakes a page with each card and each change of a reader's state.
func (o *Pages) live(c *call) error {
	events, cancel := o.d.Gate.Subscribe()
	defer cancel()
	return frame.Stream(c.Call, events)
}

// liveCards wakes a page that waits for a card.
func (o *Pages) liveCards(c *call) error {
	seen, cancel := o.d.Cards.Subscribe()
	defer cancel()
	return frame.Stream(c.Call, seen)
}
