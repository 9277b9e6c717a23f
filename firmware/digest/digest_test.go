package digest

import (
	"strings"
	"testing"
)

// The examples of RFC 7616, section 3.9.1, and of RFC 2069 with the correction of its errata.
func TestDigestOfTheStandards(t *testing.T) {
	const nonce, cnonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
	for algorithm, want := range map[string]string{
		"MD5":     "8ca523f5e9506fed4657c9700eebdbec",
		"SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
	} {
		c, err := Parse([]string{`Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=` + algorithm + `, nonce="` + nonce + `", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`})
		if err != nil {
			t.Fatal(err)
		}
		got := c.Answer("Mufasa", "Circle of Life", "GET", "/dir/index.html", cnonce, 1)
		if !strings.Contains(got, `response="`+want+`"`) || !strings.Contains(got, "nc=00000001") {
			t.Errorf("%s: %s", algorithm, got)
		}
	}
	old := Challenge{Realm: "testrealm@host.com", Nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093"}
	if got := old.Answer("Mufasa", "CircleOfLife", "GET", "/dir/index.html", "", 1); !strings.Contains(got, `response="1949323746fe6a43ef61f9606e7febea"`) || strings.Contains(got, "qop") {
		t.Errorf("RFC 2069: %s", got)
	}
}

func TestTheStrongestChallengeIsAnswered(t *testing.T) {
	c, err := Parse([]string{`Basic realm="x"`, `Digest realm="a", nonce="1"`, `Digest realm="a", nonce="2", algorithm=SHA-256, qop="auth"`, `Digest realm="a", nonce="3", algorithm=SHA-512`})
	if err != nil || c.Nonce != "2" {
		t.Errorf("%+v, %v", c, err)
	}
	for _, bad := range []string{"", `Basic realm="x"`, `Digest realm="a"`, `Digest realm="a", nonce="1", qop="auth-int"`, `Digest realm="a, nonce="1`, `Digest nonce="1", nonce="2"`} {
		if c, err := Parse([]string{bad}); err == nil {
			t.Errorf("%q gave %+v", bad, c)
		}
	}
}
