package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"campuskeep/shared/account"
	"campuskeep/shared/footage"
)

// opening and closing are the two entries of a viewing.
type opening struct {
	Viewing, Camera, Mode, Ground, Application string
	From, To                                   time.Time
}

type closing struct {
	Viewing   string
	Opened    uint64
	Delivered []footage.Span
	Bytes     int64
	Reason    string
}

// watch goes from the ribbon to the picture: the entry is in the log before the first byte is asked for, and says
// afterwards what was delivered. Covers F10, F12, F13.
func (h *env) watch(t *testing.T) {
	b := h.tab(t, "zheng")
	at := h.quiet(0)
	b.open("/footage")
	b.showsWhatIsRecorded()
	day := at.Format(time.DateOnly)
	b.follow(fmt.Sprintf("a.day[href*='camera=c01&day=%s']", day))
	b.says("校门东侧 · ")
	at = b.choose(at)
	b.states("核实东门外车辆剐蹭")
	from := h.box.Store.Size()
	first := b.firstMedia()
	b.follow("form[action='/footage/view'] button")
	entry := h.entry(t, from, "footage.access.open")
	var open opening
	decode(t, entry.Data, &open)
	if open.Camera != "c01" || open.Ground != "duty" || !open.From.Equal(at) || entry.From == nil || entry.From.Address != "127.0.0.1" || entry.Actor.ID != h.account(t, "zheng").ID {
		t.Errorf("the entry says %s, actor %s, from %+v", entry.Data, entry.Actor.ID, entry.From)
	}
	b.plays()
	b.says("本次查看正在记录")
	if line := eval[string](b, "document.querySelector('.logline').innerText.replace(/[\\s,]/g, '')"); !strings.Contains(line, "日志第"+strconv.FormatUint(entry.Seq, 10)+"条") || !strings.Contains(line, "郑守川") {
		t.Errorf("the line of the log is %q, want entry %d", line, entry.Seq)
	}
	select {
	case m := <-first:
		if m.size <= entry.Seq || entry.At.After(m.at) {
			t.Errorf("the first media was asked for at %s with %d entries in the log; the opening is entry %d of %s", m.at, m.size, entry.Seq, entry.At)
		}
	default:
		t.Error("no media was asked for")
	}
	b.controls()
	b.depth()
	playlist := h.url + eval[string](b, "document.querySelector('[data-player]').getAttribute('data-src')")
	h.playsElsewhere(t, playlist)
	h.belongsTo(t, "zheng", "leader", strings.TrimPrefix(playlist, h.url))
	from = h.box.Store.Size()
	b.open("/footage") // leaves the page: nobody presses "end"
	end := h.entry(t, from, "footage.access.close")
	var c closing
	decode(t, end.Data, &c)
	if c.Viewing != open.Viewing || c.Opened != entry.Seq || c.Bytes == 0 || len(c.Delivered) == 0 {
		t.Fatalf("the closing entry says %s", end.Data)
	}
	for _, s := range c.Delivered {
		if s.From.Before(open.From.Add(-5*time.Second)) || s.To.After(open.To.Add(time.Minute)) || !s.From.Before(s.To) {
			t.Errorf("delivered %s to %s, opened %s to %s", s.From, s.To, open.From, open.To)
		}
	}
	if a := h.visitor(h.token(t, "zheng")).ask(t, "GET", strings.TrimPrefix(playlist, h.url), nil); a.status != 410 {
		t.Errorf("after the end the playlist answers %d, want 410", a.status)
	}
	h.loseTheRole(t)
}

