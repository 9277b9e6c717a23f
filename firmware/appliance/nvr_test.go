package appliance_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/appliance"
	"campuskeep/firmware/people"
	"campuskeep/firmware/site"
	"campuskeep/firmware/timekeeper"
	"campuskeep/scripts/sim/backfill"
	sim "campuskeep/scripts/sim/nvr"
	"campuskeep/scripts/sim/school"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// box is a whole appliance beside a simulated NVR, over real HTTP, RTSP and TLS.
type box struct {
	*appliance.Appliance
	t        *testing.T
	accounts []school.Account
	nvr      *sim.NVR
	filled   school.Filled
	zone     *time.Location
	tokens   map[string]string
}

// wall is a second source of time, of another origin than the machine.
type wall struct{ timekeeper.Host }

func (wall) Name() string         { return "wall" }
func (wall) Origin() clock.Origin { return clock.OriginNVR }
func (w wall) Observe(ctx context.Context) (clock.Observation, error) {
	o, err := w.Host.Observe(ctx)
	o.Source, o.Origin = w.Name(), w.Origin()
	return o, err
}

const nvrPassword = "right horse"

func newBox(t *testing.T) *box {
	t.Helper()
	return newBoxWith(t, func(b *box, _ *appliance.Config) { b.startNVR() })
}

// newBoxWith is newBox with what a test puts beside it, and its own configuration.
func newBoxWith(t *testing.T, how func(*box, *appliance.Config)) *box {
	t.Helper()
	b := &box{t: t, tokens: map[string]string{}}
	var err error
	b.zone, err = time.LoadLocation("Asia/Shanghai")
	b.must(err)
	cfg := appliance.Default()
	cfg.Appliance.ID, cfg.Appliance.School, cfg.Appliance.Data = "ck-nvr", school.Name, filepath.Join(t.TempDir(), "data")
	cfg.Web.Listen, cfg.Clock.Sources = "127.0.0.1:0", []string{"host", "nvr"}
	filled, err := backfill.Fill(t.Context(), backfill.Options{Config: cfg, Now: time.Now(), ReaderPort: "/dev/ttyS9",
		Cameras: []string{"rtsp://127.0.0.1:9/a", "rtsp://127.0.0.1:9/b", "rtsp://127.0.0.1:9/c"}, CameraLogin: site.Login{User: "admin", Password: "nobody"}})
	b.must(err)
	b.accounts, b.filled = filled.Accounts, filled
	how(b, &cfg)
	machine, err := timekeeper.NewMachine()
	b.must(err)
	host := timekeeper.Host{Clock: machine, Uncertainty: 20 * time.Millisecond}
	b.Appliance, err = appliance.Open(t.Context(), cfg, appliance.Deps{Host: machine, Sources: []timekeeper.Source{host, wall{host}}, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))})
	b.must(err)
	b.must(b.Listen())
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		b.must(<-ended)
		b.must(b.Close())
		var out bytes.Buffer
		if found, err := appliance.Check(context.Background(), cfg, true, &out); err != nil || found != 0 {
			t.Errorf("check: %d, %v: %s", found, err, out.String())
		}
	})
	b.until("a trusted clock", func() bool { return b.Timekeeper.Now().State == clock.Trusted })
	return b
}

// startNVR starts a recorder with thirty days on two channels, one of which is set to 23 days.
func (b *box) startNVR() {
	b.t.Helper()
	clip, err := sim.Clip(b.t.Context(), "gate", 10, 10)
	b.must(err)
	now := time.Now().Truncate(time.Second)
	b.nvr, err = sim.Start(sim.Options{Listen: "127.0.0.1", User: "keeper", Password: nvrPassword, Model: "DS-7604NI-K1", Now: time.Now, Clip: clip, FPS: 10, Speed: 60,
		Habits: sim.Habits{Zone: "CST-8:00:00", SearchLocal: true, PlayLocal: true, LogLocal: true}, Accounts: []sim.Account{{Name: "admin", Level: "Administrator"}, {Name: "keeper", Level: "Operator"}},
		Channels: []sim.Channel{{ID: 1, Name: "教学楼走廊", Online: true, Days: 30, Keep: true, Pieces: sim.Hours(now.Add(-30*24*time.Hour), now)},
			{ID: 2, Name: "操场", Online: true, Days: 23, Keep: true, Pieces: sim.Hours(now.Add(-23*24*time.Hour), now)}}})
	b.must(err)
	b.nvr.AddLog(sim.LogLine{At: now.Add(-2 * time.Hour), Code: "Operation/remotePlayByTime", User: "admin", Address: "192.168.1.50", Channel: 2})
	b.t.Cleanup(func() { b.must(b.nvr.Close()) })
}

