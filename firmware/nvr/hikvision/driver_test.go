package hikvision_test

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"campuskeep/firmware/nvr/driver"

	"campuskeep/firmware/nvr/hikvision"
	sim "campuskeep/scripts/sim/nvr"
)

// noon is the true present of the simulated world.
var noon = time.Date(2026, 5, 20, 4, 0, 0, 0, time.UTC)

const fps = 10

var clip = sync.OnceValues(func() ([][][]byte, error) { return sim.Clip(context.Background(), "gate", 10, fps) })

func start(t *testing.T, change func(*sim.Options)) (*sim.NVR, driver.Driver) {
	t.Helper()
	c, err := clip()
	if err != nil {
		t.Fatal(err)
	}
	o := sim.Options{
		Listen: "127.0.0.1", User: "keeper", Password: "right horse", Model: "DS-7732NI-K4", Now: func() time.Time { return noon },
		Habits: sim.Habits{Zone: "CST-8:00:00"}, Clip: c, FPS: fps, Speed: 100,
		Channels: []sim.Channel{
			{ID: 1, Name: "校门 & <北>", Online: true, Days: 30, Keep: true, Pieces: sim.Hours(noon.Add(-100*time.Hour), noon)},
			{ID: 2, Name: "车棚", Days: 7},
		},
	}
	if change != nil {
		change(&o)
	}
	n, err := sim.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	d := open(t, n, o.User, o.Password)
	t.Cleanup(func() {
		if err := errors.Join(d.Close(), n.Close()); err != nil {
			t.Error(err)
		}
	})
	return n, d
}

func open(t *testing.T, n *sim.NVR, user, password string) driver.Driver {
	t.Helper()
	return pinned(t, n, user, password, "")
}

