// Package centredb is the centre's database behind one interface with two engines: SQLite, embedded,
// and PostgreSQL.
//
// It owns every SQL statement of the centre and the lock on an appliance's cursor, which serialises all writing
// for that appliance. It must never judge: what may be stored is decided by shared/wire/protocol, who may read by
// account.May; and it must never change or remove a leaf.
package centredb

import (
	"context"
	"errors"
	"time"

	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/login"
	"campuskeep/shared/wire/protocol"
)

// Errors that callers branch on.
var (
	ErrNotFound = errors.New("centredb: not found")
	ErrExists   = errors.New("centredb: exists already")
	// ErrDamaged: what was read is not what was written (a leaf that no longer hashes to its root).
	ErrDamaged = errors.New("centredb: damaged")
)

// Store is the centre's database. Every method is one transaction, durable when it returns nil.
type Store interface {
	Ingest
	Registry
	Queries
	People
	Close() error
}

// Ingest is the writing side of the sync protocol.
type Ingest interface {
	// Update runs fn with the appliance's cursors locked against every other writer, and commits when fn
	// returns nil. An unknown appliance is ErrNotFound.
	Update(ctx context.Context, appliance string, fn func(protocol.Tx) error) error
	// View runs fn on one consistent state without locking.
	View(ctx context.Context, appliance string, fn func(protocol.Tx) error) error
	// Seen notes a message of the appliance, and whether it is connected.
	Seen(ctx context.Context, appliance string, at time.Time, online bool) error
	// AllOffline forgets who was connected: the broker that knew has ended.
	AllOffline(ctx context.Context) error
	// Incarnation is the current one; it is made at first opening.
	Incarnation(ctx context.Context) (protocol.Incarnation, error)
	// Renew makes a new incarnation: the operator has restored this database from a copy.
	Renew(ctx context.Context, at time.Time) (protocol.Incarnation, error)
}

// Appliance is a row of the registry of appliances.
type Appliance struct {
	ID         string
	School     string // display name
	TokenHash  []byte // SHA-256 of the enrolment token; nil when none is open
	TokenUntil time.Time
	EnrolledAt time.Time // zero: not yet
	Key        string    // note verifier key of its checkpoints, epoch left out; see protocol.KeyOf
	PublicKey  []byte    // SubjectPublicKeyInfo of its TLS key: renewal works with the same key only
	Serial     string    // of its newest certificate, hex
	DeniedAt   time.Time // zero: not denied
	DeniedWhy  string
}

// Registry keeps which appliances there are and how they prove who they are.
type Registry interface {
	// PutToken registers an appliance (or gives an existing one a new token). Another name than the registered one is
	// ErrExists: a token renames no school.
	PutToken(ctx context.Context, id, school string, hash []byte, until time.Time) error
	// Rename gives the school of an appliance another name.
	Rename(ctx context.Context, id, school string) error
	Appliance(ctx context.Context, id string) (Appliance, error)
	// Enrol uses up the token, whose hash must match, and binds the keys. A wrong or spent token is ErrNotFound.
	Enrol(ctx context.Context, id string, hash []byte, at time.Time, key string, publicKey []byte, serial string) error
	// SetSerial records a renewed certificate.
	SetSerial(ctx context.Context, id, serial string) error
	// Deny refuses the appliance from now on; an empty reason lifts it.
	Deny(ctx context.Context, id string, at time.Time, why string) error
	Denied(ctx context.Context) ([]string, error)
}

// Status of a school on the console, worst first.
type Status string

// What a school's row can say.
const (
	StatusForked  Status = "forked" // an open alarm: its log departs from what was witnessed
	StatusDenied  Status = "denied" // its certificate is refused
	StatusSilent  Status = "silent" // no contact for more than two hours
	StatusBehind  Status = "behind" // in contact, more than an hour of entries not witnessed
	StatusAlarm   Status = "alarm"  // another open alarm
	StatusNew     Status = "new"    // registered, not yet enrolled
	StatusHealthy Status = "healthy"
)

// School is one school as the console shows it.
type School struct {
	Appliance   string
	Name        string
	Status      Status
	Epoch       uint64
	Witnessed   uint64    // leaves stored, verified and cosigned
	Claimed     uint64    // size of its log as it last said in a hello; ≥ Witnessed when it is behind
	Root        string    // root at Witnessed, base64
	WitnessedAt time.Time // when the newest leaf was stored
	LastContact time.Time
	Online      bool
	EnrolledAt  time.Time
	OpenAlarms  int
	Cameras     int           // in service
	Kept        time.Duration // the shortest time for which footage was kept that went in the last seven days; -1: none went
}

