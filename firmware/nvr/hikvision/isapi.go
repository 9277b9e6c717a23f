package hikvision

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/firmware/nvr/driver"
	"campuskeep/firmware/nvr/nvrtime"
)

const (
	pathInfo     = "/ISAPI/System/deviceInfo"
	pathTime     = "/ISAPI/System/time"
	pathChannels = "/ISAPI/ContentMgmt/InputProxy/channels"
	pathStatus   = "/ISAPI/ContentMgmt/InputProxy/channels/status"
	pathStreams  = "/ISAPI/Streaming/channels"
	pathInputs   = "/ISAPI/System/Video/inputs/channels"
	pathTracks   = "/ISAPI/ContentMgmt/record/tracks"
	pathSearch   = "/ISAPI/ContentMgmt/search"
	pathLog      = "/ISAPI/ContentMgmt/logSearch"
)

// get asks for one document and hands it over when its content passes check.
func get[T any](ctx context.Context, d *Driver, path, root string, check func(*T) error) (v T, err error) {
	b, err := d.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return v, err
	}
	return v, decode("GET "+path, b, root, &v, check)
}

func decode[T any](what string, b []byte, root string, v *T, check func(*T) error) error {
	if err := parse(what, b, root, v); err != nil {
		return err
	}
	if err := check(v); err != nil {
		return &driver.AnswerError{What: what, Why: err.Error(), Got: excerpt(b)}
	}
	return nil
}

type deviceInfo struct {
	Name     string `xml:"deviceName"`
	Model    string `xml:"model"`
	Serial   string `xml:"serialNumber"`
	Firmware string `xml:"firmwareVersion"`
	Build    string `xml:"firmwareReleasedDate"`
}

func (i *deviceInfo) check() error {
	if i.Model == "" || i.Serial == "" || i.Firmware == "" {
		return errors.New("model, serial number or firmware version is missing")
	}
	return nil
}

// Info asks what the NVR is.
func (d *Driver) Info(ctx context.Context) (driver.Info, error) {
	i, err := get(ctx, d, pathInfo, "DeviceInfo", (*deviceInfo).check)
	if err != nil {
		return driver.Info{}, err
	}
	return driver.Info{Name: name(i.Name), Model: name(i.Model), Serial: i.Serial, Firmware: strings.TrimSpace(i.Firmware + " " + i.Build)}, nil
}

type deviceTime struct {
	Mode  string `xml:"timeMode"`
	Local string `xml:"localTime"`
	Zone  string `xml:"timeZone"`
	at    driver.Stamp
}

func (t *deviceTime) check() (err error) {
	if t.at, err = parseStamp(t.Local); err != nil {
		return err
	}
	t.Zone = strings.TrimSpace(t.Zone)
	_, err = nvrtime.ParseZone(t.Zone)
	return err
}

// Clock reads the NVR's clock.
func (d *Driver) Clock(ctx context.Context) (driver.DeviceClock, error) {
	if _, err := d.Info(ctx); err != nil { // so that the question for the password is not part of the delay
		return driver.DeviceClock{}, err
	}
	asked := time.Now()
	t, err := get(ctx, d, pathTime, "Time", (*deviceTime).check)
	return driver.DeviceClock{Now: t.at, Zone: t.Zone, Mode: t.Mode, Delay: time.Since(asked)}, err
}

type channelList struct {
	Channels []channel `xml:"InputProxyChannel"`
}

// inputList are the inputs of a hybrid recorder that cameras are plugged into directly.
type inputList struct {
	Channels []channel `xml:"VideoInputChannel"`
}

type channel struct {
	Number  string `xml:"id"`
	Name    string `xml:"name"`
	Enabled string `xml:"videoInputEnabled"` // of an input
	Source  struct {
		Address string `xml:"ipAddress"`
	} `xml:"sourceInputPortDescriptor"`
	id int
}

