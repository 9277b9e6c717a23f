package recorder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtp"

	"campuskeep/firmware/fmp4"
	"campuskeep/firmware/rtsp"
	"campuskeep/shared/clock"
)

// session connects once and records until the connection ends. Nothing of it is left running when it returns.
func (f *feed) session(ctx context.Context, cam Camera) error {
	f.enter(Connecting, f.lastCause())
	var tap socketReader
	client, err := rtsp.New(rtsp.Target{
		Address: cam.source(), User: cam.User, Password: cam.Password, Pin: cam.Pin, UDP: cam.UDP, Basic: cam.Basic, Digest: f.digest,
		Network: f.r.o.Network, Tap: tap.attach, Lost: f.missed, Damaged: func(error) { f.missed(1) },
	})
	if err != nil {
		return &fault{CauseStream, err}
	}
	defer client.Close()
	stop := context.AfterFunc(ctx, client.Close)
	defer stop()

	desc, err := client.Describe()
	f.digest = f.digest || client.OfferedDigest()
	if err != nil {
		return diagnose(err)
	}
	for _, l := range client.Skipped() {
		f.r.o.Log.Warn("a line of the camera's description cannot be read", "camera", f.id, "line", l.Line, "err", l.Why)
	}
	take, err := choose(desc, client.Skipped())
	if err != nil {
		return &fault{CauseStream, err}
	}
	if err := client.Setup(desc, take.media); err != nil {
		return diagnose(err)
	}
	audio := f.selectAudio(cam, desc)
	if audio != nil {
		if err := client.Setup(desc, audio.media); err != nil {
			f.audioRefused = true
			return errAudio{fmt.Errorf("the sound: %w", err)}
		}
	}
	f.start(cam, take.video, soundOf(desc), audio)
	failed := make(chan error, 1)
	packets := &packetSource{f: f, client: client, media: take.media, pictures: take.pictures}
	client.OnPacketRTP(take.media, take.format, func(pkt *rtp.Packet) { guarded(failed, func() { packets.take(pkt) }) })
	if audio != nil {
		client.OnPacketRTP(audio.media, audio.format, func(pkt *rtp.Packet) { guarded(failed, func() { f.takeAudio(audio, pkt) }) })
	}
	if err := client.Play(); err != nil {
		return diagnose(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- client.Wait() }()
	err = f.watch(ctx, &tap, ended, failed)
	client.Close()
	if err == nil { // watch gave up first; the client has ended now
		err = <-ended
	}
	return err
}

// guarded keeps what goes wrong with one camera's packets from ending the others: it ends this session.
func guarded(failed chan<- error, work func()) {
	defer func() {
		if p := recover(); p != nil {
			select {
			case failed <- fmt.Errorf("%v: %s", p, debug.Stack()):
			default:
			}
		}
	}()
	work()
}

// watch waits for the end of a session: the connection's, ours, or a stall. Every second it adapts how much the
// kernel gathers before it wakes us.
func (f *feed) watch(ctx context.Context, t *socketReader, ended, failed <-chan error) error {
	begun := f.r.o.Clock.Now().Mono
	before := begun
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			return &fault{CauseNetwork, err}
		case err := <-failed:
			return &fault{CauseFailed, err}
		case <-tick.C:
		}
		now := f.r.o.Clock.Now().Mono
		if now-before > minStandstill { // it was us who did not read: the camera gets its time again
			begun = now
		}
		before = now
		f.mu.Lock()
		last := max(f.frame, begun)
		f.gap.tick(now)
		f.mu.Unlock()
		if now-last > f.r.o.StallAfter {
			return &fault{CauseStalled, fmt.Errorf("no picture for %v", (now - last).Round(time.Second))}
		}
		if f.unrecorded(begun) > retryAfter {
			return &fault{f.lastCause(), errors.New("pictures come, and none can be recorded: asking again")}
		}
		t.adapt(f.live.Load())
	}
}

// After so long without anything to record, a new session may bring a key picture.
const retryAfter = 5 * time.Minute

// unrecorded says for how long pictures have come of which none went into the vault. Beyond patience that is a state
// and a gap of its own.
func (f *feed) unrecorded(begun time.Duration) time.Duration {
	now := f.r.o.Clock.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	from := max(begun, f.stored)
	span, why := now.Mono-from, f.mux.why
	switch {
	case f.frame <= begun:
		return 0
	case f.writer.waiting && f.gap.open:
		why = f.gap.cause
	case f.mux.used != nil: // a picture that is shown for long
		return 0
	}
	patience := f.r.o.StallAfter
	if why == CauseNoKey {
		patience = max(patience, f.r.o.KeyAfter)
	}
	if span < patience || f.state == Unusable && f.cause == why {
		return span
	}
	f.state, f.cause, f.since = Unusable, why, now
	f.gap.turn(from, why)
	f.r.o.Log.Warn("pictures arrive and none can be recorded", "camera", f.id, "cause", why, "for", span.Round(time.Second))
	return span
}

