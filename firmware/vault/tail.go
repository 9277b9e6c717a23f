package vault

import (
	"sync"
	"time"
)

// LiveFragment is one fragment at the moment it is handed over, before it is on the disk.
type LiveFragment struct {
	Fragment
	Camera  string
	Session uint64
	Codec   string
	Init    []byte // of the session's present parameters
	Lost    bool   // fragments before this one were dropped because the reader was slow
}

// tails are the readers of live footage.
type tails struct {
	mu   sync.Mutex
	subs map[string]map[*tail]struct{} // guarded by mu; by camera
	now  map[string]Live               // guarded by mu; what is being recorded
}

type tail struct {
	ch   chan LiveFragment
	lost bool
}

// tailRoom is how many fragments a slow reader may lag behind: about 16 s.
const tailRoom = 16

// Tail gives the fragments of a camera as they come, until cancel. A reader that is too slow misses some and
// sees it in Lost; it never holds anybody up. The channel is closed by cancel.
func (v *Vault) Tail(camera string) (fragments <-chan LiveFragment, cancel func()) {
	t := &v.tails
	s := &tail{ch: make(chan LiveFragment, tailRoom)}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.subs == nil {
		t.subs = map[string]map[*tail]struct{}{}
	}
	if t.subs[camera] == nil {
		t.subs[camera] = map[*tail]struct{}{}
	}
	t.subs[camera][s] = struct{}{}
	var once sync.Once
	return s.ch, func() {
		once.Do(func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			delete(t.subs[camera], s)
			close(s.ch)
		})
	}
}

// Live says what a camera records at present.
type Live struct {
	Session uint64
	Codec   string
	Init    []byte
	Last    time.Duration // monotonic end of the newest fragment
	Wall    time.Time     // what the clock claimed at its beginning
}

// Live says what was last handed over for a camera; ok is false when nothing was since the start.
func (v *Vault) Live(camera string) (l Live, ok bool) {
	v.tails.mu.Lock()
	defer v.tails.mu.Unlock()
	l, ok = v.tails.now[camera]
	return l, ok
}

func (t *tails) begin(m Meta) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now == nil {
		t.now = map[string]Live{}
	}
	t.now[m.Camera] = Live{Session: m.Session, Codec: m.Codec, Init: m.Init, Last: m.From, Wall: m.Wall}
}

func (t *tails) send(m Meta, f Fragment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.now[m.Camera]
	l.Last, l.Wall = f.To, f.Wall
	t.now[m.Camera] = l
	for s := range t.subs[m.Camera] {
		select {
		case s.ch <- LiveFragment{Fragment: f, Camera: m.Camera, Session: m.Session, Codec: m.Codec, Init: m.Init, Lost: s.lost}:
			s.lost = false
		default:
			s.lost = true
		}
	}
}
