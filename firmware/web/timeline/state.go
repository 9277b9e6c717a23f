package timeline

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/shared/footage"
)

// RibState is everything that the page remembers. It is in the address and nowhere else, so that it can be sent to
// somebody and is gone with the page.
type RibState struct {
	Camera, Day, T, To       string
	Days                     int // 30 or 7
	Text, Area, Group, Place string
	Gaps                     bool // only cameras with gaps
	Closed                   []string
	Page, Size, GapPage      int
}

var RibSizes = []int{16, 32, 64}

// Href is the address of the page in this state.
func (s RibState) Href(to string) string {
	q := url.Values{}
	set := func(k, v string) {
		if v != "" {
			q.Set(k, v)
		}
	}
	set("camera", s.Camera)
	set("day", s.Day)
	set("t", s.T)
	set("to", s.To)
	if s.Days == WeekDays {
		q.Set("days", "7")
	}
	set("q", s.Text)
	set("area", s.Area)
	set("group", s.Group)
	set("place", s.Place)
	if s.Gaps {
		q.Set("gaps", "1")
	}
	if len(s.Closed) > 0 {
		q["closed"] = s.Closed
	}
	for k, n := range map[string]int{"page": s.Page, "gap": s.GapPage} {
		if n > 1 {
			q.Set(k, strconv.Itoa(n))
		}
	}
	if s.Size != RibSizes[0] {
		q.Set("size", strconv.Itoa(s.Size))
	}
	out := "/footage"
	if len(q) > 0 {
		out += "?" + q.Encode()
	}
	if to != "" {
		out += "#" + to
	}
	return out
}

// Kept are the parts of the state that the filter form does not ask for itself.
func (s RibState) Kept() map[string][]string {
	out := map[string][]string{"closed": s.Closed}
	if s.Camera != "" {
		out["camera"], out["day"] = []string{s.Camera}, []string{s.Day}
	}
	if s.Days == WeekDays {
		out["days"] = []string{"7"}
	}
	if s.Size != RibSizes[0] {
		out["size"] = []string{strconv.Itoa(s.Size)}
	}
	return out
}

// Filtered says whether some cameras may be left out.
func (s RibState) Filtered() bool {
	return s.Text != "" || s.Area != "" || s.Group != "" || s.Place != "" || s.Gaps
}

// Lets says whether the filter lets a camera through, whatever its gaps.
func (s RibState) Lets(c footage.Camera) bool {
	return (s.Area == "" || string(c.Area) == s.Area) && (s.Group == "" || c.Group == s.Group) && (s.Place == "" || c.Place == s.Place) &&
		(s.Text == "" || strings.Contains(strings.ToLower(c.Name+" "+c.Place+" "+c.Group+" "+c.ID), strings.ToLower(s.Text)))
}

// beingWritten is how much of a camera that records may lie in the segment that is still being written: it has no
// row in the index yet, and is not missing.
const beingWritten = 2 * time.Minute

// UntilNow carries the runs of a camera that has been recording since an instant up to the present.
func UntilNow(runs []footage.Span, since, now time.Time) []footage.Span {
	from := now.Add(-beingWritten)
	if since.After(from) {
		from = since
	}
	if n := len(runs); n > 0 && !from.After(runs[n-1].To.Add(RunGap)) {
		runs = slices.Clone(runs)
		runs[n-1].To = now
		return runs
	}
	return append(slices.Clip(runs), footage.Span{From: from, To: now})
}
