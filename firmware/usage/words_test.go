package usage

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"campuskeep/shared/lib/ui"
	rules "campuskeep/shared/usage"
)

// Every code that a page shows of the register, the permissions and the clock has its words in both catalogues.
func TestEveryCodeHasItsWords(t *testing.T) {
	want := func(prefix, code string) {
		if !ui.Has(prefix + code) {
			t.Errorf("the catalogue lacks %s%s", prefix, code)
		}
	}
	for _, s := range rules.AllStates {
		want("state.", string(s))
		want("plain.", string(s.Plain()))
	}
	for _, e := range rules.AllEvents {
		want("event.", string(e))
	}
	for _, p := range rules.AllPurposes {
		want("purpose.", string(p))
		want("purpose.papers.", string(p))
	}
	for _, w := range rules.AllWays {
		want("way.", string(w))
		want("way.hint.", string(w))
	}
	for _, u := range rules.AllUndertakings {
		want("undertaking.", string(u))
	}
	for _, r := range rules.AllRejections {
		want("reject.", r)
	}
	for _, h := range []string{rules.HoldUndecided, rules.HoldComplaint, rules.HoldUse} {
		want("hold.", h)
	}
	key := regexp.MustCompile(`"((?:may|err|conflict)\.[a-z_]+)"`)
	for _, room := range []string{".", "../../shared/account", "../../shared/usage"} {
		files, err := filepath.Glob(filepath.Join(room, "*.go"))
		must(t, err)
		for _, f := range files {
			b, err := os.ReadFile(f)
			must(t, err)
			for _, m := range key.FindAllStringSubmatch(string(b), -1) {
				want("", m[1])
			}
		}
	}
}
