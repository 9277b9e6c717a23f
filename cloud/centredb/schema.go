package centredb

import (
	"context"
	"database/sql"
	"strings"
)

// schemaVersion is the layout that this build writes. A database of a later layout is refused.
const schemaVersion = "3"

// The tables, in the words that both engines know; BYTES and ID represent the engine's own.
//
// Times are milliseconds since 1970, 0 for none. app is the short number of an appliance. A leaf's row is never
// changed or removed.
const schema = `
CREATE TABLE meta (k TEXT PRIMARY KEY, v TEXT NOT NULL);
CREATE TABLE appliances (
	app ID, id TEXT NOT NULL UNIQUE, school TEXT NOT NULL,
	token_hash BYTES, token_until BIGINT NOT NULL DEFAULT 0,
	enrolled_at BIGINT NOT NULL DEFAULT 0, log_key TEXT NOT NULL DEFAULT '', public_key BYTES, serial TEXT NOT NULL DEFAULT '',
	denied_at BIGINT NOT NULL DEFAULT 0, denied_why TEXT NOT NULL DEFAULT '',
	last_contact BIGINT NOT NULL DEFAULT 0, online INTEGER NOT NULL DEFAULT 0);
CREATE TABLE cursors (
	app INTEGER NOT NULL, epoch BIGINT NOT NULL, base BIGINT NOT NULL, fork BIGINT NOT NULL, grant_id BYTES NOT NULL,
	size BIGINT NOT NULL, peaks BYTES NOT NULL, checkpoint BYTES, part_profile BIGINT NOT NULL, part_through BIGINT NOT NULL,
	claimed BIGINT NOT NULL, parked INTEGER NOT NULL, ahead BIGINT NOT NULL, stored_at BIGINT NOT NULL, behind_since BIGINT NOT NULL, PRIMARY KEY (app, epoch));
CREATE TABLE leaves (
	app INTEGER NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL, at BIGINT NOT NULL, stored_at BIGINT NOT NULL,
	kind TEXT NOT NULL, subject TEXT NOT NULL, mark TEXT NOT NULL, hash BYTES, leaf BYTES,
	PRIMARY KEY (app, epoch, seq))ROWLESS;
CREATE INDEX leaves_kind ON leaves (app, kind, seq);
CREATE TABLE nodes (
	app INTEGER NOT NULL, epoch BIGINT NOT NULL, level INTEGER NOT NULL, n BIGINT NOT NULL, hash BYTES NOT NULL,
	PRIMARY KEY (app, epoch, level, n))ROWLESS;
CREATE TABLE parked (app INTEGER NOT NULL, epoch BIGINT NOT NULL, first BIGINT NOT NULL, body BYTES NOT NULL, PRIMARY KEY (app, epoch, first));
CREATE TABLE urgent (
	app INTEGER NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL, at BIGINT NOT NULL, hash BYTES NOT NULL, leaf BYTES NOT NULL,
	PRIMARY KEY (app, epoch, seq));
CREATE TABLE parts (
	app INTEGER NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL, name TEXT NOT NULL, owner TEXT NOT NULL,
	salt BYTES, plain BYTES, erased INTEGER NOT NULL, sealed INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (app, epoch, seq, name));
CREATE INDEX parts_owner ON parts (app, owner);
CREATE TABLE applications (
	app INTEGER NOT NULL, id TEXT NOT NULL, state TEXT NOT NULL, applicant TEXT NOT NULL, decider TEXT NOT NULL,
	submitted_at BIGINT NOT NULL, changed_at BIGINT NOT NULL, detail TEXT NOT NULL,
	purpose_epoch BIGINT NOT NULL, purpose_seq BIGINT NOT NULL, reason_epoch BIGINT NOT NULL, reason_seq BIGINT NOT NULL,
	PRIMARY KEY (app, id));
CREATE INDEX applications_at ON applications (submitted_at);
CREATE TABLE aside (id ID, app INTEGER NOT NULL, at BIGINT NOT NULL, channel TEXT NOT NULL, why TEXT NOT NULL, body BYTES);
CREATE INDEX aside_app ON aside (app, id);
CREATE TABLE alarms (
	id ID, app INTEGER NOT NULL, kind TEXT NOT NULL, epoch BIGINT NOT NULL, at BIGINT NOT NULL, last_at BIGINT NOT NULL, times BIGINT NOT NULL,
	ours BYTES, theirs BYTES, detail TEXT NOT NULL,
	closed_at BIGINT NOT NULL DEFAULT 0, closed_by TEXT NOT NULL DEFAULT '', closed_note TEXT NOT NULL DEFAULT '');
CREATE INDEX alarms_app ON alarms (app, closed_at);
CREATE TABLE alarm_details (id ID, alarm BIGINT NOT NULL, at BIGINT NOT NULL, ours BYTES, theirs BYTES, detail TEXT NOT NULL);
CREATE INDEX alarm_details_alarm ON alarm_details (alarm, id);
CREATE TABLE people (id TEXT PRIMARY KEY, login TEXT NOT NULL UNIQUE, name TEXT NOT NULL, roles TEXT NOT NULL, password TEXT NOT NULL, disabled INTEGER NOT NULL, secret BYTES);
CREATE TABLE sessions (token_hash TEXT PRIMARY KEY, person TEXT NOT NULL, began TEXT NOT NULL, used TEXT NOT NULL, address TEXT NOT NULL);
CREATE INDEX sessions_person ON sessions (person);
CREATE TABLE attempts (k TEXT PRIMARY KEY, v TEXT NOT NULL);
CREATE TABLE audit (id ID, at BIGINT NOT NULL, actor TEXT NOT NULL, address TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL, result TEXT NOT NULL);
` + schemaDays

// schemaDays are the tables that layout 3 brought.
const schemaDays = `
CREATE TABLE days (
	app INTEGER NOT NULL, day BIGINT NOT NULL, kept BIGINT NOT NULL, camera TEXT NOT NULL, late BIGINT NOT NULL, gaps BIGINT NOT NULL, missing BIGINT NOT NULL,
	early BIGINT NOT NULL, submitted BIGINT NOT NULL, overdue BIGINT NOT NULL, PRIMARY KEY (app, day));
CREATE TABLE cameras (app INTEGER NOT NULL, id TEXT NOT NULL, custody TEXT NOT NULL, days BIGINT NOT NULL, retired INTEGER NOT NULL, PRIMARY KEY (app, id));
`

// upgrades are what makes a layout the next one.
var upgrades = map[string]struct {
	to, text string
	fill     func(*DB, context.Context, *sql.Tx) error // what the new tables hold from the start; nil: nothing
}{
	"1": {to: "2", text: `
CREATE TABLE alarm_details (id ID, alarm BIGINT NOT NULL, at BIGINT NOT NULL, ours BYTES, theirs BYTES, detail TEXT NOT NULL);
CREATE INDEX alarm_details_alarm ON alarm_details (alarm, id);
ALTER TABLE parts ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE people ADD COLUMN secret BYTES;
`},
	"2": {to: "3", text: schemaDays, fill: (*DB).recount},
}

// statements is a schema in the words of one engine.
func (e *engine) statements(schema string) []string {
	text := strings.NewReplacer("BYTES", e.bytes, " ID,", " "+e.id+",", ")ROWLESS", ")"+e.rowless).Replace(schema)
	var out []string
	for s := range strings.SplitSeq(text, ";") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}
