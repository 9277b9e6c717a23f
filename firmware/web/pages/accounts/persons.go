package accounts

import (
	"cmp"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/firmware/site"
	"campuskeep/firmware/viewing"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

type peopleView struct {
	Rows    []personRow
	Query   string
	CanEdit bool
	Count   int
}

type personRow struct {
	P      people.Person
	Roles  string
	Factor bool
}

func (o *Pages) peoplePage(c *call) error {
	v := peopleView{Query: strings.TrimSpace(c.R.URL.Query().Get("q")), CanEdit: c.Can(account.ActPeopleEdit, account.Subject{Person: "anybody else"})}
	list := o.d.People.People()
	v.Count = len(list)
	if v.Query != "" {
		list = o.d.People.FindPeople(v.Query, 200)
	}
	for _, p := range list {
		var roles []string
		for _, r := range p.Roles {
			roles = append(roles, c.P.K("role.", r))
		}
		v.Rows = append(v.Rows, personRow{p, strings.Join(roles, c.P.T("sep.list")), o.d.People.HasFactor(p.ID)})
	}
	return c.Page("people", c.P.T("nav.people"), v)
}

// personView is the form of one person, new or known.
type personView struct {
	Form     ui.Form
	ID       string
	Name     string
	Roles    []ui.Option
	Factor   bool
	Self     bool
	Password string // shown once
	Login    string
	Waits    []dutyRow // what waits for a second person
}

// personSubject: editing is about that person, so that nobody changes their own rights (M3).
func personSubject(c *call) (account.Subject, error) {
	return account.Subject{Person: c.R.PathValue("id")}, nil
}

func newPersonID(*call) (account.Subject, error) { return account.Subject{Person: "new"}, nil }

func (o *Pages) newPersonPage(c *call) error {
	return o.showPerson(c, http.StatusOK, people.Person{}, map[string][]string{"roles": {string(account.RoleStaff)}}, nil)
}

func (o *Pages) personPage(c *call) error {
	p, ok := o.d.People.Person(c.R.PathValue("id"))
	if !ok {
		return frame.ErrNotFound
	}
	values := PersonValues(p)
	values.Set("rev", strconv.FormatUint(p.Rev, 10))
	return o.showPerson(c, http.StatusOK, p, values, nil)
}

// PersonValues are the values of the form of a person.
func PersonValues(p people.Person) url.Values {
	v := url.Values{"login": {p.Login}, "name": {p.Name}, "staff_no": {p.StaffNo}, "unit": {p.Unit}, "title": {p.Title}, "phone": {p.Phone}}
	for _, r := range p.Roles {
		v["roles"] = append(v["roles"], string(r))
	}
	if p.Disabled {
		v["disabled"] = []string{"yes"}
	}
	return v
}

func (o *Pages) showPerson(c *call, status int, p people.Person, values map[string][]string, errs fielderr.Errors) error {
	v := personView{Form: ui.Form{Name: "person", P: c.P, Values: values, Errors: errs}, ID: p.ID, Name: p.Name, Self: p.ID == c.Actor.ID}
	if p.ID != "" {
		v.Factor, v.Waits = o.d.People.HasFactor(p.ID), c.dutyRows(p.ID)
	}
	for _, r := range slices.Backward(frame.RoleOrder) {
		if !slices.Contains(people.StaffRoles, r) {
			continue
		}
		v.Roles = append(v.Roles, ui.Option{Value: string(r), Text: c.P.K("role.", r), Hint: c.P.K("role.hint.", r)})
	}
	title := c.P.T("person.new")
	if p.ID != "" {
		title = p.Name
	}
	return c.PageStatus(status, "person", title, v)
}

func (o *Pages) putPerson(c *call) error {
	f := c.R.PostForm
	id := c.R.PathValue("id")
	p, known := o.d.People.Person(id)
	if id != "" && !known {
		return frame.ErrNotFound
	}
	if known {
		shown := frame.FormRev(f)
		if shown != p.Rev {
			return o.personMoved(c, id)
		}
		p.Rev = shown
	}
	p.Login, p.Name, p.StaffNo = strings.TrimSpace(f.Get("login")), strings.TrimSpace(f.Get("name")), strings.TrimSpace(f.Get("staff_no"))
	p.Unit, p.Title, p.Phone, p.Disabled = strings.TrimSpace(f.Get("unit")), strings.TrimSpace(f.Get("title")), strings.TrimSpace(f.Get("phone")), f.Get("disabled") != ""
	p.Roles = nil
	for _, r := range f["roles"] {
		p.Roles = append(p.Roles, account.Role(r))
	}
	asked := p.Roles
	var err error
	password := ""
	if known {
		err = o.d.People.ChangePerson(c.R.Context(), c.Who(), p)
	} else {
		p, password, err = o.d.People.AddPerson(c.R.Context(), c.Who(), p, "")
	}
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showPerson(c, http.StatusUnprocessableEntity, people.Person{ID: id, Name: p.Name}, f, errs)
	}
	if known && errors.Is(err, ledgerdb.ErrConflict) {
		return o.personMoved(c, id)
	}
	if err != nil {
		return err
	}
	waits := slices.ContainsFunc(o.d.People.DutyChanges(), func(d people.DutyChange) bool {
		return d.Person == p.ID && d.What == people.DutyRoles && slices.Equal(d.Roles, asked)
	})
	switch {
	case password != "":
		return o.showPassword(c, p, password, waits)
	case waits:
		return c.Done("/people/"+p.ID, "done.duty_proposed")
	}
	return c.Done("/people", "done.person")
}

