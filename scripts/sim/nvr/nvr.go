// Package nvr simulates a network video recorder that speaks ISAPI over HTTP and plays back over RTSP, with real H.264.
//
// It owns its two listening sockets, and it misbehaves on request the way recorders in the field do. It must never be
// imported by the product.
package nvr

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"campuskeep/shared/footage"
)

// Channel is one camera behind the recorder.
type Channel struct {
	ID     int
	Name   string
	Online bool
	Days   int            // expiry that is set
	Keep   bool           // expiry is switched on
	Pieces []footage.Span // recorded, in true time, oldest first
	Locked bool           // all pieces are locked on the recorder
	Input  bool           // an input of a hybrid recorder: no camera of the network
	Torn   []footage.Span // listed and not there: playback goes on behind them
}

// Playable are the pieces as playback finds them.
func (c Channel) Playable() (out []footage.Span) {
	for _, p := range c.Pieces {
		for _, t := range c.Torn { // in order of time
			if !t.Overlaps(p) {
				continue
			}
			if p.From.Before(t.From) {
				out = append(out, footage.Span{From: p.From, To: t.From})
			}
			p.From = t.To
		}
		if p.From.Before(p.To) {
			out = append(out, p)
		}
	}
	return out
}

// Mark is what the recorder writes behind the digits of its own clock.
type Mark string

// The marks.
const (
	MarkOffset Mark = "offset" // +08:00
	MarkZ      Mark = "z"      // Z, although the digits are local
	MarkNone   Mark = "none"
)

// Habits are how this recorder treats times, well or badly.
type Habits struct {
	Zone        string // as it is set: "CST-8:00:00"
	Offset      time.Duration
	ClockMark   Mark
	SearchLocal bool // a Z in searches means local
	AskUTC      bool // …but not in what it is asked, only in what it answers
	PlayLocal   bool // a Z in addresses of playback means local
	LogLocal    bool
	NoPlayURI   bool          // finds records without saying how to play them
	PlayClock   string        // absolute times in playback: "recorded", "present", "none"
	PlayWrong   time.Duration // plays what lies this far away from what was asked
	PlayOn      bool          // playback ends only where nothing more is recorded
	NoStep      bool          // RTP times go on over a hole as if there were none
	Dated       bool          // each picture says in an SEI when it was recorded; see [Dates]
	TellEvery   time.Duration // of recorded time, between statements of absolute times; 0: one at the beginning
}

// Faults are switches for misbehaviour. Counts are of requests still to be treated so.
type Faults struct {
	Busy503      int               // answered with 503
	Busy453      int               // playbacks answered with 453
	HalfAnswer   int               // answers that break off in the middle
	SamePage     bool              // searches ignore the position that is asked for
	EverMore     bool              // searches promise more without an end
	Overlap      int               // pages begin so many items too early
	CutPages     bool              // pages hold half of what they count
	Garbage      map[string]string // path → body that is answered
	OddTrack     int               // searches of this track are answered with what nobody understands
	NonceUses    int               // a nonce is stale after so many uses; 0: never
	SilentStale  bool              // …and the recorder does not say that this is why
	Stale403     bool              // …but answers 403, without a challenge
	LockAfter    int               // refused log-ins until the address is locked; 0: never
	ShortForm    bool              // takes only the short form of a search
	IgnoreExpiry bool              // takes a new expiry, and goes on as before
	EndAfter     time.Duration     // playbacks break off after so much; 0: never
	EndSilently  bool              // …and at their end nothing is said
	Mute         int               // playbacks that are answered, and of which nothing comes
	Untold       int               // playbacks in which no absolute time is stated, whatever the habit
	BasicOnly    bool              // asks for the password in clear
	LogMissing   bool              // has no log to search
}

// LogLine is one line of the recorder's log.
type LogLine struct {
	At      time.Time // true time
	Code    string    // "Operation/remoteLogin"
	User    string
	Address string
	Channel int
}

// Account is somebody who can log in.
type Account struct{ Name, Level string }

// Options describes one recorder.
type Options struct {
	Listen   string // host of both sockets
	Port     int    // of HTTP; 0: a free one
	RTSPPort int    // 0: a free one
	User     string
	Password string
	Model    string
	Now      func() time.Time // true time
	Habits   Habits
	Accounts []Account // none: User alone, as administrator
	Channels []Channel
	Clip     [][][]byte // access units that repeat in every piece, the first a key frame
	FPS      int
	Speed    float64 // of playback; 1 is real time
	PageSize int     // records on a page at most
	TLS      *tls.Config
}

