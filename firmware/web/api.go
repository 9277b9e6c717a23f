package web

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"campuskeep/firmware/openapi"
	"campuskeep/firmware/site"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/usage"
)

// health says whether the program is well; why, and what the clock is, it tells those who may see the figures.
func (o *Server) health(c *call) error {
	status, out := http.StatusOK, map[string]string{"status": "ok"}
	var err error
	if o.d.Alive != nil {
		err = o.d.Alive()
	}
	if err != nil {
		status, out["status"] = http.StatusServiceUnavailable, "failing"
	}
	if c.monitors() {
		out["clock"] = c.now.State.String()
		if err != nil {
			out["why"] = err.Error()
		}
	}
	return c.json(status, out)
}

// monitors says whether the asker may see figures of the running program: this machine, or a collector with the token.
func (c *call) monitors() bool {
	if c.address.IsLoopback() {
		return true
	}
	token, ok := strings.CutPrefix(c.r.Header.Get("Authorization"), "Bearer ")
	want := c.o.d.MetricsToken
	return ok && want != "" && subtle.ConstantTimeCompare([]byte(token), []byte(want)) == 1
}

// metrics answers with the figures.
func (o *Server) metrics(c *call) error {
	if o.d.Metrics == nil || !c.monitors() {
		return errNotFound
	}
	o.d.Metrics.ServeHTTP(c.w, c.r)
	return nil
}

type apiStatus struct {
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

func (o *Server) apiStatus(c *call) error {
	k, s := o.d.Status.Retention(), o.d.Status.Sync()
	seen, at := o.d.Ledger.Witnessed()
	return c.json(http.StatusOK, apiStatus{Appliance: o.d.Info.Appliance, Version: o.d.Info.Version, Now: c.now.Wall.UTC(), Clock: c.now.State.String(),
		Uncertainty: c.now.Uncertainty, Entries: o.d.Ledger.Size(), Witnessed: seen, WitnessedAt: at, Acked: s.Acked, Connected: s.Connected,
		NextDue: k.NextDue, Suspended: k.Suspended, Condemned: k.Condemned, Free: k.Free, Total: k.Total, Days: k.Days})
}

type apiCamera struct {
	footage.Camera
	State string        `json:"state"`
	Since time.Time     `json:"state_since,omitzero"`
	Cause footage.Cause `json:"cause,omitempty"`
}

func (o *Server) apiCameras(c *call) error {
	states := o.d.Status.Cameras()
	out := []apiCamera{}
	for _, cam := range o.d.Site.Cameras() {
		s := states[cam.ID]
		out = append(out, apiCamera{cam, s.State, s.Since, s.Cause})
	}
	return c.json(http.StatusOK, out)
}

func (o *Server) apiCamera(c *call) error {
	cam, ok := o.d.Site.Camera(c.r.PathValue("id"))
	if !ok {
		return errNotFound
	}
	s := o.d.Status.Cameras()[cam.ID]
	return c.json(http.StatusOK, apiCamera{cam, s.State, s.Since, s.Cause})
}

type apiRow struct {
	Camera   string         `json:"camera"`
	Recorded []footage.Span `json:"recorded"`
	Gaps     []footage.Gap  `json:"gaps"`
}

type apiRibbon struct {
	Limit time.Time      `json:"deletion_line"`
	Now   time.Time      `json:"now"`
	Rows  []apiRow       `json:"cameras"`
	Holds []footage.Hold `json:"holds"`
}

func (o *Server) apiRibbon(c *call) error {
	rib, err := o.ribbon(c, "", time.Time{})
	if err != nil {
		return err
	}
	out := apiRibbon{Limit: rib.Limit.UTC(), Now: rib.Now.UTC(), Rows: []apiRow{}, Holds: c.holds()}
	span := footage.Span{From: rib.Now.Add(-ribDays * 24 * time.Hour), To: rib.Now}
	for _, row := range rib.Rows {
		runs, err := o.coverage.runs(c.r.Context(), row.Camera.ID, span, c.now.Wall, c.now.Mono)
		if err != nil {
			return err
		}
		r := apiRow{Camera: row.Camera.ID, Recorded: c.withoutHold(row.Camera, runs), Gaps: []footage.Gap{}}
		for _, g := range rib.Gaps {
			if g.Camera == row.Camera.ID {
				r.Gaps = append(r.Gaps, footage.Gap{Camera: g.Camera, Span: g.Span, Cause: g.Cause})
			}
		}
		out.Rows = append(out.Rows, r)
	}
	return c.json(http.StatusOK, out)
}

func (o *Server) apiApplications(c *call) error {
	out := o.d.Usage.List()
	if out == nil {
		out = []usage.Application{}
	}
	return c.json(http.StatusOK, out)
}

func (o *Server) apiApplication(c *call) error {
	a, err := o.d.Usage.Get(c.r.PathValue("id"))
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, a)
}

