package frame

import (
	"context"
	"errors"
	"time"

	"campuskeep/firmware/site"
	"campuskeep/firmware/usage"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
)

// NVRs supervises the recorders that keep cameras' footage themselves. What takes long is begun here and told of by
// later questions. Errors: fielderr.Errors, *account.Refused, ErrNoNVR.
type NVRs interface {
	NVRs() ([]NVR, error)
	NVR(id string) (NVR, error)
	NVRName(id string) (name string, ok bool)
	// Begin starts what is asked for: check, expiry, access paths. While something is under way there, nothing more is
	// begun.
	Begin(by account.Who, id, what string) error

	// Edit changes an NVR of the register, over the revision that was seen. Where it is reached is changed only when it
	// answers there, and is the machine that is said; else *NVRRefusal. store.ErrConflict when it has changed meanwhile.
	Edit(ctx context.Context, by account.Who, id string, e NVREdit) error
	// Rewire puts cameras on other channels; 0 is none. since zero: it always was so, and was written down wrongly.
	// Faults are at fields "channel.<camera>" and "since".
	Rewire(ctx context.Context, by account.Who, id string, rev uint64, channels map[string]int, since time.Time) error
	// Retire takes an NVR out of service with its cameras, Restore takes it back with those that are named.
	Retire(ctx context.Context, by account.Who, id string, rev uint64, reason string, cameras []string) error
	Restore(ctx context.Context, by account.Who, id string, rev uint64, reason string, cameras []string) error

	// Look begins to ask an NVR that is not registered; Looked returns how it goes, to anyone who began
	// it.
	Look(by account.Who, ask NVRAsk) (look string, err error)
	Looked(by account.Who, look string) (NVRLook, error)
	// Adopt registers what was looked at with its cameras. Of cameras at fault it gives site.RowErrors.
	Adopt(ctx context.Context, by account.Who, look string, plan NVRPlan) (id string, err error)

	// AccessPaths is the list of who can get at the footage outside the appliance; ok is false before it
	// was read.
	AccessPaths(id string) (l NVRAccessPaths, ok bool, err error)
	Sign(ctx context.Context, by account.Who, name, id string, read time.Time, replies map[string]NVRReply) error

	// Awaited says how far the footage of a viewing is on its way from an NVR; ok is false when there is nothing to
	// wait for.
	Awaited(ctx context.Context, v usage.Viewing) (f usage.Fetching, ok bool, err error)
}

// NVRRefusal is why an NVR was not changed: it does not answer as it has to, or is another machine.
type NVRRefusal struct {
	Fault, Detail string // as [NVR.Fault]
	Found, Was    string // model and serial number
	Known         string // id of the NVR of the register that answers; empty: none
}

// Error implements error.
func (e *NVRRefusal) Error() string {
	return "office: the NVR was not changed: " + e.Fault + " " + e.Detail
}

// NVREdit is what a person changes about a registered NVR. Empty fields of Login leave the password as it is.
type NVREdit struct {
	Rev                                           uint64
	Name, Place, Installer, Technician, Installed string
	Address, RTSP, Pin                            string
	Login                                         site.Login
	Swapped                                       bool // there is another machine now
	Disks                                         bool // with the disks of the old one
	Reason                                        string
}

// ErrNoNVR: no such NVR, or no such look of this person.
var ErrNoNVR = errors.New("office: no such NVR")

// What can be asked for at an NVR.
const (
	NVRCheck  = "check"
	NVRExpiry = "expiry"
	NVRPaths  = "doors"
)

// NVR is one of the register, with everything that is known of it.
type NVR struct {
	ID, Name, Place, Address         string
	Rev                              uint64 // of its row
	RTSP, Pin                        string
	Installer, Technician, Installed string
	Retired                          bool
	Model, Serial, Firmware          string
	Checked, Tried                   time.Time // zero: never
	Fault                            string    // of the last try; empty: none. "nvr.fault.<code>"
	FaultSince                       time.Time
	NoLog                            bool // its own log cannot be read
	Clock                            NVRClock
	Cameras                          []NVRCamera // by channel
	Others                           []string    // channels that are not in the register
	Work                             *NVRWork    // the last that was asked for; nil: nothing
	Fetches                          []NVRFetch  // newest first
	PathsRead, PathsSigned           time.Time
	PathsBefore                      time.Time // when they were last signed, if they have changed since
	SignedBy                         string

	// Of one NVR alone, for its forms.
	Channels []NVRPlug      // as it told them
	Loose    []string       // cameras that an NVR should keep and that are on none
	Wires    []NVRWire      // where cameras were before
	Depend   []NVRDependent // cameras in service that need it
	Left     []NVRDependent // cameras behind it that are out of service
	Kept     []NVRKept      // what goes with it
}

