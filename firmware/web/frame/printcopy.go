package frame

import (
	"fmt"
	"strconv"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/ledger"
)

// Forms of a copied document, as the log names them.
const (
	FormPrint = "paper"
	FormFile  = "file"
	FormSheet = "xlsx"
)

// LogPrintout enters a copy of a document before its first byte leaves, and returns the copy's number (F13).
func (o *Server) LogPrintout(c *Call, document, form, camera, application string) (copy, entry uint64, err error) {
	o.Handing.Lock()
	defer o.Handing.Unlock()
	n, err := o.d.Ledger.Tally(c.R.Context(), ledgerdb.Query{Kinds: []ledger.Kind{"document.printed"}, About: []string{document}})
	if err != nil {
		return 0, 0, fmt.Errorf("count the copies of %s: %w", document, err)
	}
	copy = uint64(n["document.printed"]) + 1
	d := c.Who().Draft("document.printed", c.Decision.Role, document, struct {
		Copy        uint64 `json:"copy"`
		Form        string `json:"form"`
		Camera      string `json:"camera,omitempty"`
		Application string `json:"application,omitempty"`
	}{copy, form, camera, application})
	receipt, err := o.d.Ledger.Commit(c.R.Context(), ledgerdb.Change{Entries: []ledger.Draft{d}})
	if err != nil {
		c.Unlogged = true
		return 0, 0, fmt.Errorf("enter copy %d of %s: %w", copy, document, err)
	}
	return copy, receipt.First, nil
}

// PrintedCopy is a printed copy that was entered: what its foot shows.
type PrintedCopy struct {
	Copy, Entry uint64
	Text        string
}

// LogCopy finds the entry that lets a document be printed: of this person, of this document. Without one the page is
// a preview, which the browser does not print.
func (o *Server) LogCopy(c *Call, document string) (*PrintedCopy, error) {
	text := c.R.URL.Query().Get("entry")
	if text == "" {
		return nil, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n >= o.d.Ledger.Size() {
		return nil, ErrNotFound
	}
	e, err := o.d.Ledger.Entry(n)
	if err != nil {
		return nil, fmt.Errorf("read entry %d: %w", n, err)
	}
	var d struct {
		Copy uint64
		Form string
	}
	if e.Kind != "document.printed" || e.Subject != document || e.Actor.ID != c.Actor.ID || !Decode(e.Data, &d) || d.Form != FormPrint {
		return nil, ErrNotFound
	}
	return &PrintedCopy{d.Copy, n, c.P.T("doc.copy", d.Copy, c.P.Stamp(e.At)[:16], c.Session.Person.Name, n)}, nil
}
