package wire

import (
	"regexp"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Probe is the root of a log at one of its sizes; comparing probes finds where two logs part.
type Probe struct {
	Size uint64    `json:"size"`
	Root tlog.Hash `json:"root"`
}

// MaxProbes is how many probes one hello may carry.
const MaxProbes = 33

// HelloMsg says where the appliance believes to be. The centre answers each hello with one Answer that repeats
// the nonce, so that an answer is known to be younger than its question.
type HelloMsg struct {
	V           int     `json:"v"`
	Nonce       Nonce   `json:"nonce"`
	Epoch       uint64  `json:"epoch"`
	Size        uint64  `json:"size"`
	Checkpoint  []byte  `json:"checkpoint"`            // signed by the appliance at Size
	Incarnation string  `json:"incarnation,omitempty"` // of the centre, as last seen
	Witnessed   []byte  `json:"witnessed,omitempty"`   // the newest cosigned checkpoint: what the centre must still have
	Probes      []Probe `json:"probes,omitempty"`      // ascending
	Branch      *Branch `json:"branch,omitempty"`      // asks for a new epoch
}

// Branch asks for the next epoch, linked where the appliance's log and the centre's part.
type Branch struct {
	ID     Nonce     `json:"id"`     // the same in every repetition of one request
	Latest uint64    `json:"latest"` // the newest epoch the centre named; a grant needs it to be the newest still
	Base   uint64    `json:"base"`   // the epoch whose leaves were compared
	Fork   uint64    `json:"fork"`   // leaves [0,Fork) are the same
	Root   tlog.Hash `json:"root"`   // of both logs at Fork
}

// AckMsg is what the centre has stored. It is sent after COMMIT only.
type AckMsg struct {
	V           int        `json:"v"`
	Incarnation string     `json:"incarnation"`         // changes when the centre was restored from a copy
	Latest      uint64     `json:"latest"`              // newest epoch of this appliance
	Epoch       uint64     `json:"epoch"`               // the epoch that Stored, Root and Parts speak of
	Stored      uint64     `json:"stored"`              // leaves [0,Stored) are in the centre's database
	Root        tlog.Hash  `json:"root"`                // of these leaves
	Witnessed   []byte     `json:"witnessed,omitempty"` // the appliance's checkpoint with the centre's cosignature
	Window      int        `json:"window"`              // batches that may be under way
	Parts       PartCursor `json:"parts"`               // how far the payload lane came
	Urgent      []uint64   `json:"urgent,omitempty"`    // urgent leaves of Epoch stored by this message
	Ask         bool       `json:"ask,omitempty"`       // something is missing at Stored: send again from there
	Answer      *Answer    `json:"answer,omitempty"`    // to a hello
}

// PartCursor says how far released parts came: those of leaves [0,Through) under disclosure profile Profile.
type PartCursor struct {
	Profile uint32 `json:"profile"`
	Through uint64 `json:"through"`
}

// Answer is the part of an AckMsg that answers a hello.
type Answer struct {
	Nonce   Nonce  `json:"nonce"`
	Agree   uint64 `json:"agree"`             // the largest probe at which both logs are the same
	Differ  uint64 `json:"differ,omitempty"`  // the smallest probe at which they are not; 0: none
	Granted *Nonce `json:"granted,omitempty"` // id of the branch request that made Latest
	Time    []byte `json:"time"`              // signed statement of the time (see SignTime)
}

// UrgentMsg carries one leaf of an urgent kind ahead of the stream.
type UrgentMsg struct {
	V          int              `json:"v"`
	Epoch      uint64           `json:"epoch"`
	Seq        uint64           `json:"seq"`
	Leaf       []byte           `json:"leaf"`
	Proof      tlog.RecordProof `json:"proof"` // inclusion in Checkpoint
	Checkpoint []byte           `json:"checkpoint"`
}

// PayloadMsg carries every released part of the leaves [From,To), and what has been erased there.
type PayloadMsg struct {
	V       int    `json:"v"`
	Epoch   uint64 `json:"epoch"`
	Profile uint32 `json:"profile"` // a higher one starts again at 0 and withdraws what the lower one released
	From    uint64 `json:"from"`
	To      uint64 `json:"to"`
	Items   []Item `json:"items,omitempty"`
}

// Op is what a payload item does.
type Op string

// What the payload lane says.
const (
	Release Op = "release" // here is the part: salt and plain text
	Erased  Op = "erased"  // its owner was erased before it could travel
	Erase   Op = "erase"   // forget every part of this owner
)

// Item is one act on the payload lane.
type Item struct {
	Seq   uint64 `json:"seq"`
	Op    Op     `json:"op"`
	Name  string `json:"name,omitempty"`
	Owner string `json:"owner"`
	Salt  []byte `json:"salt,omitempty"` // 32 bytes
	Plain []byte `json:"plain,omitempty"`
}

// StateMsg is retained: whether the appliance is on line. The last will says it is not.
type StateMsg struct {
	V       int    `json:"v"`
	Online  bool   `json:"online"`
	Release string `json:"release,omitempty"` // version of the appliance's program
}

var (
	incarnationForm = regexp.MustCompile(`^[0-9a-f]{16}$`)
	codeForm        = regexp.MustCompile(`^[a-z0-9._:-]{1,64}$`)
	releaseForm     = regexp.MustCompile(`^[A-Za-z0-9.+_-]{0,64}$`)
)

// maxNumber bounds epochs and sizes, so that sums and shifts of them cannot overflow.
const maxNumber = 1 << 48

func (m *HelloMsg) check() error {
	switch {
	case m.V != Version:
		return malformed("hello: version %d", m.V)
	case m.Epoch == 0 || m.Epoch > maxNumber || m.Size > maxNumber:
		return malformed("hello: epoch %d, size %d", m.Epoch, m.Size)
	case len(m.Checkpoint) == 0 || len(m.Checkpoint) > MaxCheckpoint || len(m.Witnessed) > MaxCheckpoint:
		return malformed("hello: checkpoint of %d, witnessed of %d bytes", len(m.Checkpoint), len(m.Witnessed))
	case m.Incarnation != "" && !incarnationForm.MatchString(m.Incarnation):
		return malformed("hello: incarnation")
	case len(m.Probes) > MaxProbes:
		return malformed("hello: %d probes", len(m.Probes))
	case m.Branch != nil && (m.Branch.Latest == 0 || m.Branch.Base == 0 || m.Branch.Fork > m.Size):
		return malformed("hello: branch")
	}
	for i, p := range m.Probes {
		if p.Size > m.Size || i > 0 && p.Size <= m.Probes[i-1].Size {
			return malformed("hello: probes not ascending within the log")
		}
	}
	return nil
}

func (m *AckMsg) check() error {
	switch {
	case m.V != Version:
		return malformed("ack: version %d", m.V)
	case !incarnationForm.MatchString(m.Incarnation):
		return malformed("ack: incarnation")
	case m.Epoch == 0 || m.Latest == 0 || m.Epoch > maxNumber || m.Latest > maxNumber || m.Stored > maxNumber:
		return malformed("ack: epoch %d, latest %d, stored %d", m.Epoch, m.Latest, m.Stored)
	case m.Window < 1 || m.Window > 64:
		return malformed("ack: window %d", m.Window)
	case len(m.Witnessed) > MaxCheckpoint:
		return malformed("ack: witnessed of %d bytes", len(m.Witnessed))
	case len(m.Urgent) > MaxEntries:
		return malformed("ack: %d urgent", len(m.Urgent))
	case m.Answer != nil && (len(m.Answer.Time) == 0 || len(m.Answer.Time) > MaxCheckpoint):
		return malformed("ack: time")
	}
	return nil
}

func (m *UrgentMsg) check() error {
	switch {
	case m.V != Version:
		return malformed("urgent: version %d", m.V)
	case m.Epoch == 0 || m.Epoch > maxNumber || m.Seq > maxNumber:
		return malformed("urgent: epoch %d, seq %d", m.Epoch, m.Seq)
	case len(m.Leaf) == 0 || len(m.Leaf) > MaxLeaf:
		return malformed("urgent: leaf of %d bytes", len(m.Leaf))
	case len(m.Proof) > 64:
		return malformed("urgent: proof of %d hashes", len(m.Proof))
	case len(m.Checkpoint) == 0 || len(m.Checkpoint) > MaxCheckpoint:
		return malformed("urgent: checkpoint")
	}
	return nil
}

func (m *PayloadMsg) check() error {
	if m.V != Version || m.Epoch == 0 || m.Profile == 0 || m.From >= m.To || m.To > maxNumber || m.Epoch > maxNumber || len(m.Items) > MaxEntries {
		return malformed("payload: header")
	}
	for _, it := range m.Items {
		if it.Seq < m.From || it.Seq >= m.To || !codeForm.MatchString(it.Owner) {
			return malformed("payload: item outside its range or without owner")
		}
		named := codeForm.MatchString(it.Name)
		ok := false
		switch it.Op {
		case Release:
			ok = named && len(it.Salt) == 32 && len(it.Plain) <= MaxPart
		case Erased:
			ok = named && len(it.Salt) == 0 && len(it.Plain) == 0
		case Erase:
			ok = it.Name == "" && len(it.Salt) == 0 && len(it.Plain) == 0
		}
		if !ok {
			return malformed("payload: item of op %q", it.Op)
		}
	}
	return nil
}

func (m *StateMsg) check() error {
	if m.V != Version || !releaseForm.MatchString(m.Release) {
		return malformed("state")
	}
	return nil
}

// Encode and Decode of each message: one spelling, nothing unknown.

func (m HelloMsg) Encode() ([]byte, error)   { m.V = Version; return encode(&m) }
func (m AckMsg) Encode() ([]byte, error)     { m.V = Version; return encode(&m) }
func (m UrgentMsg) Encode() ([]byte, error)  { m.V = Version; return encode(&m) }
func (m PayloadMsg) Encode() ([]byte, error) { m.V = Version; return encode(&m) }
func (m StateMsg) Encode() ([]byte, error)   { m.V = Version; return encode(&m) }

// DecodeHello reads a hello.
func DecodeHello(b []byte) (m HelloMsg, err error) { err = decode(b, &m); return m, err }

// DecodeAck reads an acknowledgement.
func DecodeAck(b []byte) (m AckMsg, err error) { err = decode(b, &m); return m, err }

// DecodeUrgent reads an urgent leaf.
func DecodeUrgent(b []byte) (m UrgentMsg, err error) { err = decode(b, &m); return m, err }

// DecodePayload reads a piece of the payload lane.
func DecodePayload(b []byte) (m PayloadMsg, err error) { err = decode(b, &m); return m, err }

// DecodeState reads whether an appliance is on line.
func DecodeState(b []byte) (m StateMsg, err error) { err = decode(b, &m); return m, err }

// Contact is how long after its last message an appliance that is not connected counts as silent on the
// console: twice the hourly hello.
const Contact = 2 * time.Hour
