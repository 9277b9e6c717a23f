package web

import (
	"fmt"
	"strconv"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/ledger"
)

// Forms of a copied document, as the log names them.
const (
	formPrint = "paper"
	formFile  = "file"
	formSheet = "xlsx"
)

// logPrintout enters a copy of a document before its first byte leaves, and returns the copy's number (F13).
func (o *Server) logPrintout(c *call, document, form, camera, application string) (copy, entry uint64, err error) {
	o.handing.Lock()
	defer o.handing.Unlock()
	n, err := o.d.Ledger.Tally(c.r.Context(), ledgerdb.Query{Kinds: []ledger.Kind{"document.printed"}, About: []string{document}})
	if err != nil {
		return 0, 0, fmt.Errorf("count the copies of %s: %w", document, err)
	}
	copy = uint64(n["document.printed"]) + 1
	d := c.who().Draft("document.printed", c.decision.Role, document, struct {
		Copy        uint64 `json:"copy"`
		Form        string `json:"form"`
		Camera      string `json:"camera,omitempty"`
		Application string `json:"application,omitempty"`
	}{copy, form, camera, application})
	receipt, err := o.d.Ledger.Commit(c.r.Context(), ledgerdb.Change{Entries: []ledger.Draft{d}})
	if err != nil {
		c.unlogged = true
		return 0, 0, fmt.Errorf("enter copy %d of %s: %w", copy, document, err)
	}
	return copy, receipt.First, nil
}

// printedCopy is a printed copy that was entered: what its foot shows.
type printedCopy struct {
	Copy, Entry uint64
	Text        string
}

// logCopy finds the entry that lets a document be printed: of this person, of this document. Without one the page is
// a preview, which the browser does not print.
func (o *Server) logCopy(c *call, document string) (*printedCopy, error) {
	text := c.r.URL.Query().Get("entry")
	if text == "" {
		return nil, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n >= o.d.Ledger.Size() {
		return nil, errNotFound
	}
	e, err := o.d.Ledger.Entry(n)
	if err != nil {
		return nil, fmt.Errorf("read entry %d: %w", n, err)
	}
	var d struct {
		Copy uint64
		Form string
	}
	if e.Kind != "document.printed" || e.Subject != document || e.Actor.ID != c.actor.ID || !decode(e.Data, &d) || d.Form != formPrint {
		return nil, errNotFound
	}
	return &printedCopy{d.Copy, n, c.p.T("doc.copy", d.Copy, c.p.Stamp(e.At)[:16], c.session.Person.Name, n)}, nil
}
