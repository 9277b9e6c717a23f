package centredb

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"campuskeep/shared/ledger"
)

const appPrefix = "application."

// appStates says what each kind of entry makes of an application.
var appStates = map[ledger.Kind]ApplicationState{
	"application.submitted": AppSubmitted, "application.reviewed": AppReviewed, "application.returned": AppReturned,
	"application.approved": AppApproved, "application.rejected": AppRejected, "application.withdrawn": AppWithdrawn,
	"application.expired": AppExpired, "application.revoked": AppRevoked, "application.closed": AppClosed,
	"application.extended": AppApproved, "application.due": AppDue, "application.overdue": AppOverdue, "application.reported": AppReported,
}

// appDetail is what is shown of an application beyond its columns; the last entry that says a thing decides.
type appDetail struct {
	Places  int       `json:"places,omitempty"`
	Cameras []string  `json:"cameras,omitempty"`
	Spans   []Span    `json:"spans,omitempty"`
	Way     string    `json:"way,omitempty"`
	Unit    string    `json:"unit,omitempty"`
	Until   time.Time `json:"until,omitzero"`
}

// follow keeps the row of an application up to date with one more entry about it.
func (x *tx) follow(epoch uint64, e ledger.Entry) error {
	state, known := appStates[e.Kind]
	id := plain(e.Subject)
	if !known || id == "" {
		return nil
	}
	row := struct {
		applicant, decider, detail       string
		submitted                        int64
		pEpoch, pSeq, reEpoch, reasonSeq uint64
	}{detail: "{}", submitted: millis(e.At)}
	err := x.row("SELECT applicant, decider, submitted_at, detail, purpose_epoch, purpose_seq, reason_epoch, reason_seq FROM applications WHERE app = ? AND id = ?", x.app, id).
		Scan(&row.applicant, &row.decider, &row.submitted, &row.detail, &row.pEpoch, &row.pSeq, &row.reEpoch, &row.reasonSeq)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	var d appDetail
	if err := json.Unmarshal([]byte(row.detail), &d); err != nil {
		return fmt.Errorf("application %s: %w", id, err)
	}
	if len(e.Data) > 0 {
		// Fields that the entry does not name keep what was said before.
		if err := json.Unmarshal(e.Data, &d); err != nil {
			return nil // fits the table of kinds but not us: the entry itself shows it
		}
	}
	switch state {
	case AppSubmitted:
		row.applicant, row.pEpoch, row.pSeq = plain(e.Actor.ID), epoch, e.Seq
	case AppReturned, AppRejected:
		row.reEpoch, row.reasonSeq = epoch, e.Seq
	}
	if state == AppSubmitted || state == AppApproved {
		row.reEpoch, row.reasonSeq = 0, 0 // the reason of an earlier return is not the reason of this
	}
	if state == AppApproved || state == AppRejected {
		row.decider = plain(e.Actor.ID)
	}
	detail, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return x.exec(`INSERT INTO applications (app, id, state, applicant, decider, submitted_at, changed_at, detail, purpose_epoch, purpose_seq, reason_epoch, reason_seq)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (app, id) DO UPDATE SET state = excluded.state, applicant = excluded.applicant, decider = excluded.decider, changed_at = excluded.changed_at,
		detail = excluded.detail, purpose_epoch = excluded.purpose_epoch, purpose_seq = excluded.purpose_seq, reason_epoch = excluded.reason_epoch, reason_seq = excluded.reason_seq`,
		x.app, id, string(state), row.applicant, row.decider, row.submitted, millis(e.At), string(detail), row.pEpoch, row.pSeq, row.reEpoch, row.reasonSeq)
}

const appFrom = ` FROM applications p JOIN appliances a ON a.app = p.app
	LEFT JOIN parts pu ON pu.app = p.app AND pu.epoch = p.purpose_epoch AND pu.seq = p.purpose_seq AND pu.name = 'purpose'
	LEFT JOIN parts re ON re.app = p.app AND re.epoch = p.reason_epoch AND re.seq = p.reason_seq AND re.name = 'reason'
	WHERE 1 = 1`

