package e2e

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"campuskeep/shared/attendance"
)

// tap holds a card to the reader while the gate's page is open: the pupil appears without the page being loaded
// again, and the reader beeped once, after the record was on the disk. Covers S6.
func (h *env) tap(t *testing.T) {
	b := h.tab(t, "zheng")
	b.open("/gate")
	until(t, "a reader on the line", func() bool { return strings.Contains(h.readerState(b), "在线") })
	eval[bool](b, "window.sameDocument = true")
	h.tapOnce(t, b, 7)
	b.wait("the word for a screen reader", "document.querySelector('[data-announced][role=status]').textContent.includes(document.querySelector('#board section[aria-labelledby=g3] tbody th').firstChild.data)")
	h.tapOnce(t, b, 211)
	if !eval[bool](b, "window.sameDocument === true") {
		t.Error("the page was loaded again")
	}
	b.click("button[data-fullscreen]")
	b.wait("the big board", "document.fullscreenElement === document.querySelector('#board')")
	h.tapOnce(t, b, 402)
	teacher := h.tab(t, "luo")
	teacher.open("/gate")
	teacher.follow("a.cls")
	if got := teacher.where(); !strings.HasPrefix(got, "/gate/class/") {
		t.Errorf("a class leads to %s", got)
	}
}

func (h *env) readerState(b *tab) string {
	b.open("/gate")
	return eval[string](b, "document.querySelector('#board').innerText")
}

func (h *env) tapOnce(t *testing.T, b *tab, n int) {
	t.Helper()
	card, err := attendance.ParseCard(h.filled.Cards[n].UID)
	if err != nil {
		t.Fatal(err)
	}
	const rows = "document.querySelectorAll('#board section[aria-labelledby=g3] tbody tr').length"
	before, from := eval[int](b, rows), h.box.Store.Size()
	began := time.Now()
	h.reader.Tap(card.Raw)
	b.wait("the tap on the page", rows+" > "+strconv.Itoa(before))
	seen := time.Since(began)
	e := h.entry(t, from, "attendance.tap")
	select {
	case beep := <-h.beeps:
		if beep.Beeps != 1 || beep.Tone > 500*time.Millisecond {
			t.Errorf("%d beeps of %s, want a short one", beep.Beeps, beep.Tone)
		}
		if beep.At.Before(e.At) {
			t.Errorf("beeped at %s, the record is of %s", beep.At, e.At)
		}
	case <-time.After(patience):
		t.Error("nobody heard a beep")
	}
	select {
	case beep := <-h.beeps:
		t.Errorf("a second signal: %d beeps of %s", beep.Beeps, beep.Tone)
	case <-time.After(300 * time.Millisecond):
	}
	if name := h.box.People.Name(h.filled.Cards[n].Student); strings.Contains(string(e.Data), name) || e.Subject != h.filled.Cards[n].Student {
		t.Errorf("the entry is about %s: %s", e.Subject, e.Data)
	}
	t.Logf("card %d: on the page after %s", n, seen.Round(time.Millisecond))
}
