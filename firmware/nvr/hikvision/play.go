package hikvision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"sync"
	"time"

	"campuskeep/firmware/nvr/driver"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"campuskeep/firmware/rtsp"
)

// quietTime is how long a playback may say nothing before it counts as ended: many NVRs end one without a word.
// It is looked for in as many pieces as there are quietLooks: silence counts only while this program runs itself.
const (
	quietTime  = 6 * time.Second
	quietLooks = 6
)

// Play plays a track by time over RTSP.
func (d *Driver) Play(ctx context.Context, track driver.TrackID, from, to driver.Stamp, each func(driver.AccessUnit) error) error {
	p, err := d.stream(ctx, fmt.Sprintf("tracks/%s?starttime=%s&endtime=%s", track, from.Digits.Format(playForm), to.Digits.Format(playForm)), each)
	if err == nil && p.outcome == nothing {
		err = fmt.Errorf("hikvision: playback of track %s: %w", track, driver.ErrSilent)
	}
	return err
}

// Live gives the pictures of a channel's main stream as they come.
func (d *Driver) Live(ctx context.Context, channel int, each func(driver.AccessUnit) error) error {
	_, err := d.stream(ctx, livePath(channel, 1), each)
	return err
}

// stream takes the pictures of a stream to its end.
func (d *Driver) stream(ctx context.Context, path string, each func(driver.AccessUnit) error) (*playback, error) {
	if err := d.latched(); err != nil {
		return nil, err
	}
	u := d.streamAddress(path)
	client, err := rtsp.New(rtsp.Target{Address: u, User: d.t.User, Password: d.t.Password, Pin: d.t.Pin, Timeout: answerTime}) // what is missing shows in the times
	if err != nil {
		return nil, fmt.Errorf("hikvision: start playback: %w", err)
	}
	defer client.Close()
	stop := context.AfterFunc(ctx, client.Close)
	defer stop()
	desc, err := client.Describe()
	if err != nil {
		return nil, d.diagnose("describe playback", err)
	}
	p, media, forma, err := newPlayback(desc, each)
	if err != nil {
		return nil, err
	}
	if err := client.Setup(desc, media); err != nil {
		return nil, d.diagnose("set up playback", err)
	}
	client.OnPacketRTP(media, forma, p.packet)
	client.OnPacketRTCP(media, p.control)
	if err := client.Play(); err != nil {
		return nil, d.diagnose("start playback", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := client.Wait(); errors.Is(err, io.EOF) { // however it ended: what came is judged by its times
			p.finish(nil)
		}
	}()
	tick := time.NewTicker(quietTime / quietLooks)
	defer tick.Stop()
	p.watch(ctx, ended, tick.C)
	client.Close()
	<-ended
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return p, p.result()
}

func (d *Driver) streamAddress(path string) string {
	return "rtsp://" + d.t.LiveHost() + "/Streaming/" + path
}

// diagnose sorts an error of the RTSP side.
func (d *Driver) diagnose(what string, err error) error {
	var e *rtsp.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("hikvision: %s: %w", what, err)
	}
	switch {
	case e.Trouble == rtsp.Refused && e.Status == http.StatusForbidden: // we may not do this; the password is right
		return fmt.Errorf("hikvision: %s: %w: %w", what, driver.ErrForbidden, err)
	case e.Trouble == rtsp.Refused:
		return d.refuse(what, nil)
	case e.Trouble == rtsp.InClear:
		return fmt.Errorf("hikvision: %s: %w: %w", what, driver.ErrInClear, err)
	case e.Trouble == rtsp.Busy:
		return fmt.Errorf("hikvision: %s: %w: %w", what, driver.ErrBusy, err)
	case e.Trouble == rtsp.NotFound:
		return fmt.Errorf("hikvision: %s: %w: %w", what, fs.ErrNotExist, err)
	case e.Trouble == rtsp.Description, e.Trouble == rtsp.Answer:
		return &driver.AnswerError{What: what, Why: err.Error(), Got: excerpt([]byte(e.Detail))}
	}
	return fmt.Errorf("hikvision: %s: %w", what, err)
}

// playback turns the packets of one session into access units.
type playback struct {
	media  *description.Media
	codec  string
	sets   [][]byte
	decode func(*rtp.Packet) ([][]byte, error)
	each   func(driver.AccessUnit) error
	before uint32
	came   chan struct{} // something came

	mu       sync.Mutex // guards the rest
	stated   time.Time  // the last absolute time that the NVR stated, for the RTP time statedAt
	statedAt uint32
	outcome  outcome
	done     bool
	err      error
	end      chan struct{} // closed with done
}

