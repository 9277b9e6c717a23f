package records

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"campuskeep/firmware/people"
	"campuskeep/firmware/records"
	"campuskeep/firmware/sealedfiles"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/login"
	rules "campuskeep/shared/records"
)

// recordForm writes or corrects one record.
type recordForm struct {
	ui.Form
	Pupil, Name, Class string
	Kind               string
	Title, Action      string
	Token              string // of a new record
	Edit               bool
	Seen               int
	Files              []fileChoice
	Others             bool // several pupils can be named
	Follow, MustFollow bool
	Today              string
	fields             []rules.Field
	places, owners     []ui.Option
	MaxMB, MaxFiles    int
}

type fileChoice struct {
	ID, Text, Href string
	Keep           bool
}

// Rows are the fields of the kind.
func (f *recordForm) Rows() (out []ui.Field) {
	for _, x := range f.fields {
		out = append(out, f.field(x))
	}
	return out
}

func (f *recordForm) field(x rules.Field) ui.Field {
	var d ui.Field
	switch x.Type {
	case rules.Lines:
		d = f.In(x.Name, "textarea").Cols(12).Len(x.Max).Lines(3)
	case rules.Date:
		d = f.In(x.Name, "date").Cols(4)
	case rules.Number:
		d = f.In(x.Name, "text").Cols(3).Len(8)
		d.Mode = "decimal"
	case rules.Choice:
		var options []ui.Option
		for _, o := range x.Choices {
			options = append(options, ui.Option{Value: o, Text: f.P.K("record.o."+x.Name+".", o)})
		}
		if len(options) > 4 {
			options = append([]ui.Option{{Text: f.P.T("record.choose")}}, options...)
			d = f.Pick(x.Name, "select", options).Cols(6)
		} else if x.Required {
			d = f.Pick(x.Name, "radio", options).Cols(12)
		} else {
			d = f.Pick(x.Name, "select", append([]ui.Option{{Text: f.P.T("record.choose")}}, options...)).Cols(3)
		}
	case rules.Place:
		d = f.In(x.Name, "text").Cols(6).Len(x.Max)
		if len(f.places) > 0 {
			d = f.Pick(x.Name, "select", f.places).Cols(6)
		}
	default:
		d = f.In(x.Name, "text").Cols(6).Len(x.Max)
	}
	if x.Required {
		d = d.Req()
	}
	return d
}

// Field is a field that every record has.
func (f *recordForm) Field(name, kind string) ui.Field {
	switch name {
	case "source":
		var options []ui.Option
		for _, s := range rules.Sources {
			if s != "import" {
				options = append(options, ui.Option{Value: string(s), Text: f.P.K("record.s.", string(s))})
			}
		}
		return f.Pick(name, kind, options)
	case "owner":
		return f.Pick(name, kind, f.owners)
	case "follow":
		return f.Pick(name, kind, []ui.Option{{Value: "1", Text: f.P.T("record.follow.yes")}})
	case "invalid":
		return f.Pick(name, kind, []ui.Option{{Value: "1", Text: f.P.T("record.invalid.yes")}})
	case "situations":
		var options []ui.Option
		for _, s := range rules.Situations {
			options = append(options, ui.Option{Value: s, Text: f.P.T("situation." + s)})
		}
		return f.Pick(name, kind, options)
	}
	return f.In(name, kind)
}

func (o *Pages) newPage(c *call) error {
	k, ok := rules.KindOf(c.R.FormValue("kind"))
	if !ok {
		return frame.ErrNotFound
	}
	if err := c.must(k.Section.WriteAction(), c.Subject); err != nil {
		return err
	}
	values := url.Values{"happened": {c.P.Input(c.Now.Wall)}, "source": {"seen"}}
	return o.showForm(c, http.StatusOK, k, values, nil, nil)
}

