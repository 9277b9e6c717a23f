// Package camera simulates network cameras: each is a real RTSP server with real H.264 or H.265, over TCP, UDP and
// TLS, asking for a password.
//
// It owns its listening sockets and one ffmpeg per camera, and it misbehaves on request the way cameras in the field
// do: it stalls, drops its connections, restarts, changes its parameters, steps its clock, sends garbage and loses
// packets. It must never be imported by the product.
package camera

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"campuskeep/scripts/sim/render"
)

// Options describes one camera.
type Options struct {
	Name     string // what it looks at, see render.New
	Listen   string // TCP address; port 0 takes a free one
	UDP      bool   // offer RTP over UDP too
	TLS      *tls.Config
	User     string
	Password string
	Coding   render.Coding // W and H are required; FPS is set from FPS below
	FPS      int
	Zone     *time.Location // of the clock in the picture; China's when nil
	Loop     [][][]byte     // ready-made access units, served for ever instead of live pictures
	Params   [][]byte       // parameter sets of Loop, for the description
	Sound    string         // codec of the sound beside the pictures: "aac", "latm", "opus", "alaw", "ulaw"; none when empty
	Wrap     bool           // the RTP time passes its end after two seconds
	Reports  Reports        // what RTCP sender reports say
	Prepared bool           // its pictures are encoded before they are due, not live: a busy machine delays none
	Net      *Net           // what it is reached over; nil: the machine's own
}

// Reports are the ways of a camera with RTCP sender reports, which tell its clock.
type Reports uint8

// The ways of cameras.
const (
	TrueReports Reports = iota
	NoReports           // none are sent
	WildReports         // each says another time
)

// Camera is one running camera. All methods may be called from any goroutine.
type Camera struct {
	o      Options
	sound  render.Sound // what it sends again and again
	cancel context.CancelFunc
	ended  chan struct{}

	mu        sync.Mutex
	server    *server // nil while it is down
	address   string  // kept over a restart
	coding    render.Coding
	recode    bool
	stalled   bool
	half      bool // every other picture is left out
	password  string
	step      time.Duration // how wrong the clock is
	garbage   int           // packets of nonsense to send
	lose      int           // every n-th packet is lost
	counter   uint32        // of the last picture taken
	refuse    int           // so many more requests are answered as if the password were wrong
	elsewhere string        // where to send anyone who asks
	reorder   int           // every n-th packet changes places with the next one
	audio     audioFaults   // misbehaviour of the sound
	late      time.Duration
	params    [][]byte // the last access unit with parameter sets
	err       error
}

// Start opens the camera and returns when it can be connected to. It runs until ctx ends or Close.
func Start(ctx context.Context, o Options) (*Camera, error) {
	if o.FPS <= 0 || (o.Loop == nil && (o.Coding.W <= 0 || o.Coding.H <= 0)) {
		return nil, errors.New("sim camera: frame rate and picture size are required")
	}
	o.Coding.FPS = fmt.Sprint(o.FPS)
	if o.Zone == nil {
		o.Zone = time.FixedZone("CST", 8*60*60)
	}
	ctx, cancel := context.WithCancel(ctx)
	c := &Camera{
		o: o, cancel: cancel, ended: make(chan struct{}),
		address: o.Listen, coding: o.Coding, password: o.Password,
	}
	c.params = o.Params
	for _, au := range o.Loop {
		if hasParams(au, o.Coding.Codec == "h265") {
			c.params = au
			break
		}
	}
	if o.Sound != "" {
		var err error
		if c.sound, err = render.NewSound(ctx, strings.Replace(o.Sound, "latm", "aac", 1)); err != nil {
			cancel()
			return nil, err
		}
	}
	ready := make(chan struct{})
	go c.run(ctx, ready)
	select {
	case <-ready:
		return c, nil
	case <-c.ended:
		return nil, c.err
	}
}

// Close stops the camera and waits for its processes and sockets.
func (c *Camera) Close() error {
	c.cancel()
	<-c.ended
	return c.err
}

// URL is the address without credentials.
func (c *Camera) URL() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := url.URL{Scheme: "rtsp", Host: c.address, Path: "/stream"}
	if c.o.TLS != nil {
		u.Scheme = "rtsps"
	}
	return u.String()
}

// Counter is the frame counter of the last picture taken, whether or not anybody saw it.
func (c *Camera) Counter() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counter
}

// Stall stops the pictures but leaves connections open; time goes on.
func (c *Camera) Stall(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stalled = on
}

// Change switches to other parameters in mid-stream, without telling anybody.
func (c *Camera) Change(coding render.Coding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	coding.FPS = fmt.Sprint(c.o.FPS)
	c.coding, c.recode = coding, true
}

// StepClock makes the camera's clock, and with it its RTP time, jump.
func (c *Camera) StepClock(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.step += by
}

// Half sends only every other picture: half the frame rate, from one picture to the next.
func (c *Camera) Half(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.half = on
}

// Garbage sends that many packets of nonsense among the good ones.
func (c *Camera) Garbage(packets int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.garbage += packets
}

// Late is by how much a busy machine has delayed a picture at most.
func (c *Camera) Late() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.late
}

// Lose drops every n-th packet; 0 drops none.
func (c *Camera) Lose(every int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lose = every
}

// Reorder makes every n-th packet change places with the next one; 0 none.
func (c *Camera) Reorder(every int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reorder = every
}

// Refuse answers the next n requests for a description as if the password were wrong.
func (c *Camera) Refuse(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = n
}

// Redirect sends a client that asks for a description to another address; an empty one ends it.
func (c *Camera) Redirect(to string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.elsewhere = to
}

// SetPassword changes what the camera asks for from the next connection on.
func (c *Camera) SetPassword(p string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.password = p
}

// Drop closes every connection; the camera itself goes on.
func (c *Camera) Drop() {
	c.mu.Lock()
	f := c.server
	c.mu.Unlock()
	if f != nil {
		f.drop()
	}
}

// Down switches the camera off: nobody can connect.
func (c *Camera) Down() {
	c.mu.Lock()
	f := c.server
	c.server = nil
	c.mu.Unlock()
	if f != nil {
		f.close()
	}
}

// Up switches it on again at the same address, with new RTP numbers and a new key frame.
func (c *Camera) Up() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recode = true
	return c.open()
}

// open starts the server; the caller holds mu.
func (c *Camera) open() error {
	if c.server != nil {
		return nil
	}
	f, err := newServer(c)
	if err != nil {
		return err
	}
	c.server, c.address = f, f.address()
	return nil
}
