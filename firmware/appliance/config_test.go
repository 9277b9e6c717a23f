package appliance

import (
	"os"
	"strings"
	"testing"

	"campuskeep/shared/config"
)

func example(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../cmd/campuskeepd/campuskeep.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTheExampleConfigurationIsAccepted(t *testing.T) {
	c := Default()
	if err := config.Decode("example", []byte(example(t)), &c); err != nil {
		t.Fatal(err)
	}
}

// Covers M5: nothing is guessed from a configuration that is wrong.
func TestEachWrongValueIsRefusedByName(t *testing.T) {
	good := example(t)
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
		{`["rtc", "centre"]`, `["gps"]`, "clock.sources"},
		{`sync = "2s"`, `sync = "1h"`, "vault.sync"},
		{`sync = "2s"`, `sync = 2`, "vault.sync"},
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
