package player

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/firmware/viewing"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// wallView is the control room's wall of live pictures (F20). A tile opens its viewing, with its entry, when it comes
// into sight, and ends it when it goes.
type wallView struct {
	Tiles   []wallTile
	Size    int // tiles of a page
	Sizes   []frame.Chip
	Groups  []frame.Chip
	Chosen  []string // cameras picked one by one
	Choice  []ui.Option
	Group   string
	Pager   ui.Pager
	Total   int
	Purpose string // stated and still counting; empty: it is to be stated
	Until   string
	Offline int
}

type wallTile struct {
	No         int
	Camera     footage.Camera
	Tone, Icon string
	State      string
	Online     bool
	Thin       bool // records its sub-stream
	Since      string
}

// The sizes of a wall, and the one it begins with.
var wallSizes = []int{1, 4, 9, 16}

const wallSize = 4

// livePurpose is the subject of the wall: its purpose is stated there.
func livePurpose(*call) (account.Subject, error) {
	return account.Subject{Way: account.WayLive, Purpose: true}, nil
}

// liveSubject is what opening a live viewing is about.
func liveSubject(c *call) (account.Subject, error) {
	camera := c.R.PostForm.Get("camera")
	if _, ok := c.o.d.Site.Camera(camera); !ok {
		return account.Subject{}, frame.ErrNotFound
	}
	_, incident := c.o.d.Usage.Incident(c.Actor.ID)
	return account.Subject{Camera: camera, Way: account.WayLive, Purpose: incident || strings.TrimSpace(c.R.PostForm.Get("purpose")) != ""}, nil
}

func (o *Pages) livePage(c *call) error {
	f := c.R.URL.Query()
	v := wallView{Size: wallSize, Group: f.Get("group"), Chosen: f["camera"]}
	if n, err := strconv.Atoi(f.Get("size")); err == nil && slices.Contains(wallSizes, n) {
		v.Size = n
	}
	cameras := o.wallCameras(c, &v)
	v.Total = len(cameras)
	pages := max(1, (len(cameras)+v.Size-1)/v.Size)
	page, err := strconv.Atoi(f.Get("page"))
	if err != nil || page < 1 || page > pages {
		page = 1
	}
	o.wallLinks(c, &v, page, pages)
	states, thin := o.d.Status.Cameras(), o.d.Status.Retention().Thinned
	for i, cam := range cameras[min(len(cameras), (page-1)*v.Size):min(len(cameras), page*v.Size)] {
		t := wallTile{No: i + 1, Camera: cam, Tone: "ok", Icon: "ok", State: c.P.T("cam.online"), Online: true, Thin: slices.Contains(thin, cam.ID)}
		if s := states[cam.ID]; s.State != "online" {
			t.Tone, t.Icon, t.Online = "bad", "camoff", false
			t.State = c.P.T("cam.offline")
			if s.State == "unusable" {
				t.State = c.P.T("cam.unusable")
			}
			if !s.Since.IsZero() {
				t.Since = c.P.When(s.Since, c.Now.Wall)
			}
			v.Offline++
		}
		v.Tiles = append(v.Tiles, t)
	}
	if i, ok := o.d.Usage.Incident(c.Actor.ID); ok {
		v.Purpose, v.Until = i.Purpose, c.P.Clock(i.Until)
	}
	fr := c.Frame("live", c.P.T("live.title"))
	fr.Script = "live.js"
	return c.Framed(http.StatusOK, "live", fr, v)
}

