package centre

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestMetricsCountSchoolsAndAlarms(t *testing.T) {
	cfg := Default()
	cfg.Centre.Data, cfg.Centre.Name, cfg.Centre.Names = t.TempDir(), "test", []string{"localhost"}
	c, err := Open(t.Context(), cfg, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := c.Store.PutToken(t.Context(), "ck-0001", "云汀第一小学", []byte("hash"), c.clock.Now().Wall.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	c.Metrics().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{`campuskeep_centre_schools{status="new"} 1`, "campuskeep_centre_open_alarms 0", "campuskeep_centre_entries 0", "campuskeep_centre_messages_total 0"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("missing %s in\n%s", want, w.Body)
		}
	}
}
