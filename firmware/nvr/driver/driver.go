// Package driver defines what every kind of NVR is asked, and the values that it answers with.
//
// It owns nothing. It must never interpret a time: what the digits of an NVR mean is calibrated per device.
package driver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"campuskeep/shared/footage"
)

// What a driver answers; everything else is a passing fault of network or device.
var (
	// ErrRefused: the NVR refused the password. The driver asks nothing more until it is opened with another one:
	// NVRs lock the address after a few attempts.
	ErrRefused = errors.New("nvr: the password was refused")
	// ErrBusy: the NVR has no place for another request or playback now (503, 453). Try later.
	ErrBusy = errors.New("nvr: the NVR is busy")
	// ErrNotOffered: the NVR does not have this function.
	ErrNotOffered = errors.New("nvr: the NVR does not offer this")
	// ErrForbidden: the password is right, and its account may not do this.
	ErrForbidden = errors.New("nvr: the account may not do this")
	// ErrInClear: the NVR takes the password only in clear, and is not given it.
	ErrInClear = errors.New("nvr: the NVR takes the password only in clear")
	// ErrEnough is what a caller's function returns to end a listing or playback early; the driver returns nil then.
	ErrEnough = errors.New("nvr: enough")
	// ErrSilent: a playback was promised, and neither a picture nor its end came. It says nothing about what is recorded.
	ErrSilent = errors.New("nvr: nothing came of the playback")
)

// AnswerError is an answer that is not understood. It is refused, never guessed at; what was received is kept for the
// person who looks into it.
type AnswerError struct {
	What string // the request, without host
	Why  string
	Got  string // the beginning of what was received, printable
	Err  error  `json:"-"` // more exactly; may be nil
}

func (e *AnswerError) Unwrap() error { return e.Err }

func (e *AnswerError) Error() string {
	return fmt.Sprintf("nvr: answer to %s not understood: %s; received %q", e.What, e.Why, e.Got)
}

// Target is what a driver needs to reach an NVR.
type Target struct {
	ID             string
	Address        string // http:// or https:// with host, and port when it is not the usual one
	RTSP           string // host:port; empty: the host of Address, port 554
	Pin            string // SHA-256 of the certificate, hex; empty: what the authorities vouch for
	User, Password string
}

// LiveHost is where an NVR answers RTSP, host:port.
func (t Target) LiveHost() string {
	if u, err := url.Parse(t.Address); err == nil && t.RTSP == "" {
		return net.JoinHostPort(u.Hostname(), "554")
	}
	return t.RTSP
}

// Kind is one kind of NVR: how a driver is opened, and how tracks and streams are named.
type Kind struct {
	// Open makes a driver; it does not connect.
	Open func(Target) (Driver, error)
	// Track names the recording track of a channel's main stream.
	Track func(channel int) TrackID
	// Stream numbers the n-th stream of a channel: 1 is the main stream, 2 the smaller one.
	Stream func(channel, n int) int
	// LiveURL is where an NVR gives the n-th stream of a channel.
	LiveURL func(t Target, channel, n int) string
}

// Driver speaks to one NVR. A caller makes one call at a time, and has a driver of its own for Live. It interprets no time: what an NVR's digits mean is
// calibrated per device by package nvrtime. Every call ends with ctx, and by its own time-outs without it.
type Driver interface {
	Info(ctx context.Context) (Info, error)
	Clock(ctx context.Context) (DeviceClock, error)
	// Channels lists the cameras behind the NVR with the properties of their streams.
	Channels(ctx context.Context) ([]Channel, error)
	// Tracks lists the recording tracks with how long each is kept.
	Tracks(ctx context.Context) ([]Track, error)
	// SetExpiry makes a track expire after that many days.
	SetExpiry(ctx context.Context, track TrackID, days int) error
	// Search gives what is recorded on a track and overlaps [from, to), page by page, in the NVR's order. An answer
	// that breaks off is an error after what came before it.
	Search(ctx context.Context, track TrackID, from, to Stamp, each func(Record) error) error
	// Log gives the NVR's own log from to to. ErrNotOffered when it cannot be searched.
	Log(ctx context.Context, from, to Stamp, each func(LogLine) error) error
	// Play plays a track from from to to. It returns nil when the NVR ended the playback, whether or not everything
	// came: the caller sees by the times. ErrSilent when nothing came and nothing was said, ErrBusy when there is no
	// place for another playback.
	Play(ctx context.Context, track TrackID, from, to Stamp, each func(AccessUnit) error) error
	// Live gives the pictures of a channel as they come, until each or ctx ends it.
	Live(ctx context.Context, channel int, each func(AccessUnit) error) error
	// Accounts lists who can log in, Services the ways in over the network. ErrNotOffered when it does not tell.
	Accounts(ctx context.Context) ([]Account, error)
	Services(ctx context.Context) ([]Service, error)
	// Local is the address of ours that the NVR last saw, empty before the first request.
	Local() string
	Close() error
}

