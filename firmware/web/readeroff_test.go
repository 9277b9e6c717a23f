package web

import (
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/reader"
	"campuskeep/firmware/site"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
)

// A reader that is dead while another takes the taps makes those who do not come unknown: the first page says so
// after a quarter of an hour, to those who see the whole gate, until it is back.
func TestDeadReaderIsOnTheFirstPage(t *testing.T) {
	h := newEnv(t)
	for id, way := range map[string]attendance.Direction{"r02": attendance.In, "r03": attendance.Out} {
		h.must(h.site.PutReader(t.Context(), account.System, site.Reader{ID: id, Name: "备用 " + id, Direction: way, Port: "/dev/ttyS1", Address: int(id[2] - '0')}))
	}
	state := func(s reader.State, reason string) {
		for _, id := range []string{"r02", "r03"} {
			h.must(h.gate.ReaderState(t.Context(), reader.Status{Reader: id, State: s, Reason: reason, Since: h.clock.Now().Mono}))
		}
	}
	pass := func(d time.Duration) {
		h.clock.change(func(r *clock.Reading) { r.Wall, r.Mono = r.Wall.Add(d), r.Mono+d })
	}
	const in, out = "到恢复为止，未刷卡学生的缺勤不能判断", "到恢复为止，离校时间不能判断"
	says := func(login string, want bool, when string) {
		t.Helper()
		body := h.as(login).get("/").Body
		for _, s := range []string{in, out, "读卡器“备用 r02”离线"} {
			if strings.Contains(body, s) != want {
				t.Errorf("%s, %s: %q on the page: %v", login, when, s, !want)
			}
		}
	}
	state(reader.Offline, reader.ReasonSilent)
	pass(10 * time.Minute)
	says("zheng", false, "after 10 minutes")
	h.tap(1, 1)
	pass(6 * time.Minute)
	says("zheng", true, "after 16 minutes")
	says("lin", true, "after 16 minutes")
	says("luo", false, "after 16 minutes")
	if body := h.as("zheng").get("/").Body; !strings.Contains(body, "离线自今日 09:42；") {
		t.Error("not said since when")
	}
	pass(3 * 24 * time.Hour) // Saturday
	says("zheng", false, "on a day without school")
	pass(2 * 24 * time.Hour)
	says("zheng", true, "on Monday")
	state(reader.Online, reader.ReasonAnswers)
	says("zheng", false, "when it is back")
}
