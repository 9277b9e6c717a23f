package appliance_test

import (
	"bytes"
	"encoding/hex"
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
	b.asksTerminal(t)
}

// asksTerminal registers a terminal that is asked, with a log-in, and a card that is held to it is a tap.
func (b *box) asksTerminal(t *testing.T) {
	sim := &terminalsim.Hikvision{User: "gate", Password: "right horse", Serial: "DS-K1T671M2021", Zone: b.zone, Now: time.Now, Zulu: true}
	sim.Add(5, 1, "77771716", "")
	server, host := sim.Start()
	defer server.Close()
	b.post("admin", "/readers/new", url.Values{"id": {"r09"}, "kind": {"hikvision"}, "name": {"南门终端"}, "direction": {"in"}, "host": {host}, "user": {"gate"}, "password": {"wrong horse"}})
	b.says("admin", "/readers/r09", "用户名或密码不对")
	b.post("admin", "/readers/r09", url.Values{"kind": {"hikvision"}, "name": {"南门终端"}, "direction": {"in"}, "host": {host}, "user": {"gate"}, "password": {"right horse"}, "rev": {strconv.FormatUint(b.Site.ReaderRev("r09"), 10)}})
	b.until("the terminal to be read", func() bool { return strings.Contains(b.get("admin", "/api/v1/readers/r09").body, `"state":"online"`) })
	card, err := attendance.ParseCard(b.filled.Cards[8].UID)
	b.must(err)
	number, err := strconv.ParseUint(hex.EncodeToString(card.Raw), 16, 64)
	b.must(err)
	sim.Add(5, 1, strconv.FormatUint(number, 10), "")
	b.until("the card as a tap", func() bool {
		_, last, err := b.Gate.SchoolDay(time.Now().In(b.zone).Format(attendance.DateLayout))
		b.must(err)
		return last[b.filled.Cards[8].Student].Reader == "r09"
	})
	var refused int
	if sim.Set(func(h *terminalsim.Hikvision) { refused = h.Refused }); refused != 1 {
		t.Errorf("the wrong password was tried %d times", refused)
	}
}
