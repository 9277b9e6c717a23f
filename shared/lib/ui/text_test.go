package ui

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/usage"
)

const root = "../../.."

// Both catalogues hold the same keys, each once, each with a text and the same places for arguments.
func TestTheCataloguesAgree(t *testing.T) {
	place := regexp.MustCompile(`\{\d+`)
	for _, l := range Langs {
		names, err := fs.Glob(textFiles, "text/"+string(l)+"/*.json")
		if err != nil || len(names) < 10 {
			t.Fatalf("files of %s: %v %v", l, names, err)
		}
		for _, name := range names {
			b, err := textFiles.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := textFiles.ReadFile("text/" + string(Langs[0]) + "/" + path.Base(name)); err != nil {
				t.Errorf("%s: the other language has no such file", name)
			}
			d := json.NewDecoder(strings.NewReader(string(b)))
			var keys []string
			for n := 0; ; n++ {
				tok, err := d.Token()
				if err != nil {
					break
				}
				if s, ok := tok.(string); ok && n%2 == 1 {
					if slices.Contains(keys, s) {
						t.Errorf("%s: %s is there twice", name, s)
					}
					keys = append(keys, s)
				}
			}
			if !slices.IsSorted(keys) {
				t.Errorf("%s: keys are not sorted", name)
			}
		}
	}
	for key, zh := range catalogue[Chinese] {
		en, ok := catalogue[English][key]
		if !ok {
			t.Errorf("%s has no English text", key)
			continue
		}
		// A measure word after a number has no English.
		if strings.TrimSpace(zh) == "" || strings.TrimSpace(en) == "" && !strings.HasPrefix(key, "unit.") {
			t.Errorf("%s is empty", key)
		}
		a, b := place.FindAllString(zh, -1), place.FindAllString(en, -1)
		slices.Sort(a)
		slices.Sort(b)
		if !slices.Equal(slices.Compact(a), slices.Compact(b)) {
			t.Errorf("%s takes %v in Chinese and %v in English", key, a, b)
		}
		if strings.ContainsAny(zh, "！!") || strings.Contains(zh, "请稍候") || strings.Contains(zh, "您好") {
			t.Errorf("%s: %q is not how this house speaks", key, zh)
		}
	}
	for key := range catalogue[English] {
		if _, ok := catalogue[Chinese][key]; !ok {
			t.Errorf("%s has no Chinese text", key)
		}
	}
}

// The loader refuses a key that two subjects give and a key that one language lacks.
func TestTheLoaderRefusesDoubleAndMissingKeys(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	good := fstest.MapFS{
		"text/zh-CN/a.json": file(`{"a.x": "甲"}`), "text/zh-CN/b.json": file(`{"b.x": "乙"}`),
		"text/en/a.json": file(`{"a.x": "A"}`), "text/en/b.json": file(`{"b.x": "B"}`),
	}
	m, err := readCatalogue(good)
	if err != nil || m[Chinese]["b.x"] != "乙" || m[English]["a.x"] != "A" {
		t.Fatalf("merged: %v, %v", m, err)
	}
	for name, change := range map[string]string{
		"text/en/b.json":    `{"b.x": "B", "a.x": "A"}`,
		"text/zh-CN/b.json": `{"b.x": "乙", "b.y": "丙"}`,
		"text/en/a.json":    `{}`,
		"text/zh-CN/a.json": `{`,
	} {
		t.Run(name, func(t *testing.T) {
			bad := maps.Clone(good)
			bad[name] = file(change)
			if _, err := readCatalogue(bad); err == nil {
				t.Errorf("%s with %s was accepted", name, change)
			}
		})
	}
}

// Every key that a template or the code names is in the catalogue.
func TestNoKeyIsMissing(t *testing.T) {
	used := map[string]string{}
	inTemplate := regexp.MustCompile(`\bT "([^"]+)"`)
	// Codes that are keys wherever they stand: faults of forms, refusals of the permission table.
	always := regexp.MustCompile(`^(err|may|conflict)\.[a-z0-9_.]+$`)
	for _, top := range []string{"firmware", "cloud", "shared"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				if err == nil && (d.Name() == "node_modules" || d.Name() == "testdata") {
					return filepath.SkipDir
				}
				return err
			}
			switch {
			case strings.HasSuffix(p, ".html"):
				b, err := os.ReadFile(p)
				if err != nil {
					return err
				}
				for _, m := range inTemplate.FindAllSubmatch(b, -1) {
					used[string(m[1])] = p
				}
			case strings.HasSuffix(p, ".go") && !strings.HasSuffix(p, "_test.go"):
				return keysOf(p, always, used)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(used) < 300 {
		t.Fatalf("only %d keys found: the test looks in the wrong place", len(used))
	}
	for key, where := range used {
		if !Has(key) && !strings.HasSuffix(key, ".") {
			t.Errorf("%s names %q, which the catalogue does not know", where, key)
		}
	}
}

// keysOf collects the keys that a Go file names: literals handed to T, and codes that are keys.
func keysOf(path string, always *regexp.Regexp, used map[string]string) error {
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			name := ""
			switch fun := n.Fun.(type) {
			case *ast.SelectorExpr:
				name = fun.Sel.Name
			case *ast.Ident:
				name = fun.Name
			}
			if name == "T" {
				for _, a := range n.Args[:min(2, len(n.Args))] {
					if lit, ok := a.(*ast.BasicLit); ok && lit.Kind == token.STRING {
						if s, err := strconv.Unquote(lit.Value); err == nil && strings.Contains(s, ".") {
							used[s] = path
						}
						break
					}
				}
			}
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				if s, err := strconv.Unquote(n.Value); err == nil && always.MatchString(s) {
					used[s] = path
				}
			}
		}
		return true
	})
	return nil
}

