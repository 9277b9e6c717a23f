package camera

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	mrand "math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"sync"
	"time"

	"campuskeep/scripts/sim/render"
)

// StillOptions describes the web server in a camera, which gives single pictures and tells the time.
type StillOptions struct {
	Name     string // what it looks at
	Listen   string // TCP address; port 0 takes a free one
	TLS      *tls.Config
	User     string
	Password string
	Basic    bool // asks for basic instead of digest authentication
	W, H     int  // 640 × 360 when zero
	Lock     int  // after so many failed log-ins it refuses everybody; 0: never
	Zone     *time.Location
	Now      func() time.Time // the true time; time.Now when nil
}

// Stills is a camera's web server. All methods may be called from any goroutine.
type Stills struct {
	o      StillOptions
	listen net.Listener
	server *http.Server
	ended  chan error

	mu      sync.Mutex // guards the rest
	view    *render.View
	seed    uint64
	frozen  bool
	black   bool
	slow    time.Duration
	junk    []byte
	status  int
	noONVIF bool
	zoned   bool // the web server's date is local time under the name of GMT
	step    time.Duration
	nonce   string
	failed  int
	asked   int // pictures given
	peak    int // requests at the same time
	now     int
}

// StartStills opens the web server; it runs until Close.
func StartStills(o StillOptions) (*Stills, error) {
	if o.W == 0 {
		o.W, o.H = 640, 360
	}
	if o.Zone == nil {
		o.Zone = time.FixedZone("CST", 8*60*60)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("sim camera's web server: %w", err)
	}
	if o.TLS != nil {
		l = tls.NewListener(l, o.TLS)
	}
	s := &Stills{o: o, listen: l, view: render.New(o.Name, o.W, o.H, true), seed: 1, ended: make(chan error, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /snapshot.jpg", s.picture)
	mux.HandleFunc("POST /onvif/device_service", s.onvif)
	s.server = &http.Server{Handler: s.counted(mux), ReadHeaderTimeout: 5 * time.Second}
	go func() { s.ended <- s.server.Serve(l) }()
	return s, nil
}

// Close stops the server.
func (s *Stills) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := s.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.server.Close()
	}
	if served := <-s.ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// URL is the address of the picture.
func (s *Stills) URL() string {
	scheme := "http"
	if s.o.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + s.listen.Addr().String() + "/snapshot.jpg"
}

// set changes how it behaves.
func (s *Stills) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// Freeze stops the picture; the clock that is written into it goes on.
func (s *Stills) Freeze(on bool) { s.set(func() { s.frozen = on }) }

// Black puts a cap on the lens.
func (s *Stills) Black(on bool) { s.set(func() { s.black = on }) }

// Slow lets every answer wait.
func (s *Stills) Slow(d time.Duration) { s.set(func() { s.slow = d }) }

// Garbage answers with these bytes instead of a picture; nil ends it.
func (s *Stills) Garbage(b []byte) { s.set(func() { s.junk = b }) }

// Status answers with this status instead of a picture; 0 ends it.
func (s *Stills) Status(code int) { s.set(func() { s.status = code }) }

// StepClock makes the camera's clock jump.
func (s *Stills) StepClock(by time.Duration) { s.set(func() { s.step += by }) }

// WithoutONVIF takes its telling of the time away.
func (s *Stills) WithoutONVIF() { s.set(func() { s.noONVIF = true }) }

// LocalDate lets the web server give local time as if it were GMT.
func (s *Stills) LocalDate() { s.set(func() { s.zoned = true }) }

// Failed counts the refused passwords, Asked the pictures given, Peak the most requests at the same time.
func (s *Stills) Failed() int { return s.read(func() int { return s.failed }) }

// Asked counts the pictures given.
func (s *Stills) Asked() int { return s.read(func() int { return s.asked }) }

// Peak is the greatest number of requests at the same time.
func (s *Stills) Peak() int { return s.read(func() int { return s.peak }) }

func (s *Stills) read(f func() int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return f()
}

func (s *Stills) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.now++
		s.peak = max(s.peak, s.now)
		slow, date := s.slow, s.o.Now().Add(s.step)
		if s.zoned {
			_, off := date.In(s.o.Zone).Zone()
			date = date.Add(time.Duration(off) * time.Second)
		}
		s.mu.Unlock()
		defer s.set(func() { s.now-- })
		w.Header().Set("Date", date.UTC().Format(http.TimeFormat))
		if slow > 0 {
			select {
			case <-time.After(slow):
			case <-r.Context().Done():
				return
			}
		}
		h.ServeHTTP(w, r)
	})
}

