package ledgerdb

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campuskeep/shared/ledger"
)

var update = flag.Bool("update", false, "make the golden data directory of the current data format anew")

// golden is what a build must read in a golden data directory, beside its ledger.db.
type golden struct {
	Size      uint64 `json:"size"`
	Root      string `json:"root"`
	Witnessed uint64 `json:"witnessed"`
	Epoch     uint64 `json:"epoch"`
}

// Every data directory that a released build may have written must open in every later build, check clean, and
// export the same root. testdata/golden-1 is data format 1; a new format gets a directory of its own, and this one
// stays for ever.
func TestGoldenDataDirectoryOpens(t *testing.T) {
	if *update {
		makeGolden(t, "testdata/golden-1")
	}
	dirs, err := filepath.Glob("testdata/golden-*")
	if err != nil || len(dirs) == 0 {
		t.Fatal("no golden data directory", err)
	}
	for _, from := range dirs {
		t.Run(filepath.Base(from), func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"keys/root", "keys/people.ring", "ledger.db"} { // git keeps no modes but x
				if err := os.Chmod(filepath.Join(dir, name), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var want golden
			b, err := os.ReadFile(filepath.Join(dir, "golden.json"))
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(b, &want); err != nil {
				t.Fatal(err)
			}
			openGolden(t, dir, want)
		})
	}
}

func openGolden(t *testing.T, dir string, want golden) {
	t.Helper()
	s, stop := start(t, testOptions(t, dir))
	defer func() { stop() }()
	wantClean(t, s)
	var out bytes.Buffer
	size, err := s.Export(t.Context(), &out)
	if err != nil {
		t.Fatal(err)
	}
	v, err := ledger.VerifyExport(&out, nil)
	if err != nil {
		t.Fatal(err)
	}
	witnessed, _ := s.Witnessed()
	if got := (golden{size, v.Root.String(), witnessed, s.Epoch()}); got != want {
		t.Errorf("read %+v, want %+v", got, want)
	}
	err = s.View(func(tx Tx) error {
		row, _, ok, err := secretTable.Get(tx, "s")
		if !ok || row.Text != "peanut allergy" {
			t.Errorf("sealed row %+v, %v", row, ok)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if p, err := s.Proof(270); err != nil || len(p.Parts) != 1 || string(p.Parts[0].Plain) != "lost bicycle" {
		t.Errorf("proof with its part: %v", err)
	}
	page, err := s.Search(t.Context(), Query{About: []string{"c01"}})
	if err != nil || len(page.Entries) != 1 {
		t.Errorf("search found %d, %v", len(page.Entries), err)
	}
	commit(t, s, Change{Puts: []Put{boundTable.Put("new", 1)}, Entries: []ledger.Draft{searched(1)}})
	stop()
	s, stop = start(t, testOptions(t, dir))
	wantClean(t, s)
}

// makeGolden writes a directory; the file is a backup copy, so that it is as small as its content.
func makeGolden(t *testing.T, to string) {
	t.Helper()
	dir := t.TempDir()
	s, stop := start(t, testOptions(t, dir))
	furnish(t, s)
	if err := s.SetEpoch(t.Context(), 2, 272, 300, "restored"); err != nil {
		t.Fatal(err)
	}
	stop()
	s, stop = start(t, testOptions(t, dir))
	root, err := s.Root(s.Size())
	if err != nil {
		t.Fatal(err)
	}
	witnessed, _ := s.Witnessed()
	want, err := json.MarshalIndent(golden{s.Size(), root.String(), witnessed, s.Epoch()}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{to, filepath.Join(to, "keys")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var file bytes.Buffer
	if err := s.Backup(&file); err != nil {
		t.Fatal(err)
	}
	stop()
	files := map[string][]byte{"golden.json": append(want, '\n'), "ledger.db": file.Bytes()}
	for _, name := range []string{"keys/root", "keys/people.ring"} {
		if files[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(to, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(string(files["ledger.db"]), "peanut") {
		t.Error("personal text in clear")
	}
}
