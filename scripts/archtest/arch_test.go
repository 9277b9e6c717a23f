// Package archtest tests the layout of the repository (design §2): who may import whom, and what the
// rule packages must not do. It owns no code of the product. A ban without a reason is not written
// here.
package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const root = "../.."

type file struct {
	path    string // from the root, slashes
	dir     string // folder
	test    bool
	imports []string
	ast     *ast.File
}

func sources(t *testing.T) []file {
	t.Helper()
	var out []file
	fset := token.NewFileSet()
	for _, top := range []string{"shared", "firmware", "cloud", "scripts"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata") {
				return filepath.SkipDir
			}
			if filepath.Ext(p) != ".go" {
				return nil
			}
			parsed, err := parser.ParseFile(fset, p, nil, parser.SkipObjectResolution|parser.ParseComments)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root, p)
			if err != nil {
				return err
			}
			f := file{path: filepath.ToSlash(rel), test: strings.HasSuffix(p, "_test.go"), ast: parsed}
			f.dir = filepath.ToSlash(filepath.Dir(rel))
			for _, im := range parsed.Imports {
				v, err := strconv.Unquote(im.Path.Value)
				if err != nil {
					return err
				}
				f.imports = append(f.imports, v)
			}
			out = append(out, f)
			return nil
		})
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if len(out) < 5 {
		t.Fatalf("only %d source files found: the test looks in the wrong place", len(out))
	}
	return out
}

func in(path string, packages ...string) bool {
	for _, r := range packages {
		if path == r || strings.HasPrefix(path, r+"/") {
			return true
		}
	}
	return false
}

// firmwareLayer is the storey of a room of the appliance; imports only run down.
var firmwareLayer = map[string]int{
	"disk": 1, "keyring": 1, "digest": 1, "sheet": 1, "fmp4": 1, "pin": 1, "mdns": 1, "openapi": 1,
	"ledgerdb": 2, "rtsp": 2,
	"vault": 3, "timekeeper": 3, "rootkey": 3, "sealedfiles": 3,
	"site": 4, "people": 4,
	"recorder": 5, "reader": 5, "panel": 5, "uplink": 5, "nvr": 5, "messenger": 5,
	"retention": 6, "playback": 6, "gate": 6, "health": 6, "records": 6,
	"usage": 7, "emergency": 7, "absence": 7,
	"viewing": 8, "oversight": 8, "extraction": 8,
	"web":       9,
	"appliance": 10,
	"cmd":       11,
}

// devices are the packages at the edge: each talks to something that can hang, so none may import another.
var devices = map[string]bool{"recorder": true, "reader": true, "panel": true, "messenger": true, "nvr": true, "uplink": true}

var cloudLayer = map[string]int{"centredb": 1, "keyfile": 1, "witness": 2, "ingest": 3, "enrol": 3, "broker": 3, "console": 4, "centre": 5, "cmd": 6}

