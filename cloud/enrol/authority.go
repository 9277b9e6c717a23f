// Package enrol is the centre's certificate authority: it gives each appliance its certificate, and says whose
// certificate is good.
//
// It owns the files ca.key, ca.pem and the HTTPS handler for enrolment. It must never issue for an appliance that
// is denied, for a token that does not fit, or for another key than the enrolled one.
package enrol

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"campuskeep/cloud/keyfile"
)

// Lives of certificates.
const (
	rootLife   = 20 * 365 * 24 * time.Hour
	serverLife = 90 * 24 * time.Hour
	clientLife = 30 * 24 * time.Hour // renewed by the appliance at two thirds
	backdate   = time.Hour           // clocks of appliances run behind
)

// Authority signs certificates. Safe for concurrent use.
type Authority struct {
	root *x509.Certificate
	key  *ecdsa.PrivateKey
}

// OpenAuthority reads the authority from a directory, or makes it at the first start.
func OpenAuthority(dir, name string, now time.Time) (*Authority, error) {
	key, err := keyfile.ECDSA(filepath.Join(dir, "ca.key"))
	if err != nil {
		return nil, fmt.Errorf("open the authority: %w", err)
	}
	a := &Authority{key: key}
	path := filepath.Join(dir, "ca.pem")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if b, err = a.create(path, name, now); err != nil {
			return nil, fmt.Errorf("make the authority: %w", err)
		}
	} else if err != nil {
		return nil, fmt.Errorf("open the authority: %w", err)
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("open the authority: %s is not PEM", path)
	}
	if a.root, err = x509.ParseCertificate(block.Bytes); err != nil {
		return nil, fmt.Errorf("open the authority: %w", err)
	}
	if !key.PublicKey.Equal(a.root.PublicKey) {
		return nil, fmt.Errorf("open the authority: ca.key does not belong to %s", path)
	}
	return a, nil
}

func (a *Authority) create(path, name string, now time.Time) ([]byte, error) {
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name, Organization: []string{"Campuskeep"}},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(rootLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, a.key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return b, keyfile.Write(path, b, 0o644)
}

func serial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b)
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b)
}

// Fingerprint of the root, as an appliance is configured with it.
func (a *Authority) Fingerprint() string {
	sum := sha256.Sum256(a.root.Raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Root is the authority's own certificate.
func (a *Authority) Root() *x509.Certificate { return a.root }

// Pool holds the root.
func (a *Authority) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.root)
	return p
}

// Server issues a certificate for the centre's own listeners.
func (a *Authority) Server(names []string, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: names[0]},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(serverLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.root, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("issue a server certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der, a.root.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// CentreName is the name in the centre's own client certificate. The dot keeps it apart from every appliance's id.
const CentreName = "campuskeep.centre"

// Centre issues the certificate by which the centre proves to an external broker who it is.
func (a *Authority) Centre(now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf, err := a.client(CentreName, "centre", key.Public(), now)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw, a.root.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// Client issues a certificate for an appliance's key.
func (a *Authority) Client(id string, pub any, now time.Time) (*x509.Certificate, error) {
	return a.client(id, "appliance", pub, now)
}

func (a *Authority) client(name, unit string, pub any, now time.Time) (*x509.Certificate, error) {
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name, OrganizationalUnit: []string{unit}},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(clientLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.root, pub, a.key)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}
