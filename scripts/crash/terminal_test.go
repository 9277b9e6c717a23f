package crash

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"campuskeep/firmware/appliance"
	"campuskeep/firmware/people"
	"campuskeep/firmware/site"
	terminalsim "campuskeep/scripts/sim/terminal"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
)

// The daemon is killed again and again while a network terminal delivers its marks, also between the commit and the
// answer: every mark is in the log, and each of them once. Covers S6, I7.
func TestEveryMarkOfATerminalIsKeptOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("kills the daemon many times")
	}
	t.Parallel()
	at := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	h := newEnv(t, place{config: fmt.Sprintf("[terminals]\nlisten = %q\n", at)})
	const users, most = 2000, 4000
	token := h.registerTerminal(t, users, most)
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	sim := &terminalsim.Iclock{URL: "http://" + at + "/" + token, Serial: "CKUF201260123", Zone: zone, Now: time.Now, PerRequest: 25, Client: &http.Client{Timeout: 10 * time.Second}}

	held, failed := 0, 0
	deliver := func() bool {
		if sim.Hello(t.Context()) != nil {
			return false
		}
		if _, err := sim.Deliver(t.Context()); err != nil {
			failed++
			return false
		}
		return true
	}
	for range *kills {
		box := h.startBox()
		end := time.Now().Add(time.Duration(300+rand.IntN(2500)) * time.Millisecond)
		killed := make(chan error, 1)
		go func() { waitUntil(end); killed <- box.Kill() }()
		for alive := true; alive; {
			select {
			case err := <-killed:
				if err != nil {
					t.Fatal(err)
				}
				alive = false
			default:
				for range 5 {
					if held < most {
						sim.Hold(uint64(users+held), 4)
						held++
					}
				}
				deliver() // one is under way nearly always
			}
		}
	}
	box := h.startBox()
	for end := time.Now().Add(time.Minute); !deliver() || sim.Sent() < held; waitUntil(time.Now().Add(100 * time.Millisecond)) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d marks are acknowledged", sim.Sent(), held)
		}
	}
	if err := box.Kill(); err != nil {
		t.Fatal(err)
	}
	taps := map[string]int{}
	for _, e := range h.entries() {
		if e.Kind == "attendance.tap" || e.Kind == "attendance.unknown" {
			taps[e.data(t).Card]++
		}
	}
	for n := range held {
		card := base64.StdEncoding.EncodeToString(attendance.UserNumber(uint64(users + n)).Hash(h.cardKey))
		if taps[card] != 1 {
			t.Errorf("mark %d of %d is %d times in the log", n, held, taps[card])
		}
	}
	h.mustBeClean()
	t.Logf("%d marks, %d kills, %d deliveries failed", held, *kills, failed)
}

// registerTerminal registers a terminal and hands out user numbers, on a box of this process.
func (h *env) registerTerminal(t *testing.T, first, count int) (token string) {
	t.Helper()
	a, err := appliance.Open(t.Context(), h.cfg, appliance.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- a.Store.Run(ctx) }()
	err = a.Site.PutReader(ctx, account.System, site.Reader{ID: "r08", Name: "北门终端", Direction: attendance.In, Kind: site.ReaderIclock, Serial: "CKUF201260123", Host: "127.0.0.1"})
	if err == nil {
		token, err = a.Site.NewReaderToken(ctx, account.System, "r08")
	}
	today := time.Now().Format(attendance.DateLayout)
	pupils := a.People.Roster(a.People.Classes(today)[0].ID, today)
	var cards []people.CardPut
	for n := range count {
		cards = append(cards, people.CardPut{Student: pupils[n%len(pupils)].ID, Card: attendance.UserNumber(uint64(first + n))})
		if len(cards) == 500 || n == count-1 {
			err = errors.Join(err, a.People.AssignCards(ctx, account.System, cards))
			cards = nil
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	<-ended
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	return token
}
