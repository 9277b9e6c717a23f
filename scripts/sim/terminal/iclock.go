// Package terminalsim is network terminals that do not exist, for tests: they speak their protocols over real HTTP and
// misbehave as terminals in schools do.
//
// It must never share the product's protocol code: it is the second reading of what vendors and other servers document.
package terminalsim

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Record is one mark in the memory of a terminal.
type Record struct {
	User   uint64
	At     time.Time // by the terminal's clock
	Status int       // in/out key as it was pressed, or not
	Verify int
}

// Iclock is a ZKTeco terminal: it calls the server. Its memory keeps every record; what the server has acknowledged is not
// sent again, unless the server's stamp says that it knows nothing.
type Iclock struct {
	URL    string // with the access code
	Serial string
	Zone   *time.Location
	Now    func() time.Time // the true time
	Client *http.Client

	// The misbehaviours.
	Off           time.Duration // the clock is wrong by so much
	FollowsDate   bool          // sets its clock by the Date of answers, as if they were of its zone
	ZoneInMinutes bool          // takes the option TimeZone for minutes
	Reset         bool          // the battery is empty: the clock begins at 2000-01-01
	WrongKey      bool          // the in/out key is always "out"
	Twice         bool          // sends each delivery twice, the second time before it has read the answer
	Garbage       []string      // lines that are sent among the marks
	BreakOff      int           // the next so many deliveries break off in the middle
	Aspx          bool          // newer firmware: cdata.aspx
	Lower         bool          // names the table in lower case
	PerRequest    int           // records in one delivery; 0: all

	mu      sync.Mutex
	records []Record
	sent    int // acknowledged records, from the first
	shift   time.Duration
	Options map[string]string // as the server gave them
	// Commands are what the server wanted to be done.
	Commands []string
}

// Clock is the time by the terminal.
func (t *Iclock) Clock() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.Now().Add(t.Off + t.shift)
	if t.Reset {
		return time.Date(2000, 1, 1, 0, 0, 0, 0, t.Zone).Add(time.Duration(now.UnixNano() % int64(time.Hour)))
	}
	return now
}

// Hold lets a user identify; the mark is in the memory then, sent or not.
func (t *Iclock) Hold(user uint64, verify int) Record {
	r := Record{User: user, At: t.Clock().Truncate(time.Second), Verify: verify}
	if t.WrongKey {
		r.Status = 1
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.records = append(t.records, r)
	return r
}

// Remember puts records of earlier into the memory, acknowledged or not.
func (t *Iclock) Remember(acknowledged bool, records ...Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.records = append(t.records, records...)
	if acknowledged {
		t.sent = len(t.records)
	}
}

func (t *Iclock) call(path string) string {
	if t.Aspx {
		path += ".aspx"
	}
	return strings.TrimSuffix(t.URL, "/") + "/iclock/" + path + "?SN=" + t.Serial
}

func (t *Iclock) do(ctx context.Context, method, url, body string) (string, int, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return "", 0, err
	}
	req.Header.Set("User-Agent", "iClock Proxy/1.09")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/push;charset=UTF-8")
	}
	resp, err := t.Client.Do(req)
	if err != nil {
		return "", 0, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if date, e := http.ParseTime(resp.Header.Get("Date")); e == nil && t.FollowsDate {
		y, m, d := date.Date()
		set := time.Date(y, m, d, date.Hour(), date.Minute(), date.Second(), 0, t.Zone) // GMT taken for local
		t.mu.Lock()
		t.shift = set.Sub(t.Now())
		t.mu.Unlock()
	}
	return string(got), resp.StatusCode, err
}

