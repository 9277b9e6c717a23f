package archtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every row of the feature page names a page, a command or an address of the interface that is there.
func TestFeaturesAreReachable(t *testing.T) {
	b, err := os.ReadFile(root + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(b), "| | what works | page, command or interface |")
	if !ok {
		t.Fatal("README.md has no feature page")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	routes := goldenRoutes(t)
	named := regexp.MustCompile("`([^`]+)`")
	rows := 0
	for line := range strings.SplitSeq(table, "\n") {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) < 3 {
			continue
		}
		rows++
		row, where := cells[0], cells[len(cells)-1]
		names := named.FindAllStringSubmatch(where, -1)
		if len(names) == 0 && where != "nowhere yet" {
			t.Errorf("%s: the row names nothing that a person uses: %q", row, where)
		}
		for _, n := range names {
			if !reachable(t, routes, n[1]) {
				t.Errorf("%s: %s is no route and no command", row, n[1])
			}
		}
	}
	if rows < 10 {
		t.Errorf("only %d rows are understood", rows)
	}
}

// reachable says whether a path is in the route table, or a command in the usage of its program.
func reachable(t *testing.T, routes map[string]bool, name string) bool {
	t.Helper()
	if strings.HasPrefix(name, "/") {
		return routes[name]
	}
	program, command, _ := strings.Cut(name, " ")
	for _, top := range []string{"firmware", "cloud", "shared"} {
		b, err := os.ReadFile(filepath.Join(root, top, "cmd", program, "main.go"))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return command == "" || strings.Contains(string(b), "\n  "+program+" "+command+" ")
	}
	return false
}

// goldenRoutes reads the paths of the appliance's golden table of routes, wherever the pages have it.
func goldenRoutes(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	err := filepath.WalkDir(root+"/firmware", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "routes.txt" {
			return err
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		for line := range strings.SplitSeq(string(b), "\n") {
			if f := strings.Fields(line); len(f) > 2 {
				out[f[1]] = true
			}
		}
		return nil
	})
	if err != nil || len(out) < 50 {
		t.Fatalf("%d routes, %v", len(out), err)
	}
	return out
}
