package retention

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"time"

	"campuskeep/shared/footage"
	"campuskeep/shared/packet"
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

type apiLoad struct {
	Camera    string `json:"camera"`
	PerDay    int64  `json:"bytes_per_day"`
	Days      int    `json:"days"`
	Estimated bool   `json:"estimated"`
	SubStream bool   `json:"sub_stream"`
}

type apiKeptCamera struct {
	Camera    string          `json:"camera"`
	Custody   footage.Custody `json:"custody"`
	Days      int             `json:"days"`
	Retired   bool            `json:"retired"`
	Oldest    time.Time       `json:"oldest,omitzero"`    // of what no hold alone keeps
	NextDue   time.Time       `json:"next_due,omitzero"`  // of what is in our custody
	Watermark time.Time       `json:"watermark,omitzero"` // everything before it is deleted
	Stopped   bool            `json:"stopped"`            // does not record: the disk is full
	Thinned   bool            `json:"sub_stream"`         // records its sub-stream to save room
	Early     bool            `json:"deleted_early"`
	Late      bool            `json:"kept_too_long"`
}

// APIRetention is the arithmetic of the disk and the state of deletion, as JSON. Sizes are bytes.
type APIRetention struct {
	Swept        time.Time       `json:"swept,omitzero"`
	NextDue      time.Time       `json:"next_deletion,omitzero"`
	Suspended    string          `json:"deletion_suspended,omitempty"`
	Condemned    int             `json:"condemned"`
	KeysUnerased int             `json:"keys_unerased"`
	Skipped      []string        `json:"skipped_cameras"`
	Total        uint64          `json:"total"`
	Free         uint64          `json:"free"`
	Reserve      int64           `json:"reserve"`
	Other        int64           `json:"other"`
	Capacity     int64           `json:"capacity"`
	Used         int64           `json:"used"`
	Held         int64           `json:"held"`
	PerDay       int64           `json:"bytes_per_day"`
	Need         int64           `json:"need"`
	Fits         bool            `json:"fits"`
	FullAt       float64         `json:"full_at_day,omitzero"`
	WhenFull     string          `json:"when_full,omitempty"`
	Assurance    string          `json:"assurance"`
	RootPlace    string          `json:"root_key_in"`
	Rotated      time.Time       `json:"root_key_rotated,omitzero"`
	Holds        int             `json:"holds"`
	Loads        []apiLoad       `json:"loads"`
	Cameras      []apiKeptCamera `json:"cameras"`
}

func (o *Pages) apiRetention(c *call) error {
	k := o.d.Status.Retention()
	out := APIRetention{Swept: k.Swept, NextDue: k.NextDue, Suspended: k.Suspended, Condemned: k.Condemned, KeysUnerased: k.KeysUnerased, Skipped: append([]string{}, k.Skipped...),
		Total: k.Total, Free: k.Free, Reserve: k.Reserve, Other: k.Other, Capacity: k.Capacity, Used: k.Used, Held: k.Held, PerDay: k.Forecast.PerDay, Need: k.Forecast.Need,
		Fits: k.Forecast.Fits, FullAt: k.Forecast.FullAt, WhenFull: k.WhenFull, Assurance: assuranceOf(k), RootPlace: rootPlace(k), Rotated: k.Rotated,
		Holds: len(o.d.Usage.Holds()), Loads: []apiLoad{}, Cameras: []apiKeptCamera{}}
	for _, l := range k.Loads {
		out.Loads = append(out.Loads, apiLoad{l.Camera, l.BytesPerDay, l.Days, l.Estimated, l.Thin})
	}
	early, late := c.WrongRetention(footage.FaultFloor), c.WrongRetention(footage.FaultCeiling)
	for _, cam := range o.d.Site.Cameras() {
		oldest, err := o.oldest(c, cam)
		if err != nil {
			return err
		}
		a := apiKeptCamera{Camera: cam.ID, Custody: cam.Custody, Days: cam.Policy.Days, Retired: cam.Retired, Oldest: oldest, Watermark: k.Watermark[cam.ID],
			Stopped: slices.Contains(k.Stopped, cam.ID), Thinned: slices.Contains(k.Thinned, cam.ID), Early: early[cam.ID], Late: late[cam.ID]}
		if !oldest.IsZero() && cam.Custody != footage.CustodyNVR {
			a.NextDue = oldest.Add(time.Minute + cam.Policy.Keep())
		}
		out.Cameras = append(out.Cameras, a)
	}
	return c.JSON(http.StatusOK, out)
}

// apiHeld is a hold as certificates and reports name it.
type apiHeld struct {
	ID          string       `json:"id"`
	Application string       `json:"application"`
	Span        footage.Span `json:"span"`
	Reason      string       `json:"reason"`
	Since       time.Time    `json:"since"`
	Until       time.Time    `json:"until"`
	Ended       time.Time    `json:"ended,omitzero"`
}

