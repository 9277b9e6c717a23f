package timekeeper

import (
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/clock"
)

// doubtRows has one row, key "now", while the clock is not trusted.
var doubtRows = ledgerdb.NewTable[doubtRow]("clock_doubt")

const doubtKey = "now"

// alarmAfter is how long the clock may lack trust before somebody is called (design §5).
const alarmAfter = 24 * time.Hour

// doubtRow adds up the running time without trust over the runs and boots of one episode, so that neither a restart
// puts the alarm off nor another repeats it. Time without power is nobody's to count.
type doubtRow struct {
	Spent   time.Duration `json:"spent"` // ns
	Alarmed bool          `json:"alarmed,omitempty"`
}

// doubtEpisode is the episode under way.
type doubtEpisode struct {
	doubtRow
	counted time.Duration // mono up to which Spent counts
	kept    bool          // there is a row
}

// count brings the episode up to mono. The caller holds k.mu.
func (k *Keeper) count(mono time.Duration) {
	if k.published.State() == clock.Trusted {
		k.doubt.doubtRow = doubtRow{}
	} else {
		k.doubt.Spent += mono - k.doubt.counted
	}
	k.doubt.counted = mono
}

// keepDoubt adds to c what is to be recorded of the episode: now and then how long it lasts, once the alarm, and its
// end. done is called when it is durable; the caller holds k.mu then and now.
func (k *Keeper) keepDoubt(c *ledgerdb.Change, t clock.Trust, lag bool) (done func()) {
	d := k.doubt.doubtRow
	switch {
	case t.State() == clock.Trusted && !k.doubt.kept:
		return func() {}
	case t.State() == clock.Trusted:
		c.Deletes = append(c.Deletes, doubtRows.Delete(doubtKey))
		return func() { k.doubt.kept = false }
	case d.Spent >= alarmAfter && !d.Alarmed:
		d.Alarmed = true
		data := struct {
			State  string `json:"state"`
			Reason string `json:"reason"`
			Hours  int64  `json:"hours"`
		}{t.State().String(), string(t.Reason()), int64(d.Spent / time.Hour)}
		c.Entries = append(c.Entries, entry("clock.alarm", data))
	case !lag:
		return func() {}
	}
	c.Puts = append(c.Puts, doubtRows.Put(doubtKey, d))
	return func() { k.doubt.Alarmed, k.doubt.kept = d.Alarmed, true }
}
