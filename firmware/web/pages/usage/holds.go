package usage

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/usage"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// holdsView is what is kept beyond its time, what that costs, and what was let go.
type holdsView struct {
	Rows       []holdRow
	All        int // in force, of which Rows are a page
	Text       string
	Columns    map[string]frame.ListColumn
	Filters    []frame.ListFilter
	Filtered   bool
	Sift       ui.Form
	Pages      frame.Pages
	Applicants []useRow
	DiskUsed   string
	DiskMay    string
	DiskBar    string
	DiskTone   string
	Percent    int
	Undecided  int // school days
	Past       []pastHold
	Pager      ui.Pager
	Form       ui.Form
	At         string // the hold whose form was refused
}

type holdRow struct {
	H          usage.KeptHold
	No         string
	Cameras    string
	Span       string
	Until      string
	Left       string
	Bytes      string
	Applicant  string
	Propose    bool // this person may
	Confirm    bool
	Withdraw   bool
	Why        string // why not, for those who might
	ProposedBy string
	ProposedAt string
	State      string // rotten, proposed, soon, running
	Tone       string
}

type useRow struct {
	Name, Used, May string
	Bar, Tone       string
}

type pastHold struct {
	No, Cameras, Span  string
	Since, Ended, How  string
	Tone, Icon         string
	Seq                uint64
	Application, Actor string
}

func holdSubject(c *call) (account.Subject, error) {
	return c.o.d.Usage.HoldSubject(c.R.PathValue("id"))
}

func (o *Pages) holdsPage(c *call) error { return o.showHolds(c, 200, "", nil) }

func (o *Pages) showHolds(c *call, status int, at string, errs fielderr.Errors) error {
	v := holdsView{At: at, Form: ui.Form{Name: "release", P: c.P, Values: c.R.PostForm, Errors: errs}}
	list, use, err := o.d.Usage.KeptHolds(c.R.Context())
	if err != nil {
		return fmt.Errorf("list holds: %w", err)
	}
	c.listHolds(&v, list)
	v.Percent, v.Undecided = use.Rules.DiskPercent, use.Rules.UndecidedDays
	v.DiskUsed, v.DiskMay, v.DiskTone = c.P.Bytes(int64(use.Held)), c.P.Bytes(int64(use.Allowed())), "hold"
	if use.Total == 0 {
		v.DiskMay = c.P.T("keeping.unknown.word")
	}
	if use.Allowed() > 0 {
		part := float64(use.Held) / float64(use.Allowed())
		v.DiskBar = ui.Pct(min(1, part))
		if part > 0.9 {
			v.DiskTone = "bad"
		}
	}
	for _, a := range use.Applicants {
		part := float64(a.Time) / float64(max(use.Rules.CameraTime, time.Second))
		row := useRow{Name: o.Name(a.Person), Used: c.Hours(a.Time), May: c.Hours(use.Rules.CameraTime), Bar: ui.Pct(min(1, part)), Tone: "hold"}
		if part > 0.9 {
			row.Tone = "bad"
		}
		v.Applicants = append(v.Applicants, row)
	}
	if err := o.pastHolds(c, &v); err != nil {
		return err
	}
	return c.PageStatus(status, "holds", c.P.T("holds.title"), v)
}

// listHolds fills in the page of the list that is asked for; the hold whose form was refused is first.
func (c *call) listHolds(v *holdsView, list []usage.KeptHold) {
	f, rotten := c.R.URL.Query(), c.o.d.Status.Retention().Rotten
	v.All, v.Sift = len(list), ui.Form{Name: "holds", P: c.P, Values: f}
	v.Filters, v.Columns = c.holdFilters(list, rotten), c.holdColumns(f)
	v.Filtered = f.Get("q") != "" || f.Get("reason") != "" || f.Get("state") != ""
	found := c.findHolds(list, f, rotten)
	c.sortHolds(found, f)
	if i := slices.IndexFunc(found, func(h usage.KeptHold) bool { return h.ID == v.At }); i > 0 {
		found[0], found[i] = found[i], found[0]
	}
	v.Text = c.P.T("holds.active.n", len(list))
	if v.Filtered {
		v.Text = c.P.T("holds.found", len(found), len(list))
	}
	from, to, p := c.PagesOf("/holds", f, len(found))
	v.Pages = p
	for _, h := range found[from:to] {
		r := c.holdRow(h)
		r.State = c.holdState(h, rotten)
		switch r.State {
		case "rotten":
			r.Tone = "bad"
		case "proposed":
			r.Tone = "acc"
		case "soon":
			r.Tone = "warn"
		}
		v.Rows = append(v.Rows, r)
	}
}

