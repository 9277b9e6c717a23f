// Package people keeps who works here and who learns here: accounts with their duties, passwords, second
// factors, sessions and lock-out; pupils with their guardians, classes, dated enrolment and cards.
//
// It owns the tables named in tables.go, <data>/keys/site (the key under which card numbers are hashed), and
// an index of it all in memory. Personal rows are sealed under their subject's key. It must never keep a
// password, token, recovery code or card number in a form that could be used again, and never let anybody
// change their own rights.
package people

import (
	"errors"
	"log/slog"
	"time"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
	"campuskeep/shared/login"
	"campuskeep/shared/student"
)

// Person is somebody with an account: one person, one account (M3), bound to a staff number (M7).
type Person struct {
	ID       string         `json:"id"`    // p001 …
	Login    string         `json:"login"` // log-in name, lower case
	Name     string         `json:"name"`
	StaffNo  string         `json:"staff_no"`
	Unit     string         `json:"unit"` // 德育处, 安保科 …
	Title    string         `json:"title,omitempty"`
	Phone    string         `json:"phone,omitempty"`
	Roles    []account.Role `json:"roles"`
	Disabled bool           `json:"disabled,omitempty"`
	Since    time.Time      `json:"since,omitzero"`
	RightsBy []string       `json:"rights_by,omitempty"` // who gave the present duties or reset the credentials last
	RightsAt login.Stamp    `json:"rights_at,omitzero"`
	Rev      uint64         `json:"-"` // revision of the row, for ChangePerson
}

// Credentials are what somebody types to log in. Code is a one-time code or a recovery code; empty at first.
// Device is the cookie that this browser keeps of earlier log-ins; empty on a new one.
type Credentials struct {
	User, Password, Code string
	Device               string
}

// Errors of logging in. Their texts are the catalogue's; none says whether the name exists.
var (
	// ErrRefused: name or password is wrong, or the account is disabled. Text "login.refused".
	ErrRefused = login.ErrRefused
	// ErrCodeNeeded: the password is right, a one-time code is still needed. Not a failure. Text "login.code_needed".
	ErrCodeNeeded = login.ErrCodeNeeded
	// ErrCodeRefused: the code is wrong or was used. Text "login.code_refused".
	ErrCodeRefused = login.ErrCodeRefused
	// ErrCodeClock: the clock is too uncertain for one-time codes; a recovery code works. Text "login.code_clock".
	ErrCodeClock = login.ErrClockWorse
	// ErrNoSession: no such session, or it is over. The page sends to the log-in page.
	ErrNoSession = errors.New("people: no session")
	// ErrNotFound: no such person, student, class or card.
	ErrNotFound = errors.New("people: not found")
	// ErrSetUp: the first administrator exists already.
	ErrSetUp = errors.New("people: already set up")
)

// Locked is the error while a name or an address is locked out. Text "login.locked" with the minutes left.
type Locked = login.Locked

// Session is one log-in. Token is only set where it was just made; Actor is composed again at every look, so that
// a revoked role is gone at the next request. Actor has no Grants and OnShift: evidence and oversight add those.
type Session struct {
	Token        string
	Device       string // only where Token is: the cookie that makes this browser a known one
	ID           string // for lists; says nothing about the token
	Person       Person
	Actor        account.Actor
	From         ledger.From
	Began        time.Time
	Expires      time.Time // at the latest
	MustPassword bool      // the password was set by somebody else or is too old: it must be changed now
	MustFactor   bool      // a duty asks for a second factor and there is none yet
}

// Policy is what the school sets about log-ins.
type Policy struct {
	Session      login.SessionRules
	PasswordDays int // age at which a password must be changed; 0: never by age (M3)
}

// DefaultPolicy has no change of passwords by age: forced changes make them weaker (NIST SP 800-63B).
var DefaultPolicy = Policy{Session: login.DefaultSession}

// Options is what people need from outside.
type Options struct {
	Store  *ledgerdb.Store
	Data   disk.FS // the data directory
	Clock  clock.Clock
	Zone   *time.Location
	Policy func() Policy // asked at every use; nil: DefaultPolicy
	// Schooling is which stages the school has, asked when a roster is read; nil: not set.
	Schooling func() student.Schooling
	Cost      login.Params // of new password hashes; zero: login.Cost
	Log       *slog.Logger
}

// NewStudent is a student to register: class and first day there, and the cards.
type NewStudent struct {
	student.Student
	Class string // class id; empty for outside participants
	From  string // first day in the class
	Cards []attendance.Card
}

// Factor is a second factor while it is being set up.
type Factor struct {
	Text string // to type into the app
	URI  string // otpauth://, for the QR code
}
