package usage

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	rules "campuskeep/shared/usage"
)

// Proposal is one person's statement that a hold may end before its time. It needs a second person (design §5).
type Proposal struct {
	Hold        string       `json:"hold"`
	Application string       `json:"application"`
	By          string       `json:"by"`
	Role        account.Role `json:"role"`
	At          time.Time    `json:"at"`
	Reason      string       `json:"reason"`
	Cameras     []string     `json:"cameras,omitempty"` // of the hold as it was proposed; rows of older boxes have none
	Span        footage.Span `json:"span,omitzero"`
	Entry       uint64       `json:"entry,omitempty"` // of the proposal; known once it is committed
}

var proposals = ledgerdb.NewTable[Proposal]("hold_proposals", ledgerdb.Sealed(func(p Proposal) string { return owner(p.Application) }))

const maxProposal = 500 // runes of a reason

// about says whether the proposal was made for the hold as it is.
func (p Proposal) about(h footage.Hold) bool {
	return len(p.Cameras) == 0 || h.SameFootage(footage.Hold{Cameras: p.Cameras, Span: p.Span})
}

// Proposal is the proposal to let a hold go, when there is one.
func (e *Register) Proposal(hold string) (Proposal, bool) {
	e.files.mu.RLock()
	defer e.files.mu.RUnlock()
	p, ok := e.files.proposals[hold]
	return p, ok
}

// ProposeRelease states that a hold may go and why. Nothing goes until somebody else confirms it. Errors:
// fielderr.Errors, *account.Refused, ErrNotFound.
func (e *Register) ProposeRelease(ctx context.Context, by account.Who, id, reason string) (Proposal, error) {
	reason = strings.TrimSpace(reason)
	role, err := e.mayRelease(ctx, by, account.ActHoldPropose, id)
	if err != nil {
		return Proposal{}, err
	}
	var faults fielderr.Errors
	switch {
	case reason == "":
		faults.Add("reason", "err.required")
	case !utf8.ValidString(reason) || utf8.RuneCountInString(reason) > maxProposal:
		faults.Add("reason", "err.too_long", maxProposal)
	}
	if err := faults.Err(); err != nil {
		return Proposal{}, err
	}
	e.stepMu.Lock()
	defer e.stepMu.Unlock()
	h, ok := e.held(id)
	if !ok {
		return Proposal{}, fmt.Errorf("hold %s: %w", id, ErrNotFound)
	}
	if _, ok := e.Proposal(id); ok {
		faults.Add("reason", "err.hold_proposed")
		return Proposal{}, faults
	}
	p := Proposal{Hold: id, Application: h.Application, By: by.ID, Role: role, At: e.o.Clock.Now().Wall.UTC(), Reason: reason,
		Cameras: h.Cameras, Span: h.Span}
	receipt, err := e.o.Store.Commit(ctx, ledgerdb.Change{Puts: []ledgerdb.Put{proposals.PutRev(id, p, 0)},
		Entries: []ledger.Draft{by.Draft("hold.proposed", role, id, holdOnly{id}, sealed(h.Application, "reason", reason))}})
	if err != nil {
		return Proposal{}, fmt.Errorf("record a proposal to release hold %s: %w", id, err)
	}
	p.Entry = receipt.First
	e.files.mu.Lock()
	defer e.files.mu.Unlock()
	e.files.proposals[id] = p
	return p, nil
}

// ConfirmRelease lets a hold go that somebody else has proposed to. What it kept beyond its time is condemned by the
// next sweep. Errors: *account.Refused, ErrNotFound; the proposer's own confirmation is refused and entered.
func (e *Register) ConfirmRelease(ctx context.Context, by account.Who, id string) error {
	role, err := e.mayRelease(ctx, by, account.ActHoldRelease, id)
	if err != nil {
		return err
	}
	e.stepMu.Lock()
	defer e.stepMu.Unlock()
	h, ok := e.held(id)
	p, proposed := e.Proposal(id)
	if !ok || !proposed || !p.about(h) {
		return fmt.Errorf("proposal to release hold %s: %w", id, ErrNotFound)
	}
	if p.By == by.ID {
		return e.refuse(ctx, by, account.ActHoldRelease, account.Subject{Application: h.Application}, "may.same_person")
	}
	if e.o.Independent != nil && !e.o.Independent(p.By, by.ID) {
		return e.refuse(ctx, by, account.ActHoldRelease, account.Subject{Application: h.Application}, "may.not_independent")
	}
	h.Released = e.o.Clock.Now().Wall.UTC()
	_, err = e.o.Store.Commit(ctx, ledgerdb.Change{Puts: []ledgerdb.Put{holds.Put(id, h)}, Deletes: []ledgerdb.Delete{proposals.Delete(id)},
		Entries: []ledger.Draft{by.Draft("hold.released", role, id, e.proposed(p, "two_people"))}})
	if err != nil {
		return fmt.Errorf("release hold %s: %w", id, err)
	}
	e.files.mu.Lock()
	defer e.files.mu.Unlock()
	e.files.holds[id] = h
	delete(e.files.proposals, id)
	return nil
}

