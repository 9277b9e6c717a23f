package packet

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"campuskeep/shared/ledger"
)

// Certificate shows to someone offline that the footage of one camera-day was deleted, when, and what remains (F3).
// Its text form (Format, ParseCertificate) is what people download and what campuskeep-verify reads:
//
//	campuskeep certificate 2
//	statement <n>
//	<n lines for people, Chinese and English>
//	entries <n>
//	<an entry's JSON, exactly as hashed>      n lines, in the order of the log
//	nodes <n>
//	<hash, base64>                            n lines, see ProveMany
//	keys <n>
//	<verifier key>                            n lines: one for each signature below, in their order
//	checkpoint
//	<signed note to the end of the file>
//
// No line of the statement counts on its own: its first lines (school, camera, day) are bound by the hash in the
// entry `certificate.issued`, which is the last of the entries; all others follow from the entries and are written
// again by who checks. So no byte of the file can change unnoticed. What a certificate cannot show is that the log
// holds no other entry about that day: for that the whole log is read (ledger.VerifyExport).
//
// Version 1 had other words, added up overlapping gaps, took a deletion's own word for what the end of its key is worth,
// and named the camera as it was at the issue. It is read, and checked, as what it was.
//
// Sizes: a day of 24 hours in a log of ten million entries is about 55 entries and 450 hashes, some 50 KB.
type Certificate struct {
	Version    int         // of the format
	Statement  []byte      // whole lines
	Leaves     [][]byte    // entries as stored, in the order of the log; the last is the issue
	Nodes      []tlog.Hash // see ProveMany
	Keys       []string
	Checkpoint []byte // signed note, with the centre's cosignature when there is one
}

const (
	// CertificateVersion is what is issued today.
	CertificateVersion = 2

	certificateTitle = "campuskeep certificate "
	maxCertificate   = 32 << 20
	// MaxCertificateEntries is the most entries that a certificate carries.
	MaxCertificateEntries = 10000
	maxCertificateNodes   = MaxCertificateEntries * 64
	maxStatement          = 2*MaxCertificateEntries + 500 // lines
	issued                = ledger.Kind("certificate.issued")
)

// IsCertificate says whether a file begins like a certificate.
func IsCertificate(text []byte) bool {
	return bytes.HasPrefix(text, []byte(certificateTitle))
}

// Format writes the text form.
func (c Certificate) Format() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s%d\nstatement %d\n%sentries %d\n", certificateTitle, c.Version, bytes.Count(c.Statement, []byte{'\n'}), c.Statement, len(c.Leaves))
	for _, l := range c.Leaves {
		b.Write(l)
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "nodes %d\n", len(c.Nodes))
	for _, h := range c.Nodes {
		fmt.Fprintf(&b, "%s\n", h)
	}
	ledger.FormatTail(&b, c.Keys, c.Checkpoint)
	return b.Bytes()
}

// ParseCertificate reads the text form and nothing else: what it accepts, Format writes back byte for byte. It does
// not verify; see Certificate.Verify.
func ParseCertificate(text []byte) (Certificate, error) {
	if len(text) > maxCertificate {
		return Certificate{}, fmt.Errorf("packet: certificate of %d bytes, at most %d are read", len(text), maxCertificate)
	}
	r := ledger.NewLines(text)
	var c Certificate
	switch r.Next() {
	case certificateTitle + "1":
		c.Version = 1
	case certificateTitle + "2":
		c.Version = 2
	default:
		r.Fail("is not that of a certificate of a version that is known")
	}
	for range r.Count("statement", maxStatement) {
		c.Statement = append(append(c.Statement, r.Next()...), '\n')
	}
	for range r.Count("entries", MaxCertificateEntries) {
		c.Leaves = append(c.Leaves, []byte(r.Next()))
	}
	for range r.Count("nodes", maxCertificateNodes) {
		h, err := tlog.ParseHash(r.Next())
		if err != nil {
			r.Fail("a hash is malformed")
		}
		c.Nodes = append(c.Nodes, h)
	}
	c.Keys, c.Checkpoint = r.Tail()
	if r.Err() == nil && !bytes.Equal(c.Format(), text) {
		r.Fail("is not in canonical form")
	}
	if err := r.Err(); err != nil {
		return Certificate{}, fmt.Errorf("packet: certificate, %w", err)
	}
	return c, nil
}

