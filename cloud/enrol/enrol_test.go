package enrol

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campuskeep/cloud/centredb"
	"campuskeep/cloud/centredb/storetest"
	"campuskeep/cloud/witness"
	"campuskeep/shared/clock/clocktest"
	"campuskeep/shared/ledger"
	"campuskeep/shared/wire"
)

type rig struct {
	*Enrol
	t      *testing.T
	clock  *clocktest.Clock
	store  *centredb.DB
	kicked []string
	server *httptest.Server
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, clock: clocktest.At(time.Date(2026, 5, 20, 8, 0, 0, 0, time.UTC)), store: storetest.SQLite(t)}
	dir := t.TempDir()
	a, err := OpenAuthority(dir, "test", r.clock.Now().Wall)
	if err != nil {
		t.Fatal(err)
	}
	w, err := witness.Open(filepath.Join(dir, "witness.key"), "campuskeep-centre/test")
	if err != nil {
		t.Fatal(err)
	}
	r.Enrol, err = New(Deps{Store: r.store, Authority: a, Witness: w, Clock: r.clock, Broker: "centre:8883", Log: slog.New(slog.DiscardHandler),
		Kick: func(id string) { r.kicked = append(r.kicked, id) }}, []string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	r.server = httptest.NewServer(r.Handler())
	t.Cleanup(r.server.Close)
	return r
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func csr(t *testing.T, id string, k *ecdsa.PrivateKey) []byte {
	t.Helper()
	b, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: id}}, k)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func logKey(id string) string {
	return ledger.VerifierKey("campuskeep/"+id, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)).Public().(ed25519.PublicKey))
}