// personMoved shows the form again with what was typed, and at each field what somebody else has put there meanwhile.
// Saving it again is then said of what is seen.
func (o *Pages) personMoved(c *call, id string) error {
	now, ok := o.d.People.Person(id)
	if !ok {
		return frame.ErrNotFound
	}
	typed, stored := maps.Clone(c.R.PostForm), PersonValues(now)
	errs := fielderr.Errors{{Field: "rev", Rule: site.RowChanged}}
	for _, field := range []string{"name", "login", "staff_no", "unit", "title", "phone"} {
		if v := stored.Get(field); strings.TrimSpace(typed.Get(field)) != v {
			errs.Add(field, "err.row_now", cmp.Or(v, "–"))
		}
	}
	if !sameWords(typed["roles"], stored["roles"]) {
		var words []string
		for _, r := range now.Roles {
			words = append(words, c.P.K("role.", r))
		}
		errs.Add("roles", "err.row_now", cmp.Or(strings.Join(words, c.P.T("sep.list")), "–"))
	}
	if typed.Has("disabled") != now.Disabled {
		errs.Add("disabled", "err.row_now", c.P.T(map[bool]string{false: "person.active", true: "person.disabled"}[now.Disabled]))
	}
	typed.Set("rev", strconv.FormatUint(now.Rev, 10))
	return o.showPerson(c, http.StatusConflict, people.Person{ID: id, Name: now.Name}, typed, errs)
}

// sameWords says that two lists have the same members, in whatever order.
func sameWords(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// showPassword shows a one-time password, once: it is stored nowhere, and the page is not kept.
func (o *Pages) showPassword(c *call, p people.Person, password string, waits bool) error {
	v := personView{ID: p.ID, Name: p.Name, Login: p.Login, Password: password}
	if waits {
		v.Waits = c.dutyRows(p.ID)
	}
	return c.Page("password", c.P.T("person.password"), v)
}

func (o *Pages) resetPassword(c *call) error {
	p, ok := o.d.People.Person(c.R.PathValue("id"))
	if !ok {
		return frame.ErrNotFound
	}
	password, err := o.d.People.ResetPassword(c.R.Context(), c.Who(), p.ID)
	if errors.Is(err, people.ErrProposed) {
		return c.Done("/people/"+p.ID, "done.duty_proposed")
	}
	if err != nil {
		return err
	}
	o.d.Viewings.EndOf(c.R.Context(), p.ID, viewing.LoggedOut)
	return o.showPassword(c, p, password, false)
}

func (o *Pages) resetFactor(c *call) error {
	err := o.d.People.ResetFactor(c.R.Context(), c.Who(), c.R.PathValue("id"))
	if errors.Is(err, people.ErrProposed) {
		return c.Done("/people/"+c.R.PathValue("id"), "done.duty_proposed")
	}
	if err != nil {
		return err
	}
	return c.Done("/people/"+c.R.PathValue("id"), "done.factor_reset")
}
