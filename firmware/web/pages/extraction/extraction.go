package extraction

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/firmware/extraction"
	"campuskeep/firmware/people"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/qr"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/packet"
	rules "campuskeep/shared/usage"
)

type listView struct {
	Rows  []listRow
	Chips []frame.Chip
}

type listRow struct {
	E                 extraction.Extraction
	Tone, Icon, State string
	Text              string
}

func (o *Pages) listPage(c *call) error {
	v := listView{}
	filter := extraction.State(c.R.URL.Query().Get("state"))
	counts := map[extraction.State]int{}
	for _, e := range o.d.Extractions.List() {
		counts[e.State]++
		if filter == "" || e.State == filter {
			v.Rows = append(v.Rows, c.row(e))
		}
	}
	v.Chips = append(v.Chips, frame.Chip{Text: c.P.T("app.all"), Href: "/extractions", On: filter == ""})
	for _, s := range extraction.AllStates {
		if counts[s] > 0 {
			v.Chips = append(v.Chips, frame.Chip{Text: fmt.Sprintf("%s %d", c.P.K("extraction.state.", s), counts[s]), Href: "/extractions?state=" + string(s), On: filter == s})
		}
	}
	return c.Page("extractions", c.P.T("extraction.title"), v)
}

func (c *call) row(e extraction.Extraction) listRow {
	r := listRow{E: e, State: c.P.K("extraction.state.", e.State), Text: c.applicationText(e)}
	r.Tone, r.Icon = tone(e.State)
	return r
}

// requestView is the request of an extraction.
type requestView struct {
	A       rules.Application
	Form    ui.Form
	Rows    []listRow
	Can     bool
	Package bool // the approval gives one
}

func (o *Pages) requestPage(c *call) error { return o.showRequest(c, http.StatusOK, nil) }

func (o *Pages) showRequest(c *call, status int, errs fielderr.Errors) error {
	a, err := o.d.Usage.Get(c.R.PathValue("id"))
	if err != nil {
		return err
	}
	v := requestView{A: a, Form: ui.Form{Name: "extraction", P: c.P, Values: c.R.PostForm, Errors: errs}}
	v.Package = a.Decision != nil && a.Decision.Approved && slices.Contains(a.Decision.Ways, rules.WayPackage)
	v.Can = v.Package && len(a.Grants()) > 0 && a.Applicant == c.Actor.ID
	for _, e := range o.d.Extractions.Of(a.ID) {
		v.Rows = append(v.Rows, c.row(e))
		if slices.Contains([]extraction.State{extraction.Requested, extraction.Running, extraction.Sealed, extraction.Stopped}, e.State) {
			v.Can = false
		}
	}
	return c.PageStatus(status, "extraction_request", c.P.T("extraction.title"), v)
}

func (o *Pages) request(c *call) error {
	f := c.R.PostForm
	e, err := o.d.Extractions.Request(c.R.Context(), c.Who(), c.R.PathValue("id"), rules.Date(f.Get("date")), f.Get("note"))
	if errs, ok := errors.AsType[fielderr.Errors](fault(err)); ok {
		return o.showRequest(c, http.StatusUnprocessableEntity, errs)
	}
	if err != nil {
		return fault(err)
	}
	return c.Done("/extractions/"+e.ID, "done.extraction_requested")
}

// view is one extraction.
type view struct {
	E           extraction.Extraction
	A           rules.Application
	Row         listRow
	Spans       []spanRow
	Recipients  string
	Start       *ui.Form
	Operator    string
	Supervisors []string
	Refused     string
	Progress    *extraction.Progress
	Phase       string
	CanCancel   bool
	CanHand     bool
	CanKey      bool // the secret can be printed
	NeedsKey    bool // …and must be, before a copy leaves
	HasStick    bool
	Stick       ui.Form
	CanClose    bool
	Copies      []copyRow
	Manifest    *packet.Manifest
	Gaps        []string
	SHA256, SM3 string
	Fates       []ui.Option
	Problem     []string
	Documents   []string
}

type spanRow struct{ Camera, Span, Kept string }

type copyRow struct {
	extraction.Copy
	Medium, Compared string
	CanReceive       bool
	CanClose         bool
	Late             bool
}

func (o *Pages) page(c *call) error { return o.show(c, http.StatusOK, func(*view) {}) }

