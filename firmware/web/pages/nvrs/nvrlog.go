package nvrs

import (
	"fmt"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/ledger"
)

// nvrLog reads from the log who was at the NVR outside the appliance, and what it broke.
func (o *Pages) nvrLog(c *call, v *nvrView) error {
	page, err := o.d.Ledger.Search(c.R.Context(), ledgerdb.Query{About: []string{v.N.ID}, Kinds: []ledger.Kind{"nvr.access"}, Limit: 20})
	if err != nil {
		return fmt.Errorf("search the log for accesses past us: %w", err)
	}
	for _, e := range page.Entries {
		v.Accesses = append(v.Accesses, c.o.LogRow(c.Call, e))
	}
	var about []string
	for _, x := range v.N.Behind {
		about = append(about, x.Camera)
	}
	if len(about) == 0 {
		return nil
	}
	page, err = o.d.Ledger.Search(c.R.Context(), ledgerdb.Query{About: about, Kinds: []ledger.Kind{"nvr.breach"}, Limit: 20})
	if err != nil {
		return fmt.Errorf("search the log for breaches: %w", err)
	}
	for _, e := range page.Entries {
		v.Breaches = append(v.Breaches, c.o.LogRow(c.Call, e))
	}
	return nil
}
