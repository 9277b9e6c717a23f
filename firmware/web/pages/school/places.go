package school

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// placesView is the list of places.
type placesView struct {
	Form    ui.Form
	Rows    []placeRow
	Text    string
	CanEdit bool
	Any     bool
	Filters []frame.ListFilter
	Pages   frame.Pages
}

type placeRow struct {
	P             site.Place
	Kind, Cameras string
	Readers       string
}

// APIPlace is a place, as JSON.
type APIPlace struct {
	site.Place
	Rev uint64 `json:"rev"` // a change must carry it
}

// placeRows are the places that the address asks for, by name.
func (o *Pages) placeRows(c *call, f url.Values) (rows []placeRow) {
	q := strings.ToLower(strings.TrimSpace(f.Get("q")))
	for _, p := range o.d.Site.Places() {
		r := placeRow{P: p, Cameras: c.CameraNames(p.Cameras)}
		if p.Kind != "" {
			r.Kind = c.P.K("area.", p.Kind)
		}
		var readers []string
		for _, x := range o.d.Site.Readers() {
			if !x.Retired && (x.Place == p.Name || x.Place == p.ID) {
				readers = append(readers, x.Name)
			}
		}
		r.Readers = strings.Join(readers, c.P.T("sep.list"))
		if k := f.Get("kind"); k != "" && k != string(p.Kind) {
			continue
		}
		if q == "" || strings.Contains(strings.ToLower(p.ID+"\n"+p.Name+"\n"+r.Kind+"\n"+r.Cameras), q) {
			rows = append(rows, r)
		}
	}
	slices.SortStableFunc(rows, func(a, b placeRow) int { return cmp.Compare(a.P.Name, b.P.Name) })
	return rows
}

func kinds(c *call, first string) []ui.Option {
	out := []ui.Option{{Text: first}}
	for _, a := range slices.Concat(footage.Areas, footage.PrivateAreas) {
		out = append(out, ui.Option{Value: string(a), Text: c.P.K("area.", a)})
	}
	return out
}

func (o *Pages) placesPage(c *call) error {
	f := c.R.URL.Query()
	rows := o.placeRows(c, f)
	v := placesView{Form: ui.Form{Name: "places", P: c.P, Values: f}, Text: c.P.T("places.sub", len(rows)), CanEdit: c.Can(account.ActSchoolEdit, account.Subject{}),
		Any: len(o.d.Site.Places()) > 0, Filters: []frame.ListFilter{{Name: "kind", Label: c.P.T("place.f.kind"), Options: kinds(c, c.P.T("places.by.kind"))}}}
	from, to, p := c.PagesOf("/places", f, len(rows))
	v.Rows, v.Pages = rows[from:to], p
	return c.Page("places", c.P.T("places.title"), v)
}

func (o *Pages) apiPlaces(c *call) error {
	out := []APIPlace{}
	for _, r := range o.placeRows(c, c.R.URL.Query()) {
		_, rev, _ := o.d.Site.Place(r.P.ID)
		out = append(out, APIPlace{r.P, rev})
	}
	return c.JSON(http.StatusOK, out)
}

func (o *Pages) apiPlace(c *call) error {
	p, rev, ok := o.d.Site.Place(c.R.PathValue("place"))
	if !ok {
		return frame.ErrNotFound
	}
	return c.JSON(http.StatusOK, APIPlace{p, rev})
}

// placeView is the form of one place.
type placeView struct {
	Form    ui.Form
	New     bool
	ID      string
	Name    string
	Kinds   []ui.Option
	Cameras []ui.Option
}

func (o *Pages) newPlacePage(c *call) error {
	return o.showPlace(c, http.StatusOK, "", url.Values{"id": {o.freePlaceID(nil)}}, nil)
}

// freePlaceID proposes an id that no place has, nor one of those.
func (o *Pages) freePlaceID(but map[string]int) string {
	for n := 1; ; n++ {
		id := fmt.Sprintf("place-%02d", n)
		if _, _, taken := o.d.Site.Place(id); !taken && but[id] == 0 {
			return id
		}
	}
}

