package frame

import (
	"fmt"
	"net/http"

	"campuskeep/shared/lib/table"
)

// XLSXType is the media type of a spreadsheet.
const XLSXType = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

// File sends bytes to be saved.
func (c *Call) File(name, mime string, b []byte) {
	h := c.W.Header()
	h.Set("Content-Type", mime)
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	c.Send(http.StatusOK, b)
}

// FileName is the name of a file that is saved: of this appliance, with what is in it.
func (c *Call) FileName(what, ending string) string {
	return "campuskeep-" + c.o.d.Info.Appliance + "-" + what + "." + ending
}

// FileTime is the present as names of files have it.
func (c *Call) FileTime() string { return c.Now.Wall.In(c.o.d.Zone).Format("20060102-1504") }

// SendTable sends rows as a spreadsheet; what is in its name.
func (c *Call) SendTable(what, title string, rows [][]string) error {
	b, err := table.XLSX(title, table.Text(rows))
	if err != nil {
		return fmt.Errorf("write the spreadsheet %s: %w", what, err)
	}
	c.File(c.FileName(what, "xlsx"), XLSXType, b)
	return nil
}
