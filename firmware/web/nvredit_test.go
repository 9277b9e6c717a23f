package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/nvr"
	"campuskeep/firmware/nvr/driver"
	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	nvrspages "campuskeep/firmware/web/pages/nvrs"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
)

// theNVR is the form of the NVR as it is.
func (h *env) theNVR() url.Values {
	n, err := h.recorders.NVR("n01")
	h.must(err)
	return nvrspages.NVRValues(n)
}

// Covers F1: a registered NVR is changed through a form that says in words why not.
func TestANVRIsEdited(t *testing.T) {
	h := newEnv(t)
	liang := h.as("liang")
	body := liang.get("/nvrs/n01/edit").Body
	for _, want := range []string{`value="http://192.168.1.64"`, `value="监控室一号录像机"`, `name="rev" value="3"`, "已换新机，旧机的录像不再可取", "旧机上未满期限的录像：2 路", "自行车棚"} {
		if !strings.Contains(body, want) {
			t.Errorf("the form does not say %q", want)
		}
	}
	f := h.theNVR()
	f.Set("name", "监控室录像机")
	if r := liang.post("/nvrs/n01", f); r.status != http.StatusSeeOther || r.done() != "done.nvr.changed" || len(h.recorders.begun) != 0 {
		t.Errorf("a name: %d %s, begun %v", r.status, r.header.Get("Location"), h.recorders.begun)
	}
	if e := h.recorders.edits[0]; e.Rev != 3 || e.Device.Name != "监控室录像机" || e.Swap != nil || e.Login != (site.Login{}) {
		t.Errorf("%+v", e)
	}
	f.Set("address", "192.168.1.65/")
	f.Set("pin", strings.Repeat("AB:", 31)+"AB")
	f.Set("password", "secret")
	f.Set("swap", "gone")
	f.Set("reason", "主板损坏")
	if r := liang.post("/nvrs/n01", f); r.status != http.StatusSeeOther || strings.Join(h.recorders.begun, ",") != "check n01" {
		t.Errorf("an address: %d, begun %v", r.status, h.recorders.begun)
	}
	if e := h.recorders.edits[1]; e.Device.Address != "http://192.168.1.65" || e.Device.Pin != strings.Repeat("ab", 32) || e.Swap == nil || *e.Swap != (nvr.Swap{Reason: "主板损坏"}) || e.Login.Password != "secret" {
		t.Errorf("%+v", e)
	}
	for name, x := range map[string]struct {
		err    error
		status int
		want   string
	}{
		"another machine": {&nvr.OtherDevice{Found: driver.Info{Model: "DS-1", Serial: "A1"}, Was: driver.Info{Model: "DS-2", Serial: "B2"}}, http.StatusUnprocessableEntity, "应答的是 DS-1 A1，登记的是 DS-2 B2"},
		"known":           {&nvr.OtherDevice{Found: driver.Info{Model: "DS-1", Serial: "A1"}, Known: "n02"}, http.StatusUnprocessableEntity, "它已登记为“旧教学楼录像机”"},
		"refused":         {&nvr.Unanswered{Fault: "credentials", Detail: "401, attempts left: 4"}, http.StatusUnprocessableEntity, "没有再试第二次"},
		"offline":         {&nvr.Unanswered{Fault: "offline"}, http.StatusUnprocessableEntity, "无法连接"},
		"conflict":        {ledgerdb.ErrConflict, http.StatusConflict, "他人刚刚改过这台录像机的登记"},
		"a field":         {fielderr.Errors{{Field: "password", Rule: "err.password_again"}}, http.StatusUnprocessableEntity, `id="f-password-e"`},
	} {
		h.recorders.refuse = x.err
		r := liang.post("/nvrs/n01", f)
		if r.status != x.status || !strings.Contains(r.Body, x.want) || !strings.Contains(r.Body, `value="192.168.1.65/"`) || strings.Contains(r.Body, "secret") {
			t.Errorf("%s: %d, says %q: %t", name, r.status, x.want, strings.Contains(r.Body, x.want))
		}
	}
	h.recorders.refuse = nil
	f.Set("technician", "p999")
	if r := liang.post("/nvrs/n01", f); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, `id="f-technician-e"`) {
		t.Errorf("a technician who is none: %d", r.status)
	}
	for who, path := range map[string]string{"zheng": "/nvrs/n01/edit", "fan": "/nvrs/n01/retire"} {
		if r := h.as(who).get(path); r.status != http.StatusForbidden {
			t.Errorf("%s at %s: %d", who, path, r.status)
		}
	}
	if r := liang.get("/nvrs/n02/edit"); r.status != http.StatusNotFound {
		t.Errorf("an NVR out of service: %d", r.status)
	}
}