func (s *Stills) picture(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.admit(w, r) {
		return
	}
	if s.status != 0 {
		w.WriteHeader(s.status)
		return
	}
	s.asked++
	b := s.junk
	if b == nil {
		var buf bytes.Buffer
		if err := jpeg.Encode(&buf, s.frame(), &jpeg.Options{Quality: 70}); err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		b = buf.Bytes()
	}
	w.Header().Set("Content-Type", "image/jpeg")
	if _, err := w.Write(b); err != nil {
		return // anyone who asked went away
	}
}

// frame is the picture of now, with the noise of a sensor. The caller holds mu.
func (s *Stills) frame() image.Image {
	at := s.o.Now().Add(s.step).In(s.o.Zone)
	p := s.view.Draw(at, 7)
	if !s.frozen {
		s.seed++
	}
	noise := mrand.New(mrand.NewPCG(s.seed, 1))
	n := p.W * p.H
	img := &image.YCbCr{YStride: p.W, CStride: p.W / 2, SubsampleRatio: image.YCbCrSubsampleRatio420, Rect: image.Rect(0, 0, p.W, p.H),
		Y: bytes.Clone(p.Pix[:n]), Cb: bytes.Clone(p.Pix[n : n+n/4]), Cr: bytes.Clone(p.Pix[n+n/4 : n*3/2])}
	for i, v := range img.Y {
		l := int(v)
		if s.black && (i/p.W > p.H/5 || l < 200) { // the text is written after the lens
			l = 6
		}
		img.Y[i] = byte(max(0, min(255, l+noise.IntN(7)-3)))
	}
	return img
}

var field = regexp.MustCompile(`(\w+)="?([^",]*)"?`)

// admit checks the log-in; a refused password counts towards the lock. The caller holds mu.
func (s *Stills) admit(w http.ResponseWriter, r *http.Request) bool {
	if s.o.User == "" {
		return true
	}
	if s.o.Lock > 0 && s.failed >= s.o.Lock {
		w.WriteHeader(http.StatusForbidden)
		return false
	}
	sent := r.Header.Get("Authorization")
	user, password, basic := r.BasicAuth()
	switch {
	case s.o.Basic && basic && user == s.o.User && password == s.o.Password:
		return true
	case !s.o.Basic && s.nonce != "" && sent != "" && s.digestFits(sent, r):
		return true
	}
	if sent != "" {
		s.failed++
	}
	if s.o.Basic {
		w.Header().Set("WWW-Authenticate", `Basic realm="camera"`)
	} else {
		s.nonce = hex.EncodeToString(random(12))
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Digest realm="camera", nonce="%s", qop="auth", algorithm=MD5`, s.nonce))
	}
	w.WriteHeader(http.StatusUnauthorized)
	return false
}

func (s *Stills) digestFits(sent string, r *http.Request) bool {
	f := map[string]string{}
	for _, m := range field.FindAllStringSubmatch(sent, -1) {
		f[m[1]] = m[2]
	}
	h := func(v string) string { d := md5.Sum([]byte(v)); return hex.EncodeToString(d[:]) }
	want := h(h(s.o.User+":camera:"+s.o.Password) + ":" + s.nonce + ":" + f["nc"] + ":" + f["cnonce"] + ":auth:" + h(r.Method+":"+r.URL.RequestURI()))
	return f["username"] == s.o.User && f["nonce"] == s.nonce && f["response"] == want
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}

// onvif answers GetSystemDateAndTime to anybody, as the specification wants.
func (s *Stills) onvif(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	off, at := s.noONVIF, s.o.Now().Add(s.step).UTC()
	s.mu.Unlock()
	if off {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/soap+xml")
	_, err := fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><env:Envelope xmlns:env="http://www.w3.org/2003/05/soap-envelope" xmlns:tds="http://www.onvif.org/ver10/device/wsdl" xmlns:tt="http://www.onvif.org/ver10/schema"><env:Body><tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:DateTimeType>NTP</tt:DateTimeType><tt:DaylightSavings>false</tt:DaylightSavings><tt:TimeZone><tt:TZ>CST-8</tt:TZ></tt:TimeZone><tt:UTCDateTime><tt:Time><tt:Hour>%d</tt:Hour><tt:Minute>%d</tt:Minute><tt:Second>%d</tt:Second></tt:Time><tt:Date><tt:Year>%d</tt:Year><tt:Month>%d</tt:Month><tt:Day>%d</tt:Day></tt:Date></tt:UTCDateTime></tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse></env:Body></env:Envelope>`,
		at.Hour(), at.Minute(), at.Second(), at.Year(), int(at.Month()), at.Day())
	if err != nil {
		return // anyone who asked went away
	}
}
