package home

import "campuskeep/firmware/web/frame"

// liveLog tells the today page that the log grew.
func (o *Pages) liveLog(c *call) error {
	sizes, cancel := o.d.Ledger.Subscribe()
	defer cancel()
	return frame.Stream(c.Call, sizes)
}
