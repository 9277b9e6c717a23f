package cameras

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// sheetCamera is one row of a spreadsheet, read and not yet stored.
type sheetCamera struct {
	Put  site.CameraPut
	New  bool
	Errs fielderr.Errors
}

// lost is a number that a spreadsheet has rounded.
var lost = regexp.MustCompile(`^[0-9](\.[0-9]+)?[Ee]\+[0-9]+$`)

// readCamera reads a row over the register as it is. A column that is missing leaves things as they are; an empty cell in
// one that is there clears them, but for the password. person finds a technician: its id, and how many of that name
// there are.
func readCamera(cell map[string]string, known func(string) (footage.Camera, bool), person func(string) (string, int)) sheetCamera {
	was, ok := known(cell["id"])
	r := sheetCamera{New: !ok, Put: site.CameraPut{Camera: was}}
	cam := &r.Put.Camera
	cam.ID = cell["id"]
	if !ok {
		cam.Policy.Days = footage.MinDays
	}
	for field, v := range cell {
		if lost.MatchString(v) {
			r.Errs.Add(field, "err.digits_lost")
			delete(cell, field)
		}
	}
	set := func(field string, into *string) {
		if v, ok := cell[field]; ok {
			*into = v
		}
	}
	number := func(field string, into *int, empty int) {
		v, ok := cell[field]
		if !ok {
			return
		}
		n, err := strconv.Atoi(v)
		switch {
		case v == "":
			n = empty
		case err != nil:
			r.Errs.Add(field, "err.number")
			return
		}
		*into = n
	}
	for field, into := range map[string]*string{"name": &cam.Name, "place": &cam.Place, "group": &cam.Group, "main": &cam.Main, "sub": &cam.Sub, "still": &cam.Still,
		"reason": &cam.Policy.Reason, "sound_reason": &cam.SoundReason, "installer": &cam.Installer, "installed": &cam.Installed, "gb_code": &cam.GBCode} {
		set(field, into)
	}
	cam.Installed = sheetDate(cam.Installed)
	number("days", &cam.Policy.Days, footage.MinDays)
	number("priority", &cam.Priority, 0)
	number("kbps", &cam.Kbps, 0)
	r.choose(cell)
	if v, ok := cell["pin"]; ok {
		cam.Pin = frame.PlainPin(v)
	}
	if v := cell["technician"]; v != "" {
		id, n := person(v)
		switch n {
		case 0:
			r.Errs.Add("technician", "err.person_unknown")
		case 1:
			cam.Technician = id
		default:
			r.Errs.Add("technician", "err.person_twice")
		}
	} else if _, ok := cell["technician"]; ok {
		cam.Technician = ""
	}
	if cell["user"] != "" || cell["password"] != "" {
		r.Put.Login = &site.Login{User: cell["user"], Password: cell["password"]}
	}
	return r
}

// choose reads the fields that are one of a few words, in either language, or the code.
func (r *sheetCamera) choose(cell map[string]string) {
	cam := &r.Put.Camera
	pick := func(field, rule, prefix string, codes []string, into func(string)) {
		v, ok := cell[field]
		if !ok {
			return
		}
		for _, code := range codes {
			if v == code || formerValues[v] == code && code != "" || v != "" && slices.ContainsFunc(ui.Langs, func(l ui.Lang) bool { return strings.EqualFold(ui.T(l, prefix+code), v) }) {
				into(code)
				return
			}
		}
		r.Errs.Add(field, rule)
	}
	var areas, keepers []string
	for _, a := range slices.Concat(footage.Areas, footage.PrivateAreas) {
		areas = append(areas, string(a))
	}
	for _, k := range custodies {
		keepers = append(keepers, string(k))
	}
	pick("area", "err.area_unknown", "area.", areas, func(s string) { cam.Area = footage.Area(s) })
	pick("custody", "err.custody_unknown", "custody.", keepers, func(s string) { cam.Custody = footage.Custody(s) })
	pick("sound", "err.sound", "sound.", []string{"", "on", "off"}, func(s string) { cam.Sound = s == "on" })
	pick("service", "err.service", "service.", []string{"", "on", "off"}, func(s string) { cam.Retired = s == "off" })
	if v, ok := cell["transport"]; ok {
		cam.Transport = strings.ToLower(v)
		if cam.Transport == "tcp" {
			cam.Transport = ""
		}
	}
}

// sheetDate takes a date that the spreadsheet keeps as a number of days.
func sheetDate(s string) string {
	n, err := strconv.Atoi(s)
	if err != nil || n < 20000 || n > 80000 { // 1954 to 2119
		return s
	}
	return time.Date(1899, 12, 30+n, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
}

// technicians finds people by name, staff number, log-in name or id.
func technicians(all []people.Person) func(string) (string, int) {
	return func(s string) (id string, n int) {
		for _, p := range all {
			if p.Disabled {
				continue
			}
			if p.ID == s || p.StaffNo == s || p.Login == s || p.Name+"（"+p.StaffNo+"）" == s {
				return p.ID, 1
			}
			if p.Name == s {
				id, n = p.ID, n+1
			}
		}
		return id, n
	}
}

// exportCameras gives the register as exactly what the import takes, without passwords: the package that keeps
// them gives none to pages. Handing it out is an entry.
func (o *Pages) exportCameras(c *call) error {
	all := o.d.Site.Cameras()
	d := c.Who().Draft("camera.exported", c.Decision.Role, c.Actor.ID, map[string]any{"count": len(all)})
	if _, err := o.d.Ledger.Commit(c.R.Context(), ledgerdb.Change{Entries: []ledger.Draft{d}}); err != nil {
		c.Unlogged = true
		return fmt.Errorf("enter that the register was exported: %w", err)
	}
	var rows [][]string
	for _, cam := range all {
		rows = append(rows, c.sheetRow(cam))
	}
	b, err := o.list().Fill(c.Call, rows)
	if err != nil {
		return err
	}
	c.File(c.FileName("cameras-"+c.FileTime(), "xlsx"), frame.XLSXType, b)
	return nil
}

func (c *call) sheetRow(cam footage.Camera) (out []string) {
	values := CameraValues(cam)
	for _, col := range cameraColumns {
		s := values.Get(col.Field)
		switch col.Field {
		case "area", "custody":
			s = c.P.K(col.Field+".", s)
		case "transport":
			s = strings.ToUpper(s)
		case "sound":
			s = c.P.T("sound." + s)
		case "technician":
			s = ""
			if p, ok := c.o.d.People.Person(cam.Technician); ok {
				s = p.Name
				if _, n := technicians(c.o.d.People.People())(s); n > 1 {
					s = p.Name + "（" + p.StaffNo + "）"
				}
			}
		case "service":
			s = c.P.T("service.on")
			if cam.Retired {
				s = c.P.T("service.off")
			}
		}
		out = append(out, s)
	}
	return out
}
