package timeline

import (
	"slices"
	"testing"
	"time"

	"campuskeep/shared/footage"
)

// Covers F3: the minute that is being written is not shown as missing, and a camera that came back is not shown
// as recorded before it did.
func TestWhatIsBeingWrittenIsNotMissing(t *testing.T) {
	now := time.Date(2026, 5, 20, 9, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return now.Add(time.Duration(s) * time.Second) }
	run := func(a, b int) footage.Span { return footage.Span{From: at(a), To: at(b)} }
	for _, tc := range []struct {
		name  string
		runs  []footage.Span
		since int
		want  []footage.Span
	}{
		{"steady", []footage.Span{run(-900, -50)}, -3600, []footage.Span{run(-900, 0)}},
		{"just come back", []footage.Span{run(-900, -300)}, -20, []footage.Span{run(-900, -300), run(-20, 0)}},
		{"nothing before", nil, -30, []footage.Span{run(-30, 0)}},
	} {
		given := slices.Clone(tc.runs)
		if got := UntilNow(tc.runs, at(tc.since), now); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
		if !slices.Equal(given, tc.runs) {
			t.Errorf("%s: the kept runs of the index were changed", tc.name)
		}
	}
}
