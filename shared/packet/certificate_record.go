package packet

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// Record is what entries of the ledger say about the keeping of one camera's footage. Certificates and reports are
// made of it and of nothing else.
type Record struct {
	Recorded, Deleted []footage.Binding // by hour, then by entry
	Announced, Erased []KeyEvent
	Turned            []RootEvent
	turning           []RootEvent // announced
	Gaps              []footage.Gap
	Breaches          []footage.BreachEntry
	Policies          []footage.PolicyAt
	Holds             []footage.Kept
	Excuses           []footage.Excuse
	Checks            []footage.Checked
	Damaged           []string // camera-days of segments that entries call missing or damaged
}

// KeyEvent is an announced or a finished destruction of keys.
type KeyEvent struct {
	Seq  uint64
	At   time.Time
	Keys []string
}

// RootEvent is a finished rotation of the root key: what was announced is what was confirmed. The confirmation that
// follows a rotation that failed names the root of before, and is none.
type RootEvent struct {
	Seq       uint64
	At        time.Time
	Announced uint64 // entry of the announcement
	Assurance string // what the end of a key under the root before it is worth now
	root      []byte
}

// RecordKinds are the entries that a Record reads.
var RecordKinds = []ledger.Kind{"footage.recorded", "footage.deleted", "key.erase.intent", "key.erased", "footage.gap", "footage.breach",
	"footage.unlinkfailed", "footage.damaged", "hold.registered", "hold.released", "hold.ended", "camera.registered", "camera.changed",
	"clock.state", "system.start", "system.stop", "nvr.checked", "key.root.intent", "key.root"}

// fields are those of all kinds that a Record reads.
type fields struct {
	Hour, First, Last, From, To, Until, Oldest, Newest time.Time
	Count, Bytes, Days                                 int64
	Missing                                            int64 `json:"missing_s"`
	Root                                               []byte
	Cause, Reason, Hold, Day                           string
	Keys, Cameras                                      []string
	Judged, Floor, Ceiling                             bool
}

// labelled are the fields of the two kinds whose "days" is a list.
type labelled struct {
	Hour, First, Last time.Time
	Count, Bytes      int64
	Root              []byte
	Assurance         string
	Days              []string
}

// ReadRecord reads entries of one camera, oldest first. What is about another camera is left out, except for what
// the appliance's clock and power say about all. An entry whose kind is not among RecordKinds is an error.
func ReadRecord(camera string, entries []ledger.Entry) (Record, error) {
	var r Record
	for i, e := range entries {
		if !slices.Contains(RecordKinds, e.Kind) {
			return r, fmt.Errorf("entry %d, %s, says nothing about the retention of footage", e.Seq, e.Kind)
		}
		if err := r.read(camera, e, entries[:i]); err != nil {
			return r, fmt.Errorf("entry %d: %w", e.Seq, err)
		}
	}
	byHour := func(a, b footage.Binding) int { return cmp.Or(a.Hour.Compare(b.Hour), cmp.Compare(a.Seq, b.Seq)) }
	slices.SortFunc(r.Recorded, byHour)
	slices.SortFunc(r.Deleted, byHour)
	footage.SortGaps(r.Gaps)
	return r, nil
}

func (r *Record) read(camera string, e ledger.Entry, before []ledger.Entry) error {
	switch e.Kind {
	case "footage.recorded", "footage.deleted":
		if e.Subject != camera {
			return nil
		}
		var d labelled
		if err := json.Unmarshal(e.Data, &d); err != nil {
			return fmt.Errorf("cannot be read: %w", err)
		}
		if len(d.Root) != 32 || d.Count < 0 {
			return errors.New("binds no segments")
		}
		b := footage.Binding{Seq: e.Seq, At: e.At, Trusted: e.Clock.State == clock.Trusted, Hour: d.Hour, Count: int(d.Count), Bytes: d.Bytes,
			Root: [32]byte(d.Root), First: d.First, Last: d.Last, Days: d.Days, Assurance: d.Assurance}
		if e.Kind == "footage.recorded" {
			r.Recorded = append(r.Recorded, b)
		} else {
			r.Deleted = append(r.Deleted, b)
		}
		return nil
	case "clock.state", "system.start":
		r.excuse(e, before)
		return nil
	case "system.stop":
		return nil
	case "key.root.intent", "key.root":
		var d struct {
			Root      []byte
			Assurance string
		}
		if err := json.Unmarshal(e.Data, &d); err != nil {
			return fmt.Errorf("cannot be read: %w", err)
		}
		x := RootEvent{Seq: e.Seq, At: e.At, Assurance: d.Assurance, root: d.Root}
		if e.Kind == "key.root.intent" {
			r.turning = append(r.turning, x)
		} else if i := slices.IndexFunc(r.turning, func(t RootEvent) bool { return bytes.Equal(t.root, x.root) }); i >= 0 {
			x.Announced = r.turning[i].Seq
			r.Turned = append(r.Turned, x)
		}
		return nil
	}
	if e.Subject != camera && e.Kind != "hold.registered" && e.Kind != "hold.released" && e.Kind != "hold.ended" {
		return nil
	}
	var d fields
	if len(e.Data) > 0 {
		if err := json.Unmarshal(e.Data, &d); err != nil {
			return fmt.Errorf("cannot be read: %w", err)
		}
	}
	switch e.Kind {
	case "key.erase.intent":
		r.Announced = append(r.Announced, KeyEvent{e.Seq, e.At, d.Keys})
	case "key.erased":
		r.Erased = append(r.Erased, KeyEvent{e.Seq, e.At, d.Keys})
	case "footage.gap":
		r.Gaps = append(r.Gaps, footage.Gap{Camera: camera, Span: footage.Span{From: d.From, To: d.To}, Cause: footage.Cause(d.Cause)})
	case "footage.breach":
		r.Breaches = append(r.Breaches, footage.BreachEntry{Seq: e.Seq, Span: footage.Span{From: d.From, To: d.To}, Reason: d.Reason})
	case "footage.unlinkfailed":
		r.Excuses = append(r.Excuses, footage.Excuse{Span: footage.Span{From: e.At}, Cause: footage.LateUnlink, Seqs: []uint64{e.Seq}})
	case "footage.damaged":
		r.Damaged = append(r.Damaged, d.Day)
	case "camera.registered", "camera.changed":
		if d.Days > 0 {
			r.Policies = append(r.Policies, footage.PolicyAt{At: e.At, Days: int(d.Days), Seq: e.Seq})
		}
	case "hold.registered", "hold.released", "hold.ended":
		r.hold(camera, e, d)
	case "nvr.checked":
		r.Checks = append(r.Checks, footage.Checked{Seq: e.Seq, At: e.At, Oldest: d.Oldest, Newest: d.Newest, Missing: time.Duration(d.Missing) * time.Second,
			Days: int(d.Days), Judged: d.Judged, Floor: d.Floor, Ceiling: d.Ceiling})
	}
	return nil
}