// start prepares for the first packet of a session.
func (f *feed) start(cam Camera, v fmp4.Video, offers string, e *audioTrack) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.thin, f.offers, f.stored = cam.thinned(), offers, 0
	f.mux = &muxer{now: v, time: videoLine(f.writer.to), emit: f.writer.fragment, frozen: func(from, to time.Duration) {
		f.gap.lost(from, CauseStalled)
		f.gap.back(to)
	}}
	if e != nil {
		f.mux.sound = newSound(e.audio)
	}
}

func (f *feed) lastCause() Cause {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cause
}

// missed counts packets that did not arrive whole.
func (f *feed) missed(n uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lost += n
}

// packetSource turns the packets of one session into pictures. Only the client's reading goroutine uses it.
type packetSource struct {
	f        *feed
	client   *rtsp.Client
	media    *description.Media
	pictures *rtsp.Pictures
	asked    time.Duration // when the camera's clock was last compared
}

func (s *packetSource) take(pkt *rtp.Packet) {
	now := s.f.r.o.Clock.Now()
	f := s.f
	err := s.pictures.Take(pkt, func(p rtsp.Picture) { f.picture(p, now) })
	if err != nil {
		f.missed(1)
	}
	if now.Mono-s.asked > 10*time.Second {
		s.asked = now.Mono
		if at, ok := s.client.PacketNTP(s.media, pkt); ok {
			d := at.Sub(now.Wall)
			f.mu.Lock()
			f.offset = &d
			f.mu.Unlock()
		}
	}
}

// picture records one picture. The camera is recorded when the vault has taken something of it, not before.
func (f *feed) picture(p rtsp.Picture, now clock.Reading) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frame = now.Mono
	before := f.writer.fragments
	if err := f.mux.accessUnit(p, now.Mono); err != nil {
		f.lost++
		f.r.o.Log.Error("picture not recorded", "camera", f.id, "err", err)
	}
	if f.writer.fragments == before {
		return
	}
	f.stored = now.Mono
	if f.state != Recording {
		f.state, f.cause, f.since = Recording, "", now
		f.r.o.Log.Info("recording", "camera", f.id)
	}
}

// chosen is what is taken of what a camera offers.
type chosen struct {
	media    *description.Media
	format   format.Format
	video    fmp4.Video
	pictures *rtsp.Pictures
}

// choose finds the first pictures that can be recorded. Errors: *rtsp.Error.
func choose(desc *description.Session, left []rtsp.Skipped) (c chosen, err error) {
	var names []string
	var why error
	for _, m := range desc.Medias {
		if m.Type != description.MediaTypeVideo || m.IsBackChannel {
			continue
		}
		for _, f := range m.Formats {
			c := chosen{media: m, format: f}
			switch f := f.(type) {
			case *format.H264:
				if f.PacketizationMode == 0 { // whole units alone can be read just as well
					f.PacketizationMode = 1
				}
				c.video.Codec = fmp4.H264
				c.video.Offer(f.SPS, f.PPS)
			case *format.H265:
				c.video.Codec = fmp4.H265
				c.video.Offer(f.VPS, f.SPS, f.PPS)
			}
			var err error
			if c.pictures, err = rtsp.NewPictures(f); err == nil {
				return c, nil
			}
			why = cmp.Or(why, err)
			name, _, _ := strings.Cut(f.RTPMap(), "/")
			names = append(names, cmp.Or(name, fmt.Sprint(f.PayloadType())))
		}
	}
	if len(names) > 0 {
		return c, &rtsp.Error{Trouble: rtsp.Codec, Detail: strings.Join(names, ", "), Err: why}
	}
	for _, l := range left {
		if l.Media == string(description.MediaTypeVideo) && l.Whole {
			return c, &rtsp.Error{Trouble: rtsp.Description, Detail: l.Line, Err: fmt.Errorf("what it says of its pictures cannot be read: %s", l)}
		}
	}
	return c, &rtsp.Error{Trouble: rtsp.SoundOnly, Err: errors.New("the camera offers no pictures")}
}
