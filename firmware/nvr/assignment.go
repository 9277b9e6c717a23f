package nvr

import (
	"cmp"
	"slices"
	"time"

	"campuskeep/shared/footage"
)

// ChannelAssignment assigns a channel of an NVR to a camera for a time: what the channel shows of any other time is not of
// this camera. Zero From: for as long as anybody knows; zero To: it still is.
type ChannelAssignment struct {
	Camera  string    `json:"camera"`
	Channel int       `json:"channel"`
	From    time.Time `json:"from,omitzero"`
	To      time.Time `json:"to,omitzero"`
}

// clip is the part of a span in which the camera was on the channel; empty (From not before To) when it was not.
func (w ChannelAssignment) clip(s footage.Span) footage.Span {
	if w.From.After(s.From) {
		s.From = w.From
	}
	if !w.To.IsZero() && w.To.Before(s.To) {
		s.To = w.To
	}
	return s
}

// channelOf is the channel that a camera is on; ok is false when it is on none.
func (d Device) channelOf(camera string) (channel int, ok bool) {
	for n, id := range d.Cameras {
		if id == camera {
			return n, true
		}
	}
	return 0, false
}

// assignments lists the channels that a camera was on, oldest first.
func (d Device) assignments(camera string) (out []ChannelAssignment) {
	open := false
	for _, w := range d.Assignments {
		if w.Camera == camera {
			out = append(out, w)
			open = open || w.To.IsZero()
		}
	}
	if n, ok := d.channelOf(camera); ok && !open {
		out = append(out, ChannelAssignment{Camera: camera, Channel: n})
	}
	slices.SortStableFunc(out, func(a, b ChannelAssignment) int { return a.From.Compare(b.From) })
	return out
}

// everAssigned lists the cameras that are or were on a channel of the NVR: present ones by channel, then the others.
func (d Device) everAssigned() (out []string) {
	for _, n := range sortedChannels(d.Cameras) {
		out = append(out, d.Cameras[n])
	}
	for _, w := range d.Assignments {
		if !slices.Contains(out, w.Camera) {
			out = append(out, w.Camera)
		}
	}
	return out
}

func sortedChannels(m map[int]string) []int {
	var out []int
	for n := range m {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// reassign gives the device with the channels of next from an instant on; at zero: they always were so, and it was
// written down wrongly. What a channel showed while another camera was on it stays that camera's. When the instant lies
// before what is known of a channel or a camera, after is the first that is possible.
func (d Device) reassign(next map[int]string, at time.Time) (out Device, after time.Time) {
	out = d
	out.Cameras = next
	out.Assignments = nil
	was := map[string]ChannelAssignment{} // the open ones
	for _, camera := range d.everAssigned() {
		for _, w := range d.assignments(camera) {
			n, on := out.channelOf(camera)
			switch {
			case !w.To.IsZero():
				out.Assignments = append(out.Assignments, w)
			case on && n == w.Channel:
				if !w.From.IsZero() {
					out.Assignments = append(out.Assignments, w)
				}
			default:
				was[camera] = w
				if !at.IsZero() {
					w.To = at
					out.Assignments = append(out.Assignments, w)
					after = latest(after, w.From)
				}
			}
		}
	}
	for _, n := range sortedChannels(next) {
		camera := next[n]
		if d.Cameras[n] == camera {
			continue
		}
		w := ChannelAssignment{Camera: camera, Channel: n, From: at}
		if at.IsZero() {
			w.From = was[camera].From
		}
		for _, o := range out.Assignments { // nobody's pictures become somebody else's
			if o.To.IsZero() || o.Channel != n && o.Camera != camera {
				continue
			}
			if at.IsZero() {
				w.From = latest(w.From, o.To)
			} else if o.To.After(at) {
				after = latest(after, o.To)
			}
		}
		if !w.From.IsZero() {
			out.Assignments = append(out.Assignments, w)
		}
	}
	slices.SortStableFunc(out.Assignments, func(a, b ChannelAssignment) int {
		return cmp.Or(cmp.Compare(a.Camera, b.Camera), a.From.Compare(b.From))
	})
	if after.After(at) && !at.IsZero() {
		return d, after
	}
	return out, time.Time{}
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