// CertificateVerdict is what a verified certificate shows.
type CertificateVerdict struct {
	ledger.Head
	Declared Declared
	Day      Day
	Issued   time.Time // entry of the issue
	Number   uint64    // its number in the log
	Entries  int
}

// Faults of a certificate, for what the reader sees.
var (
	ErrStatement = errors.New("packet: the statement does not say what the entries say")
	ErrIssue     = errors.New("packet: the certificate is not the one that the entry of its issue binds")
)

// Verify checks a certificate offline: the signed tree, every entry in it, the issue that binds the statement, and
// that the statement is what follows from the entries. Without trusted keys it shows that the file is whole and
// consistent (Head.Trusted false), never where it comes from.
func (c Certificate) Verify(trusted ...ledger.Verifier) (v CertificateVerdict, err error) {
	if v.Head, err = ledger.VerifyHead(c.Checkpoint, c.Keys, trusted); err != nil {
		return v, err
	}
	entries := make([]ledger.Entry, len(c.Leaves))
	seqs, hashes := make([]uint64, len(c.Leaves)), make([]tlog.Hash, len(c.Leaves))
	for i, leaf := range c.Leaves {
		if entries[i], err = ledger.ParseEntry(leaf); err != nil {
			return v, fmt.Errorf("packet: entry in line %d: %w", i+1, err)
		}
		seqs[i], hashes[i] = entries[i].Seq, tlog.RecordHash(leaf)
	}
	if err := CheckMany(v.Size, v.Root, seqs, hashes, c.Nodes); err != nil {
		return v, fmt.Errorf("packet: %w", err)
	}
	last := len(entries) - 1
	issue := entries[last]
	var d struct {
		Day                string
		Sum                []byte
		Deleted, Remaining int
	}
	sum := sha256.Sum256(c.Statement)
	if issue.Kind != issued || json.Unmarshal(issue.Data, &d) != nil || !bytes.Equal(d.Sum, sum[:]) {
		return v, ErrIssue
	}
	if v.Declared, err = readDeclared(c.Version, c.Statement); err != nil {
		return v, err
	}
	name, _, err := ledger.SplitOrigin(v.Origin)
	if err != nil || name != v.Declared.Appliance || issue.Subject != v.Declared.Camera || d.Day != v.Declared.Day {
		return v, ErrIssue
	}
	text, day, err := v.Declared.Statement(entries[:last])
	if err != nil {
		return v, fmt.Errorf("packet: %w", err)
	}
	if !bytes.Equal(text, c.Statement) {
		return v, fmt.Errorf("%w: line %d", ErrStatement, firstDifference(text, c.Statement))
	}
	if day.Deleted != d.Deleted || day.Remaining() != d.Remaining {
		return v, ErrIssue
	}
	v.Day, v.Issued, v.Number, v.Entries = day, issue.At, issue.Seq, len(entries)
	return v, nil
}

func firstDifference(a, b []byte) int {
	x, y := bytes.Split(a, []byte{'\n'}), bytes.Split(b, []byte{'\n'})
	for i := range min(len(x), len(y)) {
		if !bytes.Equal(x[i], y[i]) {
			return i + 1
		}
	}
	return min(len(x), len(y))
}

// IssueOf is the data of the entry that binds a statement.
func IssueOf(statement []byte, d Day) map[string]any {
	sum := sha256.Sum256(statement)
	return map[string]any{"day": d.Day, "sum": base64.StdEncoding.EncodeToString(sum[:]), "deleted": d.Deleted, "remaining": d.Remaining()}
}

