package school

import (
	"net/http"
	"slices"

	"campuskeep/firmware/people"
	"campuskeep/firmware/reader"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
)

// Step is one step of the guide. Its state is computed from what is registered, never ticked.
type Step struct {
	Name    string   `json:"name"`
	State   string   `json:"state"` // done, open: the gate waits for it, warn: works with a lack
	Count   int      `json:"count"`
	Lacks   []string `json:"lacks,omitempty"` // codes
	amounts []int    // one for each lack
	href    string
	may     bool
}

// lack adds what is missing; n is how many.
func (s *Step) lack(blocks bool, code string, n int) {
	s.Lacks, s.amounts = append(s.Lacks, code), append(s.amounts, n)
	switch {
	case blocks:
		s.State = "open"
	case s.State == "done":
		s.State = "warn"
	}
}

// APIGuide says what is still missing before the gate works, as JSON.
type APIGuide struct {
	Works bool   `json:"works"` // a card that is held to a reader now shows on the roll
	Steps []Step `json:"steps"`
}

// guide looks through everything that the gate needs, in the order in which it is entered.
func (o *Pages) guide(c *call) (APIGuide, error) {
	today := c.Today()
	var g APIGuide
	step := func(name, href string, may account.Action, s account.Subject, count int, look func(*Step)) {
		x := Step{Name: name, State: "done", Count: count, href: href, may: c.Can(may, s)}
		look(&x)
		g.Steps = append(g.Steps, x)
	}
	staff := o.d.People.People()
	step("accounts", "/people", account.ActPeopleEdit, account.Subject{Person: "new"}, len(staff), func(x *Step) { lookAtStaff(x, staff, o.d.People.HasFactor) })
	places := o.d.Site.Places()
	step("places", "/places", account.ActSchoolEdit, account.Subject{}, len(places), func(x *Step) {
		if len(places) == 0 {
			x.lack(false, "no_place", 0)
		}
	})
	cal := o.d.Site.Calendar()
	step("calendar", "/calendar", account.ActSchoolEdit, account.Subject{}, len(cal.Terms), func(x *Step) {
		until := cal.KnownUntil()
		switch {
		case o.d.Site.CalendarRev() == 0:
			x.lack(true, "calendar_unset", 0)
		case until == "":
			x.lack(false, "no_term", 0)
		case until < today:
			x.lack(true, "calendar_over", 0)
		}
	})
	step("bells", "/bells", account.ActSchoolEdit, account.Subject{}, 1+len(cal.Weekdays)+len(cal.Grades)+len(cal.Dates), func(x *Step) {
		if cal.Hours == attendance.DefaultHours && len(cal.Grades) == 0 {
			x.lack(false, "bells_default", 0)
		}
	})
	classes := o.d.People.Classes(today)
	sizes := o.d.People.Sizes(today)
	step("classes", "/classes", account.ActPupilsEdit, account.Subject{}, len(classes), func(x *Step) {
		headless, empty := 0, 0
		for _, cl := range classes {
			if cl.Head(today) == "" {
				headless++
			}
			if sizes[cl.ID] == 0 {
				empty++
			}
		}
		if len(classes) == 0 {
			x.lack(true, "no_class", 0)
		}
		if headless > 0 {
			x.lack(false, "no_head", headless)
		}
		if empty > 0 {
			x.lack(false, "empty_class", empty)
		}
	})
	pupils := o.d.People.Pupils(today, people.PupilQuery{})
	step("pupils", "/pupils", account.ActPupilsEdit, account.Subject{}, len(pupils), func(x *Step) {
		orphans := 0
		for _, s := range pupils {
			if len(s.Guardians) == 0 {
				orphans++
			}
		}
		switch {
		case len(pupils) == 0:
			x.lack(true, "no_pupil", 0)
		case orphans > 0:
			x.lack(false, "no_guardian", orphans)
		}
	})
	without := 0
	for _, s := range pupils {
		if s.Cards == 0 {
			without++
		}
	}
	step("cards", "/cards", account.ActPupilsEdit, account.Subject{}, len(pupils)-without, func(x *Step) {
		switch {
		case without == len(pupils):
			x.lack(true, "no_card", 0)
		case without > 0:
			x.lack(false, "without_card", without)
		}
	})
	if err := o.lookAtGate(c, today, step); err != nil {
		return g, err
	}
	cameras := o.d.Site.Cameras()
	step("cameras", "/cameras", account.ActCamerasEdit, account.Subject{}, len(cameras), func(x *Step) {
		if len(cameras) == 0 {
			x.lack(false, "no_camera", 0)
		}
	})
	g.Works = !slices.ContainsFunc(g.Steps, func(s Step) bool { return s.State == "open" })
	return g, nil
}