// Covers F1, M5: what was changed about an NVR rests on its page, before and after, with the reason.
func TestTheChangesOfAnNVRStandOnItsPage(t *testing.T) {
	h := newEnv(t)
	part := func(name, text string) ledger.Part {
		return ledger.Part{Name: name, Owner: "nvr:n01", Plain: []byte(text)}
	}
	by := account.Who{Actor: account.Actor{ID: h.ids["liang"]}, Via: ledger.ViaWeb}
	_, err := h.store.Commit(t.Context(), ledgerdb.Change{Entries: []ledger.Draft{
		by.Draft("config.change", "", "nvr:n01", map[string]any{"what": "nvr_channels", "key": "n01"}, part("before", `{"name":"a","cameras":{"1":"c01","2":"c02"}}`), part("after", `{"name":"a","cameras":{"2":"c01"}}`)),
		by.Draft("config.change", "", "nvr:n01", map[string]any{"what": "nvr_swapped", "key": "n01"}, part("before", `{"address":"http://10.0.0.1"}`), part("after", `{"address":"http://10.0.0.2"}`), part("reason", "主板损坏")),
		by.Draft("config.change", "", "nvr:n01", map[string]any{"what": "nvr_login", "key": "n01"}),
	}})
	h.must(err)
	body := h.as("liang").get("/nvrs/n01").Body
	for _, want := range []string{"<del>通道 1</del> → <ins>通道 2</ins>", "<del>通道 2</del> → <ins>未接</ins>", "<del>http://10.0.0.1</del> → <ins>http://10.0.0.2</ins>", "<ins>主板损坏</ins>", "更改密码", "更换设备"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if log := h.as("zheng").get("/log?group=change").Body; !strings.Contains(log, "通道对应变更") || strings.Contains(log, "⟦") {
		t.Error("the log does not name the change")
	}
}

// Covers F1: cameras are put on other channels by a table with the channels as the NVR names them.
func TestChannelsAreChanged(t *testing.T) {
	h := newEnv(t)
	liang := h.as("liang")
	body := liang.get("/nvrs/n01").Body
	for _, want := range []string{`name="channel.c01"`, `<option value="4">通道 4 · 备用</option>`, `<option value="2" selected>通道 2 · IPC-2</option>`, "以前的对应"} {
		if !strings.Contains(body, want) {
			t.Errorf("the table does not say %q", want)
		}
	}
	if strings.Contains(h.as("zheng").get("/nvrs/n01").Body, `name="channel.c01"`) {
		t.Error("the head of safety can change channels")
	}
	f := url.Values{"rev": {"3"}, "channel.c01": {"2"}, "channel.c02": {"1"}, "how": {"plugged"}, "since": {"2026-05-20T07:30"}}
	if r := liang.post("/nvrs/n01/channels", f); r.status != http.StatusSeeOther || strings.Join(h.recorders.begun, ",") != "check n01" {
		t.Fatalf("%d %v", r.status, h.recorders.begun)
	}
	if c := h.recorders.channels; len(c) != 2 || c["c01"] != 2 || c["c02"] != 1 || !h.recorders.since.Equal(at(20, 7, 30)) {
		t.Errorf("%v since %v", c, h.recorders.since)
	}
	f.Set("how", "wrong")
	if r := liang.post("/nvrs/n01/channels", f); r.status != http.StatusSeeOther || !h.recorders.since.IsZero() {
		t.Errorf("%d %v", r.status, h.recorders.since)
	}
	for name, x := range map[string]struct {
		change func(url.Values)
		err    error
		status int
		want   string
	}{
		"twice":    {func(url.Values) {}, fielderr.Errors{{Field: "channel.c02", Rule: "err.nvr_channel_twice", Args: []any{2, "c01"}}}, 422, `href="#f-channel.c02"`},
		"no time":  {func(f url.Values) { f.Set("how", "plugged"); f.Set("since", "") }, nil, 422, `id="f-since-e"`},
		"not said": {func(f url.Values) { f.Del("how") }, nil, 422, `href="#f-how"`},
		"nonsense": {func(f url.Values) { f.Set("channel.c01", "x") }, nil, 422, `id="f-channel.c01-e"`},
		"conflict": {func(url.Values) {}, ledgerdb.ErrConflict, 409, "他人刚刚改过"},
		"busy":     {func(url.Values) {}, &nvr.Unanswered{Fault: "busy"}, 422, "录像机繁忙"},
	} {
		h.recorders.refuse = x.err
		g := frame.CloneValues(f)
		x.change(g)
		if r := liang.post("/nvrs/n01/channels", g); r.status != x.status || !strings.Contains(r.Body, x.want) {
			t.Errorf("%s: %d, says %q: %t", name, r.status, x.want, strings.Contains(r.Body, x.want))
		}
	}
}

// Covers F1, F3: taking an NVR out of service is asked first: which cameras go with it, and what would be missing.
func TestAnNVRLeavesAndComesBack(t *testing.T) {
	h := newEnv(t)
	liang := h.as("liang")
	body := liang.get("/nvrs/n01/retire").Body
	for _, want := range []string{"同时停用的 3 路摄像机", "北侧围墙", "主机经它录制", "等到 6月19日 再停用", "确认停用（连同 3 路摄像机）", "排队中的 2 项取回就此结束"} {
		if !strings.Contains(body, want) {
			t.Errorf("it does not ask with %q", want)
		}
	}
	f := url.Values{"rev": {"3"}, "camera": {"c01", "c02", "c03"}}
	if r := liang.post("/nvrs/n01/retire", f); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, `id="f-reason-e"`) {
		t.Errorf("without a reason: %d", r.status)
	}
	f.Set("reason", "设备老化")
	if r := liang.post("/nvrs/n01/retire", f); r.status != http.StatusSeeOther || len(h.recorders.service) != 1 || h.recorders.service[0] != "retire n01 设备老化 c01,c02,c03" {
		t.Errorf("%d %v", r.status, h.recorders.service)
	}
	for _, x := range []struct {
		err    error
		status int
		want   string
	}{{ledgerdb.ErrConflict, 409, "他人刚刚改过"}, {fielderr.Errors{{Field: "cameras", Rule: "err.nvr_needed", Args: []any{"新装"}}}, 422, "摄像机“新装”仍在用"}} {
		h.recorders.refuse = x.err
		if r := liang.post("/nvrs/n01/retire", f); r.status != x.status || !strings.Contains(r.Body, x.want) {
			t.Errorf("%v: %d", x.err, r.status)
		}
	}
	h.recorders.refuse = nil
	if body := liang.get("/nvrs/n02").Body; !strings.Contains(body, "已停用") || !strings.Contains(body, `href="/nvrs/n02/restore"`) || strings.Contains(body, "/nvrs/n02/check") {
		t.Error("the page of an NVR out of service")
	}
	if body := liang.get("/nvrs/n02/restore").Body; !strings.Contains(body, `name="camera" value="c03" checked`) {
		t.Error("it does not ask which cameras come back")
	}
	if r := liang.post("/nvrs/n02/restore", url.Values{"rev": {"5"}, "reason": {"重新启用"}, "camera": {"c03"}}); r.status != http.StatusSeeOther || h.recorders.service[len(h.recorders.service)-1] != "restore n02 重新启用 c03" {
		t.Errorf("%d %v", r.status, h.recorders.service)
	}
	for _, path := range []string{"/nvrs/n02/retire", "/nvrs/n01/restore"} {
		if r := liang.get(path); r.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, r.status)
		}
	}
}

