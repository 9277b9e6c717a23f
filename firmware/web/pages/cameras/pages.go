// Package cameras is the register of cameras: list, form, spreadsheet, connection test.
package cameras

import (
	"embed"
	"time"

	"campuskeep/firmware/health"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/firmware/site"
	"campuskeep/firmware/web/entrytext"
	"campuskeep/firmware/web/frame"
	"campuskeep/firmware/web/sheets"
	"campuskeep/shared/account"
)

// Templates are the pages of this package.
//
//go:embed *.html
var Templates embed.FS

// Deps is what these pages need.
type Deps struct {
	Health *health.Monitor
	Info   frame.Info
	Ledger *ledgerdb.Store
	People *people.People
	Site   *site.Site
	Status frame.Status
	Zone   *time.Location
}

// Pages are the pages of this subject; all methods are safe for concurrent use.
type Pages struct {
	*entrytext.Words
	d       Deps
	imports sheets.Imports
}

// New makes the pages; it starts nothing.
func New(w *entrytext.Words, d Deps) *Pages {
	return &Pages{Words: w, d: d}
}

// call is one request, with the pages that answer it.
type call struct {
	*frame.Call
	o *Pages
}

type handler = func(*call) error

// Routes are the addresses of this package with their permissions.
func (o *Pages) Routes() []frame.Route {
	on := o.on()
	return append(o.imports.Routes(o.list()), []frame.Route{
		{Pattern: "GET /cameras", Action: account.ActCamerasView, Subject: frame.Anything, Handle: on.Do(o.camerasPage)},
		{Pattern: "GET /cameras/new", Action: account.ActCamerasEdit, Subject: frame.Anything, Handle: on.Do(o.newCameraPage)},
		{Pattern: "POST /cameras/new", Action: account.ActCamerasEdit, Subject: frame.Anything, Handle: on.Do(o.putCamera)},
		{Pattern: "POST /cameras/export", Action: account.ActCamerasEdit, Subject: frame.Anything, Handle: on.Do(o.exportCameras)},
		{Pattern: "POST /cameras/test", Action: account.ActCamerasTest, Subject: frame.Anything, Handle: on.Do(o.testCamera)},
		{Pattern: "GET /cameras/{id}", Action: account.ActCamerasView, Subject: on.About(cameraSubject), Handle: on.Do(o.cameraPage)},
		{Pattern: "GET /cameras/{id}/edit", Action: account.ActCamerasEdit, Subject: on.About(cameraSubject), Handle: on.Do(o.editCameraPage)},
		{Pattern: "POST /cameras/{id}", Action: account.ActCamerasEdit, Subject: on.About(cameraSubject), Handle: on.Do(o.putCamera)},
		{Pattern: "POST /cameras/{id}/test", Action: account.ActCamerasTest, Subject: on.About(cameraSubject), Handle: on.Do(o.testCamera)},
		{Pattern: "GET /cameras/{id}/retire", Action: account.ActCamerasEdit, Subject: on.About(cameraSubject), Handle: on.Do(o.retirePage)},
		{Pattern: "POST /cameras/{id}/retire", Action: account.ActCamerasEdit, Subject: on.About(cameraSubject), Handle: on.Do(o.serveCamera(true))},
		{Pattern: "POST /cameras/{id}/restore", Action: account.ActCamerasEdit, Subject: on.About(cameraSubject), Handle: on.Do(o.serveCamera(false))},
		{Pattern: "GET /api/v1/cameras", Action: account.ActCamerasView, Subject: frame.Anything, Handle: on.Do(o.apiCameras)},
		{Pattern: "GET /api/v1/cameras/{id}", Action: account.ActCamerasView, Subject: on.About(cameraSubject), Handle: on.Do(o.apiCamera)},
	}...)
}

func (o *Pages) on() frame.Binder[*call] {
	return func(c *frame.Call) *call { return &call{c, o} }
}
