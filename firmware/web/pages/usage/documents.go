package usage

import (
	"fmt"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/qr"
	"campuskeep/shared/usage"
)

// documentView is one official document on A4 (F4, F6, F7).
type documentView struct {
	Kind      string // form, notice, rejection
	Org       string
	No        string
	A         usage.Application
	Applicant string
	Ways      string
	Rows      []documentRow
	Signer    string
	Approvals []approvalRow // when two approved: what each did
	Void      string        // why it counts no more
	Use       string        // the days of use
	Promises  []string
	Contest   string // how a refusal can be contested
	Date      string
	ReportBy  string
	Recipient string
	Conds     []string
	Entry     ledger.Entry
	Found     bool
	Hash      string
	Witnessed string
	Print     *frame.PrintedCopy // entered for print; nil: a preview
	QR        qr.Code
}

type documentRow struct{ Camera, Span string }

type approvalRow struct{ Who, When, What string }

func (o *Pages) formDocument(c *call) error { return o.document(c, "form") }

func (o *Pages) noticeDocument(c *call) error { return o.document(c, "notice") }

func (o *Pages) rejectionDocument(c *call) error { return o.document(c, "rejection") }

// document shows a document for printing. It carries the number of the entry that made it true and what
// anybody needs to check that.
func (o *Pages) document(c *call, kind string) error {
	a, err := o.d.Usage.Get(c.R.PathValue("id"))
	if err != nil {
		return err
	}
	d := a.Decision
	if !hasDocument(a, kind) {
		return frame.ErrNotFound
	}
	v := documentView{Kind: kind, Org: c.P.T("doc.org", o.d.Info.School), No: a.Number(), A: a, Applicant: o.Name(a.Applicant), Date: c.P.FullDate(a.Submitted)}
	ways := a.Ways
	switch kind {
	case "notice":
		days := o.d.Site.Settings().Register.ReportDays
		v.No, ways, v.Signer, v.Date = a.NoticeNumber(), d.Ways, o.Name(d.By), c.P.FullDate(d.At)
		v.ReportBy, v.Use = c.P.T("doc.by", c.P.FullDate(d.Until.Add(days).Begin())), c.days(d.From, d.Until)
		for _, g := range a.Granted() {
			for _, cam := range g.Cameras {
				v.Rows = append(v.Rows, documentRow{o.CameraName(cam), c.P.FullSpan(g.Span.From, g.Span.To)})
			}
		}
		v.Conds = []string{c.P.T("doc.cond.1"), c.P.T("doc.cond.2"), c.P.T("doc.cond.3"), c.P.T("doc.cond.4", days)}
		for _, note := range []string{d.Note, a.SecondNote} {
			if note != "" {
				v.Conds = append(v.Conds, note)
			}
		}
		for _, x := range a.Extensions {
			v.Conds = append(v.Conds, c.P.T("doc.extended", c.P.FullDate(x.Was.Begin()), c.P.FullDate(x.Until.Begin()), o.Name(x.By), c.P.FullDate(x.At), x.Note))
		}
		if a.Second != "" {
			c.twoApprovals(&v, a)
		}
		if a.Revoked != "" {
			v.Void = c.P.T("doc.void", c.P.FullDate(a.Ended), a.Revoked)
		}
	case "rejection":
		v.Signer, v.Date = o.Name(d.By), c.P.FullDate(d.At)
		r := o.d.Site.Settings().Register
		v.Contest = c.P.T("doc.rejection.way", r.ComplaintDays, c.P.FullDate(usage.AfterSchoolDays(a.Ended, r.ComplaintDays, o.schoolDay).Add(-time.Second)))
	default:
		v.Use = c.days(a.UseFrom, a.UseUntil)
		for _, u := range a.Undertakings {
			v.Promises = append(v.Promises, c.P.T("undertaking."+string(u), o.d.Site.Settings().Register.ReportDays))
		}
		for _, w := range a.Wanted {
			v.Rows = append(v.Rows, documentRow{w.Place, c.P.FullSpan(w.Span.From, w.Span.To)})
		}
	}
	var names []string
	for _, r := range a.Recipients {
		names = append(names, c.P.T("doc.recipient", r.Name, r.Unit))
	}
	v.Recipient = strings.Join(names, c.P.T("sep.list"))
	var w []string
	for _, x := range ways {
		w = append(w, c.P.K("way.", x))
	}
	v.Ways = strings.Join(w, c.P.T("sep.clause"))
	if v.Print, err = o.LogCopy(c.Call, documentOf(kind, a.ID)); err != nil {
		return err
	}
	if err := o.documentProof(c, &v, kind); err != nil {
		return err
	}
	return c.Page("document", c.P.T("doc."+kind), v)
}

