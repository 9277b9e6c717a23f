package office

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"campuskeep/shared/ui"

	"campuskeep/shared/web"
)

// Whatever stands in ?next, one is led to a path of this page and nowhere else.
func FuzzLocal(f *testing.F) {
	for _, s := range []string{"/", "/footage?camera=c01", "//x", `/\x`, "https://x", "/%2f%2fx", "javascript:1", "/a\nb"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := web.Local(s)
		if !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") || strings.HasPrefix(got, `/\`) || strings.ContainsAny(got, "\r\n") {
			t.Errorf("local(%q) = %q", s, got)
		}
		u, err := url.Parse("https://ck-0417.local" + got)
		if err != nil || u.Host != "ck-0417.local" {
			t.Errorf("local(%q) = %q leads to %v, %v", s, got, u, err)
		}
	})
}

// Whatever is typed into the form, its lines are read without harm and never more than there may be.
func FuzzFormLines(f *testing.F) {
	f.Add("wanted.0.place=a&wanted.0.from=2026-05-18T07:00&wanted.0.to=x&add=wanted")
	f.Add("wanted.999999999999.place=a&wanted.-1.from=b&wanted..to=c")
	f.Fuzz(func(t *testing.T, s string) {
		values, err := url.ParseQuery(s)
		if err != nil {
			return
		}
		c := &call{o: &Office{d: Deps{Zone: shanghai}}}
		wanted, lines := c.wants(values)
		if len(wanted) > mostRows || len(wanted) != len(lines) {
			t.Errorf("%d lines", len(wanted))
		}
		form := ui.Form{Name: "apply", P: chinese, Values: values}
		if n := len(wantRows(form)); n < 1 || n > mostRows {
			t.Errorf("%d rows of places", n)
		}
		if n := len(recipientRows(form)); n < 1 || n > mostRows {
			t.Errorf("%d rows of recipients", n)
		}
	})
}

// A browser's name in the log is short and plain, whatever the browser says of itself.
func FuzzDevice(f *testing.F) {
	f.Add("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/86.0 Safari/537.36")
	f.Fuzz(func(t *testing.T, s string) {
		if d := web.Device(s); len(d) > 32 || !utf8.ValidString(d) || strings.ContainsAny(d, "\r\n<>\"") {
			t.Errorf("device(%q) = %q", s, d)
		}
	})
}
