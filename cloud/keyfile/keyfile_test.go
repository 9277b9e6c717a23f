package keyfile

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// A key is made once, stays the same, and is for its owner's eyes only; a file that holds something else is refused,
// never replaced.
func TestKeysStay(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.key")
	a, err := Ed25519(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Ed25519(path)
	if err != nil || !a.Equal(b) {
		t.Errorf("another key on the second reading: %v", err)
	}
	if s, err := os.Stat(path); err != nil || s.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", s.Mode(), err)
	}
	if _, err := ECDSA(path); err == nil {
		t.Error("an Ed25519 key is taken for ECDSA")
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"empty": "", "nonsense": "x", "other PEM": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		bad := filepath.Join(dir, "bad.key")
		if err := os.WriteFile(bad, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Ed25519(bad); err == nil {
			t.Errorf("%s is taken for a key", what)
		}
		if after, err := os.ReadFile(bad); err != nil || string(after) != text {
			t.Errorf("%s was replaced", what)
		}
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Error("the key file changed")
	}
	s, err := Secret(filepath.Join(dir, "s"), 32)
	if err != nil || len(s) != 32 {
		t.Fatal(err)
	}
	if again, err := Secret(filepath.Join(dir, "s"), 32); err != nil || !bytes.Equal(s, again) {
		t.Error("another secret on the second reading")
	}
	if _, err := Secret(filepath.Join(dir, "s"), 16); err == nil {
		t.Error("a secret of another length is taken")
	}
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}
