package people

import (
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/ledger"
	"campuskeep/shared/login"
	"campuskeep/shared/student"
)

// The tables of this package. What is personal is sealed under its subject's key; the rest holds codes
// only.
var (
	persons  = ledgerdb.NewTable[Person]("persons", ledgerdb.Sealed(func(p Person) string { return personOwner(p.ID) }))
	secrets  = ledgerdb.NewTable[secret]("secrets", ledgerdb.Sealed(func(s secret) string { return personOwner(s.Person) }))
	sessions = ledgerdb.NewTable[sessionRow]("sessions", ledgerdb.Sealed(func(s sessionRow) string { return personOwner(s.Person) }))
	attempts = ledgerdb.NewTable[login.Attempts]("attempts")
	setUps   = ledgerdb.NewTable[setUpRow]("setup")
	// dutyChanges wait for a second person.
	dutyChanges = ledgerdb.NewTable[DutyChange]("duty_changes", ledgerdb.Sealed(func(d DutyChange) string { return personOwner(d.Person) }))
	students    = ledgerdb.NewTable[student.Student]("students", ledgerdb.Sealed(func(s student.Student) string { return studentOwner(s.ID) }))
	classes     = ledgerdb.NewTable[student.Class]("classes", ledgerdb.Replayable())
	enrolments  = ledgerdb.NewTable[student.Enrolment]("enrolments") // key <student>/<first day>
	cards       = ledgerdb.NewTable[cardRow]("cards")                // key: hash of the card, hex
)

func personOwner(id string) string  { return "person:" + id }
func studentOwner(id string) string { return "student:" + id }

// secret is what lets one person in.
type secret struct {
	Person string `json:"person"`
	login.Secret
}

// sessionRow is one log-in; its key is the hash of the token.
type sessionRow struct {
	Person string      `json:"person"`
	Began  login.Stamp `json:"began"`
	Used   login.Stamp `json:"used"`
	Factor bool        `json:"factor,omitempty"` // a second factor was passed
	From   ledger.From `json:"from"`
}

type setUpRow struct {
	Hash []byte `json:"hash"`
}

// dutyDone is the key of the set-up row that says: there has been a duty person with a second factor.
const dutyDone = "duty"

type cardRow struct {
	Student string    `json:"student"`
	Since   time.Time `json:"since"`
	Tail    string    `json:"tail,omitempty"` // last digits, for people to tell cards apart
	Lost    time.Time `json:"lost,omitzero"`  // reported lost then: refused
}
