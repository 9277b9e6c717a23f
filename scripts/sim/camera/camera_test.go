package camera

import (
	"net/url"
	"testing"

	"campuskeep/scripts/sim/render"
)

func withPassword(t *testing.T, address, user, password string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(user, password)
	return u.String()
}

func TestAnIndependentPlayerReadsTheCounters(t *testing.T) {
	for _, codec := range []string{"h264", "h265"} {
		for _, transport := range []string{"tcp", "udp"} {
			t.Run(codec+" "+transport, func(t *testing.T) {
				t.Parallel()
				c, err := Start(t.Context(), Options{
					Name: "c01", Listen: "127.0.0.1:0", UDP: true, User: "admin", Password: "secret",
					Coding: render.Coding{W: 320, H: 180, Codec: codec}, FPS: 10,
				})
				if err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := c.Close(); err != nil {
						t.Error(err)
					}
				}()
				seen, err := render.Decode(t.Context(), nil, withPassword(t, c.URL(), "admin", "secret"),
					"-rtsp_transport", transport, "-t", "2")
				if err != nil {
					t.Fatal(err)
				}
				for len(seen) > 0 && !seen[0].OK { // ffmpeg shows H.265 from before the first key frame as mud
					seen = seen[1:]
				}
				runs, bad := render.Runs(seen)
				if bad > 0 || len(runs) != 1 {
					t.Fatalf("runs %v, %d unreadable", runs, bad)
				}
				if _, err := render.Decode(t.Context(), nil, withPassword(t, c.URL(), "admin", "wrong"), "-t", "1"); err == nil {
					t.Fatal("a wrong password was accepted")
				}
			})
		}
	}
}

func TestOffAndOnAgainAtTheSameAddress(t *testing.T) {
	c, err := Start(t.Context(), Options{
		Name: "c02", Listen: "127.0.0.1:0", Coding: render.Coding{W: 320, H: 180}, FPS: 10,
	})
	if err != nil {
		t.Fatal(err)
	}
	address := c.URL()
	c.Down()
	if _, err := render.Decode(t.Context(), nil, address, "-rtsp_transport", "tcp", "-t", "1"); err == nil {
		t.Fatal("a camera that is off was seen")
	}
	if err := c.Up(); err != nil {
		t.Fatal(err)
	}
	if seen, err := render.Decode(t.Context(), nil, c.URL(), "-rtsp_transport", "tcp", "-t", "1"); err != nil || len(seen) == 0 || c.URL() != address {
		t.Fatalf("%d frames, %v", len(seen), err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}
