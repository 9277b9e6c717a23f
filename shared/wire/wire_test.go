package wire

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"campuskeep/shared/ledger"
)

var update = flag.Bool("update", false, "write the golden files anew: only together with a new version")

func hashOf(b byte) (h tlog.Hash) {
	for i := range h {
		h[i] = b
	}
	return h
}

func nonceOf(b byte) (n Nonce) {
	for i := range n {
		n[i] = b
	}
	return n
}

const inc = "0123456789abcdef"

var (
	hello = HelloMsg{Nonce: nonceOf(1), Epoch: 2, Size: 300, Checkpoint: []byte("checkpoint\n"), Incarnation: inc, Witnessed: []byte("cosigned\n"),
		Probes: []Probe{{Size: 10, Root: hashOf(2)}, {Size: 299, Root: hashOf(3)}},
		Branch: &Branch{ID: nonceOf(4), Latest: 2, Base: 1, Fork: 250, Root: hashOf(5)}}
	granted = nonceOf(4)
	ack     = AckMsg{Incarnation: inc, Latest: 3, Epoch: 3, Stored: 250, Root: hashOf(6), Witnessed: []byte("cosigned\n"), Window: Window, Parts: PartCursor{1, 240},
		Urgent: []uint64{7, 9}, Ask: true, Answer: &Answer{Nonce: nonceOf(1), Agree: 250, Differ: 251, Granted: &granted, Time: []byte("time\n")}}
	urgent  = UrgentMsg{Epoch: 2, Seq: 7, Leaf: []byte(`{"v":1}`), Proof: tlog.RecordProof{hashOf(7), hashOf(8)}, Checkpoint: []byte("checkpoint\n")}
	payload = PayloadMsg{Epoch: 2, Profile: 1, From: 5, To: 12, Items: []Item{
		{Seq: 5, Op: Release, Name: "purpose", Owner: "application:a2026-0001", Salt: bytes.Repeat([]byte{9}, 32), Plain: []byte("寻找自行车 <1>")},
		{Seq: 6, Op: Erased, Name: "reason", Owner: "person:p001"}, {Seq: 11, Op: Erase, Owner: "person:p001"}}}
	state = StateMsg{Online: true, Release: "0.1.0"}
	batch = Batch{Stream: StreamUp, Epoch: 2, First: 40, Root: hashOf(10), Checkpoint: []byte("checkpoint\n"),
		Leaves: []BatchLeaf{{Bytes: []byte(`{"v":1,"seq":40}`)}, {Hash: hashOf(11)}, {Bytes: []byte(`{"v":1,"seq":42}`)}}}
)

type coder struct {
	encode func() ([]byte, error)
	decode func([]byte) (any, error)
}

var messages = map[string]coder{
	"hello.json":   {hello.Encode, func(b []byte) (any, error) { m, err := DecodeHello(b); return m, err }},
	"ack.json":     {ack.Encode, func(b []byte) (any, error) { m, err := DecodeAck(b); return m, err }},
	"urgent.json":  {urgent.Encode, func(b []byte) (any, error) { m, err := DecodeUrgent(b); return m, err }},
	"payload.json": {payload.Encode, func(b []byte) (any, error) { m, err := DecodePayload(b); return m, err }},
	"state.json":   {state.Encode, func(b []byte) (any, error) { m, err := DecodeState(b); return m, err }},
}

