package nvr_test

import (
	"testing"
	"time"

	"campuskeep/firmware/nvr"
	sim "campuskeep/scripts/sim/nvr"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
)

// Covers F2: what was fetched from a channel that the camera was not on is not shown as the camera's, and is
// fetched from where the camera was.
func TestWhatCameFromTheWrongChannelIsSetAside(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *sim.Options) {
		o.Speed, o.Habits.Dated = 5000, true
		o.Channels = append(o.Channels, sim.Channel{ID: 2, Name: "two", Online: true, Days: 30, Keep: true, Pieces: sim.Hours(noon.Add(-30*day), noon)})
	})
	r.register()
	r.check()
	span := at(-50*time.Hour, -50*time.Hour+20*time.Second)
	src := r.Source(r.vault.Source(r.places))
	vaulted := func() (n int) {
		list, err := src.Segments(t.Context(), "c01", span)
		r.must(err)
		for _, p := range list {
			if p.Custody == footage.CustodyVault {
				n++
			}
		}
		return n
	}
	first := r.bring(span)
	if first.State != nvr.FetchDone || vaulted() == 0 {
		t.Fatalf("%+v", first)
	}
	waiting, err := r.Fetch(t.Context(), account.System, "c01", at(-40*time.Hour, -40*time.Hour+5*time.Second), "a2026-0002")
	r.must(err)
	r.must(r.Reassign(t.Context(), technician, "n01", r.Revision("n01"), map[string]int{"c01": 2}, time.Time{}))
	if n := vaulted(); n != 0 {
		t.Errorf("%d segments of the wrong channel are still the camera's", n)
	}
	if len(r.fetched()) == 0 {
		t.Error("they are gone from the vault")
	}
	aside := r.entries("nvr.fetched")
	last := data[struct {
		Fetch, Result, Reason string
		Spans                 []footage.Span
	}](t, aside[len(aside)-2])
	if last.Fetch != first.ID || last.Result != "aside" || len(last.Spans) != 1 || aside[len(aside)-2].Actor.ID != "p001" {
		t.Errorf("%+v", last)
	}
	if f, _, err := r.FetchOf(waiting.ID); err != nil || f.State != nvr.FetchFailed || f.Reason != "rewired" {
		t.Errorf("%+v, %v", f, err)
	}
	// The same ground brings it from the right channel.
	r.check()
	r.must(r.EnsureFetched(t.Context(), account.System, "c01", span, "a2026-0001", false))
	stop := r.run()
	defer stop()
	r.await("the right one", func() bool {
		p, ok, err := r.Progress("c01", span)
		r.must(err)
		return ok && p.State == nvr.FetchDone
	})
	all, err := r.Fetches()
	r.must(err)
	if got := all[len(all)-1]; got.Track != "201" || vaulted() == 0 {
		t.Errorf("%+v", got)
	}
	r.must(r.EnsureFetched(t.Context(), account.System, "c01", span, "a2026-0001", false))
	if again, err := r.Fetches(); err != nil || len(again) != len(all) {
		t.Errorf("asked again: %d, %v", len(again), err)
	}
}

// From an instant on, what was fetched before it stays.
func TestOnlyWhatLiesBehindTheInstantIsSetAside(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *sim.Options) {
		o.Speed = 5000
		o.Channels = append(o.Channels, sim.Channel{ID: 2, Name: "two", Online: true, Days: 30, Keep: true, Pieces: sim.Hours(noon.Add(-30*day), noon)})
	})
	r.register()
	r.check()
	before, behind := at(-50*time.Hour, -50*time.Hour+10*time.Second), at(-10*time.Hour, -10*time.Hour+10*time.Second)
	r.bring(before)
	r.bring(behind)
	r.must(r.Reassign(t.Context(), technician, "n01", r.Revision("n01"), map[string]int{"c01": 2}, noon.Add(-20*time.Hour)))
	src := r.Source(r.vault.Source(r.places))
	for _, c := range []struct {
		span footage.Span
		want bool
	}{{before, true}, {behind, false}} {
		list, err := src.Segments(t.Context(), "c01", c.span)
		r.must(err)
		there := false
		for _, p := range list {
			there = there || p.Custody == footage.CustodyVault
		}
		if there != c.want {
			t.Errorf("%v: %v", c.span, there)
		}
	}
}

// What a row says was fetched and the vault has lost is fetched again, and not every time that it is asked for.
func TestWantGoesByWhatTheVaultHas(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *sim.Options) { o.Speed = 5000 })
	r.register()
	r.check()
	span := at(-50*time.Hour, -50*time.Hour+10*time.Second)
	r.bring(span)
	var lost []footage.Segment
	for _, p := range r.fetched() {
		lost = append(lost, p.Segment)
	}
	if failed := r.vault.Unlink(t.Context(), lost); len(failed) > 0 {
		t.Fatal(failed)
	}
	r.must(r.vault.DropRows(lost))
	want := func() int {
		r.must(r.EnsureFetched(t.Context(), account.System, "c01", span, "a2026-0001", false))
		all, err := r.Fetches()
		r.must(err)
		return len(all)
	}
	if n := want(); n != 1 {
		t.Errorf("at once: %d fetches", n)
	}
	r.world.pass(2 * time.Hour)
	if n := want(); n != 2 {
		t.Errorf("later: %d fetches", n)
	}
	if n := want(); n != 2 {
		t.Errorf("while it is on its way: %d fetches", n)
	}
}
