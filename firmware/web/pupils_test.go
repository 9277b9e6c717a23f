package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	pupilspages "campuskeep/firmware/web/pages/pupils"
	"campuskeep/shared/attendance"
)

// pupilForm is what a person types about a new pupil.
func pupilForm(name, birth, class string) url.Values {
	return url.Values{"name": {name}, "sex": {"2"}, "birth": {birth}, "id_kind": {"none"}, "class": {class}, "from": {"2026-05-20"},
		"guardian1_name": {"陆母"}, "guardian1_relation": {"mother"}, "guardian1_phone": {"13911112222"}, "guardian1_priority": {"2"}, "guardian1_knows": {"attendance", "collect"},
		"guardian2_name": {"陆父"}, "guardian2_relation": {"father"}, "guardian2_phone": {"13911113333"}, "guardian2_priority": {"1"}, "guardian2_knows": {"attendance", "health"}}
}

func (h *env) good(uid string) bool {
	h.t.Helper()
	c, err := attendance.ParseCard(uid)
	h.must(err)
	_, _, ok := h.people.ByCard(c.Hash(h.people.CardKey()))
	return ok
}

// A pupil is registered, changed, given a card that is lost and replaced, and moved, on pages alone. Covers S3, S5, S14.
func TestAPupilOnPages(t *testing.T) {
	h := newEnv(t)
	zheng := h.as("zheng")
	f := pupilForm("阿依・古丽", "2016-02-29", "2023-01")
	f.Set("card", "0A0B0C0D")
	r := zheng.post("/pupils/new", f)
	if r.status != http.StatusSeeOther {
		t.Fatalf("register: %d\n%s", r.status, r.text())
	}
	page := r.header.Get("Location")
	id := strings.Split(page, "/")[2]
	s, _ := h.people.Pupil(id, "2026-05-20")
	if s.Name != "阿依·古丽" || s.Class != "2023-01" || len(s.Guardians) != 2 || s.Guardians[0].Name != "陆父" || s.Guardians[0].MayKnow("psychology") || !s.Guardians[0].NoCollect || s.Guardians[1].NoCollect {
		t.Errorf("registered %+v", s)
	}
	if !h.good("0A0B0C0D") {
		t.Error("the card is refused")
	}
	edit := zheng.get(page)
	for _, want := range []string{"阿依·古丽", "0C0D", `value="2016-02-29"`, "三年级1班"} {
		if !strings.Contains(edit.Body, want) {
			t.Errorf("the form does not show %q", want)
		}
	}

	f.Set("rev", strconv.FormatUint(s.Rev, 10))
	f.Set("address", "青榆路 18 号")
	if r = zheng.post(page, f); r.status != http.StatusSeeOther {
		t.Errorf("change: %d\n%s", r.status, r.text())
	}
	f.Set("address", "青榆路 20 号")
	if r = zheng.post(page, f); r.status != http.StatusConflict || !strings.Contains(r.Body, "青榆路 18 号") || !strings.Contains(r.Body, "青榆路 20 号") {
		t.Errorf("a form of before somebody else's change: %d\n%s", r.status, r.text())
	}

	cardsOf := "/pupils/" + id + "/cards"
	card := h.people.CardsOf(id)[0].ID
	if r = zheng.post(cardsOf+"/"+card, url.Values{"what": {"lost"}}); r.status != http.StatusSeeOther || h.good("0A0B0C0D") {
		t.Errorf("lost: %d, good: %v", r.status, h.good("0A0B0C0D"))
	}
	if r = zheng.post(cardsOf, url.Values{"card": {"0A0B0C0E"}, "replaces": {card}}); r.status != http.StatusSeeOther || !h.good("0A0B0C0E") || h.good("0A0B0C0D") {
		t.Errorf("replaced: %d %s", r.status, r.text())
	}
	if r = zheng.post("/pupils/"+h.pupils[0]+"/cards", url.Values{"card": {"0A0B0C0E"}}); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, "已发给 三年级1班 阿依·古丽") {
		t.Errorf("a card given to two: %d\n%s", r.status, r.text())
	}
	if r = zheng.post("/pupils/"+id+"/move", url.Values{"class": {"2023-02"}, "date": {"2026-05-20"}}); r.status != http.StatusUnprocessableEntity {
		t.Errorf("in two classes on one day: %d\n%s", r.status, r.text())
	}
	if r = zheng.post("/pupils/"+id+"/move", url.Values{"class": {"2023-02"}, "date": {"2026-05-21"}}); r.status != http.StatusSeeOther || h.people.ClassOf(id, "2026-05-21") != "2023-02" {
		t.Errorf("move: %d\n%s", r.status, r.text())
	}
}

