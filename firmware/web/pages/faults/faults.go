package faults

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"campuskeep/firmware/health"
	"campuskeep/firmware/web/entrytext"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
)

// faultsView is the list of faults of cameras (F1): open ones first, closed ones on their own page.
type faultsView struct {
	Chips   []frame.Chip
	Kinds   []frame.Chip
	Rows    []entrytext.FaultRow
	Pages   frame.Pages
	Closed  bool // the list is of closed ones
	Sub     string
	Printed string // when, for paper
}

// myFault is the subject of one's own faults; who may see all of them may see these too.
func faultSubject(c *call) (account.Subject, error) {
	f, err := c.o.d.Health.Fault(c.R.PathValue("id"))
	if errors.Is(err, health.ErrNotFound) {
		return account.Subject{}, frame.ErrNotFound
	}
	if err != nil {
		return account.Subject{}, err
	}
	return account.Subject{Camera: f.Camera, Person: c.o.d.Health.Technician(f)}, nil
}

func (c *call) seesFault(f health.Fault) bool {
	return c.AllFaults() || c.o.d.Health.Technician(f) == c.Actor.ID
}

func (o *Pages) faultsPage(c *call) error { return o.showFaults(c, http.StatusOK, "", "", nil) }

func (o *Pages) showFaults(c *call, status int, id, note string, errs fielderr.Errors) error {
	f := c.R.URL.Query()
	v := faultsView{Closed: f.Get("state") == "closed", Printed: c.P.DayTime(c.Now.Wall)}
	list := o.d.Health.Faults()
	if v.Closed {
		var err error
		if list, err = o.d.Health.History("", c.Now.Wall.AddDate(-1, 0, 0)); err != nil {
			return err
		}
	}
	mine := f.Get("of") == "mine" || !c.AllFaults()
	list = slices.DeleteFunc(list, func(x health.Fault) bool {
		return !c.seesFault(x) || mine && o.d.Health.Technician(x) != c.Actor.ID
	})
	c.faultChips(&v, f, list)
	if code := f.Get("code"); code != "" {
		list = slices.DeleteFunc(list, func(x health.Fault) bool { return string(x.Code) != code })
	}
	v.Sub = c.P.T("faults.sub", len(list))
	from, to, p := c.PagesOf("/faults", f, len(list))
	v.Pages = p
	notes, err := o.FaultNotes(c.Call, list[from:to])
	if err != nil {
		return err
	}
	for _, x := range list[from:to] {
		r := c.o.FaultRow(c.Call, x, notes)
		if x.ID == id {
			r.Note = note
			for _, e := range errs {
				r.Err = c.P.T(e.Rule, e.Args...)
			}
		}
		v.Rows = append(v.Rows, r)
	}
	return c.PageStatus(status, "faults", c.P.T("faults.title"), v)
}

// faultChips are the filters: open or closed, all or mine, and the kinds that occur.
func (c *call) faultChips(v *faultsView, f url.Values, list []health.Fault) {
	with := func(key, value string) string {
		x := frame.CloneValues(f)
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
	v.Chips = []frame.Chip{{Text: c.P.T("faults.open"), Href: with("state", ""), On: !v.Closed}, {Text: c.P.T("faults.closed"), Href: with("state", "closed"), On: v.Closed}}
	if c.AllFaults() && c.IsTechnician() {
		v.Chips = append(v.Chips, frame.Chip{Text: c.P.T("faults.all"), Href: with("of", ""), On: f.Get("of") != "mine"}, frame.Chip{Text: c.P.T("faults.mine"), Href: with("of", "mine"), On: f.Get("of") == "mine"})
	}
	count := map[footage.FaultCode]int{}
	for _, x := range list {
		count[x.Code]++
	}
	if len(count) < 2 && f.Get("code") == "" {
		return
	}
	v.Kinds = append(v.Kinds, frame.Chip{Text: c.P.T("faults.every"), Href: with("code", ""), On: f.Get("code") == ""})
	for _, code := range footage.FaultCodes {
		if count[code] > 0 || f.Get("code") == string(code) {
			v.Kinds = append(v.Kinds, frame.Chip{Text: c.P.T("cameras.option", c.P.K("camfault.", code), count[code]), Href: with("code", string(code)), On: f.Get("code") == string(code)})
		}
	}
}

// acknowledgeFault enters that somebody takes note of a fault.
func (o *Pages) acknowledgeFault(c *call) error {
	note := c.R.PostForm.Get("note")
	err := o.d.Health.Acknowledge(c.R.Context(), c.Who(), c.R.PathValue("id"), note)
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showFaults(c, http.StatusUnprocessableEntity, c.R.PathValue("id"), note, errs)
	}
	if errors.Is(err, health.ErrNotFound) { // it closed meanwhile
		return c.Done("/faults?state=closed", "done.fault.gone")
	}
	if err != nil {
		return err
	}
	return c.Done("/faults", "done.fault")
}