// Declared is what a certificate says about the camera and the school. It is bound by the issue, because the log
// holds no names.
type Declared struct {
	Version   int // of the format; 0: 1
	School    string
	Appliance string // campuskeep/<appliance>, the name of the log
	Camera    string
	Name      string
	Place     string
	Day       string // label of the camera-day
	East      int    // minutes east of UTC of the school's time
}

// Zone of the school on that day.
func (d Declared) Zone() *time.Location { return time.FixedZone(d.zone(), d.East*60) }

func (d Declared) zone() string {
	sign, m := '+', d.East
	if m < 0 {
		sign, m = '-', -m
	}
	return fmt.Sprintf("UTC%c%02d:%02d", sign, m/60, m%60)
}

// declaredLines are the labels of the first lines and where their values belong.
func (d *Declared) declaredLines(zone *string) []struct {
	label string
	value *string
} {
	return []struct {
		label string
		value *string
	}{{"学校 school", &d.School}, {d.words().appliance, &d.Appliance}, {"摄像机 camera", &d.Camera}, {d.words().name, &d.Name},
		{d.words().place, &d.Place}, {"日期 day", &d.Day}, {"时区 zone", zone}}
}

const (
	titleDeletion = "录像删除证明 Certificate of deletion"
	titleExpiry   = "录像到期核对记录 Record of expiry check" // the NVR's listing proves no deletion
)

// title of a statement about a day.
func (d Declared) title(day Day) string {
	if d.Version > 1 && day.Assurance == AssuranceAttested {
		return titleExpiry
	}
	return titleDeletion
}

func (d Declared) lines(title string) string {
	var b strings.Builder
	zone := d.zone()
	b.WriteString(title + "\n\n")
	for _, l := range d.declaredLines(&zone) {
		fmt.Fprintf(&b, "%s: %s\n", l.label, oneLine(*l.value))
	}
	return b.String()
}

// oneLine keeps a name from writing lines of its own.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, s)
}

func readDeclared(version int, statement []byte) (d Declared, err error) {
	d.Version = version
	bad := errors.New("packet: the first lines of the statement do not name school, camera and day")
	lines := strings.Split(string(statement), "\n")
	var zone string
	want := d.declaredLines(&zone)
	if len(lines) < len(want)+2 {
		return d, bad
	}
	for i, l := range want {
		value, ok := strings.CutPrefix(lines[i+2], l.label+": ")
		if !ok {
			return d, bad
		}
		*l.value = value
	}
	var sign rune
	var hours, minutes int
	if n, err := fmt.Sscanf(zone, "UTC%c%02d:%02d", &sign, &hours, &minutes); err != nil || n != 3 {
		return d, bad
	}
	d.East = hours*60 + minutes
	if sign == '-' {
		d.East = -d.East
	}
	if d.East < -18*60 || d.East > 18*60 || !strings.HasPrefix(string(statement), d.lines(lines[0])) {
		return d, bad
	}
	return d, nil
}

// ReadDay reads the deletion of the camera-day out of its entries.
func (d Declared) ReadDay(entries []ledger.Entry) (Day, error) {
	if !slices.IsSortedFunc(entries, func(a, b ledger.Entry) int { return int(int64(a.Seq) - int64(b.Seq)) }) {
		return Day{}, errors.New("the entries are not in the order of the log")
	}
	r, err := ReadRecord(d.Camera, entries)
	if err != nil {
		return Day{}, err
	}
	day := DayOf(r, d.Camera, d.Day, d.Zone())
	if d.Version > 1 {
		day.refine(r)
	}
	return day, nil
}

// Statement is the text for people that follows from the entries of the camera-day.
func (d Declared) Statement(entries []ledger.Entry) ([]byte, Day, error) {
	day, err := d.ReadDay(entries)
	if err != nil {
		return nil, day, err
	}
	return []byte(d.lines(d.title(day)) + day.text(d.words())), day, nil
}
