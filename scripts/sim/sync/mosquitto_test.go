package sync_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	gosync "sync"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"campuskeep/cloud/centre"
	"campuskeep/cloud/store"
	boxstore "campuskeep/firmware/store"
	"campuskeep/scripts/sim/sync"
	"campuskeep/shared/ledger"
	"campuskeep/shared/wire"
)

// mosquitto is a broker that is none of ours, in a process of its own.
type mosquitto struct {
	t        *testing.T
	bin, dir string
	outside  string // host:port, mutual TLS, for appliances
	inside   string // host:port, for the centre and for looking on
	cmd      *exec.Cmd
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	return l.Addr().String()
}

func findMosquitto(t *testing.T) string {
	for _, p := range []string{"/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/usr/bin/mosquitto"} {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	t.Skip("mosquitto is not installed")
	return ""
}

// configure writes what the comment in the centre's example configuration asks of an external broker.
func (m *mosquitto) configure(c *centre.Centre) {
	m.t.Helper()
	if _, err := c.BrokerCertificate([]string{"127.0.0.1"}, m.dir); err != nil {
		m.t.Fatal(err)
	}
	_, out, _ := strings.Cut(m.outside, ":")
	_, in, _ := strings.Cut(m.inside, ":")
	conf := fmt.Sprintf(`per_listener_settings true
persistence false
max_packet_size 262144
user root
listener %s 127.0.0.1
cafile %[3]s/ca.pem
certfile %[3]s/broker.pem
keyfile %[3]s/broker.key
require_certificate true
use_identity_as_username true
allow_anonymous false
acl_file %[3]s/acl
listener %[2]s 127.0.0.1
allow_anonymous true
`, out, in, m.dir)
	acl := ""
	for _, ch := range []wire.Channel{wire.Up, wire.Urgent, wire.Payload, wire.Hello, wire.State} {
		acl += "pattern write ck/1/+/%u/" + string(ch) + "\n"
	}
	for _, ch := range []wire.Channel{wire.Ack, wire.Down} {
		acl += "pattern read ck/1/+/%u/" + string(ch) + "\n"
	}
	for name, text := range map[string]string{"conf": conf, "acl": acl} {
		if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o600); err != nil {
			m.t.Fatal(err)
		}
	}
}

func (m *mosquitto) start() {
	m.t.Helper()
	m.cmd = exec.Command(m.bin, "-c", filepath.Join(m.dir, "conf"))
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out bytes.Buffer
	m.cmd.Stdout, m.cmd.Stderr = &out, &out
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	eventually(m.t, "mosquitto answers", func() bool {
		c, err := net.Dial("tcp", m.inside)
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
}

func (m *mosquitto) kill() {
	m.t.Helper()
	if err := m.cmd.Process.Kill(); err != nil {
		m.t.Error(err)
	}
	_ = m.cmd.Wait() // it was killed: that is what it says
}

// spy keeps every message that the broker sees.
type spy struct {
	mu   gosync.Mutex
	seen map[wire.Channel][][]byte
}

func (s *spy) watch(t *testing.T, m *mosquitto) {
	t.Helper()
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + m.inside).SetClientID("spy").SetAutoReconnect(true).SetMaxReconnectInterval(100 * time.Millisecond).
		SetConnectRetry(true).SetConnectRetryInterval(50 * time.Millisecond).SetOnConnectHandler(func(c mqtt.Client) {
		c.Subscribe("ck/#", 1, func(_ mqtt.Client, msg mqtt.Message) {
			s.mu.Lock()
			defer s.mu.Unlock()
			_, ch, err := wire.ParseTopic(msg.Topic())
			if err == nil {
				s.seen[ch] = append(s.seen[ch], bytes.Clone(msg.Payload()))
			}
		})
	}))
	if tok := c.Connect(); !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
		t.Fatalf("spy: %v", tok.Error())
	}
	t.Cleanup(func() { c.Disconnect(100) })
}

