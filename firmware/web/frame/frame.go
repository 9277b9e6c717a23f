package frame

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
	Action    account.Action
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
	{
		{"nav.applications", "/applications", account.ActApplicationList, []string{"applications", "application", "application_new", "decide", "document"}},
		{"nav.extractions", "/extractions", account.ActExtractionView, []string{"extractions", "extraction", "extraction_request", "extraction_key", "extraction_document"}},
	},
	{{"nav.mine", "/applications/mine", account.ActApplicationCreate, []string{"applications", "application", "application_new", "document"}}},
	{
		{"nav.keeping", "/keeping", account.ActFootageRetentionView, []string{"retention"}},
		{"nav.days", "/keeping/days", account.ActFootageRetentionView, []string{"days", "days_print", "certificate"}},
		{"nav.report", "/keeping/report", account.ActFootageRetentionView, []string{"retreport", "retreport_print"}},
		{"nav.holds", "/holds", account.ActHoldView, []string{"holds"}},
	},
	{
		{"nav.gate", "/gate", account.ActGateView, []string{"gate", "roll"}},
		{"nav.readers", "/readers", account.ActReadersView, []string{"readers", "reader", "reader_form", "reader_enrol", "reader_format"}},
		{"nav.class", "/class", account.ActRollView, []string{"classes_today", "class"}},
		{"nav.absence", "/absence", account.ActAbsenceView, []string{"absences", "absence", "calls"}},
		{"nav.sheets", "/sheets", account.ActSheetsView, []string{"sheet", "sheet_school", "sheet_pupil"}},
		{"nav.leave", "/leave", account.ActLeaveView, []string{"leaves", "leave_new", "leave_request", "passes"}},
		{"nav.illness", "/illness", account.ActIllnessView, []string{"illnesses", "illness", "illness_report", "illness_rules"}},
	},
	{
		{"nav.pupils", "/pupils", account.ActPupilsView, []string{"pupils", "pupil_form", "pupils_import"}},
		{"nav.classes", "/classes", account.ActPupilsEdit, []string{"classes", "class_form"}},
		{"nav.cards", "/cards", account.ActPupilsEdit, []string{"cards"}},
		{"nav.year", "/year", account.ActPupilsEdit, []string{"year"}},
	},
	{
		{"nav.records", "/concerns", account.ActConcernList, []string{"concerns", "concern", "pupil", "record_form"}},
		{"nav.doctor", "/doctor", account.ActHealthWrite, []string{"doctor"}},
		{"nav.incident", "/incidents/new", account.ActConductWrite, []string{"incident_new"}},
		{"nav.glass", "/glass", account.ActGlassOpen, []string{"glass", "glass_card"}},
		{"nav.letters", "/records/letters", account.ActLetters, []string{"rec_letters"}},
		{"nav.archive", "/records/archive", account.ActArchiveView, []string{"rec_archive"}},
		{"nav.leavers", "/records/retention", account.ActRetentionView, []string{"rec_retention"}},
		{"nav.agreements", "/records/agreements", account.ActAgreementsView, []string{"agreements"}},
	},
	{
		{"nav.emergency", "/emergency", account.ActEmergencyFound, []string{"emstart", "emergency", "emroll", "emfound", "emsheet"}},
		{"nav.plans", "/plans", account.ActPlansView, []string{"plans", "plan", "plan_form"}},
		{"nav.patrols", "/patrols", account.ActPlansView, []string{"patrols"}},
	},
	{{"nav.log", "/log", account.ActLogSearch, []string{"log", "entry"}}},
	{
		{"nav.cameras", "/cameras", account.ActCamerasView, []string{"cameras", "camera", "camera_form", "camera_retire"}},
		{"nav.faults", "/faults", account.ActFaultsView, []string{"faults"}},
		{"nav.nvrs", "/nvrs", account.ActNVRsView, []string{"nvrs", "nvr", "nvr_new", "nvr_look", "nvr_paths"}},
	},
	{
		{"nav.inspections", "/inspections", account.ActInspectionView, []string{"inspections", "inspection", "inspection_plan", "finding"}},
		{"nav.violations", "/violations", account.ActViolationOpen, []string{"violations", "violation", "violation_new"}},
		{"nav.filing", "/filing", account.ActFilingView, []string{"filing", "filing_sheet"}},
		{"nav.regulations", "/regulations", account.ActRegulationRead, []string{"regulations", "regulation", "regulation_draft"}},
		{"nav.feedback", "/feedback", account.ActRegulationRead, []string{"feedback"}},
	},
	{{"nav.people", "/people", account.ActPeopleView, []string{"people", "person"}}},
	{
		{"nav.school", "/setup/guide", account.ActSchoolView, []string{"guide"}},
		{"nav.places", "/places", account.ActSchoolView, []string{"places", "place_form"}},
		{"nav.calendar", "/calendar", account.ActSchoolView, []string{"calendar"}},
		{"nav.bells", "/bells", account.ActSchoolView, []string{"bells", "bell_form"}},
		{"nav.settings", "/settings", account.ActSettings, []string{"settings"}},
	},
}

