package log

import (
	"encoding/base64"
	"fmt"
	"net/http"

	"campuskeep/firmware/web/frame"
	"campuskeep/shared/ledger"
)

// APILog is a page of the access log, as JSON.
type APILog struct {
	Entries []ledger.Entry `json:"entries"`
	Next    uint64         `json:"next,omitempty"` // "before" of the next page
}

// apiLog is the search of the access log; it is entered like that of the page.
func (o *Pages) apiLog(c *call) error {
	f := c.R.URL.Query()
	q, err := c.logQuery(f)
	if err != nil {
		return err
	}
	page, err := o.d.Ledger.Search(c.R.Context(), q)
	if err != nil {
		return fmt.Errorf("search the log: %w", err)
	}
	if err := o.logSearched(c, f, len(page.Entries)); err != nil {
		return err
	}
	if page.Entries == nil {
		page.Entries = []ledger.Entry{}
	}
	return c.JSON(http.StatusOK, APILog{page.Entries, page.Next})
}

// APIEntry is one entry with the bytes that are hashed, as JSON.
type APIEntry struct {
	Entry     ledger.Entry `json:"entry"`
	Leaf      string       `json:"leaf"` // the bytes that are hashed, base64
	LeafHash  string       `json:"leaf_hash"`
	Witnessed bool         `json:"witnessed"`
}

func (o *Pages) apiEntry(c *call) error {
	n, err := c.seq()
	if err != nil {
		return err
	}
	e, err := o.d.Ledger.Entry(n)
	if err != nil {
		return fmt.Errorf("read entry %d: %w", n, err)
	}
	p, err := o.d.Ledger.Proof(n)
	if err != nil {
		return fmt.Errorf("make the proof of entry %d: %w", n, err)
	}
	seen, _ := o.d.Ledger.Witnessed()
	return c.JSON(http.StatusOK, APIEntry{e, base64.StdEncoding.EncodeToString(p.Leaf), frame.LeafHash(p.Leaf), n < seen})
}
