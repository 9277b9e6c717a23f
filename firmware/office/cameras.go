package office

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/firmware/site"
	"campuskeep/shared/account"
	"campuskeep/shared/fielderr"
	"campuskeep/shared/footage"
	"campuskeep/shared/ui"
)

type camerasView struct {
	Rows    []cameraRow
	CanEdit bool
}

type cameraRow struct {
	C                 footage.Camera
	State             CameraState
	Tone, Icon, Word  string
	Oldest, Share     string
	Technician, Since string
}

func (o *Office) camerasPage(c *call) error {
	v := camerasView{CanEdit: c.can(account.ActCamerasEdit, account.Subject{})}
	states := o.d.Status.Cameras()
	for _, cam := range o.d.Site.Cameras() {
		r := cameraRow{C: cam, State: states[cam.ID], Technician: o.name(cam.Technician), Since: c.p.ISODate(cam.Since)}
		switch {
		case cam.Retired:
			r.Tone, r.Icon, r.Word = "mute", "clock", c.p.T("cam.retired")
		case r.State.State == "online":
			r.Tone, r.Icon, r.Word = "ok", "ok", c.p.T("cam.online")
		case r.State.State == "offline":
			r.Tone, r.Icon, r.Word = "bad", "bad", c.p.T("cam.offline")
		default:
			r.Tone, r.Icon, r.Word = "warn", "clock", c.p.T("cam.connecting")
		}
		v.Rows = append(v.Rows, r)
	}
	slices.SortStableFunc(v.Rows, func(a, b cameraRow) int {
		return cmp.Or(compareBool(a.C.Retired, b.C.Retired), compareBool(b.Tone == "bad", a.Tone == "bad"), cmp.Compare(a.C.ID, b.C.ID))
	})
	return c.page("cameras", c.p.T("nav.cameras"), v)
}

// cameraView is the form of one camera, new or known.
type cameraView struct {
	Form    ui.Form
	New     bool
	ID      string
	Name    string
	Areas   []ui.Option
	Custody []ui.Option
	Techs   []ui.Option
}

func (o *Office) newCameraPage(c *call) error {
	id := ""
	for n := 1; ; n++ {
		id = "c" + two(n)
		if _, taken := o.d.Site.Camera(id); !taken {
			break
		}
	}
	values := cameraValues(footage.Camera{ID: id, Custody: footage.CustodyVault, Policy: footage.Policy{Days: footage.MinDays}, Installed: c.p.ISODate(c.now.Wall)})
	return o.showCamera(c, http.StatusOK, "", values, nil)
}

func two(n int) string {
	s := strconv.Itoa(n)
	if len(s) < 2 {
		s = "0" + s
	}
	return s
}

func (o *Office) cameraPage(c *call) error {
	cam, ok := o.d.Site.Camera(c.r.PathValue("id"))
	if !ok {
		return errNotFound
	}
	return o.showCamera(c, http.StatusOK, cam.ID, cameraValues(cam), nil)
}

func cameraValues(cam footage.Camera) map[string][]string {
	v := map[string][]string{}
	for k, s := range map[string]string{"id": cam.ID, "name": cam.Name, "place": cam.Place, "group": cam.Group, "area": string(cam.Area), "custody": string(cam.Custody),
		"main": cam.Main, "sub": cam.Sub, "days": strconv.Itoa(cam.Policy.Days), "reason": cam.Policy.Reason, "installer": cam.Installer,
		"technician": cam.Technician, "installed": cam.Installed, "gb_code": cam.GBCode} {
		v[k] = []string{s}
	}
	if cam.Kbps > 0 {
		v["kbps"] = []string{strconv.Itoa(cam.Kbps)}
	}
	if cam.Priority > 0 {
		v["priority"] = []string{strconv.Itoa(cam.Priority)}
	}
	if cam.Retired {
		v["retired"] = []string{"yes"}
	}
	return v
}

func (o *Office) showCamera(c *call, status int, id string, values map[string][]string, errs fielderr.Errors) error {
	v := cameraView{Form: ui.Form{Name: "camera", P: c.p, Values: values, Errors: errs}, New: id == "", ID: id}
	v.Name = v.Form.Values.Get("name")
	for _, a := range slices.Concat(footage.Areas, footage.PrivateAreas) {
		x := ui.Option{Value: string(a), Text: c.p.K("area.", a)}
		if a.Private() {
			x.Text = c.p.T("area.private", x.Text)
		}
		v.Areas = append(v.Areas, x)
	}
	for _, k := range []footage.Custody{footage.CustodyVault, footage.CustodyNVR, footage.CustodyFolder} {
		v.Custody = append(v.Custody, ui.Option{Value: string(k), Text: c.p.K("custody.", k), Hint: c.p.K("custody.hint.", k)})
	}
	v.Techs = []ui.Option{{Text: "–"}}
	for _, p := range o.d.People.People() {
		if !p.Disabled {
			v.Techs = append(v.Techs, ui.Option{Value: p.ID, Text: p.Name + "（" + p.Unit + "）"})
		}
	}
	title := c.p.T("camera.new")
	if id != "" {
		title = v.Name
	}
	return c.pageStatus(status, "camera", title, v)
}

func cameraSubject(c *call) (account.Subject, error) {
	return account.Subject{Camera: c.r.PathValue("id")}, nil
}

// putCamera registers or changes a camera. One in a private area is refused with the rule named (F2).
func (o *Office) putCamera(c *call) error {
	f := c.r.PostForm
	id := c.r.PathValue("id")
	was, known := o.d.Site.Camera(id)
	if id != "" && !known {
		return errNotFound
	}
	var errs fielderr.Errors
	num := func(field string, empty int) int {
		s := strings.TrimSpace(f.Get(field))
		if s == "" {
			return empty
		}
		n, err := strconv.Atoi(s)
		if err != nil {
			errs.Add(field, "err.number")
		}
		return n
	}
	text := func(k string) string { return strings.TrimSpace(f.Get(k)) }
	cam := footage.Camera{ID: was.ID, Name: text("name"), Place: text("place"), Group: text("group"), Area: footage.Area(f.Get("area")),
		Custody: footage.Custody(f.Get("custody")), Main: text("main"), Sub: text("sub"), Policy: footage.Policy{Days: num("days", 0), Reason: text("reason")},
		Priority: num("priority", 0), Installer: text("installer"), Technician: f.Get("technician"), Installed: text("installed"), GBCode: text("gb_code"),
		Retired: f.Get("retired") != "", Since: was.Since, Transport: was.Transport, Pin: was.Pin, Still: was.Still, Kbps: num("kbps", 0)}
	if !known {
		cam.ID = text("id")
		if _, taken := o.d.Site.Camera(cam.ID); taken {
			errs.Add("id", "err.taken")
		}
		cam.Since = c.now.Wall.UTC().Truncate(time.Second)
	}
	var login *site.Login
	if f.Get("user") != "" || f.Get("password") != "" {
		login = &site.Login{User: text("user"), Password: f.Get("password")}
	}
	if len(errs) == 0 {
		err := o.d.Site.PutCamera(c.r.Context(), c.who(), cam, login)
		if err == nil {
			return c.done("/cameras", "done.camera")
		}
		var ok bool
		if errs, ok = errors.AsType[fielderr.Errors](err); !ok {
			return err
		}
	}
	return o.showCamera(c, http.StatusUnprocessableEntity, was.ID, f, errs)
}
