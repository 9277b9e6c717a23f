package player

import (
	"fmt"
	"net/http"

	"campuskeep/firmware/viewing"
	"campuskeep/firmware/web/frame"
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
func (o *Pages) awaits(c *call, v viewing.Opened) (bool, error) {
	if v.Live() {
		return false, nil
	}
	f, ok, err := o.d.Usage.Awaited(c.R.Context(), v.Viewing)
	if err != nil {
		return false, fmt.Errorf("ask how far the footage of viewing %s is: %w", v.ID, err)
	}
	polled := c.R.Header.Get(frame.ByItself) != ""
	if !ok {
		if polled {
			c.W.Header().Set(frame.ReloadPage, "true")
			c.HTML(http.StatusOK, nil)
		}
		return polled, nil
	}
	if err := o.d.Player.Touch(v.ID); err != nil { // who waits is still there
		return false, err
	}
	w := waitView{V: v, Name: o.CameraName(v.Camera), PrettySpan: c.P.Span(v.Span.From, v.Span.To), Over: f.Over(), Ground: c.P.T("view.ground.duty"),
		CanLog: c.Can(account.ActLogProof, account.Subject{}), Back: "/footage?camera=" + v.Camera + "&day=" + c.P.ISODate(v.Span.From) + "#day",
		Day: c.P.ISODate(v.Span.From), From: c.P.Clock(v.Span.From), To: c.P.Clock(v.Span.To)}
	if v.Application != "" {
		w.Ground = c.P.T("view.ground.grant", frame.AppNumber(v.Application))
	}
	w.Tone, w.Icon, w.Word, w.Text = c.FetchWords(f)
	w.Bar = fmt.Sprintf("%d%%", max(1, f.Percent))
	if !f.Over() && f.Left > 0 {
		w.Left = c.P.T("fetch.left", c.P.Words(f.Left))
	}
	return true, c.Page("view_wait", c.P.T("view.title", w.Name), w)
}
