package settings

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/student"
)

// settingsView is the school's own choices.
type settingsView struct {
	Form     ui.Form
	Calendar calendarView
	Root     string // where the key lies that opens all others, in words
}

type calendarView struct {
	Terms, Holidays []string
	MakeUps         []string
	Hours           string
}

// settingFields are the numbers of the form, in its order.
var settingFields = []struct {
	name string
	of   func(*site.Settings) *int
}{
	{"session_idle", func(s *site.Settings) *int { return &s.SessionIdle }},
	{"session_hours", func(s *site.Settings) *int { return &s.SessionHours }},
	{"password_days", func(s *site.Settings) *int { return &s.PasswordDays }},
	{"use_days", func(s *site.Settings) *int { return &s.Register.UseDays }},
	{"undecided_days", func(s *site.Settings) *int { return &s.Register.UndecidedDays }},
	{"complaint_days", func(s *site.Settings) *int { return &s.Register.ComplaintDays }},
	{"report_days", func(s *site.Settings) *int { return &s.Register.ReportDays }},
	{"filing_days", func(s *site.Settings) *int { return &s.Register.FilingDays }},
}

func (o *Pages) settingsPage(c *call) error {
	return o.showSettings(c, http.StatusOK, o.settingValues(), nil)
}

// settingValues are the settings as the form has them, with the revision that it is made from.
func (o *Pages) settingValues() url.Values {
	rev := o.d.Site.SettingsRev() // before the values: newer ones are then a conflict, never the reverse
	s := o.d.Site.Settings()
	values := url.Values{"rev": {strconv.FormatUint(rev, 10)}, "camera_time": {strconv.Itoa(int(s.Register.CameraTime / time.Hour))}, "when_full": {string(s.Full())}, "schooling": {s.Schooling}}
	for _, f := range settingFields {
		values[f.name] = []string{strconv.Itoa(*f.of(&s))}
	}
	return values
}

// Numbers are the number fields of the form.
func (v settingsView) Numbers() []ui.Field {
	out := []ui.Field{v.Form.In("camera_time", "number").Req().Range("1", "240")}
	for _, f := range settingFields {
		out = append(out, v.Form.In(f.name, "number").Req().Range("0", "730"))
	}
	return out
}

// WhenFull is the choice of what happens when there is no room left.
func (v settingsView) WhenFull() ui.Field {
	var list []ui.Option
	for _, w := range []footage.WhenFull{footage.Stop, footage.Breach} {
		list = append(list, ui.Option{Value: string(w), Text: v.Form.P.K("when_full.", w), Hint: v.Form.P.K("when_full.hint.", w)})
	}
	return v.Form.Pick("when_full", "radio", list).Req().Cols(12)
}

// schoolings are the stages that schools have, as the form offers them.
var schoolings = []string{"", "primary6", "primary5", "junior3", "junior4", "senior3", "primary6 junior3", "primary5 junior4", "junior3 senior3", "primary6 junior3 senior3", "primary5 junior4 senior3"}

// Schooling is the choice of the school's stages.
func (v settingsView) Schooling() ui.Field {
	p := v.Form.P
	var list []ui.Option
	for _, code := range schoolings {
		stages, _ := student.ParseSchooling(code)
		var words []string
		for _, s := range stages {
			words = append(words, p.T("schooling.years", p.K("schooling.", s.Stage), s.Years))
		}
		text := strings.Join(words, " + ")
		if text == "" {
			text = p.T("schooling.none")
		}
		list = append(list, ui.Option{Value: code, Text: text})
	}
	return v.Form.Pick("schooling", "select", list)
}

func (o *Pages) showSettings(c *call, status int, values map[string][]string, errs fielderr.Errors) error {
	v := settingsView{Form: ui.Form{Name: "settings", P: c.P, Values: values, Errors: errs}}
	cal := o.d.Site.Calendar()
	for _, t := range cal.Terms {
		v.Calendar.Terms = append(v.Calendar.Terms, t.Name+" "+t.From+" – "+t.To)
	}
	for _, t := range cal.Holidays {
		v.Calendar.Holidays = append(v.Calendar.Holidays, t.Name+" "+t.From+" – "+t.To)
	}
	for _, m := range cal.MakeUps {
		v.Calendar.MakeUps = append(v.Calendar.MakeUps, m.Date)
	}
	if d, h, err := cal.Day(c.Today()); err == nil {
		v.Calendar.Hours = c.P.T("settings.hours", c.P.Clock(d.At(h.Bell)), c.P.Clock(d.At(h.Home)))
	}
	v.Root = c.P.T("settings.root.file")
	if o.d.Status.Retention().RootPlace == "tpm" {
		v.Root = c.P.T("settings.root.tpm")
	}
	return c.PageStatus(status, "settings", c.P.T("nav.settings"), v)
}