// In a browser: another machine answers, the page leads to where that is stated, and the change goes through.
func TestReplacingAnNVRInABrowser(t *testing.T) {
	needChromium(t)
	h := newEnv(t)
	h.recorders.refuse = &nvr.OtherDevice{Found: driver.Info{Model: "DS-1", Serial: "A1"}, Was: driver.Info{Model: "DS-2", Serial: "B2"}}
	token := h.as("liang").token()
	ctx, stop := context.WithTimeout(browser(t), 90*time.Second)
	defer stop()
	err := chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error { return h.wear(ctx, tab, token, "light") }), viewport(390, 844),
		chromedp.Navigate(h.server.URL+"/nvrs/n01/edit"), chromedp.SetValue(chromedp.CSS("#f-address"), "http://192.168.1.65"), chromedp.Click(chromedp.CSS("main form .btn--p")),
		chromedp.WaitVisible(chromedp.CSS(".note.bad a")))
	if err != nil {
		t.Fatal(err)
	}
	wide, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.documentElement.scrollWidth > document.documentElement.clientWidth`))
	if err != nil || wide {
		t.Errorf("the page scrolls sideways on a phone: %v", err)
	}
	h.recorders.mu.Lock()
	h.recorders.refuse = nil
	h.recorders.mu.Unlock()
	err = chromedp.Do(ctx, chromedp.Click(chromedp.CSS(".note.bad a")), chromedp.Click(chromedp.CSS(`input[name="swap"][value="gone"]`)), chromedp.SetValue(chromedp.CSS("#f-reason"), "主板损坏"),
		chromedp.Click(chromedp.CSS("main form .btn--p")), chromedp.WaitVisible(chromedp.CSS("#nvr")))
	if err != nil {
		t.Fatal(err)
	}
	h.recorders.mu.Lock()
	defer h.recorders.mu.Unlock()
	if len(h.recorders.edits) != 1 || h.recorders.edits[0].Swap == nil || h.recorders.edits[0].Device.Address != "http://192.168.1.65" {
		t.Errorf("%+v", h.recorders.edits)
	}
}