// ofClass are the actions that a teacher may do to the own classes.
var ofClass = []account.Action{account.ActGateView, account.ActAbsenceView, account.ActRollView, account.ActSheetsView, account.ActLeaveView, account.ActIllnessView, account.ActLetters, account.ActPupilsView}

// section is the navigation's entry for some tabs, and those of them that may be used.
func (c *Call) section(tabs []tab, page string) (n ui.NavItem, shown []ui.NavItem) {
	for _, t := range tabs {
		if !c.mayOpen(t) {
			continue
		}
		here := ui.NavItem{Href: t.href, Text: c.P.T(t.key), Current: slices.Contains(t.pages, page)}
		shown = append(shown, here)
		n.Current = n.Current || here.Current
	}
	if len(shown) > 0 {
		n.Href, n.Text = shown[0].Href, c.P.T(tabs[0].key)
	}
	return n, shown
}

func (c *Call) mayOpen(t tab) bool {
	if t.key == "nav.mine" && c.Can(account.ActApplicationList, account.Subject{}) {
		return false // among all
	}
	if t.Action == account.ActFaultsView {
		return c.AllFaults() || c.IsTechnician() && c.Can(t.Action, account.Subject{Person: c.Actor.ID})
	}
	if t.Action == account.ActReadersView {
		return c.Can(t.Action, account.Subject{}) || c.IsReaderTechnician()
	}
	subject := account.Subject{Purpose: true, Signed: c.o.d.Signed(c.Actor.ID)} // a purpose is stated there
	if slices.Contains(ofClass, t.Action) && len(c.Actor.Classes) > 0 {
		subject.Class = c.Actor.Classes[0]
	}
	return c.Can(t.Action, subject)
}

