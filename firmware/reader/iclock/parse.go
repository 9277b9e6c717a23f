package iclock

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Bounds of one delivery.
const (
	maxLines    = 5000
	maxLine     = 256 // bytes
	maxUser     = 20  // digits of a user number
	timeLayout  = "2006-01-02 15:04:05"
	maxStamp    = 20
	maxVendor   = 64
	minYear     = 1990
	maxYear     = 2199
	leastFields = 2
)

// errLines: more lines than a terminal is to send at once.
var errLines = errors.New("more lines than are taken at once")

// attLine is one line of the table ATTLOG. Its in/out key is not kept: terminals are set to the wrong one, so the first and
// the last mark of a day decide.
type attLine struct {
	User   uint64
	Said   time.Time
	Verify string
}

// key is what tells marks of one card at one instant apart.
func (l attLine) key() string { return l.Verify }

// parseAttLog reads the lines of the table ATTLOG: user number, local time, in/out key, way of identifying. Lines that
// cannot be read are counted.
func parseAttLog(body []byte, zone *time.Location) (lines []attLine, bad int, err error) {
	n := 0
	for raw := range bytes.SplitSeq(body, []byte("\n")) {
		raw = bytes.Trim(raw, "\r\x00 ")
		if len(raw) == 0 {
			continue
		}
		if n++; n > maxLines {
			return nil, 0, errLines
		}
		l, ok := parseAttLine(raw, zone)
		if !ok {
			bad++
			continue
		}
		lines = append(lines, l)
	}
	return lines, bad, nil
}

func parseAttLine(raw []byte, zone *time.Location) (l attLine, ok bool) {
	if len(raw) > maxLine {
		return l, false
	}
	f := strings.Split(string(raw), "\t")
	if len(f) < leastFields {
		return l, false
	}
	user := strings.TrimSpace(f[0])
	n, err := strconv.ParseUint(user, 10, 64)
	if err != nil || n == 0 || len(user) > maxUser {
		return l, false
	}
	at, err := time.ParseInLocation(timeLayout, strings.TrimSpace(f[1]), zone)
	if err != nil || at.Year() < minYear || at.Year() > maxYear {
		return l, false
	}
	l = attLine{User: n, Said: at.UTC()}
	if len(f) > 3 {
		l.Verify = code(f[3])
	}
	return l, true
}

// code is a number of the terminal as far as it is one; else nothing.
func code(s string) string {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 16)
	if err != nil {
		return ""
	}
	return strconv.FormatUint(n, 10)
}

// lineCounter counts the lines of what is written to it, and keeps nothing.
type lineCounter struct {
	n    int
	open bool // a line has begun
}

func (c *lineCounter) Write(b []byte) (int, error) {
	for _, x := range b {
		switch {
		case x == '\n' && c.open:
			c.n, c.open = c.n+1, false
		case x != '\n' && x != '\r' && x != 0 && x != ' ':
			c.open = true
		}
	}
	return len(b), nil
}

func (c *lineCounter) lines() int {
	if c.open {
		return c.n + 1
	}
	return c.n
}

// stampOf is a stamp of the terminal: digits, or nothing.
func stampOf(s string) string {
	if len(s) == 0 || len(s) > maxStamp || strings.Trim(s, "0123456789") != "" {
		return ""
	}
	return s
}

// vendorOf is what the terminal says of itself, as far as it can be shown: version and model.
func vendorOf(s string) string {
	s, _, _ = strings.Cut(s, ",")
	out := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(out[:min(len(out), maxVendor)])
}

// options is the answer to a terminal that asks how it is to work. No time zone is in it: some terminals take it for
// hours, some for minutes, and put their clock wrong by it.
func options(serial, stamp, version string) string {
	flags := "TransData AttLog"
	if version == "" || strings.HasPrefix(version, "1.") || version == "2.0" {
		flags = "1000000000" // bits; the first is the log of attendance
	}
	if stamp == "" {
		stamp = "0"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "GET OPTION FROM: %s\r\n", serial)
	for _, o := range [][2]string{{"ATTLOGStamp", stamp}, {"Stamp", stamp}, {"OPERLOGStamp", "9999"}, {"OpStamp", "9999"}, {"ATTPHOTOStamp", "9999"}, {"PhotoStamp", "9999"},
		{"ErrorDelay", "30"}, {"Delay", "10"}, {"TransTimes", "00:00;14:05"}, {"TransInterval", "1"}, {"TransFlag", flags}, {"Realtime", "1"}, {"Encrypt", "None"}} {
		b.WriteString(o[0] + "=" + o[1] + "\r\n")
	}
	return b.String()
}
