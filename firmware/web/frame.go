package web

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/usage"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/ui"
	weblib "campuskeep/shared/lib/web"
	rules "campuskeep/shared/usage"
)

// tab is one way through the pages, and the pages that belong to it.
type tab struct {
	key, href string
	action    account.Action
	pages     []string
}

// sections are the entries of the navigation. One of several tabs leads to the first that may be used, and shows
// all of them above its pages; it is named after its first tab.
var sections = [][]tab{
	{{"nav.today", "/", account.ActStatusView, []string{"today", "clock"}}},
	{
		{"nav.footage", "/footage", account.ActRibbonView, []string{"footage", "view", "view_wait"}},
		{"nav.live", "/live", account.ActFootageLive, []string{"live"}},
		{"nav.duty", "/duty", account.ActDutyView, []string{"duty", "handover", "leave"}},
	},
	{{"nav.applications", "/applications", account.ActApplicationList, []string{"applications", "application", "application_new", "decide", "document"}}},
	{{"nav.mine", "/applications/mine", account.ActApplicationCreate, []string{"applications", "application", "application_new", "document"}}},
	{
		{"nav.keeping", "/keeping", account.ActKeepingView, []string{"keeping"}},
		{"nav.days", "/keeping/days", account.ActKeepingView, []string{"days", "dayspaper", "certificate"}},
		{"nav.report", "/keeping/report", account.ActKeepingView, []string{"retreport", "retpaper"}},
		{"nav.holds", "/holds", account.ActHoldView, []string{"holds"}},
	},
	{{"nav.gate", "/gate", account.ActGateView, []string{"gate", "roll"}}},
	{{"nav.log", "/log", account.ActLogSearch, []string{"log", "entry"}}},
	{
		{"nav.cameras", "/cameras", account.ActCamerasView, []string{"cameras", "camera", "camera_form", "camera_import", "camera_retire"}},
		{"nav.faults", "/faults", account.ActFaultsView, []string{"faults"}},
		{"nav.nvrs", "/nvrs", account.ActNVRsView, []string{"nvrs", "nvr", "nvr_new", "nvr_look", "nvr_doors"}},
	},
	{{"nav.people", "/people", account.ActPeopleView, []string{"people", "person"}}},
	{{"nav.settings", "/settings", account.ActSettings, []string{"settings"}}},
}

// section is the navigation's entry for some tabs, and those of them that may be used.
func (c *call) section(tabs []tab, page string) (n ui.NavItem, shown []ui.NavItem) {
	for _, t := range tabs {
		if !c.mayOpen(t) {
			continue
		}
		here := ui.NavItem{Href: t.href, Text: c.p.T(t.key), Current: slices.Contains(t.pages, page)}
		shown = append(shown, here)
		n.Current = n.Current || here.Current
	}
	if len(shown) > 0 {
		n.Href, n.Text = shown[0].Href, c.p.T(tabs[0].key)
	}
	return n, shown
}

func (c *call) mayOpen(t tab) bool {
	if t.key == "nav.mine" && c.can(account.ActApplicationList, account.Subject{}) {
		return false // among all
	}
	if t.action == account.ActFaultsView {
		return c.allFaults() || c.isTechnician() && c.can(t.action, account.Subject{Person: c.actor.ID})
	}
	subject := account.Subject{Purpose: true} // stated there
	if t.action == account.ActGateView && len(c.actor.Classes) > 0 {
		subject.Class = c.actor.Classes[0]
	}
	return c.can(t.action, subject)
}

// frame is what surrounds a page: ways that May allows, state of the clock, proof.
func (c *call) frame(page, title string) ui.Frame {
	f := ui.Frame{Lang: c.p.Lang, Title: title, Site: c.o.d.Info.School, Home: c.home(), Path: c.r.URL.RequestURI(),
		About: c.p.T("frame.about", c.o.d.Info.Appliance, c.o.d.Info.Version)}
	if c.r.Method != "GET" {
		f.Path = c.r.URL.Path
	}
	if !c.byItself() {
		if k := weblib.WasDone(c.w, c.r); k != "" {
			f.Banner = append(f.Banner, ui.Note{Kind: "ok", Icon: "ok", Text: c.p.T(k)})
		}
	}
	if c.actor.ID == "" {
		return f
	}
	f.Who = &ui.Who{Name: c.session.Person.Name, Role: c.roleText(), Account: "/account", Logout: "/logout"}
	open := c.openApplications()
	for _, tabs := range sections {
		n, shown := c.section(tabs, page)
		if len(shown) == 0 {
			continue
		}
		if tabs[0].key == "nav.applications" && open > 0 {
			n.Count, n.CountText = open, c.p.T("nav.open", open)
		}
		if n.Current && len(shown) > 1 {
			f.Tabs = shown
		}
		f.Nav = append(f.Nav, n)
	}
	f.Banner = append(f.Banner, c.banners(page)...)
	f.Proof = c.proof()
	return f
}

