package nvr

import (
	"maps"
	"slices"
	"time"

	"campuskeep/firmware/nvr/driver"
	"campuskeep/firmware/site"
	"campuskeep/shared/footage"
)

// Overview is an NVR of the register with what is known of it.
type Overview struct {
	Device
	Rev     uint64 // of its row
	State   State
	Behind  []Behind      // cameras by channel
	Work    Work          // the last that somebody asked for; zero Since: none
	Fetches []FetchStatus // newest first; of [Registry.NVR] alone, as what follows
	Access  AccessList    // zero Read: it was never read
	Loose   []string      // cameras that an NVR should keep and that are on none
	Depend  []Dependent   // cameras in service that need it
	Left    []Dependent   // cameras behind it that are out of service
	Kept    []KeptThere
}

// Behind is one camera on a channel of an NVR.
type Behind struct {
	Camera  string
	Channel driver.Channel // the number alone when the NVR does not list it
	Report  Report
}

// Seen says whether a check has looked at the camera.
func (b Behind) Seen() bool { return !b.Report.Attestation.At.IsZero() }

// FetchStatus is a fetch with what its running playback has brought so far.
type FetchStatus struct {
	Fetch
	Running bool
}

// Status is a code for how far it is: queued, running, waiting (for the next try), failed, partial, done.
func (f FetchStatus) Status() string { return fetchStatus(f.State, f.Running, f.Next) }

// Status is a code as [FetchStatus.Status].
func (p Progress) Status() string { return fetchStatus(p.State, p.Running, p.Next) }

func fetchStatus(s FetchState, running bool, next time.Time) string {
	switch {
	case s != FetchWaiting:
		return string(s)
	case running:
		return "running"
	case !next.IsZero():
		return "waiting"
	}
	return "queued"
}

// Dependent is a camera behind an NVR: Recorded by the appliance through it, or kept by it.
type Dependent struct {
	Camera   string
	Recorded bool
}

// KeptThere is what an NVR alone holds of a camera and has to be kept until an instant.
type KeptThere struct {
	Camera string
	Span   footage.Span
	Until  time.Time
}

// Unregistered lists the channels that the NVR has and the register does not.
func (o Overview) Unregistered() []driver.Channel {
	return slices.DeleteFunc(slices.Clone(o.State.Channels), func(c driver.Channel) bool { return o.Cameras[c.ID] != "" })
}

// Earlier lists the channels that cameras were on before.
func (d Device) Earlier() []ChannelAssignment {
	return slices.DeleteFunc(slices.Clone(d.Assignments), func(a ChannelAssignment) bool { return a.To.IsZero() })
}

// Registry is the register of NVRs together with that of cameras: a change that concerns both is one Change.
type Registry struct {
	*Supervisor
	site *site.Site
}

// NewRegistry joins the two registers.
func NewRegistry(s *Supervisor, cameras *site.Site) *Registry { return &Registry{s, cameras} }

// NVRs lists the register with the last checks.
func (r *Registry) NVRs() (out []Overview, _ error) {
	for _, d := range r.Devices() {
		o, err := r.overview(d)
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

// NVR gives one NVR with its fetches and what depends on it; ErrRetired when there is none of that id.
func (r *Registry) NVR(id string) (o Overview, err error) {
	d, ok := r.Device(id)
	if !ok {
		return o, ErrRetired
	}
	if o, err = r.overview(d); err != nil {
		return o, err
	}
	o.Depend, o.Left = r.dependents(d, false), r.dependents(d, true)
	for _, c := range r.site.Cameras() {
		if _, _, on := r.attachedTo(c.ID); c.Custody == footage.CustodyNVR && !c.Retired && !on {
			o.Loose = append(o.Loose, c.ID)
		}
	}
	kept, err := r.Kept(id)
	if err != nil {
		return o, err
	}
	for _, c := range r.site.Cameras() {
		if span, ok := kept[c.ID]; ok {
			o.Kept = append(o.Kept, KeptThere{Camera: c.ID, Span: span, Until: span.To.Add(c.Policy.Keep())})
		}
	}
	o.Fetches, err = r.fetchesFrom(id)
	return o, err
}

func (r *Registry) overview(d Device) (o Overview, err error) {
	o = Overview{Device: d, Rev: r.Revision(d.ID)}
	if o.State, _, err = r.State(d.ID); err != nil {
		return o, err
	}
	for _, channel := range slices.Sorted(maps.Keys(d.Cameras)) {
		b := Behind{Camera: d.Cameras[channel], Channel: driver.Channel{ID: channel}}
		if i := slices.IndexFunc(o.State.Channels, func(c driver.Channel) bool { return c.ID == channel }); i >= 0 {
			b.Channel = o.State.Channels[i]
		}
		if b.Report, _, err = r.Report(b.Camera); err != nil {
			return o, err
		}
		o.Behind = append(o.Behind, b)
	}
	o.Work, _ = r.Work(d.ID)
	o.Access, _, err = r.AccessList(d.ID)
	return o, err
}

// mostFetches of an NVR are listed.
const mostFetches = 50

func (r *Registry) fetchesFrom(id string) (out []FetchStatus, err error) {
	all, err := r.Fetches()
	if err != nil {
		return nil, err
	}
	for _, f := range slices.Backward(all) {
		if f.NVR != id || len(out) == mostFetches {
			continue
		}
		now, running := r.Now(f)
		out = append(out, FetchStatus{now, running})
	}
	return out, nil
}

// dependents are the cameras behind an NVR, in service or out of it.
func (r *Registry) dependents(d Device, retired bool) (out []Dependent) {
	for _, c := range r.site.Cameras() {
		if c.Retired == retired && d.Depends(c) {
			out = append(out, Dependent{Camera: c.ID, Recorded: c.Custody == footage.CustodyVault})
		}
	}
	return out
}
