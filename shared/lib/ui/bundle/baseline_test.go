package main

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The oldest browser that the pages promise to work in is Chromium 86. What it knows is a list, reviewed by hand: a
// style or a call that is not on it must be looked up before it is used. Lines of testdata/chromium86.txt are
// "css-property gap", "css-function calc", "css-pseudo :hover", "css-at @media", "css-unit px" and "js-call fetch";
// a line that ends in "harmless" names what an older browser leaves out without loss.
func TestOldestBrowser(t *testing.T) {
	allowed := map[string]bool{}
	f, err := os.Open("testdata/chromium86.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // read only
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if w := strings.Fields(lines.Text()); len(w) >= 2 {
			allowed[w[0]+" "+w[1]] = true
		}
	}
	found := map[string]string{}
	see := func(kind, name, file string) {
		if !allowed[kind+" "+name] {
			found[kind+" "+name] = file
		}
	}
	for _, path := range sources(t, "*.css") {
		css := comments.ReplaceAllString(read(t, path), "")
		for _, m := range property.FindAllStringSubmatch(css, -1) {
			see("css-property", m[1], path)
		}
		for _, m := range function.FindAllStringSubmatch(css, -1) {
			see("css-function", m[1], path)
		}
		for _, m := range pseudo.FindAllString(blocks.ReplaceAllString(css, "{}"), -1) {
			see("css-pseudo", m, path)
		}
		for _, m := range atRule.FindAllString(css, -1) {
			see("css-at", m, path)
		}
		for _, m := range unit.FindAllStringSubmatch(css, -1) {
			see("css-unit", m[1], path)
		}
	}
	for _, path := range sources(t, "*.js") {
		js := comments.ReplaceAllString(lineComments.ReplaceAllString(read(t, path), ""), "")
		for _, m := range calls.FindAllStringSubmatch(js, -1) {
			see("js-call", m[1], path)
		}
	}
	var names []string
	for n, path := range found {
		names = append(names, n+" ("+path+")")
	}
	slices.Sort(names)
	for _, n := range names {
		t.Errorf("%s: does Chromium 86 know it? Look it up, then add it to testdata/chromium86.txt", n)
	}
}

var (
	comments     = regexp.MustCompile(`(?s)/\*.*?\*/`)
	lineComments = regexp.MustCompile(`(?m)(^|\s)//.*$`)
	blocks       = regexp.MustCompile(`\{[^{}]*\}`)
	property     = regexp.MustCompile(`[{;]\s*(-?[a-z][a-z-]*)\s*:[^:]`)
	function     = regexp.MustCompile(`([a-z-]+)\(`)
	pseudo       = regexp.MustCompile(`::?[a-z-]+`)
	atRule       = regexp.MustCompile(`@[a-z-]+`)
	unit         = regexp.MustCompile(`\d(px|r?em|fr|[a-z]?v[hw]|vmin|vmax|ch|lh|mm|cm|in|pt|m?s|deg|turn|dpi|dppx|x|cq[a-z]+)\b`)
	calls        = regexp.MustCompile(`\.([A-Za-z]+)\(`)
)

func sources(t *testing.T, pattern string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join("..", "web", pattern))
	if err != nil || len(list) == 0 {
		t.Fatalf("no %s: %v", pattern, err)
	}
	return list
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
