package console

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"campuskeep/cloud/centredb"
)

func (filled) Report(_ context.Context, from, _, _ time.Time) ([]centredb.ReportRow, error) {
	if from.Month() != time.May {
		return []centredb.ReportRow{{Appliance: "ck-0417", Name: "青榆实验学校", Kept: -1}}, nil
	}
	days := []centredb.ReportDay{{Day: from, Kept: 31 * day}, {Day: from.AddDate(0, 0, 1), Kept: 29*day + 23*time.Hour}}
	return []centredb.ReportRow{
		{Appliance: "ck-0417", Name: "=青榆实验学校", Cameras: 16, Kept: 29*day + 23*time.Hour, KeptCamera: "c06", Days: days, Gaps: 3, Missing: 90 * time.Minute, Early: 2, Unwitnessed: 5, Submitted: 4, Overdue: 1},
		{Appliance: "ck-0418", Name: "北岸小学", Cameras: 8, Kept: -1},
	}, nil
}

// Covers F3, M3: the month in figures, with those that fall short marked, and no other month than those that there are.
func TestMonthlyReport(t *testing.T) {
	s := newSite(t)
	b := s.browser(t)
	s.login(t, b, "staff", "c001", password)
	got, body := s.get(t, b, "/report")
	if got != http.StatusOK {
		t.Fatalf("the report answers %d", got)
	}
	for _, want := range []string{"2026年5月", "本月未完", "29.9 天", "6 号摄像机", "无到期录像", "1 小时 30 分", `points="0.0,11.6 3.2,12.0"`, "&lt;30 天 1 所", "另有 1 所"} {
		if !strings.Contains(body, want) {
			t.Errorf("the report does not say %q", want)
		}
	}
	if got, body := s.get(t, b, "/report?month=2026-04"); got != http.StatusOK || strings.Contains(body, "本月未完") || !strings.Contains(body, "month=2026-05") {
		t.Errorf("the month before: %d", got)
	}
	for _, month := range []string{"2026-06", "1999-12", "2026-13", "x"} {
		if got, _ := s.get(t, b, "/report?month="+month); got != http.StatusUnprocessableEntity {
			t.Errorf("month %s: %d", month, got)
		}
	}
}

// Covers M3: both exports hold the figures of the page, no name is a formula, and each export is a line of the log.
func TestExportOfTheReport(t *testing.T) {
	s := newSite(t)
	b := s.browser(t)
	s.login(t, b, "staff", "c001", password)
	export := func(format string) string {
		t.Helper()
		got, body := s.post(t, b, "/report", url.Values{"month": {"2026-05"}, "format": {format}})
		if got != http.StatusOK {
			t.Fatalf("%s: %d", format, got)
		}
		return body
	}
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(export("csv"), "\ufeff")))
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	want := []string{"'=青榆实验学校", "ck-0417", "16", "29.9", "6 号摄像机", "3", "1.5", "2", "5", "4", "1"}
	if err != nil || len(rows) != 4 || !slices.Equal(rows[2], want) {
		t.Errorf("csv: %q %v, want %q", rows, err, want)
	}
	x, err := excelize.OpenReader(bytes.NewReader([]byte(export("xlsx"))))
	if err != nil {
		t.Fatal(err)
	}
	if rows, err = x.GetRows(x.GetSheetName(0)); err != nil || len(rows) != 4 || rows[2][0] != "=青榆实验学校" || rows[2][3] != "29.9" {
		t.Errorf("xlsx: %q %v", rows, err)
	}
	if f, err := x.GetCellFormula(x.GetSheetName(0), "A3"); err != nil || f != "" {
		t.Errorf("a name is the formula %q %v", f, err)
	}
	if err := x.Close(); err != nil {
		t.Error(err)
	}
	if got, _ := s.post(t, b, "/report", url.Values{"month": {"2026-05"}, "format": {"pdf"}}); got != http.StatusUnprocessableEntity {
		t.Errorf("an unknown format: %d", got)
	}
	audit, err := s.store.ListAudit(t.Context(), 2)
	if err != nil || len(audit) != 2 || audit[0].Action != "report.export" || audit[0].Subject != "2026-05" || audit[1].Action != "report.export" {
		t.Errorf("the log: %+v %v", audit, err)
	}
}

// many are more schools than fit a page.
type many struct{ filled }

func (many) ListSchools(context.Context, time.Time) (out []centredb.School, err error) {
	for i := range 120 {
		x := centredb.School{Appliance: fmt.Sprintf("ck-%04d", i), Name: fmt.Sprintf("第%03d小学", 119-i), Status: centredb.StatusHealthy, EnrolledAt: noon, LastContact: noon.Add(-time.Duration(i) * time.Minute),
			Cameras: i % 17, Kept: time.Duration(29+i%9) * day, Witnessed: uint64(i), Claimed: uint64(2 * i)}
		if i%40 == 0 {
			x.Kept = -1
		}
		out = append(out, x)
	}
	return out, nil
}

// The list of schools is sorted by any of its columns, in pages, with what is looked for kept.
func TestSchoolsInOrder(t *testing.T) {
	s := newSite(t)
	s.c.d.Store = many{s.store.(filled)}
	b := s.browser(t)
	s.login(t, b, "staff", "c001", password)
	listed := regexp.MustCompile(`<th scope="row"><a href="/schools/(ck-[0-9]+)"`)
	list := func(path string) (ids []string, body string) {
		t.Helper()
		got, body := s.get(t, b, path)
		if got != http.StatusOK {
			t.Fatalf("%s: %d", path, got)
		}
		for _, m := range listed.FindAllStringSubmatch(body, -1) {
			ids = append(ids, m[1])
		}
		return ids, body
	}
	for path, want := range map[string][]string{
		"/":                         {"ck-0000", "ck-0001"},
		"/?sort=name":               {"ck-0119", "ck-0118"},
		"/?sort=name&order=down":    {"ck-0000", "ck-0001"},
		"/?sort=cameras&order=down": {"ck-0016", "ck-0033"},
		"/?sort=kept":               {"ck-0000", "ck-0040"},
		"/?sort=contact":            {"ck-0119", "ck-0118"},
		"/?sort=behind&order=down":  {"ck-0119", "ck-0118"},
		"/?offset=100":              {"ck-0100", "ck-0101"},
		"/?show=short":              {"ck-0009", "ck-0018"},
		"/?q=ck-007&sort=name":      {"ck-0079", "ck-0078"},
	} {
		if ids, _ := list(path); len(ids) < 2 || !slices.Equal(ids[:2], want) {
			t.Errorf("%s begins with %v, want %v", path, ids[:min(2, len(ids))], want)
		}
	}
	ids, body := list("/?sort=name&q=ck-")
	if len(ids) != perPage || !strings.Contains(body, "显示 50 所，共 120 所") || !strings.Contains(body, "offset=50&amp;q=ck-&amp;show=&amp;sort=name") {
		t.Errorf("a page of %d", len(ids))
	}
	if !strings.Contains(body, `aria-sort="ascending"><a href="/?order=down&amp;q=ck-&amp;show=&amp;sort=name"`) {
		t.Error("the heading does not turn the order")
	}
	for _, path := range []string{"/?sort=x", "/?offset=-1"} {
		if got, _ := s.get(t, b, path); got != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", path, got)
		}
	}
}
