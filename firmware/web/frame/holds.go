package frame

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/usage"
)

// Holds are the holds in force as this person may see them: number, span and reason of another's are for those alone
// who may see holds, since they tell who is being looked into. Whatever shows a hold asks here or [Call.SeesHold].
func (c *Call) Holds() []footage.Hold {
	return slices.DeleteFunc(c.o.d.Usage.Holds(), func(h footage.Hold) bool { return !c.SeesHold(h.Application) })
}

// SeesHold says whether this person may see the holds of an application.
func (c *Call) SeesHold(application string) bool {
	if c.SeesHolds() {
		return true
	}
	a, err := c.o.d.Usage.Get(application)
	return err == nil && a.Applicant == c.Actor.ID
}

// SeesHolds says whether this person may see everybody's holds.
func (c *Call) SeesHolds() bool { return c.Can(account.ActHoldView, account.Subject{}) }

// WithoutHold takes from recorded spans what is there only because something keeps it beyond its time, for those who may
// not see that it does.
func (c *Call) WithoutHold(cam footage.Camera, runs []footage.Span) []footage.Span {
	if c.SeesHolds() {
		return runs
	}
	line := c.Now.Wall.Add(-cam.Policy.Keep())
	previous := []footage.Span{{To: line}}
	for _, h := range c.Holds() {
		if slices.Contains(h.Cameras, cam.ID) {
			previous = footage.Without(previous, h.Span)
		}
	}
	for _, p := range previous {
		var out []footage.Span
		for _, r := range runs {
			out = append(out, footage.Without([]footage.Span{r}, p)...)
		}
		runs = out
	}
	return runs
}

// KeptHolds are the holds of a certificate or report as this person may see them; hidden says that there are others.
func (c *Call) KeptHolds(list []footage.Kept) (out []CertHold, hidden bool) {
	for _, h := range list {
		if !c.SeesHold(h.Application) {
			hidden = true
			continue
		}
		until := c.P.T("cert.hold.until", c.P.FullDate(h.Until))
		if !h.Ended.IsZero() {
			until = c.P.T("cert.hold.ended", c.P.Stamp(h.Ended)[:16])
		}
		out = append(out, CertHold{heldName(h.ID), c.P.Span(h.Span.From, h.Span.To), until, c.P.K("hold.", h.Reason)})
	}
	return out, hidden
}

// ApplicationOfHold is the application that a hold's id names: h2026-0001-1 belongs to a2026-0001.
func ApplicationOfHold(hold string) (string, bool) {
	rest, ok := strings.CutPrefix(hold, "h")
	i := strings.LastIndexByte(rest, '-')
	if !ok || i < 0 {
		return "", false
	}
	id := "a" + rest[:i]
	_, _, ok = usage.ParseApplicationID(id)
	return id, ok
}

// heldName is a hold as people know it: by the number of its application.
func heldName(hold string) string {
	if a, ok := ApplicationOfHold(hold); ok {
		return AppNumber(a)
	}
	return hold
}

// HoldLink is where the list shows a hold, on whichever page of it that hold would be.
func HoldLink(h footage.Hold) string {
	return "/holds?" + url.Values{"q": {HoldName(h)}}.Encode() + "#h-" + h.ID
}

// CertHold is a hold as a certificate or report names it.
type CertHold struct{ Name, Span, Until, Reason string }

// HoldName is the number of a hold as pages show it.
func HoldName(h footage.Hold) string {
	if h.Application != "" {
		return AppNumber(h.Application)
	}
	return h.ID
}

// HoldShort is the name of a hold where there is little room: 视申047.
func HoldShort(h footage.Hold) string {
	if _, n, ok := usage.ParseApplicationID(h.Application); ok {
		return fmt.Sprintf("视申%03d", n)
	}
	return h.ID
}
