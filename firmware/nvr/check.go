package nvr

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"campuskeep/firmware/nvr/driver"
	"campuskeep/firmware/nvr/nvrtime"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

const (
	// wrongClock is how far an NVR's clock may be off.
	wrongClock = time.Minute
	// maxGapEntries of one camera and check; a camera that records by movement has thousands.
	maxGapEntries = 32
	// maxGaps are kept in a report; of more, only those that matter for the floor.
	maxGaps = 500
	// expiryTime is how long after setting an expiry what is too old may still be found.
	expiryTime = 48 * time.Hour
)

// Check looks at an NVR: its clock, what it holds of every camera, for how long, what is missing, and who
// bypassed the appliance. It runs daily by itself, and on demand.
func (r *Supervisor) Check(ctx context.Context, id string) (State, error) {
	var out State
	err := r.connected(ctx, id, func(ctx context.Context, l *connection) error {
		var err error
		out, err = r.check(ctx, l, id)
		return err
	})
	if err != nil {
		if ctx.Err() != nil || errors.Is(err, errYield) {
			return out, err
		}
		return out, errors.Join(err, r.fail(ctx, id, err))
	}
	return out, nil
}

func (r *Supervisor) check(ctx context.Context, l *connection, id string) (State, error) {
	prev, _, err := r.State(id)
	if err != nil {
		return prev, err
	}
	if now := r.o.Clock.Now().Wall; prev.LogTo.After(now) { // our clock was ahead: what was read is not known
		prev.LogTo = now.Add(-firstAccess)
	}
	s := prev
	s.NVR, s.Tried = id, r.o.Clock.Now().Wall
	if s.Info, err = l.driver.Info(ctx); err != nil {
		return prev, err
	}
	if was := prev.Info; was.Serial != "" && was.Serial != s.Info.Serial {
		return prev, &OtherDevice{Found: s.Info, Was: was}
	}
	if s.Channels, err = l.driver.Channels(ctx); err != nil {
		return prev, err
	}
	l.kbps, l.online = rates(r.Kind(l.target.Device), s.Channels), online(r.Kind(l.target.Device), s.Channels)
	c, at, err := r.calibrate(ctx, l, prev.Calibration, s.Info.Firmware)
	if err != nil {
		return prev, err
	}
	tracks, err := l.driver.Tracks(ctx)
	if err != nil {
		return prev, err
	}
	var odd partialFailure
	lines, ours, err := r.readLog(ctx, l, &c, at, &s)
	if odd.fatal("", err) {
		return prev, err
	}
	cameras := l.target.everAssigned()
	for n, camera := range cameras {
		r.noteProgress(id, camera, n, len(cameras))
		if err := r.checkCamera(ctx, l, c, at, camera, tracks, lines); odd.fatal(camera, err) {
			return prev, fmt.Errorf("camera %s: %w", camera, err)
		}
	}
	if odd.all(cameras) {
		return prev, odd.err
	}
	if err := r.forget(ctx, l); err != nil {
		return prev, err
	}
	if err := r.recheckAccessPaths(ctx, l); odd.fatal("", err) {
		return prev, err
	}
	s.Calibration, s.Checked = c, s.Tried
	if s.Unseen++; odd.cameras == 0 {
		s.Unseen = 0
	}
	entries := r.accesses(l, lines, ours, prev.LogTo)
	return r.conclude(ctx, prev, s, odd, entries)
}

// partialFailure is what a check could not find out, while it went on with the rest.
type partialFailure struct {
	err     error  // the first
	camera  string // of the first; empty: of the NVR as a whole
	cameras int
}

// fatal says whether an error ends a check: an answer that is not understood, or a question that is not allowed, costs
// the camera that it is about, and nothing of the others.
func (t *partialFailure) fatal(camera string, err error) bool {
	if err == nil {
		return false
	}
	var a *driver.AnswerError
	if !errors.As(err, &a) && !errors.Is(err, driver.ErrForbidden) && !errors.Is(err, driver.ErrNotOffered) && !errors.Is(err, nvrtime.ErrUncalibrated) {
		return true
	}
	if t.err == nil {
		t.err, t.camera = err, camera
	}
	if camera != "" {
		t.cameras++
	}
	return false
}

// all says whether nothing was found out of any of the cameras.
func (t *partialFailure) all(cameras []string) bool {
	return t.cameras > 0 && t.cameras == len(cameras)
}

