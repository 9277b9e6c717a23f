package cameras

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"campuskeep/firmware/sheet"
	"campuskeep/firmware/site"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/login"
)

// imports keeps what was read until its reader confirms it: in memory, because there are passwords in it.
type imports struct {
	mu   sync.Mutex
	open map[string]cameraImport // by hash of the token in the page; guarded by mu
}

type cameraImport struct {
	person string
	list   []site.CameraPut
	at     time.Duration // monotonic
}

const (
	importFor  = 15 * time.Minute
	importMost = 8
)

func newImports() *imports { return &imports{open: map[string]cameraImport{}} }

func (m *imports) add(i cameraImport) string {
	token, hash := login.NewToken()
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, x := range m.open {
		if i.at-x.at > importFor || x.person == i.person || len(m.open) >= importMost {
			delete(m.open, k)
		}
	}
	m.open[hash] = i
	return token
}

// remove gives a list to who has it and forgets it.
func (m *imports) remove(token, person string, now time.Duration) ([]site.CameraPut, bool) {
	hash, ok := login.HashToken(token)
	if !ok {
		return nil, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	i, ok := m.open[hash]
	if !ok || i.person != person {
		return nil, false
	}
	delete(m.open, hash)
	return i.list, now-i.at <= importFor
}

// importView is the page of the import: before, with what was read, and with what is wrong.
type importView struct {
	Faults        []string // of the file
	Rows          []importRow
	New, Changed  int
	Same, Wrong   int
	Token         string
	MostRows      int
	MostMB        int
	Columns       []ui.Option // what each takes
	Read          bool
	WholeRegister []string // what is wrong with the register as it would be
}

type importRow struct {
	Line             int
	ID, Name, Place  string
	Tone, Icon, Word string
	Fields           []string // what changes
	Faults           []string
}

func (o *Pages) importPage(c *call) error { return o.showImport(c, http.StatusOK, importView{}) }

func (o *Pages) showImport(c *call, status int, v importView) error {
	v.MostRows, v.MostMB = site.MaxCameras, MaxCameraFile>>20
	for _, col := range cameraColumns {
		v.Columns = append(v.Columns, ui.Option{Text: c.P.T("camera.f." + col.field), On: col.must, Hint: c.columnHint(col.field, col.hint)})
	}
	return c.PageStatus(status, "camera_import", c.P.T("import.title"), v)
}

// readImport reads an uploaded spreadsheet and shows what it would do. Nothing is stored.
func (o *Pages) readImport(c *call) error {
	b, err := upload(c.R)
	if err != nil {
		return err
	}
	v := importView{Read: true}
	fault := func(errs fielderr.Errors) error {
		for _, e := range errs {
			v.Faults = append(v.Faults, c.P.T(e.Rule, e.Args...))
		}
		return o.showImport(c, http.StatusUnprocessableEntity, v)
	}
	if len(b) == 0 {
		return fault(fielderr.Errors{{Field: "file", Rule: "err.file_none"}})
	}
	cells, rule := sheet.Read(b, MaxCameraFile, maxCameraSheet, func(head string) bool { return cameraField(head) == "installed" })
	if rule != "" {
		return fault(fielderr.Errors{{Field: "file", Rule: rule, Args: []any{MaxCameraFile >> 20}}})
	}
	revs := map[string]uint64{} // what each row was made from
	for _, cam := range o.d.Site.Cameras() {
		revs[cam.ID] = o.d.Site.CameraRev(cam.ID)
	}
	rows, errs := readCameras(cells, o.d.Site.Camera, technicians(o.d.People.People()))
	if len(errs) > 0 {
		return fault(errs)
	}
	list := make([]site.CameraPut, len(rows))
	for i, r := range rows {
		list[i] = r.Put
		list[i].New, list[i].Rev = r.New, revs[r.Put.Camera.ID]
	}
	bad := o.d.Site.CheckCameras(list)
	for i := range rows {
		rows[i].Errs = append(rows[i].Errs, bad[i]...)
	}
	for _, e := range bad[site.WholeList] {
		v.WholeRegister = append(v.WholeRegister, c.P.T(e.Rule, e.Args...))
	}
	for _, r := range rows {
		v.add(c, r)
	}
	if v.Wrong == 0 && len(v.WholeRegister) == 0 && v.New+v.Changed > 0 {
		v.Token = o.imports.add(cameraImport{person: c.Actor.ID, list: list, at: c.Now.Mono})
		return o.showImport(c, http.StatusOK, v)
	}
	return o.showImport(c, http.StatusUnprocessableEntity, v)
}

// upload gives the bytes of the form's file; empty when none was chosen.
func upload(r *http.Request) ([]byte, error) {
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, fielderr.Errors{{Field: "file", Rule: "err.file_none"}}
	}
	for {
		p, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read an upload: %w", err)
		}
		if p.FormName() != "file" {
			continue
		}
		b, err := io.ReadAll(io.LimitReader(p, MaxCameraFile+1))
		if err != nil {
			return nil, fmt.Errorf("read an upload: %w", err)
		}
		return b, nil
	}
}

func (v *importView) add(c *call, r sheetCamera) {
	cam := r.Put.Camera
	x := importRow{Line: r.Line, ID: cam.ID, Name: cam.Name, Place: cam.Place, Tone: "mute", Icon: "ok", Word: c.P.T("import.same")}
	seen := map[string]bool{} // readers and the register may say the same twice
	for _, e := range r.Errs {
		text := c.P.T("camera.f."+e.Field) + c.P.T("sep.colon") + c.P.T(e.Rule, e.Args...)
		if !seen[text] {
			x.Faults = append(x.Faults, text)
		}
		seen[text] = true
	}
	was, _ := c.o.d.Site.Camera(cam.ID)
	what := site.Differing(was, cam)
	if r.Put.Login != nil {
		what = append(what, "login")
	}
	switch {
	case len(x.Faults) > 0:
		x.Tone, x.Icon, x.Word = "bad", "bad", c.P.T("import.wrong")
		v.Wrong++
	case r.New:
		x.Tone, x.Icon, x.Word = "ok", "plus", c.P.T("import.new")
		v.New++
	case len(what) > 0:
		x.Tone, x.Icon, x.Word = "acc", "info", c.P.T("import.changed")
		v.Changed++
		for _, w := range what {
			x.Fields = append(x.Fields, c.changedName(w))
		}
	default:
		v.Same++
	}
	v.Rows = append(v.Rows, x)
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

// confirmImport stores what was shown, all of it or nothing.
func (o *Pages) confirmImport(c *call) error {
	list, ok := o.imports.remove(c.R.PostForm.Get("token"), c.Actor.ID, c.Now.Mono)
	if !ok {
		return o.showImport(c, http.StatusUnprocessableEntity, importView{Read: true, Faults: []string{c.P.T("import.gone")}})
	}
	_, err := o.d.Site.PutCameras(c.R.Context(), c.Who(), list)
	if _, bad := errors.AsType[site.RowErrors](err); bad { // the register has changed meanwhile
		return o.showImport(c, http.StatusUnprocessableEntity, importView{Read: true, Faults: []string{c.P.T("import.moved")}})
	}
	if err != nil {
		return err
	}
	return c.Done("/cameras", "done.import")
}
