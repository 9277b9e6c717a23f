package footage

import (
	"net/http"
	"time"

	"campuskeep/firmware/web/timeline"
	"campuskeep/shared/footage"
)

type apiRow struct {
	Camera   string         `json:"camera"`
	Recorded []footage.Span `json:"recorded"`
	Gaps     []footage.Gap  `json:"gaps"`
}

// APIRibbon is where footage lies, as JSON.
type APIRibbon struct {
	Limit time.Time      `json:"deletion_line"`
	Now   time.Time      `json:"now"`
	Rows  []apiRow       `json:"cameras"`
	Holds []footage.Hold `json:"holds"`
}

func (o *Pages) apiRibbon(c *call) error {
	rib, err := o.ribbon(c, "", time.Time{})
	if err != nil {
		return err
	}
	out := APIRibbon{Limit: rib.Limit.UTC(), Now: rib.Now.UTC(), Rows: []apiRow{}, Holds: c.Holds()}
	span := footage.Span{From: rib.Now.Add(-timeline.RibDays * 24 * time.Hour), To: rib.Now}
	for _, row := range rib.Rows {
		runs, err := o.Coverage.Runs(c.R.Context(), row.Camera.ID, span, c.Now.Wall, c.Now.Mono)
		if err != nil {
			return err
		}
		r := apiRow{Camera: row.Camera.ID, Recorded: c.WithoutHold(row.Camera, runs), Gaps: []footage.Gap{}}
		for _, g := range rib.Gaps {
			if g.Camera == row.Camera.ID {
				r.Gaps = append(r.Gaps, footage.Gap{Camera: g.Camera, Span: g.Span, Cause: g.Cause})
			}
		}
		out.Rows = append(out.Rows, r)
	}
	return c.JSON(http.StatusOK, out)
}
