package sync_test

import (
	"path/filepath"
	"testing"
	"time"

	"campuskeep/cloud/centre"
	"campuskeep/cloud/centredb/storetest"
	boxstore "campuskeep/firmware/ledgerdb"
	"campuskeep/scripts/sim/sync"
	"campuskeep/shared/ledger"
)

// backlog is how many entries wait at the box.
const backlog = 100_000

// fill commits a backlog as fast as the box can.
func fill(b *testing.B, box *sync.Box, n int) {
	b.Helper()
	const each = 500
	for i := 0; i < n; i += each {
		var drafts []ledger.Draft
		for j := range min(each, n-i) {
			drafts = append(drafts, sync.TapDraft(i+j))
		}
		if _, err := box.Store.Commit(b.Context(), boxstore.Change{Entries: drafts}); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkIngest(b *testing.B, cfg func(dir string) centre.Config, bare func(*testing.B, *sync.Centre) storetest.Baseline) {
	for b.Loop() {
		b.StopTimer()
		c, err := sync.StartCentre(cfg(b.TempDir()), centre.Deps{})
		if err != nil {
			b.Fatal(err)
		}
		box, err := sync.StartBox(b.TempDir(), id, c.Addresses.Enrol, c.Fingerprint(), nil)
		if err != nil {
			b.Fatal(err)
		}
		token, _, err := c.Enrol.Token(b.Context(), id, "一小")
		if err == nil {
			err = box.Uplink.Enrol(b.Context(), token)
		}
		if err != nil {
			b.Fatal(err)
		}
		fill(b, box, backlog)
		b.StartTimer()
		began := time.Now()
		disconnect := box.Connect()
		for {
			if n, _ := box.Store.Witnessed(); n >= backlog {
				break
			}
			<-time.After(time.Millisecond)
		}
		whole := time.Since(began)
		b.StopTimer()
		if err := disconnect(); err != nil {
			b.Fatal(err)
		}
		raw := bare(b, c)
		b.ReportMetric(backlog/whole.Seconds(), "entries/s")
		b.ReportMetric(backlog/raw.Batches.Seconds(), "bare-rows/s")
		b.ReportMetric(raw.Batches.Seconds()/whole.Seconds(), "of-bare-batches")
		b.ReportMetric(raw.AtOnce.Seconds()/whole.Seconds(), "of-bare-at-once")
		if err := box.Stop(); err != nil {
			b.Fatal(err)
		}
		if err := c.Stop(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// A backlog of 100,000 entries from the box's disk to the centre's acknowledgement, verified, over mutual TLS, beside
// inserting the same rows bare. Budget: ≥ 0.6 of raw COPY (design §10).
func BenchmarkBacklogSQLite(b *testing.B) {
	benchmarkIngest(b, sync.Config, func(b *testing.B, c *sync.Centre) storetest.Baseline {
		return storetest.BaselineSQLite(b, filepath.Join(c.Config.Centre.Data, "centre.db"))
	})
}

func BenchmarkBacklogPostgres(b *testing.B) {
	var dsn string
	benchmarkIngest(b, func(dir string) centre.Config {
		dsn = storetest.Server(b)
		c := sync.Config(dir)
		c.Database.Engine, c.Database.DSN = centre.EnginePostgres, dsn
		return c
	}, func(b *testing.B, _ *sync.Centre) storetest.Baseline { return storetest.BaselinePostgres(b, dsn) })
}
