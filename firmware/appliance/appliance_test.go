package appliance

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campuskeep/shared/design"
	"campuskeep/shared/ledger"
)

func testConfig(t *testing.T) Config {
	t.Helper()
	c := Default()
	c.Appliance.ID, c.Appliance.School, c.Appliance.Data = "ck-0001", "试验学校", filepath.Join(t.TempDir(), "data")
	c.Web.Listen = "127.0.0.1:0"
	c.Clock.Sources = []string{"host", "nvr"}
	if err := os.MkdirAll(c.Appliance.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	return c
}

// running starts an appliance and gives the function that stops it and closes everything.
func running(t *testing.T, c Config) (*Appliance, func()) {
	t.Helper()
	a, err := Open(t.Context(), c, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	return a, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
}

// get asks the office page over its own trust path.
func get(t *testing.T, a *Appliance, path string) int {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.certs.Root())
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}}}
	resp, err := client.Get("https://" + a.Address().String() + path)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

// Covers F11, F13: the box answers over its own trust path, says when it starts and stops, and checks itself while
// it runs and afterwards.
func TestAnEmptyBoxRunsChecksAndStops(t *testing.T) {
	c := testConfig(t)
	a, stop := running(t, c)
	if got := get(t, a, "/healthz"); got != http.StatusOK {
		t.Errorf("/healthz answers %d", got)
	}
	if _, err := Open(t.Context(), c, Deps{}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second daemon on the same data directory: %v", err)
	}
	var out bytes.Buffer
	if found, err := Check(t.Context(), c, true, &out); err != nil || found != 0 {
		t.Errorf("check of the running box: %d, %v: %s", found, err, out.String())
	}
	if a.uplink != nil {
		t.Error("a box without a centre has a line to one")
	}
	stop()
	if found, err := Check(t.Context(), c, true, &out); err != nil || found != 0 {
		t.Errorf("check of the stopped box: %d, %v: %s", found, err, out.String())
	}
	_, stop = running(t, c)
	stop()
	var starts []bool
	for _, e := range exported(t, c) {
		if e.Kind == "system.start" {
			var d struct{ Clean bool }
			if err := json.Unmarshal(e.Data, &d); err != nil {
				t.Fatal(err)
			}
			starts = append(starts, d.Clean)
		}
	}
	if len(starts) != 2 || !starts[0] || !starts[1] {
		t.Errorf("starts after a clean end: %v, want two", starts)
	}
}

// One flipped byte in the middle of the log is found and named, also through the commands.
func TestCheckNamesTheBrokenLeaf(t *testing.T) {
	c := testConfig(t)
	_, stop := running(t, c)
	stop()
	file := filepath.Join(c.Appliance.Data, "ledger.db")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.LastIndex(b, []byte(`"kind":"system.start"`))
	if at < 0 {
		t.Fatal("the start is not in the file")
	}
	for i := bytes.Index(b, []byte(`"kind":"system.start"`)); i >= 0; {
		b[i+8] ^= 1 // every copy that bbolt keeps
		next := bytes.Index(b[i+1:], []byte(`"kind":"system.start"`))
		if next < 0 {
			break
		}
		i += 1 + next
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	found, err := Check(t.Context(), c, false, &out)
	if err == nil && found == 0 {
		t.Fatal("the flipped byte was not noticed")
	}
	if said := out.String() + errText(err); !strings.Contains(said, "I1") && !strings.Contains(said, "leaf") && !strings.Contains(said, "entry") {
		t.Errorf("it does not say what is broken: %s", said)
	}
	if i := design.Invariants[0]; found > 0 && strings.Count(out.String(), "\n"+i.Number+": "+i.Sentence+"\n") != 1 {
		t.Errorf("the sentence of I1 is not there once: %s", out.String())
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func exported(t *testing.T, c Config) []ledger.Entry {
	t.Helper()
	var b bytes.Buffer
	if err := ExportLog(t.Context(), c, &b); err != nil {
		t.Fatal(err)
	}
	var out []ledger.Entry
	for line := range strings.Lines(b.String()) {
		if strings.HasPrefix(line, `{"v":`) {
			var e ledger.Entry
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			out = append(out, e)
		}
	}
	return out
}

// A log whose signing key is gone is not continued under a new one.
func TestAMissingLogKeyIsNotReplaced(t *testing.T) {
	c := testConfig(t)
	_, stop := running(t, c)
	stop()
	if err := os.Remove(filepath.Join(c.Appliance.Data, "keys", "log")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), c, Deps{}); err == nil || !strings.Contains(err.Error(), "keys/log") {
		t.Errorf("got %v", err)
	}
}