func (r *Record) hold(camera string, e ledger.Entry, d fields) {
	i := slices.IndexFunc(r.Holds, func(h footage.Kept) bool { return h.ID == d.Hold && h.Ended.IsZero() })
	if e.Kind != "hold.registered" {
		if i >= 0 {
			r.Holds[i].Ended = e.At
			r.Holds[i].Seqs = append(r.Holds[i].Seqs, e.Seq)
		}
		return
	}
	k := footage.Kept{ID: d.Hold, Span: footage.Span{From: d.From, To: d.To}, Since: e.At, Until: d.Until, Reason: d.Reason, Seqs: []uint64{e.Seq}}
	if i >= 0 { // registered again with another span or end: it takes over from the first
		k.Since = r.Holds[i].Since
		k.Seqs = append(r.Holds[i].Seqs, e.Seq)
		if slices.Contains(d.Cameras, camera) {
			r.Holds[i] = k
			return
		}
		r.Holds[i].Ended = e.At
		return
	}
	if slices.Contains(d.Cameras, camera) {
		r.Holds = append(r.Holds, k)
	}
}

// signOfLife is how far the first entries of a run lie apart at most.
const signOfLife = 2 * time.Minute

// LastSign says whether e, an entry before a start, is not of the run that then began: the last sign of life of
// the one before.
func LastSign(e, start ledger.Entry) bool {
	return e.Clock.Boot != start.Clock.Boot || e.Kind == "system.stop" || start.Clock.Mono-e.Clock.Mono > signOfLife
}

// excuse reads what stops all deletion: no power, no trusted clock.
func (r *Record) excuse(e ledger.Entry, before []ledger.Entry) {
	if e.Kind == "system.start" {
		for _, b := range slices.Backward(before) {
			if LastSign(b, e) {
				if b.At.Before(e.At) {
					r.Excuses = append(r.Excuses, footage.Excuse{Span: footage.Span{From: b.At, To: e.At}, Cause: footage.LatePower, Seqs: []uint64{b.Seq, e.Seq}})
				}
				return
			}
		}
		return
	}
	var d struct{ From, To string }
	if json.Unmarshal(e.Data, &d) != nil || d.To != clock.Trusted.String() || d.From == clock.Trusted.String() {
		return
	}
	var since *ledger.Entry
	for _, b := range slices.Backward(before) { // since when it was not
		var s struct{ To string }
		if b.Kind == "clock.state" && json.Unmarshal(b.Data, &s) == nil {
			if s.To == clock.Trusted.String() {
				break
			}
			since = &b
		}
		if b.Kind == "system.start" {
			since = &b
			break
		}
	}
	if since != nil && since.At.Before(e.At) {
		r.Excuses = append(r.Excuses, footage.Excuse{Span: footage.Span{From: since.At, To: e.At}, Cause: footage.LateClock, Seqs: []uint64{since.Seq, e.Seq}})
	}
}

// NotedGap is what an entry says a camera missed: when it was, as known when it was entered, and in the time of the boots.
type NotedGap struct {
	footage.Gap
	Ends footage.Missed // without boots when the entry names none
}

// Place gives the gap where the anchors place it, as they do footage.
func (n NotedGap) Place(a clock.Anchors) footage.Gap {
	if s, ok := n.Ends.Place(a); ok {
		n.Span = s
	}
	return n.Gap
}

// ReadGap reads a `footage.gap` entry.
func ReadGap(e ledger.Entry) (n NotedGap, err error) {
	var d struct {
		footage.Span
		Cause    footage.Cause
		FromBoot string        `json:"from_boot"`
		FromMono time.Duration `json:"from_mono"`
		ToBoot   string        `json:"to_boot"`
		ToMono   time.Duration `json:"to_mono"`
	}
	if err := json.Unmarshal(e.Data, &d); err != nil {
		return n, fmt.Errorf("entry %d cannot be read: %w", e.Seq, err)
	}
	n.Gap = footage.Gap{Camera: e.Subject, Span: d.Span, Cause: d.Cause}
	n.Ends = footage.Missed{Camera: e.Subject, From: footage.Instant{Boot: d.FromBoot, Mono: d.FromMono}, To: footage.Instant{Boot: d.ToBoot, Mono: d.ToMono}, Cause: d.Cause}
	return n, nil
}
