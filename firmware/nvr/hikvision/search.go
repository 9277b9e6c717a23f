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

	"campuskeep/firmware/nvr"
)

const (
	pageSize = 64
	maxPages = 5000
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
	Items   []struct {
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
	} `xml:"matchList>searchMatchItem"`
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
		if n == 0 {
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

// pages asks for page after page until there is no more.
func (d *Driver) pages(ctx context.Context, path string, body func(position int) []byte, page func(*searchResult) error) error {
	what := "POST " + path
	for position, n := 0, 0; ; n++ {
		if n == maxPages {
			return fmt.Errorf("hikvision: %s: no end after %d pages", what, n)
		}
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
		if err = page(&r); errors.Is(err, errStop) {
			return err
		}
		if err != nil {
			return &nvr.AnswerError{What: what, Why: err.Error(), Got: excerpt(b)}
		}
		if !more {
			return nil
		}
		position += len(r.Items)
	}
}

// Search lists what is recorded on a track.
func (d *Driver) Search(ctx context.Context, track int, from, to nvr.Stamp, each func(nvr.Record) error) error {
	var stop error
	page := func(r *searchResult) error {
		for _, m := range r.Items {
			if stop != nil {
				break
			}
			rec := nvr.Record{Track: m.Track, Codec: m.Media.Codec, Locked: m.Media.Lock == "lock"}
			var err error
			if rec.From, err = parseStamp(m.Span.From); err != nil {
				return err
			}
			if rec.To, err = parseStamp(m.Span.To); err != nil {
				return err
			}
			if rec.PlayFrom, err = playStamp(m.Media.URI); err != nil {
				return err
			}
			if m.Track != track {
				return fmt.Errorf("track %d where %d was asked for", m.Track, track)
			}
			if rec.To.Digits.Before(rec.From.Digits) {
				return errors.New("a record that ends before it begins")
			}
			if m.Media.Type != "" && m.Media.Type != "video" {
				continue
			}
			stop = each(rec)
		}
		return nil
	}
	search := func(f form) error {
		id := searchID()
		return d.pages(ctx, pathSearch, func(position int) []byte {
			tracks := fmt.Sprintf("<trackIDList><trackID>%d</trackID></trackIDList>", track)
			if f == formShort {
				tracks = fmt.Sprintf("<trackList><trackID>%d</trackID></trackList>", track)
			}
			return searchText(f, id, tracks+span(from, to), position,
				"<metadataList><metadataDescriptor>//recordType.meta.std-cgi.com</metadataDescriptor></metadataList>")
		}, func(r *searchResult) error {
			if err := page(r); err != nil {
				return err
			}
			if stop != nil {
				return errStop
			}
			return nil
		})
	}
	return d.listed(d.inForm(search), &stop)
}

// errStop ends the pages; why stands beside it.
var errStop = errors.New("stopped")

func (d *Driver) listed(err error, stop *error) error {
	switch {
	case *stop == nil:
		return err
	case errors.Is(*stop, nvr.ErrEnough):
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

func span(from, to nvr.Stamp) string {
	return "<timeSpanList><timeSpan><startTime>" + writeStamp(from) + "</startTime><endTime>" + writeStamp(to) + "</endTime></timeSpan></timeSpanList>"
}

func searchID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]))
}

// Log searches the NVR's log.
func (d *Driver) Log(ctx context.Context, from, to nvr.Stamp, each func(nvr.LogLine) error) error {
	var stop error
	search := func(f form) error {
		id := searchID()
		return d.pages(ctx, pathLog, func(position int) []byte {
			return searchText(f, id, "<metaId>log.std-cgi.com</metaId>"+span(from, to), position, "")
		}, func(r *searchResult) error {
			for _, m := range r.Items {
				l, err := logLine(m.Log.Meta, m.Log.At)
				if err != nil {
					return err
				}
				l.User, l.Address = m.Log.User, m.Log.Address
				if l.Channel == 0 {
					l.Channel = m.Log.Channel
				}
				if stop = each(l); stop != nil {
					return errStop
				}
			}
			return nil
		})
	}
	return d.listed(d.inForm(search), &stop)
}

// logLine reads what a line is: <host>/<major>/<minor>, and behind it a channel on some.
func logLine(meta, at string) (l nvr.LogLine, err error) {
	parts := strings.Split(meta, "/")
	if len(parts) < 3 || len(meta) > 200 {
		return l, fmt.Errorf("log line %q not understood", excerpt([]byte(meta)))
	}
	l.Code = parts[1] + "/" + parts[2]
	if len(parts) > 3 {
		if _, err := fmt.Sscanf(parts[3], "%d", &l.Channel); err != nil {
			l.Channel = 0 // what stands there is not a channel on every firmware
		}
	}
	l.At, err = parseStamp(at)
	return l, err
}
