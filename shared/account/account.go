// Package account is the one permission table: who may do what to which subject, when, and why not.
//
// It is pure. Every route, RTSP path and MQTT topic asks [May]; what it does not allow is refused.
package account

import (
	"slices"
	"time"
)

// Role is a duty that a person holds. A person may hold several.
type Role string

// Roles in the school, at the centre, and of machines.
const (
	RoleStaff          Role = "staff" // any employee: may apply (applicant)
	RoleOfficer        Role = "security_officer"
	RoleHeadOfSafety   Role = "head_of_safety"
	RoleLeader         Role = "school_leader"
	RoleClassTeacher   Role = "class_teacher"
	RoleSubjectTeacher Role = "subject_teacher"
	RoleGradeHead      Role = "grade_head"
	RoleDoctor         Role = "school_doctor"
	RoleCounsellor     Role = "counsellor"
	RoleParent         Role = "parent"
	RoleAuditor        Role = "supervision_group"
	RoleAdmin          Role = "administrator" // runs the box, sees no records
	RoleInstaller      Role = "installer"

	RoleCentreStaff Role = "centre_staff"
	RoleCentreAdmin Role = "centre_administrator"

	RoleAppliance Role = "appliance" // a box at the centre's broker
)

// Action is something that can be asked for; the code is also in the log.
type Action string

