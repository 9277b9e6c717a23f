package nvr_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/nvr"
	sim "campuskeep/scripts/sim/nvr"
	"campuskeep/shared/footage"
)

// Covers F1, F2: more fetches than fit a Change end with a change of their NVR: those before a cut once, and
// the row of the NVR is written last.
func TestMoreFetchesThanAChangeHolds(t *testing.T) {
	const n = ledgerdb.MaxRows + 1
	span := at(-50*time.Hour, -49*time.Hour)
	cut := errors.New("the power was cut")
	for name, c := range map[string]struct {
		row    func(i int) nvr.Fetch
		change func(r *rig, commit nvr.Commit) error
		reason string
		parts  bool // it commits through a function of the caller, which can fail
	}{
		"channels": {
			func(int) nvr.Fetch { return nvr.Fetch{State: nvr.FetchDone, Done: []footage.Span{span}} },
			func(r *rig, _ nvr.Commit) error {
				return r.Reassign(t.Context(), technician, "n01", r.Revision("n01"), map[string]int{"c01": 2}, time.Time{})
			}, "rewired", false,
		},
		"retired": {
			func(int) nvr.Fetch { return nvr.Fetch{State: nvr.FetchWaiting} },
			func(r *rig, commit nvr.Commit) error {
				return r.Retire(t.Context(), technician, "n01", r.Revision("n01"), "too old", []string{"c01"}, commit)
			}, "retired", true,
		},
		"another machine": {
			func(int) nvr.Fetch { return nvr.Fetch{State: nvr.FetchWaiting} },
			func(r *rig, commit nvr.Commit) error {
				r.nvr.SetSerial("another")
				return r.Edit(t.Context(), technician, "n01", r.edit(func(e *nvr.Edit) { e.Swap = &nvr.Swap{Reason: "new board", Disks: true} }), commit)
			}, "gone", true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(o *sim.Options) {
				o.Channels = append(o.Channels, sim.Channel{ID: 2, Name: "two", Online: true, Days: 30, Keep: true, Pieces: sim.Hours(noon.Add(-30*day), noon)})
			})
			r.register()
			r.check()
			var puts []ledgerdb.Put
			for i := range n {
				f := c.row(i)
				f.ID, f.NVR, f.Camera, f.Track, f.Span, f.Ground, f.Asked = fmt.Sprintf("f%06d", i), "n01", "c01", "101", span, fmt.Sprintf("a%d", i), noon
				puts = append(puts, nvr.FetchPut(f))
			}
			for part := range slices.Chunk(puts, ledgerdb.MaxRows) {
				_, err := r.store.Commit(t.Context(), ledgerdb.Change{Puts: part})
				r.must(err)
			}
			rev := r.Revision("n01")
			if c.parts {
				err := c.change(r, func(context.Context, ledgerdb.Change, nvr.Target) (ledgerdb.Receipt, error) {
					return ledgerdb.Receipt{}, cut
				})
				if !errors.Is(err, cut) || r.Revision("n01") != rev {
					t.Fatalf("%v, revision %d", err, r.Revision("n01"))
				}
			}
			r.world.pass(time.Hour)
			rows := 0
			r.must(c.change(r, func(ctx context.Context, ch ledgerdb.Change, _ nvr.Target) (ledgerdb.Receipt, error) {
				rows = len(ch.Puts)
				return r.store.Commit(ctx, ch)
			}))
			if r.Revision("n01") == rev || c.parts && rows < 2 {
				t.Errorf("revision %d, %d rows with it", r.Revision("n01"), rows)
			}
			all, err := r.Fetches()
			r.must(err)
			for _, f := range all {
				if !f.State.Ended() || f.Reason != c.reason || len(f.Done) != 0 {
					t.Fatalf("%+v", f)
				}
			}
			if len(all) != n || c.parts && slices.IndexFunc(all, func(f nvr.Fetch) bool { return !f.Ended.Equal(noon) }) != n/512*512 {
				t.Errorf("%d fetches, or some that were over before the cut ended again", len(all))
			}
		})
	}
}
