package appliance

import (
	"context"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/extraction"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/ui"
)

func (a *Appliance) openExtractions() error {
	o := extraction.Options{Store: a.Store, Clock: a.Timekeeper, Register: a.Usage, Cameras: a.Site.Cameras, Footage: a.source,
		Present: func(ctx context.Context, camera string, span footage.Span, f func(footage.Placed) bool) error {
			return a.Vault.Walk(ctx, a.placeTable(), camera, span, f)
		},
		Anchors: a.Timekeeper.Anchors, Fetcher: fetcher{a.NVR}, Actor: a.actorNow, Name: a.People.Name, Unit: a.unitOf, Independent: a.People.Independent,
		FS: a.data, School: a.Config.Appliance.School, Zone: a.zone, Witness: a.Config.Centre.Enrol != "", Log: a.log}
	if dir := a.Config.Extraction.Stick; dir != "" {
		o.Stick = func() (extraction.Stick, error) { return disk.Mounted(dir) }
	}
	assets, err := ui.LoadAssets()
	if err != nil {
		return err
	}
	o.Page = assets.Content("open.html")
	a.extractions, err = extraction.Open(o)
	return err
}

// actorNow is a person with the rights of this moment; false when they may not log in any more.
func (a *Appliance) actorNow(id string) (account.Actor, bool) {
	p, ok := a.People.Person(id)
	if !ok || p.Disabled {
		return account.Actor{}, false
	}
	return account.Actor{ID: p.ID, Roles: p.Roles, Units: []string{p.Unit}}, true
}

func (a *Appliance) unitOf(id string) string {
	p, _ := a.People.Person(id)
	return p.Unit
}
