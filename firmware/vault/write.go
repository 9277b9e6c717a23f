package vault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"time"

	"campuskeep/firmware/disk"
	"campuskeep/shared/footage"
	"campuskeep/shared/packet"
)

// The life of a segment, in the order in which things become durable:
//
//	1. key of the camera-day in the ring        (keyring, durable)
//	2. mark of the camera-day in index.db       (durable: the next start looks here)
//	3. file, O_EXCL, with header and init
//	4. fragments, each whole or not there
//	5. index and footer, file closed
//	6. syncfs: bytes, file name, directory
//	7. row in index.db, one transaction for all segments closed since the last sync

// flushAt is how much sealed data gathers per file within one batch of the queue.
const flushAt = 256 << 10

// writerState is the state of the writer goroutine.
type writerState struct {
	v       *Vault
	open    map[*Writer]struct{}
	dirty   map[*Writer]struct{} // have sealed bytes that are not written
	closed  []*Writer            // whole, waiting for the sync and the row
	written bool                 // something was written since the last sync
	latest  map[string]dayID     // per camera: where it writes now
	dirs    map[dayID]disk.Dir   // of the latest camera-days, open
}

// write is the one goroutine that writes footage.
func (v *Vault) write(ctx context.Context) error {
	d := &writerState{v: v, open: map[*Writer]struct{}{}, dirty: map[*Writer]struct{}{}, latest: map[string]dayID{}, dirs: map[dayID]disk.Dir{}}
	tick := time.NewTicker(v.o.SyncEvery)
	defer tick.Stop()
	for {
		select {
		case <-v.wake:
			d.batch(v.takeQueue(false))
		case <-tick.C:
			// An error is an alarm, and what it concerns is abandoned or tried again: recording goes on.
			_ = d.sync()
		case <-ctx.Done():
			d.batch(v.takeQueue(true))
			for w := range maps.Clone(d.open) {
				d.finish(w)
			}
			d.writeDirty()
			clear(d.latest) // nobody writes anywhere any more: the next start has nothing to look for
			err := d.sync()
			for id := range d.dirs {
				err = errors.Join(err, d.closeDir(id))
			}
			return err
		}
	}
}

// takeQueue empties the queue; last closes it for good.
func (v *Vault) takeQueue(last bool) []op {
	v.mu.Lock()
	defer v.mu.Unlock()
	ops := v.queue
	v.queue, v.waiting = nil, 0
	v.stopped = v.stopped || last
	return ops
}

