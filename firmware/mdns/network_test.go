package mdns

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// inOwnNetwork names the folder of a test that runs again in a network of its own: this machine is 10.77.0.1 there, and a
// neighbour "peer" is 10.77.0.2.
const inOwnNetwork = "CAMPUSKEEP_TEST_NETWORK"

const wire = `mount -t tmpfs none /run && mkdir /run/netns && ip link set lo up && ip netns add peer &&
ip link add v0 type veth peer name v1 netns peer && ip addr add 10.77.0.1/24 dev v0 && ip link set v0 up &&
ip -n peer addr add 10.77.0.2/24 dev v1 && ip -n peer link set v1 up && ip -n peer link set lo up && ip -n peer route add 224.0.0.0/4 dev v1`

func ownNetwork(t *testing.T) (inside bool) {
	t.Helper()
	if os.Getenv(inOwnNetwork) != "" {
		return true
	}
	t.Parallel()
	if testing.Short() {
		t.Skip("needs a network namespace")
	}
	for _, p := range []string{"avahi-daemon", "avahi-resolve", "dbus-daemon", "ip", "unshare"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed; scripts/test installs it", p)
		}
	}
	if out, err := exec.Command("unshare", "-nm", "sh", "-c", wire).CombinedOutput(); err != nil {
		t.Skipf("this machine gives us no network of our own: %v %s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "-nm", "sh", "-c", wire+` && exec "$0" -test.v -test.run "^$1\$"`, os.Args[0], t.Name())
	cmd.Env = append(os.Environ(), inOwnNetwork+"="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS")) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// neighbour is an avahi in the neighbour's network, which looks names up; host is its own name.
func neighbour(t *testing.T, host string) (lookUp func(family, name string) string) {
	t.Helper()
	peer := []string{"ip", "netns", "exec", "peer"}
	dir := os.Getenv(inOwnNetwork)
	bus := "unix:path=" + filepath.Join(dir, "bus")
	conf := filepath.Join(dir, "bus.conf")
	const rules = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd"><busconfig><type>system</type><listen>%s</listen><policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>`
	if err := os.WriteFile(conf, fmt.Appendf(nil, rules, bus), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", bus)
	begin(t, "dbus-daemon", "--nofork", "--config-file="+conf)
	comes(t, "the bus", func() bool { _, err := os.Stat(filepath.Join(dir, "bus")); return err == nil })
	avahi(t, host, "yes", peer...)
	lookUp = func(family, name string) string {
		out, _ := exec.CommandContext(t.Context(), peer[0], append(peer[1:], "avahi-resolve", family, "-n", name)...).Output() // fails where there is none
		_, at, _ := strings.Cut(strings.TrimSpace(string(out)), "\t")
		return at
	}
	comes(t, "avahi", func() bool { return lookUp("-4", host+".local") == "10.77.0.2" })
	return lookUp
}

// begin starts a program that ends with the test.
func begin(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
}

// comes waits until something is so.
func comes(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-end:
			t.Fatalf("waited too long for %s", what)
		case <-tick.C:
		}
	}
}

func answering(t *testing.T, listen string) (r *Responder, stop func()) {
	t.Helper()
	r, err := New(Options{Name: "ck-test", Listen: netip.MustParseAddr(listen), Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	return r, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// avahi starts the usual responder, on this machine or, after a prefix, elsewhere.
func avahi(t *testing.T, host, bus string, prefix ...string) {
	t.Helper()
	conf := filepath.Join(os.Getenv(inOwnNetwork), host+".conf")
	text := fmt.Sprintf("[server]\nhost-name=%s\nuse-ipv6=no\nenable-dbus=%s\n[publish]\npublish-workstation=no\n", host, bus)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	// Its file of its process number lies in /run, which is this test's own; a second one gets another /run.
	begin(t, append(prefix, "unshare", "-m", "sh", "-c", `mount -t tmpfs none /run && mkdir /run/avahi-daemon && exec avahi-daemon --no-drop-root --no-chroot --no-rlimits -f "$0"`, conf)...)
}

// A neighbour finds the page by its name, through another implementation; an address is given only where the page listens.
func TestANeighbourFindsTheName(t *testing.T) {
	if !ownNetwork(t) {
		return
	}
	lookUp := neighbour(t, "peer")
	r, stop := answering(t, "0.0.0.0")
	comes(t, "the name", func() bool { return r.Status().State == Answered })
	if got := lookUp("-4", "ck-test.local"); got != "10.77.0.1" {
		t.Errorf("the neighbour gets %q", got)
	}
	if got := lookUp("-6", "ck-test.local"); got != "" {
		t.Errorf("an address of a family in which the page does not listen: %q", got)
	}
	stop() // takes the name back
	comes(t, "the neighbour to forget it", func() bool { return lookUp("-4", "ck-test.local") == "" })
}

// The board gets its address later, or another one.
func TestAnAddressThatComesLater(t *testing.T) {
	if !ownNetwork(t) {
		return
	}
	lookUp := neighbour(t, "peer")
	r, stop := answering(t, "10.77.0.9")
	defer stop()
	if got := r.Status().State; got != Off {
		t.Errorf("without the address: %s", got)
	}
	if out, err := exec.Command("ip", "addr", "add", "10.77.0.9/24", "dev", "v0").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	comes(t, "the name", func() bool { return r.Status().State == Answered })
	if got := lookUp("-4", "ck-test.local"); got != "10.77.0.9" {
		t.Errorf("the neighbour gets %q", got)
	}
}

// avahi on the same machine, under another name, goes on to answer, and so do we.
func TestAvahiBesideUs(t *testing.T) {
	if !ownNetwork(t) {
		return
	}
	lookUp := neighbour(t, "peer")
	avahi(t, "board", "no")
	r, stop := answering(t, "0.0.0.0")
	defer stop()
	comes(t, "the name", func() bool { return r.Status().State == Answered })
	comes(t, "avahi's name", func() bool { return lookUp("-4", "board.local") == "10.77.0.1" })
	if got := lookUp("-4", "ck-test.local"); got != "10.77.0.1" {
		t.Errorf("the neighbour gets %q", got)
	}
}

// A name that another machine has is not answered a second time, and who has it is said.
func TestANameThatAnotherMachineHas(t *testing.T) {
	if !ownNetwork(t) {
		return
	}
	lookUp := neighbour(t, "ck-test")
	r, stop := answering(t, "0.0.0.0")
	defer stop()
	comes(t, "the conflict", func() bool { return r.Status() == Status{Taken, netip.MustParseAddr("10.77.0.2")} })
	if got := lookUp("-4", "ck-test.local"); got != "10.77.0.2" {
		t.Errorf("the neighbour has the name no more: it gets %q", got)
	}
}
