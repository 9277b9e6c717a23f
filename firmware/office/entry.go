package office

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"campuskeep/firmware/store"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
)

// entryView is one entry with everything that is known of it.
type entryView struct {
	Row       logRow
	E         ledger.Entry
	Fields    []entryField
	Parts     []entryPart
	Raw       string
	Witnessed string
	Key, File string // for the command that checks the proof
}

type entryField struct{ Name, Value string }

type entryPart struct {
	Name, Owner, Text, Sum string
	Erased                 bool
	Hidden                 bool // about a pupil, and pupils are not this person's duty
	Released               bool
}

func (c *call) seq() (uint64, error) {
	n, err := strconv.ParseUint(c.r.PathValue("seq"), 10, 64)
	if err != nil || n >= c.o.d.Ledger.Size() {
		return 0, errNotFound
	}
	return n, nil
}

func (o *Office) entryPage(c *call) error {
	n, err := c.seq()
	if err != nil {
		return err
	}
	e, err := o.d.Ledger.Entry(n)
	if err != nil {
		return fmt.Errorf("reading entry %d: %w", n, err)
	}
	v := entryView{Row: c.logRow(e), E: e, Raw: pretty(e), Key: o.d.Ledger.VerifierKey(), File: o.proofFile(n)}
	var fields map[string]json.RawMessage
	if decode(e.Data, &fields) {
		for _, f := range ledger.Kinds[e.Kind].Data {
			if x, ok := fields[f.Name]; ok {
				v.Fields = append(v.Fields, entryField{f.Name, plain(x)})
			}
		}
	}
	parts, err := o.d.Ledger.Parts(n)
	if err != nil {
		return fmt.Errorf("opening the sealed parts of entry %d: %w", n, err)
	}
	for i, p := range parts {
		x := entryPart{Name: p.Name, Owner: p.Owner, Text: string(p.Plain), Erased: p.Erased, Released: ledger.Released(e.Kind, p.Name)}
		if strings.HasPrefix(p.Owner, "student:") && !c.can(account.ActClassView, account.Subject{}) {
			x.Hidden, x.Text = true, ""
		}
		if i < len(e.Sealed) {
			x.Sum = base64.StdEncoding.EncodeToString(e.Sealed[i].Sum)
		}
		v.Parts = append(v.Parts, x)
	}
	if size, at := o.d.Ledger.Witnessed(); n < size {
		v.Witnessed = c.p.When(at, c.now.Wall)
	}
	return c.page("entry", c.p.T("entry.title", n), v)
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
func (o *Office) proof(c *call) error {
	n, err := c.seq()
	if err != nil {
		return err
	}
	p, err := o.d.Ledger.Proof(n)
	if err != nil {
		return fmt.Errorf("making the proof of entry %d: %w", n, err)
	}
	d := c.who().Draft("log.proof", c.decision.Role, c.actor.ID, struct {
		Entry uint64 `json:"entry"`
	}{n})
	if _, err := o.d.Ledger.Commit(c.r.Context(), store.Change{Entries: []ledger.Draft{d}}); err != nil {
		c.unlogged = true
		return fmt.Errorf("entering that a proof was handed out: %w", err)
	}
	c.file(o.proofFile(n), "text/plain; charset=utf-8", p.Format())
	return nil
}

func (o *Office) proofFile(n uint64) string {
	return fmt.Sprintf("campuskeep-%s-%d.proof.txt", o.d.Info.Appliance, n)
}

// file sends bytes to be saved.
func (c *call) file(name, mime string, b []byte) {
	h := c.w.Header()
	h.Set("Content-Type", mime)
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	c.send(http.StatusOK, b)
}