func packageOf(path, top string) string {
	rest, ok := strings.CutPrefix(path, top+"/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

// restricted lists modules that only some packages may import, and why.
var restricted = []struct {
	module   string
	packages []string
	why      string
}{
	{"go.etcd.io/bbolt", []string{"firmware/ledgerdb", "firmware/vault"}, "one committer per file: a second writer of bbolt would bypass the ledger"},
	{"github.com/eclipse/paho.mqtt.golang", []string{"firmware/uplink", "cloud/ingest"}, "acknowledgement means stored at the centre; only the sync protocol may say so"},
	{"periph.io/x", []string{"firmware/reader", "firmware/panel"}, "periph calls can block for ever; they are wrapped once"},
	{"database/sql", []string{"cloud/centredb"}, "the cursor row is the serialiser; SQL elsewhere would go round it"},
	{"modernc.org/sqlite", []string{"cloud/centredb"}, "as database/sql"},
	{"github.com/jackc/pgx", []string{"cloud/centredb"}, "as database/sql"},
	{"github.com/bluenviron/gortsplib", []string{"firmware/rtsp", "firmware/recorder", "firmware/nvr"}, "cameras are reached by one session each"},
	{"github.com/mochi-mqtt/server", []string{"cloud/broker"}, "the broker stands behind an interface"},
}

func TestImportRules(t *testing.T) {
	for _, f := range sources(t) {
		for _, im := range f.imports {
			own, isOwn := strings.CutPrefix(im, "campuskeep/")
			if in(own, "scripts") && isOwn && !in(f.path, "scripts") && !f.test {
				t.Errorf("%s imports %s: simulators are never linked into the product", f.path, im)
			}
			if in(f.path, "firmware") && in(own, "cloud") && isOwn || in(f.path, "cloud") && in(own, "firmware") && isOwn {
				t.Errorf("%s imports %s: appliance and centre share only shared/, so that each can be replaced", f.path, im)
			}
			if f.test || in(f.path, "scripts") {
				continue
			}
			if in(f.path, "shared") && !in(f.path, "shared/cmd", "shared/lib/ui/bundle") {
				checkShared(t, f, im, own, isOwn)
			}
			for _, o := range restricted {
				if (im == o.module || strings.HasPrefix(im, o.module+"/")) && !in(f.path, o.packages...) {
					t.Errorf("%s imports %s, which belongs to %s: %s", f.path, im, strings.Join(o.packages, ", "), o.why)
				}
			}
			if isOwn {
				checkLayers(t, f, own)
			}
		}
	}
}

// What opens, damages or moves things for tests has no place in a program.
func TestTestPackagesStayInTests(t *testing.T) {
	for _, f := range sources(t) {
		for _, im := range f.imports {
			if strings.HasPrefix(im, "campuskeep/") && strings.HasSuffix(im, "test") && !f.test && !strings.HasSuffix(f.dir, "test") {
				t.Errorf("%s imports %s: only tests do", f.path, im)
			}
		}
	}
}

func checkShared(t *testing.T, f file, im, own string, isOwn bool) {
	if isOwn {
		if !in(own, "shared") {
			t.Errorf("%s imports %s: rules know nothing of the packages that use them", f.path, im)
		}
		return
	}
	first, _, _ := strings.Cut(im, "/")
	if !strings.Contains(first, ".") {
		return // standard library
	}
	allowed := in(im, "golang.org/x/mod", "golang.org/x/crypto") ||
		in(im, "github.com/klauspost/compress/zstd") && in(f.path, "shared/wire") ||
		in(im, "github.com/pelletier/go-toml/v2") && in(f.path, "shared/lib/config") ||
		in(im, "github.com/boombuler/barcode") && in(f.path, "shared/lib/qr") ||
		in(im, "github.com/xuri/excelize/v2") && in(f.path, "shared/lib/table")
	if !allowed {
		t.Errorf("%s imports %s: shared/ stands on the standard library and golang.org/x alone, so that both programs and the offline tools can carry it", f.path, im)
	}
}

func checkLayers(t *testing.T, f file, own string) {
	check := func(top string, layers map[string]int) {
		a, b := packageOf(f.path, top), packageOf(own, top)
		if a == "" || b == "" || a == b {
			return
		}
		fa, oka := layers[a]
		fb, okb := layers[b]
		if !oka {
			t.Errorf("%s: package %s/%s has no layer; give it one in this test", f.path, top, a)
			return
		}
		if !okb {
			t.Errorf("%s imports package %s/%s, which has no layer", f.path, top, b)
			return
		}
		if fb > fa || fb == fa && a != "retention" && a != "keyring" && a != "usage" {
			t.Errorf("%s imports %s: layer %d may not import layer %d (imports only run down)", f.path, own, fa, fb)
		}
		if top == "firmware" && devices[a] && devices[b] {
			t.Errorf("%s imports %s: device packages never import one another; a hanging device must stay alone", f.path, own)
		}
	}
	check("firmware", firmwareLayer)
	check("cloud", cloudLayer)
}

// Rules are functions of values and an instant: a rule that asks the machine for the time cannot be replayed.
func TestRulesNeverAskForTheTime(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || !in(f.path, "shared") || in(f.path, "shared/cmd", "shared/lib/ui/bundle") {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "time" {
				switch sel.Sel.Name {
				case "Now", "Since", "Until", "After", "Tick", "NewTimer", "NewTicker", "Sleep", "AfterFunc":
					t.Errorf("%s uses time.%s: take a clock.Reading or an instant instead", f.path, sel.Sel.Name)
				}
			}
			return true
		})
	}
}

