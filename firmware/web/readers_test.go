package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/reader"
	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
)

// fakeReaders are the running readers of a test.
type fakeReaders struct {
	site     *site.Site
	status   map[string]frame.ReaderStatus
	installs map[string]time.Time
}

func (f *fakeReaders) Install(ctx context.Context, by account.Who, id string) error {
	f.installs = map[string]time.Time{id: at(20, 9, 52)}
	return f.site.SetReaderKey(ctx, by, id, nil)
}

func (f *fakeReaders) EndInstall(ctx context.Context, by account.Who, id string) error {
	delete(f.installs, id)
	return f.site.NoteReaderKey(ctx, by, id, site.KeyEnded)
}

func (f *fakeReaders) Installing(id string) (time.Time, bool) {
	until, ok := f.installs[id]
	return until, ok
}

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

// A card is handed out by holding it to a chosen reader; one that somebody has, or that is too old, is not. Covers S6, S14.
func TestCardIsHandedOutByTapping(t *testing.T) {
	h := newEnv(t)
	head := h.as("zheng")
	pupil := h.pupils[0]
	body := head.get("/readers/enrol?q=" + url.QueryEscape("安知予")).Body
	if !strings.Contains(body, "student="+pupil) {
		t.Fatalf("the pupil is not found:\n%s", body)
	}
	at := func() string {
		return "/readers/enrol?student=" + pupil + "&reader=r01&after=" + strconv.FormatUint(h.cards.Number(), 10)
	}
	page := at()
	if body := head.get(page).Body; !strings.Contains(body, "请在“东大门 1 号”上刷卡") {
		t.Fatalf("it does not wait:\n%s", body)
	}
	card := attendance.Card{Bits: 32, Raw: []byte{0x0A, 0x0B, 0x0C, 0x0D}}
	note := func(raw []byte) uint64 {
		h.cards.Note(reader.CardRead{Reader: "r01", Bits: 8 * len(raw), UID: raw, At: h.clock.Now().Mono})
		return h.cards.Number()
	}
	n := note(card.Raw)
	if body := head.get(page).Body; !strings.Contains(body, "0A0B0C0D") || !strings.Contains(body, "0168496141") || !strings.Contains(body, "发给 安知予") {
		t.Errorf("the card is not shown:\n%s", body)
	}
	form := url.Values{"student": {pupil}, "reader": {"r01"}, "n": {strconv.FormatUint(n, 10)}}
	if r := h.as("liang").post("/readers/enrol", form); r.status != 403 {
		t.Errorf("the administrator hands out a card: %d", r.status)
	}
	if r := head.post("/readers/enrol", form); r.status != 303 {
		t.Fatalf("handing out answers %d\n%s", r.status, r.Body)
	}
	if s, _, ok := h.people.ByCard(card.Hash(h.people.CardKey())); !ok || s != pupil {
		t.Errorf("the card belongs to %q", s)
	}
	at()
	note([]byte{4, 0xA2, 0xB3, 0xC4})
	n = note([]byte{4, 0xA2, 0xB3, 1, 3})
	form.Set("n", strconv.FormatUint(n-1, 10))
	if r := head.post("/readers/enrol", form); r.status != 409 {
		t.Errorf("a card that is not the last one: %d", r.status)
	}
	form.Set("n", strconv.FormatUint(n, 10))
	h.clock.pass(reader.KeepCard + 1)
	if r := head.post("/readers/enrol", form); r.status != 409 {
		t.Errorf("a card of long ago: %d", r.status)
	}
	other, err := attendance.ParseCard("04A2B30103")
	h.must(err)
	page = at()
	n = note(other.Raw)
	if body := head.get(page).Body; !strings.Contains(body, "这张卡已发给 岑越") {
		t.Errorf("the card of another pupil:\n%s", body)
	}
	form.Set("n", strconv.FormatUint(n, 10))
	if r := head.post("/readers/enrol", form); r.status != 422 {
		t.Errorf("a card of another pupil is handed out: %d", r.status)
	}
}

// One card tells how a list of card numbers is printed.
func TestCardNumberFormatIsFound(t *testing.T) {
	h := newEnv(t)
	head := h.as("zheng")
	ask := "/readers/format?reader=r01&printed=3300106756"
	r := head.get(ask)
	if r.status != 303 {
		t.Fatalf("it does not start to wait: %d\n%s", r.status, r.Body)
	}
	page := r.header.Get("Location")
	if body := head.get(page).Body; !strings.Contains(body, "请刷印有“3300106756”的那张卡") {
		t.Errorf("it does not wait:\n%s", body)
	}
	h.cards.Note(reader.CardRead{Reader: "r01", Bits: 32, UID: []byte{4, 0xA2, 0xB3, 0xC4}, At: h.clock.Now().Mono})
	if body := head.get(page).Body; !strings.Contains(body, "dec-reversed-32") || !strings.Contains(body, "字节顺序与读卡器相反") {
		t.Errorf("the format is not found:\n%s", body)
	}
	wrong := strings.Replace(page, "3300106756", "3300106757", 1)
	if body := head.get(wrong).Body; !strings.Contains(body, "不是读卡器读到的号码") {
		t.Errorf("a number of another card:\n%s", body)
	}
}

