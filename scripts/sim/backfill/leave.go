package backfill

import (
	"context"
	"fmt"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/scripts/sim/school"
	"campuskeep/shared/absence"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/ledger"
)

// leave registers leave in the first classes: two of today, and one of a week that waits for the grade head.
func (f *filler) leave(ctx context.Context, s school.Filled) error {
	if len(s.Cards) < 60 {
		return nil // too small a school
	}
	d := f.Now.In(f.zone)
	day := func(n int) time.Time { return time.Date(d.Year(), d.Month(), d.Day()+n, 0, 0, 0, 0, f.zone) }
	for _, x := range []struct {
		pupil  int
		kind   attendance.LeaveKind
		days   int
		reason string
		now    bool
	}{
		{3, attendance.Sick, 1, "发热三十八度二，已到社区医院就诊", true},
		{11, attendance.Personal, 1, "随家长办理户口迁移", true},
		{21, attendance.Sick, 7, "手足口病，医嘱居家隔离", false},
		{45, attendance.Official, 1, "参加区小学生合唱比赛", true},
	} {
		card := s.Cards[x.pupil]
		class, ok := f.a.People.Class(card.Class)
		if !ok {
			return fmt.Errorf("the demo school has no class %s", card.Class)
		}
		head := class.Head(d.Format(time.DateOnly))
		by := account.Who{Actor: account.Actor{ID: head, Roles: []account.Role{account.RoleClassTeacher}}, From: ledger.From{Address: "192.168.1.33", Device: "Chrome/Android"}, Via: ledger.ViaWeb}
		_, err := f.a.Absence.AskLeave(ctx, by, account.RoleClassTeacher, absence.Request{Student: card.Student, Class: card.Class, Kind: x.kind, From: day(0), To: day(x.days), Reason: x.reason, Via: "phone"}, x.now, ledgerdb.Change{})
		if err != nil {
			return fmt.Errorf("leave of pupil %d: %w", x.pupil, err)
		}
	}
	return nil
}
