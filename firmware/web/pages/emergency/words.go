package emergency

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/firmware/emergency"
	"campuskeep/firmware/web/frame"
	rules "campuskeep/shared/emergency"
)

// eventName is "fire drill · building A".
func (c *call) eventName(e rules.Event) string {
	kind := c.P.K("em.kind.", e.Kind)
	name := c.P.T("em.name.real", kind)
	if e.Drill {
		name = c.P.T("em.name.drill", kind)
	}
	for _, more := range []string{c.placeName(e.Place), e.Detail} {
		if more != "" {
			name += " · " + more
		}
	}
	return name
}

func (c *call) placeName(id string) string {
	for _, p := range c.o.d.Site.Places() {
		if p.ID == id {
			return p.Name
		}
	}
	return id
}

func (c *call) className(id string) string {
	if cl, ok := c.o.d.People.Class(id); ok {
		return cl.Name(c.Today())
	}
	return id
}

// ownClasses are the classes of an event that are in this person's charge.
func (c *call) ownClasses(e rules.Event) []string {
	return slices.DeleteFunc(slices.Clone(e.Classes), func(id string) bool { return !slices.Contains(c.Actor.Classes, id) })
}

// event is the event of the request; one that was taken back is there for those who see the control.
func (c *call) event() (rules.Event, error) {
	e, ok := c.o.d.Emergency.Event(c.R.PathValue("id"))
	if !ok {
		return e, frame.ErrNotFound
	}
	return e, nil
}

// clockOf is the time of day of an instant within an event.
func (c *call) clockOf(e rules.Event, since time.Duration) string {
	return c.P.ClockSec(e.Opened.At.Add(since))
}

// minutes is a time as 6:42.
func minutes(d time.Duration) string {
	s := int(d / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// tapText is the last tap of a pupil before the event.
func (c *call) tapText(p rules.Pupil) string {
	if p.LastTap.IsZero() {
		return c.P.T("em.tap.none")
	}
	return c.P.Clock(p.LastTap) + " " + c.o.ReaderName(p.Reader)
}

// seenText says who saw a pupil last, and where that person is known from.
func (c *call) seenText(e rules.Event, s *rules.Statement) string {
	if s == nil {
		return ""
	}
	text := c.P.T("em.seen", c.clockOf(e, s.Said), c.o.Name(s.By))
	if s.Class != "" {
		text = c.P.T("em.seen.class", c.clockOf(e, s.Said), c.className(s.Class), c.o.Name(s.By))
	}
	if s.Note != "" {
		text += c.P.T("sep.clause") + s.Note
	}
	return text
}

func (c *call) conflictText(list []rules.Conflict) (out []string) {
	for _, x := range list {
		out = append(out, c.P.K("em.conflict.", x))
	}
	return out
}

// courseText is one line of the course of an event.
func (c *call) courseText(s rules.Statement) string {
	who := c.o.Name(s.By)
	switch {
	case s.State == "":
		return c.P.T("em.course.done", c.className(s.Class), who)
	case s.Student == "":
		return c.P.T("em.course.unknown", who, s.Note, c.P.K("em.state.", s.State))
	}
	text := c.P.T("em.course.pupil", who, c.o.d.People.Name(s.Student), c.P.K("em.state.", s.State))
	if s.Settled {
		text = c.P.T("em.course.settled", who, c.o.d.People.Name(s.Student), c.P.K("em.state.", s.State))
	}
	if s.Note != "" {
		text += c.P.T("sep.clause") + s.Note
	}
	return text
}

// batchOf reads what a form or a phone sends. The name of the batch is the page's own with what it holds, so that the
// same form sent twice counts once, and another content never goes by the same name.
func batchOf(f url.Values, class string, pupils []string) emergency.Batch {
	b := emergency.Batch{Class: class, Done: f.Get("done") != ""}
	if ms, err := strconv.ParseInt(f.Get("age"), 10, 64); err == nil && ms > 0 && ms < int64(rules.MostLate/time.Millisecond) {
		b.Age = time.Duration(ms) * time.Millisecond
	}
	for _, id := range pupils {
		if s := f.Get("m." + id); s != "" {
			b.Marks = append(b.Marks, emergency.Mark{Student: id, State: rules.State(s), Note: strings.TrimSpace(f.Get("n." + id))})
		}
	}
	if s := f.Get("state"); s != "" {
		b.Marks = append(b.Marks, emergency.Mark{Student: f.Get("student"), Name: strings.TrimSpace(f.Get("name")), State: rules.State(s), Note: strings.TrimSpace(f.Get("note"))})
	}
	b.ID = f.Get("batch")
	if h := sha256.New(); len(b.ID) >= 8 && len(b.ID) <= 16 {
		fmt.Fprintf(h, "%q %v %q", class, b.Done, b.Marks)
		b.ID += hex.EncodeToString(h.Sum(nil)[:6])
	}
	return b
}

// newBatch is the name of what a form will send.
func newBatch() string {
	b := make([]byte, 8)
	rand.Read(b)
	return hex.EncodeToString(b)
}
