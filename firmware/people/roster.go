package people

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"

	"github.com/xuri/excelize/v2"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/sheet"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/student"
)

// Limits of a roster file. The unpacked ones keep a small file from filling the memory.
const (
	maxRosterFile  = 5 << 20
	maxRosterSheet = 32 << 20
	rosterSheet    = "名册"
)

// Preview is a roster that was read and checked, not yet stored.
type Preview struct {
	File    string // hash of the file, so that a page imports what it has shown
	Rows    []student.Row
	Faults  []student.RowFault
	Ignored []string        // headings without meaning to us
	Classes []student.Class // those that the import will make
	Updates []RosterUpdate  // rows of pupils who are registered already
	// Asks are rows that may be one pupil twice. Nothing is imported before a person has said that they are not.
	Asks   []student.RowFault
	Agreed bool
}

// RosterUpdate is what a row changes of a pupil who is registered.
type RosterUpdate struct {
	Line     int
	Was, Now student.Student
	What     []string // fields of the row that differ
	From, To string   // class today, and the one of the sheet; equal: stays
	Card     *attendance.Card

	rev uint64
}

// Changed says whether the row changes anything.
func (u RosterUpdate) Changed() bool { return len(u.What) > 0 || u.From != u.To || u.Card != nil }

// WriteRosterTemplate writes the spreadsheet to fill in: a sheet with the headings, all cells text so that long
// numbers stay whole, and a sheet that explains the columns in the given language.
func (p *People) WriteRosterTemplate(w io.Writer, lang ui.Lang) (err error) {
	f := excelize.NewFile()
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	if err := fillTemplate(f, lang); err != nil {
		return fmt.Errorf("make the roster template: %w", err)
	}
	if _, err := f.WriteTo(w); err != nil {
		return fmt.Errorf("write the roster template: %w", err)
	}
	return nil
}

func fillTemplate(f *excelize.File, lang ui.Lang) error {
	if err := f.SetSheetName("Sheet1", rosterSheet); err != nil {
		return err
	}
	text, err := f.NewStyle(&excelize.Style{NumFmt: 49}) // "@", text
	if err != nil {
		return err
	}
	last, err := excelize.ColumnNumberToName(len(student.Columns))
	if err != nil {
		return err
	}
	if err := f.SetColStyle(rosterSheet, "A:"+last, text); err != nil {
		return err
	}
	if err := f.SetColWidth(rosterSheet, "A", last, 18); err != nil {
		return err
	}
	help := ui.T(lang, "roster.help")
	if _, err := f.NewSheet(help); err != nil {
		return err
	}
	rows := [][]any{{ui.T(lang, "roster.column"), ui.T(lang, "roster.needed"), ui.T(lang, "roster.example")}}
	var head []any
	for _, c := range student.Columns {
		title, needed := c.Title, ui.T(lang, "roster.optional")
		if c.Required {
			needed = ui.T(lang, "roster.required")
		}
		head = append(head, title)
		rows = append(rows, []any{title, needed, c.Example})
	}
	if err := f.SetSheetRow(rosterSheet, "A1", &head); err != nil {
		return err
	}
	for i, r := range rows {
		if err := f.SetSheetRow(help, fmt.Sprintf("A%d", i+1), &r); err != nil {
			return err
		}
	}
	return f.SetColWidth(help, "A", "C", 24)
}

