package playback_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"campuskeep/firmware/fmp4"
	"campuskeep/firmware/playback"
	"campuskeep/firmware/vault/vaulttest"
	"campuskeep/scripts/sim/camera"
	"campuskeep/scripts/sim/render"
	"campuskeep/shared/footage"
)

var update = flag.Bool("update", false, "record the golden segments anew: only when a new form is released")

// stored is one segment as an earlier release stored it.
type stored struct {
	init  []byte
	frags [][]byte
}

func (s stored) Segments(context.Context, string, footage.Span) ([]footage.Placed, error) {
	long := time.Duration(len(s.frags)) * time.Second
	seg := footage.Segment{Camera: "c01", Boot: "b1", Session: 1, To: long, Bytes: 1, Frags: len(s.frags)}
	return []footage.Placed{{Segment: seg, Span: footage.Span{From: now.Add(-time.Minute), To: now.Add(long - time.Minute)}}}, nil
}

func (s stored) OpenSegment(context.Context, footage.Segment) (footage.SegmentReader, error) {
	return s, nil
}
func (s stored) Init() []byte                   { return s.init }
func (s stored) Close() error                   { return nil }
func (s stored) Fragment(i int) ([]byte, error) { return s.frags[i], nil }
func (s stored) Fragments() (out []footage.FragmentInfo) {
	for i, f := range s.frags {
		from := time.Duration(i) * time.Second
		out = append(out, footage.FragmentInfo{From: from, To: from + time.Second, Key: true, Bytes: len(f)})
	}
	return out
}

// What was stored by any release can be played by this one: pictures alone, as all were at first, and with sound.
func TestStoredSegmentsStayReadable(t *testing.T) {
	for name, tracks := range map[string]int{"h264": 1, "h264-aac": 2, "h264-alaw": 2} {
		path := filepath.Join("testdata", name+".mp4")
		if *update {
			renew(t, path, name)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var s stored
		for i, piece := range bytes.SplitAfter(b, []byte("||||")) {
			piece = bytes.TrimSuffix(piece, []byte("||||"))
			if i == 0 {
				s.init = piece
			} else if len(piece) > 0 {
				s.frags = append(s.frags, piece)
			}
		}
		if list, err := fmp4.Tracks(s.init); err != nil || len(list) != tracks || len(s.frags) != 3 {
			t.Fatalf("%s: %v, %+v, %d fragments", name, err, list, len(s.frags))
		}
		p, _ := newPlayer(s, nil)
		if err := p.Open(view("v1", footage.Span{From: now.Add(-time.Minute), To: now})); err != nil {
			t.Fatal(err)
		}
		seen, err := render.Decode(t.Context(), bytes.NewReader(file(t, p)), "-")
		if err != nil {
			t.Fatal(err)
		}
		if runs, bad := render.Runs(seen); len(runs) != 1 || bad != 0 || len(seen) != 30 {
			t.Errorf("%s: %v, %d unreadable", name, runs, bad)
		}
	}
}

// renew records three seconds.
func renew(t *testing.T, path, name string) {
	t.Helper()
	r := record(t, func(o *camera.Options) {
		o.Coding = render.Coding{W: 160, H: 96, GOP: 10}
		if len(name) > 5 {
			o.Sound = name[5:]
		}
	})
	r.await(6)
	r.stop()
	if err := r.vault.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	at := r.clock.Now().Wall
	list, err := r.vault.Source(r.clock.places).Segments(t.Context(), "c01", footage.Span{From: at.Add(-time.Hour), To: at})
	if err != nil {
		t.Fatal(err)
	}
	rd, err := r.vault.OpenSegment(t.Context(), list[0].Segment)
	if err != nil {
		t.Fatal(err)
	}
	defer rd.Close()
	b := bytes.Clone(rd.Init())
	for i := 1; i < 4; i++ {
		f, err := rd.Fragment(i)
		if err != nil {
			t.Fatal(err)
		}
		b = append(append(b, "||||"...), f...)
	}
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// Covers F13: who may not see any more gets nothing more, also where a request waits for pictures.
func TestTheEndCutsARequestThatWaits(t *testing.T) {
	v := vaulttest.Open(t)
	p, _ := newPlayer(nil, v)
	if err := p.Open(playback.Viewing{ID: "v1", Camera: "c01", Live: true, Until: now.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	got := make(chan error, 1)
	go func() {
		_, err := p.Playlist(t.Context(), "v1")
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatal(err)
	case <-time.After(200 * time.Millisecond): // it waits for a first picture
	}
	if _, ok := p.Close("v1"); !ok {
		t.Fatal("it was not open")
	}
	select {
	case err := <-got:
		if !errors.Is(err, playback.ErrNothing) {
			t.Error(err)
		}
	case <-time.After(2 * time.Second):
		t.Error("the request still waits")
	}
}
