package retention

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/packet"
)

// CertificatesOptions configure NewCertificates.
type CertificatesOptions struct {
	Store   *ledgerdb.Store
	Cameras func() []footage.Camera
	// Present gives what is there of a camera in a span, in the order of recording as far as one is known. It is not
	// guarded: what is due and still there must show.
	Present func(ctx context.Context, camera string, span footage.Span, f func(footage.Placed) bool) error
	Clock   clock.Clock
	Anchors func() clock.Anchors
	Zone    *time.Location // of the school
	School  string
}

// Certificates writes deletion certificates and monthly reports. It reads the log by its index, in windows of time:
// never the whole of it.
type Certificates struct {
	o       CertificatesOptions
	issuing sync.Mutex // one issue at a time, so that the same statement is entered once
}

// NewCertificates prepares them; it starts nothing.
func NewCertificates(o CertificatesOptions) *Certificates { return &Certificates{o: o} }

// Errors that a page branches on.
var (
	// ErrNoDay: the log knows nothing of the deletion of that camera-day.
	ErrNoDay = errors.New("retention: nothing is known of the deletion of that day")
	// ErrNotOver: the day is not all deleted yet; what it lacks is in the Day.
	ErrNotOver = errors.New("retention: the day is not all deleted yet")
	// ErrTooLong: more entries than a certificate carries.
	ErrTooLong = errors.New("retention: more entries than a certificate carries")
)

// gathered are the entries of one camera-day, by number.
type gathered map[uint64]ledger.Entry

func (g gathered) add(list []ledger.Entry) {
	for _, e := range list {
		g[e.Seq] = e
	}
}

func (g gathered) sorted() []ledger.Entry {
	return slices.SortedFunc(maps.Values(g), func(a, b ledger.Entry) int {
		if a.Seq < b.Seq {
			return -1
		}
		return 1
	})
}

// mostFound bounds what one search may bring for each camera: a year of its hours, twice.
const mostFound = 20_000

// find gives all entries of a query, newest first.
func (p *Certificates) find(ctx context.Context, q ledgerdb.Query) (out []ledger.Entry, err error) {
	q.Limit = 1000
	for {
		page, err := p.o.Store.Search(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("read the log about the keeping of footage: %w", err)
		}
		out = append(out, page.Entries...)
		if page.Next == 0 {
			return out, nil
		}
		if len(out) > mostFound*max(1, len(q.About)) {
			return nil, ErrTooLong
		}
		q.Before = page.Next
	}
}

// entriesOf returns the entries of one camera within a span.
func (p *Certificates) entriesOf(ctx context.Context, camera string, from, to time.Time, kinds ...ledger.Kind) ([]ledger.Entry, error) {
	return p.find(ctx, ledgerdb.Query{Kinds: kinds, About: []string{camera}, From: from, To: to})
}

// registered is what the register says of a camera from an entry on.
type registered struct {
	at      time.Time
	seq     uint64
	custody footage.Custody
}

// registers gives a camera's entries in the register, the oldest first.
func (p *Certificates) registers(ctx context.Context, camera string) (out []registered, entries []ledger.Entry, err error) {
	entries, err = p.entriesOf(ctx, camera, time.Time{}, time.Time{}, "camera.registered", "camera.changed")
	if err != nil {
		return nil, nil, err
	}
	entries = slices.DeleteFunc(entries, func(e ledger.Entry) bool { return e.Subject != camera })
	slices.Reverse(entries)
	custody := footage.Custody("")
	for _, e := range entries {
		var d struct{ Custody footage.Custody }
		if json.Unmarshal(e.Data, &d) == nil && d.Custody != "" {
			custody = d.Custody
		}
		out = append(out, registered{e.At, e.Seq, custody})
	}
	return out, entries, nil
}

// asOf is the entry that was in force at the end of a span; without one, the first after it. ok is false without any.
func asOf(list []registered, span footage.Span) (r registered, ok bool) {
	for i, x := range list {
		if i == 0 || x.at.Before(span.To) {
			r, ok = x, true
		}
	}
	return r, ok
}

