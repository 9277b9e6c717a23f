package enrol

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"campuskeep/cloud/centredb"
	"campuskeep/cloud/witness"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
	"campuskeep/shared/wire"
)

// TokenLife is how long an enrolment token may be used, once.
const TokenLife = 24 * time.Hour

// Deps is what enrolment needs.
type Deps struct {
	Store     centredb.Registry
	Authority *Authority
	Witness   *witness.Witness
	Clock     clock.Clock
	Broker    string          // host:port that appliances connect to
	Kick      func(id string) // closes an appliance's connection; nil for none
	Log       *slog.Logger
}

// Enrol gives and takes away the right to connect. Safe for concurrent use.
type Enrol struct {
	d Deps

	mu     sync.Mutex // guards server, client and d.Broker
	server *tls.Certificate
	client *tls.Certificate // of the centre itself, for an external broker
	names  []string
}

// New makes it; names are those that the centre's listeners are reached by. It starts nothing.
func New(d Deps, names []string) (*Enrol, error) {
	if d.Kick == nil {
		d.Kick = func(string) {}
	}
	if len(names) == 0 {
		return nil, errors.New("enrolment: the centre needs a name for its certificate")
	}
	return &Enrol{d: d, names: names}, nil
}

// SetBroker says where appliances connect to, once that is known.
func (e *Enrol) SetBroker(addr string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.d.Broker = addr
}

// hashToken binds a token to its appliance: stored in its place.
func hashToken(id, token string) []byte {
	sum := sha256.Sum256([]byte(id + "\x00" + token))
	return sum[:]
}

// Token registers an appliance, or gives an existing one a new token; the token is shown once.
func (e *Enrol) Token(ctx context.Context, id, school string) (token string, until time.Time, err error) {
	if !wire.ApplianceID(id) {
		return "", time.Time{}, fmt.Errorf("appliance id %q: 3 to 32 of a-z, 0-9 and inner %q", id, "-")
	}
	b := make([]byte, 20)
	rand.Read(b)
	token = strings.ToLower(base32.StdEncoding.EncodeToString(b))
	until = e.d.Clock.Now().Wall.Add(TokenLife)
	if err := e.d.Store.PutToken(ctx, id, school, hashToken(id, token), until); err != nil {
		return "", time.Time{}, err
	}
	return token, until, nil
}

// Deny refuses an appliance from now on and closes its connection; an empty reason lifts it.
func (e *Enrol) Deny(ctx context.Context, id, why string) error {
	if err := e.d.Store.Deny(ctx, id, e.d.Clock.Now().Wall, why); err != nil {
		return err
	}
	if why != "" {
		e.d.Kick(id)
	}
	return nil
}

// ErrNotEnrolled: this certificate does not, or no longer, belong to an enrolled appliance.
var ErrNotEnrolled = errors.New("not an enrolled appliance's certificate")

// Authenticate says which appliance a verified certificate represents. The key must be the one that was enrolled
// last: enrolling again shuts out the holder of the old one.
func (e *Enrol) Authenticate(ctx context.Context, c *x509.Certificate) (string, error) {
	id := c.Subject.CommonName
	if !wire.ApplianceID(id) {
		return "", ErrNotEnrolled
	}
	a, err := e.d.Store.Appliance(ctx, id)
	if errors.Is(err, centredb.ErrNotFound) {
		return "", ErrNotEnrolled
	}
	if err != nil {
		return "", err
	}
	if !a.DeniedAt.IsZero() || a.EnrolledAt.IsZero() || !bytes.Equal(a.PublicKey, c.RawSubjectPublicKeyInfo) {
		return "", ErrNotEnrolled
	}
	return id, nil
}

// ServerTLS is for the centre's listeners: its certificate renews itself at two thirds.
func (e *Enrol) ServerTLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return e.current(&e.server, serverLife, func(now time.Time) (*tls.Certificate, error) { return e.d.Authority.Server(e.names, now) })
		},
	}
}

// ClientTLS is for the centre's connection to an external broker: it believes our authority alone, and proves who it
// is by a certificate that renews itself at two thirds.
func (e *Enrol) ClientTLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: e.d.Authority.Pool(), Time: func() time.Time { return e.d.Clock.Now().Wall },
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return e.current(&e.client, clientLife, e.d.Authority.Centre)
		},
	}
}

