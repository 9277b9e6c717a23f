// Package sheets imports lists that people fill in as spreadsheets: what a file would change is shown row by row, and
// stored whole or not at all once its reader confirms it.
//
// It must never store anything that was not shown, nor keep what was read beyond [pendingFor].
package sheets

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/login"
)

// Templates are the pages of this package.
//
//go:embed *.html
var Templates embed.FS

// Limits of a list that comes as a spreadsheet.
const (
	mostBytes      = 5 << 20 // of a list that names no limit of its own
	mostRows       = 1200    // of a list that names no limit of its own
	mostUnpacked   = 32 << 20
	pendingFor     = 15 * time.Minute
	pendingMost    = 8
	headingsWithin = 10 // rows: titles are above the headings
)

// Column is a column of a list that people fill in.
type Column struct {
	Field string // as in errors
	Title string // key of its heading; headings are read in either language
	Must  bool
	Hint  string // what it takes, the same in every language; or a key of the catalogue
	Date  bool
	Words []string // keys of the words of which it takes one
	Also  []string // further headings that mean this column
}

// Row is one row that was read. A field is absent when its column is.
type Row struct {
	Line int
	Cell map[string]string
}

// Line is what a row would do.
type Line struct {
	Line      int
	Name, Sub string
	New       bool
	Changes   []string // in words, each with what was before and what comes
	Errs      fielderr.Errors
}

// Result is a spreadsheet that was read and checked, not yet stored. Commit stores all of it or nothing.
type Result struct {
	Faults []string // of the file
	Notes  []string // that change nothing: columns that are not read
	Asks   []string // what a person must say before
	Lines  []Line
	Commit func(ctx context.Context, who account.Who, agreed bool) error
}

// List is a list that can be imported.
type List struct {
	Path    string // of its page: /places
	Title   string // keys of the catalogue
	Label   func(c *frame.Call, field string) string
	Columns []Column
	From    bool // the upload states a date from which it counts
	Done    string
	Action  account.Action
	Rules   []string // keys: what the import does
	Parse   func(c *frame.Call, b []byte, form url.Values) (Result, error)

	MostBytes, MostRows int // 0: those of every list
}

func (l List) mostBytes() int { return cmp.Or(l.MostBytes, mostBytes) }

func (l List) mostRows() int { return cmp.Or(l.MostRows, mostRows) }

// Imports are the imports of a subject's lists. The zero value is ready; all methods are safe for concurrent use.
type Imports struct{ pending pending }

// pending keeps what was read until its reader confirms it: in memory, because it may be personal.
type pending struct {
	mu   sync.Mutex
	open map[string]pendingList // by hash of the token in the page; guarded by mu
}

type pendingList struct {
	person, path string
	commit       func(ctx context.Context, who account.Who, agreed bool) error
	at           time.Duration // monotonic
}

