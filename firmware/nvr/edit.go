package nvr

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"time"

	"campuskeep/firmware/nvr/driver"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/site"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
)

// Edit is what a person changes about an NVR of the register.
type Edit struct {
	Rev uint64 // of the row that the person saw
	// What is stated of the device. Only what an NVR itself does not tell is taken from it, and where it is reached.
	Device Device
	Login  site.Login // empty fields: as it is
	// Swap says that there is another machine behind the address; nil: it is the same.
	Swap *Swap
}

// Swap is the replacement of a machine.
type Swap struct {
	Reason string
	Disks  bool // its disks, with what was recorded, are in the new one
}

// Unanswered: the device did not answer as it has to, and nothing was changed.
type Unanswered struct {
	Fault  Fault
	Detail string
}

func (e *Unanswered) Error() string {
	return fmt.Sprintf("nvr: the device was asked before the change, and did not answer (%s): %s", e.Fault, e.Detail)
}

// OtherDevice: another machine answers than the one that was registered; nothing was changed, and nothing is judged by it.
type OtherDevice struct {
	Found, Was driver.Info
	Known      string // id of the NVR of the register that it is; empty: none
}

func (e *OtherDevice) Error() string {
	return fmt.Sprintf("nvr: %s %s answers, not %s %s", e.Found.Model, e.Found.Serial, e.Was.Model, e.Was.Serial)
}

// askTimeout is how long the device may take to say who it is before its row is changed.
const askTimeout = 10 * time.Second

// maxReason is the longest reason of a change.
const maxReason = 200

// Revision is that of an NVR's row, for [Edit.Rev] and its like.
func (r *Supervisor) Revision(id string) uint64 {
	d, _ := r.device(id)
	return d.rev
}

// Edit changes an NVR of the register (F1). When that touches how it is reached, the device is asked first who it is, with
// one password, once. Another machine than before is refused unless it is said to be one: then everything that was found
// out about the old one is void, and what went with it is entered. Errors: fielderr.Errors, *account.Refused,
// ledgerdb.ErrConflict, ErrRetired, *Unanswered, *OtherDevice.
func (r *Supervisor) Edit(ctx context.Context, by account.Who, id string, e Edit, commit Commit) error {
	role, old, err := r.editable(by, id, e.Rev)
	if err != nil {
		return err
	}
	if old.v.Retired {
		return ErrRetired
	}
	d := old.v
	d.Name, d.Place, d.Installer, d.Technician, d.Installed = e.Device.Name, e.Device.Place, e.Device.Installer, e.Device.Technician, e.Device.Installed
	d.Address, d.RTSP, d.Pin = e.Device.Address, e.Device.RTSP, e.Device.Pin
	login, typed, err := r.loginFor(old.v, d, e.Login)
	errs, ok := errors.AsType[fielderr.Errors](err)
	if err != nil && !ok {
		return err
	}
	if err := r.validate(d, typed); err != nil {
		errs = append(errs, err.(fielderr.Errors)...)
	}
	if e.Swap != nil {
		footage.CheckText(&errs, "reason", e.Swap.Reason, 1, maxReason)
	}
	if len(errs) > 0 {
		return errs
	}
	x := rowChange{old: old, d: d, login: typed, what: "nvr", target: Target{Device: d, Login: login}, commit: commit}
	if typed == nil && e.Swap == nil && d.Address == old.v.Address && d.RTSP == old.v.RTSP && d.Pin == old.v.Pin {
		if reflect.DeepEqual(d, old.v) {
			return nil
		}
		return r.commitRow(ctx, by, role, x, nil)
	}
	return r.exclusive(ctx, id, func() error {
		info, err := r.identify(ctx, x, e.Swap != nil)
		if err != nil || e.Swap == nil {
			if err == nil {
				err = r.commitRow(ctx, by, role, x, nil)
			}
			return err
		}
		return r.commitRow(ctx, by, role, x, func(x *rowChange) error { return r.swap(x, by, role, info, *e.Swap) })
	})
}

// editable gives the row that a person saw, for a change that the person may make under a role.
func (r *Supervisor) editable(by account.Who, id string, rev uint64) (role account.Role, old row[Device], err error) {
	if role, err = r.editor(by); err == nil {
		old, err = r.rowAt(id, rev)
	}
	return role, old, err
}

