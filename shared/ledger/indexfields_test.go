package ledger

import (
	"bytes"
	"testing"
	"time"

	"campuskeep/shared/clock"
)

// glanced are entries in all the shapes that the common packages write.
func glanced(t testing.TB) (leaves [][]byte) {
	at := time.Date(2026, 5, 20, 7, 31, 2, 123e6, time.UTC)
	span := []map[string]any{{"from": at, "to": at.Add(time.Hour)}, {"from": at, "to": at}}
	for i, d := range []Draft{
		{Actor: System, Via: ViaSystem, Kind: "system.stop"},
		{Actor: Actor{ID: "r01"}, From: &From{Device: "r01"}, Via: ViaGate, Kind: "attendance.tap", Subject: "s0001", Data: map[string]any{"reader": "r01", "card": make([]byte, 32), "student": "s0001",
			"class": "2024-03", "direction": "in", "outcome": "late", "reasons": []string{"tap", "late"}, "late_min": 4, "date": "2026-05-20"}},
		{Actor: Actor{ID: "p007", Role: "staff"}, From: &From{Address: "10.0.0.9", Terminal: "gate house"}, Via: ViaWeb, Kind: "application.submitted", Subject: "a2026-0001",
			Data: map[string]any{"places": 2, "spans": span, "way": "view"}, Sealed: []Part{{Name: "purpose", Owner: "application:a2026-0001", Plain: []byte("x")}, {Name: "form", Owner: "application:a2026-0001"}}},
		{Actor: System, Via: ViaSystem, Kind: "clock.anchor", Data: map[string]any{"boot": "b1", "mono": -1, "utc": at, "uncertainty_ms": 0}},
		{Actor: System, Via: ViaSystem, Kind: "system.start", Data: map[string]any{"version": "0.1.0", "clean": true}},
	} {
		var e Entry
		p, err := Prepare(&e, d, bytes.NewReader(make([]byte, 1024)))
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := p.Encode(Place{Seq: uint64(i), At: at.Add(time.Duration(i) * time.Second), Clock: ClockRef{State: clock.Trusted, Boot: "b1", Mono: 5},
			Rows: []RowRef{{Table: "taps", Key: "2026-05-20/s0001", Rev: 3, Sum: make([]byte, 16)}, {Table: "days", Key: "k", Rev: 1}}[:i%3]})
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, bytes.Clone(leaf))
	}
	return leaves
}

// What the packages commonly write is read by ParseIndexFields, and says the same as the careful
// reading.
func TestParseIndexFields(t *testing.T) {
	for _, leaf := range glanced(t) {
		g, ok := ParseIndexFields(leaf)
		if !ok {
			t.Errorf("not read: %s", leaf)
		}
		agree(t, leaf, g)
	}
}

func agree(t *testing.T, leaf []byte, g IndexFields) {
	t.Helper()
	e, err := ParseEntry(leaf)
	if err != nil {
		t.Fatalf("%s: a glance accepts what is no entry: %v", leaf, err)
	}
	if err := e.Check(); err != nil {
		t.Errorf("%s: a glance accepts what does not fit the table: %v", leaf, err)
	}
	if e.Seq != g.Seq || !e.At.Equal(g.At) || e.Kind != g.Kind || e.Subject != g.Subject {
		t.Errorf("%s: a glance says %+v", leaf, g)
	}
}

// One changed byte is never read as something else than the careful reading says.
func TestIndexFieldsOfChangedLeaves(t *testing.T) {
	for _, leaf := range glanced(t) {
		for i := range leaf {
			for _, c := range []byte(`0a"}{],\<` + "\x00\xff") {
				bad := bytes.Clone(leaf)
				bad[i] = c
				if g, ok := ParseIndexFields(bad); ok {
					agree(t, bad, g)
				}
			}
		}
		if _, ok := ParseIndexFields(append(bytes.Clone(leaf), ' ')); ok {
			t.Error("bytes behind the entry are accepted")
		}
	}
}

func FuzzParseIndexFields(f *testing.F) {
	for _, leaf := range glanced(f) {
		f.Add(leaf)
	}
	f.Fuzz(func(t *testing.T, leaf []byte) {
		if g, ok := ParseIndexFields(leaf); ok {
			agree(t, leaf, g)
		}
	})
}

func BenchmarkParseIndexFields(b *testing.B) {
	leaf := glanced(b)[1]
	for b.Loop() {
		if _, ok := ParseIndexFields(leaf); !ok {
			b.Fatal("not read")
		}
	}
}

func BenchmarkParseEntry(b *testing.B) {
	leaf := glanced(b)[1]
	for b.Loop() {
		e, err := ParseEntry(leaf)
		if err == nil {
			err = e.Check()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
