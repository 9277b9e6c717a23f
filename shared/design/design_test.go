package design

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of invariants into invariants.md")

// The document repeats the sentences that check prints.
func TestDocumentHasTheSentences(t *testing.T) {
	const begin, end = "<!-- generated -->\n", "<!-- end -->"
	b, err := os.ReadFile("invariants.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(b), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("invariants.md: the marks %q and %q are missing", begin, end)
	}
	var table strings.Builder
	table.WriteString("| no. | sentence | reported by |\n|---|---|---|\n")
	for _, i := range Invariants {
		fmt.Fprintf(&table, "| %s | %s | %s |\n", i.Number, i.Sentence, i.Checked)
	}
	want := before + begin + table.String() + end + after
	if want == string(b) {
		return
	}
	if !*update {
		t.Fatal("invariants.md differs from Invariants: go test ./shared/design -update")
	}
	if err := os.WriteFile("invariants.md", []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A number names one sentence for ever.
func TestNumbersFollowEachOther(t *testing.T) {
	for n, i := range Invariants {
		if want := fmt.Sprintf("I%d", n+1); i.Number != want {
			t.Errorf("%s stands where %s belongs", i.Number, want)
		}
	}
}

// The version is a code of the log (system.start names it) and begins with what the file says.
func TestVersion(t *testing.T) {
	if v := Version(); !regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+(\+[0-9a-f]{12})?$`).MatchString(v) {
		t.Errorf("version %q", v)
	}
}
