package ledgerdb

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"campuskeep/shared/ledger"
)

func TestAChangeIsStateAndEntriesTogether(t *testing.T) {
	dir := t.TempDir()
	s, stop := start(t, testOptions(t, dir))
	r := commit(t, s, Change{
		Puts:    []Put{boundTable.PutRev("a", 7, 0), plainTable.Put("b", 8), secretTable.Put("s", secretRow{"student:s0001", "peanut allergy"})},
		Entries: []ledger.Draft{searched(1), viewed("c01", "lost bicycle")},
	})
	if r.First != 0 || r.Last != 1 || len(r.Entries) != 2 || r.Entries[1].Kind != "footage.access.open" {
		t.Fatalf("receipt %+v", r)
	}
	if v, rev, ok := get(t, s, boundTable, "a"); v != 7 || rev != r.Revs[0] || !ok {
		t.Fatalf("row a: %d %d %v", v, rev, ok)
	}
	parts, err := s.Parts(1)
	if err != nil || len(parts) != 1 || string(parts[0].Plain) != "lost bicycle" {
		t.Fatalf("parts %v %v", parts, err)
	}
	wantClean(t, s)
	stop()

	s, stop = start(t, testOptions(t, dir))
	err = s.View(func(tx Tx) error {
		v, _, ok, err := secretTable.Get(tx, "s")
		if !ok || v.Text != "peanut allergy" {
			t.Errorf("sealed row: %+v %v", v, ok)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	wantClean(t, s)
	stop()
	raw, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"peanut", "bicycle"} {
		if bytes.Contains(raw, []byte(secret)) {
			t.Errorf("%q lies in clear in the file", secret)
		}
	}
}

func TestAMissedExpectationFailsThatChangeAloneAndWritesNothing(t *testing.T) {
	s, _ := start(t, testOptions(t, t.TempDir()))
	first := commit(t, s, Change{Puts: []Put{boundTable.Put("a", 1)}, Entries: []ledger.Draft{searched(1)}})
	for name, c := range map[string]Change{
		"exists":  {Puts: []Put{boundTable.PutRev("a", 2, 0)}, Entries: []ledger.Draft{searched(2)}},
		"older":   {Puts: []Put{plainTable.Put("x", 1), boundTable.PutRev("a", 2, first.Revs[0]+1)}, Entries: []ledger.Draft{searched(2)}},
		"delete":  {Deletes: []Delete{boundTable.DeleteRev("a", 99)}, Entries: []ledger.Draft{searched(2)}},
		"require": {Require: []Require{boundTable.Require("b", 1)}, Puts: []Put{plainTable.Put("x", 1)}},
	} {
		if _, err := s.Commit(t.Context(), c); !errors.Is(err, ErrConflict) {
			t.Errorf("%s: %v, want ErrConflict", name, err)
		}
	}
	held := errors.New("held meanwhile")
	_, err := s.Commit(t.Context(), Change{Puts: []Put{plainTable.Put("x", 1)}, Check: func(tx Tx) error {
		if v, _, ok, err := boundTable.Get(tx, "a"); v != 1 || !ok || err != nil {
			t.Errorf("Check sees %d %v %v", v, ok, err)
		}
		return held
	}})
	if err != held {
		t.Errorf("Check's error came back as %v", err)
	}
	if _, _, ok := get(t, s, plainTable, "x"); ok || s.Size() != 1 {
		t.Errorf("a refused change has written something (size %d)", s.Size())
	}
	wantClean(t, s)
}

func TestARevisionNeverComesBack(t *testing.T) {
	s, _ := start(t, testOptions(t, t.TempDir()))
	a := commit(t, s, Change{Puts: []Put{plainTable.Put("a", 1)}})
	commit(t, s, Change{Deletes: []Delete{plainTable.Delete("a")}})
	b := commit(t, s, Change{Puts: []Put{plainTable.PutRev("a", 1, 0)}})
	if a.Revs[0] == b.Revs[0] {
		t.Errorf("the row made again has revision %d like the first", b.Revs[0])
	}
}

func TestInvalidChangesAreRefusedWithTheReason(t *testing.T) {
	s, _ := start(t, testOptions(t, t.TempDir()))
	big := make([]byte, ledger.MaxPart+1)
	part := viewed("c01", "x")
	part.Sealed[0].Plain = big
	many := Change{Entries: []ledger.Draft{searched(1)}}
	for i := range 100 {
		many.Puts = append(many.Puts, boundTable.Put(key(i), i))
	}
	for name, c := range map[string]Change{
		"unknown table":          {Puts: []Put{{Table: "nowhere", Key: "a", Value: []byte("1")}}},
		"a name as key":          {Puts: []Put{plainTable.Put("周以宁", 1)}},
		"empty key":              {Puts: []Put{plainTable.Put("", 1)}},
		"not JSON":               {Puts: []Put{{Table: "test_plain", Key: "a", Value: []byte("{")}}},
		"sealed without owner":   {Puts: []Put{secretTable.Put("a", secretRow{})}, Entries: []ledger.Draft{searched(1)}},
		"owner in plain table":   {Puts: []Put{{Table: "test_plain", Key: "a", Value: []byte("1"), Owner: "person:p001"}}},
		"twice":                  {Puts: []Put{plainTable.Put("a", 1)}, Deletes: []Delete{plainTable.Delete("a")}},
		"replayable, no entry":   {Puts: []Put{boundTable.Put("a", 1)}},
		"part too large":         {Entries: []ledger.Draft{part}},
		"rows beyond the leaf":   many,
		"unknown kind":           {Entries: []ledger.Draft{{Actor: ledger.System, Via: ledger.ViaSystem, Kind: "no.such"}}},
		"value over the cap":     {Puts: []Put{{Table: "test_plain", Key: "a", Value: append(append([]byte{'"'}, bytes.Repeat([]byte("x"), MaxValue)...), '"')}}},
		"require, unknown table": {Require: []Require{{Table: "nowhere", Key: "a"}}},
	} {
		if _, err := s.Commit(t.Context(), c); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	if s.Size() != 0 {
		t.Errorf("%d entries were written", s.Size())
	}
}

func TestAChangeThatStillWaitsCanBeTakenBack(t *testing.T) {
	s, err := Open(testOptions(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Commit(ctx, Change{Puts: []Put{plainTable.Put("a", 1)}}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), Change{}); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestAForeignOrSecondOpenIsRefused(t *testing.T) {
	dir := t.TempDir()
	o := testOptions(t, dir)
	_, stop := start(t, o)
	if _, err := OpenReadOnly(o); err == nil {
		t.Error("a running box's file was opened a second time")
	}
	stop()
	other := o
	other.Origin = "campuskeep/ck-other"
	if _, err := Open(other); err == nil {
		t.Error("opened under another origin")
	}
	other = o
	other.Signer = centreKey
	if _, err := Open(other); err == nil {
		t.Error("opened with another key")
	}
	if err := os.WriteFile(filepath.Join(dir, fileName+".new"), []byte("left by a power cut"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, fileName)); err != nil {
		t.Fatal(err)
	}
	s, _ := start(t, o)
	wantClean(t, s)
}

// Covers F13: who reads the page of the log sees the erased part as erased, and the log is whole.
func TestErasingAnOwnerLeavesTheLogVerifiable(t *testing.T) {
	dir := t.TempDir()
	o := testOptions(t, dir)
	s, _ := start(t, o)
	commit(t, s, Change{
		Puts:    []Put{secretTable.Put("s", secretRow{"person:p001", "secret"})},
		Entries: []ledger.Draft{viewed("c01", "lost bicycle")},
	})
	before, err := s.Root(1)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.People.(interface{ Erase(...string) error }).Erase("person:p001"); err != nil {
		t.Fatal(err)
	}
	parts, err := s.Parts(0)
	if err != nil || !parts[0].Erased || parts[0].Plain != nil {
		t.Errorf("parts %+v, %v", parts, err)
	}
	err = s.View(func(tx Tx) error {
		_, rev, ok, err := secretTable.Get(tx, "s")
		if !errors.Is(err, ErrErased) || !ok || rev == 0 {
			t.Errorf("row: %v %v %v", rev, ok, err)
		}
		for range secretTable.All(tx) {
			t.Error("the erased row is listed")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	p, err := s.Proof(0)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := p.Verify(); err != nil || len(v.Parts) != 0 {
		t.Errorf("proof after erasure: %v %v", v, err)
	}
	if after, err := s.Root(1); err != nil || after != before {
		t.Errorf("the root changed: %v", err)
	}
	wantClean(t, s)
}
