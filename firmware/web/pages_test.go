package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/usage"
)

// form is an application as somebody fills it in.
func form(place string, from, to time.Time) url.Values {
	return url.Values{"contact": {"内线 8326"}, "purpose": {"03"}, "reason": {"4月21日早读前一名学生将书包遗忘在长椅，需查看书包去向。"}, "ways": {"view"},
		"wanted.0.place": {place}, "wanted.0.from": {from.In(shanghai).Format("2006-01-02T15:04")}, "wanted.0.to": {to.In(shanghai).Format("2006-01-02T15:04")},
		"use_from": {string(usage.DateOf(present))}, "use_until": {string(usage.DateOf(present).Add(6))},
		"recipients.0.name": {"范之远"}, "recipients.0.unit": {"七年级组"}, "recipients.0.papers": {"2016-004"}, "undertakings": {"purpose", "no_copy", "leak", "report"}}
}

// apply hands in an application through the page and gives its id.
func (v *visitor) apply(f url.Values) string {
	v.h.t.Helper()
	r := v.post("/applications/new", f)
	if r.status != http.StatusSeeOther {
		v.h.t.Fatalf("application: %d\n%s", r.status, r.text())
	}
	id, _, _ := strings.Cut(strings.TrimPrefix(r.header.Get("Location"), "/applications/"), "?")
	return id
}

// scene fills the school with a day's work: applications in several states, viewings, taps, refusals, gaps.
func (h *env) scene() map[string]string {
	h.t.Helper()
	var c ledgerdb.Change
	for camera, gaps := range map[string]footage.Cause{"c01": footage.CauseNetwork, "c02": footage.CausePowerOff} {
		for _, g := range h.film.gaps[camera] {
			c.Entries = append(c.Entries, account.System.Draft("footage.gap", "", camera, map[string]any{"from": g.From.UTC(), "to": g.To.UTC(), "cause": gaps}))
		}
	}
	for i := range 6 {
		c.Entries = append(c.Entries, account.System.Draft("footage.recorded", "", "c01", map[string]any{"hour": at(20, i, 0).UTC(), "count": 60, "root": make([]byte, 32), "first": at(20, i, 0).UTC(), "last": at(20, i+1, 0).UTC(), "bytes": 720000}))
	}
	_, err := h.store.Commit(h.t.Context(), c)
	h.must(err)
	out := map[string]string{}
	fan, zheng := h.as("fan"), h.as("zheng")
	out["open"] = fan.apply(form("北侧围墙", at(18, 7, 0), at(18, 8, 0)))
	out["approved"] = fan.apply(form("东大门", at(8, 14, 30), at(8, 15, 45)))
	r := zheng.post("/applications/"+out["approved"]+"/decide", url.Values{"decision": {"approve"}, "cameras": {"c01"}, "ways": {"view"}, "spans": {"0"}, "from": {string(usage.DateOf(present))}, "until": {string(usage.DateOf(present).Add(3))}, "note": {"仅供核对书包去向"}})
	if r.status != http.StatusSeeOther {
		h.t.Fatalf("approval: %d\n%s", r.status, r.text())
	}
	out["refused"] = fan.apply(form("自行车棚", at(15, 12, 0), at(15, 13, 0)))
	r = zheng.post("/applications/"+out["refused"]+"/decide", url.Values{"decision": {"reject"}, "code": {"not_needed"}, "note": {"失物已在值班室找到。"}})
	if r.status != http.StatusSeeOther {
		h.t.Fatalf("refusal: %d\n%s", r.status, r.text())
	}
	out["returned"] = fan.apply(form("自行车棚", at(16, 12, 0), at(16, 13, 0)))
	zheng.post("/applications/"+out["returned"]+"/return", url.Values{"reason": {"请写明书包的颜色和遗失的大致时间。"}})
	r = fan.post("/footage/view", url.Values{"camera": {"c01"}, "day": {"2026-05-08"}, "from": {"14:50"}, "to": {"15:30"}})
	out["viewing"] = strings.TrimPrefix(r.header.Get("Location"), "/view/")
	zheng.post("/footage/view", url.Values{"camera": {"c02"}, "day": {"2026-05-18"}, "from": {"07:00"}, "to": {"07:20"}, "purpose": {"围墙翻越报警核实"}})
	fan.get("/log")
	fan.post("/footage/view", url.Values{"camera": {"c02"}, "day": {"2026-05-18"}, "from": {"07:00"}, "to": {"07:20"}})
	_, out["extraction"] = h.askedFor(at(8, 16, 0), at(8, 16, 20))
	h.twoFaults()
	now := h.clock.Now()
	for n := range 5 {
		h.clock.change(func(r *clock.Reading) { r.Wall, r.Mono = at(20, 7, 31+8*n).UTC(), r.Mono+time.Minute })
		h.tap(1, n)
		if n < 4 {
			h.tap(2, n)
		}
	}
	h.clock.change(func(r *clock.Reading) { r.Wall, r.Mono = now.Wall.Add(time.Minute), r.Mono+time.Minute })
	return out
}

