package vault

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"campuskeep/firmware/disk/disktest"
	"campuskeep/shared/footage"
	"campuskeep/shared/packet"
)

// Covers F3: a power cut costs what was not synced, nothing that has its row, and the rest is found again.
func TestPowerCutKeepsEverySyncedFragment(t *testing.T) {
	for seed := range uint64(25) {
		rnd := newRand(seed)
		b := start(t, t.TempDir())
		b.record("c01", "boot-a", 0, 5)
		b.flush()
		b.record("c02", "boot-a", 0, rnd.IntN(4))
		w := b.begin(meta("c01", "boot-a", 5))
		synced := 1 + rnd.IntN(5)
		for i := range synced {
			if err := put(w, 5, i); err != nil {
				t.Fatal(err)
			}
		}
		b.flush()
		for i := range rnd.IntN(6) {
			if err := put(w, 5, synced+i); err != nil {
				t.Fatal(err)
			}
		}
		fence(b)
		if seed%2 == 0 {
			rnd = nil
		}
		b.disk.PowerCut(t, rnd)
		b.kill()

		b = start(t, b.dir)
		rows := b.rows("c01")
		if len(rows) != 6 {
			t.Fatalf("seed %d: %d rows, want 6", seed, len(rows))
		}
		if last := rows[5]; !last.Recovered || last.Frags < synced {
			t.Fatalf("seed %d: %d fragments of %d synced ones came back, recovered %v", seed, last.Frags, synced, last.Recovered)
		}
		for _, s := range rows {
			b.whole(s, s.Frags)
		}
		b.record("c01", "boot-b", 0, 2)
		b.flush()
		b.check()
	}
}

// fence waits until the writer goroutine has written what was queued, without a sync: when it creates the
// second of two files begun one after the other, the batch with the first is done.
func fence(b *box) {
	b.t.Helper()
	for _, camera := range []string{"c08", "c09"} {
		seen := make(chan struct{}, 1)
		restore := b.disk.Fail(disktest.Rule{Match: func(o disktest.Op) bool {
			if o.What == "create" && strings.HasPrefix(o.Name, camera) {
				seen <- struct{}{}
			}
			return false
		}})
		b.begin(meta(camera, "boot-a", 5))
		<-seen
		restore()
	}
}

// After a failed sync the segment is given up with an alarm and the recorder goes on in another one; what was
// written is not believed until it is read again.
func TestFailedSyncAbandonsAndGoesOn(t *testing.T) {
	b := start(t, t.TempDir())
	b.record("c01", "boot-a", 0, 2)
	b.flush()
	w := b.begin(meta("c01", "boot-a", 2))
	if err := put(w, 2, 0); err != nil {
		t.Fatal(err)
	}
	b.flush()
	if err := put(w, 2, 1); err != nil {
		t.Fatal(err)
	}
	restore := b.disk.Fail(disktest.Rule{Match: syncs, Err: syscall.EIO})
	if err := b.v.Flush(t.Context()); !errors.Is(err, syscall.EIO) {
		t.Fatalf("flush: %v", err)
	}
	if err := b.v.Flush(t.Context()); !errors.Is(err, syscall.EIO) {
		t.Fatalf("the disk was not asked again: %v", err)
	}
	b.mustNotBeMendable()
	restore()
	if err := put(w, 2, 2); !errors.Is(err, ErrAbandoned) {
		t.Fatalf("fragment of an abandoned segment: %v", err)
	}
	again := b.begin(meta("c01", "boot-a", 2))
	if err := put(again, 2, 2); err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	b.flush()
	if !slices.Contains(b.codes(), "sync") {
		t.Errorf("alarms %v", b.codes())
	}
	if rows := b.rows("c01"); len(rows) != 3 {
		t.Fatalf("%d rows", len(rows))
	}
	if r := b.mend(); len(r.Recovered) != 1 || !r.Recovered[0].Recovered || r.Recovered[0].Frags != 1 {
		t.Fatalf("mended %+v", r)
	}
	b.check()
}

// syncs matches every way to make bytes durable.
func syncs(o disktest.Op) bool { return o.What == "syncfs" || o.What == "sync" }

