package nvr

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/auth"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"campuskeep/scripts/sim/render"
	"campuskeep/shared/footage"
)

// rtspSide plays back.
type rtspSide struct {
	n      *NVR
	server *gortsplib.Server
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu    sync.Mutex
	plays map[*gortsplib.ServerConn]*play
}

// play is one playback, from DESCRIBE on.
type play struct {
	track    int
	live     bool
	from, to time.Time // true time
	stream   *gortsplib.ServerStream
	media    *description.Media
	format   *format.H264
	stop     context.CancelFunc
	start    func() // plays; called once the reader takes packets
}

func openRTSP(n *NVR, address string) (*rtspSide, error) {
	s := &rtspSide{n: n, plays: map[*gortsplib.ServerConn]*play{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.server = &gortsplib.Server{
		// A recorder over TCP waits for a slow reader; the library drops what its queue does not hold.
		Handler: s, RTSPAddress: address, WriteQueueSize: 1 << 16, DisableRTCPSenderReports: true,
		AuthMethods: []auth.VerifyMethod{auth.VerifyMethodDigestMD5},
	}
	if err := s.server.Start(); err != nil {
		return nil, fmt.Errorf("sim nvr: %w", err)
	}
	return s, nil
}

func (s *rtspSide) close() {
	s.cancel()
	s.server.Close()
	s.work.Wait()
}

func code(c base.StatusCode) *base.Response { return &base.Response{StatusCode: c} }

// OnDescribe implements gortsplib.ServerHandlerOnDescribe.
func (s *rtspSide) OnDescribe(ctx *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	if res, err := s.allowed(ctx.Conn, ctx.Request); err != nil {
		return res, nil, err
	}
	s.n.mu.Lock()
	busy, h := s.n.faults.Busy453 > 0, s.n.habits
	if busy {
		s.n.faults.Busy453--
	}
	s.n.mu.Unlock()
	if busy {
		return code(base.StatusNotEnoughBandwidth), nil, errors.New("no place for another playback")
	}
	p, err := s.read(ctx.Path, ctx.Query, h)
	if err != nil {
		return code(base.StatusNotFound), nil, err
	}
	if _, ok := s.n.at(p.track, p.from); !ok && !p.live {
		return code(base.StatusNotFound), nil, errors.New("nothing is recorded there")
	}
	p.format = &format.H264{PayloadTyp: 96, PacketizationMode: 1}
	for _, nal := range s.n.o.Clip[0] {
		switch nal[0] & 0x1f {
		case 7:
			p.format.SPS = nal
		case 8:
			p.format.PPS = nal
		}
	}
	p.media = &description.Media{Type: description.MediaTypeVideo, Formats: []format.Format{p.format}}
	p.stream = &gortsplib.ServerStream{Server: s.server, Desc: &description.Session{Medias: []*description.Media{p.media}}}
	if err := p.stream.Initialize(); err != nil {
		return code(base.StatusInternalServerError), nil, err
	}
	s.mu.Lock()
	s.plays[ctx.Conn] = p
	s.mu.Unlock()
	return code(base.StatusOK), p.stream, nil
}

const dateMark = "campuskeep-dated" // as long as the UUID that it represents

// date is an SEI of user data with the instant of a picture.
func date(at time.Time) []byte {
	text := dateMark + fmt.Sprintf("%019d", at.UnixNano())
	return append(append([]byte{6, 5, byte(len(text))}, text...), 0x80)
}

// Dates finds in film when its pictures were recorded.
func Dates(film []byte) (out []time.Time) {
	for {
		_, rest, ok := bytes.Cut(film, []byte(dateMark))
		if !ok || len(rest) < 19 {
			return out
		}
		ns, err := strconv.ParseInt(string(rest[:19]), 10, 64)
		if err == nil {
			out = append(out, time.Unix(0, ns).UTC())
		}
		film = rest
	}
}

func (s *rtspSide) allowed(conn *gortsplib.ServerConn, req *base.Request) (*base.Response, error) {
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	if s.n.locked || !conn.VerifyCredentials(req, s.n.o.User, s.n.password) {
		if len(req.Header["Authorization"]) > 0 {
			s.n.counts.Refused++
			s.n.failed++
			s.n.locked = s.n.locked || s.n.faults.LockAfter > 0 && s.n.failed >= s.n.faults.LockAfter
		}
		return code(base.StatusUnauthorized), liberrors.ErrServerAuth{}
	}
	return nil, nil
}

func (s *rtspSide) read(path, query string, h Habits) (*play, error) {
	p := &play{}
	if _, err := fmt.Sscanf(strings.Trim(path, "/"), "Streaming/Channels/%d", &p.track); err == nil {
		p.live, p.from = true, s.n.o.Now()
		p.to = p.from.AddDate(1, 0, 0)
		return p, nil
	}
	if _, err := fmt.Sscanf(strings.Trim(path, "/"), "Streaming/tracks/%d", &p.track); err != nil {
		return nil, fmt.Errorf("path %q", path)
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return nil, err
	}
	from, err1 := time.Parse("20060102T150405Z", q.Get("starttime"))
	to, err2 := time.Parse("20060102T150405Z", strings.TrimSuffix(q.Get("endtime"), "/"))
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	p.from, p.to = h.truth(from, h.PlayLocal).Add(h.PlayWrong), h.truth(to, h.PlayLocal).Add(h.PlayWrong)
	return p, nil
}

// at finds the piece of a track that holds an instant, or the next one of that day.
func (n *NVR) at(track int, at time.Time) (footage.Span, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.channels {
		if c.ID != track/100 {
			continue
		}
		for _, p := range c.Playable() {
			if p.To.After(at) && p.From.Before(at.Add(time.Hour)) {
				return p, true
			}
		}
	}
	return footage.Span{}, false
}

// OnSetup implements gortsplib.ServerHandlerOnSetup.
func (s *rtspSide) OnSetup(ctx *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	if res, err := s.allowed(ctx.Conn, ctx.Request); err != nil {
		return res, nil, err
	}
	s.mu.Lock()
	p := s.plays[ctx.Conn]
	s.mu.Unlock()
	if p == nil {
		return code(base.StatusNotFound), nil, errors.New("nothing was described")
	}
	return code(base.StatusOK), p.stream, nil
}

// OnPlay implements gortsplib.ServerHandlerOnPlay.
func (s *rtspSide) OnPlay(ctx *gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	s.settle(ctx.Conn)
	s.mu.Lock()
	p := s.plays[ctx.Conn]
	playing := 1
	for _, o := range s.plays {
		if o.stop != nil {
			playing++
		}
	}
	run, stop := context.WithCancel(s.ctx)
	p.stop, p.start = stop, func() { s.work.Go(func() { s.run(run, p) }) }
	s.mu.Unlock()
	s.n.mu.Lock()
	s.n.counts.Playbacks++
	s.n.counts.Parallel = max(s.n.counts.Parallel, playing)
	host := ctx.Conn.NetConn().RemoteAddr().String()
	what := "Operation/remotePlayByTime"
	if p.live {
		what = "Operation/remotePreview"
	}
	s.n.log = append(s.n.log, LogLine{At: s.n.o.Now(), Code: what, User: s.n.o.User, Address: host[:strings.LastIndex(host, ":")], Channel: p.track / 100})
	s.n.mu.Unlock()
	return code(base.StatusOK), nil
}

// OnResponse implements gortsplib.ServerHandlerOnResponse: what is written before the answer to PLAY is made reaches
// nobody.
func (s *rtspSide) OnResponse(conn *gortsplib.ServerConn, _ *base.Response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.plays[conn]; p != nil && p.start != nil {
		p.start()
		p.start = nil
	}
}

// settle waits until playbacks whose readers have gone are over.
func (s *rtspSide) settle(but *gortsplib.ServerConn) {
	for range 200 {
		s.mu.Lock()
		others := 0
		for c, p := range s.plays {
			if c != but && p.stop != nil {
				others++
			}
		}
		s.mu.Unlock()
		if others == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// OnConnClose implements gortsplib.ServerHandlerOnConnClose.
func (s *rtspSide) OnConnClose(ctx *gortsplib.ServerHandlerOnConnCloseCtx) {
	s.mu.Lock()
	p := s.plays[ctx.Conn]
	delete(s.plays, ctx.Conn)
	s.mu.Unlock()
	if p == nil {
		return
	}
	if p.stop != nil {
		p.stop()
	}
	p.stream.Close()
}

// run sends the frames of what was asked for, as far as it is recorded, from the key frame at or before it.
func (s *rtspSide) run(ctx context.Context, p *play) {
	n := s.n
	h, f, _, _ := n.look()
	n.mu.Lock()
	n.faults.Mute, n.faults.Untold = max(0, f.Mute-1), max(0, f.Untold-1)
	n.mu.Unlock()
	if f.Mute > 0 {
		return
	}
	if f.Untold > 0 {
		h.PlayClock = "none"
	}
	enc, err := p.format.CreateEncoder()
	if err != nil {
		return
	}
	frame := time.Second / time.Duration(n.o.FPS)
	pace := time.Duration(float64(frame) / n.o.Speed)
	if p.live {
		pace = frame
	}
	tick := time.NewTicker(max(time.Microsecond, pace))
	defer tick.Stop()
	start := rand.Uint32()
	piece, ok := n.at(p.track, p.from)
	if p.live {
		piece, ok = footage.Span{From: p.from, To: p.to}, true
	}
	first := p.from.UnixNano() / int64(frame)
	for key := int64(len(n.o.Clip)); first%key != 0 && !time.Unix(0, (first-1)*int64(frame)).Before(piece.From); {
		first--
	}
	var shown time.Time
	sent, behind := int64(0), false
	for k := first; ok; k++ {
		at := time.Unix(0, k*int64(frame)).UTC()
		if !at.Before(p.to) && !h.PlayOn || f.EndAfter > 0 && at.Sub(p.from) >= f.EndAfter {
			break
		}
		if !at.Before(piece.To) {
			if piece, ok = n.at(p.track, at); !ok {
				break
			}
		}
		if at.Before(piece.From) || behind && k%int64(len(n.o.Clip)) != 0 { // a hole: playback goes on with the key frame behind it
			behind = true
			continue
		}
		behind = false
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		au := n.o.Clip[int(k%int64(len(n.o.Clip)))]
		if h.Dated {
			au = slices.Concat([][]byte{date(at)}, au)
		}
		pkts, err := enc.Encode(au)
		if err != nil {
			return
		}
		since := k - first
		if h.NoStep {
			since = sent
		}
		sent++
		stamp := start + uint32(since*int64(90000/n.o.FPS))
		for _, pkt := range pkts {
			pkt.Timestamp = stamp
			s.write(p, pkt)
		}
		if shown.IsZero() || h.TellEvery > 0 && at.Sub(shown) >= h.TellEvery { // a report counts for a source that was heard already
			shown = at
			s.tell(p, h, at, stamp)
		}
	}
	if !f.EndSilently {
		_ = p.stream.WritePacketRTCP(p.media, &rtcp.Goodbye{}) // anyone who has gone needs no good-bye
	}
}

// tell states the absolute time of the first frame, if this recorder does that.
func (s *rtspSide) tell(p *play, h Habits, at time.Time, stamp uint32) {
	switch h.PlayClock {
	case "none":
		return
	case "present":
		at = s.n.o.Now()
	}
	t := h.digits(at, false)
	sec := uint64(t.Unix() + 2208988800)
	ntp := sec<<32 | uint64(t.Nanosecond())<<32/1e9
	_ = p.stream.WritePacketRTCP(p.media, &rtcp.SenderReport{SSRC: p.stream.Stats().Medias[p.media].Formats[p.format].LocalSSRC, NTPTime: ntp, RTPTime: stamp})
}

// write sends one packet; a reader that has gone is its own affair.
func (s *rtspSide) write(p *play, pkt *rtp.Packet) { _ = p.stream.WritePacketRTP(p.media, pkt) }

// Clip draws and encodes the pictures that a recorder repeats: one group of pictures.
func Clip(ctx context.Context, name string, frames, fps int) ([][][]byte, error) {
	var out [][][]byte
	enc, err := render.NewEncoder(ctx, render.Coding{W: 320, H: 180, FPS: fmt.Sprint(fps), GOP: frames}, func(au [][]byte) { out = append(out, au) })
	if err != nil {
		return nil, err
	}
	view := render.New(name, 320, 180, false)
	at := time.Date(2026, 5, 20, 9, 42, 0, 0, time.UTC)
	for i := range frames {
		if err := enc.Frame(view.Draw(at.Add(time.Duration(i)*time.Second/time.Duration(fps)), uint32(i))); err != nil {
			return nil, errors.Join(err, enc.Close())
		}
	}
	if err := enc.Close(); err != nil {
		return nil, err
	}
	if len(out) != frames {
		return nil, fmt.Errorf("sim nvr: %d pictures went in, %d came out", frames, len(out))
	}
	return out, nil
}

// Playing is how many playbacks and live views are open.
func (n *NVR) Playing() (open int) {
	n.rtsp.mu.Lock()
	defer n.rtsp.mu.Unlock()
	for _, p := range n.rtsp.plays {
		if p.stop != nil {
			open++
		}
	}
	return open
}
