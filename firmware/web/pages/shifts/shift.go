package shifts

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/firmware/usage"
	"campuskeep/firmware/viewing"
	"campuskeep/firmware/web/entrytext"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/shift"
)

// beginShift signs in at the control room (F20).
func (o *Pages) beginShift(c *call) error {
	if _, err := o.d.Usage.BeginShift(c.R.Context(), c.Who()); err != nil {
		return c.shiftFault(err)
	}
	return c.Done("/live", "done.shift_began")
}

func (o *Pages) endShift(c *call) error {
	if err := o.OverShift(c.R.Context(), c.Who(), shift.EndSignedOff); err != nil {
		return c.shiftFault(err)
	}
	return c.Done("/duty", "done.shift_ended")
}

// shiftFault marks what could not be entered: without its entry a step of a shift does not happen.
func (c *call) shiftFault(err error) error {
	_, refused := errors.AsType[*account.Refused](err)
	_, illegal := errors.AsType[*shift.Illegal](err)
	_, fields := errors.AsType[fielderr.Errors](err)
	c.Unlogged = !refused && !illegal && !fields
	return err
}

// leaveView asks what becomes of the shift when somebody on duty logs out.
type leaveView struct {
	Since string
	Alone bool // nobody else is on duty
}

func (o *Pages) leavePage(c *call) error {
	s, on := o.d.Usage.Shift(c.Actor.ID)
	if !on {
		return c.SeeOther("/")
	}
	return c.Page("leave", c.P.T("leave.title"), leaveView{Since: c.P.When(s.Began.Wall, c.Now.Wall), Alone: len(o.d.Usage.OpenShifts()) == 1})
}

// logout ends the log-in. Who is on duty is asked first what becomes of the shift: it ends, or it goes on and they
// log in again, at another screen for example. Watching ends in either case.
func (o *Pages) logout(c *call) error {
	_, on := o.d.Usage.Shift(c.Actor.ID)
	answer := c.R.PostForm.Get("shift")
	if on && answer != "end" && answer != "keep" {
		return c.SeeOther("/shift/leave")
	}
	o.d.Viewings.EndSession(c.R.Context(), c.Session.ID, viewing.LoggedOut)
	if answer != "keep" {
		if err := o.OverShift(c.R.Context(), c.Who(), shift.EndLoggedOut); err != nil {
			return c.shiftFault(err)
		}
	}
	if err := c.dropSession(); err != nil {
		return err
	}
	c.Cookie("")
	return c.SeeOther("/login")
}

// dropSession ends the log-in of this browser.
func (c *call) dropSession() error {
	k, err := c.R.Cookie(frame.CookieName)
	if err != nil {
		return nil // there is none
	}
	return c.o.d.People.Logout(c.R.Context(), k.Value, c.From())
}

// handoverView is the hand-over: first the notes, then the signature of who takes over.
type handoverView struct {
	Shift   shift.Shift
	Since   string
	Offered string // when the notes were written; empty: they are to be written
	Notes   usage.HandoverNotes
	Edit    bool
	Form    ui.Form // of the notes
	Sign    ui.Form
	Next    []ui.Option          // who may take over
	Facts   []entrytext.DutyFact // what the shift saw, beside the notes
	Refused string
}

func (o *Pages) handoverPage(c *call) error {
	return o.showHandover(c, http.StatusOK, func(*handoverView) {})
}

func (o *Pages) showHandover(c *call, status int, change func(*handoverView)) error {
	s, on := o.d.Usage.Shift(c.Actor.ID)
	if !on {
		return c.SeeOther("/duty")
	}
	v := handoverView{Shift: s, Since: c.P.When(s.Began.Wall, c.Now.Wall), Edit: c.R.URL.Query().Get("edit") != "",
		Form: ui.Form{Name: "handover", P: c.P, Values: c.R.PostForm}, Sign: ui.Form{Name: "sign", P: c.P, Values: c.R.PostForm}}
	if !s.Offered.IsZero() {
		v.Offered = c.P.When(s.Offered, c.Now.Wall)
		var err error
		if v.Notes, err = o.notes(c.R.Context(), s.ID); err != nil {
			return err
		}
	}
	for _, p := range o.d.People.People() {
		if p.ID != c.Actor.ID && !p.Disabled && (account.Actor{Roles: p.Roles}).Has(account.RoleOfficer) {
			v.Next = append(v.Next, ui.Option{Value: p.Login, Text: p.Name + " · " + p.Login})
		}
	}
	var err error
	if v.Facts, err = o.dutyFacts(c, s.Span(c.Now.Wall)); err != nil {
		return err
	}
	change(&v)
	return c.PageStatus(status, "handover", c.P.T("handover.title"), v)
}

// notes are the latest that were written for the hand-over of a shift.
func (o *Pages) notes(ctx context.Context, shift string) (n usage.HandoverNotes, err error) {
	page, err := o.d.Ledger.Search(ctx, ledgerdb.Query{Kinds: []ledger.Kind{"shift.offered"}, About: []string{shift}, Limit: 1})
	if err != nil {
		return n, fmt.Errorf("find the notes of a shift: %w", err)
	}
	if len(page.Entries) == 0 {
		return n, nil
	}
	parts, err := o.d.Ledger.Parts(page.Entries[0].Seq)
	if err != nil {
		return n, fmt.Errorf("open the notes of a shift: %w", err)
	}
	for _, p := range parts {
		switch p.Name {
		case "happened":
			n.Happened = string(p.Plain)
		case "equipment":
			n.Equipment = string(p.Plain)
		case "open":
			n.Open = string(p.Plain)
		}
	}
	return n, nil
}

