package appliance

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/disk"
	"campuskeep/shared/clock/clocktest"
)

// Covers F11: the page has a trust path from its first start, and it survives restarts and renewals.
func TestOfficeCertificateChainsToARootThatStays(t *testing.T) {
	d, err := disk.Real(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	now := clocktest.At(time.Date(2026, 5, 20, 9, 0, 0, 0, time.UTC))
	first, err := openCertificates(d, now, "ck-0417", []string{"192.168.1.10", "office.school.example"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := openCertificates(d, now, "ck-0417", []string{"192.168.1.10", "office.school.example"})
	if err != nil {
		t.Fatal(err)
	}
	if string(first.Root()) != string(again.Root()) {
		t.Error("a restart made a new root: every computer would have to install it again")
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(first.Root())
	verify := func(name string) error {
		c, err := again.current()
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: now.Now().Wall})
		return err
	}
	for _, n := range []string{"ck-0417.local", "localhost", "127.0.0.1", "192.168.1.10", "office.school.example"} {
		if err := verify(n); err != nil {
			t.Errorf("%s: %v", n, err)
		}
	}
	if verify("bank.example") == nil {
		t.Error("the certificate vouches for a stranger")
	}
	old, err := again.current()
	if err != nil {
		t.Fatal(err)
	}
	now.Pass(61 * 24 * time.Hour)
	renewed, err := again.current()
	if err != nil {
		t.Fatal(err)
	}
	if renewed.Leaf.NotAfter.Equal(old.Leaf.NotAfter) {
		t.Error("not renewed at two thirds of its life")
	}
	if err := verify("ck-0417.local"); err != nil {
		t.Error(err)
	}
}

// The root's name constraints bind: a name outside them is refused at start, with what to do.
func TestANameTheRootCannotVouchForIsRefused(t *testing.T) {
	d, err := disk.Real(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	now := clocktest.At(time.Date(2026, 5, 20, 9, 0, 0, 0, time.UTC))
	if _, err := openCertificates(d, now, "ck-0417", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := openCertificates(d, now, "ck-0417", []string{"10.1.2.3"}); err != nil {
		t.Errorf("a private address needs no new root: %v", err)
	}
	_, err = openCertificates(d, now, "ck-0417", []string{"school.example"})
	if err == nil || !strings.Contains(err.Error(), "office.names") || !strings.Contains(err.Error(), "school.example") {
		t.Errorf("got %v", err)
	}
}
