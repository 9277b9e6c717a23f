package rtsp

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/sdpunmarshaler"
)

const (
	top     = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n"
	picture = "m=video 0 RTP/AVP 96\r\na=control:track1\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\n"
	sound   = "m=audio 0 RTP/AVP 0\r\na=control:track2\r\na=rtpmap:0 PCMU/8000\r\n"
)

// What devices answer to DESCRIBE, with something in it that the library does not read; the picture is plain H.264.
func TestABadLineCostsThatLine(t *testing.T) {
	cases := map[string]struct {
		text  string
		left  string // in the line that is reported; empty: nothing is
		sound bool   // it is still there
	}{
		"as it should be":           {top + picture + sound, "", true},
		"line feeds alone":          {strings.ReplaceAll(top+picture+sound, "\r", ""), "", true},
		"carriage returns alone":    {strings.ReplaceAll(top+picture+sound, "\n", ""), "", true},
		"no head":                   {picture + sound, "", true},
		"a byte order mark":         {"\xef\xbb\xbf" + top + picture + sound, "", true},
		"channels of a picture":     {top + strings.Replace(picture, "/90000", "/90000/1", 1) + sound, "", true},
		"an origin of one word":     {strings.Replace(top, "o=- 1 1 IN IP4 127.0.0.1", "o=camera", 1) + picture + sound, "o=camera", true},
		"a version of its own":      {strings.Replace(top, "v=0", "v=1", 1) + picture + sound, "v=1", true},
		"times of words":            {strings.Replace(top, "t=0 0", "t=now -", 1) + picture + sound, "t=now", true},
		"repeats before the time":   {strings.Replace(top, "t=0 0", "r=7d 1h 0", 1) + picture + sound, "", true},
		"a control that is none":    {top + "a=control:somewhere\r\n" + picture + sound, "a=control:somewhere", true},
		"a bad key":                 {top + "a=key-mgmt:mikey !!!\r\n" + picture + sound, "a=key-mgmt", true},
		"a group of nobody":         {top + "a=group:FEC 1 2\r\n" + picture + sound, "", true},
		"names given to one":        {top + picture + "a=mid:1\r\n" + sound, "", true},
		"one name for two":          {top + picture + "a=mid:1\r\n" + sound + "a=mid:1\r\n", "", true},
		"a name that is none":       {top + picture + sound + "a=mid:sound one\r\n", "a=mid:sound one", true},
		"a bandwidth in words":      {top + picture + "b=AS:many\r\n" + sound, "b=AS:many", true},
		"a port out of range":       {top + picture + strings.Replace(sound, "m=audio 0", "m=audio 99999", 1), "", true},
		"a line without equals":     {top + picture + "nonsense\r\n" + sound, "nonsense", true},
		"parameter sets of noise":   {top + strings.Replace(picture, "mode=1", "mode=1;sprop-parameter-sets=%%%,***", 1) + sound, "sprop", true},
		"a mode that is a word":     {top + strings.Replace(picture, "mode=1", "mode=one", 1) + sound, "mode=one", true},
		"a second kind of picture":  {top + strings.Replace(picture, "AVP 96", "AVP 96 x", 1) + sound, "m=video", true},
		"sound without formats":     {top + picture + "m=audio 0 RTP/AVP\r\n", "m=audio", false},
		"sound at no rate":          {top + picture + "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 L16/x\r\n", "L16", false},
		"a back channel":            {top + picture + "m=audio 0 RTP/AVP 97\r\na=sendonly\r\na=rtpmap:97 MPEG4-GENERIC/8000\r\n" + sound, "97 MPEG4", true},
		"an application":            {top + picture + "m=application 0 TCP/WS x\r\na=rtpmap:x y/z\r\n" + sound, "a=rtpmap:x", true},
		"a control with a per cent": {top + picture + strings.Replace(sound, "track2", "%zz", 1), "a=control:%zz", true},
	}
	for _, name := range []string{"aac-without-config.sdp", "hik-audio-fmtp-of-another-type.sdp"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		c := cases[name]
		c.text, c.left = string(b), "MPEG4-GENERIC"
		cases[name] = c
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			clean, left := Clean([]byte(strings.TrimPrefix(c.text, "\xef\xbb\xbf")))
			d := read(t, clean)
			var h *format.H264
			m := d.FindFormat(&h)
			if m == nil || m.Control == "" {
				t.Fatalf("the picture is lost: %s", clean)
			}
			if h.PacketizationMode > 1 {
				t.Errorf("mode %d", h.PacketizationMode)
			}
			var g *format.G711
			if got := d.FindFormat(&g) != nil; got != c.sound {
				t.Errorf("sound is there: %v; %s", got, clean)
			}
			if c.left == "" && len(left) != 0 || c.left != "" && (len(left) == 0 || !strings.Contains(left[0].Line, c.left)) {
				t.Errorf("told %v", left)
			}
		})
	}
}

// What costs the picture is reported with its line.
func TestThePictureThatCannotBeReadIsNamed(t *testing.T) {
	text := top + strings.Replace(picture, "H264/90000", "H264", 1) + "a=fmtp:96 x\r\n"
	_, left := Clean([]byte(strings.Replace(text, "AVP 96", "AVP 300", 1)))
	if len(left) == 0 || left[0].Media != "video" || !left[0].Whole {
		t.Errorf("told %v", left)
	}
}

func read(t *testing.T, text []byte) *description.Session {
	t.Helper()
	s, err := sdpunmarshaler.Unmarshal(text)
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	d := new(description.Session)
	if err := d.Unmarshal2(s); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return d
}

// Whatever a device says around a picture that can be read, the picture is there afterwards.
func FuzzClean(f *testing.F) {
	for _, s := range []string{sound, "a=mid:1", "m=audio 0 RTP/AVP 97\na=rtpmap:97 MPEG4-GENERIC/16000", "a=group:FEC 1", "m=", "r=1", "a=control:%zz", "m=audio 0 RTP/AVP 0 0 0"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		for _, s := range []string{before, after} {
			if len(s) > 2000 || strings.Contains(s, "=video") {
				t.Skip()
			}
		}
		text := top + "m=audio 0 RTP/AVP 0\r\n" + before + "\r\n" + picture + "m=audio 0 RTP/AVP 0\r\n" + after + "\r\n"
		clean, _ := Clean([]byte(text))
		if err := readable(strings.Split(strings.TrimSpace(string(clean)), "\r\n")); err != nil {
			t.Fatalf("%v\n%s", err, clean)
		}
		var h *format.H264
		if d := read(t, clean); d.FindFormat(&h) == nil {
			t.Fatalf("the picture is lost: %s", clean)
		}
	})
}
