// Package vault keeps footage in sealed segment files and finds it again.
//
// It owns the vault directory, index.db (a cache that can be rebuilt from the files), the keys of the
// camera-days in the footage ring, and the one goroutine that writes footage (Run). It decides nothing about
// time and deletes nothing by itself; a missing index, row or file must never lead to a deletion.
package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/keyring"
	"campuskeep/shared/footage"
	"campuskeep/shared/packet"
)

// What callers branch on.
var (
	// ErrOverload: the queue to the disk is full. The frames are not taken; the caller records a gap. A bulk
	// import calls Flush and tries again.
	ErrOverload = errors.New("vault: the disk does not keep up")
	// ErrAbandoned: a write or sync of this segment failed. The fragment is not taken; begin another segment
	// and hand it the same fragment.
	ErrAbandoned = errors.New("vault: segment abandoned after a disk error")
	// ErrClosed: Run has ended.
	ErrClosed = errors.New("vault: closed")
	// ErrDayInUse: the camera-day still has files, rows or writers that need its key.
	ErrDayInUse = errors.New("vault: the camera-day's key is still needed")
	// ErrLabel: the index has no number for the camera-day's date, see row.go.
	ErrLabel = errors.New("vault: the date is outside of what can be stored")
	// ErrKeyErased: neither the camera-day's key nor a hold's copy of the file key exists any more.
	ErrKeyErased = errors.New("vault: the key of this footage was erased")
)

// Options is what a vault needs from outside.
type Options struct {
	FS        disk.FS       // rooted at the vault directory
	IndexPath string        // index.db
	Keys      *keyring.Ring // "footage": camera-day keys
	Holds     *keyring.Root // gives the rings "hold-<id>" with the file keys of held segments
	SyncEvery time.Duration // 2 s when zero: with one fragment, what a power cut may cost
	Queue     int64         // bytes that may wait for the disk; 32 MiB when zero
	Alarm     func(Alarm)   // called from any goroutine, must not block; may be nil
	// Sealed is called with the end of each fragment, monotonic, once it is sealed and on its way to the disk. It must
	// not block; may be nil.
	Sealed func(camera string, to time.Duration)
	Log    *slog.Logger
}

// Alarm is something that an operator must know and that belongs into the ledger.
type Alarm struct {
	Code    string // "create", "write", "sync", "index", "damaged", "missing", "unreadable", "quarantined", "brake"
	Camera  string
	Segment footage.Segment // when it is about one
	Record  int             // with "damaged": which record, see packet.DamageError
	Err     error
}

// Vault is open from Open to Close; it writes while Run runs and can be read all the time.
type Vault struct {
	o     Options
	lock  io.Closer // nil when read-only
	index *index
	// unindexed says why an opened for reading vault has an empty index: the file cannot be read, or is not there.
	unindexed error
	tails     tails

	recovered chan struct{} // closed when the start's recovery is done

	mu        sync.Mutex
	queue     []op                               // guarded by mu; what waits for the writer goroutine
	waiting   int64                              // guarded by mu; bytes in queue
	stopped   bool                               // guarded by mu; Run has ended or is ending
	own       map[footage.FileID]struct{}        // guarded by mu; begun by this process and without a row yet
	abandoned map[footage.FileID]dayID           // guarded by mu; abandoned by this process, without a row
	days      map[dayID]*dayUse                  // guarded by mu; camera-days in use by this process
	growing   map[footage.FileID]footage.Segment // guarded by mu; without a row yet, as far as their file can be read
	wake      chan struct{}                      // one slot: the queue is not empty

	adopting   sync.Mutex    // one reads files without rows at a time
	repairable chan struct{} // one slot: the disk takes everything again and something was abandoned
	repaired   time.Time     // guarded by mu; the last Mend
	retryDelay time.Duration // guarded by mu; before the next, longer each time that something stays abandoned
}

type dayID struct{ camera, day string }

func (d dayID) path() string { return d.camera + "/" + d.day }
func (d dayID) key() string  { return packet.KeyID(d.camera, d.day) }

