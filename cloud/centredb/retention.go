package centredb

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"campuskeep/shared/ledger"
	"campuskeep/shared/wire/protocol"
)

// urgent says whether a kind is one that a school must not keep to itself until somebody reads its log: it raises
// an alarm here.
func urgent(k ledger.Kind) bool { return ledger.Kinds[k].Urgent }

// facts raises the alarms of urgent entries in a batch, except of those that came ahead of it and raised theirs.
func (x *tx) facts(epoch uint64, shown []ledger.Entry, at time.Time) error {
	if len(shown) == 0 {
		return nil
	}
	seen, err := x.UrgentBetween(epoch, shown[0].Seq, shown[len(shown)-1].Seq+1)
	if err != nil {
		return fmt.Errorf("urgent leaves: %w", err)
	}
	for _, e := range shown {
		if _, raised := seen[e.Seq]; raised {
			continue
		}
		if err := x.fact(epoch, e, at); err != nil {
			return err
		}
	}
	return nil
}

// fact raises the alarm of one urgent entry; its kind is the entry's kind.
func (x *tx) fact(epoch uint64, e ledger.Entry, at time.Time) error {
	detail := fmt.Sprintf("seq=%d", e.Seq)
	if e.Subject != "" {
		detail += " subject=" + e.Subject
	}
	var why struct{ Kind, Reason, Code string }
	if len(e.Data) > 0 {
		if err := json.Unmarshal(e.Data, &why); err != nil {
			return fmt.Errorf("%w: leaf %d of epoch %d", ErrDamaged, e.Seq, epoch)
		}
	}
	for _, w := range []string{why.Kind, why.Reason, why.Code} {
		if w != "" {
			detail += " " + w
		}
	}
	return x.Alarm(protocol.Alarm{Kind: string(e.Kind), Epoch: epoch, Detail: detail}, at)
}

// Retention is how a school kept to its thirty days, as its entries of a while say.
type Retention struct {
	Recorded  int // camera-hours bound by an entry
	Deleted   int // camera-hours deleted on time
	Gaps      int
	Breaches  int // deleted early, here or by an NVR, or kept too long by one
	Late      int // files that could not be removed
	Checks    int // attestations of NVRs, per camera
	LastGone  time.Time
	LastCheck time.Time
}

// RetentionSince counts the entries about keeping footage from an instant on.
func (s *DB) RetentionSince(ctx context.Context, appliance string, since time.Time) (out Retention, err error) {
	f := EntryFilter{Kinds: []string{"footage.", "nvr."}, From: since}
	err = s.view(ctx, appliance, func(x *tx) error {
		pieces, err := x.epochSpans(f)
		if err != nil {
			return err
		}
		for _, p := range pieces {
			cond, args, err := x.where(f, p)
			if err != nil {
				return err
			}
			if err := x.each(func(scan func(...any) error) error {
				var kind string
				var n int
				var last int64
				if err := scan(&kind, &n, &last); err != nil {
					return err
				}
				out.count(strings.TrimSpace(kind), n, instant(last))
				return nil
			}, "SELECT kind, count(*), max(at) FROM leaves WHERE "+cond+" GROUP BY kind", args...); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

func (r *Retention) count(kind string, n int, last time.Time) {
	switch kind {
	case "footage.recorded":
		r.Recorded += n
	case "footage.deleted":
		r.Deleted += n
		r.LastGone = last
	case "footage.gap":
		r.Gaps += n
	case "footage.breach", "nvr.breach":
		r.Breaches += n
	case "footage.unlinkfailed":
		r.Late += n
	case "nvr.checked":
		r.Checks += n
		r.LastCheck = last
	}
}
