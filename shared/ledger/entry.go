// Package ledger is the one append-only log of everything that happened: its entries, the Merkle tree
// over them, the signed checkpoints, the proofs, and the offline verification of all of these.
//
// It owns no file and starts nothing; firmware/ledgerdb keeps the bytes. A leaf is the entry's JSON exactly
// as stored (RFC 6962 leaf hash over those bytes): nothing is ever re-encoded before hashing.
package ledger

import (
	"encoding/json"
	"time"

	"campuskeep/shared/clock"
)

// Version is the entry format this build writes.
const Version = 1

// AlgSHA256 names the hash of leaves, tree and commitments.
const AlgSHA256 = "sha256"

// Kind names what an entry records; see [Kinds].
type Kind string

// Entry is one leaf of the log. Field order is the order in the stored bytes.
type Entry struct {
	V       int             `json:"v"`
	Alg     string          `json:"alg"`
	Seq     uint64          `json:"seq"` // from 0, no holes
	At      time.Time       `json:"at"`  // the wall clock's claim, UTC
	Clock   ClockRef        `json:"clock"`
	Actor   Actor           `json:"actor"`
	From    *From           `json:"from,omitempty"`
	Via     Via             `json:"via"`
	Kind    Kind            `json:"kind"`
	Subject string          `json:"subject,omitempty"` // pseudonymous id of what it is about
	Data    json.RawMessage `json:"data,omitempty"`    // codes, pseudonymous ids and numbers only
	Sealed  []Commitment    `json:"sealed,omitempty"`
	Rows    []RowRef        `json:"rows,omitempty"` // state rows this change wrote (I2)
}

// ClockRef is the state of the clock when the entry was made.
type ClockRef struct {
	State clock.State   `json:"state"`
	Boot  string        `json:"boot"`
	Mono  time.Duration `json:"mono"` // ns since boot
}

// Actor is who acted: a person id, a device id, or "system".
type Actor struct {
	ID   string `json:"id"`
	Role string `json:"role,omitempty"` // the role under which it was allowed
}

// From is where the act came from (F13).
type From struct {
	Address  string `json:"address,omitempty"`
	Device   string `json:"device,omitempty"`
	Terminal string `json:"terminal,omitempty"`
}

// Via is the way the act came in.
type Via string

// The ways in.
const (
	ViaWeb    Via = "web"
	ViaGate   Via = "gate"
	ViaNVR    Via = "nvr"
	ViaSystem Via = "system"
	ViaCentre Via = "centre"
	ViaImport Via = "import"
)

// Commitment binds a sealed part without showing it: Sum = sha256(salt32 ‖ part). Part and salt are kept
// beside the log, encrypted under the key of the one owner subject; erasing the owner leaves the leaf whole.
type Commitment struct {
	Name  string `json:"name"`
	Owner string `json:"owner"`
	Sum   []byte `json:"sum"` // 32 bytes, base64 in JSON
}

// RowRef binds a state row written in the same commit: the row's bytes as stored hash to Sum (first 16
// bytes of SHA-256). Deleted rows have no Sum.
type RowRef struct {
	Table string `json:"t"`
	Key   string `json:"k"`
	Rev   uint64 `json:"r"`
	Sum   []byte `json:"h,omitempty"`
}

// Draft is an entry before it has its place in the log. Seq, At, Clock, Data bytes, commitments and row
// references are filled in at commit.
type Draft struct {
	Actor   Actor
	From    *From
	Via     Via
	Kind    Kind
	Subject string
	Data    any // struct or map that marshals to an object with the fields that Kinds allows
	Sealed  []Part
}

// Part is one sealed part of a draft, in clear.
type Part struct {
	Name  string
	Owner string // subject id whose key seals it, e.g. "person:p017", "application:a2026-0047"
	Plain []byte
}

// System is the actor of what the appliance does by itself.
var System = Actor{ID: "system"}
