package appliance

import (
	"testing"

	"campuskeep/firmware/vault"
	"campuskeep/shared/footage"
)

// Every damaged file has its entry, also the second of a minute; the same one is reported once, and so is the same
// alarm.
func TestEveryDamagedFileIsTold(t *testing.T) {
	n := newEventQueue()
	for _, x := range []vault.Alarm{
		{Code: "damaged", Camera: "c01", Segment: footage.Segment{File: footage.FileID{1}}},
		{Code: "damaged", Camera: "c01", Segment: footage.Segment{File: footage.FileID{2}}},
		{Code: "damaged", Camera: "c01", Segment: footage.Segment{File: footage.FileID{1}}},
		{Code: "write", Camera: "c01", Segment: footage.Segment{File: footage.FileID{3}}},
		{Code: "write", Camera: "c01", Segment: footage.Segment{File: footage.FileID{4}}},
	} {
		n.vault(x)
	}
	if got := len(n.queue); got != 3 {
		t.Errorf("%d reports, want two damaged files and one failed write", got)
	}
}
