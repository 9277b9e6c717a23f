package appliance

import (
	"campuskeep/shared/clock"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/shared/lib/config"
)

// Config is what the appliance must know before its store opens. Everything people change in pages lives in
// the store instead.
type Config struct {
	Appliance struct {
		ID       string `toml:"id"`
		School   string `toml:"school"`
		Data     string `toml:"data"`
		Timezone string `toml:"timezone"`
	} `toml:"appliance"`
	Web struct {
		Listen string   `toml:"listen"`
		Names  []string `toml:"names"`
		// MetricsToken is a file with the token of a collector elsewhere; empty: figures are for this machine alone.
		MetricsToken string `toml:"metrics_token"`
		// MDNS answers for <id>.local on the networks where the page answers.
		MDNS bool `toml:"mdns"`
	} `toml:"office"`
	Centre struct {
		Enrol string `toml:"enrol"`
		CA    string `toml:"ca"`
	} `toml:"centre"`
	Clock struct {
		Sources []string `toml:"sources"`
		NTP     []string `toml:"ntp"` // servers, host[:port]
	} `toml:"clock"`
	Vault struct {
		Path string          `toml:"path"`
		Sync config.Duration `toml:"sync"`
	} `toml:"vault"`
	Keys struct {
		TPM string `toml:"tpm"`
	} `toml:"keys"`
	Log struct {
		Format string `toml:"format"` // text or json
	} `toml:"log"`
	Extraction struct {
		// Stick is where USB sticks for packages are mounted; empty: packages leave by download alone.
		Stick string `toml:"stick"`
	} `toml:"extraction"`
	Terminals struct {
		// Listen is where network terminals of the gate call (iclock); empty: nowhere.
		Listen string `toml:"listen"`
	} `toml:"terminals"`
	Bus   []BusConfig `toml:"bus"`
	Panel PanelConfig `toml:"panel"`
}

// BusConfig is one OSDP line: a serial port with its readers behind it (which readers is a record in the store).
type BusConfig struct {
	Port string `toml:"port"`
	Baud int    `toml:"baud"`
}

// PanelConfig names GPIO pins by the board's names; an empty name means that nothing is connected there.
type PanelConfig struct {
	Reader string `toml:"reader"` // the reader whose signals the panel repeats
	Green  string `toml:"green"`
	Amber  string `toml:"amber"`
	Buzzer string `toml:"buzzer"`
}

// Default holds the values of keys that the file leaves out.
func Default() Config {
	var c Config
	c.Appliance.Data = "/var/lib/campuskeep"
	c.Appliance.Timezone = "Asia/Shanghai"
	c.Web.Listen = "0.0.0.0:8443"
	c.Web.MDNS = true
	c.Clock.Sources = []string{"rtc", "nvr", "centre"}
	c.Vault.Sync = config.Duration(2 * time.Second)
	c.Log.Format = "text"
	return c
}

var (
	applianceID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,30}[a-z0-9]$`)
	fingerprint = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// clockSources are the origins of time that a configuration may declare. "host" declares the machine's own
// clock a source of its own: right where something outside of us keeps it (chrony with its own servers).
var clockSources = []string{"rtc", "ntp", "nvr", "host", "centre"}

// Check implements config.Checked.
func (c *Config) Check(r *config.Report) {
	if !applianceID.MatchString(c.Appliance.ID) {
		r.Reject("appliance.id", `3 to 32 of a-z, 0-9 and "-", e.g. "ck-0417"`)
	}
	if n := len([]rune(c.Appliance.School)); n < 2 || n > 60 {
		r.Reject("appliance.school", "2 to 60 characters")
	}
	if !strings.HasPrefix(c.Appliance.Data, "/") {
		r.Reject("appliance.data", "an absolute path of a directory")
	}
	if _, err := time.LoadLocation(c.Appliance.Timezone); err != nil || c.Appliance.Timezone == "" || c.Appliance.Timezone == "Local" {
		r.Reject("appliance.timezone", `a name of the time zone database, e.g. "Asia/Shanghai"`)
	}
	if !hostPort(c.Web.Listen) {
		r.Reject("office.listen", `address:port, e.g. "0.0.0.0:8443"`)
	}
	for _, n := range c.Web.Names {
		if n == "" || strings.ContainsAny(n, " /:@") && net.ParseIP(n) == nil {
			r.Reject("office.names", `host names or IP addresses without a port, e.g. ["ck-0417.local", "192.168.1.10"]`)
			break
		}
	}
	if c.Web.MetricsToken != "" && !strings.HasPrefix(c.Web.MetricsToken, "/") {
		r.Reject("office.metrics_token", "the path of a file with the token, or nothing: figures for this machine alone")
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		r.Reject("log.format", `"text" or "json"`)
	}
	if c.Centre.Enrol != "" {
		if u, err := url.Parse(c.Centre.Enrol); err != nil || u.Scheme != "https" || u.Host == "" {
			r.Reject("centre.enrol", `an https:// address, e.g. "https://centre.example.edu.cn:9443"`)
		}
		if !fingerprint.MatchString(c.Centre.CA) || strings.Trim(c.Centre.CA, "sha256:0") == "" {
			r.Reject("centre.ca", `"sha256:" and 64 lower-case hex digits, not all zero: the fingerprint that the centre prints`)
		}
	} else if c.Centre.CA != "" {
		r.Reject("centre.enrol", "needed when centre.ca is set")
	}
	c.checkClock(r)
	if c.Vault.Path != "" && !strings.HasPrefix(c.Vault.Path, "/") {
		r.Reject("vault.path", "an absolute path of a directory, or nothing for <data>/vault")
	}
	if c.Extraction.Stick != "" && !strings.HasPrefix(c.Extraction.Stick, "/") {
		r.Reject("extraction.stick", `the directory where USB sticks are mounted, e.g. "/media/stick", or nothing`)
	}
	if d := time.Duration(c.Vault.Sync); d < 100*time.Millisecond || d > 10*time.Second {
		r.Reject("vault.sync", `"100ms" to "10s": what a power cut may cost`)
	}
	if c.Keys.TPM != "" && !strings.HasPrefix(c.Keys.TPM, "/") {
		r.Reject("keys.tpm", `the path of a TPM 2.0, e.g. "/dev/tpmrm0", or nothing to keep the root key in a file`)
	}
	if c.Terminals.Listen != "" && (!hostPort(c.Terminals.Listen) || c.Terminals.Listen == c.Web.Listen) {
		r.Reject("terminals.listen", `address:port, another one than office.listen, e.g. "10.20.6.2:8081", or nothing: no terminal calls`)
	}
	c.checkReaderBuses(r)
}

