package sync_test

import (
	"encoding/binary"
	"path/filepath"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"campuskeep/cloud/centredb"
	boxstore "campuskeep/firmware/ledgerdb"
	"campuskeep/scripts/sim/sync"
	"campuskeep/shared/ledger"
	"campuskeep/shared/wire/protocol"
)

// commit writes n entries, many in one change.
func commit(t *testing.T, b *sync.Box, n int) {
	t.Helper()
	for done := 0; done < n; {
		var drafts []ledger.Draft
		for i := range min(n-done, 500) {
			drafts = append(drafts, sync.TapDraft(done+i))
		}
		if _, err := b.Store.Commit(t.Context(), boxstore.Change{Entries: drafts}); err != nil {
			t.Fatal(err)
		}
		done += len(drafts)
	}
}

// A week's backlog does not delay an emergency: the urgent entry at its end is at the centre, proven, before the
// backlog is.
func TestAnUrgentEntryOvertakesTheBacklog(t *testing.T) {
	c := startCentre(t, sync.Config(t.TempDir()))
	defer stop(t, "centre", c.Stop)
	b := startBox(t, c, t.TempDir())
	defer stop(t, "box", b.Stop)
	enrol(t, c, b)
	commit(t, b, 60_000)
	r, err := b.Store.Commit(t.Context(), boxstore.Change{Entries: []ledger.Draft{{Actor: ledger.System, Via: ledger.ViaSystem, Kind: "footage.breach", Subject: "c01", Data: map[string]any{"reason": "disk_full"}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, "uplink", b.Connect())
	var witnessedThen uint64
	eventually(t, "the urgent entry at the centre", func() bool {
		there := false
		err := c.Store.View(t.Context(), id, func(tx protocol.Tx) error {
			cur, ok, err := tx.Newest()
			if err != nil || !ok {
				return err
			}
			witnessedThen = cur.Stored()
			_, there, err = tx.Urgent(1, r.First)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return there
	})
	if witnessedThen > r.First {
		t.Errorf("the urgent entry came with the backlog: %d leaves were stored", witnessedThen)
	}
	eventually(t, "everything witnessed", func() bool { return witnessed(b) })
	checkI8(t, c, b)
}

// A leaf that has rotted on the box travels by its hash, with an entry that says so; the log stays whole.
func TestARottenLeafTravelsAsItsHash(t *testing.T) {
	c := startCentre(t, sync.Config(t.TempDir()))
	defer stop(t, "centre", c.Stop)
	dir := t.TempDir()
	b := startBox(t, c, dir)
	enrol(t, c, b)
	commit(t, b, 600)
	stop(t, "box", b.Stop)
	db, err := bolt.Open(filepath.Join(dir, "ledger.db"), 0o600, &bolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		key := binary.BigEndian.AppendUint64(nil, 100)
		v := append([]byte(nil), tx.Bucket([]byte("leaves")).Get(key)...)
		v[len(v)/2] ^= 1
		return tx.Bucket([]byte("leaves")).Put(key, v)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	b = startBox(t, c, dir)
	defer stop(t, "box", b.Stop)
	defer stop(t, "uplink", b.Connect())
	eventually(t, "everything witnessed", func() bool { return witnessed(b) && b.Store.Size() > 601 })
	e, err := c.Store.Entry(t.Context(), id, 100)
	if err != nil || e.Mark != centredb.MarkHashOnly || e.Leaf != nil {
		t.Errorf("leaf 100 at the centre: %+v %v", e, err)
	}
	faults, err := c.Store.Entries(t.Context(), id, centredb.EntryFilter{Kinds: []string{"system.fault"}}, centredb.Page{})
	if err != nil || len(faults) != 1 || faults[0].Entry.Subject != "leaf:100" {
		t.Errorf("damage entries: %+v %v", faults, err)
	}
	checkI8(t, c, b)
}

// Erasing a person on the box takes the released text away at the centre too; the leaves stay verifiable.
func TestErasureReachesTheCentre(t *testing.T) {
	c := startCentre(t, sync.Config(t.TempDir()))
	defer stop(t, "centre", c.Stop)
	b := startBox(t, c, t.TempDir())
	defer stop(t, "box", b.Stop)
	enrol(t, c, b)
	draft := ledger.Draft{Actor: ledger.Actor{ID: "p007"}, Via: ledger.ViaWeb, Kind: "application.returned", Subject: "a2026-0001",
		Sealed: []ledger.Part{{Name: "reason", Owner: "application:a2026-0001", Plain: []byte("请补充时间")}}}
	r, err := b.Store.Commit(t.Context(), boxstore.Change{Entries: []ledger.Draft{draft}})
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, "uplink", b.Connect())
	part := func() (p centredb.Part, ok bool) {
		e, err := c.Store.Entry(t.Context(), id, r.First)
		if err != nil || len(e.Parts) != 1 {
			return p, false
		}
		return e.Parts[0], true
	}
	eventually(t, "the reason at the centre", func() bool { p, ok := part(); return ok && string(p.Plain) == "请补充时间" })
	if err := b.People().Erase("application:a2026-0001"); err != nil {
		t.Fatal(err)
	}
	_, err = b.Store.Commit(t.Context(), boxstore.Change{Entries: []ledger.Draft{{Actor: ledger.System, Via: ledger.ViaSystem, Kind: "key.erased",
		Data: map[string]any{"ring": "people", "keys": []string{"application:a2026-0001"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "gone at the centre", func() bool { p, ok := part(); return ok && p.Erased && p.Plain == nil })
	eventually(t, "everything witnessed", func() bool { return witnessed(b) })
	checkI8(t, c, b)
}
