package ledger

// Type is the type of a field in an entry's data.
type Type uint8

// The types that data may hold. There is no free text: text is personal until shown otherwise, so it is sealed.
const (
	Code Type = iota // [a-z0-9._:+_-]{1,64}: a code or a pseudonymous id
	Int              // JSON integer
	Time             // RFC 3339, UTC
	Hash             // base64 of 16 to 64 bytes
	Bool
	Codes // list of Code, at most 64
	Spans // list of {from,to} instants, at most 64
)

// Field is one field of an entry's data. What is in data travels to the centre inside the leaf.
type Field struct {
	Name     string
	Type     Type
	Required bool
}

// SealedField is one sealed part; Released says whether the centre receives it on the payload lane.
// What is not released never leaves the appliance.
type SealedField struct {
	Name     string
	Released bool
}

// Spec says what entries of one kind hold.
type Spec struct {
	Data   []Field
	Sealed []SealedField
	Urgent bool // also sent at once on the urgent topic
}

func req(name string, t Type) Field { return Field{name, t, true} }
func opt(name string, t Type) Field { return Field{name, t, false} }

// absenceData is what entries about a case of absence hold.
var absenceData = []Field{req("case", Code), req("class", Code), opt("rung", Code), opt("guardian", Int), opt("result", Code), opt("reason", Code)}

