package usage

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	rules "campuskeep/shared/usage"
)

// decideForm offers what was asked for, and to the second of two what the first approved.
func (o *Pages) decideForm(c *call, a rules.Application, errs fielderr.Errors) *decideForm {
	asked := rules.Decision{Cameras: a.Cameras, Spans: a.Spans(), Ways: a.Ways, From: a.UseFrom, Until: a.UseUntil}
	if len(asked.Cameras) == 0 {
		asked.Cameras = askedCameras(a)
	}
	f := &decideForm{Second: a.NeedsSecond(), Last: a.State == rules.AwaitSecond}
	if f.Last {
		asked = *a.Decision
	}
	values := c.R.PostForm
	if values == nil || !values.Has("decision") && !values.Has("look") {
		values = url.Values{"until": {string(asked.Until)}, "from": {string(asked.From)}, "cameras": asked.Cameras}
		for _, w := range asked.Ways {
			values.Add("ways", string(w))
		}
		for i := range asked.Spans {
			values.Add("spans", fmt.Sprint(i))
		}
	}
	f.Form = ui.Form{Name: "decide", P: c.P, Values: values, Errors: errs}
	for _, id := range asked.Cameras {
		option := ui.Option{Value: id, Text: o.CameraName(id)}
		if cam, ok := o.d.Site.Camera(id); ok {
			option.Hint = cam.Place
		}
		f.Cameras = append(f.Cameras, option)
	}
	for i, s := range asked.Spans {
		f.Spans = append(f.Spans, ui.Option{Value: fmt.Sprint(i), Text: c.P.Span(s.From, s.To), Hint: c.CameraNames(asked.In(a, s))})
	}
	for _, w := range asked.Ways {
		off := !slices.Contains(rules.OfferedWays, w)
		f.Ways = append(f.Ways, ui.Option{Value: string(w), Text: c.P.K("way.", w), Hint: c.P.K("way.hint.", w), Off: off})
	}
	f.Codes = append(f.Codes, ui.Option{Value: "", Text: c.P.T("decide.choose")})
	for _, code := range rules.AllRejections {
		f.Codes = append(f.Codes, ui.Option{Value: code, Text: c.P.K("reject.", code)})
	}
	// A copy has a reviewer and an approver: anyone who takes the application up cannot approve it.
	if a.AsksCopy() && !a.OfOffice && (a.State == rules.Submitted || a.State == rules.UnderReview && a.Reviewer == c.Actor.ID) {
		f.Locked = c.P.T("err.reviewer_approves")
	}
	return f
}

// askedCameras are the cameras that an application asks for: those that were at its places when it was submitted.
func askedCameras(a rules.Application) []string {
	var out []string
	for _, w := range a.Wanted {
		for _, c := range w.Cameras {
			if !slices.Contains(out, c) {
				out = append(out, c)
			}
		}
	}
	return out
}

// decide approves in full or in part, or refuses with a reason.
func (o *Pages) decide(c *call) error {
	a, err := o.d.Usage.Get(c.R.PathValue("id"))
	if err != nil {
		return err
	}
	f := c.R.PostForm
	d := rules.Decision{Approved: f.Get("decision") == "approve", Note: strings.TrimSpace(f.Get("note"))}
	var errs fielderr.Errors
	switch f.Get("decision") {
	case "approve":
		d.Cameras = f["cameras"]
		for _, w := range f["ways"] {
			d.Ways = append(d.Ways, rules.Way(w))
		}
		spans := a.Spans()
		if a.State == rules.AwaitSecond {
			spans = a.Decision.Spans
		}
		for _, n := range f["spans"] {
			if i, err := strconv.Atoi(n); err == nil && i >= 0 && i < len(spans) {
				d.Spans = append(d.Spans, spans[i])
			}
		}
		d.From, d.Until = rules.Date(f.Get("from")), rules.Date(f.Get("until"))
		for _, x := range []struct {
			field string
			empty bool
		}{{"cameras", len(d.Cameras) == 0}, {"spans", len(d.Spans) == 0}, {"ways", len(d.Ways) == 0}} {
			if x.empty {
				errs.Add(x.field, "err.required")
			}
		}
	case "reject":
		d.Code = f.Get("code")
		if d.Code == "" {
			errs.Add("code", "err.required")
		}
		if d.Note == "" {
			errs.Add("note", "err.required")
		}
	default:
		errs.Add("decision", "err.choice")
	}
	if len(errs) > 0 {
		return o.showApplication(c, http.StatusUnprocessableEntity, a, errs)
	}
	a, err = o.d.Usage.Decide(c.R.Context(), c.Who(), a.ID, d)
	switch {
	case err != nil:
		return o.showNotDone(c, a.ID, err)
	case a.State == rules.AwaitSecond:
		return c.Done("/applications/"+a.ID, "done.approved_first")
	case d.Approved:
		return c.Done("/applications/"+a.ID, "done.approved")
	}
	return c.Done("/applications/"+a.ID, "done.rejected")
}

