package health

import (
	"context"
	"errors"
	"testing"

	"campuskeep/firmware/site"
	"campuskeep/scripts/sim/camera"
	"campuskeep/scripts/sim/render"
	"campuskeep/shared/account"
)

// Covers F1: a test measures the streams and takes one picture; once the password was refused nothing more is asked;
// two tests do not run at once; the registered password serves when none is typed.
func TestTryingACamera(t *testing.T) {
	h := newEnv(t)
	c, err := camera.Start(context.Background(), camera.Options{Name: "c01", Listen: "127.0.0.1:0", User: "viewer", Password: "secret", Coding: render.Coding{W: 320, H: 192, GOP: 10}, FPS: 10})
	h.must(err)
	defer func() { h.must(c.Close()) }()
	s := h.stills(camera.StillOptions{User: "viewer", Password: "secret"})
	cam := h.camera(1, s.URL())
	cam.Main, cam.Sub = c.URL(), c.URL()
	h.must(h.site.PutCamera(t.Context(), account.System, cam, &site.Login{User: "viewer", Password: "secret"}))

	h.trying.Lock()
	if _, err := h.Test(t.Context(), cam, nil); !errors.Is(err, ErrBusy) {
		t.Errorf("a second test: %v", err)
	}
	h.trying.Unlock()

	got, err := h.Test(t.Context(), cam, nil)
	h.must(err)
	if got.AsError() != "ok" || got.Main.Width != 320 || got.Sub == nil || got.Sub.Frames == 0 || got.Still == nil || got.Still.Image == nil || got.Refused {
		t.Fatalf("%s: %+v, %+v, %+v", got.AsError(), got.Main, got.Sub, got.Still)
	}
	asked := s.Asked()
	got, err = h.Test(t.Context(), cam, &site.Login{User: "viewer", Password: "wrong"})
	h.must(err)
	if got.AsError() != "credentials" || !got.Refused || got.Sub != nil || got.Still != nil || s.Asked() != asked || s.Failed() != 0 {
		t.Errorf("a wrong password: %s, %+v, %d failed log-ins at the still picture", got.AsError(), got, s.Failed())
	}
	cam.Main, cam.Sub = "", ""
	got, err = h.Test(t.Context(), cam, &site.Login{User: "viewer", Password: "wrong"})
	h.must(err)
	if got.AsError() != "still.login" || !got.Refused || s.Failed() != 1 {
		t.Errorf("a wrong password, a picture alone: %s, %d failed log-ins", got.AsError(), s.Failed())
	}
}
