package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"campuskeep/cloud/centre"
)

func configFile(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "c.toml")
	text := strings.NewReplacer(`"/var/lib/campuskeep-cloud"`, `"`+dir+`/data"`, "0.0.0.0:9444", "127.0.0.1:0", "0.0.0.0:9443", "127.0.0.1:0", "0.0.0.0:8883", "127.0.0.1:0").Replace(example)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func call(t *testing.T, in string, args ...string) (code int, out string) {
	t.Helper()
	var b bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(in), &b, &b)
	return code, b.String()
}

// Set up a centre from nothing by the commands that the usage names.
func TestSettingUp(t *testing.T) {
	file := configFile(t)
	code, first := call(t, "correct horse battery\n", "init", "-c", file, "-user", "admin", "-name", "管理员")
	if code != 0 || !strings.Contains(first, "ca sha256:") || !strings.Contains(first, "second-factor ") {
		t.Fatalf("init: %d %s", code, first)
	}
	code, again := call(t, "", "init", "-c", file)
	if code != 0 || !strings.HasPrefix(first, again) {
		t.Errorf("a second init makes other keys: %d %s", code, again)
	}
	if code, out := call(t, "tiny1\n", "person", "-c", file, "-id", "c002", "-user", "li", "-name", "李"); code != exitFailed || strings.Contains(out, "tiny1") {
		t.Errorf("a short password: %d %s", code, out)
	}
	if code, out := call(t, "correct horse battery\n", "person", "-c", file, "-id", "c002", "-user", "li", "-name", "李", "-roles", "emperor"); code != exitFailed {
		t.Errorf("an unknown role: %d %s", code, out)
	}
	for range 2 { // the second time it is a reset
		if code, out := call(t, "", "person", "-c", file, "-id", "c003", "-user", "wang", "-name", "王", "-roles", "centre_staff"); code != 0 || !strings.Contains(out, "one-time-password ") {
			t.Fatalf("a person: %d %s", code, out)
		}
	}
	lines := audit(t, file)
	if want := []string{"command person.add c001 ok", "command person.add c003 ok", "command person.reset c003 ok"}; !slices.Equal(lines, want) {
		t.Errorf("the centre's log says %q, want %q", lines, want)
	}
	code, out := call(t, "", "token", "-c", file, "-appliance", "ck-0417", "-school", "青榆实验学校")
	if code != 0 || !strings.Contains(out, "token ") || !strings.Contains(out, "until ") {
		t.Errorf("token: %d %s", code, out)
	}
	if code, out = call(t, "", "check", "-c", file, "-appliance", "ck-0417"); code != exitFailed {
		t.Errorf("check of an appliance that never enrolled: %d %s", code, out)
	}
	if code, out = call(t, "", "restored", "-c", file); code != 0 || !strings.Contains(out, "incarnation ") {
		t.Errorf("restored: %d %s", code, out)
	}
	dir := filepath.Join(t.TempDir(), "not", "there")
	if code, out = call(t, "", "certificate", "-c", file, "-names", "127.0.0.1", "-o", dir); code != 0 {
		t.Errorf("certificate: %d %s", code, out)
	}
	if s, err := os.Stat(filepath.Join(dir, "broker.key")); err != nil || s.Mode().Perm() != 0o600 {
		t.Errorf("broker.key: %v", err)
	}
}

// audit is the centre's own log, oldest first.
func audit(t *testing.T, file string) (out []string) {
	t.Helper()
	cfg, err := read(file)
	if err != nil {
		t.Fatal(err)
	}
	c, err := centre.Open(t.Context(), cfg, centre.Deps{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	lines, err := c.Store.ListAudit(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range slices.Backward(lines) {
		out = append(out, strings.Join([]string{l.Actor, l.Action, l.Subject, l.Result}, " "))
	}
	return out
}

func TestWrongUse(t *testing.T) {
	file := configFile(t)
	for _, args := range [][]string{
		{}, {"walk"}, {"run", "-c", file, "now"}, {"run", "-x"}, {"run", "-c", file + "x"}, {"token", "-c", file}, {"token", "-c", file, "-appliance", "CK", "-school", "x"},
		{"check", "-c", file}, {"person", "-c", file, "-user", "x"}, {"init", "-c", file, "-user", "x"}, {"certificate", "-c", file},
	} {
		if code, out := call(t, "", args...); code != exitUsage || out == "" {
			t.Errorf("%v: %d %q", args, code, out)
		}
	}
	for _, args := range [][]string{{"version"}, {"example"}} {
		if code, out := call(t, "", args...); code != 0 || out == "" {
			t.Errorf("%v: %d %q", args, code, out)
		}
	}
}