func (o *Pages) show(c *call, status int, change func(*view)) error {
	e, err := o.d.Extractions.Get(c.R.PathValue("id"))
	if err != nil {
		return fault(err)
	}
	a, err := o.d.Usage.Get(e.Application)
	if err != nil {
		return err
	}
	s := o.d.Extractions.Subject(e)
	v := view{E: e, A: a, Row: c.row(e), SHA256: frame.FingerprintWords(e.SHA256), SM3: frame.FingerprintWords(e.SM3), HasStick: o.d.Extractions.HasStick(),
		Documents: documents, Stick: ui.Form{Name: "stick", P: c.P, Values: c.R.PostForm}}
	for _, g := range a.Granted() {
		for _, cam := range g.Cameras {
			v.Spans = append(v.Spans, spanRow{Camera: o.CameraName(cam), Span: c.P.FullSpan(g.Span.From, g.Span.To)})
		}
	}
	var names []string
	for _, r := range a.Recipients {
		names = append(names, strings.TrimSpace(c.P.T("doc.recipient", r.Name, r.Unit)+" "+r.Document))
	}
	v.Recipients = strings.Join(names, c.P.T("sep.list"))
	waits := e.State == extraction.Requested || e.State == extraction.Stopped
	if waits && c.Can(account.ActExtractionRun, s) {
		f := ui.Form{Name: "start", P: c.P, Values: c.R.PostForm}
		v.Start, v.Operator = &f, c.Session.Person.Name
		for _, p := range o.d.People.People() {
			if p.ID != c.Actor.ID && !p.Disabled && account.May(account.Actor{ID: p.ID, Roles: p.Roles, SecondFactor: true}, account.ActExtractionRun, s, c.Now.Wall).Allowed && o.d.People.Independent(c.Actor.ID, p.ID) {
				v.Supervisors = append(v.Supervisors, p.Name+" · "+p.Login)
			}
		}
	}
	if p, ok := o.d.Extractions.Progress(e.ID); ok {
		v.Progress, v.Phase = &p, c.P.K("extraction.phase.", p.Phase)
	}
	v.CanCancel = (waits || v.Progress != nil) && c.Can(account.ActExtractionCancel, s)
	v.CanHand = e.There() && c.Can(account.ActExtractionHand, s)
	v.NeedsKey = e.OneTime() && e.Printed.IsZero()
	v.CanKey = v.CanHand && v.NeedsKey
	v.CanClose = c.Can(account.ActExtractionClose, s)
	for _, x := range e.Copies {
		r := copyRow{Copy: x, Medium: c.P.K("extraction.medium.", x.Medium)}
		if x.Compared != "" {
			r.Compared = c.P.K("extraction.compared.", x.Compared)
		}
		r.CanReceive = v.CanClose && x.Receipt == nil && x.Returned == nil && (x.Medium != "stick" || x.Compared == "same")
		r.CanClose = v.CanClose && x.Returned == nil
		r.Late = x.Returned == nil && a.Decision != nil && !c.Now.Wall.Before(a.Decision.Until.End())
		v.Copies = append(v.Copies, r)
	}
	for _, f := range extraction.Fates {
		v.Fates = append(v.Fates, ui.Option{Value: f, Text: c.P.K("extraction.fate.", f)})
	}
	m, ok, err := o.d.Extractions.Manifest(e.ID)
	if err != nil {
		return err
	}
	if ok && !e.SealedAt.IsZero() {
		v.Manifest, v.Gaps = &m, c.gaps(m)
	}
	change(&v)
	return c.PageStatus(status, "extraction", e.Number(), v)
}

// gaps are what is missing of the spans, in words.
func (c *call) gaps(m packet.Manifest) (out []string) {
	for _, s := range m.Spans {
		for _, g := range s.Gaps {
			out = append(out, c.P.T("extraction.gap", c.o.CameraName(s.Camera), c.P.Stamp(g.Span.From), c.P.Words(g.Span.Duration()), c.cause(g.Cause)))
		}
	}
	return out
}

func (c *call) cause(code string) string {
	if ui.Has("gap." + code) {
		return c.P.T("gap." + code)
	}
	return c.P.T("extraction.cause.unknown")
}