// check gives the channels their numbers. One whose number cannot be read is left out; the list is refused when that is
// all it has.
func (l *channelList) check() error { return numbered(&l.Channels) }
func (l *inputList) check() error   { return numbered(&l.Channels) }

func numbered(list *[]channel) error {
	var out []channel
	var err error
	seen := map[int]bool{}
	for _, c := range *list {
		if c.id = number(c.Number); c.id < 1 || c.id > 1024 || seen[c.id] {
			err = fmt.Errorf("channel %s: no such number, or twice", excerpt([]byte(c.Number)))
			continue
		}
		seen[c.id] = true
		out = append(out, c)
	}
	if *list = out; len(out) > 0 {
		return nil
	}
	return err
}

// number reads digits; 0: it is none.
func number(s string) int {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 31)
	if err != nil {
		return 0
	}
	return int(n)
}

type statusList struct {
	Channels []struct {
		ID     int   `xml:"id"`
		Online *bool `xml:"online"`
	} `xml:"InputProxyChannelStatus"`
}

type streamList struct {
	Streams []struct {
		ID    int `xml:"id"`
		Video struct {
			Codec    string `xml:"videoCodecType"`
			W        int    `xml:"videoResolutionWidth"`
			H        int    `xml:"videoResolutionHeight"`
			Rate     int    `xml:"maxFrameRate"` // hundredths
			Constant int    `xml:"constantBitRate"`
			Upper    int    `xml:"vbrUpperCap"`
			GOP      int    `xml:"GovLength"`
		} `xml:"Video"`
	} `xml:"StreamingChannel"`
}

func unchecked[T any](*T) error { return nil }

// optional says of an answer that only adds to another: what is not offered, or cannot be read, goes without.
func optional(err error) error {
	var a *driver.AnswerError
	if errors.Is(err, driver.ErrNotOffered) || errors.Is(err, driver.ErrForbidden) || errors.As(err, &a) {
		return nil
	}
	return err
}

// Channels lists the channels: those over the network, and the inputs of a hybrid recorder. What an NVR does not tell
// beside the list itself stays empty.
func (d *Driver) Channels(ctx context.Context) ([]driver.Channel, error) {
	list, lerr := get(ctx, d, pathChannels, "InputProxyChannelList", (*channelList).check)
	if lerr != nil && !errors.Is(lerr, driver.ErrNotOffered) {
		return nil, lerr
	}
	inputs, err := get(ctx, d, pathInputs, "VideoInputChannelList", (*inputList).check)
	if lerr != nil && err != nil {
		return nil, lerr // it tells no channels at all
	}
	if optional(err) != nil {
		return nil, err
	}
	status, err := get(ctx, d, pathStatus, "InputProxyChannelStatusList", unchecked[statusList])
	if optional(err) != nil {
		return nil, err
	}
	streams, err := get(ctx, d, pathStreams, "StreamingChannelList", unchecked[streamList])
	if optional(err) != nil {
		return nil, err
	}
	all := list.Channels
	for _, c := range inputs.Channels {
		if c.Enabled != "false" && !slices.ContainsFunc(all, func(o channel) bool { return o.id == c.id }) {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b channel) int { return a.id - b.id })
	out := make([]driver.Channel, 0, len(all))
	for _, c := range all {
		ch := driver.Channel{ID: c.id, Name: name(c.Name), Address: name(c.Source.Address)}
		for _, s := range status.Channels {
			if s.ID == c.id {
				ch.Online = s.Online
			}
		}
		for _, s := range streams.Streams {
			if s.ID/100 == c.id {
				v := s.Video
				ch.Streams = append(ch.Streams, driver.Stream{
					ID: s.ID, Codec: v.Codec, W: v.W, H: v.H, MilFr: v.Rate * 10, Kbps: max(v.Constant, v.Upper), GOP: v.GOP,
				})
			}
		}
		out = append(out, ch)
	}
	return out, nil
}

