// Package config reads the TOML settings that a program needs before its store is open, and refuses
// everything it does not understand: file, line, key, value and what is allowed.
//
// It owns nothing and reads no file: the caller passes the text. Unknown keys, wrong types and values out
// of range are all reported together, so that one look at the message is enough to mend the file.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"sort"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Problem is one fault in a configuration file.
type Problem struct {
	File    string
	Line    int    // 0 when the key is missing
	Key     string // dotted, e.g. "office.listen"
	Value   string // as written; empty when missing
	Allowed string
}

func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	fmt.Fprintf(&b, ": %s", p.Key)
	if p.Value != "" {
		fmt.Fprintf(&b, " = %s", p.Value)
	} else if p.Line == 0 {
		b.WriteString(" is missing")
	}
	if p.Allowed != "" {
		fmt.Fprintf(&b, ": allowed: %s", p.Allowed)
	}
	return b.String()
}

// Problems is everything wrong with one file.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, x := range p {
		lines[i] = x.Error()
	}
	return strings.Join(lines, "\n")
}

// Checked is a configuration that knows its own rules beyond the types.
type Checked interface{ Check(*Report) }

// Report collects what Check finds.
type Report struct {
	file     string
	lines    map[string]located
	problems Problems
}

type located struct {
	line  int
	value string
}

// Reject notes that the value of a dotted key is not allowed. A key that is not in the file is
// reported as missing.
func (r *Report) Reject(key, allowed string) {
	at := r.lines[key]
	r.problems = append(r.problems, Problem{r.file, at.line, key, at.value, allowed})
}

// Decode reads text into the struct that into points to. Defaults are what the struct holds beforehand.
// The error is of type Problems when the text is at fault.
func Decode(file string, text []byte, into Checked) error {
	dec := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	lines := locate(string(text))
	err := dec.Decode(into)
	var strict *toml.StrictMissingError
	var wrong *toml.DecodeError
	switch {
	case err == nil:
	case errors.As(err, &strict):
		var ps Problems
		for _, e := range strict.Errors {
			row, _ := e.Position()
			key := strings.Join(e.Key(), ".")
			ps = append(ps, Problem{file, row, key, lines[key].value, "keys " + known(reflect.TypeOf(into), e.Key())})
		}
		return ps
	case errors.As(err, &wrong):
		row, _ := wrong.Position()
		key := strings.Join(wrong.Key(), ".")
		if key == "" {
			key = keyAt(lines, row)
		}
		return Problems{{file, row, key, lines[key].value, describe(reflect.TypeOf(into), strings.Split(key, "."), wrong)}}
	default:
		return fmt.Errorf("read configuration %s: %w", file, err)
	}
	r := &Report{file: file, lines: lines}
	into.Check(r)
	if len(r.problems) > 0 {
		return r.problems
	}
	return nil
}

// locate finds the line and the written value of every simple `key = value` line, by dotted key. It serves
// messages only; the parser is the TOML library.
func locate(text string) map[string]located {
	out := map[string]located{}
	table := ""
	for i, line := range strings.Split(text, "\n") {
		s := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(s, "["):
			table = strings.Trim(strings.SplitN(s, "#", 2)[0], "[] \t") + "."
		case s == "" || s[0] == '#':
		default:
			k, v, ok := strings.Cut(s, "=")
			if ok {
				v = strings.TrimSpace(v)
				if at := strings.Index(v, " #"); at >= 0 {
					v = strings.TrimSpace(v[:at])
				}
				out[table+strings.TrimSpace(k)] = located{i + 1, v}
			}
		}
	}
	return out
}

func keyAt(lines map[string]located, row int) string {
	for k, at := range lines {
		if at.line == row {
			return k
		}
	}
	return "(syntax)"
}

// field walks a dotted key through the struct; the last found type and whether the walk reached the end.
func field(t reflect.Type, path []string) (reflect.Type, bool) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if len(path) == 0 {
		return t, true
	}
	if t.Kind() != reflect.Struct {
		return t, false
	}
	for i := range t.NumField() {
		if tag, _, _ := strings.Cut(t.Field(i).Tag.Get("toml"), ","); tag == path[0] {
			return field(t.Field(i).Type, path[1:])
		}
	}
	return t, false
}

func known(t reflect.Type, path []string) string {
	parent, ok := field(t, path[:len(path)-1])
	if !ok || parent.Kind() != reflect.Struct {
		parent, _ = field(t, nil)
	}
	var keys []string
	for i := range parent.NumField() {
		if tag, _, _ := strings.Cut(parent.Field(i).Tag.Get("toml"), ","); tag != "" && tag != "-" {
			keys = append(keys, tag)
		}
	}
	sort.Strings(keys)
	return strings.Join(keys, ", ")
}

func describe(t reflect.Type, path []string, wrong *toml.DecodeError) string {
	ft, ok := field(t, path)
	if !ok {
		return wrong.Error()
	}
	if reflect.PointerTo(ft).Implements(reflect.TypeFor[interface{ UnmarshalText([]byte) error }]()) {
		return strings.TrimPrefix(wrong.Error(), "toml: ")
	}
	switch ft.Kind() {
	case reflect.String:
		return "a string in quotes"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64, reflect.Uint, reflect.Uint64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Struct:
		return "a table"
	}
	return wrong.Error()
}
