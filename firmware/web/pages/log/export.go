package log

import (
	"fmt"
	"net/url"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/web/entrytext"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/table"
)

// mostExported is the longest extract of one go: what a person can still read, and a spreadsheet open.
const mostExported = 20000

// exportLog gives the result of a search as a spreadsheet or as comma-separated text. The entry is
// committed before the first byte leaves.
func (o *Pages) exportLog(c *call) error {
	f := c.R.PostForm
	q, err := url.ParseQuery(f.Get("query"))
	if err != nil {
		return frame.ErrNotFound
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
	var rows []entrytext.LogRow
	for len(rows) < mostExported {
		page, err := o.d.Ledger.Search(c.R.Context(), query)
		if err != nil {
			return fmt.Errorf("search the log: %w", err)
		}
		for _, e := range page.Entries {
			rows = append(rows, c.o.LogRow(c.Call, e))
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
	lines := append(c.exportTable(rows), []string{c.P.T("log.export.of", len(rows), of)})
	if format == "csv" {
		b, err := table.CSV(table.Text(lines))
		if err != nil {
			return err
		}
		c.File(c.FileName("log-"+c.FileTime(), "csv"), "text/csv; charset=utf-8", b)
		return nil
	}
	return c.SendTable("log-"+c.FileTime(), c.P.T("log.title"), lines)
}

// matching counts all that a query finds.
func (o *Pages) matching(c *call, q ledgerdb.Query) (n int, err error) {
	q.Before = 0
	kinds, err := o.d.Ledger.Tally(c.R.Context(), q)
	if err != nil {
		return 0, fmt.Errorf("count in the log: %w", err)
	}
	for _, k := range kinds {
		n += k
	}
	return n, nil
}

// exported enters what was asked for, how much of it there is and how much was given.
func (o *Pages) exported(c *call, rows []entrytext.LogRow, of int, query url.Values, format string) error {
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
	d := c.Who().Draft("log.export", c.Decision.Role, c.Actor.ID, data, ledger.Part{Name: "query", Owner: "person:" + c.Actor.ID, Plain: []byte(query.Encode())})
	if _, err := o.d.Ledger.Commit(c.R.Context(), ledgerdb.Change{Entries: []ledger.Draft{d}}); err != nil {
		c.Unlogged = true
		return fmt.Errorf("enter that the log was exported: %w", err)
	}
	return nil
}

func (c *call) exportTable(rows []entrytext.LogRow) [][]string {
	head := []string{"log.h.seq", "log.h.time", "log.h.who", "log.h.role", "log.h.where", "log.h.what", "log.h.object", "log.h.detail", "log.h.ground", "log.h.result", "log.h.seen"}
	t := [][]string{{}}
	for _, h := range head {
		t[0] = append(t[0], c.P.T(h))
	}
	for _, r := range rows {
		seen := c.P.T("log.waiting")
		if r.Seen {
			seen = c.P.T("log.seen")
		}
		t = append(t, []string{fmt.Sprint(r.E.Seq), r.E.At.In(c.o.d.Zone).Format(time.DateTime), r.Who, r.Role, r.Where, r.What, r.Object, r.Detail, r.Ground, r.Result, seen})
	}
	return t
}
