package ledger

import "testing"

// Every kind is bounded: by a limit when a device can cause it, by what is said of it otherwise.
func TestEveryKindIsBounded(t *testing.T) {
	for kind, spec := range Kinds {
		limit, limited := Limits[kind]
		why, otherwise := Unlimited[kind]
		switch {
		case limited == otherwise:
			t.Errorf("%s: it stands in Limits (a device can cause it) or in Unlimited (and why not), in one of the two", kind)
		case limited && limit.PerHour <= 0, otherwise && why == "":
			t.Errorf("%s: nothing bounds it", kind)
		}
		names := map[string]bool{"": true}
		for _, f := range spec.Data {
			names[f.Name] = true
		}
		if limited && (!names[limit.Variant] || limit.Join && (!names["from"] || !names["to"] || !names["count"])) {
			t.Errorf("%s: its limit names fields that it does not have", kind)
		}
	}
	for kind := range Limits {
		if _, known := Kinds[kind]; !known {
			t.Errorf("%s is no kind", kind)
		}
	}
	for kind := range Unlimited {
		if _, known := Kinds[kind]; !known {
			t.Errorf("%s is no kind", kind)
		}
	}
}
