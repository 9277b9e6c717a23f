// Package oversight keeps what supervises the use of footage and of students' records: violations (F18), inspections
// with their findings (F16, L2), the versions of the regulation with who has read them (F19, M21), the feedback of the
// units (F17), and the filing with the police (L1).
//
// It owns the tables "violations", "inspection_plans", "inspections", "findings", "regulations", "feedback" and
// "filings", all sealed, and an index of them in memory. Every step is one ledgerdb.Change of the row and its entry. It
// must never change a state that the rules of shared/oversight do not, and never let an act pass that account.May
// refuses.
package oversight

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
	rules "campuskeep/shared/oversight"
	usagerules "campuskeep/shared/usage"
)

// ErrNotFound: no such record, or its content was erased.
var ErrNotFound = errors.New("oversight: not found")

var (
	violations  = ledgerdb.NewTable[rules.Violation]("violations", ledgerdb.Sealed(func(v rules.Violation) string { return owner(v.ID) }))
	plans       = ledgerdb.NewTable[rules.Plan]("inspection_plans", ledgerdb.Sealed(func(p rules.Plan) string { return owner(p.ID) }))
	inspections = ledgerdb.NewTable[rules.Inspection]("inspections", ledgerdb.Sealed(func(i rules.Inspection) string { return owner(i.ID) }))
	findings    = ledgerdb.NewTable[rules.Finding]("findings", ledgerdb.Sealed(func(f rules.Finding) string { return owner(f.Inspection) }))
	regulations = ledgerdb.NewTable[rules.Regulation]("regulations", ledgerdb.Sealed(func(r rules.Regulation) string { return owner(r.ID) }))
	feedback    = ledgerdb.NewTable[rules.Feedback]("feedback", ledgerdb.Sealed(func(f rules.Feedback) string { return owner(f.ID) }))
	filings     = ledgerdb.NewTable[rules.Filing]("filings", ledgerdb.Sealed(func(f rules.Filing) string { return owner(f.ID) }))
)

// owner is whose key seals a record.
func owner(id string) string { return "oversight:" + id }

// Options configure Open.
type Options struct {
	Store *ledgerdb.Store
	Clock clock.Clock
	Zone  *time.Location
	// Allow asks the permission table and enters a refusal.
	Allow func(ctx context.Context, by account.Who, action account.Action, subject account.Subject) (account.Decision, error)
	// Applications are those of the register of footage use: an overdue report opens a violation (F15).
	Applications func() []usagerules.Application
	Settings     func() rules.Settings // nil: rules.DefaultSettings
	Log          *slog.Logger
}

// Office keeps the records of supervision. All methods are safe for concurrent use.
type Office struct {
	o      Options
	stepMu sync.Mutex // one step at a time: numbers are counted under it

	violations  records[rules.Violation]
	plans       records[rules.Plan]
	inspections records[rules.Inspection]
	findings    records[rules.Finding]
	regulations records[rules.Regulation]
	feedback    records[rules.Feedback]
	filings     records[rules.Filing]
}

// step asks whether a person may do something, and holds stepMu until end is called.
func (o *Office) step(ctx context.Context, by account.Who, action account.Action, subject account.Subject) (role account.Role, end func(), err error) {
	d, err := o.o.Allow(ctx, by, action, subject)
	if err != nil {
		return "", nil, err
	}
	o.stepMu.Lock()
	return d.Role, o.stepMu.Unlock, nil
}

// nextNo is the next number of a year.
func nextNo[T any](list []T, year int, of func(T) (year, no int)) int {
	next := 1
	for _, x := range list {
		if y, no := of(x); y == year {
			next = max(next, no+1)
		}
	}
	return next
}

// records is one table in memory. Rows are sealed one by one, so lists would otherwise unseal all of it at every
// request.
type records[T any] struct {
	table ledgerdb.TableOf[T]
	mu    sync.RWMutex
	rows  map[string]record[T]
}

type record[T any] struct {
	value T
	rev   uint64
}

func (r *records[T]) read(tx ledgerdb.Tx, table ledgerdb.TableOf[T]) error {
	r.table, r.rows = table, map[string]record[T]{}
	for key, row := range table.Rows(tx, "") {
		if errors.Is(row.Err, ledgerdb.ErrErased) {
			continue
		}
		if row.Err != nil {
			return fmt.Errorf("%s %s: %w", table.Name, key, row.Err)
		}
		r.rows[key] = record[T]{row.Value, row.Rev}
	}
	return nil
}

func (r *records[T]) get(id string) (record[T], error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	x, ok := r.rows[id]
	if !ok {
		return x, fmt.Errorf("%s %s: %w", r.table.Name, id, ErrNotFound)
	}
	return x, nil
}

// all lists the rows, in the order that cmp gives.
func (r *records[T]) all(cmp func(a, b T) int) []T {
	r.mu.RLock()
	out := make([]T, 0, len(r.rows))
	for _, x := range r.rows {
		out = append(out, x.value)
	}
	r.mu.RUnlock()
	slices.SortFunc(out, cmp)
	return out
}

// pending is one row that is to be written.
type pending struct {
	put  ledgerdb.Put
	done func(rev uint64)
}

// write is the row with what it becomes; was is its revision, 0 for a new one.
func (r *records[T]) write(id string, v T, was uint64) pending {
	return pending{r.table.PutRev(id, v, was), func(rev uint64) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.rows[id] = record[T]{v, rev}
	}}
}

// commit writes rows and entries together.
func (o *Office) commit(ctx context.Context, what string, rows []pending, entries ...ledger.Draft) error {
	c := ledgerdb.Change{Entries: entries}
	for _, p := range rows {
		c.Puts = append(c.Puts, p.put)
	}
	receipt, err := o.o.Store.Commit(ctx, c)
	if err != nil {
		return fmt.Errorf("record %s: %w", what, err)
	}
	for i, p := range rows {
		p.done(receipt.Revs[i])
	}
	return nil
}

// Open reads the records; it starts nothing.
func Open(o Options) (*Office, error) {
	if o.Settings == nil {
		o.Settings = func() rules.Settings { return rules.DefaultSettings }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	x := &Office{o: o}
	err := o.Store.View(func(tx ledgerdb.Tx) error {
		return errors.Join(x.violations.read(tx, violations), x.plans.read(tx, plans), x.inspections.read(tx, inspections), x.findings.read(tx, findings),
			x.regulations.read(tx, regulations), x.feedback.read(tx, feedback), x.filings.read(tx, filings))
	})
	if err != nil {
		return nil, fmt.Errorf("read the records of supervision: %w", err)
	}
	return x, nil
}

// every is how often time alone is applied; terms are days.
const every = time.Minute

// Run lets time work until ctx ends: overdue reports open violations, terms of appeal end, versions of the regulation
// become effective.
func (o *Office) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := o.beat(ctx); err != nil && ctx.Err() == nil {
			o.o.Log.Error("terms of supervision were not recorded", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// beat applies what time alone changes. A clock in doubt ends nothing and begins nothing.
func (o *Office) beat(ctx context.Context) error {
	now := o.o.Clock.Now()
	if now.State != clock.Trusted {
		return nil
	}
	return errors.Join(o.openOverdue(ctx), o.lapseAppeals(ctx, now.Wall), o.takeEffect(ctx, now.Wall))
}

// sealed is a part of an entry about a record.
func sealed(id, name, plain string) []ledger.Part {
	if plain == "" {
		return nil
	}
	return []ledger.Part{{Name: name, Owner: owner(id), Plain: []byte(plain)}}
}
