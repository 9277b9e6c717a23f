package people

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"

	"github.com/xuri/excelize/v2"

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
	// Asks are rows that may be one pupil twice. Nothing is imported before a person has said that they are not.
	Asks   []student.RowFault
	Agreed bool
}

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
	numbers, hashes := p.usedNumbers()
	twins := map[string]bool{}
	for _, s := range p.students {
		if s.IDNumber == "" {
			twins[student.Twin(s.Student)] = true
		}
	}
	for _, row := range read.Rows {
		var errs fielderr.Errors
		if row.Student.IDNumber != "" && numbers[row.Student.IDNumber] {
			errs.Add("id_number", "err.id_known")
		}
		if row.Card != "" {
			switch card, err := attendance.ParseCard(row.Card); {
			case err != nil:
				errs.Add("card", "err.card")
			case hashes[p.cardHash(card)]:
				errs.Add("card", "err.card_taken")
			}
		}
		if len(errs) > 0 {
			v.Faults = append(v.Faults, student.RowFault{Line: row.Line, Errors: errs})
			continue
		}
		if row.Student.IDNumber == "" && twins[student.Twin(row.Student)] {
			v.Asks = append(v.Asks, student.RowFault{Line: row.Line, Errors: fielderr.Errors{{Field: "name", Rule: "err.roster_known_pupil"}}})
		}
		v.Rows = append(v.Rows, row)
		if _, ok := p.classes[row.Class.ID]; !ok && !slices.ContainsFunc(v.Classes, func(c student.Class) bool { return c.ID == row.Class.ID }) {
			v.Classes = append(v.Classes, row.Class)
		}
	}
	slices.SortStableFunc(v.Asks, func(a, b student.RowFault) int { return a.Line - b.Line })
	slices.SortFunc(v.Faults, func(a, b student.RowFault) int { return a.Line - b.Line })
	return v, nil
}

// ImportRoster stores a roster without faults, all of it or nothing, beginning the enrolments on a date. The
// classes that are missing are made. Errors: fielderr.Errors, *account.Refused.
func (p *People) ImportRoster(ctx context.Context, by account.Who, v Preview, from string) (ids []string, err error) {
	if len(v.Faults) > 0 || len(v.Rows) == 0 {
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
	var missing []student.Class
	for _, c := range v.Classes {
		if _, ok := p.Class(c.ID); !ok {
			missing = append(missing, c)
		}
	}
	by.Via = ledger.ViaImport
	return p.addStudents(ctx, by, list, missing)
}