func pinned(t *testing.T, n *sim.NVR, user, password, pin string) driver.Driver {
	t.Helper()
	d, err := hikvision.Open(driver.Target{
		ID: "n01", Address: n.Address(), RTSP: n.RTSPAddress(), Pin: pin, User: user, Password: password,
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func digits(at time.Time) driver.Stamp { return driver.Stamp{Digits: at, Mark: driver.MarkZ} }

func search(t *testing.T, d driver.Driver, from, to time.Time) ([]driver.Record, error) {
	t.Helper()
	var out []driver.Record
	err := d.Search(t.Context(), "101", digits(from), digits(to), func(r driver.Record) error { out = append(out, r); return nil })
	return out, err
}

// Covers F1: an NVR tells its cameras with names and streams, and how long it keeps them.
func TestWhatAnNVRTellsOfItself(t *testing.T) {
	_, d := start(t, nil)
	i, err := d.Info(t.Context())
	if err != nil || i.Model != "DS-7732NI-K4" || i.Firmware != "V4.61.025 build 220906" || i.Serial == "" {
		t.Errorf("%+v, %v", i, err)
	}
	list, err := d.Channels(t.Context())
	if err != nil || len(list) != 2 || list[0].Name != "校门 & <北>" || !*list[0].Online || *list[1].Online || list[1].Address != "192.168.1.102" {
		t.Fatalf("%+v, %v", list, err)
	}
	if s := list[0].Streams; len(s) != 1 || s[0] != (driver.Stream{ID: 101, Codec: "H.264", W: 2560, H: 1440, MilFr: 25000, Kbps: 4096, GOP: 50}) {
		t.Errorf("%+v", s)
	}
	tracks, err := d.Tracks(t.Context())
	if err != nil || len(tracks) != 2 || tracks[0] != (driver.Track{ID: "101", Channel: 1, Enabled: true, Keep: 720 * time.Hour, Expires: true}) || tracks[1].Expires {
		t.Errorf("%+v, %v", tracks, err)
	}
	c, err := d.Clock(t.Context())
	if err != nil || c.Zone != "CST-8:00:00" || !c.Now.Digits.Equal(noon.Add(8*time.Hour)) || c.Now.Mark != driver.MarkOffset || c.Now.Offset != 8*time.Hour {
		t.Errorf("%+v, %v", c, err)
	}
	if d.Local() != "127.0.0.1" {
		t.Errorf("we came from %q", d.Local())
	}
}

func TestASearchGoesThroughAllPages(t *testing.T) {
	for name, f := range map[string]func(*sim.Faults){
		"long form": func(*sim.Faults) {}, "short form": func(f *sim.Faults) { f.ShortForm = true },
		"overlapping pages": func(f *sim.Faults) { f.Overlap = 3 }, "the same page for ever": func(f *sim.Faults) { f.SamePage = true },
		"more is promised for ever": func(f *sim.Faults) { f.EverMore = true },
		"pages cut short":           func(f *sim.Faults) { f.CutPages = true }, "nonces that end after three uses": func(f *sim.Faults) { f.NonceUses = 3 },
	} {
		t.Run(name, func(t *testing.T) {
			n, d := start(t, func(o *sim.Options) { o.PageSize = 7 })
			n.Set(func(_ *sim.Habits, ff *sim.Faults) { f(ff) })
			got, err := search(t, d, noon.Add(-200*time.Hour), noon.Add(time.Hour))
			if err != nil || len(got) != 100 {
				t.Fatalf("%d records, %v", len(got), err)
			}
			for i, r := range got {
				if want := noon.Add(time.Duration(i-100) * time.Hour); !r.From.Digits.Equal(want) || !r.PlayFrom.Digits.Equal(want) || r.Track != "101" {
					t.Fatalf("record %d: %+v", i, r)
				}
			}
			if n.Counts().Refused != 0 {
				t.Error("the NVR counted failed log-ins")
			}
		})
	}
	_, d := start(t, nil)
	if got, err := search(t, d, noon.Add(-time.Minute), noon.Add(-time.Second)); err != nil || len(got) != 1 {
		t.Errorf("one record: %v, %v", got, err)
	}
	if got, err := search(t, d, noon.Add(time.Hour), noon.Add(2*time.Hour)); err != nil || len(got) != 0 {
		t.Errorf("nothing: %v, %v", got, err)
	}
	seen := 0
	err := d.Search(t.Context(), "101", digits(noon.Add(-99*time.Hour)), digits(noon), func(driver.Record) error { seen++; return driver.ErrEnough })
	if err != nil || seen != 1 {
		t.Errorf("stopped after %d: %v", seen, err)
	}
}

// An NVR locks our address after a few attempts: one is all it gets.
func TestARefusedPasswordIsTriedOnce(t *testing.T) {
	n, _ := start(t, nil)
	n.Set(func(_ *sim.Habits, f *sim.Faults) { f.LockAfter = 3 })
	d := open(t, n, "keeper", "wrong horse")
	for range 5 {
		_, err := d.Info(t.Context())
		if !errors.Is(err, driver.ErrRefused) || !strings.Contains(err.Error(), "attempts left: 2") {
			t.Errorf("%v", err)
		}
		if err := d.Play(t.Context(), "101", digits(noon.Add(-time.Hour)), digits(noon), func(driver.AccessUnit) error { return nil }); !errors.Is(err, driver.ErrRefused) {
			t.Errorf("playback: %v", err)
		}
	}
	if got := n.Counts().Refused; got != 1 {
		t.Errorf("%d log-ins failed", got)
	}
	if _, err := open(t, n, "keeper", "right horse").Info(t.Context()); err != nil {
		t.Errorf("with the right password: %v", err)
	}
	n.SetPassword("another")
	d = open(t, n, "keeper", "right horse")
	if err := d.Play(t.Context(), "101", digits(noon.Add(-time.Hour)), digits(noon), func(driver.AccessUnit) error { return nil }); !errors.Is(err, driver.ErrRefused) {
		t.Errorf("playback with a wrong password: %v", err)
	}
	if _, err := d.Info(t.Context()); !errors.Is(err, driver.ErrRefused) {
		t.Errorf("after a refused playback: %v", err)
	}
	if got := n.Counts().Refused; got != 2 {
		t.Errorf("%d log-ins failed", got)
	}
}

// A nonce that is not taken any more is no wrong password: after a success there is one fresh try, and no other.
func TestANonceThatEndsIsNoWrongPassword(t *testing.T) {
	for name, f := range map[string]func(*sim.Faults){
		"and nothing says so":    func(f *sim.Faults) { f.NonceUses, f.SilentStale = 2, true },
		"one for each request":   func(f *sim.Faults) { f.NonceUses, f.SilentStale = 1, true },
		"and it is called stale": func(f *sim.Faults) { f.NonceUses = 1 },
		"and it answers 403":     func(f *sim.Faults) { f.NonceUses, f.Stale403 = 1, true },
	} {
		t.Run(name, func(t *testing.T) {
			n, d := start(t, nil)
			n.Set(func(_ *sim.Habits, ff *sim.Faults) { f(ff); ff.LockAfter = 2 })
			for range 6 {
				if _, err := d.Info(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if got := n.Counts().Refused; got != 0 {
				t.Errorf("%d log-ins failed", got)
			}
			n.SetPassword("another")
			for range 3 {
				if _, err := d.Info(t.Context()); err == nil {
					t.Fatal("passed with a password that is no more")
				}
			}
			if got := n.Counts().Refused; got != 1 {
				t.Errorf("%d log-ins failed after the password was changed", got)
			}
		})
	}
}

// An account that may not do something has the right password: nothing is latched, and it is reported.
func TestWhatAnAccountMayNotDoIsNoWrongPassword(t *testing.T) {
	n, d := start(t, nil)
	if _, err := d.Info(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.Set(func(_ *sim.Habits, f *sim.Faults) {
		f.Garbage = map[string]string{"/ISAPI/ContentMgmt/record/tracks": `<ResponseStatus><statusCode>4</statusCode><statusString>Invalid Operation</statusString><subStatusCode>lowPrivilege</subStatusCode></ResponseStatus>`}
	})
	if _, err := d.Tracks(t.Context()); !errors.Is(err, driver.ErrForbidden) {
		t.Errorf("%v", err)
	}
	if _, err := d.Info(t.Context()); err != nil {
		t.Errorf("latched: %v", err)
	}
}

// redirect is an RTSP side that sends anyone who asks to another host, which asks for the password in
// clear.
func redirect(t *testing.T, answer string) (address string, seen func() string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var all strings.Builder
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for {
					cseq, say := "", answer
					for {
						line, err := r.ReadString('\n')
						if err != nil {
							return
						}
						mu.Lock()
						all.WriteString(line)
						mu.Unlock()
						if strings.HasPrefix(line, "OPTIONS") {
							say = "200 OK"
						}
						if strings.HasPrefix(line, "CSeq:") {
							cseq = line
						}
						if strings.TrimSpace(line) == "" {
							break
						}
					}
					if _, err := fmt.Fprintf(c, "RTSP/1.0 %s\r\n%s\r\n", say, cseq); err != nil {
						return
					}
				}
			}()
		}
	}()
	t.Cleanup(func() { ln.Close() })
	return ln.Addr().String(), func() string { mu.Lock(); defer mu.Unlock(); return all.String() }
}

// Covers F11: the password of an NVR goes nowhere that an answer names, and never in clear.
func TestPlaybackFollowsNoRedirect(t *testing.T) {
	elsewhere, heard := redirect(t, `401 Unauthorized`+"\r\n"+`WWW-Authenticate: Basic realm="x"`)
	at, asked := redirect(t, "302 Found\r\nLocation: rtsp://"+elsewhere+"/x")
	n, _ := start(t, nil)
	play := func(rtsp string) error {
		d, err := hikvision.Open(driver.Target{ID: "n01", Address: n.Address(), RTSP: rtsp, User: "keeper", Password: "right horse"})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		return d.Play(t.Context(), "101", digits(noon.Add(-time.Hour)), digits(noon), func(driver.AccessUnit) error { return nil })
	}
	if err := play(at); err == nil || errors.Is(err, driver.ErrRefused) {
		t.Errorf("a redirect: %v", err)
	}
	if heard() != "" || !strings.Contains(asked(), "DESCRIBE") {
		t.Errorf("the other host heard %q", heard())
	}
	if err := play(elsewhere); !errors.Is(err, driver.ErrInClear) {
		t.Errorf("Basic only: %v", err)
	}
	if strings.Contains(heard()+asked(), "Authorization") {
		t.Errorf("the password was given: %q", heard())
	}
}

func TestPasswordsNeverTravelInClear(t *testing.T) {
	n, d := start(t, nil)
	n.Set(func(_ *sim.Habits, f *sim.Faults) { f.BasicOnly = true })
	if _, err := d.Info(t.Context()); !errors.Is(err, driver.ErrInClear) {
		t.Errorf("%v", err)
	}
}

func TestAnswersThatAreNotUnderstoodAreRefusedWithWhatCame(t *testing.T) {
	n, d := start(t, nil)
	const result = `<CMSearchResult><responseStatus>true</responseStatus><responseStatusStrg>%</responseStatusStrg><numOfMatches>1</numOfMatches><matchList>`
	item := `<searchMatchItem><trackID>101</trackID><timeSpan><startTime>2026-05-20T01:00:00Z</startTime><endTime>2026-05-20T02:00:00Z</endTime></timeSpan></searchMatchItem>`
	end := `</matchList></CMSearchResult>`
	for name, body := range map[string]string{
		"a page of a router":   `<html><body>Login</body></html>`,
		"nothing":              ``,
		"words":                `OK`,
		"another document":     `<ResponseStatus><statusCode>1</statusCode></ResponseStatus>`,
		"an entity bomb":       `<!DOCTYPE x [<!ENTITY a "b">]><CMSearchResult>&a;</CMSearchResult>`,
		"two documents":        `<CMSearchResult/><CMSearchResult/>`,
		"not UTF-8":            "<CMSearchResult>\xb5\xe7</CMSearchResult>",
		"a byte in a time":     strings.Replace(result, "%", "OK", 1) + strings.Replace(item, "T01:00", "T01:\x0100", 1) + end,
		"a byte in a number":   strings.Replace(result, "%", "OK", 1) + strings.Replace(item, "101", "1\xb501", 1) + end,
		"the same for ever":    strings.Replace(result, "%", "MORE", 1) + strings.Replace(item, "05-20", "05-10", -1) + end,
		"an unknown status":    strings.Replace(result, "%", "PARTIAL", 1) + item + end,
		"more, but empty":      strings.Replace(result, "%", "MORE", 1) + end,
		"counted, not there":   strings.Replace(result, "%", "OK", 1) + end,
		"none, and yet one":    strings.Replace(result, "%", "NO MATCHES", 1) + item + end,
		"an impossible time":   strings.Replace(result, "%", "OK", 1) + strings.Replace(item, "01:00:00Z", "25:00:00Z", 1) + end,
		"a time in words":      strings.Replace(result, "%", "OK", 1) + strings.Replace(item, "2026-05-20T01:00:00Z", "yesterday", 1) + end,
		"another track":        strings.Replace(result, "%", "OK", 1) + strings.Replace(item, "101", "201", 1) + end,
		"it ends, then begins": strings.Replace(result, "%", "OK", 1) + strings.Replace(item, "T02:", "T00:", 1) + end,
		"deep":                 strings.Repeat("<CMSearchResult>", 100) + strings.Repeat("</CMSearchResult>", 100),
	} {
		n.Set(func(_ *sim.Habits, f *sim.Faults) { f.Garbage = map[string]string{"/ISAPI/ContentMgmt/search": body} })
		var a *driver.AnswerError
		if got, err := search(t, d, noon.Add(-time.Hour), noon); !errors.As(err, &a) || len(got) > 1 {
			t.Errorf("%s: %v, %v", name, got, err)
		} else if !strings.HasPrefix(body, a.Got[:min(len(a.Got), 10)]) {
			t.Errorf("%s: received was %q", name, a.Got)
		}
	}
}

// One odd byte in a name costs the name a character, and no channel.
func TestAnOddByteInANameBlindsNothing(t *testing.T) {
	n, d := start(t, nil)
	odd := func(path, body string) {
		n.Set(func(_ *sim.Habits, f *sim.Faults) { f.Garbage = map[string]string{path: body} })
	}
	for file, want := range map[string]string{"channels-control-character": "Yard", "channels-raw-ampersand": "Yard & Gym", "channels-trailing-nul": "Yard"} {
		b, err := os.ReadFile("testdata/" + file + ".xml")
		if err != nil {
			t.Fatal(err)
		}
		odd("/ISAPI/ContentMgmt/InputProxy/channels", string(b))
		if got, err := d.Channels(t.Context()); err != nil || len(got) != 2 || got[0].Name != "Gate" || got[1].Name != want || got[1].ID != 2 {
			t.Errorf("%s: %+v, %v", file, got, err)
		}
	}
	for what, name := range map[string]string{"bytes of another encoding": "\xb2\xff Yard", "a reference to a control character": "&#1;Yard", "an unknown entity": "Yard"} {
		odd("/ISAPI/ContentMgmt/InputProxy/channels", `<?xml version="1.0" encoding="GB2312"?><InputProxyChannelList><InputProxyChannel><id>1</id><name>`+name+`</name></InputProxyChannel><InputProxyChannel><id>x</id><name>a</name></InputProxyChannel></InputProxyChannelList>`)
		if got, err := d.Channels(t.Context()); err != nil || len(got) != 1 || got[0].Name != "Yard" {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
	odd("/ISAPI/Streaming/channels", "<html>")
	if got, err := d.Channels(t.Context()); err != nil || len(got) != 2 {
		t.Errorf("without streams: %+v, %v", got, err)
	}
	b, err := os.ReadFile("testdata/search-raw-ampersand.xml")
	if err != nil {
		t.Fatal(err)
	}
	odd("/ISAPI/ContentMgmt/search", string(b))
	if got, err := search(t, d, noon.Add(-time.Hour), noon); err != nil || len(got) != 1 || got[0].PlayFrom.Digits.Hour() != 10 {
		t.Errorf("an address with bare ampersands: %+v, %v", got, err)
	}
	odd("/ISAPI/ContentMgmt/record/tracks", `<TrackList><Track><id>101</id><Duration>for ever</Duration></Track><Track><id>201</id><Duration>P30DT0H</Duration></Track></TrackList>`)
	if got, err := d.Tracks(t.Context()); err != nil || len(got) != 1 || got[0].ID != "201" {
		t.Errorf("tracks: %+v, %v", got, err)
	}
}

// The inputs of a hybrid recorder are channels like those over the network.
func TestInputsOfAHybridRecorderAreListed(t *testing.T) {
	_, d := start(t, func(o *sim.Options) {
		o.Channels = []sim.Channel{{ID: 1, Name: "hall", Input: true}, {ID: 2, Name: "yard", Input: true}, {ID: 5, Name: "gate", Online: true}}
	})
	got, err := d.Channels(t.Context())
	if err != nil || len(got) != 3 || got[0].ID != 1 || got[1].Name != "yard" || got[2].ID != 5 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestPassingFaultsAreTold(t *testing.T) {
	n, d := start(t, nil)
	if _, err := d.Info(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.Set(func(_ *sim.Habits, f *sim.Faults) { f.Busy503 = 1 })
	if _, err := d.Info(t.Context()); !errors.Is(err, driver.ErrBusy) {
		t.Errorf("503: %v", err)
	}
	n.Set(func(_ *sim.Habits, f *sim.Faults) { f.HalfAnswer = 1 })
	if _, err := d.Info(t.Context()); err == nil || !strings.Contains(err.Error(), "broke off") {
		t.Errorf("half an answer: %v", err)
	}
	n.Set(func(_ *sim.Habits, f *sim.Faults) { f.Busy453 = 1 })
	err := d.Play(t.Context(), "101", digits(noon.Add(-time.Hour)), digits(noon), func(driver.AccessUnit) error { return nil })
	if !errors.Is(err, driver.ErrBusy) {
		t.Errorf("453: %v", err)
	}
	n.Set(func(_ *sim.Habits, f *sim.Faults) { f.LogMissing = true })
	if err := d.Log(t.Context(), digits(noon.Add(-time.Hour)), digits(noon), func(driver.LogLine) error { return nil }); !errors.Is(err, driver.ErrNotOffered) {
		t.Errorf("no log: %v", err)
	}
}

// Covers F3: the expiry is set, and nothing else of the track is touched.
func TestExpiryIsSetAndNothingElse(t *testing.T) {
	n, d := start(t, nil)
	if err := d.SetExpiry(t.Context(), "201", 30); err != nil {
		t.Fatal(err)
	}
	if c, _ := n.Channel(2); c.Days != 30 || !c.Keep {
		t.Errorf("%+v", c)
	}
	if err := d.SetExpiry(t.Context(), "901", 30); !errors.Is(err, driver.ErrNotOffered) {
		t.Errorf("a track that is not there: %v", err)
	}
}

func TestTheLogIsRead(t *testing.T) {
	n, d := start(t, nil)
	n.AddLog(sim.LogLine{At: noon.Add(-time.Hour), Code: "Operation/remotePlayByTime", User: "admin", Address: "192.168.1.50", Channel: 1})
	var got []driver.LogLine
	err := d.Log(t.Context(), digits(noon.Add(-2*time.Hour)), digits(noon.Add(time.Minute)), func(l driver.LogLine) error { got = append(got, l); return nil })
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	if got[0] != (driver.LogLine{At: digits(noon.Add(-time.Hour)), Act: driver.ActPlayback, User: "admin", Address: "192.168.1.50", Channel: 1}) {
		t.Errorf("%+v", got[0])
	}
	if got[1].Act != driver.ActLogin || got[1].User != "keeper" {
		t.Errorf("ours: %+v", got[1])
	}
}

// A playback gives exactly the frames of its span, each with the time that the NVR states.
func TestPlayback(t *testing.T) {
	_, d := start(t, nil)
	from := noon.Add(-90 * time.Minute)
	var got []driver.AccessUnit
	err := d.Play(t.Context(), "101", digits(from), digits(from.Add(5*time.Second)), func(a driver.AccessUnit) error { got = append(got, a); return nil })
	if err != nil || len(got) != 5*fps {
		t.Fatalf("%d pictures, %v", len(got), err)
	}
	for i, a := range got {
		if want := from.Add(time.Duration(i) * time.Second / fps); i > 0 && a.Clock.Sub(want).Abs() > time.Millisecond || a.Codec != "h264" {
			t.Fatalf("picture %d is of %v, not %v", i, a.Clock, want)
		}
		if d := a.Ticks - got[0].Ticks; d != uint32(i*90000/fps) {
			t.Fatalf("picture %d: %d ticks", i, d)
		}
	}
	if len(got[0].Sets) != 2 || got[1].Sets != nil {
		t.Error("parameter sets come with the first picture")
	}
	n := 0
	err = d.Play(t.Context(), "101", digits(from), digits(from.Add(time.Minute)), func(driver.AccessUnit) error {
		if n++; n == 3 {
			return driver.ErrEnough
		}
		return nil
	})
	if err != nil || n != 3 {
		t.Errorf("stopped after %d: %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = d.Play(ctx, "101", digits(from), digits(from.Add(time.Minute)), func(driver.AccessUnit) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Many NVRs end a playback without a word: silence is an end too, and what came is there.
func TestAPlaybackThatEndsInSilence(t *testing.T) {
	t.Parallel()
	n, d := start(t, nil)
	n.Set(func(_ *sim.Habits, f *sim.Faults) { f.EndSilently = true })
	got := 0
	from := noon.Add(-90 * time.Minute)
	err := d.Play(t.Context(), "101", digits(from), digits(from.Add(2*time.Second)), func(driver.AccessUnit) error { got++; return nil })
	if err != nil || got != 2*fps {
		t.Errorf("%d pictures, %v", got, err)
	}
}

func TestAddressesAreHostsAlone(t *testing.T) {
	for _, a := range []string{"", "10.0.0.1", "ftp://10.0.0.1", "http://user:secret@10.0.0.1", "http://10.0.0.1/path", "http://10.0.0.1/?x=y"} {
		if _, err := hikvision.Open(driver.Target{Address: a}); err == nil {
			t.Errorf("%q was taken", a)
		}
	}
}

// Covers F11: an NVR that shows another certificate than the one that was pinned gets nothing.
func TestACertificateIsPinned(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	n, unpinned := start(t, func(o *sim.Options) {
		o.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	})
	sum := sha256.Sum256(der)
	good := pinned(t, n, "keeper", "right horse", strings.ToUpper(hex.EncodeToString(sum[:])))
	if _, err := good.Info(t.Context()); err != nil {
		t.Errorf("the right one: %v", err)
	}
	before := n.Counts().Requests
	sum[0]++
	bad := pinned(t, n, "keeper", "right horse", hex.EncodeToString(sum[:]))
	for name, d := range map[string]driver.Driver{"another one": bad, "nobody vouches": unpinned} {
		if _, err := d.Info(t.Context()); err == nil || errors.Is(err, driver.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n.Counts().Requests != before {
		t.Error("it was asked something")
	}
	if err := errors.Join(good.Close(), bad.Close()); err != nil {
		t.Error(err)
	}
}
