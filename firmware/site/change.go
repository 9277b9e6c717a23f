package site

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
)

func (l Login) check() error {
	var errs fielderr.Errors
	if utf8.RuneCountInString(l.User) > 64 || strings.ContainsFunc(l.User, unicode.IsControl) {
		errs.Add("user", "err.too_long", 64)
	}
	if utf8.RuneCountInString(l.Password) > 128 || strings.ContainsFunc(l.Password, unicode.IsControl) {
		errs.Add("password", "err.too_long", 128)
	}
	return errs.Err()
}

var idRule = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// PutPlace registers or changes a place, whatever is there. Errors: fielderr.Errors, *account.Refused.
func (s *Site) PutPlace(ctx context.Context, by account.Who, p Place) error {
	return put(ctx, s, by, account.ActSchoolEdit, "place", p.ID, p.copy(), s.checkPlace(p), places, s.places, nil)
}

// PutPlaceFrom is PutPlace of a form that was made from a revision, 0 of a new one. Errors: ledgerdb.ErrConflict,
// fielderr.Errors, *account.Refused.
func (s *Site) PutPlaceFrom(ctx context.Context, by account.Who, p Place, rev uint64) error {
	return put(ctx, s, by, account.ActSchoolEdit, "place", p.ID, p.copy(), s.checkPlace(p), places, s.places, &rev)
}

// PlacePut is a place to register or change, seen at a revision; 0: it must not be there.
type PlacePut struct {
	Place
	Rev uint64
}

// PutPlaces registers or changes places, all or none. Errors: ledgerdb.ErrConflict, fielderr.Errors, *account.Refused.
func (s *Site) PutPlaces(ctx context.Context, by account.Who, list []PlacePut) error {
	role, err := s.allow(by, account.ActSchoolEdit, account.Subject{})
	if err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	var ch ledgerdb.Change
	for _, p := range list {
		if errs := s.checkPlace(p.Place); len(errs) > 0 {
			return errs
		}
		s.mu.RLock()
		old, exists := s.places[p.ID]
		s.mu.RUnlock()
		if old.rev != p.Rev {
			return ledgerdb.ErrConflict
		}
		one := changeOf(by, role, "place", p.ID, old, exists, p.Place.copy(), places)
		ch.Puts, ch.Entries = append(ch.Puts, one.Puts...), append(ch.Entries, one.Entries...)
	}
	_, err = s.commitAll(ctx, fmt.Sprintf("%d places", len(list)), ch, func(revs []uint64) {
		for i, p := range list {
			s.places[p.ID] = row[Place]{p.Place.copy(), revs[i]}
		}
	})
	return err
}

// CheckPlace says what is wrong with a place.
func (s *Site) CheckPlace(p Place) fielderr.Errors { return s.checkPlace(p) }

// Place by id, with its revision.
func (s *Site) Place(id string) (Place, uint64, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r, ok := s.places[id]
	return r.v.copy(), r.rev, ok
}

// RemovePlace takes a place from the register. What was recorded about it keeps its name. Errors: ErrNotFound,
// *account.Refused.
func (s *Site) RemovePlace(ctx context.Context, by account.Who, id string) error {
	role, err := s.allow(by, account.ActSchoolEdit, account.Subject{})
	if err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.RLock()
	old, ok := s.places[id]
	s.mu.RUnlock()
	if !ok {
		return ErrNotFound
	}
	ch := ledgerdb.Change{Deletes: []ledgerdb.Delete{places.Delete(id)},
		Entries: []ledger.Draft{by.Draft("config.change", role, "place:"+id, map[string]any{"what": "place", "key": id}, part("before", siteOwner, old.v))}}
	_, err = s.commitAll(ctx, "place "+id, ch, func([]uint64) { delete(s.places, id) })
	return err
}

func (p Place) copy() Place {
	p.Cameras = slices.Clone(p.Cameras)
	return p
}

func (s *Site) checkPlace(p Place) fielderr.Errors {
	var errs fielderr.Errors
	checkID(&errs, p.ID)
	checkName(&errs, p.Name)
	for _, id := range p.Cameras {
		if _, ok := s.Camera(id); !ok {
			errs.Add("cameras", "err.camera_unknown", id)
		}
	}
	if p.Kind != "" && !slices.Contains(footage.Areas, p.Kind) && !slices.Contains(footage.PrivateAreas, p.Kind) {
		errs.Add("kind", "err.choice")
	}
	for _, o := range s.Places() {
		if o.ID != p.ID && o.Name == p.Name { // applications and records name places by their name
			errs.Add("name", "err.place_taken")
		}
	}
	return errs
}

func checkID(errs *fielderr.Errors, id string) {
	if !idRule.MatchString(id) {
		errs.Add("id", "err.id")
	}
}

func checkName(errs *fielderr.Errors, name string) {
	switch n := utf8.RuneCountInString(name); {
	case strings.TrimSpace(name) == "":
		errs.Add("name", "err.required")
	case n > 64 || strings.ContainsFunc(name, unicode.IsControl):
		errs.Add("name", "err.too_long", 64)
	}
}

