package usage

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/firmware/usage"
	"campuskeep/firmware/web/frame"
	"campuskeep/firmware/web/timeline"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	rules "campuskeep/shared/usage"
)

// formRows is how many places the form offers; more are asked for with a button that needs no script.
const (
	formRows = 1
	mostRows = 16
)

// applyView is 《视频监控信息使用申请表》 while it is filled in.
type applyView struct {
	Form      ui.Form
	ID        string // of a returned one that is mended
	Number    string
	Returned  string
	Unit      string
	Person    string
	Purposes  []ui.Option
	Ways      []ui.Option
	Promises  []ui.Option
	Rows      []wantRow
	Recipient []recipientRow
	Places    []string
	Offers    []offerRow
	Hold      string
	Sum       string
	Now       string
	Key       string // the same form sent twice is one application
}

type wantRow struct {
	N               int
	Place, From, To string
	Err             string
}

type recipientRow struct {
	N                    int
	Name, Unit, Document string
	Outside              bool
	Err                  string
}

// offerRow is what there is of one camera for one line of the form.
type offerRow struct {
	Camera   string
	Span     string
	Scale    string
	Present  []frame.Bar
	Missing  []frame.Bar
	Gone     []frame.Bar
	Lacking  time.Duration
	Complete bool
	None     bool
	Loses    string // when the first of it falls off unless it is held
	TooLate  string // what is deleted already: no hold can keep it
}

// applyPage shows the empty form, a returned application to be mended, or a new one like an earlier one of one's own.
func (o *Pages) applyPage(c *call) error {
	q := c.R.URL.Query()
	values := url.Values{"use_from": {string(rules.DateOf(c.Now.Wall))}, "use_until": {string(rules.DateOf(c.Now.Wall).Add(6))}, "ways": {string(rules.WayView)},
		"contact": {c.Session.Person.Phone}, "wanted.0.place": {q.Get("place")}, "wanted.0.from": {q.Get("from")}, "wanted.0.to": {q.Get("to")},
		"recipients.0.name": {c.Session.Person.Name}, "recipients.0.unit": {c.Session.Person.Unit}, "recipients.0.papers": {c.Session.Person.StaffNo}}
	var was rules.Application
	if id := q.Get("mend"); id != "" {
		a, err := o.d.Usage.Get(id)
		if err != nil {
			return err
		}
		if a.Applicant != c.Actor.ID || a.State != rules.Returned {
			return frame.ErrNotFound
		}
		was, values = a, o.formValues(c, a)
	} else if id := q.Get("like"); id != "" {
		a, err := o.d.Usage.Get(id)
		if err != nil {
			return err
		}
		if a.Applicant != c.Actor.ID {
			return frame.ErrNotFound
		}
		use := url.Values{"use_from": values["use_from"], "use_until": values["use_until"]}
		values = o.formValues(c, a)
		maps.Copy(values, use)
	}
	return o.showApply(c, 200, was, values, nil)
}

func (o *Pages) formValues(c *call, a rules.Application) url.Values {
	v := url.Values{"contact": {a.Contact}, "purpose": {string(a.Purpose)}, "reason": {a.Reason}, "use_from": {string(a.UseFrom)}, "use_until": {string(a.UseUntil)}}
	for _, w := range a.Ways {
		v.Add("ways", string(w))
	}
	for i, w := range a.Wanted {
		n := fmt.Sprintf("wanted.%d.", i)
		v.Set(n+"place", w.Place)
		v.Set(n+"from", c.P.Input(w.Span.From))
		v.Set(n+"to", c.P.Input(w.Span.To))
	}
	for i, r := range a.Recipients {
		n := fmt.Sprintf("recipients.%d.", i)
		v.Set(n+"name", r.Name)
		v.Set(n+"unit", r.Unit)
		v.Set(n+"papers", r.Document)
		if r.Outside {
			v.Set(n+"outside", "yes")
		}
	}
	for _, k := range []struct {
		name string
		on   bool
	}{{"publication", a.Publication}, {"identified", a.Identified}} {
		if k.on {
			v.Set(k.name, "yes")
		}
	}
	return v
}

