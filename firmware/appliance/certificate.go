package appliance

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
	"slices"
	"strings"
	"sync"
	"time"

	"campuskeep/firmware/disk"
	"campuskeep/shared/clock"
)

// The pages speak TLS from the first start. Its certificate comes from an authority of the box's own,
// whose root a school installs once (the page offers it, with its fingerprint on the label sheet). Its name
// constraints (private addresses, .local, the names configured at the first start) keep that root from vouching
// for anything outside the school, should its key ever leave.
const (
	rootFile    = "identity/office-root.pem"
	rootKeyFile = "identity/office-root.key"

	rootLife = 10 * 365 * 24 * time.Hour
	leafLife = 90 * 24 * time.Hour
)

// certificates issues the certificate of the pages and renews it at two thirds of its life.
type certificates struct {
	clock clock.Clock
	names []string
	root  *x509.Certificate
	key   *ecdsa.PrivateKey
	pem   []byte

	mu   sync.Mutex
	leaf *tls.Certificate // guarded by mu
}

// openCertificates reads the box's authority, or makes it at the first start.
func openCertificates(d disk.FS, c clock.Clock, id string, names []string) (*certificates, error) {
	out := &certificates{clock: c, names: slices.Compact(append([]string{id + ".local", "localhost", "127.0.0.1"}, names...))}
	cert, err := disk.ReadFile(d, rootFile)
	if errors.Is(err, fs.ErrNotExist) {
		return out, out.create(d, id)
	}
	if err != nil {
		return nil, fmt.Errorf("read the office root: %w", err)
	}
	key, err := disk.ReadFile(d, rootKeyFile)
	if err != nil {
		return nil, fmt.Errorf("read the office root's key: %w", err)
	}
	cb, _ := pem.Decode(cert)
	kb, _ := pem.Decode(key)
	if cb == nil || kb == nil {
		return nil, fmt.Errorf("%s or %s is not PEM", rootFile, rootKeyFile)
	}
	if out.root, err = x509.ParseCertificate(cb.Bytes); err != nil {
		return nil, fmt.Errorf("office root: %w", err)
	}
	k, err := x509.ParsePKCS8PrivateKey(kb.Bytes)
	if err != nil {
		return nil, fmt.Errorf("office root's key: %w", err)
	}
	ec, ok := k.(*ecdsa.PrivateKey)
	if !ok || !ec.PublicKey.Equal(out.root.PublicKey) {
		return nil, fmt.Errorf("%s does not belong to %s", rootKeyFile, rootFile)
	}
	out.key, out.pem = ec, cert
	leaf, err := out.current()
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(out.root)
	for _, n := range out.names {
		if _, err := leaf.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: n, CurrentTime: leaf.Leaf.NotBefore.Add(leafLife / 2)}); err != nil {
			return nil, fmt.Errorf("office.names: the root made at the first start does not vouch for %q; remove %s and its key to make a new one, and install that on every computer again: %w", n, rootFile, err)
		}
	}
	return out, nil
}

func (c *certificates) create(d disk.FS, id string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := serialNumber()
	if err != nil {
		return err
	}
	// The clock may be anything at the first start: a root that begins in the past is accepted by every browser,
	// one that begins in the future by none.
	from := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	if now := c.clock.Now().Wall; now.Before(from) {
		from = now.Add(-24 * time.Hour)
	}
	until := from.Add(rootLife)
	if now := c.clock.Now().Wall; until.Before(now.Add(rootLife / 2)) {
		until = now.Add(rootLife)
	}
	t := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "Campuskeep " + id, Organization: []string{"Campuskeep"}},
		NotBefore:    from, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	dns, ips := split(c.names)
	t.PermittedDNSDomainsCritical = true
	t.PermittedDNSDomains = append([]string{"local"}, dns...)
	for _, r := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fd00::/8"} {
		_, ipnet, err := net.ParseCIDR(r)
		if err != nil {
			return err
		}
		t.PermittedIPRanges = append(t.PermittedIPRanges, ipnet)
	}
	for _, ip := range ips {
		bits := 8 * len(ip)
		t.PermittedIPRanges = append(t.PermittedIPRanges, &net.IPNet{IP: ip, Mask: net.CIDRMask(bits, bits)})
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return err
	}
	if c.root, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	c.key = key
	c.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := d.MkdirAll("identity", 0o700); err != nil {
		return err
	}
	// The key first: a root without its key would have to be thrown away on every machine that installed it.
	if err := disk.WriteAtomic(d, rootKeyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600); err != nil {
		return fmt.Errorf("write the office root's key: %w", err)
	}
	if err := disk.WriteAtomic(d, rootFile, c.pem, 0o644); err != nil {
		return fmt.Errorf("write the office root: %w", err)
	}
	return nil
}

// Root is the authority's certificate in PEM, for people to install.
func (c *certificates) Root() []byte { return c.pem }

// Fingerprint is the root's SHA-256 as people compare it.
func (c *certificates) Fingerprint() string {
	sum := sha256.Sum256(c.root.Raw)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// TLS is the configuration of the listener of the pages.
func (c *certificates) TLS() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current() },
	}
}

func (c *certificates) current() (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock.Now().Wall
	if c.leaf != nil && now.After(c.leaf.Leaf.NotBefore) && now.Before(c.leaf.Leaf.NotAfter.Add(-leafLife/3)) {
		return c.leaf, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := serialNumber()
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: c.names[0]},
		NotBefore:    now.Add(-24 * time.Hour), NotAfter: now.Add(leafLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	t.DNSNames, t.IPAddresses = split(c.names)
	der, err := x509.CreateCertificate(rand.Reader, t, c.root, key.Public(), c.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	c.leaf = &tls.Certificate{Certificate: [][]byte{der, c.root.Raw}, PrivateKey: key, Leaf: leaf}
	return c.leaf, nil
}

func split(names []string) (dns []string, ips []net.IP) {
	for _, n := range names {
		if ip := net.ParseIP(n); ip == nil {
			dns = append(dns, n)
		} else if v4 := ip.To4(); v4 != nil {
			ips = append(ips, v4)
		} else {
			ips = append(ips, ip)
		}
	}
	return dns, ips
}

func serialNumber() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
}
