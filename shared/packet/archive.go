package packet

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"
	"unicode/utf8"
)

// The archive of a package is a ZIP file of one form: members stored one behind the other, written as they come, every
// size in 64 bits, no comments and nothing between them. Any tool opens it. [OpenArchive] accepts this form and no
// other, so that there is no byte in it that could differ unnoticed.
//
// For each member: local header ‖ content ‖ sizes and CRC-32 behind it; then the directory, and its end records.
const (
	sigLocal     = 0x04034b50
	sigSizes     = 0x08074b50
	sigDirectory = 0x02014b50
	sigEnd64     = 0x06064b50
	sigLocator   = 0x07064b50
	sigEnd       = 0x06054b50

	zipVersion = 45     // sizes in 64 bits
	zipFlags   = 0x0808 // sizes behind the content, names in UTF-8
	zipLarge   = 0xffffffff
	endSize    = 56 + 20 + 22

	// MaxMembers is the most members that an archive may have, maxMemberName the longest name, in bytes.
	MaxMembers    = 4096
	maxMemberName = 512
)

// ErrArchive is wrapped by every error about bytes that are not an archive of a package.
var ErrArchive = errors.New("not a whole archive of a package")

// Member is one file of an archive.
type Member struct {
	Name  string
	Size  int64
	crc   uint32
	begin int64 // of its local header
}

// Archive writes an archive. Not safe for concurrent use.
type Archive struct {
	w       io.Writer
	at      int64
	time    uint32
	members []Member
	open    bool
	err     error
}

// NewArchive begins an archive; at is the instant that its members carry.
func NewArchive(w io.Writer, at time.Time) *Archive { return &Archive{w: w, time: dosTime(at)} }

// Size is how many bytes were written.
func (a *Archive) Size() int64 { return a.at }

// Begin ends the member before and begins one; what is written now is its content.
func (a *Archive) Begin(name string) error {
	a.end()
	if a.err == nil && (!memberName(name) || len(a.members) == MaxMembers) {
		a.err = fmt.Errorf("archive: %q cannot be a member", name)
	}
	if a.err != nil {
		return a.err
	}
	a.members = append(a.members, Member{Name: name, begin: a.at})
	a.open = true
	a.put(localHeader(name, a.time))
	return a.err
}

// Write adds to the content of the member.
func (a *Archive) Write(p []byte) (int, error) {
	if a.err == nil && !a.open {
		a.err = errors.New("archive: content without a member")
	}
	if a.err != nil {
		return 0, a.err
	}
	m := &a.members[len(a.members)-1]
	m.crc = crc32.Update(m.crc, crc32.IEEETable, p)
	m.Size += int64(len(p))
	a.put(p)
	return len(p), a.err
}

// Close ends the archive; the writer below stays open.
func (a *Archive) Close() error {
	a.end()
	a.put(directory(a.members, a.time, a.at))
	return a.err
}

func (a *Archive) end() {
	if a.open {
		m := a.members[len(a.members)-1]
		a.put(sizes(m))
		a.open = false
	}
}

func (a *Archive) put(b []byte) {
	if a.err != nil {
		return
	}
	n, err := a.w.Write(b)
	a.at += int64(n)
	if err != nil {
		a.err = err
	}
}

// memberName is a relative path that means the same to every tool.
func memberName(s string) bool {
	if s == "" || len(s) > maxMemberName || !utf8.ValidString(s) || bytes.ContainsAny([]byte(s), "\\:*?\"<>|\x00") {
		return false
	}
	for _, part := range bytes.Split([]byte(s), []byte{'/'}) {
		if len(part) == 0 || part[0] == '.' {
			return false
		}
	}
	return true
}

func dosTime(t time.Time) uint32 {
	y := min(max(t.Year(), 1980), 2107)
	return uint32(y-1980)<<25 | uint32(t.Month())<<21 | uint32(t.Day())<<16 | uint32(t.Hour())<<11 | uint32(t.Minute())<<5 | uint32(t.Second()/2)
}

var le = binary.LittleEndian

func localHeader(name string, at uint32) []byte {
	b := le.AppendUint32(nil, sigLocal)
	b = le.AppendUint16(b, zipVersion)
	b = le.AppendUint16(b, zipFlags)
	b = le.AppendUint16(b, 0) // stored
	b = le.AppendUint32(b, at)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, zipLarge)
	b = le.AppendUint32(b, zipLarge)
	b = le.AppendUint16(b, uint16(len(name)))
	b = le.AppendUint16(b, 20)
	b = append(b, name...)
	b = le.AppendUint16(b, 1)
	b = le.AppendUint16(b, 16)
	return append(b, make([]byte, 16)...)
}

func sizes(m Member) []byte {
	b := le.AppendUint32(nil, sigSizes)
	b = le.AppendUint32(b, m.crc)
	b = le.AppendUint64(b, uint64(m.Size))
	return le.AppendUint64(b, uint64(m.Size))
}

const sizesLength = 24

