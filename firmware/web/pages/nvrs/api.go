package nvrs

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"time"

	"campuskeep/firmware/nvr"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
)

// APINVR is an NVR of the register with what its last check showed, as JSON.
type APINVR struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Place      string         `json:"place,omitempty"`
	Address    string         `json:"address"`
	RTSP       string         `json:"rtsp,omitempty"`
	Pin        string         `json:"pin,omitempty"`
	Installer  string         `json:"installer,omitempty"`
	Technician string         `json:"technician,omitempty"` // person id
	Installed  string         `json:"installed,omitempty"`
	Retired    bool           `json:"retired"`
	Model      string         `json:"model,omitempty"`
	Serial     string         `json:"serial,omitempty"`
	Firmware   string         `json:"firmware,omitempty"`
	Checked    time.Time      `json:"checked,omitzero"` // the last check that came through
	Tried      time.Time      `json:"tried,omitzero"`
	Fault      string         `json:"fault,omitempty"`
	FaultSince time.Time      `json:"fault_since,omitzero"`
	NoLog      bool           `json:"log_unreadable"`
	Clock      *apiNVRClock   `json:"clock,omitempty"` // absent: not calibrated
	Cameras    []apiNVRCamera `json:"cameras"`
	Others     []string       `json:"other_channels"` // not in the register
	Work       *apiWork       `json:"work,omitempty"` // the last that was asked for
	PathsRead  time.Time      `json:"access_paths_read,omitzero"`
	Signed     time.Time      `json:"access_paths_signed,omitzero"`
	Previous   time.Time      `json:"access_paths_signed_before,omitzero"` // they have changed since
}

type apiNVRClock struct {
	At       time.Time     `json:"at"`
	Known    bool          `json:"offset_known"`
	Offset   time.Duration `json:"offset_ns"`
	Error    time.Duration `json:"error_ns"`
	Zone     string        `json:"zone"` // as the NVR writes it
	East     time.Duration `json:"east_ns"`
	BadZone  bool          `json:"wrong_zone"`
	List     string        `json:"list_times,omitempty"` // utc, local; absent: not certain
	Playback string        `json:"playback_times,omitempty"`
	Log      string        `json:"log_times,omitempty"`
}

type apiNVRCamera struct {
	Camera      string               `json:"camera"`
	Channel     int                  `json:"channel"`
	Name        string               `json:"name"`             // at the NVR
	Online      *bool                `json:"online,omitempty"` // absent: the NVR does not say
	Streams     []apiStream          `json:"streams"`
	Attestation *footage.Attestation `json:"attestation,omitempty"` // absent: not checked yet
	Keep        time.Duration        `json:"expiry_ns"`             // set at the NVR; 0: until overwritten
	KeepOn      bool                 `json:"expiry_on"`
	Asked       int                  `json:"expiry_set_days,omitzero"` // by us
	Result      string               `json:"expiry_result,omitempty"`
}

type apiStream struct {
	Codec string  `json:"codec,omitempty"`
	W     int     `json:"width,omitzero"`
	H     int     `json:"height,omitzero"`
	FPS   float64 `json:"fps,omitzero"`
	Kbps  int     `json:"kbps,omitzero"`
	GOP   int     `json:"gop,omitzero"`
}

type apiWork struct {
	What   string    `json:"what"`
	Since  time.Time `json:"since"`
	Ended  time.Time `json:"ended,omitzero"`
	Camera string    `json:"camera,omitempty"`
	Done   int       `json:"done"`
	Of     int       `json:"of"`
	Fault  string    `json:"fault,omitempty"`
}

// APINVRDetail is one NVR with its queue of fetches and what depends on it, as JSON.
type APINVRDetail struct {
	APINVR
	Revision uint64          `json:"revision"`
	Fetches  []apiFetch      `json:"fetches"`
	Depend   []apiDependent  `json:"dependents"`
	Moves    []apiAssignment `json:"earlier_channels"`
	Holds    []apiHeld       `json:"alone_on_nvr"`
}

// apiFetch is one of the queue. Which hours of which camera are fetched, and for whom, shows who is being looked into:
// those fields are absent for those who may not see that.
type apiFetch struct {
	ID      string        `json:"id"`
	Camera  string        `json:"camera,omitempty"`
	Span    *footage.Span `json:"span,omitempty"`
	Basis   string        `json:"basis,omitempty"`
	State   string        `json:"state"`
	Reason  string        `json:"reason,omitempty"`
	Percent int           `json:"percent"`
	Bytes   int64         `json:"bytes"`
	Asked   time.Time     `json:"asked"`
	Next    time.Time     `json:"next,omitzero"`
	Ended   time.Time     `json:"ended,omitzero"`
}

type apiDependent struct {
	Camera   string `json:"camera"`
	Recorded bool   `json:"recorded_here"` // by the appliance, through the NVR
	Retired  bool   `json:"retired"`
}

type apiAssignment struct {
	Camera  string    `json:"camera"`
	Channel int       `json:"channel"`
	From    time.Time `json:"from,omitzero"` // absent: always
	To      time.Time `json:"to"`
}

type apiHeld struct {
	Camera string       `json:"camera"`
	Span   footage.Span `json:"span"`
	Until  time.Time    `json:"until"` // it has to be kept
}

