// Package tpmtest is a TPM 2.0 for tests: swtpm, which speaks the real protocol over a socket and keeps its state in a
// directory, so that a test can switch it off and on.
//
// It owns the processes that it starts. It must never be imported by anything but tests.
package tpmtest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Start switches a TPM on and gives the path of its socket and the switch that takes its power away.
func Start(t testing.TB, state string) (device string, stop func()) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	program, err := exec.LookPath("swtpm")
	if err != nil {
		t.Skip("swtpm is not installed (apt-get install swtpm)")
	}
	dir, err := os.MkdirTemp("", "tpm") // the path of a socket must be short
	must(err)
	t.Cleanup(func() { must(os.RemoveAll(dir)) })
	device = filepath.Join(dir, "s")
	cmd := exec.Command(program, "socket", "--tpm2", "--tpmstate", "dir="+state, "--server", "type=unixio,path="+device,
		"--ctrl", "type=unixio,path="+device+".c", "--flags", "not-need-init,startup-clear")
	must(cmd.Start())
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		must(cmd.Process.Kill())
		if err := cmd.Wait(); err == nil {
			t.Error("the TPM ended by itself")
		}
	}
	t.Cleanup(stop)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); ; <-tick.C {
		c, err := net.Dial("unix", device+".c")
		if err == nil {
			must(c.Close())
			return device, stop
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}
