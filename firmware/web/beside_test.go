package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A second camera beside an open viewing is a viewing of its own: asked for by the same person, entered before its page,
// for the same span and purpose, and refused where alone it would be. Covers F10, F12, F13.
func TestASecondCameraIsAViewingOfItsOwn(t *testing.T) {
	h := newEnv(t)
	h.scene()
	zheng, lin, fan := h.as("zheng"), h.as("lin"), h.as("fan")
	id := zheng.open()
	beside := func(v *visitor, id, camera string) answer {
		return v.post("/view/"+id+"/beside", url.Values{"camera": {camera}})
	}
	if page := zheng.get("/view/" + id); !strings.Contains(page.Body, `action="/view/`+id+`/beside"`) || strings.Contains(page.Body, `<option value="c02"`) {
		t.Error("the page offers no second camera, or its own")
	}
	size := h.store.Size()
	r := beside(zheng, id, "c01")
	to, other, ok := strings.Cut(r.header.Get("Location"), "?with=")
	if r.status != http.StatusSeeOther || !ok || to != "/view/"+id {
		t.Fatalf("beside: %d %q\n%s", r.status, r.header.Get("Location"), r.text())
	}
	e, err := h.store.Entry(size)
	h.must(err)
	if e.Kind != "footage.access.open" || e.Actor.ID != h.ids["zheng"] || e.Subject != "c01" {
		t.Fatalf("the entry is %+v", e)
	}
	if parts, err := h.store.Parts(size); err != nil || len(parts) != 1 || string(parts[0].Plain) != "围墙翻越报警核实" {
		t.Errorf("the purpose of the second is %+v, %v", parts, err)
	}
	page := zheng.get("/view/" + id + "?with=" + other)
	for _, want := range []string{"/media/" + id + "/playlist.m3u8", "/media/" + other + "/playlist.m3u8", "data-follows", "保持同一时刻"} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for name, r := range map[string]answer{
		"somebody else's viewing": beside(lin, id, "c01"), "the same camera": beside(zheng, id, "c02"), "no such camera": beside(zheng, id, "c99"), "no viewing": beside(zheng, "v-none", "c01"),
	} {
		if r.status < 400 || r.header.Get("Location") != "" {
			t.Errorf("%s: %d %q", name, r.status, r.header.Get("Location"))
		}
	}
	if page := lin.get("/view/" + lin.open() + "?with=" + other); strings.Contains(page.Body, "/media/"+other) {
		t.Error("the page shows somebody else's viewing as second")
	}
	r = fan.post("/footage/view", url.Values{"camera": {"c01"}, "day": {"2026-05-08"}, "from": {"14:40"}, "to": {"15:00"}})
	granted := strings.TrimPrefix(r.header.Get("Location"), "/view/")
	if page := fan.get("/view/" + granted); page.status != http.StatusOK || strings.Contains(page.Body, "/beside\"") {
		t.Errorf("%d: under an approval of one camera another is offered", page.status)
	}
	if r := beside(fan, granted, "c02"); r.status != http.StatusForbidden {
		t.Errorf("under an approval of one camera another: %d", r.status)
	}
}