// conclude writes the state with what belongs to the NVR as a whole.
func (r *Supervisor) conclude(ctx context.Context, prev, s State, odd partialFailure, entries []ledger.Draft) (State, error) {
	c := s.Calibration
	fault, data := FaultNone, map[string]any{"offset_ms": c.Offset.Milliseconds()}
	var parts []ledger.Part
	if odd.err != nil {
		fault = faultOf(odd.err)
		if a, ok := errors.AsType[*driver.AnswerError](odd.err); ok {
			parts = append(parts, sealed("received", s.NVR, a))
		}
		if odd.camera != "" {
			data["camera"] = odd.camera
		}
		r.o.Log.Warn("part of a check did not come through", "nvr", s.NVR, "camera", odd.camera, "cameras", odd.cameras, "err", odd.err)
	}
	switch {
	case c.BadZone:
		fault = FaultZone
	case c.Known && c.Offset.Abs() > wrongClock+c.Error:
		fault = FaultClock
	case c.Search != nvrtime.Unknown && c.Play == nvrtime.Unknown:
		fault = FaultUncalibrated
	}
	if fault != prev.Fault {
		s.Since = s.Tried
		if fault != FaultNone {
			data["code"] = fault
			entries = append(entries, r.draft("nvr.fault", s.NVR, data, parts...))
		}
	}
	s.Fault = fault
	if c.At != prev.Calibration.At && c.Search != nvrtime.Unknown {
		data := map[string]any{"zone_min": int(c.Zone.East / time.Minute), "search": meaning(c.Search), "playback": meaning(c.Play), "log": meaning(c.Log), "false_z": c.FalseZ, "bad_zone": c.BadZone}
		if c.Known {
			data["offset_ms"] = c.Offset.Milliseconds()
		}
		entries = append(entries, r.draft("nvr.calibrated", s.NVR, data))
	}
	if _, err := r.o.Store.Commit(ctx, ledgerdb.Change{Puts: []ledgerdb.Put{states.Put(s.NVR, s)}, Entries: entries}); err != nil {
		return prev, fmt.Errorf("state of NVR %s: %w", s.NVR, err)
	}
	return s, nil
}

func meaning(m nvrtime.Meaning) string {
	if m == nvrtime.Unknown {
		return "unknown"
	}
	return string(m)
}

// fail writes down why a check did not come through; an entry only when it is news.
func (r *Supervisor) fail(ctx context.Context, id string, cause error) error {
	if errors.Is(cause, ErrRetired) {
		return nil
	}
	l := r.connectionOf(id)
	select { // the state has one writer
	case l.slot <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-l.slot }()
	s, _, err := r.State(id)
	if err != nil {
		return err
	}
	fault := faultOf(cause)
	var parts []ledger.Part
	if a, ok := errors.AsType[*driver.AnswerError](cause); ok && fault == FaultAnswer {
		parts = append(parts, sealed("received", id, a))
	}
	s.NVR, s.Tried = id, r.o.Clock.Now().Wall
	var entries []ledger.Draft
	if s.Fault != fault {
		s.Fault, s.Since = fault, s.Tried
		entries = append(entries, r.draft("nvr.fault", id, map[string]any{"code": fault}, parts...))
	}
	if _, err := r.o.Store.Commit(ctx, ledgerdb.Change{Puts: []ledgerdb.Put{states.Put(id, s)}, Entries: entries}); err != nil {
		return fmt.Errorf("state of NVR %s: %w", id, err)
	}
	return nil
}

func (r *Supervisor) draft(kind ledger.Kind, subject string, data any, sealed ...ledger.Part) ledger.Draft {
	return ledger.Draft{Actor: ledger.System, Via: ledger.ViaNVR, Kind: kind, Subject: subject, Data: data, Sealed: sealed}
}

