package nvrs

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/firmware/nvr"
	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// The wizard asks an NVR with one password, proposes by arithmetic who keeps what, and registers everything at once
// (F1, F2). The password stays with the supervisor of the NVRs; the browser sends it once.

// nvrNewView is the first step: address and password.
type nvrNewView struct {
	Form ui.Form
	More bool // the fields that are rarely needed are open
}

func (o *Pages) newNVRPage(c *call) error { return o.showNewNVR(c, http.StatusOK, url.Values{}, nil) }

func (o *Pages) showNewNVR(c *call, status int, values url.Values, errs fielderr.Errors) error {
	v := nvrNewView{Form: ui.Form{Name: "nvr_new", P: c.P, Values: values, Errors: errs}, More: values.Get("rtsp") != "" || values.Get("pin") != ""}
	return c.PageStatus(status, "nvr_new", c.P.T("nvr_new.title"), v)
}

// lookNVR begins to ask. The address may be typed without its scheme, as people do.
func (o *Pages) lookNVR(c *call) error {
	f := c.R.PostForm
	text := func(k string) string { return strings.TrimSpace(f.Get(k)) }
	d := nvr.Device{Address: strings.TrimRight(text("address"), "/"), RTSP: text("rtsp"), Pin: strings.ReplaceAll(text("pin"), ":", "")}
	if d.Address != "" && !strings.Contains(d.Address, "://") {
		d.Address = "http://" + d.Address
	}
	id, err := o.d.NVRs.StartDiscovery(c.Who(), d, site.Login{User: text("user"), Password: f.Get("password")})
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showNewNVR(c, http.StatusUnprocessableEntity, f, errs)
	}
	if err != nil {
		return err
	}
	return c.SeeOther("/nvr-looks/" + id)
}

// nvrLookView is the second step: while it is asked, why it stopped, or what was found and what becomes of it.
type nvrLookView struct {
	ID       string
	L        nvr.Discovered
	Steps    []ui.Step
	Running  bool
	Refused  bool // of the password: the danger of the lock is named
	Clock    frame.Mark
	Form     ui.Form
	Channels []nvrOffer
	Areas    []ui.Option
	Techs    []ui.Option
	Sum      *nvrSum
	Faults   []ui.Fault
	Known    string // name of the NVR of the register that this is
}

// nvrOffer is one line of the form: a channel and what becomes of it.
type nvrOffer struct {
	C        nvr.Candidate
	Key      string // prefix of its fields
	Use      bool
	Main     string
	Sub      string
	Online   frame.Mark
	Expiry   string
	Name     string
	Place    string
	Group    string
	Area     string
	Days     string
	Reason   string
	Keep     string
	Keeps    []ui.Option
	Proposed string
	Errors   map[string]string
}

// nvrSum is the arithmetic, line by line.
type nvrSum struct {
	Lines    []nvrLine
	Present  string // what is recorded already needs
	Held     string
	Need     string
	Capacity string
	Unknown  bool
	Fits     bool
	Full     string
	X, W     string
}

type nvrLine struct{ Name, How, PerDay, Days, Need string }

func (o *Pages) nvrLookPage(c *call) error {
	l, err := o.looked(c)
	if err != nil {
		return err
	}
	return o.showLook(c, http.StatusOK, l, nil, nil)
}

func (o *Pages) looked(c *call) (nvr.Discovered, error) {
	l, err := o.d.NVRs.Discovered(c.Who(), c.R.PathValue("look"))
	if err != nil {
		return l, fmt.Errorf("ask how a look at an NVR goes: %w", err)
	}
	return l, nil
}

var lookSteps = []string{"info", "channels", "tracks", "clock"}

func (o *Pages) showLook(c *call, status int, l nvr.Discovered, values url.Values, errs fielderr.Errors) error {
	v := nvrLookView{ID: c.R.PathValue("look"), L: l, Running: !l.Done(), Refused: l.Fault == nvr.FaultCredentials}
	if !l.Done() || l.Fault != nvr.FaultNone {
		at := slices.Index(lookSteps, l.Step)
		for i, s := range lookSteps {
			step := ui.Step{State: "done", Title: c.P.T("nvr_new.step." + s)}
			switch {
			case v.Running && i == at:
				step.State = "now"
			case v.Running && i > at:
				step.State = "next"
			}
			v.Steps = append(v.Steps, step)
		}
		return c.PageStatus(status, "nvr_look", c.P.T("nvr_new.title"), v)
	}
	if l.Registered != "" {
		v.Known = o.NvrName(l.Registered)
	}
	offers := o.lookOffers(l)
	if values == nil {
		values = o.firstPlan(c, l, offers)
	}
	v.Form = ui.Form{Name: "nvr_new", P: c.P, Values: values, Errors: errs}
	v.Clock = c.lookClock(l)
	v.fill(c, l, offers, errs)
	v.Sum = o.sum(c, l, values)
	return c.PageStatus(status, "nvr_look", c.P.T("nvr_new.title"), v)
}