// What is wrong with a pupil is said at its field, in words, and nothing is half-done. Covers S3.
func TestFaultsOfAPupilAreSaidAtTheirFields(t *testing.T) {
	h := newEnv(t)
	zheng := h.as("zheng")
	for name, x := range map[string]struct {
		field, value, at, want string
	}{
		"no name":                     {"name", "", "f-name", "请填写"},
		"a private character":         {"name", "陆\ue000遥", "f-name", "E000"},
		"no class":                    {"class", "", "f-class", "请填写"},
		"a class that is not there":   {"class", "2023-09", "f-class", ""},
		"29 February of no leap year": {"birth", "2017-02-29", "f-birth", ""},
		"in the future":               {"birth", "2030-01-01", "f-birth", ""},
		"a number lost its digits":    {"id_number", "4.2E+17", "f-id_number", ""},
		"a phone":                     {"guardian1_phone", "12345", "f-guardian2_phone", ""},
		"a card of letters":           {"card", "xyz", "f-card", "十六进制"},
		"a card that is taken":        {"card", "04A2B30100", "f-card", "此卡已发给他人"},
	} {
		t.Run(name, func(t *testing.T) {
			f := pupilForm("陆可遥", "2016-10-01", "2023-01")
			if x.field == "id_number" {
				f.Set("id_kind", "resident")
			}
			f.Set(x.field, x.value)
			size := h.store.Size()
			r := zheng.post("/pupils/new", f)
			if r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, x.want) || !strings.Contains(r.Body, `href="#`+x.at+`"`) || !strings.Contains(r.Body, "13911113333") {
				t.Errorf("%d, want %q at %s\n%s", r.status, x.want, x.at, r.text())
			}
			if h.store.Size() != size {
				t.Error("something was written")
			}
		})
	}
}

// The list is searched and filtered, a teacher sees the own class alone, and a list that leaves is an entry first.
// Covers S14, S17.
func TestTheListOfPupils(t *testing.T) {
	h := newEnv(t)
	zheng, luo := h.as("zheng"), h.as("luo")
	for query, want := range map[string]int{"": 12, "?q=azy": 2, "?q=azy&class=2023-02": 1, "?card=none": 0, "?q=nobody": 0, "?state=left": 0} {
		var out pupilspages.APIPupils
		r := zheng.get("/api/v1/pupils" + query)
		h.must(json.Unmarshal([]byte(r.Body), &out))
		if out.Count != want {
			t.Errorf("%q finds %d, want %d", query, out.Count, want)
		}
	}
	if page := zheng.get("/pupils?q=azy"); page.status != 200 || strings.Count(page.Body, "安知予") != 2 {
		t.Errorf("the list: %d\n%s", page.status, page.text())
	}
	own := luo.get("/pupils")
	if own.status != 200 || strings.Contains(own.Body, "三年级2班") || !strings.Contains(own.Body, "三年级1班") || strings.Contains(own.Body, "/pupils/new") {
		t.Errorf("a class teacher sees %d\n%s", own.status, own.text())
	}
	if r := luo.get("/pupils?class=2023-02"); r.status != http.StatusForbidden {
		t.Errorf("another's class: %d", r.status)
	}
	if r := h.as("liang").get("/pupils"); r.status != http.StatusForbidden {
		t.Errorf("the administrator: %d", r.status)
	}
	for _, path := range []string{"/pupils/export", "/cards/export", "/classes/export"} {
		n := h.count("register.exported")
		if r := zheng.post(path, nil); r.status != 200 || !strings.HasPrefix(r.Body, "PK") || h.count("register.exported") != n+1 {
			t.Errorf("%s: %d", path, r.status)
		}
	}
}

// A class is registered with its teachers; two class teachers at a time, and a class twice, are refused.
func TestAClassOnPages(t *testing.T) {
	h := newEnv(t)
	zheng := h.as("zheng")
	f := url.Values{"stage": {"primary"}, "entry": {"2024"}, "no": {"3"}, "t1_person": {h.ids["luo"]}, "t1_duty": {"head"}, "t1_from": {"2024-09-01"}}
	if r := zheng.post("/classes/new", f); r.status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", r.status, r.text())
	}
	if c, _ := h.people.Class("2024-03"); c.Head("2026-05-20") != h.ids["luo"] {
		t.Errorf("class %+v", c)
	}
	if r := zheng.post("/classes/new", f); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, "已经登记") {
		t.Errorf("twice: %d\n%s", r.status, r.text())
	}
	list := zheng.get("/classes")
	if !strings.Contains(list.Body, "二年级3班") || !strings.Contains(list.Body, "没有班主任") {
		t.Errorf("the list\n%s", list.text())
	}
	f.Set("rev", strconv.FormatUint(h.people.ClassRev("2024-03"), 10))
	f.Set("t2_person", h.ids["fan"])
	f.Set("t2_duty", "head")
	f.Set("t2_from", "2025-09-01")
	if r := zheng.post("/classes/2024-03", f); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, "同一时间只能有一名班主任") {
		t.Errorf("two class teachers: %d\n%s", r.status, r.text())
	}
	f.Set("t1_to", "2025-09-01")
	if r := zheng.post("/classes/2024-03", f); r.status != http.StatusSeeOther {
		t.Errorf("a new class teacher: %d\n%s", r.status, r.text())
	}
	if page := zheng.get("/classes/2024-03"); !strings.Contains(page.Body, "没有“班主任”岗位") {
		t.Errorf("a teacher without the duty is not named\n%s", page.text())
	}
	if r := zheng.post("/classes/2024-03", f); r.status != http.StatusConflict {
		t.Errorf("a form of before: %d", r.status)
	}
}
