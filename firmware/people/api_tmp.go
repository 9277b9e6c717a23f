package people

import (
	"context"
	"io"

	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/fielderr"
	"campuskeep/shared/ledger"
	"campuskeep/shared/student"
)

const todo = "people: body follows"

// People is the room at work. All methods are safe for concurrent use.
type People struct{}

// Open loads the index; personal rows are opened with the store's people ring. The store's Run need not run yet.
func Open(ctx context.Context, o Options) (*People, error) { panic(todo) }

// Run writes down which sessions are in use and removes what is over, until ctx ends.
func (p *People) Run(ctx context.Context) error { panic(todo) }

// ---- logging in

// Login checks the credentials and begins a session. Errors: ErrRefused, ErrCodeNeeded, ErrCodeRefused, ErrCodeClock, *Locked.
func (p *People) Login(ctx context.Context, c Credentials, from ledger.From) (Session, error) {
	panic(todo)
}

// Verify is Login without a session: for a second person who authenticates at somebody's screen (F14).
func (p *People) Verify(ctx context.Context, c Credentials, from ledger.From) (account.Actor, error) {
	panic(todo)
}

// Session finds a session by its token and marks it as used. From memory; ErrNoSession.
func (p *People) Session(ctx context.Context, token string) (Session, error) { panic(todo) }

// Logout ends a session; one that is over already is fine.
func (p *People) Logout(ctx context.Context, token string, from ledger.From) error { panic(todo) }

// Sessions lists somebody's open sessions.
func (p *People) Sessions(person string) []Session { panic(todo) }

// EndSessions ends all sessions of somebody: their own, or with account.ActPeopleEdit.
func (p *People) EndSessions(ctx context.Context, by account.Who, person string) error { panic(todo) }

// ---- secrets

// ChangePassword is a person's own; it ends the person's other sessions. fielderr.Errors when old is wrong or new is refused.
func (p *People) ChangePassword(ctx context.Context, token, old, new string, from ledger.From) error {
	panic(todo)
}

// ResetPassword sets a one-time password that must be changed at the next log-in, and ends all sessions.
func (p *People) ResetPassword(ctx context.Context, by account.Who, person string) (password string, err error) {
	panic(todo)
}

// BeginFactor makes the secret of a second factor; it counts once ConfirmFactor has seen a code of it.
func (p *People) BeginFactor(ctx context.Context, token string) (Factor, error) { panic(todo) }

// ConfirmFactor takes the second factor into use, and gives the recovery codes, shown only this once.
func (p *People) ConfirmFactor(ctx context.Context, token, code string, from ledger.From) (recovery []string, err error) {
	panic(todo)
}

// ResetFactor removes a lost second factor of somebody else.
func (p *People) ResetFactor(ctx context.Context, by account.Who, person string) error { panic(todo) }

// ---- first start

// NeedsSetUp says whether there is nobody yet who could log in.
func (p *People) NeedsSetUp() bool { panic(todo) }

// SetUpCode makes the code that lets the first administrator in; an earlier one is void. ErrSetUp.
func (p *People) SetUpCode(ctx context.Context) (code string, err error) { panic(todo) }

// SetUp creates the first administrator. ErrSetUp, ErrRefused (code), *Locked, fielderr.Errors.
func (p *People) SetUp(ctx context.Context, code string, first Person, password string, from ledger.From) (Person, error) {
	panic(todo)
}

// ---- staff

// Person by id.
func (p *People) Person(id string) (Person, bool) { panic(todo) }

// PersonByLogin by log-in name.
func (p *People) PersonByLogin(name string) (Person, bool) { panic(todo) }

// Name of a person or student by id; the id itself when it is unknown or erased.
func (p *People) Name(id string) string { panic(todo) }

// People lists everybody, by id.
func (p *People) People() []Person { panic(todo) }

// FindPeople finds persons by part of name, log-in, staff number or unit.
func (p *People) FindPeople(text string, max int) []Person { panic(todo) }

