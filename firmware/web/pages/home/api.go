package home

import (
	"net/http"
	"time"
)

// APIStatus is the state of the appliance, as JSON.
type APIStatus struct {
	Appliance   string        `json:"appliance"`
	Version     string        `json:"version"`
	Now         time.Time     `json:"now"`
	Clock       string        `json:"clock"`
	Uncertainty time.Duration `json:"uncertainty_ns"`
	Entries     uint64        `json:"entries"`
	Witnessed   uint64        `json:"witnessed"`
	WitnessedAt time.Time     `json:"witnessed_at,omitzero"`
	Acked       uint64        `json:"acknowledged"`
	Connected   bool          `json:"connected"`
	NextDue     time.Time     `json:"next_deletion,omitzero"`
	Suspended   string        `json:"deletion_suspended,omitempty"`
	Condemned   int           `json:"condemned"`
	Free        uint64        `json:"free"`
	Total       uint64        `json:"total"`
	Days        float64       `json:"days"`
}

func (o *Pages) apiStatus(c *call) error {
	k, s := o.d.Status.Retention(), o.d.Status.Sync()
	seen, at := o.d.Ledger.Witnessed()
	return c.JSON(http.StatusOK, APIStatus{Appliance: o.d.Info.Appliance, Version: o.d.Info.Version, Now: c.Now.Wall.UTC(), Clock: c.Now.State.String(),
		Uncertainty: c.Now.Uncertainty, Entries: o.d.Ledger.Size(), Witnessed: seen, WitnessedAt: at, Acked: s.Acked, Connected: s.Connected,
		NextDue: k.NextDue, Suspended: k.Suspended, Condemned: k.Condemned, Free: k.Free, Total: k.Total, Days: k.Days})
}
