package centredb

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"time"

	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// A row of days counts what the entries of one school and one day say, so that lists and monthly reports read no
// leaves. It follows what the entries claim; where a school's log was continued on another branch, both count.

// dayZone is where a school's day begins: China has one time zone.
var dayZone = time.FixedZone("UTC+8", 8*3600)

// dayOf numbers days from 1970 on.
func dayOf(t time.Time) int64 {
	_, offset := t.In(dayZone).Zone()
	return (t.Unix() + int64(offset)) / 86400
}

// dayStart is the instant at which a day begins.
func dayStart(day int64) time.Time {
	return time.Unix(day*86400, 0).Add(-8 * time.Hour).In(dayZone)
}

// lateAfter is how long after it was made an entry may be witnessed; its hour counts as unwitnessed beyond that.
const lateAfter = behindAfter

// dayCount is what one day's entries come to.
type dayCount struct {
	kept      int64  // s: the shortest time for which footage was kept that went on this day; -1: none went
	camera    string // of that footage
	late      int64  // bit n: an entry of hour n was witnessed late
	gaps      int64
	missing   int64 // s in gaps
	early     int64 // deletions before their time, here or by an NVR
	submitted int64 // applications
	overdue   int64 // reports on use
}

// cameraRow is what is known of a camera: what is in its entries.
type cameraRow struct {
	custody string
	days    int64
	retired bool
}

// tally collects what a batch changes in the rows of days and cameras of one school.
type tally struct {
	days    map[int64]*dayCount
	cameras map[string]*cameraRow
}

// tallied says whether entries of a kind are counted by what is in them.
func tallied(k ledger.Kind) bool {
	switch k {
	case "camera.registered", "camera.changed", "footage.deleted", "footage.gap", "footage.breach", "nvr.breach", "nvr.checked":
		return true
	}
	return false
}

func (t *tally) day(at time.Time) *dayCount {
	n := dayOf(at)
	if t.days == nil {
		t.days = map[int64]*dayCount{}
	}
	if t.days[n] == nil {
		t.days[n] = &dayCount{kept: -1}
	}
	return t.days[n]
}

// arrived counts the hour of an entry that was witnessed late.
func (t *tally) arrived(at, stored time.Time) {
	if stored.Sub(at) > lateAfter {
		t.day(at).late |= 1 << at.In(dayZone).Hour()
	}
}

// add counts one entry; its data are complete when its kind is [tallied].
func (t *tally) add(e ledger.Entry) {
	switch e.Kind {
	case "application.submitted":
		t.day(e.At).submitted++
		return
	case "application.overdue":
		t.day(e.At).overdue++
		return
	}
	if !tallied(e.Kind) {
		return
	}
	var d struct {
		From, To, Last, Oldest time.Time
		Kind, Custody          string
		Days                   int64
		What                   []string
		Judged, Floor          bool
	}
	if json.Unmarshal(e.Data, &d) != nil {
		return // fits the table of kinds but not us: the entry itself shows it
	}
	switch e.Kind {
	case "camera.registered", "camera.changed":
		t.camera(plain(e.Subject), e.Kind == "camera.registered", d.Custody, d.Days, d.What)
	case "footage.deleted":
		t.kept(e, d.Last)
	case "footage.gap":
		c := t.day(e.At)
		c.gaps++
		c.missing += max(0, int64(d.To.Sub(d.From)/time.Second))
	case "footage.breach":
		t.day(e.At).early++
		t.kept(e, d.To)
	case "nvr.breach":
		if d.Kind == "floor" {
			t.day(e.At).early++
			t.kept(e, d.To)
		}
	case "nvr.checked":
		// A camera that is new at an NVR has less than it will keep: that is no measure.
		if d.Judged && (d.Floor || e.At.Sub(d.Oldest) >= footage.MinDays*24*time.Hour) {
			t.kept(e, d.Oldest)
		}
	}
}

// kept notes for how long footage of an instant was kept until an entry was made.
func (t *tally) kept(e ledger.Entry, footage time.Time) {
	if footage.IsZero() {
		return
	}
	c, n := t.day(e.At), max(0, int64(e.At.Sub(footage)/time.Second))
	if c.kept < 0 || n < c.kept {
		c.kept, c.camera = n, plain(e.Subject)
	}
}

func (t *tally) camera(id string, fresh bool, custody string, days int64, what []string) {
	if id == "" {
		return
	}
	if t.cameras == nil {
		t.cameras = map[string]*cameraRow{}
	}
	c := t.cameras[id]
	if c == nil || fresh {
		c = &cameraRow{}
		t.cameras[id] = c
	}
	c.custody, c.days = cmp.Or(plain(custody), c.custody), cmp.Or(days, c.days)
	c.retired = c.retired || slices.Contains(what, "retired")
}

