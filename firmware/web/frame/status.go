package frame

import (
	"slices"

	"campuskeep/shared/account"
	"campuskeep/shared/footage"
)

func (c *Call) CameraNames(ids []string) string {
	var names []string
	for _, id := range ids {
		names = append(names, c.o.CameraName(id))
	}
	return Joined(names, c.P.T("sep.list"))
}

func Joined(list []string, sep string) string {
	out := ""
	for i, s := range list {
		if i > 0 {
			out += sep
		}
		out += s
	}
	return out
}

// KeysStuck says whether something that ought to be gone is not, or could not be looked at.
func (k RetentionStatus) KeysStuck() bool {
	return k.Condemned > 0 || k.KeysUnerased > 0 || len(k.Skipped) > 0
}

// AllFaults says whether this person sees every fault, or those alone for which they are named.
func (c *Call) AllFaults() bool { return c.Can(account.ActFaultsView, account.Subject{}) }

// IsTechnician says whether this person is named for a camera in service.
func (c *Call) IsTechnician() bool {
	return slices.ContainsFunc(c.o.d.Site.Cameras(), func(cam footage.Camera) bool { return !cam.Retired && cam.Technician == c.Actor.ID })
}

func (o *Server) ReaderName(id string) string {
	for _, r := range o.d.Site.Readers() {
		if r.ID == id {
			return r.Name
		}
	}
	return id
}