// post sends a request and gives the certificate, or the code of the refusal.
func (r *rig) post(path string, q any) (cert *x509.Certificate, code string) {
	r.t.Helper()
	b, ok := q.([]byte)
	if !ok {
		var err error
		if b, err = json.Marshal(q); err != nil {
			r.t.Fatal(err)
		}
	}
	answer, err := http.Post(r.server.URL+path, "application/json", bytes.NewReader(b))
	if err != nil {
		r.t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		r.t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		var refused wire.EnrolError
		if err := json.Unmarshal(body, &refused); err != nil {
			r.t.Fatalf("%s: %s", answer.Status, body)
		}
		return nil, refused.Code
	}
	var reply wire.EnrolReply
	if err := wire.DecodeStrict(bytes.NewReader(body), &reply); err != nil {
		r.t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(reply.Certificate); err != nil {
		r.t.Fatal(err)
	}
	if reply.Broker != "centre:8883" || reply.Centre == "" || reply.Cosigner == "" {
		r.t.Errorf("reply: %+v", reply)
	}
	return cert, ""
}

func (r *rig) token(id string) string {
	r.t.Helper()
	token, until, err := r.Token(r.t.Context(), id, "一小")
	if err != nil {
		r.t.Fatal(err)
	}
	if until.Sub(r.clock.Now().Wall) != TokenLife {
		r.t.Errorf("token until %v", until)
	}
	return token
}

// A token gives one certificate to one appliance, once, within a day. Covers design §6, identity.
func TestEnrolment(t *testing.T) {
	r := newRig(t)
	key := newKey(t)
	token := r.token("ck-0001")
	good := wire.EnrolRequest{V: 1, ID: "ck-0001", Token: token, CSR: csr(t, "ck-0001", key), LogKey: logKey("ck-0001")}
	for what, c := range map[string]struct {
		change func(*wire.EnrolRequest)
		code   string
	}{
		"wrong token": {func(q *wire.EnrolRequest) { q.Token = "x" }, wire.EnrolToken},
		"unknown appliance": {func(q *wire.EnrolRequest) {
			q.ID, q.CSR, q.LogKey = "ck-0009", csr(t, "ck-0009", key), logKey("ck-0009")
		}, wire.EnrolToken},
		"version":           {func(q *wire.EnrolRequest) { q.V = 2 }, wire.EnrolMalformed},
		"id":                {func(q *wire.EnrolRequest) { q.ID = "../etc" }, wire.EnrolMalformed},
		"log key":           {func(q *wire.EnrolRequest) { q.LogKey = "x" }, wire.EnrolMalformed},
		"another's log key": {func(q *wire.EnrolRequest) { q.LogKey = logKey("ck-0002") }, wire.EnrolMalformed},
		"another's name":    {func(q *wire.EnrolRequest) { q.CSR = csr(t, "ck-0002", key) }, wire.EnrolCSR},
		"no request":        {func(q *wire.EnrolRequest) { q.CSR = []byte("x") }, wire.EnrolCSR},
		"changed request":   {func(q *wire.EnrolRequest) { q.CSR = bytes.Clone(q.CSR); q.CSR[len(q.CSR)-3] ^= 1 }, wire.EnrolCSR},
	} {
		q := good
		c.change(&q)
		if _, code := r.post(wire.EnrolPath, q); code != c.code {
			t.Errorf("%s: %q, want %q", what, code, c.code)
		}
	}
	for what, body := range map[string]string{"empty": "", "list": "[]", "unknown field": `{"v":1,"x":2}`, "two": `{"v":1}{"v":1}`, "long": `{"id":"` + strings.Repeat("x", 64<<10) + `"}`} {
		if _, code := r.post(wire.EnrolPath, []byte(body)); code != wire.EnrolMalformed {
			t.Errorf("%s: %q", what, code)
		}
	}
	cert, code := r.post(wire.EnrolPath, good)
	if code != "" || cert.Subject.CommonName != "ck-0001" || cert.NotAfter.Sub(r.clock.Now().Wall) != clientLife {
		t.Fatalf("%q %+v", code, cert)
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: r.d.Authority.Pool(), CurrentTime: r.clock.Now().Wall, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	if _, code := r.post(wire.EnrolPath, good); code != wire.EnrolToken {
		t.Errorf("a token serves twice: %q", code)
	}
	if id, err := r.Authenticate(t.Context(), cert); err != nil || id != "ck-0001" {
		t.Errorf("%q %v", id, err)
	}
	late := r.token("ck-0002")
	r.clock.Pass(TokenLife)
	if _, code := r.post(wire.EnrolPath, wire.EnrolRequest{V: 1, ID: "ck-0002", Token: late, CSR: csr(t, "ck-0002", key), LogKey: logKey("ck-0002")}); code != wire.EnrolToken {
		t.Errorf("a token after a day: %q", code)
	}
}

// Renewal goes with the same key, also months after the certificate ended; not with another, not when denied. A new
// enrolment shuts out the old key.
func TestRenewal(t *testing.T) {
	r := newRig(t)
	key := newKey(t)
	first, code := r.post(wire.EnrolPath, wire.EnrolRequest{V: 1, ID: "ck-0001", Token: r.token("ck-0001"), CSR: csr(t, "ck-0001", key), LogKey: logKey("ck-0001")})
	if code != "" {
		t.Fatal(code)
	}
	renew := func(k *ecdsa.PrivateKey) (*x509.Certificate, string) {
		return r.post(wire.RenewPath, wire.RenewRequest{V: 1, ID: "ck-0001", CSR: csr(t, "ck-0001", k)})
	}
	r.clock.Pass(90 * 24 * time.Hour)
	cert, code := renew(key)
	if code != "" || !cert.NotAfter.After(r.clock.Now().Wall) {
		t.Fatalf("after the holidays: %q", code)
	}
	if _, code := renew(newKey(t)); code != wire.EnrolKey {
		t.Errorf("another key: %q", code)
	}
	if err := r.Deny(t.Context(), "ck-0001", "stolen"); err != nil {
		t.Fatal(err)
	}
	if _, code := renew(key); code != wire.EnrolDenied {
		t.Errorf("denied: %q", code)
	}
	if _, err := r.Authenticate(t.Context(), cert); !errors.Is(err, ErrNotEnrolled) {
		t.Errorf("denied: %v", err)
	}
	if len(r.kicked) == 0 {
		t.Error("not kicked")
	}
	if err := r.Deny(t.Context(), "ck-0001", ""); err != nil {
		t.Fatal(err)
	}
	fresh := newKey(t)
	if _, code := r.post(wire.EnrolPath, wire.EnrolRequest{V: 1, ID: "ck-0001", Token: r.token("ck-0001"), CSR: csr(t, "ck-0001", fresh), LogKey: logKey("ck-0001")}); code != "" {
		t.Fatalf("enrolled anew: %q", code)
	}
	for _, c := range []*x509.Certificate{first, cert} {
		if _, err := r.Authenticate(t.Context(), c); !errors.Is(err, ErrNotEnrolled) {
			t.Errorf("the old key still connects: %v", err)
		}
	}
}

// The time is signed for the nonce that was asked with.
func TestTime(t *testing.T) {
	r := newRig(t)
	n := wire.Nonce{1, 2, 3}
	text, err := n.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	get := func(query string) (int, []byte) {
		answer, err := http.Get(r.server.URL + wire.TimePath + query)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(answer.Body)
		if err := errors.Join(err, answer.Body.Close()); err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, b
	}
	_, b := get("?nonce=" + string(text))
	v, err := ledger.ParseVerifier(r.d.Witness.Key())
	if err != nil {
		t.Fatal(err)
	}
	if at, err := wire.OpenTime(b, n, v); err != nil || !at.Equal(r.clock.Now().Wall) {
		t.Errorf("%v %v", at, err)
	}
	for _, bad := range []string{"", "?nonce=", "?nonce=xyz", "?nonce=" + string(text) + "00"} {
		if status, _ := get(bad); status != http.StatusBadRequest {
			t.Errorf("%q: %d", bad, status)
		}
	}
}

// The authority outlives restarts; its key is for its owner's eyes only and must belong to it.
func TestAuthorityFiles(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	a, err := OpenAuthority(dir, "test", now)
	if err != nil {
		t.Fatal(err)
	}
	b, err := OpenAuthority(dir, "test", now.Add(time.Hour))
	if err != nil || a.Fingerprint() != b.Fingerprint() {
		t.Errorf("%v: another authority after a restart", err)
	}
	if s, err := os.Stat(filepath.Join(dir, "ca.key")); err != nil || s.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", s.Mode(), err)
	}
	if err := os.Remove(filepath.Join(dir, "ca.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenAuthority(dir, "test", now); err == nil {
		t.Error("a key that does not belong to the certificate is taken")
	}
}
