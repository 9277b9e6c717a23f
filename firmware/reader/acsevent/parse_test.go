package acsevent

import (
	"strings"
	"testing"
	"time"
)

func TestTimesOfTerminals(t *testing.T) {
	want := time.Date(2026, 5, 19, 23, 40, 0, 0, time.UTC)
	for s, local := range map[string]bool{"2026-05-20T07:40:00+08:00": false, "2026-05-20T07:40:00Z": true, "2026-05-19T23:40:00Z": false, "2026-05-20T07:40:00": false, "2026-05-20T01:40:00+02:00": true} {
		got, ok := parseTime(s)
		if !ok || !got.in(shanghai, local).Equal(want) {
			t.Errorf("%s: %+v, %v", s, got, ok)
		}
	}
	for _, bad := range []string{"", "Z", "2026-05-20", "2026-13-20T07:40:00+08:00", "2026-05-20T07:40:00+0800", "1970-01-01T00:00:00Z", "2026-05-20 07:40:00"} {
		if got, ok := parseTime(bad); ok {
			t.Errorf("%q was taken as %+v", bad, got)
		}
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	for _, bad := range []string{"", "{}", "[]", `{"AcsEvent":{}}`, `{"AcsEvent":{"totalMatches":-1,"responseStatusStrg":"OK"}}`, `{"AcsEvent":{"totalMatches":1,"responseStatusStrg":"FAILED"}}`,
		`{"AcsEvent":{"totalMatches":200,"responseStatusStrg":"MORE","InfoList":[` + strings.Repeat(`{},`, 150) + `{}]}}`} {
		if p, err := parsePage([]byte(bad)); err == nil {
			t.Errorf("%.60q was taken as %+v", bad, p)
		}
	}
	p, err := parsePage([]byte(`{"AcsEvent":{"totalMatches":3,"responseStatusStrg":"MORE","InfoList":[{"serialNo":7,"major":5,"minor":1,"time":"2026-05-20T07:40:00+08:00","cardNo":"77771716"},{"serialNo":"8"},{"serialNo":9,"time":"yesterday"}]}}`))
	if err != nil || !p.More || p.Bad != 2 || len(p.Events) != 1 || !p.Events[0].tapped() || p.Events[0].cards()[0].String() != "04A2B3C4" {
		t.Errorf("%+v, %v", p, err)
	}
}

// What is read is bounded and printable, and a cursor reads back.
func FuzzAcsEvent(f *testing.F) {
	f.Add([]byte(`{"AcsEvent":{"totalMatches":1,"responseStatusStrg":"OK","InfoList":[{"serialNo":7,"major":5,"minor":75,"time":"2026-05-20T07:40:00Z","employeeNoString":"1001"}]}}`))
	f.Add([]byte(`<Time><localTime>2026-05-20T07:40:00+08:00</localTime></Time>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := parsePage(b); err == nil {
			if len(p.Events)+p.Bad > 4*pageSize || p.Total < 0 {
				t.Fatalf("%d events, %d bad, total %d", len(p.Events), p.Bad, p.Total)
			}
			for _, e := range p.Events {
				for _, c := range e.cards() {
					if c.Bits != 8*len(c.Raw) || len(c.Raw) > 9 {
						t.Fatalf("card %+v", c)
					}
				}
				at := cursor{e.Serial, e.Time.Shown.Unix()}
				if again, ok := parseCursor(at.String()); !ok || again != at {
					t.Fatalf("%s is read as %+v", at, again)
				}
				_ = e.Time.in(shanghai, true)
			}
		}
		if d, err := parseDevice(b); err == nil && (len(d.code()) > maxText || strings.ContainsAny(d.Model+d.Firmware, "\r\n ")) {
			t.Fatalf("%+v", d)
		}
		if s, err := parseClock(b); err == nil && s.Shown.IsZero() {
			t.Fatal("no time")
		}
	})
}