// wallCameras are those that were chosen: one by one, or a group, or all.
func (o *Pages) wallCameras(c *call, v *wallView) (out []footage.Camera) {
	groups := []string{}
	for _, cam := range o.d.Site.Cameras() {
		if cam.Retired || cam.Custody == footage.CustodyFolder {
			continue // what comes as files does not come live
		}
		if cam.Group != "" && !slices.Contains(groups, cam.Group) {
			groups = append(groups, cam.Group)
		}
		v.Choice = append(v.Choice, ui.Option{Value: cam.ID, Text: cam.Name})
		switch {
		case len(v.Chosen) > 0:
			if slices.Contains(v.Chosen, cam.ID) {
				out = append(out, cam)
			}
		case v.Group == "" || cam.Group == v.Group:
			out = append(out, cam)
		}
	}
	link := func(group string) string {
		q := url.Values{"size": {strconv.Itoa(v.Size)}}
		if group != "" {
			q.Set("group", group)
		}
		return "/live?" + q.Encode()
	}
	v.Groups = append(v.Groups, frame.Chip{Text: c.P.T("live.all"), Href: link(""), On: v.Group == "" && len(v.Chosen) == 0})
	for _, g := range groups {
		v.Groups = append(v.Groups, frame.Chip{Text: g, Href: link(g), On: v.Group == g && len(v.Chosen) == 0})
	}
	return out
}

func (o *Pages) wallLinks(c *call, v *wallView, page, pages int) {
	with := func(size, page int) string {
		q := url.Values{"size": {strconv.Itoa(size)}}
		if len(v.Chosen) > 0 {
			q["camera"] = v.Chosen
		} else if v.Group != "" {
			q.Set("group", v.Group)
		}
		if page > 1 {
			q.Set("page", strconv.Itoa(page))
		}
		return "/live?" + q.Encode()
	}
	for _, n := range wallSizes {
		v.Sizes = append(v.Sizes, frame.Chip{Text: strconv.Itoa(n), Href: with(n, 1), On: n == v.Size})
	}
	v.Pager.Text = c.P.T("live.page", page, pages, v.Total)
	if page > 1 {
		v.Pager.Newer = with(v.Size, page-1)
	}
	if page < pages {
		v.Pager.Older = with(v.Size, page+1)
	}
}

// openLive opens a live viewing on a page of its own.
func (o *Pages) openLive(c *call) error {
	return o.view(c, viewing.Request{Camera: c.R.PostForm.Get("camera"), Live: true})
}

// APIViewing is an opened viewing: where its pictures are, and until when.
type APIViewing struct {
	ID       string    `json:"id"`
	Entry    uint64    `json:"entry"`
	Playlist string    `json:"playlist"`
	Close    string    `json:"close"`
	State    string    `json:"state"`
	Mark     string    `json:"mark"`
	Until    time.Time `json:"until"`
	Purpose  string    `json:"purpose"`
	Counts   string    `json:"purpose_until"`
}

// apiLive opens a live viewing for a tile of the wall. Its entry is committed before the answer.
func (o *Pages) apiLive(c *call) error {
	v, err := o.openViewing(c, viewing.Request{Camera: c.R.PostForm.Get("camera"), Live: true})
	if err != nil {
		return err
	}
	out := APIViewing{v.ID, v.Entry, "/media/" + v.ID + "/playlist.m3u8", "/view/" + v.ID + "/close", "/view/" + v.ID + "/state", o.watermark(c, v), v.Until.UTC(), v.Purpose, ""}
	if i, ok := o.d.Usage.Incident(c.Actor.ID); ok {
		out.Counts = c.P.Clock(i.Until)
	}
	return c.JSON(http.StatusOK, out)
}

// openViewing opens a viewing with the purpose of the form: the entry first (design §1.2).
func (o *Pages) openViewing(c *call, q viewing.Request) (viewing.Opened, error) {
	q.Purpose = strings.TrimSpace(c.R.PostForm.Get("purpose"))
	v, err := o.d.Viewings.Open(c.R.Context(), c.Who(), c.Session, q)
	if err != nil {
		_, refused := errors.AsType[*account.Refused](err)
		_, fields := errors.AsType[fielderr.Errors](err)
		c.Unlogged = !refused && !fields // without its entry nothing is shown: 503, and not a byte
	}
	return v, err
}

// watermark is what is written over the picture: who watches, from where, since when, under which entry.
func (o *Pages) watermark(c *call, v viewing.Opened) string {
	return strings.Join([]string{c.Session.Person.Name, c.Session.Person.Unit, c.Address.String(), c.P.Stamp(v.Opened)[:16], c.P.T("entry.no", v.Entry)}, "  ")
}
