package nvr

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"campuskeep/firmware/site"
	"campuskeep/firmware/store"
	"campuskeep/shared/account"
	"campuskeep/shared/fielderr"
	"campuskeep/shared/ledger"
)

var (
	idForm  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,15}$`)
	pinForm = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)
)

// Put registers or changes an NVR (F1). login nil leaves the password as it is; a new one ends a refusal. Errors:
// fielderr.Errors, *account.Refused.
func (r *Room) Put(ctx context.Context, by account.Who, d Device, login *site.Login) error {
	role := account.Role("")
	if !by.IsSystem() {
		may := account.May(by.Actor, account.ActNVRsEdit, account.Subject{}, r.o.Clock.Now().Wall)
		if !may.Allowed {
			return may.Err(account.ActNVRsEdit)
		}
		role = may.Role
	}
	if err := r.validate(d, login); err != nil {
		return err
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	old, exists := r.device(d.ID)
	if d.Since.IsZero() {
		d.Since = r.o.Clock.Now().Wall.UTC()
		if exists {
			d.Since = old.v.Since
		}
	}
	if exists && login == nil && reflect.DeepEqual(old.v, d) {
		return nil
	}
	ch := store.Change{Puts: []store.Put{devices.PutRev(d.ID, d, old.rev)}}
	parts := []ledger.Part{sealed("after", d.ID, d)}
	if exists {
		parts = append(parts, sealed("before", d.ID, old.v))
	}
	ch.Entries = append(ch.Entries, by.Draft("config.change", role, "nvr:"+d.ID, map[string]any{"what": "nvr", "key": d.ID}, parts...))
	if login != nil {
		ch.Puts = append(ch.Puts, logins.Put(d.ID, deviceLogin{NVR: d.ID, Login: *login}))
		ch.Entries = append(ch.Entries, by.Draft("config.change", role, "nvr:"+d.ID, map[string]any{"what": "nvr_login", "key": d.ID}))
	}
	rc, err := r.o.Store.Commit(ctx, ch)
	if err != nil {
		return fmt.Errorf("change NVR %s: %w", d.ID, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.devices[d.ID] = row[Device]{d, rc.Revs[0]}
	if l := r.links[d.ID]; l != nil {
		l.stale.Store(true)
	}
	r.stir()
	return nil
}

func (r *Room) validate(d Device, login *site.Login) error {
	var e fielderr.Errors
	if !idForm.MatchString(d.ID) {
		e.Add("id", "err.id")
	}
	word(&e, "name", d.Name, 1, 64)
	word(&e, "place", d.Place, 0, 64)
	word(&e, "installer", d.Installer, 0, 128)
	if _, ok := r.o.Drivers[d.Driver]; !ok {
		e.Add("driver", "err.nvr_driver")
	}
	u, err := url.Parse(d.Address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		e.Add("address", "err.nvr_address")
	} else if u.User != nil {
		e.Add("address", "err.rtsp_credentials")
	}
	if d.RTSP != "" {
		if u, err := url.Parse("rtsp://" + d.RTSP); err != nil || u.Host != d.RTSP || u.Port() == "" {
			e.Add("rtsp", "err.nvr_rtsp")
		}
	}
	if d.Pin != "" && !pinForm.MatchString(d.Pin) {
		e.Add("pin", "err.nvr_pin")
	}
	if d.Installed != "" {
		if _, err := time.Parse(time.DateOnly, d.Installed); err != nil {
			e.Add("installed", "err.date")
		}
	}
	r.validateCameras(&e, d)
	if login != nil {
		word(&e, "user", login.User, 1, 64)
		word(&e, "password", login.Password, 1, 128)
	}
	return e.Err()
}

// validateCameras: each camera stands behind one channel of one NVR.
func (r *Room) validateCameras(e *fielderr.Errors, d Device) {
	var ids []string
	for channel, id := range d.Cameras {
		if channel < 1 || channel > 1024 {
			e.Add("cameras", "err.range", 1, 1024)
		}
		if slices.Contains(ids, id) {
			e.Add("cameras", "err.nvr_camera_twice", id)
		}
		ids = append(ids, id)
		known := false
		for _, c := range r.o.Cameras() {
			known = known || c.ID == id
		}
		if !known {
			e.Add("cameras", "err.camera_unknown", id)
		}
	}
	for _, o := range r.Devices() {
		for _, id := range o.Cameras {
			if o.ID != d.ID && !o.Retired && !d.Retired && slices.Contains(ids, id) {
				e.Add("cameras", "err.nvr_camera_twice", id)
			}
		}
	}
}

func word(e *fielderr.Errors, field, s string, least, most int) {
	switch n := utf8.RuneCountInString(s); {
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }):
		e.Add(field, "err.text")
	case n < least:
		e.Add(field, "err.required")
	case n > most:
		e.Add(field, "err.too_long", most)
	}
}

func sealed(name, nvr string, v any) ledger.Part {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("nvr: %s does not marshal: %v", name, err)) // a fault of the type, not of the data
	}
	return ledger.Part{Name: name, Owner: owner(nvr), Plain: b}
}