// pagesOf lists the addresses of all pages with a realistic content.
func (h *env) pagesOf(ids map[string]string) []struct{ name, who, path string } {
	h.t.Helper()
	h.printScene(ids)
	return []struct{ name, who, path string }{
		{"login", "", "/login"}, {"rules", "", "/rules"}, {"trust", "", "/trust"},
		{"today", "zheng", "/"}, {"today-staff", "fan", "/"},
		{"footage", "zheng", "/footage"}, {"footage-day", "zheng", "/footage?camera=c01&day=2026-05-08&t=14:50"}, {"footage-locked", "fan", "/footage?camera=c02&day=2026-05-12&t=09:10"},
		{"view", "fan", "/view/" + ids["viewing"]},
		{"applications", "zheng", "/applications"}, {"applications-mine", "fan", "/applications/mine"},
		{"application-decide", "zheng", "/applications/" + ids["open"]}, {"application-approved", "fan", "/applications/" + ids["approved"]},
		{"application-refused", "fan", "/applications/" + ids["refused"]}, {"application-returned", "fan", "/applications/" + ids["returned"]},
		{"application-new", "fan", "/applications/new?place=" + url.QueryEscape("东大门") + "&from=2026-05-08T15:00&to=2026-05-08T16:00"},
		{"form", "zheng", "/applications/" + ids["open"] + "/form"}, {"notice", "fan", "/applications/" + ids["approved"] + "/notice"}, {"rejection", "fan", "/applications/" + ids["refused"] + "/rejection"},
		{"extractions", "zheng", "/extractions"}, {"extraction", "zheng", "/extractions/" + ids["extraction"]},
		{"gate", "zheng", "/gate"}, {"gate-teacher", "luo", "/gate"}, {"roll", "luo", "/gate/class/2023-01"},
		{"log", "zheng", "/log"}, {"log-refused", "zheng", "/log?group=refused"}, {"entry", "zheng", fmt.Sprintf("/log/%d", h.seqOf("footage.access.open"))},
		{"cameras", "liang", "/cameras"}, {"camera", "liang", "/cameras/c01"}, {"camera-form", "liang", "/cameras/c01/edit"}, {"camera-import", "liang", "/cameras/import"}, {"camera-retire", "liang", "/cameras/c03/retire"}, {"faults", "zheng", "/faults"}, {"faults-closed", "zheng", "/faults?state=closed"}, {"camera-new", "liang", "/cameras/new"},
		{"nvrs", "liang", "/nvrs"}, {"nvr", "zheng", "/nvrs/n01"}, {"nvr-admin", "liang", "/nvrs/n01"}, {"nvr-new", "liang", "/nvrs/new"}, {"nvr-look", "liang", "/nvr-looks/look1"}, {"nvr-paths", "liang", "/nvrs/n01/access-paths"}, {"nvr-edit", "liang", "/nvrs/n01/edit"}, {"nvr-retire", "liang", "/nvrs/n01/retire"}, {"nvr-out", "liang", "/nvrs/n02"}, {"nvr-restore", "liang", "/nvrs/n02/restore"},
		{"people", "liang", "/people"}, {"person", "liang", "/people/" + h.ids["fan"]}, {"person-new", "liang", "/people/new"},
		{"keeping", "zheng", "/keeping"}, {"days", "zheng", "/keeping/days"}, {"days-none", "zheng", "/keeping/days?camera=c03"}, {"certificate", "zheng", "/keeping/certificate/c01/2026-04-10"},
		{"certificate-held", "zheng", "/keeping/certificate/c02/2026-04-12"}, {"retreport", "zheng", "/keeping/report?month=2026-05"}, {"retreport-one", "zheng", "/keeping/report?month=2026-05&camera=c01"},
		{"holds", "lin", "/holds"}, {"paper-certificate", "zheng", ids["paper-certificate"]}, {"paper-report", "zheng", ids["paper-report"]}, {"paper-days", "zheng", ids["paper-days"]}, {"paper-notice", "fan", ids["paper-notice"]},
		{"settings", "liang", "/settings"}, {"clock", "zheng", "/clock"}, {"account", "zheng", "/account"}, {"refused", "fan", "/log"},
	}
}

func (h *env) seqOf(k ledger.Kind) uint64 {
	h.t.Helper()
	for e, err := range h.store.Newest(h.store.Size()) {
		h.must(err)
		if e.Kind == k {
			return e.Seq
		}
	}
	h.t.Fatalf("there is no entry %s", k)
	return 0
}

// Every page renders in both languages with what a school has in it, and every text is in the catalogue.
func TestEveryPageInBothLanguages(t *testing.T) {
	h := newEnv(t)
	ids := h.scene()
	browsers := map[string]*visitor{"": h.visit()}
	all := h.all(ids)
	for _, lang := range []string{"zh-CN", "en"} {
		for _, p := range all {
			v := browsers[p.who]
			if v == nil {
				v = h.as(p.who)
				browsers[p.who] = v
			}
			r := v.get(p.path, "Cookie", "lang="+lang)
			want := http.StatusOK
			if p.name == "refused" {
				want = http.StatusForbidden
			}
			if r.status != want {
				t.Errorf("%s in %s: %d, want %d\n%s", p.name, lang, r.status, want, r.text())
			}
			if i := strings.Index(r.Body, "⟦"); i >= 0 {
				t.Errorf("%s in %s: a text is missing: %s", p.name, lang, r.Body[i:min(len(r.Body), i+60)])
			}
			for _, bad := range []string{"<no value>", "%!", "{0}", "ZgotmplZ", " style=", "onclick=", "<script>"} {
				if strings.Contains(r.Body, bad) {
					t.Errorf("%s in %s holds %q", p.name, lang, bad)
				}
			}
		}
	}
}
