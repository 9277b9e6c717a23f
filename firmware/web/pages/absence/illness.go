package absence

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"campuskeep/firmware/absence"
	"campuskeep/firmware/web/frame"
	rules "campuskeep/shared/absence"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// illnessesView is the illnesses that are followed, the clusters found, and the report of a quiet day.
type illnessesView struct {
	Date    string
	Reports []reportRow
	Zero    string // who confirmed the quiet day; empty: nobody
	MayZero bool
	Unsent  bool
	Chips   []frame.Chip
	Q       string
	State   string
	Rows    []illnessRow
	Pages   frame.Pages
	Rules   bool
}

type illnessRow struct {
	Href, Name, Class     string
	Symptoms, Since, Last string
	Diagnosis             string
	Tone, Icon, State     string
}

type reportRow struct {
	ID, Title, Sum, Source string
	Tone, Icon, State      string
	Due                    string
}

func illnessSubject(c *call) (account.Subject, error) {
	i, _, err := c.o.d.Absence.Illness(c.R.PathValue("student"), c.R.PathValue("opened"))
	return account.Subject{Class: i.Class}, err
}

// seesDiagnosis says whether this person may see what a doctor found: a teacher sees signs alone.
func (c *call) seesDiagnosis() bool { return c.Can(account.ActIllnessView, account.Subject{}) }

func (c *call) symptomWords(list []attendance.Symptom) string {
	var out []string
	for _, s := range list {
		out = append(out, c.P.K("symptom.", s))
	}
	return strings.Join(out, c.P.T("sep.list"))
}

func (c *call) foundIllnesses(f url.Values) ([]rules.Illness, error) {
	list, err := c.o.d.Absence.Illnesses()
	words := strings.Fields(strings.ToLower(f.Get("q")))
	return slices.DeleteFunc(list, func(i rules.Illness) bool {
		if !c.Can(account.ActIllnessView, account.Subject{Class: i.Class}) || f.Get("state") == "" && !i.Open() {
			return true
		}
		text := strings.ToLower(c.o.d.People.Name(i.Student) + " " + c.className(i.Class, c.Today()))
		return slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
	}), err
}

func (o *Pages) illnessesPage(c *call) error {
	f := c.R.URL.Query()
	list, err := c.foundIllnesses(f)
	if err != nil {
		return err
	}
	v := illnessesView{Date: c.P.Date(c.Now.Wall), Q: f.Get("q"), State: f.Get("state"), Rules: c.Can(account.ActIllnessRules, account.Subject{})}
	if c.seesDiagnosis() {
		known, err := o.d.Absence.Reports()
		if err != nil {
			return err
		}
		for _, r := range known {
			v.Unsent = v.Unsent || r.Sent.IsZero()
			if len(v.Reports) < 10 {
				v.Reports = append(v.Reports, c.reportRow(r))
			}
		}
		z, given, err := o.d.Absence.Zero(c.Today())
		if err != nil {
			return err
		}
		if given {
			v.Zero = c.P.T("illness.zero.given", o.Name(z.By), c.P.Clock(z.At), z.Unwell)
		}
		v.MayZero = !given && !v.Unsent && c.Can(account.ActIllnessSign, account.Subject{})
	}
	for _, s := range []string{"", "all"} {
		x := frame.CloneValues(f)
		x.Del("page")
		x.Set("state", s)
		v.Chips = append(v.Chips, frame.Chip{Text: c.P.T("illness.filter." + map[string]string{"": "open", "all": "all"}[s]), Href: "/illness?" + x.Encode(), On: s == f.Get("state")})
	}
	from, to, pages := c.PagesOf("/illness", f, len(list))
	v.Pages = pages
	for _, i := range list[from:to] {
		v.Rows = append(v.Rows, c.illnessRow(i))
	}
	return c.Page("illnesses", c.P.T("illness.title"), v)
}

