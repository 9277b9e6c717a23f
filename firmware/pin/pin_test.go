package pin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Covers F11: only the device that was pinned is talked to.
func TestOnlyThePinnedDeviceIsTrusted(t *testing.T) {
	good, other := certificate(t), certificate(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{good}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func(c net.Conn) {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}(c)
		}
	}()
	right := Of(good.Certificate[0])
	for name, c := range map[string]struct {
		pin string
		ok  bool
	}{"right": {right, true}, "upper case": {strings.ToUpper(right), true}, "another": {Of(other.Certificate[0]), false}, "none": {"", false}} {
		config := TLS(c.pin)
		config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		for range 2 { // the second connection may take up the first one's session
			conn, err := tls.Dial("tcp", l.Addr().String(), config)
			if (err == nil) != c.ok || (c.pin != "" && !c.ok && !errors.Is(err, ErrOther)) {
				t.Errorf("%s: %v", name, err)
			}
			if err == nil {
				if err := conn.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	}
}
