// Package extraction takes approved footage out of the appliance under supervision: two persons, one sealed package,
// numbered copies, a receipt, and an end (F14).
//
// It owns the tables "extractions" and "extraction_manifests" (sealed), "extraction_numbers", and the sealed files under
// <data>/packages. What a package looks like is in shared/packet. It must never read footage before the entry of its
// extraction is durable, never write anything of it to a disk that is not sealed, and never keep the secret of a package.
package extraction

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/usage"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/packet"
	rules "campuskeep/shared/usage"
)

// State is where an extraction is. The catalogue has "extraction.state.<code>".
type State string

// The states.
const (
	Requested State = "requested" // by the applicant; the two persons are awaited
	Running   State = "running"   // being fetched, packed and sealed
	Sealed    State = "sealed"    // the package is ready
	Handed    State = "handed"    // a copy has left
	Received  State = "received"  // the receipt is entered
	Returned  State = "returned"  // every copy was returned or destroyed
	Stopped   State = "stopped"   // it can begin again
	Cancelled State = "cancelled" // it will not be done
)

// AllStates in the order of the path.
var AllStates = []State{Requested, Running, Sealed, Handed, Received, Returned, Stopped, Cancelled}

// Reasons why an extraction stopped; the catalogue has "extraction.reason.<code>".
const (
	ReasonCancelled = "cancelled"
	ReasonRevoked   = "revoked"   // the approval counts no more
	ReasonRight     = "right"     // one of the two may not do it any more
	ReasonRestart   = "restart"   // the appliance was restarted
	ReasonSecret    = "secret"    // …before the secret was printed
	ReasonNothing   = "nothing"   // there is no footage in the spans
	ReasonFetch     = "fetch"     // footage on an NVR did not come
	ReasonSpace     = "space"     // the disk is full
	ReasonFault     = "fault"     // something else; the appliance's own log says what
	ReasonTooLarge  = "too_large" // more pieces than a package holds
)

// Person is one of the two who extract.
type Person struct {
	ID   string       `json:"id"`
	Role account.Role `json:"role"`
	At   time.Time    `json:"at"` // authenticated
}

// Copy is a numbered copy of a sealed package that has left the appliance.
type Copy struct {
	No       int       `json:"no"`
	Medium   string    `json:"medium"`           // download, stick
	Serial   string    `json:"serial,omitempty"` // of the medium, as people call it
	At       time.Time `json:"at"`
	By       string    `json:"by"`
	Entry    uint64    `json:"entry"`
	Compared string    `json:"compared,omitempty"` // of a stick: same, different, unread
	Receipt  *Receipt  `json:"receipt,omitempty"`
	Returned *Return   `json:"returned,omitempty"`
}

// Receipt says who took a copy.
type Receipt struct {
	At    time.Time `json:"at"`
	By    string    `json:"by"`  // who entered it
	Who   string    `json:"who"` // names on the receipt
	How   string    `json:"how"` // signed
	Entry uint64    `json:"entry"`
}

// Return says what became of a copy.
type Return struct {
	At    time.Time `json:"at"`
	By    string    `json:"by"`
	What  string    `json:"what"` // returned, destroyed, filed
	Note  string    `json:"note,omitempty"`
	Entry uint64    `json:"entry"`
}

// Extraction is one, from the request to the return of its copies. It holds names: its row is sealed.
type Extraction struct {
	ID          string     `json:"id"` // e2026-0001
	Year        int        `json:"year"`
	No          int        `json:"no"`
	Application string     `json:"application"`
	State       State      `json:"state"`
	Reason      string     `json:"reason,omitempty"` // why it stopped last
	Requested   time.Time  `json:"requested"`
	By          string     `json:"by"`   // the applicant
	Date        rules.Date `json:"date"` // when the recipients come
	Note        string     `json:"note,omitempty"`

	Attempt    int       `json:"attempt,omitempty"`
	Operator   Person    `json:"operator,omitzero"`
	Supervisor Person    `json:"supervisor,omitzero"`
	Terminal   string    `json:"terminal,omitempty"`  // address of the screen
	Recipient  string    `json:"recipient,omitempty"` // a key of age or ssh; empty: a secret of its own
	Began      time.Time `json:"began,omitzero"`
	BeganEntry uint64    `json:"began_entry,omitempty"`

	File        string    `json:"file,omitempty"` // under packages/, while it is there
	Bytes       int64     `json:"bytes,omitempty"`
	SHA256      string    `json:"sha256,omitempty"`
	SM3         string    `json:"sm3,omitempty"`
	SealedAt    time.Time `json:"sealed_at,omitzero"`
	PackedEntry uint64    `json:"packed_entry,omitempty"`
	SealedEntry uint64    `json:"sealed_entry,omitempty"`
	Printed     time.Time `json:"printed,omitzero"` // the secret
	Copies      []Copy    `json:"copies,omitempty"`
}

// ExtractionID is the id of the n-th extraction of a year.
func ExtractionID(year, n int) string { return fmt.Sprintf("e%04d-%04d", year, n) }

// Number is as documents print it: TQ-2026-012.
func (x Extraction) Number() string { return fmt.Sprintf("TQ-%04d-%03d", x.Year, x.No) }

// OneTime says whether the package is sealed with a secret of its own.
func (x Extraction) OneTime() bool { return x.Recipient == "" }

// There says whether the sealed file is on the appliance.
func (x Extraction) There() bool { return x.File != "" }

func owner(application string) string { return "application:" + application }

// manifestRow keeps what the documents are made of.
type manifestRow struct {
	Application string          `json:"application"`
	Manifest    packet.Manifest `json:"manifest"`
}

type counter struct {
	Last int `json:"last"`
}

