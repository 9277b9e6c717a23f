package sealedfiles

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/keyring"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/ledgerdb/ledgerdbtest"
	"campuskeep/shared/account"
	"campuskeep/shared/clock/clocktest"
	"campuskeep/shared/lib/fielderr"
)

var now = time.Date(2026, 11, 30, 2, 0, 0, 0, time.UTC)

type env struct {
	*Store
	dir string
	db  *ledgerdbtest.Store
	t   testing.TB
}

func open(t testing.TB, dir string) *env {
	t.Helper()
	c := clocktest.At(now)
	db := ledgerdbtest.Open(t, dir, c)
	s, err := Open(Options{Store: db.Store, Data: db.Data, Keys: db.People, Clock: c})
	must(t, err)
	return &env{s, dir, db, t}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (e *env) put(b []byte) File {
	e.t.Helper()
	f, err := e.Put(context.Background(), account.System, "student:s0001", UseRecord, bytes.NewReader(b))
	must(e.t, err)
	return f
}

func (e *env) read(id string) []byte {
	e.t.Helper()
	r, _, err := e.Store.Open(context.Background(), id)
	must(e.t, err)
	b, err := io.ReadAll(r)
	must(e.t, errors.Join(err, r.Close()))
	return b
}

func (e *env) findings(full bool) (out []string) {
	e.t.Helper()
	must(e.t, e.Check(context.Background(), full, func(f ledgerdb.Finding) { out = append(out, f.What) }))
	return out
}

func pdf(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7)
	}
	copy(b, "%PDF-1.7 哮喘诊断证明")
	return b
}

// photo is a picture of 40 × 20 whose left upper corner is red, with an Exif header that names an orientation and a place.
func photo(t testing.TB, o byte) []byte {
	m := image.NewRGBA(image.Rect(0, 0, 40, 20))
	for y := range 20 {
		for x := range 40 {
			c := color.RGBA{B: 255, A: 255}
			if x < 10 && y < 10 {
				c = color.RGBA{R: 255, A: 255}
			}
			m.Set(x, y, c)
		}
	}
	var b bytes.Buffer
	must(t, jpeg.Encode(&b, m, &jpeg.Options{Quality: 95}))
	exif := append([]byte("Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00"), o, 0, 0, 0, 0, 0, 0)
	exif = append(exif, "GPS 31.2304N 121.4737E"...)
	head := append([]byte{0xff, 0xd8, 0xff, 0xe1, 0, byte(len(exif) + 2)}, exif...)
	return append(head, b.Bytes()[2:]...)
}

// Covers S15: a scan comes back as it was; on the disk nothing of it can be read, and its owner's end is its own.
func TestAFileIsSealedAndEndsWithItsOwner(t *testing.T) {
	e := open(t, t.TempDir())
	for _, n := range []int{40, chunk - 1, chunk, chunk + 1, 3*chunk + 17} {
		b := pdf(n)
		f := e.put(b)
		if f.Type != PDF || !bytes.Equal(e.read(f.ID), b) {
			t.Fatalf("%d bytes did not come back", n)
		}
		onDisk, err := os.ReadFile(filepath.Join(e.dir, dir, f.ID))
		must(t, err)
		if bytes.Contains(onDisk, []byte("哮喘")) || bytes.Contains(onDisk, b[:30]) {
			t.Fatal("content lies in clear")
		}
	}
	if f := e.findings(true); len(f) > 0 {
		t.Fatal(f)
	}
	f := e.put(pdf(100))
	must(t, e.db.People.Erase("student:s0001"))
	if _, _, err := e.Store.Open(t.Context(), f.ID); !errors.Is(err, keyring.ErrErased) {
		t.Fatal(err)
	}
	n, err := e.Forget(t.Context(), account.System)
	if err != nil || n != 6 {
		t.Fatal(n, err)
	}
	if list, err := os.ReadDir(filepath.Join(e.dir, dir)); err != nil || len(list) > 0 {
		t.Fatal(list, err)
	}
	if _, _, err := e.Store.Open(t.Context(), f.ID); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
}

// The files of one owner that one entry can name are some thirty: more than that end in several Changes, by one call.
func TestMoreFilesOfAnOwnerThanAnEntryBinds(t *testing.T) {
	e := open(t, t.TempDir())
	for range mostForgotten*3 + 1 {
		e.put(pdf(40))
	}
	must(t, e.db.People.Erase("student:s0001"))
	if n, err := e.Forget(t.Context(), account.System); err != nil || n != mostForgotten*3+1 {
		t.Fatal(n, err)
	}
	if f := e.findings(true); len(f) > 0 {
		t.Error(f)
	}
}

