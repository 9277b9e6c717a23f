package web

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	_ "time/tzdata"

	"campuskeep/firmware/absence"
	"campuskeep/firmware/disk"
	"campuskeep/firmware/emergency"
	"campuskeep/firmware/gate"
	"campuskeep/firmware/health"
	"campuskeep/firmware/keyring"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/oversight"
	"campuskeep/firmware/people"
	"campuskeep/firmware/playback"
	"campuskeep/firmware/reader"
	"campuskeep/firmware/records"
	"campuskeep/firmware/sealedfiles"
	"campuskeep/firmware/site"
	"campuskeep/firmware/timekeeper"
	"campuskeep/firmware/usage"
	"campuskeep/firmware/viewing"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/login"
	"campuskeep/shared/student"
)

var logKey = ed25519.NewKeyFromSeed([]byte("campuskeep test log signing key!"))

var shanghai = func() *time.Location {
	l, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		panic(err)
	}
	return l
}()

// The tests' present: Wednesday 20 May 2026, 9:42 at the school.
var present = time.Date(2026, 5, 20, 9, 42, 0, 0, shanghai)

const (
	firstPassword = "the password of the first day"
	password      = "a sentence nobody guesses"
)

// stillClock is until it is moved.
type stillClock struct {
	mu sync.Mutex
	r  clock.Reading
}

func (c *stillClock) Now() clock.Reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.r
}

func (c *stillClock) change(f func(*clock.Reading)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.r)
}

func (c *stillClock) pass(d time.Duration) {
	c.change(func(r *clock.Reading) { r.Wall, r.Mono = r.Wall.Add(d), r.Mono+d })
}

// film is footage of one minute per segment for the last thirty days, with gaps.
type film struct {
	clock *stillClock
	gaps  map[string][]footage.Span
	nvrs  *recorders
}

func (f film) Segments(_ context.Context, camera string, span footage.Span) (out []footage.Placed, _ error) {
	now := f.clock.Now().Wall
	first := now.Add(-30*24*time.Hour - time.Hour)
	for at := span.From.Truncate(time.Minute); at.Before(span.To) && at.Before(now); at = at.Add(time.Minute) {
		s := footage.Span{From: at, To: at.Add(time.Minute)}
		if s.To.After(now) {
			s.To = now
		}
		lost := at.Before(first)
		for _, g := range f.gaps[camera] {
			lost = lost || g.Overlaps(s)
		}
		if lost {
			continue
		}
		id := footage.FileID{camera[len(camera)-1]}
		binary.BigEndian.PutUint64(id[8:], uint64(at.Unix()))
		out = append(out, footage.Placed{Segment: footage.Segment{Camera: camera, File: id, Bytes: 12000, Wall: at, Custody: f.nvrs.custody(camera)}, Span: s, Anchored: true})
	}
	return out, nil
}

func (film) OpenSegment(context.Context, footage.Segment) (footage.SegmentReader, error) {
	return nil, errors.New("this film is not for opening")
}

// screen is a player that gives recognisable bytes.
type screen struct {
	mu   sync.Mutex
	open map[string]playback.Viewing
	got  map[string]playback.Delivered
	idle []string
}

var frames = []byte("MOOF-FRAMES-OF-A-SCHOOLYARD")

func newScreen() *screen {
	return &screen{open: map[string]playback.Viewing{}, got: map[string]playback.Delivered{}}
}

func (s *screen) Open(v playback.Viewing) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[v.ID] = v
	return nil
}

func (s *screen) Touch(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.has(id)
}

func (s *screen) DisableAudio(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.has(id)
}

func (s *screen) has(id string) error {
	if _, ok := s.open[id]; !ok {
		return playback.ErrUnknown
	}
	return nil
}

func (s *screen) Playlist(_ context.Context, id string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return []byte("#EXTM3U\n#EXT-X-MAP:URI=\"init/0.mp4\"\nab/0.m4s\n"), s.has(id)
}

func (s *screen) Init(_ context.Context, id string, _ int) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return []byte("MOOV"), s.has(id)
}

func (s *screen) Fragment(_ context.Context, id, _ string, i int) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.has(id); err != nil {
		return nil, err
	}
	v, d := s.open[id], s.got[id]
	from := v.Span.From.Add(time.Duration(i) * time.Second)
	d.Spans = append(d.Spans, footage.Span{From: from, To: from.Add(time.Second)})
	d.Bytes += int64(len(frames))
	s.got[id] = d
	return frames, nil
}

