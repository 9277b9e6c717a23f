package archive

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	rules "campuskeep/shared/records"
	"campuskeep/shared/student"
)

// archiveView is the catalogue of paper volumes, and the index of what the program holds of a class (S16, S19).
type archiveView struct {
	ui.Form
	Rows     []volumeRow
	Pages    frame.Pages
	Index    []indexRow
	Sections []string
	Class    string
	Classes  []ui.Option
	Edit     bool
	Today    string
	Late     int
	Wrong    []string
	classes  []ui.Option
	owners   []ui.Option
}

type volumeRow struct {
	rules.Volume
	ClassName, SectionName string
	Tone, Icon, Word       string
	Steps                  []string
	In                     bool
}

type indexRow struct {
	Name, ID string
	Counts   []int
}

// Field is a field of the form.
func (v *archiveView) Field(name, kind string) ui.Field {
	switch name {
	case "class":
		return v.Pick(name, kind, v.classes)
	case "section":
		options := []ui.Option{{Text: v.P.T("record.choose")}}
		for _, s := range rules.Sections {
			options = append(options, ui.Option{Value: string(s), Text: v.P.K("section.", string(s))})
		}
		return v.Pick(name, kind, options)
	}
	return v.In(name, kind)
}

// Owners are those to whom a volume can be lent.
func (v *archiveView) Owners() []ui.Option { return v.owners }

func (o *Pages) archivePage(c *call) error { return o.showArchive(c, http.StatusOK, nil, nil, nil) }

func (o *Pages) showArchive(c *call, status int, values url.Values, errs, row fielderr.Errors) error {
	today := c.Today()
	year, err := student.SchoolYear(today)
	if err != nil {
		return err
	}
	v := &archiveView{Form: ui.Form{Name: "volume", P: c.P, Values: values, Errors: errs}, Edit: c.Can(account.ActArchiveEdit, account.Subject{}), Today: today, Class: c.R.URL.Query().Get("class")}
	if values == nil {
		v.Values = url.Values{"year": {strconv.Itoa(year)}, "class": {v.Class}}
	}
	for _, e := range row {
		v.Wrong = append(v.Wrong, c.P.T(e.Rule, e.Args...))
	}
	v.classes = []ui.Option{{Text: c.P.T("record.choose")}}
	for _, cl := range o.d.People.Classes(today) {
		v.classes = append(v.classes, ui.Option{Value: cl.ID, Text: cl.Name(today), On: cl.ID == v.Class})
	}
	v.Classes = v.classes
	for _, p := range o.d.People.People() {
		if !p.Disabled {
			v.owners = append(v.owners, ui.Option{Value: p.ID, Text: p.Name})
		}
	}
	list := o.d.Records.Volumes()
	if v.Class != "" {
		list = slices.DeleteFunc(list, func(x rules.Volume) bool { return x.Class != v.Class })
		for _, s := range rules.Sections {
			v.Sections = append(v.Sections, c.P.K("section.", string(s)))
		}
		for _, s := range o.d.People.Roster(v.Class, today) {
			r := indexRow{Name: s.Name, ID: s.ID}
			counts := o.d.Records.Counts(s.ID)
			for _, sec := range rules.Sections {
				r.Counts = append(r.Counts, counts[sec])
			}
			v.Index = append(v.Index, r)
		}
	}
	for _, x := range list {
		if x.Overdue(today) {
			v.Late++
		}
	}
	from, to, p := c.PagesOf("/records/archive", c.R.URL.Query(), len(list))
	v.Pages = p
	for _, x := range list[from:to] {
		v.Rows = append(v.Rows, c.volumeRow(x))
	}
	return c.PageStatus(status, "rec_archive", c.P.T("archive.title"), v)
}

func (c *call) volumeRow(x rules.Volume) volumeRow {
	r := volumeRow{Volume: x, ClassName: c.className(x.Class), SectionName: c.P.K("section.", string(x.Section)), Tone: "ok", Icon: "ok", Word: c.P.T("volume.in", c.date(x.Checked)), In: x.LentTo == ""}
	switch {
	case x.Overdue(c.Today()):
		r.Tone, r.Icon, r.Word = "bad", "bad", c.P.T("volume.late", c.o.Name(x.LentTo), c.date(x.Due))
	case x.LentTo != "":
		r.Tone, r.Icon, r.Word = "acc", "user", c.P.T("volume.out", c.o.Name(x.LentTo), c.date(x.Due))
	case x.Unchecked(c.Today()):
		r.Tone, r.Icon, r.Word = "warn", "warn", c.P.T("volume.unchecked", c.date(x.Checked))
	}
	for i := len(x.Steps) - 1; i >= 0 && len(r.Steps) < 6; i-- {
		s := x.Steps[i]
		text := c.P.When(s.At, c.Now.Wall) + " " + c.P.K("volume.w.", s.What) + " " + c.o.Name(s.By)
		if s.To != "" {
			text += c.P.T("sep.clause") + c.o.Name(s.To)
		}
		if s.Note != "" {
			text += c.P.T("sep.clause") + s.Note
		}
		r.Steps = append(r.Steps, text)
	}
	return r
}

