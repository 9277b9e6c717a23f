package ledgerdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"campuskeep/shared/clock"
	"campuskeep/shared/clock/clocktest"
	"campuskeep/shared/ledger"
)

// atStart is a clock at the start of its boot.
func atStart() *clocktest.Clock {
	return clocktest.New(clock.Reading{Wall: time.Date(2026, 5, 20, 1, 0, 0, 0, time.UTC), State: clock.Trusted, Boot: "boot-1"})
}

// caused is an entry of a kind as a device causes it.
func caused(kind ledger.Kind, device string, n int, at time.Time) ledger.Draft {
	data := map[string]any{}
	for _, f := range ledger.Kinds[kind].Data {
		if !f.Required && f.Name != ledger.Limits[kind].Variant {
			continue
		}
		data[f.Name] = map[ledger.Type]any{ledger.Code: "x1", ledger.Int: n, ledger.Time: at, ledger.Hash: make([]byte, 32), ledger.Bool: n%2 == 0,
			ledger.Codes: []string{"a"}, ledger.Spans: []map[string]time.Time{}}[f.Type]
	}
	return ledger.Draft{Actor: ledger.System, Via: ledger.ViaSystem, Kind: kind, Subject: device, Data: data}
}

// Whatever a device causes, for hours, the log has a bounded number of entries of it in each hour, and says how many
// it does not have.
func TestNoDeviceFloodsTheLog(t *testing.T) {
	hc := atStart()
	o := testOptions(t, t.TempDir())
	o.Clock = hc
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for kind, limit := range ledger.Limits {
		t.Run(string(kind), func(t *testing.T) {
			const hours = 2
			each := 3 * limit.PerHour
			perHour, shown, held, last := map[int]int{}, 0, 0, ""
			note := func(hour int, list []ledger.Draft) {
				for _, d := range list {
					perHour[hour]++
					raw, _ := json.Marshal(d.Data)
					if d.Kind == "log.held" {
						var x struct{ Count int }
						_ = json.Unmarshal(raw, &x)
						held += x.Count
						continue
					}
					shown, last = shown+1, string(raw)
				}
			}
			refused, newest := 0, ""
			for hour := range hours {
				for n := range each {
					d := caused(kind, "dev1", n, hc.Now().Wall.UTC())
					c, _, err := s.admit(Change{Entries: []ledger.Draft{d}})
					if err != nil {
						if !limit.Whole || !errors.Is(err, ErrRateLimited) {
							t.Fatal(err)
						}
						refused++
					} else {
						raw, _ := json.Marshal(d.Data)
						newest = string(raw)
						note(hour, c.Entries)
					}
					if n%max(1, each/100) == 0 {
						r := hc.Now()
						note(hour, s.limiter.due(r.Boot, r.Mono, false))
					}
					hc.Pass(time.Hour / time.Duration(each))
				}
			}
			hc.Pass(limitCalm)
			r := hc.Now()
			note(hours-1, s.limiter.due(r.Boot, r.Mono, false))
			for hour, n := range perHour {
				if n > limit.PerHour+30 {
					t.Errorf("%d entries in hour %d, %d are allowed", n, hour, limit.PerHour)
				}
			}
			if !limit.Join && shown+held+refused != hours*each {
				t.Errorf("%d entered, %d counted, %d refused of %d", shown, held, refused, hours*each)
			}
			if !limit.Join && last != newest {
				t.Errorf("the log ends with %s, true is %s", last, newest)
			}
			hc.Pass(2 * limitWindow)
			r = hc.Now()
			if late := s.limiter.due(r.Boot, r.Mono, false); len(late) > 0 {
				t.Errorf("told twice: %v", late)
			}
		})
	}
	if n := len(s.limiter.devices); n > 0 {
		t.Errorf("%d devices are still remembered when all is quiet", n)
	}
}

