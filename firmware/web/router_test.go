package web

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
)

var update = flag.Bool("update", false, "write the golden files")

// everyRole is every role there is, in the order of the golden table.
var everyRole = []account.Role{account.RoleStaff, account.RoleOfficer, account.RoleHeadOfSafety, account.RoleLeader, account.RoleClassTeacher, account.RoleSubjectTeacher,
	account.RoleGradeHead, account.RoleDoctor, account.RoleCounsellor, account.RoleParent, account.RoleAuditor, account.RoleAdmin, account.RoleInstaller,
	account.RoleCentreStaff, account.RoleCentreAdmin, account.RoleAppliance}

// sample is a typical subject of a route: own viewing, somebody else's application, own class.
func sample(r frame.Route) account.Subject {
	s := account.Subject{Person: "p1", Applicant: "p9", Class: "2023-01", Camera: "c01", From: present, To: present.Add(time.Minute), Way: account.WayView, Purpose: true, Signed: true}
	switch {
	case strings.Contains(r.Pattern, "/people/"), r.Action == account.ActViolationOpen, r.Action == account.ActViolationDecide, r.Action == account.ActGlassReview, r.Action == account.ActRetentionConfirm:
		s.Person = "p9"
	case r.Action == account.ActFeedbackReply:
		s.Unit = "canteen"
	case strings.HasPrefix(strings.TrimPrefix(r.Pattern[strings.Index(r.Pattern, " ")+1:], "/api/v1"), "/live"):
		s.Way = account.WayLive
	case r.Action == account.ActFootageSnapshot:
		s.Way, s.Application = account.WayStill, "a2026-0001"
	case r.Action == account.ActApplicationWithdraw, r.Action == account.ActApplicationCreate, r.Action == account.ActExtractionRequest:
		s.Applicant = "p1"
	}
	return s
}

// Every route asks May, and this is what follows from it, role by role. A change of a permission or a new
// route changes the table, and a person looks at it. Covers F12.
func TestEveryRouteForEveryRole(t *testing.T) {
	h := newEnv(t)
	var b strings.Builder
	used := map[string]bool{}
	for _, pattern := range h.routes.Patterns() {
		for _, r := range h.routes.Routes {
			if r.Pattern != pattern {
				continue
			}
			fmt.Fprintf(&b, "%-42s %-22s", r.Pattern, r.Action)
			if r.Action == account.ActPublic {
				fmt.Fprintln(&b, " everybody")
				used[r.Pattern] = true
				continue
			}
			for _, role := range everyRole {
				actor := account.Actor{ID: "p1", Roles: []account.Role{role}, Classes: []string{"2023-01"}, Units: []string{"canteen"}, SecondFactor: true, OnShift: true}
				if r.Action == account.ActFootageSnapshot { // no duty gives it
					actor.Grants = []account.Grant{{Application: "a2026-0001", Person: "p1", Cameras: []string{"c01"}, From: present, To: present.Add(time.Hour), Until: present.Add(time.Hour), Ways: []string{account.WayStill}}}
				}
				if account.May(actor, r.Action, sample(r), present).Allowed {
					fmt.Fprintf(&b, " %s", role)
					used[r.Pattern] = true
				}
			}
			fmt.Fprintln(&b)
			if d := account.May(account.Actor{}, r.Action, sample(r), present); d.Allowed {
				t.Errorf("%s is open to nobody in particular", r.Pattern)
			}
		}
	}
	for _, p := range h.routes.Patterns() {
		if !used[p] {
			t.Errorf("%s is of use to nobody: its permission is not in the table of account.May", p)
		}
	}
	const golden = "testdata/routes.txt"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the permissions of the routes have changed; look at them, then run with -update:\n%s", b.String())
	}
}

// holdOf is the hold of an application that has one.
func (h *env) holdOf(application string) footage.Hold {
	h.t.Helper()
	for _, x := range h.usage.Holds() {
		if x.Application == application {
			return x
		}
	}
	h.t.Fatalf("%s holds nothing", application)
	return footage.Hold{}
}