// NVR is one running recorder. All methods may be called from any goroutine.
type NVR struct {
	o      Options
	http   *http.Server
	ln     net.Listener
	rtsp   *rtspSide
	scheme string
	end    chan struct{}

	mu       sync.Mutex
	habits   Habits
	faults   Faults
	password string
	firmware string
	serial   string
	channels []Channel
	accounts []Account
	log      []LogLine
	nonces   map[string]int // uses
	failed   int
	locked   bool
	counts   Counts
}

// Counts are what the recorder has seen.
type Counts struct {
	Requests  int
	Refused   int // log-ins with a wrong password
	Playbacks int
	Parallel  int // most playbacks at one time
}

// Start opens the recorder; it runs until Close.
func Start(o Options) (*NVR, error) {
	if o.FPS <= 0 || o.Now == nil {
		return nil, errors.New("sim nvr: frame rate and clock are required")
	}
	if o.Speed <= 0 {
		o.Speed = 1
	}
	if o.PageSize <= 0 {
		o.PageSize = 40
	}
	n := &NVR{
		o: o, end: make(chan struct{}), habits: o.Habits, password: o.Password, firmware: "V4.61.025", serial: o.Model + "0820260101CCRRD00000001WCVU",
		channels: slices.Clone(o.Channels), accounts: slices.Clone(o.Accounts), nonces: map[string]int{},
	}
	var err error
	if n.ln, err = net.Listen("tcp", net.JoinHostPort(o.Listen, strconv.Itoa(o.Port))); err != nil {
		return nil, fmt.Errorf("sim nvr: %w", err)
	}
	n.scheme = "http"
	if o.TLS != nil {
		n.ln, n.scheme = tls.NewListener(n.ln, o.TLS), "https"
	}
	if n.rtsp, err = openRTSP(n, net.JoinHostPort(o.Listen, strconv.Itoa(o.RTSPPort))); err != nil {
		return nil, errors.Join(err, n.ln.Close())
	}
	n.http = &http.Server{Handler: n.routes(), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(n.end)
		_ = n.http.Serve(n.ln) // ends with Close
	}()
	return n, nil
}

// Close ends it.
func (n *NVR) Close() error {
	n.rtsp.close()
	err := n.http.Shutdown(context.Background())
	<-n.end
	return err
}

// Address is where ISAPI is served, RTSPAddress where playback is.
func (n *NVR) Address() string     { return n.scheme + "://" + n.ln.Addr().String() }
func (n *NVR) RTSPAddress() string { return n.rtsp.server.NetListener().Addr().String() }

// Set changes habits and faults.
func (n *NVR) Set(change func(h *Habits, f *Faults)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change(&n.habits, &n.faults)
}

// SetPassword changes the password; a client that was locked out may try again.
func (n *NVR) SetPassword(p string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.password, n.failed, n.locked = p, 0, false
}

// SetAccounts replaces who can log in.
func (n *NVR) SetAccounts(a ...Account) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.accounts = a
}

// SetFirmware makes it another version.
func (n *NVR) SetFirmware(v string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.firmware = v
}

// SetSerial makes it another machine.
func (n *NVR) SetSerial(s string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.serial = s
}

// Record replaces what is recorded on a channel.
func (n *NVR) Record(channel int, pieces ...footage.Span) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.channels {
		if n.channels[i].ID == channel {
			n.channels[i].Pieces = pieces
		}
	}
}

// Tear takes pictures away from a channel; its list goes on showing them.
func (n *NVR) Tear(channel int, holes ...footage.Span) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.channels {
		if n.channels[i].ID == channel {
			n.channels[i].Torn = holes
		}
	}
}

// Channel gives a channel as it is now.
func (n *NVR) Channel(id int) (Channel, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.channels {
		if c.ID == id {
			return c, true
		}
	}
	return Channel{}, false
}

// AddLog writes a line into the recorder's log.
func (n *NVR) AddLog(l LogLine) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.log = append(n.log, l)
}

// Counts says what was seen so far.
func (n *NVR) Counts() Counts {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.counts
}

// Sweep does what a recorder does with footage whose time is over, unless it ignores the setting or has it
// switched off.
func (n *NVR) Sweep() {
	now := n.o.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.channels {
		c := &n.channels[i]
		if !c.Keep || n.faults.IgnoreExpiry {
			continue
		}
		edge := now.Add(-time.Duration(c.Days) * 24 * time.Hour)
		c.Pieces = slices.DeleteFunc(slices.Clone(c.Pieces), func(s footage.Span) bool { return !s.To.After(edge) })
	}
}

// Hours makes pieces of an hour each, without holes.
func Hours(from, to time.Time) []footage.Span {
	var out []footage.Span
	for at := from; at.Before(to); at = at.Add(time.Hour) {
		end := at.Add(time.Hour)
		if end.After(to) {
			end = to
		}
		out = append(out, footage.Span{From: at, To: end})
	}
	return out
}
