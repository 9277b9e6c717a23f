package web

import (
	"campuskeep/firmware/site"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"campuskeep/firmware/health"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// cameraView is the page of one camera: what it is, how it is, what was changed.
type cameraView struct {
	Rev      uint64
	Row      cameraRow
	C        footage.Camera
	Facts    []cameraFact
	Seen     []mark // what the last visit to its picture and clock found
	SeenText string
	Open     []faultRow
	Past     []faultRow
	Changes  []cameraChange
	CanEdit  bool
	CanTest  bool
	Tried    *testResultView
}

type cameraFact struct {
	Name, Text string
	Mono       bool
}

type cameraChange struct {
	Seq             uint64
	When, Who, What string
	Fields          []changedField
	CanSee          bool
}

type changedField struct{ Name, Before, After string }

// What the page shows of the past.
const (
	faultDays   = 90
	mostChanges = 20
	mostPast    = 10
)

func (o *Server) cameraPage(c *call) error { return o.showCamera(c, http.StatusOK, nil) }

func (o *Server) showCamera(c *call, status int, tried *testResultView) error {
	rev := o.d.Site.CameraRev(c.r.PathValue("id"))
	cam, ok := o.d.Site.Camera(c.r.PathValue("id"))
	if !ok {
		return errNotFound
	}
	v := cameraView{C: cam, Rev: rev, CanEdit: c.can(account.ActCamerasEdit, account.Subject{Camera: cam.ID}), CanTest: c.can(account.ActCamerasTest, account.Subject{Camera: cam.ID}), Tried: tried}
	var open []health.Fault
	for _, f := range o.d.Health.Faults() {
		if f.Camera == cam.ID {
			open = append(open, f)
		}
	}
	state := o.d.Status.Cameras()[cam.ID]
	v.Row = c.cameraState(cam, state, open)
	v.Facts = c.cameraFacts(cam, state)
	v.Seen, v.SeenText = c.cameraSeen(cam)
	previous, err := o.d.Health.History(cam.ID, c.now.Wall.AddDate(0, 0, -faultDays))
	if err != nil {
		return err
	}
	notes, err := o.faultNotes(c, slices.Concat(open, previous))
	if err != nil {
		return err
	}
	for _, f := range open {
		v.Open = append(v.Open, c.faultRow(f, notes))
	}
	for _, f := range previous[:min(len(previous), mostPast)] {
		v.Past = append(v.Past, c.faultRow(f, notes))
	}
	if v.Changes, err = o.cameraChanges(c, cam.ID); err != nil {
		return err
	}
	return c.pageStatus(status, "camera", cam.Name, v)
}

func (c *call) cameraFacts(cam footage.Camera, state CameraState) []cameraFact {
	days := c.p.T("camera.days", cam.Policy.Days)
	if cam.Policy.Reason != "" {
		days += c.p.T("sep.clause") + cam.Policy.Reason
	}
	transport := ""
	if cam.Custody == footage.CustodyVault {
		transport = strings.ToUpper(cmpOr(cam.Transport, "tcp"))
	}
	pin := cam.Pin
	if len(pin) > 16 {
		pin = pin[:16] + "…"
	}
	kbps := ""
	if cam.Kbps > 0 {
		kbps = c.p.T("nvr.kbps", cam.Kbps)
	}
	timing := ""
	if state.ByArrival {
		timing = c.p.T("camera.timing.arrival")
	}
	var out []cameraFact
	for _, f := range []cameraFact{
		{"place", cam.Place, false}, {"group", cam.Group, false}, {"area", c.p.K("area.", cam.Area), false}, {"custody", c.p.K("custody.", cam.Custody), false}, {"days", days, false}, {"sound", c.soundFact(cam, state), false},
		{"main", cam.Main, true}, {"sub", cam.Sub, true}, {"still", cam.Still, true}, {"transport", transport, false}, {"pin", pin, true}, {"kbps", kbps, false}, {"timing", timing, false}, {"gb_code", cam.GBCode, true},
		{"installer", cam.Installer, false}, {"installed", cam.Installed, false}, {"technician", c.o.name(cam.Technician), false}, {"since", c.p.DayTime(cam.Since), false},
	} {
		if f.Text != "" {
			f.Name = c.p.T("camera.f." + f.Name)
			out = append(out, f)
		}
	}
	return out
}

// soundFact says whether we record sound, on what ground, and what the camera sends while we are connected to it.
func (c *call) soundFact(cam footage.Camera, s CameraState) string {
	text := c.p.T("sound." + soundCode(cam.Sound))
	switch {
	case cam.Custody != footage.CustodyVault:
		text += c.p.T("sep.clause") + c.p.T("sound.elsewhere")
	case s.State != "online":
	case s.Offers == "":
		text += c.p.T("sep.clause") + c.p.T("sound.none")
	default:
		text = c.soundWord(s.Offers, cam.Sound, s.Sound)
	}
	if cam.Sound {
		text += c.p.T("sep.clause") + cam.SoundReason
	}
	return text
}

// soundWord says of sound that a camera sends whether it is recorded; can is false where it cannot be.
func (c *call) soundWord(codec string, on, can bool) string {
	if on && !can {
		return c.p.T("sound.cannot", codec)
	}
	return c.p.T("sound.sends", codec, c.p.T("sound."+soundCode(on)))
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// cameraSeen says what the last visit to the camera's own picture and clock found.
func (c *call) cameraSeen(cam footage.Camera) (out []mark, text string) {
	if cam.Retired || cam.Still == "" {
		return nil, c.p.T("camera.unseen")
	}
	s, ok := c.o.d.Health.LastVisit(cam.ID)
	if !ok {
		return nil, c.p.T("camera.seen.soon")
	}
	text = c.p.T("camera.seen.at", c.p.When(s.At.Wall, c.now.Wall))
	if s.Trouble != "" {
		out = append(out, mark{"warn", "warn", c.p.T("camera.seen.trouble", c.p.K("trouble.", s.Trouble))})
	} else {
		out = append(out, c.judged("black", s.Black), c.judged("frozen", s.Frozen))
	}
	if s.HasClock {
		m := c.judged("time", s.Clock)
		m.Text += c.p.T("sep.clause") + signed(c.p, s.Offset)
		out = append(out, m)
	}
	return out, text
}

func (c *call) judged(what string, f footage.Finding) mark {
	m := mark{"mute", "clock", ""}
	switch f {
	case footage.Well:
		m.Tone, m.Icon = "ok", "ok"
	case footage.Ill:
		m.Tone, m.Icon = "bad", "bad"
	}
	m.Text = c.p.T("camera.seen." + what + "." + []string{"unsure", "well", "ill"}[f])
	return m
}

// cameraChanges reads from the log what was changed about a camera, latest first.
func (o *Server) cameraChanges(c *call, id string) (out []cameraChange, _ error) {
	page, err := o.d.Ledger.Search(c.r.Context(), ledgerdb.Query{Kinds: []ledger.Kind{"camera.registered", "camera.changed", "camera.tested"}, About: []string{id}, Limit: mostChanges})
	if err != nil {
		return nil, fmt.Errorf("read the changes of a camera: %w", err)
	}
	see := c.can(account.ActLogProof, account.Subject{})
	for _, e := range page.Entries {
		x := cameraChange{Seq: e.Seq, When: c.p.When(e.At, c.now.Wall), Who: c.actorName(e.Actor), What: c.p.K("kind.", e.Kind), CanSee: see}
		switch e.Kind {
		case "camera.changed":
			parts, err := o.d.Ledger.Parts(e.Seq)
			if err != nil {
				return nil, fmt.Errorf("read the change of a camera: %w", err)
			}
			x.Fields = c.changedFields(e, parts)
		case "camera.tested":
			var d struct {
				Result  string
				Picture bool
			}
			if decode(e.Data, &d) {
				x.Fields = []changedField{{c.p.T("try.result"), "", c.testResultWord(d.Result)}}
				if d.Picture {
					x.Fields = append(x.Fields, changedField{c.p.T("try.picture"), "", c.p.T("try.picture.shown")})
				}
			}
		}
		out = append(out, x)
	}
	return out, nil
}

// changedFields puts before beside after for what an entry says was changed.
func (c *call) changedFields(e ledger.Entry, parts []ledger.OpenPart) (out []changedField) {
	var d struct{ What []string }
	decode(e.Data, &d)
	var before, after footage.Camera
	for _, p := range parts {
		switch {
		case p.Erased:
		case p.Name == "before":
			decode(json.RawMessage(p.Plain), &before)
		case p.Name == "after":
			decode(json.RawMessage(p.Plain), &after)
		}
	}
	for _, w := range d.What {
		switch w {
		case "login":
			out = append(out, changedField{c.p.T("camera.login"), "", c.p.T("camera.login.changed")})
		case "policy":
			out = append(out, changedField{c.p.T("camera.f.days"), c.p.T("camera.days", before.Policy.Days), c.p.T("camera.days", after.Policy.Days)})
		case "retired":
			out = append(out, changedField{c.p.T("state"), c.inService(before.Retired), c.inService(after.Retired)})
		default:
			a, b := c.fieldWord(before, w), c.fieldWord(after, w)
			out = append(out, changedField{c.p.T("camera.f." + w), a, b})
		}
	}
	return out
}

func (c *call) inService(retired bool) string {
	if retired {
		return c.p.T("cam.retired")
	}
	return c.p.T("camera.in_service")
}

// fieldWord is one field of a camera in words.
func (c *call) fieldWord(cam footage.Camera, field string) string {
	switch field {
	case "area":
		return c.p.K("area.", cam.Area)
	case "custody":
		return c.p.K("custody.", cam.Custody)
	case "sound":
		return c.p.T("sound." + soundCode(cam.Sound))
	case "technician":
		return c.o.name(cam.Technician)
	case "since":
		return c.p.DayTime(cam.Since)
	}
	return cmpOr(cameraValues(cam).Get(field), "–")
}

// retireView asks before a camera is taken out of service, and says what becomes of its footage.
type retireView struct {
	Rev     uint64
	C       footage.Camera
	Keeper  string // catalogue key: who keeps its footage
	LastDay string
	Holds   int
}

func (o *Server) retirePage(c *call) error {
	rev := o.d.Site.CameraRev(c.r.PathValue("id"))
	cam, ok := o.d.Site.Camera(c.r.PathValue("id"))
	if !ok || cam.Retired {
		return errNotFound
	}
	v := retireView{C: cam, Rev: rev, Keeper: "retire.keeper." + string(cam.Custody), LastDay: c.p.Date(c.now.Wall.Add(cam.Policy.Keep()))}
	for _, h := range c.holds() {
		if slices.Contains(h.Cameras, cam.ID) {
			v.Holds++
		}
	}
	return c.page("camera_retire", c.p.T("retire.title", cam.Name), v)
}

// serveCamera takes a camera out of service, or back into it.
func (o *Server) serveCamera(retired bool) handler {
	return func(c *call) error {
		cam, ok := o.d.Site.Camera(c.r.PathValue("id"))
		if !ok {
			return errNotFound
		}
		cam.Retired = retired
		rev := formRev(c.r.PostForm)
		errs, err := o.storeCamera(c, site.CameraPut{Camera: cam, Rev: rev})
		if err != nil {
			return err
		}
		if len(errs) > 0 { // somebody has changed it; or back in service it does not fit, or its code is taken
			status := http.StatusUnprocessableEntity
			if errs[0].Rule == site.RowChanged {
				status = http.StatusConflict
			}
			values := cameraValues(cam)
			values.Set("rev", strconv.FormatUint(o.d.Site.CameraRev(cam.ID), 10))
			return o.showCameraForm(c, status, cam.ID, values, errs, nil)
		}
		key := "done.camera.back"
		if retired {
			key = "done.camera.retired"
		}
		return c.done("/cameras/"+cam.ID, key)
	}
}
