package usage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
)

// opening gives the viewing id of an opening entry.
func opening(e ledger.Entry) (string, bool) {
	if e.Kind != "footage.access.open" {
		return "", false
	}
	var d struct {
		Viewing string `json:"viewing"`
	}
	err := json.Unmarshal(e.Data, &d)
	return d.Viewing, err == nil && d.Viewing != ""
}

// dutyRoles are those under which footage may be seen without an application.
var dutyRoles = []string{string(account.RoleOfficer), string(account.RoleHeadOfSafety), string(account.RoleLeader)}

// Check verifies I5 and reports every breach: each opening entry names an application or a duty role and has
// its closing entry. Viewings that are open on a running box, or that the next start will close, are no breach.
func Check(ctx context.Context, s *ledgerdb.Store, report func(ledgerdb.Finding)) error {
	open := map[string]uint64{}
	var lost []uint64
	for entry, err := range s.Entries(0, s.Size()) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if errors.Is(err, ledgerdb.ErrDamaged) {
			lost = append(lost, entry.Seq) // named by the check of the log; what it said is not known
			continue
		}
		if err != nil {
			return fmt.Errorf("check the access entries: %w", err)
		}
		switch entry.Kind {
		case "footage.access.open":
			checkOpening(entry, open, report)
		case "footage.access.close":
			checkClosing(entry, open, len(lost) > 0, report)
		}
	}
	err := s.View(func(tx ledgerdb.Tx) error {
		for id, row := range viewings.Rows(tx, "") {
			if _, ok := open[id]; !ok {
				report(finding("row", "row viewings/"+id, "an open viewing without an opening entry"))
			}
			if row.Err != nil {
				report(finding("row", "row viewings/"+id, row.Err.Error()))
			}
			delete(open, id)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("check the open viewings: %w", err)
	}
	for _, id := range slices.Sorted(maps.Keys(open)) {
		detail := "viewing " + id + " has no closing entry"
		if len(lost) > 0 && lost[len(lost)-1] > open[id] {
			detail += "; it may be among the entries that cannot be read"
		}
		report(finding("unclosed", fmt.Sprintf("entry %d", open[id]), detail))
	}
	return nil
}

func checkOpening(e ledger.Entry, open map[string]uint64, report func(ledgerdb.Finding)) {
	where := fmt.Sprintf("entry %d", e.Seq)
	id, ok := opening(e)
	if !ok {
		report(finding("opening", where, "no viewing is named"))
		return
	}
	if _, twice := open[id]; twice {
		report(finding("opening", where, "viewing "+id+" opens twice"))
	}
	open[id] = e.Seq
	var d struct {
		Ground      string `json:"ground"`
		Application string `json:"application"`
	}
	if err := json.Unmarshal(e.Data, &d); err != nil {
		report(finding("opening", where, err.Error()))
		return
	}
	duty := d.Ground == BasisDuty && slices.Contains(dutyRoles, e.Actor.Role)
	if !duty && (d.Ground != BasisGrant || d.Application == "") {
		report(finding("ground", where, "neither an application nor a duty role is named"))
	}
}

// checkClosing judges a closing entry; blind says that entries before it cannot be read, perhaps the opening one.
func checkClosing(e ledger.Entry, open map[string]uint64, blind bool, report func(ledgerdb.Finding)) {
	where := fmt.Sprintf("entry %d", e.Seq)
	var c closing
	if err := json.Unmarshal(e.Data, &c); err != nil {
		report(finding("closing", where, err.Error()))
		return
	}
	seq, ok := open[c.Viewing]
	if !ok && blind {
		return
	}
	if !ok || seq != c.Opened {
		report(finding("closing", where, "it closes no opening entry before it"))
		return
	}
	delete(open, c.Viewing)
}

func finding(what, where, detail string) ledgerdb.Finding {
	return ledgerdb.Finding{Invariant: "I5", What: what, Where: where, Detail: detail}
}
