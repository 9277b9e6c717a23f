package health

import (
	"context"
	"errors"
	"sync"

	"campuskeep/firmware/recorder"
	"campuskeep/firmware/rtsp"
	"campuskeep/firmware/site"
	"campuskeep/shared/footage"
)

// ErrBusy: somebody else tests a camera at this moment.
var ErrBusy = errors.New("health: another camera is being tested")

// TestResult is what a test of a camera found. What it does not have was not asked for, or not asked after the camera
// refused the password.
type TestResult struct {
	Main, Sub *StreamResult
	Still     *StillResult
	Refused   bool // the camera refused the password; nothing was asked after that
}

// StreamResult is one stream.
type StreamResult struct {
	recorder.Probed
	Err error
}

// Code says why there are no pictures: the cause of the gap that it would be, and after a dot what exactly, where that
// is known.
func (s *StreamResult) Code() string {
	e, ok := errors.AsType[*rtsp.Error](s.Err)
	if !ok || e.Trouble == rtsp.Unreachable || e.Trouble == rtsp.Refused {
		return string(s.Cause)
	}
	return string(s.Cause) + "." + string(e.Trouble)
}

// StillResult is the still picture.
type StillResult struct {
	Still
	Trouble Trouble // empty: there is a picture
	Status  int     // of HTTP
}

// AsError is the outcome as a code of the log.
func (t TestResult) AsError() string {
	for _, s := range []*StreamResult{t.Main, t.Sub} {
		if s != nil && s.Err != nil {
			return s.Code()
		}
	}
	if t.Still != nil && t.Still.Trouble != "" {
		return "still." + string(t.Still.Trouble)
	}
	return "ok"
}

// Test connects to a camera as it is described, which need not be as it is registered: the main stream first, and when
// that does not refuse the password, the sub-stream and the still picture. Every address gets one attempt, because
// cameras lock. login nil takes the one that is registered for the camera: the caller has made sure that it goes to
// no other device. Errors: ErrBusy.
func (r *Monitor) Test(ctx context.Context, cam footage.Camera, typed *site.Login) (TestResult, error) {
	if !r.trying.TryLock() {
		return TestResult{}, ErrBusy
	}
	defer r.trying.Unlock()
	var login site.Login
	if typed != nil {
		login = *typed
	} else if _, known := r.o.Site.Camera(cam.ID); known {
		var err error
		if login, err = r.o.Site.Credentials(cam.ID); err != nil {
			return TestResult{}, err
		}
	}
	var t TestResult
	stream := func(address string) *StreamResult {
		c := recorder.Camera{Camera: cam, User: login.User, Password: login.Password, UDP: cam.Transport == "udp", Pin: cam.Pin, Basic: cam.Basic}
		c.Main = address
		got, err := recorder.Probe(ctx, c)
		return &StreamResult{got, err}
	}
	if cam.Main != "" {
		t.Main = stream(cam.Main)
		t.Refused = t.Main.Cause == footage.CauseLogin
	}
	if t.Refused || ctx.Err() != nil {
		return t, ctx.Err()
	}
	if cam.Main == "" { // nothing has shown yet that the password is right
		r.testSub(&t, cam, stream)
		if !t.Refused {
			t.testStill(ctx, cam, login)
		}
		return t, ctx.Err()
	}
	var wg sync.WaitGroup
	if cam.Sub != "" {
		wg.Go(func() { t.Sub = stream(cam.Sub) })
	}
	t.testStill(ctx, cam, login)
	wg.Wait()
	t.Refused = t.Refused || t.Sub != nil && t.Sub.Cause == footage.CauseLogin
	return t, ctx.Err()
}

func (r *Monitor) testSub(t *TestResult, cam footage.Camera, stream func(string) *StreamResult) {
	if cam.Sub == "" {
		return
	}
	t.Sub = stream(cam.Sub)
	t.Refused = t.Sub.Cause == footage.CauseLogin
}

func (t *TestResult) testStill(ctx context.Context, cam footage.Camera, login site.Login) {
	if cam.Still == "" {
		return
	}
	s, err := FetchStill(ctx, Ask{cam.Still, cam.Pin, login, cam.Basic})
	t.Still = &StillResult{Still: s}
	var why *StillError
	if errors.As(err, &why) {
		t.Still.Trouble, t.Still.Status = why.Trouble, why.Status
	}
	t.Refused = t.Refused || t.Still.Trouble == TroubleLogin
}
