// Package wire is what an appliance and the centre say to each other over MQTT: the topics, the batch of
// leaves, and the versioned messages beside it.
//
// It owns the byte formats and their golden files; shared/wire/protocol owns what is said when. It must never
// guess: an unknown version, an unknown field, a second spelling of the same message or a size over its cap is
// refused, and decoders never allocate more than a message may hold.
package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
)

// Version is the version of every message of this build and is in each of them.
const Version = 1

// Caps and settings of the sync protocol (design §6).
const (
	MaxEntries    = 500       // leaves in one batch
	MaxBatch      = 64 << 10  // bytes of one encoded batch
	MaxRaw        = 512 << 10 // bytes of a batch before compression: what a decoder allocates at most
	MaxMessage    = 200 << 10 // bytes of any message: below the broker's packet limit of 256 KiB
	MaxLeaf       = 4 << 10   // bytes of one leaf
	MaxPart       = 64 << 10  // bytes of one sealed part
	MaxCheckpoint = 1 << 10   // bytes of a signed checkpoint with its cosignatures
	Window        = 8         // batches under way without an acknowledgement
)

// ErrMalformed is wrapped by every error that says: these bytes are no message of ours.
var ErrMalformed = errors.New("malformed message")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// Channel is the last level of a topic.
type Channel string

// The channels of an appliance. It publishes the first five and subscribes to the last two.
const (
	Up      Channel = "up"      // batches of leaves, in order
	Urgent  Channel = "urgent"  // single leaves of urgent kinds with their inclusion proof
	Payload Channel = "payload" // released sealed parts, in order
	Hello   Channel = "hello"   // where the appliance believes to be; asks for an answer
	State   Channel = "state"   // retained: on line or not (last will)
	Ack     Channel = "ack"     // what the centre has stored; answers to hello
	Down    Channel = "down"    // batches of the centre's own ledger
)

// Partitions is the number of topic partitions that consumers of a large centre lease.
const Partitions = 64

// Partition says which partition an appliance belongs to: FNV-1a of its id modulo 64.
func Partition(appliance string) int {
	h := fnv.New32a()
	h.Write([]byte(appliance)) // never fails
	return int(h.Sum32() % Partitions)
}

// Topic is the full topic of an appliance's channel, e.g. ck/1/17/ck-0417/up.
func Topic(appliance string, c Channel) string {
	return "ck/1/" + strconv.Itoa(Partition(appliance)) + "/" + appliance + "/" + string(c)
}

// Filter subscribes to one channel of every appliance.
func Filter(c Channel) string { return "ck/1/+/+/" + string(c) }

// ParseTopic takes a topic apart. The partition must be the appliance's own.
func ParseTopic(topic string) (appliance string, c Channel, err error) {
	p := strings.Split(topic, "/")
	if len(p) != 5 || p[0] != "ck" || p[1] != "1" {
		return "", "", malformed("topic %q", topic)
	}
	if !ApplianceID(p[3]) || p[2] != strconv.Itoa(Partition(p[3])) {
		return "", "", malformed("topic %q: partition or appliance", topic)
	}
	switch c = Channel(p[4]); c {
	case Up, Urgent, Payload, Hello, State, Ack, Down:
		return p[3], c, nil
	}
	return "", "", malformed("topic %q: channel", topic)
}

// ApplianceID says whether s can be an appliance's id: 3 to 32 of a-z, 0-9 and inner "-".
func ApplianceID(s string) bool {
	if len(s) < 3 || len(s) > 32 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// message is every JSON message: it knows its own rules.
type message interface{ check() error }

// encode writes the one spelling of a message.
func encode(m message) ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode message: %w", err)
	}
	if len(b) > MaxMessage {
		return nil, malformed("%d bytes, at most %d", len(b), MaxMessage)
	}
	return b, nil
}

// decode reads a message that encode wrote: same fields, same order, nothing else. Comparing with what we
// would have written refuses unknown fields, doubled keys, other letter cases and trailing bytes alike.
func decode(b []byte, m message) error {
	if len(b) > MaxMessage {
		return malformed("%d bytes, at most %d", len(b), MaxMessage)
	}
	var v struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return malformed("%v", err)
	}
	if v.V != Version {
		return malformed("version %d, this build speaks %d", v.V, Version)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(m); err != nil {
		return malformed("%v", err)
	}
	if err := m.check(); err != nil {
		return err
	}
	again, err := json.Marshal(m)
	if err != nil || !bytes.Equal(again, b) {
		return malformed("not in the one spelling of this message")
	}
	return nil
}
