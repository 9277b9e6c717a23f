package appliance

import (
	"log/slog"

	"campuskeep/firmware/gate"
	"campuskeep/firmware/panel"
	"campuskeep/shared/attendance"
)

// gateSource gives the gate the school's cards, classes, calendar and readers.
type gateSource struct{ a *Appliance }

func (d gateSource) ByCard(hash []byte) (student, class string, ok bool) {
	return d.a.People.ByCard(hash)
}

func (d gateSource) Classes(date string) []gate.Class {
	var out []gate.Class
	for _, c := range d.a.People.Classes(date) {
		g := gate.Class{ID: c.ID}
		for _, s := range d.a.People.Roster(c.ID, date) {
			g.Students = append(g.Students, s.ID)
		}
		out = append(out, g)
	}
	return out
}

func (d gateSource) Grade(class, date string) int { return d.a.People.Grade(class, date) }
func (d gateSource) Carded() map[string]bool      { return d.a.People.Carded() }

func (d gateSource) Calendar() attendance.Calendar { return d.a.Site.Calendar() }

func (d gateSource) Readers() []gate.Reader {
	var out []gate.Reader
	for _, r := range d.a.Site.Readers() {
		if !r.Retired {
			out = append(out, gate.Reader{ID: r.ID, Direction: r.Direction, NoBus: !d.a.serves(r.Kind)})
		}
	}
	return out
}

// show gives a signal at a reader and, where one is wired beside it, at the panel.
func (a *Appliance) show(id string, s attendance.Signal) {
	if a.panel != nil && a.panel.reader == id {
		a.panel.Show(s)
	}
	a.lines.show(id, s, a.log)
}

// readerPanel is the panel beside one reader.
type readerPanel struct {
	*panel.Panel
	reader string
}

func openPanel(c PanelConfig, log *slog.Logger) (*readerPanel, error) {
	if c.Green == "" && c.Amber == "" && c.Buzzer == "" {
		return nil, nil
	}
	out, err := panel.Open(panel.Names{Green: c.Green, Amber: c.Amber, Buzzer: c.Buzzer})
	if err != nil {
		return nil, err
	}
	return &readerPanel{panel.New(out, log), c.Reader}, nil
}

var _ gate.Students = gateSource{}
