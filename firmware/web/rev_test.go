package web

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	accountspages "campuskeep/firmware/web/pages/accounts"
	cameraspages "campuskeep/firmware/web/pages/cameras"
	"campuskeep/shared/account"
)

// fresh is a form made from the row of a camera as it is.
func (h *env) fresh(id string, f url.Values) url.Values {
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
	h := newEnv(t)
	cam, _ := h.site.Camera("c01")
	form := func(change map[string]string) url.Values {
		f := h.fresh("c01", cameraspages.CameraValues(cam))
		for k, v := range change {
			f.Set(k, v)
		}
		return f
	}
	zheng := form(map[string]string{"days": "90", "reason": "重点部位"})
	liang := form(map[string]string{"installer": "新安装公司"})
	v := h.as("liang")
	if r := v.post("/cameras/c01", zheng); r.status != http.StatusSeeOther {
		t.Fatal(r.status, r.Body)
	}
	r := v.post("/cameras/c01", liang)
	if now, _ := h.site.Camera("c01"); r.status != http.StatusConflict || now.Policy.Days != 90 {
		t.Fatalf("%d, %d days", r.status, now.Policy.Days)
	}
	for _, want := range []string{"您打开页面之后，这一条已被他人修改", "新安装公司", "现在登记的是“90”", "现在登记的是“重点部位”"} {
		if !strings.Contains(r.Body, want) {
			t.Errorf("the page does not say %s", want)
		}
	}
	// Saved again it is said of what was seen.
	again := form(map[string]string{"days": "90", "reason": "重点部位", "installer": "新安装公司"})
	again.Set("rev", regexp.MustCompile(`name="rev" value="(\d+)"`).FindStringSubmatch(r.Body)[1])
	if r := v.post("/cameras/c01", again); r.status != http.StatusSeeOther {
		t.Fatal(r.status)
	}
	if now, _ := h.site.Camera("c01"); now.Policy.Days != 90 || now.Installer != "新安装公司" {
		t.Errorf("stored %+v", now)
	}
	for name, f := range map[string]url.Values{"no revision": cameraspages.CameraValues(cam), "an old one": zheng} {
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
	h := newEnv(t)
	cam, _ := h.site.Camera("c01")
	v := h.as("liang")
	r := v.upload("/cameras/import", sheetOf(t, [][]any{{"编号*", "名称*", "地点*", "区域*", "录像保管方*", "安装单位"}, {"c01", cam.Name, cam.Place, "校门", "一体机", "新安装公司"}}))
	token := tokenOf.FindStringSubmatch(r.Body)
	if token == nil {
		t.Fatal(r.status, r.Body)
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

// Two people have the form of one person open. The second to save writes nothing over: the duty that the first took
// away stays away, what was typed is still there, and what has changed is said at its field.
func TestTwoFormsOfOnePerson(t *testing.T) {
	h := newEnv(t)
	v := h.as("liang")
	id := h.ids["wei"]
	form := func(change map[string]string) url.Values {
		p, _ := h.people.Person(id)
		f := accountspages.PersonValues(p)
		f.Set("rev", regexp.MustCompile(`name="rev" value="(\d+)"`).FindStringSubmatch(v.get("/people/" + id).Body)[1])
		for k, s := range change {
			f.Set(k, s)
		}
		return f
	}
	first := form(map[string]string{"roles": "staff", "unit": "总务处"})
	second := form(map[string]string{"phone": "13900000000"})
	none := form(map[string]string{"phone": "13900000001"})
	none.Del("rev")
	if r := v.post("/people/"+id, first); r.status != http.StatusSeeOther {
		t.Fatal(r.status, r.Body)
	}
	r := v.post("/people/"+id, second)
	if now, _ := h.people.Person(id); r.status != http.StatusConflict || now.Unit != "总务处" || now.Phone == "13900000000" || slices.Contains(now.Roles, account.RoleOfficer) {
		t.Fatalf("%d, %+v", r.status, now)
	}
	for _, want := range []string{"您打开页面之后，这一条已被他人修改", `value="13900000000"`, "单位：现在登记的是“总务处”", "职责：现在登记的是“教职工”"} {
		if !strings.Contains(r.Body, want) {
			t.Errorf("the page does not say %s", want)
		}
	}
	if r := v.post("/people/"+id, none); r.status != http.StatusConflict {
		t.Errorf("without a revision: %d", r.status)
	}
	// Saved again it is said of what was seen.
	again := form(map[string]string{"phone": "13900000000"})
	again.Set("rev", regexp.MustCompile(`name="rev" value="(\d+)"`).FindStringSubmatch(r.Body)[1])
	if r := v.post("/people/"+id, again); r.status != http.StatusSeeOther {
		t.Fatal(r.status, r.Body)
	}
	if now, _ := h.people.Person(id); now.Phone != "13900000000" || now.Unit != "总务处" {
		t.Errorf("stored %+v", now)
	}
}

// Why a form needs no revision of what it was made from.
const (
	addsOnly = "adds a row and writes over none"
	stepOnce = "a step that the state allows once: who comes second is refused, and no text is written over"
	actsOnly = "does something and changes no row that people fill in"
	ownOnly  = "the own session or secret, with the old one asked for where it counts"
)

// unrevised are the forms that carry no revision, by their action.
var unrevised = map[string]string{
	"{}/import":                  "a file is read and shown, nothing is written",
	"{}/import/confirm":          "what the preview compared is compared again",
	"/emergency/{}/settle":       stepOnce,
	"/emergency/{}/print":        actsOnly,
	"/emergency/{}/undo":         stepOnce,
	"/emergency/{}/close":        "every closing is a version of its own: none is written over",
	"/emergency/{}/found/search": actsOnly,
	"/emergency/{}/found":        addsOnly,
	"/emergency/{}/class/{}":     "statements of several teachers: each is kept, contradictions are shown",
	"/emergency/open":            addsOnly,
	"/patrols":                   addsOnly,
	"/plans/{}/drill":            addsOnly,
	"/cards/export":              actsOnly,
	"/pupils/{}/cards/{}":        stepOnce,
	"/classes/export":            actsOnly,
	"/pupils/{}/cards":           addsOnly,
	"/pupils/{}/move":            "a dated move: one that is still to come is replaced, and both are in the log",
	"/pupils/export":             actsOnly,
	"/year/undo":                 stepOnce,
	"/readers/{}/accept":         stepOnce,
	"/readers/{}/install/end":    stepOnce,
	"/readers/{}/install":        stepOnce,
	"/readers/{}/key":            "a key takes the place of whatever is there",
	"/readers/{}/token":          "a token takes the place of whatever is there",
	"/readers/enrol":             addsOnly,
	"/bells/{}/remove":           stepOnce,
	"/calendar/export":           actsOnly,
	"/places/{}/remove":          stepOnce,
	"/places/export":             actsOnly,
	"/glass":                     addsOnly,
	"/glass/{}/close":            stepOnce,
	"/glass/{}/review":           stepOnce,
	"/pupils/{}/open":            addsOnly,
	"/records/archive":           addsOnly,
	"/records/archive/{}":        stepOnce,
	"/records/letters":           addsOnly,
	"/records/retention/confirm": stepOnce,
	"/records/retention/keep":    addsOnly,
	"/records/retention/propose": stepOnce,
	"/records/retention/years":   addsOnly,
	"/records/agreements":        addsOnly,
	"/account/duties/{}/drop":    stepOnce,
	"/account/factor":            ownOnly,
	"/account/factor/confirm":    ownOnly,
	"/account/password":          ownOnly,
	"/account/sessions/end":      ownOnly,
	"/applications/new":          addsOnly,
	"/applications/{}/accept":    stepOnce,
	"/applications/{}/decide":    stepOnce,
	"/applications/{}/print":     actsOnly,
	"/applications/{}/report":    stepOnce,
	"/applications/{}/return":    stepOnce,
	"/applications/{}/revoke":    stepOnce,
	"/applications/{}/extend":    addsOnly,
	"/applications/{}/take":      stepOnce,
	"/applications/{}/withdraw":  stepOnce,
	"/cameras/export":            actsOnly,
	"/cameras/{}/test":           actsOnly,
	"/clock":                     "two people state an instant; each statement is one of its own",
	"/duty/export":               actsOnly,
	"/duty/print":                actsOnly,
	"/faults/{}/take":            addsOnly,
	"/footage/view":              addsOnly,
	"/holds/{}/confirm":          stepOnce,
	"/holds/{}/keep":             stepOnce,
	"/holds/{}/propose":          stepOnce,
	"/keeping/certificate/{}/{}": actsOnly,
	"/keeping/days/print":        actsOnly,
	"/keeping/report":            actsOnly,
	"/live/view":                 addsOnly,
	"/log/export":                actsOnly,
	"/log/{}/close":              stepOnce,
	"/login":                     ownOnly,
	"/logout":                    ownOnly,
	"/absence/alarms/{}":         stepOnce,
	"/absence/calls/{}":          stepOnce,
	"/absence/export":            actsOnly,
	"/concerns/export":           actsOnly,
	"/leave/export":              actsOnly,
	"/patrols/export":            actsOnly,
	"/emergency/{}/export":       actsOnly,
	"/illness/zero":              addsOnly,
	"/sheets/export":             actsOnly,
	"/leave/new":                 addsOnly,
	"/leave/passes":              addsOnly,
	"/leave/passes/{}/out":       stepOnce,
	"/nvr-looks/{}":              "fills in what was found on a recorder that is not registered yet",
	"/nvrs/new":                  addsOnly,
	"/nvrs/{}/check":             actsOnly,
	"/nvrs/{}/access-paths":      "carries in read which reading of the recorder it was made from",
	"/nvrs/{}/access-paths/read": actsOnly,
	"/nvrs/{}/expiry":            actsOnly,
	"/people/duties/{}/confirm":  stepOnce,
	"/feedback":                  addsOnly,
	"/feedback/{}/reply":         "one department's own words, until they are answered",
	"/feedback/{}/answer":        "answered once",
	"/filing":                    addsOnly,
	"/filing/print":              "prints",
	"/inspections/{}":            "one inspector fills it in, item by item",
	"/inspections/begin":         stepOnce,
	"/readers/export":            actsOnly,
	"/regulations/{}/read":       stepOnce,
	"/violations/new":            addsOnly,
	"/people/{}/factor":          "takes a factor away, whatever it is",
	"/people/{}/password":        "gives a new password, whatever the old one is",
	"/setup":                     "once, before there is anybody",
	"/shift/begin":               stepOnce,
	"/shift/end":                 stepOnce,
	"/shift/handover":            "the own shift, which one person writes",
	"/shift/sign":                stepOnce,
	"/view/{}/beside":            addsOnly,
	"/view/{}/close":             stepOnce,

	"/applications/{}/extraction": addsOnly,
	"/extractions/{}/cancel":      stepOnce,
	"/extractions/{}/download":    addsOnly,
	"/extractions/{}/fate":        stepOnce,
	"/extractions/{}/key":         stepOnce,
	"/extractions/{}/print":       actsOnly,
	"/extractions/{}/receipt":     stepOnce,
	"/extractions/{}/start":       stepOnce,
	"/extractions/{}/stick":       addsOnly,
}

// A form over a row that is there says which one it was made from, or is listed with the reason why it need not.
func TestEveryFormSaysWhatItWasMadeFrom(t *testing.T) {
	pages, err := filepath.Glob("*/*.html")
	more, fault := filepath.Glob("pages/*/*.html")
	pages, err = append(pages, more...), errors.Join(err, fault)
	begin, value := regexp.MustCompile(`<form[^>]* method="post"[^>]*>`), regexp.MustCompile(`{{[^{}]*}}`)
	if err != nil || len(pages) == 0 {
		t.Fatal(err, len(pages))
	}
	seen := map[string]bool{}
	for _, page := range pages {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		text := string(b)
		posts := begin.FindAllStringIndex(text, -1)
		if n := strings.Count(text, `method="post"`); n != len(posts) {
			t.Errorf("%s: %d forms, %d read", page, n, len(posts))
		}
		for _, at := range posts {
			_, action, _ := strings.Cut(text[at[0]:at[1]], ` action="`)
			action, _, _ = strings.Cut(action, `"`)
			action, _, _ = strings.Cut(value.ReplaceAllString(action, "{}"), "#")
			body, _, whole := strings.Cut(text[at[1]:], "</form>")
			if !whole {
				t.Errorf("%s: the form of %s has no end", page, action)
			}
			seen[action] = true
			carries := strings.Contains(body, `name="rev"`) || strings.Contains(body, `name="seen"`)
			switch reason := unrevised[action]; {
			case carries && reason != "":
				t.Errorf("%s: %s carries a revision and is listed as one that does not", page, action)
			case !carries && reason == "":
				t.Errorf("%s: %s does not say which row it was made from", page, action)
			}
		}
	}
	for action := range unrevised {
		if !seen[action] {
			t.Errorf("%s is listed and no form of a page", action)
		}
	}
}
