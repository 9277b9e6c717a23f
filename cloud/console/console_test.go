package console

import (
	"context"
	"crypto/tls"
	"encoding/base32"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"campuskeep/cloud/centredb"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/web"
	"campuskeep/shared/login"
)

var noon = time.Date(2026, 5, 20, 4, 0, 0, 0, time.UTC)

type still struct{ at *time.Duration }

func (s still) Now() clock.Reading {
	return clock.Reading{Wall: noon.Add(*s.at), Boot: "b", Mono: time.Hour + *s.at, State: clock.Trusted}
}

// filled is a real database with one school's worth of what ingest would have derived.
type filled struct{ centredb.Store }

var theSchool = centredb.School{Appliance: "ck-0417", Name: "青榆实验学校", Status: centredb.StatusForked, Epoch: 1, Witnessed: 90, Claimed: 100, Root: "abc=",
	WitnessedAt: noon, LastContact: noon, Online: true, EnrolledAt: noon, OpenAlarms: 1, Cameras: 16, Kept: 29 * 24 * time.Hour}

var theApplication = centredb.Application{Appliance: "ck-0417", School: "青榆实验学校", ID: "a2026-0001", State: centredb.AppSubmitted, Applicant: "p005", Purpose: "查看车棚<b>",
	Spans: []centredb.Span{{From: noon.Add(-time.Hour), To: noon}}, SubmittedAt: noon, ChangedAt: noon, Way: "view",
	Steps: []centredb.Entry{{Seq: 7, Entry: ledger.Entry{Kind: "application.submitted", At: noon, Actor: ledger.Actor{ID: "p005"}}}}}

func (filled) ListSchools(context.Context, time.Time) ([]centredb.School, error) {
	return []centredb.School{theSchool}, nil
}
func (filled) School(_ context.Context, id string, _ time.Time) (centredb.School, error) {
	if id != theSchool.Appliance {
		return centredb.School{}, centredb.ErrNotFound
	}
	return theSchool, nil
}
func (filled) Applications(context.Context, centredb.ApplicationFilter, int, int) (centredb.ApplicationPage, error) {
	return centredb.ApplicationPage{Items: []centredb.Application{theApplication}, Total: 1}, nil
}
func (filled) Application(context.Context, string, string) (centredb.Application, error) {
	return theApplication, nil
}
func (filled) AttendanceToday(context.Context, string, string) (centredb.AttendanceDay, error) {
	return centredb.AttendanceDay{Date: "2026-05-20", Students: 3, Present: 2, Late: 1, Classes: []centredb.ClassDay{{Class: "2024-03", Present: 2, Late: 1}}}, nil
}
func (filled) Entries(context.Context, string, centredb.EntryFilter, centredb.Page) ([]centredb.Entry, error) {
	return []centredb.Entry{{Seq: 8, Mark: "json", StoredAt: noon}, theApplication.Steps[0]}, nil
}
func (filled) Alarms(context.Context, string, bool, int) ([]centredb.Alarm, error) {
	return []centredb.Alarm{{ID: 1, Appliance: "ck-0417", School: "青榆实验学校", Kind: "log.forked", At: noon, Epoch: 1, Ours: []byte("ours"), Theirs: []byte("theirs")},
		{ID: 2, Appliance: "ck-0417", School: "青榆实验学校", Kind: "footage.breach", At: noon, Epoch: 1, Detail: "seq=3 subject=c02 full"}}, nil
}
func (filled) RetentionSince(context.Context, string, time.Time) (centredb.Retention, error) {
	return centredb.Retention{Recorded: 2232, Deleted: 72, Breaches: 3, LastGone: noon}, nil
}

type tokens struct{ asked []string }

func (t *tokens) Token(_ context.Context, id, school string) (string, time.Time, error) {
	if id == theSchool.Appliance && school != theSchool.Name {
		return "", time.Time{}, centredb.ErrExists
	}
	t.asked = append(t.asked, id)
	return "one-time", noon.Add(24 * time.Hour), nil
}
func (t *tokens) Deny(context.Context, string, string) error { return nil }

const password = "correct horse battery"

type site struct {
	*httptest.Server
	c      *Console
	at     time.Duration
	key    []byte
	tokens *tokens
	store  centredb.Store
	secret map[string][]byte // second factors by person
}

