package backfill

import (
	"context"
	"fmt"
	"strings"
	"time"

	"campuskeep/firmware/emergency"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/scripts/sim/school"
	"campuskeep/shared/absence"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	rules "campuskeep/shared/emergency"
	"campuskeep/shared/ledger"
)

// who is one of the school's people at an office of the school.
func who(s school.Filled, login string, classes ...string) account.Who {
	for _, a := range s.Accounts {
		if a.Login == login || a.ID == login {
			return account.Who{Actor: account.Actor{ID: a.ID, Roles: a.Roles, SecondFactor: a.Secret != nil, Classes: classes},
				From: ledger.From{Address: "192.168.1.21", Device: "Chrome/Windows"}, Via: ledger.ViaWeb}
		}
	}
	panic("the demo school has no " + login)
}

// drillTime is a school morning of some days ago that the past has not reached yet; zero when there is none.
func (f *filler) drillTime(end time.Time) time.Time {
	for days := 9; days > 0; days-- {
		d := f.Now.In(f.zone).AddDate(0, 0, -days)
		at := time.Date(d.Year(), d.Month(), d.Day(), 10, 20, 0, 0, f.zone)
		day, _, err := f.a.Site.Calendar().Day(at.Format(time.DateOnly))
		if err == nil && day.School && at.After(f.clock.Wall().Add(time.Hour)) && at.Before(end.Add(-time.Hour)) {
			return at
		}
	}
	return time.Time{}
}

// prepare writes the plans for emergencies and what patrols found, and holds a fire drill in which every class is counted.
func (f *filler) prepare(ctx context.Context, s school.Filled, end time.Time) error {
	zheng, date := who(s, "zheng"), func(days int) string { return f.Now.In(f.zone).AddDate(0, 0, days).Format(time.DateOnly) }
	for _, p := range []rules.Plan{
		{Title: "教学楼火灾疏散预案", Kind: rules.Fire, Muster: "操场跑道内侧，按班级地标集合", Months: 6, Announced: date(-25), Review: date(200),
			Text: "一、发现火情：就近按下手动报警按钮，报告安保科，拨打 119。\n二、听到警铃：任课教师带队，从就近楼梯靠右下楼，不乘电梯，不回教室取物。\n三、到集合点：班主任用手机清点，缺一人报一人。\n四、校医带急救箱到集合点；安保员在校门接应消防车。\n五、未经总控同意，任何人不得返回楼内。"},
		{Title: "地震避险与疏散预案", Kind: rules.Earthquake, Muster: "操场中央，远离看台和围墙", Months: 6, Announced: date(-25), Review: date(200),
			Text: "一、震时：就近躲在桌下或内墙角，护住头颈，不跳楼，不奔跑。\n二、震后：按火灾疏散路线到操场中央。\n三、班主任清点并上报，受伤学生就地等校医。"},
	} {
		if _, err := f.a.Emergency.PutPlan(ctx, zheng, account.RoleHeadOfSafety, p, "", 0); err != nil {
			return fmt.Errorf("plan %s: %w", p.Title, err)
		}
	}
	at := f.drillTime(end)
	if at.IsZero() {
		return nil
	}
	if err := f.moveTo(ctx, at.Add(-3*time.Hour)); err != nil {
		return err
	}
	var places []string
	for _, p := range f.a.Site.Places() {
		places = append(places, p.ID)
	}
	patrol := rules.Patrol{Date: at.Format(time.DateOnly), Clock: "07:15", Place: places[0], Findings: "东侧疏散通道堆放两辆自行车", Action: "已移走，通知总务处加装禁停标志"}
	if err := f.a.Emergency.PutPatrol(ctx, who(s, "zhou"), account.RoleOfficer, patrol, places); err != nil {
		return fmt.Errorf("patrol: %w", err)
	}
	if err := f.moveTo(ctx, at); err != nil {
		return err
	}
	return f.drill(ctx, s, zheng)
}