type apiHold struct {
	footage.Hold
	Applicant string    `json:"applicant"`
	Bytes     uint64    `json:"bytes"`
	Proposed  string    `json:"proposed_by,omitempty"` // who proposed to end it early
	At        time.Time `json:"proposed_at,omitzero"`
}

func (o *Server) apiHolds(c *call) error {
	list, _, err := o.d.Usage.KeptHolds(c.r.Context())
	if err != nil {
		return fmt.Errorf("list holds: %w", err)
	}
	out := []apiHold{}
	for _, h := range list {
		a := apiHold{Hold: h.Hold, Applicant: h.Applicant, Bytes: h.Bytes}
		if h.Proposal != nil {
			a.Proposed, a.At = h.Proposal.By, h.Proposal.At.UTC()
		}
		out = append(out, a)
	}
	return c.json(http.StatusOK, out)
}

type apiDay struct {
	Camera   string    `json:"camera"`
	Day      string    `json:"day"`
	Erased   time.Time `json:"erased"` // the key; for an NVR: when it was first found gone
	Entry    uint64    `json:"entry"`
	Attested bool      `json:"attested"` // an NVR's word
}

type apiDays struct {
	Days []apiDay `json:"days"`
	Next uint64   `json:"next,omitempty"` // "before" of the next page
}

func (o *Server) apiDays(c *call) error {
	q, err := c.dayFilter(c.r.URL.Query())
	if err != nil {
		return err
	}
	list, next, err := o.d.Certificates.DeletedDays(c.r.Context(), q)
	if err != nil {
		return fmt.Errorf("list deleted days: %w", err)
	}
	out := apiDays{Days: []apiDay{}, Next: next}
	for _, d := range list {
		out.Days = append(out.Days, apiDay{d.Camera, d.Day, d.Erased.UTC(), d.Seq, d.Attested})
	}
	return c.json(http.StatusOK, out)
}

// apiPerson is what the list of people shows of an account.
type apiPerson struct {
	ID       string         `json:"id"`
	Login    string         `json:"login"`
	Name     string         `json:"name"`
	StaffNo  string         `json:"staff_no"`
	Unit     string         `json:"unit"`
	Title    string         `json:"title,omitempty"`
	Roles    []account.Role `json:"roles"`
	Disabled bool           `json:"disabled"`
	Factor   bool           `json:"second_factor"`
}

func (o *Server) apiPeople(c *call) error {
	list := o.d.People.People()
	if q := strings.TrimSpace(c.r.URL.Query().Get("q")); q != "" {
		list = o.d.People.FindPeople(q, 200)
	}
	out := []apiPerson{}
	for _, p := range list {
		out = append(out, apiPerson{p.ID, p.Login, p.Name, p.StaffNo, p.Unit, p.Title, p.Roles, p.Disabled, o.d.People.HasFactor(p.ID)})
	}
	return c.json(http.StatusOK, out)
}

func (o *Server) apiSettings(c *call) error { return c.json(http.StatusOK, o.d.Site.Settings()) }

type apiLog struct {
	Entries []ledger.Entry `json:"entries"`
	Next    uint64         `json:"next,omitempty"` // "before" of the next page
}

// apiLog is the search of the access log; it is entered like that of the page.
func (o *Server) apiLog(c *call) error {
	f := c.r.URL.Query()
	q, err := c.logQuery(f)
	if err != nil {
		return err
	}
	page, err := o.d.Ledger.Search(c.r.Context(), q)
	if err != nil {
		return fmt.Errorf("search the log: %w", err)
	}
	if err := o.logSearched(c, f, len(page.Entries)); err != nil {
		return err
	}
	if page.Entries == nil {
		page.Entries = []ledger.Entry{}
	}
	return c.json(http.StatusOK, apiLog{page.Entries, page.Next})
}

type apiEntry struct {
	Entry     ledger.Entry `json:"entry"`
	Leaf      string       `json:"leaf"` // the bytes that are hashed, base64
	LeafHash  string       `json:"leaf_hash"`
	Witnessed bool         `json:"witnessed"`
}

func (o *Server) apiEntry(c *call) error {
	n, err := c.seq()
	if err != nil {
		return err
	}
	e, err := o.d.Ledger.Entry(n)
	if err != nil {
		return fmt.Errorf("read entry %d: %w", n, err)
	}
	p, err := o.d.Ledger.Proof(n)
	if err != nil {
		return fmt.Errorf("make the proof of entry %d: %w", n, err)
	}
	seen, _ := o.d.Ledger.Witnessed()
	return c.json(http.StatusOK, apiEntry{e, base64.StdEncoding.EncodeToString(p.Leaf), leafHash(p.Leaf), n < seen})
}

type apiClass struct {
	Class    string `json:"class"`
	Expected int    `json:"expected"`
	Attended int    `json:"attended"`
	Missing  int    `json:"missing"`
	Leave    int    `json:"leave"`
	Late     int    `json:"late"`
}

