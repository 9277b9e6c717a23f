package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/health"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
)

// faultsView is the list of faults of cameras (F1): open ones first, closed ones on their own page.
type faultsView struct {
	Chips   []chip
	Kinds   []chip
	Rows    []faultRow
	Pages   pages
	Closed  bool // the list is of closed ones
	Sub     string
	Printed string // when, for paper
}

type faultRow struct {
	F              health.Fault
	What, Hint     string
	Camera         string
	Place          string
	Technician     string
	Opened         string
	Lasts          string
	Closed         string // when and why
	Informed       string
	Acks           []faultAck
	CanAcknowledge bool
	Acknowledged   bool
	Err            string // of the note that was typed for it
	Note           string
	SeeCamera      bool
}

type faultAck struct{ Who, When, Note string }

// myFault is the subject of one's own faults; who may see all of them may see these too.
func faultSubject(c *call) (account.Subject, error) {
	f, err := c.o.d.Health.Fault(c.r.PathValue("id"))
	if errors.Is(err, health.ErrNotFound) {
		return account.Subject{}, errNotFound
	}
	if err != nil {
		return account.Subject{}, err
	}
	return account.Subject{Camera: f.Camera, Person: c.o.d.Health.Technician(f)}, nil
}

// allFaults says whether this person sees every fault, or those alone for which they are named.
func (c *call) allFaults() bool { return c.can(account.ActFaultsView, account.Subject{}) }

func (c *call) seesFault(f health.Fault) bool {
	return c.allFaults() || c.o.d.Health.Technician(f) == c.actor.ID
}

// isTechnician says whether this person is named for a camera in service.
func (c *call) isTechnician() bool {
	return slices.ContainsFunc(c.o.d.Site.Cameras(), func(cam footage.Camera) bool { return !cam.Retired && cam.Technician == c.actor.ID })
}

func (o *Server) faultsPage(c *call) error { return o.showFaults(c, http.StatusOK, "", "", nil) }

func (o *Server) showFaults(c *call, status int, id, note string, errs fielderr.Errors) error {
	f := c.r.URL.Query()
	v := faultsView{Closed: f.Get("state") == "closed", Printed: c.p.DayTime(c.now.Wall)}
	list := o.d.Health.Faults()
	if v.Closed {
		var err error
		if list, err = o.d.Health.History("", c.now.Wall.AddDate(-1, 0, 0)); err != nil {
			return err
		}
	}
	mine := f.Get("of") == "mine" || !c.allFaults()
	list = slices.DeleteFunc(list, func(x health.Fault) bool {
		return !c.seesFault(x) || mine && o.d.Health.Technician(x) != c.actor.ID
	})
	c.faultChips(&v, f, list)
	if code := f.Get("code"); code != "" {
		list = slices.DeleteFunc(list, func(x health.Fault) bool { return string(x.Code) != code })
	}
	v.Sub = c.p.T("faults.sub", len(list))
	from, to, p := c.pagesOf("/faults", f, len(list))
	v.Pages = p
	notes, err := o.faultNotes(c, list[from:to])
	if err != nil {
		return err
	}
	for _, x := range list[from:to] {
		r := c.faultRow(x, notes)
		if x.ID == id {
			r.Note = note
			for _, e := range errs {
				r.Err = c.p.T(e.Rule, e.Args...)
			}
		}
		v.Rows = append(v.Rows, r)
	}
	return c.pageStatus(status, "faults", c.p.T("faults.title"), v)
}

