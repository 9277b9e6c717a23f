package clock

import (
	"slices"
	"strings"
	"time"
)

// Trust is what one boot knows about the time, and why: a value that [Trust.Observe] turns into the next one.
//
// The best estimate is a line: an anchor in this boot, carried on by monotonic time. At most one origin is assumed
// to lie, so the true instant lies in the hull of any two that agree. Monotonic time does not step; hence a source
// that leaves the line is doubted first, and a line is left only for two others against it.
type Trust struct {
	boot    string
	highest time.Time     // no trusted instant was later than this in earlier boots, or at the last correction
	stepped time.Duration // forward corrections that no authority confirmed, in this boot and before
	read    time.Duration // when highest was read

	sources     []Observation            // the latest of each source, sorted by name
	disagreeing map[string]time.Duration // sources off the line: since when

	estimate  Anchor
	estimated bool
	state     State
	reason    Reason
	since     time.Duration // mono at which the state came
}

// Reason is why the clock is in its state; the catalogue has "clock.reason.<code>".
type Reason string

// The reasons.
const (
	ReasonNone          Reason = "agreed"         // two origins agree
	ReasonNoSource      Reason = "no_source"      // nobody has said anything plausible
	ReasonOneSource     Reason = "one_source"     // a second origin is awaited
	ReasonDisagree      Reason = "disagree"       // the sources contradict each other
	ReasonContradiction Reason = "contradiction"  // a source left the trusted line, or the centre contradicts two others
	ReasonForward       Reason = "forward"        // jumps of over a day together, which the centre or two people must confirm
	ReasonBackward      Reason = "behind_highest" // earlier than was already trusted; likewise
	ReasonContinued     Reason = "continued"      // trusted earlier in this boot
)

// Result is what an observation changed; the keeper writes it down.
type Result struct {
	From, To   State // differ when the state changed
	Reason     Reason
	Anchor     *Anchor       // a new one to keep
	Replaces   bool          // earlier anchors of this boot were wrong and must go
	Step       time.Duration // how far the line moved when it was wrong
	Correction *Correction   // the highest trusted time was lowered
}

// Correction lowers the highest trusted time; it is in the log under the authority's name.
type Correction struct {
	Before, After time.Time
	Origin        Origin
}

// Record is what must outlive a boot.
type Record struct {
	Highest time.Time     // the highest trusted time, zero when there is none
	Stepped time.Duration // forward corrections that monotonic time does not explain and no authority has confirmed
	// Read is the monotonic instant of this boot at which the record was read. Only what has gone by since is known to lie
	// behind Highest: the record may have been restored, or the disk moved, to a machine that had run for days.
	Read time.Duration
}

// NewTrust begins a boot, or a run within one, with what is on record. Anchors of this very boot give the line back,
// for monotonic time connects the two runs; it is trusted once the sources have been asked again ([Trust.Observe], or
// [Trust.Settle] when all are silent).
func NewTrust(boot string, previous Record, known Anchors) Trust {
	t := Trust{boot: boot, highest: previous.Highest, stepped: previous.Stepped, read: previous.Read, reason: ReasonNoSource}
	var last time.Duration
	for _, a := range known {
		if a.Boot == boot {
			last = max(last, a.Mono)
		}
	}
	for _, a := range known {
		if a.Boot == boot && (!t.estimated || a.Uncertainty+Drift(last-a.Mono) < t.estimate.Uncertainty+Drift(last-t.estimate.Mono)) {
			t.estimate, t.estimated = a, true
		}
	}
	return t
}

// State, Reason and Since tell the present state.
func (t Trust) State() State { return t.state }

// Reason is why.
func (t Trust) Reason() Reason { return t.reason }

// Since is the monotonic instant of the last change of state.
func (t Trust) Since() time.Duration { return t.since }

// Record is what must be on record as of mono.
func (t Trust) Record(mono time.Duration) Record { return Record{t.Highest(mono), t.stepped, mono} }

// Highest is the highest trusted time as of mono.
func (t Trust) Highest(mono time.Duration) time.Time {
	if t.state == Trusted {
		if from := t.now(mono).from; from.After(t.highest) {
			return from
		}
	}
	return t.highest
}

func (t Trust) now(mono time.Duration) interval {
	return Observation{Mono: t.estimate.Mono, UTC: t.estimate.UTC, Uncertainty: t.estimate.Uncertainty}.at(mono)
}

