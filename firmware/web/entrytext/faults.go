package entrytext

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/health"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
)

// FaultRow is a fault in words.
type FaultRow struct {
	F              health.Fault
	What, Hint     string
	Camera         string
	Place          string
	Technician     string
	Opened         string
	Lasts          string
	Closed         string // when and why
	Informed       string
	Acks           []faultAck
	CanAcknowledge bool
	Acknowledged   bool
	Err            string // of the note that was typed for it
	Note           string
	SeeCamera      bool
}

type faultAck struct{ Who, When, Note string }

// FaultRow puts a fault into words; notes are those of its acknowledgements, by entry.
func (o *Words) FaultRow(c *frame.Call, f health.Fault, notes map[string][]string) FaultRow {
	tech := o.d.Health.Technician(f)
	r := FaultRow{F: f, What: c.P.K("camfault.", f.Code), Hint: c.P.K("camfault.hint.", f.Code), Camera: o.CameraName(f.Camera), Technician: o.Name(tech),
		Opened: c.P.When(f.Opened, c.Now.Wall), Acknowledged: len(f.Acks) > 0, SeeCamera: c.Can(account.ActCamerasView, account.Subject{})}
	if cam, ok := o.d.Site.Camera(f.Camera); ok {
		r.Place = cam.Place
	}
	if f.OffsetMS != 0 {
		r.What += c.P.T("sep.clause") + frame.Signed(c.P, time.Duration(f.OffsetMS)*time.Millisecond)
	}
	end := c.Now.Wall
	if !f.Closed.IsZero() {
		end = f.Closed
		r.Closed = c.P.When(f.Closed, c.Now.Wall) + c.P.T("sep.clause") + c.P.K("faults.reason.", f.Reason)
	}
	r.Lasts = c.P.Words(max(time.Second, end.Sub(f.Opened)).Truncate(time.Second))
	var shown []string
	for _, p := range f.Informed() {
		shown = append(shown, o.Name(p))
	}
	r.Informed = strings.Join(shown, c.P.T("sep.list"))
	for i, a := range f.Acks {
		x := faultAck{Who: o.Name(a.By), When: c.P.When(a.At, c.Now.Wall)}
		if n := notes[f.ID]; i < len(n) {
			x.Note = n[i]
		}
		r.Acks = append(r.Acks, x)
	}
	r.CanAcknowledge = f.Closed.IsZero() && c.Can(account.ActFaultsTake, account.Subject{Camera: f.Camera, Person: tech})
	return r
}

// FaultNotes reads the notes of these faults from the log, by fault, in order.
func (o *Words) FaultNotes(c *frame.Call, list []health.Fault) (map[string][]string, error) {
	out := map[string][]string{}
	q := ledgerdb.Query{Kinds: []ledger.Kind{"fault.acknowledged"}, Limit: 500}
	for _, f := range list {
		if len(f.Acks) == 0 {
			continue
		}
		if !slices.Contains(q.About, f.Camera) {
			q.About = append(q.About, f.Camera)
		}
		if q.From.IsZero() || f.Opened.Before(q.From) {
			q.From = f.Opened
		}
	}
	if len(q.About) == 0 {
		return out, nil
	}
	page, err := o.d.Ledger.Search(c.R.Context(), q)
	if err != nil {
		return nil, fmt.Errorf("read the notes of faults: %w", err)
	}
	for _, e := range slices.Backward(page.Entries) { // they come newest first
		var d struct{ Fault string }
		if !frame.Decode(e.Data, &d) || !slices.ContainsFunc(list, func(f health.Fault) bool { return f.ID == d.Fault }) {
			continue
		}
		parts, err := o.d.Ledger.Parts(e.Seq)
		if err != nil {
			return nil, fmt.Errorf("read the note of entry %d: %w", e.Seq, err)
		}
		note := ""
		for _, p := range parts {
			if p.Name == "note" && !p.Erased {
				note = string(p.Plain)
			}
		}
		out[d.Fault] = append(out[d.Fault], note)
	}
	return out, nil
}
