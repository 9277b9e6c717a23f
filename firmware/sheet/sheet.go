// Package sheet reads spreadsheets that people fill in, as the cells are stored and not as they are shown.
//
// It owns the limits that keep a small file from filling the memory. It must never guess: an old format, a file that
// is none and a number that lost digits are told apart, for the page to say what to do.
package sheet

import (
	"bytes"
	"strconv"

	"github.com/xuri/excelize/v2"
)

// What is wrong with a file: keys of the text catalogue.
const (
	TooBig = "err.file_big" // takes the limit in MB
	OldXLS = "err.xls_old"
	NoXLSX = "err.xlsx"
)

// exactDigits is how many digits a spreadsheet keeps of a number; the rest of a longer one is made up.
const exactDigits = 15

// Read gives the cells of the first sheet of an .xlsx file of at most most bytes, unpacked at most unpacked; or what
// is wrong with the file. Numbers that must have lost digits are written as 4.2E+17, whatever the sheet stored for
// them, so that a reader refuses them with the reason and not with a check digit that does not match.
func Read(b []byte, most int, unpacked int64) (cells [][]string, rule string) {
	switch {
	case len(b) > most:
		return nil, TooBig
	case bytes.HasPrefix(b, []byte("\xd0\xcf\x11\xe0")):
		return nil, OldXLS
	}
	f, err := excelize.OpenReader(bytes.NewReader(b), excelize.Options{RawCellValue: true, UnzipSizeLimit: unpacked, UnzipXMLSizeLimit: unpacked})
	if err != nil {
		return nil, NoXLSX
	}
	name := f.GetSheetName(0)
	rows, err := f.GetRows(name)
	if err == nil {
		err = markLongNumbers(f, name, rows)
	}
	if cerr := f.Close(); err != nil || cerr != nil {
		return nil, NoXLSX
	}
	return rows, ""
}

func markLongNumbers(f *excelize.File, name string, rows [][]string) error {
	for i, row := range rows {
		for j, s := range row {
			if len(s) <= exactDigits {
				continue
			}
			n, err := strconv.ParseFloat(s, 64)
			if err != nil {
				continue
			}
			cell, err := excelize.CoordinatesToCellName(j+1, i+1)
			if err != nil {
				return err
			}
			kind, err := f.GetCellType(name, cell)
			if err != nil {
				return err
			}
			if (kind == excelize.CellTypeUnset || kind == excelize.CellTypeNumber) && n >= 1e15 {
				row[j] = strconv.FormatFloat(n, 'E', -1, 64)
			}
		}
	}
	return nil
}
