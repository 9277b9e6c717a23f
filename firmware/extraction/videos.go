package extraction

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/fmp4"
	"campuskeep/firmware/vault"
	"campuskeep/shared/footage"
	"campuskeep/shared/packet"
)

// longestLead is how much before its span a video may begin, so that its first picture can be decoded: what playback
// delivers too.
const longestLead = 2 * time.Minute

// hole is how long footage must be missing to be a gap.
const hole = 500 * time.Millisecond

// recorded is an open segment with the headers that its content tree holds.
type recorded interface {
	footage.SegmentReader
	RecordOf(i int) packet.PieceRecord
}

// video is one exported file while it is written: a run of one session with one set of parameters.
type video struct {
	packet.ManifestVideo
	init   []byte
	pieces packet.Pieces
}

// spanWriter packs one camera in one span.
type spanWriter struct {
	j       *job
	p       *packer
	camera  footage.Camera
	span    footage.Span
	hours   *hours
	list    []footage.Placed // what overlaps the span, and what may be needed before it
	cur     *video
	covered []footage.Span
	joins   []time.Time
}

// pack writes the videos of one camera in one span, and says what is missing of it.
func (j *job) pack(ctx context.Context, p *packer, camera footage.Camera, span footage.Span) (packet.ManifestSpan, error) {
	out := packet.ManifestSpan{Camera: camera.ID, Span: span}
	list, err := j.x.o.Footage.Segments(ctx, camera.ID, footage.Span{From: span.From.Add(-longestLead), To: span.To})
	if err != nil {
		return out, fmt.Errorf("list footage of camera %s: %w", camera.ID, err)
	}
	list = slices.DeleteFunc(list, func(s footage.Placed) bool { return s.Custody == footage.CustodyNVR || s.Open || j.without[s.File] })
	hours, err := j.x.hoursOf(ctx, camera.ID, span)
	if err != nil {
		return out, err
	}
	w := &spanWriter{j: j, p: p, camera: camera, span: span, hours: hours, list: list}
	for i, s := range list {
		if !s.Span.Overlaps(span) {
			continue
		}
		if err := w.segment(ctx, i); gone(err) {
			continue // a gap, with its cause in the log
		} else if err != nil {
			return out, err
		}
	}
	if err := w.finish(); err != nil {
		return out, err
	}
	out.Joins = w.joins
	out.Gaps, err = j.gapsOf(ctx, camera.ID, missing(span, w.covered))
	return out, err
}

// gone says whether an error means that this segment is a gap: deleted, refused or damaged before anything of it was read.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, footage.ErrPastCeiling) || errors.Is(err, footage.ErrCondemned) ||
		errors.Is(err, vault.ErrKeyErased) || errors.Is(err, errUnreadable)
}

// errUnreadable: the segment does not open, or nothing of it can be shown.
var errUnreadable = errors.New("the segment cannot be read")

// damaged is the error of a segment that turns out to be damaged when part of it is written already: the package begins
// again without it.
type damaged struct {
	segment footage.Placed
	err     error
}

func (d *damaged) Error() string { return fmt.Sprintf("segment %s: %v", d.segment.File, d.err) }
func (d *damaged) Unwrap() error { return d.err }

func (w *spanWriter) open(ctx context.Context, s footage.Placed) (recorded, error) {
	r, err := w.j.x.o.Footage.OpenSegment(ctx, s.Segment)
	if err != nil {
		if gone(err) || errors.Is(err, packet.ErrDamaged) || errors.Is(err, packet.ErrFormat) {
			return nil, fmt.Errorf("%w: %w", errUnreadable, err)
		}
		return nil, fmt.Errorf("open segment %s: %w", s.File, err)
	}
	x, ok := r.(recorded)
	if !ok {
		return nil, errors.Join(fmt.Errorf("segment %s: its source does not give what was recorded", s.File), r.Close())
	}
	return x, nil
}

// fragSpan places a fragment in UTC.
func fragSpan(s footage.Placed, f footage.FragmentInfo) footage.Span {
	from := s.Span.From.Add(f.From - s.From)
	return footage.Span{From: from, To: from.Add(f.To - f.From)}
}

