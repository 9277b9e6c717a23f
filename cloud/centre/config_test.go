package centre

import (
	"os"
	"strings"
	"testing"

	"campuskeep/shared/lib/config"
)

// Every wrong key, type or value is refused with file, key, value and what is allowed.
func TestConfigurationMistakes(t *testing.T) {
	text, err := os.ReadFile("../cmd/campuskeep-cloud/campuskeep-cloud.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	if err := config.Decode("example.toml", text, &cfg); err != nil {
		t.Fatalf("the example is refused: %v", err)
	}
	for _, c := range []struct{ old, new, key string }{
		{`name = "yunting"`, `name = "Yun Ting"`, "centre.name"},
		{`office = "云汀区教育局"`, `office = ""`, "centre.office"},
		{`data = "/var`, `data = "var`, "centre.data"},
		{`timezone = "Asia/Shanghai"`, `timezone = "Local"`, "centre.timezone"},
		{`names = ["centre.example.edu.cn", "10.0.0.5"]`, `names = []`, "centre.names"},
		{`names = ["centre.example.edu.cn", "10.0.0.5"]`, `names = ["https://x"]`, "centre.names"},
		{`listen = "0.0.0.0:9444"`, `listen = "9444"`, "console.listen"},
		{`listen = "0.0.0.0:9443"`, `listen = "0.0.0.0:99999"`, "enrol.listen"},
		{`# public = "https://centre.example.edu.cn:9443"`, `public = "http://centre:9443"`, "enrol.public"},
		{`kind = "embedded"`, `kind = "external"`, "broker.url"},
		{`kind = "embedded"`, `kind = "none"`, "broker.kind"},
		{`# user = "centre"`, `user = "centre"`, "broker.url"},
		{`connections = 4096`, `connections = 0`, "broker.connections"},
		{`connections = 4096`, `connections = "many"`, "broker.connections"},
		{`engine = "sqlite"`, `engine = "mysql"`, "database.engine"},
		{`engine = "sqlite"`, `engine = "postgres"`, "database.dsn"},
		{`[database]`, `[databse]`, "databse"},
		{`engine = "sqlite"`, `engin = "sqlite"`, "database.engin"},
	} {
		bad := strings.Replace(string(text), c.old, c.new, 1)
		if bad == string(text) {
			t.Fatalf("%q is not in the example", c.old)
		}
		cfg := Default()
		err := config.Decode("bad.toml", []byte(bad), &cfg)
		if err == nil || !strings.Contains(err.Error(), "bad.toml") || !strings.Contains(err.Error(), c.key) || !strings.Contains(err.Error(), "allowed") {
			t.Errorf("%s: %v", c.new, err)
		}
	}
}
