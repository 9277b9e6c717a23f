package disk_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/disk/disktest"
)

var errBroken = errors.New("broken")

// Every step of WriteAtomic fails once, then fails although it was performed, then the power goes: the file
// holds the old or the new content, never anything else, and the new one when WriteAtomic said so.
func TestWriteAtomicKeepsOldOrNew(t *testing.T) {
	for _, what := range []string{"", "create", "write", "sync", "close", "rename", "syncdir"} {
		for _, done := range []bool{false, true} {
			t.Run(what, func(t *testing.T) {
				dir := t.TempDir()
				d := disktest.New(t, dir)
				if err := disk.WriteAtomic(d, "a", []byte("old"), 0o600); err != nil {
					t.Fatal(err)
				}
				d.Fail(disktest.Rule{Match: func(o disktest.Op) bool { return o.What == what }, Err: errBroken, Done: done})
				err := disk.WriteAtomic(d, "a", []byte("new content"), 0o600)
				if (err != nil) != (what != "") || err != nil && !errors.Is(err, errBroken) {
					t.Fatalf("answer %v with a failing %q", err, what)
				}
				d.PowerCut(t, nil)
				b, rerr := os.ReadFile(filepath.Join(dir, "a"))
				if rerr != nil {
					t.Fatal(rerr)
				}
				if s := string(b); s != "new content" && (err == nil || s != "old") {
					t.Fatalf("after %v the file holds %q", err, s)
				}
			})
		}
	}
}

func TestNamesCannotLeaveTheRoot(t *testing.T) {
	dir := t.TempDir()
	d, err := disk.Real(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "outside"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../outside", filepath.Join(dir, "data", "link")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../outside", "link", "/etc/passwd"} {
		if f, err := d.Open(name); err == nil {
			t.Errorf("%s opened (%v)", name, f)
		}
	}
}

func TestLockHasOneHolder(t *testing.T) {
	dir := t.TempDir()
	a, err := disk.Real(dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := disk.Real(dir)
	if err != nil {
		t.Fatal(err)
	}
	held, err := a.Lock("lock")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range openFiles(t, filepath.Join(dir, "lock")) { // as a child process that is just being started has it
		copied, err := syscall.Dup(fd)
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(copied)
	}
	if _, err := b.Lock("lock"); !errors.Is(err, disk.ErrLocked) {
		t.Fatalf("second holder got %v", err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := b.Lock("lock")
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

// openFiles are the descriptors of this process that have the file open.
func openFiles(t *testing.T, path string) (list []int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && target == path {
			fd, err := strconv.Atoi(e.Name())
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, fd)
		}
	}
	if len(list) == 0 {
		t.Fatal("nothing has the file open")
	}
	return list
}

// A sync of the whole file system that fails says nothing of whose bytes it lost; each open file does, once.
func TestAFileThatLostBytesSaysSoOnce(t *testing.T) {
	dir := t.TempDir()
	d := disktest.New(t, dir)
	write := func(name string) disk.File {
		f, err := d.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		if _, err := f.Write([]byte("footage")); err != nil {
			t.Fatal(err)
		}
		return f
	}
	lost, kept := write("lost"), write("kept")
	d.Fail(disktest.Rule{Match: disktest.Match("sync", "lost"), After: 100, Err: syscall.EIO}) // not by its own sync
	d.Fail(disktest.Rule{Match: disktest.Match("syncfs", "."), Times: 1, Err: syscall.EIO})
	if err := d.SyncFS(); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	if err := d.SyncFS(); err != nil {
		t.Errorf("the next one: %v", err)
	}
	if err := kept.Sync(); err != nil {
		t.Errorf("kept: %v", err)
	}
	if err := lost.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("lost: %v, want %v", err, syscall.EIO)
	}
	if err := lost.Sync(); err != nil {
		t.Errorf("lost, again: %v", err)
	}
	d.PowerCut(t, nil)
	if got, err := os.ReadFile(filepath.Join(dir, "lost")); err != nil || len(got) != 0 {
		t.Errorf("lost holds %q, %v", got, err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "kept")); err != nil || string(got) != "footage" {
		t.Errorf("kept holds %q, %v", got, err)
	}
}

func TestPowerCutLosesWhatWasNotSynced(t *testing.T) {
	dir := t.TempDir()
	d := disktest.New(t, dir)
	write := func(name string, parts ...string) disk.File {
		f, err := d.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range parts {
			if _, err := f.Write([]byte(p)); err != nil {
				t.Fatal(err)
			}
		}
		return f
	}
	write("removed", "back")
	half := write("half", "kept")
	if err := d.SyncFS(); err != nil {
		t.Fatal(err)
	}
	if _, err := half.Write([]byte(" lost")); err != nil {
		t.Fatal(err)
	}
	write("never", "seen")
	if err := d.Remove("removed"); err != nil {
		t.Fatal(err)
	}
	d.PowerCut(t, nil)
	if _, err := d.Stat("half"); !errors.Is(err, disktest.ErrPower) {
		t.Errorf("the disk still answers: %v", err)
	}
	for name, want := range map[string]string{"removed": "back", "half": "kept"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != want {
			t.Errorf("%s holds %q, %v; want %q", name, b, err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "never")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("unsynced name survived: %v", err)
	}
}

// The power goes before an operation or after it, never in its middle: what a sync just called durable would be cut off.
func TestThePowerCutWaitsForWhatIsBeingDone(t *testing.T) {
	dir := t.TempDir()
	d := disktest.New(t, dir)
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := d.OpenFile("pipe", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	begun, read, cut := make(chan struct{}), make(chan error, 1), make(chan struct{})
	d.Fail(disktest.Rule{Match: func(disktest.Op) bool { close(begun); return false }})
	go func() { // takes as long as nobody writes
		_, err := f.Read(make([]byte, 1))
		read <- err
	}()
	<-begun
	go func() {
		d.PowerCut(t, nil)
		close(cut)
	}()
	for range 10000 {
		runtime.Gosched()
	}
	select {
	case <-cut:
		t.Error("the power went in the middle of a read")
	default:
	}
	if err := os.WriteFile(pipe, []byte("a"), 0); err != nil {
		t.Fatal(err)
	}
	if err := <-read; err != nil {
		t.Error(err)
	}
	<-cut
}
