package home

import (
	"net/http"
	"time"

	"campuskeep/firmware/timekeeper"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
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

// APIClock explains the clock, as JSON.
type APIClock struct {
	State       string         `json:"state"`
	Now         time.Time      `json:"now"`
	Uncertainty time.Duration  `json:"uncertainty_ns"`
	Since       time.Duration  `json:"since_ns"` // it has been in this state for so long
	Reason      string         `json:"reason,omitempty"`
	Waits       string         `json:"waits_for,omitempty"`
	Doubted     time.Duration  `json:"doubted_ns"` // running time without trust
	Alarmed     bool           `json:"alarmed"`
	Stated      bool           `json:"stated"` // one person has stated the time; a second is awaited
	Deletes     bool           `json:"deletes"`
	Suspended   string         `json:"deletion_suspended,omitempty"`
	Sources     []apiSource    `json:"sources"`
	History     []apiClockFact `json:"history"` // newest first
}

type apiSource struct {
	Name        string        `json:"name"`
	Origin      string        `json:"origin"`
	Trouble     string        `json:"trouble,omitempty"`
	Heard       bool          `json:"heard"` // it has said something since this start of the machine
	Age         time.Duration `json:"age_ns,omitzero"`
	Offset      time.Duration `json:"offset_ns,omitzero"`
	Uncertainty time.Duration `json:"uncertainty_ns,omitzero"`
	Agrees      bool          `json:"agrees"`
	Servers     []apiServer   `json:"servers,omitempty"`
}

type apiServer struct {
	Name        string        `json:"name"`
	Trouble     string        `json:"trouble,omitempty"`
	Heard       bool          `json:"heard"`
	Age         time.Duration `json:"age_ns,omitzero"`
	Offset      time.Duration `json:"offset_ns,omitzero"`
	Uncertainty time.Duration `json:"uncertainty_ns,omitzero"`
}

type apiClockFact struct {
	Entry uint64      `json:"entry"`
	At    time.Time   `json:"at"`
	Kind  ledger.Kind `json:"kind"`
	Text  string      `json:"text,omitempty"`
}

func (o *Pages) apiClock(c *call) error {
	x, k := o.d.Time.Explain(), o.d.Status.Retention()
	now := x.Reading
	out := APIClock{State: now.State.String(), Now: now.Wall.UTC(), Uncertainty: now.Uncertainty, Since: x.Since, Reason: string(x.Reason), Waits: string(x.Waits), Doubted: x.Doubted,
		Alarmed: x.Alarmed, Stated: x.Stated, Deletes: k.Suspended == "" && now.State == clock.Trusted, Suspended: k.Suspended, Sources: []apiSource{}, History: []apiClockFact{}}
	for _, s := range x.Sources {
		out.Sources = append(out.Sources, describeSource(s, now))
	}
	entries, err := o.clockEntries(c)
	if err != nil {
		return err
	}
	for _, e := range entries {
		out.History = append(out.History, apiClockFact{e.Seq, e.At.UTC(), e.Kind, o.clockFact(c, e).Text})
	}
	return c.JSON(http.StatusOK, out)
}

func describeSource(s timekeeper.SourceState, now clock.Reading) apiSource {
	out := apiSource{Name: s.Name, Origin: string(s.Origin), Trouble: string(s.Trouble)}
	if w := s.Witness; w != nil {
		out.Heard, out.Age, out.Offset, out.Uncertainty, out.Agrees = true, now.Mono-w.Mono, w.Offset, w.Uncertainty, w.Fits
	}
	for _, x := range s.Servers {
		server := apiServer{Name: x.Name, Trouble: string(x.Trouble), Heard: x.Answered}
		if x.Answered {
			server.Age, server.Uncertainty = now.Mono-x.Said.Mono, x.Uncertainty
			server.Offset = x.Said.UTC.Add(now.Mono - x.Said.Mono).Sub(now.Wall)
		}
		out.Servers = append(out.Servers, server)
	}
	return out
}
