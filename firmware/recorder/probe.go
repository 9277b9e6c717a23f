package recorder

import (
	"context"
	"crypto/tls"
	"errors"
	"math"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtp"

	"campuskeep/firmware/fmp4"
	"campuskeep/firmware/pin"
	"campuskeep/firmware/rtsp"
)

// Probed is what one stream of a camera turned out to be, as far as it was seen.
type Probed struct {
	Codec         string // "h264", "h265"
	Width, Height int
	Frames        int
	FPS           float64
	GOP           time.Duration // from one key frame to the next; 0: no two were seen
	GOPFrames     int
	Watched       time.Duration // from the first picture to the last
	Kbps          int
	Audio         string         // the sound it offers; empty: none
	Keepable      bool           // …and some of it can be recorded
	Pin           string         // SHA-256 of the certificate that it showed, also when it was refused; rtsps only
	Cause         Cause          // why it failed
	Remote        netip.Addr     // whom we really spoke to
	Unread        []rtsp.Skipped // lines of the description that cannot be read
}

// The time of a probe: it watches for the first, and goes on to the second while no two key frames were seen.
const (
	probeLeast = 4 * time.Second
	probeMost  = 12 * time.Second
	probeReach = 6 * time.Second // to be connected and answered
)

// Probe connects to a camera's main stream once, watches for a few seconds and returns what comes. It sends the
// password once at most: a camera that refuses it is not asked again, because cameras lock.
func Probe(ctx context.Context, cam Camera) (Probed, error) {
	cam.Thin = false
	var p probe
	err := p.run(ctx, cam)
	p.mu.Lock()
	defer p.mu.Unlock()
	got := p.sum()
	var why *fault
	if errors.As(err, &why) {
		got.Cause = why.cause
	}
	return got, err
}

// probe gathers what comes; packets arrive on a goroutine of the client.
type probe struct {
	mu         sync.Mutex
	got        Probed
	video      fmp4.Video
	began, end time.Time // arrival of the first and the last picture
	from       uint32    // RTP time of the first picture
	low, high  int64     // RTP times of pictures, from the first
	bytes      int
	keys       []int64 // RTP times of key frames
	keyFrames  []int   // number of pictures before each
	keyBytes   []int
	whole      chan struct{} // closed at the second key frame
}

func (p *probe) run(ctx context.Context, cam Camera) error {
	p.whole = make(chan struct{})
	client, err := rtsp.New(rtsp.Target{
		Address: cam.source(), User: cam.User, Password: cam.Password, UDP: cam.UDP, Basic: cam.Basic, Timeout: probeReach, TLS: p.tls(cam.Pin),
	})
	if err != nil {
		return &fault{CauseStream, err}
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, probeReach+probeMost)
	defer cancel()
	stop := context.AfterFunc(ctx, client.Close)
	defer stop()

	desc, err := client.Describe()
	p.got.Remote = client.Guard().Remote()
	if err != nil {
		return p.refused(err)
	}
	p.got.Unread = client.Skipped()
	p.got.Audio, p.got.Keepable = soundOf(desc), findAudio(desc) != nil
	take, err := choose(desc, client.Skipped())
	if err != nil {
		return &fault{CauseStream, err}
	}
	p.video, p.got.Codec = take.video, take.video.Codec
	if err := client.Setup(desc, take.media); err != nil {
		return p.refused(err)
	}
	failed := make(chan error, 1)
	client.OnPacketRTP(take.media, take.format, func(pkt *rtp.Packet) {
		guarded(failed, func() {
			_ = take.pictures.Take(pkt, func(x rtsp.Picture) { p.take(x.NALs, x.Stamp) }) // what is damaged is not counted
		})
	})
	if err := client.Play(); err != nil {
		return p.refused(err)
	}
	return p.watch(ctx, client, failed)
}