// Another device, and another kind, are not held back for one that floods.
func TestOneDeviceDoesNotSilenceAnother(t *testing.T) {
	o := testOptions(t, t.TempDir())
	o.Clock = atStart()
	s, stop := start(t, o)
	for n := range 500 {
		commit(t, s, Change{Entries: []ledger.Draft{caused("footage.gap", "c01", n, o.Clock.Now().Wall.UTC())}})
	}
	before := s.Size()
	commit(t, s, Change{Entries: []ledger.Draft{caused("footage.gap", "c02", 1, o.Clock.Now().Wall.UTC()), caused("footage.gap", "c01", 501, o.Clock.Now().Wall.UTC())}})
	commit(t, s, Change{Entries: []ledger.Draft{caused("system.fault", "c01", 1, o.Clock.Now().Wall.UTC())}})
	if got := s.Size() - before; got != 2 {
		t.Errorf("%d entries, 2 are due: one of the other camera, one of the other kind", got)
	}
	stop() // what is held back is entered before the program ends
	again, _ := start(t, o)
	page, err := again.Search(context.Background(), Query{Kinds: []ledger.Kind{"footage.gap"}, About: []string{"c01"}, Limit: 1})
	if err != nil || len(page.Entries) != 1 {
		t.Fatal(page, err)
	}
	var last struct{ Count int }
	if err := json.Unmarshal(page.Entries[0].Data, &last); err != nil || last.Count != 501-ledger.Limits["footage.gap"].PerHour {
		t.Errorf("the last entry joins %d interruptions: %s %v", last.Count, page.Entries[0].Data, err)
	}
	wantClean(t, again)
}

// What is joined reaches from the first beginning to the last end.
func TestJoinedEntries(t *testing.T) {
	hc := atStart()
	o := testOptions(t, t.TempDir())
	o.Clock = hc
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	limit := ledger.Limits["footage.gap"].PerHour
	began := hc.Now().Wall.UTC()
	for n := range limit + 10 {
		from := began.Add(time.Duration(n) * time.Second)
		d := ledger.Draft{Actor: ledger.System, Via: ledger.ViaSystem, Kind: "footage.gap", Subject: "c01",
			Data: map[string]any{"from": from, "to": from.Add(500 * time.Millisecond), "cause": []string{"offline", "stalled"}[n%2]}}
		if _, _, err := s.admit(Change{Entries: []ledger.Draft{d}}); err != nil {
			t.Fatal(err)
		}
	}
	out := s.limiter.due("boot-1", time.Hour, false)
	if len(out) != 2 {
		t.Fatalf("%d entries, one for each cause is due: %v", len(out), out)
	}
	raw, _ := json.Marshal(out[1].Data)
	want := fmt.Sprintf(`{"cause":"stalled","count":5,"from":%q,"to":%q}`, began.Add(time.Duration(limit+1)*time.Second).Format(time.RFC3339Nano), began.Add(time.Duration(limit+9)*time.Second+500*time.Millisecond).Format(time.RFC3339Nano))
	if string(raw) != want {
		t.Errorf("joined to %s, want %s", raw, want)
	}
}

// A Change whose rows need their entry is refused whole, again and again at no cost, until the hour is over.
func TestRowsThatNeedTheirEntryWait(t *testing.T) {
	hc := atStart()
	o := testOptions(t, t.TempDir())
	o.Clock = hc
	s, _ := start(t, o)
	n := 0
	say := func() error {
		n++
		_, err := s.Commit(context.Background(), Change{Puts: []Put{boundTable.Put("state", n)}, Entries: []ledger.Draft{caused("fault.opened", "c01", n, hc.Now().Wall.UTC())}})
		return err
	}
	for range ledger.Limits["fault.opened"].PerHour {
		if err := say(); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		if err := say(); !errors.Is(err, ErrRateLimited) {
			t.Fatalf("one too many: %v", err)
		}
	}
	hc.Pass(limitWindow)
	if err := say(); err != nil {
		t.Errorf("in the next hour: %v", err)
	}
	if v, _, _ := get(t, s, boundTable, "state"); v != n {
		t.Errorf("the row says %d, true is %d", v, n)
	}
	wantClean(t, s)
}
