package archtest

import (
	"strings"
	"testing"
)

// webRank orders the packages of the pages; imports only run down. Page packages never import one another.
var webRank = map[string]int{"frame": 1, "timeline": 2, "sheets": 2, "entrytext": 3, "pages": 4, "": 5}

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
	pages := map[string]bool{}
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
				t.Errorf("%s imports %s: arrows run web → pages/<subject> → entrytext → timeline, sheets → frame", f.path, own)
			}
		}
		if part == "pages" {
			pages[subject] = true
		}
	}
	if len(pages) < 10 {
		t.Fatalf("only %d page packages found: the test looks in the wrong place", len(pages))
	}
}
