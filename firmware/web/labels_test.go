package web

import (
	"regexp"
	"testing"
)

// An id is once on a page: a second field of the same id would be without its label and its fault.
func TestEveryIDStandsOnce(t *testing.T) {
	h := newEnv(t)
	ids := h.scene()
	id := regexp.MustCompile(`<[a-z][^>]*? id="([^"]+)"`)
	people := map[string]*visitor{}
	for _, p := range append(h.pagesOf(ids), h.dutyPages()...) {
		v := people[p.who]
		if v == nil {
			if v = h.visit(); p.who != "" {
				v = h.as(p.who)
			}
			people[p.who] = v
		}
		seen := map[string]bool{}
		for _, m := range id.FindAllStringSubmatch(v.get(p.path).Body, -1) {
			if seen[m[1]] {
				t.Errorf("%s has %q twice", p.name, m[1])
			}
			seen[m[1]] = true
		}
	}
}