// current is a certificate of our own, issued again once two thirds of its life have gone by.
func (e *Enrol) current(held **tls.Certificate, life time.Duration, issue func(now time.Time) (*tls.Certificate, error)) (*tls.Certificate, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.d.Clock.Now().Wall
	if c := *held; c != nil && !now.Before(c.Leaf.NotBefore) && !now.After(c.Leaf.NotAfter.Add(-life/3)) {
		return c, nil
	}
	c, err := issue(now)
	if err != nil {
		return nil, err
	}
	*held = c
	return c, nil
}

// Certificates says until when those that are in use are good; a zero time: not in use yet.
func (e *Enrol) Certificates() (root, server, client time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	until := func(c *tls.Certificate) time.Time {
		if c == nil {
			return time.Time{}
		}
		return c.Leaf.NotAfter
	}
	return e.d.Authority.Root().NotAfter, until(e.server), until(e.client)
}

// BrokerTLS demands a certificate of our authority from the client.
func (e *Enrol) BrokerTLS() *tls.Config {
	c := e.ServerTLS()
	c.ClientAuth = tls.RequireAndVerifyClientCert
	c.ClientCAs = e.d.Authority.Pool()
	c.Time = func() time.Time { return e.d.Clock.Now().Wall }
	return c
}

// Handler answers enrolment, renewal and the question for the time.
func (e *Enrol) Handler() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("POST "+wire.EnrolPath, e.answer(e.enrol))
	m.HandleFunc("POST "+wire.RenewPath, e.answer(e.renew))
	m.HandleFunc("GET "+wire.TimePath, e.time)
	return m
}

