package e2e

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/usage"
)

// apply is an application from the form to the picture: mistakes are reported at their field and store nothing,
// what is asked for is held, another person approves, and exactly that can be watched. Covers F4, F5, F6, F7.
func (h *env) apply(t *testing.T) {
	he := h.tab(t, "he")
	at := h.quiet(1)
	wanted := footage.Span{From: at, To: at.Add(20 * time.Minute)}
	he.open("/")
	he.follow("a[href='/applications/mine']")
	he.follow("a[href='/applications/new']")
	before := len(h.box.Usage.List())
	he.mistakes(wanted)
	if n := len(h.box.Usage.List()); n != before {
		t.Fatalf("a form with mistakes made %d applications", n-before)
	}
	from := h.box.Store.Size()
	he.span(wanted.From, wanted.To)
	he.wait("what there is at that time", "document.querySelector('#offers').innerText.includes('自行车棚')")
	he.follow("#apply .panel__f button")
	id := he.application()
	if he.where() != "/applications/"+id || !strings.Contains(he.text(), ui.Printer{Lang: ui.Chinese}.T("done.submitted")) {
		t.Fatalf("after submitting one is at %s:\n%s", he.where(), he.text())
	}
	he.says("相关录像已锁定", "锁定", "不能审核、批准自己的申请")
	h.entry(t, from, "application.submitted")
	h.entry(t, from, "hold.registered")
	if !h.held(id, "c03", wanted) {
		t.Errorf("what %s asks for is not held: %+v", id, h.box.Usage.Holds())
	}
	h.approve(t, id)
	he.open("/applications/mine")
	he.follow("a[href='/applications/" + id + "']")
	he.says("仅限本人核对", "批准")
	h.watchesExactly(t, he, id, wanted)
}

// application is the one whose page is shown.
func (b *tab) application() string {
	b.t.Helper()
	return strings.TrimPrefix(b.where(), "/applications/")
}

const input = "2006-01-02T15:04"

func (b *tab) span(from, to time.Time) {
	b.t.Helper()
	b.set("[name='wanted.0.from']", from.In(b.h.zone).Format(input))
	b.set("[name='wanted.0.to']", to.In(b.h.zone).Format(input))
}

// mistakes fills in the whole form and submits it with one absurd time after the other.
func (b *tab) mistakes(good footage.Span) {
	b.t.Helper()
	b.allow("status of 422")
	b.follow("#apply .panel__f button")
	b.says("请填写", "请确认这一条承诺", "请从列表中选择")
	b.fill("#f-contact", "内线 8326")
	b.click("#f-purpose .opt:has([value='03'])")
	b.fill("#f-reason", "八年级同学的自行车被挪动，查看午间车棚情况。")
	b.set("[name='wanted.0.place']", "自行车棚")
	for _, p := range usage.AllUndertakings {
		b.click("[name='undertakings'][value='" + string(p) + "']")
	}
	now := time.Now()
	for _, x := range []struct {
		name     string
		from, to time.Time
		want     string
	}{
		{"the end before the start", good.To, good.From, "结束须晚于开始"},
		{"the future", good.From, now.AddDate(0, 0, 3), "时间还没有到"},
		{"four hundred days ago", now.AddDate(0, 0, -400), now.AddDate(0, 0, -400).Add(time.Hour), "录像已删除"},
		{"four hundred days long", now.AddDate(0, 0, -400), good.To, "一段最长"},
	} {
		b.span(x.from, x.to)
		b.follow("#apply .panel__f button")
		row := eval[string](b, "document.querySelector(\"[name='wanted.0.from']\").closest('tr').nextElementSibling?.innerText ?? ''")
		if !strings.Contains(row, x.want) || !eval[bool](b, "document.querySelector(\"[name='wanted.0.to']\").getAttribute('aria-invalid') === 'true'") {
			b.t.Errorf("%s: the field says %q, want %q", x.name, row, x.want)
		}
		if got := eval[string](b, "document.querySelector('#f-reason').value"); !strings.Contains(got, "八年级") {
			b.t.Errorf("%s: the form has forgotten the reason: %q", x.name, got)
		}
		if n := eval[int](b, "document.querySelectorAll(\"[name='undertakings']:checked\").length"); n != len(usage.AllUndertakings) {
			b.t.Errorf("%s: the form remembers %d promises", x.name, n)
		}
	}
}

func (h *env) held(application, camera string, s footage.Span) bool {
	for _, hold := range h.box.Usage.Holds() {
		if hold.Application == application && hold.Covers(camera, s) {
			return true
		}
	}
	return false
}

