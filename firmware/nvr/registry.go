package nvr

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/nvr/driver"
	"campuskeep/firmware/site"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
)

// Edit changes an NVR as [Supervisor.Edit] does, and in the same Change the addresses and passwords of the cameras that
// are recorded through it.
func (r *Registry) Edit(ctx context.Context, by account.Who, id string, e Edit) error {
	old, ok := r.Device(id)
	if !ok {
		return ErrRetired
	}
	login := e.Login != site.Login{}
	return r.Supervisor.Edit(ctx, by, id, e, func(ctx context.Context, ch ledgerdb.Change, t Target) (ledgerdb.Receipt, error) {
		if !login && old.SameHosts(t.Device) {
			return r.o.Store.Commit(ctx, ch)
		}
		return r.site.PutCamerasWith(ctx, by, r.moved(old, t), ch)
	})
}

// moved are the cameras that are recorded through an NVR, as they have to be when it is reached otherwise.
func (r *Registry) moved(old Device, t Target) (list []site.CameraPut) {
	for _, c := range r.site.Cameras() {
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

// Retire takes an NVR out of service as [Supervisor.Retire] does, with the cameras that the person was shown. One that
// has come since is not taken along unseen.
func (r *Registry) Retire(ctx context.Context, by account.Who, id string, rev uint64, reason string, cameras []string) error {
	d, ok := r.Device(id)
	if !ok {
		return ErrRetired
	}
	var list []site.CameraPut
	var errs fielderr.Errors
	for _, x := range r.dependents(d, false) {
		c, _ := r.site.Camera(x.Camera)
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
	return r.Supervisor.Retire(ctx, by, id, rev, reason, cameras, r.beside(by, list))
}

// Restore takes an NVR back into service as [Supervisor.Restore] does, with those of its cameras that are named.
func (r *Registry) Restore(ctx context.Context, by account.Who, id string, rev uint64, reason string, cameras []string) error {
	d, ok := r.Device(id)
	if !ok {
		return ErrRetired
	}
	var list []site.CameraPut
	for _, id := range cameras {
		c, ok := r.site.Camera(id)
		if !ok || !c.Retired || !d.Depends(c) {
			return fielderr.Errors{{Field: "cameras", Rule: "err.camera_unknown", Args: []any{id}}}
		}
		c.Retired = false
		list = append(list, site.CameraPut{Camera: c})
	}
	return r.Supervisor.Restore(ctx, by, id, rev, reason, r.beside(by, list))
}

// beside makes a change of an NVR true together with one of cameras.
func (r *Registry) beside(by account.Who, list []site.CameraPut) Commit {
	return func(ctx context.Context, ch ledgerdb.Change, _ Target) (ledgerdb.Receipt, error) {
		return r.site.PutCamerasWith(ctx, by, list, ch)
	}
}

// Candidate is a channel of an NVR that is not registered yet.
type Candidate struct {
	driver.Channel
	Main, Sub driver.Stream // zero ID: the NVR does not describe it
	Track     driver.Track  // of its main stream
}

// Discovered is a discovery with what the register needs of it.
type Discovered struct {
	Discovery
	Candidates []Candidate
	Registered string // id of an NVR in service with this serial number
}

// Discovered gives the state of a person's discovery; ErrNoDiscovery when the person has none of that id.
func (r *Registry) Discovered(by account.Who, id string) (out Discovered, err error) {
	if out.Discovery, err = r.Discovery(by, id); err != nil {
		return out, err
	}
	kind := r.Kind(out.Device)
	for _, c := range out.Found.Channels {
		x := Candidate{Channel: c}
		for _, s := range c.Streams {
			switch s.ID {
			case kind.Stream(c.ID, 1):
				x.Main = s
			case kind.Stream(c.ID, 2):
				x.Sub = s
			}
		}
		if i := slices.IndexFunc(out.Found.Tracks, func(t driver.Track) bool { return t.ID == kind.Track(c.ID) }); i >= 0 {
			x.Track = out.Found.Tracks[i]
		}
		out.Candidates = append(out.Candidates, x)
	}
	out.Registered, err = r.bySerial(out.Found.Info.Serial, "")
	return out, err
}

// Plan is what an installer registers of a discovered NVR.
type Plan struct {
	Name, Place, Installer, Technician, Installed string
	Cameras                                       []Choice
}

// Choice is what becomes of one channel. Stream is what the appliance records: 1 the main stream, 2 the smaller one.
type Choice struct {
	Channel, Stream int
	Camera          footage.Camera
}

// Adopt registers a discovered NVR with its cameras, in one Change, and gives its id. Of cameras at fault it gives
// site.RowErrors.
func (r *Registry) Adopt(ctx context.Context, by account.Who, discovery string, p Plan) (id string, err error) {
	l, err := r.Discovery(by, discovery)
	if err != nil {
		return "", err
	}
	login, err := r.Login(by, discovery)
	if err != nil {
		return "", err
	}
	d := l.Device
	d.ID, d.Name, d.Place, d.Installer, d.Technician, d.Installed = r.freeID(), p.Name, p.Place, p.Installer, p.Technician, p.Installed
	d.Cameras = map[int]string{}
	var list []site.CameraPut
	var coming []footage.Camera
	for _, c := range p.Cameras {
		put := site.CameraPut{Camera: c.Camera, New: true}
		if c.Camera.Custody == footage.CustodyNVR {
			d.Cameras[c.Channel] = c.Camera.ID
		} else {
			put.Camera.Main = r.LiveURL(d, c.Channel, max(1, c.Stream))
			put.Login = &login
		}
		list = append(list, put)
		coming = append(coming, put.Camera)
	}
	return d.ID, r.Register(ctx, by, discovery, d, coming, r.beside(by, list))
}

// freeID is the first id that no NVR has.
func (r *Registry) freeID() string {
	for i := 1; ; i++ {
		id := fmt.Sprintf("n%02d", i)
		if _, taken := r.Device(id); !taken {
			return id
		}
	}
}

// StartDiscovery asks as [Supervisor.StartDiscovery] does an NVR of which only the address is known: without a driver it
// is taken for one of the first kind.
func (r *Registry) StartDiscovery(by account.Who, d Device, login site.Login) (string, error) {
	d.ID, d.Name = "new", "new" // until it is registered
	if d.Driver == "" {
		d.Driver = slices.Min(slices.Collect(maps.Keys(r.o.Drivers)))
	}
	return r.Supervisor.StartDiscovery(by, d, login)
}
