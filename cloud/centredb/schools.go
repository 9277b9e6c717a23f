package centredb

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"campuskeep/shared/ledger"
	"campuskeep/shared/wire"
	"campuskeep/shared/wire/protocol"
)

// behindAfter is how long entries may wait before a school counts as behind.
const behindAfter = time.Hour

const schoolColumns = `SELECT a.id, a.school, a.enrolled_at, a.denied_at, a.last_contact, a.online,
	coalesce(c.epoch, 0), coalesce(c.size, 0), coalesce(c.claimed, 0), c.peaks, coalesce(c.stored_at, 0), coalesce(c.behind_since, 0),
	(SELECT count(*) FROM alarms x WHERE x.app = a.app AND x.closed_at = 0),
	(SELECT count(*) FROM alarms x WHERE x.app = a.app AND x.closed_at = 0 AND x.kind IN ('` + protocol.AlarmForked + `', '` + protocol.AlarmShrunk + `', '` + protocol.AlarmConflict + `')),
	(SELECT count(*) FROM cameras k WHERE k.app = a.app AND k.retired = 0),
	coalesce((SELECT min(d.kept) FROM days d WHERE d.app = a.app AND d.kept >= 0 AND d.day > (SELECT max(m.day) FROM days m WHERE m.app = a.app) - 7), -1)
	FROM appliances a LEFT JOIN cursors c ON c.app = a.app AND c.epoch = (SELECT max(epoch) FROM cursors m WHERE m.app = a.app) `

func scanSchool(scan func(...any) error, now time.Time) (x School, err error) {
	var enrolled, denied, contact, stored, behind int64
	var online, forked int
	var kept int64
	var peaks []byte
	if err := scan(&x.Appliance, &x.Name, &enrolled, &denied, &contact, &online, &x.Epoch, &x.Witnessed, &x.Claimed, &peaks, &stored, &behind, &x.OpenAlarms, &forked, &x.Cameras, &kept); err != nil {
		return x, err
	}
	x.Kept = time.Duration(kept) * time.Second
	if kept < 0 {
		x.Kept = -1
	}
	x.EnrolledAt, x.LastContact, x.Online = instant(enrolled), instant(contact), online != 0
	if x.Witnessed > 0 {
		x.WitnessedAt = instant(stored)
		hashes := make([]tlog.Hash, len(peaks)/tlog.HashSize)
		for i := range hashes {
			copy(hashes[i][:], peaks[i*tlog.HashSize:])
		}
		t, ok := ledger.TreeOf(x.Witnessed, hashes)
		if !ok {
			return x, fmt.Errorf("%w: the cursor of %s", ErrDamaged, x.Appliance)
		}
		x.Root = t.Root().String()
	}
	switch {
	case forked > 0:
		x.Status = StatusForked
	case denied > 0:
		x.Status = StatusDenied
	case enrolled == 0:
		x.Status = StatusNew
	case now.Sub(x.LastContact) > wire.Contact:
		x.Status = StatusSilent
	case behind > 0 && now.Sub(instant(behind)) > behindAfter:
		x.Status = StatusBehind
	case x.OpenAlarms > 0:
		x.Status = StatusAlarm
	default:
		x.Status = StatusHealthy
	}
	return x, nil
}

var badness = []Status{StatusForked, StatusDenied, StatusSilent, StatusBehind, StatusAlarm, StatusNew, StatusHealthy}

// ListSchools lists all, worst first.
func (s *DB) ListSchools(ctx context.Context, now time.Time) (out []School, err error) {
	err = s.rows(ctx, func(scan func(...any) error) error {
		x, err := scanSchool(scan, now)
		out = append(out, x)
		return err
	}, schoolColumns+"ORDER BY a.id")
	if err != nil {
		return nil, fmt.Errorf("list schools: %w", err)
	}
	slices.SortStableFunc(out, func(a, b School) int {
		return slices.Index(badness, a.Status) - slices.Index(badness, b.Status)
	})
	return out, nil
}

