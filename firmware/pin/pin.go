// Package pin trusts devices that sign for themselves: a camera or an NVR is known by its certificate.
//
// It owns the one place where TLS towards devices is configured. It must never trust a device that shows another
// certificate than the one that was pinned, nor one without a pin that no authority vouches for.
package pin

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// ErrOther is a device that shows another certificate than the pinned one.
var ErrOther = errors.New("the device shows another certificate than the one that is pinned")

// Of is the pin of a certificate in DER: its SHA-256 in hex.
func Of(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// TLS is a client's configuration that trusts exactly the certificate with this pin, in whatever case it is written;
// without a pin what the authorities of the machine vouch for.
func TLS(pin string) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if pin == "" {
		return c
	}
	pin = strings.ToLower(pin)
	c.InsecureSkipVerify = true // devices sign for themselves; the pin below is stricter
	// Called at every connection, also at those that take up an earlier session.
	c.VerifyConnection = func(s tls.ConnectionState) error {
		return check(pin, s.PeerCertificates)
	}
	return c
}

func check(pin string, shown []*x509.Certificate) error {
	if len(shown) == 0 {
		return fmt.Errorf("%w: it shows none", ErrOther)
	}
	if got := Of(shown[0].Raw); got != pin {
		return fmt.Errorf("%w: %s", ErrOther, got)
	}
	return nil
}