// dayUse says why a camera-day's key is needed beyond its rows.
type dayUse struct {
	files     int  // begun, without a row yet
	abandoned int  // abandoned, without a row
	unread    bool // the start's recovery could not read all of it: the mark stays for the next one
	ready     bool // key, directory and mark exist; the writer goroutine sets it
	erasing   bool
}

var (
	cameraRule = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	dayRule    = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)
	nameRule   = regexp.MustCompile(`^[a-z0-9._:-]{1,64}$`)
)

const lockName = ".lock"

// Open opens a vault and its index. A second opener of the same directory gets disk.ErrLocked. Without an
// index, or with one that cannot be read, a new one is made; Run fills it from the files. A directory that is not
// the one of the index is refused with ErrWrongVault.
func Open(o Options) (*Vault, error) {
	v := prepare(o)
	lock, err := o.FS.Lock(lockName)
	if err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	v.lock = lock
	if v.index, err = openIndex(o.IndexPath, v.o.Log, func(err error) { v.alarm(Alarm{Code: "index", Err: err}) }); err != nil {
		return nil, errors.Join(fmt.Errorf("open vault: %w", err), lock.Close())
	}
	if err := v.checkMarker(); err != nil {
		v.alarm(Alarm{Code: "brake", Err: err})
		return nil, errors.Join(fmt.Errorf("open vault: %w", err), v.Close())
	}
	if !v.index.complete {
		if err := v.markAll(); err != nil {
			return nil, errors.Join(fmt.Errorf("open vault: list the files for a new index: %w", err), v.Close())
		}
	}
	return v, nil
}

// OpenReadOnly opens a vault that no daemon uses, for checks and exports.
func OpenReadOnly(o Options) (*Vault, error) {
	v := prepare(o)
	var err error
	if v.index, v.unindexed, err = openIndexReadOnly(o.IndexPath); err != nil {
		return nil, fmt.Errorf("open vault for reading: %w", err)
	}
	v.stopped = true
	close(v.recovered)
	return v, nil
}

func prepare(o Options) *Vault {
	if o.SyncEvery == 0 {
		o.SyncEvery = 2 * time.Second
	}
	if o.Queue == 0 {
		o.Queue = 32 << 20
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Vault{
		o:          o,
		recovered:  make(chan struct{}),
		own:        map[footage.FileID]struct{}{},
		abandoned:  map[footage.FileID]dayID{},
		days:       map[dayID]*dayUse{},
		growing:    map[footage.FileID]footage.Segment{},
		wake:       make(chan struct{}, 1),
		repairable: make(chan struct{}, 1),
	}
}

// Run writes what the recorders hand over, makes it durable every SyncEvery, and first of all indexes, beside
// the writing, what the last run left without a row. When ctx ends it takes nothing more, writes what waits,
// finishes the open segments and makes all of it durable.
func (v *Vault) Run(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		err := v.recover(gctx)
		if err != nil && ctx.Err() != nil {
			return nil // the marks remain; the next start goes on
		}
		return err
	})
	g.Go(func() error { return v.write(gctx) })
	return g.Wait()
}

// Recovered is closed when everything that an earlier run left has its row, or is in quarantine.
func (v *Vault) Recovered() <-chan struct{} { return v.recovered }

// Close closes the index and gives the directory free. Run must have returned.
func (v *Vault) Close() error {
	err := v.index.close()
	if v.lock != nil {
		err = errors.Join(err, v.lock.Close())
	}
	if err != nil {
		return fmt.Errorf("close vault: %w", err)
	}
	return nil
}

// Free says how much the vault's file system has left.
func (v *Vault) Free() (free, total uint64, err error) { return v.o.FS.Free() }

func (v *Vault) alarm(a Alarm) {
	v.o.Log.Error("vault alarm", "code", a.Code, "camera", a.Camera, "file", a.Segment.File, "err", a.Err)
	if v.o.Alarm != nil {
		v.o.Alarm(a)
	}
}
