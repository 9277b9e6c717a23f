package cameras

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"image"
	"image/color"
	"image/jpeg"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"campuskeep/firmware/health"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/rtsp"
	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
)

// testResultView is what a test of a camera found.
type testResultView struct {
	Errors  []string // what is wrong with what was typed; then nothing was tried
	Busy    bool
	Refused bool
	Streams []testedStream
	Still   *testedStill
	NoStill string // why there is no picture
	Entry   uint64
}

type testedStream struct {
	Name    string
	OK      bool
	Trouble string
	Facts   []cameraFact
	Pin     string // shown by a certificate that was not accepted
}

type testedStill struct {
	Trouble string
	Facts   []cameraFact
	Pin     string
	Clear   bool
	Picture template.URL // data: of a JPEG that we made; empty: none is shown
	Alt     string
}

// testCamera tries a camera as it is typed, or, when nothing is typed, as it is registered. The entry is committed
// before what was found, and above all a picture, leaves.
func (o *Pages) testCamera(c *call) error {
	f := c.R.PostForm
	id := c.R.PathValue("id")
	was, known := o.d.Site.Camera(id)
	if id != "" && !known {
		return frame.ErrNotFound
	}
	typed := f.Has("main")
	cam, login := was, (*site.Login)(nil)
	if typed {
		cam, login, _ = o.cameraTyped(f, was)
		if !known {
			cam.ID = strings.TrimSpace(f.Get("id"))
		}
	}
	tried := &testResultView{}
	errs := testable(cam)
	if typed && known && login == nil && !site.SameDevice(was, cam) {
		errs.Add("password", "err.password_again")
	}
	if len(errs) > 0 {
		for _, e := range errs {
			tried.Errors = append(tried.Errors, c.P.T("camera.f."+e.Field)+c.P.T("sep.colon")+c.P.T(e.Rule, e.Args...))
		}
		return o.showTestResult(c, id, typed, tried)
	}
	ask, d := cam, c.mayReachAddress(cam, was, known)
	if cam.Still != "" && !d.Allowed {
		ask.Still, tried.NoStill = "", c.P.T(d.Reason)
	}
	got, err := o.d.Health.Test(c.R.Context(), ask, login)
	if errors.Is(err, health.ErrBusy) {
		tried.Busy = true
		return o.showTestResult(c, id, typed, tried)
	}
	if err != nil {
		return err
	}
	var picture []byte
	if d := c.reached(got, cam, was, known); !d.Allowed {
		got.Still, tried.NoStill = nil, c.P.T(d.Reason)
	}
	if got.Still != nil && got.Still.Trouble == "" {
		if picture, err = marked(got.Still.Image, fmt.Sprintf("%s %s %s", o.d.Info.Appliance, c.Actor.ID, c.Now.Wall.In(o.d.Zone).Format("2006-01-02 15:04:05"))); err != nil {
			return err
		}
	}
	if tried.Entry, err = o.logTest(c, cam, known, got.AsError(), picture != nil); err != nil {
		return err
	}
	c.fillTestResult(tried, got, picture, cam)
	return o.showTestResult(c, id, typed, tried)
}

// testable says what of a camera must be right before it can be tried.
func testable(cam footage.Camera) (out fielderr.Errors) {
	errs, _ := footage.Validate(cam).(fielderr.Errors)
	for _, e := range errs {
		if slices.Contains([]string{"main", "sub", "still", "transport", "pin"}, e.Field) {
			out = append(out, e)
		}
	}
	if cam.Main == "" && cam.Sub == "" && cam.Still == "" && len(out) == 0 {
		out.Add("main", "err.required")
	}
	return out
}

// newlyInstalled is how long a registered camera counts as being installed.
const newlyInstalled = 7 * 24 * time.Hour

// mayReachAddress says whether this person may see one picture of what is typed: of a new camera, or of one with an open
// fault. Whose camera it is, its addresses say: a camera that runs well is not to be looked at under a new number.
func (c *call) mayReachAddress(cam, was footage.Camera, known bool) account.Decision {
	mended := map[string]bool{}
	for _, f := range c.o.d.Health.Faults() {
		mended[f.Camera] = true
	}
	installing := true
	for _, o := range c.o.d.Site.Cameras() {
		if !concerns(c.R.Context(), cam, was, known, o) {
			continue
		}
		installing = installing && (!o.Retired && mended[o.ID] || c.Now.Wall.Sub(o.Since) < newlyInstalled)
	}
	return account.May(c.Actor, account.ActCamerasAim, account.Subject{Camera: cam.ID, Installing: installing}, c.Now.Wall)
}

