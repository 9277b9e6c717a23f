package player

import (
	"campuskeep/firmware/playback"
	"campuskeep/firmware/viewing"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/lib/ui"
)

// Two cameras of one span in step: the second is a viewing of its own, with its own entry, right and end. Its page is
// that of the first, /view/{id}?with={second}.

// besideSubject is what watching another camera beside an open viewing is about: that camera, the same span.
func besideSubject(c *call) (account.Subject, error) {
	v, ok := c.o.d.Viewings.Get(c.R.PathValue("id"))
	if !ok || v.Live() || v.Person != c.Actor.ID {
		return account.Subject{}, playback.ErrUnknown
	}
	camera := c.R.PostForm.Get("camera")
	if _, known := c.o.d.Site.Camera(camera); !known || camera == v.Camera {
		return account.Subject{}, frame.ErrNotFound
	}
	return c.besides(v, camera), nil
}

func (c *call) besides(v viewing.Opened, camera string) account.Subject {
	_, incident := c.o.d.Usage.Incident(c.Actor.ID)
	return account.Subject{Camera: camera, From: v.Span.From, To: v.Span.To, Way: account.WayView, Purpose: incident || v.Purpose != ""}
}

// openBeside opens a viewing of another camera, of the same span and for the same purpose.
func (o *Pages) openBeside(c *call) error {
	v, ok := o.d.Viewings.Get(c.R.PathValue("id"))
	if !ok {
		return playback.ErrUnknown
	}
	c.R.PostForm.Set("purpose", v.Purpose)
	other, err := o.openViewing(c, viewing.Request{Camera: c.R.PostForm.Get("camera"), Span: v.Span})
	if err != nil {
		return err
	}
	return c.SeeOther("/view/" + v.ID + "?with=" + other.ID)
}

// besideOf is the viewing that a page shows beside another: of the same person, the same span, still open and allowed.
func (o *Pages) besideOf(c *call, v viewing.Opened) (viewing.Opened, bool) {
	other, ok := o.d.Viewings.Get(c.R.URL.Query().Get("with"))
	ok = ok && other.ID != v.ID && other.Person == v.Person && !v.Live() && !other.Live() && other.Span == v.Span
	return other, ok && c.Can(account.ActMediaRead, other.Subject())
}

// others are the cameras that this person may watch beside a viewing.
func (o *Pages) others(c *call, v viewing.Opened) (out []ui.Option) {
	for _, cam := range o.d.Site.Cameras() {
		if cam.ID == v.Camera || cam.Retired || !c.Can(account.ActFootagePlayback, c.besides(v, cam.ID)) {
			continue
		}
		out = append(out, ui.Option{Value: cam.ID, Text: cam.Name})
	}
	return out
}