// custodyAt is who kept a camera's footage on a day.
func (p *Certificates) custodyAt(camera string, list []registered, span footage.Span) footage.Custody {
	if r, ok := asOf(list, span); ok && r.custody != "" {
		return r.custody
	}
	c, _ := p.camera(camera)
	return c.Custody
}

// declared names the camera-day: the camera and its place as the register had them on that day. Where the log does not
// tell any more, they are those of now, and marked so.
func (p *Certificates) declared(camera, day string, list []registered) packet.Declared {
	appliance, _, _ := strings.Cut(p.o.Store.VerifierKey(), "+")
	d := packet.Declared{Version: packet.CertificateVersion, School: p.o.School, Appliance: appliance, Camera: camera, Name: "–", Place: "–", Day: day, East: p.utcOffset(day)}
	if r, ok := asOf(list, packet.DaySpan(day, d.Zone())); ok {
		if c, ok := p.registeredAs(r.seq); ok {
			d.Name, d.Place = c.Name, c.Place
			return d
		}
	}
	if c, ok := p.camera(camera); ok {
		d.Name, d.Place = c.Name+undatedName, c.Place+undatedName
	}
	return d
}

// undatedName marks a name that is not known to be that of the day.
const undatedName = "（签发时 at the time of issue）"

// registeredAs is the camera as an entry of the register has it.
func (p *Certificates) registeredAs(seq uint64) (c footage.Camera, ok bool) {
	parts, err := p.o.Store.Parts(seq)
	if err != nil {
		return c, false // what cannot be opened is not known
	}
	for _, x := range parts {
		if (x.Name == "camera" || x.Name == "after") && !x.Erased {
			return c, json.Unmarshal(x.Plain, &c) == nil
		}
	}
	return c, false
}

func (p *Certificates) camera(id string) (footage.Camera, bool) {
	for _, c := range p.o.Cameras() {
		if c.ID == id {
			return c, true
		}
	}
	return footage.Camera{}, false
}

// utcOffset is how far the school's time is ahead of UTC on a day.
func (p *Certificates) utcOffset(day string) int {
	at, err := time.ParseInLocation(time.DateOnly, day, p.o.Zone)
	if err != nil {
		at = p.o.Clock.Now().Wall
	}
	_, offset := at.Add(12 * time.Hour).In(p.o.Zone).Zone()
	return offset / 60
}

// Day reads the deletion of one camera-day from the log.
func (p *Certificates) Day(ctx context.Context, camera, day string) (packet.Declared, packet.Day, error) {
	decl, d, _, err := p.cameraDay(ctx, camera, day)
	return decl, d, err
}

// cameraDay returns the entries about a camera-day's recording and deletion.
func (p *Certificates) cameraDay(ctx context.Context, camera, day string) (packet.Declared, packet.Day, []ledger.Entry, error) {
	list, register, err := p.registers(ctx, camera)
	if err != nil {
		return packet.Declared{}, packet.Day{}, nil, err
	}
	decl := p.declared(camera, day, list)
	nominal := packet.DaySpan(day, decl.Zone())
	fail := func(err error) (packet.Declared, packet.Day, []ledger.Entry, error) {
		return decl, packet.Day{}, nil, err
	}
	if nominal.From.IsZero() {
		return fail(ErrNoDay)
	}
	g := gathered{}
	if p.custodyAt(camera, list, nominal) == footage.CustodyNVR {
		if err := p.gatherAttested(ctx, g, camera, nominal); err != nil {
			return fail(err)
		}
	}
	if err := p.gatherOwn(ctx, g, decl, nominal); err != nil {
		return fail(err)
	}
	if len(g) == 0 {
		return fail(ErrNoDay)
	}
	for _, e := range register {
		if bytes.Contains(e.Data, []byte(`"days":`)) {
			g[e.Seq] = e
		}
	}
	if err := p.gatherAround(ctx, g, decl, nominal); err != nil {
		return fail(err)
	}
	d, err := decl.ReadDay(g.sorted())
	if err != nil {
		return fail(err)
	}
	if d.Late > 0 || d.Unexplained > 0 { // look for what kept the sweep from its work
		if err := p.gatherExcuses(ctx, g, camera, footage.Span{From: earliestDue(d), To: d.Unlinked}); err != nil {
			return fail(err)
		}
		if d, err = decl.ReadDay(g.sorted()); err != nil {
			return fail(err)
		}
	}
	if len(g) >= packet.MaxCertificateEntries {
		return fail(ErrTooLong)
	}
	return decl, d, g.sorted(), nil
}

