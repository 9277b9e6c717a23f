package nvr

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"campuskeep/firmware/nvr/driver"
	"campuskeep/firmware/nvr/nvrtime"

	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// placedLine is a log line at its true instant.
type placedLine struct {
	driver.LogLine
	at time.Time
}

const (
	// The first time the log is read so far back, for the causes of holes; accesses count from firstAccess on.
	firstLog    = 30 * 24 * time.Hour
	firstAccess = 24 * time.Hour
	maxLines    = 100_000
	// maxAccess are the entries of one check; what is more is counted in a fault.
	maxAccess  = 200
	maxAccount = 256 // bytes of an account's name
)

// readLog reads what is new in the NVR's log and finds out what its digits mean: the newest line is never in the
// future, and our own log-in has just been written. ours says who we are there.
func (r *Supervisor) readLog(ctx context.Context, l *connection, c *nvrtime.Calibration, at nvrtime.Instant, s *State) (lines []placedLine, ours driver.LogLine, err error) {
	ours = driver.LogLine{User: l.target.User, Address: l.driver.Local()}
	now := r.o.Clock.Now().Wall
	from := s.LogTo
	if from.IsZero() {
		from = now.Add(-firstLog)
	}
	back := now.Sub(from) + time.Hour
	lo, hi := at.UTC, at.Local
	if hi.Before(lo) {
		lo, hi = hi, lo
	}
	var raw []driver.LogLine
	err = l.driver.Log(ctx, driver.Stamp{Digits: lo.Add(-back).Truncate(time.Second), Mark: driver.MarkZ}, driver.Stamp{Digits: hi.Add(time.Hour).Truncate(time.Second), Mark: driver.MarkZ}, func(x driver.LogLine) error {
		if len(raw) == maxLines {
			return driver.ErrEnough
		}
		if nvrtime.InFuture(x.At, at) {
			return nil
		}
		raw = append(raw, x)
		return nil
	})
	if errors.Is(err, driver.ErrNotOffered) {
		s.NoLog = true
		return nil, ours, nil
	}
	if err != nil || len(raw) == 0 {
		return nil, ours, err
	}
	s.NoLog = false
	newest := slices.MaxFunc(raw, func(a, b driver.LogLine) int { return a.At.Digits.Compare(b.At.Digits) })
	if newest.At.Mark != driver.MarkOffset {
		c.Log = c.Meaning(newest.At.Digits, at)
		c.FalseZ = c.FalseZ || c.Log == nvrtime.Local && newest.At.Mark == driver.MarkZ
	}
	if c.Log == nvrtime.Unknown && newest.At.Mark != driver.MarkOffset {
		return nil, ours, nil // read again at the next check: the cursor stays
	}
	until := now // by the clock that the lines are placed by
	if !c.Known {
		until = at.UTC
	}
	until = until.Add(-time.Second) // a second may still get more lines
	for _, x := range raw {
		t, _, ok := c.UTC(x.At, c.Log)
		if ok && !t.Before(from) && t.Before(until) {
			lines = append(lines, placedLine{x, t})
		}
	}
	slices.SortStableFunc(lines, func(a, b placedLine) int { return a.at.Compare(b.at) })
	s.LogTo = until
	return lines, ours, nil
}

// accesses makes entries of what others did at the NVR: the register of use has to know of footage that was seen
// without the appliance (F13). The same by the same within an hour is one entry with a count.
func (r *Supervisor) accesses(l *connection, lines []placedLine, ours driver.LogLine, from time.Time) (out []ledger.Draft) {
	type key struct {
		act           driver.Act
		user, address string
		channel       int
		hour          time.Time
	}
	type group struct {
		first, last time.Time
		count       int
	}
	if from.IsZero() {
		from = r.o.Clock.Now().Wall.Add(-firstAccess)
	}
	groups, order := map[key]*group{}, []key{}
	for _, x := range lines {
		if x.Act == "" || x.at.Before(from) || x.User == ours.User && x.Address == ours.Address {
			continue
		}
		k := key{x.Act, x.User, x.Address, x.Channel, x.at.Truncate(time.Hour)}
		g := groups[k]
		if g == nil {
			g = &group{first: x.at}
			groups[k] = g
			order = append(order, k)
		}
		g.last = x.at
		g.count++
	}
	for i, k := range order {
		if i == maxAccess {
			return append(out, r.draft("nvr.fault", l.target.ID, map[string]any{"code": "log_flood", "count": len(order) - i}))
		}
		g := groups[k]
		data := map[string]any{"act": k.act, "first": g.first, "last": g.last, "count": g.count}
		if k.channel > 0 {
			data["channel"] = k.channel
			if camera := l.target.Cameras[k.channel]; camera != "" {
				data["camera"] = camera
			}
		}
		d := r.draft("nvr.access", l.target.ID, data)
		if k.user != "" {
			d.Sealed = []ledger.Part{{Name: "account", Owner: owner(l.target.ID), Plain: []byte(k.user[:min(len(k.user), maxAccount)])}}
		}
		d.Actor = ledger.Actor{ID: "outside"}
		d.From = &ledger.From{Device: l.target.ID}
		if a, err := netip.ParseAddr(k.address); err == nil { // anything else is not an address, and may be anything
			d.From.Address = a.String()
		}
		out = append(out, d)
	}
	return out
}

// explain names the cause of a hole by what the NVR logged at its edges.
func explain(hole footage.Span, channel int, lines []placedLine) footage.Cause {
	const near = 2 * time.Minute
	for _, x := range lines {
		if x.at.Before(hole.From.Add(-near)) || x.at.After(hole.To.Add(near)) || x.Channel != 0 && x.Channel != channel {
			continue
		}
		if x.Cause != "" {
			return x.Cause
		}
	}
	return ""
}
