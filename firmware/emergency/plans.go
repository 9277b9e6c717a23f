package emergency

import (
	"context"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	rules "campuskeep/shared/emergency"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
)

func (r *Register) loadPlans(tx ledgerdb.Tx) error {
	for id, x := range plans.Rows(tx, "") {
		if x.Err != nil {
			return x.Err
		}
		r.plans[id] = row[rules.Plan]{x.Value, x.Rev}
	}
	for id, x := range patrols.Rows(tx, "") {
		if x.Err != nil {
			return x.Err
		}
		r.patrols[id] = row[rules.Patrol]{x.Value, x.Rev}
	}
	return nil
}

// Plans lists the plans, the newest first.
func (r *Register) Plans() []rules.Plan {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]rules.Plan, 0, len(r.plans))
	for _, p := range r.plans {
		c := p.v
		c.Drills = slices.Clone(c.Drills)
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b rules.Plan) int { return number(b.ID) - number(a.ID) })
	return out
}

// Plan by id, with its revision.
func (r *Register) Plan(id string) (rules.Plan, uint64, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	p, ok := r.plans[id]
	p.v.Drills = slices.Clone(p.v.Drills)
	return p.v, p.rev, ok
}

// Drill is a drill of a plan: held here as an event, or entered by hand.
type Drill struct {
	Event        string // empty: entered by hand
	Date         string
	Participants int
	Full         time.Duration // until everybody was accounted for; 0: not known, or never
	Lessons      string
	Version      int // of the plan
}

// Drills lists the drills of a plan, the latest first.
func (r *Register) Drills(p rules.Plan) []Drill {
	var out []Drill
	for _, e := range r.Events() {
		if e.Plan != p.ID || !e.Drill || e.Closed == nil {
			continue
		}
		out = append(out, Drill{Event: e.ID, Date: e.Opened.At.In(r.o.Zone).Format(attendance.DateLayout), Participants: e.Closed.Count.Expected, Full: e.Closed.Full, Lessons: e.Record.Lessons, Version: e.PlanV})
	}
	for _, d := range p.Drills {
		out = append(out, Drill{Date: d.Date, Participants: d.Participants, Full: time.Duration(d.Minutes) * time.Minute, Lessons: d.Lessons})
	}
	slices.SortStableFunc(out, func(a, b Drill) int { return strings.Compare(b.Date, a.Date) })
	return out
}

// Due says when something about a plan is due.
func (r *Register) Due(p rules.Plan) rules.Due {
	var dates []string
	for _, d := range r.Drills(p) {
		dates = append(dates, d.Date)
	}
	return p.DueOf(dates, r.today())
}

// PutPlan writes a plan, or a new version of one: rev is the revision of the row that the form was made from. A change
// has a reason. Errors: ErrNotFound, ledgerdb.ErrConflict, fielderr.Errors.
func (r *Register) PutPlan(ctx context.Context, by account.Who, role account.Role, n rules.Plan, reason string, rev uint64) (rules.Plan, error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	errs := n.Check()
	var before rules.Plan
	if n.ID != "" {
		var ok bool
		if before, _, ok = r.Plan(n.ID); !ok {
			return n, ErrNotFound
		}
		rules.Text(&errs, "reason", reason, rules.MostDetail, true)
	}
	if err := errs.Err(); err != nil {
		return n, err
	}
	n.Drills, n.Version, n.By, n.At = before.Drills, before.Version+1, by.ID, r.o.Clock.Now().Wall.UTC()
	if n.ID == "" {
		r.mu.RLock()
		n.ID, rev = next("n", r.plans), 0
		r.mu.RUnlock()
	}
	parts := []ledger.Part{part("after", planOwner(n.ID), n)}
	if before.ID != "" {
		parts = append([]ledger.Part{part("before", planOwner(n.ID), before)}, append(parts, ledger.Part{Name: "reason", Owner: planOwner(n.ID), Plain: []byte(reason)})...)
	}
	return n, r.putPlan(ctx, n, rev, by.Draft("plan.changed", role, n.ID, map[string]any{"version": n.Version}, parts...))
}

func (r *Register) putPlan(ctx context.Context, n rules.Plan, rev uint64, entry ledger.Draft) error {
	rc, err := r.commit(ctx, "write a plan", ledgerdb.Change{Puts: []ledgerdb.Put{plans.PutRev(n.ID, n, rev)}, Entries: []ledger.Draft{entry}})
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.plans[n.ID] = row[rules.Plan]{n, rc.Revs[0]}
	return nil
}

// mostDrills of a plan are entered by hand.
const mostDrills = 100

// RecordDrill enters a drill that was held without this system. Errors: ErrNotFound, fielderr.Errors.
func (r *Register) RecordDrill(ctx context.Context, by account.Who, role account.Role, plan string, d rules.PastDrill) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	p, rev, ok := r.Plan(plan)
	if !ok {
		return ErrNotFound
	}
	errs := d.Check(r.today())
	if len(p.Drills) >= mostDrills {
		errs.Add("date", "err.too_many", mostDrills)
	}
	if err := errs.Err(); err != nil {
		return err
	}
	d.By = by.ID
	p.Drills = append(p.Drills, d)
	data := map[string]any{"date": d.Date, "participants": d.Participants}
	if d.Minutes > 0 {
		data["minutes"] = d.Minutes
	}
	return r.putPlan(ctx, p, rev, by.Draft("plan.drill", role, plan, data, part("drill", planOwner(plan), d)))
}

// Patrols lists the patrols, the latest first.
func (r *Register) Patrols() []rules.Patrol {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]rules.Patrol, 0, len(r.patrols))
	for _, p := range r.patrols {
		out = append(out, p.v)
	}
	slices.SortFunc(out, func(a, b rules.Patrol) int {
		if c := strings.Compare(b.Date+b.Clock, a.Date+a.Clock); c != 0 {
			return c
		}
		return number(b.ID) - number(a.ID)
	})
	return out
}

// PutPatrol enters a patrol; places are those that a patrol can name. Errors: fielderr.Errors.
func (r *Register) PutPatrol(ctx context.Context, by account.Who, role account.Role, p rules.Patrol, places []string) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	errs := p.Check(r.today())
	if p.Place != "" && !slices.Contains(places, p.Place) {
		errs = append(errs, fielderr.Error{Field: "place", Rule: "err.choice"})
	}
	if err := errs.Err(); err != nil {
		return err
	}
	r.mu.RLock()
	p.ID = next("r", r.patrols)
	r.mu.RUnlock()
	p.By, p.At = by.ID, r.o.Clock.Now().Wall.UTC()
	rc, err := r.commit(ctx, "enter a patrol", ledgerdb.Change{Puts: []ledgerdb.Put{patrols.PutRev(p.ID, p, 0)},
		Entries: []ledger.Draft{by.Draft("patrol.recorded", role, p.ID, map[string]any{"date": p.Date, "place": p.Place}, part("patrol", patrolOwner, p))}})
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.patrols[p.ID] = row[rules.Patrol]{p, rc.Revs[0]}
	return nil
}
