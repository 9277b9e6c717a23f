package home

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/timekeeper"
	"campuskeep/firmware/web/entrytext"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// clockView explains the clock: what it says, who says so too, what it did of late, and what deletion waits for.
type clockView struct {
	Trusted  bool
	State    string
	Now      string
	Within   string
	Since    string
	Reason   string
	Sources  []sourceRow
	Waits    string
	Awaited  []string // sources that could settle it
	Doubted  string   // for how long there has been no trust
	Alarmed  bool
	Deletion string
	Paused   bool
	Form     ui.Form
	CanState bool
	Stated   bool
	History  []entrytext.DutyFact
	CanLog   bool
}

// sourceRow is a source of time, or one of the servers behind it.
type sourceRow struct {
	Name, Code        string
	Said, Off, Within string
	Tone, Icon, Word  string
	Of                bool // a server of the source above
}

func (o *Pages) clockPage(c *call) error { return o.showClock(c, http.StatusOK, nil) }

func (o *Pages) showClock(c *call, status int, errs fielderr.Errors) error {
	x := o.d.Time.Explain()
	v := clockView{Trusted: x.Reading.State == clock.Trusted, State: c.P.T("clock.state." + x.Reading.State.String()), Now: c.P.Stamp(x.Reading.Wall),
		Within: frame.Uncertain(c.P, x.Reading.Uncertainty), Since: c.P.Words(x.Since), Reason: c.P.K("clock.reason.", x.Reason), Stated: x.Stated, Alarmed: x.Alarmed,
		CanState: c.Can(account.ActClockConfirm, account.Subject{}), CanLog: c.Can(account.ActLogProof, account.Subject{}),
		Form: ui.Form{Name: "clock", P: c.P, Values: c.R.PostForm, Errors: errs}}
	for _, s := range x.Sources {
		v.Sources = append(v.Sources, sourceRows(c.P, s, x.Reading)...)
		if w := s.Witness; !v.Trusted && (w == nil || !w.Fits) {
			v.Awaited = append(v.Awaited, c.P.K("origin.", s.Origin))
		}
	}
	v.Awaited = slices.Compact(v.Awaited)
	if x.Waits != "" {
		v.Waits = c.P.K("clock.wait.", x.Waits)
		if x.Doubted >= time.Minute {
			v.Doubted = c.P.Words(x.Doubted)
		}
	}
	k := o.d.Status.Retention()
	v.Deletion, v.Paused = c.P.T("clock.deletion.runs"), k.Suspended != "" || !v.Trusted
	switch {
	case k.Suspended != "":
		v.Deletion = c.P.T(k.Suspended)
	case !v.Trusted:
		v.Deletion = c.P.T("clock.deletion.waits")
	}
	if err := o.clockHistory(c, &v); err != nil {
		return err
	}
	return c.PageStatus(status, "clock", c.P.T("clock.title"), v)
}

// clockShown is how many of the clock's entries the page tells; the log has them all.
const clockShown = 30

// clockHistory tells from the log what the clock did: states, steps, corrections, anchors of this machine.
func (o *Pages) clockHistory(c *call, v *clockView) error {
	entries, err := o.clockEntries(c)
	if err != nil {
		return err
	}
	for _, e := range entries {
		f := o.clockFact(c, e)
		if !v.CanLog || e.Actor.ID == ledger.System.ID {
			f.Who = ""
		}
		v.History = append(v.History, f)
	}
	return nil
}

func (o *Pages) clockEntries(c *call) ([]ledger.Entry, error) {
	page, err := o.d.Ledger.Search(c.R.Context(), ledgerdb.Query{Kinds: append([]ledger.Kind{"clock.anchor"}, entrytext.DutyClock...), Limit: clockShown})
	if err != nil {
		return nil, fmt.Errorf("read what the clock did: %w", err)
	}
	return page.Entries, nil
}