func (b *box) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *box) until(what string, ok func() bool) {
	b.t.Helper()
	end := time.After(2 * time.Minute)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-end:
			b.t.Fatalf("waited too long for %s", what)
		case <-tick.C:
		}
	}
}

// page is an answer as a person reads it.
type page struct {
	status int
	to     string
	body   string
}

var client = &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // the trust path has a test of its own

func (b *box) ask(who, method, path string, form url.Values) page {
	b.t.Helper()
	if b.tokens[who] == "" {
		for _, a := range b.accounts {
			if a.Login == who {
				c := people.Credentials{User: who, Password: school.Password}
				if a.Secret != nil {
					c.Code = a.Code(time.Now())
				}
				s, err := b.People.Login(b.t.Context(), c, ledger.From{Address: "127.0.0.1", Device: "test"})
				b.must(err)
				b.tokens[who] = s.Token
			}
		}
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, "https://"+b.Address().String()+path, strings.NewReader(form.Encode()))
	b.must(err)
	req.AddCookie(&http.Cookie{Name: "__Host-ck", Value: b.tokens[who]})
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := client.Do(req)
	b.must(err)
	body, err := io.ReadAll(resp.Body)
	b.must(err)
	b.must(resp.Body.Close())
	return page{resp.StatusCode, resp.Header.Get("Location"), string(body)}
}

func (b *box) get(who, path string) page { b.t.Helper(); return b.ask(who, "GET", path, nil) }

// post expects to be sent on, and gives where to.
func (b *box) post(who, path string, form url.Values) string {
	b.t.Helper()
	p := b.ask(who, "POST", path, form)
	if p.status != http.StatusSeeOther {
		b.t.Fatalf("%s: %d\n%s", path, p.status, text(p.body))
	}
	return strings.Split(p.to, "?")[0]
}

var tags = regexp.MustCompile(`(?s)<svg.*?</svg>|<[^>]*>`)

func text(s string) string { return strings.Join(strings.Fields(tags.ReplaceAllString(s, " ")), " ") }

// says waits until a page says something.
func (b *box) says(who, path, want string) string {
	b.t.Helper()
	var last string
	b.t.Cleanup(func() {
		if !strings.Contains(last, want) {
			b.t.Logf("%s says:\n%s", path, text(last))
		}
	})
	b.until(fmt.Sprintf("%q at %s", want, path), func() bool {
		last = b.get(who, path).body
		return strings.Contains(last, want)
	})
	return last
}

