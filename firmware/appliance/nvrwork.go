package appliance

import (
	"campuskeep/firmware/web/frame"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/nvr/driver"
	"campuskeep/firmware/nvr/nvrtime"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/nvr"
	"campuskeep/firmware/nvr/hikvision"
	"campuskeep/firmware/site"
	"campuskeep/firmware/usage"
	"campuskeep/firmware/vault"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
)

// drivers are the NVRs that the box can talk to, by the name that is in the register.
var drivers = map[string]driver.Kind{"hikvision": hikvision.Kind}

// openNVRs opens the room of the NVRs, before everything that reads footage.
func (a *Appliance) openNVRs() (err error) {
	a.NVR, err = nvr.Open(nvr.Options{Store: a.Store, Vault: a.Vault, Clock: a.Timekeeper, Cameras: a.Site.Cameras, Drivers: drivers,
		Anchor: a.Timekeeper.AddAnchor, Places: a.placeTable, Zone: a.zone, Log: a.log})
	return err
}

// followNVRs makes the clocks of the NVRs witnesses of the time, as they come and go, when the configuration declares
// them a source.
func (a *Appliance) followNVRs(ctx context.Context) error {
	declared := slices.Contains(a.Config.Clock.Sources, "nvr")
	asked := map[string]string{} // by NVR, the source's name
	for {
		changed := a.NVR.Changed()
		now := map[string]bool{}
		for _, d := range a.NVR.Devices() {
			if now[d.ID] = declared && !d.Retired; now[d.ID] && asked[d.ID] == "" {
				s := a.NVR.TimeSource(d.ID, a.Timekeeper.Mono)
				a.Timekeeper.AddSource(s)
				asked[d.ID] = s.Name()
			}
		}
		for id, name := range asked {
			if !now[id] {
				a.Timekeeper.RemoveSource(name)
				delete(asked, id)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// liveSource gives live pictures from anyone who receives them: of cameras that an NVR keeps, the NVR.
type liveSource struct{ a *Appliance }

func (l liveSource) Tail(camera string) (<-chan vault.LiveFragment, func()) {
	if c, ok := l.a.Site.Camera(camera); ok && c.Custody == footage.CustodyNVR {
		return l.a.NVR.Tail(camera)
	}
	return l.a.recorder.Tail(camera)
}

// fetcher is the NVRs as evidence sees them.
type fetcher struct{ *nvr.Supervisor }

func (f fetcher) Fetch(ctx context.Context, by account.Who, camera string, span footage.Span, ground string, again bool) error {
	return f.EnsureFetched(ctx, by, camera, span, ground, again)
}

func (f fetcher) Fetching(camera string, span footage.Span) (usage.Fetching, bool, error) {
	p, ok, err := f.Progress(camera, span)
	out := usage.Fetching{State: fetchState(p.State, p.Running, p.Next), Percent: p.Percent, Reason: p.Reason, Next: p.Next, Ahead: p.Ahead, Left: p.Left}
	return out, ok, err
}

func fetchState(s nvr.FetchState, running bool, next time.Time) string {
	switch {
	case s != nvr.FetchWaiting:
		return string(s)
	case running:
		return "running"
	case !next.IsZero():
		return "waiting"
	}
	return "queued"
}

// nvrs is the NVRs as the office page sees them.
type nvrs struct{ a *Appliance }

func (n nvrs) NVRs() ([]frame.NVR, error) {
	var out []frame.NVR
	for _, d := range n.a.NVR.Devices() {
		x, err := n.tell(d, false)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

func (n nvrs) NVR(id string) (frame.NVR, error) {
	for _, d := range n.a.NVR.Devices() {
		if d.ID == id {
			return n.tell(d, true)
		}
	}
	return frame.NVR{}, frame.ErrNoNVR
}

func (n nvrs) NVRName(id string) (string, bool) {
	for _, d := range n.a.NVR.Devices() {
		if d.ID == id {
			return d.Name, true
		}
	}
	return "", false
}

// tell gathers what is known of an NVR; for a list, not all of it.
func (n nvrs) tell(d nvr.Device, all bool) (frame.NVR, error) {
	room := n.a.NVR
	out := frame.NVR{ID: d.ID, Rev: room.Revision(d.ID), Name: d.Name, Place: d.Place, Address: d.Address, RTSP: d.RTSP, Pin: d.Pin, Installer: d.Installer, Technician: d.Technician,
		Installed: d.Installed, Retired: d.Retired}
	s, _, err := room.State(d.ID)
	if err != nil {
		return out, err
	}
	out.Model, out.Serial, out.Firmware = s.Info.Model, s.Info.Serial, s.Info.Firmware
	out.Checked, out.Tried, out.Fault, out.FaultSince, out.NoLog = s.Checked, s.Tried, string(s.Fault), s.Since, s.NoLog
	if c := s.Calibration; !c.At.IsZero() {
		out.Clock = frame.NVRClock{At: c.At, Known: c.Known, Offset: c.Offset, Error: c.Error, Zone: c.ZoneText,
			List: string(c.Search), Playback: string(c.Play), Log: string(c.Log), FalseZ: c.FalseZ, BadZone: c.BadZone, Told: c.PlayStated}
		if z, err := nvrtime.ParseZone(c.ZoneText); err == nil {
			out.Clock.East = z.East
		}
	}
	for _, channel := range slices.Sorted(maps.Keys(d.Cameras)) {
		c, err := n.camera(s, d.Cameras[channel], channel)
		if err != nil {
			return out, err
		}
		out.Cameras = append(out.Cameras, c)
	}
	for _, c := range s.Channels {
		if d.Cameras[c.ID] == "" {
			out.Others = append(out.Others, fmt.Sprintf("%d %s", c.ID, c.Name))
		}
	}
	if w, ok := room.Work(d.ID); ok {
		out.Work = &frame.NVRWork{What: w.What, Since: w.Since, Ended: w.Ended, Camera: w.Camera, Done: w.Done, Of: w.Of, Fault: string(w.Fault), Detail: w.Detail}
	}
	l, ok, err := room.AccessList(d.ID)
	if err != nil {
		return out, err
	}
	if ok {
		out.PathsRead, out.PathsSigned, out.PathsBefore, out.SignedBy = l.Read, l.Signed, l.Previous, l.ByName
	}
	if !all {
		return out, nil
	}
	if err := n.service(d, s, &out); err != nil {
		return out, err
	}
	out.Fetches, err = n.fetches(d.ID)
	return out, err
}

func (n nvrs) camera(s nvr.State, camera string, channel int) (frame.NVRCamera, error) {
	out := frame.NVRCamera{Camera: camera, Channel: channel}
	if i := slices.IndexFunc(s.Channels, func(c driver.Channel) bool { return c.ID == channel }); i >= 0 {
		out.Name, out.Online, out.Streams = s.Channels[i].Name, s.Channels[i].Online, streams(s.Channels[i].Streams)
	}
	r, ok, err := n.a.NVR.Report(camera)
	if err != nil || !ok {
		return out, err
	}
	out.Seen, out.Found = !r.Attestation.At.IsZero(), r.Attestation
	out.Keep, out.KeepOn, out.Asked, out.Result = r.Expiry.Keep, r.Expiry.On, r.Expiry.Asked, r.Expiry.Found
	return out, nil
}

func streams(list []driver.Stream) (out []frame.NVRStream) {
	for _, s := range list {
		out = append(out, frame.NVRStream{ID: s.ID, W: s.W, H: s.H, MilFr: s.MilFr, Kbps: s.Kbps, GOP: s.GOP, Codec: s.Codec})
	}
	return out
}

// mostFetches of an NVR are on its page.
const mostFetches = 50

func (n nvrs) fetches(id string) (out []frame.NVRFetch, err error) {
	all, err := n.a.NVR.Fetches()
	if err != nil {
		return nil, err
	}
	slices.Reverse(all)
	for _, f := range all {
		if f.NVR != id || len(out) == mostFetches {
			continue
		}
		f, running := n.a.NVR.Now(f)
		out = append(out, frame.NVRFetch{ID: f.ID, Camera: f.Camera, Ground: f.Ground, Span: f.Span, State: fetchState(f.State, running, f.Next), Reason: f.Reason,
			Percent: f.Percent(), Running: running, Bytes: f.Bytes, Asked: f.Asked, Next: f.Next, Ended: f.Ended})
	}
	return out, nil
}

func (n nvrs) Begin(by account.Who, id, what string) error {
	err := n.a.NVR.Begin(by, id, what)
	if errors.Is(err, nvr.ErrRetired) {
		return frame.ErrNoNVR
	}
	return err
}

func (n nvrs) Look(by account.Who, ask frame.NVRAsk) (string, error) {
	d := nvr.Device{ID: "new", Name: "new", Driver: "hikvision", Address: strings.TrimRight(ask.Address, "/"), RTSP: ask.RTSP, Pin: ask.Pin}
	return n.a.NVR.StartDiscovery(by, d, ask.Login)
}

func (n nvrs) Looked(by account.Who, id string) (frame.NVRLook, error) {
	l, err := n.a.NVR.Discovery(by, id)
	if errors.Is(err, nvr.ErrNoDiscovery) {
		return frame.NVRLook{}, frame.ErrNoNVR
	}
	f := l.Found
	out := frame.NVRLook{Address: l.Device.Address, Step: l.Step, Fault: string(l.Fault), Detail: l.Detail, Model: f.Info.Model, Serial: f.Info.Serial,
		Firmware: f.Info.Firmware, Name: f.Info.Name, Zone: f.Zone, Known: f.Known, Offset: f.Offset}
	for _, c := range f.Channels {
		x := frame.NVRChannel{ID: c.ID, Name: c.Name, Address: c.Address, Online: c.Online, Streams: streams(c.Streams)}
		for _, t := range f.Tracks {
			if t.ID == n.a.NVR.Kind(l.Device).Track(c.ID) {
				x.Track, x.Keep, x.KeepOn = t.Enabled, t.Keep, t.Expires
			}
		}
		out.Channels = append(out.Channels, x)
	}
	out.Registered, err = n.known(f.Info.Serial)
	return out, err
}

// known finds an NVR of the register by its serial number.
func (n nvrs) known(serial string) (string, error) {
	if serial == "" {
		return "", nil
	}
	for _, d := range n.a.NVR.Devices() {
		s, _, err := n.a.NVR.State(d.ID)
		if err != nil {
			return "", err
		}
		if s.Info.Serial == serial && !d.Retired {
			return d.ID, nil
		}
	}
	return "", nil
}

// Adopt registers the NVR and its cameras in one Change.
func (n nvrs) Adopt(ctx context.Context, by account.Who, look string, plan frame.NVRPlan) (string, error) {
	l, err := n.a.NVR.Discovery(by, look)
	if errors.Is(err, nvr.ErrNoDiscovery) {
		return "", frame.ErrNoNVR
	}
	login, err := n.a.NVR.Login(by, look)
	if err != nil {
		return "", err
	}
	d := l.Device
	d.ID, d.Name, d.Place, d.Installer, d.Technician, d.Installed = n.free(), plan.Name, plan.Place, plan.Installer, plan.Technician, plan.Installed
	d.Cameras = map[int]string{}
	var list []site.CameraPut
	var coming []footage.Camera
	for _, c := range plan.Cameras {
		p := site.CameraPut{Camera: c.Camera, New: true}
		if c.Camera.Custody == footage.CustodyNVR {
			d.Cameras[c.Channel] = c.Camera.ID
		} else {
			p.Camera.Main = n.a.NVR.LiveURL(d, c.Channel, max(1, c.Stream))
			p.Login = &login
		}
		list = append(list, p)
		coming = append(coming, p.Camera)
	}
	return d.ID, n.a.NVR.Register(ctx, by, look, d, coming, n.beside(by, list))
}

// beside makes a change of an NVR true together with one of cameras.
func (n nvrs) beside(by account.Who, list []site.CameraPut) nvr.Commit {
	return func(ctx context.Context, ch ledgerdb.Change, _ nvr.Target) (ledgerdb.Receipt, error) {
		return n.a.Site.PutCamerasWith(ctx, by, list, ch)
	}
}

// free is the first id that no NVR has.
func (n nvrs) free() string {
	taken := map[string]bool{}
	for _, d := range n.a.NVR.Devices() {
		taken[d.ID] = true
	}
	for i := 1; ; i++ {
		if id := fmt.Sprintf("n%02d", i); !taken[id] {
			return id
		}
	}
}

func (n nvrs) AccessPaths(id string) (frame.NVRAccessPaths, bool, error) {
	l, ok, err := n.a.NVR.AccessList(id)
	out := frame.NVRAccessPaths{Read: l.Read, Signed: l.Signed, Previous: l.Previous, By: l.ByName, NoUsers: l.NoUsers, NoPorts: l.NoPorts, Sum: l.Sum()}
	for _, d := range l.Paths {
		out.Paths = append(out.Paths, frame.NVRAccessPath{Key: d.Key(), Kind: d.Kind, Name: d.Name, Level: d.Level, Port: d.Port, Open: d.Open, Answer: d.Answer, Note: d.Note})
	}
	return out, ok, err
}

func (n nvrs) Sign(ctx context.Context, by account.Who, name, id string, read time.Time, replies map[string]frame.NVRReply) error {
	in := map[string]nvr.Reply{}
	for k, r := range replies {
		in[k] = nvr.Reply(r)
	}
	_, err := n.a.NVR.Sign(ctx, by, name, id, read, in)
	return err
}

func (n nvrs) Awaited(ctx context.Context, v usage.Viewing) (usage.Fetching, bool, error) {
	return n.a.Usage.Awaited(ctx, v)
}