// School is one of them.
func (s *DB) School(ctx context.Context, appliance string, now time.Time) (School, error) {
	x, err := scanSchool(s.read.QueryRowContext(ctx, s.q(schoolColumns+"WHERE a.id = ?"), appliance).Scan, now)
	return x, notFound(err, "school "+appliance)
}

// Totals are the numbers on top of the first page.
func (s *DB) Totals(ctx context.Context, now time.Time) (t Totals, err error) {
	all, err := s.ListSchools(ctx, now)
	if err != nil {
		return t, err
	}
	t.Schools = len(all)
	for _, x := range all {
		t.Leaves += x.Witnessed
		t.OpenAlarms += x.OpenAlarms
		switch x.Status {
		case StatusSilent:
			t.Silent++
		case StatusBehind:
			t.Behind++
		case StatusForked:
			t.Forked++
		}
	}
	err = s.read.QueryRowContext(ctx, s.q("SELECT count(*) FROM applications WHERE state IN (?, ?)"), string(AppSubmitted), string(AppReviewed)).Scan(&t.OpenApplications)
	return t, err
}

// Alarms lists newest first.
func (s *DB) Alarms(ctx context.Context, appliance string, openOnly bool, limit int) (out []Alarm, err error) {
	q := `SELECT x.id, a.id, a.school, x.kind, x.epoch, x.at, x.last_at, x.ours, x.theirs, x.detail, x.times, x.closed_at, x.closed_by, x.closed_note
		FROM alarms x JOIN appliances a ON a.app = x.app WHERE 1 = 1`
	var args []any
	if appliance != "" {
		q += " AND a.id = ?"
		args = append(args, appliance)
	}
	if openOnly {
		q += " AND x.closed_at = 0"
	}
	err = s.rows(ctx, func(scan func(...any) error) error {
		var x Alarm
		var at, last, closed int64
		if err := scan(&x.ID, &x.Appliance, &x.School, &x.Kind, &x.Epoch, &at, &last, &x.Ours, &x.Theirs, &x.Detail, &x.Times, &closed, &x.ClosedBy, &x.ClosedNote); err != nil {
			return err
		}
		x.At, x.LastAt, x.ClosedAt = instant(at), instant(last), instant(closed)
		out = append(out, x)
		return nil
	}, q+" ORDER BY x.id DESC LIMIT ?", append(args, clampLimit(limit))...)
	if err != nil || len(out) == 0 {
		return out, err
	}
	return out, s.alarmDetails(ctx, out)
}

// alarmDetails adds what came after the first occurrence of each alarm, newest first. alarms are in order of falling id.
func (s *DB) alarmDetails(ctx context.Context, alarms []Alarm) error {
	at := map[int64]int{}
	for i, a := range alarms {
		at[a.ID] = i
	}
	return s.rows(ctx, func(scan func(...any) error) error {
		var o Occurrence
		var alarm, ms int64
		if err := scan(&alarm, &ms, &o.Ours, &o.Theirs, &o.Detail); err != nil {
			return err
		}
		o.At = instant(ms)
		if i, ok := at[alarm]; ok {
			alarms[i].Later = append(alarms[i].Later, o)
		}
		return nil
	}, "SELECT alarm, at, ours, theirs, detail FROM alarm_details WHERE alarm >= ? AND alarm <= ? ORDER BY id DESC", alarms[len(alarms)-1].ID, alarms[0].ID)
}

// CloseAlarm notes who has dealt with an alarm. One that is closed already is ErrNotFound.
func (s *DB) CloseAlarm(ctx context.Context, id int64, at time.Time, by, note string) error {
	return s.one(ctx, "UPDATE alarms SET closed_at = ?, closed_by = ?, closed_note = ? WHERE id = ? AND closed_at = 0", millis(at), by, note, id)
}

func clampLimit(n int) int {
	if n <= 0 {
		return 50
	}
	return min(n, 500)
}