// start takes password and code of both persons at this screen. The operator is who is logged in; the supervisor needs
// no log-in of their own.
func (o *Pages) start(c *call) error {
	if !o.ByLogin.Allow(c.Address, c.Now.Mono) {
		c.W.Header().Set("Retry-After", "30")
		c.Fault(http.StatusTooManyRequests, "fault.too_many", nil)
		return nil
	}
	f := c.R.PostForm
	mine := people.Credentials{User: c.Session.Person.Login, Password: f.Get("password"), Code: strings.TrimSpace(f.Get("code"))}
	theirs := people.Credentials{User: strings.TrimSpace(f.Get("user")), Password: f.Get("password2"), Code: strings.TrimSpace(f.Get("code2"))}
	var errs fielderr.Errors
	for _, x := range []struct{ field, text string }{{"password", mine.Password}, {"code", mine.Code}, {"user", theirs.User}, {"password2", theirs.Password}, {"code2", theirs.Code}} {
		if x.text == "" {
			errs.Add(x.field, "err.required")
		}
	}
	if strings.EqualFold(mine.User, theirs.User) {
		errs.Add("user", "err.extraction_same")
	}
	if len(errs) > 0 {
		return o.unstarted(c, http.StatusUnprocessableEntity, errs, "")
	}
	operator, err := o.d.People.Verify(c.R.Context(), mine, c.From())
	if err != nil {
		return o.notVerified(c, err, "code")
	}
	supervisor, err := o.d.People.Verify(c.R.Context(), theirs, c.From())
	if err != nil {
		return o.notVerified(c, err, "code2")
	}
	if operator.ID != c.Actor.ID { // the log-in name has changed hands meanwhile
		return o.unstarted(c, http.StatusUnauthorized, nil, c.P.T("login.refused"))
	}
	by := func(a account.Actor) account.Who {
		return account.Who{Actor: o.d.Usage.Present(a, c.Now), From: c.From(), Via: ledger.ViaWeb}
	}
	e, err := o.d.Extractions.Start(c.R.Context(), by(operator), by(supervisor), c.R.PathValue("id"), f.Get("recipient"))
	err = fault(err)
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.unstarted(c, http.StatusUnprocessableEntity, errs, "")
	}
	if refused, ok := errors.AsType[*account.Refused](err); ok {
		return o.unstarted(c, http.StatusForbidden, nil, c.P.T(refused.Reason))
	}
	if err != nil {
		return err
	}
	return c.Done("/extractions/"+e.ID, "done.extraction_started")
}

func (o *Pages) notVerified(c *call, err error, code string) error {
	var errs fielderr.Errors
	locked, isLocked := errors.AsType[*people.Locked](err)
	switch {
	case isLocked:
		c.W.Header().Set("Retry-After", c.P.Int(int64(locked.Wait/time.Second)))
		return o.unstarted(c, http.StatusTooManyRequests, nil, c.P.T("login.locked", max(1, int((locked.Wait+time.Minute-1)/time.Minute))))
	case errors.Is(err, people.ErrCodeRefused), errors.Is(err, people.ErrCodeNeeded):
		errs.Add(code, "login.code_refused")
	case errors.Is(err, people.ErrCodeClock):
		errs.Add(code, "login.code_clock")
	case errors.Is(err, people.ErrRefused):
		return o.unstarted(c, http.StatusUnauthorized, nil, c.P.T("login.refused"))
	default:
		c.Unlogged = true // a person whose authentication cannot be entered extracts nothing
		return err
	}
	return o.unstarted(c, http.StatusUnauthorized, errs, "")
}

func (o *Pages) unstarted(c *call, status int, errs fielderr.Errors, refused string) error {
	for _, f := range []string{"password", "code", "password2", "code2"} {
		c.R.PostForm.Del(f)
	}
	return o.show(c, status, func(v *view) {
		v.Refused = refused
		if v.Start != nil {
			v.Start.Errors = errs
			for _, e := range errs {
				if e.Field == "state" {
					v.Refused = c.P.T(e.Rule, e.Args...)
				}
			}
		}
	})
}

func (o *Pages) cancel(c *call) error {
	e, err := o.d.Extractions.Cancel(c.R.Context(), c.Who(), c.R.PathValue("id"))
	if err != nil {
		return fault(err)
	}
	return c.Done("/extractions/"+e.ID, "done.extraction_cancelled")
}

// keyView is the sheet with the secret. It is the answer of the POST itself: there is no address that shows it again.
type keyView struct {
	E    extraction.Extraction
	Org  string
	Rows [][]keyWord
	Age  string
	QR   qr.Code
	When string
	Who  string
}

type keyWord struct {
	No int
	packet.Word
}

const wordsInRow = 6

func (o *Pages) key(c *call) error {
	secret, err := o.d.Extractions.Secret(c.R.Context(), c.Who(), c.R.PathValue("id"))
	if err != nil {
		return fault(err)
	}
	e, err := o.d.Extractions.Get(c.R.PathValue("id"))
	if err != nil {
		return fault(err)
	}
	v := keyView{E: e, Org: c.P.T("doc.org", o.d.Info.School), Age: packet.AgeIdentity(secret), When: c.P.Stamp(c.Now.Wall)[:16], Who: c.Session.Person.Name}
	var words []keyWord
	for i, w := range packet.SecretWords(secret) {
		words = append(words, keyWord{i + 1, w})
	}
	v.Rows = slices.Collect(slices.Chunk(words, wordsInRow))
	if v.QR, err = qr.Draw(v.Age); err != nil {
		return fmt.Errorf("draw the secret of a package: %w", err)
	}
	c.W.Header().Set("Cache-Control", "no-store")
	return c.Page("extraction_key", c.P.T("extraction.key.title"), v)
}

