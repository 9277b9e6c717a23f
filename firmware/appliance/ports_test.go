package appliance

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// Covers F11: the open ports equal the published list, and check says where they do not.
func TestOpenPortsEqualThePublishedList(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	own := l.Addr().(*net.TCPAddr).AddrPort()
	open, err := listening("/proc/self", "tcp")
	if err != nil || !slices.Contains(open, own) {
		t.Errorf("%v is not among %v: %v", own, open, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if open, err = listening("/proc/self", "tcp"); err != nil || slices.Contains(open, own) {
		t.Errorf("%v is among %v after it closed: %v", own, open, err)
	}
	a := netip.MustParseAddrPort
	for _, tc := range []struct {
		open, published []netip.AddrPort
		want            []string
	}{
		{[]netip.AddrPort{a("0.0.0.0:8443"), a("127.0.0.1:6060")}, []netip.AddrPort{a("0.0.0.0:8443")}, nil},
		{[]netip.AddrPort{a("0.0.0.0:8443"), a("[::]:6060")}, []netip.AddrPort{a("0.0.0.0:8443")}, []string{"unpublished tcp [::]:6060"}},
		{nil, []netip.AddrPort{a("0.0.0.0:8443")}, []string{"closed tcp 0.0.0.0:8443"}},
	} {
		var got []string
		portFindings(tc.open, tc.published, func(f Finding) { got = append(got, f.What+" "+f.Where) })
		if !slices.Equal(got, tc.want) {
			t.Errorf("%v against %v: %v", tc.open, tc.published, got)
		}
	}
}

func TestTheKernelsTableOfSockets(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:20FB 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 115 1 0 100 0 0 10 0
   1: 0100007F:A5DD 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 116 2 0 100 0 0 10 0
   2: 0100007F:A5DE 00000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 115 2 0 100 0 0 10 0
   3: 0100007F:A5DF 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 117 2 0 100 0 0 10 0
`
	got, err := listeners(table, map[string]bool{"115": true, "116": true})
	if want := []netip.AddrPort{netip.MustParseAddrPort("[::]:8443"), netip.MustParseAddrPort("127.0.0.1:42461")}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := listeners(strings.Replace(table, "0100007F:A5DD", "01007F:A5DD", 1), map[string]bool{"116": true}); err == nil {
		t.Error("an address that is none")
	}
}
