package web

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

// Whatever is in ?next, one is led to a path of this page and nowhere else.
func FuzzLocal(f *testing.F) {
	for _, s := range []string{"/", "/footage?camera=c01", "//x", `/\x`, "https://x", "/%2f%2fx", "javascript:1", "/a\nb"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Local(s)
		if !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") || strings.HasPrefix(got, `/\`) || strings.ContainsAny(got, "\r\n") {
			t.Errorf("local(%q) = %q", s, got)
		}
		u, err := url.Parse("https://ck-0417.local" + got)
		if err != nil || u.Host != "ck-0417.local" {
			t.Errorf("local(%q) = %q leads to %v, %v", s, got, u, err)
		}
	})
}

// A browser's name in the log is short and plain, whatever the browser says of itself.
func FuzzDevice(f *testing.F) {
	f.Add("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/86.0 Safari/537.36")
	f.Fuzz(func(t *testing.T, s string) {
		if d := Device(s); len(d) > 32 || !utf8.ValidString(d) || strings.ContainsAny(d, "\r\n<>\"") {
			t.Errorf("device(%q) = %q", s, d)
		}
	})
}
