// Package records is a pupil's safety record: the page with its sections, forms and versions, concerns, the school
// doctor's page, emergency cards, agreements on confidentiality.
package records

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"campuskeep/firmware/people"
	"campuskeep/firmware/records"
	"campuskeep/firmware/site"
	"campuskeep/firmware/usage"
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
	Site    *site.Site
	Usage   *usage.Register // asks the permission table, and enters what it refuses
	Zone    *time.Location
}

// Pages are the pages of this subject; all methods are safe for concurrent use.
type Pages struct {
	*frame.Server
	d    Deps
	sent sentForms
}

// New makes the pages; it starts nothing.
func New(s *frame.Server, d Deps) *Pages {
	return &Pages{Server: s, d: d, sent: sentForms{done: map[string]sentForm{}}}
}

// call is one request, with the pages that answer it.
type call struct {
	*frame.Call
	o *Pages
}

// formBody bounds a form with its scans, which are in memory while they are read.
const formBody = 42 << 20

// Routes are the addresses of this package with their permissions.
func (o *Pages) Routes() []frame.Route {
	var on frame.Binder[*call] = func(c *frame.Call) *call { return &call{c, o} }
	pupil, signed := on.About(pupilSubject), on.About(signedSubject)
	return []frame.Route{
		{Pattern: "GET /pupils/{id}", Action: account.ActRecordView, Subject: pupil, Handle: on.Do(o.pupilPage)},
		{Pattern: "POST /pupils/{id}/open", Action: account.ActRecordView, Subject: pupil, Handle: on.Do(o.openSection)},
		{Pattern: "GET /pupils/{id}/records/new", Action: account.ActConductWrite, Subject: pupil, Handle: on.Do(o.newPage)},
		{Pattern: "POST /pupils/{id}/records", Action: account.ActConductWrite, Subject: pupil, Handle: on.Do(o.write), Body: formBody},
		{Pattern: "GET /pupils/{id}/records/{record}/edit", Action: account.ActConductWrite, Subject: pupil, Handle: on.Do(o.editPage)},
		{Pattern: "POST /pupils/{id}/records/{record}", Action: account.ActConductWrite, Subject: pupil, Handle: on.Do(o.correct), Body: formBody},
		{Pattern: "GET /pupils/{id}/records/{record}/files/{file}", Action: account.ActRecordView, Subject: pupil, Handle: on.Do(o.file)},
		{Pattern: "GET /api/v1/pupils/{id}/record", Action: account.ActRecordView, Subject: pupil, Handle: on.Do(o.apiPupil)},
		{Pattern: "GET /api/v1/pupils/{id}/records/{section}", Action: account.ActRecordView, Subject: pupil, Handle: on.Do(o.apiSection)},

		{Pattern: "GET /doctor", Action: account.ActHealthWrite, Subject: signed, Handle: on.Do(o.doctorPage)},
		{Pattern: "GET /api/v1/doctor", Action: account.ActHealthWrite, Subject: signed, Handle: on.Do(o.apiDoctor)},
		{Pattern: "GET /incidents/new", Action: account.ActConductWrite, Subject: signed, Handle: on.Do(o.incidentPage)},

		{Pattern: "GET /concerns", Action: account.ActConcernList, Subject: signed, Handle: on.Do(o.concernsPage)},
		{Pattern: "POST /concerns/export", Action: account.ActConcernList, Subject: signed, Handle: on.Do(o.exportConcerns)},
		{Pattern: "GET /concerns/{concern}", Action: account.ActConcernList, Subject: signed, Handle: on.Do(o.concernPage)},
		{Pattern: "POST /concerns/{concern}", Action: account.ActConcernList, Subject: signed, Handle: on.Do(o.step)},
		{Pattern: "GET /api/v1/concerns", Action: account.ActConcernList, Subject: signed, Handle: on.Do(o.apiConcerns)},
		{Pattern: "GET /api/v1/concerns/{concern}", Action: account.ActConcernList, Subject: signed, Handle: on.Do(o.apiConcern)},

		{Pattern: "GET /glass", Action: account.ActGlassOpen, Subject: frame.Anything, Handle: on.Do(o.glassPage)},
		{Pattern: "POST /glass", Action: account.ActGlassOpen, Subject: frame.Anything, Handle: on.Do(o.breakGlass)},
		{Pattern: "GET /glass/{glass}", Action: account.ActGlassOpen, Subject: frame.Anything, Handle: on.Do(o.glassCard)},
		{Pattern: "POST /glass/{glass}/close", Action: account.ActGlassOpen, Subject: frame.Anything, Handle: on.Do(o.closeGlass)},
		{Pattern: "POST /glass/{glass}/review", Action: account.ActGlassReview, Subject: on.About(glassSubject), Handle: on.Do(o.reviewGlass)},
		{Pattern: "GET /api/v1/glass", Action: account.ActGlassOpen, Subject: frame.Anything, Handle: on.Do(o.apiGlasses)},
		{Pattern: "GET /api/v1/glass/{glass}", Action: account.ActGlassOpen, Subject: frame.Anything, Handle: on.Do(o.apiGlass)},

		{Pattern: "GET /records/agreements", Action: account.ActAgreementsView, Subject: frame.Anything, Handle: on.Do(o.agreementsPage)},
		{Pattern: "POST /records/agreements", Action: account.ActAgreementsView, Subject: frame.Anything, Handle: on.Do(o.putAgreement), Body: formBody},
		{Pattern: "GET /api/v1/records/agreements", Action: account.ActAgreementsView, Subject: frame.Anything, Handle: on.Do(o.apiAgreements)},
	}
}

