package archtest

import (
	"flag"
	"fmt"
	"go/ast"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"campuskeep/shared/design"
	"campuskeep/shared/ledger"
)

var update = flag.Bool("update", false, "write the generated documents of shared/design")

const documents = root + "/shared/design"

// requirement is one row of requirements.md.
type requirement struct {
	number, text, state string
}

var requirementRow = regexp.MustCompile(`(?m)^\| ([FSML][0-9]+) \| (.*) \| (works|in part|not there yet) \|$`)

func requirements(t *testing.T) map[string]requirement {
	t.Helper()
	out := map[string]requirement{}
	for _, m := range requirementRow.FindAllStringSubmatch(document(t, "requirements.md"), -1) {
		if _, twice := out[m[1]]; twice {
			t.Errorf("requirements.md: %s stands twice", m[1])
		}
		out[m[1]] = requirement{m[1], m[2], m[3]}
	}
	if len(out) < 80 {
		t.Fatalf("requirements.md: only %d rows are understood", len(out))
	}
	return out
}

var once []file

// parsed is [sources], read once for the tests of this file.
func parsed(t *testing.T) []file {
	t.Helper()
	if once == nil {
		once = sources(t)
	}
	return once
}

func document(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(documents, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// sections are the numbers of the headings of the design, and of its principles: "5", "8a", "1.2".
func sections(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	text := document(t, "README.md")
	for _, m := range regexp.MustCompile(`(?m)^## §([0-9]+[a-z]?) `).FindAllStringSubmatch(text, -1) {
		out[m[1]] = true
	}
	_, principles, _ := strings.Cut(text, "## §1 Principles")
	principles, _, _ = strings.Cut(principles, "\n## ")
	for _, m := range regexp.MustCompile(`(?m)^([0-9]+)\. `).FindAllStringSubmatch(principles, -1) {
		out["1."+m[1]] = true
	}
	if len(out) < 20 {
		t.Fatalf("the design has only the sections %v", slices.Sorted(maps.Keys(out)))
	}
	return out
}

var (
	designWord = regexp.MustCompile(`(?i)\bdesign( language| principles?)?[ ,]+(§[0-9a-z.]*[0-9a-z]|"|[0-9])(?: and (§[0-9a-z.]*[0-9a-z]))?|\(design(?: language)?[,)]`)
	numbered   = regexp.MustCompile(`\b([FSMLI])([0-9]{1,2})\b(?:[–-](?:[FSMLI])?([0-9]{1,2})\b| to ([FSMLI])([0-9]{1,2})\b)?`)
	otherWords = regexp.MustCompile(`(?i)\b(finding|issue|decision|task|ticket)s? (no\. )?#?[0-9]+\b`)
)

// A comment that refers to a section, a requirement or an invariant refers to one that is there.
func TestCommentsPointSomewhere(t *testing.T) {
	known := sections(t)
	numbers := map[string]bool{}
	for n := range requirements(t) {
		numbers[n] = true
	}
	for _, i := range design.Invariants {
		numbers[i.Number] = true
	}
	for _, f := range parsed(t) {
		for _, text := range commentsOf(f) {
			for _, m := range designWord.FindAllStringSubmatch(text, -1) {
				for _, s := range m[2:] {
					s, isSection := strings.CutPrefix(s, "§")
					if s != "" && (!isSection || !known[s]) || m[2] == "" {
						t.Errorf("%s: %q names no section of shared/design/README.md", f.path, m[0])
					}
				}
			}
			for _, n := range references(text) {
				if !numbers[n] {
					t.Errorf("%s: %s is no requirement and no invariant (shared/design)", f.path, n)
				}
			}
			if m := otherWords.FindString(text); m != "" {
				t.Errorf("%s: %q refers to something outside the repository", f.path, m)
			}
		}
	}
}

// references are the numbers that a text names, ranges with both ends.
func references(text string) []string {
	var out []string
	for _, m := range numbered.FindAllStringSubmatch(text, -1) {
		out = append(out, m[1]+m[2])
		if m[3] != "" {
			out = append(out, m[1]+m[3])
		}
		if m[4] != "" {
			out = append(out, m[4]+m[5])
		}
	}
	return out
}

func commentsOf(f file) []string {
	var out []string
	for _, g := range f.ast.Comments {
		out = append(out, strings.Join(strings.Fields(g.Text()), " "))
	}
	return out
}

// covers lists for each number the tests that show it: those whose doc comment says "Covers F3, F13".
func covers(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for _, f := range parsed(t) {
		if !f.test {
			continue
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Doc == nil {
				continue
			}
			_, claim, ok := strings.Cut(strings.Join(strings.Fields(fn.Doc.Text()), " "), "Covers ")
			if !ok {
				continue
			}
			claim, _, _ = strings.Cut(claim, ".")
			claim, _, _ = strings.Cut(claim, ":")
			for _, n := range expand(claim) {
				out[n] = append(out[n], f.dir+": "+fn.Name.Name)
			}
		}
	}
	return out
}

// expand gives every number of a claim; "F4–F8" and "I1 to I6" are all between.
func expand(claim string) []string {
	var out []string
	for _, m := range numbered.FindAllStringSubmatch(claim, -1) {
		from, err := strconv.Atoi(m[2])
		if err != nil {
			continue // the pattern has digits there
		}
		to := from
		if end := m[3] + m[5]; end != "" {
			to, err = strconv.Atoi(end)
			if err != nil {
				continue
			}
		}
		for n := from; n <= to; n++ {
			out = append(out, m[1]+strconv.Itoa(n))
		}
	}
	return out
}

// What is said to work is shown by a test, and what a test shows is not said to be missing. -v lists the tests of every
// requirement and invariant.
func TestRequirementsAreShown(t *testing.T) {
	shown := covers(t)
	all := requirements(t)
	for _, number := range slices.SortedFunc(maps.Keys(all), byNumber) {
		r := all[number]
		tests := shown[number]
		if testing.Verbose() {
			fmt.Printf("%s (%s)\n", number, r.state)
			list(tests)
		}
		switch {
		case r.state == "works" && len(tests) == 0:
			t.Errorf("%s works, says requirements.md, and no test says \"Covers %s\"", number, number)
		case r.state == "not there yet" && len(tests) > 0:
			t.Errorf("%s is not there yet, says requirements.md, and %s covers it", number, tests[0])
		}
	}
	if testing.Verbose() {
		for _, i := range design.Invariants {
			fmt.Println(i.Number)
			list(shown[i.Number])
		}
	}
}

func list(tests []string) {
	for _, test := range slices.Sorted(slices.Values(tests)) {
		fmt.Println("    " + test)
	}
}

func byNumber(a, b string) int {
	if a[0] != b[0] {
		return strings.Index("FSML", a[:1]) - strings.Index("FSML", b[:1])
	}
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// Links and paths of the documents lead to files that are there.
func TestDocumentsPointSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)\)`)
	path := regexp.MustCompile("`((?:firmware|cloud|shared|scripts|\\.github)(?:/[A-Za-z0-9_.-]+)+)`")
	for _, name := range readmes(t) {
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(b), -1) {
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(name), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", name, m[1])
			}
		}
		for _, m := range path.FindAllStringSubmatch(string(b), -1) {
			if _, err := os.Stat(filepath.Join(root, m[1])); err != nil && !strings.HasPrefix(m[1], "shared/lib/ui/dist") {
				t.Errorf("%s names %s, which is not there", name, m[1])
			}
		}
	}
}

// readmes are the documents of the repository, from its root.
func readmes(t *testing.T) []string {
	t.Helper()
	out := []string{"README.md"}
	for _, top := range []string{"shared", "firmware", "cloud", "scripts", ".github"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata") {
				return filepath.SkipDir
			}
			if filepath.Ext(p) == ".md" {
				rel, err := filepath.Rel(root, p)
				if err != nil {
					return err
				}
				out = append(out, filepath.ToSlash(rel))
			}
			return nil
		})
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	return out
}

// The layers of the document are those of the test.
func TestLayersAreDocumented(t *testing.T) {
	text := document(t, "layers.md")
	for top, layers := range map[string]map[string]int{"firmware": firmwareLayer, "cloud": cloudLayer} {
		for name, layer := range layers {
			if name == "cmd" {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, top, name)); os.IsNotExist(err) {
				continue // its layer is known before its first code
			}
			row := regexp.MustCompile(`(?m)^\| ` + strconv.Itoa(layer) + " \\|[^|]*`" + top + "/" + name + "`")
			if !row.MatchString(text) {
				t.Errorf("layers.md does not have %s/%s in layer %d", top, name, layer)
			}
		}
	}
}

var typeNames = map[ledger.Type]string{ledger.Code: "code", ledger.Int: "integer", ledger.Time: "time", ledger.Hash: "hash", ledger.Bool: "boolean", ledger.Codes: "codes", ledger.Spans: "spans"}

// kinds.md is the table of kinds, written from it.
func TestKindsAreDocumented(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Kinds of entries\n\nWritten from `ledger.Kinds`, `ledger.Limits` and `ledger.Unlimited` by\n`go test ./scripts/archtest -run TestKindsAreDocumented -update`. A field with ? may be missing; a sealed part with * is\nreceived by the centre; ! is urgent.\n\n| kind | data | sealed | at most |\n|---|---|---|---|\n")
	for _, kind := range slices.Sorted(maps.Keys(ledger.Kinds)) {
		spec := ledger.Kinds[kind]
		var data, sealed []string
		for _, d := range spec.Data {
			text := d.Name
			if !d.Required {
				text += "?"
			}
			name, ok := typeNames[d.Type]
			if !ok {
				t.Errorf("type %d of %s %s has no word", d.Type, kind, d.Name)
			}
			data = append(data, text+" "+name)
		}
		for _, s := range spec.Sealed {
			if s.Released {
				s.Name += "*"
			}
			sealed = append(sealed, s.Name)
		}
		bound := ledger.Unlimited[kind]
		if limit, ok := ledger.Limits[kind]; ok {
			bound = fmt.Sprintf("%d an hour", limit.PerHour)
			if limit.Variant != "" {
				bound += " for each " + limit.Variant
			}
		}
		name := "`" + string(kind) + "`"
		if spec.Urgent {
			name += " !"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", name, strings.Join(data, ", "), strings.Join(sealed, ", "), bound)
	}
	compare(t, "kinds.md", b.String())
}

func compare(t *testing.T, name, want string) {
	t.Helper()
	file := filepath.Join(documents, name)
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := document(t, name); got != want {
		t.Errorf("%s is not what the code says: go test ./scripts/archtest -run %s -update", name, t.Name())
	}
}