// showForm shows the form; old is the version that is corrected.
func (o *Pages) showForm(c *call, status int, k rules.Kind, values url.Values, errs fielderr.Errors, old *rules.Record) error {
	id := c.R.PathValue("id")
	f := &recordForm{Form: ui.Form{Name: "record", P: c.P, Values: values, Errors: errs}, Pupil: id, Name: c.pupilName(id), Class: c.className(id), Kind: k.Name, fields: k.Fields,
		Title: c.P.K("record.k.", k.Name), Action: "/pupils/" + id + "/records", Others: k.Name == rules.KindIncident || k.Name == rules.KindPraise,
		Follow: k.Concern != rules.Never, MustFollow: k.Concern == rules.MustFollow, Today: c.Today(), owners: c.owners(), MaxMB: sealedfiles.MaxBytes >> 20, MaxFiles: rules.MaxFiles}
	if places := o.d.Site.Places(); len(places) > 0 {
		f.places = []ui.Option{{Text: c.P.T("record.choose")}}
		for _, p := range places {
			f.places = append(f.places, ui.Option{Value: p.ID, Text: p.Name})
		}
	}
	if old != nil {
		f.Edit, f.Seen, f.Others, f.Follow, f.Action = true, old.Version, false, false, f.Action+"/"+old.ID
		for i, file := range old.Files {
			f.Files = append(f.Files, fileChoice{file, c.P.T("record.file", i+1), f.Action + "/files/" + file, values["keep"] == nil || slices.Contains(values["keep"], file)})
		}
	} else if f.Token = values.Get("once"); f.Token == "" {
		f.Token, _ = login.NewToken()
	}
	c.W.Header().Set("Cache-Control", "no-store")
	return c.PageStatus(status, "record_form", f.Title, f)
}

// owners are those whom a concern can be given.
func (c *call) owners() []ui.Option {
	out := []ui.Option{{Text: c.P.T("concern.nobody")}}
	for _, p := range c.o.d.People.People() {
		if !p.Disabled && account.May(account.Actor{ID: p.ID, Roles: p.Roles, SecondFactor: true}, account.ActConcernList, account.Subject{Signed: true}, c.Now.Wall).Allowed {
			out = append(out, ui.Option{Value: p.ID, Text: c.P.T("record.person", p.Name, roleWord(c, p))})
		}
	}
	return out
}

func roleWord(c *call, p people.Person) string {
	for _, r := range frame.RoleOrder {
		if slices.Contains(p.Roles, r) {
			return c.P.K("role.", r)
		}
	}
	return p.Unit
}

// readForm reads a form with its files. Files are in memory: nothing of them touches the disk in clear.
func readForm(r *http.Request) (values url.Values, files []io.Reader, err error) {
	parts, err := r.MultipartReader()
	if err != nil {
		return r.PostForm, nil, nil // a form without files
	}
	values = url.Values{}
	for {
		p, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return values, files, nil
		}
		if err != nil {
			return nil, nil, formFault(err)
		}
		if p.FormName() != "file" {
			b, err := io.ReadAll(io.LimitReader(p, mostText+1))
			if err != nil {
				return nil, nil, formFault(err)
			}
			if len(b) > mostText {
				return nil, nil, fielderr.Errors{{Field: p.FormName(), Rule: "err.too_long", Args: []any{mostText}}}
			}
			values.Add(p.FormName(), string(b))
			continue
		}
		b, err := readFile(p)
		if err != nil {
			return nil, nil, err
		}
		if len(b) > 0 {
			files = append(files, bytes.NewReader(b))
		}
	}
}

// mostText bounds one field of a form, in bytes.
const mostText = 16 << 10

func readFile(p *multipart.Part) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(p, sealedfiles.MaxBytes+1))
	if err != nil {
		return nil, formFault(err)
	}
	return b, nil
}

func formFault(err error) error { return fmt.Errorf("read a form: %w", err) }

// recordOf is the record that a form describes.
func recordOf(k rules.Kind, pupil string, f url.Values) rules.Record {
	r := rules.Record{Student: pupil, Kind: k.Name, Happened: f.Get("happened"), Source: rules.Source(f.Get("source")), Reason: f.Get("reason"), Invalid: f.Get("invalid") != "", Values: map[string]string{}}
	for _, x := range k.Fields {
		r.Values[x.Name] = strings.TrimSpace(f.Get(x.Name))
	}
	return r
}

