package records

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	rules "campuskeep/shared/records"
)

var (
	yearsRows = ledgerdb.NewTable[rules.Years]("record_years")
	kept      = ledgerdb.NewTable[rules.Extension]("record_kept", ledgerdb.Sealed(func(k rules.Extension) string { return rules.Owner(k.Student, k.Section) }))
	erasures  = ledgerdb.NewTable[rules.Erasure]("record_erasures", ledgerdb.Replayable())
)

const yearsKey = "years"

type sectionOf struct {
	pupil   string
	section rules.Section
}

func (s sectionOf) key() string { return s.pupil + "/" + string(s.section) }

type erasure struct {
	rules.Erasure
	rev uint64
}

// loadErased reads how long records are kept and which sections were erased.
func (r *Records) loadErased(tx ledgerdb.Tx) error {
	y, _, ok, err := yearsRows.Get(tx, yearsKey)
	if err != nil {
		return err
	}
	if r.years = rules.DefaultYears; ok {
		r.years = y
	}
	for _, k := range kept.All(tx) {
		r.kept[sectionOf{k.Student, k.Section}] = k
	}
	for _, row := range erasures.Rows(tx, "") {
		if row.Err != nil {
			return row.Err
		}
		r.takeErasure(row.Value, row.Rev)
	}
	return nil
}

// takeErasure takes an erasure into the index. The caller holds mu, or is load.
func (r *Records) takeErasure(e rules.Erasure, rev uint64) {
	at := sectionOf{e.Student, e.Section}
	r.erasures[at] = erasure{e, rev}
	if e.State == rules.ErasureProposed {
		return
	}
	if r.erased[e.Student] == nil {
		r.erased[e.Student] = map[rules.Section]bool{}
	}
	r.erased[e.Student][e.Section] = true
	if e.Section == rules.Health {
		delete(r.care, e.Student)
	}
	for id, v := range r.incidents {
		if v.Student == e.Student && e.Section == rules.Conduct {
			delete(r.incidents, id)
		}
	}
}

// isErased says whether the key of a pupil's section was destroyed, or is about to be.
func (r *Records) isErased(pupil string, s rules.Section) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.erased[pupil][s]
}

// Years is how long sections are kept after a pupil has left.
func (r *Records) Years() rules.Years {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := rules.Years{}
	for s, n := range r.years {
		out[s] = n
	}
	return out
}