func (s *screen) Close(id string) (playback.Delivered, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.open[id]
	delete(s.open, id)
	return s.got[id], ok
}

// opened lists the viewings that are open.
func (s *screen) opened() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.open))
}

func (s *screen) Idle(time.Duration) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.idle
}

// packages tells the state of what is not here.
type packages struct {
	mu        sync.Mutex
	clock     *stillClock
	retention frame.RetentionStatus
	cameras   map[string]frame.CameraState
	stated    []string
}

func (r *packages) Retention() frame.RetentionStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.retention
}

func (r *packages) Sync() frame.Sync {
	return frame.Sync{Centre: "云汀区教育局", Connected: true, Acked: 12}
}

func (r *packages) Cameras() map[string]frame.CameraState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cameras
}

func (r *packages) Anchors() clock.Anchors { return nil }

func (r *packages) Explain() timekeeper.Explanation {
	now := r.clock.Now()
	x := timekeeper.Explanation{Reading: now, Reason: clock.ReasonNone, Since: 3 * time.Hour, Witnesses: []clock.Witness{
		{Observation: clock.Observation{Source: "host", Origin: clock.OriginHost, Uncertainty: 20 * time.Millisecond}, Plausible: true, Fits: true},
		{Observation: clock.Observation{Source: "centre", Origin: clock.OriginCentre, Uncertainty: 50 * time.Millisecond}, Offset: -4 * time.Millisecond, Plausible: true, Fits: true}}}
	x.Sources = []timekeeper.SourceState{{Name: "centre", Origin: clock.OriginCentre, Witness: &x.Witnesses[1]}, {Name: "host", Origin: clock.OriginHost, Witness: &x.Witnesses[0]},
		{Name: "ntp", Origin: clock.OriginNTP, Trouble: timekeeper.TroubleTimeout, Servers: []timekeeper.Server{{Name: "10.0.0.1", Trouble: timekeeper.TroubleTimeout}, {Name: "ntp.example.edu.cn", Trouble: timekeeper.TroubleAlone, Answered: true,
			Said: clock.Observation{Mono: now.Mono - 4*time.Minute, UTC: now.Wall.Add(26 * time.Minute)}, Uncertainty: 40 * time.Millisecond}}}}
	for i := range x.Witnesses {
		x.Witnesses[i].Mono = now.Mono - time.Duration(i)*7*time.Minute
	}
	if now.State != clock.Trusted {
		x.Reason, x.Waits = clock.ReasonOneSource, timekeeper.WaitSecond
		x.Witnesses, x.Sources[0].Witness = x.Witnesses[:1], nil
		x.Doubted, x.Alarmed = 31*time.Hour, true
	}
	return x
}

func (r *packages) Confirm(_ context.Context, by account.Who, _ account.Role, _ time.Time, _ func(a, b string) bool) (bool, error) {
	if len(r.stated) > 0 && r.stated[0] == by.ID {
		return false, timekeeper.ErrSamePerson
	}
	r.stated = append(r.stated, by.ID)
	return len(r.stated) == 2, nil
}

// gateSource lets the gate see people and site.
type gateSource struct {
	*people.People
	*site.Site
}

func (d gateSource) ByCard(hash []byte) (string, string, bool) { return d.People.ByCard(hash) }

func (d gateSource) Classes(date string) (out []gate.Class) {
	for _, c := range d.People.Classes(date) {
		g := gate.Class{ID: c.ID}
		for _, s := range d.Roster(c.ID, date) {
			g.Students = append(g.Students, s.ID)
		}
		out = append(out, g)
	}
	return out
}

func (d gateSource) Readers() (out []gate.Reader) {
	for _, r := range d.Site.Readers() {
		out = append(out, gate.Reader{ID: r.ID, Direction: r.Direction})
	}
	return out
}