// showNotDone shows an application as it is now, why the act on it was not done, and what was typed for it.
func (o *Pages) showNotDone(c *call, id string, err error) error {
	errs, fields := errors.AsType[fielderr.Errors](err)
	status := http.StatusUnprocessableEntity
	if illegal, ok := errors.AsType[*rules.Illegal](err); ok {
		status, errs = http.StatusConflict, fielderr.Errors{{Field: "state", Rule: illegal.Rule}}
	} else if errors.Is(err, ledgerdb.ErrConflict) {
		status, errs = http.StatusConflict, fielderr.Errors{{Field: "state", Rule: "err.state"}}
	} else if !fields {
		return err
	}
	a, err := o.d.Usage.Get(id)
	if err != nil {
		return err
	}
	return o.showApplication(c, status, a, errs)
}

// step does one of the small steps of an application and says so.
func (o *Pages) step(done string, do func(*call, string) (rules.Application, error)) handler {
	return func(c *call) error {
		id := c.R.PathValue("id")
		if _, err := do(c, id); err != nil {
			if c.API() {
				return err
			}
			return o.showNotDone(c, id, err)
		}
		return c.Done("/applications/"+id, done)
	}
}

func (o *Pages) startReview(c *call, id string) (rules.Application, error) {
	a, err := o.d.Usage.Get(id)
	if err != nil {
		return a, err
	}
	return o.d.Usage.Review(c.R.Context(), c.Who(), id, askedCameras(a), "")
}

func (o *Pages) returnApplication(c *call, id string) (rules.Application, error) {
	return o.d.Usage.Return(c.R.Context(), c.Who(), id, strings.TrimSpace(c.R.PostForm.Get("reason")))
}

func (o *Pages) accept(c *call, id string) (rules.Application, error) {
	return o.d.Usage.Accept(c.R.Context(), c.Who(), id)
}

// revoke ends an approval, and what is being watched under it.
func (o *Pages) revoke(c *call, id string) (rules.Application, error) {
	a, err := o.d.Usage.Revoke(c.R.Context(), c.Who(), id, strings.TrimSpace(c.R.PostForm.Get("reason")))
	if err == nil {
		o.d.Viewings.EndUnder(c.R.Context(), id)
	}
	return a, err
}

// extend lets the use go on until a later day.
func (o *Pages) extend(c *call, id string) (rules.Application, error) {
	f := c.R.PostForm
	return o.d.Usage.Extend(c.R.Context(), c.Who(), id, rules.Date(f.Get("until")), strings.TrimSpace(f.Get("note")))
}

func (o *Pages) withdraw(c *call, id string) (rules.Application, error) {
	a, err := o.d.Usage.Withdraw(c.R.Context(), c.Who(), id)
	if err == nil {
		o.d.Viewings.EndUnder(c.R.Context(), id)
	}
	return a, err
}

func (o *Pages) report(c *call, id string) (rules.Application, error) {
	f := c.R.PostForm
	return o.d.Usage.Report(c.R.Context(), c.Who(), id, rules.Report{At: c.Now.Wall.UTC(), Result: f.Get("result"), Text: strings.TrimSpace(f.Get("text")), Copies: f.Get("copies")})
}