// PutYears changes that.
func (r *Records) PutYears(ctx context.Context, by account.Who, y rules.Years) error {
	role, err := r.allow(by, account.ActRetentionPropose, account.Subject{})
	if err != nil {
		return err
	}
	if err := y.Check().Err(); err != nil {
		return err
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	ch := ledgerdb.Change{Puts: []ledgerdb.Put{yearsRows.Put(yearsKey, y)}}
	before := r.Years()
	for _, s := range rules.Sections {
		if before[s] != y[s] {
			ch.Entries = append(ch.Entries, by.Draft("record.years", role, string(s), map[string]any{"section": string(s), "before": before[s], "after": y[s]}))
		}
	}
	if len(ch.Entries) == 0 {
		return nil
	}
	if _, err := r.o.Store.Commit(ctx, ch); err != nil {
		return fmt.Errorf("change how long records are kept: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.years = y
	return nil
}

// Leaver is a section of a pupil who has left.
type Leaver struct {
	Student string           `json:"student"`
	Class   string           `json:"class"` // the last one
	Left    string           `json:"left"`  // date
	Section rules.Section    `json:"section"`
	Records int              `json:"records"`
	Until   string           `json:"until"` // last date on which it is kept
	Due     bool             `json:"due"`   // that date has passed
	Kept    *rules.Extension `json:"kept,omitempty"`
	Erasure *rules.Erasure   `json:"erasure,omitempty"`
}

// Leavers are the sections of pupils who have left, those whose time is over first. Erased ones are at the end.
func (r *Records) Leavers() []Leaver {
	today := r.today()
	left := map[string]leftClass{}
	r.mu.RLock()
	defer r.mu.RUnlock()
	var out []Leaver
	for pupil, counts := range r.count {
		l, ok := left[pupil]
		if !ok {
			l.class, l.date = r.o.People.LeftOn(pupil, today)
			left[pupil] = l
		}
		if l.date == "" {
			continue
		}
		for s, n := range counts {
			x := Leaver{Student: pupil, Class: l.class, Left: l.date, Section: s, Records: n, Until: r.years.KeptUntil(l.date, s)}
			if k, ok := r.kept[sectionOf{pupil, s}]; ok && k.Until > x.Until {
				x.Until, x.Kept = k.Until, &k
			}
			if e, ok := r.erasures[sectionOf{pupil, s}]; ok {
				x.Erasure = &e.Erasure
			}
			x.Due = x.Until < today
			out = append(out, x)
		}
	}
	rank := func(x Leaver) int {
		switch {
		case x.Erasure != nil && x.Erasure.State == rules.ErasureProposed:
			return 0
		case x.Erasure != nil:
			return 3
		case x.Due:
			return 1
		}
		return 2
	}
	slices.SortFunc(out, func(a, b Leaver) int {
		return cmp.Or(rank(a)-rank(b), cmp.Compare(a.Until, b.Until), cmp.Compare(a.Student, b.Student), cmp.Compare(a.Section, b.Section))
	})
	return out
}

// leftClass is which class a pupil left, and when.
type leftClass struct{ class, date string }

// leaver finds a section of a pupil who has left.
func (r *Records) leaver(pupil string, s rules.Section) (Leaver, error) {
	for _, l := range r.Leavers() {
		if l.Student == pupil && l.Section == s {
			return l, nil
		}
	}
	return Leaver{}, ErrNotFound
}

// KeepLonger enters that a section is kept beyond its time. Errors: ErrNotFound, *account.Refused, fielderr.Errors.
func (r *Records) KeepLonger(ctx context.Context, by account.Who, k rules.Extension) error {
	role, err := r.allow(by, account.ActRetentionPropose, account.Subject{})
	if err != nil {
		return err
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	l, err := r.leaver(k.Student, k.Section)
	if err != nil {
		return err
	}
	errs := k.Check(r.today())
	if r.isErased(k.Student, k.Section) {
		errs.Add("until", "err.record_erased")
	}
	if err := errs.Err(); err != nil {
		return err
	}
	k.By, k.At = by.ID, r.now().UTC()
	at := sectionOf{k.Student, k.Section}
	ch := ledgerdb.Change{Puts: []ledgerdb.Put{kept.Put(at.key(), k)},
		Entries: []ledger.Draft{by.Draft("record.kept", role, k.Student, map[string]any{"student": k.Student, "section": string(k.Section), "until": k.Until}, part("reason", rules.Owner(k.Student, k.Section), k.Reason)...)}}
	if l.Erasure != nil { // the proposal falls
		ch.Deletes = append(ch.Deletes, erasures.DeleteRev(at.key(), r.erasureRev(at)))
	}
	if _, err := r.o.Store.Commit(ctx, ch); err != nil {
		return fmt.Errorf("keep a record longer: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept[at] = k
	delete(r.erasures, at)
	return nil
}

func (r *Records) erasureRev(at sectionOf) uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.erasures[at].rev
}

// ProposeErasure is the first of two people who let a section go whose time is over.
func (r *Records) ProposeErasure(ctx context.Context, by account.Who, pupil string, s rules.Section) error {
	role, err := r.allow(by, account.ActRetentionPropose, account.Subject{})
	if err != nil {
		return err
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	l, err := r.leaver(pupil, s)
	if err != nil {
		return err
	}
	if !l.Due {
		return fielderr.Errors{{Field: "section", Rule: "err.retention_early", Args: []any{l.Until}}}
	}
	if l.Erasure != nil {
		return nil
	}
	return r.putErasure(ctx, by, role, rules.Erasure{Student: pupil, Section: s, State: rules.ErasureProposed, ProposedBy: by.ID}, 0)
}

func (r *Records) putErasure(ctx context.Context, by account.Who, role account.Role, e rules.Erasure, rev uint64) error {
	e.At = r.now().UTC()
	at := sectionOf{e.Student, e.Section}
	rc, err := r.o.Store.Commit(ctx, ledgerdb.Change{Puts: []ledgerdb.Put{erasures.PutRev(at.key(), e, rev)},
		Entries: []ledger.Draft{by.Draft("record.erasure", role, e.Student, map[string]any{"student": e.Student, "section": string(e.Section), "state": e.State})}})
	if err != nil {
		return fmt.Errorf("enter the erasure of a record: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.takeErasure(e, rc.Revs[0])
	return nil
}

// ConfirmErasure is the second: the key of the section is destroyed, its files are removed, and the entry that certifies it
// is committed. What a power cut interrupts, the next start finishes. Errors: ErrNotFound, *account.Refused.
func (r *Records) ConfirmErasure(ctx context.Context, by account.Who, pupil string, s rules.Section) error {
	at := sectionOf{pupil, s}
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.RLock()
	e, ok := r.erasures[at]
	r.mu.RUnlock()
	if !ok || e.State != rules.ErasureProposed {
		return ErrNotFound
	}
	role, err := r.allow(by, account.ActRetentionConfirm, account.Subject{Person: e.ProposedBy})
	if err != nil {
		return err
	}
	if l, err := r.leaver(pupil, s); err != nil || !l.Due { // came back, or is kept longer
		return errors.Join(err, ledgerdb.ErrConflict)
	}
	e.State, e.ConfirmedBy = rules.ErasureConfirmed, by.ID
	if err := r.putErasure(ctx, by, role, e.Erasure, e.rev); err != nil {
		return err
	}
	return r.destroy(context.WithoutCancel(ctx), by, at)
}

// destroy destroys the key of a confirmed erasure and enters it. The caller holds writing.
func (r *Records) destroy(ctx context.Context, by account.Who, at sectionOf) error {
	owner := rules.Owner(at.pupil, at.section)
	if err := r.o.Keys.Erase(owner); err != nil {
		return fmt.Errorf("destroy the key of a record: %w", err)
	}
	if _, err := r.o.Files.Forget(ctx, by); err != nil {
		return err
	}
	r.mu.Lock()
	e := r.erasures[at]
	for id, c := range r.concerns {
		if c.Student == at.pupil && c.Section == at.section {
			delete(r.concerns, id)
		}
	}
	for k := range r.opened {
		if k.pupil == at.pupil && k.section == at.section {
			delete(r.opened, k)
		}
	}
	n := r.count[at.pupil][at.section]
	r.mu.Unlock()
	e.State, e.At = rules.ErasureDone, r.now().UTC()
	rc, err := r.o.Store.Commit(ctx, ledgerdb.Change{Puts: []ledgerdb.Put{erasures.PutRev(at.key(), e.Erasure, e.rev)},
		Entries: []ledger.Draft{by.Draft("record.erased", "", at.pupil, map[string]any{"student": at.pupil, "section": string(at.section), "records": n, "proposed": e.ProposedBy, "confirmed": e.ConfirmedBy})}})
	if err != nil {
		return fmt.Errorf("enter that a record was erased: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.takeErasure(e.Erasure, rc.Revs[0])
	return nil
}

// Run finishes what a power cut interrupted, and destroys again what a backup of the keys brought back; then it ends.
func (r *Records) Run(ctx context.Context) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.RLock()
	var again []sectionOf
	var unfinished []sectionOf
	for at, e := range r.erasures {
		_, there := r.o.Keys.Key(rules.Owner(at.pupil, at.section))
		switch {
		case e.State == rules.ErasureConfirmed:
			unfinished = append(unfinished, at)
		case e.State == rules.ErasureDone && there:
			again = append(again, at)
		}
	}
	r.mu.RUnlock()
	for _, at := range again {
		if err := r.o.Keys.Erase(rules.Owner(at.pupil, at.section)); err != nil {
			return fmt.Errorf("destroy a restored key of a record: %w", err)
		}
	}
	for _, at := range unfinished {
		if err := r.destroy(ctx, account.System, at); err != nil {
			return err
		}
	}
	if _, err := r.o.Files.Forget(ctx, account.System); err != nil {
		return err
	}
	return nil
}

// ErasedEntry is the entry that certifies the erasure of a section; its proof is what campuskeep-verify checks.
func (r *Records) ErasedEntry(ctx context.Context, pupil string, s rules.Section) (uint64, error) {
	found, err := r.o.Store.Search(ctx, ledgerdb.Query{Kinds: []ledger.Kind{"record.erased"}, About: []string{pupil}, Limit: len(rules.Sections) * 2})
	if err != nil {
		return 0, fmt.Errorf("find an erasure: %w", err)
	}
	for _, e := range found.Entries {
		var d struct{ Student, Section string }
		if err := unmarshal(e.Data, &d); err != nil {
			return 0, err
		}
		if d.Student == pupil && d.Section == string(s) {
			return e.Seq, nil
		}
	}
	return 0, ErrNotFound
}
