package vault

import (
	"encoding/hex"
	"testing"
	"time"

	"pgregory.net/rapid"

	"campuskeep/shared/footage"
)

func drawSegment(t *rapid.T) footage.Segment {
	s := footage.Segment{
		Camera: "c01", Custody: footage.CustodyVault, Boot: "boot-a",
		Day:       day0.AddDate(0, 0, rapid.IntRange(-1000, 1000).Draw(t, "day")).Format(time.DateOnly),
		From:      time.Duration(rapid.Int64Range(0, 1<<60).Draw(t, "from")),
		Wall:      time.Unix(0, rapid.Int64().Draw(t, "wall")).UTC(),
		Session:   rapid.Uint64().Draw(t, "session"),
		Bytes:     rapid.Int64Range(0, 1<<40).Draw(t, "bytes"),
		Frags:     rapid.IntRange(0, 1<<14).Draw(t, "frags"),
		Codec:     rapid.SampledFrom([]string{"h264", "h265", "av1"}).Draw(t, "codec"),
		Recovered: rapid.Bool().Draw(t, "recovered"),
	}
	s.To = s.From + time.Duration(rapid.Int64Range(0, int64(footage.MaxSegment)).Draw(t, "length"))
	copy(s.File[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "file"))
	copy(s.Hash[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash"))
	return s
}

func TestRowsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSegment(t)
		val, err := rowValue(s)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseRow(s.Camera, s.Boot, &dayLabels{}, rowKey(7, s.From, s.File), val)
		if err != nil || got != s {
			t.Fatalf("%+v became %+v, %v", s, got, err)
		}
	})
}

// The compatibility promise: a row as the first release wrote it is read as what it was.
func TestGoldenRow(t *testing.T) {
	s := footage.Segment{Camera: "c01", File: footage.FileID{0xab, 1}, Custody: footage.CustodyVault, Day: "2026-03-01", Boot: "boot-a", From: time.Hour,
		To: time.Hour + time.Minute, Wall: day0, Session: 7, Bytes: 7 << 20, Frags: 60, Codec: "h264", Hash: [32]byte{1, 2, 3}, Recovered: true}
	const key = "00000007" + "00000346" + "30b8a000" + "ab010000000000000000000000000000"
	val, err := rowValue(s)
	if err != nil {
		t.Fatal(err)
	}
	const golden = "01502118988e8f6b2f000000000000000000070102030000000000000000000000000000000000000000000000000000000000046832363480b09dc2df018080c0033c"
	if got := hex.EncodeToString(val); got != golden {
		t.Errorf("this build writes %s", got)
	}
	if got := hex.EncodeToString(rowKey(7, s.From, s.File)); got != key {
		t.Errorf("key %s", got)
	}
	bin, err := hex.DecodeString(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := parseRow("c01", "boot-a", &dayLabels{}, rowKey(7, s.From, s.File), bin); err != nil || got != s {
		t.Errorf("read as %+v, %v", got, err)
	}
}

func FuzzRow(f *testing.F) {
	val, err := rowValue(footage.Segment{Day: "2026-03-01", Wall: day0, Codec: "h264"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(rowKey(1, time.Hour, footage.FileID{}), val)
	f.Fuzz(func(t *testing.T, k, val []byte) {
		s, err := parseRow("c01", "b", &dayLabels{}, k, val)
		if err != nil {
			return
		}
		if s.To < s.From || s.From < 0 || s.Frags < 0 || s.Bytes < 0 {
			t.Fatalf("accepted %+v", s)
		}
	})
}
