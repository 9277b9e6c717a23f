package frame

import (
	"bytes"
	"fmt"
	"net/http"

	"github.com/xuri/excelize/v2"
)

// WriteSheet writes a table as xlsx; cells are text and never formulas.
func WriteSheet(name string, table [][]string) (out []byte, err error) {
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
	for i, row := range table {
		cells := make([]any, len(row))
		for j, s := range row {
			cells[j] = s // text, also numbers: a spreadsheet must not round a sequence number
		}
		if err := w.SetRow(fmt.Sprintf("A%d", i+1), cells); err != nil {
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

// File sends bytes to be saved.
func (c *Call) File(name, mime string, b []byte) {
	h := c.W.Header()
	h.Set("Content-Type", mime)
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	c.Send(http.StatusOK, b)
}
