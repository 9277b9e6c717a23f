package usage

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/usage"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/ui"
	rules "campuskeep/shared/usage"
)

// steps is the custody timeline: what the log says was done, and what is to come. Refused attempts of others are apart,
// each once with its number: they are the office's matter.
func (o *Pages) steps(c *call, a rules.Application) (out, refused []ui.Step, _ error) {
	page, err := o.d.Ledger.Search(c.R.Context(), ledgerdb.Query{About: []string{a.ID}, Limit: 200})
	if err != nil {
		return nil, nil, fmt.Errorf("read the log of %s: %w", a.ID, err)
	}
	canLog := c.Can(account.ActLogProof, account.Subject{})
	for _, e := range slices.Backward(page.Entries) {
		key := "step." + string(e.Kind)
		var d struct{ Result, What string }
		frame.Decode(e.Data, &d)
		if e.Kind == "application.reviewed" && d.Result == "first" || e.Kind == "application.returned" && d.What == "report" {
			key += "." + cmp.Or(d.Result, d.What)
		}
		if !ui.Has(key) {
			continue
		}
		s := ui.Step{State: "done", Title: c.P.T(key), Text: c.ActorName(e.Actor), When: c.P.When(e.At, c.Now.Wall), Entry: c.P.T("entry.no", e.Seq)}
		if canLog {
			s.EntryHref = fmt.Sprintf("/log/%d", e.Seq)
		}
		switch e.Kind {
		case "access.refused", "application.rejected", "application.revoked", "application.overdue":
			s.State = "bad"
		case "footage.access.open", "footage.snapshot":
			s.Text += " · " + c.entrySpan(e)
		}
		switch {
		case e.Kind != "access.refused" || e.Actor.ID == c.Actor.ID:
			out = append(out, s)
		case canLog:
			refused = append(refused, s)
		}
	}
	return append(out, c.coming(a)...), refused, nil
}

// coming is what is still to be done, by whom and by when.
func (c *call) coming(a rules.Application) []ui.Step {
	next := func(key, text, when string) ui.Step {
		return ui.Step{State: "next", Title: c.P.T(key), Text: text, When: when}
	}
	var out []ui.Step
	switch a.State {
	case rules.Submitted, rules.UnderReview:
		out = append(out, next("coming.decide", c.P.T("coming.decide.text"), ""), next("coming.use", "", c.P.T("app.until", c.P.Day(a.UseUntil.Begin()))))
	case rules.AwaitSecond:
		out = append(out, next("coming.second", c.P.T("coming.second.text"), ""))
	case rules.Returned:
		out = append(out, next("coming.mend", c.o.Name(a.Applicant), ""))
	case rules.Approved, rules.InUse, rules.Extracting, rules.Delivered:
		out = append(out, next("coming.end", c.P.T("coming.end.text"), c.P.T("app.until", c.P.Day(a.Decision.Until.Begin()))),
			next("coming.report", c.P.T("coming.report.text"), c.P.T("app.report_by", c.P.Day(a.ReportBy(c.o.d.Site.Settings().Register).Add(-time.Second)))))
	case rules.ReportDue, rules.Overdue:
		out = append(out, next("coming.report", c.P.T("coming.report.text"), c.P.T("app.report_by", c.P.Day(a.ReportBy(c.o.d.Site.Settings().Register).Add(-time.Second)))))
	case rules.Reported:
		out = append(out, next("coming.accept", "", ""))
	}
	if len(out) > 0 {
		out[0].State = "now"
	}
	return out
}

// entrySpan is camera and span of an entry about footage.
func (c *call) entrySpan(e ledger.Entry) string {
	var d struct {
		Camera   string
		From, To time.Time
		Mode     string
	}
	if !frame.Decode(e.Data, &d) || d.Camera == "" {
		return ""
	}
	if d.Mode == usage.Live || d.From.IsZero() {
		return c.o.CameraName(d.Camera)
	}
	return c.o.CameraName(d.Camera) + " " + c.P.Span(d.From, d.To)
}
