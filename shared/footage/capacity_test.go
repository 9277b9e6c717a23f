package footage

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const mb = 1_000_000

// school is a simulated disk on which cameras record what the rule lets them; rates are the truth.
type school struct {
	room     Capacity
	list     []Demand
	stock    map[string][]int64 // by age in steps
	step     time.Duration
	switches map[string]int
}

func (s *school) used() (n int64) {
	for _, list := range s.stock {
		for _, b := range list {
			n += b
		}
	}
	return n + s.room.Held
}

// look fills in what the rule sees.
func (s *school) look() []Demand {
	perDay := int(24 * time.Hour / s.step)
	out := slices.Clone(s.list)
	for i, d := range out {
		out[i].Stock = make([]int64, d.Days+1)
		for age, n := range s.stock[d.Camera] {
			out[i].Stock[min(age/perDay, d.Days)] += n
		}
	}
	return out
}

// run lets one step pass: the rule decides, the cameras record, what is due goes.
func (s *school) run(full WhenFull) {
	to := Thin(s.room, s.look(), full)
	perDay := int(24 * time.Hour / s.step)
	for i := range s.list {
		d := &s.list[i]
		if d.For += s.step; to[d.Camera] != d.Now {
			d.Now, d.For = to[d.Camera], 0
			s.switches[d.Camera]++
		}
		s.stock[d.Camera] = slices.Insert(s.stock[d.Camera], 0, d.Rate(d.Now)/int64(perDay))
		if len(s.stock[d.Camera]) > d.Days*perDay {
			s.stock[d.Camera] = s.stock[d.Camera][:d.Days*perDay]
		}
	}
}

func drawSchool(t *rapid.T) *school {
	s := &school{step: 6 * time.Hour, stock: map[string][]int64{}, switches: map[string]int{}}
	for i := range rapid.IntRange(1, 8).Draw(t, "cameras") {
		d := Demand{Camera: fmt.Sprintf("c%02d", i), Priority: rapid.IntRange(0, 9).Draw(t, "priority"), Days: rapid.SampledFrom([]int{30, 30, 45}).Draw(t, "days"),
			Main: int64(rapid.IntRange(100, 4000).Draw(t, "main")) * mb, For: 100 * time.Hour}
		if rapid.IntRange(0, 4).Draw(t, "has sub") > 0 {
			d.Sub = d.Main / int64(rapid.IntRange(2, 10).Draw(t, "part"))
		}
		s.list = append(s.list, d)
	}
	return s
}

// need is what the disk holds when every camera has reached its days.
func (s *school) need(stream func(Demand) Stream) (n int64) {
	for _, d := range s.list {
		n += d.Rate(stream(d)) * int64(d.Days+1)
	}
	return n
}

// Covers F3, design §5: when thinning can be enough, it is: from an empty disk on, the disk never gets full and
// nobody stops; and it is begun no later than the lead before the disk would be full.
func TestThinningIsEnoughWhenItCanBe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSchool(t)
		least := s.need(func(d Demand) Stream {
			if d.sub() {
				return StreamSub
			}
			return StreamMain
		})
		s.room.Limit = least*100/85 + int64(rapid.IntRange(0, 60).Draw(t, "more"))*least/100
		s.room.Hard = s.room.Limit * 101 / 100
		for range 100 * 4 {
			s.run(Stop)
			if s.used() > s.room.Limit {
				t.Fatalf("the disk has %d, %d are used", s.room.Limit, s.used())
			}
			for _, d := range s.list {
				if d.Now == StreamNone {
					t.Fatal("a camera stopped although thinning is enough")
				}
			}
		}
		for id, n := range s.switches {
			if n > 2 {
				t.Fatalf("camera %s was switched %d times at constant rates", id, n)
			}
		}
	})
}

// Covers F3: whatever the room, with stop the disk never gets full, so nothing has to go early; the cameras of
// the highest priority go on as long as any.
func TestStopNeverFillsTheDisk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSchool(t)
		most := s.need(func(Demand) Stream { return StreamMain })
		s.room.Limit = most * int64(rapid.IntRange(2, 150).Draw(t, "percent")) / 100
		s.room.Hard = s.room.Limit
		s.room.Held = s.room.Limit * int64(rapid.IntRange(0, 10).Draw(t, "held")) / 100
		var inflow int64
		for _, d := range s.list {
			inflow += d.Main / 4
		}
		for range 100 * 4 {
			s.run(Stop)
			if s.used() > s.room.Hard+inflow { // what comes until the next look
				t.Fatalf("the disk has %d, %d are used", s.room.Hard, s.used())
			}
			for _, a := range s.list {
				for _, b := range s.list {
					if a.Now == StreamNone && b.Now != StreamNone && a.Rank() < b.Rank() && a.For > 30*24*time.Hour {
						t.Fatalf("%s (priority %d) is stopped while %s (%d) records", a.Camera, a.Priority, b.Camera, b.Priority)
					}
				}
			}
		}
	})
}

