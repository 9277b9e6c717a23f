package people

import (
	"bytes"
	"testing"

	"github.com/xuri/excelize/v2"
)

// A file from anywhere gives cells or a rule, and does not fill the memory.
func FuzzRosterCells(f *testing.F) {
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
		if cells, rule := rosterCells(b); rule != "" && cells != nil {
			t.Errorf("both cells and %s", rule)
		}
	})
}
