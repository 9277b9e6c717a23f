package web

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"campuskeep/shared/account"
	"campuskeep/shared/clock"
)

// A camera is asked for where it was in the span, whatever became of it since; one that came later stops nothing.
// Covers F4, F5.
func TestTheCamerasOfAPlaceAreThoseOfTheSpan(t *testing.T) {
	h := newEnv(t)
	fan, zheng := h.as("fan"), h.as("zheng")
	before := fan.apply(form("自行车棚", at(18, 12, 0), at(18, 12, 10)))

	// c03 is moved away from the shed, c02 is put up there.
	moved, _ := h.site.Camera("c03")
	moved.Place = "操场"
	h.must(h.site.PutCamera(t.Context(), account.System, moved, nil))
	come, _ := h.site.Camera("c02")
	come.Place = "自行车棚"
	h.must(h.site.PutCamera(t.Context(), account.System, come, nil))

	if r := zheng.post("/applications/"+before+"/take", nil); r.status != http.StatusSeeOther {
		t.Errorf("taking up what was submitted before the move: %d\n%s", r.status, r.text())
	}
	if r := zheng.post("/applications/"+before+"/decide", decision("approve", "cameras", "c03", "spans", "0")); r.status != http.StatusSeeOther {
		t.Errorf("approving it: %d\n%s", r.status, r.text())
	}
	h.clock.change(func(r *clock.Reading) { r.Wall, r.Mono = r.Wall.Add(time.Minute), r.Mono+time.Minute })
	after := fan.apply(form("自行车棚", at(18, 12, 0), at(18, 12, 10)))
	a, err := h.usage.Get(after)
	h.must(err)
	if got := a.Wanted[0].Cameras; !slices.Equal(got, []string{"c03"}) {
		t.Errorf("at the shed on the 18th stood %v", got)
	}

	moved.Retired = true
	h.must(h.site.PutCamera(t.Context(), account.System, moved, nil))
	last := fan.apply(form("自行车棚", at(18, 13, 0), at(18, 13, 10)))
	a, err = h.usage.Get(last)
	h.must(err)
	if got := a.Wanted[0].Cameras; !slices.Equal(got, []string{"c03"}) {
		t.Errorf("retired since, at the shed on the 18th stood %v", got)
	}
	if body := fan.get("/applications/new").Body; !strings.Contains(body, "<option>操场</option>") {
		t.Error("a place whose camera was taken down yesterday cannot be asked for")
	}
}
