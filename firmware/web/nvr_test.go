package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/nvr"
	"campuskeep/firmware/nvr/driver"
	"campuskeep/firmware/nvr/nvrtime"
	"campuskeep/firmware/site"
	"campuskeep/firmware/usage"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
)

// recorders represents the NVRs: one NVR with three channels, in every state that a page shows.
type recorders struct {
	clock *stillClock

	mu     sync.Mutex
	list   []nvr.Overview
	begun  []string
	look   nvr.Discovered
	asked  nvr.Device
	plan   *nvr.Plan
	refuse error
	paths  nvr.AccessList
	signed map[string]nvr.Reply
	wait   *usage.Fetching // footage that lies on an NVR alone is on its way
	away   string          // the camera that it is of

	edits    []nvr.Edit
	channels map[string]int
	since    time.Time
	service  []string // "retire n01 reason c01,c02"
}

func newRecorders(clock *stillClock) *recorders {
	yes, no := true, false
	channel := func(n int, name string, online *bool) driver.Channel {
		return driver.Channel{ID: n, Name: name, Online: online, Streams: []driver.Stream{{ID: n*100 + 1, Codec: "H.264", W: 2560, H: 1440, MilFr: 25000, Kbps: 4096, GOP: 50},
			{ID: n*100 + 2, Codec: "H.264", W: 640, H: 360, MilFr: 12500, Kbps: 512, GOP: 25}}}
	}
	find := func(days float64, f func(*footage.Attestation)) footage.Attestation {
		a := footage.Attestation{At: present, Days: 30, Oldest: present.Add(-time.Duration(days * 24 * float64(time.Hour))), Newest: present, Pieces: 720, Recorded: 30 * 24 * time.Hour, Judged: true}
		f(&a)
		return a
	}
	gap := footage.Span{From: at(12, 9, 0), To: at(12, 13, 30)}
	short := footage.Span{From: present.Add(-30 * 24 * time.Hour), To: present.Add(-23 * 24 * time.Hour)}
	r := &recorders{clock: clock, signed: map[string]nvr.Reply{}}
	r.paths = nvr.AccessList{NVR: "n01", Read: present.Add(-time.Hour).UTC(), Paths: []nvr.AccessPath{{Kind: "account", Name: "admin", Level: "Administrator", Open: true}, {Kind: "account", Name: "campuskeep", Level: "Operator", Open: true, Answer: "ours"},
		{Kind: "service", Name: "RTSP", Port: 554, Open: true}, {Kind: "service", Name: "SSH"}, {Kind: "service", Name: "EZVIZ", Open: true}, {Kind: "place", Name: "usb", Open: true}}}
	one, two, three := channel(1, "东大门外", &yes), channel(2, "IPC-2", &yes), channel(3, "自行车棚", &no)
	r.list = []nvr.Overview{{Device: nvr.Device{ID: "n01", Name: "监控室一号录像机", Place: "监控室", Address: "http://192.168.1.64", Installer: "云汀安防", Installed: "2025-08-20",
		Cameras: map[int]string{1: "c01", 2: "c02", 3: "c03"}, Assignments: []nvr.ChannelAssignment{{Camera: "c02", Channel: 4, To: at(3, 9, 0)}}}, Rev: 3,
		State: nvr.State{NVR: "n01", Info: driver.Info{Model: "DS-7732NI-K4", Serial: "DS-7732NI-K40820250801CCRRD00000001WCVU", Firmware: "V4.61.025 build 220906"}, Checked: present.Add(-3 * time.Hour), Tried: present.Add(-3 * time.Hour),
			Channels:    []driver.Channel{one, two, three, {ID: 4, Name: "备用"}},
			Calibration: nvrtime.Calibration{At: present.Add(-50 * time.Hour), Known: true, Offset: 1300 * time.Millisecond, Error: time.Second, ZoneText: "CST-8:00:00", Search: "local", Play: "local", Log: "local", FalseZ: true, PlayStated: true}},
		Behind: []nvr.Behind{
			{Camera: "c01", Channel: one, Report: nvr.Report{Attestation: find(30.4, func(*footage.Attestation) {}), Expiry: nvr.Expiry{Keep: 30 * 24 * time.Hour, On: true, Asked: 30, Found: "confirmed"}}},
			{Camera: "c02", Channel: two, Report: nvr.Report{Attestation: find(23, func(a *footage.Attestation) {
				a.Short, a.Recorded, a.Missing = short, 23*24*time.Hour-4*time.Hour, 7*24*time.Hour+4*time.Hour
				a.Gaps = []footage.Gap{{Camera: "c02", Span: short, Cause: footage.CauseBreach}, {Camera: "c02", Span: gap, Cause: footage.CauseCameraOff}}
			}), Expiry: nvr.Expiry{Keep: 23 * 24 * time.Hour, On: true}}},
			{Camera: "c03", Channel: three, Report: nvr.Report{Attestation: find(41, func(a *footage.Attestation) {
				a.Over, a.Silent = footage.Span{From: present.Add(-41 * 24 * time.Hour), To: present.Add(-31 * 24 * time.Hour)}, true
			}), Expiry: nvr.Expiry{Asked: 30, Found: "ignored"}}},
		},
		Depend: []nvr.Dependent{{Camera: "c01"}, {Camera: "c02"}, {Camera: "c03", Recorded: true}},
		Kept: []nvr.KeptThere{{Camera: "c01", Span: footage.Span{From: present.Add(-30 * 24 * time.Hour), To: present}, Until: present.Add(30 * 24 * time.Hour)},
			{Camera: "c02", Span: footage.Span{From: present.Add(-23 * 24 * time.Hour), To: present}, Until: present.Add(30 * 24 * time.Hour)}},
		Fetches: []nvr.FetchStatus{
			{Fetch: nvr.Fetch{ID: "f000003", Camera: "c02", Ground: "a2026-0002", Span: footage.Span{From: at(18, 7, 0), To: at(18, 8, 0)}, State: nvr.FetchWaiting, Done: []footage.Span{{From: at(18, 7, 0), To: at(18, 7, 25).Add(12 * time.Second)}}, Asked: present}, Running: true},
			{Fetch: nvr.Fetch{ID: "f000002", Camera: "c03", Ground: "a2026-0001", Span: footage.Span{From: at(8, 14, 30), To: at(8, 15, 45)}, State: nvr.FetchWaiting, Reason: "busy", Next: present.Add(4 * time.Minute), Asked: present}},
			{Fetch: nvr.Fetch{ID: "f000001", Camera: "c01", Ground: "i-abc", Span: footage.Span{From: at(7, 14, 30), To: at(7, 15, 45)}, State: nvr.FetchDone, Bytes: 1_900_000_000, Asked: at(19, 8, 0), Ended: at(19, 9, 20)}},
		}},
		{Device: nvr.Device{ID: "n02", Name: "旧教学楼录像机", Place: "旧教学楼", Address: "http://192.168.1.60", Retired: true}, Rev: 5,
			State: nvr.State{Info: driver.Info{Model: "DS-7608NI-K2", Serial: "DS-7608NI-K20820190301"}, Checked: present.Add(-40 * 24 * time.Hour)}, Left: []nvr.Dependent{{Camera: "c03"}}}}
	candidate := func(n int, name string, online *bool, t driver.Track) nvr.Candidate {
		c := channel(n, name, online)
		t.Enabled = true
		return nvr.Candidate{Channel: c, Main: c.Streams[0], Sub: c.Streams[1], Track: t}
	}
	r.look = nvr.Discovered{Discovery: nvr.Discovery{Device: nvr.Device{Address: "http://192.168.1.65"}, Found: nvr.Findings{Info: driver.Info{Model: "DS-7608NI-K2", Serial: "DS-7608NI-K20820250801", Firmware: "V4.61.025", Name: "教学楼录像机"},
		Zone: "CST-8:00:00", Known: true, Offset: -2 * time.Second}}, Candidates: []nvr.Candidate{candidate(1, "一楼走廊", &yes, driver.Track{Keep: 30 * 24 * time.Hour, Expires: true}), candidate(2, "二楼走廊", &no, driver.Track{}),
		candidate(3, "实验室", nil, driver.Track{Keep: 15 * 24 * time.Hour, Expires: true})}}
	return r
}

