// Package disk is the way to stored files: a rooted file system that can be replaced in tests, and the one
// routine that replaces a file durably.
//
// It owns no file itself; every name is relative to the root it was opened with and cannot leave it. It must
// never report success for a write whose durability the caller asked for and did not get.
package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrLocked is returned by Lock while another process (or another opener in this one) holds the lock.
var ErrLocked = errors.New("disk: locked by another process")

// File is an open file of an FS.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.Closer
	Stat() (fs.FileInfo, error)
	// Sync makes the file's bytes durable, not its name: see SyncDir. After it has failed once, nothing read
	// back from the file may be trusted, because the kernel drops the dirty pages it could not write.
	Sync() error
}

// FS is a directory tree. Names are slash-separated, relative to the root, "." is the root itself.
// Errors are *fs.PathError or *os.LinkError and answer errors.Is(err, fs.ErrNotExist) and the like.
// All methods are safe for concurrent use.
type FS interface {
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	Open(name string) (File, error)
	Stat(name string) (fs.FileInfo, error)
	ReadDir(name string) ([]fs.DirEntry, error) // sorted by name
	MkdirAll(name string, perm fs.FileMode) error
	Remove(name string) error // a file or an empty directory
	Rename(from, to string) error
	// SyncDir makes the names in a directory durable: created, renamed and removed ones.
	SyncDir(name string) error
	// SyncFS makes everything written so far on the file system of the root durable, files and names: syncfs(2).
	// A write that failed since the last call is an error of this one; so of one FS only its owner calls it.
	SyncFS() error
	// Dir opens a directory for work on many files in it.
	Dir(name string) (Dir, error)
	// Free says how many bytes the file system has left for us and how many it has in all.
	Free() (free, total uint64, err error)
	// Lock takes an exclusive lock on a file, creating it; ErrLocked when somebody has it. It ends with
	// Close or with the process.
	Lock(name string) (io.Closer, error)
}

// Dir is an open directory: its files are reached without walking down to it. Names are single components.
type Dir interface {
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	Remove(name string) error
	Sync() error // as FS.SyncDir
	Close() error
}

// tempSuffix ends the name of the file that WriteAtomic prepares beside its target.
const tempSuffix = ".tmp"

// WriteAtomic replaces a file: write a temporary file beside it, fsync, close, rename, fsync the directory.
// When it returns nil the new content is durable. When it fails, the old or the new content is there, whole,
// and which of the two survives a power cut is not known. The directory must exist. Calls for one name must
// not overlap. It is the only place in the product that replaces a file.
func WriteAtomic(fsys FS, name string, b []byte, perm fs.FileMode) (err error) {
	tmp := name + tempSuffix
	f, err := fsys.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return fmt.Errorf("prepare %s: %w", name, err)
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = fsys.Rename(tmp, name)
	}
	if err != nil {
		if rerr := fsys.Remove(tmp); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
		return fmt.Errorf("replace %s: %w", name, err)
	}
	if err := fsys.SyncDir(path.Dir(name)); err != nil {
		return fmt.Errorf("replace %s: make the name durable: %w", name, err)
	}
	return nil
}

// RemoveTemp removes what a WriteAtomic of this name left behind when the power went; nothing there is fine. On a file
// system that is mounted read-only it stays, as everything does: nothing reads it.
func RemoveTemp(fsys FS, name string) error {
	err := fsys.Remove(name + tempSuffix)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("remove the left-over of %s: %w", name, err)
	}
	return nil
}

// Uncached makes the next reads of a file come from the disk: what the kernel's cache remembers may be what it
// failed to write. A file that is not the machine's does it by a method of this name, or needs it not.
func Uncached(f File) error {
	if u, ok := f.(interface{ Uncached() error }); ok {
		return u.Uncached()
	}
	c, ok := f.(syscall.Conn)
	if !ok {
		return nil
	}
	conn, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	if err := conn.Control(func(fd uintptr) { result = unix.Fadvise(int(fd), 0, 0, unix.FADV_DONTNEED) }); err != nil {
		return err
	}
	return result
}

// ReadFile reads a whole file.
func ReadFile(fsys FS, name string) (b []byte, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	return io.ReadAll(f)
}
