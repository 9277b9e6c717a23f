package people

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
)

func (p *People) cardHash(c attendance.Card) string { return hexHash(c.Hash(p.siteKey)) }

// CardInfo is a card that was handed out. Its number is not kept: ID is made from the hash, Tail are the last digits by
// which people tell cards apart.
type CardInfo struct {
	ID      string
	Student string
	Tail    string // empty for cards that were handed out before tails were kept
	Since   time.Time
	Lost    time.Time // reported lost: refused since then; zero: good
}

const (
	tailDigits = 4
	cardIDLen  = 16
)

func tailOf(c attendance.Card) string {
	s := c.String()
	return s[max(0, len(s)-tailDigits):]
}

func (r cardRow) info(hash string) CardInfo {
	return CardInfo{ID: hash[:cardIDLen], Student: r.Student, Tail: r.Tail, Since: r.Since, Lost: r.Lost}
}

// Cards lists the cards that are handed out, newest first.
func (p *People) Cards() []CardInfo { return p.cardList(func(cardRow) bool { return true }) }

// CardsOf lists the cards of a student, newest first.
func (p *People) CardsOf(student string) []CardInfo {
	return p.cardList(func(r cardRow) bool { return r.Student == student })
}

func (p *People) cardList(want func(cardRow) bool) []CardInfo {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var out []CardInfo
	for h, r := range p.cards {
		if want(r) {
			out = append(out, r.info(h))
		}
	}
	slices.SortFunc(out, func(a, b CardInfo) int { return cmp.Or(b.Since.Compare(a.Since), cmp.Compare(a.ID, b.ID)) })
	return out
}

// Holder is whose card this is.
func (p *People) Holder(c attendance.Card) (CardInfo, bool) {
	h := p.cardHash(c)
	p.mu.RLock()
	defer p.mu.RUnlock()
	r, ok := p.cards[h]
	if !ok {
		return CardInfo{}, false
	}
	return r.info(h), true
}

// ByCard finds the student by the hash of the card, and the class of today. From memory: it is called for every
// tap. A card of somebody who is in no class today is unknown, and so is one that was reported lost.
func (p *People) ByCard(hash []byte) (studentID, class string, ok bool) {
	today := p.today()
	p.mu.RLock()
	defer p.mu.RUnlock()
	r, ok := p.cards[hexHash(hash)]
	if !ok || !r.Lost.IsZero() {
		return "", "", false
	}
	class = p.classOf(r.Student, today)
	return r.Student, class, class != ""
}

// CardOwner is who has a card, also of somebody who is in no class today. Somebody who left has none any more.
func (p *People) CardOwner(card attendance.Card) (studentID string, ok bool) {
	today := p.today()
	p.mu.RLock()
	defer p.mu.RUnlock()
	r, ok := p.cards[p.cardHash(card)]
	return r.Student, ok && !p.markLeft(r.Student, today)
}

// Carded are the students who have a card that counts.
func (p *People) Carded() map[string]bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	out := make(map[string]bool, len(p.cards))
	for _, c := range p.cards {
		if c.Lost.IsZero() {
			out[c.Student] = true
		}
	}
	return out
}

// AssignCard gives a card to a student; one of theirs that was lost is good again. Errors: ErrNotFound, fielderr.Errors
// when somebody has it, *account.Refused.
func (p *People) AssignCard(ctx context.Context, by account.Who, card attendance.Card, studentID string) error {
	return p.ReplaceCard(ctx, by, "", card, studentID)
}

