// Package extraction is the taking of approved footage out of the appliance: the request, the two persons, the sealed
// package, its copies and what became of them.
package extraction

import (
	"embed"
	"errors"
	"time"

	"campuskeep/firmware/extraction"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/firmware/usage"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/lib/fielderr"
)

// Templates are the pages of this package.
//
//go:embed *.html
var Templates embed.FS

// Deps is what these pages need.
type Deps struct {
	Info        frame.Info
	Ledger      *ledgerdb.Store
	People      *people.People
	Usage       *usage.Register
	Extractions *extraction.Extractions
	Zone        *time.Location
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
	of, about := on.About(ofApplication), on.About(ofExtraction)
	return []frame.Route{
		{Pattern: "GET /extractions", Action: account.ActExtractionView, Subject: frame.Anything, Handle: on.Do(o.listPage)},
		{Pattern: "GET /applications/{id}/extraction", Action: account.ActExtractionView, Subject: of, Handle: on.Do(o.requestPage)},
		{Pattern: "POST /applications/{id}/extraction", Action: account.ActExtractionRequest, Subject: of, Handle: on.Do(o.request)},
		{Pattern: "GET /extractions/{id}", Action: account.ActExtractionView, Subject: about, Handle: on.Do(o.page)},
		{Pattern: "POST /extractions/{id}/start", Action: account.ActExtractionRun, Subject: about, Handle: on.Do(o.start)},
		{Pattern: "POST /extractions/{id}/cancel", Action: account.ActExtractionCancel, Subject: about, Handle: on.Do(o.cancel)},
		{Pattern: "POST /extractions/{id}/key", Action: account.ActExtractionHand, Subject: about, Handle: on.Do(o.key)},
		{Pattern: "POST /extractions/{id}/download", Action: account.ActExtractionHand, Subject: about, Handle: on.Do(o.download), Stream: true},
		{Pattern: "POST /extractions/{id}/stick", Action: account.ActExtractionHand, Subject: about, Handle: on.Do(o.stick), Stream: true},
		{Pattern: "GET /extractions/{id}/{kind}", Action: account.ActExtractionView, Subject: about, Handle: on.Do(o.document)},
		{Pattern: "POST /extractions/{id}/print", Action: account.ActExtractionClose, Subject: about, Handle: on.Do(o.printDocument)},
		{Pattern: "POST /extractions/{id}/receipt", Action: account.ActExtractionClose, Subject: about, Handle: on.Do(o.receipt)},
		{Pattern: "POST /extractions/{id}/fate", Action: account.ActExtractionClose, Subject: about, Handle: on.Do(o.fate)},
		{Pattern: "GET /api/v1/extractions", Action: account.ActExtractionView, Subject: frame.Anything, Handle: on.Do(o.apiList)},
		{Pattern: "GET /api/v1/extractions/{id}", Action: account.ActExtractionView, Subject: about, Handle: on.Do(o.apiOne)},
	}
}

func (o *Pages) on() frame.Binder[*call] {
	return func(c *frame.Call) *call { return &call{c, o} }
}

func ofApplication(c *call) (account.Subject, error) {
	a, err := c.o.d.Usage.Get(c.R.PathValue("id"))
	if err != nil {
		return account.Subject{}, err
	}
	return usage.Subject(a), nil
}

func ofExtraction(c *call) (account.Subject, error) {
	e, err := c.o.d.Extractions.Get(c.R.PathValue("id"))
	if err != nil {
		return account.Subject{}, fault(err)
	}
	return c.o.d.Extractions.Subject(e), nil
}

// fault turns what the package answers into what a person can act on.
func fault(err error) error {
	is := func(field, rule string) error { return fielderr.Errors{{Field: field, Rule: rule}} }
	switch {
	case errors.Is(err, extraction.ErrNotFound):
		return frame.ErrNotFound
	case errors.Is(err, extraction.ErrState):
		return is("state", "err.extraction_state")
	case errors.Is(err, extraction.ErrBusy):
		return is("state", "err.extraction_busy")
	case errors.Is(err, extraction.ErrOver):
		return is("state", "err.extraction_over")
	case errors.Is(err, extraction.ErrSame):
		return is("user", "err.extraction_same")
	case errors.Is(err, extraction.ErrPrinted):
		return is("state", "err.extraction_printed")
	case errors.Is(err, extraction.ErrStick):
		return is("serial", "err.extraction_stick")
	}
	return err
}

// Needs are what waits for the person who asks.
func (o *Pages) Needs(c *frame.Call) (out []frame.Need, _ error) {
	mine := &call{c, o}
	for _, e := range o.d.Extractions.List() {
		s := o.d.Extractions.Subject(e)
		key := ""
		switch {
		case (e.State == extraction.Requested || e.State == extraction.Stopped) && c.Can(account.ActExtractionRun, s):
			key = "need.extraction"
		case e.State == extraction.Sealed && c.Can(account.ActExtractionHand, s):
			key = "need.extraction.hand"
		case (e.State == extraction.Handed || e.State == extraction.Received) && c.Can(account.ActExtractionClose, s) && mine.due(e):
			key = "need.extraction.return"
		default:
			continue
		}
		tone, icon := tone(e.State)
		out = append(out, frame.Need{Tone: tone, Icon: icon, Badge: c.P.K("extraction.state.", e.State), Kind: c.P.T("extraction.title"), Title: e.Number() + " · " + c.P.T(key),
			Text: mine.applicationText(e), Due: c.P.Day(e.Date.Begin()), Href: "/extractions/" + e.ID, Do: c.P.T("see")})
	}
	return out, nil
}

// dueBefore is how long before its last day a copy is asked for.
const dueBefore = 2 * 24 * time.Hour

// due says whether a copy is to be returned or destroyed soon, or was to be.
func (c *call) due(e extraction.Extraction) bool {
	a, err := c.o.d.Usage.Get(e.Application)
	if err != nil || a.Decision == nil || c.Now.Wall.Before(a.Decision.Until.End().Add(-dueBefore)) {
		return false
	}
	for _, x := range e.Copies {
		if x.Returned == nil {
			return true
		}
	}
	return false
}

func (c *call) applicationText(e extraction.Extraction) string {
	a, err := c.o.d.Usage.Get(e.Application)
	if err != nil {
		return e.Application
	}
	return a.Number() + " · " + a.Unit + " " + c.o.Name(a.Applicant)
}

// tone is colour and icon of a state.
func tone(s extraction.State) (string, string) {
	switch s {
	case extraction.Requested, extraction.Sealed:
		return "warn", "clock"
	case extraction.Running:
		return "acc", "rec"
	case extraction.Handed:
		return "warn", "users"
	case extraction.Received, extraction.Returned:
		return "ok", "ok"
	case extraction.Stopped:
		return "bad", "bad"
	}
	return "mute", "doc"
}
