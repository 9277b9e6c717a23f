package footage

import (
	"cmp"
	"slices"
	"time"
)

// What a camera counts with until its own footage has been measured, in kbit/s: what a 1080p H.264
// camera is usually set to, and its sub-stream. A camera whose row states a rate counts with that.
const (
	MainEstimate = 4000
	SubEstimate  = 512
)

// Estimate is what a camera will write a day as far as its row tells: main and, where it has one, sub-stream.
func Estimate(c Camera) (main, sub int64) {
	main = PerDay(MainEstimate)
	if c.Kbps > 0 {
		main = PerDay(c.Kbps)
	}
	if c.Sub != "" {
		sub = SubOf(main)
	}
	return main, sub
}

// SubOf is what a sub-stream is reckoned with until it was recorded: its estimate, and at most a quarter of a main
// stream of so many bytes a day.
func SubOf(main int64) int64 { return min(PerDay(SubEstimate), main/4) }

// Reserve is the part of a disk that footage leaves free: the ledger and the index go on growing when the disk
// is full, and a file system without room is slow. 2 %, at least 1 GiB and at most 20 GiB; of a disk too small
// for that a tenth.
func Reserve(size int64) int64 {
	return min(max(size/50, 1<<30), 20<<30, size/10)
}

// Capacity is what a disk has for footage. Thinning keeps within Capacity; Hard lies half a reserve higher, and
// beyond it recording stops or the floor is broken.
type Capacity struct {
	Limit int64 // size of the disk less the reserve and what else lies on it
	Hard  int64
	Held  int64 // kept by holds
}

// CapacityOf is the arithmetic of a disk: its size, what is free, how much of what is used is footage, and how much
// of that holds keep.
func CapacityOf(size, free, footage, held int64) Capacity {
	other := max(size-free-footage, 0)
	return Capacity{Limit: max(size-other-Reserve(size), 0), Hard: max(size-other-Reserve(size)/2, 0), Held: held}
}

// Stream says which of its streams a camera records.
type Stream uint8

// The streams, each less than the one before.
const (
	StreamMain Stream = iota
	StreamSub
	StreamNone
)

// Demand is one camera in the rule of capacity.
type Demand struct {
	Camera    string
	Priority  int           // 1 is the last to give way; 0 is not stated and gives way first
	Days      int           // of its policy
	Main, Sub int64         // bytes a day; Sub 0: no sub-stream
	Stock     []int64       // bytes there now by age in whole days, without what holds keep
	Now       Stream        // what it records
	For       time.Duration // so long by now
}

// sub says whether thinning the camera saves anything.
func (d Demand) sub() bool { return d.Sub > 0 && d.Sub < d.Main }

// Rate is what the camera writes a day of a stream.
func (d Demand) Rate(s Stream) int64 {
	switch s {
	case StreamMain:
		return d.Main
	case StreamSub:
		return d.Sub
	}
	return 0
}

// used is what the camera's footage takes t whole days from now when it goes on recording s.
func (d Demand) used(s Stream, t int) int64 {
	sum := d.Rate(s) * int64(min(t, d.Days+1))
	for age, n := range d.Stock {
		if min(age, d.Days)+t <= d.Days { // what is overdue goes within the day
			sum += n
		}
	}
	return sum
}

// FillForecast is how a disk fills.
type FillForecast struct {
	Peak int64   // the most that footage will take, holds included
	Full float64 // in so many days it takes more than the limit that was asked about; -1: never
}

// ForecastFill adds up day by day what comes and what goes, until every camera has reached its own days.
func ForecastFill(room Capacity, limit int64, list []Demand, streams map[string]Stream) FillForecast {
	p := FillForecast{Full: -1}
	horizon := 0
	for _, d := range list {
		horizon = max(horizon, d.Days+1)
	}
	before := int64(0)
	for t := range horizon + 1 {
		used := room.Held
		for _, d := range list {
			used += d.used(streams[d.Camera], t)
		}
		if p.Full < 0 && used > limit {
			p.Full = float64(t)
			if t > 0 && used > before {
				p.Full = float64(t-1) + float64(limit-before)/float64(used-before)
			}
		}
		p.Peak = max(p.Peak, used)
		before = used
	}
	return p
}

// WhenFull says what happens when there is no room left although everything is thinned (design §5).
type WhenFull string

// Stop is the default: the law names the thirty days as the least, so what is there is kept and the cameras of
// the lowest priority stop recording. Breach keeps recording: the oldest footage of the lowest priority goes
// early, with an entry before it goes.
const (
	Stop   WhenFull = "stop"
	Breach WhenFull = "breach"
)