// depth: by keys alone a frame on, sixteen times the speed, a time as people write it, the help.
func (b *tab) depth() {
	b.t.Helper()
	video := "document.querySelector('video')"
	eval[bool](b, "document.activeElement.blur(), "+video+".requestVideoFrameCallback(function on(_, m) { window.frame = m.mediaTime; "+video+".requestVideoFrameCallback(on) }), true")
	b.do("play", chromedp.KeyEvent(" "))
	b.wait("frames", "window.frame > 0")
	b.do("pause", chromedp.KeyEvent(" "))
	b.wait("the pause", video+".paused")
	before := eval[float64](b, "window.frame")
	b.do("a frame on", chromedp.KeyEvent("."))
	b.wait("the next frame", fmt.Sprintf("window.frame > %v", before))
	for range 4 {
		b.do("faster", chromedp.KeyEvent("+"))
	}
	b.wait("16×", video+".playbackRate === 16 && document.querySelector('[name=speed][value=\"16\"]').checked")
	eval[bool](b, "window.began = "+video+".currentTime, "+video+".play(), true")
	b.wait("half a minute of footage", video+".currentTime > window.began + 30")
	b.do("normal speed", chromedp.KeyEvent("1"))
	b.do("help", chromedp.KeyEvent("?"))
	b.wait("the help", "document.querySelector('[data-help]').open")
	b.do("no help", chromedp.KeyEvent(kb.Escape))
	b.wait("no help", "!document.querySelector('[data-help]').open")
	from := eval[string](b, "document.querySelector('[data-clock]').innerText.slice(0, 3) + '10'")
	eval[bool](b, fmt.Sprintf("((e) => { e.focus(); e.value = %q; return true })(document.querySelector('#goto'))", from))
	b.do("go there", chromedp.KeyEvent(kb.Enter))
	b.wait("the time that was typed", fmt.Sprintf("document.querySelector('[data-clock]').innerText.startsWith(%q) || document.querySelector('[data-goto-error] a')", from))
	if s := eval[string](b, "[...document.querySelectorAll('[data-scr]:not([hidden])')].map(e => e.innerText).join()"); s != "" {
		b.t.Errorf("over the picture stands %q", s)
	}
}

// loseTheRole: the administrator takes a role away on the page of people; who watches sees the picture stop, and why,
// and the closing entry says it. The role comes back when a second person agrees. Covers F12, F13.
func (h *env) loseTheRole(t *testing.T) {
	t.Helper()
	at := h.quiet(0)
	leader := h.account(t, "leader")
	b := h.tab(t, "leader")
	b.allow("status of 40")
	b.open(fmt.Sprintf("/footage?camera=c02&day=%s&t=%s", at.Format(time.DateOnly), at.Format("15:04")))
	b.states("核实看台秩序")
	b.follow("form[action='/footage/view'] button")
	b.plays()
	from := h.box.Store.Size()
	admin := h.tab(t, "admin")
	set := func(on bool) {
		t.Helper()
		admin.open("/people/" + leader.ID)
		eval[bool](admin, fmt.Sprintf("((e) => { e.checked = %v; return true })(document.querySelector('[name=roles][value=school_leader]'))", on))
		admin.leave(func() { eval[bool](admin, "(document.querySelector('[name=roles]').form.requestSubmit(), true)") })
	}
	set(false)
	b.wait("the end, with its reason", "document.querySelector('[data-scr=ended]:not([hidden])') && document.querySelector('[data-scr=ended]').innerText.includes('权限已取消')")
	if eval[bool](b, "!document.querySelector('video').paused") {
		t.Error("the picture goes on")
	}
	var c closing
	decode(t, h.entry(t, from, "footage.access.close").Data, &c)
	if c.Reason != "role" {
		t.Errorf("the closing entry says %q", c.Reason)
	}
	src := eval[string](b, "document.querySelector('[data-player]').getAttribute('data-src')")
	if a := h.visitor(h.token(t, "leader")).ask(t, "GET", src, nil); a.status != 403 || isVideo(a) {
		t.Errorf("afterwards the playlist answers %d", a.status)
	}
	set(true)
	admin.says("须由另一名负责人确认后生效")
	if p, _ := h.box.People.Person(leader.ID); slices.Contains(p.Roles, account.RoleLeader) {
		t.Error("one person alone gave the role back")
	}
	zheng := h.tab(t, "zheng")
	zheng.open("/")
	zheng.follow("a[href='/people/duties']")
	zheng.says(leader.Name)
	zheng.follow("form[action^='/people/duties/'][action$='/confirm'] button")
	zheng.says("已确认")
	if p, _ := h.box.People.Person(leader.ID); !slices.Contains(p.Roles, account.RoleLeader) {
		t.Errorf("after the confirmation the leader has the roles %v", p.Roles)
	}
}