func earliestDue(d packet.Day) time.Time {
	at := d.Due
	for _, h := range d.Hours {
		for _, t := range h.Deleted {
			if t.Due.Before(at) {
				at = t.Due
			}
		}
	}
	return at
}

// longWindow is how far around its usual time an entry of a day is looked for when the short look lacks some.
const longWindow = 45 * 24 * time.Hour

// gatherOwn finds what binds the hours of the day, what is about their deletion, and the key's end.
func (p *Certificates) gatherOwn(ctx context.Context, g gathered, decl packet.Declared, nominal footage.Span) error {
	now := p.o.Clock.Now().Wall
	keys, err := p.entriesOf(ctx, decl.Camera, nominal.From, time.Time{}, "key.erase.intent", "key.erased")
	if err != nil {
		return err
	}
	id, erased := packet.KeyID(decl.Camera, decl.Day), ledger.Entry{}
	for _, e := range keys {
		if !bytes.Contains(e.Data, []byte(`"`+id+`"`)) {
			continue
		}
		g[e.Seq] = e
		if e.Kind == "key.erased" && erased.At.IsZero() {
			erased = e
		}
	}
	window := footage.Span{From: nominal.From, To: now.Add(time.Hour)}
	if !erased.At.IsZero() {
		window = footage.Span{From: erased.At.Add(-36 * time.Hour), To: erased.At.Add(time.Hour)}
		if err := p.gatherTurn(ctx, g, erased); err != nil {
			return err
		}
	}
	if err := p.ofDay(ctx, g, decl, window, "footage.deleted"); err != nil {
		return err
	}
	if err := p.ofDay(ctx, g, decl, footage.Span{From: nominal.From.Add(-time.Hour), To: nominal.To.Add(26 * time.Hour)}, "footage.recorded"); err != nil {
		return err
	}
	if p.matched(g) {
		return nil
	}
	// Something was bound late, because the power was off, or under a wrong clock, or deleted in parts: all of the camera's
	// entries are looked through.
	if err := p.ofDay(ctx, g, decl, footage.Span{}, "footage.deleted"); err != nil {
		return err
	}
	if len(g) == 0 { // nothing of it was ever deleted: no certificate, however much was recorded
		return nil
	}
	return p.ofDay(ctx, g, decl, footage.Span{}, "footage.recorded")
}

// gatherTurn finds the first turn of the root key behind the end of a key: before it, an older copy of the ring can
// still be opened.
func (p *Certificates) gatherTurn(ctx context.Context, g gathered, erased ledger.Entry) error {
	turns, err := p.find(ctx, ledgerdb.Query{Kinds: []ledger.Kind{"key.root.intent", "key.root"}, From: erased.At.Add(-longWindow)})
	if err != nil {
		return err
	}
	slices.Reverse(turns)
	r, err := packet.ReadRecord("", turns)
	if err != nil {
		return err
	}
	for _, x := range r.Turned {
		if x.Announced > erased.Seq && x.Assurance == packet.AssuranceErased {
			for _, e := range turns {
				if e.Seq == x.Announced || e.Seq == x.Seq {
					g[e.Seq] = e
				}
			}
			return nil
		}
	}
	return nil
}

// matched says whether every hour that was deleted was bound before, with as many segments.
func (p *Certificates) matched(g gathered) bool {
	r, err := packet.ReadRecord(cameraOf(g), g.sorted())
	if err != nil || len(r.Deleted) == 0 {
		return false
	}
	counts := map[time.Time]int{}
	for _, b := range r.Recorded {
		counts[b.Hour] += b.Count
	}
	for _, b := range r.Deleted {
		counts[b.Hour] -= b.Count
	}
	for _, n := range counts {
		if n != 0 {
			return false
		}
	}
	return true
}

func cameraOf(g gathered) string {
	for _, e := range g {
		return e.Subject
	}
	return ""
}

