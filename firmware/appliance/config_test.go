package appliance

import (
	"os"
	"strings"
	"testing"

	"campuskeep/shared/lib/config"
)

func example(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../cmd/campuskeepd/campuskeep.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// wholeExample is the example with the tables that it only shows, and a centre.
func wholeExample(t *testing.T) string {
	t.Helper()
	b := example(t)
	for _, key := range []string{"[centre]", "enrol", "ca", "[extraction]", "stick", "[terminals]", "listen", "[[bus]]", "port", "baud", "[panel]", "reader", "green", "amber", "buzzer"} {
		if !strings.Contains(b, "\n# "+key) {
			t.Fatalf("the example does not show %s", key)
		}
		b = strings.Replace(b, "\n# "+key, "\n"+key, 1)
	}
	b = strings.Replace(b, `"sha256:…"`, `"sha256:`+strings.Repeat("0", 63)+`1"`, 1)
	return strings.Replace(b, `["rtc", "nvr"]`, `["rtc", "nvr", "centre"]`, 1)
}

// The example as it is printed is good for every board: nothing in it names a device that may not be there.
func TestTheExampleConfigurationIsAccepted(t *testing.T) {
	for name, text := range map[string]string{"as printed": example(t), "with all tables": wholeExample(t)} {
		c := Default()
		if err := config.Decode("example", []byte(text), &c); err != nil {
			t.Fatal(err)
		}
		if shown := c.Panel.Green != "" && len(c.Bus) == 1 && c.Centre.Enrol != ""; shown != (name == "with all tables") {
			t.Errorf("%s: panel %v, bus %v, centre %v", name, c.Panel, c.Bus, c.Centre)
		}
	}
}

// Covers M5: nothing is guessed from a configuration that is wrong.
func TestEachWrongValueIsRefusedByName(t *testing.T) {
	good := wholeExample(t)
	for _, tc := range []struct{ old, new, want string }{
		{`id = "ck-0417"`, `id = "CK 0417"`, "appliance.id"},
		{`id = "ck-0417"`, `idd = "ck-0417"`, "appliance.idd"},
		{`school = "青榆实验学校"`, `school = ""`, "appliance.school"},
		{`data = "/var/lib/campuskeep"`, `data = "var"`, "appliance.data"},
		{`"Asia/Shanghai"`, `"Asia/Shangai"`, "appliance.timezone"},
		{`listen = "0.0.0.0:8443"`, `listen = "8443"`, "office.listen"},
		{`listen = "0.0.0.0:8443"`, `listen = 8443`, "office.listen"},
		{`"192.168.1.10"]`, `"https://x"]`, "office.names"},
		{`enrol = "https://`, `enrol = "http://`, "centre.enrol"},
		{`sha256:00`, `sha1:00`, "centre.ca"},
		{`01"`, `00"`, "centre.ca"},
		{`["rtc", "nvr", "centre"]`, `["gps"]`, "clock.sources"},
		{`["rtc", "nvr", "centre"]`, `["rtc", "rtc"]`, "clock.sources"},
		{`["rtc", "nvr", "centre"]`, `["rtc"]`, "clock.sources"},
		{`["rtc", "nvr", "centre"]`, `["ntp", "host"]`, "clock.sources"},
		{`["rtc", "nvr", "centre"]`, `["rtc", "host"]`, "clock.sources"},
		{`["rtc", "nvr", "centre"]`, "[\"rtc\", \"host\", \"ntp\"]\nntp = [\"10.0.0.1\"]", "clock.sources"},
		{`["rtc", "nvr", "centre"]`, `["ntp", "centre"]`, "clock.ntp"},
		{`# ntp = ["10.0.0.1"`, `ntp = ["10.0.0.1"`, "clock.ntp"},
		{`["rtc", "nvr", "centre"]`, "[\"ntp\", \"centre\"]\nntp = [\"http://10.0.0.1\"]", "clock.ntp"},
		{`["rtc", "nvr", "centre"]`, "[\"ntp\", \"centre\"]\nntp = [\"10.0.0.1:99999\"]", "clock.ntp"},
		{`["rtc", "nvr", "centre"]`, "[\"ntp\", \"centre\"]\nntp = [\"10.0.0.1\", \"10.0.0.1\"]", "clock.ntp"},
		{`["rtc", "nvr", "centre"]`, "[\"ntp\", \"centre\"]\nntp = [\"10.0.0.1 \"]", "clock.ntp"},
		{`sync = "2s"`, `sync = "1h"`, "vault.sync"},
		{`sync = "2s"`, `sync = 2`, "vault.sync"},
		{`[vault]`, "[log]\nformat = \"xml\"\n[vault]", "log.format"},
		{`listen = "0.0.0.0:8443"`, "listen = \"0.0.0.0:8443\"\nmetrics_token = \"secret\"", "office.metrics_token"},
		{`baud = 9600`, `baud = 9601`, "bus.baud"},
		{`amber = "GPIO27"`, `amber = "GPIO17"`, "panel.amber"},
		{`reader = "r01"`, ``, "panel.reader"},
		{`[vault]`, `[vaults]`, "vaults"},
	} {
		bad := strings.Replace(good, tc.old, tc.new, 1)
		if bad == good {
			t.Fatalf("%q does not stand in the example", tc.old)
		}
		c := Default()
		err := config.Decode("bad.toml", []byte(bad), &c)
		if err == nil {
			t.Errorf("%s was accepted", tc.new)
			continue
		}
		for _, w := range []string{"bad.toml", tc.want, "allowed"} {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: message %q does not say %q", tc.new, err, w)
			}
		}
	}
}

// Covers F3: the servers of NTP are named as people name them.
func TestNTPServersInTheConfiguration(t *testing.T) {
	for _, ok := range []string{"10.0.0.1", "10.0.0.1:1123", "ntp", "ntp.ntsc.ac.cn", "ntp.ntsc.ac.cn:123", "fd00::1", "[fd00::1]:123"} {
		if !serverAddress(ok) {
			t.Errorf("%q is refused", ok)
		}
	}
	for _, bad := range []string{"", ":123", "a b", "ntp..cn", "-x", "ntp.cn:", "ntp.cn:0", "ntp.cn:65536", "ntp://ntp.cn", "ntp.cn/x", "[fd00::1]", "fd00::1:zz"} {
		if serverAddress(bad) {
			t.Errorf("%q is accepted", bad)
		}
	}
	c := Default()
	good := strings.Replace(wholeExample(t), `sources = ["rtc", "nvr", "centre"]`, "sources = [\"ntp\", \"rtc\", \"nvr\"]\nntp = [\"10.0.0.1\", \"ntp.example.edu.cn:123\"]", 1)
	if err := config.Decode("example", []byte(good), &c); err != nil || len(c.Clock.NTP) != 2 {
		t.Fatalf("%v %v", c.Clock.NTP, err)
	}
}
