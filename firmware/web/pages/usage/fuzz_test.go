package usage

import (
	"net/url"
	"testing"

	"campuskeep/shared/lib/ui"
)

// Whatever is typed into the form, its lines are read without harm and never more than there may be.
func FuzzFormLines(f *testing.F) {
	f.Add("wanted.0.place=a&wanted.0.from=2026-05-18T07:00&wanted.0.to=x&add=wanted")
	f.Add("wanted.999999999999.place=a&wanted.-1.from=b&wanted..to=c")
	f.Fuzz(func(t *testing.T, s string) {
		values, err := url.ParseQuery(s)
		if err != nil {
			return
		}
		c := &call{o: &Pages{d: Deps{Zone: shanghai}}}
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
