package ui

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// oneWord lists words that no text uses, with the word that is used instead, so that one thing has one
// name. except are the keys where the word means something else.
var oneWord = []struct {
	lang      Lang
	not, word string
	except    []string
}{
	{Chinese, "留存", "锁定", nil},
	{Chinese, "保全", "锁定", nil},
	{Chinese, "一体机", "主机", nil},
	{Chinese, "本机", "主机", []string{"trust.apple"}}, // the name of a menu
	{Chinese, "录像带", "录像时间轴", nil},
	{Chinese, "违约", "违规", nil},
	{Chinese, "删除线", "到期线", nil},
	{Chinese, "逾线", "已到期区", nil},
	{Chinese, "超期", "逾期", nil},
	{Chinese, "迟延", "逾期", nil},
	{Chinese, "尽力擦除", "已删除（可能有残留）", nil},
	{Chinese, "见证", "存证", nil},
	{Chinese, "旁路", "其他访问途径", nil},
	{Chinese, "绕过", "未经主机的访问", nil},
	{Chinese, "调取", "取回", []string{"purpose.06", "purpose.papers.06", "still.honest"}}, // what authorities do
	{Chinese, "带走", "提取", []string{"doors.place.hint.disk"}},
	{Chinese, "使用期限", "使用时限", nil},
	{Chinese, "安保科", "安保部门", []string{"doc.org"}}, // the name of the office on its documents
	{Chinese, "动态码", "动态口令", nil},
	{Chinese, "保管方", "存储位置", nil},
	{Chinese, "签收", "接手", nil},
	{Chinese, "画面停住", "画面冻结", nil},
	{Chinese, "黑画面", "黑屏", nil},
	{Chinese, "值守", "值班", nil},
	{Chinese, "空档", "无人值班", nil},
	{Chinese, "№", "日志第…条", nil},
	{Chinese, "验真", "核验", nil},
	{Chinese, "闸机", "校门刷卡", nil},
	{Chinese, "门禁", "校门刷卡", nil},
	{Chinese, "私密", "私人区域", nil},
	{Chinese, "复议", "异议", nil},
	{Chinese, "试连", "连接测试", nil},
	{Chinese, "连不上", "无法连接", nil},
	{Chinese, "连接不上", "无法连接", nil},
	{Chinese, "失联", "离线", nil},
	{Chinese, "全区", "辖区", nil},
	{Chinese, "技术人员", "技术负责人", nil},
	{English, "past us", "that bypass the appliance", nil},
	{English, "whoever", "who", nil},
	{English, "anew", "again", nil},
	{English, "mend", "correct", nil},
	{English, "at fault", "has errors", nil},
	{English, "the box", "the appliance", nil},
	{English, "ribbon", "timeline", nil},
	{English, "deletion line", "expiry line", nil},
	{English, "witnessed", "countersigned", nil},
	{English, "fetched", "retrieved", nil},
	{English, "second factor", "one-time code", nil},
	{English, "papers", "documents", nil},
	{English, "still picture", "still", nil},
	{English, "vouch", "cover", nil},
}

func TestOneThingHasOneWord(t *testing.T) {
	for _, w := range oneWord {
		words := regexp.MustCompile(`(?i)` + regexp.QuoteMeta(w.not))
		if w.lang == English {
			words = regexp.MustCompile(`(?i)\b` + regexp.QuoteMeta(w.not) + `\b`)
		}
		for key, text := range catalogue[w.lang] {
			if words.MatchString(text) && !slices.Contains(w.except, key) {
				t.Errorf("%s: %q says %q, the word is %q", key, text, w.not, w.word)
			}
		}
	}
	// 口令 alone is 密码; 动态口令 is the one-time code.
	for key, text := range catalogue[Chinese] {
		if strings.Contains(strings.ReplaceAll(text, "动态口令", ""), "口令") {
			t.Errorf("%s: %q says 口令, the word is 密码", key, text)
		}
	}
}

// The state of an application reads the same at the school and at the centre.
func TestAStateReadsTheSameEverywhere(t *testing.T) {
	for at, school := range map[string]string{
		"approved": "approved", "closed": "closed", "due": "report_due", "expired": "expired", "overdue": "overdue", "rejected": "rejected",
		"reported": "reported", "returned": "returned", "reviewed": "under_review", "revoked": "revoked", "submitted": "submitted", "withdrawn": "withdrawn",
	} {
		for _, l := range Langs {
			if a, b := T(l, "appstate."+at), T(l, "state."+school); a != b {
				t.Errorf("%s: %q at the centre, %q at the school", at, a, b)
			}
		}
	}
}

// A Chinese sentence that is followed by another ends with a full stop, as the last one does; numbers of
// log entries are never grouped; no space lies beside Chinese punctuation, and 分 is a mark, not a minute.
func TestMechanicalRulesOfTexts(t *testing.T) {
	inner := regexp.MustCompile(`。.`)
	grouped := regexp.MustCompile(`日志第 ?\{\d\}`)
	spaced := regexp.MustCompile(`[，。；：、）》”] | [，。；：、（《“]`)
	minutes := regexp.MustCompile(`\} 分($|[^钟支])`)
	for key, text := range catalogue[Chinese] {
		if inner.MatchString(text) && !strings.ContainsAny(text[len(text)-3:], "。：；”") && !strings.HasSuffix(text, "）") && !strings.HasSuffix(text, "}") {
			t.Errorf("%s: %q has a full stop within and none at its end", key, text)
		}
		if grouped.MatchString(text) {
			t.Errorf("%s: %q groups the digits of an entry's number: write {0#}", key, text)
		}
		if spaced.MatchString(text) {
			t.Errorf("%s: %q has a space beside Chinese punctuation", key, text)
		}
		if minutes.MatchString(text) {
			t.Errorf("%s: %q writes 分 for minutes: write 分钟", key, text)
		}
	}
	// Terms that are settings are placeholders.
	for _, key := range []string{"rules.7", "undertaking.report", "doc.cond.4", "doc.rejection.way", "holds.rule.1"} {
		for _, l := range Langs {
			if !strings.Contains(catalogue[l][key], "{0}") {
				t.Errorf("%s: the number of days is a setting", key)
			}
		}
	}
}
