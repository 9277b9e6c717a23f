package hikvision

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"campuskeep/firmware/nvr/driver"
)

const (
	maxDepth    = 32
	maxElements = 200_000
	maxExcerpt  = 400 // characters of an answer that is not understood
)

// parse reads exactly one document with this root element, in whatever name space: NVRs use several. What it does not
// take it refuses with what came.
func parse(what string, b []byte, root string, into any) error {
	text := clean(b)
	err := shape(text, root)
	if err == nil {
		err = decoder(text).Decode(into)
	}
	if err != nil {
		return &driver.AnswerError{What: what, Why: err.Error(), Got: excerpt(b)}
	}
	return nil
}

// odd is what an NVR writes in place of what XML allows: in a name that somebody typed, a byte of another encoding, a
// control character or a bare ampersand. It becomes U+FFFD, so that it costs the name a character and no document, and
// so that no number or time is read out of it.
var (
	oddRune      = regexp.MustCompile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
	oddReference = regexp.MustCompile(`&#(?:0*(?:[0-8]|1[124-9]|2[0-9]|3[01])|x0*(?:[0-8bBcCeEfF]|1[0-9a-fA-F]));`)
	ampersand    = regexp.MustCompile(`&(?:#[0-9]{1,7};|#x[0-9a-fA-F]{1,6};|(?:amp|lt|gt|quot|apos);)?`)
)

// clean makes a document one that can be read.
func clean(b []byte) []byte {
	b = bytes.TrimRight(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), "\x00 \t\r\n")
	b = bytes.ToValidUTF8(b, []byte("\ufffd"))
	b = oddRune.ReplaceAll(b, []byte("\ufffd"))
	b = oddReference.ReplaceAll(b, []byte("\ufffd"))
	return ampersand.ReplaceAllFunc(b, func(m []byte) []byte {
		if len(m) == 1 {
			return []byte("&amp;")
		}
		return m
	})
}

// decoder reads a clean document, which is UTF-8 whatever it says of itself.
func decoder(b []byte) *xml.Decoder {
	d := xml.NewDecoder(bytes.NewReader(b))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	return d
}

// maxName is how much of a name counts.
const maxName = 64

// name makes printable what somebody has typed into an NVR.
func name(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) && r != ' ' {
			return -1
		}
		return r
	}, s)
	r := []rune(strings.TrimSpace(s))
	return string(r[:min(len(r), maxName)])
}

// shape checks the document as a whole before anything is read from it.
func shape(b []byte, root string) error {
	d := decoder(b)
	depth, elements, roots := 0, 0, 0
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if depth == 0 {
				if roots++; roots > 1 {
					return errors.New("more than one document")
				}
				if t.Name.Local != root {
					return fmt.Errorf("<%s> where <%s> was asked for", t.Name.Local, root)
				}
			}
			depth++
			elements++
			if depth > maxDepth || elements > maxElements {
				return errors.New("nested too deeply or too large")
			}
		case xml.EndElement:
			depth--
		case xml.Directive:
			return errors.New("a document type declaration")
		case xml.CharData:
			if depth == 0 && len(bytes.TrimSpace(bytes.TrimPrefix(t, []byte("\ufeff")))) > 0 {
				return errors.New("text outside the document")
			}
		}
	}
	if roots == 0 {
		return errors.New("no document")
	}
	return nil
}

// excerpt is the beginning of an answer, safe to print.
func excerpt(b []byte) string {
	var s strings.Builder
	n := 0
	for _, r := range strings.ToValidUTF8(string(b[:min(len(b), 4*maxExcerpt)]), "?") {
		if !unicode.IsPrint(r) {
			r = ' '
		}
		s.WriteRune(r)
		if n++; n == maxExcerpt {
			break
		}
	}
	return s.String()
}

type responseStatus struct {
	Code int    `xml:"statusCode"`
	Text string `xml:"statusString"`
	Sub  string `xml:"subStatusCode"`
}

var stampForm = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:\.\d{1,9})?(Z|[+-]\d{2}:\d{2})?$`)

// parseStamp reads a time as NVRs write it: with Z, with a distance from UTC, or with nothing behind it.
func parseStamp(s string) (driver.Stamp, error) {
	m := stampForm.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return driver.Stamp{}, fmt.Errorf("time %q not understood", excerpt([]byte(s)))
	}
	at, err := time.Parse(time.DateTime, m[1]+" "+m[2])
	if err != nil {
		return driver.Stamp{}, fmt.Errorf("time %q: no such time", excerpt([]byte(s)))
	}
	out := driver.Stamp{Digits: at}
	switch {
	case m[3] == "Z":
		out.Mark = driver.MarkZ
	case m[3] != "":
		h, _ := strconv.Atoi(m[3][1:3]) // digits by the form
		mi, _ := strconv.Atoi(m[3][4:6])
		if h > 14 || mi > 59 {
			return driver.Stamp{}, fmt.Errorf("time %q: no such distance from UTC", s)
		}
		out.Mark, out.Offset = driver.MarkOffset, time.Duration(h)*time.Hour+time.Duration(mi)*time.Minute
		if m[3][0] == '-' {
			out.Offset = -out.Offset
		}
	}
	return out, nil
}

// writeStamp writes digits as searches take them.
func writeStamp(s driver.Stamp) string { return s.Digits.Format("2006-01-02T15:04:05") + "Z" }

// playForm is how digits are in the address of a playback.
const playForm = "20060102T150405Z"

var playStart = regexp.MustCompile(`[?&]starttime=(\d{8}T\d{6})Z?(?:&|$)`)

// playStamp finds in the address that an NVR gives for a record how it would ask for it. Nothing else of that address
// is ever used.
func playStamp(uri string) (driver.Stamp, error) {
	if uri == "" {
		return driver.Stamp{}, nil
	}
	m := playStart.FindStringSubmatch(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1 // some break the address over lines
		}
		return r
	}, uri))
	if m == nil {
		return driver.Stamp{}, nil
	}
	at, err := time.Parse("20060102T150405", m[1])
	if err != nil {
		return driver.Stamp{}, fmt.Errorf("playback time %q: no such time", m[1])
	}
	return driver.Stamp{Digits: at, Mark: driver.MarkZ}, nil
}

var durationForm = regexp.MustCompile(`^P(\d{1,5})D(?:T(\d{1,3})H)?$`)

// parseKeep reads how long a track is kept.
func parseKeep(s string) (time.Duration, error) {
	m := durationForm.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return 0, fmt.Errorf("duration %q not understood", excerpt([]byte(s)))
	}
	days, _ := strconv.Atoi(m[1]) // digits by the form, none is 0
	hours, _ := strconv.Atoi(m[2])
	return time.Duration(days)*24*time.Hour + time.Duration(hours)*time.Hour, nil
}
