package records

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/firmware/records"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	rules "campuskeep/shared/records"
)

// pupilView is a pupil's page (mock: pupil.html).
type pupilView struct {
	Printed           string // for its paper: who opened it, and when
	ID, Name, Initial string
	Class, ClassHref  string
	Facts             []fact
	Care              []careView
	Tabs              []sectionTab
	Section           string // "all", or a section
	Title             string
	Purpose           string // stated, while a sensitive section is open
	Records           []recordView
	Ask               *askView
	Closed            string // why the section stays closed
	Write             []link
	Contacts          []contact
	Concerns          []concernRow
	Readers           []readerRow
	Cards             []glassRow
}

type (
	fact struct{ Name, Value string }
	link struct{ Href, Text string }
	// careView is a care instruction.
	careView struct {
		Steps []string
		By    string
	}
	sectionTab struct {
		Text, Href, Count string
		Locked, On        bool
	}
	contact struct {
		Rank                  int
		Name, Relation, Phone string
		Dial, Workplace       string
	}
	recordView struct {
		ID, Day, Clock, Kind, Tone, Icon string
		Lines                            []fact
		Files                            []link
		By                               string
		Others                           int
		Version                          int
		Versions                         []versionView
		Edit                             string
		Invalid                          bool
	}
	versionView struct {
		No        int
		When, Who string
		Reason    string
		Changes   []frame.ChangedField
	}
	readerRow struct{ Initial, Who, Role, What, When, Href string }
)

// askView asks for what a sensitive section is opened.
type askView struct {
	ui.Form
	Pupil, Section, Title string
	Choices               []ui.Option
}

// Field is a field of the form.
func (a *askView) Field(name, kind string) ui.Field {
	if name == "purpose" {
		return a.Pick(name, kind, a.Choices)
	}
	return a.In(name, kind)
}

// open sections are mixed on the first tab; sealed ones never are.
var mixed = []rules.Section{rules.Basic, rules.Conduct, rules.Special}

func (o *Pages) pupilPage(c *call) error { return o.showPupil(c, http.StatusOK, nil, nil) }

func (o *Pages) showPupil(c *call, status int, asked url.Values, errs fielderr.Errors) error {
	id := c.R.PathValue("id")
	if err := o.d.Records.View(c.R.Context(), c.Who(), id); err != nil {
		return notFound(err)
	}
	v := c.pupilHead(id)
	v.Section = c.R.FormValue("s")
	if v.Section != "all" && !rules.Section(v.Section).Known() {
		v.Section = "all"
	}
	c.sectionTabs(&v)
	var err error
	if v.Section == "all" {
		v.Title = c.P.T("record.all")
		for _, s := range mixed {
			if c.Can(s.ReadAction(), c.Subject) {
				if err = c.addSection(&v, s, rules.Purpose{}); err != nil {
					return err
				}
			}
		}
		slices.SortStableFunc(v.Records, func(a, b recordView) int { return strings.Compare(b.Day+b.Clock, a.Day+a.Clock) })
	} else if err = c.oneSection(&v, rules.Section(v.Section), asked, errs); err != nil {
		return err
	}
	for _, k := range rules.Kinds {
		if c.Can(k.Section.WriteAction(), c.Subject) && (v.Section == "all" || string(k.Section) == v.Section) {
			v.Write = append(v.Write, link{"/pupils/" + id + "/records/new?kind=" + k.Name, c.P.K("record.k.", k.Name)})
		}
	}
	if c.Can(account.ActRecordReaders, c.Subject) {
		if err := c.readers(&v, id); err != nil {
			return err
		}
	}
	c.W.Header().Set("Cache-Control", "no-store")
	return c.PageStatus(status, "pupil", v.Name, v)
}

// pupilHead is what everybody who may open the page sees: who it is, what to do, whom to call.
func (c *call) pupilHead(id string) pupilView {
	o := c.o
	s, _ := o.d.People.Student(id)
	v := pupilView{Printed: c.P.T("record.printed", c.o.Name(c.Actor.ID), c.P.Stamp(c.Now.Wall)), ID: id, Name: s.Name, Initial: initial(s.Name), Class: c.className(id)}
	if class := o.d.People.ClassOf(id, c.Today()); class != "" {
		if c.Can(account.ActClassView, account.Subject{Class: class}) {
			v.ClassHref = "/gate/class/" + class
		}
		if cl, ok := o.d.People.Class(class); ok && cl.Head(c.Today()) != "" {
			v.Facts = append(v.Facts, fact{c.P.T("role.class_teacher"), o.Name(cl.Head(c.Today()))})
		}
	}
	v.Facts = append([]fact{{c.P.T("record.sex"), c.P.K("record.sex.", s.Sex)}, {c.P.T("record.birth"), c.date(s.Birth)}}, v.Facts...)
	if s.NationalNo != "" && c.Can(account.ActBasicRead, c.Subject) {
		v.Facts = append(v.Facts, fact{c.P.T("record.national_no"), s.NationalNo})
	}
	v.Care = c.care(id)
	v.Contacts = c.contacts(id)
	now := c.Now.Wall
	for _, x := range o.d.Records.Concerns(c.Who(), id, false) {
		v.Concerns = append(v.Concerns, c.concernRow(x, now))
	}
	return v
}