// ReplaceCard gives a card to a student in place of another one, which is refused from then on; without old it is an
// additional one. Errors: ErrNotFound, fielderr.Errors when somebody has it, *account.Refused.
func (p *People) ReplaceCard(ctx context.Context, by account.Who, old string, card attendance.Card, studentID string) error {
	role, err := p.allow(by, account.ActPupilsEdit, account.Subject{})
	if err != nil {
		return err
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	hash := p.cardHash(card)
	p.mu.RLock()
	_, known := p.students[studentID]
	has, taken := p.cards[hash]
	free := taken && has.Student != studentID && p.markLeft(has.Student, p.today())
	oldHash, oldOK := p.cardOf(studentID, old)
	p.mu.RUnlock()
	what := "card"
	switch {
	case !known || old != "" && !oldOK:
		return ErrNotFound
	case taken && has.Student == studentID && has.Lost.IsZero():
		if old != "" {
			return fielderr.Errors{{Field: "card", Rule: "err.card_same"}}
		}
		return nil
	case taken && has.Student == studentID, free:
	case taken && !has.Lost.IsZero():
		return fielderr.Errors{{Field: "card", Rule: "err.card_lost"}}
	case taken:
		return fielderr.Errors{{Field: "card", Rule: "err.card_taken"}}
	}
	row := cardRow{Student: studentID, Since: p.now().Wall.UTC(), Tail: tailOf(card)}
	ch := ledgerdb.Change{Puts: []ledgerdb.Put{cards.Put(hash, row)}}
	if old != "" && oldHash != hash {
		ch.Deletes, what = append(ch.Deletes, cards.Delete(oldHash)), "card_replaced"
	}
	ch.Entries = []ledger.Draft{by.Draft("student.changed", role, studentID, map[string]any{"what": []string{what}})}
	if _, err := p.o.Store.Commit(ctx, ch); err != nil {
		return fmt.Errorf("assign a card to %s: %w", studentID, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if what == "card_replaced" {
		delete(p.cards, oldHash)
	}
	p.cards[hash] = row
	return nil
}

// cardOf is the hash of a student's card by its id. The caller holds mu.
func (p *People) cardOf(studentID, id string) (hash string, ok bool) {
	for h, r := range p.cards {
		if r.Student == studentID && len(id) == cardIDLen && strings.HasPrefix(h, id) {
			return h, true
		}
	}
	return "", false
}

// What can happen to a card that was handed out.
const (
	CardLost  = "lost"  // reported lost: refused at once, and given to nobody else
	CardFound = "found" // good again
	CardEnded = "ended" // given back: may be handed to another
)

// ChangeCard reports a card lost, found, or given back. Errors: ErrNotFound, fielderr.Errors, *account.Refused.
func (p *People) ChangeCard(ctx context.Context, by account.Who, studentID, id, what string) error {
	role, err := p.allow(by, account.ActPupilsEdit, account.Subject{})
	if err != nil {
		return err
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	p.mu.RLock()
	hash, ok := p.cardOf(studentID, id)
	row := p.cards[hash]
	p.mu.RUnlock()
	if !ok {
		return ErrNotFound
	}
	var ch ledgerdb.Change
	switch {
	case what == CardEnded:
		ch.Deletes = append(ch.Deletes, cards.Delete(hash))
	case what == CardLost && row.Lost.IsZero():
		row.Lost = p.now().Wall.UTC()
		ch.Puts = append(ch.Puts, cards.Put(hash, row))
	case what == CardFound && !row.Lost.IsZero():
		row.Lost = time.Time{}
		ch.Puts = append(ch.Puts, cards.Put(hash, row))
	case what == CardLost || what == CardFound:
		return nil // it is so already
	default:
		return fielderr.Errors{{Field: "what", Rule: "err.choice"}}
	}
	ch.Entries = []ledger.Draft{by.Draft("student.changed", role, studentID, map[string]any{"what": []string{"card_" + what}})}
	if _, err := p.o.Store.Commit(ctx, ch); err != nil {
		return fmt.Errorf("change a card of %s: %w", studentID, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if what == CardEnded {
		delete(p.cards, hash)
	} else {
		p.cards[hash] = row
	}
	return nil
}

// CardPut is a card to hand out.
type CardPut struct {
	Student string
	Card    attendance.Card
}

// AssignCards hands out cards, all or none. Errors: ErrNotFound, fielderr.Errors, *account.Refused.
func (p *People) AssignCards(ctx context.Context, by account.Who, list []CardPut) error {
	role, err := p.allow(by, account.ActPupilsEdit, account.Subject{})
	if err != nil {
		return err
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	var b batch
	now := p.now().Wall.UTC()
	p.mu.RLock()
	_, hashes := p.usedNumbers()
	for _, x := range list {
		hash := p.cardHash(x.Card)
		if _, ok := p.students[x.Student]; !ok {
			err = ErrNotFound
		}
		if hashes[hash] && p.cards[hash].Student != x.Student {
			err = fielderr.Errors{{Field: "card", Rule: "err.card_taken"}}
		}
		hashes[hash] = true
	}
	p.mu.RUnlock()
	if err != nil {
		return err
	}
	for _, x := range list {
		p.draftCard(&b, x.Card, x.Student, now)
		b.Entries = append(b.Entries, by.Draft("student.changed", role, x.Student, map[string]any{"what": []string{"card"}}))
	}
	b.Entries = append(b.Entries, by.Draft("import", role, "cards", map[string]any{"what": "cards", "count": len(list)}))
	if err := p.commit(ctx, &b); err != nil {
		return fmt.Errorf("hand out %d cards: %w", len(list), err)
	}
	return nil
}