// env is the office page over real packages, with footage and clock that tests choose.
type env struct {
	*Server
	t         *testing.T
	clock     *stillClock
	store     *ledgerdb.Store
	people    *people.People
	viewings  *viewing.Viewings
	site      *site.Site
	usage     *usage.Register
	data      disk.FS
	gate      *gate.Gate
	absence   *absence.Absence
	records   *records.Records
	files     *sealedfiles.Store
	dir       string // the data directory
	keys      *keyring.Ring
	readers   *fakeReaders
	cards     *reader.Recent
	emergency *emergency.Register
	health    *health.Monitor
	sick      sickness
	screen    *screen
	packages  *packages
	recorders *recorders
	film      film
	ring      *failing
	server    *httptest.Server
	ids       map[string]string // by log-in name
	secret    map[string][]byte // of second factors
	changed   map[string]bool   // first password changed
	pupils    []string
	listening atomic.Int32 // pages that ever listened to the gate
	oversight *oversight.Office
}

// failing is a ring of keys that can be made to fail: a commit with sealed parts fails with it.
type failing struct {
	ledgerdb.Sealer
	mu   sync.Mutex
	fail error
}

func (f *failing) Ensure(ctx context.Context, owner ...string) error {
	f.mu.Lock()
	err := f.fail
	f.mu.Unlock()
	if err != nil {
		return err
	}
	return f.Sealer.Ensure(ctx, owner...)
}

func (f *failing) with(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
}

// staff of the small school of the tests, by log-in name.
var staff = []struct {
	login, name, unit string
	roles             []account.Role
	factor            bool
}{
	{"zhou", "周以宁", "安保科", []account.Role{account.RoleOfficer}, true},
	{"zheng", "郑守川", "安保科", []account.Role{account.RoleHeadOfSafety}, true},
	{"lin", "林校长", "校长室", []account.Role{account.RoleLeader}, true},
	{"fan", "范之远", "七年级组", []account.Role{account.RoleStaff}, false},
	{"luo", "罗雨禾", "三年级组", []account.Role{account.RoleClassTeacher}, false},
	{"guo", "郭允文", "监督组", []account.Role{account.RoleAuditor}, true},
	{"liang", "梁牧", "信息中心", []account.Role{account.RoleAdmin}, true},
	{"wei", "魏知行", "安保科", []account.Role{account.RoleOfficer}, true},
}

func newEnv(t *testing.T) *env {
	t.Helper()
	return newEnvWith(t, nil)
}

