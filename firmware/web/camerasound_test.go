package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"campuskeep/firmware/web/frame"
	cameraspages "campuskeep/firmware/web/pages/cameras"
	"campuskeep/scripts/sim/camera"
	"campuskeep/scripts/sim/render"
)

// Covers F1, F3, M5: sound is off until somebody decides otherwise and says on what ground; the decision is a change
// like any other, before and after, and the page says what comes of it.
func TestSoundIsADecisionPerCamera(t *testing.T) {
	h := newEnv(t)
	v := h.as("liang")
	if page := v.get("/cameras/new"); !strings.Contains(page.Body, `<input type="radio" name="sound" value="off" checked>`) {
		t.Error("a new camera does not begin without sound")
	}
	cam, _ := h.site.Camera("c01")
	f := cameraspages.CameraValues(cam)
	f.Set("sound", "on")
	if r := v.post("/cameras/c01", h.fresh("c01", f)); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, `id="f-sound_reason-e"`) {
		t.Errorf("without a ground: %d", r.status)
	}
	f.Set("sound", "loud")
	if r := v.post("/cameras/c01", h.fresh("c01", f)); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, "填 录音 或 不录音") {
		t.Errorf("neither on nor off: %d", r.status)
	}
	page := func(state frame.CameraState, want string) {
		t.Helper()
		h.packages.mu.Lock()
		h.packages.cameras = map[string]frame.CameraState{"c01": state}
		h.packages.mu.Unlock()
		if page := v.get("/cameras/c01"); !strings.Contains(page.Body, "<dt>声音</dt><dd>"+want+"</dd>") {
			t.Errorf("%+v: the page does not say %q:\n%s", state, want, page.text())
		}
	}
	page(frame.CameraState{State: "online", Offers: "AAC"}, "发送 AAC：不录音")
	page(frame.CameraState{State: "online"}, "不录音；摄像机不发送声音")
	page(frame.CameraState{State: "offline", Offers: "AAC"}, "不录音")
	f.Set("sound", "on")
	f.Set("sound_reason", "校门值守须知第 4 条")
	if r := v.post("/cameras/c01", h.fresh("c01", f)); r.status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", r.status, r.text())
	}
	if e := h.newest(1)[0]; e.Kind != "camera.changed" || string(e.Data) != `{"what":["sound","sound_reason"],"days":30,"custody":"vault"}` || strings.Contains(string(e.Data), "值守") {
		t.Errorf("entry %s %s", e.Kind, e.Data)
	}
	page(frame.CameraState{State: "online", Offers: "AAC", Sound: true}, "发送 AAC：录音；校门值守须知第 4 条")
	page(frame.CameraState{State: "online", Offers: "G.726"}, "发送 G.726：无法录音（可录 AAC-LC、G.711、Opus）；校门值守须知第 4 条")
	if page := v.get("/cameras/c01"); !strings.Contains(page.Body, "<del>不录音</del> → <ins>录音</ins>") || !strings.Contains(page.Body, "<ins>校门值守须知第 4 条</ins>") {
		t.Errorf("the change is not told:\n%s", page.text())
	}
	f.Set("custody", "nvr")
	if r := v.post("/cameras/c01", h.fresh("c01", f)); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, `id="f-sound-e"`) || !strings.Contains(r.Body, "只有存储在主机上的摄像机能录音") {
		t.Errorf("sound that an NVR keeps: %d", r.status)
	}
	f.Del("sound") // a form that says nothing of it, as before there was the choice
	if r := v.post("/cameras/c01", h.fresh("c01", f)); r.status != http.StatusSeeOther {
		t.Fatalf("%d", r.status)
	}
	if cam, _ := h.site.Camera("c01"); cam.Sound {
		t.Error("it is on without anybody saying so")
	}
	page(frame.CameraState{State: "online"}, "不录音；录像机自己录不录音，由录像机设定")
}