func (o *Pages) showApply(c *call, status int, was rules.Application, values url.Values, errs fielderr.Errors) error {
	places, err := o.d.Usage.Places(c.R.Context())
	if err != nil {
		return fmt.Errorf("list the places: %w", err)
	}
	v := applyView{Form: ui.Form{Name: "apply", P: c.P, Values: values, Errors: errs}, ID: was.ID, Number: was.Number(), Returned: was.Returned,
		Unit: c.Session.Person.Unit, Person: c.Session.Person.Name, Places: places, Now: c.P.Input(c.Now.Wall), Key: cmp.Or(values.Get("key"), rand.Text())}
	if c.Session.Person.StaffNo != "" {
		v.Person += c.P.T("apply.staff_no", c.Session.Person.StaffNo)
	}
	for _, p := range rules.AllPurposes {
		v.Purposes = append(v.Purposes, ui.Option{Value: string(p), Code: string(p), Text: c.P.K("purpose.", p), Hint: c.P.K("purpose.papers.", p)})
	}
	for _, w := range rules.OfferedWays {
		v.Ways = append(v.Ways, ui.Option{Value: string(w), Text: c.P.K("way.", w), Hint: c.P.K("way.hint.", w)})
	}
	for _, u := range rules.AllUndertakings {
		v.Promises = append(v.Promises, ui.Option{Value: string(u), Text: c.P.T("undertaking."+string(u), o.d.Site.Settings().Register.ReportDays), Hint: v.Form.Error("undertakings." + string(u)), On: v.Form.Has("undertakings", string(u))})
	}
	v.Rows = wantRows(v.Form)
	v.Recipient = recipientRows(v.Form)
	if err := o.offerTo(c, &v); err != nil {
		return err
	}
	return c.PageStatus(status, "application_new", c.P.T("apply.title"), v)
}

// offerTo fills in the availability map: what exists, what is missing, what falls off before review.
func (o *Pages) offerTo(c *call, v *applyView) error {
	wanted, _ := c.wants(v.Form.Values)
	if len(wanted) == 0 {
		return nil
	}
	offers, err := o.d.Usage.Available(c.R.Context(), wanted)
	if err != nil {
		return fmt.Errorf("look up what there is: %w", err)
	}
	var length, lacking time.Duration
	first := time.Time{}
	for _, f := range offers {
		v.Offers = append(v.Offers, c.offer(wanted[f.Span], f))
		length += wanted[f.Span].Span.Duration()
		lacking += f.Lacking()
		if !f.FirstLoss.IsZero() && (first.IsZero() || f.FirstLoss.Before(first)) {
			first = f.FirstLoss
		}
	}
	if len(v.Offers) > 0 {
		v.Sum = c.P.T("apply.sum", len(v.Offers), length)
		if lacking > 0 {
			v.Sum = c.P.T("apply.sum.lacking", len(v.Offers), length, lacking)
		}
	}
	if !first.IsZero() {
		v.Hold = c.P.T("apply.hold", c.P.When(first, c.Now.Wall))
	}
	return nil
}

func (o *Pages) offers(c *call, wanted []rules.RequestedSpan) ([]offerRow, error) {
	offers, err := o.d.Usage.Available(c.R.Context(), wanted)
	if err != nil {
		return nil, fmt.Errorf("look up what there is: %w", err)
	}
	var out []offerRow
	for _, f := range offers {
		out = append(out, c.offer(wanted[f.Span], f))
	}
	return out, nil
}

func (c *call) offer(w rules.RequestedSpan, f usage.Offer) offerRow {
	sc := timeline.Scale{From: w.Span.From, To: w.Span.To}
	row := offerRow{Camera: f.Camera.Name, Span: c.P.Span(w.Span.From, w.Span.To), Lacking: f.Lacking(), Complete: f.Complete(), None: len(f.Present) == 0}
	for list, spans := range map[*[]frame.Bar][]footage.Span{&row.Present: f.Present, &row.Missing: f.Missing, &row.Gone: f.Gone} {
		for _, s := range spans {
			*list = append(*list, sc.Bar(s).AtLeast(0.01))
		}
	}
	if !f.FirstLoss.IsZero() {
		row.Loses = c.P.When(f.FirstLoss, c.Now.Wall)
	}
	row.TooLate = c.tooLateText(f.PastRetention)
	return row
}

// wants reads the lines of places and times; a line with nothing in it does not count.
func (c *call) wants(f url.Values) ([]rules.RequestedSpan, []int) {
	var out []rules.RequestedSpan
	var lines []int
	for i := range mostRows {
		n := fmt.Sprintf("wanted.%d.", i)
		place, from, to := f.Get(n+"place"), f.Get(n+"from"), f.Get(n+"to")
		if place == "" && from == "" && to == "" {
			continue
		}
		out = append(out, rules.RequestedSpan{Place: place, Span: footage.Span{From: c.instant(from), To: c.instant(to)}})
		lines = append(lines, i)
	}
	return out, lines
}