// rowAt gives the present row, if nobody has changed it since.
func (r *Supervisor) rowAt(id string, rev uint64) (row[Device], error) {
	old, ok := r.device(id)
	switch {
	case !ok:
		return old, ErrRetired
	case old.rev != rev:
		return old, fmt.Errorf("NVR %s: %w", id, ledgerdb.ErrConflict)
	}
	return old, nil
}

// commitRow writes a change, to which prepare adds what else becomes true with it.
func (r *Supervisor) commitRow(ctx context.Context, by account.Who, role account.Role, x rowChange, prepare func(*rowChange) error) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	if prepare != nil {
		if err := prepare(&x); err != nil {
			return err
		}
	}
	return r.write(ctx, by, role, x)
}

// loginFor gives the password to ask with, and typed, when it is another than the stored one. Like a camera's, a stored
// password goes only to where it went before: a person who may type an address could otherwise have it sent there.
func (r *Supervisor) loginFor(old, d Device, in site.Login) (login site.Login, typed *site.Login, err error) {
	var stored deviceLogin
	var rev uint64
	var s State
	err = r.o.Store.View(func(tx ledgerdb.Tx) (err error) {
		if stored, rev, _, err = logins.Get(tx, d.ID); err == nil {
			s, _, _, err = states.Get(tx, d.ID)
		}
		return err
	})
	if err != nil {
		return login, nil, fmt.Errorf("password of NVR %s: %w", d.ID, err)
	}
	login = stored.Login
	if in.User != "" {
		login.User = in.User
	}
	if in.Password != "" {
		login.Password = in.Password
	}
	if login != stored.Login {
		typed = &login
	}
	var errs fielderr.Errors
	switch {
	case in.Password != "":
	case !site.SameDevice(asCamera(old), asCamera(d)):
		errs.Add("password", "err.password_again")
	case s.Refused != 0 && s.Refused == rev && typed == nil && (d.Address != old.Address || d.RTSP != old.RTSP || d.Pin != old.Pin):
		errs.Add("password", "err.nvr_refused")
	}
	return login, typed, errs.Err()
}

// asCamera names where a password goes, for the rule that cameras are under.
func asCamera(d Device) footage.Camera {
	c := footage.Camera{Main: d.Address, Pin: d.Pin}
	if d.RTSP != "" {
		c.Sub = "rtsp://" + d.RTSP
	} else if u, err := url.Parse(d.Address); err == nil {
		c.Sub = "rtsp://" + u.Hostname()
	}
	return c
}

// identify asks a device for its identity before its row is changed, and refuses another one than is stated. The caller holds the slot.
func (r *Supervisor) identify(ctx context.Context, x rowChange, swapped bool) (driver.Info, error) {
	s, _, err := r.State(x.d.ID)
	if err != nil {
		return driver.Info{}, err
	}
	info, err := r.queryInfo(ctx, x.target)
	if err != nil {
		if errors.Is(err, driver.ErrRefused) && x.login == nil { // the stored one: nobody of us tries it again
			if err := r.refused(ctx, x.d.ID); err != nil {
				return info, err
			}
		}
		return info, &Unanswered{Fault: faultOf(err), Detail: detail(err)}
	}
	known, err := r.bySerial(info.Serial, x.d.ID)
	switch {
	case err != nil:
		return info, err
	case known != "":
		return info, &OtherDevice{Found: info, Was: s.Info, Known: known}
	case swapped && s.Info.Serial == info.Serial:
		return info, fielderr.Errors{{Field: "swap", Rule: "err.nvr_same", Args: []any{info.Serial}}}
	case !swapped && s.Info.Serial != "" && s.Info.Serial != info.Serial:
		return info, &OtherDevice{Found: info, Was: s.Info}
	}
	return info, nil
}

// queryInfo asks once, for a bounded time.
func (r *Supervisor) queryInfo(ctx context.Context, t Target) (info driver.Info, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	driver, err := r.Kind(t.Device).Open(t.connection())
	if err != nil {
		return info, err
	}
	defer func() { err = errors.Join(err, driver.Close()) }()
	return driver.Info(ctx)
}

