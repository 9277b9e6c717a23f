package health

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/digest"
	"campuskeep/firmware/pin"
	"campuskeep/firmware/rtsp"
	"campuskeep/firmware/site"
)

// Limits of a still picture.
const (
	MaxStill  = 4 << 20 // bytes
	maxPoints = 40e6    // of the picture: nobody makes cameras with more, and a forged one must not fill the memory
	stillTime = 10 * time.Second
)

// Trouble says why a camera gave no still picture: a code of the text catalogue after "trouble.".
type Trouble string

// The troubles.
const (
	TroubleAddress     Trouble = "address"
	TroubleUnreachable Trouble = "unreachable"
	TroubleSlow        Trouble = "slow"        // not whole within 10 s
	TroubleCertificate Trouble = "certificate" // not the pinned one, or none that an authority vouches for
	TroubleLogin       Trouble = "login"       // it refused the password
	TroubleClear       Trouble = "clear"       // it takes the password only in clear, which nobody has allowed
	TroubleStatus      Trouble = "status"      // it answered something else than a picture
	TroubleTooLarge    Trouble = "too_large"
	TroubleNotJPEG     Trouble = "not_jpeg"
)

// StillError is why there is no picture.
type StillError struct {
	Trouble Trouble
	Status  int // of HTTP, when it answered
	Err     error
}

func (e *StillError) Error() string {
	return "still picture: " + string(e.Trouble) + ": " + e.Err.Error()
}
func (e *StillError) Unwrap() error { return e.Err }

// Still is a picture of a camera at this moment. It is not kept anywhere.
type Still struct {
	Image image.Image
	Bytes int
	Date  time.Time     // what the camera's web server says the time is; zero: it does not say
	Took  time.Duration // from asking to the end of the answer's head: Date was true within that
	Pin   string        // of the certificate that it showed, also when it was refused
	Clear bool          // the password went in clear

	guard *pin.Guard
}

// Ask is whom to ask for a picture, and how.
type Ask struct {
	Address, Pin string
	Login        site.Login
	Basic        bool // the password may be given in clear to a camera that knows no better
}

// FetchStill asks a camera for a picture, with its password once at most: digest when it offers that, else basic, in
// clear only where that is allowed. What comes is decoded whole before it counts. Errors: *StillError.
func FetchStill(ctx context.Context, a Ask) (Still, error) {
	u, err := url.Parse(a.Address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return Still{}, &StillError{Trouble: TroubleAddress, Err: errors.New("no http or https address")}
	}
	ctx, cancel := context.WithTimeout(ctx, stillTime)
	defer cancel()
	var s Still
	client, done := s.client(u, a.Pin)
	defer done()
	body, err := s.ask(ctx, client, u, a.Login, a.Basic || u.Scheme == "https")
	if err != nil {
		return s, s.sort(ctx, err)
	}
	s.Bytes = len(body)
	if s.Image, err = decode(body); err != nil {
		return s, &StillError{Trouble: TroubleNotJPEG, Status: http.StatusOK, Err: err}
	}
	return s, nil
}

// Remote is whom we really spoke to.
func (s Still) Remote() netip.Addr {
	if s.guard == nil {
		return netip.Addr{}
	}
	return s.guard.Remote()
}

// client makes a client for one visit; call done after it.
func (s *Still) client(u *url.URL, pinned string) (*http.Client, func()) {
	address := u.Host
	if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	s.guard = pin.Once(address)
	c := pin.TLS(pinned)
	check := c.VerifyConnection
	c.VerifyConnection = func(t tls.ConnectionState) error {
		if len(t.PeerCertificates) > 0 {
			s.Pin = pin.Of(t.PeerCertificates[0].Raw)
		}
		if check == nil {
			return nil
		}
		return check(t)
	}
	t := &http.Transport{DialContext: s.guard.Dial, TLSClientConfig: c, TLSHandshakeTimeout: 5 * time.Second,
		MaxConnsPerHost: 1, MaxResponseHeaderBytes: 64 << 10}
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // a camera has no reason to send us, and its password, elsewhere
	}}, t.CloseIdleConnections
}

var errRefused = errors.New("the camera refuses the password")

