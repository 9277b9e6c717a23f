package frame

import (
	"slices"
	"strings"

	"campuskeep/firmware/site"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
)

// CameraNames lists cameras by name.
func (c *Call) CameraNames(ids []string) string {
	var names []string
	for _, id := range ids {
		names = append(names, c.o.CameraName(id))
	}
	return strings.Join(names, c.P.T("sep.list"))
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

// IsReaderTechnician says whether this person is named for a card reader in service.
func (c *Call) IsReaderTechnician() bool {
	return slices.ContainsFunc(c.o.d.Site.Readers(), func(r site.Reader) bool { return !r.Retired && r.Technician != "" && r.Technician == c.Actor.ID })
}

// ReaderName is the name of a card reader, or its id when there is none.
func (o *Server) ReaderName(id string) string {
	for _, r := range o.d.Site.Readers() {
		if r.ID == id {
			return r.Name
		}
	}
	return id
}