// instant reads a datetime-local field; what cannot be read is the zero time, which the rules refuse.
func (c *call) instant(s string) time.Time {
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(layout, s, c.o.d.Zone); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

func wantRows(f ui.Form) []wantRow {
	var out []wantRow
	rows := rowCount(f.Values, "wanted.", formRows)
	for i := range rows {
		n := fmt.Sprintf("wanted.%d.", i)
		r := wantRow{N: i, Place: f.Values.Get(n + "place"), From: f.Values.Get(n + "from"), To: f.Values.Get(n + "to")}
		r.Err = firstError(f, n+"place", n+"from", n+"to")
		out = append(out, r)
	}
	return out
}

func recipientRows(f ui.Form) []recipientRow {
	var out []recipientRow
	rows := rowCount(f.Values, "recipients.", 1)
	for i := range rows {
		n := fmt.Sprintf("recipients.%d.", i)
		r := recipientRow{N: i, Name: f.Values.Get(n + "name"), Unit: f.Values.Get(n + "unit"), Document: f.Values.Get(n + "papers"), Outside: f.Values.Get(n+"outside") != ""}
		r.Err = firstError(f, n+"name", n+"unit", n+"papers")
		out = append(out, r)
	}
	return out
}

func firstError(f ui.Form, fields ...string) string {
	for _, x := range fields {
		if e := f.Error(x); e != "" {
			return e
		}
	}
	return ""
}

// rowCount is how many lines of a list the form shows: those filled in, and one more when asked for.
func rowCount(f url.Values, prefix string, least int) int {
	n := least
	for k, v := range f {
		rest, ok := strings.CutPrefix(k, prefix)
		if !ok || len(v) == 0 || v[0] == "" {
			continue
		}
		num, _, _ := strings.Cut(rest, ".")
		if i, err := strconv.Atoi(num); err == nil && i >= 0 && i < mostRows {
			n = max(n, i+1)
		}
	}
	if f.Get("add") == strings.TrimSuffix(prefix, ".") {
		n = min(n+1, mostRows)
	}
	return n
}

// availability answers the form while it is filled in: the same part of the page, filled in again.
func (o *Pages) availability(c *call) error {
	v := applyView{Form: ui.Form{Name: "apply", P: c.P, Values: c.R.URL.Query()}}
	if err := o.offerTo(c, &v); err != nil {
		return err
	}
	return c.Part("application_new", "offers", v)
}

// submit takes the form. What is wrong comes back at its field, and nothing is half-done.
func (o *Pages) submit(c *call) error {
	f := c.R.PostForm
	var was rules.Application
	if id := f.Get("mend"); id != "" {
		a, err := o.d.Usage.Get(id)
		if err != nil {
			return err
		}
		was = a
	}
	if f.Get("add") != "" || f.Get("look") != "" {
		return o.showApply(c, 200, was, f, nil)
	}
	a := rules.Application{ID: was.ID, Key: f.Get("key"), Unit: c.Session.Person.Unit, Contact: strings.TrimSpace(f.Get("contact")), Purpose: rules.Purpose(f.Get("purpose")),
		Reason: strings.TrimSpace(f.Get("reason")), UseFrom: rules.Date(f.Get("use_from")), UseUntil: rules.Date(f.Get("use_until")),
		Publication: f.Get("publication") != "", Identified: f.Get("identified") != ""}
	for _, w := range f["ways"] {
		a.Ways = append(a.Ways, rules.Way(w))
	}
	for _, u := range f["undertakings"] {
		a.Undertakings = append(a.Undertakings, rules.Undertaking(u))
	}
	wanted, lines := c.wants(f)
	a.Wanted = wanted
	var people []int
	for i := range mostRows {
		n := fmt.Sprintf("recipients.%d.", i)
		r := rules.Recipient{Name: strings.TrimSpace(f.Get(n + "name")), Unit: strings.TrimSpace(f.Get(n + "unit")), Document: strings.TrimSpace(f.Get(n + "papers")), Outside: f.Get(n+"outside") != ""}
		if r != (rules.Recipient{}) {
			a.Recipients = append(a.Recipients, r)
			people = append(people, i)
		}
	}
	done, err := o.d.Usage.Submit(c.R.Context(), c.Who(), a)
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showApply(c, 422, was, f, onLines(onLines(errs, "wanted.", lines), "recipients.", people))
	}
	if err != nil {
		return err
	}
	return c.Done("/applications/"+done.ID, "done.submitted")
}

// onLines turns the index of a fault from the application's list into the line of the form.
func onLines(errs fielderr.Errors, prefix string, lines []int) fielderr.Errors {
	out := slices.Clone(errs)
	for i, e := range out {
		rest, ok := strings.CutPrefix(e.Field, prefix)
		if !ok {
			continue
		}
		num, field, _ := strings.Cut(rest, ".")
		if n, err := strconv.Atoi(num); err == nil && n < len(lines) {
			out[i].Field = fmt.Sprintf("%s%d.%s", prefix, lines[n], field)
		}
	}
	return out
}

// mayApply is the subject of handing in a form: oneself.
func mayApply(c *call) (account.Subject, error) {
	return account.Subject{Applicant: c.Actor.ID}, nil
}