// HasFactor says whether the person uses a second factor.
func (p *People) HasFactor(person string) bool { panic(todo) }

// AddPerson registers somebody. Without a password a one-time password is made and returned. fielderr.Errors, *account.Refused.
func (p *People) AddPerson(ctx context.Context, by account.Who, n Person, password string) (Person, string, error) {
	panic(todo)
}

// ChangePerson changes everything but secrets. Nobody changes their own roles or disables themselves. store.ErrConflict, fielderr.Errors, *account.Refused.
func (p *People) ChangePerson(ctx context.Context, by account.Who, n Person) error { panic(todo) }

// ---- pupils

// Student by id.
func (p *People) Student(id string) (student.Student, bool) { panic(todo) }

// Students counts them.
func (p *People) Students() int { panic(todo) }

// FindStudents finds by part of name, id or 学籍号.
func (p *People) FindStudents(text string, max int) []student.Student { panic(todo) }

// AddStudents registers pupils with class and cards, all or none. fielderr.Errors with fields "<row>.<field>", rows from 0.
func (p *People) AddStudents(ctx context.Context, by account.Who, list []NewStudent) (ids []string, err error) {
	panic(todo)
}

// ChangeStudent changes basic information.
func (p *People) ChangeStudent(ctx context.Context, by account.Who, s student.Student) error {
	panic(todo)
}

// MoveStudent ends the current enrolment on a date and begins one in another class ("" when the student leaves).
func (p *People) MoveStudent(ctx context.Context, by account.Who, id, class, date string, why student.Left) error {
	panic(todo)
}

// ---- classes

// Class by id.
func (p *People) Class(id string) (student.Class, bool) { panic(todo) }

// Classes lists all classes in order of grade and number on a date, those that have left or not begun omitted.
func (p *People) Classes(date string) []student.Class { panic(todo) }

// PutClass registers or changes a class and its teachers.
func (p *People) PutClass(ctx context.Context, by account.Who, c student.Class) error { panic(todo) }

// ClassOf is the class of a student on a date, empty when none.
func (p *People) ClassOf(studentID, date string) string { panic(todo) }

// Roster lists the students of a class on a date, by name order of the roll (id).
func (p *People) Roster(class, date string) []student.Student { panic(todo) }

// ClassesOf lists the classes in a teacher's charge on a date.
func (p *People) ClassesOf(person, date string) []string { panic(todo) }

// ---- cards

// CardKey is the site key under which card numbers are hashed.
func (p *People) CardKey() [32]byte { panic(todo) }

// ByCard finds the student by the hash of the card, and today's class. From memory.
func (p *People) ByCard(hash []byte) (studentID, class string, ok bool) { panic(todo) }

// AssignCard gives a card to a student; fielderr.Errors when somebody else has it.
func (p *People) AssignCard(ctx context.Context, by account.Who, card attendance.Card, studentID string) error {
	panic(todo)
}

// CancelCards ends all cards of a student (lost).
func (p *People) CancelCards(ctx context.Context, by account.Who, studentID string) error {
	panic(todo)
}

// ---- rosters

// WriteRosterTemplate writes the spreadsheet to fill in.
func (p *People) WriteRosterTemplate(w io.Writer) error { panic(todo) }

// Preview is a roster that was read and checked, not yet stored.
type Preview struct {
	File   string // hash of the file: import takes exactly what was shown
	Rows   []NewStudent
	Faults []RowFault
}

// RowFault is what is wrong in one row of the sheet (counted as the spreadsheet does, from 1).
type RowFault struct {
	Row    int
	Errors fielderr.Errors
}

// ReadRoster reads an .xlsx file of at most 5 MB.
func (p *People) ReadRoster(r io.Reader) (Preview, error) { panic(todo) }

// ImportRoster stores a roster without faults, all or nothing.
func (p *People) ImportRoster(ctx context.Context, by account.Who, v Preview) (ids []string, err error) {
	panic(todo)
}
