package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"campuskeep/cloud/store"
	"campuskeep/shared/account"
	"campuskeep/shared/login"
	"campuskeep/shared/wire"
	"campuskeep/shared/wire/protocol"
)

func conformPeople(t *testing.T, db *store.DB) {
	ctx := t.Context()
	p := store.Person{ID: "c001", User: "chang", Name: "常远舟", Roles: []account.Role{account.RoleCentreStaff}, Password: "hash"}
	if err := db.PutPerson(ctx, p); err != nil {
		t.Fatal(err)
	}
	if err := db.PutPerson(ctx, store.Person{ID: "c002", User: "chang", Name: "x"}); !errors.Is(err, store.ErrExists) {
		t.Errorf("taken user name: %v", err)
	}
	got, err := db.PersonByUser(ctx, "chang")
	if err != nil || got.Name != p.Name || len(got.Roles) != 1 {
		t.Errorf("person: %+v %v", got, err)
	}
	s := store.Session{TokenHash: "th", Person: "c001", Began: login.Stamp{Wall: t0, Boot: "b"}, Used: login.Stamp{Wall: t0, Boot: "b"}, Address: "10.0.0.1"}
	if err := db.PutSession(ctx, s); err != nil {
		t.Fatal(err)
	}
	if err := db.TouchSession(ctx, "th", login.Stamp{Wall: t0.Add(time.Minute), Boot: "b", Mono: 5}); err != nil {
		t.Fatal(err)
	}
	if got, err := db.Session(ctx, "th"); err != nil || got.Used.Mono != 5 || !got.Began.Wall.Equal(t0) {
		t.Errorf("session: %+v %v", got, err)
	}
	if err := db.DeleteSessionsOf(ctx, "c001"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Session(ctx, "th"); !errors.Is(err, store.ErrNotFound) {
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
		if err := db.AddAudit(ctx, store.Audit{At: t0, Actor: "c001", Action: fmt.Sprintf("a%d", i), Result: "ok"}); err != nil {
			t.Fatal(err)
		}
	}
	if l, err := db.ListAudit(ctx, 2); err != nil || len(l) != 2 || l[0].Action != "a2" {
		t.Errorf("audit: %+v %v", l, err)
	}
}

// Writers for one appliance wait for each other, whoever they are: none loses the other's work.
func conformSerial(t *testing.T, db *store.DB) {
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

func conformIncarnation(t *testing.T, db *store.DB) {
	ctx := context.Background()
	a, err := db.Incarnation(ctx)
	if err != nil || !wire.IncarnationForm(a.ID) {
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