// The pace of giving way. Thinning begins days before the disk is full, because then few cameras thinned for
// long are enough; stopping only when a day is left. A thinned camera comes back when the disk would stay below a
// part of its capacity, a stopped one when there is room for days; neither before a time has passed, so that
// nothing flaps.
const (
	ThinLead  = 10.0 // days
	StopLead  = 1.0
	thinBack  = 90  // percent of the capacity
	stopBack  = 3.0 // days that a camera can record before it would have to stop again
	ThinStays = 24 * time.Hour
	StopStays = time.Minute
)

// Thin says which stream each camera shall record so that the disk never gets full: the main one where
// possible, the sub-stream by priority when the prospect falls short, none at all when even that is not enough
// and the setting says stop. It changes no more cameras than necessary, the lowest priority first.
func Thin(room Capacity, list []Demand, full WhenFull) map[string]Stream {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b Demand) int { return cmp.Or(cmp.Compare(b.Rank(), a.Rank()), cmp.Compare(b.Camera, a.Camera)) })
	to := map[string]Stream{}
	for _, d := range list {
		to[d.Camera] = d.Now
		switch {
		case d.Now == StreamNone && full != Stop:
			to[d.Camera] = d.back()
		case d.Now == StreamSub && !d.sub():
			to[d.Camera] = StreamMain
		}
	}
	now := ForecastFill(room, room.Limit, list, to)
	switch {
	case now.Full < 0:
		if full != Stop || !slices.ContainsFunc(list, func(d Demand) bool { return to[d.Camera] == StreamNone }) {
			restoreStreams(room, list, to, StreamSub) // recording comes before resolution
		}
	case now.Full <= ThinLead || mustThinNow(room, list, to):
		lower(room, room.Limit, list, to, func(d Demand) (Stream, bool) { return StreamSub, d.sub() && to[d.Camera] == StreamMain })
	}
	hard := ForecastFill(room, room.Hard, list, to)
	switch {
	case full != Stop:
	case hard.Full < 0 || hard.Full > stopBack:
		restoreStreams(room, list, to, StreamNone)
	case hard.Full <= StopLead:
		top := highestPriority(list, to) // goes on until the disk is really full
		lower(room, room.Hard, list, to, func(d Demand) (Stream, bool) {
			return StreamNone, d.Rate(to[d.Camera]) > 0 && (d.Camera != top || hard.Full == 0)
		})
	}
	return to
}

// LastRank is the rank of a camera without a stated priority.
const LastRank = 10

// Rank orders cameras by how readily they give way: the greatest first.
func (d Demand) Rank() int {
	if d.Priority == 0 {
		return LastRank
	}
	return d.Priority
}

// back is what a stopped camera records when there is a little room again.
func (d Demand) back() Stream {
	if d.sub() {
		return StreamSub
	}
	return StreamMain
}

// highestPriority is the camera of the highest priority that writes anything.
func highestPriority(list []Demand, to map[string]Stream) (top string) {
	for _, d := range list {
		if d.Rate(to[d.Camera]) > 0 {
			top = d.Camera
		}
	}
	return top
}

// lower takes cameras down one after another until the prospect stays within the limit.
func lower(room Capacity, limit int64, list []Demand, to map[string]Stream, step func(Demand) (Stream, bool)) {
	for _, d := range list {
		if ForecastFill(room, limit, list, to).Full < 0 {
			return
		}
		if s, ok := step(d); ok {
			to[d.Camera] = s
		}
	}
}

// mustThinNow says whether thinning everything now would only just be enough.
func mustThinNow(room Capacity, list []Demand, to map[string]Stream) bool {
	all := map[string]Stream{}
	for _, d := range list {
		if all[d.Camera] = to[d.Camera]; d.sub() {
			all[d.Camera] = max(to[d.Camera], StreamSub)
		}
	}
	return ForecastFill(room, room.Limit, list, all).Peak > room.Limit*thinBack/100
}

// restoreStreams brings back cameras, the highest priority first: of the stopped ones as many as there is room for, of the
// thinned ones one, because each changes the prospect for a month.
func restoreStreams(room Capacity, list []Demand, to map[string]Stream, from Stream) {
	for _, d := range slices.Backward(list) {
		if to[d.Camera] != from || d.Now != from {
			continue
		}
		if from == StreamSub {
			to[d.Camera] = StreamMain
			if d.For < ThinStays || ForecastFill(room, room.Limit, list, to).Peak > room.Limit*thinBack/100 {
				to[d.Camera] = from
			}
			return
		}
		to[d.Camera] = d.back()
		if p := ForecastFill(room, room.Hard, list, to); d.For < StopStays || p.Full >= 0 && p.Full < stopBack {
			to[d.Camera] = from
			return
		}
	}
}