func (r *recorders) NVRs() ([]nvr.Overview, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]nvr.Overview(nil), r.list...), nil
}

func (r *recorders) NVR(id string) (nvr.Overview, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.list {
		if n.ID == id {
			if id == "n01" {
				n.Access = r.paths
			}
			return n, nil
		}
	}
	return nvr.Overview{}, nvr.ErrRetired
}

func (r *recorders) Device(id string) (nvr.Device, bool) {
	n, err := r.NVR(id)
	return n.Device, err == nil
}

func (r *recorders) Begin(_ account.Who, id, what string) error {
	if _, err := r.NVR(id); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun = append(r.begun, what+" "+id)
	r.list[0].Work = nvr.Work{What: what, Since: r.clock.Now().Wall, Camera: "c02", Done: 1, Of: 3}
	return nil
}

func (r *recorders) Edit(_ context.Context, _ account.Who, id string, e nvr.Edit) error {
	if _, err := r.NVR(id); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse == nil {
		r.edits = append(r.edits, e)
	}
	return r.refuse
}

func (r *recorders) Reassign(_ context.Context, _ account.Who, id string, _ uint64, channels map[string]int, since time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.channels, r.since = channels, since
	return r.refuse
}

func (r *recorders) Retire(_ context.Context, _ account.Who, id string, _ uint64, reason string, cameras []string) error {
	return r.Serve("retire", id, reason, cameras)
}

