package people

import (
	"context"
	"fmt"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
)

func (p *People) cardHash(c attendance.Card) string { return hexHash(c.Hash(p.siteKey)) }

// ByCard finds the student by the hash of the card, and the class of today. From memory: it is called for every
// tap. A card of somebody who is in no class today is unknown.
func (p *People) ByCard(hash []byte) (studentID, class string, ok bool) {
	today := p.today()
	p.mu.RLock()
	defer p.mu.RUnlock()
	studentID, ok = p.cards[hexHash(hash)]
	if !ok {
		return "", "", false
	}
	class = p.classOf(studentID, today)
	return studentID, class, class != ""
}

// CardOwner is who has a card, also of somebody who is in no class today. Somebody who left has none any more.
func (p *People) CardOwner(card attendance.Card) (studentID string, ok bool) {
	today := p.today()
	p.mu.RLock()
	defer p.mu.RUnlock()
	studentID, ok = p.cards[p.cardHash(card)]
	return studentID, ok && !p.markLeft(studentID, today)
}

// AssignCard gives a card to a student. Errors: ErrNotFound, fielderr.Errors when somebody has it,
// *account.Refused.
func (p *People) AssignCard(ctx context.Context, by account.Who, card attendance.Card, studentID string) error {
	role, err := p.allow(by, account.ActPupilsEdit, account.Subject{})
	if err != nil {
		return err
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	hash := p.cardHash(card)
	p.mu.RLock()
	_, known := p.students[studentID]
	owner, taken := p.cards[hash]
	free := taken && owner != studentID && p.markLeft(owner, p.today())
	p.mu.RUnlock()
	switch {
	case !known:
		return ErrNotFound
	case free:
	case taken && owner == studentID:
		return nil
	case taken:
		return fielderr.Errors{{Field: "card", Rule: "err.card_taken"}}
	}
	_, err = p.o.Store.Commit(ctx, ledgerdb.Change{
		Puts:    []ledgerdb.Put{cards.Put(hash, cardRow{Student: studentID, Since: p.now().Wall.UTC()})},
		Entries: []ledger.Draft{by.Draft("student.changed", role, studentID, map[string]any{"what": []string{"card"}})},
	})
	if err != nil {
		return fmt.Errorf("assign a card to %s: %w", studentID, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cards[hash] = studentID
	return nil
}

// CancelCards ends all cards of a student, for one that was lost. Errors: ErrNotFound, *account.Refused.
func (p *People) CancelCards(ctx context.Context, by account.Who, studentID string) error {
	role, err := p.allow(by, account.ActPupilsEdit, account.Subject{})
	if err != nil {
		return err
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	p.mu.RLock()
	_, known := p.students[studentID]
	held := p.cardsOf(studentID)
	p.mu.RUnlock()
	if !known {
		return ErrNotFound
	}
	if len(held) == 0 {
		return nil
	}
	ch := ledgerdb.Change{Entries: []ledger.Draft{by.Draft("student.changed", role, studentID, map[string]any{"what": []string{"card_cancelled"}})}}
	for _, h := range held {
		ch.Deletes = append(ch.Deletes, cards.Delete(h))
	}
	if _, err := p.o.Store.Commit(ctx, ch); err != nil {
		return fmt.Errorf("cancel the cards of %s: %w", studentID, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range held {
		delete(p.cards, h)
	}
	return nil
}
