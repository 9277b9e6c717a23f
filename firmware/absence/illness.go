package absence

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/absence"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
)

// IllnessRules is what the region asks for.
type IllnessRules struct {
	Clusters    []absence.ClusterRule `json:"clusters"`
	Certificate bool                  `json:"certificate"` // on return after an infection
}

// DefaultIllnessRules is where a school begins.
var DefaultIllnessRules = IllnessRules{Clusters: absence.DefaultClusterRules, Certificate: true}

// ZeroReport is the confirmation that a day was quiet.
type ZeroReport struct {
	Date   string    `json:"date"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Unwell int       `json:"unwell"` // single illnesses that are no cluster
}

var (
	illnesses    = ledgerdb.NewTable[absence.Illness]("illnesses", ledgerdb.Sealed(func(i absence.Illness) string { return studentOwner(i.Student) })) // key <student>/<date>
	reports      = ledgerdb.NewTable[absence.Report]("illness_reports", ledgerdb.Sealed(func(r absence.Report) string { return "illness:" + r.ID }))
	zeroReports  = ledgerdb.NewTable[ZeroReport]("illness_zero", ledgerdb.Replayable()) // key: date
	illnessRules = ledgerdb.NewTable[IllnessRules]("illness_rules", ledgerdb.Replayable())
)

const onlyKey = "school"

type illnessRow struct {
	absence.Illness
	rev uint64
}

func illnessKey(i absence.Illness) string {
	return i.Student + "/" + i.Opened.Format("20060102T150405")
}

// IllnessRules are the rules of the region, with their revision.
func (a *Absence) IllnessRules() (r IllnessRules, rev uint64, err error) {
	r = DefaultIllnessRules
	err = a.o.Store.View(func(tx ledgerdb.Tx) error {
		v, have, ok, err := illnessRules.Get(tx, onlyKey)
		if ok {
			r, rev = v, have
		}
		return err
	})
	return r, rev, err
}

// PutIllnessRules sets the rules of the region. fielderr.Errors, ErrConflict.
func (a *Absence) PutIllnessRules(ctx context.Context, by account.Who, role account.Role, r IllnessRules, rev uint64) error {
	var errs fielderr.Errors
	if len(r.Clusters) > 30 {
		errs.Add("clusters", "err.too_many", 30)
	}
	for i := range r.Clusters {
		r.Clusters[i].ID = fmt.Sprintf("%s-%dd-%d-%d", r.Clusters[i].Unit, r.Clusters[i].Days, r.Clusters[i].Least, i+1)
		errs = append(errs, r.Clusters[i].Check(fmt.Sprintf("r%d.", i))...)
	}
	if err := errs.Err(); err != nil {
		return err
	}
	_, err := a.o.Store.Commit(ctx, ledgerdb.Change{Puts: []ledgerdb.Put{illnessRules.PutRev(onlyKey, r, rev)},
		Entries: []ledger.Draft{by.Draft("illness.rules", role, onlyKey, map[string]any{"rules": len(r.Clusters), "certificate": r.Certificate})}})
	if errors.Is(err, ledgerdb.ErrConflict) {
		return ErrConflict
	}
	return err
}

// Illnesses lists the illnesses, the open ones first and then the newest.
func (a *Absence) Illnesses() ([]absence.Illness, error) {
	rows, err := a.illnessRows()
	out := make([]absence.Illness, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.Illness)
	}
	slices.SortFunc(out, func(x, y absence.Illness) int {
		open := 0
		if x.Open() != y.Open() {
			open = 1
			if x.Open() {
				open = -1
			}
		}
		return cmp.Or(open, y.Opened.Compare(x.Opened), cmp.Compare(x.Student, y.Student))
	})
	return out, err
}

func (a *Absence) illnessRows() (map[string]illnessRow, error) {
	out := map[string]illnessRow{}
	err := a.o.Store.View(func(tx ledgerdb.Tx) error {
		for key, r := range illnesses.Rows(tx, "") {
			if errors.Is(r.Err, ledgerdb.ErrErased) {
				continue
			}
			if r.Err != nil {
				return fmt.Errorf("illness %s: %w", key, r.Err)
			}
			out[key] = illnessRow{r.Value, r.Rev}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the illnesses: %w", err)
	}
	return out, nil
}

// Illness reads one illness by its key <student>/<opened>, with its revision.
func (a *Absence) Illness(studentID, opened string) (i absence.Illness, rev uint64, err error) {
	err = a.o.Store.View(func(tx ledgerdb.Tx) error {
		var ok bool
		i, rev, ok, err = illnesses.Get(tx, studentID+"/"+opened)
		if err == nil && !ok || errors.Is(err, ledgerdb.ErrErased) {
			err = ErrNotFound
		}
		return err
	})
	return i, rev, err
}

type illnessData struct {
	Class  string `json:"class"`
	State  string `json:"state"`
	Source string `json:"source,omitempty"`
}

func illnessEntry(by account.Who, role account.Role, i absence.Illness, state, words string) ledger.Draft {
	return by.Draft("illness", role, i.Student, illnessData{i.Class, state, i.Source}, part("words", i.Student, words)...)
}

// FollowIllness takes what the checks found and who is away ill into the illnesses, and evaluates the rules of clusters:
// after each roll, and each minute.
func (a *Absence) FollowIllness(ctx context.Context) error {
	date, err := a.today()
	if err != nil {
		return err
	}
	found, err := a.Checks(date, "")
	if err != nil {
		return err
	}
	days, now, err := a.o.Gate.Pupils(date)
	if err != nil {
		return err
	}
	if now.State != clock.Trusted {
		return nil // of no certain date
	}
	at := now.Wall.UTC().Truncate(time.Second)
	a.writing.Lock()
	defer a.writing.Unlock()
	rows, err := a.illnessRows()
	if err != nil {
		return err
	}
	open, over := map[string]illnessRow{}, map[string]absence.Illness{} // over: followed to its end on a day that is seen again
	for _, r := range rows {
		switch {
		case r.Open():
			open[r.Student] = r
		case slices.Contains(r.Dates, date):
			over[r.Student] = r.Illness
		}
	}
	fresh := map[string]absence.Illness{}
	see := func(studentID, class, source string, symptoms []attendance.Symptom, away bool) {
		i, ok := fresh[studentID]
		if end, was := over[studentID]; was && !ok && open[studentID].Student == "" {
			if _, more := end.Seen(date, symptoms, false); !more {
				return // nothing that its end did not know
			}
		}
		if !ok {
			if i = open[studentID].Illness; i.Student == "" {
				i = absence.Illness{Student: studentID, Class: class, Since: date, Source: source, Opened: at}
			}
		}
		if next, changed := i.Seen(date, symptoms, away); changed {
			fresh[studentID] = next
		}
	}
	for _, c := range found {
		see(c.Student, c.Class, "check", c.Symptoms, false)
	}
	for _, d := range days {
		if d.Outcome == attendance.OnLeave && d.Leave == attendance.Sick {
			see(d.Student, d.Class, "leave", nil, true)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(fresh)) {
		i := fresh[id]
		state := "seen"
		if open[id].Student == "" {
			state = "opened"
		}
		_, err := a.o.Store.Commit(ctx, ledgerdb.Change{Puts: []ledgerdb.Put{illnesses.PutRev(illnessKey(i), i, open[id].rev)}, Entries: []ledger.Draft{illnessEntry(account.System, "", i, state, "")}})
		if err != nil {
			return fmt.Errorf("record an illness: %w", err)
		}
		rows[illnessKey(i)] = illnessRow{Illness: i}
	}
	return a.findClusters(ctx, rows, date, at)
}

// findClusters gives a report for each cluster that is new. A cluster that grows while its report is unsigned changes it.
func (a *Absence) findClusters(ctx context.Context, rows map[string]illnessRow, date string, now time.Time) error {
	rules, _, err := a.IllnessRules()
	if err != nil {
		return err
	}
	var list []absence.Illness
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		list = append(list, rows[key].Illness)
	}
	known, err := a.Reports()
	if err != nil {
		return err
	}
	for _, c := range absence.Clusters(list, rules.Clusters, date) {
		r := absence.NewReport(c, now)
		state := "found"
		if i := slices.IndexFunc(known, func(k absence.Report) bool { return k.Cluster.ID() == c.ID() && k.Cluster.To >= c.From }); i >= 0 {
			if known[i].Signed != "" || len(known[i].Cluster.Cases) >= len(c.Cases) {
				continue
			}
			r, state = known[i], "grown"
			r.Cluster = c
		}
		_, err := a.o.Store.Commit(ctx, ledgerdb.Change{Puts: []ledgerdb.Put{reports.Put(r.ID, r)}, Entries: []ledger.Draft{reportEntry(account.System, "", r, state, "")}})
		if err != nil {
			return fmt.Errorf("record a cluster of illness: %w", err)
		}
	}
	return nil
}

func reportEntry(by account.Who, role account.Role, r absence.Report, state, words string) ledger.Draft {
	var sealed []ledger.Part
	if words != "" {
		sealed = []ledger.Part{{Name: "words", Owner: "illness:" + r.ID, Plain: []byte(words)}}
	}
	return by.Draft("illness.report", role, r.ID, map[string]any{"state": state, "count": len(r.Cluster.Cases)}, sealed...)
}

// Reports lists the reports of clusters, newest first.
func (a *Absence) Reports() (out []absence.Report, err error) {
	err = a.o.Store.View(func(tx ledgerdb.Tx) error {
		for _, r := range reports.All(tx) {
			out = append(out, r)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the reports of illness: %w", err)
	}
	slices.SortFunc(out, func(x, y absence.Report) int { return cmp.Or(y.Found.Compare(x.Found), cmp.Compare(x.ID, y.ID)) })
	return out, nil
}

// Report reads one report with its revision.
func (a *Absence) Report(id string) (r absence.Report, rev uint64, err error) {
	err = a.o.Store.View(func(tx ledgerdb.Tx) error {
		var ok bool
		r, rev, ok, err = reports.Get(tx, id)
		if err == nil && !ok {
			err = ErrNotFound
		}
		return err
	})
	return r, rev, err
}

// SignReport signs a report with the doctor's words, or records that a signed one was sent, to whom and how.
// fielderr.Errors, ErrNotFound, ErrConflict.
func (a *Absence) SignReport(ctx context.Context, by account.Who, role account.Role, id string, rev uint64, words, sentTo string) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	r, have, err := a.Report(id)
	if err != nil {
		return err
	}
	words, sentTo = strings.TrimSpace(words), strings.TrimSpace(sentTo)
	now := a.o.Clock.Now().Wall.UTC().Truncate(time.Millisecond)
	var errs fielderr.Errors
	state := "signed"
	switch {
	case have != rev || !r.Sent.IsZero():
		return ErrConflict
	case utf8.RuneCountInString(words) > 1000:
		errs.Add("words", "err.too_long", 1000)
	case utf8.RuneCountInString(sentTo) > 200:
		errs.Add("sent_to", "err.too_long", 200)
	case r.Signed == "" && words == "":
		errs.Add("words", "err.required")
	case r.Signed != "" && sentTo == "":
		errs.Add("sent_to", "err.required")
	case r.Signed == "":
		r.Words, r.Signed, r.At = words, by.ID, now
	default:
		state, words = "sent", sentTo
		r.SentTo, r.Sent, r.SentBy = sentTo, now, by.ID
	}
	if err := errs.Err(); err != nil {
		return err
	}
	_, err = a.o.Store.Commit(ctx, ledgerdb.Change{Puts: []ledgerdb.Put{reports.PutRev(id, r, have)}, Entries: []ledger.Draft{reportEntry(by, role, r, state, words)}})
	if errors.Is(err, ledgerdb.ErrConflict) {
		return ErrConflict
	}
	return err
}

// FollowUp adds a person's words to an illness; the return closes it. fielderr.Errors, ErrNotFound, ErrConflict.
func (a *Absence) FollowUp(ctx context.Context, by account.Who, role account.Role, studentID, opened string, rev uint64, f absence.FollowUp) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	i, have, err := a.Illness(studentID, opened)
	if err != nil {
		return err
	}
	rules, _, err := a.IllnessRules()
	if err != nil {
		return err
	}
	if have != rev || !i.Open() {
		return ErrConflict
	}
	now := a.o.Clock.Now().Wall.UTC().Truncate(time.Millisecond)
	f.Today, f.NeedsCertificate = a.dateOf(now), rules.Certificate
	if i, err = i.Follow(f, by.ID, now); err != nil {
		return err
	}
	state := "followed"
	if !i.Open() {
		state = "returned"
	}
	_, err = a.o.Store.Commit(ctx, ledgerdb.Change{Puts: []ledgerdb.Put{illnesses.PutRev(illnessKey(i), i, have)}, Entries: []ledger.Draft{illnessEntry(by, role, i, state, f.Text)}})
	if errors.Is(err, ledgerdb.ErrConflict) {
		return ErrConflict
	}
	if err != nil {
		return fmt.Errorf("record the course of an illness: %w", err)
	}
	rows, err := a.illnessRows()
	if err != nil {
		return err
	}
	return a.findClusters(ctx, rows, f.Today, now)
}

// Zero reads the zero report of a date; false when nobody has given it.
func (a *Absence) Zero(date string) (z ZeroReport, ok bool, err error) {
	err = a.o.Store.View(func(tx ledgerdb.Tx) error {
		z, _, ok, err = zeroReports.Get(tx, date)
		return err
	})
	return z, ok, err
}

// PutZero confirms that today there is no cluster. ErrConflict when there is one that is not reported, or somebody has.
func (a *Absence) PutZero(ctx context.Context, by account.Who, role account.Role) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	now := a.o.Clock.Now().Wall.UTC().Truncate(time.Millisecond)
	z := ZeroReport{Date: a.dateOf(now), By: by.ID, At: now}
	known, err := a.Reports()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(known, func(r absence.Report) bool { return r.Sent.IsZero() }) {
		return ErrConflict
	}
	rows, err := a.illnessRows()
	if err != nil {
		return err
	}
	for _, r := range rows {
		if r.Since == z.Date {
			z.Unwell++
		}
	}
	_, err = a.o.Store.Commit(ctx, ledgerdb.Change{Puts: []ledgerdb.Put{zeroReports.PutRev(z.Date, z, 0)}, Entries: []ledger.Draft{by.Draft("illness.zero", role, z.Date, map[string]any{"date": z.Date, "unwell": z.Unwell})}})
	if errors.Is(err, ledgerdb.ErrConflict) {
		return ErrConflict
	}
	return err
}
