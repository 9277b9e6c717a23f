package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sim "campuskeep/scripts/sim/nvr"
	"campuskeep/shared/footage"
)

const nvrPassword = "e2e-nvr-password"

// nvr is the installer's wizard as a person goes through it: a password that is wrong once, channels, places, the
// arithmetic, and at last the NVR's page with what its first check found; then the list of who else can get in, and
// an officer who looks at footage that has to be fetched first. Covers F1, F2, F3, F4, F10, F13.
func (h *env) nvr(t *testing.T) {
	recorder := h.startNVR(t)
	liang := h.tab(t, "liang")
	liang.open("/")
	liang.follow("a[href='/cameras']")
	liang.follow("a[href='/nvrs']")
	liang.says("还没有登记录像机")
	liang.follow("a[href='/nvrs/new']")
	connect := func(password string) {
		liang.fill("[name=address]", recorder.Address())
		liang.fill("[name=user]", "keeper")
		liang.fill("[name=password]", password)
		liang.click("main details summary")
		liang.fill("[name=rtsp]", recorder.RTSPAddress())
		liang.follow(".panel__f button")
	}
	connect("wrong")
	liang.wait("the word about the lock", "document.body.innerText.includes('没有再试第二次')")
	if c := recorder.Counts(); c.Refused != 1 {
		t.Errorf("%d refused log-ins, want one", c.Refused)
	}
	liang.shot("nvr-refused")
	liang.follow("a[href='/nvrs/new'].btn")
	connect(nvrPassword)
	liang.wait("the channels", "document.querySelector('.nvr-ch li')")
	liang.says("找到 2 路通道", "教学楼走廊", "操场", "4,096 kbit/s", "时区 CST-8:00:00")
	liang.set("[name='c1.keep']", "nvr")
	liang.set("[name='c2.keep']", "nvr")
	liang.set("[name='c1.area']", "corridor")
	liang.set("[name='c2.area']", "toilet")
	liang.allow("status of 422")
	liang.follow("button[value=register]")
	liang.says("卫生间")
	if len(h.box.NVR.Devices()) != 0 {
		t.Fatal("an NVR with a camera in a private area was registered")
	}
	liang.set("[name='c2.area']", "playground")
	liang.set("[name=installed]", h.now.AddDate(0, 0, -60).Format(time.DateOnly)) // what is older was never promised
	liang.set("[name=technician]", h.account(t, "liang").ID)
	liang.follow("button[value=register]")
	if !strings.HasPrefix(liang.where(), "/nvrs/n01") {
		t.Fatalf("after registering one stands at %s:\n%s", liang.where(), liang.text())
	}
	liang.open("/nvrs/n01")
	liang.wait("the first check", "document.body.innerText.includes('请求回放时用的时间是') || (location.reload(), false)")
	liang.says("未提前删除", "提前缺失 7 天", "录像机的时间")
	liang.shot("nvr-checked")
	h.signPaths(t, liang)
	h.fetchOnDuty(t)
}

// startNVR starts a recorder with two channels; one keeps too little.
func (h *env) startNVR(t *testing.T) *sim.NVR {
	t.Helper()
	clip, err := sim.Clip(t.Context(), "nvr", 10, 10)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Truncate(time.Second)
	since := func(long time.Duration) []footage.Span { return sim.Hours(now.Add(-long), now) }
	const day = 24 * time.Hour // the half hour below is for the time until the first check: more than seven days are missing then too
	n, err := sim.Start(sim.Options{Listen: "127.0.0.1", User: "keeper", Password: nvrPassword, Model: "DS-7604NI-K1", Now: time.Now, Clip: clip, FPS: 10, Speed: 20,
		Habits: sim.Habits{Zone: "CST-8:00:00", SearchLocal: true, PlayLocal: true, LogLocal: true},
		Channels: []sim.Channel{{ID: 1, Name: "教学楼走廊", Online: true, Days: 30, Keep: true, Pieces: since(30 * day)},
			{ID: 2, Name: "操场", Online: true, Days: 23, Keep: true, Pieces: since(23*day - 30*time.Minute)}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // the box goes on and finds it out of reach, as it would a broken one
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func (h *env) signPaths(t *testing.T, b *tab) {
	t.Helper()
	b.follow("a[href='/nvrs/n01/access-paths']")
	b.follow("form[action$='/access-paths/read'] button")
	b.wait("the accounts", "document.querySelector('select[name=\"door.0\"]')")
	n := eval[int](b, "document.querySelectorAll('select[name^=door]').length")
	from := h.box.Store.Size()
	eval[bool](b, `(() => { document.querySelectorAll('select[name^=door]').forEach((s) => { s.value = 'shut'; }); return true; })()`)
	b.click("[name=sure]")
	b.follow("form.panel .panel__f button")
	b.says("梁牧", "签署后未发现变化")
	h.entry(t, from, "nvr.signed")
	if n < 6 {
		t.Errorf("only %d lines in the list", n)
	}
	b.shot("nvr-signed")
}

// fetchOnDuty: the page says how far it is, and then plays by itself.
func (h *env) fetchOnDuty(t *testing.T) {
	t.Helper()
	cam := ""
	for _, c := range h.box.Site.Cameras() {
		if c.Custody == footage.CustodyNVR && c.Name == "教学楼走廊" {
			cam = c.ID
		}
	}
	zheng := h.tab(t, "zheng")
	day := h.yesterday().AddDate(0, 0, -2).Format(time.DateOnly)
	zheng.open("/footage?camera=" + cam + "&day=" + day + "&t=09:10#day")
	from := h.box.Store.Size()
	zheng.states("核实走廊玻璃破损")
	zheng.set("[name=from]", "09:00")
	zheng.set("[name=to]", "09:03")
	zheng.follow("form[action='/footage/view'] button")
	zheng.wait("the word that it is fetched", "document.querySelector('#fetching') || document.querySelector('[data-player]')")
	zheng.shot("nvr-waiting")
	until(t, "the fetch", func() bool { return len(h.entries(t, from, "nvr.fetched")) == 1 })
	zheng.wait("the player", "document.querySelector('[data-player] video')")
	zheng.wait("pictures", "document.querySelector('video').readyState >= 2")
	h.entry(t, from, "footage.access.open")
	h.entry(t, from, "nvr.fetch")
	zheng.shot("nvr-plays")
}

// shot takes a picture of the page as it is, for a person to look at.
func (b *tab) shot(name string) {
	b.t.Helper()
	if *shots == "" {
		return
	}
	if err := os.MkdirAll(*shots, 0o755); err != nil {
		b.t.Fatal(err)
	}
	for _, size := range []struct {
		name string
		w, h int64
	}{{"phone", 390, 844}, {"wide", 1366, 768}} {
		b.look(size.w, size.h, map[string]string{"phone": "dark", "wide": "light"}[size.name])
		b.picture(filepath.Join(*shots, name+"-"+size.name+".png"))
	}
}
