package log

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/web/entrytext"
	"campuskeep/firmware/web/frame"
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

// Open lists the entries of roll-backs that are not closed, newest first.
func (b *branches) Open(ctx context.Context, log *ledgerdb.Store) ([]ledger.Entry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.read(ctx, log)
}

func (b *branches) read(ctx context.Context, log *ledgerdb.Store) ([]ledger.Entry, error) {
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
				if frame.Decode(e.Data, &d) {
					closed[d.Entry] = true
				}
			case !closed[e.Seq] && !entrytext.BranchIsEmpty(e.Data):
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

// branchNeeds are the roll-backs of the log that nobody has closed.
func (c *call) branchNeeds() (out []frame.Need, _ error) {
	if !c.Can(account.ActLogSearch, account.Subject{}) {
		return nil, nil
	}
	open, err := c.o.branches.Open(c.R.Context(), c.o.d.Ledger)
	if err != nil {
		return nil, err
	}
	for _, e := range open {
		out = append(out, frame.Need{Tone: "bad", Icon: "bad", Badge: c.P.T("branch.title"), Kind: c.P.T("need.branch.kind"), Title: c.P.T("need.branch", c.o.Vanished(c.Call, e)),
			Text: c.P.T("need.branch.text"), Due: c.P.When(e.At, c.Now.Wall), Href: fmt.Sprintf("/log/%d#close", e.Seq), Do: c.P.T("see"), Primary: true})
	}
	return out, nil
}

// maxBranchNote is how many characters say what a roll-back was.
const maxBranchNote = 500

// errBranchClosed: somebody else was first.
var errBranchClosed = errors.New("the roll-back is closed already")

// closeBranch enters what somebody found out about a roll-back of the log; the first page no longer shows it.
func (o *Pages) closeBranch(c *call) error {
	n, err := c.seq()
	if err != nil {
		return err
	}
	note := strings.TrimSpace(c.R.PostForm.Get("note"))
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
	d := c.Who().Draft("sync.branchclosed", c.Decision.Role, "", map[string]any{"entry": n}, ledger.Part{Name: "note", Owner: "person:" + c.Actor.ID, Plain: []byte(note)})
	err = o.branches.close(c.R.Context(), o.d.Ledger, n, d)
	if errors.Is(err, errBranchClosed) {
		return frame.ErrNotFound
	}
	if err != nil {
		return err
	}
	return c.Done("/", "done.branch")
}

// close commits the entry that closes the roll-back of entry n, once.
func (b *branches) close(ctx context.Context, log *ledgerdb.Store, n uint64, d ledger.Draft) error {
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