func (c *call) illnessRow(i rules.Illness) illnessRow {
	r := illnessRow{Href: "/illness/pupil/" + i.Student + "/" + i.Opened.Format("20060102T150405"), Name: c.o.d.People.Name(i.Student), Class: c.className(i.Class, c.Today()), Symptoms: c.symptomWords(i.Symptoms), Since: i.Since, Tone: "warn", Icon: "heart", State: c.P.T("illness.open")}
	if i.Away {
		r.State = c.P.T("illness.away")
	}
	if n := len(i.Dates); n > 0 {
		r.Last = i.Dates[n-1]
	}
	if !i.Open() {
		r.Tone, r.Icon, r.State = "ok", "ok", c.P.T("illness.returned", i.Returned)
	}
	if i.Diagnosis != "" && c.seesDiagnosis() {
		r.Diagnosis = c.P.K("disease.", i.Diagnosis)
	}
	return r
}

func (c *call) groupName(g string) string {
	if d, ok := strings.CutPrefix(g, "d."); ok {
		return c.P.T("disease." + d)
	}
	if g == "" {
		return c.P.T("illness.group.any")
	}
	return c.P.T("illness.group." + g)
}

// arithmetic is how a cluster was found, with every figure.
func (c *call) arithmetic(k rules.Cluster) string {
	var days []string
	for _, d := range k.Days {
		days = append(days, c.P.T("illness.day", d.Date[5:], d.N))
	}
	return c.P.T("illness.sum", k.Rule.Days, strings.Join(days, " + "), len(k.Cases), k.Rule.Least)
}

func (c *call) reportRow(r rules.Report) reportRow {
	where := c.P.T("illness.unit.school")
	if r.Cluster.Class != "" {
		where = c.className(r.Cluster.Class, r.Cluster.To)
	}
	x := reportRow{ID: r.ID, Title: c.P.T("illness.report.title", where, c.groupName(r.Cluster.Group), len(r.Cluster.Cases)), Sum: c.arithmetic(r.Cluster), Source: r.Cluster.Rule.Source, Due: c.P.When(r.Due, c.Now.Wall)}
	switch {
	case !r.Sent.IsZero():
		x.Tone, x.Icon, x.State = "ok", "ok", c.P.T("illness.report.sent", c.P.When(r.Sent, c.Now.Wall))
	case r.Signed != "":
		x.Tone, x.Icon, x.State = "warn", "clock", c.P.T("illness.report.signed", c.o.Name(r.Signed))
	default:
		x.Tone, x.Icon, x.State = "bad", "bad", c.P.T("illness.report.waits")
	}
	return x
}

func (o *Pages) zeroReport(c *call) error {
	if err := o.d.Absence.PutZero(c.R.Context(), c.Who(), c.Decision.Role); err != nil {
		return err
	}
	return c.Done("/illness", "done.illness.zero")
}

// illnessView is one illness.
type illnessView struct {
	illnessRow
	F                         ui.Form
	Rev                       uint64
	Open, Edit, Doctor        bool
	Where, Certificate        string
	Course                    []courseRow
	Dates                     string
	SymptomsNow               []attendance.Symptom
	NeedsCertificate          bool
	SourceWord, ClosedBy, Own string
}

type courseRow struct{ When, Who, Text string }

func (o *Pages) illnessPage(c *call) error { return o.showIllness(c, http.StatusOK, nil) }

func (o *Pages) showIllness(c *call, status int, errs fielderr.Errors) error {
	i, rev, err := o.d.Absence.Illness(c.R.PathValue("student"), c.R.PathValue("opened"))
	if err != nil {
		return err
	}
	region, _, err := o.d.Absence.IllnessRules()
	if err != nil {
		return err
	}
	v := illnessView{illnessRow: c.illnessRow(i), F: ui.Form{Name: "illness", P: c.P, Values: c.R.PostForm, Errors: errs}, Rev: rev, Open: i.Open(), Doctor: c.seesDiagnosis(), Where: i.Doctor, Certificate: i.Certificate,
		Dates: strings.Join(i.Dates, c.P.T("sep.list")), SymptomsNow: i.Symptoms, NeedsCertificate: region.Certificate, SourceWord: c.P.K("illness.source.", i.Source)}
	v.Edit = i.Open() && c.Can(account.ActIllnessEdit, account.Subject{Class: i.Class})
	for _, r := range i.Course {
		v.Course = append(v.Course, courseRow{c.P.When(r.At, c.Now.Wall), o.Name(r.By), r.Text})
	}
	if i.By != "" {
		v.ClosedBy = o.Name(i.By)
	}
	if v.F.Values.Get("rev") == "" {
		v.F.Values = url.Values{"since": {i.Since}, "doctor": {i.Doctor}, "diagnosis": {string(i.Diagnosis)}, "certificate": {i.Certificate}}
		for _, s := range i.Symptoms {
			v.F.Values.Add("symptoms", string(s))
		}
	}
	return c.PageStatus(status, "illness", v.Name, v)
}

