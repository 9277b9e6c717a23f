package viewing

import (
	"sync"
	"time"
)

// endGrace is how long a viewing waits for its page to come back: loading it again does not end it.
const endGrace = 5 * time.Second

// departures are the pages that went away and may come back. The zero value has none.
type departures struct {
	mu    sync.Mutex
	left  map[string]*time.Timer // by viewing; guarded by mu
	pages map[string]int         // that show a viewing; guarded by mu
}

// shown counts a page that shows a viewing, until the returned function is called. A browser tells that a page went away
// only after the server has made the one that follows it, so what counts is whether one is there at the end of the grace.
func (d *departures) shown(id string) (gone func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pages == nil {
		d.pages = map[string]int{}
	}
	d.pages[id]++
	return sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.pages[id]--; d.pages[id] == 0 {
			delete(d.pages, id)
		}
	})
}

// scheduleEnd calls end after the grace, unless stay is called before.
func (d *departures) scheduleEnd(id string, end func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left == nil {
		d.left = map[string]*time.Timer{}
	}
	if d.left[id] != nil {
		return
	}
	var t *time.Timer
	t = time.AfterFunc(endGrace, func() {
		d.mu.Lock()
		gone := d.left[id] == t // else the page came back in the moment that this began
		if gone {
			delete(d.left, id)
			gone = d.pages[id] == 0
		}
		d.mu.Unlock()
		if gone {
			end()
		}
	})
	d.left[id] = t
}

// cancelEnd takes back what leave began.
func (d *departures) cancelEnd(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t := d.left[id]; t != nil {
		t.Stop()
		delete(d.left, id)
	}
}
