package config

import (
	"errors"
	"strings"
	"testing"
	"time"
)

type sample struct {
	Office struct {
		Listen string `toml:"listen"`
	} `toml:"office"`
	Vault struct {
		Sync Duration `toml:"sync"`
		Max  int      `toml:"max"`
	} `toml:"vault"`
	Pins []struct {
		Line int `toml:"line"`
	} `toml:"pin"`
}

func (s *sample) Check(r *Report) {
	if s.Office.Listen == "" {
		r.Reject("office.listen", `an address such as "0.0.0.0:8443"`)
	}
	if s.Vault.Sync < 0 {
		r.Reject("vault.sync", "0.1s to 10s")
	}
}

// A fault names the file, the line, the key, the value as written and what is allowed.
func TestEveryFaultIsNamed(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       []string
	}{
		{"unknown key", "[office]\nlisten = \"x\"\nlissten = 3\n", []string{"t.toml:3", "office.lissten", "= 3", "listen"}},
		{"unknown table", "[offfice]\nlisten = \"x\"\n", []string{"offfice", "office", "vault"}},
		{"wrong type", "[office]\nlisten = 3\n", []string{"t.toml:2", "office.listen", "= 3", "string"}},
		{"wrong number", "[office]\nlisten = \"x\"\n[vault]\nmax = \"many\"\n", []string{"t.toml:4", "vault.max", `"many"`, "whole number"}},
		{"bad duration", "[office]\nlisten = \"x\"\n[vault]\nsync = \"soon\"\n", []string{"t.toml:4", "vault.sync", `"soon"`, "2s"}},
		{"out of range", "[office]\nlisten = \"x\"\n[vault]\nsync = \"-1s\" # no\n", []string{"t.toml:4", "vault.sync", `"-1s"`, "0.1s to 10s"}},
		{"missing", "[vault]\nmax = 2\n", []string{"office.listen is missing", "8443"}},
		{"syntax", "[office\nlisten = 3\n", []string{"t.toml:1"}},
		{"unknown in array", "[office]\nlisten = \"x\"\n[[pin]]\nlines = 4\n", []string{"t.toml:4", "pin.lines", "line"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := Decode("t.toml", []byte(tc.text), &sample{})
			var ps Problems
			if !errors.As(err, &ps) {
				t.Fatalf("got %v, want Problems", err)
			}
			for _, w := range tc.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("message %q does not say %q", err, w)
				}
			}
		})
	}
}

func TestAGoodFileIsRead(t *testing.T) {
	var s sample
	if err := Decode("t.toml", []byte("[office]\nlisten = \"x\"\n[vault]\nsync = \"250ms\"\n"), &s); err != nil {
		t.Fatal(err)
	}
	if time.Duration(s.Vault.Sync) != 250*time.Millisecond {
		t.Errorf("sync = %v", time.Duration(s.Vault.Sync))
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("[office]\nlisten = \"x\"\n"))
	f.Add([]byte("[[pin]]\nline = {}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s sample
		_ = Decode("f", b, &s)
	})
}
