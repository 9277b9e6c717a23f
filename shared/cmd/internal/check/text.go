package check

import (
	"bytes"
	"fmt"
	"strings"
	"time"
	"unicode"

	"campuskeep/shared/ledger"
	"campuskeep/shared/packet"
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

func packageText(v packet.PackageVerdict) string {
	var b bytes.Buffer
	headText(&b, v.Head, "这个提取包", "this package")
	m := v.Manifest
	zone := time.FixedZone("", m.Zone*60)
	at := func(t time.Time) string { return t.In(zone).Format("2006-01-02 15:04:05") }
	row := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "%s %s\n", label, printable(fmt.Sprintf(format, args...)))
	}
	fmt.Fprintln(&b)
	row("编号 package     ", "%s（%s）", m.Number, m.Extraction)
	row("学校 school      ", "%s", m.School)
	row("依据 notice      ", "%s，%s", m.Notice, m.FormNumber)
	row("操作人 operator  ", "%s（%s）", m.Operator.Name, m.Operator.ID)
	row("监督人 supervisor", "%s（%s）", m.Supervisor.Name, m.Supervisor.ID)
	row("提取 extracted   ", "%s", at(m.Began))
	for _, r := range m.Recipients {
		row("接收人 recipient ", "%s %s %s", r.Name, r.Unit, r.Document)
	}
	row("归还或销毁 by    ", "%s", m.UseUntil)
	names := map[string]string{}
	for _, c := range m.Cameras {
		names[c.ID] = c.Name + " " + c.Place
	}
	for _, s := range m.Spans {
		row("时段 span        ", "%s %s – %s", names[s.Camera], at(s.Span.From), at(s.Span.To))
		for _, g := range s.Gaps {
			row("  缺 gap         ", "%s – %s %s", at(g.Span.From), at(g.Span.To), g.Cause)
		}
	}
	for _, x := range m.Videos {
		row("录像 video       ", "%s %s – %s, %d 帧 pictures", x.Path, at(x.Span.From), at(x.Span.To), x.Pictures)
	}
	fmt.Fprintf(&b, "\n录像的 %d 段与录制时写入日志的校验值一致。 %d of %d recorded pieces have the hash that the log bound when they were recorded.\n", v.Bound, v.Bound, v.Segments)
	if v.Late > 0 {
		fmt.Fprintf(&b, "另有 %d 段仅由提取记录绑定，不能证明提取之前未被更换。 %d pieces are bound by the extraction alone: nothing shows what they were before it.\n", v.Late, v.Late)
	}
	fmt.Fprint(&b, "不能证明：画面所示是否真实、摄像机自身的时钟是否准确（见清单）、时段以外发生了什么。\nNot shown: that what the camera saw was real, that its own clock was right (see the manifest), what happened outside the spans.\n")
	return b.String()
}