// home is the first page that this person may see.
func (c *call) home() string {
	switch {
	case c.actor.ID == "":
		return "/login"
	case c.can(account.ActStatusView, account.Subject{}):
		return "/"
	}
	return "/account"
}

// roleText is the duty that is beside the name: the one with the widest rights, in words.
func (c *call) roleText() string {
	for _, r := range roleOrder {
		if c.actor.Has(r) {
			return c.p.K("role.", r)
		}
	}
	return ""
}

// roleOrder lists the roles of the school, the one that names a person best first.
var roleOrder = []account.Role{account.RoleLeader, account.RoleHeadOfSafety, account.RoleOfficer, account.RoleAuditor,
	account.RoleAdmin, account.RoleInstaller, account.RoleGradeHead, account.RoleClassTeacher, account.RoleDoctor,
	account.RoleCounsellor, account.RoleSubjectTeacher, account.RoleStaff, account.RoleParent}

// openApplications counts what this person may decide.
func (c *call) openApplications() int {
	if !c.can(account.ActApplicationList, account.Subject{}) {
		return 0
	}
	n := 0
	for _, a := range c.o.d.Usage.List() {
		if a.State.Undecided() && a.State != rules.Returned && c.can(account.ActApplicationDecide, usage.Subject(a)) {
			n++
		}
	}
	return n
}

// banners are what everybody must know on every page.
func (c *call) banners(page string) []ui.Note {
	var out []ui.Note
	if c.session.MustFactor && page != "self" {
		out = append(out, ui.Note{Kind: "warn", Icon: "warn", Text: c.p.T("banner.factor"), Href: "/account", Link: c.p.T("account.title")})
	}
	if c.session.MustPassword && page != "self" {
		out = append(out, ui.Note{Kind: "warn", Icon: "warn", Text: c.p.T("banner.password"), Href: "/account", Link: c.p.T("account.title")})
	}
	if c.now.State != clock.Trusted && page != "clock" {
		out = append(out, ui.Note{Kind: "warn", Icon: "clock", Text: c.p.T("banner.clock."+c.now.State.String()) + c.p.K("clock.wait.", c.o.d.Time.Explain().Waits), Href: "/clock", Link: c.p.T("banner.clock.link")})
	}
	if k := c.o.d.Status.Retention(); k.Condemned > 0 {
		out = append(out, ui.Note{Kind: "bad", Icon: "bad", Text: c.p.T("banner.condemned", k.Condemned)})
	}
	return out
}

// proof is the footer: how many entries, how far witnessed, the clock.
func (c *call) proof() []ui.Fact {
	size := c.o.d.Ledger.Size()
	facts := []ui.Fact{{Icon: "tree", Text: c.p.T("proof.size", size)}}
	switch seen, at := c.o.d.Ledger.Witnessed(); {
	case seen == 0:
		facts = append(facts, ui.Fact{Icon: "eye", Text: c.p.T("proof.never")})
	default:
		facts = append(facts, ui.Fact{Icon: "eye", Text: c.p.T("proof.witnessed", seen, c.p.When(at, c.now.Wall))})
	}
	return append(facts, ui.Fact{Icon: "clock", Text: c.clockText(), Href: "/clock"})
}

func (c *call) clockText() string {
	if c.now.State == clock.Trusted {
		return c.p.T("proof.clock", uncertain(c.p, c.now.Uncertainty))
	}
	return c.p.T("proof.clock." + c.now.State.String())
}

// uncertain writes a small span with as many digits as it deserves.
func uncertain(p ui.Printer, d time.Duration) string {
	switch {
	case d < 100*time.Millisecond:
		return p.T("dur.exact", fmt.Sprintf("%.3f", d.Seconds()))
	case d < 10*time.Second:
		return p.T("dur.exact", fmt.Sprintf("%.2f", d.Seconds()))
	}
	return p.Words(d)
}

// name of a person, device or the appliance itself, as pages show it.
func (o *Server) name(id string) string {
	if id == "" {
		return "–"
	}
	return o.d.People.Name(id)
}

func (o *Server) cameraName(id string) string {
	if c, ok := o.d.Site.Camera(id); ok {
		return c.Name
	}
	return id
}

// actorName is who is in an entry.
func (c *call) actorName(a ledger.Actor) string {
	switch {
	case a.ID == ledger.System.ID:
		return c.p.T("actor.system")
	case a.ID == "outside":
		return c.p.T("actor.outside")
	case strings.HasPrefix(a.ID, "r"):
		return c.p.T("actor.reader", a.ID)
	}
	return c.o.name(a.ID)
}

// appNumber is the number of an application as documents print it, from its id.
func appNumber(id string) string {
	y, n, ok := rules.ParseApplicationID(id)
	if !ok {
		return id
	}
	return rules.Application{Year: y, No: n}.Number()
}
