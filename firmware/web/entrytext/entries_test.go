package entrytext

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"campuskeep/shared/lib/ui"
)

// Every code of a fault that the appliance enters has its words; people never read a code.
func TestFaultsHaveWords(t *testing.T) {
	code := regexp.MustCompile(`^(store|name|root|vault|leaf|retention)\.[a-z_]+$`)
	found := map[string]bool{"vault.create": true, "vault.write": true, "vault.sync": true, "vault.index": true, "vault.damaged": true, "vault.missing": true,
		"vault.unreadable": true, "vault.quarantined": true, "vault.brake": true} // made of "vault." and the code of an alarm
	for _, dir := range []string{"appliance", "retention", "uplink"} {
		files, err := filepath.Glob("../../" + dir + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatal(dir, err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
					if s, err := strconv.Unquote(l.Value); err == nil && code.MatchString(s) && s != "vault.path" /* a key of the configuration */ {
						found[s] = true
					}
				}
				return true
			})
		}
	}
	for s := range found {
		if !ui.Has("sysfault." + s) {
			t.Errorf("%s has no words", s)
		}
	}
}
