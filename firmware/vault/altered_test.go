package vault

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"campuskeep/firmware/disk/disktest"
	"campuskeep/shared/footage"
	"campuskeep/shared/packet"
)

func (b *box) path(s footage.Segment) string {
	return filepath.Join(b.dir, "vault", filePath(dayID{s.Camera, s.Day}, s.File))
}

func (b *box) bytesOf(s footage.Segment) []byte {
	b.t.Helper()
	bin, err := os.ReadFile(b.path(s))
	if err != nil {
		b.t.Fatal(err)
	}
	return bin
}

// records says where the records of a whole segment file begin, and last where the footer does.
func (b *box) records(bin []byte) (at []int) {
	b.t.Helper()
	_, n, err := packet.ParseHeader(bin)
	if err != nil {
		b.t.Fatal(err)
	}
	const head, footer = 32, 16
	for ; n < len(bin)-footer; n += head + int(binary.BigEndian.Uint32(bin[n:])) {
		at = append(at, n)
	}
	return append(at, n)
}

// Whatever is done to a file behind our back: the check names this file and no other, not one altered picture is
// shown, the other files are what they were, and a start, a reconcile and recording go on. Covers F3, I3.
func TestFilesAlteredBehindOurBack(t *testing.T) {
	flip := func(at func(bin []byte, rec []int) int) func(*box, footage.Segment, footage.Segment) error {
		return func(b *box, s, _ footage.Segment) error {
			bin := b.bytesOf(s)
			bin[at(bin, b.records(bin))] ^= 4
			return os.WriteFile(b.path(s), bin, 0o600)
		}
	}
	cut := func(at func(bin []byte, rec []int) int) func(*box, footage.Segment, footage.Segment) error {
		return func(b *box, s, _ footage.Segment) error {
			bin := b.bytesOf(s)
			return os.Truncate(b.path(s), int64(at(bin, b.records(bin))))
		}
	}
	instead := func(make func(name string) error) func(*box, footage.Segment, footage.Segment) error {
		return func(b *box, s, _ footage.Segment) error {
			return errors.Join(os.Remove(b.path(s)), make(b.path(s)))
		}
	}
	inHeader := func(field string, off int) func(bin []byte, rec []int) int {
		return func(bin []byte, _ []int) int { return bytes.Index(bin, []byte(field)) + off }
	}
	for name, alter := range map[string]func(b *box, s, other footage.Segment) error{
		"header, magic":         flip(func([]byte, []int) int { return 0 }),
		"header, version":       flip(func([]byte, []int) int { return 4 }),
		"header, algorithm":     flip(func([]byte, []int) int { return 5 }),
		"header, file id":       flip(func([]byte, []int) int { return 6 }),
		"header, session":       flip(func([]byte, []int) int { return 29 }),
		"header, camera":        flip(inHeader("\x03c01", 2)),
		"header, key id":        flip(inHeader("c01:2026", 6)),
		"header, boot":          flip(inHeader("boot-a", 5)),
		"header, codec":         flip(inHeader("h264", 3)),
		"record, length":        flip(func(_ []byte, rec []int) int { return rec[2] + 3 }),
		"record, length, huge":  flip(func(_ []byte, rec []int) int { return rec[2] }),
		"record, kind":          flip(func(_ []byte, rec []int) int { return rec[2] + 4 }),
		"record, flags":         flip(func(_ []byte, rec []int) int { return rec[2] + 5 }),
		"record, begin":         flip(func(_ []byte, rec []int) int { return rec[2] + 12 }),
		"record, end":           flip(func(_ []byte, rec []int) int { return rec[2] + 20 }),
		"record, claimed time":  flip(func(_ []byte, rec []int) int { return rec[2] + 28 }),
		"record, first byte":    flip(func(_ []byte, rec []int) int { return rec[2] + 32 }),
		"record, tag":           flip(func(_ []byte, rec []int) int { return rec[3] - 1 }),
		"init record":           flip(func(_ []byte, rec []int) int { return rec[1] - 1 }),
		"index record":          flip(func(_ []byte, rec []int) int { return rec[len(rec)-2] + 40 }),
		"footer, offset":        flip(func(_ []byte, rec []int) int { return rec[len(rec)-1] + 7 }),
		"footer, checksum":      flip(func(bin []byte, _ []int) int { return len(bin) - 8 }),
		"footer, magic":         flip(func(bin []byte, _ []int) int { return len(bin) - 1 }),
		"cut to nothing":        cut(func([]byte, []int) int { return 0 }),
		"cut in the header":     cut(func([]byte, []int) int { return 20 }),
		"cut after the first":   cut(func(_ []byte, rec []int) int { return rec[2] }),
		"cut before the index":  cut(func(_ []byte, rec []int) int { return rec[len(rec)-2] }),
		"cut before the footer": cut(func(_ []byte, rec []int) int { return rec[len(rec)-1] }),
		"cut by a byte":         cut(func(bin []byte, _ []int) int { return len(bin) - 1 }),
		"a byte more": func(b *box, s, _ footage.Segment) error {
			return os.WriteFile(b.path(s), append(b.bytesOf(s), 0), 0o600)
		},
		"zeros of the same length": func(b *box, s, _ footage.Segment) error { return os.WriteFile(b.path(s), make([]byte, s.Bytes), 0o600) },
		"two records exchanged": func(b *box, s, _ footage.Segment) error {
			bin := b.bytesOf(s)
			rec := b.records(bin)
			one, two := bytes.Clone(bin[rec[1]:rec[2]]), bytes.Clone(bin[rec[2]:rec[3]])
			copy(bin[copy(bin[rec[1]:], two)+rec[1]:], one)
			return os.WriteFile(b.path(s), bin, 0o600)
		},
		"the other camera's file": func(b *box, s, other footage.Segment) error { return os.WriteFile(b.path(s), b.bytesOf(other), 0o600) },
		"a link to the other camera's": func(b *box, s, other footage.Segment) error {
			return instead(func(n string) error { return os.Link(b.path(other), n) })(b, s, other)
		},
		"gone":                     instead(func(string) error { return nil }),
		"a directory in its place": instead(func(n string) error { return os.Mkdir(n, 0o700) }),
		"a pipe in its place":      instead(func(n string) error { return syscall.Mkfifo(n, 0o600) }),
		"a link to nowhere":        instead(func(n string) error { return os.Symlink("nowhere", n) }),
		"a link out of the house":  instead(func(n string) error { return os.Symlink("/etc/passwd", n) }),
		"a link to a device":       instead(func(n string) error { return os.Symlink("/dev/zero", n) }),
		"a link to itself":         instead(func(n string) error { return os.Symlink(filepath.Base(n), n) }),
		"petabytes of nothing":     func(b *box, s, _ footage.Segment) error { return os.Truncate(b.path(s), 1<<43) },
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, t.TempDir())
			b.record("c01", "boot-a", 0, 3)
			b.record("c02", "boot-a", 0, 3)
			b.flush()
			rows, others := b.rows("c01"), b.rows("c02")
			victim := rows[1]
			if err := alter(b, victim, others[1]); err != nil {
				t.Fatal(err)
			}
			see := func(when string) {
				t.Helper()
				if list := b.findings(); len(list) != 1 || list[0].Invariant != "I3" || !strings.Contains(list[0].Where, victim.File.String()) {
					t.Errorf("%s: findings %+v", when, list)
				}
				b.shows(victim, 3)
				for _, s := range []footage.Segment{rows[0], rows[2], others[0], others[1], others[2]} {
					b.whole(s, 3)
				}
			}
			see("at once")
			b = b.again()
			see("after a start")
			b.record("c01", "boot-b", 0, 2)
			b.record("c02", "boot-b", 0, 2)
			b.flush()
			r, err := b.v.Reconcile(t.Context(), nothingDies, nil)
			if err != nil {
				t.Fatal(err)
			}
			if missing := name == "gone"; missing != (len(r.Missing) == 1) {
				t.Errorf("reconcile %+v", r)
			} else if !missing {
				see("after a reconcile")
			}
			if got := b.rows("c01"); len(got) != 5-len(r.Missing) {
				t.Errorf("%d rows, %d missing", len(got), len(r.Missing))
			}
			// Deleting it works whatever it is, and then all is well.
			if failed := b.v.Unlink(t.Context(), []footage.Segment{victim}); len(failed) > 0 {
				t.Fatal(failed)
			}
			if err := b.v.DropRows([]footage.Segment{victim}); err != nil {
				t.Fatal(err)
			}
			b.check()
		})
	}
}