// answer writes what a request comes to. Refusals name a code and nothing else.
func (e *Enrol) answer(handle func(*http.Request) (wire.EnrolReply, string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		reply, id, err := handle(r)
		refused, isRefused := errors.AsType[wire.EnrolError](err)
		status, body := http.StatusOK, any(reply)
		switch {
		case isRefused:
			e.d.Log.Warn("enrolment refused", "appliance", id, "path", r.URL.Path, "code", refused.Code, "from", r.RemoteAddr)
			status, body = http.StatusForbidden, refused
			if refused.Code == wire.EnrolMalformed {
				status = http.StatusBadRequest
			}
		case err != nil:
			e.d.Log.Error("enrolment failed", "appliance", id, "path", r.URL.Path, "err", err)
			status, body = http.StatusServiceUnavailable, wire.EnrolError{Code: wire.EnrolBusy}
		default:
			e.d.Log.Info("certificate issued", "appliance", id, "path", r.URL.Path)
		}
		b, err := json.Marshal(body)
		if err != nil {
			e.d.Log.Error("enrolment answer", "err", err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		if _, err := w.Write(b); err != nil {
			e.d.Log.Warn("enrolment answer not delivered", "appliance", id, "err", err)
		}
	}
}

func refuse(code string) error { return wire.EnrolError{Code: code} }

// request checks what both kinds have in common.
func request(v int, id string, csr []byte) (*x509.CertificateRequest, error) {
	if v != wire.Version || !wire.ApplianceID(id) {
		return nil, refuse(wire.EnrolMalformed)
	}
	c, err := x509.ParseCertificateRequest(csr)
	if err != nil || c.CheckSignature() != nil || c.Subject.CommonName != id || c.PublicKeyAlgorithm != x509.ECDSA {
		return nil, refuse(wire.EnrolCSR)
	}
	return c, nil
}

func (e *Enrol) enrol(r *http.Request) (wire.EnrolReply, string, error) {
	var q wire.EnrolRequest
	if wire.DecodeStrict(r.Body, &q) != nil {
		return wire.EnrolReply{}, "", refuse(wire.EnrolMalformed)
	}
	csr, err := request(q.V, q.ID, q.CSR)
	if err != nil {
		return wire.EnrolReply{}, q.ID, err
	}
	key, err := ledger.ParseVerifier(q.LogKey)
	if err != nil || key.Witness || key.Name() != "campuskeep/"+q.ID {
		return wire.EnrolReply{}, q.ID, refuse(wire.EnrolMalformed)
	}
	a, err := e.d.Store.Appliance(r.Context(), q.ID)
	if errors.Is(err, centredb.ErrNotFound) {
		return wire.EnrolReply{}, q.ID, refuse(wire.EnrolToken)
	}
	if err != nil {
		return wire.EnrolReply{}, q.ID, err
	}
	if !a.DeniedAt.IsZero() {
		return wire.EnrolReply{}, q.ID, refuse(wire.EnrolDenied)
	}
	now, hash := e.d.Clock.Now().Wall, hashToken(q.ID, q.Token)
	if subtle.ConstantTimeCompare(a.TokenHash, hash) != 1 { // before anything costs us a signature
		return wire.EnrolReply{}, q.ID, refuse(wire.EnrolToken)
	}
	cert, err := e.d.Authority.Client(q.ID, csr.PublicKey, now)
	if err != nil {
		return wire.EnrolReply{}, q.ID, err
	}
	// The token is spent in the same transaction that binds the key; the certificate leaves after it.
	err = e.d.Store.Enrol(r.Context(), q.ID, hash, now, q.LogKey, cert.RawSubjectPublicKeyInfo, cert.SerialNumber.Text(16))
	switch {
	case errors.Is(err, centredb.ErrNotFound):
		return wire.EnrolReply{}, q.ID, refuse(wire.EnrolToken)
	case errors.Is(err, centredb.ErrExists):
		return wire.EnrolReply{}, q.ID, refuse(wire.EnrolKey)
	case err != nil:
		return wire.EnrolReply{}, q.ID, err
	}
	e.d.Kick(q.ID) // anyone who was connected under this name holds the old key
	return e.reply(cert), q.ID, nil
}

func (e *Enrol) renew(r *http.Request) (wire.EnrolReply, string, error) {
	var q wire.RenewRequest
	if wire.DecodeStrict(r.Body, &q) != nil {
		return wire.EnrolReply{}, "", refuse(wire.EnrolMalformed)
	}
	csr, err := request(q.V, q.ID, q.CSR)
	if err != nil {
		return wire.EnrolReply{}, q.ID, err
	}
	a, err := e.d.Store.Appliance(r.Context(), q.ID)
	if errors.Is(err, centredb.ErrNotFound) || err == nil && (a.EnrolledAt.IsZero() || !bytes.Equal(a.PublicKey, csr.RawSubjectPublicKeyInfo)) {
		return wire.EnrolReply{}, q.ID, refuse(wire.EnrolKey)
	}
	if err != nil {
		return wire.EnrolReply{}, q.ID, err
	}
	if !a.DeniedAt.IsZero() {
		return wire.EnrolReply{}, q.ID, refuse(wire.EnrolDenied)
	}
	cert, err := e.d.Authority.Client(q.ID, csr.PublicKey, e.d.Clock.Now().Wall)
	if err != nil {
		return wire.EnrolReply{}, q.ID, err
	}
	return e.reply(cert), q.ID, e.d.Store.SetSerial(r.Context(), q.ID, cert.SerialNumber.Text(16))
}

func (e *Enrol) reply(cert *x509.Certificate) wire.EnrolReply {
	e.mu.Lock()
	defer e.mu.Unlock()
	return wire.EnrolReply{V: wire.Version, Certificate: cert.Raw, Authority: e.d.Authority.Root().Raw, Broker: e.d.Broker,
		Centre: e.d.Witness.Key(), Cosigner: e.d.Witness.CosignerKey()}
}

// time answers with a signed statement: an appliance whose clock is far off cannot connect by MQTT yet.
func (e *Enrol) time(w http.ResponseWriter, r *http.Request) {
	var n wire.Nonce
	if err := n.UnmarshalText([]byte(r.URL.Query().Get("nonce"))); err != nil {
		http.Error(w, "nonce: 32 hex digits", http.StatusBadRequest)
		return
	}
	b, err := e.d.Witness.Time(n, e.d.Clock.Now().Wall)
	if err != nil {
		e.d.Log.Error("state the time", "err", err)
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if _, err := w.Write(b); err != nil {
		e.d.Log.Warn("the time was not delivered", "err", err)
	}
}
