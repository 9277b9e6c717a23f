package web

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"campuskeep/firmware/people"
	rules "campuskeep/firmware/usage"
	"campuskeep/firmware/web/frame"
	accountspages "campuskeep/firmware/web/pages/accounts"
	attendancepages "campuskeep/firmware/web/pages/attendance"
	homepages "campuskeep/firmware/web/pages/home"
	nvrspages "campuskeep/firmware/web/pages/nvrs"
	playerpages "campuskeep/firmware/web/pages/player"
	retentionpages "campuskeep/firmware/web/pages/retention"
	shiftspages "campuskeep/firmware/web/pages/shifts"
	usagepages "campuskeep/firmware/web/pages/usage"
	"campuskeep/shared/usage"
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
	apiOfPages = "/api/v1/"
)

// jsonOf names for every page the path of its data under /api/v1/, or why it has none.
var jsonOf = map[string]string{
	"/violations": "violations", "/violations/{id}": "violations", "/inspections": "inspections", "/inspections/{id}": "inspections", "/findings/{id}": "findings",
	"/regulations": "regulations", "/regulations/{id}": "regulations", "/feedback": "feedback", "/filing": "filing",
	"/violations/new": isForm, "/inspections/plans/new": isForm, "/inspections/plans/{id}": isForm, "/regulations/new": isForm, "/regulations/{id}/edit": isForm, "/filing/sheet": isPrint,
	"/pupils/{id}": "pupils/{id}/record", "/doctor": "doctor", "/concerns": "concerns", "/concerns/{concern}": "concerns/{concern}", "/glass": "glass", "/glass/{glass}": "glass/{glass}",
	"/records/retention": "records/retention", "/records/archive": "records/archive", "/records/letters": "records/letters",
	"/records/agreements":      "records/agreements",
	"/pupils/{id}/records/new": isForm, "/pupils/{id}/records/{record}/edit": isForm, "/incidents/new": isForm, "/pupils/{id}/records/{record}/files/{file}": isFile,

	"/{$}": "status", "/footage": "ribbon", "/applications": "applications", "/applications/{id}": "applications/{id}", "/log": "log", "/log/{seq}": "log/{seq}",
	"/cameras": "cameras", "/cameras/{id}": "cameras/{id}", "/faults": "faults", "/holds": "holds", "/keeping/days": "keeping/days", "/gate": "gate", "/people": "people", "/settings": "settings",

	"/account": "account", "/applications/availability": "applications/availability", "/applications/mine": "applications/mine", "/clock": "clock", "/duty": "duty",
	"/gate/class/{class}": "gate/class/{class}", "/keeping": "keeping", "/keeping/certificate/{camera}/{day}": "keeping/certificate/{camera}/{day}", "/keeping/report": "keeping/report",
	"/live": "live", "/nvrs": "nvrs", "/nvrs/{id}": "nvrs/{id}", "/nvrs/{id}/access-paths": "nvrs/{id}/access-paths", "/people/duties": "people/duties", "/people/{id}": "people/{id}", "/view/{id}": "view/{id}",
	"/readers": "readers", "/readers/{id}": "readers/{id}",
	"/readers/new": isForm, "/readers/enrol": isForm, "/readers/format": isForm, "/events/cards": isStream, "/readers/{id}/edit": isForm, "/readers/{id}/test": isForm, "/events/readers": isStream, "/events/readers/{id}": isStream,
	"/pupils": "pupils", "/cards": "cards", "/classes": "classes", "/classes/{class}": "classes/{class}",
	"/classes/new": isForm, "/pupils/new": isForm, "/pupils/{id}/edit": isForm,

	"/setup/guide": "setup/guide", "/places": "places", "/places/{place}": "places/{place}", "/calendar": "calendar", "/bells": "bells",
	"/pupils/import": isForm, "/classes/import": isForm, "/cards/import": isForm, "/places/import": isForm, "/calendar/import": isForm,
	"/pupils/template.xlsx": isFile, "/classes/template.xlsx": isFile, "/cards/template.xlsx": isFile, "/places/template.xlsx": isFile, "/calendar/template.xlsx": isFile,
	"/year": "year", "/places/new": isForm, "/bells/{set}": isForm,

	"/class": isForm, "/class/{class}": "class/{class}",
	"/illness": "illness", "/illness/rules": "illness/rules", "/illness/reports/{id}": "illness/reports/{id}", "/illness/pupil/{student}/{opened}": "illness/pupil/{student}/{opened}",
	"/sheets": "sheets", "/sheets/school": "sheets/school", "/sheets/pupil/{student}": "sheets/pupil/{student}",
	"/leave": "leave", "/leave/new": isForm, "/leave/passes": "leave/passes", "/leave/{student}/{id}": "leave/{student}/{id}",
	"/absence": "absence", "/absence/calls": "absence/calls", "/absence/case/{id}": "absence/case/{id}",

	"/applications/new": isForm, "/cameras/import": isForm, "/cameras/new": isForm, "/cameras/{id}/edit": isForm, "/cameras/{id}/retire": isForm, "/nvr-looks/{look}": isForm,
	"/extractions": "extractions", "/extractions/{id}": "extractions/{id}", "/applications/{id}/extraction": isForm,
	"/nvrs/new": isForm, "/nvrs/{id}/edit": isForm, "/nvrs/{id}/restore": isForm, "/nvrs/{id}/retire": isForm, "/people/new": isForm, "/shift/handover": isForm, "/shift/leave": isForm,

	"/extractions/{id}/{kind}": isPrint, "/applications/{id}/form": isPrint, "/applications/{id}/notice": isPrint, "/applications/{id}/rejection": isPrint, "/duty/sheet": isPrint,

	"/cameras/template.xlsx": isFile, "/log/{seq}/proof": isFile, "/trust/root.crt": isFile,

	"/events/gate": isStream, "/events/log": isStream, "/media/{id}/init/{file}": isStream, "/media/{id}/playlist.m3u8": isStream, "/media/{id}/{segment}/{file}": isStream,
	"/view/{id}/events": isStream, "/view/{id}/state": isStream, "/view/{id}/when": isStream,

	"/emergency": "emergencies", "/emergency/{id}": "emergencies/{id}", "/emergency/{id}/class/{class}": "emergencies/{id}/class/{class}",
	"/plans": "plans", "/plans/{id}": "plans/{id}", "/plans/new": isForm, "/plans/{id}/edit": isForm, "/patrols": "patrols",
	"/emergency/{id}/found": isForm, "/emergency/{id}/sheet": isPrint, "/events/emergency": isStream,

	"/healthz": isPublic, "/login": isPublic, "/metrics": isPublic, "/rules": isPublic, "/setup": isPublic, "/trust": isPublic,
}