// drill opens a fire drill, lets every class teacher count, and closes it with its record.
func (f *filler) drill(ctx context.Context, s school.Filled, zheng account.Who) error {
	e, err := f.a.Emergency.Begin(ctx, zheng, account.RoleHeadOfSafety, rules.Event{Kind: rules.Fire, Drill: true, Detail: "教学楼全楼", Whole: true})
	if err != nil {
		return fmt.Errorf("open a drill: %w", err)
	}
	board, err := f.a.Emergency.Board(e.ID)
	if err != nil {
		return err
	}
	var late []emergency.Mark
	for i, c := range board.Classes {
		if err := f.moveTo(ctx, f.clock.Wall().Add(11*time.Second)); err != nil {
			return err
		}
		b := emergency.Batch{ID: fmt.Sprintf("phone%s", strings.ReplaceAll(c.Class, "-", "")), Class: c.Class, Done: true}
		for k, p := range c.Pupils {
			m := emergency.Mark{Student: p.Student, State: rules.Safe}
			switch {
			case p.Presence == rules.Away:
				continue
			case i == 4 && k == 7:
				m.State, m.Note = rules.Missing, "下楼时还在队尾"
				late = append(late, emergency.Mark{Student: p.Student, State: rules.Safe, Note: "在三楼卫生间，由美术教师带到集合点"})
			case i == 8 && k == 2:
				m.State, m.Note = rules.Injured, "下楼梯时扭伤右脚踝"
			}
			b.Marks = append(b.Marks, m)
		}
		if err := f.a.Emergency.Say(ctx, who(s, c.Head, c.Class), account.RoleClassTeacher, e.ID, b); err != nil {
			return fmt.Errorf("count of %s: %w", c.Class, err)
		}
	}
	if err := f.moveTo(ctx, f.clock.Wall().Add(40*time.Second)); err != nil {
		return err
	}
	for i, m := range late {
		if err := f.a.Emergency.Say(ctx, who(s, "bai"), account.RoleSubjectTeacher, e.ID, emergency.Batch{ID: fmt.Sprintf("phonefound%d", i+1), Marks: []emergency.Mark{m}}); err != nil {
			return fmt.Errorf("found: %w", err)
		}
	}
	if err := f.moveTo(ctx, f.clock.Wall().Add(time.Minute)); err != nil {
		return err
	}
	if err := f.a.Emergency.Close(ctx, zheng, account.RoleHeadOfSafety, e.ID, ""); err != nil {
		return fmt.Errorf("close the drill: %w", err)
	}
	if err := f.moveTo(ctx, f.clock.Wall().Add(2*time.Hour)); err != nil {
		return err
	}
	e, _ = f.a.Emergency.Event(e.ID)
	n := e.Record
	n.Investigation, n.Measures, n.Lessons = "演练按预案进行，各班均由任课教师带队到集合点。", "三楼东侧楼梯增派一名引导教师；疏散前由班主任检查卫生间。", "队尾须有一名教师；清点前先报到集合点的人数。"
	for i := range n.Injured {
		n.Injured[i].Course = "校医室冷敷，当日回班；家长已知。"
	}
	if err := f.a.Emergency.PutRecord(ctx, zheng, account.RoleHeadOfSafety, e.ID, n, "", f.a.Emergency.Rev(e.ID)); err != nil {
		return fmt.Errorf("record of the drill: %w", err)
	}
	return nil
}

// leave asks for two leaves of the present days: one is approved, one waits for its grade head.
func (f *filler) leave(ctx context.Context, s school.Filled) error {
	today := f.Now.In(f.zone)
	at := func(days, hour int) time.Time {
		d := today.AddDate(0, 0, days)
		return time.Date(d.Year(), d.Month(), d.Day(), hour, 0, 0, 0, f.zone)
	}
	for _, x := range []struct {
		pupil    int
		kind     attendance.LeaveKind
		from, to int // days from today
		reason   string
		approve  bool
	}{
		{5, attendance.Sick, 0, 0, "发热，已就诊，医嘱休息一天", true},
		{9, attendance.Personal, 1, 7, "外地探望祖父母", false},
	} {
		card := s.Cards[x.pupil]
		class, _ := f.a.People.Class(card.Class)
		r := absence.Request{Student: card.Student, Class: card.Class, Kind: x.kind, From: at(x.from, 8), To: at(x.to, 17), Reason: x.reason, Via: "phone"}
		var err error
		if r.Days, err = absence.SchoolDays(f.a.Site.Calendar(), r.From, r.To); err != nil {
			return err
		}
		if _, err := f.a.Absence.AskLeave(ctx, who(s, class.Head(today.Format(time.DateOnly)), card.Class), account.RoleClassTeacher, r, x.approve, ledgerdb.Change{}); err != nil {
			return fmt.Errorf("leave of %s: %w", card.Student, err)
		}
	}
	return nil
}
