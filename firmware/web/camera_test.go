package web

import (
	"bytes"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"campuskeep/firmware/health"
	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	cameraspages "campuskeep/firmware/web/pages/cameras"
	"campuskeep/scripts/sim/camera"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
)

// manyCameras registers cameras up to n.
func (h *env) manyCameras(n int) {
	h.t.Helper()
	var list []site.CameraPut
	areas := footage.Areas
	for i := 4; i <= n; i++ {
		list = append(list, site.CameraPut{Camera: footage.Camera{ID: fmt.Sprintf("c%02d", i), Name: fmt.Sprintf("教学楼 %d 号", i), Place: fmt.Sprintf("教学楼 %d 层", 1+i%5), Group: "教学楼",
			Area: areas[i%len(areas)], Custody: footage.CustodyVault, Main: fmt.Sprintf("rtsp://10.20.5.%d/main", i), Policy: footage.Policy{Days: 30}, Installed: fmt.Sprintf("2025-%02d-01", 1+i%12)}})
	}
	_, err := h.site.PutCameras(h.t.Context(), account.System, list)
	h.must(err)
}

var rowOf = regexp.MustCompile(`<a href="/cameras/(c[0-9]+)">`)

func camerasOn(page answer) (out []string) {
	for _, m := range rowOf.FindAllStringSubmatch(page.Body, -1) {
		out = append(out, m[1])
	}
	return out
}

// Covers F1: the register is searched, filtered, sorted and turned page by page.
func TestTheRegisterOfManyCameras(t *testing.T) {
	h := newEnv(t)
	h.manyCameras(64)
	v := h.as("liang")
	if got := camerasOn(v.get("/cameras")); len(got) != frame.PerPage || got[0] != "c03" {
		t.Errorf("the first page begins with what is offline: %v", got)
	}
	for query, want := range map[string]string{
		"?q=自行车棚":                       "c03",
		"?q=10.20.5.64":                 "c64",
		"?sort=camera&page=3":           "c51 c52 c53 c54 c55 c56 c57 c58 c59 c60 c61 c62 c63 c64",
		"?sort=camera&page=99":          "c51 c52 c53 c54 c55 c56 c57 c58 c59 c60 c61 c62 c63 c64",
		"?state=offline":                "c03",
		"?group=校门与周界&sort=-camera":     "c03 c02 c01",
		"?technician=-&q=楼 号&area=gate": "c08 c16 c24 c32 c40 c48 c56 c64",
		"?q=nobody":                     "",
		"?state=retired":                "",
	} {
		page := v.get("/cameras" + strings.ReplaceAll(query, " ", "%20"))
		if got := strings.Join(camerasOn(page), " "); page.status != http.StatusOK || got != want {
			t.Errorf("%s: %d, %s, want %s", query, page.status, got, want)
		}
	}
	if page := v.get("/cameras?sort=days"); !strings.Contains(page.Body, `aria-sort="ascending"`) || !strings.Contains(page.Body, "sort=-days") {
		t.Error("the sorted column is not marked")
	}
	if r := h.as("fan").get("/cameras"); r.status != http.StatusForbidden {
		t.Errorf("a teacher: %d", r.status)
	}
}

// Covers F1, M5: the page of a camera tells who changed what, before and after; taking it out of service is asked
// first, says what becomes of the footage, and can be taken back.
func TestACameraThroughItsLife(t *testing.T) {
	h := newEnv(t)
	v := h.as("liang")
	cam, _ := h.site.Camera("c01")
	f := cameraspages.CameraValues(cam)
	f.Set("days", "90")
	f.Set("reason", "重点部位")
	f.Set("technician", h.ids["zhou"])
	if r := v.post("/cameras/c01", h.fresh("c01", f)); r.status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", r.status, r.text())
	}
	page := v.get("/cameras/c01")
	for _, want := range []string{"<del>30 天</del> → <ins>90 天</ins>", "<del>梁牧</del> → <ins>周以宁</ins>", "重点部位"} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the page does not tell %q:\n%s", want, page.text())
		}
	}
	f.Set("technician", "p999")
	if r := v.post("/cameras/c01", h.fresh("c01", f)); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, `id="f-technician-e"`) {
		t.Errorf("a technician who is none: %d", r.status)
	}
	ask := v.get("/cameras/c01/retire")
	if cam, _ := h.site.Camera("c01"); cam.Retired || !strings.Contains(ask.Body, "8月18日") || !strings.Contains(ask.Body, "立即停止录像") {
		t.Errorf("asking: retired %v\n%s", cam.Retired, ask.text())
	}
	if r := v.post("/cameras/c01/retire", h.fresh("c01", nil)); r.status != http.StatusSeeOther {
		t.Fatalf("%d", r.status)
	}
	if cam, _ := h.site.Camera("c01"); !cam.Retired {
		t.Error("it is still in service")
	}
	if r := v.get("/cameras/c01/retire"); r.status != http.StatusNotFound {
		t.Errorf("out of service twice: %d", r.status)
	}
	if r := v.post("/cameras/c01/restore", h.fresh("c01", nil)); r.status != http.StatusSeeOther {
		t.Fatalf("%d", r.status)
	}
	if cam, _ := h.site.Camera("c01"); cam.Retired || cam.Policy.Days != 90 {
		t.Errorf("%+v", cam)
	}
	if r := h.as("guo").get("/cameras/c01"); r.status != http.StatusOK || strings.Contains(r.Body, "/cameras/c01/edit") {
		t.Errorf("the supervision group sees the page without a way to change: %d", r.status)
	}
}

