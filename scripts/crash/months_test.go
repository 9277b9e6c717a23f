package crash

import (
	"strings"
	"testing"
	"time"

	"campuskeep/shared/footage"
)

// A box without a clock chip is without power for months. Until it knows the time nothing is deleted; then what is
// overdue goes and nothing else, the months are one gap of each camera in their true length, and the check is clean.
// Covers F3, I4.
func TestMonthsWithoutPower(t *testing.T) {
	if testing.Short() {
		t.Skip("records for a while")
	}
	t.Parallel()
	h, sky := newEnv(t, place{alone: true, inside: true}), &sky{}
	names := []string{"c01", "c02"}
	b := h.boot(sky, "boot-1", nil)
	b.trusted()
	b.recorded(names...)
	off := sky.now()
	b.stop()
	sky.pass(3 * month)

	b = h.boot(sky, "boot-2", nil)
	on := sky.now()
	b.recorded(names...)
	b.sweeps()
	for _, name := range names {
		if b.files(name, "boot-1") == 0 {
			t.Errorf("%s: deleted by a clock that nobody trusts", name)
		}
	}
	b.trusted()
	b.recorded(names...)
	for _, name := range names {
		b.until("the end of what is overdue", func() bool { b.sweeps(); return b.files(name, "boot-1") == 0 })
	}
	h.gapsOfPower(b, names, off, on)
	if got := b.findings(); len(got) > 0 {
		t.Errorf("check: %s", strings.Join(got, "\n"))
	}
	b.stop()
	b = h.boot(sky, "boot-3", nil)
	b.trusted()
	for _, name := range names {
		if b.files(name, "boot-2") == 0 {
			t.Errorf("%s: what was recorded after the months is not there", name)
		}
	}
	b.stop()
}

// gapsOfPower wants one gap of each camera, from when the power went to when it came back.
func (h *env) gapsOfPower(b *inner, names []string, off, on time.Time) {
	h.t.Helper()
	const near = 30 * time.Second // to start and to stop
	gaps := func() map[string][]facts {
		out := map[string][]facts{}
		for _, e := range h.entries() {
			if e.Kind != "footage.gap" {
				continue
			}
			if d := e.data(h.t); d.Cause == string(footage.CausePowerOff) && d.To.Sub(d.From) > near {
				out[e.Subject] = append(out[e.Subject], d)
			}
		}
		return out
	}
	for _, name := range names {
		b.until("the gap of "+name, func() bool { return len(gaps()[name]) > 0 })
	}
	for _, name := range names {
		got := gaps()[name]
		if len(got) != 1 || got[0].From.Sub(off).Abs() > near || got[0].To.Sub(on).Abs() > near {
			h.t.Errorf("%s: gaps %+v, want one from %s to %s", name, got, off, on)
		}
	}
}
