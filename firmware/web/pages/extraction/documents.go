package extraction

import (
	"fmt"
	"slices"
	"strings"

	"campuskeep/firmware/extraction"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/qr"
	"campuskeep/shared/packet"
	rules "campuskeep/shared/usage"
)

// kinds of documents of a package, in their order.
var documents = []string{"sheet", "evidence", "record", "list", "receipt"}

// documentView is one document of a package on A4. It is made of the manifest that the log binds, and of the entries.
type documentView struct {
	Kind       string
	Org        string
	No         string
	E          extraction.Extraction
	A          rules.Application
	M          packet.Manifest
	Date       string
	Began, End string
	Recipients []string
	Units      string
	Spans      []documentSpan
	Videos     int
	Codecs     string
	Clocks     []string
	SHA256     string
	SM3        string
	Until      string
	Bytes      string
	Files      []documentFile
	Copies     []copyRow
	Steps      []string
	LogKey     string
	Entry      ledger.Entry
	Hash       string
	Witnessed  string
	QR         qr.Code
	Print      *frame.PrintedCopy
}

type documentSpan struct {
	No           int
	Camera, Span string
	Gaps         []string
}

type documentFile struct {
	No       int
	F        packet.ManifestFile
	SHA, SM3 string
	Note     string
}

func documentOf(kind, id string) string { return "extraction." + kind + ":" + id }

// printable says whether the documents of an extraction can be made: there is a sealed package.
func printable(e extraction.Extraction) bool { return e.SHA256 != "" }

func (o *Pages) document(c *call) error {
	kind := c.R.PathValue("kind")
	e, err := o.d.Extractions.Get(c.R.PathValue("id"))
	if err != nil {
		return fault(err)
	}
	if !slices.Contains(documents, kind) || !printable(e) {
		return frame.ErrNotFound
	}
	m, ok, err := o.d.Extractions.Manifest(e.ID)
	if err != nil || !ok {
		return frame.ErrNotFound
	}
	a, err := o.d.Usage.Get(e.Application)
	if err != nil {
		return err
	}
	v := documentView{Kind: kind, Org: o.d.Info.School, No: c.P.T("extraction.doc.no."+kind, e.Year, fmt.Sprintf("%03d", e.No)), E: e, A: a, M: m, Date: c.P.FullDate(e.SealedAt),
		Began: c.P.Stamp(e.Began), End: c.P.Stamp(e.SealedAt), Videos: len(m.Videos), SHA256: frame.FingerprintWords(e.SHA256), SM3: frame.FingerprintWords(e.SM3), Bytes: c.P.Int(e.Bytes),
		LogKey: o.d.Ledger.VerifierKey()}
	if d, err := footageDay(m.UseUntil); err == nil {
		v.Until = c.P.FullDate(d.Begin())
	}
	var units []string
	for _, r := range m.Recipients {
		v.Recipients = append(v.Recipients, strings.TrimSpace(r.Name+" "+r.Document))
		if r.Unit != "" && !slices.Contains(units, r.Unit) {
			units = append(units, r.Unit)
		}
	}
	v.Units = strings.Join(units, c.P.T("sep.list"))
	c.content(&v)
	for _, x := range e.Copies {
		v.Copies = append(v.Copies, copyRow{Copy: x, Medium: c.P.K("extraction.medium.", x.Medium)})
	}
	v.Steps = c.course(v)
	if v.Print, err = o.LogCopy(c.Call, documentOf(kind, e.ID)); err != nil {
		return err
	}
	if err := o.prove(c, &v); err != nil {
		return err
	}
	return c.Page("extraction_document", c.P.T("extraction.doc."+kind), v)
}

func footageDay(s string) (rules.Date, error) {
	d := rules.Date(s)
	if !d.Valid() {
		return d, fmt.Errorf("%q is no day", s)
	}
	return d, nil
}

