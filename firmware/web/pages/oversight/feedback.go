package oversight

import (
	"maps"
	"net/http"
	"net/url"
	"slices"

	"campuskeep/shared/account"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	rules "campuskeep/shared/oversight"
)

type feedbackView struct {
	Rows   []feedbackRow
	CanAsk bool
	Form   ui.Form
	Units  ui.Field
	Which  string // the question and unit whose form was refused
	Reply  ui.Form
}

type feedbackRow struct {
	F         rules.Feedback
	Due, Tone string
	Units     []unitRow
	Replied   int
}

type unitRow struct {
	Unit, Text, Who, When  string
	Answer, By, At, Which  string
	CanReply, CanAnswer    bool
	Missing, Late, Refused bool
}

// asked says whether the person sees what a unit was asked: the office sees all, others their own unit.
func (c *call) asked(unit string) bool {
	return c.Can(account.ActFeedbackAsk, account.Subject{}) || c.Can(account.ActFeedbackReply, account.Subject{Unit: unit})
}

func (o *Pages) feedbackPage(c *call) error {
	return o.showFeedback(c, http.StatusOK, url.Values{}, nil, "", url.Values{}, nil)
}

func (o *Pages) showFeedback(c *call, status int, f url.Values, errs fielderr.Errors, which string, typed url.Values, wrong fielderr.Errors) error {
	v := feedbackView{CanAsk: c.Can(account.ActFeedbackAsk, account.Subject{}), Form: ui.Form{Name: "feedback", P: c.P, Values: f, Errors: errs}, Which: which, Reply: ui.Form{Name: "reply", P: c.P, Values: typed, Errors: wrong}}
	if len(f) == 0 {
		f["units"] = c.units()
	}
	var units []ui.Option
	for _, u := range c.units() {
		units = append(units, ui.Option{Value: u, Text: u})
	}
	v.Units = v.Form.Pick("units", "check", units).Req().Cols(12)
	for _, x := range o.d.Oversight.Feedback() {
		r := feedbackRow{F: x}
		if r.Due, r.Tone = c.due(x.Due); len(x.Missing()) == 0 {
			r.Tone = ""
		}
		for _, u := range slices.Sorted(maps.Keys(x.Units)) {
			if !c.asked(u) {
				continue
			}
			p := x.Units[u]
			row := unitRow{Unit: u, Text: p.Text, Answer: p.Answer, Which: x.ID + "/" + u, Missing: p.At.IsZero(), Late: p.At.IsZero() && c.Now.Wall.After(x.Due)}
			if !row.Missing {
				r.Replied++
				row.Who, row.When = c.name(p.By), c.P.DayTime(p.At)
			}
			if !p.AnswerAt.IsZero() {
				row.By, row.At = c.name(p.AnswerBy), c.P.DayTime(p.AnswerAt)
			}
			row.CanReply = p.AnswerAt.IsZero() && c.Can(account.ActFeedbackReply, account.Subject{Unit: u})
			row.CanAnswer = v.CanAsk && !row.Missing && p.AnswerAt.IsZero()
			row.Refused = row.Which == which
			r.Units = append(r.Units, row)
		}
		if len(r.Units) > 0 {
			v.Rows = append(v.Rows, r)
		}
	}
	return c.PageStatus(status, "feedback", c.P.T("feedback.title"), v)
}

func (o *Pages) ask(c *call) error {
	f := c.R.PostForm
	var errs fielderr.Errors
	q := rules.Feedback{Title: f.Get("title"), Question: f.Get("question"), Due: c.day(f, "due", &errs), Units: map[string]rules.Reply{}}
	known := c.units()
	for _, u := range f["units"] {
		if slices.Contains(known, u) {
			q.Units[u] = rules.Reply{}
		}
	}
	if len(errs) == 0 {
		_, err := o.d.Oversight.Ask(c.R.Context(), c.Who(), q)
		if errs, err = fault(c, err); err != nil {
			return err
		}
	}
	if len(errs) > 0 {
		return o.showFeedback(c, http.StatusUnprocessableEntity, f, errs, "", url.Values{}, nil)
	}
	return c.Done("/feedback", "done.feedback")
}

func (o *Pages) reply(c *call) error {
	f := c.R.PostForm
	return o.words(c, o.d.Oversight.Reply(c.R.Context(), c.Who(), c.R.PathValue("id"), f.Get("unit"), f.Get("text")), "done.feedback.reply")
}

func (o *Pages) answerUnit(c *call) error {
	f := c.R.PostForm
	return o.words(c, o.d.Oversight.AnswerUnit(c.R.Context(), c.Who(), c.R.PathValue("id"), f.Get("unit"), f.Get("answer")), "done.feedback.answer")
}

func (o *Pages) words(c *call, err error, done string) error {
	errs, err := fault(c, err)
	if err != nil {
		return err
	}
	if errs != nil {
		return o.showFeedback(c, http.StatusUnprocessableEntity, url.Values{}, nil, c.R.PathValue("id")+"/"+c.R.PostForm.Get("unit"), c.R.PostForm, errs)
	}
	return c.Done("/feedback#"+c.R.PathValue("id"), done)
}

func (o *Pages) apiFeedback(c *call) error {
	all := o.d.Oversight.Feedback()
	for i := range all {
		units := map[string]rules.Reply{}
		for u, r := range all[i].Units {
			if c.asked(u) {
				units[u] = r
			}
		}
		all[i].Units = units
	}
	return list(c, all, func(f rules.Feedback) bool { return len(f.Units) > 0 })
}
