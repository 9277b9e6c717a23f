package cameras

import (
	"strings"
	"testing"

	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
)

// Any cells give rows or faults; what is read without a fault and valid is what the register takes.
func FuzzReadCameras(f *testing.F) {
	f.Add("编号\t名称\t地点\t区域\t存储位置\t国标编码\nc01\tx\ty\t走廊\t主机\t3.4E+19\n# a\n")
	f.Add("id\tname\tplace\tarea\tcustody\tdays\tservice\tinstalled\nc01\tx\ty\tgate\tnvr\t30\toff\t45797\n")
	f.Fuzz(func(t *testing.T, s string) {
		var cells [][]string
		for line := range strings.SplitSeq(s, "\n") {
			cells = append(cells, strings.Split(line, "\t"))
		}
		rows, errs := readCameras(cells, func(string) (footage.Camera, bool) { return footage.Camera{}, false }, func(s string) (string, int) { return "p001", len(s) % 3 })
		if (len(rows) == 0) == (len(errs) == 0) {
			t.Fatalf("%d rows, %v", len(rows), errs)
		}
		for _, r := range rows {
			if r.Line < 2 || r.Line > len(cells) {
				t.Errorf("line %d of %d", r.Line, len(cells))
			}
			for _, e := range append(fielderr.Errors{}, r.Errs...) {
				if e.Field == "" || e.Rule == "" {
					t.Errorf("%+v", e)
				}
			}
		}
	})
}
