package frame

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xuri/excelize/v2"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/sheet"
	"campuskeep/shared/account"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/login"
)

// Limits of a list that comes as a spreadsheet.
const (
	MaxSheetFile   = 5 << 20
	maxSheetPlain  = 32 << 20 // unpacked
	maxSheetRows   = 1200
	pendingFor     = 15 * time.Minute
	pendingMost    = 8
	headingsWithin = 10 // rows: titles are above the headings
)

// XLSXType is the media type of a spreadsheet.
const XLSXType = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

// SheetColumn is a column of a list that people fill in.
type SheetColumn struct {
	Field string // as in errors
	Title string // key of its heading; headings are read in either language
	Must  bool
	Hint  string // what it takes, the same in every language; or a key of the catalogue
	Date  bool
}

// SheetRow is one row that was read. A field is absent when its column is.
type SheetRow struct {
	Line int
	Cell map[string]string
}

// SheetLine is what a row would do.
type SheetLine struct {
	Line      int
	Name, Sub string
	New       bool
	Changes   []string // in words, each with what was before and what comes
	Errs      fielderr.Errors
}

// SheetResult is a spreadsheet that was read and checked, not yet stored. Commit stores all of it or nothing.
type SheetResult struct {
	Faults []string // of the file
	Notes  []string // that change nothing: columns that are not read
	Asks   []string // what a person must say before
	Lines  []SheetLine
	Commit func(ctx context.Context, who account.Who, agreed bool) error
}

// SheetList is a list that can be imported.
type SheetList struct {
	Path    string // of its page: /places
	Title   string // keys of the catalogue
	Label   func(c *Call, field string) string
	Columns []SheetColumn
	From    bool // the upload states a date from which it counts
	Done    string
	Action  account.Action
	Rules   []string // keys: what the import does
	Parse   func(c *Call, b []byte, form url.Values) (SheetResult, error)
}

// pending keeps what was read until its reader confirms it: in memory, because it may be personal.
type pending struct {
	mu   sync.Mutex
	open map[string]pendingSheet // by hash of the token in the page; guarded by mu
}

type pendingSheet struct {
	person, path string
	commit       func(ctx context.Context, who account.Who, agreed bool) error
	at           time.Duration // monotonic
}

func (m *pending) add(p pendingSheet) string {
	token, hash := login.NewToken()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open == nil {
		m.open = map[string]pendingSheet{}
	}
	for k, x := range m.open {
		if p.at-x.at > pendingFor || x.person == p.person || len(m.open) >= pendingMost {
			delete(m.open, k)
		}
	}
	m.open[hash] = p
	return token
}