// Actions of the pages, the gate, and the centre.
const (
	ActPublic     Action = "public"      // log-in page, style sheets, root certificate: nobody is known yet
	ActStatusView Action = "status.view" // today page: state of clock, sync, storage, cameras
	ActSelf       Action = "self"        // own password, own log-out, own sessions

	ActRibbonView      Action = "footage.ribbon"   // what footage exists (no picture)
	ActFootagePlayback Action = "footage.playback" // recorded footage
	ActFootageLive     Action = "footage.live"
	ActShift           Action = "shift.sign"       // begin and end the own control-room shift (F20)
	ActDutyView        Action = "duty.view"        // the control room's duty sheet: who was on duty, and what was done (F20)
	ActMediaRead       Action = "footage.media"    // bytes of a viewing that was opened
	ActFootageSnapshot Action = "footage.snapshot" // one picture of a viewing, kept as a file

	ActApplicationCreate   Action = "application.create"
	ActApplicationView     Action = "application.view"
	ActApplicationList     Action = "application.list"     // the security office's list of all; own ones are ApplicationView
	ActApplicationReview   Action = "application.review"   // narrow places to cameras, return for changes
	ActApplicationDecide   Action = "application.decide"   // approve or refuse
	ActApplicationWithdraw Action = "application.withdraw" // the applicant takes it back
	ActHoldView            Action = "hold.view"
	ActHoldPropose         Action = "hold.propose" // the first of two people who let a hold go
	ActHoldRelease         Action = "hold.release" // the second

	ActExtractionRequest Action = "extraction.request" // the applicant asks for it on a day (F14)
	ActExtractionView    Action = "extraction.view"
	ActExtractionRun     Action = "extraction.run"    // be one of the two who extract
	ActExtractionCancel  Action = "extraction.cancel" // stop one that runs, or that has not begun
	ActExtractionHand    Action = "extraction.hand"   // hand a copy out: the operator of that extraction alone
	ActExtractionClose   Action = "extraction.close"  // enter receipts and what became of copies

	ActLogSearch Action = "log.search"
	ActLogProof  Action = "log.proof"
	ActLogExport Action = "log.export"

	ActGateView  Action = "gate.view"
	ActClassView Action = "class.view"
	ActClassMark Action = "class.mark" // take the roll: state the status of a pupil's day (S6)

	ActAbsenceView  Action = "absence.view"  // cases of absence, the list of calls, alarms to the staff (S7)
	ActAbsenceAct   Action = "absence.act"   // acknowledge a step, record a call, close a case
	ActAlarmJudge   Action = "absence.judge" // say what an alarm about many pupils was
	ActIllnessView  Action = "illness.view"  // illnesses followed to their outcome (S9, L6); a teacher sees signs alone
	ActIllnessEdit  Action = "illness.edit"  // add what was learnt
	ActIllnessSign  Action = "illness.sign"  // sign and send reports of clusters, confirm quiet days
	ActIllnessRules Action = "illness.rules" // change the rules of clusters
	ActSheetsView   Action = "sheets.view"   // attendance by class and month, by pupil, of the school
	ActLeaveView    Action = "leave.view"    // requests for leave, slips and passes
	ActLeaveAsk     Action = "leave.ask"     // register a request, give out a slip or a pass
	ActLeaveDecide  Action = "leave.decide"  // approve or refuse it: from three days on the grade head
	ActPassUse      Action = "pass.use"      // let a pupil out at the gate
	ActRollView     Action = "roll.view"     // a class's page of a period
	ActRollTake     Action = "roll.take"     // confirm it, with the check of symptoms (S6, S9)

	ActFootageRetentionView  Action = "keeping.view"  // forecast, watermarks, deleted days, reports
	ActFootageRetentionPrint Action = "keeping.paper" // hand out certificates and reports
	ActCamerasView           Action = "cameras.view"
	ActCamerasEdit           Action = "cameras.edit"
	ActCamerasTest           Action = "cameras.test" // connect to a camera and measure what it sends
	ActCamerasAim            Action = "cameras.aim"  // see one picture of a camera that is being installed or mended
	ActFaultsView            Action = "faults.view"
	ActFaultsTake            Action = "faults.take"  // take note of a fault, with what is done about it
	ActReadersView           Action = "readers.view" // card readers of the gates: their state and what they sent last
	ActReadersEdit           Action = "readers.edit" // register card readers, set their keys
	ActNVRsView              Action = "nvrs.view"
	ActNVRsEdit              Action = "nvrs.edit" // register NVRs and their cameras, set their expiry, sign who can get outside the appliance
	ActPeopleView            Action = "people.view"
	ActPeopleEdit            Action = "people.edit"
	ActPeopleConfirm         Action = "people.confirm" // be the second person for duties and resets of duty persons
	ActPupilsView            Action = "pupils.view"    // basic and family information, guardians' phones
	ActSchoolView            Action = "school.view"    // places, calendar, bell times, what the gate still needs
	ActSchoolEdit            Action = "school.edit"    // change places, calendar and bell times
	ActPupilsEdit            Action = "pupils.edit"    // register and change pupils, import rosters (S14)
	ActSettings              Action = "settings.edit"
	ActClockConfirm          Action = "clock.confirm" // two people state the time

	ActViolationView   Action = "violation.view" // violations of the rules (F18); the person concerned sees their own
	ActViolationOpen   Action = "violation.open"
	ActViolationHear   Action = "violation.hear" // the person concerned speaks, or the office writes down what was said
	ActViolationDecide Action = "violation.decide"
	ActViolationAppeal Action = "violation.appeal"
	ActInspectionView  Action = "inspection.view" // plans, inspections and findings (F16); owners see their findings
	ActInspectionPlan  Action = "inspection.plan"
	ActInspectionMake  Action = "inspection.make"
	ActFindingMend     Action = "finding.mend"  // its owner says what was done
	ActFindingCheck    Action = "finding.check" // look again, report to the police, give it to another
	ActRegulationRead  Action = "regulation.read"
	ActRegulationEdit  Action = "regulation.edit"
	ActFeedbackAsk     Action = "feedback.ask" // ask the units, and answer them (F17)
	ActFeedbackReply   Action = "feedback.reply"
	ActFilingView      Action = "filing.view" // the filing with the police (L1)
	ActFilingEdit      Action = "filing.edit"
	// Pupils' safety records. Sections have actions of their own: record.<section>.read and .write.
	ActRecordView       Action = "record.view" // the pupil's page: care instruction, whom to call
	ActBasicRead        Action = "record.basic.read"
	ActBasicWrite       Action = "record.basic.write"
	ActHealthRead       Action = "record.health.read"
	ActHealthWrite      Action = "record.health.write"
	ActFamilyRead       Action = "record.family.read"
	ActFamilyWrite      Action = "record.family.write"
	ActConductRead      Action = "record.conduct.read"
	ActConductWrite     Action = "record.conduct.write"
	ActSpecialRead      Action = "record.special.read"
	ActSpecialWrite     Action = "record.special.write"
	ActPsychRead        Action = "record.psych.read"
	ActPsychWrite       Action = "record.psych.write"
	ActConcernList      Action = "concern.list"   // own ones, and those of sections that the person keeps
	ActConcernStep      Action = "concern.step"   // take a step in one
	ActGlassOpen        Action = "glass.open"     // the emergency card of a pupil, by any employee
	ActGlassList        Action = "glass.list"     // who opened one
	ActGlassReview      Action = "glass.review"   // say whether it was right
	ActRecordReaders    Action = "record.readers" // who has read a pupil's record
	ActAgreementsView   Action = "agreements.view"
	ActAgreementsEdit   Action = "agreements.edit" // enter agreements on confidentiality (S36)
	ActArchiveView      Action = "archive.view"
	ActLetters          Action = "letters.sign"      // guardians' safety letters of a class (S19)
	ActArchiveEdit      Action = "archive.edit"      // catalogue, lend and check paper volumes, close the archive of a year
	ActRetentionView    Action = "retention.view"    // records of pupils who have left
	ActRetentionPropose Action = "retention.propose" // the first of two people who let records be erased
	ActRetentionConfirm Action = "retention.confirm" // the second

	// Drills and real events (S11), plans (S21), statistics and lists (S14, S21, S22).
	ActEmergencyOpen    Action = "emergency.open"    // start counting in a real event
	ActEmergencyDrill   Action = "emergency.drill"   // start a drill
	ActEmergencyRoll    Action = "emergency.roll"    // state who of a class is there
	ActEmergencyFound   Action = "emergency.found"   // state that some other class's pupil is with me
	ActEmergencyControl Action = "emergency.control" // the counts of the school, with the names of the missing
	ActEmergencySettle  Action = "emergency.settle"  // decide between contradictory statements
	ActEmergencyUndo    Action = "emergency.undo"    // take back what was opened by mistake
	ActEmergencyClose   Action = "emergency.close"   // end an event, and write its record
	ActPlansView        Action = "plans.view"
	ActPlansEdit        Action = "plans.edit"
	ActPatrolsWrite     Action = "patrols.write"

	ActCentreSchools      Action = "centre.schools"
	ActCentreSchool       Action = "centre.school"
	ActCentreApplications Action = "centre.applications"
	ActCentreAttendance   Action = "centre.attendance"
	ActCentreEnrol        Action = "centre.enrol"
	ActCentreAlarms       Action = "centre.alarms"

	ActTopicPublish   Action = "topic.publish"
	ActTopicSubscribe Action = "topic.subscribe"
)

