package archive

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"campuskeep/firmware/records"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	rules "campuskeep/shared/records"
)

// retentionView is how long records are kept after a pupil has left, and the list of those whose time is over (S20).
type retentionView struct {
	ui.Form
	Rows  []leaverRow
	Pages frame.Pages
	Due   int
	Edit  bool
	Today string
	Wrong []string // what is wrong with the form of a row
}

type leaverRow struct {
	Student, Name, Class   string
	Left, Until            string
	Section, SectionName   string
	Records                int
	Tone, Icon, Word, Note string
	Propose, Confirm, Keep bool
	Proof                  string
}

// Years are the fields of the setting.
func (v *retentionView) Years() (out []ui.Field) {
	for _, s := range rules.Sections {
		d := v.In(string(s), "number").Cols(4).Req().Range(strconv.Itoa(rules.MinYears), strconv.Itoa(rules.MaxYears))
		d.Label = v.P.K("section.", string(s))
		out = append(out, d)
	}
	return out
}

func (o *Pages) retentionPage(c *call) error { return o.showRetention(c, http.StatusOK, nil, nil, nil) }

func (o *Pages) showRetention(c *call, status int, values url.Values, years, row fielderr.Errors) error {
	v := &retentionView{Form: ui.Form{Name: "years", P: c.P, Values: values, Errors: years}, Edit: c.Can(account.ActRetentionPropose, account.Subject{}), Today: c.Today()}
	if values == nil {
		v.Values = url.Values{}
		for s, n := range o.d.Records.Years() {
			v.Values.Set(string(s), strconv.Itoa(n))
		}
	}
	for _, e := range row {
		v.Wrong = append(v.Wrong, c.P.T(e.Rule, e.Args...))
	}
	list := o.d.Records.Leavers()
	for _, l := range list {
		if l.Due && l.Erasure == nil {
			v.Due++
		}
	}
	from, to, p := c.PagesOf("/records/retention", c.R.URL.Query(), len(list))
	v.Pages = p
	for _, l := range list[from:to] {
		r, err := c.leaverRow(l)
		if err != nil {
			return err
		}
		v.Rows = append(v.Rows, r)
	}
	return c.PageStatus(status, "rec_retention", c.P.T("retention.r.title"), v)
}

func (c *call) leaverRow(l records.Leaver) (leaverRow, error) {
	r := leaverRow{Student: l.Student, Name: c.pupilName(l.Student), Class: c.className(l.Class), Left: c.date(l.Left), Until: c.date(l.Until), Section: string(l.Section), SectionName: c.P.K("section.", string(l.Section)), Records: l.Records,
		Tone: "mute", Icon: "clock", Word: c.P.T("retention.r.kept")}
	if l.Kept != nil {
		r.Note = c.P.T("retention.r.longer", l.Kept.Reason, c.o.Name(l.Kept.By))
	}
	edit := c.Can(account.ActRetentionPropose, account.Subject{})
	switch {
	case l.Erasure == nil:
		if r.Keep = edit; l.Due {
			r.Tone, r.Icon, r.Word, r.Propose = "warn", "warn", c.P.T("retention.r.due"), edit
		}
	case l.Erasure.State == rules.ErasureProposed:
		r.Tone, r.Word, r.Keep = "acc", c.P.T("retention.r.proposed", c.o.Name(l.Erasure.ProposedBy)), edit
		r.Confirm = c.Can(account.ActRetentionConfirm, account.Subject{Person: l.Erasure.ProposedBy})
	case l.Erasure.State == rules.ErasureConfirmed:
		r.Word = c.P.T("retention.r.ending")
	default:
		r.Tone, r.Icon, r.Word = "ok", "ok", c.P.T("retention.r.erased", c.P.FullDate(l.Erasure.At))
		seq, err := c.o.d.Records.ErasedEntry(c.R.Context(), l.Student, l.Section)
		if err != nil {
			return r, notFound(err)
		}
		if c.Can(account.ActLogProof, account.Subject{}) {
			r.Proof = "/log/" + strconv.FormatUint(seq, 10) + "/proof"
		}
	}
	return r, nil
}

// answered ends a form of a row: what is wrong is shown above the list.
func (o *Pages) answered(c *call, err error, done string) error {
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showRetention(c, http.StatusUnprocessableEntity, nil, nil, errs)
	}
	if err != nil {
		return notFound(err)
	}
	return c.Done("/records/retention", done)
}

func (o *Pages) putYears(c *call) error {
	y := rules.Years{}
	for _, s := range rules.Sections {
		n, err := strconv.Atoi(c.R.PostForm.Get(string(s)))
		if err != nil {
			n = 0
		}
		y[s] = n
	}
	err := o.d.Records.PutYears(c.R.Context(), c.Who(), y)
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showRetention(c, http.StatusUnprocessableEntity, c.R.PostForm, errs, nil)
	}
	return o.answered(c, err, "done.years")
}

func (o *Pages) keep(c *call) error {
	f := c.R.PostForm
	return o.answered(c, o.d.Records.KeepLonger(c.R.Context(), c.Who(), rules.Extension{Student: f.Get("student"), Section: rules.Section(f.Get("section")), Until: f.Get("until"), Reason: f.Get("reason")}), "done.kept")
}

func (o *Pages) propose(c *call) error {
	f := c.R.PostForm
	return o.answered(c, o.d.Records.ProposeErasure(c.R.Context(), c.Who(), f.Get("student"), rules.Section(f.Get("section"))), "done.erasure.proposed")
}

func (o *Pages) confirm(c *call) error {
	f := c.R.PostForm
	return o.answered(c, o.d.Records.ConfirmErasure(c.R.Context(), c.Who(), f.Get("student"), rules.Section(f.Get("section"))), "done.erasure")
}

// APIRetention is how long records are kept, and of whom.
type APIRetention struct {
	Years   rules.Years      `json:"years"`
	Leavers []records.Leaver `json:"leavers"`
}

func (o *Pages) apiRetention(c *call) error {
	return c.JSON(http.StatusOK, APIRetention{o.d.Records.Years(), append([]records.Leaver{}, o.d.Records.Leavers()...)})
}