func (c *call) holdRow(h usage.KeptHold) holdRow {
	r := holdRow{H: h, No: frame.HoldName(h.Hold), Cameras: c.CameraNames(h.Cameras), Span: c.P.Span(h.Span.From, h.Span.To), Until: c.P.FullDate(h.Until), Bytes: c.P.Bytes(int64(h.Bytes)), Applicant: c.o.Name(h.Applicant)}
	r.Left = c.P.Words(max(time.Second, h.Until.Sub(c.Now.Wall)))
	subject, err := c.o.d.Usage.HoldSubject(h.ID)
	if err != nil {
		return r // it has ended meanwhile
	}
	may := func(a account.Action) bool { return c.Can(a, subject) }
	if p := h.Proposal; p != nil {
		r.ProposedBy, r.ProposedAt = c.o.Name(p.By), c.P.When(p.At, c.Now.Wall)
		r.Withdraw = may(account.ActHoldPropose)
		r.Confirm = may(account.ActHoldRelease) && p.By != c.Actor.ID
		if !r.Confirm && p.By == c.Actor.ID {
			r.Why = c.P.T("holds.waits")
		}
		return r
	}
	r.Propose = may(account.ActHoldPropose)
	if !r.Propose && h.Applicant == c.Actor.ID {
		r.Why = c.P.T("may.own_application")
	}
	return r
}

const pastShown = 20

// pastHolds lists holds that are over, from the log: rows of ended holds are gone.
func (o *Pages) pastHolds(c *call, v *holdsView) error {
	before, page := c.R.URL.Query().Get("before"), 0
	if before != "" {
		n, err := strconv.Atoi(before)
		if err != nil || n < 0 {
			return frame.ErrNotFound
		}
		page = n
	}
	all, err := o.endedHolds(c)
	if err != nil {
		return err
	}
	from := min(page*pastShown, len(all))
	v.Past = all[from:min(from+pastShown, len(all))]
	v.Pager.Text = c.P.T("holds.past.n", len(all))
	link := func(n int) string {
		f := frame.CloneValues(c.R.URL.Query())
		f.Set("before", strconv.Itoa(n))
		return "/holds?" + f.Encode() + "#past"
	}
	if from+pastShown < len(all) {
		v.Pager.Older = link(page + 1)
	}
	if page > 0 {
		v.Pager.Newer = link(page - 1)
	}
	return nil
}

// endedHolds joins each end with the registration before it. Holds are few: some hundred a year.
func (o *Pages) endedHolds(c *call) (out []pastHold, err error) {
	q := ledgerdb.Query{Kinds: []ledger.Kind{"hold.registered", "hold.released", "hold.ended"}, Limit: 1000}
	type registered struct {
		Hold             string
		Cameras          []string
		From, To, Until  time.Time
		Reason, Proposed string
		at               time.Time
	}
	var ends []ledger.Entry
	begun := map[string][]registered{} // newest first
	for range 20 {
		page, err := o.d.Ledger.Search(c.R.Context(), q)
		if err != nil {
			return nil, fmt.Errorf("read holds from the log: %w", err)
		}
		for _, e := range page.Entries {
			if e.Kind != "hold.registered" {
				ends = append(ends, e)
				continue
			}
			var r registered
			if json.Unmarshal(e.Data, &r) == nil {
				r.at = e.At
				begun[e.Subject] = append(begun[e.Subject], r)
			}
		}
		if page.Next == 0 {
			break
		}
		q.Before = page.Next
	}
	for _, e := range ends {
		var d struct{ Hold, Reason string }
		if !frame.Decode(e.Data, &d) {
			continue
		}
		p := pastHold{No: d.Hold, Ended: c.P.Stamp(e.At)[:16], How: c.P.K("hold.end.", d.Reason), Tone: "mute", Icon: "lock", Seq: e.Seq, Actor: c.ActorName(e.Actor)}
		if d.Reason == "two_people" {
			p.Tone, p.Icon = "acc", "users"
		}
		i := slices.IndexFunc(begun[e.Subject], func(r registered) bool { return !r.at.After(e.At) })
		if i >= 0 {
			r := begun[e.Subject][i]
			p.Cameras, p.Span = c.CameraNames(r.Cameras), c.P.Span(r.From, r.To)
			p.Since = c.P.FullDate(begun[e.Subject][len(begun[e.Subject])-1].at)
		}
		if a, ok := frame.ApplicationOfHold(d.Hold); ok {
			p.Application, p.No = a, frame.AppNumber(a)
			if _, err := o.d.Usage.Get(a); err != nil {
				p.Application = "" // it was erased, or is of another register
			}
		}
		out = append(out, p)
	}
	return out, nil
}

// proposeRelease is the first of two people.
func (o *Pages) proposeRelease(c *call) error {
	id := c.R.PathValue("id")
	_, err := o.d.Usage.ProposeRelease(c.R.Context(), c.Who(), id, c.R.PostForm.Get("reason"))
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showHolds(c, 422, id, errs)
	}
	if err != nil {
		return err
	}
	return c.Done("/holds", "done.hold_proposed")
}

// confirmRelease is the second.
func (o *Pages) confirmRelease(c *call) error {
	if err := o.d.Usage.ConfirmRelease(c.R.Context(), c.Who(), c.R.PathValue("id")); err != nil {
		return err
	}
	return c.Done("/holds", "done.hold_released")
}

// keepHold takes the proposal back.
func (o *Pages) keepHold(c *call) error {
	if err := o.d.Usage.KeepHold(c.R.Context(), c.Who(), c.R.PathValue("id")); err != nil {
		return err
	}
	return c.Done("/holds", "done.hold_kept")
}

// tooLateText says what of a wanted span no hold can keep any more.
func (c *call) tooLateText(spans []footage.Span) string {
	var list []string
	for _, s := range spans {
		list = append(list, c.P.Span(s.From, s.To))
	}
	return strings.Join(list, c.P.T("sep.list"))
}