type apiAttendance struct {
	Date     string     `json:"date"`
	School   bool       `json:"school_day"`
	Expected int        `json:"expected"`
	Attended int        `json:"attended"`
	Missing  int        `json:"missing"`
	Classes  []apiClass `json:"classes"`
}

func (o *Server) apiGate(c *call) error {
	v, err := o.board(c)
	if err != nil {
		return err
	}
	out := apiAttendance{c.today(), v.School, v.Total.Expected, v.Total.Attended, v.Total.Missing, []apiClass{}}
	for _, g := range v.Grades {
		for _, r := range g.Classes {
			out.Classes = append(out.Classes, apiClass{r.ID, r.Tally.Expected, r.Tally.Attended, r.Missing, r.Leave, r.Late})
		}
	}
	return c.json(http.StatusOK, out)
}

func (o *Server) openapi(c *call) error {
	c.w.Header().Set("Content-Type", "application/json; charset=utf-8")
	c.send(http.StatusOK, o.api)
	return nil
}

// endpoint says what an address of the interface answers, and what it reads.
type endpoint struct {
	summary string
	answer  any // zero value of the type
	form    any
	query   []openapi.Parameter
}

// endpoints describe every route under /api/; describe refuses a route without one.
var endpoints = map[string]endpoint{
	"GET /api/v1/openapi.json": {summary: "This document", answer: map[string]json.RawMessage{}},
	"GET /api/v1/status":       {summary: "State of the clock, the log, synchronisation, storage and deletion", answer: apiStatus{}},
	"GET /api/v1/cameras":      {summary: "The register of cameras with the state of each", answer: []apiCamera{}},
	"GET /api/v1/cameras/{id}": {summary: "One camera with its state", answer: apiCamera{}},
	"POST /api/v1/live": {summary: "Open a live viewing of a camera for an officer on shift", answer: apiViewing{}, form: struct {
		Camera  string `json:"camera"`
		Purpose string `json:"purpose,omitempty"`
	}{}},
	"GET /api/v1/faults":            {summary: "Faults of cameras", answer: []apiFault{}, query: []openapi.Parameter{{Name: "state", Text: "closed: those that closed in the last year; otherwise the open ones"}}},
	"GET /api/v1/ribbon":            {summary: "Where footage is, where not and why, and what is held", answer: apiRibbon{}},
	"GET /api/v1/applications":      {summary: "The register of footage use", answer: []usage.Application{}},
	"GET /api/v1/applications/{id}": {summary: "One application", answer: usage.Application{}},
	"GET /api/v1/holds":             {summary: "Holds in force, and what they cost", answer: []apiHold{}},
	"GET /api/v1/keeping/days": {summary: "Deleted camera-days, newest first", answer: apiDays{}, query: []openapi.Parameter{
		{Name: "camera", Text: "id of a camera"}, {Name: "month", Text: "2006-01"}, {Name: "before", Text: "next of the page before"}}},
	"GET /api/v1/log": {summary: "Search of the access log, newest first", answer: apiLog{}, query: []openapi.Parameter{
		{Name: "q", Text: "number of an entry, or words"}, {Name: "camera", Text: "id of a camera"}, {Name: "from", Text: "2006-01-02"}, {Name: "to", Text: "2006-01-02"},
		{Name: "group", Text: "group of kinds"}, {Name: "before", Text: "next of the page before"}}},
	"GET /api/v1/log/{seq}": {summary: "One entry with the bytes that are hashed", answer: apiEntry{}},
	"GET /api/v1/gate":      {summary: "Attendance of today by class", answer: apiAttendance{}},
	"GET /api/v1/people":    {summary: "Accounts with their duties", answer: []apiPerson{}, query: []openapi.Parameter{{Name: "q", Text: "part of a name, log-in name or number"}}},
	"GET /api/v1/settings":  {summary: "Settings of the school", answer: site.Settings{}},
}

// describe writes the OpenAPI document from the routes and the types that they answer with, so that they cannot disagree.
func describe(routes []route) ([]byte, error) {
	var list []openapi.Operation
	for _, r := range routes {
		method, path, _ := strings.Cut(r.pattern, " ")
		if !strings.HasPrefix(path, "/api/") {
			continue
		}
		e, ok := endpoints[r.pattern]
		if !ok {
			return nil, fmt.Errorf("route %q is not described for the OpenAPI document", r.pattern)
		}
		list = append(list, openapi.Operation{Method: method, Path: path, Summary: e.summary, Permission: string(r.action), Public: r.action == account.ActPublic,
			Query: e.query, Form: e.form, Answer: e.answer})
	}
	return openapi.Document(openapi.Info{Title: "Campuskeep appliance", Version: "1", Cookie: cookieName, Fault: apiRefusal{}}, list)
}
