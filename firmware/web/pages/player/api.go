package player

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"campuskeep/firmware/playback"
	"campuskeep/firmware/web/timeline"
	"campuskeep/shared/footage"
)

type apiTile struct {
	Camera string    `json:"camera"`
	Name   string    `json:"name"`
	Group  string    `json:"group,omitempty"`
	State  string    `json:"state"`
	Since  time.Time `json:"state_since,omitzero"`
	Thin   bool      `json:"sub_stream"` // it records its sub-stream
}

// APIWall lists the cameras that can be watched live, and the purpose that still counts, as JSON.
type APIWall struct {
	Purpose string    `json:"purpose,omitempty"` // absent: it is to be stated
	Until   time.Time `json:"purpose_until,omitzero"`
	Cameras []apiTile `json:"cameras"`
}

func (o *Pages) apiWall(c *call) error {
	f := c.R.URL.Query()
	out := APIWall{Cameras: []apiTile{}}
	states, thin := o.d.Status.Cameras(), o.d.Status.Retention().Thinned
	for _, cam := range o.wallCameras(c, &wallView{Group: f.Get("group"), Chosen: f["camera"]}) {
		s := states[cam.ID]
		out.Cameras = append(out.Cameras, apiTile{cam.ID, cam.Name, cam.Group, s.State, s.Since, slices.Contains(thin, cam.ID)})
	}
	if i, ok := o.d.Usage.Incident(c.Actor.ID); ok {
		out.Purpose, out.Until = i.Purpose, i.Until.UTC()
	}
	return c.JSON(http.StatusOK, out)
}

type apiUnsure struct {
	Span footage.Span  `json:"span"`
	By   time.Duration `json:"uncertainty_ns,omitzero"` // absent: not known
}

// APIWaiting says how far footage is on its way from an NVR, as JSON.
type APIWaiting struct {
	State   string        `json:"state"`
	Percent int           `json:"percent"`
	Reason  string        `json:"reason,omitempty"`
	Next    time.Time     `json:"next,omitzero"`
	Ahead   int           `json:"fetches_ahead"`
	Left    time.Duration `json:"left_ns"`
}

// APIOpenViewing is an open viewing with what there is of its span, as JSON.
type APIOpenViewing struct {
	ID          string        `json:"id"`
	Entry       uint64        `json:"entry"`
	Camera      string        `json:"camera"`
	Span        *footage.Span `json:"span,omitempty"` // absent: live
	Mode        string        `json:"mode"`
	Basis       string        `json:"basis"`
	Application string        `json:"application,omitempty"`
	Purpose     string        `json:"purpose,omitempty"`
	Opened      time.Time     `json:"opened"`
	Until       time.Time     `json:"until"`
	Playlist    string        `json:"playlist"`
	Waits       *APIWaiting   `json:"waits,omitempty"` // the footage is not here yet
	Gaps        []footage.Gap `json:"gaps"`
	Unsure      []apiUnsure   `json:"uncertain_times"` // recorded while the clock could not be placed
	Codecs      []string      `json:"codecs"`
}

func (o *Pages) apiView(c *call) error {
	v, ok := o.d.Viewings.Get(c.R.PathValue("id"))
	if !ok {
		return playback.ErrUnknown
	}
	out := APIOpenViewing{ID: v.ID, Entry: v.Entry, Camera: v.Camera, Mode: v.Mode, Basis: v.Basis, Application: v.Application, Purpose: v.Purpose, Opened: v.Opened.UTC(), Until: v.Until.UTC(),
		Playlist: "/media/" + v.ID + "/playlist.m3u8", Gaps: []footage.Gap{}, Unsure: []apiUnsure{}, Codecs: []string{}}
	if v.Live() {
		return c.JSON(http.StatusOK, out)
	}
	out.Span = &v.Span
	f, waits, err := o.d.Usage.Awaited(c.R.Context(), v.Viewing)
	if err != nil {
		return fmt.Errorf("ask how far the footage of viewing %s is: %w", v.ID, err)
	}
	if waits {
		waiting := APIWaiting(f)
		out.Waits = &waiting
		return c.JSON(http.StatusOK, out)
	}
	p, err := o.present(c, v)
	if err != nil {
		return err
	}
	for _, h := range p.holes {
		out.Gaps = append(out.Gaps, footage.Gap{Camera: v.Camera, Span: h.Span, Cause: h.Cause})
	}
	for _, s := range p.segments {
		if s.Codec != "" && !slices.Contains(out.Codecs, s.Codec) {
			out.Codecs = append(out.Codecs, s.Codec)
		}
		if s.Anchored {
			continue
		}
		if n := len(out.Unsure); n > 0 && s.Span.From.Sub(out.Unsure[n-1].Span.To) < timeline.RunGap && out.Unsure[n-1].By == s.Uncertainty {
			out.Unsure[n-1].Span.To = s.Span.To
			continue
		}
		out.Unsure = append(out.Unsure, apiUnsure{s.Span, s.Uncertainty})
	}
	return c.JSON(http.StatusOK, out)
}
