package clock

import (
	"cmp"
	"slices"
	"time"
)

// DriftPPM is how far the monotonic clock of a board may run away from true time, in parts per million
// (design §5: 50 ppm is 4 s a day).
const DriftPPM = 50

// Anchor ties one instant of one boot to UTC: at Mono since Boot it was UTC ± Uncertainty.
type Anchor struct {
	Boot        string        `json:"boot"`
	Mono        time.Duration `json:"mono"` // ns
	UTC         time.Time     `json:"utc"`
	Uncertainty time.Duration `json:"uncertainty"` // ns
}

// Anchors is the boot → UTC table, sorted by boot and, within a boot, by mono; make it with [NewAnchors].
// It is a value: readers keep the one they have while a newer one is made.
type Anchors []Anchor

// NewAnchors sorts a copy of the anchors.
func NewAnchors(list ...Anchor) Anchors {
	a := Anchors(slices.Clone(list))
	slices.SortFunc(a, compareAnchors)
	return a
}

// With is the table with one more anchor; one at the same instant of the same boot is replaced.
func (a Anchors) With(n Anchor) Anchors {
	i, found := slices.BinarySearchFunc(a, n, compareAnchors)
	if found {
		b := slices.Clone(a)
		b[i] = n
		return b
	}
	return slices.Insert(slices.Clone(a), i, n)
}

// Without is the table without the anchors of a boot.
func (a Anchors) Without(boot string) Anchors {
	return slices.DeleteFunc(slices.Clone(a), func(x Anchor) bool { return x.Boot == boot })
}

// Minus is the table without these anchors.
func (a Anchors) Minus(gone []Anchor) Anchors {
	return slices.DeleteFunc(slices.Clone(a), func(x Anchor) bool { return slices.Contains(gone, x) })
}

// How many anchors a boot needs: two a day for as long as footage is kept, and some for what is held longer. In ten
// years of one boot that is fewer than a thousand.
const (
	thinned  = 12 * time.Hour
	thinLong = 10 * 24 * time.Hour
	recently = 200 * 24 * time.Hour
)

// Spare are the anchors of a boot that the others make needless: of each half day the best one is enough, of each ten
// days for what is older than 200 days, and the last one, from which the boot goes on.
func (a Anchors) Spare(boot string) []Anchor {
	own := a.of(boot)
	if len(own) < 3 {
		return nil
	}
	last := own[len(own)-1]
	slot := func(x Anchor) [2]time.Duration {
		if last.Mono-x.Mono > recently {
			return [2]time.Duration{thinLong, x.Mono / thinLong}
		}
		return [2]time.Duration{thinned, x.Mono / thinned}
	}
	best := map[[2]time.Duration]Anchor{}
	for _, x := range own {
		if b, known := best[slot(x)]; !known || x.Uncertainty < b.Uncertainty {
			best[slot(x)] = x
		}
	}
	var out []Anchor
	for _, x := range own[:len(own)-1] {
		if best[slot(x)] != x {
			out = append(out, x)
		}
	}
	return out
}

// Old are the anchors of boots that are over and of no use: the last anchor lies before the instant and used says no.
func (a Anchors) Old(before time.Time, used func(boot string) bool) []Anchor {
	var out []Anchor
	for i := 0; i < len(a); {
		own := a[i:].of(a[i].Boot)
		i += len(own)
		if !slices.ContainsFunc(own, func(x Anchor) bool { return !x.UTC.Before(before) }) && !used(own[0].Boot) {
			out = append(out, own...)
		}
	}
	return out
}

// of is the part of the table of one boot.
func (a Anchors) of(boot string) Anchors {
	from, _ := slices.BinarySearchFunc(a, boot, func(x Anchor, b string) int { return cmp.Compare(x.Boot, b) })
	to := from
	for to < len(a) && a[to].Boot == boot {
		to++
	}
	return a[from:to]
}

func compareAnchors(x, y Anchor) int {
	return cmp.Or(cmp.Compare(x.Boot, y.Boot), cmp.Compare(x.Mono, y.Mono))
}

// UTC places an instant of a boot. Uncertainty grows by DriftPPM with the distance from the anchor; of the
// anchors around the instant, the one that leaves less of it counts. ok is false for a boot without an anchor.
func (a Anchors) UTC(boot string, mono time.Duration) (at time.Time, unc time.Duration, ok bool) {
	i, _ := slices.BinarySearchFunc(a, Anchor{Boot: boot, Mono: mono}, compareAnchors)
	for _, j := range [2]int{i - 1, i} {
		if j < 0 || j >= len(a) || a[j].Boot != boot {
			continue
		}
		away := mono - a[j].Mono
		u := a[j].Uncertainty + Drift(away)
		if !ok || u < unc {
			at, unc, ok = a[j].UTC.Add(away), u, true
		}
	}
	return at, unc, ok
}

// Has says whether the boot has an anchor.
func (a Anchors) Has(boot string) bool {
	return len(a.of(boot)) > 0
}

// Drift is how far a monotonic clock may have run away over a distance in either direction, rounded up.
func Drift(d time.Duration) time.Duration {
	if d < 0 {
		d = -d
	}
	const per = 1_000_000 / DriftPPM
	return (d + per - 1) / per
}
