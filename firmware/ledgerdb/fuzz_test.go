package ledgerdb

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/tlog"

	"campuskeep/shared/ledger"
)

// openAll takes every sealed value for its plain text.
type openAll struct{}

func (openAll) Ensure(context.Context, ...string) error         { return nil }
func (openAll) Seal(string, []byte, []byte) ([]byte, error)     { return nil, ErrErased }
func (openAll) Open(_ string, _, sealed []byte) ([]byte, error) { return sealed, nil }

func FuzzRow(f *testing.F) {
	plain := plainRow([]byte("5"))
	setRev(plain, 7)
	f.Add(plain)
	f.Add(sealedRow("student:s0001", []byte("sealed")))
	f.Fuzz(func(t *testing.T, stored []byte) {
		value, _, err := openRow(openAll{}, "t", "k", stored)
		if err == nil && !bytes.HasSuffix(stored, value) {
			t.Errorf("%x gives %x", stored, value)
		}
	})
}

func FuzzChecksum(f *testing.F) {
	f.Add(appendCRC([]byte(`{"v":1}`)))
	f.Fuzz(func(t *testing.T, value []byte) {
		b, err := cutCRC(value)
		if err == nil && !bytes.Equal(appendCRC(b), value) {
			t.Errorf("%x was taken", value)
		}
		if err == nil && len(b) == digestBytes {
			d := parseDigest(b)
			if !bytes.Equal(d.append(nil), b) {
				t.Errorf("digest %x is not written back as it was read", b)
			}
		}
		if err == nil && len(b) == topicsBytes {
			about := parseTopics(b)
			if !bytes.Equal(about.append(nil), b) {
				t.Errorf("topics %x are not written back as they were read", b)
			}
		}
	})
}

// The ids that a search reads off the bytes of an entry's data are those that its JSON names.
func FuzzNamed(f *testing.F) {
	f.Add("c01", "a2026-0001", "c02")
	f.Fuzz(func(t *testing.T, camera, application, other string) {
		var e ledger.Entry
		_, err := ledger.Prepare(&e, ledger.Draft{
			Actor: ledger.System, Via: ledger.ViaWeb, Kind: "access.refused",
			Data: map[string]any{"action": other, "reason": "none", "camera": camera, "application": application},
		}, rand.Reader)
		var list ledger.Entry
		_, err2 := ledger.Prepare(&list, ledger.Draft{
			Actor: ledger.System, Via: ledger.ViaWeb, Kind: "application.reviewed", Data: map[string]any{"cameras": []string{camera, other}},
		}, rand.Reader)
		if err != nil || err2 != nil {
			return
		}
		for _, e := range []ledger.Entry{e, list} {
			var data struct {
				Camera, Application string
				Cameras             []string
			}
			if err := json.Unmarshal(e.Data, &data); err != nil {
				t.Fatal(err)
			}
			want := data.Cameras
			if data.Camera != "" {
				want = []string{data.Camera, data.Application}
			}
			var got []string
			for id := range named(e.Data) {
				got = append(got, string(id))
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s names %q, want %q", e.Data, got, want)
			}
		}
	})
}

// Whatever a tile's row holds, reading it gives hashes or an error.
func FuzzTile(f *testing.F) {
	o := testOptions(f, f.TempDir())
	s, _ := start(f, o)
	row := make([]byte, tileRow*tlog.HashSize)
	f.Add(appendCRC(row))
	f.Fuzz(func(t *testing.T, value []byte) {
		abandon := errors.New("abandon")
		err := s.db.Update(func(tx *bolt.Tx) error {
			tiles := tx.Bucket(bucketTiles)
			for i := range tileRows {
				if err := tiles.Put(tileKey(0, 0, i), value); err != nil {
					return err
				}
			}
			if hashes, err := storedTile(tiles, 0, 0); (err == nil) != (len(hashes) == tileWidth) {
				t.Errorf("%d hashes, %v", len(hashes), err)
			}
			return abandon
		})
		if !errors.Is(err, abandon) {
			t.Fatal(err)
		}
	})
}