// outcome is what a playback has shown.
type outcome int

const (
	nothing  outcome = iota // neither a picture nor an end: a disk that has to start, a network that is cut
	ended                   // an end without a picture
	pictures                // there are some
)

func newPlayback(desc *description.Session, each func(driver.AccessUnit) error) (*playback, *description.Media, format.Format, error) {
	p := &playback{each: each, came: make(chan struct{}, 1), end: make(chan struct{})}
	var a *format.H264
	if p.media = desc.FindFormat(&a); p.media != nil {
		dec, err := a.CreateDecoder()
		if err != nil {
			return nil, nil, nil, fmt.Errorf("hikvision: H.264 over RTP: %w", err)
		}
		p.codec, p.sets, p.decode = "h264", sets(a.SPS, a.PPS), dec.Decode
		return p, p.media, a, nil
	}
	var b *format.H265
	if p.media = desc.FindFormat(&b); p.media != nil {
		dec, err := b.CreateDecoder()
		if err != nil {
			return nil, nil, nil, fmt.Errorf("hikvision: H.265 over RTP: %w", err)
		}
		p.codec, p.sets, p.decode = "h265", sets(b.VPS, b.SPS, b.PPS), dec.Decode
		return p, p.media, b, nil
	}
	return nil, nil, nil, &driver.AnswerError{What: "DESCRIBE", Why: "neither H.264 nor H.265 is offered"}
}

func sets(list ...[]byte) (out [][]byte) {
	for _, s := range list {
		if len(s) > 0 {
			out = append(out, s)
		}
	}
	return out
}

// packet runs on the client's reading goroutine.
func (p *playback) packet(pkt *rtp.Packet) {
	select {
	case p.came <- struct{}{}:
	default:
	}
	stamp := pkt.Timestamp
	if !pkt.Marker { // an access unit given now was ended by this packet and belongs to the one before
		stamp = p.before
	}
	p.before = pkt.Timestamp
	au, err := p.decode(pkt)
	if err != nil || len(au) == 0 {
		return // more packets are needed, or some were damaged: what is missing shows in the times
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done {
		return
	}
	a := driver.AccessUnit{Codec: p.codec, Sets: p.sets, NALs: au, Ticks: stamp}
	if !p.stated.IsZero() {
		a.ClockTicks = p.statedAt
		a.Clock = p.stated.Add(time.Duration(int32(stamp-p.statedAt)) * time.Second / ticksPerSecond)
	}
	err = p.each(a)
	p.sets, p.outcome = nil, pictures
	if err != nil {
		p.done, p.err = true, err
		close(p.end)
	}
}

// control takes the absolute times that the NVR states, and its good-bye at the end of a playback.
func (p *playback) control(pkt rtcp.Packet) {
	switch pkt := pkt.(type) {
	case *rtcp.Goodbye:
		p.finish(nil)
	case *rtcp.SenderReport:
		if pkt.NTPTime == 0 {
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.stated, p.statedAt = ntp(pkt.NTPTime), pkt.RTPTime
	}
}

// ticksPerSecond is the rate of RTP times of video.
const ticksPerSecond = 90000

// ntp reads a time stamp of NTP: seconds since 1900 and their 2^32nd parts.
func ntp(t uint64) time.Time {
	const since1970 = 2208988800
	return time.Unix(int64(t>>32)-since1970, int64(t&0xffffffff)*int64(time.Second)>>32).UTC()
}

func (p *playback) finish(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.done {
		p.done, p.err, p.outcome = true, err, max(p.outcome, ended)
		close(p.end)
	}
}

// watch waits for the end: the NVR's, the caller's, or silence from one look to the next, quietLooks times.
func (p *playback) watch(ctx context.Context, ended <-chan struct{}, look <-chan time.Time) {
	for quiet := 0; quiet < quietLooks; {
		select {
		case <-ctx.Done():
			return
		case <-ended:
			return
		case <-p.end:
			return
		case <-p.came:
			quiet = 0
		case <-look:
			quiet++
			select {
			case <-p.came: // it came while we did not run
				quiet = 0
			default:
			}
		}
	}
}

func (p *playback) result() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = true
	if errors.Is(p.err, driver.ErrEnough) {
		return nil
	}
	return p.err
}
