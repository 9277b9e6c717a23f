// Package panel shows the gate's signals on lights and a buzzer that are wired to the appliance itself.
//
// A [Panel] owns its outputs and, while Run runs, one goroutine for each. It must never wait longer than its
// time-out for a pin, and never keep the reader or the gate waiting: a signal that cannot be shown is logged.
package panel

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"campuskeep/shared/attendance"
)

// Output is one thing that is on or off. Set may block or fail; the panel bounds it.
type Output interface {
	Set(on bool) error
}

// Outputs are what is wired; nil where nothing is. Without a red light amber represents it.
type Outputs struct {
	Green, Amber, Red, Buzzer Output
}

// setWithin is how long a pin may take. GPIO drivers have no time-outs of their own.
const setWithin = 200 * time.Millisecond

// Panel plays signals on its outputs.
type Panel struct {
	outputs []*output // green, amber, red, buzzer
	newest  chan attendance.Signal
}

const (
	green = iota
	amber
	red
	buzzer
)

// New makes a panel; nothing is touched before Run.
func New(o Outputs, log *slog.Logger) *Panel {
	p := &Panel{newest: make(chan attendance.Signal, 1), outputs: make([]*output, 4)}
	for i, x := range []struct {
		name string
		out  Output
	}{green: {"green", o.Green}, amber: {"amber", o.Amber}, red: {"red", o.Red}, buzzer: {"buzzer", o.Buzzer}} {
		if x.out != nil {
			p.outputs[i] = &output{name: x.name, out: x.out, log: log, want: make(chan bool), done: make(chan error, 1)}
		}
	}
	if o.Red == nil {
		p.outputs[red] = p.outputs[amber]
	}
	return p
}

// Show plays a signal at once in place of whatever is played. It does not wait.
func (p *Panel) Show(s attendance.Signal) {
	for {
		select {
		case p.newest <- s:
			return
		default:
		}
		select {
		case <-p.newest:
		default:
		}
	}
}

// Run plays signals until ctx ends; then everything is off.
func (p *Panel) Run(ctx context.Context) error {
	stop := make(chan struct{})
	for _, o := range p.distinct() {
		go o.drive(stop)
	}
	// A pin that hangs in its driver cannot be waited for: its goroutine ends when the driver lets go.
	defer close(stop)
	p.play(nil, 0)
	var steps []step
	var began time.Time
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if len(steps) > 0 {
			timer.Reset(time.Until(began.Add(steps[0].at)))
		}
		select {
		case s := <-p.newest:
			began = time.Now()
			steps = p.play(plan(s.Pattern()), 0)
		case <-timer.C:
			if len(steps) > 0 {
				steps = p.play(steps, steps[0].at)
			}
		case <-ctx.Done():
			p.play(nil, 0)
			return ctx.Err()
		}
	}
}

func (p *Panel) distinct() []*output {
	var out []*output
	for _, o := range p.outputs {
		if o != nil && !slices.Contains(out, o) {
			out = append(out, o)
		}
	}
	return out
}

// step is the set of outputs that are on from an instant of the pattern on.
type step struct {
	at time.Duration
	on [4]bool
}

// plan lays a pattern out as steps, the last one all off.
func plan(pt attendance.Pattern) []step {
	light := map[attendance.Colour]int{attendance.Green: green, attendance.Amber: amber, attendance.Red: red}
	lit := func(t time.Duration) bool {
		if pt.Colour == attendance.Dark || t >= pt.Light {
			return false
		}
		return pt.LightOff == 0 || t%(pt.LightOn+pt.LightOff) < pt.LightOn
	}
	sounds := func(t time.Duration) bool {
		period := pt.BeepOn + pt.BeepOff
		return period > 0 && t < time.Duration(pt.Beeps)*period && t%period < pt.BeepOn
	}
	const tick = 100 * time.Millisecond // all patterns are made of these
	end := max(pt.Light, time.Duration(pt.Beeps)*(pt.BeepOn+pt.BeepOff))
	var steps []step
	for t := time.Duration(0); t <= end; t += tick {
		s := step{at: t}
		s.on[buzzer] = sounds(t)
		if i, ok := light[pt.Colour]; ok {
			s.on[i] = lit(t)
		}
		if len(steps) == 0 || steps[len(steps)-1].on != s.on {
			steps = append(steps, s)
		}
	}
	return steps
}

// play sets the outputs as the step at this instant says and returns the steps that remain. Without steps
// everything goes off. The buzzer comes first: it is what the person waits for.
func (p *Panel) play(steps []step, at time.Duration) []step {
	var on [4]bool
	for len(steps) > 0 && steps[0].at <= at {
		on, steps = steps[0].on, steps[1:]
	}
	want := map[*output]bool{}
	for i, o := range p.outputs {
		if o != nil {
			want[o] = want[o] || on[i]
		}
	}
	order := p.distinct()
	slices.Reverse(order)
	for _, o := range order {
		o.set(want[o])
	}
	return steps
}

// output bounds the time of one Output.
type output struct {
	name string
	out  Output
	log  *slog.Logger
	want chan bool
	done chan error

	known    bool // last is what the pin was set to
	last     bool
	timedOut bool // the driver has not come back
}

func (o *output) drive(stop <-chan struct{}) {
	for {
		select {
		case on := <-o.want:
			o.done <- o.out.Set(on)
		case <-stop:
			return
		}
	}
}

// set sets the pin, waiting at most setWithin. While the driver hangs, the pin is left alone.
func (o *output) set(on bool) {
	if o.timedOut {
		select {
		case <-o.done:
			o.timedOut, o.known = false, false
			o.log.Info("panel output answers again", "output", o.name)
		default:
			return
		}
	}
	if o.known && o.last == on {
		return
	}
	t := time.NewTimer(setWithin)
	defer t.Stop()
	o.want <- on // the goroutine is idle: it is not stuck
	select {
	case err := <-o.done:
		o.known, o.last = err == nil, on
		if err != nil {
			o.log.Error("panel output failed", "output", o.name, "err", err)
		}
	case <-t.C:
		o.timedOut, o.known = true, false
		o.log.Error("panel output does not answer", "output", o.name, "within", setWithin)
	}
}