// Frame is what surrounds a page: ways that May allows, state of the clock, proof.
func (c *Call) Frame(page, title string) ui.Frame {
	f := ui.Frame{Lang: c.P.Lang, Title: title, Site: c.o.d.Info.School, Home: c.home(), Path: c.R.URL.RequestURI(),
		About: c.P.T("frame.about", c.o.d.Info.Appliance, c.o.d.Info.Version)}
	if c.R.Method != "GET" {
		f.Path = c.R.URL.Path
	}
	if !c.byItself() {
		if k := weblib.WasDone(c.W, c.R); k != "" {
			f.Banner = append(f.Banner, ui.Note{Kind: "ok", Icon: "ok", Text: c.P.T(k)})
		}
	}
	if c.Actor.ID == "" {
		return f
	}
	f.Who = &ui.Who{Name: c.Session.Person.Name, Role: c.roleText(), Account: "/account", Logout: "/logout"}
	open := c.openApplications()
	for _, tabs := range sections {
		n, shown := c.section(tabs, page)
		if len(shown) == 0 {
			continue
		}
		if tabs[0].key == "nav.applications" && open > 0 {
			n.Count, n.CountText = open, c.P.T("nav.open", open)
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
func (c *Call) home() string {
	switch {
	case c.Actor.ID == "":
		return "/login"
	case c.Can(account.ActStatusView, account.Subject{}):
		return "/"
	}
	return "/account"
}

// roleText is the duty that is beside the name: the one with the widest rights, in words.
func (c *Call) roleText() string {
	for _, r := range RoleOrder {
		if c.Actor.Has(r) {
			return c.P.K("role.", r)
		}
	}
	return ""
}

// RoleOrder lists the roles of the school, the one that names a person best first.
var RoleOrder = []account.Role{account.RoleLeader, account.RoleHeadOfSafety, account.RoleOfficer, account.RoleAuditor,
	account.RoleAdmin, account.RoleInstaller, account.RoleGradeHead, account.RoleClassTeacher, account.RoleDoctor,
	account.RoleCounsellor, account.RoleSubjectTeacher, account.RoleStaff, account.RoleParent}

// openApplications counts what this person may decide.
func (c *Call) openApplications() int {
	if !c.Can(account.ActApplicationList, account.Subject{}) {
		return 0
	}
	n := 0
	for _, a := range c.o.d.Usage.List() {
		if a.State.Undecided() && a.State != rules.Returned && c.Can(account.ActApplicationDecide, usage.Subject(a)) {
			n++
		}
	}
	return n
}

// banners are what everybody must know on every page.
func (c *Call) banners(page string) []ui.Note {
	var out []ui.Note
	for _, f := range c.o.notes {
		out = append(out, f(c)...)
	}
	if c.Session.MustFactor && page != "self" {
		out = append(out, ui.Note{Kind: "warn", Icon: "warn", Text: c.P.T("banner.factor"), Href: "/account", Link: c.P.T("account.title")})
	}
	if c.Session.MustPassword && page != "self" {
		out = append(out, ui.Note{Kind: "warn", Icon: "warn", Text: c.P.T("banner.password"), Href: "/account", Link: c.P.T("account.title")})
	}
	if c.Now.State != clock.Trusted && page != "clock" {
		out = append(out, ui.Note{Kind: "warn", Icon: "clock", Text: c.P.T("banner.clock."+c.Now.State.String()) + c.P.K("clock.wait.", c.o.d.Time.Explain().Waits), Href: "/clock", Link: c.P.T("banner.clock.link")})
	}
	if k := c.o.d.Status.Retention(); k.Condemned > 0 {
		out = append(out, ui.Note{Kind: "bad", Icon: "bad", Text: c.P.T("banner.condemned", k.Condemned)})
	}
	return out
}

// proof is the footer: how many entries, how far witnessed, the clock.
func (c *Call) proof() []ui.Fact {
	size := c.o.d.Ledger.Size()
	facts := []ui.Fact{{Icon: "tree", Text: c.P.T("proof.size", size)}}
	switch seen, at := c.o.d.Ledger.Witnessed(); {
	case seen == 0:
		facts = append(facts, ui.Fact{Icon: "eye", Text: c.P.T("proof.never")})
	default:
		facts = append(facts, ui.Fact{Icon: "eye", Text: c.P.T("proof.witnessed", seen, c.P.When(at, c.Now.Wall))})
	}
	return append(facts, ui.Fact{Icon: "clock", Text: c.clockText(), Href: "/clock"})
}

func (c *Call) clockText() string {
	if c.Now.State == clock.Trusted {
		return c.P.T("proof.clock", Uncertain(c.P, c.Now.Uncertainty))
	}
	return c.P.T("proof.clock." + c.Now.State.String())
}

// Uncertain writes a small span with as many digits as it deserves.
func Uncertain(p ui.Printer, d time.Duration) string {
	switch {
	case d < 100*time.Millisecond:
		return p.T("dur.exact", fmt.Sprintf("%.3f", d.Seconds()))
	case d < 10*time.Second:
		return p.T("dur.exact", fmt.Sprintf("%.2f", d.Seconds()))
	}
	return p.Words(d)
}

// Name of a person, device or the appliance itself, as pages show it.
func (o *Server) Name(id string) string {
	if id == "" {
		return "–"
	}
	return o.d.People.Name(id)
}

// CameraName is the name of a camera, or its id when there is none.
func (o *Server) CameraName(id string) string {
	if c, ok := o.d.Site.Camera(id); ok {
		return c.Name
	}
	return id
}

// ActorName is who is in an entry.
func (c *Call) ActorName(a ledger.Actor) string {
	switch {
	case a.ID == ledger.System.ID:
		return c.P.T("actor.system")
	case a.ID == "outside":
		return c.P.T("actor.outside")
	case strings.HasPrefix(a.ID, "r"):
		return c.P.T("actor.reader", a.ID)
	}
	return c.o.Name(a.ID)
}

// AppNumber is the number of an application as documents print it, from its id.
func AppNumber(id string) string {
	y, n, ok := rules.ParseApplicationID(id)
	if !ok {
		return id
	}
	return rules.Application{Year: y, No: n}.Number()
}
