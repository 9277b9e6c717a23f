package retention

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// years writes the log of 64 cameras: for every hour its recording and, thirty days later, its deletion.
func (h *env) years(days int) {
	h.t.Helper()
	const cameras = 64
	begin := h.clock.Now().Wall.Truncate(day)
	for n := range days * 24 {
		at := begin.Add(time.Duration(n+1)*time.Hour + time.Minute)
		h.clock.Change(func(r *clock.Reading) { r.Mono += at.Sub(r.Wall); r.Wall = at })
		var list []ledger.Draft
		for c := range cameras {
			id := fmt.Sprintf("c%02d", c+1)
			hour := begin.Add(time.Duration(n) * time.Hour)
			entry := func(hour time.Time) map[string]any {
				return map[string]any{"hour": hour, "count": 60, "root": make([]byte, 32), "first": hour, "last": hour.Add(time.Hour), "bytes": 43_000_000, "days": []string{hour.Format(time.DateOnly)}}
			}
			list = append(list, draft("footage.recorded", id, entry(hour)))
			gone := hour.Add(-30 * day)
			if gone.Before(begin) {
				continue
			}
			d := entry(gone)
			d["assurance"] = "best_effort"
			list = append(list, draft("footage.deleted", id, d))
			if gone.Hour() == 23 {
				list = append(list, draft("key.erased", id, map[string]any{"ring": "footage", "keys": []string{id + ":" + gone.Format(time.DateOnly)}}))
			}
		}
		_, err := h.store.Commit(h.t.Context(), ledgerdb.Change{Entries: list})
		h.must(err)
	}
}

// BenchmarkCertificates makes a certificate, a report and a page of the list over the log of a school of 64 cameras.
func BenchmarkCertificates(b *testing.B) {
	h := newEnv(b)
	for n := range 64 {
		h.cameras = append(h.cameras, footage.Camera{ID: fmt.Sprintf("c%02d", n+1), Policy: footage.Policy{Days: 30}})
	}
	first := h.clock.Now().Wall.Truncate(day)
	h.years(120)
	p := h.certificates()
	label := first.Add(40 * day).Format(time.DateOnly)
	b.Run("certificate", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := p.Issue(b.Context(), officer, account.RoleOfficer, "c07", label); err != nil {
				b.Fatal(err)
			}
		}
		c, _, err := p.Issue(b.Context(), officer, account.RoleOfficer, "c07", label)
		h.must(err)
		b.ReportMetric(float64(len(c.Format())), "B/certificate")
		b.ReportMetric(float64(len(c.Nodes)), "hashes")
		b.ReportMetric(float64(h.store.Size()), "entries")
	})
	var all []string
	for n := range 64 {
		all = append(all, fmt.Sprintf("c%02d", n+1))
	}
	month := first.Add(45 * day).Format("2006-01")
	for _, cameras := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("month/%d", cameras), func(b *testing.B) {
			before := processorTime(b)
			for b.Loop() {
				if _, err := p.Months(b.Context(), all[:cameras], month); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((processorTime(b)-before).Milliseconds())/float64(b.N), "cpu-ms/op")
		})
	}
	b.Run("list", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := p.DeletedDays(b.Context(), DayFilter{Camera: "c07", Limit: 30}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// processorTime is what the process has used, on a machine that does other things too.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