// Every page names its JSON, which has the same permission, or why it has none.
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

// read gives the data of a page as JSON into v.
func (v *visitor) read(path string, out any) {
	v.h.t.Helper()
	r := v.get(path)
	if r.status != http.StatusOK {
		v.h.t.Fatalf("%s: %d %s", path, r.status, r.Body)
	}
	d := json.NewDecoder(strings.NewReader(r.Body))
	d.DisallowUnknownFields()
	if err := d.Decode(out); err != nil {
		v.h.t.Fatalf("%s: %v in %s", path, err, r.Body)
	}
}

// Covers F12: what pages show of accounts and duties is there as JSON, for the same people.
func TestAccountsAsJSON(t *testing.T) {
	h := newEnv(t)
	fan, zheng, liang := h.as("fan"), h.as("zheng"), h.as("liang") // a duty person has a second factor: from now on changes wait
	var self accountspages.APISelf
	fan.read("/api/v1/account", &self)
	if self.Login != "fan" || self.Factor || self.MustPassword || len(self.Sessions) == 0 || !slices.ContainsFunc(self.Sessions, func(s accountspages.APISession) bool { return s.Here }) {
		t.Errorf("own account: %+v", self)
	}
	path := "/people/" + h.ids["zhou"]
	if r := liang.post(path+"/password", nil); r.status != http.StatusSeeOther {
		t.Fatalf("propose new credentials of an officer: %d %s", r.status, r.text())
	}
	var one accountspages.APIAccount
	liang.read("/api/v1"+path, &one)
	if one.Name != "周以宁" || one.Phone == "" || len(one.Waits) != 1 || one.Waits[0].Confirm {
		t.Errorf("account for who proposed: %+v", one)
	}
	var waiting []accountspages.APIDutyChange
	zheng.read("/api/v1/people/duties", &waiting)
	if len(waiting) != 1 || waiting[0].Person != h.ids["zhou"] || waiting[0].What != people.DutyPassword || waiting[0].By != h.ids["liang"] || !waiting[0].Confirm || !waiting[0].Drop {
		t.Errorf("waiting for the head of safety: %+v", waiting)
	}
	for _, denied := range []string{"/api/v1" + path, "/api/v1/people/duties"} {
		if r := fan.get(denied); r.status != http.StatusForbidden {
			t.Errorf("%s for a teacher: %d", denied, r.status)
		}
	}
	if r := liang.get("/api/v1/people/p999"); r.status != http.StatusNotFound {
		t.Errorf("nobody: %d", r.status)
	}
}