// faultChips are the filters: open or closed, all or mine, and the kinds that occur.
func (c *call) faultChips(v *faultsView, f url.Values, list []health.Fault) {
	with := func(key, value string) string {
		x := cloneValues(f)
		x.Del("page")
		x.Del(key)
		if value != "" {
			x.Set(key, value)
		}
		if len(x) == 0 {
			return "/faults"
		}
		return "/faults?" + x.Encode()
	}
	v.Chips = []chip{{c.p.T("faults.open"), with("state", ""), !v.Closed}, {c.p.T("faults.closed"), with("state", "closed"), v.Closed}}
	if c.allFaults() && c.isTechnician() {
		v.Chips = append(v.Chips, chip{c.p.T("faults.all"), with("of", ""), f.Get("of") != "mine"}, chip{c.p.T("faults.mine"), with("of", "mine"), f.Get("of") == "mine"})
	}
	count := map[footage.FaultCode]int{}
	for _, x := range list {
		count[x.Code]++
	}
	if len(count) < 2 && f.Get("code") == "" {
		return
	}
	v.Kinds = append(v.Kinds, chip{c.p.T("faults.every"), with("code", ""), f.Get("code") == ""})
	for _, code := range footage.FaultCodes {
		if count[code] > 0 || f.Get("code") == string(code) {
			v.Kinds = append(v.Kinds, chip{c.p.T("cameras.option", c.p.K("camfault.", code), count[code]), with("code", string(code)), f.Get("code") == string(code)})
		}
	}
}

func (c *call) faultRow(f health.Fault, notes map[string][]string) faultRow {
	tech := c.o.d.Health.Technician(f)
	r := faultRow{F: f, What: c.p.K("camfault.", f.Code), Hint: c.p.K("camfault.hint.", f.Code), Camera: c.o.cameraName(f.Camera), Technician: c.o.name(tech),
		Opened: c.p.When(f.Opened, c.now.Wall), Acknowledged: len(f.Acks) > 0, SeeCamera: c.can(account.ActCamerasView, account.Subject{})}
	if cam, ok := c.o.d.Site.Camera(f.Camera); ok {
		r.Place = cam.Place
	}
	if f.OffsetMS != 0 {
		r.What += c.p.T("sep.clause") + signed(c.p, time.Duration(f.OffsetMS)*time.Millisecond)
	}
	end := c.now.Wall
	if !f.Closed.IsZero() {
		end = f.Closed
		r.Closed = c.p.When(f.Closed, c.now.Wall) + c.p.T("sep.clause") + c.p.K("faults.reason.", f.Reason)
	}
	r.Lasts = c.p.Words(max(time.Second, end.Sub(f.Opened)).Truncate(time.Second))
	var shown []string
	for _, p := range f.Informed() {
		shown = append(shown, c.o.name(p))
	}
	r.Informed = strings.Join(shown, c.p.T("sep.list"))
	for i, a := range f.Acks {
		x := faultAck{Who: c.o.name(a.By), When: c.p.When(a.At, c.now.Wall)}
		if n := notes[f.ID]; i < len(n) {
			x.Note = n[i]
		}
		r.Acks = append(r.Acks, x)
	}
	r.CanAcknowledge = f.Closed.IsZero() && c.can(account.ActFaultsTake, account.Subject{Camera: f.Camera, Person: tech})
	return r
}

// faultNotes reads the notes of these faults from the log, by fault, in order.
func (o *Server) faultNotes(c *call, list []health.Fault) (map[string][]string, error) {
	out := map[string][]string{}
	q := ledgerdb.Query{Kinds: []ledger.Kind{"fault.acknowledged"}, Limit: 500}
	for _, f := range list {
		if len(f.Acks) == 0 {
			continue
		}
		if !slices.Contains(q.About, f.Camera) {
			q.About = append(q.About, f.Camera)
		}
		if q.From.IsZero() || f.Opened.Before(q.From) {
			q.From = f.Opened
		}
	}
	if len(q.About) == 0 {
		return out, nil
	}
	page, err := o.d.Ledger.Search(c.r.Context(), q)
	if err != nil {
		return nil, fmt.Errorf("read the notes of faults: %w", err)
	}
	for _, e := range slices.Backward(page.Entries) { // they come newest first
		var d struct{ Fault string }
		if !decode(e.Data, &d) || !slices.ContainsFunc(list, func(f health.Fault) bool { return f.ID == d.Fault }) {
			continue
		}
		parts, err := o.d.Ledger.Parts(e.Seq)
		if err != nil {
			return nil, fmt.Errorf("read the note of entry %d: %w", e.Seq, err)
		}
		note := ""
		for _, p := range parts {
			if p.Name == "note" && !p.Erased {
				note = string(p.Plain)
			}
		}
		out[d.Fault] = append(out[d.Fault], note)
	}
	return out, nil
}

