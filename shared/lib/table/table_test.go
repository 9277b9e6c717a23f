package table

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
)

var nasty = []string{"=1+2", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+2", "=HYPERLINK(\"http://x\",\"y\")", "青榆,\"实验\"\n学校", "'quoted", ""}

// What a person typed is a formula in no program; numbers stay numbers.
func TestTextIsNoFormula(t *testing.T) {
	var rows []Cells
	for _, s := range nasty {
		rows = append(rows, Cells{s, 7, 30.5})
	}
	b, err := CSV(rows)
	if err != nil {
		t.Fatal(err)
	}
	read, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(b, []byte("\ufeff")))).ReadAll()
	if err != nil || len(read) != len(nasty) {
		t.Fatalf("%d rows, %v", len(read), err)
	}
	for i, row := range read {
		if row[0] != "" && strings.ContainsAny(row[0][:1], "=+-@\t\r\n") || strings.HasPrefix(row[0], "＝") {
			t.Errorf("%q is written as %q", nasty[i], row[0])
		}
		if strings.TrimPrefix(row[0], "'") != strings.TrimPrefix(strings.ReplaceAll(nasty[i], "\r\n", "\n"), "'") || row[1] != "7" || row[2] != "30.5" {
			t.Errorf("%q became %q", nasty[i], row)
		}
	}
	if b, err = XLSX("月报", rows); err != nil {
		t.Fatal(err)
	}
	x, err := excelize.OpenReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	}()
	for i, s := range nasty {
		cell, err := excelize.CoordinatesToCellName(1, i+1)
		if err != nil {
			t.Fatal(err)
		}
		if f, err := x.GetCellFormula("月报", cell); err != nil || f != "" {
			t.Errorf("%q is the formula %q, %v", s, f, err)
		}
		if kind, err := x.GetCellType("月报", cell); err != nil || s != "" && kind != excelize.CellTypeInlineString && kind != excelize.CellTypeSharedString {
			t.Errorf("%q is of type %v, %v", s, kind, err)
		}
	}
	if kind, err := x.GetCellType("月报", "B1"); err != nil || kind != excelize.CellTypeUnset && kind != excelize.CellTypeNumber {
		t.Errorf("a number is of type %v, %v", kind, err)
	}
}
