package recorder_test

import (
	"context"
	"crypto/tls"
	"testing"
	"time"

	"campuskeep/firmware/recorder"
	"campuskeep/scripts/sim/camera"
	"campuskeep/scripts/sim/render"
	"campuskeep/shared/footage"
)

// Covers F1: a camera is tried before it is registered: what it sends is measured, and a password that it refuses is
// sent once.
func TestProbe(t *testing.T) {
	t.Parallel()
	cert, certPin := selfSigned(t)
	start := func(o camera.Options) *camera.Camera {
		c, err := camera.Start(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
		return c
	}
	plain := start(camera.Options{Name: "c01", Listen: "127.0.0.1:0", User: "viewer", Password: "secret", Coding: render.Coding{W: 320, H: 192, GOP: 10}, FPS: 10})
	smart := start(camera.Options{Name: "c02", Listen: "127.0.0.1:0", Coding: render.Coding{W: 160, H: 96, GOP: 2000, Codec: "h265"}, FPS: 5, Sound: "opus"})
	safe := start(camera.Options{Name: "c03", Listen: "127.0.0.1:0", TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, Coding: render.Coding{W: 160, H: 96, GOP: 10}, FPS: 10})
	at := func(c *camera.Camera) recorder.Camera {
		return recorder.Camera{Camera: footage.Camera{ID: "c01", Main: c.URL()}}
	}
	t.Run("measures", func(t *testing.T) {
		t.Parallel()
		cam := at(plain)
		cam.User, cam.Password = "viewer", "secret"
		got, err := recorder.Probe(t.Context(), cam)
		if err != nil || got.Codec != "h264" || got.Width != 320 || got.Height != 192 || got.FPS < 8 || got.FPS > 12 || got.GOPFrames != 10 || got.GOP < 800*time.Millisecond || got.GOP > 1300*time.Millisecond || got.Kbps < 5 || got.Audio != "" || got.Keepable {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("long group", func(t *testing.T) {
		t.Parallel()
		got, err := recorder.Probe(t.Context(), at(smart))
		if err != nil || got.Codec != "h265" || got.Width != 160 || got.GOP != 0 || got.FPS < 4 || got.FPS > 6 || got.Watched < 8*time.Second || got.Audio != "Opus" || !got.Keepable || smart.SoundAsked() != 0 {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("wrong password", func(t *testing.T) {
		t.Parallel()
		cam := at(plain)
		cam.User, cam.Password = "viewer", "wrong"
		if got, err := recorder.Probe(t.Context(), cam); err == nil || got.Cause != recorder.CauseCredentials || got.Frames != 0 {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("unknown certificate", func(t *testing.T) {
		t.Parallel()
		if got, err := recorder.Probe(t.Context(), at(safe)); err == nil || got.Pin != certPin || got.Frames != 0 {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("pinned", func(t *testing.T) {
		t.Parallel()
		cam := at(safe)
		cam.Pin = certPin
		if got, err := recorder.Probe(t.Context(), cam); err != nil || got.Pin != certPin || got.Frames == 0 {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		cam := recorder.Camera{Camera: footage.Camera{ID: "c01", Main: "rtsp://127.0.0.1:1/x"}}
		if got, err := recorder.Probe(t.Context(), cam); err == nil || got.Cause != recorder.CauseOffline {
			t.Errorf("%+v, %v", got, err)
		}
	})
}
