package camera

import (
	"fmt"
	"sync"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtp"
)

// Relay is a camera whose pictures somebody else sends: an ffmpeg publishes to its address, each client gets exactly
// those packets. Nothing is sent before a client is there to take it.
type Relay struct {
	server  *gortsplib.Server
	closing chan struct{}

	mu     sync.Mutex
	stream *gortsplib.ServerStream
	sender *gortsplib.ServerSession // whose stream it is
	played chan struct{}            // closed when a client plays it
}

// StartRelay listens on a free port of this machine.
func StartRelay() (*Relay, error) {
	r := &Relay{closing: make(chan struct{})}
	r.server = &gortsplib.Server{Handler: r, RTSPAddress: "127.0.0.1:0"}
	if err := r.server.Start(); err != nil {
		return nil, fmt.Errorf("sim relay: listen: %w", err)
	}
	return r, nil
}

// URL is the address to publish to and to read from.
func (r *Relay) URL() string { return "rtsp://" + r.server.NetListener().Addr().String() + "/stream" }

// Close ends all sessions.
func (r *Relay) Close() {
	close(r.closing)
	r.server.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stream != nil {
		r.stream.Close()
	}
}

// OnAnnounce implements gortsplib.ServerHandlerOnAnnounce.
func (r *Relay) OnAnnounce(ctx *gortsplib.ServerHandlerOnAnnounceCtx) (*base.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stream != nil {
		r.stream.Close()
	}
	r.sender, r.played = ctx.Session, make(chan struct{})
	r.stream = &gortsplib.ServerStream{Server: r.server, Desc: ctx.Description}
	if err := r.stream.Initialize(); err != nil {
		return &base.Response{StatusCode: base.StatusInternalServerError}, err
	}
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// OnDescribe implements gortsplib.ServerHandlerOnDescribe.
func (r *Relay) OnDescribe(*gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stream == nil {
		return &base.Response{StatusCode: base.StatusNotFound}, nil, nil
	}
	return &base.Response{StatusCode: base.StatusOK}, r.stream, nil
}

// OnSetup implements gortsplib.ServerHandlerOnSetup.
func (r *Relay) OnSetup(ctx *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	if ctx.Session.State() == gortsplib.ServerSessionStatePreRecord {
		return &base.Response{StatusCode: base.StatusOK}, nil, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return &base.Response{StatusCode: base.StatusOK}, r.stream, nil
}

// OnPlay implements gortsplib.ServerHandlerOnPlay.
func (r *Relay) OnPlay(*gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.played:
	default:
		close(r.played)
	}
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// OnRecord implements gortsplib.ServerHandlerOnRecord.
func (r *Relay) OnRecord(ctx *gortsplib.ServerHandlerOnRecordCtx) (*base.Response, error) {
	r.mu.Lock()
	played := r.played
	r.mu.Unlock()
	select {
	case <-played:
	case <-r.closing:
	}
	ctx.Session.OnPacketRTPAny(func(m *description.Media, _ format.Format, pkt *rtp.Packet) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.stream != nil {
			_ = r.stream.WritePacketRTP(m, pkt) // a reader that has gone is the reader's affair
		}
	})
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// OnSessionClose implements gortsplib.ServerHandlerOnSessionClose: when the sender has gone, the stream has ended.
func (r *Relay) OnSessionClose(ctx *gortsplib.ServerHandlerOnSessionCloseCtx) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stream != nil && r.sender == ctx.Session {
		r.stream.Close()
		r.stream = nil
	}
}