// refused remembers that the stored password was refused. The caller holds the slot.
func (r *Supervisor) refused(ctx context.Context, id string) error {
	var rev uint64
	err := r.o.Store.View(func(tx ledgerdb.Tx) (err error) {
		_, rev, _, err = logins.Get(tx, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("password of NVR %s: %w", id, err)
	}
	return r.updateState(ctx, id, func(s *State) { s.Refused = rev })
}

// bySerial finds another NVR in service that is the same machine.
func (r *Supervisor) bySerial(serial, but string) (string, error) {
	for _, d := range r.Devices() {
		if d.ID == but || d.Retired {
			continue
		}
		s, _, err := r.State(d.ID)
		if err != nil {
			return "", err
		}
		if serial != "" && s.Info.Serial == serial {
			return d.ID, nil
		}
	}
	return "", nil
}

// swap adds to a change of a row that another machine is in its place.
func (r *Supervisor) swap(x *rowChange, by account.Who, role account.Role, info driver.Info, s Swap) error {
	x.what, x.reason = "nvr_swapped", s.Reason
	x.d.Swaps++
	x.target.Swaps++
	var lost map[string]footage.Span
	var err error
	if s.Disks { // what is missing nevertheless is found by the next check
		err = r.failFetches(x, x.d.ID, "gone")
	} else {
		lost, err = r.recordLoss(x, by, role, x.d.ID, "gone")
		x.d.Assignments = assignmentsAfter(x.d, lost)
	}
	if err != nil {
		return err
	}
	x.target.Device = x.d
	x.with.Puts = append(x.with.Puts, states.Put(x.d.ID, State{NVR: x.d.ID, Info: info}))
	x.with.Deletes = append(x.with.Deletes, accessLists.Delete(x.d.ID))
	return r.resetReports(&x.with, x.old.v, lost)
}

// assignmentsAfter are the assignments at a new machine: what it recorded while the old one did was of other cameras.
func assignmentsAfter(d Device, lost map[string]footage.Span) (out []ChannelAssignment) {
	for _, n := range sortedChannels(d.Cameras) {
		if camera := d.Cameras[n]; !lost[camera].To.IsZero() {
			out = append(out, ChannelAssignment{Camera: camera, Channel: n, From: lost[camera].To})
		}
	}
	return out
}

// Reassign changes which camera is on which channel, from an instant on; at zero the register was wrong, and it always was
// so. A camera on channel 0 is on none any more. The listings of the cameras that are moved are read again, and what was
// fetched from a channel that a camera was not on is set aside. Errors:
// fielderr.Errors with fields "channel.<camera>" and "since", *account.Refused, ledgerdb.ErrConflict, ErrRetired, *Unanswered.
func (r *Supervisor) Reassign(ctx context.Context, by account.Who, id string, rev uint64, channels map[string]int, at time.Time) error {
	role, old, err := r.editable(by, id, rev)
	if err != nil {
		return err
	}
	if old.v.Retired {
		return ErrRetired
	}
	next, err := r.checkChannels(old.v, channels)
	if err != nil {
		return err
	}
	if maps.Equal(next, old.v.Cameras) {
		return nil
	}
	if at.After(r.o.Clock.Now().Wall) {
		return fielderr.Errors{{Field: "since", Rule: "err.future"}}
	}
	d, after := old.v.reassign(next, at)
	if !after.IsZero() {
		return fielderr.Errors{{Field: "since", Rule: "err.nvr_since", Args: []any{after}}}
	}
	x := rowChange{old: old, d: d, what: "nvr_channels"}
	return r.exclusive(ctx, id, func() error {
		return r.commitRow(ctx, by, role, x, func(x *rowChange) error {
			var err error
			x.ended, err = r.setAside(by, role, old.v, d)
			return errors.Join(err, r.resetMoved(&x.with, old.v, d, at))
		})
	})
}

// resetMoved adds to a change that the reports of cameras that are on other channels now say no more than what stays true.
func (r *Supervisor) resetMoved(ch *ledgerdb.Change, old, d Device, at time.Time) error {
	for _, camera := range slices.Concat(old.everAssigned(), d.everAssigned()) {
		a, wasOn := old.channelOf(camera)
		b, isOn := d.channelOf(camera)
		if wasOn == isOn && a == b || slices.ContainsFunc(ch.Puts, func(p ledgerdb.Put) bool { return p.Key == camera }) {
			continue
		}
		rep, ok, err := r.Report(camera)
		switch {
		case err != nil:
			return err
		case !ok:
		case at.IsZero(): // it was about another camera
			rep = Report{Camera: camera, NVR: rep.NVR, Lost: rep.Lost, Resumed: rep.Resumed}
			ch.Puts = append(ch.Puts, reports.Put(camera, rep))
		default:
			ch.Puts = append(ch.Puts, reports.Put(camera, rep.carriedOver()))
		}
	}
	return nil
}

// checkChannels checks what a person states about channels.
func (r *Supervisor) checkChannels(d Device, channels map[string]int) (map[int]string, error) {
	s, _, err := r.State(d.ID)
	if err != nil {
		return nil, err
	}
	var errs fielderr.Errors
	next := map[int]string{}
	for _, camera := range slices.Sorted(maps.Keys(channels)) {
		n, field := channels[camera], "channel."+camera
		known := n >= 1 && n <= maxChannel && (d.Cameras[n] != "" || len(s.Channels) == 0 || slices.ContainsFunc(s.Channels, func(c driver.Channel) bool { return c.ID == n }))
		switch {
		case n == 0:
		case !known:
			errs.Add(field, "err.nvr_channel")
		case next[n] != "":
			errs.Add(field, "err.nvr_channel_twice", n, next[n])
		default:
			next[n] = camera
		}
	}
	for n, camera := range d.Cameras { // anyone who is not mentioned stays
		if _, stated := channels[camera]; stated {
			continue
		}
		if next[n] != "" {
			errs.Add("channel."+next[n], "err.nvr_channel_twice", n, camera)
			continue
		}
		next[n] = camera
	}
	d.Cameras = next
	var bad fielderr.Errors
	r.validateCameras(&bad, d, nil)
	for _, e := range bad {
		if len(e.Args) == 1 {
			e.Field = fmt.Sprintf("channel.%v", e.Args[0])
		}
		errs = append(errs, e)
	}
	return next, errs.Err()
}

// Retire takes an NVR out of service: nobody asks it any more. What it holds and has to be kept goes with it, as a
// breach each. cameras are those that commit takes out of service in the same change; every other one in service that
// is behind the NVR keeps it there. Errors: fielderr.Errors, *account.Refused, ledgerdb.ErrConflict, ErrRetired,
// *Unanswered.
func (r *Supervisor) Retire(ctx context.Context, by account.Who, id string, rev uint64, reason string, cameras []string, commit Commit) error {
	return r.service(ctx, by, id, rev, reason, true, cameras, commit)
}

// Restore takes an NVR back into service, with cameras that commit brings back in the same change. Errors as Retire.
func (r *Supervisor) Restore(ctx context.Context, by account.Who, id string, rev uint64, reason string, commit Commit) error {
	return r.service(ctx, by, id, rev, reason, false, nil, commit)
}

func (r *Supervisor) service(ctx context.Context, by account.Who, id string, rev uint64, reason string, retired bool, cameras []string, commit Commit) error {
	role, old, err := r.editable(by, id, rev)
	if err != nil {
		return err
	}
	if old.v.Retired == retired {
		return ErrRetired
	}
	d := old.v
	d.Retired = retired
	var errs fielderr.Errors
	footage.CheckText(&errs, "reason", reason, 1, maxReason)
	if retired {
		r.needed(&errs, d, cameras)
	} else {
		r.validateCameras(&errs, d, nil)
	}
	if len(errs) > 0 {
		return errs
	}
	x := rowChange{old: old, d: d, what: "nvr_restored", reason: reason, target: Target{Device: d}, commit: commit}
	return r.exclusive(ctx, id, func() error {
		if !retired {
			return r.commitRow(ctx, by, role, x, nil)
		}
		x.what = "nvr_retired"
		return r.commitRow(ctx, by, role, x, func(x *rowChange) error {
			lost, err := r.recordLoss(x, by, role, id, "retired")
			if err != nil {
				return err
			}
			return r.noteLoss(&x.with, lost)
		})
	})
}

// needed refuses to retire an NVR on which cameras in service depend that stay in service.
func (r *Supervisor) needed(errs *fielderr.Errors, d Device, going []string) {
	for _, c := range r.o.Cameras() {
		if _, on := d.channelOf(c.ID); on && !c.Retired && !slices.Contains(going, c.ID) {
			errs.Add("cameras", "err.nvr_needed", c.Name)
		}
	}
}

// noteLoss notes in the reports what went with an NVR.
func (r *Supervisor) noteLoss(ch *ledgerdb.Change, lost map[string]footage.Span) error {
	for camera, s := range lost {
		rep, ok, err := r.Report(camera)
		if err != nil {
			return err
		}
		if ok {
			rep.addLoss(s)
			ch.Puts = append(ch.Puts, reports.Put(camera, rep))
		}
	}
	return nil
}
