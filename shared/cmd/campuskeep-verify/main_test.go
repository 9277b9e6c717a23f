package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campuskeep/shared/ledger"
)

var (
	logKey    = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	centreKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
	logName   = "campuskeep/ck-0417"
	centre    = ledger.WitnessKey("campuskeep-centre/yunting", centreKey.Public().(ed25519.PublicKey))
	box       = ledger.VerifierKey(logName, logKey.Public().(ed25519.PublicKey))
)

// files makes the proof and the export of a log of one entry, witnessed by the centre.
func files(t *testing.T) (proof, export []byte) {
	t.Helper()
	var e ledger.Entry
	p, err := ledger.Prepare(&e, ledger.Draft{
		Actor: ledger.Actor{ID: "p001", Role: "school_leader"}, Via: ledger.ViaWeb, Kind: "application.rejected", Subject: "a2026-0047",
		Data: map[string]any{"code": "no_need"}, Sealed: []ledger.Part{{Name: "reason", Owner: "application:a2026-0047", Plain: []byte("与安全\x1b[2J无关")}},
	}, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := p.Encode(ledger.Place{At: time.Date(2026, 5, 20, 1, 0, 0, 0, time.UTC), Clock: ledger.ClockRef{Boot: "b1"}})
	if err != nil {
		t.Fatal(err)
	}
	var tree ledger.Tree
	tree.Add(leaf)
	s, err := ledger.Signer(logName, logKey)
	if err != nil {
		t.Fatal(err)
	}
	head, err := ledger.Checkpoint{Origin: ledger.Origin(logName, 1), Size: 1, Root: tree.Root()}.Sign(s)
	if err != nil {
		t.Fatal(err)
	}
	v, err := ledger.ParseVerifier(box)
	if err != nil {
		t.Fatal(err)
	}
	w, err := ledger.WitnessSigner("campuskeep-centre/yunting", centreKey, time.Date(2026, 5, 20, 1, 30, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	if head, err = ledger.Cosign(head, v, w); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	x := ledger.NewExportWriter(&out, 1)
	if err := x.Leaf(leaf); err != nil {
		t.Fatal(err)
	}
	if err := x.Close([]string{box, centre}, head); err != nil {
		t.Fatal(err)
	}
	return ledger.Proof{Leaf: leaf, Parts: p.Open, Keys: []string{box, centre}, Checkpoint: head}.Format(), out.Bytes()
}

func verify(t *testing.T, content []byte, args ...string) (code int, out, errOut string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	var o, e bytes.Buffer
	code = run(append(args, path), &o, &e)
	return code, o.String(), e.String()
}

func TestWithATrustedKeyAFileIsValid(t *testing.T) {
	proof, export := files(t)
	for name, content := range map[string][]byte{"proof": proof, "export": export} {
		for _, key := range []string{centre, box} {
			code, out, _ := verify(t, content, "-key", key)
			if code != exitValid || !strings.Contains(out, "有效") || !strings.Contains(out, "VALID") || !strings.Contains(out, "2026-05-20 09:30:00 UTC+8") {
				t.Errorf("%s with %s: code %d\n%s", name, key, code, out)
			}
		}
	}
	_, out, _ := verify(t, proof, "-key", centre)
	if !strings.Contains(out, "a2026-0047") || !strings.Contains(out, "无关") || strings.Contains(out, "\x1b") {
		t.Errorf("the proof does not say what it shows:\n%s", out)
	}
}

func TestWithoutATrustedKeyAFileIsNeverCalledValid(t *testing.T) {
	proof, export := files(t)
	for name, content := range map[string][]byte{"proof": proof, "export": export} {
		code, out, _ := verify(t, content)
		if code != exitUnconfirmed || !strings.Contains(out, "Whole, but origin unconfirmed") || !strings.Contains(out, "来源未确认") {
			t.Errorf("%s: code %d\n%s", name, code, out)
		}
		if strings.Contains(strings.ToLower(out), "valid") || strings.Contains(out, "有效") {
			t.Errorf("%s is called valid:\n%s", name, out)
		}
	}
}

func TestEveryChangedByteIsRefused(t *testing.T) {
	proof, export := files(t)
	for name, content := range map[string][]byte{"proof": proof, "export": export} {
		for i := range content {
			changed := bytes.Clone(content)
			changed[i] ^= 1
			for _, args := range [][]string{nil, {"-key", centre}} {
				code, out, errOut := verify(t, changed, args...)
				if code != exitRefused || out != "" || !strings.Contains(errOut, "拒绝") || !strings.Contains(errOut, "REFUSED") {
					t.Fatalf("%s, byte %d changed, %v: code %d\n%s%s", name, i, args, code, out, errOut)
				}
			}
		}
	}
}

func TestAKeyThatDidNotSignRefuses(t *testing.T) {
	proof, export := files(t)
	stranger := ledger.VerifierKey(logName, centreKey.Public().(ed25519.PublicKey))
	for _, content := range [][]byte{proof, export} {
		if code, _, errOut := verify(t, content, "-key", stranger); code != exitRefused || !strings.Contains(errOut, "the given key has not signed") {
			t.Errorf("code %d: %s", code, errOut)
		}
	}
}

func TestUsageIsExplained(t *testing.T) {
	for _, args := range [][]string{{}, {"a", "b"}, {"-what", "a"}, {"-key", "nonsense", "a"}} {
		var o, e bytes.Buffer
		if code := run(args, &o, &e); code != exitUsage || !strings.Contains(e.String(), "usage") {
			t.Errorf("%v: code %d, %s", args, code, e.String())
		}
	}
	var o, e bytes.Buffer
	if code := run([]string{filepath.Join(t.TempDir(), "none")}, &o, &e); code != exitRefused {
		t.Errorf("a missing file: code %d", code)
	}
}

// The certificate of the golden file, checked as anyone who receives it does. Covers F3.
func TestACertificateIsChecked(t *testing.T) {
	content, err := os.ReadFile("../../packet/testdata/certificate-1.txt")
	if err != nil {
		t.Fatal(err)
	}
	code, out, _ := verify(t, content, "-key", centre)
	if code != exitValid || !strings.Contains(out, "VALID: this certificate") || !strings.Contains(out, "All footage of this day is deleted") || !strings.Contains(out, "东大门外") {
		t.Errorf("with the centre's key: code %d\n%s", code, out)
	}
	code, out, _ = verify(t, content)
	if code != exitUnconfirmed || !strings.Contains(out, "来源未确认") || strings.Contains(out, "有效") {
		t.Errorf("without a key: code %d\n%s", code, out)
	}
	for what, change := range map[string][2]string{
		"are not those that the appliance issued": {"东大门外", "西大门外"},
		"is not whole": {`"count":60`, `"count":61`},
	} {
		broken := bytes.Replace(content, []byte(change[0]), []byte(change[1]), 1)
		if code, out, errOut := verify(t, broken, "-key", centre); code != exitRefused || out != "" || !strings.Contains(errOut, what) {
			t.Errorf("%v: code %d\n%s", change, code, errOut)
		}
	}
	stranger := ledger.VerifierKey(logName, centreKey.Public().(ed25519.PublicKey))
	if code, _, errOut := verify(t, content, "-key", stranger); code != exitRefused || !strings.Contains(errOut, "the given key has not signed") {
		t.Errorf("a stranger's key: code %d: %s", code, errOut)
	}
}
