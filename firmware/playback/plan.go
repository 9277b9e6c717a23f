package playback

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"time"

	"campuskeep/firmware/fmp4"
	"campuskeep/firmware/vault"
	"campuskeep/shared/footage"
	"campuskeep/shared/packet"
)

const (
	// partTime is how long a part of a segment is made at least, from key frame to key frame.
	partTime = 4 * time.Second
	// A segment of fewer bytes than this is one part: a browser fetches a light minute at once.
	singlePartBytes = 1 << 20
	// At most this many segments are opened to make a playlist, so that a day's is made as quickly as an hour's;
	// what comes after goes out a minute at a time.
	maxOpened = 240
	// A hole longer than this between two segments is a discontinuity.
	hole = 500 * time.Millisecond
)

// plan is the fixed content of one viewing: what its playlist lists and nothing else.
type plan struct {
	items    []item
	sections []*initSection
	index    map[string]int // file id → item
	lead     []fragmentRef  // fragments before the first part, without which its first pictures cannot be decoded
	zero     time.Time      // where the viewing's own time begins
}

// item is one segment's share of a viewing.
type item struct {
	footage.Placed
	section int
	fresh   bool // something is missing before it, or a new time line starts
	parts   []part
}

// part is a run of fragments [first, end); end < 0 means all there are, of a segment that was not opened.
type part struct {
	first, end int
	from       time.Time
	long       time.Duration
}

// makePlan lists what of the span can be shown. Segments that are gone or may no longer be shown are left out, like
// any other gap; a whole segment inside the span need not be opened.
func (p *Player) makePlan(ctx context.Context, v Viewing) (*plan, error) {
	placed, err := p.src.Segments(ctx, v.Camera, v.Span)
	if err != nil {
		return nil, fmt.Errorf("playback: segments of %s: %w", v.Camera, err)
	}
	pl := &plan{index: map[string]int{}}
	opened := 0
	var why error // the last reason for leaving something out
	for n, s := range placed {
		if s.Camera != v.Camera || !s.Span.Overlaps(v.Span) {
			continue
		}
		it := item{Placed: s, fresh: pl.discontinues(s)}
		inside := !s.Span.From.Before(v.Span.From) && !s.Span.To.After(v.Span.To)
		if inside && !it.fresh && n < len(placed)-1 && (s.Bytes < singlePartBytes || opened >= maxOpened) {
			it.parts = []part{{0, -1, s.Span.From, s.Span.Duration()}}
		} else {
			opened++
			if it.parts, err = p.cut(ctx, pl, s, v.Span, it.fresh); gone(err) {
				why = err
				continue
			} else if err != nil {
				return nil, err
			}
		}
		if len(it.parts) > 0 {
			pl.add(it)
		}
	}
	if len(pl.items) == 0 && why != nil {
		return nil, why
	}
	if len(pl.items) == 0 {
		return nil, ErrNothing
	}
	return pl, nil
}

