package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
)

// branches knows the roll-backs of the log that nobody has closed. The log is searched again only when its branch
// changed or a roll-back was closed.
type branches struct {
	mu    sync.Mutex
	epoch uint64 // of the search; 0: none yet
	list  []ledger.Entry
}

// open lists the entries of roll-backs that are not closed, newest first.
func (b *branches) open(ctx context.Context, log Ledger) ([]ledger.Entry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.read(ctx, log)
}

func (b *branches) read(ctx context.Context, log Ledger) ([]ledger.Entry, error) {
	epoch := log.Epoch()
	if epoch == b.epoch || epoch <= 1 {
		return b.list, nil
	}
	var list []ledger.Entry
	closed := map[uint64]bool{}
	for q := (ledgerdb.Query{Kinds: []ledger.Kind{"sync.branched", "sync.branchclosed"}}); ; {
		page, err := log.Search(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("look for roll-backs of the log: %w", err)
		}
		for _, e := range page.Entries {
			var d struct{ Entry uint64 }
			switch {
			case e.Kind == "sync.branchclosed":
				if decode(e.Data, &d) {
					closed[d.Entry] = true
				}
			case !closed[e.Seq] && !branchIsEmpty(e.Data):
				list = append(list, e)
			}
		}
		if q.Before = page.Next; q.Before == 0 {
			break
		}
	}
	b.epoch, b.list = epoch, list
	return list, nil
}

type branchData struct {
	Fork uint64
	Had  *uint64 // nil: an entry from before it was reported
}

func branchIsEmpty(data json.RawMessage) bool {
	var d branchData
	return decode(data, &d) && d.Had != nil && *d.Had <= d.Fork
}

// vanished says which numbers of the log are not what the centre received under them.
func (c *call) vanished(e ledger.Entry) string {
	var d branchData
	decode(e.Data, &d)
	switch {
	case branchIsEmpty(e.Data):
		return c.p.T("branch.none")
	case d.Had == nil:
		return c.p.T("branch.vanished.from", d.Fork)
	case *d.Had == d.Fork+1:
		return c.p.T("branch.vanished.one", d.Fork)
	}
	return c.p.T("branch.vanished", d.Fork, *d.Had-1)
}

// branchNeeds are the roll-backs of the log that nobody has closed.
func (c *call) branchNeeds() (out []need, _ error) {
	if !c.can(account.ActLogSearch, account.Subject{}) {
		return nil, nil
	}
	open, err := c.o.branches.open(c.r.Context(), c.o.d.Ledger)
	if err != nil {
		return nil, err
	}
	for _, e := range open {
		out = append(out, need{Tone: "bad", Icon: "bad", Badge: c.p.T("branch.title"), Kind: c.p.T("need.branch.kind"), Title: c.p.T("need.branch", c.vanished(e)),
			Text: c.p.T("need.branch.text"), Due: c.p.When(e.At, c.now.Wall), Href: fmt.Sprintf("/log/%d#close", e.Seq), Do: c.p.T("see"), Primary: true})
	}
	return out, nil
}

// maxBranchNote is how many characters say what a roll-back was.
const maxBranchNote = 500

// errBranchClosed: somebody else was first.
var errBranchClosed = errors.New("the roll-back is closed already")

// closeBranch enters what somebody found out about a roll-back of the log; the first page no longer shows it.
func (o *Server) closeBranch(c *call) error {
	n, err := c.seq()
	if err != nil {
		return err
	}
	note := strings.TrimSpace(c.r.PostForm.Get("note"))
	var errs fielderr.Errors
	switch {
	case note == "":
		errs.Add("note", "err.required")
	case utf8.RuneCountInString(note) > maxBranchNote:
		errs.Add("note", "err.too_long", maxBranchNote)
	case !utf8.ValidString(note) || strings.ContainsFunc(note, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' }):
		errs.Add("note", "err.text")
	}
	if len(errs) > 0 {
		return o.showEntry(c, http.StatusUnprocessableEntity, errs)
	}
	d := c.who().Draft("sync.branchclosed", c.decision.Role, "", map[string]any{"entry": n}, ledger.Part{Name: "note", Owner: "person:" + c.actor.ID, Plain: []byte(note)})
	err = o.branches.close(c.r.Context(), o.d.Ledger, n, d)
	if errors.Is(err, errBranchClosed) {
		return errNotFound
	}
	if err != nil {
		return err
	}
	return c.done("/", "done.branch")
}

// close commits the entry that closes the roll-back of entry n, once.
func (b *branches) close(ctx context.Context, log Ledger, n uint64, d ledger.Draft) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	open, err := b.read(ctx, log)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(open, func(e ledger.Entry) bool { return e.Seq == n }) {
		return errBranchClosed
	}
	if _, err := log.Commit(ctx, ledgerdb.Change{Entries: []ledger.Draft{d}}); err != nil {
		return fmt.Errorf("enter that the roll-back of entry %d is closed: %w", n, err)
	}
	b.epoch, b.list = 0, nil
	return nil
}
