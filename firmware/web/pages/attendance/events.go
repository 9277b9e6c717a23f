package attendance

import "campuskeep/firmware/web/frame"

// liveGate tells the gate board that something changed, within a second: the page then fetches itself again,
// so that what may be shown is decided in one place. Changes that come faster are folded.
func (o *Pages) liveGate(c *call) error {
	events, cancel := o.d.Gate.Subscribe()
	defer cancel()
	return frame.Stream(c.Call, events)
}