// shows plays a segment: what it gives is what was recorded.
func (b *box) shows(s footage.Segment, recorded int) {
	b.t.Helper()
	r, err := b.v.OpenSegment(b.t.Context(), s)
	if err != nil {
		return
	}
	defer r.Close()
	played := 0
	for i, info := range r.Fragments() {
		got, err := r.Fragment(i)
		if err != nil {
			continue
		}
		played++
		if n := int(s.From.Minutes()); !bytes.Equal(got, pattern(s.Camera, n, int((info.From-s.From).Seconds()))) {
			b.t.Errorf("fragment %d is shown and is not what was recorded", i)
		}
	}
	if played > recorded {
		b.t.Errorf("%d fragments are shown of %d", played, recorded)
	}
}

// What lies in the vault and is not ours is set aside, whatever it is; what has the place of a directory keeps that
// camera from recording and no other.
func TestThingsThatDoNotBelongHere(t *testing.T) {
	b := start(t, t.TempDir())
	b.record("c01", "boot-a", 0, 2)
	b.record("c02", "boot-a", 0, 2)
	b.flush()
	rows := b.rows("c01")
	b.end()
	day := filepath.Join(b.dir, "vault", "c01", "2026-03-01")
	id := func(n byte) string { return filepath.Join(day, footage.FileID{n}.String()+fileExt) }
	for _, err := range []error{
		os.Mkdir(id(1), 0o700),
		os.WriteFile(filepath.Join(id(1), "inside"), []byte("x"), 0o600),
		syscall.Mkfifo(id(2), 0o600),
		os.Symlink("/etc/passwd", id(3)),
		os.Symlink(id(4), id(4)),
		os.WriteFile(filepath.Join(day, "名前.txt"), []byte("x"), 0o600),
		os.WriteFile(filepath.Join(day, strings.Repeat("n", 255)), nil, 0o600),
		os.WriteFile(filepath.Join(b.dir, "vault", "notes"), []byte("x"), 0o600),             // beside the cameras: nobody looks
		os.Mkdir(filepath.Join(b.dir, "vault", "c01", "not a day"), 0o700),                   // the same
		os.WriteFile(filepath.Join(b.dir, "vault", "c02", "2026-03-02"), []byte("x"), 0o600), // where tomorrow's directory should be
		os.Remove(filepath.Join(b.dir, "index.db")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	b = start(t, b.dir)
	if got := b.rows("c01"); !slices.Equal(got, rows) {
		t.Errorf("rows %+v", got)
	}
	b.check()
	if set, err := os.ReadDir(filepath.Join(b.dir, "vault", quarantine, "c01", "2026-03-01")); err != nil || len(set) != 6 {
		t.Errorf("in quarantine %v, %v", set, err)
	}
	w := b.begin(meta("c02", "boot-b", 1440))
	b.record("c01", "boot-b", 1440, 1442)
	b.record("c03", "boot-b", 1440, 1442)
	b.flush()
	if err := put(w, 1440, 0); !errors.Is(err, ErrAbandoned) {
		t.Errorf("the camera whose directory is a file: %v", err)
	}
	if len(b.rows("c01")) != 4 || len(b.rows("c03")) != 2 {
		t.Error("the other cameras did not record")
	}
	if err := os.Remove(filepath.Join(b.dir, "vault", "c02", "2026-03-02")); err != nil {
		t.Fatal(err)
	}
	b.record("c02", "boot-b", 1440, 1442)
	b.flush()
	if len(b.rows("c02")) != 4 {
		t.Error("it does not record after its place was made free")
	}
	b.check()
}

// Permissions taken away are a disk that refuses: told, never a deletion, and right again by itself.
func TestPermissionsTakenAway(t *testing.T) {
	b := start(t, t.TempDir())
	b.record("c01", "boot-a", 0, 3)
	b.record("c02", "boot-a", 0, 3)
	b.flush()
	rows := b.rows("c01")
	restore := b.disk.Fail(disktest.Rule{Match: func(o disktest.Op) bool { return strings.HasPrefix(o.Name, "c01") }, Err: fs.ErrPermission})
	if _, err := b.v.OpenSegment(t.Context(), rows[0]); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("opened: %v", err)
	}
	if _, err := b.v.Reconcile(t.Context(), nothingDies, nil); err == nil {
		t.Error("a reconcile that could not look is silent")
	}
	if got := b.rows("c01"); !slices.Equal(got, rows) {
		t.Errorf("%d rows are left", len(got))
	}
	if failed := b.v.Unlink(t.Context(), rows[:1]); len(failed) != 1 {
		t.Error("unlinked without permission")
	}
	b.record("c02", "boot-a", 3, 5)
	b.flush()
	restore()
	b.check()
	b.whole(rows[0], 3)
}

// Ten thousand odd files: the start stays fast, each is set aside once, and nothing but their number grows.
func TestTenThousandOddFiles(t *testing.T) {
	const odd = 10_000
	b := start(t, t.TempDir())
	b.record("c01", "boot-a", 0, 3)
	b.flush()
	b.end()
	day := filepath.Join(b.dir, "vault", "c01", "2026-03-01")
	for n := range odd {
		name := footage.FileID{1, byte(n >> 8), byte(n)}.String() + fileExt
		if err := os.WriteFile(filepath.Join(day, name), fmt.Appendf(nil, "odd %d", n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b = start(t, b.dir) // the camera-day is not marked: the start does not even look
	if got := len(b.findings()); got != odd {
		t.Errorf("%d findings of %d odd files", got, odd)
	}
	if n, err := b.v.Quarantined(t.Context()); err != nil || n != 0 {
		t.Errorf("%d in quarantine, %v", n, err)
	}
	r, err := b.v.Reconcile(t.Context(), nothingDies, nil)
	if err != nil || len(r.Quarantined) != odd || len(r.Missing) != 0 {
		t.Fatalf("reconcile: %d set aside, %v", len(r.Quarantined), err)
	}
	b.check()
	if n, err := b.v.Quarantined(t.Context()); err != nil || n != odd {
		t.Errorf("%d in quarantine, %v", n, err)
	}
	b = b.again()
	if len(b.rows("c01")) != 3 {
		t.Errorf("%d rows", len(b.rows("c01")))
	}
	b.check()
	if r, err := b.v.Reconcile(t.Context(), nothingDies, nil); err != nil || len(r.Quarantined) != 0 {
		t.Errorf("set aside again: %d, %v", len(r.Quarantined), err)
	}
	// They go with the key of their camera-day.
	rows := b.rows("c01")
	if failed := b.v.Unlink(t.Context(), rows); len(failed) != 0 {
		t.Fatal(failed)
	}
	if err := b.v.DropRows(rows); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.v.EraseDays([]Day{{"c01", "2026-03-01"}})[0], b.v.ClearDay("c01", "2026-03-01")); err != nil {
		t.Fatal(err)
	}
	if n, err := b.v.Quarantined(t.Context()); err != nil || n != 0 {
		t.Errorf("%d in quarantine, %v", n, err)
	}
	b.check()
}
