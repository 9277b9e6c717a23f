package extraction

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/packet"
)

// Why a copy is handed over and where the original stays. It is read in court, so it is the same in every package.
const (
	whyNotOriginal = "原始介质为连续录制的录像设备，取走将中断全校录像并损及其他留存。"
	whereOriginal  = "原始录像留存于本校录像设备，至本申请的留存到期，可供核对。"
)

// manifest is what is known of a package before its first video.
func (j *job) manifest(e Extraction) packet.Manifest {
	x := j.x
	log, _, _ := strings.Cut(x.o.Store.VerifierKey(), "+")
	_, east := e.Began.In(x.o.Zone).Zone()
	d := j.app.Decision
	person := func(p Person) packet.Present {
		return packet.Present{ID: p.ID, Name: x.o.Name(p.ID), Unit: x.o.Unit(p.ID), Role: string(p.Role), At: p.At}
	}
	m := packet.Manifest{Version: packet.ManifestVersion, Number: e.Number(), Extraction: e.ID, School: x.o.School, Log: log, Zone: east / 60,
		Application: j.app.ID, FormNumber: j.app.Number(), Notice: j.app.NoticeNumber(), Condition: strings.TrimSpace(d.Note + "\n" + j.app.SecondNote),
		UseUntil: string(d.Until), Began: e.Began, Operator: person(e.Operator), Supervisor: person(e.Supervisor),
		Original: packet.Original{Why: whyNotOriginal, Where: whereOriginal},
		Clock:    packet.ApplianceClock{State: j.started.State.String(), Uncertainty: j.started.Uncertainty}}
	for _, r := range j.app.Recipients {
		m.Recipients = append(m.Recipients, packet.ManifestRecipient{Name: r.Name, Unit: r.Unit, Document: r.Document})
	}
	ids := slices.Clone(j.cameras)
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		c, ok := x.camera(id)
		if !ok {
			c.ID = id
		}
		out := packet.ManifestCamera{ID: id, Name: c.Name, Place: c.Place, Kept: string(c.Custody)}
		if c.Custody == footage.CustodyNVR {
			j.clocks(&out)
		}
		m.Cameras = append(m.Cameras, out)
	}
	return m
}

// clocks says how far the clock of an NVR was ahead of ours when it recorded and now, as the daily checks measured it.
// What nobody measured is left out.
func (j *job) clocks(c *packet.ManifestCamera) {
	for i, id := range j.cameras {
		if id != c.ID {
			continue
		}
		if o, ok := j.offset(c.ID, j.spans[i].From); ok && !slices.Contains(c.Recording, o) {
			c.Recording = append(c.Recording, o)
		}
	}
	if o, ok := j.offset(c.ID, j.started.Wall); ok {
		c.Now = &o
	}
}

// nearOffset is how far a measurement of a clock may be from what it is said of.
const nearOffset = 36 * time.Hour

// offsetUncertainty is that of a measurement over the network: NVRs state whole seconds.
const offsetUncertainty = time.Second

// offset is the measurement of a camera's NVR that is nearest to an instant.
func (j *job) offset(camera string, at time.Time) (out packet.ClockOffset, ok bool) {
	q := ledgerdb.Query{Kinds: []ledger.Kind{"nvr.checked"}, About: []string{camera}, From: at.Add(-nearOffset), To: at.Add(nearOffset)}
	err := j.x.o.Store.Each(context.Background(), q, func(_ ledger.Kind, leaf []byte) error {
		e, err := ledger.ParseEntry(leaf)
		if err != nil || e.Subject != camera {
			return err
		}
		var d struct {
			Offset *int64 `json:"offset_ms"`
		}
		if err := json.Unmarshal(e.Data, &d); err != nil {
			return fmt.Errorf("entry %d: %w", e.Seq, err)
		}
		if d.Offset != nil && (!ok || e.At.Sub(at).Abs() < out.At.Sub(at).Abs()) {
			out, ok = packet.ClockOffset{At: e.At, Ahead: time.Duration(*d.Offset) * time.Millisecond, Uncertainty: offsetUncertainty, Entry: e.Seq}, true
		}
		return nil
	})
	if err != nil {
		j.x.o.Log.Error("the clock of an NVR is not known for a package", "camera", camera, "err", err)
		return out, false
	}
	return out, ok
}

// fetchEvery is how often is asked how far footage is on its way from an NVR.
const fetchEvery = time.Second

// fetch brings what lies on NVRs alone into the vault, and counts what there is.
func (j *job) fetch(ctx context.Context) error {
	x := j.x
	for i, id := range j.cameras {
		c, ok := x.camera(id)
		if !ok || c.Custody != footage.CustodyNVR || x.o.Fetcher == nil {
			continue
		}
		j.report(func(p *Progress) { p.Phase, p.Camera, p.Video, p.Videos = PhaseFetch, id, i+1, len(j.cameras) })
		if err := x.o.Fetcher.Fetch(ctx, j.by, id, j.spans[i], j.app.ID, true); err != nil {
			return fmt.Errorf("ask for footage of camera %s: %w", id, err)
		}
		if err := j.await(ctx, id, j.spans[i]); err != nil {
			return err
		}
	}
	total := int64(0)
	for i, id := range j.cameras {
		list, err := x.o.Footage.Segments(ctx, id, j.spans[i])
		if err != nil {
			return fmt.Errorf("list footage of camera %s: %w", id, err)
		}
		for _, s := range list {
			if s.Custody != footage.CustodyNVR && s.Span.Duration() > 0 {
				total += int64(float64(s.Bytes) * float64(s.Span.Intersect(j.spans[i]).Duration()) / float64(s.Span.Duration()))
			}
		}
	}
	j.report(func(p *Progress) { p.Total = total })
	return j.room(total)
}

// await waits until a fetch is over. What did not come is a gap in the package, with its cause.
func (j *job) await(ctx context.Context, camera string, span footage.Span) error {
	tick := time.NewTicker(fetchEvery)
	defer tick.Stop()
	for {
		f, ok, err := j.x.o.Fetcher.Fetching(camera, span)
		if err != nil {
			return fmt.Errorf("ask how far footage of camera %s is: %w", camera, err)
		}
		if !ok || f.Over() {
			return nil
		}
		j.report(func(p *Progress) { p.Percent = f.Percent })
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// spareRoom is what must be left on the disk beside a package.
const spareRoom = 64 << 20

// room checks that the sealed file fits before anything is read.
func (j *job) room(total int64) error {
	free, _, err := j.x.o.FS.Free()
	if err != nil {
		return fmt.Errorf("ask for room on the disk: %w", err)
	}
	if int64(free) < total+total/50+spareRoom {
		return stopped(ReasonSpace)
	}
	return nil
}
