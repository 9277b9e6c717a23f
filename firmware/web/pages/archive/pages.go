// Package archive is what becomes of pupils' records: how long they are kept after a pupil has left and how they end, paper
// volumes, and the safety letters that guardians sign.
package archive

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"campuskeep/firmware/people"
	"campuskeep/firmware/records"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	rules "campuskeep/shared/records"
	"campuskeep/shared/student"
)

// Templates are the pages of this package.
//
//go:embed *.html
var Templates embed.FS

// Deps is what these pages need.
type Deps struct {
	Records *records.Records
	People  *people.People
	Zone    *time.Location
}

// Pages are the pages of this subject; all methods are safe for concurrent use.
type Pages struct {
	*frame.Server
	d Deps
}

// New makes the pages; it starts nothing.
func New(s *frame.Server, d Deps) *Pages { return &Pages{s, d} }

// call is one request, with the pages that answer it.
type call struct {
	*frame.Call
	o *Pages
}

// Routes are the addresses of this package with their permissions.
func (o *Pages) Routes() []frame.Route {
	var on frame.Binder[*call] = func(c *frame.Call) *call { return &call{c, o} }
	return []frame.Route{
		{Pattern: "GET /records/retention", Action: account.ActRetentionView, Subject: frame.Anything, Handle: on.Do(o.retentionPage)},
		{Pattern: "POST /records/retention/years", Action: account.ActRetentionPropose, Subject: frame.Anything, Handle: on.Do(o.putYears)},
		{Pattern: "POST /records/retention/keep", Action: account.ActRetentionPropose, Subject: frame.Anything, Handle: on.Do(o.keep)},
		{Pattern: "POST /records/retention/propose", Action: account.ActRetentionPropose, Subject: frame.Anything, Handle: on.Do(o.propose)},
		{Pattern: "POST /records/retention/confirm", Action: account.ActRetentionConfirm, Subject: on.About(proposer), Handle: on.Do(o.confirm)},
		{Pattern: "GET /api/v1/records/retention", Action: account.ActRetentionView, Subject: frame.Anything, Handle: on.Do(o.apiRetention)},

		{Pattern: "GET /records/archive", Action: account.ActArchiveView, Subject: frame.Anything, Handle: on.Do(o.archivePage)},
		{Pattern: "POST /records/archive", Action: account.ActArchiveEdit, Subject: frame.Anything, Handle: on.Do(o.catalogue)},
		{Pattern: "POST /records/archive/{volume}", Action: account.ActArchiveEdit, Subject: frame.Anything, Handle: on.Do(o.volumeStep)},
		{Pattern: "GET /api/v1/records/archive", Action: account.ActArchiveView, Subject: frame.Anything, Handle: on.Do(o.apiArchive)},

		{Pattern: "GET /records/letters", Action: account.ActLetters, Subject: on.About(classSubject), Handle: on.Do(o.lettersPage)},
		{Pattern: "POST /records/letters", Action: account.ActLetters, Subject: on.About(classSubject), Handle: on.Do(o.putLetters)},
		{Pattern: "GET /api/v1/records/letters", Action: account.ActLetters, Subject: on.About(classSubject), Handle: on.Do(o.apiLetters)},
	}
}

// proposer is who proposed the erasure of the form: they do not confirm it.
func proposer(c *call) (account.Subject, error) {
	for _, l := range c.o.d.Records.Leavers() {
		if l.Student == c.R.PostForm.Get("student") && string(l.Section) == c.R.PostForm.Get("section") && l.Erasure != nil {
			return account.Subject{Person: l.Erasure.ProposedBy}, nil
		}
	}
	return account.Subject{}, frame.ErrNotFound
}

// classSubject is the class of the request; without one, the first of the own ones.
func classSubject(c *call) (account.Subject, error) { return account.Subject{Class: c.class()}, nil }

func (c *call) class() string {
	if id := c.R.FormValue("class"); id != "" {
		return id
	}
	if len(c.Actor.Classes) > 0 {
		return c.Actor.Classes[0]
	}
	return ""
}

func notFound(err error) error {
	if errors.Is(err, records.ErrNotFound) {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}

func (c *call) date(s string) string {
	t, err := time.ParseInLocation(student.DateLayout, s, c.o.d.Zone)
	if err != nil {
		return s
	}
	return c.P.FullDate(t)
}

func (c *call) pupilName(id string) string {
	if s, ok := c.o.d.People.Student(id); ok {
		return s.Name
	}
	return id
}

func (c *call) className(id string) string {
	if cl, ok := c.o.d.People.Class(id); ok {
		return cl.YearName()
	}
	return id
}

// Needs are erasures that wait for a second person.
func (o *Pages) Needs(fc *frame.Call) ([]frame.Need, error) {
	c := &call{fc, o}
	if !c.Can(account.ActRetentionView, account.Subject{}) {
		return nil, nil
	}
	n := 0
	for _, l := range o.d.Records.Leavers() {
		if l.Erasure != nil && l.Erasure.State == rules.ErasureProposed && c.Can(account.ActRetentionConfirm, account.Subject{Person: l.Erasure.ProposedBy}) {
			n++
		}
	}
	if n == 0 {
		return nil, nil
	}
	return []frame.Need{{Tone: "warn", Icon: "clock", Badge: c.P.T("retention.r.title"), Kind: c.P.T("retention.r.title"), Title: c.P.T("need.erasure", n), Href: "/records/retention", Do: c.P.T("see"), Primary: true}}, nil
}
