package readers

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/attendance"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// formView is the form of one reader, new or known.
type formView struct {
	Form    ui.Form
	New     bool
	ID      string
	Name    string
	Kind    string
	Kinds   []kindChoice
	Ways    []ui.Option
	Ports   []ui.Option
	NoPorts bool
	Bauds   []ui.Option
	Formats []ui.Option
	Turned  []ui.Option
	Techs   []ui.Option
	Off     bool // the port for terminals that call is not configured
}

type kindChoice struct {
	Code, Text, Hint, Href string
	On                     bool
}

func (o *Pages) newPage(c *call) error {
	id := ""
	for n := 1; ; n++ {
		id = fmt.Sprintf("r%02d", n)
		if _, taken := o.d.Site.Reader(id); !taken {
			break
		}
	}
	kind := c.R.URL.Query().Get("kind")
	if _, ok := kindOf(kind); !ok {
		kind = "osdp"
	}
	v := values(site.Reader{ID: id, Direction: attendance.Auto, Format: 26})
	v.Set("kind", kind)
	return o.showForm(c, http.StatusOK, "", v, nil)
}

func (o *Pages) editPage(c *call) error {
	id := c.R.PathValue("id")
	rev := o.d.Site.ReaderRev(id) // before the row: a newer row is then a conflict, never the reverse
	r, ok := o.d.Site.Reader(id)
	if !ok {
		return frame.ErrNotFound
	}
	v := values(r)
	v.Set("rev", strconv.FormatUint(rev, 10))
	return o.showForm(c, http.StatusOK, id, v, nil)
}

func values(r site.Reader) url.Values {
	v := url.Values{}
	for k, s := range map[string]string{"id": r.ID, "name": r.Name, "place": r.Place, "direction": string(r.Direction), "kind": kindCode(r.Kind), "port": r.Port,
		"baud": strconv.Itoa(r.Baud), "address": strconv.Itoa(r.Address), "d0": r.D0, "d1": r.D1, "format": strconv.Itoa(r.Format), "serial": r.Serial, "host": r.Host, "technician": r.Technician} {
		v.Set(k, s)
	}
	if r.Turned {
		v.Set("turned", "on")
	}
	return v
}

func kindOf(code string) (site.ReaderKind, bool) {
	for _, k := range site.ReaderKinds {
		if kindCode(k) == code {
			return k, true
		}
	}
	return "", false
}

func (o *Pages) showForm(c *call, status int, id string, vals url.Values, errs fielderr.Errors) error {
	v := formView{Form: ui.Form{Name: "reader", P: c.P, Values: vals, Errors: errs}, New: id == "", ID: id, Name: vals.Get("name"), Kind: vals.Get("kind")}
	for _, k := range site.ReaderKinds {
		if o.d.Readers.Serves(k) || kindCode(k) == v.Kind {
			code := kindCode(k)
			v.Kinds = append(v.Kinds, kindChoice{Code: code, Text: c.P.T("reader.kind." + code), Hint: c.P.T("reader.kind.hint." + code), Href: "/readers/new?kind=" + code, On: code == v.Kind})
		}
	}
	v.Off = !o.d.Readers.Serves(site.ReaderIclock)
	for _, d := range []attendance.Direction{attendance.Auto, attendance.In, attendance.Out} {
		v.Ways = append(v.Ways, ui.Option{Value: string(d), Text: c.P.T("reader.way." + string(d)), Hint: c.P.T("reader.way.hint." + string(d))})
	}
	v.Ports = c.portOptions(vals.Get("port"))
	v.NoPorts = len(v.Ports) == 0
	for _, b := range site.ReaderBauds {
		text := strconv.Itoa(b)
		if b == 0 {
			text = c.P.T("reader.baud.default")
		}
		v.Bauds = append(v.Bauds, ui.Option{Value: strconv.Itoa(b), Text: text})
	}
	for _, n := range site.WiegandFormats {
		v.Formats = append(v.Formats, ui.Option{Value: strconv.Itoa(n), Text: c.P.T("reader.bits", n)})
	}
	v.Turned = []ui.Option{{Value: "on", Text: c.P.T("reader.turned"), Hint: c.P.T("reader.turned.hint")}}
	v.Techs = []ui.Option{{Text: "–"}}
	for _, p := range o.d.People.People() {
		if !p.Disabled {
			v.Techs = append(v.Techs, ui.Option{Value: p.ID, Text: p.Name + "（" + p.Unit + "）"})
		}
	}
	title := c.P.T("reader.new")
	if id != "" {
		title = v.Name
	}
	return c.PageStatus(status, "reader_form", title, v)
}