// Reading is the present moment. wall is what the machine's clock claims, used only while nothing better is known.
// Unless the state is Trusted the uncertainty is what the best source claims for itself and promises nothing.
func (t Trust) Reading(mono time.Duration, wall time.Time) Reading {
	r := Reading{State: t.state, Boot: t.boot, Mono: mono}
	switch {
	case t.estimated:
		i := t.now(mono)
		r.Wall, r.Uncertainty = i.mid(), i.width()-i.width()/2
	default:
		r.Wall = wall
		if best, ok := t.best(mono); ok {
			r.Wall, r.Uncertainty = best.mid(), best.width()-best.width()/2
		}
		if least := t.lowerBound(mono); r.Wall.Before(least) {
			r.Wall = least
		}
	}
	r.Wall = r.Wall.UTC()
	return r
}

// lowerBound is what the time cannot be earlier than while this boot has no line: the record was read after the highest
// trusted time was put on it, and monotonic time has gone on since.
func (t Trust) lowerBound(mono time.Duration) time.Time {
	if t.highest.IsZero() {
		return t.highest
	}
	gone := max(0, mono-t.read)
	return t.highest.Add(gone - Drift(gone))
}

// best is the narrowest plausible claim, for the time until two agree.
func (t Trust) best(mono time.Duration) (interval, bool) {
	var out interval
	found := false
	for _, o := range t.sources {
		if i := o.at(mono); plausible(o) && (!found || i.width() < out.width()) {
			out, found = i, true
		}
	}
	return out, found
}

func plausible(o Observation) bool { return !o.UTC.Before(Plausible) }

// Observe takes one observation of this boot. Observations must come in the order of Mono.
func (t Trust) Observe(o Observation) (Trust, Result) {
	t.sources = slices.Clone(t.sources)
	i, found := slices.BinarySearchFunc(t.sources, o.Source, func(x Observation, s string) int { return strings.Compare(x.Source, s) })
	if found {
		t.sources[i] = o
	} else {
		t.sources = slices.Insert(t.sources, i, o)
	}
	return t.judge(o.Mono)
}

// Forget takes back what a source said: it is no witness any more. A line that it helped to find stays.
func (t Trust) Forget(source string, mono time.Duration) (Trust, Result) {
	t.sources = slices.DeleteFunc(slices.Clone(t.sources), func(o Observation) bool { return o.Source == source })
	return t.judge(mono)
}

// Settle judges without a new observation: after a round in which every source was silent.
func (t Trust) Settle(mono time.Duration) (Trust, Result) { return t.judge(mono) }

func (t Trust) judge(mono time.Duration) (Trust, Result) {
	was, highest := t.state, t.Highest(mono)
	var r Result
	if t.estimated {
		r = t.compare(mono)
	} else {
		r = t.firstEstimate(mono)
	}
	if was == Trusted && t.state != Trusted {
		t.highest = highest // what was trusted until now was; a doubt alone lowers nothing
	}
	r.From, r.To, r.Reason = was, t.state, t.reason
	if was != t.state {
		t.since = mono
	}
	return t, r
}

// firstEstimate looks for the first line of this boot.
func (t *Trust) firstEstimate(mono time.Duration) Result {
	p, ok := t.bestAgreement(mono, nil)
	if !ok {
		t.state, t.reason = Untrusted, t.missing()
		return Result{}
	}
	if t.opposed(p, mono) {
		t.state, t.reason = Suspect, ReasonContradiction
		return Result{}
	}
	least := t.lowerBound(mono)
	if reason := t.objection(p, interval{least, least}, !least.IsZero()); reason != ReasonNone {
		t.state, t.reason = Suspect, reason
		return Result{}
	}
	return t.set(p, mono, false)
}

// missing says what is missing while no two agree.
func (t *Trust) missing() Reason {
	origins := map[Origin]bool{}
	for _, o := range t.sources {
		if plausible(o) {
			origins[o.Origin.Witness()] = true
		}
	}
	switch len(origins) {
	case 0:
		return ReasonNoSource
	case 1:
		return ReasonOneSource
	}
	return ReasonDisagree
}

