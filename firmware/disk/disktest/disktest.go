// Package disktest is a disk that fails on demand and that can lose its power.
//
// It works on real files in a directory of the test, so that what survives is what a program would find.
// It must never be imported by anything but tests.
package disktest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"campuskeep/firmware/disk"
)

// Op names one operation that a rule may fail.
type Op struct {
	What string // "open", "create", "write", "sync", "close", "remove", "rename", "syncdir", "syncfs", "mkdir", "readdir", "read", "free"
	Name string
}

// ErrPower is what every operation answers after the power went.
var ErrPower = errors.New("disktest: the power is off")

// Disk is a disk.FS on a directory. Files are expected to be written once from the start to the end, as the
// product does; rewriting in the middle is not modelled.
type Disk struct {
	fs     disk.FS
	dir    string
	shadow string // keeps what was removed or replaced and not yet synced

	power sync.RWMutex // held while an operation is performed: the power goes before it or after it
	mu    sync.Mutex
	off   bool
	rules []*Rule
	files map[string]*state // by name; what is not durable about it, nothing when all of it is
	undo  []undo            // newest last; names whose disappearance is not durable
	ops   int

	renames int
}

type state struct {
	nameDurable bool
	rename      int   // that gave it the name; 0: none
	durable     int64 // bytes that survive
	rotten      bool  // a sync of it failed: what is not durable is lost for good, though the cache still shows it
	losses      int   // by a sync of the whole file system; each file that is open learns of them once, by its own sync
}

// undo is a name that comes back when its disappearance is lost. What one rename did is lost or kept as a whole.
type undo struct {
	name, shadow string
	rename       int // 0: not by a rename
}

// Rule fails matching operations.
type Rule struct {
	Match func(Op) bool
	After int   // let that many matching ones through first
	Times int   // fail that many, 0 is all
	Err   error // what to answer
	Done  bool  // perform the operation all the same: failed, but persisted

	hits int
}

// New opens a disk on a directory.
func New(t testing.TB, dir string) *Disk {
	t.Helper()
	fsys, err := disk.Real(dir)
	if err != nil {
		t.Fatal(err)
	}
	return &Disk{fs: fsys, dir: dir, shadow: t.TempDir(), files: map[string]*state{}}
}

// Fail adds a rule; the returned function takes it away again.
func (d *Disk) Fail(r Rule) (restore func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := &r
	d.rules = append(d.rules, p)
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		for i, x := range d.rules {
			if x == p {
				d.rules = append(d.rules[:i:i], d.rules[i+1:]...)
				return
			}
		}
	}
}

// Match makes a predicate from an operation and a part of the name: the beginning of one of its elements, or its
// extension. The random names of files hold every short word now and then, so that parts inside do not count.
func Match(what, part string) func(Op) bool {
	return func(o Op) bool {
		return o.What == what && (strings.Contains("/"+o.Name, "/"+part) || strings.HasPrefix(part, ".") && strings.HasSuffix(o.Name, part))
	}
}

// verdict counts the operation and says whether to perform it and what to answer.
func (d *Disk) verdict(what, name string) (perform bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return false, &fs.PathError{Op: what, Path: name, Err: ErrPower}
	}
	d.ops++
	for _, r := range d.rules {
		if !r.Match(Op{what, name}) {
			continue
		}
		r.hits++
		if r.hits <= r.After || r.Times > 0 && r.hits > r.After+r.Times {
			continue
		}
		return r.Done, &fs.PathError{Op: what, Path: name, Err: r.Err}
	}
	return true, nil
}

func (d *Disk) do(what, name string, op func() error) error {
	d.power.RLock()
	defer d.power.RUnlock()
	perform, verdict := d.verdict(what, name)
	if perform {
		if err := op(); err != nil {
			return err
		}
	}
	return verdict
}

