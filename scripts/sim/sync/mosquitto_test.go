package sync_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net"
	"net/http/httptest"
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
	"campuskeep/cloud/centredb"
	cloudenrol "campuskeep/cloud/enrol"
	boxstore "campuskeep/firmware/ledgerdb"
	"campuskeep/scripts/sim/sync"
	"campuskeep/shared/ledger"
	"campuskeep/shared/wire"
)

// mosquitto is a broker that is none of ours, in a process of its own.
type mosquitto struct {
	t        *testing.T
	bin, dir string
	outside  string // host:port, mutual TLS, for appliances and the centre
	inside   string // host:port, for looking on
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

// documented gives a block of the centre's README.
func documented(t *testing.T, kind string) string {
	t.Helper()
	text, err := os.ReadFile("../../../cloud/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, ok := strings.Cut(string(text), "```"+kind+"\n")
	block, _, end := strings.Cut(block, "```")
	if !ok || !end {
		t.Fatalf("cloud/README.md has no block %q", kind)
	}
	return block
}

// configure writes what the README asks of an external broker, and a listener for the looker-on.
func (m *mosquitto) configure(c *centre.Centre) {
	m.t.Helper()
	dir := filepath.Join(m.dir, "new", "campuskeep") // nobody has made it
	if _, err := c.BrokerCertificate([]string{"127.0.0.1"}, dir); err != nil {
		m.t.Fatal(err)
	}
	_, out, _ := strings.Cut(m.outside, ":")
	_, in, _ := strings.Cut(m.inside, ":")
	conf := strings.NewReplacer("/etc/mosquitto/campuskeep", dir, "listener 8883", "listener "+out+" 127.0.0.1").Replace(documented(m.t, "conf"))
	conf = "user root\npersistence false\n" + conf + "listener " + in + " 127.0.0.1\nallow_anonymous true\n"
	for path, text := range map[string]string{filepath.Join(m.dir, "conf"): conf, filepath.Join(dir, "acl"): documented(m.t, "acl")} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
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
// an urgent one is not held up, and what is withheld was never seen by the broker. Covers I8, design §6.
func TestMosquittoKilledInMidFlow(t *testing.T) {
	m := &mosquitto{t: t, bin: findMosquitto(t), dir: t.TempDir(), outside: freePort(t), inside: freePort(t)}
	cfg := sync.Config(t.TempDir())
	cfg.Broker.Kind, cfg.Broker.URL, cfg.Broker.Public = centre.BrokerExternal, "ssl://"+m.outside, m.outside
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
	alarms = slices.DeleteFunc(alarms, func(a centredb.Alarm) bool { return ledger.Kinds[ledger.Kind(a.Kind)].Urgent }) // what the school itself told
	if err != nil || len(alarms) != 0 {
		t.Errorf("alarms between honest parties: %+v %v", alarms, err)
	}
}

// An appliance reaches its own topics at the documented broker and nobody else's, whatever it asks for; without a
// certificate nobody reaches anything. The centre says when the broker's certificate ends.
func TestMosquittoKeepsAppliancesApart(t *testing.T) {
	m := &mosquitto{t: t, bin: findMosquitto(t), dir: t.TempDir(), outside: freePort(t), inside: freePort(t)}
	cfg := sync.Config(t.TempDir())
	cfg.Broker.Kind, cfg.Broker.URL, cfg.Broker.Public = centre.BrokerExternal, "ssl://"+m.outside, m.outside
	c := startCentre(t, cfg)
	defer stop(t, "centre", c.Stop)
	m.configure(c.Centre)
	m.start()
	defer m.kill()
	s := &spy{seen: map[wire.Channel][][]byte{}}
	s.watch(t, m)
	connect := func(config *tls.Config) (mqtt.Client, error) {
		k := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("ssl://" + m.outside).SetClientID("x").SetTLSConfig(config).SetAutoReconnect(false).SetConnectTimeout(5 * time.Second))
		tok := k.Connect()
		if !tok.WaitTimeout(10 * time.Second) {
			t.Fatal("no answer")
		}
		return k, tok.Error()
	}
	bare := c.Enrol.ClientTLS()
	bare.GetClientCertificate = nil
	if k, err := connect(bare); err == nil {
		k.Disconnect(0)
		t.Fatal("a client without a certificate is let in")
	}
	own := c.Enrol.ClientTLS()
	own.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return applianceCertificate(t, c, "ck-0002")
	}
	k, err := connect(own)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Disconnect(100)
	for _, topic := range []string{wire.Topic(id, wire.Urgent), wire.Topic("ck-0002", wire.Payload)} {
		if tok := k.Publish(topic, 1, false, "forged"); !tok.WaitTimeout(5*time.Second) || tok.Error() != nil {
			t.Fatal(tok.Error())
		}
	}
	eventually(t, "the broker passed its own topic on", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.seen[wire.Payload]) > 0 })
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.seen[wire.Urgent]); n != 0 {
		t.Errorf("%d messages went out in another school's name", n)
	}
	eventually(t, "the broker's certificate is known", func() bool {
		w := httptest.NewRecorder()
		c.Metrics().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		return strings.Contains(w.Body.String(), `campuskeep_centre_certificate_expires_timestamp_seconds{certificate="broker"}`)
	})
}

// applianceCertificate is one that the centre would give to an enrolled appliance.
func applianceCertificate(t *testing.T, c *sync.Centre, id string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	authority, err := cloudenrol.OpenAuthority(filepath.Join(c.Config.Centre.Data, "keys"), "x", time.Now())
	if err != nil {
		return nil, err
	}
	cert, err := authority.Client(id, key.Public(), time.Now())
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}, nil
}