// Covers F12, F20: the register of use, the control room and the roll.
func TestWorkAsJSON(t *testing.T) {
	h := newEnv(t)
	h.scene()
	fan, zheng, luo := h.as("fan"), h.as("zheng"), h.as("luo")
	var mine []usage.Application
	fan.read("/api/v1/applications/mine", &mine)
	if len(mine) == 0 || slices.ContainsFunc(mine, func(a usage.Application) bool { return a.Applicant != h.ids["fan"] }) {
		t.Errorf("own applications: %+v", mine)
	}
	var offers []usagepages.APIOffer
	fan.read("/api/v1/applications/availability?"+url.Values{"wanted.2.place": {"北侧围墙"}, "wanted.2.from": {"2026-05-16T22:00"}, "wanted.2.to": {"2026-05-16T23:00"}}.Encode(), &offers)
	if len(offers) != 1 || offers[0].Line != 2 || offers[0].Camera != "c02" || len(offers[0].Present) != 1 || len(offers[0].Missing) != 1 || offers[0].Complete {
		t.Errorf("availability: %+v", offers)
	}
	var duty shiftspages.APIDuty
	zheng.read("/api/v1/duty", &duty)
	if duty.Day != "2026-05-20" || len(duty.Unattended) == 0 {
		t.Errorf("duty: %+v", duty)
	}
	if r := zheng.get("/api/v1/duty?day=2027-01-01"); r.status != http.StatusNotFound {
		t.Errorf("a day to come: %d", r.status)
	}
	var roll attendancepages.APIRoll
	class := h.people.Classes("2026-05-20")[0].ID
	luo.read("/api/v1/gate/class/"+class, &roll)
	if roll.Class != class || roll.Date != "2026-05-20" || roll.Head != h.ids["luo"] || len(roll.Pupils) != 6 || roll.Pupils[0].Name == "" || roll.Pupils[0].Status.Student == "" {
		t.Errorf("roll: %+v", roll)
	}
	if r := fan.get("/api/v1/gate/class/" + class); r.status != http.StatusForbidden {
		t.Errorf("the roll of a class for another teacher: %d", r.status)
	}
}