func (s *Still) ask(ctx context.Context, client *http.Client, u *url.URL, login site.Login, basic bool) ([]byte, error) {
	auth, fresh := "", true
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return nil, &StillError{Trouble: TroubleAddress, Err: err}
		}
		if auth != "" {
			req.Header.Set("Authorization", auth)
		}
		begun := time.Now()
		resp, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		s.Took = time.Since(begun)
		body, err := readAll(resp)
		if err != nil {
			return nil, err
		}
		if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
			s.Date = at
		}
		switch {
		case resp.StatusCode == http.StatusOK:
			return body, nil
		case resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusForbidden:
			return nil, &StillError{Trouble: TroubleStatus, Status: resp.StatusCode, Err: fmt.Errorf("it answers %d", resp.StatusCode)}
		}
		refused := &StillError{Trouble: TroubleLogin, Status: resp.StatusCode, Err: errRefused}
		if resp.StatusCode == http.StatusForbidden || login.User == "" {
			return nil, refused
		}
		ch, err := digest.Parse(resp.Header.Values("WWW-Authenticate"))
		switch {
		case auth != "" && (!ch.Stale || !fresh): // with a password, a 401 is a failed log-in, unless only the nonce was too old
			return nil, refused
		case auth != "":
			fresh = false
		}
		if err == nil {
			auth = ch.Answer(login.User, login.Password, http.MethodGet, u.RequestURI(), digest.NewNonce(), 1)
			continue
		}
		if !offersBasic(resp.Header.Values("WWW-Authenticate")) {
			return nil, &StillError{Trouble: TroubleLogin, Status: resp.StatusCode, Err: fmt.Errorf("it asks for a log-in of a kind that is not known: %w", err)}
		}
		if !basic || offersDigest(resp.Header.Values("WWW-Authenticate")) {
			return nil, &StillError{Trouble: TroubleClear, Status: resp.StatusCode, Err: rtsp.ErrClear}
		}
		s.Clear = u.Scheme == "http"
		req.SetBasicAuth(login.User, login.Password)
		auth = req.Header.Get("Authorization")
	}
}

func offersDigest(fields []string) bool {
	return slices.ContainsFunc(fields, func(f string) bool {
		scheme, _, _ := strings.Cut(strings.TrimSpace(f), " ")
		return strings.EqualFold(scheme, "Digest")
	})
}

func offersBasic(fields []string) bool {
	for _, f := range fields {
		if len(f) >= 5 && (len(f) == 5 || f[5] == ' ') && asciiFold(f[:5], "basic") {
			return true
		}
	}
	return false
}

func asciiFold(a, lower string) bool {
	for i := range len(lower) {
		if a[i]|0x20 != lower[i] {
			return false
		}
	}
	return true
}

func readAll(resp *http.Response) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxStill+1))
	if cerr := resp.Body.Close(); err == nil {
		err = cerr
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("the answer broke off after %d bytes: %w", len(body), err)
	case len(body) > MaxStill:
		return nil, &StillError{Trouble: TroubleTooLarge, Status: resp.StatusCode, Err: fmt.Errorf("more than %d bytes", MaxStill)}
	}
	return body, nil
}

// sort says of an error what the trouble is.
func (s *Still) sort(ctx context.Context, err error) error {
	var known *StillError
	var unknown *tls.CertificateVerificationError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &unknown):
		if len(unknown.UnverifiedCertificates) > 0 {
			s.Pin = pin.Of(unknown.UnverifiedCertificates[0].Raw)
		}
		return &StillError{Trouble: TroubleCertificate, Err: err}
	case errors.Is(err, pin.ErrOther):
		return &StillError{Trouble: TroubleCertificate, Err: err}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &StillError{Trouble: TroubleSlow, Err: err}
	}
	return &StillError{Trouble: TroubleUnreachable, Err: err}
}

// decode reads a JPEG whole. Its size is looked at before any memory is taken for it.
func decode(b []byte) (image.Image, error) {
	c, err := jpeg.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("read the head of the picture: %w", err)
	}
	if c.Width <= 0 || c.Height <= 0 || float64(c.Width)*float64(c.Height) > maxPoints {
		return nil, fmt.Errorf("a picture of %d × %d", c.Width, c.Height)
	}
	img, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("read the picture: %w", err)
	}
	return img, nil
}
