package driver

import (
	"encoding/json"
	"testing"
)

// Rows of earlier versions hold numbers, and earlier versions read them.
func TestTrackIDsKeepTheirStoredForm(t *testing.T) {
	for id, want := range map[TrackID]string{"": "0", "101": "101", "0": `"0"`, "007": `"007"`, "4294967296": `"4294967296"`, "main-1": `"main-1"`} {
		b, err := json.Marshal(id)
		if err != nil || string(b) != want {
			t.Errorf("%q becomes %s, %v; want %s", id, b, err, want)
		}
		var back TrackID
		if err := json.Unmarshal(b, &back); err != nil || back != id {
			t.Errorf("%s becomes %q, %v; want %q", b, back, err, id)
		}
	}
	for _, s := range []string{"-1", "1.5", "{}", "null1"} {
		var id TrackID
		if err := json.Unmarshal([]byte(s), &id); err == nil {
			t.Errorf("%s becomes %q", s, id)
		}
	}
}