// compare compares the sources with the line.
func (t *Trust) compare(mono time.Duration) Result {
	line := t.now(mono)
	t.noteDisagreeing(line, mono)
	if len(t.disagreeing) == 0 {
		t.state, t.reason = Trusted, ReasonNone
		if !slices.ContainsFunc(t.sources, plausible) {
			t.reason = ReasonContinued
		}
		if _, sure := (agreement{origins: t.fits(line, mono)}).authority(); sure {
			t.stepped = 0
		}
		return t.refine(line, mono)
	}
	// How many origins keep to the line, asked after the last of the others left it; how many left.
	latest := time.Duration(0)
	for _, since := range t.disagreeing {
		latest = max(latest, since)
	}
	keep, left := map[Origin]bool{}, map[Origin]bool{}
	for _, o := range t.sources {
		switch _, off := t.disagreeing[o.Source]; {
		case off:
			left[o.Origin.Witness()] = true
		case plausible(o) && o.Mono >= latest:
			keep[o.Origin.Witness()] = true
		}
	}
	for o := range left {
		delete(keep, o) // an origin that contradicts itself confirms nothing
	}
	_, sure := (agreement{origins: keep}).authority()
	p, ok := t.bestAgreement(mono, t.disagreeing)
	if ok && countWitnesses(p.origins) > countWitnesses(keep) {
		reason := t.objection(p, line, true)
		if reason == ReasonNone && t.opposed(p, mono) {
			t.state, t.reason = Suspect, ReasonContradiction
			return Result{}
		}
		if reason == ReasonNone {
			return t.set(p, mono, true)
		}
		if !sure {
			t.state, t.reason = Suspect, reason
			return Result{}
		}
		// A jump that needs authority has it against itself: the line is, however many clocks jumped together.
		t.state, t.reason = Trusted, ReasonNone
		return t.refine(line, mono)
	}
	if _, against := (agreement{origins: left}).authority(); len(keep) > 0 && countWitnesses(keep)+1 > countWitnesses(left) && (sure || !against) {
		t.state, t.reason = Trusted, ReasonNone // outvoted: the line itself is one voice
		if sure {
			t.stepped = 0
		}
		return t.refine(line, mono)
	}
	t.state, t.reason = Suspect, ReasonContradiction
	return Result{}
}

// noteDisagreeing notes which plausible sources are off the line, and since when.
func (t *Trust) noteDisagreeing(line interval, mono time.Duration) {
	doubts := map[string]time.Duration{}
	for _, o := range t.sources {
		if !plausible(o) || stale(o, mono) || o.at(mono).overlaps(line) {
			continue
		}
		doubts[o.Source] = o.Mono
		if since, known := t.disagreeing[o.Source]; known {
			doubts[o.Source] = since
		}
	}
	t.disagreeing = doubts
}

// agreement is the narrowest hull of two origins, with every origin that supports it.
type agreement struct {
	span    interval
	origins map[Origin]bool
}

// authority is who among them may confirm what monotonic time does not explain.
func (p agreement) authority() (Origin, bool) {
	for _, o := range []Origin{OriginPeople, OriginCentre} {
		if p.origins[o] {
			return o, true
		}
	}
	return "", false
}

// fits are the witnesses whose claims overlap the interval.
func (t *Trust) fits(i interval, mono time.Duration) map[Origin]bool {
	out := map[Origin]bool{}
	for _, o := range t.sources {
		if plausible(o) && o.at(mono).overlaps(i) {
			out[o.Origin.Witness()] = true
		}
	}
	return out
}

// opposed says whether the centre or two people contradict an agreement that has no authority for it. However many
// others agree, deletion then waits: anyone who is wrong, somebody must look.
func (t *Trust) opposed(p agreement, mono time.Duration) bool {
	if _, sure := p.authority(); sure {
		return false
	}
	return slices.ContainsFunc(t.sources, func(o Observation) bool {
		return authority(o) && plausible(o) && !stale(o, mono) && !o.at(mono).overlaps(p.span)
	})
}

// authority says whether the observation is the centre's or two people's.
func authority(o Observation) bool { return o.Origin == OriginCentre || o.Origin == OriginPeople }

// stale says that a word of authority is too old to contradict anything: the centre may be out of reach for months, and
// a crystal that is a little worse than DriftPPM must not stop deletion by what the centre said last. Who is in reach
// is asked again as soon as there is doubt.
func stale(o Observation, mono time.Duration) bool { return authority(o) && mono-o.Mono > Limit }

// countWitnesses counts witnesses: two people are two.
func countWitnesses(origins map[Origin]bool) int {
	if origins[OriginPeople] {
		return len(origins) + 1
	}
	return len(origins)
}

