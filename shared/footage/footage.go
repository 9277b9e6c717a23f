// Package footage holds the rules about recorded pictures: which cameras there are, who keeps their
// footage, what must stay, what must go, and what is missing.
//
// It owns nothing and does no I/O; every rule is a function of values and a [clock.Reading].
// Instants of recorded frames are kept as (boot, monotonic) pairs and turned into UTC by the anchor
// table, because a wall clock may have been wrong while it recorded.
package footage

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"time"

	"campuskeep/shared/clock"
)

// Area is the kind of place a camera looks at (F1).
type Area string

// The kinds of area. The private ones exist only so that a camera there can be refused by rule (F2).
const (
	AreaGate       Area = "gate"
	AreaPerimeter  Area = "perimeter"
	AreaPublic     Area = "public"
	AreaCorridor   Area = "corridor"
	AreaClassroom  Area = "classroom"
	AreaLaboratory Area = "laboratory"
	AreaPlayground Area = "playground"
	AreaCanteen    Area = "canteen"

	AreaDormitoryRoom Area = "dormitory_room"
	AreaOffice        Area = "office"
	AreaToilet        Area = "toilet"
	AreaChangingRoom  Area = "changing_room"
)

// Custody says who keeps a camera's footage (design §4).
type Custody string

const (
	CustodyVault  Custody = "vault"  // we record it and delete it
	CustodyNVR    Custody = "nvr"    // the NVR keeps it; we supervise
	CustodyFolder Custody = "folder" // files that an NVR drops
)

// Policy is how long a camera's footage stays. Days counts from 30 upwards; more than 30 needs a Reason (F3).
type Policy struct {
	Days   int    `json:"days"`
	Reason string `json:"reason,omitempty"`
}

// Keep is the retention as a duration: N × 24 h.
func (p Policy) Keep() time.Duration { return time.Duration(p.Days) * 24 * time.Hour }

// Camera is one row of the register of cameras (F1). Credentials are not part of it: they are sealed. Sound of people
// is more sensitive than pictures of them: none is kept unless somebody has decided so, and said why.
type Camera struct {
	ID          string    `json:"id"` // c01 …; [a-z0-9-]{1,32}, part of file paths
	Name        string    `json:"name"`
	Place       string    `json:"place"` // the words an applicant knows the place by
	Group       string    `json:"group,omitempty"`
	Area        Area      `json:"area"`
	Custody     Custody   `json:"custody"`
	Main        string    `json:"main"` // rtsp:// or rtsps:// address without credentials
	Sub         string    `json:"sub,omitempty"`
	Transport   string    `json:"transport,omitempty"` // of the pictures: tcp (also when empty) or udp
	Pin         string    `json:"pin,omitempty"`       // SHA-256 of the certificate in hex, for rtsps and https
	Basic       bool      `json:"basic,omitempty"`     // the password may be given in clear, where the camera knows no better
	Still       string    `json:"still,omitempty"`     // http:// or https:// address of the camera's own JPEG, without credentials
	Kbps        int       `json:"kbps,omitempty"`      // what the main stream is set to; 0: not known
	Policy      Policy    `json:"policy"`
	Sound       bool      `json:"sound,omitempty"`        // what the camera sends to be heard is kept too
	SoundReason string    `json:"sound_reason,omitempty"` // on what ground
	Priority    int       `json:"priority,omitempty"`     // 1 is the last to be thinned
	Installer   string    `json:"installer,omitempty"`
	Technician  string    `json:"technician,omitempty"` // person id
	Installed   string    `json:"installed,omitempty"`  // date, 2006-01-02
	GBCode      string    `json:"gb_code,omitempty"`    // 20 digits, GB/T 28181
	Retired     bool      `json:"retired,omitempty"`
	Since       time.Time `json:"since,omitzero"` // registered
}

// Span is the half-open time [From, To).
type Span struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Contains says whether t lies in the span.
func (s Span) Contains(t time.Time) bool { return !t.Before(s.From) && t.Before(s.To) }

// Overlaps says whether two spans share an instant.
func (s Span) Overlaps(o Span) bool { return s.From.Before(o.To) && o.From.Before(s.To) }

// Intersect is the common part; empty (From == To) when there is none.
func (s Span) Intersect(o Span) Span {
	if o.From.After(s.From) {
		s.From = o.From
	}
	if o.To.Before(s.To) {
		s.To = o.To
	}
	if s.To.Before(s.From) {
		s.To = s.From
	}
	return s
}

// Duration is To − From.
func (s Span) Duration() time.Duration { return s.To.Sub(s.From) }

