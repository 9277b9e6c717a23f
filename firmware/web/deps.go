package web

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"campuskeep/firmware/emergency"
	"campuskeep/firmware/health"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/oversight"
	"campuskeep/firmware/people"
	"campuskeep/firmware/reader"
	"campuskeep/firmware/records"
	"campuskeep/firmware/site"
	"campuskeep/firmware/usage"
	"campuskeep/firmware/viewing"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/shift"
	"campuskeep/shared/student"
	rules "campuskeep/shared/usage"
)

// Deps is what the pages need of other packages.
type Deps struct {
	Log   *slog.Logger
	Clock clock.Clock
	Zone  *time.Location // of the school
	Info  frame.Info

	Ledger       *ledgerdb.Store
	People       *people.People
	Site         *site.Site
	Usage        *usage.Register
	Records      *records.Records
	Footage      footage.Source // guarded: refuses what is past the ceiling
	Watched      footage.Source // …with what is being recorded at this moment: what Player shows
	Viewings     *viewing.Viewings
	Player       frame.Player
	Gate         frame.Gate
	Readers      frame.ReaderService
	Cards        *reader.Recent
	Emergency    *emergency.Register
	Time         frame.Timekeeper
	NVRs         frame.NVRs // nil: there are none
	Health       *health.Monitor
	Oversight    *oversight.Office
	Certificates frame.CertificateService
	Status       frame.Status
	Metrics      http.Handler // answers /metrics to this machine and to who has the token; nil: there is none
	// MetricsToken lets a collector elsewhere ask for figures and for the details of /healthz; empty: this machine alone.
	MetricsToken string
	Alive        func() error                                       // why the program is not well; nil: nobody asks
	Answered     func(class string, status int, took time.Duration) // counts answers; nil: nobody counts
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