type track struct {
	ID       int    `xml:"id"`
	Enable   bool   `xml:"Enable"`
	Duration string `xml:"Duration"`
	Expires  *bool  `xml:"durationEnabled"` // older firmware has no switch: a duration above zero is in force
	Source   struct {
		Channel int `xml:"SrcChannel"`
	} `xml:"SrcDescriptor"`
	keep time.Duration
}

func (t *track) check() (err error) {
	if t.ID < 101 {
		return fmt.Errorf("track %d: no such number", t.ID)
	}
	if t.Duration != "" {
		t.keep, err = parseKeep(t.Duration)
	}
	return err
}

type trackList struct {
	Tracks []track `xml:"Track"`
}

// check leaves out tracks that cannot be understood, and refuses the list when there is no other.
func (l *trackList) check() (err error) {
	var out []track
	for _, t := range l.Tracks {
		if terr := t.check(); terr != nil {
			err = terr
			continue
		}
		out = append(out, t)
	}
	if l.Tracks = out; len(out) > 0 {
		return nil
	}
	return err
}

// Tracks lists the recording tracks.
func (d *Driver) Tracks(ctx context.Context) ([]driver.Track, error) {
	list, err := get(ctx, d, pathTracks, "TrackList", (*trackList).check)
	if err != nil {
		return nil, err
	}
	out := make([]driver.Track, len(list.Tracks))
	for i, t := range list.Tracks {
		out[i] = driver.Track{ID: trackID(t.ID), Channel: t.Source.Channel, Enabled: t.Enable, Keep: t.keep, Expires: t.keep > 0 && (t.Expires == nil || *t.Expires)}
		if out[i].Channel == 0 {
			out[i].Channel = t.ID / 100
		}
	}
	return out, nil
}

// SetExpiry sets how long a track is kept. Everything else in the track's document goes back as it came.
func (d *Driver) SetExpiry(ctx context.Context, id driver.TrackID, days int) error {
	path := pathTracks + "/" + string(id)
	b, err := d.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	var t track
	if err := decode("GET "+path, b, "Track", &t, (*track).check); err != nil {
		return err
	}
	if trackID(t.ID) != id {
		return &driver.AnswerError{What: "GET " + path, Why: "another track", Got: excerpt(b)}
	}
	if t.Duration == "" {
		return fmt.Errorf("hikvision: track %s has no duration: %w", id, driver.ErrNotOffered)
	}
	b, err = replaceText(b, map[string]string{"Duration": fmt.Sprintf("P%dDT0H", days), "durationEnabled": "true"})
	if err != nil {
		return &driver.AnswerError{What: "GET " + path, Why: err.Error(), Got: excerpt(b)}
	}
	got, err := d.do(ctx, http.MethodPut, path, b)
	if err != nil {
		return err
	}
	var s responseStatus
	return decode("PUT "+path, got, "ResponseStatus", &s, func(s *responseStatus) error {
		if s.Code != 1 {
			return fmt.Errorf("the change was not taken: status %d", s.Code)
		}
		return nil
	})
}

// replaceText replaces the text of elements directly below the root, and nothing else.
func replaceText(b []byte, text map[string]string) ([]byte, error) {
	d := xml.NewDecoder(bytes.NewReader(b))
	var out bytes.Buffer
	depth, copied, inside := 0, int64(0), ""
	for {
		before := d.InputOffset()
		t, err := d.RawToken()
		if err != nil {
			if out.Len() == 0 {
				return b, errors.New("nothing to replace")
			}
			out.Write(b[copied:])
			return out.Bytes(), nil
		}
		switch t := t.(type) {
		case xml.StartElement:
			depth++
			if _, wanted := text[t.Name.Local]; depth == 2 && wanted {
				inside = t.Name.Local
				out.Write(b[copied:d.InputOffset()])
				copied = d.InputOffset()
			}
		case xml.EndElement:
			if depth == 2 && inside != "" && d.InputOffset() > before {
				out.WriteString(text[inside])
				copied, inside = before, ""
			}
			depth--
		}
	}
}
