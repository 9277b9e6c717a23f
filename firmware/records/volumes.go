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

// Paper volumes and safety letters. What is written about a volume is sealed under a key of its own.
var (
	volumes = ledgerdb.NewTable[rules.Volume]("record_volumes", ledgerdb.Sealed(func(v rules.Volume) string { return "volume:" + v.ID }))
	letters = ledgerdb.NewTable[letter]("safety_letters")
)

// letter is a guardian's signed safety letter of a school year; its key is <year>/<pupil>.
type letter struct {
	Signed string `json:"signed"` // date on which it was entered
	By     string `json:"by"`
}

type volume struct {
	rules.Volume
	rev uint64
}

// mostVolumes bounds the catalogue, which is in memory.
const mostVolumes = 20_000

func (r *Records) loadVolumes(tx ledgerdb.Tx) error {
	for id, row := range volumes.Rows(tx, "") {
		r.number(id)
		if row.Err == nil {
			r.volumes[id] = volume{row.Value, row.Rev}
		} else if !errors.Is(row.Err, ledgerdb.ErrErased) {
			return row.Err
		}
	}
	for key, l := range letters.All(tx) {
		r.letters[key] = l
	}
	return nil
}

// Volumes are all paper volumes: overdue ones first, then by year, class and title.
func (r *Records) Volumes() (out []rules.Volume) {
	today := r.today()
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, v := range r.volumes {
		out = append(out, v.Volume)
	}
	rank := func(v rules.Volume) int {
		if v.Overdue(today) {
			return 0
		}
		return 1
	}
	slices.SortFunc(out, func(a, b rules.Volume) int {
		return cmp.Or(rank(a)-rank(b), b.Year-a.Year, cmp.Compare(a.Class, b.Class), cmp.Compare(a.Section, b.Section), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Catalogue enters a new paper volume. Errors: *account.Refused, fielderr.Errors.
func (r *Records) Catalogue(ctx context.Context, by account.Who, v rules.Volume) error {
	role, err := r.allow(by, account.ActArchiveEdit, account.Subject{})
	if err != nil {
		return err
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	errs := v.Check()
	if _, ok := r.o.People.Class(v.Class); v.Class != "" && !ok {
		errs.Add("class", "err.class_unknown")
	}
	r.mu.RLock()
	n := len(r.volumes)
	r.mu.RUnlock()
	if n >= mostVolumes {
		errs.Add("title", "err.too_many", mostVolumes)
	}
	if err := errs.Err(); err != nil {
		return err
	}
	v.ID, v.Checked, v.LentTo, v.Due = r.nextID("v", 0), r.today(), "", ""
	v.Steps = []rules.VolumeStep{{At: r.now().UTC(), By: by.ID, What: rules.VolumeCatalogued}}
	return r.putVolume(ctx, by, role, v, 0)
}

// VolumeStep lends, takes back or checks a volume. Errors: ErrNotFound, *account.Refused, fielderr.Errors.
func (r *Records) VolumeStep(ctx context.Context, by account.Who, id string, s rules.VolumeStep) error {
	role, err := r.allow(by, account.ActArchiveEdit, account.Subject{})
	if err != nil {
		return err
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.RLock()
	old, ok := r.volumes[id]
	r.mu.RUnlock()
	if !ok {
		return ErrNotFound
	}
	s.At, s.By = r.now(), by.ID
	v, errs := old.Next(s, r.today())
	if s.What == rules.VolumeLent && s.To != "" && !r.works(s.To) {
		errs.Add("to", "err.person_unknown")
	}
	if err := errs.Err(); err != nil {
		return err
	}
	if len(v.Steps) > mostSteps { // the log keeps the older ones
		v.Steps = v.Steps[len(v.Steps)-mostSteps:]
	}
	return r.putVolume(ctx, by, role, v, old.rev)
}

func (r *Records) putVolume(ctx context.Context, by account.Who, role account.Role, v rules.Volume, rev uint64) error {
	s := v.Steps[len(v.Steps)-1]
	data := map[string]any{"step": s.What, "section": string(v.Section), "class": v.Class, "year": v.Year}
	if s.To != "" {
		data["to"], data["due"] = s.To, s.Due
	}
	text := s.Note
	if s.What == rules.VolumeCatalogued {
		text = v.Title + " " + v.Shelf
	}
	rc, err := r.o.Store.Commit(ctx, ledgerdb.Change{Puts: []ledgerdb.Put{volumes.PutRev(v.ID, v, rev)},
		Entries: []ledger.Draft{by.Draft("volume.step", role, v.ID, data, part("note", "volume:"+v.ID, text)...)}})
	if err != nil {
		return fmt.Errorf("enter a step of volume %s: %w", v.ID, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.number(v.ID)
	r.volumes[v.ID] = volume{v, rc.Revs[0]}
	return nil
}

func letterKey(year int, pupil string) string { return fmt.Sprintf("%04d/%s", year, pupil) }

// LetterSigned says when a pupil's safety letter of a school year was entered; empty: not signed.
func (r *Records) LetterSigned(year int, pupil string) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.letters[letterKey(year, pupil)].Signed
}

// mostLetters of one call: a class.
const mostLetters = 64

// SignLetters enters that guardians of these pupils of a class have signed the safety letter of the school year. Ones that
// were entered before stay as they are. Errors: *account.Refused, fielderr.Errors.
func (r *Records) SignLetters(ctx context.Context, by account.Who, year int, class string, pupils []string) error {
	role, err := r.allow(by, account.ActLetters, account.Subject{Class: class})
	if err != nil {
		return err
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	var ch ledgerdb.Change
	var fresh []string
	l := letter{Signed: r.today(), By: by.ID}
	for _, id := range pupils {
		if r.o.People.ClassOf(id, r.today()) != class {
			return fielderr.Errors{{Field: "pupil", Rule: "err.pupil_unknown", Args: []any{id}}}
		}
		if r.LetterSigned(year, id) == "" && !slices.Contains(fresh, id) {
			fresh = append(fresh, id)
			ch.Puts = append(ch.Puts, letters.PutRev(letterKey(year, id), l, 0))
		}
	}
	switch {
	case len(fresh) == 0:
		return nil
	case len(fresh) > mostLetters:
		return fielderr.Errors{{Field: "pupil", Rule: "err.too_many", Args: []any{mostLetters}}}
	}
	ch.Entries = []ledger.Draft{by.Draft("letter.signed", role, class, map[string]any{"class": class, "year": year, "students": fresh})}
	if _, err := r.o.Store.Commit(ctx, ch); err != nil {
		return fmt.Errorf("enter signed safety letters: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range fresh {
		r.letters[letterKey(year, id)] = l
	}
	return nil
}
