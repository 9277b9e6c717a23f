package web

import (
	"fmt"
	"net/http"

	"campuskeep/firmware/viewing"
	"campuskeep/shared/account"
)

// waitView is where the picture will be, while the footage is on its way from an NVR.
type waitView struct {
	V                viewing.Opened
	Name, PrettySpan string
	Ground           string
	Tone, Icon, Word string
	Text, Bar        string
	Left             string
	Over             bool
	CanLog           bool
	Back             string
	Day, From, To    string // of the form that asks once more
}

// awaits answers with how far the footage is when a viewing cannot be shown yet. It ends by itself: the page asks
// again, and when everything is there it is asked to load again.
func (o *Server) awaits(c *call, v viewing.Opened) (bool, error) {
	if o.d.NVRs == nil || v.Live() {
		return false, nil
	}
	f, ok, err := o.d.NVRs.Awaited(c.r.Context(), v.Viewing)
	if err != nil {
		return false, fmt.Errorf("ask how far the footage of viewing %s is: %w", v.ID, err)
	}
	polled := c.r.Header.Get(byItself) != ""
	if !ok {
		if polled {
			c.w.Header().Set(reloadPage, "true")
			c.html(http.StatusOK, nil)
		}
		return polled, nil
	}
	if err := o.d.Player.Touch(v.ID); err != nil { // who waits is still there
		return false, err
	}
	w := waitView{V: v, Name: o.cameraName(v.Camera), PrettySpan: c.p.Span(v.Span.From, v.Span.To), Over: f.Over(), Ground: c.p.T("view.ground.duty"),
		CanLog: c.can(account.ActLogProof, account.Subject{}), Back: "/footage?camera=" + v.Camera + "&day=" + c.p.ISODate(v.Span.From) + "#day",
		Day: c.p.ISODate(v.Span.From), From: c.p.Clock(v.Span.From), To: c.p.Clock(v.Span.To)}
	if v.Application != "" {
		w.Ground = c.p.T("view.ground.grant", appNumber(v.Application))
	}
	w.Tone, w.Icon, w.Word, w.Text = c.fetchWords(f)
	w.Bar = fmt.Sprintf("%d%%", max(1, f.Percent))
	if !f.Over() && f.Left > 0 {
		w.Left = c.p.T("fetch.left", c.p.Words(f.Left))
	}
	return true, c.page("view_wait", c.p.T("view.title", w.Name), w)
}