// write takes a new record.
func (o *Pages) write(c *call) error {
	f, files, err := readForm(c.R)
	if err != nil {
		return err
	}
	id := c.R.PathValue("id")
	k, ok := rules.KindOf(f.Get("kind"))
	if !ok {
		return frame.ErrNotFound
	}
	if path, sent := o.sent.was(f.Get("once")); sent {
		return c.SeeOther(path)
	}
	if err := c.must(k.Section.WriteAction(), c.Subject); err != nil {
		return err
	}
	d := records.Draft{Record: recordOf(k, id, f), Uploads: files, Follow: f.Get("follow") != "", Owner: f.Get("owner"), Due: f.Get("due"), Situations: f["situations"]}
	var errs fielderr.Errors
	d.Others, errs = c.others(f.Get("others"))
	if len(errs) == 0 {
		_, err = o.d.Records.Write(c.R.Context(), c.Who(), d)
		var isFields bool
		if errs, isFields = errors.AsType[fielderr.Errors](err); !isFields && err != nil {
			return notFound(err)
		}
	}
	if len(errs) > 0 {
		return o.showForm(c, http.StatusUnprocessableEntity, k, f, errs, nil)
	}
	path := "/pupils/" + id + "?s=" + string(k.Section)
	if !c.Can(account.ActRecordView, c.Subject) { // who only reports it
		path = "/concerns"
	}
	o.sent.add(f.Get("once"), path, c.Now.Mono)
	return c.Done(path, "done.record")
}

// others finds the further pupils of an incident by name or number.
func (c *call) others(text string) (ids []string, errs fielderr.Errors) {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(",，、;； \n\r\t", r) }) {
		if _, ok := c.o.d.People.Student(word); ok {
			ids = append(ids, word)
			continue
		}
		found := c.o.d.People.FindStudents(word, 10)
		exact := found[:0:0]
		for _, s := range found {
			if s.Name == word || s.NationalNo == word {
				exact = append(exact, s)
			}
		}
		switch len(exact) {
		case 1:
			ids = append(ids, exact[0].ID)
		case 0:
			errs.Add("others", "err.pupil_unknown", word)
		default:
			var list []string
			for _, s := range exact {
				list = append(list, c.className(s.ID)+" "+s.ID)
			}
			errs.Add("others", "err.pupil_ambiguous", word, strings.Join(list, "、"))
		}
	}
	return ids, errs
}

// oldRecord reads the record of the address for its form; a sensitive section must be open.
func (c *call) oldRecord() (rules.Record, rules.Kind, error) {
	r, err := c.o.d.Records.Get(c.R.Context(), c.Who(), c.R.PathValue("id"), c.R.PathValue("record"))
	if err != nil {
		return r, rules.Kind{}, notFound(err)
	}
	k, _ := rules.KindOf(r.Kind)
	return r, k, c.must(k.Section.WriteAction(), c.Subject)
}

func (o *Pages) editPage(c *call) error {
	r, k, err := c.oldRecord()
	if _, asks := errors.AsType[fielderr.Errors](err); asks { // state the purpose first
		return c.SeeOther("/pupils/" + c.R.PathValue("id"))
	}
	if err != nil {
		return err
	}
	values := url.Values{"happened": {r.Happened}, "source": {string(r.Source)}}
	for name, v := range r.Values {
		values.Set(name, v)
	}
	return o.showForm(c, http.StatusOK, k, values, nil, &r)
}

// correct takes the next version of a record.
func (o *Pages) correct(c *call) error {
	f, files, err := readForm(c.R)
	if err != nil {
		return err
	}
	old, k, err := c.oldRecord()
	if err != nil {
		return err
	}
	seen, err := strconv.Atoi(f.Get("seen"))
	if err != nil {
		seen = 0
	}
	_, err = o.d.Records.Correct(c.R.Context(), c.Who(), records.Correction{ID: old.ID, Seen: seen, Record: recordOf(k, old.Student, f), Keep: f["keep"], Uploads: files})
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showForm(c, http.StatusUnprocessableEntity, k, f, errs, &old)
	}
	if err != nil {
		return notFound(err)
	}
	return c.Done("/pupils/"+old.Student+"?s="+string(k.Section), "done.record.corrected")
}
