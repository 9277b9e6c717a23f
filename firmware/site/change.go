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

// PutPlace registers or changes a place. Errors: fielderr.Errors, *account.Refused.
func (s *Site) PutPlace(ctx context.Context, by account.Who, p Place) error {
	var errs fielderr.Errors
	checkID(&errs, p.ID)
	checkName(&errs, p.Name)
	for _, id := range p.Cameras {
		if _, ok := s.Camera(id); !ok {
			errs.Add("cameras", "err.camera_unknown", id)
		}
	}
	p.Cameras = slices.Clone(p.Cameras)
	return put(ctx, s, by, "place", p.ID, p, errs, places, s.places)
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

func put[T any](ctx context.Context, s *Site, by account.Who, what, key string, v T, errs fielderr.Errors, t ledgerdb.TableOf[T], into map[string]row[T]) error {
	role, err := s.allow(by, account.ActCamerasEdit, account.Subject{})
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
	if exists && reflect.DeepEqual(old.v, v) {
		return nil
	}
	ch := changeOf(by, role, what, key, old, exists, v, t)
	return s.commit(ctx, what+" "+key, ch, func(rev uint64) { into[key] = row[T]{v, rev} })
}

// PutCalendar replaces the school calendar. Errors: fielderr.Errors, *account.Refused.
func (s *Site) PutCalendar(ctx context.Context, by account.Who, c attendance.Calendar) error {
	return putOne(ctx, s, by, "calendar", c, c.Check(), calendars, &s.calendar, nil)
}

// PutSettings replaces the settings. Errors: fielderr.Errors, *account.Refused.
func (s *Site) PutSettings(ctx context.Context, by account.Who, n Settings) error {
	return putOne(ctx, s, by, "settings", n, n.Check().Err(), settings, &s.settings, nil)
}

// PutSettingsFrom is PutSettings of a form that was made from a revision: what has changed since is not written over.
func (s *Site) PutSettingsFrom(ctx context.Context, by account.Who, n Settings, rev uint64) error {
	return putOne(ctx, s, by, "settings", n, n.Check().Err(), settings, &s.settings, &rev)
}

// SettingsRev is the revision of the settings; 0 while they are the defaults.
func (s *Site) SettingsRev() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.settings.rev
}

func putOne[T any](ctx context.Context, s *Site, by account.Who, what string, v T, fault error, t ledgerdb.TableOf[T], into *row[T], from *uint64) error {
	role, err := s.allow(by, account.ActSettings, account.Subject{})
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
