package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// real is a directory of the machine, fenced by os.Root: a symbolic link cannot lead out of it.
type real struct {
	root *os.Root
	// self stays open: the kernel reports a failed write to each descriptor once, and one that was opened
	// later would miss it.
	self *os.File
}

// Real opens a directory of the machine, creating it (0700) when it is missing.
func Real(root string) (FS, error) {
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	r, err := os.OpenRoot(root)
	if err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	self, err := r.Open(".")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open data directory: %w", err), r.Close())
	}
	return &real{r, self}, nil
}

func (d *real) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	return openIn(d.root, name, flag, perm)
}

// openIn does not wait for the other end, should the name be that of a pipe by now.
func openIn(root *os.Root, name string, flag int, perm fs.FileMode) (File, error) {
	f, err := root.OpenFile(name, flag|unix.O_NONBLOCK, perm)
	if err != nil {
		return nil, err // not f: a nil *os.File in an interface is not nil
	}
	return f, nil
}

func (d *real) Open(name string) (File, error) { return d.OpenFile(name, os.O_RDONLY, 0) }

func (d *real) Stat(name string) (fs.FileInfo, error) { return d.root.Stat(name) }

func (d *real) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(d.root.FS(), name) }

func (d *real) MkdirAll(name string, perm fs.FileMode) error { return d.root.MkdirAll(name, perm) }

func (d *real) Remove(name string) error { return d.root.Remove(name) }

func (d *real) Rename(from, to string) error { return d.root.Rename(from, to) }

func (d *real) SyncDir(name string) error {
	f, err := d.root.Open(name)
	if err != nil {
		return err
	}
	err = f.Sync()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// onRoot runs a system call on the root's descriptor.
func (d *real) onRoot(what string, call func(fd int) error) error {
	conn, err := d.self.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	if err := conn.Control(func(fd uintptr) { result = call(int(fd)) }); err != nil {
		return err
	}
	if result != nil {
		return &fs.PathError{Op: what, Path: d.root.Name(), Err: result}
	}
	return nil
}

func (d *real) SyncFS() error { return d.onRoot("syncfs", unix.Syncfs) }

func (d *real) Free() (free, total uint64, err error) {
	var st unix.Statfs_t
	err = d.onRoot("statfs", func(fd int) error { return unix.Fstatfs(fd, &st) })
	if err != nil {
		return 0, 0, err
	}
	size := uint64(st.Bsize)
	return st.Bavail * size, st.Blocks * size, nil
}

// realDir is an open directory: a root of its own, so that a name cannot lead out of it either.
type realDir struct {
	root *os.Root
	self *os.File // the same directory: unlinking a file by its descriptor is a quarter cheaper than through the root
	conn syscall.RawConn
}

func (d *real) Dir(name string) (Dir, error) {
	r, err := d.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	self, err := r.Open(".")
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	conn, err := self.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, self.Close(), r.Close())
	}
	return &realDir{r, self, conn}, nil
}

func (d *realDir) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	return openIn(d.root, name, flag, perm)
}

// Remove takes a single component as it is; a directory of that name goes the slow way.
func (d *realDir) Remove(name string) error {
	if strings.ContainsRune(name, '/') {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrInvalid}
	}
	var result error
	if err := d.conn.Control(func(fd uintptr) {
		for result = unix.EINTR; result == unix.EINTR; {
			result = unix.Unlinkat(int(fd), name, 0)
		}
	}); err != nil {
		return err
	}
	switch {
	case result == nil:
		return nil
	case errors.Is(result, unix.EISDIR):
		return d.root.Remove(name)
	}
	return &fs.PathError{Op: "remove", Path: name, Err: result}
}

func (d *realDir) Sync() error { return d.self.Sync() }

func (d *realDir) Close() error { return errors.Join(d.self.Close(), d.root.Close()) }

// lockFile is a lock that is held.
type lockFile struct{ f *os.File }

// Close gives the lock up by name: a child process that is just being started still has the file, and would keep it.
func (l lockFile) Close() error {
	return errors.Join(unix.Flock(int(l.f.Fd()), unix.LOCK_UN), l.f.Close())
}

func (d *real) Lock(name string) (io.Closer, error) {
	f, err := d.root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return lockFile{f}, nil
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrLocked
	}
	err = &fs.PathError{Op: "lock", Path: name, Err: err}
	if cerr := f.Close(); cerr != nil {
		err = errors.Join(err, cerr)
	}
	return nil, err
}
