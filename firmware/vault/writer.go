package vault

import (
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"campuskeep/firmware/disk"
	"campuskeep/shared/footage"
	"campuskeep/shared/packet"
)

// Meta describes a segment that begins.
type Meta struct {
	Camera  string
	Day     string // label 2006-01-02 for path and key
	Boot    string
	Session uint64 // recorder session: one continuous time line
	Codec   string // "h264", "h265"
	Init    []byte // fMP4 initialisation
	From    time.Duration
	Wall    time.Time // what the wall clock claims at From
}

func (m Meta) dayID() dayID { return dayID{m.Camera, m.Day} }

func (m Meta) check() error {
	_, err := dayNumber(m.Day)
	switch {
	case !cameraRule.MatchString(m.Camera):
		return fmt.Errorf("begin segment: camera id %q", m.Camera)
	case err != nil || !dayRule.MatchString(m.Day):
		return fmt.Errorf("begin segment: %w: day label %q", ErrLabel, m.Day)
	case !nameRule.MatchString(m.Boot):
		return fmt.Errorf("begin segment: boot id %q", m.Boot)
	case !nameRule.MatchString(m.Codec):
		return fmt.Errorf("begin segment: codec %q", m.Codec)
	case m.From < 0:
		return fmt.Errorf("begin segment: it begins %v before its boot", -m.From)
	case len(m.Init) > packet.MaxRecord:
		return fmt.Errorf("begin segment: init of %d bytes, at most %d", len(m.Init), packet.MaxRecord)
	}
	return nil
}

// Fragment is one fragment as the recorder hands it over. The vault keeps Data until it is written; nobody
// may change it afterwards. Bytes need not be filled in.
type Fragment struct {
	footage.FragmentInfo
	Wall time.Time // what the wall clock claims at From; when zero it follows from Meta.Wall
	Data []byte
}

// Writer takes the fragments of one segment, in order, from one goroutine. Nothing in it waits for the disk.
type Writer struct {
	v    *Vault
	meta Meta
	file footage.FileID

	from, last time.Duration // caller's goroutine
	count      int           // caller's goroutine
	closed     bool          // caller's goroutine

	failed atomic.Pointer[error] // set by the writer goroutine: abandoned

	// The rest belongs to the writer goroutine.
	out      disk.File
	enc      *packet.Encoder
	buf      []byte // sealed, not yet written
	seg      footage.Segment
	stored   int // fragments that are written whole, though perhaps not synced
	unsynced bool
}

// op is one thing for the writer goroutine to do, in the order of the queue.
type op struct {
	what  opKind
	w     *Writer
	frag  Fragment
	flush chan error
}

type opKind uint8

const (
	opBegin opKind = iota
	opFragment
	opClose
	opFlush
)

func (o op) size() int64 {
	switch o.what {
	case opBegin:
		return int64(len(o.w.meta.Init)) + 512
	case opFragment:
		return int64(len(o.frag.Data)) + 128
	}
	return 0
}

// Begin starts a segment. It only queues; a disk error comes back from a later Fragment as ErrAbandoned.
func (v *Vault) Begin(m Meta) (*Writer, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	w := &Writer{v: v, meta: m, from: m.From, last: m.From}
	rand.Read(w.file[:])
	v.mu.Lock()
	defer v.mu.Unlock()
	use := v.days[m.dayID()]
	if use == nil {
		use = &dayUse{}
	}
	if use.erasing { // a label of long ago, by a clock that is far off: its key is dying just now
		return nil, ErrOverload
	}
	if err := v.enqueue(op{what: opBegin, w: w}); err != nil {
		return nil, err
	}
	use.files++
	v.days[m.dayID()] = use
	v.own[w.file] = struct{}{}
	v.tails.begin(m)
	return w, nil
}

// Fragment hands over one fragment. On ErrOverload, ErrAbandoned and ErrClosed it was not taken.
func (w *Writer) Fragment(f Fragment) error {
	if p := w.failed.Load(); p != nil {
		return fmt.Errorf("%w: %w", ErrAbandoned, *p)
	}
	switch {
	case w.closed:
		return errors.New("write fragment: the segment is closed")
	case f.From < w.last || f.To < f.From:
		return fmt.Errorf("write fragment: %v to %v after %v", f.From, f.To, w.last)
	case f.To-w.from > footage.MaxSegment:
		return fmt.Errorf("write fragment: a segment lasts %v at most", footage.MaxSegment)
	case w.count == packet.MaxFragments:
		return fmt.Errorf("write fragment: a segment has %d at most", packet.MaxFragments)
	case len(f.Data) > packet.MaxRecord:
		return fmt.Errorf("write fragment: %d bytes, at most %d", len(f.Data), packet.MaxRecord)
	}
	f.Bytes = len(f.Data)
	if f.Wall.IsZero() {
		f.Wall = w.meta.Wall.Add(f.From - w.meta.From)
	}
	w.v.mu.Lock()
	err := w.v.enqueue(op{what: opFragment, w: w, frag: f})
	w.v.mu.Unlock()
	// Watching live does not wait for the disk, nor does it stop with it.
	w.v.tails.send(w.meta, f)
	if err != nil {
		return err
	}
	w.last, w.count = f.To, w.count+1
	return nil
}

// Close ends the segment: index and footer are written, and the row is there after the next sync. A segment
// without fragments leaves nothing behind.
func (w *Writer) Close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	w.v.mu.Lock()
	defer w.v.mu.Unlock()
	return w.v.enqueue(op{what: opClose, w: w})
}

// enqueue is called with mu held. Closing and flushing are always taken, they free what is queued.
func (v *Vault) enqueue(o op) error {
	if v.stopped {
		return ErrClosed
	}
	size := o.size()
	if size > 0 && v.waiting+size > v.o.Queue {
		return ErrOverload
	}
	v.waiting += size
	v.queue = append(v.queue, o)
	select {
	case v.wake <- struct{}{}:
	default:
	}
	return nil
}
