package cameras

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"campuskeep/firmware/health"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/ui"
)

// camerasView is the register of cameras (F1): searched, filtered, sorted, a page at a time.
type camerasView struct {
	Form      ui.Form
	Rows      []cameraRow
	Filters   []frame.ListFilter
	Columns   []frame.ListColumn
	Text      string // how many of how many
	Faults    int
	Pages     frame.Pages
	CanEdit   bool
	CanExport bool
	Filtered  bool
	Any       bool // there are cameras at all
}

type cameraRow struct {
	C                  footage.Camera
	State              string // code of its state, for the filter
	Tone, Icon, Word   string
	Faults             []string
	Technician, Edited string
}

func (o *Pages) camerasPage(c *call) error {
	f := c.R.URL.Query()
	v := camerasView{Form: ui.Form{Name: "cameras", P: c.P, Values: f}, CanEdit: c.Can(account.ActCamerasEdit, account.Subject{})}
	all := o.cameraRows(c)
	v.Any = len(all) > 0
	v.Filters = c.cameraFilters(all)
	rows := c.findCameras(all, f)
	c.sortCameras(rows, f)
	for _, r := range rows {
		v.Faults += len(r.Faults)
	}
	for _, x := range append([]string{"q"}, cameraFilterNames...) {
		v.Filtered = v.Filtered || f.Get(x) != ""
	}
	v.Text = c.P.T("cameras.sub", len(all))
	if v.Filtered {
		v.Text = c.P.T("cameras.found", len(rows), len(all))
	}
	from, to, p := c.PagesOf("/cameras", f, len(rows))
	v.Rows, v.Pages = rows[from:to], p
	v.Columns = c.cameraColumns(f)
	return c.Page("cameras", c.P.T("nav.cameras"), v)
}

// cameraRows are all cameras with how they stand.
func (o *Pages) cameraRows(c *call) (rows []cameraRow) {
	states := o.d.Status.Cameras()
	faults := map[string][]health.Fault{}
	for _, f := range o.d.Health.Faults() {
		faults[f.Camera] = append(faults[f.Camera], f)
	}
	for _, cam := range o.d.Site.Cameras() {
		r := c.cameraState(cam, states[cam.ID], faults[cam.ID])
		r.Technician = o.Name(cam.Technician)
		rows = append(rows, r)
	}
	return rows
}

// cameraState says the state of a camera: what the recorder says of those that it records, the open fault of others.
func (c *call) cameraState(cam footage.Camera, s frame.CameraState, faults []health.Fault) cameraRow {
	r := cameraRow{C: cam, State: s.State}
	for _, f := range faults {
		if f.Code == footage.FaultOffline {
			r.State = "offline"
		} else {
			r.Faults = append(r.Faults, c.P.K("camfault.", f.Code))
		}
	}
	switch {
	case cam.Retired:
		r.State, r.Tone, r.Icon = "retired", "mute", "clock"
	case r.State == "offline", r.State == "unusable":
		r.Tone, r.Icon = "bad", "bad"
	case len(faults) > 0:
		r.State, r.Tone, r.Icon = "faulty", "warn", "warn"
	case r.State == "online":
		r.Tone, r.Icon = "ok", "ok"
	case cam.Custody != footage.CustodyVault:
		r.State, r.Tone, r.Icon = "elsewhere", "mute", "disk"
	default:
		r.State, r.Tone, r.Icon = "connecting", "warn", "clock"
	}
	r.Word = c.P.K("cam.", r.State)
	return r
}

var cameraFilterNames = []string{"area", "custody", "state", "group", "technician"}

// value is what a row is filtered by.
func (r cameraRow) value(filter string) string {
	switch filter {
	case "area":
		return string(r.C.Area)
	case "custody":
		return string(r.C.Custody)
	case "state":
		return r.State
	case "group":
		return r.C.Group
	}
	return r.C.Technician
}

