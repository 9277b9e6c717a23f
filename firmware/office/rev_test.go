package office

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"campuskeep/shared/account"
)

// fresh is a form made from the row of a camera as it stands.
func (h *house) fresh(id string, f url.Values) url.Values {
	out := url.Values{"rev": {strconv.FormatUint(h.site.CameraRev(id), 10)}}
	for k, v := range f {
		if k != "rev" {
			out[k] = v
		}
	}
	return out
}

// Two people have the form of one camera open. The second to save writes nothing over: the days that the first has
// given stay, what was typed is still there, and what has changed is said at its field.
func TestTwoFormsOfOneCamera(t *testing.T) {
	h := newHouse(t)
	cam, _ := h.site.Camera("c01")
	form := func(change map[string]string) url.Values {
		f := h.fresh("c01", cameraValues(cam))
		for k, v := range change {
			f.Set(k, v)
		}
		return f
	}
	zheng := form(map[string]string{"days": "90", "reason": "重点部位"})
	liang := form(map[string]string{"installer": "新安装公司"})
	v := h.as("liang")
	if r := v.post("/cameras/c01", zheng); r.status != http.StatusSeeOther {
		t.Fatal(r.status, r.body)
	}
	r := v.post("/cameras/c01", liang)
	if now, _ := h.site.Camera("c01"); r.status != http.StatusConflict || now.Policy.Days != 90 {
		t.Fatalf("%d, %d days", r.status, now.Policy.Days)
	}
	for _, want := range []string{"您打开页面之后，这一条已被他人改动", "新安装公司", "现在登记的是“90”", "现在登记的是“重点部位”"} {
		if !strings.Contains(r.body, want) {
			t.Errorf("the page does not say %s", want)
		}
	}
	// Saved again it is said of what was seen.
	again := form(map[string]string{"days": "90", "reason": "重点部位", "installer": "新安装公司"})
	again.Set("rev", regexp.MustCompile(`name="rev" value="(\d+)"`).FindStringSubmatch(r.body)[1])
	if r := v.post("/cameras/c01", again); r.status != http.StatusSeeOther {
		t.Fatal(r.status)
	}
	if now, _ := h.site.Camera("c01"); now.Policy.Days != 90 || now.Installer != "新安装公司" {
		t.Errorf("stored %+v", now)
	}
	for name, f := range map[string]url.Values{"no revision": cameraValues(cam), "an old one": zheng} {
		for _, path := range []string{"/cameras/c01", "/cameras/c01/retire"} {
			if r := v.post(path, f); r.status != http.StatusConflict {
				t.Errorf("%s at %s: %d", name, path, r.status)
			}
		}
	}
	if now, _ := h.site.Camera("c01"); now.Retired {
		t.Error("retired by an old page")
	}
}

// A preview of a spreadsheet is of the rows as they were: what was changed meanwhile is not written over.
func TestImportOverAChangedRow(t *testing.T) {
	h := newHouse(t)
	cam, _ := h.site.Camera("c01")
	v := h.as("liang")
	r := v.upload("/cameras/import", sheetOf(t, [][]any{{"编号*", "名称*", "地点*", "区域*", "录像保管方*", "安装单位"}, {"c01", cam.Name, cam.Place, "校门", "一体机", "新安装公司"}}))
	token := tokenOf.FindStringSubmatch(r.body)
	if token == nil {
		t.Fatal(r.status, r.body)
	}
	cam.Policy.Days, cam.Policy.Reason = 90, "重点部位"
	h.must(h.site.PutCamera(t.Context(), account.System, cam, nil))
	if r := v.post("/cameras/import/confirm", url.Values{"token": {token[1]}}); r.status != http.StatusUnprocessableEntity {
		t.Errorf("%d", r.status)
	}
	if now, _ := h.site.Camera("c01"); now.Policy.Days != 90 || now.Installer == "新安装公司" {
		t.Errorf("stored %+v", now)
	}
}
