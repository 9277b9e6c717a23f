package cameras

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// Limits of a register in a spreadsheet.
const (
	MaxCameraFile  = 1 << 20
	maxCameraSheet = 16 << 20 // unpacked
)

// cameraColumns are the columns of the spreadsheet, in its order. Their heads are the labels of the form.
var cameraColumns = []struct {
	field string
	must  bool
	hint  string // an example where it is the same in every language
}{
	{"id", true, "c01"}, {"name", true, ""}, {"place", true, ""}, {"group", false, ""}, {"area", true, ""}, {"custody", true, ""},
	{"main", false, "rtsp://10.20.4.11:554/main"}, {"sub", false, "rtsp://10.20.4.11:554/sub"}, {"transport", false, "TCP / UDP"}, {"still", false, "http://10.20.4.11/snapshot.jpg"}, {"pin", false, ""},
	{"user", false, ""}, {"password", false, ""}, {"days", false, "30"}, {"reason", false, ""}, {"sound", false, ""}, {"sound_reason", false, ""}, {"priority", false, "0–9"}, {"kbps", false, "4000"},
	{"installer", false, ""}, {"installed", false, "2026-05-20"}, {"technician", false, ""}, {"gb_code", false, "34020000001320000001"}, {"service", false, ""},
}

// formerWords are labels and values of registers that earlier versions exported: such a file still imports.
var formerWords = map[string]string{
	"录像保管方": "custody", "Kept by": "custody", "负责技术人员": "technician", "Still picture address": "still", "一体机": "vault",
}

// sheetCamera is one row of a spreadsheet, read and not yet stored.
type sheetCamera struct {
	Line int
	Put  site.CameraPut
	New  bool
	Errs fielderr.Errors
}

// lost is a number that a spreadsheet has rounded.
var lost = regexp.MustCompile(`^[0-9](\.[0-9]+)?[Ee]\+[0-9]+$`)

// readCameras reads the cells of a sheet over the register as it is. A column that is missing leaves things as they
// are; an empty cell in one that is there clears them, but for the password. person finds a technician: its id, and
// how many of that name there are.
func readCameras(cells [][]string, known func(string) (footage.Camera, bool), person func(string) (string, int)) (rows []sheetCamera, file fielderr.Errors) {
	if len(cells) == 0 {
		return nil, fielderr.Errors{{Field: "file", Rule: "err.sheet_empty"}}
	}
	columns, file := cameraHeads(cells[0])
	if len(file) > 0 {
		return nil, file
	}
	for i, line := range cells[1:] {
		cell, empty := map[string]string{}, true
		for at, field := range columns {
			v := ""
			if at < len(line) {
				v = strings.TrimSpace(line[at])
			}
			cell[field] = v
			empty = empty && v == ""
		}
		if empty || strings.HasPrefix(cell["id"], "#") {
			continue
		}
		if len(rows) == site.MaxCameras {
			return nil, fielderr.Errors{{Field: "file", Rule: "err.too_many", Args: []any{site.MaxCameras}}}
		}
		r := readCamera(cell, known, person)
		r.Line = i + 2
		rows = append(rows, r)
	}
	if len(rows) == 0 {
		file.Add("file", "err.sheet_empty")
	}
	return rows, file
}