func TestFailedWritesAndCreatesAreTold(t *testing.T) {
	for _, what := range []string{"create", "write", "mkdir"} {
		b := start(t, t.TempDir())
		restore := b.disk.Fail(disktest.Rule{Match: disktest.Match(what, "c01"), Err: syscall.ENOSPC})
		w := b.begin(meta("c01", "boot-a", 0))
		if err := put(w, 0, 0); err != nil && !errors.Is(err, ErrAbandoned) {
			t.Fatal(err)
		}
		b.flush()
		if err := put(w, 0, 1); !errors.Is(err, ErrAbandoned) {
			t.Errorf("%s: fragment after the failure: %v", what, err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		restore()
		b.record("c01", "boot-a", 1, 3)
		b.flush()
		if rows := b.rows("c01"); len(rows) != 2 {
			t.Errorf("%s: %d rows", what, len(rows))
		}
		b.mustNotBeMendable() // nothing whole was written: nothing is left
		b.check()
		if set, err := os.ReadDir(filepath.Join(b.dir, "vault", quarantine)); err == nil {
			t.Errorf("%s: in quarantine %v", what, set)
		}
	}
}

// Flip one byte in a live segment: the check says which file and which record, and it is never played.
func TestCheckNamesTheDamagedRecord(t *testing.T) {
	b := start(t, t.TempDir())
	b.record("c01", "boot-a", 0, 3)
	b.flush()
	s := b.rows("c01")[1]
	name := filepath.Join(b.dir, "vault", filePath(dayID{s.Camera, s.Day}, s.File))
	bin, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.v.unseal(dayID{s.Camera, s.Day}, func(key packet.KeyOf) (*packet.Reader, error) {
		return packet.Open(strings.NewReader(string(bin)), int64(len(bin)), key)
	})
	if err != nil {
		t.Fatal(err)
	}
	bin[len(bin)/2] ^= 1
	if err := os.WriteFile(name, bin, 0o600); err != nil {
		t.Fatal(err)
	}
	list := b.findings()
	if len(list) != 1 || list[0].Invariant != "I3" || !strings.Contains(list[0].Where, s.File.String()) || !strings.Contains(list[0].Where, "record 2") {
		t.Fatalf("findings %+v of a file with %d fragments", list, len(r.Fragments()))
	}
	open, err := b.v.OpenSegment(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open.Fragment(1); !errors.Is(err, packet.ErrDamaged) {
		t.Errorf("the damaged fragment: %v", err)
	}
	if _, err := open.Fragment(2); err != nil {
		t.Errorf("the one behind it: %v", err)
	}
	if err := open.Close(); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(b.codes(), "damaged") {
		t.Errorf("alarms %v", b.codes())
	}
}

// A missing or damaged index never deletes anything: it is built again from the files.
func TestIndexIsRebuiltFromTheFiles(t *testing.T) {
	for _, how := range []string{"missing", "damaged"} {
		b := start(t, t.TempDir())
		b.record("c01", "boot-a", 0, 50)
		b.record("c01", "boot-b", 2000, 2010) // the next day, another boot
		b.record("c02", "boot-b", 2000, 2005)
		b.flush()
		want := b.rows("c01")
		b.end()
		path := filepath.Join(b.dir, "index.db")
		if how == "missing" {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(path, make([]byte, 32<<10), 0o600); err != nil {
			t.Fatal(err)
		}
		b = start(t, b.dir)
		got := b.rows("c01") // the order of boots is that in which an index first saw them
		for _, list := range [][]footage.Segment{got, want} {
			slices.SortFunc(list, func(a, b footage.Segment) int { return a.Wall.Compare(b.Wall) })
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%s: %d rows, want %d", how, len(got), len(want))
		}
		if got := b.rows("c02"); len(got) != 5 {
			t.Fatalf("%s: %d rows of the second camera", how, len(got))
		}
		b.check()
		b.end()
		b = start(t, b.dir)
		b.check()
	}
}

// One bad file never keeps the others from being found; nothing is thrown away because it is odd.
func TestUnreadableFilesGoToQuarantine(t *testing.T) {
	b := start(t, t.TempDir())
	b.record("c01", "boot-a", 0, 3)
	b.flush()
	good := b.rows("c01")
	b.end()
	day := filepath.Join(b.dir, "vault", "c01", "2026-03-01")
	empty := footage.FileID{1}.String() + fileExt
	noise := footage.FileID{2}.String() + fileExt
	copied := footage.FileID{3}.String() + fileExt
	bin, err := os.ReadFile(filepath.Join(day, good[0].File.String()+fileExt))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{empty: nil, noise: []byte("CKF1 but not really"), copied: bin, "notes.txt": []byte("hello")} {
		if err := os.WriteFile(filepath.Join(day, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(b.dir, "index.db")); err != nil {
		t.Fatal(err)
	}
	b = start(t, b.dir)
	if got := b.rows("c01"); !slices.Equal(got, good) {
		t.Fatalf("rows %+v", got)
	}
	set, err := os.ReadDir(filepath.Join(b.dir, "vault", quarantine, "c01", "2026-03-01"))
	if err != nil || len(set) != 4 {
		t.Fatalf("quarantine %v, %v", set, err)
	}
	b.check()
}

// Keys: a camera-day is erased when it is empty, not before; held files outlive their day key.
func TestDayKeyDiesWithItsLastFile(t *testing.T) {
	b := start(t, t.TempDir())
	b.record("c01", "boot-a", 0, 3)
	b.record("c01", "boot-a", 1440, 1441)
	b.flush()
	rows := b.rows("c01")
	first, held := rows[:3], rows[2:3]
	if err := b.v.EraseDays([]Day{{"c01", first[0].Day}})[0]; !errors.Is(err, ErrDayInUse) {
		t.Fatalf("erased a day with footage: %v", err)
	}
	if failed := b.v.Unlink(t.Context(), first[:2]); len(failed) != 0 {
		t.Fatal(failed)
	}
	if err := b.v.DropRows(first[:2]); err != nil {
		t.Fatal(err)
	}
	if empty, err := b.v.DayEmpty("c01", first[0].Day); err != nil || empty {
		t.Fatalf("empty %v, %v with one file left", empty, err)
	}
	if err := b.v.Keep(t.Context(), "h1", held); err != nil {
		t.Fatal(err)
	}
	if err := b.v.EraseDays([]Day{{"c01", first[0].Day}})[0]; err != nil {
		t.Fatal(err)
	}
	if days := b.v.Days("c01"); !slices.Equal(days, []string{"2026-03-02"}) {
		t.Fatalf("days %v", days)
	}
	b.whole(held[0], 3)
	b.check()
	b = b.again()
	b.whole(held[0], 3)
	if err := b.v.DropHold("h1"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.v.OpenSegment(t.Context(), held[0]); !errors.Is(err, ErrKeyErased) {
		t.Fatalf("readable without any key: %v", err)
	}
	// The same label again, by a clock that is far off: another key.
	b.record("c01", "boot-b", 5, 6)
	b.flush()
	if failed := b.v.Unlink(t.Context(), held); len(failed) != 0 {
		t.Fatal(failed)
	}
	if err := b.v.DropRows(held); err != nil {
		t.Fatal(err)
	}
	b.check()
}

// A row that cannot be read hides its own segment only, is found by the check, and is made again.
func TestMalformedRowIsMadeAgain(t *testing.T) {
	b := start(t, t.TempDir())
	b.record("c01", "boot-a", 0, 4)
	b.flush()
	want := b.rows("c01")
	n, _ := b.v.index.ordinal("boot-a")
	err := b.v.index.db.Update(func(tx *bolt.Tx) error {
		rows := tx.Bucket(bucketCameras).Bucket([]byte("c01"))
		if err := rows.Put([]byte("short key"), []byte("x")); err != nil {
			return err
		}
		return rows.Put(rowKey(n, want[1].From, want[1].File), []byte("noise"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := b.rows("c01"); len(got) != 3 || got[1] != want[2] {
		t.Fatalf("%d rows are left", len(got))
	}
	if f := b.findings(); len(f) != 3 { // two rows, and the file that has none
		t.Fatalf("findings %+v", f)
	}
	if _, err := b.v.Reconcile(t.Context(), nothingDies, nil); err != nil {
		t.Fatal(err)
	}
	if got := b.rows("c01"); !slices.Equal(got, want) {
		t.Fatalf("rows %+v", got)
	}
	b.check()
}

// The writer syncs by itself: what was closed has its row after the second sync at the latest.
func TestSyncCadence(t *testing.T) {
	b := &box{t: t, dir: t.TempDir()}
	b.disk = disktest.New(t, filepath.Join(b.dir, "vault"))
	synced := make(chan struct{}, 100)
	b.disk.Fail(disktest.Rule{Match: func(o disktest.Op) bool {
		if o.What == "syncfs" {
			synced <- struct{}{}
		}
		return false
	}})
	b.every = time.Millisecond
	b.open(b.disk)
	b.record("c01", "boot-a", 0, 1)
	<-synced
	for n := 1; len(b.rows("c01")) == 0; n++ { // the sync just seen may have been in the middle of the first
		b.record("c02", "boot-a", n, n+1)
		<-synced
	}
	b.end()
	b = start(t, b.dir)
	b.check()
}

// A directory that cannot be read at the start does not keep the box from recording; a reconcile finds its files later.
func TestUnreadableDirectoryDoesNotStopTheStart(t *testing.T) {
	b := start(t, t.TempDir())
	b.record("c01", "boot-a", 0, 2)
	b.flush()
	w := b.begin(meta("c01", "boot-a", 2))
	if err := put(w, 2, 0); err != nil {
		t.Fatal(err)
	}
	b.flush()
	b.disk.PowerCut(t, nil)
	b.kill()

	b = &box{t: t, dir: b.dir, disk: disktest.New(t, filepath.Join(b.dir, "vault")), every: time.Hour}
	restore := b.disk.Fail(disktest.Rule{Match: disktest.Match("readdir", "c01/"), Err: syscall.EIO})
	b.open(b.disk)
	if !slices.Contains(b.codes(), "unreadable") {
		t.Errorf("alarms %v", b.codes())
	}
	b.record("c02", "boot-b", 0, 1)
	b.flush()
	if len(b.rows("c02")) != 1 || len(b.rows("c01")) != 2 {
		t.Fatalf("%d and %d rows", len(b.rows("c02")), len(b.rows("c01")))
	}
	restore()
	if r, err := b.v.Reconcile(t.Context(), nothingDies, nil); err != nil || len(r.Recovered) != 1 {
		t.Fatalf("reconcile %+v, %v", r, err)
	}
	b.check()
}