// ofDay adds the entries of a kind that name the day.
func (p *Certificates) ofDay(ctx context.Context, g gathered, decl packet.Declared, window footage.Span, kind ledger.Kind) error {
	list, err := p.entriesOf(ctx, decl.Camera, window.From, window.To, kind)
	if err != nil {
		return err
	}
	slices.Reverse(list)
	r, err := packet.ReadRecord(decl.Camera, list)
	if err != nil {
		return err
	}
	wanted := map[uint64]bool{}
	for _, b := range slices.Concat(r.Recorded, r.Deleted) {
		wanted[b.Seq] = packet.OfDay(b, decl.Day, decl.Zone())
	}
	for _, e := range list {
		if wanted[e.Seq] {
			g[e.Seq] = e
		}
	}
	return nil
}

// settled is how long after the last deletion of a day something about it may still be entered.
const settled = 24 * time.Hour

// gatherAround finds the gaps, breaches, damages, holds and policies that concern the day.
func (p *Certificates) gatherAround(ctx context.Context, g gathered, decl packet.Declared, nominal footage.Span) error {
	camera := decl.Camera
	// What is known of the day is entered before its last part goes; what waited for its place in time, right after.
	var until time.Time
	if r, err := packet.ReadRecord(camera, g.sorted()); err != nil {
		return err
	} else if n := len(r.Deleted); n > 0 {
		for _, b := range r.Deleted {
			if b.At.After(until) {
				until = b.At
			}
		}
		until = until.Add(settled)
	}
	list, err := p.entriesOf(ctx, camera, nominal.From, until, "footage.gap", "footage.breach")
	if err != nil {
		return err
	}
	for _, e := range list {
		if spanOf(e).Overlaps(nominal) {
			g[e.Seq] = e
		}
	}
	if list, err = p.entriesOf(ctx, camera, nominal.From, time.Time{}, "footage.damaged"); err != nil {
		return err
	}
	label := []byte(`"day":"` + decl.Day + `"`)
	for _, e := range list {
		if bytes.Contains(e.Data, label) {
			g[e.Seq] = e
		}
	}
	holds, err := p.holdEntries(ctx, []string{camera}, nominal)
	if err != nil {
		return err
	}
	g.add(holds)
	return p.gatherReleased(ctx, g, decl, holds)
}

// gatherReleased finds what was deleted after a hold had ended.
func (p *Certificates) gatherReleased(ctx context.Context, g gathered, decl packet.Declared, holds []ledger.Entry) error {
	for _, e := range holds {
		if e.Kind == "hold.registered" {
			continue
		}
		if err := p.ofDay(ctx, g, decl, footage.Span{From: e.At, To: e.At.Add(48 * time.Hour)}, "footage.deleted"); err != nil {
			return err
		}
	}
	return nil
}

// gatherAttested finds the last check of an NVR that still listed the day and the first that did not.
func (p *Certificates) gatherAttested(ctx context.Context, g gathered, camera string, nominal footage.Span) error {
	checks, err := p.entriesOf(ctx, camera, nominal.To, time.Time{}, "nvr.checked")
	if err != nil {
		return err
	}
	slices.Reverse(checks)
	r, err := packet.ReadRecord(camera, checks)
	if err != nil {
		return err
	}
	byNumber := gathered{}
	byNumber.add(checks)
	var last, first footage.Checked
	for _, c := range r.Checks {
		switch {
		case c.Oldest.IsZero():
		case c.Oldest.Before(nominal.To):
			last, first = c, footage.Checked{}
		case first.At.IsZero():
			first = c
		}
	}
	for _, c := range []footage.Checked{last, first} {
		if !c.At.IsZero() {
			g[c.Seq] = byNumber[c.Seq]
		}
	}
	return nil
}