// twoApprovals says what each of two approvers did: the second decided on what the first had approved.
func (c *call) twoApprovals(v *documentView, a usage.Application) {
	d, first := *a.Decision, a.First
	if first == nil { // an application of an older box: the second took over what the first had approved
		first = &d
	}
	pairs := func(d usage.Decision) string {
		var out []string
		for _, s := range d.Spans {
			if cameras := d.In(a, s); len(cameras) > 0 {
				out = append(out, c.CameraNames(cameras)+" "+c.P.Span(s.From, s.To))
			}
		}
		var ways []string
		for _, w := range d.Ways {
			ways = append(ways, c.P.K("way.", w))
		}
		return strings.Join(out, c.P.T("sep.clause")) + c.P.T("sep.clause") + strings.Join(ways, c.P.T("sep.list")) + c.P.T("sep.clause") + c.days(d.From, d.Until)
	}
	v.Signer = c.o.Name(d.By) + c.P.T("sep.list") + c.o.Name(a.Second)
	when := a.SecondAt
	if when.IsZero() {
		when = d.At
	}
	v.Date = c.P.FullDate(when)
	what := c.P.T("doc.second.same")
	if pairs(*first) != pairs(d) {
		what = c.P.T("doc.second.less", pairs(d))
	}
	v.Approvals = []approvalRow{{c.o.Name(d.By), c.P.FullDate(first.At), pairs(*first)}, {c.o.Name(a.Second), v.Date, what}}
}

// days are the days of use, the last one counted.
func (c *call) days(from, until usage.Date) string {
	return c.P.T("doc.days", c.P.FullDate(from.Begin()), c.P.FullDate(until.Begin()))
}

func documentOf(kind, application string) string { return kind + ":" + application }

// printDocument enters a copy of a document of an application and leads to it, ready for print (F13).
func (o *Pages) printDocument(c *call) error {
	id, kind := c.R.PathValue("id"), c.R.PostForm.Get("document")
	if kind != "form" && kind != "notice" && kind != "rejection" {
		return fielderr.Errors{{Field: "document", Rule: "err.choice"}}
	}
	a, err := o.d.Usage.Get(id)
	if err != nil {
		return err
	}
	if !hasDocument(a, kind) {
		return frame.ErrNotFound
	}
	_, entry, err := o.LogPrintout(c.Call, documentOf(kind, id), frame.FormPrint, "", id)
	if err != nil {
		return err
	}
	return c.SeeOther(fmt.Sprintf("/applications/%s/%s?entry=%d", id, kind, entry))
}

// hasDocument says whether there is such a document of the application yet.
func hasDocument(a usage.Application, kind string) bool {
	switch d := a.Decision; kind {
	case "notice":
		return d != nil && d.Approved && d.No != 0
	case "rejection":
		return d != nil && !d.Approved && a.State == usage.Rejected
	}
	return true
}

func (o *Pages) documentProof(c *call, v *documentView, kind string) error {
	want := map[string]ledger.Kind{"form": "application.submitted", "notice": "application.approved", "rejection": "application.rejected"}[kind]
	page, err := o.d.Ledger.Search(c.R.Context(), ledgerdb.Query{About: []string{v.A.ID}, Kinds: []ledger.Kind{want}, Limit: 1})
	if err != nil {
		return fmt.Errorf("find the entry of a document: %w", err)
	}
	if len(page.Entries) == 0 {
		return nil
	}
	v.Entry, v.Found = page.Entries[0], true
	p, err := o.d.Ledger.Proof(v.Entry.Seq)
	if err != nil {
		return fmt.Errorf("make the proof of a document: %w", err)
	}
	hash := frame.LeafHash(p.Leaf)
	v.Hash = frame.FingerprintWords(hash)
	if size, at := o.d.Ledger.Witnessed(); v.Entry.Seq < size {
		v.Witnessed = c.P.Stamp(at)[:16]
	}
	if v.QR, err = qr.Draw(fmt.Sprintf("campuskeep:%s:%d:%s", o.d.Info.Appliance, v.Entry.Seq, hash)); err != nil {
		return err
	}
	return nil
}

// schoolDay says whether the calendar has school on a date; one that cannot be read counts every day.
func (o *Pages) schoolDay(d usage.Date) bool {
	day, _, err := o.d.Site.Calendar().Day(string(d))
	return err != nil || day.School
}
