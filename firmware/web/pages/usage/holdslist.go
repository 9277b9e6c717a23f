package usage

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/usage"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/lib/ui"
)

// soonEnds is how long before its end a hold is said to end soon.
const soonEnds = 48 * time.Hour

// holdState is what a hold waits for: a second person, its end soon, a repair of its keys, or nothing.
func (c *call) holdState(h usage.KeptHold, rotten []string) string {
	switch {
	case slices.Contains(rotten, h.ID):
		return "rotten"
	case h.Proposal != nil:
		return "proposed"
	case !h.Open && h.Until.Sub(c.Now.Wall) < soonEnds:
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
		text := strings.ToLower(strings.Join([]string{frame.HoldName(h.Hold), h.ID, h.Application, c.o.Name(h.Applicant), c.CameraNames(h.Cameras), strings.Join(h.Cameras, " ")}, " "))
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
		return cmp.Compare(c.o.Name(a.Applicant), c.o.Name(b.Applicant))
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
func (c *call) holdColumns(f url.Values) map[string]frame.ListColumn {
	var names []string
	for _, o := range holdOrder {
		names = append(names, o.name)
	}
	out := map[string]frame.ListColumn{}
	for i, head := range c.SortHeads(f, "/holds", "holds.h.", "until", names) {
		head.Num = holdOrder[i].num
		out[names[i]] = head
	}
	return out
}

// holdFilters are the reasons and states that occur.
func (c *call) holdFilters(list []usage.KeptHold, rotten []string) []frame.ListFilter {
	reasons, states := map[string]bool{}, map[string]bool{}
	for _, h := range list {
		reasons[string(h.Reason)], states[c.holdState(h, rotten)] = true, true
	}
	reason := frame.ListFilter{Name: "reason", Label: c.P.T("holds.any.reason"), Options: []ui.Option{{Text: c.P.T("holds.any.reason")}}}
	for _, r := range slices.Sorted(maps.Keys(reasons)) {
		reason.Options = append(reason.Options, ui.Option{Value: r, Text: c.P.K("hold.", r)})
	}
	state := frame.ListFilter{Name: "state", Label: c.P.T("holds.any.state"), Options: []ui.Option{{Text: c.P.T("holds.any.state")}}}
	for _, s := range []string{"proposed", "rotten", "soon", "running"} {
		if states[s] {
			state.Options = append(state.Options, ui.Option{Value: s, Text: c.P.T("holds.state." + s)})
		}
	}
	return []frame.ListFilter{reason, state}
}

// releaseNeeds are proposals to release a hold that wait for this person as the second.
func (c *call) releaseNeeds() (out []frame.Need) {
	for _, h := range c.Holds() {
		p, ok := c.o.d.Usage.Proposal(h.ID)
		if !ok || p.By == c.Actor.ID {
			continue
		}
		if s, err := c.o.d.Usage.HoldSubject(h.ID); err != nil || !c.Can(account.ActHoldRelease, s) {
			continue
		}
		out = append(out, frame.Need{Tone: "warn", Icon: "users", Badge: c.P.T("holds.proposed"), Kind: c.P.T("nav.holds"), Title: frame.HoldName(h) + " · " + c.P.Span(h.Span.From, h.Span.To),
			Text: c.P.T("need.release", c.o.Name(p.By), p.Reason), Due: c.P.When(p.At, c.Now.Wall), Href: frame.HoldLink(h), Do: c.P.T("see")})
	}
	return out
}

// rottenNeeds are the holds in force whose keys cannot be opened: what they keep may be lost.
func (c *call) rottenNeeds() (out []frame.Need) {
	rotten := c.o.d.Status.Retention().Rotten
	for _, h := range c.Holds() {
		if slices.Contains(rotten, h.ID) && c.SeesHolds() {
			out = append(out, frame.Need{Tone: "bad", Icon: "bad", Badge: c.P.T("holds.rotten"), Kind: c.P.T("nav.holds"), Title: frame.HoldName(h) + " · " + c.P.Span(h.Span.From, h.Span.To),
				Text: c.P.T("holds.rotten.text"), Href: frame.HoldLink(h), Do: c.P.T("see")})
		}
	}
	return out
}

// holdNeeds are the holds that ask something of this person.
func (c *call) holdNeeds() ([]frame.Need, error) {
	return append(c.releaseNeeds(), c.rottenNeeds()...), nil
}