// Covers F3, F12: clock, disk, report, certificate and NVRs.
func TestProofAsJSON(t *testing.T) {
	h := newEnv(t)
	zheng, liang := h.as("zheng"), h.as("liang")
	var clock homepages.APIClock
	zheng.read("/api/v1/clock", &clock)
	if clock.State != "trusted" || !clock.Deletes || len(clock.Sources) != 3 || !clock.Sources[0].Agrees || len(clock.Sources[2].Servers) != 2 {
		t.Errorf("clock: %+v", clock)
	}
	var kept retentionpages.APIRetention
	zheng.read("/api/v1/keeping", &kept)
	if len(kept.Cameras) != 3 || kept.Cameras[0].Days != 30 || kept.Cameras[0].Oldest.IsZero() || kept.Total == 0 {
		t.Errorf("keeping: %+v", kept)
	}
	var report retentionpages.APIReport
	zheng.read("/api/v1/keeping/report?month=2026-05", &report)
	if report.Month != "2026-05" || !report.Running || len(report.Cameras) != 3 || report.Cameras[0].Camera != "c01" {
		t.Errorf("report: %+v", report)
	}
	if r := zheng.get("/api/v1/keeping/report?camera=c99"); r.status != http.StatusUnprocessableEntity {
		t.Errorf("the report of no camera: %d", r.status)
	}
	if r := zheng.get("/api/v1/keeping/certificate/c01/2020-01-01"); r.status != http.StatusNotFound {
		t.Errorf("the certificate of a day without footage: %d", r.status)
	}
	var list []nvrspages.APINVR
	liang.read("/api/v1/nvrs", &list)
	if len(list) != 2 || list[0].ID != "n01" || len(list[0].Cameras) != 3 || list[0].Cameras[1].Attestation == nil || !list[0].Cameras[1].Attestation.Floor() {
		t.Errorf("NVRs: %+v", list)
	}
	var one nvrspages.APINVRDetail
	liang.read("/api/v1/nvrs/n01", &one)
	if len(one.Fetches) != 3 || one.Fetches[0].Camera != "" || one.Fetches[0].Span != nil || one.Fetches[0].Basis != "" || len(one.Depend) != 3 {
		t.Errorf("an NVR for the administrator: %+v", one)
	}
	one = nvrspages.APINVRDetail{}
	zheng.read("/api/v1/nvrs/n01", &one)
	if len(one.Fetches) != 3 || one.Fetches[0].Camera != "c02" || one.Fetches[0].Span == nil || one.Fetches[0].Basis != "a2026-0002" {
		t.Errorf("an NVR for the head of safety: %+v", one)
	}
	var paths nvrspages.APIAccessPaths
	liang.read("/api/v1/nvrs/n01/access-paths", &paths)
	if len(paths.Paths) != 6 || paths.Paths[2].Port != 554 || !paths.Signed.IsZero() {
		t.Errorf("access paths: %+v", paths)
	}
	if r := liang.get("/api/v1/nvrs/n99"); r.status != http.StatusNotFound {
		t.Errorf("no NVR: %d", r.status)
	}
	if r := h.as("fan").get("/api/v1/nvrs"); r.status != http.StatusForbidden {
		t.Errorf("NVRs for a teacher: %d", r.status)
	}
}

// Covers F12, F20: the wall and an open viewing.
func TestViewingAsJSON(t *testing.T) {
	h := newEnv(t)
	h.keptByNVR("c02")
	zheng, zhou := h.as("zheng"), h.as("zhou")
	if r := zhou.post("/shift/begin", nil); r.status != http.StatusSeeOther {
		t.Fatalf("begin a shift: %d", r.status)
	}
	var wall playerpages.APIWall
	zhou.read("/api/v1/live", &wall)
	if len(wall.Cameras) != 3 || wall.Cameras[2].State != "offline" || wall.Purpose != "" {
		t.Errorf("wall: %+v", wall)
	}
	r := zheng.post("/footage/view", url.Values{"camera": {"c02"}, "day": {"2026-05-16"}, "from": {"22:00"}, "to": {"22:10"}, "purpose": {"围墙翻越报警核实"}})
	path := r.header.Get("Location")
	var v playerpages.APIOpenViewing
	zheng.read("/api/v1"+path, &v)
	if v.Camera != "c02" || v.Span == nil || v.Purpose != "围墙翻越报警核实" || len(v.Gaps) != 1 || v.Waits != nil {
		t.Errorf("viewing: %+v", v)
	}
	h.recorders.awaiting("c02", &rules.Fetching{State: "running", Percent: 40})
	v = playerpages.APIOpenViewing{}
	zheng.read("/api/v1"+path, &v)
	if v.Waits == nil || v.Waits.Percent != 40 || len(v.Gaps) != 0 {
		t.Errorf("a viewing that waits: %+v", v)
	}
	h.recorders.awaiting("c02", nil)
	if r := zhou.get("/api/v1" + path); r.status != http.StatusForbidden {
		t.Errorf("another's viewing: %d", r.status)
	}
	if r := zheng.get("/api/v1/live"); r.status != http.StatusForbidden {
		t.Errorf("the wall without a shift: %d", r.status)
	}
}
