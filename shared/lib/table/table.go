// Package table writes tables for spreadsheet programs: .xlsx, and comma-separated text.
//
// It owns nothing. Text stays text: no program may take what a person typed for a formula.
package table

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strings"

	"github.com/xuri/excelize/v2"
)

// Cells are one row: text, or numbers to calculate with.
type Cells []any

// Text gives rows that hold text alone, also where it reads like a number: no program must round a sequence number.
func Text(rows [][]string) []Cells {
	out := make([]Cells, len(rows))
	for i, row := range rows {
		for _, s := range row {
			out[i] = append(out[i], s)
		}
	}
	return out
}

// CSV writes text that spreadsheet programs open as it is meant: with a byte order mark for the Chinese, and with an
// apostrophe before text that would be a formula.
func CSV(rows []Cells) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("\ufeff")
	w := csv.NewWriter(&b)
	for _, row := range rows {
		out := make([]string, len(row))
		for i, v := range row {
			out[i] = fmt.Sprint(v)
			if s, ok := v.(string); ok && s != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(s)[0]) {
				out[i] = "'" + s
			}
		}
		if err := w.Write(out); err != nil {
			return nil, fmt.Errorf("write a table: %w", err)
		}
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return nil, fmt.Errorf("write a table: %w", err)
	}
	return b.Bytes(), nil
}

// XLSX writes one sheet. Cells of text are stored as text, never as formulas.
func XLSX(name string, rows []Cells) (out []byte, err error) {
	x := excelize.NewFile()
	defer func() {
		if e := x.Close(); e != nil && err == nil {
			err = fmt.Errorf("close the spreadsheet: %w", e)
		}
	}()
	if err := x.SetSheetName("Sheet1", name); err != nil {
		return nil, fmt.Errorf("name the sheet: %w", err)
	}
	w, err := x.NewStreamWriter(name)
	if err != nil {
		return nil, fmt.Errorf("write the spreadsheet: %w", err)
	}
	for i, row := range rows {
		if err := w.SetRow(fmt.Sprintf("A%d", i+1), row); err != nil {
			return nil, fmt.Errorf("write row %d: %w", i+1, err)
		}
	}
	if err := w.Flush(); err != nil {
		return nil, fmt.Errorf("write the spreadsheet: %w", err)
	}
	var b bytes.Buffer
	if err := x.Write(&b); err != nil {
		return nil, fmt.Errorf("write the spreadsheet: %w", err)
	}
	return b.Bytes(), nil
}