func (s *site) add(t *testing.T, id, user string, role account.Role) {
	t.Helper()
	added, err := Add(t.Context(), s.store, s.key, centredb.Person{ID: id, User: user, Name: "常远舟", Roles: []account.Role{role}}, password, noon)
	if err != nil {
		t.Fatal(err)
	}
	s.keep(t, id, added.Factor)
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := newEmptySite(t)
	s.add(t, "c001", "staff", account.RoleCentreStaff)
	s.add(t, "c002", "admin", account.RoleCentreAdmin)
	return s
}

// newEmptySite has no people.
func newEmptySite(t *testing.T) *site {
	t.Helper()
	db, err := centredb.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "centre.db"), noon)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &site{key: make([]byte, 32), tokens: &tokens{}, store: filled{db}, secret: map[string][]byte{}}
	s.c, err = New(t.Context(), Deps{Log: slog.New(slog.DiscardHandler), Clock: still{&s.at}, Zone: time.FixedZone("CST", 8*3600), School: "云汀区教育局", Version: "t", Store: s.store, Enrol: s.tokens, Key: s.key})
	if err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewTLSServer(s.c.Handler())
	t.Cleanup(s.Close)
	return s
}

// browser keeps cookies and does not follow redirects.
func (s *site) browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
}

// keep notes a second factor as the page shows it.
func (s *site) keep(t *testing.T, id, text string) {
	t.Helper()
	var err error
	if s.secret[id], err = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text); err != nil {
		t.Fatal(err)
	}
}

// code is what the person's app shows.
func (s *site) code(id string) string {
	return login.Code(s.secret[id], login.Step(still{&s.at}.Now().Wall))
}

func (s *site) login(t *testing.T, b *http.Client, user, id, pass string) int {
	t.Helper()
	status, _ := s.post(t, b, "/login", url.Values{"user": {user}, "password": {pass}, "code": {s.code(id)}})
	return status
}

func (s *site) post(t *testing.T, b *http.Client, path string, form url.Values) (int, string) {
	t.Helper()
	return read(t)(b.PostForm(s.URL+path, form))
}

func (s *site) get(t *testing.T, b *http.Client, path string) (int, string) {
	t.Helper()
	return read(t)(b.Get(s.URL + path))
}

func read(t *testing.T) func(*http.Response, error) (int, string) {
	return func(r *http.Response, err error) (int, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Body.Close(); err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(body)
	}
}

// Covers F11, M3: password and code are both needed, a code is good once, and guessing locks the name.
func TestLogInAtTheCentre(t *testing.T) {
	s := newSite(t)
	b := s.browser(t)
	if got, _ := s.get(t, b, "/"); got != http.StatusSeeOther {
		t.Errorf("without a session / answers %d, want the way to the log-in page", got)
	}
	if got := s.login(t, b, "staff", "c001", "wrong password"); got != http.StatusUnauthorized {
		t.Errorf("wrong password: %d", got)
	}
	if got, _ := s.post(t, b, "/login", url.Values{"user": {"staff"}, "password": {password}, "code": {"000000"}}); got != http.StatusUnauthorized {
		t.Errorf("wrong code: %d", got)
	}
	if got := s.login(t, b, "staff", "c001", password); got != http.StatusSeeOther {
		t.Fatalf("right log-in: %d", got)
	}
	if got, body := s.get(t, b, "/"); got != http.StatusOK || !strings.Contains(body, "青榆实验学校") {
		t.Errorf("overview: %d", got)
	}
	if got := s.login(t, s.browser(t), "staff", "c001", password); got != http.StatusUnauthorized {
		t.Errorf("the same code again: %d", got)
	}
	if got, _ := s.post(t, b, "/logout", nil); got != http.StatusSeeOther {
		t.Errorf("log-out: %d", got)
	}
	if got, _ := s.get(t, b, "/"); got != http.StatusSeeOther {
		t.Errorf("after the log-out / answers %d", got)
	}
	guesser := s.browser(t)
	for range login.AccountLock.Free + 1 {
		s.at += 5 * time.Second
		s.login(t, guesser, "admin", "c002", "wrong password")
	}
	s.at += 5 * time.Second
	if got := s.login(t, guesser, "admin", "c002", password); got != http.StatusUnauthorized {
		t.Errorf("a locked name got in: %d", got)
	}
	audit, err := s.store.ListAudit(t.Context(), 100)
	if err != nil || len(audit) < 4 {
		t.Errorf("the centre's log has %d lines, %v", len(audit), err)
	}
}

