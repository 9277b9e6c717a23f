package log

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/web/entrytext"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// entryView is one entry with everything that is known of it.
type entryView struct {
	Row       entrytext.LogRow
	E         ledger.Entry
	Fields    []entryField
	Parts     []entryPart
	Changes   []entryField // what differs between the parts before and after
	Raw       string
	Witnessed string
	Key, File string   // for the command that checks the proof
	Close     *ui.Form // of a roll-back of the log that nobody has closed
	Vanished  string
}

// entryField is one value in words; Was is what it was before, where the entry says both.
type entryField struct{ Name, Was, Value string }

type entryPart struct {
	Name, Owner, Text, Sum string
	Fields                 []entryField // of a part that holds several values
	Erased                 bool
	Hidden                 bool // about a pupil, and pupils are not this person's duty
	Released               bool
}

func (c *call) seq() (uint64, error) {
	n, err := strconv.ParseUint(c.R.PathValue("seq"), 10, 64)
	if err != nil || n >= c.o.d.Ledger.Size() {
		return 0, frame.ErrNotFound
	}
	return n, nil
}

func (o *Pages) entryPage(c *call) error { return o.showEntry(c, http.StatusOK, nil) }

// showEntry shows the entry; errs are those of the word that was to close it.
func (o *Pages) showEntry(c *call, status int, errs fielderr.Errors) error {
	n, err := c.seq()
	if err != nil {
		return err
	}
	e, err := o.d.Ledger.Entry(n)
	if err != nil {
		return fmt.Errorf("read entry %d: %w", n, err)
	}
	v := entryView{Row: c.o.LogRow(c.Call, e), E: e, Raw: pretty(e), Key: o.d.Ledger.VerifierKey(), File: o.proofFile(n)}
	var fields map[string]json.RawMessage
	if frame.Decode(e.Data, &fields) {
		for _, f := range ledger.Kinds[e.Kind].Data {
			if x, ok := fields[f.Name]; ok {
				v.Fields = append(v.Fields, entryField{Name: c.P.K("field.", f.Name), Value: c.fieldValue(f, x)})
			}
		}
	}
	parts, err := o.d.Ledger.Parts(n)
	if err != nil {
		return fmt.Errorf("open the sealed parts of entry %d: %w", n, err)
	}
	open := map[string]string{}
	for i, p := range parts {
		x := entryPart{Name: p.Name, Owner: p.Owner, Text: string(p.Plain), Erased: p.Erased, Released: ledger.Released(e.Kind, p.Name)}
		if strings.HasPrefix(p.Owner, "student:") && !c.Can(account.ActClassView, account.Subject{}) {
			x.Hidden, x.Text = true, ""
		}
		x.Text, x.Fields = c.partWords(p.Name, x.Text)
		if !x.Hidden && !x.Erased {
			open[p.Name] = string(p.Plain)
		}
		if i < len(e.Sealed) {
			x.Sum = base64.StdEncoding.EncodeToString(e.Sealed[i].Sum)
		}
		v.Parts = append(v.Parts, x)
	}
	v.Changes = c.changed(open["before"], open["after"])
	if size, at := o.d.Ledger.Witnessed(); n < size {
		v.Witnessed = c.P.When(at, c.Now.Wall)
	}
	if e.Kind == "sync.branched" {
		open, err := o.branches.Open(c.R.Context(), o.d.Ledger)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(open, func(b ledger.Entry) bool { return b.Seq == n }) && c.Can(account.ActLogSearch, account.Subject{}) {
			v.Close = &ui.Form{Name: "close", P: c.P, Values: c.R.PostForm, Errors: errs}
		}
		v.Vanished = c.o.Vanished(c.Call, e)
	}
	return c.PageStatus(status, "entry", c.P.T("entry.title", n), v)
}

// fieldValue says a value of an entry's data in words: codes and ids by their names, instants by the school's clock.
func (c *call) fieldValue(f ledger.Field, b json.RawMessage) string {
	switch f.Type {
	case ledger.Time:
		var t time.Time
		if json.Unmarshal(b, &t) == nil && !t.IsZero() {
			return c.P.Stamp(t)
		}
	case ledger.Bool:
		return c.P.T("word." + string(b))
	case ledger.Spans:
		var list []footage.Span
		if json.Unmarshal(b, &list) == nil {
			var out []string
			for _, s := range list {
				out = append(out, c.P.Span(s.From, s.To))
			}
			return c.joined(out)
		}
	case ledger.Codes:
		var list []string
		if json.Unmarshal(b, &list) == nil {
			for i := range list {
				list[i] = c.codeWord(f.Name, list[i])
			}
			return c.joined(list)
		}
	case ledger.Code:
		var s string
		if json.Unmarshal(b, &s) == nil {
			return c.codeWord(f.Name, s)
		}
	}
	return plain(b)
}

func (c *call) joined(list []string) string {
	if len(list) == 0 {
		return "–"
	}
	return strings.Join(list, c.P.T("sep.list"))
}

