// Command campuskeep-verify checks a package of footage, a proof, a deletion certificate or an exported log without a network and without anything else of
// ours. It owns nothing and writes only to its outputs. It must never call a file valid that no key known
// otherwise has confirmed: what a file says about itself shows only that it is whole.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
	"unicode"

	"campuskeep/shared/ledger"
	"campuskeep/shared/packet"
)

// Exit codes.
const (
	exitValid       = 0 // whole, and confirmed by the given key
	exitRefused     = 1
	exitUsage       = 2
	exitUnconfirmed = 3 // whole, but no key was given
)

const usage = `用法 usage: campuskeep-verify [-key <密钥 verifier key>] [-identity <口令或私钥 words or key>] <package.age | proof.txt | certificate.txt | log-export>

  -key  教育局中心或一体机的公钥（“名称+编号+base64”），请从中心或纸质登记上取得，不要取自被验证的文件。
        public key of the centre or of the appliance (name+id+base64), known from the centre or from the printed
        record, not from the file that is checked.
  -identity  提取包的口令（24 个词，可写拼音）、AGE-SECRET-KEY-1…，或存放它们或 ssh 私钥的文件。
        the secret of a package (24 words, pinyin too), an AGE-SECRET-KEY-1…, or a file with either or with a private key of ssh.

退出码 exit codes: 0 有效 valid, 1 拒绝 refused, 2 用法错误 usage, 3 完整但来源未确认 whole, but origin unconfirmed
`

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, out, errOut io.Writer) int {
	flags := flag.NewFlagSet("campuskeep-verify", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	key := flags.String("key", "", "")
	identity := flags.String("identity", "", "")
	if err := flags.Parse(permuted(args)); err != nil || flags.NArg() != 1 {
		fmt.Fprint(errOut, usage)
		return exitUsage
	}
	var trusted []ledger.Verifier
	if *key != "" {
		v, err := ledger.ParseVerifier(strings.TrimSpace(*key))
		if err != nil {
			fmt.Fprintf(errOut, "密钥格式错误，应为“名称+编号+base64”。\nThe key is malformed: want name+id+base64.\n\n%s", usage)
			return exitUsage
		}
		trusted = append(trusted, v)
	}
	report, err := check(flags.Arg(0), *identity, trusted)
	if err != nil {
		refuse(errOut, err)
		return exitRefused
	}
	if _, err := io.WriteString(out, report.text); err != nil {
		fmt.Fprintln(errOut, err)
		return exitRefused
	}
	if !report.trusted {
		return exitUnconfirmed
	}
	return exitValid
}

func refuse(w io.Writer, err error) {
	if errors.Is(err, ledger.ErrUntrusted) {
		fmt.Fprint(w, "拒绝：文件没有由给定的密钥签名。\nREFUSED: the given key has not signed this file.\n"+
			"刚签发的文件尚无教育局中心的签名：请在中心存证后重新下载，或用主机公钥核验。\nA file downloaded right after its issue has no signature of the centre yet: download it again once the centre has countersigned, or give the key of the appliance.\n")
		return
	}
	if errors.Is(err, errIdentity) {
		fmt.Fprintf(w, "拒绝：打不开提取包，请用 -identity 给出交接单上的口令或接收人的私钥。\nREFUSED: the package cannot be opened: give the secret of its sheet, or the recipient's key, with -identity.\n%s\n", printable(err.Error()))
		return
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		fmt.Fprintf(w, "拒绝：无法读取文件。\nREFUSED: the file cannot be read.\n%s\n", printable(err.Error()))
		return
	}
	switch {
	case errors.Is(err, packet.ErrStatement):
		fmt.Fprintf(w, "拒绝：证明的文字与所附日志条目不符。\nREFUSED: the words of the certificate do not say what its entries say.\n%s\n", printable(err.Error()))
		return
	case errors.Is(err, packet.ErrIssue):
		fmt.Fprint(w, "拒绝：证明的文字（学校、摄像机、日期等）不是一体机签发的那一份。\n"+
			"REFUSED: the words of the certificate (school, camera, day …) are not those that the appliance issued.\n")
		return
	}
	fmt.Fprintf(w, "拒绝：文件不完整或已被改动。\nREFUSED: the file is not whole, or was changed.\n%s\n", printable(err.Error()))
}

type report struct {
	text    string
	trusted bool
}

func check(path, identity string, trusted []ledger.Verifier) (r report, err error) {
	f, err := os.Open(path)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	in := bufio.NewReader(f)
	title, err := in.Peek(len(exportTitle))
	if err != nil && err != io.EOF {
		return r, err
	}
	if string(title) == exportTitle {
		v, err := ledger.VerifyExport(in, nil, trusted...)
		if err != nil {
			return r, err
		}
		return report{exportText(v), v.Trusted}, nil
	}
	begin, err := in.Peek(len(sealedTitle))
	if err != nil && err != io.EOF {
		return r, err
	}
	if sealed := string(begin) == sealedTitle; sealed || strings.HasPrefix(string(begin), archiveTitle) {
		info, err := f.Stat()
		if err != nil {
			return r, err
		}
		return checkPackage(f, info.Size(), sealed, identity, trusted)
	}
	text, err := io.ReadAll(io.LimitReader(in, maxProof))
	if err != nil {
		return r, err
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
		return report{certificateText(c, v), v.Trusted}, nil
	}
	p, err := ledger.ParseProof(text)
	if err != nil {
		return r, err
	}
	v, err := p.Verify(trusted...)
	if err != nil {
		return r, err
	}
	return report{proofText(v), v.Trusted}, nil
}

const (
	exportTitle = "campuskeep log "
	maxProof    = 64 << 20 // more than any of the formats reads
)

// china is the time the school lives by; the entry itself is in UTC.
var china = time.FixedZone("UTC+8", 8*3600)

func stamp(t time.Time) string { return t.In(china).Format("2006-01-02 15:04:05 MST") }

func headText(b *bytes.Buffer, h ledger.Head, whatZh, whatEn string) {
	if h.Trusted {
		fmt.Fprintf(b, "有效：%s完整，未被改动，并由给定的密钥确认。\nVALID: %s is whole and unchanged, and the given key confirms it.\n\n", whatZh, whatEn)
	} else {
		fmt.Fprintf(b, "完整，但来源未确认：%s前后一致，但没有给出可信的密钥（-key），不能证明它来自哪里。\n"+
			"Whole, but origin unconfirmed: %s is consistent in itself; without a trusted key (-key) nothing shows where it comes from.\n\n", whatZh, whatEn)
	}
	fmt.Fprintf(b, "日志 log            %s\n", printable(h.Origin))
	fmt.Fprintf(b, "树头 checkpoint     %d 条 entries, %s\n", h.Size, h.Root)
	fmt.Fprintf(b, "日志密钥 log key    %s\n", printable(h.LogKey))
	if h.WitnessKey == "" {
		fmt.Fprint(b, "存证 countersigned  无，中心尚未存证 none: not yet by the centre\n")
		return
	}
	fmt.Fprintf(b, "存证 countersigned  %s\n", printable(h.WitnessKey))
	fmt.Fprintf(b, "存证时间 at         %s\n", stamp(h.Witnessed))
}

func proofText(v ledger.Verdict) string {
	var b bytes.Buffer
	headText(&b, v.Head, "这条日志", "this entry")
	e := v.Entry
	fmt.Fprintf(&b, "\n第 %d 条 entry %d of the log\n", e.Seq, e.Seq)
	fmt.Fprintf(&b, "时间 time           %s（时钟状态 clock: %s）\n", stamp(e.At), e.Clock.State)
	fmt.Fprintf(&b, "事项 kind           %s\n", printable(string(e.Kind)))
	fmt.Fprintf(&b, "人员 actor          %s %s\n", printable(e.Actor.ID), printable(e.Actor.Role))
	if e.From != nil {
		fmt.Fprintf(&b, "来源 from           %s %s %s\n", printable(e.From.Address), printable(e.From.Terminal), printable(e.From.Device))
	}
	if e.Subject != "" {
		fmt.Fprintf(&b, "对象 subject        %s\n", printable(e.Subject))
	}
	if len(e.Data) > 0 {
		fmt.Fprintf(&b, "内容 data           %s\n", printable(string(e.Data)))
	}
	for _, p := range v.Parts {
		fmt.Fprintf(&b, "密封部分 sealed part %s (%s): %s\n", printable(p.Name), printable(p.Owner), printable(string(p.Plain)))
	}
	if withheld := len(e.Sealed) - len(v.Parts); withheld > 0 {
		fmt.Fprintf(&b, "另有 %d 个密封部分未随附。 %d sealed parts are not included.\n", withheld, withheld)
	}
	return b.String()
}

func certificateText(c packet.Certificate, v packet.CertificateVerdict) string {
	var b bytes.Buffer
	headText(&b, v.Head, "这份删除证明", "this certificate")
	fmt.Fprintf(&b, "签发 issued         第 %d 条 entry %d of the log, %s\n", v.Number, v.Number, stamp(v.Issued))
	fmt.Fprintf(&b, "所附条目 entries    %d 条，均在已签名的日志中 all of them stand in the signed log\n", v.Entries)
	if !v.Day.Clean() {
		fmt.Fprint(&b, "注意：证明本身属实，但其中有未按期或未解释之处，见下文。\nNote: the certificate is true, and tells of something that was not on time or has no explanation; see below.\n")
	}
	b.WriteByte('\n')
	for line := range strings.Lines(string(c.Statement)) {
		fmt.Fprintln(&b, printable(strings.TrimSuffix(line, "\n")))
	}
	return b.String()
}

func exportText(v ledger.ExportVerdict) string {
	var b bytes.Buffer
	headText(&b, v.Head, "这份日志", "this log")
	fmt.Fprintf(&b, "\n已逐条重算 %d 条，树根与签名一致。 All %d entries were hashed again and have the signed root.\n", v.Size, v.Size)
	for _, seq := range v.Lost {
		fmt.Fprintf(&b, "第 %d 条的内容在主机上已损坏，仅存摘要。 Entry %d is damaged on the appliance; only its hash is left.\n", seq, seq)
	}
	return b.String()
}

// printable keeps what a file says from writing into the reader's terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return '�'
		}
		return r
	}, s)
}
