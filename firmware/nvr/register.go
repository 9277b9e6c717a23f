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

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/site"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
)

var (
	idForm  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,15}$`)
	pinForm = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)
)

// Commit makes a change of the register true, alone or together with what another package adds to it. t is the NVR as
// it will be, with its password. The receipt's revisions are those of the change that was given.
type Commit func(ctx context.Context, ch ledgerdb.Change, t Target) (ledgerdb.Receipt, error)

// Put registers or changes an NVR (F1). login nil leaves the password as it is; a new one ends a refusal. Errors:
// fielderr.Errors, *account.Refused.
func (r *Supervisor) Put(ctx context.Context, by account.Who, d Device, login *site.Login) error {
	return r.put(ctx, by, d, login, nil, nil)
}

// put is [Supervisor.Put] for cameras that are registered in the same change.
func (r *Supervisor) put(ctx context.Context, by account.Who, d Device, login *site.Login, coming []footage.Camera, commit Commit) error {
	role, err := r.editor(by)
	if err != nil {
		return err
	}
	if err := r.validate(d, login, coming...); err != nil {
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
	x := rowChange{old: old, d: d, login: login, what: "nvr", commit: commit}
	return r.write(ctx, by, role, x)
}

// editor says in which role somebody may change the register.
func (r *Supervisor) editor(by account.Who) (account.Role, error) {
	if by.IsSystem() {
		return "", nil
	}
	may := account.May(by.Actor, account.ActNVRsEdit, account.Subject{}, r.o.Clock.Now().Wall)
	return may.Role, may.Err(account.ActNVRsEdit)
}

// rowChange is a change of one NVR of the register, with what belongs to it.
type rowChange struct {
	old    row[Device] // rev 0: it is new
	d      Device
	login  *site.Login // nil: as it is
	what   string      // code in the entry
	reason string      // sealed beside it; may be empty
	with   ledgerdb.Change
	ended  []ledgerdb.Change // one for each fetch that is over with it
	target Target            // for commit
	commit Commit            // nil: alone
}

// write commits a change and takes it into memory. The caller holds writing.
func (r *Supervisor) write(ctx context.Context, by account.Who, role account.Role, x rowChange) error {
	id := x.d.ID
	parts := []ledger.Part{sealed("after", id, x.d)}
	if x.old.rev > 0 {
		parts = append(parts, sealed("before", id, x.old.v))
	}
	if x.reason != "" {
		parts = append(parts, ledger.Part{Name: "reason", Owner: owner(id), Plain: []byte(x.reason)})
	}
	ch := ledgerdb.Change{
		Puts:    []ledgerdb.Put{devices.PutRev(id, x.d, x.old.rev)},
		Entries: []ledger.Draft{by.Draft("config.change", role, owner(id), map[string]any{"what": x.what, "key": id}, parts...)},
	}
	if x.login != nil {
		ch.Puts = append(ch.Puts, logins.Put(id, deviceLogin{NVR: id, Login: *x.login}))
		ch.Entries = append(ch.Entries, by.Draft("config.change", role, owner(id), map[string]any{"what": "nvr_login", "key": id}))
	}
	join(&ch, x.with)
	last, err := r.endMany(ctx, x)
	if err != nil {
		return err
	}
	join(&ch, last...)
	commit := x.commit
	if commit == nil {
		commit = func(ctx context.Context, ch ledgerdb.Change, _ Target) (ledgerdb.Receipt, error) {
			return r.o.Store.Commit(ctx, ch)
		}
	}
	rc, err := commit(ctx, ch, x.target)
	if err != nil {
		return fmt.Errorf("change NVR %s: %w", id, err)
	}
	r.invalidate()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.devices[id] = row[Device]{x.d, rc.Revs[0]}
	if l := r.connections[id]; l != nil {
		l.stale.Store(true)
	}
	r.wakeLocked()
	return nil
}

// endsAtOnce is how many fetches end in one Change, with two rows each.
const endsAtOnce = 512

// endMany ends the fetches that are over with a change of an NVR, of however many, and gives the last of them, which go
// into the Change of the NVR's row: as a rule all. Those before are over first: after a cut between them the register is
// as it was, and the next change of it ends the rest; footage of a wrong channel is never shown.
func (r *Supervisor) endMany(ctx context.Context, x rowChange) (last []ledgerdb.Change, err error) {
	for last = x.ended; len(last) > endsAtOnce; last = last[endsAtOnce:] {
		part := ledgerdb.Change{Require: []ledgerdb.Require{devices.Require(x.d.ID, x.old.rev)}}
		join(&part, last[:endsAtOnce]...)
		_, err := r.o.Store.Commit(ctx, part)
		r.invalidate()
		if err != nil {
			return nil, fmt.Errorf("end the fetches from NVR %s: %w", x.d.ID, err)
		}
	}
	return last, nil
}

// join adds the rows and entries of changes to a change.
func join(ch *ledgerdb.Change, more ...ledgerdb.Change) {
	for _, c := range more {
		ch.Puts, ch.Deletes, ch.Entries = append(ch.Puts, c.Puts...), append(ch.Deletes, c.Deletes...), append(ch.Entries, c.Entries...)
	}
}

func (r *Supervisor) validate(d Device, login *site.Login, coming ...footage.Camera) error {
	var e fielderr.Errors
	if !idForm.MatchString(d.ID) {
		e.Add("id", "err.id")
	}
	footage.CheckText(&e, "name", d.Name, 1, 64)
	footage.CheckText(&e, "place", d.Place, 0, 64)
	footage.CheckText(&e, "installer", d.Installer, 0, 128)
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
	r.validateCameras(&e, d, coming)
	if login != nil {
		footage.CheckText(&e, "user", login.User, 1, 64)
		footage.CheckText(&e, "password", login.Password, 1, 128)
	}
	return e.Err()
}

// maxChannel is the highest number of a channel.
const maxChannel = 1024

// validateCameras: each camera is assigned one channel of one NVR. Cameras that are coming are registered with it.
func (r *Supervisor) validateCameras(e *fielderr.Errors, d Device, coming []footage.Camera) {
	all := slices.Concat(r.o.Cameras(), coming)
	var ids []string
	for channel, id := range d.Cameras {
		if channel < 1 || channel > maxChannel {
			e.Add("cameras", "err.range", 1, maxChannel)
		}
		if slices.Contains(ids, id) {
			e.Add("cameras", "err.nvr_camera_twice", id)
		}
		ids = append(ids, id)
		if !slices.ContainsFunc(all, func(c footage.Camera) bool { return c.ID == id }) {
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

func sealed(name, nvr string, v any) ledger.Part {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("nvr: %s does not marshal: %v", name, err)) // a fault of the type, not of the data
	}
	return ledger.Part{Name: name, Owner: owner(nvr), Plain: b}
}
