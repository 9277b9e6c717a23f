package sheet

import (
	"archive/zip"
	"bytes"
	"runtime"
	"slices"
	"strconv"
	"strings"
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
		if cells, rule := Read(b, 5<<20, 64<<20, nil); rule != "" && cells != nil {
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
	cells, rule := Read(b.Bytes(), 1<<20, 8<<20, nil)
	if rule != "" || len(cells) != 1 || cells[0][0] != "34020000001320000001" || cells[0][1] != "3.402000000132E+19" || cells[0][2] != "123456789012345" || cells[0][3] != "1.5" {
		t.Errorf("%q %q", rule, cells)
	}
	if _, rule := Read(b.Bytes(), 100, 8<<20, nil); rule != TooBig {
		t.Errorf("too big: %q", rule)
	}
	if _, rule := Read([]byte("\xd0\xcf\x11\xe0 an old one"), 1<<20, 8<<20, nil); rule != OldXLS {
		t.Errorf("old: %q", rule)
	}
	if _, rule := Read([]byte("a,b,c"), 1<<20, 8<<20, nil); rule != NoXLSX {
		t.Errorf("none: %q", rule)
	}
}

// zipped makes an .xlsx file of a sheet and a table of strings as they are given.
func zipped(t testing.TB, sheet, shared string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range map[string]string{
		"xl/workbook.xml":            `<workbook xmlns:r="r"><sheets><sheet name="x" r:id="rId1"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": `<Relationships><Relationship Id="rId1" Type="t/worksheet" Target="worksheets/sheet1.xml"/></Relationships>`,
		"xl/worksheets/sheet1.xml":   `<worksheet><sheetData>` + sheet + `</sheetData></worksheet>`,
		"xl/sharedStrings.xml":       `<sst>` + shared + `</sst>`,
	} {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A small file takes little memory, whatever it unpacks to.
func TestSmallFilesTakeLittleMemory(t *testing.T) {
	deep := strings.Repeat("<a>", 40_000)
	for name, c := range map[string]struct {
		sheet, shared string
		rule          string
	}{
		"the last column in every row":  {sheet: strings.Repeat(`<row><c r="XFD1"><v>1</v></c></row>`, 30_000), rule: Large},
		"many rows with one cell":       {sheet: strings.Repeat(`<row><c><v>1</v></c></row>`, 20_000), rule: Large},
		"one row far down":              {sheet: `<row r="1048576"><c r="A1048576"><v>1</v></c></row>`, rule: Large},
		"empty strings":                 {shared: strings.Repeat(`<si/>`, 400_000), rule: Large},
		"one tag of attributes":         {sheet: `<row ` + strings.Repeat(`a="" `, 400_000) + `/>`, rule: Large},
		"one long text":                 {shared: `<si><t>` + strings.Repeat("长", 600_000) + `</t></si>`, rule: Large},
		"deep":                          {sheet: deep, rule: NoXLSX},
		"empty rows that are formatted": {sheet: `<row><c><v>1</v></c></row>` + strings.Repeat(`<row><c s="1"/></row>`, 50_000)},
		"a merge of everything":         {sheet: `<row><c r="A1"><v>1</v></c></row></sheetData><mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells><sheetData>`},
	} {
		t.Run(name, func(t *testing.T) {
			b := zipped(t, c.sheet, c.shared)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			cells, rule := Read(b, 1<<20, 16<<20, nil)
			runtime.ReadMemStats(&after)
			if rule != c.rule || rule == "" && (len(cells) != 1 || cells[0][0] != "1") {
				t.Errorf("%d rows, %q, want %q", len(cells), rule, c.rule)
			}
			if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 96<<20 {
				t.Errorf("a file of %d bytes took %d MB", len(b), grown>>20)
			}
		})
	}
}

// Dates are what people see, whatever the sheet counts from; what cannot be seen is not there.
func TestCellsAsPeopleSeeThem(t *testing.T) {
	x := excelize.NewFile()
	date, err := x.NewStyle(&excelize.Style{NumFmt: 14})
	if err != nil {
		t.Fatal(err)
	}
	for cell, v := range map[string]any{"A1": 42992, "B1": 42992.5, "C1": 42992, "D1": "\u200b'04\u00a0A2\u202c ", "E1": 1.38e10, "F1": "a_x000D_b", "G1": true} {
		if err := x.SetCellValue("Sheet1", cell, v); err != nil {
			t.Fatal(err)
		}
	}
	for _, cell := range []string{"A1", "B1"} {
		if err := x.SetCellStyle("Sheet1", cell, cell, date); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := x.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	cells, rule := Read(b.Bytes(), 1<<20, 8<<20, nil)
	want := []string{"2017-09-14", "2017-09-14 12:00:00", "42992", "04 A2", "13800000000", "a\rb", "1"}
	if rule != "" || len(cells) != 1 || !slices.Equal(cells[0], want) {
		t.Errorf("%q %q, want %q", rule, cells, want)
	}
}

// A plain number below a heading of dates is a day of the workbook's own count; any other number is a number.
func TestDayNumbersBelowAHeading(t *testing.T) {
	for _, from1904 := range []bool{false, true} {
		x := excelize.NewFile()
		if err := x.SetWorkbookProps(&excelize.WorkbookPropsOptions{Date1904: &from1904}); err != nil {
			t.Fatal(err)
		}
		day := 42992
		if from1904 {
			day -= 1462
		}
		want := [][]string{{"名册"}, {"卡号", "日期"}, {strconv.Itoa(day), "2017-09-14"}, {"", "20170914"}, {"", "2017"}, {"", strconv.Itoa(day)}, {"", "2017-09-14 06:00:00"}}
		for i, row := range [][]any{{"名册"}, {"卡号", "日期"}, {day, day}, {nil, 20170914}, {nil, 2017}, {nil, strconv.Itoa(day)}, {nil, float64(day) + 0.25}} {
			if err := x.SetSheetRow("Sheet1", "A"+strconv.Itoa(i+1), &row); err != nil {
				t.Fatal(err)
			}
		}
		var b bytes.Buffer
		if _, err := x.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		cells, rule := Read(b.Bytes(), 1<<20, 8<<20, func(s string) bool { return s == "日期" })
		if rule != "" || !slices.EqualFunc(cells, want, slices.Equal[[]string]) {
			t.Errorf("from 1904 %v: %q %q, want %q", from1904, rule, cells, want)
		}
	}
}
