package retention

import (
	"fmt"
	"net/http"
	"time"
)

type apiDay struct {
	Camera   string    `json:"camera"`
	Day      string    `json:"day"`
	Erased   time.Time `json:"erased"` // the key; for an NVR: when it was first found gone
	Entry    uint64    `json:"entry"`
	Attested bool      `json:"attested"` // an NVR's word
}

// APIDays is a page of deleted camera-days, as JSON.
type APIDays struct {
	Days []apiDay `json:"days"`
	Next uint64   `json:"next,omitempty"` // "before" of the next page
}

func (o *Pages) apiDays(c *call) error {
	q, err := c.dayFilter(c.R.URL.Query())
	if err != nil {
		return err
	}
	list, next, err := o.d.Certificates.DeletedDays(c.R.Context(), q)
	if err != nil {
		return fmt.Errorf("list deleted days: %w", err)
	}
	out := APIDays{Days: []apiDay{}, Next: next}
	for _, d := range list {
		out.Days = append(out.Days, apiDay{d.Camera, d.Day, d.Erased.UTC(), d.Seq, d.Attested})
	}
	return c.JSON(http.StatusOK, out)
}
