package appliance

import (
	"campuskeep/firmware/web/frame"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/nvr/driver"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/nvr"
	"campuskeep/firmware/site"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
)

// How a registered NVR is changed and taken out of service, together with the cameras that depend on it.

// moved are the cameras that are recorded through an NVR, as they have to be when it is reached otherwise.
func (n nvrs) moved(old nvr.Device, t nvr.Target) (list []site.CameraPut) {
	for _, c := range n.a.Site.Cameras() {
		if !old.RecordsThrough(c) {
			continue
		}
		next := c
		for _, s := range []*string{&next.Main, &next.Sub, &next.Still} {
			if at := old.MoveAddress(*s, t.Device); at != "" {
				*s = at
			}
		}
		list = append(list, site.CameraPut{Camera: next, Login: &t.Login})
	}
	return list
}

// Edit changes an NVR, and in the same Change the cameras that are recorded through it.
func (n nvrs) Edit(ctx context.Context, by account.Who, id string, e frame.NVREdit) error {
	old, ok := n.row(id)
	if !ok {
		return frame.ErrNoNVR
	}
	edit := nvr.Edit{Rev: e.Rev, Login: e.Login, Device: nvr.Device{Name: e.Name, Place: e.Place, Address: e.Address, RTSP: e.RTSP, Pin: e.Pin,
		Installer: e.Installer, Technician: e.Technician, Installed: e.Installed}}
	if e.Swapped {
		edit.Swap = &nvr.Swap{Reason: e.Reason, Disks: e.Disks}
	}
	login := e.Login != site.Login{}
	return nvrFault(n.a.NVR.Edit(ctx, by, id, edit, func(ctx context.Context, ch ledgerdb.Change, t nvr.Target) (ledgerdb.Receipt, error) {
		if !login && old.SameHosts(t.Device) {
			return n.a.Store.Commit(ctx, ch)
		}
		return n.a.Site.PutCamerasWith(ctx, by, n.moved(old, t), ch)
	}))
}

func (n nvrs) Rewire(ctx context.Context, by account.Who, id string, rev uint64, channels map[string]int, since time.Time) error {
	return nvrFault(n.a.NVR.Reassign(ctx, by, id, rev, channels, since))
}

// Retire takes an NVR out of service with the cameras that the person was shown. One that has come since is not taken
// along unseen.
func (n nvrs) Retire(ctx context.Context, by account.Who, id string, rev uint64, reason string, cameras []string) error {
	d, ok := n.row(id)
	if !ok {
		return frame.ErrNoNVR
	}
	var list []site.CameraPut
	var errs fielderr.Errors
	for _, x := range n.dependents(d) {
		c, _ := n.a.Site.Camera(x.Camera)
		if !slices.Contains(cameras, c.ID) {
			errs.Add("cameras", "err.nvr_needed", c.Name)
			continue
		}
		c.Retired = true
		list = append(list, site.CameraPut{Camera: c})
	}
	if len(errs) > 0 {
		return errs
	}
	return nvrFault(n.a.NVR.Retire(ctx, by, id, rev, reason, cameras, n.beside(by, list)))
}

// Restore takes it back into service, with those of its cameras that are named.
func (n nvrs) Restore(ctx context.Context, by account.Who, id string, rev uint64, reason string, cameras []string) error {
	d, ok := n.row(id)
	if !ok {
		return frame.ErrNoNVR
	}
	var list []site.CameraPut
	for _, id := range cameras {
		c, ok := n.a.Site.Camera(id)
		if !ok || !c.Retired || !d.Depends(c) {
			return fielderr.Errors{{Field: "cameras", Rule: "err.camera_unknown", Args: []any{id}}}
		}
		c.Retired = false
		list = append(list, site.CameraPut{Camera: c})
	}
	return nvrFault(n.a.NVR.Restore(ctx, by, id, rev, reason, n.beside(by, list)))
}

func (n nvrs) row(id string) (nvr.Device, bool) {
	all := n.a.NVR.Devices()
	if i := slices.IndexFunc(all, func(d nvr.Device) bool { return d.ID == id }); i >= 0 {
		return all[i], true
	}
	return nvr.Device{}, false
}

// dependents are the cameras in service behind an NVR.
func (n nvrs) dependents(d nvr.Device) []frame.NVRDependent { return n.attached(d, false) }

func (n nvrs) attached(d nvr.Device, retired bool) (out []frame.NVRDependent) {
	for _, c := range n.a.Site.Cameras() {
		if c.Retired == retired && d.Depends(c) {
			out = append(out, frame.NVRDependent{Camera: c.ID, Recorded: c.Custody == footage.CustodyVault})
		}
	}
	return out
}

// service adds what the pages for changing an NVR show.
func (n nvrs) service(d nvr.Device, s nvr.State, out *frame.NVR) error {
	out.Depend, out.Left = n.dependents(d), n.attached(d, true)
	for _, c := range s.Channels {
		out.Channels = append(out.Channels, frame.NVRPlug{Channel: c.ID, Name: c.Name})
	}
	for _, c := range n.a.Site.Cameras() {
		if c.Custody == footage.CustodyNVR && !c.Retired && !n.onAny(c.ID) {
			out.Loose = append(out.Loose, c.ID)
		}
	}
	for _, w := range d.Assignments {
		if !w.To.IsZero() {
			out.Wires = append(out.Wires, frame.NVRWire{Camera: w.Camera, Channel: w.Channel, From: w.From, To: w.To})
		}
	}
	kept, err := n.a.NVR.Kept(d.ID)
	if err != nil {
		return err
	}
	for _, c := range n.a.Site.Cameras() {
		if span, ok := kept[c.ID]; ok {
			out.Kept = append(out.Kept, frame.NVRKept{Camera: c.ID, Span: span, Until: span.To.Add(c.Policy.Keep())})
		}
	}
	return nil
}

func (n nvrs) onAny(camera string) bool {
	for _, d := range n.a.NVR.Devices() {
		for _, id := range d.Cameras {
			if id == camera && !d.Retired {
				return true
			}
		}
	}
	return false
}

// nvrFault says in the words of the office why an NVR was not changed.
func nvrFault(err error) error {
	if errors.Is(err, nvr.ErrRetired) {
		return frame.ErrNoNVR
	}
	if x, ok := errors.AsType[*nvr.Unanswered](err); ok {
		return &frame.NVRRefusal{Fault: string(x.Fault), Detail: x.Detail}
	}
	if x, ok := errors.AsType[*nvr.OtherDevice](err); ok {
		return &frame.NVRRefusal{Fault: string(nvr.FaultOther), Found: tellInfo(x.Found), Was: tellInfo(x.Was), Known: x.Known}
	}
	return err
}

func tellInfo(i driver.Info) string { return strings.TrimSpace(i.Model + " " + i.Serial) }
