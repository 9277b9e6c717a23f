package office

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/register"
)

// health says whether the program is well; why, and what the clock is, it tells those who may see the figures.
func (o *Office) health(c *call) error {
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
func (o *Office) metrics(c *call) error {
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

func (o *Office) apiStatus(c *call) error {
	k, s := o.d.Status.Keeping(), o.d.Status.Sync()
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

func (o *Office) apiCameras(c *call) error {
	states := o.d.Status.Cameras()
	out := []apiCamera{}
	for _, cam := range o.d.Site.Cameras() {
		s := states[cam.ID]
		out = append(out, apiCamera{cam, s.State, s.Since, s.Cause})
	}
	return c.json(http.StatusOK, out)
}

type apiRow struct {
	Camera   string         `json:"camera"`
	Recorded []footage.Span `json:"recorded"`
	Gaps     []footage.Gap  `json:"gaps"`
}

type apiRibbon struct {
	Line  time.Time      `json:"deletion_line"`
	Now   time.Time      `json:"now"`
	Rows  []apiRow       `json:"cameras"`
	Holds []footage.Hold `json:"holds"`
}

func (o *Office) apiRibbon(c *call) error {
	rib, err := o.ribbon(c, "", time.Time{})
	if err != nil {
		return err
	}
	out := apiRibbon{Line: rib.Line.UTC(), Now: rib.Now.UTC(), Rows: []apiRow{}, Holds: c.holds()}
	span := footage.Span{From: rib.Now.Add(-ribDays * 24 * time.Hour), To: rib.Now}
	for _, row := range rib.Rows {
		runs, err := o.coverage.runs(c.r.Context(), row.Camera.ID, span, c.now.Wall, c.now.Mono)
		if err != nil {
			return err
		}
		r := apiRow{Camera: row.Camera.ID, Recorded: c.unheld(row.Camera, runs), Gaps: []footage.Gap{}}
		for _, g := range rib.Gaps {
			if g.Camera == row.Camera.ID {
				r.Gaps = append(r.Gaps, footage.Gap{Camera: g.Camera, Span: g.Span, Cause: g.Cause})
			}
		}
		out.Rows = append(out.Rows, r)
	}
	return c.json(http.StatusOK, out)
}

func (o *Office) apiApplications(c *call) error {
	out := o.d.Register.List()
	if out == nil {
		out = []register.Application{}
	}
	return c.json(http.StatusOK, out)
}

func (o *Office) apiApplication(c *call) error {
	a, err := o.d.Register.Get(c.r.PathValue("id"))
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, a)
}

type apiLog struct {
	Entries []ledger.Entry `json:"entries"`
	Next    uint64         `json:"next,omitempty"` // "before" of the next page
}

// apiLog is the search of the access log; it is entered like that of the page.
func (o *Office) apiLog(c *call) error {
	f := c.r.URL.Query()
	q, err := c.logQuery(f)
	if err != nil {
		return err
	}
	page, err := o.d.Ledger.Search(c.r.Context(), q)
	if err != nil {
		return fmt.Errorf("searching the log: %w", err)
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

func (o *Office) apiEntry(c *call) error {
	n, err := c.seq()
	if err != nil {
		return err
	}
	e, err := o.d.Ledger.Entry(n)
	if err != nil {
		return fmt.Errorf("reading entry %d: %w", n, err)
	}
	p, err := o.d.Ledger.Proof(n)
	if err != nil {
		return fmt.Errorf("making the proof of entry %d: %w", n, err)
	}
	seen, _ := o.d.Ledger.Witnessed()
	return c.json(http.StatusOK, apiEntry{e, base64.StdEncoding.EncodeToString(p.Leaf), leafHash(p.Leaf), n < seen})
}

func (o *Office) apiGate(c *call) error {
	v, err := o.board(c)
	if err != nil {
		return err
	}
	type class struct {
		Class    string `json:"class"`
		Expected int    `json:"expected"`
		Attended int    `json:"attended"`
		Missing  int    `json:"missing"`
		Leave    int    `json:"leave"`
		Late     int    `json:"late"`
	}
	out := struct {
		Date     string  `json:"date"`
		School   bool    `json:"school_day"`
		Expected int     `json:"expected"`
		Attended int     `json:"attended"`
		Missing  int     `json:"missing"`
		Classes  []class `json:"classes"`
	}{c.today(), v.School, v.Total.Expected, v.Total.Attended, v.Total.Missing, []class{}}
	for _, g := range v.Grades {
		for _, r := range g.Classes {
			out.Classes = append(out.Classes, class{r.ID, r.Tally.Expected, r.Tally.Attended, r.Missing, r.Leave, r.Late})
		}
	}
	return c.json(http.StatusOK, out)
}

func (o *Office) openapi(c *call) error {
	c.w.Header().Set("Content-Type", "application/json; charset=utf-8")
	c.send(http.StatusOK, o.api)
	return nil
}

// summaries of the interface's paths; describe refuses a path without one.
var summaries = map[string]string{
	"/api/v1/openapi.json":      "This document",
	"/api/v1/status":            "Clock, log, sync, storage and deletion as they stand",
	"/api/v1/cameras":           "The register of cameras with the state of each",
	"/api/v1/live":              "Open a live viewing of a camera for an officer on shift (camera, purpose)",
	"/api/v1/faults":            "Faults of cameras that are open, or those that closed in the last year (state=closed)",
	"/api/v1/ribbon":            "Where footage lies, where not and why, and what is held",
	"/api/v1/applications":      "The register of footage use",
	"/api/v1/applications/{id}": "One application",
	"/api/v1/log":               "Search of the access log, newest first (q, camera, from, to, group, before)",
	"/api/v1/log/{seq}":         "One entry with the bytes that are hashed",
	"/api/v1/gate":              "Attendance of today by class",
}

// describe writes the OpenAPI document from the routes, so that the two cannot disagree.
func describe(routes []route) ([]byte, error) {
	paths := map[string]any{}
	for _, r := range routes {
		method, path, _ := strings.Cut(r.pattern, " ")
		if !strings.HasPrefix(path, "/api/") {
			continue
		}
		text, ok := summaries[path]
		if !ok {
			return nil, fmt.Errorf("route %q has no summary for the OpenAPI document", r.pattern)
		}
		op := map[string]any{"summary": text, "x-permission": r.action, "responses": map[string]any{
			"200": map[string]any{"description": "OK", "content": map[string]any{"application/json": map[string]any{"schema": map[string]any{}}}},
			"401": map[string]any{"$ref": "#/components/responses/fault"}, "403": map[string]any{"$ref": "#/components/responses/fault"}}}
		if r.action == account.ActPublic {
			op["security"] = []any{}
		}
		var params []any
		for p := range strings.SplitSeq(path, "/") {
			if strings.HasPrefix(p, "{") {
				params = append(params, map[string]any{"name": strings.Trim(p, "{}"), "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
			}
		}
		if path == "/api/v1/log" {
			for _, p := range []string{"q", "camera", "from", "to", "group", "before"} {
				params = append(params, map[string]any{"name": p, "in": "query", "schema": map[string]any{"type": "string"}})
			}
		}
		if params != nil {
			op["parameters"] = params
		}
		paths[path] = map[string]any{strings.ToLower(method): op}
	}
	doc := map[string]any{
		"openapi": "3.1.0",
		"info":    map[string]any{"title": "Campuskeep office", "version": "1", "license": map[string]any{"name": "Apache-2.0", "identifier": "Apache-2.0"}},
		"paths":   paths,
		"components": map[string]any{
			"securitySchemes": map[string]any{"session": map[string]any{"type": "apiKey", "in": "cookie", "name": cookieName}},
			"responses": map[string]any{"fault": map[string]any{"description": "Refused: error is a code, text says it in words", "content": map[string]any{"application/json": map[string]any{"schema": map[string]any{
				"type": "object", "required": []string{"error", "text"}, "properties": map[string]any{"error": map[string]any{"type": "string"}, "text": map[string]any{"type": "string"},
					"fields": map[string]any{"type": "array", "items": map[string]any{"type": "object"}}}}}}}},
		},
		"security": []any{map[string]any{"session": []any{}}},
	}
	b, err := json.MarshalIndent(doc, "", " ")
	if err != nil {
		return nil, fmt.Errorf("writing the OpenAPI document: %w", err)
	}
	return append(b, '\n'), nil
}
