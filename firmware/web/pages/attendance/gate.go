package attendance

import (
	"fmt"
	"slices"
	"time"

	"campuskeep/firmware/gate"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/lib/ui"
)

// gateView is the gate board. A class teacher sees the own classes only.
type gateView struct {
	Date     string
	Time     string
	School   bool
	Why      string
	Total    gate.Tally
	Arrival  *frame.Arrival
	Grades   []gradeView
	Recent   []tapRow
	Readers  []readerRow
	Offline  int
	All      bool // the whole school, not only some classes
	Leave    int
	Late     int
	BellText string
	Percent  string
}

type gradeView struct {
	Name    string
	Classes []classRow
}

type classRow struct {
	ID, Name, Full       string
	Tally                gate.Tally
	InW, LeaveX, LeaveW  string
	Leave, Late, Missing int
	Alarm                bool
}

type tapRow struct {
	Time, Name, Class string
	Tone, Icon, Text  string
	Reader            string
	Edge              string
}

type readerRow struct {
	Name, Text, Tone, Icon string
	State                  string
	Taps                   int
}

// gateSubject is a class teacher's own class, and nothing in particular for those who see the whole gate.
func gateSubject(c *call) (account.Subject, error) {
	s := account.Subject{Class: c.R.URL.Query().Get("class")}
	if s.Class == "" && len(c.Actor.Classes) > 0 {
		s.Class = c.Actor.Classes[0]
	}
	return s, nil
}

func (o *Pages) gatePage(c *call) error {
	v, err := o.board(c)
	if err != nil {
		return err
	}
	return c.Page("gate", c.P.T("gate.title"), v)
}

func (o *Pages) board(c *call) (gateView, error) {
	b, err := o.d.Gate.Board(c.Today())
	if err != nil {
		return gateView{}, fmt.Errorf("read the gate's board: %w", err)
	}
	all := c.Can(account.ActGateView, account.Subject{})
	if !all {
		b.Classes = slices.DeleteFunc(b.Classes, func(t gate.ClassTally) bool { return !slices.Contains(c.Actor.Classes, t.Class) })
		b.Recent = slices.DeleteFunc(b.Recent, func(e gate.Event) bool { return !slices.Contains(c.Actor.Classes, e.Class) })
		b.Total = gate.Tally{By: map[attendance.Outcome]int{}}
		for _, t := range b.Classes {
			b.Total.Expected += t.Expected
			b.Total.Attended += t.Attended
			b.Total.Missing += t.Missing
			b.Total.Away += t.Away
			for k, n := range t.By {
				b.Total.By[k] += n
			}
		}
	}
	v := gateView{Date: c.P.Date(c.Now.Wall), Time: c.P.ClockSec(c.Now.Wall), School: b.Day.School, Total: b.Total, All: all, Leave: b.Total.Away, Late: b.Total.By[attendance.Late]}
	if b.Day.Reason != "" {
		v.Why = c.P.K("att.r.", b.Day.Reason)
	}
	if all {
		v.Arrival = frame.DrawArrival(b, 720, 160, c.P)
	}
	v.BellText = c.P.T("gate.bell", c.P.Clock(b.Day.At(b.Hours.Bell)))
	if b.Total.Expected > 0 {
		v.Percent = fmt.Sprintf("%.1f%%", 100*float64(b.Total.Attended)/float64(b.Total.Expected))
	}
	v.Grades = o.grades(c, b)
	for _, e := range b.Recent {
		if r, ok := c.tapRow(e); ok && len(v.Recent) < 10 {
			v.Recent = append(v.Recent, r)
		}
	}
	for _, r := range b.Readers {
		row := readerRow{Name: o.ReaderName(r.ID), Taps: r.Taps, Tone: "ok", Icon: "ok", State: c.P.T("cam.online")}
		if s := string(r.State); s != "online" {
			row.Tone, row.Icon, row.State = "bad", "bad", c.P.K("reader.", s)
			v.Offline++
		}
		v.Readers = append(v.Readers, row)
	}
	return v, nil
}

