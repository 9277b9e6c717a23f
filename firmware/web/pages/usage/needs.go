package usage

import (
	"time"

	"campuskeep/firmware/web/frame"
	rules "campuskeep/shared/usage"
)

// applicationNeeds are the applications that wait for this person, and decisions that they are notified
// of.
func (c *call) applicationNeeds() (out []frame.Need, _ error) {
	for _, a := range c.o.d.Usage.List() {
		if n, ok := c.needOf(a); ok {
			out = append(out, n)
		}
	}
	return out, nil
}

func (c *call) needOf(a rules.Application) (frame.Need, bool) {
	row := c.row(a)
	shown := c.decisionNews(a)
	if !row.Mine && shown == "" {
		return frame.Need{}, false
	}
	n := frame.Need{Tone: row.Tone, Icon: row.Icon, Badge: row.State, Kind: c.P.T("need.application"), Title: a.Number() + " · " + c.P.K("purpose.", a.Purpose),
		Text: a.Unit + " " + row.Applicant + " · " + row.Places + " " + row.Span, Href: "/applications/" + a.ID, Do: c.P.T("app.handle"), Due: row.Due}
	if n.Tone == "mute" || n.Tone == "ok" {
		n.Tone, n.Icon = "acc", "info"
	}
	for _, f := range c.firstLoss(a) {
		n.Text += " · " + f
	}
	n.Primary = a.State == rules.Overdue
	if shown != "" {
		n.Text, n.Do = shown+c.P.T("sep.clause")+row.Places, c.P.T("see")
	}
	return n, true
}

// decisionShown is how long the applicant's first page is about a decision that asks nothing of them.
const decisionShown = 7 * 24 * time.Hour

// decisionNews is what the applicant is to learn of a decision on the first page: approval until it is first used, refusal,
// revocation and the end by time for a week.
func (c *call) decisionNews(a rules.Application) string {
	if a.Applicant != c.Actor.ID {
		return ""
	}
	recent := func(t time.Time) bool { return !t.IsZero() && c.Now.Wall.Sub(t) < decisionShown }
	switch {
	case a.State == rules.Approved:
		return c.P.T("told.approved", c.P.Day(a.Decision.Until.Begin()))
	case len(a.Extensions) > 0 && a.State.Plain() == rules.PlainUse && recent(a.Extensions[len(a.Extensions)-1].At):
		return c.P.T("told.extended", c.P.Day(a.Decision.Until.Begin()))
	case a.State == rules.Rejected && recent(a.Ended):
		return c.P.T("told.rejected", c.P.K("reject.", a.Decision.Code))
	case a.Revoked != "" && recent(a.Ended):
		return c.P.T("told.revoked", a.Revoked)
	case a.State == rules.Expired && recent(a.Ended), a.State == rules.Unavailable && recent(a.Ended):
		return c.P.K("state.", a.State)
	case a.State == rules.ReportDue && a.Returned != "":
		return c.P.T("app.report_returned", a.Returned)
	}
	return ""
}

// firstLoss says for an undecided application until when its hold keeps the footage.
func (c *call) firstLoss(a rules.Application) []string {
	if !a.State.Undecided() {
		return nil
	}
	for _, h := range c.Holds() {
		if h.Application == a.ID {
			return []string{c.P.T("need.held", c.P.Day(h.Until))}
		}
	}
	return nil
}
