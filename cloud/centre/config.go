package centre

import (
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	"campuskeep/shared/lib/config"
)

// Config is what the centre must know before its database opens.
type Config struct {
	Centre struct {
		Name     string   `toml:"name"`   // is in its signatures
		Office   string   `toml:"office"` // as people call it
		Data     string   `toml:"data"`
		Timezone string   `toml:"timezone"`
		Names    []string `toml:"names"` // of this machine, for its certificate
	} `toml:"centre"`
	Console struct {
		Listen string `toml:"listen"`
	} `toml:"console"`
	Enrol struct {
		Listen string `toml:"listen"`
		Public string `toml:"public"` // address that appliances are set up with
	} `toml:"enrol"`
	Broker struct {
		Kind        string `toml:"kind"`
		Listen      string `toml:"listen"`
		Public      string `toml:"public"` // host:port that appliances connect to
		Connections int    `toml:"connections"`
		URL         string `toml:"url"`
		User        string `toml:"user"`
		Password    string `toml:"password"`
	} `toml:"broker"`
	Database struct {
		Engine string `toml:"engine"`
		DSN    string `toml:"dsn"`
	} `toml:"database"`
}

// The two kinds of brokers and of databases.
const (
	BrokerEmbedded = "embedded"
	BrokerExternal = "external"
	EngineSQLite   = "sqlite"
	EnginePostgres = "postgres"
)

// Default holds the values of keys that the file leaves out.
func Default() Config {
	var c Config
	c.Centre.Data = "/var/lib/campuskeep-cloud"
	c.Centre.Timezone = "Asia/Shanghai"
	c.Console.Listen = "0.0.0.0:9444"
	c.Enrol.Listen = "0.0.0.0:9443"
	c.Broker.Kind = BrokerEmbedded
	c.Broker.Listen = "0.0.0.0:8883"
	c.Broker.Connections = 4096
	c.Database.Engine = EngineSQLite
	return c
}

var centreName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,40}$`)

// Check implements config.Checked.
func (c *Config) Check(r *config.Report) {
	if !centreName.MatchString(c.Centre.Name) {
		r.Reject("centre.name", `2 to 41 of a-z, 0-9, "." and "-", e.g. "yunting"; it stands in signatures, choose it once`)
	}
	if n := len([]rune(c.Centre.Office)); n < 2 || n > 60 {
		r.Reject("centre.office", "2 to 60 characters")
	}
	if !strings.HasPrefix(c.Centre.Data, "/") {
		r.Reject("centre.data", "an absolute path of a directory")
	}
	if _, err := time.LoadLocation(c.Centre.Timezone); err != nil || c.Centre.Timezone == "" || c.Centre.Timezone == "Local" {
		r.Reject("centre.timezone", `a name of the time zone database, e.g. "Asia/Shanghai"`)
	}
	if len(c.Centre.Names) == 0 {
		r.Reject("centre.names", `at least one host name or IP address that appliances and browsers use, e.g. ["centre.example.edu.cn"]`)
	}
	for _, n := range c.Centre.Names {
		if n == "" || strings.ContainsAny(n, " /@*") || strings.Contains(n, ":") && net.ParseIP(n) == nil {
			r.Reject("centre.names", `host names or IP addresses without a port, e.g. ["centre.example.edu.cn", "10.0.0.5"]`)
			break
		}
	}
	for key, v := range map[string]string{"console.listen": c.Console.Listen, "enrol.listen": c.Enrol.Listen} {
		if !hostPort(v) {
			r.Reject(key, `address:port, e.g. "0.0.0.0:9443"`)
		}
	}
	if c.Enrol.Public != "" {
		if u, err := url.Parse(c.Enrol.Public); err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
			r.Reject("enrol.public", `an https:// address, e.g. "https://centre.example.edu.cn:9443"`)
		}
	}
	c.checkBroker(r)
	c.checkDatabase(r)
}

func (c *Config) checkBroker(r *config.Report) {
	if c.Broker.Public != "" && !hostPort(c.Broker.Public) {
		r.Reject("broker.public", `host:port as appliances reach it, e.g. "centre.example.edu.cn:8883"`)
	}
	switch c.Broker.Kind {
	case BrokerEmbedded:
		if !hostPort(c.Broker.Listen) {
			r.Reject("broker.listen", `address:port, e.g. "0.0.0.0:8883"`)
		}
		if c.Broker.Connections < 1 || c.Broker.Connections > 100_000 {
			r.Reject("broker.connections", "1 to 100000")
		}
		if c.Broker.URL != "" || c.Broker.User != "" || c.Broker.Password != "" {
			r.Reject("broker.url", `only with broker.kind = "external"`)
		}
	case BrokerExternal:
		if u, err := url.Parse(c.Broker.URL); err != nil || u.Scheme != "ssl" && u.Scheme != "tcp" || u.Port() == "" {
			r.Reject("broker.url", `"ssl://host:port", or "tcp://host:port" on this machine only`)
		}
		if c.Broker.Public == "" {
			r.Reject("broker.public", `host:port as appliances reach it: needed with broker.kind = "external"`)
		}
	default:
		r.Reject("broker.kind", `"embedded" or "external"`)
	}
}

func (c *Config) checkDatabase(r *config.Report) {
	switch c.Database.Engine {
	case EngineSQLite:
		if c.Database.DSN != "" {
			r.Reject("database.dsn", `only with database.engine = "postgres"; SQLite lies in centre.data`)
		}
	case EnginePostgres:
		if c.Database.DSN == "" {
			r.Reject("database.dsn", `a PostgreSQL connection string, e.g. "host=/run/postgresql dbname=campuskeep"`)
		}
	default:
		r.Reject("database.engine", `"sqlite" or "postgres"`)
	}
}

func hostPort(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	_, err = net.LookupPort("tcp", port)
	return err == nil
}
