package frame

import (
	"fmt"
	"strings"
	"time"

	"campuskeep/firmware/gate"
	"campuskeep/shared/attendance"
	"campuskeep/shared/lib/ui"
)

// Arrival is the curve of today's first taps, drawn W × H units wide and high, 8 units below the top.
type Arrival struct {
	In, Expected, Missing, Leave, Late int
	School                             bool
	Early                              bool // before the bell: who has not come is not late

	W, H, Base, Mid int
	Points          string
	Bars            []arrivalBar
	Ticks           []arrivalTick
	BellX, NowX     int
	Bell            string
	From, To        string
	Now             string
	NowLeft         bool // the word is left of the line
	Top             int
}

type arrivalBar struct{ X, Y, W, H int }

type arrivalTick struct {
	X    int
	Text string
}

// beforeBell and afterBell are the minutes that the curve shows around the bell.
const beforeBell, afterBell = 60, 30

// labelWide is the width of the time under the curve, with the space beside it.
const labelWide = 44

// DrawArrival draws how many came in over the morning; nil on a day without school.
func DrawArrival(b gate.Board, w, h int, p ui.Printer) *Arrival {
	a := &Arrival{In: b.Total.Attended, Expected: b.Total.Expected, Missing: b.Total.Missing, Leave: b.Total.By[attendance.OnLeave],
		Late: b.Total.By[attendance.Late], School: b.Day.School, Top: b.Total.Expected, W: w, H: h, Base: h + 8, Mid: h/2 + 8}
	from, to := max(b.Hours.Opens, b.Hours.Bell-beforeBell), b.Hours.Bell+afterBell
	if from >= to || len(b.Arrivals) == 0 {
		return a
	}
	// Who looks in the afternoon sees the afternoon too.
	now := int(b.Now.Wall.Sub(b.Day.At(0)) / time.Minute)
	to = max(to, min(now, b.Hours.Closes))
	a.Early = now < b.Hours.Bell
	at := func(m int) string { return p.Clock(b.Day.At(m)) }
	x := func(m int) int { return (m - from) * w / (to - from) }
	a.From, a.To, a.Bell, a.BellX = at(from), at(to), at(b.Hours.Bell), x(b.Hours.Bell)
	if now >= from && now <= to {
		a.NowX, a.Now = x(now), p.Clock(b.Now.Wall)
		a.NowLeft = a.NowX > w/2
	}
	// Labels keep their distance from each other and from the bell's, however long the day has become.
	step := 15
	for _, s := range []int{30, 60, 120, 180} {
		if step*w/(to-from) < labelWide {
			step = s
		}
	}
	for m := from; m <= to; m += step {
		if d := x(m) - a.BellX; d >= labelWide || d <= -labelWide {
			a.Ticks = append(a.Ticks, arrivalTick{x(m), at(m)})
		}
	}
	most := 1
	for _, n := range b.Arrivals {
		most = max(most, n)
	}
	var line strings.Builder
	sum := 0
	for i, n := range b.Arrivals {
		m := b.Hours.Opens + i
		sum += n
		if m < from || m > to || m > now {
			continue
		}
		fmt.Fprintf(&line, "%d,%d ", x(m), a.Base-sum*h/max(1, a.Top))
		if n > 0 {
			tall := n * h / (2 * most) // at most half: the curve is the strong series
			a.Bars = append(a.Bars, arrivalBar{x(m), a.Base - tall, max(1, w/(to-from)-2), tall})
		}
	}
	a.Points = line.String()
	return a
}
