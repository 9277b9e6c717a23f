package site

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
)

// CameraPut is a camera to register or change. Login nil leaves its credentials as they are.
type CameraPut struct {
	Camera footage.Camera
	Login  *Login
	New    bool // its id must not be taken
	// Rev is the revision that the row was made from: one that has changed since is not written over. Zero takes
	// whatever is there, for what is made from the register itself.
	Rev uint64
}

// CameraRev is the revision of a camera's row; 0 when there is none.
func (s *Site) CameraRev(id string) uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.cameras[id].rev
}

// RowChanged is the rule of a row that somebody has changed since the revision that it was made from.
const RowChanged = "err.row_moved"

// MaxCameras is the most that one list may change: it is one Change of the log.
const MaxCameras = 512

// RowErrors is what is wrong with a list of cameras: by index in the list, of the whole list at [WholeList].
type RowErrors map[int]fielderr.Errors

// WholeList is the index of faults that the list has as a whole.
const WholeList = -1

func (e RowErrors) Error() string {
	var s []string
	for _, i := range slices.Sorted(maps.Keys(e)) {
		s = append(s, fmt.Sprintf("row %d: %s", i, e[i]))
	}
	return strings.Join(s, "; ")
}

// PutCamera registers or changes a camera. login nil leaves its credentials as they are. A camera that looks
// into a private area is refused with the rule (F2). Errors: fielderr.Errors, *account.Refused.
func (s *Site) PutCamera(ctx context.Context, by account.Who, c footage.Camera, login *Login) error {
	_, err := s.PutCameras(ctx, by, []CameraPut{{Camera: c, Login: login}})
	if rows, ok := err.(RowErrors); ok {
		return slices.Concat(rows[0], rows[WholeList])
	}
	return err
}

