// Package ui is the look and the words that the appliance's pages and the centre's console share: design
// tokens, page frame, form, table and note parts, icons, browser code, and the zh-CN and en catalogues.
//
// It owns the embedded browser files and text catalogues and starts nothing; a page hands it a typed
// view and gets HTML. It must never decide anything: no permission, no rule, no clock.
package ui

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// Lang is a language of the catalogue.
type Lang string

// The languages there are. Chinese is the default everywhere.
const (
	Chinese Lang = "zh-CN"
	English Lang = "en"
)

// Langs lists the languages, the default first.
var Langs = []Lang{Chinese, English}

// ParseLang reads a language code; ok is false for one that has no catalogue.
func ParseLang(s string) (lang Lang, ok bool) {
	for _, l := range Langs {
		if string(l) == s {
			return l, true
		}
	}
	return Chinese, false
}

//go:embed text/*/*.json
var textFiles embed.FS

// catalogue holds every text by language and key: text/<language>/<subject>.json merged.
var catalogue = func() map[Lang]map[string]string {
	m, err := readCatalogue(textFiles)
	if err != nil {
		panic(err) // embedded: a program with a faulty catalogue is not built, because the tests fail
	}
	return m
}()

// readCatalogue merges the files of each language. A key that two subjects give, or that only one
// language has, is an error.
func readCatalogue(files fs.FS) (map[Lang]map[string]string, error) {
	m := map[Lang]map[string]string{}
	for _, l := range Langs {
		names, err := fs.Glob(files, "text/"+string(l)+"/*.json")
		if err != nil {
			return nil, err
		}
		m[l] = map[string]string{}
		for _, name := range names {
			b, err := fs.ReadFile(files, name)
			if err != nil {
				return nil, err
			}
			t := map[string]string{}
			if err := json.Unmarshal(b, &t); err != nil {
				return nil, fmt.Errorf("read %s: %w", name, err)
			}
			for key, text := range t {
				if _, ok := m[l][key]; ok {
					return nil, fmt.Errorf("read %s: another subject has %s too", name, key)
				}
				m[l][key] = text
			}
		}
	}
	for _, l := range Langs {
		for key := range m[l] {
			for _, other := range Langs {
				if _, ok := m[other][key]; !ok {
					return nil, fmt.Errorf("text %s: %s has it, %s lacks it", key, l, other)
				}
			}
		}
	}
	return m, nil
}

// Has says whether the catalogue knows the key.
func Has(key string) bool { _, ok := catalogue[Chinese][key]; return ok }

// T is the text of a key in a language, with {0}, {1} … replaced by the arguments as people write them.
// English plurals: {0|entry|entries} picks by the argument 0. {0#} is an identifier such as the number
// of a log entry: its digits are not grouped. A key that is missing shows as ⟦key⟧; the
// tests look for that mark on every page.
func T(lang Lang, key string, args ...any) string { return Printer{Lang: lang}.T(key, args...) }

// T is like the function T, with dates in the printer's zone.
func (p Printer) T(key string, args ...any) string {
	s, ok := catalogue[p.Lang][key]
	if !ok {
		return "⟦" + key + "⟧"
	}
	return p.fill(s, args)
}

// K is the text of a code from a closed list, e.g. K "role." "security_officer". A code that the
// catalogue does not know shows as itself: it comes from data, perhaps of a newer version.
func (p Printer) K(prefix string, code any) string {
	c := fmt.Sprint(code)
	if s, ok := catalogue[p.Lang][prefix+c]; ok {
		return s
	}
	return c
}

func (p Printer) fill(s string, args []any) string {
	if !strings.Contains(s, "{") {
		return s
	}
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '{')
		if i < 0 {
			break
		}
		j := strings.IndexByte(s[i:], '}')
		if j < 0 {
			break
		}
		b.WriteString(s[:i])
		field := s[i+1 : i+j]
		s = s[i+j+1:]
		num, forms, plural := strings.Cut(field, "|")
		num, identifier := strings.CutSuffix(num, "#")
		n, err := strconv.Atoi(num)
		switch {
		case err != nil || n < 0 || n >= len(args):
			b.WriteString("{" + field + "}")
		case plural:
			one, many, _ := strings.Cut(forms, "|")
			if fmt.Sprint(args[n]) == "1" {
				b.WriteString(one)
			} else {
				b.WriteString(many)
			}
		case identifier:
			b.WriteString(fmt.Sprint(args[n]))
		default:
			b.WriteString(p.arg(args[n]))
		}
	}
	b.WriteString(s)
	return b.String()
}

func (p Printer) arg(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int:
		return p.Int(int64(v))
	case int64:
		return p.Int(v)
	case uint64:
		return p.Int(int64(v))
	case time.Time:
		return p.DayTime(v)
	case time.Duration:
		return p.Words(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []string:
		return strings.Join(v, p.T("sep.list"))
	}
	return fmt.Sprint(v)
}
