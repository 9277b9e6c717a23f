package site

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/attendance"
	"campuskeep/shared/footage"
)

// Site is the opened register of the site. All methods are safe for concurrent use; what they return
// is a copy.
type Site struct {
	o       Options
	writing sync.Mutex // one change at a time: taken before mu

	mu       sync.RWMutex
	cameras  map[string]row[footage.Camera]
	readers  map[string]row[Reader]
	devices  map[string]row[readerDevice] // by reader
	places   map[string]row[Place]
	calendar row[attendance.Calendar]
	settings row[Settings]
	watchers map[int]chan struct{}
	next     int
}

// row is a value with its revision in the store; revision 0 means that it is a default and not stored.
type row[T any] struct {
	v   T
	rev uint64
}

// Open loads everything into memory. The store's Run need not run yet.
func Open(_ context.Context, o Options) (*Site, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Site{o: o, watchers: map[int]chan struct{}{}}
	s.calendar.v = attendance.Calendar{Zone: DefaultZone, Hours: attendance.DefaultHours}
	s.settings.v = DefaultSettings
	err := o.Store.View(func(tx ledgerdb.Tx) error {
		var err error
		if s.cameras, err = load(tx, cameras); err != nil {
			return err
		}
		if s.readers, err = load(tx, readers); err != nil {
			return err
		}
		if s.devices, err = load(tx, readerDevices); err != nil {
			return err
		}
		if s.places, err = load(tx, places); err != nil {
			return err
		}
		if err := loadOne(tx, calendars, &s.calendar); err != nil {
			return err
		}
		return loadOne(tx, settings, &s.settings)
	})
	if err != nil {
		return nil, fmt.Errorf("open site: %w", err)
	}
	return s, nil
}

// DefaultZone is the zone of a calendar that nobody has set.
const DefaultZone = "Asia/Shanghai"

func load[T any](tx ledgerdb.Tx, t ledgerdb.TableOf[T]) (map[string]row[T], error) {
	m := map[string]row[T]{}
	for key, r := range t.Rows(tx, "") {
		if r.Err != nil {
			return nil, r.Err
		}
		m[key] = row[T]{r.Value, r.Rev}
	}
	return m, nil
}

func loadOne[T any](tx ledgerdb.Tx, t ledgerdb.TableOf[T], into *row[T]) error {
	v, rev, ok, err := t.Get(tx, onlyKey)
	if ok && err == nil {
		*into = row[T]{v, rev}
	}
	return err
}

func list[T any](s *Site, m map[string]row[T]) []T {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]T, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[k].v)
	}
	return out
}

// Cameras lists the cameras in service and retired, by id.
func (s *Site) Cameras() []footage.Camera { return list(s, s.cameras) }

// Camera by id.
func (s *Site) Camera(id string) (footage.Camera, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r, ok := s.cameras[id]
	return r.v, ok
}

// Readers lists the card readers by id.
func (s *Site) Readers() []Reader { return list(s, s.readers) }

// Places lists the places by id.
func (s *Site) Places() []Place {
	out := list(s, s.places)
	for i := range out {
		out[i].Cameras = slices.Clone(out[i].Cameras)
	}
	return out
}

// Calendar is the school calendar with the hours of the day. Its maps and slices are shared: read only.
func (s *Site) Calendar() attendance.Calendar {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.calendar.v
}

// Settings of the school.
func (s *Site) Settings() Settings {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.settings.v
}

// Credentials of a camera, for the recorder alone; zero when it asks for none.
func (s *Site) Credentials(cameraID string) (Login, error) {
	var l Login
	err := s.o.Store.View(func(tx ledgerdb.Tx) error {
		v, _, _, err := logins.Get(tx, cameraID)
		l = v.Login
		return err
	})
	if errors.Is(err, ledgerdb.ErrErased) {
		return Login{}, fmt.Errorf("credentials of camera %s were erased: %w", cameraID, err)
	}
	if err != nil {
		return Login{}, fmt.Errorf("read credentials of camera %s: %w", cameraID, err)
	}
	return l, nil
}

// Subscribe wakes after each change; changes that a slow reader missed are folded into one. Call cancel when
// done; the channel is not closed.
func (s *Site) Subscribe() (changed <-chan struct{}, cancel func()) {
	ch := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.next
	s.next++
	s.watchers[id] = ch
	return ch, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, id)
	}
}