func (o *Pages) apiNVRs(c *call) error {
	list, err := o.d.NVRs.NVRs()
	if err != nil {
		return fmt.Errorf("list the NVRs: %w", err)
	}
	out := []APINVR{}
	for _, n := range list {
		out = append(out, describeNVR(n))
	}
	return c.JSON(http.StatusOK, out)
}

func (o *Pages) apiNVR(c *call) error {
	n, err := o.nvrOf(c)
	if err != nil {
		return err
	}
	out := APINVRDetail{APINVR: describeNVR(n), Revision: n.Rev, Fetches: []apiFetch{}, Depend: []apiDependent{}, Moves: []apiAssignment{}, Holds: []apiHeld{}}
	holds, applications := c.SeesHolds(), c.Can(account.ActApplicationList, account.Subject{})
	for _, f := range n.Fetches {
		x := apiFetch{ID: f.ID, State: f.Status(), Reason: f.Reason, Percent: f.Percent(), Bytes: f.Bytes, Asked: f.Asked, Next: f.Next, Ended: f.Ended}
		if holds {
			x.Camera, x.Span = f.Camera, &f.Span
		}
		if applications {
			x.Basis = f.Ground
		}
		out.Fetches = append(out.Fetches, x)
	}
	for _, d := range n.Depend {
		out.Depend = append(out.Depend, apiDependent{d.Camera, d.Recorded, false})
	}
	for _, d := range n.Left {
		out.Depend = append(out.Depend, apiDependent{d.Camera, d.Recorded, true})
	}
	for _, a := range n.Earlier() {
		out.Moves = append(out.Moves, apiAssignment(a))
	}
	for _, k := range n.Kept {
		out.Holds = append(out.Holds, apiHeld(k))
	}
	return c.JSON(http.StatusOK, out)
}

func describeNVR(n nvr.Overview) APINVR {
	s := n.State
	out := APINVR{ID: n.ID, Name: n.Name, Place: n.Place, Address: n.Address, RTSP: n.RTSP, Pin: n.Pin, Installer: n.Installer, Technician: n.Technician, Installed: n.Installed, Retired: n.Retired,
		Model: s.Info.Model, Serial: s.Info.Serial, Firmware: s.Info.Firmware, Checked: s.Checked, Tried: s.Tried, Fault: string(s.Fault), FaultSince: s.Since, NoLog: s.NoLog,
		Cameras: []apiNVRCamera{}, Others: []string{}, PathsRead: n.Access.Read, Signed: n.Access.Signed, Previous: n.Access.Previous}
	for _, x := range n.Unregistered() {
		out.Others = append(out.Others, fmt.Sprintf("%d %s", x.ID, x.Name))
	}
	if k := s.Calibration; !k.At.IsZero() {
		out.Clock = &apiNVRClock{k.At, k.Known, k.Offset, k.Error, k.ZoneText, k.East(), k.BadZone, string(k.Search), string(k.Play), string(k.Log)}
	}
	if w := n.Work; !w.Since.IsZero() {
		out.Work = &apiWork{w.What, w.Since, w.Ended, w.Camera, w.Done, w.Of, string(w.Fault)}
	}
	for _, x := range n.Behind {
		e := x.Report.Expiry
		a := apiNVRCamera{Camera: x.Camera, Channel: x.Channel.ID, Name: x.Channel.Name, Online: x.Channel.Online, Streams: []apiStream{}, Keep: e.Keep, KeepOn: e.On, Asked: e.Asked, Result: e.Found}
		if x.Seen() {
			a.Attestation = &x.Report.Attestation
		}
		for _, s := range x.Channel.Streams {
			a.Streams = append(a.Streams, apiStream{s.Codec, s.W, s.H, float64(s.MilFr) / 1000, s.Kbps, s.GOP})
		}
		out.Cameras = append(out.Cameras, a)
	}
	return out
}

type apiPath struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Level  string `json:"level,omitempty"`
	Port   int    `json:"port,omitzero"`
	Open   bool   `json:"open"`
	Answer string `json:"answer,omitempty"`
	Note   string `json:"note,omitempty"`
}

// APIAccessPaths are the ways to an NVR's footage that bypass the appliance, as JSON.
type APIAccessPaths struct {
	NVR      string    `json:"nvr"`
	Read     time.Time `json:"read,omitzero"` // absent: never
	Signed   time.Time `json:"signed,omitzero"`
	By       string    `json:"signed_by,omitempty"`
	Previous time.Time `json:"signed_before,omitzero"` // it has changed since
	NoUsers  bool      `json:"accounts_unknown"`
	NoPorts  bool      `json:"services_unknown"`
	Sum      string    `json:"sum,omitempty"` // SHA-256 of the list, hex
	Paths    []apiPath `json:"paths"`
}

func (o *Pages) apiPaths(c *call) error {
	n, err := o.nvrOf(c)
	if err != nil {
		return err
	}
	l := n.Access
	out := APIAccessPaths{NVR: n.ID, Paths: []apiPath{}}
	if !l.Read.IsZero() {
		sum := l.Sum()
		out.Read, out.Signed, out.By, out.Previous, out.NoUsers, out.NoPorts, out.Sum = l.Read, l.Signed, l.ByName, l.Previous, l.NoUsers, l.NoPorts, hex.EncodeToString(sum[:])
	}
	for _, p := range l.Paths {
		out.Paths = append(out.Paths, apiPath(p))
	}
	return c.JSON(http.StatusOK, out)
}