// cameraHeads finds the columns by their heads, in either language. One that is not known is refused: it would be
// lost without a word.
func cameraHeads(line []string) (columns map[int]string, errs fielderr.Errors) {
	columns = map[int]string{}
	for at, head := range line {
		if head = cameraTitle(head); head == "" {
			continue
		}
		field := cameraField(head)
		switch {
		case field == "":
			errs.Add("file", "err.sheet_column", head)
		case slices.Contains(slices.Collect(maps.Values(columns)), field):
			errs.Add("file", "err.roster_column_twice", head)
		default:
			columns[at] = field
		}
	}
	for _, c := range cameraColumns {
		if c.must && !slices.Contains(slices.Collect(maps.Values(columns)), c.field) {
			errs.Add("file", "err.roster_column", ui.T(ui.Chinese, "camera.f."+c.field))
		}
	}
	return columns, errs
}

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
			if v == code || formerWords[v] == code && code != "" || v != "" && slices.ContainsFunc(ui.Langs, func(l ui.Lang) bool { return strings.EqualFold(ui.T(l, prefix+code), v) }) {
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

func cameraTitle(head string) string { return strings.TrimRight(strings.TrimSpace(head), "* ") }

// cameraField is the field of a column by its head; "" when there is none.
func cameraField(head string) (field string) {
	head = cameraTitle(head)
	for _, c := range cameraColumns {
		if c.field == head || formerWords[head] == c.field || slices.ContainsFunc(ui.Langs, func(l ui.Lang) bool { return ui.T(l, "camera.f."+c.field) == head }) {
			field = c.field
		}
	}
	return field
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

// columnHint says what a column takes.
func (c *call) columnHint(field, example string) string {
	words := func(prefix string, codes []string) string {
		for i, s := range codes {
			codes[i] = c.P.T(prefix + s)
		}
		return strings.Join(codes, " / ")
	}
	var codes []string
	switch field {
	case "area":
		for _, a := range footage.Areas {
			codes = append(codes, string(a))
		}
		return words("area.", codes)
	case "custody":
		for _, k := range custodies {
			codes = append(codes, string(k))
		}
		return words("custody.", codes)
	case "sound":
		return words("sound.", []string{"on", "off"})
	case "service":
		return words("service.", []string{"on", "off"})
	case "name", "place", "pin", "user", "password", "technician", "reason", "sound_reason", "installer", "group":
		return c.P.T("import.hint." + field)
	}
	return example
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
	b, err := c.cameraSheet(rows)
	if err != nil {
		return err
	}
	c.File(fmt.Sprintf("campuskeep-%s-cameras-%s.xlsx", o.d.Info.Appliance, c.Now.Wall.In(o.d.Zone).Format("20060102-1504")), xlsxType, b)
	return nil
}

func (o *Pages) cameraTemplate(c *call) error {
	b, err := c.cameraSheet(nil)
	if err != nil {
		return err
	}
	c.File("campuskeep-cameras.xlsx", xlsxType, b)
	return nil
}

const xlsxType = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

func (c *call) sheetRow(cam footage.Camera) (out []string) {
	values := CameraValues(cam)
	for _, col := range cameraColumns {
		s := values.Get(col.field)
		switch col.field {
		case "area", "custody":
			s = c.P.K(col.field+".", s)
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

// cameraSheet writes the heads, a row of hints that the import passes over, and the rows. Every cell is text, so that
// long numbers stay whole when somebody types into it.
func (c *call) cameraSheet(rows [][]string) (out []byte, err error) {
	var head, hints []string
	for i, col := range cameraColumns {
		h := c.P.T("camera.f." + col.field)
		if col.must {
			h += "*"
		}
		hint := c.columnHint(col.field, col.hint)
		if i == 0 {
			hint = "# " + hint
		}
		head, hints = append(head, h), append(hints, hint)
	}
	x := excelize.NewFile()
	defer func() {
		if e := x.Close(); e != nil && err == nil {
			err = fmt.Errorf("close the spreadsheet: %w", e)
		}
	}()
	if err := fillCameraSheet(x, c.P.T("cameras.title"), append([][]string{head, hints}, rows...)); err != nil {
		return nil, fmt.Errorf("write the register: %w", err)
	}
	var b bytes.Buffer
	if err := x.Write(&b); err != nil {
		return nil, fmt.Errorf("write the register: %w", err)
	}
	return b.Bytes(), nil
}

func fillCameraSheet(x *excelize.File, name string, table [][]string) error {
	if err := x.SetSheetName("Sheet1", name); err != nil {
		return err
	}
	text, err := x.NewStyle(&excelize.Style{NumFmt: 49}) // "@", text
	if err != nil {
		return err
	}
	bold, err := x.NewStyle(&excelize.Style{NumFmt: 49, Font: &excelize.Font{Bold: true}})
	if err != nil {
		return err
	}
	faint, err := x.NewStyle(&excelize.Style{NumFmt: 49, Font: &excelize.Font{Color: "808080", Italic: true}})
	if err != nil {
		return err
	}
	last, err := excelize.ColumnNumberToName(len(table[0]))
	if err != nil {
		return err
	}
	if err := x.SetColStyle(name, "A:"+last, text); err != nil {
		return err
	}
	if err := x.SetColWidth(name, "A", last, 18); err != nil {
		return err
	}
	for i, row := range table {
		cells := make([]any, len(row))
		for j, s := range row {
			cells[j] = s
		}
		at := fmt.Sprintf("A%d", i+1)
		if err := x.SetSheetRow(name, at, &cells); err != nil {
			return err
		}
		if i < 2 {
			if err := x.SetCellStyle(name, at, fmt.Sprintf("%s%d", last, i+1), []int{bold, faint}[i]); err != nil {
				return err
			}
		}
	}
	return x.SetPanes(name, &excelize.Panes{Freeze: true, YSplit: 2, TopLeftCell: "A3", ActivePane: "bottomLeft"})
}
