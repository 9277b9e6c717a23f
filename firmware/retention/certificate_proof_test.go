package retention

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/packet"
)

// The power goes in the middle of an hour and comes back after the summer: the certificate of that day has all of its
// footage and is about the hours that are missing. Covers F3.
func TestCertificateAfterASummerWithoutPower(t *testing.T) {
	for _, off := range []time.Duration{40 * day, 60 * day, 130 * day} {
		h := newEnv(t)
		h.enter("camera.registered", "c01", map[string]any{"custody": "vault", "area": "gate", "days": 30})
		label := h.clock.Now().Wall.Format(time.DateOnly)
		h.record("c01", 90)
		cut := h.clock.Now()
		h.clock.reboot("boot-2", cut.Wall)
		h.restart()
		h.note(footage.CausePowerOff, footage.Instant{Boot: cut.Boot, Mono: cut.Mono}, footage.Instant{Boot: "boot-2", Mono: h.clock.Now().Mono})
		h.clock.trust(cut.Wall.Add(off), 0)
		h.must(h.gaps().Settle(t.Context()))
		h.tick(2 * day)
		c, d := h.issue("c01", label)
		rest := packet.DaySpan(label, time.UTC).To.Sub(cut.Wall)
		if d.Recorded != 90 || d.Deleted != 90 || len(d.Gaps) != 1 || d.Gaps[0].Cause != footage.CausePowerOff || d.Missing != rest {
			t.Errorf("off for %v: recorded %d, deleted %d, gaps %+v, missing %v of %v", off, d.Recorded, d.Deleted, d.Gaps, d.Missing, rest)
		}
		if _, err := c.Verify(); err != nil {
			t.Error(err)
		}
	}
}

// An early deletion long after the day is explained by its breach, however long the camera keeps its footage.
func TestCertificateOfADayThatWentEarlyInItsThirdMonth(t *testing.T) {
	h := newEnv(t)
	h.enter("camera.registered", "c02", map[string]any{"custody": "vault", "area": "gate", "days": 90})
	label := h.clock.Now().Wall.Format(time.DateOnly)
	begin := h.clock.Now().Wall
	h.record("c02", 60)
	h.clock.Pass(2 * time.Hour)
	h.sweep()
	h.clock.Pass(60 * day)
	h.sweep()
	h.enter("footage.breach", "c02", map[string]any{"reason": "full", "from": begin, "to": begin.Add(2 * time.Hour)})
	b := h.entries("footage.recorded")[0]
	h.enter("footage.deleted", "c02", map[string]any{"hour": b.Hour, "count": b.Count, "root": b.Root, "first": b.First, "last": b.Last, "assurance": "best_effort", "days": []string{label}})
	h.enter("key.erase.intent", "c02", map[string]any{"ring": "footage", "keys": []string{"c02:" + label}})
	h.enter("key.erased", "c02", map[string]any{"ring": "footage", "keys": []string{"c02:" + label}})
	_, d, err := h.certificates().Day(t.Context(), "c02", label)
	h.must(err)
	if d.Unexcused || d.Early == 0 || len(d.Breaches) != 1 {
		t.Errorf("early by %v, breaches %+v, unexcused %v", d.Early, d.Breaches, d.Unexcused)
	}
}

// While an hour has more deleted than recorded there is no certificate.
func TestNoCertificateOfMoreThanWasBound(t *testing.T) {
	h := newEnv(t)
	label := h.wear("c01")
	b := h.entries("footage.deleted")[0]
	h.clock.Pass(-5*time.Hour - 30*time.Minute) // when the others went
	h.enter("footage.deleted", "c01", map[string]any{"hour": b.Hour.Add(5 * time.Hour), "count": 1, "root": b.Root, "first": b.First, "last": b.Last, "assurance": "best_effort", "days": []string{label}})
	_, d, err := h.certificates().Issue(t.Context(), officer, account.RoleOfficer, "c01", label)
	if !errors.Is(err, ErrNotOver) || d.Outcome != packet.OutcomeUnbound {
		t.Errorf("%v, %s", err, d.Outcome)
	}
}

// register enters a camera in the register, or its change, as the site does.
func (h *env) register(kind ledger.Kind, before, now footage.Camera) {
	h.t.Helper()
	sealed := func(name string, c footage.Camera) ledger.Part {
		b, err := json.Marshal(c)
		h.must(err)
		return ledger.Part{Name: name, Owner: "camera:" + c.ID, Plain: b}
	}
	d := draft(kind, now.ID, map[string]any{"custody": string(now.Custody), "days": now.Policy.Days})
	if kind == "camera.registered" {
		d.Data = map[string]any{"custody": string(now.Custody), "days": now.Policy.Days, "area": "gate"}
		d.Sealed = []ledger.Part{sealed("camera", now)}
	} else {
		d.Data = map[string]any{"custody": string(now.Custody), "days": now.Policy.Days, "what": []string{"place"}}
		d.Sealed = []ledger.Part{sealed("before", before), sealed("after", now)}
	}
	_, err := h.store.Commit(h.t.Context(), ledgerdb.Change{Entries: []ledger.Draft{d}})
	h.must(err)
}

