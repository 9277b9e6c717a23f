package console

import (
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"campuskeep/shared/login"
)

// Covers M3: guesses side by side are counted like guesses one after the other.
func TestParallelGuessesAreCounted(t *testing.T) {
	s := newSite(t)
	var tried atomic.Int64
	var wg sync.WaitGroup
	for range 60 {
		wg.Go(func() {
			wait, err := s.c.charge(t.Context(), "u:staff", still{&s.at}.Now())
			if err != nil {
				t.Error(err)
			}
			if wait == 0 {
				tried.Add(1)
			}
		})
	}
	wg.Wait()
	if n := int(tried.Load()); n > login.AccountLock.Free+1 {
		t.Fatalf("%d guesses of 60 were tried, %d are free", n, login.AccountLock.Free)
	}
}

// Covers M3: a code that was used is used after a restart too, and a password that is renewed ends the sessions of the
// one before.
func TestAUsedCodeStaysUsedOverARestart(t *testing.T) {
	s := newSite(t)
	b := s.browser(t)
	if got := s.login(t, b, "staff", "c001", password); got != http.StatusSeeOther {
		t.Fatalf("log-in: %d", got)
	}
	again, err := New(Deps{Log: slog.New(slog.DiscardHandler), Clock: still{&s.at}, Zone: time.UTC, Office: "o", Version: "t", Store: s.store, Enrol: s.tokens, Key: s.key})
	if err != nil {
		t.Fatal(err)
	}
	now := still{&s.at}.Now()
	code := login.Code(Secret(s.key, "c001"), login.Step(now.Wall))
	if ok, err := again.useCode(t.Context(), "c001", code, now); ok || err != nil {
		t.Fatalf("the code is good again: %v", err)
	}
	if _, err := Add(t.Context(), s.store, s.key, "c001", "staff", "常远舟", nil, "another good password"); err != nil {
		t.Fatal(err)
	}
	if got, _ := s.get(t, b, "/"); got != http.StatusSeeOther {
		t.Errorf("a session of the old password is alive: %d", got)
	}
}
