package retention

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"campuskeep/firmware/store"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/packet"
)

// PapersOptions is what the papers need of the house.
type PapersOptions struct {
	Store   *store.Store
	Cameras func() []footage.Camera
	// Present gives what is there of a camera in a span, in the order of recording as far as one is known. It is not
	// guarded: what is due and still there must show.
	Present func(ctx context.Context, camera string, span footage.Span, f func(footage.Placed) bool) error
	Clock   clock.Clock
	Anchors func() clock.Anchors
	Zone    *time.Location // of the school
	School  string
}

// Papers writes what proves the keeping: deletion certificates and monthly reports. It reads the log by its
// index, in windows of time: never the whole of it.
type Papers struct {
	o       PapersOptions
	issuing sync.Mutex // one issue at a time, so that the same statement is entered once
}

// NewPapers prepares them; it starts nothing.
func NewPapers(o PapersOptions) *Papers { return &Papers{o: o} }

// Errors that a page branches on.
var (
	// ErrNoDay: the log knows nothing of the deletion of that camera-day.
	ErrNoDay = errors.New("retention: nothing is known of the deletion of that day")
	// ErrNotOver: the day is not all deleted yet; what it lacks stands in the Day.
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
func (p *Papers) find(ctx context.Context, q store.Query) (out []ledger.Entry, err error) {
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

// about finds entries of one camera within a time.
func (p *Papers) about(ctx context.Context, camera string, from, to time.Time, kinds ...ledger.Kind) ([]ledger.Entry, error) {
	return p.find(ctx, store.Query{Kinds: kinds, About: []string{camera}, From: from, To: to})
}

// Declared names the camera-day as the register does now.
func (p *Papers) declared(camera, day string) packet.Declared {
	appliance, _, _ := strings.Cut(p.o.Store.VerifierKey(), "+")
	d := packet.Declared{School: p.o.School, Appliance: appliance, Camera: camera, Name: "–", Place: "–", Day: day, East: p.east(day)}
	if c, ok := p.camera(camera); ok {
		d.Name, d.Place = c.Name, c.Place
	}
	return d
}

func (p *Papers) camera(id string) (footage.Camera, bool) {
	for _, c := range p.o.Cameras() {
		if c.ID == id {
			return c, true
		}
	}
	return footage.Camera{}, false
}

// east is how far the school's time is ahead of UTC on a day.
func (p *Papers) east(day string) int {
	at, err := time.ParseInLocation(time.DateOnly, day, p.o.Zone)
	if err != nil {
		at = p.o.Clock.Now().Wall
	}
	_, offset := at.Add(12 * time.Hour).In(p.o.Zone).Zone()
	return offset / 60
}

// Day reads the deletion of one camera-day from the log.
func (p *Papers) Day(ctx context.Context, camera, day string) (packet.Declared, packet.Day, error) {
	decl, d, _, err := p.gather(ctx, camera, day)
	return decl, d, err
}

// gather finds the entries that tell of a camera-day's recording and deletion.
func (p *Papers) gather(ctx context.Context, camera, day string) (packet.Declared, packet.Day, []ledger.Entry, error) {
	decl := p.declared(camera, day)
	nominal := packet.DaySpan(day, decl.Zone())
	fail := func(err error) (packet.Declared, packet.Day, []ledger.Entry, error) {
		return decl, packet.Day{}, nil, err
	}
	if nominal.From.IsZero() {
		return fail(ErrNoDay)
	}
	g := gathered{}
	if c, ok := p.camera(camera); ok && c.Custody == footage.CustodyNVR {
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

// gatherOwn finds what binds the hours of the day, what tells of their deletion, and the key's end.
func (p *Papers) gatherOwn(ctx context.Context, g gathered, decl packet.Declared, nominal footage.Span) error {
	now := p.o.Clock.Now().Wall
	keys, err := p.about(ctx, decl.Camera, nominal.From, time.Time{}, "key.erase.intent", "key.erased")
	if err != nil {
		return err
	}
	id, erased := packet.KeyID(decl.Camera, decl.Day), time.Time{}
	for _, e := range keys {
		if !bytes.Contains(e.Data, []byte(`"`+id+`"`)) {
			continue
		}
		g[e.Seq] = e
		if e.Kind == "key.erased" && erased.IsZero() {
			erased = e.At
		}
	}
	window := footage.Span{From: nominal.From, To: now.Add(time.Hour)}
	if !erased.IsZero() {
		window = footage.Span{From: erased.Add(-36 * time.Hour), To: erased.Add(time.Hour)}
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
	// Something was bound late, under a wrong clock, or deleted in parts: look further around.
	if !erased.IsZero() {
		window = footage.Span{From: erased.Add(-longWindow), To: erased.Add(longWindow)}
	}
	if err := p.ofDay(ctx, g, decl, window, "footage.deleted"); err != nil {
		return err
	}
	if len(g) == 0 { // nothing of it was ever deleted: no certificate, however much was recorded
		return nil
	}
	return p.ofDay(ctx, g, decl, footage.Span{From: nominal.From.Add(-longWindow), To: nominal.To.Add(longWindow)}, "footage.recorded")
}

// matched says whether every hour that was deleted was bound before, with as many segments.
func (p *Papers) matched(g gathered) bool {
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
func (p *Papers) ofDay(ctx context.Context, g gathered, decl packet.Declared, window footage.Span, kind ledger.Kind) error {
	list, err := p.about(ctx, decl.Camera, window.From, window.To, kind)
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

// gatherAround finds the gaps, breaches, damages, holds and policies that concern the day.
func (p *Papers) gatherAround(ctx context.Context, g gathered, decl packet.Declared, nominal footage.Span) error {
	camera := decl.Camera
	list, err := p.about(ctx, camera, nominal.From, nominal.To.Add(longWindow), "footage.gap", "footage.breach")
	if err != nil {
		return err
	}
	for _, e := range list {
		if spanOf(e).Overlaps(nominal) {
			g[e.Seq] = e
		}
	}
	if list, err = p.about(ctx, camera, nominal.From, time.Time{}, "footage.damaged"); err != nil {
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
	policies, err := p.about(ctx, camera, time.Time{}, time.Time{}, "camera.registered", "camera.changed")
	if err != nil {
		return err
	}
	for _, e := range policies {
		if bytes.Contains(e.Data, []byte(`"days":`)) {
			g[e.Seq] = e
		}
	}
	return p.gatherReleased(ctx, g, decl, holds)
}

// gatherReleased finds what was deleted after a hold had ended.
func (p *Papers) gatherReleased(ctx context.Context, g gathered, decl packet.Declared, holds []ledger.Entry) error {
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
func (p *Papers) gatherAttested(ctx context.Context, g gathered, camera string, nominal footage.Span) error {
	checks, err := p.about(ctx, camera, nominal.To, time.Time{}, "nvr.checked")
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
// issued before, that entry stands, so that a later copy carries the centre's cosignature too.
func (p *Papers) Issue(ctx context.Context, by account.Who, role account.Role, camera, day string) (packet.Certificate, packet.Day, error) {
	decl, d, entries, err := p.gather(ctx, camera, day)
	if err != nil {
		return packet.Certificate{}, d, err
	}
	if d.Outcome == packet.OutcomePartial {
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

// Issued is the entry that binds the certificate as it stands now; ok is false when it was not issued yet.
func (p *Papers) Issued(ctx context.Context, camera, day string) (seq uint64, ok bool, err error) {
	decl, d, entries, err := p.gather(ctx, camera, day)
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
func (p *Papers) issued(ctx context.Context, data map[string]any, d packet.Day) (seq uint64, ok bool, err error) {
	since := d.Unlinked
	if since.IsZero() {
		since = d.NotListed.At
	}
	before, err := p.about(ctx, d.Camera, since, time.Time{}, "certificate.issued")
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
func (p *Papers) issue(ctx context.Context, by account.Who, role account.Role, statement []byte, d packet.Day) (uint64, error) {
	p.issuing.Lock()
	defer p.issuing.Unlock()
	data := packet.IssueOf(statement, d)
	if seq, ok, err := p.issued(ctx, data, d); ok || err != nil {
		return seq, err
	}
	receipt, err := p.o.Store.Commit(ctx, store.Change{Entries: []ledger.Draft{by.Draft("certificate.issued", role, d.Camera, data)}})
	if err != nil {
		return 0, fmt.Errorf("enter the issue of a certificate: %w", err)
	}
	return receipt.First, nil
}

// certificate puts statement, entries and one proof for all of them together. The last entry is the newest.
func (p *Papers) certificate(statement []byte, seqs []uint64) (c packet.Certificate, err error) {
	slices.Sort(seqs)
	c.Statement = statement
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
