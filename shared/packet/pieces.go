package packet

import (
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"campuskeep/shared/footage"
)

// Pieces says of one exported video, fragment by fragment, which recorded segment it is of, and proves that each
// fragment is what `footage.recorded` bound in the hour of its recording: fragment → content hash of its segment → root
// of the camera's hour. It is a member of the package, as JSON.
type Pieces struct {
	Video    string         `json:"video"` // path of the member
	Camera   string         `json:"camera"`
	Init     []byte         `json:"init"` // as recorded
	Export   Export         `json:"export"`
	Segments []PieceSegment `json:"segments"`
}

// PieceSegment is a recorded segment of which the video has fragments.
type PieceSegment struct {
	File      footage.FileID `json:"file"`
	Boot      string         `json:"boot"`
	From      time.Duration  `json:"from"` // on the clock of its boot
	To        time.Duration  `json:"to"`
	Hash      []byte         `json:"hash"`      // content hash
	Init      PieceRecord    `json:"init"`      // of the initialisation section
	Fragments int            `json:"fragments"` // that it has
	First     int            `json:"first"`     // of the delivered ones, which follow one another
	Records   []PieceRecord  `json:"records"`   // of the delivered fragments
	Nodes     [][]byte       `json:"nodes"`     // from the delivered leaves to the content hash
	Bound     *PieceBound    `json:"bound,omitempty"`
}

// PieceRecord is the header of a record as the content tree holds it.
type PieceRecord struct {
	From time.Duration `json:"from"`
	To   time.Duration `json:"to"`
	Wall int64         `json:"wall"` // what the clock claimed, Unix ns
	Key  bool          `json:"key,omitempty"`
	Size int           `json:"size"`
}

// PieceBound places a segment in the tree of a camera-hour. It is missing when no entry bound the segment before it was
// exported: then only the entry of the export does.
type PieceBound struct {
	Entry uint64   `json:"entry"` // a `footage.recorded` entry
	Index int      `json:"index"`
	Of    int      `json:"of"` // segments of that entry
	Nodes [][]byte `json:"nodes"`
}

// Leaf is the leaf of the content tree for a record and its plaintext.
func (r PieceRecord) Leaf(init bool, plain []byte) Hash {
	k, flags := kindFragment, uint8(0)
	if init {
		k = kindInit
	}
	if r.Key {
		flags = flagKey
	}
	return leaf(recordHeader{0, k, flags, int64(r.From), int64(r.To), r.Wall}, plain)
}

// RecordOf gives the header of fragment i, or with −1 that of the initialisation section.
func (r *Reader) RecordOf(i int) PieceRecord {
	l := r.initAt
	if i >= 0 {
		l = r.frags[i]
	}
	return PieceRecord{time.Duration(l.h.from), time.Duration(l.h.to), l.h.wall, l.h.flags&flagKey != 0, int(l.h.length) - overhead}
}

// ProveLeaves gives the hashes that lead from some leaves of a content tree to its root, as [CheckMany] reads them.
// wanted are places in ascending order.
func ProveLeaves(leaves []Hash, wanted []uint64) (nodes [][]byte) {
	var walk func(lo, hi int, wanted []uint64)
	walk = func(lo, hi int, wanted []uint64) {
		if len(wanted) == 0 {
			h := TreeRoot(leaves[lo:hi])
			nodes = append(nodes, h[:])
			return
		}
		if hi-lo == 1 {
			return
		}
		mid := int(spread(uint64(lo), uint64(hi)))
		n := below(wanted, uint64(mid))
		walk(lo, mid, wanted[:n])
		walk(mid, hi, wanted[n:])
	}
	walk(0, len(leaves), wanted)
	return nodes
}

// checkLeaves is the reverse of ProveLeaves.
func checkLeaves(of int, root []byte, places []uint64, leaves []Hash, nodes [][]byte) error {
	if len(root) != len(Hash{}) || of < 0 || of > MaxFragments+1 {
		return errNodes
	}
	list := make([]tlog.Hash, len(leaves))
	for i, l := range leaves {
		list[i] = tlog.Hash(l)
	}
	hashes := make([]tlog.Hash, len(nodes))
	for i, n := range nodes {
		if len(n) != len(Hash{}) {
			return errNodes
		}
		hashes[i] = tlog.Hash(n)
	}
	return CheckMany(uint64(of), tlog.Hash(root), places, list, hashes)
}

