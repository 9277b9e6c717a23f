package ingest_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"campuskeep/cloud/centredb"
	"campuskeep/cloud/centredb/storetest"
	"campuskeep/cloud/ingest"
	"campuskeep/cloud/witness"
	"campuskeep/shared/clock/clocktest"
	"campuskeep/shared/ledger"
	"campuskeep/shared/wire"
	"campuskeep/shared/wire/protocol"
)

var now = time.Date(2026, 5, 20, 8, 0, 0, 0, time.UTC)

// breaking is a database that fails its commits, before or after they are durable.
type breaking struct {
	centredb.Store
	before, after error
}

func (b *breaking) Update(ctx context.Context, appliance string, fn func(protocol.Tx) error) error {
	err := b.Store.Update(ctx, appliance, func(tx protocol.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return b.before
	})
	if err == nil {
		err = b.after
	}
	return err
}

var boxKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{4}, 32))

func start(t *testing.T) (*ingest.Ingest, *breaking) {
	t.Helper()
	db := storetest.SQLite(t)
	if err := db.PutToken(t.Context(), "ck-0001", "一小", []byte("h"), now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	key := ledger.VerifierKey("campuskeep/ck-0001", boxKey.Public().(ed25519.PublicKey))
	if err := db.Enrol(t.Context(), "ck-0001", []byte("h"), now, key, []byte("spki"), "1"); err != nil {
		t.Fatal(err)
	}
	w, err := witness.Open(filepath.Join(t.TempDir(), "w.key"), "campuskeep-centre/test")
	if err != nil {
		t.Fatal(err)
	}
	b := &breaking{Store: db}
	return ingest.New(b, w, clocktest.At(now), slog.New(slog.DiscardHandler)), b
}

func hello(t *testing.T) []byte {
	t.Helper()
	s, err := ledger.Signer("campuskeep/ck-0001", boxKey)
	if err != nil {
		t.Fatal(err)
	}
	cp, err := ledger.Checkpoint{Origin: "campuskeep/ck-0001/1", Root: ledger.EmptyRoot}.Sign(s)
	if err != nil {
		t.Fatal(err)
	}
	b, err := wire.HelloMsg{Epoch: 1, Checkpoint: cp}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// No answer leaves before the commit has succeeded, and none after one that may not have.
func TestNoAnswerWithoutCommit(t *testing.T) {
	g, db := start(t)
	boom := errors.New("disk full")
	for what, set := range map[string]func(){"failed": func() { db.before = boom }, "failed, but persisted": func() { db.after = boom }} {
		set()
		if ack, err := g.Receive(t.Context(), "ck-0001", wire.Hello, hello(t)); ack != nil || !errors.Is(err, boom) {
			t.Errorf("%s: %d bytes, %v", what, len(ack), err)
		}
		db.before, db.after = nil, nil
	}
	ack, err := g.Receive(t.Context(), "ck-0001", wire.Hello, hello(t))
	if err != nil {
		t.Fatal(err)
	}
	if m, err := wire.DecodeAck(ack); err != nil || m.Latest != 1 || m.Answer == nil {
		t.Errorf("%+v %v", m, err)
	}
	if all, failed := g.Counts(); all != 3 || failed != 2 {
		t.Errorf("counted %d, %d failed", all, failed)
	}
}

// Who is not in the registry gets no answer and leaves no trace.
func TestStrangersLeaveNoTrace(t *testing.T) {
	g, db := start(t)
	if ack, err := g.Receive(t.Context(), "ck-0002", wire.Hello, hello(t)); ack != nil || !errors.Is(err, ingest.ErrUnknown) {
		t.Errorf("%d bytes, %v", len(ack), err)
	}
	if l, err := db.ListSchools(t.Context(), now); err != nil || len(l) != 1 {
		t.Errorf("%+v %v", l, err)
	}
}

// Bytes that are no message raise an alarm and never reach the protocol; the appliance counts as seen.
func TestMalformedMessages(t *testing.T) {
	g, db := start(t)
	for _, c := range []wire.Channel{wire.Up, wire.Hello, wire.Urgent, wire.Payload, wire.Ack, "other"} {
		if ack, err := g.Receive(t.Context(), "ck-0001", c, []byte("\x00what")); ack != nil || err != nil {
			t.Errorf("%s: %d bytes, %v", c, len(ack), err)
		}
	}
	l, err := db.Alarms(t.Context(), "ck-0001", true, 10)
	if err != nil || len(l) != 1 || l[0].Kind != protocol.AlarmMalformed || l[0].Times != 6 {
		t.Errorf("alarms: %+v %v", l, err)
	}
	if s, err := db.School(t.Context(), "ck-0001", now); err != nil || !s.LastContact.Equal(now) || s.Status != centredb.StatusAlarm {
		t.Errorf("school: %+v %v", s, err)
	}
}

func FuzzReceive(f *testing.F) {
	f.Add(uint8(0), []byte("x"))
	f.Add(uint8(1), []byte(`{"v":1}`))
	db := storetest.SQLite(f)
	if err := db.PutToken(f.Context(), "ck-0001", "一小", []byte("h"), now.Add(time.Hour)); err != nil {
		f.Fatal(err)
	}
	key := ledger.VerifierKey("campuskeep/ck-0001", boxKey.Public().(ed25519.PublicKey))
	if err := db.Enrol(f.Context(), "ck-0001", []byte("h"), now, key, nil, "1"); err != nil {
		f.Fatal(err)
	}
	w, err := witness.Open(filepath.Join(f.TempDir(), "w.key"), "campuskeep-centre/test")
	if err != nil {
		f.Fatal(err)
	}
	g := ingest.New(db, w, clocktest.At(now), slog.New(slog.DiscardHandler))
	channels := []wire.Channel{wire.Up, wire.Hello, wire.Urgent, wire.Payload}
	f.Fuzz(func(t *testing.T, c uint8, body []byte) {
		// Whatever an appliance sends, the centre goes on, and stores nothing that is not signed.
		if _, err := g.Receive(t.Context(), "ck-0001", channels[int(c)%len(channels)], body); err != nil {
			t.Error(err)
		}
		if s, err := db.School(t.Context(), "ck-0001", now); err != nil || s.Witnessed != 0 {
			t.Errorf("%+v %v", s, err)
		}
	})
}
