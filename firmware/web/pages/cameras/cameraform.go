package cameras

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

	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// cameraFormView is the form of one camera, new or known.
type cameraFormView struct {
	Form       ui.Form
	New        bool
	ID         string
	Name       string
	Areas      []ui.Option
	Custody    []ui.Option
	Techs      []ui.Option
	Transports []ui.Option
	Sounds     []ui.Option
	Basics     []ui.Option
	CanTest    bool
	Tried      *testResultView
}

func (o *Pages) newCameraPage(c *call) error {
	id := ""
	for n := 1; ; n++ {
		id = "c" + fmt.Sprintf("%02d", n)
		if _, taken := o.d.Site.Camera(id); !taken {
			break
		}
	}
	values := CameraValues(footage.Camera{ID: id, Custody: footage.CustodyVault, Policy: footage.Policy{Days: footage.MinDays}, Installed: c.P.ISODate(c.Now.Wall)})
	return o.showCameraForm(c, http.StatusOK, "", values, nil, nil)
}

func (o *Pages) editCameraPage(c *call) error {
	rev := o.d.Site.CameraRev(c.R.PathValue("id")) // before the row: a newer row is then a conflict, never the reverse
	cam, ok := o.d.Site.Camera(c.R.PathValue("id"))
	if !ok {
		return frame.ErrNotFound
	}
	values := CameraValues(cam)
	values.Set("rev", strconv.FormatUint(rev, 10))
	return o.showCameraForm(c, http.StatusOK, cam.ID, values, nil, nil)
}

// CameraValues are the values of the form of a camera.
func CameraValues(cam footage.Camera) url.Values {
	v := url.Values{}
	for k, s := range map[string]string{"id": cam.ID, "name": cam.Name, "place": cam.Place, "group": cam.Group, "area": string(cam.Area), "custody": string(cam.Custody),
		"main": cam.Main, "sub": cam.Sub, "transport": cam.Transport, "pin": cam.Pin, "still": cam.Still, "days": strconv.Itoa(cam.Policy.Days), "reason": cam.Policy.Reason,
		"sound": soundCode(cam.Sound), "basic": soundCode(cam.Basic), "sound_reason": cam.SoundReason,
		"installer": cam.Installer, "technician": cam.Technician, "installed": cam.Installed, "gb_code": cam.GBCode} {
		v.Set(k, s)
	}
	if cam.Kbps > 0 {
		v.Set("kbps", strconv.Itoa(cam.Kbps))
	}
	if cam.Priority > 0 {
		v.Set("priority", strconv.Itoa(cam.Priority))
	}
	return v
}

