package accounts

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/people"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
)

// APIPerson is what the list of people shows of an account.
type APIPerson struct {
	ID       string         `json:"id"`
	Login    string         `json:"login"`
	Name     string         `json:"name"`
	StaffNo  string         `json:"staff_no"`
	Unit     string         `json:"unit"`
	Title    string         `json:"title,omitempty"`
	Roles    []account.Role `json:"roles"`
	Disabled bool           `json:"disabled"`
	Factor   bool           `json:"second_factor"`
}

func (o *Pages) apiPerson(p people.Person) APIPerson {
	return APIPerson{p.ID, p.Login, p.Name, p.StaffNo, p.Unit, p.Title, p.Roles, p.Disabled, o.d.People.HasFactor(p.ID)}
}

func (o *Pages) apiPeople(c *call) error {
	list := o.d.People.People()
	if q := strings.TrimSpace(c.R.URL.Query().Get("q")); q != "" {
		list = o.d.People.FindPeople(q, 200)
	}
	out := []APIPerson{}
	for _, p := range list {
		out = append(out, o.apiPerson(p))
	}
	return c.JSON(http.StatusOK, out)
}

// APIAccount is one account with what its form shows, as JSON.
type APIAccount struct {
	APIPerson
	Phone    string          `json:"phone,omitempty"`
	Revision uint64          `json:"revision"`
	Waits    []APIDutyChange `json:"waiting"` // changes that wait for a second person
}

func (o *Pages) apiOnePerson(c *call) error {
	p, ok := o.d.People.Person(c.R.PathValue("id"))
	if !ok {
		return frame.ErrNotFound
	}
	return c.JSON(http.StatusOK, APIAccount{o.apiPerson(p), p.Phone, p.Rev, c.apiDuties(p.ID)})
}

// APIDutyChange is a change of a duty person's rights or credentials that waits for a second person, as JSON.
type APIDutyChange struct {
	ID      string         `json:"id"`
	Person  string         `json:"person"`
	What    string         `json:"what"`
	Roles   []account.Role `json:"roles,omitempty"`
	By      string         `json:"by"`
	At      time.Time      `json:"at"`
	Until   time.Time      `json:"until"`
	Confirm bool           `json:"may_confirm"`
	Drop    bool           `json:"may_drop"`
}

// apiDuties lists what waits; of one person, or of all when person is empty.
func (c *call) apiDuties(person string) []APIDutyChange {
	out := []APIDutyChange{}
	for _, d := range c.o.d.People.DutyChanges() {
		if person != "" && d.Person != person {
			continue
		}
		confirm, drop, _ := c.mayDecide(d)
		out = append(out, APIDutyChange{d.ID, d.Person, d.What, d.Roles, d.By, d.At.Wall.UTC(), d.At.Wall.Add(people.DutyTerm).UTC(), confirm, drop})
	}
	return out
}

func (o *Pages) apiDutyChanges(c *call) error { return c.JSON(http.StatusOK, c.apiDuties("")) }

// APISession is an open log-in, as JSON.
type APISession struct {
	ID      string    `json:"id"`
	Address string    `json:"address"`
	Device  string    `json:"device"`
	Began   time.Time `json:"began"`
	Here    bool      `json:"here"` // it is the one that asks
}

// APISelf is one's own account with its open log-ins, as JSON.
type APISelf struct {
	APIPerson
	Phone        string       `json:"phone,omitempty"`
	MustPassword bool         `json:"must_change_password"`
	MustFactor   bool         `json:"must_set_up_second_factor"`
	Sessions     []APISession `json:"sessions"`
}

func (o *Pages) apiSelf(c *call) error {
	p := c.Session.Person
	out := APISelf{APIPerson: o.apiPerson(p), Phone: p.Phone, MustPassword: c.Session.MustPassword, Sessions: []APISession{}}
	out.MustFactor = c.Session.MustFactor && !out.Factor
	for _, s := range o.d.People.Sessions(c.Actor.ID) {
		out.Sessions = append(out.Sessions, APISession{s.ID, s.From.Address, s.From.Device, s.Began.UTC(), s.ID == c.Session.ID})
	}
	slices.SortFunc(out.Sessions, func(a, b APISession) int { return b.Began.Compare(a.Began) })
	return c.JSON(http.StatusOK, out)
}