// codeGroups are the prefixes under which the catalogue has the words of a field's codes, the nearest first.
var codeGroups = map[string][]string{
	"reason": {"", "login.reason.", "clock.reason.", "why.", "view.end.", "gap."}, "cause": {"gap."}, "action": {"action."}, "roles": {"role."}, "role": {"role."},
	"state": {"appstate.", "clock.state.", "reader.", "duty.state."}, "from": {"clock.state."}, "to": {"clock.state."}, "outcome": {"att."}, "result": {"try."},
	"kind": {"kind."}, "code": {"camfault.", "fault."}, "custody": {"custody."}, "area": {"area."}, "ground": {"ground."}, "way": {"way."}, "mode": {"mode."},
	"assurance": {"keeping.assurance."}, "what": {"field.", "duty.what."}, "status": {"console.status.", "appstate."}, "direction": {"direction."}, "reasons": {"att.r."},
	"factor": {"factor."}, "passed": {"factor."}, "sources": {"origin."}}

// codeWord is a code or an id in words, as far as this person may know them.
func (c *call) codeWord(field, code string) string {
	for _, prefix := range codeGroups[field] {
		if w := c.P.K(prefix, code); w != code && w != prefix+code {
			return w
		}
	}
	return c.o.SubjectName(c.Call, code)
}

// partWords is a sealed part in words: what was one text stays it, a record becomes its fields.
func (c *call) partWords(name, text string) (string, []entryField) {
	if name == "query" {
		if q, err := url.ParseQuery(text); err == nil {
			var out []entryField
			for _, k := range slices.Sorted(maps.Keys(q)) {
				out = append(out, entryField{Name: c.P.K("field.", k), Value: c.joined(q[k])})
			}
			return "", out
		}
	}
	fields := record(text)
	if fields == nil {
		return text, nil
	}
	var out []entryField
	for _, k := range slices.Sorted(maps.Keys(fields)) {
		out = append(out, entryField{Name: c.P.K("field.", k), Value: c.recordValue(k, fields[k])})
	}
	return "", out
}

// changed lists the fields in which two records differ.
func (c *call) changed(before, after string) (out []entryField) {
	a, b := record(before), record(after)
	if a == nil || b == nil {
		return nil
	}
	names := maps.Clone(a)
	maps.Copy(names, b)
	for _, k := range slices.Sorted(maps.Keys(names)) {
		if was, is := string(a[k]), string(b[k]); was != is {
			out = append(out, entryField{c.P.K("field.", k), c.recordValue(k, a[k]), c.recordValue(k, b[k])})
		}
	}
	return out
}

// recordValue is one value of a record in words.
func (c *call) recordValue(name string, b json.RawMessage) string {
	var list []string
	var t time.Time
	switch {
	case len(b) == 0:
		return "–"
	case string(b) == "true", string(b) == "false":
		return c.P.T("word." + string(b))
	case json.Unmarshal(b, &list) == nil:
		for i := range list {
			list[i] = c.codeWord(name, list[i])
		}
		return c.joined(list)
	case json.Unmarshal(b, &t) == nil:
		return c.P.Stamp(t)
	}
	if codeGroups[name] != nil {
		return c.codeWord(name, plain(b))
	}
	return plain(b)
}

// record is a part that is a JSON object; nil when it is something else.
func record(text string) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if !strings.HasPrefix(strings.TrimSpace(text), "{") || json.Unmarshal([]byte(text), &m) != nil {
		return nil
	}
	return m
}

func plain(b json.RawMessage) string {
	var s string
	if json.Unmarshal(b, &s) == nil {
		return s
	}
	return string(b)
}

func pretty(e ledger.Entry) string {
	b, err := json.Marshal(e)
	if err != nil {
		return ""
	}
	var out bytes.Buffer
	if json.Indent(&out, b, "", "  ") != nil {
		return string(b)
	}
	return out.String()
}

// proof gives the proof of an entry as a file that campuskeep-verify reads. Handing it out is an entry.
func (o *Pages) proof(c *call) error {
	n, err := c.seq()
	if err != nil {
		return err
	}
	p, err := o.d.Ledger.Proof(n)
	if err != nil {
		return fmt.Errorf("make the proof of entry %d: %w", n, err)
	}
	d := c.Who().Draft("log.proof", c.Decision.Role, c.Actor.ID, struct {
		Entry uint64 `json:"entry"`
	}{n})
	if _, err := o.d.Ledger.Commit(c.R.Context(), ledgerdb.Change{Entries: []ledger.Draft{d}}); err != nil {
		c.Unlogged = true
		return fmt.Errorf("enter that a proof was handed out: %w", err)
	}
	c.File(o.proofFile(n), "text/plain; charset=utf-8", p.Format())
	return nil
}

func (o *Pages) proofFile(n uint64) string {
	return fmt.Sprintf("campuskeep-%s-%d.proof.txt", o.d.Info.Appliance, n)
}