// The bytes on the wire are a promise to every box in the field: they change only with a new version.
func TestGolden(t *testing.T) {
	for name, m := range messages {
		got, err := m.encode()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		compare(t, name, got)
		if _, err := m.decode(got); err != nil {
			t.Errorf("%s does not read back: %v", name, err)
		}
	}
	// A later compressor may pack differently; what was packed must unpack for ever.
	path := filepath.Join("testdata", "golden", "batch.bin")
	if *update {
		b, err := batch.Encode()
		if err == nil {
			err = os.WriteFile(path, b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeBatch(b)
	if err != nil || got.Epoch != 2 || got.First != 40 || got.End() != 43 || got.Root != batch.Root || string(got.Checkpoint) != "checkpoint\n" {
		t.Fatalf("batch: %+v %v", got, err)
	}
	if got.Leaves[1].Bytes != nil || got.Leaves[1].Hash != hashOf(11) || string(got.Leaves[2].Bytes) != `{"v":1,"seq":42}` || got.Leaves[2].Hash != tlog.RecordHash(got.Leaves[2].Bytes) {
		t.Errorf("batch: %+v", got.Leaves)
	}
}

func compare(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s changed:\n%s\nwas\n%s", name, got, want)
	}
}

// Nothing is guessed: another version, an unknown field, a second spelling, bytes behind the end are refused.
func TestOnlyTheOneSpellingIsRead(t *testing.T) {
	for name, m := range messages {
		b, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		s := string(b)
		for what, bad := range map[string]string{
			"version 2":      strings.Replace(s, `{"v":1`, `{"v":2`, 1),
			"no version":     strings.Replace(s, `"v":1,`, ``, 1),
			"unknown field":  strings.Replace(s, `{"v":1`, `{"v":1,"x":0`, 1),
			"doubled field":  strings.Replace(s, `{"v":1`, `{"v":1,"v":1`, 1),
			"letter case":    strings.Replace(s, `{"v":1`, `{"V":1`, 1),
			"white space":    strings.Replace(s, `{"v":1`, `{ "v":1`, 1),
			"second message": s + s,
			"cut":            s[:len(s)-1],
			"empty":          "",
			"null":           "null",
		} {
			if _, err := m.decode([]byte(bad)); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
}

func TestRulesOfMessages(t *testing.T) {
	for what, m := range map[string]interface{ Encode() ([]byte, error) }{
		"hello without epoch":      HelloMsg{Size: 1, Checkpoint: []byte("x")},
		"hello without checkpoint": HelloMsg{Epoch: 1},
		"hello, probe beyond":      HelloMsg{Epoch: 1, Size: 3, Checkpoint: []byte("x"), Probes: []Probe{{Size: 4}}},
		"hello, probes unordered":  HelloMsg{Epoch: 1, Size: 9, Checkpoint: []byte("x"), Probes: []Probe{{Size: 4}, {Size: 4}}},
		"hello, fork beyond":       HelloMsg{Epoch: 1, Size: 3, Checkpoint: []byte("x"), Branch: &Branch{Latest: 1, Base: 1, Fork: 4}},
		"hello, absurd size":       HelloMsg{Epoch: 1, Size: 1 << 60, Checkpoint: []byte("x")},
		"ack, incarnation":         AckMsg{Incarnation: "x", Latest: 1, Epoch: 1, Window: 8},
		"ack, window 0":            AckMsg{Incarnation: inc, Latest: 1, Epoch: 1},
		"urgent without leaf":      UrgentMsg{Epoch: 1, Checkpoint: []byte("x")},
		"urgent, long proof":       UrgentMsg{Epoch: 1, Leaf: []byte("x"), Checkpoint: []byte("x"), Proof: make(tlog.RecordProof, 65)},
		"payload, empty range":     PayloadMsg{Epoch: 1, Profile: 1, From: 3, To: 3},
		"payload, item outside":    PayloadMsg{Epoch: 1, Profile: 1, To: 3, Items: []Item{{Seq: 3, Op: Erase, Owner: "a"}}},
		"payload, short salt":      PayloadMsg{Epoch: 1, Profile: 1, To: 3, Items: []Item{{Op: Release, Name: "a", Owner: "a", Salt: []byte("x")}}},
		"payload, unknown act":     PayloadMsg{Epoch: 1, Profile: 1, To: 3, Items: []Item{{Op: "sell", Owner: "a"}}},
		"payload, no owner":        PayloadMsg{Epoch: 1, Profile: 1, To: 3, Items: []Item{{Op: Erase}}},
		"payload, large part":      PayloadMsg{Epoch: 1, Profile: 1, To: 3, Items: []Item{{Op: Release, Name: "a", Owner: "a", Salt: make([]byte, 32), Plain: make([]byte, MaxPart+1)}}},
		"state, release":           StateMsg{Release: "two words"},
		"batch without leaves":     Batch{Stream: StreamUp, Epoch: 1, Checkpoint: []byte("x")},
		"batch, stream 3":          Batch{Stream: 3, Epoch: 1, Checkpoint: []byte("x"), Leaves: make([]BatchLeaf, 1)},
		"batch, 501 leaves":        Batch{Stream: StreamUp, Epoch: 1, Checkpoint: []byte("x"), Leaves: make([]BatchLeaf, 501)},
		"batch, large leaf":        Batch{Stream: StreamUp, Epoch: 1, Checkpoint: []byte("x"), Leaves: []BatchLeaf{{Bytes: make([]byte, MaxLeaf+1)}}},
	} {
		if _, err := m.Encode(); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A damaged or hostile batch is refused, whatever bit is wrong, and a bomb does not unpack.
func TestDamagedBatches(t *testing.T) {
	good, err := batch.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		if _, err := DecodeBatch(bad); !errors.Is(err, ErrMalformed) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	e, _ := codecs()
	bomb := append(bytes.Clone(good[:headerSize]), e.EncodeAll(make([]byte, 64<<20), nil)...)
	seal(bomb)
	if _, err := DecodeBatch(bomb); !errors.Is(err, ErrMalformed) {
		t.Errorf("a bomb: %v", err)
	}
	if _, err := DecodeBatch(make([]byte, MaxBatch+1)); !errors.Is(err, ErrMalformed) {
		t.Errorf("too long: %v", err)
	}
}

// seal makes the checksum right again.
func seal(b []byte) {
	copy(b[56:60], make([]byte, 4))
	sum := crc32.Checksum(b, castagnoli)
	b[56], b[57], b[58], b[59] = byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum)
}

func TestALargeBatchIsSplitByItsSender(t *testing.T) {
	b := Batch{Stream: StreamUp, Epoch: 1, Checkpoint: []byte("x")}
	for i := range 400 {
		leaf := make([]byte, 3000)
		for j := range leaf {
			leaf[j] = byte((i*7919 + j*104729) * (j + 13) >> 3)
		}
		b.Leaves = append(b.Leaves, BatchLeaf{Bytes: leaf})
	}
	if _, err := b.Encode(); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
}

// Topics: the partition is the appliance's own, and nothing else is read.
func TestTopics(t *testing.T) {
	for _, c := range []Channel{Up, Urgent, Payload, Hello, State, Ack, Down} {
		topic := Topic("ck-0417", c)
		id, got, err := ParseTopic(topic)
		if err != nil || id != "ck-0417" || got != c {
			t.Errorf("%s: %s %s %v", topic, id, got, err)
		}
	}
	own := fmt.Sprintf("ck/1/%d/ck-0417/up", Partition("ck-0417"))
	for _, bad := range []string{"", "ck", strings.Replace(own, "ck/1", "ck/2", 1), own + "/x", strings.Replace(own, "/up", "/down2", 1), "ck/1/64/ck-0417/up", "ck/1/+/ck-0417/up",
		fmt.Sprintf("ck/1/%d/ck-0417/up", (Partition("ck-0417")+1)%64), "ck/1/00/ck-0417/up", strings.Replace(own, "0417", "041/", 1), strings.Replace(own, "ck-0417", "CK-0417", 1)} {
		if _, _, err := ParseTopic(bad); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q is read: %v", bad, err)
		}
	}
}

// The centre's time answers one question only, and only under its key.
func TestSignedTime(t *testing.T) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, 32))
	s, err := ledger.Signer("campuskeep-centre/test", key)
	if err != nil {
		t.Fatal(err)
	}
	v, err := ledger.ParseVerifier(ledger.VerifierKey("campuskeep-centre/test", key.Public().(ed25519.PublicKey)))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 5, 20, 8, 0, 0, 123e6, time.UTC)
	b, err := SignTime(nonceOf(1), at, s)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OpenTime(b, nonceOf(1), v); err != nil || !got.Equal(at) {
		t.Errorf("%v %v", got, err)
	}
	if _, err := OpenTime(b, nonceOf(2), v); !errors.Is(err, ErrMalformed) {
		t.Errorf("another question: %v", err)
	}
	if _, err := OpenTime(bytes.Replace(b, []byte("123"), []byte("124"), 1), nonceOf(1), v); err == nil {
		t.Error("changed time is believed")
	}
	long, err := note.Sign(&note.Note{Text: timeTitle + "\n" + hex.EncodeToString(make([]byte, 16)) + "\n007\n"}, s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenTime(long, Nonce{}, v); !errors.Is(err, ErrMalformed) {
		t.Errorf("second spelling of a number: %v", err)
	}
}

func FuzzMessages(f *testing.F) {
	for _, m := range messages {
		b, err := m.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for name, m := range messages {
			got, err := m.decode(b)
			if err != nil {
				continue
			}
			// What is read is exactly what would be written.
			again, err := got.(interface{ Encode() ([]byte, error) }).Encode()
			if err != nil || !bytes.Equal(again, b) {
				t.Errorf("%s: %q reads, but writes %q (%v)", name, b, again, err)
			}
		}
	})
}

