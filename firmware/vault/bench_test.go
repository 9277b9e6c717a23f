package vault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"campuskeep/firmware/disk"
	"campuskeep/shared/footage"
)

// bulk writes whole segments of 14 KB through the API, as the filler of a demonstration does.
func bulk(b testing.TB, v *Vault, cameras, minutes int) {
	data := make([]byte, 1350)
	for n := range minutes {
		for c := range cameras {
			m := meta(fmt.Sprintf("c%02d", c+1), "boot-a", n)
			var w *Writer
			must := func(do func() error) {
				err := do()
				for errors.Is(err, ErrOverload) {
					if err = v.Flush(context.Background()); err == nil {
						err = do()
					}
				}
				if err != nil {
					b.Fatal(err)
				}
			}
			must(func() (err error) { w, err = v.Begin(m); return err })
			for i := range 10 {
				at := m.From + time.Duration(i)*6*time.Second
				must(func() error {
					return w.Fragment(Fragment{FragmentInfo: footage.FragmentInfo{From: at, To: at + 6*time.Second, Key: true}, Data: data})
				})
			}
			must(w.Close)
		}
	}
	if err := v.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
}

// realBox runs on the plain disk, with the product's sync interval.
func realBox(b *testing.B) *box {
	x := &box{t: b, dir: b.TempDir()}
	fsys, err := disk.Real(filepath.Join(x.dir, "vault"))
	if err != nil {
		b.Fatal(err)
	}
	x.open(fsys)
	return x
}

func BenchmarkBulkImport(b *testing.B) {
	x := realBox(b)
	for b.Loop() {
		bulk(b, x.v, 3, 2000)
	}
	b.ReportMetric(float64(b.N*6000)/b.Elapsed().Seconds(), "segments/s")
}

func BenchmarkSeek(b *testing.B) {
	x := realBox(b)
	bulk(b, x.v, 3, 1440)
	rows := x.rows("c02")
	rnd := newRand(1)
	var took []time.Duration
	b.ResetTimer()
	for b.Loop() {
		s := rows[rnd.IntN(len(rows))]
		start := time.Now()
		r, err := x.v.OpenSegment(b.Context(), s)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.Fragment(rnd.IntN(s.Frags)); err != nil {
			b.Fatal(err)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*95/100].Microseconds()), "p95-µs")
}

// BenchmarkOpenBigIndex opens an index of 64 cameras × 30 days, and looks something up in it.
func BenchmarkOpenBigIndex(b *testing.B) {
	path := filepath.Join(b.TempDir(), "index.db")
	x, err := openIndex(path, nil)
	if err != nil {
		b.Fatal(err)
	}
	cameras, days := 64, 30
	if testing.Short() {
		cameras, days = 4, 3
	}
	for d := range days {
		for c := range cameras {
			rows := make([]footage.Segment, 1440)
			for i := range rows {
				n := d*1440 + i
				m := meta(fmt.Sprintf("c%02d", c), "boot-a", n)
				rows[i] = footage.Segment{Camera: m.Camera, File: footage.FileID{byte(n), byte(n >> 8), byte(n >> 16), byte(c)}, Day: m.Day, Boot: m.Boot,
					From: m.From, To: m.From + time.Minute, Wall: m.Wall, Session: 1, Bytes: 7 << 20, Frags: 60, Codec: "h264"}
			}
			if err := x.add(rows, nil); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := x.markAll(nil); err != nil {
		b.Fatal(err)
	}
	if err := x.close(); err != nil {
		b.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for b.Loop() {
		x, err := openIndex(path, nil)
		if err != nil {
			b.Fatal(err)
		}
		found := 0
		err = x.scan(fmt.Sprintf("c%02d", cameras/2), 1, time.Duration(days)*12*time.Hour, func(uint32, footage.Segment) bool {
			found++
			return found < 5
		})
		if err != nil || found != 5 {
			b.Fatalf("found %d, %v", found, err)
		}
		if err := x.close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(info.Size())/float64(cameras*days*1440), "B/row")
}
