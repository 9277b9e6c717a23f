package uplink

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"time"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
	"campuskeep/shared/wire"
	"campuskeep/shared/wire/protocol"
)

// Files of the identity. The key is never in the database: its free pages keep what was deleted.
const (
	identityDir  = "identity"
	keyFile      = identityDir + "/appliance.key"
	identityFile = identityDir + "/centre.json"
)

// identity is who we are to the centre, and who the centre is to us.
type identity struct {
	reply wire.EnrolReply
	key   *ecdsa.PrivateKey
	cert  *x509.Certificate
	root  *x509.Certificate
	trust protocol.Trust
}

// loadIdentity reads both files; nil when the box is not enrolled.
func loadIdentity(d disk.FS) (*identity, error) {
	b, err := disk.ReadFile(d, identityFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", identityFile, err)
	}
	key, err := loadKey(d)
	if err != nil {
		return nil, err
	}
	var r wire.EnrolReply
	if err := wire.DecodeStrict(bytes.NewReader(b), &r); err != nil {
		return nil, fmt.Errorf("read %s: %w", identityFile, err)
	}
	return identityOf(r, key)
}

func loadKey(d disk.FS) (*ecdsa.PrivateKey, error) {
	b, err := disk.ReadFile(d, keyFile)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", keyFile, err)
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("read %s: not PEM", keyFile)
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", keyFile, err)
	}
	key, ok := k.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("read %s: not an ECDSA key", keyFile)
	}
	return key, nil
}

// makeKey reads the key, or makes it: an enrolment that was cut short continues with the same one.
func makeKey(d disk.FS) (*ecdsa.PrivateKey, error) {
	key, err := loadKey(d)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := d.MkdirAll(identityDir, 0o700); err != nil {
		return nil, err
	}
	return key, disk.WriteAtomic(d, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

// identityOf checks that what the centre sent fits together.
func identityOf(r wire.EnrolReply, key *ecdsa.PrivateKey) (*identity, error) {
	id := &identity{reply: r, key: key}
	var err1, err2, err3, err4 error
	id.cert, err1 = x509.ParseCertificate(r.Certificate)
	id.root, err2 = x509.ParseCertificate(r.Authority)
	id.trust.Key, err3 = ledger.ParseVerifier(r.Centre)
	id.trust.Cosigner, err4 = ledger.ParseVerifier(r.Cosigner)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, fmt.Errorf("the centre's answer: %w", err)
	}
	if r.V != wire.Version || !key.PublicKey.Equal(id.cert.PublicKey) || id.trust.Key.Witness || !id.trust.Cosigner.Witness {
		return nil, errors.New("the centre's answer does not fit: version, key or verifier keys")
	}
	if _, _, err := net.SplitHostPort(r.Broker); err != nil {
		return nil, fmt.Errorf("the centre's answer: broker: %w", err)
	}
	return id, id.cert.CheckSignatureFrom(id.root)
}

func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// verify checks the centre's certificate against its authority. While our own clock is not trusted it is done at
// the latest instant that is certain: the highest time ever trusted, or the certificate's own beginning.
func (u *Uplink) verify(root func(chain []*x509.Certificate) *x509.Certificate, name string) func(tls.ConnectionState) error {
	return func(cs tls.ConnectionState) error {
		if len(cs.PeerCertificates) == 0 {
			return errors.New("the centre shows no certificate")
		}
		leaf, anchor := cs.PeerCertificates[0], root(cs.PeerCertificates)
		if anchor == nil {
			return errors.New("the centre's certificate is not of the authority that this box was set up with")
		}
		pool := x509.NewCertPool()
		pool.AddCert(anchor)
		now := u.o.Clock.Now()
		at := now.Wall
		if now.State != clock.Trusted {
			at = leaf.NotBefore
			if u.o.Highest != nil && u.o.Highest().After(at) {
				at = u.o.Highest()
			}
		}
		_, err := leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: name, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
		return err
	}
}

// httpClient speaks to the enrolment address. It knows the authority by its fingerprint alone.
func (u *Uplink) httpClient() *http.Client {
	pinned := func(chain []*x509.Certificate) *x509.Certificate {
		for _, c := range chain {
			if c.IsCA && fingerprint(c) == u.o.CA {
				return c
			}
		}
		return nil
	}
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		d := tls.Dialer{NetDialer: &net.Dialer{Timeout: dialWait}, Config: &tls.Config{
			ServerName: host, MinVersion: tls.VersionTLS12,
			InsecureSkipVerify: true, // VerifyConnection verifies, at the right time and against the pinned authority
			VerifyConnection:   u.verify(pinned, host),
		}}
		return d.DialContext(ctx, network, addr)
	}
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DialTLSContext: dial, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Enrol uses a one-time token to get this box its certificate. The store must be running: the enrolment is an
// entry. An enrolment whose answer was lost is completed by calling again with the same token.
func (u *Uplink) Enrol(ctx context.Context, token string) error {
	key, err := makeKey(u.o.Disk)
	if err != nil {
		return fmt.Errorf("enrol: %w", err)
	}
	csr, err := request(u.o.ID, key)
	if err != nil {
		return fmt.Errorf("enrol: %w", err)
	}
	r, err := u.post(ctx, wire.EnrolPath, wire.EnrolRequest{V: wire.Version, ID: u.o.ID, Token: token, CSR: csr, LogKey: u.o.Store.VerifierKey()})
	if refused, ok := errors.AsType[wire.EnrolError](err); ok && refused.Code == wire.EnrolToken {
		// Perhaps the token was spent by us and only the answer got lost: then our key is the enrolled one.
		if again, err2 := u.post(ctx, wire.RenewPath, wire.RenewRequest{V: wire.Version, ID: u.o.ID, CSR: csr}); err2 == nil {
			r, err = again, nil
		}
	}
	if err != nil {
		return fmt.Errorf("enrol: %w", err)
	}
	id, err := u.adopt(r, key)
	if err != nil {
		return fmt.Errorf("enrol: %w", err)
	}
	sum := sha256.Sum256(id.cert.Raw)
	if err := u.o.Store.SetWitness(ctx, r.Cosigner); err != nil {
		return fmt.Errorf("enrol: %w", err)
	}
	_, err = u.o.Store.Commit(ctx, ledgerdb.Change{Entries: []ledger.Draft{{Actor: ledger.System, Via: ledger.ViaCentre, Kind: "sync.enrolled",
		Data: map[string]any{"centre": codeOf(id.trust.Key.Name()), "certificate": sum[:]}}}})
	if err != nil {
		return fmt.Errorf("enrol: %w", err)
	}
	select {
	case u.enrolled <- struct{}{}:
	default:
	}
	return nil
}

// codeOf makes a key's name fit for an entry's data.
func codeOf(name string) string {
	b := []byte(name)
	for i, c := range b {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			b[i] = '.'
		}
	}
	return string(b[:min(len(b), 64)])
}