// ReadRoster reads the first sheet of an .xlsx file and checks it against itself and against who is registered
// already. What cannot be read as such a file is a fault of line 0.
func (p *People) ReadRoster(r io.Reader) (Preview, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxRosterFile+1))
	if err != nil {
		return Preview{}, fmt.Errorf("read a roster: %w", err)
	}
	sum := sha256.Sum256(b)
	v := Preview{File: hex.EncodeToString(sum[:])}
	cells, rule := sheet.Read(b, maxRosterFile, maxRosterSheet, student.DateTitle)
	if rule != "" {
		v.Faults = []student.RowFault{{Errors: fielderr.Errors{{Field: "file", Rule: rule, Args: []any{maxRosterFile >> 20}}}}}
		return v, nil
	}
	var schooling student.Schooling
	if p.o.Schooling != nil {
		schooling = p.o.Schooling()
	}
	read := schooling.ReadRoster(cells, p.today())
	v.Faults, v.Ignored, v.Asks = read.Faults, read.Ignored, read.Asks
	p.mu.RLock()
	defer p.mu.RUnlock()
	_, hashes := p.usedNumbers()
	known := p.matcher()
	updated := map[string]int{}
	for _, row := range read.Rows {
		var errs fielderr.Errors
		old, registered, rule := known(row)
		if rule != "" {
			errs.Add("id", rule)
		}
		var card *attendance.Card
		if row.Card != "" {
			c, err := attendance.ParseCard(row.Card)
			has, theirs := p.cards[p.cardHash(c)]
			switch {
			case err != nil:
				errs.Add("card", "err.card")
			case registered && theirs && has.Student == old.ID:
			case hashes[p.cardHash(c)]:
				errs.Add("card", "err.card_taken")
			default:
				card = &c
			}
		}
		if registered {
			if first, twice := updated[old.ID]; twice {
				errs.Add("id", "err.roster_twice", first)
			}
			updated[old.ID] = row.Line
			u := RosterUpdate{Line: row.Line, Was: old.copy(), Now: student.Merge(old.copy(), row.Student, read.Fields), From: p.classOf(old.ID, p.today()), To: row.Class.ID, Card: card, rev: old.rev}
			u.What = differing(u.Was, u.Now)
			errs = append(errs, u.Now.Check(p.today())...)
			if len(errs) == 0 {
				v.Updates = append(v.Updates, u)
			}
		} else if row.Student.IDNumber == "" && len(errs) == 0 && p.sameWithoutDocuments(row.Student) {
			v.Asks = append(v.Asks, student.RowFault{Line: row.Line, Errors: fielderr.Errors{{Field: "name", Rule: "err.roster_known_pupil"}}})
		}
		if len(errs) > 0 {
			v.Faults = append(v.Faults, student.RowFault{Line: row.Line, Errors: errs})
			continue
		}
		if !registered {
			v.Rows = append(v.Rows, row)
		}
		if _, ok := p.classes[row.Class.ID]; !ok && !slices.ContainsFunc(v.Classes, func(c student.Class) bool { return c.ID == row.Class.ID }) {
			v.Classes = append(v.Classes, row.Class)
		}
	}
	if n := v.rows(); n > ledgerdb.MaxRows {
		v.Faults = append(v.Faults, student.RowFault{Errors: tooManyRows(n)})
	}
	slices.SortStableFunc(v.Asks, func(a, b student.RowFault) int { return a.Line - b.Line })
	slices.SortFunc(v.Faults, func(a, b student.RowFault) int { return a.Line - b.Line })
	return v, nil
}

// rows is how many rows of the register a roster changes at the least.
func (v Preview) rows() int {
	n := len(v.Classes) + 2*len(v.Rows) // a pupil and an enrolment
	for _, row := range v.Rows {
		if row.Card != "" {
			n++
		}
	}
	for _, u := range v.Updates {
		if len(u.What) > 0 {
			n++
		}
		if u.Card != nil {
			n++
		}
		if u.From != u.To {
			n++ // an enrolment begins
			if u.From != "" {
				n++ // another ends
			}
		}
	}
	return n
}

// matcher finds the registered pupil of a row: by the id that the sheet names, the identity document, or the national
// number. rule says what is wrong with the id. The caller holds mu.
func (p *People) matcher() func(student.Row) (old pupil, ok bool, rule string) {
	byDocument, byNational := map[string]string{}, map[string]string{}
	for id, s := range p.students {
		if s.IDNumber != "" {
			byDocument[s.IDNumber] = id
		}
		if s.NationalNo != "" {
			byNational[s.NationalNo] = id
		}
	}
	return func(row student.Row) (pupil, bool, string) {
		document := byDocument[row.Student.IDNumber]
		if row.ID != "" {
			old, ok := p.students[row.ID]
			switch {
			case !ok:
				return pupil{}, false, "err.pupil_unknown"
			case document != "" && document != row.ID:
				return pupil{}, false, "err.id_known"
			}
			return old, true, ""
		}
		for _, id := range []string{document, byNational[row.Student.NationalNo]} {
			if old, ok := p.students[id]; ok {
				return old, true, ""
			}
		}
		return pupil{}, false, ""
	}
}