// acknowledgeFault enters that somebody takes note of a fault.
func (o *Server) acknowledgeFault(c *call) error {
	note := c.r.PostForm.Get("note")
	err := o.d.Health.Acknowledge(c.r.Context(), c.who(), c.r.PathValue("id"), note)
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showFaults(c, http.StatusUnprocessableEntity, c.r.PathValue("id"), note, errs)
	}
	if errors.Is(err, health.ErrNotFound) { // it closed meanwhile
		return c.done("/faults?state=closed", "done.fault.gone")
	}
	if err != nil {
		return err
	}
	return c.done("/faults", "done.fault")
}

// faultNeeds are the open faults on the page of today, as far as they are this person's concern.
func (c *call) faultNeeds() (out []need) {
	const most = 6
	var seen []health.Fault
	for _, f := range c.o.d.Health.Faults() {
		if c.seesFault(f) {
			seen = append(seen, f)
		}
	}
	for _, f := range seen[:min(len(seen), most)] {
		r := c.faultRow(f, nil)
		n := need{Tone: "bad", Icon: "bad", Badge: c.p.K("camfault.", f.Code), Kind: c.p.T("need.device"), Title: c.p.T("need.fault", r.Camera, r.Lasts), Text: r.Place, Due: r.Opened, Href: "/faults", Do: c.p.T("see")}
		switch {
		case r.Acknowledged:
			n.Tone, n.Icon = "warn", "warn"
			n.Text += c.p.T("sep.clause") + c.p.T("need.fault.taken", r.Acks[len(r.Acks)-1].Who)
		case c.o.d.Health.Technician(f) == "":
			n.Text += c.p.T("sep.clause") + c.p.T("need.fault.nobody")
		default:
			n.Text += c.p.T("sep.clause") + r.Technician
			n.Primary = r.CanAcknowledge && c.o.d.Health.Technician(f) == c.actor.ID
		}
		out = append(out, n)
	}
	if rest := len(seen) - most; rest > 0 {
		out = append(out, need{Tone: "bad", Icon: "bad", Badge: c.p.T("faults.open"), Kind: c.p.T("need.device"), Title: c.p.T("need.fault.more", rest), Href: "/faults", Do: c.p.T("see")})
	}
	return out
}

type apiFault struct {
	health.Fault
	Now string `json:"technician_now,omitempty"`
}

// apiFaults lists the faults, the closed ones of a year with ?state=closed.
func (o *Server) apiFaults(c *call) error {
	list := o.d.Health.Faults()
	if c.r.URL.Query().Get("state") == "closed" {
		var err error
		if list, err = o.d.Health.History("", c.now.Wall.AddDate(-1, 0, 0)); err != nil {
			return err
		}
	}
	out := []apiFault{}
	for _, f := range list {
		if c.seesFault(f) {
			out = append(out, apiFault{f, o.d.Health.Technician(f)})
		}
	}
	return c.json(http.StatusOK, out)
}

// cameraNeeds are the open faults, and the cameras out of order that are no fault yet.
func (c *call) cameraNeeds() ([]need, error) {
	out, states := c.faultNeeds(), c.o.d.Status.Cameras()
	faulty := map[string]bool{}
	for _, f := range c.o.d.Health.Faults() {
		faulty[f.Camera] = true
	}
	if c.can(account.ActCamerasView, account.Subject{}) {
		for _, cam := range c.o.d.Site.Cameras() {
			s := states[cam.ID]
			if cam.Retired || faulty[cam.ID] || s.State != "offline" && s.State != "unusable" { // what stays so becomes a fault
				continue
			}
			n := need{Tone: "bad", Icon: "bad", Badge: c.p.T("cam." + s.State), Kind: c.p.T("need.device"), Title: c.p.T("need.camera", cam.Name), Text: cam.Place, Href: "/footage?camera=" + cam.ID + "#day", Do: c.p.T("see")}
			if s.State == "unusable" {
				n.Title = c.p.T("need.camera.unusable", cam.Name)
			} else if !s.Since.IsZero() {
				n.Title, n.Due = c.p.T("need.camera.for", cam.Name, c.now.Wall.Sub(s.Since)), c.p.When(s.Since, c.now.Wall)
			}
			out = append(out, n)
		}
	}
	return out, nil
}
