package camera

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/auth"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"
	"github.com/pion/rtp"
)

// server is the RTSP side of a camera from switching on to switching off.
type server struct {
	c          *Camera
	server     *gortsplib.Server
	stream     *gortsplib.ServerStream
	media      *description.Media
	audioMedia *description.Media // of the sound; nil when there is none
	h264       *format.H264
	h265       *format.H265
	encode     func(au [][]byte) ([]*rtp.Packet, error)
	base       uint32 // RTP time of picture 0
	soundBase  uint32
	sent       int
	held       *rtp.Packet // waits for the next one, to follow it

	mu    sync.Mutex
	conns map[*gortsplib.ServerConn]struct{}
}

// newServer listens; the caller holds c.mu.
func newServer(c *Camera) (*server, error) {
	f := &server{c: c, base: rand.Uint32(), soundBase: rand.Uint32(), conns: map[*gortsplib.ServerConn]struct{}{}}
	if err := f.describe(); err != nil {
		return nil, err
	}
	if c.o.Wrap {
		f.base = -uint32(c.counter*uint32(90000/c.o.FPS)) - 2*90000
		f.soundBase = -uint32(2 * c.sound.Rate)
	}
	medias := []*description.Media{f.media}
	if c.sound.Pieces != nil {
		f.describeSound()
		medias = append(medias, f.audioMedia)
	}
	var err error
	for range 20 { // a pair of UDP ports has to be guessed
		f.server = &gortsplib.Server{
			Handler: f, RTSPAddress: c.address, TLSConfig: c.o.TLS, WriteQueueSize: 1024, Listen: c.o.Net.Listen,
			DisableRTCPSenderReports: c.o.Reports == NoReports,
			AuthMethods:              []auth.VerifyMethod{auth.VerifyMethodDigestMD5},
		}
		if c.o.UDP {
			host, _, splitErr := net.SplitHostPort(c.address)
			if splitErr != nil {
				return nil, fmt.Errorf("sim camera: listen address: %w", splitErr)
			}
			port := 20000 + 2*rand.IntN(15000)
			f.server.UDPRTPAddress = net.JoinHostPort(host, fmt.Sprint(port))
			f.server.UDPRTCPAddress = net.JoinHostPort(host, fmt.Sprint(port+1))
		}
		if err = f.server.Start(); err == nil {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("sim camera: listen: %w", err)
	}
	f.stream = &gortsplib.ServerStream{Server: f.server, Desc: &description.Session{Medias: medias}}
	if err := f.stream.Initialize(); err != nil {
		f.server.Close()
		return nil, fmt.Errorf("sim camera: stream: %w", err)
	}
	return f, nil
}

func (f *server) describe() error {
	f.media = &description.Media{Type: description.MediaTypeVideo}
	if f.c.o.Coding.Codec == "h265" {
		f.h265 = &format.H265{PayloadTyp: 96}
		f.media.Formats = []format.Format{f.h265}
		e, err := f.h265.CreateEncoder()
		if err != nil {
			return fmt.Errorf("sim camera: RTP encoder: %w", err)
		}
		f.encode = e.Encode
	} else {
		f.h264 = &format.H264{PayloadTyp: 96, PacketizationMode: 1}
		f.media.Formats = []format.Format{f.h264}
		e, err := f.h264.CreateEncoder()
		if err != nil {
			return fmt.Errorf("sim camera: RTP encoder: %w", err)
		}
		f.encode = e.Encode
	}
	f.setParams(f.c.params)
	return nil
}

// setParams puts the parameter sets of an access unit into the description.
func (f *server) setParams(au [][]byte) {
	for _, nal := range au {
		switch {
		case f.h264 != nil && nal[0]&0x1f == 7:
			f.h264.SPS = nal
		case f.h264 != nil && nal[0]&0x1f == 8:
			f.h264.PPS = nal
		case f.h265 != nil && nal[0]>>1&0x3f == 32:
			f.h265.VPS = nal
		case f.h265 != nil && nal[0]>>1&0x3f == 33:
			f.h265.SPS = nal
		case f.h265 != nil && nal[0]>>1&0x3f == 34:
			f.h265.PPS = nal
		}
	}
}

// hasParams says whether the access unit carries a sequence parameter set.
func hasParams(au [][]byte, h265 bool) bool {
	for _, nal := range au {
		if (!h265 && nal[0]&0x1f == 7) || (h265 && nal[0]>>1&0x3f == 33) {
			return true
		}
	}
	return false
}

// send gives one access unit to anyone who is connected, with the misbehaviour that was asked for.
func (c *Camera) send(au [][]byte, s encodedFrame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if hasParams(au, c.o.Coding.Codec == "h265") {
		c.params = au
	}
	f := c.server
	if f == nil {
		return
	}
	if !s.due.IsZero() {
		c.late = max(c.late, time.Since(s.due))
	}
	pkts, err := f.encode(au)
	if err != nil {
		return // an access unit that RTP cannot carry is as lost as one in a bad cable
	}
	ts := f.base + s.n*uint32(90000/c.o.FPS) + uint32(int64(c.step)*9/100000)
	for _, p := range pkts {
		p.Timestamp = ts
		f.sent++
		if c.lose > 0 && f.sent%c.lose == 0 {
			continue
		}
		at := s.at.Add(c.step)
		if c.o.Reports == WildReports {
			at = at.Add(time.Duration(rand.Int64N(int64(20000 * time.Hour))))
		}
		if held := f.held; held != nil {
			f.held = nil
			f.write(p, at)
			f.write(held, at)
			continue
		}
		if c.reorder > 0 && f.sent%c.reorder == 0 {
			f.held = p
			continue
		}
		f.write(p, at)
		if c.garbage > 0 {
			c.garbage--
			f.write(nonsense(p), s.at)
		}
	}
}

// write sends one packet. A reader that cannot keep up or has gone is the reader's affair.
func (f *server) write(p *rtp.Packet, ntp time.Time) {
	_ = f.stream.WritePacketRTPWithNTP(f.media, p, ntp)
}

func (f *server) address() string { return f.server.NetListener().Addr().String() }

func (f *server) drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		c.Close()
	}
}

