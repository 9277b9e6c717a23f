package digest

import (
	"strings"
	"testing"
)

func FuzzParse(f *testing.F) {
	f.Add(`Digest qop="auth", realm="DS-77\"32", nonce="4e7a", stale="FALSE"`)
	f.Add(`Digest realm=a,nonce=b,opaque`)
	f.Fuzz(func(t *testing.T, s string) {
		c, err := Parse([]string{s})
		if err != nil {
			return
		}
		field := c.Answer(`a"b`, "c", "GET", "/x", "cn", 1)
		got, err := params(strings.TrimPrefix(field, "Digest "))
		if err != nil || got["nonce"] != c.Nonce || got["realm"] != c.Realm || got["username"] != `a"b` {
			t.Errorf("%q answered with %q: %v, %v", s, field, got, err)
		}
	})
}