// concerns says whether a picture from these addresses may be one of camera o.
func concerns(ctx context.Context, cam, was footage.Camera, known bool, o footage.Camera) bool {
	if known && o.ID == was.ID {
		return true
	}
	typed, theirs := []string{cam.Main, cam.Sub, cam.Still}, []string{o.Main, o.Sub, o.Still}
	if known && site.SameDevice(was, cam) { // the channels of an NVR share a host
		return slices.ContainsFunc(typed, func(a string) bool { return a != "" && slices.Contains(theirs, a) })
	}
	return slices.ContainsFunc(typed, func(a string) bool {
		return slices.ContainsFunc(theirs, func(b string) bool { return sameHost(ctx, hostOf(a), hostOf(b)) })
	})
}

// sameHost says whether two names are of one device, however they are spelt. One that cannot be looked up may be any.
func sameHost(ctx context.Context, a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	if strings.EqualFold(a, b) {
		return true
	}
	left, right := addressesOf(ctx, a), addressesOf(ctx, b)
	return slices.ContainsFunc(left, func(x netip.Addr) bool { return slices.Contains(right, x) })
}

// lookUp is how long a name may take to be looked up.
const lookUp = 2 * time.Second

// addressesOf are the addresses of a host, unmapped and without zones. The unspecified address reaches this machine.
func addressesOf(ctx context.Context, host string) (out []netip.Addr) {
	if a, err := netip.ParseAddr(host); err == nil {
		out = []netip.Addr{a}
	} else {
		ctx, cancel := context.WithTimeout(ctx, lookUp)
		defer cancel()
		out, _ = net.DefaultResolver.LookupNetIP(ctx, "ip", host) // what has no address is reached by nobody
	}
	for i, a := range out {
		out[i] = plainAddress(a)
	}
	return out
}