func (c *call) lookClock(l nvr.Discovered) frame.Mark {
	f := l.Found
	switch {
	case !f.Known:
		return frame.Mark{Tone: "warn", Icon: "clock", Text: c.P.T("nvr.clock.unknown")}
	case f.Offset.Abs() > time.Minute:
		return frame.Mark{Tone: "bad", Icon: "bad", Text: c.P.T("nvr_new.clock.off", frame.Signed(c.P, f.Offset), f.Zone)}
	}
	return frame.Mark{Tone: "ok", Icon: "ok", Text: c.P.T("nvr_new.clock.fits", frame.Signed(c.P, f.Offset), f.Zone)}
}

// lookOffers is what each channel's streams would write into the vault, for the least number of days.
func (o *Pages) lookOffers(l nvr.Discovered) []footage.Offer {
	out := make([]footage.Offer, len(l.Candidates))
	for i, ch := range l.Candidates {
		out[i] = offerOf(ch, footage.MinDays)
	}
	return out
}

func offerOf(ch nvr.Candidate, days int) footage.Offer {
	x := footage.Offer{Camera: strconv.Itoa(ch.ID), Days: days}
	if ch.Main.ID != 0 {
		x.Main = footage.PerDay(ch.Main.Kbps)
	}
	if ch.Sub.ID != 0 {
		x.Sub = footage.PerDay(ch.Sub.Kbps)
	}
	return x
}

// firstPlan is what the form begins with: names as the NVR has them, custody by arithmetic.
func (o *Pages) firstPlan(c *call, l nvr.Discovered, offers []footage.Offer) url.Values {
	k := o.d.Status.Retention()
	keeps := footage.Propose(k.Loads, k.Held, k.Capacity, offers)
	v := url.Values{"name": {cmp.Or(l.Found.Info.Name, l.Found.Info.Model)}, "installer": {c.Session.Person.Name}, "installed": {c.P.ISODate(c.Now.Wall)}}
	for i, ch := range l.Candidates {
		p := "c" + strconv.Itoa(ch.ID) + "."
		v.Set(p+"use", "yes")
		v.Set(p+"name", cmp.Or(ch.Name, c.P.T("nvr_new.channel", ch.ID)))
		v.Set(p+"place", ch.Name)
		v.Set(p+"days", strconv.Itoa(footage.MinDays))
		v.Set(p+"keep", string(keeps[i]))
	}
	return v
}