// approve is the officer's part: the application waits in the list, and is approved as it is.
func (h *env) approve(t *testing.T, id string) {
	zhou := h.tab(t, "zhou")
	zhou.open("/applications")
	zhou.follow("td a[href='/applications/" + id + "']")
	zhou.says("自行车棚", "何清越")
	zhou.fill("#f-note", "仅限本人核对。")
	from := h.box.Store.Size()
	zhou.unfold("button[name='decision'][value='approve']")
	zhou.says("未选的摄像机和时段随即解除锁定")
	zhou.follow("button[name='decision'][value='approve']")
	zhou.says("已批准")
	e := h.entry(t, from, "application.approved")
	if e.Actor.ID != h.account(t, "zhou").ID || e.Subject != id {
		t.Errorf("the approval is entered for %s by %s", e.Subject, e.Actor.ID)
	}
}

// watchesExactly: the approved span plays for the applicant; every other span and camera is refused, with the way
// to apply for it.
func (h *env) watchesExactly(t *testing.T, b *tab, id string, s footage.Span) {
	b.follow("a[href^='/footage?camera=c03']")
	from := h.box.Store.Size()
	b.follow("form[action='/footage/view'] button")
	e := h.entry(t, from, "footage.access.open")
	var open opening
	decode(t, e.Data, &open)
	if open.Ground != "grant" || open.Application != id || !open.From.Equal(s.From) || !open.To.Equal(s.To) {
		t.Errorf("the entry says %s", e.Data)
	}
	b.plays()
	b.says("视申")
	path := eval[string](b, "document.querySelector('[data-player]').getAttribute('data-src')")
	list := h.visitor(h.token(t, "he")).ask(t, "GET", path, nil)
	long, first := length(t, string(list.body))
	if long > s.Duration()+time.Second || long < s.Duration()-time.Minute || first.Before(s.From.Add(-time.Second)) {
		t.Errorf("the playlist holds %s from %s, approved are %s from %s", long, first, s.Duration(), s.From)
	}
	b.follow("form[action$='/close'] button")
	b.says("查看已结束")
	b.allow("status of 403")
	day := s.From.Format(time.DateOnly)
	b.open(fmt.Sprintf("/footage?camera=c03&day=%s&t=%s", day, s.From.Format("15:04")))
	b.fill("#w-to", s.To.Add(10*time.Minute).Format("15:04"))
	b.follow("form[action='/footage/view'] button")
	b.says("不能这样办理", "超出批准的时段", "可以提交使用申请")
	b.follow("main a[href='/applications/new']")
	for what, path := range map[string]string{
		"another time":   fmt.Sprintf("/footage?camera=c03&day=%s&t=%s", day, s.To.Add(5*time.Minute).Format("15:04")),
		"another camera": fmt.Sprintf("/footage?camera=c01&day=%s&t=%s", day, s.From.Format("15:04")),
	} {
		b.open(path)
		if eval[bool](b, "!!document.querySelector('form[action=\"/footage/view\"]')") {
			t.Errorf("%s: the page offers to watch", what)
		}
		b.follow("#watch a[href^='/applications/new']")
		if got := eval[string](b, "document.querySelector(\"[name='wanted.0.from']\").value"); !strings.HasPrefix(got, day) {
			t.Errorf("%s: the form that one is led to begins with %q", what, got)
		}
	}
	for what, f := range map[string]url.Values{
		"another camera": {"camera": {"c01"}, "from": {s.From.Format("15:04")}, "to": {s.To.Format("15:04")}},
		"a bit more":     {"camera": {"c03"}, "from": {s.From.Format("15:04")}, "to": {s.To.Add(time.Minute).Format("15:04")}},
		"a bit before":   {"camera": {"c03"}, "from": {s.From.Add(-time.Minute).Format("15:04")}, "to": {s.To.Format("15:04")}},
	} {
		f.Set("day", day)
		f.Set("purpose", "想看看")
		if a := h.visitor(h.token(t, "he")).ask(t, "POST", "/footage/view", f); a.status != 403 || isVideo(a) {
			t.Errorf("%s: %d", what, a.status)
		}
	}
}