// pupilSubject is the pupil of the address.
func pupilSubject(c *call) (account.Subject, error) {
	id := c.R.PathValue("id")
	if _, ok := c.o.d.People.Student(id); !ok {
		return account.Subject{}, frame.ErrNotFound
	}
	return c.o.d.Records.Subject(c.Actor.ID, id), nil
}

func signedSubject(c *call) (account.Subject, error) {
	return account.Subject{Signed: c.o.d.Records.Signed(c.Actor.ID)}, nil
}

func glassSubject(c *call) (account.Subject, error) {
	g, ok := c.o.d.Records.Glass(c.R.PathValue("glass"))
	if !ok {
		return account.Subject{}, frame.ErrNotFound
	}
	return account.Subject{Person: g.Person}, nil
}

// must asks the permission table about more than the address says, and enters a refusal.
func (c *call) must(action account.Action, s account.Subject) error {
	_, err := c.o.d.Usage.Allow(c.R.Context(), c.Who(), action, s)
	return err
}

// about is a pupil as a subject, with the purpose stated.
func (c *call) about(pupil string) account.Subject {
	s := c.o.d.Records.Subject(c.Actor.ID, pupil)
	s.Purpose = true
	return s
}

// notFound makes what the packages below do not find a page that is not there.
func notFound(err error) error {
	if errors.Is(err, records.ErrNotFound) {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}

// className is the class of a pupil today.
func (c *call) className(pupil string) string {
	cl, ok := c.o.d.People.Class(c.o.d.People.ClassOf(pupil, c.Today()))
	if !ok {
		return ""
	}
	return cl.Name(c.Today())
}

// pupilName is the name of a pupil who is still here, or the id.
func (c *call) pupilName(id string) string {
	if s, ok := c.o.d.People.Student(id); ok {
		return s.Name
	}
	return id
}

// placeName is a place of the school by its id, or the words that were written.
func (c *call) placeName(v string) string {
	for _, p := range c.o.d.Site.Places() {
		if p.ID == v {
			return p.Name
		}
	}
	return v
}

// moment writes when something happened.
func (c *call) moment(s string) (day, clock string) {
	if t, err := time.ParseInLocation(rules.MomentLayout, s, c.o.d.Zone); err == nil {
		return c.P.FullDate(t), c.P.Clock(t)
	}
	if t, err := time.ParseInLocation(student.DateLayout, s, c.o.d.Zone); err == nil {
		return c.P.FullDate(t), ""
	}
	return s, ""
}

func (c *call) date(s string) string {
	day, _ := c.moment(s)
	return day
}

// sentForms are the forms that were sent a short time ago: one that is sent twice changes once.
type sentForms struct {
	mu   sync.Mutex
	done map[string]sentForm // guarded by mu
}

type sentForm struct {
	path string
	at   time.Duration // monotonic
}

const (
	rememberSent = time.Hour
	mostSent     = 2000
)

func (s *sentForms) was(token string) (path string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.done[token]
	return f.path, ok && token != ""
}

func (s *sentForms) add(token, path string, now time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, f := range s.done {
		if now-f.at > rememberSent || len(s.done) >= mostSent {
			delete(s.done, k)
		}
	}
	s.done[token] = sentForm{path, now}
}
