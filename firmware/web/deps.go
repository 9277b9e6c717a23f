package web

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"campuskeep/firmware/gate"
	"campuskeep/firmware/health"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/firmware/retention"
	"campuskeep/firmware/site"
	"campuskeep/firmware/timekeeper"
	"campuskeep/firmware/usage"
	"campuskeep/firmware/viewing"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/packet"
	"campuskeep/shared/shift"
	"campuskeep/shared/student"
	rules "campuskeep/shared/usage"
)

// Deps is what the pages need of other packages.
type Deps struct {
	Log   *slog.Logger
	Clock clock.Clock
	Zone  *time.Location // of the school
	Info  Info

	Ledger       Ledger
	People       People
	Site         Site
	Usage        UsageRegister
	Footage      footage.Source // guarded: refuses what is past the ceiling
	Watched      footage.Source // …with what is being recorded at this moment: what Player shows
	Viewings     *viewing.Viewings
	Player       Player
	Gate         Gate
	Time         Timekeeper
	NVRs         NVRs // nil: there are none
	Health       Health
	Certificates CertificateService
	Status       Status
	Metrics      http.Handler // answers /metrics to this machine and to who has the token; nil: there is none
	// MetricsToken lets a collector elsewhere ask for figures and for the details of /healthz; empty: this machine alone.
	MetricsToken string
	Alive        func() error                                       // why the program is not well; nil: nobody asks
	Answered     func(class string, status int, took time.Duration) // counts answers; nil: nobody counts
}

// Info is what does not change while the program runs.
type Info struct {
	School    string
	Appliance string // ck-0417
	Version   string
	Root      []byte // certificate to install, DER; nil: none of our own
	Ports     []Port // the published list: where this machine answers the network
}

// Port is one port that is open to the network; the catalogue has "port.<use>".
type Port struct {
	Number   uint16
	Protocol string // tcp, udp
	Use      string
}

// Ledger is the log and its one way in. *ledgerdb.Store is one.
type Ledger interface {
	Commit(context.Context, ledgerdb.Change) (ledgerdb.Receipt, error)
	Search(context.Context, ledgerdb.Query) (ledgerdb.Page, error)
	Tally(context.Context, ledgerdb.Query) (map[ledger.Kind]int, error)
	Entry(seq uint64) (ledger.Entry, error)
	Parts(seq uint64) ([]ledger.OpenPart, error)
	Proof(seq uint64) (ledger.Proof, error)
	Checkpoint(size uint64) ([]byte, error)
	VerifierKey() string
	Size() uint64
	Witnessed() (size uint64, at time.Time)
	Epoch() uint64 // the branch of the log; 1: it was never rolled back
	Subscribe() (<-chan uint64, func())
}

// People knows who is who and who is logged in. *people.People is one.
type People interface {
	Login(context.Context, people.Credentials, ledger.From) (people.Session, error)
	Session(ctx context.Context, token string, used bool) (people.Session, error)
	Logout(ctx context.Context, token string, from ledger.From) error
	NeedsSetUp() bool
	SetUp(ctx context.Context, code string, first people.Person, password string, from ledger.From) (people.Person, error)

	ChangePassword(ctx context.Context, token, old, new string, from ledger.From) error
	BeginFactor(ctx context.Context, token, password, code string, from ledger.From) (people.Factor, error)
	ConfirmFactor(ctx context.Context, token, code string, from ledger.From) (recovery []string, err error)
	HasFactor(person string) bool
	Sessions(person string) []people.Session
	EndSessions(ctx context.Context, by account.Who, person string) error

	Name(id string) string
	People() []people.Person
	Person(id string) (people.Person, bool)
	FindPeople(text string, max int) []people.Person
	AddPerson(ctx context.Context, by account.Who, n people.Person, password string) (people.Person, string, error)
	ChangePerson(ctx context.Context, by account.Who, n people.Person) error
	ResetPassword(ctx context.Context, by account.Who, person string) (password string, err error)
	ResetFactor(ctx context.Context, by account.Who, person string) error
	DutyChanges() []people.DutyChange
	ConfirmDuty(ctx context.Context, by account.Who, id string) (password string, err error)
	DropDuty(ctx context.Context, by account.Who, id string) error
	Independent(a, b string) bool

	Class(id string) (student.Class, bool)
	Classes(date string) []student.Class
	ClassesOf(person, date string) []string
	Roster(class, date string) []student.Student
	Student(id string) (student.Student, bool)
	FindStudents(text string, max int) []student.Student
}

