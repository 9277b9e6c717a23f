package console

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"

	"campuskeep/cloud/centredb"
	"campuskeep/cloud/console/words"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/table"
)

const day = 24 * time.Hour

// short says that footage was kept for less than everyone must keep it; -1: none went.
func short(kept time.Duration) bool { return kept >= 0 && kept < footage.MinDays*day }

// keptDays is a time of keeping in days with one digit, rounded down: 29.96 days are not thirty.
func keptDays(kept time.Duration) float64 { return math.Floor(kept.Hours()/24*10) / 10 }

type reportView struct {
	Month       time.Time
	Value       string // 2026-05
	Newer       string // months beside this one, empty: there is none
	Older       string
	Max         string
	Running     bool // the month is not over
	Now         time.Time
	Rows        []reportRow
	Bins        []bin
	Nothing     int // schools of which nothing went
	Short       int // schools that kept less
	Gaps        int
	Early       int
	Unwitnessed int
	Submitted   int
	Overdue     int
}

type reportRow struct {
	centredb.ReportRow
	Line string // of the small chart: days kept by day of the month
}

// bin is one bar of the chart of days kept.
type bin struct {
	Text    string
	Count   int
	X, Mid  int
	Y, High int
	Tone    string
}

// month reads a month of the address; without one it is the present one.
func (k *call) month(value string) (time.Time, error) {
	now := k.now.Wall.In(k.c.d.Zone)
	present := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, k.c.d.Zone)
	if value == "" {
		return present, nil
	}
	m, err := time.ParseInLocation("2006-01", value, k.c.d.Zone)
	if err != nil || m.Year() < 2000 || m.After(present) {
		return m, fielderr.Errors{{Field: "month", Rule: "err.month"}}
	}
	return m, nil
}

func (k *call) countMonth(value string) (v reportView, err error) {
	if v.Month, err = k.month(value); err != nil {
		return v, err
	}
	end := v.Month.AddDate(0, 1, 0)
	v.Value, v.Older, v.Now = v.Month.Format("2006-01"), v.Month.AddDate(0, -1, 0).Format("2006-01"), k.now.Wall
	v.Max, v.Running = k.now.Wall.In(k.c.d.Zone).Format("2006-01"), end.After(k.now.Wall)
	if !v.Running {
		v.Newer = end.Format("2006-01")
	}
	rows, err := k.c.d.Store.Report(k.r.Context(), v.Month, end, k.now.Wall)
	if err != nil {
		return v, err
	}
	for _, r := range rows {
		v.Rows = append(v.Rows, reportRow{r, line(r.Days, v.Month, end)})
		v.Gaps, v.Early, v.Unwitnessed = v.Gaps+r.Gaps, v.Early+r.Early, v.Unwitnessed+r.Unwitnessed
		v.Submitted, v.Overdue = v.Submitted+r.Submitted, v.Overdue+r.Overdue
		switch {
		case r.Kept < 0:
			v.Nothing++
		case short(r.Kept):
			v.Short++
		}
	}
	v.Bins = bins(rows)
	return v, nil
}

// line is the polyline of a month in a box of 96 by 24: 60 days kept and more at its top, none at its foot.
func line(days []centredb.ReportDay, from, to time.Time) string {
	var b strings.Builder
	for _, d := range days {
		x := 96 * float64(d.Day.Sub(from)) / float64(to.Sub(from)-day)
		y := 24 - 24*min(1, d.Kept.Hours()/24/60)
		fmt.Fprintf(&b, "%.1f,%.1f ", x, y)
	}
	return strings.TrimSpace(b.String())
}

// binEnds are where the bars of the chart end, in days; the last has no end.
var binEnds = []float64{footage.MinDays, 31, 33, 36, 40, math.Inf(1)}

// bins counts schools by the shortest time for which they kept footage, as bars in a box of 380 by 132.
func bins(rows []centredb.ReportRow) []bin {
	out := make([]bin, len(binEnds))
	most := 1
	for _, r := range rows {
		if r.Kept < 0 {
			continue
		}
		for i, end := range binEnds {
			if r.Kept.Hours()/24 < end {
				out[i].Count++
				most = max(most, out[i].Count)
				break
			}
		}
	}
	for i := range out {
		b := &out[i]
		b.X, b.Tone = 8+62*i, "line"
		b.Mid, b.High = b.X+22, 80*b.Count/most
		b.Y = 100 - b.High
		switch {
		case i == 0:
			b.Text, b.Tone = fmt.Sprintf("<%d", footage.MinDays), "bad"
		case i == len(out)-1:
			b.Text = fmt.Sprintf("≥%.0f", binEnds[i-1])
		default:
			b.Text = fmt.Sprintf("%.0f–%.0f", binEnds[i-1], binEnds[i])
		}
		if i == 1 {
			b.Tone = "warn"
		}
	}
	return out
}

func (k *call) report() error {
	v, err := k.countMonth(k.r.URL.Query().Get("month"))
	if err != nil {
		return err
	}
	return k.page("report", k.p.T("console.report"), v)
}

// exportReport gives the month as a spreadsheet or as comma-separated text, after its line in the centre's log.
func (k *call) exportReport() error {
	format := k.r.PostFormValue("format")
	if format != "xlsx" && format != "csv" {
		return fielderr.Errors{{Field: "format", Rule: "err.choice"}}
	}
	v, err := k.countMonth(k.r.PostFormValue("month"))
	if err != nil {
		return err
	}
	if err := k.note("report.export", v.Value, "ok"); err != nil {
		return err
	}
	rows := k.reportTable(v)
	kind := "text/csv; charset=utf-8"
	var b []byte
	if format == "csv" {
		b, err = table.CSV(rows)
	} else {
		kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
		b, err = table.XLSX(k.p.T("console.report"), rows)
	}
	if err != nil {
		return err
	}
	k.w.Header().Set("Content-Type", kind)
	k.w.Header().Set("Content-Disposition", `attachment; filename="campuskeep-report-`+v.Value+"."+format+`"`)
	k.send(http.StatusOK, b)
	return nil
}

func (k *call) reportTable(v reportView) []table.Cells {
	var head table.Cells
	for _, key := range []string{"console.school", "console.report.id", "console.cameras", "console.report.kept", "console.report.camera", "console.report.gaps", "console.report.missing",
		"console.report.early", "console.report.unwitnessed", "console.report.submitted", "console.report.overdue"} {
		head = append(head, k.p.T(key))
	}
	rows := []table.Cells{{k.p.T("console.report.of", v.Value, k.p.Stamp(v.Now))}, head}
	for _, r := range v.Rows {
		var kept any = keptDays(r.Kept)
		if r.Kept < 0 {
			kept = ""
		}
		rows = append(rows, table.Cells{r.Name, r.Appliance, r.Cameras, kept, words.Subject(k.p, r.KeptCamera), r.Gaps, math.Round(r.Missing.Hours()*10) / 10, r.Early, r.Unwitnessed, r.Submitted, r.Overdue})
	}
	return rows
}
