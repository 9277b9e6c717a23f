package readers

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"campuskeep/firmware/people"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/attendance"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/student"
)

// enrolView is the page on which a card is handed out by holding it to a chosen reader.
type enrolView struct {
	Form     ui.Form
	Student  *pupilChoice
	Found    []pupilChoice // of the search
	Searched bool
	Readers  []readerChoice
	Reader   string // its name; empty: none is chosen yet
	Waits    bool
	N        uint64 // running number of the card that was seen
	Printed  []string
	Owner    string // who has the card already
	Again    string
	Time     string
}

type pupilChoice struct {
	ID, Name, Class, Href string
	Cards                 bool
}

type readerChoice struct {
	Name, Word, Tone, Icon, Href string
	On                           bool
}

// enrolAddress keeps what has been chosen in the address, so that a page that reloads itself still knows it.
func enrolAddress(path, pupil, reader string, after uint64) string {
	v := url.Values{}
	for k, s := range map[string]string{"student": pupil, "reader": reader} {
		if s != "" {
			v.Set(k, s)
		}
	}
	if reader != "" {
		v.Set("after", strconv.FormatUint(after, 10))
	}
	return path + "?" + v.Encode()
}

func (c *call) pupil(s student.Student) pupilChoice {
	x := pupilChoice{ID: s.ID, Name: s.Name}
	for _, cl := range c.o.d.People.Classes(c.Today()) {
		if cl.ID == c.o.d.People.ClassOf(s.ID, c.Today()) {
			x.Class = cl.Name(c.Today())
		}
	}
	return x
}

func (o *Pages) enrolPage(c *call) error { return o.showEnrol(c, http.StatusOK, c.R.URL.Query(), nil) }

func (o *Pages) showEnrol(c *call, status int, f url.Values, errs fielderr.Errors) error {
	v := enrolView{Form: ui.Form{Name: "enrol", P: c.P, Values: f, Errors: errs}, Time: c.P.ClockSec(c.Now.Wall)}
	pupil, id := f.Get("student"), f.Get("reader")
	if s, ok := o.d.People.Student(pupil); ok {
		x := c.pupil(s)
		v.Student = &x
	}
	if q := strings.TrimSpace(f.Get("q")); q != "" {
		v.Searched = true
		for _, s := range o.d.People.FindStudents(q, 20) {
			x := c.pupil(s)
			x.Href = enrolAddress("/readers/enrol", s.ID, id, o.d.Cards.Number())
			v.Found = append(v.Found, x)
		}
	}
	rows, err := o.rows(c)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if !r.R.Retired {
			v.Readers = append(v.Readers, readerChoice{r.R.Name, r.Word, r.Tone, r.Icon, enrolAddress("/readers/enrol", pupil, r.R.ID, o.d.Cards.Number()), r.R.ID == id})
			if r.R.ID == id {
				v.Reader = r.R.Name
			}
		}
	}
	if v.Student != nil && v.Reader != "" {
		c.waitForCard(&v, id, f.Get("after"))
	}
	return c.PageStatus(status, "reader_enrol", c.P.T("enrol.title"), v)
}

// waitForCard says what the next card at the reader is.
func (c *call) waitForCard(v *enrolView, id, after string) {
	v.Waits = true
	n, err := strconv.ParseUint(after, 10, 64)
	if err != nil {
		n = c.o.d.Cards.Number()
	}
	s, ok := c.o.d.Cards.After(id, n)
	if !ok {
		return
	}
	v.Waits, v.N = false, s.N
	v.Again = enrolAddress("/readers/enrol", v.Student.ID, id, s.N)
	v.Printed = attendance.Printed(s.Card())
	if len(v.Printed) == 0 {
		v.Printed = []string{"…" + s.Card().Tail()}
	}
	if owner, ok := c.o.d.People.CardOwner(s.Card()); ok {
		v.Owner = c.o.d.People.Name(owner)
	}
}

// enrol gives the card that was held to the reader to the pupil.
func (o *Pages) enrol(c *call) error {
	f := c.R.PostForm
	pupil, id := f.Get("student"), f.Get("reader")
	if _, ok := o.d.People.Student(pupil); !ok {
		return frame.ErrNotFound
	}
	n, err := strconv.ParseUint(f.Get("n"), 10, 64)
	s, ok := o.d.Cards.After(id, max(n, 1)-1)
	if err != nil || !ok || s.N != n {
		f.Set("after", strconv.FormatUint(o.d.Cards.Number(), 10))
		return o.showEnrol(c, http.StatusConflict, f, fielderr.Errors{{Field: "card", Rule: "err.card_gone"}})
	}
	err = o.d.People.AssignCard(c.R.Context(), c.Who(), s.Card(), pupil)
	var errs fielderr.Errors
	switch {
	case errors.As(err, &errs):
		f.Set("after", strconv.FormatUint(n-1, 10))
		return o.showEnrol(c, http.StatusUnprocessableEntity, f, errs)
	case errors.Is(err, people.ErrNotFound):
		return frame.ErrNotFound
	case err != nil:
		return err
	}
	return c.Done(enrolAddress("/readers/enrol", "", id, o.d.Cards.Number()), "done.reader.card")
}

// formatView finds out in which format a list of card numbers is printed.
type formatView struct {
	Form    ui.Form
	Readers []readerChoice
	Reader  string
	Printed string
	Waits   bool
	Seen    bool
	Formats []fact // name and code
	Forms   []string
	Time    string
}

// formatPage waits for one card whose printed number was typed, and says how the list is printed.
func (o *Pages) formatPage(c *call) error {
	f := c.R.URL.Query()
	v := formatView{Form: ui.Form{Name: "cardformat", P: c.P, Values: f}, Printed: strings.TrimSpace(f.Get("printed")), Time: c.P.ClockSec(c.Now.Wall)}
	id := f.Get("reader")
	for _, r := range o.d.Site.Readers() {
		if !r.Retired {
			v.Readers = append(v.Readers, readerChoice{Name: r.Name, Href: r.ID, On: r.ID == id})
			if r.ID == id {
				v.Reader = r.Name
			}
		}
	}
	if v.Printed == "" || v.Reader == "" {
		return c.Page("reader_format", c.P.T("cardformat.title"), v)
	}
	after, err := strconv.ParseUint(f.Get("after"), 10, 64)
	if err != nil {
		f.Set("after", strconv.FormatUint(o.d.Cards.Number(), 10))
		return c.SeeOther("/readers/format?" + f.Encode())
	}
	v.Waits = true
	if s, ok := o.d.Cards.After(id, after); ok {
		v.Waits, v.Seen, v.Forms = false, true, attendance.Printed(s.Card())
		for _, x := range attendance.DetectFormats(v.Printed, s.Card()) {
			v.Formats = append(v.Formats, fact{c.formatWord(x), x.String()})
		}
	}
	return c.Page("reader_format", c.P.T("cardformat.title"), v)
}

// formatWord is a format in words.
func (c *call) formatWord(f attendance.CardFormat) string {
	order := "straight"
	if f.Reversed {
		order = "reversed"
	}
	return fmt.Sprintf("%s%s%s", c.P.T("cardformat."+string(f.Style), f.Bits/8), c.P.T("sep.clause"), c.P.T("cardformat.order."+order))
}
