package recorder

import "math"

const (
	// The camera's clock is compared with ours over windows of this many seconds, and over long ones of so many windows.
	stampWindow = 2
	stampLong   = 5
	// A clock further off than this is not followed: over a long window, over a short one, and what is hardly a clock.
	stampOff   = 0.02
	stampFar   = 0.08
	stampStill = 0.9
	// … so often one after another.
	longOff   = 3
	shortOff  = 4
	stillOff  = 2
	sameStamp = 3 // pictures with the time of the one before
	manySteps = 3 // within stepTime seconds
	stepTime  = 20
	// It is followed again after so many long windows within stampGood.
	longGood  = 6
	stampGood = 0.01
	// Timed by arrival, a picture is never placed further from when it came than so many parts of a second.
	arrivalSlack = 1
)

// stampQuality judges the clock by which a camera stamps its pictures. One that is frozen, crawls or runs at another
// rate says nothing of when a picture was taken; then the time of arrival counts, and of the stamps at most the
// distances.
//
// As in the time line, only the least delay of a window counts: what comes late is the network's doing.
type stampQuality struct {
	scale     int64
	byArrival bool

	raw    int64 // sum of the stamps' distances
	same   int   // pictures with one stamp, one after another
	jumps  []int64
	window struct {
		begun, from, rawFrom int64
		low, before, best    int64
		have                 bool // before is known
	}
	long struct {
		begun, before int64
		n             int
		have          bool
	}
	far, off, good run

	// Timed by arrival.
	ratio    float64 // of a tick of ours to one of the camera's; zero: stamps say nothing
	last     int64   // arrival of the last picture
	interval float64 // between pictures, by arrival
}

// run counts windows of the same sign, one after another.
type run struct{ n, still int }

func (r *run) count(slope, least float64) int {
	switch sign := int(math.Copysign(1, slope)); {
	case math.Abs(slope) <= least:
		r.n = 0
	case r.n*sign > 0:
		r.n += sign
	default:
		r.n = sign
	}
	return max(r.n, -r.n)
}

func newStampQuality(scale int64) *stampQuality {
	p := &stampQuality{scale: scale}
	p.window.low, p.window.best = math.MaxInt64, math.MaxInt64
	return p
}

// take takes the arrival of a picture and its distance by the camera's clock. It says whether arrival counts.
func (p *stampQuality) take(now, d int64) bool {
	if gap := float64(now - p.last); p.interval == 0 {
		p.interval = gap
	} else if gap < 4*p.interval {
		p.interval += (gap - p.interval) / 16
	}
	p.last = now
	p.raw += d
	if d != 0 {
		p.same = 0
	} else if p.same++; p.same >= sameStamp && !p.byArrival {
		p.turn(0)
	}
	w := &p.window
	w.low = min(w.low, now-p.raw)
	if now-w.begun >= stampWindow*p.scale {
		p.judge(now)
	}
	return p.byArrival
}

// judge ends a window.
func (p *stampQuality) judge(now int64) {
	w := &p.window
	span := now - w.begun
	slope := float64(w.low-w.before) / float64(span)
	if w.have {
		if slope < 0 && w.low >= w.best {
			slope = 0 // what the network held back comes in
		}
		if p.far.count(slope, stampFar) >= shortOff {
			p.turn(p.measured(now))
		}
		if p.far.still++; slope < stampStill {
			p.far.still = 0
		}
		if p.far.still >= stillOff {
			p.turn(p.measured(now))
		}
		if p.byArrival {
			p.ratio = p.measured(now)
		}
	}
	p.judgeLong(now)
	w.best = min(w.best, w.low)
	w.before, w.have = w.low, true
	w.begun, w.rawFrom, w.low = now, p.raw, math.MaxInt64
}

func (p *stampQuality) judgeLong(now int64) {
	l, low := &p.long, p.window.low
	if l.n++; l.n < stampLong {
		return
	}
	slope := float64(low-l.before) / float64(now-l.begun)
	if l.have {
		if slope < 0 && low >= p.window.best {
			slope = 0
		}
		if p.off.count(slope, stampOff) >= longOff {
			p.turn(p.measured(now))
		}
		if p.good.still++; math.Abs(slope) > stampGood {
			p.good.still = 0
		}
		if p.byArrival && p.good.still >= longGood && p.same == 0 {
			p.byArrival = false
		}
	}
	l.begun, l.before, l.n, l.have = now, low, 0, true
}

// measured is how long a tick of the camera's is in ours, over the present window; zero when that says nothing.
func (p *stampQuality) measured(now int64) float64 {
	d := p.raw - p.window.rawFrom
	if d <= 0 || p.same >= sameStamp {
		return 0
	}
	if r := float64(now-p.window.begun) / float64(d); r > 1e-3 && r < 1e3 {
		return r
	}
	return 0
}

func (p *stampQuality) turn(ratio float64) {
	if !p.byArrival {
		p.byArrival, p.ratio, p.good = true, ratio, run{}
	}
}

// stepped notes a jump of the clock, which is no rate, unless there are many.
func (p *stampQuality) stepped(now, d int64) {
	p.raw -= d
	p.window.low, p.window.begun, p.window.rawFrom, p.window.have = now-p.raw, now, p.raw, false
	p.long.n, p.long.have = 0, false
	p.jumps = append(p.jumps, now)
	for now-p.jumps[0] > stepTime*p.scale {
		p.jumps = p.jumps[1:]
	}
	if len(p.jumps) >= manySteps {
		p.jumps = p.jumps[:0]
		p.turn(0)
	}
}

// place gives the tick of a picture that came now, after one at tick at.
func (p *stampQuality) place(at, now, d int64) int64 {
	slack := arrivalSlack * p.scale
	step := p.interval
	if x := float64(d) * p.ratio; p.ratio > 0 && math.Abs(x) < float64(2*slack) {
		step = x
	}
	next := at + int64(step)
	next += (now - next) / 16
	switch {
	case now-next > slack:
		next = now
	case next-now > slack:
		next = now + slack
	}
	if p.ratio == 0 || d >= 0 { // a picture that is shown before the one that came before it may go back
		next = max(next, at+1)
	}
	return next
}