// FileID is the random 128-bit name of a segment file; its text form is 32 lower-case hex digits.
type FileID [16]byte

func (f FileID) String() string { return hex.EncodeToString(f[:]) }

// MarshalText writes the hex form.
func (f FileID) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads the hex form; upper case and other lengths are errors.
func (f *FileID) UnmarshalText(b []byte) error {
	v, err := ParseFileID(string(b))
	if err == nil {
		*f = v
	}
	return err
}

// ParseFileID reads the text form of a file id.
func ParseFileID(s string) (FileID, error) {
	var f FileID
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(f) || hex.EncodeToString(b) != s {
		return f, fmt.Errorf("file id %q is not 32 lower-case hex digits", s)
	}
	copy(f[:], b)
	return f, nil
}

// Segment is about one minute of one camera, as the index knows it.
type Segment struct {
	Camera    string        `json:"camera"`
	File      FileID        `json:"file"`
	Custody   Custody       `json:"custody"`
	Day       string        `json:"day"` // label in the path and of the key; not a fact about time
	Boot      string        `json:"boot"`
	From      time.Duration `json:"from"`    // monotonic, first frame
	To        time.Duration `json:"to"`      // monotonic, end of the last frame
	Wall      time.Time     `json:"wall"`    // what the wall clock claimed at From
	Session   uint64        `json:"session"` // recorder session: same session = one continuous time line
	Bytes     int64         `json:"bytes"`
	Frags     int           `json:"frags"`
	Codec     string        `json:"codec"` // "h264", "h265"
	Hash      [32]byte      `json:"hash"`  // tree over the plaintext fragments
	Recovered bool          `json:"recovered,omitempty"`
	// Open: the segment is still being written. To, Bytes and Frags say how far it can be read, it has no Hash, and a
	// power cut may take what it has not made durable. Only sources that are asked for such segments list them.
	Open bool `json:"open,omitempty"`
}

// FragmentInfo places one fragment inside its segment.
type FragmentInfo struct {
	From  time.Duration // monotonic
	To    time.Duration
	Key   bool // starts with a key frame
	Bytes int  // plaintext
}

// SegmentReader gives the plaintext of one segment. Init is the fMP4 initialisation (moov); a fragment
// is one moof+mdat whose base time counts from the start of the recorder session.
// Not safe for concurrent use.
type SegmentReader interface {
	Init() []byte
	Fragments() []FragmentInfo
	Fragment(i int) ([]byte, error)
	io.Closer
}

// Source gives recorded footage of every custody. Ribbon, holds, playback and package
// read through it and never ask which it is.
type Source interface {
	// Segments lists what overlaps the span, oldest first, with each segment's place in UTC.
	Segments(ctx context.Context, camera string, span Span) ([]Placed, error)
	// OpenSegment opens one for reading. fs.ErrNotExist when it is gone; ErrPastCeiling and
	// ErrCondemned when it may no longer be shown although the bytes are there.
	OpenSegment(ctx context.Context, s Segment) (SegmentReader, error)
}

// Placed is a segment with its span in UTC.
type Placed struct {
	Segment
	Span        Span
	Uncertainty time.Duration
	Anchored    bool // false: the boot is unanchored; Span is then what the wall clock claimed
}

// Hold keeps footage from deletion beyond its time (design §5). Every hold has a reason and an end.
type Hold struct {
	ID          string    `json:"id"`
	Application string    `json:"application,omitempty"`
	Cameras     []string  `json:"cameras"`
	Span        Span      `json:"span"`
	Since       time.Time `json:"since"`
	Until       time.Time `json:"until"`  // the hold ends by itself
	Reason      string    `json:"reason"` // code
	Released    time.Time `json:"released,omitzero"`
	// Open: Until is counted from an instant that no trusted clock has told yet, so it ends nothing.
	Open bool `json:"open,omitempty"`
}

// Active says whether the hold is in force. Only a trusted clock can say that it has ended: in doubt it is in force.
func (h Hold) Active(now clock.Reading) bool {
	return h.Released.IsZero() && (h.Open || !now.Reached(h.Until))
}

// SameFootage says whether both are about the same cameras and span.
func (h Hold) SameFootage(o Hold) bool {
	return h.Span.From.Equal(o.Span.From) && h.Span.To.Equal(o.Span.To) && slices.Equal(h.Cameras, o.Cameras)
}

// Covers says whether the hold protects footage of this camera that overlaps the span.
func (h Hold) Covers(camera string, s Span) bool {
	if !h.Span.Overlaps(s) {
		return false
	}
	return slices.Contains(h.Cameras, camera)
}
