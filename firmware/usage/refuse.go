package usage

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
)

// Limits of the entries about refusals. The first of its like is entered at once; its repetitions within
// refusalWindow become one entry with their number. Over all, refusalBurst entries and then one per
// refusalEvery: a storm fills at most some 4 MB a day, and is still counted.
const (
	refusalWindow = time.Minute
	refusalBurst  = 120
	refusalEvery  = 10 * time.Second
	refusalKinds  = 1024 // different refusals counted apart at a time
)

// refusal is what makes two refusals alike.
type refusal struct {
	actor, address, device string
	action                 account.Action
	reason                 string
	camera, application    string
}

type repeated struct {
	draft func(count int) ledger.Draft
	since time.Duration
	count int // not entered yet
}

// refusals counts. Its clock is the monotonic one: a step of the wall clock must not open the flood gate.
type refusals struct {
	mu      sync.Mutex
	pending map[refusal]*repeated
	spare   int // refusals of a kind that found no room
	tokens  float64
	filled  time.Duration
}

func (r *refusals) open() { r.pending, r.tokens = map[refusal]*repeated{}, refusalBurst }

// refuse enters the refusal, or counts it when its like was just entered, and returns it as *account.Refused.
func (e *Register) refuse(ctx context.Context, by account.Who, action account.Action, s account.Subject, reason string) error {
	refused := &account.Refused{Action: action, Reason: reason}
	draft := refusalDraft(by, action, s, reason)
	k := refusal{by.ID, by.From.Address, by.From.Device, action, reason, s.Camera, s.Application}
	if !e.numbers.firstOfKind(k, draft, e.o.Clock.Now().Mono) {
		return refused
	}
	// Anyone who is refused must not escape the log by hanging up.
	ctx = context.WithoutCancel(ctx)
	if _, err := e.o.Store.Commit(ctx, ledgerdb.Change{Entries: []ledger.Draft{draft(1)}}); err != nil {
		e.numbers.dropped(k)
		e.o.Log.Error("a refused attempt is not in the log yet", "action", string(action), "reason", reason, "err", err)
	}
	return refused
}

// firstOfKind says whether this one is to be entered now; otherwise it is counted for the next summary.
func (r *refusals) firstOfKind(k refusal, draft func(int) ledger.Draft, now time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if like, ok := r.pending[k]; ok {
		like.count++
		return false
	}
	if len(r.pending) >= refusalKinds {
		r.spare++
		return false
	}
	like := &repeated{draft: draft, since: now}
	r.pending[k] = like
	if !r.token(now) {
		like.count++
		return false
	}
	return true
}

func (r *refusals) token(now time.Duration) bool {
	r.tokens = min(refusalBurst, r.tokens+float64(now-r.filled)/float64(refusalEvery))
	r.filled = now
	if r.tokens < 1 {
		return false
	}
	r.tokens--
	return true
}

// dropped counts one whose entry failed.
func (r *refusals) dropped(k refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if like, ok := r.pending[k]; ok {
		like.count++
	}
}

// summarise enters what was counted in windows that are over.
func (e *Register) summarise(ctx context.Context) error {
	taken, drafts := e.numbers.due(e.o.Clock.Now().Mono)
	if len(drafts) == 0 {
		return nil
	}
	if _, err := e.o.Store.Commit(ctx, ledgerdb.Change{Entries: drafts}); err != nil {
		e.numbers.requeue(taken)
		return fmt.Errorf("enter %d summaries: %w", len(drafts), err)
	}
	return nil
}

func (r *refusals) due(now time.Duration) (map[refusal]*repeated, []ledger.Draft) {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := map[refusal]*repeated{}
	var drafts []ledger.Draft
	for k, like := range r.pending {
		if now-like.since < refusalWindow {
			continue
		}
		if like.count > 0 {
			if !r.token(now) {
				continue // next round
			}
			taken[k] = like
			drafts = append(drafts, like.draft(like.count))
		}
		delete(r.pending, k)
	}
	if r.spare > 0 && r.token(now) {
		drafts = append(drafts, refusalDraft(account.System, "any", account.Subject{}, "may.storm")(r.spare))
		r.spare = 0
	}
	return taken, drafts
}

// requeue counts again what could not be entered.
func (r *refusals) requeue(taken map[refusal]*repeated) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, was := range taken {
		if like, ok := r.pending[k]; ok {
			like.count += was.count
		} else {
			r.pending[k] = was
		}
	}
}

func refusalDraft(by account.Who, action account.Action, s account.Subject, reason string) func(int) ledger.Draft {
	type data struct {
		Action      account.Action `json:"action"`
		Reason      string         `json:"reason"`
		Camera      string         `json:"camera,omitempty"`
		Application string         `json:"application,omitempty"`
		From        time.Time      `json:"from,omitzero"`
		To          time.Time      `json:"to,omitzero"`
		Count       int            `json:"count,omitempty"`
	}
	if by.ID == "" {
		by.ID = "nobody"
	}
	return func(count int) ledger.Draft {
		d := data{Action: action, Reason: reason, Camera: s.Camera, Application: s.Application, From: s.From.UTC(), To: s.To.UTC()}
		if count > 1 {
			d.Count = count
		}
		return by.Draft("access.refused", "", cmp.Or(s.Application, s.Camera, s.Person), d)
	}
}