// Covers S15: a photograph is kept upright, and without where it was taken.
func TestAPhotographIsTurnedAndCarriesNoPlace(t *testing.T) {
	e := open(t, t.TempDir())
	// where the red corner is, by orientation
	for o, corner := range map[byte][2]int{1: {2, 2}, 2: {37, 2}, 3: {37, 17}, 4: {2, 17}, 5: {2, 2}, 6: {17, 2}, 7: {17, 37}, 8: {2, 37}} {
		f := e.put(photo(t, o))
		b := e.read(f.ID)
		if f.Type != JPEG || bytes.Contains(b, []byte("GPS")) || bytes.Contains(b, []byte("Exif")) {
			t.Fatalf("orientation %d: kept more than the picture", o)
		}
		m, err := jpeg.Decode(bytes.NewReader(b))
		must(t, err)
		if r, _, blue, _ := m.At(corner[0], corner[1]).RGBA(); r < 0x8000 || blue > 0x8000 {
			t.Errorf("orientation %d: the corner is not at %v of %v", o, corner, m.Bounds())
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	e := open(t, t.TempDir())
	var huge bytes.Buffer
	must(t, png.Encode(&huge, image.NewGray(image.Rect(0, 0, 6000, 5000))))
	for name, c := range map[string]struct {
		content []byte
		rule    string
	}{
		"nothing":           {nil, "err.file_empty"},
		"too long":          {pdf(MaxBytes + 1), "err.file_large"},
		"a program":         {[]byte("MZ\x90\x00 this is a program"), "err.file_type"},
		"a page":            {[]byte("<html><script>alert(1)</script>"), "err.file_type"},
		"a cut picture":     {photo(t, 1)[:120], "err.file_picture"},
		"too many pixels":   {huge.Bytes(), "err.file_pixels"},
		"a name of its own": {[]byte("report.pdf"), "err.file_type"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := e.Put(t.Context(), account.System, "student:s0001", UseRecord, bytes.NewReader(c.content))
			list, ok := errors.AsType[fielderr.Errors](err)
			if !ok || list[0].Rule != c.rule || list[0].Field != "file" {
				t.Fatalf("%v, want %s", err, c.rule)
			}
		})
	}
	if e.db.Size() != 0 {
		t.Error("a refused file left an entry")
	}
}

// A file counts from its entry on: one that was sealed and never entered cannot be opened, and a start removes it.
func TestAFileCountsFromItsEntryOn(t *testing.T) {
	dir := t.TempDir()
	e := open(t, dir)
	kept := e.put(pdf(50))
	g, err := e.Stage(t.Context(), account.System, "student:s0001", UseRecord, bytes.NewReader(pdf(80)))
	must(t, err)
	if _, _, err := e.Store.Open(t.Context(), g.File.ID); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	if f := e.findings(true); len(f) > 0 {
		t.Fatal("a file that is being entered is no fault: ", f)
	}
	e.db.Stop()
	e = open(t, dir)
	if f := e.findings(true); len(f) > 0 {
		t.Fatal(f)
	}
	if !bytes.Equal(e.read(kept.ID), pdf(50)) {
		t.Fatal("the entered file is gone")
	}
}

func TestCheckFindsWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	e := open(t, dir)
	missing, cut, changed := e.put(pdf(50)), e.put(pdf(60)), e.put(pdf(70))
	at := func(f File) string { return filepath.Join(dir, "files", f.ID) }
	must(t, os.Remove(at(missing)))
	must(t, os.Truncate(at(cut), 70))
	b, err := os.ReadFile(at(changed))
	must(t, err)
	b[len(b)-1] ^= 1
	must(t, os.WriteFile(at(changed), b, 0o600))
	must(t, os.WriteFile(at(File{ID: newID()}), []byte("x"), 0o600))
	count := map[string]int{}
	for _, w := range e.findings(true) {
		count[w]++
	}
	if count["missing"] != 1 || count["damaged"] != 2 || count["orphan"] != 1 {
		t.Fatal(count)
	}
}

