package office

import (
	"cmp"
	"fmt"
	"strings"

	"campuskeep/firmware/store"
	"campuskeep/shared/fielderr"
	"campuskeep/shared/ledger"
	"campuskeep/shared/register"
)

// documentView is one official document on A4 (F4, F6, F7).
type documentView struct {
	Kind      string // form, notice, rejection
	Org       string
	No        string
	A         register.Application
	Applicant string
	Ways      string
	Rows      []documentRow
	Signer    string
	Date      string
	ReportBy  string
	Recipient string
	Conds     []string
	Entry     ledger.Entry
	Found     bool
	Hash      string
	Witnessed string
	Paper     *copyOf // entered for print; nil: a preview
	QR        qrCode
}

type documentRow struct{ Camera, Span string }

func (o *Office) formDocument(c *call) error      { return o.document(c, "form") }
func (o *Office) noticeDocument(c *call) error    { return o.document(c, "notice") }
func (o *Office) rejectionDocument(c *call) error { return o.document(c, "rejection") }

// document shows a document for printing. It carries the number of the entry that made it true and what
// anybody needs to check that.
func (o *Office) document(c *call, kind string) error {
	a, err := o.d.Register.Get(c.r.PathValue("id"))
	if err != nil {
		return err
	}
	d := a.Decision
	if !hasDocument(a, kind) {
		return errNotFound
	}
	v := documentView{Kind: kind, Org: c.p.T("doc.org", o.d.Info.School), No: a.Number(), A: a, Applicant: o.name(a.Applicant), Date: c.p.FullDate(a.Submitted)}
	ways := a.Ways
	switch kind {
	case "notice":
		v.No, ways, v.Signer, v.Date = a.NoticeNumber(), d.Ways, o.name(cmp.Or(a.Second, d.By)), c.p.FullDate(d.At)
		v.ReportBy = c.p.FullDate(d.Until.Add(c.o.d.Site.Settings().Register.ReportDays).Begin())
		for _, cam := range d.Cameras {
			for _, s := range d.Spans {
				v.Rows = append(v.Rows, documentRow{o.cameraName(cam), c.p.FullSpan(s.From, s.To)})
			}
		}
		v.Conds = []string{c.p.T("doc.cond.1"), c.p.T("doc.cond.2"), c.p.T("doc.cond.3"), c.p.T("doc.cond.4", c.o.d.Site.Settings().Register.ReportDays)}
		if d.Note != "" {
			v.Conds = append(v.Conds, d.Note)
		}
	case "rejection":
		v.Signer, v.Date = o.name(d.By), c.p.FullDate(d.At)
	default:
		for _, w := range a.Wanted {
			v.Rows = append(v.Rows, documentRow{w.Place, c.p.FullSpan(w.Span.From, w.Span.To)})
		}
	}
	var names []string
	for _, r := range a.Recipients {
		names = append(names, r.Name+"（"+r.Unit+"）")
	}
	v.Recipient = strings.Join(names, c.p.T("sep.list"))
	var w []string
	for _, x := range ways {
		w = append(w, c.p.K("way.", x))
	}
	v.Ways = strings.Join(w, c.p.T("sep.clause"))
	if v.Paper, err = o.printing(c, documentOf(kind, a.ID)); err != nil {
		return err
	}
	if err := o.documentProof(c, &v, kind); err != nil {
		return err
	}
	return c.page("document", c.p.T("doc."+kind), v)
}

func documentOf(kind, application string) string { return kind + ":" + application }

// printDocument enters a copy of a document of an application and leads to it, ready for print (F13).
func (o *Office) printDocument(c *call) error {
	id, kind := c.r.PathValue("id"), c.r.PostForm.Get("document")
	if kind != "form" && kind != "notice" && kind != "rejection" {
		return fielderr.Errors{{Field: "document", Rule: "err.choice"}}
	}
	a, err := o.d.Register.Get(id)
	if err != nil {
		return err
	}
	if !hasDocument(a, kind) {
		return errNotFound
	}
	_, entry, err := o.handOut(c, documentOf(kind, id), onPaper, "", id)
	if err != nil {
		return err
	}
	return c.seeOther(fmt.Sprintf("/applications/%s/%s?entry=%d", id, kind, entry))
}

// hasDocument says whether there is such a document of the application yet.
func hasDocument(a register.Application, kind string) bool {
	switch d := a.Decision; kind {
	case "notice":
		return d != nil && d.Approved && d.No != 0
	case "rejection":
		return d != nil && !d.Approved
	}
	return true
}

func (o *Office) documentProof(c *call, v *documentView, kind string) error {
	want := map[string]ledger.Kind{"form": "application.submitted", "notice": "application.approved", "rejection": "application.rejected"}[kind]
	page, err := o.d.Ledger.Search(c.r.Context(), store.Query{About: []string{v.A.ID}, Kinds: []ledger.Kind{want}, Limit: 1})
	if err != nil {
		return fmt.Errorf("finding the entry of a document: %w", err)
	}
	if len(page.Entries) == 0 {
		return nil
	}
	v.Entry, v.Found = page.Entries[0], true
	p, err := o.d.Ledger.Proof(v.Entry.Seq)
	if err != nil {
		return fmt.Errorf("making the proof of a document: %w", err)
	}
	hash := leafHash(p.Leaf)
	v.Hash = inWords(hash)
	if size, at := o.d.Ledger.Witnessed(); v.Entry.Seq < size {
		v.Witnessed = c.p.Stamp(at)[:16]
	}
	if v.QR, err = drawQR(fmt.Sprintf("campuskeep:%s:%d:%s", o.d.Info.Appliance, v.Entry.Seq, hash)); err != nil {
		return err
	}
	return nil
}