// What May refuses is refused on the line, for every person and every route, and nothing is done. Covers F12, F13.
func TestEveryRefusalHoldsOnTheLine(t *testing.T) {
	h := newEnv(t)
	ids := h.scene()
	at := h.supervised()
	fill := strings.NewReplacer("{$}", "", "/violations/{id}", at["violation"], "/inspections/plans/{id}", at["plan"], "/inspections/{id}", at["inspection"], "/findings/{id}", at["finding"], "/regulations/{id}", at["regulation"], "/feedback/{id}", at["feedback"], "/faults/{id}", "/faults/"+h.health.Faults()[0].ID, "{id}/init/{file}", ids["viewing"]+"/init/0.mp4", "{id}/{segment}/{file}", ids["viewing"]+"/ab/0.m4s",
		"/media/{id}", "/media/"+ids["viewing"], "/view/{id}", "/view/"+ids["viewing"], "/applications/{id}", "/applications/"+ids["open"], "/extractions/{id}", "/extractions/"+ids["extraction"],
		"/people/{id}", "/people/"+h.ids["luo"], "/cameras/{id}", "/cameras/c01", "/readers/{id}", "/readers/r01", "/emergency/{id}", "/emergency/e1", "/plans/{id}", "/plans/n1", "/emergencies/{id}", "/emergencies/e1", "{class}", "2023-02", "{kind}", "list", "{seq}", "3", "/holds/{id}", "/holds/"+h.holdOf(ids["open"]).ID, "{camera}/{day}", "c01/2026-04-10")
	for _, who := range []string{"fan", "luo", "liang", "guo", "zhou", "lin"} {
		v := h.as(who)
		s, err := h.people.Session(t.Context(), v.token(), false)
		h.must(err)
		actor := s.Actor
		actor.Grants = h.usage.Grants(actor.ID, h.clock.Now().Wall)
		for _, rt := range h.routes.Routes {
			if rt.Action == account.ActPublic || rt.Stream {
				continue
			}
			method, path, _ := strings.Cut(fill.Replace(rt.Pattern), " ")
			var form url.Values
			if method == http.MethodPost {
				form = url.Values{"camera": {"c02"}, "day": {"2026-05-18"}, "from": {"07:00"}, "to": {"07:20"}}
			}
			subject, unknown := h.subjectOf(rt, actor, method, path, form)
			d := account.May(actor, rt.Action, subject, h.clock.Now().Wall)
			if d.Allowed && unknown == nil {
				continue // what is allowed is tested where it does something
			}
			h.clock.pass(time.Second) // one address may not ask for everything at once
			size := h.store.Size()
			h.clock.pass(time.Second) // one address may not ask for everything at once
			r := v.do(method, path, form)
			if unknown == nil && r.status != http.StatusForbidden || r.status < http.StatusBadRequest {
				t.Errorf("%s %s by %s: %d, but May refuses (%s)", method, path, who, r.status, d.Reason)
			}
			if strings.Contains(r.Body, string(frames)) {
				t.Errorf("%s %s by %s: footage left", method, path, who)
			}
			for e, err := range h.store.Entries(size, h.store.Size()) {
				h.must(err)
				if e.Kind != "access.refused" && e.Kind != "login.storm" { // so many refusals are a scan
					t.Errorf("%s %s by %s wrote %s", method, path, who, e.Kind)
				}
			}
		}
	}
}

// subjectOf asks the route itself what the request is about; an error says that there is no such thing for this person.
func (h *env) subjectOf(rt frame.Route, actor account.Actor, method, path string, form url.Values) (account.Subject, error) {
	h.t.Helper()
	u, err := url.Parse(path)
	h.must(err)
	r := &http.Request{Method: method, URL: u, PostForm: form}
	r = r.WithContext(h.t.Context())
	_, pattern, _ := strings.Cut(rt.Pattern, " ")
	want, got := strings.Split(pattern, "/"), strings.Split(u.Path, "/")
	for i, p := range want {
		if strings.HasPrefix(p, "{") && p != "{$}" {
			r.SetPathValue(strings.Trim(p, "{}"), got[i])
		}
	}
	c := h.NewCall(httptest.NewRecorder(), r)
	c.Actor = actor
	return rt.Subject(c)
}

// A route that nobody thought about who may use it does not build.
func TestARouteWithoutPermissionDoesNotBuild(t *testing.T) {
	serve := func(frame.Route, http.ResponseWriter, *http.Request) {}
	ok := frame.Route{Pattern: "GET /a", Action: account.ActStatusView, Subject: frame.Anything, Handle: func(*frame.Call) error { return nil }}
	if _, err := frame.NewRouter([]frame.Route{ok}, serve); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*frame.Route){
		"no permission": func(r *frame.Route) { r.Action = "" },
		"no subject":    func(r *frame.Route) { r.Subject = nil },
		"no handler":    func(r *frame.Route) { r.Handle = nil },
		"no method":     func(r *frame.Route) { r.Pattern = "/a" },
		"other method":  func(r *frame.Route) { r.Pattern = "DELETE /a" },
	} {
		r := ok
		change(&r)
		if _, err := frame.NewRouter([]frame.Route{r}, serve); err == nil {
			t.Errorf("a route with %s was built", name)
		}
	}
	if _, err := frame.NewRouter([]frame.Route{ok, ok}, serve); err == nil {
		t.Error("a route that is there twice was built")
	}
}
