package office

import (
	"errors"
	"net/http"
	"time"

	"campuskeep/firmware/timekeeper"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/fielderr"
	"campuskeep/shared/ui"
)

// clockView explains the clock: what it says, who says so too, and what deletion waits for.
type clockView struct {
	Trusted  bool
	State    string
	Now      string
	Within   string
	Since    string
	Reason   string
	Sources  []sourceRow
	Waits    string
	Deletion string
	Paused   bool
	Form     ui.Form
	CanState bool
	Stated   bool
}

type sourceRow struct {
	Name, Origin, Offset, Within string
	Tone, Icon, Word             string
}

func (o *Office) clockPage(c *call) error { return o.showClock(c, http.StatusOK, nil) }

func (o *Office) showClock(c *call, status int, errs fielderr.Errors) error {
	x := o.d.Time.Explain()
	v := clockView{Trusted: x.Reading.State == clock.Trusted, State: c.p.T("clock.state." + x.Reading.State.String()), Now: c.p.Stamp(x.Reading.Wall),
		Within: uncertain(c.p, x.Reading.Uncertainty), Since: c.p.Words(x.Since), Reason: c.p.K("clock.reason.", x.Reason), Stated: x.Stated,
		CanState: c.can(account.ActClockConfirm, account.Subject{}), Form: ui.Form{Name: "clock", P: c.p, Values: c.r.PostForm, Errors: errs}}
	if x.Waits != "" {
		v.Waits = c.p.K("clock.wait.", x.Waits)
	}
	for _, w := range x.Witnesses {
		r := sourceRow{Name: c.p.K("origin.", w.Origin), Origin: w.Source, Offset: signed(c.p, w.Offset), Within: uncertain(c.p, w.Uncertainty), Tone: "ok", Icon: "ok", Word: c.p.T("clock.agrees")}
		switch {
		case !w.Plausible:
			r.Tone, r.Icon, r.Word = "bad", "bad", c.p.T("clock.implausible")
		case !w.Fits:
			r.Tone, r.Icon, r.Word = "warn", "warn", c.p.T("clock.alone")
		}
		v.Sources = append(v.Sources, r)
	}
	k := o.d.Status.Keeping()
	v.Deletion, v.Paused = c.p.T("clock.deletion.runs"), k.Suspended != "" || !v.Trusted
	switch {
	case k.Suspended != "":
		v.Deletion = c.p.T(k.Suspended)
	case !v.Trusted:
		v.Deletion = c.p.T("clock.deletion.waits")
	}
	return c.pageStatus(status, "clock", c.p.T("clock.title"), v)
}

// confirmClock takes what a person says the time is; the second of two makes it count (design §5).
func (o *Office) confirmClock(c *call) error {
	var errs fielderr.Errors
	f := c.r.PostForm
	at, err := time.ParseInLocation("2006-01-02T15:04", f.Get("at"), o.d.Zone)
	if err != nil {
		errs.Add("at", "err.time")
		return o.showClock(c, http.StatusUnprocessableEntity, errs)
	}
	done, err := o.d.Time.Confirm(c.r.Context(), c.who(), c.decision.Role, at.Add(30*time.Second).UTC()) // the middle of the minute stated
	switch {
	case errors.Is(err, timekeeper.ErrSamePerson):
		errs.Add("at", "clock.err.same_person")
	case errors.Is(err, timekeeper.ErrDiffer):
		errs.Add("at", "clock.err.differ")
	case err != nil:
		return err
	case done:
		return c.done("/clock", "done.clock")
	default:
		return c.done("/clock", "done.clock_first")
	}
	return o.showClock(c, http.StatusUnprocessableEntity, errs)
}

func signed(p ui.Printer, d time.Duration) string {
	if d < 0 {
		return "−" + uncertain(p, -d)
	}
	return "+" + uncertain(p, d)
}