func (o *Pages) editPlacePage(c *call) error {
	p, rev, ok := o.d.Site.Place(c.R.PathValue("place"))
	if !ok {
		return frame.ErrNotFound
	}
	return o.showPlace(c, http.StatusOK, p.ID, placeValues(p, rev), nil)
}

func placeValues(p site.Place, rev uint64) url.Values {
	return url.Values{"id": {p.ID}, "name": {p.Name}, "kind": {string(p.Kind)}, "cameras": p.Cameras, "rev": {strconv.FormatUint(rev, 10)}}
}

func (o *Pages) showPlace(c *call, status int, id string, values url.Values, errs fielderr.Errors) error {
	v := placeView{Form: ui.Form{Name: "place", P: c.P, Values: values, Errors: errs}, New: id == "", ID: id, Name: values.Get("name"), Kinds: kinds(c, "–")}
	for _, cam := range o.d.Site.Cameras() {
		if !cam.Retired || slices.Contains(values["cameras"], cam.ID) {
			v.Cameras = append(v.Cameras, ui.Option{Value: cam.ID, Text: cam.Name, Code: cam.ID})
		}
	}
	title := v.Name
	if v.New {
		title = c.P.T("place.new")
	}
	return c.PageStatus(status, "place_form", title, v)
}

// putPlace registers or changes a place.
func (o *Pages) putPlace(c *call) error {
	f, id := c.R.PostForm, c.R.PathValue("place")
	was, _, known := o.d.Site.Place(id)
	if id != "" && !known {
		return frame.ErrNotFound
	}
	p, rev := site.Place{ID: cmp.Or(strings.TrimSpace(f.Get("id")), o.freePlaceID(nil))}, uint64(0)
	if known {
		p, rev = was, frame.FormRev(f)
	}
	p.Name, p.Kind, p.Cameras = strings.TrimSpace(f.Get("name")), footage.Area(f.Get("kind")), f["cameras"]
	err := o.d.Site.PutPlaceFrom(c.R.Context(), c.Who(), p, rev)
	if errors.Is(err, ledgerdb.ErrConflict) && !c.API() {
		now, nowRev, ok := o.d.Site.Place(id)
		if !ok {
			return frame.ErrNotFound
		}
		values := placeValues(p, nowRev)
		errs := fielderr.Errors{{Field: "rev", Rule: site.RowChanged}}
		if now.Name != p.Name {
			errs.Add("name", "err.row_now", now.Name)
		}
		if !slices.Equal(now.Cameras, p.Cameras) {
			errs.Add("cameras", "err.row_now", cmp.Or(c.CameraNames(now.Cameras), "–"))
		}
		return o.showPlace(c, http.StatusConflict, id, values, errs)
	}
	if errs, ok := errors.AsType[fielderr.Errors](err); ok && !c.API() {
		return o.showPlace(c, http.StatusUnprocessableEntity, was.ID, f, errs)
	}
	if err != nil {
		return err
	}
	if c.API() {
		p, rev, _ := o.d.Site.Place(p.ID)
		return c.JSON(http.StatusOK, APIPlace{p, rev})
	}
	return c.Done("/places", "done.place")
}

func (o *Pages) removePlace(c *call) error {
	if err := o.d.Site.RemovePlace(c.R.Context(), c.Who(), c.R.PathValue("place")); err != nil {
		return err
	}
	return c.Done("/places", "done.place.removed")
}

// exportPlaces gives the places in the columns that the import takes. They name nobody.
func (o *Pages) exportPlaces(c *call) error {
	out := [][]string{placeHead(c)}
	for _, r := range o.placeRows(c, c.R.PostForm) {
		out = append(out, []string{r.P.ID, r.P.Name, r.Kind, strings.Join(r.P.Cameras, " ")})
	}
	return c.SendTable("places-"+c.FileTime(), c.P.T("places.title"), out)
}

func placeHead(c *call) (out []string) {
	for _, k := range []string{"id", "name", "kind", "cameras"} {
		out = append(out, c.P.T("place.f."+k))
	}
	return out
}