func (o *Pages) catalogue(c *call) error {
	f := c.R.PostForm
	number := func(name string) int {
		n, err := strconv.Atoi(f.Get(name))
		if err != nil {
			return 0
		}
		return n
	}
	err := o.d.Records.Catalogue(c.R.Context(), c.Who(), rules.Volume{Year: number("year"), Class: f.Get("class"), Section: rules.Section(f.Get("section")), Title: f.Get("title"), Shelf: f.Get("shelf"), Pages: number("pages")})
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showArchive(c, http.StatusUnprocessableEntity, f, errs, nil)
	}
	if err != nil {
		return notFound(err)
	}
	return c.Done("/records/archive", "done.volume")
}

func (o *Pages) volumeStep(c *call) error {
	f := c.R.PostForm
	err := o.d.Records.VolumeStep(c.R.Context(), c.Who(), c.R.PathValue("volume"), rules.VolumeStep{What: f.Get("what"), Note: f.Get("note"), To: f.Get("to"), Due: f.Get("due")})
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showArchive(c, http.StatusUnprocessableEntity, nil, nil, errs)
	}
	if err != nil {
		return notFound(err)
	}
	return c.Done("/records/archive", "done.volume")
}

func (o *Pages) apiArchive(c *call) error {
	return c.JSON(http.StatusOK, append([]rules.Volume{}, o.d.Records.Volumes()...))
}

// lettersView is who of a class has not brought the signed safety letter (S19).
type lettersView struct {
	Class, Name string
	Year        int
	Chips       []frame.Chip
	Rows        []letterRow
	Lack        int
}

type letterRow struct {
	ID, Name, Signed string
}

func (o *Pages) lettersPage(c *call) error {
	cl, ok := o.d.People.Class(c.class())
	if !ok {
		if list := o.d.People.Classes(c.Today()); len(list) > 0 && c.class() == "" {
			return c.SeeOther("/records/letters?class=" + list[0].ID)
		}
		return frame.ErrNotFound
	}
	year, err := student.SchoolYear(c.Today())
	if err != nil {
		return err
	}
	v := lettersView{Class: cl.ID, Name: cl.Name(c.Today()), Year: year}
	for _, x := range o.d.People.Classes(c.Today()) {
		if c.Can(account.ActLetters, account.Subject{Class: x.ID}) {
			v.Chips = append(v.Chips, frame.Chip{Text: x.Name(c.Today()), Href: "/records/letters?class=" + x.ID, On: x.ID == cl.ID})
		}
	}
	for _, s := range o.d.People.Roster(cl.ID, c.Today()) {
		r := letterRow{ID: s.ID, Name: s.Name}
		if signed := o.d.Records.LetterSigned(year, s.ID); signed != "" {
			r.Signed = c.date(signed)
		} else {
			v.Lack++
		}
		v.Rows = append(v.Rows, r)
	}
	return c.Page("rec_letters", c.P.T("letters.title"), v)
}

func (o *Pages) putLetters(c *call) error {
	year, err := student.SchoolYear(c.Today())
	if err != nil {
		return err
	}
	if err := o.d.Records.SignLetters(c.R.Context(), c.Who(), year, c.class(), c.R.PostForm["pupil"]); err != nil {
		return notFound(err)
	}
	return c.Done("/records/letters?class="+url.QueryEscape(c.class()), "done.letters")
}

// APILetter is a pupil's safety letter of this school year.
type APILetter struct {
	Student string `json:"student"`
	Signed  string `json:"signed,omitempty"` // date on which it was entered
}

func (o *Pages) apiLetters(c *call) error {
	year, err := student.SchoolYear(c.Today())
	if err != nil {
		return err
	}
	out := []APILetter{}
	for _, s := range o.d.People.Roster(c.class(), c.Today()) {
		out = append(out, APILetter{s.ID, o.d.Records.LetterSigned(year, s.ID)})
	}
	return c.JSON(http.StatusOK, out)
}