// Covers F12: every route answers each role as the permission table says, also a role that only schools have, and a
// person who has not finished the own account; none is forgotten.
func TestEveryRoutePassesThePermissionTable(t *testing.T) {
	s := newSite(t)
	ids := map[account.Role]string{account.RoleCentreStaff: "c001", account.RoleCentreAdmin: "c002", account.RoleOfficer: "c003", account.RoleAuditor: "c004"}
	for _, role := range []account.Role{account.RoleOfficer, account.RoleAuditor} { // no command makes such a person here
		s.add(t, ids[role], string(role)[:4], account.RoleCentreStaff)
		p, err := s.store.Person(t.Context(), ids[role])
		if err != nil {
			t.Fatal(err)
		}
		p.Roles = []account.Role{role}
		if err := s.store.PutPerson(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	users := map[account.Role]string{account.RoleCentreStaff: "staff", account.RoleCentreAdmin: "admin", account.RoleOfficer: "secu", account.RoleAuditor: string(account.RoleAuditor)[:4]}
	roles := map[account.Role]*http.Client{}
	for role, id := range ids {
		roles[role] = s.browser(t)
		if got := s.login(t, roles[role], users[role], id, password); got != http.StatusSeeOther {
			t.Fatalf("%s cannot log in: %d", role, got)
		}
	}
	fresh, err := Add(t.Context(), s.store, s.key, centredb.Person{ID: "c005", User: "fresh", Name: "新人", Roles: []account.Role{account.RoleCentreAdmin}}, "", noon)
	if err != nil {
		t.Fatal(err)
	}
	unfinished, nobody := s.browser(t), s.browser(t)
	if got, _ := s.post(t, unfinished, "/login", url.Values{"user": {"fresh"}, "password": {fresh.Password}}); got != http.StatusSeeOther {
		t.Fatalf("a one-time password: %d", got)
	}
	for _, rt := range s.c.routes {
		method, path, _ := strings.Cut(rt.Pattern, " ")
		path = strings.NewReplacer("{$}", "", "{id}", "ck-0417", "{app}", "a2026-0001", "{alarm}", "1").Replace(path)
		call := func(b *http.Client) int {
			s.at += time.Second // the address limiter is not the subject
			if method == http.MethodPost {
				got, _ := s.post(t, b, path, nil)
				return got
			}
			got, _ := s.get(t, b, path)
			return got
		}
		if rt.Action == account.ActPublic {
			continue
		}
		if got := call(nobody); got != http.StatusSeeOther && got != http.StatusUnauthorized {
			t.Errorf("%s: nobody gets %d", rt.Pattern, got)
		}
		if strings.HasSuffix(rt.Pattern, "/logout") {
			continue
		}
		got := call(unfinished)
		if rt.Action != account.ActSelf && got != http.StatusForbidden && got != http.StatusSeeOther || rt.Action == account.ActSelf && got == http.StatusForbidden {
			t.Errorf("%s: without an own password %d", rt.Pattern, got)
		}
		for role, b := range roles {
			actor := account.Actor{ID: ids[role], Roles: []account.Role{role}, SecondFactor: true}
			want := account.May(actor, rt.Action, account.Subject{Person: actor.ID, Appliance: "ck-0417"}, noon).Allowed
			if got := call(b); (got != http.StatusForbidden) != want {
				t.Errorf("%s: %s gets %d, allowed: %v", rt.Pattern, role, got, want)
			}
		}
	}
}

// Routes that need nobody logged in are these and no other.
func TestPublicRoutes(t *testing.T) {
	var public []string
	for _, rt := range newSite(t).c.routes {
		if rt.Action == account.ActPublic {
			public = append(public, rt.Pattern)
		}
	}
	if want := []string{"GET /login", "POST /login", "POST /language", "GET /healthz", "GET /metrics", "GET /setup", "POST /setup"}; !slices.Equal(public, want) {
		t.Errorf("public: %q, want %q", public, want)
	}
}

// Covers F11: certificates that end soon and nobody renews by himself are on the first page, with their names and ends.
func TestCertificateWarningOnTheFirstPage(t *testing.T) {
	s := newSite(t)
	b := s.browser(t)
	s.login(t, b, "admin", "c002", password)
	s.c.d.Certificates = func() []Certificate {
		return []Certificate{{Name: "server", Until: noon.AddDate(0, 0, 60), Renewed: true}, {Name: "broker", Until: noon.AddDate(0, 0, 20), Soon: true}}
	}
	for _, path := range []string{"/", "/enrol"} {
		_, body := s.get(t, b, path)
		if !strings.Contains(body, "外部消息服务器的证书将于 6月9日 星期二 到期") || strings.Contains(body, "中心网页与接入的证书将于") {
			t.Errorf("%s warns of the wrong certificates", path)
		}
	}
	s.c.d.Certificates = func() []Certificate { return []Certificate{{Name: "broker", Until: noon.AddDate(0, 0, 60)}} }
	if _, body := s.get(t, b, "/"); strings.Contains(body, "到期") {
		t.Error("a certificate of sixty days is warned of")
	}
}

// A route without a permission cannot be built.
func TestARouteWithoutAPermissionFails(t *testing.T) {
	_, err := web.Router([]web.Route[*call]{{Pattern: "GET /x", Handle: (*call).overview}}, nil)
	if err == nil || !strings.Contains(err.Error(), "has no permission") {
		t.Errorf("got %v", err)
	}
}

// Every page renders in both languages with real content, without a missing word, and escapes what schools sent.
func TestPagesInBothLanguages(t *testing.T) {
	s := newSite(t)
	staff, admin := s.browser(t), s.browser(t)
	s.login(t, staff, "staff", "c001", password)
	s.login(t, admin, "admin", "c002", password)
	for _, lang := range []string{"zh-CN", "en"} {
		for path, b := range map[string]*http.Client{"/": staff, "/schools/ck-0417": staff, "/schools/ck-0417/log": staff, "/applications": staff, "/schools/ck-0417/applications/a2026-0001": staff,
			"/alarms": staff, "/report": staff, "/report?month=2026-04": staff, "/account": staff, "/enrol": admin, "/audit": admin, "/login": admin, "/schools/none": staff} {
			if got, _ := s.post(t, b, "/language", url.Values{"lang": {lang}, "back": {path}}); got != http.StatusSeeOther {
				t.Fatalf("language switch: %d", got)
			}
			got, body := s.get(t, b, path)
			if want := map[bool]int{true: http.StatusNotFound, false: http.StatusOK}[path == "/schools/none"]; got != want {
				t.Errorf("%s %s: %d, want %d", lang, path, got, want)
			}
			if strings.Contains(body, "⟦") || strings.Contains(body, "<no value>") || strings.Contains(body, "%!") || strings.Contains(body, "%d") || strings.Contains(body, "%s") || strings.Contains(body, "查看车棚<b>") || strings.Contains(body, " style=") {
				t.Errorf("%s %s: missing word, unescaped text or inline style", lang, path)
			}
			if path == "/schools/ck-0417" && !strings.Contains(body, "2,232") { // Covers F3: how it kept to its days
				t.Errorf("%s %s does not tell of the retention", lang, path)
			}
			if !strings.Contains(body, `lang="`+lang+`"`) {
				t.Errorf("%s is not in %s", path, lang)
			}
		}
	}
}

// Covers F11: a token is made for a well-formed appliance only, and shown once.
func TestEnrolForm(t *testing.T) {
	s := newSite(t)
	b := s.browser(t)
	s.login(t, b, "admin", "c002", password)
	if got, body := s.post(t, b, "/enrol", url.Values{"id": {"CK 1"}, "school": {"x"}}); got != http.StatusUnprocessableEntity || strings.Count(body, `class="err"`) != 2 {
		t.Errorf("bad form: %d, want both fields marked", got)
	}
	if len(s.tokens.asked) != 0 {
		t.Errorf("a token was made: %v", s.tokens.asked)
	}
	if got, body := s.post(t, b, "/enrol", url.Values{"id": {"ck-0418"}, "school": {"城东小学"}}); got != http.StatusOK || !strings.Contains(body, "one-time") {
		t.Errorf("good form: %d", got)
	}
	if got, body := s.post(t, b, "/enrol", url.Values{"id": {"ck-0417"}, "school": {"另一所学校"}}); got != http.StatusUnprocessableEntity || !strings.Contains(body, "已登记为“青榆实验学校”") {
		t.Errorf("a token under another name: %d", got)
	}
	_, body := s.get(t, b, "/enrol")
	if strings.Contains(body, "one-time") {
		t.Error("the token is shown again")
	}
}
