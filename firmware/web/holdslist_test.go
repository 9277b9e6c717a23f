package web

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/usage"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/ui"
)

// Thousands of holds are pages of a list that can be searched, filtered and sorted. Covers F5.
func TestThousandsOfHolds(t *testing.T) {
	h := newEnv(t)
	var list []usage.KeptHold
	for i := range 3000 {
		a := fmt.Sprintf("a2026-%04d", i+1)
		k := usage.KeptHold{Hold: footage.Hold{ID: "h" + a[1:] + "-1", Application: a, Reason: "application", Cameras: []string{fmt.Sprintf("c%02d", i%3+1)},
			Span: footage.Span{From: at(18, 7, 0), To: at(18, 8, 0)}, Until: present.Add(time.Duration(3000-i) * time.Hour)}, Applicant: h.ids["fan"], Bytes: uint64(i * 7919 % 3001)}
		if i%100 == 0 {
			k.Proposal = &usage.Proposal{By: h.ids["zhou"], Reason: "书包已找到", At: present}
		}
		list = append(list, k)
	}
	rotten := []string{list[7].ID}
	show := func(query string) holdsView {
		c := &call{o: h.Server, r: httptest.NewRequest("GET", "/holds?"+query, nil), p: h.pages.Printer(ui.Chinese), now: h.clock.Now()}
		h.packages.keeping.Rotten = rotten
		var v holdsView
		c.listHolds(&v, list)
		return v
	}
	ids := func(v holdsView) (out []string) {
		for _, r := range v.Rows {
			out = append(out, r.H.ID)
		}
		return out
	}
	first := show("")
	if len(first.Rows) != perPage || first.All != 3000 || first.Rows[0].H.ID != list[2999].ID || first.Pages.Next == "" || first.Pages.Prev != "" {
		t.Errorf("first page: %d rows of %d, %v", len(first.Rows), first.All, ids(first)[:1])
	}
	if last := show("page=120"); len(last.Rows) != perPage || last.Rows[24].H.ID != list[0].ID || last.Pages.Next != "" {
		t.Errorf("last page: %v", ids(last))
	}
	if one := show("q=" + url.QueryEscape(holdName(list[1234].Hold))); !slices.Contains(ids(one), list[1234].ID) || len(one.Rows) > 2 {
		t.Errorf("by number: %v", ids(one))
	}
	if v := show("q=" + url.QueryEscape("自行车棚") + "&state=proposed"); v.Text != "3,000 项中的 10 项" {
		t.Errorf("camera and state: %s", v.Text)
	}
	if v := show("state=rotten"); len(v.Rows) != 1 || v.Rows[0].Tone != "bad" || v.Rows[0].H.ID != rotten[0] {
		t.Errorf("damaged keys: %v", ids(v))
	}
	big := show("sort=-bytes")
	if !slices.IsSortedFunc(big.Rows, func(a, b holdRow) int { return int(b.H.Bytes) - int(a.H.Bytes) }) || big.Columns["bytes"].Sort != "descending" {
		t.Errorf("by size: %v", ids(big))
	}
	if next := big.Pages.Next; !strings.Contains(next, "sort=-bytes") || !strings.Contains(next, "page=2") {
		t.Errorf("the next page forgets the order: %s", next)
	}
	if v := show("q=nothing+like+it"); len(v.Rows) != 0 || !v.Filtered {
		t.Errorf("%v", ids(v))
	}
}

// A hold in force whose keys cannot be opened is named on the list and on the first page of those who may see holds.
// Covers F5.
func TestAHoldWithDamagedKeysIsNamed(t *testing.T) {
	h := newEnv(t)
	id := h.as("fan").apply(form("北侧围墙", at(18, 7, 0), at(18, 8, 0)))
	hold := h.holdOf(id)
	zheng := h.as("zheng")
	if body := zheng.get("/holds").body; strings.Contains(body, "密钥损坏") {
		t.Error("named while its keys are whole")
	}
	h.packages.keeping.Rotten = []string{hold.ID}
	if body := zheng.get("/holds").body; !strings.Contains(body, "密钥损坏") || !strings.Contains(body, `id="h-`+hold.ID+`"`) {
		t.Error("not named on the list")
	}
	today := zheng.get("/").body
	link := strings.ReplaceAll(holdLink(hold), "&", "&amp;")
	if !strings.Contains(today, "密钥损坏") || !strings.Contains(today, link) {
		t.Errorf("not named on the first page (%s)", link)
	}
	if strings.Contains(h.as("luo").get("/").body, "密钥损坏") {
		t.Error("somebody who may not see holds learns of it")
	}
}