func (v *nvrLookView) fill(c *call, l nvr.Discovered, offers []footage.Offer, errs fielderr.Errors) {
	v.Areas = []ui.Option{{Text: c.P.T("nvr_new.choose")}}
	for _, a := range slices.Concat(footage.Areas, footage.PrivateAreas) {
		x := ui.Option{Value: string(a), Text: c.P.K("area.", a)}
		if a.Private() {
			x.Text = c.P.T("area.private", x.Text)
		}
		v.Areas = append(v.Areas, x)
	}
	v.Techs = c.o.technicians("")
	k := c.o.d.Status.Retention()
	proposed := footage.Propose(k.Loads, k.Held, k.Capacity, offers)
	f := v.Form.Values
	for i, ch := range l.Candidates {
		key := "c" + strconv.Itoa(ch.ID) + "."
		x := nvrOffer{C: ch, Key: key, Use: f.Get(key+"use") != "", Name: f.Get(key + "name"), Place: f.Get(key + "place"), Group: f.Get(key + "group"), Area: f.Get(key + "area"),
			Days: f.Get(key + "days"), Reason: f.Get(key + "reason"), Keep: f.Get(key + "keep"), Proposed: c.P.K("nvr_new.keep.", proposed[i]), Errors: map[string]string{}}
		if ch.Main.ID != 0 {
			x.Main = c.streamText(ch.Main)
		}
		if ch.Sub.ID != 0 {
			x.Sub = c.streamText(ch.Sub)
		}
		x.Expiry = c.P.T("nvr_new.no_track")
		if ch.Track.Enabled {
			x.Expiry = c.expiry(ch.Track.Expires, ch.Track.Keep)
		}
		if ch.Online != nil && !*ch.Online {
			x.Online = frame.Mark{Tone: "bad", Icon: "bad", Text: c.P.T("cam.offline")}
		}
		for _, way := range []footage.StorageChoice{footage.KeepNVR, footage.KeepMain, footage.KeepSub} {
			if _, ok := offers[i].Load(way); ok {
				x.Keeps = append(x.Keeps, ui.Option{Value: string(way), Text: c.P.K("nvr_new.keep.", way), On: x.Keep == string(way)})
			}
		}
		for _, field := range []string{"use", "name", "place", "group", "area", "days", "reason", "keep"} {
			if s := v.Form.Error(key + field); s != "" {
				x.Errors[field] = s
			}
		}
		v.Channels = append(v.Channels, x)
	}
	for _, e := range errs {
		label := ""
		if ch, field, ok := strings.Cut(e.Field, "."); ok && strings.HasPrefix(ch, "c") {
			label = f.Get(ch+".name") + c.P.T("sep.colon")
			if k := "camera.f." + field; ui.Has(k) {
				label += c.P.T(k) + c.P.T("sep.colon")
			}
		}
		v.Faults = append(v.Faults, ui.Fault{ID: "f-" + e.Field, Text: label + c.P.T(e.Rule, e.Args...)})
	}
}

// chosen are the channels that are ticked, with their days and what becomes of them.
func chosen(l nvr.Discovered, f url.Values) (out []struct {
	ch   nvr.Candidate
	key  string
	keep footage.StorageChoice
	days int
}) {
	for _, ch := range l.Candidates {
		key := "c" + strconv.Itoa(ch.ID) + "."
		if f.Get(key+"use") == "" {
			continue
		}
		days, err := strconv.Atoi(strings.TrimSpace(f.Get(key + "days")))
		if err != nil {
			days = 0
		}
		out = append(out, struct {
			ch   nvr.Candidate
			key  string
			keep footage.StorageChoice
			days int
		}{ch, key, footage.StorageChoice(f.Get(key + "keep")), days})
	}
	return out
}

// sum shows the arithmetic of what is chosen.
func (o *Pages) sum(c *call, l nvr.Discovered, f url.Values) *nvrSum {
	k := o.d.Status.Retention()
	s := &nvrSum{Capacity: c.P.Bytes(k.Capacity), Unknown: k.Capacity <= 0}
	present := footage.Predict(k.Loads, 0, k.Capacity)
	s.Present = c.P.Bytes(present.Need)
	if k.Held > 0 {
		s.Held = c.P.Bytes(k.Held)
	}
	loads := slices.Clone(k.Loads)
	for _, x := range chosen(l, f) {
		load, ok := offerOf(x.ch, max(x.days, footage.MinDays)).Load(x.keep)
		if !ok || x.keep == footage.KeepNVR {
			continue
		}
		st := x.ch.Main
		if x.keep == footage.KeepSub {
			st = x.ch.Sub
		}
		need := load.BytesPerDay * int64(load.Days+1)
		s.Lines = append(s.Lines, nvrLine{Name: f.Get(x.key + "name"), How: c.P.T("nvr_new.sum.rate", st.Kbps), PerDay: c.P.Bytes(load.BytesPerDay), Days: c.P.T("nvr_new.sum.days", load.Days+1), Need: c.P.Bytes(need)})
		loads = append(loads, load)
	}
	all := footage.Predict(loads, k.Held, k.Capacity)
	s.Need, s.Fits = c.P.Bytes(all.Need), all.Fits || len(s.Lines) == 0
	if !all.Fits {
		s.Full = fmt.Sprintf("%.1f", all.FullAt)
	}
	if k.Capacity > 0 {
		s.W = ui.Pct(min(1, float64(all.Need)/float64(k.Capacity)))
	}
	return s
}