// PowerCut turns the disk off and loses what was not made durable: unsynced names vanish, unsynced bytes
// are cut off, unsynced removals come back. With rnd each of these survives or not by chance; with nil all
// of it is lost. The directory then holds what the next start finds; open it with New.
func (d *Disk) PowerCut(t testing.TB, rnd *rand.Rand) {
	t.Helper()
	d.power.Lock()
	defer d.power.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = true
	lost := func() bool { return rnd == nil || rnd.IntN(2) == 0 }
	renames := map[int]bool{}
	gone := func(rename int) bool {
		if rename == 0 {
			return lost()
		}
		if _, ok := renames[rename]; !ok {
			renames[rename] = lost()
		}
		return renames[rename]
	}
	for name, s := range d.files {
		full := filepath.Join(d.dir, name)
		info, err := os.Stat(full)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		must(t, err)
		switch {
		case !s.nameDurable && gone(s.rename):
			must(t, os.Remove(full))
		case s.rotten:
			must(t, os.Truncate(full, min(s.durable, info.Size())))
		case info.Size() > s.durable && lost():
			keep := s.durable
			if rnd != nil {
				keep += rnd.Int64N(info.Size() - s.durable)
			}
			must(t, os.Truncate(full, keep))
		}
	}
	for i := len(d.undo) - 1; i >= 0; i-- {
		if u := d.undo[i]; gone(u.rename) {
			full := filepath.Join(d.dir, u.name)
			must(t, os.MkdirAll(filepath.Dir(full), 0o700))
			must(t, os.Rename(u.shadow, full))
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// keep links a file that is about to lose its name into the shadow.
func (d *Disk) keep(name string, rename int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.files[name]
	delete(d.files, name)
	if s != nil && !s.nameDurable {
		return nil // it never durably existed
	}
	full := filepath.Join(d.dir, name)
	info, err := os.Lstat(full)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.IsDir() {
		return nil
	}
	if err != nil {
		return err
	}
	sh := filepath.Join(d.shadow, fmt.Sprint(len(d.undo), "-", d.ops))
	if err := os.Link(full, sh); err != nil {
		return err
	}
	d.undo = append(d.undo, undo{name, sh, rename})
	return nil
}

func (d *Disk) OpenFile(name string, flag int, perm fs.FileMode) (disk.File, error) {
	what := "open"
	if flag&os.O_CREATE != 0 {
		what = "create"
	}
	var f disk.File
	err := d.do(what, name, func() (err error) {
		_, statErr := d.fs.Stat(name)
		if f, err = d.fs.OpenFile(name, flag, perm); err != nil {
			return err
		}
		if errors.Is(statErr, fs.ErrNotExist) || flag&os.O_TRUNC != 0 {
			d.mu.Lock()
			d.files[name] = &state{nameDurable: statErr == nil}
			d.mu.Unlock()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	known := 0
	if s := d.files[name]; s != nil {
		known = s.losses
	}
	return &file{File: f, d: d, name: name, known: known}, nil
}

func (d *Disk) Open(name string) (disk.File, error) { return d.OpenFile(name, os.O_RDONLY, 0) }

func (d *Disk) Stat(name string) (info fs.FileInfo, err error) {
	err = d.do("stat", name, func() (err error) { info, err = d.fs.Stat(name); return err })
	return info, err
}

func (d *Disk) ReadDir(name string) (list []fs.DirEntry, err error) {
	err = d.do("readdir", name, func() (err error) { list, err = d.fs.ReadDir(name); return err })
	return list, err
}

// MkdirAll is durable at once: a lost directory is the same as the loss of the names in it.
func (d *Disk) MkdirAll(name string, perm fs.FileMode) error {
	return d.do("mkdir", name, func() error { return d.fs.MkdirAll(name, perm) })
}

func (d *Disk) Remove(name string) error {
	return d.do("remove", name, func() error {
		if err := d.keep(name, 0); err != nil {
			return err
		}
		return d.fs.Remove(name)
	})
}

func (d *Disk) Rename(from, to string) error {
	return d.do("rename", from, func() error {
		d.mu.Lock()
		s := d.files[from]
		d.renames++
		rename := d.renames
		d.mu.Unlock()
		for _, name := range []string{to, from} {
			if err := d.keep(name, rename); err != nil {
				return err
			}
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		if err := d.fs.Rename(from, to); err != nil {
			return err
		}
		if s == nil { // durable so far; its bytes stay so
			info, err := d.fs.Stat(to)
			if err != nil {
				return err
			}
			s = &state{durable: info.Size()}
		}
		d.files[to] = &state{durable: s.durable, rename: rename}
		return nil
	})
}

func (d *Disk) SyncDir(name string) error {
	return d.do("syncdir", name, func() error {
		if err := d.fs.SyncDir(name); err != nil {
			return err
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		in := func(n string) bool { return path.Dir(path.Clean(n)) == path.Clean(name) }
		for n, s := range d.files {
			if in(n) {
				s.nameDurable = true // its bytes may still be lost
			}
		}
		left := d.undo[:0]
		for _, u := range d.undo {
			if !in(u.name) {
				left = append(left, u)
			}
		}
		d.undo = left
		return nil
	})
}

// SyncFS that fails loses the bytes of the files that a rule for "sync" matches, as the kernel does: it drops the
// pages that it could not write, and the next sync of the file system says that all is well. A file that was open
// meanwhile answers its own next sync with the error, once (errseq_t of Linux since 4.13).
func (d *Disk) SyncFS() error {
	synced := false
	err := d.do("syncfs", ".", func() error {
		synced = true
		d.mu.Lock()
		defer d.mu.Unlock()
		for name, s := range d.files {
			if s.rotten {
				s.nameDurable = true
			} else {
				delete(d.files, name)
			}
		}
		d.undo = nil
		return nil
	})
	if err != nil && !synced {
		d.mu.Lock()
		defer d.mu.Unlock()
		for name, s := range d.files {
			for _, r := range d.rules {
				if r.Match(Op{"sync", name}) {
					s.rotten = true
					s.losses++
				}
			}
		}
	}
	return err
}

// dir is an open directory; what happens in it happens on the disk.
type dir struct {
	d    *Disk
	name string
}

func (d *Disk) Dir(name string) (disk.Dir, error) {
	info, err := d.Stat(name)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "dir", Path: name, Err: errors.New("not a directory")}
	}
	if err != nil {
		return nil, err
	}
	return dir{d, name}, nil
}

func (d dir) OpenFile(name string, flag int, perm fs.FileMode) (disk.File, error) {
	return d.d.OpenFile(path.Join(d.name, name), flag, perm)
}

func (d dir) Remove(name string) error { return d.d.Remove(path.Join(d.name, name)) }

func (d dir) Sync() error { return d.d.SyncDir(d.name) }

func (d dir) Close() error { return nil }

func (d *Disk) Free() (free, total uint64, err error) {
	err = d.do("free", ".", func() (err error) { free, total, err = d.fs.Free(); return err })
	return free, total, err
}

func (d *Disk) Lock(name string) (c io.Closer, err error) {
	err = d.do("lock", name, func() (err error) { c, err = d.fs.Lock(name); return err })
	return c, err
}

type file struct {
	disk.File
	d     *Disk
	name  string
	known int // losses
}

func (f *file) Write(b []byte) (n int, err error) {
	err = f.d.do("write", f.name, func() (err error) {
		f.d.mu.Lock()
		defer f.d.mu.Unlock()
		if f.d.files[f.name] == nil {
			info, err := f.File.Stat()
			if err != nil {
				return err
			}
			f.d.files[f.name] = &state{nameDurable: true, durable: info.Size()}
		}
		n, err = f.File.Write(b)
		return err
	})
	return n, err
}

func (f *file) Read(b []byte) (n int, err error) {
	err = f.d.do("read", f.name, func() (err error) { n, err = f.File.Read(b); return err })
	return n, err
}

func (f *file) ReadAt(b []byte, off int64) (n int, err error) {
	err = f.d.do("read", f.name, func() (err error) { n, err = f.File.ReadAt(b, off); return err })
	return n, err
}

func (f *file) Sync() error {
	synced := false
	defer func() {
		f.d.mu.Lock()
		defer f.d.mu.Unlock()
		if s := f.d.files[f.name]; s != nil && !synced {
			s.rotten = true
		}
	}()
	return f.d.do("sync", f.name, func() error {
		synced = true
		info, err := f.File.Stat()
		if err != nil {
			return err
		}
		f.d.mu.Lock()
		defer f.d.mu.Unlock()
		if s := f.d.files[f.name]; s != nil && s.losses > f.known {
			f.known = s.losses
			return &fs.PathError{Op: "sync", Path: f.name, Err: syscall.EIO}
		}
		if s := f.d.files[f.name]; s != nil && !s.rotten && s.nameDurable {
			delete(f.d.files, f.name)
		} else if s != nil && !s.rotten {
			s.durable = info.Size()
		}
		return nil
	})
}

// Uncached shows what the disk holds instead of what was written to it, see disk.Uncached.
func (f *file) Uncached() error {
	return f.d.do("uncached", f.name, func() error {
		f.d.mu.Lock()
		defer f.d.mu.Unlock()
		if s := f.d.files[f.name]; s != nil && s.rotten {
			return os.Truncate(filepath.Join(f.d.dir, f.name), s.durable)
		}
		return nil
	})
}

// Close always closes, so that a test leaks no descriptor; the rule decides the answer.
func (f *file) Close() error {
	_, verdict := f.d.verdict("close", f.name)
	if err := f.File.Close(); err != nil {
		return err
	}
	if errors.Is(verdict, ErrPower) {
		return nil
	}
	return verdict
}
