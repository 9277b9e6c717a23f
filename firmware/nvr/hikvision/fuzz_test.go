package hikvision

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"campuskeep/firmware/nvr/driver"
)

func FuzzSearchResult(f *testing.F) {
	f.Add(`<CMSearchResult><responseStatusStrg>OK</responseStatusStrg><numOfMatches>1</numOfMatches><matchList><searchMatchItem><trackID>101</trackID><timeSpan><startTime>2026-05-20T01:00:00Z</startTime><endTime>2026-05-20T02:00:00+08:00</endTime></timeSpan><mediaSegmentDescriptor><playbackURI>rtsp://a/Streaming/tracks/101/?starttime=20170314T103201Z&amp;x=1</playbackURI></mediaSegmentDescriptor></searchMatchItem></matchList></CMSearchResult>`)
	f.Add(`<a><b/></a>`)
	f.Fuzz(func(t *testing.T, s string) {
		var r searchResult
		err := parse("x", []byte(s), "CMSearchResult", &r)
		var a *driver.AnswerError
		if err != nil {
			if !errors.As(err, &a) || !utf8.ValidString(a.Got) || len([]rune(a.Got)) > maxExcerpt {
				t.Errorf("%v", err)
			}
			return
		}
		_, _ = r.more(0)
		for _, m := range r.Items {
			_, _ = parseStamp(m.Span.From)
			_, _ = playStamp(m.Media.URI)
			_, _ = logLine(m.Log.Meta, m.Log.At)
		}
	})
}

// Whatever comes in place of the lists of channels, inputs, tracks, users and services: no name that cannot be printed,
// and no number that was not written.
func FuzzLists(f *testing.F) {
	for _, file := range []string{"channels-control-character", "channels-raw-ampersand", "channels-trailing-nul"} {
		b, err := os.ReadFile("testdata/" + file + ".xml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`<TrackList><Track><id>101</id><Duration>P30DT0H</Duration></Track></TrackList>`))
	f.Add([]byte(`<UserList><User><userName>a&#1;b</userName></User></UserList>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var channels channelList
		if decode("x", b, "InputProxyChannelList", &channels, (*channelList).check) == nil {
			for _, c := range channels.Channels {
				if n := name(c.Name); !utf8.ValidString(n) || strings.ContainsFunc(n, unicode.IsControl) || c.id < 1 {
					t.Errorf("%+v", c)
				}
			}
		}
		var inputs inputList
		_ = decode("x", b, "VideoInputChannelList", &inputs, (*inputList).check)
		var tracks trackList
		if decode("x", b, "TrackList", &tracks, (*trackList).check) == nil {
			for _, tr := range tracks.Tracks {
				if tr.ID < 101 || tr.keep < 0 {
					t.Errorf("%+v", tr)
				}
			}
		}
		var users userList
		if decode("x", b, "UserList", &users, (*userList).check) == nil {
			for _, u := range users.Users {
				if account(u.Name) == "" {
					t.Errorf("%+v", u)
				}
			}
		}
		var services accessList
		_ = decode("x", b, "AdminAccessProtocolList", &services, (*accessList).check)
	})
}

// What goes back to the NVR differs in nothing but the text that was replaced.
func FuzzReplaceText(f *testing.F) {
	f.Add(`<Track><id>101</id><Duration min="0">P7DT0H</Duration><X><Duration>1</Duration></X><durationEnabled>false</durationEnabled></Track>`)
	f.Add(`<Track><Duration/></Track>`)
	f.Fuzz(func(t *testing.T, s string) {
		if shape([]byte(s), "Track") != nil {
			return
		}
		var before, after track
		if parse("x", []byte(s), "Track", &before) != nil {
			return
		}
		b, err := replaceText([]byte(s), map[string]string{"Duration": "P30DT0H"})
		if err != nil {
			return
		}
		if err := parse("x", b, "Track", &after); err != nil {
			t.Fatalf("%q became %q: %v", s, b, err)
		}
		before.Duration, after.Duration = "", ""
		if before.ID != after.ID || before.Enable != after.Enable || before.Source != after.Source {
			t.Errorf("%q became %q", s, b)
		}
	})
}

func FuzzStamp(f *testing.F) {
	for _, s := range []string{"2026-05-20T01:00:00Z", "2026-05-20T01:00:00+08:00", "2026-05-20T01:00:00", "2026-02-30T01:00:00Z", "2026-05-20T24:00:00Z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, err := parseStamp(s)
		if err == nil && (at.Digits.Location() != time.UTC || !strings.Contains(s, at.Digits.Format("15:04:05"))) {
			t.Errorf("%q read as %+v", s, at)
		}
	})
}

func FuzzKeep(f *testing.F) {
	f.Add("P30DT0H")
	f.Add("P1D")
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := parseKeep(s); err == nil && d < 0 {
			t.Errorf("%q read as %v", s, d)
		}
	})
}

func TestReplaceTextTouchesNothingElse(t *testing.T) {
	in := "<?xml version=\"1.0\"?>\r\n<Track version=\"2.0\" xmlns=\"http://x\">\r\n<Duration min=\"0\" max=\"750\">P7DT0H</Duration><!-- kept --><a:b xmlns:a=\"y\"><Duration>P1D</Duration></a:b><durationEnabled>false</durationEnabled>\r\n</Track>"
	want := strings.Replace(strings.Replace(in, "P7DT0H", "P30DT0H", 1), "false", "true", 1)
	got, err := replaceText([]byte(in), map[string]string{"Duration": "P30DT0H", "durationEnabled": "true"})
	if err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
}
