package web

import (
	"fmt"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// nvrName is what people call an NVR.
func (o *Server) nvrName(id string) string {
	if o.d.NVRs != nil {
		if name, ok := o.d.NVRs.NVRName(id); ok {
			return name
		}
	}
	return id
}

// nvrWords says an entry of the NVRs in words, over what represents entries of all kinds.
func (c *call) nvrWords(r *logRow, e ledger.Entry) {
	var d struct {
		NVR, Camera, Act, Kind, Result, Code, Ground, Reason string
		From, To, First, Last                                time.Time
		Count, Days, Before, Lines, Open, Channel            int
		Gaps, Locked                                         int
		Missing                                              int64 `json:"missing_s"`
		Offset                                               int64 `json:"offset_ms"`
		Floor, Ceiling, Judged                               bool
		Search, Playback                                     string
		Bytes                                                int64
		Spans                                                []footage.Span
	}
	decode(e.Data, &d)
	bad := func(text string) { r.Tone, r.Icon, r.Edge, r.Result = "bad", "bad", "bad", text }
	warn := func(text string) { r.Tone, r.Icon, r.Edge, r.Result = "warn", "warn", "warn", text }
	offset := func() string { return signed(c.p, time.Duration(d.Offset)*time.Millisecond) }
	nvr := d.NVR
	if nvr == "" && e.Subject != d.Camera {
		nvr = e.Subject
	}
	switch {
	case d.Camera != "":
		r.Object = c.o.cameraName(d.Camera)
	case d.NVR != "" && e.Subject != d.NVR:
		r.Object = c.o.cameraName(e.Subject)
	default:
		r.Object = c.o.nvrName(nvr)
	}
	r.Ground = ""
	switch e.Kind {
	case "nvr.checked":
		r.Detail = c.p.T("nvr.log.whole")
		if d.Missing > 0 {
			r.Detail = c.p.T("ribbon.missing", c.p.Words(time.Duration(d.Missing)*time.Second))
		}
		switch {
		case d.Floor:
			bad(c.p.T("nvr.breach.floor"))
		case d.Ceiling:
			bad(c.p.T("nvr.breach.ceiling"))
		case !d.Judged:
			warn(c.p.T("nvr.unjudged"))
		}
	case "nvr.breach":
		r.What = c.p.T("nvr.log.breach", c.p.K("nvr.breach.", d.Kind))
		r.Detail = c.p.Span(d.From, d.To)
		bad(c.p.T("nvr.days", d.Days))
	case "nvr.expiry":
		r.Detail = c.p.T("nvr.days", d.Days)
		r.Result = c.p.K("nvr.expiry.", d.Result)
		if d.Result == "ignored" {
			bad(r.Result)
		}
	case "nvr.access":
		r.What = c.p.T("nvr.log.access", c.p.T("nvr.act.times", c.p.K("nvr.act.", d.Act), d.Count))
		r.Detail = c.p.DayTime(d.First)
		if d.Last.Sub(d.First) >= time.Minute {
			r.Detail = c.p.Span(d.First, d.Last)
		}
		if d.Camera != "" {
			r.Detail = c.o.nvrName(e.Subject) + " · " + r.Detail
		}
		warn(c.p.T("nvr.log.past"))
	case "nvr.fault":
		r.What = c.p.T("nvr.log.fault", c.p.K("nvr.fault.", d.Code))
		r.Detail = ""
		if d.Offset != 0 {
			r.Detail = offset()
		} else if d.Count > 0 {
			r.Detail = c.p.T("log.count", int64(d.Count))
		}
		bad(c.p.T("log.fault"))
	case "nvr.calibrated":
		r.Detail = c.p.T("nvr.log.means", c.p.K("nvr.means.", d.Search), c.p.K("nvr.means.", d.Playback))
		if d.Offset != 0 {
			r.Detail += " · " + offset()
		}
	case "nvr.fetch", "nvr.fetched":
		r.Detail = ""
		if d.From.Before(d.To) {
			r.Detail = c.p.Span(d.From, d.To)
		} else if n := len(d.Spans); n > 0 {
			r.Detail = c.p.Span(d.Spans[0].From, d.Spans[n-1].To) + " · " + c.p.Bytes(d.Bytes)
		}
		if no := appNumber(d.Ground); no != d.Ground {
			r.Ground = no
		} else if d.Ground != "" {
			r.Ground = c.p.K("ground.", "duty")
		}
		if e.Kind == "nvr.fetched" {
			r.Result = c.p.K("fetch.", d.Result)
			if d.Reason != "" {
				r.Result += c.p.T("sep.colon") + c.p.K("fetch.reason.", d.Reason)
			}
			switch d.Result {
			case "failed":
				bad(r.Result)
			case "partial":
				warn(r.Result)
			}
		}
	case "nvr.signed":
		r.Detail = c.p.T("nvr.log.lines", d.Lines, d.Open)
	}
}

// isNVR says whether an entry is of the NVRs.
func isNVR(k ledger.Kind) bool { return strings.HasPrefix(string(k), "nvr.") }

// nvrLog reads from the log who was at the NVR outside the appliance, and what it broke.
func (o *Server) nvrLog(c *call, v *nvrView) error {
	page, err := o.d.Ledger.Search(c.r.Context(), ledgerdb.Query{About: []string{v.N.ID}, Kinds: []ledger.Kind{"nvr.access"}, Limit: 20})
	if err != nil {
		return fmt.Errorf("search the log for accesses past us: %w", err)
	}
	for _, e := range page.Entries {
		v.Accesses = append(v.Accesses, c.logRow(e))
	}
	var about []string
	for _, x := range v.N.Cameras {
		about = append(about, x.Camera)
	}
	if len(about) == 0 {
		return nil
	}
	page, err = o.d.Ledger.Search(c.r.Context(), ledgerdb.Query{About: about, Kinds: []ledger.Kind{"nvr.breach"}, Limit: 20})
	if err != nil {
		return fmt.Errorf("search the log for breaches: %w", err)
	}
	for _, e := range page.Entries {
		v.Breaches = append(v.Breaches, c.logRow(e))
	}
	return nil
}