func directory(members []Member, at uint32, offset int64) []byte {
	var b []byte
	for _, m := range members {
		b = le.AppendUint32(b, sigDirectory)
		b = le.AppendUint16(b, 3<<8|zipVersion) // made on Unix
		b = le.AppendUint16(b, zipVersion)
		b = le.AppendUint16(b, zipFlags)
		b = le.AppendUint16(b, 0)
		b = le.AppendUint32(b, at)
		b = le.AppendUint32(b, m.crc)
		b = le.AppendUint32(b, zipLarge)
		b = le.AppendUint32(b, zipLarge)
		b = le.AppendUint16(b, uint16(len(m.Name)))
		b = le.AppendUint16(b, 28)
		b = append(b, make([]byte, 6)...)    // comment, disk, internal attributes
		b = le.AppendUint32(b, 0o100444<<16) // a file that is only read
		b = le.AppendUint32(b, zipLarge)
		b = append(b, m.Name...)
		b = le.AppendUint16(b, 1)
		b = le.AppendUint16(b, 24)
		b = le.AppendUint64(b, uint64(m.Size))
		b = le.AppendUint64(b, uint64(m.Size))
		b = le.AppendUint64(b, uint64(m.begin))
	}
	size := int64(len(b))
	b = le.AppendUint32(b, sigEnd64)
	b = le.AppendUint64(b, 44)
	b = le.AppendUint16(b, 3<<8|zipVersion)
	b = le.AppendUint16(b, zipVersion)
	b = append(b, make([]byte, 8)...)
	b = le.AppendUint64(b, uint64(len(members)))
	b = le.AppendUint64(b, uint64(len(members)))
	b = le.AppendUint64(b, uint64(size))
	b = le.AppendUint64(b, uint64(offset))
	b = le.AppendUint32(b, sigLocator)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint64(b, uint64(offset+size))
	b = le.AppendUint32(b, 1)
	b = le.AppendUint32(b, sigEnd)
	b = append(b, make([]byte, 4)...)
	b = le.AppendUint16(b, uint16(len(members)))
	b = le.AppendUint16(b, uint16(len(members)))
	b = le.AppendUint32(b, zipLarge)
	b = le.AppendUint32(b, zipLarge)
	return le.AppendUint16(b, 0)
}

// ArchiveReader reads an archive.
type ArchiveReader struct {
	Members []Member
	src     io.ReaderAt
	time    uint32
}

// maxDirectory is the longest directory that is read.
const maxDirectory = MaxMembers * (46 + maxMemberName + 28)

// OpenArchive reads the directory and checks that the members follow one another without a byte between them. Their
// contents are checked by [ArchiveReader.Read].
func OpenArchive(src io.ReaderAt, size int64) (*ArchiveReader, error) {
	if size < endSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrArchive, size)
	}
	end := make([]byte, endSize)
	if err := readAt(src, end, size-endSize); err != nil {
		return nil, archiveFault(err)
	}
	length, begin := le.Uint64(end[40:]), le.Uint64(end[48:])
	if length > maxDirectory || begin > uint64(size) || begin+length+endSize != uint64(size) {
		return nil, fmt.Errorf("%w: its end points elsewhere", ErrArchive)
	}
	dir := make([]byte, length+endSize)
	if err := readAt(src, dir, int64(begin)); err != nil {
		return nil, archiveFault(err)
	}
	a := &ArchiveReader{src: src}
	next := int64(0)
	for b := dir[:length]; len(b) > 0; {
		if len(b) < 46 {
			return nil, fmt.Errorf("%w: its directory ends early", ErrArchive)
		}
		n := 46 + int(le.Uint16(b[28:])) + 28
		if len(b) < n || len(a.Members) == MaxMembers {
			return nil, fmt.Errorf("%w: its directory ends early", ErrArchive)
		}
		name, more := string(b[46:n-28]), b[n-28:n]
		m := Member{Name: name, crc: le.Uint32(b[16:]), Size: int64(le.Uint64(more[4:])), begin: next}
		if !memberName(name) || m.Size < 0 || m.Size > size {
			return nil, fmt.Errorf("%w: member %d", ErrArchive, len(a.Members)+1)
		}
		a.time = le.Uint32(b[12:])
		a.Members = append(a.Members, m)
		next += int64(len(localHeader(name, 0))) + m.Size + sizesLength
		if next > size {
			return nil, fmt.Errorf("%w: member %d ends outside", ErrArchive, len(a.Members))
		}
		b = b[n:]
	}
	if next != int64(begin) || !bytes.Equal(dir, directory(a.Members, a.time, next)) {
		return nil, fmt.Errorf("%w: its directory is not in the one form", ErrArchive)
	}
	return a, nil
}

func archiveFault(err error) error {
	if errors.Is(err, ErrFormat) {
		return fmt.Errorf("%w: it ends early", ErrArchive)
	}
	return err
}

// Read gives the content of a member to f, in order, and then checks what is around it and its CRC-32. What f leaves
// unread is read for it.
func (a *ArchiveReader) Read(i int, f func(io.Reader) error) error {
	m := a.Members[i]
	head := localHeader(m.Name, a.time)
	in := bufio.NewReaderSize(io.NewSectionReader(a.src, m.begin, int64(len(head))+m.Size+sizesLength), 64<<10)
	got := make([]byte, len(head))
	if _, err := io.ReadFull(in, got); err != nil {
		return memberFault(m, err)
	}
	if !bytes.Equal(got, head) {
		return fmt.Errorf("%w: the header of %q", ErrArchive, m.Name)
	}
	sum := crc32.NewIEEE()
	content := io.TeeReader(io.LimitReader(in, m.Size), sum)
	if err := f(content); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, content); err != nil {
		return memberFault(m, err)
	}
	tail := make([]byte, sizesLength)
	if _, err := io.ReadFull(in, tail); err != nil {
		return memberFault(m, err)
	}
	if sum.Sum32() != m.crc || !bytes.Equal(tail, sizes(m)) {
		return fmt.Errorf("%w: %q is not what was packed", ErrArchive, m.Name)
	}
	return nil
}

func memberFault(m Member, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %q ends early", ErrArchive, m.Name)
	}
	return fmt.Errorf("read %q of the archive: %w", m.Name, err)
}

// Find gives the place of a member.
func (a *ArchiveReader) Find(name string) (int, bool) {
	for i, m := range a.Members {
		if m.Name == name {
			return i, true
		}
	}
	return 0, false
}
