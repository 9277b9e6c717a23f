package recorder

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph264"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph265"
	"github.com/pion/rtp"

	"campuskeep/firmware/fmp4"
	"campuskeep/firmware/pin"
)

// session connects once and records until the connection ends. Nothing of it is left running when it returns.
func (f *feed) session(ctx context.Context, cam Camera) error {
	u, err := address(cam)
	if err != nil {
		return &fault{CauseStream, err}
	}
	f.enter(Connecting, f.lastCause())
	protocol := gortsplib.ProtocolTCP
	if cam.UDP {
		protocol = gortsplib.ProtocolUDP
	}
	tap := tap{host: u.Hostname()}
	client := &gortsplib.Client{
		Scheme: u.Scheme, Host: u.Host, Protocol: &protocol, UserAgent: "campuskeep", UDPReadBufferSize: 512 << 10,
		DialContext:   tap.dial,
		TLSConfig:     pin.TLS(cam.Pin),
		OnPacketsLost: f.missed,
		OnDecodeError: func(error) { f.missed(1) },
	}
	if err := client.Start(); err != nil {
		return &fault{CauseStream, fmt.Errorf("start client: %w", err)}
	}
	defer client.Close()
	stop := context.AfterFunc(ctx, client.Close)
	defer stop()

	desc, _, err := client.Describe(u)
	if err != nil {
		return diagnose(fmt.Errorf("describe: %w", err))
	}
	media, forma, video, decode, err := choose(desc)
	if err != nil {
		return &fault{CauseStream, err}
	}
	if _, err := client.Setup(desc.BaseURL, media, 0, 0); err != nil {
		return diagnose(fmt.Errorf("setup: %w", err))
	}
	ear := f.listen(cam, desc)
	if ear != nil {
		if _, err := client.Setup(desc.BaseURL, ear.media, 0, 0); err != nil {
			f.deaf = true
			return errSound{fmt.Errorf("setup of the sound: %w", err)}
		}
	}
	f.start(cam, video, soundOf(desc), ear)
	packets := &packetSource{f: f, client: client, media: media, decode: decode}
	client.OnPacketRTP(media, forma, packets.take)
	if ear != nil {
		client.OnPacketRTP(ear.media, ear.format, func(pkt *rtp.Packet) { f.hear(ear, pkt) })
	}
	if _, err := client.Play(nil); err != nil {
		return diagnose(fmt.Errorf("play: %w", err))
	}
	ended := make(chan error, 1)
	go func() { ended <- client.Wait() }()
	err = f.watch(ctx, &tap, ended)
	client.Close()
	if err == nil { // watch gave up first; the client has ended now
		err = <-ended
	}
	return err
}

// watch waits for the end of a session: the connection's, ours, or a stall. Every second it adapts how much the
// kernel gathers before it wakes us.
func (f *feed) watch(ctx context.Context, t *tap, ended <-chan error) error {
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
		case <-tick.C:
		}
		now := f.r.o.Clock.Now().Mono
		if now-before > ownStop { // it was us who did not read: the camera gets its time again
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
		t.adapt(f.live.Load())
	}
}

// start prepares for the first packet of a session.
func (f *feed) start(cam Camera, v fmp4.Video, offers string, e *ear) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.thin, f.offers = cam.thinned(), offers
	f.mux = &muxer{now: v, time: videoLine(f.keep.to), emit: f.keep.fragment, frozen: func(from, to time.Duration) {
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

// packetSource turns the packets of one session into access units. Only the client's reading goroutine uses it.
type packetSource struct {
	f      *feed
	client *gortsplib.Client
	media  *description.Media
	decode func(*rtp.Packet) ([][]byte, error)
	before uint32        // RTP time of the packet before
	asked  time.Duration // when the camera's clock was last compared
}

func (s *packetSource) take(pkt *rtp.Packet) {
	stamp := pkt.Timestamp
	if !pkt.Marker { // an access unit given now was ended by this packet and belongs to the one before
		stamp = s.before
	}
	s.before = pkt.Timestamp
	au, err := s.decode(pkt)
	if err != nil || len(au) == 0 {
		if err != nil && !unfinished(err) {
			s.f.missed(1)
		}
		return
	}
	now := s.f.r.o.Clock.Now()
	f := s.f
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frame = now.Mono
	if f.state != Recording {
		f.state, f.cause, f.since = Recording, "", now
		f.r.o.Log.Info("recording", "camera", f.id)
	}
	if err := f.mux.accessUnit(au, stamp, now.Mono); err != nil {
		f.lost++
		f.r.o.Log.Error("picture not recorded", "camera", f.id, "err", err)
	}
	if now.Mono-s.asked > 10*time.Second {
		s.asked = now.Mono
		if at, ok := s.client.PacketNTP(s.media, pkt); ok {
			d := at.Sub(now.Wall)
			f.offset = &d
		}
	}
}

// choose finds the first video that can be recorded.
func choose(desc *description.Session) (*description.Media, format.Format, fmp4.Video, func(*rtp.Packet) ([][]byte, error), error) {
	var a *format.H264
	if m := desc.FindFormat(&a); m != nil {
		d, err := a.CreateDecoder()
		if err != nil {
			return nil, nil, fmp4.Video{}, nil, fmt.Errorf("H.264 over RTP: %w", err)
		}
		p := fmp4.Video{Codec: fmp4.H264}
		p.Offer(a.SPS, a.PPS)
		return m, a, p, d.Decode, nil
	}
	var b *format.H265
	if m := desc.FindFormat(&b); m != nil {
		d, err := b.CreateDecoder()
		if err != nil {
			return nil, nil, fmp4.Video{}, nil, fmt.Errorf("H.265 over RTP: %w", err)
		}
		p := fmp4.Video{Codec: fmp4.H265}
		p.Offer(b.VPS, b.SPS, b.PPS)
		return m, b, p, d.Decode, nil
	}
	return nil, nil, fmp4.Video{}, nil, errors.New("the camera offers neither H.264 nor H.265")
}

// address is where to connect, with the password.
func address(cam Camera) (*base.URL, error) {
	u, err := base.ParseURL(cam.source())
	if err != nil {
		return nil, fmt.Errorf("address of camera %s: %w", cam.ID, err)
	}
	if u.Scheme != "rtsp" && u.Scheme != "rtsps" {
		return nil, fmt.Errorf("address of camera %s: scheme %q is neither rtsp nor rtsps", cam.ID, u.Scheme)
	}
	if cam.User != "" {
		u.User = url.UserPassword(cam.User, cam.Password)
	}
	return u, nil
}

// dial connects, and counts and gathers what comes in.
func (t *tap) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if err := t.permit(address); err != nil {
		return nil, err
	}
	c, err := (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return t.attach(c), nil
}

// A camera may send us on, but not in circles.
const maxDials = 5

var errElsewhere = errors.New("the camera sends us to another device, or in circles")

// permit keeps us, and the password, at the device that was set up, whatever it answers.
func (t *tap) permit(address string) error {
	t.dials++
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("address %s: %w", address, err)
	}
	if host != t.host || t.dials > maxDials {
		return fmt.Errorf("%w: %s", errElsewhere, host)
	}
	return nil
}

// unfinished says whether an error of a packet decoder only means that more packets are needed.
func unfinished(err error) bool {
	return errors.Is(err, rtph264.ErrMorePacketsNeeded) || errors.Is(err, rtph264.ErrNonStartingPacketAndNoPrevious) ||
		errors.Is(err, rtph265.ErrMorePacketsNeeded) || errors.Is(err, rtph265.ErrNonStartingPacketAndNoPrevious)
}