// write adds a tally to the rows of an appliance.
func (t *tally) write(app int64, exec func(query string, args ...any) error) error {
	for _, day := range slices.Sorted(maps.Keys(t.days)) {
		c := t.days[day]
		err := exec(`INSERT INTO days (app, day, kept, camera, late, gaps, missing, early, submitted, overdue) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (app, day) DO UPDATE SET
			camera = CASE WHEN excluded.kept >= 0 AND (days.kept < 0 OR excluded.kept < days.kept) THEN excluded.camera ELSE days.camera END,
			kept = CASE WHEN excluded.kept >= 0 AND (days.kept < 0 OR excluded.kept < days.kept) THEN excluded.kept ELSE days.kept END,
			late = days.late | excluded.late, gaps = days.gaps + excluded.gaps, missing = days.missing + excluded.missing,
			early = days.early + excluded.early, submitted = days.submitted + excluded.submitted, overdue = days.overdue + excluded.overdue`,
			app, day, c.kept, c.camera, c.late, c.gaps, c.missing, c.early, c.submitted, c.overdue)
		if err != nil {
			return fmt.Errorf("count a day: %w", err)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(t.cameras)) {
		c := t.cameras[id]
		err := exec(`INSERT INTO cameras (app, id, custody, days, retired) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (app, id) DO UPDATE SET custody = CASE WHEN excluded.custody <> '' THEN excluded.custody ELSE cameras.custody END,
			days = CASE WHEN excluded.days > 0 THEN excluded.days ELSE cameras.days END,
			retired = CASE WHEN excluded.retired > cameras.retired THEN excluded.retired ELSE cameras.retired END`,
			app, id, c.custody, c.days, flag(c.retired))
		if err != nil {
			return fmt.Errorf("follow a camera: %w", err)
		}
	}
	return nil
}

// recount fills the rows of days and cameras from the leaves that an earlier build stored.
func (s *DB) recount(ctx context.Context, tx *sql.Tx) error {
	all := map[int64]*tally{}
	err := eachRow(ctx, tx, "SELECT app, seq, at, stored_at, kind, mark, leaf FROM leaves ORDER BY app, epoch, seq", func(scan func(...any) error) error {
		var app, at, stored int64
		var seq uint64
		var kind, mark string
		var leaf sql.RawBytes
		if err := scan(&app, &seq, &at, &stored, &kind, &mark, &leaf); err != nil {
			return err
		}
		t := all[app]
		if t == nil {
			t = &tally{}
			all[app] = t
		}
		t.arrived(instant(at), instant(stored))
		e := ledger.Entry{Seq: seq, At: instant(at), Kind: ledger.Kind(kind)}
		if mark != "" {
			return nil
		}
		if tallied(e.Kind) {
			if e, mark = describe(seq, slices.Clone(leaf), tallied); mark != "" {
				return nil
			}
		}
		t.add(e)
		return nil
	})
	if err != nil {
		return fmt.Errorf("count the days of an earlier build: %w", err)
	}
	for app, t := range all {
		if err := t.write(app, func(query string, args ...any) error {
			_, err := tx.ExecContext(ctx, s.q(query), args...)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// ReportRow is one school's month.
type ReportRow struct {
	Appliance, Name string
	Cameras         int           // in service now
	Kept            time.Duration // the shortest time for which footage was kept that went in this month; -1: none went
	KeptCamera      string
	Days            []ReportDay // with footage that went, in order
	Gaps            int
	Missing         time.Duration // in those gaps
	Early           int           // deletions before their time
	Unwitnessed     int           // hours with entries that were witnessed late, or with no contact until now
	Submitted       int           // applications
	Overdue         int           // reports on use
}

// ReportDay is one day's shortest time of keeping.
type ReportDay struct {
	Day  time.Time
	Kept time.Duration
}

// Report counts a span of whole days for every school, by name. Hours before a school was enrolled count nothing.
func (s *DB) Report(ctx context.Context, from, to, now time.Time) ([]ReportRow, error) {
	schools, err := s.ListSchools(ctx, now)
	if err != nil {
		return nil, err
	}
	out, at := make([]ReportRow, len(schools)), map[string]int{}
	for i, x := range schools {
		out[i] = ReportRow{Appliance: x.Appliance, Name: x.Name, Cameras: x.Cameras, Kept: -1}
		at[x.Appliance] = i
		// What it has not sent since the last contact is not in any entry yet.
		if x.Status == StatusSilent && !x.LastContact.IsZero() {
			begin, end := later(from, x.LastContact), earlier(to, now)
			out[i].Unwitnessed = int(max(0, end.Sub(begin)) / time.Hour)
		}
	}
	err = s.rows(ctx, func(scan func(...any) error) error {
		var id string
		var day int64
		var c dayCount
		if err := scan(&id, &day, &c.kept, &c.camera, &c.late, &c.gaps, &c.missing, &c.early, &c.submitted, &c.overdue); err != nil {
			return err
		}
		i, ok := at[id]
		if !ok {
			return nil
		}
		out[i].add(day, c, schools[i].EnrolledAt)
		return nil
	}, `SELECT a.id, d.day, d.kept, d.camera, d.late, d.gaps, d.missing, d.early, d.submitted, d.overdue FROM days d JOIN appliances a ON a.app = d.app
		WHERE d.day >= ? AND d.day < ? ORDER BY d.app, d.day`, dayOf(from), dayOf(to))
	if err != nil {
		return nil, fmt.Errorf("count a month: %w", err)
	}
	slices.SortStableFunc(out, func(a, b ReportRow) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Appliance, b.Appliance))
	})
	return out, nil
}

func (r *ReportRow) add(day int64, c dayCount, enrolled time.Time) {
	if c.kept >= 0 {
		kept := time.Duration(c.kept) * time.Second
		r.Days = append(r.Days, ReportDay{dayStart(day), kept})
		if r.Kept < 0 || kept < r.Kept {
			r.Kept, r.KeptCamera = kept, c.camera
		}
	}
	late := uint64(c.late)
	if first := enrolled.Sub(dayStart(day)); first > 0 {
		late &^= 1<<min(24, int64(first/time.Hour)) - 1
	}
	r.Unwitnessed += bits.OnesCount64(late)
	r.Gaps, r.Missing = r.Gaps+int(c.gaps), r.Missing+time.Duration(c.missing)*time.Second
	r.Early, r.Submitted, r.Overdue = r.Early+int(c.early), r.Submitted+int(c.submitted), r.Overdue+int(c.overdue)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