const appColumns = `SELECT a.id, a.school, p.id, p.state, p.applicant, p.decider, p.submitted_at, p.changed_at, p.detail,
	pu.plain, coalesce(pu.erased, 0), re.plain, p.app, p.purpose_epoch, p.purpose_seq, coalesce(pu.sealed, 0), p.reason_epoch, p.reason_seq, coalesce(re.sealed, 0)`

func (s *DB) scanApplication(scan func(...any) error) (p Application, err error) {
	var submitted, changed int64
	var state, detail string
	var purpose, reason []byte
	var gone, purposeSealed, reasonSealed int
	purposeAt, reasonAt := partRow{name: "purpose"}, partRow{name: "reason"}
	err = scan(&p.Appliance, &p.School, &p.ID, &state, &p.Applicant, &p.Decider, &submitted, &changed, &detail, &purpose, &gone, &reason,
		&purposeAt.app, &purposeAt.epoch, &purposeAt.seq, &purposeSealed, &reasonAt.epoch, &reasonAt.seq, &reasonSealed)
	if err != nil {
		return p, err
	}
	reasonAt.app = purposeAt.app
	if purpose, err = s.plain(purposeAt, purpose, purposeSealed); err != nil {
		return p, err
	}
	if reason, err = s.plain(reasonAt, reason, reasonSealed); err != nil {
		return p, err
	}
	var d appDetail
	if err := json.Unmarshal([]byte(detail), &d); err != nil {
		return p, fmt.Errorf("%w: application %s of %s", ErrDamaged, p.ID, p.Appliance)
	}
	p.State, p.SubmittedAt, p.ChangedAt = ApplicationState(state), instant(submitted), instant(changed)
	p.Places, p.Cameras, p.Spans, p.Way, p.Unit, p.Until = d.Places, d.Cameras, d.Spans, d.Way, d.Unit, d.Until
	p.Purpose, p.PurposeGone, p.Reason = string(purpose), gone != 0, string(reason)
	return p, nil
}

// Applications lists newest first.
func (s *DB) Applications(ctx context.Context, f ApplicationFilter, offset, limit int) (out ApplicationPage, err error) {
	cond := ""
	var args []any
	if f.Appliance != "" {
		cond += " AND a.id = ?"
		args = append(args, f.Appliance)
	}
	if f.State != "" {
		cond += " AND p.state = ?"
		args = append(args, string(f.State))
	}
	var all []Application
	err = s.rows(ctx, func(scan func(...any) error) error {
		p, err := s.scanApplication(scan)
		if err == nil && f.matches(p) {
			all = append(all, p)
		}
		return err
	}, appColumns+appFrom+cond+" ORDER BY p.submitted_at DESC, p.id DESC", args...)
	if err != nil {
		return out, fmt.Errorf("list applications: %w", err)
	}
	out.Total = len(all)
	lo := min(max(offset, 0), len(all))
	out.Items = all[lo:min(lo+clampLimit(limit), len(all))]
	return out, nil
}

// matches compares text here, not in the database: released text is bytes there, and letters have two cases.
func (f ApplicationFilter) matches(p Application) bool {
	if f.Query == "" {
		return true
	}
	q := strings.ToLower(f.Query)
	return strings.Contains(strings.ToLower(p.ID), q) || strings.Contains(strings.ToLower(p.School), q) || strings.Contains(strings.ToLower(p.Purpose), q)
}

// Application is one with its entries, oldest first.
func (s *DB) Application(ctx context.Context, appliance, id string) (Application, error) {
	p, err := s.scanApplication(s.read.QueryRowContext(ctx, s.q(appColumns+appFrom+" AND a.id = ? AND p.id = ?"), appliance, id).Scan)
	if err := notFound(err, "application "+id); err != nil {
		return Application{}, err
	}
	p.Steps, err = s.Entries(ctx, appliance, EntryFilter{Kinds: []string{appPrefix}, Subject: id}, Page{Limit: 500})
	slices.Reverse(p.Steps)
	return p, err
}
