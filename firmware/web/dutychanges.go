package web

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
)

// dutyRow is a change of a duty person's rights or credentials that waits for a second person.
type dutyRow struct {
	ID, Name, Unit string
	What, Roles    string
	By, At, Until  string
	Confirm, Drop  bool
	Why            string // why this person cannot confirm it
}

type dutyChangesView struct{ Rows []dutyRow }

// dutyRows lists what waits; of one person, or of all when person is empty.
func (c *call) dutyRows(person string) (out []dutyRow) {
	for _, d := range c.o.d.People.DutyChanges() {
		if person != "" && d.Person != person {
			continue
		}
		p, _ := c.o.d.People.Person(d.Person)
		r := dutyRow{ID: d.ID, Name: p.Name, Unit: p.Unit, What: c.p.K("duty.what.", d.What), Roles: c.roleNames(d.Roles), By: c.o.name(d.By),
			At: c.p.When(d.At.Wall, c.now.Wall), Until: c.p.When(d.At.Wall.Add(people.DutyTerm), c.now.Wall)}
		may := c.can(account.ActPeopleConfirm, account.Subject{Person: d.Person})
		r.Drop = may || d.By == c.actor.ID
		switch {
		case !may:
			r.Why = c.p.T("duty.waits")
		case !c.o.d.People.Independent(c.actor.ID, d.By):
			r.Why = c.p.T("err.not_independent")
		default:
			r.Confirm = true
		}
		out = append(out, r)
	}
	return out
}

func (c *call) roleNames(roles []account.Role) string {
	var out []string
	for _, r := range roles {
		out = append(out, c.p.K("role.", r))
	}
	return strings.Join(out, c.p.T("sep.list"))
}

func (o *Server) dutyChangesPage(c *call) error {
	return c.page("duty_changes", c.p.T("duty.changes"), dutyChangesView{Rows: c.dutyRows("")})
}

// changeSubject is the person whom a proposal is about: nobody confirms what concerns themselves.
func changeSubject(c *call) (account.Subject, error) {
	for _, d := range c.o.d.People.DutyChanges() {
		if d.ID == c.r.PathValue("id") {
			return account.Subject{Person: d.Person}, nil
		}
	}
	return account.Subject{Person: "nobody"}, nil // anyone who may not confirm anything does not learn what waits
}

// confirmDuty makes a proposal count. A new one-time password is shown here, once, and not to its proposer.
func (o *Server) confirmDuty(c *call) error {
	password, err := o.d.People.ConfirmDuty(c.r.Context(), c.who(), c.r.PathValue("id"))
	if err != nil {
		return err
	}
	if password == "" {
		return c.done("/people/duties", "done.duty_confirmed")
	}
	p, ok := o.d.People.Person(c.subject.Person)
	if !ok {
		return errNotFound
	}
	return o.showPassword(c, p, password, false)
}

func (o *Server) dropDuty(c *call) error {
	if err := o.d.People.DropDuty(c.r.Context(), c.who(), c.r.PathValue("id")); err != nil {
		return err
	}
	if !c.can(account.ActPeopleConfirm, account.Subject{Person: "anybody else"}) {
		return c.done("/people", "done.duty_dropped")
	}
	return c.done("/people/duties", "done.duty_dropped")
}

// dutyNotice is how long deciders see on their first page what happened to duties.
const dutyNotice = 7 * 24 * time.Hour

// dutyNeeds tells those who answer for footage what waits for a second person, and for seven days who got a duty or
// new credentials.
func (c *call) dutyNeeds() ([]need, error) {
	if !c.can(account.ActPeopleConfirm, account.Subject{Person: "anybody else"}) {
		return nil, nil
	}
	var out []need
	for _, r := range c.dutyRows("") {
		n := need{Tone: "warn", Icon: "users", Badge: c.p.T("duty.waiting"), Kind: c.p.T("nav.people"), Title: c.p.T("need.duty", r.Name, r.What), Text: r.Roles, Due: r.Until, Href: "/people/duties", Do: c.p.T("see")}
		if r.Why != "" {
			n.Text = r.Why
		}
		out = append(out, n)
	}
	page, err := c.o.d.Ledger.Search(c.r.Context(), ledgerdb.Query{Kinds: []ledger.Kind{"person.duty"}, From: c.now.Wall.Add(-dutyNotice), Limit: 20})
	if err != nil {
		return nil, fmt.Errorf("read what happened to duties: %w", err)
	}
	for _, e := range page.Entries {
		var d struct {
			What, State, By string
			Roles           []account.Role
		}
		if json.Unmarshal(e.Data, &d) != nil || !slices.Contains([]string{"first", "confirmed"}, d.State) || e.Subject == c.actor.ID {
			continue
		}
		givers := c.actorName(e.Actor)
		if d.By != "" {
			givers = c.o.name(d.By) + c.p.T("sep.list") + givers
		}
		out = append(out, need{Tone: "acc", Icon: "users", Badge: c.p.K("duty.state.", d.State), Kind: c.p.T("nav.people"), Title: c.p.T("notice.duty", c.o.name(e.Subject), c.p.K("duty.what.", d.What)),
			Text: c.p.T("notice.duty.by", givers, c.roleNames(d.Roles)), Due: c.p.When(e.At, c.now.Wall), Href: fmt.Sprintf("/log/%d", e.Seq), Do: c.p.T("see")})
	}
	return out, nil
}