func (b *box) entries(kind ledger.Kind) (out []ledger.Entry) {
	b.t.Helper()
	for e, err := range b.Store.Entries(0, b.Store.Size()) {
		b.must(err)
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

// adopt takes the NVR into the register through the wizard, as an installer does.
func (b *box) adopt() {
	b.t.Helper()
	look := b.post("liang", "/nvrs/new", url.Values{"address": {b.nvr.Address()}, "rtsp": {b.nvr.RTSPAddress()}, "user": {"keeper"}, "password": {nvrPassword}})
	found := b.says("liang", look, "找到 2 路通道")
	for _, want := range []string{"教学楼走廊", "4,096 kbit/s", "GOP 50 帧（2.0 秒）", "23 天", "时区 CST-8:00:00"} {
		if !strings.Contains(found, want) {
			b.t.Errorf("the wizard does not say %q", want)
		}
	}
	form := url.Values{"name": {"监控室录像机"}, "button": {"register"}, "installer": {"云汀安防"}, "installed": {time.Now().AddDate(0, 0, -60).Format(time.DateOnly)}}
	for n, area := range map[string]string{"1": "corridor", "2": "playground"} {
		p := "c" + n + "."
		form[p+"use"], form[p+"name"], form[p+"place"], form[p+"area"], form[p+"days"], form[p+"keep"] = []string{"yes"}, []string{"通道 " + n}, []string{"地点 " + n}, []string{area}, []string{"30"}, []string{"nvr"}
	}
	size := b.Store.Size()
	if to := b.post("liang", look, form); to != "/nvrs/n01" {
		b.t.Fatalf("registered at %s", to)
	}
	got := 0
	for e, err := range b.Store.Entries(size, b.Store.Size()) {
		b.must(err)
		if e.Kind == "camera.registered" || e.Kind == "config.change" {
			got++
		}
	}
	if got < 4 { // two cameras, the NVR, its password
		b.t.Errorf("%d entries of the registration", got)
	}
}

// Covers F1, F3, F4, F10, F13, F14, F20: an NVR from its first password to a picture of its footage in a browser.
func TestAnNVRFromTheWizardToThePicture(t *testing.T) {
	if testing.Short() {
		t.Skip("needs ffmpeg and some seconds")
	}
	b := newBox(t)
	// One wrong password, and it stops.
	look := b.post("liang", "/nvrs/new", url.Values{"address": {b.nvr.Address()}, "user": {"keeper"}, "password": {"wrong"}})
	b.says("liang", look, "没有再试第二次")
	if c := b.nvr.Counts(); c.Refused != 1 {
		t.Errorf("%d refused log-ins, want one", c.Refused)
	}
	b.adopt()
	body := b.says("liang", "/nvrs/n01", "请求回放时用的时间是当地时间")
	for _, want := range []string{"未提前删除", "提前缺失 7 天", "录像机的时间带 UTC 标记（Z），实为当地时间", "时钟偏差"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q:\n%s", want, text(body))
		}
	}
	if body := b.get("zheng", "/nvrs/n01").body; !strings.Contains(body, "未经主机的访问：回放") {
		t.Errorf("the access past us is not told of:\n%s", text(body))
	}
	b.expiry()
	b.signs()

	// The ribbon reads it like vault footage.
	day := time.Now().In(b.zone).AddDate(0, 0, -2)
	from := time.Date(day.Year(), day.Month(), day.Day(), 9, 0, 0, 0, b.zone)
	if p := b.get("zheng", "/footage?camera=c04&day="+from.Format(time.DateOnly)); p.status != http.StatusOK || !strings.Contains(p.body, "通道 1") {
		t.Errorf("the ribbon: %d", p.status)
	}
	b.applied(from)
	b.duty(from.Add(3 * time.Hour))
	b.faults(t)
}

// expiry sets what the policy says, with one button.
func (b *box) expiry() {
	b.t.Helper()
	if body := b.get("liang", "/nvrs/n01").body; !strings.Contains(body, "通道 2：现为 23 天，将设为 30 天") {
		b.t.Fatalf("the expiry is not offered:\n%s", text(body))
	}
	b.post("liang", "/nvrs/n01/expiry", nil)
	b.says("liang", "/nvrs/n01", "已设置，待后续核对")
	if c, _ := b.nvr.Channel(2); c.Days != 30 {
		b.t.Errorf("the NVR keeps it %d days", c.Days)
	}
}

// signs reads who else can get in, answers every line and signs.
func (b *box) signs() {
	b.t.Helper()
	b.post("liang", "/nvrs/n01/access-paths/read", nil)
	body := b.says("liang", "/nvrs/n01/access-paths", "DEV_MANAGE（端口 8000）")
	form := url.Values{"sure": {"yes"}, "read": {regexp.MustCompile(`name="read" value="([^"]+)"`).FindStringSubmatch(body)[1]}}
	for _, m := range regexp.MustCompile(`name="(door\.\d+)"`).FindAllStringSubmatch(body, -1) {
		form.Set(m[1], "needed")
		form.Set(m[1]+".note", "监控室值班，学期末收回")
	}
	b.post("liang", "/nvrs/n01/access-paths", form)
	signed := b.entries("nvr.signed")
	if body := b.get("liang", "/nvrs/n01/access-paths").body; len(signed) != 1 || !strings.Contains(body, "梁牧") || !strings.Contains(body, "签署后未发现变化") {
		b.t.Errorf("%d signatures", len(signed))
	}
	b.nvr.SetAccounts(sim.Account{Name: "admin", Level: "Administrator"}, sim.Account{Name: "keeper", Level: "Operator"}, sim.Account{Name: "night", Level: "Viewer"})
	b.post("liang", "/nvrs/n01/access-paths/read", nil)
	b.says("liang", "/nvrs/n01/access-paths", "已有变化，需重新签署")
}

// applied is an application on a camera behind the NVR: it is fetched when it is handed in, and watched when approved.
func (b *box) applied(from time.Time) {
	b.t.Helper()
	to := b.post("ding", "/applications/new", url.Values{"contact": {"内线 8326"}, "purpose": {"03"}, "reason": {"早读前一名学生将书包遗忘在长椅，需查看书包去向。"}, "ways": {"view"},
		"wanted.0.place": {"地点 1"}, "wanted.0.from": {from.Format("2006-01-02T15:04")}, "wanted.0.to": {from.Add(2 * time.Minute).Format("2006-01-02T15:04")},
		"use_from": {time.Now().In(b.zone).Format(time.DateOnly)}, "use_until": {time.Now().In(b.zone).AddDate(0, 0, 3).Format(time.DateOnly)},
		"recipients.0.name": {"丁以墨"}, "recipients.0.unit": {"体育组"}, "recipients.0.papers": {"2016-004"}, "undertakings": {"purpose", "no_copy", "leak", "report"}})
	b.says("zheng", "/nvrs/n01", "已取回")
	b.post("zheng", to+"/decide", url.Values{"decision": {"approve"}, "cameras": {"c04"}, "ways": {"view"}, "spans": {"0"},
		"from": {time.Now().In(b.zone).Format(time.DateOnly)}, "until": {time.Now().In(b.zone).AddDate(0, 0, 3).Format(time.DateOnly)}})
	b.plays(b.post("ding", "/footage/view", url.Values{"camera": {"c04"}, "day": {from.Format(time.DateOnly)}, "from": {from.Format("15:04")}, "to": {from.Add(2 * time.Minute).Format("15:04")}}))
	if n := len(b.entries("nvr.fetch")); n != 1 {
		b.t.Errorf("%d fetches of one application", n)
	}
	var d struct{ Ground string }
	b.must(json.Unmarshal(b.entries("nvr.fetch")[0].Data, &d))
	if d.Ground != strings.TrimPrefix(to, "/applications/") {
		b.t.Errorf("fetched on the ground %q", d.Ground)
	}
}

// duty is an officer's look: the page returns how far it is, and becomes the player.
func (b *box) duty(from time.Time) {
	b.t.Helper()
	b.nvr.Set(func(_ *sim.Habits, f *sim.Faults) { f.Busy453 = 1 })
	view := b.post("zheng", "/footage/view", url.Values{"camera": {"c05"}, "day": {from.Format(time.DateOnly)}, "from": {from.Format("15:04")}, "to": {from.Add(time.Minute).Format("15:04")}, "purpose": {"围墙翻越报警核实"}})
	if body := b.get("zheng", view).body; !strings.Contains(body, `id="fetching"`) || strings.Contains(body, "data-player") {
		b.t.Errorf("nothing says that it is on its way:\n%s", text(body))
	}
	b.plays(view)
}

// plays waits until the page has a player, and plays what it plays.
func (b *box) plays(view string) {
	b.t.Helper()
	who := "ding"
	if !strings.Contains(b.get(who, view).body, "data-player") && b.get(who, view).status != http.StatusOK {
		who = "zheng"
	}
	b.says(who, view, "data-player")
	id := strings.TrimPrefix(view, "/view/")
	list := b.get(who, "/media/"+id+"/playlist.m3u8")
	if list.status != http.StatusOK || !strings.Contains(list.body, "EXTINF") {
		b.t.Fatalf("the playlist: %d %s", list.status, list.body)
	}
	init := regexp.MustCompile(`URI="([^"]+)"`).FindStringSubmatch(list.body)[1]
	if p := b.get(who, "/media/"+id+"/"+init); p.status != http.StatusOK || !strings.Contains(p.body, "avc1") {
		b.t.Errorf("the beginning of the film: %d", p.status)
	}
	seen := 0
	for line := range strings.Lines(list.body) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			if p := b.get(who, "/media/"+id+"/"+line); p.status != http.StatusOK || !strings.Contains(p.body, "mdat") {
				b.t.Errorf("%s: %d", line, p.status)
			}
			seen++
		}
	}
	if seen == 0 {
		b.t.Error("nothing to play")
	}
	b.ask(who, "POST", view+"/close", url.Values{"button": {"close"}})
	open, closed := b.entries("footage.access.open"), b.entries("footage.access.close")
	var d struct{ Delivered []footage.Span }
	b.must(json.Unmarshal(closed[len(closed)-1].Data, &d))
	if len(open) != len(closed) || len(d.Delivered) == 0 {
		b.t.Errorf("%d openings, %d closings, delivered %v", len(open), len(closed), d.Delivered)
	}
}