// Flush writes and syncs everything handed over so far and gives every closed segment its row. Run must run.
func (v *Vault) Flush(ctx context.Context) error {
	done := make(chan error, 1)
	v.mu.Lock()
	err := v.enqueue(op{what: opFlush, flush: done})
	v.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// batch does what was queued. Bytes for one file are gathered, so that a whole small segment is one write.
func (d *writerState) batch(ops []op) {
	d.prepare(ops)
	for _, o := range ops {
		switch o.what {
		case opBegin:
			d.begin(o.w)
		case opFragment:
			d.fragment(o.w, o.frag)
		case opClose:
			d.finish(o.w)
		case opFlush:
			d.writeDirty()
			o.flush <- d.sync()
		}
	}
	d.writeDirty()
}

// prepare makes keys, directories and marks for the camera-days that begin in this batch: at midnight that
// is one durable write for all cameras.
func (d *writerState) prepare(ops []op) {
	fresh := map[dayID]Meta{}
	d.v.mu.Lock()
	for _, o := range ops {
		if o.what != opBegin || d.v.days[o.w.meta.dayID()].ready {
			continue
		}
		if _, ok := fresh[o.w.meta.dayID()]; !ok {
			fresh[o.w.meta.dayID()] = o.w.meta
		}
	}
	d.v.mu.Unlock()
	if len(fresh) == 0 {
		return
	}
	// begin finds unready what cannot be made here, and abandons its segment.
	for id := range fresh {
		if err := d.makeDir(id); err != nil {
			delete(fresh, id) // one camera's directory must not keep the others from recording
			d.v.alarm(Alarm{Code: "create", Camera: id.camera, Err: fmt.Errorf("make camera-day: %w", err)})
		}
	}
	if err := d.makeDays(fresh); err != nil {
		d.v.alarm(Alarm{Code: "create", Err: err})
		return
	}
	d.v.mu.Lock()
	defer d.v.mu.Unlock()
	for id := range fresh {
		d.v.days[id].ready = true
	}
}

func (d *writerState) makeDir(id dayID) error {
	if err := d.closeDir(id); err != nil { // it may have been removed since
		return err
	}
	return d.v.o.FS.MkdirAll(id.path(), 0o700)
}

func (d *writerState) makeDays(fresh map[dayID]Meta) error {
	if len(fresh) == 0 {
		return nil
	}
	var keys []string
	var metas []Meta
	for id, m := range fresh {
		keys = append(keys, id.key())
		metas = append(metas, m)
	}
	// Not the caller's context: the camera's frames are already taken.
	if err := d.v.o.Keys.Ensure(context.Background(), keys...); err != nil {
		return fmt.Errorf("make camera-day key: %w", err)
	}
	if err := d.v.index.mark(metas); err != nil {
		return fmt.Errorf("mark camera-day: %w", err)
	}
	return nil
}

var errNotReady = errors.New("key, directory or mark of the camera-day could not be made")

func (d *writerState) begin(w *Writer) {
	m := w.meta
	d.v.mu.Lock()
	ready := d.v.days[m.dayID()].ready
	d.v.mu.Unlock()
	key, ok := d.v.o.Keys.Key(m.dayID().key())
	if !ready || !ok {
		d.abandon(w, "create", errNotReady)
		return
	}
	dir, err := d.dir(m.dayID())
	if err == nil {
		w.out, err = dir.OpenFile(w.file.String()+fileExt, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err != nil {
		d.abandon(w, "create", err)
		return
	}
	d.open[w] = struct{}{}
	w.seg = footage.Segment{Camera: m.Camera, File: w.file, Custody: footage.CustodyVault, Day: m.Day, Boot: m.Boot, Session: m.Session, Codec: m.Codec}
	h := packet.Header{File: w.file, Session: m.Session, Camera: m.Camera, KeyID: m.dayID().key(), Boot: m.Boot, Codec: m.Codec}
	w.enc, w.buf, err = packet.NewEncoder(w.buf, h, packet.FileKey(key, w.file), packet.Piece{From: m.From, To: m.From, Wall: m.Wall, Plain: m.Init})
	if err != nil {
		d.abandon(w, "write", err)
		return
	}
	d.dirty[w] = struct{}{}
}

// dir is the open directory of a camera-day. The one that its camera wrote in before is closed.
func (d *writerState) dir(id dayID) (disk.Dir, error) {
	if dir := d.dirs[id]; dir != nil {
		return dir, nil
	}
	if old, ok := d.latest[id.camera]; ok && old != id {
		if err := d.closeDir(old); err != nil {
			return nil, err
		}
	}
	dir, err := d.v.o.FS.Dir(id.path())
	if err != nil {
		return nil, err
	}
	d.dirs[id], d.latest[id.camera] = dir, id
	return dir, nil
}

func (d *writerState) closeDir(id dayID) error {
	dir := d.dirs[id]
	if dir == nil {
		return nil
	}
	delete(d.dirs, id)
	return dir.Close()
}

func (d *writerState) fragment(w *Writer, f Fragment) {
	if w.failed.Load() != nil {
		return
	}
	var err error
	if w.buf, err = w.enc.Append(w.buf, packet.Piece{From: f.From, To: f.To, Wall: f.Wall, Key: f.Key, Plain: f.Data}); err != nil {
		d.abandon(w, "write", err)
		return
	}
	if w.seg.Frags == 0 {
		w.seg.From, w.seg.Wall = f.From, f.Wall
	}
	w.seg.Frags, w.seg.To = w.seg.Frags+1, f.To
	if d.v.o.Sealed != nil {
		d.v.o.Sealed(w.seg.Camera, f.To)
	}
	d.dirty[w] = struct{}{}
	if len(w.buf) >= flushAt {
		d.flush(w)
	}
}

func (d *writerState) finish(w *Writer) {
	if w.failed.Load() != nil {
		return
	}
	if w.seg.Frags == 0 {
		d.discard(w)
		return
	}
	var err error
	if w.buf, err = w.enc.Finish(w.buf); err != nil {
		d.abandon(w, "write", err)
		return
	}
	if !d.flush(w) {
		return
	}
	w.seg.Bytes, w.seg.Hash = w.enc.Size(), w.enc.Root()
	if err := w.out.Close(); err != nil {
		d.abandon(w, "write", err)
		return
	}
	w.out, w.enc, w.buf = nil, nil, nil
	delete(d.open, w)
	d.closed = append(d.closed, w)
}

// discard removes a segment that never got a fragment.
func (d *writerState) discard(w *Writer) {
	delete(d.open, w)
	delete(d.dirty, w)
	err := errors.Join(w.out.Close(), d.remove(w))
	if err != nil {
		d.v.alarm(Alarm{Code: "write", Camera: w.meta.Camera, Segment: w.seg, Err: err})
	}
	d.v.settle([]*Writer{w}, true)
}

// remove takes away a file of ours that holds no whole fragment.
func (d *writerState) remove(w *Writer) error {
	d.written = true // the next sync makes it durable
	return d.v.o.FS.Remove(filePath(w.meta.dayID(), w.file))
}

// flush writes what gathered for one file; false when that failed and the segment was abandoned.
func (d *writerState) flush(w *Writer) bool {
	delete(d.dirty, w)
	if len(w.buf) == 0 {
		return true
	}
	_, err := w.out.Write(w.buf)
	w.buf = w.buf[:0]
	w.unsynced, d.written = true, true
	if err != nil {
		d.abandon(w, "write", err)
		return false
	}
	if w.stored = w.seg.Frags; w.stored > 0 {
		d.v.grown(w)
	}
	return true
}

func (d *writerState) writeDirty() {
	for w := range maps.Clone(d.dirty) {
		d.flush(w)
	}
}

// abandon gives a segment up: its writer is notified, nothing more is written to the file. What whole fragments
// it has are indexed when the disk takes everything again (Mend); until then the file is known as ours and
// without a row. Without any it is removed: a full disk is tried again every second, for every camera.
func (d *writerState) abandon(w *Writer, code string, err error) {
	if w.failed.Load() != nil {
		return
	}
	there := w.out != nil
	if there {
		err = errors.Join(err, w.out.Close())
		if w.stored == 0 {
			rerr := d.remove(w)
			there = rerr != nil
			err = errors.Join(err, rerr)
		}
	}
	w.out, w.enc, w.buf = nil, nil, nil
	w.failed.Store(&err)
	delete(d.open, w)
	delete(d.dirty, w)
	d.v.alarm(Alarm{Code: code, Camera: w.meta.Camera, Segment: w.seg, Err: err})
	d.v.settle([]*Writer{w}, !there)
}

// sync makes all that was written durable with one syncfs, then commits the rows of the closed segments.
func (d *writerState) sync() error {
	if d.written {
		if err := d.v.o.FS.SyncFS(); err != nil {
			err = fmt.Errorf("sync footage: %w", err)
			d.syncFailed(err)
			return err
		}
		d.written = false
		for w := range d.open {
			w.unsynced = false
		}
		for _, w := range d.closed {
			w.unsynced = false
		}
	}
	rows := make([]footage.Segment, len(d.closed))
	for i, w := range d.closed {
		rows[i] = w.seg
	}
	unmark := d.v.idleDays(d.closed, d.latest)
	if err := d.v.index.add(rows, unmark); err != nil {
		err = fmt.Errorf("index segments: %w", err)
		d.v.alarm(Alarm{Code: "index", Err: err})
		return err // the files are durable; their rows are tried again with the next sync
	}
	d.v.settle(d.closed, true)
	d.v.forget(unmark)
	d.v.diskRecovered()
	clear(d.closed)
	d.closed = d.closed[:0]
	return nil
}

// syncFailed abandons what is not durable: after a failed sync nobody knows which pages reached the disk, and
// reading back would only show the cache. The sync of the whole file system does not say whose bytes it lost, so
// every open file is asked on its own: one camera's bad spot on the disk does not interrupt the others.
func (d *writerState) syncFailed(err error) {
	for w := range maps.Clone(d.open) {
		if !w.unsynced {
			continue
		}
		if werr := d.syncFile(w); werr != nil {
			d.abandon(w, "sync", errors.Join(err, werr))
		}
	}
	var lost, kept []*Writer
	for _, w := range d.closed {
		if !w.unsynced {
			kept = append(kept, w)
			continue
		}
		w.failed.Store(&err)
		d.v.alarm(Alarm{Code: "sync", Camera: w.meta.Camera, Segment: w.seg, Err: err})
		lost = append(lost, w)
	}
	d.v.settle(lost, false)
	d.closed = kept
}

// syncFile makes the bytes and the name of one open segment durable.
func (d *writerState) syncFile(w *Writer) error {
	if err := w.out.Sync(); err != nil {
		return err
	}
	dir, err := d.dir(w.meta.dayID())
	if err != nil {
		return err
	}
	if err := dir.Sync(); err != nil {
		return err
	}
	w.unsynced = false
	return nil
}

// settle takes segments off the books of this process: they have their row, or they are left to a reconcile.
func (v *Vault) settle(ws []*Writer, done bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, w := range ws {
		delete(v.own, w.file)
		delete(v.growing, w.file)
		use := v.days[w.meta.dayID()]
		use.files--
		if !done {
			v.abandoned[w.file] = w.meta.dayID()
			use.abandoned++
		}
	}
}

// idleDays lists the camera-days that will have no file without a row once these segments have theirs, and
// in which nobody writes any more.
func (v *Vault) idleDays(closing []*Writer, latest map[string]dayID) (idle []dayID) {
	select {
	case <-v.recovered:
	default:
		return nil // files of an earlier run may still lie there without a row
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	ending := map[dayID]int{}
	for _, w := range closing {
		ending[w.meta.dayID()]++
	}
	for id, use := range v.days {
		if use.files == ending[id] && use.abandoned == 0 && !use.unread && !use.erasing && latest[id.camera] != id {
			idle = append(idle, id)
		}
	}
	return idle
}

// forget drops the camera-days whose mark is gone; one that is begun again meanwhile is marked again.
func (v *Vault) forget(days []dayID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, id := range days {
		if use := v.days[id]; use.files == 0 && !use.erasing {
			delete(v.days, id)
		} else {
			use.ready = false
		}
	}
}

func filePath(d dayID, file footage.FileID) string { return d.path() + "/" + file.String() + fileExt }

const fileExt = ".ckf"