// Signs is the field of the symptoms.
func (v illnessView) Signs() ui.Field {
	var options []ui.Option
	for _, s := range attendance.Symptoms {
		options = append(options, ui.Option{Value: string(s), Text: v.F.P.K("symptom.", s)})
	}
	return v.F.Pick("symptoms", "check", options)
}

// Diagnoses is the field of the diagnosis.
func (v illnessView) Diagnoses() ui.Field {
	options := []ui.Option{{Text: v.F.P.T("illness.none.yet")}}
	for _, d := range rules.Diseases {
		options = append(options, ui.Option{Value: string(d), Text: v.F.P.K("disease.", d)})
	}
	return v.F.Pick("diagnosis", "select", options)
}

func (o *Pages) followIllness(c *call) error {
	f := c.R.PostForm
	x := rules.FollowUp{Since: f.Get("since"), Doctor: strings.TrimSpace(f.Get("doctor")), Certificate: f.Get("certificate"), Returned: f.Get("returned"), Text: f.Get("text")}
	for _, s := range f["symptoms"] {
		x.Symptoms = append(x.Symptoms, attendance.Symptom(s))
	}
	if c.seesDiagnosis() {
		x.Diagnosis = rules.Disease(f.Get("diagnosis"))
	}
	student, opened := c.R.PathValue("student"), c.R.PathValue("opened")
	err := o.d.Absence.FollowUp(c.R.Context(), c.Who(), c.Decision.Role, student, opened, frame.FormRev(f), x)
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showIllness(c, http.StatusUnprocessableEntity, errs)
	}
	if err != nil {
		return err
	}
	return c.Done("/illness/pupil/"+student+"/"+opened, "done.illness")
}

// reportView is the report of a cluster to the health authority, filled.
type reportView struct {
	reportRow
	ui.Form
	School, Class, Group string
	From, To, Found      string
	Cases                []reportCase
	Rev                  uint64
	Sign, Send           bool
	Words, Signed, Sent  string
	SentTo               string
}

type reportCase struct {
	No                              int
	Name, Sex, Birth, Class, Phone  string
	Since, Symptoms, Doctor, Result string
	Away                            bool
}

func (o *Pages) reportPage(c *call) error { return o.showReport(c, http.StatusOK, nil) }

func (o *Pages) showReport(c *call, status int, errs fielderr.Errors) error {
	r, rev, err := o.d.Absence.Report(c.R.PathValue("id"))
	if err != nil {
		return err
	}
	list, err := o.d.Absence.Illnesses()
	if err != nil {
		return err
	}
	k := r.Cluster
	v := reportView{reportRow: c.reportRow(r), Form: ui.Form{Name: "sickreport", P: c.P, Values: c.R.PostForm, Errors: errs}, School: o.d.Info.School, Group: c.groupName(k.Group), From: k.From, To: k.To, Found: c.P.Stamp(r.Found)[:16], Rev: rev, Words: r.Words, SentTo: r.SentTo}
	for _, i := range list {
		if !slices.Contains(k.Cases, i.Student) || i.Since < k.From || i.Since > k.To {
			continue
		}
		s, _ := o.d.People.Student(i.Student)
		x := reportCase{No: len(v.Cases) + 1, Name: s.Name, Sex: c.P.K("illness.sex.", s.Sex), Birth: s.Birth, Class: c.className(i.Class, k.To), Since: i.Since, Symptoms: c.symptomWords(i.Symptoms), Doctor: i.Doctor, Away: i.Away}
		if len(s.Guardians) > 0 {
			x.Phone = s.Guardians[0].Phone
		}
		if i.Diagnosis != "" {
			x.Result = c.P.K("disease.", i.Diagnosis)
		}
		v.Cases = append(v.Cases, x)
	}
	may := c.Can(account.ActIllnessSign, account.Subject{})
	v.Sign, v.Send = may && r.Signed == "", may && r.Signed != "" && r.Sent.IsZero()
	if r.Signed != "" {
		v.Signed = c.P.T("illness.report.signed.at", o.Name(r.Signed), c.P.Stamp(r.At)[:16])
	}
	if !r.Sent.IsZero() {
		v.Sent = c.P.T("illness.report.sent.by", o.Name(r.SentBy), c.P.Stamp(r.Sent)[:16], r.SentTo)
	}
	return c.PageStatus(status, "illness_report", v.Title, v)
}

