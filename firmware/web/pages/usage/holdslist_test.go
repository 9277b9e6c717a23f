package usage

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/usage"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/footage"
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
		c := &call{h.NewCall(httptest.NewRecorder(), httptest.NewRequest("GET", "/holds?"+query, nil)), h.Pages}
		h.status.Rotten = rotten
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
	if len(first.Rows) != frame.PerPage || first.All != 3000 || first.Rows[0].H.ID != list[2999].ID || first.Pages.Next == "" || first.Pages.Prev != "" {
		t.Errorf("first page: %d rows of %d, %v", len(first.Rows), first.All, ids(first)[:1])
	}
	if last := show("page=120"); len(last.Rows) != frame.PerPage || last.Rows[24].H.ID != list[0].ID || last.Pages.Next != "" {
		t.Errorf("last page: %v", ids(last))
	}
	if one := show("q=" + url.QueryEscape(frame.HoldName(list[1234].Hold))); !slices.Contains(ids(one), list[1234].ID) || len(one.Rows) > 2 {
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
