package nvr_test

import (
	"testing"
	"time"

	"campuskeep/firmware/nvr"
	"campuskeep/firmware/vault"
	sim "campuskeep/scripts/sim/nvr"
)

// Covers F20: what an NVR keeps is seen live, over one connection for all who watch, and over none when nobody does.
func TestACameraOfAnNVRIsSeenLive(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.register()
	first, stop := r.Tail("c01")
	second, stopSecond := r.Tail("c01")
	next := func(ch <-chan vault.LiveFragment) vault.LiveFragment {
		t.Helper()
		select {
		case f, ok := <-ch:
			if !ok {
				t.Fatal("it ended")
			}
			return f
		case <-time.After(time.Minute):
			t.Fatal("no pictures")
		}
		return vault.LiveFragment{}
	}
	a, b := next(first), next(first)
	if !a.Key || len(a.Init) == 0 || a.Codec != "h264" || a.Camera != "c01" || a.Session != b.Session || b.From != a.To {
		t.Errorf("%v %v %v, then %v", a.Key, a.Codec, a.FragmentInfo, b.FragmentInfo)
	}
	if c := next(second); c.Session != a.Session {
		t.Error("another connection for the second")
	}
	if c := r.nvr.Counts(); c.Playbacks != 1 {
		t.Errorf("%+v", c)
	}
	stop()
	next(second)
	stopSecond()
	r.await("the end of the connection", func() bool { return r.nvr.Playing() == 0 })
	if _, there := <-drained(first); there {
		t.Error("the channel is open")
	}
}

func drained(ch <-chan vault.LiveFragment) <-chan vault.LiveFragment {
	for range cap(ch) {
		if _, ok := <-ch; !ok {
			break
		}
	}
	return ch
}

// A wrong password is tried once, live too, and a camera of no NVR gives nothing.
func TestLiveTriesAWrongPasswordOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.register()
	r.nvr.Set(func(_ *sim.Habits, f *sim.Faults) { f.LockAfter = 3 })
	r.nvr.SetPassword("another")
	for range 3 {
		ch, stop := r.Tail("c01")
		for range ch {
			t.Error("pictures")
		}
		stop()
	}
	if c := r.nvr.Counts(); c.Refused != 1 {
		t.Errorf("%+v", c)
	}
	if _, err := r.Check(t.Context(), "n01"); err == nil || r.nvr.Counts().Refused != 1 {
		t.Errorf("the check tried it again: %v", err)
	}
	if s, _, err := r.State("n01"); err != nil || s.Fault != nvr.FaultCredentials {
		t.Errorf("%+v, %v", s, err)
	}
	ch, stop := r.Tail("c99")
	defer stop()
	if _, there := <-ch; there {
		t.Error("pictures of nobody")
	}
}
