// Package nvr supervises the recorders that keep cameras' footage themselves: what they hold, for how long, what is
// missing, who bypassed the appliance, and whether their clocks are right.
//
// It owns the tables named in tables.go, the queue of fetches, and one connection at a time to each NVR. It must never
// guess what an answer means, never try a refused password twice, and never let footage of a fetch lie anywhere but in
// the vault.
package nvr

import (
	"fmt"
	"time"

	"campuskeep/firmware/nvr/driver"

	"campuskeep/firmware/site"
)

// Device is one NVR of the register (F1). Credentials are not part of it: they are sealed.
type Device struct {
	ID          string              `json:"id"` // n01 …
	Name        string              `json:"name"`
	Place       string              `json:"place,omitempty"`
	Driver      string              `json:"driver"`            // "hikvision"
	Address     string              `json:"address"`           // http:// or https:// and host, port when it is not the usual one
	RTSP        string              `json:"rtsp,omitempty"`    // host:port; empty: the host of Address, port 554
	Pin         string              `json:"pin,omitempty"`     // SHA-256 of the certificate, hex; empty: what the authorities vouch for
	Cameras     map[int]string      `json:"cameras,omitempty"` // channel → camera id
	Assignments []ChannelAssignment `json:"wires,omitempty"`   // what has changed of that; a camera that has no open one has always been where Cameras says
	Swaps       int                 `json:"swaps,omitempty"`   // how often the machine was replaced: what an earlier one listed counts no more
	Installer   string              `json:"installer,omitempty"`
	Technician  string              `json:"technician,omitempty"` // person id
	Installed   string              `json:"installed,omitempty"`  // date, 2006-01-02
	Retired     bool                `json:"retired,omitempty"`
	Since       time.Time           `json:"since,omitzero"` // registered
}

// Target is an NVR of the register with its password.
type Target struct {
	Device
	site.Login
}

// connection is what the driver of the NVR is opened with.
func (t Target) connection() driver.Target {
	return driver.Target{ID: t.ID, Address: t.Address, RTSP: t.RTSP, Pin: t.Pin, User: t.User, Password: t.Password}
}

// Kind gives the kind of an NVR; an unknown one names nothing, and cannot be opened.
func (r *Supervisor) Kind(d Device) driver.Kind {
	if k, ok := r.o.Drivers[d.Driver]; ok {
		return k
	}
	return driver.Kind{Track: func(int) driver.TrackID { return "" }, Stream: func(int, int) int { return 0 },
		LiveURL: func(driver.Target, int, int) string { return "" },
		Open:    func(driver.Target) (driver.Driver, error) { return nil, fmt.Errorf("nvr: no driver %q", d.Driver) }}
}