// Kinds is the one table of kind → fields, sealed parts, released parts. Commit refuses a kind that is not
// here and a field that its kind does not name.
var Kinds = map[Kind]Spec{
	// the appliance itself
	"system.start":  {Data: []Field{req("version", Code), opt("clean", Bool), opt("data_format", Int)}},
	"system.stop":   {},
	"system.fault":  {Data: []Field{req("code", Code), opt("camera", Code), opt("count", Int), opt("part", Code)}},
	"log.held":      {Data: []Field{req("kind", Code), req("count", Int), req("from", Time), req("to", Time)}}, // so many entries about one device were held back
	"config.change": {Data: []Field{req("what", Code), opt("before", Hash), opt("after", Hash), opt("key", Code)}, Sealed: []SealedField{{Name: "before"}, {Name: "after"}, {Name: "reason"}}},

	// the clock
	"clock.state":      {Data: []Field{req("from", Code), req("to", Code), opt("reason", Code), opt("offset_ms", Int), opt("uncertainty_ms", Int), opt("sources", Codes)}},
	"clock.step":       {Data: []Field{req("step_ms", Int), opt("reason", Code)}},
	"clock.anchor":     {Data: []Field{req("boot", Code), req("mono", Int), req("utc", Time), req("uncertainty_ms", Int)}},
	"clock.correction": {Data: []Field{req("highest_before", Time), req("highest_after", Time), req("reason", Code)}},
	"clock.confirmed":  {Data: []Field{req("utc", Time)}},
	"clock.alarm":      {Data: []Field{req("state", Code), req("reason", Code), req("hours", Int)}, Urgent: true}, // no trust for a day

	// log-ins
	"login.ok":         {Data: []Field{opt("factor", Code)}},
	"login.refused":    {Data: []Field{req("reason", Code), opt("user_hash", Hash)}},
	"login.locked":     {Data: []Field{req("until", Time), opt("user_hash", Hash)}},
	"logout":           {Data: []Field{opt("reason", Code)}},
	"password.changed": {},
	"access.refused":   {Data: []Field{req("action", Code), req("reason", Code), opt("camera", Code), opt("application", Code), opt("from", Time), opt("to", Time), opt("count", Int)}},
	"person.created":   {Data: []Field{opt("roles", Codes)}},
	"person.changed":   {Data: []Field{opt("what", Codes), opt("roles", Codes)}, Sealed: []SealedField{{Name: "before"}, {Name: "after"}}},
	// a duty or the credentials of a duty person: proposed, confirmed by a second person, refused, withdrawn, expired; "first" at the set-up
	"person.duty":     {Data: []Field{req("what", Code), req("state", Code), opt("roles", Codes), opt("by", Code)}, Urgent: true},
	"login.step":      {Data: []Field{req("passed", Code)}}, // the password was right; a one-time code is still awaited
	"login.storm":     {Data: []Field{req("what", Code), req("count", Int), req("minutes", Int)}, Urgent: true},
	"person.erased":   {Data: []Field{req("reason", Code)}},
	"student.created": {Data: []Field{opt("class", Code)}},
	"student.changed": {Data: []Field{opt("what", Codes), opt("class", Code)}, Sealed: []SealedField{{Name: "before"}, {Name: "after"}}},
	"class.changed":   {Data: []Field{opt("what", Codes)}},
	"import":          {Data: []Field{req("what", Code), req("count", Int)}},
	// the turn of a school year: its plan was drafted, entered, undone; count is how many pupils change apart from their class
	"year.turn": {Data: []Field{req("year", Int), req("state", Code), req("count", Int)}},
	// a list of a register left the appliance as a file
	"register.exported": {Data: []Field{req("what", Code), req("count", Int)}},

	// the footage
	"camera.registered":    {Data: []Field{req("custody", Code), req("area", Code), req("days", Int)}, Sealed: []SealedField{{Name: "camera"}}},
	"camera.changed":       {Data: []Field{req("what", Codes), opt("days", Int), opt("custody", Code)}, Sealed: []SealedField{{Name: "before"}, {Name: "after"}}},
	"camera.tested":        {Data: []Field{req("result", Code), req("picture", Bool), opt("known", Bool)}, Sealed: []SealedField{{Name: "address"}}},
	"camera.exported":      {Data: []Field{req("count", Int)}},
	"fault.opened":         {Data: []Field{req("fault", Code), req("code", Code), req("camera", Code), opt("technician", Code), opt("offset_ms", Int)}},
	"fault.acknowledged":   {Data: []Field{req("fault", Code), req("code", Code), req("camera", Code)}, Sealed: []SealedField{{Name: "note"}}},
	"fault.closed":         {Data: []Field{req("fault", Code), req("code", Code), req("camera", Code), req("reason", Code), req("lasted_s", Int), req("told", Codes)}},
	"footage.recorded":     {Data: []Field{req("hour", Time), req("count", Int), req("root", Hash), req("first", Time), req("last", Time), opt("bytes", Int), opt("days", Codes)}},
	"footage.gap":          {Data: []Field{req("from", Time), req("to", Time), req("cause", Code), opt("count", Int), opt("from_boot", Code), opt("from_mono", Int), opt("to_boot", Code), opt("to_mono", Int)}}, // count: that many, joined
	"footage.condemned":    {Data: []Field{req("watermark", Time), opt("count", Int)}},
	"footage.deleted":      {Data: []Field{req("hour", Time), req("count", Int), req("root", Hash), req("first", Time), req("last", Time), opt("bytes", Int), req("assurance", Code), opt("days", Codes)}},
	"footage.unlinkfailed": {Data: []Field{req("count", Int), opt("reason", Code)}, Urgent: true},
	"footage.breach":       {Data: []Field{req("reason", Code), opt("from", Time), opt("to", Time), opt("count", Int), opt("bytes", Int)}, Urgent: true},
	"footage.thinned":      {Data: []Field{req("on", Bool), opt("full_in_h", Int), opt("per_day", Int), opt("held", Int), opt("capacity", Int)}, Urgent: true},
	"footage.stopped":      {Data: []Field{req("on", Bool), opt("full_in_h", Int), opt("per_day", Int), opt("held", Int), opt("capacity", Int)}, Urgent: true},
	"footage.damaged":      {Data: []Field{req("file", Code), req("reason", Code), opt("day", Code)}},
	"key.root.intent":      {Data: []Field{req("root", Hash), req("place", Code), req("assurance", Code)}},
	"key.root":             {Data: []Field{req("root", Hash), req("place", Code), req("assurance", Code), opt("rings", Int)}},
	"key.erase.intent":     {Data: []Field{req("ring", Code), req("keys", Codes)}},
	"key.erased":           {Data: []Field{req("ring", Code), req("keys", Codes)}},
	"key.erasefailed":      {Data: []Field{req("ring", Code), req("keys", Codes), opt("reason", Code)}, Urgent: true},

	// the NVRs beside us: what they attest, and what happened outside the appliance
	"nvr.checked":    {Data: []Field{req("nvr", Code), req("pieces", Int), req("recorded_s", Int), req("missing_s", Int), req("gaps", Int), opt("oldest", Time), opt("newest", Time), opt("days", Int), opt("expiry_days", Int), opt("locked", Int), opt("offset_ms", Int), opt("judged", Bool), opt("floor", Bool), opt("ceiling", Bool)}},
	"nvr.breach":     {Data: []Field{req("nvr", Code), req("kind", Code), req("from", Time), req("to", Time), req("days", Int)}, Urgent: true},
	"nvr.expiry":     {Data: []Field{req("nvr", Code), req("result", Code), req("days", Int), opt("before", Int)}},
	"nvr.access":     {Data: []Field{req("act", Code), req("first", Time), req("last", Time), req("count", Int), opt("camera", Code), opt("channel", Int)}, Sealed: []SealedField{{Name: "account"}}},
	"nvr.fault":      {Data: []Field{req("code", Code), opt("camera", Code), opt("count", Int), opt("offset_ms", Int)}, Sealed: []SealedField{{Name: "received"}}},
	"nvr.calibrated": {Data: []Field{req("zone_min", Int), req("search", Code), req("playback", Code), opt("log", Code), opt("offset_ms", Int), opt("false_z", Bool), opt("bad_zone", Bool)}},
	"nvr.signed":     {Data: []Field{req("nvr", Code), req("list", Hash), req("lines", Int), req("open", Int), req("read", Time)}, Sealed: []SealedField{{Name: "list"}}},
	"nvr.fetch":      {Data: []Field{req("fetch", Code), req("camera", Code), req("from", Time), req("to", Time), req("ground", Code)}},
	"nvr.fetched":    {Data: []Field{req("fetch", Code), req("camera", Code), req("result", Code), req("spans", Spans), req("bytes", Int), opt("reason", Code), opt("empty", Spans)}},

	// who saw it
	"footage.access.open":  {Data: []Field{req("viewing", Code), req("camera", Code), req("from", Time), req("to", Time), req("mode", Code), req("ground", Code), opt("application", Code), opt("incident", Code)}, Sealed: []SealedField{{Name: "purpose", Released: true}}},
	"footage.snapshot":     {Data: []Field{req("viewing", Code), req("opened", Int), req("camera", Code), req("at", Time), req("application", Code)}},
	"footage.access.close": {Data: []Field{req("viewing", Code), req("opened", Int), req("delivered", Spans), req("bytes", Int), opt("reason", Code)}},
	"shift.began":          {Data: []Field{opt("shift", Code), opt("after", Code)}},
	"shift.offered":        {Data: []Field{req("shift", Code)}, Sealed: []SealedField{{Name: "happened"}, {Name: "equipment"}, {Name: "open"}}},
	"shift.handed":         {Data: []Field{req("shift", Code), req("next", Code), req("to", Code)}},
	"shift.ended":          {Data: []Field{opt("shift", Code), opt("reason", Code), opt("at", Time)}},
	"log.search":           {Data: []Field{req("count", Int)}, Sealed: []SealedField{{Name: "query"}}},
	"log.proof":            {Data: []Field{req("entry", Int)}},
	"log.export":           {Data: []Field{req("first", Int), req("last", Int), opt("format", Code), opt("count", Int), opt("of", Int)}, Sealed: []SealedField{{Name: "query"}}},
	"document.printed":     {Data: []Field{req("copy", Int), req("form", Code), opt("camera", Code), opt("application", Code)}},
	"certificate.issued":   {Data: []Field{req("day", Code), req("sum", Hash), req("deleted", Int), req("remaining", Int)}},

	// the register of use
	"application.submitted": {Data: []Field{req("places", Int), req("spans", Spans), req("way", Code), opt("unit", Code), opt("until", Time), opt("hold", Code)}, Sealed: []SealedField{{Name: "purpose", Released: true}, {Name: "form"}}},
	"application.reviewed":  {Data: []Field{req("cameras", Codes), opt("result", Code)}, Sealed: []SealedField{{Name: "note"}}},
	"application.returned":  {Data: []Field{opt("what", Code)}, Sealed: []SealedField{{Name: "reason", Released: true}}},
	"application.approved":  {Data: []Field{req("cameras", Codes), req("spans", Spans), req("until", Time), opt("notice", Code), opt("part", Bool), opt("first", Code), opt("pair_cameras", Codes), opt("pair_spans", Spans)}, Sealed: []SealedField{{Name: "note"}}},
	"application.rejected":  {Data: []Field{req("code", Code)}, Sealed: []SealedField{{Name: "reason", Released: true}}},
	"application.withdrawn": {},
	"application.expired":   {},
	"application.extended":  {Data: []Field{req("until", Time), req("notice", Code)}, Sealed: []SealedField{{Name: "note"}}},
	"application.revoked":   {Data: []Field{req("code", Code)}},
	"application.dated":     {Data: []Field{req("submitted", Time), opt("decided", Time), opt("ended", Time)}},
	"application.closed":    {Data: []Field{opt("code", Code)}},
	"application.due":       {},
	"application.overdue":   {},
	"application.reported":  {Data: []Field{req("result", Code), req("copies", Code)}, Sealed: []SealedField{{Name: "report"}}},
	"hold.registered":       {Data: []Field{req("hold", Code), req("cameras", Codes), req("from", Time), req("to", Time), req("until", Time), req("reason", Code), opt("segments", Int)}},
	"hold.proposed":         {Data: []Field{req("hold", Code)}, Sealed: []SealedField{{Name: "reason"}}},
	"hold.kept":             {Data: []Field{req("hold", Code), req("proposal", Int)}},
	"hold.released":         {Data: []Field{req("hold", Code), req("reason", Code), opt("proposal", Int)}},
	"hold.ended":            {Data: []Field{req("hold", Code), req("reason", Code)}},

	// attached files: scans, photographs, documents
	"file.stored": {Data: []Field{req("owner", Code), req("use", Code), req("type", Code), req("bytes", Int), req("sum", Hash)}},
	"file.erased": {Data: []Field{req("count", Int)}}, // files of an owner whose key is gone

	// supervision
	"violation.opened":   {Data: []Field{req("code", Code), opt("person", Code), opt("application", Code)}, Sealed: []SealedField{{Name: "facts"}}},
	"violation.step":     {Data: []Field{req("step", Code), opt("measure", Code), opt("grave", Bool)}, Sealed: []SealedField{{Name: "text"}}},
	"inspection.planned": {Data: []Field{req("cadence", Code), req("items", Int), opt("ended", Bool)}, Sealed: []SealedField{{Name: "plan"}}},
	"inspection.made":    {Data: []Field{req("plan", Code), req("items", Int), req("bad", Int)}, Sealed: []SealedField{{Name: "inspection"}}},
	"finding.step":       {Data: []Field{req("step", Code), opt("private", Bool)}, Sealed: []SealedField{{Name: "text"}}},
	"regulation.step":    {Data: []Field{req("step", Code), req("version", Int)}, Sealed: []SealedField{{Name: "text"}}},
	"filing.made":        {Data: []Field{req("devices", Int)}, Sealed: []SealedField{{Name: "filing"}}},
	"feedback.step":      {Data: []Field{req("step", Code), opt("units", Int)}, Sealed: []SealedField{{Name: "text"}}},
	// pupils' safety records
	"record.written":     {Data: []Field{req("student", Code), req("section", Code), req("kind", Code), req("record", Code), req("version", Int), opt("files", Codes)}, Sealed: []SealedField{{Name: "record"}, {Name: "reason"}}},
	"record.read":        {Data: []Field{req("student", Code), req("section", Code), opt("purpose", Code), opt("count", Int), opt("file", Code), opt("concern", Code)}, Sealed: []SealedField{{Name: "note"}}},
	"concern.step":       {Data: []Field{req("student", Code), req("concern", Code), req("section", Code), req("step", Code), opt("owner", Code), opt("due", Code), opt("situations", Codes)}, Sealed: []SealedField{{Name: "note"}}},
	"glass.opened":       {Data: []Field{req("student", Code), req("glass", Code), req("until", Time)}, Sealed: []SealedField{{Name: "reason"}}, Urgent: true}, // break-glass: the emergency card, by any employee
	"glass.closed":       {Data: []Field{req("student", Code), req("glass", Code)}, Sealed: []SealedField{{Name: "happened"}}},
	"glass.reviewed":     {Data: []Field{req("student", Code), req("glass", Code), req("verdict", Code)}, Sealed: []SealedField{{Name: "note"}}},
	"record.years":       {Data: []Field{req("section", Code), req("before", Int), req("after", Int)}}, // how long records are kept after a pupil has left
	"record.kept":        {Data: []Field{req("student", Code), req("section", Code), req("until", Code)}, Sealed: []SealedField{{Name: "reason"}}},
	"record.erasure":     {Data: []Field{req("student", Code), req("section", Code), req("state", Code)}},
	"record.erased":      {Data: []Field{req("student", Code), req("section", Code), req("records", Int), req("proposed", Code), req("confirmed", Code)}},                                          // the key is destroyed
	"volume.step":        {Data: []Field{req("step", Code), req("section", Code), req("class", Code), req("year", Int), opt("to", Code), opt("due", Code)}, Sealed: []SealedField{{Name: "note"}}}, // a paper volume of the archive
	"letter.signed":      {Data: []Field{req("class", Code), req("year", Int), req("students", Codes)}},
	"agreement.recorded": {Data: []Field{req("signed", Code), req("trained", Code), req("until", Code), opt("file", Code)}},

	// extraction under supervision (F14): every step is entered before what it lets happen
	"extraction.requested": {Data: []Field{req("application", Code), req("date", Code)}, Sealed: []SealedField{{Name: "note"}}},
	"extraction.began":     {Data: []Field{req("application", Code), req("notice", Code), req("supervisor", Code), req("pair_cameras", Codes), req("pair_spans", Spans), opt("attempt", Int)}},
	"extraction.packed":    {Data: []Field{req("application", Code), req("sum", Hash), req("files", Int), req("bytes", Int)}}, // sum: SHA-256 of the manifest
	"extraction.sealed":    {Data: []Field{req("application", Code), req("sha256", Hash), req("sm3", Hash), req("bytes", Int), req("key", Code)}},
	"extraction.ended":     {Data: []Field{req("application", Code), req("reason", Code)}},
	"extraction.key":       {Data: []Field{req("application", Code)}}, // the secret of a package was printed, once
	"extraction.copied":    {Data: []Field{req("application", Code), req("copy", Int), req("medium", Code), opt("serial", Code), req("sha256", Hash)}},
	"extraction.compared":  {Data: []Field{req("application", Code), req("copy", Int), req("result", Code)}}, // what was written was read back
	"extraction.received":  {Data: []Field{req("application", Code), req("copy", Int), req("how", Code)}, Sealed: []SealedField{{Name: "receipt"}}},
	"extraction.returned":  {Data: []Field{req("application", Code), req("copy", Int), req("what", Code)}, Sealed: []SealedField{{Name: "note"}}},
	"extraction.dropped":   {Data: []Field{req("application", Code), req("reason", Code)}}, // the sealed file is deleted from the appliance

	// the gate
	"attendance.tap":     {Data: []Field{req("reader", Code), req("card", Hash), req("student", Code), req("class", Code), req("direction", Code), req("outcome", Code), opt("reasons", Codes), opt("late_min", Int), opt("read_mono", Int), req("date", Code), opt("said", Time), opt("unsure", Bool)}}, // said, unsure: of a network terminal, what it said of the time and that it is not believed
	"attendance.unknown": {Data: []Field{req("reader", Code), req("card", Hash), opt("date", Code)}},
	"attendance.day":     {Data: []Field{req("date", Code), req("class", Code), req("status", Code), req("reasons", Codes), opt("minutes", Int)}},
	"attendance.mark":    {Data: []Field{req("date", Code), req("class", Code), req("status", Code), req("by", Code), opt("minutes", Int), opt("leave", Code)}, Sealed: []SealedField{{Name: "reason"}}},
	"attendance.leave":   {Data: []Field{req("leave", Code), req("kind", Code), req("from", Time), req("to", Time), req("approved", Bool)}, Sealed: []SealedField{{Name: "reason"}}},
	"reader.key":         {Data: []Field{req("state", Code)}},                                                       // the secure channel key of a reader was made, typed, placed in the reader, or not taken in time
	"reader.device":      {Data: []Field{req("now", Code), opt("was", Code), req("state", Code)}},                   // another device answers in a reader's place, or a person has accepted it
	"reader.marks":       {Data: []Field{req("reason", Code), req("count", Int), opt("from", Int), opt("to", Int)}}, // marks of a network terminal that are lost, refused or not to be believed
	"reader.exported":    {Data: []Field{req("count", Int)}},
	"reader.state":       {Data: []Field{req("state", Code), opt("reason", Code), opt("count", Int)}},
	// absences (S7, S24): a case, its steps, the calls to guardians, alarms to the staff
	"absence.opened":   {Data: absenceData},
	"absence.step":     {Data: absenceData},
	"absence.held":     {Data: absenceData},
	"absence.resumed":  {Data: absenceData},
	"absence.answered": {Data: absenceData, Sealed: []SealedField{{Name: "note"}}},
	"absence.closed":   {Data: absenceData, Sealed: []SealedField{{Name: "note"}}},
	"absence.alarm":    {Data: []Field{req("cause", Code), opt("class", Code), req("count", Int), req("of", Int), req("state", Code)}},
	"absence.judged":   {Data: []Field{req("cause", Code), req("verdict", Code)}},
	"roll.taken":       {Data: []Field{req("date", Code), req("class", Code), req("period", Code), req("of", Int), req("late", Int), req("away", Int), req("leave", Int), req("unwell", Int), req("again", Bool)}},
	"roll.unwell":      {Data: []Field{req("date", Code), req("class", Code), req("period", Code)}, Sealed: []SealedField{{Name: "symptoms"}}},
	"leave.request":    {Data: []Field{req("leave", Code), req("kind", Code), req("class", Code), req("from", Time), req("to", Time), req("days", Int), req("state", Code), opt("via", Code), opt("files", Int)}, Sealed: []SealedField{{Name: "reason"}}},
	"pass.given":       {Data: []Field{req("pass", Code), req("kind", Code), req("class", Code), req("date", Code)}, Sealed: []SealedField{{Name: "reason"}}},
	"pass.used":        {Data: []Field{req("pass", Code), req("class", Code), req("date", Code)}},
	"illness":          {Data: []Field{req("class", Code), req("state", Code), opt("source", Code)}, Sealed: []SealedField{{Name: "words"}}},
	"illness.report":   {Data: []Field{req("state", Code), req("count", Int)}, Sealed: []SealedField{{Name: "words"}}},
	"illness.rules":    {Data: []Field{req("rules", Int), req("certificate", Bool)}},
	"illness.zero":     {Data: []Field{req("date", Code), req("unwell", Int)}},
	"call.added":       {Data: []Field{req("call", Code), req("kind", Code), req("guardian", Int)}, Sealed: []SealedField{{Name: "say"}}},
	"call.made":        {Data: []Field{req("call", Code), req("kind", Code), req("guardian", Int), req("result", Code)}, Sealed: []SealedField{{Name: "note"}}},

	// drills and real events, plans, patrols (S11, S21)
	"emergency.opened":   {Data: []Field{req("kind", Code), req("drill", Bool), req("classes", Int), req("expected", Int), opt("place", Code), opt("plan", Code), opt("version", Int)}, Sealed: []SealedField{{Name: "event"}}, Urgent: true},
	"emergency.undone":   {},
	"emergency.count":    {Data: []Field{opt("class", Code), opt("settled", Bool), opt("done", Bool), opt("safe", Int), opt("missing", Int), opt("injured", Int), opt("absent", Int), opt("withdrawn", Int)}, Sealed: []SealedField{{Name: "marks"}}},
	"emergency.pupil":    {Data: []Field{req("event", Code)}, Sealed: []SealedField{{Name: "statement"}}},
	"emergency.search":   {Data: []Field{req("count", Int)}, Sealed: []SealedField{{Name: "query"}}}, // a name was looked up for the time of the event
	"emergency.closed":   {Data: []Field{req("expected", Int), req("safe", Int), req("missing", Int), req("injured", Int), req("open", Int), req("seconds", Int), opt("full_seconds", Int)}, Sealed: []SealedField{{Name: "closing"}}},
	"emergency.recorded": {Data: []Field{req("version", Int)}, Sealed: []SealedField{{Name: "before"}, {Name: "after"}, {Name: "reason"}}},
	"plan.changed":       {Data: []Field{req("version", Int), opt("what", Codes)}, Sealed: []SealedField{{Name: "before"}, {Name: "after"}, {Name: "reason"}}},
	"plan.drill":         {Data: []Field{req("date", Code), req("participants", Int), opt("minutes", Int)}, Sealed: []SealedField{{Name: "drill"}}},
	"patrol.recorded":    {Data: []Field{req("date", Code), req("place", Code)}, Sealed: []SealedField{{Name: "patrol"}}},

	// the centre
	"sync.enrolled":     {Data: []Field{req("centre", Code), req("certificate", Hash)}},
	"sync.witnessed":    {Data: []Field{req("size", Int), req("root", Hash)}},
	"sync.branched":     {Data: []Field{req("epoch", Int), req("fork", Int), opt("had", Int), req("reason", Code)}},
	"sync.branchclosed": {Data: []Field{req("entry", Int)}, Sealed: []SealedField{{Name: "note"}}}, // somebody looked into the branch of that entry
	"sync.centre":       {Data: []Field{req("incarnation", Code), req("acknowledged", Int)}},
}
