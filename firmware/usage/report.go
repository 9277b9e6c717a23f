package usage

import (
	"context"
	"fmt"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	rules "campuskeep/shared/usage"
)

// Report files the applicant's report of use (F15).
func (e *Register) Report(ctx context.Context, by account.Who, id string, r rules.Report) (rules.Application, error) {
	return e.act(ctx, by, account.ActApplicationWithdraw, id, func(f filed, s *step, at clock.Reading) error {
		use, err := e.UseOf(ctx, id)
		if err != nil {
			return err
		}
		var faults fielderr.Errors
		if use.Stills > 0 && r.Copies == "none" {
			faults.Add("copies", "err.copies_logged", use.Stills)
		}
		if use.Packages > 0 && r.Copies == "none" {
			faults.Add("copies", "err.packages_logged", use.Packages)
		}
		if use.Viewings > 0 && r.Result == "not_used" {
			faults.Add("result", "err.use_logged", use.Viewings)
		}
		if err := faults.Err(); err != nil {
			return err
		}
		data := struct {
			Result string `json:"result"`
			Copies string `json:"copies"`
		}{r.Result, r.Copies}
		return s.apply(rules.Event{Kind: rules.File, By: by.ID, Report: &r}, at,
			s.draft("application.reported", id, data, note(id, "report", r.Text)...))
	})
}

// Use is what the log says was done under an application.
type Use struct {
	Viewings, Stills int
	Packages         int // copies of packages that left
}

// UseOf counts the viewings and stills of an application in the log: what its report is held against.
func (e *Register) UseOf(ctx context.Context, id string) (Use, error) {
	n, err := e.o.Store.Tally(ctx, ledgerdb.Query{Kinds: []ledger.Kind{"footage.access.open", "footage.snapshot", "extraction.copied"}, About: []string{id}})
	if err != nil {
		return Use{}, fmt.Errorf("count the use of %s: %w", id, err)
	}
	return Use{n["footage.access.open"], n["footage.snapshot"], n["extraction.copied"]}, nil
}

// Accept takes the report as sufficient and closes the application; its hold goes.
func (e *Register) Accept(ctx context.Context, by account.Who, id string) (rules.Application, error) {
	return e.act(ctx, by, account.ActApplicationReview, id, func(f filed, s *step, at clock.Reading) error {
		if err := s.next(rules.Event{Kind: rules.Accept, By: by.ID}, at); err != nil {
			return err
		}
		s.release = "closed"
		return s.apply(rules.Event{Kind: rules.Close, By: by.ID}, at, s.draft("application.closed", id, codeOnly{"reported"}))
	})
}

// applyTime does what time alone brings. It waits for a trusted clock: a step of the clock must end no hold. What was
// done before the time was known is dated first: its terms count from when it really was.
func (e *Register) applyTime(ctx context.Context) error {
	now := e.o.Clock.Now()
	if now.State != clock.Trusted {
		return nil
	}
	for _, a := range e.List() {
		if err := e.date(ctx, a, now); err != nil {
			return err
		}
	}
	for _, a := range e.List() {
		if ev, due := rules.OfTime(a, now.Earliest(), e.o.Rules(), e.schoolDay); due {
			if err := e.timed(ctx, a.ID, ev, now); err != nil {
				return err
			}
		}
	}
	return e.endHolds(ctx, now)
}

// date corrects the instants of an application that a clock told which was not trusted; the ends of its holds follow.
func (e *Register) date(ctx context.Context, a rules.Application, now clock.Reading) error {
	if _, wrong := rules.Dated(a, e.anchors(), now); !wrong {
		return nil
	}
	e.stepMu.Lock()
	defer e.stepMu.Unlock()
	f, _ := e.files.get(a.ID) // as it is now that stepMu is held
	after, wrong := rules.Dated(f.app, e.anchors(), now)
	if !wrong {
		return nil
	}
	s := e.step(account.System, "", f, after, "decided")
	data := struct {
		Submitted time.Time `json:"submitted"`
		Decided   time.Time `json:"decided,omitzero"`
		Ended     time.Time `json:"ended,omitzero"`
	}{Submitted: after.Submitted, Ended: after.Ended}
	if after.Decision != nil {
		data.Decided = after.Decision.At
	}
	s.entries = append(s.entries, s.draft("application.dated", a.ID, data))
	_, err := e.commit(ctx, s)
	return err
}

func (e *Register) timed(ctx context.Context, id string, ev rules.Event, now clock.Reading) error {
	e.stepMu.Lock()
	defer e.stepMu.Unlock()
	f, _ := e.files.get(id)
	if again, due := rules.OfTime(f.app, now.Earliest(), e.o.Rules(), e.schoolDay); !due || again.Kind != ev.Kind {
		return nil // somebody acted meanwhile
	}
	s := e.step(account.System, "", f, f.app, "expired")
	switch ev.Kind {
	case rules.Expire:
		s.entries = append(s.entries, s.draft("application.expired", id, nil))
	case rules.Due:
		s.entries = append(s.entries, s.draft("application.due", id, nil))
	case rules.Late:
		s.entries = append(s.entries, s.draft("application.overdue", id, nil))
	case rules.Close:
		s.release = "closed"
		s.entries = append(s.entries, s.draft("application.closed", id, codeOnly{"time"}))
	}
	if err := s.next(ev, now); err != nil {
		return err
	}
	_, err := e.commit(ctx, s)
	return err
}
