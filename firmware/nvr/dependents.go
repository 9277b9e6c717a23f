package nvr

import (
	"net/url"
	"slices"

	"campuskeep/firmware/nvr/driver"
	"campuskeep/shared/footage"
)

// Depends says whether a camera depends on the NVR: the NVR keeps its footage, or it is recorded through the NVR.
func (d Device) Depends(c footage.Camera) bool {
	_, on := d.channelOf(c.ID)
	return on || d.RecordsThrough(c)
}

// RecordsThrough says whether the appliance records a camera through the NVR.
func (d Device) RecordsThrough(c footage.Camera) bool {
	return c.Custody == footage.CustodyVault && slices.ContainsFunc([]string{c.Main, c.Sub, c.Still}, func(s string) bool { return s != "" && d.MoveAddress(s, d) != "" })
}

// MoveAddress gives an address at the NVR with the host of another row; empty when it is no address at the NVR.
func (d Device) MoveAddress(address string, to Device) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	for _, x := range [][2]string{{d.endpoint().LiveHost(), to.endpoint().LiveHost()}, {hostOf(d.Address), hostOf(to.Address)}} {
		if u.Host == x[0] || u.Port() == "" && u.Scheme == "rtsp" && u.Hostname()+":554" == x[0] {
			u.Host = x[1]
			return u.String()
		}
	}
	return ""
}

// SameHosts says whether two rows of an NVR are reached at the same hosts.
func (d Device) SameHosts(o Device) bool {
	return d.endpoint().LiveHost() == o.endpoint().LiveHost() && hostOf(d.Address) == hostOf(o.Address)
}

// LiveURL gives the address of the n-th stream of a channel: 1 is the main stream.
func (r *Supervisor) LiveURL(d Device, channel, n int) string {
	return r.Kind(d).LiveURL(d.endpoint(), channel, n)
}

func (d Device) endpoint() driver.Target {
	return driver.Target{ID: d.ID, Address: d.Address, RTSP: d.RTSP, Pin: d.Pin}
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}
