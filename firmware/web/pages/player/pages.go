// Package player opens viewings and plays them: recorded footage, the wall of live pictures, single pictures. No byte
// leaves before the entry of its viewing is committed.
package player

import (
	"context"
	"embed"
	"log/slog"
	"time"

	"campuskeep/firmware/site"
	"campuskeep/firmware/usage"
	"campuskeep/firmware/viewing"
	"campuskeep/firmware/web/frame"
	"campuskeep/firmware/web/timeline"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
)

// Templates are the pages of this package.
//
//go:embed *.html
var Templates embed.FS

// Deps is what these pages need.
type Deps struct {
	Info     frame.Info
	Log      *slog.Logger
	Player   Player
	Site     *site.Site
	Status   frame.Status
	Usage    *usage.Register
	Viewings *viewing.Viewings
	Watched  footage.Source
	Zone     *time.Location
}

// Player gives the bytes of an opened viewing. *playback.Player is one.
type Player interface {
	Touch(id string) error // somebody waits for the footage
	Playlist(ctx context.Context, id string) ([]byte, error)
	Init(ctx context.Context, id string, n int) ([]byte, error)
	Fragment(ctx context.Context, id, segment string, i int) ([]byte, error)
	DisableAudio(id string) error // from the next playlist on: without sound
}

// Pages are the pages of this subject; all methods are safe for concurrent use.
type Pages struct {
	*timeline.Timeline
	d Deps
}

// New makes the pages; it starts nothing.
func New(t *timeline.Timeline, d Deps) *Pages {
	return &Pages{Timeline: t, d: d}
}

// call is one request, with the pages that answer it.
type call struct {
	*frame.Call
	o *Pages
}

// Routes are the addresses of this package with their permissions.
func (o *Pages) Routes() []frame.Route {
	on := o.on()
	return []frame.Route{
		{Pattern: "POST /footage/view", Action: account.ActFootagePlayback, Subject: on.About(wantedSubject), Handle: on.Do(o.openView)},
		{Pattern: "GET /live", Action: account.ActFootageLive, Subject: on.About(livePurpose), Handle: on.Do(o.livePage)},
		{Pattern: "POST /live/view", Action: account.ActFootageLive, Subject: on.About(liveSubject), Handle: on.Do(o.openLive)},
		{Pattern: "GET /view/{id}", Action: account.ActMediaRead, Subject: on.About(viewingSubject), Handle: on.Do(o.viewPage)},
		{Pattern: "POST /view/{id}/beside", Action: account.ActFootagePlayback, Subject: on.About(besideSubject), Handle: on.Do(o.openBeside)},
		{Pattern: "GET /view/{id}/state", Action: account.ActSelf, Subject: on.About(ownViewing), Handle: on.Do(o.viewState)},
		{Pattern: "GET /view/{id}/when", Action: account.ActMediaRead, Subject: on.About(viewingSubject), Handle: on.Do(o.viewWhen)},
		{Pattern: "POST /view/{id}/audio-off", Action: account.ActMediaRead, Subject: on.About(viewingSubject), Handle: on.Do(o.audioOff)},
		{Pattern: "POST /view/{id}/snapshot", Action: account.ActFootageSnapshot, Subject: on.About(stillSubject), Handle: on.Do(o.snapshot)},
		{Pattern: "GET /view/{id}/events", Action: account.ActSelf, Subject: on.About(ownViewing), Handle: on.Do(o.viewEvents), Stream: true},
		{Pattern: "POST /view/{id}/close", Action: account.ActSelf, Subject: on.About(ownViewing), Handle: on.Do(o.closeView)},
		{Pattern: "GET /media/{id}/playlist.m3u8", Action: account.ActMediaRead, Subject: on.About(viewingSubject), Handle: on.Do(o.playlist), Media: true},
		{Pattern: "GET /media/{id}/init/{file}", Action: account.ActMediaRead, Subject: on.About(viewingSubject), Handle: on.Do(o.initSection), Media: true},
		{Pattern: "GET /media/{id}/{segment}/{file}", Action: account.ActMediaRead, Subject: on.About(viewingSubject), Handle: on.Do(o.fragment), Media: true},
		{Pattern: "GET /api/v1/live", Action: account.ActFootageLive, Subject: on.About(livePurpose), Handle: on.Do(o.apiWall)},
		{Pattern: "GET /api/v1/view/{id}", Action: account.ActMediaRead, Subject: on.About(viewingSubject), Handle: on.Do(o.apiView)},
		{Pattern: "POST /api/v1/live", Action: account.ActFootageLive, Subject: on.About(liveSubject), Handle: on.Do(o.apiLive)},
	}
}

func (o *Pages) on() frame.Binder[*call] {
	return func(c *frame.Call) *call { return &call{c, o} }
}