// A camera that was moved is named as it was on the day, and kept as it was kept on the day. Covers F3.
func TestCertificateNamesTheCameraOfTheDay(t *testing.T) {
	h := newEnv(t)
	gate := footage.Camera{ID: "c01", Name: "东大门", Place: "大门", Custody: footage.CustodyVault, Policy: footage.Policy{Days: 30}}
	h.register("camera.registered", footage.Camera{}, gate)
	h.cameras[0] = gate
	label := h.clock.Now().Wall.Format(time.DateOnly)
	h.record("c01", 60)
	h.clock.Pass(day)
	hall := gate
	hall.Name, hall.Place, hall.Custody = "体育馆", "体育馆", footage.CustodyNVR
	h.register("camera.changed", gate, hall)
	h.cameras[0] = hall
	h.tick(32 * day)
	c, d := h.issue("c01", label)
	v, err := c.Verify()
	h.must(err)
	if v.Declared.Name != "东大门" || v.Declared.Place != "大门" || d.Outcome != packet.OutcomeErased {
		t.Errorf("%+v, %s", v.Declared, d.Outcome)
	}
	// Without the entry the certificate says of when the name is.
	h.enter("camera.registered", "c02", map[string]any{"custody": "vault", "area": "gate", "days": 90})
	h.cameras[1].Name = "食堂"
	label = h.clock.Now().Wall.Format(time.DateOnly)
	h.record("c02", 5)
	decl, _, err := h.certificates().Day(t.Context(), "c02", label)
	if !strings.HasPrefix(decl.Name, "食堂") || !strings.Contains(decl.Name, "at the time of issue") {
		t.Errorf("%+v, %v", decl, err)
	}
}

// Days that an NVR kept stay attested after the camera's footage has come to us.
func TestDaysThatAnNVRKeptStayAttested(t *testing.T) {
	h := newEnv(t)
	nvr := footage.Camera{ID: "c01", Name: "食堂", Place: "食堂", Custody: footage.CustodyNVR, Policy: footage.Policy{Days: 30}}
	h.register("camera.registered", footage.Camera{}, nvr)
	first := h.clock.Now().Wall
	check := func(oldest time.Time) {
		h.enter("nvr.checked", "c01", map[string]any{"nvr": "n01", "pieces": 1, "recorded_s": 1, "missing_s": 0, "gaps": 0, "days": 30, "oldest": oldest, "newest": h.clock.Now().Wall})
	}
	h.clock.Pass(2 * day)
	check(first)
	h.clock.Pass(40 * day)
	check(first.Add(10 * day))
	own := nvr
	own.Custody = footage.CustodyVault
	h.register("camera.changed", nvr, own)
	h.cameras[0] = own
	_, d, err := h.certificates().Day(t.Context(), "c01", first.Format(time.DateOnly))
	if err != nil || d.Outcome != packet.OutcomeAttested {
		t.Errorf("%v, %s", err, d.Outcome)
	}
	list, _, err := h.certificates().DeletedDays(t.Context(), DayFilter{Camera: "c01", Month: first.Format("2006-01"), Limit: 40})
	if err != nil || len(list) == 0 || !list[0].Attested {
		t.Errorf("%v, %+v", err, list)
	}
}

// The root key's turn goes with the certificate.
func TestCertificateCarriesTheTurnOfTheRoot(t *testing.T) {
	h := newEnv(t)
	h.worth = packet.AssurancePending
	label := h.wear("c01")
	if _, d := h.issue("c01", label); d.Assurance != packet.AssurancePending {
		t.Errorf("before the root was turned: %s", d.Assurance)
	}
	turn := map[string]any{"root": make([]byte, 32), "place": "tpm", "assurance": packet.AssuranceErased}
	h.enter("key.root", "", turn) // of a turn that failed
	if _, d := h.issue("c01", label); d.Assurance != packet.AssurancePending {
		t.Errorf("after a turn that failed: %s", d.Assurance)
	}
	h.enter("key.root.intent", "", turn)
	h.enter("key.root", "", turn)
	c, d := h.issue("c01", label)
	v, err := c.Verify()
	if err != nil || d.Assurance != packet.AssuranceErased || v.Day.Turned.Seq == 0 {
		t.Errorf("after: %v, %s, %+v", err, d.Assurance, v.Day.Turned)
	}
}