// portOptions are the serial ports that can be chosen: those that this machine has, and the one in use.
func (c *call) portOptions(now string) (out []ui.Option) {
	for _, p := range c.o.d.Readers.Ports() {
		text := p.Path
		if !p.Present {
			text += c.P.T("sep.clause") + c.P.T("readers.port.gone")
		}
		out = append(out, ui.Option{Value: p.Path, Text: text})
	}
	if now != "" && !slices.ContainsFunc(out, func(x ui.Option) bool { return x.Value == now }) {
		out = append(out, ui.Option{Value: now, Text: now + c.P.T("sep.clause") + c.P.T("readers.port.gone")})
	}
	return out
}

// typed reads the form over the row as it was.
func (o *Pages) typed(f url.Values, was site.Reader) (site.Reader, *site.Login, fielderr.Errors) {
	var errs fielderr.Errors
	text := func(k string) string { return strings.TrimSpace(f.Get(k)) }
	num := func(k string) int {
		s := cmp.Or(text(k), "0")
		n, err := strconv.Atoi(s)
		if err != nil {
			errs.Add(k, "err.number")
		}
		return n
	}
	r := was
	r.Name, r.Place, r.Direction = text("name"), text("place"), attendance.Direction(f.Get("direction"))
	kind, ok := kindOf(f.Get("kind"))
	if !ok {
		errs.Add("kind", "err.choice")
	}
	r.Kind, r.Turned = kind, f.Get("turned") == "on"
	switch kind {
	case site.ReaderOSDP:
		r.Port, r.Baud, r.Address = f.Get("port"), num("baud"), num("address")
		known := r.Port == was.Port && was.Port != ""
		if !known && !slices.ContainsFunc(o.d.Readers.Ports(), func(p frame.ReaderPort) bool { return p.Path == r.Port }) {
			errs.Add("port", "err.port_unknown") // a page opens no other file of this machine
		}
	case site.ReaderWiegand:
		r.D0, r.D1, r.Format = text("d0"), text("d1"), num("format")
	case site.ReaderIclock:
		r.Serial, r.Host = text("serial"), text("host")
	case site.ReaderHikvision:
		r.Host = text("host")
	}
	if !o.d.Readers.Serves(kind) && was.ID == "" {
		errs.Add("kind", "err.reader_not_served")
	}
	r.Technician = f.Get("technician")
	if r.Technician != "" && r.Technician != was.Technician {
		if p, ok := o.d.People.Person(r.Technician); !ok || p.Disabled {
			errs.Add("technician", "err.choice")
		}
	}
	var login *site.Login
	if kind == site.ReaderHikvision && (text("user") != "" || f.Get("password") != "") {
		login = &site.Login{User: text("user"), Password: f.Get("password")}
	}
	return r, login, errs
}

// putReader registers or changes a reader.
func (o *Pages) putReader(c *call) error {
	f := c.R.PostForm
	id := c.R.PathValue("id")
	was, known := o.d.Site.Reader(id)
	if id != "" && !known {
		return frame.ErrNotFound
	}
	r, login, errs := o.typed(f, was)
	p := site.ReaderPut{Login: login, New: !known}
	if known {
		p.Rev = frame.FormRev(f)
	} else {
		r.ID = strings.TrimSpace(f.Get("id"))
	}
	p.Reader = r
	if len(errs) == 0 {
		err := o.d.Site.PutReaderFrom(c.R.Context(), c.Who(), p)
		if err == nil {
			return c.Done("/readers/"+r.ID, "done.reader")
		}
		if !errors.As(err, &errs) {
			return err
		}
	}
	status := http.StatusUnprocessableEntity
	if slices.ContainsFunc(errs, func(e fielderr.Error) bool { return e.Rule == site.RowChanged }) {
		status = http.StatusConflict
		f.Set("rev", strconv.FormatUint(o.d.Site.ReaderRev(id), 10)) // saving it again is said of what is seen
	}
	return o.showForm(c, status, id, f, errs)
}

// service takes a reader out of service, or back.
func (o *Pages) service(retired bool) func(*call) error {
	return func(c *call) error {
		r, ok := o.d.Site.Reader(c.R.PathValue("id"))
		if !ok {
			return frame.ErrNotFound
		}
		r.Retired = retired
		err := o.d.Site.PutReaderFrom(c.R.Context(), c.Who(), site.ReaderPut{Reader: r, Rev: frame.FormRev(c.R.PostForm)})
		var errs fielderr.Errors
		if errors.As(err, &errs) {
			v := values(r)
			v.Set("rev", strconv.FormatUint(o.d.Site.ReaderRev(r.ID), 10))
			return o.showForm(c, http.StatusConflict, r.ID, v, errs)
		}
		if err != nil {
			return err
		}
		return c.Done("/readers/"+r.ID, "done.reader")
	}
}
