package emergency

import (
	"time"

	"campuskeep/firmware/ledgerdb"
	rules "campuskeep/shared/emergency"
)

// The tables of this package. What was said about a pupil is sealed under the pupil's key and goes with it; texts of an
// event, a plan or a patrol under a key of their own. Rolls hold pseudonymous ids only.
var (
	events     = ledgerdb.NewTable[rules.Event]("emergencies", ledgerdb.Sealed(func(e rules.Event) string { return eventOwner(e.ID) }))
	rolls      = ledgerdb.NewTable[roll]("emergency_rolls")                                                           // key <event>/<class>
	statements = ledgerdb.NewTable[said]("emergency_said", ledgerdb.Sealed(func(s said) string { return s.owner() })) // key <event>/<batch>/<n>
	dones      = ledgerdb.NewTable[done]("emergency_done")                                                            // key <event>/<class>
	batches    = ledgerdb.NewTable[batchRow]("emergency_batches")                                                     // key <event>/<batch>
	plans      = ledgerdb.NewTable[rules.Plan]("emergency_plans", ledgerdb.Sealed(func(p rules.Plan) string { return planOwner(p.ID) }))
	patrols    = ledgerdb.NewTable[rules.Patrol]("patrols", ledgerdb.Sealed(func(rules.Patrol) string { return patrolOwner }))
)

func eventOwner(id string) string   { return "emergency:" + id }
func planOwner(id string) string    { return "plan:" + id }
func studentOwner(id string) string { return "student:" + id }

const patrolOwner = "site:patrols"

// roll is a class as the gate knew it when the event was opened.
type roll struct {
	Event  string        `json:"event"`
	Class  string        `json:"class"`
	Head   string        `json:"head,omitempty"` // class teacher of that day
	Pupils []rules.Pupil `json:"pupils"`
}

// said is a statement as it is stored.
type said struct {
	Event string `json:"event"`
	rules.Statement
}

func (s said) owner() string {
	if s.Student == "" {
		return eventOwner(s.Event)
	}
	return studentOwner(s.Student)
}

// done is a class that reported to the control.
type done struct {
	Class string        `json:"class"`
	By    string        `json:"by"`
	Said  time.Duration `json:"said"`
}

// batchRow says that what a phone sent under this name is stored.
type batchRow struct {
	ID  string `json:"id"`
	Sum string `json:"sum"`
}