var (
	extractions = ledgerdb.NewTable[Extraction]("extractions", ledgerdb.Sealed(func(x Extraction) string { return owner(x.Application) }))
	manifests   = ledgerdb.NewTable[manifestRow]("extraction_manifests", ledgerdb.Sealed(func(m manifestRow) string { return owner(m.Application) }))
	numbers     = ledgerdb.NewTable[counter]("extraction_numbers")
)

// Errors that a page branches on.
var (
	ErrNotFound = errors.New("extraction: not found")
	// ErrState: it has gone on meanwhile.
	ErrState = errors.New("extraction: it is not in that state")
	// ErrBusy: another one is running.
	ErrBusy = errors.New("extraction: another one is running")
	// ErrOver: the approval does not allow it any more.
	ErrOver = errors.New("extraction: the approval does not allow it")
	// ErrSame: the two are one person, or not independent of one another, or one of them is the applicant.
	ErrSame = errors.New("extraction: two persons are needed who are independent")
)

// Options configure Open.
type Options struct {
	Store    *ledgerdb.Store
	Clock    clock.Clock
	Register *usage.Register
	Cameras  func() []footage.Camera
	Footage  footage.Source // guarded
	// Present gives what is in the vault of a camera in a span, in the order of recording. It is not guarded: the tree
	// of an hour needs every segment of it.
	Present func(ctx context.Context, camera string, span footage.Span, f func(footage.Placed) bool) error
	Anchors func() clock.Anchors
	Fetcher usage.Fetcher // nil: no NVRs
	// Actor is a person as they are now; false when they may not log in any more.
	Actor       func(id string) (account.Actor, bool)
	Name        func(id string) string
	Unit        func(id string) string
	Independent func(a, b string) bool
	FS          disk.FS // of the data directory
	Page        []byte  // that opens packages, written to sticks beside them
	School      string
	Zone        *time.Location
	// Stick opens the USB stick that is mounted now; an error says that there is none. Nil: none is configured.
	Stick   func() (Stick, error)
	Witness bool // there is a centre that cosigns
	Log     *slog.Logger
}

// Stick is a mounted USB stick; closed, it can be taken off.
type Stick interface {
	disk.FS
	io.Closer
}

// Extractions is the opened package. All methods are safe for concurrent use.
type Extractions struct {
	o    Options
	step sync.Mutex // one step at a time

	mu      sync.RWMutex
	rows    map[string]row
	running *job
	secrets map[string][packet.SecretSize]byte // of sealed packages, until printed
	jobs    chan *job
	ready   chan struct{} // closed when what the last run left is dealt with
}

type row struct {
	Extraction
	rev uint64
}

const folder = "packages"

// Open reads what there is. It starts nothing.
func Open(o Options) (*Extractions, error) {
	x := &Extractions{o: o, rows: map[string]row{}, secrets: map[string][packet.SecretSize]byte{}, jobs: make(chan *job, 1), ready: make(chan struct{})}
	err := o.Store.View(func(tx ledgerdb.Tx) error {
		for key, r := range extractions.Rows(tx, "") {
			if errors.Is(r.Err, ledgerdb.ErrErased) {
				continue
			}
			if r.Err != nil {
				return fmt.Errorf("extraction %s: %w", key, r.Err)
			}
			x.rows[key] = row{r.Value, r.Rev}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the extractions: %w", err)
	}
	if err := o.FS.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of packages: %w", err)
	}
	return x, nil
}

// Get is one extraction.
func (x *Extractions) Get(id string) (Extraction, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	r, ok := x.rows[id]
	if !ok {
		return Extraction{}, ErrNotFound
	}
	return r.Extraction, nil
}

// List is every extraction, the newest first.
func (x *Extractions) List() []Extraction {
	x.mu.RLock()
	defer x.mu.RUnlock()
	out := make([]Extraction, 0, len(x.rows))
	for _, r := range x.rows {
		out = append(out, r.Extraction)
	}
	slices.SortFunc(out, func(a, b Extraction) int { return cmp.Or(b.Year-a.Year, b.No-a.No) })
	return out
}

// Of are the extractions of an application, the newest first.
func (x *Extractions) Of(application string) []Extraction {
	return slices.DeleteFunc(x.List(), func(e Extraction) bool { return e.Application != application })
}

// Manifest is what is in a package, from when it was packed.
func (x *Extractions) Manifest(id string) (m packet.Manifest, ok bool, err error) {
	err = x.o.Store.View(func(tx ledgerdb.Tx) error {
		r, _, found, err := manifests.Get(tx, id)
		m, ok = r.Manifest, found
		return err
	})
	if err != nil {
		err = fmt.Errorf("read the manifest of %s: %w", id, err)
	}
	return m, ok, err
}

// Subject is an extraction as the permission table sees it.
func (x *Extractions) Subject(e Extraction) account.Subject {
	s := account.Subject{Application: e.Application, Applicant: e.By, Person: e.Operator.ID}
	if a, err := x.o.Register.Get(e.Application); err == nil {
		s = usage.Subject(a)
		s.Person = e.Operator.ID
	}
	return s
}

// granted says whether the application gives a package now, and of what.
func (x *Extractions) granted(a rules.Application, now time.Time) ([]rules.Granted, error) {
	if a.Decision == nil || !slices.Contains(a.Decision.Ways, rules.WayPackage) || len(a.Grants()) == 0 ||
		now.Before(a.Decision.From.Begin()) || !now.Before(a.Decision.Until.End()) {
		return nil, ErrOver
	}
	return a.Granted(), nil
}

// put takes over a row that was committed.
func (x *Extractions) put(e Extraction, rev uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.rows[e.ID] = row{e, rev}
}

func (x *Extractions) row(id string) (row, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	r, ok := x.rows[id]
	if !ok {
		return row{}, ErrNotFound
	}
	return r, nil
}
