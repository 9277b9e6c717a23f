package account

import "time"

// The grounds of an allowance, as they stand in the log.
const (
	groundDuty  = "duty"
	groundGrant = "grant"
	groundSelf  = "self"
)

// Groups of roles that appear together in the table.
var (
	employees = []Role{RoleStaff, RoleClassTeacher, RoleSubjectTeacher, RoleGradeHead, RoleDoctor, RoleCounsellor,
		RoleOfficer, RoleHeadOfSafety, RoleLeader}
	office    = []Role{RoleOfficer, RoleHeadOfSafety}
	deciders  = []Role{RoleOfficer, RoleHeadOfSafety, RoleLeader}
	leader    = []Role{RoleLeader}
	technical = []Role{RoleAdmin, RoleInstaller}
	registrar = []Role{RoleOfficer, RoleHeadOfSafety, RoleLeader, RoleAuditor}
	// The technician who is named for a camera is an employee, or comes from the firm that installs.
	employeesAndInstaller = append([]Role{RoleInstaller}, employees...)
	everybody             = append(append([]Role{RoleAuditor, RoleParent, RoleCentreStaff, RoleCentreAdmin}, technical...), employees...)
)

// duty roles act on others' records: they need a second factor for everything beyond [oneFactorIsEnough].
var duty = []Role{RoleOfficer, RoleHeadOfSafety, RoleLeader, RoleAuditor, RoleAdmin, RoleInstaller, RoleCentreStaff, RoleCentreAdmin}

var oneFactorIsEnough = []Action{ActStatusView, ActSelf, ActRibbonView,
	ActApplicationCreate, ActApplicationWithdraw}