// Page asks for a part of a list, newest first. Before continues where the page before ended.
type Page struct {
	Limit  int    // 1 to 500; 0 means 50
	Before uint64 // sequence number: only older ones; 0: from the newest
}

// EntryFilter narrows Entries; zero fields do not.
type EntryFilter struct {
	Kinds    []string // exact kinds, or a prefix that ends in "."
	Subject  string
	Actor    string
	From, To time.Time // half-open
	Epoch    uint64    // 0: the current chain; else that epoch alone (old tails of a restored appliance)
	Marked   bool      // only those that hold nonsense
}

// Entry is a stored leaf as the console shows it.
type Entry struct {
	Appliance string
	Epoch     uint64
	Seq       uint64
	Leaf      []byte       // as signed; nil for a hash-only leaf
	Entry     ledger.Entry // decoded; zero when Mark says that it is nonsense
	Mark      string       // "", or why it could not be read
	StoredAt  time.Time
	Parts     []Part // released parts that have arrived
}

// Part is a released sealed part.
type Part struct {
	Name   string
	Owner  string
	Plain  []byte
	Erased bool // its owner was erased
}

// ApplicationState is how far an application for footage has come, as its entries say.
type ApplicationState string

// States of an application derived from entries.
const (
	AppSubmitted ApplicationState = "submitted"
	AppReviewed  ApplicationState = "reviewed"
	AppReturned  ApplicationState = "returned"
	AppApproved  ApplicationState = "approved"
	AppRejected  ApplicationState = "rejected"
	AppWithdrawn ApplicationState = "withdrawn"
	AppExpired   ApplicationState = "expired"
	AppRevoked   ApplicationState = "revoked"
	AppDue       ApplicationState = "due"     // its usage report is due
	AppOverdue   ApplicationState = "overdue" // … and late
	AppReported  ApplicationState = "reported"
	AppClosed    ApplicationState = "closed"
)

// Application is an application for footage, derived from the entries about it.
type Application struct {
	Appliance   string
	School      string
	ID          string // e.g. "a2026-0047"
	State       ApplicationState
	Applicant   string // pseudonymous id
	Decider     string // pseudonymous id; empty before a decision
	Places      int
	Cameras     []string
	Spans       []Span
	Way         string
	Unit        string
	Purpose     string // released text; empty until it has arrived
	PurposeGone bool   // erased
	Reason      string // released text of the latest return or rejection
	SubmittedAt time.Time
	ChangedAt   time.Time
	Until       time.Time
	Steps       []Entry // its entries, oldest first (School and Application pages); without Parts
}

// Span is a time span of footage, half-open.
type Span struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// ApplicationFilter narrows Applications; zero fields do not.
type ApplicationFilter struct {
	Appliance string
	State     ApplicationState
	Query     string // part of the id, the school's name or the purpose
}

// ApplicationPage is a page of applications.
type ApplicationPage struct {
	Items []Application
	Total int // that match the filter
}

// ClassDay is one class on one day.
type ClassDay struct {
	Class   string
	Present int // in on time
	Late    int
	Left    int // whose last tap is out
}

// AttendanceDay is one school on one day, derived from attendance.* entries.
type AttendanceDay struct {
	Appliance         string
	Date              string // YYYY-MM-DD
	Students          int    // different pupils that tapped
	Present           int
	Late              int
	Absent            int // as the day's rules decided (attendance.day entries)
	Leave             int
	Unknown           int
	Taps              int
	UnknownCards      int
	FirstTap, LastTap time.Time
	Classes           []ClassDay // by class id
}

// Occurrence is one more time that an open alarm came, with what was reported then.
type Occurrence struct {
	At           time.Time
	Ours, Theirs []byte
	Detail       string
}

// Alarm is something a person at the centre must look at.
type Alarm struct {
	ID         int64
	Appliance  string
	School     string
	Kind       string // protocol.Alarm… codes, or the kind of an urgent entry
	At         time.Time
	Epoch      uint64
	Ours       []byte       // checkpoint that we witnessed, when the alarm is about a log
	Theirs     []byte       // checkpoint that contradicts it
	Detail     string       // codes and numbers, no personal data
	Times      int          // how often it came while it was open
	LastAt     time.Time    // when it came last
	Later      []Occurrence // those after the first, newest first, at most 20
	ClosedAt   time.Time    // zero: open
	ClosedBy   string
	ClosedNote string
}

