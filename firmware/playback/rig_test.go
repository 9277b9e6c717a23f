package playback_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/playback"
	"campuskeep/firmware/vault/vaulttest"
	"campuskeep/scripts/sim/history"
	"campuskeep/shared/clock"
	"campuskeep/shared/clock/clocktest"
	"campuskeep/shared/footage"
)

// now is when the tests think they happen: an hour's history ends here.
var now = time.Date(2026, 3, 9, 14, 0, 0, 0, time.UTC)

var anchor = clock.Anchor{Boot: "b1", Mono: 90 * 24 * time.Hour, UTC: now}

func places() footage.Places { return footage.Places{Anchors: clock.NewAnchors(anchor)} }

func newClock() *clocktest.Clock {
	return clocktest.New(clock.Reading{Wall: now, State: clock.Trusted, Boot: "b1", Mono: anchor.Mono})
}

// past fills a vault with history of camera c01 up to now.
func past(t testing.TB, long time.Duration) (footage.Source, []history.Gap) {
	t.Helper()
	v := vaulttest.Open(t)
	gaps, err := history.Fill(t.Context(), v, []footage.Camera{{ID: "c01"}}, footage.Span{From: now.Add(-long), To: now}, anchor, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v.Source(places), gaps
}

func newPlayer(src footage.Source, live playback.LiveSource) (*playback.Player, *clocktest.Clock) {
	c := newClock()
	return playback.New(src, live, c, slog.New(slog.DiscardHandler)), c
}

// serve puts a player behind HTTP the way the office does.
func serve(t *testing.T, p *playback.Player) string {
	t.Helper()
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, kind string, b []byte, err error) {
		w.Header().Set("Access-Control-Allow-Origin", "*") // for a page of another test server
		switch {
		case errors.Is(err, playback.ErrExpired):
			http.Error(w, err.Error(), http.StatusForbidden)
		case err != nil:
			http.Error(w, err.Error(), http.StatusNotFound)
		default:
			w.Header().Set("Content-Type", kind)
			if _, err := w.Write(b); err != nil {
				t.Log(err)
			}
		}
	}
	mux.HandleFunc("GET /{id}/index.m3u8", func(w http.ResponseWriter, r *http.Request) {
		b, err := p.Playlist(r.Context(), r.PathValue("id"))
		answer(w, "application/vnd.apple.mpegurl", b, err)
	})
	mux.HandleFunc("GET /{id}/init/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(strings.TrimSuffix(r.PathValue("n"), ".mp4"))
		if err != nil {
			n = -1
		}
		b, err := p.Init(r.Context(), r.PathValue("id"), n)
		answer(w, "video/mp4", b, err)
	})
	mux.HandleFunc("GET /{id}/{segment}/{i}", func(w http.ResponseWriter, r *http.Request) {
		i, err := strconv.Atoi(strings.TrimSuffix(r.PathValue("i"), ".m4s"))
		if err != nil {
			i = -1
		}
		b, err := p.Fragment(r.Context(), r.PathValue("id"), r.PathValue("segment"), i)
		answer(w, "video/mp4", b, err)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}