// unfilled counts the steps that the gate cannot do without and that nobody has begun.
func (c *call) unfilled() (n int) {
	for _, lacks := range []bool{
		!enters(c.o.d.People.People()),
		c.o.d.Site.CalendarRev() == 0, len(c.o.d.People.Classes(c.Today())) == 0, c.o.d.People.Students() == 0, len(c.o.d.People.Cards()) == 0, len(c.o.d.Site.Readers()) == 0,
	} {
		if lacks {
			n++
		}
	}
	return n
}

// enters says whether somebody may enter pupils.
func enters(staff []people.Person) bool {
	return slices.ContainsFunc(staff, func(p people.Person) bool {
		return !p.Disabled && (slices.Contains(p.Roles, account.RoleHeadOfSafety) || slices.Contains(p.Roles, account.RoleLeader))
	})
}

// lookAtStaff says whose accounts are missing.
func lookAtStaff(x *Step, staff []people.Person, hasFactor func(string) bool) {
	holds := func(role account.Role) bool {
		return slices.ContainsFunc(staff, func(p people.Person) bool { return !p.Disabled && slices.Contains(p.Roles, role) })
	}
	if !enters(staff) {
		x.lack(true, "no_registrar", 0)
	}
	if !holds(account.RoleClassTeacher) {
		x.lack(false, "no_class_teacher", 0)
	}
	n := 0
	for _, p := range staff {
		if !p.Disabled && account.NeedsSecondFactor(p.Roles) && !hasFactor(p.ID) {
			n++
		}
	}
	if n > 0 {
		x.lack(false, "no_factor", n)
	}
}

// lookAtGate says which readers serve, and whether the clock is good enough to judge who is late.
func (o *Pages) lookAtGate(c *call, today string, step func(string, string, account.Action, account.Subject, int, func(*Step))) error {
	b, err := o.d.Gate.Board(today)
	if err != nil {
		return err
	}
	step("readers", "/readers", account.ActCamerasEdit, account.Subject{}, len(b.Readers), func(x *Step) {
		off := 0
		for _, r := range b.Readers {
			if r.State != reader.Online {
				off++
			}
		}
		switch {
		case len(b.Readers) == 0:
			x.lack(true, "no_reader", 0)
		case off == len(b.Readers):
			x.lack(true, "readers_off", off)
		case off > 0:
			x.lack(false, "readers_off", off)
		}
		if c.Now.State != clock.Trusted {
			x.lack(false, "clock_doubt", 0)
		}
	})
	return nil
}

// guideView is the guide as a page.
type guideView struct {
	Works   bool
	Open    int
	Steps   []stepView
	Gate    bool
	Missing []string // what the gate still waits for
}

type stepView struct {
	Name, Text, State string
	Tone, Icon, Word  string
	Lacks             []string
	Href, Do          string
	Who               string // who may do it, when the reader may not
}

func (o *Pages) guidePage(c *call) error {
	g, err := o.guide(c)
	if err != nil {
		return err
	}
	v := guideView{Works: g.Works}
	for _, s := range g.Steps {
		x := stepView{Name: c.P.K("guide.step.", s.Name), Text: c.P.T("guide.count."+s.Name, s.Count), State: s.State, Do: c.P.T("guide.open")}
		x.Tone, x.Icon, x.Word = "ok", "tick", c.P.T("guide.state.done")
		switch s.State {
		case "open":
			x.Tone, x.Icon, x.Word, x.Do = "bad", "x", c.P.T("guide.state.open"), c.P.T("guide.do")
			v.Open++
		case "warn":
			x.Tone, x.Icon, x.Word = "warn", "warn", c.P.T("guide.state.warn")
		}
		for i, l := range s.Lacks {
			text := c.P.T("guide.lack."+l, s.amounts[i])
			x.Lacks = append(x.Lacks, text)
			if s.State == "open" {
				v.Missing = append(v.Missing, text)
			}
		}
		if s.may {
			x.Href = s.href
		} else {
			x.Who = c.P.K("guide.who.", s.Name)
		}
		v.Steps = append(v.Steps, x)
	}
	return c.Page("guide", c.P.T("guide.title"), v)
}

func (o *Pages) apiGuide(c *call) error {
	g, err := o.guide(c)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, g)
}
