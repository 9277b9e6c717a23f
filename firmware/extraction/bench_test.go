package extraction

import (
	"crypto/rand"
	"io"
	"testing"
	"time"

	"filippo.io/age"

	"campuskeep/firmware/disk"
	"campuskeep/shared/packet"
)

// nullFile takes everything.
type nullFile struct{ disk.File }

func (nullFile) Write(p []byte) (int, error) { return len(p), nil }

// fragmentSize is a second of 4 Mbit/s.
const fragmentSize = 512 << 10

func recipient(b *testing.B) age.Recipient {
	b.Helper()
	id, err := age.GenerateX25519Identity()
	must(b, err)
	return id.Recipient()
}

func fragmentOf(b *testing.B) []byte {
	b.Helper()
	p := make([]byte, fragmentSize)
	_, err := rand.Read(p)
	must(b, err)
	b.SetBytes(fragmentSize)
	b.ReportAllocs()
	return p
}

// What sealing costs beside bare age in the same run: both hashes of each member and of the sealed file, and the archive.
func BenchmarkSeal(b *testing.B) {
	out := &sealedFile{f: nullFile{}, buf: make([]byte, 0, 1<<20), h: newSums()}
	w, err := age.Encrypt(out, recipient(b))
	must(b, err)
	p := &packer{archive: packet.NewArchive(w, time.Now()), entries: map[uint64]bool{}}
	must(b, p.begin("video.mp4"))
	f := fragmentOf(b)
	for b.Loop() {
		must(b, p.write(f))
	}
	must(b, p.end())
	must(b, w.Close())
	out.h.sum()
}

func BenchmarkBareAge(b *testing.B) {
	w, err := age.Encrypt(io.Discard, recipient(b))
	must(b, err)
	f := fragmentOf(b)
	for b.Loop() {
		_, err := w.Write(f)
		must(b, err)
	}
	must(b, w.Close())
}

func BenchmarkSM3(b *testing.B) {
	h, f := packet.NewSM3(), fragmentOf(b)
	for b.Loop() {
		_, _ = h.Write(f)
	}
}
