package appliance

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The figures of a running box say the state of each of its parts, and hold no names.
func TestTheFiguresOfARunningBox(t *testing.T) {
	c := testConfig(t)
	c.Web.MetricsToken = filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(c.Web.MetricsToken, []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), c, Deps{}); err == nil || !strings.Contains(err.Error(), "fewer than 16") || strings.Contains(err.Error(), "short") {
		t.Fatalf("a short token: %v", err)
	}
	if err := os.WriteFile(c.Web.MetricsToken, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a, stop := running(t, c)
	defer stop()
	get(t, a, "/healthz")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.certs.Root())
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}}}
	resp, err := client.Get("https://" + a.Address().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"campuskeep_log_entries ", "campuskeep_office_certificate_expires_timestamp_seconds ", "campuskeep_office_root_expires_timestamp_seconds ",
		"campuskeep_retention_late_seconds 0", "campuskeep_retention_failed_files 0", "campuskeep_retention_suspended 1", `campuskeep_faults_open{code="offline"} 0`,
		`campuskeep_http_request_seconds_count{class="monitoring",status="2xx"} `, "go_goroutines ", "process_open_fds "} {
		if !strings.Contains(string(b), name) {
			t.Errorf("there is no %s", name)
		}
	}
	if resp.StatusCode != http.StatusOK || strings.Contains(string(b), c.Appliance.School) {
		t.Errorf("%d\n%s", resp.StatusCode, b)
	}
}
