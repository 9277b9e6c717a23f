package cameras

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	"campuskeep/firmware/web/sheets"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
)

// MaxCameraFile is how large a register in a spreadsheet may be.
const MaxCameraFile = 1 << 20

// cameraColumns are the columns of the spreadsheet, in its order. Their headings are the labels of the form.
var cameraColumns = []sheets.Column{
	{Field: "id", Must: true, Hint: "c01"}, {Field: "name", Must: true, Hint: "import.hint.name"}, {Field: "place", Must: true, Hint: "import.hint.place"}, {Field: "group", Hint: "import.hint.group"},
	{Field: "area", Must: true, Words: wordsOf("area.", footage.Areas)}, {Field: "custody", Must: true, Words: wordsOf("custody.", custodies)},
	{Field: "main", Hint: "rtsp://10.20.4.11:554/main"}, {Field: "sub", Hint: "rtsp://10.20.4.11:554/sub"}, {Field: "transport", Hint: "TCP / UDP"}, {Field: "still", Hint: "http://10.20.4.11/snapshot.jpg"}, {Field: "pin", Hint: "import.hint.pin"},
	{Field: "user", Hint: "import.hint.user"}, {Field: "password", Hint: "import.hint.password"}, {Field: "days", Hint: "30"}, {Field: "reason", Hint: "import.hint.reason"},
	{Field: "sound", Words: []string{"sound.on", "sound.off"}}, {Field: "sound_reason", Hint: "import.hint.sound_reason"}, {Field: "priority", Hint: "0–9"}, {Field: "kbps", Hint: "4000"},
	{Field: "installer", Hint: "import.hint.installer"}, {Field: "installed", Hint: "2026-05-20", Date: true}, {Field: "technician", Hint: "import.hint.technician"}, {Field: "gb_code", Hint: "34020000001320000001"}, {Field: "service", Words: []string{"service.on", "service.off"}},
}

// formerHeadings are labels of registers that earlier versions exported, and formerValues their values: such a file
// still imports.
var (
	formerHeadings = map[string][]string{"custody": {"录像保管方", "Kept by"}, "technician": {"负责技术人员"}, "still": {"Still picture address"}}
	formerValues   = map[string]string{"一体机": "vault"}
)

func wordsOf[T ~string](prefix string, codes []T) (out []string) {
	for _, s := range codes {
		out = append(out, prefix+string(s))
	}
	return out
}

// list is the register as a spreadsheet.
func (o *Pages) list() sheets.List {
	l := sheets.List{Path: "/cameras", Title: "cameras.title", Done: "done.import", Action: account.ActCamerasEdit, Rules: []string{"import.rule.empty", "import.rule.password"},
		Label:   func(c *frame.Call, field string) string { return c.P.T("camera.f." + field) },
		Columns: slices.Clone(cameraColumns), MostBytes: MaxCameraFile, MostRows: site.MaxCameras}
	for i, col := range l.Columns {
		l.Columns[i].Title, l.Columns[i].Also = "camera.f."+col.Field, append(slices.Clone(formerHeadings[col.Field]), col.Field)
	}
	l.Parse = func(c *frame.Call, b []byte, _ url.Values) (sheets.Result, error) {
		return o.parseCameras(&call{c, o}, l, b), nil
	}
	return l
}

// parseCameras reads a register and says what it changes, field by field.
func (o *Pages) parseCameras(c *call, l sheets.List, b []byte) (r sheets.Result) {
	revs := map[string]uint64{} // what each row was made from
	for _, cam := range o.d.Site.Cameras() {
		revs[cam.ID] = o.d.Site.CameraRev(cam.ID)
	}
	cells, faults := l.Rows(c.Call, b)
	if r.Faults = faults; len(faults) > 0 {
		return r
	}
	person := technicians(o.d.People.People())
	rows, list := make([]sheetCamera, len(cells)), make([]site.CameraPut, len(cells))
	for i, row := range cells {
		rows[i] = readCamera(row.Cell, o.d.Site.Camera, person)
		list[i] = rows[i].Put
		list[i].New, list[i].Rev = rows[i].New, revs[rows[i].Put.Camera.ID]
	}
	bad := o.d.Site.CheckCameras(list)
	for _, e := range bad[site.WholeList] {
		r.Faults = append(r.Faults, c.P.T(e.Rule, e.Args...))
	}
	for i, row := range rows {
		cam := row.Put.Camera
		line := sheets.Line{Line: cells[i].Line, Name: cam.Name, Sub: cam.ID + c.P.T("sep.list") + cam.Place, New: row.New, Errs: append(row.Errs, bad[i]...)}
		was, _ := o.d.Site.Camera(cam.ID)
		for _, field := range site.Differing(was, cam) {
			line.Changes = append(line.Changes, c.changedName(field))
		}
		if row.Put.Login != nil {
			line.Changes = append(line.Changes, c.changedName("login"))
		}
		if row.New {
			line.Changes = nil // all of it
		}
		r.Lines = append(r.Lines, line)
	}
	r.Commit = func(ctx context.Context, who account.Who, _ bool) error {
		_, err := o.d.Site.PutCameras(ctx, who, list)
		if rows, bad := errors.AsType[site.RowErrors](err); bad { // the register has changed meanwhile
			return fmt.Errorf("import cameras: %w: %w", ledgerdb.ErrConflict, rows)
		}
		return err
	}
	return r
}

// changedName is a field of a camera's row as people call it.
func (c *call) changedName(field string) string {
	switch field {
	case "login":
		return c.P.T("camera.login")
	case "policy":
		return c.P.T("camera.f.days")
	case "retired":
		return c.P.T("camera.f.service")
	}
	return c.P.T("camera.f." + field)
}