func (h *env) stills(o camera.StillOptions) *camera.Stills {
	h.t.Helper()
	o.Name = "c01"
	s, err := camera.StartStills(o)
	h.must(err)
	h.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			h.t.Error(err)
		}
	})
	return s
}

// Covers F1, F10, F12, F13: a new camera shows one picture to who installs it, made by us, with who looks written
// over it; the entry is before it leaves. A camera that has run for weeks shows none, unless it has a fault.
func TestAPictureForAiming(t *testing.T) {
	h := newEnv(t)
	s := h.stills(camera.StillOptions{User: "ck", Password: "camera-secret"})
	v := h.as("liang")
	f := url.Values{"id": {"c09"}, "name": {"新装"}, "place": {"东大门"}, "area": {"gate"}, "custody": {"nvr"}, "main": {""}, "still": {s.URL()}, "days": {"30"}, "user": {"ck"}, "password": {"camera-secret"}}
	r := v.post("/cameras/test", f)
	if r.status != http.StatusOK || !strings.Contains(r.Body, "data:image/jpeg;base64,") || r.header.Get("Cache-Control") != "no-store" || !strings.Contains(r.Body, "640 × 360") {
		t.Fatalf("%d %s\n%s", r.status, r.header.Get("Cache-Control"), r.text())
	}
	if e := h.newest(1)[0]; e.Kind != "camera.tested" || e.Subject != "camera.new" || string(e.Data) != `{"result":"ok","picture":true,"known":false}` || e.Actor.ID != h.ids["liang"] {
		t.Errorf("entry %s %s", e.Kind, e.Data)
	}
	if _, ok := h.site.Camera("c09"); ok {
		t.Error("a test registered the camera")
	}
	part := v.do(http.MethodPost, "/cameras/test", f, "HX-Request", "true")
	if strings.Contains(part.Body, "<html") || !strings.Contains(part.Body, "data:image/jpeg") {
		t.Errorf("the part alone: %s", part.text())
	}
	f.Set("password", "wrong")
	if r := v.post("/cameras/test", f); !strings.Contains(r.Body, "摄像机拒绝了密码") || strings.Contains(r.Body, "data:image") || s.Failed() != 1 {
		t.Errorf("a wrong password: %d failed log-ins\n%s", s.Failed(), r.text())
	}
	cam, _ := h.site.Camera("c01")
	cam.Custody, cam.Main, cam.Still = footage.CustodyNVR, "", s.URL()
	h.must(h.site.PutCamera(t.Context(), account.System, cam, &site.Login{User: "ck", Password: "camera-secret"}))
	asked := s.Asked()
	for name, path := range map[string]string{"registered for weeks": "/cameras/c01/test", "the same under a new number": "/cameras/test"} {
		x := url.Values{}
		if path == "/cameras/test" {
			x = f
			x.Set("password", "camera-secret")
		}
		if r := v.post(path, x); r.status != http.StatusOK || strings.Contains(r.Body, "data:image") || !strings.Contains(r.Body, "不显示画面") || s.Asked() != asked {
			t.Errorf("%s: %d, asked %d\n%s", name, r.status, s.Asked()-asked, r.text())
		}
	}
	if e := h.newest(1)[0]; e.Kind != "camera.tested" || !strings.Contains(string(e.Data), `"picture":false`) {
		t.Errorf("entry %s %s", e.Kind, e.Data)
	}
	h.ails(1, health.Seen{Camera: "c01", Code: footage.FaultOffline, Finding: footage.Ill})
	if r := v.post("/cameras/c01/test", nil); !strings.Contains(r.Body, "data:image") {
		t.Errorf("with a fault: %s", r.text())
	}
	f = cameraspages.CameraValues(cam)
	f.Set("still", "http://127.0.0.2:1/x")
	if r := v.post("/cameras/c01/test", f); !strings.Contains(r.Body, "地址换了设备") {
		t.Errorf("the stored password was taken to another device: %s", r.text())
	}
	if r := h.as("zhou").post("/cameras/c01/test", nil); r.status != http.StatusForbidden {
		t.Errorf("an officer tests cameras: %d", r.status)
	}
	h.ring.with(errFull)
	if r := v.post("/cameras/c01/test", nil); r.status != http.StatusServiceUnavailable || strings.Contains(r.Body, "data:image") {
		t.Errorf("a picture left without its entry: %d", r.status)
	}
	h.ring.with(nil)
}

