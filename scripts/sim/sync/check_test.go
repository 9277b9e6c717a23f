package sync_test

import (
	"bytes"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // to damage the centre's file behind its back

	"campuskeep/cloud/centre"
	"campuskeep/scripts/sim/sync"
)

// Whatever byte changes at the centre, its check says where. Covers I8.
func TestCheckNamesWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	cfg := sync.Config(dir)
	c := startCentre(t, cfg)
	b := startBox(t, c, t.TempDir())
	defer stop(t, "box", b.Stop)
	enrol(t, c, b)
	disconnect := b.Connect()
	commit(t, b, 700)
	eventually(t, "everything witnessed", func() bool { return witnessed(b) })
	stop(t, "uplink", disconnect)
	stop(t, "centre", c.Stop)
	var export bytes.Buffer
	if _, err := b.Store.Export(t.Context(), &export); err != nil {
		t.Fatal(err)
	}
	damage := func(query string) {
		t.Helper()
		db, err := sql.Open("sqlite", filepath.Join(dir, "centre.db"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(query); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	check := func(export string) string {
		t.Helper()
		c, err := centre.Open(t.Context(), cfg, centre.Deps{})
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		report := func(f centre.Finding) { found = append(found, f.String()) }
		if _, err := centre.CheckBox(t.Context(), c.Store, id, strings.NewReader(export), report); err != nil {
			t.Error(err)
		}
		stop(t, "centre", c.Close)
		return strings.Join(found, "\n")
	}
	if found := check(export.String()); found != "" {
		t.Errorf("nothing is wrong, but: %s", found)
	}
	if found := check(strings.Replace(export.String(), `"seq":123,`, `"seq":124,`, 1)); !strings.Contains(found, "entry 123") {
		t.Errorf("a changed export: %q", found)
	}
	for _, d := range []struct{ do, undo, want string }{
		{"UPDATE leaves SET leaf = leaf || x'20' WHERE seq = 77", "UPDATE leaves SET leaf = substr(leaf, 1, length(leaf) - 1) WHERE seq = 77", "leaf 77"},
		{"UPDATE leaves SET seq = 100000 WHERE seq = 500", "UPDATE leaves SET seq = 500 WHERE seq = 100000", "leaf 500"},
		{"UPDATE cursors SET checkpoint = x'00'", "", "checkpoint"},
	} {
		damage(d.do)
		if found := check(export.String()); !strings.Contains(found, d.want) {
			t.Errorf("%s: found %q", d.do, found)
		}
		if d.undo != "" {
			damage(d.undo)
		}
	}
}
