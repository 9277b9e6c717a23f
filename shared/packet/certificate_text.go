package packet

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"campuskeep/shared/footage"
)

// The words of a certificate are part of its format: who checks one writes them again and compares. They do not
// change within a version.

func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func seconds(d time.Duration) string { return fmt.Sprintf("%.0f s", d.Seconds()) }

// words are those of one version.
type words struct {
	appliance, name, place    string // labels of the first lines
	outcome                   func(Day) string
	assurance                 map[string]string
	late                      map[footage.LateCause]string
	gap                       map[footage.Cause]string
	overdue, breach, none     string
	key, announced, destroyed string
	hold, kept                string
	notes                     string
}

func (d Declared) words() *words {
	if d.Version > 1 {
		return &words2
	}
	return &words1
}

var words1 = words{
	appliance: "一体机 appliance", name: "名称 name", place: "位置 place",
	outcome:   func(d Day) string { return outcome1[d.Outcome] },
	assurance: assurance1, late: late1, gap: gap1,
	overdue: "迟延 late", breach: "违约记录 breach", none: "没有违约记录可以解释。 No breach entry explains it.",
	key: "密钥 key", announced: "密钥销毁预告 key destruction announced", destroyed: "密钥销毁 key destroyed",
	hold: "留存 Holds", kept: "留存中，至 kept until",
	notes: "时间均为协调世界时（UTC）。根为 RFC 6962 默克尔树根，覆盖该小时每个分段的文件编号、内容摘要和首尾时刻。\n" +
		"All times are UTC. A root is the RFC 6962 Merkle root over file id, content hash, first and last frame of every segment of that hour.\n" +
		"以上各行由下列日志条目推出；核验工具会重新推算并逐字比对。条目是否齐全，须核对整份日志。\n" +
		"Every line above follows from the entries below; the verifier derives it again and compares it byte by byte. That no entry is missing shows only the whole log.\n",
}

var outcome1 = map[string]string{
	OutcomeErased: "这一天的录像已全部删除，密钥已销毁。\nAll footage of this day is deleted and its key is destroyed.\n",
	OutcomeHeld: "这一天的录像，除留存的部分外，已全部删除；当日密钥已销毁，留存部分由留存密钥单独加密。\n" +
		"All footage of this day is deleted, except for what a hold keeps; the key of the day is destroyed, what is held is under the key of the hold.\n",
	OutcomePartial: "这一天的录像尚未全部删除。\nThe footage of this day is not all deleted yet.\n",
	OutcomeAttested: "录像机告知：它已不再列出这一天的录像。这是录像机自己的说法，不能证明数据已被销毁。\n" +
		"The NVR tells that it no longer lists footage of this day. That is what the NVR says; it does not prove that the bytes are destroyed.\n",
}

var assurance1 = map[string]string{
	"erased":      "已擦除：根密钥在安全芯片（TPM）中，销毁后无法再解密。erased: the root key is in a TPM; nothing can be decrypted again.",
	"best_effort": "尽力擦除：文件已删除，密钥已从密钥文件中去除；闪存介质可能留有旧副本。best effort: files unlinked and the key removed from its file; flash media may keep old copies.",
	"attested":    "由录像机声明，本系统每日核对其目录。attested by the NVR, whose listing is read daily.",
}

var late1 = map[footage.LateCause]string{
	footage.LateClock:  "时钟不可信 the clock was not trusted",
	footage.LatePower:  "一体机断电 the appliance was off",
	footage.LateUnlink: "磁盘拒绝删除 the disk refused to delete",
	footage.LateHold:   "留存期间 a hold kept it",
}

var gap1 = map[footage.Cause]string{
	footage.CauseCameraOff: "摄像机离线 camera offline", footage.CauseNetwork: "网络中断 network", footage.CauseStalled: "无画面 no pictures",
	footage.CauseLogin: "口令被拒 credentials", footage.CauseSignal: "码流无法录制 stream",
	footage.CauseNoKey: "无关键帧 no_key", footage.CauseNoSets: "缺参数集 no_sets", footage.CauseBadSets: "参数集不可用 bad_sets", footage.CauseFailed: "处理出错 failed", footage.CauseOverload: "磁盘过载 overload",
	footage.CauseDisk: "磁盘写入失败 disk", footage.CauseStart: "开始录像 start", footage.CauseRestart: "程序重启 restart", footage.CausePowerOff: "断电 power",
	footage.CauseDamaged: "数据损坏 damaged", footage.CauseLost: "文件丢失 lost", footage.CauseSetup: "尚未登记 not set up", footage.CauseBreach: "提前删除 breach",
}

func word[K ~string](m map[K]string, code K) string {
	if s, ok := m[code]; ok {
		return s
	}
	return oneLine(string(code))
}

func (d Day) text(w *words) string {
	var b strings.Builder
	line := func(label, format string, args ...any) { fmt.Fprintf(&b, label+": "+format+"\n", args...) }
	b.WriteString("\n结论 Finding\n" + w.outcome(d) + "\n")
	if d.Assurance == AssuranceAttested {
		d.attestedText(line, w)
	} else {
		d.ownText(&b, line, w)
	}
	d.gapText(&b, w)
	d.holdText(&b, w)
	d.hourText(&b)
	b.WriteString("\n说明 Notes\n" + w.notes)
	return b.String()
}