// newEnvWith lets a test put other packages in place before the page is built.
func newEnvWith(t *testing.T, change func(*env, *Deps)) *env {
	t.Helper()
	h := &env{t: t, clock: &stillClock{r: clock.Reading{Wall: present.UTC(), State: clock.Trusted, Boot: "boot-1", Mono: 100 * time.Hour, Uncertainty: 20 * time.Millisecond}},
		ids: map[string]string{}, secret: map[string][]byte{}, changed: map[string]bool{}, screen: newScreen()}
	h.recorders = newRecorders(h.clock)
	h.film = film{h.clock, map[string][]footage.Span{
		"c01": {{From: at(8, 15, 12), To: at(8, 15, 32)}},
		"c02": {{From: at(16, 22, 5), To: at(17, 6, 10)}, {From: at(12, 1, 0), To: at(12, 14, 0)}},
		"c03": {{From: at(19, 17, 26), To: present}}}, h.recorders}
	h.packages = &packages{clock: h.clock, retention: frame.RetentionStatus{Swept: present.Add(-20 * time.Minute), NextDue: present.Add(18 * time.Minute), Free: 1_200_000_000_000, Total: 4_000_000_000_000, DailyBytes: 120_000_000_000, Days: 32.6},
		cameras: map[string]frame.CameraState{"c01": {State: "online"}, "c02": {State: "online"}, "c03": {State: "offline", Since: at(19, 17, 26), Cause: footage.CauseCameraOff}}}
	dir := t.TempDir()
	h.dir = dir
	fsys, err := disk.Real(dir)
	h.must(err)
	h.data = fsys
	root, err := keyring.OpenRoot(fsys)
	h.must(err)
	ring, err := root.Ring("people")
	h.must(err)
	h.ring, h.keys = &failing{Sealer: ring}, ring
	log := slog.New(slog.DiscardHandler)
	h.store, err = ledgerdb.Open(ledgerdb.Options{Dir: dir, Origin: "campuskeep/ck-test", Clock: h.clock, People: h.ring, Signer: logKey, Log: log})
	h.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.store.Run(ctx) }()
	t.Cleanup(func() {
		if h.server != nil {
			h.server.Close()
		}
		if h.Server != nil {
			if err := h.viewings.EndAll(context.Background(), viewing.Stopping); err != nil {
				t.Error(err)
			}
		}
		if err := h.store.Check(context.Background(), func(f ledgerdb.Finding) { t.Errorf("check: %+v", f) }); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := h.store.Close(); err != nil {
			t.Error(err)
		}
	})
	h.people, err = people.Open(ctx, people.Options{Store: h.store, Data: fsys, Clock: h.clock, Zone: shanghai, Cost: login.Params{Memory: 64, Time: 1, Threads: 1}, Log: log})
	h.must(err)
	h.site, err = site.Open(ctx, site.Options{Store: h.store, Clock: h.clock, Log: log})
	h.must(err)
	h.files, err = sealedfiles.Open(sealedfiles.Options{Store: h.store, Data: fsys, Keys: ring, Clock: h.clock, Log: log})
	h.must(err)
	h.records, err = records.Open(records.Options{Store: h.store, Files: h.files, Keys: ring, People: h.people, Clock: h.clock, Zone: shanghai, Log: log})
	h.must(err)
	h.clock.change(func(r *clock.Reading) { r.Wall = at(1, 8, 0).AddDate(0, -1, 0).UTC() }) // the school was set up seven weeks ago
	h.fill(ctx)
	h.clock.change(func(r *clock.Reading) { r.Wall = present.UTC() })
	h.usage, err = usage.Open(usage.Options{Store: h.store, Clock: h.clock, Cameras: h.site.Cameras, Footage: h.film, SchoolDay: func(string) bool { return true }, Fetcher: h.recorders, Log: log})
	h.must(err)
	h.health, err = health.Open(health.Options{Store: h.store, Site: h.site, Clock: &hasty{stillClock: h.clock}, Watch: []func() []health.Seen{h.sick.seen}, Beat: time.Millisecond, Log: log})
	h.must(err)
	h.oversight, err = oversight.Open(oversight.Options{Store: h.store, Clock: h.clock, Zone: shanghai, Allow: h.usage.Allow, Applications: h.usage.List, Log: log})
	h.must(err)
	d := gateSource{h.people, h.site}
	h.gate, err = gate.New(gate.Options{Store: h.store, Students: d, Site: gateSite{d}, Clock: h.clock, CardKey: h.people.CardKey(), Show: func(string, attendance.Signal) {}, Log: log})
	h.must(err)
	h.emergency, err = emergency.Open(emergency.Options{Store: h.store, People: h.people, Gate: h.gate, Clock: h.clock, Zone: shanghai, Log: log})
	h.must(err)
	h.absence, err = absence.Open(absence.Options{Store: h.store, People: h.people, Gate: h.gate, Calendar: h.site.Calendar, Clock: h.clock, Log: log})
	h.must(err)
	deps := Deps{Log: log, Clock: h.clock, Zone: shanghai, Info: frame.Info{School: "青榆实验学校", Appliance: "ck-0417", Version: "1.0.0", Root: []byte("a certificate")},
		Ledger: h.store, People: h.people, Site: h.site, Usage: h.usage, Records: h.records, Footage: h.film, Watched: h.film, Player: h.screen, Gate: listened{h.gate, &h.listening}, Emergency: h.emergency, Time: h.packages, Health: h.health, Oversight: h.oversight, Status: h.packages, Certificates: h.certificates()}
	deps.Absence = h.absence
	deps.Extractions = h.extractions(h.film, func(context.Context, string, footage.Span, func(footage.Placed) bool) error { return nil })
	deps.NVRs = h.recorders
	h.readers, h.cards = &fakeReaders{site: h.site}, reader.NewRecent(h.clock)
	deps.Readers, deps.Cards = h.readers, h.cards
	if change != nil {
		change(h, &deps)
	}
	h.viewings = viewing.New(viewing.Options{Register: h.usage, People: h.people, Player: deps.Player.(viewing.Player), Clock: h.clock, Subscribe: h.store.Subscribe, Log: log})
	deps.Viewings = h.viewings
	h.Server, err = New(deps)
	h.must(err)
	h.server = httptest.NewTLSServer(h.Handler())
	return h
}

// listened is the gate with a count of the pages that listen.
type listened struct {
	*gate.Gate
	n *atomic.Int32
}

func (l listened) Subscribe() (<-chan gate.Event, func()) {
	events, cancel := l.Gate.Subscribe()
	l.n.Add(1)
	return events, cancel
}

