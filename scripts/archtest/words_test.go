package archtest

import (
	"cmp"
	"go/ast"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// banned are words that mean nothing in this field, with what to write instead. One meaning per word: a reader who knows
// cameras, Go and record keeping must not have to learn a vocabulary of ours first.
var banned = map[string]string{
	"house":   "appliance, repository, or env for a test harness",
	"houses":  "appliances",
	"rooms":   "packages",
	"door":    "access path, log-in",
	"doors":   "access paths",
	"papers":  "certificates, reports, documents",
	"desk":    "the name of the lock: stepMu",
	"ear":     "audio track",
	"mouth":   "audio source",
	"story":   "gap cache, log",
	"reel":    "loop of footage",
	"town":    "centre process",
	"glimpse": "index fields",
	"glance":  "parse",
	"sliver":  "tolerance",
	"stir":    "wake",
	"lamps":   "panel",
	"deaf":    "refused audio",
	"hush":    "silent",
	"whoever": "the person who, anyone who",
	"anew":    "again",
}

// bannedNames are refused in identifiers and file names; in a sentence the word may be the right one.
var bannedNames = map[string]string{
	"keeping":  "retention, extension, storage",
	"retpaper": "the report that is printed",
	"desk":     "stepMu",
	"ear":      "audioTrack",
	"voice":    "audioTrack, source",
	"glimpse":  "index fields",
}

// bannedPhrases are refused in comments.
var bannedPhrases = map[string]string{
	"is told":    "is reported, gets",
	"are told":   "are reported, get",
	"past us":    "outside the appliance",
	"this room":  "this package",
	"other room": "other package",
	"stands for": "represents",
	"stood":      "was",
}

// storedNames keep a banned word because they are stored or sent, by identifier.
var storedNames = map[string]string{
	"AreaDormitoryRoom": "a code of the list of areas",
}

var commentWord = regexp.MustCompile(`[a-z]+`)

// humps splits an identifier: ANewRow is a, new, row.
func humps(name string) (out []string) {
	start := 0
	rs := []rune(name)
	for i := 1; i <= len(rs); i++ {
		if i < len(rs) && rs[i] != '_' {
			next := i+1 < len(rs) && unicode.IsLower(rs[i+1])
			if !unicode.IsUpper(rs[i]) || unicode.IsUpper(rs[i-1]) && !next {
				continue
			}
		}
		out = append(out, strings.ToLower(strings.Trim(string(rs[start:i]), "_")))
		start = i
	}
	return out
}

// A word of our own makes a stranger guess. Identifiers and comments use the words of the field.
func TestWordsOfTheField(t *testing.T) {
	for _, f := range sources(t) {
		if f.path == "scripts/archtest/words_test.go" {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			if !ok || storedNames[id.Name] != "" {
				return true
			}
			for _, w := range humps(id.Name) {
				if instead := cmp.Or(banned[w], bannedNames[w]); instead != "" {
					t.Errorf("%s: identifier %s has the word %q: write %s", f.path, id.Name, w, instead)
				}
			}
			return true
		})
		for _, g := range f.ast.Comments {
			text := " " + strings.Join(commentWord.FindAllString(strings.ToLower(g.Text()), -1), " ") + " "
			for _, w := range strings.Fields(text) {
				if instead := banned[w]; instead != "" {
					t.Errorf("%s: comment %.60q has the word %q: write %s", f.path, text, w, instead)
				}
			}
			for phrase, instead := range bannedPhrases {
				if strings.Contains(text, " "+phrase+" ") {
					t.Errorf("%s: comment %.60q has %q: write %s", f.path, text, phrase, instead)
				}
			}
		}
	}
}

// Files are named in the same words.
func TestNamesOfFiles(t *testing.T) {
	banned, n := maps.Clone(banned), 0
	maps.Copy(banned, bannedNames)
	for _, top := range []string{"firmware", "cloud", "shared", "scripts"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && (d.Name() == "node_modules" || d.Name() == "dist"):
				return filepath.SkipDir
			}
			n++
			for _, w := range commentWord.FindAllString(strings.ToLower(d.Name()), -1) {
				for word, instead := range banned {
					if w == word || len(word) > 3 && strings.HasSuffix(w, word) && w != "history" {
						t.Errorf("%s has the word %q in its name: write %s", path, word, instead)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n < 1000 {
		t.Errorf("only %d files were looked at", n)
	}
}
