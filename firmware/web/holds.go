package web

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
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	rules "campuskeep/shared/usage"
)

// holdsView is what is kept beyond its time, what that costs, and what was let go.
type holdsView struct {
	Rows       []holdRow
	All        int // in force, of which Rows are a page
	Text       string
	Columns    map[string]cameraColumn
	Filters    []cameraFilter
	Filtered   bool
	Sift       ui.Form
	Pages      pages
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
	return c.o.d.Usage.HoldSubject(c.r.PathValue("id"))
}

func (o *Server) holdsPage(c *call) error { return o.showHolds(c, 200, "", nil) }

func (o *Server) showHolds(c *call, status int, at string, errs fielderr.Errors) error {
	v := holdsView{At: at, Form: ui.Form{Name: "release", P: c.p, Values: c.r.PostForm, Errors: errs}}
	list, use, err := o.d.Usage.KeptHolds(c.r.Context())
	if err != nil {
		return fmt.Errorf("list holds: %w", err)
	}
	c.listHolds(&v, list)
	v.Percent, v.Undecided = use.Rules.DiskPercent, use.Rules.UndecidedDays
	v.DiskUsed, v.DiskMay, v.DiskTone = c.p.Bytes(int64(use.Held)), c.p.Bytes(int64(use.Allowed())), "hold"
	if use.Total == 0 {
		v.DiskMay = c.p.T("keeping.unknown.word")
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
		row := useRow{Name: o.name(a.Person), Used: c.hours(a.Time), May: c.hours(use.Rules.CameraTime), Bar: ui.Pct(min(1, part)), Tone: "hold"}
		if part > 0.9 {
			row.Tone = "bad"
		}
		v.Applicants = append(v.Applicants, row)
	}
	if err := o.pastHolds(c, &v); err != nil {
		return err
	}
	return c.pageStatus(status, "holds", c.p.T("holds.title"), v)
}

// listHolds fills in the page of the list that is asked for; the hold whose form was refused is first.
func (c *call) listHolds(v *holdsView, list []usage.KeptHold) {
	f, rotten := c.r.URL.Query(), c.o.d.Status.Retention().Rotten
	v.All, v.Sift = len(list), ui.Form{Name: "holds", P: c.p, Values: f}
	v.Filters, v.Columns = c.holdFilters(list, rotten), c.holdColumns(f)
	v.Filtered = f.Get("q") != "" || f.Get("reason") != "" || f.Get("state") != ""
	found := c.findHolds(list, f, rotten)
	c.sortHolds(found, f)
	if i := slices.IndexFunc(found, func(h usage.KeptHold) bool { return h.ID == v.At }); i > 0 {
		found[0], found[i] = found[i], found[0]
	}
	v.Text = c.p.T("holds.active.n", len(list))
	if v.Filtered {
		v.Text = c.p.T("holds.found", len(found), len(list))
	}
	from, to, p := c.pagesOf("/holds", f, len(found))
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
	r := holdRow{H: h, No: holdName(h.Hold), Cameras: c.cameraNames(h.Cameras), Span: c.p.Span(h.Span.From, h.Span.To), Until: c.p.FullDate(h.Until), Bytes: c.p.Bytes(int64(h.Bytes)), Applicant: c.o.name(h.Applicant)}
	r.Left = c.p.Words(max(time.Second, h.Until.Sub(c.now.Wall)))
	subject, err := c.o.d.Usage.HoldSubject(h.ID)
	if err != nil {
		return r // it has ended meanwhile
	}
	may := func(a account.Action) bool { return c.can(a, subject) }
	if p := h.Proposal; p != nil {
		r.ProposedBy, r.ProposedAt = c.o.name(p.By), c.p.When(p.At, c.now.Wall)
		r.Withdraw = may(account.ActHoldPropose)
		r.Confirm = may(account.ActHoldRelease) && p.By != c.actor.ID
		if !r.Confirm && p.By == c.actor.ID {
			r.Why = c.p.T("holds.waits")
		}
		return r
	}
	r.Propose = may(account.ActHoldPropose)
	if !r.Propose && h.Applicant == c.actor.ID {
		r.Why = c.p.T("may.own_application")
	}
	return r
}

const pastShown = 20