// table is the one permission table: what is not here is refused. Lines of one action run from the
// narrowest ground to the widest; the first that holds names the ground, and when none holds the last
// tells the reason. shared/account/testdata/table.txt shows what follows from it, role by role.
var table = map[Action][]line{
	ActStatusView: {{append(append([]Role{RoleAuditor}, technical...), employees...), groundDuty, nil}},
	ActSelf:       {{everybody, groundSelf, []condition{ownPage}}},

	// Footage. Others than the security office and the leaders see it only inside an approved application.
	ActRibbonView: {{append(append([]Role{RoleAuditor}, technical...), employees...), groundDuty, nil}},
	ActFootagePlayback: {
		{employees, groundGrant, []condition{recorded, inGrant}},
		{deciders, groundDuty, []condition{viewOnly, purpose}},
	},
	ActFootageLive: {{[]Role{RoleOfficer}, groundDuty, []condition{onShift, purpose}}},
	ActShift:       {{[]Role{RoleOfficer}, groundDuty, []condition{ownPage}}},
	ActDutyView:    {{registrar, groundDuty, nil}},
	ActMediaRead: {
		{employees, groundGrant, []condition{ownPage, recorded, inGrant}},
		{[]Role{RoleHeadOfSafety, RoleLeader}, groundDuty, []condition{ownPage, recorded, viewOnly}},
		{[]Role{RoleOfficer}, groundDuty, []condition{ownPage, shiftIfLive}},
	},

	// A picture that is kept is a copy: no duty gives it, only an approval that says so, and of recorded footage alone.
	ActFootageSnapshot: {{employees, groundGrant, []condition{ownPage, stillOnly, inGrant}}},

	// The register of use.
	ActApplicationCreate:   {{employees, groundSelf, []condition{applicantOrNew}}},
	ActApplicationWithdraw: {{employees, groundSelf, []condition{applicant}}},
	ActApplicationView: {
		{employees, groundSelf, []condition{applicant}},
		{registrar, groundDuty, nil},
	},
	ActApplicationList: {{registrar, groundDuty, nil}},
	ActApplicationReview: {
		{office, groundDuty, []condition{notApplicant, notOffice}},
		{leader, groundDuty, []condition{notApplicant}},
	},
	ActApplicationDecide: {
		{office, groundDuty, []condition{notApplicant, notOffice}},
		{leader, groundDuty, []condition{notApplicant}},
	},
	ActHoldView:    {{registrar, groundDuty, nil}},
	ActHoldPropose: {{deciders, groundDuty, []condition{notApplicant}}},
	ActHoldRelease: {{[]Role{RoleHeadOfSafety, RoleLeader}, groundDuty, []condition{notApplicant}}},

	// What proves that footage is kept and deleted on time (F3). The administrator sees the arithmetic of the disk.
	ActKeepingView:  {{append(append([]Role{}, technical...), registrar...), groundDuty, nil}},
	ActKeepingPaper: {{registrar, groundDuty, nil}},

	// The access log.
	ActLogSearch: {{registrar, groundDuty, nil}},
	ActLogProof:  {{registrar, groundDuty, nil}},
	ActLogExport: {{[]Role{RoleHeadOfSafety, RoleLeader, RoleAuditor}, groundDuty, nil}},

	// Pupils: a teacher only the classes that dated enrolment puts in scope (S22, S36).
	ActGateView: {
		{[]Role{RoleClassTeacher}, groundDuty, []condition{inClass}},
		{[]Role{RoleGradeHead, RoleOfficer, RoleHeadOfSafety, RoleLeader}, groundDuty, nil},
	},
	ActClassView: {
		{[]Role{RoleClassTeacher, RoleSubjectTeacher, RoleGradeHead}, groundDuty, []condition{inClass}},
		{[]Role{RoleHeadOfSafety, RoleLeader}, groundDuty, nil},
	},

	// The pupils' register is kept by designated staff (S14).
	ActPupilsEdit: {{[]Role{RoleHeadOfSafety, RoleLeader}, groundDuty, nil}},

	ActClassMark: {
		{[]Role{RoleClassTeacher}, groundDuty, []condition{inClass}},
		{[]Role{RoleHeadOfSafety}, groundDuty, nil},
	},

	// Running the box. The administrator is in no line above that shows a record.
	ActCamerasView: {{append(append([]Role{RoleAuditor}, technical...), deciders...), groundDuty, nil}},
	ActCamerasEdit: {{append([]Role{RoleHeadOfSafety}, technical...), groundDuty, nil}},
	ActCamerasTest: {{append([]Role{RoleHeadOfSafety}, technical...), groundDuty, nil}},
	ActCamerasAim:  {{append([]Role{RoleHeadOfSafety}, technical...), groundDuty, []condition{installing}}},
	ActFaultsView: {
		{employeesAndInstaller, groundSelf, []condition{ownPage}},
		{append([]Role{RoleAdmin, RoleAuditor}, deciders...), groundDuty, nil},
	},
	ActFaultsTake: {
		{employeesAndInstaller, groundSelf, []condition{ownPage}},
		{[]Role{RoleAdmin, RoleOfficer, RoleHeadOfSafety}, groundDuty, nil},
	},
	ActNVRsView:   {{append(append([]Role{RoleAuditor}, technical...), deciders...), groundDuty, nil}},
	ActNVRsEdit:   {{technical, groundDuty, nil}},
	ActPeopleView: {{append([]Role{RoleAdmin}, deciders...), groundDuty, nil}},
	ActPeopleEdit: {{[]Role{RoleAdmin}, groundDuty, []condition{otherPerson}}},
	// The second person beside the administrator is somebody who answers for footage, never another technician.
	ActPeopleConfirm: {{registrar, groundDuty, []condition{otherPerson}}},
	ActSettings:      {{[]Role{RoleAdmin}, groundDuty, nil}},
	ActClockConfirm:  {{append([]Role{RoleAdmin}, deciders...), groundDuty, nil}},

	// The centre.
	ActCentreSchools:      {{[]Role{RoleCentreStaff, RoleCentreAdmin}, groundDuty, nil}},
	ActCentreSchool:       {{[]Role{RoleCentreStaff}, groundDuty, nil}},
	ActCentreApplications: {{[]Role{RoleCentreStaff}, groundDuty, nil}},
	ActCentreAttendance:   {{[]Role{RoleCentreStaff}, groundDuty, nil}},
	ActCentreAlarms:       {{[]Role{RoleCentreStaff, RoleCentreAdmin}, groundDuty, nil}},
	ActCentreEnrol:        {{[]Role{RoleCentreAdmin}, groundDuty, nil}},

	// Machines at the broker: their own topics, in their own direction (design §6).
	ActTopicPublish:   {{[]Role{RoleAppliance}, groundSelf, []condition{ownTopic("up", "urgent", "payload", "hello", "state")}}},
	ActTopicSubscribe: {{[]Role{RoleAppliance}, groundSelf, []condition{ownTopic("ack", "down")}}},
}

// ownTopic holds for ck/1/<partition>/<appliance>/<leaf> with the actor's own id; wildcards never match.
func ownTopic(leaves ...string) condition {
	return func(a Actor, s Subject, _ time.Time) string {
		if !topicOf(s.Topic, a.ID, leaves) {
			return "may.not_own_topic"
		}
		return ""
	}
}
