package uplink

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/keyring"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
	"campuskeep/shared/wire"
)

const boxID = "ck-0001"

type handClock struct {
	mu    sync.Mutex
	at    time.Time
	mono  time.Duration
	state clock.State
}

func (c *handClock) Now() clock.Reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mono += time.Millisecond
	return clock.Reading{Wall: c.at, State: c.state, Boot: "b1", Mono: c.mono}
}

func (c *handClock) set(at time.Time, s clock.State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.state = at, s
	c.mono += 2 * time.Hour
}

// office is the centre's enrolment address with an authority of its own.
type office struct {
	t      *testing.T
	root   *x509.Certificate
	key    *ecdsa.PrivateKey
	server *httptest.Server
	paths  []string
	answer func(path string, body []byte) (int, any)
	now    time.Time
}

func newOffice(t *testing.T, now time.Time) *office {
	t.Helper()
	o := &office{t: t, now: now}
	var err error
	if o.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	o.root = o.issue(&x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(20, 0, 0)}, nil, o.key.Public())
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := o.issue(&x509.Certificate{Subject: pkix.Name{CommonName: "centre"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 3, 0)}, o.root, key.Public())
	o.server = httptest.NewUnstartedServer(http.HandlerFunc(o.serve))
	o.server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw, o.root.Raw}, PrivateKey: key}}}
	o.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	o.server.StartTLS()
	t.Cleanup(o.server.Close)
	o.answer = func(_ string, body []byte) (int, any) { return http.StatusOK, o.reply(body, boxID) }
	return o
}

func (o *office) issue(c, parent *x509.Certificate, pub any) *x509.Certificate {
	o.t.Helper()
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, pub, o.key)
	if err != nil {
		o.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		o.t.Fatal(err)
	}
	return cert
}

func (o *office) serve(w http.ResponseWriter, r *http.Request) {
	var body bytes.Buffer
	if _, err := body.ReadFrom(r.Body); err != nil {
		o.t.Error(err)
	}
	o.paths = append(o.paths, r.URL.Path)
	status, answer := o.answer(r.URL.Path, body.Bytes())
	b, err := json.Marshal(answer)
	if err != nil {
		o.t.Error(err)
	}
	w.WriteHeader(status)
	if _, err := w.Write(b); err != nil {
		o.t.Log(err)
	}
}

var centreKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{5}, 32)).Public().(ed25519.PublicKey)

func (o *office) reply(body []byte, id string) wire.EnrolReply {
	o.t.Helper()
	var q struct {
		CSR []byte `json:"csr"`
	}
	if err := json.Unmarshal(body, &q); err != nil {
		o.t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(q.CSR)
	if err != nil {
		o.t.Fatal(err)
	}
	c := o.issue(&x509.Certificate{Subject: pkix.Name{CommonName: id}, NotBefore: o.now.Add(-time.Hour), NotAfter: o.now.AddDate(0, 0, 30)}, o.root, csr.PublicKey)
	return wire.EnrolReply{V: 1, Certificate: c.Raw, Authority: o.root.Raw, Broker: "127.0.0.1:8883",
		Centre: ledger.VerifierKey("campuskeep-centre/test", centreKey), Cosigner: ledger.WitnessKey("campuskeep-centre/test", centreKey)}
}

type rig struct {
	*Uplink
	clock  *handClock
	office *office
	dir    string
	ring   *keyring.Ring
}

func newRig(t *testing.T) *rig {
	t.Helper()
	now := time.Now().UTC()
	r := &rig{clock: &handClock{at: now, state: clock.Trusted}, office: newOffice(t, now), dir: t.TempDir()}
	d, err := disk.Real(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	root, err := keyring.OpenRoot(d)
	if err != nil {
		t.Fatal(err)
	}
	if r.ring, err = root.Ring("people"); err != nil {
		t.Fatal(err)
	}
	s, err := ledgerdb.Open(ledgerdb.Options{Dir: r.dir, Origin: "campuskeep/" + boxID, Clock: r.clock, People: r.ring, Signer: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, 32))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, s.Close()); err != nil {
			t.Error(err)
		}
	})
	r.Uplink, err = New(Options{ID: boxID, Enrol: r.office.server.URL, CA: fingerprint(r.office.root), Disk: d, Store: s, Clock: r.clock})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Enrolment leaves key and certificate in files for the owner alone, the centre's key in the store, an entry in the