// remove gives what was read to who read it, once.
func (m *pending) remove(token, person, path string, now time.Duration) (pendingSheet, bool) {
	hash, ok := login.HashToken(token)
	if !ok {
		return pendingSheet{}, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.open[hash]
	if !ok || p.person != person || p.path != path {
		return pendingSheet{}, false
	}
	delete(m.open, hash)
	return p, now-p.at <= pendingFor
}

// sheetView is the page of an import: before, with what was read, and with what is wrong.
type sheetView struct {
	List                      SheetList
	Title, Of                 string
	Faults, Notes, Asks       []string
	Rows                      []sheetRowView
	New, Changed, Same, Wrong int
	Token, From               string
	Read                      bool
	Columns                   []ui.Option
	Rules                     []string
	MostRows, MostMB          int
}

type sheetRowView struct {
	Line             int
	Name, Sub        string
	Tone, Icon, Word string
	Faults, Changes  []string
}

// SheetRoutes are the addresses of a list's import and its template.
func (o *Server) SheetRoutes(l SheetList) []Route {
	return []Route{
		{Pattern: "GET " + l.Path + "/import", Action: l.Action, Subject: Anything, Handle: func(c *Call) error { return o.showSheet(c, http.StatusOK, l, sheetView{}) }},
		{Pattern: "POST " + l.Path + "/import", Action: l.Action, Subject: Anything, Handle: func(c *Call) error { return o.readSheet(c, l) }, Body: MaxSheetFile + 64<<10},
		{Pattern: "POST " + l.Path + "/import/confirm", Action: l.Action, Subject: Anything, Handle: func(c *Call) error { return o.confirmSheet(c, l) }},
		{Pattern: "GET " + l.Path + "/template.xlsx", Action: l.Action, Subject: Anything, Handle: func(c *Call) error { return o.sheetTemplate(c, l) }},
	}
}

func (o *Server) showSheet(c *Call, status int, l SheetList, v sheetView) error {
	v.List, v.Of, v.MostRows, v.MostMB = l, c.P.T(l.Title), maxSheetRows, MaxSheetFile>>20
	v.Title = c.P.T("listsheet.title", v.Of)
	if v.From == "" {
		v.From = c.Today()
	}
	for _, col := range l.Columns {
		v.Columns = append(v.Columns, ui.Option{Text: c.P.T(col.Title), On: col.Must, Hint: c.hintOf(col)})
	}
	for _, k := range l.Rules {
		v.Rules = append(v.Rules, c.P.T(k))
	}
	return c.Framed(status, "sheet_import", c.Frame(strings.TrimPrefix(l.Path, "/"), v.Title), v)
}

func (c *Call) hintOf(col SheetColumn) string {
	if ui.Has(col.Hint) {
		return c.P.T(col.Hint)
	}
	return col.Hint
}

// readSheet reads an uploaded spreadsheet and shows what it would do. Nothing is stored.
func (o *Server) readSheet(c *Call, l SheetList) error {
	b, form, err := uploaded(c.R)
	if err != nil {
		return err
	}
	v := sheetView{Read: true, From: form.Get("from")}
	if len(b) == 0 {
		v.Faults = []string{c.P.T("err.file_none")}
		return o.showSheet(c, http.StatusUnprocessableEntity, l, v)
	}
	r, err := l.Parse(c, b, form)
	if err != nil {
		return err
	}
	v.Faults, v.Notes, v.Asks = r.Faults, r.Notes, r.Asks
	for _, line := range r.Lines {
		v.add(c, l, line)
	}
	if len(v.Faults) > 0 || v.Wrong > 0 || v.New+v.Changed == 0 {
		return o.showSheet(c, http.StatusUnprocessableEntity, l, v)
	}
	v.Token = o.pending.add(pendingSheet{person: c.Actor.ID, path: l.Path, commit: r.Commit, at: c.Now.Mono})
	return o.showSheet(c, http.StatusOK, l, v)
}

func (v *sheetView) add(c *Call, l SheetList, line SheetLine) {
	x := sheetRowView{Line: line.Line, Name: line.Name, Sub: line.Sub, Changes: line.Changes, Tone: "mute", Icon: "ok", Word: c.P.T("import.same")}
	for _, e := range line.Errs {
		if text := l.Label(c, e.Field) + c.P.T("sep.colon") + c.P.T(e.Rule, e.Args...); !slices.Contains(x.Faults, text) {
			x.Faults = append(x.Faults, text)
		}
	}
	switch {
	case len(x.Faults) > 0:
		x.Tone, x.Icon, x.Word = "bad", "bad", c.P.T("import.wrong")
		v.Wrong++
	case line.New:
		x.Tone, x.Icon, x.Word = "ok", "plus", c.P.T("import.new")
		v.New++
	case len(line.Changes) > 0:
		x.Tone, x.Icon, x.Word = "acc", "info", c.P.T("import.changed")
		v.Changed++
	default:
		v.Same++
	}
	v.Rows = append(v.Rows, x)
}

// confirmSheet stores what was shown, all of it or nothing.
func (o *Server) confirmSheet(c *Call, l SheetList) error {
	p, ok := o.pending.remove(c.R.PostForm.Get("token"), c.Actor.ID, l.Path, c.Now.Mono)
	if !ok {
		return o.showSheet(c, http.StatusUnprocessableEntity, l, sheetView{Read: true, Faults: []string{c.P.T("import.gone")}})
	}
	err := p.commit(c.R.Context(), c.Who(), c.R.PostForm.Get("agreed") != "")
	if errs, bad := errors.AsType[fielderr.Errors](err); bad || errors.Is(err, ledgerdb.ErrConflict) { // the register has changed meanwhile
		v := sheetView{Read: true, Faults: []string{c.P.T("import.moved")}}
		for _, e := range errs {
			v.Faults = append(v.Faults, c.P.T(e.Rule, e.Args...))
		}
		return o.showSheet(c, http.StatusUnprocessableEntity, l, v)
	}
	if err != nil {
		return err
	}
	return c.Done(l.Path, l.Done)
}

// uploaded gives the bytes of the form's file, empty when none was chosen, and its other fields.
func uploaded(r *http.Request) ([]byte, url.Values, error) {
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, nil, fielderr.Errors{{Field: "file", Rule: "err.file_none"}}
	}
	var file []byte
	form := url.Values{}
	for {
		p, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return file, form, nil
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read an upload: %w", err)
		}
		most := int64(1 << 10)
		if p.FormName() == "file" {
			most = MaxSheetFile + 1
		}
		b, err := io.ReadAll(io.LimitReader(p, most))
		if err != nil {
			return nil, nil, fmt.Errorf("read an upload: %w", err)
		}
		if p.FormName() == "file" {
			file = b
		} else {
			form.Set(p.FormName(), string(b))
		}
	}
}

