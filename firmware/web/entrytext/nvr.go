package entrytext

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/web/frame"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// NvrChange names a change of the register of NVRs.
func (o *Words) NvrChange(c *frame.Call, e ledger.Entry) string {
	var d struct{ What string }
	frame.Decode(e.Data, &d)
	return c.P.K("nvr.change.", d.What)
}

// nvrStated is what an entry holds of an NVR's row.
type nvrStated struct {
	Name, Place, Address, RTSP, Pin, Installer, Technician, Installed string
	Cameras                                                           map[int]string
}

// NvrFields puts before beside after for what differs.
func (o *Words) NvrFields(c *frame.Call, parts []ledger.OpenPart) (out []frame.ChangedField) {
	var before, after nvrStated
	known := false
	for _, p := range parts {
		switch {
		case p.Erased:
		case p.Name == "before":
			known = frame.Decode(json.RawMessage(p.Plain), &before)
		case p.Name == "after":
			frame.Decode(json.RawMessage(p.Plain), &after)
		case p.Name == "reason":
			out = append(out, frame.ChangedField{Name: c.P.T("nvr_edit.f.reason"), Before: "", After: string(p.Plain)})
		}
	}
	if !known {
		return out
	}
	for _, f := range []struct{ name, a, b string }{
		{"name", before.Name, after.Name}, {"place", before.Place, after.Place}, {"address", before.Address, after.Address}, {"rtsp", before.RTSP, after.RTSP},
		{"pin", before.Pin, after.Pin}, {"installer", before.Installer, after.Installer}, {"technician", o.Name(before.Technician), o.Name(after.Technician)},
		{"installed", before.Installed, after.Installed},
	} {
		if f.a != f.b {
			out = append(out, frame.ChangedField{Name: c.P.T("nvr_edit.f." + f.name), Before: cmp.Or(f.a, "–"), After: cmp.Or(f.b, "–")})
		}
	}
	on := func(m map[int]string, camera string) string {
		for n, id := range m {
			if id == camera {
				return c.P.T("nvr_new.channel", n)
			}
		}
		return c.P.T("nvr_wire.none")
	}
	cameras := slices.Sorted(maps.Values(after.Cameras))
	for _, id := range slices.Sorted(maps.Values(before.Cameras)) {
		if !slices.Contains(cameras, id) {
			cameras = append(cameras, id)
		}
	}
	for _, id := range cameras {
		if a, b := on(before.Cameras, id), on(after.Cameras, id); a != b {
			out = append(out, frame.ChangedField{Name: o.CameraName(id), Before: a, After: b})
		}
	}
	return out
}

// NvrName is what people call an NVR.
func (o *Words) NvrName(id string) string {
	if d, ok := o.d.NVRs.Device(id); ok {
		return d.Name
	}
	return id
}

// nvrWords says an entry of the NVRs in words, over what represents entries of all kinds.
func (o *Words) nvrWords(c *frame.Call, r *LogRow, e ledger.Entry) {
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
	frame.Decode(e.Data, &d)
	bad := func(text string) { r.Tone, r.Icon, r.Edge, r.Result = "bad", "bad", "bad", text }
	warn := func(text string) { r.Tone, r.Icon, r.Edge, r.Result = "warn", "warn", "warn", text }
	offset := func() string { return frame.Signed(c.P, time.Duration(d.Offset)*time.Millisecond) }
	nvr := d.NVR
	if nvr == "" && e.Subject != d.Camera {
		nvr = e.Subject
	}
	switch {
	case d.Camera != "":
		r.Object = o.CameraName(d.Camera)
	case d.NVR != "" && e.Subject != d.NVR:
		r.Object = o.CameraName(e.Subject)
	default:
		r.Object = o.NvrName(nvr)
	}
	r.Ground = ""
	switch e.Kind {
	case "nvr.checked":
		r.Detail = c.P.T("nvr.log.whole")
		if d.Missing > 0 {
			r.Detail = c.P.T("ribbon.missing", c.P.Words(time.Duration(d.Missing)*time.Second))
		}
		switch {
		case d.Floor:
			bad(c.P.T("nvr.breach.floor"))
		case d.Ceiling:
			bad(c.P.T("nvr.breach.ceiling"))
		case !d.Judged:
			warn(c.P.T("nvr.unjudged"))
		}
	case "nvr.breach":
		r.What = c.P.T("nvr.log.breach", c.P.K("nvr.breach.", d.Kind))
		r.Detail = c.P.Span(d.From, d.To)
		bad(c.P.T("nvr.days", d.Days))
	case "nvr.expiry":
		r.Detail = c.P.T("nvr.days", d.Days)
		r.Result = c.P.K("nvr.expiry.", d.Result)
		if d.Result == "ignored" {
			bad(r.Result)
		}
	case "nvr.access":
		r.What = c.P.T("nvr.log.access", c.P.T("nvr.act.times", c.P.K("nvr.act.", d.Act), d.Count))
		r.Detail = c.P.DayTime(d.First)
		if d.Last.Sub(d.First) >= time.Minute {
			r.Detail = c.P.Span(d.First, d.Last)
		}
		if d.Camera != "" {
			r.Detail = o.NvrName(e.Subject) + " · " + r.Detail
		}
		warn(c.P.T("nvr.log.past"))
	case "nvr.fault":
		r.What = c.P.T("nvr.log.fault", c.P.K("nvr.fault.", d.Code))
		r.Detail = ""
		if d.Offset != 0 {
			r.Detail = offset()
		} else if d.Count > 0 {
			r.Detail = c.P.T("log.count", int64(d.Count))
		}
		bad(c.P.T("log.fault"))
	case "nvr.calibrated":
		r.Detail = c.P.T("nvr.log.means", c.P.K("nvr.means.", d.Search), c.P.K("nvr.means.", d.Playback))
		if d.Offset != 0 {
			r.Detail += " · " + offset()
		}
	case "nvr.fetch", "nvr.fetched":
		r.Detail = ""
		if d.From.Before(d.To) {
			r.Detail = c.P.Span(d.From, d.To)
		} else if n := len(d.Spans); n > 0 {
			r.Detail = c.P.Span(d.Spans[0].From, d.Spans[n-1].To) + " · " + c.P.Bytes(d.Bytes)
		}
		if no := frame.AppNumber(d.Ground); no != d.Ground {
			r.Ground = no
		} else if d.Ground != "" {
			r.Ground = c.P.K("ground.", "duty")
		}
		if e.Kind == "nvr.fetched" {
			r.Result = c.P.K("fetch.", d.Result)
			if d.Reason != "" {
				r.Result += c.P.T("sep.colon") + c.P.K("fetch.reason.", d.Reason)
			}
			switch d.Result {
			case "failed":
				bad(r.Result)
			case "partial":
				warn(r.Result)
			}
		}
	case "nvr.signed":
		r.Detail = c.P.T("nvr.log.lines", d.Lines, d.Open)
	}
}

// isNVR says whether an entry is of the NVRs.
func isNVR(k ledger.Kind) bool { return strings.HasPrefix(string(k), "nvr.") }
