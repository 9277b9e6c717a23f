package account

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// Covers F5, F12: nobody decides on their own application, whatever their roles and however they ask.
func TestOwnApplicationIsRefusedToEveryRole(t *testing.T) {
	for _, action := range []Action{ActApplicationDecide, ActApplicationReview, ActHoldRelease} {
		for _, role := range allRoles {
			a := Actor{ID: "me", Roles: append(slices.Clone(allRoles), role), SecondFactor: true, OnShift: true, Grants: []Grant{grant}}
			d := May(a, action, Subject{Applicant: "me", Application: "a2026-0001"}, noon)
			if d.Allowed || d.Reason != "may.own_application" {
				t.Errorf("%s by %s: %+v", action, role, d)
			}
		}
		// Forgetting to say whose it is allows nothing.
		a := Actor{ID: "me", Roles: allRoles, SecondFactor: true}
		if d := May(a, action, Subject{}, noon); d.Allowed {
			t.Errorf("%s on nobody's application is allowed", action)
		}
	}
}

// Covers F12: a grant ends at each of its edges.
func TestGrantCoversItsSpanItsCamerasItsWaysAndItsTime(t *testing.T) {
	inside := Subject{Camera: "c01", From: grant.From, To: grant.To, Way: WayView}
	for name, c := range map[string]struct {
		change func(*Subject, *Grant, *time.Time)
		reason string
	}{
		"inside":              {func(*Subject, *Grant, *time.Time) {}, "grant"},
		"its first instant":   {func(s *Subject, _ *Grant, at *time.Time) { *at = grant.Since }, "grant"},
		"another camera":      {func(s *Subject, _ *Grant, _ *time.Time) { s.Camera = "c02" }, "may.camera_not_granted"},
		"a nanosecond before": {func(s *Subject, _ *Grant, _ *time.Time) { s.From = s.From.Add(-1) }, "may.span_not_granted"},
		"a nanosecond after":  {func(s *Subject, _ *Grant, _ *time.Time) { s.To = s.To.Add(1) }, "may.span_not_granted"},
		"an empty span":       {func(s *Subject, _ *Grant, _ *time.Time) { s.To = s.From }, "may.span_not_granted"},
		"a copy":              {func(s *Subject, _ *Grant, _ *time.Time) { s.Way = WayPackage }, "may.way_not_granted"},
		"no way named":        {func(s *Subject, _ *Grant, _ *time.Time) { s.Way = "" }, "may.way_not_granted"},
		"live":                {func(s *Subject, _ *Grant, _ *time.Time) { s.Way = WayLive }, "may.live_shift_only"},
		"too early":           {func(_ *Subject, _ *Grant, at *time.Time) { *at = grant.Since.Add(-1) }, "may.grant_not_begun"},
		"too late":            {func(_ *Subject, _ *Grant, at *time.Time) { *at = grant.Until }, "may.grant_over"},
		"somebody else's":     {func(_ *Subject, g *Grant, _ *time.Time) { g.Person = "other" }, "may.no_grant"},
		"another application": {func(s *Subject, _ *Grant, _ *time.Time) { s.Application = "a2026-0009" }, "may.no_grant"},
		"without a number":    {func(_ *Subject, g *Grant, _ *time.Time) { g.Application = "" }, "may.no_grant"},
	} {
		s, g, at := inside, grant, noon
		c.change(&s, &g, &at)
		d := May(Actor{ID: "me", Roles: []Role{RoleStaff}, Grants: []Grant{g}}, ActFootagePlayback, s, at)
		if d.Reason != c.reason || d.Allowed != (c.reason == "grant") {
			t.Errorf("%s: %+v, want %s", name, d, c.reason)
		}
	}
}

// An officer who looks inside an approved application is logged under it, not under the duty.
func TestNarrowestGroundIsNamed(t *testing.T) {
	a := Actor{ID: "me", Roles: []Role{RoleOfficer}, SecondFactor: true, Grants: []Grant{grant}}
	s := Subject{Camera: "c01", From: grant.From, To: grant.To, Way: WayView, Purpose: true}
	if d := May(a, ActFootagePlayback, s, noon); d.Grant != grant.Application || d.Role != RoleOfficer {
		t.Errorf("%+v", d)
	}
	s.To = s.To.Add(time.Hour)
	if d := May(a, ActFootagePlayback, s, noon); d.Grant != "" || d.Reason != "duty" {
		t.Errorf("%+v", d)
	}
	s.Purpose = false
	if d := May(a, ActFootagePlayback, s, noon); d.Reason != "may.no_purpose" {
		t.Errorf("%+v", d)
	}
}

