package player

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"campuskeep/firmware/usage"
	"campuskeep/firmware/viewing"
)

// watched is the open viewing of a request, with a context that ends with either.
func (c *call) watched() (viewing.Opened, context.Context, func(), error) {
	return c.o.d.Viewings.Within(c.R.Context(), c.R.PathValue("id"))
}

func (o *Pages) playlist(c *call) error {
	v, ctx, done, err := c.watched()
	if err != nil {
		return err
	}
	defer done()
	b, err := o.d.Player.Playlist(ctx, v.ID)
	if v.Context().Err() != nil { // it may have waited for the first picture meanwhile
		return usage.ErrEnded
	}
	if err != nil {
		return err
	}
	c.W.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
	c.Send(http.StatusOK, b)
	return nil
}

func (o *Pages) initSection(c *call) error {
	n, err := number(c.R.PathValue("file"), ".mp4")
	if err != nil {
		return err
	}
	return c.video(func(ctx context.Context, id string) ([]byte, error) { return o.d.Player.Init(ctx, id, n) })
}

func (o *Pages) fragment(c *call) error {
	n, err := number(c.R.PathValue("file"), ".m4s")
	if err != nil {
		return err
	}
	return c.video(func(ctx context.Context, id string) ([]byte, error) {
		return o.d.Player.Fragment(ctx, id, c.R.PathValue("segment"), n)
	})
}

// videoPiece is how much of an answer is handed to the network at a time: between two pieces the end is looked at.
const videoPiece = 32 << 10

// video sends bytes of footage: never compressed, never kept, and cut off in the middle when the viewing ends. A
// browser that reads slowly must not go on to receive what its person may see no more.
func (c *call) video(read func(context.Context, string) ([]byte, error)) error {
	v, ctx, done, err := c.watched()
	if err != nil {
		return err
	}
	defer done()
	b, err := read(ctx, v.ID)
	if v.Context().Err() != nil {
		return usage.ErrEnded
	}
	if err != nil {
		return err
	}
	h := c.W.Header()
	h.Set("Content-Type", "video/mp4")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set("Cache-Control", "no-store, private")
	c.W.WriteHeader(http.StatusOK)
	ctl, cutting := http.NewResponseController(c.W), make(chan struct{})
	stop := context.AfterFunc(v.Context(), func() {
		defer close(cutting)
		// A write that waits for the browser ends at once; the next one does not begin.
		if err := ctl.SetWriteDeadline(time.Unix(1, 0)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			c.o.d.Log.Error("an answer of a viewing that ended could not be cut", "viewing", v.ID, "err", err)
		}
	})
	defer func() {
		if !stop() {
			<-cutting // it must not touch the connection once this answer is over
		}
	}()
	for len(b) > 0 {
		if v.Context().Err() != nil {
			panic(http.ErrAbortHandler) // the browser sees a broken answer, not a short one
		}
		n := min(len(b), videoPiece)
		if _, err := c.W.Write(b[:n]); err != nil {
			if v.Context().Err() != nil {
				panic(http.ErrAbortHandler)
			}
			c.o.d.Log.Debug("browser went away", "path", c.R.URL.Path)
			return nil
		}
		b = b[n:]
	}
	return nil
}