// log; the next start finds them.
func TestEnrolment(t *testing.T) {
	r := newRig(t)
	if s := r.Status(); s.Enrolled || s.Fault != FaultNotEnrolled {
		t.Errorf("before: %+v", s)
	}
	if err := r.Enrol(t.Context(), "token"); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"appliance.key", "centre.json"} {
		if s, err := os.Stat(filepath.Join(r.dir, "identity", f)); err != nil || s.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", f, s, err)
		}
	}
	if s := r.Status(); !s.Enrolled || s.Centre != "campuskeep-centre/test" || s.Fault != "" {
		t.Errorf("after: %+v", s)
	}
	if r.o.Store.WitnessKey() == "" {
		t.Error("the store does not know the witness")
	}
	e, err := r.o.Store.Entry(r.o.Store.Size() - 1)
	if err != nil || e.Kind != "sync.enrolled" {
		t.Errorf("%+v %v", e, err)
	}
	again, err := New(r.o)
	if err != nil || !again.Status().Enrolled {
		t.Errorf("after a restart: %v", err)
	}
}

// An answer that does not fit is not taken: nothing of it stays.
func TestAnswersThatDoNotFit(t *testing.T) {
	r := newRig(t)
	stranger := newOffice(t, r.office.now)
	for what, answer := range map[string]func(body []byte) (int, any){
		"another authority": func(b []byte) (int, any) { return 200, stranger.reply(b, boxID) },
		"another appliance": func(b []byte) (int, any) { return 200, r.office.reply(b, "ck-0002") },
		"another key": func(b []byte) (int, any) {
			x := r.office.reply(b, boxID)
			x.Certificate = r.office.root.Raw
			return 200, x
		},
		"keys exchanged": func(b []byte) (int, any) {
			x := r.office.reply(b, boxID)
			x.Centre, x.Cosigner = x.Cosigner, x.Centre
			return 200, x
		},
		"no broker":            func(b []byte) (int, any) { x := r.office.reply(b, boxID); x.Broker = "nowhere"; return 200, x },
		"version":              func(b []byte) (int, any) { x := r.office.reply(b, boxID); x.V = 2; return 200, x },
		"unknown field":        func([]byte) (int, any) { return 200, map[string]any{"v": 1, "more": true} },
		"refused":              func([]byte) (int, any) { return 403, wire.EnrolError{Code: wire.EnrolDenied} },
		"refused in riddles":   func([]byte) (int, any) { return 500, "oops" },
		"a token long expired": func([]byte) (int, any) { return 403, wire.EnrolError{Code: wire.EnrolToken} },
	} {
		r.office.answer = func(_ string, body []byte) (int, any) { return answer(body) }
		if err := r.Enrol(t.Context(), "token"); err == nil {
			t.Errorf("%s: enrolled", what)
		}
	}
	if _, err := os.Stat(filepath.Join(r.dir, "identity", "centre.json")); !errors.Is(err, os.ErrNotExist) || r.Status().Enrolled {
		t.Errorf("something stayed: %v", err)
	}
}

// The token was spent but its answer got lost: the same call completes the enrolment, by the key.
func TestAnEnrolmentWhoseAnswerGotLost(t *testing.T) {
	r := newRig(t)
	r.office.answer = func(string, []byte) (int, any) { return http.StatusBadGateway, "lost" }
	if err := r.Enrol(t.Context(), "token"); err == nil {
		t.Fatal("enrolled by a lost answer")
	}
	r.office.answer = func(path string, body []byte) (int, any) {
		if path == wire.EnrolPath {
			return http.StatusForbidden, wire.EnrolError{Code: wire.EnrolToken}
		}
		return http.StatusOK, r.office.reply(body, boxID)
	}
	if err := r.Enrol(t.Context(), "token"); err != nil || !r.Status().Enrolled {
		t.Errorf("%v %+v", err, r.Status())
	}
}

// A certificate is renewed at two thirds of its life, with the same key, not more than once an hour.
func TestRenewalAtTwoThirds(t *testing.T) {
	r := newRig(t)
	if err := r.Enrol(t.Context(), "token"); err != nil {
		t.Fatal(err)
	}
	until := r.Status().Certificate
	r.office.paths = nil
	r.renewIfDue(t.Context(), false)
	r.clock.set(r.office.now.AddDate(0, 0, 19), clock.Trusted)
	r.renewIfDue(t.Context(), false)
	r.clock.set(r.office.now.AddDate(0, 0, 25), clock.Untrusted)
	r.renewIfDue(t.Context(), false)
	if len(r.office.paths) != 0 {
		t.Errorf("renewed too early, or by a clock that is not trusted: %v", r.office.paths)
	}
	r.clock.set(r.office.now.AddDate(0, 0, 21), clock.Trusted)
	r.office.now = r.office.now.AddDate(0, 0, 21)
	r.renewIfDue(t.Context(), false)
	r.renewIfDue(t.Context(), false)
	if !slices.Equal(r.office.paths, []string{wire.RenewPath}) || !r.Status().Certificate.After(until) {
		t.Errorf("%v until %v", r.office.paths, r.Status().Certificate)
	}
	// Refused by the broker, e.g. expired over the holidays: renewed at once.
	r.clock.set(r.office.now.AddDate(0, 0, 1), clock.Untrusted)
	r.renewIfDue(t.Context(), true)
	if len(r.office.paths) != 2 {
		t.Errorf("refused and not renewed: %v", r.office.paths)
	}
}

