package appliance

import (
	"context"
	"log/slog"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The service manager is notified when the box is up, that it is alive, and when it stops.
func TestSystemdIsTold(t *testing.T) {
	c := stocked(t)
	socket := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := l.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", socket)
	t.Setenv("WATCHDOG_USEC", "100000")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, c, slog.New(slog.DiscardHandler)) }()
	b := make([]byte, 256)
	for _, want := range []string{"READY=1", "WATCHDOG=1", "STOPPING=1"} {
		for { // while it stops it is still alive
			n, err := l.Read(b)
			if err != nil {
				t.Fatalf("waiting for %s: %v", want, err)
			}
			if string(b[:n]) == want {
				break
			}
			if want != "STOPPING=1" {
				t.Fatalf("told %q, want %s", b[:n], want)
			}
		}
		if want == "WATCHDOG=1" {
			cancel()
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// The unit that is shipped is one that systemd understands.
func TestTheUnitFile(t *testing.T) {
	verify, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	// It also fails because the program is not installed where tests run: what counts is what it says.
	out, _ := exec.CommandContext(t.Context(), verify, "verify", "../cmd/campuskeepd/campuskeepd.service").CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "campuskeepd.service") && !strings.Contains(line, "is not executable") {
			t.Errorf("%s", line)
		}
	}
}
