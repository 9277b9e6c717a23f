package cameras

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"campuskeep/firmware/health"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/site"
	"campuskeep/firmware/web/entrytext"
	"campuskeep/firmware/web/frame"
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
	Seen     []frame.Mark // what the last visit to its picture and clock found
	SeenText string
	Open     []entrytext.FaultRow
	Past     []entrytext.FaultRow
	Changes  []frame.RecordChange
	CanEdit  bool
	CanTest  bool
	Tried    *testResultView
}

type cameraFact struct {
	Name, Text string
	Mono       bool
}

func (o *Pages) cameraPage(c *call) error { return o.showCamera(c, http.StatusOK, nil) }

func (o *Pages) showCamera(c *call, status int, tried *testResultView) error {
	rev := o.d.Site.CameraRev(c.R.PathValue("id"))
	cam, ok := o.d.Site.Camera(c.R.PathValue("id"))
	if !ok {
		return frame.ErrNotFound
	}
	v := cameraView{C: cam, Rev: rev, CanEdit: c.Can(account.ActCamerasEdit, account.Subject{Camera: cam.ID}), CanTest: c.Can(account.ActCamerasTest, account.Subject{Camera: cam.ID}), Tried: tried}
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
	previous, err := o.d.Health.History(cam.ID, c.Now.Wall.AddDate(0, 0, -frame.FaultDays))
	if err != nil {
		return err
	}
	notes, err := o.FaultNotes(c.Call, slices.Concat(open, previous))
	if err != nil {
		return err
	}
	for _, f := range open {
		v.Open = append(v.Open, c.o.FaultRow(c.Call, f, notes))
	}
	for _, f := range previous[:min(len(previous), frame.MostPast)] {
		v.Past = append(v.Past, c.o.FaultRow(c.Call, f, notes))
	}
	if v.Changes, err = o.cameraChanges(c, cam.ID); err != nil {
		return err
	}
	return c.PageStatus(status, "camera", cam.Name, v)
}

func (c *call) cameraFacts(cam footage.Camera, state frame.CameraState) []cameraFact {
	days := c.P.T("camera.days", cam.Policy.Days)
	if cam.Policy.Reason != "" {
		days += c.P.T("sep.clause") + cam.Policy.Reason
	}
	transport := ""
	if cam.Custody == footage.CustodyVault {
		transport = strings.ToUpper(cmp.Or(cam.Transport, "tcp"))
	}
	pin := cam.Pin
	if len(pin) > 16 {
		pin = pin[:16] + "…"
	}
	kbps := ""
	if cam.Kbps > 0 {
		kbps = c.P.T("nvr.kbps", cam.Kbps)
	}
	timing := ""
	if state.ByArrival {
		timing = c.P.T("camera.timing.arrival")
	}
	var out []cameraFact
	for _, f := range []cameraFact{
		{"place", cam.Place, false}, {"group", cam.Group, false}, {"area", c.P.K("area.", cam.Area), false}, {"custody", c.P.K("custody.", cam.Custody), false}, {"days", days, false}, {"sound", c.soundFact(cam, state), false},
		{"main", cam.Main, true}, {"sub", cam.Sub, true}, {"still", cam.Still, true}, {"transport", transport, false}, {"pin", pin, true}, {"kbps", kbps, false}, {"timing", timing, false}, {"gb_code", cam.GBCode, true},
		{"installer", cam.Installer, false}, {"installed", cam.Installed, false}, {"technician", c.o.Name(cam.Technician), false}, {"since", c.P.DayTime(cam.Since), false},
	} {
		if f.Text != "" {
			f.Name = c.P.T("camera.f." + f.Name)
			out = append(out, f)
		}
	}
	return out
}

// soundFact says whether we record sound, on what ground, and what the camera sends while we are connected to it.
func (c *call) soundFact(cam footage.Camera, s frame.CameraState) string {
	text := c.P.T("sound." + soundCode(cam.Sound))
	switch {
	case cam.Custody != footage.CustodyVault:
		text += c.P.T("sep.clause") + c.P.T("sound.elsewhere")
	case s.State != "online":
	case s.Offers == "":
		text += c.P.T("sep.clause") + c.P.T("sound.none")
	default:
		text = c.soundWord(s.Offers, cam.Sound, s.Sound)
	}
	if cam.Sound {
		text += c.P.T("sep.clause") + cam.SoundReason
	}
	return text
}

// soundWord says of sound that a camera sends whether it is recorded; can is false where it cannot be.
func (c *call) soundWord(codec string, on, can bool) string {
	if on && !can {
		return c.P.T("sound.cannot", codec)
	}
	return c.P.T("sound.sends", codec, c.P.T("sound."+soundCode(on)))
}

// cameraSeen says what the last visit to the camera's own picture and clock found.
func (c *call) cameraSeen(cam footage.Camera) (out []frame.Mark, text string) {
	if cam.Retired || cam.Still == "" {
		return nil, c.P.T("camera.unseen")
	}
	s, ok := c.o.d.Health.LastVisit(cam.ID)
	if !ok {
		return nil, c.P.T("camera.seen.soon")
	}
	text = c.P.T("camera.seen.at", c.P.When(s.At.Wall, c.Now.Wall))
	if s.Trouble != "" {
		out = append(out, frame.Mark{Tone: "warn", Icon: "warn", Text: c.P.T("camera.seen.trouble", c.P.K("trouble.", s.Trouble))})
	} else {
		out = append(out, c.judged("black", s.Black), c.judged("frozen", s.Frozen))
	}
	if s.HasClock {
		m := c.judged("time", s.Clock)
		m.Text += c.P.T("sep.clause") + frame.Signed(c.P, s.Offset)
		out = append(out, m)
	}
	return out, text
}

