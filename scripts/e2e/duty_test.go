package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"campuskeep/scripts/sim/school"
)

// duty: an officer signs in, states the purpose once, sees the wall play, writes the notes; the next one signs at the
// same screen, which is theirs from then on; the day's sheet tells all of it. Covers F13, F20.
func (h *env) duty(t *testing.T) {
	b := h.tab(t, "yan")
	b.open("/duty")
	from := h.box.Store.Size()
	b.follow("form[action='/shift/begin'] button")
	h.entry(t, from, "shift.began")
	b.follow(".seg a[href*='size=9']") // three in one row: what is below the window is not fetched
	first := b.firstMedia()
	b.fill("#f-purpose", "例行巡视")
	b.click("[data-purpose] button")
	b.wait("three pictures", "[...document.querySelectorAll('.wall video')].filter(v => v.videoWidth > 0 && v.currentTime > 0).length === 3")
	opened := h.entries(t, from, "footage.access.open")
	incident := map[string]bool{}
	for _, e := range opened {
		var open struct{ Mode, Ground, Incident string }
		decode(t, e.Data, &open)
		incident[open.Incident] = true
		if open.Mode != "live" || open.Ground != "duty" {
			t.Errorf("the entry says %s", e.Data)
		}
	}
	if len(opened) != 3 || len(incident) != 1 {
		t.Errorf("%d openings under %d purposes, want three under one", len(opened), len(incident))
	}
	if m := <-first; m.size <= opened[0].Seq || opened[0].At.After(m.at) {
		t.Errorf("the first media was asked for at %s with %d entries in the log; the first opening is entry %d", m.at, m.size, opened[0].Seq)
	}
	if mark := eval[string](b, "document.querySelector('[data-mark]').textContent"); !strings.Contains(mark, "严守拙") {
		t.Errorf("over the picture stands %q", mark)
	}
	// What is out of sight is not fetched: one tile a page leaves one open.
	b.follow(".seg a[href*='size=1']")
	until(t, "end of the pictures out of sight", func() bool { return len(h.entries(t, from, "footage.access.close")) >= 3 })
	b.wait("the one picture", "document.querySelector('.wall video').videoWidth > 0")
	if n := len(h.entries(t, from, "footage.access.open")); n != 4 {
		t.Errorf("%d openings, want one more", n)
	}
	h.handsOver(t, b, from)
}

// handsOver: notes, and the signature of the next officer.
func (h *env) handsOver(t *testing.T, b *tab, from uint64) {
	b.allow("status of 401")
	b.follow("a[href='/shift/handover']")
	b.fill("#f-happened", "17:20 自行车棚有学生争执，已劝离。")
	b.fill("#f-equipment", "设备正常。")
	b.follow("form[action='/shift/handover'] button")
	b.says("已劝离", "邵临川")
	next := h.account(t, "shao")
	b.fill("#f-user", "shao")
	b.fill("#f-password", "not the password")
	b.fill("#f-code", "000000")
	b.follow("form[action='/shift/sign'] button")
	b.says("已劝离") // still the outgoing officer's page
	if !h.box.Usage.OnShift(h.account(t, "yan").ID) {
		t.Fatal("a wrong password ended the shift")
	}
	b.fill("#f-user", "shao")
	b.fill("#f-password", school.Password)
	b.fill("#f-code", next.Code(time.Now()))
	b.follow("form[action='/shift/sign'] button")
	if got := b.where(); got != "/duty" {
		t.Fatalf("after the signature one stands at %s", got)
	}
	b.says("邵临川", "严守拙", "已交接", "已劝离", "例行巡视")
	if h.entry(t, from, "shift.handed"); h.box.Usage.OnShift(h.account(t, "yan").ID) || !h.box.Usage.OnShift(next.ID) {
		t.Error("the shift did not change hands")
	}
	if who := eval[string](b, "document.querySelector('.who b').innerText"); who != "邵临川" {
		t.Errorf("the screen is %s's", who)
	}
	until(t, "end of every viewing", func() bool {
		return len(h.entries(t, from, "footage.access.open")) == len(h.entries(t, from, "footage.access.close"))
	})
	b.follow("form[action='/duty/print'] button")
	b.says("第 1 份", "已劝离")
	if got := b.where(); !strings.HasPrefix(got, fmt.Sprintf("/duty/sheet?day=%s&entry=", time.Now().In(h.zone).Format(time.DateOnly))) {
		t.Errorf("the sheet is at %s", got)
	}
	h.entry(t, from, "document.printed")
	b.open("/")
	b.follow(".who form button")
	if got := b.where(); got != "/shift/leave" {
		t.Fatalf("logging out on duty leads to %s", got)
	}
	b.follow("button[value='end']")
	h.entry(t, from, "shift.ended")
}
