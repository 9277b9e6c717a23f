package sheets

import (
	"slices"
	"strings"

	"campuskeep/firmware/sheet"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// Rows reads the first sheet of a spreadsheet in the list's columns; what is wrong with the file is in words. Headings
// that mean nothing are refused: a column would be lost without a word.
func (l List) Rows(c *frame.Call, b []byte) (rows []Row, faults []string) {
	cells, rule := sheet.Read(b, l.mostBytes(), mostUnpacked, func(head string) bool { return l.column(head).Date })
	if rule != "" {
		return nil, []string{c.P.T(rule, l.mostBytes()>>20)}
	}
	rows, errs := l.cut(cells, c.P.T)
	for _, e := range errs {
		faults = append(faults, c.P.T(e.Rule, e.Args...))
	}
	return rows, faults
}

// cut divides cells into rows of the list's columns.
func (l List) cut(cells [][]string, text func(key string, args ...any) string) (rows []Row, errs fielderr.Errors) {
	head, columns := l.heads(cells)
	if len(columns) == 0 {
		return nil, fielderr.Errors{{Field: "file", Rule: "err.sheet_empty"}}
	}
	seen := map[string]bool{}
	for at, title := range cells[head] {
		if title = plainTitle(title); title == "" {
			continue
		}
		switch field := columns[at]; {
		case field == "":
			errs.Add("file", "err.sheet_column", title)
		case seen[field]:
			errs.Add("file", "err.roster_column_twice", title)
		}
		seen[columns[at]] = true
	}
	for _, col := range l.Columns {
		if col.Must && !seen[col.Field] {
			errs.Add("file", "err.roster_column", text(col.Title))
		}
	}
	for i, line := range cells[head+1:] {
		cell, filled := map[string]string{}, false
		for at, field := range columns {
			cell[field] = ""
			if at < len(line) {
				cell[field] = strings.TrimSpace(line[at])
			}
			filled = filled || cell[field] != ""
		}
		if filled && !strings.HasPrefix(cell[l.Columns[0].Field], "#") {
			rows = append(rows, Row{Line: head + i + 2, Cell: cell})
		}
	}
	switch {
	case len(rows) > l.mostRows():
		errs.Add("file", "err.too_many", l.mostRows())
	case len(rows) == 0 && len(errs) == 0:
		errs.Add("file", "err.sheet_empty")
	}
	return rows, errs
}

// heads finds the row of the headings, and the field of each of its columns.
func (l List) heads(cells [][]string) (row int, columns map[int]string) {
	for i, line := range cells[:min(len(cells), headingsWithin)] {
		found := map[int]string{}
		for at, title := range line {
			if f := l.column(title).Field; f != "" {
				found[at] = f
			}
		}
		if len(found) > len(columns) {
			row, columns = i, found
		}
	}
	return row, columns
}

func plainTitle(s string) string { return strings.TrimRight(strings.TrimSpace(s), "* ") }

func (l List) column(title string) Column {
	title = plainTitle(title)
	for _, col := range l.Columns {
		if title != "" && (slices.Contains(col.Also, title) || slices.ContainsFunc(ui.Langs, func(lang ui.Lang) bool { return ui.T(lang, col.Title) == title })) {
			return col
		}
	}
	return Column{}
}
