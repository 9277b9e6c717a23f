package console

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"campuskeep/cloud/centredb"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/ui"
)

// Every code that a page of the console shows has words: kinds of entries and alarms, marks, reasons of urgent entries,
// states, and what the console itself writes into the centre's log.
func TestEveryCodeHasWords(t *testing.T) {
	want := map[string]bool{}
	for kind := range ledger.Kinds {
		want["kind."+string(kind)] = true
	}
	for _, mark := range []string{centredb.MarkHashOnly, centredb.MarkUnreadable, centredb.MarkVersion, centredb.MarkSeq, centredb.MarkKind} {
		want["mark."+mark] = true
	}
	for _, s := range applicationStates {
		want["appstate."+string(s)] = true
	}
	for _, s := range []centredb.ApplicationState{centredb.AppDue, centredb.AppOverdue, centredb.AppReported} {
		want["appstate."+string(s)] = true
	}
	c := &Console{}
	for _, rt := range c.table() {
		if rt.Action != account.ActPublic {
			want["audit."+string(rt.Action)] = true // a refusal
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	noted := regexp.MustCompile(`(?:note|changed)\((?:p, s, )?"([a-z._]+)"|Action: "([a-z._]+)"`)
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range noted.FindAllStringSubmatch(string(text), -1) {
			want["audit."+m[1]+m[2]] = true
		}
	}
	for key := range want {
		if !ui.Has(key) {
			t.Errorf("no words for %s", key)
		}
	}
}
