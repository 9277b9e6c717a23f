package nvrs

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/nvr"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/qr"
	"campuskeep/shared/lib/ui"
)

// nvrPathsView is the check list "who can still get at the footage outside the appliance".
type nvrPathsView struct {
	N       nvr.Overview
	L       nvr.AccessList
	Have    bool
	CanEdit bool
	Signed  bool
	Work    *nvrWork
	Running bool
	Form    ui.Form
	Rows    []pathRow
	Read    string
	When    string
	Before  string
	Entry   uint64
	Found   bool
	Sum     string
	Printed string
	Proof   pathsProof
}

// pathsProof is what is under the printed list so that anybody can check it.
type pathsProof struct {
	QR        qr.Code
	Witnessed string
}

type pathRow struct {
	Path             nvr.AccessPath
	Field            string
	Name, Hint       string
	Tone, Icon, Word string
	Answers          []ui.Option
	Answer           string
	Error, NoteError string
	Note             string
}

func (o *Pages) pathsPage(c *call) error { return o.showPaths(c, http.StatusOK, nil, nil) }

func (o *Pages) showPaths(c *call, status int, values url.Values, errs fielderr.Errors) error {
	n, err := o.nvrOf(c)
	if err != nil {
		return err
	}
	v := nvrPathsView{N: n, CanEdit: c.Can(account.ActNVRsEdit, account.Subject{}) && !n.Retired, Form: ui.Form{Name: "doors", P: c.P, Values: values, Errors: errs}}
	if n.Work.What == nvr.WorkAccess {
		v.Work, v.Running = c.nvrWork(n.Work), n.Work.Running()
	}
	v.L, v.Have = n.Access, !n.Access.Read.IsZero()
	v.Signed = v.Have && !v.L.Signed.IsZero()
	for i, d := range v.L.Paths {
		v.Rows = append(v.Rows, c.pathRow(i, d, v.Form))
	}
	sum := v.L.Sum()
	v.Read, v.Sum = c.P.Stamp(v.L.Read), frame.FingerprintWords(hex.EncodeToString(sum[:]))
	if !v.L.Previous.IsZero() {
		v.Before = c.P.DayTime(v.L.Previous)
	}
	v.Printed = c.P.T("doc.printed", c.P.Stamp(c.Now.Wall)[:16], c.Session.Person.Name)
	if v.Signed {
		v.When = c.P.Stamp(v.L.Signed)[:16]
		if err := o.pathsProof(c, &v); err != nil {
			return err
		}
	}
	return c.PageStatus(status, "nvr_paths", c.P.T("doors.title"), v)
}

// pathsProof finds the entry that holds the signature.
func (o *Pages) pathsProof(c *call, v *nvrPathsView) error {
	page, err := o.d.Ledger.Search(c.R.Context(), ledgerdb.Query{About: []string{v.N.ID}, Kinds: []ledger.Kind{"nvr.signed"}, Limit: 1})
	if err != nil {
		return fmt.Errorf("find the entry of a signed list: %w", err)
	}
	if len(page.Entries) == 0 {
		return nil
	}
	v.Entry, v.Found = page.Entries[0].Seq, true
	if size, at := o.d.Ledger.Witnessed(); v.Entry < size {
		v.Proof.Witnessed = c.P.Stamp(at)[:16]
	}
	p, err := o.d.Ledger.Proof(v.Entry)
	if err != nil {
		return fmt.Errorf("make the proof of a signed list: %w", err)
	}
	v.Proof.QR, err = qr.Draw(fmt.Sprintf("campuskeep:%s:%d:%s", o.d.Info.Appliance, v.Entry, frame.LeafHash(p.Leaf)))
	return err
}

func (c *call) pathRow(i int, d nvr.AccessPath, f ui.Form) pathRow {
	r := pathRow{Path: d, Field: fmt.Sprintf("door.%d", i), Name: d.Name, Answer: d.Answer, Note: d.Note}
	if f.Values != nil {
		r.Answer, r.Note = f.Values.Get(r.Field), f.Values.Get(r.Field+".note")
	}
	switch d.Kind {
	case nvr.PathPlace:
		r.Name, r.Hint = c.P.K("doors.place.", d.Name), c.P.K("doors.place.hint.", d.Name)
	case nvr.PathService:
		if d.Port > 0 {
			r.Name = c.P.T("doors.port", d.Name, strconv.Itoa(d.Port))
		}
		if k := "doors.service." + d.Name; ui.Has(k) {
			r.Hint = c.P.T(k)
		}
	default:
		r.Hint = d.Level
	}
	r.Tone, r.Icon, r.Word = "warn", "warn", c.P.T("doors.is_open")
	if !d.Open {
		r.Tone, r.Icon, r.Word = "mute", "lock", c.P.T("doors.is_shut")
	}
	r.Answers = append(r.Answers, ui.Option{Text: c.P.T("nvr_new.choose")})
	for _, a := range nvr.Answers { // the appliance's own account is no answer about a place
		if a == nvr.AnswerOwn && d.Kind == nvr.PathPlace {
			continue
		}
		r.Answers = append(r.Answers, ui.Option{Value: a, Text: c.P.K("doors.answer.", a), On: a == r.Answer})
	}
	r.Error, r.NoteError = f.Error(r.Field), f.Error(r.Field+".note")
	return r
}

// signPaths takes the answers and the signature.
func (o *Pages) signPaths(c *call) error {
	f := c.R.PostForm
	id := c.R.PathValue("id")
	l, ok, err := o.d.NVRs.AccessList(id)
	if err != nil {
		return fmt.Errorf("read the list of NVR %s: %w", id, err)
	}
	read, perr := time.Parse(time.RFC3339, f.Get("read"))
	if !ok || perr != nil {
		return frame.ErrNotFound
	}
	if f.Get("sure") == "" {
		var errs fielderr.Errors
		errs.Add("sure", "err.required")
		return o.showPaths(c, http.StatusUnprocessableEntity, f, errs)
	}
	replies := map[string]nvr.Reply{}
	for i, d := range l.Paths {
		field := fmt.Sprintf("door.%d", i)
		replies[d.Key()] = nvr.Reply{Answer: f.Get(field), Note: f.Get(field + ".note")}
	}
	_, err = o.d.NVRs.Sign(c.R.Context(), c.Who(), c.Session.Person.Name, id, read, replies)
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showPaths(c, http.StatusUnprocessableEntity, f, errs)
	}
	if err != nil {
		return err
	}
	return c.Done("/nvrs/"+id+"/access-paths", "done.doors")
}