// watch waits until enough was seen.
func (p *probe) watch(ctx context.Context, client *rtsp.Client, failed <-chan error) error {
	ended := make(chan error, 1)
	go func() { ended <- client.Wait() }()
	least, most := time.NewTimer(probeLeast), time.NewTimer(probeMost)
	defer least.Stop()
	defer most.Stop()
	whole := p.whole
	var enough [2]bool // watched for the least, saw two key frames
	for !enough[0] || !enough[1] {
		select {
		case <-ctx.Done():
			return &fault{CauseOffline, ctx.Err()}
		case err := <-ended:
			return &fault{CauseNetwork, err}
		case err := <-failed:
			return &fault{CauseFailed, err}
		case <-least.C:
			enough[0] = true
		case <-whole:
			enough[1], whole = true, nil
		case <-most.C:
			enough = [2]bool{true, true}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.got.Frames == 0:
		return &fault{CauseStalled, errors.New("connected, but no picture came")}
	case p.video.SPS == nil && p.video.Unusable:
		return &fault{CauseBadSets, errors.New("its parameter sets cannot be used")}
	case !p.video.Complete():
		return &fault{CauseNoSets, errors.New("no parameter sets came")}
	}
	return nil
}

func (p *probe) take(au [][]byte, stamp uint32) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	size, key := 0, false
	for _, nal := range au {
		size += len(nal)
		unit := p.video.Absorb(nal)
		key = key || unit == fmp4.Key || unit == fmp4.Recovery
	}
	if p.got.Frames == 0 {
		p.began, p.from = now, stamp
	}
	t := int64(int32(stamp - p.from))
	p.low, p.high = min(p.low, t), max(p.high, t)
	if key {
		p.keys, p.keyFrames, p.keyBytes = append(p.keys, t), append(p.keyFrames, p.got.Frames), append(p.keyBytes, p.bytes)
		if len(p.keys) == 2 {
			close(p.whole)
		}
	}
	p.got.Frames++
	p.bytes += size
	p.end = now
}

// sum makes figures of what was gathered. The bit rate is that of whole groups of pictures when there are any: a key
// frame weighs as much as many others.
func (p *probe) sum() Probed {
	got := p.got
	shape := p.video.Shape()
	got.Width, got.Height = shape.Width, shape.Height
	got.Watched = p.end.Sub(p.began)
	const rate = 90000.0
	if span := float64(p.high-p.low) / rate; got.Frames > 1 && span > 0 {
		got.FPS = math.Round(float64(got.Frames-1)/span*100) / 100
		got.Kbps = int(float64(p.bytes) * 8 / span / 1000)
	}
	if n := len(p.keys); n > 1 {
		span := float64(p.keys[n-1]-p.keys[0]) / rate
		got.GOP = time.Duration(span / float64(n-1) * float64(time.Second))
		got.GOPFrames = (p.keyFrames[n-1] - p.keyFrames[0]) / (n - 1)
		if span > 0 {
			got.Kbps = int(float64(p.keyBytes[n-1]-p.keyBytes[0]) * 8 / span / 1000)
		}
	}
	return got
}

// refused sorts the error of a request, and keeps the certificate that a camera showed in vain: anyone who installs
// it compares the fingerprint and pins it.
func (p *probe) refused(err error) error {
	unknown, ok := errors.AsType[*tls.CertificateVerificationError](err)
	if ok && len(unknown.UnverifiedCertificates) > 0 {
		p.mu.Lock()
		p.got.Pin = pin.Of(unknown.UnverifiedCertificates[0].Raw)
		p.mu.Unlock()
	}
	return diagnose(err)
}

func (p *probe) tls(pinned string) *tls.Config {
	c := pin.TLS(pinned)
	check := c.VerifyConnection
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) > 0 {
			p.mu.Lock()
			p.got.Pin = pin.Of(s.PeerCertificates[0].Raw)
			p.mu.Unlock()
		}
		if check == nil {
			return nil
		}
		return check(s)
	}
	return c
}

// soundOf names the sound that a camera offers, whether or not we can keep it.
func soundOf(desc *description.Session) string {
	for _, m := range desc.Medias {
		if m.Type != description.MediaTypeAudio || m.IsBackChannel {
			continue
		}
		for _, f := range m.Formats {
			switch f.(type) {
			case *format.MPEG4Audio, *format.MPEG4AudioLATM:
				return "AAC"
			case *format.G711:
				return "G.711"
			case *format.G726:
				return "G.726"
			case *format.G722:
				return "G.722"
			case *format.Opus:
				return "Opus"
			}
			name, _, _ := strings.Cut(f.RTPMap(), "/")
			return name
		}
	}
	return ""
}
