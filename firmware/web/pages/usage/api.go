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
