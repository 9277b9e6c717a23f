package retention

import (
	"slices"
	"sync"
	"time"

	"campuskeep/firmware/vault"
	"campuskeep/shared/footage"
)

// usage is what the index holds, as running totals by camera and hour: asking the index for all of it would read
// hundreds of megabytes again and again. Additions are read behind the last row counted, deletions are reported.
type usage struct {
	mu      sync.Mutex
	cameras map[string]*tally // guarded by mu
}

// tally is one camera.
type tally struct {
	bytes int64
	hours []hourUse // ascending
	boot  string    // of the last row counted; empty: none yet
	from  time.Duration
}

type hourUse struct {
	hour  int64 // since 1970
	bytes int64
	time  time.Duration // recorded
}

const perHour = int64(time.Hour / time.Second)

func hourNumber(t time.Time) int64 { return t.Unix() / perHour }

// count adds the rows that have come since the last time.
func (u *usage) count(v *vault.Vault, places footage.Places) error {
	cameras, err := v.Cameras()
	if err != nil {
		return err
	}
	for _, camera := range cameras {
		if err := u.countCamera(v, camera, places); err != nil {
			return err
		}
	}
	return nil
}

func (u *usage) countCamera(v *vault.Vault, camera string, places footage.Places) error {
	u.mu.Lock() // while it reads, nothing is dropped: see drop
	defer u.mu.Unlock()
	if u.cameras == nil {
		u.cameras = map[string]*tally{}
	}
	t := u.cameras[camera]
	if t == nil {
		t = &tally{}
		u.cameras[camera] = t
	}
	take := func(s footage.Segment) bool {
		h := t.at(hourNumber(places.Place(s).Span.From))
		h.bytes += s.Bytes
		h.time += s.To - s.From
		t.bytes += s.Bytes
		t.boot, t.from = s.Boot, s.From
		return true
	}
	if t.boot == "" {
		return v.Rows(camera, take)
	}
	return v.RowsFrom(camera, t.boot, t.from+1, take)
}

// at gives the place of an hour, made if need be. It is good until the next call.
func (t *tally) at(hour int64) *hourUse {
	i, ok := slices.BinarySearchFunc(t.hours, hour, func(h hourUse, n int64) int { return int(h.hour - n) })
	if !ok {
		t.hours = slices.Insert(t.hours, i, hourUse{hour: hour})
	}
	return &t.hours[i]
}

// drop takes rows out of the index by means of do, and out of the totals, as one step for count. An hour that is
// placed otherwise than it was counted is set right by the daily recount.
func (u *usage) drop(rows []footage.Segment, places footage.Places, do func([]footage.Segment) error) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := do(rows); err != nil {
		return err
	}
	for _, s := range rows {
		t := u.cameras[s.Camera]
		if t == nil || t.boot == "" {
			continue
		}
		t.bytes = max(t.bytes-s.Bytes, 0)
		h := t.at(hourNumber(places.Place(s).Span.From))
		h.bytes, h.time = max(h.bytes-s.Bytes, 0), max(h.time-(s.To-s.From), 0)
	}
	for _, t := range u.cameras {
		t.hours = slices.DeleteFunc(t.hours, func(h hourUse) bool { return h.bytes == 0 })
	}
	return nil
}

// recount makes the next count begin from nothing.
func (u *usage) recount() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.cameras = nil
}

// figures are the totals of one camera as the rule of capacity needs them.
type figures struct {
	bytes    int64
	held     int64         // of bytes, in the spans of holds
	stock    []int64       // by age in days, without held
	recent   int64         // bytes since an instant …
	recorded time.Duration // … in so much recorded time
}

// perDay is the rate of the recent footage by the time that was really recorded, so that a camera that was off for
// five days of seven is not averaged down.
func (f figures) perDay() int64 {
	if f.recorded <= 0 {
		return 0
	}
	return int64(float64(f.recent) / f.recorded.Hours() * 24)
}

// of sums up a camera. holds are those that keep its footage; recent counts from since on.
func (u *usage) of(camera string, days int, now, since time.Time, holds []footage.Span) figures {
	u.mu.Lock()
	defer u.mu.Unlock()
	f := figures{stock: make([]int64, days+1)}
	t := u.cameras[camera]
	if t == nil {
		return f
	}
	f.bytes = t.bytes
	for _, h := range t.hours {
		begin := time.Unix(h.hour*perHour, 0)
		if !begin.Before(since) && !begin.After(now) {
			f.recent, f.recorded = f.recent+h.bytes, f.recorded+h.time
		}
		hour := footage.Span{From: begin, To: begin.Add(time.Hour)}
		if slices.ContainsFunc(holds, hour.Overlaps) {
			f.held += h.bytes
			continue
		}
		age := int(now.Sub(begin).Hours() / 24)
		f.stock[min(max(age, 0), days)] += h.bytes
	}
	return f
}

// cameraIDs lists the cameras of which there is footage.
func (u *usage) cameraIDs() (ids []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for id, t := range u.cameras {
		if t.bytes > 0 {
			ids = append(ids, id)
		}
	}
	return ids
}
