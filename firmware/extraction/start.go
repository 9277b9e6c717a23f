package extraction

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
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

// mostPairs bytes are the cameras in their spans that one package holds: the lists of the entry that begins it, which has
// 4 KiB with everything else that it says.
const mostPairs = 3 << 10

// tooMany says whether the lists of a package are larger than its entry holds.
func tooMany(cameras []string, spans []footage.Span) (bool, error) {
	b, err := json.Marshal([]any{cameras, spans})
	return len(b) > mostPairs, err
}

const maxNote = 500

// Request asks for the extraction of an approved application on a day. Only its applicant can.
func (x *Extractions) Request(ctx context.Context, by account.Who, application string, date rules.Date, note string) (Extraction, error) {
	a, err := x.o.Register.Get(application)
	if err != nil {
		return Extraction{}, err
	}
	d, err := x.o.Register.Allow(ctx, by, account.ActExtractionRequest, account.Subject{Application: a.ID, Applicant: a.Applicant, OfOffice: a.OfOffice})
	if err != nil {
		return Extraction{}, err
	}
	now := x.o.Clock.Now()
	if _, err := x.granted(a, firstUse(a, now.Wall)); err != nil {
		return Extraction{}, err
	}
	var faults fielderr.Errors
	note = strings.TrimSpace(note)
	switch {
	case !date.Valid():
		faults.Add("date", "err.date")
	case date < rules.DateOf(now.Wall):
		faults.Add("date", "err.in_past")
	case date < a.Decision.From, date > a.Decision.Until:
		faults.Add("date", "err.extraction_date")
	}
	if !utf8.ValidString(note) || utf8.RuneCountInString(note) > maxNote {
		faults.Add("note", "err.too_long", maxNote)
	}
	if err := faults.Err(); err != nil {
		return Extraction{}, err
	}
	x.step.Lock()
	defer x.step.Unlock()
	for _, e := range x.Of(application) {
		switch e.State {
		case Requested, Running, Sealed, Stopped:
			return e, nil // it is asked for already
		}
	}
	year := rules.DateOf(now.Wall).Begin().Add(12 * time.Hour).Year()
	n, rev, err := x.lastNumber(year)
	if err != nil {
		return Extraction{}, err
	}
	e := Extraction{ID: ExtractionID(year, n+1), Year: year, No: n + 1, Application: a.ID, State: Requested, Requested: now.Wall.UTC(), By: by.ID, Date: date, Note: note}
	var parts []ledger.Part
	if note != "" {
		parts = append(parts, ledger.Part{Name: "note", Owner: owner(a.ID), Plain: []byte(note)})
	}
	_, receipt, err := x.o.Register.Carry(ctx, by, a.ID, nil, func(a rules.Application) (ledgerdb.Change, error) {
		return ledgerdb.Change{Puts: []ledgerdb.Put{numbers.PutRev(fmt.Sprint(year), counter{n + 1}, rev), extractions.PutRev(e.ID, e, 0)},
			Entries: []ledger.Draft{by.Draft("extraction.requested", d.Role, e.ID, map[string]any{"application": a.ID, "date": string(date)}, parts...)}}, nil
	})
	if err != nil {
		return Extraction{}, err
	}
	x.put(e, receipt.Revs[1])
	return e, nil
}

// firstUse is now, or the first instant of use when that is later: a day may be fixed before the use begins.
func firstUse(a rules.Application, now time.Time) time.Time {
	if a.Decision != nil && now.Before(a.Decision.From.Begin()) {
		return a.Decision.From.Begin()
	}
	return now
}

func (x *Extractions) lastNumber(year int) (n int, rev uint64, err error) {
	err = x.o.Store.View(func(tx ledgerdb.Tx) error {
		c, r, _, err := numbers.Get(tx, fmt.Sprint(year))
		n, rev = c.Last, r
		return err
	})
	if err != nil {
		err = fmt.Errorf("read the number of the last extraction: %w", err)
	}
	return n, rev, err
}