// KeepHold takes a proposal back: the proposer has thought again, or somebody else says no.
func (e *Register) KeepHold(ctx context.Context, by account.Who, id string) error {
	role, err := e.mayRelease(ctx, by, account.ActHoldPropose, id)
	if err != nil {
		return err
	}
	e.stepMu.Lock()
	defer e.stepMu.Unlock()
	p, ok := e.Proposal(id)
	if !ok {
		return fmt.Errorf("proposal to release hold %s: %w", id, ErrNotFound)
	}
	_, err = e.o.Store.Commit(ctx, ledgerdb.Change{Deletes: []ledgerdb.Delete{proposals.Delete(id)},
		Entries: []ledger.Draft{by.Draft("hold.kept", role, id, holdKeptData{id, e.entryOf(p)})}})
	if err != nil {
		return fmt.Errorf("keep hold %s: %w", id, err)
	}
	e.files.mu.Lock()
	defer e.files.mu.Unlock()
	delete(e.files.proposals, id)
	return nil
}

// mayRelease asks the permission table about the hold's application: nobody lets their own hold go.
func (e *Register) mayRelease(ctx context.Context, by account.Who, action account.Action, id string) (account.Role, error) {
	subject, err := e.HoldSubject(id)
	if err != nil {
		return "", err
	}
	d, err := e.Allow(ctx, by, action, subject)
	return d.Role, err
}

// HoldSubject is a hold in force as the permission table sees it.
func (e *Register) HoldSubject(id string) (account.Subject, error) {
	h, ok := e.held(id)
	if !ok {
		return account.Subject{}, fmt.Errorf("hold %s: %w", id, ErrNotFound)
	}
	f, ok := e.files.get(h.Application)
	if !ok {
		return account.Subject{}, fmt.Errorf("application of hold %s: %w", id, ErrNotFound)
	}
	return Subject(f.app), nil
}

type holdOnly struct {
	Hold string `json:"hold"`
}

type holdProposed struct {
	Hold     string `json:"hold"`
	Reason   string `json:"reason"`
	Proposal uint64 `json:"proposal"`
}

func (e *Register) proposed(p Proposal, reason string) holdProposed {
	return holdProposed{p.Hold, reason, e.entryOf(p)}
}

// entryOf is the number of a proposal's entry. The row is written with the entry and cannot name it, so after a
// start it is looked up.
func (e *Register) entryOf(p Proposal) uint64 {
	if p.Entry > 0 {
		return p.Entry
	}
	page, err := e.o.Store.Search(context.Background(), ledgerdb.Query{Kinds: []ledger.Kind{"hold.proposed"}, About: []string{p.Hold}, Limit: 1})
	if err != nil || len(page.Entries) == 0 {
		return 0
	}
	return page.Entries[0].Seq
}

// KeptHold is a hold in force with what it costs.
type KeptHold struct {
	footage.Hold
	Applicant string
	Bytes     uint64
	Proposal  *Proposal
}

// HoldUse is how far the caps are used (design §5).
type HoldUse struct {
	Rules      rules.Rules
	Total      uint64 // bytes of the footage disk; 0: not known
	Held       uint64 // bytes, by all holds; a file that two hold counts once
	Applicants []ApplicantUse
}

// Allowed are the bytes that all holds together may keep.
func (u HoldUse) Allowed() uint64 { return u.Total / 100 * uint64(u.Rules.DiskPercent) }

// ApplicantUse is the camera time that one person's applications hold.
type ApplicantUse struct {
	Person string
	Time   time.Duration
}

// KeptHolds lists the holds in force, those that end first at the top, and how far the caps are used.
func (e *Register) KeptHolds(ctx context.Context) ([]KeptHold, HoldUse, error) {
	use := HoldUse{Rules: e.o.Rules()}
	if e.o.Capacity != nil {
		total, err := e.o.Capacity()
		if err != nil {
			return nil, use, fmt.Errorf("ask the size of the footage disk: %w", err)
		}
		use.Total = total
	}
	var out []KeptHold
	all := e.newByteCounter()
	now := e.o.Clock.Now()
	of := map[string][]footage.Hold{} // by applicant
	for _, h := range e.Holds() {
		k := KeptHold{Hold: h}
		if f, ok := e.files.get(h.Application); ok {
			k.Applicant = f.app.Applicant
		}
		var err error
		if k.Bytes, err = e.newByteCounter().count(ctx, h.Cameras, h.Span); err != nil {
			return nil, use, err
		}
		n, err := all.count(ctx, h.Cameras, h.Span)
		if err != nil {
			return nil, use, err
		}
		use.Held += n
		if p, ok := e.Proposal(h.ID); ok {
			k.Proposal = &p
		}
		out = append(out, k)
		of[k.Applicant] = append(of[k.Applicant], h)
	}
	for _, person := range slices.Sorted(maps.Keys(of)) {
		use.Applicants = append(use.Applicants, ApplicantUse{person, rules.CameraTime(of[person], now)})
	}
	slices.SortStableFunc(out, func(a, b KeptHold) int { return a.Until.Compare(b.Until) })
	slices.SortStableFunc(use.Applicants, func(a, b ApplicantUse) int { return int(b.Time - a.Time) })
	return out, use, nil
}
