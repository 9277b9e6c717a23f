package sheets

import (
	"strings"
	"testing"

	"campuskeep/shared/lib/ui"
)

// Any cells give rows or faults; a row is one of the lines below its headings.
func FuzzCut(f *testing.F) {
	l := List{MostRows: 50, Columns: []Column{{Field: "id", Title: "camera.f.id", Must: true}, {Field: "name", Title: "camera.f.name", Must: true, Also: []string{"formerly"}}, {Field: "days", Title: "camera.f.days"}}}
	f.Add("编号\t名称\t保存天数\nc01\tx\t30\n# a\n")
	f.Add("a title\nid*\tformerly\nc01\tx\n\nc02\ty\n")
	f.Add("编号\t名称\t名称\t颜色\nc01\tx\n")
	f.Fuzz(func(t *testing.T, s string) {
		var cells [][]string
		for line := range strings.SplitSeq(s, "\n") {
			cells = append(cells, strings.Split(line, "\t"))
		}
		rows, errs := l.cut(cells, func(key string, args ...any) string { return ui.T(ui.Chinese, key, args...) })
		if len(rows) == 0 && len(errs) == 0 || len(rows) > l.MostRows && len(errs) == 0 {
			t.Fatalf("%d rows, %v", len(rows), errs)
		}
		for _, r := range rows {
			if r.Line < 2 || r.Line > len(cells) {
				t.Errorf("line %d of %d", r.Line, len(cells))
			}
			if id, ok := r.Cell["id"]; ok && strings.HasPrefix(id, "#") {
				t.Errorf("a row of hints is read: %v", r.Cell)
			}
		}
		for _, e := range errs {
			if e.Field == "" || e.Rule == "" {
				t.Errorf("%+v", e)
			}
		}
	})
}
