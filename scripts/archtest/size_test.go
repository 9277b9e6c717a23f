package archtest

import (
	"go/ast"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What grows beyond these limits is two subjects; tests and generated files are not counted.
const (
	mostFileLines = 600
	mostPageLines = 2000 // of a package that shows pages
)

func TestSizes(t *testing.T) {
	packages, files := map[string]int{}, 0
	for _, f := range parsed(t) {
		if f.test || ast.IsGenerated(f.ast) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(root, f.path))
		if err != nil {
			t.Fatal(err)
		}
		n := strings.Count(string(b), "\n")
		if files++; n > mostFileLines {
			t.Errorf("%s has %d lines, at most %d", f.path, n, mostFileLines)
		}
		if in(f.path, "firmware/web", "cloud/console") {
			packages[f.dir] += n
		}
	}
	if files < 500 || len(packages) < 20 {
		t.Fatalf("only %d files and %d packages of pages found: the test looks in the wrong place", files, len(packages))
	}
	for dir, n := range packages {
		if n > mostPageLines {
			t.Errorf("%s has %d lines, at most %d", dir, n, mostPageLines)
		}
	}
}
