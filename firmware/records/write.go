package records

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/sealedfiles"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	rules "campuskeep/shared/records"
)

// Draft is a record to write: pupil, kind, when, source and values, and what belongs to it.
type Draft struct {
	Record  rules.Record
	Others  []string    // further pupils of an incident: each gets a record of their own
	Uploads []io.Reader // scans and photographs
	Follow  bool        // somebody has to follow it up
	Owner   string      // who; nobody yet: empty
	Due     string      // date; empty: the usual term
	// Situations of mandatory report that the form asked for and that hold (L5).
	Situations []string
}

// Write writes a record, for an incident with several pupils one for each, and opens the concern that follows from it; all
// is one change. Errors: *account.Refused, ErrNotFound, fielderr.Errors.
func (r *Records) Write(ctx context.Context, by account.Who, d Draft) (rules.Record, error) {
	k, ok := rules.KindOf(d.Record.Kind)
	if !ok {
		return d.Record, ErrNotFound
	}
	pupils, err := r.pupils(d)
	if err != nil {
		return d.Record, err
	}
	var role account.Role
	for _, pupil := range pupils {
		if role, err = r.allow(by, k.Section.WriteAction(), r.Subject(by.ID, pupil)); err != nil {
			return d.Record, err
		}
	}
	v := r.prepared(by, d.Record)
	v.Version, v.Reason, v.Files, v.Group, v.Others, v.Invalid = 1, "", nil, "", len(d.Others), false
	errs := v.Check(r.moment())
	errs = append(errs, r.checkDraft(k, d)...)
	if err := errs.Err(); err != nil {
		return v, err
	}
	staged, err := r.stage(ctx, by, v, d.Uploads) // takes its time: nobody waits for it
	if err != nil {
		return v, err
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	v.ID = r.nextID("r", 0)
	if len(pupils) > 1 {
		v.Group = v.ID
	}
	var ch ledgerdb.Change
	for _, g := range staged {
		v.Files = append(v.Files, g.File.ID)
		g.Into(&ch, by, role)
	}
	list := []rules.Record{v}
	for i, pupil := range pupils[1:] {
		o := v
		o.ID, o.Student, o.Files, o.Values = r.nextID("r", i+1), pupil, nil, maps.Clone(v.Values)
		list = append(list, o)
	}
	for _, x := range list {
		put(&ch, by, role, x)
	}
	var opened *rules.Concern
	if k.Concern == rules.MustFollow || d.Follow || len(d.Situations) > 0 {
		c, errs := rules.NewConcern(v, d.Owner, d.Due, d.Situations, v.Written, r.today())
		if err := errs.Err(); err != nil {
			return v, settle(staged, err)
		}
		c.ID = r.nextID("k", 0)
		opened = &c
		ch.Puts = append(ch.Puts, concerns.PutRev(c.ID, c, 0))
		ch.Entries = append(ch.Entries, stepEntry(by, role, c))
	}
	rc, err := r.o.Store.Commit(ctx, ch)
	if err = settle(staged, err); err != nil {
		return v, fmt.Errorf("write a record of %s: %w", v.Student, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, x := range list {
		r.takeVersion(x)
	}
	if opened != nil {
		r.number(opened.ID)
		r.concerns[opened.ID] = concern{*opened, rc.Revs[len(rc.Revs)-1]}
	}
	return v, nil
}

// takeVersion takes a committed version into the index. The caller holds mu.
func (r *Records) takeVersion(x rules.Record) {
	r.takePlace(placeFor(x))
	r.takeText(x)
}

func placeFor(v rules.Record) place { return place{v.Student, v.Section(), v.Kind, v.ID, v.Version} }

// put adds a version with its entry to a change.
func put(ch *ledgerdb.Change, by account.Who, role account.Role, v rules.Record) {
	owner := rules.Owner(v.Student, v.Section())
	plain, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts and numbers
	}
	data := map[string]any{"student": v.Student, "section": string(v.Section()), "kind": v.Kind, "record": v.ID, "version": v.Version}
	if len(v.Files) > 0 {
		data["files"] = v.Files
	}
	ch.Puts = append(ch.Puts, versions.PutRev(placeFor(v).String(), v, 0))
	ch.Entries = append(ch.Entries, by.Draft("record.written", role, v.Student, data,
		append([]ledger.Part{{Name: "record", Owner: owner, Plain: plain}}, part("reason", owner, v.Reason)...)...))
}

// prepared trims what was typed and says who writes it when.
func (r *Records) prepared(by account.Who, v rules.Record) rules.Record {
	values := map[string]string{}
	for name, text := range v.Values {
		if text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n")); text != "" {
			values[name] = text
		}
	}
	v.Values, v.Author, v.Written, v.Reason = values, by.ID, r.now().UTC(), strings.TrimSpace(v.Reason)
	return v
}

// pupils are whom a draft is about, each once, the first first.
func (r *Records) pupils(d Draft) ([]string, error) {
	list := append([]string{d.Record.Student}, d.Others...)
	var errs fielderr.Errors
	k, _ := rules.KindOf(d.Record.Kind)
	for i, id := range list {
		_, ok := r.o.People.Student(id)
		switch {
		case !ok && i == 0:
			return nil, ErrNotFound
		case !ok:
			errs.Add("others", "err.pupil_unknown", id)
		case slices.Contains(list[:i], id):
			errs.Add("others", "err.pupil_twice")
		case r.isErased(id, k.Section):
			errs.Add("kind", "err.record_erased")
		}
	}
	if len(d.Others) > 0 && d.Record.Kind != rules.KindIncident && d.Record.Kind != rules.KindPraise {
		errs.Add("others", "err.record_one_pupil")
	}
	if len(d.Others) > rules.MaxOthers {
		errs.Add("others", "err.too_many", rules.MaxOthers)
	}
	return list, errs.Err()
}

func (r *Records) checkDraft(k rules.Kind, d Draft) (errs fielderr.Errors) {
	if (d.Follow || len(d.Situations) > 0) && k.Concern == rules.Never {
		errs.Add("follow", "err.record_no_concern")
	}
	if d.Owner != "" && !r.works(d.Owner) {
		errs.Add("owner", "err.person_unknown")
	}
	if len(d.Uploads) > rules.MaxFiles {
		errs.Add("file", "err.too_many", rules.MaxFiles)
	}
	return errs
}

// stage seals the uploads of a record; all or none.
func (r *Records) stage(ctx context.Context, by account.Who, v rules.Record, uploads []io.Reader) (list []*sealedfiles.Staged, err error) {
	for _, u := range uploads {
		g, err := r.o.Files.Stage(ctx, by, rules.Owner(v.Student, v.Section()), sealedfiles.UseRecord, u)
		if err != nil {
			for _, g := range list {
				if e := g.Settle(context.Canceled); e != nil && ctx.Err() == nil && !isCanceled(e) {
					r.o.Log.Error("an upload that was refused stays until the next start", "err", e)
				}
			}
			return nil, err
		}
		list = append(list, g)
	}
	return list, nil
}

// settle ends uploads with the outcome of a commit.
func settle(list []*sealedfiles.Staged, err error) error {
	for _, g := range list {
		if e := g.Settle(err); e != nil {
			err = e
		}
	}
	return err
}

// Correction is a new version: what changes, why, and files that come or go.
type Correction struct {
	ID      string
	Seen    int // the version that the form was made from
	Record  rules.Record
	Keep    []string // files of the version before that stay
	Uploads []io.Reader
}

// Correct writes the next version of a record. The one before stays. Errors: as Write, and ledgerdb.ErrConflict.
func (r *Records) Correct(ctx context.Context, by account.Who, c Correction) (rules.Record, error) {
	old, p, err := r.record(c.ID)
	if err != nil {
		return old, err
	}
	role, err := r.allow(by, p.section.WriteAction(), r.Subject(by.ID, p.pupil))
	if err != nil {
		return old, err
	}
	if old.Version != c.Seen {
		return old, ledgerdb.ErrConflict
	}
	next := r.prepared(by, c.Record)
	next.Files = slices.DeleteFunc(slices.Clone(old.Files), func(id string) bool { return !slices.Contains(c.Keep, id) })
	kept := len(next.Files)
	next.Files = append(next.Files, make([]string, len(c.Uploads))...) // named when they are sealed
	if next, err = old.Correct(next); err != nil {
		return old, err
	}
	if next.Invalid {
		kept, c.Uploads = len(next.Files), nil
	}
	if err := next.Check(r.moment()).Err(); err != nil {
		return next, err
	}
	staged, err := r.stage(ctx, by, next, c.Uploads)
	if err != nil {
		return next, err
	}
	var ch ledgerdb.Change
	next.Files = next.Files[:kept:kept]
	for _, g := range staged {
		next.Files = append(next.Files, g.File.ID)
		g.Into(&ch, by, role)
	}
	put(&ch, by, role, next)
	r.writing.Lock()
	defer r.writing.Unlock()
	if r.isErased(p.pupil, p.section) {
		return old, settle(staged, ledgerdb.ErrConflict)
	}
	_, err = r.o.Store.Commit(ctx, ch) // a version that somebody else wrote meanwhile is a conflict of its row
	if err = settle(staged, err); err != nil {
		return next, fmt.Errorf("correct record %s: %w", c.ID, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.takeVersion(next)
	return next, nil
}
