// Package centreproc runs the real central office for the demo and the tests, as the bureau's administrator
// would.
//
// It owns the centre's process, its configuration file and its data directory. It must never reach into the
// database: it uses the program's commands.
package centreproc

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"campuskeep/scripts/sim/process"
)

// Ports on the loopback address.
type Ports struct{ Enrol, MQTT, Console int }

// Centre is a running central office.
type Centre struct {
	*process.Process
	Bin  string // folder of the programs
	Dir  string
	CA   string // fingerprint of its authority
	Port Ports
}

func (c *Centre) config() string { return filepath.Join(c.Dir, "campuskeep-cloud.toml") }

// Prepare makes keys and database where there are none, and returns the authority's fingerprint.
func Prepare(ctx context.Context, bin, dir string, p Ports) (*Centre, error) {
	c := &Centre{Bin: bin, Dir: dir, Port: p}
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
		return nil, err
	}
	text := fmt.Sprintf(`[centre]
name = "yunting"
office = "云汀区教育局"
data = %q
names = ["localhost", "127.0.0.1"]

[console]
listen = "127.0.0.1:%d"

[enrol]
listen = "127.0.0.1:%d"
public = "https://127.0.0.1:%d"

[broker]
kind = "embedded"
listen = "127.0.0.1:%d"
public = "127.0.0.1:%d"
`, filepath.Join(dir, "data"), p.Console, p.Enrol, p.Enrol, p.MQTT, p.MQTT)
	if err := os.WriteFile(c.config(), []byte(text), 0o600); err != nil {
		return nil, err
	}
	out, err := process.Once(ctx, bin, "campuskeep-cloud", "init", "-c", c.config())
	if err != nil {
		return nil, err
	}
	c.CA, err = word(out, "ca")
	return c, err
}

// StartCentre prepares and starts a centre, and waits until it answers.
func StartCentre(ctx context.Context, bin, dir string, p Ports) (*Centre, error) {
	c, err := Prepare(ctx, bin, dir, p)
	if err != nil {
		return nil, err
	}
	return c, c.Start(ctx)
}

// Start starts the process.
func (c *Centre) Start(ctx context.Context) (err error) {
	if c.Process, err = process.Start(c.Bin, filepath.Dir(c.Dir), "centre", "campuskeep-cloud", "run", "-c", c.config()); err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return c.Ready(wait, process.Answers(fmt.Sprintf("https://127.0.0.1:%d/healthz", c.Port.Console)))
}

// BoxConfig is the part of an appliance's configuration that points here.
func (c *Centre) BoxConfig() string {
	return fmt.Sprintf("[centre]\nenrol = \"https://127.0.0.1:%d\"\nca = %q\n", c.Port.Enrol, c.CA)
}

// Enrol registers an appliance and enrols it with the token, as its installer would.
func (c *Centre) Enrol(ctx context.Context, id, school, boxConfig string) error {
	out, err := process.Once(ctx, c.Bin, "campuskeep-cloud", "token", "-c", c.config(), "-appliance", id, "-school", school)
	if err != nil {
		return err
	}
	token, err := word(out, "token")
	if err != nil {
		return err
	}
	_, err = process.Once(ctx, c.Bin, "campuskeepd", "enrol", "-c", boxConfig, "-token", token)
	return err
}

// AddPerson gives somebody of the bureau a log-in; the second factor's secret comes back as text.
func (c *Centre) AddPerson(ctx context.Context, id, user, name, roles, password string) (secret string, err error) {
	cmd := exec.CommandContext(ctx, filepath.Join(c.Bin, "campuskeep-cloud"), "person", "-c", c.config(), "-id", id, "-user", user, "-name", name, "-roles", roles)
	cmd.Stdin = strings.NewReader(password + "\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("add %s at the centre: %w\n%s", user, err, out)
	}
	return word(string(out), "second-factor")
}

// Check compares the centre's leaves with an exported log (I8) and gives what the check printed.
func (c *Centre) Check(ctx context.Context, id, export string) (string, error) {
	out, err := exec.CommandContext(ctx, filepath.Join(c.Bin, "campuskeep-cloud"), "check", "-c", c.config(), "-appliance", id, "-export", export).CombinedOutput()
	return string(out), err
}

// word finds a line "<key> <value>" in what a program printed.
func word(out, key string) (string, error) {
	lines := bufio.NewScanner(strings.NewReader(out))
	for lines.Scan() {
		if v, ok := strings.CutPrefix(lines.Text(), key+" "); ok {
			return strings.TrimSpace(v), nil
		}
	}
	return "", fmt.Errorf("no line %q in:\n%s", key, out)
}

// LogMetrics asks an appliance how many entries it has and how many the centre has witnessed.
func LogMetrics(address string) (size, witnessed uint64, err error) {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	resp, err := client.Get(address)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return 0, 0, fmt.Errorf("%s answers %s", address, resp.Status)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		return 0, 0, err
	}
	number := func(name string) uint64 {
		text, e := word(b.String(), "campuskeep_"+name)
		v, e2 := strconv.ParseFloat(text, 64)
		err = errors.Join(err, e, e2)
		return uint64(v)
	}
	return number("log_entries"), number("log_witnessed_entries"), err
}