// faults: what is wrong with an NVR rests on its page in words that say what to do.
func (b *box) faults(t *testing.T) {
	clear := func(h *sim.Habits, f *sim.Faults) {
		*f = sim.Faults{}
		h.Zone, h.Offset, h.PlayWrong = "CST-8:00:00", 0, 0
	}
	for _, c := range []struct {
		name, want string
		set        func(*sim.Habits, *sim.Faults)
	}{
		{"garbage", "收到的应答与协议不符，未作猜测", func(_ *sim.Habits, f *sim.Faults) {
			f.Garbage = map[string]string{"/ISAPI/System/deviceInfo": "<html>hello</html>"}
		}},
		{"half an answer", "无法连接，或中途断开", func(_ *sim.Habits, f *sim.Faults) { f.HalfAnswer = 50 }},
		{"503", "录像机没有空闲的连接", func(_ *sim.Habits, f *sim.Faults) { f.Busy503 = 50 }},
		{"the clock", "时钟偏差超过一分钟", func(h *sim.Habits, _ *sim.Faults) { h.Offset = 5 * time.Minute }},
		{"the zone", "正好差整时区", func(h *sim.Habits, _ *sim.Faults) { h.Offset = time.Hour }},
		{"plays another time", "录像机时间是当地时间还是协调世界时不能确定", func(h *sim.Habits, _ *sim.Faults) { h.PlayWrong = 8 * time.Hour }},
		{"a password that is no more", "主机不再尝试，以免地址被锁", nil},
	} {
		b.nvr.Set(clear)
		b.nvr.SetFirmware("V5." + fmt.Sprint(len(c.name))) // found out again
		if c.set == nil {
			b.nvr.SetPassword("changed")
		} else {
			b.nvr.Set(c.set)
		}
		began := time.Now()
		b.post("liang", "/nvrs/n01/check", nil)
		b.until("the end of the check: "+c.name, func() bool { return !strings.Contains(b.get("liang", "/nvrs/n01").body, `data-poll="2"`) })
		t.Logf("%s: looked at in %s", c.name, time.Since(began).Round(time.Millisecond))
		if body := b.get("liang", "/nvrs/n01").body; !strings.Contains(body, c.want) {
			t.Errorf("%s: the page does not say %q:\n%s", c.name, c.want, text(body))
		}
	}
	b.nvr.Set(clear)
	f := b.form("/nvrs/n01/edit")
	f.Set("password", "changed")
	b.post("liang", "/nvrs/n01", f)
	b.until("the end of the refusal", func() bool { return !strings.Contains(b.get("liang", "/nvrs/n01").body, "以免地址被锁") })
	if body := b.get("zheng", "/log?group=nvr").body; !strings.Contains(body, "录像机故障：密码被拒绝") || strings.Contains(body, "⟦") {
		t.Errorf("the log:\n%s", text(body))
	}
}
