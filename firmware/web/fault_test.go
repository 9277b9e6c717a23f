package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"campuskeep/firmware/health"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// hasty is a clock whose monotonic time runs ahead by half a minute whenever it is asked: what takes minutes is there
// at once, and the day stays what it is.
type hasty struct {
	*stillClock
	mu    sync.Mutex
	ahead time.Duration
}

func (c *hasty) Now() clock.Reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += 30 * time.Second
	r := c.stillClock.Now()
	r.Mono += c.ahead
	return r
}

// sickness is what other packages see of the cameras.
type sickness struct {
	mu  sync.Mutex
	now []health.Seen
}

func (s *sickness) seen() []health.Seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// ails lets the cameras be seen like this until exactly so many faults are open.
func (h *env) ails(open int, seen ...health.Seen) {
	h.t.Helper()
	h.sick.mu.Lock()
	h.sick.now = seen
	h.sick.mu.Unlock()
	ctx, cancel := context.WithCancel(h.t.Context())
	done := make(chan error, 1)
	go func() { done <- h.health.Run(ctx) }()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for len(h.health.Faults()) != open {
		select {
		case <-deadline:
			h.t.Fatalf("%d faults are open, not %d", len(h.health.Faults()), open)
		case <-tick.C:
		}
	}
	cancel()
	h.must(<-done)
}

// twoFaults gives the school a camera that is offline and one that refuses our password; liang is named for both.
func (h *env) twoFaults() {
	h.t.Helper()
	h.ails(2, health.Seen{Camera: "c03", Code: footage.FaultOffline, Finding: footage.Ill}, health.Seen{Camera: "c02", Code: footage.FaultLogin, Finding: footage.Ill})
}

// Covers F3: an NVR that deletes early is red on the first page, among the faults and on the page of the kept times.
func TestAnNVRThatDeletesEarlyIsRed(t *testing.T) {
	h := newEnv(t)
	zheng := h.as("zheng")
	cam, _ := h.site.Camera("c03")
	cam.Custody, cam.Main, cam.Sub, cam.Still = footage.CustodyNVR, "", "", ""
	h.must(h.site.PutCamera(t.Context(), account.System, cam, nil))
	if body := zheng.get("/keeping").Body; strings.Contains(body, "提前删除") {
		t.Fatal("red before anything is wrong")
	}
	h.ails(1, health.Seen{Camera: "c03", Code: footage.FaultFloor, Finding: footage.Ill})
	for path, want := range map[string][]string{"/": {"录像机提前删除", "录像机 1 路"}, "/faults": {"录像机提前删除", "保存期内的录像"}, "/keeping": {"提前删除"}} {
		body := zheng.get(path).Body
		for _, w := range want {
			if !strings.Contains(body, w) {
				t.Errorf("%s does not say %q", path, w)
			}
		}
	}
}

// Covers F1: a fault rests on the page of its technician, who takes note with what is done; the head of safety sees
// note and name, and a colleague who is named for nothing sees neither page nor fault.
func TestAFaultOnItsTechniciansPage(t *testing.T) {
	h := newEnv(t)
	fan := h.as("fan")
	if page := fan.get("/"); strings.Contains(page.Body, `href="/faults"`) {
		t.Error("who is named for nothing has a way to the faults")
	}
	cam, _ := h.site.Camera("c02")
	cam.Technician = h.ids["fan"]
	h.must(h.site.PutCamera(t.Context(), account.System, cam, nil))
	h.twoFaults()
	page := fan.get("/faults")
	if page.status != http.StatusOK || !strings.Contains(page.Body, "拒绝密码") || strings.Contains(page.Body, "自行车棚") {
		t.Fatalf("the technician's faults: %d\n%s", page.status, page.text())
	}
	if today := fan.get("/"); !strings.Contains(today.Body, "北侧围墙") || strings.Contains(today.Body, "自行车棚，已") {
		t.Errorf("the technician's day:\n%s", today.text())
	}
	faults := map[footage.FaultCode]string{}
	for _, f := range h.health.Faults() {
		faults[f.Code] = f.ID
	}
	if r := fan.post("/faults/"+faults[footage.FaultOffline]+"/take", url.Values{"note": {"我来"}}); r.status != http.StatusForbidden {
		t.Errorf("somebody else's fault: %d", r.status)
	}
	if r := fan.post("/faults/"+faults[footage.FaultLogin]+"/take", url.Values{"note": {" "}}); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, `aria-invalid="true"`) {
		t.Errorf("without a word: %d\n%s", r.status, r.text())
	}
	if r := fan.post("/faults/"+faults[footage.FaultLogin]+"/take", url.Values{"note": {"密码已改回，观察中"}}); r.status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", r.status, r.text())
	}
	if r := fan.post("/faults/c99-offline-x/take", url.Values{"note": {"?"}}); r.status != http.StatusNotFound {
		t.Errorf("a fault that is none: %d", r.status)
	}
	zheng := h.as("zheng")
	page = zheng.get("/faults")
	if !strings.Contains(page.Body, "密码已改回，观察中") || !strings.Contains(page.Body, "范之远") || strings.Count(page.Body, `id="f-c0`) != 2 {
		t.Errorf("the head of safety's list:\n%s", page.text())
	}
	if page = zheng.get("/faults?code=offline"); strings.Contains(page.Body, "密码已改回") || !strings.Contains(page.Body, "自行车棚") {
		t.Errorf("only those offline:\n%s", page.text())
	}
	if page = zheng.get("/cameras/c02"); !strings.Contains(page.Body, "密码已改回，观察中") {
		t.Errorf("the camera's page:\n%s", page.text())
	}
	if r := zheng.get("/api/v1/faults"); strings.Count(r.Body, `"opened"`) != 2 {
		t.Errorf("the interface: %s", r.Body)
	}
	h.ails(0, health.Seen{Camera: "c03", Code: footage.FaultOffline, Finding: footage.Well}, health.Seen{Camera: "c02", Code: footage.FaultLogin, Finding: footage.Well})
	if page = fan.get("/faults?state=closed"); !strings.Contains(page.Body, "已恢复") || !strings.Contains(page.Body, "密码已改回，观察中") || strings.Contains(page.Body, "自行车棚") {
		t.Errorf("the history:\n%s", page.text())
	}
	if n := h.count("fault.closed"); n != 2 {
		t.Errorf("%d closed", n)
	}
}