// Hello asks how to work, as after each start.
func (t *Iclock) Hello(ctx context.Context) error {
	got, status, err := t.do(ctx, http.MethodGet, t.call("cdata")+"&options=all&language=83&pushver=2.4.1", "")
	if err != nil {
		return err
	}
	if status != http.StatusOK || !strings.HasPrefix(got, "GET OPTION FROM: "+t.Serial) {
		return fmt.Errorf("hello: %d %q", status, got)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Options = map[string]string{}
	for line := range strings.SplitSeq(got, "\n") {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			t.Options[k] = v
		}
	}
	if zone, err := strconv.Atoi(t.Options["TimeZone"]); err == nil {
		_, own := t.Now().In(t.Zone).Zone()
		if t.ZoneInMinutes {
			t.shift = time.Duration(zone)*time.Minute - time.Duration(own)*time.Second
		} else {
			t.shift = time.Duration(zone)*time.Hour - time.Duration(own)*time.Second
		}
	}
	if t.Options["ATTLOGStamp"] == "0" { // everything again
		t.sent = 0
	}
	return nil
}

// Poll asks whether there is something to do.
func (t *Iclock) Poll(ctx context.Context) error {
	got, status, err := t.do(ctx, http.MethodGet, t.call("getrequest")+"&INFO=Ver%206.60%20Sep%2019%202019,3,0,12,10.20.6.21,10,7", "")
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("poll: %d %q", status, got)
	}
	if strings.HasPrefix(got, "C:") {
		t.mu.Lock()
		t.Commands = append(t.Commands, got)
		t.mu.Unlock()
	}
	return nil
}

// Deliver sends what is not acknowledged. It returns how many records were acknowledged in all.
func (t *Iclock) Deliver(ctx context.Context) (int, error) {
	for {
		t.mu.Lock()
		all := t.records[t.sent:]
		if t.PerRequest > 0 && len(all) > t.PerRequest {
			all = all[:t.PerRequest]
		}
		broken := t.BreakOff > 0
		if broken {
			t.BreakOff--
		}
		t.mu.Unlock()
		if len(all) == 0 {
			return t.Sent(), nil
		}
		table := "ATTLOG"
		if t.Lower {
			table = "attlog"
		}
		url := fmt.Sprintf("%s&table=%s&Stamp=%d", t.call("cdata"), table, all[len(all)-1].At.Unix()-946684800)
		body := t.body(all)
		if broken {
			if err := t.breakOff(ctx, url, body); err != nil {
				return t.Sent(), err
			}
			return t.Sent(), fmt.Errorf("deliver: broken off")
		}
		if t.Twice {
			go t.do(ctx, http.MethodPost, url, body)
		}
		got, status, err := t.do(ctx, http.MethodPost, url, body)
		if err != nil {
			return t.Sent(), err
		}
		if status != http.StatusOK || !strings.HasPrefix(got, "OK") {
			return t.Sent(), fmt.Errorf("deliver: %d %q", status, got)
		}
		t.mu.Lock()
		t.sent += len(all)
		t.mu.Unlock()
	}
}

// Sent is how many records are acknowledged.
func (t *Iclock) Sent() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sent
}

func (t *Iclock) body(records []Record) string {
	var b strings.Builder
	for i, r := range records {
		if i < len(t.Garbage) {
			b.WriteString(t.Garbage[i] + "\n")
		}
		fmt.Fprintf(&b, "%d\t%s\t%d\t%d\t0\t0\n", r.User, r.At.In(t.Zone).Format(time.DateTime), r.Status, r.Verify)
	}
	return b.String()
}

// breakOff sends half of a body and hangs up.
func (t *Iclock) breakOff(ctx context.Context, url, body string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, io.MultiReader(strings.NewReader(body[:len(body)/2]), broken{}))
	if err != nil {
		return err
	}
	req.ContentLength = int64(len(body))
	if resp, err := t.Client.Do(req); err == nil {
		resp.Body.Close()
	}
	return nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, fmt.Errorf("the cable was pulled") }

// Table sends another table, as terminals do whatever they were set to.
func (t *Iclock) Table(ctx context.Context, table, body string) (string, int, error) {
	return t.do(ctx, http.MethodPost, t.call("cdata")+"&table="+table+"&Stamp=9999", body)
}

// Result tells of the results of commands, several at once.
func (t *Iclock) Result(ctx context.Context, body string) (string, int, error) {
	return t.do(ctx, http.MethodPost, t.call("devicecmd"), body)
}
