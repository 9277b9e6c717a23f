package hikvision

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"campuskeep/firmware/nvr/driver"
)

const (
	pageSize = 64
	// maxItems of one listing: a recorder that goes on for ever fills no memory.
	maxItems = 1_000_000
)

// form is one of the two ways in which searches are documented and taken.
type form uint8

const (
	formUnknown form = iota
	formList         // <trackIDList>
	formShort        // <trackList>, the version named, the id in braces
)

type searchResult struct {
	OK      string `xml:"responseStatus"`
	Status  string `xml:"responseStatusStrg"`
	Matches int    `xml:"numOfMatches"`
	Items   []item `xml:"matchList>searchMatchItem"`
}

type item struct {
	Track int `xml:"trackID"`
	Span  struct {
		From string `xml:"startTime"`
		To   string `xml:"endTime"`
	} `xml:"timeSpan"`
	Media struct {
		Type  string `xml:"contentType"`
		Codec string `xml:"codecType"`
		URI   string `xml:"playbackURI"`
		Lock  string `xml:"lockStatus"`
	} `xml:"mediaSegmentDescriptor"`
	Log struct {
		Meta    string `xml:"metaId"`
		At      string `xml:"StartDateTime"`
		User    string `xml:"userName"`
		Address string `xml:"ipAddress"`
		Channel int    `xml:"channelNumber"`
	} `xml:"logDescriptor"`
}

// more says whether another page follows, by what the page says and by what it holds: a page that holds fewer than it
// counts was cut short.
func (r *searchResult) more(position int) (bool, error) {
	n := len(r.Items)
	switch strings.ToUpper(strings.TrimSpace(r.Status)) {
	case "NO MATCHES":
		if n > 0 {
			return false, errors.New("no matches, and yet some")
		}
		return false, nil
	case "MORE":
		if n == 0 && position == 0 {
			return false, errors.New("more is promised on an empty page")
		}
		return true, nil
	case "OK":
		short := n < r.Matches && position+n < r.Matches
		if short && n == 0 {
			return false, fmt.Errorf("%d matches are counted, none is there", r.Matches)
		}
		return short, nil
	}
	return false, fmt.Errorf("status %q is not one of OK, MORE, NO MATCHES", excerpt([]byte(r.Status)))
}

// errRepeats is a recorder that promises more and brings nothing new.
var errRepeats = errors.New("more is promised, and what comes was there before")

// pages asks for page after page until there is no more. page is given what was not on a page before; a page that
// brings nothing new, although more is promised, ends in errRepeats: recorders are known that give the same page for
// ever, whatever they are asked for.
func (d *Driver) pages(ctx context.Context, path string, body func(position int) []byte, seen map[item]bool, page func([]item) error) error {
	what := "POST " + path
	for position := 0; ; {
		b, err := d.do(ctx, http.MethodPost, path, body(position))
		if err != nil {
			return err
		}
		more := false
		var r searchResult
		err = decode(what, b, "CMSearchResult", &r, func(r *searchResult) (err error) {
			more, err = r.more(position)
			return err
		})
		if err != nil {
			return err
		}
		var fresh []item
		for _, m := range r.Items {
			if !seen[m] {
				seen[m] = true
				fresh = append(fresh, m)
			}
		}
		if err = page(fresh); errors.Is(err, errStop) {
			return err
		}
		if err != nil {
			return &driver.AnswerError{What: what, Why: err.Error(), Got: excerpt(b)}
		}
		switch {
		case !more:
			return nil
		case len(fresh) == 0, len(seen) > maxItems:
			return &driver.AnswerError{What: what, Why: errRepeats.Error(), Got: excerpt(b), Err: errRepeats}
		}
		position += len(r.Items)
	}
}

// record reads one item of a search.
func record(m item, track driver.TrackID) (rec driver.Record, err error) {
	rec = driver.Record{Track: trackID(m.Track), Codec: codecName(m.Media.Codec), Locked: m.Media.Lock == "lock"}
	if rec.From, err = parseStamp(m.Span.From); err != nil {
		return rec, err
	}
	if rec.To, err = parseStamp(m.Span.To); err != nil {
		return rec, err
	}
	if rec.PlayFrom, err = playStamp(m.Media.URI); err != nil {
		return rec, err
	}
	if rec.Track != track {
		return rec, fmt.Errorf("track %s where %s was asked for", rec.Track, track)
	}
	if rec.To.Digits.Before(rec.From.Digits) {
		return rec, errors.New("a record that ends before it begins")
	}
	return rec, nil
}

