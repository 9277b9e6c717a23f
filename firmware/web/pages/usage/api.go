package usage

import (
	"fmt"
	"net/http"
	"time"

	"campuskeep/shared/footage"
	"campuskeep/shared/usage"
)

func (o *Pages) apiApplications(c *call) error {
	out := o.d.Usage.List()
	if out == nil {
		out = []usage.Application{}
	}
	return c.JSON(http.StatusOK, out)
}

func (o *Pages) apiApplication(c *call) error {
	a, err := o.d.Usage.Get(c.R.PathValue("id"))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, a)
}

// APIHold is a hold in force, as JSON.
type APIHold struct {
	footage.Hold
	Applicant string    `json:"applicant"`
	Bytes     uint64    `json:"bytes"`
	Proposed  string    `json:"proposed_by,omitempty"` // who proposed to end it early
	At        time.Time `json:"proposed_at,omitzero"`
}

func (o *Pages) apiHolds(c *call) error {
	list, _, err := o.d.Usage.KeptHolds(c.R.Context())
	if err != nil {
		return fmt.Errorf("list holds: %w", err)
	}
	out := []APIHold{}
	for _, h := range list {
		a := APIHold{Hold: h.Hold, Applicant: h.Applicant, Bytes: h.Bytes}
		if h.Proposal != nil {
			a.Proposed, a.At = h.Proposal.By, h.Proposal.At.UTC()
		}
		out = append(out, a)
	}
	return c.JSON(http.StatusOK, out)
}

func (o *Pages) apiMine(c *call) error {
	out := []usage.Application{}
	for _, a := range o.d.Usage.List() {
		if a.Applicant == c.Actor.ID {
			out = append(out, a)
		}
	}
	return c.JSON(http.StatusOK, out)
}

// APIOffer is what there is of one camera for one line of an application, as JSON.
type APIOffer struct {
	Line      int            `json:"line"` // wanted.<line>
	Camera    string         `json:"camera"`
	Name      string         `json:"name"`
	Span      footage.Span   `json:"span"`
	Present   []footage.Span `json:"present"`
	Missing   []footage.Span `json:"missing"`
	Gone      []footage.Span `json:"gone"`     // deleted on time
	TooLate   []footage.Span `json:"too_late"` // condemned: no hold keeps it
	FirstLoss time.Time      `json:"first_loss,omitzero"`
	Complete  bool           `json:"complete"`
}

func (o *Pages) apiAvailability(c *call) error {
	wanted, lines := c.wants(c.R.URL.Query())
	out := []APIOffer{}
	if len(wanted) == 0 {
		return c.JSON(http.StatusOK, out)
	}
	offers, err := o.d.Usage.Available(c.R.Context(), wanted)
	if err != nil {
		return fmt.Errorf("look up what there is: %w", err)
	}
	for _, f := range offers {
		out = append(out, APIOffer{lines[f.Span], f.Availability.Camera, f.Camera.Name, wanted[f.Span].Span, f.Present, f.Missing, f.Gone, f.PastRetention, f.FirstLoss, f.Complete()})
	}
	return c.JSON(http.StatusOK, out)
}
