package timekeeper

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"campuskeep/shared/clock"
)

// Covers F3: footage that was fetched is placed from the moment its anchor is given, and after a restart; the anchor
// of this boot is nobody's to give.
func TestAnAnchorFromOutsideIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t)
		b.start()
		b.after(5 * time.Minute)
		a := clock.Anchor{Boot: "nvr-n1-7", Mono: time.Second, UTC: truth().Add(-time.Hour), Uncertainty: time.Second}
		must(t, b.k.AddAnchor(t.Context(), a))
		must(t, b.k.AddAnchor(t.Context(), a))
		if at, _, ok := b.k.Anchors().UTC("nvr-n1-7", 2*time.Second); !ok || !at.Equal(a.UTC.Add(time.Second)) {
			t.Fatalf("placed at %v %v", at, ok)
		}
		if n := len(b.kinds("clock.anchor")); n != 2 {
			t.Fatalf("%d anchors on record, want our own and the fetched one once", n)
		}
		for _, boot := range []string{"", "boot-1"} {
			if err := b.k.AddAnchor(t.Context(), clock.Anchor{Boot: boot, UTC: truth()}); !errors.Is(err, ErrOwnBoot) {
				t.Fatalf("boot %q: %v", boot, err)
			}
		}
		b.stop()
		if err := b.k.AddAnchor(t.Context(), clock.Anchor{Boot: "nvr-n1-8", UTC: truth()}); err == nil || b.k.Anchors().Has("nvr-n1-8") {
			t.Fatalf("an anchor that could not be recorded is known: %v", err)
		}
		b.start()
		if !b.k.Anchors().Has("nvr-n1-7") {
			t.Fatal("forgotten by a restart")
		}
		b.stop()
	})
}

// Covers F3: NVRs come and go as witnesses while the clock runs; what one said counts no more once it is set from us.
func TestSourcesComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t)
		b.centre.cut(true)
		b.start()
		if r := b.after(5 * time.Minute); r.State != clock.Untrusted {
			t.Fatal(r.State)
		}
		n := &witness{name: "nvr.n1", m: b.m}
		b.k.AddSource(n)
		b.k.AddSource(n)
		if r := b.after(2 * time.Minute); r.State != clock.Trusted || len(b.k.Explain().Witnesses) != 2 {
			t.Fatalf("%s with %+v", r.State, b.k.Explain().Witnesses)
		}
		n.tell(31 * 24 * time.Hour)
		if r := b.after(2 * time.Minute); r.State != clock.Trusted { // the host's clock keeps to the line
			t.Fatal(r.State)
		}
		b.m.step(-time.Hour)
		if r := b.after(2 * time.Minute); r.State != clock.Suspect {
			t.Fatal(r.State)
		}
		b.m.step(time.Hour)
		b.k.RemoveSource("nvr.n1")
		if r := b.after(2 * time.Minute); r.State != clock.Trusted || len(b.k.Explain().Witnesses) != 1 || !contains(r, truth()) {
			t.Fatalf("%+v with %+v", r, b.k.Explain().Witnesses)
		}
		b.stop()
	})
}

// witness is an NVR's clock under the test's hand.
type witness struct {
	name string
	m    *machine
	off  time.Duration
}

func (w *witness) Name() string         { return w.name }
func (w *witness) Origin() clock.Origin { return clock.OriginNVR }

func (w *witness) tell(off time.Duration) {
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	w.off = off
}

func (w *witness) Observe(context.Context) (clock.Observation, error) {
	w.m.mu.Lock()
	off := w.off
	w.m.mu.Unlock()
	return clock.Observation{Source: w.name, Origin: clock.OriginNVR, Mono: w.m.Boottime(), UTC: truth().Add(off), Uncertainty: time.Second}, nil
}
