package web

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"campuskeep/firmware/health"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/ui"
)

// camerasView is the register of cameras (F1): searched, filtered, sorted, a page at a time.
type camerasView struct {
	Form      ui.Form
	Rows      []cameraRow
	Filters   []cameraFilter
	Columns   []cameraColumn
	Text      string // how many of how many
	Faults    int
	Pages     pages
	CanEdit   bool
	CanExport bool
	Filtered  bool
	Any       bool // there are cameras at all
}

type cameraFilter struct {
	Name    string
	Label   string
	Options []ui.Option
}

// cameraColumn is a head of the table; Sort is "", "ascending" or "descending".
type cameraColumn struct {
	Text, Href, Sort string
	Num              bool
}

type cameraRow struct {
	C                  footage.Camera
	State              string // code of its state, for the filter
	Tone, Icon, Word   string
	Faults             []string
	Technician, Edited string
}

// perPage is how many cameras or faults are on one page of a list.
const perPage = 25

// pages is the foot of a list that has numbered pages.
type pages struct {
	Text       string
	Prev, Next string
}

// pagesOf cuts n rows into pages. page counts from 1; a page beyond the last is the last.
func (c *call) pagesOf(path string, f url.Values, n int) (from, to int, p pages) {
	page, err := strconv.Atoi(f.Get("page"))
	last := max(1, (n+perPage-1)/perPage)
	if err != nil || page < 1 {
		page = 1
	}
	page = min(page, last)
	from, to = (page-1)*perPage, min(page*perPage, n)
	link := func(page int) string {
		x := cloneValues(f)
		x.Set("page", strconv.Itoa(page))
		return path + "?" + x.Encode()
	}
	if last == 1 {
		return from, to, pages{}
	}
	p.Text = c.p.T("pages.of", from+1, to, n)
	if page > 1 {
		p.Prev = link(page - 1)
	}
	if page < last {
		p.Next = link(page + 1)
	}
	return from, to, p
}

func (o *Server) camerasPage(c *call) error {
	f := c.r.URL.Query()
	v := camerasView{Form: ui.Form{Name: "cameras", P: c.p, Values: f}, CanEdit: c.can(account.ActCamerasEdit, account.Subject{})}
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
	v.Text = c.p.T("cameras.sub", len(all))
	if v.Filtered {
		v.Text = c.p.T("cameras.found", len(rows), len(all))
	}
	from, to, p := c.pagesOf("/cameras", f, len(rows))
	v.Rows, v.Pages = rows[from:to], p
	v.Columns = c.cameraColumns(f)
	return c.page("cameras", c.p.T("nav.cameras"), v)
}

// cameraRows are all cameras with how they stand.
func (o *Server) cameraRows(c *call) (rows []cameraRow) {
	states := o.d.Status.Cameras()
	faults := map[string][]health.Fault{}
	for _, f := range o.d.Health.Faults() {
		faults[f.Camera] = append(faults[f.Camera], f)
	}
	for _, cam := range o.d.Site.Cameras() {
		r := c.cameraState(cam, states[cam.ID], faults[cam.ID])
		r.Technician = o.name(cam.Technician)
		rows = append(rows, r)
	}
	return rows
}

// cameraState says the state of a camera: what the recorder says of those that it records, the open fault of others.
func (c *call) cameraState(cam footage.Camera, s CameraState, faults []health.Fault) cameraRow {
	r := cameraRow{C: cam, State: s.State}
	for _, f := range faults {
		if f.Code == footage.FaultOffline {
			r.State = "offline"
		} else {
			r.Faults = append(r.Faults, c.p.K("camfault.", f.Code))
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
	r.Word = c.p.K("cam.", r.State)
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
func (c *call) cameraFilters(rows []cameraRow) (out []cameraFilter) {
	for _, name := range cameraFilterNames {
		f := cameraFilter{Name: name, Label: c.p.T("cameras.by." + name), Options: []ui.Option{{Text: c.p.T("cameras.by." + name)}}}
		count := map[string]int{}
		for _, r := range rows {
			count[r.value(name)]++
		}
		for _, v := range sortedKeys(count) {
			text := v
			switch name {
			case "area":
				text = c.p.K("area.", v)
			case "custody":
				text = c.p.K("custody.", v)
			case "state":
				text = c.p.K("cam.", v)
			case "technician":
				text = c.o.name(v)
			}
			if v == "" {
				v, text = "-", c.p.T("cameras.none_set")
			}
			f.Options = append(f.Options, ui.Option{Value: v, Text: c.p.T("cameras.option", text, count[strings.Trim(v, "-")])})
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
		return cmp.Or(compareBool(a.C.Retired, b.C.Retired), compareBool(b.Tone == "bad", a.Tone == "bad"), compareBool(b.Tone == "warn", a.Tone == "warn"))
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

func (c *call) cameraColumns(f url.Values) (out []cameraColumn) {
	now, down := strings.CutPrefix(f.Get("sort"), "-")
	if now == "" {
		now = "state"
	}
	for _, o := range cameraOrder {
		x := cloneValues(f)
		x.Del("page")
		x.Set("sort", o.name)
		col := cameraColumn{Text: c.p.T("cameras.h." + o.name), Num: o.num}
		if o.name == now {
			col.Sort = "ascending"
			x.Set("sort", "-"+o.name)
			if down {
				col.Sort = "descending"
				x.Set("sort", o.name)
			}
		}
		col.Href = "/cameras?" + x.Encode()
		out = append(out, col)
	}
	return out
}
