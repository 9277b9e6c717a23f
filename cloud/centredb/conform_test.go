package centredb_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"campuskeep/cloud/centredb"
	"campuskeep/cloud/centredb/storetest"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
	"campuskeep/shared/wire"
	"campuskeep/shared/wire/protocol"
)

// Both engines pass the same suite. Covers I8.
func TestSQLiteConforms(t *testing.T) {
	conform(t, func(t *testing.T) *centredb.DB { return storetest.SQLite(t) })
}

func TestPostgresConforms(t *testing.T) {
	server := storetest.Server(t)
	conform(t, func(t *testing.T) *centredb.DB { return storetest.Postgres(t, server) })
}

var t0 = time.Date(2026, 5, 20, 1, 0, 0, 0, time.UTC)

// logKey is the key of appliance ck-0001's log.
var logKey = ledger.VerifierKey("campuskeep/ck-0001", ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)).Public().(ed25519.PublicKey))

func enrolled(t *testing.T, db *centredb.DB) {
	t.Helper()
	ctx := t.Context()
	if err := db.PutToken(ctx, "ck-0001", "云汀第一小学", []byte("hash"), t0.Add(24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := db.Enrol(ctx, "ck-0001", []byte("hash"), t0, logKey, []byte("spki"), "0a"); err != nil {
		t.Fatal(err)
	}
}

// maker makes leaves as an appliance does.
type maker struct {
	t    *testing.T
	next uint64
	at   time.Time
}

func (m *maker) leaf(d ledger.Draft) (protocol.Leaf, []ledger.OpenPart) {
	m.t.Helper()
	if d.Actor.ID == "" {
		d.Actor = ledger.System
	}
	d.Via = ledger.ViaSystem
	var e ledger.Entry
	p, err := ledger.Prepare(&e, d, zeros{})
	if err != nil {
		m.t.Fatal(err)
	}
	b, err := p.Encode(ledger.Place{Seq: m.next, At: m.at, Clock: ledger.ClockRef{State: clock.Trusted, Boot: "b1"}})
	if err != nil {
		m.t.Fatal(err)
	}
	m.next++
	m.at = m.at.Add(time.Second)
	return protocol.LeafOf(b), p.Open
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func (m *maker) some(n int) (out []protocol.Leaf) {
	for range n {
		l, _ := m.leaf(ledger.Draft{Kind: "system.stop"})
		out = append(out, l)
	}
	return out
}

// insert stores leaves as the protocol does.
func insert(t *testing.T, db *centredb.DB, epoch uint64, leaves []protocol.Leaf) error {
	t.Helper()
	return db.Update(t.Context(), "ck-0001", func(tx protocol.Tx) error {
		c, ok, err := tx.Cursor(epoch)
		if err != nil {
			return err
		}
		if !ok {
			c = protocol.Cursor{Epoch: epoch}
		}
		if err := tx.Insert(epoch, c.Stored(), leaves, nil, t0); err != nil {
			return err
		}
		for _, l := range leaves {
			c.Tree.AddHash(l.Hash)
		}
		c.Claimed = c.Stored()
		return tx.PutCursor(c, t0)
	})
}

func conform(t *testing.T, open func(*testing.T) *centredb.DB) {
	for name, test := range map[string]func(*testing.T, *centredb.DB){
		"registry": conformRegistry, "cursor": conformCursor, "leaves": conformLeaves, "parts": conformParts, "queries": conformQueries,
		"branches": conformBranches, "people": conformPeople, "upgrade": conformUpgrade, "alarms": conformAlarms, "aside": conformAside, "report": conformReport, "unknown cards": conformUnknownCards, "retention": conformRetention, "serial": conformSerial, "incarnation": conformIncarnation,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func conformRegistry(t *testing.T, db *centredb.DB) {
	ctx := t.Context()
	if _, err := db.Appliance(ctx, "ck-0001"); !errors.Is(err, centredb.ErrNotFound) {
		t.Errorf("unknown appliance: %v", err)
	}
	if err := db.PutToken(ctx, "ck-0001", "一小", []byte("h1"), t0.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for what, try := range map[string]struct {
		hash string
		at   time.Time
	}{"wrong token": {"h2", t0}, "expired token": {"h1", t0.Add(time.Hour)}} {
		if err := db.Enrol(ctx, "ck-0001", []byte(try.hash), try.at, logKey, nil, "01"); !errors.Is(err, centredb.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := db.Enrol(ctx, "ck-0001", []byte("h1"), t0, logKey, []byte("spki"), "01"); err != nil {
		t.Fatal(err)
	}
	if err := db.Enrol(ctx, "ck-0001", []byte("h1"), t0, logKey, []byte("spki"), "02"); !errors.Is(err, centredb.ErrNotFound) {
		t.Errorf("a token works once: %v", err)
	}
	a, err := db.Appliance(ctx, "ck-0001")
	if err != nil || a.School != "一小" || a.Key != logKey || a.Serial != "01" || !a.EnrolledAt.Equal(t0) || a.TokenHash != nil {
		t.Errorf("enrolled: %+v %v", a, err)
	}
	if err := db.Deny(ctx, "ck-0001", t0, "stolen"); err != nil {
		t.Fatal(err)
	}
	if ids, err := db.Denied(ctx); err != nil || len(ids) != 1 {
		t.Errorf("denied: %v %v", ids, err)
	}
	if err := db.Deny(ctx, "ck-0001", t0, ""); err != nil {
		t.Fatal(err)
	}
	if ids, err := db.Denied(ctx); err != nil || len(ids) != 0 {
		t.Errorf("denied after lifting: %v %v", ids, err)
	}
	if err := db.Seen(ctx, "ck-0001", t0, true); err != nil {
		t.Fatal(err)
	}
	if s, err := db.School(ctx, "ck-0001", t0.Add(time.Minute)); err != nil || !s.Online || s.Status != centredb.StatusHealthy {
		t.Errorf("on line: %+v %v", s, err)
	}
	if s, err := db.School(ctx, "ck-0001", t0.Add(3*time.Hour)); err != nil || s.Status != centredb.StatusSilent {
		t.Errorf("silent for three hours: %+v %v", s, err)
	}
	if err := db.AllOffline(ctx); err != nil {
		t.Fatal(err)
	}
	if s, err := db.School(ctx, "ck-0001", t0); err != nil || s.Online {
		t.Errorf("after the broker ended: %+v %v", s, err)
	}
	// A token for a school that is there renames nothing, and a refused one ends none that is open.
	if err := db.PutToken(ctx, "ck-0001", "二小", []byte("h2"), t0.Add(time.Hour)); !errors.Is(err, centredb.ErrExists) {
		t.Errorf("a token under another name: %v", err)
	}
	if a, err := db.Appliance(ctx, "ck-0001"); err != nil || a.School != "一小" || a.TokenHash != nil {
		t.Errorf("after a token under another name: %+v %v", a, err)
	}
	if err := db.Rename(ctx, "ck-0001", "云汀第一小学"); err != nil {
		t.Fatal(err)
	}
	if a, err := db.Appliance(ctx, "ck-0001"); err != nil || a.School != "云汀第一小学" {
		t.Errorf("renamed: %+v %v", a, err)
	}
	if err := db.Rename(ctx, "ck-0002", "x"); !errors.Is(err, centredb.ErrNotFound) {
		t.Errorf("a school that is not there: %v", err)
	}
	// Another log key once leaves are stored would be another log.
	m := &maker{t: t, at: t0}
	if err := insert(t, db, 1, m.some(1)); err != nil {
		t.Fatal(err)
	}
	if err := db.PutToken(ctx, "ck-0001", "云汀第一小学", []byte("h3"), t0.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	other := ledger.VerifierKey("campuskeep/ck-0001", ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32)).Public().(ed25519.PublicKey))
	if err := db.Enrol(ctx, "ck-0001", []byte("h3"), t0, other, nil, "03"); !errors.Is(err, centredb.ErrExists) {
		t.Errorf("another log key: %v", err)
	}
}

func conformCursor(t *testing.T, db *centredb.DB) {
	if err := db.Update(t.Context(), "ck-0001", func(protocol.Tx) error { return nil }); !errors.Is(err, centredb.ErrNotFound) {
		t.Errorf("unknown appliance: %v", err)
	}
	enrolled(t, db)
	m := &maker{t: t, at: t0}
	leaves := m.some(300)
	if err := insert(t, db, 1, leaves); err != nil {
		t.Fatal(err)
	}
	want := protocol.Cursor{Epoch: 1, Checkpoint: []byte("cp"), Parts: wire.PartCursor{Profile: 1, Through: 7}, Claimed: 400, Grant: wire.Nonce{1, 2}}
	for _, l := range leaves {
		want.Tree.AddHash(l.Hash)
	}
	boom := errors.New("boom")
	err := db.Update(t.Context(), "ck-0001", func(tx protocol.Tx) error {
		c := want
		c.Claimed = 999
		return errors.Join(tx.PutCursor(c, t0), boom)
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), "ck-0001", func(tx protocol.Tx) error {
		c, ok, err := tx.Cursor(1)
		if err != nil || !ok || c.Claimed != 300 || c.Stored() != 300 || c.Tree.Root() != want.Tree.Root() {
			t.Errorf("a failed transaction left something behind: %+v %v", c, err)
		}
		return tx.PutCursor(want, t0)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.View(t.Context(), "ck-0001", func(tx protocol.Tx) error {
		c, _, err := tx.Cursor(1)
		if c.Claimed != 400 || string(c.Checkpoint) != "cp" || c.Parts != want.Parts {
			t.Errorf("cursor: %+v", c)
		}
		if key, err := tx.Key(); err != nil || key.Key != logKey {
			t.Errorf("key: %v %v", key, err)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func conformLeaves(t *testing.T, db *centredb.DB) {
	enrolled(t, db)
	m := &maker{t: t, at: t0}
	leaves := m.some(120)
	leaves[3] = protocol.Leaf{Hash: leaves[3].Hash}             // rotten on the appliance
	leaves[4] = protocol.LeafOf([]byte("\x00\xffnot an entry")) // nonsense that was signed
	if err := insert(t, db, 1, leaves); err != nil {
		t.Fatal(err)
	}
	// One copy: what is there is never written again, and the attempt leaves nothing behind.
	err := db.Update(t.Context(), "ck-0001", func(tx protocol.Tx) error { return tx.Insert(1, 119, m.some(2), nil, t0) })
	if !errors.Is(err, centredb.ErrExists) {
		t.Errorf("second copy of a leaf: %v", err)
	}
	err = db.View(t.Context(), "ck-0001", func(tx protocol.Tx) error {
		hs, err := tx.Hashes(1, 0, 500)
		if err != nil || len(hs) != 120 {
			t.Fatalf("%d hashes: %v", len(hs), err)
		}
		for i := range hs {
			if hs[i] != leaves[i].Hash {
				t.Errorf("hash %d differs", i)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	e, err := db.Entry(t.Context(), "ck-0001", 3)
	if err != nil || e.Mark != centredb.MarkHashOnly {
		t.Errorf("hash-only leaf: %+v %v", e, err)
	}
	e, err = db.Entry(t.Context(), "ck-0001", 4)
	if err != nil || e.Mark != centredb.MarkUnreadable || !bytes.Equal(e.Leaf, leaves[4].Bytes) {
		t.Errorf("nonsense: %+v %v", e, err)
	}
	if _, err = db.Entry(t.Context(), "ck-0001", 120); !errors.Is(err, centredb.ErrNotFound) {
		t.Errorf("beyond the end: %v", err)
	}
	n := uint64(0)
	if err := db.Leaves(t.Context(), "ck-0001", 0, 120, func(seq uint64, l protocol.Leaf) error {
		if seq != n || l.Hash != leaves[seq].Hash {
			t.Errorf("leaf %d at %d", seq, n)
		}
		n++
		return nil
	}); err != nil || n != 120 {
		t.Errorf("%d leaves: %v", n, err)
	}
}

func conformParts(t *testing.T, db *centredb.DB) {
	enrolled(t, db)
	m := &maker{t: t, at: t0}
	l, _ := m.leaf(ledger.Draft{Kind: "system.stop"})
	if err := insert(t, db, 1, []protocol.Leaf{l}); err != nil {
		t.Fatal(err)
	}
	put := func(p protocol.PartRow) func(protocol.Tx) error {
		return func(tx protocol.Tx) error { return tx.PutPart(p) }
	}
	row := protocol.PartRow{Epoch: 1, Seq: 0, Name: "purpose", Owner: "application:a1", Salt: make([]byte, 32), Plain: []byte("自行车丢失")}
	for range 2 { // the same part twice is one part
		if err := db.Update(t.Context(), "ck-0001", put(row)); err != nil {
			t.Fatal(err)
		}
	}
	e, err := db.Entry(t.Context(), "ck-0001", 0)
	if err != nil || len(e.Parts) != 1 || string(e.Parts[0].Plain) != "自行车丢失" {
		t.Errorf("part: %+v %v", e.Parts, err)
	}
	// What was stored in clear is sealed once there is a key, and so is what comes after; both read the same.
	if err := db.SealParts(t.Context(), make([]byte, 32)); err != nil {
		t.Fatal(err)
	}
	later := row
	later.Name, later.Plain = "reason", []byte("退回补充")
	if err := db.Update(t.Context(), "ck-0001", put(later)); err != nil {
		t.Fatal(err)
	}
	for name, stored := range db.StoredParts(t) {
		if bytes.Contains(stored, row.Plain) || bytes.Contains(stored, later.Plain) {
			t.Errorf("part %s lies in the database in clear", name)
		}
	}
	e, err = db.Entry(t.Context(), "ck-0001", 0)
	if err != nil || len(e.Parts) != 2 || string(e.Parts[0].Plain) != "自行车丢失" || string(e.Parts[1].Plain) != "退回补充" {
		t.Errorf("sealed parts: %+v %v", e.Parts, err)
	}
	if err := db.SealParts(t.Context(), bytes.Repeat([]byte{1}, 32)); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Entry(t.Context(), "ck-0001", 0); !errors.Is(err, centredb.ErrDamaged) {
		t.Errorf("another centre's key opens a part: %v", err)
	}
	if err := db.Update(t.Context(), "ck-0001", func(tx protocol.Tx) error { return tx.ErasePartsOf("application:a1") }); err != nil {
		t.Fatal(err)
	}
	e, err = db.Entry(t.Context(), "ck-0001", 0)
	if err != nil || len(e.Parts) != 2 || !e.Parts[0].Erased || e.Parts[0].Plain != nil {
		t.Errorf("erased part: %+v %v", e.Parts, err)
	}
	if err := db.Update(t.Context(), "ck-0001", func(tx protocol.Tx) error { return tx.WithdrawParts() }); err != nil {
		t.Fatal(err)
	}
	if e, err = db.Entry(t.Context(), "ck-0001", 0); err != nil || len(e.Parts) != 0 {
		t.Errorf("withdrawn part: %+v %v", e.Parts, err)
	}
}

// Unknown cards of 7:40 in the morning are of that day at the school, though UTC still has the day before: with the
// school's date in the entry, and without it from an older appliance.
func conformUnknownCards(t *testing.T, db *centredb.DB) {
	enrolled(t, db)
	m := &maker{t: t, at: time.Date(2026, 5, 19, 23, 40, 0, 0, time.UTC)}
	var leaves []protocol.Leaf
	for _, data := range []map[string]any{{"reader": "r01", "card": make([]byte, 32), "date": "2026-05-20"}, {"reader": "r01", "card": make([]byte, 32)}} {
		l, _ := m.leaf(ledger.Draft{Kind: "attendance.unknown", Subject: "r01", Actor: ledger.Actor{ID: "r01"}, Data: data})
		leaves = append(leaves, l)
	}
	if err := insert(t, db, 1, leaves); err != nil {
		t.Fatal(err)
	}
	for date, want := range map[string]int{"2026-05-20": 2, "2026-05-19": 0} {
		if day, err := db.AttendanceToday(t.Context(), "ck-0001", date); err != nil || day.UnknownCards != want {
			t.Errorf("%s: %d unknown cards, want %d (%v)", date, day.UnknownCards, want, err)
		}
	}
}

func conformQueries(t *testing.T, db *centredb.DB) {
	enrolled(t, db)
	ctx := t.Context()
	m := &maker{t: t, at: t0}
	var leaves []protocol.Leaf
	add := func(d ledger.Draft) uint64 {
		l, _ := m.leaf(d)
		leaves = append(leaves, l)
		return m.next - 1
	}
	tap := func(student, class, way, outcome string) {
		add(ledger.Draft{Kind: "attendance.tap", Subject: student, Actor: ledger.Actor{ID: "r01"}, Data: map[string]any{
			"reader": "r01", "card": make([]byte, 32), "student": student, "class": class, "direction": way, "outcome": outcome, "date": "2026-05-20"}})
	}
	tap("s0001", "2024-03", "in", "present")
	tap("s0002", "2024-03", "in", "late")
	tap("s0003", "2024-04", "in", "present")
	tap("s0003", "2024-04", "out", "left_early")
	add(ledger.Draft{Kind: "attendance.day", Subject: "s0004", Data: map[string]any{"date": "2026-05-20", "class": "2024-04", "status": "leave", "reasons": []string{"leave"}}})
	spans := []map[string]any{{"from": t0, "to": t0.Add(time.Hour)}}
	sub := add(ledger.Draft{Kind: "application.submitted", Subject: "a2026-0001", Actor: ledger.Actor{ID: "p007", Role: "staff"},
		Data: map[string]any{"places": 2, "spans": spans, "way": "view"}, Sealed: []ledger.Part{{Name: "purpose", Owner: "application:a2026-0001", Plain: []byte("x")}}})
	add(ledger.Draft{Kind: "application.submitted", Subject: "a2026-0002", Actor: ledger.Actor{ID: "p008"}, Data: map[string]any{"places": 1, "spans": spans, "way": "view"}})
	add(ledger.Draft{Kind: "application.approved", Subject: "a2026-0001", Actor: ledger.Actor{ID: "p001"}, Data: map[string]any{"cameras": []string{"c01"}, "spans": spans, "until": t0.Add(48 * time.Hour)}})
	if err := insert(t, db, 1, leaves); err != nil {
		t.Fatal(err)
	}
	if err := db.Update(ctx, "ck-0001", func(tx protocol.Tx) error {
		return tx.PutPart(protocol.PartRow{Epoch: 1, Seq: sub, Name: "purpose", Owner: "application:a2026-0001", Salt: make([]byte, 32), Plain: []byte("寻找自行车")})
	}); err != nil {
		t.Fatal(err)
	}
	day, err := db.AttendanceToday(ctx, "ck-0001", "2026-05-20")
	if err != nil || day.Students != 3 || day.Present != 2 || day.Late != 1 || day.Leave != 1 || day.Taps != 4 || len(day.Classes) != 2 || day.Classes[1].Left != 1 {
		t.Errorf("attendance: %+v %v", day, err)
	}
	if day, err := db.AttendanceToday(ctx, "ck-0001", "2026-05-19"); err != nil || day.Taps != 0 {
		t.Errorf("the day before: %+v %v", day, err)
	}
	page, err := db.Applications(ctx, centredb.ApplicationFilter{}, 0, 10)
	if err != nil || page.Total != 2 || page.Items[0].ID != "a2026-0002" {
		t.Fatalf("applications: %+v %v", page, err)
	}
	page, err = db.Applications(ctx, centredb.ApplicationFilter{Query: "自行车"}, 0, 10)
	if err != nil || page.Total != 1 || page.Items[0].State != centredb.AppApproved || page.Items[0].Purpose != "寻找自行车" || page.Items[0].Decider != "p001" {
		t.Errorf("by purpose: %+v %v", page, err)
	}
	if page, err = db.Applications(ctx, centredb.ApplicationFilter{State: centredb.AppSubmitted}, 1, 10); err != nil || page.Total != 1 || len(page.Items) != 0 {
		t.Errorf("second page: %+v %v", page, err)
	}
	a, err := db.Application(ctx, "ck-0001", "a2026-0001")
	if err != nil || len(a.Steps) != 2 || a.Steps[0].Entry.Kind != "application.submitted" || a.Places != 2 || len(a.Cameras) != 1 || a.Applicant != "p007" {
		t.Errorf("application: %+v %v", a, err)
	}
	for what, c := range map[string]struct {
		f    centredb.EntryFilter
		p    centredb.Page
		want int
	}{
		"all": {want: 8}, "prefix": {f: centredb.EntryFilter{Kinds: []string{"application."}}, want: 3}, "subject": {f: centredb.EntryFilter{Subject: "s0003"}, want: 2},
		"actor": {f: centredb.EntryFilter{Actor: "r01"}, want: 4}, "time": {f: centredb.EntryFilter{From: t0.Add(2 * time.Second), To: t0.Add(4 * time.Second)}, want: 2},
		"page": {p: centredb.Page{Limit: 3}, want: 3}, "before": {p: centredb.Page{Before: 2}, want: 2}, "unknown kind": {f: centredb.EntryFilter{Kinds: []string{"x' OR 1=1 --"}}, want: 0},
		"marked": {f: centredb.EntryFilter{Marked: true}, want: 0},
	} {
		got, err := db.Entries(ctx, "ck-0001", c.f, c.p)
		if err != nil || len(got) != c.want {
			t.Errorf("entries, %s: %d, want %d (%v)", what, len(got), c.want, err)
		}
		for i := 1; i < len(got); i++ {
			if got[i].Seq >= got[i-1].Seq {
				t.Errorf("entries, %s: not newest first", what)
			}
		}
	}
	s, err := db.School(ctx, "ck-0001", t0)
	if err != nil || s.Witnessed != 8 || s.Name != "云汀第一小学" {
		t.Errorf("school: %+v %v", s, err)
	}
	tot, err := db.Totals(ctx, t0)
	if err != nil || tot.Schools != 1 || tot.Leaves != 8 || tot.OpenApplications != 1 {
		t.Errorf("totals: %+v %v", tot, err)
	}
}

func conformBranches(t *testing.T, db *centredb.DB) {
	enrolled(t, db)
	m := &maker{t: t, at: t0}
	old := m.some(20)
	if err := insert(t, db, 1, old); err != nil {
		t.Fatal(err)
	}
	m.next = 12
	fresh := m.some(5)
	err := db.Update(t.Context(), "ck-0001", func(tx protocol.Tx) error {
		c := protocol.Cursor{Epoch: 2, Base: 1, Fork: 12}
		for _, l := range append(old[:12:12], fresh...) {
			c.Tree.AddHash(l.Hash)
		}
		return errors.Join(tx.Insert(2, 12, fresh, nil, t0), tx.PutCursor(c, t0))
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := db.Entries(t.Context(), "ck-0001", centredb.EntryFilter{}, centredb.Page{})
	if err != nil || len(got) != 17 || got[0].Seq != 16 || got[0].Epoch != 2 || got[5].Epoch != 1 {
		t.Errorf("newest chain: %d entries (%v)", len(got), err)
	}
	got, err = db.Entries(t.Context(), "ck-0001", centredb.EntryFilter{Epoch: 1}, centredb.Page{})
	if err != nil || len(got) != 20 {
		t.Errorf("the old tail is kept: %d entries (%v)", len(got), err)
	}
}

func conformAlarms(t *testing.T, db *centredb.DB) {
	enrolled(t, db)
	ctx := t.Context()
	for i := range 25 {
		if err := db.Update(ctx, "ck-0001", func(tx protocol.Tx) error {
			return tx.Alarm(protocol.Alarm{Kind: protocol.AlarmForked, Epoch: 1, Ours: []byte{byte('a' + i)}, Theirs: []byte("b"), Detail: fmt.Sprintf("fork=%d", i)}, t0.Add(time.Duration(i)*time.Minute))
		}); err != nil {
			t.Fatal(err)
		}
	}
	l, err := db.Alarms(ctx, "", true, 10)
	if err != nil || len(l) != 1 || l[0].Times != 25 || string(l[0].Ours) != "a" || string(l[0].Theirs) != "b" {
		t.Fatalf("alarms: %+v %v", l, err)
	}
	// A second fork of the same epoch can be looked into as well as the first.
	if later := l[0].Later; len(later) != 20 || later[0].Detail != "fork=24" || string(later[0].Ours) != "y" || later[19].Detail != "fork=5" || !later[0].At.Equal(t0.Add(24*time.Minute)) {
		t.Errorf("later occurrences: %+v", later)
	}
	if s, err := db.School(ctx, "ck-0001", t0); err != nil || s.Status != centredb.StatusForked {
		t.Errorf("status: %v %v", s.Status, err)
	}
	if err := db.CloseAlarm(ctx, l[0].ID, t0, "c001", "checked on site"); err != nil {
		t.Fatal(err)
	}
	if err := db.CloseAlarm(ctx, l[0].ID, t0, "c001", "again"); !errors.Is(err, centredb.ErrNotFound) {
		t.Errorf("closed twice: %v", err)
	}
	if l, err := db.Alarms(ctx, "ck-0001", false, 10); err != nil || len(l) != 1 || l[0].ClosedNote != "checked on site" {
		t.Errorf("closed alarm: %+v %v", l, err)
	}
}

// Refused messages are kept, the newest hundred of each school, however the schools take turns.
func conformAside(t *testing.T, db *centredb.DB) {
	enrolled(t, db)
	if err := db.PutToken(t.Context(), "ck-0002", "二小", []byte("hash"), t0); err != nil {
		t.Fatal(err)
	}
	put := func(appliance string, i int) {
		if err := db.Update(t.Context(), appliance, func(tx protocol.Tx) error {
			return tx.SetAside(wire.Up, []byte(strings.Repeat("x", i)), "why", t0)
		}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 103 {
		put("ck-0001", i)
		if i < 3 {
			put("ck-0002", i)
		}
	}
	for appliance, want := range map[string][]int{"ck-0001": {100, 3}, "ck-0002": {3, 0}} {
		if n, shortest := db.Aside(t, appliance); n != want[0] || shortest != want[1] {
			t.Errorf("%s: %d messages set aside from number %d on, want %v", appliance, n, shortest, want)
		}
	}
}
