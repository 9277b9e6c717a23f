package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"campuskeep/firmware/disk"
	"campuskeep/shared/footage"
	"campuskeep/shared/packet"
)

// Cameras lists the cameras that have rows, in order.
func (v *Vault) Cameras() ([]string, error) { return v.index.cameras() }

// Rows gives the rows of a camera, boot by boot, within a boot in the order of recording, until f says stop. It holds a
// read transaction: f must be quick and must not write to the vault.
func (v *Vault) Rows(camera string, f func(footage.Segment) bool) error {
	return v.index.scan(camera, 0, 0, func(_ uint32, s footage.Segment) bool { return f(s) })
}

// Boots lists the boots of which a camera has rows, in the order in which they were first seen.
func (v *Vault) Boots(camera string) ([]string, error) {
	refs, err := v.index.bootsOf(camera)
	ids := make([]string, len(refs))
	for i, r := range refs {
		ids[i] = r.id
	}
	return ids, err
}

// RowsFrom gives the rows of one boot of a camera that begin at or after an instant of it, and then those of
// the boots that follow, until f says stop. The same limits as for Rows. A boot without rows gives none.
func (v *Vault) RowsFrom(camera, boot string, from time.Duration, f func(footage.Segment) bool) error {
	n, ok := v.index.ordinal(boot)
	if !ok {
		return nil
	}
	return v.index.scan(camera, n, from, func(_ uint32, s footage.Segment) bool { return f(s) })
}

// source adds the places in time to a vault.
type source struct {
	*Vault
	places func() footage.Places
}

// Source gives the vault as a footage.Source. places is asked at every listing. Nothing in it refuses what is
// too old: callers who show footage take retention's Guard around it.
func (v *Vault) Source(places func() footage.Places) footage.Source { return source{v, places} }

// margin is how far apart the anchors of one boot may put an instant, beyond their uncertainty.
const margin = time.Minute

