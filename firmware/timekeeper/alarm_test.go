package timekeeper

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
)

// Covers F3: a day without trust calls somebody, urgently and once, across a restart; two people then end it.
func TestADayOfDoubtIsAnAlarmOnceAndTwoPeopleEndIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t)
		b.start()
		b.after(5 * time.Minute)
		b.centre.cut(true)
		b.m.step(31 * 24 * time.Hour)
		if b.after(12 * time.Hour); len(b.kinds("clock.alarm")) != 0 || b.k.Explain().Doubted < 11*time.Hour {
			t.Fatalf("after half a day: %+v", b.k.Explain())
		}
		b.stop()
		b.start()
		if b.after(11 * time.Hour); len(b.kinds("clock.alarm")) != 0 {
			t.Fatal("alarm after less than a day")
		}
		b.after(2 * time.Hour)
		alarms := b.kinds("clock.alarm")
		if len(alarms) != 1 || !strings.Contains(string(alarms[0].Data), `"state":"suspect"`) || !strings.Contains(string(alarms[0].Data), `"hours":24`) || !ledger.Kinds["clock.alarm"].Urgent {
			t.Fatalf("%+v", alarms)
		}
		b.stop()
		b.start()
		if b.after(30 * time.Hour); len(b.kinds("clock.alarm")) != 1 || !b.k.Explain().Alarmed {
			t.Fatalf("%d alarms of one episode", len(b.kinds("clock.alarm")))
		}
		_, err := b.k.Confirm(t.Context(), person("p002"), account.RoleOfficer, truth(), twoPersons)
		must(t, err)
		done, err := b.k.Confirm(t.Context(), person("p004"), account.RoleLeader, truth(), twoPersons)
		must(t, err)
		r := b.after(2 * time.Minute)
		if !done || r.State != clock.Trusted || !contains(r, truth()) {
			t.Fatalf("%v %+v, truth %v", done, r, truth())
		}
		if x := b.k.Explain(); x.Doubted != 0 || x.Alarmed {
			t.Fatalf("the episode is not over: %+v", x)
		}
		b.stop()
	})
}

// Covers F3: the page can say of every source whether it speaks and whether it agrees.
func TestEverySourceIsExplained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t)
		b.centre.cut(true)
		b.start()
		b.k.Observe(clock.Observation{Source: "pushed", Origin: clock.OriginNVR, Mono: b.k.Mono(), UTC: truth(), Uncertainty: time.Second})
		b.after(2 * time.Minute)
		x := b.k.Explain()
		if len(x.Sources) != 3 {
			t.Fatalf("%+v", x.Sources)
		}
		for i, want := range []struct {
			name    string
			trouble Trouble
			speaks  bool
		}{{"centre", TroubleUnreachable, false}, {"host", "", true}, {"pushed", "", true}} {
			if s := x.Sources[i]; s.Name != want.name || s.Trouble != want.trouble || (s.Witness != nil) != want.speaks || (s.Witness != nil && !s.Witness.Fits) {
				t.Errorf("%+v, want %+v", s, want)
			}
		}
		b.stop()
	})
}