// ErrPieces is wrapped by errors about a video that is not what its pieces say.
var ErrPieces = errors.New("packet: the video is not what was recorded")

// maxPieces is how many segments and fragments one video may have: two days, and more than a package ever holds.
const (
	maxPieceSegments  = 1 << 14
	maxPieceFragments = 1 << 18
)

// hours gives the root of a `footage.recorded` entry of the camera, and how many segments it binds.
type hours func(entry uint64) (root [32]byte, count int, ok bool)

// checkVideo reads a whole video and verifies that it is the head that its pieces make, and then exactly the recorded
// fragments, their decoding times put back; and for each segment its place in the tree of its hour. It gives how many segments an entry binds.
func (p Pieces) checkVideo(in io.Reader, of hours) (bound int, err error) {
	head, err := ExportHead(p.Init, p.Export)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrPieces, err)
	}
	got := make([]byte, len(head))
	if _, err := io.ReadFull(in, got); err != nil || string(got) != string(head) {
		return 0, fmt.Errorf("%w: its beginning", ErrPieces)
	}
	if len(p.Segments) == 0 || len(p.Segments) > maxPieceSegments {
		return 0, fmt.Errorf("%w: %d segments", ErrPieces, len(p.Segments))
	}
	fragments := 0
	var buf []byte
	for n, s := range p.Segments {
		fault := func(what string) error { return fmt.Errorf("%w: segment %d, %s", ErrPieces, n+1, what) }
		if fragments += len(s.Records); len(s.Records) == 0 || fragments > maxPieceFragments || s.First < 0 || s.First > MaxFragments ||
			s.Init.Size != len(p.Init) || len(s.Hash) != len(Hash{}) {
			return 0, fault("its records")
		}
		if n > 0 && !s.follows(p.Segments[n-1]) {
			return 0, fault("out of order")
		}
		leaves, places := []Hash{s.Init.Leaf(true, p.Init)}, []uint64{0}
		for i, r := range s.Records {
			if r.Size < 8 || r.Size > MaxRecord || r.To < r.From {
				return 0, fault("a fragment")
			}
			if cap(buf) < r.Size {
				buf = make([]byte, r.Size)
			}
			buf = buf[:r.Size]
			if _, err := io.ReadFull(in, buf); err != nil {
				return 0, fault("it ends early")
			}
			if p.Export.Move(buf, true) != nil {
				return 0, fault("a fragment")
			}
			leaves, places = append(leaves, r.Leaf(false, buf)), append(places, uint64(1+s.First+i))
		}
		if checkLeaves(s.Fragments+1, s.Hash, places, leaves, s.Nodes) != nil {
			return 0, fault("its content hash")
		}
		if s.Bound == nil {
			continue
		}
		root, count, ok := of(s.Bound.Entry)
		seg := SegmentLeaf(footage.Segment{File: s.File, Hash: Hash(s.Hash), Boot: s.Boot, From: s.From, To: s.To})
		if !ok || len(s.Boot) > 255 || s.Bound.Index < 0 || count != s.Bound.Of ||
			checkLeaves(count, root[:], []uint64{uint64(s.Bound.Index)}, []Hash{seg}, s.Bound.Nodes) != nil {
			return 0, fault("its hour")
		}
		bound++
	}
	if n, err := in.Read(make([]byte, 1)); n > 0 || err != io.EOF {
		return 0, fmt.Errorf("%w: something follows its last fragment", ErrPieces)
	}
	return bound, nil
}

// follows says whether a segment comes after another of one session.
func (s PieceSegment) follows(o PieceSegment) bool {
	last := o.Records[len(o.Records)-1]
	return s.Boot == o.Boot && s.From >= o.From && s.Records[0].From >= last.From && s.File != o.File
}
