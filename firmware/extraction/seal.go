package extraction

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/mod/sumdb/tlog"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/packet"
	rules "campuskeep/shared/usage"
)

// partSuffix ends the name of a package that is not whole.
const partSuffix = ".part"

// parseRecipient reads a key that a recipient gave: of age (X25519) or of ssh.
func parseRecipient(s string) (age.Recipient, error) {
	if strings.HasPrefix(s, "ssh-") {
		return agessh.ParseRecipient(s)
	}
	return age.ParseX25519Recipient(s)
}

// packer writes the members of one package into the sealed file.
type packer struct {
	archive *packet.Archive
	m       packet.Manifest
	entries map[uint64]bool // that the proof carries

	open   string
	hashes *sums
	size   int64
}

// begin begins a member that is listed in the manifest.
func (p *packer) begin(name string) error {
	if err := p.end(); err != nil {
		return err
	}
	p.open, p.size, p.hashes = name, 0, newSums()
	return p.archive.Begin(name)
}

func (p *packer) write(b []byte) error {
	p.size += int64(len(b))
	p.hashes.write(b)
	_, err := p.archive.Write(b)
	return err
}

// end lists the member that is being written.
func (p *packer) end() error {
	if p.open == "" {
		return nil
	}
	sha, sm3 := p.hashes.sum()
	p.m.Files = append(p.m.Files, packet.ManifestFile{Path: p.open, Bytes: p.size, SHA256: sha, SM3: sm3})
	p.open, p.hashes = "", nil
	return nil
}

func (p *packer) member(name string, content []byte) error {
	if err := p.begin(name); err != nil {
		return err
	}
	if err := p.write(content); err != nil {
		return err
	}
	return p.end()
}

// sums hashes with SHA-256 and SM3 beside the writer: SM3 alone takes longer than everything else.
type sums struct {
	work   chan []byte
	spare  chan []byte
	done   chan struct{}
	fill   []byte
	sha, s hash.Hash
}

const sumBlock = 256 << 10

func newSums() *sums {
	h := &sums{work: make(chan []byte, 4), spare: make(chan []byte, 4), done: make(chan struct{}), sha: sha256.New(), s: packet.NewSM3()}
	for range cap(h.spare) {
		h.spare <- make([]byte, 0, sumBlock)
	}
	h.fill = <-h.spare
	go func() {
		defer close(h.done)
		for b := range h.work {
			_, _ = h.sha.Write(b) // writing to a hash never fails
			_, _ = h.s.Write(b)
			h.spare <- b[:0]
		}
	}()
	return h
}

func (h *sums) write(b []byte) {
	for len(b) > 0 {
		n := min(len(b), sumBlock-len(h.fill))
		h.fill, b = append(h.fill, b[:n]...), b[n:]
		if len(h.fill) == sumBlock {
			h.work <- h.fill
			h.fill = <-h.spare
		}
	}
}

// sum ends the hashing; in hex. Called again it gives the same.
func (h *sums) sum() (sha, sm3 string) {
	if h.fill != nil {
		h.work <- h.fill
		h.fill = nil
		close(h.work)
	}
	<-h.done
	return hex.EncodeToString(h.sha.Sum(nil)), hex.EncodeToString(h.s.Sum(nil))
}

// sealedFile is the file on the disk: what age writes, hashed and counted.
type sealedFile struct {
	f    disk.File
	buf  []byte
	h    *sums
	size int64
}

