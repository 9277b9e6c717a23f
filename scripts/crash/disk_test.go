package crash

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// smallDisk is a file system of its own, mounted below a temporary directory.
type smallDisk struct {
	t     *testing.T
	image string // of ext4
	at    string
	up    bool
}

// newSmallDisk makes one and mounts it over a directory, whose content it takes along. ext4 is real: a loop device on
// a file. tmpfs works where there are no loop devices, and keeps nothing over a power cut.
func newSmallDisk(t *testing.T, kind string, megabytes int, at string) *smallDisk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a file system needs root")
	}
	dir := t.TempDir()
	d := &smallDisk{t: t, image: filepath.Join(dir, "image"), at: at}
	content := filepath.Join(dir, "content")
	if err := os.MkdirAll(at, 0o700); err != nil {
		t.Fatal(err)
	}
	copyTree(t, at, content)
	mount := []string{"-t", "tmpfs", "-o", fmt.Sprintf("size=%dm", megabytes), "none", d.at}
	if kind == "ext4" {
		for _, tool := range []string{"mkfs.ext4", "mount"} {
			if _, err := exec.LookPath(tool); err != nil {
				t.Skipf("%s is missing", tool)
			}
		}
		if err := os.WriteFile(d.image, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(d.image, int64(megabytes)<<20); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("mkfs.ext4", "-q", "-F", "-m", "0", d.image).CombinedOutput(); err != nil {
			t.Fatalf("mkfs.ext4: %v\n%s", err, out)
		}
		mount = []string{"-o", "loop", d.image, d.at}
	}
	if out, err := exec.Command("mount", mount...).CombinedOutput(); err != nil {
		t.Skipf("this machine does not let us mount %s: %v %s", kind, err, out)
	}
	d.up = true
	t.Cleanup(func() {
		if !d.up {
			return
		}
		// Lazily: what this process opened to look at it is closed by the garbage collector.
		if out, err := exec.Command("umount", "-l", d.at).CombinedOutput(); err != nil {
			t.Errorf("umount: %v\n%s", err, out)
		}
	})
	copyTree(t, content, d.at)
	if out, err := exec.Command("sync", "-f", d.at).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return d
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", "-T", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func (d *smallDisk) unmount() {
	d.t.Helper()
	if out, err := exec.Command("umount", d.at).CombinedOutput(); err != nil {
		d.t.Errorf("umount: %v\n%s", err, out)
	}
	d.up = false
}

func (d *smallDisk) mount() {
	d.t.Helper()
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.at).CombinedOutput(); err != nil {
		d.t.Fatalf("mount again: %v\n%s", err, out)
	}
	d.up = true
}

// fill takes all room there is, to the last byte.
func (d *smallDisk) fill() (free func()) {
	d.t.Helper()
	name := filepath.Join(d.at, "ballast")
	f, err := os.Create(name)
	if err != nil {
		d.t.Fatal(err)
	}
	for piece := 1 << 20; piece > 0; {
		_, err := f.Write(make([]byte, piece))
		if err == nil {
			err = f.Sync()
		}
		switch {
		case errors.Is(err, syscall.ENOSPC):
			piece /= 4
		case err != nil:
			d.t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		d.t.Fatal(err)
	}
	return func() {
		if err := os.Remove(name); err != nil {
			d.t.Fatal(err)
		}
	}
}

// The ways in which ext4 can be shut down under its users (FS_IOC_SHUTDOWN).
const (
	ioctlShutdown = 0x8004587d
	noLogFlush    = 2 // what was not synced is lost: what a power cut leaves on the disk
)

// powerCut makes the file system forget what was not synced, and answer nothing any more.
func (d *smallDisk) powerCut() {
	d.t.Helper()
	f, err := os.Open(d.at)
	if err != nil {
		d.t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(f.Fd()), ioctlShutdown, noLogFlush); err != nil {
		d.t.Skipf("this kernel does not shut a file system down: %v", err)
	}
	if err := f.Close(); err != nil {
		d.t.Fatal(err)
	}
}

// failReadOnly makes the file system go read-only as after a disk error: everything that writes gets EROFS.
func (d *smallDisk) failReadOnly() {
	d.t.Helper()
	if out, err := exec.Command("mount", "-o", "remount,abort", d.at).CombinedOutput(); err != nil {
		d.t.Fatalf("remount,abort: %v\n%s", err, out)
	}
}

// bytesIn sums up the files below a directory.
func bytesIn(dir string) (n int64) {
	err := filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil // removed meanwhile
		}
		if info, err := e.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	if err != nil && !errors.Is(err, io.EOF) {
		return 0
	}
	return n
}