func (d Day) ownText(b *strings.Builder, line func(label, format string, args ...any), w *words) {
	if !d.Span.From.IsZero() {
		line("录像时段 footage", "%s – %s", instant(d.Span.From), instant(d.Span.To))
	}
	line("分段 segments", "记录 recorded %d, 删除 deleted %d, 余 remaining %d", d.Recorded, d.Deleted, d.Remaining())
	line("字节 bytes", "%d", d.Bytes)
	if d.Damaged > 0 {
		line("损坏或丢失 damaged or missing", "%d", d.Damaged)
	}
	if d.Deleted == 0 {
		return
	}
	line("保存期限 policy", "%d × 24 h", d.Policy)
	line("到期 due", "%s", instant(d.Due))
	line("最后删除 last unlinked", "%s", instant(d.Unlinked))
	if d.Announced.IsZero() {
		line(w.key, "尚未销毁 not destroyed yet")
	} else {
		line(w.announced, "%s", instant(d.Announced))
	}
	if !d.Erased.IsZero() {
		late := ""
		if d.KeyLate() {
			late = "（超过 24 小时 more than 24 h after the last unlink）"
		}
		line(w.destroyed, "%s%s", instant(d.Erased), late)
	}
	switch {
	case d.Late == 0:
		line(w.overdue, "0（期满后 %s 内完成 done within %s）", seconds(footage.OnTime), seconds(footage.OnTime))
	case d.Unexplained > 0:
		line(w.overdue, "%s，其中 %s 无法解释 of which %s have no explanation", seconds(d.Late), seconds(d.Unexplained), seconds(d.Unexplained))
	default:
		line(w.overdue, "%s，已解释 explained", seconds(d.Late))
	}
	for _, c := range d.Causes {
		line("  原因 cause", "%s", word(w.late, c))
	}
	if d.Early > 0 || d.Unexcused {
		line("提前 early", "%s", seconds(d.Early))
		for _, x := range d.Breaches {
			line("  "+w.breach, "第 %d 条 entry %d, %s", x.Seq, x.Seq, oneLine(x.Reason))
		}
		if d.Unexcused {
			b.WriteString("  " + w.none + "\n")
		}
	} else {
		line("提前 early", "0")
	}
	line("保证程度 assurance", "%s", word(w.assurance, d.Assurance))
	if d.Turned.Seq > 0 {
		line("  根密钥更换 root key turned", "第 %d 条 entry %d, %s", d.Turned.Seq, d.Turned.Seq, instant(d.Turned.At))
	}
}

func (d Day) attestedText(line func(label, format string, args ...any), w *words) {
	if !d.LastListed.At.IsZero() {
		line("最后一次仍列出 last listed", "%s，当时最早录像 oldest then %s", instant(d.LastListed.At), instant(d.LastListed.Oldest))
	}
	if !d.NotListed.At.IsZero() {
		line("首次不再列出 first not listed", "%s，当时最早录像 oldest then %s", instant(d.NotListed.At), instant(d.NotListed.Oldest))
		line("保存期限 policy", "%d × 24 h", d.Policy)
		line("到期 due", "%s", instant(d.Due))
	}
	line("保证程度 assurance", "%s", word(w.assurance, d.Assurance))
}

func (d Day) gapText(b *strings.Builder, w *words) {
	fmt.Fprintf(b, "\n缺口 Gaps: %d, %s\n", len(d.Gaps), seconds(d.Missing))
	for _, g := range d.Gaps {
		fmt.Fprintf(b, "%s – %s  %s\n", instant(g.Span.From), instant(g.Span.To), word(w.gap, g.Cause))
	}
}

func (d Day) holdText(b *strings.Builder, w *words) {
	fmt.Fprintf(b, "\n%s: %d\n", w.hold, len(d.Holds))
	for _, h := range d.Holds {
		fmt.Fprintf(b, "%s  %s – %s  原因 reason %s, ", oneLine(h.ID), instant(h.Span.From), instant(h.Span.To), oneLine(h.Reason))
		if h.Ended.IsZero() {
			fmt.Fprintf(b, "%s %s\n", w.kept, instant(h.Until))
		} else {
			fmt.Fprintf(b, "已结束 ended %s\n", instant(h.Ended))
		}
	}
}

func (d Day) hourText(b *strings.Builder) {
	if len(d.Hours) == 0 {
		return
	}
	b.WriteString("\n逐小时 Hour by hour\n")
	for _, h := range d.Hours {
		fmt.Fprintf(b, "%s\n", h.Hour.UTC().Format("2006-01-02T15:04Z"))
		for _, x := range h.Recorded {
			fmt.Fprintf(b, "  记录 recorded %5d  %s  #%d\n", x.Count, base64.StdEncoding.EncodeToString(x.Root[:]), x.Seq)
		}
		for _, x := range h.Deleted {
			same := ""
			if h.Same() {
				same = "  ＝ 相同 same"
			}
			fmt.Fprintf(b, "  删除 deleted  %5d  %s  #%d  %s%s\n", x.Count, base64.StdEncoding.EncodeToString(x.Root[:]), x.Seq, instant(x.At), same)
		}
		if r, g := h.Counts(); g < r {
			fmt.Fprintf(b, "  余 remaining %d\n", r-g)
		}
	}
}