// gone says whether an error of the source means that this segment is a gap now: deleted, refused or damaged.
func gone(err error) bool {
	for _, e := range []error{
		fs.ErrNotExist, footage.ErrPastCeiling, footage.ErrCondemned, vault.ErrKeyErased, packet.ErrDamaged, packet.ErrFormat,
		fmp4.ErrForm,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// discontinues says whether the segment does not continue the last item.
func (pl *plan) discontinues(s footage.Placed) bool {
	if len(pl.items) == 0 {
		return true
	}
	last := pl.items[len(pl.items)-1]
	return last.Boot != s.Boot || last.Session != s.Session || s.From-last.To > hole || s.From < last.From
}

func (pl *plan) add(it item) {
	it.section = len(pl.sections) - 1
	pl.index[it.File.String()] = len(pl.items)
	pl.items = append(pl.items, it)
}

// cut opens a segment and groups its fragments that lie within the span. A fresh one starts with a key frame or not
// at all, and begins a line.
func (p *Player) cut(ctx context.Context, pl *plan, s footage.Placed, span footage.Span, fresh bool) (parts []part, err error) {
	err = p.reading(ctx, s.Segment, func(r footage.SegmentReader) (err error) {
		frags := r.Fragments()
		start := -1
		var lead []fragmentRef
		if fresh && len(pl.items) == 0 {
			if start, lead, err = p.findLead(ctx, s, frags, span); err != nil {
				return err
			}
		}
		if parts, err = shown(s, r, group(s, frags, span, fresh, start), span); err != nil {
			return err
		}
		if fresh && len(parts) > 0 {
			err = p.begin(ctx, pl, s, r, &parts[0], span, lead)
		}
		if gone(err) && len(lead) > 0 { // what is needed before the span cannot be had: the next key frame, then
			lead, err = nil, nil
			if parts, err = shown(s, r, group(s, frags, span, fresh, -1), span); err == nil && len(parts) > 0 {
				err = p.begin(ctx, pl, s, r, &parts[0], span, nil)
			}
		}
		pl.lead = append(pl.lead, lead...)
		return err
	})
	return parts, err
}

// group makes parts, from key frame to key frame, of the fragments that lie within the span; of the first also one
// that begins before it, when start names it: then all that its pictures need is there.
func group(s footage.Placed, frags []footage.FragmentInfo, span footage.Span, fresh bool, start int) (parts []part) {
	light := s.Bytes < singlePartBytes
	for i, f := range frags {
		at := fragSpan(s, f)
		if !at.Overlaps(span) || (at.From.Before(span.From) && i != start) {
			continue
		}
		seen := at.Intersect(span)
		n := len(parts)
		switch {
		case n == 0 && fresh && !f.Key && i != start:
		case n == 0, parts[n-1].end != i, f.Key && !light && parts[n-1].long >= partTime:
			parts = append(parts, part{i, i + 1, seen.From, seen.Duration()})
		default:
			parts[n-1].end = i + 1
			parts[n-1].long = seen.To.Sub(parts[n-1].from)
		}
	}
	return parts
}

// shown leaves out a last part of which no picture is shown within the span: pictures are sent before they are shown
// where others are between them.
func shown(s footage.Placed, r footage.SegmentReader, parts []part, span footage.Span) ([]part, error) {
	n := len(parts) - 1
	if n < 0 || parts[n].end-parts[n].first != 1 {
		return parts, nil
	}
	at := fragSpan(s, r.Fragments()[parts[n].first])
	if !at.To.After(span.To) || at.From.Before(span.From) {
		return parts, nil
	}
	l, err := newInitSection(r.Init())
	if err != nil {
		return nil, err
	}
	b, err := fragment(r, s.Segment, parts[n].first)
	if err != nil {
		return nil, err
	}
	_, runs, err := fmp4.Parse(b)
	if err != nil {
		return nil, err
	}
	m := fragmentWriter{section: l, span: span}
	pictures, err := m.pictures(runs)
	if err != nil {
		return nil, err
	}
	if pictures, err = m.trim(cut{at: at}, pictures); err == nil && len(pictures.Samples) == 0 {
		parts = parts[:n]
	}
	return parts, err
}

// fragSpan places a fragment in UTC.
func fragSpan(s footage.Placed, f footage.FragmentInfo) footage.Span {
	from := s.Span.From.Add(f.From - s.From)
	return footage.Span{From: from, To: from.Add(f.To - f.From)}
}

// playlist writes the plan as HLS.
func (pl *plan) playlist() []byte {
	longest := time.Second
	size := 0
	for _, it := range pl.items {
		size += 80
		for _, pt := range it.parts {
			longest = max(longest, pt.long)
			size += 72
		}
	}
	b := make([]byte, 0, size+200)
	b = append(b, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-TARGETDURATION:"...)
	b = strconv.AppendInt(b, int64((longest+time.Second-1)/time.Second), 10)
	b = append(b, "\n#EXT-X-MEDIA-SEQUENCE:0\n"...)
	if long := pl.sections[0].lead; long > 0 {
		b = append(b, "#EXT-X-START:TIME-OFFSET="...)
		b = strconv.AppendFloat(b, long.Seconds(), 'f', 3, 64)
		b = append(b, ",PRECISE=YES\n"...)
	}
	for n, it := range pl.items {
		if it.fresh {
			if n > 0 {
				b = append(b, "#EXT-X-DISCONTINUITY\n"...)
			}
			b = appendMap(b, it.section)
		}
		b = appendDate(b, it.parts[0].from)
		for i, pt := range it.parts {
			b = appendPart(b, pt.long, it.File.String(), i)
		}
	}
	return append(b, "#EXT-X-ENDLIST\n"...)
}

func appendMap(b []byte, n int) []byte {
	b = append(b, `#EXT-X-MAP:URI="init/`...)
	b = strconv.AppendInt(b, int64(n), 10)
	return append(b, ".mp4\"\n"...)
}

func appendDate(b []byte, at time.Time) []byte {
	b = append(b, "#EXT-X-PROGRAM-DATE-TIME:"...)
	b = at.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	return append(b, '\n')
}

func appendPart(b []byte, long time.Duration, segment string, i int) []byte {
	b = append(b, "#EXTINF:"...)
	b = strconv.AppendFloat(b, long.Seconds(), 'f', 3, 64)
	b = append(b, ",\n"...)
	b = append(b, segment...)
	b = append(b, '/')
	b = strconv.AppendInt(b, int64(i), 10)
	return append(b, ".m4s\n"...)
}
