package sync_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"campuskeep/cloud/centre"
	"campuskeep/cloud/centredb"
	"campuskeep/scripts/sim/sync"
	"campuskeep/shared/wire/protocol"
)

// centreVar makes this test binary a centre that dies by its own hand after every few commits, before it can
// acknowledge them.
const centreVar = "CAMPUSKEEP_TEST_CENTRE"

func TestMain(m *testing.M) {
	if text := os.Getenv(centreVar); text != "" {
		if err := mortalCentre(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

type mortal struct {
	Config centre.Config
	Die    int64 // after so many commits of messages; 0: never
}

// dying kills the process with SIGKILL between COMMIT and the answer.
type dying struct {
	centredb.Store
	left atomic.Int64
}

func (d *dying) Update(ctx context.Context, appliance string, fn func(protocol.Tx) error) error {
	err := d.Store.Update(ctx, appliance, fn)
	if err == nil && d.left.Add(-1) == 0 {
		if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
			panic(err)
		}
		select {}
	}
	return err
}

func mortalCentre(text string) error {
	var m mortal
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return err
	}
	c, err := centre.Open(context.Background(), m.Config, centre.Deps{Store: func(s centredb.Store) centredb.Store {
		d := &dying{Store: s}
		d.left.Store(m.Die)
		return d
	}})
	if err != nil {
		return err
	}
	a, err := c.Listen()
	if err != nil {
		return err
	}
	fmt.Printf("%s %s %s\n", a.Enrol, a.Broker, c.Fingerprint())
	return c.Run(context.Background())
}

// SIGKILL of the real centre between COMMIT and acknowledgement, over and over: one copy of every entry, and the box
// hears of each. Covers design §6, I7, I8.
func TestCentreKilledBetweenCommitAndAck(t *testing.T) {
	dir := t.TempDir()
	cfg := sync.Config(dir)
	// A first, immortal life gives the ports and the token.
	c := startCentre(t, cfg)
	token, _, err := c.Enrol.Token(t.Context(), id, "云汀第一小学")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Broker.Listen, cfg.Enrol.Listen = c.Addresses.Broker, strings.TrimPrefix(c.Addresses.Enrol, "https://")
	b := startBox(t, c, t.TempDir())
	defer stop(t, "box", b.Stop)
	if err := b.Uplink.Enrol(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	stop(t, "centre", c.Stop)

	deaths := 0
	life := func(die int64) (gone chan error, kill func()) {
		text, err := json.Marshal(mortal{cfg, die})
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), centreVar+"="+string(text))
		cmd.Stderr = os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			t.Fatalf("the centre does not start: %q %v", line, err)
		}
		gone = make(chan error, 1)
		go func() { gone <- cmd.Wait() }()
		return gone, func() {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
			<-gone
		}
	}
	disconnect := b.Connect()
	for n := range int64(8) {
		gone, _ := life(2 + n%4)
		tapping := time.NewTicker(100 * time.Millisecond)
		for alive := true; alive; { // pupils keep coming
			select {
			case <-tapping.C:
				if err := b.Tap(t.Context(), 5); err != nil {
					t.Fatal(err)
				}
			case err := <-gone:
				alive = false
				if err != nil && strings.Contains(err.Error(), "killed") {
					deaths++
				}
			}
		}
		tapping.Stop()
	}
	_, kill := life(0)
	eventually(t, "everything witnessed", func() bool { return witnessed(b) })
	stop(t, "uplink", disconnect)
	kill()
	if deaths != 8 {
		t.Errorf("%d deaths, want 8", deaths)
	}
	c = startCentre(t, cfg)
	defer stop(t, "centre", c.Stop)
	checkI8(t, c, b)
	// One copy: as many rows as leaves.
	n := uint64(0)
	err = c.Store.Leaves(t.Context(), id, 0, b.Store.Size(), func(uint64, protocol.Leaf) error { n++; return nil })
	if err != nil || n != b.Store.Size() {
		t.Errorf("%d rows for %d leaves: %v", n, b.Store.Size(), err)
	}
}
