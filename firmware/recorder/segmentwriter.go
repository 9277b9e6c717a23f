package recorder

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"campuskeep/firmware/vault"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

const (
	segmentTime = 60 * time.Second // a segment ends at the first key frame after this …
	segmentMax  = 70 * time.Second // … or here, whatever comes
	early       = 500 * time.Millisecond
	settleTime  = 5 * time.Second
)

// segmentWriter writes fragments into segments. It is used under its feed's lock.
type segmentWriter struct {
	camera  string
	vault   *vault.Vault
	reading func(time.Duration) clock.Reading
	zone    *time.Location
	log     *slog.Logger
	gap     *outage
	first   chan<- time.Duration // told once where the first fragment begins

	w       *vault.Writer
	began   time.Duration // of the open segment
	stream  *stream
	init    []byte // of stream
	session time.Duration
	to      time.Duration // end of what was last recorded
	waiting bool          // something was dropped: nothing can be shown before a key frame
	probing bool          // the disk failed and has to prove itself …
	again   time.Duration // … since here

	fragments, bytes uint64
}

// fragment takes the next fragment of the stream. What the vault does not take becomes a gap up to the next key
// frame that it takes.
func (k *segmentWriter) fragment(f fragment) error {
	if k.waiting && !f.key {
		return nil
	}
	if k.w != nil && (k.stream != f.stream || k.session != f.session ||
		(f.key && f.from-k.began >= segmentTime-early) || f.to-k.began > segmentMax) {
		k.close()
	}
	err := k.write(f)
	if errors.Is(err, vault.ErrAbandoned) {
		// Nothing that was handed over since this segment began is certain to be there.
		k.failed(k.began, CauseDisk, err)
		if !f.key {
			return nil
		}
		err = k.write(f)
	}
	if err != nil {
		k.failed(f.from, refusal(err), err)
		return nil
	}
	k.taken(f)
	return nil
}

// errInit: no segment can be begun with what the camera says about its pictures.
var errInit = errors.New("the stream's parameters make no segment")

// refusal is the cause of what the vault did not take.
func refusal(err error) Cause {
	switch {
	case errors.Is(err, vault.ErrOverload):
		return CauseOverload
	case errors.Is(err, vault.ErrLabel):
		return CauseClock
	case errors.Is(err, errInit):
		return CauseBadSets
	}
	return CauseDisk
}

// failed ends the segment: what is missed from here on is due to the cause.
func (k *segmentWriter) failed(from time.Duration, cause Cause, err error) {
	if !k.gap.open {
		k.log.Error("not recording", "camera", k.camera, "cause", cause, "err", err)
	}
	k.waiting, k.probing = true, cause == CauseDisk
	k.gap.lost(from, cause)
	k.close()
}

// taken notes what the vault took. After a disk error it has to hold for a while before the gap counts as over:
// a failing disk takes fragments and loses them a moment later.
func (k *segmentWriter) taken(f fragment) {
	if k.waiting {
		k.waiting, k.again = false, f.from
	}
	switch {
	case !k.probing:
		k.gap.back(f.from)
	case f.to-k.again >= settleTime:
		k.probing = false
		k.gap.back(k.again)
	}
	k.to = f.to
	if k.fragments == 0 {
		k.first <- f.from
	}
	k.fragments++
	k.bytes += uint64(len(f.data))
}

func (k *segmentWriter) write(f fragment) error {
	if k.w == nil {
		if k.stream != f.stream {
			init, err := f.stream.init()
			if err != nil {
				return fmt.Errorf("%w: %w", errInit, err)
			}
			k.stream, k.init = f.stream, init
		}
		at := k.reading(f.from)
		w, err := k.vault.Begin(vault.Meta{
			Camera: k.camera, Day: at.Wall.In(k.zone).Format(time.DateOnly), Boot: at.Boot, Session: uint64(f.session),
			Codec: f.stream.video.Codec, Init: k.init, From: f.from, Wall: at.Wall,
		})
		if err != nil {
			return err
		}
		k.w, k.began, k.session = w, f.from, f.session
	}
	return k.w.Fragment(vault.Fragment{
		FragmentInfo: footage.FragmentInfo{From: f.from, To: f.to, Key: f.key, Bytes: len(f.data)}, Data: f.data,
	})
}

func (k *segmentWriter) close() {
	if k.w == nil {
		return
	}
	if err := k.w.Close(); err != nil {
		k.log.Error("closing a segment", "camera", k.camera, "err", err)
	}
	k.w = nil
}
