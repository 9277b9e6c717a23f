package nvr

import (
	"cmp"
	"slices"
	"time"

	"campuskeep/shared/footage"
)

// Wire says that a camera was on a channel of an NVR for a time: what the channel shows of any other time is not of
// this camera. Zero From: for as long as anybody knows; zero To: it still is.
type Wire struct {
	Camera  string    `json:"camera"`
	Channel int       `json:"channel"`
	From    time.Time `json:"from,omitzero"`
	To      time.Time `json:"to,omitzero"`
}

// cut is the part of a span in which the camera was on the channel; empty (From not before To) when it was not.
func (w Wire) cut(s footage.Span) footage.Span {
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

// wires are the channels that a camera was on, oldest first.
func (d Device) wires(camera string) (out []Wire) {
	open := false
	for _, w := range d.Wires {
		if w.Camera == camera {
			out = append(out, w)
			open = open || w.To.IsZero()
		}
	}
	if n, ok := d.channelOf(camera); ok && !open {
		out = append(out, Wire{Camera: camera, Channel: n})
	}
	slices.SortStableFunc(out, func(a, b Wire) int { return a.From.Compare(b.From) })
	return out
}

// wiredBy are all cameras that are or were on a channel of the NVR: those that are, by channel, and then the others.
func (d Device) wiredBy() (out []string) {
	for _, n := range sortedChannels(d.Cameras) {
		out = append(out, d.Cameras[n])
	}
	for _, w := range d.Wires {
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

// rewire is the device after its cables were plugged as next says, at an instant; at zero: they always were, and it was
// written down wrongly. What a channel showed while another camera was on it stays that camera's. When the instant lies
// before what is known of a channel or a camera, after tells the first that is possible.
func (d Device) rewire(next map[int]string, at time.Time) (out Device, after time.Time) {
	out = d
	out.Cameras = next
	out.Wires = nil
	was := map[string]Wire{} // the open ones
	for _, camera := range d.wiredBy() {
		for _, w := range d.wires(camera) {
			n, on := out.channelOf(camera)
			switch {
			case !w.To.IsZero():
				out.Wires = append(out.Wires, w)
			case on && n == w.Channel:
				if !w.From.IsZero() {
					out.Wires = append(out.Wires, w)
				}
			default:
				was[camera] = w
				if !at.IsZero() {
					w.To = at
					out.Wires = append(out.Wires, w)
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
		w := Wire{Camera: camera, Channel: n, From: at}
		if at.IsZero() {
			w.From = was[camera].From
		}
		for _, o := range out.Wires { // nobody's pictures become somebody else's
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
			out.Wires = append(out.Wires, w)
		}
	}
	slices.SortStableFunc(out.Wires, func(a, b Wire) int {
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