// length is how much a playlist holds, and where it begins.
func length(t *testing.T, playlist string) (long time.Duration, first time.Time) {
	t.Helper()
	for line := range strings.Lines(playlist) {
		line = strings.TrimSpace(line)
		if s, ok := strings.CutPrefix(line, "#EXTINF:"); ok {
			x, err := strconv.ParseFloat(strings.TrimSuffix(s, ","), 64)
			if err != nil {
				t.Fatal(err)
			}
			long += time.Duration(x * float64(time.Second))
		}
		if s, ok := strings.CutPrefix(line, "#EXT-X-PROGRAM-DATE-TIME:"); ok && first.IsZero() {
			x, err := time.Parse("2006-01-02T15:04:05.999Z07:00", s)
			if err != nil {
				t.Fatal(err)
			}
			first = x
		}
	}
	return long, first
}

// refuse: an application is refused with a reason, and the applicant reads it. Covers F6.
func (h *env) refuse(t *testing.T) {
	guo := h.account(t, "guo")
	id := ""
	for _, a := range h.box.Usage.List() {
		if a.Applicant == guo.ID && a.State.Undecided() {
			id = a.ID
		}
	}
	zheng := h.tab(t, "zheng")
	zheng.open("/applications/" + id)
	zheng.allow("status of 422")
	zheng.follow("button[name='decision'][value='reject']")
	zheng.says("请填写")
	if a, err := h.box.Usage.Get(id); err != nil || a.Decision != nil {
		t.Fatalf("refused without a reason: %+v, %v", a.Decision, err)
	}
	zheng.set("#f-code", usage.AllRejections[0])
	zheng.fill("#f-note", "宣传栏已由总务处修好，无须查看。")
	from := h.box.Store.Size()
	zheng.follow("button[name='decision'][value='reject']")
	zheng.says("不予批准")
	h.entry(t, from, "application.rejected")
	b := h.tab(t, "guo")
	b.open("/applications/mine")
	b.follow("th a[href='/applications/" + id + "']")
	b.says("不予批准", "宣传栏已由总务处修好，无须查看。")
	b.follow("a[href='/applications/" + id + "/rejection']")
	b.says("宣传栏已由总务处修好")
}

// ownApplication: nobody decides on their own, not on the page and not by a direct request; the attempt is in the
// log. Covers F5, F12, F13.
func (h *env) ownApplication(t *testing.T) {
	zhou := h.account(t, "zhou")
	at := h.quiet(2)
	today := usage.DateOf(time.Now())
	a, err := h.box.Usage.Submit(t.Context(), account.Who{Actor: account.Actor{ID: zhou.ID, Roles: zhou.Roles, SecondFactor: true}, From: ledger.From{Address: "192.168.1.21"}, Via: ledger.ViaWeb},
		usage.Application{Unit: zhou.Unit, Contact: "内线 8110", Purpose: "03", Reason: "值班时遗失对讲机，查看去向。", Ways: []usage.Way{usage.WayView},
			Wanted: []usage.RequestedSpan{{Place: "校门", Span: footage.Span{From: at.UTC(), To: at.Add(10 * time.Minute).UTC()}}}, UseFrom: today, UseUntil: today,
			Undertakings: usage.AllUndertakings, Recipients: []usage.Recipient{{Name: zhou.Name, Unit: zhou.Unit, Person: zhou.ID}}})
	if err != nil {
		t.Fatal(err)
	}
	b := h.tab(t, "zhou")
	b.open("/applications/" + a.ID)
	b.says("不能审核、批准自己的申请")
	if eval[bool](b, "!!document.querySelector('[name=decision], form[action$=\"/take\"], form[action$=\"/return\"]')") {
		t.Error("the page offers to decide on one's own application")
	}
	from := h.box.Store.Size()
	r := h.visitor(h.token(t, "zhou")).ask(t, "POST", "/applications/"+a.ID+"/decide", url.Values{"decision": {"approve"}, "cameras": {"c01"}, "ways": {"view"}, "spans": {"0"},
		"from": {string(today)}, "until": {string(today)}})
	if r.status != 403 || !strings.Contains(string(r.body), "不能审核、批准自己的申请") {
		t.Errorf("the direct request is answered %d\n%s", r.status, r.body)
	}
	e := h.entry(t, from, "access.refused")
	if e.Actor.ID != zhou.ID || e.Subject != a.ID || !strings.Contains(string(e.Data), "may.own_application") {
		t.Errorf("the entry is %s of %s about %s", e.Data, e.Actor.ID, e.Subject)
	}
	if got, err := h.box.Usage.Get(a.ID); err != nil || got.Decision != nil {
		t.Errorf("it was decided: %+v, %v", got.Decision, err)
	}
}