// Info is what an NVR says of itself.
type Info struct {
	Name     string `json:"name"`
	Model    string `json:"model"`
	Serial   string `json:"serial"`
	Firmware string `json:"firmware"`
}

// Stamp is an instant in the NVR's digits. Digits holds year to second in the fields of a UTC time, whatever they
// mean; how they were marked is no proof of it.
type Stamp struct {
	Digits time.Time
	Mark   Mark
	Offset time.Duration // with MarkOffset: what was written, east positive
}

// Mark is what was behind the digits.
type Mark uint8

// The marks.
const (
	MarkNone   Mark = iota // nothing
	MarkZ                  // a Z, which by ISO 8601 means UTC and on many NVRs does not
	MarkOffset             // +08:00: unmistakable
)

// DeviceClock is the NVR's clock at one instant.
type DeviceClock struct {
	Now   Stamp
	Zone  string // as the NVR writes it, "CST-8:00:00"; see [ParseZone]
	Mode  string // "NTP", "manual" …
	Delay time.Duration
}

// Channel is one camera behind an NVR.
type Channel struct {
	ID      int      `json:"id"`
	Name    string   `json:"name"`
	Address string   `json:"address,omitempty"` // of the camera
	Online  *bool    `json:"online,omitempty"`  // nil: the NVR does not say
	Streams []Stream `json:"streams,omitempty"`
}

// Stream is one encoding of a channel. Zero fields were not given.
type Stream struct {
	ID    int    `json:"id"`    // see [Kind.Stream]
	Codec string `json:"codec"` // as the NVR writes it, "H.264"
	W     int    `json:"w,omitempty"`
	H     int    `json:"h,omitempty"`
	MilFr int    `json:"mfps,omitempty"` // frames in 1000 s
	Kbps  int    `json:"kbps,omitempty"` // constant, or upper bound
	GOP   int    `json:"gop,omitempty"`  // frames from key frame to key frame
}

// Track is a recording track: the recorded side of a channel's stream.
type Track struct {
	ID      TrackID
	Channel int
	Enabled bool
	Keep    time.Duration // 0: until overwritten
	Expires bool          // deletion by age is switched on
}

// Record is one recorded piece of a track.
type Record struct {
	Track    TrackID
	From, To Stamp
	PlayFrom Stamp  // as the NVR itself would ask for it in playback; zero Digits when it did not say
	Codec    string // "h264", "h265"; empty: another one
	Locked   bool   // kept by somebody on the NVR beyond its time
}

// LogLine is one line of the NVR's log.
type LogLine struct {
	At      Stamp
	Act     Act           // empty: nothing that opens footage
	Cause   footage.Cause // of missing footage; empty: none
	User    string
	Address string // where from, empty at the device itself
	Channel int    // 0: none
}

// Act is what somebody did at an NVR, by its own log.
type Act string

// The acts that open footage, or try to.
const (
	ActRefused  Act = "refused" // a log-in that failed
	ActLogin    Act = "login"
	ActPlayback Act = "playback"
	ActExport   Act = "export"
)

// AccessUnit is one picture of a playback.
type AccessUnit struct {
	Codec string    // "h264", "h265"
	Sets  [][]byte  // parameter sets known from the description; only with the first
	NALs  [][]byte  //
	Ticks uint32    // RTP time, 90 kHz
	Clock time.Time // absolute time of the picture by what the NVR last stated; zero when it states none, or not yet
	// ClockTicks is the RTP time for which the NVR last stated an absolute time: behind it Clock is counted on.
	ClockTicks uint32
}

// Account is somebody who can log in to an NVR.
type Account struct {
	Name  string
	Level string // as the NVR writes it, "Administrator"
}

// Service is a way in over the network.
type Service struct {
	Name string // as the NVR writes it, "RTSP"
	Port int    // 0: none, or not reported
	Open bool
}
