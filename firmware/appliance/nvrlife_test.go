package appliance_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	sim "campuskeep/scripts/sim/nvr"
	"campuskeep/shared/ledger"
)

var revision = regexp.MustCompile(`name="rev" value="(\d+)"`)

// form is the form of a page as it would be sent back unchanged.
func (b *box) form(path string) url.Values {
	b.t.Helper()
	body := b.get("liang", path).body
	f := url.Values{}
	for _, m := range regexp.MustCompile(`<input[^>]* name="([^"]+)"[^>]* value="([^"]*)"`).FindAllStringSubmatch(body, -1) {
		if !strings.Contains(m[0], `type="radio"`) || strings.Contains(m[0], "checked") {
			f.Add(m[1], m[2])
		}
	}
	f.Set("rev", revision.FindStringSubmatch(body)[1])
	return f
}

// since gives the kinds of the entries from a place in the log on.
func (b *box) since(size uint64) (out []ledger.Kind) {
	b.t.Helper()
	for e, err := range b.Store.Entries(size, b.Store.Size()) {
		b.must(err)
		out = append(out, e.Kind)
	}
	return out
}

// Covers F1, F3, F12, M5: a registered NVR through its life: registered at once with its cameras, renamed, its cables
// changed over, replaced, taken out of service and put back.
func TestAnNVRThroughItsLife(t *testing.T) {
	if testing.Short() {
		t.Skip("needs ffmpeg and some seconds")
	}
	b := newBox(t)
	b.adopt()
	var at []time.Time // of the registration: one Change has one instant
	for _, e := range append(b.entries("camera.registered"), b.entries("config.change")...) {
		var d struct{ What string }
		b.must(json.Unmarshal(e.Data, &d))
		if e.Subject == "c04" || e.Subject == "c05" || strings.HasPrefix(d.What, "nvr") {
			at = append(at, e.At)
		}
	}
	if len(at) != 4 || !at[0].Equal(at[1]) || !at[0].Equal(at[3]) {
		t.Errorf("registered at %v", at)
	}
	b.says("liang", "/nvrs/n01", "请求回放时用的时间是当地时间")

	// Its name, and nobody else's change is overwritten.
	f := b.form("/nvrs/n01/edit")
	stale := f.Encode()
	f.Set("name", "监控室新名")
	b.post("liang", "/nvrs/n01", f)
	b.says("liang", "/nvrs/n01", "<del>监控室录像机</del> → <ins>监控室新名</ins>")
	old, err := url.ParseQuery(stale)
	b.must(err)
	if p := b.ask("liang", "POST", "/nvrs/n01", old); p.status != http.StatusConflict || !strings.Contains(p.body, "他人刚刚改过") {
		t.Errorf("over what has changed: %d", p.status)
	}

	// The cables are changed over; the same channel twice is refused at its field.
	f = url.Values{"rev": {b.form("/nvrs/n01/edit").Get("rev")}, "channel.c04": {"2"}, "channel.c05": {"2"}, "how": {"plugged"}, "since": {time.Now().In(b.zone).Add(-time.Hour).Format("2006-01-02T15:04")}}
	if p := b.ask("liang", "POST", "/nvrs/n01/channels", f); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, `id="f-channel.c05-e"`) {
		t.Errorf("one channel twice: %d\n%s", p.status, text(p.body))
	}
	f.Set("channel.c05", "1")
	b.post("liang", "/nvrs/n01/channels", f)
	b.says("liang", "/nvrs/n01", "<del>通道 1</del> → <ins>通道 2</ins>")
	b.until("the listings to be read anew", func() bool {
		r, ok, err := b.NVR.Report("c04")
		b.must(err)
		return ok && r.Channel == 2 && !r.Attestation.At.IsZero()
	})
	if r, _, err := b.NVR.Report("c04"); err != nil || r.Attestation.Floor() {
		t.Errorf("what c04 recorded before is missing: %+v, %v", r.Attestation, err)
	}

	// Another machine answers.
	b.nvr.SetSerial("DS-7604NI-NEW")
	f = b.form("/nvrs/n01/edit")
	f.Set("rtsp", b.nvr.RTSPAddress())
	f.Set("user", "keeper")
	f.Set("password", nvrPassword)
	f.Set("pin", "")
	f.Set("address", strings.Replace(b.nvr.Address(), "127.0.0.1", "localhost", 1))
	if p := b.ask("liang", "POST", "/nvrs/n01", f); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, "应答的是 DS-7604NI-K1 DS-7604NI-NEW") {
		t.Errorf("another machine: %d\n%s", p.status, text(p.body))
	}
	now := time.Now().Truncate(time.Second)
	for _, n := range []int{1, 2} {
		b.nvr.Record(n, sim.Hours(now.Add(-30*time.Minute), now)...)
	}
	size := b.Store.Size()
	f.Set("swap", "gone")
	f.Set("reason", "主板损坏")
	b.post("liang", "/nvrs/n01", f)
	kinds := b.since(size)
	if len(kinds) < 3 || kinds[0] != "config.change" || len(b.entries("nvr.breach")) < 2 {
		t.Errorf("%v", kinds)
	}
	b.says("liang", "/nvrs/n01", "<ins>主板损坏</ins>")
	b.until("the new machine to be found out", func() bool {
		r, _, err := b.NVR.Report("c04")
		b.must(err)
		s, _, err := b.NVR.State("n01")
		b.must(err)
		return r.Attestation.Pieces > 0 && s.Info.Serial == "DS-7604NI-NEW" && s.Fault == ""
	})
	if body := b.get("zheng", "/nvrs/n01").body; !strings.Contains(body, "录像机保存期违规：提前删除") {
		t.Errorf("what went with the machine is not told of:\n%s", text(body))
	}

	// Out of service with its cameras, and back.
	f = b.form("/nvrs/n01/retire")
	if body := b.get("liang", "/nvrs/n01/retire").body; !strings.Contains(body, "同时停用的 2 路摄像机") || len(f["camera"]) != 2 {
		t.Errorf("%v\n%s", f, text(body))
	}
	f.Set("reason", "设备老化")
	some := url.Values{"rev": f["rev"], "reason": f["reason"], "camera": f["camera"][:1]}
	if p := b.ask("liang", "POST", "/nvrs/n01/retire", some); p.status != http.StatusUnprocessableEntity {
		t.Errorf("without one of its cameras: %d", p.status)
	}
	b.post("liang", "/nvrs/n01/retire", f)
	c4, _ := b.Site.Camera("c04")
	asked := b.nvr.Counts().Requests
	if p := b.get("liang", "/nvrs/n01"); !c4.Retired || p.status != http.StatusOK || !strings.Contains(p.body, "这台录像机已停用") || !strings.Contains(p.body, "通道 1") {
		t.Errorf("camera out of service: %v, %d", c4.Retired, p.status)
	}
	if p := b.ask("liang", "POST", "/nvrs/n01/check", nil); p.status != http.StatusNotFound || b.nvr.Counts().Requests != asked {
		t.Errorf("it is still asked: %d, %d times", p.status, b.nvr.Counts().Requests-asked)
	}
	f = b.form("/nvrs/n01/restore")
	f.Set("reason", "暂无替换")
	f["camera"] = []string{"c04", "c05"}
	b.post("liang", "/nvrs/n01/restore", f)
	b.until("a check of the NVR that came back", func() bool { return b.nvr.Counts().Requests > asked })
	if c4, _ = b.Site.Camera("c04"); c4.Retired {
		t.Error("the camera is still out of service")
	}
}
