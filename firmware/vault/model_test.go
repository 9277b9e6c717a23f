package vault

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"campuskeep/firmware/disk/disktest"
	"campuskeep/shared/footage"
)

// model is what must be true of a vault whatever happens to its disk.
type model struct {
	b         *box
	boot      int
	minute    map[string]int
	writing   map[string]*Writer
	writers   []*Writer              // of this run
	put       map[footage.FileID]int // fragments taken
	durable   map[footage.FileID]int // fragments taken before a sync that succeeded
	deleted   map[footage.FileID]bool
	condemned []footage.Segment // could not be unlinked for certain
	faults    []func()          // that are switched on
}

var modelCameras = []string{"c01", "c02", "c03"}

func (m *model) begin(camera string) {
	m.minute[camera]++
	w, err := m.b.v.Begin(meta(camera, fmt.Sprint("boot-", m.boot), m.minute[camera]))
	if err != nil {
		m.b.t.Fatal(err)
	}
	m.writing[camera] = w
	m.writers = append(m.writers, w)
}

// fragment is what a recorder does: after a disk error it goes on in another segment.
func (m *model) fragment(camera string) {
	for range 2 {
		w := m.writing[camera]
		if w == nil {
			m.begin(camera)
			w = m.writing[camera]
		}
		err := put(w, m.minute[camera], m.put[w.file])
		if err == nil {
			m.put[w.file]++
			return
		}
		if !errors.Is(err, ErrAbandoned) {
			m.b.t.Fatal(err)
		}
		m.close(camera)
	}
}

func (m *model) close(camera string) {
	if w := m.writing[camera]; w != nil {
		if err := w.Close(); err != nil {
			m.b.t.Fatal(err)
		}
		m.writing[camera] = nil
	}
}

func (m *model) flush() {
	if m.b.v.Flush(m.b.t.Context()) != nil {
		return
	}
	for _, w := range m.writers {
		if n := m.put[w.file]; n > 0 && w.failed.Load() == nil {
			m.durable[w.file] = n
		}
	}
}

func (m *model) mend() {
	for _, restore := range m.faults {
		restore()
	}
	m.faults = nil
	for _, camera := range modelCameras { // the segments of the time of the faults end
		m.close(camera)
	}
	m.b.flush()
	m.unlink(m.condemned)
	if _, err := m.b.v.Repair(m.b.t.Context()); err != nil {
		m.b.t.Fatal(err)
	}
	if _, err := m.b.v.Reconcile(m.b.t.Context(), nothingDies, nil); err != nil {
		m.b.t.Fatal(err)
	}
}

func (m *model) restart() {
	m.b = start(m.b.t, m.b.dir)
	m.boot++
	clear(m.writing)
	clear(m.put)
	m.writers, m.faults = nil, nil
}

// holds compares the vault with what was promised.
func (m *model) holds(rt *rapid.T) {
	rows := map[footage.FileID]footage.Segment{}
	for _, camera := range modelCameras {
		for _, s := range m.b.rows(camera) {
			rows[s.File] = s
			if err := m.b.readWhole(s, s.Frags); err != nil {
				rt.Fatal(err) // rapid keeps how it came to it
			}
		}
	}
	for f, n := range m.durable {
		if s, ok := rows[f]; !m.deleted[f] && (!ok || s.Frags < n) {
			rt.Fatalf("%s: %d fragments of %d that were durable, row %v", f, s.Frags, n, ok)
		}
	}
	for f := range m.deleted {
		if _, ok := rows[f]; ok {
			rt.Fatalf("%s is back", f)
		}
	}
	for _, f := range m.b.findings() {
		rt.Fatalf("check: %s %s: %s", f.Invariant, f.Where, f.What)
	}
}

// Any order of recording, disk errors, power cuts, kills, deletions and reconciles: what was durable is there and
// whole, what was deleted stays deleted, and the check is clean once the disk is. Covers F3, I3, I7.
func TestWhateverHappensToTheDisk(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{b: start(t, t.TempDir()), minute: map[string]int{}, writing: map[string]*Writer{},
			put: map[footage.FileID]int{}, durable: map[footage.FileID]int{}, deleted: map[footage.FileID]bool{}}
		defer func() { m.b.kill() }()
		camera := rapid.SampledFrom(modelCameras)
		for range rapid.IntRange(10, 60).Draw(rt, "steps") {
			switch rapid.SampledFrom(modelSteps).Draw(rt, "step") {
			case "record":
				c := camera.Draw(rt, "camera")
				for range rapid.IntRange(1, 6).Draw(rt, "fragments") {
					m.fragment(c)
				}
			case "next segment":
				m.close(camera.Draw(rt, "camera"))
			case "next day":
				c := camera.Draw(rt, "camera")
				m.close(c)
				m.minute[c] = (m.minute[c]/1440 + 1) * 1440
			case "sync":
				m.flush()
			case "fault":
				m.fault(rt)
			case "mended":
				m.mend()
				m.holds(rt)
			case "delete":
				if len(m.condemned) == 0 {
					m.delete(camera.Draw(rt, "camera"))
				}
			case "power cut":
				m.b.disk.PowerCut(t, newRand(rapid.Uint64().Draw(rt, "what survives")))
				m.b.kill()
				m.restart()
				m.mend()
				m.holds(rt)
			case "stop":
				m.mend()
				m.b.end()
				m.restart()
				m.holds(rt)
			}
		}
		m.mend()
		m.holds(rt)
	})
}

var modelSteps = []string{"record", "record", "record", "record", "record", "next segment", "next day", "sync", "sync", "sync", "sync",
	"fault", "fault", "fault", "mended", "delete", "power cut", "stop"}

func (m *model) fault(rt *rapid.T) {
	what := rapid.SampledFrom([]string{"create", "write", "write", "sync", "sync", "syncfs", "any sync", "any sync", "syncdir", "close", "remove", "mkdir", "readdir", "open", "read"}).Draw(rt, "operation")
	where := rapid.SampledFrom([]string{"", "c01", "c02"}).Draw(rt, "camera")
	if what == "syncfs" {
		where = ""
	}
	match := disktest.Match(what, where)
	if what == "any sync" { // of the file system, because of this camera's bytes
		match = func(o disktest.Op) bool {
			return o.What == "syncfs" || o.What == "sync" && strings.HasPrefix(o.Name, where)
		}
	}
	after, times := rapid.IntRange(0, 3).Draw(rt, "after"), rapid.IntRange(0, 4).Draw(rt, "times")
	if what == "any sync" {
		after, times = 0, 0
	}
	m.faults = append(m.faults, m.b.disk.Fail(disktest.Rule{Match: match, After: after, Times: times,
		Err:  rapid.SampledFrom([]error{syscall.EIO, syscall.ENOSPC, syscall.EROFS}).Draw(rt, "error"),
		Done: what != "create" && what != "open" && what != "any sync" && rapid.Bool().Draw(rt, "done all the same")}))
}

// delete takes the oldest segments of a camera away, as retention does.
func (m *model) delete(camera string) {
	rows := m.b.rows(camera)
	m.unlink(rows[:min(len(rows), 3)])
}

func (m *model) unlink(rows []footage.Segment) {
	failed := m.b.v.Unlink(m.b.t.Context(), rows)
	m.condemned = nil
	for _, f := range failed {
		m.condemned = append(m.condemned, f.Segment)
	}
	rows = slices.DeleteFunc(rows, func(s footage.Segment) bool { return slices.Contains(m.condemned, s) })
	if err := m.b.v.DropRows(rows); err != nil {
		m.b.t.Fatal(err)
	}
	for _, s := range rows {
		m.deleted[s.File] = true
	}
}