// Search lists what is recorded on a track. Where the pages do not go on, it is asked for from the last record on.
func (d *Driver) Search(ctx context.Context, track driver.TrackID, from, to driver.Stamp, each func(driver.Record) error) error {
	var stop error
	var last time.Time // digits
	page := func(items []item) error {
		for _, m := range items {
			rec, err := record(m, track)
			if err != nil {
				return err
			}
			if rec.From.Digits.After(last) {
				last = rec.From.Digits
			}
			if m.Media.Type != "" && m.Media.Type != "video" {
				continue
			}
			if stop = each(rec); stop != nil {
				return errStop
			}
		}
		return nil
	}
	seen := map[item]bool{}
	search := func(f form) error {
		for {
			id, before := searchID(), len(seen)
			err := d.pages(ctx, pathSearch, func(position int) []byte {
				tracks := fmt.Sprintf("<trackIDList><trackID>%s</trackID></trackIDList>", track)
				if f == formShort {
					tracks = fmt.Sprintf("<trackList><trackID>%s</trackID></trackList>", track)
				}
				return searchText(f, id, tracks+span(from, to), position,
					"<metadataList><metadataDescriptor>//recordType.meta.std-cgi.com</metadataDescriptor></metadataList>")
			}, seen, page)
			switch {
			case !errors.Is(err, errRepeats):
				return err
			case len(seen) > before && len(seen) <= maxItems && last.After(from.Digits):
				from.Digits = last
			case last.Equal(from.Digits): // from there on nothing else is recorded, whatever it promises
				return nil
			default:
				return err
			}
		}
	}
	return d.listed(d.inForm(search), &stop)
}

// errStop ends the pages; the cause is kept beside it.
var errStop = errors.New("stopped")

func (d *Driver) listed(err error, stop *error) error {
	switch {
	case *stop == nil:
		return err
	case errors.Is(*stop, driver.ErrEnough):
		return nil
	}
	return *stop
}

// inForm searches in the form that the NVR is known to take, or finds out: a document whose content is refused is
// written in the other documented form once.
func (d *Driver) inForm(search func(form) error) error {
	if d.form != formUnknown {
		return search(d.form)
	}
	err := search(formList)
	var s *statusError
	if errors.As(err, &s) && (s.code == 5 || s.code == 6) { // "Invalid XML Format", "Invalid XML Content"
		if err = search(formShort); err == nil {
			d.form = formShort
		}
		return err
	}
	if err == nil {
		d.form = formList
	}
	return err
}

// searchText writes a search. Everything in it is ours: digits, numbers, and what is spelt here.
func searchText(f form, id, what string, position int, meta string) []byte {
	var b bytes.Buffer
	if f == formShort {
		fmt.Fprintf(&b, `<CMSearchDescription version="1.0" xmlns="http://www.isapi.org/ver20/XMLSchema"><searchID>{%s}</searchID>`, id)
	} else {
		fmt.Fprintf(&b, `%s<CMSearchDescription><searchID>%s</searchID>`, xml.Header, id)
	}
	// searchResultPostion is how the protocol spells it
	fmt.Fprintf(&b, `%s<maxResults>%d</maxResults><searchResultPostion>%d</searchResultPostion>%s</CMSearchDescription>`, what, pageSize, position, meta)
	return b.Bytes()
}

func span(from, to driver.Stamp) string {
	return "<timeSpanList><timeSpan><startTime>" + writeStamp(from) + "</startTime><endTime>" + writeStamp(to) + "</endTime></timeSpan></timeSpanList>"
}

func searchID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]))
}

// Log searches the NVR's log. A line that cannot be understood is left out, as long as there are others.
func (d *Driver) Log(ctx context.Context, from, to driver.Stamp, each func(driver.LogLine) error) error {
	var stop error
	search := func(f form) error {
		id, good := searchID(), 0
		return d.pages(ctx, pathLog, func(position int) []byte {
			return searchText(f, id, "<metaId>log.std-cgi.com</metaId>"+span(from, to), position, "")
		}, map[item]bool{}, func(items []item) error {
			var bad error
			for _, m := range items {
				l, err := logLine(m.Log.Meta, m.Log.At)
				if err != nil {
					bad = err
					continue
				}
				good++
				l.User, l.Address = name(m.Log.User), m.Log.Address
				if l.Channel == 0 {
					l.Channel = m.Log.Channel
				}
				if stop = each(l); stop != nil {
					return errStop
				}
			}
			if good == 0 {
				return bad
			}
			return nil
		})
	}
	return d.listed(d.inForm(search), &stop)
}

// logLine reads what a line is: <host>/<major>/<minor>, and behind it a channel on some.
func logLine(meta, at string) (l driver.LogLine, err error) {
	parts := strings.Split(meta, "/")
	if len(parts) < 3 || len(meta) > 200 {
		return l, fmt.Errorf("log line %q not understood", excerpt([]byte(meta)))
	}
	code := parts[1] + "/" + parts[2]
	l.Act, l.Cause = act(code), cause(code)
	if len(parts) > 3 {
		if _, err := fmt.Sscanf(parts[3], "%d", &l.Channel); err != nil {
			l.Channel = 0 // what is there is not a channel on every firmware
		}
	}
	l.At, err = parseStamp(at)
	return l, err
}
