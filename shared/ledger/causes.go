package ledger

// Limit bounds what one device can write into the log. A reader that flaps, an NVR that lies or a camera that comes
// and goes would otherwise fill it, and the log is kept for ever and shipped to the centre.
type Limit struct {
	// PerHour is how many entries of this kind about one device are entered in an hour. What comes beyond is held
	// back; the newest of each variant is entered when the device is calm again or the hour is over, with
	// a "log.held" entry that counts the rest, so that the log ends with what is true.
	PerHour int
	// Variant is the field of data by which the newest is kept ("code": the newest of each code); "" when one is enough.
	Variant string
	// Join makes one entry of those held back: from the earliest "from" to the latest "to", with their count.
	Join bool
	// Whole says that the rows of the Change are worth nothing without the entry: one too many is refused with
	// all that is beside it.
	Whole bool
}

// Limits are the kinds that a device beside the appliance can cause by what it does or sends: a camera, an NVR, a
// reader, a disk, a source of time, the centre.
var Limits = map[Kind]Limit{
	"system.fault":         {PerHour: 60, Variant: "code"},
	"fault.opened":         {PerHour: 60, Variant: "code"},
	"fault.closed":         {PerHour: 60, Variant: "code"},
	"footage.gap":          {PerHour: 240, Variant: "cause", Join: true},
	"footage.damaged":      {PerHour: 240, Variant: "reason"},
	"footage.unlinkfailed": {PerHour: 60, Variant: "reason"},
	"key.erasefailed":      {PerHour: 60, Variant: "reason"},
	"footage.thinned":      {PerHour: 60},
	"footage.stopped":      {PerHour: 60},
	"clock.state":          {PerHour: 240},
	"clock.step":           {PerHour: 240},
	"clock.anchor":         {PerHour: 240},
	"clock.correction":     {PerHour: 240},
	"clock.alarm":          {PerHour: 60},
	"nvr.checked":          {PerHour: 120, Variant: "nvr"},
	"nvr.breach":           {PerHour: 120, Variant: "kind"},
	"nvr.expiry":           {PerHour: 60, Variant: "nvr"},
	"nvr.access":           {PerHour: 240, Variant: "act"},
	"nvr.fault":            {PerHour: 120, Variant: "code"},
	"nvr.calibrated":       {PerHour: 60},
	"nvr.fetched":          {PerHour: 600},
	"attendance.tap":       {PerHour: 20000, Whole: true},
	"attendance.unknown":   {PerHour: 3600},
	"reader.state":         {PerHour: 60, Whole: true},
	"reader.device":        {PerHour: 60},
	"reader.marks":         {PerHour: 60, Variant: "reason"},
	"login.storm":          {PerHour: 60, Variant: "what"},
	"sync.witnessed":       {PerHour: 240},
	"sync.branched":        {PerHour: 60, Whole: true},
	"sync.centre":          {PerHour: 60},
}

// Unlimited are the other kinds, each with what bounds it instead. Every kind is in one of the two tables.
var Unlimited = map[Kind]string{
	"system.start": byRun, "system.stop": byRun, "config.change": byPerson, "clock.confirmed": byPerson, "log.held": byHour,
	"login.ok": byPerson, "login.refused": byLock, "login.locked": byLock, "logout": byPerson, "password.changed": byPerson,
	"access.refused": byPerson, "person.created": byPerson, "person.duty": byPerson, "login.step": byPerson, "person.changed": byPerson, "person.erased": byPerson,
	"student.created": byPerson, "student.changed": byPerson, "class.changed": byPerson, "import": byPerson, "register.exported": byPerson, "year.turn": byPerson,
	"camera.registered": byPerson, "camera.changed": byPerson, "camera.tested": byPerson, "camera.exported": byPerson, "fault.acknowledged": byPerson,
	"footage.recorded": byHour, "footage.condemned": byHour, "footage.deleted": byHour, "footage.breach": byHour,
	"key.root.intent": byHour, "key.root": byHour, "key.erase.intent": byHour, "key.erased": byHour,
	"nvr.signed": byPerson, "nvr.fetch": byPerson,
	"footage.access.open": byPerson, "footage.snapshot": byPerson, "footage.access.close": byPerson,
	"shift.began": byPerson, "shift.offered": byPerson, "shift.handed": byPerson, "shift.ended": byPerson,
	"log.search": byPerson, "log.proof": byPerson, "log.export": byPerson, "document.printed": byPerson, "certificate.issued": byPerson,
	"application.submitted": byPerson, "application.reviewed": byPerson, "application.returned": byPerson, "application.approved": byPerson,
	"application.rejected": byPerson, "application.withdrawn": byPerson, "application.expired": byPerson, "application.extended": byPerson, "application.revoked": byPerson,
	"application.closed": byPerson, "application.dated": byPerson, "application.due": byPerson, "application.overdue": byPerson, "application.reported": byPerson,
	"hold.registered": byPerson, "hold.proposed": byPerson, "hold.kept": byPerson, "hold.released": byPerson, "hold.ended": byPerson,
	"extraction.requested": byPerson, "extraction.began": byPerson, "extraction.packed": byPerson, "extraction.sealed": byPerson, "extraction.ended": byPerson,
	"extraction.key": byPerson, "extraction.copied": byPerson, "extraction.compared": byPerson, "extraction.received": byPerson, "extraction.returned": byPerson, "extraction.dropped": byPerson,
	"attendance.day": "follows from taps, marks and the moments of the day", "attendance.mark": byPerson, "attendance.leave": byPerson,
	"reader.exported": byPerson, "reader.key": "an act of a person, its effect, or its end by time",
	"emergency.opened": byPerson, "emergency.undone": byPerson, "emergency.count": byPerson, "emergency.pupil": byPerson, "emergency.search": byPerson, "emergency.closed": byPerson,
	"emergency.recorded": byPerson, "plan.changed": byPerson, "plan.drill": byPerson, "patrol.recorded": byPerson,
	"absence.opened": byMoment, "absence.step": byMoment, "absence.held": byMoment, "absence.resumed": byMoment, "absence.alarm": byMoment,
	"absence.answered": byPerson, "absence.closed": byPerson, "absence.judged": byPerson, "call.added": byPerson, "call.made": byPerson, "roll.taken": byPerson, "roll.unwell": byPerson, "illness": byMoment, "illness.report": byMoment, "illness.rules": byPerson, "illness.zero": byPerson, "leave.request": byPerson, "pass.given": byPerson, "pass.used": byPerson,
	"sync.enrolled": byPerson, "sync.branchclosed": byPerson,
	"violation.opened": byPerson, "violation.step": byPerson, "inspection.planned": byPerson, "inspection.made": byPerson, "finding.step": byPerson,
	"regulation.step": byPerson, "filing.made": byPerson, "feedback.step": byPerson,
	"file.stored": byPerson, "file.erased": byPerson,
	"record.written": byPerson, "record.read": byPerson, "concern.step": byPerson, "glass.opened": byPerson, "glass.closed": byPerson, "glass.reviewed": byPerson,
	"agreement.recorded": byPerson, "record.years": byPerson, "record.kept": byPerson, "record.erasure": byPerson, "record.erased": byPerson, "volume.step": byPerson, "letter.signed": byPerson,
}

const (
	byMoment = "follows from taps, marks and the moments of the day; once for each pupil and day"
	byPerson = "an act of a person, or its end by time"
	byLock   = "a name or an address is locked after a few"
	byRun    = "one for each run of the program"
	byHour   = "the appliance's own pace: so many an hour and camera"
)
