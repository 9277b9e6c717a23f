package web

import (
	"fmt"
	"slices"
	"time"

	"campuskeep/firmware/gate"
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
	Arrival  *arrival
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
	s := account.Subject{Class: c.r.URL.Query().Get("class")}
	if s.Class == "" && len(c.actor.Classes) > 0 {
		s.Class = c.actor.Classes[0]
	}
	return s, nil
}

func (o *Server) gatePage(c *call) error {
	v, err := o.board(c)
	if err != nil {
		return err
	}
	return c.page("gate", c.p.T("gate.title"), v)
}

func (o *Server) board(c *call) (gateView, error) {
	b, err := o.d.Gate.Board(c.today())
	if err != nil {
		return gateView{}, fmt.Errorf("read the gate's board: %w", err)
	}
	all := c.can(account.ActGateView, account.Subject{})
	if !all {
		b.Classes = slices.DeleteFunc(b.Classes, func(t gate.ClassTally) bool { return !slices.Contains(c.actor.Classes, t.Class) })
		b.Recent = slices.DeleteFunc(b.Recent, func(e gate.Event) bool { return !slices.Contains(c.actor.Classes, e.Class) })
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
	v := gateView{Date: c.p.Date(c.now.Wall), Time: c.p.ClockSec(c.now.Wall), School: b.Day.School, Total: b.Total, All: all, Leave: b.Total.Away, Late: b.Total.By[attendance.Late]}
	if b.Day.Reason != "" {
		v.Why = c.p.K("att.r.", b.Day.Reason)
	}
	if all {
		v.Arrival = drawArrival(b, 720, 160, c.p)
	}
	v.BellText = c.p.T("gate.bell", c.p.Clock(b.Day.At(b.Hours.Bell)))
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
		row := readerRow{Name: o.readerName(r.ID), Taps: r.Taps, Tone: "ok", Icon: "ok", State: c.p.T("cam.online")}
		if s := string(r.State); s != "online" {
			row.Tone, row.Icon, row.State = "bad", "bad", c.p.K("reader.", s)
			v.Offline++
		}
		v.Readers = append(v.Readers, row)
	}
	return v, nil
}

func (o *Server) readerName(id string) string {
	for _, r := range o.d.Site.Readers() {
		if r.ID == id {
			return r.Name
		}
	}
	return id
}

// grades groups the classes as the calendar of the school names them.
func (o *Server) grades(c *call, b gate.Board) []gradeView {
	var out []gradeView
	for _, t := range b.Classes {
		r := classRow{ID: t.Class, Name: t.Class, Full: t.Class, Tally: t.Tally, Leave: t.Away, Late: t.By[attendance.Late], Missing: t.Missing}
		grade := ""
		if cl, ok := o.d.People.Class(t.Class); ok {
			r.Full, r.Name = cl.Name(b.Date), c.p.T("gate.class", cl.No)
			grade = c.p.T("gate.grade", cl.Entry)
			if g := cl.Grade(b.Date); g > 0 {
				grade = gradeName(c.p, g)
			}
		}
		n := float64(max(1, t.Expected))
		r.InW, r.LeaveX, r.LeaveW = ui.Pct(float64(t.Attended)/n), ui.Pct(float64(t.Attended)/n), ui.Pct(float64(r.Leave)/n)
		r.Alarm = t.Missing > 2 && c.now.Wall.After(b.Day.At(b.Hours.Bell))
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
	r := tapRow{Time: c.p.ClockSec(e.At), Reader: c.o.readerName(e.Reader), Tone: "ok", Icon: "ok"}
	if e.Student != "" {
		r.Name = ui.Hide(c.o.d.People.Name(e.Student))
	}
	if cl, ok := c.o.d.People.Class(e.Class); ok {
		r.Class = cl.Name(c.today())
	}
	switch e.Kind {
	case gate.EventTap:
		r.Text = c.p.T("gate.in")
		if e.Way == attendance.Out {
			r.Text = c.p.T("gate.out")
		}
		if e.Outcome == attendance.Late && e.Minutes > 0 && e.Way != attendance.Out {
			r.Tone, r.Icon, r.Edge, r.Text = "warn", "clock", "warn", c.p.T("gate.late", e.Minutes)
		}
	case gate.EventRepeat:
		r.Tone, r.Icon, r.Text = "mute", "info", c.p.T("gate.repeat")
	case gate.EventUnknown:
		r.Tone, r.Icon, r.Edge, r.Text = "bad", "bad", "bad", c.p.T("gate.unknown")
		r.Name, r.Class = c.p.T("gate.nobody"), c.p.T("gate.card", e.Tail)
	case gate.EventFailed:
		r.Tone, r.Icon, r.Edge, r.Text = "bad", "bad", "bad", c.p.T("gate.failed")
	default:
		return r, false
	}
	return r, true
}

// readerOff is how long a reader is off line before the school's first page says so.
const readerOff = 15 * time.Minute

// readerNeeds are the readers whose silence makes pupils unknown on a school day, also while others take the taps.
func (c *call) readerNeeds() (out []need, _ error) {
	if !c.can(account.ActGateView, account.Subject{}) {
		return nil, nil
	}
	b, err := c.o.d.Gate.Board(c.today())
	if err != nil {
		return nil, fmt.Errorf("read the gate's board: %w", err)
	}
	for _, r := range b.Readers {
		if !b.Day.School || r.Off.IsZero() || c.now.Wall.Sub(r.Off) < readerOff {
			continue
		}
		n := need{Tone: "bad", Icon: "bad", Badge: c.p.T("reader.offline"), Kind: c.p.T("need.device"), Title: c.p.T("need.reader", c.o.readerName(r.ID), c.now.Wall.Sub(r.Off)),
			Text: c.p.T("need.reader.in", c.p.When(r.Off, c.now.Wall)), Href: "/gate", Do: c.p.T("see")}
		if r.Direction == attendance.Out {
			n.Text = c.p.T("need.reader.out", c.p.When(r.Off, c.now.Wall))
		}
		out = append(out, n)
	}
	return out, nil
}