// cameraFilters offers what occurs, so that no choice finds nothing by itself.
func (c *call) cameraFilters(rows []cameraRow) (out []frame.ListFilter) {
	for _, name := range cameraFilterNames {
		f := frame.ListFilter{Name: name, Label: c.P.T("cameras.by." + name), Options: []ui.Option{{Text: c.P.T("cameras.by." + name)}}}
		count := map[string]int{}
		for _, r := range rows {
			count[r.value(name)]++
		}
		for _, v := range sortedKeys(count) {
			text := v
			switch name {
			case "area":
				text = c.P.K("area.", v)
			case "custody":
				text = c.P.K("custody.", v)
			case "state":
				text = c.P.K("cam.", v)
			case "technician":
				text = c.o.Name(v)
			}
			if v == "" {
				v, text = "-", c.P.T("cameras.none_set")
			}
			f.Options = append(f.Options, ui.Option{Value: v, Text: c.P.T("cameras.option", text, count[strings.Trim(v, "-")])})
		}
		out = append(out, f)
	}
	return out
}

func sortedKeys(m map[string]int) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func (c *call) findCameras(rows []cameraRow, f url.Values) (out []cameraRow) {
	words := strings.Fields(strings.ToLower(f.Get("q")))
	for _, r := range rows {
		text := strings.ToLower(strings.Join([]string{r.C.ID, r.C.Name, r.C.Place, r.C.Group, r.C.GBCode, r.C.Main, r.C.Installer, r.Technician}, "\n"))
		fits := !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
		for _, name := range cameraFilterNames {
			want := f.Get(name)
			fits = fits && (want == "" || r.value(name) == strings.TrimPrefix(want, "-"))
		}
		if fits {
			out = append(out, r)
		}
	}
	return out
}

// cameraOrder lists the columns; compare is nil where sorting by it says nothing.
var cameraOrder = []struct {
	name    string
	num     bool
	compare func(a, b cameraRow) int
}{
	{"state", false, func(a, b cameraRow) int {
		return cmp.Or(frame.CompareBool(a.C.Retired, b.C.Retired), frame.CompareBool(b.Tone == "bad", a.Tone == "bad"), frame.CompareBool(b.Tone == "warn", a.Tone == "warn"))
	}},
	{"camera", false, func(a, b cameraRow) int { return cmp.Compare(a.C.ID, b.C.ID) }},
	{"place", false, func(a, b cameraRow) int { return cmp.Compare(a.C.Place, b.C.Place) }},
	{"area", false, func(a, b cameraRow) int { return cmp.Compare(a.C.Area, b.C.Area) }},
	{"custody", false, func(a, b cameraRow) int { return cmp.Compare(a.C.Custody, b.C.Custody) }},
	{"days", true, func(a, b cameraRow) int { return cmp.Compare(a.C.Policy.Days, b.C.Policy.Days) }},
	{"installed", false, func(a, b cameraRow) int { return cmp.Compare(a.C.Installed, b.C.Installed) }},
	{"technician", false, func(a, b cameraRow) int { return cmp.Compare(a.Technician, b.Technician) }},
}

// sortCameras sorts by the column that the address names, "-days" the other way round; then by number.
func (c *call) sortCameras(rows []cameraRow, f url.Values) {
	name, down := strings.CutPrefix(f.Get("sort"), "-")
	by := cameraOrder[0].compare
	for _, o := range cameraOrder {
		if o.name == name {
			by = o.compare
		}
	}
	slices.SortStableFunc(rows, func(a, b cameraRow) int {
		x := by(a, b)
		if down {
			x = -x
		}
		return cmp.Or(x, cmp.Compare(a.C.ID, b.C.ID))
	})
}

func (c *call) cameraColumns(f url.Values) []frame.ListColumn {
	var names []string
	for _, o := range cameraOrder {
		names = append(names, o.name)
	}
	out := c.SortHeads(f, "/cameras", "cameras.h.", "state", names)
	for i, o := range cameraOrder {
		out[i].Num = o.num
	}
	return out
}