// Issue makes the certificate of a camera-day. The issue is an entry that binds the statement; when the same was
// issued before, that entry is kept, so that a later copy carries the centre's cosignature too.
func (p *Certificates) Issue(ctx context.Context, by account.Who, role account.Role, camera, day string) (packet.Certificate, packet.Day, error) {
	decl, d, entries, err := p.cameraDay(ctx, camera, day)
	if err != nil {
		return packet.Certificate{}, d, err
	}
	if d.Outcome == packet.OutcomePartial || d.Outcome == packet.OutcomeUnbound {
		return packet.Certificate{}, d, ErrNotOver
	}
	statement, d, err := decl.Statement(entries)
	if err != nil {
		return packet.Certificate{}, d, fmt.Errorf("write the certificate of %s, %s: %w", camera, day, err)
	}
	seq, err := p.issue(ctx, by, role, statement, d)
	if err != nil {
		return packet.Certificate{}, d, err
	}
	seqs := make([]uint64, 0, len(entries)+1)
	for _, e := range entries {
		seqs = append(seqs, e.Seq)
	}
	c, err := p.certificate(statement, append(seqs, seq))
	if err != nil {
		return c, d, fmt.Errorf("prove the certificate of %s, %s: %w", camera, day, err)
	}
	if _, err := c.Verify(); err != nil { // never hand out what nobody can check
		return c, d, fmt.Errorf("the certificate of %s, %s does not verify: %w", camera, day, err)
	}
	return c, d, nil
}

// Issued is the entry that binds the present certificate; ok is false when it was not issued yet.
func (p *Certificates) Issued(ctx context.Context, camera, day string) (seq uint64, ok bool, err error) {
	decl, d, entries, err := p.cameraDay(ctx, camera, day)
	if err != nil {
		return 0, false, err
	}
	statement, _, err := decl.Statement(entries)
	if err != nil {
		return 0, false, fmt.Errorf("write the certificate of %s, %s: %w", camera, day, err)
	}
	return p.issued(ctx, packet.IssueOf(statement, d), d)
}

// issued looks for the entry that binds a statement.
func (p *Certificates) issued(ctx context.Context, data map[string]any, d packet.Day) (seq uint64, ok bool, err error) {
	since := d.Unlinked
	if since.IsZero() {
		since = d.NotListed.At
	}
	before, err := p.entriesOf(ctx, d.Camera, since, time.Time{}, "certificate.issued")
	if err != nil {
		return 0, false, err
	}
	sum := fmt.Appendf(nil, `"sum":"%s"`, data["sum"])
	for _, e := range before {
		if bytes.Contains(e.Data, sum) {
			return e.Seq, true, nil
		}
	}
	return 0, false, nil
}

// issue finds the entry that binds this statement, or makes it.
func (p *Certificates) issue(ctx context.Context, by account.Who, role account.Role, statement []byte, d packet.Day) (uint64, error) {
	p.issuing.Lock()
	defer p.issuing.Unlock()
	data := packet.IssueOf(statement, d)
	if seq, ok, err := p.issued(ctx, data, d); ok || err != nil {
		return seq, err
	}
	receipt, err := p.o.Store.Commit(ctx, ledgerdb.Change{Entries: []ledger.Draft{by.Draft("certificate.issued", role, d.Camera, data)}})
	if err != nil {
		return 0, fmt.Errorf("enter the issue of a certificate: %w", err)
	}
	return receipt.First, nil
}

// certificate puts statement, entries and one proof for all of them together. The last entry is the newest.
func (p *Certificates) certificate(statement []byte, seqs []uint64) (c packet.Certificate, err error) {
	slices.Sort(seqs)
	c.Version, c.Statement = packet.CertificateVersion, statement
	head, err := p.o.Store.Proof(seqs[len(seqs)-1])
	if err != nil {
		return c, err
	}
	c.Keys, c.Checkpoint = head.Keys, head.Checkpoint
	signed, err := ledger.VerifyHead(head.Checkpoint, head.Keys, nil)
	if err != nil {
		return c, err
	}
	paths := make([][]tlog.Hash, len(seqs))
	for i, seq := range seqs {
		leaves, err := p.o.Store.Leaves(seq, 1)
		if err != nil {
			return c, err
		}
		if len(leaves) != 1 || leaves[0] == nil {
			return c, fmt.Errorf("entry %d is not readable", seq)
		}
		c.Leaves = append(c.Leaves, leaves[0])
		if paths[i], err = p.o.Store.InclusionProof(seq, signed.Size); err != nil {
			return c, err
		}
	}
	c.Nodes, err = packet.ProveMany(signed.Size, seqs, paths)
	return c, err
}
