package health

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"image/jpeg"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/site"
	"campuskeep/scripts/sim/camera"
)

var right = site.Login{User: "viewer", Password: "secret"}

func troubleOf(err error) Trouble {
	var e *StillError
	if errors.As(err, &e) {
		return e.Trouble
	}
	return ""
}

// A camera's picture comes by digest and by basic authentication, in clear and encrypted with a pin; the password is
// sent once, and never to a camera with another certificate than the pinned one.
func TestStillPictures(t *testing.T) {
	h := newEnv(t)
	tlsConfig, pin := certificate(t)
	for name, x := range map[string]struct {
		o       camera.StillOptions
		pin     string
		login   site.Login
		trouble Trouble
		clear   bool
		failed  int
		hidden  bool // the register allows no password in clear
	}{
		"digest":                 {camera.StillOptions{User: "viewer", Password: "secret"}, "", right, "", false, 0, false},
		"basic":                  {camera.StillOptions{User: "viewer", Password: "secret", Basic: true}, "", right, "", true, 0, false},
		"basic, not allowed":     {o: camera.StillOptions{User: "viewer", Password: "secret", Basic: true}, login: right, trouble: TroubleClear, hidden: true},
		"basic, encrypted":       {camera.StillOptions{User: "viewer", Password: "secret", Basic: true, TLS: tlsConfig}, pin, right, "", false, 0, false},
		"nothing asked":          {camera.StillOptions{}, "", right, "", false, 0, false},
		"wrong password":         {camera.StillOptions{User: "viewer", Password: "other", Lock: 5}, "", right, TroubleLogin, false, 1, false},
		"wrong password, basic":  {camera.StillOptions{User: "viewer", Password: "other", Basic: true}, "", right, TroubleLogin, true, 1, false},
		"no password":            {camera.StillOptions{User: "viewer", Password: "secret"}, "", site.Login{}, TroubleLogin, false, 0, false},
		"unknown certificate":    {camera.StillOptions{User: "viewer", Password: "secret", TLS: tlsConfig}, "", right, TroubleCertificate, false, 0, false},
		"another pin":            {camera.StillOptions{User: "viewer", Password: "secret", TLS: tlsConfig}, strings.Repeat("ab", 32), right, TroubleCertificate, false, 0, false},
		"pinned, in the capital": {camera.StillOptions{User: "viewer", Password: "secret", TLS: tlsConfig}, strings.ToUpper(pin), right, "", false, 0, false},
	} {
		s := h.stills(x.o)
		got, err := FetchStill(t.Context(), Ask{s.URL(), x.pin, x.login, !x.hidden})
		if troubleOf(err) != x.trouble || got.Clear != x.clear || s.Failed() != x.failed {
			t.Errorf("%s: %v, clear %v, %d failed log-ins", name, err, got.Clear, s.Failed())
		}
		if (got.Image != nil) != (x.trouble == "") || x.trouble == "" && got.Image.Bounds().Dx() != 640 {
			t.Errorf("%s: picture %v", name, got.Image != nil)
		}
		if x.o.TLS != nil && got.Pin != pin {
			t.Errorf("%s: shows %q", name, got.Pin)
		}
	}
}