// gateSite shows the gate its readers; people have classes, the site has the calendar.
type gateSite struct{ gateSource }

func (g gateSite) Calendar() attendance.Calendar { return g.Site.Calendar() }

func at(day, hour, minute int) time.Time {
	return time.Date(2026, 5, day, hour, minute, 0, 0, shanghai)
}

func (h *env) fill(ctx context.Context) {
	h.t.Helper()
	sys := account.System
	for i, s := range staff {
		p, _, err := h.people.AddPerson(ctx, sys, people.Person{Login: s.login, Name: s.name, StaffNo: fmt.Sprintf("2016-%03d", i+1), Unit: s.unit, Phone: "13800000000", Roles: s.roles}, firstPassword)
		h.must(err)
		h.ids[s.login] = p.ID
	}
	cal := attendance.Calendar{Zone: "Asia/Shanghai", Hours: attendance.DefaultHours,
		Holidays: []attendance.DateRange{{From: "2026-05-01", To: "2026-05-05", Name: "劳动节"}}, MakeUps: []attendance.MakeUp{{Date: "2026-05-09"}}}
	h.must(h.site.PutCalendar(ctx, sys, cal))
	for i, c := range []struct{ name, place, group string }{{"东大门外", "东大门", "校门与周界"}, {"北侧围墙", "北侧围墙", "校门与周界"}, {"自行车棚", "自行车棚", "校门与周界"}} {
		h.must(h.site.PutCamera(ctx, sys, footage.Camera{ID: fmt.Sprintf("c%02d", i+1), Name: c.name, Place: c.place, Group: c.group, Area: footage.AreaGate, Custody: footage.CustodyVault,
			Main: fmt.Sprintf("rtsp://10.20.4.%d:554/main", 11+i), Policy: footage.Policy{Days: 30}, Technician: h.ids["liang"], Installer: "云汀安防", Installed: "2025-08-20"}, &site.Login{User: "ck", Password: "camera-secret"}))
	}
	h.must(h.site.PutReader(ctx, sys, site.Reader{ID: "r01", Name: "东大门 1 号", Direction: attendance.Auto, Port: "/dev/ttyS1", Address: 1}))
	for n := 1; n <= 2; n++ {
		c := student.NewClass(student.Primary, 2023, n)
		if n == 1 {
			c.Teachers = []student.Teaching{{Person: h.ids["luo"], Duty: student.DutyHead, From: "2023-09-01"}}
		}
		h.must(h.people.PutClass(ctx, sys, c))
		var list []people.NewStudent
		for k := range 6 {
			card, err := attendance.ParseCard(fmt.Sprintf("04A2B3%02X%02X", n, k))
			h.must(err)
			list = append(list, people.NewStudent{Student: student.Student{Name: []string{"安知予", "白以宁", "曹望远", "岑越", "程小满", "陆可遥"}[k], Sex: student.SexFemale, Birth: "2016-10-01", Ethnicity: "01"},
				Class: c.ID, From: "2023-09-01", Cards: []attendance.Card{card}})
		}
		ids, err := h.people.AddStudents(ctx, sys, list)
		h.must(err)
		h.pupils = append(h.pupils, ids...)
	}
}

func (h *env) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// tap holds the n-th card of a class to the reader.
func (h *env) tap(class, n int) {
	h.t.Helper()
	card, err := attendance.ParseCard(fmt.Sprintf("04A2B3%02X%02X", class, n))
	h.must(err)
	read := reader.CardRead{Reader: "r01", Bits: card.Bits, UID: card.Raw, At: h.clock.Now().Mono}
	h.cards.Note(read)
	_, err = h.gate.Tap(h.t.Context(), read)
	h.must(err)
}

// newest gives the last entries, newest first.
func (h *env) newest(n int) (out []ledger.Entry) {
	h.t.Helper()
	for e, err := range h.store.Newest(h.store.Size()) {
		h.must(err)
		out = append(out, e)
		if len(out) == n {
			break
		}
	}
	return out
}

// count of entries of a kind.
func (h *env) count(k ledger.Kind) (n int) {
	h.t.Helper()
	for e, err := range h.store.Entries(0, h.store.Size()) {
		h.must(err)
		if e.Kind == k {
			n++
		}
	}
	return n
}
