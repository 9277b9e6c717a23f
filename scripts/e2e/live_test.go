package e2e

import (
	"net/url"
	"testing"
)

// live: only who is signed in at the control room sees what a camera sees now; the entry comes first here too, and
// signing off ends what runs. Covers F13, F20.
func (h *env) live(t *testing.T) {
	b := h.tab(t, "zhou")
	b.allow("status of 403")
	if a := h.visitor(h.token(t, "zhou")).ask(t, "POST", "/live/view", url.Values{"camera": {"c01"}, "purpose": {"例行巡视"}}); a.status != 403 || isVideo(a) {
		t.Fatalf("before the shift: %d", a.status)
	}
	b.open("/live")
	from := h.box.Store.Size()
	b.follow("form[action='/shift/begin'] button")
	h.entry(t, from, "shift.began")
	if got := b.where(); got != "/live" {
		t.Fatalf("after signing in one stands at %s", got)
	}
	first := b.firstMedia()
	a := h.visitor(h.token(t, "zhou")).ask(t, "POST", "/live/view", url.Values{"camera": {"c01"}, "purpose": {"例行巡视"}})
	if a.status != 303 {
		t.Fatalf("opening live pictures: %d", a.status)
	}
	b.open(a.header.Get("Location"))
	entry := h.entry(t, from, "footage.access.open")
	var open opening
	decode(t, entry.Data, &open)
	if open.Mode != "live" || open.Camera != "c01" || open.Ground != "duty" {
		t.Errorf("the entry says %s", entry.Data)
	}
	b.plays()
	if m := <-first; m.size <= entry.Seq || entry.At.After(m.at) {
		t.Errorf("the first media was asked for at %s with %d entries in the log; the opening is entry %d of %s", m.at, m.size, entry.Seq, entry.At)
	}
	path := eval[string](b, "document.querySelector('[data-player]').getAttribute('data-src')")
	h.belongsTo(t, "zhou", "meng", path)
	if a := h.visitor(h.token(t, "zhou")).ask(t, "POST", "/shift/end", url.Values{}); a.status != 303 {
		t.Fatalf("signing off: %d", a.status)
	}
	end := h.entry(t, from, "footage.access.close")
	var c closing
	decode(t, end.Data, &c)
	if c.Opened != entry.Seq || c.Bytes == 0 || len(c.Delivered) == 0 {
		t.Errorf("the closing entry says %s", end.Data)
	}
	b.allow("status of 410")
	if a := h.visitor(h.token(t, "zhou")).ask(t, "GET", path, nil); a.status == 200 || isVideo(a) {
		t.Errorf("after signing off the playlist answers %d", a.status)
	}
	b.wait("word that it is over", "!document.querySelector('[data-scr=ended]').hidden")
	b.says("值班已结束")
}