// CheckCameras says what is wrong with a list without changing anything; nil when nothing is.
func (s *Site) CheckCameras(list []CameraPut) RowErrors {
	s.mu.RLock()
	defer s.mu.RUnlock()
	bad := RowErrors{}
	if len(list) > MaxCameras {
		bad[WholeList] = fielderr.Errors{{Field: "file", Rule: "err.too_many", Args: []any{MaxCameras}}}
		return bad
	}
	after := make(map[string]footage.Camera, len(s.cameras)+len(list))
	for id, r := range s.cameras {
		after[id] = r.v
	}
	seen := map[string]bool{}
	more := false
	for i, p := range list {
		var errs fielderr.Errors
		if e, ok := footage.Validate(p.Camera).(fielderr.Errors); ok {
			errs = e
		}
		if p.Login != nil {
			if e, ok := p.Login.check().(fielderr.Errors); ok {
				errs = append(errs, e...)
			}
		}
		old, known := s.cameras[p.Camera.ID]
		if seen[p.Camera.ID] || p.New && known {
			errs.Add("id", "err.taken")
		}
		if p.Rev != 0 && p.Rev != old.rev {
			errs = append(fielderr.Errors{{Field: "rev", Rule: RowChanged}}, errs...)
		}
		if len(errs) > 0 {
			bad[i] = errs
		}
		seen[p.Camera.ID] = true
		more = more || needsLogin(old.v, known, p.Camera)
		after[p.Camera.ID] = p.Camera
	}
	s.checkLogins(list, bad)
	for i, p := range list {
		if by := sameGBCode(after, p.Camera); by != "" {
			bad[i] = append(bad[i], fielderr.Error{Field: "gb_code", Rule: "err.gb_taken", Args: []any{by}})
		}
	}
	if len(bad) == 0 && more && s.o.CheckCapacity != nil {
		all := make([]footage.Camera, 0, len(after))
		for _, id := range slices.Sorted(maps.Keys(after)) {
			all = append(all, after[id])
		}
		switch err := s.o.CheckCapacity(all).(type) {
		case nil:
		case fielderr.Errors:
			bad[WholeList] = err
		default:
			bad[WholeList] = fielderr.Errors{{Field: "custody", Rule: "err.does_not_fit"}}
			s.o.Log.Error("whether the cameras fit could not be said", "err", err)
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return bad
}

// checkLogins refuses a camera that moves to another device while its password stays: anyone who may type an
// address could otherwise have the password sent there. The caller holds s.mu.
func (s *Site) checkLogins(list []CameraPut, bad RowErrors) {
	for i, p := range list {
		old, known := s.cameras[p.Camera.ID]
		if p.Login != nil || !known || SameDevice(old.v, p.Camera) {
			continue
		}
		if l, err := s.Credentials(p.Camera.ID); err != nil || l != (Login{}) {
			bad[i] = append(bad[i], fielderr.Error{Field: "password", Rule: "err.password_again"})
		}
	}
}

// SameDevice says whether a changed row still sends a password only to where it was sent before: to a host and port
// that were named before, and in clear only where it went in clear.
func SameDevice(old, c footage.Camera) bool {
	const named, clear = 1, 2
	before := map[string]int{}
	for _, s := range []string{old.Main, old.Sub, old.Still} {
		if host, safe := device(s); safe {
			before[host] |= named
		} else {
			before[host] |= named | clear
		}
	}
	for _, s := range []string{c.Main, c.Sub, c.Still} {
		if s == "" {
			continue
		}
		if host, safe := device(s); before[host]&named == 0 || !safe && before[host]&clear == 0 {
			return false
		}
	}
	return old.Pin == "" || old.Pin == c.Pin
}

// device is host and port of an address, and whether what is sent there is encrypted.
func device(address string) (host string, safe bool) {
	u, err := url.Parse(address)
	if err != nil || address == "" {
		return "", false
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"rtsp": "554", "rtsps": "322", "http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port), u.Scheme == "rtsps" || u.Scheme == "https"
}

// needsLogin says whether a row asks more of this box than the one before did. What only takes away is never
// refused for lack of room.
func needsLogin(old footage.Camera, known bool, c footage.Camera) bool {
	if c.Retired || c.Custody != footage.CustodyVault {
		return false
	}
	return !known || old.Retired || old.Custody != c.Custody || c.Policy.Days > old.Policy.Days || c.Main != old.Main || c.Sub != old.Sub
}

// sameGBCode finds another camera in service with the same GB/T 28181 code: the code names one device.
func sameGBCode(all map[string]footage.Camera, c footage.Camera) string {
	if c.GBCode == "" || c.Retired {
		return ""
	}
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if o := all[id]; id != c.ID && !o.Retired && o.GBCode == c.GBCode {
			return id
		}
	}
	return ""
}

// PutCameras registers or changes a list of cameras, all or none, as one Change; it says how many were new or
// changed. Errors: RowErrors, *account.Refused.
func (s *Site) PutCameras(ctx context.Context, by account.Who, list []CameraPut) (int, error) {
	n, _, err := s.putCameras(ctx, by, list, ledgerdb.Change{})
	return n, err
}

// PutCamerasWith is PutCameras as one Change with what another package writes beside it: both become true, or
// neither. The receipt's revisions are those of what is beside. Errors: RowErrors, *account.Refused,
// ledgerdb.ErrConflict.
func (s *Site) PutCamerasWith(ctx context.Context, by account.Who, list []CameraPut, beside ledgerdb.Change) (ledgerdb.Receipt, error) {
	_, rc, err := s.putCameras(ctx, by, list, beside)
	return rc, err
}

func (s *Site) putCameras(ctx context.Context, by account.Who, list []CameraPut, beside ledgerdb.Change) (int, ledgerdb.Receipt, error) {
	roles := make([]account.Role, len(list))
	for i, p := range list {
		var err error
		if roles[i], err = s.allow(by, account.ActCamerasEdit, account.Subject{Camera: p.Camera.ID}); err != nil {
			return 0, ledgerdb.Receipt{}, err
		}
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if bad := s.CheckCameras(list); bad != nil {
		return 0, ledgerdb.Receipt{}, bad
	}
	ch, rows := s.cameraChange(by, roles, list)
	if len(rows) == 0 && len(beside.Puts)+len(beside.Deletes)+len(beside.Entries) == 0 {
		return 0, ledgerdb.Receipt{}, nil
	}
	own := len(ch.Puts)
	ch.Puts, ch.Deletes = append(ch.Puts, beside.Puts...), beside.Deletes
	ch.Entries = append(ch.Entries, beside.Entries...)
	ch.Require, ch.Check = beside.Require, beside.Check
	rc, err := s.commitAll(ctx, fmt.Sprintf("%d cameras", len(rows)), ch, func(revs []uint64) {
		for i, c := range rows {
			s.cameras[c.ID] = row[footage.Camera]{c, revs[i]}
		}
	})
	if err != nil {
		return 0, rc, err
	}
	rc.Revs = rc.Revs[own:]
	return len(rows), rc, nil
}

// cameraChange is the change of those in a list that are new or differ; rows are its first Puts. The caller holds
// s.writing.
func (s *Site) cameraChange(by account.Who, roles []account.Role, list []CameraPut) (ch ledgerdb.Change, rows []footage.Camera) {
	for i, p := range list {
		c := p.Camera
		s.mu.RLock()
		old, known := s.cameras[c.ID]
		s.mu.RUnlock()
		if c.Since.IsZero() {
			c.Since = s.o.Clock.Now().Wall.UTC()
			if known {
				c.Since = old.v.Since
			}
		}
		d, changed := cameraEntry(by, roles[i], old.v, known, c, p.Login != nil)
		if !changed {
			continue
		}
		ch.Puts = append(ch.Puts, cameras.PutRev(c.ID, c, old.rev))
		ch.Entries = append(ch.Entries, d)
		rows = append(rows, c)
	}
	for _, p := range list {
		if p.Login != nil {
			ch.Puts = append(ch.Puts, logins.Put(p.Camera.ID, cameraLogin{Camera: p.Camera.ID, Login: *p.Login}))
		}
	}
	return ch, rows
}

// cameraEntry is the entry of one camera's change; changed is false when there is none.
func cameraEntry(by account.Who, role account.Role, old footage.Camera, known bool, c footage.Camera, login bool) (d ledger.Draft, changed bool) {
	if !known {
		return by.Draft("camera.registered", role, c.ID,
			map[string]any{"custody": c.Custody, "area": c.Area, "days": c.Policy.Days}, part("camera", cameraOwner(c.ID), c)), true
	}
	what := Differing(old, c)
	if login {
		what = append(what, "login")
	}
	if len(what) == 0 {
		return d, false
	}
	return by.Draft("camera.changed", role, c.ID,
		map[string]any{"what": what, "days": c.Policy.Days, "custody": c.Custody},
		part("before", cameraOwner(c.ID), old), part("after", cameraOwner(c.ID), c)), true
}

// Differing names the JSON fields in which two cameras differ.
func Differing(a, b footage.Camera) []string {
	var out []string
	va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range va.NumField() {
		if !reflect.DeepEqual(va.Field(i).Interface(), vb.Field(i).Interface()) {
			name, _, _ := strings.Cut(va.Type().Field(i).Tag.Get("json"), ",")
			out = append(out, name)
		}
	}
	return out
}