// showsWhatIsRecorded: a row for each camera with its days, its gaps and their causes.
func (b *tab) showsWhatIsRecorded() {
	b.t.Helper()
	if n := eval[int](b, "document.querySelectorAll('[data-ribbon-row]').length"); n != 3 {
		b.t.Fatalf("the ribbon has %d rows, want the three cameras", n)
	}
	rows := eval[[]struct{ Recorded, Gaps, Days int }](b, `[...document.querySelectorAll('[data-ribbon-row]')].map(r => ({Recorded: r.querySelectorAll('.f-rec').length, Gaps: r.querySelectorAll('rect.gap').length, Days: r.querySelectorAll('a.day').length}))`)
	for i, r := range rows {
		if r.Recorded == 0 || r.Gaps == 0 || r.Days < days {
			b.t.Errorf("row %d of the ribbon shows %+v", i, r)
		}
	}
	name := eval[string](b, fmt.Sprintf("document.querySelector(\"a.day[href*='camera=c02&day=%s']\").getAttribute('aria-label')", b.h.yesterday().Format(time.DateOnly)))
	if !strings.Contains(name, "操场北看台") {
		b.t.Errorf("the day is called %q", name)
	}
	b.says("断网", "摄像机离线")
}

// choose clicks a time on the strip of 24 hours and gives the minute that was hit: a pixel is about a minute.
func (b *tab) choose(at time.Time) time.Time {
	b.t.Helper()
	b.leave(func() { b.clickAt("[data-strip]", (float64(at.Hour()*60+at.Minute())+0.5)/1440, 0.5) })
	hit, err := time.ParseInLocation("2006-01-02 15:04", at.Format(time.DateOnly)+" "+eval[string](b, "new URLSearchParams(location.search).get('t')"), b.h.zone)
	if err != nil || hit.Sub(at).Abs() > 2*time.Minute {
		b.t.Fatalf("a click at %s of the strip leads to %s (%v)", at.Format("15:04"), b.where(), err)
	}
	return hit
}

// plays waits until pictures are really shown and time passes in them.
func (b *tab) plays() {
	b.t.Helper()
	b.wait("the picture", "document.querySelector('video').videoWidth > 0 && document.querySelector('video').readyState >= 2")
	b.wait("the picture to move", "document.querySelector('video').currentTime > (window.began ??= document.querySelector('video').currentTime) + 0.7")
	if n := eval[int](b, "document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames"); n == 0 {
		b.t.Error("no frame was decoded")
	}
	if s := eval[string](b, "document.querySelector('[data-msg]').hidden ? '' : document.querySelector('[data-msg]').innerText"); s != "" {
		b.t.Errorf("the player says %q", s)
	}
}

// controls: pause, a jump of ten seconds, and the clock of the picture.
func (b *tab) controls() {
	b.t.Helper()
	b.click("[data-act=play]")
	b.wait("the pause", "document.querySelector('video').paused")
	clock := "document.querySelector('[data-clock]').innerText"
	before := eval[string](b, clock)
	b.click("[data-act=fwd]")
	b.wait("a jump forward", fmt.Sprintf("%s !== %q", clock, before))
	x, err1 := time.Parse(time.TimeOnly, before)
	y, err2 := time.Parse(time.TimeOnly, eval[string](b, clock))
	if d := y.Sub(x); err1 != nil || err2 != nil || d < 8*time.Second || d > 12*time.Second {
		b.t.Errorf("ten seconds forward leads from %s to %s", x.Format(time.TimeOnly), y.Format(time.TimeOnly))
	}
}

type media struct {
	at   time.Time
	size uint64
}

