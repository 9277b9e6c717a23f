package records

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	rules "campuskeep/shared/records"
)

// BreakGlass opens the emergency card of one pupil for half an hour; the urgent entry is committed first. A card that is
// open already is given again. Errors: ErrNotFound, *account.Refused, fielderr.Errors at "reason".
func (r *Records) BreakGlass(ctx context.Context, by account.Who, pupil, reason string) (rules.Glass, error) {
	if _, ok := r.o.People.Student(pupil); !ok {
		return rules.Glass{}, ErrNotFound
	}
	role, err := r.allow(by, account.ActGlassOpen, account.Subject{})
	if err != nil {
		return rules.Glass{}, err
	}
	reason = strings.TrimSpace(reason)
	if err := rules.CheckGlassReason(reason).Err(); err != nil {
		return rules.Glass{}, err
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	if r.isErased(pupil, rules.Basic) {
		return rules.Glass{}, ErrNotFound
	}
	now := r.now().UTC()
	for _, g := range r.Glasses() {
		if g.Student == pupil && g.Shows(by.ID, now) {
			return g, nil
		}
	}
	g := rules.Glass{ID: r.nextID("g", 0), Student: pupil, Person: by.ID, Reason: reason, Opened: now, Until: now.Add(rules.GlassFor)}
	d := by.Draft("glass.opened", role, pupil, map[string]any{"student": pupil, "glass": g.ID, "until": g.Until}, part("reason", rules.Owner(pupil, rules.Basic), reason)...)
	return g, r.putGlass(ctx, g, 0, d)
}

func (r *Records) putGlass(ctx context.Context, g rules.Glass, rev uint64, d ledger.Draft) error {
	rc, err := r.o.Store.Commit(ctx, ledgerdb.Change{Puts: []ledgerdb.Put{glasses.PutRev(g.ID, g, rev)}, Entries: []ledger.Draft{d}})
	if err != nil {
		return fmt.Errorf("enter the opening of an emergency card: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.number(g.ID)
	r.glasses[g.ID] = glass{g, rc.Revs[0]}
	return nil
}

// Glasses are all emergency cards that were opened, the newest first.
func (r *Records) Glasses() (out []rules.Glass) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, g := range r.glasses {
		if !r.erased[g.Student][rules.Basic] {
			out = append(out, g.Glass)
		}
	}
	slices.SortFunc(out, func(a, b rules.Glass) int { return cmp.Or(b.Opened.Compare(a.Opened), cmp.Compare(b.ID, a.ID)) })
	return out
}

// Glass is one of them.
func (r *Records) Glass(id string) (rules.Glass, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	g, ok := r.glasses[id]
	return g.Glass, ok && !r.erased[g.Student][rules.Basic]
}

// CloseGlass ends the own card with what happened. It may be said afterwards, too.
func (r *Records) CloseGlass(ctx context.Context, by account.Who, id, happened string) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.RLock()
	g, ok := r.glasses[id]
	r.mu.RUnlock()
	if !ok || g.Person != by.ID {
		return ErrNotFound
	}
	role, err := r.allow(by, account.ActGlassOpen, account.Subject{})
	if err != nil {
		return err
	}
	happened = strings.TrimSpace(happened)
	switch n := utf8.RuneCountInString(happened); {
	case n == 0:
		return fielderr.Errors{{Field: "happened", Rule: "err.required"}}
	case n > mostHappened || !utf8.ValidString(happened):
		return fielderr.Errors{{Field: "happened", Rule: "err.too_long", Args: []any{mostHappened}}}
	case !g.Closed.IsZero():
		return nil
	}
	g.Happened, g.Closed = happened, r.now().UTC()
	return r.putGlass(ctx, g.Glass, g.rev, by.Draft("glass.closed", role, g.Student, map[string]any{"student": g.Student, "glass": id}, part("happened", rules.Owner(g.Student, rules.Basic), happened)...))
}

const mostHappened = 500

// ReviewGlass enters the verdict on an opened card: of another person, once.
func (r *Records) ReviewGlass(ctx context.Context, by account.Who, id, verdict, note string) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.RLock()
	old, ok := r.glasses[id]
	r.mu.RUnlock()
	if !ok {
		return ErrNotFound
	}
	role, err := r.allow(by, account.ActGlassReview, account.Subject{Person: old.Person})
	if err != nil {
		return err
	}
	g, errs := old.Review(by.ID, verdict, note, r.now())
	if err := errs.Err(); err != nil {
		return err
	}
	return r.putGlass(ctx, g, old.rev, by.Draft("glass.reviewed", role, g.Student, map[string]any{"student": g.Student, "glass": id, "verdict": verdict}, part("note", rules.Owner(g.Student, rules.Basic), g.Note)...))
}