func (o *Pages) putSettings(c *call) error {
	s := o.d.Site.Settings()
	var errs fielderr.Errors
	for _, f := range settingFields {
		n, err := strconv.Atoi(strings.TrimSpace(c.R.PostForm.Get(f.name)))
		if err != nil {
			errs.Add(f.name, "err.number")
		}
		*f.of(&s) = n
	}
	hours, err := strconv.Atoi(strings.TrimSpace(c.R.PostForm.Get("camera_time")))
	if err != nil {
		errs.Add("camera_time", "err.number")
	}
	s.Register.CameraTime = time.Duration(hours) * time.Hour
	if w := c.R.PostForm.Get("when_full"); w != "" {
		s.WhenFull = footage.WhenFull(w)
	}
	if c.R.PostForm.Has("schooling") {
		s.Schooling = c.R.PostForm.Get("schooling")
	}
	if len(errs) == 0 {
		rev, err := strconv.ParseUint(c.R.PostForm.Get("rev"), 10, 64)
		if err != nil {
			rev = math.MaxUint64 // a form that carries none is an old one
		}
		err = o.d.Site.PutSettingsFrom(c.R.Context(), c.Who(), s, rev)
		if err == nil {
			return c.Done("/settings", "done.settings")
		}
		var ok bool
		if errs, ok = errors.AsType[fielderr.Errors](err); !ok {
			return err
		}
		if errs[0].Rule == site.RowChanged {
			return o.settingsMoved(c, errs)
		}
	}
	return o.showSettings(c, http.StatusUnprocessableEntity, c.R.PostForm, errs)
}

// settingsMoved shows the form again with what was typed, and at each field what somebody else has set meanwhile.
func (o *Pages) settingsMoved(c *call, errs fielderr.Errors) error {
	now, typed := o.settingValues(), url.Values{}
	for k, v := range c.R.PostForm {
		typed[k] = v
	}
	for _, field := range slices.Sorted(maps.Keys(now)) {
		if v := now.Get(field); field != "rev" && typed.Get(field) != v {
			errs.Add(field, "err.row_now", c.settingWord(field, v))
		}
	}
	typed.Set("rev", now.Get("rev"))
	return o.showSettings(c, http.StatusConflict, typed, errs)
}

// settingWord is the value of a setting as people read it.
func (c *call) settingWord(field, v string) string {
	switch {
	case field == "when_full":
		return c.P.K("when_full.", v)
	case v == "":
		return c.P.T("schooling.none")
	}
	return v
}

// trustView is the page that helps to install the root certificate.
type trustView struct {
	Print   string
	HasRoot bool
	Ports   []frame.Port
}

func (o *Pages) trustPage(c *call) error {
	v := trustView{HasRoot: len(o.d.Info.Root) > 0, Ports: o.d.Info.Ports}
	if v.HasRoot {
		sum := sha256.Sum256(o.d.Info.Root)
		v.Print = grouped(hex.EncodeToString(sum[:]))
	}
	return c.Page("trust", c.P.T("trust.title"), v)
}

// grouped writes a fingerprint as people compare it: in fours.
func grouped(s string) string {
	var b strings.Builder
	for i, r := range strings.ToUpper(s) {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// root gives the certificate: DER for Windows and phones, PEM for the rest.
func (o *Pages) root(c *call) error {
	if len(o.d.Info.Root) == 0 {
		return frame.ErrNotFound
	}
	if c.R.URL.Query().Get("form") == "pem" {
		c.File("campuskeep-root.pem", "application/x-pem-file", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: o.d.Info.Root}))
		return nil
	}
	c.File("campuskeep-root.crt", "application/x-x509-ca-cert", o.d.Info.Root)
	return nil
}

// rulesPage is the text of the rules in force, for everybody.
func (o *Pages) rulesPage(c *call) error {
	return c.Page("rules", c.P.T("rules.title"), o.d.Site.Settings().Register.ReportDays)
}