// Site is the register of cameras and the school's settings. *site.Site is one.
type Site interface {
	Cameras() []footage.Camera
	Camera(id string) (footage.Camera, bool)
	CameraRev(id string) uint64
	PutCamera(ctx context.Context, by account.Who, c footage.Camera, login *site.Login) error
	PutCameras(ctx context.Context, by account.Who, list []site.CameraPut) (int, error)
	CheckCameras(list []site.CameraPut) site.RowErrors
	Readers() []site.Reader
	Calendar() attendance.Calendar
	Settings() site.Settings
	PutSettingsFrom(ctx context.Context, by account.Who, n site.Settings, rev uint64) error
	SettingsRev() uint64
}

// Health looks after the cameras. *health.Monitor is one.
type Health interface {
	Faults() []health.Fault // open ones, the longest open first
	History(camera string, since time.Time) ([]health.Fault, error)
	Fault(id string) (health.Fault, error)
	Technician(health.Fault) string
	Acknowledge(ctx context.Context, by account.Who, id, note string) error
	LastVisit(camera string) (health.LastVisit, bool)
	// Test connects to a camera as it is described; login nil takes the registered one.
	Test(ctx context.Context, cam footage.Camera, login *site.Login) (health.TestResult, error)
}

// UsageRegister is the register of footage use at work. *usage.Register is one.
type UsageRegister interface {
	// Allow asks the permission table and enters a refusal in the log before it returns it.
	Allow(ctx context.Context, by account.Who, action account.Action, subject account.Subject) (account.Decision, error)
	// Present gives an actor their shift and grants as they are now.
	Present(account.Actor, clock.Reading) account.Actor

	Submit(ctx context.Context, by account.Who, a rules.Application) (rules.Application, error)
	Review(ctx context.Context, by account.Who, id string, cameras []string, note string) (rules.Application, error)
	Return(ctx context.Context, by account.Who, id, reason string) (rules.Application, error)
	Decide(ctx context.Context, by account.Who, id string, d rules.Decision) (rules.Application, error)
	Withdraw(ctx context.Context, by account.Who, id string) (rules.Application, error)
	Revoke(ctx context.Context, by account.Who, id, reason string) (rules.Application, error)
	List() []rules.Application
	Get(id string) (rules.Application, error)
	Report(ctx context.Context, by account.Who, id string, r rules.Report) (rules.Application, error)
	Accept(ctx context.Context, by account.Who, id string) (rules.Application, error)
	Holds() []footage.Hold
	// UseOf counts what the log says was done under an application.
	UseOf(ctx context.Context, id string) (usage.Use, error)
	// Proposal is the proposal to release a hold, when there is one.
	Proposal(hold string) (usage.Proposal, bool)
	// KeptHolds are the holds in force with what they cost, and how far the caps are used.
	KeptHolds(ctx context.Context) ([]usage.KeptHold, usage.HoldUse, error)
	HoldSubject(id string) (account.Subject, error)
	// Two people let a hold go before its end: one proposes, another confirms; either says no.
	ProposeRelease(ctx context.Context, by account.Who, id, reason string) (usage.Proposal, error)
	ConfirmRelease(ctx context.Context, by account.Who, id string) error
	KeepHold(ctx context.Context, by account.Who, id string) error
	Places(ctx context.Context) ([]string, error)
	Available(ctx context.Context, wanted []rules.RequestedSpan) ([]usage.Offer, error)

	// The control room (F20).
	Shift(person string) (shift.Shift, bool)
	OpenShifts() []shift.Shift
	Shifts(span footage.Span) []shift.Shift
	BeginShift(ctx context.Context, by account.Who) (shift.Shift, error)
	OfferShift(ctx context.Context, by account.Who, n usage.HandoverNotes) (shift.Shift, error)
	// HandShift takes two who have both authenticated then and there.
	HandShift(ctx context.Context, from, to account.Who) (shift.Shift, error)
	EndShift(ctx context.Context, by account.Who, why shift.End) error

	// Incident is the purpose that a duty officer stated and that still counts.
	Incident(person string) (usage.Incident, bool)
	// Snapshot returns only after the entry of the still picture is committed.
	Snapshot(ctx context.Context, by account.Who, viewing, id string, at time.Time) (usage.Still, error)
}

