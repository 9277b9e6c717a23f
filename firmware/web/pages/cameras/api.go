package cameras

import (
	"net/http"
	"time"

	"campuskeep/firmware/web/frame"
	"campuskeep/shared/footage"
)

// APICamera is a camera with its state, as JSON.
type APICamera struct {
	footage.Camera
	State string        `json:"state"`
	Since time.Time     `json:"state_since,omitzero"`
	Cause footage.Cause `json:"cause,omitempty"`
}

func (o *Pages) apiCameras(c *call) error {
	states := o.d.Status.Cameras()
	out := []APICamera{}
	for _, cam := range o.d.Site.Cameras() {
		s := states[cam.ID]
		out = append(out, APICamera{cam, s.State, s.Since, s.Cause})
	}
	return c.JSON(http.StatusOK, out)
}

func (o *Pages) apiCamera(c *call) error {
	cam, ok := o.d.Site.Camera(c.R.PathValue("id"))
	if !ok {
		return frame.ErrNotFound
	}
	s := o.d.Status.Cameras()[cam.ID]
	return c.JSON(http.StatusOK, APICamera{cam, s.State, s.Since, s.Cause})
}
