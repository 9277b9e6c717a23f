package playback

import (
	"context"
	"sync"

	"campuskeep/shared/footage"
)

// LiveSource gives the fragments of a camera as they are recorded.
type LiveSource interface{}

// liveView is the window of a live viewing.
type liveView struct{ mu sync.Mutex }

func (l *liveView) stop()                    {}
func (l *liveView) init(int) ([]byte, error) { return nil, ErrNothing }
func (l *liveView) fragment(string, int) (b []byte, s footage.Span, err error) {
	return nil, s, ErrNothing
}
func (p *Player) livePlaylist(ctx context.Context, v *viewing) ([]byte, error) {
	return nil, ErrNothing
}