func put[T any](ctx context.Context, s *Site, by account.Who, action account.Action, what, key string, v T, errs fielderr.Errors, t ledgerdb.TableOf[T], into map[string]row[T], from *uint64) error {
	role, err := s.allow(by, action, account.Subject{})
	if err != nil {
		return err
	}
	if err := errs.Err(); err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.RLock()
	old, exists := into[key]
	s.mu.RUnlock()
	switch {
	case from == nil:
	case *from == 0 && exists:
		return fielderr.Errors{{Field: "id", Rule: "err.taken"}}
	case *from != old.rev:
		return ledgerdb.ErrConflict
	}
	if exists && reflect.DeepEqual(old.v, v) {
		return nil
	}
	ch := changeOf(by, role, what, key, old, exists, v, t)
	return s.commit(ctx, what+" "+key, ch, func(rev uint64) { into[key] = row[T]{v, rev} })
}

// PutCalendar replaces the school calendar, whatever is there. Errors: fielderr.Errors, *account.Refused.
func (s *Site) PutCalendar(ctx context.Context, by account.Who, c attendance.Calendar) error {
	return putOne(ctx, s, by, account.ActSchoolEdit, "calendar", c, c.Check(), calendars, &s.calendar, nil)
}

// PutCalendarFrom is PutCalendar of a form that was made from a revision: what has changed since is not written over.
func (s *Site) PutCalendarFrom(ctx context.Context, by account.Who, c attendance.Calendar, rev uint64) error {
	return putOne(ctx, s, by, account.ActSchoolEdit, "calendar", c, c.Check(), calendars, &s.calendar, &rev)
}

// CalendarRev is the revision of the calendar; 0 while nobody has set it.
func (s *Site) CalendarRev() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.calendar.rev
}

// PutSettings replaces the settings. Errors: fielderr.Errors, *account.Refused.
func (s *Site) PutSettings(ctx context.Context, by account.Who, n Settings) error {
	return putOne(ctx, s, by, account.ActSettings, "settings", n, n.Check().Err(), settings, &s.settings, nil)
}

// PutSettingsFrom is PutSettings of a form that was made from a revision: what has changed since is not written over.
func (s *Site) PutSettingsFrom(ctx context.Context, by account.Who, n Settings, rev uint64) error {
	return putOne(ctx, s, by, account.ActSettings, "settings", n, n.Check().Err(), settings, &s.settings, &rev)
}

// SettingsRev is the revision of the settings; 0 while they are the defaults.
func (s *Site) SettingsRev() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.settings.rev
}

func putOne[T any](ctx context.Context, s *Site, by account.Who, action account.Action, what string, v T, fault error, t ledgerdb.TableOf[T], into *row[T], from *uint64) error {
	role, err := s.allow(by, action, account.Subject{})
	if err != nil {
		return err
	}
	if fault != nil {
		return fault
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.RLock()
	old := *into
	s.mu.RUnlock()
	if from != nil && *from != old.rev {
		return fielderr.Errors{{Field: "rev", Rule: RowChanged}}
	}
	if old.rev > 0 && reflect.DeepEqual(old.v, v) {
		return nil
	}
	ch := changeOf(by, role, what, onlyKey, old, old.rev > 0, v, t)
	return s.commit(ctx, what, ch, func(rev uint64) { *into = row[T]{v, rev} })
}

// changeOf is the change of one row with its entry: what was before and what is after (M5).
func changeOf[T any](by account.Who, role account.Role, what, key string, old row[T], exists bool, v T, t ledgerdb.TableOf[T]) ledgerdb.Change {
	parts := []ledger.Part{part("after", siteOwner, v)}
	if exists {
		parts = append([]ledger.Part{part("before", siteOwner, old.v)}, parts...)
	}
	return ledgerdb.Change{
		Puts:    []ledgerdb.Put{t.PutRev(key, v, old.rev)},
		Entries: []ledger.Draft{by.Draft("config.change", role, what+":"+key, map[string]any{"what": what, "key": key}, parts...)},
	}
}

// commit writes the change, takes it into memory with the revision of its first row, and wakes the watchers.
// The caller holds s.writing.
func (s *Site) commit(ctx context.Context, what string, ch ledgerdb.Change, apply func(rev uint64)) error {
	_, err := s.commitAll(ctx, what, ch, func(revs []uint64) { apply(revs[0]) })
	return err
}

// commitAll is commit for changes of several rows: apply gets the revision of every Put, in order.
func (s *Site) commitAll(ctx context.Context, what string, ch ledgerdb.Change, apply func(revs []uint64)) (ledgerdb.Receipt, error) {
	rc, err := s.o.Store.Commit(ctx, ch)
	if err != nil {
		return rc, fmt.Errorf("change %s: %w", what, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	apply(rc.Revs)
	for _, w := range s.watchers {
		select {
		case w <- struct{}{}:
		default: // one wake-up is pending already
		}
	}
	return rc, nil
}

// allow asks the permission table; what the appliance does by itself (seed, installer's command) needs none.
func (s *Site) allow(by account.Who, action account.Action, subject account.Subject) (account.Role, error) {
	if by.IsSystem() {
		return "", nil
	}
	d := account.May(by.Actor, action, subject, s.o.Clock.Now().Wall)
	return d.Role, d.Err(action)
}

func part(name, owner string, v any) ledger.Part {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("site: %s does not marshal: %v", name, err)) // a fault of the type, not of the data
	}
	return ledger.Part{Name: name, Owner: owner, Plain: b}
}
