package centredb_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"testing"
	"time"

	"campuskeep/cloud/centredb"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/login"
	"campuskeep/shared/wire/protocol"
)

func conformPeople(t *testing.T, db *centredb.DB) {
	ctx := t.Context()
	p := centredb.Person{ID: "c001", User: "chang", Name: "常远舟", Roles: []account.Role{account.RoleCentreStaff}, Password: "hash"}
	if err := db.PutPerson(ctx, p); err != nil {
		t.Fatal(err)
	}
	if err := db.PutPerson(ctx, centredb.Person{ID: "c002", User: "chang", Name: "x"}); !errors.Is(err, centredb.ErrExists) {
		t.Errorf("taken user name: %v", err)
	}
	got, err := db.PersonByUser(ctx, "chang")
	if err != nil || got.Name != p.Name || len(got.Roles) != 1 {
		t.Errorf("person: %+v %v", got, err)
	}
	s := centredb.Session{TokenHash: "th", Person: "c001", Began: login.Stamp{Wall: t0, Boot: "b"}, Used: login.Stamp{Wall: t0, Boot: "b"}, Address: "10.0.0.1"}
	if err := db.PutSession(ctx, s); err != nil {
		t.Fatal(err)
	}
	if err := db.TouchSession(ctx, "th", login.Stamp{Wall: t0.Add(time.Minute), Boot: "b", Mono: 5}); err != nil {
		t.Fatal(err)
	}
	if got, err := db.Session(ctx, "th"); err != nil || got.Used.Mono != 5 || !got.Began.Wall.Equal(t0) {
		t.Errorf("session: %+v %v", got, err)
	}
	if l, err := db.SessionsOf(ctx, "c001"); err != nil || len(l) != 1 || l[0].TokenHash != "th" || l[0].Address != "10.0.0.1" {
		t.Errorf("sessions: %+v %v", l, err)
	}
	if hash, _, err := db.SetupCode(ctx); err != nil || hash != nil {
		t.Errorf("a set-up code that nobody made: %v", err)
	}
	for _, h := range [][]byte{[]byte("one"), []byte("two")} {
		if err := db.PutSetupCode(ctx, h, t0); err != nil {
			t.Fatal(err)
		}
		if hash, until, err := db.SetupCode(ctx); err != nil || !bytes.Equal(hash, h) || !until.Equal(t0) {
			t.Errorf("set-up code: %q %v %v", hash, until, err)
		}
	}
	if err := db.DeleteSessionsOf(ctx, "c001"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Session(ctx, "th"); !errors.Is(err, centredb.ErrNotFound) {
		t.Errorf("ended session: %v", err)
	}
	a := login.Attempts{Failures: 3, Lock: time.Minute, Last: login.Stamp{Wall: t0}}
	if err := db.SetAttempts(ctx, "k", a); err != nil {
		t.Fatal(err)
	}
	if got, err := db.Attempts(ctx, "k"); err != nil || got != a {
		t.Errorf("attempts: %+v %v", got, err)
	}
	for i := range 3 {
		if err := db.AddAudit(ctx, centredb.Audit{At: t0, Actor: "c001", Action: fmt.Sprintf("a%d", i), Result: "ok"}); err != nil {
			t.Fatal(err)
		}
	}
	if l, err := db.ListAudit(ctx, 2); err != nil || len(l) != 2 || l[0].Action != "a2" {
		t.Errorf("audit: %+v %v", l, err)
	}
}

// Writers for one appliance wait for each other, in any process: none loses the other's work.
func conformSerial(t *testing.T, db *centredb.DB) {
	enrolled(t, db)
	ctx, n := t.Context(), 20
	done := make(chan error, n)
	for range n {
		go func() {
			done <- db.Update(ctx, "ck-0001", func(tx protocol.Tx) error {
				c, ok, err := tx.Cursor(1)
				if err != nil {
					return err
				}
				if !ok {
					c = protocol.Cursor{Epoch: 1}
				}
				c.Claimed++
				return tx.PutCursor(c, t0)
			})
		}()
	}
	for range n {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if err := db.View(ctx, "ck-0001", func(tx protocol.Tx) error {
		c, _, err := tx.Cursor(1)
		if c.Claimed != uint64(n) {
			t.Errorf("%d of %d increments survived", c.Claimed, n)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func conformIncarnation(t *testing.T, db *centredb.DB) {
	ctx := context.Background()
	a, err := db.Incarnation(ctx)
	if err != nil || !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(a.ID) {
		t.Fatalf("%+v %v", a, err)
	}
	b, err := db.Renew(ctx, t0)
	if err != nil || b.ID == a.ID || !b.Since.Equal(t0) {
		t.Fatalf("%+v %v", b, err)
	}
	if c, err := db.Incarnation(ctx); err != nil || c != b {
		t.Errorf("%+v %v", c, err)
	}
}

// An urgent entry raises one alarm, whether it came ahead of its batch or with it; and a school's keeping of footage
// is counted from its entries. Covers F3.
func conformRetention(t *testing.T, db *centredb.DB) {
	enrolled(t, db)
	ctx := t.Context()
	m := &maker{t: t, at: t0}
	hour := func(kind ledger.Kind, extra map[string]any) protocol.Leaf {
		data := map[string]any{"hour": m.at.UTC(), "count": 60, "root": make([]byte, 32), "first": m.at.UTC(), "last": m.at.UTC()}
		for k, v := range extra {
			data[k] = v
		}
		l, _ := m.leaf(ledger.Draft{Kind: kind, Subject: "c02", Data: data})
		return l
	}
	breach := func() protocol.Leaf {
		l, _ := m.leaf(ledger.Draft{Kind: "footage.breach", Subject: "c02", Data: map[string]any{"reason": "full", "count": 3}})
		return l
	}
	leaves := []protocol.Leaf{hour("footage.recorded", nil), hour("footage.recorded", nil), hour("footage.deleted", map[string]any{"assurance": "best_effort"}), breach()}
	if err := db.Update(ctx, "ck-0001", func(tx protocol.Tx) error { return tx.PutUrgent(1, 3, leaves[3], t0) }); err != nil {
		t.Fatal(err)
	}
	l, err := db.Alarms(ctx, "ck-0001", true, 10)
	if err != nil || len(l) != 1 || l[0].Kind != "footage.breach" || l[0].Detail != "seq=3 subject=c02 full" {
		t.Fatalf("alarm of what came ahead: %+v %v", l, err)
	}
	if err := insert(t, db, 1, leaves); err != nil {
		t.Fatal(err)
	}
	if l, err = db.Alarms(ctx, "ck-0001", true, 10); err != nil || len(l) != 1 || l[0].Times != 1 {
		t.Errorf("the batch raised it again: %+v %v", l, err)
	}
	if err := insert(t, db, 1, []protocol.Leaf{breach()}); err != nil {
		t.Fatal(err)
	}
	if l, err = db.Alarms(ctx, "ck-0001", true, 10); err != nil || len(l) != 1 || l[0].Times != 2 {
		t.Errorf("the second breach: %+v %v", l, err)
	}
	if s, err := db.School(ctx, "ck-0001", t0); err != nil || s.OpenAlarms != 1 {
		t.Errorf("school: %+v %v", s, err)
	}
	r, err := db.RetentionSince(ctx, "ck-0001", t0.Add(-time.Hour))
	if err != nil || r.Recorded != 2 || r.Deleted != 1 || r.Breaches != 2 || r.Gaps != 0 || r.LastGone.IsZero() {
		t.Errorf("retention: %+v %v", r, err)
	}
	if r, err = db.RetentionSince(ctx, "ck-0001", t0.Add(3*time.Second)); err != nil || r.Recorded != 0 || r.Breaches != 2 {
		t.Errorf("retention since later: %+v %v", r, err)
	}
}

// Days and cameras are counted as entries come, and from the leaves of an earlier build in the same way. Covers F3.
func conformReport(t *testing.T, db *centredb.DB) {
	enrolled(t, db)
	ctx := t.Context()
	if err := db.PutToken(ctx, "ck-0001", "云汀第一小学", []byte("again"), t0); err != nil {
		t.Fatal(err)
	}
	if err := db.Enrol(ctx, "ck-0001", []byte("again"), t0.Add(-48*time.Hour), logKey, []byte("spki"), "02"); err != nil {
		t.Fatal(err)
	}
	m := &maker{t: t, at: t0.Add(-3 * time.Hour)}
	put := func(kind ledger.Kind, camera string, data map[string]any) protocol.Leaf {
		l, _ := m.leaf(ledger.Draft{Kind: kind, Subject: camera, Data: data})
		return l
	}
	gone := func(camera string, days int) protocol.Leaf {
		last := m.at.AddDate(0, 0, -days).UTC()
		return put("footage.deleted", camera, map[string]any{"hour": last, "count": 1, "root": make([]byte, 32), "first": last, "last": last, "assurance": "best_effort"})
	}
	registered := map[string]any{"custody": "appliance", "area": "gate", "days": 30}
	leaves := []protocol.Leaf{put("camera.registered", "c01", registered), put("camera.registered", "c02", registered), put("camera.registered", "c03", registered),
		put("camera.changed", "c03", map[string]any{"what": []string{"retired"}}), gone("c01", 31), gone("c02", 30)}
	m.at = t0.Add(-time.Minute)
	leaves = append(leaves, put("footage.gap", "c01", map[string]any{"from": t0.Add(-time.Hour).UTC(), "to": t0.Add(-30 * time.Minute).UTC(), "cause": "camera_off"}),
		put("nvr.breach", "c02", map[string]any{"nvr": "n01", "kind": "ceiling", "from": t0.UTC(), "to": t0.UTC(), "days": 90}),
		put("footage.breach", "c01", map[string]any{"reason": "disk_full", "from": t0.AddDate(0, 0, -21).UTC(), "to": t0.AddDate(0, 0, -20).UTC(), "count": 3}))
	if err := insert(t, db, 1, leaves); err != nil {
		t.Fatal(err)
	}
	day := time.Date(t0.Year(), t0.Month(), 1, 0, 0, 0, 0, time.FixedZone("", 8*3600))
	look := func(what string) {
		t.Helper()
		all, err := db.Report(ctx, day, day.AddDate(0, 1, 0), t0)
		if err != nil || len(all) != 1 {
			t.Fatalf("%s: %+v %v", what, all, err)
		}
		r := all[0]
		if r.Cameras != 2 || r.Gaps != 1 || r.Missing != 30*time.Minute || r.Early != 1 {
			t.Errorf("%s: %d cameras, %d gaps of %v, %d early", what, r.Cameras, r.Gaps, r.Missing, r.Early)
		}
		if r.Kept < 19*24*time.Hour || r.Kept > 20*24*time.Hour || r.KeptCamera != "c01" || len(r.Days) == 0 {
			t.Errorf("%s: kept %v (%s), %d days", what, r.Kept, r.KeptCamera, len(r.Days))
		}
		if r.Unwitnessed != 1 { // the hour that came three hours late
			t.Errorf("%s: %d hours unwitnessed", what, r.Unwitnessed)
		}
	}
	look("as they came")
	if s, err := db.School(ctx, "ck-0001", t0); err != nil || s.Cameras != 2 || s.Kept < 19*24*time.Hour || s.Kept > 20*24*time.Hour {
		t.Errorf("in the list: %+v %v", s, err)
	}
	if all, err := db.Report(ctx, day.AddDate(0, 1, 0), day.AddDate(0, 2, 0), t0); err != nil || len(all) != 1 || all[0].Kept != -1 || all[0].Gaps != 0 {
		t.Errorf("the month after: %+v %v", all, err)
	}
	db.First(t)
	db.Reopen(t)
	look("counted again")
}

// A database of an earlier build opens: its people are there, its released texts are sealed, and a layout that nobody
// knows is refused.
func conformUpgrade(t *testing.T, db *centredb.DB) {
	db.First(t)
	db.Reopen(t)
	if err := db.SealParts(t.Context(), make([]byte, 32)); err != nil {
		t.Fatal(err)
	}
	if b := db.StoredParts(t)["purpose"]; len(b) == 0 || bytes.Contains(b, []byte("寻物")) {
		t.Errorf("the part of an earlier build: %q", b)
	}
	p, err := db.Person(t.Context(), "c001")
	if err != nil || p.Secret != nil || p.Name != "李" {
		t.Errorf("a person of an earlier build: %+v %v", p, err)
	}
}