func (f *server) close() {
	f.stream.Close()
	f.server.Close()
}

// OnConnOpen implements gortsplib.ServerHandlerOnConnOpen.
func (f *server) OnConnOpen(ctx *gortsplib.ServerHandlerOnConnOpenCtx) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conns[ctx.Conn] = struct{}{}
}

// OnConnClose implements gortsplib.ServerHandlerOnConnClose.
func (f *server) OnConnClose(ctx *gortsplib.ServerHandlerOnConnCloseCtx) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, ctx.Conn)
}

func (f *server) allowed(conn *gortsplib.ServerConn, req *base.Request) bool {
	f.c.mu.Lock()
	user, password := f.c.o.User, f.c.password
	f.c.mu.Unlock()
	return user == "" || conn.VerifyCredentials(req, user, password)
}

// OnDescribe implements gortsplib.ServerHandlerOnDescribe.
func (f *server) OnDescribe(ctx *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	f.c.mu.Lock()
	refused, to := f.c.refuse > 0, f.c.elsewhere
	f.c.refuse = max(f.c.refuse-1, 0)
	f.c.mu.Unlock()
	if to != "" {
		return &base.Response{StatusCode: base.StatusFound, Header: base.Header{"Location": base.HeaderValue{to}}}, nil, nil
	}
	if refused || !f.allowed(ctx.Conn, ctx.Request) {
		return &base.Response{StatusCode: base.StatusUnauthorized}, nil, liberrors.ErrServerAuth{}
	}
	return &base.Response{StatusCode: base.StatusOK}, f.stream, nil
}

// OnSetup implements gortsplib.ServerHandlerOnSetup.
func (f *server) OnSetup(ctx *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	if !f.allowed(ctx.Conn, ctx.Request) {
		return &base.Response{StatusCode: base.StatusUnauthorized}, nil, liberrors.ErrServerAuth{}
	}
	if f.audioMedia != nil && strings.HasSuffix(ctx.Request.URL.String(), "trackID=1") {
		f.c.mu.Lock()
		mute := f.c.audio.refused
		f.c.audio.asked++
		f.c.mu.Unlock()
		if mute {
			return &base.Response{StatusCode: base.StatusNotFound}, nil, errors.New("no sound for you")
		}
	}
	return &base.Response{StatusCode: base.StatusOK}, f.stream, nil
}

// OnPlay implements gortsplib.ServerHandlerOnPlay.
func (f *server) OnPlay(*gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	return &base.Response{StatusCode: base.StatusOK}, nil
}
