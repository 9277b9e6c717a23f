package records

import (
	"errors"
	"io"
	"net/http"
	"net/url"

	"campuskeep/shared/account"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	rules "campuskeep/shared/records"
)

// agreementsView is who may open records: agreement and training on file (S36).
type agreementsView struct {
	ui.Form
	Rows  []agreementRow
	Edit  bool
	Today string
	Years int
	Lack  int
	who   []ui.Option
}

type agreementRow struct {
	ID, Name, Role         string
	Signed, Trained, Until string
	Tone, Icon, Word       string
}

// Field is a field of the form.
func (v *agreementsView) Field(name, kind string) ui.Field {
	if name == "person" {
		return v.Pick(name, kind, v.who)
	}
	return v.In(name, kind)
}

func (o *Pages) agreementsPage(c *call) error {
	return o.showAgreements(c, http.StatusOK, url.Values{"signed": {c.Today()}, "trained": {c.Today()}, "person": {c.R.URL.Query().Get("person")}, "until": {c.Now.Wall.In(o.d.Zone).AddDate(1, 0, 0).Format("2006-01-02")}}, nil)
}

func (o *Pages) showAgreements(c *call, status int, values url.Values, errs fielderr.Errors) error {
	v := &agreementsView{Form: ui.Form{Name: "agreement", P: c.P, Values: values, Errors: errs}, Today: c.Today(), Years: rules.AgreementYears, Edit: c.Can(account.ActAgreementsEdit, account.Subject{})}
	byID := map[string]rules.Agreement{}
	for _, a := range o.d.Records.Agreements() {
		byID[a.Person] = a
	}
	v.who = []ui.Option{{Text: c.P.T("record.choose")}}
	for _, p := range o.d.People.People() {
		if p.Disabled || !account.May(account.Actor{ID: p.ID, Roles: p.Roles, SecondFactor: true}, account.ActConcernList, account.Subject{Signed: true}, c.Now.Wall).Allowed {
			continue
		}
		r := agreementRow{ID: p.ID, Name: p.Name, Role: roleWord(c, p), Tone: "bad", Icon: "bad", Word: c.P.T("agreement.none")}
		a, ok := byID[p.ID]
		if ok {
			r.Signed, r.Trained, r.Until = c.date(a.Signed), c.date(a.Trained), c.date(a.Until)
		}
		switch {
		case a.Holds(c.Today()):
			r.Tone, r.Icon, r.Word = "ok", "ok", c.P.T("agreement.holds")
		case ok:
			r.Word = c.P.T("agreement.over")
			v.Lack++
		default:
			v.Lack++
		}
		v.Rows = append(v.Rows, r)
		if p.ID != c.Actor.ID {
			v.who = append(v.who, ui.Option{Value: p.ID, Text: c.P.T("record.person", p.Name, r.Role)})
		}
	}
	return c.PageStatus(status, "agreements", c.P.T("agreements.title"), v)
}

func (o *Pages) putAgreement(c *call) error {
	f, files, err := readForm(c.R)
	if err != nil {
		return err
	}
	a := rules.Agreement{Person: f.Get("person"), Signed: f.Get("signed"), Trained: f.Get("trained"), Until: f.Get("until")}
	if err := c.must(account.ActAgreementsEdit, account.Subject{Person: a.Person}); err != nil {
		return err
	}
	var scan io.Reader
	if len(files) > 0 {
		scan = files[0]
	}
	err = o.d.Records.PutAgreement(c.R.Context(), c.Who(), a, scan)
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showAgreements(c, http.StatusUnprocessableEntity, f, errs)
	}
	if err != nil {
		return notFound(err)
	}
	return c.Done("/records/agreements", "done.agreement")
}
