package ledger

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// The export of a whole log is text:
//
//	campuskeep log 1
//	size <n>
//	<one line for each leaf, in order>                 n lines
//	keys <n>
//	<verifier key>                                     n lines, as in a proof
//	checkpoint
//	<signed note to the end of the file>
//
// A leaf's line is the entry's JSON: the bytes between the newlines are exactly the data of the RFC 6962 leaf. A
// leaf whose bytes have rotted on the appliance is written as "hash <base64>" with the leaf hash that the tree
// holds. The root over all lines is the root in the checkpoint.

const exportTitle = "campuskeep log 1"

// ExportWriter writes an export. Errors of the writer below stick and come out of Close.
type ExportWriter struct {
	w    *bufio.Writer
	left uint64
}

// NewExportWriter begins an export of size leaves.
func NewExportWriter(w io.Writer, size uint64) *ExportWriter {
	e := &ExportWriter{bufio.NewWriterSize(w, 64<<10), size}
	fmt.Fprintf(e.w, "%s\nsize %d\n", exportTitle, size)
	return e
}

// Leaf writes the next leaf.
func (e *ExportWriter) Leaf(leaf []byte) error {
	if len(leaf) == 0 || leaf[0] != '{' || bytes.IndexByte(leaf, '\n') >= 0 {
		return errors.New("ledger: a leaf is one line of JSON")
	}
	e.left--
	if _, err := e.w.Write(leaf); err != nil {
		return err
	}
	return e.w.WriteByte('\n')
}

// Hash writes the next leaf by its hash: its bytes are lost.
func (e *ExportWriter) Hash(h tlog.Hash) error {
	e.left--
	_, err := fmt.Fprintf(e.w, "hash %s\n", h)
	return err
}

// Close writes the signed head of exactly the leaves written.
func (e *ExportWriter) Close(keys []string, checkpoint []byte) error {
	if e.left != 0 {
		return errors.New("ledger: the export has not as many leaves as it said")
	}
	var tail bytes.Buffer
	FormatTail(&tail, keys, checkpoint)
	if _, err := e.w.Write(tail.Bytes()); err != nil {
		return err
	}
	return e.w.Flush()
}

// ExportVerdict is what a verified export shows.
type ExportVerdict struct {
	Head
	Lost []uint64 // sequence numbers of leaves that are there by hash only
}

// VerifyExport reads an export to its end and recomputes the root. each, if not nil, gets every leaf before
// the whole is known to be good; leaf is nil for a lost one.
func VerifyExport(r io.Reader, each func(seq uint64, leaf []byte) error, trusted ...Verifier) (ExportVerdict, error) {
	s := bufio.NewReaderSize(r, 64<<10)
	if err := expectLine(s, exportTitle); err != nil {
		return ExportVerdict{}, err
	}
	size, err := numberLine(s, "size")
	if err != nil {
		return ExportVerdict{}, err
	}
	var v ExportVerdict
	var t Tree
	for seq := range size {
		line, err := readLine(s)
		if err != nil {
			return ExportVerdict{}, fmt.Errorf("ledger: export, entry %d: %w", seq, err)
		}
		leaf, h, err := exportLeaf(line, seq)
		if err != nil {
			return ExportVerdict{}, fmt.Errorf("ledger: export, entry %d: %w", seq, err)
		}
		if leaf == nil {
			v.Lost = append(v.Lost, seq)
		}
		t.AddHash(h)
		if each != nil {
			if err := each(seq, leaf); err != nil {
				return ExportVerdict{}, err
			}
		}
	}
	if v.Head, err = exportHead(s, trusted); err != nil {
		return ExportVerdict{}, err
	}
	if v.Size != size || v.Root != t.Root() {
		return ExportVerdict{}, errors.New("ledger: the entries of the export do not have the signed root")
	}
	return v, nil
}

func exportLeaf(line []byte, seq uint64) (leaf []byte, h tlog.Hash, err error) {
	if hash, ok := bytes.CutPrefix(line, []byte("hash ")); ok {
		h, err = tlog.ParseHash(string(hash))
		if err == nil && h.String() != string(hash) {
			err = errors.New("the hash is not in canonical form")
		}
		return nil, h, err
	}
	e, err := ParseEntry(line)
	if err == nil && e.Seq != seq {
		err = fmt.Errorf("says that it is entry %d", e.Seq)
	}
	return line, tlog.RecordHash(line), err
}

// exportHead reads from the keys to the end of the file.
func exportHead(s *bufio.Reader, trusted []Verifier) (Head, error) {
	rest, err := io.ReadAll(io.LimitReader(s, 64<<10))
	if err != nil {
		return Head{}, fmt.Errorf("ledger: export: %w", err)
	}
	r := Lines{rest: rest}
	keys, checkpoint := r.Tail()
	if r.err != nil {
		return Head{}, fmt.Errorf("ledger: export, after the entries: %w", r.err)
	}
	return VerifyHead(checkpoint, keys, trusted)
}

func readLine(s *bufio.Reader) ([]byte, error) {
	line, err := s.ReadSlice('\n')
	switch {
	case err == io.EOF:
		return nil, io.ErrUnexpectedEOF
	case err == bufio.ErrBufferFull:
		return nil, errors.New("the line is too long")
	case err != nil:
		return nil, err
	}
	return line[:len(line)-1], nil
}

func expectLine(s *bufio.Reader, want string) error {
	line, err := readLine(s)
	if err != nil {
		return fmt.Errorf("ledger: export: %w", err)
	}
	if string(line) != want {
		return fmt.Errorf("ledger: export does not begin with %q", want)
	}
	return nil
}

func numberLine(s *bufio.Reader, word string) (uint64, error) {
	line, err := readLine(s)
	if err != nil {
		return 0, fmt.Errorf("ledger: export: %w", err)
	}
	name, number, _ := strings.Cut(string(line), " ")
	n, err := strconv.ParseUint(number, 10, 64)
	if name != word || err != nil || strconv.FormatUint(n, 10) != number || clamp(n) < 0 {
		return 0, fmt.Errorf("ledger: export: want %q and a number", word)
	}
	return n, nil
}