// NVRPlug is one channel.
type NVRPlug struct {
	Channel int
	Name    string
}

// NVRWire is a channel that a camera was on. From zero: since ever.
type NVRWire struct {
	Camera   string
	Channel  int
	From, To time.Time
}

// NVRDependent is a camera behind an NVR: Recorded by us through it, or kept by it.
type NVRDependent struct {
	Camera   string
	Recorded bool
}

// NVRKept is what an NVR alone holds and has to be kept until an instant.
type NVRKept struct {
	Camera string
	Span   footage.Span
	Until  time.Time
}

// NVRClock is what was found out about an NVR's times. Meanings are "utc", "local", or empty when nothing is certain.
type NVRClock struct {
	At                    time.Time // zero: not found out
	Known                 bool      // the offset was measured
	Offset, Error         time.Duration
	Zone                  string // as the NVR writes it
	East                  time.Duration
	List, Playback, Log   string
	FalseZ, BadZone, Told bool
}

// NVRCamera is one camera behind an NVR.
type NVRCamera struct {
	Camera  string
	Channel int
	Name    string // at the NVR
	Online  *bool  // nil: the NVR does not say
	Streams []NVRStream

	Seen   bool // there was a check
	Found  footage.Attestation
	Keep   time.Duration // the expiry that is set; 0: until overwritten
	KeepOn bool
	Asked  int    // days that we set; 0: none
	Result string // by later checks: confirmed, ignored; empty: not yet
}

// NVRStream is one encoding of a channel. Zero fields were not given.
type NVRStream struct {
	ID, W, H, MilFr, Kbps, GOP int
	Codec                      string
}

// NVRWork is something long at an NVR, under way while Ended is zero.
type NVRWork struct {
	What          string
	Since, Ended  time.Time
	Camera        string
	Done, Of      int
	Fault, Detail string
}

// Running says whether the work has not ended; nil is no work.
func (w *NVRWork) Running() bool { return w != nil && w.Ended.IsZero() }

// NVRFetch is one of the queue.
type NVRFetch struct {
	ID, Camera, Ground string
	Span               footage.Span
	State, Reason      string
	Percent            int
	Running            bool
	Bytes              int64
	Asked, Next, Ended time.Time
}

// NVRAsk is what an installer states before the first question.
type NVRAsk struct {
	Address, RTSP, Pin string
	Login              site.Login
}

// NVRLook is how a look goes.
type NVRLook struct {
	Address                       string
	Step                          string // what is asked just now; empty: it is over
	Fault, Detail                 string
	Model, Serial, Firmware, Name string
	Zone                          string
	Known                         bool // the offset means something
	Offset                        time.Duration
	Channels                      []NVRChannel
	Registered                    string // id of an NVR of the register with this serial number
}

// NVRChannel is one camera that a look has found.
type NVRChannel struct {
	ID      int
	Name    string
	Address string
	Online  *bool
	Streams []NVRStream
	Keep    time.Duration
	KeepOn  bool
	Track   bool // it is recorded at all
}

// main is the stream that is recorded, sub the smaller one; ok is false when the NVR does not are about it.
func (c NVRChannel) Stream(n int) (s NVRStream, ok bool) {
	for _, s := range c.Streams {
		if s.ID == c.ID*100+n {
			return s, true
		}
	}
	return s, false
}

// NVRPlan is what an installer registers.
type NVRPlan struct {
	Name, Place, Installer, Technician, Installed string
	Cameras                                       []NVRChoice
}

// NVRChoice is what becomes of one channel. Stream says what is recorded by us: 1 the main stream, 2 the smaller one.
type NVRChoice struct {
	Channel int
	Stream  int
	Camera  footage.Camera
}

// NVRAccessPaths is who can get at an NVR's footage past the appliance.
type NVRAccessPaths struct {
	Read, Signed, Previous time.Time
	By                     string
	NoUsers, NoPorts       bool // the NVR does not tell
	Paths                  []NVRAccessPath
	Sum                    [32]byte
}

// NVRAccessPath is one line of the list.
type NVRAccessPath struct {
	Key, Kind, Name, Level string
	Port                   int
	Open                   bool
	Answer, Note           string
}

// NVRReply is what a person answers about one line.
type NVRReply struct{ Answer, Note string }
