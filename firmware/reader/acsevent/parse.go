package acsevent

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"campuskeep/shared/attendance"
)

const (
	pageSize  = 30 // the most that terminals give at once
	majorCard = 5  // events of identification and of the lock
	maxText   = 64
)

// The events of identification that succeeded; the others of their group are refusals and the lock.
var identified = map[int]bool{1: true, 38: true, 75: true} // card, finger, face

// errAnswer: the terminal answers what is not understood.
var errAnswer = errors.New("the answer is not understood")

// condition is a search, as it is sent.
type condition struct {
	SearchID string `json:"searchID"` // another one for each search: some refuse one that they know
	Position int    `json:"searchResultPosition"`
	Max      int    `json:"maxResults"`
	Major    int    `json:"major"` // some refuse a search without it
	Minor    int    `json:"minor"`
	Start    string `json:"startTime"`
	End      string `json:"endTime"`
	Begin    int64  `json:"beginSerialNo,omitempty"`
	Last     int64  `json:"endSerialNo,omitempty"`
}

// page is one answer to a search.
type page struct {
	Total  int
	More   bool
	Events []event
	Bad    int // entries that cannot be read
}

// event is one entry of a terminal's memory.
type event struct {
	Serial       int64
	Major, Minor int
	Time         stated
	Card         string
	Employee     string
}

// answer is what comes; whatever is missing or of another type makes it none.
type answer struct {
	AcsEvent *struct {
		Total  *int              `json:"totalMatches"`
		Status string            `json:"responseStatusStrg"`
		List   []json.RawMessage `json:"InfoList"`
	} `json:"AcsEvent"`
}

type info struct {
	Serial   *int64 `json:"serialNo"`
	Major    int    `json:"major"`
	Minor    int    `json:"minor"`
	Time     string `json:"time"`
	Card     string `json:"cardNo"`
	Employee string `json:"employeeNoString"`
}

func parsePage(b []byte) (p page, err error) {
	var a answer
	if err := json.Unmarshal(b, &a); err != nil {
		return p, fmt.Errorf("%w: %w", errAnswer, err)
	}
	if a.AcsEvent == nil || a.AcsEvent.Total == nil || *a.AcsEvent.Total < 0 {
		return p, fmt.Errorf("%w: no AcsEvent with totalMatches", errAnswer)
	}
	switch status := strings.ToUpper(a.AcsEvent.Status); status {
	case "OK", "MORE", "NO MATCH", "NO MATCHES":
		p.More = status == "MORE"
	default:
		return p, fmt.Errorf("%w: responseStatusStrg", errAnswer)
	}
	p.Total = *a.AcsEvent.Total
	if len(a.AcsEvent.List) > 4*pageSize {
		return page{}, fmt.Errorf("%w: %d events where at most %d were asked for", errAnswer, len(a.AcsEvent.List), pageSize)
	}
	for _, raw := range a.AcsEvent.List {
		var x info
		if err := json.Unmarshal(raw, &x); err != nil || x.Serial == nil || *x.Serial < 0 {
			p.Bad++
			continue
		}
		t, ok := parseTime(x.Time)
		if !ok {
			p.Bad++
			continue
		}
		p.Events = append(p.Events, event{Serial: *x.Serial, Major: x.Major, Minor: x.Minor, Time: t, Card: x.Card, Employee: x.Employee})
	}
	return p, nil
}

// stated is a time as the terminal wrote it: what the clock showed, and the zone that it claims.
type stated struct {
	Shown  time.Time // the digits, as if they were UTC
	Offset time.Duration
	Zoned  bool // it claims a zone by ±hh:mm
	Zulu   bool // it claims UTC by Z, which many write behind local time
}