// held are the holds that this person may see; hidden says that there are others.
func (c *call) held(list []footage.Kept) (out []apiHeld, hidden bool) {
	out = []apiHeld{}
	for _, h := range list {
		if !c.SeesHold(h.Application) {
			hidden = true
			continue
		}
		out = append(out, apiHeld{h.ID, h.Application, h.Span, h.Reason, h.Since, h.Until, h.Ended})
	}
	return out, hidden
}

type apiCause struct {
	Cause footage.Cause `json:"cause"`
	Time  time.Duration `json:"time_ns"`
	Gaps  int           `json:"gaps"`
}

// apiTiming is a deletion that was early or late.
type apiTiming struct {
	Entry       uint64              `json:"entry"`
	At          time.Time           `json:"at"`
	Hour        time.Time           `json:"hour"`
	Segments    int                 `json:"segments"`
	Due         time.Time           `json:"due"`
	Early       time.Duration       `json:"early_ns,omitzero"`
	Late        time.Duration       `json:"late_ns,omitzero"`
	Causes      []footage.LateCause `json:"causes,omitempty"`
	Unexplained bool                `json:"unexplained"`
}

func timings(list []footage.Timing) []apiTiming {
	out := []apiTiming{}
	for _, t := range list {
		out = append(out, apiTiming{t.Seq, t.At, t.Hour, t.Count, t.Due, t.Early, t.Late, t.Causes, t.Faulty()})
	}
	return out
}

type apiMonth struct {
	Camera      string        `json:"camera"`
	Ought       time.Duration `json:"in_service_ns"`
	Have        time.Duration `json:"recorded_ns"`
	Missing     time.Duration `json:"missing_ns"`
	Unexplained time.Duration `json:"unexplained_ns"`
	Causes      []apiCause    `json:"causes"`
	Gaps        []footage.Gap `json:"gaps"`
	Segments    int           `json:"segments"`
	Gone        int           `json:"deleted"`
	Here        int           `json:"still_there"`
	Lost        int           `json:"lost"`
	Damaged     int           `json:"damaged"`
	Removals    int           `json:"deleted_in_month"`
	Freed       int64         `json:"bytes_freed"`
	OnTime      int           `json:"on_time"`
	Early       []apiTiming   `json:"early"`
	Late        []apiTiming   `json:"late"`
	Overdue     int           `json:"overdue"`
	Unattested  int           `json:"days_unattested"`        // kept by an NVR
	TooLong     int           `json:"attested_too_long"`      // kept by an NVR
	TooShort    int           `json:"attested_deleted_early"` // kept by an NVR
	Faults      int           `json:"faults"`
	Holds       []apiHeld     `json:"holds"`
	Hidden      bool          `json:"holds_hidden"`
}

// APIReport is the retention report of a month, sixteen cameras to a part, as JSON.
type APIReport struct {
	Month   string     `json:"month"`
	Running bool       `json:"running"` // the month is not over
	Cameras []apiMonth `json:"cameras"`
	More    bool       `json:"more"` // there is a next part
}

func (o *Pages) apiReport(c *call) error {
	f := c.R.URL.Query()
	label, span, err := c.reportMonth(f)
	if err != nil {
		return err
	}
	if err := c.knownCamera(f.Get("camera")); err != nil {
		return err
	}
	list, err := o.reported(c, f.Get("camera"), label)
	if err != nil {
		return err
	}
	var v reportView
	list = c.reportPart(&v, f, list)
	out := APIReport{Month: label, Running: c.Now.Wall.Before(span.To), Cameras: []apiMonth{}, More: v.Pager.Older != ""}
	reports, err := o.months(c, list, label)
	if err != nil {
		return err
	}
	for _, m := range reports {
		out.Cameras = append(out.Cameras, c.describeMonth(m))
	}
	return c.JSON(http.StatusOK, out)
}

func (c *call) describeMonth(r footage.MonthReport) apiMonth {
	a := apiMonth{Camera: r.Camera.ID, Ought: r.Ought, Have: r.Have, Missing: r.Missing, Unexplained: r.Unexplained(), Causes: []apiCause{}, Gaps: []footage.Gap{},
		Segments: r.Segments, Gone: r.Gone, Here: r.Here, Lost: r.Lost, Damaged: r.Damaged, Removals: r.Removals, Freed: r.Freed, OnTime: r.OnTime, Early: timings(r.Early), Late: timings(r.Late),
		Overdue: r.Overdue, Unattested: r.Dark, TooLong: r.Over, TooShort: r.Short, Faults: r.Faults()}
	for _, x := range r.Causes {
		a.Causes = append(a.Causes, apiCause(x))
	}
	for _, p := range r.Pieces {
		if !p.Recorded {
			a.Gaps = append(a.Gaps, footage.Gap{Camera: a.Camera, Span: p.Span, Cause: p.Cause})
		}
	}
	a.Holds, a.Hidden = c.held(r.Holds)
	return a
}