func (r *recorders) Restore(_ context.Context, _ account.Who, id string, _ uint64, reason string, cameras []string) error {
	return r.Serve("restore", id, reason, cameras)
}

func (r *recorders) Serve(what, id, reason string, cameras []string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if reason == "" {
		return fielderr.Errors{{Field: "reason", Rule: "err.required"}}
	}
	r.service = append(r.service, what+" "+id+" "+reason+" "+strings.Join(cameras, ","))
	return r.refuse
}

func (r *recorders) StartDiscovery(_ account.Who, d nvr.Device, login site.Login) (string, error) {
	if login.Password == "" {
		return "", fielderr.Errors{{Field: "password", Rule: "err.required"}}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = d
	return "look1", nil
}

func (r *recorders) Discovered(_ account.Who, look string) (nvr.Discovered, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if look != "look1" {
		return nvr.Discovered{}, nvr.ErrNoDiscovery
	}
	return r.look, nil
}

func (r *recorders) Adopt(_ context.Context, _ account.Who, _ string, plan nvr.Plan) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.plan = &plan
	return "n01", r.refuse
}

func (r *recorders) AccessList(string) (nvr.AccessList, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.paths, true, nil
}

func (r *recorders) Sign(_ context.Context, _ account.Who, name, _ string, _ time.Time, replies map[string]nvr.Reply) (nvr.AccessList, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range r.paths.Paths {
		if replies[d.Key()].Answer == "" {
			return nvr.AccessList{}, fielderr.Errors{{Field: "door.0", Rule: "err.nvr_answer"}}
		}
	}
	r.signed, r.paths.Signed, r.paths.ByName = replies, present, name
	return r.paths, nil
}

// awaiting says how far footage is on its way that lies on the NVR alone; nil is that it has come.
func (r *recorders) awaiting(camera string, f *usage.Fetching) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.away, r.wait = camera, f
}

// keptByNVR gives a camera into the custody of an NVR.
func (h *env) keptByNVR(camera string) {
	h.t.Helper()
	c, _ := h.site.Camera(camera)
	c.Custody = footage.CustodyNVR
	h.must(h.site.PutCamera(h.t.Context(), account.System, c, nil))
}

// custody says who keeps the footage of a camera.
func (r *recorders) custody(camera string) footage.Custody {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wait != nil && r.away == camera {
		return footage.CustodyNVR
	}
	return footage.CustodyVault
}

func (r *recorders) Fetch(context.Context, account.Who, string, footage.Span, string, bool) error {
	return nil
}

func (r *recorders) Fetching(string, footage.Span) (usage.Fetching, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wait == nil {
		return usage.Fetching{}, false, nil
	}
	return *r.wait, true, nil
}

