package rtsp

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/sdpunmarshaler"
)

// Skipped is a line of a description that could not be read, and went without.
type Skipped struct {
	Media string // "video", "audio", …; empty: of the session as a whole
	Whole bool   // all of that media went with it
	Line  string
	Why   error
}

func (l Skipped) String() string { return fmt.Sprintf("%s (%v)", l.Line, l.Why) }

// maxSkipped is as many lines as are reported of one description, and maxLine as much of each.
const (
	maxSkipped = 8
	maxLine    = 200
)

// described is what the device answered to DESCRIBE.
type described struct{ skipped []Skipped }

// observe makes an answer to DESCRIBE one that the library can read.
func (s *described) observe(res *base.Response) {
	if res.StatusCode >= base.StatusMovedPermanently && res.StatusCode <= base.StatusUseProxy {
		if l := res.Header["Location"]; len(l) == 1 {
			if u, err := base.ParseURL(l[0]); err == nil {
				res.Header["Location"] = base.HeaderValue{u.CloneWithoutCredentials().String()}
			}
		}
		return
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(res.Body, []byte("\xef\xbb\xbf")), " \t\r\n\x00")
	if res.StatusCode != base.StatusOK || !bytes.HasPrefix(text, []byte("v=")) && !bytes.HasPrefix(text, []byte("m=")) {
		return
	}
	res.Body, s.skipped = Clean(text)
	res.Header["Content-Type"] = base.HeaderValue{"application/sdp"}
	if at := res.Header["Content-Base"]; len(at) > 0 {
		if u, err := base.ParseURL(at[0]); !strings.HasPrefix(at[0], "/") && (err != nil || u.Host == "") {
			delete(res.Header, "Content-Base")
		} else {
			res.Header["Content-Base"] = at[:1]
		}
	}
}

// A session with nothing in it, and a media that can be read, to try single lines beside.
var (
	emptySession = []string{"v=0", "o=- 0 0 IN IP4 127.0.0.1", "s= ", "t=0 0"}
	plainMedia   = []string{"m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000"}
)

// Clean makes a description out of one that the library may not read as a whole, and says what it had to leave out. A
// bad line costs that line, or the payload type that it describes; one that the library takes as it is stays as it is.
func Clean(text []byte) ([]byte, []Skipped) {
	var lines []string
	for l := range strings.SplitSeq(strings.ReplaceAll(string(text), "\r", "\n"), "\n") {
		if l = strings.TrimRight(strings.TrimLeft(l, " \t\x00"), "\x00"); l != "" {
			lines = append(lines, rate.ReplaceAllString(l, "$1"))
		}
	}
	if readable(lines) == nil {
		return join(lines), nil
	}
	first := slices.IndexFunc(lines, isMedia)
	if first < 0 {
		return text, []Skipped{{Line: "m=", Why: fmt.Errorf("no line says what is offered")}}
	}
	var c cleaner
	out := c.session(lines[:first])
	var medias [][]string
	for rest := lines[first:]; len(rest) > 0; {
		n := 1 + slices.IndexFunc(rest[1:], isMedia)
		if n == 0 {
			n = len(rest)
		}
		if m := c.media(rest[:n]); m != nil {
			medias = append(medias, m)
		}
		rest = rest[n:]
	}
	whole := func() []string { return append(slices.Clone(out), slices.Concat(medias...)...) }
	if readable(whole()) != nil { // what only the whole gets wrong: names that the media have in it
		keep := func(l string) bool { return strings.HasPrefix(l, "a=mid:") || strings.HasPrefix(l, "a=group:") }
		out = slices.DeleteFunc(out, keep)
		for i := range medias {
			medias[i] = slices.DeleteFunc(medias[i], keep)
		}
	}
	return join(whole()), c.skipped
}

// rate finds a clock rate with a number of channels, which pictures do not have.
var rate = regexp.MustCompile(`(?i)^(a=rtpmap:[0-9]+ +H26[45]/90000)/1$`)

func isMedia(l string) bool { return strings.HasPrefix(l, "m=") }

func join(lines []string) []byte { return []byte(strings.Join(lines, "\r\n") + "\r\n") }