func plainAddress(a netip.Addr) netip.Addr {
	if a = a.Unmap().WithZone(""); a.IsLoopback() || a.IsUnspecified() {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return a
}

// reached says whether what was really spoken to is a registered camera that is not to be looked at: a name may mean
// another address than when it was looked up.
func (c *call) reached(got health.TestResult, cam, was footage.Camera, known bool) account.Decision {
	if got.Still == nil || !got.Still.Remote().IsValid() || slices.Contains(addressesOf(c.R.Context(), hostOf(cam.Still)), plainAddress(got.Still.Remote())) {
		return account.Decision{Allowed: true}
	}
	there := cam
	there.Main, there.Sub = "", ""
	there.Still = "http://" + net.JoinHostPort(got.Still.Remote().String(), "80")
	return c.mayReachAddress(there, was, known)
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// logTest enters a test: who tried which camera, and whether a picture was shown (F13).
func (o *Pages) logTest(c *call, cam footage.Camera, known bool, result string, picture bool) (uint64, error) {
	subject := cam.ID
	if !known {
		subject = "camera.new"
	}
	address, err := json.Marshal(map[string]string{"main": cam.Main, "sub": cam.Sub, "still": cam.Still})
	if err != nil {
		return 0, fmt.Errorf("enter a test: %w", err)
	}
	d := c.Who().Draft("camera.tested", c.Decision.Role, subject, map[string]any{"result": result, "picture": picture, "known": known},
		ledger.Part{Name: "address", Owner: "site:school", Plain: address})
	rc, err := o.d.Ledger.Commit(c.R.Context(), ledgerdb.Change{Entries: []ledger.Draft{d}})
	if err != nil {
		c.Unlogged = true
		return 0, fmt.Errorf("enter a test of a camera: %w", err)
	}
	return rc.First, nil
}

func (c *call) fillTestResult(v *testResultView, got health.TestResult, picture []byte, cam footage.Camera) {
	v.Refused = got.Refused
	for _, s := range []struct {
		name string
		t    *health.StreamResult
	}{{"main", got.Main}, {"sub", got.Sub}} {
		if s.t != nil {
			v.Streams = append(v.Streams, c.testedStream(s.name, s.t, cam.Sound))
		}
	}
	if got.Still == nil {
		return
	}
	x := &testedStill{Clear: got.Still.Clear, Alt: c.P.T("try.alt", cmp.Or(cam.Name, cam.ID))}
	if got.Still.Trouble != "" {
		x.Trouble = c.P.K("trouble.", got.Still.Trouble)
		if got.Still.Trouble == health.TroubleStatus {
			x.Trouble += c.P.T("try.status", got.Still.Status)
		}
		if got.Still.Trouble == health.TroubleCertificate {
			x.Pin = got.Still.Pin
		}
	}
	if picture != nil {
		b := got.Still.Image.Bounds()
		x.Facts = []cameraFact{{Name: c.P.T("try.size"), Text: fmt.Sprintf("%d × %d", b.Dx(), b.Dy())}, {Name: c.P.T("try.bytes"), Text: c.P.Bytes(int64(got.Still.Bytes))}}
		x.Picture = template.URL("data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(picture))
	}
	v.Still = x
}

func (c *call) testedStream(name string, t *health.StreamResult, sound bool) testedStream {
	s := testedStream{Name: c.P.T("try." + name), OK: t.Err == nil}
	if t.Err != nil {
		s.Trouble = c.TestResultWord(t.Code())
		if e, ok := errors.AsType[*rtsp.Error](t.Err); ok {
			detail := e.Detail
			if detail == "" && e.Status != 0 {
				detail = fmt.Sprintf("RTSP %d", e.Status)
			}
			if detail != "" {
				s.Facts = append(s.Facts, cameraFact{Name: c.P.T("try.detail"), Text: detail, Mono: true})
			}
		}
		if t.Cause == footage.CauseCameraOff && t.Pin != "" { // it was there, and showed a certificate that is not trusted
			s.Trouble, s.Pin = c.P.T("trouble.certificate"), t.Pin
		}
		return s
	}
	fact := func(key, text string) { s.Facts = append(s.Facts, cameraFact{Name: c.P.T("try." + key), Text: text}) }
	fact("codec", codecName(t.Codec))
	if t.Width > 0 {
		fact("size", fmt.Sprintf("%d × %d", t.Width, t.Height))
	}
	fact("fps", c.P.T("try.fps.value", fmt.Sprintf("%.1f", t.FPS)))
	gop := c.P.T("try.gop.longer", c.P.Words(t.Watched.Round(time.Second)))
	if t.GOP > 0 {
		gop = c.P.T("try.gop.value", fmt.Sprintf("%.1f", t.GOP.Seconds()), t.GOPFrames)
	}
	fact("gop", gop)
	fact("rate", c.P.T("nvr.kbps", t.Kbps))
	heard := c.P.T("sound.none")
	if t.Audio != "" {
		heard = c.soundWord(t.Audio, sound, t.Keepable)
	}
	fact("audio", heard)
	for _, l := range t.Unread {
		s.Facts = append(s.Facts, cameraFact{Name: c.P.T("try.left"), Text: l.Line, Mono: true})
	}
	if t.Pin != "" {
		s.Facts = append(s.Facts, cameraFact{Name: c.P.T("camera.f.pin"), Text: t.Pin, Mono: true})
	}
	return s
}

func codecName(code string) string {
	switch code {
	case "h264":
		return "H.264"
	case "h265":
		return "H.265"
	}
	return code
}

// showTestResult gives the found part alone to a page that asks for it, or the whole page where there is no script.
func (o *Pages) showTestResult(c *call, id string, typed bool, v *testResultView) error {
	c.W.Header().Set("Cache-Control", "no-store")
	switch {
	case c.R.Header.Get("HX-Request") != "":
		return c.Part("camera_form", "tried.part", v)
	case typed:
		return o.showCameraForm(c, http.StatusOK, id, c.R.PostForm, nil, v)
	}
	return o.showCamera(c, http.StatusOK, v)
}

// What is shown of a picture: small enough to aim by, and written over.
const (
	testPictureWidth = 960
	markStep         = 110 // pixels between the lines of the mark
)

// marked makes a JPEG of our own out of a camera's picture, with who looks and when written over it. Nothing of the
// camera's bytes reaches the browser.
func marked(img image.Image, text string) ([]byte, error) {
	b := img.Bounds()
	w := min(testPictureWidth, b.Dx())
	out := image.NewRGBA(image.Rect(0, 0, w, max(1, b.Dy()*w/b.Dx())))
	draw.ApproxBiLinear.Scale(out, out.Bounds(), img, b, draw.Src, nil)
	stamp := image.NewRGBA(image.Rect(0, 0, 7*len(text)+2, 15))
	for _, p := range []struct {
		d int
		c color.Color
	}{{1, color.NRGBA{R: 0, G: 0, B: 0, A: 150}}, {0, color.NRGBA{R: 255, G: 255, B: 255, A: 190}}} {
		d := font.Drawer{Dst: stamp, Src: image.NewUniform(p.c), Face: basicfont.Face7x13, Dot: fixed.P(p.d, 11+p.d)}
		d.DrawString(text)
	}
	size := stamp.Bounds().Size()
	if w > testPictureWidth/2 {
		size = size.Mul(2)
	}
	for y := markStep / 2; y < out.Bounds().Dy(); y += markStep {
		for x := -(y * 3) % 200; x < w; x += size.X + 80 {
			draw.NearestNeighbor.Scale(out, image.Rectangle{Min: image.Pt(x, y), Max: image.Pt(x, y).Add(size)}, stamp, stamp.Bounds(), draw.Over, nil)
		}
	}
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, out, &jpeg.Options{Quality: 80}); err != nil {
		return nil, fmt.Errorf("make the picture: %w", err)
	}
	return buf.Bytes(), nil
}