// faultNeeds are the open faults on the page of today, as far as they are this person's concern.
func (c *call) faultNeeds() (out []frame.Need) {
	const most = 6
	var seen []health.Fault
	for _, f := range c.o.d.Health.Faults() {
		if c.seesFault(f) {
			seen = append(seen, f)
		}
	}
	for _, f := range seen[:min(len(seen), most)] {
		r := c.o.FaultRow(c.Call, f, nil)
		n := frame.Need{Tone: "bad", Icon: "bad", Badge: c.P.K("camfault.", f.Code), Kind: c.P.T("need.device"), Title: c.P.T("need.fault", r.Camera, r.Lasts), Text: r.Place, Due: r.Opened, Href: "/faults", Do: c.P.T("see")}
		switch {
		case r.Acknowledged:
			n.Tone, n.Icon = "warn", "warn"
			n.Text += c.P.T("sep.clause") + c.P.T("need.fault.taken", r.Acks[len(r.Acks)-1].Who)
		case c.o.d.Health.Technician(f) == "":
			n.Text += c.P.T("sep.clause") + c.P.T("need.fault.nobody")
		default:
			n.Text += c.P.T("sep.clause") + r.Technician
			n.Primary = r.CanAcknowledge && c.o.d.Health.Technician(f) == c.Actor.ID
		}
		out = append(out, n)
	}
	if rest := len(seen) - most; rest > 0 {
		out = append(out, frame.Need{Tone: "bad", Icon: "bad", Badge: c.P.T("faults.open"), Kind: c.P.T("need.device"), Title: c.P.T("need.fault.more", rest), Href: "/faults", Do: c.P.T("see")})
	}
	return out
}

// APIFault is a fault, as JSON.
type APIFault struct {
	health.Fault
	Now string `json:"technician_now,omitempty"`
}

// apiFaults lists the faults, the closed ones of a year with ?state=closed.
func (o *Pages) apiFaults(c *call) error {
	list := o.d.Health.Faults()
	if c.R.URL.Query().Get("state") == "closed" {
		var err error
		if list, err = o.d.Health.History("", c.Now.Wall.AddDate(-1, 0, 0)); err != nil {
			return err
		}
	}
	out := []APIFault{}
	for _, f := range list {
		if c.seesFault(f) {
			out = append(out, APIFault{f, o.d.Health.Technician(f)})
		}
	}
	return c.JSON(http.StatusOK, out)
}

// cameraNeeds are the open faults, and the cameras out of order that are no fault yet.
func (c *call) cameraNeeds() ([]frame.Need, error) {
	out, states := c.faultNeeds(), c.o.d.Status.Cameras()
	faulty := map[string]bool{}
	for _, f := range c.o.d.Health.Faults() {
		faulty[f.Camera] = true
	}
	if c.Can(account.ActCamerasView, account.Subject{}) {
		for _, cam := range c.o.d.Site.Cameras() {
			s := states[cam.ID]
			if cam.Retired || faulty[cam.ID] || s.State != "offline" && s.State != "unusable" { // what stays so becomes a fault
				continue
			}
			n := frame.Need{Tone: "bad", Icon: "bad", Badge: c.P.T("cam." + s.State), Kind: c.P.T("need.device"), Title: c.P.T("need.camera", cam.Name), Text: cam.Place, Href: "/footage?camera=" + cam.ID + "#day", Do: c.P.T("see")}
			if s.State == "unusable" {
				n.Title = c.P.T("need.camera.unusable", cam.Name)
			} else if !s.Since.IsZero() {
				n.Title, n.Due = c.P.T("need.camera.for", cam.Name, c.Now.Wall.Sub(s.Since)), c.P.When(s.Since, c.Now.Wall)
			}
			out = append(out, n)
		}
	}
	return out, nil
}