// Rows reads the first sheet of a spreadsheet in the list's columns; what is wrong with the file is in words. Headings
// that mean nothing are refused: a column would be lost without a word.
func (l SheetList) Rows(c *Call, b []byte) (rows []SheetRow, faults []string) {
	cells, rule := sheet.Read(b, MaxSheetFile, maxSheetPlain, func(head string) bool { return l.column(head).Date })
	if rule != "" {
		return nil, []string{c.P.T(rule, MaxSheetFile>>20)}
	}
	head, columns := l.heads(cells)
	if len(columns) == 0 {
		return nil, []string{c.P.T("err.sheet_empty")}
	}
	seen := map[string]bool{}
	for at, title := range cells[head] {
		if title = plainTitle(title); title == "" {
			continue
		}
		switch field := columns[at]; {
		case field == "":
			faults = append(faults, c.P.T("err.sheet_column", title))
		case seen[field]:
			faults = append(faults, c.P.T("err.roster_column_twice", title))
		}
		seen[columns[at]] = true
	}
	for _, col := range l.Columns {
		if col.Must && !seen[col.Field] {
			faults = append(faults, c.P.T("err.roster_column", c.P.T(col.Title)))
		}
	}
	for i, line := range cells[head+1:] {
		cell, filled := map[string]string{}, false
		for at, field := range columns {
			cell[field] = ""
			if at < len(line) {
				cell[field] = strings.TrimSpace(line[at])
			}
			filled = filled || cell[field] != ""
		}
		if filled && !strings.HasPrefix(cell[l.Columns[0].Field], "#") {
			rows = append(rows, SheetRow{Line: head + i + 2, Cell: cell})
		}
	}
	switch {
	case len(rows) > maxSheetRows:
		faults = append(faults, c.P.T("err.too_many", maxSheetRows))
	case len(rows) == 0 && len(faults) == 0:
		faults = append(faults, c.P.T("err.sheet_empty"))
	}
	return rows, faults
}

// heads finds the row of the headings, and the field of each of its columns.
func (l SheetList) heads(cells [][]string) (row int, columns map[int]string) {
	for i, line := range cells[:min(len(cells), headingsWithin)] {
		found := map[int]string{}
		for at, title := range line {
			if f := l.column(title).Field; f != "" {
				found[at] = f
			}
		}
		if len(found) > len(columns) {
			row, columns = i, found
		}
	}
	return row, columns
}

func plainTitle(s string) string { return strings.TrimRight(strings.TrimSpace(s), "* ") }

func (l SheetList) column(title string) SheetColumn {
	title = plainTitle(title)
	for _, col := range l.Columns {
		if title != "" && slices.ContainsFunc(ui.Langs, func(lang ui.Lang) bool { return ui.T(lang, col.Title) == title }) {
			return col
		}
	}
	return SheetColumn{}
}

// sheetTemplate gives the spreadsheet to fill in: the headings, and a row of hints that the import passes over. Every
// cell is text, so that long numbers stay whole when somebody types into it.
func (o *Server) sheetTemplate(c *Call, l SheetList) error {
	var head, hints []string
	for i, col := range l.Columns {
		h, hint := c.P.T(col.Title), c.hintOf(col)
		if col.Must {
			h += "*"
		}
		if i == 0 {
			hint = "# " + hint
		}
		head, hints = append(head, h), append(hints, hint)
	}
	b, err := TextSheet(c.P.T(l.Title), [][]string{head, hints})
	if err != nil {
		return err
	}
	c.File("campuskeep-"+strings.Trim(strings.ReplaceAll(l.Path, "/", "-"), "-")+".xlsx", XLSXType, b)
	return nil
}

// TextSheet is a spreadsheet in which every cell is text, also those that are still empty.
func TextSheet(name string, rows [][]string) (out []byte, err error) {
	x := excelize.NewFile()
	defer func() {
		if e := x.Close(); e != nil && err == nil {
			err = fmt.Errorf("close the spreadsheet: %w", e)
		}
	}()
	if err := fillTextSheet(x, name, rows); err != nil {
		return nil, fmt.Errorf("write a spreadsheet: %w", err)
	}
	var b bytes.Buffer
	if err := x.Write(&b); err != nil {
		return nil, fmt.Errorf("write a spreadsheet: %w", err)
	}
	return b.Bytes(), nil
}

func fillTextSheet(x *excelize.File, name string, rows [][]string) error {
	if err := x.SetSheetName("Sheet1", name); err != nil {
		return err
	}
	text, err := x.NewStyle(&excelize.Style{NumFmt: 49}) // "@", text
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
		if err := x.SetSheetRow(name, fmt.Sprintf("A%d", i+1), &cells); err != nil {
			return err
		}
	}
	return nil
}
