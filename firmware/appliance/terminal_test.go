package appliance_test

import (
	"bytes"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/appliance"
	terminalsim "campuskeep/scripts/sim/terminal"
	"campuskeep/shared/attendance"
)

// A network terminal is registered, gets its access code, is proven by one mark, and a pupil's user number is handed out
// by using the terminal; from then on marks are taps on the roll, each once. All over real HTTP, on the pages alone.
// Covers S6, S7, F11.
func TestTerminalFromRegistrationToTheRoll(t *testing.T) {
	var cfg appliance.Config
	b := newBoxWith(t, func(_ *box, c *appliance.Config) { c.Terminals.Listen, cfg = "127.0.0.1:0", *c })
	cfg.Terminals.Listen = "127.0.0.1:0"
	var out bytes.Buffer
	if found, err := appliance.Check(t.Context(), cfg, false, &out); err != nil || found != 0 {
		t.Errorf("check of the running box: %d, %v: %s", found, err, out.String())
	}
	b.post("admin", "/readers/new", url.Values{"id": {"r08"}, "kind": {"iclock"}, "name": {"北门终端"}, "direction": {"auto"}, "serial": {"CKUF201260123"}, "host": {"127.0.0.1"}})
	code := regexp.MustCompile(`/([a-z2-7]{26})<`).FindStringSubmatch(b.ask("admin", "POST", "/readers/r08/token", nil).body)
	if code == nil {
		t.Fatal("no access code is shown")
	}
	sim := &terminalsim.Iclock{URL: "http://" + b.TerminalAddress().String() + "/" + code[1], Serial: "CKUF201260123", Zone: b.zone, Now: time.Now, Client: &http.Client{Timeout: 20 * time.Second}}
	b.until("the terminal to be served", func() bool { return sim.Hello(t.Context()) == nil })
	b.says("admin", "/readers/r08", "终端时钟尚未核对")

	pupil := b.filled.Cards[3].Student
	n := regexp.MustCompile(`name="n" value="(\d+)"`)
	sim.Hold(1003, 15)
	if got, err := sim.Deliver(t.Context()); err != nil || got != 1 {
		t.Fatalf("%d acknowledged, %v", got, err)
	}
	b.says("admin", "/readers/r08", "终端时钟</dt>")
	path := "/readers/enrol?" + url.Values{"student": {pupil}, "reader": {"r08"}, "after": {"0"}}.Encode()
	seen := n.FindStringSubmatch(b.says("zheng", path, "user:1003"))
	if seen == nil {
		t.Fatal("the user number is not offered")
	}
	b.post("zheng", "/readers/enrol", url.Values{"student": {pupil}, "reader": {"r08"}, "n": {seen[1]}})

	before := len(b.entries("attendance.tap"))
	sim.Twice = true
	sim.Hold(1003, 4) // by card this time, perhaps within the same second
	if got, err := sim.Deliver(t.Context()); err != nil || got != 2 {
		t.Fatalf("%d acknowledged, %v", got, err)
	}
	date := time.Now().In(b.zone).Format(attendance.DateLayout)
	_, last, err := b.Gate.SchoolDay(date)
	b.must(err)
	if tap := last[pupil]; tap.Reader != "r08" || tap.Said.IsZero() || tap.Unsure {
		t.Errorf("the last tap of the pupil: %+v", tap)
	}
	e := b.entries("attendance.tap")
	if len(e) != before+1 || e[len(e)-1].Subject != pupil {
		t.Errorf("%d entries after one mark that was sent twice", len(e)-before)
	}
	if body := b.get("admin", "/api/v1/readers/r08").body; !strings.Contains(body, `"state":"online"`) || !strings.Contains(body, `"reads":`+strconv.Itoa(2)) {
		t.Errorf("the interface says %s", body)
	}
}