// Covers F1, F3: in a spreadsheet an empty cell is off, and nothing else but the two words is taken.
func TestSoundInASpreadsheet(t *testing.T) {
	h := newEnv(t)
	v := h.as("liang")
	head := []any{"编号*", "名称*", "地点*", "区域*", "存储位置*", "主码流地址", "声音", "录音的依据"}
	row := func(id string, sound, why string) []any {
		return []any{id, "北楼", "北楼一层", "走廊", "主机", "rtsp://10.20.6.1/" + id, sound, why}
	}
	r := v.upload("/cameras/import", sheetOf(t, [][]any{head, row("n1", "要", ""), row("n2", "录音", "")}))
	for _, want := range []string{"声音：填 录音 或 不录音", "录音的依据：录音须写明依据"} {
		if r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, want) {
			t.Errorf("%d: the preview does not say %q\n%s", r.status, want, r.text())
		}
	}
	r = v.upload("/cameras/import", sheetOf(t, [][]any{head, row("n1", "", ""), row("n2", "录音", "值守须知"), row("n3", "不录音", ""), row("n4", "Recorded", "rule 4")}))
	m := tokenOf.FindStringSubmatch(r.Body)
	if m == nil {
		t.Fatalf("%d\n%s", r.status, r.text())
	}
	if r := v.post("/cameras/import/confirm", url.Values{"token": {m[1]}}); r.status != http.StatusSeeOther {
		t.Fatalf("%d", r.status)
	}
	for id, want := range map[string]bool{"n1": false, "n2": true, "n3": false, "n4": true} {
		if cam, _ := h.site.Camera(id); cam.Sound != want || want && cam.SoundReason == "" {
			t.Errorf("%s: %+v", id, cam)
		}
	}
	for _, lang := range []string{"zh-CN", "en"} {
		out := v.do(http.MethodPost, "/cameras/export", nil, "Cookie", "lang="+lang)
		if back := v.upload("/cameras/import", []byte(out.Body)); !strings.Contains(back.Body, "表格与登记一致") {
			t.Errorf("what was exported in %s is not what is taken: %d\n%s", lang, back.status, back.text())
		}
	}
	r = v.upload("/cameras/import", sheetOf(t, [][]any{head, row("n2", "", "")}))
	if m = tokenOf.FindStringSubmatch(r.Body); m == nil || v.post("/cameras/import/confirm", url.Values{"token": {m[1]}}).status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", r.status, r.text())
	}
	if cam, _ := h.site.Camera("n2"); cam.Sound {
		t.Error("an empty cell leaves the sound on")
	}
}

// Covers F1: a test says what sound a camera sends and whether it will be recorded, and asks for none.
func TestATestTellsOfTheSound(t *testing.T) {
	h := newEnv(t)
	cam, err := camera.Start(context.Background(), camera.Options{Name: "c09", Listen: "127.0.0.1:0", User: "ck", Password: "camera-secret", FPS: 10,
		Coding: render.Coding{W: 160, H: 96, GOP: 10}, Sound: "aac"})
	h.must(err)
	defer func() { h.must(cam.Close()) }()
	v := h.as("liang")
	f := url.Values{"id": {"c09"}, "name": {"新装"}, "place": {"东大门"}, "area": {"gate"}, "custody": {"vault"}, "main": {cam.URL()}, "days": {"30"}, "user": {"ck"}, "password": {"camera-secret"}, "sound": {"off"}}
	for sound, want := range map[string]string{"off": "发送 AAC：不录音", "on": "发送 AAC：录音"} {
		f.Set("sound", sound)
		if r := v.post("/cameras/test", f); r.status != http.StatusOK || !strings.Contains(r.Body, want+"</dd>") {
			t.Errorf("%s: %d\n%s", sound, r.status, r.text())
		}
	}
	if n := cam.SoundAsked(); n != 0 {
		t.Errorf("the test asked for the sound %d times", n)
	}
}
