package records

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/sealedfiles"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	rules "campuskeep/shared/records"
)

// History is a record with the versions before, the newest first.
type History struct {
	Current rules.Record
	Before  []rules.Record
}

// opening is who has opened what.
type opening struct {
	person, pupil string
	section       rules.Section
}

type opened struct {
	purpose rules.Purpose
	at      time.Duration // monotonic
}

// page is the section under which the pupil's page itself is entered.
const page rules.Section = "page"

// Read is the one way to the records of a section. It asks the permission table, commits the entry that names reader and
// purpose, and only then opens anything. Errors: *account.Refused, fielderr.Errors at "purpose", ErrNotFound.
func (r *Records) Read(ctx context.Context, by account.Who, pupil string, section rules.Section, p rules.Purpose) ([]History, error) {
	if err := r.enterReading(ctx, by, pupil, section, p, nil); err != nil {
		return nil, err
	}
	return r.open(pupil, section)
}

// enterReading allows and enters the reading of a section; more are further fields of the entry. Readings of what is not
// sensitive are entered once while the section is open.
func (r *Records) enterReading(ctx context.Context, by account.Who, pupil string, section rules.Section, p rules.Purpose, more map[string]any) error {
	if !section.Known() {
		return ErrNotFound
	}
	if _, ok := r.o.People.Student(pupil); !ok {
		return ErrNotFound
	}
	s := r.Subject(by.ID, pupil)
	s.Purpose = true // checked here
	role, err := r.allow(by, section.ReadAction(), s)
	if err != nil {
		return err
	}
	if err := rules.CheckPurpose(section, p).Err(); err != nil && !by.IsSystem() {
		return err
	}
	return r.enter(ctx, by, role, pupil, section, p, more)
}

func (r *Records) enter(ctx context.Context, by account.Who, role account.Role, pupil string, section rules.Section, p rules.Purpose, more map[string]any) error {
	if _, open := r.Opened(by.ID, pupil, section); open && !section.Sensitive() && more == nil {
		return nil
	}
	data := map[string]any{"student": pupil, "section": string(section)}
	for k, v := range more {
		data[k] = v
	}
	if p.Code != "" {
		data["purpose"] = p.Code
	}
	d := by.Draft("record.read", role, pupil, data, part("note", rules.Owner(pupil, rules.Basic), p.Note)...)
	if _, err := r.o.Store.Commit(ctx, ledgerdb.Change{Entries: []ledger.Draft{d}}); err != nil {
		return fmt.Errorf("enter the reading of a record: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	mono := r.o.Clock.Now().Mono
	for k, o := range r.opened {
		if mono-o.at >= rules.OpenFor {
			delete(r.opened, k)
		}
	}
	key := opening{by.ID, pupil, section}
	if old, ok := r.opened[key]; !ok || old.purpose.Code != p.Code {
		r.opened[key] = opened{p, mono}
	}
	return nil
}

// Opened is the purpose for which somebody opened a section less than half an hour ago.
func (r *Records) Opened(person, pupil string, section rules.Section) (rules.Purpose, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	o, ok := r.opened[opening{person, pupil, section}]
	if !ok || r.o.Clock.Now().Mono-o.at >= rules.OpenFor {
		return rules.Purpose{}, false
	}
	return o.purpose, true
}

// Close ends an opening before its time.
func (r *Records) Close(person, pupil string, section rules.Section) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.opened, opening{person, pupil, section})
}

// View enters that somebody looks at a pupil's page: care instruction, whom to call.
func (r *Records) View(ctx context.Context, by account.Who, pupil string) error {
	role, err := r.allow(by, account.ActRecordView, r.Subject(by.ID, pupil))
	if err != nil {
		return err
	}
	return r.enter(ctx, by, role, pupil, page, rules.Purpose{}, nil)
}

