package account

import "campuskeep/shared/ledger"

// Who is an actor together with the way the request came. Every act at work takes one, and what it writes
// to the log says so (F13).
type Who struct {
	Actor
	From ledger.From
	Via  ledger.Via
}

// System is what the appliance does by itself, and what the installer's command and an import do.
var System = Who{Actor: Actor{ID: ledger.System.ID}, Via: ledger.ViaSystem}

// IsSystem says whether nobody in person acts. No person has that id.
func (w Who) IsSystem() bool { return w.ID == ledger.System.ID }

// Draft is an entry of what the person does under that role (from [Decision.Role]; may be empty).
func (w Who) Draft(kind ledger.Kind, role Role, subject string, data any, sealed ...ledger.Part) ledger.Draft {
	d := ledger.Draft{Actor: ledger.Actor{ID: w.ID, Role: string(role)}, Via: w.Via, Kind: kind, Subject: subject, Data: data, Sealed: sealed}
	if w.From != (ledger.From{}) {
		from := w.From
		d.From = &from
	}
	return d
}