// CertificateService writes deletion certificates and monthly reports. *retention.Certificates is one.
type CertificateService interface {
	DeletedDays(ctx context.Context, f retention.DayFilter) (days []retention.DeletedDay, next uint64, err error)
	Day(ctx context.Context, camera, day string) (packet.Declared, packet.Day, error)
	// Issued is the entry that binds the present certificate; ok is false when it was not issued yet.
	Issued(ctx context.Context, camera, day string) (seq uint64, ok bool, err error)
	// Issue makes the certificate; the issue is an entry, made once for the same words.
	Issue(ctx context.Context, by account.Who, role account.Role, camera, day string) (packet.Certificate, packet.Day, error)
	// InService lists the cameras that were in service at any time of a month.
	InService(ctx context.Context, month string) ([]string, error)
	// Months reports on cameras, in their order.
	Months(ctx context.Context, cameras []string, month string) ([]footage.MonthReport, error)
}

// Player gives the bytes of an opened viewing. *playback.Player is one.
type Player interface {
	Touch(id string) error // somebody waits for the footage
	Playlist(ctx context.Context, id string) ([]byte, error)
	Init(ctx context.Context, id string, n int) ([]byte, error)
	Fragment(ctx context.Context, id, segment string, i int) ([]byte, error)
	DisableAudio(id string) error // from the next playlist on: without sound
}

// Gate is attendance as it is. *gate.Gate is one.
type Gate interface {
	Board(date string) (gate.Board, error)
	Roll(class, date string) ([]attendance.DayStatus, error)
	PutMark(ctx context.Context, by account.Who, role account.Role, m attendance.Mark, class, reason string) (attendance.DayStatus, error)
	Subscribe() (<-chan gate.Event, func())
}

// Timekeeper explains the clock and takes what two people state. *timekeeper.Keeper is one.
type Timekeeper interface {
	Explain() timekeeper.Explanation
	Anchors() clock.Anchors
	Confirm(ctx context.Context, by account.Who, role account.Role, utc time.Time, independent func(a, b string) bool) (done bool, err error)
}

// Status gathers the states that the first page shows.
type Status interface {
	Retention() RetentionStatus
	Sync() Sync
	Cameras() map[string]CameraState // by camera id
}

// RetentionStatus is the state of retention.
type RetentionStatus struct {
	Swept        time.Time // last finished sweep
	NextDue      time.Time // next deletion; zero: none known
	Suspended    string    // catalogue key: why nothing is deleted now; empty: it runs
	Condemned    int       // files that ought to be gone and are still there
	KeysUnerased int       // keys that ought to be gone and are not, or left files behind
	Skipped      []string  // cameras that the last sweep could not look at
	Rotten       []string  // holds whose keys cannot be opened or written
	Watermark    map[string]time.Time

	Free, Total uint64 // bytes of the disk; Total 0: not known
	DailyBytes  int64  // written a day, of late
	Days        float64

	// The arithmetic of the disk (design §5, never early). Capacity is what footage may use: the size of the
	// disk less Reserve and less Other, what else lies on it. Capacity 0 with Total 0: the disk cannot be asked.
	Loads                          []footage.Load // cameras in our custody, by id
	Held, Capacity, Reserve, Other int64
	Used                           int64 // footage there now
	Forecast                       footage.Forecast
	Thinned                        []string // cameras that record their sub-stream to save room
	Stopped                        []string // cameras that do not record because the disk is full
	WhenFull                       string   // "stop" or "breach", the school's setting

	// What an erasure is worth: "erased" with the root key in a TPM, "best_effort" without.
	Assurance string
	RootPlace string    // "file" or "tpm"
	Rotated   time.Time // of the root key; zero: never
}

// Sync is the state of the link to the centre.
type Sync struct {
	Centre    string // its name; empty: not enrolled
	Connected bool
	Acked     uint64 // entries that the centre's database holds
	Since     time.Time
}

// CameraState is the state of the recording of one camera.
type CameraState struct {
	State string // online, offline, connecting, unusable
	Since time.Time
	Cause footage.Cause
	// Listed is up to when it is known what lies on the NVR that keeps the camera's footage: what came later has
	// not been asked for and is not missing. Zero: we record it ourselves, or nothing is known yet.
	Listed time.Time
	Offers string // the sound that it offers; empty: none, or not known
	Sound  bool   // …and it is recorded
	// ByArrival: the camera's clock is no measure of time, so its pictures are timed by when they come.
	ByArrival bool
}