// text is all that could be read in the messages, unpacked.
func (s *spy) text(t *testing.T) []byte {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var out bytes.Buffer
	for ch, bodies := range s.seen {
		for _, b := range bodies {
			out.Write(b)
			switch ch {
			case wire.Up:
				m, err := wire.DecodeBatch(b)
				if err != nil {
					t.Errorf("batch: %v", err)
				}
				for _, l := range m.Leaves {
					out.Write(l.Bytes)
				}
			case wire.Payload:
				m, err := wire.DecodePayload(b)
				if err != nil {
					t.Errorf("payload: %v", err)
				}
				for _, it := range m.Items {
					out.Write(it.Plain)
				}
			case wire.Urgent:
				m, err := wire.DecodeUrgent(b)
				if err != nil {
					t.Errorf("urgent: %v", err)
				}
				out.Write(m.Leaf)
			}
		}
	}
	return out.Bytes()
}

// A broker of somebody else's is killed again and again in the middle of things: every entry is at the centre once,
// an urgent one is not held up, and what is withheld was never seen by the broker. Covers M26, design §6.
func TestMosquittoKilledInMidFlow(t *testing.T) {
	m := &mosquitto{t: t, bin: findMosquitto(t), dir: t.TempDir(), outside: freePort(t), inside: freePort(t)}
	cfg := sync.Config(t.TempDir())
	cfg.Broker.Kind, cfg.Broker.URL, cfg.Broker.Public = centre.BrokerExternal, "tcp://"+m.inside, m.outside
	c := startCentre(t, cfg)
	defer stop(t, "centre", c.Stop)
	m.configure(c.Centre)
	m.start()
	defer func() { m.kill() }()
	s := &spy{seen: map[wire.Channel][][]byte{}}
	s.watch(t, m)
	b := startBox(t, c, t.TempDir())
	defer stop(t, "box", b.Stop)
	enrol(t, c, b)
	defer stop(t, "uplink", b.Connect())

	secret, purpose := "仅限本校的备注", "寻找丢失的书包"
	for round := range 5 {
		if err := b.Tap(t.Context(), 150); err != nil {
			t.Fatal(err)
		}
		app := fmt.Sprintf("a2026-%04d", round+1)
		_, err := b.Store.Commit(t.Context(), boxstore.Change{Entries: []ledger.Draft{
			{Actor: ledger.Actor{ID: "p007"}, Via: ledger.ViaWeb, Kind: "application.submitted", Subject: app,
				Data:   map[string]any{"places": 1, "spans": []map[string]any{{"from": time.Now().Add(-time.Hour), "to": time.Now()}}, "way": "view"},
				Sealed: []ledger.Part{{Name: "purpose", Owner: "application:" + app, Plain: []byte(purpose)}, {Name: "form", Owner: "application:" + app, Plain: []byte(secret)}}},
			{Actor: ledger.System, Via: ledger.ViaSystem, Kind: "footage.breach", Subject: "c01", Data: map[string]any{"reason": "disk_full"}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		// Somewhere in the middle of shipping this round.
		eventually(t, "some of it under way", func() bool {
			st := b.Uplink.Status()
			return st.Connected && st.Acknowledged > 0
		})
		m.kill()
		m.start()
	}
	eventually(t, "everything witnessed", func() bool { return witnessed(b) })
	eventually(t, "all purposes at the centre", func() bool {
		p, err := c.Store.Applications(t.Context(), storeFilter(purpose), 0, 10)
		return err == nil && p.Total == 5
	})
	checkI8(t, c, b)
	text := s.text(t)
	if bytes.Contains(text, []byte(secret)) {
		t.Error("the broker saw a part that is withheld")
	}
	if !bytes.Contains(text, []byte(purpose)) {
		t.Error("the looker-on did not see the released part: it looks at the wrong place")
	}
	if len(s.seen[wire.Urgent]) == 0 {
		t.Error("no urgent entry went ahead")
	}
	alarms, err := c.Store.Alarms(t.Context(), id, false, 10)
	alarms = slices.DeleteFunc(alarms, func(a store.Alarm) bool { return ledger.Kinds[ledger.Kind(a.Kind)].Urgent }) // what the school itself told
	if err != nil || len(alarms) != 0 {
		t.Errorf("alarms between honest parties: %+v %v", alarms, err)
	}
}