func (c *Config) checkClock(r *config.Report) {
	seen := map[string]bool{}
	for _, s := range c.Clock.Sources {
		if !slices.Contains(clockSources, s) || seen[s] {
			r.Reject("clock.sources", `each of "rtc", "ntp", "nvr", "host", "centre" at most once`)
			return
		}
		seen[s] = true
	}
	witnesses := map[clock.Origin]bool{}
	for s := range seen {
		if s != "centre" || c.Centre.Enrol != "" {
			witnesses[clock.Origin(s).Witness()] = true
		}
	}
	if len(witnesses) < 2 {
		r.Reject("clock.sources", `two that are not set from each other: "rtc", "host" and "ntp" together are one, "nvr" is one, "centre" is one when a centre is configured; one alone never lets anything be deleted`)
	}
	c.checkNTP(r, seen["ntp"])
}

// mostNTP servers are asked: four find one that lies, more only make noise.
const mostNTP = 8

func (c *Config) checkNTP(r *config.Report, declared bool) {
	servers := map[string]bool{}
	for _, s := range c.Clock.NTP {
		if !serverAddress(s) || servers[s] {
			r.Reject("clock.ntp", `servers as host or host:port, each once, e.g. ["10.0.0.1", "ntp.example.edu.cn:123"]`)
			return
		}
		servers[s] = true
	}
	switch {
	case declared && len(servers) == 0:
		r.Reject("clock.ntp", `one or more servers when clock.sources holds "ntp", e.g. ["10.0.0.1"]`)
	case !declared && len(servers) > 0:
		r.Reject("clock.ntp", `servers only when clock.sources holds "ntp"`)
	case len(servers) > mostNTP:
		r.Reject("clock.ntp", fmt.Sprintf("at most %d servers", mostNTP))
	}
}

func (c *Config) checkReaderBuses(r *config.Report) {
	ports := map[string]bool{}
	for _, b := range c.Bus {
		if !strings.HasPrefix(b.Port, "/") || ports[b.Port] {
			r.Reject("bus.port", `the path of a serial port, each once, e.g. "/dev/ttyUSB0"`)
		}
		ports[b.Port] = true
		switch b.Baud {
		case 9600, 19200, 38400, 57600, 115200, 230400:
		default:
			r.Reject("bus.baud", "9600, 19200, 38400, 57600, 115200 or 230400 (OSDP 2.2)")
		}
	}
	used := map[string]bool{}
	for _, p := range []struct{ key, pin string }{{"panel.green", c.Panel.Green}, {"panel.amber", c.Panel.Amber}, {"panel.buzzer", c.Panel.Buzzer}} {
		if p.pin != "" && used[p.pin] {
			r.Reject(p.key, "a pin of its own: "+p.pin+" is already taken")
		}
		used[p.pin] = true
	}
	if (c.Panel.Green != "" || c.Panel.Amber != "" || c.Panel.Buzzer != "") && c.Panel.Reader == "" {
		r.Reject("panel.reader", `the id of the reader whose signals the panel repeats, e.g. "r01"`)
	}
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$`)

// serverAddress is host or host:port; an IPv6 address with a port is in brackets.
func serverAddress(s string) bool {
	if net.ParseIP(s) != nil {
		return true
	}
	host := s
	if h, port, err := net.SplitHostPort(s); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return false
		}
		host = h
	}
	return net.ParseIP(host) != nil || len(host) <= 253 && hostName.MatchString(host)
}

func hostPort(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && (n > 0 || port == "0")
}