func (c *call) judged(what string, f footage.Finding) frame.Mark {
	m := frame.Mark{Tone: "mute", Icon: "clock", Text: ""}
	switch f {
	case footage.Well:
		m.Tone, m.Icon = "ok", "ok"
	case footage.Ill:
		m.Tone, m.Icon = "bad", "bad"
	}
	m.Text = c.P.T("camera.seen." + what + "." + []string{"unsure", "well", "ill"}[f])
	return m
}

// cameraChanges reads from the log what was changed about a camera, latest first.
func (o *Pages) cameraChanges(c *call, id string) (out []frame.RecordChange, _ error) {
	page, err := o.d.Ledger.Search(c.R.Context(), ledgerdb.Query{Kinds: []ledger.Kind{"camera.registered", "camera.changed", "camera.tested"}, About: []string{id}, Limit: frame.MostChanges})
	if err != nil {
		return nil, fmt.Errorf("read the changes of a camera: %w", err)
	}
	see := c.Can(account.ActLogProof, account.Subject{})
	for _, e := range page.Entries {
		x := frame.RecordChange{Seq: e.Seq, When: c.P.When(e.At, c.Now.Wall), Who: c.ActorName(e.Actor), What: c.P.K("kind.", e.Kind), CanSee: see}
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
			if frame.Decode(e.Data, &d) {
				x.Fields = []frame.ChangedField{{Name: c.P.T("try.result"), Before: "", After: c.TestResultWord(d.Result)}}
				if d.Picture {
					x.Fields = append(x.Fields, frame.ChangedField{Name: c.P.T("try.picture"), Before: "", After: c.P.T("try.picture.shown")})
				}
			}
		}
		out = append(out, x)
	}
	return out, nil
}

// changedFields puts before beside after for what an entry says was changed.
func (c *call) changedFields(e ledger.Entry, parts []ledger.OpenPart) (out []frame.ChangedField) {
	var d struct{ What []string }
	frame.Decode(e.Data, &d)
	var before, after footage.Camera
	for _, p := range parts {
		switch {
		case p.Erased:
		case p.Name == "before":
			frame.Decode(json.RawMessage(p.Plain), &before)
		case p.Name == "after":
			frame.Decode(json.RawMessage(p.Plain), &after)
		}
	}
	for _, w := range d.What {
		switch w {
		case "login":
			out = append(out, frame.ChangedField{Name: c.P.T("camera.login"), Before: "", After: c.P.T("camera.login.changed")})
		case "policy":
			out = append(out, frame.ChangedField{Name: c.P.T("camera.f.days"), Before: c.P.T("camera.days", before.Policy.Days), After: c.P.T("camera.days", after.Policy.Days)})
		case "retired":
			out = append(out, frame.ChangedField{Name: c.P.T("state"), Before: c.inService(before.Retired), After: c.inService(after.Retired)})
		default:
			a, b := c.fieldWord(before, w), c.fieldWord(after, w)
			out = append(out, frame.ChangedField{Name: c.P.T("camera.f." + w), Before: a, After: b})
		}
	}
	return out
}

func (c *call) inService(retired bool) string {
	if retired {
		return c.P.T("cam.retired")
	}
	return c.P.T("camera.in_service")
}

// fieldWord is one field of a camera in words.
func (c *call) fieldWord(cam footage.Camera, field string) string {
	switch field {
	case "area":
		return c.P.K("area.", cam.Area)
	case "custody":
		return c.P.K("custody.", cam.Custody)
	case "sound":
		return c.P.T("sound." + soundCode(cam.Sound))
	case "technician":
		return c.o.Name(cam.Technician)
	case "since":
		return c.P.DayTime(cam.Since)
	}
	return cmp.Or(CameraValues(cam).Get(field), "–")
}

// retireView asks before a camera is taken out of service, and says what becomes of its footage.
type retireView struct {
	Rev     uint64
	C       footage.Camera
	Keeper  string // catalogue key: who keeps its footage
	LastDay string
	Holds   int
}

func (o *Pages) retirePage(c *call) error {
	rev := o.d.Site.CameraRev(c.R.PathValue("id"))
	cam, ok := o.d.Site.Camera(c.R.PathValue("id"))
	if !ok || cam.Retired {
		return frame.ErrNotFound
	}
	v := retireView{C: cam, Rev: rev, Keeper: "retire.keeper." + string(cam.Custody), LastDay: c.P.Date(c.Now.Wall.Add(cam.Policy.Keep()))}
	for _, h := range c.Holds() {
		if slices.Contains(h.Cameras, cam.ID) {
			v.Holds++
		}
	}
	return c.Page("camera_retire", c.P.T("retire.title", cam.Name), v)
}

// serveCamera takes a camera out of service, or back into it.
func (o *Pages) serveCamera(retired bool) handler {
	return func(c *call) error {
		cam, ok := o.d.Site.Camera(c.R.PathValue("id"))
		if !ok {
			return frame.ErrNotFound
		}
		cam.Retired = retired
		rev := frame.FormRev(c.R.PostForm)
		errs, err := o.storeCamera(c, site.CameraPut{Camera: cam, Rev: rev})
		if err != nil {
			return err
		}
		if len(errs) > 0 { // somebody has changed it; or back in service it does not fit, or its code is taken
			status := http.StatusUnprocessableEntity
			if errs[0].Rule == site.RowChanged {
				status = http.StatusConflict
			}
			values := CameraValues(cam)
			values.Set("rev", strconv.FormatUint(o.d.Site.CameraRev(cam.ID), 10))
			return o.showCameraForm(c, status, cam.ID, values, errs, nil)
		}
		key := "done.camera.back"
		if retired {
			key = "done.camera.retired"
		}
		return c.Done("/cameras/"+cam.ID, key)
	}
}