func parseTime(s string) (t stated, ok bool) {
	s = strings.TrimSpace(s)
	if z, found := strings.CutSuffix(s, "Z"); found {
		t.Zulu, s = true, z
	} else if n := len(s); n > 19 && (s[n-6] == '+' || s[n-6] == '-') {
		at, err := time.Parse("2006-01-02T15:04:05-07:00", s)
		if err != nil {
			return stated{}, false
		}
		_, offset := at.Zone()
		t.Zoned, t.Offset, s = true, time.Duration(offset)*time.Second, s[:n-6]
	}
	at, err := time.Parse("2006-01-02T15:04:05", s)
	if err != nil || at.Year() < 1990 || at.Year() > 2199 {
		return stated{}, false
	}
	t.Shown = at
	return t, true
}

// in is the instant; zone is that of the terminal, local says that its Z means local time.
func (t stated) in(zone *time.Location, local bool) time.Time {
	switch {
	case t.Zoned:
		return t.Shown.Add(-t.Offset)
	case t.Zulu && !local:
		return t.Shown
	}
	y, m, d := t.Shown.Date()
	return time.Date(y, m, d, t.Shown.Hour(), t.Shown.Minute(), t.Shown.Second(), 0, zone).UTC()
}

// cards are the numbers by which an event names a person: that of the card, and the user number.
func (e event) cards() (out []attendance.Card) {
	if n, err := strconv.ParseUint(strings.TrimSpace(e.Card), 10, 64); err == nil && n != 0 {
		out = append(out, cardOf(n))
	}
	if n, err := strconv.ParseUint(strings.TrimSpace(e.Employee), 10, 64); err == nil && n != 0 {
		out = append(out, attendance.UserNumber(n))
	}
	return out
}

// cardOf is a card number that terminals give in decimal: of 4 bytes, 7 or 8.
func cardOf(n uint64) attendance.Card {
	size := 8
	switch {
	case n < 1<<32:
		size = 4
	case n < 1<<56:
		size = 7
	}
	raw := make([]byte, size)
	for i := range raw {
		raw[i] = byte(n >> (8 * (size - 1 - i)))
	}
	return attendance.Card{Bits: 8 * size, Raw: raw}
}

// tapped says whether an event is an identification that succeeded.
func (e event) tapped() bool { return e.Major == majorCard && identified[e.Minor] }

// deviceInfo is what a terminal says of itself.
type deviceInfo struct {
	Model    string `xml:"model"`
	Serial   string `xml:"serialNumber"`
	Firmware string `xml:"firmwareVersion"`
}

func parseDevice(b []byte) (d deviceInfo, err error) {
	if err := xml.Unmarshal(b, &d); err != nil {
		return deviceInfo{}, fmt.Errorf("%w: %w", errAnswer, err)
	}
	for _, s := range []*string{&d.Model, &d.Serial, &d.Firmware} {
		*s = strings.Map(func(r rune) rune {
			if r <= ' ' || r > '~' {
				return -1
			}
			return r
		}, *s)
		*s = (*s)[:min(len(*s), maxText)]
	}
	return d, nil
}

// code is the serial number as a code of the log.
func (d deviceInfo) code() string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return -1
	}, strings.ToLower(d.Serial))
}

func parseClock(b []byte) (stated, error) {
	var x struct {
		Local string `xml:"localTime"`
	}
	if err := xml.Unmarshal(b, &x); err != nil {
		return stated{}, fmt.Errorf("%w: %w", errAnswer, err)
	}
	t, ok := parseTime(x.Local)
	if !ok {
		return stated{}, fmt.Errorf("%w: no localTime", errAnswer)
	}
	return t, nil
}

// cursor is how far a terminal has been read: the number of the last event, and the time that it showed. Another event
// under that number says that the numbers have begun again.
type cursor struct {
	Serial int64
	Shown  int64 // seconds
}

func (c cursor) String() string { return fmt.Sprintf("%d.%d", c.Serial, c.Shown) }

func parseCursor(s string) (c cursor, ok bool) {
	a, b, found := strings.Cut(s, ".")
	n, err1 := strconv.ParseInt(a, 10, 64)
	at, err2 := strconv.ParseInt(b, 10, 64)
	return cursor{n, at}, found && err1 == nil && err2 == nil && n >= 0
}