// segment adds the fragments of list[i] that lie in the span.
func (w *spanWriter) segment(ctx context.Context, i int) (err error) {
	s := w.list[i]
	r, err := w.open(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	frags := r.Fragments()
	first, end := -1, 0
	for k, f := range frags {
		if fragSpan(s, f).Overlaps(w.span) {
			if first < 0 {
				first = k
			}
			end = k + 1
		}
	}
	if first < 0 {
		return nil
	}
	if w.cur == nil || w.cur.Boot != s.Boot || w.cur.Session != fmt.Sprint(s.Session) || !bytes.Equal(w.cur.init, r.Init()) {
		if err := w.finish(); err != nil {
			return err
		}
		if first, err = w.begin(ctx, i, r, first); err != nil {
			return err
		}
	}
	return w.fragments(ctx, s, r, first, end)
}

// begin begins a video. Where its first picture needs others before the span, they come too, from their key frame on.
func (w *spanWriter) begin(ctx context.Context, i int, r recorded, first int) (int, error) {
	s, frags := w.list[i], r.Fragments()
	if frags[first].Key {
		return first, w.start(s, r, first)
	}
	earliest := w.span.From.Add(-longestLead)
	for k := first - 1; k >= 0 && !fragSpan(s, frags[k]).From.Before(earliest); k-- {
		if frags[k].Key {
			return k, w.start(s, r, k)
		}
	}
	if i > 0 {
		before := w.list[i-1]
		if before.Boot == s.Boot && before.Session == s.Session && s.From-before.To <= hole {
			done, err := w.lead(ctx, before, r.Init(), earliest)
			if done || err != nil {
				return 0, err
			}
		}
	}
	for k := first; k < len(frags); k++ { // nothing shows what comes before the next key frame
		if frags[k].Key {
			return k, w.start(s, r, k)
		}
	}
	return 0, fmt.Errorf("segment %s: %w: no key frame", s.File, errUnreadable)
}

// lead begins a video with the end of the segment before, from its last key frame on.
func (w *spanWriter) lead(ctx context.Context, s footage.Placed, init []byte, earliest time.Time) (done bool, err error) {
	r, err := w.open(ctx, s)
	if gone(err) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if !bytes.Equal(init, r.Init()) {
		return false, nil
	}
	frags := r.Fragments()
	for k := len(frags) - 1; k >= 0 && !fragSpan(s, frags[k]).From.Before(earliest); k-- {
		if frags[k].Key {
			if err := w.start(s, r, k); err != nil {
				return true, err
			}
			return true, w.fragments(ctx, s, r, k, len(frags))
		}
	}
	return false, nil
}

// start writes the beginning of a video whose first fragment is k.
func (w *spanWriter) start(s footage.Placed, r recorded, k int) error {
	tracks, err := fmp4.Tracks(r.Init())
	if err != nil {
		return fmt.Errorf("segment %s: %w", s.File, err)
	}
	b, err := r.Fragment(k)
	if errors.Is(err, packet.ErrDamaged) || errors.Is(err, packet.ErrFormat) {
		return &damaged{s, err}
	}
	if err != nil {
		return fmt.Errorf("segment %s: %w", s.File, err)
	}
	at, err := fmp4.Begin(b, tracks)
	if err != nil {
		return fmt.Errorf("segment %s: %w", s.File, err)
	}
	zero, err := fmp4.Earliest(b, tracks)
	if err != nil {
		return fmt.Errorf("segment %s: %w", s.File, err)
	}
	span := fragSpan(s, r.Fragments()[k])
	n := len(w.p.m.Videos) + 1
	name := fmt.Sprintf("%02d_%s", n, fileName(w.camera.Name))
	v := &video{init: bytes.Clone(r.Init())}
	v.ManifestVideo = packet.ManifestVideo{Path: "录像/" + name + ".mp4", Pieces: "证明/" + name + ".json", Camera: w.camera.ID, Span: footage.Span{From: span.From.UTC(), To: span.To.UTC()},
		Uncertainty: s.Uncertainty, Boot: s.Boot, Session: fmt.Sprint(s.Session), Codec: s.Codec}
	if d := w.span.From.Sub(span.From); d > 0 {
		v.Lead = d
	}
	e := packet.Export{Unit: w.p.m.Log, At: w.p.m.Began, Operator: w.p.m.Operator.Name, Source: w.camera.Name, URL: w.camera.Main, Line: w.camera.ID, Origin: span.From.Add(zero - at).UTC()}
	for _, t := range tracks {
		e.First = append(e.First, packet.TrackAt{Track: t.ID, Ticks: uint64(fmp4.Ticks(zero, t.Scale))})
	}
	v.pieces = packet.Pieces{Video: v.Path, Camera: w.camera.ID, Init: v.init, Export: e}
	head, err := packet.ExportHead(v.init, e)
	if err != nil {
		return fmt.Errorf("segment %s: %w", s.File, err)
	}
	if w.cur = v; len(w.covered) > 0 {
		w.joins = append(w.joins, span.From.UTC())
	}
	if err := w.p.begin(v.Path); err != nil {
		return err
	}
	return w.p.write(head)
}

// fragments writes fragments [first, end) of a segment as they were recorded but for the zero of their decoding times, and
// proves them.
func (w *spanWriter) fragments(ctx context.Context, s footage.Placed, r recorded, first, end int) error {
	v, frags := w.cur, r.Fragments()
	piece := packet.PieceSegment{File: s.File, Boot: s.Boot, From: s.From, To: s.To, Hash: s.Hash[:], Init: r.RecordOf(-1), Fragments: len(frags), First: first}
	leaves, wanted := []packet.Hash{piece.Init.Leaf(true, r.Init())}, []uint64{0}
	for k := range frags {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := r.Fragment(k)
		if errors.Is(err, packet.ErrDamaged) || errors.Is(err, packet.ErrFormat) {
			return &damaged{s, err}
		}
		if err != nil {
			return fmt.Errorf("segment %s, fragment %d: %w", s.File, k, err)
		}
		record := r.RecordOf(k)
		leaves = append(leaves, record.Leaf(false, b))
		if k < first || k >= end {
			continue
		}
		wanted = append(wanted, uint64(k+1))
		piece.Records = append(piece.Records, record)
		n, err := fmp4.Count(b, fmp4.VideoTrack)
		if err != nil {
			return fmt.Errorf("segment %s, fragment %d: %w", s.File, k, err)
		}
		v.Pictures += n
		b = bytes.Clone(b)
		if err := v.pieces.Export.Move(b, false); err != nil {
			return fmt.Errorf("segment %s, fragment %d: %w", s.File, k, err)
		}
		if err := w.p.write(b); err != nil {
			return err
		}
		w.j.report(func(p *Progress) { p.Done += int64(len(b)) })
	}
	if packet.TreeRoot(leaves) != s.Hash {
		return &damaged{s, packet.ErrDamaged}
	}
	piece.Nodes = packet.ProveLeaves(leaves, wanted)
	if piece.Bound = w.hours.bound(s.Segment); piece.Bound != nil {
		v.Bound++
		w.p.entries[piece.Bound.Entry] = true
	}
	v.Segments++
	v.Recovered = v.Recovered || s.Recovered
	v.Uncertainty = max(v.Uncertainty, s.Uncertainty)
	v.pieces.Segments = append(v.pieces.Segments, piece)
	last := fragSpan(s, frags[end-1])
	v.Span.To = last.To.UTC()
	w.cover(footage.Span{From: fragSpan(s, frags[first]).From, To: last.To})
	return nil
}

// cover notes what was delivered.
func (w *spanWriter) cover(s footage.Span) {
	if n := len(w.covered); n > 0 && s.From.Sub(w.covered[n-1].To) <= hole {
		if s.To.After(w.covered[n-1].To) {
			w.covered[n-1].To = s.To
		}
		return
	}
	w.covered = append(w.covered, s)
}

// finish ends the video that is being written, and writes its pieces.
func (w *spanWriter) finish() error {
	v := w.cur
	if v == nil {
		return nil
	}
	w.cur = nil
	b, err := json.Marshal(v.pieces)
	if err != nil {
		return fmt.Errorf("write down the pieces of a video: %w", err)
	}
	if err := w.p.member(v.Pieces, b); err != nil {
		return err
	}
	w.p.m.Videos = append(w.p.m.Videos, v.ManifestVideo)
	return nil
}

// missing is what of a span is not covered.
func missing(span footage.Span, covered []footage.Span) []footage.Span {
	rest := []footage.Span{span}
	for _, c := range covered {
		rest = footage.Without(rest, c)
	}
	return slices.DeleteFunc(rest, func(s footage.Span) bool { return s.Duration() <= hole })
}

// fileName is a name as part of the name of a file.
func fileName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`/\:*?"<>|.`, r) {
			return '_'
		}
		return r
	}, s)
	if r := []rune(s); len(r) > 40 {
		s = string(r[:40])
	}
	return s
}
