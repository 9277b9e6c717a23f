package web

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"campuskeep/firmware/web/frame"
)

// The description of the interface is reviewed like a permission: a change of an answer shows in the golden file.
func TestTheDescriptionIsGolden(t *testing.T) {
	got, err := describe(newEnv(t).routes.Routes)
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/openapi.json"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the description is not that of %s: look at the difference, then go test -run %s -update", golden, t.Name())
	}
	doc, err := openapi3.NewLoader().LoadFromData(got)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Errorf("no valid OpenAPI document: %v", err)
	}
}

const (
	isForm     = "a form; what it shows is the JSON of its page"
	isPrint    = "a document to print; its content is the JSON of its page"
	isFile     = "a file"
	isStream   = "a stream of events, media or the state of one's own viewing"
	isPublic   = "nothing but text, open to everybody"
	notThere   = "not there yet"
	apiOfPages = "/api/v1/"
)

// jsonOf names for every page the path of its data under /api/v1/, or why it has none.
var jsonOf = map[string]string{
	"/{$}": "status", "/footage": "ribbon", "/applications": "applications", "/applications/{id}": "applications/{id}", "/log": "log", "/log/{seq}": "log/{seq}",
	"/cameras": "cameras", "/cameras/{id}": "cameras/{id}", "/faults": "faults", "/holds": "holds", "/keeping/days": "keeping/days", "/gate": "gate", "/people": "people", "/settings": "settings",

	"/account": notThere, "/applications/availability": notThere, "/applications/mine": notThere, "/clock": notThere, "/duty": notThere,
	"/gate/class/{class}": notThere, "/keeping": notThere, "/keeping/certificate/{camera}/{day}": notThere, "/keeping/report": notThere,
	"/live": notThere, "/nvrs": notThere, "/nvrs/{id}": notThere, "/nvrs/{id}/doors": notThere, "/people/duties": notThere, "/people/{id}": notThere, "/view/{id}": notThere,

	"/applications/new": isForm, "/cameras/import": isForm, "/cameras/new": isForm, "/cameras/{id}/edit": isForm, "/cameras/{id}/retire": isForm, "/nvr-looks/{look}": isForm,
	"/nvrs/new": isForm, "/nvrs/{id}/edit": isForm, "/nvrs/{id}/restore": isForm, "/nvrs/{id}/retire": isForm, "/people/new": isForm, "/shift/handover": isForm, "/shift/leave": isForm,

	"/applications/{id}/form": isPrint, "/applications/{id}/notice": isPrint, "/applications/{id}/rejection": isPrint, "/duty/sheet": isPrint,

	"/cameras/template.xlsx": isFile, "/log/{seq}/proof": isFile, "/trust/root.crt": isFile,

	"/events/gate": isStream, "/events/log": isStream, "/media/{id}/init/{file}": isStream, "/media/{id}/playlist.m3u8": isStream, "/media/{id}/{segment}/{file}": isStream,
	"/view/{id}/events": isStream, "/view/{id}/state": isStream, "/view/{id}/when": isStream,

	"/healthz": isPublic, "/login": isPublic, "/metrics": isPublic, "/rules": isPublic, "/setup": isPublic, "/trust": isPublic,
}

// Every page names its JSON, which has the same permission; what is missing is listed above and nowhere else.
func TestEveryPageNamesItsJSON(t *testing.T) {
	routes := map[string]frame.Route{}
	for _, r := range newEnv(t).routes.Routes {
		if path, ok := strings.CutPrefix(r.Pattern, "GET "); ok {
			routes[path] = r
		}
	}
	for path, page := range routes {
		if strings.HasPrefix(path, apiOfPages) {
			continue
		}
		name, ok := jsonOf[path]
		if !ok {
			t.Errorf("%s names no JSON and no reason why it has none", path)
			continue
		}
		if strings.Contains(name, " ") {
			continue // a reason
		}
		answer, ok := routes[apiOfPages+name]
		if !ok {
			t.Errorf("%s: there is no %s%s", path, apiOfPages, name)
			continue
		}
		if answer.Action != page.Action {
			t.Errorf("%s needs %s, its JSON %s", path, page.Action, answer.Action)
		}
	}
	for path := range jsonOf {
		if _, ok := routes[path]; !ok {
			t.Errorf("%s is listed and is no page", path)
		}
	}
}

// The answers that are the JSON of a list page. Covers F12.
func TestListsAsJSON(t *testing.T) {
	h := newEnv(t)
	h.scene()
	officer := h.as("zheng")
	for path, want := range map[string]string{"/api/v1/cameras/c01": `"state":`, "/api/v1/holds": `"applicant":`, "/api/v1/keeping/days": `"days":[`} {
		if r := officer.get(path); r.status != 200 || !strings.Contains(r.Body, want) {
			t.Errorf("%s: %d %s, want %s", path, r.status, r.Body, want)
		}
	}
	if r := officer.get("/api/v1/cameras/c99"); r.status != 404 {
		t.Errorf("a camera that is not there: %d", r.status)
	}
	if r := officer.get("/api/v1/keeping/days?month=May"); r.status != 422 || !strings.Contains(r.Body, `"field":"month"`) {
		t.Errorf("a month that is none: %d %s", r.status, r.Body)
	}
	if r := h.as("fan").get("/api/v1/settings"); r.status != 403 {
		t.Errorf("settings for an applicant: %d", r.status)
	}
}