// Totals are the numbers on top of the console's first page.
type Totals struct {
	Schools, Silent, Behind, Forked, OpenAlarms int
	Leaves                                      uint64
	OpenApplications                            int
}

// Queries is what the console reads. `now` decides what is silent or behind.
type Queries interface {
	ListSchools(ctx context.Context, now time.Time) ([]School, error)
	School(ctx context.Context, appliance string, now time.Time) (School, error)
	Totals(ctx context.Context, now time.Time) (Totals, error)
	// Applications lists newest first; offset and limit page through them.
	Applications(ctx context.Context, f ApplicationFilter, offset, limit int) (ApplicationPage, error)
	// Application is one with its Steps.
	Application(ctx context.Context, appliance, id string) (Application, error)
	// AttendanceToday derives one school's day; date is YYYY-MM-DD as the school counts it.
	AttendanceToday(ctx context.Context, appliance, date string) (AttendanceDay, error)
	// RetentionSince counts the entries about keeping footage.
	RetentionSince(ctx context.Context, appliance string, since time.Time) (Retention, error)
	// Report counts whole days for every school.
	Report(ctx context.Context, from, to, now time.Time) ([]ReportRow, error)
	Entries(ctx context.Context, appliance string, f EntryFilter, p Page) ([]Entry, error)
	Entry(ctx context.Context, appliance string, seq uint64) (Entry, error)
	// Alarms lists newest first; all schools when appliance is empty.
	Alarms(ctx context.Context, appliance string, openOnly bool, limit int) ([]Alarm, error)
	CloseAlarm(ctx context.Context, id int64, at time.Time, by, note string) error
	// Leaves calls fn for the leaves [from,to) of the current chain, in order.
	Leaves(ctx context.Context, appliance string, from, to uint64, fn func(seq uint64, l protocol.Leaf) error) error
}

// Person works at the centre.
type Person struct {
	ID       string // "c001"
	User     string
	Name     string
	Roles    []account.Role
	Password string // hash of shared/login
	Disabled bool
	Secret   []byte // sealed by the console: second factor, recovery codes; nil for a person of an earlier build
}

// Session of a person at the console. The token itself is never stored.
type Session struct {
	TokenHash string // login.HashToken
	Person    string
	Began     login.Stamp
	Used      login.Stamp
	Address   string
}

// Audit is a line of the centre's own log of who did what.
type Audit struct {
	ID      int64
	At      time.Time
	Actor   string // person id, "system", or "" for an unknown user
	Address string
	Action  string // code
	Subject string
	Result  string // "ok" or a reason code
}

// People keeps the centre's people, their sessions and failed log-ins.
type People interface {
	PutPerson(ctx context.Context, p Person) error // creates or replaces by ID; a taken User is ErrExists
	Person(ctx context.Context, id string) (Person, error)
	PersonByUser(ctx context.Context, user string) (Person, error)
	ListPeople(ctx context.Context) ([]Person, error)

	PutSession(ctx context.Context, s Session) error
	Session(ctx context.Context, tokenHash string) (Session, error)
	TouchSession(ctx context.Context, tokenHash string, used login.Stamp) error
	DeleteSession(ctx context.Context, tokenHash string) error
	DeleteSessionsOf(ctx context.Context, person string) error
	// SessionsOf lists a person's, the newest first.
	SessionsOf(ctx context.Context, person string) ([]Session, error)

	// SetupCode is what is stored of the code that lets the first person in, and until when; nil when there is none.
	SetupCode(ctx context.Context) (hash []byte, until time.Time, err error)
	// PutSetupCode replaces it; nil removes it.
	PutSetupCode(ctx context.Context, hash []byte, until time.Time) error

	// Attempts reads and SetAttempts writes the failed log-ins of a key: a hashed user name or an address. No
	// row is the zero value.
	Attempts(ctx context.Context, key string) (login.Attempts, error)
	SetAttempts(ctx context.Context, key string, a login.Attempts) error
	// AllAttempts reads every key's.
	AllAttempts(ctx context.Context) (map[string]login.Attempts, error)

	AddAudit(ctx context.Context, a Audit) error
	ListAudit(ctx context.Context, limit int) ([]Audit, error) // newest first
}