// What is no whole JPEG of a sensible size is named, and nothing is followed elsewhere.
func TestWhatIsNoPicture(t *testing.T) {
	h := newEnv(t)
	s := h.stills(camera.StillOptions{})
	var good bytes.Buffer
	if err := jpeg.Encode(&good, image.NewGray(image.Rect(0, 0, 64, 64)), nil); err != nil {
		t.Fatal(err)
	}
	huge := bytes.Clone(good.Bytes())
	at := bytes.Index(huge, []byte{0xff, 0xc0})
	binary.BigEndian.PutUint16(huge[at+5:], 65000)
	binary.BigEndian.PutUint16(huge[at+7:], 65000)
	for name, x := range map[string]struct {
		junk    []byte
		trouble Trouble
	}{
		"a page":           {[]byte("<html>log in</html>"), TroubleNotJPEG},
		"nothing":          {[]byte{}, TroubleNotJPEG},
		"half a picture":   {good.Bytes()[:good.Len()/2], TroubleNotJPEG},
		"65000 × 65000":    {huge, TroubleNotJPEG},
		"five megabytes":   {append(bytes.Clone(good.Bytes()), make([]byte, 5<<20)...), TroubleTooLarge},
		"the good picture": {good.Bytes(), ""},
	} {
		s.Garbage(x.junk)
		if _, err := FetchStill(t.Context(), Ask{s.URL(), "", site.Login{}, true}); troubleOf(err) != x.trouble {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.Status(http.StatusNotFound)
	if _, err := FetchStill(t.Context(), Ask{s.URL(), "", site.Login{}, true}); troubleOf(err) != TroubleStatus {
		t.Errorf("404: %v", err)
	}
	asked := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer elsewhere.Close()
	sends := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusFound))
	defer sends.Close()
	if _, err := FetchStill(t.Context(), Ask{sends.URL, "", right, true}); troubleOf(err) != TroubleStatus || asked {
		t.Errorf("a redirect: %v, followed %v", err, asked)
	}
	s.Status(0)
	s.Slow(5 * time.Second)
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := FetchStill(short, Ask{s.URL(), "", site.Login{}, true}); troubleOf(err) != TroubleSlow {
		t.Errorf("slow: %v", err)
	}
	if _, err := FetchStill(t.Context(), Ask{"http://127.0.0.1:1/x", "", site.Login{}, true}); troubleOf(err) != TroubleUnreachable {
		t.Errorf("nobody there: %v", err)
	}
	for _, bad := range []string{"", "rtsp://10.0.0.1/x", "http://", "http://[::1"} {
		if _, err := FetchStill(t.Context(), Ask{bad, "", site.Login{}, true}); troubleOf(err) != TroubleAddress {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

const timeAnswer = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:tds="http://www.onvif.org/ver10/device/wsdl" xmlns:tt="http://www.onvif.org/ver10/schema"><s:Body><tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:DateTimeType>Manual</tt:DateTimeType><tt:UTCDateTime><tt:Time><tt:Hour>1</tt:Hour><tt:Minute>42</tt:Minute><tt:Second>7</tt:Second></tt:Time><tt:Date><tt:Year>2026</tt:Year><tt:Month>5</tt:Month><tt:Day>20</tt:Day></tt:Date></tt:UTCDateTime></tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse></s:Body></s:Envelope>`

// Only a whole UTC time counts; days that do not exist are no time.
func TestTimeOfACamera(t *testing.T) {
	got, err := parseTime([]byte(timeAnswer))
	if err != nil || !got.Equal(time.Date(2026, 5, 20, 1, 42, 7, 0, time.UTC)) {
		t.Errorf("%v, %v", got, err)
	}
	for name, change := range map[string][2]string{
		"30 February":   {"<tt:Month>5</tt:Month><tt:Day>20", "<tt:Month>2</tt:Month><tt:Day>30"},
		"25 o'clock":    {"<tt:Hour>1<", "<tt:Hour>25<"},
		"no number":     {"<tt:Minute>42<", "<tt:Minute>x<"},
		"before it all": {"<tt:Year>2026<", "<tt:Year>0<"},
		"local only":    {"UTCDateTime", "LocalDateTime"},
		"a fault":       {"GetSystemDateAndTimeResponse", "Fault"},
		"another root":  {"Envelope", "html"},
	} {
		if got, err := parseTime([]byte(strings.ReplaceAll(timeAnswer, change[0], change[1]))); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func FuzzTimeOfACamera(f *testing.F) {
	f.Add(timeAnswer)
	f.Add("<a/>")
	f.Fuzz(func(t *testing.T, s string) {
		if at, err := parseTime([]byte(s)); err == nil && (at.Year() < 1970 || at.Year() > 2201) {
			t.Errorf("%v", at)
		}
	})
}

func FuzzStillPicture(f *testing.F) {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 40, 40)), nil); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte{0xff, 0xd8, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		img, err := decode(b)
		if err == nil && float64(img.Bounds().Dx())*float64(img.Bounds().Dy()) > maxPoints {
			t.Errorf("%v", img.Bounds())
		}
	})
}