func (o *Pages) signReport(c *call) error {
	f := c.R.PostForm
	err := o.d.Absence.SignReport(c.R.Context(), c.Who(), c.Decision.Role, c.R.PathValue("id"), frame.FormRev(f), f.Get("words"), f.Get("sent_to"))
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showReport(c, http.StatusUnprocessableEntity, errs)
	}
	if err != nil {
		return err
	}
	return c.Done("/illness/reports/"+url.PathEscape(c.R.PathValue("id")), "done.illness.report")
}

// rulesView is the rules of the region, one line for each.
type rulesView struct {
	ui.Form
	Rev         uint64
	Lines       []ruleLine
	Certificate bool
}

type ruleLine struct {
	Mark                 string
	Unit                 string
	Days, Least          string
	Group, Source, Error string
	Groups               []ui.Option
}

// groups are what a rule can count.
var groups = []string{"", "flu", "gut", "fever", "rash", "parotid", "red_eye", "jaundice"}

func (o *Pages) rulesPage(c *call) error {
	r, rev, err := o.d.Absence.IllnessRules()
	if err != nil {
		return err
	}
	return o.showRules(c, http.StatusOK, r, rev, nil)
}

func (o *Pages) showRules(c *call, status int, r absence.IllnessRules, rev uint64, errs fielderr.Errors) error {
	v := rulesView{Form: ui.Form{Name: "sickrules", P: c.P, Values: c.R.PostForm, Errors: errs}, Rev: rev, Certificate: r.Certificate}
	for n := range len(r.Clusters) + 2 {
		l := ruleLine{Mark: fmt.Sprintf("r%d.", n), Unit: "class"}
		var x rules.ClusterRule
		if n < len(r.Clusters) {
			x = r.Clusters[n]
			l.Unit, l.Days, l.Least, l.Group, l.Source = x.Unit, strconv.Itoa(x.Days), strconv.Itoa(x.Least), x.Group, x.Source
		}
		for _, e := range errs {
			if strings.HasPrefix(e.Field, l.Mark) {
				l.Error = c.P.T(e.Rule, e.Args...)
			}
		}
		for _, g := range groups {
			l.Groups = append(l.Groups, ui.Option{Value: g, Text: c.groupName(g), On: g == l.Group})
		}
		for _, d := range rules.Infectious {
			l.Groups = append(l.Groups, ui.Option{Value: "d." + string(d), Text: c.P.K("disease.", d), On: "d."+string(d) == l.Group})
		}
		v.Lines = append(v.Lines, l)
	}
	return c.PageStatus(status, "illness_rules", c.P.T("illness.rules"), v)
}

