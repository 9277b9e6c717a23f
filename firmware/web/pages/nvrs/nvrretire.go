package nvrs

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/nvr"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// nvrServiceView asks before an NVR is taken out of service, or back into it, and says what becomes of its cameras and
// of what it holds.
type nvrServiceView struct {
	N        nvr.Overview
	Out      bool // it is taken out
	Form     ui.Form
	Cameras  []nvrDependent
	Kept     []nvrKept
	Last     string // the day from which on nothing would go too early
	Pending  int
	Refusal  *nvrRefusal
	Conflict bool
}

type nvrDependent struct {
	ID, Name, Place, How string
	On                   bool
}

func (o *Pages) nvrServicePage(retired bool) handler {
	return func(c *call) error {
		n, err := o.nvrOf(c)
		if err != nil {
			return err
		}
		if n.Retired == retired {
			return frame.ErrNotFound
		}
		values := url.Values{"rev": {strconv.FormatUint(n.Rev, 10)}}
		for _, x := range n.Left {
			values.Add("camera", x.Camera)
		}
		return o.showNVRService(c, http.StatusOK, n, values, nil, nil)
	}
}

func (o *Pages) showNVRService(c *call, status int, n nvr.Overview, values url.Values, errs fielderr.Errors, why error) error {
	v := nvrServiceView{N: n, Out: !n.Retired, Form: ui.Form{Name: "nvr_service", P: c.P, Values: values, Errors: errs}, Kept: c.nvrKept(n), Conflict: errors.Is(why, ledgerdb.ErrConflict)}
	v.Refusal = c.nvrRefusal(why)
	list := n.Depend
	if !v.Out {
		list = n.Left
	}
	for _, x := range list {
		cam, _ := o.d.Site.Camera(x.Camera)
		d := nvrDependent{ID: x.Camera, Name: cam.Name, Place: cam.Place, How: c.P.T("nvr_service.kept"), On: slices.Contains(values["camera"], x.Camera)}
		if x.Recorded {
			d.How = c.P.T("nvr_service.recorded")
		}
		v.Cameras = append(v.Cameras, d)
	}
	if len(n.Kept) > 0 {
		last := slices.MaxFunc(n.Kept, func(a, b nvr.KeptThere) int { return a.Until.Compare(b.Until) })
		v.Last = c.P.Day(last.Until)
	}
	for _, f := range n.Fetches {
		count(&v.Pending, f.Ended.IsZero())
	}
	title := c.P.T("nvr_service.back", n.Name)
	if v.Out {
		title = c.P.T("retire.title", n.Name)
	}
	return c.PageStatus(status, "nvr_service", title, v)
}

// serveNVR takes an NVR out of service with its cameras, or back into it.
func (o *Pages) serveNVR(retired bool) handler {
	return func(c *call) error {
		n, rev, err := o.nvrSeen(c)
		if err != nil {
			return err
		}
		f := c.R.PostForm
		serve := o.d.NVRs.Restore
		if retired {
			serve = o.d.NVRs.Retire
		}
		err = serve(c.R.Context(), c.Who(), n.ID, rev, strings.TrimSpace(f.Get("reason")), f["camera"])
		if status, errs := nvrStatus(err); status != 0 {
			return o.showNVRService(c, status, n, f, errs, err)
		}
		if err != nil {
			return err
		}
		if !retired {
			return o.beginAt(nvr.WorkCheck)(c)
		}
		return c.Done("/nvrs/"+n.ID, "done.nvr.retired")
	}
}