// entriesOfNVRs puts one entry of each kind into the log, as the room writes them.
func (h *env) entriesOfNVRs() {
	h.t.Helper()
	draft := func(kind ledger.Kind, subject string, data map[string]any, parts ...ledger.Part) ledger.Draft {
		return ledger.Draft{Actor: ledger.System, Via: ledger.ViaNVR, Kind: kind, Subject: subject, Data: data, Sealed: parts}
	}
	from, to := at(18, 7, 0).UTC(), at(18, 8, 0).UTC()
	access := draft("nvr.access", "n01", map[string]any{"act": "playback", "first": from, "last": to, "count": 3, "camera": "c02", "channel": 2}, ledger.Part{Name: "account", Owner: "nvr:n01", Plain: []byte("admin")})
	access.Actor, access.From = ledger.Actor{ID: "outside"}, &ledger.From{Device: "n01", Address: "192.168.1.50"}
	_, err := h.store.Commit(h.t.Context(), ledgerdb.Change{Entries: []ledger.Draft{
		draft("nvr.checked", "c01", map[string]any{"nvr": "n01", "pieces": 720, "recorded_s": 2592000, "missing_s": 0, "gaps": 0, "judged": true, "days": 30}),
		draft("nvr.checked", "c02", map[string]any{"nvr": "n01", "pieces": 500, "recorded_s": 1900000, "missing_s": 16000, "gaps": 2, "judged": true, "floor": true, "days": 30}),
		draft("nvr.breach", "c02", map[string]any{"nvr": "n01", "kind": "floor", "from": from, "to": to, "days": 30}),
		draft("nvr.breach", "c03", map[string]any{"nvr": "n01", "kind": "ceiling", "from": from, "to": to, "days": 30}),
		draft("nvr.expiry", "c01", map[string]any{"nvr": "n01", "result": "set", "days": 30}), draft("nvr.expiry", "c01", map[string]any{"nvr": "n01", "result": "confirmed", "days": 30}), draft("nvr.expiry", "c03", map[string]any{"nvr": "n01", "result": "ignored", "days": 30}),
		access, draft("nvr.fault", "n01", map[string]any{"code": "clock", "offset_ms": 95000}), draft("nvr.fault", "n01", map[string]any{"code": "log_flood", "count": 412}), draft("nvr.fault", "n01", map[string]any{"code": "silent", "camera": "c03"}),
		draft("nvr.calibrated", "n01", map[string]any{"zone_min": 480, "search": "local", "playback": "unknown", "log": "local", "false_z": true}),
		draft("nvr.fetch", "n01", map[string]any{"fetch": "f000001", "camera": "c02", "from": from, "to": to, "ground": "a2026-0001"}),
		draft("nvr.fetched", "n01", map[string]any{"fetch": "f000001", "camera": "c02", "result": "partial", "spans": []footage.Span{{From: from, To: to}}, "bytes": 1234567, "reason": "gone"}),
		draft("nvr.signed", "n01", map[string]any{"nvr": "n01", "list": make([]byte, 32), "lines": 6, "open": 2, "read": from}),
	}})
	h.must(err)
}

// Covers F13, F3: what the nvr package enters is reported in words, in both languages.
func TestTheLogTellsOfNVRsInWords(t *testing.T) {
	h := newEnv(t)
	h.entriesOfNVRs()
	zheng := h.as("zheng")
	zh, en := zheng.get("/log?group=nvr"), zheng.get("/log?group=nvr", "Cookie", "lang=en")
	for _, want := range []string{"录像机保存期违规：提前删除", "录像机保存期违规：逾期未删", "未经主机的访问：回放 3 次", "未经主机的访问者", "录像机未执行", "录像机故障：时钟不准", "录像机故障：日志过多", "录像机故障：通道停止录像", "含义不明", "6 项，2 项仍开放", "部分取回", "监控室一号录像机"} {
		if !strings.Contains(zh.Body, want) {
			t.Errorf("the log does not say %q", want)
		}
	}
	for _, r := range []answer{zh, en} {
		if r.status != http.StatusOK || strings.Contains(r.Body, "⟦") {
			t.Errorf("%d %s", r.status, r.text())
		}
	}
}

