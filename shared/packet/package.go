package packet

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// PackageProof is the last member of a package, a text:
//
//	campuskeep package 1
//	entries <n>
//	<an entry's JSON, exactly as hashed>      n lines, in the order of the log
//	nodes <n>
//	<hash, base64>                            n lines, see ProveMany
//	keys <n>
//	<verifier key>                            n lines: one for each signature below, in their order
//	checkpoint
//	<signed note to the end of the file>
//
// The last entry is `extraction.packed` and holds the SHA-256 of the manifest, which holds the hashes of all other
// members: so no byte of a package can change unnoticed. Before it stand the application, its approval, the beginning of
// the extraction with its two persons, and the `footage.recorded` entries of the hours that the videos are of.
type PackageProof struct {
	Leaves     [][]byte
	Nodes      []tlog.Hash
	Keys       []string
	Checkpoint []byte
}

// Members that every package has, besides its videos.
const (
	MemberManifest = "清单/清单.json"
	MemberProof    = "证明/证明.txt"

	packageTitle     = "campuskeep package 1"
	maxPackageLeaves = MaxCertificateEntries
	maxPackageProof  = maxCertificate
)

// Format writes the text form.
func (p PackageProof) Format() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nentries %d\n", packageTitle, len(p.Leaves))
	for _, l := range p.Leaves {
		b.Write(l)
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "nodes %d\n", len(p.Nodes))
	for _, h := range p.Nodes {
		fmt.Fprintf(&b, "%s\n", h)
	}
	ledger.FormatTail(&b, p.Keys, p.Checkpoint)
	return b.Bytes()
}

// ParsePackageProof reads the text form and nothing else: what it accepts, Format writes back byte for byte.
func ParsePackageProof(text []byte) (p PackageProof, err error) {
	r := ledger.NewLines(text)
	r.Expect(packageTitle)
	for range r.Count("entries", maxPackageLeaves) {
		p.Leaves = append(p.Leaves, []byte(r.Next()))
	}
	for range r.Count("nodes", maxPackageLeaves*64) {
		h, err := tlog.ParseHash(r.Next())
		if err != nil {
			r.Fail("a hash is malformed")
		}
		p.Nodes = append(p.Nodes, h)
	}
	p.Keys, p.Checkpoint = r.Tail()
	if r.Err() == nil && !bytes.Equal(p.Format(), text) {
		r.Fail("is not in canonical form")
	}
	if err := r.Err(); err != nil {
		return PackageProof{}, fmt.Errorf("packet: proof of a package, %w", err)
	}
	return p, nil
}

// ErrPackage is wrapped by errors about a package whose parts do not belong together.
var ErrPackage = errors.New("packet: the package is not the one that the log binds")

// PackageVerdict is what a verified package shows.
type PackageVerdict struct {
	ledger.Head
	Manifest Manifest
	Packed   ledger.Entry // binds the manifest
	Began    ledger.Entry
	Approved ledger.Entry
	Segments int // of the videos
	Bound    int // of them, that an entry bound when they were recorded, before anybody asked
	Late     int // and those bound by the export alone
	Bytes    int64
}

// VerifyPackage reads every byte of an opened package and checks it offline: the archive's one form, the log's
// signature, every entry in it, the hash of every member, and for each video that it is exactly what was recorded.
// Without trusted keys it shows that the package is whole and consistent (Head.Trusted false), never where it comes
// from. progress, which may be nil, gets how many bytes were read.
func VerifyPackage(src io.ReaderAt, size int64, progress func(done int64), trusted ...ledger.Verifier) (v PackageVerdict, err error) {
	a, err := OpenArchive(src, size)
	if err != nil {
		return v, err
	}
	manifest, err := a.whole(MemberManifest, maxManifest)
	if err != nil {
		return v, err
	}
	text, err := a.whole(MemberProof, maxPackageProof)
	if err != nil {
		return v, err
	}
	proof, err := ParsePackageProof(text)
	if err != nil {
		return v, err
	}
	entries, err := proof.verify(&v.Head, trusted)
	if err != nil {
		return v, err
	}
	if v.Manifest, err = ReadManifest(manifest); err != nil {
		return v, err
	}
	if err := v.bind(manifest, entries); err != nil {
		return v, err
	}
	return v, v.members(a, entries, progress)
}

