package web

import (
	"net/url"
	"strconv"
	"strings"
	"testing"

	"campuskeep/firmware/reader"
	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
)

// fakeReaders are the running readers of a test.
type fakeReaders struct{ status map[string]frame.ReaderStatus }

func (f *fakeReaders) Ports() []frame.ReaderPort {
	return []frame.ReaderPort{{Path: "/dev/ttyS1", Configured: true, Present: true}, {Path: "/dev/ttyUSB0", Baud: 9600}}
}

func (f *fakeReaders) Serves(site.ReaderKind) bool { return true }

func (f *fakeReaders) Status(id string) (frame.ReaderStatus, bool) {
	s, ok := f.status[id]
	return s, ok
}

func readerForm(over ...string) url.Values {
	v := url.Values{"id": {"r09"}, "kind": {"osdp"}, "name": {"西门 1 号"}, "place": {"西门"}, "direction": {"in"}, "port": {"/dev/ttyUSB0"}, "baud": {"0"}, "address": {"3"}}
	for i := 0; i < len(over); i += 2 {
		v.Set(over[i], over[i+1])
	}
	return v
}

// A reader is registered, tested by holding a card to it, taken out of service and back, all on its pages. Covers S6, M5.
func TestReaderIsRegisteredAndTested(t *testing.T) {
	h := newEnv(t)
	admin := h.as("liang")
	if body := admin.get("/readers").Body; !strings.Contains(body, "东大门 1 号") || !strings.Contains(body, "/dev/ttyUSB0") {
		t.Errorf("the list shows neither the reader nor the ports:\n%s", body)
	}
	for _, bad := range [][]string{{"port", "/dev/tpmrm0"}, {"address", "127"}, {"address", "x"}, {"name", " "}, {"direction", "up"}, {"technician", "p99"}, {"kind", "usb"}} {
		if r := admin.post("/readers/new", readerForm(bad...)); r.status != 422 {
			t.Errorf("%v: %d", bad, r.status)
		}
	}
	if r := admin.post("/readers/new", readerForm("technician", h.ids["liang"])); r.status != 303 {
		t.Fatalf("registering answers %d\n%s", r.status, r.Body)
	}
	got, ok := h.site.Reader("r09")
	if !ok || got.Address != 3 || got.Name != "西门 1 号" || got.Technician != h.ids["liang"] {
		t.Fatalf("registered %+v", got)
	}
	if e := h.newest(1)[0]; e.Kind != "config.change" || e.Subject != "reader:r09" {
		t.Errorf("entry %s about %s", e.Kind, e.Subject)
	}
	if r := admin.post("/readers/new", readerForm("address", "4")); r.status != 422 {
		t.Errorf("an id that is taken: %d", r.status)
	}
	if r := admin.post("/readers/r09", readerForm("name", "西门 2 号", "rev", "1")); r.status != 409 || !strings.Contains(r.Body, "西门 2 号") {
		t.Errorf("over a revision that is gone: %d", r.status)
	}

	page := admin.get("/readers/r01/test")
	if page.status != 303 {
		t.Fatalf("the test answers %d", page.status)
	}
	to := strings.TrimSuffix(page.header.Get("Location"), "#test")
	if body := admin.get(to).Body; !strings.Contains(body, "请在“东大门 1 号”上刷一张卡") {
		t.Errorf("it does not wait for a card:\n%s", body)
	}
	h.tap(1, 2)
	body := admin.get(to).Body
	if !strings.Contains(body, "读到已登记的卡") || !strings.Contains(body, "…0102") || strings.Contains(body, "04A2B30102") {
		t.Errorf("the card is not shown as it may be:\n%s", body)
	}
	if !strings.Contains(body, "刷卡，进校") || strings.Contains(body, "曹望远") {
		t.Errorf("the last records are wrong:\n%s", body)
	}
	h.clock.pass(reader.KeepCard + 1)
	if body := admin.get(to).Body; !strings.Contains(body, "请在“东大门 1 号”上刷一张卡") {
		t.Error("the card is kept for longer than it may")
	}
	rev := h.site.ReaderRev("r09")
	if r := admin.post("/readers/r09/retire", url.Values{"rev": {strconv.FormatUint(rev, 10)}}); r.status != 303 {
		t.Errorf("taking it out of service: %d", r.status)
	}
	if got, _ := h.site.Reader("r09"); !got.Retired {
		t.Error("it is still in service")
	}
	if r := admin.post("/readers/export", nil); r.status != 200 || h.newest(1)[0].Kind != "reader.exported" {
		t.Errorf("export: %d, %s", r.status, h.newest(1)[0].Kind)
	}
}

// Who is named for a reader sees it and its faults, and no other; who is not sees none.
func TestReaderFaultReachesItsTechnician(t *testing.T) {
	h := newEnv(t)
	r, _ := h.site.Reader("r01")
	r.Technician = h.ids["luo"]
	h.must(h.site.PutReader(t.Context(), h.admin(), r))
	h.must(h.site.PutReader(t.Context(), h.admin(), site.Reader{ID: "r02", Name: "西门 1 号", Direction: "in", Port: "/dev/ttyS1", Address: 2}))
	h.readers.status = map[string]frame.ReaderStatus{"r01": {Status: reader.Status{Reader: "r01", State: reader.Offline, Reason: reader.ReasonSilent}, When: h.clock.Now().Wall}}
	teacher := h.as("luo")
	if body := teacher.get("/").Body; !strings.Contains(body, "读卡器“东大门 1 号”有故障") {
		t.Error("the technician is not told")
	}
	if body := teacher.get("/readers").Body; !strings.Contains(body, "东大门 1 号") || strings.Contains(body, "西门 1 号") {
		t.Errorf("the technician sees other readers, or not the own one:\n%s", body)
	}
	for path, want := range map[string]int{"/readers/r01": 200, "/readers/r02": 403, "/readers/r99": 404, "/api/v1/readers/r01": 200, "/readers/r01/edit": 403} {
		if got := teacher.get(path).status; got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	if body := h.as("fan").get("/readers").Body; strings.Contains(body, "东大门 1 号") {
		t.Error("an applicant sees the readers")
	}
	if r := h.as("zheng").get("/api/v1/readers"); r.status != 200 || !strings.Contains(r.Body, `"reason":"silent"`) {
		t.Errorf("JSON: %d %s", r.status, r.Body)
	}
}