// I/O in a rule package would make its answer depend on the machine.
func TestRulesDoNoIO(t *testing.T) {
	banned := map[string]string{"os": "files and environment", "net": "network", "net/http": "network", "database/sql": "database", "os/exec": "processes", "syscall": "the kernel", "log/slog": "logs belong to the packages that act"}
	for _, f := range sources(t) {
		if f.test || !in(f.path, "shared") || in(f.path, "shared/cmd", "shared/lib/ui", "shared/lib/web") {
			continue
		}
		for _, im := range f.imports {
			if why, bad := banned[im]; bad {
				t.Errorf("%s imports %s: shared/ does no I/O (%s)", f.path, im, why)
			}
		}
	}
}

// A rule that starts a goroutine depends on who comes first. That none does is also why scripts/test runs the rule
// packages without the race detector.
func TestRulesStartNoGoroutine(t *testing.T) {
	for _, f := range sources(t) {
		if !in(f.path, "shared") || in(f.path, "shared/cmd", "shared/lib/ui", "shared/lib/web") {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s starts a goroutine", f.path)
			case *ast.SelectorExpr:
				if n.Sel.Name == "Go" {
					t.Errorf("%s uses a group's Go: it starts a goroutine", f.path)
				}
			}
			return true
		})
	}
}

// Only cmd reads flags, environment and configuration files, so that a test can start any package.
func TestOnlyCmdReadsFlagsAndEnvironment(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || in(f.path, "firmware/cmd", "cloud/cmd", "shared/cmd", "scripts", "shared/lib/ui/bundle") {
			continue
		}
		for _, im := range f.imports {
			if im == "flag" {
				t.Errorf("%s imports flag: only cmd/ reads flags", f.path)
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "os" {
					switch sel.Sel.Name {
					case "Getenv", "LookupEnv", "Args", "Environ", "Exit":
						t.Errorf("%s uses os.%s: only cmd/ does", f.path, sel.Sel.Name)
					}
				}
			}
			return true
		})
	}
}

// The top level is the whole plan: a newcomer sees six names.
func TestTopLevel(t *testing.T) {
	allowed := map[string]bool{"firmware": true, "cloud": true, "shared": true, "scripts": true, "go.mod": true, "go.sum": true, "README.md": true, "LICENSE": true, "bin": true}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !allowed[e.Name()] && !strings.HasPrefix(e.Name(), ".") {
			t.Errorf("%s at the top level: it holds firmware/ cloud/ shared/ scripts/ go.mod README.md (go.sum, LICENSE, dot files)", e.Name())
		}
	}
}

// time.Sleep in a test hides a missing condition and makes the run as slow as the slowest machine.
func TestTestsNeverSleep(t *testing.T) {
	for _, f := range sources(t) {
		if !f.test || f.path == "scripts/archtest/arch_test.go" {
			continue
		}
		usesSynctest := false
		for _, im := range f.imports {
			usesSynctest = usesSynctest || im == "testing/synctest"
		}
		if usesSynctest {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sleep" {
				if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "time" {
					t.Errorf("%s sleeps: wait for a condition or use testing/synctest", f.path)
				}
			}
			return true
		})
	}
}