// whole reads one member whole.
func (a *ArchiveReader) whole(name string, most int64) (b []byte, err error) {
	i, ok := a.Find(name)
	if !ok || a.Members[i].Size > most {
		return nil, fmt.Errorf("%w: it has no %s", ErrArchive, name)
	}
	err = a.Read(i, func(in io.Reader) (err error) {
		b, err = io.ReadAll(in)
		return err
	})
	return b, err
}

func (p PackageProof) verify(head *ledger.Head, trusted []ledger.Verifier) (entries []ledger.Entry, err error) {
	if *head, err = ledger.VerifyHead(p.Checkpoint, p.Keys, trusted); err != nil {
		return nil, err
	}
	seqs, hashes := make([]uint64, len(p.Leaves)), make([]tlog.Hash, len(p.Leaves))
	for i, leaf := range p.Leaves {
		e, err := ledger.ParseEntry(leaf)
		if err != nil {
			return nil, fmt.Errorf("packet: entry in line %d: %w", i+1, err)
		}
		entries = append(entries, e)
		seqs[i], hashes[i] = e.Seq, tlog.RecordHash(leaf)
	}
	if err := CheckMany(head.Size, head.Root, seqs, hashes, p.Nodes); err != nil {
		return nil, fmt.Errorf("packet: %w", err)
	}
	return entries, nil
}

// extractionData are the fields that a package reads of the entries about it.
type extractionData struct {
	Application string
	Supervisor  string
	Sum         []byte
	Cameras     []string
	Spans       []footage.Span
	PairCameras []string       `json:"pair_cameras"`
	PairSpans   []footage.Span `json:"pair_spans"`
}

// bind checks that manifest and entries say the same: which application, who, and no camera or span that was not approved.
func (v *PackageVerdict) bind(manifest []byte, entries []ledger.Entry) error {
	m := v.Manifest
	fault := func(what string) error { return fmt.Errorf("%w: %s", ErrPackage, what) }
	read := func(e ledger.Entry) (d extractionData) {
		_ = json.Unmarshal(e.Data, &d) // what cannot be read is empty, and then nothing fits it
		return d
	}
	v.Packed = entries[len(entries)-1]
	sum := sha256.Sum256(manifest)
	if d := read(v.Packed); v.Packed.Kind != "extraction.packed" || v.Packed.Subject != m.Extraction || d.Application != m.Application || !bytes.Equal(d.Sum, sum[:]) {
		return fault("the manifest")
	}
	if name, _, err := ledger.SplitOrigin(v.Origin); err != nil || name != m.Log {
		return fault("the appliance")
	}
	submitted := false
	for _, e := range entries {
		switch {
		case e.Kind == "extraction.began" && e.Subject == m.Extraction:
			v.Began = e
		case e.Kind == "application.approved" && e.Subject == m.Application:
			v.Approved = e
		case e.Kind == "application.submitted" && e.Subject == m.Application:
			submitted = true
		}
	}
	began := read(v.Began)
	if !submitted || v.Began.Kind == "" || v.Approved.Kind == "" || began.Application != m.Application {
		return fault("its application")
	}
	if v.Began.Actor.ID != m.Operator.ID || began.Supervisor != m.Supervisor.ID || m.Operator.ID == m.Supervisor.ID || m.Operator.ID == "" || m.Supervisor.ID == "" {
		return fault("its two persons")
	}
	if len(began.PairCameras) != len(m.Spans) || len(began.PairSpans) != len(m.Spans) {
		return fault("its spans")
	}
	approved := read(v.Approved)
	for i, s := range m.Spans {
		if began.PairCameras[i] != s.Camera || !began.PairSpans[i].From.Equal(s.Span.From) || !began.PairSpans[i].To.Equal(s.Span.To) {
			return fault("its spans")
		}
		in := slices.ContainsFunc(approved.Spans, func(o footage.Span) bool { return !s.Span.From.Before(o.From) && !s.Span.To.After(o.To) })
		if !in || !slices.Contains(approved.Cameras, s.Camera) {
			return fault("something that was not approved")
		}
	}
	for _, x := range m.Videos {
		if _, ok := m.Of(x); !ok {
			return fault("a video outside its spans")
		}
	}
	return nil
}