// Uploads with power cuts and full disks: what was acknowledged is there, whole; nothing else is, and check is clean.
func TestUploadsOnAFaultyDisk(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		base, err := os.MkdirTemp(t.TempDir(), "box")
		must(t, err)
		real, err := disk.Real(base)
		must(t, err)
		faulty := &failing{FS: real, at: rapid.IntRange(0, 12).Draw(rt, "fails at")}
		c := clocktest.At(now)
		db := ledgerdbtest.Open(t, base, c)
		s, err := Open(Options{Store: db.Store, Data: faulty, Keys: db.People, Clock: c})
		must(t, err)
		stored := map[string][]byte{}
		faulty.on = true
		for range rapid.IntRange(1, 4).Draw(rt, "uploads") {
			b := pdf(rapid.IntRange(30, 3*chunk).Draw(rt, "bytes"))
			f, err := s.Put(context.Background(), account.System, "student:s0001", UseRecord, bytes.NewReader(b))
			if err == nil {
				stored[f.ID] = b
			}
		}
		faulty.on = false
		if s, err = Open(Options{Store: db.Store, Data: real, Keys: db.People, Clock: c}); err != nil {
			rt.Fatal(err)
		}
		e := &env{s, base, db, t}
		if f := e.findings(true); len(f) > 0 {
			rt.Fatal(f)
		}
		for id, b := range stored {
			if !bytes.Equal(e.read(id), b) {
				rt.Fatalf("%s is not what was acknowledged", id)
			}
		}
		db.Stop()
	})
}

// failing fails one call of the disk, counted from 0.
type failing struct {
	disk.FS
	on bool
	at int
}

var errFull = errors.New("no space left on device")

func (f *failing) fail() error {
	if !f.on {
		return nil
	}
	f.at--
	if f.at == -1 {
		return errFull
	}
	return nil
}

func (f *failing) OpenFile(name string, flag int, perm os.FileMode) (disk.File, error) {
	if err := f.fail(); err != nil {
		return nil, err
	}
	h, err := f.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return failingFile{h, f}, nil
}

func (f *failing) Rename(a, b string) error { return errors.Join(f.fail(), f.FS.Rename(a, b)) }
func (f *failing) SyncDir(d string) error   { return errors.Join(f.fail(), f.FS.SyncDir(d)) }

type failingFile struct {
	disk.File
	f *failing
}

func (h failingFile) Write(b []byte) (int, error) {
	if err := h.f.fail(); err != nil {
		n, _ := h.File.Write(b[:len(b)/2])
		return n, err
	}
	return h.File.Write(b)
}

func (h failingFile) Sync() error { return errors.Join(h.f.fail(), h.File.Sync()) }

// Reading at any place gives the bytes of that place.
func TestReadingAtAnyPlace(t *testing.T) {
	e := open(t, t.TempDir())
	b := pdf(2*chunk + 100)
	f := e.put(b)
	r, _, err := e.Store.Open(t.Context(), f.ID)
	must(t, err)
	defer r.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		at := rng.Int64N(int64(len(b)))
		_, err := r.Seek(at, io.SeekStart)
		must(t, err)
		got := make([]byte, min(500, int64(len(b))-at))
		_, err = io.ReadFull(r, got)
		must(t, err)
		if !bytes.Equal(got, b[at:at+int64(len(got))]) {
			t.Fatal("at ", at)
		}
	}
}

// FuzzPicture: no upload makes the reader of headers fail, and what passes is a picture of bounded size.
func FuzzPicture(f *testing.F) {
	f.Add(photo(f, 6))
	f.Add([]byte("\xff\xd8\xff\xe1\x00\x10Exif\x00\x00II*\x00\xff\xff\xff\xff"))
	var p bytes.Buffer
	must(f, png.Encode(&p, image.NewGray(image.Rect(0, 0, 3, 3))))
	f.Add(p.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		if o := orientation(b); o < 1 || o > 8 {
			t.Fatal(o)
		}
		kind := typeOf(b)
		if kind != JPEG && kind != PNG || len(b) > 1<<16 {
			return
		}
		if c, _, err := image.DecodeConfig(bytes.NewReader(b)); err != nil || c.Width*c.Height > 1<<20 {
			return // decoding it takes long, not more
		}
		out, err := redraw(b, kind)
		if err != nil {
			return
		}
		if _, _, err := image.Decode(bytes.NewReader(out)); err != nil {
			t.Fatal("what is kept is no picture: ", err)
		}
	})
}
