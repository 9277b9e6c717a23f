package web

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
)

// mostExported is the longest extract of one go: what a person can still read, and a spreadsheet open.
const mostExported = 20000

// exportLog gives the result of a search as a spreadsheet or as comma-separated text. The entry is
// committed before the first byte leaves.
func (o *Server) exportLog(c *call) error {
	f := c.r.PostForm
	q, err := url.ParseQuery(f.Get("query"))
	if err != nil {
		return errNotFound
	}
	format := f.Get("format")
	if format != "xlsx" && format != "csv" {
		var errs fielderr.Errors
		errs.Add("format", "err.choice")
		return errs
	}
	query, err := c.logQuery(q)
	if err != nil {
		return err
	}
	query.Limit = 1000
	var rows []logRow
	for len(rows) < mostExported {
		page, err := o.d.Ledger.Search(c.r.Context(), query)
		if err != nil {
			return fmt.Errorf("search the log: %w", err)
		}
		for _, e := range page.Entries {
			rows = append(rows, c.logRow(e))
		}
		if page.Next == 0 || len(page.Entries) == 0 {
			break
		}
		query.Before = page.Next
	}
	rows = rows[:min(len(rows), mostExported)]
	of, err := o.matching(c, query)
	if err != nil {
		return err
	}
	of = max(of, len(rows))
	if err := o.exported(c, rows, of, q, format); err != nil {
		return err
	}
	name := fmt.Sprintf("campuskeep-%s-log-%s.%s", o.d.Info.Appliance, c.now.Wall.In(o.d.Zone).Format("20060102-1504"), format)
	table := append(c.exportTable(rows), []string{c.p.T("log.export.of", len(rows), of)})
	if format == "csv" {
		b, err := writeCSV(table)
		if err != nil {
			return err
		}
		c.file(name, "text/csv; charset=utf-8", b)
		return nil
	}
	b, err := writeSheet(c.p.T("log.title"), table)
	if err != nil {
		return err
	}
	c.file(name, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", b)
	return nil
}

// matching counts all that a query finds.
func (o *Server) matching(c *call, q ledgerdb.Query) (n int, err error) {
	q.Before = 0
	kinds, err := o.d.Ledger.Tally(c.r.Context(), q)
	if err != nil {
		return 0, fmt.Errorf("count in the log: %w", err)
	}
	for _, k := range kinds {
		n += k
	}
	return n, nil
}

// exported enters what was asked for, how much of it there is and how much was given.
func (o *Server) exported(c *call, rows []logRow, of int, query url.Values, format string) error {
	data := struct {
		First  uint64 `json:"first"`
		Last   uint64 `json:"last"`
		Format string `json:"format"`
		Count  int    `json:"count"`
		Of     int    `json:"of"`
	}{Format: format, Count: len(rows), Of: of}
	if len(rows) > 0 {
		data.First, data.Last = rows[len(rows)-1].E.Seq, rows[0].E.Seq
	}
	d := c.who().Draft("log.export", c.decision.Role, c.actor.ID, data, ledger.Part{Name: "query", Owner: "person:" + c.actor.ID, Plain: []byte(query.Encode())})
	if _, err := o.d.Ledger.Commit(c.r.Context(), ledgerdb.Change{Entries: []ledger.Draft{d}}); err != nil {
		c.unlogged = true
		return fmt.Errorf("enter that the log was exported: %w", err)
	}
	return nil
}

func (c *call) exportTable(rows []logRow) [][]string {
	head := []string{"log.h.seq", "log.h.time", "log.h.who", "log.h.role", "log.h.where", "log.h.what", "log.h.object", "log.h.detail", "log.h.ground", "log.h.result", "log.h.seen"}
	t := [][]string{{}}
	for _, h := range head {
		t[0] = append(t[0], c.p.T(h))
	}
	for _, r := range rows {
		seen := c.p.T("log.waiting")
		if r.Seen {
			seen = c.p.T("log.seen")
		}
		t = append(t, []string{fmt.Sprint(r.E.Seq), r.E.At.In(c.o.d.Zone).Format(time.DateTime), r.Who, r.Role, r.Where, r.What, r.Object, r.Detail, r.Ground, r.Result, seen})
	}
	return t
}

// writeCSV writes text that spreadsheets open as they should: with a byte order mark for the Chinese, and
// nothing that they would take for a formula.
func writeCSV(table [][]string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("\ufeff")
	w := csv.NewWriter(&b)
	for _, row := range table {
		safe := make([]string, len(row))
		for i, s := range row {
			if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
				s = "'" + s
			}
			safe[i] = s
		}
		if err := w.Write(safe); err != nil {
			return nil, fmt.Errorf("write the extract: %w", err)
		}
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return nil, fmt.Errorf("write the extract: %w", err)
	}
	return b.Bytes(), nil
}

func writeSheet(name string, table [][]string) (out []byte, err error) {
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