// Actor is who asks, with what is known of them at that moment.
type Actor struct {
	ID           string // person id, appliance id
	Roles        []Role
	Classes      []string // class ids in scope today (dated enrolment)
	Units        []string
	SecondFactor bool // this session passed a second factor, or the school's setting waives it
	OnShift      bool // signed in at the control room
	Grants       []Grant
}

// Has says whether the actor holds the role.
func (a Actor) Has(r Role) bool {
	return slices.Contains(a.Roles, r)
}

// Grant is what an approved application allows one person.
type Grant struct {
	Application string
	Person      string
	Cameras     []string
	From, To    time.Time // footage span, half-open
	Since       time.Time // use begins; zero: at once
	Until       time.Time // use ends
	Ways        []string  // WayView, WayStill, WayPackage
}

// Subject is what the action is about; only the fields that matter for the action are set.
type Subject struct {
	Camera      string
	From, To    time.Time // footage span
	Application string
	Applicant   string // person id of the applicant of Application
	OfOffice    bool   // that applicant belongs to the security office
	Unit        string
	Person      string // whose account, viewing or page it is
	Class       string
	Appliance   string
	Topic       string
	Way         string // WayView, WayStill, WayPackage or WayLive
	Purpose     bool   // a purpose has been stated (once per incident)
	Signed      bool   // the person who asks has an agreement on confidentiality and the training on file
	Long        bool   // a leave of three school days or more
	Installing  bool   // the camera is new, or has a fault that a picture shows
}

// The ways of using footage.
const (
	WayView    = "view"    // watch on site
	WayStill   = "still"   // keep single pictures of what is watched
	WayPackage = "package" // take a sealed copy away
	WayLive    = "live"    // what the camera sees now
)

// Decision is the answer of May. Reason is a code of the text catalogue ("may.own_application", …) when
// refused, and names the ground when allowed ("duty", "grant", "self", …).
type Decision struct {
	Allowed bool
	Role    Role // under which it is allowed; is in the entry
	Reason  string
	Grant   string // application id when the ground is a grant
}
