package e2e

import (
	"fmt"
	"net/url"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"
)

// noLogNoFootage: while nothing can be written, nobody begins to watch: the page says why, the answer is 503 and
// holds nothing of a picture. Once there is room again all goes on. Covers F13.
func (h *env) noLogNoFootage(t *testing.T) {
	at := h.quiet(0)
	b := h.tab(t, "leader")
	b.allow("status of 503")
	b.open(fmt.Sprintf("/footage?camera=c02&day=%s&t=%s", at.Format(time.DateOnly), at.Format("15:04")))
	b.states("核实看台秩序")
	session := h.visitor(h.token(t, "leader"))
	form := url.Values{"camera": {"c02"}, "day": {at.Format(time.DateOnly)}, "from": {at.Format("15:04")}, "to": {at.Add(10 * time.Minute).Format("15:04")}, "purpose": {"核实看台秩序"}}
	size := h.box.Store.Size()
	restore := noRoom(t)
	b.follow("form[action='/footage/view'] button")
	b.says("日志无法写入", "系统未播放任何画面")
	direct := session.ask(t, "POST", "/footage/view", form)
	restore()
	if direct.status != 503 || isVideo(direct) || direct.header.Get("Location") != "" {
		t.Errorf("the direct request is answered %d with Location %q", direct.status, direct.header.Get("Location"))
	}
	if n := len(h.entries(t, size, "footage.access.open")); n != 0 {
		t.Errorf("%d openings in the log", n)
	}
	var again answer
	until(t, "an answer with room again", func() bool {
		again = session.ask(t, "POST", "/footage/view", form)
		return again.status == 303
	})
	list := session.ask(t, "GET", "/media/"+strings.TrimPrefix(again.header.Get("Location"), "/view/")+"/playlist.m3u8", nil)
	if list.status != 200 || !isVideo(list) {
		t.Errorf("afterwards the playlist answers %d", list.status)
	}
	if a := session.ask(t, "POST", again.header.Get("Location")+"/close", url.Values{}); a.status != 204 {
		t.Errorf("the end is answered %d", a.status)
	}
}

// noRoom takes the room for files away from the whole process, as a full disk would: the kernel refuses to write
// beyond the two pages that say which state of the log counts. restore gives it back.
func noRoom(t *testing.T) (restore func()) {
	t.Helper()
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 8192, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	done := false
	restore = func() {
		if done {
			return
		}
		done = true
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(restore)
	return restore
}