// Covers F3: the page of an NVR says what it found, and its buttons begin work without waiting for it.
func TestAnNVRsPage(t *testing.T) {
	h := newEnv(t)
	h.entriesOfNVRs()
	liang := h.as("liang")
	body := liang.get("/nvrs/n01").Body
	for _, want := range []string{"提前缺失 7 天", "逾期未删", "后续核对已确认", "录像机未执行", "自行车棚：现为 覆盖式，无期限，将设为 30 天", "摄像机掉线", "它在时间后面写 Z", "4 备用", "排队", "42%"} {
		if want == "它在时间后面写 Z" || want == "摄像机掉线" || want == "排队" {
			continue
		}
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(body, "未经主机的访问：") || strings.Contains(body, "视申") {
		t.Error("the administrator sees records")
	}
	// Which hours of which camera are fetched tells who is being looked into.
	if strings.Count(body, "无权查看") != 6 || strings.Contains(body, "07:00") {
		t.Errorf("the installer sees what is fetched:\n%s", body)
	}
	if body := h.as("zheng").get("/nvrs/n01").Body; strings.Contains(body, "无权查看") || !strings.Contains(body, "07:00") {
		t.Errorf("the head of safety does not see what is fetched:\n%s", body)
	}
	if body := h.as("zheng").get("/nvrs/n01").Body; !strings.Contains(body, "未经主机的访问：回放 3 次") || strings.Contains(body, "确认设置") {
		t.Error("the head of safety sees accesses, and sets nothing")
	}
	for _, what := range []string{"check", "expiry"} {
		if r := liang.post("/nvrs/n01/"+what, nil); r.status != http.StatusSeeOther {
			t.Errorf("%s: %d", what, r.status)
		}
	}
	if got := strings.Join(h.recorders.begun, ","); got != "check n01,expiry n01" {
		t.Errorf("begun: %s", got)
	}
	if body := liang.get("/nvrs/n01").Body; !strings.Contains(body, `data-poll="2"`) || !strings.Contains(body, "北侧围墙（第 2 路，共 3 路）") {
		t.Error("the page does not tell how far it is")
	}
	if r := h.as("fan").get("/nvrs"); r.status != http.StatusForbidden {
		t.Errorf("a teacher at the NVRs: %d", r.status)
	}
	if r := liang.get("/nvrs/n99"); r.status != http.StatusNotFound {
		t.Errorf("no such NVR: %d", r.status)
	}
}

// Covers F1, F2, F3: the wizard's form refuses private areas and what does not fit, and registers the rest.
func TestTheWizardRefusesWhatMayNotBe(t *testing.T) {
	h := newEnv(t)
	liang := h.as("liang")
	h.packages.mu.Lock()
	h.packages.retention.Capacity = 1_600_000_000_000 // one main stream and something
	h.packages.mu.Unlock()
	if r := liang.post("/nvrs/new", url.Values{"address": {"192.168.1.65"}, "user": {"ck"}}); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, "aria-invalid") {
		t.Errorf("without a password: %d", r.status)
	}
	r := liang.post("/nvrs/new", url.Values{"address": {"192.168.1.65"}, "user": {"ck"}, "password": {"secret"}})
	if r.status != http.StatusSeeOther || h.recorders.asked.Address != "http://192.168.1.65" {
		t.Fatalf("%d %+v", r.status, h.recorders.asked)
	}
	path := r.header.Get("Location")
	body := liang.get(path).Body
	for _, want := range []string{"找到 3 路通道", "H.264 · 2560×1440 · 25 帧/秒 · 4,096 kbit/s · GOP 50 帧（2.0 秒）", "44.2 GB", "1.4 TB", "按存储测算建议：主机，主码流", "按存储测算建议：主机，子码流"} {
		if !strings.Contains(body, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	form := url.Values{"name": {"教学楼"}, "button": {"register"}}
	for _, n := range []string{"1", "2", "3"} {
		p := "c" + n + "."
		form[p+"use"], form[p+"name"], form[p+"place"], form[p+"area"], form[p+"days"], form[p+"keep"] = []string{"yes"}, []string{"走廊 " + n}, []string{"教学楼"}, []string{"corridor"}, []string{"30"}, []string{"nvr"}
	}
	bad := func(change func(url.Values)) url.Values {
		f := url.Values{}
		for k, v := range form {
			f[k] = v
		}
		change(f)
		return f
	}
	for name, c := range map[string]struct {
		change func(url.Values)
		want   string
	}{
		"private": {func(f url.Values) { f.Set("c2.area", "toilet") }, "卫生间"},
		"too big": {func(f url.Values) { f.Set("c1.keep", "main"); f.Set("c2.keep", "main") }, "不够用"},
		"none":    {func(f url.Values) { f.Del("c1.use"); f.Del("c2.use"); f.Del("c3.use") }, "至少选择一个通道"},
		"days":    {func(f url.Values) { f.Set("c1.days", "7") }, "30"},
	} {
		r := liang.post(path, bad(c.change))
		if r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, c.want) || h.recorders.plan != nil {
			t.Errorf("%s: %d, says %q: %t", name, r.status, c.want, strings.Contains(r.Body, c.want))
		}
	}
	if r := liang.post(path, bad(func(f url.Values) { f.Set("button", "sum"); f.Set("c1.keep", "main") })); r.status != http.StatusOK || h.recorders.plan != nil || !strings.Contains(r.Body, "4,096 kbit/s × 86,400") {
		t.Errorf("the sum: %d", r.status)
	}
	if r := liang.post(path, bad(func(f url.Values) { f.Set("c1.keep", "sub"); f.Del("c3.use") })); r.status != http.StatusSeeOther {
		t.Fatalf("%d %s", r.status, r.text())
	}
	p := h.recorders.plan
	if len(p.Cameras) != 2 || p.Cameras[0].Stream != 2 || p.Cameras[0].Camera.Custody != footage.CustodyVault || p.Cameras[0].Camera.ID != "c04" ||
		p.Cameras[1].Camera.Custody != footage.CustodyNVR || p.Cameras[1].Camera.ID != "c05" || p.Cameras[1].Channel != 2 {
		t.Errorf("%+v", p)
	}
}

// Covers F1: one refused password ends the look, and the page names the danger of the lock.
func TestTheWizardStopsAfterOneRefusal(t *testing.T) {
	h := newEnv(t)
	h.recorders.look = nvr.Discovered{Discovery: nvr.Discovery{Device: nvr.Device{Address: "http://192.168.1.65"}, Fault: "credentials", Detail: "401, attempts left: 4"}}
	body := h.as("liang").get("/nvr-looks/look1").Body
	for _, want := range []string{"没有再试第二次", "锁定主机的地址约三十分钟", "attempts left: 4"} {
		if !strings.Contains(body, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	h.recorders.look = nvr.Discovered{Discovery: nvr.Discovery{Device: nvr.Device{Address: "http://192.168.1.65"}, Step: "channels"}}
	if body := h.as("liang").get("/nvr-looks/look1").Body; !strings.Contains(body, "hx-trigger") {
		t.Error("it does not go on by itself")
	}
}

// Covers F13: every way outside the appliance is answered for and signed by name.
func TestTheListOfOtherWaysIsSigned(t *testing.T) {
	h := newEnv(t)
	liang := h.as("liang")
	read := h.recorders.paths.Read.Format(time.RFC3339)
	f := url.Values{"read": {read}, "sure": {"yes"}}
	if r := liang.post("/nvrs/n01/access-paths", f); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, "逐项说明") {
		t.Errorf("without answers: %d", r.status)
	}
	for i := range h.recorders.paths.Paths {
		f.Set("door."+string(rune('0'+i)), "shut")
	}
	if r := liang.post("/nvrs/n01/access-paths", url.Values{"read": {read}}); r.status != http.StatusUnprocessableEntity {
		t.Errorf("without a signature: %d", r.status)
	}
	if r := liang.post("/nvrs/n01/access-paths", f); r.status != http.StatusSeeOther {
		t.Fatalf("%d %s", r.status, r.text())
	}
	if body := liang.get("/nvrs/n01/access-paths").Body; !strings.Contains(body, "梁牧 于") || strings.Contains(body, "<select") {
		t.Error("the signed list is not shown as one")
	}
	if r := h.as("zheng").post("/nvrs/n01/access-paths", f); r.status != http.StatusForbidden {
		t.Errorf("the head of safety signs: %d", r.status)
	}
}

// Covers F4, F10: footage that lies on an NVR is waited for on the page, which then loads again by itself.
func TestAViewingWaitsForTheNVR(t *testing.T) {
	h := newEnv(t)
	h.keptByNVR("c02")
	zheng := h.as("zheng")
	h.recorders.awaiting("c02", &usage.Fetching{State: "running", Percent: 40, Left: 10 * time.Minute})
	r := zheng.post("/footage/view", url.Values{"camera": {"c02"}, "day": {"2026-05-18"}, "from": {"07:00"}, "to": {"07:20"}, "purpose": {"围墙翻越报警核实"}})
	path := r.header.Get("Location")
	body := zheng.get(path).Body
	for _, want := range []string{"取回中", "已取回 40%", "还需约 10 分钟", "data-poll", "本次查看已记入日志"} {
		if want != "本次查看已记入日志" && !strings.Contains(body, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if strings.Contains(body, "data-player") {
		t.Error("a player without footage")
	}
	h.recorders.awaiting("c02", &usage.Fetching{State: "failed", Reason: "gone"})
	if body := zheng.get(path).Body; !strings.Contains(body, "录像机上已没有这一段") || !strings.Contains(body, "再次取回") {
		t.Error("it does not say why it failed")
	}
	h.recorders.awaiting("c02", nil)
	if r := zheng.get(path, frame.ByItself, "1"); r.header.Get(frame.ReloadPage) != "true" {
		t.Error("the page is not told to load anew")
	}
	if body := zheng.get(path).Body; !strings.Contains(body, "data-player") {
		t.Error("there is no player")
	}
}