// grades groups the classes as the calendar of the school names them.
func (o *Pages) grades(c *call, b gate.Board) []gradeView {
	var out []gradeView
	for _, t := range b.Classes {
		r := classRow{ID: t.Class, Name: t.Class, Full: t.Class, Tally: t.Tally, Leave: t.Away, Late: t.By[attendance.Late], Missing: t.Missing}
		grade := ""
		if cl, ok := o.d.People.Class(t.Class); ok {
			r.Full, r.Name = cl.Name(b.Date), c.P.T("gate.class", cl.No)
			grade = c.P.T("gate.grade", cl.Entry)
			if g := cl.Grade(b.Date); g > 0 {
				grade = gradeName(c.P, g)
			}
		}
		n := float64(max(1, t.Expected))
		r.InW, r.LeaveX, r.LeaveW = ui.Pct(float64(t.Attended)/n), ui.Pct(float64(t.Attended)/n), ui.Pct(float64(r.Leave)/n)
		r.Alarm = t.Missing > 2 && c.Now.Wall.After(b.Day.At(b.Hours.Bell))
		if k := len(out); k == 0 || out[k-1].Name != grade {
			out = append(out, gradeView{Name: grade})
		}
		out[len(out)-1].Classes = append(out[len(out)-1].Classes, r)
	}
	return out
}

func gradeName(p ui.Printer, g int) string {
	if p.Lang == ui.English {
		return p.T("gate.grade.n", g)
	}
	return [...]string{"", "一", "二", "三", "四", "五", "六", "七", "八", "九", "高一", "高二", "高三"}[g] + p.T("gate.grade.word")
}

// tapRow is one line of the live list, with names partly hidden: the board hangs on a wall.
func (c *call) tapRow(e gate.Event) (tapRow, bool) {
	r := tapRow{Time: c.P.ClockSec(e.At), Reader: c.o.ReaderName(e.Reader), Tone: "ok", Icon: "ok"}
	if e.Student != "" {
		r.Name = ui.Hide(c.o.d.People.Name(e.Student))
	}
	if cl, ok := c.o.d.People.Class(e.Class); ok {
		r.Class = cl.Name(c.Today())
	}
	switch e.Kind {
	case gate.EventTap:
		r.Text = c.P.T("gate.in")
		if e.Way == attendance.Out {
			r.Text = c.P.T("gate.out")
		}
		if e.Outcome == attendance.Late && e.Minutes > 0 && e.Way != attendance.Out {
			r.Tone, r.Icon, r.Edge, r.Text = "warn", "clock", "warn", c.P.T("gate.late", e.Minutes)
		}
	case gate.EventRepeat:
		r.Tone, r.Icon, r.Text = "mute", "info", c.P.T("gate.repeat")
	case gate.EventUnknown:
		r.Tone, r.Icon, r.Edge, r.Text = "bad", "bad", "bad", c.P.T("gate.unknown")
		r.Name, r.Class = c.P.T("gate.nobody"), c.P.T("gate.card", e.Tail)
	case gate.EventFailed:
		r.Tone, r.Icon, r.Edge, r.Text = "bad", "bad", "bad", c.P.T("gate.failed")
	default:
		return r, false
	}
	return r, true
}

// readerOff is how long a reader is off line before the school's first page says so.
const readerOff = 15 * time.Minute

// readerNeeds are the readers whose silence makes pupils unknown on a school day, also while others take the taps.
func (c *call) readerNeeds() (out []frame.Need, _ error) {
	if !c.Can(account.ActGateView, account.Subject{}) {
		return nil, nil
	}
	b, err := c.o.d.Gate.Board(c.Today())
	if err != nil {
		return nil, fmt.Errorf("read the gate's board: %w", err)
	}
	for _, r := range b.Readers {
		if !b.Day.School || r.Off.IsZero() || c.Now.Wall.Sub(r.Off) < readerOff {
			continue
		}
		n := frame.Need{Tone: "bad", Icon: "bad", Badge: c.P.T("reader.offline"), Kind: c.P.T("need.device"), Title: c.P.T("need.reader", c.o.ReaderName(r.ID), c.Now.Wall.Sub(r.Off)),
			Text: c.P.T("need.reader.in", c.P.When(r.Off, c.Now.Wall)), Href: "/gate", Do: c.P.T("see")}
		if r.Direction == attendance.Out {
			n.Text = c.P.T("need.reader.out", c.P.When(r.Off, c.Now.Wall))
		}
		out = append(out, n)
	}
	return out, nil
}