func (m *pending) add(p pendingList) string {
	token, hash := login.NewToken()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open == nil {
		m.open = map[string]pendingList{}
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
func (m *pending) remove(token, person, path string, now time.Duration) (pendingList, bool) {
	hash, ok := login.HashToken(token)
	if !ok {
		return pendingList{}, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.open[hash]
	if !ok || p.person != person || p.path != path {
		return pendingList{}, false
	}
	delete(m.open, hash)
	return p, now-p.at <= pendingFor
}

// view is the page of an import: before, with what was read, and with what is wrong.
type view struct {
	List                      List
	Title, Of                 string
	Faults, Notes, Asks       []string
	Rows                      []rowView
	New, Changed, Same, Wrong int
	Token, From               string
	Read                      bool
	Columns                   []ui.Option
	Rules                     []string
	MostRows, MostMB          int
}

type rowView struct {
	Line             int
	Name, Sub        string
	Tone, Icon, Word string
	Faults, Changes  []string
}

// Routes are the addresses of a list's import and its template.
func (m *Imports) Routes(l List) []frame.Route {
	route := func(pattern string, body int64, h frame.Handler) frame.Route {
		return frame.Route{Pattern: pattern, Action: l.Action, Subject: frame.Anything, Handle: h, Body: body}
	}
	return []frame.Route{
		route("GET "+l.Path+"/import", 0, func(c *frame.Call) error { return l.show(c, http.StatusOK, view{}) }),
		route("POST "+l.Path+"/import", int64(l.mostBytes())+64<<10, func(c *frame.Call) error { return m.read(c, l) }),
		route("POST "+l.Path+"/import/confirm", 0, func(c *frame.Call) error { return m.confirm(c, l) }),
		route("GET "+l.Path+"/template.xlsx", 0, l.sendTemplate),
	}
}

func (l List) show(c *frame.Call, status int, v view) error {
	v.List, v.Of, v.MostRows, v.MostMB = l, c.P.T(l.Title), l.mostRows(), l.mostBytes()>>20
	v.Title = c.P.T("listsheet.title", v.Of)
	if v.From == "" {
		v.From = c.Today()
	}
	for _, col := range l.Columns {
		v.Columns = append(v.Columns, ui.Option{Text: c.P.T(col.Title), On: col.Must, Hint: col.hint(c)})
	}
	for _, k := range l.Rules {
		v.Rules = append(v.Rules, c.P.T(k))
	}
	return c.Framed(status, "sheet_import", c.Frame(strings.TrimPrefix(l.Path, "/"), v.Title), v)
}

// hint says what a column takes.
func (col Column) hint(c *frame.Call) string {
	if len(col.Words) == 0 {
		if ui.Has(col.Hint) {
			return c.P.T(col.Hint)
		}
		return col.Hint
	}
	words := make([]string, len(col.Words))
	for i, k := range col.Words {
		words[i] = c.P.T(k)
	}
	return strings.Join(words, " / ")
}

// read reads an uploaded spreadsheet and shows what it would do. Nothing is stored.
func (m *Imports) read(c *frame.Call, l List) error {
	b, form, err := uploaded(c.R, l.mostBytes())
	if err != nil {
		return err
	}
	v := view{Read: true, From: form.Get("from")}
	if len(b) == 0 {
		v.Faults = []string{c.P.T("err.file_none")}
		return l.show(c, http.StatusUnprocessableEntity, v)
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
		return l.show(c, http.StatusUnprocessableEntity, v)
	}
	v.Token = m.pending.add(pendingList{person: c.Actor.ID, path: l.Path, commit: r.Commit, at: c.Now.Mono})
	return l.show(c, http.StatusOK, v)
}

func (v *view) add(c *frame.Call, l List, line Line) {
	x := rowView{Line: line.Line, Name: line.Name, Sub: line.Sub, Changes: line.Changes, Tone: "mute", Icon: "ok", Word: c.P.T("import.same")}
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

// confirm stores what was shown, all of it or nothing.
func (m *Imports) confirm(c *frame.Call, l List) error {
	p, ok := m.pending.remove(c.R.PostForm.Get("token"), c.Actor.ID, l.Path, c.Now.Mono)
	if !ok {
		return l.show(c, http.StatusUnprocessableEntity, view{Read: true, Faults: []string{c.P.T("import.gone")}})
	}
	err := p.commit(c.R.Context(), c.Who(), c.R.PostForm.Get("agreed") != "")
	if errs, bad := errors.AsType[fielderr.Errors](err); bad || errors.Is(err, ledgerdb.ErrConflict) { // the register has changed meanwhile
		v := view{Read: true, Faults: []string{c.P.T("import.moved")}}
		for _, e := range errs {
			v.Faults = append(v.Faults, c.P.T(e.Rule, e.Args...))
		}
		return l.show(c, http.StatusUnprocessableEntity, v)
	}
	if err != nil {
		return err
	}
	return c.Done(l.Path, l.Done)
}

// uploaded gives the bytes of the form's file, empty when none was chosen, and its other fields.
func uploaded(r *http.Request, mostBytes int) ([]byte, url.Values, error) {
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
			most = int64(mostBytes) + 1
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