// content is what is in the package: spans with their gaps, files, clocks.
func (c *call) content(v *documentView) {
	names := map[string]packet.ManifestCamera{}
	for _, x := range v.M.Cameras {
		names[x.ID] = x
		if footage.Custody(x.Kept) != footage.CustodyNVR {
			v.Clocks = append(v.Clocks, c.P.T("extraction.clock.own", x.Name))
			continue
		}
		if len(x.Recording) == 0 {
			v.Clocks = append(v.Clocks, c.P.T("extraction.clock.unknown", x.Name))
		}
		for _, o := range x.Recording {
			v.Clocks = append(v.Clocks, c.P.T("extraction.clock.then", x.Name, fmt.Sprintf("%+.1f", o.Ahead.Seconds()), fmt.Sprintf("%.1f", o.Uncertainty.Seconds()), c.P.Stamp(o.At)))
		}
		if o := x.Now; o != nil {
			v.Clocks = append(v.Clocks, c.P.T("extraction.clock.now", x.Name, fmt.Sprintf("%+.1f", o.Ahead.Seconds()), fmt.Sprintf("%.1f", o.Uncertainty.Seconds()), c.P.Stamp(o.At)))
		}
	}
	v.Clocks = append(v.Clocks, c.P.T("extraction.clock.appliance", c.P.K("extraction.clock.state.", v.M.Clock.State), fmt.Sprintf("%.2f", v.M.Clock.Uncertainty.Seconds())))
	for i, s := range v.M.Spans {
		x := documentSpan{No: i + 1, Camera: names[s.Camera].Name, Span: c.P.FullSpan(s.Span.From, s.Span.To)}
		for _, g := range s.Gaps {
			x.Gaps = append(x.Gaps, c.P.T("extraction.gap.short", c.P.ClockSec(g.Span.From), c.P.Words(g.Span.Duration()), c.cause(g.Cause)))
		}
		v.Spans = append(v.Spans, x)
	}
	var codecs []string
	for i, f := range v.M.Files {
		x := documentFile{No: i + 1, F: f, SHA: frame.FingerprintWords(f.SHA256), SM3: frame.FingerprintWords(f.SM3), Note: c.P.T("extraction.file.machine")}
		for _, video := range v.M.Videos {
			if video.Path == f.Path {
				x.Note = names[video.Camera].Name + " " + c.P.FullSpan(video.Span.From, video.Span.To)
				if !slices.Contains(codecs, strings.ToUpper(video.Codec)) {
					codecs = append(codecs, strings.ToUpper(video.Codec))
				}
			}
		}
		v.Files = append(v.Files, x)
	}
	v.Codecs = strings.Join(codecs, c.P.T("sep.list"))
}

// course is what was done, step by step, as the log has it.
func (c *call) course(v documentView) (out []string) {
	add := func(key string, args ...any) { out = append(out, c.P.T(key, args...)) }
	add("extraction.course.check", v.M.Notice)
	add("extraction.course.two", c.P.Stamp(v.M.Operator.At), v.M.Operator.Name, v.M.Supervisor.Name)
	gaps := 0
	for _, s := range v.Spans {
		gaps += len(s.Gaps)
	}
	add("extraction.course.read", len(v.Spans), gaps)
	add("extraction.course.seal", c.P.Stamp(v.E.SealedAt), v.E.Number())
	for _, x := range v.Copies {
		add("extraction.course.copy", x.No, x.Medium, c.P.Stamp(x.At))
	}
	return out
}

// prove shows the entry that a document rests on: that of the sealed file, or of its manifest.
func (o *Pages) prove(c *call, v *documentView) error {
	seq := v.E.PackedEntry
	entry, err := o.d.Ledger.Entry(seq)
	if err != nil {
		return fmt.Errorf("read the entry of a package: %w", err)
	}
	p, err := o.d.Ledger.Proof(seq)
	if err != nil {
		return fmt.Errorf("make the proof of a package: %w", err)
	}
	hash := frame.LeafHash(p.Leaf)
	v.Entry, v.Hash = entry, frame.FingerprintWords(hash)
	if size, at := o.d.Ledger.Witnessed(); seq < size {
		v.Witnessed = c.P.Stamp(at)[:16]
	}
	v.QR, err = qr.Draw(fmt.Sprintf("campuskeep:%s:%d:%s", o.d.Info.Appliance, seq, hash))
	return err
}

// printDocument enters a copy of a document and leads to it, ready for print (F13).
func (o *Pages) printDocument(c *call) error {
	id, kind := c.R.PathValue("id"), c.R.PostForm.Get("document")
	if !slices.Contains(documents, kind) {
		return fielderr.Errors{{Field: "document", Rule: "err.choice"}}
	}
	e, err := o.d.Extractions.Get(id)
	if err != nil {
		return fault(err)
	}
	if !printable(e) {
		return frame.ErrNotFound
	}
	_, entry, err := o.LogPrintout(c.Call, documentOf(kind, id), frame.FormPrint, "", e.Application)
	if err != nil {
		return err
	}
	return c.SeeOther(fmt.Sprintf("/extractions/%s/%s?entry=%d", id, kind, entry))
}