func (s *sealedFile) Write(b []byte) (int, error) {
	s.h.write(b)
	s.size += int64(len(b))
	n := len(b)
	for len(b) > 0 {
		k := copy(s.buf[len(s.buf):cap(s.buf)], b)
		s.buf, b = s.buf[:len(s.buf)+k], b[k:]
		if len(s.buf) == cap(s.buf) {
			if err := s.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (s *sealedFile) flush() error {
	_, err := s.f.Write(s.buf)
	s.buf = s.buf[:0]
	return err
}

// make does one attempt. What it writes is sealed; the file gets its name and its row when it is whole and durable.
func (j *job) make(ctx context.Context, name string) error {
	j.without = map[footage.FileID]bool{}
	if err := j.fetch(ctx); err != nil {
		return err
	}
	for {
		err := j.attempt(ctx, name)
		d, ok := errors.AsType[*damaged](err)
		if !ok {
			return err
		}
		j.x.o.Log.Error("a segment is damaged: the package is made without it", "extraction", j.id, "err", err)
		if j.without[d.segment.File] {
			return err
		}
		j.without[d.segment.File], j.damage = true, append(j.damage, d.segment)
	}
}

func (j *job) attempt(ctx context.Context, name string) (err error) {
	x := j.x
	r, err := x.row(j.id)
	if err != nil {
		return err
	}
	recipient, code, err := j.recipient(r.Extraction)
	if err != nil {
		return err
	}
	part := path.Join(folder, name+partSuffix)
	f, err := x.o.FS.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("begin a sealed package: %w", err)
	}
	closed := false
	defer func() {
		if !closed {
			err = errors.Join(err, f.Close())
		}
	}()
	out := &sealedFile{f: f, buf: make([]byte, 0, 1<<20), h: newSums()}
	defer out.h.sum()
	w, err := age.Encrypt(out, recipient)
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	if err := j.fill(ctx, w, r.Extraction); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	j.report(func(p *Progress) { p.Phase = PhaseSeal })
	if err := out.flush(); err != nil {
		return fmt.Errorf("write a sealed package: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("make a sealed package durable: %w", err)
	}
	closed = true
	if err := f.Close(); err != nil {
		return fmt.Errorf("close a sealed package: %w", err)
	}
	if err := x.o.FS.Rename(part, path.Join(folder, name)); err != nil {
		return fmt.Errorf("name a sealed package: %w", err)
	}
	if err := x.o.FS.SyncDir(folder); err != nil {
		return fmt.Errorf("name a sealed package: %w", err)
	}
	return j.sealed(ctx, name, code, out)
}

// recipient is whom the package is sealed to: the key that was given, or a secret made now, which only memory holds.
func (j *job) recipient(e Extraction) (age.Recipient, string, error) {
	if !e.OneTime() {
		r, err := parseRecipient(e.Recipient)
		code := "x25519"
		if strings.HasPrefix(e.Recipient, "ssh-") {
			code = "ssh"
		}
		return r, code, err
	}
	if _, err := rand.Read(j.secret[:]); err != nil {
		return nil, "", fmt.Errorf("make a secret: %w", err)
	}
	id, err := age.ParseX25519Identity(packet.AgeIdentity(j.secret))
	if err != nil {
		return nil, "", fmt.Errorf("make a secret: %w", err)
	}
	return id.Recipient(), "once", nil
}

// sealed enters the finished package.
func (j *job) sealed(ctx context.Context, name, code string, out *sealedFile) error {
	x := j.x
	x.step.Lock()
	defer x.step.Unlock()
	if why := j.allowed(); why != "" {
		return errors.Join(stopped(why), x.remove(name))
	}
	r, err := x.row(j.id)
	if err != nil {
		return err
	}
	e := r.Extraction
	e.State, e.File, e.Bytes, e.SealedAt = Sealed, name, out.size, x.o.Clock.Now().Wall.UTC()
	e.SHA256, e.SM3 = out.h.sum()
	_, receipt, err := x.o.Register.Carry(ctx, j.by, e.Application, nil, func(a rules.Application) (ledgerdb.Change, error) {
		if _, err := x.granted(a, x.o.Clock.Now().Wall); err != nil {
			return ledgerdb.Change{}, stopped(ReasonRevoked)
		}
		return ledgerdb.Change{Puts: []ledgerdb.Put{extractions.PutRev(e.ID, e, r.rev)},
			Entries: []ledger.Draft{j.by.Draft("extraction.sealed", e.Operator.Role, e.ID, map[string]any{"application": e.Application,
				"sha256": hash64(e.SHA256), "sm3": hash64(e.SM3), "bytes": e.Bytes, "key": code})}}, nil
	})
	if err != nil {
		return errors.Join(err, x.remove(name))
	}
	e.SealedEntry = receipt.First
	x.mu.Lock()
	defer x.mu.Unlock()
	x.rows[e.ID] = row{e, receipt.Revs[0]}
	if e.OneTime() {
		x.secrets[e.ID] = j.secret
	}
	return nil
}

// hash64 is a hash in hex as an entry has it.
func hash64(s string) string {
	b, err := hex.DecodeString(s)
	if err != nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(b)
}

// fill writes all members: videos with their pieces, manifest, proof.
func (j *job) fill(ctx context.Context, w io.Writer, e Extraction) error {
	x := j.x
	p := &packer{archive: packet.NewArchive(w, e.Began.In(x.o.Zone)), m: j.manifest(e), entries: map[uint64]bool{}}
	defer func() {
		if p.hashes != nil {
			p.hashes.sum()
		}
	}()
	j.report(func(g *Progress) { g.Phase, g.Done, g.Videos = PhasePack, 0, len(j.cameras) })
	for i, id := range j.cameras {
		j.report(func(g *Progress) { g.Camera, g.Video = id, i+1 })
		camera, ok := x.camera(id)
		if !ok {
			camera = footage.Camera{ID: id, Name: id}
		}
		span, err := j.pack(ctx, p, camera, j.spans[i])
		if err != nil {
			return err
		}
		p.m.Spans = append(p.m.Spans, span)
	}
	if len(p.m.Videos) == 0 {
		return stopped(ReasonNothing)
	}
	manifest, err := p.m.Write()
	if err != nil {
		return err
	}
	packed, err := j.packed(ctx, p, manifest)
	if err != nil {
		return err
	}
	if err := p.archive.Begin(packet.MemberManifest); err != nil {
		return err
	}
	if _, err := p.archive.Write(manifest); err != nil {
		return err
	}
	proof, err := j.proof(ctx, p, packed)
	if err != nil {
		return err
	}
	if err := p.archive.Begin(packet.MemberProof); err != nil {
		return err
	}
	if _, err := p.archive.Write(proof.Format()); err != nil {
		return err
	}
	return p.archive.Close()
}

// mostManifest is how long a manifest may be to be kept in a row.
const mostManifest = 200 << 10

// packed enters the manifest, and keeps it for the documents.
func (j *job) packed(ctx context.Context, p *packer, manifest []byte) (seq uint64, err error) {
	if len(manifest) > mostManifest {
		return 0, stopped(ReasonTooLarge)
	}
	x := j.x
	x.step.Lock()
	defer x.step.Unlock()
	if why := j.allowed(); why != "" {
		return 0, stopped(why)
	}
	r, err := x.row(j.id)
	if err != nil {
		return 0, err
	}
	e := r.Extraction
	_, receipt, err := x.o.Register.Carry(ctx, j.by, e.Application, nil, func(rules.Application) (ledgerdb.Change, error) {
		return ledgerdb.Change{Puts: []ledgerdb.Put{extractions.PutRev(e.ID, e, r.rev), manifests.Put(e.ID, manifestRow{e.Application, p.m})},
			Entries: []ledger.Draft{j.by.Draft("extraction.packed", e.Operator.Role, e.ID, packet.PackedData(e.Application, manifest, len(p.m.Files)+2, p.archive.Size()))}}, nil
	})
	if err != nil {
		return 0, err
	}
	e.PackedEntry = receipt.First
	x.put(e, receipt.Revs[0])
	return receipt.First, nil
}

// witnessWait is how long a package waits for the centre's cosignature; without it the proof carries the appliance's own
// signature alone, and the proof of the entry can be had later.
const witnessWait = 20 * time.Second

// proof puts together the entries that the package rests on, with one proof for all of them.
func (j *job) proof(ctx context.Context, p *packer, packed uint64) (out packet.PackageProof, err error) {
	x := j.x
	if x.o.Witness {
		j.report(func(g *Progress) { g.Phase = PhaseWitness })
		if err := x.awaitWitness(ctx, packed); err != nil {
			return out, err
		}
	}
	seqs := []uint64{packed}
	for seq := range p.entries {
		seqs = append(seqs, seq)
	}
	r, err := x.row(j.id)
	if err != nil {
		return out, err
	}
	seqs = append(seqs, r.BeganEntry)
	for _, kind := range []ledger.Kind{"application.submitted", "application.approved"} {
		page, err := x.o.Store.Search(ctx, ledgerdb.Query{Kinds: []ledger.Kind{kind}, About: []string{j.app.ID}, Limit: 1})
		if err != nil {
			return out, fmt.Errorf("find the entries of application %s: %w", j.app.ID, err)
		}
		for _, e := range page.Entries {
			seqs = append(seqs, e.Seq)
		}
	}
	slices.Sort(seqs)
	seqs = slices.Compact(seqs)
	if len(seqs) > packet.MaxCertificateEntries {
		return out, stopped(ReasonTooLarge)
	}
	return x.prove(seqs)
}

// prove gives some entries with one proof for all of them. The last is the newest.
func (x *Extractions) prove(seqs []uint64) (out packet.PackageProof, err error) {
	head, err := x.o.Store.Proof(seqs[len(seqs)-1])
	if err != nil {
		return out, fmt.Errorf("sign the log: %w", err)
	}
	out.Keys, out.Checkpoint = head.Keys, head.Checkpoint
	signed, err := ledger.VerifyHead(head.Checkpoint, head.Keys, nil)
	if err != nil {
		return out, fmt.Errorf("sign the log: %w", err)
	}
	paths := make([][]tlog.Hash, len(seqs))
	for i, seq := range seqs {
		leaves, err := x.o.Store.Leaves(seq, 1)
		if err != nil {
			return out, fmt.Errorf("read entry %d: %w", seq, err)
		}
		if len(leaves) != 1 || leaves[0] == nil {
			return out, fmt.Errorf("entry %d cannot be read", seq)
		}
		out.Leaves = append(out.Leaves, leaves[0])
		if paths[i], err = x.o.Store.InclusionProof(seq, signed.Size); err != nil {
			return out, fmt.Errorf("prove entry %d: %w", seq, err)
		}
	}
	if out.Nodes, err = packet.ProveMany(signed.Size, seqs, paths); err != nil {
		return out, fmt.Errorf("prove the entries of a package: %w", err)
	}
	return out, nil
}

// awaitWitness waits a while until the centre has cosigned an entry.
func (x *Extractions) awaitWitness(ctx context.Context, seq uint64) error {
	over := time.NewTimer(witnessWait)
	defer over.Stop()
	again := time.NewTicker(250 * time.Millisecond)
	defer again.Stop()
	for {
		if size, _ := x.o.Store.Witnessed(); size > seq {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-over.C:
			return nil
		case <-again.C:
		}
	}
}

func (x *Extractions) camera(id string) (footage.Camera, bool) {
	for _, c := range x.o.Cameras() {
		if c.ID == id {
			return c, true
		}
	}
	return footage.Camera{}, false
}