// download streams the sealed file; the entry of its copy is durable before the first byte.
func (o *Pages) download(c *call) error {
	f, e, copied, err := o.d.Extractions.Download(c.R.Context(), c.Who(), c.R.PathValue("id"))
	if err != nil {
		return fault(err)
	}
	h := c.W.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.FormatInt(e.Bytes, 10))
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s-%d.age"`, e.Number(), copied.No))
	h.Set("Cache-Control", "no-store")
	c.W.WriteHeader(http.StatusOK)
	_, err = io.Copy(&patient{w: c.W, c: http.NewResponseController(c.W)}, f)
	if cerr := f.Close(); cerr != nil {
		return fmt.Errorf("close a sealed package: %w", cerr)
	}
	_ = err // a browser that went away is no fault of ours; the copy has used its number
	return nil
}

// patient gives each piece of a long answer a deadline of its own: a slow line may take its time, a dead one may not.
type patient struct {
	w io.Writer
	c *http.ResponseController
}

func (p *patient) Write(b []byte) (int, error) {
	if err := p.c.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return p.w.Write(b)
}

func (o *Pages) stick(c *call) error {
	e, err := o.d.Extractions.WriteStick(c.R.Context(), c.Who(), c.R.PathValue("id"), c.R.PostForm.Get("serial"), nil)
	err = fault(err)
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.show(c, http.StatusUnprocessableEntity, func(v *view) { v.Stick.Errors = errs })
	}
	if err != nil {
		return err
	}
	if last := e.Copies[len(e.Copies)-1]; last.Compared != "same" {
		return c.Done("/extractions/"+e.ID, "done.extraction_stick_bad")
	}
	return c.Done("/extractions/"+e.ID, "done.extraction_stick")
}

func (c *call) copyNo() int {
	n, err := strconv.Atoi(c.R.PostForm.Get("copy"))
	if err != nil {
		return 0
	}
	return n
}

func (o *Pages) receipt(c *call) error {
	e, err := o.d.Extractions.Receive(c.R.Context(), c.Who(), c.R.PathValue("id"), c.copyNo(), c.R.PostForm.Get("who"))
	return o.closed(c, e, err, "done.extraction_received")
}

func (o *Pages) fate(c *call) error {
	f := c.R.PostForm
	e, err := o.d.Extractions.Close(c.R.Context(), c.Who(), c.R.PathValue("id"), c.copyNo(), f.Get("what"), f.Get("note"))
	return o.closed(c, e, err, "done.extraction_closed")
}

func (o *Pages) closed(c *call, e extraction.Extraction, err error, done string) error {
	err = fault(err)
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.show(c, http.StatusUnprocessableEntity, func(v *view) {
			for _, x := range errs {
				v.Problem = append(v.Problem, c.P.T(x.Rule, x.Args...))
			}
		})
	}
	if err != nil {
		return err
	}
	return c.Done("/extractions/"+e.ID, done)
}

// APIExtraction is an extraction as JSON.
type APIExtraction struct {
	extraction.Extraction
	Number   string               `json:"number"`
	Progress *extraction.Progress `json:"progress,omitempty"`
	Manifest *packet.Manifest     `json:"manifest,omitempty"`
}

func (o *Pages) api(e extraction.Extraction) APIExtraction {
	e.File = "" // where it lies is nobody's business
	out := APIExtraction{Extraction: e, Number: e.Number()}
	if p, ok := o.d.Extractions.Progress(e.ID); ok {
		out.Progress = &p
	}
	return out
}

func (o *Pages) apiList(c *call) error {
	out := []APIExtraction{}
	for _, e := range o.d.Extractions.List() {
		out = append(out, o.api(e))
	}
	return c.JSON(http.StatusOK, out)
}

func (o *Pages) apiOne(c *call) error {
	e, err := o.d.Extractions.Get(c.R.PathValue("id"))
	if err != nil {
		return fault(err)
	}
	out := o.api(e)
	m, ok, err := o.d.Extractions.Manifest(e.ID)
	if err != nil {
		return err
	}
	if ok && !e.SealedAt.IsZero() {
		out.Manifest = &m
	}
	return c.JSON(http.StatusOK, out)
}
