package account

import "time"

// The grounds of an allowance, as the log names them.
const (
	basisDuty  = "duty"
	basisGrant = "grant"
	basisSelf  = "self"
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
	everyEmployee         = append(append([]Role{RoleAuditor}, technical...), employees...)
	everybody             = append(append([]Role{RoleAuditor, RoleParent, RoleCentreStaff, RoleCentreAdmin}, technical...), employees...)
)

// duty roles act on others' records: they need a second factor for everything beyond [oneFactorIsEnough].
var duty = []Role{RoleOfficer, RoleHeadOfSafety, RoleLeader, RoleAuditor, RoleAdmin, RoleInstaller, RoleCentreStaff, RoleCentreAdmin}

var oneFactorIsEnough = []Action{ActStatusView, ActSelf, ActRibbonView,
	ActApplicationCreate, ActApplicationWithdraw, ActEmergencyOpen, ActEmergencyRoll, ActEmergencyFound, ActEmergencyUndo}

// table is the one permission table: what is not here is refused. Lines of one action run from the
// narrowest ground to the widest; the first that holds names the ground, and when none holds the last
// tells the reason. shared/account/testdata/table.txt shows what follows from it, role by role.
var table = map[Action][]rule{
	ActStatusView: {{append(append([]Role{RoleAuditor}, technical...), employees...), basisDuty, nil}},
	ActSelf:       {{everybody, basisSelf, []condition{ownPage}}},

	// Footage. Others than the security office and the leaders see it only inside an approved application.
	ActRibbonView: {{append(append([]Role{RoleAuditor}, technical...), employees...), basisDuty, nil}},
	ActFootagePlayback: {
		{employees, basisGrant, []condition{recorded, inGrant}},
		{deciders, basisDuty, []condition{viewOnly, purpose}},
	},
	ActFootageLive: {{[]Role{RoleOfficer}, basisDuty, []condition{onShift, purpose}}},
	ActShift:       {{[]Role{RoleOfficer}, basisDuty, []condition{ownPage}}},
	ActDutyView:    {{registrar, basisDuty, nil}},
	ActMediaRead: {
		{employees, basisGrant, []condition{ownPage, recorded, inGrant}},
		{[]Role{RoleHeadOfSafety, RoleLeader}, basisDuty, []condition{ownPage, recorded, viewOnly}},
		{[]Role{RoleOfficer}, basisDuty, []condition{ownPage, shiftIfLive}},
	},

	// A picture that is kept is a copy: no duty gives it, only an approval that says so, and of recorded footage alone.
	ActFootageSnapshot: {{employees, basisGrant, []condition{ownPage, stillOnly, inGrant}}},

	// The register of use.
	ActApplicationCreate:   {{employees, basisSelf, []condition{applicantOrNew}}},
	ActApplicationWithdraw: {{employees, basisSelf, []condition{applicant}}},
	ActApplicationView: {
		{employees, basisSelf, []condition{applicant}},
		{registrar, basisDuty, nil},
	},
	ActApplicationList: {{registrar, basisDuty, nil}},
	ActApplicationReview: {
		{office, basisDuty, []condition{notApplicant, notOffice}},
		{leader, basisDuty, []condition{notApplicant}},
	},
	ActApplicationDecide: {
		{office, basisDuty, []condition{notApplicant, notOffice}},
		{leader, basisDuty, []condition{notApplicant}},
	},
	// Extraction under supervision (F14): two who answer for footage, neither of them the applicant. The technical roles
	// are in none of these lines.
	ActExtractionRequest: {{employees, basisSelf, []condition{applicant}}},
	ActExtractionView: {
		{employees, basisSelf, []condition{applicant}},
		{registrar, basisDuty, nil},
	},
	ActExtractionRun:    {{deciders, basisDuty, []condition{notApplicant}}},
	ActExtractionCancel: {{employees, basisSelf, []condition{applicant}}, {deciders, basisDuty, nil}},
	ActExtractionHand:   {{deciders, basisDuty, []condition{notApplicant, ownPage}}},
	ActExtractionClose:  {{deciders, basisDuty, []condition{notApplicant}}},

	ActHoldView:    {{registrar, basisDuty, nil}},
	ActHoldPropose: {{deciders, basisDuty, []condition{notApplicant}}},
	ActHoldRelease: {{[]Role{RoleHeadOfSafety, RoleLeader}, basisDuty, []condition{notApplicant}}},

	// What proves that footage is kept and deleted on time (F3). The administrator sees the arithmetic of the disk.
	ActFootageRetentionView:  {{append(append([]Role{}, technical...), registrar...), basisDuty, nil}},
	ActFootageRetentionPrint: {{registrar, basisDuty, nil}},

	// The access log.
	ActLogSearch: {{registrar, basisDuty, nil}},
	ActLogProof:  {{registrar, basisDuty, nil}},
	ActLogExport: {{[]Role{RoleHeadOfSafety, RoleLeader, RoleAuditor}, basisDuty, nil}},

	// Pupils: a teacher only the classes that dated enrolment puts in scope (S22, S36).
	ActGateView: {
		{[]Role{RoleClassTeacher}, basisDuty, []condition{inClass}},
		{[]Role{RoleGradeHead, RoleOfficer, RoleHeadOfSafety, RoleLeader}, basisDuty, nil},
	},
	ActClassView: {
		{[]Role{RoleClassTeacher, RoleSubjectTeacher, RoleGradeHead}, basisDuty, []condition{inClass}},
		{[]Role{RoleHeadOfSafety, RoleLeader}, basisDuty, nil},
	},

	// Basic and family information: a teacher only of the own classes, who looks after all pupils of all (S17, S22).
	ActPupilsView: {
		{[]Role{RoleClassTeacher, RoleSubjectTeacher, RoleGradeHead}, basisDuty, []condition{inClass}},
		{[]Role{RoleDoctor, RoleCounsellor, RoleHeadOfSafety, RoleLeader}, basisDuty, nil},
	},
	// Places and times name nobody.
	ActSchoolView: {{append(append([]Role{RoleAuditor}, technical...), employees...), basisDuty, nil}},
	ActSchoolEdit: {{[]Role{RoleHeadOfSafety, RoleLeader, RoleAdmin}, basisDuty, nil}},
	// The pupils' register is kept by designated staff (S14).
	ActPupilsEdit: {{[]Role{RoleHeadOfSafety, RoleLeader}, basisDuty, nil}},

	ActClassMark: {
		{[]Role{RoleClassTeacher}, basisDuty, []condition{inClass, recentDay}},
		{[]Role{RoleGradeHead}, basisDuty, []condition{inClass}},
		{[]Role{RoleHeadOfSafety}, basisDuty, nil},
	},

	// Supervision. The person concerned sees and answers what is said of them; nobody decides about themselves.
	ActViolationView: {
		{everyEmployee, basisSelf, []condition{ownPage}},
		{registrar, basisDuty, nil},
	},
	ActViolationOpen: {{registrar, basisDuty, []condition{otherPerson}}},
	ActViolationHear: {
		{everyEmployee, basisSelf, []condition{ownPage}},
		{registrar, basisDuty, nil},
	},
	ActViolationDecide: {{[]Role{RoleHeadOfSafety, RoleLeader}, basisDuty, []condition{otherPerson}}},
	ActViolationAppeal: {{everyEmployee, basisSelf, []condition{ownPage}}},
	ActInspectionView: {
		{everyEmployee, basisSelf, []condition{ownPage}},
		{registrar, basisDuty, nil},
	},
	ActInspectionPlan: {{[]Role{RoleHeadOfSafety, RoleLeader, RoleAuditor}, basisDuty, nil}},
	ActInspectionMake: {{registrar, basisDuty, nil}},
	ActFindingMend:    {{everyEmployee, basisSelf, []condition{ownPage}}},
	ActFindingCheck:   {{registrar, basisDuty, nil}},
	ActRegulationRead: {{everyEmployee, basisDuty, nil}},
	ActRegulationEdit: {{deciders, basisDuty, nil}},
	ActFeedbackAsk:    {{deciders, basisDuty, nil}},
	ActFeedbackReply:  {{everyEmployee, basisDuty, []condition{inUnit}}},
	ActFilingView:     {{append([]Role{RoleAdmin}, registrar...), basisDuty, nil}},
	ActFilingEdit:     {{deciders, basisDuty, nil}},
	// Pupils' safety records (S17, S22, S36). A teacher sees the care instruction of own pupils, never the diagnosis.
	ActRecordView: {
		{[]Role{RoleClassTeacher, RoleSubjectTeacher, RoleGradeHead}, basisDuty, []condition{signed, inClass}},
		{[]Role{RoleDoctor, RoleCounsellor, RoleHeadOfSafety, RoleLeader}, basisDuty, []condition{signed}},
	},
	ActBasicRead: {
		{[]Role{RoleClassTeacher, RoleGradeHead}, basisDuty, []condition{signed, inClass}},
		{[]Role{RoleDoctor, RoleHeadOfSafety, RoleLeader}, basisDuty, []condition{signed}},
	},
	ActBasicWrite: {
		{[]Role{RoleClassTeacher}, basisDuty, []condition{signed, inClass}},
		{[]Role{RoleHeadOfSafety}, basisDuty, []condition{signed}},
	},
	ActHealthRead:  {{[]Role{RoleDoctor, RoleHeadOfSafety}, basisDuty, []condition{signed, purpose}}},
	ActHealthWrite: {{[]Role{RoleDoctor}, basisDuty, []condition{signed}}},
	ActFamilyRead: {
		{[]Role{RoleClassTeacher}, basisDuty, []condition{signed, inClass, purpose}},
		{[]Role{RoleHeadOfSafety}, basisDuty, []condition{signed, purpose}},
	},
	ActFamilyWrite: {
		{[]Role{RoleClassTeacher}, basisDuty, []condition{signed, inClass}},
		{[]Role{RoleHeadOfSafety}, basisDuty, []condition{signed}},
	},
	ActConductRead: {
		{[]Role{RoleClassTeacher, RoleSubjectTeacher, RoleGradeHead}, basisDuty, []condition{signed, inClass}},
		{[]Role{RoleCounsellor, RoleHeadOfSafety, RoleLeader}, basisDuty, []condition{signed}},
	},
	// Who sees an incident writes it down, whatever the class; reading it is another matter (S8, S33).
	ActConductWrite: {{[]Role{RoleClassTeacher, RoleSubjectTeacher, RoleGradeHead, RoleDoctor, RoleCounsellor, RoleOfficer, RoleHeadOfSafety}, basisDuty, []condition{signed}}},
	ActSpecialRead: {
		{[]Role{RoleClassTeacher, RoleGradeHead}, basisDuty, []condition{signed, inClass}},
		{[]Role{RoleDoctor, RoleCounsellor, RoleHeadOfSafety, RoleLeader}, basisDuty, []condition{signed}},
	},
	ActSpecialWrite: {
		{[]Role{RoleClassTeacher}, basisDuty, []condition{signed, inClass}},
		{[]Role{RoleDoctor, RoleHeadOfSafety}, basisDuty, []condition{signed}},
	},
	// The most confidential of all: counsellor and head of safety alone (S12).
	ActPsychRead:   {{[]Role{RoleCounsellor, RoleHeadOfSafety}, basisDuty, []condition{signed, purpose}}},
	ActPsychWrite:  {{[]Role{RoleCounsellor}, basisDuty, []condition{signed}}},
	ActConcernList: {{employees, basisSelf, []condition{signed}}},
	ActConcernStep: {
		{employees, basisSelf, []condition{signed, ownPage}},
		{[]Role{RoleHeadOfSafety}, basisDuty, []condition{signed}},
	},
	ActGlassOpen:      {{employees, basisDuty, nil}},
	ActGlassList:      {{[]Role{RoleDoctor, RoleHeadOfSafety, RoleLeader}, basisDuty, nil}},
	ActGlassReview:    {{[]Role{RoleHeadOfSafety, RoleLeader}, basisDuty, []condition{otherPerson}}},
	ActRecordReaders:  {{[]Role{RoleHeadOfSafety}, basisDuty, []condition{signed}}},
	ActAgreementsView: {{[]Role{RoleHeadOfSafety, RoleLeader, RoleAuditor}, basisDuty, nil}},
	ActAgreementsEdit: {{[]Role{RoleHeadOfSafety, RoleLeader}, basisDuty, []condition{otherPerson}}},
	ActArchiveView:    {{[]Role{RoleHeadOfSafety, RoleLeader, RoleAuditor}, basisDuty, nil}},
	ActLetters: {
		{[]Role{RoleClassTeacher}, basisDuty, []condition{inClass}},
		{[]Role{RoleHeadOfSafety}, basisDuty, nil},
	},
	ActArchiveEdit:      {{[]Role{RoleHeadOfSafety}, basisDuty, nil}},
	ActRetentionView:    {{[]Role{RoleHeadOfSafety, RoleLeader, RoleAuditor}, basisDuty, nil}},
	ActRetentionPropose: {{[]Role{RoleHeadOfSafety, RoleLeader}, basisDuty, nil}},
	ActRetentionConfirm: {{[]Role{RoleHeadOfSafety, RoleLeader}, basisDuty, []condition{otherPerson}}},
	// Absences (S7, S24): of the own classes, or of the school for those who answer for its safety.
	ActAbsenceView: {
		{[]Role{RoleClassTeacher, RoleGradeHead}, basisDuty, []condition{inClass}},
		{deciders, basisDuty, nil},
	},
	ActAbsenceAct: {
		{[]Role{RoleClassTeacher, RoleGradeHead}, basisDuty, []condition{inClass}},
		{office, basisDuty, nil},
	},
	ActIllnessView: {
		{[]Role{RoleClassTeacher, RoleGradeHead}, basisDuty, []condition{inClass}},
		{[]Role{RoleDoctor, RoleHeadOfSafety, RoleLeader}, basisDuty, nil},
	},
	ActIllnessEdit: {
		{[]Role{RoleClassTeacher}, basisDuty, []condition{inClass}},
		{[]Role{RoleDoctor}, basisDuty, nil},
	},
	ActIllnessSign:  {{[]Role{RoleDoctor}, basisDuty, nil}},
	ActIllnessRules: {{[]Role{RoleDoctor, RoleHeadOfSafety}, basisDuty, nil}},
	ActSheetsView: {
		{[]Role{RoleClassTeacher, RoleGradeHead}, basisDuty, []condition{inClass}},
		{[]Role{RoleHeadOfSafety, RoleLeader}, basisDuty, nil},
	},
	ActLeaveView: {
		{[]Role{RoleClassTeacher, RoleGradeHead}, basisDuty, []condition{inClass}},
		{deciders, basisDuty, nil},
	},
	ActLeaveAsk: {
		{[]Role{RoleClassTeacher, RoleGradeHead}, basisDuty, []condition{inClass}},
		{[]Role{RoleHeadOfSafety}, basisDuty, nil},
	},
	ActLeaveDecide: {
		{[]Role{RoleClassTeacher}, basisDuty, []condition{inClass, shortLeave}},
		{[]Role{RoleGradeHead}, basisDuty, []condition{inClass}},
		{[]Role{RoleHeadOfSafety}, basisDuty, nil},
	},
	ActPassUse: {{office, basisDuty, nil}},
	ActRollView: {
		{[]Role{RoleClassTeacher, RoleSubjectTeacher, RoleGradeHead}, basisDuty, []condition{inClass}},
		{[]Role{RoleHeadOfSafety, RoleLeader}, basisDuty, nil},
	},
	ActRollTake: {
		{[]Role{RoleClassTeacher, RoleSubjectTeacher, RoleGradeHead}, basisDuty, []condition{inClass}},
		{[]Role{RoleHeadOfSafety}, basisDuty, nil},
	},
	ActAlarmJudge: {{[]Role{RoleHeadOfSafety, RoleLeader}, basisDuty, nil}},

	// Drills and real events (S11). Anybody who works here may start counting when something happens, and say who is
	// with them; a drill is ordered.
	ActEmergencyOpen:  {{employees, basisDuty, nil}},
	ActEmergencyDrill: {{deciders, basisDuty, nil}},
	ActEmergencyRoll: {
		{[]Role{RoleClassTeacher, RoleSubjectTeacher, RoleGradeHead}, basisDuty, []condition{inClass}},
		{deciders, basisDuty, nil},
	},
	ActEmergencyFound:   {{employees, basisDuty, nil}},
	ActEmergencyControl: {{append([]Role{RoleGradeHead, RoleDoctor}, deciders...), basisDuty, nil}},
	ActEmergencySettle:  {{deciders, basisDuty, nil}},
	ActEmergencyUndo: {
		{employees, basisSelf, []condition{ownPage}},
		{deciders, basisDuty, nil},
	},
	ActEmergencyClose: {{[]Role{RoleHeadOfSafety, RoleLeader}, basisDuty, nil}},
	ActPlansView:      {{append([]Role{RoleAuditor}, employees...), basisDuty, nil}},
	ActPlansEdit:      {{[]Role{RoleHeadOfSafety, RoleLeader}, basisDuty, nil}},
	ActPatrolsWrite:   {{deciders, basisDuty, nil}},

	// Running the box. The administrator is in no line above that shows a record.
	ActCamerasView: {{append(append([]Role{RoleAuditor}, technical...), deciders...), basisDuty, nil}},
	ActCamerasEdit: {{append([]Role{RoleHeadOfSafety}, technical...), basisDuty, nil}},
	ActCamerasTest: {{append([]Role{RoleHeadOfSafety}, technical...), basisDuty, nil}},
	ActCamerasAim:  {{append([]Role{RoleHeadOfSafety}, technical...), basisDuty, []condition{installing}}},
	ActFaultsView: {
		{employeesAndInstaller, basisSelf, []condition{ownPage}},
		{append([]Role{RoleAdmin, RoleAuditor}, deciders...), basisDuty, nil},
	},
	ActFaultsTake: {
		{employeesAndInstaller, basisSelf, []condition{ownPage}},
		{[]Role{RoleAdmin, RoleOfficer, RoleHeadOfSafety}, basisDuty, nil},
	},
	ActReadersView: {
		{employeesAndInstaller, basisSelf, []condition{ownPage}},
		{append(append([]Role{RoleAuditor}, technical...), deciders...), basisDuty, nil},
	},
	ActReadersEdit: {{append([]Role{RoleHeadOfSafety}, technical...), basisDuty, nil}},

	ActNVRsView:   {{append(append([]Role{RoleAuditor}, technical...), deciders...), basisDuty, nil}},
	ActNVRsEdit:   {{technical, basisDuty, nil}},
	ActPeopleView: {{append([]Role{RoleAdmin}, deciders...), basisDuty, nil}},
	ActPeopleEdit: {{[]Role{RoleAdmin}, basisDuty, []condition{otherPerson}}},
	// The second person beside the administrator is somebody who answers for footage, never another technician.
	ActPeopleConfirm: {{registrar, basisDuty, []condition{otherPerson}}},
	ActSettings:      {{[]Role{RoleAdmin}, basisDuty, nil}},
	ActClockConfirm:  {{append([]Role{RoleAdmin}, deciders...), basisDuty, nil}},

	// The centre.
	ActCentreSchools:      {{[]Role{RoleCentreStaff, RoleCentreAdmin}, basisDuty, nil}},
	ActCentreSchool:       {{[]Role{RoleCentreStaff}, basisDuty, nil}},
	ActCentreApplications: {{[]Role{RoleCentreStaff}, basisDuty, nil}},
	ActCentreAttendance:   {{[]Role{RoleCentreStaff}, basisDuty, nil}},
	ActCentreAlarms:       {{[]Role{RoleCentreStaff, RoleCentreAdmin}, basisDuty, nil}},
	ActCentreEnrol:        {{[]Role{RoleCentreAdmin}, basisDuty, nil}},

	// Machines at the broker: their own topics, in their own direction (design §6).
	ActTopicPublish:   {{[]Role{RoleAppliance}, basisSelf, []condition{ownTopic("up", "urgent", "payload", "hello", "state")}}},
	ActTopicSubscribe: {{[]Role{RoleAppliance}, basisSelf, []condition{ownTopic("ack", "down")}}},
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
