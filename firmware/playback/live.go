package playback

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"campuskeep/firmware/vault"
	"campuskeep/shared/footage"
)

// LiveSource gives the fragments of a camera as they are recorded; the returned function ends it. *recorder.Recorder
// is one, and then holds nothing back while somebody watches; *vault.Vault is another.
type LiveSource interface {
	Tail(camera string) (<-chan vault.LiveFragment, func())
}

const (
	liveListed = 6 // pieces in a live playlist
	liveKept   = 6 // pieces that stay fetchable after they left it
	// A piece goes from key frame to key frame, so that a player can start with any; where key frames are rarer
	// than this it is cut without one.
	livePiece = 4 * time.Second
	// How long the first playlist waits for a first piece.
	liveWait = 15 * time.Second
	// liveName represents the segment in the addresses of live pieces.
	liveName = "live"
)

// liveView is the window of one live viewing. It is filled when the player asks: nothing runs between requests.
type liveView struct {
	mu      sync.Mutex
	in      <-chan vault.LiveFragment
	cancel  func()
	stopped bool
	next    *piece // in the making; nil until a key frame
	pieces  []piece
	inits   []liveInit
	breaks  int // discontinuities before the first piece that is kept
	seq     int // of the first piece that is kept
	longest time.Duration
}

type piece struct {
	init  int
	fresh bool // does not continue the piece before
	span  footage.Span
	to    time.Duration // monotonic
	cuts  []cut         // until it is finished
	data  []byte
}

type liveInit struct {
	session uint64
	data    []byte
	line    *initSection
}

// start subscribes at the first request.
func (l *liveView) start(src LiveSource, camera string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return ErrUnknown
	}
	if l.in == nil {
		l.in, l.cancel = src.Tail(camera)
		l.longest = time.Second
	}
	return nil
}

func (l *liveView) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	if l.cancel != nil {
		l.cancel()
		l.cancel = nil
	}
}

// add takes the next fragment of the camera.
func (l *liveView) add(f vault.LiveFragment) {
	fresh := f.Lost || len(l.inits) == 0 || l.inits[len(l.inits)-1].session != f.Session
	span := footage.Span{From: f.Wall, To: f.Wall.Add(f.To - f.From)}
	if p := l.next; p != nil {
		fresh = fresh || f.From-p.to > hole
		if fresh || f.Key || span.To.Sub(p.span.From) > livePiece {
			var after []byte
			if !fresh {
				after = f.Data
			}
			fresh = !l.finish(after) || fresh
		} else {
			p.span.To, p.to = span.To, f.To
			p.cuts = append(p.cuts, cut{span, f.Data})
			return
		}
	} else {
		fresh = true
	}
	if fresh && !f.Key {
		return // nothing can be shown before a key frame
	}
	if fresh && (len(l.inits) == 0 || l.inits[len(l.inits)-1].session != f.Session) {
		l.inits = append(l.inits, newLiveInit(f))
	}
	l.next = &piece{init: len(l.inits) - 1, fresh: fresh, span: span, to: f.To, cuts: []cut{{span, f.Data}}}
}

// newLiveInit reads an initialisation section. What cannot be read goes out as it is.
func newLiveInit(f vault.LiveFragment) liveInit {
	line, err := newInitSection(f.Init)
	if err != nil {
		return liveInit{f.Session, f.Init, nil}
	}
	data, err := line.bytes(f.Init)
	if err != nil {
		return liveInit{f.Session, f.Init, nil}
	}
	return liveInit{f.Session, data, line}
}

// finish moves the piece in the making to the window and lets the oldest go; after is the fragment that continues it,
// if one does. A piece that cannot be read is left out: false.
func (l *liveView) finish(after []byte) bool {
	p := l.next
	l.next = nil
	if line := l.inits[p.init].line; line != nil {
		var err error
		m := fragmentWriter{section: line, span: footage.Span{To: p.span.To.Add(hole)}}
		if p.data, err = m.take(p.cuts, after); err != nil {
			return false
		}
	} else {
		for _, c := range p.cuts {
			p.data = append(p.data, c.data...)
		}
	}
	p.cuts = nil
	l.longest = max(l.longest, p.span.Duration())
	l.pieces = append(l.pieces, *p)
	for len(l.pieces) > liveListed+liveKept {
		if l.pieces[0].fresh {
			l.breaks++
		}
		l.pieces = l.pieces[1:]
		l.seq++
	}
	return true
}

// drain takes what has come; when there is nothing to show yet it waits for it.
func (l *liveView) drain(ctx context.Context) error {
	for {
		l.mu.Lock()
		for more := true; more; {
			select {
			case f, ok := <-l.in:
				if !ok {
					l.mu.Unlock()
					return fmt.Errorf("playback: live pictures ended: %w", ErrNothing)
				}
				l.add(f)
			default:
				more = false
			}
		}
		ready := len(l.pieces) > 0
		in := l.in
		l.mu.Unlock()
		if ready {
			return nil
		}
		select {
		case f, ok := <-in:
			if !ok {
				return fmt.Errorf("playback: live pictures ended: %w", ErrNothing)
			}
			l.mu.Lock()
			l.add(f)
			l.mu.Unlock()
		case <-ctx.Done():
			return fmt.Errorf("playback: no live pictures: %w", ErrNothing)
		}
	}
}

func (p *Player) livePlaylist(ctx context.Context, v *viewing) ([]byte, error) {
	if err := v.live.start(p.live, v.Camera); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, liveWait)
	defer cancel()
	if err := v.live.drain(ctx); err != nil {
		return nil, err
	}
	return v.live.playlist(), nil
}

func (l *liveView) playlist() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	skip := max(len(l.pieces)-liveListed, 0)
	breaks := l.breaks
	for _, p := range l.pieces[:skip] {
		if p.fresh {
			breaks++
		}
	}
	b := []byte("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:")
	b = strconv.AppendInt(b, int64((l.longest+time.Second-1)/time.Second), 10)
	b = append(b, "\n#EXT-X-MEDIA-SEQUENCE:"...)
	b = strconv.AppendInt(b, int64(l.seq+skip), 10)
	b = append(b, "\n#EXT-X-DISCONTINUITY-SEQUENCE:"...)
	b = strconv.AppendInt(b, int64(breaks), 10)
	b = append(b, '\n')
	for i, p := range l.pieces[skip:] {
		if p.fresh {
			b = append(b, "#EXT-X-DISCONTINUITY\n"...)
		}
		if i == 0 || p.fresh {
			b = appendMap(b, p.init)
		}
		b = appendDate(b, p.span.From)
		b = appendPart(b, p.span.Duration(), liveName, l.seq+skip+i)
	}
	return b
}

func (l *liveView) init(n int) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n < 0 || n >= len(l.inits) {
		return nil, ErrNoPart
	}
	return l.inits[n].data, nil
}

func (l *liveView) fragment(name string, seq int) ([]byte, footage.Span, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := seq - l.seq
	if name != liveName || i < 0 || i >= len(l.pieces) {
		return nil, footage.Span{}, ErrNoPart
	}
	return l.pieces[i].data, l.pieces[i].span, nil
}