// Rates that sway by a few percent around the limit switch a camera at most once a day.
func TestThinningDoesNotFlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSchool(t)
		s.room.Limit = s.need(func(Demand) Stream { return StreamMain })
		s.room.Hard = s.room.Limit * 101 / 100
		truth := slices.Clone(s.list)
		for range 60 * 4 {
			sway := int64(rapid.IntRange(96, 104).Draw(t, "sway"))
			for i := range s.list {
				s.list[i].Main, s.list[i].Sub = truth[i].Main*sway/100, truth[i].Sub*sway/100
			}
			s.run(Stop)
		}
		for id, n := range s.switches {
			if n > 4 {
				t.Fatalf("camera %s was switched %d times in 60 days", id, n)
			}
		}
	})
}

func TestTheLowestPriorityGivesWayFirstAndComesBackLast(t *testing.T) {
	room := Capacity{Limit: 31 * 250 * mb, Hard: 31 * 252 * mb}
	list := []Demand{
		{Camera: "gate", Priority: 1, Days: 30, Main: 100 * mb, Sub: 10 * mb, Stock: ages(100*mb, 29)},
		{Camera: "yard", Priority: 2, Days: 30, Main: 100 * mb, Sub: 10 * mb, Stock: ages(100*mb, 29)},
		{Camera: "shed", Days: 30, Main: 100 * mb, Sub: 10 * mb, Stock: ages(50*mb, 29)},
	}
	to := Thin(room, list, Stop)
	if to["gate"] != StreamMain || to["yard"] != StreamMain || to["shed"] != StreamSub {
		t.Fatalf("thinned: %v", to)
	}
	room.Limit, room.Hard = 31*400*mb, 31*402*mb
	list[1].Now, list[2].Now = StreamSub, StreamSub
	list[1].For = ThinStays - time.Second
	if to = Thin(room, list, Stop); to["yard"] != StreamSub || to["shed"] != StreamSub {
		t.Fatalf("back before its time: %v", to)
	}
	list[1].For = ThinStays
	if to = Thin(room, list, Stop); to["yard"] != StreamMain || to["shed"] != StreamSub {
		t.Fatalf("the higher priority comes back first: %v", to)
	}
}

// Without sub-streams nothing can be thinned: with breach everybody records on, with stop the lowest stop.
func TestWithoutSubStreamsTheSettingDecides(t *testing.T) {
	room := Capacity{Limit: 4900 * mb, Hard: 4950 * mb}
	list := []Demand{
		{Camera: "gate", Priority: 1, Days: 30, Main: 100 * mb, Stock: ages(100*mb, 24)},
		{Camera: "shed", Days: 30, Main: 100 * mb, Stock: ages(100*mb, 24)},
	}
	if to := Thin(room, list, Breach); to["gate"] != StreamMain || to["shed"] != StreamMain {
		t.Errorf("breach: %v", to)
	}
	if to := Thin(room, list, Stop); to["shed"] != StreamNone {
		t.Errorf("stop: %v", to)
	}
	list[1].Now = StreamNone
	if to := Thin(room, list, Breach); to["shed"] != StreamMain {
		t.Errorf("stopped cameras go on when the setting becomes breach: %v", to)
	}
}

func ages(n int64, days int) (out []int64) {
	for range days {
		out = append(out, n)
	}
	return out
}

func TestRoomCountsWhatElseLiesOnTheDisk(t *testing.T) {
	const gb = 1_000_000_000
	r := CapacityOf(1000*gb, 500*gb, 300*gb, 5*gb) // 200 GB are something else's; 2 % are reserved
	if r.Limit != 780*gb || r.Hard != 790*gb || r.Held != 5*gb {
		t.Errorf("%+v", r)
	}
	if r = CapacityOf(64*mb, 60*mb, 0, 0); r.Limit != 53_600_000 {
		t.Errorf("a small disk: %+v", r)
	}
	if r = CapacityOf(1000*gb, 1*gb, 10*gb, 0); r.Limit != 0 || r.Hard != gb {
		t.Errorf("a disk filled by others: %+v", r)
	}
	main, sub := Estimate(Camera{Main: "rtsp://c"})
	if main != 43_200*mb || sub != 0 {
		t.Errorf("estimate %d, %d", main, sub)
	}
	if main, sub = Estimate(Camera{Kbps: 1000, Sub: "rtsp://c/sub"}); main != 10_800*mb || sub != 2_700*mb {
		t.Errorf("estimate %d, %d", main, sub)
	}
}
