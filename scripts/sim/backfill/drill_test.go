package backfill

import (
	"path/filepath"
	"testing"
	"time"

	"campuskeep/firmware/appliance"
	"campuskeep/firmware/site"
	"campuskeep/shared/absence"
)

// A past has emergency plans, a drill in which everybody was counted and whose record is written, a patrol, and leave
// that waits for somebody.
func TestThePastHasADrill(t *testing.T) {
	if testing.Short() {
		t.Skip("writes days of footage")
	}
	cfg := appliance.Default()
	cfg.Appliance.ID, cfg.Appliance.School, cfg.Appliance.Data = "ck-past", "试验学校", filepath.Join(t.TempDir(), "data")
	cfg.Web.Listen, cfg.Clock.Sources = "127.0.0.1:0", []string{"host", "nvr"}
	_, err := Fill(t.Context(), Options{Config: cfg, Now: time.Now(), Days: 6, ReaderPort: "/dev/ttyS9", Cameras: []string{"rtsp://127.0.0.1:9/a", "rtsp://127.0.0.1:9/b", "rtsp://127.0.0.1:9/c"}, CameraLogin: site.Login{User: "a", Password: "b"}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := appliance.Open(t.Context(), cfg, appliance.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	drills := a.Emergency.Events()
	if len(drills) != 1 || !drills[0].Drill || drills[0].Closed == nil || drills[0].Closed.Reason != "" || drills[0].Closed.Count.Safe != 499 || drills[0].Closed.Count.Injured != 1 || drills[0].Record.Lessons == "" || len(drills[0].Record.Injured) != 1 {
		t.Errorf("drills: %+v", drills)
	}
	if n, m := len(a.Emergency.Plans()), len(a.Emergency.Patrols()); n != 2 || m != 1 {
		t.Errorf("%d plans, %d patrols", n, m)
	}
	states := map[absence.LeaveState]int{}
	list, err := a.Absence.Leaves("")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		states[r.State]++
	}
	if states[absence.Asked] != 1 || states[absence.Approved] != 1 {
		t.Errorf("leave: %v", states)
	}
}