func initial(name string) string {
	for _, r := range name {
		return string(r)
	}
	return "–"
}

func (c *call) care(pupil string) (out []careView) {
	for _, n := range c.o.d.Records.Care(pupil) {
		by := c.P.T("care.by", c.ActorName(ledger.Actor{ID: n.By}), c.P.When(n.Since, c.Now.Wall))
		if n.Until != "" {
			by += c.P.T("sep.clause") + c.P.T("care.until", c.date(n.Until))
		}
		out = append(out, careView{n.Steps, by})
	}
	return out
}

// contacts are the guardians in the order in which they are called.
func (c *call) contacts(pupil string) (out []contact) {
	s, _ := c.o.d.People.Student(pupil)
	for i, g := range s.Guardians {
		x := contact{Rank: i + 1, Name: g.Name, Relation: c.P.K("record.relation.", g.Relation), Phone: g.Phone, Dial: strings.ReplaceAll(g.Phone, "-", ""), Workplace: g.Workplace}
		out = append(out, x)
	}
	return out
}

// sectionTabs are the ways to the sections. A sensitive one has a lock in place of a number.
func (c *call) sectionTabs(v *pupilView) {
	counts := c.o.d.Records.Counts(v.ID)
	n := 0
	for _, s := range mixed {
		if c.Can(s.ReadAction(), c.Subject) {
			n += counts[s]
		}
	}
	v.Tabs = []sectionTab{{Text: c.P.T("record.all"), Href: "/pupils/" + v.ID, Count: strconv.Itoa(n), On: v.Section == "all"}}
	for _, s := range rules.Sections {
		t := sectionTab{Text: c.P.K("section.", string(s)), Href: "/pupils/" + v.ID + "?s=" + string(s), On: v.Section == string(s), Count: strconv.Itoa(counts[s])}
		_, opened := c.o.d.Records.Opened(c.Actor.ID, v.ID, s)
		t.Locked = s.Sensitive() && !opened || !c.Can(s.ReadAction(), c.about(v.ID))
		v.Tabs = append(v.Tabs, t)
	}
}

// oneSection shows a section, asks for a purpose, or says who keeps it.
func (c *call) oneSection(v *pupilView, s rules.Section, asked url.Values, errs fielderr.Errors) error {
	v.Title = c.P.K("section.", string(s))
	if !c.Can(s.ReadAction(), c.about(v.ID)) {
		v.Closed = c.P.K("section.closed.", string(s))
		return nil
	}
	if !s.Sensitive() {
		return c.addSection(v, s, rules.Purpose{})
	}
	p, opened := c.o.d.Records.Opened(c.Actor.ID, v.ID, s)
	if opened {
		v.Purpose = c.P.K("purpose.r.", p.Code)
		return c.addSection(v, s, p)
	}
	a := &askView{Form: ui.Form{Name: "ask", P: c.P, Values: asked, Errors: errs}, Pupil: v.ID, Section: string(s), Title: v.Title}
	for _, code := range rules.Purposes(s) {
		a.Choices = append(a.Choices, ui.Option{Value: code, Text: c.P.K("purpose.r.", code)})
	}
	v.Ask = a
	return nil
}

// openSection takes the purpose; what is read is entered when it is shown.
func (o *Pages) openSection(c *call) error {
	id, s := c.R.PathValue("id"), rules.Section(c.R.PostForm.Get("s"))
	if !s.Known() {
		return frame.ErrNotFound
	}
	if err := c.must(s.ReadAction(), c.about(id)); err != nil {
		return err
	}
	p := rules.Purpose{Code: c.R.PostForm.Get("purpose"), Note: strings.TrimSpace(c.R.PostForm.Get("purpose_note"))}
	_, err := o.d.Records.Read(c.R.Context(), c.Who(), id, s, p)
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showPupil(c, http.StatusUnprocessableEntity, c.R.PostForm, errs)
	}
	if err != nil {
		return notFound(err)
	}
	return c.SeeOther("/pupils/" + id + "?s=" + string(s))
}

// addSection reads a section and adds its records.
func (c *call) addSection(v *pupilView, s rules.Section, p rules.Purpose) error {
	list, err := c.o.d.Records.Read(c.R.Context(), c.Who(), v.ID, s, p)
	if err != nil {
		return notFound(err)
	}
	edit := c.Can(s.WriteAction(), c.Subject)
	for _, h := range list {
		v.Records = append(v.Records, c.recordView(h, edit))
	}
	return nil
}

