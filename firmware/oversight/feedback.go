package oversight

import (
	"cmp"
	"context"

	"campuskeep/shared/account"
	rules "campuskeep/shared/oversight"
)

// Feedback lists what the units were asked, the newest first.
func (o *Office) Feedback() []rules.Feedback {
	return o.feedback.all(func(a, b rules.Feedback) int { return cmp.Or(cmp.Compare(b.Year, a.Year), cmp.Compare(b.No, a.No)) })
}

// Question by id, with its revision.
func (o *Office) Question(id string) (rules.Feedback, uint64, error) {
	r, err := o.feedback.get(id)
	return r.value, r.rev, err
}

type feedbackData struct {
	Step  string `json:"step"`
	Units int    `json:"units,omitempty"`
}

// Ask asks units about the use of footage. Errors: fielderr.Errors, *account.Refused.
func (o *Office) Ask(ctx context.Context, by account.Who, f rules.Feedback) (rules.Feedback, error) {
	role, end, err := o.step(ctx, by, account.ActFeedbackAsk, account.Subject{})
	if err != nil {
		return f, err
	}
	defer end()
	now := o.o.Clock.Now().Wall
	if err := f.Check(now); err != nil {
		return f, err
	}
	f.By, f.At, f.Year = by.ID, now, now.In(o.o.Zone).Year()
	f.No = nextNo(o.Feedback(), f.Year, func(x rules.Feedback) (int, int) { return x.Year, x.No })
	f.ID = rules.FeedbackID(f.Year, f.No)
	return f, o.commit(ctx, "question "+f.ID, []pending{o.feedback.write(f.ID, f, 0)},
		by.Draft("feedback.step", role, f.ID, feedbackData{"ask", len(f.Units)}, sealed(f.ID, "text", f.Title+"\n\n"+f.Question)...))
}

// Reply is what a unit says. Errors: ErrNotFound, *rules.Illegal, fielderr.Errors, *account.Refused.
func (o *Office) Reply(ctx context.Context, by account.Who, id, unit, words string) error {
	return o.feedbackStep(ctx, by, account.ActFeedbackReply, account.Subject{Unit: unit}, id, "reply", words, func(f rules.Feedback) (rules.Feedback, error) {
		return f.Replied(unit, by.ID, words, o.o.Clock.Now().Wall)
	})
}

// AnswerUnit is what the office answers to the reply of a unit.
func (o *Office) AnswerUnit(ctx context.Context, by account.Who, id, unit, words string) error {
	return o.feedbackStep(ctx, by, account.ActFeedbackAsk, account.Subject{}, id, "answer", words, func(f rules.Feedback) (rules.Feedback, error) {
		return f.Answered(unit, by.ID, words, o.o.Clock.Now().Wall)
	})
}

func (o *Office) feedbackStep(ctx context.Context, by account.Who, action account.Action, subject account.Subject, id, step, words string, do func(rules.Feedback) (rules.Feedback, error)) error {
	role, end, err := o.step(ctx, by, action, subject)
	if err != nil {
		return err
	}
	defer end()
	r, err := o.feedback.get(id)
	if err != nil {
		return err
	}
	f, err := do(r.value)
	if err != nil {
		return err
	}
	return o.commit(ctx, "question "+id, []pending{o.feedback.write(id, f, r.rev)},
		by.Draft("feedback.step", role, id, feedbackData{Step: step}, sealed(id, "text", words)...))
}
