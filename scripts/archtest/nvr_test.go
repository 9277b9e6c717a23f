package archtest

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// nvrImports lists what each package below firmware/nvr may import of the others.
var nvrImports = map[string][]string{
	"firmware/nvr/driver":    nil,
	"firmware/nvr/nvrtime":   {"firmware/nvr/driver"},
	"firmware/nvr/hikvision": {"firmware/nvr/driver", "firmware/nvr/nvrtime"},
	"firmware/nvr":           {"firmware/nvr/driver", "firmware/nvr/nvrtime"},
}

// A driver is exchangeable only while the supervisor knows none, and drivers know no supervisor.
func TestNVRPackages(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || !in(f.path, "firmware/nvr") {
			continue
		}
		allowed, ok := nvrImports[f.dir]
		if !ok {
			t.Errorf("%s: package %s has no line in nvrImports", f.path, f.dir)
		}
		for _, im := range f.imports {
			own, isOwn := strings.CutPrefix(im, "campuskeep/")
			if !isOwn {
				continue
			}
			if in(own, "firmware/nvr") && !slices.Contains(allowed, own) {
				t.Errorf("%s imports %s: arrows run nvr → fetch → nvrtime → driver, and hikvision → driver", f.path, own)
			}
			if in(f.path, "firmware/nvr/driver", "firmware/nvr/nvrtime") && in(own, "firmware") && !in(own, "firmware/nvr/driver") {
				t.Errorf("%s imports %s: values and calibration depend on no other package of the appliance", f.path, own)
			}
		}
	}
}

// What one maker does is known to its driver alone.
func TestNVRMakersStayInTheirDrivers(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || !in(f.path, "firmware/nvr", "firmware/appliance", "firmware/web") || in(f.path, "firmware/nvr/hikvision") {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			for _, word := range []string{"ISAPI", "/Streaming/", "illegallogin", "playby"} {
				if strings.Contains(strings.ToLower(lit.Value), strings.ToLower(word)) {
					t.Errorf("%s says %s: it belongs to firmware/nvr/hikvision", f.path, lit.Value)
				}
			}
			return true
		})
	}
}