type apiBinding struct {
	Entry    uint64    `json:"entry"`
	At       time.Time `json:"at"`
	Segments int       `json:"segments"`
	Root     string    `json:"root"` // of the segments' hashes, hex
}

type apiHour struct {
	Hour     time.Time    `json:"hour"`
	Recorded []apiBinding `json:"recorded"`
	Deleted  []apiBinding `json:"deleted"`
}

// APICertificate is the deletion of one camera-day as its entries tell it, as JSON.
type APICertificate struct {
	Camera      string              `json:"camera"`
	Day         string              `json:"day"`
	Name        string              `json:"name"`
	Place       string              `json:"place"`
	Outcome     string              `json:"outcome"`
	Clean       bool                `json:"clean"`
	Issued      *uint64             `json:"issued,omitempty"` // entry of the issue; absent: not issued
	Span        footage.Span        `json:"span"`             // first to last frame
	Recorded    int                 `json:"recorded"`         // segments
	Deleted     int                 `json:"deleted"`
	Remaining   int                 `json:"remaining"`
	Bytes       int64               `json:"bytes"`
	Policy      int                 `json:"days"`
	Due         time.Time           `json:"due,omitzero"`
	Unlinked    time.Time           `json:"unlinked,omitzero"`
	Erased      time.Time           `json:"key_erased,omitzero"`
	KeyLate     bool                `json:"key_late"`
	Assurance   string              `json:"assurance"`
	Turned      time.Time           `json:"root_key_turned,omitzero"`
	Late        time.Duration       `json:"late_ns"`
	Causes      []footage.LateCause `json:"causes,omitempty"`
	Unexplained time.Duration       `json:"unexplained_ns"`
	Early       time.Duration       `json:"early_ns"`
	Unexcused   bool                `json:"early_unexplained"`
	Gaps        []footage.Gap       `json:"gaps"`
	Missing     time.Duration       `json:"missing_ns"`
	Damaged     int                 `json:"damaged"`
	Holds       []apiHeld           `json:"holds"`
	Hidden      bool                `json:"holds_hidden"` // then the hours are left out
	Hours       []apiHour           `json:"hours"`
	LastListed  time.Time           `json:"last_listed,omitzero"` // by the NVR that kept it
	NotListed   time.Time           `json:"first_not_listed,omitzero"`
}

func (o *Pages) apiCertificate(c *call) error {
	camera, day := cameraDay(c)
	decl, d, err := o.d.Certificates.Day(c.R.Context(), camera, day)
	if err != nil {
		return printFault(err)
	}
	out := APICertificate{Camera: d.Camera, Day: d.Day, Name: decl.Name, Place: decl.Place, Outcome: d.Outcome, Clean: d.Clean(), Span: d.Span, Recorded: d.Recorded, Deleted: d.Deleted,
		Remaining: d.Remaining(), Bytes: d.Bytes, Policy: d.Policy, Due: d.Due, Unlinked: d.Unlinked, Erased: d.Erased, KeyLate: d.KeyLate(), Assurance: d.Assurance, Turned: d.Turned.At,
		Late: d.Late, Causes: d.Causes, Unexplained: d.Unexplained, Early: d.Early, Unexcused: d.Unexcused, Gaps: append([]footage.Gap{}, d.Gaps...), Missing: d.Missing, Damaged: d.Damaged,
		Hours: []apiHour{}, LastListed: d.LastListed.At, NotListed: d.NotListed.At}
	out.Holds, out.Hidden = c.held(d.Holds)
	for _, h := range d.Hours {
		if !out.Hidden { // hour by hour they tell what is held
			out.Hours = append(out.Hours, describeHour(h))
		}
	}
	if issuable(d) {
		seq, ok, err := o.d.Certificates.Issued(c.R.Context(), camera, day)
		if err != nil {
			return printFault(err)
		}
		if ok {
			out.Issued = &seq
		}
	}
	return c.JSON(http.StatusOK, out)
}

func describeHour(h packet.DayHour) apiHour {
	out := apiHour{Hour: h.Hour, Recorded: []apiBinding{}, Deleted: []apiBinding{}}
	for _, b := range h.Recorded {
		out.Recorded = append(out.Recorded, apiBinding{b.Seq, b.At, b.Count, hex.EncodeToString(b.Root[:])})
	}
	for _, t := range h.Deleted {
		out.Deleted = append(out.Deleted, apiBinding{t.Seq, t.At, t.Count, hex.EncodeToString(t.Root[:])})
	}
	return out
}
