// Package sheet reads spreadsheets that people fill in, as the cells are stored and not as they are shown.
//
// It reads them piece by piece: a small file fills neither the memory nor the time, whatever it claims to hold. It
// must never guess: an old format, a file that is none and a number that lost digits are distinguished, for the page
// to say what to do.
package sheet

import (
	"bytes"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// What is wrong with a file: keys of the text catalogue.
const (
	TooBig = "err.file_big"    // takes the limit in MB
	Large  = "err.sheet_large" // more rows, columns or text than are taken
	OldXLS = "err.xls_old"
	NoXLSX = "err.xlsx"
)

// Read gives the cells of the first sheet of an .xlsx file of at most most bytes, unpacked at most unpacked; or what
// is wrong with the file. Dates are written 2017-09-14 whatever the sheet counts from; numbers that must have lost
// digits 4.2E+17, so that a reader refuses them with the reason and not with a check digit that does not match. What
// cannot be seen (zero width, direction marks, a leading apostrophe) is not there; merged cells go on downwards.
func Read(b []byte, most int, unpacked int64, dated func(heading string) bool) (cells [][]string, rule string) {
	switch {
	case len(b) > most:
		return nil, TooBig
	case bytes.HasPrefix(b, []byte("\xd0\xcf\x11\xe0")):
		return nil, OldXLS
	}
	k, err := openBook(b, unpacked, dated)
	if err == nil {
		cells, err = k.cells()
	}
	switch {
	case errors.Is(err, errLarge):
		return nil, Large
	case err != nil:
		return nil, NoXLSX
	}
	return cells, ""
}

// headingsWithin is how far down headings are looked for: titles are above them.
const headingsWithin = 10

var escaped = regexp.MustCompile(`_x[0-9A-Fa-f]{4}_`)

// clean takes away what people do not see.
func clean(s string) string {
	if strings.Contains(s, "_x") {
		s = escaped.ReplaceAllStringFunc(s, func(x string) string {
			n, err := strconv.ParseUint(x[2:6], 16, 16)
			if err != nil {
				return x
			}
			return string(rune(n))
		})
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Cf, r):
			return -1
		case r == '\u00A0' || r >= '\u2000' && r <= '\u200A' || r == '\u202F':
			return ' '
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	if len(s) > 1 && s[0] == '\'' {
		s = strings.TrimSpace(s[1:])
	}
	return s
}