func (o *Pages) clockFact(c *call, e ledger.Entry) entrytext.DutyFact {
	f := o.Fact(c.Call, e)
	f.At = c.P.When(e.At, c.Now.Wall)
	if e.Kind == "clock.anchor" {
		var d entrytext.ClockData
		frame.Decode(e.Data, &d)
		f.Text = d.Words(c.Call, e.Kind)
	}
	return f
}

// sourceRows is a source in words, with the servers behind it when there are several.
func sourceRows(p ui.Printer, s timekeeper.SourceState, now clock.Reading) []sourceRow {
	r := sourceRow{Name: p.K("origin.", s.Origin), Code: s.Name, Said: p.T("clock.never"), Off: "–", Within: "–", Tone: "mute", Icon: "clock", Word: p.T("clock.trouble.silent")}
	if w := s.Witness; w != nil {
		r.Said, r.Off, r.Within = ago(p, now.Mono-w.Mono), frame.Signed(p, w.Offset), "± "+frame.Uncertain(p, w.Uncertainty)
		r.Tone, r.Icon, r.Word = "ok", "ok", p.T("clock.agrees")
		switch {
		case !w.Plausible:
			r.Tone, r.Icon, r.Word = "bad", "bad", p.T("clock.implausible")
		case !w.Fits && now.State == clock.Untrusted:
			r.Tone, r.Icon, r.Word = "warn", "warn", p.T("clock.alone")
		case !w.Fits:
			r.Tone, r.Icon, r.Word = "bad", "bad", p.T("clock.contradicts")
		}
	}
	if s.Trouble != "" {
		word := p.K("clock.trouble.", s.Trouble)
		if s.Witness == nil {
			r.Word = word
			if s.Trouble != timekeeper.TroubleSilent {
				r.Tone, r.Icon = "warn", "warn"
			}
		} else {
			r.Word += p.T("sep.clause") + word
		}
	}
	rows := []sourceRow{r}
	for _, x := range s.Servers {
		row := sourceRow{Name: x.Name, Of: true, Said: p.T("clock.never"), Off: "–", Within: "–", Tone: "warn", Icon: "warn", Word: p.K("clock.trouble.", x.Trouble)}
		if x.Answered {
			row.Said, row.Within = ago(p, now.Mono-x.Said.Mono), "± "+frame.Uncertain(p, x.Uncertainty)
			row.Off = frame.Signed(p, x.Said.UTC.Add(now.Mono-x.Said.Mono).Sub(now.Wall))
		}
		if x.Trouble == "" {
			row.Tone, row.Icon, row.Word = "ok", "ok", p.T("clock.counts")
		}
		rows = append(rows, row)
	}
	return rows
}

func ago(p ui.Printer, d time.Duration) string {
	if d < time.Minute {
		return p.T("clock.just")
	}
	return p.T("clock.ago", p.Words(d))
}

// confirmClock takes what a person says the time is; the second of two makes it count (design §5).
func (o *Pages) confirmClock(c *call) error {
	var errs fielderr.Errors
	f := c.R.PostForm
	at, err := time.ParseInLocation("2006-01-02T15:04", f.Get("at"), o.d.Zone)
	if err != nil {
		errs.Add("at", "err.time")
		return o.showClock(c, http.StatusUnprocessableEntity, errs)
	}
	done, err := o.d.Time.Confirm(c.R.Context(), c.Who(), c.Decision.Role, at.Add(30*time.Second).UTC(), o.d.People.Independent) // the middle of the minute stated
	switch {
	case errors.Is(err, timekeeper.ErrSamePerson):
		errs.Add("at", "clock.err.same_person")
	case errors.Is(err, timekeeper.ErrNotIndependent):
		errs.Add("at", "err.not_independent")
	case errors.Is(err, timekeeper.ErrDiffer):
		errs.Add("at", "clock.err.differ")
	case err != nil:
		return err
	case done:
		return c.Done("/clock", "done.clock")
	default:
		return c.Done("/clock", "done.clock_first")
	}
	return o.showClock(c, http.StatusUnprocessableEntity, errs)
}
