package appliance

import (
	"net/netip"
	"testing"
)

// The box answers for its name where its page answers, unless that is switched off; the label sheet gives no name then.
func TestWhereTheNameIsAnswered(t *testing.T) {
	c := testConfig(t)
	c.Web.Names = []string{c.Appliance.ID + ".local", "192.168.1.10"}
	for _, tc := range []struct {
		listen, on, url string
		mdns            bool
		ports           int
	}{
		{"0.0.0.0:8443", "0.0.0.0", "https://ck-0001.local:8443", true, 2},
		{":8443", "::", "https://ck-0001.local:8443", true, 2},
		{"192.168.1.10:443", "192.168.1.10", "https://ck-0001.local", true, 2},
		{"127.0.0.1:8443", "", "https://192.168.1.10:8443", true, 1},
		{"0.0.0.0:8443", "", "https://192.168.1.10:8443", false, 1},
	} {
		c.Web.Listen, c.Web.MDNS = tc.listen, tc.mdns
		at, answers := c.nameOn()
		if want := tc.on; answers != (want != "") || answers && at != netip.MustParseAddr(want) {
			t.Errorf("%s, %v: answered on %v, %v", tc.listen, tc.mdns, at, answers)
		}
		if got := webURL(c); got != tc.url {
			t.Errorf("%s, %v: the page is at %s", tc.listen, tc.mdns, got)
		}
		if got := c.ports(); len(got) != tc.ports {
			t.Errorf("%s, %v: %v", tc.listen, tc.mdns, got)
		}
	}
}