// checkCamera lists what the NVR holds of a camera and writes down what that attests. Of a camera that is on another
// NVR by now, or on none, only the listing is kept: what it shows is attested where the camera is.
func (r *Supervisor) checkCamera(ctx context.Context, l *connection, c nvrtime.Calibration, at nvrtime.Instant, id string, tracks []driver.Track, lines []placedLine) error {
	i := slices.IndexFunc(r.o.Cameras(), func(f footage.Camera) bool { return f.ID == id })
	if i < 0 {
		return errors.New("not registered")
	}
	cam := r.o.Cameras()[i]
	if cam.Retired {
		return nil
	}
	listed, locked, err := r.listings(ctx, l, c, at, cam)
	if err != nil {
		return err
	}
	puts, deletes, err := r.dayRows(l, id, listed)
	if err != nil {
		return err
	}
	change := ledgerdb.Change{Puts: puts, Deletes: deletes}
	if channel, ok := l.target.channelOf(id); ok {
		if err := r.attestCamera(l, c, cam, channel, listed, locked, tracks, lines, &change); err != nil {
			return err
		}
	}
	if _, err := r.o.Store.Commit(ctx, change); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// attestCamera adds to a change what the listings of a camera, from this NVR and from others that it was on, show.
func (r *Supervisor) attestCamera(l *connection, c nvrtime.Calibration, cam footage.Camera, channel int, listed []listedPiece, locked int, tracks []driver.Track, lines []placedLine, change *ledgerdb.Change) error {
	prev, _, err := r.Report(cam.ID)
	if err != nil {
		return err
	}
	now := r.o.Clock.Now()
	elsewhere, err := r.listed(cam.ID, footage.Span{From: now.Wall.Add(-farBack), To: now.Wall.Add(farBack)})
	if err != nil {
		return err
	}
	var pieces []footage.Placed
	for _, h := range append(slices.DeleteFunc(elsewhere, func(h listedPiece) bool { return h.nvr == l.target.ID }), listed...) {
		pieces = append(pieces, h.Placed)
	}
	slices.SortStableFunc(pieces, byStart)
	track := r.Kind(l.target.Device).Track(channel)
	rep := prev
	rep.Camera, rep.NVR, rep.Channel, rep.Track, rep.Offset = cam.ID, l.target.ID, channel, track, c.Offset
	if rep.NVR != prev.NVR || rep.Track != prev.Track {
		rep.Expiry = Expiry{}
	}
	rep.Since = since(cam, prev, pieces)
	rep.noteRestart(cam, pieces, now)
	rep.Attestation = attest(cam, pieces, rep, now, channel, lines)
	rep.Attestation.Locked = locked
	change.Entries = r.judge(prev, &rep)
	if t := slices.IndexFunc(tracks, func(t driver.Track) bool { return t.ID == track }); t >= 0 {
		change.Entries = append(change.Entries, r.expiry(&rep, cam, tracks[t], now)...)
	} else {
		rep.Expiry = Expiry{}
	}
	change.Entries = append(change.Entries, r.draft("nvr.checked", cam.ID, checked(rep)))
	change.Puts = append(change.Puts, reports.Put(cam.ID, rep))
	return nil
}

// listings lists the channels that a camera is and was on, each for the time that it was there. What is past its days is
// listed only where the camera is.
func (r *Supervisor) listings(ctx context.Context, l *connection, c nvrtime.Calibration, at nvrtime.Instant, cam footage.Camera) (out []listedPiece, locked int, err error) {
	now := r.o.Clock.Now()
	for _, w := range l.target.assignments(cam.ID) {
		if !w.To.IsZero() && now.Reached(w.To.Add(cam.Policy.Keep()+footage.CeilingSlack)) {
			continue
		}
		track := r.Kind(l.target.Device).Track(w.Channel)
		pieces, n, err := r.listing(ctx, l, c, at, l.target.ID, cam.ID, track, w)
		if err != nil {
			return nil, 0, err
		}
		locked += n
		for _, p := range pieces {
			out = append(out, listedPiece{p, l.target.ID, track})
		}
	}
	return out, locked, nil
}

// since is when the camera is known to have existed behind the NVR: what is older cannot be asked for.
func since(cam footage.Camera, prev Report, pieces []footage.Placed) time.Time {
	at := cam.Since
	if day, err := time.Parse(time.DateOnly, cam.Installed); err == nil {
		at = day
	}
	if !prev.Since.IsZero() && prev.Since.Before(at) {
		at = prev.Since
	}
	for _, p := range pieces {
		if p.Span.From.Before(at) {
			at = p.Span.From
		}
	}
	return at
}

// attest judges the listing, after it has explained the holes by the NVR's own log where that says something.
func attest(cam footage.Camera, pieces []footage.Placed, rep Report, now clock.Reading, channel int, lines []placedLine) footage.Attestation {
	var known []footage.Gap
	last := rep.Attestation
	for _, g := range last.Gaps {
		switch {
		case g.Cause == footage.CauseBreach: // a breach stays one for as long as the hole can be seen
		case undecided(last, g):
		default:
			known = append(known, g)
		}
	}
	a := footage.Attest(cam, pieces, known, rep.Since, now)
	for _, g := range a.Gaps {
		if cause := explain(g.Span, channel, lines); g.Cause == footage.CauseUnknown && cause != "" {
			known = slices.DeleteFunc(known, func(k footage.Gap) bool { return k.Cause == footage.CauseUnknown && k.Span.Overlaps(g.Span) })
			known = append(known, footage.Gap{Camera: cam.ID, Span: g.Span, Cause: cause})
		}
	}
	a = footage.Attest(cam, pieces, known, rep.Since, now)
	if !a.Judged { // what was judged last still is
		a.Over, a.Short = last.Over, last.Short
	}
	rep.splitLoss(&a)
	if len(a.Gaps) > maxGaps { // a camera that records by movement; the long holes count when they grow old
		a.Gaps = slices.DeleteFunc(a.Gaps, func(g footage.Gap) bool { return g.Span.Duration() <= footage.FloorSlack })
	}
	return a
}

// undecided says of a hole before the oldest footage that nobody could tell whether it is a breach: our clock was not
// trusted.
func undecided(a footage.Attestation, g footage.Gap) bool {
	return !a.Judged && g.Cause == footage.CauseUnknown && (a.Oldest.IsZero() || !g.Span.From.After(a.Oldest))
}

// judge makes entries of what is new: breaches, with what is missing by them, and holes that have closed.
func (r *Supervisor) judge(prev Report, rep *Report) (out []ledger.Draft) {
	a, b := rep.Attestation, prev.Attestation
	breach := func(kind string, s footage.Span) {
		out = append(out, r.draft("nvr.breach", rep.Camera, breachData(rep.NVR, kind, s, a.Days)))
	}
	if a.Silent && !b.Silent && b.Pieces > 0 {
		out = append(out, r.draft("nvr.fault", rep.NVR, map[string]any{"code": "silent", "camera": rep.Camera}))
	}
	if a.Ceiling() && !b.Ceiling() {
		breach("ceiling", a.Over)
	}
	if a.Floor() && a.Short.To.Sub(latest(b.Short.To, rep.Lost.To)) > footage.FloorSlack {
		breach("floor", a.Short)
		out = append(out, r.missed(rep.Camera, footage.Gap{Span: a.Short, Cause: footage.CauseBreach}))
	}
	n := 0
	for _, g := range a.Gaps {
		if g.Cause == footage.CauseBreach || undecided(a, g) || !g.Span.To.Before(a.Newest) || n == maxGapEntries {
			continue
		}
		if slices.ContainsFunc(b.Gaps, func(o footage.Gap) bool {
			return o.Span.To.Equal(g.Span.To) && o.Span.To.Before(b.Newest) && !undecided(b, o)
		}) {
			continue
		}
		n++
		out = append(out, r.missed(rep.Camera, g))
	}
	return out
}

// missed is the entry of a hole.
func (r *Supervisor) missed(camera string, g footage.Gap) ledger.Draft {
	return r.draft("footage.gap", camera, map[string]any{"from": g.Span.From, "to": g.Span.To, "cause": g.Cause})
}

func breachData(nvr, kind string, s footage.Span, days int) map[string]any {
	return map[string]any{"nvr": nvr, "kind": kind, "from": s.From, "to": s.To, "days": days}
}

// expiry follows what the NVR is set to, and whether what we set is honoured: that only a later search shows.
func (r *Supervisor) expiry(rep *Report, cam footage.Camera, t driver.Track, now clock.Reading) (out []ledger.Draft) {
	e := &rep.Expiry
	e.Keep, e.On = t.Keep, t.Expires
	if e.At.IsZero() || e.Found != "" || now.State != clock.Trusted {
		return nil
	}
	report := func(result string) {
		e.Found = result
		out = append(out, r.draft("nvr.expiry", rep.Camera, map[string]any{"nvr": rep.NVR, "result": result, "days": e.Asked}))
	}
	age := now.Wall.Sub(e.At)
	switch {
	case !t.Expires || t.Keep != time.Duration(e.Asked)*24*time.Hour:
		report("ignored")
	case rep.Attestation.Ceiling() && age > expiryTime:
		report("ignored")
	case !rep.Attestation.Ceiling() && rep.Attestation.Judged && age > 24*time.Hour:
		report("confirmed")
	}
	return out
}

func checked(rep Report) map[string]any {
	a := rep.Attestation
	data := map[string]any{
		"nvr": rep.NVR, "pieces": a.Pieces, "recorded_s": int(a.Recorded / time.Second), "missing_s": int(a.Missing / time.Second), "gaps": len(a.Gaps),
		"days": a.Days, "locked": a.Locked, "offset_ms": rep.Offset.Milliseconds(), "judged": a.Judged, "floor": a.Floor(), "ceiling": a.Ceiling(),
	}
	if !a.Oldest.IsZero() {
		data["oldest"], data["newest"] = a.Oldest, a.Newest
	}
	if rep.Expiry.On {
		data["expiry_days"] = int(rep.Expiry.Keep / (24 * time.Hour))
	}
	return data
}

// dayRows are the changes that make the stored listing of one NVR and camera the present one.
func (r *Supervisor) dayRows(l *connection, camera string, list []listedPiece) (puts []ledgerdb.Put, deletes []ledgerdb.Delete, err error) {
	next := map[string]dayRow{}
	for _, p := range list {
		key := fmt.Sprintf("%s/%s/%s.%s", camera, p.Span.From.UTC().Format(time.DateOnly), p.nvr, p.track)
		d := next[key]
		d.NVR, d.Swaps, d.Track, d.Codec, d.Kbps, d.Unsure = p.nvr, l.target.Swaps, p.track, p.Codec, l.kbps[p.track], max(d.Unsure, int64(p.Uncertainty))
		d.Pieces = append(d.Pieces, [2]int64{p.Span.From.Unix(), p.Span.To.Unix()})
		next[key] = d
	}
	err = r.o.Store.View(func(tx ledgerdb.Tx) error {
		for key, old := range days.Prefix(tx, camera+"/") {
			d, ok := next[key]
			if !ok && old.NVR == l.target.ID {
				deletes = append(deletes, days.Delete(key))
			} else if ok && d.Swaps == old.Swaps && d.Kbps == old.Kbps && d.Unsure == old.Unsure && d.Codec == old.Codec && slices.Equal(d.Pieces, old.Pieces) {
				delete(next, key)
			}
		}
		return nil
	})
	for key, d := range next {
		puts = append(puts, days.Put(key, d))
	}
	return puts, deletes, err
}

// forget drops what was listed of cameras that are not behind the NVR any more.
func (r *Supervisor) forget(ctx context.Context, l *connection) error {
	all, err := r.Reports()
	if err != nil {
		return err
	}
	for _, rep := range all {
		if _, on := l.target.channelOf(rep.Camera); rep.NVR != l.target.ID || on {
			continue
		}
		change := ledgerdb.Change{Deletes: []ledgerdb.Delete{reports.Delete(rep.Camera)}} // one for each camera: a row a day is much
		if len(l.target.assignments(rep.Camera)) == 0 {
			_, deletes, err := r.dayRows(l, rep.Camera, nil)
			if err != nil {
				return err
			}
			change.Deletes = append(change.Deletes, deletes...)
		}
		if _, err := r.o.Store.Commit(ctx, change); err != nil {
			return fmt.Errorf("forget camera %s of NVR %s: %w", rep.Camera, l.target.ID, err)
		}
	}
	return nil
}

// piece is a record as everybody else sees it. Its file id is made of what identifies it on the NVR.
func piece(nvr, camera string, track driver.TrackID, codec string, s footage.Span, doubt time.Duration) footage.Placed {
	var n [16]byte
	if num, err := strconv.ParseUint(string(track), 10, 64); err == nil { // file ids of earlier versions stay
		binary.BigEndian.PutUint64(n[:8], num)
	} else {
		h := sha256.Sum256([]byte(track))
		copy(n[:8], h[:])
	}
	binary.BigEndian.PutUint64(n[8:], uint64(s.From.Unix()))
	sum := sha256.Sum256(append([]byte("nvr "+nvr+" "), n[:]...))
	return footage.Placed{
		Segment: footage.Segment{
			Camera: camera, File: footage.FileID(sum[:16]), Custody: footage.CustodyNVR, Day: s.From.UTC().Format(time.DateOnly), Boot: owner(nvr),
			From: time.Duration(s.From.UnixNano()), To: time.Duration(s.To.UnixNano()), Wall: s.From, Codec: codec,
		},
		Span: s, Uncertainty: doubt, Anchored: true,
	}
}
