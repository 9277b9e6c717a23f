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

// Room is what a disk has for footage. Thinning keeps within Capacity; Hard lies half a reserve higher, and
// beyond it recording stops or the floor is broken.
type Room struct {
	Capacity int64 // size of the disk less the reserve and what else lies on it
	Hard     int64
	Held     int64 // kept by holds
}

// RoomOf is the arithmetic of a disk: its size, what is free, how much of what is used is footage, and how much
// of that holds keep.
func RoomOf(size, free, footage, held int64) Room {
	other := max(size-free-footage, 0)
	return Room{Capacity: max(size-other-Reserve(size), 0), Hard: max(size-other-Reserve(size)/2, 0), Held: held}
}

// Stream says which of its streams a camera records.
type Stream uint8

// The streams, each less than the one before.
const (
	StreamMain Stream = iota
	StreamSub
	StreamNone
)

// Demand is one camera as the rule about room sees it.
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

// Prospect is how a disk fills.
type Prospect struct {
	Peak int64   // the most that footage will take, holds included
	Full float64 // in so many days it takes more than the limit that was asked about; -1: never
}

// Foresee adds up day by day what comes and what goes, until every camera has reached its own days.
func Foresee(room Room, limit int64, list []Demand, streams map[string]Stream) Prospect {
	p := Prospect{Full: -1}
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
func Thin(room Room, list []Demand, full WhenFull) map[string]Stream {
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
	now := Foresee(room, room.Capacity, list, to)
	switch {
	case now.Full < 0:
		if full != Stop || !slices.ContainsFunc(list, func(d Demand) bool { return to[d.Camera] == StreamNone }) {
			relax(room, list, to, StreamSub) // recording comes before resolution
		}
	case now.Full <= ThinLead || tooLateToWait(room, list, to):
		lower(room, room.Capacity, list, to, func(d Demand) (Stream, bool) { return StreamSub, d.sub() && to[d.Camera] == StreamMain })
	}
	hard := Foresee(room, room.Hard, list, to)
	switch {
	case full != Stop:
	case hard.Full < 0 || hard.Full > stopBack:
		relax(room, list, to, StreamNone)
	case hard.Full <= StopLead:
		top := topmost(list, to) // goes on until the disk is really full
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

// topmost is the camera of the highest priority that writes anything.
func topmost(list []Demand, to map[string]Stream) (top string) {
	for _, d := range list {
		if d.Rate(to[d.Camera]) > 0 {
			top = d.Camera
		}
	}
	return top
}

// lower takes cameras down one after another until the prospect stays within the limit.
func lower(room Room, limit int64, list []Demand, to map[string]Stream, step func(Demand) (Stream, bool)) {
	for _, d := range list {
		if Foresee(room, limit, list, to).Full < 0 {
			return
		}
		if s, ok := step(d); ok {
			to[d.Camera] = s
		}
	}
}

// tooLateToWait says whether thinning everything now would only just be enough.
func tooLateToWait(room Room, list []Demand, to map[string]Stream) bool {
	all := map[string]Stream{}
	for _, d := range list {
		if all[d.Camera] = to[d.Camera]; d.sub() {
			all[d.Camera] = max(to[d.Camera], StreamSub)
		}
	}
	return Foresee(room, room.Capacity, list, all).Peak > room.Capacity*thinBack/100
}

// relax brings back cameras, the highest priority first: of the stopped ones as many as there is room for, of the
// thinned ones one, because each changes the prospect for a month.
func relax(room Room, list []Demand, to map[string]Stream, from Stream) {
	for _, d := range slices.Backward(list) {
		if to[d.Camera] != from || d.Now != from {
			continue
		}
		if from == StreamSub {
			to[d.Camera] = StreamMain
			if d.For < ThinStays || Foresee(room, room.Capacity, list, to).Peak > room.Capacity*thinBack/100 {
				to[d.Camera] = from
			}
			return
		}
		to[d.Camera] = d.back()
		if p := Foresee(room, room.Hard, list, to); d.For < StopStays || p.Full >= 0 && p.Full < stopBack {
			to[d.Camera] = from
			return
		}
	}
}
