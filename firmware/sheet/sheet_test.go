package sheet

import (
	"bytes"
	"testing"

	"github.com/xuri/excelize/v2"
)

// A file from anywhere gives cells or a rule, and does not fill the memory.
func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	x := excelize.NewFile()
	if err := x.SetCellValue("Sheet1", "A1", "姓名"); err != nil {
		f.Fatal(err)
	}
	if _, err := x.WriteTo(&b); err != nil {
		f.Fatal(err)
	}
	if err := x.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte("\xd0\xcf\x11\xe0"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if cells, rule := Read(b, 5<<20, 64<<20); rule != "" && cells != nil {
			t.Errorf("both cells and %s", rule)
		}
	})
}

// A number that lost digits shows itself; text of the same digits stays as it is.
func TestLongNumbersShowThemselves(t *testing.T) {
	x := excelize.NewFile()
	var b bytes.Buffer
	for cell, v := range map[string]any{"A1": "34020000001320000001", "B1": 34020000001320000001.0, "C1": 123456789012345, "D1": "1.5"} {
		if err := x.SetCellValue("Sheet1", cell, v); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := x.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	cells, rule := Read(b.Bytes(), 1<<20, 8<<20)
	if rule != "" || len(cells) != 1 || cells[0][0] != "34020000001320000001" || cells[0][1] != "3.402000000132E+19" || cells[0][2] != "123456789012345" || cells[0][3] != "1.5" {
		t.Errorf("%q %q", rule, cells)
	}
	if _, rule := Read(b.Bytes(), 100, 8<<20); rule != TooBig {
		t.Errorf("too big: %q", rule)
	}
	if _, rule := Read([]byte("\xd0\xcf\x11\xe0 an old one"), 1<<20, 8<<20); rule != OldXLS {
		t.Errorf("old: %q", rule)
	}
	if _, rule := Read([]byte("a,b,c"), 1<<20, 8<<20); rule != NoXLSX {
		t.Errorf("none: %q", rule)
	}
}