// bestAgreement finds the best agreement among the plausible sources, only those named when only is given. More must
// support it than contradict it.
func (t *Trust) bestAgreement(mono time.Duration, only map[string]time.Duration) (agreement, bool) {
	var list []Observation
	for _, o := range t.sources {
		if _, named := only[o.Source]; plausible(o) && (only == nil || named) {
			list = append(list, o)
		}
	}
	var best agreement
	found := false
	for i, a := range list {
		for j, b := range list[i:] {
			alone := j == 0 && a.Origin == OriginPeople
			if !alone && (a.Origin.Witness() == b.Origin.Witness() || !a.at(mono).overlaps(b.at(mono))) {
				continue
			}
			span := a.at(mono).hull(b.at(mono))
			if found && span.width() >= best.span.width() {
				continue
			}
			origins, against := map[Origin]bool{}, map[Origin]bool{}
			for _, o := range list {
				if o.at(mono).overlaps(span) {
					origins[o.Origin.Witness()] = true
				} else {
					against[o.Origin.Witness()] = true
				}
			}
			if countWitnesses(origins) > countWitnesses(against) {
				best, found = agreement{span, origins}, true
			}
		}
	}
	return best, found
}

// objection says why an agreement may not replace what was known until now.
func (t *Trust) objection(p agreement, known interval, has bool) Reason {
	if !has {
		return ReasonNone
	}
	if _, ok := p.authority(); ok {
		return ReasonNone
	}
	if p.span.to.Before(known.from) {
		return ReasonBackward
	}
	if jump := p.span.mid().Sub(known.mid()); jump+t.stepped > Limit {
		return ReasonForward
	}
	return ReasonNone
}

// set makes the agreement the line.
func (t *Trust) set(p agreement, mono time.Duration, step bool) Result {
	r := Result{Replaces: step}
	was := t.lowerBound(mono)
	if step {
		was = t.now(mono).mid()
		r.Step = p.span.mid().Sub(was)
	}
	switch _, sure := p.authority(); {
	case sure:
		t.stepped = 0
	case !was.IsZero():
		t.stepped += max(0, p.span.mid().Sub(was))
	}
	highest := t.Highest(mono)
	if step && t.estimated {
		if was := t.now(mono).from; was.After(highest) {
			highest = was
		}
	}
	if p.span.to.Before(highest) {
		origin, _ := p.authority()
		r.Correction = &Correction{Before: highest, After: p.span.from, Origin: origin}
		highest = p.span.from
	}
	t.highest = highest
	t.estimate, t.estimated = p.span.anchor(t.boot, mono), true
	t.state, t.reason = Trusted, ReasonNone
	t.noteDisagreeing(t.now(mono), mono)
	a := t.estimate
	r.Anchor = &a
	return r
}

// narrowEnough is how narrow a line is good enough for half a day.
const narrowEnough = time.Second

// refine takes a fresher agreement when it knows the time twice as well as the line does by now; less would only
// make the clock twitch, and fill the log with what nobody needs.
func (t *Trust) refine(line interval, mono time.Duration) Result {
	if line.width() <= narrowEnough && mono-t.estimate.Mono < thinned {
		return Result{}
	}
	p, ok := t.bestAgreement(mono, nil)
	if !ok || !p.span.overlaps(line) || 2*p.span.width() > line.width() {
		return Result{}
	}
	t.highest = t.Highest(mono)
	t.estimate = p.span.anchor(t.boot, mono)
	a := t.estimate
	return Result{Anchor: &a}
}

// Witness is one source as the banner shows it.
type Witness struct {
	Observation
	Offset    time.Duration // from the line, when there is one
	Plausible bool
	Fits      bool // agrees with the line, or with another origin while there is none
}

// Witnesses lists the sources with their state at mono.
func (t Trust) Witnesses(mono time.Duration) []Witness {
	var out []Witness
	for _, o := range t.sources {
		w := Witness{Observation: o, Plausible: plausible(o)}
		if t.estimated {
			w.Offset = o.at(mono).mid().Sub(t.now(mono).mid())
			w.Fits = w.Plausible && o.at(mono).overlaps(t.now(mono))
		} else {
			w.Fits = w.Plausible && slices.ContainsFunc(t.sources, func(x Observation) bool {
				return x.Origin.Witness() != o.Origin.Witness() && plausible(x) && Agree(o, x)
			})
		}
		out = append(out, w)
	}
	return out
}
