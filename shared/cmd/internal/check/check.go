// Package check is what the offline check says of a file: the command campuskeep-verify prints it, the page that lies
// beside a sealed package shows it.
//
// It owns nothing, and writes nowhere. It must never call a file valid that no key known otherwise has confirmed: what a
// file says about itself shows only that it is whole.
package check

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"filippo.io/age"

	"campuskeep/shared/ledger"
	"campuskeep/shared/packet"
)

const (
	exportTitle  = "campuskeep log "
	sealedTitle  = "age-encryption.org/v1\n"
	archiveTitle = "PK\x03\x04"
	maxProof     = 64 << 20 // more than any of the formats reads
)

// Report is what a whole file shows, in Chinese and English.
type Report struct {
	Text    string
	Trusted bool // one of the given keys confirms it
	// Package is set when the file is one; its members can be read.
	Package *packet.PackageVerdict
	Archive *packet.ArchiveReader
}

// File checks a package (sealed or opened), a proof, a certificate or an exported log. identities are asked for only when
// the file is sealed. progress, which may be nil, gets how many bytes of a package were read.
func File(src io.ReaderAt, size int64, identities func() ([]age.Identity, error), trusted []ledger.Verifier, progress func(done int64)) (r Report, err error) {
	title := make([]byte, max(len(exportTitle), len(sealedTitle)))
	n, err := src.ReadAt(title, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return r, fmt.Errorf("read the file: %w", err)
	}
	begin := string(title[:n])
	whole := io.NewSectionReader(src, 0, size)
	switch {
	case strings.HasPrefix(begin, exportTitle):
		v, err := ledger.VerifyExport(whole, nil, trusted...)
		if err != nil {
			return r, err
		}
		return Report{Text: exportText(v), Trusted: v.Trusted}, nil
	case strings.HasPrefix(begin, sealedTitle):
		if src, size, err = open(src, size, identities); err != nil {
			return r, err
		}
		return checkPackage(src, size, trusted, progress)
	case strings.HasPrefix(begin, archiveTitle):
		return checkPackage(src, size, trusted, progress)
	}
	text, err := io.ReadAll(io.LimitReader(whole, maxProof))
	if err != nil {
		return r, fmt.Errorf("read the file: %w", err)
	}
	if packet.IsCertificate(text) {
		c, err := packet.ParseCertificate(text)
		if err != nil {
			return r, err
		}
		v, err := c.Verify(trusted...)
		if err != nil {
			return r, err
		}
		return Report{Text: certificateText(c, v), Trusted: v.Trusted}, nil
	}
	p, err := ledger.ParseProof(text)
	if err != nil {
		return r, err
	}
	v, err := p.Verify(trusted...)
	if err != nil {
		return r, err
	}
	return Report{Text: proofText(v), Trusted: v.Trusted}, nil
}

// open opens a sealed package; what it gives is decrypted as it is read.
func open(src io.ReaderAt, size int64, identities func() ([]age.Identity, error)) (io.ReaderAt, int64, error) {
	list, err := identities()
	if err != nil {
		return nil, 0, err
	}
	plain, length, err := age.DecryptReaderAt(src, size, list...)
	if _, none := errors.AsType[*age.NoIdentityMatchError](err); none {
		return nil, 0, fmt.Errorf("%w: %w", ErrIdentity, err)
	}
	return plain, length, err
}

func checkPackage(src io.ReaderAt, size int64, trusted []ledger.Verifier, progress func(int64)) (r Report, err error) {
	v, err := packet.VerifyPackage(src, size, progress, trusted...)
	if err != nil {
		return r, err
	}
	a, err := packet.OpenArchive(src, size)
	if err != nil {
		return r, err
	}
	return Report{Text: packageText(v), Trusted: v.Trusted, Package: &v, Archive: a}, nil
}

// Keys reads verifier keys known from elsewhere: of the appliance, or of the centre.
func Keys(text string) (out []ledger.Verifier, err error) {
	for key := range strings.FieldsSeq(text) {
		v, err := ledger.ParseVerifier(key)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return slices.Clip(out), nil
}

// Refusal gives the reason why a file is not accepted, in Chinese and English.
func Refusal(err error) string {
	var b bytes.Buffer
	_, noFile := errors.AsType[*fs.PathError](err)
	switch {
	case errors.Is(err, ledger.ErrUntrusted):
		b.WriteString("拒绝：文件没有由给定的密钥签名。\nREFUSED: the given key has not signed this file.\n" +
			"刚签发的文件尚无教育局中心的签名：请在中心存证后重新下载，或用主机公钥核验。\nA file downloaded right after its issue has no signature of the centre yet: download it again once the centre has countersigned, or give the key of the appliance.\n")
		return b.String()
	case errors.Is(err, ErrIdentity):
		b.WriteString("拒绝：打不开提取包，请给出密码联上的密码或接收人的私钥。\nREFUSED: the package cannot be opened: give the secret of its sheet, or the recipient's key.\n")
	case noFile:
		b.WriteString("拒绝：无法读取文件。\nREFUSED: the file cannot be read.\n")
	case errors.Is(err, packet.ErrStatement):
		b.WriteString("拒绝：证明的文字与所附日志条目不符。\nREFUSED: the words of the certificate do not say what its entries say.\n")
	case errors.Is(err, packet.ErrIssue):
		b.WriteString("拒绝：证明的文字（学校、摄像机、日期等）不是一体机签发的那一份。\nREFUSED: the words of the certificate (school, camera, day …) are not those that the appliance issued.\n")
		return b.String()
	default:
		b.WriteString("拒绝：文件不完整或已被改动。\nREFUSED: the file is not whole, or was changed.\n")
	}
	fmt.Fprintln(&b, printable(err.Error()))
	return b.String()
}