// adopt checks an answer against the pinned authority and keeps it.
func (u *Uplink) adopt(r wire.EnrolReply, key *ecdsa.PrivateKey) (*identity, error) {
	id, err := identityOf(r, key)
	if err != nil {
		return nil, err
	}
	if fingerprint(id.root) != u.o.CA || id.cert.Subject.CommonName != u.o.ID {
		return nil, errors.New("the centre's answer is for another authority or another appliance")
	}
	b, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	if err := disk.WriteAtomic(u.o.Disk, identityFile, b, 0o600); err != nil {
		return nil, err
	}
	u.setIdentity(id)
	return id, nil
}

func request(id string, key *ecdsa.PrivateKey) ([]byte, error) {
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: id}}, key)
}

func (u *Uplink) post(ctx context.Context, path string, body any) (r wire.EnrolReply, err error) {
	b, err := json.Marshal(body)
	if err != nil {
		return r, err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, u.o.Enrol+path, bytes.NewReader(b))
	if err != nil {
		return r, err
	}
	q.Header.Set("Content-Type", "application/json")
	answer, err := u.http.Do(q)
	if err != nil {
		return r, fmt.Errorf("reach the centre: %w", err)
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	if answer.StatusCode != http.StatusOK {
		var refused wire.EnrolError
		if derr := wire.DecodeStrict(answer.Body, &refused); derr != nil {
			return r, fmt.Errorf("the centre answers %s", answer.Status)
		}
		return r, refused
	}
	return r, wire.DecodeStrict(answer.Body, &r)
}

// renewIfDue asks for the next certificate at two thirds of this one's life, or when the broker refuses this one.
// The same key is good for it also after the old certificate has ended: holidays are longer than a month.
func (u *Uplink) renewIfDue(ctx context.Context, refused bool) {
	id := u.current()
	now := u.o.Clock.Now()
	life := id.cert.NotAfter.Sub(id.cert.NotBefore)
	due := now.State == clock.Trusted && now.Wall.After(id.cert.NotAfter.Add(-life/3))
	if !due && !refused || u.renewTried != 0 && now.Mono-u.renewTried < time.Hour {
		return
	}
	u.renewTried = now.Mono
	csr, err := request(u.o.ID, id.key)
	if err != nil {
		u.o.Log.Error("renew the certificate", "err", err)
		return
	}
	r, err := u.post(ctx, wire.RenewPath, wire.RenewRequest{V: wire.Version, ID: u.o.ID, CSR: csr})
	if err == nil {
		_, err = u.adopt(r, id.key)
	}
	if err != nil {
		u.o.Log.Warn("renew the certificate", "err", err)
		return
	}
	u.o.Log.Info("certificate renewed", "until", u.current().cert.NotAfter)
}