// Every code of a closed list that pages show has its words.
func TestEveryCodeHasItsWords(t *testing.T) {
	var keys []string
	add := func(prefix string, codes ...string) {
		for _, c := range codes {
			keys = append(keys, prefix+c)
		}
	}
	for k := range ledger.Kinds {
		add("kind.", string(k))
	}
	for _, s := range usage.AllStates {
		add("state.", string(s))
		add("plain.", string(s.Plain()))
	}
	for _, e := range usage.AllEvents {
		add("event.", string(e))
	}
	for _, p := range usage.AllPurposes {
		add("purpose.", string(p))
		add("purpose.papers.", string(p))
	}
	for _, w := range usage.AllWays {
		add("way.", string(w))
		add("way.hint.", string(w))
	}
	for _, u := range usage.AllUndertakings {
		add("undertaking.", string(u))
	}
	add("reject.", usage.AllRejections...)
	for _, a := range slices.Concat(footage.Areas, footage.PrivateAreas) {
		add("area.", string(a))
	}
	for _, o := range attendance.Outcomes {
		keys = append(keys, o.Key())
	}
	for _, c := range []footage.Cause{footage.CauseCameraOff, footage.CauseNetwork, footage.CauseStalled, footage.CauseLogin, footage.CauseSignal, footage.CauseNoKey, footage.CauseNoSets, footage.CauseBadSets, footage.CauseFailed, footage.CauseOverload, footage.CauseDisk, footage.CauseClock,
		footage.CauseStart, footage.CauseRestart, footage.CausePowerOff, footage.CauseDamaged, footage.CauseLost, footage.CauseSetup, footage.CauseBreach, footage.CauseFull, footage.CausePaused, footage.CauseUnknown} {
		add("gap.", string(c))
		add("gap.char.", string(c))
	}
	for _, r := range []account.Role{account.RoleStaff, account.RoleOfficer, account.RoleHeadOfSafety, account.RoleLeader, account.RoleClassTeacher, account.RoleSubjectTeacher, account.RoleGradeHead,
		account.RoleDoctor, account.RoleCounsellor, account.RoleParent, account.RoleAuditor, account.RoleAdmin, account.RoleInstaller} {
		add("role.", string(r))
		add("role.hint.", string(r))
	}
	for _, k := range keys {
		if !Has(k) {
			t.Errorf("the catalogue lacks %s", k)
		}
	}
}

func TestTexts(t *testing.T) {
	for _, x := range []struct{ got, want string }{
		{T(Chinese, "form.faults", 2), "还有 2 处需要处理："},
		{T(English, "form.faults", 1), "1 field needs attention: "},
		{T(English, "form.faults", 2), "2 fields need attention: "},
		{T(Chinese, "no.such.key"), "⟦no.such.key⟧"},
		{Printer{Lang: Chinese}.fill("{0}{5}{x}", []any{"a"}), "a{5}{x}"},
		{Printer{Lang: Chinese}.fill("{0}，{1}，{2}", []any{184233, []string{"甲", "乙"}, 90 * time.Minute}), "184,233，甲、乙，1 小时 30 分钟"},
		{Printer{Lang: Chinese}.fill("日志第{0#}条，共 {0} 条", []any{uint64(4487)}), "日志第4487条，共 4,487 条"},
		{Printer{Lang: Chinese}.K("role.", "future_role"), "future_role"},
	} {
		if x.got != x.want {
			t.Errorf("%q, want %q", x.got, x.want)
		}
	}
}

// Whatever is in a text or its arguments, filling it in does no harm.
func FuzzFill(f *testing.F) {
	f.Add("{0} of {1|one|many}", "x")
	f.Add("{", "}")
	f.Fuzz(func(t *testing.T, text, arg string) {
		_ = Printer{Lang: English}.fill(text, []any{arg, 1})
	})
}
