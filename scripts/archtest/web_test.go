package archtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// webRank orders the packages of the pages; imports only run down. Page packages never import one another.
var webRank = map[string]int{"frame": 1, "timeline": 2, "entrytext": 3, "pages": 4, "": 5}

// mostPageLines is the most that one page package may have without its tests: one that grows further is two subjects.
const mostPageLines = 2000

func webPart(path string) (part, whole string, ok bool) {
	if !in(path, "firmware/web") {
		return "", "", false
	}
	rest := strings.Trim(strings.TrimPrefix(path, "firmware/web"), "/")
	part, subject, _ := strings.Cut(rest, "/")
	return part, subject, true
}

// A page is read with its own package and the layers below it, and a new subject touches no other.
func TestPagePackages(t *testing.T) {
	lines := map[string]int{}
	for _, f := range sources(t) {
		part, subject, ok := webPart(f.dir)
		if !ok || f.test {
			continue
		}
		if webRank[part] == 0 {
			t.Errorf("%s: package %s has no rank in webRank", f.path, f.dir)
		}
		for _, im := range f.imports {
			own, _ := strings.CutPrefix(im, "campuskeep/")
			to, other, ok := webPart(own)
			if ok && (webRank[to] >= webRank[part] || to == "pages" && subject != "" && other != subject) {
				t.Errorf("%s imports %s: arrows run web → pages/<subject> → entrytext → timeline → frame", f.path, own)
			}
		}
		if part == "pages" {
			b, err := os.ReadFile(filepath.Join("..", "..", f.path))
			if err != nil {
				t.Fatal(err)
			}
			lines[subject] += strings.Count(string(b), "\n")
		}
	}
	if len(lines) < 10 {
		t.Fatalf("only %d page packages found: the test looks in the wrong place", len(lines))
	}
	for subject, n := range lines {
		if n > mostPageLines {
			t.Errorf("pages/%s has %d lines, at most %d", subject, n, mostPageLines)
		}
	}
}
