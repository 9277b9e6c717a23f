package render

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// pieceLength is how many pictures of a stream are encoded at once.
const pieceLength = 100

// Stream is what a camera sends, encoded before it is due: its pictures are the same each time, and nothing hangs on
// how fast they are made. All methods may be called from any goroutine.
type Stream struct {
	name   string
	coding Coding
	first  uint32
	every  uint32

	mu  sync.Mutex
	aus [][][]byte
}

type streamKey struct {
	name   string
	coding Coding
	every  uint32
}

var streams = struct {
	mu  sync.Mutex
	all map[streamKey]*Stream
}{all: map[streamKey]*Stream{}}

// NewStream describes the pictures of the named camera with the counters first, first+every and so on, of which the
// first is a key picture. Those that begin at 0 are encoded once in a process. There must be no B-frames.
func NewStream(name string, c Coding, first, every uint32) *Stream {
	s := &Stream{name: name, coding: c, first: first, every: every}
	if first > 0 {
		return s
	}
	streams.mu.Lock()
	defer streams.mu.Unlock()
	k := streamKey{name, c, every}
	if streams.all[k] == nil {
		streams.all[k] = s
	}
	return streams.all[k]
}

// At gives the access unit with a counter, which is one of the stream's.
func (s *Stream) At(ctx context.Context, counter uint32) ([][]byte, error) {
	i := int((counter - s.first) / s.every)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i >= len(s.aus) {
		if err := s.more(ctx); err != nil {
			return nil, err
		}
	}
	return s.aus[i], nil
}

// more encodes the next piece, which ends before a key picture. The caller holds mu.
func (s *Stream) more(ctx context.Context) error {
	gop := max(s.coding.GOP, 1)
	n := (pieceLength + gop - 1) / gop * gop
	var piece [][][]byte
	enc, err := NewEncoder(ctx, s.coding, func(au [][]byte) { piece = append(piece, au) })
	if err != nil {
		return err
	}
	view := New(s.name, s.coding.W, s.coding.H, false)
	morning := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	for k := range n {
		counter := s.first + uint32(len(s.aus)+k)*s.every
		if err = enc.Frame(view.Draw(morning.Add(time.Duration(counter)*100*time.Millisecond), counter)); err != nil {
			break
		}
	}
	if closeErr := enc.Close(); err == nil {
		err = closeErr
	}
	if err == nil && len(piece) != n {
		err = fmt.Errorf("scene: %d access units of %d pictures", len(piece), n)
	}
	if err != nil {
		return err
	}
	s.aus = append(s.aus, piece...)
	return nil
}
