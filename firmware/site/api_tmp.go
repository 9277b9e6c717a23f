package site

import (
	"context"

	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/footage"
)

const todo = "site: body follows"

// Site is the room at work. All methods are safe for concurrent use; what they return is a copy.
type Site struct{}

// Open loads everything into memory. The store's Run need not run yet.
func Open(ctx context.Context, o Options) (*Site, error) { panic(todo) }

// Cameras lists the cameras in service and retired, by id.
func (s *Site) Cameras() []footage.Camera { panic(todo) }

// Camera by id.
func (s *Site) Camera(id string) (footage.Camera, bool) { panic(todo) }

// PutCamera registers or changes a camera. login nil leaves the credentials. fielderr.Errors, *account.Refused.
func (s *Site) PutCamera(ctx context.Context, by account.Who, c footage.Camera, login *Login) error { panic(todo) }

// Credentials of a camera, for the recorder alone; zero when it asks for none.
func (s *Site) Credentials(cameraID string) (Login, error) { panic(todo) }

// Readers lists the card readers by id.
func (s *Site) Readers() []Reader { panic(todo) }

// PutReader registers or changes a reader.
func (s *Site) PutReader(ctx context.Context, by account.Who, r Reader) error { panic(todo) }

// Places lists the places by name.
func (s *Site) Places() []Place { panic(todo) }

// PutPlace registers or changes a place.
func (s *Site) PutPlace(ctx context.Context, by account.Who, p Place) error { panic(todo) }

// Calendar is the school calendar with the hours of the day.
func (s *Site) Calendar() attendance.Calendar { panic(todo) }

// PutCalendar replaces the calendar.
func (s *Site) PutCalendar(ctx context.Context, by account.Who, c attendance.Calendar) error { panic(todo) }

// Settings of the school.
func (s *Site) Settings() Settings { panic(todo) }

// PutSettings replaces the settings.
func (s *Site) PutSettings(ctx context.Context, by account.Who, n Settings) error { panic(todo) }

// Subscribe wakes after each change of cameras, readers, calendar or settings; changes that a slow reader missed are folded.
func (s *Site) Subscribe() (<-chan struct{}, func()) { panic(todo) }
