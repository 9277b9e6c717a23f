package accounts

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/firmware/web/frame"
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
		r := dutyRow{ID: d.ID, Name: p.Name, Unit: p.Unit, What: c.P.K("duty.what.", d.What), Roles: c.roleNames(d.Roles), By: c.o.Name(d.By),
			At: c.P.When(d.At.Wall, c.Now.Wall), Until: c.P.When(d.At.Wall.Add(people.DutyTerm), c.Now.Wall)}
		why := ""
		if r.Confirm, r.Drop, why = c.mayDecide(d); why != "" {
			r.Why = c.P.T(why)
		}
		out = append(out, r)
	}
	return out
}

// mayDecide says whether this person may confirm or drop a change; why is the text that says why not confirm.
func (c *call) mayDecide(d people.DutyChange) (confirm, drop bool, why string) {
	may := c.Can(account.ActPeopleConfirm, account.Subject{Person: d.Person})
	switch {
	case !may:
		why = "duty.waits"
	case !c.o.d.People.Independent(c.Actor.ID, d.By):
		why = "err.not_independent"
	}
	return why == "", may || d.By == c.Actor.ID, why
}

func (c *call) roleNames(roles []account.Role) string {
	var out []string
	for _, r := range roles {
		out = append(out, c.P.K("role.", r))
	}
	return strings.Join(out, c.P.T("sep.list"))
}

func (o *Pages) dutyChangesPage(c *call) error {
	return c.Page("duty_changes", c.P.T("duty.changes"), dutyChangesView{Rows: c.dutyRows("")})
}

// changeSubject is the person whom a proposal is about: nobody confirms what concerns themselves.
func changeSubject(c *call) (account.Subject, error) {
	for _, d := range c.o.d.People.DutyChanges() {
		if d.ID == c.R.PathValue("id") {
			return account.Subject{Person: d.Person}, nil
		}
	}
	return account.Subject{Person: "nobody"}, nil // anyone who may not confirm anything does not learn what waits
}

// confirmDuty makes a proposal count. A new one-time password is shown here, once, and not to its proposer.
func (o *Pages) confirmDuty(c *call) error {
	password, err := o.d.People.ConfirmDuty(c.R.Context(), c.Who(), c.R.PathValue("id"))
	if err != nil {
		return err
	}
	if password == "" {
		return c.Done("/people/duties", "done.duty_confirmed")
	}
	p, ok := o.d.People.Person(c.Subject.Person)
	if !ok {
		return frame.ErrNotFound
	}
	return o.showPassword(c, p, password, false)
}

func (o *Pages) dropDuty(c *call) error {
	if err := o.d.People.DropDuty(c.R.Context(), c.Who(), c.R.PathValue("id")); err != nil {
		return err
	}
	if !c.Can(account.ActPeopleConfirm, account.Subject{Person: "anybody else"}) {
		return c.Done("/people", "done.duty_dropped")
	}
	return c.Done("/people/duties", "done.duty_dropped")
}

// dutyNotice is how long deciders see on their first page what happened to duties.
const dutyNotice = 7 * 24 * time.Hour

// dutyNeeds tells those who answer for footage what waits for a second person, and for seven days who got a duty or
// new credentials.
func (c *call) dutyNeeds() ([]frame.Need, error) {
	if !c.Can(account.ActPeopleConfirm, account.Subject{Person: "anybody else"}) {
		return nil, nil
	}
	var out []frame.Need
	for _, r := range c.dutyRows("") {
		n := frame.Need{Tone: "warn", Icon: "users", Badge: c.P.T("duty.waiting"), Kind: c.P.T("nav.people"), Title: c.P.T("need.duty", r.Name, r.What), Text: r.Roles, Due: r.Until, Href: "/people/duties", Do: c.P.T("see")}
		if r.Why != "" {
			n.Text = r.Why
		}
		out = append(out, n)
	}
	page, err := c.o.d.Ledger.Search(c.R.Context(), ledgerdb.Query{Kinds: []ledger.Kind{"person.duty"}, From: c.Now.Wall.Add(-dutyNotice), Limit: 20})
	if err != nil {
		return nil, fmt.Errorf("read what happened to duties: %w", err)
	}
	for _, e := range page.Entries {
		var d struct {
			What, State, By string
			Roles           []account.Role
		}
		if json.Unmarshal(e.Data, &d) != nil || !slices.Contains([]string{"first", "confirmed"}, d.State) || e.Subject == c.Actor.ID {
			continue
		}
		givers := c.ActorName(e.Actor)
		if d.By != "" {
			givers = c.o.Name(d.By) + c.P.T("sep.list") + givers
		}
		out = append(out, frame.Need{Tone: "acc", Icon: "users", Badge: c.P.K("duty.state.", d.State), Kind: c.P.T("nav.people"), Title: c.P.T("notice.duty", c.o.Name(e.Subject), c.P.K("duty.what.", d.What)),
			Text: c.P.T("notice.duty.by", givers, c.roleNames(d.Roles)), Due: c.P.When(e.At, c.Now.Wall), Href: fmt.Sprintf("/log/%d", e.Seq), Do: c.P.T("see")})
	}
	return out, nil
}
