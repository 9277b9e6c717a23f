package appliance

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/recorder"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
)

// Covers F3: a camera that has to give way for the room on the disk is not recorded, also after a restart, and the page
// says which.
func TestStoppedCameraIsNotRecorded(t *testing.T) {
	c := testConfig(t)
	a, err := Open(t.Context(), c, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	end := a.Base(t.Context())
	for _, id := range []string{"c01", "c02"} {
		cam := footage.Camera{ID: id, Name: id, Place: "gate", Area: footage.AreaGate, Custody: footage.CustodyVault, Main: "rtsp://127.0.0.1:9/" + id, Policy: footage.Policy{Days: 30}}
		if err := a.Site.PutCamera(t.Context(), account.System, cam, nil); err != nil {
			t.Fatal(err)
		}
	}
	row, err := json.Marshal(map[string]any{"stream": footage.StreamNone, "since": a.Timekeeper.Now().Wall, "main": 1 << 30, "sub": 0})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Store.Commit(t.Context(), ledgerdb.Change{Puts: []ledgerdb.Put{{Table: "thinned", Key: "c01", Value: row}}}); err != nil {
		t.Fatal(err)
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a, stop := running(t, c)
	defer stop()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		states := map[string]recorder.Status{}
		for _, s := range a.recorder.Status() {
			states[s.Camera] = s
		}
		if s := states["c01"]; s.State == recorder.Stopped && s.Cause == footage.CauseFull && states["c02"].State == recorder.Connecting {
			break
		}
		select {
		case <-ctx.Done():
			t.Fatalf("states %+v", states)
		case <-tick.C:
		}
	}
	if err := a.Retention.Review(t.Context()); err != nil {
		t.Fatal(err)
	}
	if k := (status{a}).Retention(); len(k.Stopped) != 1 || k.Stopped[0] != "c01" || len(k.Loads) != 2 || k.Total == 0 || k.Capacity <= 0 {
		t.Errorf("keeping tells %+v", k)
	}
}