func TestUnknownActionAndUnknownPersonAreRefused(t *testing.T) {
	all := Actor{ID: "me", Roles: allRoles, SecondFactor: true, OnShift: true}
	if d := May(all, "something.new", Subject{}, noon); d.Allowed {
		t.Error("an action without a line is allowed")
	}
	if d := May(Actor{Roles: allRoles, SecondFactor: true}, ActStatusView, Subject{}, noon); d.Allowed || d.Reason != "may.not_logged_in" {
		t.Errorf("nobody: %+v", d)
	}
	if d := May(Actor{}, ActPublic, Subject{}, noon); !d.Allowed {
		t.Errorf("the log-in page: %+v", d)
	}
	err := May(Actor{ID: "me"}, ActLogSearch, Subject{}, noon).Err(ActLogSearch)
	if r, ok := errors.AsType[*Refused](err); !ok || r.Reason != "may.role" {
		t.Errorf("%v", err)
	}
}

// The technical roles see no record whatever they combine among themselves.
func TestAdministratorSeesNoRecords(t *testing.T) {
	a := Actor{ID: "me", Roles: []Role{RoleAdmin, RoleInstaller}, SecondFactor: true, OnShift: true, Classes: []string{"2024-03"}, Grants: []Grant{grant}}
	s := Subject{Camera: "c01", From: grant.From, To: grant.To, Way: WayView, Purpose: true, Class: "2024-03", Person: "me", Applicant: "other"}
	for _, action := range []Action{ActFootagePlayback, ActFootageLive, ActMediaRead, ActApplicationList, ActApplicationView, ActLogSearch, ActLogExport,
		ActLogProof, ActGateView, ActClassView, ActApplicationDecide, ActApplicationReview, ActHoldRelease} {
		if May(a, action, s, noon).Allowed {
			t.Errorf("the administrator may %s", action)
		}
	}
	if May(a, ActPeopleEdit, Subject{Person: "me"}, noon).Reason != "may.own_rights" {
		t.Error("own rights can be changed (M3)")
	}
}

// A box reads and writes its own topics, in its own direction, and no pattern over others'.
func TestApplianceHasItsOwnTopicsOnly(t *testing.T) {
	box := Actor{ID: "ck-0417", Roles: []Role{RoleAppliance}}
	for topic, want := range map[string][2]bool{ // publish, subscribe
		"ck/1/7/ck-0417/up":      {true, false},
		"ck/1/63/ck-0417/urgent": {true, false},
		"ck/1/7/ck-0417/ack":     {false, true},
		"ck/1/7/ck-0417/down":    {false, true},
		"ck/1/64/ck-0417/up":     {},
		"ck/1/7/ck-0418/up":      {},
		"ck/1/7/ck-0418/down":    {},
		"ck/1/7/ck-0417/#":       {},
		"ck/1/+/ck-0417/ack":     {},
		"ck/1/7/+/ack":           {},
		"ck/1/7/ck-0417/up/x":    {},
		"#":                      {},
		"$SYS/ck-0417":           {},
		"":                       {},
	} {
		got := [2]bool{May(box, ActTopicPublish, Subject{Topic: topic}, noon).Allowed, May(box, ActTopicSubscribe, Subject{Topic: topic}, noon).Allowed}
		if got != want {
			t.Errorf("%q: publish, subscribe %v, want %v", topic, got, want)
		}
	}
	wild := Actor{ID: "+", Roles: []Role{RoleAppliance}}
	if May(wild, ActTopicSubscribe, Subject{Topic: "ck/1/7/+/ack"}, noon).Allowed {
		t.Error("an appliance called + reads everybody's acknowledgements")
	}
}

// A school of three people works: officer, leader, and the IT teacher who runs the box.
func TestSchoolOfThreePeople(t *testing.T) {
	officer := []Role{RoleStaff, RoleOfficer, RoleHeadOfSafety, RoleSubjectTeacher}
	leader := []Role{RoleStaff, RoleLeader, RoleAuditor}
	teacher := []Role{RoleStaff, RoleAdmin, RoleSubjectTeacher, RoleClassTeacher}
	people := map[string]Actor{}
	for id, roles := range map[string][]Role{"officer": officer, "leader": leader, "teacher": teacher} {
		if c := Conflicts(roles); len(c) != 0 {
			t.Errorf("%s: %+v", id, c)
		}
		people[id] = Actor{ID: id, Roles: roles, SecondFactor: true}
	}
	// Every applicant finds somebody else who may decide.
	for applicant := range people {
		found := false
		for id, a := range people {
			s := Subject{Applicant: applicant, OfOffice: applicant == "officer"}
			if May(a, ActApplicationDecide, s, noon).Allowed {
				found = true
				if id == applicant {
					t.Errorf("%s decides for themselves", id)
				}
			}
		}
		if !found {
			t.Errorf("nobody may decide what %s applies for", applicant)
		}
	}
}

func TestForbiddenCombinations(t *testing.T) {
	for _, roles := range [][]Role{{RoleAdmin, RoleOfficer}, {RoleHeadOfSafety, RoleStaff, RoleAdmin}, {RoleAuditor, RoleOfficer},
		{RoleAppliance, RoleStaff}, {RoleLeader, RoleAdmin}} {
		if len(Conflicts(roles)) == 0 {
			t.Errorf("%v may be one person", roles)
		}
	}
	if c := Conflicts([]Role{RoleAppliance}); len(c) != 0 {
		t.Errorf("an appliance alone: %v", c)
	}
}