// Segments lists what overlaps the span, oldest first.
func (s source) Segments(ctx context.Context, camera string, span footage.Span) ([]footage.Placed, error) {
	var out []footage.Placed
	err := s.Walk(ctx, s.places(), camera, span, func(p footage.Placed) bool {
		out = append(out, p)
		return true
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(out, func(a, b footage.Placed) int { return a.Span.From.Compare(b.Span.From) })
	return out, nil
}

// Walk gives what overlaps the span one by one until f says stop, boot by boot, within a boot in the order of recording:
// a month of a camera is megabytes as a list. It holds a read transaction: f must be quick and must not write to the vault.
func (v *Vault) Walk(ctx context.Context, places footage.Places, camera string, span footage.Span, f func(footage.Placed) bool) error {
	boots, err := v.index.bootsOf(camera)
	if err != nil {
		return fmt.Errorf("find footage of %s: %w", camera, err)
	}
	more := true
	for _, b := range boots {
		if err := ctx.Err(); err != nil || !more {
			return err
		}
		// Where the span begins on the boot's own clock. Without an anchor all its rows are looked at.
		var start time.Duration
		at, _, anchored := places.Anchors.UTC(b.id, 0)
		if anchored {
			start = span.From.Sub(at)
			near, unc, _ := places.Anchors.UTC(b.id, start)
			start += span.From.Sub(near) - unc - margin - footage.MaxSegment
		}
		err := v.index.scan(camera, b.ordinal, start, func(ordinal uint32, seg footage.Segment) bool {
			if ordinal != b.ordinal {
				return false
			}
			p := places.Place(seg)
			if p.Span.Overlaps(span) && !f(p) {
				more = false
			}
			return more && (!anchored || p.Span.From.Before(span.To.Add(p.Uncertainty+margin)))
		})
		if err != nil {
			return fmt.Errorf("find footage of %s: %w", camera, err)
		}
	}
	return nil
}

// reader is an open segment.
type reader struct {
	*packet.Reader
	f disk.File
	v *Vault
	s footage.Segment
}

func (r *reader) Close() error { return r.f.Close() }

// Fragment gives a fragment that verifies; a damaged one is an alarm and an error, never a picture.
func (r *reader) Fragment(i int) ([]byte, error) {
	b, err := r.Reader.Fragment(i)
	if err != nil {
		return nil, r.v.damaged(r.s, err)
	}
	return b, nil
}

func (v *Vault) damaged(s footage.Segment, err error) error {
	if errors.Is(err, packet.ErrDamaged) || errors.Is(err, packet.ErrFormat) {
		a := Alarm{Code: "damaged", Camera: s.Camera, Segment: s, Err: err}
		if d, ok := errors.AsType[*packet.DamageError](err); ok {
			a.Record = d.Record
		}
		v.alarm(a)
	}
	return fmt.Errorf("read segment %s of %s: %w", s.File, s.Camera, err)
}

// OpenSegment opens a segment by its row: fs.ErrNotExist when the file is gone, ErrKeyErased when its key
// is, packet.ErrDamaged or packet.ErrFormat when the bytes are not what was recorded.
func (v *Vault) OpenSegment(_ context.Context, s footage.Segment) (footage.SegmentReader, error) {
	if !cameraRule.MatchString(s.Camera) || !dayRule.MatchString(s.Day) {
		return nil, fmt.Errorf("open segment: %q %q is not a camera-day", s.Camera, s.Day)
	}
	r, err := v.openRow(s)
	if err != nil {
		return nil, v.damaged(s, err)
	}
	return r, nil
}

func (v *Vault) openRow(s footage.Segment) (_ *reader, err error) {
	id := dayID{s.Camera, s.Day}
	f, err := v.o.FS.Open(filePath(id, s.File))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %w", packet.ErrFormat, errNotRegular)
	}
	if s.Open {
		return v.openGrowing(f, info.Size(), s)
	}
	r, err := v.unseal(id, func(key packet.KeyOf) (*packet.Reader, error) { return packet.Open(f, info.Size(), key) })
	if errors.Is(err, packet.ErrFormat) && s.Recovered {
		r, err = v.unseal(id, func(key packet.KeyOf) (*packet.Reader, error) {
			return packet.OpenTorn(f, info.Size(), key, s.Frags)
		})
		if err == nil {
			r.Hash = s.Hash
		} else if errors.Is(err, packet.ErrFormat) {
			return v.openShort(f, info.Size(), s, err)
		}
	}
	if err != nil {
		return nil, err
	}
	if r.Header.File != s.File || r.Header.Boot != s.Boot || r.Hash != s.Hash {
		return nil, fmt.Errorf("%w: %w", errNotIndexed, packet.ErrDamaged)
	}
	return &reader{r, f, v, s}, nil
}

var errNotIndexed = errors.New("the file is not the one that was indexed")

// openShort opens a recovered segment of which less is there than its row says: a version before this one gave rows to
// bytes that a power cut could still take. What is whole is shown, each fragment verified, and the rest is an alarm.
func (v *Vault) openShort(f disk.File, size int64, s footage.Segment, why error) (*reader, error) {
	r, err := v.unseal(dayID{s.Camera, s.Day}, func(key packet.KeyOf) (*packet.Reader, error) {
		return packet.Salvage(f, size, key)
	})
	if err != nil {
		return nil, err
	}
	if len(r.Fragments()) == 0 || r.Header.File != s.File || r.Header.Boot != s.Boot {
		return nil, why
	}
	v.alarm(Alarm{Code: "damaged", Camera: s.Camera, Segment: s, Record: len(r.Fragments()) + 1, Err: why})
	return &reader{r, f, v, s}, nil
}

// unseal opens a file of a camera-day with the key of the day, and when that is not the one it was sealed with, with
// the one that a hold keeps: a label that has come again has another key.
func (v *Vault) unseal(id dayID, open func(packet.KeyOf) (*packet.Reader, error)) (*packet.Reader, error) {
	of := func(key func(footage.FileID) ([32]byte, bool, error)) packet.KeyOf {
		return func(h packet.Header) ([32]byte, error) {
			if h.Camera != id.camera || h.KeyID != id.key() {
				return [32]byte{}, fmt.Errorf("%w: its header belongs to camera %q, key %q", packet.ErrFormat, h.Camera, h.KeyID)
			}
			k, ok, err := key(h.File)
			if err == nil && !ok {
				err = ErrKeyErased
			}
			return k, err
		}
	}
	r, err := open(of(func(file footage.FileID) ([32]byte, bool, error) {
		key, ok := v.dayFileKey(id, file)
		return key, ok, nil
	}))
	if err == nil || !errors.Is(err, ErrKeyErased) && !errors.Is(err, packet.ErrDamaged) {
		return r, err
	}
	held, herr := open(of(v.heldKey))
	switch {
	case herr == nil:
		return held, nil
	case errors.Is(err, ErrKeyErased) && !errors.Is(herr, ErrKeyErased):
		return nil, herr
	}
	return nil, err
}

// dayFileKey derives the key of a file from that of its camera-day.
func (v *Vault) dayFileKey(id dayID, file footage.FileID) (key [32]byte, ok bool) {
	day, ok := v.o.Keys.Key(id.key())
	if !ok {
		return key, false
	}
	return packet.FileKey(day, file), true
}