// pastHolds lists holds that are over, from the log: rows of ended holds are gone.
func (o *Server) pastHolds(c *call, v *holdsView) error {
	before, page := c.r.URL.Query().Get("before"), 0
	if before != "" {
		n, err := strconv.Atoi(before)
		if err != nil || n < 0 {
			return errNotFound
		}
		page = n
	}
	all, err := o.endedHolds(c)
	if err != nil {
		return err
	}
	from := min(page*pastShown, len(all))
	v.Past = all[from:min(from+pastShown, len(all))]
	v.Pager.Text = c.p.T("holds.past.n", len(all))
	link := func(n int) string {
		f := cloneValues(c.r.URL.Query())
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
func (o *Server) endedHolds(c *call) (out []pastHold, err error) {
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
		page, err := o.d.Ledger.Search(c.r.Context(), q)
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
		if !decode(e.Data, &d) {
			continue
		}
		p := pastHold{No: d.Hold, Ended: c.p.Stamp(e.At)[:16], How: c.p.K("hold.end.", d.Reason), Tone: "mute", Icon: "lock", Seq: e.Seq, Actor: c.actorName(e.Actor)}
		if d.Reason == "two_people" {
			p.Tone, p.Icon = "acc", "users"
		}
		i := slices.IndexFunc(begun[e.Subject], func(r registered) bool { return !r.at.After(e.At) })
		if i >= 0 {
			r := begun[e.Subject][i]
			p.Cameras, p.Span = c.cameraNames(r.Cameras), c.p.Span(r.From, r.To)
			p.Since = c.p.FullDate(begun[e.Subject][len(begun[e.Subject])-1].at)
		}
		if a, ok := applicationOfHold(d.Hold); ok {
			p.Application, p.No = a, appNumber(a)
			if _, err := o.d.Usage.Get(a); err != nil {
				p.Application = "" // it was erased, or is of another register
			}
		}
		out = append(out, p)
	}
	return out, nil
}

// holds are the holds in force as this person may see them: number, span and reason of another's are for those alone
// who may see holds, since they tell who is being looked into. Whatever shows a hold asks here or [call.seesHold].
func (c *call) holds() []footage.Hold {
	return slices.DeleteFunc(c.o.d.Usage.Holds(), func(h footage.Hold) bool { return !c.seesHold(h.Application) })
}

// seesHold says whether this person may see the holds of an application.
func (c *call) seesHold(application string) bool {
	if c.seesHolds() {
		return true
	}
	a, err := c.o.d.Usage.Get(application)
	return err == nil && a.Applicant == c.actor.ID
}

// seesHolds says whether this person may see everybody's holds.
func (c *call) seesHolds() bool { return c.can(account.ActHoldView, account.Subject{}) }

// withoutHold takes from recorded spans what is there only because something keeps it beyond its time, for those who may
// not see that it does.
func (c *call) withoutHold(cam footage.Camera, runs []footage.Span) []footage.Span {
	if c.seesHolds() {
		return runs
	}
	line := c.now.Wall.Add(-cam.Policy.Keep())
	previous := []footage.Span{{To: line}}
	for _, h := range c.holds() {
		if slices.Contains(h.Cameras, cam.ID) {
			previous = footage.Without(previous, h.Span)
		}
	}
	for _, p := range previous {
		var out []footage.Span
		for _, r := range runs {
			out = append(out, footage.Without([]footage.Span{r}, p)...)
		}
		runs = out
	}
	return runs
}

// keptHolds are the holds of a certificate or report as this person may see them; hidden says that there are others.
func (c *call) keptHolds(list []footage.Kept) (out []certHold, hidden bool) {
	for _, h := range list {
		if !c.seesHold(h.Application) {
			hidden = true
			continue
		}
		until := c.p.T("cert.hold.until", c.p.FullDate(h.Until))
		if !h.Ended.IsZero() {
			until = c.p.T("cert.hold.ended", c.p.Stamp(h.Ended)[:16])
		}
		out = append(out, certHold{heldName(h.ID), c.p.Span(h.Span.From, h.Span.To), until, c.p.K("hold.", h.Reason)})
	}
	return out, hidden
}

// applicationOfHold is the application that a hold's id names: h2026-0001-1 belongs to a2026-0001.
func applicationOfHold(hold string) (string, bool) {
	rest, ok := strings.CutPrefix(hold, "h")
	i := strings.LastIndexByte(rest, '-')
	if !ok || i < 0 {
		return "", false
	}
	id := "a" + rest[:i]
	_, _, ok = rules.ParseApplicationID(id)
	return id, ok
}

// heldName is a hold as people know it: by the number of its application.
func heldName(hold string) string {
	if a, ok := applicationOfHold(hold); ok {
		return appNumber(a)
	}
	return hold
}

// proposeRelease is the first of two people.
func (o *Server) proposeRelease(c *call) error {
	id := c.r.PathValue("id")
	_, err := o.d.Usage.ProposeRelease(c.r.Context(), c.who(), id, c.r.PostForm.Get("reason"))
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showHolds(c, 422, id, errs)
	}
	if err != nil {
		return err
	}
	return c.done("/holds", "done.hold_proposed")
}

// confirmRelease is the second.
func (o *Server) confirmRelease(c *call) error {
	if err := o.d.Usage.ConfirmRelease(c.r.Context(), c.who(), c.r.PathValue("id")); err != nil {
		return err
	}
	return c.done("/holds", "done.hold_released")
}

// keepHold takes the proposal back.
func (o *Server) keepHold(c *call) error {
	if err := o.d.Usage.KeepHold(c.r.Context(), c.who(), c.r.PathValue("id")); err != nil {
		return err
	}
	return c.done("/holds", "done.hold_kept")
}

// tooLateText says what of a wanted span no hold can keep any more.
func (c *call) tooLateText(spans []footage.Span) string {
	var list []string
	for _, s := range spans {
		list = append(list, c.p.Span(s.From, s.To))
	}
	return joined(list, c.p.T("sep.list"))
}
