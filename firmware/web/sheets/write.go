package sheets

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/xuri/excelize/v2"

	"campuskeep/firmware/web/frame"
)

// sendTemplate gives the spreadsheet to fill in.
func (l List) sendTemplate(c *frame.Call) error {
	b, err := l.Fill(c, nil)
	if err != nil {
		return err
	}
	c.File("campuskeep-"+strings.Trim(strings.ReplaceAll(l.Path, "/", "-"), "-")+".xlsx", frame.XLSXType, b)
	return nil
}

// Fill makes a spreadsheet of rows as the import takes it: the headings, a row of hints that the import passes over, and
// the rows. Every cell is text, also those that are still empty, so that long numbers stay whole when somebody types
// into it.
func (l List) Fill(c *frame.Call, rows [][]string) (out []byte, err error) {
	var head, hints []string
	for i, col := range l.Columns {
		h, hint := c.P.T(col.Title), col.hint(c)
		if col.Must {
			h += "*"
		}
		if i == 0 {
			hint = "# " + hint
		}
		head, hints = append(head, h), append(hints, hint)
	}
	x := excelize.NewFile()
	defer func() {
		if e := x.Close(); e != nil && err == nil {
			err = fmt.Errorf("close the spreadsheet: %w", e)
		}
	}()
	if err := fill(x, c.P.T(l.Title), append([][]string{head, hints}, rows...)); err != nil {
		return nil, fmt.Errorf("write a spreadsheet: %w", err)
	}
	var b bytes.Buffer
	if err := x.Write(&b); err != nil {
		return nil, fmt.Errorf("write a spreadsheet: %w", err)
	}
	return b.Bytes(), nil
}

func fill(x *excelize.File, name string, rows [][]string) error {
	if err := x.SetSheetName("Sheet1", name); err != nil {
		return err
	}
	text, err := x.NewStyle(&excelize.Style{NumFmt: 49}) // "@", text
	if err != nil {
		return err
	}
	bold, err := x.NewStyle(&excelize.Style{NumFmt: 49, Font: &excelize.Font{Bold: true}})
	if err != nil {
		return err
	}
	faint, err := x.NewStyle(&excelize.Style{NumFmt: 49, Font: &excelize.Font{Color: "808080", Italic: true}})
	if err != nil {
		return err
	}
	last, err := excelize.ColumnNumberToName(len(rows[0]))
	if err != nil {
		return err
	}
	if err := x.SetColStyle(name, "A:"+last, text); err != nil {
		return err
	}
	if err := x.SetColWidth(name, "A", last, 18); err != nil {
		return err
	}
	for i, row := range rows {
		cells := make([]any, len(row))
		for j, s := range row {
			cells[j] = s
		}
		at := fmt.Sprintf("A%d", i+1)
		if err := x.SetSheetRow(name, at, &cells); err != nil {
			return err
		}
		if i < 2 {
			if err := x.SetCellStyle(name, at, fmt.Sprintf("%s%d", last, i+1), []int{bold, faint}[i]); err != nil {
				return err
			}
		}
	}
	return x.SetPanes(name, &excelize.Panes{Freeze: true, YSplit: 2, TopLeftCell: "A3", ActivePane: "bottomLeft"})
}
