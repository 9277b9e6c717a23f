package appliance

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The label sheet says all that the first administrator needs, and init writes it where only root reads it.
func TestInitPrintsALabelSheet(t *testing.T) {
	c := testConfig(t)
	c.Web.Listen = "0.0.0.0:8443"
	var out bytes.Buffer
	if err := Init(t.Context(), c, slog.New(slog.DiscardHandler), "", &out); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(c.Appliance.Data, labelFile)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	said := regexp.MustCompile(`set-up code\s+(\S+)`).FindStringSubmatch(out.String())
	if said == nil || !strings.Contains(out.String(), file) {
		t.Fatalf("init said:\n%s", &out)
	}
	for _, want := range []string{said[1], "https://ck-0001.local:8443/setup", "安装码", "根证书指纹", c.Appliance.School, `<path d="M`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the sheet does not say %q", want)
		}
	}
	print := regexp.MustCompile(`office root SHA-256\s+(\S+)`).FindStringSubmatch(out.String())
	if print == nil || !strings.Contains(string(b), strings.Join(wrapped(print[1]), "")) {
		t.Errorf("the fingerprint is not on the sheet:\n%s", &out)
	}
	if i, err := os.Stat(file); err != nil || i.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", i.Mode(), err)
	}
	elsewhere := filepath.Join(t.TempDir(), "sheet.html")
	if err := Init(t.Context(), c, slog.New(slog.DiscardHandler), elsewhere, &out); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(elsewhere); err != nil {
		t.Error(err)
	}
	if n, err := Check(t.Context(), c, false, &out); err != nil || n != 0 {
		t.Errorf("%d findings, %v\n%s", n, err, &out)
	}
}

func wrapped(print string) (out []string) {
	for _, p := range groupFingerprint(print) {
		out = append(out, "<span>"+p+"</span>")
	}
	return out
}