// Start begins an extraction. The caller has seen both persons authenticate at this screen just now, each with password
// and one-time code. The entry that names them, the cameras and the spans is durable before anything is read.
func (x *Extractions) Start(ctx context.Context, operator, supervisor account.Who, id, recipient string) (Extraction, error) {
	r, err := x.row(id)
	if err != nil {
		return Extraction{}, err
	}
	a, err := x.o.Register.Get(r.Application)
	if err != nil {
		return r.Extraction, err
	}
	subject := x.Subject(r.Extraction)
	op, err := x.o.Register.Allow(ctx, operator, account.ActExtractionRun, subject)
	if err != nil {
		return r.Extraction, err
	}
	sup, err := x.o.Register.Allow(ctx, supervisor, account.ActExtractionRun, subject)
	if err != nil {
		return r.Extraction, err
	}
	if operator.ID == supervisor.ID || x.o.Independent != nil && !x.o.Independent(operator.ID, supervisor.ID) {
		return r.Extraction, ErrSame
	}
	recipient = strings.TrimSpace(recipient)
	if _, err := parseRecipient(recipient); recipient != "" && err != nil {
		var faults fielderr.Errors
		faults.Add("recipient", "err.extraction_key")
		return r.Extraction, faults
	}
	x.step.Lock()
	defer x.step.Unlock()
	if r, err = x.row(id); err != nil {
		return r.Extraction, err
	}
	if r.State != Requested && r.State != Stopped {
		return r.Extraction, ErrState
	}
	if x.busy() {
		return r.Extraction, ErrBusy
	}
	now := x.o.Clock.Now()
	e := r.Extraction
	e.State, e.Reason, e.Attempt = Running, "", e.Attempt+1
	e.Operator, e.Supervisor = Person{operator.ID, op.Role, now.Wall.UTC()}, Person{supervisor.ID, sup.Role, now.Wall.UTC()}
	e.Terminal, e.Recipient, e.Began = operator.From.Address, recipient, now.Wall.UTC()
	e.Bytes, e.SHA256, e.SM3, e.SealedAt, e.Printed, e.PackedEntry, e.SealedEntry = 0, "", "", time.Time{}, time.Time{}, 0, 0
	j := &job{x: x, by: operator, started: now}
	after, receipt, err := x.o.Register.Carry(ctx, operator, a.ID, []rules.EventKind{rules.Extract}, func(a rules.Application) (ledgerdb.Change, error) {
		list, err := x.granted(a, now.Wall)
		if err != nil {
			return ledgerdb.Change{}, err
		}
		var cameras []string
		var spans []footage.Span
		for _, g := range list {
			for _, c := range g.Cameras {
				cameras, spans = append(cameras, c), append(spans, footage.Span{From: g.Span.From.UTC(), To: g.Span.To.UTC()})
			}
		}
		if len(cameras) == 0 {
			return ledgerdb.Change{}, ErrOver
		}
		if many, err := tooMany(cameras, spans); err != nil || many {
			return ledgerdb.Change{}, cmp.Or(err, error(fielderr.Errors{{Field: "state", Rule: "err.extraction_many", Args: []any{len(cameras)}}}))
		}
		j.app, j.cameras, j.spans = a, cameras, spans
		return ledgerdb.Change{Puts: []ledgerdb.Put{extractions.PutRev(e.ID, e, r.rev)},
			Entries: []ledger.Draft{operator.Draft("extraction.began", op.Role, e.ID, map[string]any{"application": a.ID, "notice": a.Decision.NoticeCode(), "supervisor": supervisor.ID,
				"pair_cameras": cameras, "pair_spans": spans, "attempt": e.Attempt})}}, nil
	})
	if err != nil {
		return r.Extraction, err
	}
	j.app = after
	for _, entry := range receipt.Entries {
		if entry.Kind == "extraction.began" {
			e.BeganEntry = entry.Seq
		}
	}
	x.put(e, receipt.Revs[1])
	j.id, j.progress = e.ID, Progress{Phase: PhaseFetch, Since: now.Wall}
	j.cancel = make(chan string, 1)
	x.mu.Lock()
	x.running = j
	x.mu.Unlock()
	x.jobs <- j // there is room: only one is running
	return e, nil
}

func (x *Extractions) busy() bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.running != nil
}

// Cancel stops a running extraction, or ends one that has not begun.
func (x *Extractions) Cancel(ctx context.Context, by account.Who, id string) (Extraction, error) {
	r, err := x.row(id)
	if err != nil {
		return Extraction{}, err
	}
	d, err := x.o.Register.Allow(ctx, by, account.ActExtractionCancel, x.Subject(r.Extraction))
	if err != nil {
		return r.Extraction, err
	}
	if j, ok := x.job(id); ok {
		select {
		case j.cancel <- ReasonCancelled:
		default: // it is stopping
		}
		return r.Extraction, nil
	}
	x.step.Lock()
	defer x.step.Unlock()
	if r, err = x.row(id); err != nil {
		return r.Extraction, err
	}
	if r.State != Requested && r.State != Stopped {
		return r.Extraction, ErrState
	}
	e := r.Extraction
	e.State, e.Reason = Cancelled, ReasonCancelled
	return x.commit(ctx, e, r.rev, by.Draft("extraction.ended", d.Role, e.ID, map[string]any{"application": e.Application, "reason": ReasonCancelled}))
}

// commit writes a row with its entries.
func (x *Extractions) commit(ctx context.Context, e Extraction, rev uint64, entries ...ledger.Draft) (Extraction, error) {
	receipt, err := x.o.Store.Commit(ctx, ledgerdb.Change{Puts: []ledgerdb.Put{extractions.PutRev(e.ID, e, rev)}, Entries: entries})
	if err != nil {
		return e, fmt.Errorf("record extraction %s: %w", e.ID, err)
	}
	x.put(e, receipt.Revs[0])
	return e, nil
}

func newFileName() string { return strings.ToLower(rand.Text()) + ".age" }