// A reader is installed by an act that is logged and has an end; its key is on no page. An exchanged reader is said
// until somebody accepts it. Covers M5.
func TestReaderIsInstalledOnItsPage(t *testing.T) {
	h := newEnv(t)
	admin := h.as("liang")
	if body := admin.get("/readers/r01").Body; !strings.Contains(body, "卡号在线路上不加密") {
		t.Errorf("it is not said that cards travel in clear:\n%s", body)
	}
	if r := h.as("zhou").post("/readers/r01/install", nil); r.status != 403 {
		t.Errorf("an installer of nothing may install: %d", r.status)
	}
	if r := admin.post("/readers/r01/install", nil); r.status != 303 {
		t.Fatalf("installing answers %d\n%s", r.status, r.Body)
	}
	key, placed, err := h.site.ReaderKey("r01")
	if h.must(err); len(key) != 16 || placed {
		t.Errorf("a key of %d bytes, placed %v", len(key), placed)
	}
	if body := admin.get("/readers/r01").Body; !strings.Contains(body, "安装模式") || !strings.Contains(body, "09:52") {
		t.Errorf("the end of installing is not said:\n%s", body)
	}
	if r := admin.post("/readers/r01/install/end", nil); r.status != 303 || h.newest(1)[0].Kind != "reader.key" {
		t.Errorf("ending it: %d, %s", r.status, h.newest(1)[0].Kind)
	}
	if r := admin.post("/readers/r01/key", url.Values{"scbk": {"0011"}}); r.status != 422 || !strings.Contains(r.Body, "32 位十六进制") {
		t.Errorf("a short key: %d", r.status)
	}
	const typed = "00112233445566778899AABBCCDDEEFF"
	if r := admin.post("/readers/r01/key", url.Values{"scbk": {typed}}); r.status != 303 {
		t.Errorf("a typed key: %d", r.status)
	}
	if body := admin.get("/readers/r01").Body; strings.Contains(body, typed) || strings.Contains(strings.ToUpper(body), typed) {
		t.Error("the key is on the page")
	}
	h.must(h.site.NoteReaderDevice(t.Context(), "r01", "ca3b0c-1.1-1"))
	h.must(h.site.NoteReaderDevice(t.Context(), "r01", "ca3b0c-1.1-2"))
	if body := admin.get("/readers/r01").Body; !strings.Contains(body, "ca3b0c-1.1-2") || !strings.Contains(body, "确认更换") {
		t.Errorf("the exchanged reader is not said:\n%s", body)
	}
	if r := admin.post("/readers/r01/accept", nil); r.status != 303 {
		t.Errorf("accepting it: %d", r.status)
	}
	if body := admin.get("/readers/r01").Body; strings.Contains(body, "/readers/r01/accept") {
		t.Error("it is still said")
	}
}

// Covers S6, M5: a network terminal is registered and gets its access code on its page; the code is shown once, the one
// before ends, and what its clock and its marks are like is said in words.
func TestNetworkTerminalIsRegistered(t *testing.T) {
	h := newEnvWith(t, func(_ *env, d *Deps) {
		d.Info.Ports = []frame.Port{{Number: 8443, Protocol: "tcp", Use: "office"}, {Number: 8081, Protocol: "tcp", Use: "terminals"}}
	})
	admin := h.as("liang")
	form := url.Values{"id": {"r08"}, "kind": {"iclock"}, "name": {"北门终端"}, "direction": {"in"}, "serial": {"CKUF201260123"}, "host": {"10.20.6.21"}}
	if r := admin.post("/readers/new", form); r.status != 303 {
		t.Fatalf("registering answers %d\n%s", r.status, r.Body)
	}
	if body := admin.get("/readers/r08").Body; !strings.Contains(body, "还没有接入码") {
		t.Errorf("nothing says that it has no access code:\n%s", body)
	}
	address := regexp.MustCompile(`http://[^<]*:8081/([a-z2-7]{26})<`)
	r := admin.post("/readers/r08/token", nil)
	first := address.FindStringSubmatch(r.Body)
	if r.status != 200 || first == nil {
		t.Fatalf("the access code is not shown: %d\n%s", r.status, r.Body)
	}
	if e := h.newest(1)[0]; e.Kind != "reader.key" || e.Subject != "r08" || !strings.Contains(string(e.Data), `"token"`) || strings.Contains(string(e.Data), first[1]) {
		t.Errorf("entry %s about %s: %s", e.Kind, e.Subject, e.Data)
	}
	hash, err := h.site.ReaderToken("r08")
	if want := sha256.Sum256([]byte(first[1])); err != nil || !bytes.Equal(hash, want[:]) {
		t.Errorf("kept % x, %v", hash, err)
	}
	if body := admin.get("/readers/r08").Body; strings.Contains(body, first[1]) || !strings.Contains(body, "已有接入码") {
		t.Error("the access code is shown again")
	}
	if second := address.FindStringSubmatch(admin.post("/readers/r08/token", nil).Body); second == nil || second[1] == first[1] {
		t.Errorf("a new access code: %v", second)
	}
	for path, want := range map[string]int{"/readers/r01/token": 404, "/readers/r99/token": 404} {
		if r := admin.post(path, nil); r.status != want {
			t.Errorf("%s: %d, want %d", path, r.status, want)
		}
	}
	h.readers.status = map[string]frame.ReaderStatus{"r08": {Status: reader.Status{Reader: "r08", State: reader.Refused, Reason: reader.ReasonClock}, When: h.clock.Now().Wall,
		Counts: reader.Counts{Reads: 12, Repeats: 3, Unsure: 2, Off: -5 * time.Minute, Measured: true}}}
	body := admin.get("/readers/r08").Body
	for _, want := range []string{"终端时钟偏差超过 60 秒", "慢 5 分", "记录 12 条，重复 3", "2 条，当天考勤记为"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q:\n%s", want, body)
		}
	}
	var api struct {
		Kind   string   `json:"kind"`
		Unsure int      `json:"unsure"`
		Off    *float64 `json:"clock_off_s"`
	}
	h.must(json.Unmarshal([]byte(admin.get("/api/v1/readers/r08").Body), &api))
	if api.Kind != "iclock" || api.Unsure != 2 || api.Off == nil || *api.Off != -300 {
		t.Errorf("%+v", api)
	}
}