func FuzzBatch(f *testing.F) {
	b, err := batch.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:headerSize])
	f.Fuzz(func(t *testing.T, in []byte) {
		// Most inputs fail at the checksum; look behind it too.
		sealed := bytes.Clone(in)
		if len(sealed) >= headerSize {
			seal(sealed)
		}
		for _, b := range [][]byte{in, sealed} {
			m, err := DecodeBatch(b)
			if err != nil {
				continue
			}
			again, err := m.Encode()
			if err != nil {
				t.Fatalf("decoded but not encodable: %v", err)
			}
			if n, err := DecodeBatch(again); err != nil || n.End() != m.End() || n.Root != m.Root {
				t.Errorf("%+v became %+v (%v)", m, n, err)
			}
		}
	})
}

func FuzzTopic(f *testing.F) {
	f.Add(Topic("ck-0417", Up))
	f.Fuzz(func(t *testing.T, s string) {
		if id, c, err := ParseTopic(s); err == nil && Topic(id, c) != s {
			t.Errorf("%q is read as %s %s", s, id, c)
		}
	})
}

func FuzzTime(f *testing.F) {
	f.Add([]byte(timeTitle + "\n00\n1\n"))
	v := ledger.Verifier{Verifier: anyone{}}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = OpenTime(b, Nonce{}, v)
	})
}

// anyone accepts every signature, so that the text behind it is read.
type anyone struct{}

func (anyone) Name() string                { return "a" }
func (anyone) KeyHash() uint32             { return 1 }
func (anyone) Verify(msg, sig []byte) bool { return true }