// adoptNVR does the sum again, or registers the cameras and the NVR.
func (o *Pages) adoptNVR(c *call) error {
	l, err := o.looked(c)
	if err != nil {
		return err
	}
	if !l.Done() || l.Fault != nvr.FaultNone {
		return c.SeeOther("/nvr-looks/" + c.R.PathValue("look"))
	}
	f := c.R.PostForm
	if f.Get("button") == "sum" {
		return o.showLook(c, http.StatusOK, l, f, nil)
	}
	plan, errs := o.plan(c, l, f)
	if len(errs) > 0 {
		return o.showLook(c, http.StatusUnprocessableEntity, l, f, errs)
	}
	id, err := o.d.NVRs.Adopt(c.R.Context(), c.Who(), c.R.PathValue("look"), plan)
	if rows, ok := err.(site.RowErrors); ok {
		return o.showLook(c, http.StatusUnprocessableEntity, l, f, rowFaults(rows, plan))
	}
	if fields, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showLook(c, http.StatusUnprocessableEntity, l, f, fields)
	}
	if err != nil {
		return err
	}
	return c.Done("/nvrs/"+id, "done.nvr")
}

// rowFaults puts what is wrong with a camera to its channel.
func rowFaults(rows site.RowErrors, plan nvr.Plan) (out fielderr.Errors) {
	fields := map[string]string{"days": "days", "name": "name", "place": "place", "group": "group", "area": "area", "reason": "reason", "custody": "keep", "main": "keep"}
	for i := site.WholeList; i < len(plan.Cameras); i++ {
		for _, e := range rows[i] {
			if i >= 0 {
				e.Field = fmt.Sprintf("c%d.%s", plan.Cameras[i].Channel, cmp.Or(fields[e.Field], "name"))
			}
			out = append(out, e)
		}
	}
	return out
}

// plan reads the form. What does not fit the disk is refused with the arithmetic, which the page shows (F3).
func (o *Pages) plan(c *call, l nvr.Discovered, f url.Values) (p nvr.Plan, errs fielderr.Errors) {
	text := func(k string) string { return strings.TrimSpace(f.Get(k)) }
	p = nvr.Plan{Name: text("name"), Place: text("place"), Installer: text("installer"), Technician: f.Get("technician"), Installed: text("installed")}
	if p.Name == "" {
		errs.Add("name", "err.required")
	}
	k := o.d.Status.Retention()
	loads := slices.Clone(k.Loads)
	list := chosen(l, f)
	if len(list) == 0 {
		errs.Add("channels", "err.nvr_no_channel")
	}
	next := o.freeCamera()
	for _, x := range list {
		cam := footage.Camera{ID: next(), Name: text(x.key + "name"), Place: text(x.key + "place"), Group: text(x.key + "group"), Area: footage.Area(f.Get(x.key + "area")),
			Custody: footage.CustodyNVR, Policy: footage.Policy{Days: x.days, Reason: text(x.key + "reason")}, Installer: p.Installer, Technician: p.Technician, Installed: p.Installed}
		choice := nvr.Choice{Channel: x.ch.ID, Camera: cam}
		load, ok := offerOf(x.ch, max(x.days, footage.MinDays)).Load(x.keep)
		switch {
		case !ok:
			errs.Add(x.key+"keep", "err.choice")
		case x.keep == footage.KeepNVR:
			if !x.ch.Track.Enabled {
				errs.Add(x.key+"keep", "err.nvr_no_track")
			}
		default:
			st := x.ch.Main
			choice.Camera.Custody, choice.Stream = footage.CustodyVault, 1
			if x.keep == footage.KeepSub {
				choice.Stream, st = 2, x.ch.Sub
			}
			choice.Camera.Kbps = st.Kbps // the disk is reckoned with it until it is measured
			loads = append(loads, load)
		}
		check := choice.Camera
		if check.Custody == footage.CustodyVault {
			check.Main = "rtsp://nvr/" // made when it is registered
		}
		if faults, ok := errors.AsType[fielderr.Errors](footage.Validate(check)); ok {
			for _, e := range faults {
				e.Field = x.key + e.Field
				errs = append(errs, e)
			}
		}
		p.Cameras = append(p.Cameras, choice)
	}
	if len(loads) > len(k.Loads) {
		if fit := footage.Predict(loads, k.Held, k.Capacity); !fit.Fits {
			errs.Add("sum", "err.nvr_sum", c.P.Bytes(fit.Need), c.P.Bytes(k.Capacity))
		}
	}
	return p, errs
}

// freeCamera gives ids that no camera has, one after the other.
func (o *Pages) freeCamera() func() string {
	n := 0
	return func() string {
		for {
			n++
			if _, taken := o.d.Site.Camera("c" + fmt.Sprintf("%02d", n)); !taken {
				return "c" + fmt.Sprintf("%02d", n)
			}
		}
	}
}
