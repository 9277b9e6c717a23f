package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	weblib "campuskeep/shared/lib/web"
)

// Covers M3: a password that somebody else set gives nothing but the way to a new one, on every route.
func TestAOneTimePasswordOnlyChangesItself(t *testing.T) {
	h := newEnv(t)
	h.ByAddress = weblib.NewLimiter(1e6, 1e6) // there are more routes than a person opens at once
	v := h.visit()
	if r := v.post("/login", url.Values{"user": {"zhou"}, "password": {firstPassword}}); r.status != http.StatusSeeOther {
		t.Fatalf("first log-in: %d", r.status)
	}
	fill := strings.NewReplacer("{$}", "", "{id}", "c01", "{class}", "2023-01", "{seq}", "1", "{look}", "x", "{camera}", "c01", "{day}", "2026-05-10", "{segment}", "x", "{file}", "0.m4s")
	for _, rt := range h.routes.Routes {
		if rt.Action == account.ActPublic || rt.Action == account.ActSelf {
			continue
		}
		method, path, _ := strings.Cut(fill.Replace(rt.Pattern), " ")
		size := h.store.Size()
		r := v.do(method, path, nil)
		ok := r.status == http.StatusForbidden || method == http.MethodGet && r.status == http.StatusSeeOther && r.header.Get("Location") == "/account"
		wrote := h.store.Size() - size
		for e, err := range h.store.Entries(size, h.store.Size()) {
			h.must(err)
			if e.Kind == "login.storm" { // so many refusals are a scan
				wrote--
			}
		}
		if !ok || wrote != 0 {
			t.Errorf("%s: %d to %q, %d entries", rt.Pattern, r.status, r.header.Get("Location"), wrote)
		}
	}
	if r := v.post("/account/password", url.Values{"old": {firstPassword}, "new": {password}, "again": {password}}); r.status != http.StatusSeeOther {
		t.Errorf("changing it: %d", r.status)
	}
	if r := v.get("/"); r.status != http.StatusOK {
		t.Errorf("after the change: %d", r.status)
	}
}

// Covers M3: pages that fetch by themselves keep no log-in alive; a person at them does.
func TestAPageThatAsksByItselfIsIdle(t *testing.T) {
	h := newEnv(t)
	v := h.as("zhou")
	alive := func(header ...string) int {
		for range 4 {
			h.clock.pass(10 * time.Minute)
			if r := v.get("/", header...); r.status != http.StatusOK {
				return r.status
			}
		}
		return http.StatusOK
	}
	if got := alive(); got != http.StatusOK {
		t.Fatalf("somebody who opens pages is logged out: %d", got)
	}
	if got := alive(frame.ByItself, "1"); got != http.StatusUnauthorized {
		t.Errorf("after forty minutes of fetching by itself: %d, want that the log-in has ended", got)
	}
	v = h.as("zhou")
	for range 4 {
		h.clock.pass(10 * time.Minute)
		if r := v.post("/account/alive", nil); r.status != http.StatusNoContent {
			t.Errorf("somebody who moves is logged out: %d", r.status)
		}
	}
}

// Covers M3, M7: through the pages, an administrator makes nobody security officer alone; a leader sees it first thing,
// confirms it, and everybody who answers for footage sees it for seven days.
func TestDutiesNeedASecondPersonOnThePage(t *testing.T) {
	h := newEnv(t)
	leader, admin := h.as("zheng"), h.as("liang")
	form := url.Values{"login": {"ghost"}, "name": {"任远"}, "staff_no": {"G-1"}, "unit": {"信息中心"}, "roles": {"staff", "security_officer"}}
	r := admin.post("/people/new", form)
	if r.status != http.StatusOK || !strings.Contains(r.Body, "待第二人确认") {
		t.Fatalf("the new account: %d\n%s", r.status, r.text())
	}
	ghost, ok := h.people.PersonByLogin("ghost")
	if !ok || len(ghost.Roles) != 1 {
		t.Fatalf("roles of the new account: %v", ghost.Roles)
	}
	if r := admin.post("/people/"+h.ids["zhou"]+"/password", nil); r.status != http.StatusSeeOther || r.done() != "done.duty_proposed" {
		t.Errorf("a reset of an officer: %d %s", r.status, r.header.Get("Location"))
	}
	if r := leader.get("/"); !strings.Contains(r.Body, "任远：授予职责待确认") {
		t.Errorf("the leader's first page:\n%s", r.text())
	}
	page := leader.get("/people/duties")
	if strings.Count(page.Body, "/confirm") != 2 {
		t.Fatalf("the leader cannot confirm both:\n%s", page.text())
	}
	var id string
	for _, d := range h.people.DutyChanges() {
		if d.Person == ghost.ID {
			id = d.ID
		}
	}
	if r := admin.post("/people/duties/"+id+"/confirm", nil); r.status != http.StatusForbidden {
		t.Errorf("the proposer confirms: %d", r.status)
	}
	if r := leader.post("/people/duties/"+id+"/confirm", nil); r.status != http.StatusSeeOther {
		t.Errorf("the leader confirms: %d\n%s", r.status, r.text())
	}
	if ghost, _ = h.people.PersonByLogin("ghost"); len(ghost.Roles) != 2 {
		t.Errorf("roles after it: %v", ghost.Roles)
	}
	if r := h.as("guo").get("/"); !strings.Contains(r.Body, "任远：授予职责") {
		t.Errorf("the other decider's first page says nothing:\n%s", r.text())
	}
	h.clock.pass(8 * 24 * time.Hour)
	if r := h.as("zheng").get("/"); strings.Contains(r.Body, "任远：授予职责") {
		t.Error("it is still told after seven days")
	}
}

// Covers F13: logging out one browser ends what that browser watches, and nothing else.
func TestLoggingOutEndsThisBrowsersViewingAlone(t *testing.T) {
	h := newEnv(t)
	one, two := h.as("zheng"), h.as("zheng")
	first, second := one.open(), two.open()
	if r := one.post("/logout", nil); r.status != http.StatusSeeOther {
		t.Fatalf("log-out: %d", r.status)
	}
	if _, open := h.viewings.Get(first); open {
		t.Error("what the browser watched goes on")
	}
	if _, open := h.viewings.Get(second); !open {
		t.Error("what the other browser watches has ended")
	}
}

// Covers F12: a live part ends with its right.
func TestAStreamEndsWithItsRight(t *testing.T) {
	h := newEnv(t)
	v := h.as("zheng")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.server.URL+"/events/log", nil)
	h.must(err)
	res, err := v.http.Do(r)
	h.must(err)
	defer func() { _ = res.Body.Close() }() // read to its end
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 512)
		for {
			if _, err := res.Body.Read(b); err != nil {
				return
			}
		}
	}()
	h.must(h.people.EndSessions(t.Context(), account.System, h.ids["zheng"]))
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("the stream goes on without a log-in")
	}
}

// open watches something by duty and gives the viewing's id.
func (v *visitor) open() string {
	v.h.t.Helper()
	r := v.post("/footage/view", watch("c02", "07:00", "07:20"))
	id, ok := strings.CutPrefix(r.header.Get("Location"), "/view/")
	if !ok {
		v.h.t.Fatalf("no viewing: %d %q\n%s", r.status, r.header.Get("Location"), r.text())
	}
	id, _, _ = strings.Cut(id, "?")
	return id
}