// sameWithoutDocuments says whether a pupil of the same name, sex and birth is registered without documents. The caller
// holds mu.
func (p *People) sameWithoutDocuments(s student.Student) bool {
	for _, o := range p.students {
		if o.IDNumber == "" && student.Twin(o.Student) == student.Twin(s) {
			return true
		}
	}
	return false
}

// ImportRoster stores a roster without faults, all of it or nothing, beginning enrolments and changes of class on a date.
// The classes that are missing are made. It gives the ids of the pupils who are new. Errors: ledgerdb.ErrConflict when a
// pupil was changed meanwhile, fielderr.Errors, *account.Refused.
func (p *People) ImportRoster(ctx context.Context, by account.Who, v Preview, from string) (ids []string, err error) {
	role, err := p.allow(by, account.ActPupilsEdit, account.Subject{})
	if err != nil {
		return nil, err
	}
	if len(v.Faults) > 0 || len(v.Rows)+len(v.Updates) == 0 {
		return nil, fielderr.Errors{{Field: "file", Rule: "err.roster_faults", Args: []any{len(v.Faults)}}}
	}
	if len(v.Asks) > 0 && !v.Agreed {
		return nil, fielderr.Errors{{Field: "file", Rule: v.Asks[0].Errors[0].Rule, Args: v.Asks[0].Errors[0].Args}}
	}
	list := make([]NewStudent, len(v.Rows))
	for i, row := range v.Rows {
		list[i] = NewStudent{Student: row.Student, Class: row.Class.ID, From: from}
		if row.Card != "" {
			card, err := attendance.ParseCard(row.Card)
			if err != nil {
				return nil, fielderr.Errors{{Field: fmt.Sprintf("%d.card", i), Rule: "err.card"}}
			}
			list[i].Cards = []attendance.Card{card}
		}
	}
	by.Via = ledger.ViaImport
	p.writing.Lock()
	defer p.writing.Unlock()
	missing := slices.DeleteFunc(slices.Clone(v.Classes), func(c student.Class) bool { _, ok := p.Class(c.ID); return ok })
	if err := p.checkNew(list, missing).Err(); err != nil {
		return nil, err
	}
	var b batch
	ids = p.draftNew(&b, by, role, list, missing)
	changed := 0
	for _, u := range v.Updates {
		if !u.Changed() {
			continue
		}
		changed++
		if err := p.draftUpdate(&b, by, role, u, from, missing); err != nil {
			return nil, err
		}
	}
	b.Entries = append(b.Entries, by.Draft("import", role, "students", map[string]any{"what": "students", "count": len(list) + changed}))
	if err := p.commit(ctx, &b); err != nil {
		return nil, fmt.Errorf("import a roster of %d pupils: %w", len(list)+changed, err)
	}
	return ids, nil
}

// draftUpdate adds what a row changes to a batch. The caller holds writing.
func (p *People) draftUpdate(b *batch, by account.Who, role account.Role, u RosterUpdate, from string, missing []student.Class) error {
	p.mu.RLock()
	old := p.students[u.Was.ID]
	numbers, hashes := p.usedNumbers()
	p.mu.RUnlock()
	if old.rev != u.rev {
		return ledgerdb.ErrConflict
	}
	if u.Now.IDNumber != u.Was.IDNumber && numbers[u.Now.IDNumber] {
		return fielderr.Errors{{Field: "id_number", Rule: "err.id_known"}}
	}
	p.draftChange(b, by, role, old, u.Now)
	if u.Card != nil {
		if hashes[p.cardHash(*u.Card)] {
			return fielderr.Errors{{Field: "card", Rule: "err.card_taken"}}
		}
		p.draftCard(b, *u.Card, u.Was.ID, p.now().Wall.UTC())
		b.Entries = append(b.Entries, by.Draft("student.changed", role, u.Was.ID, map[string]any{"what": []string{"card"}}))
	}
	if u.From != u.To {
		return p.draftMove(b, by, role, Move{u.Was.ID, u.To, from, student.LeftMoved}, missing).Err()
	}
	return nil
}