// readable says what the library would say of a description; also where it would be beside itself.
func readable(lines []string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	s, err := sdpunmarshaler.Unmarshal(join(lines))
	if err != nil {
		return err
	}
	if at, ok := s.Attribute("control"); ok && at != "*" {
		if u, err := base.ParseURL(at); err != nil || u.Host == "" {
			return fmt.Errorf("%q is no address", at)
		}
	}
	var d description.Session
	if err := d.Unmarshal2(s); err != nil {
		return err
	}
	root := &base.URL{Scheme: "rtsp", Host: "device", Path: "/"}
	for _, m := range d.Medias {
		if u, err := m.URL(root); err != nil || u == nil {
			return fmt.Errorf("%q is no address", m.Control)
		}
	}
	return nil
}

type cleaner struct{ skipped []Skipped }

func (c *cleaner) skip(media, line string, whole bool, why error) {
	if len(c.skipped) < maxSkipped {
		line = strings.ToValidUTF8(line[:min(len(line), maxLine)], "?")
		c.skipped = append(c.skipped, Skipped{Media: media, Whole: whole, Line: line, Why: why})
	}
}

// session keeps the attributes of the whole that can be read; nothing else in it is needed.
func (c *cleaner) session(lines []string) []string {
	out := slices.Clone(emptySession)
	for _, l := range lines {
		try := slices.Clone(emptySession)
		switch i := slices.IndexFunc(emptySession, func(b string) bool { return len(l) > 1 && b[:2] == l[:2] }); {
		case i >= 0:
			try[i] = l
		case strings.HasPrefix(l, "a=group:"): // names media that are not here
			out = append(out, l)
			continue
		default:
			try = append(try, l)
		}
		if err := readable(append(try, plainMedia...)); err != nil {
			c.skip("", l, false, err)
		} else if strings.HasPrefix(l, "a=") {
			out = append(out, l)
		}
	}
	return out
}

// media keeps of one media what can be read; nil when that is nothing.
func (c *cleaner) media(lines []string) []string {
	if readable(append(slices.Clone(emptySession), lines...)) == nil {
		return lines
	}
	f := strings.Fields(strings.TrimPrefix(lines[0], "m="))
	if len(f) < 4 {
		c.skip(strings.Join(f[:min(1, len(f))], ""), lines[0], true, fmt.Errorf("not a kind, a port, a transport and formats"))
		return nil
	}
	kind, types := f[0], f[3:]
	var about []string // what is not about one payload type
	for _, l := range lines[1:] {
		if payload(l) != "" {
			continue
		}
		if err := readable(slices.Concat(emptySession, plainMedia, []string{l})); err != nil {
			c.skip(kind, l, false, err)
			continue
		}
		about = append(about, l)
	}
	var kept, formats []string
	for _, pt := range types {
		var own []string
		for _, l := range lines[1:] {
			if payload(l) == pt {
				own = append(own, l)
			}
		}
		if own, ok := c.format(kind, pt, own, lines[0]); ok {
			kept, formats = append(kept, pt), append(formats, own...)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return slices.Concat([]string{head(kind, kept...)}, about, formats)
}

func head(kind string, types ...string) string {
	return "m=" + kind + " 0 RTP/AVP " + strings.Join(types, " ")
}

// format keeps of one payload type what can be read: a parameter that cannot costs itself.
func (c *cleaner) format(kind, pt string, own []string, media string) ([]string, bool) {
	test := func(lines []string) error {
		return readable(slices.Concat(emptySession, []string{head(kind, pt)}, lines))
	}
	err := test(own)
	if err == nil {
		return own, true
	}
	for i, l := range own {
		if without := slices.Concat(own[:i], own[i+1:]); strings.HasPrefix(l, "a=fmtp:") {
			name, params, _ := strings.Cut(l, " ")
			list := strings.Split(params, ";")
			for j := range list {
				short := slices.Clone(own)
				short[i] = name + " " + strings.Join(slices.Concat(list[:j], list[j+1:]), ";")
				if test(short) == nil {
					c.skip(kind, l, false, err)
					return short, true
				}
			}
			if test(without) == nil {
				c.skip(kind, l, false, err)
				return without, true
			}
		} else if test(without) == nil && kind != "video" { // pictures of an unknown kind are of no use
			c.skip(kind, l, false, err)
			return without, true
		}
	}
	line := media
	if len(own) > 0 {
		line = own[0]
	}
	c.skip(kind, line, true, err)
	return nil, false
}

// payload is the payload type that a line is about; empty: none.
func payload(l string) string {
	for _, p := range []string{"a=rtpmap:", "a=fmtp:"} {
		if rest, ok := strings.CutPrefix(l, p); ok {
			pt, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
			return pt
		}
	}
	return ""
}
