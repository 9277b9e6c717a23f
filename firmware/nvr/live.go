package nvr

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"campuskeep/firmware/nvr/driver"

	"crypto/rand"

	"campuskeep/firmware/vault"
	"campuskeep/shared/footage"
)

const (
	// tailBuffer is how many fragments a slow reader may lag behind.
	tailBuffer = 16
	// liveRetry is how long an NVR is left alone when its live pictures have broken off.
	liveRetry = 3 * time.Second
)

// view is a camera that somebody watches live. One connection serves all who do.
type view struct {
	readers map[chan vault.LiveFragment]bool // value: it has missed some
	stop    context.CancelFunc
}

// Tail gives the pictures of a camera as they come from its NVR, until the returned function ends it. A reader that is
// too slow misses some and sees it in Lost. The channel is closed by the end, and when the NVR will not give any.
func (r *Supervisor) Tail(camera string) (<-chan vault.LiveFragment, func()) {
	ch := make(chan vault.LiveFragment, tailBuffer)
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.views[camera]
	if v == nil {
		ctx, stop := context.WithCancel(context.Background()) // ends with its last reader
		v = &view{readers: map[chan vault.LiveFragment]bool{}, stop: stop}
		r.views[camera] = v
		go r.streamLive(ctx, camera, v)
	}
	v.readers[ch] = false
	return ch, sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if _, there := v.readers[ch]; there {
			delete(v.readers, ch)
			close(ch)
		}
		if len(v.readers) == 0 {
			r.endView(camera, v)
		}
	})
}

// endView takes a view away, with its remaining readers. The caller holds mu.
func (r *Supervisor) endView(camera string, v *view) {
	v.stop()
	for ch := range v.readers {
		delete(v.readers, ch)
		close(ch)
	}
	if r.views[camera] == v {
		delete(r.views, camera)
	}
}

// streamLive receives a camera for as long as somebody watches.
func (r *Supervisor) streamLive(ctx context.Context, camera string, v *view) {
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.endView(camera, v)
	}()
	for ctx.Err() == nil {
		err := r.receive(ctx, camera, v)
		if ctx.Err() != nil {
			return
		}
		r.o.Log.Warn("live pictures from an NVR broke off", "camera", camera, "err", err)
		if errors.Is(err, driver.ErrRefused) || errors.Is(err, driver.ErrForbidden) || errors.Is(err, driver.ErrInClear) || errors.Is(err, ErrRetired) {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(liveRetry):
		}
	}
}

// receive takes a camera's pictures from its NVR until they break off.
func (r *Supervisor) receive(ctx context.Context, camera string, v *view) (err error) {
	id, channel, ok := r.attachedTo(camera)
	d, there := r.device(id)
	if !ok || !there {
		return ErrRetired
	}
	login, rev, s, err := r.loginOf(id)
	if err != nil {
		return err
	}
	if s.Refused != 0 && s.Refused == rev || s.Fault == FaultOther {
		return driver.ErrRefused
	}
	conn, err := r.Kind(d.v).Open(Target{d.v, login.Login}.connection())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	var b [8]byte
	rand.Read(b[:]) // never fails
	f := feed{r: r, v: v, camera: camera, session: binary.BigEndian.Uint64(b[:])}
	f.mux.emit = f.group
	err = conn.Live(ctx, channel, f.add)
	if errors.Is(err, driver.ErrRefused) {
		err = errors.Join(err, r.liveRefused(ctx, id, rev))
	}
	return err
}

// liveRefused remembers that a password was refused, as [Supervisor.connected] does.
func (r *Supervisor) liveRefused(ctx context.Context, id string, rev uint64) error {
	l := r.connectionOf(id)
	select { // the state has one writer
	case l.slot <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-l.slot }()
	l.stale.Store(true)
	return r.updateState(context.WithoutCancel(ctx), id, func(s *State) { s.Refused = rev })
}

// feed hands the pictures of one connection to its viewers.
type feed struct {
	r       *Supervisor
	v       *view
	camera  string
	session uint64
	mux     muxer
	init    []byte
	begun   bool
	began   time.Duration // monotonic, of the first picture
}

func (f *feed) add(a driver.AccessUnit) error {
	if !f.begun {
		f.begun, f.began = true, f.r.o.Clock.Now().Mono
	}
	return f.mux.add(a)
}

// group hands over a whole group of pictures.
func (f *feed) group(g group) error {
	if string(f.init) != string(g.init) {
		if f.init != nil {
			f.session++
		}
		f.init = g.init
	}
	now := f.r.o.Clock.Now()
	for _, x := range g.fragments {
		from, to := f.began+fromTicks(x.from), f.began+fromTicks(x.to)
		f.send(vault.LiveFragment{
			Fragment: vault.Fragment{FragmentInfo: footage.FragmentInfo{From: from, To: to, Key: x.key}, Wall: now.Wall.Add(from - now.Mono), Data: x.data},
			Camera:   f.camera, Session: f.session, Codec: g.codec, Init: g.init,
		})
	}
	return nil
}

func (f *feed) send(x vault.LiveFragment) {
	f.r.mu.Lock()
	defer f.r.mu.Unlock()
	for ch, lost := range f.v.readers {
		x.Lost = lost
		select {
		case ch <- x:
			f.v.readers[ch] = false
		default:
			f.v.readers[ch] = true
		}
	}
}