// recordView is a record with its versions.
func (c *call) recordView(h records.History, edit bool) recordView {
	r := h.Current
	v := recordView{ID: r.ID, Kind: c.P.K("record.k.", r.Kind), Tone: "mute", Icon: "doc", Others: r.Others, Version: r.Version, Invalid: r.Invalid}
	v.Day, v.Clock = c.moment(r.Happened)
	switch r.Kind {
	case rules.KindCare, "condition":
		v.Tone, v.Icon = "warn", "heart"
	case rules.KindIncident, rules.KindHazard, "illness":
		v.Tone, v.Icon = "acc", "flag"
	case rules.KindPraise:
		v.Tone, v.Icon = "ok", "ok"
	}
	k, _ := rules.KindOf(r.Kind)
	for _, f := range k.Fields {
		if text := c.value(f, r.Values[f.Name]); text != "" {
			v.Lines = append(v.Lines, fact{c.P.K("record.f.", f.Name), text})
		}
	}
	for i, id := range r.Files {
		v.Files = append(v.Files, link{"/pupils/" + r.Student + "/records/" + r.ID + "/files/" + id, c.P.T("record.file", i+1)})
	}
	v.By = c.P.T("record.by", c.ActorName(ledger.Actor{ID: r.Author}), c.P.K("record.s.", string(r.Source)), c.P.When(r.Written, c.Now.Wall))
	if edit && !r.Invalid {
		v.Edit = "/pupils/" + r.Student + "/records/" + r.ID + "/edit"
	}
	if len(h.Before) > 0 {
		all := append([]rules.Record{r}, h.Before...)
		for i, x := range all {
			y := versionView{No: x.Version, When: c.P.When(x.Written, c.Now.Wall), Who: c.ActorName(ledger.Actor{ID: x.Author}), Reason: x.Reason}
			if i+1 < len(all) {
				y.Changes = c.changes(k, all[i+1], x)
			}
			v.Versions = append(v.Versions, y)
		}
	}
	return v
}

// changes are the fields in which a version differs from the one before.
func (c *call) changes(k rules.Kind, before, after rules.Record) (out []frame.ChangedField) {
	for _, name := range rules.Differing(before, after) {
		x := frame.ChangedField{Name: c.P.K("record.f.", name)}
		i := slices.IndexFunc(k.Fields, func(f rules.Field) bool { return f.Name == name })
		switch {
		case i >= 0:
			x.Before, x.After = c.value(k.Fields[i], before.Values[name]), c.value(k.Fields[i], after.Values[name])
		case name == "happened":
			x.Before, x.After = c.date(before.Happened), c.date(after.Happened)
		case name == "source":
			x.Before, x.After = c.P.K("record.s.", string(before.Source)), c.P.K("record.s.", string(after.Source))
		case name == "file":
			x.Before, x.After = strconv.Itoa(len(before.Files)), strconv.Itoa(len(after.Files))
		case name == "invalid":
			x.After = c.P.T("record.withdrawn")
		}
		out = append(out, x)
	}
	return out
}

// value writes what a field holds.
func (c *call) value(f rules.Field, v string) string {
	switch {
	case v == "":
		return ""
	case f.Type == rules.Choice:
		return c.P.K("record.o."+f.Name+".", v)
	case f.Type == rules.Place:
		return c.placeName(v)
	case f.Type == rules.Date:
		return c.date(v)
	}
	return v
}

// readerDays is how far back the readers of a record are listed.
const readerDays = 30

// readers lists who has read the record, for the head of safety.
func (c *call) readers(v *pupilView, id string) error {
	list, err := c.o.d.Records.Readers(c.R.Context(), id, readerDays)
	if err != nil {
		return err
	}
	for _, x := range list {
		r := readerRow{Initial: initial(c.o.Name(x.Person)), Who: c.o.Name(x.Person), When: c.P.When(x.At, c.Now.Wall), Href: "/log/" + strconv.FormatUint(x.Seq, 10), What: c.P.K("section.", x.Section)}
		if x.Role != "" {
			r.Role = c.P.K("role.", x.Role)
		}
		if x.File {
			r.What += c.P.T("sep.clause") + c.P.T("record.scan")
		}
		if x.Purpose != "" {
			r.What += c.P.T("sep.clause") + c.P.K("purpose.r.", x.Purpose)
		}
		v.Readers = append(v.Readers, r)
	}
	for _, g := range c.o.d.Records.Glasses() {
		if g.Student == id {
			v.Cards = append(v.Cards, c.glassRow(g))
		}
	}
	return nil
}

// file shows a scan in the browser, which must not keep it.
func (o *Pages) file(c *call) error {
	f, info, err := o.d.Records.OpenFile(c.R.Context(), c.Who(), c.R.PathValue("id"), c.R.PathValue("record"), c.R.PathValue("file"))
	if errs, ok := errors.AsType[fielderr.Errors](err); ok && len(errs) > 0 { // the section is not open for a purpose
		return c.SeeOther("/pupils/" + c.R.PathValue("id"))
	}
	if err != nil {
		return notFound(err)
	}
	defer func() { _ = f.Close() }() // it was only read
	showFile(c, f, info.Type, info.ID)
	return nil
}

// within says whether an instant is less than d ago.
func within(at, now time.Time, d time.Duration) bool { return now.Sub(at) < d }
