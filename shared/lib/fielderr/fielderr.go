// Package fielderr carries what is wrong with a form, a configuration or a row: which field, which rule.
//
// It owns nothing. The rule is a key of the text catalogue, so that the page and the command line say
// the same in the reader's language; it must never carry the offending personal value itself.
package fielderr

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Error is one field's fault.
type Error struct {
	Field string // name of the form field, e.g. "from"
	Rule  string // key of the text catalogue, e.g. "err.from_after_to"
	Args  []any  // what the text needs: limits, allowed values
}

func (e Error) Error() string {
	if len(e.Args) == 0 {
		return e.Field + ": " + e.Rule
	}
	return fmt.Sprintf("%s: %s %v", e.Field, e.Rule, e.Args)
}

// Errors is all that is wrong; nil or empty means nothing.
type Errors []Error

func (e Errors) Error() string {
	s := make([]string, len(e))
	for i, x := range e {
		s[i] = x.Error()
	}
	return strings.Join(s, "; ")
}

// Add notes a fault.
func (e *Errors) Add(field, rule string, args ...any) {
	*e = append(*e, Error{field, rule, args})
}

// CheckText notes what a field of at most so many characters must not hold; lines says whether it may be broken into lines.
func (e *Errors) CheckText(field, s string, most int, lines bool) {
	switch {
	case utf8.RuneCountInString(s) > most:
		e.Add(field, "err.too_long", most)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && !(lines && strings.ContainsRune("\r\n\t", r)) }):
		e.Add(field, "err.characters")
	}
}

// Err is the list as an error, nil when it is empty.
func (e Errors) Err() error {
	if len(e) == 0 {
		return nil
	}
	return e
}
