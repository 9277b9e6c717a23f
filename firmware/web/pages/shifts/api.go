package shifts

import (
	"net/http"
	"slices"
	"time"

	"campuskeep/firmware/usage"
	"campuskeep/firmware/web/entrytext"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/shift"
)

// APIShift is one officer's time on duty, as JSON.
type APIShift struct {
	ID      string    `json:"id"`
	Officer string    `json:"officer"`
	Began   time.Time `json:"began"`
	Ended   time.Time `json:"ended,omitzero"` // absent: it is open
	End     shift.End `json:"end,omitempty"`
	After   string    `json:"after,omitempty"`  // the shift that it took over from
	Next    string    `json:"next,omitempty"`   // the shift that took over
	Offered time.Time `json:"offered,omitzero"` // the hand-over is written, the signature is awaited
	Notes   *apiNotes `json:"notes,omitempty"`
}

type apiNotes struct {
	Happened  string `json:"happened"`
	Equipment string `json:"equipment"`
	Open      string `json:"open"`
}

type apiIncident struct {
	Officer  string    `json:"officer"`
	Purpose  string    `json:"purpose"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Live     []string  `json:"live"`     // cameras
	Playback []string  `json:"playback"` // cameras
	Count    int       `json:"count"`
	Entry    uint64    `json:"entry"` // the first
}

type apiFact struct {
	Entry   uint64      `json:"entry"`
	At      time.Time   `json:"at"`
	Kind    ledger.Kind `json:"kind"`
	Subject string      `json:"subject,omitempty"`
	Actor   string      `json:"actor"`
	Text    string      `json:"text,omitempty"`
}

// APIDuty is the control room's sheet of one day, as JSON.
type APIDuty struct {
	Day        string         `json:"day"`
	Open       []APIShift     `json:"on_duty"` // now, whatever the day
	Shifts     []APIShift     `json:"shifts"`
	Unattended []footage.Span `json:"unattended"` // nobody was on duty
	Incidents  []apiIncident  `json:"incidents"`
	Faults     []apiFact      `json:"faults"`
	Clock      []apiFact      `json:"clock"`
	Decisions  []apiFact      `json:"decisions"`
}

func (o *Pages) apiDuty(c *call) error {
	span, err := c.chosenDuty(c.R.URL.Query().Get("day"))
	if err != nil {
		return err
	}
	shifts := o.d.Usage.Shifts(span)
	out := APIDuty{Day: span.From.In(o.d.Zone).Format(time.DateOnly), Unattended: []footage.Span{}, Incidents: []apiIncident{}}
	if out.Open, err = o.describeShifts(c, o.d.Usage.OpenShifts()); err != nil {
		return err
	}
	if out.Shifts, err = o.describeShifts(c, shifts); err != nil {
		return err
	}
	for _, g := range unattended(shifts, span, c.Now.Wall) {
		out.Unattended = append(out.Unattended, footage.Span{From: g.From.UTC(), To: g.To.UTC()})
	}
	entries, err := o.sheetEntries(c.R.Context(), span)
	if err != nil {
		return err
	}
	incidents, err := o.incidents(c, entries)
	if err != nil {
		return err
	}
	for _, i := range incidents {
		out.Incidents = append(out.Incidents, apiIncident{i.officer, i.Purpose, i.from.UTC(), i.to.UTC(), orEmpty(i.live), orEmpty(i.playback), i.Count, i.Seq})
	}
	out.Faults, out.Clock, out.Decisions = o.describeFacts(c, entries, entrytext.DutyFaults), o.describeFacts(c, entries, entrytext.DutyClock), o.describeFacts(c, entries, entrytext.DutyDecisions)
	return c.JSON(http.StatusOK, out)
}

func orEmpty(list []string) []string { return append([]string{}, list...) }

func (o *Pages) describeShifts(c *call, list []shift.Shift) ([]APIShift, error) {
	out := []APIShift{}
	for _, s := range list {
		a := APIShift{ID: s.ID, Officer: s.Officer, Began: s.Began.Wall.UTC(), Ended: s.Ended, End: s.End, After: s.After, Next: s.Next, Offered: s.Offered}
		if !s.Offered.IsZero() {
			n, err := o.notes(c.R.Context(), s.ID)
			if err != nil {
				return nil, err
			}
			if n != (usage.HandoverNotes{}) {
				notes := apiNotes(n)
				a.Notes = &notes
			}
		}
		out = append(out, a)
	}
	return out, nil
}

func (o *Pages) describeFacts(c *call, entries []ledger.Entry, kinds []ledger.Kind) []apiFact {
	out := []apiFact{}
	for _, e := range entries {
		if slices.Contains(kinds, e.Kind) {
			out = append(out, apiFact{e.Seq, e.At.UTC(), e.Kind, e.Subject, e.Actor.ID, o.Fact(c.Call, e).Text})
		}
	}
	return out
}