// members reads all members in their order, compares each with the manifest, and verifies the videos.
func (v *PackageVerdict) members(a *ArchiveReader, entries []ledger.Entry, progress func(int64)) error {
	m := v.Manifest
	names := make([]string, 0, len(m.Files)+2)
	for _, f := range m.Files {
		names = append(names, f.Path)
	}
	names = append(names, MemberManifest, MemberProof)
	if !slices.EqualFunc(names, a.Members, func(name string, x Member) bool { return name == x.Name }) {
		return fmt.Errorf("%w: its list of files", ErrPackage)
	}
	bound := map[uint64]ledger.Entry{}
	for _, e := range entries {
		if e.Kind == "footage.recorded" {
			bound[e.Seq] = e
		}
	}
	for i, f := range m.Files {
		sum, other := sha256.New(), NewSM3()
		both := &countingWriter{w: io.MultiWriter(sum, other), done: &v.Bytes, tell: progress}
		err := a.Read(i, func(in io.Reader) error {
			in = io.TeeReader(in, both)
			for _, x := range m.Videos {
				if x.Path == f.Path {
					return v.video(a, x, in, bound)
				}
			}
			_, err := io.Copy(io.Discard, in)
			return err
		})
		if err != nil {
			return err
		}
		if a.Members[i].Size != f.Bytes || hex.EncodeToString(sum.Sum(nil)) != f.SHA256 || hex.EncodeToString(other.Sum(nil)) != f.SM3 {
			return fmt.Errorf("%w: %s", ErrPackage, f.Path)
		}
	}
	return nil
}

func (v *PackageVerdict) video(a *ArchiveReader, x ManifestVideo, in io.Reader, bound map[uint64]ledger.Entry) error {
	b, err := a.whole(x.Pieces, maxPiecesFile)
	if err != nil {
		return err
	}
	var p Pieces
	if err := json.Unmarshal(b, &p); err != nil || p.Video != x.Path || p.Camera != x.Camera {
		return fmt.Errorf("%w: %s", ErrPieces, x.Pieces)
	}
	n, err := p.checkVideo(in, func(seq uint64) (root [32]byte, count int, ok bool) {
		e, known := bound[seq]
		if !known || e.Subject != x.Camera {
			return root, 0, false
		}
		r, err := ReadRecord(x.Camera, []ledger.Entry{e})
		if err != nil || len(r.Recorded) != 1 {
			return root, 0, false
		}
		return r.Recorded[0].Root, r.Recorded[0].Count, true
	})
	if err != nil {
		return fmt.Errorf("%s: %w", x.Path, err)
	}
	if n != x.Bound || len(p.Segments) != x.Segments {
		return fmt.Errorf("%w: %s", ErrPackage, x.Path)
	}
	v.Segments, v.Bound, v.Late = v.Segments+len(p.Segments), v.Bound+n, v.Late+len(p.Segments)-n
	return nil
}

// countingWriter hashes what is read and says how far it is.
type countingWriter struct {
	w    io.Writer
	done *int64
	tell func(int64)
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	*c.done += int64(n)
	if c.tell != nil {
		c.tell(*c.done)
	}
	return n, err
}

// PackedData is the data of the entry that binds a manifest.
func PackedData(application string, manifest []byte, files int, bytes int64) map[string]any {
	sum := sha256.Sum256(manifest)
	return map[string]any{"application": application, "sum": base64.StdEncoding.EncodeToString(sum[:]), "files": files, "bytes": bytes}
}
