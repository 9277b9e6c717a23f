package web

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/usage"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/ui"
)

// soonEnds is how long before its end a hold is said to end soon.
const soonEnds = 48 * time.Hour

// holdLink is where the list shows a hold, on whichever page of it that hold would be.
func holdLink(h footage.Hold) string {
	return "/holds?" + url.Values{"q": {holdName(h)}}.Encode() + "#h-" + h.ID
}

// holdState is what a hold waits for: a second person, its end soon, a repair of its keys, or nothing.
func (c *call) holdState(h usage.KeptHold, rotten []string) string {
	switch {
	case slices.Contains(rotten, h.ID):
		return "rotten"
	case h.Proposal != nil:
		return "proposed"
	case !h.Open && h.Until.Sub(c.now.Wall) < soonEnds:
		return "soon"
	}
	return "running"
}

// findHolds are the holds that the search and the filters leave.
func (c *call) findHolds(list []usage.KeptHold, f url.Values, rotten []string) []usage.KeptHold {
	words := strings.Fields(strings.ToLower(f.Get("q")))
	return slices.DeleteFunc(slices.Clone(list), func(h usage.KeptHold) bool {
		if x := f.Get("reason"); x != "" && x != string(h.Reason) {
			return true
		}
		if x := f.Get("state"); x != "" && x != c.holdState(h, rotten) {
			return true
		}
		if len(words) == 0 {
			return false
		}
		text := strings.ToLower(strings.Join([]string{holdName(h.Hold), h.ID, h.Application, c.o.name(h.Applicant), c.cameraNames(h.Cameras), strings.Join(h.Cameras, " ")}, " "))
		return slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
	})
}

// holdOrder are the columns of the list by which it can be sorted.
var holdOrder = []struct {
	name string
	num  bool
	less func(c *call, a, b usage.KeptHold) int
}{
	{"no", false, func(_ *call, a, b usage.KeptHold) int { return cmp.Compare(a.Application, b.Application) }},
	{"applicant", false, func(c *call, a, b usage.KeptHold) int {
		return cmp.Compare(c.o.name(a.Applicant), c.o.name(b.Applicant))
	}},
	{"bytes", true, func(_ *call, a, b usage.KeptHold) int { return cmp.Compare(a.Bytes, b.Bytes) }},
	{"until", false, func(_ *call, a, b usage.KeptHold) int { return a.Until.Compare(b.Until) }},
}

// sortHolds sorts by the column that is asked for; by default what ends first is first.
func (c *call) sortHolds(list []usage.KeptHold, f url.Values) {
	name, down := strings.CutPrefix(cmp.Or(f.Get("sort"), "until"), "-")
	for _, o := range holdOrder {
		if o.name != name {
			continue
		}
		slices.SortStableFunc(list, func(a, b usage.KeptHold) int {
			n := cmp.Or(o.less(c, a, b), cmp.Compare(a.ID, b.ID))
			if down {
				return -n
			}
			return n
		})
	}
}

// holdColumns are the heads of the list by name.
func (c *call) holdColumns(f url.Values) map[string]cameraColumn {
	now, down := strings.CutPrefix(cmp.Or(f.Get("sort"), "until"), "-")
	out := map[string]cameraColumn{}
	for _, o := range holdOrder {
		x := cloneValues(f)
		x.Del("page")
		x.Set("sort", o.name)
		col := cameraColumn{Text: c.p.T("holds.h." + o.name), Num: o.num}
		if o.name == now {
			col.Sort = "ascending"
			x.Set("sort", "-"+o.name)
			if down {
				col.Sort = "descending"
				x.Set("sort", o.name)
			}
		}
		col.Href = "/holds?" + x.Encode()
		out[o.name] = col
	}
	return out
}

// holdFilters are the reasons and states that occur.
func (c *call) holdFilters(list []usage.KeptHold, rotten []string) []cameraFilter {
	reasons, states := map[string]bool{}, map[string]bool{}
	for _, h := range list {
		reasons[string(h.Reason)], states[c.holdState(h, rotten)] = true, true
	}
	reason := cameraFilter{Name: "reason", Label: c.p.T("holds.any.reason"), Options: []ui.Option{{Text: c.p.T("holds.any.reason")}}}
	for _, r := range slices.Sorted(maps.Keys(reasons)) {
		reason.Options = append(reason.Options, ui.Option{Value: r, Text: c.p.K("hold.", r)})
	}
	state := cameraFilter{Name: "state", Label: c.p.T("holds.any.state"), Options: []ui.Option{{Text: c.p.T("holds.any.state")}}}
	for _, s := range []string{"proposed", "rotten", "soon", "running"} {
		if states[s] {
			state.Options = append(state.Options, ui.Option{Value: s, Text: c.p.T("holds.state." + s)})
		}
	}
	return []cameraFilter{reason, state}
}

// releaseNeeds are proposals to release a hold that wait for this person as the second.
func (c *call) releaseNeeds() (out []need) {
	for _, h := range c.holds() {
		p, ok := c.o.d.Usage.Proposal(h.ID)
		if !ok || p.By == c.actor.ID {
			continue
		}
		if s, err := c.o.d.Usage.HoldSubject(h.ID); err != nil || !c.can(account.ActHoldRelease, s) {
			continue
		}
		out = append(out, need{Tone: "warn", Icon: "users", Badge: c.p.T("holds.proposed"), Kind: c.p.T("nav.holds"), Title: holdName(h) + " · " + c.p.Span(h.Span.From, h.Span.To),
			Text: c.p.T("need.release", c.o.name(p.By), p.Reason), Due: c.p.When(p.At, c.now.Wall), Href: holdLink(h), Do: c.p.T("see")})
	}
	return out
}

// rottenNeeds are the holds in force whose keys cannot be opened: what they keep may be lost.
func (c *call) rottenNeeds() (out []need) {
	rotten := c.o.d.Status.Retention().Rotten
	for _, h := range c.holds() {
		if slices.Contains(rotten, h.ID) && c.seesHolds() {
			out = append(out, need{Tone: "bad", Icon: "bad", Badge: c.p.T("holds.rotten"), Kind: c.p.T("nav.holds"), Title: holdName(h) + " · " + c.p.Span(h.Span.From, h.Span.To),
				Text: c.p.T("holds.rotten.text"), Href: holdLink(h), Do: c.p.T("see")})
		}
	}
	return out
}

// holdNeeds are the holds that ask something of this person.
func (c *call) holdNeeds() ([]need, error) { return append(c.releaseNeeds(), c.rottenNeeds()...), nil }
