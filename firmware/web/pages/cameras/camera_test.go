package cameras

import (
	"strings"
	"testing"

	"campuskeep/shared/footage"
)

// Any row gives a camera and faults that name their field and rule; the list has a field for each cell that is read.
func FuzzReadCamera(f *testing.F) {
	f.Add("id\tc01\nname\tx\nplace\ty\narea\t走廊\ncustody\t主机\ngb_code\t3.4E+19")
	f.Add("id\tc01\nname\tx\nplace\ty\narea\tgate\ncustody\tnvr\ndays\t30\nservice\toff\ninstalled\t45797")
	f.Fuzz(func(t *testing.T, s string) {
		cell := map[string]string{}
		for line := range strings.SplitSeq(s, "\n") {
			if field, v, _ := strings.Cut(line, "\t"); field != "" {
				cell[field] = v
			}
		}
		id := cell["id"]
		r := readCamera(cell, func(string) (footage.Camera, bool) { return footage.Camera{}, false }, func(s string) (string, int) { return "p001", len(s) % 3 })
		if !r.New || r.Put.Camera.ID != id {
			t.Errorf("%q is read as %+v", id, r.Put.Camera)
		}
		for _, e := range r.Errs {
			if e.Field == "" || e.Rule == "" {
				t.Errorf("%+v", e)
			}
		}
	})
}

// A register that an earlier version exported is still read, and so are the names of the fields.
func TestFormerHeadingsOfCameras(t *testing.T) {
	for field := range formerHeadings {
		found := false
		for _, col := range cameraColumns {
			found = found || col.Field == field
		}
		if !found {
			t.Errorf("there is no column %s", field)
		}
	}
	l := (&Pages{}).list()
	for _, col := range l.Columns {
		if len(col.Also) != len(formerHeadings[col.Field])+1 || col.Title != "camera.f."+col.Field {
			t.Errorf("column %+v", col)
		}
	}
}