// soundCode is whether sound is recorded, as forms and spreadsheets say it.
func soundCode(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func (o *Pages) showCameraForm(c *call, status int, id string, values url.Values, errs fielderr.Errors, tried *testResultView) error {
	v := cameraFormView{Form: ui.Form{Name: "camera", P: c.P, Values: values, Errors: errs}, New: id == "", ID: id, Tried: tried,
		CanTest: c.Can(account.ActCamerasTest, account.Subject{Camera: id})}
	v.Name = values.Get("name")
	for _, a := range slices.Concat(footage.Areas, footage.PrivateAreas) {
		x := ui.Option{Value: string(a), Text: c.P.K("area.", a)}
		if a.Private() {
			x.Text = c.P.T("area.private", x.Text)
		}
		v.Areas = append(v.Areas, x)
	}
	for _, k := range custodies {
		v.Custody = append(v.Custody, ui.Option{Value: string(k), Text: c.P.K("custody.", k), Hint: c.P.K("custody.hint.", k)})
	}
	v.Transports = []ui.Option{{Text: "TCP"}, {Value: "udp", Text: "UDP"}}
	for _, s := range []string{"off", "on"} {
		v.Sounds = append(v.Sounds, ui.Option{Value: s, Text: c.P.T("sound." + s), Hint: c.P.T("sound.hint." + s)})
	}
	for _, s := range []string{"off", "on"} {
		v.Basics = append(v.Basics, ui.Option{Value: s, Text: c.P.T("basic." + s)})
	}
	v.Techs = []ui.Option{{Text: "–"}}
	for _, p := range o.d.People.People() {
		if !p.Disabled {
			v.Techs = append(v.Techs, ui.Option{Value: p.ID, Text: p.Name + "（" + p.Unit + "）"})
		}
	}
	title := c.P.T("camera.new")
	if id != "" {
		title = v.Name
	}
	return c.PageStatus(status, "camera_form", title, v)
}

var custodies = []footage.Custody{footage.CustodyVault, footage.CustodyNVR, footage.CustodyFolder}

func cameraSubject(c *call) (account.Subject, error) {
	return account.Subject{Camera: c.R.PathValue("id")}, nil
}

// cameraTyped reads the form over the row as it was. Login is nil when none was typed.
func (o *Pages) cameraTyped(f url.Values, was footage.Camera) (footage.Camera, *site.Login, fielderr.Errors) {
	var errs fielderr.Errors
	num := func(field string, empty int) int { return frame.FormNumber(f, field, empty, &errs) }
	text := func(k string) string { return strings.TrimSpace(f.Get(k)) }
	cam := was
	cam.Name, cam.Place, cam.Group = text("name"), text("place"), text("group")
	cam.Area, cam.Custody = footage.Area(f.Get("area")), footage.Custody(f.Get("custody"))
	cam.Main, cam.Sub, cam.Still = text("main"), text("sub"), text("still")
	cam.Transport, cam.Pin = f.Get("transport"), frame.PlainPin(text("pin"))
	cam.Policy = footage.Policy{Days: num("days", 0), Reason: text("reason")}
	cam.SoundReason = text("sound_reason")
	switch f.Get("basic") {
	case "on":
		cam.Basic = true
	case "off":
		cam.Basic = false
	case "": // a form that does not know of it
	default:
		errs.Add("basic", "err.choice")
	}
	switch f.Get("sound") {
	case "on":
		cam.Sound = true
	case "", "off":
		cam.Sound = false
	default:
		errs.Add("sound", "err.sound")
	}
	cam.Priority, cam.Kbps = num("priority", 0), num("kbps", 0)
	cam.Installer, cam.Technician, cam.Installed, cam.GBCode = text("installer"), f.Get("technician"), text("installed"), text("gb_code")
	if cam.Technician != "" && cam.Technician != was.Technician {
		if p, ok := o.d.People.Person(cam.Technician); !ok || p.Disabled {
			errs.Add("technician", "err.choice")
		}
	}
	var login *site.Login
	if f.Get("user") != "" || f.Get("password") != "" {
		login = &site.Login{User: text("user"), Password: f.Get("password")}
	}
	return cam, login, errs
}

// putCamera registers or changes a camera. One in a private area is refused with the rule named (F2).
func (o *Pages) putCamera(c *call) error {
	f := c.R.PostForm
	id := c.R.PathValue("id")
	was, known := o.d.Site.Camera(id)
	if id != "" && !known {
		return frame.ErrNotFound
	}
	cam, login, errs := o.cameraTyped(f, was)
	rev := uint64(0)
	if known {
		rev = frame.FormRev(f)
	} else {
		cam.ID = strings.TrimSpace(f.Get("id"))
		if _, taken := o.d.Site.Camera(cam.ID); taken {
			errs.Add("id", "err.taken")
		}
		cam.Since = c.Now.Wall.UTC().Truncate(time.Second)
	}
	if len(errs) == 0 {
		errs2, err := o.storeCamera(c, site.CameraPut{Camera: cam, Login: login, New: !known, Rev: rev})
		if err != nil {
			return err
		}
		if len(errs2) == 0 {
			return c.Done("/cameras/"+cam.ID, "done.camera")
		}
		errs = errs2
	}
	if slices.ContainsFunc(errs, func(e fielderr.Error) bool { return e.Rule == site.RowChanged }) {
		return o.cameraMoved(c, id, f)
	}
	return o.showCameraForm(c, http.StatusUnprocessableEntity, was.ID, f, errs, nil)
}

// fieldWord is the value of a field as people read it.
func (o *Pages) fieldWord(c *call, field, v string) string {
	switch {
	case v == "":
		return ""
	case field == "technician":
		if p, ok := o.d.People.Person(v); ok {
			return p.Name
		}
	case field == "area" || field == "custody" || field == "sound":
		return c.P.K(field+".", v)
	case field == "transport":
		return strings.ToUpper(v)
	}
	return v
}

// storeCamera registers or changes one camera from a form; the errors are those of its fields.
func (o *Pages) storeCamera(c *call, p site.CameraPut) (fielderr.Errors, error) {
	_, err := o.d.Site.PutCameras(c.R.Context(), c.Who(), []site.CameraPut{p})
	if rows, bad := errors.AsType[site.RowErrors](err); bad {
		return slices.Concat(rows[0], rows[site.WholeList]), nil
	}
	return nil, err
}

// cameraMoved shows the form again with what was typed, and at each field what somebody else has put there meanwhile.
// Saving it again is then said of what is seen.
func (o *Pages) cameraMoved(c *call, id string, typed url.Values) error {
	rev := o.d.Site.CameraRev(id)
	now, ok := o.d.Site.Camera(id)
	if !ok {
		return frame.ErrNotFound
	}
	errs := fielderr.Errors{{Field: "rev", Rule: site.RowChanged}}
	for field, v := range CameraValues(now) {
		if s := strings.TrimSpace(typed.Get(field)); s != v[0] && field != "id" {
			errs.Add(field, "err.row_now", cmp.Or(o.fieldWord(c, field, v[0]), "–"))
		}
	}
	slices.SortStableFunc(errs[1:], func(a, b fielderr.Error) int { return cmp.Compare(a.Field, b.Field) })
	values := url.Values{}
	for k, v := range typed {
		values[k] = v
	}
	values.Set("rev", strconv.FormatUint(rev, 10))
	return o.showCameraForm(c, http.StatusConflict, id, values, errs, nil)
}