// firstMedia says when the first media was asked for, and how long the log was then.
func (b *tab) firstMedia() <-chan media {
	out := make(chan media, 1)
	b.sending(func(e *network.EventRequestWillBeSent) {
		if strings.Contains(e.Request.URL, "/media/") {
			select {
			case out <- media{time.UnixMicro(int64(e.WallTime.Float64() * 1e6)), b.h.box.Store.Size()}:
			default:
			}
		}
	})
	return out
}

// playsElsewhere: a player that knows nothing of our page plays the list with the session's cookie, and without
// one it gets nothing.
func (h *env) playsElsewhere(t *testing.T, playlist string) {
	t.Helper()
	frames := func(cookie string) (int, error) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		var out, errs bytes.Buffer
		c := exec.CommandContext(ctx, "ffmpeg", "-hide_banner", "-nostdin", "-v", "error", "-tls_verify", "0", "-headers", "Cookie: "+cookie+"\r\n", "-i", playlist, "-t", "20", "-an", "-f", "framemd5", "-")
		c.Stdout, c.Stderr = &out, &errs
		err := c.Run()
		n := 0
		for line := range strings.Lines(out.String()) {
			if !strings.HasPrefix(line, "#") {
				n++
			}
		}
		if err == nil && errs.Len() > 0 {
			err = fmt.Errorf("ffmpeg says %s", errs.String())
		}
		return n, err
	}
	if n, err := frames(cookieName + "=" + h.token(t, "zheng")); err != nil || n < 5 {
		t.Errorf("ffmpeg decodes %d frames of 20 s: %v", n, err)
	}
	if n, err := frames("x=y"); err == nil || n > 0 {
		t.Errorf("without a session ffmpeg decodes %d frames", n)
	}
}

// belongsTo: the media of one person's viewing is nobody else's, also not the leader's. Covers F12.
func (h *env) belongsTo(t *testing.T, owner, other, playlist string) {
	t.Helper()
	list := h.visitor(h.token(t, owner)).ask(t, "GET", playlist, nil)
	if list.status != 200 {
		t.Fatalf("the playlist answers %d to its owner", list.status)
	}
	var parts []string
	for line := range strings.Lines(string(list.body)) {
		line = strings.TrimSpace(line)
		if uri, ok := strings.CutPrefix(line, `#EXT-X-MAP:URI="`); ok {
			line, _, _ = strings.Cut(uri, `"`)
		} else if strings.HasPrefix(line, "#") || line == "" {
			continue
		}
		if !strings.HasPrefix(line, "/") {
			line = playlist[:strings.LastIndexByte(playlist, '/')+1] + line
		}
		if len(parts) < 3 {
			parts = append(parts, line)
		}
	}
	if len(parts) < 2 { // the beginning and a picture
		t.Fatalf("the playlist has %d parts:\n%s", len(parts), list.body)
	}
	from := h.box.Store.Size()
	for _, p := range append(parts, playlist) {
		if a := h.visitor(h.token(t, owner)).ask(t, "GET", p, nil); a.status != 200 {
			t.Errorf("%s answers %d to its owner", p, a.status)
		}
		if a := h.visitor(h.token(t, other)).ask(t, "GET", p, nil); a.status != 403 || isVideo(a) {
			t.Errorf("%s answers %d to somebody else (%s)", p, a.status, a.header.Get("Content-Type"))
		}
		if a := h.visitor("").ask(t, "GET", p, nil); a.status != 401 || isVideo(a) {
			t.Errorf("%s answers %d to nobody (%s)", p, a.status, a.header.Get("Content-Type"))
		}
	}
	if e := h.entry(t, from, "access.refused"); e.Actor.ID != h.account(t, other).ID { // alike ones are counted together
		t.Errorf("the refusal is entered as that of %s", e.Actor.ID)
	}
}

// isVideo says whether an answer carries anything of footage.
func isVideo(a answer) bool {
	for _, mark := range []string{"ftyp", "moof", "mdat", "avcC", "#EXTM3U"} {
		if bytes.Contains(a.body, []byte(mark)) {
			return true
		}
	}
	return strings.HasPrefix(a.header.Get("Content-Type"), "video/")
}

func decode(t *testing.T, data json.RawMessage, into any) {
	t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
}
