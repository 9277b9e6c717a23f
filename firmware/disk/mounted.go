package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// ErrNotMounted: nothing is mounted at a directory.
var ErrNotMounted = errors.New("disk: nothing is mounted there")

// MountedFS is a file system that can be let go, so that it can be unmounted.
type MountedFS interface {
	FS
	io.Closer
}

// Mounted opens what is mounted at a directory. A directory that lies on the file system of its parent is none: what is
// written there would fill another disk.
func Mounted(dir string) (MountedFS, error) {
	var at, above syscall.Stat_t
	if err := syscall.Stat(dir, &at); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotMounted, err)
	}
	if err := syscall.Stat(filepath.Dir(dir), &above); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotMounted, err)
	}
	if at.Dev == above.Dev {
		return nil, ErrNotMounted
	}
	r, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open what is mounted: %w", err)
	}
	self, err := r.Open(".")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open what is mounted: %w", err), r.Close())
	}
	return &mounted{real{r, self}}, nil
}

type mounted struct{ real }

func (m *mounted) Close() error { return errors.Join(m.self.Close(), m.root.Close()) }
