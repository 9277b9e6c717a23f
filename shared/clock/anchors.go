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
	i, _ := slices.BinarySearchFunc(a, boot, func(x Anchor, b string) int { return cmp.Compare(x.Boot, b) })
	return i < len(a) && a[i].Boot == boot
}

// Drift is how far a monotonic clock may have run away over a distance in either direction, rounded up.
func Drift(d time.Duration) time.Duration {
	if d < 0 {
		d = -d
	}
	const per = 1_000_000 / DriftPPM
	return (d + per - 1) / per
}
