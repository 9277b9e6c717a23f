package login

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"campuskeep/shared/clock"

	"pgregory.net/rapid"
)

// Covers M3: guesses side by side are counted like guesses one after the other.
func TestParallelGuessesAreCounted(t *testing.T) {
	g := NewGuard(2, map[string]Attempts{})
	now := clock.Reading{Wall: time.Unix(1e9, 0), Boot: "b", Mono: time.Hour}
	tried := 0
	for i := range 120 { // none of them has ended when the next one begins
		if _, err := g.Charge(Keys{Name: "n", Network: fmt.Sprint("a", i%12)}, now); !errors.As(err, new(*Locked)) {
			tried++
		}
	}
	if tried > AccountLock.Free {
		t.Errorf("%d guesses of 120 were tried, %d are free", tried, AccountLock.Free)
	}
}

// Whatever succeeds, fails or is taken back in any order, the guard counts what a list of the failures counts.
func TestGuardAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := NewGuard(1, map[string]Attempts{})
		now := clock.Reading{Wall: time.Unix(1e9, 0), Boot: "b", Mono: time.Hour}
		names, networks := map[string]int{}, map[string]int{}
		for range rapid.IntRange(1, 40).Draw(t, "log-ins") {
			k := Keys{Name: rapid.SampledFrom([]string{"n1", "n2"}).Draw(t, "name"), Network: rapid.SampledFrom([]string{"", "a1"}).Draw(t, "network")}
			now.Mono += time.Hour / 2 // every lock is over, nothing is forgotten
			counts, err := g.Charge(k, now)
			if err != nil {
				t.Fatalf("locked after half an hour: %v", err)
			}
			switch rapid.SampledFrom([]string{"fail", "succeed", "return"}).Draw(t, "end") {
			case "fail":
				names[k.Name]++
				networks[k.Network]++
			case "succeed":
				if had := g.Succeed(k, counts); had != (names[k.Name] > 0) {
					t.Fatalf("%s had failures: %v, want %d", k.Name, had, names[k.Name])
				}
				names[k.Name] = 0
			case "return":
				g.Return(counts)
			}
			for name, n := range names {
				if n < 40 && g.attempts[name].Failures > n {
					t.Fatalf("%s has %d failures, want at most %d", name, g.attempts[name].Failures, n)
				}
			}
			if k.Network != "" && g.attempts[k.Network].Failures > networks[k.Network] {
				t.Fatalf("%d failures of the network, want at most %d", g.attempts[k.Network].Failures, networks[k.Network])
			}
		}
	})
}