// open reads a section, the latest happening first.
func (r *Records) open(pupil string, section rules.Section) ([]History, error) {
	byID := map[string][]rules.Record{}
	err := r.o.Store.View(func(tx ledgerdb.Tx) error {
		for _, row := range versions.Rows(tx, pupil+"/"+string(section)+"/") {
			if errors.Is(row.Err, ledgerdb.ErrErased) {
				continue
			}
			if row.Err != nil {
				return row.Err
			}
			byID[row.Value.ID] = append(byID[row.Value.ID], row.Value)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the records of %s: %w", pupil, err)
	}
	var out []History
	for _, list := range byID {
		slices.SortFunc(list, func(a, b rules.Record) int { return b.Version - a.Version })
		out = append(out, History{list[0], list[1:]})
	}
	slices.SortFunc(out, func(a, b History) int {
		return cmp.Or(cmp.Compare(b.Current.Happened, a.Current.Happened), cmp.Compare(b.Current.ID, a.Current.ID))
	})
	return out, nil
}

// record reads the newest version of one record.
func (r *Records) record(id string) (rules.Record, place, error) {
	r.mu.RLock()
	p, ok := r.places[id]
	r.mu.RUnlock()
	if !ok {
		return rules.Record{}, p, ErrNotFound
	}
	var v rules.Record
	err := r.o.Store.View(func(tx ledgerdb.Tx) (err error) {
		v, _, ok, err = versions.Get(tx, p.String())
		return err
	})
	if errors.Is(err, ledgerdb.ErrErased) || err == nil && !ok {
		return v, p, ErrNotFound
	}
	return v, p, err
}

// Get reads one record for its reader; the section must be open for a purpose when it is sensitive.
func (r *Records) Get(ctx context.Context, by account.Who, pupil, id string) (rules.Record, error) {
	r.mu.RLock()
	p, ok := r.places[id]
	r.mu.RUnlock()
	if !ok || p.pupil != pupil {
		return rules.Record{}, ErrNotFound
	}
	purpose, _ := r.Opened(by.ID, pupil, p.section)
	if err := r.enterReading(ctx, by, pupil, p.section, purpose, nil); err != nil {
		return rules.Record{}, err
	}
	v, _, err := r.record(id)
	return v, err
}

// OpenFile opens a file of a record. The entry that names file and purpose is committed first.
func (r *Records) OpenFile(ctx context.Context, by account.Who, pupil, id, file string) (io.ReadSeekCloser, sealedfiles.File, error) {
	r.mu.RLock()
	p, ok := r.places[id]
	r.mu.RUnlock()
	if !ok || p.pupil != pupil {
		return nil, sealedfiles.File{}, ErrNotFound
	}
	purpose, _ := r.Opened(by.ID, pupil, p.section)
	f, err := r.o.Files.Get(file)
	if errors.Is(err, sealedfiles.ErrNotFound) || err == nil && f.Owner != rules.Owner(pupil, p.section) {
		return nil, f, ErrNotFound
	}
	if err != nil {
		return nil, f, err
	}
	if err := r.enterReading(ctx, by, pupil, p.section, purpose, map[string]any{"file": file}); err != nil {
		return nil, f, err
	}
	return r.o.Files.Open(ctx, file)
}

// Care are the instructions for a pupil that hold today, the newest first: what to do, in plain words, never a diagnosis.
func (r *Records) Care(pupil string) (out []rules.CareNote) {
	today := r.today()
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.erased[pupil][rules.Health] {
		return nil
	}
	for _, v := range r.care[pupil] {
		if n, ok := rules.CareOf(v, today); ok {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b rules.CareNote) int {
		return cmp.Or(b.Since.Compare(a.Since), cmp.Compare(a.Record, b.Record))
	})
	return out
}

// Card is what the emergency card says of a pupil's health; false when nobody wrote one.
func (r *Records) Card(pupil string) (c rules.Card, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var newest time.Time
	for _, v := range r.care[pupil] {
		if x, is := rules.CardOf(v); is && !r.erased[pupil][rules.Health] && !v.Written.Before(newest) {
			c, ok, newest = x, true, v.Written
		}
	}
	return c, ok
}

// Incidents are the newest versions of all incidents and praise, for counting; withdrawn ones are left out.
func (r *Records) Incidents() (out []rules.Record) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, v := range r.incidents {
		if !v.Invalid && !r.erased[v.Student][rules.Conduct] {
			out = append(out, v)
		}
	}
	slices.SortFunc(out, func(a, b rules.Record) int {
		return cmp.Or(cmp.Compare(a.Happened, b.Happened), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Reading is one reading of a pupil's record, as the log has it.
type Reading struct {
	Seq     uint64
	At      time.Time
	Person  string
	Role    account.Role
	Section string // a section, "page", or "glass" for the emergency card
	Purpose string
	File    bool
}

// mostReadings is how many are listed.
const mostReadings = 200

// Readers are who has read a pupil's record in the last days, the newest first.
func (r *Records) Readers(ctx context.Context, pupil string, days int) ([]Reading, error) {
	found, err := r.o.Store.Search(ctx, ledgerdb.Query{Kinds: []ledger.Kind{"record.read", "glass.opened"}, About: []string{pupil}, From: r.now().AddDate(0, 0, -days), To: r.now().Add(time.Minute), Limit: mostReadings})
	if err != nil {
		return nil, fmt.Errorf("list the readers of %s: %w", pupil, err)
	}
	var out []Reading
	for _, e := range found.Entries {
		x := Reading{Seq: e.Seq, At: e.At, Person: e.Actor.ID, Role: account.Role(e.Actor.Role), Section: "glass"}
		var d struct{ Student, Section, Purpose, File string }
		if err := unmarshal(e.Data, &d); err != nil {
			return nil, err
		}
		if d.Student != pupil {
			continue
		}
		if e.Kind == "record.read" {
			x.Section, x.Purpose, x.File = d.Section, d.Purpose, d.File != ""
		}
		out = append(out, x)
	}
	return out, nil
}