func (o *Pages) putRules(c *call) error {
	f := c.R.PostForm
	r := absence.IllnessRules{Certificate: f.Get("certificate") != ""}
	for n := range 32 {
		at := func(k string) string { return strings.TrimSpace(f.Get(fmt.Sprintf("r%d.%s", n, k))) }
		if at("days") == "" && at("least") == "" && at("source") == "" {
			continue // an empty line is no rule
		}
		days, _ := strconv.Atoi(at("days"))   // 0 is refused
		least, _ := strconv.Atoi(at("least")) // as above
		r.Clusters = append(r.Clusters, rules.ClusterRule{Unit: at("unit"), Days: days, Least: least, Group: at("group"), Source: at("source")})
	}
	rev, err := strconv.ParseUint(f.Get("rev"), 10, 64)
	if err != nil {
		rev = ^uint64(0)
	}
	err = o.d.Absence.PutIllnessRules(c.R.Context(), c.Who(), c.Decision.Role, r, rev)
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showRules(c, http.StatusUnprocessableEntity, r, rev, errs)
	}
	if err != nil {
		return err
	}
	return c.Done("/illness/rules", "done.illness.rules")
}

// illnessNeeds are what waits for the school doctor: reports to sign or send, and the report of a quiet day.
func (c *call) illnessNeeds() (out []frame.Need, _ error) {
	if !c.Can(account.ActIllnessSign, account.Subject{}) {
		return nil, nil
	}
	known, err := c.o.d.Absence.Reports()
	if err != nil {
		return nil, err
	}
	for _, r := range known {
		if r.Sent.IsZero() {
			x := c.reportRow(r)
			out = append(out, frame.Need{Tone: "bad", Icon: "bad", Badge: x.State, Kind: c.P.T("nav.illness"), Title: x.Title, Text: x.Sum, Due: x.Due, Href: "/illness/reports/" + url.PathEscape(r.ID), Do: c.P.T("see"), Primary: true})
		}
	}
	day, hours, err := c.o.d.Site.Calendar().Day(c.Today())
	if err != nil || !day.School || len(out) > 0 || c.Now.Wall.Before(day.At(hours.Bell)) {
		return out, err
	}
	if _, given, err := c.o.d.Absence.Zero(c.Today()); err != nil || given {
		return out, err
	}
	return append(out, frame.Need{Tone: "warn", Icon: "heart", Badge: c.P.T("illness.zero"), Kind: c.P.T("nav.illness"), Title: c.P.T("illness.zero.need"), Href: "/illness", Do: c.P.T("see")}), nil
}

// APIIllness is an illness, as JSON; the diagnosis only for those who may see it.
type APIIllness struct {
	rules.Illness
	Name string `json:"name"`
	Rev  uint64 `json:"rev,omitempty"`
}

// APIIllnesses is the page of illnesses, as JSON.
type APIIllnesses struct {
	Date      string              `json:"date"`
	Zero      *absence.ZeroReport `json:"zero_report,omitempty"`
	Reports   []rules.Report      `json:"reports"`
	Illnesses []APIIllness        `json:"illnesses"`
}

func (c *call) apiOf(i rules.Illness, rev uint64) APIIllness {
	if !c.seesDiagnosis() {
		i.Diagnosis = ""
	}
	return APIIllness{i, c.o.d.People.Name(i.Student), rev}
}

func (o *Pages) apiIllnesses(c *call) error {
	list, err := c.foundIllnesses(c.R.URL.Query())
	if err != nil {
		return err
	}
	out := APIIllnesses{Date: c.Today(), Reports: []rules.Report{}, Illnesses: []APIIllness{}}
	for _, i := range list {
		out.Illnesses = append(out.Illnesses, c.apiOf(i, 0))
	}
	if c.seesDiagnosis() {
		if out.Reports, err = o.d.Absence.Reports(); err != nil {
			return err
		}
		z, given, err := o.d.Absence.Zero(out.Date)
		if err != nil {
			return err
		}
		if given {
			out.Zero = &z
		}
	}
	return c.JSON(http.StatusOK, out)
}

func (o *Pages) apiIllness(c *call) error {
	i, rev, err := o.d.Absence.Illness(c.R.PathValue("student"), c.R.PathValue("opened"))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, c.apiOf(i, rev))
}

func (o *Pages) apiReport(c *call) error {
	r, _, err := o.d.Absence.Report(c.R.PathValue("id"))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, r)
}

func (o *Pages) apiRules(c *call) error {
	r, _, err := o.d.Absence.IllnessRules()
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, r)
}