var errFull = errors.New("the disk is full")

// sheetOf makes a spreadsheet of rows.
func sheetOf(t testing.TB, rows [][]any) []byte {
	t.Helper()
	x := excelize.NewFile()
	for i, r := range rows {
		if err := x.SetSheetRow("Sheet1", fmt.Sprintf("A%d", i+1), &r); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := x.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// upload sends a file as a browser does.
func (v *visitor) upload(path string, file []byte) answer {
	return v.uploadForm(path, nil, "cameras.xlsx", file)
}

// uploadForm sends fields and a file as a browser does; without a name no file.
func (v *visitor) uploadForm(path string, fields url.Values, name string, file []byte) answer {
	v.h.t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for k, list := range fields {
		for _, x := range list {
			v.h.must(w.WriteField(k, x))
		}
	}
	if name != "" {
		p, err := w.CreateFormFile("file", name)
		v.h.must(err)
		_, err = p.Write(file)
		v.h.must(err)
	}
	v.h.must(w.Close())
	r, err := http.NewRequestWithContext(v.h.t.Context(), http.MethodPost, v.h.server.URL+path, &b)
	v.h.must(err)
	r.Header.Set("Content-Type", w.FormDataContentType())
	res, err := v.http.Do(r)
	v.h.must(err)
	var out bytes.Buffer
	_, err = out.ReadFrom(res.Body)
	v.h.must(errors.Join(err, res.Body.Close()))
	return answer{res.StatusCode, res.Header, out.String()}
}

var tokenOf = regexp.MustCompile(`name="token" value="([^"]+)"`)

// Covers F1, F2: a spreadsheet is shown with every row's faults and taken whole or not at all; what was exported is
// taken back without a change, and holds no password.
func TestTheRegisterAsASpreadsheet(t *testing.T) {
	h := newEnv(t)
	v := h.as("liang")
	head := []any{"编号*", "名称*", "地点*", "区域*", "存储位置*", "主码流地址", "保存天数", "国标编码", "摄像机用户名", "密码", "技术负责人", "安装日期", "在用"}
	good := func(id string) []any {
		return []any{id, "北楼", "北楼一层", "走廊", "主机", "rtsp://10.20.6." + strings.TrimPrefix(id, "n") + "/main", 45, "", "ck", "imported-secret", "梁牧", 45797, "在用"}
	}
	size := h.store.Size()
	bad := [][]any{head, {"# c01", "说明"}, good("n1"), good("n2"), good("n3"), good("n4"), good("n1")}
	bad[3][3] = "卫生间"
	bad[4][7] = 34020000001320000001.0
	bad[5][10], bad[5][4] = "没有的人", "云"
	r := v.upload("/cameras/import", sheetOf(t, bad))
	for _, want := range []string{"私人区域不得安装", "丢失了位数", "没有这个人", "没有写入任何内容", "请写明依据"} {
		if want == "请写明依据" {
			want = "须写明依据"
		}
		if !strings.Contains(r.Body, want) {
			t.Errorf("the preview does not say %q", want)
		}
	}
	if r.status != http.StatusUnprocessableEntity || tokenOf.MatchString(r.Body) || h.store.Size() != size || strings.Contains(r.Body, "imported-secret") {
		t.Fatalf("%d, %d entries\n%s", r.status, h.store.Size()-size, r.text())
	}
	head = append(head, "保存更久的依据")
	rows := [][]any{head}
	for n := 1; n <= 40; n++ {
		rows = append(rows, append(good(fmt.Sprintf("n%d", n)), "重点部位"))
	}
	r = v.upload("/cameras/import", sheetOf(t, rows))
	m := tokenOf.FindStringSubmatch(r.Body)
	if r.status != http.StatusOK || m == nil || h.store.Size() != size {
		t.Fatalf("a good one: %d\n%s", r.status, r.text())
	}
	if r := h.as("zheng").post("/cameras/import/confirm", url.Values{"token": {m[1]}}); r.status != http.StatusUnprocessableEntity {
		t.Errorf("somebody else confirmed: %d", r.status)
	}
	if r := v.post("/cameras/import/confirm", url.Values{"token": {m[1]}}); r.status != http.StatusSeeOther || h.count("camera.registered") != 3+40 {
		t.Fatalf("confirming: %d, %d cameras", r.status, h.count("camera.registered"))
	}
	cam, _ := h.site.Camera("n7")
	if login, err := h.site.Credentials("n7"); err != nil || login.Password != "imported-secret" || cam.Installed != "2025-05-20" || cam.Policy.Days != 45 || cam.Technician != h.ids["liang"] {
		t.Errorf("%+v, %v", cam, err)
	}
	if r := v.post("/cameras/import/confirm", url.Values{"token": {m[1]}}); r.status != http.StatusUnprocessableEntity {
		t.Errorf("confirming twice: %d", r.status)
	}
	for _, lang := range []string{"zh-CN", "en"} {
		out := v.do(http.MethodPost, "/cameras/export", nil, "Cookie", "lang="+lang)
		if out.status != http.StatusOK || h.count("camera.exported") == 0 || strings.Contains(out.Body, "secret") {
			t.Fatalf("export: %d", out.status)
		}
		size = h.store.Size()
		back := v.upload("/cameras/import", []byte(out.Body))
		if !strings.Contains(back.Body, "表格与登记一致") || h.store.Size() != size {
			t.Errorf("what was exported in %s is not what is taken: %d\n%s", lang, back.status, back.text())
		}
	}
	if r := v.get("/cameras/template.xlsx"); r.status != http.StatusOK {
		t.Errorf("template: %d", r.status)
	}
}

// What is no such spreadsheet is reported with what to do.
func TestFilesThatAreNoRegister(t *testing.T) {
	h := newEnv(t)
	v := h.as("liang")
	many := [][]any{{"编号", "名称", "地点", "区域", "存储位置"}}
	for n := range site.MaxCameras + 1 {
		many = append(many, []any{fmt.Sprintf("m%d", n), "x", "x", "走廊", "录像机"})
	}
	for name, x := range map[string]struct {
		file []byte
		want string
	}{
		"none":           {nil, "请选择 .xlsx 文件"},
		"old":            {[]byte("\xd0\xcf\x11\xe0 old"), "另存为 .xlsx"},
		"text":           {[]byte("编号,名称"), "不是 .xlsx"},
		"big":            {make([]byte, cameraspages.MaxCameraFile+1), "超过 1 MB"},
		"empty":          {sheetOf(t, [][]any{{"编号", "名称", "地点", "区域", "存储位置"}}), "表格中没有数据行"},
		"column":         {sheetOf(t, [][]any{{"编号", "名称", "地点", "区域", "存储位置", "颜色"}, {"c01"}}), "认不得的列“颜色”"},
		"column missing": {sheetOf(t, [][]any{{"编号", "名称"}, {"c01", "x"}}), "缺少“地点”列"},
		"column twice":   {sheetOf(t, [][]any{{"编号", "名称", "地点", "区域", "存储位置", "名称"}, {"c01"}}), "“名称”列出现两次"},
		"too many":       {sheetOf(t, many), "最多 512 项"},
	} {
		if r := v.upload("/cameras/import", x.file); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, x.want) {
			t.Errorf("%s: %d, want %q\n%s", name, r.status, x.want, r.text())
		}
	}
	if r := v.post("/cameras/import", url.Values{"file": {"x"}}); r.status != http.StatusUnprocessableEntity {
		t.Errorf("no upload at all: %d", r.status)
	}
}