// offerShift writes the notes. The shift goes on until somebody has signed.
func (o *Pages) offerShift(c *call) error {
	f := c.R.PostForm
	_, err := o.d.Usage.OfferShift(c.R.Context(), c.Who(), usage.HandoverNotes{Happened: f.Get("happened"), Equipment: f.Get("equipment"), Open: f.Get("open")})
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showHandover(c, http.StatusUnprocessableEntity, func(v *handoverView) { v.Form.Errors, v.Edit = errs, true })
	}
	if err != nil {
		return c.shiftFault(err)
	}
	return c.Done("/shift/handover", "done.handover_noted")
}

// signShift takes the incoming officer's password and code at this screen, and hands over. From then on the screen is
// theirs: the outgoing officer's log-in ends and their own begins, so that nobody works under the other's name (M7).
func (o *Pages) signShift(c *call) error {
	if !o.ByLogin.Allow(c.Address, c.Now.Mono) {
		c.W.Header().Set("Retry-After", "30")
		c.Fault(http.StatusTooManyRequests, "fault.too_many", nil)
		return nil
	}
	f := c.R.PostForm
	cred := people.Credentials{User: strings.TrimSpace(f.Get("user")), Password: f.Get("password"), Code: strings.TrimSpace(f.Get("code"))}
	var errs fielderr.Errors
	for _, x := range []struct{ field, text string }{{"user", cred.User}, {"password", cred.Password}, {"code", cred.Code}} {
		if x.text == "" {
			errs.Add(x.field, "err.required")
		}
	}
	if strings.EqualFold(cred.User, c.Session.Person.Login) {
		errs.Add("user", shift.ErrSamePerson.Rule)
	}
	if len(errs) > 0 {
		return o.unsigned(c, http.StatusUnprocessableEntity, errs, "")
	}
	next, err := o.d.People.Login(c.R.Context(), cred, c.From())
	if err != nil {
		return o.signRefused(c, err)
	}
	actor := o.d.Usage.Present(next.Actor, c.Now)
	to := account.Who{Actor: actor, From: c.From(), Via: ledger.ViaWeb}
	if _, err := o.d.Usage.HandShift(c.R.Context(), c.Who(), to); err != nil {
		err = c.shiftFault(err)
		if e := o.d.People.Logout(c.R.Context(), next.Token, c.From()); e != nil {
			return errors.Join(err, e)
		}
		if refused, ok := errors.AsType[*account.Refused](err); ok {
			return o.unsigned(c, http.StatusForbidden, nil, c.P.T("handover.refused", next.Person.Name, c.P.T(refused.Reason)))
		}
		return err
	}
	o.d.Viewings.EndOf(c.R.Context(), c.Actor.ID, viewing.ShiftEnded)
	if err := c.dropSession(); err != nil {
		return err
	}
	c.Cookie(next.Token)
	if next.MustPassword {
		return c.SeeOther("/account")
	}
	return c.Done("/duty", "done.handed_over")
}

func (o *Pages) signRefused(c *call, err error) error {
	var errs fielderr.Errors
	locked, isLocked := errors.AsType[*people.Locked](err)
	switch {
	case isLocked:
		c.W.Header().Set("Retry-After", c.P.Int(int64(locked.Wait/time.Second)))
		return o.unsigned(c, http.StatusTooManyRequests, nil, c.P.T("login.locked", max(1, int((locked.Wait+time.Minute-1)/time.Minute))))
	case errors.Is(err, people.ErrCodeRefused), errors.Is(err, people.ErrCodeNeeded):
		errs.Add("code", "login.code_refused")
	case errors.Is(err, people.ErrCodeClock):
		errs.Add("code", "login.code_clock")
	case errors.Is(err, people.ErrRefused):
		return o.unsigned(c, http.StatusUnauthorized, nil, c.P.T("login.refused"))
	default:
		c.Unlogged = true // a log-in that cannot be entered in the log does not happen
		return err
	}
	return o.unsigned(c, http.StatusUnauthorized, errs, "")
}

func (o *Pages) unsigned(c *call, status int, errs fielderr.Errors, refused string) error {
	return o.showHandover(c, status, func(v *handoverView) { v.Sign.Errors, v.Refused = errs, refused })
}

// shiftNeeds are the shifts that are offered for hand-over.
func (c *call) shiftNeeds() (out []frame.Need, _ error) {
	if c.Can(account.ActDutyView, account.Subject{}) {
		for _, s := range c.o.d.Usage.OpenShifts() {
			if s.Offered.IsZero() {
				continue
			}
			n := frame.Need{Tone: "warn", Icon: "users", Badge: c.P.T("shift.end.offered"), Kind: c.P.T("nav.duty"), Title: c.P.T("need.handover"), Text: c.P.T("need.handover.text", c.o.Name(s.Officer)), Due: c.P.When(s.Offered, c.Now.Wall), Href: "/duty", Do: c.P.T("see")}
			if s.Officer == c.Actor.ID {
				n.Href = "/shift/handover"
			}
			out = append(out, n)
		}
	}
	return out, nil
}