// While the clock is not trusted, the centre's certificate is judged at the latest instant that is certain.
func TestCertificatesAndAClockThatIsNotTrusted(t *testing.T) {
	now := time.Now().UTC()
	for _, c := range []struct {
		what    string
		at      time.Time
		state   clock.State
		highest time.Time
		good    bool
	}{
		{"trusted", now, clock.Trusted, time.Time{}, true},
		{"1970, untrusted", time.Unix(0, 0), clock.Untrusted, time.Time{}, true},
		{"2099, untrusted", now.AddDate(73, 0, 0), clock.Untrusted, time.Time{}, true},
		{"expired by a trusted clock", now.AddDate(0, 4, 0), clock.Trusted, time.Time{}, false},
		{"not yet, by a trusted clock", now.AddDate(0, -1, 0), clock.Trusted, time.Time{}, false},
		{"1970, but it was already later than the certificate's end", time.Unix(0, 0), clock.Suspect, now.AddDate(0, 4, 0), false},
		{"1970, and it was already within the certificate's life", time.Unix(0, 0), clock.Suspect, now, true},
	} {
		r := newRig(t)
		r.clock.set(c.at, c.state)
		if !c.highest.IsZero() {
			r.o.Highest = func() time.Time { return c.highest }
		}
		if err := r.Enrol(t.Context(), "token"); (err == nil) != c.good {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	r := newRig(t)
	r.o.CA = "sha256:" + string(bytes.Repeat([]byte("0"), 64))
	if err := r.Enrol(t.Context(), "token"); err == nil {
		t.Error("another authority's fingerprint is believed")
	}
}

// The table of kinds decides what goes on the payload lane; erased owners go as such.
func TestPayloadItems(t *testing.T) {
	r := newRig(t)
	commit := func(d ledger.Draft) uint64 {
		t.Helper()
		receipt, err := r.o.Store.Commit(t.Context(), ledgerdb.Change{Entries: []ledger.Draft{d}})
		if err != nil {
			t.Fatal(err)
		}
		return receipt.First
	}
	app := func(id string) ledger.Draft {
		return ledger.Draft{Actor: ledger.Actor{ID: "p1"}, Via: ledger.ViaWeb, Kind: "application.submitted", Subject: id,
			Data:   map[string]any{"places": 1, "spans": []map[string]any{}, "way": "view"},
			Sealed: []ledger.Part{{Name: "purpose", Owner: "application:" + id, Plain: []byte("why")}, {Name: "form", Owner: "application:" + id, Plain: []byte("withheld")}}}
	}
	first := commit(app("a1"))
	second := commit(app("a2"))
	commit(ledger.Draft{Actor: ledger.System, Via: ledger.ViaSystem, Kind: "system.stop"})
	breach := commit(ledger.Draft{Actor: ledger.System, Via: ledger.ViaSystem, Kind: "footage.breach", Data: map[string]any{"reason": "x"}})
	if err := r.ring.Erase("application:a2"); err != nil {
		t.Fatal(err)
	}
	gone := commit(ledger.Draft{Actor: ledger.System, Via: ledger.ViaSystem, Kind: "key.erased", Data: map[string]any{"ring": "people", "keys": []string{"application:a2"}}})
	l := &ledgerLog{s: r.o.Store, log: r.o.Log, damaged: func(uint64) {}}
	items, next, err := l.ReleasedFrom(0, r.o.Store.Size())
	if err != nil || next != r.o.Store.Size() {
		t.Fatalf("%d %v", next, err)
	}
	var got []string
	for _, it := range items {
		got = append(got, string(it.Op)+" "+it.Name+" "+it.Owner+" "+string(it.Plain))
		if it.Seq != first && it.Seq != second && it.Seq != gone {
			t.Errorf("item of entry %d", it.Seq)
		}
	}
	want := []string{"release purpose application:a1 why", "erased purpose application:a2 ", "erase  application:a2 "}
	if !slices.Equal(got, want) {
		t.Errorf("items %q, want %q", got, want)
	}
	urgent, next, err := l.UrgentFrom(0, r.o.Store.Size())
	if err != nil || next != r.o.Store.Size() || !slices.Equal(urgent, []uint64{breach}) {
		t.Errorf("urgent %v up to %d: %v", urgent, next, err)
	}
}

func FuzzKindOf(f *testing.F) {
	f.Add([]byte(`{"v":1,"kind":"system.stop"}`))
	f.Fuzz(func(t *testing.T, leaf []byte) {
		// Whatever is an entry has the kind that a quick look sees.
		if e, err := ledger.ParseEntry(leaf); err == nil && kindOf(leaf) != e.Kind {
			t.Errorf("%s: %q", leaf, kindOf(leaf))
		}
	})
}
